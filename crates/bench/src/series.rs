//! A year of one elder with a report every six seconds: what series cost, and the existing page that asks for the whole year every
//! five seconds.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use carebot_database::ambient::{Clock as _, SystemClock};
use carebot_database::rollups::{self, Kind, SETTLED};
use carebot_database::{params, transact};
use carebot_model::RowId;
use carebot_model::status::Home;
use carebot_model::status::series::Bucket;
use carebot_testkit::mariadb::Server as MariaDb;

use crate::Result;
use crate::arguments::Arguments;
use crate::process::CpuTime;
use crate::scene::{Data, Engine, Running, Scene};
use crate::single::{self, Took};

/// How often each is asked for.
const TIMES: usize = 100;
/// How long all may take to be summed up.
const PATIENCE: Duration = Duration::from_mins(30);
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Measures on the engines that are wanted, and gives what there is to say, as tables in Markdown.
pub async fn run(arguments: &Arguments, program: &Path, folder: &Path, mariadb: Option<&MariaDb>) -> Result<String> {
    let mut text = single::HEAD.to_owned();
    let mut notes = String::new();
    let data = if arguments.million { Data::Year } else { Data::OneFamily };
    for engine in &arguments.engines {
        eprintln!("filling {} with {} reports", engine.name(), data.name());
        let scene = Scene::make(*engine, data, "", folder, mariadb).await?;
        // The whole year stays.
        transact!(scene.db, tx => { rollups::hold(&mut tx, "a benchmark").await })?;
        let mut server = scene.start_server(program, folder)?;
        server.first_answer("/healthz").await?;
        let (summed_up, cpu) = wait(&scene, &server).await?;
        writeln!(
            notes,
            "- {}: {} reports summed up for the first time in {:.0} s, {:.0} s of the server's CPU",
            engine.name(),
            data.name(),
            summed_up.as_secs_f64(),
            cpu.as_secs_f64()
        )?;
        let bench = Bench { scene: &scene, server: &server, mariadb: mariadb.filter(|_| *engine == Engine::MariaDb) };
        bench.all(&mut text).await?;
        server.stop().await?;
        scene.db.close().await;
    }
    Ok(format!("{text}\n{notes}"))
}

/// Waits until the server has summed up everything; how long that was, and what it cost.
async fn wait(scene: &Scene, server: &Running) -> Result<(Duration, Duration)> {
    let (started, cpu) = (Instant::now(), CpuTime::now(server.pid())?);
    let family = scene.seeded.users[0].family;
    let kind = Kind::of::<Home>();
    // Hours that are over when this begins.
    let until = Bucket::Hour.floor(SystemClock.now().plus_millis(-SETTLED));
    while rollups::progress(&mut scene.db.read(), family, kind.name).await?.rolled_until < Some(until) {
        if started.elapsed() > PATIENCE {
            return Err("the reports are not summed up".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((started.elapsed(), cpu.elapsed()?))
}

struct Bench<'a> {
    scene: &'a Scene,
    server: &'a Running,
    mariadb: Option<&'a MariaDb>,
}

impl Bench<'_> {
    async fn all(&self, text: &mut String) -> Result {
        let ago = |days: i64| SystemClock.now().plus_millis(-days * DAY);
        let series = |days: i64, bucket: &'static str| {
            move |_| async move { Ok(format!("/series?start={}&bucket={bucket}", ago(days))) }
        };
        for (what, days, bucket) in [
            ("series of a day, 5m", 1, "auto"),
            ("series of a week, 1h", 7, "auto"),
            ("series of a month, 1h", 30, "auto"),
            ("series of a year, 1d", 365, "auto"),
            ("series of a year, 1h", 365, "1h"),
        ] {
            let took = self.ask(TIMES, series(days, bucket)).await?;
            *text += &took.line(self.scene.engine, what);
        }
        let start = ago(365);
        let poll = || format!("?start={start}&end={}", SystemClock.now());
        let first = self.ask(1, |_| async { Ok(poll()) }).await?;
        *text += &first.line(self.scene.engine, "poll of a year, the first");
        let idle = self.ask(TIMES, |_| async { Ok(poll()) }).await?;
        *text += &idle.line(self.scene.engine, "poll of a year, nothing new");
        let moving = self.ask(TIMES, |_| async { Ok(format!("?start={}", ago(365))) }).await?;
        *text += &moving.line(self.scene.engine, "poll of a year, its start moving too");
        let fresh = self
            .ask(TIMES, |number| {
                let path = poll();
                async move {
                    self.insert(number, 0).await?;
                    Ok(path)
                }
            })
            .await?;
        *text += &fresh.line(self.scene.engine, "poll of a year, a new report each time");
        let hour = self
            .ask(20, |number| {
                let path = poll();
                async move {
                    // Noted as the server would.
                    self.insert(number, 3_600_000).await?;
                    Ok(path)
                }
            })
            .await?;
        *text += &hour.line(self.scene.engine, "poll of a year, a late report each time");
        Ok(())
    }

    /// A report that another server has stored.
    async fn insert(&self, number: usize, late: i64) -> Result {
        let (family, now) = (self.scene.seeded.users[0].family, SystemClock.now());
        let at = now.plus_millis(-late);
        let id = RowId::compose(at.millis() - RowId::EPOCH_MS, 62, i64::try_from(number % 1_000)?);
        transact!(self.scene.db, tx => {
            tx.execute(
                "INSERT INTO home_status (family_id, reported_at, id, received_at, temperature) VALUES (?, ?, ?, ?, 21.5)",
                params![family, at, id, now],
            )
            .await?;
            if late > 0 {
                rollups::note_late(&mut tx, family, "home", [at]).await?;
            }
            Ok::<_, carebot_database::DbError>(())
        })?;
        Ok(())
    }

    /// Asks for the reports of the home; what is done before each question is not measured.
    async fn ask<F>(&self, times: usize, query: impl Fn(usize) -> F) -> Result<Took>
    where
        F: Future<Output = Result<String>>,
    {
        let user = &self.scene.seeded.users[0];
        let path = |number| {
            let query = query(number);
            async move { Ok(format!("/status/home/{}{}", user.family, query.await?)) }
        };
        single::ask((self.server, self.mariadb), user, times, path).await
    }
}
