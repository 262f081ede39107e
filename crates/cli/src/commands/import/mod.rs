//! `carebot import`: moves an existing installation over.

mod pictures;
mod table;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carebot_database::import::{self, Counts, ImportError, Outcome, Report, Settings, Source};
use carebot_database::{Db, DbError, DbUrl, migrate};
use carebot_model::authentication::IdleLimits;
use clap::Args;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::arguments::{Common, DatabaseFlags};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::output::Progress;
use crate::{logging, output, secret, setup, signals};

/// Tables with so many rows are told when they are begun.
const LONG: u64 = 10_000;

/// Moves an existing Carebot installation into this database
#[derive(Debug, Args)]
#[command(
    long_about = "Copies the MariaDB database of an existing Carebot installation into this one: accounts with their passwords, \
                  families, members, living sessions, all reports, messages, notifications, settings, albums, conversations and \
                  news, with their ids and numbers. The installation is only read: a user with SELECT is enough.\n\n\
                  It can be interrupted and run again: a run goes on where the last one ended, takes what is new and what has \
                  changed there, and nothing twice. So run it once while the installation still works, and once more after it \
                  was stopped. docs/moving.md tells how, step by step.\n\n\
                  Rows that break a rule are told in the report file, one JSON object a line, with what was done with them.",
    after_help = "Examples:\n  \
                  carebot import mariadb://reader:password@old-host/carebot --dry-run\n  \
                  printf '%s\\n' 'mariadb://reader:password@old-host/carebot' | carebot import - \\\n      \
                  --images /srv/carebot-images --database sqlite:carebot.db --create\n\n\
                  Exit code: 0 when everything was copied, 1 when it was stopped or failed; the same command goes on."
)]
pub struct Flags {
    /// The installation's database: `mariadb://user:password@host[:port]/schema`, special characters percent-encoded; `-`
    /// reads it from the first line of standard input, where others on this machine can not see the password
    #[arg(value_name = "URL")]
    installation: String,
    /// Reads and checks everything, writes the report, and stores nothing
    #[arg(long)]
    dry_run: bool,
    /// Also takes in the pictures of the image server: the folder with a folder for each account in it
    #[arg(long, value_name = "FOLDER")]
    images: Option<PathBuf>,
    /// Where rows that break a rule are told; what is there already stays
    #[arg(long, value_name = "FILE", default_value = "import-report.jsonl")]
    report: PathBuf,
    /// Makes the SQLite file if it is missing
    #[arg(long, conflicts_with = "dry_run")]
    create: bool,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    let mut settings = flags.database.settings();
    settings.extend(flags.create.then(|| ("database.create", "true".to_owned())));
    let config = common.load(settings)?;
    logging::for_command(common.verbose);
    let url = installation(&flags.installation)?;
    if let Some(folder) = &flags.images
        && !folder.is_dir()
    {
        return Err(Failure::usage(format!("--images: there is no folder {}", folder.display())));
    }
    setup::runtime(2)?.block_on(async {
        let stop = signals::stop()?;
        let source = Source::open(&url).await.map_err(|error| explain(error).about(&url.to_string()))?;
        let done = with_target(&config, flags, &source, &stop).await;
        source.close().await;
        done
    })
}

/// The address of the installation. What is wrong with it is said without the address, which has a password.
fn installation(text: &str) -> Result<DbUrl> {
    let text = if text == "-" { secret::from_stdin()? } else { text.to_owned() };
    let url: DbUrl =
        text.trim().parse().map_err(|error: DbError| Failure::usage(error.to_string()).about("the installation"))?;
    match url {
        DbUrl::MariaDb(_) => Ok(url),
        DbUrl::Sqlite { .. } => Err(Failure::usage("an existing installation is on MariaDB")
            .next("Write its address like mariadb://user:password@host/schema.")),
    }
}

async fn with_target(config: &Config, flags: &Flags, source: &Source, stop: &CancellationToken) -> Result {
    let target = target(config, flags.dry_run).await?;
    let done = async {
        let mut report = open_report(&flags.report)?;
        let mut work = Work { config, flags, source, stop, started: Instant::now(), report: &mut report };
        work.run(target.as_ref()).await
    };
    let done = done.await;
    if let Some(db) = &target {
        db.close().await;
    }
    done
}

