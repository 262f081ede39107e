//! `/v1/contacts`, `/v1/push`, `/v1/channels`, and who is told first.

use std::sync::Arc;
use std::time::Duration;

use carebot_database::{contacts, journal, members, presence, rules, transact};
use carebot_external::channels::Undelivered;
use carebot_external::channels::webhook::Secret;
use carebot_model::alarms::Channel;
use carebot_model::members::Position;
use carebot_testkit::TestDb;
use carebot_testkit::app::Postbox;
use carebot_testkit::fixtures::permit;

use crate::alarms::{HOUR, MINUTE, World, join_as};
use crate::prelude::*;

const ENDPOINT: &str = "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV";
const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

/// What a browser says when it subscribes; the keys are those of RFC 8291, appendix A.
pub fn subscription(endpoint: &str) -> Value {
    json!({"endpoint": endpoint, "expirationTime": null, "keys": {"p256dh": P256DH, "auth": AUTH}})
}

/// A server with a postbox for all channels.
async fn with_post(t: &TestDb) -> (TestApp, Postbox) {
    let post = Postbox::default();
    let carrier = post.clone();
    let app = TestApp::with(t, |settings, _| settings.alarms.carrier = Some(Arc::new(carrier))).await;
    (app, post)
}

async fn change(app: &TestApp, who: &Person, body: Value) -> Reply {
    app.call("PATCH /v1/contacts", who, body).await
}

async fn subscribe(app: &TestApp, who: &Person, endpoint: &str) -> i64 {
    let reply = app.call("POST /v1/push/subscriptions", who, subscription(endpoint)).await;
    reply.result()["id"].as_i64().expect("a number")
}

async fn devices(app: &TestApp, who: &Person) -> Vec<i64> {
    let devices = app.get("/v1/push/subscriptions", who).await.result();
    devices.as_array().expect("a list").iter().map(|device| device["id"].as_i64().expect("a number")).collect()
}

