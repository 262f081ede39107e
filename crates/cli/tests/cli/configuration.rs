//! `carebot config`, `carebot openapi` and the command line itself.

use serde_json::Value;

use crate::support::Place;

#[test]
fn every_command_has_help_with_an_example() {
    let place = Place::new();
    let commands: [&[&str]; 31] = [
        &["demo"],
        &["serve"],
        &["migrate"],
        &["account"],
        &["account", "create"],
        &["account", "list"],
        &["account", "reset-password"],
        &["account", "set-role"],
        &["family"],
        &["family", "list"],
        &["family", "show"],
        &["alarms"],
        &["alarms", "verify"],
        &["alarms", "list"],
        &["alarms", "drill"],
        &["replay"],
        &["simulate"],
        &["doctor"],
        &["config"],
        &["config", "check"],
        &["config", "print"],
        &["config", "reference"],
        &["import"],
        &["backup"],
        &["restore"],
        &["retention"],
        &["retention", "status"],
        &["retention", "confirm"],
        &["export"],
        &["openapi"],
        &[],
    ];
    for command in commands {
        let help = place.run(&[command, &["--help"]].concat()).succeeded();
        let example = format!("carebot {}", command.join(" "));
        assert!(help.contains(example.trim_end()), "{command:?}: {help}");
        assert!(command.is_empty() || help.contains("Example"), "{command:?}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 130), "{command:?}: {help}");
    }
    // No command that was forgotten above.
    let help = place.run(&["--help"]).succeeded();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let listed: Vec<&str> =
        listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    for name in listed {
        assert!(commands.iter().any(|command| command.first() == Some(&name)), "{name}");
    }
}

#[test]
fn a_wrong_command_line_or_configuration_is_two() {
    let place = Place::new();
    for wrong in [["serv"].as_slice(), &[], &["serve", "--set", "nothing"], &["serve", "--tls-key", "x"]] {
        assert_eq!(place.run(wrong).code, Some(2), "{wrong:?}");
    }
    place.write("wrong.toml", "[server]\nlissten = \"127.0.0.1:1\"\n");
    let error = place.run(&["serve", "--config", "wrong.toml"]).failed(2);
    assert!(
        error.contains("unknown setting `server.lissten` (file wrong.toml, line 2): did you mean `server.listen`?"),
        "{error}"
    );
    assert!(error.contains("carebot config reference"), "{error}");
    let error = place.run(&["config", "check", "--config", "missing.toml"]).failed(2);
    assert!(error.contains("missing.toml: can not be read"), "{error}");

    let place = Place::new().with_variable("CAREBOT_SERVER__LISTEM", "127.0.0.1:1");
    let error = place.run(&["serve"]).failed(2);
    assert!(error.contains("did you mean `CAREBOT_SERVER__LISTEN`?"), "{error}");
}

#[test]
fn layers_are_laid_over_each_other_and_secrets_are_masked() {
    let place = Place::new()
        .with_variable("CAREBOT_DATABASE__URL", "mariadb://care:geheim@db1/carebot")
        .with_variable("CAREBOT_LOG__FILTER", "debug");
    place.write("carebot.toml", "[log]\nfilter = \"warn\"\n[accounts]\npassword_min_length = 12\n");
    let printed = place.run(&["config", "print", "--set", "sessions.cache_ms=0"]).succeeded();
    let line =
        |key: &str| printed.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {printed}"));
    assert!(
        line("url").contains("mariadb://care:***@db1:3306/carebot")
            && line("url").ends_with("environment CAREBOT_DATABASE__URL")
    );
    assert!(line("filter").contains("\"debug\""));
    assert!(
        line("password_min_length").contains("= 12") && line("password_min_length").contains("carebot.toml, line 4")
    );
    assert!(line("cache_ms").contains("= 0") && line("cache_ms").ends_with("flag"));
    assert!(!printed.contains("geheim"));
    assert_eq!(place.run(&["config", "check"]).succeeded(), "The configuration is right (release mode).\n");
}

#[test]
fn reference_and_document_are_printed() {
    let place = Place::new();
    let reference = place.run(&["config", "reference"]).succeeded();
    assert!(reference.contains("\n# Configuration\n") && reference.contains("`CAREBOT_SERVER__LISTEN`"), "{reference}");
    let document: Value = serde_json::from_str(&place.run(&["openapi"]).succeeded()).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/status/home"]["post"].is_object());
}
