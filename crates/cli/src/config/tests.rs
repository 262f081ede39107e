//! Layers, names, checks and masks of the configuration.

use std::ffi::OsString;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use super::cors::Origin;
use super::server::PublicUrl;
use super::*;

const NO_VARIABLES: [(&str, &str); 0] = [];

/// Loads from the text of a file, variables and flags.
fn load(text: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::loader().environment(variables.iter().copied()).flags(flags.iter().copied()).load_text("carebot.toml", text)
}

/// The problems, one a string.
fn problems(text: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Vec<String> {
    let error = load(text, variables, flags).expect_err("the configuration is wrong");
    error.problems.iter().map(ToString::to_string).collect()
}

/// The only problem.
fn problem(text: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    let problems = problems(text, variables, flags);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.into_iter().next().expect("it has one")
}

#[test]
fn nothing_has_to_be_configured() {
    let config = Config::loader().without_file().load().expect("defaults are right");
    assert_eq!(config.mode(), Mode::Release);
    assert_eq!(config.server, Server::default());
    assert_eq!(config.database.url.to_string(), "sqlite:carebot.db");
    assert_eq!(config.accounts.password_min_length, 8);
    assert_eq!(
        (config.sessions.idle_seconds, config.sessions.main_idle_seconds, config.sessions.remembered_idle_seconds),
        (1_800, 259_200, 2_592_000)
    );
    assert!(config.check().is_empty());
}

#[test]
fn every_default_satisfies_its_own_range() {
    for setting in all_settings() {
        let Some(default) = setting.default.clone() else { continue };
        let text = match setting.section {
            "" => format!("{} = {default}", setting.name),
            section => format!("[{section}]\n{} = {default}", setting.name),
        };
        load(&text, &[], &[]).unwrap_or_else(|error| panic!("{}: {error}", setting.key()));
    }
}

#[test]
fn a_later_layer_wins() {
    let file = "[sessions]\nidle_seconds = 1\n";
    let original = ("SESSION_EXPIRE_TIME", "2");
    let environment = ("CAREBOT_SESSIONS__IDLE_SECONDS", "3");
    let flag = ("sessions.idle_seconds", "4");
    let idle = |text: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]| {
        let config = load(text, variables, flags).expect("a right configuration");
        (config.sessions.idle_seconds, config.source("sessions.idle_seconds").to_string())
    };
    assert_eq!(idle("", &[], &[]), (1_800, "default".into()));
    assert_eq!(idle(file, &[], &[]), (1, "file carebot.toml, line 2".into()));
    assert_eq!(idle(file, &[original], &[]), (2, "environment SESSION_EXPIRE_TIME".into()));
    assert_eq!(idle(file, &[environment, original], &[]), (3, "environment CAREBOT_SESSIONS__IDLE_SECONDS".into()));
    assert_eq!(idle(file, &[environment, original], &[flag]), (4, "flag".into()));
    assert_eq!(idle(file, &[], &[flag, ("sessions.idle_seconds", "5")]).0, 5);
}

#[test]
fn a_bad_value_that_a_later_layer_replaces_does_no_harm() {
    let config = load("", &[("CAREBOT_SESSIONS__IDLE_SECONDS", "soon")], &[("sessions.idle_seconds", "9")]);
    assert_eq!(config.expect("the flag wins").sessions.idle_seconds, 9);
}

