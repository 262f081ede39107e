//! Beats: each server says to all that its loops turn, and by what clock. What lay still was an outage; and what was planned by a clock
//! that was ahead is brought forward when it is right again, or when the server that had it is gone.

use std::sync::PoisonError;

use carebot_database::journal::Journal;
use carebot_database::{DbError, alarms, deliveries, journal, rules, transact};
use carebot_model::alarms::{Alarm, SNOOZE, SNOOZE_CRIT, Severity};
use carebot_model::{FamilyId, RowId, Timestamp};

use super::{Loop, climb};
use crate::{Result, Service};

/// When the alarm loop of any server last turned.
const ALIVE: &str = "alarms_alive";
/// When it turned again after it had lain still.
const BACK: &str = "alarms_back";
/// How long it must lie still to count as an outage, in milliseconds.
const STILL: u64 = 60_000;
/// How far clocks of servers may differ, in milliseconds, before one is called wrong.
const APART: i64 = 10_000;
/// So many beats, one after another, must be by a clock that agrees with this server's before what another one planned is touched:
/// while two that differ are alive, nobody knows which one is right, and each does what it has planned.
const AGREED: u32 = 2;
/// How many alarms are read at once.
const BATCH: u32 = 200;

/// A clock was ahead of this server's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// How far, in milliseconds.
    by: i64,
    /// How many beats have agreed with this server's clock since then.
    agreed: u32,
}

impl Service {
    /// Beats for all servers: the loop turns. What lay still for longer than `STILL` was an outage, and silences are counted
    /// from its end.
    ///
    /// # Errors
    /// As the database.
    pub async fn beat(&self) -> Result<()> {
        let now = self.now();
        let at = now.millis();
        let last = journal::read_signal(&mut self.db.read(), ALIVE).await?;
        let was_alive = self.was_alive(last, now);
        // Clocks of several servers differ a little: the newest beat stays, also if it seems to come from the future. One that is further
        // ahead would hide when its server dies.
        let newest = last.filter(|last| (0..=APART).contains(&(last - at))).unwrap_or(at);
        self.mind_the_clock(now, last).await?;
        transact!(self.db, tx => {
            if !was_alive {
                journal::set_signal(&mut tx, BACK, at).await?;
            }
            journal::set_signal(&mut tx, ALIVE, newest).await
        })?;
        self.alarms.turned(Loop::Beat, now);
        Ok(())
    }

    /// Whether this server, or another by a clock like this one's, was there until now.
    fn was_alive(&self, last: Option<i64>, now: Timestamp) -> bool {
        let beats = [last, self.alarms.turned_at(Loop::Beat)];
        beats.into_iter().flatten().any(|beat| now.millis().abs_diff(beat) < STILL)
    }

    /// When this installation last came back after nobody could report to it; [`None`] if it is coming back at this moment.
    pub(super) async fn back_at(
        &self,
        tx: &mut carebot_database::Tx,
        now: Timestamp,
    ) -> Result<Option<Option<Timestamp>>, DbError> {
        let last = journal::read_signal(tx, ALIVE).await?;
        if !self.was_alive(last, now) {
            return Ok(None);
        }
        let back = journal::read_signal(tx, BACK).await?.map(Timestamp::from_millis);
        // By a clock that is ahead it would be a long time to come, and every robot excused until then.
        Ok(Some(back.filter(|back| *back <= now.plus_millis(APART))))
    }

    /// Notices that a clock was ahead: this server's, which was set back, or that of one that is gone. When whoever beats is agreed on
    /// the time, what was planned by it is brought forward. A fall would otherwise wait for as long as the clock was wrong, nine hours where
    /// a machine keeps Korean time as if it were UTC.
    async fn mind_the_clock(&self, now: Timestamp, last: Option<i64>) -> Result<()> {
        let at = now.millis();
        let ahead = last.max(self.alarms.turned_at(Loop::Beat)).map(|mark| mark - at).filter(|by| *by > APART);
        let known = *self.alarms.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match (ahead, known) {
            (Some(by), known) => {
                if known.is_none() {
                    tracing::warn!(
                        ahead_ms = by,
                        "a clock was ahead of what this server's shows: have clocks kept right by NTP, at every server"
                    );
                }
                Some(Ahead { by, agreed: 0 })
            }
            (None, Some(Ahead { by, agreed })) => {
                let agreed =
                    if last.is_some_and(|last| at.abs_diff(last) <= APART.unsigned_abs()) { agreed + 1 } else { 0 };
                if agreed >= AGREED {
                    let changed = self.bring_forward(now, by).await?;
                    tracing::warn!(
                        changed,
                        ahead_ms = by,
                        "what was planned by a clock that was ahead is brought forward"
                    );
                    None
                } else {
                    Some(Ahead { by, agreed })
                }
            }
            (None, None) => None,
        };
        *self.alarms.ahead.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Brings forward what was planned by a clock that was ahead by so many milliseconds; how much that was.
    async fn bring_forward(&self, now: Timestamp, by: i64) -> Result<u64> {
        let wrong = now.plus_millis(APART);
        let mut changed = transact!(self.db, tx => {
            // Each rule plans anew when it looks.
            let rules = rules::look_again(&mut tx, now, wrong).await?;
            Ok::<_, DbError>(rules + deliveries::bring_forward(&mut tx, now, wrong, by).await?)
        })?;
        let mut behind = None;
        loop {
            let page = alarms::planned_after(&mut self.db.read(), wrong, behind, BATCH).await?;
            let Some((last, _)) = page.last() else { break };
            behind = Some(*last);
            for (id, family) in page {
                changed += u64::from(self.bring_alarm_forward(id, family, now, by).await?);
            }
        }
        self.alarms.rules.notify_one();
        self.alarms.ladders.notify_one();
        self.alarms.deliveries.notify_one();
        Ok(changed)
    }

    async fn bring_alarm_forward(&self, id: RowId, family: FamilyId, now: Timestamp, by: i64) -> Result<bool> {
        let changed = transact!(self.db, tx => {
            let _journal = Journal::open(&mut tx, family, now).await?;
            let Some(mut alarm) = alarms::get(&mut tx, id).await? else { return Ok::<_, DbError>(false) };
            let before = alarm.next_at;
            replan(&mut alarm, now, by);
            if alarm.next_at != before {
                alarms::update(&mut tx, &alarm).await?;
            }
            Ok(alarm.next_at != before)
        })?;
        Ok(changed)
    }
}

/// What an alarm has planned, if that was by a clock that was ahead by so much: its steps keep their distances. No step is taken
/// earlier than it would have been by the right clock.
fn replan(alarm: &mut Alarm, now: Timestamp, by: i64) {
    let most = if alarm.severity == Severity::Crit { SNOOZE_CRIT } else { SNOOZE };
    let (is_snoozed, is_too_long) =
        alarm.snoozed_until.map_or((false, false), |until| (now < until, until > now.plus_millis(most)));
    if is_too_long || (!is_snoozed && alarm.climb_from > now.plus_millis(APART)) {
        // A put-off ladder begins when that is over, which may be in time to come by a right clock, too.
        alarm.climb_from = alarm.climb_from.plus_millis(-by);
        for time in [&mut alarm.next_at, &mut alarm.ask_until, &mut alarm.snoozed_until].into_iter().flatten() {
            if *time > now {
                *time = time.plus_millis(-by);
            }
        }
    } else if !is_snoozed && alarm.wants_people() {
        // It was climbed by that clock, which planned the next climb.
        let latest = climb::next_round(alarm, now);
        alarm.next_at = alarm.next_at.map(|at| at.min(latest));
    }
}
