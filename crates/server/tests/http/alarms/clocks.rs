//! Clocks of servers that were far ahead: a machine that keeps Korean time as if it were UTC, until NTP sets it right.

use carebot_external::channels::Undelivered;
use carebot_model::alarms::Severity;

use super::*;

const WRONG: i64 = 9 * HOUR;

/// The clock is set, and the server goes on.
async fn set_clock(world: &World, by: i64) {
    world.app.advance(by).await;
    world.app.service.beat().await.expect("the loop says that it turns");
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
        other.advance(2 * SECOND).await;
        other.service.beat().await.expect("the loop says that it turns");
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
}
