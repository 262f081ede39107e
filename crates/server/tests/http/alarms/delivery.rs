//! Notices, and channels that do not take them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use carebot_database::DbError;
use carebot_database::connector::faults::{Faults, Moment};
use carebot_database::contacts::{self, Contact};
use carebot_external::channels::{Notice, Undelivered};
use carebot_model::alarms::text::Language;
use carebot_model::alarms::{Channel, Severity};
use carebot_service::alarms::deliver::Carried;
use carebot_service::alarms::{Address, Carrier};

use super::*;

/// A disk without room, while it is set.
#[derive(Debug, Default)]
struct FullDisk(AtomicBool);

impl Faults for FullDisk {
    fn at(&self, moment: Moment) -> Result<(), DbError> {
        let is_write = matches!(moment, Moment::Begin | Moment::Write | Moment::Commit);
        if is_write && self.0.load(Ordering::SeqCst) {
            Err(DbError::Unavailable("the disk is full".into()))
        } else {
            Ok(())
        }
    }
}

/// A provider that takes the connection for drills and never answers; everything else it takes.
#[derive(Clone, Debug, Default)]
struct Hanging {
    post: Postbox,
    hung: Arc<AtomicUsize>,
}

impl Carrier for Hanging {
    fn carry<'a>(&'a self, address: &'a Address, notice: &'a Notice, language: Language) -> Carried<'a> {
        if notice.data["alarm"]["rule"] != "drill" {
            return self.post.carry(address, notice, language);
        }
        self.hung.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    }

    fn has(&self, channel: Channel) -> bool {
        channel == Channel::Email
    }
}

fn later() -> Undelivered {
    Undelivered::Later { reason: "503".into(), after: None }
}

pub async fn set_contact(world: &World, who: &Person, change: impl FnOnce(&mut Contact)) {
    let t = &world.app.t;
    let mut contact = contacts::get(&mut t.db.read(), who.id).await.expect("read").expect("there");
    change(&mut contact);
    transact!(t.db, tx => { contacts::set(&mut tx, &permit(who.id), &contact, t.now()).await }).expect("stored");
}

async fn add_device(world: &World, who: &Person, endpoint: &str) {
    let t = &world.app.t;
    let id = t.id();
    let hash = [u8::try_from(id.0 % 251).unwrap_or_default(); 32];
    transact!(t.db, tx => {
        tx.execute(
            "INSERT INTO push_subscriptions (id, account_id, endpoint_hash, endpoint, p256dh, auth, created_at) VALUES (?, ?, ?, ?, '', '', ?)",
            params![id, who.id, &hash[..], endpoint, t.now()],
        ).await
    }).expect("stored");
}

