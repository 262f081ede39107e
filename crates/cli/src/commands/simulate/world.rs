//! Homes, servers and people, and the time that passes for them.

mod tally;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use carebot_database::ambient::{Clock, ManualClock, SeededRng};
use carebot_database::members::NewMember;
use carebot_database::{Db, DbUrl, Options, accounts, families, members, migrate, transact};
use carebot_model::access::{Action, Actor, Membership, Permit, Relation, Relations, SessionInfo};
use carebot_model::accounts::{Gender, NewAccount, Role};
use carebot_model::alarms::Rule;
use carebot_model::authentication::SessionKind;
use carebot_model::members::Position;
use carebot_model::status::{Active, Home as Air};
use carebot_model::text::Email;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use carebot_service::idempotency::Request;
use carebot_service::status::Origin;
use carebot_service::{Error, Service, Settings};

use super::Flags;
use super::faults::{Breaks, Broken, Chance, Profile};
use super::phones::Phones;
use crate::failure::{Failure, Result};

/// When simulated time begins: 2026-03-02T09:00:00Z, unix milliseconds.
const START: i64 = 1_772_442_000_000;
/// How often loops turn, as in a server; milliseconds.
const TURN: i64 = 250;
/// How often a server renews what it leases.
const RENEWAL: i64 = 20_000;
const BEAT: i64 = 5_000;
const WATCHES: i64 = 60_000;
/// How long people may take at most after an acknowledgement that something was still on its way.
const SILENCE_AFTER_ACK: i64 = 2_000;
/// How much longer time passes at the end, with nothing breaking: longer than a ladder and every pause between tries.
const DRAIN: i64 = 45 * 60_000;
const MINUTE: i64 = 60_000;
/// How often a robot that is well reports, to the very end: otherwise all would be called silent.
const REPORTS: i64 = 5 * MINUTE;
/// Longer than any run: nothing in one depends on the machine's own clock.
const FOR_EVER: Duration = Duration::from_hours(365 * 24);
/// What a robot reads where there is gas, in ppm.
const GAS: f64 = 20.0;

/// How the database is opened.
fn unhurried() -> Options {
    Options { acquire_timeout: FOR_EVER, ..Options::default() }
}

/// A clock that can be wrong.
#[derive(Debug)]
struct Skewed {
    right: Arc<ManualClock>,
    off: AtomicI64,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        self.right.now().plus_millis(self.off.load(Ordering::SeqCst))
    }
}

/// A server: killed and started again, on the same database.
struct Server {
    clock: Arc<Skewed>,
    breaks: Arc<Breaks>,
    running: Option<(Arc<Service>, Db)>,
    /// When it is started again.
    starts_at: i64,
    /// Until when its clock is wrong.
    wrong_until: i64,
    renewed_at: i64,
    beat_at: i64,
    watched_at: i64,
}

/// What a robot, or somebody in its home, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The robot's camera saw a fall.
    Fall,
    /// The fall detector of today.
    Detector,
    /// Gas.
    Gas,
    /// A call for help.
    Sos,
    /// Nothing: the usual report.
    Usual,
}

/// Something a robot has to send until a server takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Send {
    home: usize,
    what: What,
    /// When it happened.
    at: i64,
    /// The robot's number for it.
    number: u64,
    tries: u32,
}

/// Something somebody does about an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Acknowledge,
    Clear,
    Snooze,
}

/// What happens when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Send(Send),
    Act { account: usize, alarm: i64, act: Act },
}

struct Home {
    family: FamilyId,
    elder: Actor,
}

/// A critical thing that a server has acknowledged.
struct Taken {
    family: FamilyId,
    rule: Rule,
    /// The robot's number for it.
    number: u64,
    happened_at: i64,
    taken_at: i64,
}

