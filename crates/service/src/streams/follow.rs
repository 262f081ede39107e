//! One open stream.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carebot_database::authentication::TokenHash;
use carebot_database::{DbError, journal};
use carebot_model::FamilyId;
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::alarms::EventKind;
use carebot_model::authentication::SessionKind;
use carebot_model::mix::mix;
use serde_json::json;
use tokio::time::Instant;

use super::cursor::{self, Read};
use super::feed::{After, Feed, Item, PAGE};
use super::hub::{Seat, Shown};
use super::wire::{self, End};
use crate::access::general;
use crate::authentication::token_hash;
use crate::{Error, Result, Service};

/// How much is handed to the connection at once, in bytes: at least one event, and no more than this without one that is larger.
const PIECE: usize = 32 * 1024;
/// The most families of a stream.
const FAMILIES: usize = 512;
/// How long it waits after the database could not be asked.
const PAUSE: Duration = Duration::from_secs(1);
/// How long it waits after it looked whether it may go on before it looks again because rights have changed once more: rights
/// that change all the time keep nobody busy.
const BREATH: Duration = Duration::from_millis(250);
/// How often it is noted that a robot follows; well within the time for which it counts as listening.
const NOTE: Duration = Duration::from_secs(20);
/// When clients should come back to a server that stops: spread over so many milliseconds, so that not all come at once.
const SPREAD: u64 = 4_000;

/// What a stream follows.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    One(FamilyId),
    All,
}

/// A stream's place at a family; it is given back when this goes.
struct Place {
    service: Arc<Service>,
    seat: Arc<Seat>,
    feed: Arc<Feed>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.service.streams.unfollow(&self.feed, &self.seat);
    }
}

/// A family that a stream follows.
struct Following {
    place: Place,
    permit: Permit<FamilyId>,
    /// The newest event that was handed out, or passed over because it is for others.
    cursor: i64,
    /// The newest reading that was handed out, as the feed counts.
    read: u64,
    /// Up to which event it was looked whether the stream may go on.
    verified: i64,
}

/// One open stream: what [`Service::follow_family`] and [`Service::follow_all`] give.
///
/// It holds cursors and no events, so that it costs the same whether it is read fast, slowly or not at all.
pub struct Follower {
    service: Arc<Service>,
    seat: Arc<Seat>,
    token: TokenHash,
    scope: Scope,
    /// In the order of ids.
    families: Vec<Following>,
    /// Whose turn it is.
    turn: usize,
    /// What is to be said before anything else.
    notices: String,
    /// Alarms in what was handed out last.
    shown: Vec<Shown>,
    /// Nothing is handed out before it was looked whether the stream may go on.
    doubts: bool,
    /// The family whose robot this is: while it reads, and is heard otherwise, it is known to listen.
    robot: Option<FamilyId>,
    note_at: Instant,
    looked: Instant,
    look_at: Instant,
    beat_at: Instant,
    /// Until when the database is left alone after a failure.
    rests_until: Option<Instant>,
    has_ended: bool,
}

/// The family whose robot follows it.
fn robot_of(actor: &Actor, scope: Scope) -> Option<FamilyId> {
    let Actor::Account { family, session, .. } = actor else { return None };
    let follows = |own: &FamilyId| match scope {
        Scope::One(followed) => followed == *own,
        Scope::All => true,
    };
    family.filter(|own| session.kind == SessionKind::Robot && follows(own))
}

impl Following {
    const fn family(&self) -> FamilyId {
        *self.permit.resource()
    }

    fn feed(&self) -> &Feed {
        &self.place.feed
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.service.streams.stand_up(&self.seat);
    }
}

impl Follower {
    pub(super) async fn open(
        service: &Arc<Service>,
        actor: &Actor,
        token: Option<&str>,
        scope: Scope,
        last: Option<&str>,
    ) -> Result<Self> {
        let account = actor.account().ok_or(Error::Forbidden)?;
        let token = token.and_then(token_hash).ok_or(Error::Forbidden)?;
        let family = if let Scope::One(family) = scope { Some(family) } else { None };
        let seat = service.streams.sit(account, family)?;
        let now = Instant::now();
        // Those that begin together, as after a restart, are not to beat and look together for ever.
        let part =
            |whole: Duration| whole.mul_f64(f64::from(u8::try_from(mix(seat.number) >> 56).unwrap_or(0)) / 512.0);
        let settings = service.streams.settings;
        let mut follower = Self {
            service: Arc::clone(service),
            token,
            scope,
            families: Vec::new(),
            turn: 0,
            notices: String::new(),
            shown: Vec::new(),
            doubts: false,
            robot: robot_of(actor, scope),
            note_at: now,
            looked: now,
            look_at: now + settings.belief - part(settings.belief),
            beat_at: now + settings.heartbeat - part(settings.heartbeat),
            rests_until: None,
            has_ended: false,
            seat,
        };
        // Who calls may have been believed for a moment: from here on, with a seat that is told of changes, nobody is.
        let permits = follower.permits().await?;
        if permits.len() > FAMILIES {
            return Err(Error::Invalid("Too many families for one stream"));
        }
        follower.begin(permits, last).await?;
        Ok(follower)
    }

