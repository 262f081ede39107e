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
use crate::{logging, output, setup, signals};

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
    /// Makes the SQLite file if it is missing
    #[arg(long)]
    create: bool,
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
        let create = self.create.then(|| ("database.create", "true".to_owned()));
        self.database.settings().into_iter().chain(create).chain(own).collect()
    }
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    let config = common.load(flags.settings())?;
    logging::for_server(&config, common.verbose);
    let runtime = setup::runtime(config.server.worker_threads(setup::cores()))?;
    runtime.block_on(async {
        let stop = signals::stop()?;
        let running = tokio::select! {
            running = Running::start(&config, flags.no_migrate, &stop) => running?,
            // While it waits for the database.
            () = stop.cancelled() => return Ok(()),
        };
        output::announce(&format!("carebot listens on {}", running.url()));
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
        let channels = setup::Channels::of(config)?;
        let listener = bind(config).await?;
        let address = listener.local_addr().map_err(|error| Failure::new(format!("no local address: {error}")))?;
        let metrics = bind_metrics(config).await;

        let db = setup::open_patiently(config).await?;
        let opened = async {
            setup::prepare_schema(&db, no_migrate).await?;
            setup::serving(db.clone(), config, channels).await
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
            if let Ok(address) = listener.local_addr() {
                tracing::info!(%address, "metrics are served");
            }
            tokio::spawn(listen::serve_metrics(listener, edge.clone(), stop.clone()));
        }
        let tls = certificate.is_some();
        let connections = tokio::spawn(listen::serve(listener, edge, certificate, stop.clone()));
        let assistant = config.assistant.provider.as_str();
        let mail = config.mail.server();
        tracing::info!(
            %address, tls, database = %config.database.url, mode = config.mode().as_str(), assistant, mail = mail.as_deref().unwrap_or("off"),
            "carebot serves"
        );
        if let Some(warning) = config.images_warning() {
            tracing::info!("{warning}");
        }
        if config.is_http_for_robots_only() {
            tracing::info!(
                "browsers keep their session over https only; for a trial on plain http add --set mode=development"
            );
        }
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
        let failure =
            Failure::new(format!("can not listen on {address} ({}): {error}", config.source("server.listen")));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.next("Another program uses this address; stop it, or choose another port with --listen.")
            }
            std::io::ErrorKind::PermissionDenied => {
                failure.next("Ports below 1024 are for administrators; choose another with --listen.")
            }
            std::io::ErrorKind::AddrNotAvailable => failure
                .next("This machine has no such address; 0.0.0.0 is every IPv4 address of it, [::] every address."),
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
