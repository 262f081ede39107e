//! Whatever people set, put off, mute and change, and whoever comes and goes: something critical reaches somebody in time.
//!
//! Random scenarios, each made of its own seed (`plan`), many families of them on one server at a time (`town`). By default there
//! are a thousand on SQLite and two hundred on MariaDB; `CAREBOT_SCENARIOS=10000` plays as many on each, `CAREBOT_SEED=..` begins
//! at another seed. A failure prints the seed: with that and `CAREBOT_SCENARIOS=1` it is played alone.

mod plan;
mod town;

use std::collections::HashMap;

use carebot_model::Timestamp;
use carebot_model::alarms::Severity;
use carebot_testkit::Engine;

use super::*;
use plan::{Answer, Deed, Handling, Plan, TICK};
use town::{Home, Outcome, Town};

/// Where seeds begin.
const SEED: u64 = 20_261_123;
/// How many families are played at a time.
const TOGETHER: usize = 250;
/// How long the elder is asked at most.
const ASK: i64 = MINUTE;
/// How long a critical alarm can be put off.
const SNOOZE: i64 = 15 * MINUTE;
/// When the last step of a critical alarm's ladder comes if nobody set another.
const LADDER: i64 = 10 * MINUTE;
/// The latest that a family can have it come.
const LADDER_MOST: i64 = 15 * MINUTE;
/// The pause after a ladder that nobody confirmed; doubled each time.
const ROUND: i64 = 15 * MINUTE;
/// The longest pause between two tries of a channel.
const PAUSE: i64 = 10 * MINUTE;

/// What keeps people from being told, of what happened since the alarm was raised.
#[derive(Debug)]
struct Obstacles {
    /// Whether the elder is asked first.
    is_asked: bool,
    /// Whether somebody tried to put it off.
    is_snoozed: bool,
    /// When the last step of the ladder comes, in milliseconds.
    ladder: i64,
    /// When it was last changed who is told when, in milliseconds after the alarm was raised.
    changed: Option<i64>,
    /// Until when channels fail, in the same way.
    fails_until: i64,
}

/// How long after a critical alarm was raised somebody has a notice of it at the latest, in milliseconds.
///
/// * The elder is asked for a minute at most.
/// * The ladder's last step comes within a quarter of an hour: within that, somebody who can be reached is told.
/// * Put off, it stands still, once and for a quarter of an hour at most.
/// * Who came, or moved up, after the step that would have told him is told in the next round. It begins a quarter of an hour
///   after the end of the one before, the third one half an hour after the second; no scenario gets further before people leave
///   it alone.
/// * While channels fail it waits. They are tried again every ten minutes at least.
/// * The loops come round every [`TICK`] seconds.
fn bound(obstacles: &Obstacles) -> i64 {
    let Obstacles { is_asked, is_snoozed, ladder, changed, fails_until } = *obstacles;
    let (asked, snoozed) = (if is_asked { ASK } else { 0 }, if is_snoozed { SNOOZE } else { 0 });
    let ladder = ladder.min(LADDER_MOST);
    let first = asked + snoozed + ladder;
    let climbed = match changed {
        Some(changed) => (first + ROUND + ladder).max(changed + 2 * ROUND + snoozed + ladder),
        None => first,
    };
    climbed.max(fails_until + PAUSE) + TICK * SECOND
}

/// What stood in the way since an alarm was raised.
fn obstacles(home: &Home, raised_at: Timestamp) -> Obstacles {
    let listened =
        |(at, deed): &(Timestamp, Deed)| matches!(deed, Deed::Listen) && (0..=MINUTE).contains(&raised_at.since(*at));
    let is_asked = home.plan.crisis.rule() == Rule::Fall && home.done.iter().any(listened);
    let since = home.done.iter().filter(|(at, _)| *at >= raised_at);
    let changed = since.clone().filter(|(_, deed)| deed.changes_whom()).map(|(at, _)| at.since(raised_at)).max();
    let is_snoozed = since.clone().any(|(_, deed)| matches!(deed, Deed::HandleSame(_, Handling::Snooze(..))));
    let until = |(at, deed): &(Timestamp, Deed)| match deed {
        Deed::Outage(seconds) | Deed::Fails(_, Answer::Later(seconds, _)) => {
            Some(at.plus_millis(seconds * SECOND).since(raised_at))
        }
        _ => None,
    };
    let fails_until = home.done.iter().filter_map(until).max().unwrap_or_default().max(0);
    // Those that were refused make it no longer than it can be anyway.
    let last = |(_, deed): &(Timestamp, Deed)| match deed {
        Deed::Ladder(_, Severity::Crit, steps) => Some(i64::from(steps.last()?.after_seconds) * SECOND),
        _ => None,
    };
    let ladder = home.done.iter().filter_map(last).fold(LADDER, i64::max);
    Obstacles { is_asked, is_snoozed, ladder, changed, fails_until }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

both_engines! {
    async fn whatever_people_do_something_critical_reaches_somebody_in_time(t: TestDb) {
        let default = if t.engine == Engine::Sqlite { 1_000 } else { 200 };
        let (count, seed) = (setting("CAREBOT_SCENARIOS").unwrap_or(default), setting("CAREBOT_SEED").unwrap_or(SEED));
        let town = Town::new(&t).await;
        let seeds: Vec<u64> = (seed..seed + count).collect();
        let (mut failures, mut void, mut told) = (Vec::new(), HashMap::new(), 0_u64);
        for seeds in seeds.chunks(TOGETHER) {
            for home in town.play(seeds.iter().map(|seed| Plan::new(*seed)).collect()).await {
                match home.outcome.expect("a scenario is played to its end") {
                    Outcome::Told => told += 1,
                    Outcome::Void(why) => *void.entry(why).or_insert(0_u64) += 1,
                    Outcome::Silent(what) => failures.push(format!("seed {}: {:#?}\n{what}", home.plan.seed, home.plan)),
                }
            }
        }
        let some = failures.iter().take(3).cloned().collect::<Vec<_>>().join("\n\n");
        assert!(failures.is_empty(), "{} of {count} scenarios from seed {seed} were silent:\n{some}", failures.len());
        // A test in which hardly anybody has to be told proves nothing.
        assert!(count < 100 || told * 10 >= count * 9, "only {told} of {count} told anybody: {void:?}");
    }
}
