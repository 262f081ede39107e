//! What only a server does: connections that die, hosts that fail, deadlocks, defaults of somebody else's taste.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use carebot_database::ambient::{Clock as _, ManualClock};
use carebot_database::{Db, DbUrl, Options, Tx, accounts, families, migrate, status};
use carebot_model::status::Home;
use carebot_model::text::Name;
use carebot_testkit::SeededRng;
use carebot_testkit::database::START;
use carebot_testkit::mariadb::{self, Server};
use tokio::sync::Barrier;

use super::{add_account, is_unavailable, small};
use crate::prelude::*;

async fn connection_id(tx: &mut Tx) -> i64 {
    tx.fetch_one("SELECT CONNECTION_ID()", vec![], |row| row.get(0)).await.unwrap()
}

/// Kills a connection from outside and waits until it is gone.
async fn kill(admin: &Db, id: i64) {
    admin.execute(&format!("KILL {id}"), vec![]).await.unwrap();
    loop {
        let left: i64 = admin
            .read()
            .fetch_one("SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?", params![id], |row| {
                row.get(0)
            })
            .await
            .unwrap();
        if left == 0 {
            return;
        }
    }
}

/// The same database with other hosts tried before it.
fn behind(url: &DbUrl, hosts: &[u16]) -> DbUrl {
    let DbUrl::MariaDb(mut target) = url.clone() else { panic!("a server") };
    for port in hosts.iter().rev() {
        target.hosts.insert(0, ("127.0.0.1".to_owned(), *port));
    }
    DbUrl::MariaDb(target)
}

/// A port that nobody listens on.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

