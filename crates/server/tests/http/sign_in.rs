//! Sessions: how long they live, what ends them, and what it costs to guess.

use std::time::{Duration, Instant};

use carebot_database::{params, transact};
use carebot_model::RowId;
use carebot_server::edge::proxy::TrustedProxies;
use carebot_testkit::TestDb;

use crate::prelude::*;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const DEAD: &str = r#"{"detail":{"type":"unauthorized","message":"You do not have permission"}}"#;

/// Whether somebody is still signed in. Asking is a use of the session.
async fn lives(app: &TestApp, who: &str) -> bool {
    match app.get("/v1/sessions", who).await.status {
        200 => true,
        403 => false,
        other => panic!("status {other}"),
    }
}

/// The last use of a session that is written down; nothing if the session is gone.
async fn last_seen(t: &TestDb, session: RowId) -> Option<i64> {
    let sql = "SELECT last_seen FROM sessions WHERE id = ?";
    t.db.read().fetch_optional(sql, params![session], |row| row.get(0)).await.expect("the table can be read")
}

/// The use of a session is written without anybody waiting for it; here somebody does.
async fn written(t: &TestDb, session: RowId) {
    let now = t.now().millis();
    until!("the use of the session is written", last_seen(t, session).await == Some(now));
}

async fn password_hash(t: &TestDb, who: &Person) -> String {
    let sql = "SELECT password_hash FROM accounts WHERE id = ?";
    t.db.read().fetch_one(sql, params![who.id], |row| row.get(0)).await.expect("the account is there")
}

async fn set_hash(t: &TestDb, who: &Person, hash: &str) {
    t.db.execute("UPDATE accounts SET password_hash = ? WHERE id = ?", params![hash, who.id])
        .await
        .expect("the hash is set");
}

async fn guess(app: &TestApp, email: &str, password: &str, address: &str) -> Reply {
    app.request("POST /auth/login").from(address).json(&json!({"email": email, "password": password})).send().await
}

