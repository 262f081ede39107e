//! Pictures: upload, looking at them, thumbnails, deletion; and what refers to them.
//!
//! * [`names`]: what a picture is called, and which of ours a URL names.
//! * `strip` and [`process`]: from the bytes that came in to those that are stored, and thumbnails.
//! * [`storage`]: where the bytes lie.
//! * [`existing`]: pictures of an existing installation.
//!
//! The order of writing makes a crash harmless: first the object, then the row; first the row goes, then the object. What
//! is left over is an object without a row, which [`jobs`](crate::jobs) deletes.

pub mod existing;
pub mod names;
pub mod process;
pub mod storage;
mod strip;
mod tidy;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carebot_database::images::{NewReference, Viewer};
use carebot_database::{DbError, Tx, images, members, transact};
use carebot_model::access::{Action, Actor, Permit, Relation, Relations, rules};
use carebot_model::images::{Deleted, Format, Image, Source, Uploaded};
use carebot_model::text::hexadecimal;
use carebot_model::{AccountId, FamilyId, RowId};
use tokio::sync::{Semaphore, SemaphorePermit};

use self::process::{Clean, Fault};
use self::storage::{ByteStream, Storage, Store, WIDTHS, thumbnail_name};
use crate::access::general;
use crate::shares::{Share, Shares};
use crate::{Error, Result, Service};

/// The contract's sentence for a file that is none of the pictures we take.
pub const NOT_A_PICTURE: &str = "Only image files can be uploaded";
/// The contract's sentence for a picture that is none after all.
pub const NOT_SHOWN: &str = "Only image files can be provided to the user";
/// A picture with more pixels than are decoded.
pub const TOO_MANY_PIXELS: &str = "Image dimensions exceed the limit";
const MISSING: Error = Error::NotFound("Image not found");

const MIB: u64 = 1 << 20;
/// How many names in following milliseconds are tried when one is taken.
const TRIES: i64 = 64;
/// How long a picture waits for its turn to be decoded.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many pictures are received at once: each is in memory until it is stored.
const RECEIVED_AT_ONCE: usize = 32;
/// How many of one account: who sends slowly holds up nobody else's.
const RECEIVED_OF_ONE: usize = 8;

/// What can be set about pictures.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where they lie.
    pub storage: Storage,
    /// What the address of a picture begins with, without a slash at the end. Without it addresses are paths alone.
    pub public_url: Option<String>,
    /// What addresses of pictures begin with that name pictures of ours, besides `public_url`.
    pub other_urls: Vec<String>,
    /// The largest file in MiB.
    pub max_mib: u64,
    /// The most pixels, in millions.
    pub max_megapixels: u64,
    /// What the files of one account may have together, in MiB.
    pub quota_mib: u64,
    /// After how many days a picture that nothing refers to is deleted; 0 is never.
    pub unreferenced_days: u32,
    /// How long browsers may keep a picture without asking again.
    pub cache: Duration,
    /// How many pictures are decoded at once.
    pub decoders: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            storage: Storage::Memory,
            public_url: None,
            other_urls: Vec::new(),
            max_mib: 10,
            max_megapixels: 50,
            quota_mib: 1_024,
            unreferenced_days: 30,
            cache: Duration::from_hours(24),
            decoders: 2,
        }
    }
}

/// The store, and what keeps decoding within bounds.
#[derive(Debug)]
pub struct Images {
    store: Store,
    receiving: Semaphore,
    /// Of which one account may use so many.
    received_of: Shares,
    /// Thumbnails that are being made: one at a time for each decoder.
    thumbnails: Semaphore,
    decoders: Semaphore,
    /// Millions of pixels that are in memory: two large pictures take turns.
    megapixels: Arc<Semaphore>,
    most_megapixels: u32,
}

impl Images {
    pub(crate) fn new(settings: &Settings) -> Self {
        let most_megapixels = u32::try_from(settings.max_megapixels).unwrap_or(u32::MAX).max(1);
        Self {
            store: Store::new(settings.storage.clone()),
            receiving: Semaphore::new(RECEIVED_AT_ONCE),
            received_of: Shares::new(RECEIVED_OF_ONE),
            thumbnails: Semaphore::new(settings.decoders.max(1)),
            decoders: Semaphore::new(settings.decoders.max(1)),
            megapixels: Arc::new(Semaphore::new(most_megapixels as usize)),
            most_megapixels,
        }
    }

