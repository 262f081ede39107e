//! The outbox: what is to be handed to whom, through which channel.
//!
//! A delivery is for one person, one step of a ladder. Its channels are tried in the person's order until one has taken it.
//! Handing over happens at least once: a server that dies between the channel's yes and its own commit has it handed over again, with
//! the same id, by which receivers know it. One that lives and only could not write remembers, and writes it down when it can.
//! An acknowledgement ends every delivery in its own transaction, and what is on its way at that moment is broken off.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carebot_database::contacts::{self, Contact};
use carebot_database::deliveries::{self, Delivery, Ended, Fate};
use carebot_database::journal::Journal;
use carebot_database::{DbError, Tx, alarms, presence, transact};
use carebot_external::channels::{Notice, Undelivered};
use carebot_model::alarms::text::Language;
use carebot_model::alarms::{Alarm, AlarmView, Channel, EntryKind, Rule, Severity, text};
use carebot_model::korea::AHEAD_MS;
use carebot_model::{AccountId, RowId, Timestamp};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::json;

use super::Loop;
use super::climb::is_climbed;
use crate::{Result, Service};

/// How many deliveries are read at once.
const BATCH: u32 = 128;
/// For how long a delivery is taken, in milliseconds. It is prolonged while a channel is being tried, so that only a server that
/// died holds one up, and not for long.
const LEASE: i64 = 5_000;
/// After how long something is tried again, in milliseconds; doubled each time.
const FIRST_PAUSE: i64 = 5_000;
/// The same for something critical.
const FIRST_URGENT: i64 = 1_000;
/// The longest pause.
const LONGEST_PAUSE: i64 = 10 * 60_000;
/// The longest pause of something critical in its [first hour](URGENT).
const LONGEST_URGENT: i64 = 60_000;
/// How long something critical is urgent, in milliseconds.
const URGENT: i64 = 3_600_000;
/// For how long channels may fail before others are told, in milliseconds: long enough for a provider that makes everybody come twice.
const PATIENCE: i64 = 60_000;
/// When an entry of a try says when that was, because it could not be written then, in milliseconds.
const LATE: i64 = 1_000;
/// For how long something critical is tried, in milliseconds.
const CRIT_TRIES: i64 = 3 * 24 * 3_600_000;
/// For how long something else is tried.
const TRIES: i64 = 6 * 3_600_000;

/// A way out of this server.
pub type Carried<'a> = Pin<Box<dyn Future<Output = Result<(), Undelivered>> + Send + 'a>>;

/// Where somebody is reached.
#[derive(Clone, Debug)]
pub enum Address {
    /// A browser or phone.
    Push(contacts::Device),
    /// An e-mail address.
    Email(String),
    /// An address that is called, and the secret it is signed with.
    Webhook(String, String),
}

/// Hands notices to channels. The real one speaks to other services; a simulation has its own.
pub trait Carrier: Debug + Send + Sync {
    /// Hands over a notice; comes back when the channel has taken it, or says why not.
    fn carry<'a>(&'a self, address: &'a Address, notice: &'a Notice, language: Language) -> Carried<'a>;

    /// Whether there is such a channel at all.
    fn has(&self, channel: Channel) -> bool;
}

/// How it went with one person.
#[derive(Debug)]
enum Outcome {
    Handed(Channel),
    Later(String, Option<Duration>),
    Unreachable(Option<String>),
    /// It is not for this person any more.
    Left,
}

/// What became of a try with one channel.
#[derive(Clone, Debug)]
struct Try {
    channel: Channel,
    error: Option<String>,
    at: Timestamp,
}

/// A notice that a channel took.
#[derive(Clone, Debug)]
struct Taken {
    delivery: Delivery,
    alarm: Alarm,
    channel: Channel,
    tries: Vec<Try>,
}

/// Notices that channels took while the database could not be written: nobody is told again for that by this server.
#[derive(Debug, Default)]
pub(crate) struct Unwritten(Mutex<HashMap<RowId, Taken>>);

