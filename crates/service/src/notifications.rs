//! Notifications of a family.

use std::sync::Arc;

use carebot_database::images::Viewer;
use carebot_database::journal::Journal;
use carebot_database::{DbError, idempotency, notifications, transact};
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::alarms::{Cause, EventKind, Rule, Severity};
use carebot_model::images::Source;
use carebot_model::notifications::{Grade, NewNotification, Notification};
use carebot_model::text::LongText;
use carebot_model::wire::Processed;
use carebot_model::{FamilyId, RowId};
use serde_json::json;

use crate::alarms::Danger;
use crate::idempotency::{Request, earlier, keyed};
use crate::messages::{OptionalRange, element_id};
use crate::pages::{Bounds, Pages, Step};
use crate::status::sensed;
use crate::{Error, Result, Service};

const MISSING: Error = Error::NotFound("Notification not found");
/// What a critical notification says: the robot's fall detector writes “낙상감지”.
fn rule_of(said: &str) -> Rule {
    let said = said.to_lowercase();
    if ["낙상", "넘어", "쓰러", "fall"].iter().any(|word| said.contains(word)) {
        Rule::Fall
    } else {
        Rule::Emergency
    }
}

const GRADE: Error = Error::Invalid("Invalid value provided for account details (notification_grade)");

impl Service {
    /// Makes a notification; its number, and whether its time had to be corrected. An absent grade is `none`. With a key it is made once,
    /// however often it is asked for. What is critical is judged by when it was sensed.
    ///
    /// # Errors
    /// In this order: [`Error::Invalid`] grade, [`Error::Forbidden`] or [`Error::NotFound`], [`Error::TooLong`],
    /// [`Error::Conflict`] if the key was used for another one.
    pub async fn notify(
        &self,
        actor: &Actor,
        family: &str,
        grade: Option<&str>,
        description: Option<String>,
        image_url: Option<String>,
        request: Request<'_>,
    ) -> Result<(RowId, bool)> {
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
        self.note_robot(actor).await?;
        let picture = self.picture_named(actor, new.image_url.as_ref().map(LongText::as_str)).await?;
        let now = self.now();
        let (sensed_at, is_corrected) = sensed(request.sensed_at, true, now)?;
        let id = self.next_id(now)?;
        let family = *permit.resource();
        let content = [
            Some(family.as_str()),
            Some(new.grade.name()),
            new.description.as_ref().map(LongText::as_str),
            new.image_url.as_ref().map(LongText::as_str),
        ];
        let keyed = keyed(actor, "notify", request.key, &content);
        let made = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await?;
            if let Some(made) = earlier(&mut tx, keyed.as_ref()).await? {
                return Ok((made, None));
            }
            notifications::create(&mut tx, &permit, id, &new, now).await?;
            if let Some(keyed) = &keyed {
                idempotency::remember(&mut tx, keyed, id, now).await?;
            }
            self.refer(&mut tx, picture, (Source::Notification, id), &[Viewer::Family(family)]).await?;
            journal.event(EventKind::Notification, &json!({"index": id, "grade": new.grade}));
            if new.grade == Grade::Crit {
                let said = new.description.as_ref().map_or("", LongText::as_str);
                let danger = Danger {
                    image_url: new.image_url.as_ref().map(|url| url.as_str().to_owned()),
                    adopts: Some(id),
                    inputs: json!({"grade": new.grade}),
                    ..Danger::at(rule_of(said), Severity::Crit, sensed_at, (Cause::Notification, Some(id)))
                };
                self.raise(&mut tx, &mut journal, danger).await?;
            }
            Ok((id, Some(journal.close(&mut tx).await?)))
        });
        match made {
            Ok((id, written)) => {
                if let Some(written) = &written {
                    self.written(written);
                }
                Ok((id, is_corrected))
            }
            Err(Error::Internal(DbError::MissingParent)) => Err(Error::Forbidden),
            Err(error) => Err(error),
        }
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
        let now = self.now();
        let (count, written) = transact!(self.db, tx => {
            let written = self.acknowledge_shown(&mut tx, actor, notification.family_id, &[id], now).await?;
            let count = notifications::mark_read(&mut tx, &permit, &[id]).await?;
            Ok::<_, DbError>((count, written))
        })?;
        if let Some(written) = &written {
            self.written(written);
        }
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
        let now = self.now();
        let written = transact!(self.db, tx => {
            let mut written = Vec::new();
            for permit in &permits {
                written.extend(self.acknowledge_shown(&mut tx, actor, *permit.resource(), &ids, now).await?);
                notifications::mark_read(&mut tx, permit, &ids).await?;
            }
            Ok::<_, DbError>(written)
        })?;
        for written in &written {
            self.written(written);
        }
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