/// Our database, up to date; for a dry run nothing if there is none yet.
async fn target(config: &Config, dry_run: bool) -> Result<Option<Db>> {
    let about = |failure: Failure| failure.about(&format!("database {}", config.database.url));
    if dry_run && matches!(&config.database.url, DbUrl::Sqlite { path } if !path.exists()) {
        return Ok(None);
    }
    let db = if dry_run { setup::open_existing(config).await? } else { setup::open(config).await? };
    let prepared = async {
        // Before anything is changed in it.
        if import::is_existing_installation(&db).await? {
            return Err(Failure::usage("this is an existing installation itself, and it is never changed")
                .next("Name another schema, or a SQLite file, with --database."));
        }
        if !dry_run {
            setup::prepare_schema(&db, false).await?;
            return Ok(true);
        }
        if migrate::status(&db).await?.applied.is_empty() {
            return Ok(false);
        }
        migrate::check(&db).await?;
        Ok(true)
    };
    match prepared.await {
        Ok(true) => Ok(Some(db)),
        Ok(false) => {
            db.close().await;
            Ok(None)
        }
        Err(failure) => {
            db.close().await;
            Err(about(failure))
        }
    }
}

/// Opens the report and reads what earlier runs have written.
fn open_report(path: &Path) -> Result<Report> {
    read_report(path).map_err(|error| Failure::new(format!("the report {}: {error}", path.display())))
}

fn read_report(path: &Path) -> io::Result<Report> {
    let mut out = BufWriter::new(OpenOptions::new().create(true).append(true).open(path)?);
    let mut earlier = BufReader::new(File::open(path)?);
    let (mut lines, mut line) = (Vec::new(), String::new());
    while earlier.read_line(&mut line)? > 0 {
        if !line.ends_with('\n') {
            // A run was killed while it wrote: what follows begins a line of its own.
            out.write_all(b"\n")?;
        }
        lines.push(Report::hash(line.trim_end()));
        line.clear();
    }
    Ok(Report::new(Box::new(out), lines))
}

/// What the steps of an import share.
struct Work<'a> {
    config: &'a Config,
    flags: &'a Flags,
    source: &'a Source,
    stop: &'a CancellationToken,
    started: Instant,
    report: &'a mut Report,
}

impl Work<'_> {
    async fn run(&mut self, target: Option<&Db>) -> Result {
        let clock = setup::clock();
        let rng = setup::rng();
        let sessions = &self.config.sessions;
        let millis = |seconds: u64| i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let settings = Settings {
            dry_run: self.flags.dry_run,
            idle: IdleLimits {
                normal: millis(sessions.idle_seconds),
                main: millis(sessions.main_idle_seconds),
                remembered: millis(sessions.remembered_idle_seconds),
            },
            page: Settings::PAGE,
            clock: &*clock,
            rng: &*rng,
        };
        let mut outcome = self.copy(target, settings).await?;
        if let (true, Some(folder)) = (outcome.is_complete, self.flags.images.clone()) {
            self.pictures(target, settings, &folder, &mut outcome).await?;
        }
        self.conclude(&outcome)
    }

    async fn copy(&mut self, target: Option<&Db>, settings: Settings<'_>) -> Result<Outcome> {
        let mut shown = Shown::new(self.stop.clone());
        let outcome = import::run(self.source, target, settings, self.report, &mut |counts| shown.page(counts)).await;
        shown.progress.clear();
        outcome.map_err(explain)
    }

    async fn pictures(
        &mut self,
        target: Option<&Db>,
        settings: Settings<'_>,
        folder: &Path,
        outcome: &mut Outcome,
    ) -> Result {
        let Some(db) = target.filter(|_| !self.flags.dry_run) else {
            output::line(&format!(
                "pictures: {} files in {}; they are looked at when they are taken in",
                pictures::count(folder)?,
                folder.display()
            ));
            return Ok(());
        };
        // A connection of its own, which ends with it.
        let service = setup::service(setup::open_existing(self.config).await?, self.config).await?;
        let taken = pictures::take_in(&service, folder, self.report, self.stop).await;
        service.finish().await;
        let (counts, is_complete) = taken?;
        outcome.tables.push(counts);
        outcome.is_complete = is_complete;
        if is_complete {
            let mut shown = Shown::new(self.stop.clone());
            let watch: &mut import::Watch<'_> = &mut |counts| shown.page(counts);
            let referred = import::refer(self.source, db, settings, self.report, watch).await;
            shown.progress.clear();
            let referred = referred.map_err(explain)?;
            outcome.tables.extend(referred.tables);
            outcome.is_complete = referred.is_complete;
        }
        Ok(())
    }

    fn conclude(&self, outcome: &Outcome) -> Result {
        table::show(&outcome.tables, self.flags.dry_run);
        if !outcome.unknown.is_empty() {
            let names: Vec<String> = outcome.unknown.iter().map(|name| output::plain(name)).collect();
            output::line(&format!("not taken over, because carebot has nothing like it: {}", names.join(", ")));
        }
        let report = self.flags.report.display();
        match self.report.count() {
            0 => output::line(&format!("nothing new to report in {report}")),
            1 => output::line(&format!("1 line added to {report}")),
            count => output::line(&format!("{count} lines added to {report}")),
        }
        output::line(&format!("done in {:.1} s", self.started.elapsed().as_secs_f64()));
        if outcome.is_complete {
            if !self.flags.dry_run {
                output::line(
                    "no report is deleted by age until you agree: `carebot retention status` shows how many would be",
                );
            }
            return Ok(());
        }
        Err(Failure::new("stopped before the end").next("What was copied stays; the same command goes on from there."))
    }
}

