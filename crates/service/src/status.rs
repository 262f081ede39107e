//! Reports of the robot, and what is computed from conversations.

use std::sync::Arc;

use carebot_database::images::Viewer;
use carebot_database::journal::{Journal, Written};
use carebot_database::listing::Range;
use carebot_database::rules::Robot;
use carebot_database::status::{self, NewReport};
use carebot_database::{DbError, Tx, idempotency, rollups, rules, transact};
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::alarms::{Cause, EventKind, Rule, Severity};
use carebot_model::images::Source;
use carebot_model::status::{FieldValue, Mental, MentalReport, Report, StatusKind};
use carebot_model::wire::Order;
use carebot_model::{FamilyId, RowId, Timestamp};
use serde_json::json;

use crate::alarms::readings::{self, FRESH};
use crate::alarms::{Danger, RuleSet};
use crate::assistant::Of;
use crate::pages::{Bounds, Extent, Pages, Step};
use crate::polls::Asked;
use crate::{Error, Result, Service};

/// When too little was said to judge how somebody speaks and thinks.
pub const TOO_LITTLE: &str = "No conversation found";

/// How far back a report may have been sensed, in milliseconds: a week.
pub const OLDEST: i64 = 7 * 24 * 3_600_000;
/// How far a robot's clock may be ahead, in milliseconds. What is further ahead was sensed now.
pub const AHEAD: i64 = 5 * 60_000;

/// How often at most an event tells of a family's readings of a kind that they are beyond a bound, in milliseconds: a robot may
/// report every second then, and the alarm tells of the rest.
pub(crate) const NOTICED: i64 = 60_000;

/// Why an older one is refused.
pub const TOO_OLD: &str = "A report can be at most 7 days old (sensed_at)";

/// What is known of a report besides its fields.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The robot's own key for it: the same report again is the same row.
    pub key: Option<String>,
    /// When it was sensed; now if absent.
    pub sensed_at: Option<Timestamp>,
}

impl Origin {
    /// Of a report by itself; a key may be longer than those of batches.
    pub fn new(key: Option<String>, sensed_at: Option<Timestamp>) -> Self {
        Self { key: key.map(idempotency::source_key), sensed_at }
    }

    /// The key that is stored. What is critical has keys of its own: a robot that gives a fall the key of something harmless, because
    /// it counts anew after a restart, does not send that again, and must not be told that its fall is known.
    fn stored_key(self, is_critical: bool) -> Option<String> {
        // The robot's own keys have no blanks.
        self.key.map(|key| if is_critical { idempotency::source_key(format!("{key} critical")) } else { key })
    }
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is stored.
    Stored,
    /// It is stored, as of now: the robot's clock is wrong.
    Corrected,
    /// It was there already; nothing has changed.
    Known,
}

/// Where a report says that its picture is; only some kinds can have one.
pub(crate) fn image_url<K: StatusKind>(fields: &K) -> Option<String> {
    let place = K::COLUMNS.iter().position(|column| *column == "image_url")?;
    match fields.values().swap_remove(place) {
        FieldValue::Text(url) => url,
        _ => None,
    }
}

/// When a report counts as sensed, and whether that had to be corrected: never after it came in, so that it is judged at once. What
/// is dangerous is never too old: a robot that was just switched on may not know the time.
pub(crate) fn sensed(at: Option<Timestamp>, is_critical: bool, now: Timestamp) -> Result<(Timestamp, bool)> {
    match at {
        None => Ok((now, false)),
        Some(at) if at > now => Ok((now, at > now.plus_millis(AHEAD))),
        Some(at) if now.since(at) <= OLDEST => Ok((at, false)),
        Some(_) if is_critical => Ok((now, true)),
        Some(_) => Err(Error::Invalid(TOO_OLD)),
    }
}

/// A report on its way into the database, with all that must be stored together with it.
pub(crate) struct Arrival<K> {
    pub report: NewReport<K>,
    picture: Option<RowId>,
    image_url: Option<String>,
    /// The rules that have to look.
    pub marks: Vec<Rule>,
    /// When it was sensed, if its hour may be summed up already.
    pub late: Option<Timestamp>,
    /// Whether it came late.
    is_late: bool,
    /// Whether the robot says that it is dangerous.
    is_critical: bool,
    /// The rules beyond whose bounds a reading is.
    noticed: Vec<Rule>,
    /// Whether an event tells of it.
    pub is_told: bool,
    /// What has become of it when it is stored.
    pub taken: Taken,
}

