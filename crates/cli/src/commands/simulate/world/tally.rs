//! What became of every critical thing, by what stands in the database at the end.

use std::collections::{BTreeMap, BTreeSet};

use carebot_database::deliveries::{self, Fate};
use carebot_database::{Db, Options, alarms, journal, params};
use carebot_model::alarms::{Alarm, ClearReason, EntryKind, Rule, SAME, Severity};
use carebot_model::{FamilyId, Timestamp};
use carebot_service::alarms::verify;

use super::super::report::Report;
use super::{MINUTE, START, TURN, Taken, World, key_of, operator};
use crate::failure::Result;

/// Of so many that were lost the report says which.
const LOST: usize = 10;
/// After how long what somebody cleared too early is raised again, and how wrong the clock can be by which it was cleared.
const AGAIN: i64 = 20 * MINUTE;

/// What was raised so lately at the end is not called untold: a provider may have failed at the first try, and the next is to come.
const YOUNG: i64 = 2 * MINUTE;

/// When a family's alarm was there by the right clock: when somebody was first told of it, and when somebody cleared it.
type Presence = (Option<i64>, Option<i64>);

/// Whether one of the gas alarms of a family was about a reading: counted it; lasted when it was made, from the first that it counted; or was
/// there, by the right clock, when the reading came, whatever the clocks of servers said. It is not over before readings
/// were normal for a minute, and if somebody cleared it, it is only raised again after a while.
async fn has_gas_alarm(db: &Db, taken: &Taken, alarms: &[(&Alarm, Presence)]) -> Result<bool> {
    let sql = "SELECT reported_at FROM home_status WHERE family_id = ? AND source_key = ?";
    let stored: Option<Timestamp> =
        db.read().fetch_optional(sql, params![taken.family, key_of(taken.number)], |row| row.get(0)).await?;
    let Some(at) = stored else { return Ok(false) };
    for (alarm, (told_at, cleared_at)) in alarms {
        let counted = counted(db, alarm).await?;
        let grace = if alarm.clear_reason == Some(ClearReason::Person) { AGAIN } else { MINUTE };
        let begun = counted.iter().copied().chain([alarm.sensed_at.millis()]).min();
        let lasts = alarm.ended_at.is_none_or(|until| at <= until.plus_millis(grace));
        let was_there =
            told_at.zip(*cleared_at).is_some_and(|(told, cleared)| (told..=cleared).contains(&taken.taken_at));
        if was_there || counted.contains(&at.millis()) || (lasts && begun.is_some_and(|begun| begun <= at.millis())) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The moments, in unix milliseconds, of what the timeline of an alarm says that it has counted.
async fn counted(db: &Db, alarm: &Alarm) -> Result<Vec<i64>> {
    let entries = journal::timeline(&mut db.read(), &operator(alarm.family)?, alarm.id).await?;
    let sensed = entries.iter().filter(|entry| entry.kind == EntryKind::Sensed);
    Ok(sensed
        .filter_map(|entry| serde_json::from_str::<serde_json::Value>(&entry.body).ok()?["complete_at"].as_i64())
        .collect())
}

/// An alarm that nobody was told of, for whoever looks for the reason; times are seconds before the end.
async fn silent(db: &Db, alarm: &Alarm, end: i64) -> Result<String> {
    let before =
        |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| ((end - at.millis()) / 1_000).to_string());
    let fates = deliveries::of_alarm(&mut db.read(), alarm).await?;
    let deliveries = fates.iter().map(|Fate { delivery, ended }| {
        let ended = ended.as_deref().unwrap_or("open");
        let (made, tried) = (before(Some(delivery.created_at)), before(delivery.tried_at));
        format!("step {} {ended} (made {made}, {} tries from {tried})", delivery.step, delivery.attempts)
    });
    Ok(format!(
        "{} {} of family {}: sensed {}, raised {}, cleared {} ({:?}), climb {} from {}, step {}, next {}; deliveries: {}",
        alarm.rule.name(),
        alarm.id.0,
        alarm.family,
        before(Some(alarm.sensed_at)),
        before(Some(alarm.raised_at)),
        before(alarm.cleared_at),
        alarm.clear_reason,
        alarm.episode,
        before(Some(alarm.climb_from)),
        alarm.next_step,
        before(alarm.next_at),
        deliveries.collect::<Vec<_>>().join(", ")
    ))
}

impl World {
    /// Looks into the database what became of everything.
    pub async fn report(&mut self) -> Result<Report> {
        let db = Db::open(&self.url, &Options::default()).await?;
        let key = carebot_service::alarms::Settings::default().key;
        let mut report = Report { passed: self.now() - START, resent: self.resent, ..Report::default() };
        let mut by_family: BTreeMap<FamilyId, Vec<Alarm>> = BTreeMap::new();
        for home in &self.homes {
            let mut before = None;
            loop {
                let page = alarms::list(&mut db.read(), &operator(home.family)?, false, before, 500).await?;
                before = page.iter().map(|alarm| alarm.id).min();
                let is_last = page.len() < 500;
                by_family.entry(home.family).or_default().extend(page);
                if is_last {
                    break;
                }
            }
            let chain = verify::family(&db, std::slice::from_ref(&key), home.family).await?;
            report.entries += u64::try_from(chain.entries).unwrap_or_default();
            report.broken_chains += u64::from(chain.fault.is_some());
        }
        (report.without_alarm, report.counted_twice) = self.miscounted(&by_family);
        // As wrong as a clock can be at the moment when something is taken.
        let tolerance = SAME + 31 * MINUTE;
        let mut seen = BTreeSet::new();
        for taken in &self.taken {
            report.criticals += 1;
            let happened = taken.happened_at;
            let of_family = by_family.get(&taken.family).into_iter().flatten();
            let of_rule: Vec<&Alarm> = of_family.filter(|alarm| alarm.rule == taken.rule).collect();
            let mut has_alarm = if taken.rule == Rule::Gas {
                let presence = |id: i64| (self.first.get(&id).copied(), self.cleared.get(&id).copied());
                let there: Vec<_> = of_rule.iter().map(|alarm| (*alarm, presence(alarm.id.0))).collect();
                has_gas_alarm(&db, taken, &there).await?
            } else {
                of_rule.iter().any(|alarm| {
                    alarm.sensed_at.millis() - tolerance <= happened
                        && happened <= alarm.last_sensed_at.millis() + tolerance
                })
            };
            // What came late belongs to the alarm that is open when it comes, however much later that began.
            if !has_alarm {
                for alarm in &of_rule {
                    has_alarm = has_alarm || counted(&db, alarm).await?.contains(&happened);
                }
            }
            report.without_alarm += u64::from(!has_alarm);
            if !has_alarm && report.lost.len() < LOST {
                report.lost.push(format!(
                    "{} {} of family {}, happened at {happened}, acknowledged at {}",
                    taken.rule.name(),
                    key_of(taken.number),
                    taken.family,
                    taken.taken_at
                ));
            }
            // The alarm that this one raised, if it did not come upon one that was open.
            let raised = of_rule.iter().find(|alarm| (alarm.raised_at.millis() - taken.taken_at).abs() <= TURN);
            if let Some(first) =
                raised.filter(|alarm| seen.insert(alarm.id)).and_then(|alarm| self.first.get(&alarm.id.0))
            {
                let passed = (first - taken.taken_at).max(0);
                report.first.push(passed);
                let overlaps = |(from, until): &(i64, i64)| *from <= *first && taken.taken_at <= *until;
                if !self.disturbances.iter().any(overlaps) {
                    report.calm_first.push(passed);
                }
            }
        }
        for alarm in by_family.values().flatten().filter(|alarm| alarm.severity == Severity::Crit) {
            report.alarms += 1;
            let is_settled = alarm.is_settled() || alarm.acknowledged_at.is_some();
            // That people were told of the danger before says nothing of the last.
            let last_danger = (alarm.id.0, i64::from(alarm.danger_episode))..=(alarm.id.0, i64::MAX);
            if is_settled || self.told.range(last_danger).next().is_some() {
                continue;
            }
            if self.now() - alarm.raised_at.millis() < YOUNG {
                report.young += 1;
                continue;
            }
            report.untold += 1;
            if report.silent.len() < LOST {
                report.silent.push(silent(&db, alarm, self.now()).await?);
            }
        }
        report.first.sort_unstable();
        report.calm_first.sort_unstable();
        (report.acts, report.after_ack) = (self.acts, self.after_ack);
        report.carriage = self.phones.carriage();
        for server in &self.servers {
            let broken = server.breaks.broken();
            self.broken.crashes += broken.crashes;
            self.broken.full_disks += broken.full_disks;
            self.broken.lost_answers += broken.lost_answers;
        }
        (report.broken, report.jumps, report.outages) = (self.broken, self.jumps, self.outages);
        db.close().await;
        Ok(report)
    }

    /// Falls and calls for help that no alarm has counted, and those that were counted more than once: each is written down in one
    /// alarm. A call knows no number: one of which no answer came may count. (Gas is judged by its readings.)
    fn miscounted(&self, by_family: &BTreeMap<FamilyId, Vec<Alarm>>) -> (u64, u64) {
        let (mut missing, mut twice) = (0, 0);
        for (family, rule) in self.homes.iter().flat_map(|home| [(home.family, Rule::Fall), (home.family, Rule::Sos)]) {
            let taken = self.taken.iter().filter(|one| (one.family, one.rule) == (family, rule)).count();
            let taken = i64::try_from(taken).unwrap_or(i64::MAX);
            let most = if rule == Rule::Sos { self.calls.get(&family).copied().unwrap_or_default() } else { taken };
            let of_rule = by_family.get(&family).into_iter().flatten().filter(|alarm| alarm.rule == rule);
            let counted: i64 = of_rule.map(|alarm| i64::from(alarm.occurrences)).sum();
            missing += u64::try_from(taken - counted).unwrap_or_default();
            twice += u64::try_from(counted - most).unwrap_or_default();
        }
        (missing, twice)
    }
}
