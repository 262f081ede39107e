//! What robots gathered while they were offline.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use carebot_database::journal::Journal;
use carebot_database::rules::{self, Robot};
use carebot_database::{DbError, Tx, rollups, status, transact};
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::alarms::Rule;
use carebot_model::for_each_status_kind;
use carebot_model::status::{Active, Health, Home, Mental, MentalReport, StatusKind};
use carebot_model::{FamilyId, RowId, Timestamp, wire_enum};
use schemars::JsonSchema;
use serde::Serialize;

use crate::alarms::RuleSet;
use crate::status::{Arrival, Origin, Taken, image_url};
use crate::{Error, Result, Service};

/// The most reports of a batch.
pub const MANY: usize = 1_000;
/// Why a batch with more is refused.
pub const TOO_MANY: &str = "A batch can hold at most 1000 reports";
/// How many reports are stored in one transaction.
const CHUNK: usize = 200;

wire_enum!(
    /// What became of a report of a batch.
    Fate {
        /// It is stored.
        Stored = "stored",
        /// It is stored, as of now: the robot's clock is wrong.
        Corrected = "corrected",
        /// It was there already; nothing has changed.
        Known = "known",
        /// It is not stored, and never will be as it is.
        Refused = "refused",
    }
);

impl From<Taken> for Fate {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Stored => Self::Stored,
            Taken::Corrected => Self::Corrected,
            Taken::Known => Self::Known,
        }
    }
}

/// What became of a report of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outcome {
    /// The robot's own key for it, if it had one that can be.
    pub key: Option<String>,
    /// What became of it.
    pub status: Fate,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Processed {
    /// How many are stored, corrected ones included.
    pub stored: usize,
    /// How many were there already.
    pub known: usize,
    /// How many are not stored.
    pub refused: usize,
    /// Each, in the order of the request.
    pub items: Vec<Outcome>,
}

impl Processed {
    fn of(items: Vec<Outcome>) -> Self {
        let count = |fates: &[Fate]| items.iter().filter(|item| fates.contains(&item.status)).count();
        Self {
            stored: count(&[Fate::Stored, Fate::Corrected]),
            known: count(&[Fate::Known]),
            refused: count(&[Fate::Refused]),
            items,
        }
    }
}

type Arrive = dyn FnOnce(&Service, Origin, Option<RowId>, (FamilyId, &RuleSet)) -> Result<Waiting> + Send + Sync;

/// The fields of a report, whatever its kind.
pub struct Reading {
    image_url: Option<String>,
    arrive: Box<Arrive>,
}

impl Reading {
    /// Of a kind.
    pub fn new<K: StatusKind>(fields: K) -> Self {
        Self {
            image_url: image_url(&fields),
            arrive: Box::new(|service, origin, picture, (family, set)| {
                let mut arrival = service.arrival(fields, origin, picture, Some(set))?;
                service.have_noticed(family, &mut arrival);
                Ok(Waiting {
                    place: 0,
                    kind: K::NAME,
                    key: arrival.report.source_key.clone().unwrap_or_default(),
                    reported_at: arrival.report.reported_at,
                    marks: std::mem::take(&mut arrival.marks),
                    late: arrival.late.take(),
                    is_told: arrival.is_told,
                    taken: arrival.taken,
                    report: Box::new(arrival),
                })
            }),
        }
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

/// A report of a batch.
#[derive(Debug)]
pub struct Incoming {
    /// The robot's own key for it.
    pub key: String,
    /// The family; that of the whole batch if absent.
    pub family: Option<String>,
    /// When it was sensed.
    pub sensed_at: Timestamp,
    /// What was sensed.
    pub reading: Reading,
}

/// A report of a batch, or its key and why it cannot be taken.
pub type Item = Result<Incoming, (Option<String>, String)>;

/// Stores a report of any kind.
trait Store: Send + Sync {
    fn store<'a>(
        &'a self,
        service: &'a Service,
        tx: &'a mut Tx,
        permit: &'a Permit<FamilyId>,
        journal: Option<&'a mut Journal>,
    ) -> Pin<Box<dyn Future<Output = Result<(), DbError>> + Send + 'a>>;
}

impl<K: StatusKind> Store for Arrival<K> {
    fn store<'a>(
        &'a self,
        service: &'a Service,
        tx: &'a mut Tx,
        permit: &'a Permit<FamilyId>,
        journal: Option<&'a mut Journal>,
    ) -> Pin<Box<dyn Future<Output = Result<(), DbError>> + Send + 'a>> {
        Box::pin(service.store(tx, permit, self, journal))
    }
}

