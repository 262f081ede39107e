//! What rules would have alarmed: the last days gone through once more, with the numbers of now and with others. Nothing is
//! written.
//!
//! The same functions judge as do for the live rules (`course`, and those of `carebot_model::alarms`). What is not
//! kept cannot be gone through: that the robot lives without a report, and when this server was away, is known of the last
//! time only. What people did about alarms, and what was muted, is left out.

use std::collections::{BTreeMap, VecDeque};

use carebot_database::Row;
use carebot_database::listing::{Key, Listing, Page, Range};
use carebot_database::rules::{self, Signs};
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::alarms::rules::{CRIT_SECONDS, WARN_SECONDS};
use carebot_model::alarms::threshold::{Change, GAP, State};
use carebot_model::alarms::{Parameters, RuleKind, Severity, decline, inactivity, silence};
use carebot_model::wire::Order;
use carebot_model::{Date, FamilyId, Timestamp, korea};
use schemars::JsonSchema;
use serde::Serialize;

use super::RuleSet;
use super::judge::{Course, SCORES, course};
use super::readings::Walk;
use super::settings::{Numbers, changed, rule_named};
use crate::status::OLDEST;
use crate::{Error, Result, Service};

/// Rules that look at one report at a time have no numbers to try.
pub const NOT_TRIED: &str = "This rule has no numbers that can be tried";
/// How many days can be gone through.
pub const DAYS: &str = "days must be between 1 and 30";
/// Somebody tries too much at once.
pub const BUSY: &str = "A trial of this account is under way";

/// How many trials an account may have under way.
pub(crate) const AT_ONCE: usize = 1;
/// The most days.
const MOST_DAYS: i64 = 30;
const DAY: i64 = 24 * 3_600_000;
/// How many rows are read at once.
const PAGE: u32 = 5_000;
/// The most alarms that are told of each set of numbers.
const MOST: usize = 1_000;

/// An alarm that was not raised.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WouldBe {
    /// How bad it would have become.
    pub severity: Severity,
    /// Since when it lasted.
    pub since: Timestamp,
    /// When it would have been raised.
    pub raised_at: Timestamp,
    /// When it would have been over; not yet if absent.
    pub cleared_at: Option<Timestamp>,
    /// The reading that raised it, in the rule's unit.
    pub value: Option<f64>,
}

/// What the last days would have been like.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Replayed {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The alarms with the numbers of now, in the order in which they would have been raised.
    pub now: Vec<WouldBe>,
    /// The alarms with the numbers that are tried.
    pub tried: Vec<WouldBe>,
    /// Whether there were more than are told.
    pub is_cut: bool,
}

/// What one set of numbers would have raised.
struct Record {
    numbers: Parameters,
    from: Timestamp,
    /// The alarm that lasts, and when it was last told of.
    open: Option<(WouldBe, Timestamp)>,
    over: Vec<WouldBe>,
    is_cut: bool,
}

impl Record {
    const fn new(numbers: Parameters, from: Timestamp) -> Self {
        Self { numbers, from, open: None, over: Vec::new(), is_cut: false }
    }

    fn active(&self) -> Option<Severity> {
        self.open.as_ref().map(|(alarm, _)| alarm.severity)
    }

    /// Raises an alarm, or has the one that lasts become worse.
    fn raise(&mut self, severity: Severity, since: Timestamp, at: Timestamp, value: Option<f64>) {
        match &mut self.open {
            Some((alarm, told_at)) => {
                alarm.severity = alarm.severity.max(severity);
                alarm.value = value.or(alarm.value);
                *told_at = at;
            }
            None => self.open = Some((WouldBe { severity, since, raised_at: at, cleared_at: None, value }, at)),
        }
    }

    fn end(&mut self, at: Option<Timestamp>) {
        let Some((alarm, told_at)) = self.open.take() else { return };
        if told_at < self.from {
            return;
        }
        if self.over.len() < MOST {
            self.over.push(WouldBe { cleared_at: at, ..alarm });
        } else {
            self.is_cut = true;
        }
    }

    fn follow(&mut self, found: Option<Severity>, since: Timestamp, at: Timestamp, value: Option<f64>) {
        match course(found, self.active()) {
            Course::Raise(severity) => self.raise(severity, since, at, value),
            Course::End => self.end(Some(at)),
            Course::Leave => {}
        }
    }

    fn finish(mut self) -> (Vec<WouldBe>, bool) {
        self.end(None);
        (self.over, self.is_cut)
    }
}

/// When signs came. Of every minute only the first and the last are kept: no rule is interested in a pause that short.
#[derive(Debug, Default)]
struct Signed(BTreeMap<i64, (Timestamp, Timestamp)>);

impl Signed {
    fn add(&mut self, at: Timestamp) {
        const MINUTE: i64 = 60_000;
        let (first, last) = self.0.entry(at.millis().div_euclid(MINUTE)).or_insert((at, at));
        (*first, *last) = ((*first).min(at), (*last).max(at));
    }

