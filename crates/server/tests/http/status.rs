use carebot_model::status::{Active, Health, Home, Mental, MentalReport, StatusKind};
use carebot_model::{FamilyId, Timestamp};
use carebot_testkit::TestDb;
use carebot_testkit::database::START;
use carebot_testkit::fixtures::{blank, sample};

use crate::prelude::*;

const REFUSED: &str = r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#;
const TOO_LONG: &str = "Text is too long";

/// A second of the test's day.
fn second(number: i64) -> Timestamp {
    Timestamp::from_millis(START + number * 1000)
}

/// Reports at the seconds 0 to 3 after the start, the last half a second late.
async fn four<K: StatusKind>(t: &TestDb, family: FamilyId) {
    for number in 0..4_i32 {
        let late = if number == 3 { 500 } else { 0 };
        t.report_at(family, second(number.into()).plus_millis(late), sample::<K>(number)).await;
    }
}

/// What a list holds, by the second after the start.
fn seconds(reply: &Reply) -> Vec<i64> {
    let rows = reply.result();
    let seconds = rows.as_array().expect("a list").iter().map(|row| {
        let at = row["reported_at"].as_str().expect("a time");
        (0..120).find(|number| second(*number).to_string() == at).unwrap_or_else(|| panic!("{at} is of another minute"))
    });
    seconds.collect()
}

