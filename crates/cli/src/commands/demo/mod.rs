//! `carebot demo`: a family and its robot, on this machine, in a minute.

mod day;
mod people;
mod screen;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use carebot_model::Timestamp;
use clap::Args;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::people::People;
use super::serve::Running;
use crate::arguments::Common;
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::output::Progress;
use crate::{logging, output, setup, signals};

/// Where the demonstration listens if the address is free.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);
/// Between two lines about live reports where they are not rewritten.
const TOLD_EVERY: Duration = Duration::from_mins(1);
/// Live reports between two activities.
const ACTIVITY_EVERY: u32 = 10;

/// Shows it at work: a family, a robot that reports, and sign-ins to try
#[derive(Debug, Args)]
#[command(
    long_about = "Shows carebot at work on this machine: makes a database in a folder of its own, an elder, two guardians \
                  and their family, plays a simulated day of the robot through the HTTP interface and goes on live, until \
                  Ctrl-C.\n\n\
                  Every run makes a new database with new passwords, and never touches anything else: neither the \
                  configuration file nor the environment is looked at.\n\n\
                  어르신 한 분과 보호자 두 분의 가족, 그리고 로봇의 하루를 이 컴퓨터에서 보여 줍니다.",
    after_help = "Examples:\n  carebot demo\n  carebot demo --listen 127.0.0.1:9000 --live-every 1"
)]
pub struct Flags {
    /// Where the demonstration keeps its files
    #[arg(long, default_value = "carebot-demo")]
    folder: PathBuf,
    /// Address and port. Without this 127.0.0.1:8000, or a free port if that is taken
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Ends after so many seconds of live reports
    #[arg(long = "for", value_name = "SECONDS")]
    lasts: Option<u64>,
    /// Time between two live reports
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    live_every: u64,
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    if common.config.is_some() || common.set.iter().any(|(name, _)| name.starts_with("database.")) {
        return Err(Failure::usage("the demonstration takes neither a configuration file nor a database")
            .next("`carebot serve` does; other settings can be given with --set."));
    }
    let database = new_database(&flags.folder)?;
    let config = configuration(common, flags, &database)?;
    logging::for_command(common.verbose);
    setup::runtime(config.server.worker_threads(setup::cores()))?.block_on(async {
        let stop = signals::stop()?;
        // The server is stopped last: everybody signs out before.
        let stop_server = CancellationToken::new();
        let running = match Running::start(&config, false, &stop_server).await {
            Ok(running) => running,
            Err(failure) => {
                forget_empty(&database);
                return Err(failure);
            }
        };
        let url = reachable(running.address);
        let shown = show(&url, &database, flags, &stop).await;
        stop_server.cancel();
        let ended = running.until_stopped().await;
        shown.and(ended)
    })
}

/// An empty file in the folder that no run before has used.
fn new_database(folder: &Path) -> Result<PathBuf> {
    let failure = |path: &Path, error: &std::io::Error| {
        Failure::new(format!("{}: {error}", path.display())).next("Choose a folder that can be written with --folder.")
    };
    std::fs::create_dir_all(folder).map_err(|error| failure(folder, &error))?;
    let folder = folder.canonicalize().map_err(|error| failure(folder, &error))?;
    for number in 1_u32.. {
        let path = folder.join(format!("demo-{number}.db"));
        match std::fs::File::create_new(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failure(&path, &error)),
        }
    }
    Err(Failure::new("no name is free for another demonstration")
        .next("Delete the folder, or choose another with --folder."))
}

/// A demonstration that did not begin leaves no file behind.
fn forget_empty(database: &Path) {
    if std::fs::metadata(database).is_ok_and(|data| data.len() == 0) {
        // If it stays, it is only empty.
        let _ = std::fs::remove_file(database);
    }
}

fn configuration(common: &Common, flags: &Flags, database: &Path) -> Result<Config> {
    let listen = flags.listen.unwrap_or_else(|| {
        let is_free = TcpListener::bind(DEFAULT_LISTEN).is_ok();
        if is_free { DEFAULT_LISTEN } else { SocketAddr::new(DEFAULT_LISTEN.ip(), 0) }
    });
    let loader = Config::loader()
        .without_file()
        .flags([
            ("mode", "development"),
            ("families.join", "open"),
            // The cookie then works for http://localhost as well as for http://127.0.0.1.
            ("sessions.cookie_domain", "host-only"),
            ("metrics.listen", "off"),
        ])
        .flags(common.set.clone())
        .flags([
            ("server.listen", listen.to_string()),
            ("database.url", format!("sqlite:{}", database.display())),
            ("database.create", "true".to_owned()),
        ]);
    Ok(loader.load()?)
}

