//! Archives that backups and exports are: ZIP files whose every entry has a checksum.
//!
//! An archive is written beside its place under another name and moved there when it is whole and on the disk: what has the
//! name of an archive is one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carebot_model::text::hexadecimal;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::failure::{Failure, Result};

/// The entry that holds the checksums of the others; the last one.
const CHECKSUMS: &str = "checksums.json";

/// What is known of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// An archive that is being written.
pub struct Writer {
    zip: ZipWriter<BufWriter<File>>,
    path: PathBuf,
    unfinished: PathBuf,
    entries: BTreeMap<String, Entry>,
    current: Option<(String, Context, u64)>,
}

fn failed(path: &Path, doing: &str) -> impl Fn(io::Error) -> Failure {
    let message = format!("{doing} {}", path.display());
    move |error| Failure::new(format!("{message}: {error}"))
}

fn digest(context: Context) -> String {
    hexadecimal(context.finish().as_ref())
}

/// Makes a file that nobody else may read, and that was not there before.
pub fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

impl Writer {
    /// Begins an archive; there must be none of that name yet.
    fn create(path: &Path) -> Result<Self> {
        if path.exists() {
            return Err(Failure::new(format!("{} is there already", path.display()))
                .next("Choose another name, or move the old one away."));
        }
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        let file = create_private(&unfinished).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::new(format!("{} is there already", unfinished.display()))
                .next("Another program is writing it, or one was killed while it did: then delete it."),
            _ => failed(&unfinished, "can not write")(error),
        })?;
        Ok(Self {
            zip: ZipWriter::new(BufWriter::new(file)),
            path: path.to_owned(),
            unfinished,
            entries: BTreeMap::new(),
            current: None,
        })
    }

    /// Begins an entry; what is written goes there.
    pub fn begin(&mut self, name: &str, compressed: bool) -> io::Result<()> {
        self.end_entry();
        let method = if compressed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        let options = SimpleFileOptions::default().compression_method(method).large_file(true);
        self.zip.start_file(name, options).map_err(io::Error::other)?;
        self.current = Some((name.to_owned(), Context::new(&SHA256), 0));
        Ok(())
    }

    fn end_entry(&mut self) {
        if let Some((name, context, bytes)) = self.current.take() {
            self.entries.insert(name, Entry { sha256: digest(context), bytes });
        }
    }

    /// An entry with its content.
    pub fn add(&mut self, name: &str, content: &[u8], compressed: bool) -> Result {
        let written = self.begin(name, compressed).and_then(|()| self.write_all(content));
        written.map_err(failed(&self.unfinished, "can not write"))
    }

    /// Writes the checksums, makes the archive durable and gives it its name; its length in bytes.
    fn finish(mut self) -> Result<u64> {
        self.end_entry();
        let failed = failed(&self.unfinished, "can not write");
        let checksums = serde_json::to_vec_pretty(&self.entries).unwrap_or_default();
        let options = SimpleFileOptions::default();
        self.zip.start_file(CHECKSUMS, options).map_err(|error| failed(io::Error::other(error)))?;
        self.zip.write_all(&checksums).map_err(&failed)?;
        let file = self.zip.finish().map_err(|error| failed(io::Error::other(error)))?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(&failed)?;
        let length = file.metadata().map_err(&failed)?.len();
        std::fs::rename(&self.unfinished, &self.path).map_err(&failed)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(&failed)?;
        Ok(length)
    }

    /// Takes away what was written so far.
    fn abandon(self) {
        // It says by its name that it is no archive; nothing is lost if it stays.
        let _ = std::fs::remove_file(&self.unfinished);
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.zip.write(bytes)?;
        if let Some((_, context, length)) = &mut self.current {
            context.update(&bytes[..written]);
            *length += written as u64;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.zip.flush()
    }
}

/// An archive that rows of the database are written into while they come.
pub type Shared = Arc<Mutex<Writer>>;

/// The archive, for a moment.
pub fn lock(writer: &Shared) -> MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes an archive: it is there, whole, if `work` got through, and not at all if not. What `work` gave, and the archive's length in
/// bytes.
pub async fn write<T>(path: &Path, work: impl AsyncFnOnce(&Shared) -> Result<T>) -> Result<(T, u64)> {
    let shared = Arc::new(Mutex::new(Writer::create(path)?));
    let worked = work(&shared).await;
    let writer = Arc::into_inner(shared).and_then(|writer| writer.into_inner().ok());
    let writer = writer.ok_or_else(|| Failure::new("the archive was left open"))?;
    match worked {
        Ok(given) => Ok((given, writer.finish()?)),
        Err(failure) => {
            writer.abandon();
            Err(failure)
        }
    }
}

/// An archive that is read.
pub struct Reader {
    zip: ZipArchive<BufReader<File>>,
    path: PathBuf,
    /// What it says of its entries.
    pub entries: BTreeMap<String, Entry>,
}

impl Reader {
    /// Opens an archive; nothing but its list is read.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(failed(path, "can not read"))?;
        let broken = |error: &dyn std::fmt::Display| {
            Failure::new(format!("{} is no whole archive of carebot: {error}", path.display()))
        };
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| broken(&error))?;
        let mut text = String::new();
        zip.by_name(CHECKSUMS)
            .map_err(|error| broken(&error))?
            .read_to_string(&mut text)
            .map_err(|error| broken(&error))?;
        let entries = serde_json::from_str(&text).map_err(|error| broken(&error))?;
        Ok(Self { zip, path: path.to_owned(), entries })
    }

    /// Reads every entry and compares it with its checksum.
    pub fn verify(&mut self, mut progress: impl FnMut(&str)) -> Result {
        let (entries, path) = (self.entries.clone(), self.path.display().to_string());
        for (name, entry) in &entries {
            progress(name);
            let mut reader = self.entry(name)?;
            let (mut context, mut length, mut buffer) = (Context::new(&SHA256), 0, vec![0; 64 * 1024]);
            loop {
                let count = reader.read(&mut buffer).map_err(failed(Path::new(name), "can not read"))?;
                if count == 0 {
                    break;
                }
                context.update(&buffer[..count]);
                length += count as u64;
            }
            if length != entry.bytes || digest(context) != entry.sha256 {
                return Err(Failure::new(format!("{path} is damaged: {name} is not what was written")));
            }
        }
        Ok(())
    }

    /// An entry's content.
    pub fn entry(&mut self, name: &str) -> Result<impl Read> {
        let path = self.path.display().to_string();
        self.zip.by_name(name).map_err(|error| Failure::new(format!("{path}: {name}: {error}")))
    }

    /// An entry's whole content; for small ones.
    pub fn content(&mut self, name: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.entry(name)?.read_to_end(&mut content).map_err(failed(Path::new(name), "can not read"))?;
        Ok(content)
    }
}
