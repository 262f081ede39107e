//! Where the bytes of pictures lie: a folder, a bucket of an S3-compatible store, or the memory of this process.
//!
//! A picture is the object `ab/ab12..` (32 hexadecimal digits, of which the first two are the folder), its thumbnails are
//! `ab/ab12..-w320`. Writing is all or nothing, and durable when it comes back: in a folder the file and the folders above
//! it are synchronised with the disk before that.

use std::fmt;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carebot_database::DbError;
use carebot_model::Timestamp;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::sync::OnceCell;

use crate::{Error, Result};

/// Digits of an object's name.
pub const NAME: usize = 32;
/// How many folders objects are spread over.
pub const SHARDS: u32 = 256;
/// The widths of thumbnails in pixels.
pub const WIDTHS: [u32; 5] = [160, 320, 640, 1_280, 2_048];

/// How long a request to S3 may take, and how long it may be tried again.
const S3_TIMEOUT: Duration = Duration::from_secs(30);
const S3_CONNECT: Duration = Duration::from_secs(5);
const S3_RETRY: Duration = Duration::from_secs(10);
/// What S3-compatible stores that know no regions are told.
const REGION: &str = "us-east-1";

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// The memory of this process: gone when it ends. For tests.
    Memory,
    /// A folder, made when the first picture comes.
    Folder(PathBuf),
    /// A bucket.
    S3(S3),
}

/// A bucket of an S3-compatible store.
#[derive(Clone, PartialEq, Eq)]
pub struct S3 {
    /// The bucket's name.
    pub bucket: String,
    /// What objects' names begin with; may be empty.
    pub prefix: String,
    /// The store's address; Amazon's if not given.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The key and its secret; if not given, what the `AWS_` variables and the machine itself say.
    pub keys: Option<(String, String)>,
    /// Whether the address may be plain http.
    pub allow_http: bool,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// The bytes of an object as they come.
pub type ByteStream = BoxStream<'static, std::io::Result<Bytes>>;

/// A store, opened when it is first used.
#[derive(Debug)]
pub struct Store {
    storage: Storage,
    opened: OnceCell<Arc<dyn ObjectStore>>,
}

fn unavailable(error: impl fmt::Display) -> Error {
    Error::Unavailable(DbError::Unavailable(format!("the store of pictures: {error}")))
}

impl Store {
    /// A store that is not opened yet.
    pub fn new(storage: Storage) -> Self {
        Self { storage, opened: OnceCell::new() }
    }

    async fn open(&self) -> Result<&Arc<dyn ObjectStore>> {
        self.opened
            .get_or_try_init(|| async {
                Ok(match &self.storage {
                    Storage::Memory => Arc::new(InMemory::new()) as Arc<dyn ObjectStore>,
                    Storage::Folder(folder) => {
                        let folder = folder.clone();
                        let opened = tokio::task::spawn_blocking(move || open_folder(&folder)).await;
                        Arc::new(opened.map_err(unavailable)??)
                    }
                    Storage::S3(s3) => Arc::new(open_s3(s3)?),
                })
            })
            .await
    }

    fn path(&self, name: &str) -> Path {
        let shard = name.get(..2).unwrap_or_default();
        match &self.storage {
            Storage::S3(S3 { prefix, .. }) if !prefix.is_empty() => Path::from(format!("{prefix}/{shard}/{name}")),
            _ => Path::from(format!("{shard}/{name}")),
        }
    }

    /// Whether nothing is stored yet.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn is_empty(&self) -> Result<bool> {
        let prefix = match &self.storage {
            Storage::S3(S3 { prefix, .. }) if !prefix.is_empty() => Some(Path::from(prefix.as_str())),
            _ => None,
        };
        match self.open().await?.list(prefix.as_ref()).next().await {
            None => Ok(true),
            Some(found) => found.map(|_| false).map_err(unavailable),
        }
    }

