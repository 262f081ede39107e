//! Who is told when, and what stops it.

use carebot_model::alarms::{AlarmState, Channel, ClearReason};

use super::delivery::set_contact;
use super::*;

both_engines! {
    async fn the_ladder_is_climbed_until_somebody_confirms(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
        world.pass(119 * SECOND).await;
        assert!(world.post.take().is_empty());
        world.pass(SECOND).await;
        assert_eq!(world.post.whom(), [world.second.email.as_str()]);
        world.pass(8 * MINUTE - SECOND).await;
        assert!(world.post.take().is_empty());
        world.pass(SECOND).await;
        assert_eq!(world.post.whom(), [world.nurse.email.as_str()], "the last rung ten minutes after the fall");
    }

    async fn an_acknowledgement_ends_it_for_everybody(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.pass(2 * MINUTE).await;
        assert_eq!(world.post.take().len(), 2);
        let id = world.alarm(Rule::Fall).await.id;
        world.acknowledge(&world.second, id).await;
        world.pass(30 * MINUTE).await;
        assert!(world.post.take().iter().all(|posted| posted.notice.title != "낙상감지"));
        assert_eq!(world.get(id).await.state(), AlarmState::ActiveAcknowledged);
        // Twice is no fault and changes nothing.
        let before = world.timeline(id).await.len();
        world.acknowledge(&world.house.guardian, id).await;
        assert_eq!(world.timeline(id).await.len(), before);
    }

    async fn nobody_confirmed_so_it_begins_again(t: TestDb) {
        let world = World::new(&t).await;
        // A robot that says nothing else would raise alarms of its own.
        world.fall().await;
        world.pass(10 * MINUTE).await;
        assert_eq!(world.post.take().len(), 3);
        world.jump(15 * MINUTE).await;
        let again: Vec<_> = world.post.take().into_iter().filter(|posted| posted.notice.title == "낙상감지").collect();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].to, world.house.guardian.email);
        assert_eq!(world.alarm(Rule::Fall).await.episode, 2);
    }

    async fn whom_no_channel_reaches_is_passed_over_at_once(t: TestDb) {
        let world = World::new(&t).await;
        let first = world.house.guardian.email.clone();
        world.post.answers(move |posted| {
            if posted.to == first { Err(carebot_external::channels::Undelivered::Refused("no such mailbox".into())) } else { Ok(()) }
        });
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), [world.second.email.as_str()], "the second does not wait for one who can not be reached");
    }

    async fn without_anybody_the_operators_are_told(t: TestDb) {
        let post = Postbox::default();
        let carrier = post.clone();
        let app = TestApp::with(&t, |settings, _| settings.alarms.carrier = Some(std::sync::Arc::new(carrier))).await;
        let operator = app.system().await;
        let elder = app.person(Role::Main, "ELDER").await;
        let family = app.family(&elder, "FAMILY").await;
        let body = json!({"family_id": family, "is_critical": true});
        app.call("POST /status/active", &elder, body).await.succeeds(201);
        app.service.tend_alarms().await.expect("tended");
        app.service.hand_out_notices().await.expect("handed out");
        assert_eq!(post.whom(), [operator.email]);
    }

    async fn a_guardian_who_left_is_not_told_and_one_who_came_is(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        world.post.take();
        let third = world.app.person(Role::Sub, "THIRD").await;
        world.app.t.join(world.house.family, third.id, Some(world.house.elder.id)).await;
        transact!(t.db, tx => { tx.execute("DELETE FROM members WHERE user_id = ?", params![world.second.id]).await }).expect("left");
        world.pass(2 * MINUTE).await;
        assert_eq!(world.post.whom(), [third.email]);
    }

    async fn a_notice_that_waits_for_somebody_who_left_is_not_handed_over_and_the_next_is_told_at_once(t: TestDb) {
        let world = World::new(&t).await;
        world.post.answers(|_| Err(carebot_external::channels::Undelivered::Later { reason: "down".into(), after: None }));
        world.fall().await;
        world.turn().await;
        let guardian = &world.house.guardian;
        transact!(t.db, tx => { tx.execute("DELETE FROM members WHERE user_id = ?", params![guardian.id]).await }).expect("left");
        world.post.answers(|_| Ok(()));
        world.pass(5 * SECOND).await;
        assert_eq!(world.post.whom(), [world.second.email.as_str()]);
    }

    async fn a_family_whose_people_have_no_channel_is_told_to_the_operators_at_the_last_step(t: TestDb) {
        let world = World::new(&t).await;
        let operator = world.app.system().await;
        for who in [&world.house.guardian, &world.second, &world.nurse] {
            set_contact(&world, who, |contact| contact.channels = vec![Channel::Webhook]).await;
        }
        world.fall().await;
        world.pass(5 * SECOND).await;
        assert_eq!(world.post.whom(), [operator.email.as_str()], "without waiting");
        // One channel is enough.
        let id = world.alarm(Rule::Fall).await.id;
        world.acknowledge(&world.nurse, id).await;
        set_contact(&world, &world.nurse, |contact| contact.channels = vec![Channel::Email]).await;
        world.pass(2 * MINUTE).await;
        world.fall().await;
        world.pass(10 * MINUTE).await;
        assert_eq!(world.post.whom(), [world.nurse.email.as_str()]);
    }

    async fn without_guardians_the_first_who_is_there_is_the_first(t: TestDb) {
        let world = World::new(&t).await;
        let other = world.app.person(Role::Sub, "OTHER").await;
        join_as(&world.app, world.house.family, other.id, Position::Staff).await;
        for who in [&world.house.guardian, &world.second] {
            transact!(t.db, tx => { tx.execute("DELETE FROM members WHERE user_id = ?", params![who.id]).await }).expect("left");
        }
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), [world.nurse.email.as_str()]);
        world.pass(2 * MINUTE).await;
        assert_eq!(world.post.whom(), [other.email.as_str()], "there are no other guardians to wait for");
    }

    async fn put_off_it_waits_and_then_goes_on(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        world.post.take();
        let (id, guardian) = (world.alarm(Rule::Fall).await.id, world.actor(&world.house.guardian).await);
        let service = &world.app.service;
        for (seconds, reason) in [(901, "자는 중"), (59, "자는 중"), (i64::MAX, "자는 중"), (600, "  ")] {
            service.snooze_alarm(&guardian, id, seconds, reason).await.expect_err("out of bounds, or without a reason");
        }
        service.snooze_alarm(&guardian, id, 900, "가는 중").await.expect("put off");
        world.pass(15 * MINUTE - SECOND).await;
        assert!(world.post.take().iter().all(|posted| posted.notice.title != "낙상감지"));
        service.snooze_alarm(&guardian, id, 900, "또").await.expect_err("a critical one only once");
        world.pass(2 * MINUTE + SECOND).await;
        let told: Vec<_> = world.post.take().into_iter().filter(|posted| posted.notice.title == "낙상감지").collect();
        assert_eq!(told.len(), 1, "the ladder goes on where it stood");
        assert_eq!(told[0].to, world.second.email);
    }

    async fn what_is_over_before_anybody_knew_is_told_once_and_then_ends(t: TestDb) {
        let world = World::new(&t).await;
        world.post.answers(|_| Err(carebot_external::channels::Undelivered::Later { reason: "down".into(), after: None }));
        world.home(json!({"ethanol": 20.0})).await;
        world.turn().await;
        let id = world.alarm(Rule::Gas).await.id;
        for _ in 0..8 {
            world.pass(10 * SECOND).await;
            world.home(json!({"ethanol": 0.5})).await;
        }
        world.pass(10 * SECOND).await;
        let alarm = world.get(id).await;
        assert_eq!((alarm.clear_reason, alarm.handed_at), (Some(ClearReason::Normal), None));
        world.post.answers(|_| Ok(()));
        world.pass(2 * MINUTE).await;
        let told = world.post.take();
        assert!(told.iter().any(|posted| posted.notice.title == "가스 위험"), "nobody had been told yet");
        assert!(told.len() <= 2, "and then it is enough: {told:?}");
        world.pass(20 * MINUTE).await;
        assert!(world.post.take().iter().all(|posted| posted.notice.title != "가스 위험"));
    }

    async fn what_only_an_operator_was_told_of_is_told_to_the_family_as_soon_as_it_can_be(t: TestDb) {
        let world = World::new(&t).await;
        let operator = world.app.system().await;
        for who in [&world.second, &world.nurse] {
            transact!(t.db, tx => { tx.execute("DELETE FROM members WHERE user_id = ?", params![who.id]).await }).expect("left");
        }
        let to = operator.email.clone();
        world.post.answers(move |posted| {
            let down = || carebot_external::channels::Undelivered::Later { reason: "503".into(), after: None };
            if posted.to == to { Ok(()) } else { Err(down()) }
        });
        let is_gas = |posted: &carebot_testkit::app::Posted| posted.notice.title == "가스 위험";
        for _ in 0..11 {
            world.home(json!({"ethanol": 20.0})).await;
            world.pass(MINUTE).await;
        }
        let id = world.alarm(Rule::Gas).await.id;
        assert!(world.post.take().iter().any(|posted| is_gas(posted) && posted.to == operator.email), "better a stranger than nobody");
        for _ in 0..3 {
            world.home(json!({"ethanol": 0.2})).await;
            world.pass(MINUTE).await;
        }
        let alarm = world.get(id).await;
        assert_eq!((alarm.clear_reason, alarm.handed_at), (Some(ClearReason::Normal), None), "of the family nobody knows");
        world.post.take();
        world.post.answers(|_| Ok(()));
        world.pass(2 * MINUTE).await;
        assert!(world.get(id).await.handed_at.is_some());
        let told: Vec<_> = world.post.take().into_iter().filter(is_gas).collect();
        assert!(told.iter().any(|posted| posted.to == world.house.guardian.email), "{told:?}");
        world.jump(HOUR).await;
        assert!(!world.post.take().iter().any(is_gas), "and then it is enough");
    }

    async fn what_an_operator_was_told_of_ends_when_there_is_no_way_to_the_family(t: TestDb) {
        let world = World::new(&t).await;
        let operator = world.app.system().await;
        let to = operator.email.clone();
        world.post.answers(move |posted| {
            let none = || carebot_external::channels::Undelivered::Refused("no such mailbox".into());
            if posted.to == to { Ok(()) } else { Err(none()) }
        });
        world.home(json!({"ethanol": 20.0})).await;
        world.pass(5 * SECOND).await;
        assert_eq!(world.post.whom(), [operator.email]);
        world.home(json!({"ethanol": 0.2})).await;
        world.pass(2 * MINUTE).await;
        world.home(json!({"ethanol": 0.2})).await;
        world.jump(HOUR).await;
        assert!(!world.post.take().iter().any(|posted| posted.notice.title == "가스 위험"), "told, over, and no use to repeat");
    }

    async fn what_was_acknowledged_is_over_after_a_day(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        let id = world.alarm(Rule::Fall).await.id;
        world.acknowledge(&world.house.guardian, id).await;
        world.jump(24 * HOUR - SECOND).await;
        assert!(world.active(Rule::Fall).await.is_some());
        world.jump(SECOND).await;
        assert_eq!(world.get(id).await.clear_reason, Some(ClearReason::Expired));
    }
}