impl Unwritten {
    fn lock(&self) -> MutexGuard<'_, HashMap<RowId, Taken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A delivery that is on its way from this server, for as long as this is there.
struct Begun(Arc<Service>, RowId);

impl Begun {
    /// None if it is on its way already.
    fn new(service: &Arc<Service>, delivery: RowId) -> Option<Self> {
        service.alarms.begin(delivery).then(|| Self(Arc::clone(service), delivery))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.alarms.finish(self.1);
    }
}

impl Service {
    /// Hands out what is due, and waits until all of it was tried; how many notices were taken.
    ///
    /// # Errors
    /// As the database. What could not be done stays due.
    pub async fn hand_out_notices(&self) -> Result<usize> {
        let due = self.due_notices().await?;
        let handing = due.into_iter().map(|(delivery, _)| self.hand_over(delivery));
        let results: Vec<_> =
            futures_util::stream::iter(handing).buffer_unordered(self.alarms.settings.at_once).collect().await;
        let mut handed = 0;
        for result in results {
            handed += usize::from(result?);
        }
        Ok(handed)
    }

    /// Has what is due handed out, each notice on its own: one that takes long holds up no other. Half of the places are kept for
    /// dangers to life, however many others wait for receivers that hang.
    ///
    /// # Errors
    /// As the database.
    pub(crate) async fn begin_handing_out(self: &Arc<Self>) -> Result<()> {
        for (delivery, comes_first) in self.due_notices().await? {
            if !comes_first && self.alarms.places.available_permits() <= self.alarms.settings.at_once / 2 {
                // They are sorted: nothing behind it comes first.
                return Ok(());
            }
            let Ok(place) = Arc::clone(&self.alarms.places).try_acquire_owned() else {
                // Those that are on their way make room.
                return Ok(());
            };
            let (service, alarm, id) = (Arc::clone(self), delivery.alarm, delivery.id);
            let Some(begun) = Begun::new(self, id) else { continue };
            self.background.spawn(async move {
                if let Err(error) = service.hand_over(delivery).await {
                    tracing::error!(
                        alarm = alarm.0,
                        delivery = id.0,
                        ?error,
                        "a notice could not be handed over; it is tried again"
                    );
                }
                drop((begun, place));
                service.alarms.deliveries.notify_one();
            });
        }
        Ok(())
    }

    async fn due_notices(&self) -> Result<Vec<(Delivery, bool)>> {
        let now = self.now();
        self.write_what_was_taken().await;
        let mut due = deliveries::due(&mut self.db.read(), now, BATCH).await?;
        due.retain(|(delivery, _)| !self.alarms.unwritten.lock().contains_key(&delivery.id));
        self.alarms.turned(Loop::Deliveries, now);
        Ok(due)
    }

    /// Writes down what channels took when it could not be written down. What still cannot be is left for the next turn.
    async fn write_what_was_taken(&self) {
        let all: Vec<_> = self.alarms.unwritten.lock().values().cloned().collect();
        for taken in all {
            let id = taken.delivery.id;
            match self.write_taken(taken).await {
                Ok(()) => drop(self.alarms.unwritten.lock().remove(&id)),
                Err(error) => {
                    tracing::warn!(delivery = id.0, ?error, "that a channel took a notice cannot be written down yet");
                }
            }
        }
    }

    async fn write_taken(&self, taken: Taken) -> Result<()> {
        let Taken { delivery, alarm, channel, tries } = taken;
        // It may have been written down, and only the answer was lost; or the family is gone.
        let fate = deliveries::fate_of(&mut self.db.read(), delivery.id).await?;
        if fate.is_some_and(|fate| fate.ended.as_deref() != Some("handed")) {
            self.note_outcome(&delivery, &alarm, Outcome::Handed(channel), &tries).await?;
        }
        Ok(())
    }