    /// Stores an object; comes back when it is durable.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store fails; so do the others.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.open().await?.put(&self.path(name), bytes.into()).await.map(drop).map_err(unavailable)
    }

    /// A range of an object's bytes as they come, or all; nothing if there is no such object.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn stream(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<ByteStream>> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        match self.open().await?.get_opts(&self.path(name), options).await {
            Ok(found) => Ok(Some(found.into_stream().map(|piece| piece.map_err(std::io::Error::other)).boxed())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// All bytes of an object; nothing if there is no such object.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn read(&self, name: &str) -> Result<Option<Bytes>> {
        match self.open().await?.get(&self.path(name)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(unavailable),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Deletes an object and its thumbnails, whichever of them there are.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn delete(&self, name: &str) -> Result<()> {
        // The picture last: as long as it is there, a round that was cut short is begun again.
        for width in WIDTHS {
            self.delete_one(&self.path(&thumbnail_name(name, width))).await?;
        }
        self.delete_one(&self.path(name)).await
    }

    async fn delete_one(&self, path: &Path) -> Result<()> {
        match self.open().await?.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// The names of the pictures that objects of a shard belong to, if the object was written before a time. A thumbnail
    /// belongs to its picture, whether or not that is still there; what is not named like ours is passed over. Files of a
    /// folder that were never finished, and are as old, are deleted.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn older(&self, shard: &str, than: Timestamp) -> Result<Vec<String>> {
        if let Storage::Folder(folder) = &self.storage {
            let folder = folder.join(shard);
            let deleted = tokio::task::spawn_blocking(move || delete_unfinished(&folder, than)).await;
            deleted.map_err(unavailable)?.map_err(unavailable)?;
        }
        let folder = self.path(shard).prefix_of_shard();
        let mut objects = self.open().await?.list(Some(&folder));
        let mut names = Vec::new();
        while let Some(object) = objects.next().await {
            let object = object.map_err(unavailable)?;
            let name = object.location.filename().unwrap_or_default();
            if object.last_modified.timestamp_millis() < than.millis()
                && let Some(name) = name_of(name)
                && name.starts_with(shard)
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

/// Deletes what was being written to a shard of a folder when a server died: `ab12..#1`, which no list shows.
fn delete_unfinished(shard: &FilePath, than: Timestamp) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(shard) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let is_unfinished =
            name.to_str().and_then(|name| name.split_once('#')).is_some_and(|(object, _)| name_of(object).is_some());
        if is_unfinished {
            let written = entry.metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            if i64::try_from(written.as_millis()).unwrap_or(i64::MAX) < than.millis() {
                std::fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// The folder of a shard, of the path of something in it.
trait ShardPath {
    fn prefix_of_shard(&self) -> Path;
}

impl ShardPath for Path {
    fn prefix_of_shard(&self) -> Path {
        let parts: Vec<_> = self.parts().collect();
        parts[..parts.len().saturating_sub(1)].iter().cloned().collect()
    }
}

/// What a picture's thumbnail of a width is called.
pub fn thumbnail_name(name: &str, width: u32) -> String {
    format!("{name}-w{width}")
}

/// The picture's name in the name of an object.
fn name_of(object: &str) -> Option<&str> {
    let (name, rest) = object.split_at_checked(NAME)?;
    let is_ours = name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (is_ours && (rest.is_empty() || rest.starts_with("-w"))).then_some(name)
}

fn open_folder(folder: &FilePath) -> Result<LocalFileSystem> {
    let told = |error: std::io::Error| unavailable(format_args!("folder {}: {error}", folder.display()));
    if !folder.is_dir() {
        make_private(folder).map_err(told)?;
        // So that after a power cut the folder is there if a row is.
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(told)?;
        }
    }
    Ok(LocalFileSystem::new_with_prefix(folder).map_err(unavailable)?.with_fsync(true))
}

#[cfg(unix)]
fn make_private(folder: &FilePath) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &FilePath) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

fn open_s3(s3: &S3) -> Result<object_store::aws::AmazonS3> {
    let options =
        ClientOptions::new().with_timeout(S3_TIMEOUT).with_connect_timeout(S3_CONNECT).with_allow_http(s3.allow_http);
    let builder = match &s3.keys {
        Some((key, secret)) => AmazonS3Builder::new().with_access_key_id(key).with_secret_access_key(secret),
        None => AmazonS3Builder::from_env(),
    };
    let builder = builder
        .with_client_options(options)
        .with_retry(RetryConfig { max_retries: 3, retry_timeout: S3_RETRY, ..RetryConfig::default() })
        // One request for each: many S3-compatible stores do not know the other way.
        .with_disable_bulk_delete(true)
        .with_bucket_name(&s3.bucket)
        .with_region(s3.region.as_deref().unwrap_or(REGION));
    let builder = match &s3.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint),
        None => builder,
    };
    builder.build().map_err(unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_ours_are_told_by_their_names() {
        let name = "0123456789abcdef0123456789abcdef";
        assert_eq!(name_of(name), Some(name));
        assert_eq!(name_of(&thumbnail_name(name, 320)), Some(name));
        for other in ["", "README", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcdef.jpg"] {
            assert_eq!(name_of(other), None, "{other}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let s3 = S3 {
            bucket: "care".to_owned(),
            prefix: "pictures".to_owned(),
            endpoint: None,
            region: None,
            keys: Some(("key".to_owned(), "secret".to_owned())),
            allow_http: false,
        };
        assert_eq!(format!("{:?}", Storage::S3(s3)), "S3(s3://care/pictures)");
    }
}
