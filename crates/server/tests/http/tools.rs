use carebot_database::{params, tools, transact};
use carebot_model::Date;
use carebot_model::news::{Article, Category};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::prelude::*;

const REFUSED: &str = r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#;

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

both_engines! {
    async fn regions_are_listed_for_anybody(t: TestDb) {
        let app = TestApp::new(&t).await;
        let masters = app.get("/tools/master-region", ANYONE).await;
        assert!(masters.text().starts_with(concat!(
            r#"{"message":"All master region data retrieved successfully","result":["#,
            r#"{"region_name":"서울특별시","region_type":"특별시"},{"region_name":"전남광주통합특별시","region_type":"통합특별시"},"#
        )), "{}", masters.text());
        assert_eq!(masters.result().as_array().map(Vec::len), Some(16));
        let all = app.get("/tools/sub-region", ANYONE).await;
        let first = &all.result()[0];
        let keys: Vec<_> = first.as_object().expect("a region").keys().collect();
        assert_eq!(keys, ["main_region", "sub_region_name", "region_type"]);
        assert!(
            all.text()
                .starts_with(r#"{"message":"All sub region data retrieved successfully","result":[{"main_region":"#)
        );
        let all = all.result().as_array().expect("a list").clone();
        for (part, expected) in
            [("제주특별자치도", "제주특별자치도"), ("제주", "제주특별자치도"), ("강원도", "강원특별자치도")]
        {
            let found = app.get(&format!("/tools/sub-region/{}", encoded(part)), ANYONE).await.result();
            let found = found.as_array().expect("a list");
            assert!(!found.is_empty() && found.iter().all(|region| region["main_region"] == expected), "{part}");
            assert_eq!(found.len(), all.iter().filter(|region| region["main_region"] == expected).count(), "{part}");
        }
    }

    async fn wildcards_are_plain_characters_in_the_name_of_a_region(t: TestDb) {
        let app = TestApp::new(&t).await;
        for part in ["%", "_", "서울%", "____특별시", "' OR 1=1 --", "Atlantis", "\0"] {
            app.get(&format!("/tools/sub-region/{}", encoded(part)), ANYONE)
                .await
                .is(404, r#"{"detail":{"type":"not found","message":"Failed to retrieve sub region data"}}"#);
        }
    }

    async fn without_an_assistant_there_is_coffee(t: TestDb) {
        let app = TestApp::new(&t).await;
        app.get("/tools/ai-server", ANYONE)
            .await
            .is(418, r#"{"detail":{"type":"coffe","message":"AI Process Server serves coffee."}}"#);
    }

    async fn news_of_a_day_come_in_eight_categories(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let empty = concat!(
            r#"{"message":"News retrieved successfully","result":{"business":[],"entertainment":[],"environment":[],"health":[],"#,
            r#""politics":[],"science":[],"sports":[],"technology":[]}}"#
        );
        app.get("/tools/news?when=2026-03-01", &guardian).await.is(200, empty);
        let day = Date::new(2026, 3, 1).expect("a day");
        let article = Article {
            id: t.id(),
            category: Category::Health,
            title: "걷기가 '보약'".to_owned(),
            link: "https://news.example/1".to_owned(),
            image_url: None,
            pub_date: day,
            created_at: t.now(),
        };
        transact!(t.db, tx => { tools::add_news(&mut tx, &article).await }).expect("news are stored");
        for when in ["2026-03-01", "2026-03-01T00:00:00Z", "1772323200"] {
            app.get(&format!("/tools/news?when={when}"), &guardian).await.is(
                200,
                &empty.replace(
                    r#""health":[]"#,
                    concat!(
                        r#""health":[{"id":ROW1,"category":"health","title":"걷기가 '보약'","link":"https://news.example/1","image_url":null,"#,
                        r#""pub_date":"2026-03-01","created_at":"2026-03-02T09:00:00"}]"#
                    ),
                ),
            );
        }
        app.get("/tools/news?when=2026-03-02", &guardian).await.is(200, empty);
    }

    async fn news_need_a_session_and_a_day(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        app.get("/tools/news", ANYONE).await.is(403, REFUSED);
        app.get("/tools/news?when=2026-03-01", ANYONE).await.is(403, REFUSED);
        app.get("/tools/news", &guardian)
            .await
            .is(422, r#"{"detail":{"type":"no data","loc":["query","when"],"message":"Password data is required"}}"#);
        app.get("/tools/news?when=2026-13-01", &guardian).await.is(
            422,
            concat!(
                r#"{"detail":[{"type":"date_from_datetime_parsing","loc":["query","when"],"#,
                r#""msg":"Input should be a valid date or datetime, month value is outside expected range of 1-12","input":"2026-13-01","#,
                r#""ctx":{"error":"month value is outside expected range of 1-12"}}]}"#
            ),
        );
        app.get("/tools/news?when=2026-03-01T12:00:00", &guardian).await.is(
            422,
            concat!(
                r#"{"detail":[{"type":"date_from_datetime_inexact","loc":["query","when"],"#,
                r#""msg":"Datetimes provided to dates should have zero time - e.g. be exact dates","input":"2026-03-01T12:00:00"}]}"#
            ),
        );
    }

    async fn the_weather_fails_as_the_contract_says(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system, stranger) =
            (app.house().await, app.system().await, app.person(Role::Sub, "STRANGER").await);
        let failed =
            r#"{"detail":{"type":"server error","message":"Failed to retrieve weather","request_id":"REQUEST"}}"#;
        let ask = async |of: &Person, who: Option<&Person>| app.get(&format!("/tools/weather/{}", of.id), who).await;
        ask(&house.elder, Some(&house.elder)).await.is(500, failed);
        ask(&house.guardian, Some(&house.elder)).await.is(500, failed);
        ask(&house.elder, Some(&house.guardian)).await.is(500, failed);
        ask(&house.elder, Some(&system)).await.is(500, failed);
        ask(&house.elder, Some(&stranger)).await.is(403, REFUSED);
        ask(&stranger, Some(&house.elder)).await.is(403, REFUSED);
        ask(&house.elder, ANYONE).await.is(403, REFUSED);
    }

    async fn switches_are_changed_one_by_one(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let path = format!("/tools/settings/{}", house.family);
        let shown = |alarm: bool, camera: bool, microphone: bool, driving: bool| {
            format!(
                concat!(
                    r#"{{"message":"Settings retrieved successfully","result":{{"family_id":"FAMILY","is_alarm_enabled":{},"#,
                    r#""is_camera_enabled":{},"is_microphone_enabled":{},"is_driving_enabled":{}}}}}"#
                ),
                alarm, camera, microphone, driving
            )
        };
        let done = r#"{"message":"Settings updated successfully"}"#;
        let change = async |body: Value| app.call(&format!("PATCH {path}"), &house.guardian, body).await;
        app.get(&path, &house.elder).await.is(200, &shown(false, false, false, false));
        change(json!({"is_alarm_enabled": true, "is_camera_enabled": "yes", "is_driving_enabled": 1}))
            .await
            .is(200, done);
        app.get(&path, &house.elder).await.is(200, &shown(true, true, false, true));
        change(json!({"is_microphone_enabled": true, "is_alarm_enabled": null})).await.is(200, done);
        app.get(&path, &house.guardian).await.is(200, &shown(true, true, true, true));
        change(json!({"is_camera_enabled": "off", "family_id": "x"})).await.is(200, done);
        app.get(&path, &house.guardian).await.is(200, &shown(true, false, true, true));
        change(json!({})).await.is(200, done);
        change(json!({"is_camera_enabled": 2})).await.is(
            422,
            r#"{"detail":[{"type":"bool_parsing","loc":["body","is_camera_enabled"],"msg":"Input should be a valid boolean, unable to interpret input","input":2}]}"#,
        );
        app.get(&path, &stranger).await.is(403, REFUSED);
        app.call(&format!("PATCH {path}"), &stranger, json!({"is_alarm_enabled": false})).await.is(
            403,
            concat!(
                r#"{"detail":{"type":"can not access","message":"You do not have permission","input":{"is_alarm_enabled":false,"#,
                r#""is_camera_enabled":null,"is_microphone_enabled":null,"is_driving_enabled":null}}}"#
            ),
        );
    }

    async fn a_family_without_switches_has_the_defaults(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let path = format!("/tools/settings/{}", house.family);
        t.db.execute("DELETE FROM settings WHERE family_id = ?", params![house.family]).await.expect("the row is gone");
        let switches = async || app.get(&path, &house.elder).await.result();
        assert_eq!(switches().await["is_camera_enabled"], false);
        assert_eq!(
            app.call(&format!("PATCH {path}"), &house.elder, json!({"is_camera_enabled": true})).await.status,
            200
        );
        assert_eq!(switches().await["is_camera_enabled"], true);
        assert_eq!(switches().await["is_alarm_enabled"], false);
    }

    async fn an_album_is_filled_shown_and_emptied(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let path = format!("/tools/background/{}", house.family);
        let empty = r#"{"detail":{"type":"not found","message":"Background not found"}}"#;
        app.get(&path, &house.elder).await.is(404, empty);
        app.call("POST /tools/background", ANYONE, json!({"image_url": "x"}))
            .await
            .is(422, r#"{"detail":{"type":"no data","loc":["body","family_id"],"message":"Family ID is required"}}"#);
        app.call("POST /tools/background", &stranger, json!({"family_id": house.family})).await.is(
            403,
            r#"{"detail":{"type":"can not access","message":"You do not have permission","input":{"family_id":"FAMILY","image_url":null}}}"#,
        );
        let add = async |who: &Person, url: &str| {
            let reply =
                app.call("POST /tools/background", who, json!({"family_id": house.family, "image_url": url})).await;
            assert_eq!(reply.status, 201);
            reply
        };
        // Each answers the row it made.
        for (who, name, url) in [
            (&house.elder, "ELDER", "http://images.example/1.jpg"),
            (&house.guardian, "GUARDIAN", "http://images.example/2.jpg"),
            (&house.guardian, "GUARDIAN", "http://images.example/3.jpg"),
        ] {
            add(who, url).await.is(
                201,
                &format!(
                    r#"{{"message":"New background added successfully","result":{{"index":ROW1,"family_id":"FAMILY","uploader_id":"{name}","image_url":"{url}"}}}}"#
                ),
            );
        }
        let whole = concat!(
            r#"{"message":"Background retrieved successfully","result":["#,
            r#"{"id":ROW1,"family_id":"FAMILY","uploader_id":"ELDER","image_url":"http://images.example/1.jpg"},"#,
            r#"{"id":ROW2,"family_id":"FAMILY","uploader_id":"GUARDIAN","image_url":"http://images.example/2.jpg"},"#,
            r#"{"id":ROW3,"family_id":"FAMILY","uploader_id":"GUARDIAN","image_url":"http://images.example/3.jpg"}]}"#
        );
        app.get(&path, &house.elder).await.is(200, whole);
        app.get(&format!("{path}?uploader=all"), &house.guardian).await.is(200, whole);
        let mine = app.get(&format!("{path}?uploader=mine"), &house.elder).await.result();
        assert_eq!(mine.as_array().map(Vec::len), Some(1));
        app.get(&format!("{path}?uploader=Mine"), ANYONE).await.is(
            422,
            r#"{"detail":[{"type":"enum","loc":["query","uploader"],"msg":"Input should be 'all' or 'mine'","input":"Mine","ctx":{"expected":"'all' or 'mine'"}}]}"#,
        );
        app.get(&path, &stranger).await.is(403, REFUSED);
        let delete = |id: &Value| format!("DELETE {path}/{id}");
        app.call(&delete(&mine[0]["id"]), &stranger, json!(null)).await.is(403, REFUSED);
        app.call(&delete(&mine[0]["id"]), &house.guardian, json!(null))
            .await
            .is(200, r#"{"message":"Background deleted successfully"}"#);
        app.call(&delete(&mine[0]["id"]), &house.guardian, json!(null)).await.is(404, empty);
        app.get(&format!("{path}?uploader=mine"), &house.elder).await.is(404, empty);
        app.call(&format!("DELETE {path}/x"), ANYONE, json!(null)).await.is(
            422,
            r#"{"detail":[{"type":"int_parsing","loc":["path","image_id"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"}]}"#,
        );
        let long = json!({"family_id": house.family, "image_url": "a".repeat(65_536)});
        app.call("POST /tools/background", &house.elder, long)
            .await
            .is(400, r#"{"detail":{"type":"invalid value","loc":["body","image_url"],"message":"Text is too long"}}"#);
    }

    async fn a_picture_is_deleted_only_from_the_album_it_is_in(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other, system) = (app.house().await, app.house().await, app.system().await);
        let picture = app
            .call("POST /tools/background", &other.elder, json!({"family_id": other.family}))
            .await
            .result()["index"]
            .clone();
        for who in [&house.elder, &system] {
            let line = format!("DELETE /tools/background/{}/{picture}", house.family);
            app.call(&line, who, json!(null)).await.refuses(404, "not found", "Background not found");
        }
        let line = format!("DELETE /tools/background/{}/{picture}", other.family);
        app.call(&line, &house.elder, json!(null)).await.forbids();
        assert_eq!(app.get(&format!("/tools/background/{}", other.family), &other.guardian).await.status, 200);
        assert_eq!(app.call(&line, &other.guardian, json!(null)).await.status, 200);
    }
}
