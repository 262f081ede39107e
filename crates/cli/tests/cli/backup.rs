//! `carebot backup`, `restore` and `export`.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{Browser, Place, mariadb_schema};

/// The smallest PNG there is: one grey point.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 0,
    0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0x68, 0, 0, 0, 0x82, 0,
    0x81, 0x77, 0xcd, 0x72, 0xb6, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

fn database(engine: &str) -> String {
    if engine == "sqlite" { "sqlite:carebot.db".to_owned() } else { mariadb_schema() }
}

fn temperatures(browser: &Browser, family: &str) -> Vec<i64> {
    let (status, body) = browser.get(&format!("status/home/{family}?start=2020-01-01"));
    assert_eq!(status, 200);
    #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
    let whole = |row: &Value| row["temperature"].as_f64().expect("a number") as i64;
    body["result"].as_array().expect("a list").iter().map(whole).collect()
}

/// An elder with a family; the family's id and the account's.
fn family(place: &Place, browser: &mut Browser, database: &str) -> (String, String, String) {
    let password = place.account(database, "elder@example.org", "main");
    let id = browser.sign_in("elder@example.org", &password).expect("let in")["id"].as_str().expect("an id").to_owned();
    let (_, made) = browser.post("families", &json!({"main_user": id, "family_name": "순자네 👵🏻"}));
    (made["result"]["id"].as_str().expect("an id").to_owned(), id, password)
}

fn report(browser: &Browser, family: &str, temperature: i64) {
    let body = json!({"family_id": family, "temperature": temperature, "humidity": 0.1 + 0.2, "others": "{'a': 1}"});
    assert_eq!(browser.post("status/home", &body).0, 201);
}

#[test]
fn a_backup_taken_while_the_server_writes_is_restored_on_either_engine() {
    for (from, to) in [("sqlite", "mariadb"), ("mariadb", "sqlite"), ("sqlite", "sqlite")] {
        let (here, there) = (Place::new(), Place::new());
        let (source, target) = (database(from), database(to));
        let server = here.serve(&["--database", &source, "--create", "--set", "mode=development"]);
        let mut browser = Browser::new(&server.url);
        let (family, id, password) = family(&here, &mut browser, &source);
        let (status, uploaded) = browser.upload("upload", "할머니.png", PNG);
        assert_eq!(status, 201, "{uploaded}");
        let url = uploaded["result"]["file_path"].as_str().expect("a URL").to_owned();
        assert_eq!(browser.post("tools/background", &json!({"family_id": family, "image_url": url})).0, 201);
        for number in 0..1_200 {
            report(&browser, &family, number);
        }

        // Reports go on while it is written.
        let stop = AtomicBool::new(false);
        let file = here.path().join("backup.zip");
        let file = file.to_str().expect("a path");
        let written = std::thread::scope(|scope| {
            let writer = Browser::new(&server.url).with_cookie_of(&browser);
            let family = &family;
            let stop = &stop;
            let writing = scope.spawn(move || {
                let mut number = 1_200;
                while !stop.load(Ordering::Relaxed) {
                    report(&writer, family, number);
                    number += 1;
                }
                number
            });
            let told = here.run(&["backup", file, "--database", &source]).succeeded();
            stop.store(true, Ordering::Relaxed);
            assert!(told.contains("1 pictures"), "{told}");
            writing.join().expect("the reports are stored")
        });
        let all: Vec<i64> = (0..written).collect();
        assert_eq!(temperatures(&browser, &family), all, "{from}: the server missed nothing");
        server.stop();
        let left: Vec<String> = names(here.path()).into_iter().filter(|name| name.starts_with("backup.zip.")).collect();
        assert!(left.is_empty(), "{left:?}");

        let told = there.run(&["restore", file, "--database", &target]).succeeded();
        assert!(told.contains("rows and 1 pictures restored"), "{told}");
        // Every row of every table is there again, and nothing else: a backup of the restored one holds the same.
        there.run(&["backup", "again.zip", "--database", &target]).succeeded();
        assert_eq!(rows(&there.path().join("again.zip")), rows(Path::new(file)), "{from} to {to}");
        let server = there.serve(&["--database", &target, "--set", "mode=development"]);
        // The old cookie goes on working, and so does the password.
        let mut restored = Browser::new(&server.url).with_cookie_of(&browser);
        let found = temperatures(&restored, &family);
        assert!(
            found.len() >= 1_200 && found == all[..found.len()],
            "{from} to {to}: one moment, without gaps: {}",
            found.len()
        );
        let (_, latest) = restored.get(&format!("status/home/latest/{family}"));
        assert_eq!(
            (&latest["result"]["humidity"], &latest["result"]["others"]),
            (&json!(0.1 + 0.2), &json!("{'a': 1}"))
        );
        assert_eq!(restored.get(&format!("families/{family}")).1["result"]["family_name"], "순자네 👵🏻");
        assert_eq!(restored.sign_in("elder@example.org", &password).expect("let in")["id"], json!(id));
        let path = url.split_once("/access/").expect("a picture's URL").1;
        assert_eq!(restored.bytes(&format!("access/{path}")), (200, PNG.to_vec()));
        // It goes on from there.
        report(&restored, &family, 7);
        server.stop();
        let again = there.run(&["restore", file, "--database", &target]).failed(1);
        assert!(again.contains("accounts in it already"), "{again}");
    }
}