#[test]
fn values_of_every_kind_are_read_from_file_and_environment() {
    let file = r#"
        mode = "development"
        [server]
        listen = "[::]:80"
        public_url = "https://Care.example.org/"
        trusted_proxies = ["10.1.2.3/8", "::1"]
        body_limit_bytes = 0x10_000
        docs = false
        [tls]
        certificate = "/etc/c.pem"
        key = "/etc/k.pem"
        [metrics]
        listen = "off"
        [sessions]
        cookie_domain = "host-only"
        cookie_same_site = "strict"
        [families]
        join = "open"
        [cors]
        origins = ["https://Family.example.org:443"]
        [log]
        format = "json"
        filter = "warn,carebot_database=debug"
    "#;
    let variables = [
        ("CAREBOT_MODE", "development"),
        ("CAREBOT_SERVER__LISTEN", "[::]:80"),
        ("CAREBOT_SERVER__PUBLIC_URL", "https://care.example.org"),
        ("CAREBOT_SERVER__TRUSTED_PROXIES", "10.1.2.3/8, ::1,"),
        ("CAREBOT_SERVER__BODY_LIMIT_BYTES", "65536"),
        ("CAREBOT_SERVER__DOCS", "off"),
        ("CAREBOT_TLS__CERTIFICATE", "/etc/c.pem"),
        ("CAREBOT_TLS__KEY", "/etc/k.pem"),
        ("CAREBOT_METRICS__LISTEN", "OFF"),
        ("CAREBOT_SESSIONS__COOKIE_DOMAIN", "host-only"),
        ("CAREBOT_SESSIONS__COOKIE_SAME_SITE", "Strict"),
        ("CAREBOT_FAMILIES__JOIN", "open"),
        ("CAREBOT_CORS__ORIGINS", "https://family.example.org/"),
        ("CAREBOT_LOG__FORMAT", "json"),
        ("CAREBOT_LOG__FILTER", "warn,carebot_database=debug"),
    ];
    let from_file = load(file, &[], &[]).expect("a right file");
    let from_environment = load("", &variables, &[]).expect("a right environment");
    for config in [&from_file, &from_environment] {
        assert_eq!(config.mode(), Mode::Development);
        assert_eq!(config.server.listen.port(), 80);
        assert_eq!(config.server.public_url.as_ref().map(PublicUrl::as_str), Some("https://care.example.org"));
        assert_eq!(config.server.trusted_proxies.len(), 2);
        assert_eq!(config.server.body_limit_bytes, 65_536);
        assert!(!config.docs());
        assert_eq!(config.tls.files(), Some((Path::new("/etc/c.pem"), Path::new("/etc/k.pem"))));
        assert_eq!(config.metrics.listen.address(), None);
        assert_eq!((config.cookie_domain(), config.cookie_same_site()), (None, SameSite::Strict));
        assert_eq!(config.families.join, Join::Open);
        assert_eq!(config.cors.origins.iter().map(Origin::as_str).collect::<Vec<_>>(), ["https://family.example.org"]);
        assert_eq!(config.log_format(), LogFormat::Json);
        assert_eq!(config.log.filter.as_str(), "warn,carebot_database=debug");
    }
    assert_eq!(from_file.server, from_environment.server);
}

#[test]
fn the_mode_decides_what_is_not_set() {
    let release = load("", &[], &[]).expect("defaults");
    assert_eq!(
        (release.cookie_domain(), release.cookie_secure(), release.cookie_same_site()),
        (None, true, SameSite::None)
    );
    assert_eq!((release.docs(), release.log_format()), (false, LogFormat::Json));
    assert!(release.allowed_origins().is_empty());

    let development = load("mode = \"development\"\n[cors]\norigins = [\"capacitor://localhost\"]", &[], &[]);
    let development = development.expect("a right file");
    assert_eq!(
        (development.cookie_domain(), development.cookie_secure(), development.cookie_same_site()),
        (Some("localhost"), false, SameSite::Lax)
    );
    assert_eq!((development.docs(), development.log_format()), (true, LogFormat::Pretty));
    assert_eq!(
        development.allowed_origins(),
        [
            "http://localhost:3000",
            "http://localhost:8080",
            "http://127.0.0.1:3000",
            "http://127.0.0.1:8080",
            "capacitor://localhost"
        ]
    );

    let plain_http = load("[sessions]\ncookie_secure = false", &[], &[]).expect("SameSite follows");
    assert_eq!(plain_http.cookie_same_site(), SameSite::Lax);
    let unset = load("[server]\ndocs = true", &[("CAREBOT_SERVER__DOCS", "")], &[]).expect("empty unsets");
    assert!(!unset.docs());
}