/// A report that waits for its transaction.
struct Waiting {
    /// Where it stands in the request.
    place: usize,
    kind: &'static str,
    key: String,
    reported_at: Timestamp,
    /// The rules that have to look: once for all reports of a transaction.
    marks: Vec<Rule>,
    /// When it was sensed, if that has to be noted: once for all reports of a transaction.
    late: Option<Timestamp>,
    /// Whether an event tells of it.
    is_told: bool,
    /// What has become of it when it is stored.
    taken: Taken,
    report: Box<dyn Store>,
}

/// What waits for a family.
struct Desk {
    permit: Permit<FamilyId>,
    set: Arc<RuleSet>,
    waiting: Vec<Waiting>,
}

/// A batch on its way.
#[derive(Default)]
struct Batch {
    desks: Vec<Desk>,
    /// The pictures of ours that were named already.
    pictures: HashMap<String, Option<RowId>>,
    outcomes: Vec<Outcome>,
}

impl Batch {
    fn refuse(&mut self, place: usize, message: &str) {
        self.outcomes[place].message = Some(message.to_owned());
    }
}

/// Why a report alone is refused; an error if it is not its own fault.
fn own_fault(error: Error) -> Result<&'static str> {
    match error {
        Error::Invalid(message) | Error::NotFound(message) => Ok(message),
        Error::Forbidden => Ok(FORBIDDEN),
        other => Err(other),
    }
}

const FORBIDDEN: &str = "You do not have permission";

/// Whether a row could not be stored because of what it is, and not because of the state of the database.
const fn is_of_the_row(error: &DbError) -> bool {
    matches!(
        error,
        DbError::Duplicate { .. } | DbError::MissingParent | DbError::BadValue { .. } | DbError::Statement(_)
    )
}

/// The family that is named, else the caller's own.
///
/// # Errors
/// [`Error::NotFound`] for operators, [`Error::Forbidden`] for everybody else, if there is neither.
pub fn named_or_own(actor: &Actor, family: Option<&str>) -> Result<String> {
    match (family, actor.own_family()) {
        (Some(family), _) => Ok(family.to_owned()),
        (None, Some(own)) => Ok(own.as_str().to_owned()),
        (None, None) if actor.is_system() => Err(Error::NotFound("Family not found")),
        (None, None) => Err(Error::Forbidden),
    }
}

/// Whether somebody could report anything at all. Of others a long body is not even looked at.
///
/// # Errors
/// [`Error::Forbidden`].
pub fn may_report(actor: &Actor) -> Result<()> {
    if actor.is_system() || actor.own_family().is_some() { Ok(()) } else { Err(Error::Forbidden) }
}

