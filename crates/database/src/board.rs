//! Many homes at a glance: what is known of now, for all of them at once.

use carebot_model::access::Permit;
use carebot_model::{FamilyId, Timestamp};

use crate::{Result, Tx, Value};

/// Families in one statement.
const STEP: usize = 250;

/// What is known of a home at the moment, besides its alarms.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    /// The family.
    pub family: FamilyId,
    /// What it is called.
    pub name: Option<String>,
    /// What its elder is called.
    pub elder: Option<String>,
    /// When its robot last said that it lives.
    pub alive_at: Option<Timestamp>,
    /// When the newest report of the home came in, and when it was sensed.
    pub home: Option<(Timestamp, Timestamp)>,
    /// The temperature it told.
    pub temperature: Option<f64>,
    /// When the newest report of the elder's health came in, and when it was sensed.
    pub health: Option<(Timestamp, Timestamp)>,
    /// The heart rate it told.
    pub heart_rate: Option<i32>,
    /// When the newest report of what the elder did came in, and when it was sensed.
    pub active: Option<(Timestamp, Timestamp)>,
}

/// A column of a family's newest report in a table.
fn newest(table: &str, column: &str) -> String {
    format!(
        "(SELECT s.{column} FROM {table} s WHERE s.family_id = f.id ORDER BY s.reported_at DESC, s.id DESC LIMIT 1)"
    )
}

/// What is known of homes, in the order of their ids.
///
/// # Errors
/// As any statement.
pub async fn glances(tx: &mut Tx, permits: &[Permit<FamilyId>]) -> Result<Vec<Glance>> {
    let columns = [
        ("home_status", "received_at"),
        ("home_status", "reported_at"),
        ("home_status", "temperature"),
        ("health_status", "received_at"),
        ("health_status", "reported_at"),
        ("health_status", "heart_rate"),
        ("active_status", "received_at"),
        ("active_status", "reported_at"),
    ];
    let columns = columns.map(|(table, column)| newest(table, column)).join(", ");
    let mut glances = Vec::with_capacity(permits.len());
    for step in permits.chunks(STEP) {
        let marks = vec!["?"; step.len()].join(",");
        let found = tx
            .fetch(
                format!(
                    "SELECT f.id, f.family_name, a.user_name, r.heard_at, {columns}
                     FROM families f JOIN accounts a ON a.id = f.main_user LEFT JOIN robots r ON r.family_id = f.id
                     WHERE f.id IN ({marks}) AND f.deleted_at IS NULL AND a.deleted_at IS NULL ORDER BY f.id"
                ),
                step.iter().map(|permit| Value::from(*permit.resource())).collect(),
                |row| {
                    let times = |place: usize| {
                        let (received, sensed): (Option<Timestamp>, Option<Timestamp>) =
                            (row.get(place)?, row.get(place + 1)?);
                        Ok::<_, crate::DbError>(received.zip(sensed))
                    };
                    Ok(Glance {
                        family: row.get(0)?,
                        name: row.get(1)?,
                        elder: row.get(2)?,
                        alive_at: row.get(3)?,
                        home: times(4)?,
                        temperature: row.get(6)?,
                        health: times(7)?,
                        heart_rate: row.get(9)?,
                        active: times(10)?,
                    })
                },
            )
            .await?;
        glances.extend(found);
    }
    Ok(glances)
}
