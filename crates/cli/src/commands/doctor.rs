//! `carebot doctor`: finds out why something does not work.

use std::path::Path;

use carebot_database::connector::Dialect;
use carebot_database::journal::{self, ChainKey};
use carebot_database::{Db, DbError, DbUrl, migrate};
use carebot_model::Timestamp;
use carebot_server::tls::Certificate;
use carebot_service::alarms::carrier;
use clap::Args;

use crate::arguments::{Common, DatabaseFlags};
use crate::client::Client;
use crate::config::{Config, Mode};
use crate::failure::{Failure, Result};
use crate::{logging, output, setup, timeline_key};

/// With less than this a disk counts as nearly full, in MiB.
const LITTLE_SPACE: u64 = 1_024;
/// With less than this nothing can be relied on, in MiB.
const NO_SPACE: u64 = 64;
/// Two clocks may differ by this, in milliseconds.
const CLOCKS: i64 = 5_000;
/// 2026-01-01T00:00:00Z: a clock before it was never set.
const BUILT_AFTER: i64 = 1_767_225_600_000;
/// The oldest MariaDB that is supported.
const OLDEST_MARIADB: (u32, u32) = (10, 3);

/// Checks configuration, database, disk, clock and TLS, and says what to do
#[derive(Debug, Args)]
#[command(
    long_about = "Checks the configuration, the database and its schema, disk space, the clock, the TLS files and the channels of \
                  alarms, and with --url a running server. Changes nothing, and sends nothing: the mail server is only greeted.",
    after_help = "Examples:\n  carebot doctor\n  carebot doctor --config /etc/carebot/carebot.toml --url http://localhost:8000\n\n\
                  Exit code: 0 when nothing failed (warnings are no failure), else 1."
)]
pub struct Flags {
    #[command(flatten)]
    database: DatabaseFlags,
    /// Also asks the server that runs there
    #[arg(long)]
    url: Option<String>,
    /// Leaves the mail server alone, for who checks often
    #[arg(long)]
    without_mail: bool,
}

/// The checks made so far.
#[derive(Debug, Default)]
struct Report {
    fine: usize,
    warned: usize,
    failed: usize,
}

impl Report {
    fn ok(&mut self, what: &str) {
        self.fine += 1;
        output::line(&format!("ok    {what}"));
    }

    fn warn(&mut self, what: &str, next: &str) {
        self.warned += 1;
        output::line(&format!("warn  {what}\n      {next}"));
    }

    fn fail(&mut self, failure: &Failure) {
        self.failed += 1;
        output::line(&format!("FAIL  {}", failure.to_string().replace('\n', "\n    ")));
    }
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    logging::for_command(common.verbose);
    let mut report = Report::default();
    setup::runtime(1)?.block_on(async {
        clock(&mut report);
        match common.load(flags.database.settings()) {
            Err(failure) => report.fail(&failure),
            Ok(config) => {
                configuration(&config, &mut report);
                tls(&config, &mut report);
                disk(&config, &mut report);
                report.ok(&format!("assistant: {}", config.assistant.provider.as_str()));
                outside(&config, &mut report);
                if !flags.without_mail {
                    mail(&config, &mut report).await;
                }
                let key = key(&config, &mut report);
                database(&config, key.as_ref(), &mut report).await;
            }
        }
        if let Some(url) = &flags.url {
            server(url, &mut report).await;
        }
    });
    output::line(&format!("fine {}, warnings {}, failed {}", report.fine, report.warned, report.failed));
    if report.failed == 0 { Ok(()) } else { Err(Failure::quiet()) }
}

fn clock(report: &mut Report) {
    let now = setup::clock().now();
    if now.millis() < BUILT_AFTER {
        let failure = Failure::new(format!("the clock says {now} UTC, which is past"));
        report.fail(&failure.next("Set it, and have it kept right by NTP: reports and sessions are stamped with it."));
    } else {
        report.ok(&format!("clock: {now} UTC"));
    }
}

fn configuration(config: &Config, report: &mut Report) {
    report.ok(&format!("configuration: {} mode, listens on {}", config.mode().as_str(), config.server.listen));
    if config.images_warning().is_some() {
        report.warn(
            "addresses of uploaded pictures are paths alone, which pages at another host can not show",
            "Set server.public_url (or images.public_url) to the address people reach this server under.",
        );
    }
    let is_open = !config.server.listen.ip().is_loopback();
    if config.mode() == Mode::Development && is_open {
        report.warn(
            "development mode, and others can reach the address",
            "Development mode is for this machine only: use mode = \"release\", or listen on 127.0.0.1.",
        );
    }
    if config.is_http_for_robots_only() {
        report.warn(
            "plain http, but browsers are given a cookie for https only (robots and curl do not mind)",
            "Set tls.certificate and tls.key, or put a proxy that encrypts in front and name it in server.trusted_proxies; for a trial on plain http set sessions.cookie_secure = false.",
        );
    }
}