impl Service {
    /// Stores reports that were gathered while the robot was offline. Each is judged by itself, and one that was stored before
    /// changes nothing; what is stored is durable when this comes back. `family` is that of reports that name none; if it is
    /// absent too, the caller's own.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::Forbidden`] or [`Error::NotFound`] if the caller may not report for the family of the
    /// whole batch; as the database: then some of it may be stored, and the whole of it can be sent again.
    pub async fn report_batch(&self, actor: &Actor, family: Option<&str>, items: Vec<Item>) -> Result<Processed> {
        if items.len() > MANY {
            return Err(Error::TooLarge(TOO_MANY.to_owned()));
        }
        may_report(actor)?;
        let family = if family.is_none() && actor.is_system() { None } else { Some(named_or_own(actor, family)?) };
        let mut batch = Batch::default();
        if let Some(family) = &family {
            self.desk(actor, family, &mut batch.desks).await?;
        }
        self.note_robot(actor).await?;
        for (place, item) in items.into_iter().enumerate() {
            let (key, incoming) = match item {
                Ok(incoming) => (Some(incoming.key.clone()), Ok(incoming)),
                Err((key, message)) => (key, Err(message)),
            };
            batch.outcomes.push(Outcome { key, status: Fate::Refused, message: None });
            match incoming {
                Ok(incoming) => self.admit(actor, family.as_deref(), &mut batch, place, incoming).await?,
                Err(message) => batch.refuse(place, &message),
            }
        }
        let desks = std::mem::take(&mut batch.desks);
        for (place, desk) in desks.iter().enumerate() {
            let taken = self.take_in(desk, &mut batch).await;
            if taken.is_err() {
                // It is sent again, and is to be told then.
                for desk in &desks[place..] {
                    for waiting in desk.waiting.iter().filter(|waiting| waiting.is_told) {
                        self.noticed.unclaim(&(*desk.permit.resource(), waiting.kind));
                    }
                }
            }
            taken?;
        }
        Ok(Processed::of(batch.outcomes))
    }

