//! Plays cases: on one database, with a family for each. Cases in which things happen at the same times are played together.
//!
//! The clock is moved to every moment at which something happens or is expected, and the loops come round. A server in earnest
//! looks at all times; what would happen at another moment than expected is seen at the next one here, and has then that time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use carebot_database::status::NewReport;
use carebot_database::{alarms, chats, journal, params, rules, transact};
use carebot_external::Key;
use carebot_external::disaster::Settings as Provided;
use carebot_external::guard::Limits;
use carebot_model::access::Actor;
use carebot_model::alarms::{LATE, RuleKind};
use carebot_model::chats::Basis;
use carebot_model::status::{Active, Health, Mental, StatusKind};
use carebot_model::text::LongText;
use carebot_model::{Timestamp, korea};
use carebot_service::alarms::settings::{Mute, RuleChange};
use carebot_service::robots::Heartbeat;
use carebot_service::status::Origin;
use carebot_service::{Change, Settings, disasters};
use carebot_testkit::provider::{Asked, Play, Provider};
use tokio_util::sync::CancellationToken;

use super::super::*;
use super::language::{Case, Deed, Hand, Step, Told, What};

const DAY: i64 = 24 * HOUR;
/// How often a rule looks for an end, and again at what somebody cleared or muted.
const RESTLESS: i64 = 10 * SECOND;
/// How soon the first report ever of a robot is found.
const FIRST_HEARD: i64 = 5 * MINUTE;
/// How soon a server does what one that was killed had to do.
const TAKEN_OVER: i64 = SECOND;
/// How long a session of the elder is used.
const SIGNED_IN: i64 = DAY;

/// A case that went otherwise.
#[derive(Debug)]
pub struct Failure {
    name: String,
    written: (String, String),
    happened: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, written: (steps, expected), happened } = self;
        write!(f, "  {name}\n    steps     {steps}\n    expected  {expected}\n    happened  {happened}")
    }
}

/// How long after the expected moment something may happen.
fn patience(rule: Rule, case: &Case, told: &Told) -> i64 {
    let arrived = case.steps.iter().filter(|step| step.at <= told.at && matches!(step.deed, Deed::Arrives(..)));
    let was_held = case.steps.iter().any(|step| matches!(step.deed, Deed::Clear | Deed::Mute(_)));
    let was_killed = case.steps.iter().any(|step| matches!(step.deed, Deed::Outage(_)));
    if rule == Rule::Silence && told.what == "clear" && arrived.count() == 1 {
        FIRST_HEARD
    } else if told.what == "clear" || (told.is_raise() && was_held) {
        RESTLESS
    } else if was_killed {
        TAKEN_OVER
    } else {
        0
    }
}

/// When the clock stops for a case.
fn moments(rule: Rule, case: &Case) -> BTreeSet<i64> {
    let mut moments = BTreeSet::new();
    for step in &case.steps {
        moments.insert(step.at);
        if let Deed::Outage(until) | Deed::Mute(until) = step.deed {
            moments.insert(until);
        }
    }
    if rule.definition().kind == RuleKind::Threshold {
        // What was normal last marks nothing: it is seen when the rule looks by itself.
        moments.extend(moments.last().map(|last| last + RESTLESS));
    }
    for told in &case.expected {
        let patience = patience(rule, case, told);
        moments.extend([told.at, told.at + patience]);
        let by_time = patience > 0 || rule.definition().kind != RuleKind::Threshold;
        if by_time && told.at > 0 {
            moments.insert(told.at - 1);
        }
    }
    moments
}

/// When the server is killed, and when the next one is there.
fn kills(case: &Case) -> Vec<(i64, i64)> {
    let kill = |step: &Step| if let Deed::Outage(until) = step.deed { Some((step.at, until)) } else { None };
    case.steps.iter().filter_map(kill).collect()
}

