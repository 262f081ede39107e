//! Every text comes back as it was sent, whatever its script: over the wire, through either engine, and back.

use carebot_testkit::fixtures::TEXTS;

use crate::prelude::*;

both_engines! {
    async fn every_text_comes_back_as_it_was_sent(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let (elder, guardian, family) = (&house.elder, &house.guardian, house.family);
        for text in TEXTS {
            let account = json!({"user_name": text, "address": text});
            let line = format!("PATCH /accounts/{}", elder.id);
            let changed = app.call(&line, elder, account).await.result();
            assert_eq!((&changed["user_name"], &changed["address"]), (&json!(text), &json!(text)));
            let read = app.get(&format!("/accounts/{}", elder.id), elder).await.result();
            assert_eq!((&read["user_name"], &read["address"]), (&json!(text), &json!(text)));
            let asked = app.get(&format!("/messages/receivable/{}", guardian.id), guardian).await.result();
            assert_eq!(asked[0]["name"], *text);

            let line = format!("PATCH /families/{family}");
            assert_eq!(app.call(&line, elder, json!({"family_name": text})).await.result()["family_name"], *text);
            let name = app.get(&format!("/families/name/{family}"), guardian).await.result()["family_name"].clone();
            assert_eq!(name, if text.is_empty() { json!(null) } else { json!(text) });
            let line = format!("PATCH /members/{}", house.member);
            assert_eq!(app.call(&line, guardian, json!({"nickname": text})).await.result()["nickname"], *text);
            assert_eq!(app.get(&format!("/messages/receivable/{}", elder.id), elder).await.result()[0]["name"], *text);

            assert_eq!(
                app.call("POST /status/home", elder, json!({"family_id": family, "others": text})).await.status,
                201
            );
            assert_eq!(app.get(&format!("/status/home/latest/{family}"), guardian).await.result()["others"], *text);
            let active = json!({"family_id": family, "action": text, "description": text, "image_url": text});
            assert_eq!(app.call("POST /status/active", elder, active).await.status, 201);
            let row = app.get(&format!("/status/active/{family}?start=2026-01-01&order=desc"), guardian).await.result()
                [0]
            .clone();
            assert_eq!(
                (&row["action"], &row["description"], &row["image_url"]),
                (&json!(text), &json!(text), &json!(text))
            );

            let message = json!({"from_id": guardian.id, "to_id": elder.id, "content": text, "image_url": text});
            assert_eq!(app.call("POST /messages/send", guardian, message).await.status, 201);
            let row = app.get("/messages/new?order=desc", elder).await.result()[0].clone();
            assert_eq!((&row["content"], &row["image_url"]), (&json!(text), &json!(text)));
            let notification = json!({"family_id": family, "descriptions": text, "image_url": text});
            let index = app.call("POST /notify", elder, notification).await.result()["index"].clone();
            let row = app.call(&format!("PATCH /notify/read/{index}"), guardian, json!(null)).await.result();
            assert_eq!((&row["description"], &row["image_url"]), (&json!(text), &json!(text)));
            let picture = app
                .call("POST /tools/background", elder, json!({"family_id": family, "image_url": text}))
                .await
                .result();
            assert_eq!(picture["image_url"], *text);
            let album = app.get(&format!("/tools/background/{family}"), guardian).await.result();
            assert_eq!(album.as_array().and_then(|album| album.last()).expect("a picture")["image_url"], *text);
            app.advance(1000).await;
        }
    }

    async fn a_person_is_found_by_a_name_of_any_script_and_no_other(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let find = async |name: &str| {
            let body = json!({"user_name": name, "birth_date": {"year": 1945, "month": 3, "day": 1}, "gender": "female", "address": "경기도 수원시"});
            app.call("POST /families/find", &house.guardian, body).await.status
        };
        for text in TEXTS.iter().filter(|text| !text.is_empty()) {
            let line = format!("PATCH /accounts/{}", house.elder.id);
            assert_eq!(app.call(&line, &house.elder, json!({"user_name": text})).await.status, 200);
            assert_eq!(find(text).await, 200, "{text:?}");
            assert_eq!(find(&format!("{text} ")).await, 404, "{text:?}");
            let turned: String = text
                .chars()
                .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                .collect();
            if turned != *text {
                assert_eq!(find(&turned).await, 404, "letter case counts: {text:?}");
            }
        }
    }

    async fn a_password_may_be_of_any_script(t: TestDb) {
        let app = TestApp::new(&t).await;
        for (number, text) in TEXTS.iter().filter(|text| text.chars().count() >= 8).enumerate() {
            let email = format!("person{number}@example.com");
            let body = json!({"email": email, "password": text, "role": "sub"});
            assert_eq!(app.call("POST /accounts", ANYONE, body).await.status, 201, "{text:?}");
            app.sign_in(&email, text).await;
            let other = json!({"email": email, "password": format!("{text}x")});
            assert_eq!(app.call("POST /auth/login", ANYONE, other).await.status, 401, "{text:?}");
        }
    }
}
