//! The file with the key of the timelines: 32 random bytes in hexadecimal, for its owner only.
//!
//! It lies outside of the database, because whoever has both can forge. A server without it would raise no alarms, so a file that
//! cannot be made or read never keeps one from starting: it then hashes with a key that nobody keeps, and says so.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use carebot_database::ambient::Rng;
use carebot_database::journal::ChainKey;
use carebot_model::text::hexadecimal;

use crate::archive::create_private;
use crate::failure::{Failure, Result};

/// How long a key is, in bytes.
const LENGTH: usize = 32;

/// The key in a file; nothing if there is no such file.
pub fn read(path: &Path) -> Result<Option<ChainKey>> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(text.trim()).map(Some).ok_or_else(|| {
            Failure::new(format!("timeline key: {} holds no key", path.display())).next(
                "It is 64 hexadecimal digits. Put the right file back from where you keep its copy; move a wrong one away.",
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(format!("timeline key: {} can not be read: {error}", path.display()))
            .next("Let the server's user read it, or set alarms.key_file to another file.")),
    }
}

fn parse(text: &str) -> Option<ChainKey> {
    if text.len() != 2 * LENGTH || !text.is_ascii() {
        return None;
    }
    let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok());
    bytes.collect::<Option<Vec<u8>>>().map(|bytes| ChainKey::new(&bytes))
}

fn random(rng: &dyn Rng) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    rng.fill(&mut bytes);
    bytes
}

/// The key in a file, which is made if it is missing. Of several who make it at once all get the same.
pub fn read_or_make(path: &Path, rng: &dyn Rng) -> Result<ChainKey> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    make(path, rng).map_err(|error| {
        Failure::new(format!("timeline key: {} can not be made: {error}", path.display()))
            .next("Set alarms.key_file to a place that the server's user may write to.")
    })?;
    read(path)?.ok_or_else(|| Failure::new(format!("timeline key: {} went away", path.display())))
}

/// Makes the file whole or not at all, and never in place of another.
fn make(path: &Path, rng: &dyn Rng) -> io::Result<()> {
    let text = format!("{}\n", hexadecimal(&random(rng)));
    let unfinished = beside(path, &hexadecimal(&random(rng)[..8]));
    let made = write(&unfinished, &text).and_then(|()| match std::fs::hard_link(&unfinished, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // A file system without links.
            write(path, &text)
        }
        made => made,
    });
    std::fs::remove_file(&unfinished)?;
    match made {
        // Somebody else was faster: that one counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    tracing::info!(file = %path.display(), "the key of the timelines was made; keep a copy of it apart from the database");
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = create_private(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn beside(path: &Path, name: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{name}.unfinished"));
    beside.into()
}

/// A key that nobody keeps: what is hashed with it can never be verified.
pub fn throw_away(rng: &dyn Rng) -> ChainKey {
    ChainKey::new(&random(rng))
}

/// Whether anybody besides its owner may read a file.
#[cfg(unix)]
pub fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub fn is_open(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use carebot_database::ambient::SystemRng;
    use tempfile::TempDir;

    use super::*;

    fn folder() -> (TempDir, PathBuf) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("carebot.db.timeline-key");
        (folder, path)
    }

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let (folder, path) = folder();
        assert!(read(&path).expect("nothing is wrong").is_none());
        let made = read_or_make(&path, &SystemRng).expect("it is made");
        let again = read_or_make(&path, &SystemRng).expect("it is read");
        assert_eq!(made.id(), again.id());
        assert!(!is_open(&path));
        let names: Vec<_> =
            folder.path().read_dir().expect("a folder").map(|entry| entry.expect("one").path()).collect();
        assert_eq!(names, [path], "nothing else is left");
    }

    #[test]
    fn all_who_make_it_at_once_get_the_same() {
        let (_folder, path) = folder();
        let barrier = std::sync::Barrier::new(8);
        let ids: Vec<String> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        read_or_make(&path, &SystemRng).expect("it is made").id().to_owned()
                    })
                })
                .collect();
            makers.into_iter().map(|maker| maker.join().expect("no panic")).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn what_is_no_key_is_never_replaced() {
        let (_folder, path) = folder();
        for text in ["", "geheim", &"0".repeat(63), &"g".repeat(64), &"한".repeat(32)] {
            std::fs::write(&path, text).expect("it is written");
            let error = read_or_make(&path, &SystemRng).expect_err("no key").to_string();
            assert!(error.contains("holds no key") && !error.contains("geheim"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).expect("it is there"), text);
        }
        let nowhere = path.join("key");
        std::fs::remove_file(&path).expect("it was there");
        let error = read_or_make(&nowhere, &SystemRng).expect_err("no folder").to_string();
        assert!(error.contains("alarms.key_file"), "{error}");
    }
}