fn tls(config: &Config, report: &mut Report) {
    let Some((certificate, key)) = config.tls.files() else { return };
    match Certificate::load(certificate, key) {
        Ok(_) => report.ok(&format!("TLS: {} and its key belong together", certificate.display())),
        Err(error) => report
            .fail(&Failure::new(format!("TLS: {error}")).next("Both files are PEM; see tls.certificate and tls.key.")),
    }
    if others_may_read(key) {
        report.warn(
            &format!("others on this machine can read {}", key.display()),
            "chmod 600, and give it to the server's user.",
        );
    }
}

#[cfg(unix)]
fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_: &Path) -> bool {
    false
}

fn disk(config: &Config, report: &mut Report) {
    let DbUrl::Sqlite { path } = &config.database.url else { return };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Only for the eye; a folder that is not there is told below.
    let folder = &folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    match free_mib(folder) {
        None => {}
        Some(Err(error)) => report.fail(
            &Failure::new(format!("folder {}: {error}", folder.display())).next("Make it, or check database.url."),
        ),
        Some(Ok(mib)) if mib < NO_SPACE => report.fail(
            &Failure::new(format!("disk: {mib} MiB free in {}", folder.display()))
                .next("Make room: nothing can be stored on a full disk."),
        ),
        Some(Ok(mib)) if mib < LITTLE_SPACE => {
            report.warn(
                &format!("disk: only {mib} MiB free in {}", folder.display()),
                "Make room, or move the database.",
            );
        }
        Some(Ok(mib)) => report.ok(&format!("disk: {mib} MiB free in {}", folder.display())),
    }
}

/// Free space of a folder's disk for this user, where the system can tell.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "as where it can not be told")]
fn free_mib(folder: &Path) -> Option<std::io::Result<u64>> {
    let free = rustix::fs::statvfs(folder).map(|space| space.f_bavail.saturating_mul(space.f_frsize) >> 20);
    Some(free.map_err(Into::into))
}

#[cfg(not(unix))]
fn free_mib(_: &Path) -> Option<std::io::Result<u64>> {
    None
}

/// Who learns that this server fell silent, and what push services are told.
fn outside(config: &Config, report: &mut Report) {
    match config.alarms.dead_man() {
        Ok(Some(ping)) => report.ok(&format!("signs of life: to {} every minute", ping.host())),
        Ok(None) => report.warn(
            "signs of life: nobody outside is told when this server falls silent",
            "Set alarms.dead_man_url; see docs/alarms.md.",
        ),
        Err(bad) => report.fail(&Failure::new(bad)),
    }
    if config.named_contact().is_none() {
        report.warn(
            "web push: push services have nobody to turn to, and some refuse notices then",
            "Set alarms.contact, or mail.from, or server.public_url with https.",
        );
    }
}

async fn mail(config: &Config, report: &mut Report) {
    let Some(server) = config.mail.server() else { return report.ok("mail: off (mail.host is not set)") };
    match config.mail.for_service() {
        Err(bad) => return report.fail(&Failure::new(bad)),
        Ok(None) => {}
        Ok(Some(mailer)) => match mailer.check().await {
            Ok(()) => report.ok(&format!("mail: {server} answers (encryption: {})", config.mail.tls.as_str())),
            Err(undelivered) => report.fail(
                &Failure::new(format!("mail: {server}: {undelivered}"))
                    .next("Check mail.host, mail.port and mail.tls."),
            ),
        },
    }
    if config.mail.is_in_clear() {
        report.warn("mail: the password is sent for everybody on the way to read", "Set mail.tls to starttls or tls.");
    }
}

/// The key of the timelines, if it is there.
fn key(config: &Config, report: &mut Report) -> Option<ChainKey> {
    let path = config.timeline_key_file();
    let shown = path.display();
    let key = match timeline_key::read(&path) {
        Ok(Some(key)) => {
            report.ok(&format!("timeline key: {shown} (key {})", key.id()));
            Some(key)
        }
        Ok(None) => {
            report.warn(
                &format!("there is no timeline key {shown} yet"),
                "`carebot serve` makes it when it starts. If there was one, put it back: without it nothing can be verified.",
            );
            None
        }
        Err(failure) => {
            report.fail(&failure);
            None
        }
    };
    if timeline_key::is_open(&path) {
        report.warn(
            &format!("others on this machine can read {shown}, and so forge timelines"),
            "chmod 600, and give it to the server's user.",
        );
    }
    if config.timeline_key_is_anywhere() {
        report.warn(
            "the timeline key lies in whatever folder the server is started in",
            "Set alarms.key_file, to the same key for every server of this database.",
        );
    }
    key
}

