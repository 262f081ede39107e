//! From the configuration to a running service.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use carebot_database::ambient::{Clock, Rng, SystemClock, SystemRng};
use carebot_database::journal::{self, ChainKey};
use carebot_database::{Db, DbError, DbUrl, migrate};
use carebot_external::channels::mail::Mailer;
use carebot_external::ping::Ping;
use carebot_model::authentication::IdleLimits;
use carebot_server::ServerSettings;
use carebot_server::edge::cookie::CookieSettings;
use carebot_server::edge::proxy::TrustedProxies;
use carebot_service::alarms::carrier::{self, Outward};
use carebot_service::alarms::heads::Receiver;
use carebot_service::throttle::Limits;
use carebot_service::{Error, Service, Settings, alarms};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::config::{Config, Join};
use crate::failure::{Failure, Result, is_refused};
use crate::timeline_key;

/// How long the server waits for a MariaDB that does not answer when it starts.
pub const DATABASE_PATIENCE: Duration = Duration::from_mins(1);
/// How long it waits between two tries.
const DATABASE_RETRY: Duration = Duration::from_secs(3);

/// The processor cores this process may use.
pub fn cores() -> NonZero<usize> {
    std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// The threads that everything asynchronous runs on.
pub fn runtime(workers: usize) -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.max(1))
        .thread_name("carebot")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the threads of the program could not be started: {error}")))
}

/// The system's clock.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The system's randomness.
pub fn rng() -> Arc<dyn Rng> {
    Arc::new(SystemRng)
}

/// Opens the database that is configured.
pub async fn open(config: &Config) -> Result<Db> {
    try_open(config).await.map_err(|error| unreachable_database(config, error))
}

async fn try_open(config: &Config) -> Result<Db, DbError> {
    Db::open(&config.database.url, &config.database.options(cores())).await
}

/// As [`open`], and never makes a file: for commands that only make sense with what is there already.
pub async fn open_existing(config: &Config) -> Result<Db> {
    let options = carebot_database::Options { create: false, ..config.database.options(cores()) };
    Db::open(&config.database.url, &options).await.map_err(|error| unreachable_database(config, error))
}

/// Does something with the use cases of the configured database, which must exist and be up to date.
pub fn with_service(config: &Config, work: impl AsyncFnOnce(&Arc<Service>) -> Result) -> Result {
    runtime(1)?.block_on(async {
        let db = open_existing(config).await?;
        let service = match service(db.clone(), config).await {
            Ok(service) => service,
            Err(failure) => {
                db.close().await;
                return Err(failure.about(&format!("database {}", config.database.url)));
            }
        };
        let done = work(&service).await;
        service.finish().await;
        done
    })
}

/// As [`open`]; waits up to [`DATABASE_PATIENCE`] for a MariaDB that does not answer yet, as after a power cut, when
/// everything starts at once. One that answers and refuses is not waited for.
pub async fn open_patiently(config: &Config) -> Result<Db> {
    let waits = matches!(config.database.url, DbUrl::MariaDb(_));
    let deadline = Instant::now() + DATABASE_PATIENCE;
    loop {
        match try_open(config).await {
            Ok(db) => return Ok(db),
            Err(error) if is_refused(&error) => return Err(unreachable_database(config, error)),
            Err(DbError::Unavailable(reason)) if waits && Instant::now() + DATABASE_RETRY < deadline => {
                let left = deadline.saturating_duration_since(Instant::now()).as_secs();
                tracing::warn!(reason, "the database does not answer; trying again for another {left} s");
                tokio::time::sleep(DATABASE_RETRY).await;
            }
            Err(error) => return Err(unreachable_database(config, error)),
        }
    }
}

fn unreachable_database(config: &Config, error: DbError) -> Failure {
    let is_relative = matches!(&config.database.url, DbUrl::Sqlite { path } if path.is_relative());
    let mut failure = Failure::from(error);
    if let (true, Ok(folder)) = (is_relative, std::env::current_dir()) {
        failure = failure.next(format!("The path is relative to the working directory, {}", folder.display()));
    }
    failure.about(&format!("database {} ({})", config.database.url, config.source("database.url")))
}

/// Brings the schema up to date, or with `check_only` only looks.
pub async fn prepare_schema(db: &Db, check_only: bool) -> Result {
    if check_only {
        return Ok(migrate::check(db).await?);
    }
    for migration in migrate::run(db, &*clock(), &*rng()).await? {
        tracing::info!(version = migration.version, name = migration.name, "migration applied");
    }
    Ok(())
}

/// The use cases on an open database, for commands: they hand nothing out, and write nothing into timelines unless they have made
/// sure of the key.
pub async fn service(db: Db, config: &Config) -> Result<Arc<Service>> {
    let key = match timeline_key::read(&config.timeline_key_file()) {
        Ok(Some(key)) => key,
        Ok(None) => timeline_key::throw_away(&*rng()),
        Err(failure) => {
            tracing::warn!("{failure}");
            timeline_key::throw_away(&*rng())
        }
    };
    let alarms = alarms::Settings { key, ..alarms_settings(config) };
    Ok(Service::start(db, clock(), rng(), service_settings(config, alarms)?).await?)
}

/// The ways out of a server, as far as they need no database.
pub struct Channels {
    mailer: Option<Mailer>,
    dead_man: Option<Ping>,
    heads: Option<Receiver>,
}