#[test]
fn the_originals_database_variables_make_a_url() {
    let all = [
        ("DB_HOST", "db.example.org"),
        ("DB_PORT", "3307"),
        ("DB_USER", "care bot"),
        ("DB_PASSWORD", "p@ss:/?#%한"),
        ("DB_SCHEMA", "carebot"),
        ("DB_CHARSET", "UTF8MB4"),
    ];
    let config = load("", &all, &[]).expect("a right environment");
    let carebot_database::DbUrl::MariaDb(target) = &config.database.url else { panic!("{:?}", config.database.url) };
    assert_eq!(target.hosts, [("db.example.org".to_owned(), 3307)]);
    assert_eq!((target.user.as_str(), target.password.as_str()), ("care bot", "p@ss:/?#%한"));
    assert_eq!(target.schema, "carebot");
    assert_eq!(
        config.source("database.url").to_string(),
        "environment DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_SCHEMA"
    );

    let several = load("", &[("DB_HOST", "db1, ::1"), ("DB_USER", "u"), ("DB_SCHEMA", "s"), ("DB_PORT", "")], &[]);
    let several = several.expect("a right environment");
    let carebot_database::DbUrl::MariaDb(target) = &several.database.url else { panic!("{:?}", several.database.url) };
    assert_eq!(target.hosts, [("db1".to_owned(), 3306), ("::1".to_owned(), 3306)]);
    assert_eq!(target.password, "");

    let higher = [all.as_slice(), &[("CAREBOT_DATABASE__URL", "sqlite:a.db")]].concat();
    assert_eq!(load("", &higher, &[]).expect("right").database.url.to_string(), "sqlite:a.db");
}

#[test]
fn what_is_wrong_with_the_originals_variables_is_said() {
    let database = |extra: &[(&'static str, &'static str)]| {
        [&[("DB_HOST", "h"), ("DB_USER", "u"), ("DB_SCHEMA", "s")], extra].concat()
    };
    assert_eq!(
        problem("", &database(&[("DB_CHARSET", "utf8")]), &[]),
        "DB_CHARSET (environment DB_CHARSET): expected utf8mb4: another character set loses Korean text or emoji"
    );
    assert_eq!(
        problem("", &database(&[("DB_PORT", "mysql")]), &[]),
        "DB_PORT (environment DB_PORT): expected a port, a whole number from 0 to 65535"
    );
    assert!(problem("", &database(&[("DB_HOST", "u@h")]), &[]).starts_with("DB_HOST (environment DB_HOST): expected"));
    assert_eq!(
        problem("", &[("DB_PASSWORD", "geheim"), ("DB_USER", "u")], &[]),
        "DB_USER, DB_PASSWORD: set without DB_HOST, DB_SCHEMA; set all of them, or CAREBOT_DATABASE__URL instead"
    );
    assert_eq!(
        problem("", &[("IS_DEPLOY", "maybe")], &[]),
        "IS_DEPLOY (environment IS_DEPLOY): expected 0, 1, true or false"
    );
    assert_eq!(
        problem("", &[("REMEMBER_EXPIRE_TIME", "0")], &[]),
        "sessions.remembered_idle_seconds (environment REMEMBER_EXPIRE_TIME): \
         `0` is wrong: expected a whole number from 1 to 315360000"
    );
}

#[test]
fn the_originals_assistant_goes_on_doing_what_it_did() {
    let url = |config: &Config| match config.assistant.for_service().expect("the prompt is built in").provider {
        carebot_service::assistant::Provider::Remote(url, _) => url,
        other => panic!("{other:?}"),
    };
    let deployed = [("IS_DEPLOY", "1"), ("AI_HOST", "https://ai.example.org"), ("AI_PORT", "8443")];
    assert_eq!(url(&load("", &deployed, &[]).expect("right")), "https://ai.example.org:8443");
    // The host counted in a deployment only.
    let local = [("AI_HOST", "https://ai.example.org"), ("AI_PORT", "8001"), ("EXTERNAL_TIMEOUT", "7")];
    let local = load("", &local, &[]).expect("right");
    assert_eq!((url(&local).as_str(), local.assistant.timeout_seconds), ("http://localhost:8001", 7));

    let key = load("", &[("OPENAI_API_KEY", "geheim")], &[]).expect("right");
    let settings = key.assistant.for_service().expect("the prompt is built in");
    let carebot_service::assistant::Provider::OpenAi(openai) = &settings.provider else { panic!("{settings:?}") };
    assert_eq!(openai.base_url, "https://api.openai.com/v1");
    assert!(!format!("{key:?} {settings:?}").contains("geheim"));
    // The AI server that is there wins over a key that it may have used itself.
    let both = [("OPENAI_API_KEY", "geheim"), ("AI_PORT", "8001")];
    assert_eq!(url(&load("", &both, &[]).expect("right")), "http://localhost:8001");
    assert!(problem("[assistant]\nkey = \"geheim\"", &[], &[]).contains("a key without a provider does nothing"));
    assert!(
        load("[assistant]\nprompt_file = \"/no/such/file\"", &[], &[]).expect("right").assistant.for_service().is_err()
    );
}