impl<K> Arrival<K> {
    /// Whether nothing else has to be stored with it.
    fn is_plain(&self) -> bool {
        self.picture.is_none() && self.marks.is_empty() && !self.is_late && !self.is_told
    }
}

impl Service {
    /// Stores a report; comes back when it is durable, and with it the alarm that it means.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators; [`Error::Invalid`] if it is too old.
    pub async fn report<K: StatusKind>(&self, actor: &Actor, family: &str, fields: K, origin: Origin) -> Result<Taken> {
        let permit = self.family(actor, family, Action::StatusReport).await?;
        self.note_robot(actor).await?;
        let mut arrival = self.arrive(actor, &permit, fields, origin).await?;
        self.have_noticed(*permit.resource(), &mut arrival);
        let stored = if arrival.is_plain() {
            status::append(&self.db, &permit, &arrival.report).await.map(drop)
        } else {
            self.store_with_all(&permit, &arrival).await
        };
        if stored.is_err() {
            self.noticed.unclaim(&(*permit.resource(), K::NAME));
        }
        match stored {
            Ok(()) => {
                self.streams.reading(*permit.resource(), &arrival.report);
                Ok(arrival.taken)
            }
            Err(error) if error.is_duplicate("source") && arrival.report.source_key.is_some() => Ok(Taken::Known),
            // The family went away between the permit and the row.
            Err(DbError::MissingParent) => Err(Error::Forbidden),
            Err(error) => Err(error.into()),
        }
    }

    /// Has an event tell of a report that a rule has to look at because of what was read, if none did lately.
    pub(crate) fn have_noticed<K: StatusKind>(&self, family: FamilyId, arrival: &mut Arrival<K>) {
        arrival.is_told |=
            !arrival.noticed.is_empty() && self.noticed.claim((family, K::NAME), arrival.report.received_at);
    }

    /// What has to be stored with a report.
    async fn arrive<K: StatusKind>(
        &self,
        actor: &Actor,
        permit: &Permit<FamilyId>,
        fields: K,
        origin: Origin,
    ) -> Result<Arrival<K>> {
        let picture = self.picture_named(actor, image_url(&fields).as_deref()).await?;
        let set = match readings::readings_of(&fields) {
            Some(_) => Some(self.rule_set(*permit.resource()).await?),
            None => None,
        };
        self.arrival(fields, origin, picture, set.as_deref())
    }

    /// As [`Service::arrive`], with the picture that is its and the family's rules; a kind without readings needs no rules.
    pub(crate) fn arrival<K: StatusKind>(
        &self,
        fields: K,
        origin: Origin,
        picture: Option<RowId>,
        set: Option<&RuleSet>,
    ) -> Result<Arrival<K>> {
        let now = self.now();
        let is_critical = readings::is_critical(&fields);
        let (reported_at, is_corrected) = sensed(origin.sensed_at, is_critical, now)?;
        let is_late = now.since(reported_at) > FRESH;
        let (noticed, marks) = match (readings::readings_of(&fields), set) {
            (Some(readings), Some(set)) => readings::to_mark(readings, set, is_late),
            _ => (Vec::new(), Vec::new()),
        };
        Ok(Arrival {
            picture,
            image_url: image_url(&fields),
            marks,
            late: (!K::SERIES.is_empty() && now.since(reported_at) > rollups::LATE).then_some(reported_at),
            is_late,
            is_critical,
            noticed,
            is_told: is_critical,
            taken: if is_corrected { Taken::Corrected } else { Taken::Stored },
            report: NewReport {
                id: self.next_id(now)?,
                reported_at,
                received_at: now,
                source_key: origin.stored_key(is_critical),
                fields,
            },
        })
    }

    async fn store_with_all<K: StatusKind>(
        &self,
        permit: &Permit<FamilyId>,
        arrival: &Arrival<K>,
    ) -> Result<(), DbError> {
        let (family, now) = (*permit.resource(), arrival.report.received_at);
        let written = transact!(self.db, tx => {
            // First, so that everybody takes the locks in one order.
            let mut journal = if arrival.is_told { Some(Journal::open(&mut tx, family, now).await?) } else { None };
            if arrival.is_late {
                // By its own clock it may be older than what was heard before, and was heard none the less.
                rules::note_robot(&mut tx, family, &Robot { heard_at: Some(now), ..Robot::default() }).await?;
            }
            self.store(&mut tx, permit, arrival, journal.as_mut()).await?;
            match journal {
                Some(journal) => journal.close(&mut tx).await.map(Some),
                None => Ok::<_, DbError>(None),
            }
        })?;
        self.stored(written.as_ref(), !arrival.marks.is_empty());
        if arrival.late.is_some() {
            self.late_come.notify_one();
        }
        Ok(())
    }

