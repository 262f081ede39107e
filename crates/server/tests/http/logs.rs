//! What is logged, and what never is.

use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use tracing_subscriber::filter::LevelFilter;

use carebot_external::Key;
use carebot_external::ai::openai;
use carebot_external::guard::Limits;
use carebot_testkit::provider::{Play, Provider};

use crate::prelude::*;

/// Everything that this program has logged since it was asked for first.
struct Captured(Mutex<Vec<u8>>);

static CAPTURED: LazyLock<Captured> = LazyLock::new(|| Captured(Mutex::default()));

impl Captured {
    /// Begins to listen, to all tests at once: a log belongs to the program, not to a test.
    fn begin() -> &'static Self {
        static BEGUN: LazyLock<()> = LazyLock::new(|| {
            let subscriber =
                tracing_subscriber::fmt().with_ansi(false).with_max_level(LevelFilter::TRACE).with_writer(|| Tap);
            tracing::subscriber::set_global_default(subscriber.finish()).expect("nobody else listens");
        });
        LazyLock::force(&BEGUN);
        &CAPTURED
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

struct Tap;

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        CAPTURED.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

both_engines! {
    async fn what_the_elder_says_and_a_model_answers_is_not_logged(t: TestDb) {
        let log = Captured::begin();
        let tag = format!("{:?}-{:016x}", t.engine, t.rng.next());
        let (said, answered, key) = (format!("said-{tag}"), format!("answered-{tag}"), format!("key-{tag}"));
        // Broken in ways whose plain description would quote it.
        let answers = [
            json!({"recommendations": answered}).to_string(),
            json!({"overall_emotional_state": "x", "emotional_insights": "x", "recommendations": ["x"],
                   "time_based_emotions": [{"time": "x", "emotion": "x", "score": answered, "reason": "x"}]}).to_string(),
            answered.clone(),
        ];
        let mut count = 0;
        let told = answered.clone();
        let provider = Provider::start(move |_| {
            count += 1;
            let text = if count <= 5 { "네." } else { answers[count % answers.len()].as_str() };
            if count % 7 == 0 {
                return Play::Answer(400, "application/json", json!({"error": {"message": told}}).to_string().into_bytes());
            }
            Play::json(json!({"choices": [{"message": {"content": text}}]}).to_string())
        })
        .await;
        let app = TestApp::with(&t, |settings, _| {
            settings.assistant.provider = carebot_service::assistant::Provider::OpenAi(openai::Settings {
                base_url: provider.url(),
                key: Some(Key(key.clone())),
                model: "m".to_owned(),
                answer_tokens: 100,
                report_tokens: 300,
                limits: Limits { tries: 1, failures: 1_000, ..Limits::default() },
            });
        })
        .await;
        let house = app.house().await;
        for _ in 0..5 {
            let body = json!({"user_id": house.elder.id, "message": said});
            app.call("POST /chats", &house.elder, body).await;
        }
        for _ in 0..4 {
            for path in ["status/mental/new", "status/psychology", "status/keywords"] {
                app.get(&format!("/{path}/{}", house.family), &house.guardian).await;
            }
        }
        let text = log.text();
        assert!(text.contains("the assistant did not answer"), "something was logged");
        for secret in [said, answered, key] {
            assert!(!text.contains(&secret), "{secret} is in the log");
        }
    }

    async fn no_password_token_address_or_letter_is_logged_or_echoed(t: TestDb) {
        let log = Captured::begin();
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        // Words that nothing else in these tests says; each engine its own.
        let tag = format!("{:?}-{:016x}", t.engine, t.rng.next());
        let word = |name: &str| format!("{name}-{tag}");
        let (email, password, new, letter) =
            (format!("mail-{tag}@example.com"), word("password"), word("newer"), word("letter"));
        let mut secrets = vec![
            email.clone(),
            password.clone(),
            new.clone(),
            letter.clone(),
            house.elder.token.clone(),
            house.guardian.token.clone(),
        ];

        let account = json!({"email": email, "password": password, "role": "sub", "user_name": letter});
        let id = app.call("POST /accounts", ANYONE, account.clone()).await.given("id");
        let token = app.sign_in(&email, &password).await;
        secrets.push(token.clone());
        let wrong = word("wrong");
        secrets.push(wrong.clone());
        let elder = house.elder.id.as_str();
        let mut replies = Vec::new();
        for (line, body) in [
            ("POST /accounts", account.clone()),
            ("POST /accounts", json!({"password": password})),
            ("POST /accounts", json!({"email": email, "password": password, "role": "king"})),
            ("POST /accounts", json!({"email": [email], "password": {"x": password}})),
            ("POST /accounts", json!([password])),
            ("POST /auth/login", json!({"email": email, "password": wrong})),
            ("POST /auth/login", json!({"email": "", "password": wrong})),
            ("POST /auth/login", json!({"email": email, "password": [wrong]})),
            ("POST /auth/check", json!({"session_id": {"x": token}})),
            ("POST /auth/check", json!([token])),
            ("PATCH /auth/change-password", json!({"user_id": id, "current_password": wrong, "new_password": new})),
            (
                "PATCH /auth/change-password",
                json!({"user_id": elder, "current_password": password, "new_password": new}),
            ),
            ("PATCH /auth/change-password", json!({"current_password": password, "new_password": new})),
            ("DELETE /accounts/Uabcdefghijklmno", json!({"password": wrong})),
            ("DELETE /families/Fabcdefghijklmno", json!({"password": wrong})),
            ("DELETE /members/Mabcdefghijklmno", json!({"password": wrong})),
            ("PATCH /accounts/Uabcdefghijklmno", json!({"password": wrong, "role": "main"})),
        ] {
            replies.push(app.call(line, &token, body).await);
        }
        for broken in [format!("{{\"password\":\"{password}\""), format!("password={password}")] {
            for media in ["application/json", "text/plain"] {
                replies.push(app.request("POST /auth/login").body(media, broken.clone()).send().await);
            }
        }
        let shown = [&password, &new, &wrong, &token];
        for reply in &replies {
            let text = reply.text();
            assert!((400..500).contains(&reply.status), "{} {text}", reply.status);
            assert!(shown.iter().all(|secret| !text.contains(secret.as_str())), "{text}");
        }
        let change = json!({"user_id": id, "current_password": password, "new_password": new});
        assert_eq!(app.call("PATCH /auth/change-password", &token, change).await.status, 200);
        let message = json!({"from_id": house.guardian.id, "to_id": elder, "content": letter});
        assert_eq!(app.call("POST /messages/send", &house.guardian, message).await.status, 201);
        assert_eq!(
            app.call("POST /notify", &house.elder, json!({"family_id": house.family, "descriptions": letter}))
                .await
                .status,
            201
        );
        assert_eq!(app.get("/messages/new", &house.elder).await.result()[0]["content"], letter.as_str());
        // What a picture is called is its owner's own words, too.
        let form = app.request("POST /upload").by(&house.guardian).file(&letter, &crate::images::png(3, 3));
        let picture = form.send().await.given("file_path");
        assert!(picture.contains(&letter));
        assert_eq!(app.get(&picture, &house.elder).await.status, 200);
        let deletion = picture.replace("/access/", "DELETE /delete/");
        app.call(&deletion, &house.elder, Value::Null).await.forbids();
        // Failures say the most.
        app.advance(61_000).await;
        t.db.close().await;
        for (line, body) in [
            ("POST /auth/login", json!({"email": email, "password": new})),
            ("POST /auth/check", json!({"session_id": house.guardian.token})),
            ("POST /notify", json!({"family_id": house.family, "descriptions": letter})),
            ("POST /auth/logout", json!({"session_id": house.elder.token})),
        ] {
            assert_eq!(app.call(line, &house.elder, body).await.status, 503, "{line}");
        }
        assert_eq!(app.get(&picture, &house.elder).await.status, 503);
        assert_eq!(app.call(&deletion, &house.elder, Value::Null).await.status, 503);
        let log = log.text();
        assert!(log.contains("request answered") && log.contains("request failed"), "the log is listened to");
        for secret in secrets {
            let line = log.lines().find(|line| line.contains(&secret));
            assert_eq!(line, None, "{secret} stands in the log");
        }
    }

    async fn a_failure_is_logged_with_its_reason_and_the_id_that_the_client_got(t: TestDb) {
        let log = Captured::begin();
        let app = TestApp::new(&t).await;
        let id = format!("failure-{:016x}-{:?}", t.rng.next(), t.engine);
        t.db.close().await;
        let reply = app.request("GET /readyz").header("x-request-id", &id).send().await;
        assert_eq!((reply.status, reply.header("x-request-id")), (503, id.as_str()));
        let log = log.text();
        let line = log
            .lines()
            .find(|line| line.contains(&id) && line.contains("request failed"))
            .expect("the failure is logged");
        assert!(line.contains("ERROR") && line.contains("path=\"/readyz\"") && line.contains("status=503"), "{line}");
        assert!(line.contains("inside="), "why: {line}");
    }

    async fn a_robot_whose_session_was_ended_is_named_in_the_log(t: TestDb) {
        let log = Captured::begin();
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let report = json!({"family_id": house.family});
        assert_eq!(app.call("POST /status/home", &house.elder, report.clone()).await.status, 201);
        let person = app.sign_in(&house.elder.email, PASSWORD).await;
        let line = format!("DELETE /v1/sessions/{}", house.elder.session);
        assert_eq!(app.call(&line, &person, json!({"end_robot": true})).await.status, 200);
        app.call("POST /status/home", &house.elder, report).await.forbids();
        let log = log.text();
        let named = |line: &&str| {
            line.contains("a robot's session that was ended is still being used")
                && line.contains(house.elder.id.as_str())
                // Elders of other tests, whose lines come here too, have the same id.
                && line.contains(&format!("session={}", house.elder.session))
        };
        let line = log.lines().find(named).expect("it is logged");
        assert!(line.contains("WARN"), "{line}");
        assert!(!log.contains(&house.elder.token));
    }
}