    /// What this session may follow at this moment.
    async fn permits(&self) -> Result<Vec<Permit<FamilyId>>> {
        let actor = self.service.look_again(self.token).await?;
        match self.scope {
            Scope::One(family) => Ok(vec![self.service.family(&actor, family.as_str(), Action::EventRead).await?]),
            Scope::All => {
                general(&actor, Action::EventReadAll)?;
                let families: BTreeSet<FamilyId> = actor.families().collect();
                let ask = |family: FamilyId| Permit::ask(actor.relations_to_family(family), Action::EventRead, family);
                families.into_iter().map(|family| Ok(ask(family)?)).collect()
            }
        }
    }

    /// Begins to follow families: from the events that are named, or from now on.
    async fn begin(&mut self, permits: Vec<Permit<FamilyId>>, last: Option<&str>) -> Result<()> {
        wire::retry(&mut self.notices, wire::RETRY);
        let read = last.filter(|last| !last.is_empty()).map(|last| match self.scope {
            Scope::One(family) => cursor::of_one(family, last),
            Scope::All => cursor::of_all(last),
        });
        let newest = self.join(permits).await?;
        let mut resets = Vec::new();
        let mut begins = Vec::new();
        for index in 0..self.families.len() {
            let family = self.families[index].family();
            let newest = newest.get(&family).copied().unwrap_or_default();
            match &read {
                // From now on: asked for nothing, or joined this family since.
                None => begins.push(family),
                Some(Some(read)) if !read.contains_key(&family) => begins.push(family),
                Some(read) => match self.resumes(index, read.as_ref(), newest).await? {
                    Some(cursor) => self.families[index].cursor = cursor,
                    None => resets.push(family),
                },
            }
        }
        let id = self.id();
        for family in resets {
            let from = newest.get(&family).copied().unwrap_or_default();
            wire::event(&mut self.notices, "reset", &id, &json!({"family_id": family, "from": from}));
        }
        if let (Scope::All, Some(Some(read))) = (self.scope, &read) {
            let left = read.keys().filter(|family| self.families.iter().all(|known| known.family() != **family));
            for family in left {
                left_notice(&mut self.notices, &id, *family);
            }
        }
        if read.is_none() || !begins.is_empty() || (self.families.is_empty() && read == Some(None)) {
            self.hello(&begins);
        }
        Ok(())
    }

    /// Where a family is read on from what a cursor says of it; nothing if that is not possible.
    async fn resumes(&self, index: usize, read: Option<&Read>, newest: i64) -> Result<Option<i64>> {
        let permit = &self.families[index].permit;
        let Some(cursor) = read.and_then(|read| read.get(permit.resource()).copied()) else { return Ok(None) };
        if cursor >= newest {
            return Ok((cursor == newest).then_some(cursor));
        }
        let (oldest, _) = journal::event_bounds(&mut self.service.db.read(), permit).await?;
        Ok((cursor + 1 >= oldest).then_some(cursor))
    }

    /// Follows families from now on; the numbers of their newest events.
    async fn join(&mut self, permits: Vec<Permit<FamilyId>>) -> Result<BTreeMap<FamilyId, i64>> {
        let (service, seat) = (&self.service, &self.seat);
        // Before the database is asked, so that what happens meanwhile wakes this stream.
        let place = |permit| Place {
            service: Arc::clone(service),
            seat: Arc::clone(seat),
            feed: service.streams.follow(permit, seat),
        };
        let new = permits.into_iter().map(|permit| (permit, place(permit)));
        let mut new: Vec<Following> =
            new.map(|(permit, place)| Following { place, permit, cursor: 0, read: 0, verified: 0 }).collect();
        let ids: Vec<FamilyId> = new.iter().map(Following::family).collect();
        let newest: BTreeMap<FamilyId, i64> =
            journal::newest_events(&mut service.db.read(), &ids).await?.into_iter().collect();
        for new in &mut new {
            new.cursor = newest.get(&new.family()).copied().unwrap_or_default();
            new.feed().begin(new.cursor);
            // Another may have begun there before.
            service.streams.tell(new.family(), new.cursor);
        }
        self.families.extend(new);
        self.families.sort_by_key(Following::family);
        Ok(newest)
    }

    /// Says from where on families are followed.
    fn hello(&mut self, begins: &[FamilyId]) {
        let begun = self.families.iter().filter(|following| begins.contains(&following.family()));
        let begun: Vec<_> = begun.map(|begun| json!({"family_id": begun.family(), "from": begun.cursor})).collect();
        let id = self.id();
        wire::event(&mut self.notices, "hello", &id, &json!({ "families": begun }));
    }