    /// Stores a report with everything that belongs to it. One that is told of needs the journal.
    pub(crate) async fn store<K: StatusKind>(
        &self,
        tx: &mut Tx,
        permit: &Permit<FamilyId>,
        arrival: &Arrival<K>,
        journal: Option<&mut Journal>,
    ) -> Result<(), DbError> {
        let (family, report) = (*permit.resource(), &arrival.report);
        status::create(tx, permit, report).await?;
        self.refer(tx, arrival.picture, (Source::Report, report.id), &[Viewer::Family(family)]).await?;
        for rule in &arrival.marks {
            rules::mark(tx, family, *rule, report.reported_at, report.received_at).await?;
        }
        if arrival.late.is_some() {
            rollups::note_late(tx, family, K::NAME, arrival.late).await?;
        }
        let Some(journal) = journal.filter(|_| arrival.is_told) else { return Ok(()) };
        let (is_critical, reported_at) = (arrival.is_critical, report.reported_at);
        let mut body =
            json!({"kind": K::NAME, "index": report.id, "is_critical": is_critical, "reported_at": reported_at});
        if !is_critical {
            body["rules"] = json!(arrival.noticed);
        }
        journal.event(EventKind::Report, &body);
        if is_critical {
            let danger = Danger {
                image_url: arrival.image_url.clone(),
                inputs: json!({"kind": K::NAME, "is_critical": true}),
                ..Danger::at(Rule::Fall, Severity::Crit, report.reported_at, (Cause::Report, Some(report.id)))
            };
            self.raise(tx, journal, danger).await?;
        }
        Ok(())
    }

    /// What follows the commit of reports.
    pub(crate) fn stored(&self, written: Option<&Written>, has_marks: bool) {
        if let Some(written) = written {
            self.written(written);
        }
        if has_marks {
            self.alarms.rules.notify_one();
        }
    }

