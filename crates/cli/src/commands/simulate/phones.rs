//! The channels of the simulation: they take notices, fail, or take them and lose their answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use carebot_database::ambient::Clock;
use carebot_external::channels::{Notice, Undelivered};
use carebot_model::Timestamp;
use carebot_model::alarms::Channel;
use carebot_model::alarms::text::Language;
use carebot_service::alarms::deliver::Carried;
use carebot_service::alarms::{Address, Carrier};

use super::faults::{Chance, Profile};

/// A notice that reached somebody.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The e-mail address.
    pub to: String,
    /// The alarm.
    pub alarm: i64,
    /// Which climb of its ladder.
    pub episode: i64,
    /// When.
    pub at: Timestamp,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    /// Until when nothing gets through.
    down_until: Timestamp,
    /// What came since it was last asked for.
    fresh: Vec<Reached>,
    /// How often each notice came.
    counts: BTreeMap<String, u32>,
    failures: u64,
    lost_yes: u64,
}

/// Everybody's telephone.
#[derive(Clone, Debug)]
pub struct Phones {
    clock: Arc<dyn Clock>,
    profile: Profile,
    state: Arc<Mutex<State>>,
}

/// What the channels saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carriage {
    /// Notices that came, each counted once.
    pub notices: u64,
    /// Those that came again.
    pub duplicates: u64,
    /// Hand-overs that failed.
    pub failures: u64,
    /// Hand-overs that worked and whose answer was lost.
    pub lost_yes: u64,
}

impl Phones {
    pub fn new(clock: Arc<dyn Clock>, profile: Profile, seed: u64) -> Self {
        let state = State {
            chance: Chance::new(seed),
            down_until: Timestamp::MIN,
            fresh: Vec::new(),
            counts: BTreeMap::new(),
            failures: 0,
            lost_yes: 0,
        };
        Self { clock, profile, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing gets through for a while.
    pub fn down_for(&self, millis: i64) {
        self.state().down_until = self.clock.now().plus_millis(millis);
    }

    /// What came since the last question.
    pub fn fresh(&self) -> Vec<Reached> {
        std::mem::take(&mut self.state().fresh)
    }

    pub fn carriage(&self) -> Carriage {
        let state = self.state();
        let duplicates = state.counts.values().map(|count| u64::from(*count) - 1).sum();
        Carriage { notices: state.counts.len() as u64, duplicates, failures: state.failures, lost_yes: state.lost_yes }
    }

    fn take(&self, to: String, notice: &Notice) -> Result<(), Undelivered> {
        let now = self.clock.now();
        let mut state = self.state();
        let later = |reason: &str| Undelivered::Later { reason: reason.to_owned(), after: None };
        if now < state.down_until {
            state.failures += 1;
            return Err(later("nobody answers"));
        }
        if state.chance.one_in(self.profile.provider) {
            state.failures += 1;
            let reason = if state.chance.one_in(2) { "503" } else { "no answer in time" };
            return Err(later(reason));
        }
        let alarm = notice.data["alarm"]["id"].as_i64().unwrap_or_default();
        *state.counts.entry(notice.id.clone()).or_default() += 1;
        let episode = notice.data["episode"].as_i64().unwrap_or_default();
        state.fresh.push(Reached { to, alarm, episode, at: now });
        if state.chance.one_in(self.profile.lost_yes) {
            state.lost_yes += 1;
            return Err(later("the connection broke while the answer was awaited"));
        }
        Ok(())
    }
}

impl Carrier for Phones {
    fn carry<'a>(&'a self, address: &'a Address, notice: &'a Notice, _: Language) -> Carried<'a> {
        let to = match address {
            Address::Push(device) => device.endpoint.clone(),
            Address::Email(to) => to.clone(),
            Address::Webhook(url, _) => url.clone(),
        };
        Box::pin(async move { self.take(to, notice) })
    }

    fn has(&self, channel: Channel) -> bool {
        channel == Channel::Email
    }
}
