//! Plays plans: a family for each, all of them with one server and one clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carebot_database::ambient::Clock as _;
use carebot_database::contacts::{self, Device};
use carebot_external::channels::Undelivered;
use carebot_model::access::Actor;
use carebot_model::alarms::{Answer as Said, Channel, Severity};
use carebot_model::{MemberId, Timestamp};
use carebot_service::alarms::settings::{Mute, RuleChange};
use carebot_service::{Change, Error};
use carebot_testkit::app::Posted;
use carebot_testkit::fixtures::new_account;

use super::super::*;
use super::plan::{Answer, CRISIS, Crisis, Deed, Handling, Plan, QUIET, TICK};
use super::{bound, obstacles};

/// How long after somebody cleared it too early an alarm is raised again at most.
const AGAIN: i64 = 15 * MINUTE;

/// Who belongs, or belonged, to a family.
struct Somebody {
    person: Person,
    member: Option<MemberId>,
    addresses: Vec<(Channel, String)>,
    channels: Vec<Channel>,
    quiet: Option<(i32, i32)>,
}

/// A notice that was taken.
#[derive(Debug)]
struct Taken {
    at: Timestamp,
    alarm: i64,
    is_critical: bool,
    is_operator: bool,
    /// Whether it was for somebody who belongs to the family, or for an operator of one that nobody belongs to.
    counts: bool,
}

/// How a scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody was told in time.
    Told,
    /// A person had seen to it, or nobody of the family can be reached at all, or could be while it lasted.
    Void(&'static str),
    /// Nobody was.
    Silent(String),
}

