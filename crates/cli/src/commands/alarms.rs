//! `carebot alarms`: timelines that are verified, alarms that are listed, drills.

use std::cmp::Ordering;
use std::path::PathBuf;
use std::time::Duration;

use carebot_database::journal::{self, ChainKey, Hash, Stub};
use carebot_database::{Db, DbError, migrate};
use carebot_model::access::Actor;
use carebot_model::alarms::{AlarmView, EntryKind};
use carebot_model::text::hexadecimal;
use carebot_model::{FamilyId, RowId};
use carebot_service::alarms::verify::{self, Fault, Verified};
use carebot_service::{Error, Service};
use clap::{Args, Subcommand};
use tokio::time::Instant;

use crate::arguments::{Common, DatabaseFlags};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::{logging, output, setup, timeline_key};

/// How many families are read at once.
const PAGE: u32 = 500;
/// How many alarms are read at once.
const ALARMS: u32 = 500;
/// How often a drill looks whether somebody was reached.
const LOOK: Duration = Duration::from_millis(250);

/// Verifies timelines, lists alarms, holds a drill
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
                  carebot alarms verify --database sqlite:carebot.db\n  \
                  carebot alarms drill --family F234567890123456"
)]
pub struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Looks whether anybody edited a timeline
    #[command(
        long_about = "Looks whether anybody changed, removed or inserted an entry of a timeline: verifies the chain of every \
                      family, and what remains of the chains of deleted ones, with the key of alarms.key_file. After a change of key give the \
                      older ones with --older-key.\n\n\
                      Entries that were cut off at the end show only against a head that was kept elsewhere. The server's log \
                      has them (`the timeline of a family became longer`, with `entries` and `head`), and what receives \
                      alarms.head_webhook_url: give them with --head.",
        after_help = "Examples:\n  carebot alarms verify\n  carebot alarms verify --family F234567890123456 --head 42:9f2c..\n\n\
                      Exit code: 0 when nothing is wrong, else 1."
    )]
    Verify(Verify),
    /// Lists alarms, the newest first
    #[command(after_help = "Example:\n  carebot alarms list --family F234567890123456 --active")]
    List(List),
    /// Holds a drill: an alarm that goes the whole way and says everywhere that it is none
    #[command(
        long_about = "Holds a drill: raises an alarm that goes the whole way to people, and says everywhere that it is only a \
                      drill. The running server hands it out; this command waits for that and tells whom it reached.\n\n\
                      The drill lasts until somebody acknowledges it.",
        after_help = "Example:\n  carebot alarms drill --family F234567890123456\n\n\
                      Exit code: 0 when a channel has taken a notice, 1 when none has in time."
    )]
    Drill(Drill),
}

#[derive(Debug, Args)]
struct Verify {
    /// This family only
    #[arg(long, value_name = "ID", value_parser = family)]
    family: Option<FamilyId>,
    /// An entry's number and its hash, as they were written to the log. Can be repeated
    #[arg(long, value_name = "NUMBER:HASH", value_parser = head, requires = "family")]
    head: Vec<(i64, Hash)>,
    /// A file with a key that was used before the one of alarms.key_file. Can be repeated
    #[arg(long, value_name = "FILE")]
    older_key: Vec<PathBuf>,
    #[command(flatten)]
    database: DatabaseFlags,
}

#[derive(Debug, Args)]
struct List {
    /// Of this family only
    #[arg(long, value_name = "ID")]
    family: Option<String>,
    /// Only those whose danger lasts
    #[arg(long)]
    active: bool,
    #[command(flatten)]
    database: DatabaseFlags,
}

#[derive(Debug, Args)]
struct Drill {
    /// The family
    #[arg(long, value_name = "ID")]
    family: String,
    /// How long it waits until somebody is reached
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    wait: u64,
    #[command(flatten)]
    database: DatabaseFlags,
}

fn family(text: &str) -> Result<FamilyId, String> {
    FamilyId::parse(text).ok_or_else(|| "the id of a family is F and 15 letters and digits".to_owned())
}

fn head(text: &str) -> Result<(i64, Hash), String> {
    let parsed = text.split_once(':').and_then(|(number, hash)| {
        let is_hash = hash.len() == 64 && hash.is_ascii();
        let bytes = (0..hash.len()).step_by(2).map(|at| u8::from_str_radix(hash.get(at..at + 2)?, 16).ok());
        let bytes = bytes.collect::<Option<Vec<u8>>>().filter(|_| is_hash)?;
        Some((number.parse().ok().filter(|number| *number > 0)?, bytes.try_into().ok()?))
    });
    parsed.ok_or_else(|| "write the number of an entry, `:` and its hash, 64 hexadecimal digits".to_owned())
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    let database = match &flags.command {
        Command::Verify(verify) => &verify.database,
        Command::List(list) => &list.database,
        Command::Drill(drill) => &drill.database,
    };
    let config = common.load(database.settings())?;
    logging::for_command(common.verbose);
    match &flags.command {
        Command::Verify(flags) => setup::runtime(1)?.block_on(async {
            let mut keys = vec![key(&config)?];
            for path in &flags.older_key {
                let missing = || Failure::new(format!("there is no timeline key at {}", path.display()));
                keys.push(timeline_key::read(path)?.ok_or_else(missing)?);
            }
            let db = setup::open_existing(&config).await?;
            let done = verify_all(&db, &keys, flags).await;
            db.close().await;
            done
        }),
        Command::List(flags) => setup::with_service(&config, async |service| list(service, flags).await),
        Command::Drill(flags) => {
            let key = key(&config)?;
            setup::with_service(&config, async |service| drill(service, &key, flags).await)
        }
    }
}

