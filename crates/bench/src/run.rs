//! The rounds.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use carebot_testkit::mariadb::{self, Server as MariaDb};

use tempfile::TempDir;

use crate::arguments::{Arguments, BARE, Subject};
use crate::load::{Client, Connection, count, drive};
use crate::process::{CpuTime, Memory};
use crate::raw_sqlite::{self, Raw};
use crate::scene::{Data, Engine, Running, Scene};
use crate::work::Work;
use crate::{Result, alarms, compare, machine, pages, report, seed, series, sysbench};

/// Which part of a measurement's length is asked before it and not counted: connections, statements and caches get warm.
const WARM_UP: u32 = 5;
/// How often a server is started to see how long that takes.
const STARTS: usize = 10;
/// How long a server is left alone before its memory is called idle.
const SETTLE: Duration = Duration::from_secs(2);
/// How long MariaDB may take to forget deleted rows.
const PURGE: Duration = Duration::from_secs(20);

/// What one measurement found. Latencies and processor time in microseconds, the latter per request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Requests a second.
    pub per_second: f64,
    /// Latency that half of the requests do not exceed.
    pub p50: Option<f64>,
    /// Latency that 99 of 100 do not exceed.
    pub p99: Option<f64>,
    /// Of the server.
    pub server_cpu: Option<f64>,
    /// Of the database.
    pub database_cpu: Option<f64>,
}

impl Sample {
    /// Server and database together.
    pub fn cpu(&self) -> f64 {
        self.server_cpu.unwrap_or(0.0) + self.database_cpu.unwrap_or(0.0)
    }
}

/// What all rounds found.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// The medians.
    pub median: Sample,
    /// The least processor time of any round: neighbours can only add to it.
    pub least_cpu: f64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// A request to a server.
    Server(Engine, Work, Data),
    /// The engine alone.
    Sysbench(sysbench::Test),
    /// The engine alone.
    Raw(raw_sqlite::Test),
    /// The HTTP library alone.
    Http,
}

/// Memory of a server.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// On which engine.
    pub engine: Engine,
    /// With what data.
    pub data: Data,
    /// After the start, before the load.
    pub idle: Memory,
    /// After the load.
    pub after: Memory,
}

/// Time from the start of the process, medians.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// On which engine.
    pub engine: Engine,
    /// With what data.
    pub data: Data,
    /// To the first answer of `/healthz`.
    pub healthy: Duration,
    /// To the first answer of `/readyz`.
    pub ready: Duration,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What was measured.
    pub cells: BTreeMap<Cell, Finding>,
    /// Memory.
    pub footprints: Vec<Footprint>,
    /// Starts.
    pub starts: Vec<Start>,
    /// The machine.
    pub machine: Vec<String>,
}

