//! A family with very many reports is deleted while others write.

use std::sync::Arc;
use std::time::Instant;

use carebot_database::{Db, params};
use carebot_testkit::Engine;
use serde_json::json;

use crate::support::load::{Ledger, Load};
use crate::support::people::{House, PASSWORD};
use crate::support::place::Place;
use crate::support::program::Program;
use crate::support::until;

const REPORTS: i64 = 200_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_family_goes_while_others_write_on_sqlite() {
    delete(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_family_goes_while_others_write_on_mariadb() {
    delete(Engine::MariaDb).await;
}

/// Stores reports past the program: 10,000 in a statement, one a second.
async fn report_often(db: &Db, family: &str) {
    let sql = "INSERT INTO home_status (family_id, reported_at, id, received_at, temperature)
        WITH RECURSIVE digits (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM digits WHERE n < 9)
        SELECT ?, ? + 1000 * (a.n + 10 * b.n + 100 * c.n + 1000 * d.n), ? + a.n + 10 * b.n + 100 * c.n + 1000 * d.n, 0, 21.5
        FROM digits a, digits b, digits c, digits d";
    for first in (0..REPORTS).step_by(10_000) {
        let values = params![family, 1_600_000_000_000 + first * 1000, first];
        db.execute(sql, values).await.expect("reports are stored");
    }
}

async fn left(db: &Db, family: &str) -> i64 {
    let sql = "SELECT COUNT(*) FROM home_status WHERE family_id = ?";
    db.read().fetch_one(sql, params![family], |row| row.get(0)).await.expect("it can be counted")
}

async fn is_emptied(db: &Db, family: &str) -> bool {
    let sql = "SELECT COUNT(*) FROM families WHERE id = ?";
    db.read().fetch_one(sql, params![family], |row| row.get::<i64>(0)).await.expect("it can be counted") == 0
}

async fn delete(engine: Engine) {
    let place = Place::new(engine);
    let mut program = Program::start(&place.url, &[]).await;
    let (large, second) = (House::new(program.address).await, House::new(program.address).await);
    let (guardian, _) = large.guardian(program.address).await;
    let others = House::several(program.address, 4).await;
    let db = place.open().await;
    report_often(&db, &large.family).await;
    report_often(&db, &second.family).await;

    let ledger = Arc::new(Ledger::default());
    let load = Load::start(program.address, &others, &ledger, false, 0);
    ledger.more_acknowledged(200).await;
    let started = Instant::now();
    let proof = json!({"password": PASSWORD});
    let mut elder = large.elder.client(program.address);
    let deleted = elder.must("DELETE", &format!("/families/{}", large.family), Some(&proof)).await;
    let answered = started.elapsed();
    assert_eq!(deleted.status, 200, "{}", deleted.json());

    // For everybody, whatever still lies in the tables.
    for path in ["/families/{}", "/status/home/latest/{}", "/notify/all/{}", "/tools/settings/{}"] {
        let path = path.replace("{}", &large.family);
        for (who, client) in [("elder", &mut elder), ("guardian", &mut guardian.client(program.address))] {
            assert_eq!(client.get(&path).await.status, 403, "{who} {path}");
        }
    }
    assert_eq!(elder.post("/status/home", json!({"family_id": large.family})).await.status, 403);
    // The elder can begin anew at once.
    assert_eq!(elder.post("/families", json!({"main_user": large.elder.id})).await.status, 201);
    until("the rest is gone", async || is_emptied(&db, &large.family).await).await;
    let emptied = started.elapsed();
    assert_eq!(left(&db, &large.family).await, 0);

    // The other is interrupted, and goes on after the next start without being asked to.
    let mut elder = second.elder.client(program.address);
    let deleted = elder.must("DELETE", &format!("/families/{}", second.family), Some(&proof)).await;
    assert_eq!(deleted.status, 200, "{}", deleted.json());
    until("it is being emptied", async || left(&db, &second.family).await < REPORTS).await;
    let statuses = ledger.statuses();
    assert_eq!(statuses.keys().collect::<Vec<_>>(), [&201], "others are served all the time: {statuses:?}");
    let slowest = ledger.answers().iter().map(|told| told.took).max().unwrap_or_default();
    program.kill9();
    load.finish().await;
    let there = left(&db, &second.family).await;
    assert!(there > 0, "it was killed in the middle");
    let _program = Program::start(&place.url, &[]).await;
    until("the rest is gone", async || is_emptied(&db, &second.family).await).await;
    assert_eq!(left(&db, &second.family).await, 0);
    db.close().await;
    println!(
        "{engine:?}: DELETE answered after {answered:?}, {REPORTS} reports gone after {emptied:?}; meanwhile {statuses:?}, \
         slowest {slowest:?}; killed with {there} left"
    );
    ledger.holds_in(&place).await;
}