/// The rows of every table, sorted.
fn rows(file: &Path) -> BTreeMap<String, Vec<String>> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(file).expect("a file")).expect("an archive");
    let mut tables = BTreeMap::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).expect("an entry");
        let name = entry.name().expect("a name").into_owned();
        if name.starts_with("tables/") {
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            tables.insert(name, lines);
        }
    }
    assert!(tables.len() > 20 && tables["tables/home_status.jsonl"].len() >= 1_200);
    tables
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let place = Place::new();
    place.run(&["migrate", "--create"]).succeeded();
    place.account("sqlite:carebot.db", "op@example.org", "system");
    place.run(&["backup", "good.zip"]).succeeded();
    let taken = place.run(&["backup", "good.zip"]).failed(1);
    assert!(taken.contains("is there already"), "{taken}");
    assert!(place.run(&["restore", "good.zip", "--verify"]).succeeded().contains("whole"));

    let good = std::fs::read(place.path().join("good.zip")).expect("a file");
    for name in ["tables/accounts.jsonl", "manifest.json", "checksums.json"] {
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&good)).expect("an archive");
        let at = zip.by_name(name).expect("an entry").data_start().expect("a place");
        let mut bad = good.clone();
        bad[usize::try_from(at).expect("small") + 5] ^= 0xff;
        std::fs::write(place.path().join("bad.zip"), &bad).expect("written");
        place.run(&["restore", "bad.zip", "--database", "sqlite:new.db"]).failed(1);
        assert!(!place.path().join("new.db").exists(), "{name}: nothing was made of it");
    }
    std::fs::write(place.path().join("cut.zip"), &good[..good.len() / 2]).expect("written");
    assert!(place.run(&["restore", "cut.zip", "--verify"]).failed(1).contains("no whole archive"));
    assert!(place.run(&["restore", "missing.zip", "--verify"]).failed(1).contains("can not read"));
    assert!(place.run(&["backup", "x.zip", "--database", "sqlite:missing.db"]).failed(1).contains("no database"));
}

/// Writes a backup anew with a line more in one of its tables, and checksums that fit.
fn with_line(good: &Path, bad: &Path, table: &str, line: &str) {
    let mut from = zip::ZipArchive::new(std::fs::File::open(good).expect("a file")).expect("an archive");
    let mut to = zip::ZipWriter::new(std::fs::File::create(bad).expect("a file"));
    let mut sums = json!({});
    for index in 0..from.len() {
        let mut entry = from.by_index(index).expect("an entry");
        let name = entry.name().expect("a name").into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        if name == format!("tables/{table}.jsonl") {
            content.extend(line.as_bytes());
        }
        if name == "checksums.json" {
            content = sums.to_string().into_bytes();
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, &content);
        let sha256 = carebot_model::text::hexadecimal(digest.as_ref());
        sums[&name] = json!({"sha256": sha256, "bytes": content.len()});
        to.start_file(name, zip::write::SimpleFileOptions::default()).expect("begun");
        to.write_all(&content).expect("written");
    }
    to.finish().expect("whole");
}