/// Measures, prints the tables and writes them where that was asked for.
pub fn run(arguments: &Arguments) -> Result {
    if cfg!(debug_assertions) {
        eprintln!("This is a debug build: its figures say nothing. Use `cargo run --release -p carebot-bench`.");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(other) = &arguments.against {
        return runtime.block_on(compare::run(arguments, other));
    }
    let program = std::env::current_exe()?;
    let text = match arguments.subject {
        Subject::Requests => report::tables(&runtime.block_on(measure(arguments))?, arguments),
        Subject::Alarms => runtime.block_on(alarms::run(&program, new_folder()?.path()))?,
        Subject::Series | Subject::Pages => {
            let folder = new_folder()?;
            let mariadb = if arguments.engines.contains(&Engine::MariaDb) { Some(start_mariadb()?) } else { None };
            let (path, mariadb) = (folder.path(), mariadb.as_ref());
            if arguments.subject == Subject::Series {
                runtime.block_on(series::run(arguments, &program, path, mariadb))?
            } else {
                runtime.block_on(pages::run(arguments, &program, path, mariadb))?
            }
        }
    };
    println!("{text}");
    match &arguments.write {
        Some(path) => report::write(path, &text),
        None => Ok(()),
    }
}

async fn measure(arguments: &Arguments) -> Result<Findings> {
    let program = std::env::current_exe()?;
    let folder = new_folder()?;
    let wants_mariadb = arguments.engines.contains(&Engine::MariaDb);
    let mariadb = if wants_mariadb { Some(start_mariadb()?) } else { None };
    let compares = arguments.only.is_none();
    let with_sysbench = compares && wants_mariadb && sysbench::is_there();
    if compares && wants_mariadb && !with_sysbench {
        eprintln!("sysbench is not installed, so there is no comparison with it (Debian: apt-get install sysbench).");
    }

    let mut scenes = Vec::new();
    for &engine in &arguments.engines {
        for data in [Data::Thousand, Data::Spread, Data::OneFamily] {
            if data == Data::Thousand || arguments.million {
                eprintln!("filling {} with {} reports", engine.name(), data.name());
                scenes.push(Scene::make(engine, data, "", folder.path(), mariadb.as_ref()).await?);
            }
        }
    }
    if let Some(server) = &mariadb {
        if with_sysbench {
            for test in sysbench::Test::ALL {
                test.prepare(server)?;
            }
        }
        // What it still has to write after the filling would be counted to the first who is measured.
        server.restart()?;
    }
    let mut raw =
        if compares && arguments.engines.contains(&Engine::Sqlite) { Some(Raw::make(folder.path())?) } else { None };

    let mut findings = Findings::default();
    let versions = versions(&scenes).await?;
    findings.machine = machine::describe(folder.path(), &versions)?;
    let mut servers = Vec::new();
    for scene in &scenes {
        let running = start(scene, folder.path(), &mut findings).await?;
        eprintln!("process {} serves {} with {} reports", running.pid(), scene.engine.name(), scene.data.name());
        servers.push(running);
    }
    let mut bare = Running::start(&program, BARE, &folder.path().join("bare.log"))?;
    bare.first_answer("/healthz").await?;
    tokio::time::sleep(SETTLE).await;
    let idle = servers.iter().map(Running::memory).collect::<Result<Vec<_>>>()?;

    let mut samples: BTreeMap<Cell, Vec<Sample>> = BTreeMap::new();
    for round in 1..=arguments.rounds {
        if arguments.wants(Work::Hello.name()) {
            let sample = ask_bare(&bare, arguments).await?;
            progress(round, "the HTTP library alone", &sample);
            samples.entry(Cell::Http).or_default().push(sample);
        }
        for work in Work::ALL {
            if !arguments.wants(work.name()) {
                continue;
            }
            for (scene, server) in scenes.iter().zip(&servers).filter(|(scene, _)| work.is_about(scene.data)) {
                let sample = ask(work, scene, server, mariadb.as_ref(), arguments).await?;
                let cell = Cell::Server(scene.engine, work, scene.data);
                progress(round, &format!("{} {} ({})", scene.engine.name(), work.name(), scene.data.name()), &sample);
                samples.entry(cell).or_default().push(sample);
            }
        }
        if let (Some(server), true) = (&mariadb, with_sysbench) {
            for test in sysbench::Test::ALL {
                let sample = test.run(server, arguments.clients, arguments.window)?;
                progress(round, test.name(), &sample);
                samples.entry(Cell::Sysbench(test)).or_default().push(sample);
            }
        }
        if let Some(raw) = &mut raw {
            for test in raw_sqlite::Test::ALL {
                let sample = raw.run(test, arguments.window)?;
                progress(round, test.name(), &sample);
                samples.entry(Cell::Raw(test)).or_default().push(sample);
            }
        }
    }

    for ((scene, server), idle) in scenes.iter().zip(servers).zip(idle) {
        let after = server.memory()?;
        findings.footprints.push(Footprint { engine: scene.engine, data: scene.data, idle, after });
        server.stop().await?;
        scene.db.close().await;
    }
    bare.stop().await?;
    findings.cells = samples.into_iter().map(|(cell, samples)| (cell, finding(&samples))).collect();
    Ok(findings)
}

/// Where the program was built: on the real disk, which a temporary folder often is not.
pub fn new_folder() -> Result<TempDir> {
    let program = std::env::current_exe()?;
    Ok(tempfile::Builder::new().prefix("carebot-bench-").tempdir_in(program.parent().unwrap_or(Path::new(".")))?)
}

/// Durable, on the disk, with room for the tables in memory: as an operator sets it.
pub fn start_mariadb() -> Result<MariaDb> {
    eprintln!("starting MariaDB");
    let options = mariadb::Options { durable: true, buffer_pool_mib: 256, redo_log_mib: 512, arguments: Vec::new() };
    Ok(MariaDb::start(options)?)
}

async fn versions(scenes: &[Scene]) -> Result<Vec<String>> {
    let mut lines: Vec<String> = Vec::new();
    for scene in scenes.iter().filter(|scene| scene.data == Data::Thousand) {
        let version = scene.db.version().await?;
        lines.push(match scene.engine {
            Engine::Sqlite => format!("{version}, WAL, `synchronous=FULL`"),
            Engine::MariaDb => format!("MariaDB {version}, `innodb_flush_log_at_trx_commit=1`, 256 MiB buffer pool, over TCP on the same machine"),
        });
    }
    Ok(lines)
}

/// Starts the server of a scene, several times; the last one stays.
async fn start(scene: &Scene, folder: &Path, findings: &mut Findings) -> Result<Running> {
    let (mut healthy, mut ready) = (Vec::new(), Vec::new());
    loop {
        let mut server = scene.start_server(&std::env::current_exe()?, folder)?;
        healthy.push(server.first_answer("/healthz").await?);
        ready.push(server.first_answer("/readyz").await?);
        if healthy.len() == STARTS {
            healthy.sort_unstable();
            ready.sort_unstable();
            let (healthy, ready) = (healthy[STARTS / 2], ready[STARTS / 2]);
            findings.starts.push(Start { engine: scene.engine, data: scene.data, healthy, ready });
            return Ok(server);
        }
        server.stop().await?;
    }
}

/// One measurement.
pub async fn ask(
    work: Work,
    scene: &Scene,
    server: &Running,
    mariadb: Option<&MariaDb>,
    arguments: &Arguments,
) -> Result<Sample> {
    let number = work.clients(arguments.clients);
    let mut clients = Vec::new();
    for client in 0..number {
        let requests = work.requests(&scene.seeded, client, number);
        if client == 0 {
            let (status, body) = Connection::open(server.address).await?.ask(&requests[0]).await?;
            work.check(status, &body)?;
        }
        clients.push(Client::new(server.address, requests).await?);
    }
    let database = match (scene.engine, mariadb) {
        (Engine::MariaDb, Some(server)) => Some(server.pid().ok_or("MariaDB is not running")?),
        _ => None,
    };
    let sample = observe(clients, work, server.pid(), database, arguments.window).await?;
    if work == Work::Post {
        seed::clean(&scene.db, &scene.seeded).await?;
        if let Some(server) = mariadb {
            purged(server).await?;
        }
    }
    Ok(sample)
}

/// The hello of the HTTP library alone.
async fn ask_bare(server: &Running, arguments: &Arguments) -> Result<Sample> {
    let mut clients = Vec::new();
    for _ in 0..arguments.clients {
        clients.push(Client::new(server.address, vec![Work::hello()]).await?);
    }
    observe(clients, Work::Hello, server.pid(), None, arguments.window).await
}

/// Has clients ask, and looks at what that costs the processes.
async fn observe(
    clients: Vec<Client>,
    work: Work,
    server: u32,
    database: Option<u32>,
    window: Duration,
) -> Result<Sample> {
    let (clients, _) = drive(clients, work.status(), window / WARM_UP).await?;
    let database = database.map(CpuTime::now).transpose()?;
    let server = CpuTime::now(server)?;
    let (clients, tally) = drive(clients, work.status(), window).await?;
    let requests = count(tally.latencies.len()).max(1.0);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / requests;
    let server_cpu = each(server.elapsed()?);
    let database_cpu = database.map(|before| before.elapsed()).transpose()?.map(each);
    drop(clients);
    if tally.wrong > 0 {
        return Err(format!(
            "{}: {} of {requests} answers had another status than {}",
            work.name(),
            tally.wrong,
            work.status()
        )
        .into());
    }
    Ok(Sample {
        per_second: tally.per_second(),
        p50: Some(tally.percentile(500)),
        p99: Some(tally.percentile(990)),
        server_cpu: Some(server_cpu),
        database_cpu,
    })
}

/// Waits until MariaDB has really removed what was deleted, so that this work is not counted to who comes next.
async fn purged(server: &MariaDb) -> Result {
    let started = Instant::now();
    let length = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Innodb_history_list_length'";
    while server.execute(length)?.trim().parse::<u64>()? > 32 && started.elapsed() < PURGE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn progress(round: usize, name: &str, sample: &Sample) {
    let Sample { per_second, p99, server_cpu, database_cpu, .. } = sample;
    let micros = |value: &Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    let (server, database, p99) = (micros(server_cpu), micros(database_cpu), micros(p99));
    eprintln!("round {round}: {name}: {per_second:.0}/s, p99 {p99} us, server {server} us, database {database} us");
}

fn finding(samples: &[Sample]) -> Finding {
    Finding { median: median(samples), least_cpu: samples.iter().map(Sample::cpu).fold(f64::INFINITY, f64::min) }
}

fn median(samples: &[Sample]) -> Sample {
    let middle = |field: fn(&Sample) -> Option<f64>| {
        let mut values: Vec<f64> = samples.iter().filter_map(field).collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied();
        // Of an even number the mean of both in the middle.
        let half = values.len() / 2;
        if values.len() % 2 == 1 { at(half) } else { Some(f64::midpoint(at(half.checked_sub(1)?)?, at(half)?)) }
    };
    Sample {
        per_second: middle(|sample| Some(sample.per_second)).unwrap_or(0.0),
        p50: middle(|sample| sample.p50),
        p99: middle(|sample| sample.p99),
        server_cpu: middle(|sample| sample.server_cpu),
        database_cpu: middle(|sample| sample.database_cpu),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_each_figure_for_itself() {
        let sample = |per_second, cpu| Sample { per_second, server_cpu: Some(cpu), ..Sample::default() };
        let odd = finding(&[sample(1.0, 9.0), sample(3.0, 7.0), sample(2.0, 8.0)]);
        assert!((odd.least_cpu - 7.0).abs() < 1e-9);
        let odd = odd.median;
        assert!((odd.per_second - 2.0).abs() < 1e-9 && (odd.cpu() - 8.0).abs() < 1e-9);
        let even = median(&[sample(1.0, 9.0), sample(3.0, 7.0)]);
        assert!((even.per_second - 2.0).abs() < 1e-9);
        assert!(even.p50.is_none());
    }
}
