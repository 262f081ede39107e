//! Reports of the robot, and what is computed from conversations.

use std::sync::Arc;

use carebot_database::images::Viewer;
use carebot_database::listing::Range;
use carebot_database::status::{self, NewReport};
use carebot_database::{DbError, transact};
use carebot_model::Timestamp;
use carebot_model::access::{Action, Actor};
use carebot_model::images::Source;
use carebot_model::status::{FieldValue, Mental, MentalReport, Report, StatusKind};
use carebot_model::wire::Order;

use crate::assistant::Of;
use crate::pages::{Bounds, Extent, Pages, Step};
use crate::{Error, Result, Service};

/// When too little was said to judge how somebody speaks and thinks.
pub const TOO_LITTLE: &str = "No conversation found";

/// Where a report says that its picture is; only some kinds can have one.
fn image_url<K: StatusKind>(fields: &K) -> Option<String> {
    let place = K::COLUMNS.iter().position(|column| *column == "image_url")?;
    match fields.values().swap_remove(place) {
        FieldValue::Text(url) => url,
        _ => None,
    }
}

impl Service {
    /// Stores a report; comes back when it is durable.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn report<K: StatusKind>(&self, actor: &Actor, family: &str, fields: K) -> Result<()> {
        let permit = self.family(actor, family, Action::StatusReport).await?;
        self.note_robot(actor).await?;
        let now = self.now();
        let picture = self.picture_named(actor, image_url(&fields).as_deref()).await?;
        let report = NewReport { id: self.next_id(now)?, reported_at: now, received_at: now, source_key: None, fields };
        let stored = if picture.is_some() {
            let viewers = [Viewer::Family(*permit.resource())];
            transact!(self.db, tx => {
                let id = status::create(&mut tx, &permit, &report).await?;
                self.refer(&mut tx, picture, (Source::Report, id), &viewers).await?;
                Ok::<_, DbError>(id)
            })
        } else {
            status::append(&self.db, &permit, &report).await
        };
        match stored {
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

    /// Judges the mood of today from what the elder said, and stores it.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NothingFrom`] if too little was said; [`Error::Failed`] without an assistant.
    pub async fn compute_mood(&self, actor: &Actor, family: &str) -> Result<serde_json::Value> {
        let permit = self.family(actor, family, Action::MentalCreate).await?;
        let judged = self.assistant.mood(Of { service: self, permit: &permit }).await;
        judged.map_err(|trouble| trouble.refusal(Mental::TEXTS.not_created, Some(Mental::TEXTS.none)))
    }

    /// Sums up the mood over a period, and stores it.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Failed`] without an assistant.
    pub async fn compute_mood_report(
        &self,
        actor: &Actor,
        family: &str,
        (start, end): (Timestamp, Option<Timestamp>),
    ) -> Result<serde_json::Value> {
        let permit = self.family(actor, family, Action::MentalCreate).await?;
        let period = (start, end.unwrap_or_else(|| self.now()));
        let summed_up = self.assistant.mood_report(Of { service: self, permit: &permit }, period).await;
        let texts = MentalReport::TEXTS;
        summed_up.map_err(|trouble| trouble.refusal(texts.not_created, Some(texts.none)))
    }

    /// What today's conversation is about.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Failed`] without an assistant.
    pub async fn keywords(&self, actor: &Actor, family: &str) -> Result<serde_json::Value> {
        let permit = self.family(actor, family, Action::ConversationRead).await?;
        let found = self.assistant.keywords(Of { service: self, permit: &permit }).await;
        found.map_err(|trouble| trouble.refusal("Failed to create conversation keywords", None))
    }

    /// How the elder speaks and thinks; without a start, of the last days.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NothingFrom`] if too little was said; [`Error::Failed`] without an assistant.
    pub async fn psychology(
        &self,
        actor: &Actor,
        family: &str,
        (start, end): (Option<Timestamp>, Option<Timestamp>),
    ) -> Result<serde_json::Value> {
        let permit = self.family(actor, family, Action::ConversationRead).await?;
        let period = start.map(|start| (start, end.unwrap_or_else(|| self.now())));
        let judged = self.assistant.psychology(Of { service: self, permit: &permit }, period).await;
        judged.map_err(|trouble| trouble.refusal("Failed to create psychology report", Some(TOO_LITTLE)))
    }
}