    /// Hands one delivery over; whether a channel took it.
    async fn hand_over(&self, delivery: Delivery) -> Result<bool> {
        let now = self.now();
        let until = now.plus_millis(LEASE);
        // In one transaction: of several databases another one might not know the alarm yet.
        let claimed = transact!(self.db, tx => {
            if !deliveries::claim(&mut tx, delivery.id, self.holder, now, until).await? {
                return Ok(None);
            }
            let alarm = alarms::get(&mut tx, delivery.alarm).await?;
            let alarm = alarm.filter(|alarm| alarm.episode == delivery.episode && alarm.wants_people());
            let Some(alarm) = alarm else {
                deliveries::end(&mut tx, delivery.id, Ended::Cancelled, None, now).await?;
                return Ok(None);
            };
            // Whoever left the family meanwhile is told nothing more about it.
            let contact = if may_be_told(&mut tx, &delivery).await? {
                contacts::get(&mut tx, delivery.account).await?
            } else {
                None
            };
            Ok::<_, DbError>(Some((alarm, contact)))
        })?;
        let Some((alarm, contact)) = claimed else { return Ok(false) };
        let Some(contact) = contact else {
            return self.note_outcome(&delivery, &alarm, Outcome::Left, &[]).await;
        };
        let snoozed = alarm.snoozed_until.filter(|until| now < *until);
        if let Some(until) = snoozed.or_else(|| quiet_until(&alarm, &contact, now)) {
            transact!(self.db, tx => { deliveries::put_off(&mut tx, delivery.id, until, None).await })?;
            return Ok(false);
        }
        let mut tries = Vec::new();
        let outcome = tokio::select! {
            outcome = self.try_channels(&delivery, &alarm, &contact, &mut tries) => outcome?,
            () = self.unwanted(delivery.id) => return Ok(false),
        };
        let channel = if let Outcome::Handed(channel) = outcome { Some(channel) } else { None };
        let noted = self.note_outcome(&delivery, &alarm, outcome, &tries).await;
        if let (Err(_), Some(channel)) = (&noted, channel) {
            self.alarms.unwritten.lock().insert(delivery.id, Taken { delivery, alarm, channel, tries });
        }
        noted
    }

    /// Comes back when a delivery that is on its way is not wanted any more.
    async fn unwanted(&self, id: RowId) {
        loop {
            tokio::time::sleep(self.alarms.settings.watch).await;
            let until = self.now().plus_millis(LEASE);
            match transact!(self.db, tx => { deliveries::keep(&mut tx, id, self.holder, until).await }) {
                Ok(false) => return,
                Ok(true) => {}
                // Rather one notice too many than one too few.
                Err(error) => tracing::warn!(%error, "it could not be asked whether a notice is still wanted"),
            }
        }
    }

    async fn try_channels(
        &self,
        delivery: &Delivery,
        alarm: &Alarm,
        contact: &Contact,
        tries: &mut Vec<Try>,
    ) -> Result<Outcome> {
        let Some(carrier) = &self.alarms.settings.carrier else { return Ok(Outcome::Unreachable(None)) };
        let notice = self.notice(delivery, alarm, contact.language);
        let (mut later, mut refused) = (None, None);
        for channel in &contact.channels {
            if !carrier.has(*channel) {
                continue;
            }
            let addresses = addresses(&mut self.db.read(), *channel, contact).await?;
            let sent = addresses.iter().map(async |address| {
                let notice = for_address(&notice, address, contact);
                (address, carrier.carry(address, &notice, contact.language).await)
            });
            let (mut taken, mut error) = (false, None);
            // At once: one that takes long holds up no other.
            for (address, outcome) in join_all(sent).await {
                match outcome {
                    Ok(()) => taken = true,
                    Err(undelivered) => {
                        error = Some(undelivered.to_string());
                        match (undelivered, address) {
                            (Undelivered::Gone, Address::Push(device)) => self.forget_gone(delivery, device.id).await,
                            (Undelivered::Later { reason, after }, _) => later = Some((reason, after)),
                            (undelivered, _) => refused = Some(undelivered.to_string()),
                        }
                    }
                }
            }
            if addresses.is_empty() {
                continue;
            }
            tries.push(Try { channel: *channel, error: if taken { None } else { error }, at: self.now() });
            if taken {
                return Ok(Outcome::Handed(*channel));
            }
        }
        Ok(match later {
            Some((reason, after)) => Outcome::Later(reason, after),
            None => Outcome::Unreachable(refused),
        })
    }

