//! Two servers, and one that comes back.

use std::sync::Arc;

use carebot_database::ambient::ManualClock;
use carebot_external::channels::Notice;
use carebot_model::alarms::text::Language;
use carebot_model::alarms::{AlarmState, Channel, Severity};
use carebot_service::alarms::deliver::Carried;
use carebot_service::alarms::{Address, Carrier};
use carebot_service::{Service, Settings};
use tokio::sync::Notify;

use super::*;

/// A provider that takes the connection and never answers.
#[derive(Clone, Debug, Default)]
struct Stuck(Arc<Notify>);

impl Carrier for Stuck {
    fn carry<'a>(&'a self, _: &'a Address, _: &'a Notice, _: Language) -> Carried<'a> {
        Box::pin(async {
            self.0.notify_one();
            std::future::pending().await
        })
    }

    fn has(&self, channel: Channel) -> bool {
        channel == Channel::Email
    }
}

both_engines! {
    async fn an_acknowledgement_at_another_server_breaks_off_what_is_on_its_way(t: TestDb) {
        let world = World::new(&t).await;
        let stuck = Stuck::default();
        let carrier = stuck.clone();
        let other = TestApp::on(&t, t.open_again().await, |settings, _| settings.alarms.carrier = Some(Arc::new(carrier))).await;
        world.fall().await;
        let id = world.alarm(Rule::Fall).await.id;
        other.advance(2 * SECOND).await;
        other.service.tend_alarms().await.expect("tended");
        let handing = tokio::spawn({
            let service = Arc::clone(&other.service);
            async move { service.hand_out_notices().await }
        });
        stuck.0.notified().await;
        world.acknowledge(&world.second, id).await;
        assert_eq!(handing.await.expect("it ends").expect("it is no fault"), 0);
        assert_eq!(world.get(id).await.state(), AlarmState::ActiveAcknowledged);
        assert!(!world.kinds(id).await.contains(&EntryKind::Handed));
    }

    async fn another_server_goes_on_where_one_stopped(t: TestDb) {
        let world = World::new(&t).await;
        world.fall().await;
        let post = Postbox::default();
        let carrier = post.clone();
        let other = TestApp::on(&t, t.open_again().await, |settings, _| settings.alarms.carrier = Some(std::sync::Arc::new(carrier))).await;
        // The first server is gone before anything was handed out.
        other.advance(2 * SECOND).await;
        other.service.tend_alarms().await.expect("tended");
        other.service.hand_out_notices().await.expect("handed out");
        assert_eq!(post.whom(), [world.house.guardian.email.as_str()]);
        other.advance(2 * MINUTE).await;
        other.service.tend_alarms().await.expect("tended");
        other.service.hand_out_notices().await.expect("handed out");
        assert_eq!(post.whom(), [world.second.email.as_str()], "within two seconds of the plan");
    }

    async fn two_servers_tell_everybody_once(t: TestDb) {
        let world = World::new(&t).await;
        let carrier = world.post.clone();
        let other = TestApp::on(&t, t.open_again().await, |settings, _| settings.alarms.carrier = Some(std::sync::Arc::new(carrier))).await;
        world.fall().await;
        for _ in 0..130 {
            world.app.advance(5 * SECOND).await;
            other.service.renew_node().await.expect("the second server lives, too");
            let (one, two) = (&world.app.service, &other.service);
            let (a, b) = tokio::join!(one.tend_alarms(), two.tend_alarms());
            a.and(b).expect("tended");
            let (a, b) = tokio::join!(one.hand_out_notices(), two.hand_out_notices());
            a.and(b).expect("handed out");
        }
        let mut whom: Vec<_> = world.post.take().into_iter().filter(|posted| posted.notice.title == "낙상감지").map(|posted| posted.to).collect();
        whom.sort();
        let mut expected = vec![world.house.guardian.email.clone(), world.second.email.clone(), world.nurse.email.clone()];
        expected.sort();
        assert_eq!(whom, expected);
    }

    async fn two_servers_whose_clocks_differ_do_not_take_each_other_for_gone(t: TestDb) {
        for apart in [SECOND, 8 * SECOND, 2 * MINUTE, 9 * HOUR, -2 * MINUTE, -9 * HOUR] {
            let world = World::new(&t).await;
            let ahead = Arc::new(ManualClock::new(t.now().plus_millis(apart)));
            let other = Service::start(t.open_again().await, ahead.clone(), t.rng.clone(), Settings::default()).await;
            let other = other.expect("a second server starts");
            world.home(json!({"temperature": 22.0})).await;
            for _ in 0..75 {
                world.app.advance(20 * SECOND).await;
                ahead.advance(20 * SECOND);
                other.renew_node().await.expect("the second server lives, too");
                other.beat().await.expect("it turns");
                world.app.service.beat().await.expect("it turns");
            }
            world.turn().await;
            assert_eq!(world.alarm(Rule::Silence).await.severity, Severity::Crit, "{apart} ms apart");
            other.finish().await;
        }
    }

    async fn many_reports_of_one_fall_at_once_are_one_alarm(t: TestDb) {
        let world = World::new(&t).await;
        let reports = (0..20).map(|_| world.fall());
        futures_util::future::join_all(reports).await;
        let all = world.all().await;
        assert_eq!((all.len(), all[0].occurrences), (1, 20));
        world.turn().await;
        assert_eq!(world.post.whom().len(), 1);
    }
}
