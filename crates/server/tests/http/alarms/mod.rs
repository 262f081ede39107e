//! Alarms, from a report to a person. The loops are turned by hand and the clock is moved: nothing waits.

mod again;
mod chain;
mod clocks;
mod delivery;
mod falls;
mod ladder;
mod rules;
mod servers;
mod suppression;
mod tables;

use carebot_database::journal::Entry;
use carebot_database::members::{self, NewMember};
use carebot_database::{alarms, journal, params, transact};
use carebot_model::alarms::{Alarm, EntryKind, Rule};
use carebot_model::members::Position;
use carebot_model::text::Name;
use carebot_model::{AccountId, FamilyId, RowId};
use carebot_testkit::TestDb;
use carebot_testkit::app::Postbox;
use carebot_testkit::fixtures::permit;

use crate::prelude::*;

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;

/// A house with a first and a second guardian and a care worker, and a postbox for all channels.
pub struct World {
    pub app: TestApp,
    pub post: Postbox,
    pub house: House,
    pub second: Person,
    pub nurse: Person,
}

impl World {
    pub async fn new(t: &TestDb) -> Self {
        let post = Postbox::default();
        let carrier = post.clone();
        let app = TestApp::with(t, |settings, _| settings.alarms.carrier = Some(std::sync::Arc::new(carrier))).await;
        let house = app.house().await;
        let second = app.person(Role::Sub, "SECOND").await;
        app.t.join(house.family, second.id, Some(house.elder.id)).await;
        let nurse = app.person(Role::Sub, "NURSE").await;
        join_as(&app, house.family, nurse.id, Position::CareWorker).await;
        app.service.beat().await.expect("the loop says that it turns");
        app.service.give_watches().await.expect("the rules are there");
        Self { app, post, house, second, nurse }
    }

    /// Moves the clock in steps of a second, turning all loops at each; like a server that runs.
    pub async fn pass(&self, millis: i64) {
        let mut left = millis;
        while left > 0 {
            let step = left.min(SECOND);
            self.app.t.clock.advance(step);
            left -= step;
            if left % (10 * SECOND) == 0 {
                self.app.advance(0).await;
                self.app.service.beat().await.expect("the loop says that it turns");
            }
            self.turn().await;
        }
    }

    /// Moves the clock at once, and turns the loops after it.
    pub async fn jump(&self, millis: i64) {
        self.app.advance(millis).await;
        self.turn().await;
    }

    /// As [`World::jump`], with a server that ran all the while: no outage.
    pub async fn later(&self, millis: i64) {
        self.app.advance(millis).await;
        transact!(self.app.t.db, tx => { journal::set_signal(&mut tx, "alarms_alive", self.app.t.now().millis()).await })
            .expect("it is noted");
        self.turn().await;
    }

    /// Every loop comes round until nothing is due.
    pub async fn turn(&self) {
        let service = &self.app.service;
        loop {
            let done = service.judge_rules().await.expect("rules are judged")
                + service.tend_alarms().await.expect("alarms are looked after")
                + service.hand_out_notices().await.expect("notices are handed out");
            if done == 0 {
                return;
            }
        }
    }

    pub async fn fall(&self) {
        let body = json!({"family_id": self.house.family, "score": 0, "action": "낙상", "is_critical": true});
        self.app.call("POST /status/active", &self.house.elder, body).await.succeeds(201);
    }

    pub async fn home(&self, body: Value) {
        let mut whole = json!({"family_id": self.house.family});
        whole.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
        self.app.call("POST /status/home", &self.house.elder, whole).await.succeeds(201);
    }

    pub async fn alarm(&self, rule: Rule) -> Alarm {
        self.active(rule).await.unwrap_or_else(|| panic!("there is an active alarm of {rule}"))
    }

    pub async fn active(&self, rule: Rule) -> Option<Alarm> {
        alarms::active_of(&mut self.app.t.db.read(), self.house.family, rule).await.expect("alarms are read")
    }

    pub async fn all(&self) -> Vec<Alarm> {
        alarms::list(&mut self.app.t.db.read(), &permit(self.house.family), false, None, 500)
            .await
            .expect("alarms are read")
    }

    pub async fn get(&self, id: RowId) -> Alarm {
        alarms::get(&mut self.app.t.db.read(), id).await.expect("alarms are read").expect("the alarm is there")
    }

    pub async fn timeline(&self, id: RowId) -> Vec<Entry> {
        journal::timeline(&mut self.app.t.db.read(), &permit(self.house.family), id).await.expect("entries are read")
    }

    pub async fn kinds(&self, id: RowId) -> Vec<EntryKind> {
        self.timeline(id).await.into_iter().map(|entry| entry.kind).collect()
    }

    pub async fn acknowledge(&self, who: &Person, id: RowId) {
        let actor = self.actor(who).await;
        self.app.service.acknowledge_alarm(&actor, id).await.expect("it is acknowledged");
    }

    /// Somebody, just signed in: however long the test lasts.
    pub async fn actor(&self, who: &Person) -> std::sync::Arc<carebot_model::access::Actor> {
        let (token, _) = self.app.t.session(who.id, who.id == self.house.elder.id).await;
        self.app.service.current_actor(Some(&token)).await.expect("the session lives")
    }

    /// The crit and warn notifications that existing clients see, the newest last.
    pub async fn notifications(&self) -> Vec<(String, String)> {
        let mut reader = self.app.t.db.read();
        let rows = reader.fetch(
            "SELECT grade, description FROM notifications WHERE family_id = ? ORDER BY created_at, id",
            params![self.house.family],
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
        rows.await.expect("notifications are read")
    }
}

pub async fn join_as(app: &TestApp, family: FamilyId, user: AccountId, position: Position) {
    let new = NewMember { family, nickname: Some(Name::new("돌봄".to_owned())), position, approved_by: Some(user) };
    transact!(app.t.db, tx => { members::create(&mut tx, &permit(user), &new, app.t.now(), &*app.t.rng).await })
        .expect("the membership is made");
}
