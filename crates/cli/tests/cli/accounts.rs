//! `carebot account` and `carebot family`.

use serde_json::json;

use crate::support::{Browser, Place, mariadb_schema};

#[test]
fn an_account_that_was_made_here_can_sign_in_there() {
    for database in ["sqlite:carebot.db".to_owned(), mariadb_schema()] {
        let place = Place::new();
        let server = place.serve(&["--database", &database, "--create"]);
        let mut browser = Browser::new(&server.url);
        let account = |arguments: &[&str], input: &str| {
            place.run_with_input(&[&["account"], arguments, &["--database", &database]].concat(), input)
        };

        let made = account(
            &["create", "--email", "op@example.org", "--role", "system", "--name", "운영자", "--password-stdin"],
            "correct horse\n",
        );
        let made = made.succeeded();
        assert!(made.starts_with("id U") && !made.contains("correct horse"), "{made}");
        let user = browser.sign_in("op@example.org", "correct horse").expect("the operator is let in");
        assert_eq!((user["role"].as_str(), user["user_name"].as_str()), (Some("system"), Some("운영자")));
        assert_eq!(browser.get("accounts").0, 200, "an operator may list accounts");

        let generated = place.account(&database, "elder@example.org", "main");
        let mut elder = Browser::new(&server.url);
        let id = elder.sign_in("elder@example.org", &generated).expect("the elder is let in")["id"].clone();

        let list = account(&["list"], "").succeeded();
        let lines: Vec<&str> = list.lines().collect();
        assert_eq!(lines.len(), 3, "{list}");
        assert!(list.contains("elder@example.org") && list.contains("운영자") && !list.contains("correct"), "{list}");

        let reset =
            account(&["reset-password", "--id", id.as_str().expect("an id"), "--password-stdin"], "another horse\r\n");
        reset.succeeded();
        assert_eq!(elder.sign_in("elder@example.org", &generated), Err(401));
        elder.sign_in("elder@example.org", "another horse").expect("the new password is right");

        account(&["set-role", "--email", "Elder@Example.org", "--role", "sub"], "").succeeded();
        let user = elder.sign_in("elder@example.org", "another horse").expect("still let in");
        assert_eq!(user["role"], "sub");
        server.stop();
    }
}

#[test]
fn refusals_say_what_to_do_and_never_the_password() {
    let place = Place::new();
    place.run(&["migrate", "--create"]).succeeded();
    let create = |email: &str, role: &str, password: &str| {
        place.run_with_input(&["account", "create", "--email", email, "--role", role, "--password-stdin"], password)
    };
    create("a@example.org", "sub", "correct horse\n").succeeded();
    let cases = [
        (create("A@example.org", "sub", "correct horse\n"), 1, "already in use"),
        (create("b@example.org", "sub", "geheim\n"), 1, "at least 8 characters"),
        (create("b@example.org", "sub", "Password1\n"), 1, "commonest"),
        (create("b@example.org", "sub", "\n"), 2, "standard input has no password"),
        (create("", "sub", "correct horse\n"), 1, "name@example.org"),
        (create("b@example.org", "elder", "correct horse\n"), 2, "possible values: main, sub, system, test"),
        (
            place.run(&["account", "create", "--email", "b@example.org", "--role", "sub"]),
            2,
            "--password-stdin|--generate-password",
        ),
        (
            place.run(&["account", "reset-password", "--email", "no@example.org", "--generate"]),
            1,
            "carebot account list",
        ),
        (place.run(&["account", "set-role", "--id", "U234567890123456", "--role", "sub"]), 1, "carebot account list"),
        (place.run(&["family", "show", "F234567890123456"]), 1, "carebot family list"),
    ];
    for (ran, code, part) in cases {
        assert!(!ran.out.contains("horse"), "{}", ran.out);
        let error = ran.failed(code);
        assert!(error.contains(part) && !error.contains("geheim") && !error.contains("horse"), "{part}: {error}");
    }
}

#[test]
fn a_role_does_not_change_while_it_is_bound_to_a_family() {
    let place = Place::new();
    let database = "sqlite:carebot.db";
    let server = place.serve(&["--database", database, "--create"]);
    let password = place.account(database, "elder@example.org", "main");
    let mut elder = Browser::new(&server.url);
    let id = elder.sign_in("elder@example.org", &password).expect("let in")["id"].clone();
    let (status, made) = elder.post("families", &json!({"main_user": id, "family_name": "말순 할머니 댁"}));
    assert_eq!(status, 201);
    let family = made["result"]["id"].as_str().expect("an id");
    let report = json!({"family_id": family, "temperature": 21.5, "humidity": 40, "dust_level": 12, "ethanol": 0.1});
    assert_eq!(elder.post("status/home", &report).0, 201);

    let password = place.account(database, "guardian@example.org", "sub");
    let mut guardian = Browser::new(&server.url);
    let guardian_id = guardian.sign_in("guardian@example.org", &password).expect("let in")["id"].clone();
    let join = json!({"family_id": family, "user_id": guardian_id, "nickname": "딸"});
    assert_eq!(guardian.post("members", &join).0, 201);

    let error = place.run(&["account", "set-role", "--email", "elder@example.org", "--role", "sub"]).failed(1);
    assert!(error.contains("owns or belongs to a family"), "{error}");

    let list = place.run(&["family", "list"]).succeeded();
    let line = list.lines().nth(1).expect("a family");
    assert!(
        line.starts_with(family) && line.contains("말순 할머니 댁") && line.contains("elder@example.org"),
        "{list}"
    );
    let shown = place.run(&["family", "show", family]).succeeded();
    assert!(shown.contains("members: 0") && shown.contains("open requests to join: 1"), "{shown}");
    let home = shown.lines().find(|line| line.starts_with("home ")).expect("the reports of the air");
    assert!(home.contains("  1  ") || home.contains(" 1 "), "{shown}");
    assert!(shown.contains("guardian@example.org"), "{shown}");
    server.stop();
}
