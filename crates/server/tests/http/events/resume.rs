//! Going on where one stopped.

use super::*;

both_engines! {
    async fn who_comes_back_goes_on_behind_the_event_that_was_read_last(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let line = format!("/v1/events/{}", house.family);
        happen(&t, house.family, (1..=3).map(|number| json!({"n": number}))).await;
        let mut stream = resume(&app, house.family, &house.guardian, "1").await;
        assert_eq!(stream.expect("report").await.id.as_deref(), Some("2"));
        assert_eq!(stream.expect("report").await.id.as_deref(), Some("3"));
        camera(&app, &house, true).await;
        assert_eq!(stream.expect("settings").await.id.as_deref(), Some("4"));
        // Who cannot set the header has the query; who has both comes back by the header.
        let by_query = app.request(&format!("GET {line}?last_event_id=3")).by(&house.guardian);
        assert_eq!(by_query.follow().await.expect("settings").await.id.as_deref(), Some("4"));
        let both = app.request(&format!("GET {line}?last_event_id=1")).by(&house.guardian).header("last-event-id", "3");
        assert_eq!(both.follow().await.expect("settings").await.id.as_deref(), Some("4"));
        // Who has read everything gets what comes, and no word before it.
        let mut stream = resume(&app, house.family, &house.guardian, "4").await;
        camera(&app, &house, false).await;
        assert_eq!(stream.expect("settings").await.id.as_deref(), Some("5"));
        // Empty is absent.
        let mut stream = resume(&app, house.family, &house.guardian, "").await;
        assert_eq!(stream.expect("hello").await.id.as_deref(), Some("5"));
    }

    async fn a_cursor_that_cannot_be_gone_on_from_is_reset(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        happen(&t, house.family, (1..=3).map(|number| json!({"n": number}))).await;
        // From the future (of another database), no number, the cursor of another stream, no text at all.
        let composite = format!("{}=2", house.family);
        for last in [&b"4"[..], b"999999999999999999", b"x", b"-1", b"1.5", composite.as_bytes(), b"\xff"] {
            let mut stream = resume(&app, house.family, &house.guardian, last).await;
            let reset = stream.expect("reset").await;
            assert_eq!((reset.id.as_deref(), &reset.data), (Some("3"), &json!({"family_id": house.family, "from": 3})));
        }
        let mut stream = resume(&app, house.family, &house.guardian, "7").await;
        stream.expect("reset").await;
        camera(&app, &house, true).await;
        assert_eq!(stream.expect("settings").await.id.as_deref(), Some("4"), "it goes on from there");
    }

    async fn after_a_day_away_nothing_is_missing_and_nothing_comes_twice(t: TestDb) {
        const COUNT: i64 = 10_000;
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut stream = follow(&app, house.family, &house.elder).await;
        happen(&t, house.family, [json!({"n": 1})]).await;
        round(&app).await;
        let last = stream.expect("report").await.id.expect("an id");
        drop(stream);
        for hour in 0..24 {
            let from = 1 + hour * COUNT / 24;
            let until = 1 + (hour + 1) * COUNT / 24;
            happen(&t, house.family, (from..until).map(|number| json!({"n": number + 1}))).await;
            app.advance(3_600_000).await;
        }
        let mut stream = resume(&app, house.family, &house.elder, last).await;
        for seq in 2..=COUNT + 1 {
            let event = stream.expect("report").await;
            assert_eq!((event.id, &event.data["seq"], &event.data["body"]["n"]), (Some(seq.to_string()), &json!(seq), &json!(seq)));
            if seq % 2_500 == 0 {
                // While it catches up more happens.
                camera(&app, &house, seq % 5_000 != 0).await;
            }
        }
        for seq in COUNT + 2..=COUNT + 5 {
            assert_eq!(stream.expect("settings").await.data["seq"], seq);
        }
        camera(&app, &house, true).await;
        assert_eq!(stream.expect("settings").await.data["seq"], COUNT + 6);
    }

    async fn a_cursor_over_several_families_says_where_each_was_left(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let mut families = Vec::new();
        for _ in 0..3 {
            let family = t.family().await;
            t.join(family, guardian.id, Some(guardian.id)).await;
            families.push(family);
        }
        families.sort_unstable();
        let [a, b, c] = families[..] else { panic!("three families") };
        happen(&t, a, [json!({}), json!({})]).await;
        let id = |read: [i64; 3]| format!("{a}={},{b}={},{c}={}", read[0], read[1], read[2]);
        let mut stream = app.request("GET /v1/events").by(&guardian).follow().await;
        let hello = stream.expect("hello").await;
        assert_eq!(hello.id, Some(id([2, 0, 0])));
        let from = |family: FamilyId, from: i64| json!({"family_id": family, "from": from});
        assert_eq!(hello.data, json!({"families": [from(a, 2), from(b, 0), from(c, 0)]}));
        happen(&t, b, [json!({"n": 1})]).await;
        round(&app).await;
        let event = stream.expect("report").await;
        assert_eq!((event.id, &event.data["family_id"], &event.data["seq"]), (Some(id([2, 1, 0])), &json!(b), &json!(1)));
        drop(stream);
        happen(&t, a, [json!({"n": 2})]).await;
        happen(&t, c, [json!({"n": 3}), json!({"n": 4})]).await;
        let again = |last: String| app.request("GET /v1/events").by(&guardian).header("last-event-id", last).follow();
        let mut stream = again(id([2, 1, 0])).await;
        for (read, family) in [([3, 1, 0], a), ([3, 1, 1], c), ([3, 1, 2], c)] {
            let event = stream.expect("report").await;
            assert_eq!((event.id, &event.data["family_id"]), (Some(id(read)), &json!(family)));
        }
        // One that is too far is reset; the others go on.
        let mut stream = again(id([2, 7, 2])).await;
        let reset = stream.expect("reset").await;
        assert_eq!((reset.id, reset.data), (Some(id([2, 1, 2])), from(b, 1)));
        assert_eq!(stream.expect("report").await.id, Some(id([3, 1, 2])));
        // What cannot be read resets all of them.
        let mut stream = again("12".to_owned()).await;
        for (family, read) in [(a, 3), (b, 1), (c, 2)] {
            let reset = stream.expect("reset").await;
            assert_eq!((reset.id, reset.data), (Some(id([3, 1, 2])), from(family, read)));
        }
        // Of a family that was joined meanwhile it begins now, one that was left is said to be.
        let gone = t.family().await;
        let mut stream = again(format!("{a}=3,{b}=1,{gone}=5")).await;
        let left = stream.expect("left").await;
        assert_eq!((left.id, left.data), (Some(id([3, 1, 2])), json!({"family_id": gone, "reason": "access"})));
        let hello = stream.expect("hello").await;
        assert_eq!((hello.id, hello.data), (Some(id([3, 1, 2])), json!({"families": [from(c, 2)]})));
    }

    async fn who_belongs_to_no_family_waits_for_one(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, asker) = (app.house().await, app.person(Role::Sub, "ASKER").await);
        for last in ["", "x"] {
            let stream = app.request("GET /v1/events").by(&asker).header("last-event-id", last).follow();
            let hello = stream.await.expect("hello").await;
            assert_eq!((hello.id, hello.data), (None, json!({"families": []})));
        }
        let mut stream = follow_all(&app, &asker).await;
        let ask = json!({"family_id": house.family, "user_id": asker.id});
        let member = app.call("POST /members", &asker, ask).await.given("id");
        app.call(&format!("PATCH /v1/members/requests/{member}"), &house.elder, Value::Null).await.succeeds(200);
        let hello = stream.expect("hello").await;
        assert_eq!(hello.data, json!({"families": [{"family_id": house.family, "from": 2}]}));
        camera(&app, &house, true).await;
        assert_eq!(stream.expect("settings").await.id, Some(format!("{}=3", house.family)));
    }
}