only_mariadb! {
    async fn a_connection_that_died_in_the_pool_is_replaced_unseen(t: TestDb, small()) {
        let admin = t.open_again().await;
        let family = t.family().await;

        let id = connection_id(&mut t.db.read()).await;
        kill(&admin, id).await;
        assert_ne!(connection_id(&mut t.db.read()).await, id, "reading");

        kill(&admin, connection_id(&mut t.db.read()).await).await;
        transact!(t.db, tx => { add_account(&t, &mut tx).await }).expect("a transaction");

        kill(&admin, connection_id(&mut t.db.read()).await).await;
        t.report(family, sample::<Home>(1)).await;

        kill(&admin, connection_id(&mut t.db.read()).await).await;
        assert_eq!(t.db.execute("DELETE FROM messages", vec![]).await.expect("a statement"), 0);
    }

    async fn a_transaction_whose_connection_dies_is_run_again(t: TestDb) {
        let admin = t.open_again().await;
        let attempts = AtomicU32::new(0);
        let id = transact!(t.db, tx => {
            let id = add_account(&t, &mut tx).await?;
            if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
                kill(&admin, connection_id(&mut tx).await).await;
            }
            accounts::get(&mut tx, id).await?;
            Ok::<_, DbError>(id)
        }).unwrap();
        assert_eq!(attempts.into_inner(), 2);
        let all = accounts::list(&mut t.db.read(), None, 10).await.unwrap();
        assert_eq!(all.iter().map(|account| account.id).collect::<Vec<_>>(), [id], "the first attempt left nothing");
    }

    async fn a_commit_whose_connection_died_is_never_repeated_blindly(t: TestDb) {
        let admin = t.open_again().await;
        let attempts = AtomicU32::new(0);
        let result = transact!(t.db, tx => {
            attempts.fetch_add(1, Ordering::Relaxed);
            add_account(&t, &mut tx).await?;
            kill(&admin, connection_id(&mut tx).await).await;
            Ok::<_, DbError>(())
        });
        assert!(matches!(result, Err(DbError::OutcomeUnknown(_))), "{result:?}");
        assert_eq!(attempts.into_inner(), 1);
    }

    async fn a_deadlock_is_tried_again_until_both_are_through(t: TestDb) {
        let (a, b) = (t.family().await, t.family().await);
        let barrier = Arc::new(Barrier::new(2));
        let runs = Arc::new(AtomicU32::new(0));
        let rename = async |tx: &mut Tx, family: FamilyId, name: &str| {
            families::update(tx, &permit(family), Some(&Name::new(name.to_owned()))).await
        };
        let run = async |first: FamilyId, second: FamilyId, name: &'static str| {
            let mut met = false;
            transact!(t.db, tx => {
                runs.fetch_add(1, Ordering::Relaxed);
                rename(&mut tx, first, name).await?;
                if !std::mem::replace(&mut met, true) {
                    barrier.wait().await;
                }
                rename(&mut tx, second, name).await
            })
        };
        let (one, two) = tokio::join!(run(a, b, "one"), run(b, a, "two"));
        assert!(one.unwrap());
        assert!(two.unwrap());
        assert!(runs.load(Ordering::Relaxed) >= 3, "one of both ran twice");
        let name = async |family| families::get(&mut t.db.read(), family).await.unwrap().unwrap().family_name;
        assert_eq!(name(a).await, name(b).await, "whoever came last wrote both");
    }

    async fn more_connections_than_the_pool_keeps_are_had_under_load_and_no_more(t: TestDb, Options {
        pool_size: 1, pool_overflow: 2, acquire_timeout: Duration::from_secs(2), ..Options::default()
    }) {
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(t.db.begin().await.unwrap());
        }
        assert!(is_unavailable(&t.db.begin().await.map(drop)));
        let mut ids = Vec::new();
        for tx in &mut held {
            ids.push(connection_id(tx).await);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 3);
        for tx in held {
            tx.rollback().await;
        }
        let kept = connection_id(&mut t.db.read()).await;
        assert!(ids.contains(&kept), "one is kept");
        assert_eq!(connection_id(&mut t.db.read()).await, kept);
        let (one, two) = (t.db.begin().await.unwrap(), t.db.begin().await.unwrap());
        drop((one, two));
    }

    async fn a_connection_that_is_too_old_is_replaced(t: TestDb, Options { pool_recycle: Duration::ZERO, ..small() }) {
        let first = connection_id(&mut t.db.read()).await;
        assert_ne!(connection_id(&mut t.db.read()).await, first);
    }

    async fn an_open_transaction_never_goes_back_into_the_pool(t: TestDb, small()) {
        let mut tx = t.db.begin().await.unwrap();
        let (id, account) = (connection_id(&mut tx).await, add_account(&t, &mut tx).await.unwrap());
        drop(tx);
        assert_ne!(connection_id(&mut t.db.read()).await, id);
        assert!(accounts::get(&mut t.db.read(), account).await.unwrap().is_none());
    }

    async fn a_statement_that_is_given_up_never_goes_back_into_the_pool(t: TestDb, small()) {
        let id = connection_id(&mut t.db.read()).await;
        let mut tx = t.db.read();
        let slow = tx.fetch_optional("SELECT SLEEP(30)", vec![], |_| Ok(()));
        assert!(tokio::time::timeout(Duration::from_millis(50), slow).await.is_err());
        assert_ne!(connection_id(&mut t.db.read()).await, id);
    }

    async fn the_next_host_is_taken_when_one_is_down(t: TestDb) {
        let url = behind(&t.url, &[closed_port(), closed_port()]);
        let db = Db::open(&url, &Options::default()).await.unwrap();
        db.ping().await.unwrap();
        transact!(db, tx => { add_account(&t, &mut tx).await }).unwrap();
        assert_eq!(accounts::emails(&mut t.db.read()).await.unwrap().len(), 1, "it is the same database");
    }

    async fn the_next_host_is_taken_when_one_swallows_everything(t: TestDb) {
        // Accepts connections (the kernel does) and never says a word.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = behind(&t.url, &[silent.local_addr().unwrap().port()]);
        let options = Options { acquire_timeout: Duration::from_secs(6), ..Options::default() };
        Db::open(&url, &options).await.expect("the second host answers in time").ping().await.unwrap();
    }

    async fn with_no_host_left_it_is_unavailable_and_says_nothing_secret(t: TestDb) {
        let DbUrl::MariaDb(mut target) = t.url.clone() else { panic!("a server") };
        target.hosts = vec![("127.0.0.1".to_owned(), closed_port()), ("127.0.0.1".to_owned(), closed_port())];
        let error = Db::open(&DbUrl::MariaDb(target.clone()), &Options::default()).await.unwrap_err();
        assert!(matches!(error, DbError::Unavailable(_)), "{error:?}");
        let DbUrl::MariaDb(mut wrong) = t.url.clone() else { panic!("a server") };
        wrong.password = "a-wrong-password".to_owned();
        let error = Db::open(&DbUrl::MariaDb(wrong), &Options::default()).await.unwrap_err();
        for secret in [target.password.as_str(), "a-wrong-password"] {
            assert!(!error.to_string().contains(secret), "{error}");
        }
    }

    async fn texts_have_their_character_set_whatever_the_servers_is(t: TestDb) {
        let read = async |sql: &'static str| -> Vec<String> {
            t.db.read().fetch(sql, vec![], |row| row.get(0)).await.unwrap()
        };
        assert_eq!(read("SELECT @@character_set_server").await, ["latin1"], "the test server is set so on purpose");
        assert_eq!(read("SELECT @@character_set_database").await, ["latin1"]);
        let odd = read(
            "SELECT CONCAT(table_name, '.', column_name, ': ', collation_name) FROM information_schema.columns
             WHERE table_schema = DATABASE() AND collation_name NOT IN ('utf8mb4_nopad_bin', 'ascii_bin')",
        ).await;
        assert_eq!(odd, Vec::<String>::new());
        let odd = read(
            "SELECT CONCAT(table_name, ': ', table_collation, ', ', engine) FROM information_schema.tables
             WHERE table_schema = DATABASE() AND (table_collation <> 'utf8mb4_nopad_bin' OR engine <> 'InnoDB')",
        ).await;
        assert_eq!(odd, Vec::<String>::new());
    }
}