both_engines! {
    async fn a_provider_that_is_down_is_tried_until_it_is_up(t: TestDb) {
        let world = World::new(&t).await;
        let tries = Arc::new(AtomicUsize::new(0));
        let (count, first) = (Arc::clone(&tries), world.house.guardian.email.clone());
        world.post.answers(move |posted| {
            if posted.to == first && count.fetch_add(1, Ordering::SeqCst) < 4 { Err(later()) } else { Ok(()) }
        });
        world.fall().await;
        world.pass(15 * SECOND).await;
        assert_eq!(tries.load(Ordering::SeqCst), 4, "after pauses of 1, 2 and 4 seconds; the next of 8");
        world.pass(SECOND).await;
        assert_eq!(tries.load(Ordering::SeqCst), 5);
        let posted = world.post.take();
        let first: Vec<_> = posted.iter().filter(|posted| posted.to == world.house.guardian.email).collect();
        assert_eq!(first.len(), 1);
        let id = world.alarm(Rule::Fall).await.id;
        let failed = world.kinds(id).await.into_iter().filter(|kind| *kind == EntryKind::Failed).count();
        assert_eq!(failed, 4, "every try is in the timeline");
    }

    async fn what_a_channel_took_while_nothing_could_be_written_is_not_handed_over_again(t: TestDb) {
        let world = World::new(&t).await;
        let (full, post) = (Arc::new(FullDisk::default()), Postbox::default());
        let (carrier, fills) = (post.clone(), Arc::clone(&full));
        post.answers(move |_| {
            fills.0.store(true, Ordering::SeqCst);
            Ok(())
        });
        let db = t.open_again().await.with_faults(full.clone());
        let other = TestApp::on(&t, db, |settings, _| settings.alarms.carrier = Some(Arc::new(carrier))).await;
        world.fall().await;
        let id = world.alarm(Rule::Fall).await.id;
        other.advance(2 * SECOND).await;
        other.service.tend_alarms().await.expect("tended");
        other.service.hand_out_notices().await.expect_err("it was taken and could not be written down");
        for _ in 0..10 {
            // The lease runs out meanwhile.
            t.clock.advance(SECOND);
            assert_eq!(other.service.hand_out_notices().await.expect("nothing else is due"), 0);
        }
        assert!(!world.kinds(id).await.contains(&EntryKind::Handed));
        full.0.store(false, Ordering::SeqCst);
        for _ in 0..2 {
            other.service.hand_out_notices().await.expect("handed out");
            assert_eq!(world.kinds(id).await.into_iter().filter(|kind| *kind == EntryKind::Handed).count(), 1);
        }
        assert!(world.get(id).await.handed_at.is_some());
        assert_eq!(post.whom(), [world.house.guardian.email.as_str()], "once");
    }

    async fn a_danger_to_life_goes_out_before_everything_that_waits(t: TestDb) {
        let world = World::new(&t).await;
        let neighbour = world.app.person(Role::Main, "NEIGHBOUR").await;
        let others = world.app.family(&neighbour, "NEIGHBOURS").await;
        t.join(others, world.second.id, Some(neighbour.id)).await;
        world.home(json!({"ethanol": 2.0})).await;
        world.app.service.judge_rules().await.expect("judged");
        assert_eq!(world.alarm(Rule::Gas).await.severity, Severity::Warn);
        transact!(t.db, tx => { tx.execute("UPDATE deliveries SET attempts = 3", vec![]).await }).expect("it was tried before");
        world.app.advance(5 * SECOND).await;
        world.app.call("POST /v1/drills", &neighbour, json!({"family_id": others})).await.succeeds(201);
        world.app.advance(5 * SECOND).await;
        world.fall().await;
        let mut due = Vec::new();
        for (delivery, comes_first) in carebot_database::deliveries::due(&mut t.db.read(), t.now(), 10).await.expect("they are read") {
            due.push((world.get(delivery.alarm).await.rule, comes_first));
        }
        assert_eq!(due, [(Rule::Fall, true), (Rule::Drill, false), (Rule::Gas, false)]);
    }

    async fn receivers_that_hang_hold_up_no_danger_to_life(t: TestDb) {
        let carrier = Hanging::default();
        let app = TestApp::with(&t, |settings, _| {
            settings.alarms.carrier = Some(Arc::new(carrier.clone()));
            settings.alarms.at_once = 4;
        }).await;
        let house = app.house().await;
        let mut drills = Vec::new();
        for name in ["ONE", "TWO", "THREE", "FOUR", "FIVE"] {
            let elder = app.person(Role::Main, name).await;
            let family = app.family(&elder, name).await;
            t.join(family, house.guardian.id, Some(elder.id)).await;
            let held = app.call("POST /v1/drills", &elder, json!({"family_id": family})).await;
            drills.push(RowId(held.result()["id"].as_i64().expect("its number")));
        }
        let running = carebot_service::jobs::start(&app.service);
        until!("the places for others are taken", carrier.hung.load(Ordering::SeqCst) == 2);
        let body = json!({"family_id": house.family, "action": "낙상", "is_critical": true});
        app.call("POST /status/active", &house.elder, body).await.succeeds(201);
        until!("the fall is told", !carrier.post.whom().is_empty());
        for drill in drills {
            app.service.acknowledge_alarm(&carebot_model::access::Actor::operator(), drill).await.expect("acknowledged");
        }
        running.stop().await;
    }

    async fn channels_are_tried_in_the_persons_order_and_every_device_gets_it(t: TestDb) {
        let world = World::new(&t).await;
        let guardian = &world.house.guardian;
        add_device(&world, guardian, "https://push.example/phone").await;
        add_device(&world, guardian, "https://push.example/browser").await;
        set_contact(&world, guardian, |contact| contact.webhook = Some(("https://hook.example/".into(), "whsec_".into()))).await;
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), ["https://push.example/phone", "https://push.example/browser"]);
        // Nobody takes it there any more.
        world.post.answers(|posted| if posted.channel == Channel::Push { Err(Undelivered::Gone) } else { Ok(()) });
        let id = world.alarm(Rule::Fall).await.id;
        world.acknowledge(guardian, id).await;
        world.pass(61 * SECOND).await;
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), ["https://hook.example/"], "push is gone, then comes the webhook");
        assert!(contacts::devices(&mut t.db.read(), guardian.id).await.expect("read").is_empty(), "what is gone is forgotten");
    }

    async fn quiet_hours_hold_back_what_warns_and_never_what_is_critical(t: TestDb) {
        let world = World::new(&t).await;
        // It is 18:00 in Korea.
        set_contact(&world, &world.house.guardian, |contact| contact.quiet = Some((17 * 60, 19 * 60 + 30))).await;
        world.home(json!({"ethanol": 2.0})).await;
        world.turn().await;
        assert_eq!(world.alarm(Rule::Gas).await.severity, Severity::Warn);
        assert!(!world.post.whom().contains(&world.house.guardian.email));
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
        for _ in 0..9 {
            world.later(10 * MINUTE).await;
            world.home(json!({"ethanol": 2.0})).await;
        }
        world.turn().await;
        let held: Vec<_> = world.post.take().into_iter().filter(|posted| posted.notice.title == "가스 주의" && posted.to == world.house.guardian.email).collect();
        assert_eq!(held.len(), 1, "at half past seven");
    }

    async fn what_quiet_hours_held_back_is_tried_as_long_as_anything(t: TestDb) {
        let world = World::new(&t).await;
        let guardian = &world.house.guardian;
        // It is 18:00 in Korea: for seven hours.
        set_contact(&world, guardian, |contact| contact.quiet = Some((17 * 60, 60))).await;
        let (first, tries) = (guardian.email.clone(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&tries);
        world.post.answers(move |posted| {
            let is_it = posted.to == first && posted.notice.title == "가스 주의";
            if is_it && count.fetch_add(1, Ordering::SeqCst) < 2 { Err(later()) } else { Ok(()) }
        });
        for _ in 0..42 {
            world.home(json!({"ethanol": 2.0})).await;
            world.later(10 * MINUTE).await;
        }
        assert_eq!(tries.load(Ordering::SeqCst), 1, "at one in the morning");
        world.post.take();
        world.pass(MINUTE).await;
        assert_eq!(tries.load(Ordering::SeqCst), 3);
        assert!(world.post.whom().contains(&guardian.email));
    }

    async fn a_webhook_is_told_whom_to_call_and_nobody_else_is(t: TestDb) {
        let world = World::new(&t).await;
        let guardian = &world.house.guardian;
        set_contact(&world, guardian, |contact| {
            contact.phone = Some("010-0000-0000".into());
            contact.webhook = Some(("https://hook.example/".into(), "whsec_".into()));
        }).await;
        set_contact(&world, &world.second, |contact| contact.phone = Some("010-1111-1111".into())).await;
        world.fall().await;
        world.pass(2 * MINUTE).await;
        let posted = world.post.take();
        let phones: Vec<_> = posted.iter().map(|posted| (posted.channel, &posted.notice.data["phone"])).collect();
        assert_eq!(phones, [(Channel::Webhook, &json!("010-0000-0000")), (Channel::Email, &Value::Null)]);
        for entry in world.timeline(world.alarm(Rule::Fall).await.id).await {
            assert!(!entry.body.contains("010-"), "{}", entry.body);
        }
    }

    async fn people_are_told_in_their_language(t: TestDb) {
        let world = World::new(&t).await;
        set_contact(&world, &world.house.guardian, |contact| contact.language = Language::English).await;
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.take()[0].notice.title, "Fall");
    }

    async fn a_drill_says_everywhere_that_it_is_one(t: TestDb) {
        let world = World::new(&t).await;
        let guardian = world.actor(&world.house.guardian).await;
        let service = &world.app.service;
        let id = service.hold_drill(&guardian, world.house.family.as_str()).await.expect("held");
        service.hold_drill(&guardian, world.house.family.as_str()).await.expect_err("one at a time");
        world.turn().await;
        let posted = world.post.take();
        assert!(posted[0].notice.title.contains("훈련") && posted[0].notice.body.contains("실제 상황이 아닙니다"));
        assert!(posted[0].notice.data["alarm"]["is_drill"].as_bool().expect("a flag"));
        assert!(world.notifications().await[0].1.starts_with("훈련,"));
        service.clear_alarm(&guardian, id, None).await.expect("over");
    }

    async fn an_acknowledgement_stops_what_is_waiting(t: TestDb) {
        let world = World::new(&t).await;
        world.post.answers(|_| Err(later()));
        world.fall().await;
        world.pass(3 * MINUTE).await;
        let id = world.alarm(Rule::Fall).await.id;
        world.acknowledge(&world.nurse, id).await;
        world.post.answers(|_| Ok(()));
        world.pass(5 * MINUTE).await;
        assert!(world.post.take().is_empty());
    }

    async fn the_channels_health_is_known(t: TestDb) {
        let world = World::new(&t).await;
        world.post.answers(|_| Err(later()));
        world.fall().await;
        world.turn().await;
        let health = contacts::health(&mut t.db.read(), world.house.guardian.id).await.expect("read");
        assert_eq!((health[0].channel, health[0].failures, health[0].succeeded_at), (Channel::Email, 1, None));
        world.post.answers(|_| Ok(()));
        world.pass(30 * SECOND).await;
        let health = contacts::health(&mut t.db.read(), world.house.guardian.id).await.expect("read");
        assert_eq!((health[0].failures, health[0].last_error.as_deref()), (0, None));
        assert!(health[0].succeeded_at.is_some() && health[0].failed_at.is_some());
    }
}