#[test]
fn the_originals_other_variables_still_work() {
    let config = load(
        "",
        &[
            ("SESSION_EXPIRE_TIME", "11"),
            ("EXTENDED_SESSION_EXPIRE_TIME", "12"),
            ("REMEMBER_EXPIRE_TIME", "13"),
            ("SESSION_CLEANUP_INTERVAL", "14"),
            ("AI_HOST", "http://ai"),
            ("OPENAI_API_KEY", "geheim"),
            ("IMAGE_URL", ""),
        ],
        &[],
    )
    .expect("a right environment");
    let sessions = &config.sessions;
    assert_eq!(
        (sessions.idle_seconds, sessions.main_idle_seconds, sessions.remembered_idle_seconds, sessions.cleanup_seconds),
        (11, 12, 13, 14)
    );
    assert!(!format!("{config:?}").contains("geheim"));
}

#[test]
fn the_originals_switches_choose_the_mode() {
    let mode = |variables: &[(&str, &str)]| {
        let config = load("mode = \"development\"", variables, &[]).expect("a right environment");
        (config.mode(), config.cookie_domain().map(str::to_owned))
    };
    let development = (Mode::Development, Some("localhost".to_owned()));
    let deployed = (Mode::Release, Some(".itdice.net".to_owned()));
    assert_eq!(mode(&[("IS_DEV", "0"), ("IS_DEPLOY", "false")]), development);
    assert_eq!(mode(&[("IS_DEPLOY", "1")]), deployed);
    assert_eq!(mode(&[("IS_DEPLOY", "true"), ("IS_DEV", "1")]), deployed);
    assert_eq!(mode(&[("IS_DEPLOY", "1"), ("CAREBOT_MODE", "development")]).0, Mode::Development);
    assert_eq!(load("", &[("IS_DEV", "True")], &[]).expect("right").mode(), Mode::Development);
}

#[test]
fn an_unknown_name_brings_the_nearest_right_one() {
    assert_eq!(
        problem("[accounts]\n\npasword_min_length = 9", &[], &[]),
        "unknown setting `accounts.pasword_min_length` (file carebot.toml, line 3): \
         did you mean `accounts.password_min_length`?"
    );
    assert_eq!(
        problem("", &[("CAREBOT_ACCOUNTS_PASSWORD_MIN_LENGTH", "9")], &[]),
        "unknown setting `CAREBOT_ACCOUNTS_PASSWORD_MIN_LENGTH` (environment CAREBOT_ACCOUNTS_PASSWORD_MIN_LENGTH): \
         did you mean `CAREBOT_ACCOUNTS__PASSWORD_MIN_LENGTH`?"
    );
    assert_eq!(
        problem("", &[], &[("family.join", "open")]),
        "unknown setting `family.join` (flag): did you mean `families.join`?"
    );
    for (written, meant) in [
        ("[server]\nmode = \"release\"", "`mode`"),
        ("listen = \"[::]:80\"", "`server.listen`"),
        ("[session]\nidle_seconds = 9", "`sessions.idle_seconds`"),
        ("[server]\norigins = []", "`cors.origins`"),
        ("[cor]", "`[cors]`"),
        ("[tls]\nkee = \"k\"", "`tls.key`"),
        ("[server]\npublic_uri = \"https://a\"", "`server.public_url`"),
        ("[\"accounts.password_min_length\"]\nx = 1", "`accounts.password_min_length`"),
    ] {
        let problem = problem(written, &[], &[]);
        assert!(problem.ends_with(&format!("did you mean {meant}?")), "{written}: {problem}");
    }
    // Variables of others, and of the project's tests, are nobody's settings.
    load("", &[("PATH", "/bin"), ("CAREBOTX", "1"), ("CAREBOT_ACCEPT", "1"), ("CAREBOT_TEST_X", "1")], &[])
        .expect("nothing of ours");
}

