//! The weather where somebody lives.
//!
//! A forecast is for a cell of 5 km and an hour: all homes in the cell share it, in this server's memory and in the database, so
//! that the provider is asked once a cell and hour. If it fails, the last answer is given with its age.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use carebot_database::{DbError, accounts, transact, weather as stored};
use carebot_external::weather::{self as provider, latest_issue};
use carebot_external::{ProviderError, guard::Health};
use carebot_model::access::{Action, Actor};
use carebot_model::regions::{self, Grid, SubRegion};
use carebot_model::weather::{Forecast, Weather};
use carebot_model::{AccountId, Timestamp};

use crate::assistant::Trouble;
use crate::{Error, Result, Service};

const FAILURE: &str = "Failed to retrieve weather";
const FAILED: Error = Error::Failed(FAILURE);
const NOWHERE: Error = Error::NotFound("Weather not found");
/// How long a cell whose forecast could not be had is left alone.
const RETRY_MS: i64 = 60_000;
/// From one issue to the next.
const ISSUE_MS: i64 = 3_600_000;

/// How the weather is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whom.
    pub provider: provider::Settings,
    /// The oldest forecast that is given while the provider fails.
    pub longest_age: Duration,
}

/// The weather, and how long ago its forecast was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The weather.
    pub weather: Weather,
    /// In seconds; `None` if whoever was asked does not say.
    pub age: Option<u64>,
}

/// What is known of each cell.
#[derive(Debug)]
pub(crate) struct Cells {
    client: provider::Weather,
    longest_age_ms: i64,
    /// As many as there are regions at most. Whoever asks the provider for a cell holds its lock; who comes meanwhile waits for
    /// what it says.
    cells: Mutex<HashMap<Grid, Arc<tokio::sync::Mutex<Cell>>>>,
}

#[derive(Debug, Default)]
struct Cell {
    forecast: Option<Forecast>,
    failed_at: Option<Timestamp>,
}

impl Cells {
    pub fn new(settings: &Settings, seed: u64) -> Result<Self, ProviderError> {
        Ok(Self {
            client: provider::Weather::new(settings.provider.clone(), seed)?,
            longest_age_ms: i64::try_from(settings.longest_age.as_millis()).unwrap_or(i64::MAX),
            cells: Mutex::default(),
        })
    }

    fn cell(&self, grid: Grid) -> Arc<tokio::sync::Mutex<Cell>> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(grid).or_default())
    }
}

impl Cell {
    fn is_of(&self, issue: Timestamp) -> bool {
        self.forecast.as_ref().is_some_and(|forecast| forecast.issued_at >= issue)
    }

    fn take(&mut self, forecast: Forecast) {
        if !self.is_of(forecast.issued_at) {
            self.forecast = Some(forecast);
        }
    }

    fn rests(&self, now: Timestamp) -> bool {
        // A clock that was set back does not make it rest for longer.
        self.failed_at.is_some_and(|failed| (0..RETRY_MS).contains(&now.since(failed)))
    }
}

impl Service {
    /// The weather at an account's address.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] if there is no such account or its address says nothing;
    /// [`Error::Failed`] if nobody can be asked, or does not answer and what is known is too old.
    pub async fn weather(&self, actor: &Actor, user: &str) -> Result<Observed> {
        let permit = self.account(actor, user, Action::WeatherRead).await;
        let Some(cells) = &self.weather else {
            return match permit {
                Ok(permit) => self.weather_without_provider(*permit.resource()).await,
                Err(Error::NotFound(_)) => Err(FAILED),
                Err(error) => Err(error),
            };
        };
        let permit = permit.map_err(|error| if matches!(error, Error::NotFound(_)) { NOWHERE } else { error })?;
        let account = accounts::get(&mut self.db.read(), *permit.resource()).await?.ok_or(NOWHERE)?;
        let address = account.address.unwrap_or_default();
        let address = address.split_whitespace().collect::<Vec<_>>().join(" ");
        let grid = region_of(&address).ok_or(NOWHERE)?.grid;
        let forecast = self.forecast(cells, grid).await?.ok_or(FAILED)?;
        let now = self.now();
        let age = now.since(forecast.issued_at);
        if age > cells.longest_age_ms {
            return Err(FAILED);
        }
        let weather = forecast.at(now, address).ok_or(FAILED)?;
        Ok(Observed { weather, age: Some(u64::try_from(age / 1_000).unwrap_or_default()) })
    }

