//! Clocks of servers that were far ahead: a machine that keeps Korean time as if it were UTC, until NTP sets it right.

use std::sync::Arc;

use carebot_database::ambient::ManualClock;
use carebot_external::channels::Undelivered;
use carebot_model::alarms::Severity;
use carebot_service::{Service, Settings};

use super::*;

const WRONG: i64 = 9 * HOUR;

/// So long it takes until a clock that was set is known to be right, in milliseconds.
const SETTLED: i64 = 10 * SECOND;

/// The clock is set, and the server goes on.
async fn set_clock(world: &World, by: i64) {
    world.app.advance(by).await;
    beat(&world.app.service).await;
    for _ in 0..SETTLED / (5 * SECOND) {
        world.app.advance(5 * SECOND).await;
        beat(&world.app.service).await;
    }
}

async fn beat(service: &Service) {
    service.beat().await.expect("the loop says that it turns");
}

both_engines! {
    async fn a_fall_does_not_wait_until_the_clock_would_have_been_right(t: TestDb) {
        let world = World::new(&t).await;
        set_clock(&world, WRONG).await;
        // The network is not there yet.
        world.post.answers(|_| Err(Undelivered::Later { reason: "no route".into(), after: None }));
        world.fall().await;
        world.pass(3 * SECOND).await;
        assert_eq!(world.post.whom(), Vec::<String>::new());
        world.post.answers(|_| Ok(()));
        set_clock(&world, -WRONG).await;
        world.turn().await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
        world.pass(2 * MINUTE).await;
        assert_eq!(world.post.whom(), [world.second.email.as_str()], "the ladder keeps its distances");
        world.pass(13 * MINUTE).await;
        assert_eq!(world.post.whom(), [world.nurse.email.as_str()]);
    }

    async fn another_server_brings_forward_what_one_with_a_wrong_clock_left(t: TestDb) {
        let world = World::new(&t).await;
        set_clock(&world, WRONG).await;
        world.post.answers(|_| Err(Undelivered::Later { reason: "no route".into(), after: None }));
        world.fall().await;
        world.turn().await;
        t.clock.advance(-WRONG);
        let post = Postbox::default();
        let carrier = post.clone();
        let other = TestApp::on(&t, t.open_again().await, |settings, _| settings.alarms.carrier = Some(std::sync::Arc::new(carrier))).await;
        for _ in 0..3 {
            other.advance(5 * SECOND).await;
            beat(&other.service).await;
        }
        other.service.tend_alarms().await.expect("tended");
        other.service.hand_out_notices().await.expect("handed out");
        assert_eq!(post.whom(), [world.house.guardian.email.as_str()]);
    }

    async fn a_silence_is_noticed_in_time(t: TestDb) {
        let world = World::new(&t).await;
        set_clock(&world, WRONG).await;
        world.turn().await;
        set_clock(&world, -WRONG).await;
        world.home(json!({"temperature": 22.0})).await;
        world.turn().await;
        assert!(world.active(Rule::Silence).await.is_none());
        world.later(21 * MINUTE).await;
        assert_eq!(world.alarm(Rule::Silence).await.severity, Severity::Crit);
    }

    async fn nothing_critical_is_put_off_for_longer_than_its_bound(t: TestDb) {
        let world = World::new(&t).await;
        set_clock(&world, WRONG).await;
        world.fall().await;
        world.turn().await;
        world.post.take();
        let guardian = world.actor(&world.house.guardian).await;
        let id = world.alarm(Rule::Fall).await.id;
        world.app.service.snooze_alarm(&guardian, id, 900, "가는 중").await.expect("put off");
        set_clock(&world, -WRONG).await;
        world.pass(14 * MINUTE).await;
        assert_eq!(world.post.whom(), Vec::<String>::new());
        world.pass(4 * MINUTE).await;
        assert!(!world.post.whom().is_empty());
    }

    async fn a_ladder_goes_on_where_it_was(t: TestDb) {
        let world = World::new(&t).await;
        set_clock(&world, WRONG).await;
        world.fall().await;
        world.pass(9 * MINUTE).await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str(), world.second.email.as_str()]);
        set_clock(&world, -WRONG).await;
        world.pass(45 * SECOND).await;
        assert_eq!(world.post.whom(), Vec::<String>::new(), "nobody earlier than by a clock that is right");
        world.pass(15 * SECOND).await;
        assert_eq!(world.post.whom(), [world.nurse.email.as_str()]);
    }

    async fn an_alarm_of_before_climbs_again_in_time(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        set_clock(&world, WRONG).await;
        world.turn().await;
        assert_eq!(world.post.take().len(), 3, "by that clock all steps are due");
        set_clock(&world, -WRONG).await;
        world.pass(16 * MINUTE).await;
        assert!(world.post.whom().contains(&world.house.guardian.email));
    }

    async fn what_was_put_off_by_a_wrong_clock_is_not_put_off_anew(t: TestDb) {
        let world = World::new(&t).await;
        set_clock(&world, WRONG).await;
        world.fall().await;
        world.turn().await;
        world.post.take();
        let guardian = world.actor(&world.house.guardian).await;
        let id = world.alarm(Rule::Fall).await.id;
        world.app.service.snooze_alarm(&guardian, id, 900, "가는 중").await.expect("put off");
        for _ in 0..2 {
            world.pass(7 * MINUTE).await;
            world.home(json!({"temperature": 22.0})).await;
        }
        set_clock(&world, -WRONG).await;
        assert_eq!(world.post.whom(), Vec::<String>::new());
        world.pass(4 * MINUTE).await;
        assert_eq!(world.post.whom(), [world.second.email.as_str()], "the rest of the two minutes, and then the next step");
    }

    async fn while_two_clocks_differ_nobodys_plans_are_touched(t: TestDb) {
        for apart in [-30 * SECOND, -10 * MINUTE, -4 * 24 * HOUR] {
            let world = World::new(&t).await;
            let clock = Arc::new(ManualClock::new(t.now().plus_millis(apart)));
            let other = Service::start(t.open_again().await, clock.clone(), t.rng.clone(), Settings::default()).await;
            let other = other.expect("a second server starts");
            world.post.answers(|_| Err(Undelivered::Later { reason: "503".into(), after: None }));
            world.fall().await;
            let id = world.alarm(Rule::Fall).await.id;
            for _ in 0..10 {
                world.app.advance(2 * SECOND).await;
                clock.advance(2 * SECOND);
                beat(&world.app.service).await;
                world.turn().await;
                world.app.advance(3 * SECOND).await;
                clock.advance(3 * SECOND);
                beat(&other).await;
                world.turn().await;
            }
            let alarm = world.get(id).await;
            assert_eq!((alarm.next_step, alarm.next_at), (1, Some(alarm.raised_at.plus_millis(2 * MINUTE))), "{apart} ms apart");
            let deliveries = carebot_database::deliveries::of_alarm(&mut t.db.read(), &alarm).await.expect("they are read");
            let tried = deliveries[0].delivery.tried_at.expect("it was tried");
            assert_eq!((deliveries.len(), tried), (1, alarm.raised_at.plus_millis(2 * SECOND)), "{apart} ms apart");
            other.finish().await;
        }
    }
}
