//! `kill -9` of the server while robots report falls: every fall that was acknowledged becomes an alarm that reaches somebody.
//!
//! A few falls and kills by default. The figures of `docs/reliability.md` are those of
//! `CAREBOT_CRITICALS=2000 CAREBOT_KILLS=50 cargo test -p carebot-cli --test faults -- alarms --nocapture --test-threads 1`.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use carebot_testkit::Engine;
use carebot_testkit::provider::{Asked, Play, Provider};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::http::Client;
use crate::support::people::{House, Person};
use crate::support::place::Place;
use crate::support::program::{CAREBOT, Program};
use crate::support::{PATIENCE, until};

/// How many homes there are.
const HOMES: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_fall_reaches_somebody_whoever_is_killed_on_sqlite() {
    fall_and_kill(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_fall_reaches_somebody_whoever_is_killed_on_mariadb() {
    fall_and_kill(Engine::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ladder_goes_on_as_planned_when_the_server_is_killed_between_its_steps_on_sqlite() {
    ladder_and_kill(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ladder_goes_on_as_planned_when_the_server_is_killed_between_its_steps_on_mariadb() {
    ladder_and_kill(Engine::MariaDb).await;
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What reached the guardians.
#[derive(Debug, Default)]
struct Phones {
    /// How often each notice was taken.
    taken: HashMap<String, usize>,
    /// The alarms of a family that somebody was told of, and when first.
    told: HashMap<String, HashMap<i64, Instant>>,
    asked: usize,
}

impl Phones {
    /// Answers like a gateway that is not quite well: one call in twenty fails.
    fn answer(&mut self, asked: &Asked) -> Play {
        self.asked += 1;
        if self.asked.is_multiple_of(20) {
            return Play::Answer(503, "text/plain", b"busy".to_vec());
        }
        let body: Value = serde_json::from_slice(&asked.body).expect("a webhook is JSON");
        let alarm = &body["data"]["alarm"];
        let (id, family) = (alarm["id"].as_i64().expect("an alarm"), alarm["family_id"].as_str().expect("a family"));
        self.told.entry(family.to_owned()).or_default().entry(id).or_insert_with(Instant::now);
        *self.taken.entry(asked.header("webhook-id").expect("an id").to_owned()).or_default() += 1;
        Play::Answer(200, "text/plain", b"taken".to_vec())
    }
}

type Shared = Arc<Mutex<Phones>>;

fn lock(phones: &Shared) -> std::sync::MutexGuard<'_, Phones> {
    phones.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A home with a robot that has the patience of one, and a guardian.
struct Home {
    house: House,
    guardian: Person,
    address: watch::Receiver<SocketAddr>,
    phones: Shared,
}

impl Home {
    /// Sends until a server takes it.
    async fn send(&self, who: &Person, path: &str, key: Option<&str>, body: &Value, good: &[u16]) {
        loop {
            let address = *self.address.borrow();
            let mut client = Client::new(address, Some(who.token.clone()));
            if let Some(key) = key {
                client = client.with_header("Idempotency-Key", key);
            }
            match client.call("POST", path, Some(body)).await {
                Ok(answer) if good.contains(&answer.status) => return,
                Ok(answer) => assert!([503, 500, 408].contains(&answer.status), "{path}: {}", answer.json()),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the guardian is told of an alarm that he has not seen yet; which, and when.
    async fn told_anew(&self, seen: &HashSet<i64>) -> (i64, Instant) {
        let begun = Instant::now();
        loop {
            let found = lock(&self.phones)
                .told
                .get(&self.house.family)
                .and_then(|told| told.iter().find(|(alarm, _)| !seen.contains(alarm)).map(|(alarm, at)| (*alarm, *at)));
            if let Some(found) = found {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE * 2, "nobody is told of a fall in {}", self.house.family);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A fall, from the robot to the guardian, who sees to it; how long it took from the acknowledgement to the guardian.
    async fn fall(&self, number: usize, seen: &mut HashSet<i64>) -> Duration {
        let family = &self.house.family;
        let body = json!({"family_id": family, "score": 0, "action": "fall", "is_critical": true});
        self.send(&self.house.elder, "/status/active", Some(&format!("fall-{number}")), &body, &[201]).await;
        let acknowledged = Instant::now();
        let (alarm, at) = self.told_anew(seen).await;
        // A report that was sent again after its answer was lost belongs to the alarm that it has already raised.
        self.send(&self.guardian, &format!("/v1/alarms/{alarm}/clear"), None, &json!({}), &[200, 409]).await;
        seen.insert(alarm);
        at.saturating_duration_since(acknowledged)
    }
}

/// Seconds from the first guardian to the second.
const SECOND: i64 = 3;

async fn ladder_and_kill(engine: Engine) {
    let place = Place::new(engine);
    let settings = ["alarms.allow_private_addresses=true"];
    let mut server = Program::start(&place.url, &settings).await;
    let told: Arc<Mutex<HashSet<String>>> = Arc::default();
    let gateway = Provider::start({
        let told = Arc::clone(&told);
        move |asked| {
            told.lock().unwrap_or_else(PoisonError::into_inner).insert(asked.path().to_owned());
            Play::Answer(200, "text/plain", b"taken".to_vec())
        }
    })
    .await;
    let is_told =
        |person: &Person| told.lock().unwrap_or_else(PoisonError::into_inner).contains(&format!("/{}", person.id));
    let mut homes = Vec::new();
    for house in House::several(server.address, HOMES).await {
        let guardians = [house.guardian(server.address).await.0, house.guardian(server.address).await.0];
        for guardian in &guardians {
            let contact = json!({"webhook_url": format!("{}/{}", gateway.url(), guardian.id), "channels": ["webhook"]});
            let set = guardian.client(server.address).must("PATCH", "/v1/contacts", Some(&contact)).await;
            assert_eq!(set.status, 200, "{}", set.json());
        }
        let step = |rung: &str, after: i64| json!({"rung": rung, "after_seconds": after});
        let steps = [step("first", 0), step("others", SECOND), step("staff", SECOND * 100)];
        let ladder = json!({"severity": "crit", "steps": steps});
        let mut client = house.elder.client(server.address);
        let set = client.must("PATCH", &format!("/v1/ladders/{}", house.family), Some(&ladder)).await;
        assert_eq!(set.status, 200, "{}", set.json());
        homes.push((house, guardians));
    }
    for (house, _) in &homes {
        let body = json!({"family_id": house.family, "score": 0, "action": "fall", "is_critical": true});
        assert_eq!(house.elder.client(server.address).post("/status/active", body).await.status, 201);
    }
    until("the first guardians are told", async || homes.iter().all(|(_, guardians)| is_told(&guardians[0]))).await;
    server.kill9();
    server = Program::start(&place.url, &settings).await;
    until("the second guardians are told", async || homes.iter().all(|(_, guardians)| is_told(&guardians[1]))).await;
    drop(server);

    let db = place.open().await;
    let sql = "SELECT s.at - r.at FROM alarm_entries s
               JOIN alarm_entries r ON r.alarm_id = s.alarm_id AND r.kind = 'raised'
               WHERE s.kind = 'step' AND s.body LIKE '%\"step\":1,%'";
    let mut late: Vec<i64> = db.read().fetch(sql, vec![], |row| row.get(0)).await.expect("entries can be read");
    db.close().await;
    for passed in &mut late {
        *passed -= SECOND * 1_000;
    }
    late.sort_unstable();
    assert_eq!(late.len(), HOMES, "each second guardian was told once");
    assert!(late[0] >= 0, "nobody is told before his time");
    println!(
        "{engine:?}: {HOMES} ladders over a restart: second step {} to {} ms after its planned moment",
        late[0],
        late[HOMES - 1]
    );
}

async fn fall_and_kill(engine: Engine) {
    let (criticals, kills) = (setting("CAREBOT_CRITICALS", 80), setting("CAREBOT_KILLS", 5));
    let place = Place::new(engine);
    let folder = TempDir::with_prefix("carebot-alarms-").expect("a folder");
    let key_file = folder.path().join("timeline-key");
    let settings =
        ["alarms.allow_private_addresses=true".to_owned(), format!("alarms.key_file={}", key_file.display())];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut server = Program::start(&place.url, &settings).await;
    let phones = Shared::default();
    let gateway = Provider::start({
        let phones = Arc::clone(&phones);
        move |asked| lock(&phones).answer(asked)
    })
    .await;
    let (moved, address) = watch::channel(server.address);
    let mut homes = Vec::new();
    for house in House::several(server.address, HOMES).await {
        let (guardian, _) = house.guardian(server.address).await;
        let mut client = guardian.client(server.address);
        let contact = json!({"webhook_url": format!("{}/{}", gateway.url(), guardian.id), "channels": ["webhook"]});
        let set = client.must("PATCH", "/v1/contacts", Some(&contact)).await;
        assert_eq!(set.status, 200, "{}", set.json());
        homes.push(Home { house, guardian, address: address.clone(), phones: Arc::clone(&phones) });
    }

    let (next, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut robots = JoinSet::new();
    for home in homes {
        let (next, done) = (Arc::clone(&next), Arc::clone(&done));
        robots.spawn(async move {
            let (mut took, mut seen) = (Vec::new(), HashSet::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= criticals {
                    return took;
                }
                took.push(home.fall(number, &mut seen).await);
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for kill in 1..=kills {
        let goal = criticals * kill / (kills + 1);
        until(&format!("{goal} falls were seen to"), async || done.load(Ordering::Relaxed) >= goal).await;
        server.kill9();
        server = Program::start(&place.url, &settings).await;
        moved.send_replace(server.address);
    }
    let mut took: Vec<Duration> = Vec::new();
    while let Some(ended) = robots.join_next().await {
        took.extend(ended.expect("no robot gives up"));
    }
    took.sort_unstable();
    assert_eq!(took.len(), criticals, "every fall reached somebody");

    let db = place.open().await;
    let sql = "SELECT occurrences FROM alarms WHERE rule = 'fall'";
    let counted = db.read().fetch(sql, vec![], |row| row.get::<i64>(0)).await.expect("alarms can be counted");
    let (alarms, occurrences) = (counted.len(), counted.iter().sum::<i64>());
    db.close().await;
    let reports = i64::try_from(criticals).expect("few");
    assert!(occurrences >= reports, "{occurrences} of {reports} falls are in alarms");

    let taken = lock(&phones).taken.clone();
    let doubled: usize = taken.values().map(|count| count - 1).sum();
    assert!(doubled <= (kills * HOMES).min(taken.len() / 20 + kills), "{doubled} of {} came twice", taken.len());
    let verified = Command::new(CAREBOT)
        .args(["alarms", "verify", "--set", settings[1]])
        .env("CAREBOT_DATABASE__URL", &place.url)
        // How much is asked of this test is no setting of the program.
        .env_remove("CAREBOT_CRITICALS")
        .env_remove("CAREBOT_KILLS")
        .output()
        .expect("it runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let at = |hundredths: usize| took[(took.len() - 1) * hundredths / 100];
    println!(
        "{engine:?}: {criticals} falls, {kills} kills: {alarms} alarms with {occurrences} reports, {} notices, {doubled} of them twice, \
         first hand-over p50 {:?}, p99 {:?}, longest {:?}",
        taken.len(),
        at(50),
        at(99),
        at(100)
    );
}
