//! Several servers on one database.

use carebot_database::{params, presence};
use carebot_service::jobs;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

both_engines! {
    async fn what_is_written_through_one_server_reaches_the_streams_of_another(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other) = (app.house().await, second(&t).await);
        let mut here = follow(&app, house.family, &house.guardian).await;
        let mut there = follow(&other, house.family, &house.guardian).await;
        for is_on in [true, false, true] {
            camera(&app, &house, is_on).await;
            round(&other).await;
            let (one, two) = (here.expect("settings").await, there.expect("settings").await);
            assert_eq!(one, two);
        }
        camera(&other, &house, false).await;
        round(&app).await;
        assert_eq!(here.expect("settings").await, there.expect("settings").await);
    }

    async fn a_server_that_runs_looks_by_itself(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other) = (app.house().await, second(&t).await);
        let running = jobs::start(&other.service);
        let mut there = follow(&other, house.family, &house.guardian).await;
        camera(&app, &house, true).await;
        there.expect("settings").await;
        // And again after nobody followed.
        drop(there);
        let watches = async || {
            presence::is_watching(&mut t.db.read(), house.guardian.id, house.family, t.now()).await.expect("the database answers")
        };
        until!("nobody is said to be watching", !watches().await);
        let mut there = follow(&other, house.family, &house.guardian).await;
        camera(&app, &house, false).await;
        there.expect("settings").await;
        until!("somebody is said to be watching", watches().await);
        running.stop().await;
    }

    async fn many_families_are_found_by_when_they_changed(t: TestDb) {
        // More than are asked for one by one.
        const COUNT: usize = 201;
        let app = TestApp::new(&t).await;
        let (house, other) = (app.house().await, second(&t).await);
        let families: Vec<FamilyId> = {
            let mut families = vec![house.family];
            for _ in 1..COUNT {
                let family = t.family().await;
                t.join(family, house.guardian.id, Some(house.guardian.id)).await;
                families.push(family);
            }
            families
        };
        let mut there = follow_all(&other, &house.guardian).await;
        round(&other).await;
        for family in [families[0], families[COUNT - 1], families[7]] {
            happen(&t, family, [json!({})]).await;
            round(&other).await;
            assert_eq!(there.expect("report").await.data["family_id"], json!(family));
            app.advance(1_000).await;
        }
        // One whose server's clock is far behind is found when all are compared.
        let late = transact!(t.db, tx => {
            let mut journal = Journal::open(&mut tx, families[9], t.now().plus_millis(-3_600_000)).await?;
            journal.event(EventKind::Report, &json!({}));
            journal.close(&mut tx).await
        });
        late.expect("it is written");
        round(&other).await;
        happen(&t, families[10], [json!({})]).await;
        round(&other).await;
        assert_eq!(there.expect("report").await.data["family_id"], json!(families[10]), "not yet");
        app.advance(10_000).await;
        round(&other).await;
        assert_eq!(there.expect("report").await.data["family_id"], json!(families[9]));
    }

    async fn who_is_removed_at_one_server_is_at_the_other(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other) = (app.house().await, second(&t).await);
        let session = app.sign_in(&house.guardian.email, PASSWORD).await;
        let mut of_session = follow(&other, house.family, &session).await;
        let mut of_member = follow(&other, house.family, &house.guardian).await;
        let mut all = follow_all(&other, &house.guardian).await;
        let mut elder = follow(&other, house.family, &house.elder).await;
        round(&other).await;
        // Signing out writes nothing into the family.
        app.call("POST /auth/logout", &session, Value::Null).await.succeeds(200);
        round(&other).await;
        of_session.ends("access").await;
        let line = format!("DELETE /members/kick/{}", house.member);
        app.call(&line, &house.elder, json!({"password": PASSWORD})).await.succeeds(200);
        round(&other).await;
        of_member.ends("access").await;
        all.expect("left").await;
        elder.expect("membership").await;
    }

    async fn what_a_session_may_is_not_believed_longer_at_a_server_that_was_told(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other) = (app.house().await, second(&t).await);
        let _elder = follow(&other, house.family, &house.elder).await;
        round(&other).await;
        let line = format!("/families/{}", house.family);
        other.get(&line, &house.guardian).await.succeeds(200);
        let kick = format!("DELETE /members/kick/{}", house.member);
        app.call(&kick, &house.elder, json!({"password": PASSWORD})).await.succeeds(200);
        round(&other).await;
        other.get(&line, &house.guardian).await.forbids();
    }

    async fn who_is_watching_is_known_everywhere(t: TestDb) {
        // The clock is moved, and nobody asks the streams for anything.
        let app = TestApp::with(&t, |settings, _| settings.streams.patience = HOUR).await;
        let other = TestApp::on(&t, t.open_again().await, |settings, _| settings.streams.patience = HOUR).await;
        let house = app.house().await;
        let watches = async |account: AccountId| {
            presence::is_watching(&mut t.db.read(), account, house.family, t.now()).await.expect("the database answers")
        };
        let guardian = follow(&app, house.family, &house.guardian).await;
        let again = follow_all(&app, &house.guardian).await;
        let there = follow(&other, house.family, &house.guardian).await;
        let elder = follow(&app, house.family, &house.elder).await;
        for server in [&app, &other] {
            round(server).await;
        }
        assert!(watches(house.guardian.id).await && watches(house.elder.id).await);
        // It is renewed, and not believed for ever.
        app.advance(60_000).await;
        round(&app).await;
        app.advance(60_000).await;
        assert!(watches(house.elder.id).await);
        drop(elder);
        drop(guardian);
        round(&app).await;
        assert!(!watches(house.elder.id).await && watches(house.guardian.id).await, "one of two streams is left");
        drop(again);
        round(&app).await;
        assert!(!watches(house.guardian.id).await, "what the other server said was 90 s ago");
        round(&other).await;
        assert!(watches(house.guardian.id).await);
        // A server that stops says so; one that dies is believed for a while.
        other.service.finish().await;
        assert!(!watches(house.guardian.id).await);
        drop(there);
        let rows = t.db.read().fetch_one("SELECT COUNT(*) FROM stream_places", params![], |row| row.get::<i64>(0)).await;
        assert_eq!(rows.expect("they are counted"), 0);
    }
}
