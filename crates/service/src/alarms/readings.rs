//! The readings that rules look at: which of a report matter to which, and those that are stored, in the order in which they were made.

use std::any::Any;

use carebot_database::{DbError, Tx, params};
use carebot_model::alarms::rules::Field;
use carebot_model::alarms::{Rule, threshold};
use carebot_model::status::{Active, Health, Home};
use carebot_model::{FamilyId, Timestamp};

use super::RuleSet;

/// How many readings are read at once.
const PAGE: u32 = 5_000;
/// How long a report may be underway to count as fresh, in milliseconds. What is older marks every rule it could matter to.
pub(crate) const FRESH: i64 = 60_000;

/// PM2.5 in the text of other readings, which holds a dictionary as the robot writes it.
pub(crate) fn ultrafine_dust(others: &str) -> Option<f64> {
    if !others.contains("ultrafinedust") {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(&others.replace('\'', "\"")).ok()?;
    let found = value.get("ultrafinedust")?;
    found.as_f64().or_else(|| found.as_str()?.trim().parse().ok()).filter(|value| value.is_finite())
}

/// The readings of a report, each with the rules it could matter to.
pub(crate) trait Readings {
    /// Calls back for each.
    fn each(&self, see: &mut dyn FnMut(Rule, f64));
}

impl Readings for Home {
    fn each(&self, see: &mut dyn FnMut(Rule, f64)) {
        let mut with = |value: Option<f64>, rules: &[Rule]| {
            if let Some(value) = value {
                for rule in rules {
                    see(*rule, value);
                }
            }
        };
        with(self.ethanol, &[Rule::Gas]);
        with(self.temperature, &[Rule::Heat, Rule::Cold]);
        with(self.dust_level, &[Rule::Dust]);
        with(self.others.as_deref().and_then(ultrafine_dust), &[Rule::UltrafineDust]);
    }
}

impl Readings for Health {
    fn each(&self, see: &mut dyn FnMut(Rule, f64)) {
        if let Some(rate) = self.heart_rate {
            see(Rule::HeartFast, f64::from(rate));
            see(Rule::HeartSlow, f64::from(rate));
        }
    }
}

/// The readings of a report of any kind, if rules look at that kind.
pub(crate) fn readings_of(fields: &dyn Any) -> Option<&dyn Readings> {
    let home = fields.downcast_ref::<Home>().map(|home| home as &dyn Readings);
    home.or_else(|| fields.downcast_ref::<Health>().map(|health| health as &dyn Readings))
}

/// Whether a report of any kind says that it is dangerous.
pub(crate) fn is_critical(fields: &dyn Any) -> bool {
    fields.downcast_ref::<Active>().is_some_and(|active| active.is_critical == Some(true))
}

/// Which rules a report is noticeable to; and which have to look at it: those, or all if it came late.
pub(crate) fn to_mark(readings: &dyn Readings, set: &RuleSet, is_late: bool) -> (Vec<Rule>, Vec<Rule>) {
    let (mut noticed, mut marks) = (Vec::new(), Vec::new());
    readings.each(&mut |rule, value| {
        let is_noticeable = threshold::is_noticeable(set.of(rule), value);
        if is_noticeable {
            noticed.push(rule);
        }
        if is_late || is_noticeable {
            marks.push(rule);
        }
    });
    (noticed, marks)
}

/// The readings of a rule, page by page, in the order in which they were made.
pub(super) struct Walk {
    family: FamilyId,
    rule: Rule,
    after: Timestamp,
    until: Timestamp,
    is_over: bool,
}

impl Walk {
    /// Those after a time and up to another.
    pub(super) const fn new(family: FamilyId, rule: Rule, after: Timestamp, until: Timestamp) -> Self {
        Self { family, rule, after, until, is_over: false }
    }

    /// The next page; none after the last.
    pub(super) async fn next(&mut self, tx: &mut Tx) -> Result<Option<Vec<(Timestamp, f64)>>, DbError> {
        if self.is_over {
            return Ok(None);
        }
        let Page { rows, last, is_full } = read_page(tx, self.family, self.rule, self.after, self.until).await?;
        match last {
            Some(last) if is_full => self.after = last,
            _ => self.is_over = true,
        }
        Ok(Some(rows))
    }
}

/// A page of readings.
pub(super) struct Page {
    pub rows: Vec<(Timestamp, f64)>,
    /// The time of the last row, whether it holds a reading or not.
    last: Option<Timestamp>,
    /// Whether there may be more.
    is_full: bool,
}

/// The readings of a rule after a time and up to another.
pub(super) async fn read_page(
    tx: &mut Tx,
    family: FamilyId,
    rule: Rule,
    after: Timestamp,
    until: Timestamp,
) -> Result<Page, DbError> {
    let (table, column) = match rule.definition().reading {
        Some((Field::Ethanol, _)) => ("home_status", "ethanol"),
        Some((Field::Temperature, _)) => ("home_status", "temperature"),
        Some((Field::DustLevel, _)) => ("home_status", "dust_level"),
        Some((Field::UltrafineDust, _)) => ("home_status", "others"),
        Some((Field::HeartRate, _)) => ("health_status", "heart_rate"),
        None => return Ok(Page { rows: Vec::new(), last: None, is_full: false }),
    };
    let mut rows: Vec<(Timestamp, Option<f64>)> = tx
        .fetch(
            format!(
                "SELECT reported_at, {column} FROM {table} WHERE family_id = ? AND reported_at > ? AND reported_at <= ?
                 ORDER BY reported_at, id LIMIT ?"
            ),
            params![family, after, until, PAGE],
            move |row| {
                let value = match column {
                    "others" => row.get::<Option<String>>(1)?.as_deref().and_then(ultrafine_dust),
                    "heart_rate" => row.get::<Option<i32>>(1)?.map(f64::from),
                    _ => row.get::<Option<f64>>(1)?,
                };
                Ok((row.get(0)?, value))
            },
        )
        .await?;
    let is_full = rows.len() == PAGE as usize;
    if is_full && let (Some((first, _)), Some((last, _))) = (rows.first().copied(), rows.last().copied()) {
        // Others of the same moment may follow: they are read together.
        if first < last {
            rows.retain(|(at, _)| *at < last);
        }
    }
    let last = rows.last().map(|(at, _)| *at);
    let rows = rows.into_iter().filter_map(|(at, value)| value.map(|value| (at, value))).collect();
    Ok(Page { rows, last, is_full })
}