    fn merge(&mut self, other: &Self) {
        for (first, last) in other.0.values() {
            self.add(*first);
            self.add(*last);
        }
    }

    /// In order, up to a time.
    fn until(&self, until: Timestamp) -> Vec<Timestamp> {
        let mut signs: Vec<_> = self.0.values().flat_map(|(first, last)| [*first, *last]).collect();
        signs.dedup();
        signs.retain(|sign| *sign <= until);
        signs
    }
}

/// Which time of a sign counts: its place among the columns of [`rules::signs`].
#[derive(Clone, Copy, Debug)]
enum When {
    /// When it happened.
    Sensed = 0,
    /// When it came in.
    Received = 2,
}

/// What a rule that judges by the passing of time finds at a moment, when the last sign came then: how bad it is, since when,
/// and when to look again.
type Look<'a> =
    &'a dyn Fn(&Parameters, Option<Timestamp>, Timestamp) -> (Option<Severity>, Timestamp, Option<Timestamp>);

/// Looks whenever a sign comes, and whenever the rule itself wants to look again.
fn pass(record: &mut Record, signs: &[(Option<Timestamp>, Timestamp)], until: Timestamp, look: Look<'_>) {
    for (place, (sign, at)) in signs.iter().enumerate() {
        let next = signs.get(place + 1).map(|(_, next)| *next);
        let mut at = *at;
        loop {
            let (found, since, look_at) = look(&record.numbers, *sign, at);
            record.follow(found, since, at, None);
            match look_at {
                Some(later) if later > at && later <= until && next.is_none_or(|next| later < next) => at = later,
                _ => break,
            }
        }
    }
}

/// The last score of each of the last days, as a live rule finds them at the moment of the newest.
#[derive(Default)]
struct Days(VecDeque<(Date, i32, Timestamp)>);

impl Days {
    fn add(&mut self, at: Timestamp, score: i32) -> Vec<(Date, i32)> {
        let day = korea::date(at);
        if self.0.back().is_some_and(|(last, ..)| *last == day) {
            self.0.pop_back();
        }
        self.0.push_back((day, score, at));
        while self.0.front().is_some_and(|(.., last)| *last < at.plus_millis(-SCORES)) {
            self.0.pop_front();
        }
        self.0.iter().map(|(day, score, _)| (*day, *score)).collect()
    }
}

impl Service {
    /// What a rule would have alarmed in the last days with other numbers, and what with those of now.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators; [`Error::Invalid`], [`Error::OutOfBounds`];
    /// [`Error::Busy`] while another trial of the account is under way.
    pub async fn try_rule(
        &self,
        actor: &Actor,
        family: &str,
        rule: &str,
        numbers: &Numbers,
        days: Option<i64>,
    ) -> Result<Replayed> {
        let permit = self.family(actor, family, Action::RuleRead).await?;
        let account = actor.account().ok_or(Error::Forbidden)?;
        let rule = rule_named(rule)?;
        let days = days.unwrap_or(MOST_DAYS);
        if !(1..=MOST_DAYS).contains(&days) {
            return Err(Error::Invalid(DAYS));
        }
        let _share = self.trying.take(account).ok_or(Error::Busy(BUSY))?;
        let family = *permit.resource();
        let set = RuleSet::new(family, &rules::settings(&mut self.db.read(), family).await?);
        let tried = changed(set.of(rule), numbers)?;
        let until = self.now();
        let from = until.plus_millis(-days * DAY);
        let records = [set.of(rule).clone(), tried].map(|numbers| Record::new(numbers, from));
        let [now, tried] = match rule.definition().kind {
            RuleKind::Threshold => self.try_threshold(family, records, until).await,
            RuleKind::Silence => self.try_silence(&permit, records, until).await,
            RuleKind::Inactivity => self.try_inactivity(&permit, records, until).await,
            RuleKind::Decline => self.try_mood(&permit, records, until).await,
            RuleKind::CriticalFlag | RuleKind::Phrase | RuleKind::Sos | RuleKind::Disaster => {
                Err(Error::Invalid(NOT_TRIED))
            }
        }?;
        let ((now, now_is_cut), (tried, tried_is_cut)) = (now.finish(), tried.finish());
        Ok(Replayed { from, until, now, tried, is_cut: now_is_cut || tried_is_cut })
    }

    async fn try_threshold(&self, family: FamilyId, records: [Record; 2], until: Timestamp) -> Result<[Record; 2]> {
        let reach =
            |record: &Record| record.numbers.millis(WARN_SECONDS).max(record.numbers.millis(CRIT_SECONDS)) + GAP + 1;
        // From before the period on, for what had begun when it began.
        let after = records[0].from.plus_millis(-records.iter().map(reach).max().unwrap_or_default());
        let mut walk = Walk::new(family, records[0].numbers.rule(), after, until);
        let mut both = records.map(|record| (State::default(), record));
        while let Some(rows) = walk.next(&mut self.db.read()).await? {
            for (state, record) in &mut both {
                for (at, value) in rows.iter().copied() {
                    match state.advance(&record.numbers, at, value) {
                        Some(Change::Raised { severity, since, value }) => {
                            record.raise(severity, since, at, Some(value));
                        }
                        Some(Change::Cleared { .. }) => record.end(Some(at)),
                        None => {}
                    }
                }
            }
        }
        Ok(both.map(|(_, record)| record))
    }