/// A family that a case is played in.
struct Player<'a> {
    case: &'a Case,
    family: FamilyId,
    elder: AccountId,
    guardian: AccountId,
    second: AccountId,
    /// The elder's session, and since when.
    session: (String, Timestamp),
    /// What could not be played.
    trouble: Option<String>,
}

/// Where cases are played.
pub struct Stage {
    t: TestDb,
    rule: Rule,
    app: TestApp,
    /// When the leases were last renewed.
    renewed: Timestamp,
    country: Option<(Country, Provider)>,
}

impl Stage {
    /// For the table of a rule.
    pub async fn new(t: &TestDb, rule: Rule) -> Self {
        let country = if rule == Rule::Disaster {
            let country = Country::default();
            let provider = country.serve().await;
            Some((country, provider))
        } else {
            None
        };
        let app = TestApp::on(t, t.open_again().await, |settings, _| listen(settings, country.as_ref())).await;
        let stage = Self { t: t.clone(), rule, app, renewed: t.now(), country };
        stage.receive().await;
        stage
    }

    /// Plays cases; those that went otherwise.
    pub async fn play(mut self, cases: &[Case]) -> Vec<Failure> {
        let mut groups: BTreeMap<_, Vec<&Case>> = BTreeMap::new();
        for (case, number) in cases.iter().zip(0..) {
            // A disaster message reaches all who are there.
            let apart = if self.country.is_some() { number } else { 0 };
            groups.entry((apart, kills(case), moments(self.rule, case))).or_default().push(case);
        }
        let mut failures = Vec::new();
        for ((_, kills, moments), cases) in groups {
            failures.extend(self.play_together(&cases, &kills, &moments).await);
        }
        failures
    }

    async fn play_together(&mut self, cases: &[&Case], kills: &[(i64, i64)], moments: &BTreeSet<i64>) -> Vec<Failure> {
        let now = self.t.now();
        let begun = korea::start_of(korea::date(now.plus_millis(DAY)));
        self.move_to(begun, true).await;
        let mut players = futures_util::future::join_all(cases.iter().map(|case| self.enter(case))).await;
        if matches!(self.rule, Rule::Silence | Rule::Inactivity) {
            self.app.service.give_watches().await.expect("the rules are there");
        }
        let mut gone_until = None;
        for moment in moments.iter().copied() {
            self.move_to(begun.plus_millis(moment), gone_until.is_none()).await;
            let mut is_back = false;
            if let Some(until) = gone_until {
                if moment < until {
                    continue;
                }
                gone_until = None;
                is_back = true;
                self.restart().await;
            }
            self.act(&mut players, begun, moment, false).await;
            // What is written behind its end belongs to an outage's end; there is no second kill at that moment.
            if let Some((_, until)) = kills.iter().find(|(at, _)| *at == moment).filter(|_| !is_back) {
                if *until > moment {
                    gone_until = Some(*until);
                    continue;
                }
                self.restart().await;
                self.act(&mut players, begun, moment, true).await;
            }
            self.turn().await;
        }
        let mut failures = Vec::new();
        for player in &players {
            failures.extend(self.judge(player, begun).await);
            let sql = "DELETE FROM families WHERE id = ?";
            self.t.db.execute(sql, params![player.family]).await.expect("the family moves out");
        }
        failures
    }

    /// Moves the clock, with a server that ran all the while or with none.
    async fn move_to(&mut self, to: Timestamp, runs: bool) {
        self.t.clock.advance(to.since(self.t.now()));
        if to.since(self.renewed).abs() >= MINUTE {
            self.t.advance(0).await;
            if runs {
                self.app.service.renew_node().await.expect("the node number is renewed");
            }
            self.renewed = to;
        }
        if runs && self.rule == Rule::Silence {
            let alive = to.millis();
            transact!(self.t.db, tx => { journal::set_signal(&mut tx, "alarms_alive", alive).await }).expect("noted");
        }
    }