#[test]
fn a_bad_value_names_setting_source_and_what_was_expected() {
    assert_eq!(
        problem("[accounts]\npassword_min_length = 0", &[], &[]),
        "accounts.password_min_length (file carebot.toml, line 2): \
         `0` is wrong: expected a whole number from 1 to 128 (characters)"
    );
    assert_eq!(
        problem("", &[], &[("families.join", "maybe")]),
        "families.join (flag): `maybe` is wrong: expected `approval` or `open`"
    );
    assert_eq!(
        problem("", &[("CAREBOT_SERVER__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/33")], &[]),
        "server.trusted_proxies (environment CAREBOT_SERVER__TRUSTED_PROXIES): `10.0.0.0/33` is wrong: \
         expected a list, each item an IP address or a network such as `10.0.0.0/8`; \
         the number after `/` goes from 0 to 32"
    );
    for (text, part) in [
        ("server = 1", "is a section: write `[server]`"),
        ("[server.listen]\nx = 1", "`a table` is wrong: expected an address and port"),
        ("[server]\nlisten = 8000", "`8000` is wrong"),
        ("[server]\nworkers = 1.5", "`a fraction` is wrong"),
        ("[server]\nworkers = -1", "`-1` is wrong: expected a whole number from 0 to 1024"),
        ("[server]\nworkers = 99999999999999999999", "expected a whole number"),
        ("[server]\ndocs = 1", "expected true or false, or nothing"),
        ("[server]\npublic_url = \"care.example.org\"", "expected a URL such as"),
        ("[server]\npublic_url = \"ftp://a\"", "it begins with `https://`"),
        ("[server]\npublic_url = \"https://me:geheim@a\"", "`***@a` is wrong"),
        ("[server]\nheader_timeout_seconds = 0", "from 1 to 3600"),
        ("[metrics]\nlisten = \"on\"", "or `off`"),
        ("[cors]\norigins = [\"*\"]", "wildcards are not allowed"),
        ("[cors]\norigins = [\"https://a/b\"]", "ends after the host and port"),
        ("[cors]\norigins = [\"null\"]", "`null` is wrong"),
        ("[cors]\norigins = [\"a.example\"]", "scheme://host[:port]"),
        ("[sessions]\ncookie_domain = \"a; Secure\"", "a domain name"),
        ("[sessions]\ncookie_domain = \"a..b\"", "a domain name"),
        ("[log]\nfilter = \"a=b=c\"", "a level or a list"),
    ] {
        let problem = problem(text, &[], &[]);
        assert!(problem.contains(part) && !problem.contains("geheim"), "{text}: {problem}");
    }
    let long = "x".repeat(1_000);
    assert!(problem("", &[("CAREBOT_SERVER__LISTEN", &long)], &[]).len() < 300);
}

#[test]
fn all_problems_come_at_once() {
    let all = problems(
        "[acounts]\nx = 1\n[status]\nrow_limit = 0\nnewest_whole = 20000",
        &[("DB_CHARSET", "latin1"), ("CAREBOT_LOG__FORMAT", "xml"), ("CAREBOT_NOPE", "1")],
        &[("tls.key", "k.pem")],
    );
    let starts = [
        "unknown setting `acounts.x`",
        "DB_CHARSET",
        "unknown setting `CAREBOT_NOPE`",
        // Not also "newest_whole is more than row_limit": the default that stands in for a bad value is nobody's doing.
        "status.row_limit",
        "log.format",
        "tls.certificate, tls.key: set both or neither [tls.certificate (default) and tls.key (flag)]",
    ];
    assert_eq!(all.len(), starts.len(), "{all:#?}");
    for (problem, start) in all.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem} / {start}");
    }
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    for (text, part) in [
        ("[tls]\ncertificate = \"c.pem\"", "set both or neither"),
        ("[tls]\nkey = \"k.pem\"", "set both or neither"),
        ("[sessions]\ncookie_same_site = \"none\"\ncookie_secure = false", "SameSite=None"),
        ("mode = \"development\"\n[sessions]\ncookie_same_site = \"none\"", "SameSite=None"),
        ("[status]\nrow_limit = 10", "more than the row limit"),
        ("[metrics]\nlisten = \"127.0.0.1:8000\"", "can not share an address"),
    ] {
        let problem = problem(text, &[], &[]);
        assert!(problem.contains(part), "{text}: {problem}");
    }
    load("[server]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"127.0.0.1:0\"", &[], &[])
        .expect("free ports differ");
}