    /// Decodes something of so many pixels off the asynchronous threads, when its turn comes.
    async fn decode<T: Send + 'static>(&self, pixels: u64, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let wanted = u32::try_from(pixels.div_ceil(1_000_000)).unwrap_or(u32::MAX).clamp(1, self.most_megapixels);
        let turn = async {
            let room = Arc::clone(&self.megapixels).acquire_many_owned(wanted).await;
            (room, self.decoders.acquire().await)
        };
        let (room, _turn) = tokio::time::timeout(PATIENCE, turn).await.map_err(|_| busy())?;
        blocking(move || {
            // Kept as long as the work takes, also if nobody waits for it any more.
            let _room = room;
            work()
        })
        .await
    }
}

/// Leave to receive a picture into memory.
#[derive(Debug)]
pub struct Receiving<'a> {
    _turn: SemaphorePermit<'a>,
    _share: Share<'a>,
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Internal(DbError::Statement(format!("decoding a picture failed: {error}"))))
}

fn busy() -> Error {
    Error::Unavailable(DbError::Unavailable("too many pictures at once".to_owned()))
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotAPicture => Self::Invalid(NOT_A_PICTURE),
            Fault::TooManyPixels => Self::Invalid(TOO_MANY_PIXELS),
        }
    }
}

/// The width that a thumbnail of a wanted width gets: the next that there are.
pub fn thumbnail_width(wanted: u32) -> u32 {
    WIDTHS.into_iter().find(|width| *width >= wanted).unwrap_or(WIDTHS[WIDTHS.len() - 1])
}

