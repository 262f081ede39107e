//! What is asked often reads a handful of rows, however many there are.
//!
//! MariaDB counts the rows that a connection reads; the test has one connection, so the difference is the function's.
//! SQLite does not count: whoever changes one of these statements looks at its `EXPLAIN QUERY PLAN`, which must have
//! neither a `SCAN` of a table nor a `TEMP B-TREE`.

use carebot_database::connector::Dialect;
use carebot_database::{Options, authentication, messages, notifications, status};
use carebot_model::status::Home;

use crate::prelude::*;

/// How many rows there are of each sort.
const ROWS: i64 = 3_000;
/// More than any of the functions needs for ten rows, and far less than there are.
const FEW: i64 = 100;

/// Rows read by this connection so far. Looking reads rows as well, the same number every time.
async fn rows_read(t: &TestDb) -> i64 {
    let sql = "SELECT CAST(SUM(VARIABLE_VALUE) AS SIGNED) FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME LIKE 'HANDLER_READ%'";
    t.db.read().fetch_one(sql, vec![], |row| row.get(0)).await.unwrap()
}

async fn fill(t: &TestDb) -> (FamilyId, AccountId) {
    let house = t.household().await;
    let other = t.household().await;
    transact!(t.db, tx => {
        for number in 0..ROWS {
            // Everything at the same two families, most of it of the one that is asked for, half of it read.
            let (family, to, from) = match number % 4 {
                0 => (other.family, other.elder, house.elder),
                _ => (house.family, house.elder, house.guardian),
            };
            let at = t.now().plus_millis(number * 1_000);
            tx.execute(
                "INSERT INTO home_status (family_id, reported_at, id, received_at, temperature) VALUES (?, ?, ?, ?, 21.5)",
                params![family, at, number + 1, at],
            ).await?;
            tx.execute(
                "INSERT INTO messages (id, from_id, to_id, created_at, is_read) VALUES (?, ?, ?, ?, ?)",
                params![number + 1, from, to, at, number % 2],
            ).await?;
            tx.execute(
                "INSERT INTO notifications (family_id, created_at, id, is_read) VALUES (?, ?, ?, ?)",
                params![family, at, number + 1, number % 2],
            ).await?;
        }
        Ok::<_, DbError>(())
    }).unwrap();
    (house.family, house.elder)
}

only_mariadb! {
    async fn nothing_that_is_asked_often_reads_more_than_it_gives(t: TestDb, Options {
        pool_size: 1, pool_overflow: 0, ..Options::default()
    }) {
        assert_eq!(t.db.dialect(), Dialect::MariaDb);
        let (family, elder) = fill(&t).await;
        let (token, _) = t.session(elder, true).await;
        // Plans depend on what the engine knows of the tables: with knowledge, and (below) without.
        for analyzed in [false, true] {
            if analyzed {
                for table in ["home_status", "messages", "notifications", "accounts", "families"] {
                    t.db.read().fetch(format!("ANALYZE TABLE {table}"), vec![], |_| Ok(())).await.unwrap();
                }
            }
            let (to_family, to_elder) = (permit(family), permit(elder));
            let last = Range::seconds(t.now().plus_millis((ROWS - 20) * 1_000), Timestamp::MAX);
            let tx = &mut t.db.read();
            rows_read(&t).await;
            let looking = -(rows_read(&t).await - rows_read(&t).await);
            macro_rules! reads_few {
                ($what:literal, $call:expr) => {{
                    // Once before, because the first time a statement is prepared.
                    $call.await.unwrap();
                    let before = rows_read(&t).await;
                    $call.await.unwrap();
                    let read = rows_read(&t).await - before - looking;
                    assert!(read <= FEW, "{} read {read} rows; analyzed: {analyzed}", $what);
                }};
            }
            for order in [Order::Ascending, Order::Descending] {
                reads_few!("list_unread of messages", messages::list_unread(tx, &to_elder, Range::ALL, order, 10));
                reads_few!("list_received", messages::list_received(tx, &to_elder, Range::ALL, order, 10));
                reads_few!("list_sent", messages::list_sent(tx, &to_elder, Range::ALL, order, 10));
                reads_few!("list_unread of notifications", notifications::list_unread(tx, &to_family, Range::ALL, order, 10));
                reads_few!("list of notifications", notifications::list(tx, &to_family, Range::ALL, order, 10));
                reads_few!("a short range", status::list::<Home>(tx, &to_family, last, order, 1_000));
                let listing = status::listing::<Home>(&to_family, Range::ALL);
                reads_few!("the first page", listing.page(tx, order, None, None, 10, || (), |(), _| Ok(())));
                let middle = listing.nth_newest(tx, 1_000).await.unwrap();
                reads_few!("a page in the middle", listing.page(tx, order, middle, None, 10, || (), |(), _| Ok(())));
                reads_few!("a page above a floor", listing.page(tx, order, None, middle, 10, || (), |(), _| Ok(())));
            }
            let listing = status::listing::<Home>(&to_family, Range::ALL);
            reads_few!("latest", status::latest::<Home>(tx, &to_family));
            reads_few!("newest_of", status::newest_of::<Home>(tx, &[family]));
            reads_few!("oldest", listing.oldest(tx));
            reads_few!("probe", listing.probe(tx, t.now(), ROWS * 100, 10));
            reads_few!("current_user", authentication::current_user(tx, authentication::TokenHash::of(&token)));
        }
    }
}