    /// Another server begins where the one before was killed.
    async fn restart(&mut self) {
        if self.country.is_some() {
            // This one ends in order: which server asks for disasters is not what the table is about.
            self.app.service.finish().await;
        }
        let country = self.country.as_ref();
        self.app = TestApp::on(&self.t, self.t.open_again().await, |settings, _| listen(settings, country)).await;
        self.app.service.beat().await.expect("the loop turns");
        self.turn().await;
    }

    async fn turn(&self) {
        self.app.service.judge_rules().await.expect("rules are judged");
        if self.rule.is_momentary() {
            self.app.service.tend_alarms().await.expect("alarms are looked after");
        }
    }

    async fn enter<'a>(&self, case: &'a Case) -> Player<'a> {
        let t = &self.t;
        let elder = t.elder().await;
        let family = t.family_of(elder).await;
        let (guardian, second) = (t.guardian().await, t.guardian().await);
        t.join(family, guardian, Some(elder)).await;
        t.join(family, second, Some(elder)).await;
        let session = (t.session(elder, true).await.0, t.now());
        Player { case, family, elder, guardian, second, session, trouble: None }
    }

    /// All players do what they have to do at a moment: what is written before the server is killed, or what is after it.
    async fn act(&self, players: &mut [Player<'_>], begun: Timestamp, moment: i64, after_kill: bool) {
        let acting = players.iter_mut().map(|player| async move {
            let mut is_after = false;
            for step in player.case.steps.iter().filter(|step| step.at == moment) {
                if let Deed::Outage(until) = step.deed {
                    is_after = until == moment;
                } else if is_after == after_kill
                    && let Err(trouble) = self.step(player, begun, step).await
                {
                    player.trouble.get_or_insert(trouble);
                }
            }
        });
        futures_util::future::join_all(acting).await;
    }

    async fn step(&self, player: &mut Player<'_>, begun: Timestamp, step: &Step) -> Result<(), String> {
        let (t, service, family) = (&self.t, &self.app.service, player.family);
        let fault = |error: carebot_service::Error| format!("{:?}: {error:?}", step.deed);
        match &step.deed {
            Deed::Look | Deed::Outage(_) => {}
            Deed::Arrives(what, None) => self.arrives(player, what).await?,
            Deed::Arrives(what, Some(sensed)) => self.arrives_of(player, what, begun.plus_millis(*sensed)).await?,
            Deed::Set(numbers) => {
                let numbers = numbers.iter().map(|(name, value)| (name.clone(), Some(*value))).collect();
                let change = RuleChange { rule: self.rule.name().to_owned(), numbers, mute: Change::Leave };
                let guardian = self.actor(player.guardian).await;
                service.update_rule(&guardian, family.as_str(), change).await.map_err(fault)?;
            }
            Deed::Mute(until) => {
                let until = Some(begun.plus_millis(*until));
                let mute = Change::Set(Mute { until, reason: Some("수리 중".to_owned()) });
                let change = RuleChange { rule: self.rule.name().to_owned(), numbers: Vec::new(), mute };
                let guardian = self.actor(player.guardian).await;
                let muted = service.update_rule(&guardian, family.as_str(), change).await;
                if muted.is_ok() == self.rule.is_always_on() {
                    return Err(format!("to mute it: {muted:?}"));
                }
            }
            Deed::Acknowledge | Deed::Clear => {
                let active = alarms::active_of(&mut t.db.read(), family, self.rule).await.expect("alarms are read");
                let id = active.ok_or_else(|| format!("{:?}: nothing is active", step.deed))?.id;
                let guardian = self.actor(player.guardian).await;
                let done = match step.deed {
                    Deed::Clear => service.clear_alarm(&guardian, id, None).await,
                    _ => service.acknowledge_alarm(&guardian, id).await,
                };
                done.map_err(fault)?;
            }
            Deed::Listen => {
                let elder = self.elder(player).await;
                service.prompts(&elder, family.as_str()).await.map_err(fault)?;
            }
            Deed::Answer(answer) => {
                let active = alarms::active_of(&mut t.db.read(), family, self.rule).await.expect("alarms are read");
                let id = active.ok_or_else(|| format!("{answer}: nothing is active"))?.id;
                let elder = self.elder(player).await;
                service.answer_alarm(&elder, id, *answer, None).await.map_err(fault)?;
            }
        }
        Ok(())
    }

    /// Something arrives that was sensed now: over the wire, as far as robots and people send it.
    async fn arrives(&self, player: &mut Player<'_>, what: &What) -> Result<(), String> {
        let (app, family) = (&self.app, player.family);
        let fault = |error: carebot_service::Error| format!("{what:?}: {error:?}");
        let (line, body) = match what {
            What::Home(home) => {
                let mut body = json!(home);
                body["family_id"] = json!(family);
                ("POST /status/home", body)
            }
            What::Health(rate) => ("POST /status/health", json!({"family_id": family, "heart_rate": rate})),
            What::Active(critical) => ("POST /status/active", json!({"family_id": family, "is_critical": critical})),
            What::Notice(grade, text) => {
                ("POST /notify", json!({"family_id": family, "notification_grade": grade, "descriptions": text}))
            }
            What::Said(text) => {
                // Without an assistant there is advice, or none; either way the words were heard.
                let body = json!({"user_id": player.elder, "message": text, "session_id": null});
                let token = self.signed_in(player).await;
                app.call("POST /chats", &token, body).await;
                return Ok(());
            }
            What::Wrote(hand, text) => {
                let (from, to) = match hand {
                    Hand::Elder => (player.elder, player.guardian),
                    Hand::ElderToSecond => (player.elder, player.second),
                    Hand::Guardian => (player.guardian, player.elder),
                };
                let token = if *hand == Hand::Guardian {
                    self.t.session(player.guardian, false).await.0
                } else {
                    self.signed_in(player).await
                };
                let body = json!({"from_id": from, "to_id": to, "content": text});
                app.call("POST /messages/send", &token, body).await.succeeds(201);
                return Ok(());
            }
            What::Call(hand) => {
                let by = if *hand == Hand::Guardian { player.guardian } else { player.elder };
                let by = self.actor(by).await;
                return app.service.call_for_help(&by, family.as_str(), None, None).await.map(drop).map_err(fault);
            }
            What::Lives => {
                let elder = self.elder(player).await;
                let beat = app.service.heartbeat(&elder, Some(family.as_str()), Heartbeat::default()).await;
                return beat.map(drop).map_err(fault);
            }
            What::Prompts => {
                let elder = self.elder(player).await;
                return app.service.prompts(&elder, family.as_str()).await.map(drop).map_err(fault);
            }
            What::Kept | What::Score(_) | What::Disaster(..) => {
                return self.arrives_of(player, what, self.t.now()).await;
            }
        };
        let token = self.signed_in(player).await;
        app.call(line, &token, body).await.succeeds(201);
        Ok(())
    }

    /// Something arrives that was sensed at a time.
    async fn arrives_of(&self, player: &mut Player<'_>, what: &What, at: Timestamp) -> Result<(), String> {
        match what {
            What::Home(home) => self.report(player, home.clone(), at).await,
            What::Health(rate) => {
                #[expect(clippy::cast_possible_truncation, reason = "what stands in a table is small")]
                let heart_rate = rate.map(|rate| rate.round() as i32);
                self.report(player, Health { heart_rate }, at).await
            }
            What::Active(is_critical) => {
                let is_critical = *is_critical;
                let active = Active { score: None, action: None, is_critical, description: None, image_url: None };
                self.report(player, active, at).await
            }
            What::Score(score) => {
                self.score(player, *score, at).await;
                Ok(())
            }
            What::Kept => {
                self.keep(player, at).await;
                Ok(())
            }
            What::Disaster(step, regions) => {
                let (country, _) = self.country.as_ref().ok_or("nobody listens to disasters")?;
                country.write(step, regions, at);
                self.receive().await;
                Ok(())
            }
            _ => Err(format!("{what:?} does not come late")),
        }
    }

    async fn report<K: StatusKind>(&self, player: &mut Player<'_>, fields: K, at: Timestamp) -> Result<(), String> {
        let elder = self.elder(player).await;
        let origin = Origin::new(None, Some(at));
        let taken = self.app.service.report(&elder, player.family.as_str(), fields, origin).await;
        taken.map(drop).map_err(|error| format!("a report: {error:?}"))
    }

    /// A score as the assistant stores it.
    async fn score(&self, player: &Player<'_>, score: Option<i32>, at: Timestamp) {
        let (t, family) = (&self.t, player.family);
        let fields = Mental { score, is_critical: score.map(|score| score <= 30), description: None };
        let report = NewReport { id: t.id(), reported_at: at, received_at: t.now(), source_key: None, fields };
        transact!(t.db, tx => {
            let basis = Basis { utterances: 9, model: "m".into() };
            chats::create_mood(&mut tx, &permit(family), &report, &basis).await?;
            rules::mark(&mut tx, family, Rule::Mood, t.now(), t.now()).await
        })
        .expect("the score is stored");
    }

    /// Something said, as the assistant keeps it.
    async fn keep(&self, player: &Player<'_>, at: Timestamp) {
        let (t, elder) = (&self.t, permit(player.elder));
        let (id, name) = (t.id(), format!("chat-{}", t.id()));
        let said = LongText::parse("좋은 아침".to_owned()).expect("a text");
        transact!(t.db, tx => {
            let session = chats::open_session(&mut tx, &elder, None, &name, at).await?;
            chats::add_turn(&mut tx, &elder, id, &session, &said, at).await
        })
        .expect("the turn is stored");
    }

    async fn receive(&self) {
        if self.country.is_some() {
            let round = self.app.service.receive_disasters(&CancellationToken::new()).await.expect("messages are read");
            assert_eq!(round.trouble, None);
        }
    }

    /// The elder's session; a new one every day.
    async fn signed_in(&self, player: &mut Player<'_>) -> String {
        let now = self.t.now();
        if now.since(player.session.1) >= SIGNED_IN {
            player.session = (self.t.session(player.elder, true).await.0, now);
        }
        player.session.0.clone()
    }

    async fn elder(&self, player: &mut Player<'_>) -> Arc<Actor> {
        let token = self.signed_in(player).await;
        self.app.service.current_actor(Some(&token)).await.expect("the session lives")
    }

    async fn actor(&self, account: AccountId) -> Arc<Actor> {
        let (token, _) = self.t.session(account, false).await;
        self.app.service.current_actor(Some(&token)).await.expect("the session lives")
    }

    /// What the timeline says that the rule did, compared with what was expected.
    async fn judge(&self, player: &Player<'_>, begun: Timestamp) -> Option<Failure> {
        let happened = self.told(player.family, begun).await;
        let case = player.case;
        let fits = |(expected, told): (&Told, &Told)| {
            let late = told.at - expected.at;
            (expected.what, expected.is_late) == (told.what, told.is_late)
                && (0..=patience(self.rule, case, expected)).contains(&late)
                && expected.since.is_none_or(|since| told.since == Some(since))
        };
        let is_so = happened.len() == case.expected.len() && case.expected.iter().zip(&happened).all(fits);
        if is_so && player.trouble.is_none() {
            return None;
        }
        let words: Vec<String> = happened.iter().map(Told::to_string).collect();
        let happened = if words.is_empty() { "nothing".to_owned() } else { words.join(" ") };
        let trouble = player.trouble.as_ref().map_or(String::new(), |trouble| format!(" ({trouble})"));
        Some(Failure { name: case.name.clone(), written: case.written.clone(), happened: happened + &trouble })
    }

    async fn told(&self, family: FamilyId, begun: Timestamp) -> Vec<Told> {
        let mut reader = self.t.db.read();
        let all = alarms::list(&mut reader, &permit(family), false, None, 500).await.expect("alarms are read");
        let chain = journal::chain_after(&mut reader, family, 0, 10_000).await.expect("entries are read");
        let (mut told, mut complete_at) = (Vec::new(), 0);
        for entry in chain {
            let Some(alarm) = all.iter().find(|alarm| alarm.id == entry.alarm && alarm.rule == self.rule) else {
                continue;
            };
            let body: Value = serde_json::from_str(&entry.body).expect("a body is JSON");
            if entry.kind == EntryKind::Sensed {
                complete_at = body["complete_at"].as_i64().expect("a time");
            }
            let is_first = body["episode"].is_null();
            let grade = |name: &str| if body[name] == "crit" { "crit" } else { "warn" };
            let what = match entry.kind {
                EntryKind::Raised if is_first => grade("severity"),
                EntryKind::Raised => "again",
                EntryKind::Risen => grade("to"),
                EntryKind::Repeated => "same",
                EntryKind::Asked => "asked",
                EntryKind::Answered if body["by"] == "nobody" => "silent",
                EntryKind::Cleared if body["reason"] == "normal" => "clear",
                EntryKind::Cleared if body["reason"] == "expired" => "expired",
                EntryKind::Cleared if body["reason"] == "elder" => "well",
                _ => continue,
            };
            let is_raise = matches!(entry.kind, EntryKind::Raised | EntryKind::Risen);
            let since = alarm.sensed_at.since(begun);
            told.push(Told {
                what,
                at: entry.at.since(begun),
                since: (is_first && entry.kind == EntryKind::Raised).then_some(since),
                is_late: is_raise && entry.at.millis() - complete_at >= LATE,
            });
        }
        told
    }
}

