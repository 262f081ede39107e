//! Several at once want what only one can have.

use futures_util::future::join_all;

use crate::prelude::*;

/// How many at once.
const MANY: usize = 8;

/// How many answers have each status.
fn counted(replies: &[Reply], statuses: [u16; 2]) -> [usize; 2] {
    let counts = statuses.map(|status| replies.iter().filter(|reply| reply.status == status).count());
    let told: Vec<_> = replies.iter().map(|reply| (reply.status, reply.text())).collect();
    assert_eq!(counts.iter().sum::<usize>(), replies.len(), "{told:?}");
    counts
}

both_engines! {
    async fn one_address_becomes_one_account(t: TestDb) {
        let app = TestApp::new(&t).await;
        let sign_up = |number: usize| {
            let email = if number.is_multiple_of(2) { "Mother@example.com" } else { "mother@EXAMPLE.com " };
            app.call("POST /accounts", ANYONE, json!({"email": email, "password": PASSWORD, "role": "main"}))
        };
        assert_eq!(counted(&join_all((0..MANY).map(sign_up)).await, [201, 409]), [1, MANY - 1]);
    }

    async fn two_accounts_do_not_change_to_one_address(t: TestDb) {
        let app = TestApp::new(&t).await;
        let mut people = Vec::new();
        for _ in 0..MANY {
            people.push(app.person(Role::Sub, "PERSON").await);
        }
        let change = async |person: &Person| {
            app.call(&format!("PATCH /accounts/{}", person.id), person, json!({"email": "wanted@example.com"})).await
        };
        assert_eq!(counted(&join_all(people.iter().map(change)).await, [200, 409]), [1, MANY - 1]);
    }

    async fn an_elder_gets_one_family(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let make = |_| app.call("POST /families", &elder, json!({"main_user": elder.id}));
        assert_eq!(counted(&join_all((0..MANY).map(make)).await, [201, 409]), [1, MANY - 1]);
    }

    async fn a_guardian_asks_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, asker) = (app.house().await, app.person(Role::Sub, "ASKER").await);
        let ask = |_| app.call("POST /members", &asker, json!({"family_id": house.family, "user_id": asker.id}));
        assert_eq!(counted(&join_all((0..MANY).map(ask)).await, [201, 409]), [1, MANY - 1]);
    }

    async fn a_role_is_not_changed_while_a_family_is_made(t: TestDb) {
        let app = TestApp::new(&t).await;
        for _ in 0..MANY {
            let elder = app.person(Role::Main, "ELDER").await;
            let line = format!("PATCH /accounts/{}", elder.id);
            let (made, changed) = tokio::join!(
                app.call("POST /families", &elder, json!({"main_user": elder.id})),
                app.call(&line, &elder, json!({"role": "sub"})),
            );
            assert!(
                matches!((made.status, changed.status), (201, 409) | (400, 200)),
                "{} {}",
                made.text(),
                changed.text()
            );
        }
    }

    async fn a_request_is_approved_or_refused_and_not_both(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for _ in 0..MANY {
            let asker = app.person(Role::Sub, "ASKER").await;
            let id = app
                .call("POST /members", &asker, json!({"family_id": house.family, "user_id": asker.id}))
                .await
                .given("id");
            let (approve, refuse) =
                (format!("PATCH /v1/members/requests/{id}"), format!("DELETE /v1/members/requests/{id}"));
            let (approved, refused) =
                tokio::join!(app.call(&approve, &house.elder, json!(null)), app.call(&refuse, &asker, json!(null)));
            assert!(
                matches!((approved.status, refused.status), (200, 404) | (404, 200)),
                "{} {}",
                approved.text(),
                refused.text()
            );
            let reads = app.get(&format!("/families/{}", house.family), &asker).await.status;
            assert_eq!(reads == 200, approved.status == 200);
        }
    }

    async fn switches_that_are_missing_are_made_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        t.db.execute("DELETE FROM settings", vec![]).await.expect("the row is gone");
        let line = format!("PATCH /tools/settings/{}", house.family);
        let names = ["is_alarm_enabled", "is_camera_enabled", "is_microphone_enabled", "is_driving_enabled"];
        let change = |number: usize| app.call(&line, &house.elder, json!({names[number % 4]: true}));
        let replies = join_all((0..MANY).map(change)).await;
        assert_eq!(counted(&replies, [200, 503])[0], MANY);
        let switches = app.get(&format!("/tools/settings/{}", house.family), &house.elder).await.result();
        assert!(names.iter().all(|name| switches[name] == true), "{switches}");
    }

    async fn reports_at_once_are_all_stored_and_each_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let report = |number: usize| {
            app.call("POST /status/health", &house.elder, json!({"family_id": house.family, "heart_rate": number}))
        };
        let replies = join_all((0..200).map(report)).await;
        assert!(replies.iter().all(|reply| reply.status == 201));
        let rows =
            app.get(&format!("/status/health/{}?start=2026-01-01", house.family), &house.guardian).await.result();
        let mut rates: Vec<_> =
            rows.as_array().expect("a list").iter().map(|row| row["heart_rate"].as_u64().expect("a number")).collect();
        rates.sort_unstable();
        assert_eq!(rates, (0..200).collect::<Vec<_>>());
    }

    async fn the_newest_reports_are_deleted_one_by_one(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        for number in 0..MANY {
            assert_eq!(
                app.call("POST /status/health", &house.elder, json!({"family_id": house.family, "heart_rate": number}))
                    .await
                    .status,
                201
            );
            app.advance(1000).await;
        }
        let delete = |_| {
            let line = format!("DELETE /status/health/latest/{}", house.family);
            async { (line, &system) }
        };
        let replies = join_all((0..MANY - 1).map(delete).map(async |request| {
            let (line, system) = request.await;
            app.call(&line, system, json!(null)).await
        }))
        .await;
        assert_eq!(counted(&replies, [200, 404]), [MANY - 1, 0]);
        let latest = app.get(&format!("/status/health/latest/{}", house.family), &house.elder).await.result();
        assert_eq!(latest["heart_rate"], 0);
    }

    async fn a_family_is_deleted_while_its_robot_reports(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let line = format!("DELETE /families/{}", house.family);
        let (gone, replies) = tokio::join!(app.call(&line, &house.elder, json!({"password": PASSWORD})), async {
            let mut replies = Vec::new();
            loop {
                replies.push(app.call("POST /status/home", &house.elder, json!({"family_id": house.family})).await);
                if replies.last().is_some_and(|reply| reply.status != 201) {
                    return replies;
                }
            }
        });
        assert_eq!(gone.status, 200);
        let [_, refused] = counted(&replies, [201, 403]);
        assert_eq!(refused, 1);
    }
}
