//! Notifications of a family.

use std::sync::Arc;

use carebot_database::images::Viewer;
use carebot_database::notifications;
use carebot_database::{DbError, transact};
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::images::Source;
use carebot_model::notifications::{Grade, NewNotification, Notification};
use carebot_model::text::LongText;
use carebot_model::wire::Processed;
use carebot_model::{FamilyId, RowId};

use crate::messages::{OptionalRange, element_id};
use crate::pages::{Bounds, Pages, Step};
use crate::{Error, Result, Service};

const MISSING: Error = Error::NotFound("Notification not found");
const GRADE: Error = Error::Invalid("Invalid value provided for account details (notification_grade)");

impl Service {
    /// Makes a notification; its number. An absent grade is `none`.
    ///
    /// # Errors
    /// In this order: [`Error::Invalid`] grade, [`Error::Forbidden`] or [`Error::NotFound`], [`Error::TooLong`].
    pub async fn notify(
        &self,
        actor: &Actor,
        family: &str,
        grade: Option<&str>,
        description: Option<String>,
        image_url: Option<String>,
    ) -> Result<RowId> {
        let grade = grade.map_or(Ok(Grade::None), |grade| Grade::parse_any_case(grade).ok_or(GRADE))?;
        let permit = self.family(actor, family, Action::NotificationCreate).await?;
        let long = |field, text: Option<String>| {
            text.map(|text| LongText::parse(text).ok_or(Error::TooLong(field))).transpose()
        };
        let new = NewNotification {
            grade,
            description: long("descriptions", description)?,
            image_url: long("image_url", image_url)?,
        };
        let picture = self.picture_named(actor, new.image_url.as_ref().map(LongText::as_str)).await?;
        let now = self.now();
        let id = self.next_id(now)?;
        let made = transact!(self.db, tx => {
            notifications::create(&mut tx, &permit, id, &new, now).await?;
            self.refer(&mut tx, picture, (Source::Notification, id), &[Viewer::Family(*permit.resource())]).await?;
            Ok::<_, DbError>(id)
        });
        made.map_err(|error| match error {
            DbError::MissingParent => Error::Forbidden,
            other => other.into(),
        })
    }

    /// A family's notifications, page by page; only unread ones if asked for.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_notifications<S: Send + 'static>(
        &self,
        actor: &Actor,
        family: &str,
        unread: bool,
        (start, end, order): OptionalRange,
        init: fn() -> S,
        step: fn(&mut S, &Notification),
    ) -> Result<Pages<S>> {
        let permit = self.family(actor, family, Action::NotificationRead).await?;
        let listing = notifications::listing(&permit, unread, self.optional_range(start, end));
        let bounds = Bounds { row_limit: self.settings.row_limit, newest_whole: None };
        let step: Step<S> = Arc::new(move |page, row| {
            step(page, &notifications::notification(row)?);
            Ok(())
        });
        Pages::open(&self.db, listing, order, bounds, init, step).await
    }

    fn notification_permit(actor: &Actor, family: FamilyId) -> Result<Permit<FamilyId>> {
        Ok(Permit::ask(actor.relations_to_family(family), Action::NotificationMarkRead, family)?)
    }

    /// Marks a notification as read; the notification.
    ///
    /// # Errors
    /// [`Error::NotFound`] before [`Error::Forbidden`].
    pub async fn read_notification(&self, actor: &Actor, id: RowId) -> Result<Notification> {
        let notification = notifications::get(&mut self.db.read(), id).await?.ok_or(MISSING)?;
        let permit = Self::notification_permit(actor, notification.family_id)?;
        let count = transact!(self.db, tx => { notifications::mark_read(&mut tx, &permit, &[id]).await })?;
        if count == 0 { Err(MISSING) } else { Ok(Notification { is_read: true, ..notification }) }
    }

    /// Marks several notifications as read, each judged by itself; elements are echoed as they were sent.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without a session.
    pub async fn read_notifications(&self, actor: &Actor, elements: Vec<serde_json::Value>) -> Result<Vec<Processed>> {
        actor.account().ok_or(Error::Forbidden)?;
        let ids: Vec<RowId> = elements.iter().filter_map(element_id).collect();
        let known = notifications::get_many(&mut self.db.read(), &ids).await?;
        let mut families: Vec<FamilyId> = known.iter().map(|notification| notification.family_id).collect();
        families.sort_unstable();
        families.dedup();
        let permits: Vec<_> =
            families.into_iter().filter_map(|family| Self::notification_permit(actor, family).ok()).collect();
        transact!(self.db, tx => {
            for permit in &permits {
                notifications::mark_read(&mut tx, permit, &ids).await?;
            }
            Ok::<_, DbError>(())
        })?;
        let may = |family| permits.iter().any(|permit| *permit.resource() == family);
        Ok(elements
            .into_iter()
            .map(|element| {
                let row = element_id(&element).and_then(|id| known.iter().find(|row| row.index == id));
                let (code, message) = match row {
                    None => (404, "Notification does not exist"),
                    Some(row) if !may(row.family_id) => (403, "You do not have permission"),
                    Some(_) => (200, "Notification check read successfully"),
                };
                Processed { index: element, is_processed: code == 200, code, message }
            })
            .collect())
    }

    /// Deletes a notification.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn delete_notification(&self, actor: &Actor, id: RowId) -> Result<()> {
        let permit = Permit::ask(actor.relations(), Action::NotificationDelete, id)?;
        let existed = transact!(self.db, tx => { notifications::delete(&mut tx, &permit).await })?;
        if existed { Ok(()) } else { Err(MISSING) }
    }
}
