//! Alarms of a running program: mail that arrives, signs of life, timelines that are verified.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use carebot_database::journal::{self, ChainKey};
use carebot_database::{Db, params, transact};
use carebot_model::alarms::rules::{Field, Side};
use carebot_model::alarms::{Ladder, Rule, RuleKind, Severity};
use carebot_model::{FamilyId, Timestamp};
use serde_json::{Value, json};

use crate::support::{Browser, Place, Server, mariadb_schema};

/// How long anything may take on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_mins(2);
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A server of ours on this machine; what it is told comes out of a channel.
struct Listener {
    port: u16,
    told: Receiver<String>,
}

impl Listener {
    fn new(serve: fn(&mut TcpStream, &Sender<String>) -> Option<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let (sender, told) = mpsc::channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                // What breaks on the way is the other side's business.
                let _ = serve(&mut stream, &sender);
            }
        });
        Self { port, told }
    }

    /// Takes mail.
    fn smtp() -> Self {
        Self::new(|stream, told| {
            let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
            stream.write_all(b"220 mail.example\r\n").ok()?;
            while let Some(line) = lines.next() {
                let answer = match line.split([' ', ':']).next().unwrap_or_default() {
                    "DATA" => {
                        stream.write_all(b"354 go on\r\n").ok()?;
                        let mail: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
                        told.send(mail.join("\n")).ok()?;
                        "250 taken"
                    }
                    "QUIT" => "221 bye",
                    _ => "250 fine",
                };
                stream.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
            }
            Some(())
        })
    }

    /// Takes calls: the line of the request, its headers and its body.
    fn http() -> Self {
        Self::new(|stream, told| {
            let mut reader = BufReader::new(stream.try_clone().ok()?);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let begin = head.len();
                reader.read_line(&mut head).ok()?;
                let line = head[begin..].trim().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            stream.write_all(b"HTTP/1.1 204 Fine\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
            told.send(head + &String::from_utf8(body).ok()?).ok()
        })
    }

    #[track_caller]
    fn next(&self) -> String {
        self.told.recv_timeout(DEADLINE).expect("it is told something")
    }
}

/// An elder who is signed in, and the family with a guardian.
struct House {
    elder: Browser,
    family: String,
}

impl House {
    fn new(place: &Place, server: &Server, database: &str) -> Self {
        let person = |email: &str, role: &str| {
            let password = place.account(database, email, role);
            let mut browser = Browser::new(&server.url);
            let id = browser.sign_in(email, &password).expect("let in")["id"].clone();
            (browser, id)
        };
        let (elder, elder_id) = person("elder@example.org", "main");
        let (status, made) = elder.post("families", &json!({"main_user": elder_id, "family_name": "우리 집"}));
        assert_eq!(status, 201, "{made}");
        let family = made["result"]["id"].as_str().expect("an id").to_owned();
        let (guardian, guardian_id) = person("guardian@example.org", "sub");
        let join = json!({"family_id": family, "user_id": guardian_id, "nickname": "딸"});
        assert_eq!(guardian.post("members", &join).0, 201);
        Self { elder, family }
    }

    fn fall(&self) {
        let fall = json!({"family_id": self.family, "score": 0, "action": "낙상", "is_critical": true});
        assert_eq!(self.elder.post("status/active", &fall).0, 201);
    }
}

fn mail(listener: &Listener) -> Vec<String> {
    let port = listener.port;
    ["mail.host=127.0.0.1", &format!("mail.port={port}"), "mail.tls=none", "mail.from=돌봄 <care@example.org>"]
        .map(str::to_owned)
        .to_vec()
}

/// As flags.
fn set(settings: &[String]) -> Vec<&str> {
    settings.iter().flat_map(|setting| ["--set", setting.as_str()]).collect()
}

/// Does something past the program.
fn past<T>(database: &str, work: impl AsyncFnOnce(&Db) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let db = Db::open(&database.parse().expect("a URL"), &carebot_database::Options::default()).await;
        let db = db.expect("it opens");
        let done = work(&db).await;
        db.close().await;
        done
    })
}

