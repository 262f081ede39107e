//! What breaks, and when.

use std::sync::{Arc, Mutex, PoisonError};

use carebot_database::DbError;
use carebot_database::connector::faults::{Faults, Moment};
use carebot_model::mix::mix;

/// How often what breaks: one in so many; zero is never.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Of the moments at which a database is asked for something: the server is killed.
    pub crash: u64,
    /// Of those moments: the disk is full for a while.
    pub disk_full: u64,
    /// Of the commits: the answer is lost.
    pub lost_answer: u64,
    /// Of the hand-overs: the provider answers an error, or nothing in time.
    pub provider: u64,
    /// Of the hand-overs: the provider takes it, and its answer is lost.
    pub lost_yes: u64,
    /// Of the turns: a server's clock jumps for a while.
    pub clock: u64,
    /// Of the turns: a provider is down for a while.
    pub outage: u64,
}

impl Profile {
    /// Nothing breaks.
    pub const NONE: Self =
        Self { crash: 0, disk_full: 0, lost_answer: 0, provider: 0, lost_yes: 0, clock: 0, outage: 0 };
    /// Everything breaks, far more often than anywhere.
    pub const USUAL: Self = Self {
        crash: 20_000,
        disk_full: 60_000,
        lost_answer: 2_000,
        provider: 10,
        lost_yes: 5_000,
        clock: 4_000,
        outage: 8_000,
    };
}

/// Numbers that a seed decides.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(carebot_model::mix::STEP);
        mix(self.0)
    }

    /// A number below another.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// True one time in so many; never for zero.
    pub fn one_in(&mut self, times: u64) -> bool {
        times > 0 && self.below(times) == 0
    }

    /// A number of milliseconds between two.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        let width = u64::try_from(to - from).unwrap_or_default();
        from + i64::try_from(self.below(width.max(1))).unwrap_or_default()
    }
}

#[derive(Debug)]
struct State {
    chance: Chance,
    /// Killed: nothing works any more.
    is_dead: bool,
    /// So many more moments the disk is full.
    full_for: u64,
    /// Nothing breaks from now on.
    is_calm: bool,
    crashes: u64,
    full_disks: u64,
    lost_answers: u64,
}

/// Breaks the database of one server.
#[derive(Debug)]
pub struct Breaks {
    profile: Profile,
    state: Mutex<State>,
}

/// How often what broke.
#[derive(Clone, Copy, Debug, Default)]
pub struct Broken {
    pub crashes: u64,
    pub full_disks: u64,
    pub lost_answers: u64,
}

impl Breaks {
    pub fn new(profile: Profile, seed: u64) -> Arc<Self> {
        let state = State {
            chance: Chance::new(seed),
            is_dead: false,
            full_for: 0,
            is_calm: false,
            crashes: 0,
            full_disks: 0,
            lost_answers: 0,
        };
        Arc::new(Self { profile, state: Mutex::new(state) })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server was killed.
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Nothing breaks from now on.
    pub fn calm(&self) {
        let mut state = self.state();
        (state.is_calm, state.full_for) = (true, 0);
    }

    pub fn broken(&self) -> Broken {
        let state = self.state();
        Broken { crashes: state.crashes, full_disks: state.full_disks, lost_answers: state.lost_answers }
    }
}

impl Faults for Breaks {
    fn at(&self, moment: Moment) -> Result<(), DbError> {
        let mut state = self.state();
        let killed = || DbError::Unavailable("the server was killed".into());
        let full = || DbError::Unavailable("the disk is full".into());
        if state.is_dead {
            return Err(killed());
        }
        if state.is_calm {
            return Ok(());
        }
        if state.chance.one_in(self.profile.crash) {
            state.is_dead = true;
            state.crashes += 1;
            return Err(killed());
        }
        if moment == Moment::Committed {
            if state.chance.one_in(self.profile.lost_answer) {
                state.lost_answers += 1;
                return Err(DbError::OutcomeUnknown("the answer of the commit was lost".into()));
            }
            return Ok(());
        }
        if state.full_for > 0 {
            state.full_for -= 1;
            return if moment == Moment::Read { Ok(()) } else { Err(full()) };
        }
        if state.chance.one_in(self.profile.disk_full) {
            state.full_for = 20 + state.chance.below(400);
            state.full_disks += 1;
            return if moment == Moment::Read { Ok(()) } else { Err(full()) };
        }
        Ok(())
    }
}
