//! `carebot serve`: the server in earnest.

use std::net::SocketAddr;
use std::sync::Arc;

use carebot_server::listen;
use carebot_server::tls::Certificate;
use carebot_service::jobs;
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::arguments::{Common, DatabaseFlags};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::{logging, output, setup};

/// Runs the server
#[derive(Debug, Args)]
#[command(
    long_about = "Runs the server until it gets SIGTERM or SIGINT (Ctrl-C); it then answers what is under way and ends \
                  with 0. A second signal ends it at once.\n\n\
                  The line `carebot listens on ..` on standard output says that it answers. Everything else goes to \
                  standard error. A MariaDB that does not answer yet is waited for up to 60 s.\n\n\
                  The database's schema is brought up to date at the start, whichever the engine; several servers that \
                  start at once wait for each other.",
    after_help = "Examples:\n  \
                  carebot serve --listen 127.0.0.1:8000 --database sqlite:carebot.db --create\n  \
                  carebot serve --config /etc/carebot/carebot.toml\n  \
                  CAREBOT_DATABASE__URL=mariadb://carebot:secret@db1,db2/carebot carebot serve --listen '[::]:8000'\n\n\
                  For a trial on this machine over plain http add `--set mode=development`.\n\
                  Every setting: `carebot config reference`, what is in force: `carebot config print`."
)]
pub struct Flags {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(flatten)]
    database: DatabaseFlags,
    /// PEM file with the certificate and the intermediate ones; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<String>,
    /// PEM file with the private key
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<String>,
    /// Where /metrics is served, or `off`
    #[arg(long, value_name = "ADDRESS|off")]
    metrics: Option<String>,
    /// Ends with an error when the schema is not up to date, instead of changing it
    #[arg(long)]
    no_migrate: bool,
}

impl Flags {
    fn settings(&self) -> Vec<(&'static str, String)> {
        let own = [
            ("server.listen", &self.listen),
            ("tls.certificate", &self.tls_certificate),
            ("tls.key", &self.tls_key),
            ("metrics.listen", &self.metrics),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        self.database.settings().into_iter().chain(own).collect()
    }
}

/// Runs the command.
pub fn run(common: &Common, flags: Flags) -> Result {
    let config = common.load(flags.settings())?;
    logging::for_server(&config, common.verbose);
    if !config.reserved_variables().is_empty() {
        tracing::warn!(variables = config.reserved_variables().join(", "), "these variables have no effect yet");
    }
    let runtime = setup::runtime(config.server.worker_threads(setup::cores()))?;
    runtime.block_on(async {
        let stop = stop_on_signals()?;
        let running = tokio::select! {
            running = Running::start(&config, flags.no_migrate, &stop) => running?,
            // While it waits for the database.
            () = stop.cancelled() => return Ok(()),
        };
        output::line(&format!("carebot listens on {}", running.url()));
        running.until_stopped().await
    })
}

/// A server that answers.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    tls: bool,
    jobs: jobs::Jobs,
    service: Arc<carebot_service::Service>,
    connections: tokio::task::JoinHandle<Result<(), carebot_server::tls::TlsError>>,
}

impl Running {
    /// Opens everything and answers, until `stop`.
    pub async fn start(config: &Config, no_migrate: bool, stop: &CancellationToken) -> Result<Self> {
        // What can be wrong without a database is looked at first.
        let certificate = config.tls.files().map(|(certificate, key)| Certificate::load(certificate, key)).transpose();
        let certificate = certificate.map_err(|error| {
            Failure::new(format!("TLS: {error}")).next("Both files are PEM; see tls.certificate and tls.key.")
        })?;
        let listener = bind(config).await?;
        let address = listener.local_addr().map_err(|error| Failure::new(format!("no local address: {error}")))?;
        let metrics = bind_metrics(config).await;

        let db = setup::open_patiently(config).await?;
        let opened = async {
            setup::prepare_schema(&db, no_migrate).await?;
            setup::service(db.clone(), config).await
        };
        let service = match opened.await {
            Ok(service) => service,
            Err(failure) => {
                db.close().await;
                return Err(failure.about(&format!("database {}", config.database.url)));
            }
        };
        let jobs = jobs::start(&service);
        let edge = carebot_server::build(Arc::clone(&service), setup::server_settings(config));
        if let Some(listener) = metrics {
            tokio::spawn(listen::serve_metrics(listener, edge.clone(), stop.clone()));
        }
        let tls = certificate.is_some();
        let connections = tokio::spawn(listen::serve(listener, edge, certificate, stop.clone()));
        tracing::info!(%address, tls, database = %config.database.url, mode = config.mode().as_str(), "carebot serves");
        Ok(Self { address, tls, jobs, service, connections })
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// Waits until it was asked to stop, and everything that was under way is done.
    pub async fn until_stopped(self) -> Result {
        let served = self.connections.await;
        tracing::info!("stopping: every request is answered");
        self.jobs.stop().await;
        self.service.finish().await;
        match served {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::new(format!("TLS: {error}"))),
            Err(error) => Err(Failure::new(format!("the server broke down: {error}"))),
        }
    }
}

async fn bind(config: &Config) -> Result<TcpListener> {
    let address = config.server.listen;
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::new(format!("can not listen on {address} ({}): {error}", config.source("server.listen")));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.next("Another program uses this address; stop it, or choose another port with --listen.")
            }
            std::io::ErrorKind::PermissionDenied => {
                failure.next("Ports below 1024 are for administrators; choose another with --listen.")
            }
            std::io::ErrorKind::AddrNotAvailable => {
                failure.next("This machine has no such address; 0.0.0.0 is every IPv4 address of it, [::] every address.")
            }
            _ => failure,
        }
    })
}

/// Figures are not worth a server that does not start: one that finds their address taken says so and goes without.
async fn bind_metrics(config: &Config) -> Option<TcpListener> {
    let address = config.metrics.listen.address()?;
    match TcpListener::bind(address).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::warn!(
                %address, %error,
                "no metrics: the address can not be used; set metrics.listen (or --metrics) to another one, or to `off`"
            );
            None
        }
    }
}

/// A token that the first SIGTERM or SIGINT cancels. The second ends the process at once.
pub fn stop_on_signals() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let token = stop.clone();
    let mut signals = Signals::listen()?;
    tokio::spawn(async move {
        signals.next().await;
        token.cancel();
        output::note("carebot is stopping; once more ends it at once");
        signals.next().await;
        std::process::exit(130);
    });
    Ok(stop)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|error| Failure::new(format!("signals can not be heard: {error}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    fn listen() -> Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // Without Ctrl-C there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