    /// If it cannot be forgotten now, the next notice finds it gone again; what other devices took counts all the same.
    async fn forget_gone(&self, delivery: &Delivery, device: RowId) {
        let account = delivery.account;
        match transact!(self.db, tx => { contacts::forget_device(&mut tx, account, device).await }) {
            Ok(_) => tracing::info!(%account, device = device.0, "a device takes no notices any more and is forgotten"),
            Err(error) => {
                tracing::warn!(%account, device = device.0, %error, "a device that takes no notices could not be forgotten");
            }
        }
    }

    fn notice(&self, delivery: &Delivery, alarm: &Alarm, language: Language) -> Notice {
        let said = text::of(alarm);
        let text = said.of(language);
        let mark = match (alarm.rule == Rule::Drill, language) {
            (false, _) => "",
            (true, Language::Korean) => "[훈련] ",
            (true, Language::English) => "[Drill] ",
        };
        let link = self.alarms.settings.public_url.as_ref();
        Notice {
            id: format!("{}-{}-{}-{}", alarm.id.0, delivery.episode, delivery.step, delivery.account),
            topic: format!("alarm-{}", alarm.id.0),
            title: format!("{mark}{}", text.title),
            body: text.detail.clone(),
            link: link.map(|base| format!("{base}/app/alarms/{}", alarm.id.0)),
            is_urgent: alarm.severity == Severity::Crit,
            data: json!({"alarm": AlarmView::from(alarm), "step": delivery.step, "episode": delivery.episode}),
            at: alarm.sensed_at,
        }
    }

    /// Writes down how it went, in one transaction; whether a channel took it.
    async fn note_outcome(&self, delivery: &Delivery, alarm: &Alarm, outcome: Outcome, tries: &[Try]) -> Result<bool> {
        let now = self.now();
        let outcome = settle(delivery, alarm, outcome, now);
        let handed = matches!(outcome, Outcome::Handed(_));
        let written = transact!(self.db, tx => {
            let (mut journal, current) = self.locked(&mut tx, alarm, now).await?;
            let Some(mut current) = current else { return Ok::<_, DbError>(None) };
            for Try { channel, error, at } in tries {
                contacts::note_health(&mut tx, delivery.account, *channel, error.as_deref(), *at).await?;
                let mut body = json!({"to": delivery.account, "channel": channel, "step": delivery.step, "episode": delivery.episode, "error": error});
                if now.since(*at) > LATE {
                    body["at"] = json!(at.millis());
                }
                let kind = if error.is_none() { EntryKind::Handed } else { EntryKind::Failed };
                self.enter(&mut journal, &current, kind, &body);
            }
            match &outcome {
                Outcome::Handed(channel) => {
                    deliveries::end(&mut tx, delivery.id, Ended::Handed(*channel), None, now).await?;
                }
                Outcome::Later(reason, after) => {
                    let until = now.plus_millis(pause(delivery, alarm, *after, now));
                    let until = current.snoozed_until.map_or(until, |snoozed| until.max(snoozed));
                    deliveries::put_off(&mut tx, delivery.id, until, Some((now, &cut(reason)))).await?;
                    self.go_on_if_nobody(&mut tx, &mut journal, delivery, &mut current).await?;
                }
                Outcome::Unreachable(reason) => {
                    let reason = reason.as_deref().map(cut);
                    deliveries::end(&mut tx, delivery.id, Ended::Unreachable, reason.as_deref(), now).await?;
                    if tries.is_empty() {
                        let body = json!({"to": delivery.account, "channel": null, "step": delivery.step, "episode": delivery.episode, "error": "no way to this person"});
                        self.enter(&mut journal, &current, EntryKind::Failed, &body);
                    }
                    self.go_on_if_nobody(&mut tx, &mut journal, delivery, &mut current).await?;
                }
                Outcome::Left => {
                    deliveries::end(&mut tx, delivery.id, Ended::Cancelled, None, now).await?;
                    let body = json!({"to": delivery.account, "channel": null, "step": delivery.step, "episode": delivery.episode, "error": "not of this family any more"});
                    self.enter(&mut journal, &current, EntryKind::Failed, &body);
                    self.go_on_if_nobody(&mut tx, &mut journal, delivery, &mut current).await?;
                }
            }
            self.note_known(&mut tx, &mut journal, &mut current).await?;
            journal.close(&mut tx).await.map(Some)
        })?;
        if let Some(written) = written {
            self.written(&written);
        }
        Ok(handed)
    }

