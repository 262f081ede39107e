//! Pictures of an existing installation, which keep the names they have there, so that their addresses go on showing them.

use bytes::Bytes;
use carebot_database::{DbError, images, transact};
use carebot_model::AccountId;
use carebot_model::images::Image;
use carebot_model::text::hexadecimal;

use super::{MIB, blocking, process, storage};
use crate::{Error, Result, Service};

/// The most characters of a picture's name.
pub const NAME_CHARS: usize = 160;

/// What became of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is here now.
    Stored,
    /// There is one of this name already.
    Already,
    /// There is no such account.
    NoOwner,
}

impl Service {
    /// Whether an account's picture of a name is here, so that its file need not be read.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has_image(&self, owner: AccountId, file_name: &str) -> Result<bool> {
        Ok(images::find(&mut self.db.read(), owner, file_name).await?.is_some())
    }

    /// Takes a picture in under the name it has: checked, upright and without metadata as any other, but whatever its owner's
    /// quota says, because it was there before. Comes back when it is durable.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Invalid`] if it is no picture, has too many pixels or a name that cannot be one.
    pub async fn take_image_in(&self, owner: AccountId, file_name: &str, bytes: impl Into<Bytes>) -> Result<Taken> {
        let bytes = bytes.into();
        let settings = &self.settings.images;
        if bytes.len() as u64 > settings.max_mib * MIB {
            return Err(self.image_too_large());
        }
        if file_name.chars().count() > NAME_CHARS || file_name.chars().any(|c| c.is_control() || "/\\".contains(c)) {
            return Err(Error::TooLong("file_name"));
        }
        if self.has_image(owner, file_name).await? {
            return Ok(Taken::Already);
        }
        let most_pixels = settings.max_megapixels.saturating_mul(1_000_000);
        let opened = blocking(move || process::open(&bytes, most_pixels)).await??;
        let clean = self.images.decode(opened.pixels(), move || opened.finish()).await??;
        let mut random = [0; storage::NAME / 2];
        self.random(&mut random);
        let sha256 = ring::digest::digest(&ring::digest::SHA256, &clean.bytes);
        let now = self.now();
        let image = Image {
            id: self.next_id(now)?,
            owner,
            file_name: file_name.to_owned(),
            format: clean.format,
            bytes: clean.bytes.len() as u64,
            width: clean.width,
            height: clean.height,
            object: hexadecimal(&random),
            sha256: sha256.as_ref().try_into().unwrap_or_default(),
            created_at: now,
        };
        self.images.store.put(&image.object, clean.bytes).await?;
        let made = transact!(self.db, tx => {
            if !images::lock_owner(&mut tx, owner).await? {
                return Ok(Taken::NoOwner);
            }
            images::create(&mut tx, &image).await.map(|()| Taken::Stored)
        });
        let made = match made {
            Err(error) if images::is_name_taken(&error) => Ok(Taken::Already),
            made => made,
        };
        // Whether the row is there is not known after that, so the object stays; without a row it is tidied up.
        if !matches!(made, Ok(Taken::Stored) | Err(DbError::OutcomeUnknown(_))) {
            self.images.store.delete(&image.object).await?;
        }
        Ok(made?)
    }
}
