//! A private database for every test, on either engine.
//!
//! ```
//! use carebot_testkit::both_engines;
//!
//! both_engines! {
//!     /// Runs as `a_database_answers::sqlite` and as `a_database_answers::mariadb`.
//!     async fn a_database_answers(t: TestDb) {
//!         t.db.ping().await.expect("it answers");
//!     }
//! }
//! ```
//!
//! The schema is there, the tables are empty, the clock stands at [`START`] until it is moved. A missing MariaDB makes the
//! test fail: a test that is left out proves nothing.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use carebot_database::ambient::{Clock, ManualClock, Rng, RowIds, SystemRng};

pub use carebot_database::ambient::SeededRng;
use carebot_database::{Db, DbUrl, Options, migrate};
use carebot_model::{RowId, Timestamp};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::mariadb;

/// Where the clock of every test starts, in unix milliseconds: Monday 2026-03-02T09:00:00Z.
pub const START: i64 = 1_772_442_000_000;

/// The two engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// An embedded file.
    Sqlite,
    /// A schema on the [`shared`](mariadb::shared) server.
    MariaDb,
}

/// A private, migrated database, and the clock, randomness and row numbers to use with it. Clones share all of it.
///
/// It is removed when the last clone is gone.
#[derive(Clone, Debug)]
pub struct TestDb {
    /// Which engine this is.
    pub engine: Engine,
    /// The database.
    pub db: Db,
    /// Where it is, to open it once more.
    pub url: DbUrl,
    /// How it was opened.
    pub options: Options,
    /// Stands until it is moved; see [`TestDb::advance`].
    pub clock: Arc<ManualClock>,
    /// Repeatable randomness.
    pub rng: Arc<SeededRng>,
    /// Row numbers of the clock's time.
    pub ids: Arc<RowIds>,
    place: Arc<Place>,
}

impl TestDb {
    /// Makes a database, migrates it and opens it with options, or with the usual ones.
    ///
    /// # Panics
    /// When MariaDB is wanted and not installed, or something else fails: then the test cannot pass.
    pub async fn new(engine: Engine, options: Option<Options>) -> Self {
        let place = Arc::new(Place::new(engine));
        let url = place.new_database();
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let rng = Arc::new(SeededRng::new(20_260_302));
        // With the usual options, whatever the test wants to be short of.
        let mut db = Db::open(&url, &Options { create: true, ..unhurried() }).await.expect("the database opens");
        migrate::run(&db, &*clock, &*rng).await.expect("the schema is made");
        let ids = Arc::new(RowIds::lease(&db, clock.now(), &*rng).await.expect("a node number is free"));
        if let Some(options) = &options {
            db.close().await;
            db = Db::open(&url, options).await.expect("the database opens with the test's options");
        }
        Self { engine, db, url, options: options.unwrap_or_else(unhurried), clock, rng, ids, place }
    }

    /// The time of the test's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock and renews the lease of the row numbers, as a running server would have done meanwhile.
    ///
    /// # Panics
    /// When the lease cannot be renewed.
    pub async fn advance(&self, millis: i64) {
        self.clock.advance(millis);
        self.ids.renew(&self.db, self.now()).await.expect("the node number is still ours");
    }

    /// A new row number.
    ///
    /// # Panics
    /// When the clock was moved beyond the lease by something else than [`TestDb::advance`].
    pub fn id(&self) -> RowId {
        self.ids.next(self.now()).expect("the lease holds; move the clock with `advance`")
    }

    /// Opens the same database once more, as a second server would.
    ///
    /// # Panics
    /// When it does not open.
    pub async fn open_again(&self) -> Db {
        Db::open(&self.url, &self.options).await.expect("the database opens once more")
    }

    /// Where another, empty database can be made: a file that does not exist yet, or a schema without tables.
    /// It is removed with this one.
    ///
    /// # Panics
    /// When MariaDB refuses.
    pub fn another(&self) -> DbUrl {
        self.place.new_database()
    }
}

/// Where a test's databases are; removed when it is dropped.
#[derive(Debug)]
enum Place {
    Folder { folder: TempDir, count: AtomicU64 },
    Schemas(Mutex<Vec<String>>),
}