    /// Without a key of the weather service: as the assistant knows it, if it does.
    async fn weather_without_provider(&self, account: AccountId) -> Result<Observed> {
        let answer = self.assistant.weather(account).await.map_err(|trouble| match trouble {
            Trouble::Provider(ProviderError::Nothing) => NOWHERE,
            trouble => trouble.refusal(FAILURE, None),
        })?;
        // The page prints what is missing as "undefined".
        let text = |name: &str| answer[name].as_str().map(str::to_owned).ok_or(FAILED);
        let weather = Weather {
            address: text("address")?,
            temperature: text("temperature")?,
            sky: text("sky")?,
            precipitation: text("precipitation")?,
            humidity: text("humidity")?,
        };
        Ok(Observed { weather, age: None })
    }

    /// Whether the weather service is asked at the moment; `None` if none is configured.
    pub fn weather_health(&self) -> Option<Health> {
        self.weather.as_ref().map(|cells| cells.client.health())
    }

    /// The newest forecast for a cell that can be had, however old it is.
    async fn forecast(&self, cells: &Cells, grid: Grid) -> Result<Option<Forecast>> {
        let cell = cells.cell(grid);
        let mut cell = cell.lock().await;
        let now = self.now();
        let issue = latest_issue(now);
        if !cell.is_of(issue) {
            // Another server may have it, or this one had it before it was started anew.
            if let Some(forecast) = stored::cell(&mut self.db.read(), grid).await? {
                cell.take(forecast);
            }
        }
        if !cell.is_of(issue) && !cell.rests(now) {
            match ask(cells, grid, issue, &cell).await {
                Ok(forecast) => {
                    cell.failed_at = (forecast.issued_at < issue).then_some(now);
                    self.keep_forecast(grid, &forecast).await?;
                    cell.take(forecast);
                }
                Err(error) => {
                    cell.failed_at = Some(now);
                    match error {
                        ProviderError::Nothing | ProviderError::Resting | ProviderError::Busy => {
                            tracing::debug!(%error, x = grid.x, y = grid.y, "no new forecast");
                        }
                        error => tracing::warn!(%error, x = grid.x, y = grid.y, "no new forecast"),
                    }
                }
            }
        }
        Ok(cell.forecast.clone())
    }

    async fn keep_forecast(&self, grid: Grid, forecast: &Forecast) -> Result<()> {
        let now = self.now();
        match transact!(self.db, tx => { stored::store(&mut tx, grid, forecast, now).await }) {
            // Another server was faster.
            Ok(()) | Err(DbError::Duplicate { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Asks for what was issued last; if that is late and nothing is known, for what was issued before it.
async fn ask(cells: &Cells, grid: Grid, issue: Timestamp, known: &Cell) -> Result<Forecast, ProviderError> {
    let before = issue.plus_millis(-ISSUE_MS);
    match cells.client.forecast(grid, issue).await {
        Err(ProviderError::Nothing) if !known.is_of(before) => cells.client.forecast(grid, before).await,
        answer => answer,
    }
}

/// The region whose cell stands for an address: the one it names, or the first of the government that it names (which is where
/// the capital or the largest city is) if it says nothing finer, or nothing that is known.
fn region_of(address: &str) -> Option<&'static SubRegion> {
    regions::locate(address).or_else(|| {
        let master = address.split_whitespace().next()?;
        let is_master = regions::masters().iter().any(|known| known.name == master);
        // A former name has others.
        let was_master = regions::same_places(master).len() > 1;
        (is_master || was_master).then(|| regions::subs_of(master).into_iter().next()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_region_however_exact_it_is() {
        let name = |address| region_of(address).map(|region| (region.master, region.name));
        assert_eq!(name("경기도 부천시 원미구 중동"), Some(("경기도", "부천시 원미구")));
        assert_eq!(name("경상북도 군위군"), Some(("대구광역시", "군위군")));
        assert_eq!(name("서울특별시"), Some(("서울특별시", "종로구")));
        assert_eq!(name("서울특별시 없는구"), Some(("서울특별시", "종로구")));
        assert_eq!(name("강원도").map(|(master, _)| master), Some("강원특별자치도"));
        assert_eq!(name("광주광역시").map(|(master, _)| master), Some("전남광주통합특별시"));
        assert_eq!(name("세종특별자치시").map(|(master, _)| master), Some("세종특별자치시"));
        for nowhere in ["", "도", "시", "달나라", "서울 종로구", "춘천시"] {
            assert_eq!(name(nowhere), None, "{nowhere}");
        }
    }
}
