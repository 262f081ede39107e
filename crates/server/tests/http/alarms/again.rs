//! What happens again: while an alarm is open, after somebody confirmed it, and when nobody did.

use std::collections::BTreeSet;

use carebot_model::alarms::{AlarmState, Answer};

use super::*;

fn people<const N: usize>(people: [&Person; N]) -> BTreeSet<String> {
    people.into_iter().map(|person| person.email.clone()).collect()
}

impl World {
    /// To whom a fall was told since the last question, in no order: who is told at the same moment may be told in any.
    fn told_of_falls(&self) -> BTreeSet<String> {
        let posted = self.post.take().into_iter().filter(|posted| posted.notice.title == "낙상감지");
        let told: Vec<String> = posted.map(|posted| posted.to).collect();
        let all = told.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(all.len(), told.len(), "nobody is told twice: {told:?}");
        all
    }

    async fn read(&self, notification: RowId) {
        let line = format!("PATCH /notify/read/{}", notification.0);
        let (token, _) = self.app.t.session(self.house.guardian.id, false).await;
        self.app.call(&line, &token, Value::Null).await.succeeds(200);
    }

    /// Nobody confirms: on to the end of the ladder.
    async fn climb(&self) {
        for step in [2 * MINUTE, 8 * MINUTE] {
            self.later(step).await;
        }
    }

    async fn until_next(&self) -> i64 {
        self.alarm(Rule::Fall).await.next_at.expect("something is due").since(self.app.t.now())
    }
}

both_engines! {
    async fn a_new_fall_is_told_when_the_ladder_is_over_though_nobody_confirmed_the_first(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        world.later(90 * SECOND).await;
        world.fall().await;
        world.turn().await;
        assert_eq!(world.told_of_falls().len(), 1, "the others are being told already");
        world.climb().await;
        assert_eq!(world.told_of_falls().len(), 2);
        world.later(MINUTE).await;
        world.fall().await;
        world.turn().await;
        assert_eq!(world.told_of_falls(), people([&world.house.guardian]));
        world.climb().await;
        assert_eq!(world.told_of_falls().len(), 2, "and to the end again");
    }

    async fn after_something_new_the_rounds_begin_with_the_shortest_pause(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        world.climb().await;
        for pause in [15, 30, 60] {
            assert_eq!(world.until_next().await, pause * MINUTE);
            world.later(pause * MINUTE).await;
            world.climb().await;
        }
        let id = world.alarm(Rule::Fall).await.id;
        world.acknowledge(&world.house.guardian, id).await;
        world.later(2 * MINUTE).await;
        world.fall().await;
        world.turn().await;
        world.climb().await;
        assert_eq!(world.until_next().await, 15 * MINUTE);
    }

    async fn a_new_fall_ends_the_wait_of_an_alarm_that_was_put_off(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        let (id, guardian) = (world.alarm(Rule::Fall).await.id, world.actor(&world.house.guardian).await);
        world.app.service.snooze_alarm(&guardian, id, 900, "가는 중").await.expect("put off");
        world.told_of_falls();
        world.pass(30 * SECOND).await;
        world.fall().await;
        world.turn().await;
        assert!(world.told_of_falls().is_empty(), "the same fall, seen by another program");
        world.pass(MINUTE).await;
        world.fall().await;
        world.turn().await;
        assert_eq!(world.told_of_falls(), people([&world.house.guardian]));
        assert_eq!(world.alarm(Rule::Fall).await.snoozed_until, None);
    }

    async fn falls_that_follow_each_other_closely_are_told_after_the_first_was_confirmed(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        let id = world.alarm(Rule::Fall).await.id;
        world.acknowledge(&world.house.guardian, id).await;
        world.told_of_falls();
        let mut told = Vec::new();
        for _ in 0..4 {
            world.pass(50 * SECOND).await;
            world.fall().await;
            world.turn().await;
            told.push(world.told_of_falls().len());
            world.acknowledge(&world.house.guardian, id).await;
        }
        assert_eq!(told, [0, 1, 0, 1], "what comes within a minute of the first of its kind is the same");
    }

    async fn reading_an_old_notification_confirms_nothing_that_came_later(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        let first = world.alarm(Rule::Fall).await;
        world.acknowledge(&world.house.guardian, first.id).await;
        world.pass(2 * MINUTE).await;
        world.fall().await;
        world.turn().await;
        world.read(first.notification.expect("a notification")).await;
        let second = world.alarm(Rule::Fall).await;
        assert_eq!((second.id, second.state()), (first.id, AlarmState::Active));
        world.read(second.notification.expect("a notification")).await;
        assert_eq!(world.get(first.id).await.state(), AlarmState::ActiveAcknowledged);
    }

    async fn reading_the_notification_confirms_what_is_only_told_once_more(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        world.climb().await;
        world.later(15 * MINUTE).await;
        let elder = world.actor(&world.house.elder).await;
        let alarm = world.alarm(Rule::Fall).await;
        world.app.service.answer_alarm(&elder, alarm.id, Answer::Help, None).await.expect("answered");
        assert_eq!(world.alarm(Rule::Fall).await.episode, 3, "a second round, and the cry for help");
        world.read(alarm.notification.expect("a notification")).await;
        assert_eq!(world.get(alarm.id).await.state(), AlarmState::ActiveAcknowledged);
    }

    async fn who_asks_for_help_when_everybody_was_told_is_heard_and_other_answers_change_nothing(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        world.climb().await;
        world.told_of_falls();
        let (elder, id) = (world.actor(&world.house.elder).await, world.alarm(Rule::Fall).await.id);
        world.later(5 * MINUTE).await;
        for answer in [Answer::Fine, Answer::Silent] {
            world.app.service.answer_alarm(&elder, id, answer, None).await.expect("answered");
            assert_eq!(world.until_next().await, 10 * MINUTE, "after {answer}");
        }
        world.turn().await;
        assert!(world.told_of_falls().is_empty());
        world.app.service.answer_alarm(&elder, id, Answer::Help, None).await.expect("answered");
        world.turn().await;
        assert_eq!(world.told_of_falls(), people([&world.house.guardian]));
        world.app.service.answer_alarm(&elder, id, Answer::Help, None).await.expect("answered");
        world.turn().await;
        assert!(world.told_of_falls().is_empty(), "the same answer again");
        world.climb().await;
        assert_eq!(world.told_of_falls(), people([&world.second, &world.nurse]));
        assert_eq!(world.until_next().await, 15 * MINUTE);
    }

    async fn who_asks_for_help_meanwhile_delays_nobody(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        world.turn().await;
        world.later(3 * MINUTE).await;
        assert_eq!(world.told_of_falls().len(), 2);
        let (elder, id) = (world.actor(&world.house.elder).await, world.alarm(Rule::Fall).await.id);
        world.app.service.answer_alarm(&elder, id, Answer::Help, None).await.expect("answered");
        world.turn().await;
        assert_eq!(world.told_of_falls(), people([&world.house.guardian, &world.second]));
        assert_eq!(world.until_next().await, 7 * MINUTE);
    }
}