impl Channels {
    /// As they are configured.
    pub fn of(config: &Config) -> Result<Self> {
        let bad = |what: String| Failure::new(what).next("`carebot doctor` looks at the channels of alarms.");
        Ok(Self {
            mailer: config.mail.for_service().map_err(bad)?,
            dead_man: config.alarms.dead_man().map_err(bad)?,
            heads: config.alarms.heads().map_err(bad)?,
        })
    }
}

/// The use cases on an open database, for a server: alarms go out.
pub async fn serving(db: Db, config: &Config, channels: Channels) -> Result<Arc<Service>> {
    let key = chain_key(&db, config).await?;
    let vapid = match carrier::vapid_key(&db).await {
        Ok(key) => Some(key),
        // Alarms by mail and webhook are worth more than a clean start.
        Err(Error::Unavailable(DbError::Configuration(bad))) => {
            tracing::error!("the key of web push that the database keeps cannot be used, so nothing is pushed: {bad}");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let Channels { mailer, dead_man, heads } = channels;
    let outward = Outward::new(vapid, &config.push_contact(), mailer, config.alarms.policy(), clock());
    let outward = outward.map_err(|bad| Failure::new(format!("channels of alarms: {bad}")))?;
    let alarms = alarms::Settings { key, carrier: Some(Arc::new(outward)), dead_man, heads, ..alarms_settings(config) };
    Ok(Service::start(db, clock(), rng(), service_settings(config, alarms)?).await?)
}

/// The key of the timelines. A server without it raises alarms all the same, and says what nobody will be able to verify.
async fn chain_key(db: &Db, config: &Config) -> Result<ChainKey> {
    let path = config.timeline_key_file();
    let rng = rng();
    let key = timeline_key::read_or_make(&path, &*rng).unwrap_or_else(|failure| {
        tracing::error!("{failure}; alarms are raised all the same, with entries that nobody will be able to verify");
        timeline_key::throw_away(&*rng)
    });
    if timeline_key::is_open(&path) {
        tracing::warn!(file = %path.display(), "others on this machine can read the key of the timelines, and so forge entries; chmod 600");
    }
    if config.timeline_key_is_anywhere() {
        tracing::warn!(
            file = %path.display(),
            "the key of the timelines lies in the working directory; set alarms.key_file, to the same key for every server of this database"
        );
    }
    if let Some(other) = journal::newest_key(&mut db.read()).await?.filter(|newest| newest != key.id()) {
        tracing::warn!(
            key = key.id(),
            other,
            "the timelines were made with another key: `carebot alarms verify` will say so; put the right file back if there is one"
        );
    }
    Ok(key)
}

fn alarms_settings(config: &Config) -> alarms::Settings {
    alarms::Settings {
        public_url: config.alarms_url().map(str::to_owned),
        at_once: config.alarms.at_once,
        allow_private: config.alarms.allow_private_addresses,
        ..alarms::Settings::default()
    }
}

fn service_settings(config: &Config, alarms: alarms::Settings) -> Result<Settings> {
    let millis = |seconds: u64| i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let rows = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
    Ok(Settings {
        password_min_length: config.accounts.password_min_length,
        idle: IdleLimits {
            normal: millis(config.sessions.idle_seconds),
            main: millis(config.sessions.main_idle_seconds),
            remembered: millis(config.sessions.remembered_idle_seconds),
        },
        session_cache: Duration::from_millis(config.sessions.cache_ms),
        session_cleanup: Duration::from_secs(config.sessions.cleanup_seconds),
        join: match config.families.join {
            Join::Approval => carebot_service::Join::Approval,
            Join::Open => carebot_service::Join::Open,
        },
        throttle: Limits {
            account: config.throttle.account_failures,
            address: config.throttle.address_failures,
            window: Duration::from_secs(config.throttle.window_seconds),
            longest: Duration::from_secs(config.throttle.max_delay_seconds),
        },
        hash_concurrency: config.throttle.hash_slots(cores()),
        row_limit: rows(config.status.row_limit),
        newest_whole: rows(config.status.newest_whole),
        poll_cache: config.status.cache_mb << 20,
        retention: config.retention.for_service(),
        images: config.image_settings(cores()),
        assistant: config.assistant.for_service().map_err(Failure::new)?,
        weather: config.weather.for_service(),
        news: config.news.for_service(),
        disasters: config.disasters.for_service(),
        alarms,
        streams: carebot_service::streams::Settings { most: config.server.event_streams, ..Default::default() },
    })
}

/// What the HTTP server needs to know.
pub fn server_settings(config: &Config) -> ServerSettings {
    let networks = config.server.trusted_proxies.iter().map(|network| (network.address(), network.prefix()));
    ServerSettings {
        body_limit: config.server.body_limit_bytes,
        body_timeout: Duration::from_secs(config.server.body_timeout_seconds),
        header_timeout: Duration::from_secs(config.server.header_timeout_seconds),
        write_timeout: Duration::from_secs(config.server.write_timeout_seconds),
        grace: Duration::from_secs(config.server.shutdown_grace_seconds),
        docs: config.docs(),
        public_url: config.server.public_url.as_ref().map(|url| url.as_str().to_owned()),
        cookie: CookieSettings {
            domain: config.cookie_domain().map(str::to_owned),
            secure: config.cookie_secure(),
            same_site: config.cookie_same_site().as_str(),
        },
        origins: config.allowed_origins(),
        cors_max_age: Duration::from_secs(config.cors.max_age_seconds),
        trusted_proxies: TrustedProxies(networks.collect()),
    }
}