both_engines! {
    async fn a_contact_has_defaults_and_is_changed_in_parts(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        app.get("/v1/contacts", &guardian).await.is(
            200,
            concat!(
                r#"{"message":"Contact retrieved successfully","result":{"user_id":"GUARDIAN","phone":null,"language":"ko","#,
                r#""channels":["push","webhook","email"],"quiet":null,"webhook_url":null}}"#
            ),
        );
        let body = json!({
            "phone": " +82 (10) 0000-0000 ",
            "language": "en",
            "channels": ["email", "push"],
            "quiet": {"from": "22:30", "until": "07:00"},
        });
        change(&app, &guardian, body).await.is(
            200,
            concat!(
                r#"{"message":"Contact updated successfully","result":{"user_id":"GUARDIAN","phone":"+82 (10) 0000-0000","language":"en","#,
                r#""channels":["email","push"],"quiet":{"from":"22:30","until":"07:00"},"webhook_url":null}}"#
            ),
        );
        let read = async || app.get("/v1/contacts", &guardian).await.result();
        change(&app, &guardian, json!({"language": "ko"})).await.succeeds(200);
        let contact = read().await;
        assert_eq!((&contact["phone"], &contact["language"]), (&json!("+82 (10) 0000-0000"), &json!("ko")));
        assert_eq!(contact["quiet"], json!({"from": "22:30", "until": "07:00"}));
        change(&app, &guardian, json!({"phone": null, "quiet": null})).await.succeeds(200);
        let contact = read().await;
        assert_eq!((&contact["phone"], &contact["quiet"]), (&Value::Null, &Value::Null));
        assert_eq!(contact["channels"], json!(["email", "push"]));
        change(&app, &guardian, json!({"phone": "119"})).await.succeeds(200);
        change(&app, &guardian, json!({"phone": " "})).await.succeeds(200);
        assert_eq!(read().await["phone"], Value::Null, "an empty number is none");
    }

    async fn what_nobody_can_be_reached_by_is_refused(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let channels = "channels are push, email and webhook, at least one of them, each at most once";
        let quiet = "Quiet hours are two different times of the day, as 22:00 and 07:00";
        let hours = |from: &str, until: &str| json!({"quiet": {"from": from, "until": until}});
        for (body, said) in [
            (json!({"phone": "call me"}), "Invalid value provided for phone"),
            (json!({"phone": "+()"}), "Invalid value provided for phone"),
            (json!({"phone": "0".repeat(33)}), "Invalid value provided for phone"),
            (json!({"phone": "０１０"}), "Invalid value provided for phone"),
            (json!({"language": "fr"}), "Invalid value provided for language"),
            (json!({"channels": []}), channels),
            (json!({"channels": ["push", "push"]}), channels),
            (json!({"channels": ["pigeon"]}), channels),
            (json!({"channels": ["stream"]}), channels),
            (json!({"channels": [5]}), channels),
            (hours("22:00", "22:00"), quiet),
            (hours("24:00", "07:00"), quiet),
            (hours("7:00", "08:00"), quiet),
            (hours("22:60", "07:00"), quiet),
            (hours("+2:00", "07:00"), quiet),
            (json!({"quiet": {"from": "22:00"}}), quiet),
            (json!({"quiet": {}}), quiet),
        ] {
            change(&app, &guardian, body).await.refuses(400, "invalid value", said);
        }
        for body in [json!({"phone": 119}), json!({"channels": "push"}), json!({"quiet": "night"}), json!({"quiet": {"from": 22}})] {
            assert_eq!(change(&app, &guardian, body.clone()).await.status, 422, "{body}");
        }
        assert_eq!(app.get("/v1/contacts", &guardian).await.result()["phone"], Value::Null);
    }

    async fn a_contact_is_the_accounts_own_and_operators(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let line = format!("/v1/contacts?userId={}", house.guardian.id);
        change(&app, &house.guardian, json!({"phone": "010-0000-0000"})).await.succeeds(200);
        for who in [&house.guardian, &system] {
            assert_eq!(app.get(&line, who).await.given("phone"), "010-0000-0000");
        }
        assert_eq!(app.get("/v1/contacts", &system).await.result()["phone"], Value::Null);
        let everything = [
            (format!("GET {line}"), json!(null)),
            (format!("PATCH {line}"), json!({"phone": null})),
            (format!("POST /v1/contacts/test?userId={}", house.guardian.id), json!({"channel": "email"})),
            (format!("GET /v1/push/subscriptions?userId={}", house.guardian.id), json!(null)),
            (format!("POST /v1/push/subscriptions?userId={}", house.guardian.id), subscription(ENDPOINT)),
            (format!("DELETE /v1/push/subscriptions/1?userId={}", house.guardian.id), json!(null)),
        ];
        for (line, body) in everything {
            app.call(&line, &house.elder, body.clone()).await.forbids();
            app.call(&line, ANYONE, body.clone()).await.forbids();
            app.call(line.split('?').next().expect("a line"), ANYONE, body.clone()).await.forbids();
            let nobody = line.replace(house.guardian.id.as_str(), "Uabcdefghijklmno");
            assert_eq!(app.call(&nobody, &system, body.clone()).await.status, 404, "{nobody}");
            assert_eq!(app.call(&nobody.replace("Uabcdefghijklmno", "x"), &system, body).await.status, 422);
        }
        app.call(&format!("PATCH {line}"), &system, json!({"phone": null})).await.succeeds(200);
        assert_eq!(app.get(&line, &house.guardian).await.result()["phone"], Value::Null);
    }

    async fn the_secret_of_a_webhook_is_shown_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let url = "https://hooks.example.com/alarm?key=1";
        let set = change(&app, &guardian, json!({"webhook_url": url})).await;
        let first = set.given("webhook_secret");
        assert!(Secret::from_text(&first).is_ok(), "it is one");
        assert_eq!(set.given("webhook_url"), url);
        let stored = contacts::get(&mut t.db.read(), guardian.id).await.expect("the contact is read").expect("it is there");
        assert_eq!(stored.webhook, Some((url.to_owned(), first.clone())));
        assert!(!format!("{stored:?}").contains("whsec_") && !format!("{stored:?}").contains("hooks.example"));
        // Never again: not when it is read, not when something else is changed.
        let read = app.get("/v1/contacts", &guardian).await;
        let other = change(&app, &guardian, json!({"phone": "010-0000-0000"})).await;
        for reply in [&read, &other] {
            assert!(!reply.text().contains("whsec_") && !reply.text().contains("webhook_secret"), "{}", reply.text());
            assert_eq!(reply.given("webhook_url"), url);
        }
        // The same address again has a new secret.
        let second = change(&app, &guardian, json!({"webhook_url": url})).await.given("webhook_secret");
        assert_ne!(second, first);
        let removed = change(&app, &guardian, json!({"webhook_url": null})).await;
        assert_eq!((removed.result()["webhook_url"].take(), removed.text().contains("secret")), (Value::Null, false));
    }

    async fn a_webhook_does_not_lead_inside(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let long = format!("https://example.com/{}", "x".repeat(2_048));
        let refused = [
            ("https://127.0.0.1/x", "The web address must not lead into a private network"),
            ("https://2130706433/x", "The web address must not lead into a private network"),
            ("https://[::ffff:10.0.0.1]/", "The web address must not lead into a private network"),
            ("https://169.254.169.254/latest", "The web address must not lead into a private network"),
            ("https://nas.local/x", "The web address must not lead into a private network"),
            ("http://hooks.example.com/x", "The web address must begin with https://"),
            ("file:///etc/passwd", "The web address must begin with https://"),
            ("https://me:word@hooks.example.com/", "The web address must not contain a user name or a password"),
            ("hooks", "This is not a valid web address"),
            ("", "This is not a valid web address"),
            (&long, "The web address is too long"),
        ];
        for (url, said) in refused {
            let reply = change(&app, &guardian, json!({"webhook_url": url})).await;
            reply.refuses(400, "invalid value", said);
            assert!(!reply.text().contains("word@"), "what may be a secret is not echoed");
            let reply = app.call("POST /v1/push/subscriptions", &guardian, subscription(url)).await;
            if !url.is_empty() {
                reply.refuses(400, "invalid value", said);
            }
        }
        assert_eq!(app.get("/v1/contacts", &guardian).await.result()["webhook_url"], Value::Null);
        assert_eq!(devices(&app, &guardian).await, [0; 0]);
        // Unless the operator allows it.
        let open = TestApp::with(&t, |settings, _| settings.alarms.allow_private = true).await;
        change(&open, &guardian, json!({"webhook_url": "http://127.0.0.1:8080/x"})).await.succeeds(200);
    }

    async fn browsers_subscribe_and_nothing_secret_is_shown(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let list = async || app.get("/v1/push/subscriptions", &guardian).await;
        list().await.is(200, r#"{"message":"No subscriptions found","result":[]}"#);
        let mut body = subscription(ENDPOINT);
        body["label"] = json!("엄마 휴대폰");
        let made = app.call("POST /v1/push/subscriptions", &guardian, body).await;
        made.is(201, r#"{"message":"Subscribed successfully","result":{"id":ROW1}}"#);
        let listed = list().await;
        listed.is(
            200,
            concat!(
                r#"{"message":"Subscriptions retrieved successfully","result":[{"id":ROW1,"host":"push.example.net","#,
                r#""label":"엄마 휴대폰","created_at":"2026-03-02T09:00:00"}]}"#
            ),
        );
        for secret in ["JzLQ3raZ", P256DH, AUTH] {
            assert!(!listed.text().contains(secret));
        }
        let stored = contacts::devices(&mut t.db.read(), guardian.id).await.expect("devices are read");
        assert_eq!((stored[0].endpoint.as_str(), stored[0].p256dh.as_str(), stored[0].auth.as_str()), (ENDPOINT, P256DH, AUTH));
        assert!(!format!("{stored:?}").contains("JzLQ3raZ") && !format!("{stored:?}").contains(AUTH));
        let id = made.result()["id"].as_i64().expect("a number");
        let line = format!("DELETE /v1/push/subscriptions/{id}");
        let other = app.person(Role::Sub, "OTHER").await;
        app.call(&line, &other, json!(null)).await.refuses(404, "not found", "Subscription not found");
        app.call(&line, &guardian, json!(null)).await.is(200, r#"{"message":"Unsubscribed successfully"}"#);
        app.call(&line, &guardian, json!(null)).await.refuses(404, "not found", "Subscription not found");
        assert_eq!(app.call("DELETE /v1/push/subscriptions/x", &guardian, json!(null)).await.status, 422);
    }

    async fn what_no_browser_sent_is_no_subscription(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let send = async |body: Value| app.call("POST /v1/push/subscriptions", &guardian, body).await;
        for body in [
            json!({}),
            json!({"endpoint": ENDPOINT}),
            json!({"keys": {"p256dh": P256DH, "auth": AUTH}}),
            json!({"endpoint": ENDPOINT, "keys": {"p256dh": P256DH}}),
            json!({"endpoint": "", "keys": {"p256dh": P256DH, "auth": AUTH}}),
        ] {
            let reply = send(body).await;
            reply.refuses(422, "no data", "Endpoint and keys are required");
            assert!(!reply.text().contains(P256DH) && !reply.text().contains("JzLQ3raZ"), "{}", reply.text());
        }
        let keys = "The keys are not those of a push subscription";
        for (p256dh, auth) in [("", AUTH), (AUTH, AUTH), (P256DH, ""), (P256DH, P256DH), ("한글", AUTH)] {
            let reply = send(json!({"endpoint": ENDPOINT, "keys": {"p256dh": p256dh, "auth": auth}})).await;
            reply.refuses(400, "invalid value", keys);
            assert!(!reply.text().contains("JzLQ3raZ"), "{}", reply.text());
        }
        for body in [
            json!({"endpoint": 5, "keys": {"p256dh": P256DH, "auth": AUTH}}),
            json!({"endpoint": ENDPOINT, "keys": [P256DH]}),
            json!({"endpoint": ENDPOINT, "keys": {"p256dh": [P256DH], "auth": AUTH}}),
            json!([ENDPOINT]),
        ] {
            let reply = send(body).await;
            assert_eq!(reply.status, 422);
            assert!(!reply.text().contains(P256DH) && !reply.text().contains("JzLQ3raZ"), "{}", reply.text());
        }
        let mut long = subscription(ENDPOINT);
        long["label"] = json!("가".repeat(65));
        send(long).await.refuses(400, "invalid value", "Text is too long");
    }

    async fn a_browser_is_known_once_and_the_oldest_of_eleven_goes(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (guardian, other) = (app.person(Role::Sub, "GUARDIAN").await, app.person(Role::Sub, "OTHER").await);
        let first = subscribe(&app, &guardian, ENDPOINT).await;
        let again = subscribe(&app, &guardian, ENDPOINT).await;
        assert_ne!(again, first);
        assert_eq!(devices(&app, &guardian).await, [again]);
        // Somebody else signed in with the same browser.
        let others = subscribe(&app, &other, ENDPOINT).await;
        assert_eq!((devices(&app, &guardian).await, devices(&app, &other).await), (vec![], vec![others]));
        let mut ids = Vec::new();
        for number in 0..12 {
            app.advance(1_000).await;
            ids.push(subscribe(&app, &guardian, &format!("https://push.example.net/{number}")).await);
        }
        assert_eq!(devices(&app, &guardian).await, ids[2..]);
        assert_eq!(devices(&app, &other).await, [others]);
    }

    async fn every_server_has_the_one_key_of_web_push(t: TestDb) {
        let (app, second) = (TestApp::new(&t).await, TestApp::on(&t, t.open_again().await, |_, _| {}).await);
        let (one, two) = tokio::join!(app.service.vapid_key(), second.service.vapid_key());
        let public = one.expect("a key").public();
        assert_eq!(public, two.expect("a key").public());
        let kept = journal::installed(&mut t.db.read(), "vapid").await.expect("it is read").expect("it is kept");
        let third = TestApp::new(&t).await;
        let reply = third.get("/v1/push/key", ANYONE).await;
        assert_eq!(reply.given("applicationServerKey"), public);
        assert!(!reply.text().contains(&kept[60..]), "the private half is shown to nobody");
        assert!(!format!("{:?}", app.service).contains(&kept[60..]));
    }

    async fn a_test_goes_to_the_own_address_at_once(t: TestDb) {
        let (app, post) = with_post(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let test = async |channel: &str| app.call("POST /v1/contacts/test", &guardian, json!({"channel": channel})).await;
        test("email").await.is(
            200,
            concat!(
                r#"{"message":"Channel tested successfully","result":{"channel":"email","is_delivered":true,"addresses":1,"#,
                r#""said":{"ko":"시험 알림을 보냈습니다. 곧 보이지 않으면 기기의 알림 설정을 확인해 주세요.","#,
                r#""en":"The test was handed over. If you do not see it soon, check the settings of your device."}}}"#
            ),
        );
        let posted = post.take();
        assert_eq!(posted.len(), 1);
        assert_eq!((posted[0].channel, posted[0].to.as_str()), (Channel::Email, guardian.email.as_str()));
        assert!(posted[0].notice.title.starts_with("[시험]") && posted[0].notice.data == json!({"test": true}));
        // One in ten seconds.
        test("email").await.refuses(429, "too many requests", "A test was sent just now, try again in ten seconds");
        app.advance(9_999).await;
        test("webhook").await.refuses(429, "too many requests", "A test was sent just now, try again in ten seconds");
        app.advance(1).await;
        let none = test("webhook").await.result();
        assert_eq!((&none["is_delivered"], &none["addresses"]), (&json!(false), &json!(0)));
        assert_eq!(none["said"]["en"], "There is no address for this channel yet.");
        // What cannot be is refused before it counts.
        app.advance(10_000).await;
        for channel in ["stream", "robot", "pigeon", "Email"] {
            test(channel).await.refuses(400, "invalid value", "Invalid value provided for channel");
        }
        app.call("POST /v1/contacts/test", &guardian, json!({})).await.refuses(422, "no data", "A channel is required");
        change(&app, &guardian, json!({"language": "en"})).await.succeeds(200);
        test("email").await.succeeds(200);
        assert!(post.take()[0].notice.title.starts_with("[Test]"));
    }

    async fn a_test_that_fails_says_why_and_forgets_what_is_gone(t: TestDb) {
        let (app, post) = with_post(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let kept = subscribe(&app, &guardian, "https://push.example.net/kept").await;
        subscribe(&app, &guardian, "https://push.example.net/gone").await;
        post.answers(|posted| if posted.to.ends_with("gone") { Err(Undelivered::Gone) } else { Ok(()) });
        let test = async || app.call("POST /v1/contacts/test", &guardian, json!({"channel": "push"})).await.result();
        let told = test().await;
        assert_eq!((&told["is_delivered"], &told["addresses"]), (&json!(true), &json!(2)));
        assert_eq!(devices(&app, &guardian).await, [kept]);
        post.answers(|_| {
            let after = Some(Duration::from_mins(1));
            Err(Undelivered::Later { reason: "the push service at push.example.net answered 503".into(), after })
        });
        app.advance(10_000).await;
        let told = test().await;
        assert_eq!(told["is_delivered"], false);
        assert_eq!(told["said"]["en"], "It could not be sent: not yet: the push service at push.example.net answered 503");
        let health = contacts::health(&mut t.db.read(), guardian.id).await.expect("health is read");
        assert_eq!((health.len(), health[0].channel, health[0].failures), (1, Channel::Push, 1));
        // Without channels the server says that it has none.
        let bare = TestApp::new(&t).await;
        let told = bare.call("POST /v1/contacts/test", &guardian, json!({"channel": "push"})).await.result();
        assert_eq!((&told["is_delivered"], &told["said"]["en"]), (&json!(false), &json!("This server has no such channel.")));
    }

    async fn who_can_be_reached_is_told_with_how_channels_served(t: TestDb) {
        let (app, post) = with_post(&t).await;
        let house = app.house().await;
        let nurse = app.person(Role::Sub, "NURSE").await;
        join_as(&app, house.family, nurse.id, Position::CareWorker).await;
        let line = format!("/v1/channels/{}", house.family);
        let quiet = json!({"quiet": {"from": "22:00", "until": "07:00"}, "language": "en", "channels": ["webhook", "email"]});
        change(&app, &house.guardian, quiet).await.succeeds(200);
        app.call("POST /v1/contacts/test", &house.guardian, json!({"channel": "email"})).await.succeeds(200);
        app.get(&line, &house.elder).await.is(
            200,
            &[
                r#"{"message":"Channels retrieved successfully","result":{"members":["#,
                r#"{"member_id":"MEMBER","user_id":"GUARDIAN","position":"guardian","order":1,"language":"en","has_quiet_hours":true,"channels":["#,
                r#"{"channel":"webhook","configured":false,"succeeded_at":null,"failed_at":null,"failures":0,"last_error":null},"#,
                r#"{"channel":"email","configured":true,"succeeded_at":"2026-03-02T09:00:00","failed_at":null,"failures":0,"last_error":null}],"#,
                r#""watching":false,"reachable":true},"#,
                r#"{"member_id":"ID","user_id":"NURSE","position":"care_worker","order":2,"language":"ko","has_quiet_hours":false,"channels":["#,
                r#"{"channel":"push","configured":false,"succeeded_at":null,"failed_at":null,"failures":0,"last_error":null},"#,
                r#"{"channel":"webhook","configured":false,"succeeded_at":null,"failed_at":null,"failures":0,"last_error":null},"#,
                r#"{"channel":"email","configured":true,"succeeded_at":null,"failed_at":null,"failures":0,"last_error":null}],"#,
                r#""watching":false,"reachable":true}],"#,
                r#""robot":{"heard_at":null,"prompts_at":null,"refused_at":null,"version":null,"battery":null},"warning":[]}}"#,
            ]
            .concat(),
        );
        // A channel that fails again and again reaches nobody.
        post.answers(|_| Err(Undelivered::Refused("no such mailbox".into())));
        for _ in 0..3 {
            app.advance(10_000).await;
            app.call("POST /v1/contacts/test", &house.guardian, json!({"channel": "email"})).await.succeeds(200);
        }
        let told = app.get(&line, &house.guardian).await.result();
        let (first, second) = (&told["members"][0], &told["members"][1]);
        assert_eq!((&first["reachable"], &second["reachable"]), (&json!(false), &json!(true)));
        assert_eq!((&first["channels"][1]["failures"], &first["channels"][1]["last_error"]), (&json!(3), &json!("refused: no such mailbox")));
        let words: Vec<&str> = told["warning"].as_array().expect("a list").iter().filter_map(|words| words["en"].as_str()).collect();
        assert_eq!(words, ["The first guardian can not be reached: set up a channel, or change the order."]);
        assert!(told["warning"][0]["ko"].as_str().is_some_and(|ko| ko.starts_with("첫 번째 보호자에게")));
        // Unless a page is open.
        let until = t.now().plus_millis(MINUTE);
        transact!(t.db, tx => { presence::arrive(&mut tx, 7, &[(house.guardian.id, Some(house.family))], until).await }).expect("a page is open");
        let told = app.get(&line, &house.guardian).await.result();
        assert_eq!((&told["members"][0]["watching"], &told["members"][0]["reachable"]), (&json!(true), &json!(true)));
        assert_eq!(told["warning"], json!([]));
    }

    async fn a_family_is_warned_if_nobody_can_be_reached(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let line = format!("/v1/channels/{}", house.family);
        let warned = async |who: &Person| -> Vec<String> {
            let told = app.get(&line, who).await.result();
            let words = told["warning"].as_array().expect("a list").clone();
            assert!(words.iter().all(|words| words["ko"].as_str().is_some_and(|ko| ko.ends_with("니다.") || ko.ends_with("세요."))));
            words.iter().map(|words| words["en"].as_str().expect("English").to_owned()).collect()
        };
        let nobody = "Nobody can be reached: somebody should set up a channel.";
        assert_eq!(warned(&house.guardian).await, [nobody], "this server has no channels");
        let staff = json!({"position": "staff"});
        app.call(&format!("PATCH /v1/members/{}/order", house.member), &house.elder, staff).await.succeeds(200);
        let none = "There is no guardian: alarms go to care workers and staff at once.";
        assert_eq!(warned(&house.guardian).await, [nobody, none]);
        app.call(&format!("DELETE /members/kick/{}", house.member), &house.elder, json!({"password": PASSWORD})).await.succeeds(200);
        assert_eq!(warned(&house.elder).await, ["Nobody looks after this family: its alarms go to the operators."]);
        app.get(&line, &house.guardian).await.forbids();
        app.get(&line, ANYONE).await.forbids();
        app.get("/v1/channels/Fabcdefghijklmno", &app.system().await).await.refuses(404, "not found", "Family not found");
    }

    async fn what_is_known_of_the_robot_is_told(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let beat = json!({"version": "1.4.2", "battery": 81});
        app.call("POST /v1/robots/heartbeat", &house.elder, beat).await.succeeds(200);
        app.advance(MINUTE).await;
        app.get("/v1/robots/prompts", &house.elder).await.succeeds(200);
        app.advance(MINUTE).await;
        let body = json!({"family_id": house.family, "temperature": 21});
        app.call("POST /status/home", &house.elder, body).await.succeeds(201);
        let refused = rules::Robot { refused_at: Some(t.now()), ..rules::Robot::default() };
        transact!(t.db, tx => { rules::note_robot(&mut tx, house.family, &refused).await }).expect("it is noted");
        let robot = app.get(&format!("/v1/channels/{}", house.family), &house.guardian).await.result()["robot"].take();
        assert_eq!(
            robot.to_string(),
            concat!(
                r#"{"heard_at":"2026-03-02T09:02:00","prompts_at":"2026-03-02T09:01:00","refused_at":"2026-03-02T09:02:00","#,
                r#""version":"1.4.2","battery":81}"#
            )
        );
    }

    async fn the_order_decides_whom_an_alarm_reaches_first(t: TestDb) {
        let world = World::new(&t).await;
        let (app, house) = (&world.app, &world.house);
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), [&*house.guardian.email]);
        world.acknowledge(&house.guardian, world.alarm(carebot_model::alarms::Rule::Fall).await.id).await;
        let places = members::placed(&mut t.db.read(), house.family).await.expect("members are read");
        let second = places.iter().find(|place| place.user_id == world.second.id).expect("the second guardian").id;
        let moved = app.call(&format!("PATCH /v1/members/{second}/order"), &house.elder, json!({"order": 1})).await;
        app.names.set(second, "SECOND-ID");
        moved.is(
            200,
            concat!(
                r#"{"message":"Order updated successfully","result":["#,
                r#"{"id":"SECOND-ID","user_id":"SECOND","nickname":"막내","position":"guardian","order":1},"#,
                r#"{"id":"MEMBER","user_id":"GUARDIAN","nickname":"막내","position":"guardian","order":2},"#,
                r#"{"id":"ID","user_id":"NURSE","nickname":"돌봄","position":"care_worker","order":3}]}"#
            ),
        );
        world.later(HOUR).await;
        world.post.take();
        app.call("POST /v1/alarms/sos", &house.elder, json!({})).await.succeeds(201);
        world.turn().await;
        assert_eq!(world.post.whom(), [&*world.second.email]);
        // Somebody who is no guardian any more comes with the staff.
        let line = format!("PATCH /v1/members/{second}/order");
        app.call(&line, &house.elder, json!({"position": "care_worker"})).await.succeeds(200);
        app.call("POST /v1/drills", &house.elder, json!({"family_id": house.family})).await.succeeds(201);
        world.turn().await;
        assert_eq!(world.post.whom(), [&*house.guardian.email]);
    }

    async fn a_member_is_placed_by_the_family(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, asker) = (app.house().await, app.person(Role::Sub, "ASKER").await);
        let other = app.person(Role::Sub, "OTHER").await;
        let last = t.join(house.family, other.id, Some(house.elder.id)).await;
        let request = t.join(house.family, asker.id, None).await;
        let line = format!("PATCH /v1/members/{}/order", house.member);
        let place = async |who: Option<&Person>, body: Value| app.call(&line, who, body).await;
        for body in [json!({}), json!({"position": "", "order": null})] {
            place(Some(&house.elder), body).await.refuses(422, "no data", "Position or order is required");
        }
        let elder = Some(&house.elder);
        place(elder, json!({"position": "cook"})).await.refuses(400, "invalid value", "Invalid value provided for position");
        for order in [0, -1] {
            place(elder, json!({"order": order})).await.refuses(400, "invalid value", "order must be 1 or more");
        }
        assert_eq!(place(elder, json!({"order": "first"})).await.status, 422);
        for who in [Some(&asker), None] {
            place(who, json!({"order": 1})).await.forbids();
        }
        for id in [request.as_str(), "Mabcdefghijklmno", "x"] {
            let reply = app.call(&format!("PATCH /v1/members/{id}/order"), &house.elder, json!({"order": 1})).await;
            reply.refuses(404, "not found", "Member not found");
        }
        // Beyond the end is the end; who is placed keeps what is not said.
        let placed = place(Some(&house.guardian), json!({"order": 99})).await.result();
        let order: Vec<_> = placed.as_array().expect("a list").iter().map(|place| place["id"].clone()).collect();
        assert_eq!(order, [json!(last), json!(house.member)]);
        assert_eq!(placed[1]["position"], "guardian");
        let listed = app.get(&format!("/members?familyId={}", house.family), &house.elder).await.result();
        assert_eq!(listed[0]["id"], json!(last), "lists of members have the same order");
        // Who was only asking then comes last.
        app.call(&format!("PATCH /v1/members/requests/{request}"), &house.elder, json!(null)).await.succeeds(200);
        let places = members::placed(&mut t.db.read(), house.family).await.expect("members are read");
        assert_eq!(places.last().map(|place| place.id), Some(request));
        let events = journal::events_after(&mut t.db.read(), &permit(house.family), 0, 10).await.expect("events are read");
        let told: Vec<Value> = events
            .iter()
            .filter(|event| event.kind.name() == "membership")
            .map(|event| serde_json::from_str(&event.body).expect("JSON"))
            .collect();
        assert_eq!(told[0], json!({"what": "order", "member_id": house.member, "user_id": house.guardian.id}));
    }
}
