//! `carebot demo`.

use std::process::Command;

use serde_json::Value;

use crate::support::{Place, Program, Ran};

/// Runs a line as somebody would who copied it.
fn copy_and_paste(line: &str) -> Value {
    let output = Command::new("sh").arg("-c").arg(line).output().expect("a shell runs");
    assert!(output.status.success(), "{line}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {output:?}"))
}

/// Starts a demonstration and waits until it has told everything.
fn start(place: &Place, flags: &[&str]) -> Program {
    let mut demo = place.start(&[&["demo", "--listen", "127.0.0.1:0", "--live-every", "1"], flags].concat());
    demo.wait_for_output("Ctrl-C ends it.");
    demo
}

fn end(demo: Program) -> Ran {
    demo.signal("INT");
    demo.ended()
}

#[test]
fn the_lines_it_prints_work_and_it_touches_nothing_else() {
    // A real database that the environment happens to name is not touched; this one does not even exist.
    let place = Place::new()
        .with_variable("DB_HOST", "127.0.0.1")
        .with_variable("CAREBOT_DATABASE__URL", "mariadb://care:geheim@127.0.0.1:1/real")
        .with_variable("IS_DEPLOY", "1");
    place.write("carebot.toml", "[database]\nurl = \"sqlite:real.db\"\ncreate = true\n");
    let demo = start(&place, &[]);
    let lines: Vec<String> = demo.output().iter().filter(|line| line.starts_with("curl ")).cloned().collect();
    assert_eq!(lines.len(), 3);

    let signed_in = copy_and_paste(&lines[0]);
    assert_eq!(signed_in["message"], "Login successful");
    assert_eq!(signed_in["result"]["user_data"]["role"], "sub");
    let latest = &copy_and_paste(&lines[1])["result"];
    for field in ["temperature", "humidity", "dust_level", "ethanol"] {
        assert!(latest[field].is_number(), "{latest}");
    }
    let range = copy_and_paste(&lines[2]);
    assert_eq!(range["message"], "Home status retrieved successfully");
    assert!(range["result"].as_array().is_some_and(|rows| !rows.is_empty()), "{range}");

    let ended = end(demo);
    let family = lines[1].rsplit('/').next().expect("a family").to_owned();
    ended.succeeded();

    let names = |path| {
        let entries = std::fs::read_dir(path).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into()).collect();
        names.sort();
        names
    };
    assert_eq!(names(place.path()), ["carebot-demo", "carebot.toml"]);
    let kept = names(&place.path().join("carebot-demo"));
    assert!(kept.iter().all(|name| name.starts_with("demo-1.db") || name == "cookies.txt"), "{kept:?}");

    // The whole day is there: as the operator sees it.
    let plain = Place::new();
    let database = format!("sqlite:{}", place.path().join("carebot-demo/demo-1.db").display());
    let shown = plain.run(&["family", "show", &family, "--database", &database]).succeeded();
    let count = |kind: &str| -> usize {
        let line = shown.lines().find(|line| line.split_whitespace().next() == Some(kind)).expect("the kind");
        line.split_whitespace().nth(1).expect("a count").parse().expect("a number")
    };
    assert!(count("home") >= 289 && count("health") >= 60 && count("active") >= 14, "{shown}");
    assert!(shown.contains("members: 2") && shown.contains("우리 딸"), "{shown}");
}

#[test]
fn leftovers_are_neither_in_the_way_nor_harmed() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("demo")).expect("a folder can be made");
    place.write("demo/demo-1.db", "not a database");
    place.write("demo/letter.txt", "somebody's letter");
    let demo = start(&place, &["--folder", "demo", "--for", "1"]);
    assert!(demo.output().iter().any(|line| line.ends_with("/demo/demo-2.db")), "{:?}", demo.output());
    // It ends by itself.
    demo.ended().succeeded();
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).expect("it is still there");
    assert_eq!(
        (read("demo/demo-1.db").as_str(), read("demo/letter.txt").as_str()),
        ("not a database", "somebody's letter")
    );
}

#[test]
fn it_takes_no_database_and_needs_a_folder_it_can_write() {
    let place = Place::new();
    place.write("file", "");
    place.write("some.toml", "");
    for wrong in [["--config", "some.toml"], ["--set", "database.url=sqlite:real.db"]] {
        assert!(place.run(&[&["demo"], wrong.as_slice()].concat()).failed(2).contains("neither"), "{wrong:?}");
    }
    assert!(place.run(&["demo", "--listen", "127.0.0.1:0", "--folder", "file"]).failed(1).contains("--folder"));
    // Nor does one that can not begin leave anything behind.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    assert!(place.run(&["demo", "--listen", &address]).failed(1).contains("--listen"));
    assert_eq!(place.path().join("carebot-demo").read_dir().expect("the folder").count(), 0);
}
