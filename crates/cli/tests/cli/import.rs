//! `carebot import`.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use carebot_testkit::mariadb;
use serde_json::Value;

use crate::support::{Browser, Place, Server, mariadb_schema};

/// The password of everybody there, and its hash.
const PASSWORD: &str = "grandma-1945";
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu1dIKBpnysVCsoqIxfhC3o5WgM9ZZBc2";
/// The cookie of a guardian who signed in there.
const COOKIE: &str = "session_id=0000000000000000000000000000000b";

/// An existing installation: its schema, and its address with a user who may only read.
fn existing() -> (String, String) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let schema = format!("existing_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let server = mariadb::shared();
    let sql = include_str!("../../../database/tests/contract/import/existing.sql").replace("$2b$04$BCRYPT", BCRYPT);
    let reader = format!("CREATE USER {schema} IDENTIFIED BY 'geh/eim'; GRANT SELECT ON {schema}.* TO {schema}");
    let now = "UPDATE loginsessions SET last_active = UTC_TIMESTAMP() WHERE xid LIKE '%b' OR xid LIKE '%a'";
    server.execute(&format!("CREATE DATABASE {schema}; USE {schema}; {sql}; {now}; {reader}")).expect("it is made");
    let url = format!("mariadb://{schema}:geh%2Feim@127.0.0.1:{}/{schema}", server.port());
    (schema, url)
}

/// Asks with a cookie; the status and the body's bytes.
fn ask(server: &Server, path: &str, cookie: &str) -> (u16, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    runtime.block_on(async {
        let request = client.get(format!("{}/{path}", server.url)).header("cookie", cookie);
        let response = request.send().await.expect("the server answers");
        (response.status().as_u16(), response.bytes().await.expect("a body").to_vec())
    })
}

/// One red pixel, with a comment that nobody needs to know.
const PNG: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53, 0xde, 0x00, 0x00, 0x00, 0x11, 0x74,
    0x45, 0x58, 0x74, 0x43, 0x6f, 0x6d, 0x6d, 0x65, 0x6e, 0x74, 0x00, 0x74, 0x68, 0x65, 0x20, 0x70, 0x6c, 0x61, 0x63,
    0x65, 0x92, 0x11, 0x42, 0x1c, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0xf8, 0xdf, 0xc0,
    0x00, 0x00, 0x04, 0x01, 0x01, 0x80, 0xc5, 0x2a, 0x18, 0x5d, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae,
    0x42, 0x60, 0x82,
];

/// The row of a table, without the blanks between.
fn row(out: &str, table: &str) -> Vec<String> {
    let line = out
        .lines()
        .find(|line| line.starts_with(&format!("{table} ")))
        .unwrap_or_else(|| panic!("no {table} in:\n{out}"));
    line[table.len()..].split_whitespace().map(str::to_owned).collect()
}

