//! `carebot replay`.

use serde_json::{Value, json};

use crate::support::{Browser, Place, Server, mariadb_schema};

const READINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/readings.csv");
const FIELDS: [&str; 4] = ["temperature", "humidity", "dust_level", "ethanol"];

/// An elder with a family: the browser that is signed in, the password and the family's id.
fn family(place: &Place, server: &Server, database: &str) -> (Browser, String, String) {
    let password = place.account(database, "elder@example.org", "main");
    let mut elder = Browser::new(&server.url);
    let id = elder.sign_in("elder@example.org", &password).expect("let in")["id"].clone();
    let (_, made) = elder.post("families", &json!({"main_user": id}));
    let family = made["result"]["id"].as_str().expect("an id").to_owned();
    (elder, password, family)
}

fn replay(place: &Place, server: &Server, file: &str, password: &str, flags: &[&str]) -> crate::support::Ran {
    let always = ["replay", file, "--url", &server.url, "--email", "elder@example.org", "--password-stdin"];
    place.run_with_input(&[always.as_slice(), flags].concat(), &format!("{password}\n"))
}

/// The measured values of the file, of a kind, in its order.
fn of_file(kind: &str) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(READINGS).expect("the example is there");
    let rows = text.lines().filter(|line| line.split(',').nth(1) == Some(kind));
    rows.map(|line| line.split(',').skip(2).filter_map(|cell| cell.parse().ok()).collect()).collect()
}

fn of_range(elder: &Browser, family: &str, kind: &str, fields: &[&str]) -> Vec<Vec<f64>> {
    let (status, body) = elder.get(&format!("status/{kind}/{family}?start=2020-01-01"));
    assert_eq!(status, 200);
    let rows = body["result"].as_array().expect("an array");
    let value = |row: &Value, field: &str| row[field].as_f64().unwrap_or_else(|| panic!("{field} of {row}"));
    rows.iter().map(|row| fields.iter().map(|field| value(row, field)).collect()).collect()
}

#[test]
fn latest_and_range_give_back_what_was_sent_on_both_engines() {
    for database in ["sqlite:carebot.db".to_owned(), mariadb_schema()] {
        let place = Place::new();
        let server = place.serve(&["--database", &database, "--create"]);
        let (elder, password, family) = family(&place, &server, &database);
        let (home, health) = (of_file("home"), of_file("health"));
        assert!(home.len() > 300 && health.len() > 40);

        let told = replay(&place, &server, READINGS, &password, &[]).succeeded();
        let stored =
            format!("stored {} (home {}, health {}), refused 0", home.len() + health.len(), home.len(), health.len());
        assert!(told.contains(&stored), "{told}");
        assert_eq!(told.matches("as it was sent").count(), 2, "{told}");

        assert_eq!(of_range(&elder, &family, "home", &FIELDS), home);
        assert_eq!(of_range(&elder, &family, "health", &["heart_rate"]), health);
        let (_, latest) = elder.get(&format!("status/home/latest/{family}"));
        assert_eq!(
            FIELDS.map(|field| latest["result"][field].as_f64().expect("a number")).as_slice(),
            home.last().expect("a row")
        );

        // Several at a time store as many.
        let told = replay(&place, &server, READINGS, &password, &["--parallel", "8", "--family", &family]).succeeded();
        assert!(told.contains(&stored), "{told}");
        assert_eq!(of_range(&elder, &family, "home", &FIELDS).len(), 2 * home.len());
        server.stop();
    }
}

#[test]
fn a_part_of_the_file_is_sent_and_refusals_are_told_by_line() {
    let place = Place::new();
    let database = "sqlite:carebot.db";
    let server = place.serve(&["--database", database, "--create"]);
    let (elder, password, family) = family(&place, &server, database);
    let told = replay(&place, &server, READINGS, &password, &["--from", "10", "--limit", "5", "--speed", "1000000"])
        .succeeded();
    assert!(told.contains("sending 5 readings"), "{told}");
    assert_eq!(of_range(&elder, &family, "home", &FIELDS)[0], of_file("home")[7]);

    // The server refuses a heart rate that does not fit; what is around it is stored.
    let head = "reported_at,kind,heart_rate_bpm\n";
    let rows = "2026-03-02 21:00:00,health,70\n2026-03-02 21:00:01,health,1e300\n2026-03-02 21:00:02,health,71\n";
    place.write("odd.csv", &format!("{head}{rows}"));
    let told = replay(&place, &server, "odd.csv", &password, &[]);
    assert!(told.out.contains("stored 2 (health 2), refused 1") && told.out.contains("line 3: "), "{}", told.out);
    told.failed(1);
    server.stop();
}

#[test]
fn one_that_is_interrupted_says_where_to_go_on() {
    let place = Place::new();
    let database = "sqlite:carebot.db";
    let server = place.serve(&["--database", database, "--create"]);
    let (elder, password, family) = family(&place, &server, database);
    let flags =
        ["replay", READINGS, "--url", &server.url, "--email", "elder@example.org", "--password-stdin", "--speed", "1"];
    let mut replay = place.start_with_input(&flags, &format!("{password}\n"));
    replay.wait_for_output("sending ");
    // The next reading of the file is five minutes away.
    while elder.get(&format!("status/home/latest/{family}")).0 == 404 {}
    replay.signal("INT");
    let ended = replay.ended();
    assert!(ended.out.contains("stored 1 (home 1), refused 0"), "{}", ended.out);
    assert!(ended.failed(1).contains("--from 4 goes on."));
    server.stop();
}

#[test]
fn what_can_not_work_ends_at_once_and_says_why() {
    let place = Place::new();
    let database = "sqlite:carebot.db";
    let server = place.serve(&["--database", database, "--create"]);
    let (elder, password, _) = family(&place, &server, database);
    drop(elder);
    place.write("wrong.csv", "reported_at,kind\nyesterday,home\n");
    let cases = [
        (replay(&place, &server, READINGS, "wrong password", &[]), 1, "reset-password"),
        (
            replay(&place, &server, READINGS, &password, &["--family", "F234567890123456"]),
            1,
            "check --email and --family",
        ),
        (replay(&place, &server, "missing.csv", &password, &[]), 1, "examples/readings.csv"),
        (replay(&place, &server, "wrong.csv", &password, &[]), 1, "line 2: `yesterday` is not a time"),
        (replay(&place, &server, READINGS, &password, &["--speed", "0"]), 2, "greater than 0"),
        (replay(&place, &server, READINGS, "", &[]), 2, "standard input has no password"),
    ];
    for (ran, code, part) in cases {
        let error = ran.failed(code);
        assert!(error.contains(part) && !error.contains(&password), "{part}: {error}");
    }
    let url = server.url.clone();
    server.stop();
    let gone = place
        .run_with_input(&["replay", READINGS, "--url", &url, "--email", "e@example.org", "--password-stdin"], "x\n");
    assert!(gone.failed(1).contains("Does a server run there?"));
}