pub struct World {
    chance: Chance,
    profile: Profile,
    clock: Arc<ManualClock>,
    rng_seed: u64,
    folder: PathBuf,
    url: DbUrl,
    phones: Phones,
    servers: Vec<Server>,
    homes: Vec<Home>,
    people: Vec<Actor>,
    person_by_address: BTreeMap<String, usize>,
    queue: BinaryHeap<std::cmp::Reverse<(i64, u64, Happening)>>,
    /// Orders what happens at the same moment.
    order: u64,
    numbers: u64,
    criticals: u32,
    taken: Vec<Taken>,
    /// How often each family called for help, those included of which no answer came.
    calls: BTreeMap<FamilyId, i64>,
    resent: u64,
    acts: u64,
    /// Until which climb an alarm was acknowledged, and when.
    acknowledged: BTreeMap<i64, (i64, i64)>,
    /// When somebody cleared an alarm.
    cleared: BTreeMap<i64, i64>,
    /// The last climb of an alarm that anybody was told of.
    episodes: BTreeMap<i64, i64>,
    first: BTreeMap<i64, i64>,
    /// Which climbs of which alarms somebody was told in.
    told: BTreeSet<(i64, i64)>,
    after_ack: u64,
    /// From when until when something was broken.
    disturbances: Vec<(i64, i64)>,
    broken: Broken,
    jumps: u64,
    outages: u64,
}

/// The robot's key for something that it sends.
fn key_of(number: u64) -> String {
    format!("r-{number}")
}

fn operator<R>(resource: R) -> Result<Permit<R>> {
    Permit::ask(Relations::of(Relation::System), Action::AccountCreate, resource)
        .map_err(|_| Failure::new("the policy does not let an operator make accounts"))
}

fn actor(id: AccountId, role: Role, family: Option<FamilyId>, memberships: Vec<Membership>) -> Actor {
    let session = SessionInfo { id: RowId(0), kind: SessionKind::Robot };
    Actor::Account { id, role, family, memberships, session }
}

