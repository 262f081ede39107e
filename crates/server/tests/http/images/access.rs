//! Who may see a picture, and who may delete it.

use super::{draw, upload};
use crate::prelude::*;

/// A family with an elder and two guardians, somebody else's elder, and a stranger.
struct Street {
    house: House,
    second: Person,
    neighbour: House,
    stranger: Person,
    system: Person,
}

async fn street(app: &TestApp) -> Street {
    let house = app.house().await;
    let second = app.person(Role::Sub, "SECOND").await;
    app.t.join(house.family, second.id, Some(house.elder.id)).await;
    let neighbour = app.house().await;
    Street { house, second, neighbour, stranger: app.person(Role::Sub, "STRANGER").await, system: app.system().await }
}

async fn sees(app: &TestApp, who: &Person, path: &str) -> bool {
    let reply = app.get(path, who).await;
    if reply.status != 200 {
        reply.forbids();
    }
    reply.status == 200
}

async fn add(app: &TestApp, who: &Person, house: &House, url: &str) -> i64 {
    let body = json!({"family_id": house.family, "image_url": url});
    let reply = app.call("POST /tools/background", who, body).await;
    reply.result()["index"].as_i64().expect("a number")
}

both_engines! {
    async fn a_picture_is_seen_by_its_owner_and_between_elder_and_guardian(t: TestDb) {
        let app = TestApp::new(&t).await;
        let s = street(&app).await;
        let unapproved = app.person(Role::Sub, "UNAPPROVED").await;
        t.join(s.house.family, unapproved.id, None).await;
        let elders = upload(&app, &s.house.elder, "x.png", &draw::png(3, 3)).await;
        let guardians = upload(&app, &s.house.guardian, "x.png", &draw::png(3, 3)).await;
        for (who, of_elder, of_guardian) in [
            (&s.house.elder, true, true),
            (&s.house.guardian, true, true),
            (&s.second, true, false),
            (&s.system, true, true),
            (&unapproved, false, false),
            (&s.neighbour.elder, false, false),
            (&s.neighbour.guardian, false, false),
            (&s.stranger, false, false),
        ] {
            assert_eq!(sees(&app, who, &elders).await, of_elder, "{who:?} of the elder");
            assert_eq!(sees(&app, who, &guardians).await, of_guardian, "{who:?} of the guardian");
        }
        app.get(&elders, ANYONE).await.forbids();
    }

    async fn who_may_not_see_does_not_learn_what_there_is(t: TestDb) {
        let app = TestApp::new(&t).await;
        let s = street(&app).await;
        let there = upload(&app, &s.house.elder, "x.png", &draw::png(3, 3)).await;
        let not_there = there.replace("x_", "y_");
        for who in [&s.stranger, &s.neighbour.elder] {
            assert_eq!(app.get(&there, who).await.text(), app.get(&not_there, who).await.text());
            app.get(&not_there, who).await.forbids();
            app.get("/access/U000000000000000/x.png", who).await.forbids();
            app.get("/access/nobody/x.png", who).await.forbids();
        }
        let missing = r#"{"detail":{"type":"not found","message":"Image not found"}}"#;
        for who in [&s.house.elder, &s.house.guardian, &s.system] {
            app.get(&not_there, who).await.is(404, missing);
        }
        for path in ["/access/U000000000000000/x.png", "/access/nobody/x.png"] {
            app.get(path, &s.system).await.is(404, missing);
        }
        for name in ["..%2f..%2fetc%2fpasswd", "%00", "x'%20OR%201=1", "%F0%9F%91%B5"] {
            app.get(&format!("/access/{}/{name}", s.house.elder.id), &s.house.elder).await.is(404, missing);
        }
    }

    async fn the_album_shows_a_guardians_picture_to_the_other(t: TestDb) {
        let app = TestApp::new(&t).await;
        let s = street(&app).await;
        let picture = upload(&app, &s.house.guardian, "x.png", &draw::png(400, 3)).await;
        assert!(!sees(&app, &s.second, &picture).await);
        let index = add(&app, &s.house.guardian, &s.house, &picture).await;
        assert!(sees(&app, &s.second, &picture).await);
        assert!(sees(&app, &s.second, &format!("{picture}?w=160")).await);
        assert!(!sees(&app, &s.stranger, &picture).await && !sees(&app, &s.neighbour.elder, &picture).await);
        // As long as it is in the album.
        let line = format!("DELETE /tools/background/{}/{index}", s.house.family);
        assert_eq!(app.call(&line, &s.second, Value::Null).await.status, 200);
        assert!(!sees(&app, &s.second, &picture).await);
        assert!(sees(&app, &s.house.elder, &picture).await);
    }

    async fn who_leaves_the_family_sees_its_album_no_longer(t: TestDb) {
        let app = TestApp::new(&t).await;
        let s = street(&app).await;
        let picture = upload(&app, &s.house.guardian, "x.png", &draw::png(3, 3)).await;
        add(&app, &s.house.guardian, &s.house, &picture).await;
        let members = app.get(&format!("/members?userId={}", s.second.id), &s.second).await.result();
        let member = members[0]["id"].as_str().expect("a membership").to_owned();
        assert!(sees(&app, &s.second, &picture).await);
        let left = app.call(&format!("DELETE /members/{member}"), &s.second, json!({"password": PASSWORD})).await;
        assert_eq!(left.status, 200);
        assert!(!sees(&app, &s.second, &picture).await);
    }

    async fn notifications_and_reports_show_their_pictures_to_the_family(t: TestDb) {
        let app = TestApp::new(&t).await;
        let s = street(&app).await;
        let fall = upload(&app, &s.house.guardian, "fall.jpg", &draw::jpeg(3, 3)).await;
        let body = json!({"family_id": s.house.family, "notification_grade": "CRIT", "descriptions": "낙상감지", "image_url": fall});
        let made = app.call("POST /notify", &s.house.guardian, body).await;
        assert_eq!(made.status, 201);
        assert!(sees(&app, &s.second, &fall).await && !sees(&app, &s.stranger, &fall).await);
        let line = format!("DELETE /notify/delete/{}", made.result()["index"]);
        assert_eq!(app.call(&line, &s.system, Value::Null).await.status, 200);
        assert!(!sees(&app, &s.second, &fall).await);

        // The elder, whose robot reports, may see the guardian's picture, and so may show it.
        let report = json!({"family_id": s.house.family, "action": "fall", "is_critical": true, "image_url": fall});
        assert_eq!(app.call("POST /status/active", &s.house.elder, report).await.status, 201);
        assert!(sees(&app, &s.second, &fall).await && !sees(&app, &s.stranger, &fall).await);
        let latest = app.get(&format!("/status/active/latest/{}", s.house.family), &s.second).await.result();
        assert_eq!(latest["image_url"], fall.as_str());
        let line = format!("DELETE /status/active/latest/{}", s.house.family);
        assert_eq!(app.call(&line, &s.system, Value::Null).await.status, 200);
        assert!(!sees(&app, &s.second, &fall).await);
    }

    async fn a_message_shows_its_picture_to_both_of_its_people(t: TestDb) {
        let app = TestApp::new(&t).await;
        let s = street(&app).await;
        let picture = upload(&app, &s.house.guardian, "x.png", &draw::png(3, 3)).await;
        add(&app, &s.house.guardian, &s.house, &picture).await;
        // The second guardian passes on what the album shows, and later the album shows it no longer.
        let body = json!({"from_id": s.second.id, "to_id": s.house.elder.id, "image_url": picture});
        assert_eq!(app.call("POST /messages/send", &s.second, body).await.status, 201);
        t.db.execute("DELETE FROM image_references WHERE source_kind = 'background'", vec![]).await.expect("gone");
        assert!(sees(&app, &s.second, &picture).await && !sees(&app, &s.stranger, &picture).await);
    }

    async fn nobody_gets_to_see_a_picture_by_referring_to_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let s = street(&app).await;
        let picture = upload(&app, &s.house.guardian, "x.png", &draw::png(3, 3)).await;
        let (thief, loot) = (&s.neighbour.elder, &s.neighbour);
        add(&app, thief, loot, &picture).await;
        let body = json!({"family_id": loot.family, "image_url": picture});
        assert_eq!(app.call("POST /notify", thief, body).await.status, 201);
        let body = json!({"family_id": loot.family, "score": 1, "image_url": picture});
        assert_eq!(app.call("POST /status/active", thief, body).await.status, 201);
        let body = json!({"from_id": thief.id, "to_id": loot.guardian.id, "image_url": picture});
        assert_eq!(app.call("POST /messages/send", thief, body).await.status, 201);
        for who in [thief, &loot.guardian] {
            assert!(!sees(&app, who, &picture).await);
        }
        let count = t.db.read().fetch_one("SELECT COUNT(*) FROM image_references", vec![], |row| row.get::<i64>(0)).await;
        assert_eq!(count.expect("counted"), 0);
        // Nor the second guardian, who may not see it either.
        add(&app, &s.second, &s.house, &picture).await;
        assert!(!sees(&app, &s.second, &picture).await);
    }

    async fn a_picture_is_told_by_every_address_that_is_or_was_ours(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| {
            settings.images.public_url = Some("https://care.test".into());
            settings.images.other_urls = vec!["https://image.old.test".into()];
        })
        .await;
        let s = street(&app).await;
        for (base, is_ours) in [
            ("https://care.test", true), ("HTTPS://CARE.test", true), ("https://image.old.test", true), ("", true),
            ("https://evil.test", false), ("https://care.test.evil.test", false), ("//care.test", false),
        ] {
            let url = upload(&app, &s.house.guardian, "생일.png", &draw::png(3, 3)).await;
            let path = url.strip_prefix("https://care.test").expect("our address").to_owned();
            add(&app, &s.house.guardian, &s.house, &format!("{base}{path}?w=320")).await;
            assert_eq!(sees(&app, &s.second, &path).await, is_ours, "{base}");
        }
        // Any other URL goes on as before.
        add(&app, &s.house.guardian, &s.house, "https://pictures.example/cat.jpg").await;
    }

    async fn a_picture_is_deleted_by_its_owner_or_an_operator(t: TestDb) {
        let app = TestApp::new(&t).await;
        let s = street(&app).await;
        for deleter in [&s.house.elder, &s.system] {
            let path = upload(&app, &s.house.elder, "x.png", &draw::png(3, 3)).await;
            let line = path.replace("/access/", "DELETE /delete/");
            for who in [&s.house.guardian, &s.second, &s.stranger] {
                app.call(&line, who, Value::Null).await.forbids();
            }
            app.call(&line, ANYONE, Value::Null).await.forbids();
            assert!(sees(&app, &s.house.guardian, &path).await);
            let name = path.rsplit('/').next().expect("a name");
            let reply = app.call(&line, deleter, Value::Null).await;
            assert_eq!(reply.json(), json!({"message": "Image deleted successfully", "result": {"request_id": deleter.id, "file_name": name}}));
            let missing = r#"{"detail":{"type":"not found","message":"Image not found"}}"#;
            app.call(&line, deleter, Value::Null).await.is(404, missing);
            app.get(&path, &s.house.elder).await.is(404, missing);
        }
        app.call("DELETE /delete/U000000000000000/x.png", &s.stranger, Value::Null).await.forbids();
        app.call("DELETE /delete/nobody/x.png", &s.system, Value::Null).await.refuses(404, "not found", "Image not found");
    }

    async fn other_sites_can_not_upload_or_delete(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&app, &guardian, "x.png", &draw::png(3, 3)).await;
        let form = app.request("POST /upload").by(&guardian).header("origin", "https://evil.test").file("x.png", &draw::png(3, 3));
        form.send().await.forbids();
        let line = path.replace("/access/", "DELETE /delete/");
        app.request(&line).by(&guardian).header("origin", "https://evil.test").send().await.forbids();
        assert!(sees(&app, &guardian, &path).await);
    }
}
