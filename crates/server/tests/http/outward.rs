//! What goes out of a running server, to receivers on this machine: notices, signs of life, heads of timelines.

use std::sync::Arc;

use carebot_database::contacts::{self, Contact};
use carebot_database::{Db, journal, transact};
use carebot_external::Key;
use carebot_external::channels::addresses::Policy;
use carebot_external::channels::push::VapidKey;
use carebot_external::channels::webhook::{Secret, verify};
use carebot_external::ping::Ping;
use carebot_model::access::Actor;
use carebot_model::alarms::{Channel, EntryKind};
use carebot_model::{FamilyId, RowId};
use carebot_service::alarms::Carrier as _;
use carebot_service::alarms::carrier::{Outward, vapid_key};
use carebot_service::alarms::deadman::Sign;
use carebot_service::alarms::heads::Receiver;
use carebot_service::{Service, jobs};
use carebot_testkit::TestDb;
use carebot_testkit::fixtures::permit;
use carebot_testkit::provider::{Asked, Play, Provider};

use crate::prelude::*;

const SECOND: i64 = 1_000;

async fn receiver() -> Provider {
    Provider::start(|_| Play::Answer(204, "text/plain", vec![])).await
}

fn secret() -> Secret {
    Secret::generate([7; 32])
}

async fn drill(app: &TestApp, family: FamilyId) -> RowId {
    app.service.hold_drill(&Actor::operator(), family.as_str()).await.expect("a drill is held")
}