#[test]
fn what_was_restored_by_half_is_accepted_by_nobody() {
    let place = Place::new();
    place.run(&["migrate", "--create"]).succeeded();
    place.account("sqlite:carebot.db", "op@example.org", "system");
    place.run(&["backup", "good.zip"]).succeeded();
    with_line(&place.path().join("good.zip"), &place.path().join("bad.zip"), "families", "[1]\n");
    for half in ["sqlite:half.db".to_owned(), mariadb_schema()] {
        let told = place.run(&["restore", "bad.zip", "--database", &half]).failed(1);
        assert!(told.contains("tables/families.jsonl: line 1 is no row"), "{told}");
        for command in [
            &["serve", "--listen", "127.0.0.1:0", "--metrics", "off", "--database", &half][..],
            &["migrate", "--database", &half],
            &["backup", "again.zip", "--database", &half],
            &["account", "list", "--database", &half],
            &["restore", "good.zip", "--database", &half],
        ] {
            let told = place.run(command).failed(1);
            assert!(told.contains("a restore into this database did not come to its end"), "{command:?}: {told}");
        }
    }
    assert!(!place.path().join("again.zip").exists());
    assert!(place.run(&["restore", "good.zip", "--database", "sqlite:new.db"]).succeeded().contains("restored"));
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_a_backup_or_an_export() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.run(&["migrate", "--create"]).succeeded();
    place.account("sqlite:carebot.db", "op@example.org", "system");
    place.run(&["backup", "all.zip"]).succeeded();
    let list = place.run(&["account", "list"]).succeeded();
    let line = list.lines().find(|line| line.contains("op@example.org")).expect("its line");
    let id = line.split_whitespace().next().expect("an id");
    place.run(&["export", "--account", id, "one.zip"]).succeeded();
    for name in ["all.zip", "one.zip"] {
        let mode = std::fs::metadata(place.path().join(name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn pictures_that_are_there_already_are_taken_over_only_if_somebody_says_so() {
    let place = Place::new();
    let server = place.serve(&["--database", "sqlite:carebot.db", "--create", "--set", "mode=development"]);
    let mut browser = Browser::new(&server.url);
    let (family, ..) = family(&place, &mut browser, "sqlite:carebot.db");
    let (_, uploaded) = browser.upload("upload", "a.png", PNG);
    let url = uploaded["result"]["file_path"].as_str().expect("a URL").to_owned();
    assert_eq!(browser.post("tools/background", &json!({"family_id": family, "image_url": url})).0, 201);
    place.run(&["backup", "all.zip", "--database", "sqlite:carebot.db"]).succeeded();
    server.stop();
    let refused = place.run(&["restore", "all.zip", "--database", "sqlite:new.db"]).failed(1);
    assert!(refused.contains("there are pictures") && refused.contains("--same-pictures"), "{refused}");
    let told = place.run(&["restore", "all.zip", "--database", "sqlite:new.db", "--same-pictures"]).succeeded();
    assert!(told.contains("1 pictures restored"), "{told}");
    let server = place.serve(&["--database", "sqlite:new.db", "--set", "mode=development"]);
    let restored = Browser::new(&server.url).with_cookie_of(&browser);
    let path = url.split_once("/access/").expect("a picture's URL").1;
    assert_eq!(restored.bytes(&format!("access/{path}")), (200, PNG.to_vec()));
    server.stop();
}

#[test]
fn everything_of_an_account_or_family_is_taken_along_without_secrets() {
    for engine in ["sqlite", "mariadb"] {
        let (place, database) = (Place::new(), database(engine));
        let server = place.serve(&["--database", &database, "--create", "--set", "mode=development"]);
        let mut browser = Browser::new(&server.url);
        let (family, id, _) = family(&place, &mut browser, &database);
        let (_, uploaded) = browser.upload("upload", "a.png", PNG);
        let url = uploaded["result"]["file_path"].as_str().expect("a URL").to_owned();
        assert_eq!(
            browser
                .post("messages/send", &json!({"from_id": id, "to_id": id, "content": "나에게", "image_url": url}))
                .0,
            201
        );
        report(&browser, &family, 21);
        // Somebody else stays out of it.
        let other = place.account(&database, "other@example.org", "main");
        let mut others = Browser::new(&server.url);
        others.sign_in("other@example.org", &other).expect("let in");

        let run = |whose: [&str; 2], file: &str| {
            let told = place.run(&["export", whose[0], whose[1], file, "--database", &database]).succeeded();
            assert!(told.contains("records"), "{told}");
            let file = std::fs::File::open(place.path().join(file)).expect("a file");
            let mut zip = zip::ZipArchive::new(file).expect("an archive");
            let mut entries = BTreeMap::new();
            for index in 0..zip.len() {
                let mut entry = zip.by_index(index).expect("an entry");
                let mut content = Vec::new();
                entry.read_to_end(&mut content).expect("its content");
                entries.insert(entry.name().expect("a name").into_owned(), content);
            }
            entries
        };
        let text = |entries: &BTreeMap<String, Vec<u8>>, name: &str| {
            String::from_utf8(entries.get(name).unwrap_or_else(|| panic!("{name}: {:?}", entries.keys())).clone())
                .expect("text")
        };
        let of_account = run(["--account", &id], "account.zip");
        assert!(text(&of_account, "data/accounts.jsonl").contains("elder@example.org"));
        assert!(text(&of_account, "data/messages.from_id.jsonl").contains("나에게"));
        assert!(text(&of_account, "data/home_status.jsonl").contains("21"));
        assert!(of_account.iter().any(|(name, bytes)| name.starts_with(&format!("pictures/{id}/a_")) && bytes == PNG));
        let of_family = run(["--family", &family], "family.zip");
        assert!(text(&of_family, "data/families.jsonl").contains("순자네"));
        assert!(!of_family.contains_key("data/accounts.jsonl"));
        for entries in [of_account, of_family] {
            let all: Vec<u8> = entries.into_values().flatten().collect();
            let all = String::from_utf8_lossy(&all);
            for secret in ["password_hash", "$argon2", "token_hash", "other@example.org"] {
                assert!(!all.contains(secret), "{engine}: {secret}");
            }
        }
        let unknown =
            place.run(&["export", "--family", "Fxxxxxxxxxxxxxxx", "x.zip", "--database", &database]).failed(1);
        assert!(unknown.contains("there is no family") && !place.path().join("x.zip").exists(), "{unknown}");
        server.stop();
    }
}
