//! The last good forecast for each cell of the grid.

use carebot_model::Timestamp;
use carebot_model::regions::Grid;
use carebot_model::weather::{Forecast, Hour};

use crate::connector::error::DbError;
use crate::{Result, Tx, params};

/// The stored forecast for a cell, if there is one.
///
/// # Errors
/// As any statement.
pub async fn cell(tx: &mut Tx, grid: Grid) -> Result<Option<Forecast>> {
    let stored = tx
        .fetch_optional(
            "SELECT issued_at, hours FROM weather_cells WHERE grid_x = ? AND grid_y = ?",
            params![u32::from(grid.x), u32::from(grid.y)],
            |row| Ok((row.get::<Timestamp>(0)?, row.get::<String>(1)?)),
        )
        .await?;
    // What another version wrote in another form is fetched anew.
    Ok(stored.and_then(|(issued_at, hours)| {
        Some(Forecast { issued_at, hours: serde_json::from_str::<Vec<Hour>>(&hours).ok()? })
    }))
}

/// Stores a forecast for a cell, unless a newer one is stored.
///
/// # Errors
/// [`DbError::Duplicate`] if another server stored the first one at the same moment; else as any statement.
pub async fn store(tx: &mut Tx, grid: Grid, forecast: &Forecast, now: Timestamp) -> Result<()> {
    let hours = serde_json::to_string(&forecast.hours)
        .map_err(|error| DbError::Statement(format!("a forecast cannot be written: {error}")))?;
    let (x, y) = (u32::from(grid.x), u32::from(grid.y));
    let stored = tx
        .fetch_optional("SELECT issued_at FROM weather_cells WHERE grid_x = ? AND grid_y = ?", params![x, y], |row| {
            row.get::<Timestamp>(0)
        })
        .await?;
    match stored {
        Some(newer) if newer > forecast.issued_at => Ok(()),
        Some(_) => tx
            .execute(
                "UPDATE weather_cells SET issued_at = ?, fetched_at = ?, hours = ? WHERE grid_x = ? AND grid_y = ?",
                params![forecast.issued_at, now, hours, x, y],
            )
            .await
            .map(drop),
        None => tx
            .execute(
                "INSERT INTO weather_cells (grid_x, grid_y, issued_at, fetched_at, hours) VALUES (?, ?, ?, ?, ?)",
                params![x, y, forecast.issued_at, now, hours],
            )
            .await
            .map(drop),
    }
}