fn on(database: &str, sql: &'static str, family: &str) {
    let family = FamilyId::parse(family).expect("an id");
    let done = past(database, async |db| transact!(db, tx => { tx.execute(sql, params![family]).await }));
    assert!(done.expect("it is done") > 0, "{sql}");
}

#[test]
fn a_fall_becomes_a_mail_and_everything_about_it_is_in_the_timeline() {
    for is_mariadb in [false, true] {
        let place = Place::new();
        let path = place.path().join("carebot.db");
        let database = if is_mariadb { mariadb_schema() } else { format!("sqlite:{}", path.display()) };
        let (post, monitor, keeper) = (Listener::smtp(), Listener::http(), Listener::http());
        let key = ["alarms.key_file=timelines.key".to_owned()];
        let mut settings = mail(&post);
        settings.extend(key.clone());
        settings.push("families.join=open".to_owned());
        settings.push("server.public_url=https://care.example.org".to_owned());
        settings.push(format!("alarms.dead_man_url=http://127.0.0.1:{}/s3cr3t", monitor.port));
        settings.push(format!("alarms.head_webhook_url=http://127.0.0.1:{}/s3cr3t", keeper.port));
        settings.push(format!("alarms.head_webhook_secret={SECRET}"));
        let flags = [vec!["--database", &database, "--create"], set(&settings)].concat();
        let server = place.serve(&flags);
        assert!(monitor.next().starts_with("GET /s3cr3t HTTP/1.1"), "a sign of life");

        let house = House::new(&place, &server, &database);
        house.fall();
        let mail = post.next();
        for part in ["To: guardian@example.org", "From: ", "Subject: =?utf-8?b?", "X-Priority: 1"] {
            assert!(mail.contains(part), "{part}: {mail}");
        }
        let head = keeper.next();
        assert!(head.contains("webhook-signature: v1,") && head.contains(r#""type":"timeline.head""#), "{head}");
        assert!(head.contains(&house.family), "{head}");

        let alarms =
            |arguments: &[&str]| place.run(&[&["alarms"], arguments, &["--database", &database], &set(&key)].concat());
        let listed = alarms(&["list", "--active"]).succeeded();
        let line = listed.lines().nth(1).expect("an alarm");
        assert!(line.contains(&house.family) && line.contains(" fall ") && line.contains(" crit "), "{listed}");
        assert!(alarms(&["list", "--family", "F234567890123456"]).failed(1).contains("carebot family list"));

        let drill = alarms(&["drill", "--family", &house.family]).succeeded();
        assert!(drill.contains("taken by email"), "{drill}");
        let mail = post.next();
        assert!(mail.contains("To: guardian@example.org"), "{mail}");
        assert!(alarms(&["drill", "--family", &house.family]).failed(1).contains("A drill is being held"));

        server.program.signal("TERM");
        let ended = server.program.ended();
        assert!(!ended.err.contains("s3cr3t") && !ended.err.contains(&SECRET[6..]), "{}", ended.err);
        assert!(!ended.err.contains("WARN"), "{}", ended.err);
        // The last head that was logged is that of the chain.
        let logged: Vec<Value> = ended
            .err
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line["head"].is_string())
            .collect();
        let newest = logged.iter().max_by_key(|line| line["entries"].as_i64()).expect("heads are logged");
        let newest = format!("{}:{}", newest["entries"], newest["head"].as_str().expect("a hash"));
        let verify = |more: &[&str]| alarms(&[&["verify"], more].concat());
        let whole = verify(&[]).succeeded();
        assert!(whole.contains("chains: 1,") && whole.contains("nothing is wrong"), "{whole}");
        let of_family = ["--family", house.family.as_str()];
        let one = verify(&of_family).succeeded();
        assert!(one.contains(&format!("ends with {newest}")), "{one} {newest}");
        let with_head = [&of_family[..], &["--head", &newest]].concat();
        verify(&with_head).succeeded();

        // Who has the database alone can cut the end off, and adjust what is said about it.
        on(&database, "DELETE FROM alarm_entries WHERE family_id = ? AND seq > 3", &house.family);
        on(
            &database,
            "UPDATE family_heads SET entry_seq = 3, entry_hash = (SELECT hash FROM alarm_entries e WHERE e.family_id = family_heads.family_id AND seq = 3) WHERE family_id = ?",
            &house.family,
        );
        verify(&[]).succeeded();
        let cut = verify(&with_head);
        assert!(cut.out.contains("the end was cut off"), "{}", cut.out);
        cut.failed(1);

        on(&database, "UPDATE alarm_entries SET body = '{}' WHERE family_id = ? AND seq = 2", &house.family);
        let changed = verify(&[]);
        assert!(
            changed.out.contains(&format!("{}  entry 2, or something before it, was changed", house.family)),
            "{}",
            changed.out
        );
        assert!(changed.out.contains("faults: 1"), "{}", changed.out);
        changed.failed(1);

        // The family is deleted: what remains is signed.
        let kept = std::fs::read_to_string(place.path().join("timelines.key")).expect("the key");
        let bytes = (0..64).step_by(2).map(|at| u8::from_str_radix(&kept[at..at + 2], 16).expect("hexadecimal"));
        let (chain_key, family) =
            (ChainKey::new(&bytes.collect::<Vec<_>>()), FamilyId::parse(&house.family).expect("an id"));
        let at = Timestamp::from_millis(1_772_463_600_000);
        let left = past(
            &database,
            async |db| transact!(db, tx => { journal::leave_stub(&mut tx, &chain_key, family, at).await }),
        );
        left.expect("it is left");
        on(&database, "UPDATE families SET deleted_at = 1 WHERE id = ?", &house.family);
        let left = verify(&[]).succeeded();
        assert!(left.contains("chains: 0, entries: 0, remains of deleted families: 1; nothing is wrong"), "{left}");
        let cut = verify(&with_head);
        assert!(cut.out.contains("it was deleted with 3 entries"), "{}", cut.out);
        cut.failed(1);
        on(&database, "UPDATE alarm_stubs SET entries = 2 WHERE family_id = ?", &house.family);
        let changed = verify(&[]);
        assert!(changed.out.contains("what remains of it was changed"), "{}", changed.out);
        changed.failed(1);
    }
}

#[test]
fn without_a_key_nothing_is_verified_and_no_drill_is_held() {
    let place = Place::new();
    place.run(&["migrate", "--create"]).succeeded();
    for command in [&["verify"][..], &["drill", "--family", "F234567890123456"]] {
        let error = place.run(&[&["alarms"], command].concat()).failed(1);
        assert!(
            error.contains("no timeline key at carebot.db.timeline-key") && error.contains("alarms.key_file"),
            "{error}"
        );
    }
    assert!(!place.path().join("carebot.db.timeline-key").exists(), "only a server makes one");
    let head = ["alarms", "verify", "--family", "F234567890123456", "--head", "3:abc"];
    assert!(place.run(&head).failed(2).contains("64 hexadecimal digits"));
    let head = ["alarms", "verify", "--head", &format!("3:{}", "ab".repeat(32))];
    assert!(place.run(&head).failed(2).contains("--family"));
}

#[test]
fn a_drill_that_nobody_hands_out_says_so() {
    let place = Place::new();
    let database = "sqlite:carebot.db";
    let server = place.serve(&["--database", database, "--create", "--set", "families.join=open"]);
    let house = House::new(&place, &server, database);
    let waits = ["alarms", "drill", "--family", &house.family, "--wait", "5"];
    let silent = place.run(&waits);
    assert!(silent.out.contains("no way to U"), "{}", silent.out);
    assert!(silent.failed(1).contains("nobody was reached within 5 s"));
    server.stop();
}

#[test]
fn a_key_that_is_missing_wrong_or_another_keeps_no_server_from_raising_alarms() {
    let place = Place::new();
    let database = "sqlite:carebot.db";
    let serve = ["--database", database, "--create", "--set", "families.join=open"];
    let server = place.serve(&serve);
    let house = House::new(&place, &server, database);
    house.fall();
    server.stop();
    let file = place.path().join("carebot.db.timeline-key");
    let kept = std::fs::read_to_string(&file).expect("it was made");
    assert_eq!(kept.trim().len(), 64);

    std::fs::write(&file, "geheim").expect("it can be written");
    let server = place.serve(&serve);
    let drill = place.run(&["alarms", "drill", "--family", &house.family, "--wait", "0"]).failed(1);
    assert!(drill.contains("holds no key"), "{drill}");
    server.program.signal("TERM");
    let ended = server.program.ended();
    assert!(
        ended.err.contains("holds no key") && ended.err.contains("alarms are raised all the same"),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains("geheim"), "{}", ended.err);

    std::fs::write(&file, "ab".repeat(32)).expect("it can be written");
    let told = place.run(&["doctor", "--database", database]);
    assert!(told.out.contains("FAIL  timelines: the newest entry was made with another key"), "{}", told.out);
    told.failed(1);
    let other = place.run(&["alarms", "verify"]);
    assert!(other.out.contains("made with keys that were not given"), "{}", other.out);
    other.failed(1);
    let drill = place.run(&["alarms", "drill", "--family", &house.family]).failed(1);
    assert!(drill.contains("made with another key") && drill.contains("alarms.key_file"), "{drill}");

    std::fs::write(&file, kept).expect("it can be written");
    place.run(&["alarms", "verify"]).succeeded();
}

#[test]
fn on_mariadb_a_key_that_lies_anywhere_is_a_warning() {
    let (place, database) = (Place::new(), mariadb_schema());
    let server = place.serve(&["--database", &database]);
    let told = place.run(&["doctor", "--database", &database]).succeeded();
    assert!(told.contains("lies in whatever folder") && told.contains("alarms.key_file"), "{told}");
    server.program.signal("TERM");
    let ended = server.program.ended();
    assert!(ended.err.contains("WARN") && ended.err.contains("set alarms.key_file"), "{}", ended.err);
    assert!(place.path().join("carebot.timeline-key").exists());
}

#[test]
fn the_doctor_greets_the_mail_server_and_sends_nothing() {
    let place = Place::new();
    place.run(&["migrate", "--create"]).succeeded();
    let post = Listener::smtp();
    let settings = mail(&post);
    let told = place.run(&[vec!["doctor"], set(&settings)].concat()).succeeded();
    assert!(told.contains(&format!("ok    mail: 127.0.0.1:{} answers", post.port)), "{told}");
    assert!(post.told.try_recv().is_err(), "no mail");
    let gone = ["mail.host=127.0.0.1", "mail.port=1", "mail.tls=none", "mail.from=care@example.org"].map(str::to_owned);
    let told = place.run(&[vec!["doctor"], set(&gone)].concat());
    assert!(told.out.contains("FAIL  mail: 127.0.0.1:1"), "{}", told.out);
    told.failed(1);
    place.run(&[vec!["doctor", "--without-mail"], set(&gone)].concat()).succeeded();
}

/// A number as people write it.
fn number(value: f64) -> String {
    value.to_string()
}

/// A time in its largest unit that fits.
fn span(seconds: f64) -> String {
    match seconds {
        s if s > 0.0 && s % 3_600.0 == 0.0 => format!("{} h", s / 3_600.0),
        s if s > 0.0 && s % 60.0 == 0.0 => format!("{} min", s / 60.0),
        s => format!("{s} s"),
    }
}

/// A number with its unit, as people write it.
fn with_unit(number: &str, unit: &str) -> String {
    match unit {
        "score" => number.to_owned(),
        "hour" => format!("{number} o'clock"),
        unit => format!("{number} {unit}"),
    }
}

/// The default rules as a table.
fn rules() -> String {
    let mut text = "| rule | warns | is critical | can be set within | source |\n|---|---|---|---|---|\n".to_owned();
    for rule in Rule::ALL {
        let definition = rule.definition();
        let find = |name: &str| definition.parameters.iter().find(|parameter| parameter.name == name);
        let level = |name: &str, seconds: &str, days: &str| {
            let unit = find(name).map_or("", |parameter| parameter.unit);
            let mut parts = Vec::new();
            if let Some(bound) = find(name) {
                let side = match definition.reading {
                    Some((_, Side::Above)) => ">",
                    Some((_, Side::AtOrAbove)) => "≥",
                    Some((_, Side::AtOrBelow)) | None => "≤",
                };
                parts.push(with_unit(&format!("{side} {}", number(bound.default)), unit));
            }
            if let Some(time) = find(seconds).filter(|time| time.default > 0.0) {
                parts.push(format!("for {}", span(time.default)));
            }
            if let Some(days) = find(days) {
                parts.push(format!("{} days running", number(days.default)));
            }
            if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
        };
        let reading = definition.reading.map_or("", |(field, _)| match field {
            Field::Ethanol => " (`ethanol`)",
            Field::Temperature => " (`temperature`)",
            Field::DustLevel => " (`dust_level`)",
            Field::UltrafineDust => " (`ultrafinedust` in `others`)",
            Field::HeartRate => " (`heart_rate`)",
        });
        let bounds: Vec<String> = definition
            .parameters
            .iter()
            .map(|parameter| {
                let range = if parameter.unit == "s" {
                    format!("{} to {}", span(parameter.least), span(parameter.most))
                } else {
                    with_unit(&format!("{} to {}", number(parameter.least), number(parameter.most)), parameter.unit)
                };
                let default = if parameter.unit == "s" { span(parameter.default) } else { number(parameter.default) };
                format!("`{}` {range} ({default})", parameter.name)
            })
            .collect();
        let on = if rule.is_always_on() { "" } else { "; can be muted" };
        let _ = writeln!(
            text,
            "| `{rule}`{reading}{on} | {} | {} | {} | {} |",
            if definition.kind == RuleKind::Disaster {
                "긴급재난".into()
            } else {
                level("warn", "warn_seconds", "warn_days")
            },
            match definition.kind {
                RuleKind::Disaster => "위급재난".into(),
                RuleKind::CriticalFlag | RuleKind::Phrase | RuleKind::Sos => "at once".into(),
                _ => level("crit", "crit_seconds", ""),
            },
            if bounds.is_empty() { "-".to_owned() } else { bounds.join(", ") },
            definition.source
        );
    }
    text
}

/// The default ladders as a table.
fn ladders() -> String {
    let mut text = "| severity | first guardian | other guardians | staff |\n|---|---|---|---|\n".to_owned();
    for severity in [Severity::Crit, Severity::Warn, Severity::Info] {
        let ladder = Ladder::default_of(severity);
        let after = |rung: &str| {
            let step = ladder.steps().iter().find(|step| step.rung.name() == rung);
            step.map_or_else(
                || "-".to_owned(),
                |step| match step.after_seconds {
                    0 => "at once".to_owned(),
                    seconds => format!("after {}", span(seconds.into())),
                },
            )
        };
        let _ = writeln!(text, "| `{severity}` | {} | {} | {} |", after("first"), after("others"), after("staff"));
    }
    text
}

/// What stands in the document comes from the code. Accept a change with `CAREBOT_ACCEPT=1`.
#[test]
fn the_tables_of_the_document_are_those_of_the_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/alarms.md");
    let mut text = std::fs::read_to_string(path).expect("the document is there");
    for (name, table) in [("rules", rules()), ("ladders", ladders())] {
        let (begin, end) = (format!("<!-- {name}, made from the code -->\n"), format!("<!-- end of {name} -->"));
        let from = text.find(&begin).expect("the table begins") + begin.len();
        let to = text[from..].find(&end).expect("the table ends") + from;
        if std::env::var_os("CAREBOT_ACCEPT").is_some() {
            text.replace_range(from..to, &table);
            std::fs::write(path, &text).expect("the document is written");
        } else {
            assert_eq!(&text[from..to], table, "{name} changed; accept it with CAREBOT_ACCEPT=1");
        }
    }
}
