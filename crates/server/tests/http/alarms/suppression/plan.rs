//! What happens in a random scenario. A plan is made of its seed alone.

use carebot_database::ambient::SeededRng;
use carebot_model::alarms::ladder::Step;
use carebot_model::alarms::{Channel, Rule, Rung, Severity};
use carebot_model::members::Position;

/// When something critical happens, in seconds since the beginning.
pub const CRISIS: i64 = 1_200;
/// Until when people do something, in seconds.
pub const QUIET: i64 = CRISIS + 600;
/// How often the loops come round, in seconds.
pub const TICK: i64 = 10;

/// A random scenario.
#[derive(Debug)]
pub struct Plan {
    /// What it is made of.
    pub seed: u64,
    /// What is critical in the end.
    pub crisis: Crisis,
    /// Who belongs to the family at the beginning.
    pub people: Vec<Position>,
    /// What happens, in order, each with its second.
    pub deeds: Vec<(i64, Deed)>,
}

/// Something critical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crisis {
    /// Gas, until it is calm.
    Gas,
    /// A report of a fall.
    Fall,
    /// The fall detector's notification.
    Detector,
    /// A notification of fire.
    Fire,
    /// A cry for help to the guardians.
    Cry,
    /// A call for help.
    Call,
    /// Words of danger.
    Words,
}

impl Crisis {
    const ALL: [Self; 7] = [Self::Gas, Self::Fall, Self::Detector, Self::Fire, Self::Cry, Self::Call, Self::Words];

    /// The rule that it is about.
    pub const fn rule(self) -> Rule {
        match self {
            Self::Gas => Rule::Gas,
            Self::Fall | Self::Detector => Rule::Fall,
            Self::Fire => Rule::Emergency,
            Self::Cry | Self::Call => Rule::Sos,
            Self::Words => Rule::Phrase,
        }
    }
}

/// What somebody does about an alarm.
#[derive(Clone, Copy, Debug)]
pub enum Handling {
    /// Sees to it.
    Acknowledge,
    /// Says that it is over.
    Clear,
    /// Puts it off for so many seconds, with a reason or without one.
    Snooze(i64, bool),
}

/// How an address answers.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// It takes nothing, ever.
    Refuses,
    /// It is no more.
    Gone,
    /// It takes nothing for so many seconds, and may say when to come again.
    Later(i64, Option<u64>),
}

/// What happens. People are numbered; a number that nobody has, or has any more, is nobody's.
#[derive(Clone, Debug)]
pub enum Deed {
    /// The danger that the scenario is about.
    Crisis,
    /// It goes on.
    Lasts,
    /// The air is good.
    Calm,
    /// Another danger.
    Danger(Crisis),
    /// A little gas.
    Whiff,
    /// A drill.
    Drill,
    /// Somebody does something about an alarm of another rule.
    HandleOther(usize, Handling),
    /// Somebody does something about an alarm of the same rule.
    HandleSame(usize, Handling),
    /// Somebody reads the notifications of the other alarms.
    ReadOthers(usize),
    /// Somebody mutes a rule for so many seconds.
    Mute(usize, Rule, i64),
    /// Somebody sets a number of a rule: how far between its bounds, in thousandths.
    Set(usize, Rule, usize, i64),
    /// Somebody sets a ladder.
    Ladder(usize, Severity, Vec<Step>),
    /// Quiet minutes of somebody's day.
    Rest(usize, i32, i32),
    /// Somebody's channels, in order.
    Channels(usize, Vec<Channel>),
    /// Somebody's address of a webhook.
    Hook(usize),
    /// Somebody's phone.
    Phone(usize),
    /// From now on somebody's addresses answer otherwise.
    Fails(usize, Answer),
    /// Nothing gets out to the family for so many seconds.
    Outage(i64),
    /// Somebody leaves.
    Leave(usize),
    /// Somebody comes.
    Join(Position),
    /// Somebody gets another place in the family's order, or another position.
    Place(usize, i64, Option<Position>),
    /// The robot asks what it is to say.
    Listen,
    /// The elder asks for help.
    Help,
}