/// Shows how far it is, and stops when that is asked for.
struct Shown {
    progress: Progress,
    stop: CancellationToken,
    table: &'static str,
    since: Instant,
}

impl Shown {
    fn new(stop: CancellationToken) -> Self {
        Self { progress: Progress::every(Duration::from_secs(2)), stop, table: "", since: Instant::now() }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn page(&mut self, counts: &Counts) -> ControlFlow<()> {
        if self.table != counts.table {
            self.table = counts.table;
            self.since = Instant::now();
            // In a log, where no line is rewritten.
            if counts.about >= LONG && !output::is_terminal() {
                output::note(&format!("{}: about {} rows", counts.table, counts.about));
            }
        }
        let seconds = self.since.elapsed().as_secs_f64().max(0.001);
        self.progress.show(|| {
            let about = if counts.about > counts.read { format!(" of about {}", counts.about) } else { String::new() };
            format!("{}: {} rows{about}, {:.0} a second", counts.table, counts.read, counts.read as f64 / seconds)
        });
        if self.stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn explain(error: ImportError) -> Failure {
    match error {
        ImportError::Source(error) => Failure::new(format!("the existing installation: {error}")).next(
            "Check host, port, schema, user and password of its address (special characters are percent-encoded); its user \
             needs SELECT on the schema. What was copied stays; the same command goes on from there.",
        ),
        ImportError::Database(error) => error.into(),
        ImportError::Wrong(text) => Failure::new(text),
        ImportError::Report(error) => Failure::new(format!("the report can not be written: {error}"))
            .next("What was copied stays; make room or name another file with --report and run it again."),
    }
}

#[cfg(test)]
mod tests {
    use carebot_database::import::{Finding, Rule};

    use super::*;

    #[test]
    fn a_report_goes_on_behind_a_line_that_was_cut_short() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("report.jsonl");
        let write = |key: &str| {
            let finding = Finding {
                table: "news",
                key: key.to_owned(),
                column: None,
                rule: Rule::Orphan,
                done: "skipped".into(),
            };
            let mut report = open_report(&path).expect("a report");
            report.write(&[finding]).expect("it is written");
            report.count()
        };
        assert_eq!((write("1"), write("2"), write("1")), (1, 1, 0));
        let text = std::fs::read_to_string(&path).expect("a file");
        std::fs::write(&path, &text[..text.len() - 9]).expect("a file");
        assert_eq!((write("2"), write("2"), write("1")), (1, 0, 0));
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(text.lines().count(), 3);
        assert!(serde_json::from_str::<serde_json::Value>(text.lines().last().expect("a line")).is_ok(), "{text}");
    }
}
