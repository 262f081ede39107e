//! Alarms under load: streams that are open, and how long it takes until somebody has a notice.
//!
//! One server on an embedded database; the guardians' gateway and the streams' readers are in this process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use carebot_database::{params, transact};
use carebot_testkit::provider::{Play, Provider};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::Result;
use crate::load::Connection;
use crate::process::CpuTime;
use crate::scene::{Data, Engine, Running, Scene};
use crate::seed::User;

/// Robots that report.
const ROBOTS: usize = 1_000;
/// Time between two reports of one.
const REPORT_EVERY: Duration = Duration::from_secs(6);
/// Falls a second meanwhile.
const FALLS: u64 = 4;
/// How long robots report.
const LASTS: Duration = Duration::from_mins(1);
/// Streams for each family.
const STREAMS_EACH: usize = 5;
/// How often an event goes to every family.
const ROUNDS: usize = 5;

/// Runs both and gives what there is to say, as a table in Markdown.
pub async fn run(program: &Path, folder: &Path) -> Result<String> {
    let (streams, memory) = streams(program, folder).await?;
    let (calm, load) = (streams_lines(&streams, memory), hand_overs(program, folder).await?);
    Ok(format!("| what | figure |\n|---|---|\n{calm}{load}"))
}

fn percentile(sorted: &[Duration], hundredths: usize) -> Duration {
    sorted.get((sorted.len().saturating_sub(1)) * hundredths / 100).copied().unwrap_or_default()
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}

fn streams_lines(sorted: &[Duration], kib: f64) -> String {
    format!(
        "| open streams | {} on {ROBOTS} families |\n| memory of the server for each | {kib:.1} KiB |\n\
         | an event in every family at once, {} arrivals: p50 / p95 / longest | {} / {} / {} |\n",
        ROBOTS * STREAMS_EACH,
        sorted.len(),
        millis(percentile(sorted, 50)),
        millis(percentile(sorted, 95)),
        millis(percentile(sorted, 100)),
    )
}

/// When an event of a round arrived at a stream.
struct Arrival {
    round: usize,
    at: Instant,
}

/// Opens the streams, lets something happen in every family at once, and measures when it is everywhere.
async fn streams(program: &Path, folder: &Path) -> Result<(Vec<Duration>, f64)> {
    let scene = Scene::make(Engine::Sqlite, Data::Spread, "_streams", folder, None).await?;
    let mut server = scene.start_server(program, folder)?;
    server.first_answer("/healthz").await?;
    let before = server.memory()?.anonymous;
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut ready = Vec::new();
    for user in &scene.seeded.users {
        for _ in 0..STREAMS_EACH {
            ready.push(follow(server.address, user, tell.clone()).await?);
        }
    }
    for one in ready {
        one.await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
    let each = (server.memory()?.anonymous.saturating_sub(before)) as f64 / (ROBOTS * STREAMS_EACH) as f64;
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let mut begun = HashMap::new();
        // As fast as one connection for every eighth of them can send; each is counted from when it was sent.
        let senders = scene.seeded.users.chunks(ROBOTS / 8).map(|users| {
            let (users, address) = (users.to_vec(), server.address);
            tokio::spawn(async move { notify_all(address, &users, round).await })
        });
        for sender in senders.collect::<Vec<_>>() {
            begun.extend(sender.await??);
        }
        for _ in 0..ROBOTS * STREAMS_EACH {
            let (family, arrival): (String, Arrival) = tokio::time::timeout(Duration::from_secs(30), told.recv())
                .await
                .map_err(|_| "an event did not arrive at every stream")?
                .ok_or("the streams have ended")?;
            if arrival.round != round {
                return Err("an event arrived twice".into());
            }
            let sent: &Instant = begun.get(&family).ok_or("an event of nobody arrived")?;
            took.push(arrival.at.saturating_duration_since(*sent));
        }
    }
    took.sort_unstable();
    server.stop().await?;
    Ok((took, each))
}

/// Follows a family; the handle ends when the stream has begun.
async fn follow(
    address: SocketAddr,
    user: &User,
    tell: mpsc::UnboundedSender<(String, Arrival)>,
) -> Result<tokio::task::JoinHandle<()>> {
    let mut stream = TcpStream::connect(address).await?;
    let family = user.family.to_string();
    let request = format!(
        "GET /v1/events/{family} HTTP/1.1\r\nhost: localhost\r\ncookie: session_id={}\r\naccept: text/event-stream\r\n\r\n",
        user.token
    );
    stream.write_all(request.as_bytes()).await?;
    let (begun, ready) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut bytes, mut begun, mut round) = (Vec::new(), Some(begun), 0);
        // What a stream says between two events is short.
        while let Ok(1..) = stream.read_buf(&mut bytes).await {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if begun.is_some() && text.contains("event: hello") {
                // Nobody waits any more if the benchmark has given up.
                let _ = begun.take().map(|begun| begun.send(()));
            }
            let mut rest = text.as_str();
            while let Some((event, behind)) = rest.split_once("\n\n") {
                if event.contains("event: notification") {
                    // Nobody listens any more if the benchmark has given up.
                    let _ = tell.send((family.clone(), Arrival { round, at: Instant::now() }));
                    round += 1;
                }
                rest = behind;
            }
            bytes = rest.as_bytes().to_vec();
        }
    });
    Ok(tokio::spawn(async move {
        // If it never begins, the events do not arrive, and that is said.
        let _ = tokio::time::timeout(Duration::from_secs(30), ready).await;
    }))
}

