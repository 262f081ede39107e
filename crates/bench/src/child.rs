//! The server under test, in a process of its own: what `carebot serve` does in release mode, and nothing else.

use std::io::{Read, stdin};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::ListenerExt;
use carebot_database::ambient::{SystemClock, SystemRng};
use carebot_database::{Db, Options, migrate};
use carebot_external::channels::addresses::Policy;
use carebot_server::edge::cookie::CookieSettings;
use carebot_server::{ServerSettings, listen};
use carebot_service::alarms::carrier::{self, Outward};
use carebot_service::{Service, Settings, alarms, jobs};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::Result;
use crate::work::HELLO;

/// Serves until standard input ends, which it does when the benchmark does, however that ends.
pub fn serve(address: SocketAddr, database: &str) -> Result {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("info"))
        .with_writer(std::io::stderr)
        .json()
        .flatten_event(true)
        .init();
    let cores = std::thread::available_parallelism()?.get();
    let (runtime, stop) = prepare(cores)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        let options = Options { sqlite_readers: cores.max(2), ..Options::default() };
        let db = Db::open(&database.parse()?, &options).await?;
        migrate::run(&db, &SystemClock, &SystemRng).await?;
        // Notices go to gateways on this machine.
        let key = carrier::vapid_key(&db).await.map_err(|error| format!("{error:?}"))?;
        let policy = Policy { allow_private: true };
        let outward = Outward::new(Some(key), "mailto:nobody@example.com", None, policy, Arc::new(SystemClock));
        let carrier = Arc::new(outward.map_err(|bad| bad.to_string())?);
        let alarms = alarms::Settings { carrier: Some(carrier), allow_private: true, ..alarms::Settings::default() };
        let settings = Settings { hash_concurrency: cores, alarms, ..Settings::default() };
        let service = Service::start(db, Arc::new(SystemClock), Arc::new(SystemRng), settings).await;
        let service = service.map_err(|error| format!("{error:?}"))?;
        let jobs = jobs::start(&service);
        let settings = ServerSettings {
            docs: false,
            cookie: CookieSettings { domain: None, secure: true, same_site: "none" },
            ..ServerSettings::default()
        };
        let edge = carebot_server::build(Arc::clone(&service), settings);
        tracing::info!(%address, "carebot serves");
        listen::serve(listener, edge, None, stop).await?;
        jobs.stop().await;
        service.finish().await;
        Ok(())
    })
}

/// Serves the shortest possible hello with the HTTP library alone: what an answer costs on this machine at the least.
pub fn serve_bare(address: SocketAddr) -> Result {
    let (runtime, stop) = prepare(std::thread::available_parallelism()?.get())?;
    let hello = || async { ([("content-type", "application/json")], HELLO) };
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?.tap_io(|stream| {
            // Without it the answer is only slower.
            let _ = stream.set_nodelay(true);
        });
        let router = axum::Router::new().route("/healthz", axum::routing::get(hello));
        axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
        Ok(())
    })
}

/// The threads of a server, and what tells it to stop: the end of standard input.
fn prepare(cores: usize) -> Result<(Runtime, CancellationToken)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores)
        .thread_name("carebot")
        .enable_all()
        .build()?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    std::thread::spawn(move || {
        // Whether it ends or breaks, the benchmark is gone.
        let _ = stdin().read_to_end(&mut Vec::new());
        token.cancel();
    });
    Ok((runtime, stop))
}
