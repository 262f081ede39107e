//! Alarms: from a reading to a person, without losing anything on the way.
//!
//! * `raise`: what is dangerous becomes an alarm, in the transaction that stores what it was seen in.
//! * `climb`: who is told when. What is due is found in the database, so that a restart and the normal way are one way.
//! * [`mod@deliver`]: what is to be handed to whom, through which channel.
//! * [`mod@act`]: what people do about an alarm.
//! * [`mod@judge`]: rules that look at more than one report, or at the absence of any. `readings`: what they look at.
//! * [`mod@settings`]: what a family sets. [`mod@replay`]: what that would have meant.
//! * `beat`: that this installation was there all the while, and what becomes of clocks that were wrong.
//! * [`carrier`]: the channels of a running server. [`heads`]: how chains end, for whoever keeps that elsewhere. [`deadman`]: signs
//!   of life while the loops turn. [`mod@verify`]: whether timelines are as they were written.
//!
//! Whoever changes an alarm opens the family's [`Journal`] first. This orders everything that happens to a family's alarms,
//! on however many servers.
//!
//! # Several servers
//! Families are spread over [`SHARDS`] shards; of each one server is in charge, by a lease. The lease saves work and proves
//! nothing: what is overdue is done by whoever sees it, and the journal's lock and unique keys keep it from being done twice.

pub mod act;
pub mod carrier;
pub mod deadman;
pub mod deliver;
pub mod heads;
pub mod judge;
pub(crate) mod readings;
pub mod replay;
pub mod settings;
pub mod verify;

mod beat;
mod climb;
mod raise;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use carebot_database::journal::{ChainKey, Journal, Written};
use carebot_database::{DbError, Tx, alarms, rules};
use carebot_external::ping::Ping;
use carebot_model::alarms::{Alarm, AlarmView, EntryKind, EventKind, Parameters, Rule, Severity};
use carebot_model::mix::mix;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use moka::sync::Cache;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::{Result, Service};

pub use deliver::{Address, Carrier};
pub(crate) use raise::{Danger, LISTENING, own_notice};

/// How many shares the families are spread over.
pub const SHARDS: usize = 8;
const SHARD_NAMES: [&str; SHARDS] =
    ["alarms-0", "alarms-1", "alarms-2", "alarms-3", "alarms-4", "alarms-5", "alarms-6", "alarms-7"];
/// How long a server stays in charge of a shard that it does not ask for again.
const IN_CHARGE: Duration = Duration::from_secs(20);
/// What is overdue for so long is done by whoever sees it, in milliseconds.
const OVERDUE: i64 = 1_000;
/// For how long what a family set is believed without asking the database.
const BELIEVED: Duration = Duration::from_secs(2);

/// What can be set about alarms.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The key of the timelines, from outside of the database.
    pub key: ChainKey,
    /// Where the family's page is, to be linked in what is handed out; without a slash at the end.
    pub public_url: Option<String>,
    /// How channels are reached; none hands nothing out.
    pub carrier: Option<Arc<dyn Carrier>>,
    /// For how long what a family set is believed without asking the database; zero asks every time.
    pub believed: Duration,
    /// How many notices are handed out at the same time.
    pub at_once: usize,
    /// How often it is asked whether a notice on its way is still wanted, and its lease prolonged if it is: well within the two seconds
    /// after which nobody is disturbed any more, and within the lease of five.
    pub watch: Duration,
    /// Whether the webhooks and push services that people enter may lie in private networks.
    pub allow_private: bool,
    /// Where signs of life go while the loops turn, if anywhere.
    pub dead_man: Option<Ping>,
    /// Who keeps the heads of the timelines, besides the log.
    pub heads: Option<heads::Receiver>,
}

impl Default for Settings {
    /// With a key that everybody knows and without channels: for tests.
    fn default() -> Self {
        Self {
            key: ChainKey::new(b"a key for tests, known to everybody"),
            public_url: None,
            carrier: None,
            believed: BELIEVED,
            at_once: 64,
            watch: Duration::from_millis(500),
            allow_private: false,
            dead_man: None,
            heads: None,
        }
    }
}

