//! The disk is full under SQLite, and then it is not any more.
//!
//! Two ways to a full disk, neither of which needs to be an administrator: a file system of a few megabytes in memory,
//! which only the server sees (`ENOSPC`), and a limit on the size of files (`EFBIG`), for machines that do not let one
//! mount.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use crate::support::load::{Ledger, Load};
use crate::support::people::{House, PASSWORD};
use crate::support::place::Place;
use crate::support::program::{CAREBOT, Program};
use crate::support::{http::Client, until};

/// The bytes of each text that is written, besides its name: a disk is full sooner.
const PADDING: usize = 8_000;

/// Refused writes, and everything else as ever, from the moment when the disk is full.
async fn is_refused_but_reads(program: &Program, houses: &[House], ledger: &Ledger) {
    let refused = ledger.count(503);
    until("writers are refused", async || ledger.count(503) >= refused + 100).await;
    let house = &houses[0];
    let mut elder = house.elder.client(program.address);
    for path in [format!("/status/home/latest/{}", house.family), format!("/families/{}", house.family)] {
        assert_eq!(elder.get(&path).await.status, 200, "{path}");
    }
    assert_eq!(elder.get("/messages/new").await.status, 200);
    let mut anybody = Client::new(program.address, None);
    assert_eq!(anybody.get("/readyz").await.status, 200);
    // Signing in writes a session, for which there can be room a few times where there is none for a report.
    until("nobody can sign in", async || {
        let login = anybody.post("/auth/login", json!({"email": house.elder.email, "password": PASSWORD})).await;
        assert!([200, 503].contains(&login.status), "{}", login.json());
        assert!(login.status == 200 || login.header("retry-after").is_some());
        login.status == 503
    })
    .await;
}

fn assert_nobody_was_told_anything_else(ledger: &Ledger) {
    let statuses = ledger.statuses();
    assert!(statuses.keys().all(|status| [201, 503].contains(status)), "{statuses:?}");
}

/// A file system of its own for a server: `None` where one may not mount.
async fn on_a_small_disk(megabytes: u32) -> Option<(Program, TempDir, PathBuf)> {
    let folder = TempDir::with_prefix("carebot-faults-").expect("a folder");
    let mount = format!("mount -t tmpfs -o size={megabytes}m tmpfs \"$0\"");
    let mut small = Command::new("unshare");
    small.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    let probe = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
        .arg(folder.path())
        .output();
    if let Ok(output) = &probe
        && output.status.success()
    {
        small.arg(format!("{mount} && exec \"$@\"")).arg(folder.path()).arg(CAREBOT);
        let url = format!("sqlite:{}", folder.path().join("carebot.db").display());
        let program = Program::start_as(small, &url, &[]).await;
        // Others see that file system through the process that has it.
        let seen = format!("/proc/{}/root{}", program.pid(), folder.path().display());
        return Some((program, folder, seen.into()));
    }
    println!("left out: this machine does not let one mount a file system of one's own: {probe:?}");
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_damages_nothing() {
    let Some((program, _folder, disk)) = on_a_small_disk(16).await else { return };
    let houses = House::several(program.address, 4).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(program.address, &houses, &ledger, true, PADDING);
    for _ in 0..2 {
        ledger.more_acknowledged(100).await;
        let rest = disk.join("rest");
        fill(&rest);
        is_refused_but_reads(&program, &houses, &ledger).await;
        fs::remove_file(rest).expect("space is made");
    }
    ledger.more_acknowledged(100).await;
    load.finish().await;
    assert_nobody_was_told_anything_else(&ledger);
    // The database as it is now, with the server still running: nobody writes.
    let copy = TempDir::with_prefix("carebot-faults-").expect("a folder");
    for name in ["carebot.db", "carebot.db-wal"] {
        fs::copy(disk.join(name), copy.path().join(name)).expect("the file can be read");
    }
    let rows = ledger.holds_in(&Place::file(&copy.path().join("carebot.db"))).await;
    println!("{:?}, {rows} rows", ledger.statuses());
}

/// Writes until nothing fits any more.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file");
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_may_not_grow_refuse_writes_and_damage_nothing() {
    let folder = TempDir::with_prefix("carebot-faults-").expect("a folder");
    let place = Place::file(&folder.path().join("carebot.db"));
    // In blocks of 512 bytes. Without the signal a write fails as on a full disk.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -S -f 12000; exec \"$0\" \"$@\"", CAREBOT]);
    let mut program = Program::start_as(limited, &place.url, &[]).await;
    let houses = House::several(program.address, 4).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(program.address, &houses, &ledger, true, PADDING);
    ledger.more_acknowledged(100).await;
    is_refused_but_reads(&program, &houses, &ledger).await;
    let lifted = Command::new("prlimit").args(["--pid", &program.pid().to_string(), "--fsize=unlimited"]).status();
    assert!(lifted.expect("there is prlimit").success());
    ledger.more_acknowledged(100).await;
    load.finish().await;
    assert_nobody_was_told_anything_else(&ledger);
    let rows = ledger.holds_in(&place).await;
    println!("{:?}, {rows} rows", ledger.statuses());
    program.ask_to_stop();
    assert!(program.end().await.success());
    assert_eq!(ledger.holds_in(&place).await, rows, "after an end in good order, too");
}