    /// The cursor as it is.
    fn id(&self) -> String {
        id_of(self.scope, &self.families)
    }

    /// What comes next, as text; nothing at the end. Waits for it. To be called again when the client has taken what came before.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.seat.is_asked();
        for shown in self.shown.drain(..) {
            self.service.streams.on_shown(shown);
        }
        loop {
            if self.has_ended {
                return None;
            }
            if let Some(text) = self.step().await {
                let settings = self.service.streams.settings;
                self.beat_at = Instant::now() + settings.heartbeat;
                self.seat.hands(self.service.now());
                self.note_listening().await;
                return Some(Bytes::from(text));
            }
            if !self.doubts || self.rests_until.is_some() {
                self.wait().await;
            }
        }
    }

    /// Notes that the robot that follows here is listening. That its connection takes what it is given does not say that it lives.
    async fn note_listening(&mut self) {
        let Some(family) = self.robot.filter(|_| self.note_at <= Instant::now()) else { return };
        match self.service.follows(family).await {
            Ok(()) => self.note_at = Instant::now() + NOTE,
            Err(error) => tracing::debug!(%family, ?error, "it could not be noted that a robot listens"),
        }
    }

    /// Waits until somebody wakes it or it is time for something.
    async fn wait(&self) {
        let works_at = match self.rests_until {
            Some(rests_until) => rests_until,
            None if self.seat.doubts() => self.look_at.min(self.looked + BREATH),
            None => self.look_at,
        };
        let until = self.beat_at.min(works_at);
        // That it was time is not told apart from being woken: both look what there is.
        drop(tokio::time::timeout_at(until, self.seat.woken()).await);
    }

    /// What there is to be sent now.
    async fn step(&mut self) -> Option<String> {
        if self.service.streams.is_closed() {
            return Some(self.end(End::Restart));
        }
        if self.seat.is_cut() {
            return Some(self.end(End::Slow));
        }
        let now = Instant::now();
        let rests = self.rests_until.is_some_and(|until| now < until);
        if !rests {
            self.rests_until = None;
            match Box::pin(self.go_on(now)).await {
                Ok(None) => {}
                Ok(text) => return text,
                Err(Error::Forbidden | Error::NotFound(_)) => return Some(self.end(End::Access)),
                Err(error) => {
                    tracing::debug!(?error, "a stream could not be read on; it tries again");
                    self.rests_until = Some(now + PAUSE);
                }
            }
        }
        (now >= self.beat_at).then(|| wire::ALIVE.to_owned())
    }

    /// Looks whether it may go on if it must, and takes what there is.
    async fn go_on(&mut self, now: Instant) -> Result<Option<String>> {
        let is_told = self.seat.doubts() && now >= self.looked + BREATH;
        if self.doubts || is_told || now >= self.look_at {
            self.look().await?;
        }
        if !self.notices.is_empty() {
            return Ok(Some(std::mem::take(&mut self.notices)));
        }
        let text = self.collect().await?;
        Ok((!text.is_empty()).then_some(text))
    }

    /// Looks whether the session may still follow, and what.
    async fn look(&mut self) -> Result<()> {
        self.doubts = true;
        self.looked = Instant::now();
        self.seat.looks();
        let known: Vec<i64> = self.families.iter().map(|following| following.feed().last()).collect();
        let permits = {
            let _turn = self.service.streams.look().await;
            self.permits().await?
        };
        for (following, known) in self.families.iter_mut().zip(known) {
            following.verified = known;
        }
        if let Scope::All = self.scope {
            self.adopt(permits).await?;
        }
        self.doubts = false;
        self.look_at = self.looked + self.service.streams.settings.belief;
        Ok(())
    }

    /// Leaves the families that are not to be followed any more, and joins new ones.
    async fn adopt(&mut self, permits: Vec<Permit<FamilyId>>) -> Result<()> {
        let may = |family: FamilyId| permits.iter().any(|permit| *permit.resource() == family);
        let lost: Vec<FamilyId> =
            self.families.extract_if(.., |following| !may(following.family())).map(|gone| gone.family()).collect();
        if !lost.is_empty() {
            self.turn = 0;
            let id = self.id();
            for family in lost {
                left_notice(&mut self.notices, &id, family);
            }
        }
        let known: Vec<FamilyId> = self.families.iter().map(Following::family).collect();
        let mut new: Vec<_> = permits.into_iter().filter(|permit| !known.contains(permit.resource())).collect();
        new.truncate(FAMILIES.saturating_sub(known.len()));
        if !new.is_empty() {
            let gained: Vec<FamilyId> = new.iter().map(|permit| *permit.resource()).collect();
            self.join(new).await?;
            self.hello(&gained);
        }
        Ok(())
    }

    /// Events in the order of each family, families in turn; if there are none, readings.
    async fn collect(&mut self) -> Result<String> {
        let mut out = String::new();
        let count = self.families.len();
        let first = self.turn;
        for step in 0..count {
            let index = (first + step) % count;
            self.turn = index;
            match self.collect_events(index, &mut out).await {
                Ok(()) => {}
                // What was collected must be sent: the cursors are behind it already.
                Err(_) if !out.is_empty() => return Ok(out),
                Err(error) => return Err(error),
            }
            if self.doubts {
                return Ok(out);
            }
            if out.len() >= PIECE {
                self.turn = (index + 1) % count;
                return Ok(out);
            }
        }
        if out.is_empty() {
            self.collect_readings(&mut out).await?;
        }
        Ok(out)
    }

    async fn collect_events(&mut self, index: usize, out: &mut String) -> Result<()> {
        while out.len() < PIECE {
            let following = &self.families[index];
            let items = match following.feed().after(following.cursor) {
                After::Nothing => return Ok(()),
                After::Items(items) => items,
                After::Behind => {
                    let Some(items) = self.read_page(index).await? else {
                        self.reset(index, out);
                        return Ok(());
                    };
                    items
                }
            };
            for item in items {
                let following = &self.families[index];
                if item.seq != following.cursor + 1 {
                    self.reset(index, out);
                    return Ok(());
                }
                if item.kind == EventKind::Membership && item.seq > following.verified {
                    // It may tell of the one who follows.
                    self.doubts = true;
                    return Ok(());
                }
                self.take(index, &item, out);
                if out.len() >= PIECE {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The next page of events, from the database; nothing if all that was to come is gone because it was so old.
    async fn read_page(&self, index: usize) -> Result<Option<Vec<Arc<Item>>>> {
        let Following { permit, cursor, .. } = &self.families[index];
        let mut tx = self.service.db.read();
        let events = journal::events_after(&mut tx, permit, *cursor, PAGE).await?;
        if !events.is_empty() {
            return Ok(Some(events.iter().map(|event| Arc::new(Item::new(event))).collect()));
        }
        let (oldest, _) = journal::event_bounds(&mut tx, permit).await?;
        if oldest > *cursor + 1 {
            return Ok(None);
        }
        Err(Error::Unavailable(DbError::Unavailable("the database that was asked does not have an event yet".into())))
    }

    /// Puts an event into what is sent, unless it is for others.
    fn take(&mut self, index: usize, item: &Item, out: &mut String) {
        let account = self.seat.account;
        let following = &mut self.families[index];
        following.cursor = item.seq;
        if !item.is_for(account) {
            return;
        }
        let family = following.family();
        match self.scope {
            Scope::One(_) => {
                let _ = writeln!(out, "id: {}", item.seq);
            }
            Scope::All => {
                let _ = writeln!(out, "id: {}", self.id());
            }
        }
        out.push_str(&item.text);
        if let Some((alarm, people)) = &item.told
            && people.contains(&account)
        {
            self.shown.push(Shown { alarm: *alarm, family, account });
        }
    }

    /// Goes on from the newest event, and says that there were some in between.
    fn reset(&mut self, index: usize, out: &mut String) {
        let following = &mut self.families[index];
        following.cursor = following.feed().last();
        let data = json!({"family_id": following.family(), "from": following.cursor});
        wire::event(out, "reset", &self.id(), &data);
    }

    async fn collect_readings(&mut self, out: &mut String) -> Result<()> {
        for following in &mut self.families {
            if out.len() >= PIECE {
                break;
            }
            if !following.feed().is_loaded() {
                let _turn = self.service.streams.look().await;
                match following.feed().load(&self.service.db).await {
                    Ok(()) => {}
                    // What was collected must be sent, as with events.
                    Err(_) if !out.is_empty() => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
            let after = (following.cursor, following.read);
            following.read = following.feed().readings_after(after, out, PIECE);
        }
        Ok(())
    }

    /// Ends the stream with a word about it.
    fn end(&mut self, why: End) -> String {
        self.has_ended = true;
        let mut out = String::new();
        if why == End::Restart {
            wire::retry(&mut out, wire::RETRY / 2 + mix(self.seat.number) % SPREAD);
        }
        wire::end(&mut out, why);
        out
    }
}

fn left_notice(out: &mut String, id: &str, family: FamilyId) {
    wire::event(out, "left", id, &json!({"family_id": family, "reason": "access"}));
}

fn id_of(scope: Scope, families: &[Following]) -> String {
    match scope {
        Scope::One(_) => families.first().map_or_else(String::new, |following| following.cursor.to_string()),
        Scope::All => cursor::write_all(families.iter().map(|following| (following.family(), following.cursor))),
    }
}