    /// As [`Service::list_reports`] of a kind whose ranges are thinned, from what is kept where that gives the same answer: the rows as
    /// `write` writes them, with commas between them, or nothing. What asks for a long range again and again costs little so. `write` has to be the same each time: what it
    /// wrote is kept.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn poll_reports<K: StatusKind>(
        &self,
        actor: &Actor,
        family: &str,
        (start, end, order): (Timestamp, Option<Timestamp>, Order),
        write: fn(&mut Vec<u8>, &Report<K>),
    ) -> Result<Option<Vec<u8>>> {
        let permit = self.family(actor, family, Action::StatusRead).await?;
        if !K::THINNED {
            return Ok(None);
        }
        let now = self.now();
        let asked = Asked {
            family: *permit.resource(),
            kind: K::NAME,
            range: Range::seconds(start, end.unwrap_or(now)),
            order,
            bounds: Bounds { row_limit: self.settings.row_limit, newest_whole: Some(self.settings.newest_whole) },
            listing: &|range| status::listing::<K>(&permit, range),
            write: Arc::new(move |page, row| {
                write(page, &status::report::<K>(row)?);
                Ok(())
            }),
        };
        self.polls.answer(&self.db, now, &asked).await
    }

    /// How many bytes are kept for [`Service::poll_reports`].
    pub fn kept_for_polls(&self) -> usize {
        self.polls.bytes()
    }

    /// Reports of a closed range, page by page; `step` puts each into a page. For kinds whose ranges are compared with
    /// `reported_at`.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_reports<K: StatusKind, S: Send + 'static>(
        &self,
        actor: &Actor,
        family: &str,
        (start, end, order): (Timestamp, Option<Timestamp>, Order),
        init: fn() -> S,
        step: fn(&mut S, &Report<K>),
    ) -> Result<Pages<S>> {
        let permit = self.family(actor, family, Action::StatusRead).await?;
        let listing = status::listing::<K>(&permit, Range::seconds(start, end.unwrap_or_else(|| self.now())));
        let bounds = Bounds {
            row_limit: self.settings.row_limit,
            newest_whole: K::THINNED.then_some(self.settings.newest_whole),
        };
        let step: Step<S> = Arc::new(move |page, row| {
            step(page, &status::report::<K>(row)?);
            Ok(())
        });
        Pages::open(&self.db, listing, order, bounds, init, step).await
    }

    /// Reports about periods that start or end in a closed range.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_periods<K: StatusKind>(
        &self,
        actor: &Actor,
        family: &str,
        (start, end, order): (Timestamp, Option<Timestamp>, Order),
    ) -> Result<(Vec<Report<K>>, Extent)> {
        let permit = self.family(actor, family, Action::StatusRead).await?;
        let range = Range::seconds(start, end.unwrap_or_else(|| self.now()));
        let limit = self.settings.row_limit;
        let mut reports = status::list::<K>(&mut self.db.read(), &permit, range, order, limit + 1).await?;
        if reports.len() <= limit as usize {
            return Ok((reports, Extent::Whole));
        }
        // One more than the limit was asked for: the oldest goes.
        match order {
            Order::Ascending => drop(reports.remove(0)),
            Order::Descending => drop(reports.pop()),
        }
        Ok((reports, Extent::Truncated))
    }

    /// The newest report.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] if there is none.
    pub async fn latest_report<K: StatusKind>(&self, actor: &Actor, family: &str) -> Result<Report<K>> {
        let permit = self.family(actor, family, Action::StatusRead).await?;
        status::latest::<K>(&mut self.db.read(), &permit).await?.ok_or(Error::NotFound(K::TEXTS.none))
    }

    /// Deletes the newest report.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] if there is none.
    pub async fn delete_latest_report<K: StatusKind>(&self, actor: &Actor, family: &str) -> Result<()> {
        let permit = self.family(actor, family, Action::StatusDelete).await?;
        let existed = transact!(self.db, tx => { status::delete_latest::<K>(&mut tx, &permit).await })?;
        self.late_come.notify_one();
        if existed { Ok(()) } else { Err(Error::NotFound(K::TEXTS.none)) }
    }

    /// Judges the mood of today from what the elder said, and stores it.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NothingFrom`] if too little was said; [`Error::Failed`] without an assistant.
    pub async fn compute_mood(&self, actor: &Actor, family: &str) -> Result<serde_json::Value> {
        let permit = self.family(actor, family, Action::MentalCreate).await?;
        let judged = self.assistant.mood(Of { service: self, permit: &permit }).await;
        judged.map_err(|trouble| trouble.refusal(Mental::TEXTS.not_created, Some(Mental::TEXTS.none)))
    }

    /// Sums up the mood over a period, and stores it.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Failed`] without an assistant.
    pub async fn compute_mood_report(
        &self,
        actor: &Actor,
        family: &str,
        (start, end): (Timestamp, Option<Timestamp>),
    ) -> Result<serde_json::Value> {
        let permit = self.family(actor, family, Action::MentalCreate).await?;
        let period = (start, end.unwrap_or_else(|| self.now()));
        let summed_up = self.assistant.mood_report(Of { service: self, permit: &permit }, period).await;
        let texts = MentalReport::TEXTS;
        summed_up.map_err(|trouble| trouble.refusal(texts.not_created, Some(texts.none)))
    }

    /// What today's conversation is about.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Failed`] without an assistant.
    pub async fn keywords(&self, actor: &Actor, family: &str) -> Result<serde_json::Value> {
        let permit = self.family(actor, family, Action::ConversationRead).await?;
        let found = self.assistant.keywords(Of { service: self, permit: &permit }).await;
        found.map_err(|trouble| trouble.refusal("Failed to create conversation keywords", None))
    }

    /// How the elder speaks and thinks; without a start, of the last days.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NothingFrom`] if too little was said; [`Error::Failed`] without an assistant.
    pub async fn psychology(
        &self,
        actor: &Actor,
        family: &str,
        (start, end): (Option<Timestamp>, Option<Timestamp>),
    ) -> Result<serde_json::Value> {
        let permit = self.family(actor, family, Action::ConversationRead).await?;
        let period = start.map(|start| (start, end.unwrap_or_else(|| self.now())));
        let judged = self.assistant.psychology(Of { service: self, permit: &permit }, period).await;
        judged.map_err(|trouble| trouble.refusal("Failed to create psychology report", Some(TOO_LITTLE)))
    }
}
