//! `carebot doctor`.

use crate::support::{Place, mariadb_schema};

#[test]
fn a_healthy_installation_is_found_so_on_both_engines() {
    for database in ["sqlite:carebot.db".to_owned(), mariadb_schema()] {
        let place = Place::new();
        let server = place.serve(&["--database", &database, "--create", "--set", "alarms.key_file=timelines.key"]);
        let told = place.run(&[
            "doctor",
            "--database",
            &database,
            "--url",
            &server.url,
            "--set",
            "sessions.cookie_secure=false",
            "--set",
            "server.public_url=https://care.example.org",
            "--set",
            "alarms.key_file=timelines.key",
            "--set",
            "alarms.dead_man_url=https://monitor.example.org/s3cr3t",
        ]);
        let told = told.succeeded();
        for part in [
            "answers",
            "schema: up to date",
            "assistant: off",
            "mail: off",
            "timeline key: timelines.key",
            "web push: the key is there",
            "signs of life: to monitor.example.org",
            "is ready for requests",
            "warnings 0, failed 0",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("s3cr3t"), "{told}");
        assert!(!told.contains("warn ") && !told.contains("FAIL"), "{told}");
        server.stop();
    }
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let place = Place::new();
    let told = place.run(&["doctor"]);
    assert!(told.out.contains("there is no database sqlite:carebot.db yet"), "{}", told.out);
    told.succeeded();
    assert_eq!(place.path().read_dir().expect("the folder").count(), 0, "nothing was made");

    let cases: [(&[&str], &str); 4] = [
        (&["--database", "sqlite:nowhere/a.db"], "nowhere"),
        (&["--database", "mariadb://care:geheim@127.0.0.1:1/carebot"], "mariadb://care:***@127.0.0.1:1/carebot"),
        (&["--set", "server.lissten=1"], "did you mean `server.listen`?"),
        (&["--url", "http://127.0.0.1:1"], "Does a server run there?"),
    ];
    for (flags, part) in cases {
        let told = place.run(&[&["doctor"], flags].concat());
        assert!(
            told.out.contains("FAIL") && told.out.contains(part) && !told.out.contains("geheim"),
            "{part}: {}",
            told.out
        );
        told.failed(1);
    }

    place.write("broken.db", &"no database ".repeat(1_000));
    let told = place.run(&["doctor", "--database", "sqlite:broken.db"]);
    assert!(told.out.contains("FAIL  database sqlite:broken.db"), "{}", told.out);
    told.failed(1);
}