impl Service {
    /// Whether the caller may upload pictures.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_upload(&self, actor: &Actor) -> Result<AccountId> {
        general(actor, Action::ImageUpload)?;
        actor.account().ok_or(Error::Forbidden)
    }

    /// Leave to receive a picture into memory; to be kept until it is stored.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if too many others are being received.
    pub async fn receive_image(&self, owner: AccountId) -> Result<Receiving<'_>> {
        let share = self.images.received_of.take(owner).ok_or_else(busy)?;
        let turn = tokio::time::timeout(PATIENCE, self.images.receiving.acquire()).await;
        Ok(Receiving { _turn: turn.map_err(|_| busy())?.map_err(|_| busy())?, _share: share })
    }

    /// Stores a picture: checked, upright, without metadata. Comes back when it is durable.
    ///
    /// # Errors
    /// In this order: [`Error::Forbidden`], [`Error::TooLarge`] if it is too large or the account's quota is used up,
    /// [`Error::Invalid`] if it is no picture or has too many pixels.
    pub async fn upload_image(&self, actor: &Actor, client_name: &str, bytes: Bytes) -> Result<Uploaded> {
        let owner = self.may_upload(actor)?;
        let settings = &self.settings.images;
        if bytes.len() as u64 > settings.max_mib * MIB {
            return Err(self.image_too_large());
        }
        let used = images::usage(&mut self.db.read(), owner).await?;
        if used + bytes.len() as u64 > settings.quota_mib * MIB {
            return Err(self.quota_exceeded());
        }
        let most_pixels = settings.max_megapixels.saturating_mul(1_000_000);
        let opened = blocking(move || process::open(&bytes, most_pixels)).await??;
        let clean = self.images.decode(opened.pixels(), move || opened.finish()).await??;
        self.store_image(owner, client_name, clean).await
    }

    /// The refusal of a file that is larger than any may be.
    pub fn image_too_large(&self) -> Error {
        Error::TooLarge(format!("Image size exceeds the limit({}MB max).", self.settings.images.max_mib))
    }

    fn quota_exceeded(&self) -> Error {
        Error::TooLarge(format!("Image quota of {}MB exceeded.", self.settings.images.quota_mib))
    }

    async fn store_image(&self, owner: AccountId, client_name: &str, clean: Clean) -> Result<Uploaded> {
        let mut random = [0; storage::NAME / 2];
        self.random(&mut random);
        let object = hexadecimal(&random);
        let sha256 = ring::digest::digest(&ring::digest::SHA256, &clean.bytes);
        let now = self.now();
        let mut image = Image {
            id: self.next_id(now)?,
            owner,
            file_name: String::new(),
            format: clean.format,
            bytes: clean.bytes.len() as u64,
            width: clean.width,
            height: clean.height,
            object,
            sha256: sha256.as_ref().try_into().unwrap_or_default(),
            created_at: now,
        };
        self.images.store.put(&image.object, clean.bytes).await?;
        let stem = names::stem(client_name);
        let mut made = Err(Error::Unavailable(DbError::Conflict("every name is taken".to_owned())));
        for later in 0..TRIES {
            image.file_name = names::file_name(&stem, now.plus_millis(later), image.format);
            made = self.note_image(&image).await;
            match &made {
                Err(Error::Internal(error)) if images::is_name_taken(error) => {}
                _ => break,
            }
        }
        match made {
            Ok(()) => Ok(self.uploaded(image)),
            // Whether the row is there is not known, so the object stays; without a row it is tidied up.
            Err(error @ Error::Unavailable(DbError::OutcomeUnknown(_))) => Err(error),
            Err(error) => {
                if let Err(left) = self.images.store.delete(&image.object).await {
                    tracing::warn!(error = ?left, "a picture that was refused stays in the store for a day");
                }
                Err(error)
            }
        }
    }

    async fn note_image(&self, image: &Image) -> Result<()> {
        let quota = self.settings.images.quota_mib * MIB;
        transact!(self.db, tx => {
            // The account may have been deleted while the picture was decoded.
            if !images::lock_owner(&mut tx, image.owner).await? {
                return Err(Error::Forbidden);
            }
            if images::usage(&mut tx, image.owner).await? + image.bytes > quota {
                return Err(self.quota_exceeded());
            }
            Ok(images::create(&mut tx, image).await?)
        })
    }

    fn uploaded(&self, image: Image) -> Uploaded {
        let base = self.settings.images.public_url.as_deref().unwrap_or_default();
        let file_path = format!("{base}{}", names::path(image.owner, &image.file_name));
        Uploaded {
            request_id: image.owner,
            file_name: image.file_name,
            file_type: image.format.media_type(),
            file_path,
        }
    }

    /// What is known of a picture, for who may see it.
    ///
    /// # Errors
    /// [`Error::Forbidden`], also for a picture that is not there if the caller stands in no relation to the owner;
    /// [`Error::NotFound`].
    pub async fn image(&self, actor: &Actor, user: &str, file_name: &str) -> Result<Image> {
        let Some(owner) = AccountId::parse(user) else {
            return Err(if actor.is_system() { MISSING } else { Error::Forbidden });
        };
        let (image, relations) = self.image_and_relations(actor, owner, file_name).await?;
        let Some(image) = image else {
            Permit::ask(relations, Action::ImageRead, owner)?;
            return Err(MISSING);
        };
        Permit::ask(relations, Action::ImageRead, image.id)?;
        Ok(image)
    }

    /// A picture, and how somebody stands to it.
    async fn image_and_relations(
        &self,
        actor: &Actor,
        owner: AccountId,
        file_name: &str,
    ) -> Result<(Option<Image>, Relations)> {
        let Some(account) = actor.account() else { return Ok((None, actor.relations())) };
        let mut tx = self.db.read();
        let mut relations = actor.relations_to_account(owner);
        let may = |relations| rules::allows(relations, Action::ImageRead);
        if let Some(family) = actor.own_family()
            && !may(relations)
        {
            let is_ward = members::is_member(&mut tx, family, owner).await?;
            relations = relations.with_if(is_ward, Relation::WardOf);
        }
        let image = images::find(&mut tx, owner, file_name).await?;
        if let Some(image) = &image
            && !may(relations)
        {
            let families: Vec<FamilyId> = actor.families().collect();
            let is_shown = images::is_shown_to(&mut tx, image.id, account, &families).await?;
            relations = relations.with_if(is_shown, Relation::Referred);
        }
        Ok((image, relations))
    }

    /// A picture's bytes as they come, or a range of them.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the store has lost it, [`Error::Unavailable`].
    pub async fn image_bytes(&self, image: &Image, range: Option<Range<u64>>) -> Result<ByteStream> {
        self.images.store.stream(&image.object, range).await?.ok_or_else(|| lost(image))
    }

    /// A picture made smaller, as it was made before or is made now. The width is one that [`thumbnail_width`] gave, and
    /// less than the picture's.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the store has lost the picture, [`Error::Invalid`] if what it has is none,
    /// [`Error::Unavailable`].
    pub async fn thumbnail(&self, image: &Image, width: u32) -> Result<(Format, Bytes)> {
        let name = thumbnail_name(&image.object, width);
        if let Some(bytes) = self.images.store.read(&name).await?
            && let Some(format) = Format::of(&bytes)
        {
            return Ok((format, bytes));
        }
        // Read when its turn comes: who waits holds no picture in memory.
        let turn = tokio::time::timeout(PATIENCE, self.images.thumbnails.acquire()).await;
        let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        // Somebody else who waited may have made it.
        if let Some(bytes) = self.images.store.read(&name).await?
            && let Some(format) = Format::of(&bytes)
        {
            return Ok((format, bytes));
        }
        let original = self.images.store.read(&image.object).await?.ok_or_else(|| lost(image))?;
        let (format, pixels) = (image.format, u64::from(image.width) * u64::from(image.height));
        let most_pixels = self.settings.images.max_megapixels.saturating_mul(1_000_000).max(pixels);
        let made = self
            .images
            .decode(pixels, move || process::thumbnail(format, &original, width, most_pixels))
            .await?
            .map_err(|_| Error::Invalid(NOT_SHOWN))?;
        if let Err(error) = self.images.store.put(&name, made.1.clone()).await {
            tracing::warn!(?error, "a thumbnail could not be kept and will be made again");
        }
        Ok(made)
    }

    /// Deletes a picture.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn delete_image(&self, actor: &Actor, user: &str, file_name: &str) -> Result<Deleted> {
        let request_id = actor.account().ok_or(Error::Forbidden)?;
        let owner = *self
            .account(actor, user, Action::ImageDelete)
            .await
            .map_err(|error| match error {
                Error::NotFound(_) => MISSING,
                other => other,
            })?
            .resource();
        let image = images::find(&mut self.db.read(), owner, file_name).await?.ok_or(MISSING)?;
        let permit = Permit::ask(actor.relations_to_account(owner), Action::ImageDelete, image.id)?;
        let now = self.now();
        if transact!(self.db, tx => { images::delete(&mut tx, &permit, now).await })? {
            self.discarded.notify_one();
            Ok(Deleted { request_id, file_name: image.file_name })
        } else {
            Err(MISSING)
        }
    }

    /// The picture of ours that a URL names, if the caller may see it himself: who may not must not show it to others, least
    /// of all to himself.
    pub(crate) async fn picture_named(&self, actor: &Actor, url: Option<&str>) -> Result<Option<RowId>> {
        let settings = &self.settings.images;
        let addresses = settings.public_url.iter().chain(&settings.other_urls).map(String::as_str);
        let Some((owner, file_name)) = url.and_then(|url| names::named(url, addresses)) else { return Ok(None) };
        let (image, relations) = self.image_and_relations(actor, owner, &file_name).await?;
        Ok(image.filter(|_| rules::allows(relations, Action::ImageRead)).map(|image| image.id))
    }

    /// Notes in the transaction that writes a row which picture it shows, and to whom.
    pub(crate) async fn refer(
        &self,
        tx: &mut Tx,
        picture: Option<RowId>,
        source: (Source, RowId),
        viewers: &[Viewer],
    ) -> Result<(), DbError> {
        let Some(picture) = picture else { return Ok(()) };
        let now = self.now();
        let mut references = Vec::with_capacity(viewers.len());
        for viewer in viewers {
            references.push(NewReference { id: self.ids.next(now)?, viewer: *viewer });
        }
        images::refer(tx, picture, source, &references).await.map(drop)
    }
}

fn lost(image: &Image) -> Error {
    tracing::error!(image = %image.id, object = image.object, "the store has no object for this picture");
    MISSING
}
