//! The robot's switches and the album.

use carebot_database::images::Viewer;
use carebot_database::journal::Journal;
use carebot_database::{DbError, tools, transact};
use carebot_model::RowId;
use carebot_model::access::{Action, Actor};
use carebot_model::alarms::EventKind;
use carebot_model::backgrounds::{Background, Uploader};
use carebot_model::images::Source;
use carebot_model::settings::{Settings, SettingsChange};
use carebot_model::text::LongText;
use serde_json::json;

use crate::{Error, Result, Service};

const NO_BACKGROUND: Error = Error::NotFound("Background not found");

impl Service {
    /// A family's switches; the defaults if there are none.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn get_settings(&self, actor: &Actor, family: &str) -> Result<Settings> {
        let permit = self.family(actor, family, Action::SettingsRead).await?;
        let stored = tools::get_settings(&mut self.db.read(), &permit).await?;
        Ok(stored.unwrap_or_else(|| Settings::defaults(*permit.resource())))
    }

    /// Changes a family's switches; those that are absent stay.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn update_settings(&self, actor: &Actor, family: &str, change: SettingsChange) -> Result<()> {
        let permit = self.family(actor, family, Action::SettingsUpdate).await?;
        let (family, now) = (*permit.resource(), self.now());
        let written = transact!(self.db, tx => {
            // Under its lock: two who find none must not both make them.
            let mut journal = Journal::open(&mut tx, family, now).await?;
            let before = tools::get_settings(&mut tx, &permit).await?;
            if !tools::update_settings(&mut tx, &permit, change).await? {
                tools::create_settings(&mut tx, family).await?;
                tools::update_settings(&mut tx, &permit, change).await?;
            }
            let settings = tools::get_settings(&mut tx, &permit).await?.unwrap_or_else(|| Settings::defaults(family));
            if settings != before.unwrap_or_else(|| Settings::defaults(family)) {
                journal.event(EventKind::Settings, &json!({
                    "what": "switches",
                    "is_alarm_enabled": settings.is_alarm_enabled,
                    "is_camera_enabled": settings.is_camera_enabled,
                    "is_microphone_enabled": settings.is_microphone_enabled,
                    "is_driving_enabled": settings.is_driving_enabled,
                }));
            }
            journal.close(&mut tx).await
        })
        .map_err(|error| match error {
            DbError::MissingParent => Error::Forbidden,
            other => other.into(),
        })?;
        self.written(&written);
        Ok(())
    }

    /// Adds a picture to a family's album; the row that was made.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators, [`Error::TooLong`].
    pub async fn add_background(&self, actor: &Actor, family: &str, image_url: Option<String>) -> Result<Background> {
        let permit = self.family(actor, family, Action::BackgroundAdd).await?;
        let uploader = actor.account().ok_or(Error::Forbidden)?;
        let image_url = image_url.map(|url| LongText::parse(url).ok_or(Error::TooLong("image_url"))).transpose()?;
        let picture = self.picture_named(actor, image_url.as_ref().map(LongText::as_str)).await?;
        let now = self.now();
        let id = self.next_id(now)?;
        transact!(self.db, tx => {
            let added = tools::add_background(&mut tx, &permit, id, uploader, image_url.as_ref(), now).await?;
            self.refer(&mut tx, picture, (Source::Background, id), &[Viewer::Family(*permit.resource())]).await?;
            Ok::<_, DbError>(added)
        })
        .map_err(|error| match error {
            DbError::MissingParent => Error::Forbidden,
            other => other.into(),
        })
    }

    /// A family's album.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] if it is empty.
    pub async fn list_backgrounds(&self, actor: &Actor, family: &str, uploader: Uploader) -> Result<Vec<Background>> {
        let permit = self.family(actor, family, Action::BackgroundRead).await?;
        let by = match uploader {
            Uploader::All => None,
            Uploader::Mine => actor.account(),
        };
        let album = tools::get_backgrounds(&mut self.db.read(), &permit, by).await?;
        if album.is_empty() { Err(NO_BACKGROUND) } else { Ok(album) }
    }

    /// Deletes a picture of the family's album.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`], also for a picture of another family.
    pub async fn delete_background(&self, actor: &Actor, family: &str, id: RowId) -> Result<()> {
        let permit = self.family(actor, family, Action::BackgroundDelete).await?;
        let existed = transact!(self.db, tx => { tools::delete_background(&mut tx, &permit, id).await })?;
        if existed { Ok(()) } else { Err(NO_BACKGROUND) }
    }
}