/// Has the server ask for disaster messages.
fn listen(settings: &mut Settings, country: Option<&(Country, Provider)>) {
    if let Some((_, provider)) = country {
        let limits = Limits { timeout: Duration::from_secs(20), tries: 1, failures: 1_000_000, ..Limits::default() };
        let url = format!("{}/V2/api/DSSP-IF-00247", provider.url());
        let provider = Provided { url, key: Key("k".into()), limits };
        settings.disasters = Some(disasters::Settings { provider, interval: Duration::from_mins(1) });
    }
}

/// The disaster messages that there are.
#[derive(Clone, Debug, Default)]
struct Country(Arc<Mutex<Vec<Value>>>);

impl Country {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, step: &str, regions: &str, at: Timestamp) {
        let mut messages = self.lock();
        let shown = korea::civil(at).strftime("%Y/%m/%d %H:%M:%S").to_string();
        let number = messages.len() + 1;
        messages.push(json!({
            "MSG_CN": "외출을 삼가세요", "RCPTN_RGN_NM": regions, "CRT_DT": shown, "REG_YMD": "2026-03-02",
            "EMRG_STEP_NM": step, "SN": number, "DST_SE_NM": "호우", "MDFCN_YMD": null,
        }));
    }

    /// All messages of a day on one page, the newest first.
    fn page(&self, asked: &Asked) -> Play {
        let day = asked.parameter("crtDt").unwrap_or_default();
        let of_day = |message: &&Value| {
            let shown = message["CRT_DT"].as_str().unwrap_or_default();
            shown.get(..10).is_some_and(|date| date.replace('/', "") == day)
        };
        let body: Vec<Value> = self.lock().iter().rev().filter(of_day).cloned().collect();
        let head = json!({"resultMsg": "NORMAL SERVICE", "resultCode": "00", "errorMsg": null});
        let count = body.len();
        Play::json(
            json!({"header": head, "numOfRows": 100, "pageNo": 1, "totalCount": count, "body": body}).to_string(),
        )
    }

    async fn serve(&self) -> Provider {
        let country = self.clone();
        Provider::start(move |asked| country.page(asked)).await
    }
}