impl Deed {
    /// Whether it changes who is told when.
    pub const fn changes_whom(&self) -> bool {
        matches!(
            self,
            Self::Leave(_)
                | Self::Join(_)
                | Self::Place(..)
                | Self::Channels(..)
                | Self::Hook(_)
                | Self::Phone(_)
                | Self::Ladder(_, Severity::Crit, _)
        )
    }
}

/// Throws dice.
struct Dice(SeededRng);

impl Dice {
    fn below(&self, many: usize) -> usize {
        usize::try_from(self.0.next() % many as u64).unwrap_or_default()
    }

    fn between(&self, least: i64, most: i64) -> i64 {
        least + i64::try_from(self.0.next() % (most - least + 1).unsigned_abs()).unwrap_or_default()
    }

    fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn one_in(&self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// Somebody; there are seldom more.
    fn person(&self) -> usize {
        self.below(6)
    }

    /// A minute of a day.
    fn minute(&self) -> i32 {
        i32::try_from(self.below(1_440)).unwrap_or_default()
    }

    fn handling(&self) -> Handling {
        match self.below(3) {
            0 => Handling::Acknowledge,
            1 => Handling::Clear,
            _ => self.snooze(),
        }
    }

    fn snooze(&self) -> Handling {
        const LENGTHS: [i64; 9] = [-1, 0, 59, 60, 600, 900, 901, 86_400, i64::MAX];
        let length = if self.one_in(2) { self.between(1, 90_000) } else { self.pick(&LENGTHS) };
        Handling::Snooze(length, !self.one_in(5))
    }

    fn ladder(&self, severity: Severity) -> Vec<Step> {
        let mut rungs = Rung::ALL.to_vec();
        for place in (1..rungs.len()).rev() {
            rungs.swap(place, self.below(place + 1));
        }
        // Some are none: too late, or incomplete.
        if self.one_in(6) {
            rungs.pop();
        }
        let most = if severity == Severity::Crit { self.pick(&[0, 60, 900, 1_000]) } else { self.pick(&[900, 90_000]) };
        let mut after: Vec<i64> = rungs.iter().map(|_| self.between(0, most)).collect();
        after.sort_unstable();
        let step = |(rung, after): (Rung, i64)| Step { rung, after_seconds: i32::try_from(after).unwrap_or(i32::MAX) };
        rungs.into_iter().zip(after).map(step).collect()
    }

    fn channels(&self) -> Vec<Channel> {
        let mut all = Channel::ALL.to_vec();
        let count = 1 + self.below(all.len());
        (0..count).map(|_| all.remove(self.below(all.len()))).collect()
    }

    fn fails(&self) -> Answer {
        match self.below(4) {
            0 => Answer::Refuses,
            1 => Answer::Gone,
            _ => self.later(),
        }
    }

    fn later(&self) -> Answer {
        let asks = self.one_in(3).then(|| self.below(100_000) as u64);
        Answer::Later(self.outage(), asks)
    }

    /// For how long something does not work: mostly some minutes.
    fn outage(&self) -> i64 {
        let most = self.pick(&[60, 120, 300, 300, 600, 2_400]);
        self.between(10, most)
    }

    /// What can happen before.
    fn before(&self, crisis: Crisis) -> Deed {
        let severity = self.pick(&[Severity::Crit, Severity::Crit, Severity::Warn]);
        match self.below(24) {
            0 => Deed::Danger(self.pick(&Crisis::ALL)),
            1 => Deed::Danger(crisis),
            2 => Deed::Whiff,
            3 => Deed::Drill,
            4..=6 => Deed::HandleOther(self.person(), self.handling()),
            7 | 8 => Deed::HandleSame(self.person(), self.handling()),
            9 => Deed::ReadOthers(self.person()),
            10 | 11 => Deed::Mute(self.person(), self.pick(Rule::ALL), self.between(1, 40 * 86_400)),
            12 => Deed::Set(self.person(), self.pick(Rule::ALL), self.below(8), self.between(0, 1_000)),
            13 => Deed::Set(self.person(), self.pick(&[Rule::Gas, Rule::Fall]), self.below(8), 1_000),
            14 => Deed::Ladder(self.person(), severity, self.ladder(severity)),
            15 => Deed::Rest(self.person(), self.minute(), self.minute()),
            16 => Deed::Channels(self.person(), self.channels()),
            17 => {
                if self.one_in(2) {
                    Deed::Hook(self.person())
                } else {
                    Deed::Phone(self.person())
                }
            }
            18 => Deed::Fails(self.person(), self.fails()),
            19 => Deed::Outage(self.outage()),
            20 => Deed::Leave(self.person()),
            21 => Deed::Join(self.pick(Position::ALL)),
            22 => {
                let position = self.one_in(3).then(|| self.pick(Position::ALL));
                Deed::Place(self.person(), self.between(1, 6), position)
            }
            _ => Deed::Listen,
        }
    }

    /// What can happen when it is critical: nobody sees to it, and who can not be reached at all stays so.
    fn after(&self) -> Deed {
        match self.below(16) {
            0..=2 => Deed::HandleSame(self.person(), self.snooze()),
            3 | 4 => Deed::HandleOther(self.person(), self.handling()),
            5 => Deed::ReadOthers(self.person()),
            6 => Deed::Mute(self.person(), self.pick(Rule::ALL), self.between(1, 40 * 86_400)),
            7 => Deed::Rest(self.person(), self.minute(), self.minute()),
            8 => Deed::Fails(self.person(), self.later()),
            9 | 10 => Deed::Outage(self.outage()),
            11 => Deed::Leave(self.person()),
            12 => Deed::Join(self.pick(Position::ALL)),
            13 => Deed::Place(self.person(), self.between(1, 6), None),
            14 => Deed::Ladder(self.person(), Severity::Crit, self.ladder(Severity::Crit)),
            _ => {
                if self.one_in(2) {
                    Deed::Help
                } else {
                    Deed::Calm
                }
            }
        }
    }
}

impl Plan {
    /// The scenario of a seed.
    pub fn new(seed: u64) -> Self {
        let dice = Dice(SeededRng::new(seed));
        let crisis = dice.pick(&Crisis::ALL);
        let guardians = vec![Position::Guardian; dice.below(4)];
        let others = (0..dice.below(3)).map(|_| dice.pick(&[Position::CareWorker, Position::Staff]));
        let people = guardians.into_iter().chain(others).collect();
        let mut deeds: Vec<(i64, Deed)> = Vec::new();
        for _ in 0..dice.below(16) {
            deeds.push((dice.between(1, CRISIS / TICK - 1) * TICK, dice.before(crisis)));
        }
        // Mostly right before, or while nothing gets out.
        if dice.one_in(3) {
            deeds.push((CRISIS - TICK, Deed::Listen));
        }
        if dice.one_in(3) {
            deeds.push((CRISIS - TICK, Deed::Outage(dice.outage())));
        }
        deeds.push((CRISIS, Deed::Crisis));
        for _ in 0..dice.below(8) {
            deeds.push((CRISIS + dice.between(1, (QUIET - CRISIS) / TICK) * TICK, dice.after()));
        }
        if crisis == Crisis::Gas {
            // Until it is calm, and then it stays so.
            let calm = deeds.iter().filter(|(_, deed)| matches!(deed, Deed::Calm)).map(|(at, _)| *at).min();
            let seconds = (CRISIS + TICK..=CRISIS + 3_600).step_by(60);
            deeds.extend(
                seconds.map(|at| (at, if calm.is_some_and(|calm| calm <= at) { Deed::Calm } else { Deed::Lasts })),
            );
        }
        deeds.sort_by_key(|(at, _)| *at);
        Self { seed, crisis, people, deeds }
    }
}