#[test]
fn people_go_on_with_their_passwords_cookies_and_pictures() {
    for target in ["sqlite:carebot.db".to_owned(), mariadb_schema()] {
        let (_, url) = existing();
        let place = Place::new();
        let folder = place.path().join("old images");
        for (account, name) in [
            ("Uguard0000000001", "lunch_1.png"),
            ("Uelder0000000001", "fall_1.png"),
            ("Unobody000000001", "x_20251123_042945_123.png"),
        ] {
            std::fs::create_dir_all(folder.join(account)).expect("a folder");
            std::fs::write(folder.join(account).join(name), PNG).expect("a file");
        }
        std::fs::write(folder.join("Uelder0000000001/virus.png"), "no picture").expect("a file");
        let import = |flags: &[&str]| {
            let images = folder.display().to_string();
            let always = ["import", &url, "--images", &images, "--report", "report.jsonl", "--database", &target];
            place.run(&[&always, flags].concat())
        };

        let dry = import(&["--dry-run"]).succeeded();
        assert_eq!(row(&dry, "homestatus")[..5], ["2507", "2506", "0", "0", "1"], "{dry}");
        assert!(dry.contains("nothing was stored") && dry.contains("pictures: 4 files"), "{dry}");
        assert!(!place.path().join("carebot.db").exists());

        let out = import(&["--create"]).succeeded();
        assert_eq!(row(&out, "homestatus")[..5], ["2507", "2506", "0", "0", "1"], "{out}");
        assert_eq!(row(&out, "accounts")[..5], ["7", "6", "0", "0", "1"], "{out}");
        assert_eq!(row(&out, "loginsessions")[1], "2", "{out}");
        assert_eq!(row(&out, "pictures ")[..5], ["4", "2", "0", "0", "2"], "{out}");
        assert_eq!(row(&out, "pictures in messages")[..5], ["2", "1", "0", "0", "1"], "{out}");
        assert_eq!(row(&out, "pictures in albums")[..2], ["1", "1"], "{out}");
        assert_eq!(row(&out, "pictures in reports")[..2], ["1", "1"], "{out}");
        assert!(out.contains("gamescores"), "{out}");
        let report = std::fs::read_to_string(place.path().join("report.jsonl")).expect("a report");
        let lines: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(
            lines.iter().any(|line| line["rule"] == "not_a_picture" && line["key"] == "Uelder0000000001/file 2"),
            "{report}"
        );
        assert!(lines.iter().any(|line| line["rule"] == "foreign_picture" && line["key"] == "4"), "{report}");
        assert!(!report.contains("virus") && !report.contains("example.com") && !out.contains("geh"), "{report}{out}");

        let again = import(&[]).succeeded();
        assert_eq!(row(&again, "homestatus")[1..4], ["0", "0", "2506"], "{again}");
        assert_eq!(row(&again, "pictures ")[1..4], ["0", "0", "2"], "{again}");
        assert_eq!(row(&again, "pictures in albums")[1..4], ["0", "0", "1"], "{again}");
        assert!(again.contains("nothing new to report"), "{again}");

        let server = place.serve(&["--database", &target]);
        let mut browser = Browser::new(&server.url);
        let elder = browser.sign_in("ELDER@example.com", PASSWORD).expect("the old password");
        assert_eq!(elder["id"], "Uelder0000000001");
        assert_eq!(Browser::new(&server.url).sign_in("elder@example.com", "another"), Err(401));
        let (status, latest) = browser.get("status/home/latest/Ffamily000000001");
        assert_eq!((status, &latest["result"]["others"]), (200, &Value::from("밖은 비 ☔")), "{latest}");
        assert_eq!(ask(&server, "accounts/Uguard0000000001", COOKIE).0, 200, "the old cookie");
        assert_eq!(
            ask(&server, "accounts/Uguard0000000001", "session_id=0000000000000000000000000000000d").0,
            403,
            "expired"
        );
        let (status, bytes) = ask(&server, "access/Uguard0000000001/lunch_1.png", COOKIE);
        assert_eq!(status, 200);
        assert!(bytes.starts_with(&PNG[..16]) && bytes.len() < PNG.len(), "without the comment");
        assert_eq!(browser.get("access/Uguard0000000001/lunch_1.png").0, 200, "whoever got the message");
        assert_eq!(ask(&server, "access/Uelder0000000001/fall_1.png", COOKIE).0, 200, "whoever may read the report");
        server.stop();
    }
}

#[test]
fn what_is_wrong_is_said_without_the_password() {
    let place = Place::new();
    let (schema, url) = existing();
    let import = |arguments: &[&str]| {
        place.run(&[&["import"], arguments, &["--database", "sqlite:carebot.db", "--create"]].concat())
    };
    for (wrong, code, part) in [
        ("carebot.db", 2, "a database URL is"),
        ("sqlite:carebot.db", 2, "on MariaDB"),
        ("mariadb://u:geh@127.0.0.1:1/x", 1, "needs SELECT"),
        (&url.replace("geh%2F", "geh"), 1, "user and password"),
        (&mariadb_schema(), 1, "no existing installation"),
    ] {
        let error = import(&[wrong]).failed(code);
        assert!(error.contains(part) && !error.contains("geh") && !error.contains(":carebot:"), "{wrong}: {error}");
    }
    let error = import(&[&url, "--images", "nowhere"]).failed(2);
    assert!(error.contains("there is no folder nowhere"), "{error}");
    // Into itself.
    let own = mariadb::shared().url(&schema);
    let tables = || mariadb::shared().execute(&format!("SHOW TABLES FROM {schema}")).expect("tables");
    let before = tables();
    let error = place.run(&["import", &url, "--database", &own]).failed(2);
    assert!(error.contains("existing installation itself"), "{error}");
    assert_eq!(tables(), before);
    // The address from standard input.
    let ran = place.run_with_input(&["import", "-", "--database", "sqlite:other.db", "--create"], &format!("{url}\n"));
    assert!(ran.succeeded().contains("import-report.jsonl"));
}

