use carebot_model::accounts::{Gender, NewAccount};
use carebot_model::text::{Address, Name};
use carebot_testkit::fixtures::new_account;

use crate::prelude::*;

const UNKNOWN: &str = "Fabcdefghijklmno";

both_engines! {
    async fn the_family_of_an_elder_is_found_by_the_elder(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system, lonely) = (app.house().await, app.system().await, app.person(Role::Main, "LONELY").await);
        let line = "POST /families/check-exist";
        let found = r#"{"message":"Family exists","result":{"family_id":"FAMILY"}}"#;
        app.call(line, &house.elder, json!({"id": house.elder.id})).await.is(200, found);
        app.call(line, &system, json!({"id": house.elder.id})).await.is(200, found);
        let missing =
            r#"{"detail":{"type":"no data","loc":["body","id"],"message":"Main ID is required","input":{"id":null}}}"#;
        app.call(line, ANYONE, json!({})).await.is(422, missing);
        let refused =
            r#"{"detail":{"type":"can not access","message":"You do not have permission","input":{"id":"ELDER"}}}"#;
        app.call(line, &house.guardian, json!({"id": house.elder.id})).await.is(403, refused);
        app.call(line, ANYONE, json!({"id": house.elder.id})).await.is(403, refused);
        let none =
            r#"{"detail":{"type":"not found","message":"Main ID does not have a family","input":{"id":"LONELY"}}}"#;
        app.call(line, &lonely, json!({"id": lonely.id})).await.is(404, none);
        app.call(line, &system, json!({"id": lonely.id})).await.is(404, none);
        app.call(line, &system, json!({"id": "nobody"})).await.is(404, &none.replace("LONELY", "nobody"));
    }

    async fn a_family_is_made_once_and_with_its_switches(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (elder, guardian, system) =
            (app.person(Role::Main, "ELDER").await, app.person(Role::Sub, "GUARDIAN").await, app.system().await);
        let line = "POST /families";
        app.call(line, ANYONE, json!({"family_name": "x"})).await.is(
            422,
            r#"{"detail":{"type":"no data","loc":["body","main_user"],"message":"Main user ID is required","input":{"main_user":null,"family_name":"x"}}}"#,
        );
        let refused = r#"{"detail":{"type":"can not access","message":"You do not have permission","input":{"main_user":"ELDER","family_name":null}}}"#;
        app.call(line, &guardian, json!({"main_user": elder.id})).await.is(403, refused);
        app.call(line, ANYONE, json!({"main_user": elder.id})).await.is(403, refused);
        let name = "순자네 ".repeat(20);
        let reply = app.call(line, &elder, json!({"main_user": elder.id, "family_name": name})).await;
        reply.is(201, r#"{"message":"New family created successfully","result":{"id":"ID"}}"#);
        let id = reply.given("id");
        assert!(id.starts_with('F'), "{id}");
        let family = app.get(&format!("/families/{id}"), &elder).await;
        assert_eq!(family.result()["family_name"], name.chars().take(32).collect::<String>());
        assert_eq!(
            app.get(&format!("/tools/settings/{id}"), &elder).await.result(),
            json!({"family_id": id, "is_alarm_enabled": false, "is_camera_enabled": false, "is_microphone_enabled": false, "is_driving_enabled": false})
        );
        let again = r#"{"detail":{"type":"already exists","message":"Main user already has a family","input":{"main_user":"ELDER","family_name":null}}}"#;
        app.call(line, &elder, json!({"main_user": elder.id})).await.is(409, again);
        let no_elder = r#"{"detail":{"type":"invalid value","message":"You are not a main user","input":{"main_user":"GUARDIAN","family_name":null}}}"#;
        app.call(line, &guardian, json!({"main_user": guardian.id})).await.is(400, no_elder);
        for nobody in ["Uabcdefghijklmno", "nobody"] {
            app.call(line, &system, json!({"main_user": nobody})).await.refuses(
                400,
                "invalid value",
                "You are not a main user",
            );
        }
    }

    async fn operators_list_all_families(t: TestDb) {
        let app = TestApp::new(&t).await;
        let system = app.system().await;
        app.get("/families", &system).await.is(200, r#"{"message":"No families found","result":[]}"#);
        let house = app.house().await;
        app.get("/families", &system).await.is(
            200,
            r#"{"message":"All families retrieved successfully","result":[{"id":"FAMILY","main_user":"ELDER","family_name":"순자네"}]}"#,
        );
        let refused = r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#;
        app.get("/families", &house.elder).await.is(403, refused);
        app.get("/families", ANYONE).await.is(403, refused);
    }

    async fn a_family_is_found_by_what_one_knows_of_the_elder(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let line = "POST /families/find";
        let body = json!({"user_name": "김순자", "birth_date": {"year": 1945, "month": 3, "day": 1}, "gender": "FEMALE", "address": "경기도 수원시"});
        let with = |name: &str, value: Value| {
            let mut body = body.clone();
            body[name] = value;
            body
        };
        app.call(line, &stranger, body.clone()).await.is(
            200,
            concat!(
                r#"{"message":"Families found successfully","result":[{"family_id":"FAMILY","family_name":"순자네","account_id":"ELDER","#,
                r#""account_name":"김순자","account_birth_date":"1945-03-01","account_gender":"female","account_address":"경기도 수원시"}]}"#
            ),
        );
        app.call(line, ANYONE, json!({})).await.is(
            403,
            concat!(
                r#"{"detail":{"type":"can not access","message":"You do not have permission","input":"#,
                r#"{"user_name":null,"birth_date":null,"gender":null,"address":null}}}"#
            ),
        );
        app.call(line, &stranger, json!({"user_name": ""})).await.is(
            422,
            concat!(
                r#"{"detail":{"type":"no data","loc":["body","user_name","birth_date","gender","address"],"message":"Required fields are missing","#,
                r#""input":{"user_name":"","birth_date":null,"gender":null,"address":null}}}"#
            ),
        );
        let nought = app.call(line, &stranger, with("birth_date", json!({"year": 0, "month": 3, "day": 0}))).await;
        nought.refuses(422, "no data", "Required fields are missing");
        assert_eq!(nought.json()["detail"]["loc"], json!(["body", "birth_date.year", "birth_date.day"]));
        app.call(line, &stranger, with("birth_date", json!({"year": 1945, "month": 3}))).await.is(
            422,
            r#"{"detail":[{"type":"missing","loc":["body","birth_date","day"],"msg":"Field required","input":{"year":1945,"month":3}}]}"#,
        );
        let message = "Invalid value provided for find option (gender)";
        app.call(line, &stranger, with("gender", json!("x"))).await.refuses(400, "invalid value", message);
        let message = "Invalid value provided for find option (birth_date)";
        app.call(line, &stranger, with("birth_date", json!({"year": 1945, "month": 2, "day": 30}))).await.refuses(
            400,
            "invalid value",
            message,
        );
        for (name, value) in [
            ("user_name", json!("김순")),
            ("user_name", json!("%")),
            ("gender", json!("male")),
            ("address", json!("경기도")),
            ("birth_date", json!({"year": 1945, "month": 3, "day": 2})),
        ] {
            let reply = app.call(line, &stranger, with(name, value)).await;
            reply.refuses(404, "not found", "No families found");
            assert!(reply.json()["detail"]["input"].is_object());
        }
        // An elder without a family is not found.
        app.call(&format!("DELETE /families/{}", house.family), &house.elder, json!({"password": PASSWORD}))
            .await
            .is(200, r#"{"message":"Family deleted successfully"}"#);
        app.call(line, &stranger, body).await.refuses(404, "not found", "No families found");
    }

    async fn old_and_new_names_of_a_region_are_the_same_place(t: TestDb) {
        let app = TestApp::new(&t).await;
        let stranger = app.person(Role::Sub, "STRANGER").await;
        let new = NewAccount {
            user_name: Some(Name::new("박영희".into())),
            gender: Gender::Other,
            address: Some(Address::new("전라북도 전주시 완산구".into())),
            ..new_account(&t, Role::Main, "")
        };
        let elder = app.person_of(new).await;
        t.family_of(elder.id).await;
        for address in ["전라북도 전주시 완산구", "전북특별자치도 전주시 완산구"] {
            let body = json!({"user_name": "박영희", "birth_date": {"year": 1945, "month": 3, "day": 1}, "gender": "other", "address": address});
            let found = app.call("POST /families/find", &stranger, body).await.result();
            assert_eq!(found[0]["account_address"], "전라북도 전주시 완산구", "{address}");
        }
    }

    async fn a_family_is_read_by_those_who_belong_to_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system, stranger) =
            (app.house().await, app.system().await, app.person(Role::Sub, "STRANGER").await);
        let path = format!("/families/{}", house.family);
        let whole = r#"{"message":"Family retrieved successfully","result":{"id":"FAMILY","main_user":"ELDER","family_name":"순자네"}}"#;
        for who in [&house.elder, &house.guardian, &system] {
            app.get(&path, who).await.is(200, whole);
        }
        let refused = r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#;
        app.get(&path, &stranger).await.is(403, refused);
        app.get(&format!("/families/{UNKNOWN}"), &house.elder).await.is(403, refused);
        app.get(&format!("/families/{UNKNOWN}"), &system).await.refuses(404, "not found", "Family not found");
    }

    async fn who_is_signed_in_may_know_a_familys_name(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let path = format!("/families/name/{}", house.family);
        app.get(&path, &stranger)
            .await
            .is(200, r#"{"message":"Family retrieved successfully","result":{"family_name":"순자네"}}"#);
        // From the QR code, signed out.
        app.get(&path, ANYONE)
            .await
            .is(403, r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#);
        for unknown in [UNKNOWN, "x"] {
            app.get(&format!("/families/name/{unknown}"), &stranger)
                .await
                .is(404, r#"{"detail":{"type":"not found","message":"Family not found"}}"#);
        }
        app.call(&format!("PATCH /families/{}", house.family), &house.elder, json!({"family_name": ""})).await.is(
            200,
            r#"{"message":"Family updated successfully","result":{"id":"FAMILY","main_user":"ELDER","family_name":""}}"#,
        );
        app.get(&path, &stranger)
            .await
            .is(200, r#"{"message":"Family retrieved successfully","result":{"family_name":null}}"#);
    }

    async fn a_family_is_renamed_and_keeps_its_elder(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system, stranger) =
            (app.house().await, app.system().await, app.person(Role::Sub, "STRANGER").await);
        let line = format!("PATCH /families/{}", house.family);
        let body = json!({"main_user": stranger.id, "family_name": "새 이름"});
        app.call(&line, &house.guardian, body.clone()).await.is(
            200,
            r#"{"message":"Family updated successfully","result":{"id":"FAMILY","main_user":"ELDER","family_name":"새 이름"}}"#,
        );
        assert_eq!(app.call(&line, &system, json!({"family_name": null})).await.result()["family_name"], "새 이름");
        app.call(&line, &stranger, body.clone())
            .await
            .is(403, r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#);
        app.call(&format!("PATCH /families/{UNKNOWN}"), &system, body).await.refuses(
            404,
            "not found",
            "Family not found",
        );
    }

    async fn a_family_is_deleted_with_the_callers_password_and_at_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let line = format!("DELETE /families/{}", house.family);
        app.call(&line, ANYONE, json!({"password": ""})).await.is(
            422,
            r#"{"detail":{"type":"no data","loc":["body","password"],"message":"Password is required","input":{"family_id":"FAMILY","password":"<PASSWORD>"}}}"#,
        );
        let password = json!({"password": PASSWORD});
        app.call(&line, &house.guardian, password.clone())
            .await
            .is(403, r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#);
        app.call(&format!("DELETE /families/{UNKNOWN}"), &system, password.clone()).await.refuses(
            404,
            "not found",
            "Family not found",
        );
        for who in [&house.elder, &system] {
            app.call(&line, who, json!({"password": "wrong"})).await.refuses(401, "unauthorized", "Invalid password");
        }
        let robot = json!({"family_id": house.family, "heart_rate": 70});
        assert_eq!(app.call("POST /status/health", &house.elder, robot.clone()).await.status, 201);
        assert_eq!(app.get(&format!("/families/{}", house.family), &house.guardian).await.status, 200);
        app.call(&line, &house.elder, password).await.is(200, r#"{"message":"Family deleted successfully"}"#);
        app.get(&format!("/families/{}", house.family), &house.guardian).await.forbids();
        app.get(&format!("/families/name/{}", house.family), &house.guardian).await.refuses(
            404,
            "not found",
            "Family not found",
        );
        app.call("POST /status/health", &house.elder, robot).await.forbids();
        app.get(&format!("/members?userId={}", house.guardian.id), &house.guardian)
            .await
            .is(200, r#"{"message":"No members found","result":[]}"#);
        app.get("/families", &system).await.is(200, r#"{"message":"No families found","result":[]}"#);
        // The elder can begin anew.
        app.call("POST /families", &house.elder, json!({"main_user": house.elder.id}))
            .await
            .is(201, r#"{"message":"New family created successfully","result":{"id":"ID"}}"#);
    }

    async fn only_operators_learn_that_a_family_is_not_there(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let body = json!({"family_id": UNKNOWN, "password": PASSWORD, "user_id": house.guardian.id});
        for line in [
            "GET /families/{F}",
            "PATCH /families/{F}",
            "DELETE /families/{F}",
            "GET /members?familyId={F}",
            "POST /status/home",
            "POST /status/health",
            "POST /status/active",
            "GET /status/home/{F}?start=2026-01-01",
            "GET /status/health/{F}?start=2026-01-01",
            "GET /status/active/{F}?start=2026-01-01",
            "GET /status/mental/{F}?start=2026-01-01",
            "GET /status/mental-reports/{F}?start=2026-01-01",
            "GET /status/home/latest/{F}",
            "GET /status/health/latest/{F}",
            "GET /status/active/latest/{F}",
            "GET /status/mental/latest/{F}",
            "GET /status/mental-reports/latest/{F}",
            "DELETE /status/home/latest/{F}",
            "DELETE /status/health/latest/{F}",
            "DELETE /status/active/latest/{F}",
            "DELETE /status/mental/latest/{F}",
            "DELETE /status/mental-reports/latest/{F}",
            "GET /status/mental/new/{F}",
            "POST /v1/status/mental/{F}",
            "GET /status/mental-reports/new/{F}?start=2026-01-01",
            "POST /v1/status/mental-reports/{F}?start=2026-01-01",
            "GET /status/keywords/{F}",
            "GET /status/psychology/{F}",
            "POST /notify",
            "GET /notify/new/{F}",
            "GET /notify/all/{F}",
            "GET /tools/settings/{F}",
            "PATCH /tools/settings/{F}",
            "POST /tools/background",
            "GET /tools/background/{F}",
            "DELETE /tools/background/{F}/1",
        ] {
            let line = line.replace("{F}", UNKNOWN);
            let body = if line.starts_with("GET") { json!(null) } else { body.clone() };
            app.call(&line, &system, body.clone()).await.refuses(404, "not found", "Family not found");
            app.call(&line, &house.elder, body.clone()).await.forbids();
            app.call(&line, ANYONE, body).await.forbids();
        }
    }
}