/// Makes an event in the family of each; when each was sent.
async fn notify_all(address: SocketAddr, users: &[User], round: usize) -> Result<Vec<(String, Instant)>> {
    let mut connection = Connection::open(address).await?;
    let mut sent = Vec::new();
    for user in users {
        let body =
            format!(r#"{{"family_id":"{}","notification_grade":"info","descriptions":"round {round}"}}"#, user.family);
        let request = post(user, "/notify", &body);
        sent.push((user.family.to_string(), Instant::now()));
        let (status, _) = connection.ask(request.as_bytes()).await?;
        if status != 201 {
            return Err(format!("an event was answered with {status}").into());
        }
    }
    Ok(sent)
}

/// A thousand robots report every six seconds, some report falls; how long until the guardian's gateway has the notice.
async fn hand_overs(program: &Path, folder: &Path) -> Result<String> {
    let scene = Scene::make(Engine::Sqlite, Data::Spread, "_falls", folder, None).await?;
    let told: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let gateway = Provider::start({
        let told = Arc::clone(&told);
        move |asked| {
            let text = String::from_utf8_lossy(&asked.body);
            if let Some(family) = text.split("\"family_id\":\"").nth(1).and_then(|text| text.get(..16)) {
                told.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry(family.to_owned())
                    .or_insert_with(Instant::now);
            }
            Play::Answer(200, "text/plain", Vec::new())
        }
    })
    .await;
    guardians_with_gateway(&scene, &gateway.url()).await?;
    let mut server = scene.start_server(program, folder)?;
    server.first_answer("/healthz").await?;
    let cpu = CpuTime::now(server.pid())?;
    let reporting = report_all(&server, &scene.seeded.users);
    let falling = fall_some(&server, &scene.seeded.users);
    let (reports, falls) = tokio::join!(reporting, falling);
    let (reports, falls) = (reports?, falls?);
    let used = cpu.elapsed()?;
    // The last ones are on their way.
    let deadline = Instant::now() + Duration::from_secs(10);
    let missing =
        |told: &HashMap<String, Instant>| falls.iter().filter(|(family, _)| !told.contains_key(family)).count();
    while missing(&told.lock().unwrap_or_else(PoisonError::into_inner)) > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut took: Vec<Duration> =
        falls.iter().filter_map(|(family, at)| Some(told.get(family)?.saturating_duration_since(*at))).collect();
    took.sort_unstable();
    let lost = falls.len() - took.len();
    server.stop().await?;
    Ok(format!(
        "| robots | {ROBOTS}, a report every {} s for {} s: {reports} reports and {} falls; {:.0} % of one core |\n\
         | fall acknowledged until the gateway has the notice: p50 / p99 / longest | {} / {} / {} |\n| falls of which nobody was told | {lost} |\n",
        REPORT_EVERY.as_secs(),
        LASTS.as_secs(),
        falls.len(),
        used.as_secs_f64() / LASTS.as_secs_f64() * 100.0,
        millis(percentile(&took, 50)),
        millis(percentile(&took, 99)),
        millis(percentile(&took, 100)),
    ))
}

/// Gives every family a guardian whom the gateway tells.
async fn guardians_with_gateway(scene: &Scene, url: &str) -> Result {
    let now = scene.seeded.end;
    let secret = format!("whsec_{}", "QUJD".repeat(8));
    let url = format!("{url}/guardian");
    transact!(scene.db, tx => {
        // One guardian for all families, with one gateway.
        tx.execute(
            "INSERT INTO members (id, family_id, user_id, nickname, position, sort_order, created_at, approved_at, approved_by)
             SELECT 'M' || substr(f.id, 2), f.id, a.id, NULL, 'guardian', 1, ?, ?, a.id
             FROM families f JOIN accounts a ON a.role = 'sub'",
            params![now, now],
        )
        .await?;
        tx.execute(
            "INSERT INTO contact_channels (account_id, channels, webhook_url, webhook_secret, updated_at)
             SELECT id, 'webhook', ?, ?, ? FROM accounts WHERE role = 'sub'",
            params![url.as_str(), secret.as_str(), now],
        )
        .await
    })?;
    Ok(())
}

fn post(user: &User, path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncookie: session_id={}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        user.token,
        body.len()
    )
}

/// Every robot's reports, evenly over the time; how many there were.
async fn report_all(server: &Running, users: &[User]) -> Result<usize> {
    let gap = REPORT_EVERY / u32::try_from(users.len())?;
    let mut tick = tokio::time::interval(gap);
    let mut connections = Vec::new();
    for _ in 0..32 {
        connections.push(Connection::open(server.address).await?);
    }
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < LASTS {
        tick.tick().await;
        let user = &users[count % users.len()];
        let body = format!(
            r#"{{"family_id":"{}","temperature":22.5,"humidity":41.0,"dust_level":12.0,"ethanol":0.3,"others":""}}"#,
            user.family
        );
        let place = count % connections.len();
        let (status, _) = connections[place].ask(post(user, "/status/home", &body).as_bytes()).await?;
        if status != 201 {
            return Err(format!("a report was answered with {status}").into());
        }
        count += 1;
    }
    Ok(count)
}

/// Falls in one family after the other; which, and when each was acknowledged.
async fn fall_some(server: &Running, users: &[User]) -> Result<Vec<(String, Instant)>> {
    let mut tick = tokio::time::interval(Duration::from_millis(1_000 / FALLS));
    let mut connection = Connection::open(server.address).await?;
    let begun = Instant::now();
    let mut falls = Vec::new();
    while begun.elapsed() < LASTS && falls.len() < users.len() {
        tick.tick().await;
        let user = &users[falls.len()];
        let body = format!(r#"{{"family_id":"{}","score":0,"action":"fall","is_critical":true}}"#, user.family);
        let (status, _) = connection.ask(post(user, "/status/active", &body).as_bytes()).await?;
        if status != 201 {
            return Err(format!("a fall was answered with {status}").into());
        }
        falls.push((user.family.to_string(), Instant::now()));
    }
    Ok(falls)
}