#[test]
fn interrupted_it_goes_on() {
    let place = Place::new();
    let (schema, url) = existing();
    mariadb::shared()
        .execute(&format!("USE {schema}; INSERT INTO homestatus SELECT 10000 + seq, 'Ffamily000000001', FROM_UNIXTIME(1767225600 + seq), 1, 1, 1, 1, NULL FROM seq_1_to_60000; ANALYZE TABLE homestatus"))
        .expect("rows");
    let command = ["import", &url, "--database", "sqlite:carebot.db", "--create"];
    for (signal, part) in [("KILL", ""), ("INT", "the same command goes on")] {
        let mut program = place.start(&command);
        program.wait_for_log("homestatus");
        program.signal(signal);
        let ran = program.ended();
        assert_ne!(ran.code, Some(0), "{}", ran.out);
        assert!(ran.err.contains(part), "{}", ran.err);
    }
    let out = place.run(&command).succeeded();
    let counts = row(&out, "homestatus");
    let written: u32 = counts[1].parse().expect("a number");
    let already: u32 = counts[3].parse().expect("a number");
    assert!(written > 0 && already >= 500, "{out}");
    assert_eq!(written + already, 62_506, "{out}");
    let out = place.run(&command).succeeded();
    assert_eq!(row(&out, "homestatus")[1..4], ["0", "0", "62506"], "{out}");
}

/// The most memory that a process had, in KiB.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Measures; the numbers stand in `docs/moving.md`.
#[test]
#[ignore = "takes minutes: cargo test -p carebot-cli --test cli a_million -- --ignored --nocapture"]
fn a_million_reports_need_little_memory() {
    let (schema, url) = existing();
    mariadb::shared()
        .execute(&format!(
            "USE {schema}; INSERT INTO homestatus SELECT 10000 + seq, 'Ffamily000000001', FROM_UNIXTIME(1767225600 + seq), 20 + seq % 100 / 10, 40,
             10, 1, '{{\"pm1\": 3, \"pm25\": 7, \"tvoc\": 112}}' FROM seq_1_to_1000000; ANALYZE TABLE homestatus"
        ))
        .expect("rows");
    for target in ["sqlite:carebot.db".to_owned(), mariadb_schema()] {
        let place = Place::new();
        let started = Instant::now();
        let mut program = Command::new(env!("CARGO_BIN_EXE_carebot"))
            .args(["import", &url, "--database", &target, "--create"])
            .current_dir(place.path())
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let (_sender, wait) = mpsc::channel::<()>();
        let mut most = 0;
        let code = loop {
            most = most.max(peak(program.id()).unwrap_or_default());
            if let Some(ended) = program.try_wait().expect("the program can be asked") {
                break ended.code();
            }
            // Nobody ever says anything.
            let _ = wait.recv_timeout(Duration::from_millis(20));
        };
        assert_eq!(code, Some(0));
        let engine = target.split(':').next().unwrap_or_default();
        println!("{engine}: {:.1} s, {} MiB", started.elapsed().as_secs_f64(), most / 1_024);
        assert!(most < 256 * 1_024, "{most} KiB");
    }
}

#[test]
fn nothing_is_deleted_by_age_until_an_operator_agrees_and_a_backup_remembers_that() {
    let (_, url) = existing();
    let place = Place::new();
    let target = "sqlite:carebot.db";
    let retention = |command: &str, database: &str| {
        place.run(&["retention", command, "--database", database, "--set", "retention.home_days=36500"]).succeeded()
    };
    let import =
        || place.run(&["import", &url, "--report", "report.jsonl", "--database", target, "--create"]).succeeded();
    assert!(import().contains("carebot retention status"));
    let status = retention("status", target);
    assert!(status.contains("nothing is deleted until you agree") && status.contains("36500 days"), "{status}");
    place.run(&["backup", "held.zip", "--database", target]).succeeded();
    assert!(retention("confirm", target).contains("agreed"));
    assert!(retention("confirm", target).contains("nothing was to be agreed to"));
    assert!(!retention("status", target).contains("until you agree"));
    // What is restored is as it was, and another import asks again.
    place.run(&["restore", "held.zip", "--database", "sqlite:restored.db", "--same-pictures"]).succeeded();
    assert!(retention("status", "sqlite:restored.db").contains("until you agree"));
    import();
    assert!(retention("status", target).contains("until you agree"));
}
