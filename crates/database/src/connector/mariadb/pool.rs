//! Connections to one of several hosts.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use tokio::sync::Semaphore;

use super::{Lease, error};
use crate::Result;
use crate::connector::Options;
use crate::connector::error::DbError;
use crate::connector::url::Target;

/// An idle connection is believed to live for this long without being asked.
const FRESH: Duration = Duration::from_secs(1);
/// How long a host may take to answer before the next one is tried.
const CONNECT: Duration = Duration::from_secs(3);

/// What every connection is set to, whatever the server's defaults are. Two statements: the variable that holds the
/// isolation level has different names in different versions.
const SESSION: [&str; 2] = [
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin, autocommit = 1, foreign_key_checks = 1, time_zone = '+00:00', \
     sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
];

pub struct Pool {
    hosts: Vec<Opts>,
    /// The host that answered last.
    current: AtomicUsize,
    idle: Mutex<Vec<Idle>>,
    permits: Arc<Semaphore>,
    size: usize,
    recycle: Duration,
    check: bool,
    timeout: Duration,
    /// How long a statement may take.
    statement: Duration,
    closed: AtomicBool,
}

pub struct Idle {
    pub connection: Conn,
    pub made: Instant,
    pub since: Instant,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}

impl Pool {
    pub fn new(target: &Target, options: &Options) -> Result<Self> {
        let ssl = target.tls.then(|| {
            let ssl = SslOpts::default();
            match &target.ca {
                Some(path) => ssl.with_root_certs(vec![path.clone().into()]),
                None => ssl,
            }
        });
        let hosts = target
            .hosts
            .iter()
            .map(|(host, port)| {
                OptsBuilder::default()
                    .ip_or_hostname(host.clone())
                    .tcp_port(*port)
                    .user(Some(target.user.clone()))
                    .pass(Some(target.password.clone()))
                    .db_name(Some(target.schema.clone()))
                    .ssl_opts(ssl.clone())
                    .tcp_nodelay(true)
                    .prefer_socket(false)
                    .client_found_rows(true)
                    .stmt_cache_size(512)
                    .max_allowed_packet(Some(16 << 20))
                    .into()
            })
            .collect();
        if options.pool_size + options.pool_overflow == 0 {
            return Err(DbError::Configuration("the pool must have room for a connection".into()));
        }
        Ok(Self {
            hosts,
            current: AtomicUsize::new(0),
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(options.pool_size + options.pool_overflow)),
            size: options.pool_size,
            recycle: options.pool_recycle,
            check: options.pool_check,
            timeout: options.acquire_timeout,
            statement: options.statement_timeout,
            closed: AtomicBool::new(false),
        })
    }

    /// A connection: an idle one if there is one, else a new one.
    pub async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let deadline = Instant::now() + self.timeout;
        let permit = self.permit().await?;
        loop {
            let taken = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut idle) = taken else { break };
            if idle.made.elapsed() >= self.recycle {
                continue;
            }
            if self.check && idle.since.elapsed() > FRESH {
                match tokio::time::timeout_at(deadline.into(), idle.connection.ping()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => continue,
                }
            }
            return Ok(Lease::new(Arc::clone(self), permit, idle.connection, idle.made, true));
        }
        let connection = self.connect(deadline).await?;
        Ok(Lease::new(Arc::clone(self), permit, connection, Instant::now(), false))
    }

    /// A new connection, whatever lies idle: what lies idle is as dead as the one that just failed.
    pub async fn fresh(self: &Arc<Self>) -> Result<Lease> {
        let deadline = Instant::now() + self.timeout;
        let permit = self.permit().await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let connection = self.connect(deadline).await?;
        Ok(Lease::new(Arc::clone(self), permit, connection, Instant::now(), false))
    }

    async fn permit(&self) -> Result<tokio::sync::OwnedSemaphorePermit> {
        match tokio::time::timeout(self.timeout, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(DbError::Unavailable("the database is closed".into())),
            Err(_) => Err(DbError::Unavailable("no connection was free in time".into())),
        }
    }

    /// Tries the host that answered last, then the others in order. Each gets a fair part of the time that is left, so
    /// that one that swallows everything leaves some for the next.
    async fn connect(&self, deadline: Instant) -> Result<Conn> {
        let start = self.current.load(Ordering::Relaxed);
        let mut last = DbError::Unavailable("no host answered in time".into());
        let mut untried = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        for step in 0..self.hosts.len() {
            let index = (start + step) % self.hosts.len();
            let left = deadline.saturating_duration_since(Instant::now()) / untried.max(1);
            untried = untried.saturating_sub(1);
            match tokio::time::timeout(left.min(CONNECT), self.open(index)).await {
                Ok(Ok(connection)) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok(Err(failure)) => last = failure,
                Err(_) => {}
            }
        }
        Err(last)
    }

    async fn open(&self, index: usize) -> Result<Conn> {
        let mut connection = Conn::new(self.hosts[index].clone()).await.map_err(|failure| match error(failure) {
            DbError::Statement(text) => DbError::Configuration(format!("MariaDB refused the connection: {text}")),
            other => other,
        })?;
        for statement in SESSION {
            connection.query_drop(statement).await.map_err(error)?;
        }
        Ok(connection)
    }

    /// How long a statement may take.
    pub const fn statement_timeout(&self) -> Duration {
        self.statement
    }

    /// Called by a lease that ends in good order.
    pub fn give_back(&self, connection: Conn, made: Instant) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.size && !self.closed.load(Ordering::Relaxed) && made.elapsed() < self.recycle {
            idle.push(Idle { connection, made, since: Instant::now() });
        }
    }

    /// After an error that says that this host takes no writes: the next connection goes to another.
    pub fn avoid_current(&self) {
        let next = (self.current.load(Ordering::Relaxed) + 1) % self.hosts.len();
        self.current.store(next, Ordering::Relaxed);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