    async fn try_silence(
        &self,
        permit: &Permit<FamilyId>,
        mut records: [Record; 2],
        until: Timestamp,
    ) -> Result<[Record; 2]> {
        let family = *permit.resource();
        let Some(made_at) = rules::made_at(&mut self.db.read(), family).await? else { return Ok(records) };
        let mut signed = self.signed(permit, (&Signs::OF_ROBOT, When::Received), records[0].from, until).await?;
        if let Some(heard) = rules::robot(&mut self.db.read(), family).await?.and_then(|robot| robot.heard_at) {
            signed.add(heard);
        }
        let back_at = self.back_at(&mut self.db.read(), self.now()).await?.flatten();
        let is_back_after = |first: &Timestamp| back_at.is_some_and(|back| back > *first);
        if signed.until(until).first().is_some_and(is_back_after)
            && let Some(back) = back_at
        {
            signed.add(back);
        }
        let mut signs: Vec<_> = signed.until(until).into_iter().map(|sign| (Some(sign), sign)).collect();
        if signs.first().is_none_or(|(_, first)| made_at < *first) {
            // Until the first one it had never reported.
            signs.insert(0, (None, made_at));
        }
        for record in &mut records {
            pass(record, &signs, until, &|numbers, heard_at, at| {
                let known = silence::Known { made_at, heard_at, back_at: None };
                let silence::Verdict { severity, since, look_at } = silence::judge(numbers, known, at);
                (severity, since, look_at)
            });
        }
        Ok(records)
    }

    async fn try_inactivity(
        &self,
        permit: &Permit<FamilyId>,
        mut records: [Record; 2],
        until: Timestamp,
    ) -> Result<[Record; 2]> {
        let signed = self.signed(permit, (&Signs::OF_LIFE, When::Sensed), records[0].from, until).await?;
        let signs: Vec<_> = signed.until(until).into_iter().map(|sign| (Some(sign), sign)).collect();
        for record in &mut records {
            pass(record, &signs, until, &|numbers, seen_at, at| {
                let seen_at = seen_at.unwrap_or(at);
                let inactivity::Verdict { severity, look_at } = inactivity::judge(numbers, seen_at, at);
                (severity, seen_at, look_at)
            });
        }
        Ok(records)
    }

    async fn try_mood(
        &self,
        permit: &Permit<FamilyId>,
        mut records: [Record; 2],
        until: Timestamp,
    ) -> Result<[Record; 2]> {
        let range = Range { start: records[0].from.plus_millis(-SCORES), end: until };
        let listing = rules::scored(permit, range);
        let mut days = Days::default();
        let mut after = None;
        loop {
            let page = listing
                .page(&mut self.db.read(), Order::Ascending, after, None, PAGE, Vec::new, |scores, row| {
                    scores.push((row.get::<Timestamp>(0)?, row.get::<i32>(2)?));
                    Ok(())
                })
                .await?;
            for (at, score) in page.state {
                let days = days.add(at, score);
                for record in &mut records {
                    let found = decline::judge(&record.numbers, &days);
                    record.follow(found, at, at, Some(f64::from(score)));
                }
            }
            after = page.last;
            if !page.is_full {
                return Ok(records);
            }
        }
    }

    /// When signs came in a period, and the last one before it.
    async fn signed(
        &self,
        permit: &Permit<FamilyId>,
        (places, when): (&[Signs], When),
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Signed> {
        let mut signed = Signed::default();
        for place in places {
            // What was sensed before may have come in within.
            let start = from.plus_millis(-OLDEST);
            let before = rules::signs(permit, *place, Range { start: Timestamp::MIN, end: start.plus_millis(-1) });
            signed.merge(&self.some_signed(&before, when, Order::Descending, None, 1).await?.state);
            let listing = rules::signs(permit, *place, Range { start, end: until });
            let mut after = None;
            loop {
                let page = self.some_signed(&listing, when, Order::Ascending, after, PAGE).await?;
                signed.merge(&page.state);
                after = page.last;
                if !page.is_full {
                    break;
                }
            }
        }
        Ok(signed)
    }

    async fn some_signed(
        &self,
        listing: &Listing,
        when: When,
        order: Order,
        after: Option<Key>,
        limit: u32,
    ) -> Result<Page<Signed>> {
        let column = when as usize;
        let add = move |signed: &mut Signed, row: &Row<'_>| {
            signed.add(row.get(column)?);
            Ok(())
        };
        Ok(listing.page(&mut self.db.read(), order, after, None, limit, Signed::default, add).await?)
    }
}