/// What a call says, if whoever has the secret made it just now.
fn told(app: &TestApp, asked: &Asked) -> Value {
    let header = |name| asked.header(name).unwrap_or_else(|| panic!("no {name} in {}", asked.head));
    let (id, at, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    verify(&secret(), id, at, signature, &asked.body, app.service.now()).expect("it is signed");
    serde_json::from_slice(&asked.body).expect("JSON")
}

/// One of the loops comes round.
async fn turn(service: &Service, which: &str) {
    match which {
        "rules" => drop(service.judge_rules().await.expect("rules are judged")),
        "ladders" => drop(service.tend_alarms().await.expect("alarms are looked after")),
        "deliveries" => drop(service.hand_out_notices().await.expect("notices are handed out")),
        "beat" => service.beat().await.expect("it beats"),
        other => panic!("{other} is no loop"),
    }
}

const LOOPS: [&str; 4] = ["rules", "ladders", "deliveries", "beat"];

async fn turn_all(service: &Service) {
    for which in LOOPS {
        turn(service, which).await;
    }
}

async fn with_webhook(app: &TestApp, who: &Person, url: &str) {
    let contact = contacts::get(&mut app.t.db.read(), who.id).await.expect("read").expect("there");
    let webhook = Some((url.to_owned(), secret().to_text().0));
    let contact = Contact { webhook, channels: vec![Channel::Webhook], ..contact };
    transact!(app.t.db, tx => { contacts::set(&mut tx, &permit(who.id), &contact, app.t.now()).await })
        .expect("stored");
}

async fn outward(t: &TestDb, policy: Policy) -> Arc<Outward> {
    let key = vapid_key(&t.db).await.expect("a key");
    let made = Outward::new(Some(key), "mailto:care@example.org", None, policy, t.clock.clone());
    Arc::new(made.expect("channels"))
}

both_engines! {
    async fn signs_of_life_are_given_while_every_loop_turns_and_only_then(t: TestDb) {
        let monitor = receiver().await;
        let ping = Ping::new(&Key(format!("{}/s3cr3t", monitor.url()))).expect("an address");
        let app = TestApp::with(&t, |settings, _| settings.alarms.dead_man = Some(ping)).await;
        let service = &app.service;
        assert_eq!(service.stuck_loop(), None, "none was started, none is missed");
        assert_eq!(service.give_sign_of_life().await, Sign::Withheld, "none has turned");
        service.expect_loops();
        assert_eq!((service.stuck_loop(), service.give_sign_of_life().await), (None, Sign::Withheld), "none has turned yet");
        turn_all(service).await;
        assert_eq!(service.give_sign_of_life().await, Sign::Given);
        for stuck in LOOPS {
            turn_all(service).await;
            app.advance(20 * SECOND).await;
            for other in LOOPS.into_iter().filter(|other| *other != stuck) {
                turn(service, other).await;
            }
            assert_eq!(service.stuck_loop(), None, "{stuck}: half a minute is not over");
            app.advance(11 * SECOND).await;
            let count = monitor.count();
            assert_eq!(service.give_sign_of_life().await, Sign::Withheld, "{stuck}");
            assert_eq!((service.stuck_loop(), monitor.count()), (Some(stuck), count));
            app.get("/readyz", ANYONE).await.succeeds(503);
            app.get("/healthz", ANYONE).await.succeeds(200);
            turn(service, stuck).await;
            app.get("/readyz", ANYONE).await.succeeds(200);
            assert_eq!(service.give_sign_of_life().await, Sign::Given, "{stuck} turns again");
        }
        // A clock that is set back does not hide that nothing turns.
        t.clock.advance(-3_600 * SECOND);
        assert_eq!(service.stuck_loop(), Some("rules"));
        turn_all(service).await;
        assert_eq!(service.stuck_loop(), None);
        assert!(monitor.asked().iter().all(|asked| asked.method == "GET" && asked.target == "/s3cr3t"));
    }

    async fn a_loop_that_cannot_read_or_write_does_not_turn(t: TestDb) {
        let ping = Ping::new(&Key("http://127.0.0.1:1/".into())).expect("an address");
        let app = TestApp::with(&t, |settings, _| settings.alarms.dead_man = Some(ping)).await;
        let service = &app.service;
        service.expect_loops();
        turn_all(service).await;
        assert_eq!(service.give_sign_of_life().await, Sign::Lost, "nobody listens there");
        t.db.close().await;
        t.clock.advance(31 * SECOND);
        assert!(service.judge_rules().await.is_err() && service.tend_alarms().await.is_err());
        assert!(service.hand_out_notices().await.is_err() && service.beat().await.is_err());
        assert_eq!((service.stuck_loop(), service.give_sign_of_life().await), (Some("rules"), Sign::Withheld));
    }

    async fn a_server_that_runs_gives_signs_of_life_and_sends_heads(t: TestDb) {
        let (monitor, keeper) = (receiver().await, receiver().await);
        let app = TestApp::on(&t, t.open_again().await, |settings, _| {
            settings.alarms.dead_man = Some(Ping::new(&Key(monitor.url())).expect("an address"));
            settings.alarms.heads = Some(Receiver::new(Key(keeper.url()), &secret().to_text()).expect("a receiver"));
        }).await;
        let house = app.house().await;
        let running = jobs::start(&app.service);
        until!("a sign of life is given", monitor.count() > 0);
        app.get("/readyz", ANYONE).await.succeeds(200);
        drill(&app, house.family).await;
        until!("a head is sent", keeper.count() > 0);
        // What came since the first round is sent in a last one, what was written while it stopped too.
        running.stop().await;
        app.service.finish().await;
        let (entries, head) = journal::chain_head(&mut t.db.read(), house.family).await.expect("read");
        let last = told(&app, keeper.asked().last().expect("a call"));
        assert_eq!(last["type"], "timeline.head");
        let data = json!({
            "family": house.family,
            "entries": entries,
            "head": carebot_model::text::hexadecimal(&head.expect("a head")),
            "key": carebot_service::alarms::Settings::default().key.id(),
        });
        assert_eq!(last["data"], data);
    }

    async fn of_a_chain_only_the_newest_head_is_sent_and_none_is_lost(t: TestDb) {
        let keeper = receiver().await;
        let app = TestApp::with(&t, |settings, _| {
            settings.alarms.heads = Some(Receiver::new(Key(keeper.url()), &secret().to_text()).expect("a receiver"));
        }).await;
        let (one, other) = (app.house().await, app.person(Role::Main, "OTHER").await);
        let second = app.family(&other, "SECOND").await;
        for family in [one.family, second] {
            let id = drill(&app, family).await;
            app.service.acknowledge_alarm(&Actor::operator(), id).await.expect("acknowledged");
        }
        keeper.plays(|_| Play::Answer(503, "text/plain", vec![]));
        assert!(app.service.send_heads().await.is_err());
        assert_eq!(keeper.count(), 1, "a receiver that does not take one is not bothered with the others");
        keeper.plays(|_| Play::Answer(200, "text/plain", vec![]));
        assert_eq!(app.service.send_heads().await, Ok(2));
        let mut sent = Vec::new();
        for asked in &keeper.asked()[1..] {
            let told = told(&app, asked);
            sent.push((told["data"]["family"].clone(), told["data"]["entries"].clone()));
        }
        let mut expected = Vec::new();
        for family in [one.family, second] {
            let (entries, _) = journal::chain_head(&mut t.db.read(), family).await.expect("read");
            expected.push((json!(family), json!(entries)));
        }
        expected.sort_by_key(|(family, _)| family.to_string());
        assert_eq!(sent, expected);
        assert_eq!(app.service.send_heads().await, Ok(0), "each once");
    }

    async fn all_servers_have_one_key_of_web_push(t: TestDb) {
        let other = t.open_again().await;
        let key = async |db: &Db| vapid_key(db).await.expect("a key");
        let keys = tokio::join!(key(&t.db), key(&other), key(&t.db), key(&other));
        let keys = [keys.0, keys.1, keys.2, keys.3].map(|key: VapidKey| key.public());
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(vapid_key(&other).await.expect("the key").public(), keys[0]);
        other.close().await;
    }

    async fn an_alarm_reaches_a_webhook_as_a_signed_call(t: TestDb) {
        let gateway = receiver().await;
        let outward = outward(&t, Policy { allow_private: true }).await;
        assert!(outward.has(Channel::Push) && outward.has(Channel::Webhook) && !outward.has(Channel::Email));
        let app = TestApp::with(&t, |settings, _| {
            settings.alarms.carrier = Some(outward);
            settings.alarms.public_url = Some("https://care.example".into());
        }).await;
        let house = app.house().await;
        with_webhook(&app, &house.guardian, &format!("{}/hook", gateway.url())).await;
        let id = drill(&app, house.family).await;
        assert_eq!(app.service.hand_out_notices().await.expect("handed out"), 1);
        let [asked] = &gateway.asked()[..] else { panic!("one call") };
        let told = told(&app, asked);
        assert_eq!((asked.method.as_str(), asked.path()), ("POST", "/hook"));
        assert_eq!(told["type"], "alarm.notice");
        let data = &told["data"];
        assert_eq!(data["link"], format!("https://care.example/app/alarms/{}", id.0));
        assert_eq!((&data["urgent"], &data["alarm"]["rule"]), (&json!(true), &json!("drill")));
        assert!(data["title"].as_str().is_some_and(|title| title.starts_with("[훈련] ")) && data["body"].is_string());
    }

    async fn an_address_of_the_own_network_is_not_called(t: TestDb) {
        let inside = receiver().await;
        let outward = outward(&t, Policy { allow_private: false }).await;
        let app = TestApp::with(&t, |settings, _| settings.alarms.carrier = Some(outward)).await;
        let house = app.house().await;
        with_webhook(&app, &house.guardian, &format!("{}/s3cr3t", inside.url())).await;
        let id = drill(&app, house.family).await;
        assert_eq!(app.service.hand_out_notices().await.expect("it was tried"), 0);
        assert_eq!(inside.count(), 0);
        let (_, timeline) = app.service.alarm_timeline(&Actor::operator(), id).await.expect("read");
        let failed = timeline.iter().find(|entry| entry.kind == EntryKind::Failed).expect("it says so");
        let error = failed.body["error"].as_str().expect("a reason");
        assert!(error.contains("address of the webhook") && !error.contains("s3cr3t"), "{error}");
    }
}
