//! Reports of the robot, and what is computed from conversations.

use std::sync::Arc;

use carebot_database::listing::Range;
use carebot_database::status::{self, NewReport};
use carebot_database::{DbError, transact};
use carebot_model::Timestamp;
use carebot_model::access::{Action, Actor};
use carebot_model::status::{Report, StatusKind};
use carebot_model::wire::Order;

use crate::pages::{Bounds, Extent, Pages, Step};
use crate::{Error, Result, Service};

impl Service {
    /// Stores a report; comes back when it is durable.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn report<K: StatusKind>(&self, actor: &Actor, family: &str, fields: K) -> Result<()> {
        let permit = self.family(actor, family, Action::StatusReport).await?;
        self.note_robot(actor).await?;
        let now = self.now();
        let report = NewReport { id: self.next_id(now)?, reported_at: now, received_at: now, source_key: None, fields };
        match status::append(&self.db, &permit, &report).await {
            Ok(_) => Ok(()),
            // The family went away between the permit and the row.
            Err(DbError::MissingParent) => Err(Error::Forbidden),
            Err(error) => Err(error.into()),
        }
    }

    /// Reports of a closed range, page by page; `step` puts each into a page. For kinds whose ranges are compared with
    /// `reported_at`.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_reports<K: StatusKind, S: Send + 'static>(
        &self,
        actor: &Actor,
        family: &str,
        (start, end, order): (Timestamp, Option<Timestamp>, Order),
        init: fn() -> S,
        step: fn(&mut S, &Report<K>),
    ) -> Result<Pages<S>> {
        let permit = self.family(actor, family, Action::StatusRead).await?;
        let listing = status::listing::<K>(&permit, Range::seconds(start, end.unwrap_or_else(|| self.now())));
        let bounds = Bounds {
            row_limit: self.settings.row_limit,
            newest_whole: K::THINNED.then_some(self.settings.newest_whole),
        };
        let step: Step<S> = Arc::new(move |page, row| {
            step(page, &status::report::<K>(row)?);
            Ok(())
        });
        Pages::open(&self.db, listing, order, bounds, init, step).await
    }

    /// Reports about periods that start or end in a closed range.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_periods<K: StatusKind>(
        &self,
        actor: &Actor,
        family: &str,
        (start, end, order): (Timestamp, Option<Timestamp>, Order),
    ) -> Result<(Vec<Report<K>>, Extent)> {
        let permit = self.family(actor, family, Action::StatusRead).await?;
        let range = Range::seconds(start, end.unwrap_or_else(|| self.now()));
        let limit = self.settings.row_limit;
        let mut reports = status::list::<K>(&mut self.db.read(), &permit, range, order, limit + 1).await?;
        if reports.len() <= limit as usize {
            return Ok((reports, Extent::Whole));
        }
        // One more than the limit was asked for: the oldest goes.
        match order {
            Order::Ascending => drop(reports.remove(0)),
            Order::Descending => drop(reports.pop()),
        }
        Ok((reports, Extent::Truncated))
    }

    /// The newest report.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] if there is none.
    pub async fn latest_report<K: StatusKind>(&self, actor: &Actor, family: &str) -> Result<Report<K>> {
        let permit = self.family(actor, family, Action::StatusRead).await?;
        status::latest::<K>(&mut self.db.read(), &permit).await?.ok_or(Error::NotFound(K::TEXTS.none))
    }

    /// Deletes the newest report.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] if there is none.
    pub async fn delete_latest_report<K: StatusKind>(&self, actor: &Actor, family: &str) -> Result<()> {
        let permit = self.family(actor, family, Action::StatusDelete).await?;
        let existed = transact!(self.db, tx => { status::delete_latest::<K>(&mut tx, &permit).await })?;
        if existed { Ok(()) } else { Err(Error::NotFound(K::TEXTS.none)) }
    }

    /// Computes a mental status or report from the conversations. There is no assistant to ask yet.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Failed`] always.
    pub async fn compute_mental<K: StatusKind>(&self, actor: &Actor, family: &str) -> Result<serde_json::Value> {
        self.family(actor, family, Action::MentalCreate).await?;
        Err(Error::Failed(K::TEXTS.not_created))
    }

    /// What the conversations were about. There is no assistant to ask yet.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Failed`] always.
    pub async fn keywords(&self, actor: &Actor, family: &str) -> Result<serde_json::Value> {
        self.family(actor, family, Action::ConversationRead).await?;
        Err(Error::Failed("Failed to create conversation keywords"))
    }

    /// How the elder speaks and thinks. There is no assistant to ask yet.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Failed`] always.
    pub async fn psychology(&self, actor: &Actor, family: &str) -> Result<serde_json::Value> {
        self.family(actor, family, Action::ConversationRead).await?;
        Err(Error::Failed("Failed to create psychology report"))
    }

    /// Talks with the assistant. There is none yet.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Failed`] always.
    pub async fn chat(&self, actor: &Actor, user: &str) -> Result<serde_json::Value> {
        match self.account(actor, user, Action::Chat).await {
            Ok(_) | Err(Error::NotFound(_)) => Err(Error::Failed("Failed to send chat")),
            Err(error) => Err(error),
        }
    }
}
