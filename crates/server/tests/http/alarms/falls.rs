//! A fall, in all the ways in which it is reported.

use carebot_database::rules;
use carebot_model::alarms::{AlarmState, Answer, ClearReason, EntryKind, Severity};

use super::*;
use crate::events::follow;

both_engines! {
    async fn a_fall_is_an_alarm_when_the_report_is_stored_and_the_first_guardian_has_it_at_once(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        let alarm = world.alarm(Rule::Fall).await;
        assert_eq!((alarm.severity, alarm.state(), alarm.is_late()), (Severity::Crit, AlarmState::Active, false));
        world.turn().await;
        let posted = world.post.take();
        assert_eq!(posted.len(), 1);
        assert_eq!(posted[0].to, world.house.guardian.email);
        assert!(posted[0].notice.is_urgent && posted[0].notice.title == "낙상감지", "{:?}", posted[0]);
        let notifications = world.notifications().await;
        assert_eq!(notifications, [("crit".to_owned(), "낙상감지,어르신이 넘어지신 것 같습니다. 지금 바로 확인해 주세요.".to_owned())]);
    }

    async fn without_an_answer_the_elder_is_asked_first_and_then_the_guardians_told(t: TestDb) {
        let world = World::new(&t).await;
        let elder = world.actor(&world.house.elder).await;
        let family = world.house.family.to_string();
        assert!(world.app.service.prompts(&elder, &family).await.expect("prompts").is_empty());
        world.fall().await;
        world.pass(10 * SECOND).await;
        assert!(world.post.take().is_empty(), "nobody is told while the elder is asked");
        let prompts = world.app.service.prompts(&elder, &family).await.expect("prompts");
        assert_eq!((prompts.len(), prompts[0].text, prompts[0].seconds_left), (1, "괜찮으세요?", 20));
        world.pass(19 * SECOND).await;
        assert!(world.post.take().is_empty());
        world.pass(SECOND).await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
        let alarm = world.alarm(Rule::Fall).await;
        assert_eq!(alarm.answer, Some(Answer::Silent));
        world.pass(2 * MINUTE).await;
        assert_eq!(world.post.whom(), [world.second.email.as_str()], "the second guardian two minutes after the first");
    }

    async fn a_robot_that_follows_its_stream_is_listening_and_a_person_who_does_is_not(t: TestDb) {
        let world = World::new(&t).await;
        let (elder, family) = (&world.house.elder, world.house.family);
        let mut page = follow(&world.app, family, &world.house.guardian).await;
        // What reports is a robot.
        let home = json!({"family_id": family, "temperature": 21.0});
        assert_eq!(world.app.call("POST /status/home", elder, home).await.status, 201);
        let mut robot = follow(&world.app, family, elder).await;
        world.fall().await;
        world.turn().await;
        assert!(world.post.take().is_empty(), "nobody is told while the elder is asked");
        for stream in [&mut page, &mut robot] {
            stream.expect("report").await;
            stream.expect("notification").await;
            let raised = stream.expect("alarm").await;
            assert!(!raised.data["body"]["alarm"]["ask_until"].is_null(), "{:?}", raised.data);
        }
        world.pass(30 * SECOND).await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
    }

    async fn a_robot_that_hangs_is_not_listening_though_its_connection_takes_what_it_is_given(t: TestDb) {
        let world = World::new(&t).await;
        let (elder, family) = (&world.house.elder, world.house.family);
        world.home(json!({"temperature": 21.0})).await;
        drop(follow(&world.app, family, elder).await);
        let robot = || async { rules::robot(&mut t.db.read(), family).await.expect("read").expect("known") };
        let listened = robot().await;
        assert_eq!((listened.heard_at, listened.prompts_at), (None, Some(t.now())), "a stream is no sign of life");
        world.later(61 * SECOND).await;
        drop(follow(&world.app, family, elder).await);
        assert_eq!(robot().await, listened);
        let body = json!({"family_id": family, "notification_grade": "crit", "descriptions": "낙상감지"});
        world.app.call("POST /notify", elder, body).await.succeeds(201);
        world.turn().await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()], "nobody is there to ask the elder");
        world.later(10 * MINUTE).await;
        drop(follow(&world.app, family, elder).await);
        world.turn().await;
        assert!(world.active(Rule::Silence).await.is_some());
    }

    async fn an_elder_who_is_well_disturbs_nobody(t: TestDb) {
        let world = World::new(&t).await;
        let elder = world.actor(&world.house.elder).await;
        world.app.service.prompts(&elder, world.house.family.as_str()).await.expect("prompts");
        world.fall().await;
        let id = world.alarm(Rule::Fall).await.id;
        let view = world.app.service.answer_alarm(&elder, id, Answer::Fine, Some("괜찮아")).await.expect("answered");
        assert_eq!(view.clear_reason, Some(ClearReason::Elder));
        world.pass(15 * MINUTE).await;
        let about_it: Vec<_> = world.post.take().into_iter().filter(|posted| posted.notice.title == "낙상감지").collect();
        assert!(about_it.is_empty(), "{about_it:?}");
        let said = world.timeline(id).await.into_iter().find(|entry| entry.kind == EntryKind::Answered).expect("an entry");
        assert!(!said.body.contains("괜찮아"), "words are not kept: {}", said.body);
    }

    async fn who_asks_for_help_need_not_wait(t: TestDb) {
        let world = World::new(&t).await;
        let elder = world.actor(&world.house.elder).await;
        world.app.service.prompts(&elder, world.house.family.as_str()).await.expect("prompts");
        world.fall().await;
        let id = world.alarm(Rule::Fall).await.id;
        world.app.service.answer_alarm(&elder, id, Answer::Help, None).await.expect("answered");
        world.turn().await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
    }

    async fn that_all_is_well_said_later_ends_nothing(t: TestDb) {
        let world = World::new(&t).await;
        let elder = world.actor(&world.house.elder).await;
        world.fall().await;
        world.turn().await;
        let id = world.alarm(Rule::Fall).await.id;
        let view = world.app.service.answer_alarm(&elder, id, Answer::Fine, None).await.expect("answered");
        assert_eq!((view.state, view.answer), (AlarmState::Active, Some(Answer::Fine)));
    }

    async fn the_fall_detector_of_today_makes_one_alarm_and_keeps_its_own_notification(t: TestDb) {
        let world = World::new(&t).await;
        let body = json!({"family_id": world.house.family, "notification_grade": "CRIT", "descriptions": "낙상감지", "image_url": "https://example.com/fall.jpg"});
        world.app.call("POST /notify", &world.house.elder, body).await.succeeds(201);
        // The same fall, seen by another program a moment later.
        world.app.t.clock.advance(3 * SECOND);
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()], "one message for one fall");
        let all = world.all().await;
        assert_eq!((all.len(), all[0].occurrences), (1, 2));
        assert_eq!(all[0].image_url.as_deref(), Some("https://example.com/fall.jpg"));
        assert_eq!(world.notifications().await, [("crit".to_owned(), "낙상감지".to_owned())]);
    }

    async fn a_second_fall_after_the_first_was_seen_to_is_told_anew(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        let id = world.alarm(Rule::Fall).await.id;
        world.acknowledge(&world.house.guardian, id).await;
        world.post.take();
        world.pass(61 * SECOND).await;
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
        assert_eq!(world.alarm(Rule::Fall).await.state(), AlarmState::Active);
    }

    async fn an_emergency_of_another_kind_is_an_alarm_of_its_own(t: TestDb) {
        let world = World::new(&t).await;
        let body = json!({"family_id": world.house.family, "notification_grade": "crit", "descriptions": "화재,연기가 보입니다"});
        world.app.call("POST /notify", &world.house.elder, body).await.succeeds(201);
        assert!(world.active(Rule::Emergency).await.is_some() && world.active(Rule::Fall).await.is_none());
        for grade in ["info", "warn"] {
            let body = json!({"family_id": world.house.family, "notification_grade": grade, "descriptions": "낙상감지"});
            world.app.call("POST /notify", &world.house.elder, body).await.succeeds(201);
        }
        assert_eq!(world.all().await.len(), 1, "only what is critical is an alarm");
    }

    async fn a_cry_to_every_guardian_is_one_alarm(t: TestDb) {
        let world = World::new(&t).await;
        for to in [&world.house.guardian, &world.second, &world.nurse] {
            let body = json!({"from_id": world.house.elder.id, "to_id": to.id, "content": "[긴급] 도와줘"});
            world.app.call("POST /messages/send", &world.house.elder, body).await.succeeds(201);
        }
        world.turn().await;
        let all = world.all().await;
        assert_eq!((all.len(), all[0].rule, all[0].occurrences), (1, Rule::Sos, 3));
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
        // A guardian who writes so is no elder who cries.
        let body = json!({"from_id": world.house.guardian.id, "to_id": world.house.elder.id, "content": "[긴급] 전화 좀"});
        world.app.call("POST /messages/send", &world.house.guardian, body).await.succeeds(201);
        assert_eq!(world.all().await[0].occurrences, 3);
    }

    async fn reading_it_acknowledges_it_but_not_on_the_robots_screen(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        let alarm = world.alarm(Rule::Fall).await;
        let line = format!("PATCH /notify/read/{}", alarm.notification.expect("a notification").0);
        world.app.call(&line, &world.house.elder, json!(null)).await.succeeds(200);
        assert_eq!(world.get(alarm.id).await.acknowledged_at, None);
        world.app.call(&line, &world.house.guardian, json!(null)).await.succeeds(200);
        let read = world.get(alarm.id).await;
        assert_eq!(read.acknowledged_by, Some(world.house.guardian.id));
        world.pass(20 * MINUTE).await;
        assert!(world.post.take().iter().all(|posted| posted.notice.title != "낙상감지"));
    }

    async fn reading_many_acknowledges_too(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        let alarm = world.alarm(Rule::Fall).await;
        let body = json!({"index_list": [alarm.notification.expect("a notification").0]});
        world.app.call("PATCH /notify/read-many", &world.second, body).await.succeeds(200);
        assert_eq!(world.get(alarm.id).await.acknowledged_by, Some(world.second.id));
    }
}