/// What alarms need while the server runs.
#[derive(Debug)]
pub(crate) struct Alarms {
    settings: Settings,
    /// Wakes the loop that judges rules.
    pub rules: Notify,
    /// Wakes the loop that climbs ladders.
    pub ladders: Notify,
    /// Wakes the loop that hands out.
    pub deliveries: Notify,
    /// What families set about their rules.
    sets: Option<Cache<FamilyId, Arc<RuleSet>>>,
    /// Room for notices on their way.
    pub places: Arc<Semaphore>,
    /// Which deliveries are on their way.
    handing: Mutex<HashSet<RowId>>,
    /// What a channel took, and what could not be written down then.
    pub unwritten: deliver::Unwritten,
    /// Families that something just happened to here: no lease is asked for to look after them.
    fresh: Mutex<HashMap<FamilyId, i64>>,
    /// Heads of timelines that are to be sent.
    pub heads: heads::Heads,
    /// When the loops were started, unix milliseconds; [`NEVER`] where nobody has.
    begun: AtomicI64,
    /// That a clock was ahead, until what it planned is brought forward.
    ahead: Mutex<Option<beat::Ahead>>,
    /// When each loop last came round, unix milliseconds, or [`NEVER`].
    turned: [AtomicI64; 4],
}

const NEVER: i64 = i64::MIN;
/// How long ago a loop may have come round, in milliseconds.
const PATIENCE: i64 = 30_000;

/// One of the loops that must turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loop {
    Rules = 0,
    Ladders = 1,
    Deliveries = 2,
    /// The only one that always writes: without room on the disk the others would turn and be of no use.
    Beat = 3,
}

const LOOP_NAMES: [&str; 4] = ["rules", "ladders", "deliveries", "beat"];

impl Alarms {
    pub fn new(settings: Settings) -> Self {
        let never = || AtomicI64::new(NEVER);
        Self {
            rules: Notify::new(),
            ladders: Notify::new(),
            deliveries: Notify::new(),
            sets: (!settings.believed.is_zero())
                .then(|| Cache::builder().max_capacity(50_000).time_to_live(settings.believed).build()),
            places: Arc::new(Semaphore::new(settings.at_once)),
            handing: Mutex::default(),
            unwritten: deliver::Unwritten::default(),
            fresh: Mutex::default(),
            heads: heads::Heads::default(),
            begun: never(),
            ahead: Mutex::default(),
            turned: [never(), never(), never(), never()],
            settings,
        }
    }

    /// The key of the timelines.
    pub const fn key(&self) -> &ChainKey {
        &self.settings.key
    }

    /// A loop came round: it could see, or write, what it lives on.
    fn turned(&self, which: Loop, now: Timestamp) {
        self.turned[which as usize].store(now.millis(), Ordering::Relaxed);
    }

    /// When a loop last came round at this server.
    fn turned_at(&self, which: Loop) -> Option<i64> {
        Some(self.turned[which as usize].load(Ordering::Relaxed)).filter(|at| *at != NEVER)
    }

    /// What was set about a family's rules has changed.
    pub fn forget_rules(&self, family: FamilyId) {
        if let Some(sets) = &self.sets {
            sets.invalidate(&family);
        }
    }

    /// A delivery is on its way; false if it was already.
    pub fn begin(&self, delivery: RowId) -> bool {
        self.handing.lock().unwrap_or_else(PoisonError::into_inner).insert(delivery)
    }

    /// A delivery is not on its way any more.
    pub fn finish(&self, delivery: RowId) {
        self.handing.lock().unwrap_or_else(PoisonError::into_inner).remove(&delivery);
    }

    /// Something just happened to a family at this server, which then looks after it for a moment.
    fn touch(&self, family: FamilyId, now: Timestamp) {
        const MOMENT: i64 = 5_000;
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.retain(|_, at| (0..MOMENT).contains(&(now.millis() - *at)));
        fresh.insert(family, now.millis());
    }

    fn is_fresh(&self, family: FamilyId) -> bool {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&family)
    }
}

/// What a family set about its rules.
#[derive(Clone, Debug)]
pub(crate) struct RuleSet {
    parameters: Vec<Parameters>,
    muted: Vec<(Rule, Timestamp)>,
}

impl RuleSet {
    /// From what is stored. What does not fit the bounds of this program is left out, and said.
    fn new(family: FamilyId, settings: &[rules::Setting]) -> Self {
        let mut parameters: Vec<Parameters> = Rule::ALL.iter().map(|rule| Parameters::default_of(*rule)).collect();
        for setting in settings {
            let stored: serde_json::Map<String, Value> = serde_json::from_str(&setting.parameters).unwrap_or_default();
            let changes = stored.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_f64()?)));
            let of_rule = &mut parameters[setting.rule as usize];
            match of_rule.with(changes) {
                Ok(new) => *of_rule = new,
                Err(fault) => {
                    tracing::warn!(%family, rule = %setting.rule, ?fault, "what is stored about a rule does not fit; its defaults count");
                }
            }
        }
        let muted = settings
            .iter()
            .filter(|setting| !setting.rule.is_always_on())
            .filter_map(|setting| setting.muted.as_ref().map(|(until, ..)| (setting.rule, *until)))
            .collect();
        Self { parameters, muted }
    }

    /// The numbers of a rule.
    pub fn of(&self, rule: Rule) -> &Parameters {
        // One for each, in the order of the list.
        &self.parameters[rule as usize]
    }

    /// Until when a rule that somebody muted raises nothing so bad. What is critical is never held back.
    pub fn muted_until(&self, rule: Rule, severity: Severity, now: Timestamp) -> Option<Timestamp> {
        if severity == Severity::Crit {
            return None;
        }
        self.muted.iter().find(|(muted, until)| *muted == rule && now < *until).map(|(_, until)| *until)
    }
}

