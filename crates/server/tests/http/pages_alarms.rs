//! The pages of alarms and rules, the board and the operator's page.

use carebot_model::alarms::{AlarmState, Rule};
use carebot_model::text::Name;
use carebot_testkit::fixtures::new_account;

use crate::alarms::{HOUR, MINUTE, World};
use crate::prelude::*;

/// Sends a form as a page does.
async fn send(app: &TestApp, who: &Person, path: &str, form: &str) -> Reply {
    let request = app.request(&format!("POST {path}")).by(who);
    request.body("application/x-www-form-urlencoded", form.to_owned()).send().await
}

/// A page; it must be there.
#[track_caller]
fn shown(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text()
}

/// The order in which texts stand in a page.
fn order(page: &str, texts: &[&str]) -> Vec<usize> {
    texts.iter().map(|text| page.find(text).unwrap_or_else(|| panic!("{text} is in {page}"))).collect()
}

/// An elder of a name with a family; somebody looks after her.
async fn home(app: &TestApp, by: &Person, name: &str) -> (Person, carebot_model::FamilyId) {
    let new = carebot_model::accounts::NewAccount {
        user_name: Some(Name::new(name.to_owned())),
        ..new_account(&app.t, Role::Main, name)
    };
    let elder = app.person_of(new).await;
    let family = app.family(&elder, name).await;
    app.t.join(family, by.id, Some(elder.id)).await;
    (elder, family)
}

async fn air(app: &TestApp, elder: &Person, family: carebot_model::FamilyId, temperature: f64) {
    let body = json!({"family_id": family, "temperature": temperature});
    app.call("POST /status/home", elder, body).await.succeeds(201);
}