both_engines! {
    async fn a_session_ends_when_it_was_idle_for_too_long(t: TestDb) {
        for cache in [Duration::from_secs(2), Duration::ZERO] {
            let app = TestApp::with(&t, |settings, _| settings.session_cache = cache).await;
            for (role, remember, seconds) in [
                (Role::Sub, false, 1_800),
                (Role::System, false, 1_800),
                (Role::Test, false, 1_800),
                (Role::Main, false, 259_200),
                (Role::Sub, true, 2_592_000),
                (Role::Main, true, 2_592_000),
            ] {
                let person = app.person(role, "PERSON").await;
                if remember {
                    assert_eq!(app.call("PATCH /auth/auto-login", &person, json!(null)).await.status, 200);
                }
                // Never earlier than the contract says, and every use starts the time anew.
                for _ in 0..2 {
                    app.advance(seconds * SECOND).await;
                    assert!(lives(&app, &person.token).await, "{role} {remember} after {seconds} s");
                    written(&t, person.session).await;
                }
                app.advance(seconds * SECOND + MINUTE + 1).await;
                assert!(!lives(&app, &person.token).await, "{role} {remember} a minute after {seconds} s");
                assert_eq!(last_seen(&t, person.session).await, None, "an expired session goes when it is met");
            }
        }
    }

    async fn settings_say_how_long_a_session_may_idle(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.idle.normal = 5 * MINUTE).await;
        let person = app.person(Role::Sub, "PERSON").await;
        app.advance(5 * MINUTE).await;
        assert!(lives(&app, &person.token).await);
        app.advance(6 * MINUTE + 1).await;
        assert!(!lives(&app, &person.token).await);
    }

    async fn how_long_is_decided_by_the_role_at_sign_in(t: TestDb) {
        let app = TestApp::new(&t).await;
        let person = app.person(Role::Main, "PERSON").await;
        assert_eq!(
            app.call(&format!("PATCH /accounts/{}", person.id), &person, json!({"role": "sub"})).await.status,
            200
        );
        app.advance(60 * MINUTE).await;
        assert!(lives(&app, &person.token).await);
    }

    async fn a_session_that_is_used_now_and_then_does_not_end(t: TestDb) {
        let app = TestApp::new(&t).await;
        let person = app.person(Role::Sub, "PERSON").await;
        for _ in 0..10 {
            app.advance(29 * MINUTE).await;
            assert!(lives(&app, &person.token).await);
            written(&t, person.session).await;
        }
    }

    async fn the_use_of_a_session_is_written_once_a_minute_at_most(t: TestDb) {
        let app = TestApp::on(&t, t.open_again().await, |_, _| {}).await;
        let person = app.person(Role::Sub, "PERSON").await;
        let signed_in = t.now().millis();
        for _ in 0..30 {
            assert!(lives(&app, &person.token).await);
            app.advance(1_999).await;
        }
        // Everything that was begun is done.
        app.service.finish().await;
        assert_eq!(last_seen(&t, person.session).await, Some(signed_in), "nothing was written in the first minute");

        let app = TestApp::on(&t, t.open_again().await, |_, _| {}).await;
        app.advance(MINUTE).await;
        let then = t.now().millis();
        assert!(lives(&app, &person.token).await);
        written(&t, person.session).await;
        for _ in 0..30 {
            assert!(lives(&app, &person.token).await);
            app.advance(1_999).await;
        }
        app.service.finish().await;
        assert_eq!(
            last_seen(&t, person.session).await,
            Some(then),
            "written by the first use, and by no other of that minute"
        );
    }

    async fn asking_about_a_session_prolongs_it_and_a_dead_one_is_refused(t: TestDb) {
        let app = TestApp::new(&t).await;
        let person = app.person(Role::Sub, "PERSON").await;
        let check = async || app.call("POST /auth/check", ANYONE, json!({"session_id": person.token})).await;
        for _ in 0..3 {
            app.advance(25 * MINUTE).await;
            assert_eq!(check().await.status, 200);
            written(&t, person.session).await;
        }
        app.advance(32 * MINUTE).await;
        let reply = check().await;
        reply.is(401, DEAD);
        assert_eq!(reply.header("set-cookie"), "");
        assert!(!lives(&app, &person.token).await);
    }

    async fn expired_sessions_are_deleted_by_and_by(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (sub, main, remembered) = (
            app.person(Role::Sub, "SUB").await,
            app.person(Role::Main, "MAIN").await,
            app.person(Role::Sub, "KEPT").await,
        );
        assert_eq!(app.call("PATCH /auth/auto-login", &remembered, json!(null)).await.status, 200);
        let left = async || {
            let mut left = Vec::new();
            for person in [&sub, &main, &remembered] {
                left.push(last_seen(&t, person.session).await.is_some());
            }
            left
        };
        for (pass, count, expected) in [
            (31 * MINUTE, 0, [true, true, true]),
            (1, 1, [false, true, true]),
            (259_200 * SECOND, 1, [false, false, true]),
            (2_592_000 * SECOND, 1, [false, false, false]),
        ] {
            app.advance(pass).await;
            assert_eq!(app.service.delete_expired_sessions().await.expect("deleted"), count);
            assert_eq!(left().await, expected);
        }
    }

    async fn signing_out_ends_that_session_at_once_and_no_other(t: TestDb) {
        let app = TestApp::new(&t).await;
        let person = app.person(Role::Sub, "PERSON").await;
        let other = app.sign_in(&person.email, PASSWORD).await;
        // Both are remembered by the server now.
        assert!(lives(&app, &person.token).await && lives(&app, &other).await);
        assert_eq!(app.call("POST /auth/logout", &person, json!(null)).await.status, 200);
        assert!(!lives(&app, &person.token).await);
        assert!(lives(&app, &other).await);
        assert_eq!(app.call("POST /auth/check", ANYONE, json!({"session_id": person.token})).await.status, 401);
    }

    async fn a_change_of_role_counts_at_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (system, other) = (app.system().await, app.system().await);
        assert_eq!(app.get("/accounts", &other).await.status, 200);
        let line = format!("PATCH /accounts/{}", other.id);
        assert_eq!(app.call(&line, &system, json!({"role": "sub"})).await.status, 200);
        app.get("/accounts", &other).await.forbids();
        assert_eq!(app.call(&line, &system, json!({"role": "system"})).await.status, 200);
        assert_eq!(app.get("/accounts", &other).await.status, 200);
    }

    async fn a_new_password_ends_the_other_sessions_of_persons_at_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let robot = &house.elder.token;
        assert_eq!(app.call("POST /status/health", robot, json!({"family_id": house.family})).await.status, 201);
        let (phone, tablet) =
            (app.sign_in(&house.elder.email, PASSWORD).await, app.sign_in(&house.elder.email, PASSWORD).await);
        assert!(lives(&app, &phone).await && lives(&app, &tablet).await && lives(&app, robot).await);
        let body =
            json!({"user_id": house.elder.id, "current_password": PASSWORD, "new_password": "one fine password"});
        assert_eq!(app.call("PATCH /auth/change-password", &phone, body).await.status, 200);
        assert!(lives(&app, &phone).await, "who changed it stays");
        assert!(!lives(&app, &tablet).await);
        // A fall reported with a dead session would be refused.
        assert_eq!(
            app.call("POST /notify", robot, json!({"family_id": house.family, "notification_grade": "CRIT"}))
                .await
                .status,
            201
        );
        // By an operator: nobody's session stays but the robot's.
        let system = app.system().await;
        let body =
            json!({"user_id": house.elder.id, "current_password": PASSWORD, "new_password": "two fine passwords"});
        assert_eq!(app.call("PATCH /auth/change-password", &system, body).await.status, 200);
        assert!(!lives(&app, &phone).await);
        assert!(lives(&app, robot).await && lives(&app, &system.token).await);
    }

    async fn the_session_of_a_fall_detector_is_a_robots(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let robot = &house.elder.token;
        let fall = || app.call("POST /notify", robot, json!({"family_id": house.family, "notification_grade": "CRIT", "descriptions": "낙상감지"}));
        fall().await.succeeds(201);
        let phone = app.sign_in(&house.elder.email, PASSWORD).await;
        let body = json!({"user_id": house.elder.id, "current_password": PASSWORD, "new_password": "one fine password"});
        assert_eq!(app.call("PATCH /auth/change-password", &phone, body).await.status, 200);
        fall().await.succeeds(201);
        // Another program of the robot has signed their session out: the family is told that falls are refused.
        assert_eq!(app.call("POST /auth/logout", robot, json!({"family_id": house.family})).await.status, 200);
        fall().await.forbids();
        let told = app.get(&format!("/notify/new/{}", house.family), &house.guardian).await.result().to_string();
        assert!(told.contains("로봇 연결 거부"), "{told}");
        assert_eq!(app.call("POST /auth/logout", robot, json!({})).await.status, 200, "once more is no fault");
    }

    async fn a_deleted_account_is_signed_out_at_once_everywhere(t: TestDb) {
        let app = TestApp::new(&t).await;
        let person = app.person(Role::Sub, "PERSON").await;
        let other = app.sign_in(&person.email, PASSWORD).await;
        assert!(lives(&app, &person.token).await && lives(&app, &other).await);
        assert_eq!(
            app.call(&format!("DELETE /accounts/{}", person.id), &person, json!({"password": PASSWORD})).await.status,
            200
        );
        assert!(!lives(&app, &person.token).await && !lives(&app, &other).await);
        assert_eq!(app.call("POST /auth/check", ANYONE, json!({"session_id": other})).await.status, 401);
    }

    async fn another_server_honours_a_sign_out_within_its_cache_time(t: TestDb) {
        let here = TestApp::new(&t).await;
        let strict = TestApp::on(&t, t.open_again().await, |settings, _| settings.session_cache = Duration::ZERO).await;
        let quick =
            TestApp::on(&t, t.open_again().await, |settings, _| settings.session_cache = Duration::from_millis(30))
                .await;
        let house = here.house().await;
        let (elder, guardian) = (&house.elder, &house.guardian);
        let families = format!("/families/{}", house.family);
        for there in [&strict, &quick] {
            assert!(lives(there, &elder.token).await);
            assert_eq!(there.get(&families, guardian).await.status, 200);
        }
        assert_eq!(here.call("POST /auth/logout", elder, json!(null)).await.status, 200);
        let token = here.sign_in(&elder.email, PASSWORD).await;
        let kick = format!("DELETE /members/kick/{}", house.member);
        assert_eq!(here.call(&kick, &token, json!({"password": PASSWORD})).await.status, 200);
        assert!(!lives(&strict, &elder.token).await);
        assert_eq!(strict.get(&families, guardian).await.status, 403);
        until!("the other server has forgotten the session", !lives(&quick, &elder.token).await);
        until!("the other server has forgotten the membership", quick.get(&families, guardian).await.status == 403);
        for there in [strict, quick] {
            there.service.finish().await;
        }
    }

    async fn guessing_is_slowed_down_by_account(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.throttle.account = 3).await;
        let person = app.person(Role::Sub, "PERSON").await;
        let mut address = 0;
        // From a new address each time.
        let mut guess_from_anywhere = async |password: &str| {
            address += 1;
            guess(&app, &format!(" {}", person.email.to_uppercase()), password, &format!("192.0.2.{address}")).await
        };
        for _ in 0..3 {
            guess_from_anywhere("wrong").await.refuses(401, "unauthorized", "Invalid email or password");
        }
        for (wait, longer) in [(1, 2), (2, 4), (4, 8)] {
            for password in ["wrong", PASSWORD] {
                let reply = guess_from_anywhere(password).await;
                reply.is(
                    429,
                    r#"{"detail":{"type":"too many requests","message":"Too many failed attempts, try again later"}}"#,
                );
                assert_eq!(reply.header("retry-after"), wait.to_string());
            }
            app.advance(wait * SECOND).await;
            assert_eq!(guess_from_anywhere("wrong").await.status, 401, "one more, and then {longer} s");
        }
        app.advance(8 * SECOND).await;
        assert_eq!(guess_from_anywhere(PASSWORD).await.status, 200);
        // And all is forgotten.
        for _ in 0..3 {
            assert_eq!(guess_from_anywhere("wrong").await.status, 401);
        }
        assert_eq!(guess_from_anywhere("wrong").await.status, 429);
    }

    async fn guessing_at_once_is_slowed_down_like_guessing_in_turn(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| {
            settings.throttle.account = 3;
            settings.hash_concurrency = 1;
        })
        .await;
        let person = app.person(Role::Sub, "PERSON").await;
        let guesses = (0..12).map(|number| {
            let (app, email) = (&app, &person.email);
            async move { guess(app, email, "wrong", &format!("192.0.2.{number}")).await.status }
        });
        let statuses = futures_util::future::join_all(guesses).await;
        let of = |status: u16| statuses.iter().filter(|other| **other == status).count();
        assert_eq!((of(401), of(429)), (3, 9), "{statuses:?}");
    }

    async fn guessing_is_slowed_down_by_address(t: TestDb) {
        let app = TestApp::with(&t, |settings, server| {
            settings.throttle.address = 3;
            server.trusted_proxies = TrustedProxies(vec![("10.0.0.1".parse().expect("an address"), 32)]);
        })
        .await;
        let person = app.person(Role::Sub, "PERSON").await;
        for number in 0..3 {
            assert_eq!(guess(&app, &format!("nobody{number}@example.com"), "wrong", "192.0.2.1").await.status, 401);
        }
        let slowed = guess(&app, &person.email, PASSWORD, "192.0.2.1").await;
        assert_eq!((slowed.status, slowed.header("retry-after")), (429, "1"));
        assert_eq!(guess(&app, &person.email, PASSWORD, "192.0.2.2").await.status, 200);
        // The client behind a trusted proxy counts, and nobody gets away by writing that header himself.
        let body = json!({"email": person.email, "password": PASSWORD});
        let login = |from: &str, client: &str| {
            app.request("POST /auth/login").from(from).header("x-forwarded-for", client).json(&body)
        };
        assert_eq!(login("10.0.0.1", "192.0.2.1").send().await.status, 429);
        assert_eq!(login("10.0.0.1", "198.51.100.7, 192.0.2.1").send().await.status, 429);
        assert_eq!(login("192.0.2.1", "198.51.100.7").send().await.status, 429);
        assert_eq!(login("10.0.0.1", "192.0.2.9").send().await.status, 200);
    }

    async fn guessing_ones_own_password_is_slowed_down_too(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.throttle.account = 3).await;
        let house = app.house().await;
        let change =
            json!({"user_id": house.elder.id, "current_password": "wrong", "new_password": "one fine password"});
        let wrong = json!({"password": "wrong"});
        assert_eq!(app.call("PATCH /auth/change-password", &house.elder, change.clone()).await.status, 401);
        assert_eq!(
            app.call(&format!("DELETE /accounts/{}", house.elder.id), &house.elder, wrong.clone()).await.status,
            401
        );
        assert_eq!(
            app.call(&format!("DELETE /members/kick/{}", house.member), &house.elder, wrong.clone()).await.status,
            401
        );
        for (line, body) in [
            ("PATCH /auth/change-password".to_owned(), change),
            (format!("DELETE /accounts/{}", house.elder.id), wrong.clone()),
            (format!("DELETE /families/{}", house.family), wrong.clone()),
            (format!("DELETE /members/kick/{}", house.member), json!({"password": PASSWORD})),
        ] {
            app.call(&line, &house.elder, body).await.refuses(
                429,
                "too many requests",
                "Too many failed attempts, try again later",
            );
        }
        // Whoever else has a password is not concerned.
        assert_eq!(app.call(&format!("DELETE /members/{}", house.member), &house.guardian, wrong).await.status, 401);
        app.advance(SECOND).await;
        let right = json!({"password": PASSWORD});
        assert_eq!(app.call(&format!("DELETE /members/kick/{}", house.member), &house.elder, right).await.status, 200);
    }

    async fn a_password_of_the_existing_system_is_taken_and_hashed_anew(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (person, other) = (app.person(Role::Sub, "PERSON").await, app.person(Role::Sub, "OTHER").await);
        let old = |password: &[u8]| bcrypt::hash(password, 4).expect("bcrypt works").replace("$2y$", "$2b$");
        let hash = old("오래된 비밀번호".as_bytes());
        set_hash(&t, &person, &hash).await;
        assert_eq!(guess(&app, &person.email, "다른 비밀번호", "192.0.2.1").await.status, 401);
        assert_eq!(password_hash(&t, &person).await, hash, "a wrong password changes nothing");
        for _ in 0..2 {
            app.sign_in(&person.email, "오래된 비밀번호").await;
            assert!(password_hash(&t, &person).await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        }
        // What is beyond 72 bytes never counted there.
        let long = "a".repeat(100);
        set_hash(&t, &other, &old(&long.as_bytes()[..72])).await;
        app.sign_in(&other.email, &long).await;
        app.sign_in(&other.email, &long).await;
        assert_eq!(
            guess(&app, &other.email, &long[..80], "192.0.2.1").await.status,
            401,
            "from now on all of it counts"
        );
    }

    async fn an_old_password_proves_its_owner_too(t: TestDb) {
        let app = TestApp::new(&t).await;
        let person = app.person(Role::Sub, "PERSON").await;
        set_hash(&t, &person, &bcrypt::hash("short", 4).expect("bcrypt works")).await;
        let body = json!({"user_id": person.id, "current_password": "short", "new_password": "one fine password"});
        assert_eq!(app.call("PATCH /auth/change-password", &person, body).await.status, 200);
        app.sign_in(&person.email, "one fine password").await;
    }

    async fn an_unknown_address_costs_as_much_time_as_a_wrong_password(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| {
            (settings.throttle.account, settings.throttle.address) = (u32::MAX, u32::MAX);
        })
        .await;
        let person = app.person(Role::Sub, "PERSON").await;
        // The fastest of several: whatever else the machine does only adds to it.
        let mut fastest = [Duration::MAX; 2];
        until!("both take about as long", {
            for (email, fastest) in [person.email.as_str(), "unknown@example.com"].iter().zip(&mut fastest) {
                let begun = Instant::now();
                assert_eq!(guess(&app, email, "not the password", "192.0.2.1").await.status, 401);
                *fastest = begun.elapsed().min(*fastest);
            }
            fastest[0] * 2 > fastest[1] && fastest[1] * 2 > fastest[0]
        });
    }

    async fn tokens_and_passwords_are_stored_hashed(t: TestDb) {
        let app = TestApp::new(&t).await;
        let person = app.person(Role::Sub, "PERSON").await;
        let token = app.sign_in(&person.email, PASSWORD).await;
        let columns = transact!(t.db, tx => {
            tx.fetch("SELECT HEX(token_hash), label FROM sessions", vec![], |row| Ok((row.get::<String>(0)?, row.get::<Option<String>>(1)?))).await
        });
        for (hash, label) in columns.expect("the sessions") {
            assert_eq!(hash.len(), 64, "SHA-256");
            assert!(!hash.eq_ignore_ascii_case(&token) && label.is_none_or(|label| !label.contains(&token)));
        }
        assert!(password_hash(&t, &person).await.starts_with("$argon2id$"));
    }
}