impl World {
    /// Makes the homes.
    pub async fn new(flags: &Flags, seed: u64, profile: Profile) -> Result<Self> {
        let folder = flags.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = folder.join(format!("carebot-simulation-{seed}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("can not make {}: {error}", folder.display())))?;
        let url: DbUrl = format!("sqlite:{}", folder.join("carebot.db").display()).parse()?;
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let mut chance = Chance::new(seed);
        let phones = Phones::new(clock.clone(), profile, chance.next());
        let servers = (0..flags.servers)
            .map(|_| Server {
                clock: Arc::new(Skewed { right: clock.clone(), off: AtomicI64::new(0) }),
                breaks: Breaks::new(profile, chance.next()),
                running: None,
                starts_at: START,
                wrong_until: 0,
                renewed_at: 0,
                beat_at: 0,
                watched_at: 0,
            })
            .collect();
        let mut world = Self {
            rng_seed: chance.next(),
            chance,
            profile,
            clock,
            folder,
            url,
            phones,
            servers,
            homes: Vec::new(),
            people: Vec::new(),
            person_by_address: BTreeMap::new(),
            queue: BinaryHeap::new(),
            order: 0,
            numbers: 0,
            criticals: flags.criticals,
            taken: Vec::new(),
            calls: BTreeMap::new(),
            resent: 0,
            acts: 0,
            acknowledged: BTreeMap::new(),
            cleared: BTreeMap::new(),
            episodes: BTreeMap::new(),
            first: BTreeMap::new(),
            told: BTreeSet::new(),
            after_ack: 0,
            disturbances: Vec::new(),
            broken: Broken::default(),
            jumps: 0,
            outages: 0,
        };
        world.settle(flags.homes).await?;
        Ok(world)
    }

    fn now(&self) -> i64 {
        self.clock.now().millis()
    }

    fn rng(&mut self) -> SeededRng {
        self.rng_seed = self.rng_seed.wrapping_add(1);
        SeededRng::new(self.rng_seed)
    }

    /// Makes the database and everybody in it.
    async fn settle(&mut self, homes: u32) -> Result {
        let db = Db::open(&self.url, &Options { create: true, ..unhurried() }).await?;
        let rng = self.rng();
        migrate::run(&db, &*self.clock, &rng).await?;
        for number in 0..homes {
            let elder = self.account(&db, &rng, Role::Main, &format!("elder-{number}")).await?;
            let (permit, now) = (operator(elder)?, self.clock.now());
            let family = transact!(db, tx => { families::create(&mut tx, &permit, None, now, &rng).await })?;
            self.homes.push(Home { family, elder: actor(elder, Role::Main, Some(family), Vec::new()) });
            for (name, position) in
                [("first", Position::Guardian), ("second", Position::Guardian), ("nurse", Position::CareWorker)]
            {
                let address = format!("{name}-{number}@example.com");
                let account = self.account(&db, &rng, Role::Sub, &format!("{name}-{number}")).await?;
                let new = NewMember { family, nickname: None, position, approved_by: Some(elder) };
                let permit = operator(account)?;
                transact!(db, tx => { members::create(&mut tx, &permit, &new, now, &rng).await })?;
                let membership = Membership { family, main_user: elder, approved: true };
                self.person_by_address.insert(address, self.people.len());
                self.people.push(actor(account, Role::Sub, None, vec![membership]));
            }
        }
        db.close().await;
        Ok(())
    }

    async fn account(&self, db: &Db, rng: &SeededRng, role: Role, name: &str) -> Result<AccountId> {
        let email = Email::parse(&format!("{name}@example.com"));
        let new = NewAccount {
            email: email.ok_or_else(|| Failure::new("an invented address is none"))?,
            role,
            user_name: None,
            birth_date: None,
            gender: Gender::Other,
            address: None,
        };
        let now = self.clock.now();
        Ok(transact!(db, tx => { accounts::create(&mut tx, &new, "no password", now, rng).await })?)
    }

    fn plan(&mut self, at: i64, happening: Happening) {
        self.order += 1;
        self.queue.push(std::cmp::Reverse((at, self.order, happening)));
    }

    /// Lets time pass until everything critical has happened and was seen to.
    pub async fn run(&mut self, progress: &mut dyn FnMut(usize, u32)) -> Result {
        self.plan_all();
        let mut calm_since = None;
        loop {
            let now = self.now();
            let all_happened = self.taken.len() >= self.criticals as usize;
            if all_happened && calm_since.is_none() {
                calm_since = Some(now);
                for server in &mut self.servers {
                    server.breaks.calm();
                    server.wrong_until = now;
                }
            }
            if calm_since.is_some_and(|since| now - since >= DRAIN) {
                return Ok(());
            }
            self.break_something(calm_since.is_none());
            self.run_servers().await?;
            self.what_happens(now).await;
            self.read_phones(calm_since.is_none());
            progress(self.taken.len(), self.criticals);
            self.clock.advance(TURN);
        }
    }

    /// When what happens: criticals evenly, one or two a second; every robot's first usual report, which the others follow.
    fn plan_all(&mut self) {
        let homes = self.homes.len() as u64;
        let mut at = START + 2_000;
        for _ in 0..self.criticals {
            at += self.chance.between(100, 1_500);
            let what = match self.chance.below(20) {
                0..=8 => What::Fall,
                9..=12 => What::Detector,
                13..=16 => What::Gas,
                _ => What::Sos,
            };
            let home = usize::try_from(self.chance.below(homes)).unwrap_or_default();
            // Some robots were offline for a while and report late.
            let sent = if self.chance.one_in(20) { at + self.chance.between(1_000, 60 * MINUTE) } else { at };
            self.plan_send(home, what, at, sent);
        }
        for home in 0..self.homes.len() {
            let at = START + self.chance.between(0, REPORTS);
            self.plan_send(home, What::Usual, at, at);
        }
    }

    fn plan_send(&mut self, home: usize, what: What, at: i64, sent: i64) {
        self.numbers += 1;
        let number = self.numbers;
        self.plan(sent, Happening::Send(Send { home, what, at, number, tries: 0 }));
    }

    fn break_something(&mut self, breaks: bool) {
        let now = self.now();
        if breaks && self.chance.one_in(self.profile.outage) {
            self.outages += 1;
            let length = self.chance.between(5_000, 10 * MINUTE);
            self.phones.down_for(length);
            self.disturbances.push((now, now + length));
        }
        for place in 0..self.servers.len() {
            let jumps = breaks && self.chance.one_in(self.profile.clock);
            let (by, length) = (self.chance.between(-10 * MINUTE, 30 * MINUTE), self.chance.between(1_000, 3 * MINUTE));
            let server = &mut self.servers[place];
            if jumps {
                server.clock.off.store(by, Ordering::SeqCst);
                server.wrong_until = now + length;
                self.jumps += 1;
                self.disturbances.push((now, now + length));
            } else if now >= server.wrong_until {
                server.clock.off.store(0, Ordering::SeqCst);
            }
        }
    }

    /// Every server does what its loops do; the dead are started again after a moment.
    async fn run_servers(&mut self) -> Result {
        for place in 0..self.servers.len() {
            let now = self.now();
            if self.servers[place].running.is_none() && now >= self.servers[place].starts_at {
                self.start(place).await?;
            }
            let Some((service, _)) = self.servers[place].running.clone() else { continue };
            // What fails is said in the log, stays due, and is tried again: here at the next turn.
            let server = &mut self.servers[place];
            if now - server.renewed_at >= RENEWAL || now < server.wrong_until {
                server.renewed_at = now;
                let _ = service.renew_node().await;
            }
            if now - server.beat_at >= BEAT {
                server.beat_at = now;
                let _ = service.beat().await;
            }
            if now - server.watched_at >= WATCHES {
                server.watched_at = now;
                let _ = service.give_watches().await;
            }
            let _ = service.judge_rules().await;
            let _ = service.tend_alarms().await;
            let _ = service.hand_out_notices().await;
            self.bury(place).await;
        }
        Ok(())
    }

    async fn start(&mut self, place: usize) -> Result {
        let rng = Arc::new(self.rng());
        let db = Db::open(&self.url, &unhurried()).await?;
        let settings = Settings {
            alarms: carebot_service::alarms::Settings {
                carrier: Some(Arc::new(self.phones.clone())),
                // One after the other, so that a seed decides the order.
                at_once: 1,
                // Its time is the machine's, which no seed decides.
                believed: Duration::ZERO,
                watch: FOR_EVER,
                ..carebot_service::alarms::Settings::default()
            },
            ..Settings::default()
        };
        let server = &mut self.servers[place];
        let before = server.breaks.broken();
        self.broken.crashes += before.crashes;
        self.broken.full_disks += before.full_disks;
        self.broken.lost_answers += before.lost_answers;
        let is_calm = self.taken.len() >= self.criticals as usize;
        server.breaks = Breaks::new(if is_calm { Profile::NONE } else { self.profile }, self.chance.next());
        let broken = db.with_faults(server.breaks.clone());
        if let Ok(service) = Service::start(broken, server.clock.clone(), rng, settings).await {
            (server.renewed_at, server.beat_at, server.watched_at) = (0, 0, 0);
            server.running = Some((service, db));
        } else {
            // Broken again while it starts.
            db.close().await;
            server.starts_at = self.clock.now().millis() + 1_000;
        }
        Ok(())
    }

    /// A server that was killed is gone: nothing of it is finished.
    async fn bury(&mut self, place: usize) {
        let now = self.now();
        let back = self.chance.between(500, 8_000);
        let server = &mut self.servers[place];
        if !server.breaks.is_dead() {
            return;
        }
        if let Some((service, db)) = server.running.take() {
            drop(service);
            db.close().await;
            server.starts_at = now + back;
            self.disturbances.push((now, now + back));
        }
    }

    /// A server that runs, chosen by chance.
    fn any_server(&mut self) -> Option<(usize, Arc<Service>)> {
        let running: Vec<usize> =
            (0..self.servers.len()).filter(|place| self.servers[*place].running.is_some()).collect();
        let place = *running.get(usize::try_from(self.chance.below(running.len() as u64)).unwrap_or_default())?;
        self.servers[place].running.as_ref().map(|(service, _)| (place, Arc::clone(service)))
    }

    async fn what_happens(&mut self, now: i64) {
        while let Some(std::cmp::Reverse((at, _, happening))) = self.queue.peek().copied() {
            if at > now {
                return;
            }
            self.queue.pop();
            match happening {
                Happening::Send(send) => self.send(send).await,
                Happening::Act { account, alarm, act } => self.act(account, alarm, act).await,
            }
        }
    }

    async fn send(&mut self, send: Send) {
        let now = self.now();
        if send.what == What::Usual && send.tries == 0 {
            let next = send.at + REPORTS;
            self.plan_send(send.home, What::Usual, next, next);
        }
        let again = |world: &mut Self| {
            world.resent += 1;
            let pause = world.chance.between(500, 5_000);
            world.plan(now + pause, Happening::Send(Send { tries: send.tries + 1, ..send }));
        };
        let Some((place, service)) = self.any_server() else { return again(self) };
        let home = &self.homes[send.home];
        let (family, elder) = (home.family, home.elder.clone());
        let name = family.to_string();
        let key = key_of(send.number);
        let origin = Origin {
            key: Some(key.clone()),
            sensed_at: (now - send.at > MINUTE).then(|| Timestamp::from_millis(send.at)),
        };
        let answer: Result<(), Error> = match send.what {
            What::Fall => {
                let fields = Active {
                    score: Some(0),
                    action: Some("fall".into()),
                    is_critical: Some(true),
                    description: None,
                    image_url: None,
                };
                service.report(&elder, &name, fields, origin).await.map(drop)
            }
            What::Detector => {
                let request = Request { key: Some(&key), sensed_at: None };
                let notified = service.notify(&elder, &name, Some("CRIT"), Some("낙상감지".into()), None, request);
                notified.await.map(drop)
            }
            What::Gas | What::Usual => {
                let ethanol = if send.what == What::Gas { GAS } else { 0.2 };
                let fields = Air {
                    temperature: Some(22.0),
                    humidity: Some(45.0),
                    dust_level: Some(12.0),
                    ethanol: Some(ethanol),
                    others: None,
                };
                service.report(&elder, &name, fields, origin).await.map(drop)
            }
            What::Sos => {
                *self.calls.entry(family).or_default() += 1;
                service.call_for_help(&elder, &name, None, None).await.map(drop)
            }
        };
        self.bury(place).await;
        if answer.is_err() {
            return again(self);
        }
        let rule = match send.what {
            What::Fall | What::Detector => Rule::Fall,
            What::Gas => Rule::Gas,
            What::Sos => Rule::Sos,
            What::Usual => return,
        };
        // The detector and the call of today know no time of their own: they happen when they are taken.
        let happened_at = if matches!(send.what, What::Detector | What::Sos) { now } else { send.at };
        self.taken.push(Taken { family, rule, number: send.number, happened_at, taken_at: now });
    }

    /// People look at what reached them, and some do something.
    fn read_phones(&mut self, reacts: bool) {
        let now = self.now();
        for reached in self.phones.fresh() {
            self.first.entry(reached.alarm).or_insert(now);
            self.told.insert((reached.alarm, reached.episode));
            let last = self.episodes.entry(reached.alarm).or_default();
            *last = (*last).max(reached.episode);
            let acknowledged = self.acknowledged.get(&reached.alarm);
            // What happened again after that is told again.
            let is_over = |(episode, at): &(i64, i64)| {
                reached.episode <= *episode && reached.at.millis() - at > SILENCE_AFTER_ACK
            };
            if acknowledged.is_some_and(is_over) {
                self.after_ack += 1;
            }
            let Some(account) = self.person_by_address.get(&reached.to).copied() else { continue };
            let (dice, after) = (self.chance.below(100), self.chance.between(5_000, 5 * MINUTE));
            let act = match dice {
                0..=49 => Act::Acknowledge,
                50..=74 => Act::Clear,
                75..=79 => Act::Snooze,
                // The others sleep, or leave it to somebody else.
                _ => continue,
            };
            if reacts || act != Act::Snooze {
                self.plan(now + after, Happening::Act { account, alarm: reached.alarm, act });
            }
        }
    }

    async fn act(&mut self, account: usize, alarm: i64, act: Act) {
        let Some((place, service)) = self.any_server() else {
            let at = self.now() + 2_000;
            return self.plan(at, Happening::Act { account, alarm, act });
        };
        let person = self.people[account].clone();
        let done = match act {
            Act::Acknowledge => service.acknowledge_alarm(&person, RowId(alarm)).await.map(drop),
            Act::Clear => service.clear_alarm(&person, RowId(alarm), None).await.map(drop),
            Act::Snooze => service.snooze_alarm(&person, RowId(alarm), 300, "on the way").await.map(drop),
        };
        self.bury(place).await;
        if act == Act::Clear && !matches!(done, Err(Error::Unavailable(_))) {
            // Also if it was cleared before, or the answer of that was lost.
            self.cleared.entry(alarm).or_insert(self.clock.now().millis());
        }
        match done {
            Ok(()) => {
                self.acts += 1;
                if act != Act::Snooze {
                    let now = self.now();
                    let episode = self.episodes.get(&alarm).copied().unwrap_or_default();
                    self.acknowledged.insert(alarm, (episode, now));
                }
            }
            Err(Error::Unavailable(_)) => {
                let at = self.now() + 2_000;
                self.plan(at, Happening::Act { account, alarm, act });
            }
            // It is over, or was put off already.
            Err(_) => {}
        }
    }

    /// Takes everything away, if it is not to be kept.
    pub async fn end(&mut self, keeps: bool) {
        for server in &mut self.servers {
            if let Some((service, db)) = server.running.take() {
                drop(service);
                db.close().await;
            }
        }
        if keeps {
            crate::output::note(&format!("the database is {}", self.folder.join("carebot.db").display()));
        } else if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            crate::output::note(&format!("{} could not be removed: {error}", self.folder.display()));
        }
    }
}