both_engines! {
    async fn the_air_of_a_home_is_reported_and_read(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        // Stamped with whole seconds, rounded down: pages ask for an end that is cut to the second.
        app.advance(999).await;
        let body = json!({"family_id": house.family, "temperature": 21.5, "humidity": 40, "dust_level": "3.25", "ethanol": true, "others": "", "index": 7});
        app.call("POST /status/home", &house.elder, body)
            .await
            .is(201, r#"{"message":"Home status created successfully"}"#);
        let row = concat!(
            r#"{"index":ROW1,"family_id":"FAMILY","reported_at":"2026-03-02T09:00:00","temperature":21.5,"humidity":40.0,"#,
            r#""dust_level":3.25,"ethanol":1.0,"others":""}"#
        );
        for who in [&house.elder, &house.guardian, &system] {
            app.get(&format!("/status/home/latest/{}", house.family), who)
                .await
                .is(200, &format!(r#"{{"message":"Home status retrieved successfully","result":{row}}}"#));
        }
        app.get(
            &format!("/status/home/{}?start=2026-03-02T09:00:00&end=2026-03-02T09:00:00&order=desc", house.family),
            &house.guardian,
        )
        .await
        .is(200, &format!(r#"{{"message":"Home status retrieved successfully","result":[{row}]}}"#));
        assert_eq!(app.call("POST /status/home", &system, json!({"family_id": house.family})).await.status, 201);
        let row = app.get(&format!("/status/home/latest/{}", house.family), &house.elder).await.result();
        assert_eq!(row["temperature"], json!(null));
        assert_eq!(row["others"], json!(null));
    }

    async fn numbers_come_back_as_they_were_sent(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for (sent, shown) in [
            ("51", "51.0"),
            ("12.3456789", "12.3456789"),
            ("1e-05", "1e-05"),
            ("0.00001234", "1.234e-05"),
            ("10000000000", "10000000000.0"),
            ("123457", "123457.0"),
            ("-0.0", "0.0"),
            ("1e16", "1e+16"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("5e-324", "5e-324"),
            ("0.1", "0.1"),
            ("\" 1_000.5 \"", "1000.5"),
            ("false", "0.0"),
        ] {
            let body = format!(r#"{{"family_id":"{}","temperature":{sent}}}"#, house.family);
            let reply = app.request("POST /status/home").by(&house.elder).body("application/json", body).send().await;
            assert_eq!(reply.status, 201, "{sent}");
            let latest = app.get(&format!("/status/home/latest/{}", house.family), &house.elder).await;
            assert!(latest.text().contains(&format!(r#""temperature":{shown},"#)), "{sent}: {}", latest.text());
            app.advance(1000).await;
        }
    }

    async fn what_is_no_number_is_refused_and_not_stored(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let family = house.family;
        let send = async |body: String| {
            app.request("POST /status/home").by(&house.elder).body("application/json", body).send().await
        };
        send(format!(r#"{{"family_id":"{family}","temperature":NaN}}"#)).await.is(
            422,
            r#"{"detail":[{"type":"json_invalid","loc":["body",46],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]}"#,
        );
        for literal in ["Infinity", "-Infinity", "1e400", "-1e999"] {
            let reply = send(format!(r#"{{"family_id":"{family}","temperature":{literal}}}"#)).await;
            assert_eq!((reply.status, &reply.json()["detail"][0]["type"]), (422, &json!("json_invalid")), "{literal}");
        }
        send(format!(r#"{{"family_id":"{family}","temperature":"warm","humidity":"inf","dust_level":[],"ethanol":{{}},"others":5}}"#)).await.is(
            422,
            concat!(
                r#"{"detail":[{"type":"float_parsing","loc":["body","temperature"],"msg":"Input should be a valid number, unable to parse string as a number","input":"warm"},"#,
                r#"{"type":"finite_number","loc":["body","humidity"],"msg":"Input should be a finite number","input":"inf"},"#,
                r#"{"type":"float_type","loc":["body","dust_level"],"msg":"Input should be a valid number","input":[]},"#,
                r#"{"type":"float_type","loc":["body","ethanol"],"msg":"Input should be a valid number","input":{}},"#,
                r#"{"type":"string_type","loc":["body","others"],"msg":"Input should be a valid string","input":5}]}"#
            ),
        );
        app.get(&format!("/status/home/latest/{family}"), &house.elder)
            .await
            .is(404, r#"{"detail":{"type":"not found","message":"No home status found"}}"#);
    }

    async fn a_heart_rate_is_a_whole_number(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for (sent, kept) in
            [(json!(72.6), 73), (json!(72.5), 73), (json!(72.4), 72), (json!(-0.5), -1), (json!("60"), 60)]
        {
            let body = json!({"family_id": house.family, "heart_rate": sent});
            app.call("POST /status/health", &house.elder, body)
                .await
                .is(201, r#"{"message":"Health status created successfully"}"#);
            app.get(&format!("/status/health/latest/{}", house.family), &house.guardian).await.is(
                200,
                &format!(
                    r#"{{"message":"Health status retrieved successfully","result":{{"index":ROW1,"family_id":"FAMILY","reported_at":"{}","heart_rate":{kept}}}}}"#,
                    t.now()
                ),
            );
            app.advance(1000).await;
        }
        app.call("POST /status/health", &house.elder, json!({"family_id": house.family, "heart_rate": 3e9})).await.is(
            422,
            r#"{"detail":[{"type":"less_than_equal","loc":["body","heart_rate"],"msg":"Input should be less than or equal to 2147483647","input":3000000000.0,"ctx":{"le":2147483647}}]}"#,
        );
    }

    async fn what_the_elder_does_is_reported_and_read(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let body = json!({"family_id": house.family, "score": "12", "action": "가".repeat(32), "is_critical": "on",
            "description": "{'where': 'kitchen'}", "image_url": "http://images.example/1.jpg"});
        app.call("POST /status/active", &house.elder, body)
            .await
            .is(201, r#"{"message":"Active status created successfully"}"#);
        app.get(&format!("/status/active/latest/{}", house.family), &house.guardian).await.is(
            200,
            &concat!(
                r#"{"message":"Active status retrieved successfully","result":{"index":ROW1,"family_id":"FAMILY","reported_at":"2026-03-02T09:00:00","#,
                r#""score":12,"action":"ACTION","is_critical":true,"description":"{'where': 'kitchen'}","image_url":"http://images.example/1.jpg"}}"#
            )
            .replace("ACTION", &"가".repeat(32)),
        );
        app.call("POST /status/active", &house.elder, json!({"family_id": house.family, "score": 1.5, "is_critical": "maybe"})).await.is(
            422,
            concat!(
                r#"{"detail":[{"type":"int_from_float","loc":["body","score"],"msg":"Input should be a valid integer, got a number with a fractional part","input":1.5},"#,
                r#"{"type":"bool_parsing","loc":["body","is_critical"],"msg":"Input should be a valid boolean, unable to interpret input","input":"maybe"}]}"#
            ),
        );
        app.call("POST /status/active", &house.elder, json!({"family_id": house.family, "score": 2_147_483_648_i64})).await.is(
            422,
            r#"{"detail":[{"type":"less_than_equal","loc":["body","score"],"msg":"Input should be less than or equal to 2147483647","input":2147483648,"ctx":{"le":2147483647}}]}"#,
        );
    }

    async fn a_text_that_is_too_long_is_refused(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for (kind, field, longest) in [
            ("active", "action", 32),
            ("active", "description", 65_535),
            ("active", "image_url", 65_535),
            ("home", "others", 65_535),
        ] {
            let line = format!("POST /status/{kind}");
            let body = |length: usize| json!({"family_id": house.family, field: "a".repeat(length)});
            assert_eq!(app.call(&line, &house.elder, body(longest)).await.status, 201, "{field}");
            let reply = app.call(&line, &house.elder, body(longest + 1)).await;
            reply.is(
                400,
                &format!(r#"{{"detail":{{"type":"invalid value","loc":["body","{field}"],"message":"{TOO_LONG}"}}}}"#),
            );
            app.advance(1000).await;
        }
    }

    async fn a_report_is_refused_in_the_contracts_order(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let input =
            r#"{"family_id":null,"temperature":20.0,"humidity":null,"dust_level":null,"ethanol":null,"others":null}"#;
        app.call("POST /status/home", ANYONE, json!({"temperature": 20})).await.is(
            422,
            &format!(r#"{{"detail":{{"type":"no data","loc":["body","family_id"],"message":"Family ID is required","input":{input}}}}}"#),
        );
        for who in [Some(&house.guardian), Some(&stranger), ANYONE] {
            app.call("POST /status/home", who, json!({"family_id": house.family, "temperature": 20})).await.is(
                403,
                &format!(
                    r#"{{"detail":{{"type":"can not access","message":"You do not have permission","input":{}}}}}"#,
                    input.replace("null,\"temperature", "\"FAMILY\",\"temperature")
                ),
            );
        }
        for (kind, input) in [
            ("health", r#"{"family_id":"","heart_rate":null}"#),
            (
                "active",
                r#"{"family_id":"","score":null,"action":null,"is_critical":null,"description":null,"image_url":null}"#,
            ),
        ] {
            app.call(&format!("POST /status/{kind}"), ANYONE, json!({"family_id": ""})).await.is(
                422,
                &format!(r#"{{"detail":{{"type":"no data","loc":["body","family_id"],"message":"Family ID is required","input":{input}}}}}"#),
            );
            app.call(&format!("POST /status/{kind}"), &house.guardian, json!({"family_id": house.family})).await.is(
                403,
                &format!(
                    r#"{{"detail":{{"type":"can not access","message":"You do not have permission","input":{}}}}}"#,
                    input.replace(r#""family_id":"""#, r#""family_id":"FAMILY""#)
                ),
            );
        }
    }

    async fn a_range_is_closed_at_both_ends_and_covers_whole_seconds(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        four::<Home>(&t, house.family).await;
        four::<Active>(&t, house.family).await;
        app.advance(60_000).await;
        for kind in ["home", "active"] {
            let list = async |query: &str| {
                seconds(&app.get(&format!("/status/{kind}/{}?{query}", house.family), &house.guardian).await)
            };
            assert_eq!(list("start=2026-03-02").await, [0, 1, 2, 3]);
            assert_eq!(list("start=2026-03-02&order=desc").await, [3, 2, 1, 0]);
            assert_eq!(list("start=2026-03-02T09:00:01&end=2026-03-02T09:00:02").await, [1, 2]);
            // The last is half a second late and still of its second.
            assert_eq!(list("start=2026-03-02T09:00:03&end=2026-03-02T09:00:03").await, [3]);
            assert_eq!(list("start=2026-03-02T09:00:03.9Z&end=2026-03-02T09:00:03.1Z").await, [3]);
            // Offsets count, and a time without one is UTC.
            assert_eq!(list("start=2026-03-02T18:00:02%2B09:00&end=2026-03-02T09:00:03Z").await, [2, 3]);
            assert_eq!(list("start=2026-03-02%2009:00:02").await, [2, 3]);
            assert_eq!(list("start=1772442002&end=1772442003000").await, [2, 3]);
            // As the robot's screen asks: nine hours into the future.
            assert_eq!(list("start=2020-01-01T00:00:00&end=2026-03-02T18:01:00.123Z&order=asc").await, [0, 1, 2, 3]);
            assert_eq!(list("start=2026-03-02T09:00:02&end=2026-03-02T09:00:01").await, [0_i64; 0]);
        }
    }

    async fn without_an_end_a_range_goes_on_until_now(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        four::<Health>(&t, house.family).await;
        let list = async || {
            seconds(&app.get(&format!("/status/health/{}?start=2026-01-01", house.family), &house.elder).await)
        };
        assert_eq!(list().await, [0]);
        app.advance(2_000).await;
        assert_eq!(list().await, [0, 1, 2]);
        app.advance(1_400).await;
        assert_eq!(list().await, [0, 1, 2, 3]);
    }

    async fn a_range_needs_a_start_and_tells_so_before_anything_else(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        for (kind, none) in [
            ("home", "No home status found"),
            ("health", "No health status found"),
            ("active", "No active status found"),
            ("mental", "No mental status found"),
            ("mental-reports", "No mental reports found"),
        ] {
            let path = format!("/status/{kind}/{}", house.family);
            app.get(&path, ANYONE).await.is(
                422,
                r#"{"detail":{"type":"no data","loc":["query","start"],"message":"Query data is required","input":{"start":null,"end":null,"order":"Order.ASC"}}}"#,
            );
            app.get(&format!("{path}?end=2026-03-02T09:00:00Z&order=desc"), &stranger).await.is(
                422,
                r#"{"detail":{"type":"no data","loc":["query","start"],"message":"Query data is required","input":{"start":null,"end":"2026-03-02T09:00:00Z","order":"Order.DESC"}}}"#,
            );
            app.get(&format!("{path}?start=2026-01-01"), &stranger).await.is(
                403,
                r#"{"detail":{"type":"can not access","message":"You do not have permission","input":{"start":"2026-01-01","end":null,"order":"Order.ASC"}}}"#,
            );
            app.get(&format!("{path}?start=2026-01-01"), &house.guardian)
                .await
                .is(200, &format!(r#"{{"message":"{none}","result":[]}}"#));
            app.get(&format!("{path}?start=&order=ASC&end=2026-13-01"), ANYONE).await.is(
                422,
                concat!(
                    r#"{"detail":[{"type":"datetime_from_date_parsing","loc":["query","start"],"msg":"Input should be a valid datetime or date, input is too short","input":"","ctx":{"error":"input is too short"}},"#,
                    r#"{"type":"datetime_from_date_parsing","loc":["query","end"],"msg":"Input should be a valid datetime or date, month value is outside expected range of 1-12","input":"2026-13-01","ctx":{"error":"month value is outside expected range of 1-12"}},"#,
                    r#"{"type":"enum","loc":["query","order"],"msg":"Input should be 'asc' or 'desc'","input":"ASC","ctx":{"expected":"'asc' or 'desc'"}}]}"#
                ),
            );
        }
    }

    async fn the_newest_is_the_latest_sensed(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        four::<Home>(&t, house.family).await;
        t.report_at(house.family, second(1), blank::<Home>()).await;
        let path = format!("/status/home/latest/{}", house.family);
        assert_eq!(app.get(&path, &house.guardian).await.result()["reported_at"], "2026-03-02T09:00:03");
        app.get(&path, &stranger).await.is(403, REFUSED);
        app.get(&path, ANYONE).await.is(403, REFUSED);
        for (kind, none) in [
            ("health", "health status"),
            ("active", "active status"),
            ("mental", "mental status"),
            ("mental-reports", "mental reports"),
        ] {
            app.get(&format!("/status/{kind}/latest/{}", house.family), &house.elder)
                .await
                .is(404, &format!(r#"{{"detail":{{"type":"not found","message":"No {none} found"}}}}"#));
        }
    }

    async fn an_operator_deletes_the_newest_of_that_family_and_kind(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other, system) = (app.house().await, app.house().await, app.system().await);
        for family in [house.family, other.family] {
            four::<Home>(&t, family).await;
            t.report(family, sample::<Health>(1)).await;
        }
        t.report_at(other.family, second(50), sample::<Home>(50)).await;
        let line = format!("DELETE /status/home/latest/{}", house.family);
        app.call(&line, &house.elder, json!(null)).await.is(403, REFUSED);
        for left in [2, 1, 0] {
            app.call(&line, &system, json!(null)).await.is(200, r#"{"message":"Home status deleted successfully"}"#);
            let latest = app.get(&format!("/status/home/latest/{}", house.family), &house.elder).await.result();
            assert_eq!(latest["reported_at"], second(left).to_string());
        }
        app.call(&line, &system, json!(null)).await.is(200, r#"{"message":"Home status deleted successfully"}"#);
        app.call(&line, &system, json!(null))
            .await
            .is(404, r#"{"detail":{"type":"not found","message":"No home status found"}}"#);
        assert_eq!(app.get(&format!("/status/health/latest/{}", house.family), &house.elder).await.status, 200);
        let latest = app.get(&format!("/status/home/latest/{}", other.family), &other.elder).await.result();
        assert_eq!(latest["reported_at"], second(50).to_string());
        app.call(&format!("DELETE /status/health/latest/{}", house.family), &system, json!(null))
            .await
            .is(200, r#"{"message":"Health status deleted successfully"}"#);
        app.call(&format!("DELETE /status/health/latest/{}", house.family), &system, json!(null))
            .await
            .is(404, r#"{"detail":{"type":"not found","message":"No health status found"}}"#);
        for (kind, title, none) in [
            ("active", "Active status", "active status"),
            ("mental", "Mental status", "mental status"),
            ("mental-reports", "Mental reports", "mental reports"),
        ] {
            let line = format!("DELETE /status/{kind}/latest/{}", house.family);
            app.call(&line, &system, json!(null))
                .await
                .is(404, &format!(r#"{{"detail":{{"type":"not found","message":"No {none} found"}}}}"#));
            match kind {
                "active" => drop(t.report(house.family, sample::<Active>(1)).await),
                "mental" => drop(t.report(house.family, sample::<Mental>(1)).await),
                _ => drop(t.report(house.family, sample::<MentalReport>(1)).await),
            }
            app.call(&line, &system, json!(null))
                .await
                .is(200, &format!(r#"{{"message":"{title} deleted successfully"}}"#));
        }
    }

    async fn moods_are_read_as_they_are_stored(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let description = r#"{"overall_emotional_state": "편안", "recommendations": ["산책"]}"#;
        let mood = Mental { score: Some(30), is_critical: Some(true), description: Some(description.to_owned()) };
        t.report(house.family, mood).await;
        let row = concat!(
            r#"{"index":ROW1,"family_id":"FAMILY","reported_at":"2026-03-02T09:00:00","score":30,"is_critical":true,"#,
            r#""description":"{\"overall_emotional_state\": \"편안\", \"recommendations\": [\"산책\"]}"}"#
        );
        app.get(&format!("/status/mental/latest/{}", house.family), &house.guardian)
            .await
            .is(200, &format!(r#"{{"message":"Mental status retrieved successfully","result":{row}}}"#));
        app.get(&format!("/status/mental/{}?start=2026-03-02", house.family), &house.guardian)
            .await
            .is(200, &format!(r#"{{"message":"Mental status retrieved successfully","result":[{row}]}}"#));
    }

    async fn moods_of_a_period_are_found_by_its_start_or_end(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        // Reported now, about other times; the second starts earlier.
        for (from, to) in [(-100, -50), (-300, -200), (-500, 10)] {
            let report = MentalReport { start_time: Some(second(from)), end_time: Some(second(to)), ..blank() };
            t.report(house.family, report).await;
        }
        let list = async |start: i64, end: i64, order: &str| {
            let path = format!(
                "/status/mental-reports/{}?start={}&end={}&order={order}",
                house.family,
                second(start),
                second(end)
            );
            let rows = app.get(&path, &house.guardian).await.result();
            let starts = rows
                .as_array()
                .expect("a list")
                .iter()
                .map(|row| row["start_time"].as_str().expect("a time").to_owned());
            starts.collect::<Vec<_>>()
        };
        let [early, middle, late] = [-500, -300, -100].map(|number| second(number).to_string());
        assert_eq!(list(-1000, 1000, "asc").await, [early.clone(), middle.clone(), late.clone()]);
        assert_eq!(list(-1000, 1000, "desc").await, [late.clone(), middle.clone(), early.clone()]);
        assert_eq!(list(-60, 20, "asc").await, [early, late]);
        assert_eq!(list(-250, -200, "asc").await, [middle]);
        // Within a period is neither its start nor its end.
        assert_eq!(list(-90, -60, "asc").await, [""; 0]);
        app.get(&format!("/status/mental-reports/latest/{}", house.family), &house.elder).await.is(
            200,
            concat!(
                r#"{"message":"Mental reports retrieved successfully","result":{"index":ROW1,"family_id":"FAMILY","reported_at":"2026-03-02T09:00:00","#,
                r#""start_time":"2026-03-02T08:51:40","end_time":"2026-03-02T09:00:10","average_score":null,"critical_days":null,"best_day":null,"#,
                r#""worst_day":null,"improvement_needed":null,"summary":null}}"#
            ),
        );
    }

    async fn what_needs_the_assistant_fails_as_the_contract_says(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let family = house.family;
        for (line, message) in [
            (format!("GET /status/mental/new/{family}"), "Failed to create mental status"),
            (format!("POST /v1/status/mental/{family}"), "Failed to create mental status"),
            (format!("GET /status/mental-reports/new/{family}?start=2026-01-01"), "Failed to create mental reports"),
            (
                format!("POST /v1/status/mental-reports/{family}?start=2026-01-01&end=2026-02-01"),
                "Failed to create mental reports",
            ),
            (format!("GET /status/keywords/{family}"), "Failed to create conversation keywords"),
            (format!("GET /status/psychology/{family}"), "Failed to create psychology report"),
            (
                format!("GET /status/psychology/{family}?start=2026-01-01T00:00:00&end=2026-01-01T23:59:59"),
                "Failed to create psychology report",
            ),
        ] {
            app.call(&line, &house.guardian, json!(null)).await.is(
                500,
                &format!(r#"{{"detail":{{"type":"server error","message":"{message}","request_id":"REQUEST"}}}}"#),
            );
            app.call(&line, &stranger, json!(null)).await.is(403, REFUSED);
            app.call(&line, ANYONE, json!(null)).await.is(403, REFUSED);
        }
        for line in
            [format!("GET /status/mental-reports/new/{family}"), format!("POST /v1/status/mental-reports/{family}")]
        {
            app.call(&line, ANYONE, json!(null)).await.is(
                422,
                r#"{"detail":{"type":"no data","loc":["query","start"],"message":"Query data is required","input":{"start":null,"end":null}}}"#,
            );
        }
        for line in [
            format!("GET /status/psychology/{family}?start=yesterday"),
            format!("GET /status/mental-reports/new/{family}?start=yesterday"),
            format!("POST /v1/status/mental-reports/{family}?start=yesterday"),
        ] {
            let reply = app.call(&line, ANYONE, json!(null)).await;
            assert_eq!((reply.status, &reply.json()["detail"][0]["loc"]), (422, &json!(["query", "start"])), "{line}");
        }
    }
}
