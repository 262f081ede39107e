//! Who is told when, and what stops it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use carebot_model::alarms::{AlarmState, Channel, ClearReason, Severity};

use super::delivery::set_contact;
use super::*;

fn refused() -> carebot_external::channels::Undelivered {
    carebot_external::channels::Undelivered::Refused("no such mailbox".into())
}

fn down() -> carebot_external::channels::Undelivered {
    carebot_external::channels::Undelivered::Later { reason: "503".into(), after: None }
}

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
        for _ in 0..5 {
            world.jump(20 * MINUTE).await;
            world.home(json!({"ethanol": 0.2})).await;
        }
        assert!(!world.post.take().iter().any(|posted| is_gas(posted) && posted.to == operator.email), "an operator not again");
        world.post.answers(|_| Ok(()));
        world.jump(10 * MINUTE).await;
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

    async fn channels_that_fail_for_a_minute_reach_nobody(t: TestDb) {
        let world = World::new(&t).await;
        let operator = world.app.system().await;
        let to = operator.email.clone();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        world.post.answers(move |posted| {
            record.lock().expect("unharmed").push(posted.to.clone());
            if posted.to == to { Ok(()) } else { Err(down()) }
        });
        world.fall().await;
        let mut told: Vec<(i64, String)> = Vec::new();
        for second in 0..6 * 60 {
            world.turn().await;
            for to in std::mem::take(&mut *asked.lock().expect("unharmed")) {
                if told.iter().all(|(_, other)| *other != to) {
                    told.push((second, to));
                }
            }
            world.pass(SECOND).await;
        }
        let (at, whom): (Vec<i64>, Vec<String>) = told.into_iter().unzip();
        let emails = [&world.house.guardian, &world.second, &world.nurse, &operator].map(|person| person.email.clone());
        assert_eq!(whom, emails, "one after the other, and a stranger at last");
        for pair in at.windows(2) {
            assert!((60..=100).contains(&(pair[1] - pair[0])), "{at:?}");
        }
        let of_operator = world.timeline(world.alarm(Rule::Fall).await.id).await;
        let handed = of_operator.iter().filter(|entry| entry.kind == EntryKind::Handed).count();
        assert_eq!(handed, 1, "and once");
    }

    async fn who_is_to_come_again_in_a_moment_is_not_given_up(t: TestDb) {
        let world = World::new(&t).await;
        let operator = world.app.system().await;
        for who in [&world.second, &world.nurse] {
            transact!(t.db, tx => { tx.execute("DELETE FROM members WHERE user_id = ?", params![who.id]).await }).expect("left");
        }
        let tries = AtomicUsize::new(0);
        world.post.answers(move |_| if tries.fetch_add(1, Ordering::SeqCst) < 4 { Err(down()) } else { Ok(()) });
        world.fall().await;
        world.pass(14 * MINUTE).await;
        let told = world.post.whom();
        assert!(told.contains(&world.house.guardian.email) && !told.contains(&operator.email), "{told:?}");
    }

    async fn what_is_refused_late_still_reaches_an_operator(t: TestDb) {
        let world = World::new(&t).await;
        let operator = world.app.system().await;
        let (first, to) = (world.house.guardian.email.clone(), operator.email.clone());
        let is_refused = Arc::new(AtomicBool::new(false));
        let refused = Arc::clone(&is_refused);
        world.post.answers(move |posted| match &posted.to {
            to_whom if *to_whom == to => Ok(()),
            to_whom if *to_whom == first && !refused.load(Ordering::SeqCst) => Err(down()),
            _ => Err(carebot_external::channels::Undelivered::Refused("no such mailbox".into())),
        });
        let steps = json!({"severity": "crit", "steps": [
            {"rung": "first", "after_seconds": 0}, {"rung": "others", "after_seconds": 5}, {"rung": "staff", "after_seconds": 10},
        ]});
        let path = format!("PATCH /v1/ladders/{}", world.house.family);
        world.app.call(&path, &world.house.guardian, steps).await.succeeds(200);
        world.fall().await;
        world.pass(20 * SECOND).await;
        assert!(!world.post.whom().contains(&operator.email), "the first may still be reached");
        is_refused.store(true, Ordering::SeqCst);
        world.pass(30 * SECOND).await;
        assert!(world.post.whom().contains(&operator.email), "the last to be tried was not on the last step");
    }

    async fn whoever_moves_up_is_told_and_nobody_twice(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
        let swap = "UPDATE members SET sort_order = CASE WHEN user_id = ? THEN 2 ELSE 1 END WHERE family_id = ?";
        transact!(t.db, tx => { tx.execute(swap, params![world.house.guardian.id, world.house.family]).await }).expect("swapped");
        world.pass(2 * MINUTE).await;
        assert_eq!(world.post.whom(), [world.second.email.as_str()], "the second is first by now");
        world.pass(8 * MINUTE).await;
        assert_eq!(world.post.whom(), [world.nurse.email.as_str()]);
    }

    async fn who_was_told_and_left_leaves_the_others_to_be_told(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.pass(MINUTE).await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
        let gone = [&world.house.guardian, &world.nurse];
        for who in gone {
            transact!(t.db, tx => { tx.execute("DELETE FROM members WHERE user_id = ?", params![who.id]).await }).expect("left");
        }
        world.pass(MINUTE).await;
        assert_eq!(world.post.whom(), [world.second.email.as_str()]);
    }

    async fn a_page_that_is_open_counts_for_its_family_and_not_for_ever(t: TestDb) {
        let world = World::new(&t).await;
        let first = world.house.guardian.email.clone();
        world.post.answers(move |posted| if posted.to == first { Err(refused()) } else { Ok(()) });
        let mut page = crate::events::follow(&world.app, world.house.family, &world.house.guardian).await;
        let elsewhere = t.family().await;
        t.join(elsewhere, world.second.id, Some(world.second.id)).await;
        let _other = crate::events::follow(&world.app, elsewhere, &world.second).await;
        world.app.service.look_after_streams().await.expect("streams are looked after");
        world.fall().await;
        world.turn().await;
        world.app.service.look_after_streams().await.expect("streams are looked after");
        while page.next().await.expect("an event").name != "alarm" {}
        // It has been shown when the page asks for what comes next.
        world.home(json!({"temperature": 22.0})).await;
        world.app.service.look_after_streams().await.expect("streams are looked after");
        while page.next().await.expect("an event").name != "reading" {}
        let id = world.alarm(Rule::Fall).await.id;
        world.app.service.look_after_streams().await.expect("streams are looked after");
        assert!(world.kinds(id).await.contains(&EntryKind::Delivered));
        assert!(world.post.take().is_empty(), "the first sees it");
        let channels = world.app.get(&format!("/v1/channels/{}", world.house.family), &world.house.elder).await.json();
        let watching: Vec<bool> = channels["result"]["members"].as_array().expect("members").iter().map(|one| one["watching"] == true).collect();
        assert_eq!(watching, [true, false, false], "whoever looks at another family does not look at this one");
        world.pass(2 * MINUTE).await;
        assert_eq!(world.post.whom(), [world.second.email.as_str()]);
        world.pass(8 * MINUTE).await;
        assert_eq!(world.post.whom(), [world.nurse.email.as_str()]);
        // Nobody has confirmed it: a page that stands open is no person.
        world.app.service.look_after_streams().await.expect("streams are looked after");
        world.later(15 * MINUTE).await;
        assert!(world.post.whom().contains(&world.second.email), "at once");
    }

    async fn a_shorter_time_takes_the_place_of_a_longer_one(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"ethanol": 2.0})).await;
        world.turn().await;
        let alarm = world.alarm(Rule::Gas).await;
        assert_eq!((alarm.severity, world.post.whom()), (Severity::Warn, vec![world.house.guardian.email.clone()]));
        let (guardian, service) = (world.actor(&world.house.guardian).await, &world.app.service);
        service.snooze_alarm(&guardian, alarm.id, 20 * 3_600, "환기 중").await.expect("put off");
        world.pass(MINUTE).await;
        service.snooze_alarm(&guardian, alarm.id, 60, "벌써 끝남").await.expect("shorter");
        for _ in 0..5 {
            world.home(json!({"ethanol": 2.0})).await;
            world.pass(MINUTE).await;
        }
        // Five minutes after the first, and two during which the ladder stood still.
        assert_eq!(world.post.whom().iter().filter(|to| **to == world.second.email).count(), 0);
        world.home(json!({"ethanol": 2.0})).await;
        world.pass(MINUTE).await;
        assert!(world.post.whom().contains(&world.second.email));
    }

    async fn what_waits_to_be_tried_again_waits_for_a_snooze_too(t: TestDb) {
        let world = World::new(&t).await;
        world.post.answers(|_| Err(down()));
        world.fall().await;
        world.turn().await;
        let id = world.alarm(Rule::Fall).await.id;
        let guardian = world.actor(&world.house.guardian).await;
        world.app.service.snooze_alarm(&guardian, id, 900, "가는 중").await.expect("put off");
        // As if the channel had answered after the alarm was put off.
        transact!(t.db, tx => { tx.execute("UPDATE deliveries SET due_at = ? WHERE ended IS NULL", params![t.now()]).await })
            .expect("due");
        world.post.take();
        world.pass(14 * MINUTE).await;
        assert!(world.post.take().iter().all(|posted| posted.notice.title != "낙상감지"));
        world.post.answers(|_| Ok(()));
        world.pass(2 * MINUTE).await;
        assert!(world.post.take().iter().any(|posted| posted.notice.title == "낙상감지"));
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