#[test]
fn secrets_are_never_shown() {
    let url = "mariadb://care:geh%40eim@db1,[::1]:3307/carebot?tls=required&ca=/etc/ca.pem";
    let config = load("", &[("CAREBOT_DATABASE__URL", url)], &[]).expect("a right URL");
    let printed = config.to_toml_masked();
    assert!(
        printed.contains("url = \"mariadb://care:***@db1:3306,[::1]:3307/carebot?tls=required&ca=/etc/ca.pem\""),
        "{printed}"
    );
    assert!(!printed.contains("eim") && !format!("{config:?}").contains("eim"));

    for wrong in [
        "mariadb://care:geheim@db",
        "mariadb://care:geheim",
        "mariadb://care:geheim/carebot",
        "mariadb://care:ge/x?heim@db/carebot",
        "postgres://care:geheim@db/carebot",
        "geheim",
        "sqlite:geheim?mode=ro",
    ] {
        for problem in [
            problem("", &[("CAREBOT_DATABASE__URL", wrong)], &[]),
            problem("", &[], &[("database.url", wrong)]),
            problem(&format!("[database]\nurl = \"{wrong}\""), &[], &[]),
        ] {
            assert!(!problem.contains("heim") && problem.contains("expected the URL of a database"), "{problem}");
        }
    }
    let broken = problem("[database]\nurl = \"mariadb://care:geheim@db/carebot\n", &[], &[]);
    assert!(broken.starts_with("carebot.toml: is not valid TOML in line 2") && !broken.contains("geheim"), "{broken}");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let file = "mode = \"development\"\n[server]\ntrusted_proxies = [\"10.0.0.0/8\"]\n[families]\njoin = \"open\"";
    let config = load(file, &[("CAREBOT_LOG__FILTER", "debug")], &[("server.listen", "127.0.0.1:9")]).expect("right");
    let printed = config.to_toml_masked();
    let line = |start: &str| {
        let line =
            printed.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}:\n{printed}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("mode"), "mode = \"development\" # file carebot.toml, line 1");
    assert_eq!(line("listen"), "listen = \"127.0.0.1:9\" # flag");
    assert_eq!(line("filter"), "filter = \"debug\" # environment CAREBOT_LOG__FILTER");
    assert_eq!(line("docs"), "docs = true # default in development");
    assert_eq!(line("password_min_length"), "password_min_length = 8 # default");
    assert_eq!(line("# certificate"), "# certificate is not set # default");

    let again = load(&printed, &[], &[]).expect("what is printed is right");
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.rsplit_once('#').map_or(line, |(value, _)| value).trim().to_owned()).collect()
    };
    assert_eq!(values(&again.to_toml_masked()), values(&printed));
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let missing = PathBuf::from("/nonexistent/carebot.toml");
    let error = Config::loader().file(Some(missing)).load().expect_err("it is not there").to_string();
    assert!(
        error.starts_with("the configuration has a problem:\n  /nonexistent/carebot.toml: can not be read:"),
        "{error}"
    );
    // No carebot.toml lies where the tests run.
    Config::loader().file(None).environment(NO_VARIABLES).load().expect("carebot.toml need not be there");

    let named = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let error = Config::loader().file(Some(named)).load().expect_err("it is another program's file").to_string();
    assert!(error.contains("unknown setting `package.name`"), "{error}");
}

#[cfg(unix)]
#[test]
fn bytes_that_are_not_utf8_are_refused_only_in_our_variables() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = || OsString::from_vec(vec![0xff]);
    let load = |name: OsString| Config::loader().without_file().environment([(name, bytes())]).load();
    load("PATH".into()).expect("not ours");
    load(bytes()).expect("not ours");
    let error = load("CAREBOT_MODE".into()).expect_err("ours").to_string();
    assert!(error.contains("mode (environment CAREBOT_MODE): is not UTF-8"), "{error}");
}