/// Everything that a server's configuration can turn around, turned around.
#[test]
fn nothing_depends_on_what_a_server_is_set_to() {
    let arguments = [
        "--sql-mode=ORACLE,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,NO_AUTO_VALUE_ON_ZERO",
        "--default-time-zone=+09:00",
        "--autocommit=0",
        "--transaction-isolation=SERIALIZABLE",
        "--collation-server=latin1_general_ci",
        "--default-storage-engine=MyISAM",
        "--lower-case-table-names=1",
        "--max-prepared-stmt-count=2000",
    ];
    let options = mariadb::Options { arguments: arguments.map(str::to_owned).to_vec(), ..mariadb::Options::default() };
    let server = Server::start(options).expect("the server starts");
    server.execute("CREATE DATABASE carebot").expect("a schema is made");
    let url: DbUrl = server.url("carebot").parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = Db::open(&url, &Options::default()).await.unwrap();
        let (clock, rng) = (ManualClock::new(Timestamp::from_millis(START)), SeededRng::new(1));
        migrate::run(&db, &clock, &rng).await.unwrap();
        let other = Db::open(&url, &Options::default()).await.unwrap();
        for (number, text) in (1..).zip(TEXTS) {
            let new = carebot_model::accounts::NewAccount {
                email: carebot_model::text::Email::parse(&format!("person-{number}@example.com")).unwrap(),
                role: Role::Main,
                user_name: Some(Name::new((*text).to_owned())),
                birth_date: Date::new(1945, 3, 1),
                gender: carebot_model::accounts::Gender::Other,
                address: None,
            };
            let id = transact!(db, tx => { accounts::create(&mut tx, &new, "", clock.now(), &rng).await }).unwrap();
            let account = accounts::get(&mut other.read(), id).await.unwrap().unwrap();
            assert_eq!(account.user_name.as_deref(), Some(*text));
            let family =
                transact!(db, tx => { families::create(&mut tx, &permit(id), None, clock.now(), &rng).await }).unwrap();
            let report = status::NewReport {
                id: RowId(number),
                reported_at: clock.now(),
                received_at: clock.now(),
                source_key: None,
                fields: Home { others: Some((*text).to_owned()), ..sample::<Home>(1) },
            };
            status::append(&db, &permit(family), &report).await.unwrap();
            let read = status::latest::<Home>(&mut other.read(), &permit(family)).await.unwrap().unwrap();
            assert_eq!((read.fields, read.reported_at), (report.fields, clock.now()), "committed, and the same time");
        }
        let nothing = FamilyId::parse("F234567890123456").unwrap();
        let report = status::NewReport {
            id: RowId(1_000),
            reported_at: clock.now(),
            received_at: clock.now(),
            source_key: None,
            fields: blank::<Home>(),
        };
        let result = status::append(&db, &permit(nothing), &report).await;
        assert!(matches!(result, Err(DbError::MissingParent)), "{result:?}");
    });
}