/// A family that a plan is played in.
pub struct Home {
    /// What happens.
    pub plan: Plan,
    next: usize,
    family: FamilyId,
    elder: Person,
    people: Vec<Somebody>,
    /// What was done, and when.
    pub done: Vec<(Timestamp, Deed)>,
    /// The alarm, and when it was raised, the last time.
    raised: Option<(RowId, Timestamp)>,
    /// Whether that is over.
    is_over: bool,
    /// Whether anybody of the family could be reached while it lasted.
    was_reachable: bool,
    taken: Vec<Taken>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// What does not get out.
#[derive(Default)]
struct Faults {
    addresses: HashMap<String, Answer>,
    until: HashMap<String, (Timestamp, Option<u64>)>,
}

impl Faults {
    fn answer(&self, posted: &Posted, now: Timestamp) -> Result<(), Undelivered> {
        let family = posted.notice.data["alarm"]["family_id"].as_str().unwrap_or_default();
        for place in [posted.to.as_str(), family] {
            if let Some((until, after)) = self.until.get(place)
                && now < *until
            {
                return Err(Undelivered::Later { reason: "503".into(), after: after.map(Duration::from_secs) });
            }
        }
        match self.addresses.get(&posted.to) {
            Some(Answer::Gone) => Err(Undelivered::Gone),
            Some(Answer::Refuses) => Err(Undelivered::Refused("no such mailbox".into())),
            Some(Answer::Later(..)) | None => Ok(()),
        }
    }
}

/// Where plans are played.
pub struct Town {
    app: TestApp,
    post: Postbox,
    faults: Arc<Mutex<Faults>>,
    operator: Person,
}

/// What people try may be refused; it must not fail.
fn tried<T>(result: Result<T, Error>) {
    if let Err(error @ (Error::Internal(_) | Error::Unavailable(_))) = result {
        panic!("{error:?}");
    }
}

impl Town {
    /// With an operator, and nobody else yet.
    pub async fn new(t: &TestDb) -> Self {
        let (post, faults) = (Postbox::default(), Arc::new(Mutex::new(Faults::default())));
        let (carrier, clock, failing) = (post.clone(), Arc::clone(&t.clock), Arc::clone(&faults));
        post.answers(move |posted| {
            let now = clock.now();
            failing.lock().unwrap_or_else(PoisonError::into_inner).answer(posted, now)
        });
        let app = TestApp::with(t, |settings, _| settings.alarms.carrier = Some(Arc::new(carrier))).await;
        let operator = app.system().await;
        Self { app, post, faults, operator }
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plays plans to their ends.
    pub async fn play(&self, plans: Vec<Plan>) -> Vec<Home> {
        let mut homes = futures_util::future::join_all(plans.into_iter().map(|plan| self.home(plan))).await;
        let by_family: HashMap<String, usize> =
            homes.iter().enumerate().map(|(place, home)| (home.family.to_string(), place)).collect();
        let mut second = 0;
        while homes.iter().any(|home| home.outcome.is_none()) {
            self.app.t.clock.advance(TICK * SECOND);
            if second % 60 == 0 {
                self.app.advance(0).await;
            }
            second += TICK;
            let acting = homes.iter_mut().filter(|home| home.outcome.is_none()).map(|home| self.act(home, second));
            futures_util::future::join_all(acting).await;
            self.turn().await;
            for posted in self.post.take() {
                let family = posted.notice.data["alarm"]["family_id"].as_str().unwrap_or_default();
                if let Some(home) = by_family.get(family).and_then(|place| homes.get_mut(*place)) {
                    self.note(home, &posted);
                }
            }
            for home in homes.iter_mut().filter(|home| home.outcome.is_none()) {
                home.outcome = self.judge(home, second).await;
                if home.outcome.is_some() {
                    let sql = "DELETE FROM families WHERE id = ?";
                    self.app.t.db.execute(sql, params![home.family]).await.expect("the family moves out");
                }
            }
        }
        homes
    }

    /// Every loop comes round until nothing is due.
    async fn turn(&self) {
        let service = &self.app.service;
        service.judge_rules().await.expect("rules are judged");
        while service.tend_alarms().await.expect("alarms are looked after") > 0 {}
        let now = self.app.t.now();
        loop {
            service.hand_out_notices().await.expect("notices are handed out");
            let due = carebot_database::deliveries::due(&mut self.app.t.db.read(), now, 1)
                .await
                .expect("deliveries are read");
            if due.is_empty() {
                return;
            }
        }
    }

    async fn home(&self, plan: Plan) -> Home {
        let app = &self.app;
        let elder = app.person_of(new_account(&app.t, Role::Main, "김순자")).await;
        let family = app.t.family_of(elder.id).await;
        let mut home = Home {
            next: 0,
            family,
            elder,
            people: Vec::new(),
            done: Vec::new(),
            raised: None,
            is_over: false,
            was_reachable: false,
            taken: Vec::new(),
            outcome: None,
            plan,
        };
        for position in home.plan.people.clone() {
            self.join(&mut home, position).await;
        }
        home
    }

    async fn join(&self, home: &mut Home, position: Position) {
        let t = &self.app.t;
        let person = self.app.person_of(new_account(t, Role::Sub, "이민준")).await;
        let new = NewMember { family: home.family, nickname: None, position, approved_by: Some(home.elder.id) };
        let member =
            transact!(t.db, tx => { members::create(&mut tx, &permit(person.id), &new, t.now(), &*t.rng).await })
                .expect("the membership is made");
        let addresses = vec![(Channel::Email, person.email.clone())];
        let channels = contacts::CHANNELS.to_vec();
        home.people.push(Somebody { person, member: Some(member), addresses, channels, quiet: None });
    }

    /// Does what is due by a second.
    async fn act(&self, home: &mut Home, second: i64) {
        while let Some((_, deed)) = home.plan.deeds.get(home.next).filter(|(at, _)| *at <= second) {
            let deed = deed.clone();
            home.next += 1;
            home.done.push((self.app.t.now(), deed.clone()));
            self.do_one(home, &deed).await;
        }
    }

    /// Somebody of the family, or an operator if it is nobody.
    async fn actor(&self, home: &Home, number: usize) -> Arc<Actor> {
        let of_family = home.people.get(number).filter(|somebody| somebody.member.is_some());
        let id = of_family.map_or(self.operator.id, |somebody| somebody.person.id);
        let (token, _) = self.app.t.session(id, false).await;
        self.app.service.current_actor(Some(&token)).await.expect("the session lives")
    }

    async fn do_one(&self, home: &mut Home, deed: &Deed) {
        let (app, service) = (&self.app, &self.app.service);
        let (t, family) = (&app.t, home.family);
        let now = t.now();
        match deed {
            Deed::Crisis => self.danger(home, home.plan.crisis, 35.0).await,
            Deed::Lasts => self.danger(home, Crisis::Gas, 35.0).await,
            Deed::Calm => self.danger(home, Crisis::Gas, 0.1).await,
            Deed::Danger(crisis) => self.danger(home, *crisis, 35.0).await,
            Deed::Whiff => self.danger(home, Crisis::Gas, 4.0).await,
            Deed::Drill => {
                let operator = self.actor(home, usize::MAX).await;
                tried(service.hold_drill(&operator, family.as_str()).await);
            }
            Deed::HandleOther(number, handling) => self.handle(home, *number, *handling, false).await,
            Deed::HandleSame(number, handling) => self.handle(home, *number, *handling, true).await,
            Deed::ReadOthers(number) => self.read_others(home, *number).await,
            Deed::Mute(number, rule, seconds) => {
                let until = Some(now.plus_millis(seconds * SECOND));
                let mute = Change::Set(Mute { until, reason: Some("수리 중".to_owned()) });
                let change = RuleChange { rule: rule.name().to_owned(), numbers: Vec::new(), mute };
                let actor = self.actor(home, *number).await;
                tried(service.update_rule(&actor, family.as_str(), change).await);
            }
            Deed::Set(number, rule, place, thousandths) => {
                let parameters = rule.definition().parameters;
                let Some(parameter) = parameters.get(place % parameters.len().max(1)) else { return };
                #[expect(clippy::cast_precision_loss, reason = "a thousand at most")]
                let value = parameter.least + (parameter.most - parameter.least) * *thousandths as f64 / 1_000.0;
                let numbers = vec![(parameter.name.to_owned(), Some(value))];
                let change = RuleChange { rule: rule.name().to_owned(), numbers, mute: Change::Leave };
                let actor = self.actor(home, *number).await;
                tried(service.update_rule(&actor, family.as_str(), change).await);
            }
            Deed::Ladder(number, severity, steps) => {
                let actor = self.actor(home, *number).await;
                tried(service.update_ladder(&actor, family.as_str(), severity.name(), Some(steps.clone())).await);
            }
            Deed::Rest(..) | Deed::Channels(..) | Deed::Hook(_) | Deed::Phone(_) | Deed::Fails(..) => {
                self.set_contact(home, deed).await;
            }
            Deed::Outage(seconds) => {
                let until = now.plus_millis(seconds * SECOND);
                self.faults().until.insert(family.to_string(), (until, None));
            }
            Deed::Leave(number) => {
                let Some(member) = home.people.get_mut(*number).and_then(|somebody| somebody.member.take()) else {
                    return;
                };
                transact!(t.db, tx => { members::delete(&mut tx, &permit(member)).await })
                    .expect("the membership ends");
            }
            Deed::Join(position) => self.join(home, *position).await,
            Deed::Place(number, order, position) => {
                let Some(member) = home.people.get(*number).and_then(|somebody| somebody.member) else { return };
                let actor = self.actor(home, *number).await;
                let position = position.map(Position::name);
                tried(service.place_member(&actor, member.as_str(), position, Some(*order)).await);
            }
            Deed::Listen => {
                let elder = self.elder(home).await;
                tried(service.prompts(&elder, family.as_str()).await);
            }
            Deed::Help => {
                let elder = self.elder(home).await;
                for id in self.active(home, true).await {
                    tried(service.answer_alarm(&elder, id, Said::Help, None).await);
                }
            }
        }
    }

    /// Somebody says how to be told, or can not be told that way.
    async fn set_contact(&self, home: &mut Home, deed: &Deed) {
        let t = &self.app.t;
        let now = t.now();
        let (Deed::Rest(number, ..)
        | Deed::Channels(number, _)
        | Deed::Hook(number)
        | Deed::Phone(number)
        | Deed::Fails(number, _)) = deed
        else {
            return;
        };
        let Some(somebody) = home.people.get_mut(*number) else { return };
        match deed {
            Deed::Rest(_, from, until) => somebody.quiet = Some((*from, *until)),
            Deed::Channels(_, channels) => somebody.channels.clone_from(channels),
            Deed::Hook(_) => {
                let url = format!("https://hook.example/{}", somebody.person.id);
                somebody.addresses.push((Channel::Webhook, url));
            }
            Deed::Phone(_) => {
                let id = t.id();
                let endpoint = format!("https://push.example/{}", id.0);
                somebody.addresses.push((Channel::Push, endpoint.clone()));
                let (p256dh, auth) = (String::new(), String::new());
                let device = Device { id, endpoint, p256dh, auth, label: None, created_at: now };
                let owner = permit(somebody.person.id);
                transact!(t.db, tx => { contacts::add_device(&mut tx, &owner, &device, 10).await }).expect("noted");
            }
            Deed::Fails(_, answer) => {
                let mut faults = self.faults();
                for (_, address) in &somebody.addresses {
                    if let Answer::Later(seconds, after) = answer {
                        faults.until.insert(address.clone(), (now.plus_millis(seconds * SECOND), *after));
                    } else {
                        faults.addresses.insert(address.clone(), *answer);
                    }
                }
            }
            _ => {}
        }
        self.store_contact(somebody).await;
    }

    async fn elder(&self, home: &Home) -> Arc<Actor> {
        self.app.service.current_actor(Some(&home.elder.token)).await.expect("the session lives")
    }

    async fn danger(&self, home: &Home, crisis: Crisis, ethanol: f64) {
        let (app, family, elder) = (&self.app, home.family, &home.elder);
        let (line, body) = match crisis {
            Crisis::Gas => ("POST /status/home", json!({"family_id": family, "ethanol": ethanol})),
            Crisis::Fall => ("POST /status/active", json!({"family_id": family, "is_critical": true})),
            Crisis::Detector | Crisis::Fire => {
                let said = if crisis == Crisis::Fire { "화재,연기가 보입니다" } else { "낙상감지" };
                ("POST /notify", json!({"family_id": family, "notification_grade": "CRIT", "descriptions": said}))
            }
            Crisis::Cry => {
                // Whom it is written to does not matter.
                let body = json!({"from_id": elder.id, "to_id": elder.id, "content": "[긴급] 도와줘"});
                ("POST /messages/send", body)
            }
            Crisis::Call => {
                let elder = self.elder(home).await;
                return tried(app.service.call_for_help(&elder, family.as_str(), None, None).await);
            }
            Crisis::Words => {
                let body = json!({"user_id": elder.id, "message": "숨을 못 쉬겠어 살려줘", "session_id": null});
                app.call("POST /chats", elder, body).await;
                return;
            }
        };
        app.call(line, elder, body).await.succeeds(201);
    }

    /// The active alarms of the plan's rule, or of the others.
    async fn active(&self, home: &Home, same: bool) -> Vec<RowId> {
        let mut reader = self.app.t.db.read();
        let all = alarms::list(&mut reader, &permit(home.family), true, None, 100).await.expect("alarms are read");
        let rule = home.plan.crisis.rule();
        all.iter().filter(|alarm| (alarm.rule == rule) == same).map(|alarm| alarm.id).collect()
    }

    async fn handle(&self, home: &Home, number: usize, handling: Handling, same: bool) {
        let actor = self.actor(home, number).await;
        let service = &self.app.service;
        for id in self.active(home, same).await {
            tried(match handling {
                Handling::Acknowledge => service.acknowledge_alarm(&actor, id).await,
                Handling::Clear => service.clear_alarm(&actor, id, None).await,
                Handling::Snooze(seconds, has_reason) => {
                    let reason = if has_reason { "자는 중" } else { " " };
                    service.snooze_alarm(&actor, id, seconds, reason).await
                }
            });
        }
    }

    /// Somebody has read the notifications of the other alarms, and so acknowledges those.
    async fn read_others(&self, home: &Home, number: usize) {
        let mut reader = self.app.t.db.read();
        let all = alarms::list(&mut reader, &permit(home.family), false, None, 100).await.expect("alarms are read");
        let others = all.iter().filter(|alarm| alarm.rule != home.plan.crisis.rule());
        let notifications = others.filter_map(|alarm| alarm.notification).map(|id| json!(id.0)).collect();
        let actor = self.actor(home, number).await;
        tried(self.app.service.read_notifications(&actor, notifications).await);
    }

    async fn store_contact(&self, somebody: &Somebody) {
        let t = &self.app.t;
        let id = somebody.person.id;
        let mut contact = contacts::get(&mut t.db.read(), id).await.expect("read").expect("the account is there");
        contact.channels.clone_from(&somebody.channels);
        contact.quiet = somebody.quiet;
        let hook = somebody.addresses.iter().find(|(channel, _)| *channel == Channel::Webhook);
        contact.webhook = hook.map(|(_, url)| (url.clone(), "whsec_".to_owned()));
        transact!(t.db, tx => { contacts::set(&mut tx, &permit(id), &contact, t.now()).await }).expect("stored");
    }

    fn note(&self, home: &mut Home, posted: &Posted) {
        let alarm = &posted.notice.data["alarm"];
        let has = |somebody: &&Somebody| somebody.addresses.iter().any(|(_, address)| *address == posted.to);
        let is_watched = home.people.iter().any(|somebody| somebody.member.is_some());
        let counts = match home.people.iter().find(has) {
            Some(somebody) => somebody.member.is_some(),
            None => posted.to == self.operator.email && !is_watched,
        };
        home.taken.push(Taken {
            at: self.app.t.now(),
            alarm: alarm["id"].as_i64().unwrap_or_default(),
            is_critical: alarm["severity"] == Severity::Crit.name(),
            is_operator: posted.to == self.operator.email,
            counts,
        });
    }

    /// Whether somebody can be reached: on a way that he chose, and that will take something some day.
    fn can_be_reached(&self, somebody: &Somebody) -> bool {
        let faults = self.faults();
        somebody.member.is_some()
            && somebody.addresses.iter().any(|(channel, address)| {
                somebody.channels.contains(channel) && !faults.addresses.contains_key(address)
            })
    }

    /// How it ended, if it has.
    async fn judge(&self, home: &mut Home, second: i64) -> Option<Outcome> {
        if second < CRISIS {
            return None;
        }
        let t = &self.app.t;
        let rule = home.plan.crisis.rule();
        if home.raised.is_none() {
            match self.raised(home).await {
                // From here on nobody sees to it any more.
                Some((alarm, _)) if alarm.acknowledged_at.is_some() => {
                    return Some(Outcome::Void("somebody sees to it"));
                }
                raised => home.raised = raised.map(|(alarm, at)| (alarm.id, at)),
            }
        }
        let Some((id, raised_at)) = home.raised else {
            // Gas may have to be cleared, and last, before it is an alarm again.
            let was_calm = home.done.iter().any(|(_, deed)| matches!(deed, Deed::Calm));
            return match (rule == Rule::Gas, was_calm, (second - CRISIS) * SECOND > AGAIN + MINUTE) {
                (true, true, true) => Some(Outcome::Void("it was calm before it was raised")),
                (true, _, false) => None,
                _ => Some(Outcome::Silent("it was not raised".to_owned())),
            };
        };
        let tells = |taken: &&Taken| taken.counts && taken.is_critical && taken.alarm == id.0 && taken.at >= raised_at;
        let told = home.taken.iter().find(tells).map(|taken| taken.at);
        let obstacles = obstacles(home, raised_at);
        let bound = bound(&obstacles);
        if let Some(told) = told {
            let after = told.since(raised_at);
            let is_late = after > bound;
            return Some(if is_late { Outcome::Silent(format!("told after {after} ms")) } else { Outcome::Told });
        }
        if !home.is_over {
            let alarm = alarms::get(&mut t.db.read(), id).await.expect("the alarm is read");
            home.is_over = alarm.is_none_or(|alarm| alarm.cleared_at.is_some());
            home.was_reachable |= !home.is_over && home.people.iter().any(|somebody| self.can_be_reached(somebody));
        }
        // People do something for some minutes; then it can be said who is left.
        if t.now().since(raised_at) <= bound || second <= QUIET {
            return None;
        }
        let in_time = |taken: &Taken| (0..=bound).contains(&taken.at.since(raised_at));
        let tells_operators = |taken: &Taken| taken.is_operator && taken.is_critical && taken.alarm == id.0;
        let operators_know = home.taken.iter().any(|taken| tells_operators(taken) && in_time(taken));
        if home.is_over && !home.was_reachable && operators_know {
            return Some(Outcome::Void("operators know: it was over before anybody of the family could be reached"));
        }
        let is_watched = home.people.iter().any(|somebody| somebody.member.is_some());
        if is_watched && !home.people.iter().any(|somebody| self.can_be_reached(somebody)) {
            return Some(Outcome::Void("nobody of the family can be reached"));
        }
        let told = format!("{obstacles:?}, {bound} ms; {:?}", home.taken);
        Some(Outcome::Silent(format!("{told}\n{}", self.timeline(home).await)))
    }

    /// The critical alarm, and when it was raised, or raised anew, the last time.
    async fn raised(&self, home: &Home) -> Option<(Alarm, Timestamp)> {
        let mut reader = self.app.t.db.read();
        let all = alarms::list(&mut reader, &permit(home.family), false, None, 100).await.expect("alarms are read");
        let is_it = |alarm: &&Alarm| alarm.rule == home.plan.crisis.rule() && alarm.severity == Severity::Crit;
        // One that was over before, or was cleared by somebody, is none of this.
        let crisis = home.done.iter().find(|(_, deed)| matches!(deed, Deed::Crisis)).map(|(at, _)| *at)?;
        let lasts = |alarm: &&Alarm| alarm.cleared_at.is_none_or(|cleared| cleared >= crisis);
        let alarm = all.iter().filter(is_it).find(lasts)?.clone();
        let chain = journal::timeline(&mut reader, &permit(home.family), alarm.id).await.expect("entries are read");
        let raises = chain.iter().filter(|entry| matches!(entry.kind, EntryKind::Raised | EntryKind::Risen));
        Some((alarm, raises.map(|entry| entry.at).max()?))
    }

    async fn timeline(&self, home: &Home) -> String {
        let mut reader = self.app.t.db.read();
        let chain = journal::chain_after(&mut reader, home.family, 0, 1_000).await.expect("entries are read");
        let line = |entry: &Entry| format!("{} {} {} {}", entry.at, entry.alarm, entry.kind, entry.body);
        chain.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