/// The key of the timelines, which must be there.
fn key(config: &Config) -> Result<ChainKey> {
    let path = config.timeline_key_file();
    timeline_key::read(&path)?.ok_or_else(|| {
        Failure::new(format!("there is no timeline key at {}", path.display())).next(
            "It is where the server runs, which makes it when it first starts: use its configuration and working \
             directory, or set alarms.key_file.",
        )
    })
}

/// What was looked at, and what of it is wrong.
#[derive(Debug, Default)]
struct Found {
    chains: usize,
    entries: i64,
    stubs: usize,
    faults: usize,
}

impl Found {
    fn fault(&mut self, family: FamilyId, what: &str) {
        self.faults += 1;
        output::line(&format!("{family}  {what}"));
    }

    fn chain(&mut self, verified: &Verified) {
        self.chains += 1;
        self.entries += verified.entries;
        if let Some(fault) = &verified.fault {
            self.fault(verified.family, &told(fault));
        }
    }

    fn stub(&mut self, keys: &[ChainKey], stub: &Stub) {
        self.stubs += 1;
        match verify::stub(keys, stub) {
            Some(true) => {}
            Some(false) => self.fault(stub.family, "what remains of it was changed after the family was deleted"),
            None => {
                let what = format!("what remains of it was signed with another key ({})", output::plain(&stub.key_id));
                self.fault(stub.family, &what);
            }
        }
    }
}

fn told(fault: &Fault) -> String {
    match fault {
        Fault::Changed { seq } => format!("entry {seq}, or something before it, was changed"),
        Fault::Missing { seq } => format!("entries before {seq} are missing"),
        Fault::Cut { entries, expected } if entries < expected => {
            format!("the end is missing: there are {entries} entries of {expected}")
        }
        Fault::Cut { entries, .. } => format!("it does not end as it is said to, with entry {entries}"),
        Fault::OtherKeys(others) => {
            let each = others.iter().map(|other| {
                format!("{} of key {} (the first is {})", other.entries, output::plain(&other.key_id), other.seq)
            });
            format!(
                "entries are said to be made with keys that were not given: {}. Give those you know with --older-key; one that \
                 nobody knows was written by somebody who edited the timeline",
                each.collect::<Vec<_>>().join(", ")
            )
        }
    }
}

async fn verify_all(db: &Db, keys: &[ChainKey], flags: &Verify) -> Result {
    migrate::check(db).await?;
    let mut found = Found::default();
    let stubs = journal::stubs(&mut db.read()).await?;
    if let Some(family) = flags.family {
        let stub = stubs.iter().find(|stub| stub.family == family);
        if let Some(stub) = stub {
            found.stub(keys, stub);
        } else {
            let verified = verify::family(db, keys, family).await?;
            found.chain(&verified);
            if let (None, Some(hash)) = (&verified.fault, verified.head) {
                output::line(&format!("{family}  ends with {}:{}", verified.entries, hexadecimal(&hash)));
            }
        }
        for (number, hash) in &flags.head {
            if let Some(what) = compare(db, family, stub, (*number, hash)).await? {
                found.fault(family, &what);
            }
        }
    } else {
        let mut last = None;
        loop {
            let page = journal::families_with_chains(&mut db.read(), last, PAGE).await?;
            for family in &page {
                found.chain(&verify::family(db, keys, *family).await?);
            }
            last = page.last().copied();
            if page.len() < PAGE as usize {
                break;
            }
        }
        for stub in &stubs {
            found.stub(keys, stub);
        }
    }
    let Found { chains, entries, stubs, faults } = found;
    let verdict = if faults == 0 { "nothing is wrong".to_owned() } else { format!("faults: {faults}") };
    output::line(&format!(
        "key {}; chains: {chains}, entries: {entries}, remains of deleted families: {stubs}; {verdict}",
        keys.iter().map(ChainKey::id).collect::<Vec<_>>().join(", ")
    ));
    if faults == 0 { Ok(()) } else { Err(Failure::quiet()) }
}