async fn database(config: &Config, key: Option<&ChainKey>, report: &mut Report) {
    let url = &config.database.url;
    if let DbUrl::Sqlite { path } = url
        && !path.exists()
        && (config.database.create || config.database.is_default_url())
    {
        report.warn(&format!("there is no database {url} yet"), "`carebot serve` makes it when it starts.");
        return;
    }
    let db = match setup::open_existing(config).await {
        Ok(db) => db,
        Err(failure) => return report.fail(&failure),
    };
    if let Err(error) = open_database(&db, url, key, report).await {
        report.fail(&Failure::from(error).about(&format!("database {url}")));
    }
    db.close().await;
}

async fn open_database(db: &Db, url: &DbUrl, key: Option<&ChainKey>, report: &mut Report) -> Result<(), DbError> {
    let version = db.version().await?;
    report.ok(&format!("database: {url} answers ({version})"));
    if db.dialect() == Dialect::MariaDb {
        mariadb(db, &version, report).await?;
    }
    // Nothing is written: a transaction that begins is one that could.
    db.begin().await?.rollback().await;
    let status = migrate::status(db).await?;
    match status.pending.first() {
        None => {
            report.ok("schema: up to date");
            alarms(db, key, report).await?;
        }
        Some(first) => report.warn(
            &format!("schema: migration {} ({}) is missing", first.version, first.name),
            "`carebot serve` applies it when it starts, or `carebot migrate` now.",
        ),
    }
    let newest = status.applied.iter().filter_map(|done| done.finished_at).max();
    let now = setup::clock().now();
    if let Some(newest) = newest.filter(|newest| newest.since(now) > CLOCKS) {
        report.fail(
            &Failure::new(format!("the schema was made at {newest} UTC, and the clock says {now}"))
                .next("The clock is behind, or was ahead when the database was made: set it right."),
        );
    }
    Ok(())
}

/// What alarms need of the database.
async fn alarms(db: &Db, key: Option<&ChainKey>, report: &mut Report) -> Result<(), DbError> {
    match journal::installed(&mut db.read(), carrier::VAPID).await? {
        Some(_) => report.ok("web push: the key is there"),
        None => report.warn("web push: there is no key yet", "`carebot serve` makes it when it starts."),
    }
    let newest = journal::newest_key(&mut db.read()).await?;
    match (newest, key) {
        (Some(newest), Some(key)) if newest == key.id() => {
            report.ok("timelines: the newest entry was made with this key");
        }
        (Some(newest), Some(_)) => report.fail(
            &Failure::new(format!("timelines: the newest entry was made with another key ({newest})")).next(
                "Put the right file back, or set alarms.key_file to it; every server of a database needs the same.",
            ),
        ),
        (Some(newest), None) => report.fail(
            &Failure::new(format!("timelines: the key they were made with ({newest}) is not there"))
                .next("Put its file back, or set alarms.key_file to it."),
        ),
        (None, _) => report.ok("timelines: there are none yet"),
    }
    Ok(())
}

async fn mariadb(db: &Db, version: &str, report: &mut Report) -> Result<(), DbError> {
    let mut numbers =
        version.split(|character: char| !character.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if !version.to_ascii_lowercase().contains("mariadb") {
        report.warn(&format!("{version} is not MariaDB"), "It is not tested with anything else, MySQL included.");
    } else if found < OLDEST_MARIADB {
        report
            .warn(&format!("MariaDB {version} is older than 10.3"), "Update it: 10.3 is the oldest that is supported.");
    }
    let asked = setup::clock().now();
    let theirs = db
        .read()
        .fetch_one("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)", vec![], |row| row.get::<i64>(0))
        .await?;
    differs(report, "MariaDB", Timestamp::from_millis(theirs), asked);
    Ok(())
}

fn differs(report: &mut Report, whose: &str, theirs: Timestamp, ours: Timestamp) {
    if theirs.since(ours).abs() > CLOCKS {
        report.warn(&format!("the clock of {whose} says {theirs} UTC, ours {ours}"), "Have both kept right by NTP.");
    }
}

async fn server(url: &str, report: &mut Report) {
    let client = match Client::new(url) {
        Ok(client) => client.impatient(),
        Err(failure) => return report.fail(&failure),
    };
    for (path, what) in [("healthz", "runs"), ("readyz", "is ready for requests")] {
        match client.get(path).await {
            Err(failure) => return report.fail(&failure.about("server")),
            Ok(reply) if reply.status.is_success() => {
                report.ok(&format!("server: {url} {what}"));
                let date = reply.date.as_deref().and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
                if let Some(date) = date.filter(|_| path == "readyz") {
                    let theirs = Timestamp::from_millis(date.timestamp().as_millisecond());
                    differs(report, "the server", theirs, setup::clock().now());
                }
            }
            Ok(reply) => {
                let failure = Failure::new(format!("server: {url}/{path}: {}", reply.message()));
                report.fail(&failure.next("Its log says why; is it a carebot server, and does its database answer?"));
            }
        }
    }
}
