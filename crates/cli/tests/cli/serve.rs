//! `carebot serve`: starting, answering, stopping.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::support::{Browser, Place, Server, mariadb_schema};

const SQLITE: [&str; 3] = ["--database", "sqlite:carebot.db", "--create"];

/// Begins a request whose body is still to come, and waits until the server asks for it.
fn begin_request(server: &Server, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.authority()).expect("the server accepts");
    let head = format!(
        "POST /accounts/check-email HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         expect: 100-continue\r\n\r\n",
        server.authority(),
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("the head is taken");
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).expect("the server asks for the body");
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[test]
fn it_answers_on_both_engines_and_ends_in_good_order() {
    for database in ["sqlite:carebot.db".to_owned(), mariadb_schema()] {
        let place = Place::new();
        let server = place.serve(&["--database", &database, "--create", "--set", "alarms.key_file=timelines.key"]);
        let browser = Browser::new(&server.url);
        assert_eq!(browser.get("healthz").0, 200);
        assert_eq!(browser.get("readyz").0, 200);
        server.program.signal("TERM");
        let ended = server.program.ended();
        assert!(ended.err.contains("every request is answered") && !ended.err.contains("WARN"), "{}", ended.err);
        assert!(
            !ended.err.contains("carebot:carebot@")
                && !ended.err.contains(carebot_testkit::mariadb::shared().password())
        );
        ended.succeeded();
        // What it leaves is found again.
        place.serve(&["--database", &database, "--no-migrate"]).stop();
    }
}

#[test]
fn a_request_that_is_under_way_is_answered_before_the_end() {
    let place = Place::new();
    let mut server = place.serve(&SQLITE);
    let body = r#"{"email":"nobody@example.org"}"#;
    let mut stream = begin_request(&server, body);
    server.program.signal("TERM");
    server.program.wait_for_log("carebot is stopping");
    stream.write_all(body.as_bytes()).expect("the body is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers and closes");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(r#"{"message":"Email is available"}"#),
        "{answer}"
    );
    server.program.ended().succeeded();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let place = Place::new();
    let mut server = place.serve(&SQLITE);
    let stream = begin_request(&server, "0123456789");
    server.program.signal("INT");
    server.program.wait_for_log("carebot is stopping");
    server.program.signal("INT");
    assert_eq!(server.program.ended().code, Some(130));
    drop(stream);
}

#[test]
fn an_address_that_is_taken_is_an_error_and_one_of_metrics_a_warning() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    let place = Place::new();
    let refused =
        place.run(&["serve", "--listen", &address, "--metrics", "off", "--database", "sqlite:a.db", "--create"]);
    let error = refused.failed(1);
    assert!(error.contains(&format!("can not listen on {address} (flag)")) && error.contains("--listen"), "{error}");
    assert!(!place.path().join("a.db").exists(), "nothing is made by a server that does not start");

    let flags = ["serve", "--listen", "127.0.0.1:0", "--metrics", &address, "--database", "sqlite:a.db", "--create"];
    let server = Server::ready(place.start(&flags));
    assert_eq!(Browser::new(&server.url).get("healthz").0, 200);
    server.program.signal("TERM");
    let ended = server.program.ended();
    assert!(ended.err.contains("no metrics: the address can not be used; set metrics.listen"), "{}", ended.err);
}

#[test]
fn metrics_are_served_on_an_address_of_their_own() {
    let place = Place::new();
    let flags =
        ["serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--database", "sqlite:a.db", "--create"];
    let mut server = Server::ready(place.start(&flags));
    let log = server.program.wait_for_log("metrics are served");
    let log: serde_json::Value = serde_json::from_str(&log).expect("a line of JSON");
    let metrics = format!("http://{}", log["address"].as_str().expect("an address"));
    assert_eq!(Browser::new(&server.url).get("metrics").0, 404);
    assert_eq!(Browser::new(&metrics).get("metrics").0, 200);
    server.stop();
}

#[test]
fn a_mariadb_that_comes_up_later_is_waited_for() {
    let mariadb = carebot_testkit::mariadb::Server::start(carebot_testkit::mariadb::Options::default());
    let mariadb = mariadb.expect("MariaDB starts");
    mariadb.execute("CREATE DATABASE late").expect("a schema can be made");
    mariadb.stop().expect("it stops");

    let place = Place::new().with_variable("CAREBOT_DATABASE__URL", mariadb.url("late"));
    let mut early = place.start(&["serve", "--listen", "127.0.0.1:0", "--metrics", "off"]);
    early.wait_for_log("the database does not answer");
    let mut impatient = place.start(&["serve", "--listen", "127.0.0.1:0", "--metrics", "off"]);
    impatient.wait_for_log("the database does not answer");
    impatient.signal("TERM");
    impatient.ended().succeeded();

    mariadb.restart().expect("it starts again");
    let server = Server::ready(early);
    assert_eq!(Browser::new(&server.url).get("readyz").0, 200);
    server.stop();
}

#[test]
fn a_mariadb_that_refuses_is_not_waited_for() {
    let url = mariadb_schema();
    let password = carebot_testkit::mariadb::shared().password();
    let place = Place::new();
    let serve = |url: &str| place.run(&["serve", "--listen", "127.0.0.1:0", "--metrics", "off", "--database", url]);
    let error = serve(&url.replace(password, "geheim")).failed(1);
    assert!(error.contains("MariaDB refuses the user or password") && !error.contains("geheim"), "{error}");
    let error = serve(&format!("{url}_missing")).failed(1);
    assert!(error.contains("CREATE DATABASE") && !error.contains(password), "{error}");
}

#[test]
fn a_missing_database_is_an_error_that_says_what_to_do() {
    let place = Place::new();
    let error = place
        .run(&["serve", "--listen", "127.0.0.1:0", "--metrics", "off", "--database", "sqlite:data/carebot.db"])
        .failed(1);
    for part in ["there is no database at data/carebot.db", "carebot migrate --create", "working directory"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!place.path().join("data").exists());
    let error = place.run(&["serve", "--listen", "127.0.0.1:0", "--database", "postgres://x"]).failed(2);
    assert!(error.contains("database.url (flag)") && error.contains("sqlite:PATH"), "{error}");
}