/// What is wrong with an entry that was written to the log; nothing if it is still there.
async fn compare(
    db: &Db,
    family: FamilyId,
    stub: Option<&Stub>,
    (number, hash): (i64, &Hash),
) -> Result<Option<String>, DbError> {
    let Some(stub) = stub else {
        return Ok(match journal::entry_hash(&mut db.read(), family, number).await? {
            Some(found) if found == *hash => None,
            Some(_) => Some(format!("entry {number} is not the one that was written to the log")),
            None => Some(format!("entry {number} is missing, which was written to the log: the end was cut off")),
        });
    };
    let entries = stub.entries;
    Ok(match number.cmp(&entries) {
        Ordering::Greater => {
            Some(format!("it was deleted with {entries} entries, and entry {number} was written to the log"))
        }
        Ordering::Less => {
            output::line(&format!("{family}  is deleted: of its entries only the last, {entries}, can be compared"));
            None
        }
        Ordering::Equal => (stub.head.as_ref() != Some(hash))
            .then(|| format!("entry {number} is not the one that was written to the log")),
    })
}

async fn list(service: &Service, flags: &List) -> Result {
    let operator = Actor::operator();
    let families: Vec<String> = match &flags.family {
        Some(family) => vec![family.clone()],
        None => service.list_families(&operator).await?.iter().map(|family| family.id.to_string()).collect(),
    };
    let mut all: Vec<AlarmView> = Vec::new();
    for family in families {
        let mut before = None;
        loop {
            let page = service.list_alarms(&operator, &family, flags.active, before, ALARMS).await;
            let page = page.map_err(|error| no_family(error, &family))?;
            let is_last = page.len() < ALARMS as usize;
            before = page.last().map(|alarm| alarm.id);
            all.extend(page);
            if is_last {
                break;
            }
        }
    }
    all.sort_by_key(|alarm| std::cmp::Reverse((alarm.raised_at, alarm.id)));
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|alarm| {
            vec![
                alarm.raised_at.to_string(),
                alarm.family_id.to_string(),
                alarm.id.0.to_string(),
                alarm.rule.to_string(),
                alarm.severity.to_string(),
                alarm.state.to_string(),
                alarm.occurrences.to_string(),
                alarm.acknowledged_by.map_or_else(|| "-".to_owned(), |account| account.to_string()),
            ]
        })
        .collect();
    output::table(&["RAISED (UTC)", "FAMILY", "ID", "RULE", "SEVERITY", "STATE", "TIMES", "ACKNOWLEDGED BY"], &rows);
    Ok(())
}

fn no_family(error: Error, family: &str) -> Failure {
    match error {
        Error::NotFound(_) => Failure::new(format!("there is no family {}", output::plain(family)))
            .next("`carebot family list` shows all."),
        other => other.into(),
    }
}

async fn drill(service: &Service, key: &ChainKey, flags: &Drill) -> Result {
    let operator = Actor::operator();
    let newest = journal::newest_key(&mut service.db().read()).await?;
    if let Some(other) = newest.filter(|newest| newest != key.id()) {
        return Err(Failure::new(format!("the timelines are made with another key ({})", output::plain(&other)))
            .next("Set alarms.key_file to the file that the server uses."));
    }
    let id = service.hold_drill(&operator, &flags.family).await.map_err(|error| no_family(error, &flags.family))?;
    output::line(&format!("drill {} of family {} is raised", id.0, flags.family));
    if flags.wait == 0 { Ok(()) } else { wait(service, &operator, id, Duration::from_secs(flags.wait)).await }
}

/// Tells what becomes of an alarm until a channel has taken a notice.
async fn wait(service: &Service, operator: &Actor, id: RowId, patience: Duration) -> Result {
    let deadline = Instant::now() + patience;
    let mut seen = 0;
    loop {
        let (_, timeline) = service.alarm_timeline(operator, id).await?;
        let mut is_taken = false;
        for entry in timeline.iter().filter(|entry| entry.seq > seen) {
            let text = |name: &str| entry.body[name].as_str().map(output::plain);
            let (to, error) = (text("to").unwrap_or_default(), text("error").unwrap_or_default());
            match (entry.kind, text("channel")) {
                (EntryKind::Handed, Some(channel)) => {
                    is_taken = true;
                    output::line(&format!("taken by {channel}, for {to}"));
                }
                (EntryKind::Failed, Some(channel)) => {
                    output::line(&format!("not taken by {channel}, for {to}: {error}"));
                }
                (EntryKind::Failed, None) => output::line(&format!("no way to {to}")),
                _ => {}
            }
        }
        seen = timeline.last().map_or(seen, |entry| entry.seq);
        if is_taken {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!("nobody was reached within {} s", patience.as_secs())).next(
                "Does the server run, and do those who look after this family have a channel? It goes on trying; \
                 `carebot doctor` looks at the channels.",
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_number_and_a_hash() {
        let hash = "9f".repeat(32);
        assert_eq!(head(&format!("42:{hash}")), Ok((42, [0x9f; 32])));
        let long = format!("42:{hash}00");
        let odd = format!("42:{}g", &hash[1..]);
        for wrong in
            ["", "42", "42:", ":9f", &format!("0:{hash}"), &format!("-1:{hash}"), &long, &odd, &hash, "42:한글"]
        {
            assert!(head(wrong).is_err(), "{wrong}");
        }
    }
}