/// Which shard looks after a family.
fn shard_of(family: FamilyId) -> usize {
    let sum = family.as_str().bytes().fold(0_u64, |sum, byte| mix(sum ^ u64::from(byte)));
    usize::try_from(sum % SHARDS as u64).unwrap_or_default()
}

/// The event that tells of an alarm. `notify` are those to whom it is just being told.
fn tell(journal: &mut Journal, alarm: &Alarm, what: &str, notify: &[AccountId]) {
    let body = json!({ "what": what, "alarm": AlarmView::from(alarm), "notify": notify });
    journal.event(EventKind::Alarm, &body);
}

impl Service {
    /// What a family set about its rules, believed for a moment.
    pub(crate) async fn rule_set(&self, family: FamilyId) -> Result<Arc<RuleSet>, DbError> {
        if let Some(set) = self.alarms.sets.as_ref().and_then(|sets| sets.get(&family)) {
            return Ok(set);
        }
        let set = Arc::new(RuleSet::new(family, &rules::settings(&mut self.db.read(), family).await?));
        if let Some(sets) = &self.alarms.sets {
            sets.insert(family, Arc::clone(&set));
        }
        Ok(set)
    }

    /// Writes something into the timeline of an alarm.
    pub(crate) fn enter(&self, journal: &mut Journal, alarm: &Alarm, kind: EntryKind, body: &Value) {
        journal.entry(self.alarms.key(), alarm.id, kind, body);
    }

    /// What follows the commit of something that was written down about a family.
    pub(crate) fn written(&self, written: &Written) {
        if let (Some(length), Some(head)) = (written.entry_seq, &written.head) {
            // Where nobody who edits the database reaches: a chain that was cut is shorter than this.
            tracing::info!(
                target: "carebot::timeline",
                family = %written.family,
                entries = length,
                head = carebot_model::text::hexadecimal(head),
                "the timeline of a family became longer"
            );
        }
        self.keep_head(written);
        self.streams.written(written);
        self.alarms.touch(written.family, self.now());
        self.alarms.ladders.notify_one();
        self.alarms.deliveries.notify_one();
    }

    /// Whether this server looks after a family now: it is in charge of its shard, something just happened here, or it is so
    /// overdue that nobody else seems to.
    async fn looks_after(&self, family: FamilyId, due: Timestamp, now: Timestamp) -> Result<bool> {
        if self.alarms.is_fresh(family) || now.since(due) >= OVERDUE {
            return Ok(true);
        }
        self.lead(SHARD_NAMES[shard_of(family)], IN_CHARGE).await
    }

    /// Opens the journal of an alarm's family and reads the alarm as it is now.
    async fn locked(&self, tx: &mut Tx, alarm: &Alarm, now: Timestamp) -> Result<(Journal, Option<Alarm>), DbError> {
        let journal = Journal::open(tx, alarm.family, now).await?;
        let alarm = alarms::get(tx, alarm.id).await?;
        Ok((journal, alarm))
    }

    /// From now on the loops of alarms must turn: whoever starts them says so.
    pub fn expect_loops(&self) {
        self.alarms.begun.store(self.now().millis(), Ordering::Relaxed);
    }

    /// The loop of alarms that has not come round lately, if there is one. Where no loops were started, none is missed.
    pub fn stuck_loop(&self) -> Option<&'static str> {
        let (now, begun) = (self.now().millis(), self.alarms.begun.load(Ordering::Relaxed));
        if begun == NEVER {
            return None;
        }
        let is_late = |turned: &AtomicI64| {
            let last = match turned.load(Ordering::Relaxed) {
                NEVER => begun,
                at => at,
            };
            // A clock that was set back must not hide it either.
            now.abs_diff(last) > PATIENCE.unsigned_abs()
        };
        self.alarms.turned.iter().position(is_late).map(|place| LOOP_NAMES[place])
    }

    /// Whether every loop of alarms has come round, and lately.
    pub fn loops_turn(&self) -> bool {
        let has_turned = |turned: &AtomicI64| turned.load(Ordering::Relaxed) != NEVER;
        self.alarms.turned.iter().all(has_turned) && self.stuck_loop().is_none()
    }
}