    /// Where reports for a family wait. The policy and the rules are asked once for each.
    async fn desk<'a>(&self, actor: &Actor, family: &str, desks: &'a mut Vec<Desk>) -> Result<&'a mut Desk> {
        let there = desks.iter().position(|desk| desk.permit.resource().as_str() == family);
        let place = there.unwrap_or(desks.len());
        if there.is_none() {
            let permit = self.family(actor, family, Action::StatusReport).await?;
            let set = self.rule_set(*permit.resource()).await?;
            desks.push(Desk { permit, set, waiting: Vec::new() });
        }
        Ok(&mut desks[place])
    }

    /// Has a report wait for its transaction, or refuses it.
    async fn admit(
        &self,
        actor: &Actor,
        family: Option<&str>,
        batch: &mut Batch,
        place: usize,
        incoming: Incoming,
    ) -> Result<()> {
        let Incoming { key, family: own, sensed_at, reading } = incoming;
        let Some(family) = own.as_deref().or(family) else {
            batch.refuse(place, "Family ID is required");
            return Ok(());
        };
        let picture = self.picture_of(actor, &mut batch.pictures, reading.image_url.as_deref()).await?;
        let arrived = match self.desk(actor, family, &mut batch.desks).await {
            Ok(desk) => {
                let origin = Origin { key: Some(key), sensed_at: Some(sensed_at) };
                (reading.arrive)(self, origin, picture, (*desk.permit.resource(), &desk.set))
                    .map(|waiting| desk.waiting.push(Waiting { place, ..waiting }))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = arrived {
            batch.refuse(place, own_fault(error)?);
        }
        Ok(())
    }

    /// The picture of ours that a URL names; each is looked for once.
    async fn picture_of(
        &self,
        actor: &Actor,
        known: &mut HashMap<String, Option<RowId>>,
        url: Option<&str>,
    ) -> Result<Option<RowId>> {
        let Some(url) = url else { return Ok(None) };
        if let Some(picture) = known.get(url) {
            return Ok(*picture);
        }
        let picture = self.picture_named(actor, Some(url)).await?;
        known.insert(url.to_owned(), picture);
        Ok(picture)
    }

    /// Stores what waits for a family.
    async fn take_in(&self, desk: &Desk, batch: &mut Batch) -> Result<()> {
        self.note_heard(*desk.permit.resource(), Robot::default()).await.or_else(|error| match error {
            // The family went away; its reports will be refused one by one.
            Error::Forbidden => Ok(()),
            other => Err(other),
        })?;
        for chunk in desk.waiting.chunks(CHUNK) {
            match self.store_together(&desk.permit, chunk).await {
                Ok(taken) => batch.settle(chunk, &taken),
                // One of them is at fault: alone it hinders nobody.
                Err(error) if is_of_the_row(&error) => {
                    for waiting in chunk {
                        self.store_alone(&desk.permit, waiting, batch).await?;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn store_alone(&self, permit: &Permit<FamilyId>, waiting: &Waiting, batch: &mut Batch) -> Result<()> {
        let one = std::slice::from_ref(waiting);
        match self.store_together(permit, one).await {
            Ok(taken) => batch.settle(one, &taken),
            Err(DbError::MissingParent) => batch.refuse(waiting.place, FORBIDDEN),
            Err(error) if is_of_the_row(&error) => {
                tracing::error!(family = %permit.resource(), kind = waiting.kind, %error, "a report of a batch could not be stored");
                batch.refuse(waiting.place, "This report could not be stored");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Stores reports of a family in one transaction; what became of each.
    async fn store_together(&self, permit: &Permit<FamilyId>, chunk: &[Waiting]) -> Result<Vec<Taken>, DbError> {
        let (family, now) = (*permit.resource(), self.now());
        let is_told = chunk.iter().any(|waiting| waiting.is_told);
        let (taken, written, has_marks, is_late) = transact!(self.db, tx => {
            // First, so that everybody takes the locks in one order.
            let mut journal = if is_told { Some(Journal::open(&mut tx, family, now).await?) } else { None };
            let mut known = known(&mut tx, permit, chunk).await?;
            let (mut taken, mut marks) = (Vec::with_capacity(chunk.len()), BTreeMap::new());
            let mut late: BTreeMap<&'static str, Vec<Timestamp>> = BTreeMap::new();
            for waiting in chunk {
                if !known.insert((waiting.kind, waiting.key.clone())) {
                    taken.push(Taken::Known);
                    continue;
                }
                match waiting.report.store(self, &mut tx, permit, journal.as_mut()).await {
                    Ok(()) => taken.push(waiting.taken),
                    // Another request was faster.
                    Err(error) if error.is_duplicate("source") => {
                        taken.push(Taken::Known);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                late.entry(waiting.kind).or_default().extend(waiting.late);
                for rule in &waiting.marks {
                    let from = marks.entry(*rule).or_insert(waiting.reported_at);
                    *from = waiting.reported_at.min(*from);
                }
            }
            for (rule, from) in &marks {
                rules::mark(&mut tx, family, *rule, *from, now).await?;
            }
            let is_late = late.values().any(|times| !times.is_empty());
            for (kind, times) in late {
                rollups::note_late(&mut tx, family, kind, times).await?;
            }
            let written = match journal {
                Some(journal) => Some(journal.close(&mut tx).await?),
                None => None,
            };
            Ok::<_, DbError>((taken, written, !marks.is_empty(), is_late))
        })?;
        self.stored(written.as_ref(), has_marks);
        if is_late {
            self.late_come.notify_one();
        }
        self.streams.readings(family);
        Ok(taken)
    }
}

impl Batch {
    fn settle(&mut self, chunk: &[Waiting], taken: &[Taken]) {
        for (waiting, taken) in chunk.iter().zip(taken) {
            self.outcomes[waiting.place].status = Fate::from(*taken);
        }
    }
}

/// Which reports of some are there already: kind and key.
async fn known(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    chunk: &[Waiting],
) -> Result<HashSet<(&'static str, String)>, DbError> {
    let mut known = HashSet::new();
    macro_rules! look_for {
        ($kind:ident) => {
            let of_kind = chunk.iter().filter(|waiting| waiting.kind == $kind::NAME);
            let keys: Vec<&str> = of_kind.map(|waiting| waiting.key.as_str()).collect();
            let there = status::known_keys::<$kind>(tx, permit, &keys).await?;
            known.extend(there.into_iter().map(|key| ($kind::NAME, key)));
        };
    }
    for_each_status_kind!(look_for);
    Ok(known)
}
