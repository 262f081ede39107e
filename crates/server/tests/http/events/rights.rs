//! Who may follow, and for how long.

use carebot_database::params;

use super::*;

async fn leave(app: &TestApp, house: &House) {
    let line = format!("DELETE /members/{}", house.member);
    app.call(&line, &house.guardian, json!({"password": PASSWORD})).await.succeeds(200);
}

both_engines! {
    async fn only_the_family_and_operators_follow_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, asker) = (app.house().await, app.person(Role::Sub, "ASKER").await);
        t.join(house.family, asker.id, None).await;
        let line = format!("/v1/events/{}", house.family);
        app.get(&line, &asker).await.forbids();
        app.get(&line, ANYONE).await.forbids();
        app.get("/v1/events", ANYONE).await.forbids();
        app.get("/v1/events/Fabcdefghijklmno", &house.elder).await.forbids();
        let system = app.system().await;
        app.get("/v1/events/Fabcdefghijklmno", &system).await.refuses(404, "not found", "Family not found");
        let mut stream = follow(&app, house.family, &system).await;
        camera(&app, &house, true).await;
        stream.expect("settings").await;
        // Of all families an operator follows those that the account belongs to.
        let hello = app.request("GET /v1/events").by(&system).follow().await.expect("hello").await;
        assert_eq!(hello.data, json!({"families": []}));
    }

    async fn the_stream_of_one_who_leaves_ends_before_anything_more_is_told(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut one = follow(&app, house.family, &house.guardian).await;
        let mut all = follow_all(&app, &house.guardian).await;
        let mut elder = follow(&app, house.family, &house.elder).await;
        leave(&app, &house).await;
        camera(&app, &house, true).await;
        one.ends("access").await;
        let left = all.expect("left").await;
        assert_eq!((left.id, left.data), (None, json!({"family_id": house.family, "reason": "access"})));
        elder.expect("membership").await;
        elder.expect("settings").await;
        // The other one goes on, and hears of a family that is joined.
        let other = app.person(Role::Main, "OTHER").await;
        let family = app.family(&other, "ANOTHER").await;
        let ask = json!({"family_id": family, "user_id": house.guardian.id});
        app.call("POST /members", &app.system().await, ask).await.succeeds(201);
        let hello = all.expect("hello").await;
        assert_eq!((hello.id, hello.data), (Some(format!("{family}=1")), json!({"families": [{"family_id": family, "from": 1}]})));
    }

    async fn the_stream_of_a_session_that_ends_ends(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let token = async || app.sign_in(&house.guardian.email, PASSWORD).await;
        // Signing out.
        let session = token().await;
        let mut stream = follow(&app, house.family, &session).await;
        app.call("POST /auth/logout", &session, Value::Null).await.succeeds(200);
        stream.ends("access").await;
        // A new password, set from elsewhere.
        let (session, other) = (token().await, token().await);
        let mut stream = follow_all(&app, &session).await;
        let mut own = follow(&app, house.family, &other).await;
        let change = json!({"user_id": house.guardian.id, "current_password": PASSWORD, "new_password": "another fine password"});
        app.call("PATCH /auth/change-password", &other, change).await.succeeds(200);
        stream.ends("access").await;
        // Ended by its owner.
        let ended = app.sign_in(&house.guardian.email, "another fine password").await;
        let mut stream = follow(&app, house.family, &ended).await;
        let sessions = app.get("/v1/sessions", &other).await.result();
        let line = format!("DELETE /v1/sessions/{}", sessions[0]["id"]);
        app.call(&line, &other, json!({})).await.succeeds(200);
        stream.ends("access").await;
        camera(&app, &house, true).await;
        own.expect("settings").await;
        // The account.
        let line = format!("DELETE /accounts/{}", house.guardian.id);
        app.call(&line, &other, json!({"password": "another fine password"})).await.succeeds(200);
        own.ends("access").await;
    }

    async fn the_streams_of_a_family_that_is_deleted_end(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let mut streams = Vec::new();
        for who in [&house.elder, &house.guardian, &system] {
            streams.push(follow(&app, house.family, who).await);
        }
        let mut all = follow_all(&app, &house.elder).await;
        let line = format!("DELETE /families/{}", house.family);
        app.call(&line, &house.elder, json!({"password": PASSWORD})).await.succeeds(200);
        for stream in &mut streams {
            stream.ends("access").await;
        }
        all.expect("left").await;
    }

    async fn an_open_stream_is_no_use_of_its_session(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| {
            settings.streams.belief = Duration::from_millis(10);
            settings.streams.patience = Duration::from_hours(1);
        })
        .await;
        let house = app.house().await;
        let mut stream = follow(&app, house.family, &house.guardian).await;
        app.advance(31 * 60_000).await;
        happen(&t, house.family, [json!({})]).await;
        round(&app).await;
        stream.expect("report").await;
        app.advance(1_000).await;
        stream.ends("access").await;
    }

    async fn rights_are_looked_at_again_even_if_nobody_tells(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.streams.belief = Duration::from_millis(10)).await;
        let house = app.house().await;
        let mut stream = follow(&app, house.family, &house.guardian).await;
        let removed = t.db.execute("DELETE FROM members WHERE id = ?", params![house.member]).await;
        assert_eq!(removed.expect("the database answers"), 1);
        stream.ends("access").await;
    }
}