/// The URL to reach an address under from this machine.
fn reachable(address: SocketAddr) -> String {
    let is_here = address.ip().is_unspecified() || address.ip().is_loopback();
    let host = match address.ip() {
        _ if is_here => "localhost".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!("http://{host}:{}", address.port())
}

async fn show(url: &str, database: &Path, flags: &Flags, stop: &CancellationToken) -> Result {
    let mut people = People::make(url).await?;
    if play_day(&people, stop).await? {
        // Ranges are asked for in whole seconds: in the next one there are live reports only, a page that can be read.
        let since = setup::clock().now().floor_second().plus_millis(1_000);
        let millis = u64::try_from(since.since(setup::clock().now())).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        // The first live report comes before the lines that ask for it.
        people.live(day::home_at(second_of_day(since), 0)).await?;
        screen::welcome(url, database, &people, &since.to_string());
        go_live(&people, flags, stop).await;
    }
    people.sign_out().await
}

/// Plays the day as fast as it goes; whether it came to its end.
async fn play_day(people: &People, stop: &CancellationToken) -> Result<bool> {
    let mut progress = Progress::new();
    let events = day::day();
    let (count, started) = (events.len(), Instant::now());
    for event in events {
        if stop.is_cancelled() {
            return Ok(false);
        }
        let minute = event.second / 60;
        progress.show(|| format!("로봇의 하루 · a day of the robot: {:02}:{:02}", minute / 60, minute % 60));
        people.live(event).await?;
    }
    progress.clear();
    let seconds = started.elapsed().as_secs_f64();
    output::line(&format!(
        "로봇의 하루를 {seconds:.1}초에 재생했습니다. · A day of the robot ({count} events) was played in {seconds:.1} s."
    ));
    Ok(true)
}

/// Goes on live until it is stopped or its time is over.
async fn go_live(people: &People, flags: &Flags, stop: &CancellationToken) {
    let mut progress = Progress::every(TOLD_EVERY);
    let mut ticks = tokio::time::interval_at(
        Instant::now() + Duration::from_secs(flags.live_every),
        Duration::from_secs(flags.live_every),
    );
    let end = async {
        match flags.lasts {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    for count in 1_u32.. {
        tokio::select! {
            () = stop.cancelled() => break,
            () = &mut end => break,
            _ = ticks.tick() => {}
        }
        let second = second_of_day(setup::clock().now());
        let home = day::home_at(second, count);
        progress.show(|| live_line(second, &home.what));
        let mut events = vec![home, day::health_at(second, count)];
        if count % ACTIVITY_EVERY == 0 {
            events.push(day::activity(usize::try_from(count / ACTIVITY_EVERY).unwrap_or(0), second));
        }
        for event in events {
            if let Err(failure) = people.live(event).await {
                // The next one may get through again.
                progress.clear();
                output::note(&format!("실시간 보고 실패 · a live report failed: {failure}"));
            }
        }
    }
    progress.clear();
}

fn live_line(second: u32, what: &day::What) -> String {
    let values = match what {
        day::What::Report(_, fields) => {
            format!("{} °C  {} %  PM10 {} µg/m³", fields["temperature"], fields["humidity"], fields["dust_level"])
        }
        day::What::Notify(..) | day::What::Message(..) => String::new(),
    };
    format!("실시간 · live {:02}:{:02}:{:02} (KST)  {values}", second / 3_600, second / 60 % 60, second % 60)
}

/// The second of the day in Korea.
fn second_of_day(now: Timestamp) -> u32 {
    let millis = (now.millis() + carebot_model::korea::AHEAD_MS).rem_euclid(i64::from(day::DAY) * 1_000);
    u32::try_from(millis / 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn the_day_in_korea_begins_at_fifteen_oclock_utc() {
        assert_eq!(second_of_day(Timestamp::from_millis(1_772_463_600_000)), 0, "2026-03-02T15:00:00Z");
        assert_eq!(second_of_day(Timestamp::from_millis(1_772_463_599_000)), day::DAY - 1);
    }

    #[test]
    fn a_url_is_one_that_works_on_this_machine() {
        assert_eq!(reachable("0.0.0.0:80".parse().expect("an address")), "http://localhost:80");
        assert_eq!(reachable(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 8000)), "http://localhost:8000");
        assert_eq!(reachable("192.0.2.7:8000".parse().expect("an address")), "http://192.0.2.7:8000");
    }
}
