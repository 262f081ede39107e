//! What every request shares.

use std::sync::Arc;
use std::time::Duration;

use carebot_service::Service;
use tokio_util::task::TaskTracker;

use crate::edge::cookie::CookieSettings;
use crate::edge::origin::Origins;
use crate::edge::proxy::TrustedProxies;
use crate::metrics::Metrics;

/// What can be set about the server.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The longest body of a request in bytes.
    pub body_limit: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long the head of a request may take to arrive.
    pub header_timeout: Duration,
    /// How long the other end of a connection may leave untaken what was sent to it.
    pub write_timeout: Duration,
    /// How long a shutdown waits for what is in flight.
    pub grace: Duration,
    /// Whether `/docs` is shown.
    pub docs: bool,
    /// What this server is called from outside, without a slash at the end, if that is known.
    pub public_url: Option<String>,
    /// The session cookie's attributes.
    pub cookie: CookieSettings,
    /// Origins that may call from a browser besides the server's own.
    pub origins: Vec<String>,
    /// How long a browser may remember the answer to a preflight.
    pub cors_max_age: Duration,
    /// Addresses whose `X-Forwarded-*` is believed.
    pub trusted_proxies: TrustedProxies,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            body_limit: 1 << 20,
            body_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(20),
            docs: true,
            public_url: None,
            cookie: CookieSettings::default(),
            origins: Vec::new(),
            cors_max_age: Duration::from_hours(2),
            trusted_proxies: TrustedProxies::default(),
        }
    }
}

/// What every request shares; cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    service: Arc<Service>,
    settings: ServerSettings,
    origins: Origins,
    metrics: Metrics,
    tasks: TaskTracker,
    document: std::sync::OnceLock<axum::body::Bytes>,
}

impl App {
    /// For a service that was started.
    pub fn new(service: Arc<Service>, settings: ServerSettings, operations: &[crate::operation::Operation]) -> Self {
        let origins = Origins::new(&settings.origins, settings.public_url.as_deref());
        let metrics = Metrics::new(operations);
        let inner = Inner {
            service,
            settings,
            origins,
            metrics,
            tasks: TaskTracker::new(),
            document: std::sync::OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The use cases.
    pub fn service(&self) -> &Arc<Service> {
        &self.inner.service
    }

    /// What was set.
    pub fn settings(&self) -> &ServerSettings {
        &self.inner.settings
    }

    /// Which origins may call.
    pub fn origins(&self) -> &Origins {
        &self.inner.origins
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Requests that write and are finished whether or not their client still waits.
    pub fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    /// The OpenAPI document, made once.
    pub fn document(&self) -> axum::body::Bytes {
        self.inner.document.get_or_init(|| crate::openapi::document_bytes().into()).clone()
    }
}