impl Place {
    fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::Folder { folder: new_folder(), count: AtomicU64::new(0) },
            Engine::MariaDb => Self::Schemas(Mutex::default()),
        }
    }

    fn new_database(&self) -> DbUrl {
        match self {
            Self::Folder { folder, count } => {
                let number = count.fetch_add(1, Ordering::Relaxed);
                DbUrl::Sqlite { path: folder.path().join(format!("test-{number}.db")) }
            }
            Self::Schemas(schemas) => {
                let mut bytes = [0; 8];
                SystemRng.fill(&mut bytes);
                let schema = format!("test_{:016x}", u64::from_le_bytes(bytes));
                administer(format!("CREATE DATABASE {schema}"));
                let url = mariadb::shared().url(&schema).parse().expect("the server's URL is one");
                schemas.lock().unwrap_or_else(PoisonError::into_inner).push(schema);
                url
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Schemas(schemas) = self {
            for schema in schemas.get_mut().unwrap_or_else(PoisonError::into_inner) {
                administer(format!("DROP DATABASE {schema}"));
            }
        }
    }
}

/// In memory where there is much of it: every commit waits for the disk.
fn new_folder() -> TempDir {
    static IS_LARGE: LazyLock<bool> = LazyLock::new(|| mariadb::has_memory(Path::new(MEMORY)));
    const MEMORY: &str = "/dev/shm";
    let memory = Path::new(MEMORY);
    IS_LARGE
        .then(|| TempDir::with_prefix_in("carebot-sqlite-", memory).ok())
        .flatten()
        .unwrap_or_else(|| TempDir::with_prefix("carebot-sqlite-").expect("a temporary folder can be made"))
}

/// The usual options, with patience for a machine that has much else to do: a test in which somebody is to be refused in time says so.
fn unhurried() -> Options {
    let long = Duration::from_mins(1);
    Options { acquire_timeout: long, statement_timeout: long, ..Options::default() }
}

/// Runs a statement on the shared server, from wherever it is called.
fn administer(sql: String) {
    // Its own runtime: it lives longer than the one of any test.
    static ADMINISTRATOR: LazyLock<(Runtime, Db)> = LazyLock::new(|| {
        let runtime = runtime();
        let url = mariadb::shared().url("mysql").parse().expect("the server's URL is one");
        let db = runtime.block_on(Db::open(&url, &unhurried())).expect("the server answers");
        (runtime, db)
    });
    // Of its own thread, because a thread of another runtime must not wait for this one.
    let thread = std::thread::spawn(move || {
        let (runtime, db) = &*ADMINISTRATOR;
        runtime.block_on(db.execute(&sql, vec![])).map(drop)
    });
    let result = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    result.expect("the shared MariaDB server does what the tests need");
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
}

/// Runs a test on an engine; what [`both_engines!`](crate::both_engines) is made of.
///
/// # Panics
/// When the test does.
pub fn run<F>(engine: Engine, options: Option<Options>, test: impl FnOnce(TestDb) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = runtime();
    let t = runtime.block_on(TestDb::new(engine, options));
    let place = Arc::clone(&t.place);
    // As a task, as in the server: what the test awaits must be able to move between threads.
    let task = runtime.spawn(test(t));
    let outcome = runtime.block_on(task);
    // With the runtime go connections that the test left behind, and with them their locks; only then the database.
    drop(runtime);
    drop(place);
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// Makes two tests of each body, one per engine: `name::sqlite` and `name::mariadb`.
///
/// The body gets a [`TestDb`](crate::database::TestDb) of its own. `async fn name(t: TestDb, options)` opens it with those
/// [`Options`](carebot_database::Options).
#[macro_export]
macro_rules! both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($t:ident: TestDb $(, $options:expr)?) $body:block)+) => {
        $(
            $(#[$meta])*
            mod $name {
                #[allow(unused_imports, reason = "not every test needs what is around it")]
                use super::*;

                async fn test($t: $crate::TestDb) $body

                #[test]
                fn sqlite() {
                    $crate::database::run($crate::Engine::Sqlite, $crate::options!($($options)?), test);
                }

                #[test]
                fn mariadb() {
                    $crate::database::run($crate::Engine::MariaDb, $crate::options!($($options)?), test);
                }
            }
        )+
    };
}

/// As [`both_engines!`](crate::both_engines), for what only an embedded file can do: each body is one test.
#[macro_export]
macro_rules! only_sqlite {
    ($($(#[$meta:meta])* async fn $name:ident($t:ident: TestDb $(, $options:expr)?) $body:block)+) => {
        $(
            $(#[$meta])*
            #[test]
            fn $name() {
                async fn test($t: $crate::TestDb) $body
                $crate::database::run($crate::Engine::Sqlite, $crate::options!($($options)?), test);
            }
        )+
    };
}

/// As [`both_engines!`](crate::both_engines), for what only a server can do: each body is one test.
#[macro_export]
macro_rules! only_mariadb {
    ($($(#[$meta:meta])* async fn $name:ident($t:ident: TestDb $(, $options:expr)?) $body:block)+) => {
        $(
            $(#[$meta])*
            #[test]
            fn $name() {
                async fn test($t: $crate::TestDb) $body
                $crate::database::run($crate::Engine::MariaDb, $crate::options!($($options)?), test);
            }
        )+
    };
}

/// The options of a test, if it has some.
#[doc(hidden)]
#[macro_export]
macro_rules! options {
    () => {
        None
    };
    ($options:expr) => {
        Some($options)
    };
}
