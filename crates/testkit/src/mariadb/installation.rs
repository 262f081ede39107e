//! Where MariaDB is installed, the template of an empty database, and the folders of servers.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// Memory that must be free before a database is put there.
const MEMORY_NEEDED_KIB: u64 = 1024 * 1024;

/// The programs of one version of MariaDB.
#[derive(Debug)]
pub(super) struct Installation {
    /// The server.
    pub(super) mariadbd: PathBuf,
    /// The folder above the server's own, where its messages and system tables are.
    pub(super) basedir: PathBuf,
}

impl Installation {
    /// Finds the server, or says in half a sentence what is missing.
    pub(super) fn find() -> Result<Self, String> {
        let found = match variable("CAREBOT_TEST_MARIADBD") {
            Some(path) if path.is_file() => Some(path),
            Some(path) => return Err(format!("there is no {} (CAREBOT_TEST_MARIADBD)", path.display())),
            None => search_path("mariadbd"),
        };
        let mariadbd = found.ok_or("there is no program mariadbd on the PATH or in /usr/sbin")?;
        let mariadbd = mariadbd.canonicalize().map_err(|error| format!("{}: {error}", mariadbd.display()))?;
        let basedir = mariadbd.ancestors().nth(2).unwrap_or(Path::new("/")).to_owned();
        Ok(Self { mariadbd, basedir })
    }

    /// The client program: the one that came with the server, or else the one on the `PATH`.
    pub(super) fn client(&self) -> PathBuf {
        self.tool(&["mariadb", "mysql"]).unwrap_or_else(|| PathBuf::from("mariadb"))
    }

    /// Makes `destination` an empty database.
    pub(super) fn copy_template(&self, destination: &Path) -> io::Result<()> {
        copy_folder(&self.template()?, destination)
    }

    /// The folder of an empty database of this version, made by the first who asks and never changed afterwards.
    fn template(&self) -> io::Result<PathBuf> {
        let version = Command::new(&self.mariadbd).arg("--version").stdin(Stdio::null()).output()?;
        // The text begins with the program's path, so two installations of one version have two templates.
        let key: String = String::from_utf8_lossy(&version.stdout)
            .trim()
            .chars()
            .map(|character| if character.is_ascii_alphanumeric() || character == '.' { character } else { '-' })
            .collect();
        let folder = target_folder().join("mariadb-template");
        let template = folder.join(key);
        if template.is_dir() {
            return Ok(template);
        }
        fs::create_dir_all(&folder)?;
        // The rename alone keeps half a template from being seen; the lock saves the others the same work.
        let lock = File::create(folder.join("lock"))?;
        lock.lock()?;
        if !template.is_dir() {
            let new = TempDir::with_prefix_in("new-", &folder)?;
            self.initialise(&new.path().join("data"))?;
            fs::rename(new.path().join("data"), &template)?;
        }
        Ok(template)
    }

    /// Makes the system tables of an empty database.
    fn initialise(&self, data: &Path) -> io::Result<()> {
        let tool = self
            .tool(&["mariadb-install-db", "mysql_install_db"])
            .ok_or_else(|| io::Error::other("there is no program mariadb-install-db beside mariadbd or on the PATH"))?;
        let output = Command::new(tool)
            .arg("--no-defaults")
            .arg(format!("--basedir={}", self.basedir.display()))
            .arg(format!("--datadir={}", data.display()))
            .args(user_option())
            .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
            // Or it gives up on a machine that cannot resolve its own name, which nothing here needs.
            .arg("--force")
            // Every server copies this; each gets the size it wants when it starts.
            .arg("--innodb-log-file-size=4M")
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        Err(io::Error::other(format!("mariadb-install-db failed:\n{}", String::from_utf8_lossy(&text))))
    }

    /// The first program of these names that stands in this installation or on the `PATH`.
    fn tool(&self, names: &[&str]) -> Option<PathBuf> {
        let inside =
            names.iter().flat_map(|name| ["bin", "scripts"].map(|folder| self.basedir.join(folder).join(name)));
        inside.chain(names.iter().filter_map(search_path)).find(|path| path.is_file())
    }
}

/// A new folder for a server, removed when it is dropped.
///
/// In memory when there is room: creating a table costs several waits for the disk, and every test creates many.
pub(super) fn new_folder(durable: bool) -> io::Result<TempDir> {
    const PREFIX: &str = "carebot-mariadb-";
    let memory = Path::new("/dev/shm");
    if !durable
        && has_memory(memory)
        && let Ok(folder) = TempDir::with_prefix_in(PREFIX, memory)
    {
        return Ok(folder);
    }
    // Not the temporary folder: on many systems that lies in memory, and a durable server must not.
    let parent = target_folder();
    fs::create_dir_all(&parent)?;
    TempDir::with_prefix_in(PREFIX, parent)
}

/// `--user=root` for the one user for whom the server demands that it be said.
pub(super) fn user_option() -> Option<&'static str> {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0).then_some("--user=root")
}

/// Cargo's target folder, where the running test program lies; else the temporary folder.
fn target_folder() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.map_or_else(env::temp_dir, Path::to_owned)
}

/// Whether a folder in memory has room for databases of tests.
pub fn has_memory(folder: &Path) -> bool {
    free_kib(folder).is_some_and(|free| free > MEMORY_NEEDED_KIB)
}

/// Free space of the file system of a folder in KiB; None when it cannot be found out.
fn free_kib(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).stdin(Stdio::null()).output().ok()?;
    // The second line: name, size, used, available, ..
    String::from_utf8_lossy(&output.stdout).lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// The first file of this name on the `PATH` or in `/usr/sbin`, which many users' `PATH` lacks.
fn search_path(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name.as_ref())).find(|file| file.is_file())
}

/// Copies a folder of files and folders.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let destination = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &destination)?;
        } else {
            fs::copy(entry.path(), destination)?;
        }
    }
    Ok(())
}

/// The value of an environment variable that is set and not empty.
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