both_engines! {
    async fn acknowledging_by_the_form_stops_the_ladder_and_shows_on_the_others_page(t: TestDb) {
        let world = World::new(&t).await;
        let app = &world.app;
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.take().len(), 1);
        let id = world.alarm(Rule::Fall).await.id.0;
        let place = format!("/app/families/{}/alarms/{id}", world.house.family);
        let open = format!("action=\"{place}/ack\"");
        let page = shown(&app.get(&place, &world.second).await);
        assert!(page.contains(&open) && page.contains("확인 필요"), "{page}");
        // A notice leads to it.
        let reply = app.get(&format!("/app/alarms/{id}"), &world.second).await;
        assert_eq!((reply.status, reply.header("location")), (303, place.as_str()));

        let reply = send(app, &world.house.guardian, &format!("{place}/ack"), "").await;
        assert_eq!((reply.status, reply.header("location")), (303, format!("{place}?done=acknowledged").as_str()));
        assert_eq!(world.alarm(Rule::Fall).await.state(), AlarmState::ActiveAcknowledged);
        let page = shown(&app.get(&place, &world.second).await);
        assert!(!page.contains(&open) && page.contains("확인함, 아직 계속됨"), "{page}");
        let page = shown(&app.get(&format!("/app/families/{}/alarms", world.house.family), &world.second).await);
        assert!(!page.contains(&open), "{page}");
        world.pass(11 * MINUTE).await;
        assert!(world.post.take().iter().all(|posted| posted.notice.title != "낙상감지"), "nobody else is told");
    }

    async fn an_alarm_is_put_off_commented_and_ended_by_forms(t: TestDb) {
        let world = World::new(&t).await;
        let app = &world.app;
        world.fall().await;
        world.turn().await;
        let id = world.alarm(Rule::Fall).await.id;
        let place = format!("/app/families/{}/alarms/{}", world.house.family, id.0);
        let guardian = &world.house.guardian;
        let reply = send(app, guardian, &format!("{place}/snooze"), "minutes=10&reason=%EA%B0%80%EB%8A%94+%EC%A4%91").await;
        assert_eq!(reply.header("location"), format!("{place}?done=snoozed"));
        let reply = send(app, guardian, &format!("{place}/snooze"), "minutes=5&reason=again").await;
        assert_eq!(reply.header("location"), format!("{place}?done=once"), "a critical one only once");
        let reply = send(app, guardian, &format!("{place}/comment"), "text=%3Cb%3Ehello").await;
        assert_eq!(reply.header("location"), format!("{place}?done=commented"));
        let page = shown(&app.get(&place, &world.second).await);
        assert!(page.contains("가는 중") && page.contains("&lt;b&gt;hello"), "{page}");
        let reply = send(app, &world.second, &format!("{place}/clear"), "comment=").await;
        assert_eq!(reply.header("location"), format!("{place}?done=cleared"));
        let reply = send(app, guardian, &format!("{place}/clear"), "").await;
        assert_eq!(reply.header("location"), format!("{place}?done=over"));
        assert_eq!(world.get(id).await.state(), AlarmState::ClearedAcknowledged);
        // It is found among those of before, and only where the filter takes it.
        let list = format!("/app/families/{}/alarms", world.house.family);
        let link = format!("href=\"{place}\"");
        assert!(shown(&app.get(&format!("{list}?rule=fall&severity=crit"), guardian).await).contains(&link));
        assert!(!shown(&app.get(&format!("{list}?rule=gas"), guardian).await).contains(&link));
    }

    async fn a_stranger_gets_no_page_of_the_family_and_nothing_of_its_names(t: TestDb) {
        let world = World::new(&t).await;
        let app = &world.app;
        world.fall().await;
        world.turn().await;
        let id = world.alarm(Rule::Fall).await.id.0;
        let family = world.house.family;
        let stranger = app.person(Role::Sub, "STRANGER").await;
        let other = app.house().await;
        let at_home = format!("/app/families/{}/alarms/{id}", other.family);
        let pages = [
            format!("/app/families/{family}/alarms"),
            format!("/app/families/{family}/alarms/{id}"),
            format!("/app/families/{family}/rules"),
            format!("/app/families/{family}/rules/heat"),
            format!("/app/alarms/{id}"),
            at_home.clone(),
        ];
        for who in [&stranger, &other.guardian] {
            for path in &pages {
                let reply = app.get(path, who).await;
                assert!(matches!(reply.status, 403 | 404), "{path}: {}", reply.status);
                for name in ["김순자", "돌봄", "낙상"] {
                    assert!(!reply.text().contains(name), "{path}: {}", reply.text());
                }
            }
            for (path, form) in [
                (format!("/app/families/{family}/alarms/{id}/ack"), ""),
                (format!("{at_home}/ack"), ""),
                (format!("/app/families/{family}/rules/heat"), "warn=30"),
                (format!("/app/families/{family}/rules/heat/try"), "warn=30"),
                (format!("/app/families/{family}/alarms/drill"), ""),
            ] {
                let reply = send(app, who, &path, form).await;
                assert!(matches!(reply.status, 403 | 404), "{path}: {}", reply.status);
            }
        }
        assert_eq!(world.alarm(Rule::Fall).await.state(), AlarmState::Active);
        let reply = app.get(&pages[0], ANYONE).await;
        assert_eq!(reply.status, 303, "who is not signed in is led to do so");
    }

    async fn the_board_shows_ones_own_homes_those_that_need_somebody_first(t: TestDb) {
        let app = TestApp::new(&t).await;
        let nurse = app.person(Role::Sub, "NURSE").await;
        // Names in the order of the alphabet, so that only the concern turns them round.
        let calm = home(&app, &nurse, "Ada").await;
        home(&app, &nurse, "Bea").await;
        let warned = home(&app, &nurse, "Cleo").await;
        let seen = home(&app, &nurse, "Dora").await;
        let urgent = home(&app, &nurse, "Edna").await;
        let foreign = app.house().await;
        app.call("POST /status/active", &foreign.elder, json!({"family_id": foreign.family, "is_critical": true})).await.succeeds(201);
        for (elder, family) in [&calm, &warned, &seen, &urgent] {
            air(&app, elder, *family, 21.5).await;
        }
        // Gas in the air: a warning, then two emergencies.
        for ((elder, family), gas) in [(&warned, 2.0), (&seen, 20.0), (&urgent, 20.0)] {
            app.call("POST /status/home", elder, json!({"family_id": family, "ethanol": gas})).await.succeeds(201);
        }
        while app.service.judge_rules().await.expect("rules are judged") > 0 {}
        let actor = app.service.current_actor(Some(&nurse.token)).await.expect("the session lives");
        let alarm = app.service.list_alarms(&actor, seen.1.as_str(), true, None, 1).await.expect("alarms are read");
        let form = format!("/app/families/{}/alarms/{}/ack", seen.1, alarm[0].id.0);
        let page = shown(&app.get("/app/board", &nurse).await);
        assert!(page.contains(&form), "{page}");
        let reply = send(&app, &nurse, &form, "from=board").await;
        assert_eq!((reply.status, reply.header("location")), (303, "/app/board?done=acknowledged"));

        let page = shown(&app.get("/app/board", &nurse).await);
        assert!(!page.contains(&form), "{page}");
        let places = order(&page, &["Edna", "Dora", "Cleo", "Bea", "Ada"]);
        assert!(places.is_sorted(), "{places:?} {page}");
        assert!(!page.contains(foreign.family.as_str()) && !page.contains("김순자"), "{page}");
        let page = shown(&app.get("/app/board?q=do", &nurse).await);
        assert!(page.contains("Dora") && !page.contains("Edna"), "{page}");
        assert_eq!(app.get("/app/board", ANYONE).await.status, 303);
    }

    async fn a_try_before_saving_changes_nothing_and_saving_does(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        // Half an hour of thirty degrees a day ago.
        for minutes in (0..=40).step_by(5) {
            let at = app.t.now().plus_millis(minutes * MINUTE - 20 * HOUR);
            app.t.report_at(house.family, at, carebot_model::status::Home { temperature: Some(30.0), ..carebot_testkit::fixtures::blank() }).await;
        }
        let place = format!("/app/families/{}/rules", house.family);
        let before = app.get(&format!("/v1/rules/{}", house.family), &house.guardian).await.text();
        let page = shown(&app.get(&place, &house.guardian).await);
        assert!(page.contains("Korea Meteorological"), "{page}");
        let page = shown(&send(&app, &house.guardian, &format!("{place}/heat/try"), "warn=29&try=yes").await);
        assert!(page.contains("지금 숫자로는 0번, 새 숫자로는 1번"), "{page}");
        assert!(page.contains("role=\"img\"") && page.contains("type=\"hidden\" name=\"warn\" value=\"29\""), "{page}");
        assert_eq!(app.get(&format!("/v1/rules/{}", house.family), &house.guardian).await.text(), before);

        let refused = send(&app, &house.guardian, &format!("{place}/heat"), "warn=99").await;
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains("28에서 38 사이"), "{}", refused.text());
        assert_eq!(app.get(&format!("/v1/rules/{}", house.family), &house.guardian).await.text(), before);

        let saved = send(&app, &house.guardian, &format!("{place}/heat"), "warn=29").await;
        assert_eq!((saved.status, saved.header("location")), (303, format!("{place}?done=saved#rule-heat").as_str()));
        assert_ne!(app.get(&format!("/v1/rules/{}", house.family), &house.guardian).await.text(), before);
        send(&app, &house.guardian, &format!("{place}/heat/default"), "").await;
        assert_eq!(app.get(&format!("/v1/rules/{}", house.family), &house.guardian).await.text(), before);
    }

    async fn rules_are_muted_and_ladders_set_by_forms(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let place = format!("/app/families/{}/rules", house.family);
        send(&app, &house.guardian, &format!("{place}/heat/mute"), "hours=8&reason=sauna").await;
        assert!(shown(&app.get(&place, &house.guardian).await).contains("(sauna)"));
        let reply = send(&app, &house.guardian, &format!("{place}/gas/mute"), "hours=8&reason=sauna").await;
        assert_eq!(reply.header("location"), format!("{place}?refused=mute#rule-gas"), "gas can not be muted");
        send(&app, &house.guardian, &format!("{place}/heat/unmute"), "").await;
        assert!(!shown(&app.get(&place, &house.guardian).await).contains("(sauna)"));

        let ladder = format!("/app/families/{}/ladders/crit", house.family);
        let reply = send(&app, &house.guardian, &ladder, "first=0&others=60&staff=").await;
        assert_eq!(reply.header("location"), format!("{place}?refused=incomplete"));
        let reply = send(&app, &house.guardian, &ladder, "first=0&others=60&staff=240").await;
        assert_eq!(reply.header("location"), format!("{place}?done=saved#ladder-crit"));
        assert!(shown(&app.get(&place, &house.guardian).await).contains("value=\"240\""));
    }

    async fn the_operators_page_is_for_operators(t: TestDb) {
        let world = World::new(&t).await;
        let app = &world.app;
        world.fall().await;
        world.turn().await;
        for who in [&world.house.elder, &world.house.guardian, &world.nurse] {
            let reply = app.get(&format!("/app/operator?email={}", world.house.elder.email), who).await;
            assert_eq!(reply.status, 403);
            assert!(!reply.text().contains(world.house.elder.id.as_str()), "{}", reply.text());
        }
        let system = app.system().await;
        let page = shown(&app.get("/app/operator", &system).await);
        assert!(page.contains(app.t.db.dialect().name()) && page.contains("1 (확인 안 됨 1)"), "{page}");
        assert!(page.contains(world.nurse.id.as_str()), "sign-ins are told: {page}");
        for secret in ["김순자", "낙상", world.nurse.email.as_str()] {
            assert!(!page.contains(secret), "{secret}: {page}");
        }
        let page = shown(&app.get(&format!("/app/operator?email={}", world.house.guardian.email), &system).await);
        assert!(page.contains(world.house.guardian.id.as_str()) && page.contains(world.house.family.as_str()), "{page}");
        let page = shown(&app.get("/app/operator?email=nobody@example.org", &system).await);
        assert!(page.contains("이 주소의 계정이 없습니다"), "{page}");
    }
}