    /// Notes that somebody knows of an alarm, if that is so. If it was over, nobody else is told.
    pub(super) async fn note_known(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        alarm: &mut Alarm,
    ) -> Result<(), DbError> {
        if alarm.handed_at.is_some() || !is_known(tx, alarm).await? {
            return Ok(());
        }
        let now = journal.now();
        alarm.handed_at = Some(now);
        if !alarm.wants_people() {
            deliveries::cancel(tx, alarm.id, now).await?;
            self.climb(tx, journal, alarm).await?;
        }
        alarms::update(tx, alarm).await
    }

    /// If nobody of a step can be reached, or is there any more, the next step comes at once, and after the last one operators are
    /// told if nobody on any step could be.
    async fn go_on_if_nobody(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        delivery: &Delivery,
        alarm: &mut Alarm,
    ) -> Result<(), DbError> {
        let now = journal.now();
        let is_snoozed = alarm.snoozed_until.is_some_and(|until| now < until);
        if alarm.episode != delivery.episode || !alarm.wants_people() || is_snoozed {
            return Ok(());
        }
        let fates = deliveries::of_alarm(tx, alarm).await?;
        let of_step = || fates.iter().filter(|fate| fate.delivery.step == delivery.step);
        let mut notify = Vec::new();
        if alarm.next_step == delivery.step + 1 && !reaches_somebody(tx, alarm, of_step(), now).await? {
            if of_step().any(|fate| fate.ended.as_deref() == Some("cancelled")) {
                // Somebody may have moved up to this step.
                alarm.next_step = delivery.step;
            }
            notify = self.hurry_on(tx, journal, alarm).await?;
            alarms::update(tx, alarm).await?;
        }
        if notify.is_empty() && is_climbed(tx, alarm).await? && !reaches_somebody(tx, alarm, fates.iter(), now).await? {
            let asked: Vec<_> = fates.iter().map(|fate| fate.delivery.account).collect();
            notify = self.tell_operators(tx, journal, alarm, &asked).await?;
        }
        if !notify.is_empty() {
            super::tell(journal, alarm, "step", &notify);
        }
        Ok(())
    }
}

/// Whether one of some deliveries reached somebody, or can be expected to do so soon.
async fn reaches_somebody(
    tx: &mut Tx,
    alarm: &Alarm,
    fates: impl Iterator<Item = &Fate>,
    now: Timestamp,
) -> Result<bool, DbError> {
    for Fate { delivery, ended, .. } in fates {
        let reaches = match ended.as_deref() {
            Some("handed") => true,
            Some("cancelled") => false,
            None if tried_for(delivery, now) < PATIENCE => true,
            _ => sees(tx, alarm, delivery.account, now).await?,
        };
        if reaches {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether whom a delivery is for still looks after the family, or is an operator, who is told where nobody else can be.
async fn may_be_told(tx: &mut Tx, delivery: &Delivery) -> Result<bool, DbError> {
    let watchers = contacts::watchers(tx, delivery.family).await?;
    Ok(watchers.iter().any(|(account, _)| *account == delivery.account)
        || contacts::is_operator(tx, delivery.account).await?)
}

/// Whether somebody has a page of the alarm's family open, and is believed to look at it. A page that was left open shows an
/// alarm to nobody: it counts in the first climb only.
pub(crate) async fn sees(tx: &mut Tx, alarm: &Alarm, account: AccountId, now: Timestamp) -> Result<bool, DbError> {
    Ok(alarm.rounds == 0 && presence::is_watching(tx, account, alarm.family, now).await?)
}

/// Whether a channel has taken a notice of an alarm's episode for somebody of the family, or for an operator when nothing is on its
/// way to the family any more.
async fn is_known(tx: &mut Tx, alarm: &Alarm) -> Result<bool, DbError> {
    let watchers = contacts::watchers(tx, alarm.family).await?;
    let (mut is_told, mut is_awaited) = (false, false);
    for Fate { delivery, ended } in deliveries::of_alarm(tx, alarm).await? {
        let is_family = watchers.iter().any(|(account, _)| *account == delivery.account);
        match ended.as_deref() {
            Some("handed") if is_family => return Ok(true),
            Some("handed") => is_told = true,
            Some(_) => {}
            None => is_awaited |= is_family,
        }
    }
    Ok(is_told && !is_awaited)
}

/// Where somebody is reached through a channel.
pub(crate) async fn addresses(tx: &mut Tx, channel: Channel, contact: &Contact) -> Result<Vec<Address>, DbError> {
    Ok(match channel {
        Channel::Push => contacts::devices(tx, contact.account).await?.into_iter().map(Address::Push).collect(),
        Channel::Email => contact.email.iter().cloned().map(Address::Email).collect(),
        Channel::Webhook => {
            contact.webhook.iter().cloned().map(|(url, secret)| Address::Webhook(url, secret)).collect()
        }
        // Whoever has a page open sees the event anyway, and the robot is asked for what it is to say.
        Channel::Stream | Channel::Robot => Vec::new(),
    })
}

/// A notice as an address gets it: a webhook, through which gateways are reached, is told whom to call.
pub(crate) fn for_address(notice: &Notice, address: &Address, contact: &Contact) -> Notice {
    let mut notice = notice.clone();
    if let (Address::Webhook(..), Some(phone)) = (address, &contact.phone) {
        notice.data["phone"] = json!(phone);
    }
    notice
}

/// What was tried for long enough will not be taken any more. What was held back was not tried.
fn settle(delivery: &Delivery, alarm: &Alarm, outcome: Outcome, now: Timestamp) -> Outcome {
    let most = if alarm.severity == Severity::Crit { CRIT_TRIES } else { TRIES };
    match outcome {
        Outcome::Later(reason, _) if tried_for(delivery, now) >= most => Outcome::Unreachable(Some(reason)),
        outcome => outcome,
    }
}

/// How long ago it was tried for the first time, in milliseconds.
fn tried_for(delivery: &Delivery, now: Timestamp) -> i64 {
    delivery.tried_at.map_or(0, |at| now.since(at))
}

/// How long until the next try, in milliseconds: what the provider asks for, or ever longer.
fn pause(delivery: &Delivery, alarm: &Alarm, asked_for: Option<Duration>, now: Timestamp) -> i64 {
    let is_urgent = alarm.severity == Severity::Crit && tried_for(delivery, now) < URGENT;
    let (first, longest) = if is_urgent { (FIRST_URGENT, LONGEST_URGENT) } else { (FIRST_PAUSE, LONGEST_PAUSE) };
    let times = u32::try_from(delivery.attempts).unwrap_or_default().min(16);
    let asked_for = asked_for.map_or(0, |after| i64::try_from(after.as_millis()).unwrap_or(longest));
    asked_for.max(first << times).min(longest)
}

/// A reason as it fits its column.
pub(crate) fn cut(reason: &str) -> String {
    reason.chars().take(255).collect()
}

/// Until when somebody's quiet hours hold this back. What is critical is never held back.
fn quiet_until(alarm: &Alarm, contact: &Contact, now: Timestamp) -> Option<Timestamp> {
    const MINUTE: i64 = 60_000;
    const DAY: i64 = 24 * 60;
    if alarm.severity == Severity::Crit {
        return None;
    }
    let (from, until) = contact.quiet?;
    let minute = (now.millis() + AHEAD_MS).div_euclid(MINUTE).rem_euclid(DAY);
    let length = (i64::from(until) - i64::from(from)).rem_euclid(DAY);
    let passed = (minute - i64::from(from)).rem_euclid(DAY);
    let begun = Timestamp::from_millis(now.millis().div_euclid(MINUTE) * MINUTE);
    (passed < length).then(|| begun.plus_millis((length - passed) * MINUTE))
}