#[test]
fn networks_are_their_first_address_and_a_prefix() {
    let config = load("", &[("CAREBOT_SERVER__TRUSTED_PROXIES", "10.1.2.3/8,192.0.2.7,2001:db8:7::/32,::1/0")], &[]);
    let networks = config.expect("right").server.trusted_proxies;
    let shown: Vec<String> =
        networks.iter().map(|network| format!("{}/{}", network.address(), network.prefix())).collect();
    assert_eq!(shown, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::/0"]);
}

#[test]
fn zero_means_as_many_as_the_machine_has() {
    let config = load("", &[], &[]).expect("defaults");
    let cores = |count| NonZero::new(count).expect("a machine has a core");
    assert_eq!((config.server.worker_threads(cores(4)), config.throttle.hash_slots(cores(4))), (4, 4));
    assert_eq!((config.database.readers(cores(1)), config.database.readers(cores(8))), (2, 8));
    let set = load("[server]\nworkers = 3\n[database]\nsqlite_readers = 1", &[], &[]).expect("right");
    assert_eq!((set.server.worker_threads(cores(8)), set.database.readers(cores(8))), (3, 1));
}

#[test]
fn only_the_default_file_is_made_without_being_asked() {
    let create =
        |flags: &[(&str, &str)]| load("", &[], flags).expect("right").database.options(NonZero::<usize>::MIN).create;
    assert!(create(&[]));
    assert!(!create(&[("database.url", "sqlite:/srv/carebot.db")]));
    assert!(create(&[("database.url", "sqlite:/srv/carebot.db"), ("database.create", "true")]));
}

#[test]
fn every_setting_is_explained_and_in_the_reference_document() {
    for setting in all_settings() {
        assert!(!setting.documentation.concat().trim().is_empty(), "{} has no doc comment", setting.key());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let made = reference_markdown();
    if std::env::var_os("CAREBOT_ACCEPT").is_some_and(|value| value == "1") {
        std::fs::write(&path, &made).expect("docs/configuration.md can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "docs/configuration.md is not what the settings say; look at the change and accept it with\n  \
         CAREBOT_ACCEPT=1 cargo test -p carebot-cli reference"
    );
}

#[test]
fn services_outside_are_off_until_they_have_a_key_or_an_address() {
    let bare = load("", &[], &[]).expect("defaults");
    assert!(bare.weather.for_service().is_none() && bare.disasters.for_service().is_none());
    let news = bare.news.for_service();
    assert!(news.feeds.is_empty() && news.newsdata.is_none() && news.keep_days == 30);

    let file = r#"
        [weather]
        key = "ab%2Bc%3D"
        url = "http://127.0.0.1:1/kma/"
        longest_age_hours = 3
        [disasters]
        key = "hidden"
        interval_seconds = 300
        [news]
        health = ["https://a.example/rss", "https://b.example/atom"]
        newsdata_key = "hidden"
        newsdata_pages = 2
    "#;
    let config = load(file, &[], &[]).expect("a right file");
    let weather = config.weather.for_service().expect("it is on");
    assert_eq!(
        (weather.provider.base_url.as_str(), weather.provider.key.0.as_str()),
        ("http://127.0.0.1:1/kma", "ab%2Bc%3D")
    );
    assert_eq!(weather.longest_age.as_secs(), 3 * 3_600);
    let disasters = config.disasters.for_service().expect("it is on");
    assert_eq!((disasters.interval.as_secs(), disasters.provider.url.ends_with("/DSSP-IF-00247")), (300, true));
    let news = config.news.for_service();
    let feeds: Vec<_> = news.feeds.iter().map(|(category, url)| (category.name(), url.as_str())).collect();
    assert_eq!(feeds, [("health", "https://a.example/rss"), ("health", "https://b.example/atom")]);
    assert_eq!(news.newsdata.map(|newsdata| newsdata.pages), Some(2));
    let shown = format!("{config:?} {:?}", config.written());
    assert!(!shown.contains("hidden") && !shown.contains("ab%2B"), "{shown}");
}

#[test]
fn the_originals_keys_of_services_outside_still_work() {
    let variables = [
        ("WEATHER_API_KEY", "one"),
        ("NEWS_API_KEY", "two"),
        ("DISASTER_API_KEY", "three"),
        ("CAREBOT_NEWS__SPORTS", "https://a.example/1,https://a.example/2"),
    ];
    let config = load("", &variables, &[]).expect("a right environment");
    assert_eq!(config.weather.for_service().map(|weather| weather.provider.key.0).as_deref(), Some("one"));
    let news = config.news.for_service();
    assert_eq!((news.newsdata.map(|newsdata| newsdata.key.0).as_deref(), news.feeds.len()), (Some("two"), 2));
    assert_eq!(config.disasters.for_service().map(|disasters| disasters.provider.key.0).as_deref(), Some("three"));
}

#[test]
fn what_is_no_address_of_a_feed_is_said() {
    for wrong in ["a.example/rss", "file:///etc/passwd", "javascript:alert(1)"] {
        let file = format!("[news]\nhealth = [\"{wrong}\"]\n");
        assert!(problem(&file, &[], &[]).contains("the address of a feed"), "{wrong}");
    }
}
