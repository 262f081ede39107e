//! Alarms: those that last, those of before, one with its timeline, and who can be reached.

use axum::routing::{get, post};
use carebot_model::access::{Action, rules};
use carebot_model::alarms::{
    AlarmState, AlarmView, Answer as Answered, Channel, ClearReason, EntryKind, Rule, Rung, Severity,
};
use carebot_model::members::{Place, Position};
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use carebot_service::Error;
use carebot_service::alarms::act::{EntryView, OVER, SNOOZED};
use carebot_service::reach::{ChannelView, Channels, Reach};
use maud::{Markup, html};
use serde_json::Value;

use super::super::frame::{self, Tab};
use super::super::problem::Problem;
use super::super::speech::{ago, number, reason, rule, severity, state, when};
use super::super::visit::{Sent, Visit};
use super::super::{Answer, Pages, page, to};
use super::account::channel_name;
use super::home::{alarm_card, is_open, is_unconfirmed, names, picture};

/// How many alarms of before are shown at once.
const LINES: usize = 30;
/// How many are read at once, and how often, to find those that a filter asks for.
const PAGE: u32 = 200;
const PAGES: usize = 10;

pub(crate) fn add(pages: Pages) -> Pages {
    pages
        .at("/app/families/{family}/alarms", get(alarms))
        .at("/app/families/{family}/alarms/drill", post(drill))
        .at("/app/families/{family}/alarms/{alarm}", get(alarm))
        .at("/app/families/{family}/alarms/{alarm}/ack", post(acknowledge))
        .at("/app/families/{family}/alarms/{alarm}/clear", post(clear))
        .at("/app/families/{family}/alarms/{alarm}/comment", post(comment))
        .at("/app/families/{family}/alarms/{alarm}/snooze", post(snooze))
        .at("/app/alarms/{alarm}", get(lead))
}

/// What to call the people of a family.
struct People {
    places: Vec<(Place, String)>,
    elder: (AccountId, String),
}

impl People {
    async fn ask(visit: &Visit, family: FamilyId, elder: &str) -> Result<Self, Error> {
        let service = visit.service();
        let known = service.get_family(&visit.actor, family.as_str()).await?;
        let places = service.list_places(&visit.actor, family.as_str()).await?;
        Ok(Self { places, elder: (known.main_user, elder.to_owned()) })
    }

    /// A name, or in which capacity somebody belongs to the family.
    fn name(&self, visit: &Visit, account: AccountId) -> String {
        if account == self.elder.0 {
            return self.elder.1.clone();
        }
        match self.places.iter().find(|(place, _)| place.user_id == account) {
            Some((_, name)) if !name.is_empty() => name.clone(),
            Some((place, _)) => position(visit, place.position).to_owned(),
            None => visit.t("보호자", "A guardian").to_owned(),
        }
    }

    /// Whoever a value of a timeline names.
    fn of(&self, visit: &Visit, value: &Value) -> String {
        match value {
            Value::Array(all) => all.iter().map(|one| self.of(visit, one)).collect::<Vec<_>>().join(", "),
            value => value
                .as_str()
                .and_then(AccountId::parse)
                .map_or_else(|| visit.t("누군가", "Somebody").to_owned(), |account| self.name(visit, account)),
        }
    }
}

/// In which capacity somebody belongs to a family.
fn position(visit: &Visit, position: Position) -> &'static str {
    match position {
        Position::Guardian => visit.t("보호자", "Guardian"),
        Position::CareWorker => visit.t("돌봄 인력", "Care worker"),
        Position::Staff => visit.t("기관 직원", "Staff"),
    }
}

/// Whom a step of a ladder reaches.
pub(super) fn rung(visit: &Visit, rung: Rung) -> &'static str {
    match rung {
        Rung::First => visit.t("첫 번째 보호자", "the first guardian"),
        Rung::Others => visit.t("다른 보호자", "the other guardians"),
        Rung::Staff => visit.t("돌봄 인력과 기관 직원", "care workers and staff"),
    }
}

/// What past alarms are asked for.
struct Filter {
    severity: Option<Severity>,
    rule: Option<Rule>,
    state: Option<AlarmState>,
    before: Option<RowId>,
}

impl Filter {
    fn of(visit: &Visit) -> Self {
        let query = &visit.query;
        Self {
            severity: query.get("severity").and_then(Severity::parse),
            rule: query.get("rule").and_then(Rule::parse),
            state: query.get("state").and_then(AlarmState::parse),
            before: query.number("before").map(RowId),
        }
    }

    fn takes(&self, alarm: &AlarmView) -> bool {
        // What lasts stands above already.
        self.state.map_or_else(|| !is_open(alarm), |state| alarm.state == state)
            && self.severity.is_none_or(|severity| alarm.severity == severity)
            && self.rule.is_none_or(|rule| alarm.rule == rule)
    }

    /// The same filter, further back.
    fn query(&self, before: RowId) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("severity", self.severity.map(Severity::name)),
            ("rule", self.rule.map(Rule::name)),
            ("state", self.state.map(AlarmState::name)),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.append_pair("before", &before.0.to_string()).finish()
    }
}

/// Alarms of before, and where to go on if there are more.
async fn past(visit: &Visit, family: FamilyId, filter: &Filter) -> Result<(Vec<AlarmView>, Option<RowId>), Error> {
    let mut found = Vec::new();
    let mut before = filter.before;
    for _ in 0..PAGES {
        let read = visit.service().list_alarms(&visit.actor, family.as_str(), false, before, PAGE).await?;
        let is_last = read.len() < PAGE as usize;
        for alarm in read {
            if found.len() == LINES {
                return Ok((found, before));
            }
            before = Some(alarm.id);
            if filter.takes(&alarm) {
                found.push(alarm);
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
    Ok((found, before))
}

async fn alarms(visit: Visit) -> Answer {
    let family = visit.family()?;
    let names = names(&visit, family).await?;
    let filter = Filter::of(&visit);
    let open = visit.service().list_alarms(&visit.actor, family.as_str(), true, None, 50).await?;
    let (past, more) = past(&visit, family, &filter).await?;
    let channels = visit.service().family_channels(&visit.actor, family.as_str()).await?;
    let people = People::ask(&visit, family, &names.elder).await?;
    let place = format!("/app/families/{family}/alarms");
    let content = html! {
        section #open data-part aria-live="polite" {
            h2 { (visit.t("지금 열린 알람", "Open alarms")) }
            @for alarm in &open { (alarm_card(&visit, alarm, &names)) }
            @if open.is_empty() { p.notice.good { (visit.t("열린 알람이 없습니다.", "There is no open alarm.")) } }
        }
        section {
            h2 { (visit.t("지난 알람", "Alarms of before")) }
            (filters(&visit, &place, &filter))
            div #past data-part {
                @if past.is_empty() {
                    p { (visit.t("이 조건에 맞는 알람이 없습니다.", "There is no such alarm.")) }
                }
                ol.lines { @for alarm in &past { (line(&visit, &place, alarm)) } }
                @if let Some(before) = more {
                    p { a.button.quiet href={ (place) "?" (filter.query(before)) } { (visit.t("더 보기", "Show more")) } }
                }
            }
        }
        section #reach data-part {
            h2 { (visit.t("알림을 받을 수 있는 사람", "Who can be reached")) }
            (reach(&visit, &people, &channels))
        }
        section {
            h2 { (visit.t("시험과 규칙", "Drill and rules")) }
            p { (visit.t("시험 알람은 실제 알람과 같은 길로 모두에게 가고, 시험이라고 표시됩니다.", "A drill goes the whole way to everybody, and says that it is one.")) }
            div.acts {
                @if open.iter().any(|alarm| alarm.is_drill) {
                    p { (visit.t("지금 시험 중입니다. 위에서 끝내 주세요.", "A drill is being held: end it above.")) }
                } @else {
                    form method="post" action={ (place) "/drill" } { button.button.quiet { (visit.t("시험 알람 보내기", "Hold a drill")) } }
                }
                a.button.quiet href={ "/app/families/" (family) "/rules" } { (visit.t("규칙 보기와 바꾸기", "See and change the rules")) }
            }
        }
    };
    Ok(page(frame::family(&visit, family, Tab::Alarms, (&names.family, visit.t("알람", "Alarms")), content)))
}

fn filters(visit: &Visit, place: &str, filter: &Filter) -> Markup {
    let all = visit.t("모두", "All");
    html! {
        details open[filter.severity.is_some() || filter.rule.is_some() || filter.state.is_some()] {
            summary { (visit.t("골라 보기", "Filter")) }
            form.card method="get" action=(place) {
                label { (visit.t("얼마나 급한지", "How bad"))
                    select name="severity" {
                        option value="" { (all) }
                        @for one in Severity::ALL.iter().rev() {
                            option value=(one.name()) selected[filter.severity == Some(*one)] { (severity(visit, *one)) }
                        }
                    }
                }
                label { (visit.t("무엇 때문인지", "What for"))
                    select name="rule" {
                        option value="" { (all) }
                        @for one in Rule::ALL { option value=(one.name()) selected[filter.rule == Some(*one)] { (rule(visit, *one)) } }
                    }
                }
                label { (visit.t("어떻게 되었는지", "What became of it"))
                    select name="state" {
                        option value="" { (all) }
                        @for one in AlarmState::ALL { option value=(one.name()) selected[filter.state == Some(*one)] { (state(visit, *one)) } }
                    }
                }
                button.button { (visit.t("찾기", "Show")) }
            }
        }
    }
}

fn line(visit: &Visit, place: &str, alarm: &AlarmView) -> Markup {
    html! {
        li.bad[alarm.state == AlarmState::Cleared && alarm.severity == Severity::Crit] {
            span.at { (when(visit, alarm.raised_at)) }
            div {
                a href={ (place) "/" (alarm.id.0) } { (alarm.text.of(visit.language).title) }
                p.small {
                    (severity(visit, alarm.severity)) " · " (state(visit, alarm.state))
                    @if alarm.is_drill { " · " (visit.t("시험", "drill")) }
                    @if let Some(why) = alarm.clear_reason { " · " (reason(visit, why)) }
                }
            }
        }
    }
}

/// Who can be reached, in words.
fn reach(visit: &Visit, people: &People, channels: &Channels) -> Markup {
    html! {
        @for warning in &channels.warning { p.notice.bad { (visit.t(&warning.ko, &warning.en)) } }
        ol.lines {
            @for member in &channels.members {
                li {
                    span.at { (member.order) }
                    div { (member_reach(visit, people, member)) }
                }
            }
        }
        p.small {
            a href={ "/app/account#channels" } { (visit.t("내 알림 방법 바꾸기", "Change how I am told")) }
        }
    }
}

fn member_reach(visit: &Visit, people: &People, member: &Reach) -> Markup {
    html! {
        h3 { (people.name(visit, member.user_id)) " (" (position(visit, member.position)) ")" }
        p {
            @if member.watching { (visit.t("지금 화면을 보고 있습니다.", "A page is open now.")) }
            @else if member.reachable { (visit.t("알림을 받을 수 있습니다.", "Can be reached.")) }
            @else { strong { (visit.t("알림을 받을 수 없습니다.", "Can not be reached.")) } }
            @if member.has_quiet_hours { " " (visit.t("조용한 시간이 있습니다.", "Has quiet hours.")) }
        }
        ul { @for channel in &member.channels { li { (channel_state(visit, channel)) } } }
        @if member.channels.is_empty() { p.small { (visit.t("등록한 방법이 없습니다.", "No channel is set up.")) } }
    }
}

fn channel_state(visit: &Visit, view: &ChannelView) -> Markup {
    html! {
        (channel_name(visit, view.channel)) ": "
        @if !view.configured { (visit.t("설정되지 않음", "not set up")) }
        @else if view.failures > 0 {
            strong { (visit.t(format!("{}번 이어서 실패", view.failures), format!("failed {} times in a row", view.failures))) }
            @if let Some(at) = view.failed_at { " (" (ago(visit, at)) ")" }
        }
        @else if view.succeeded_at.is_none() { (visit.t("아직 써 보지 않음", "not tried yet")) }
        @else { (visit.t("됩니다", "works")) }
        @if let Some(at) = view.succeeded_at { " · " (visit.t("마지막 성공", "last success")) " " (ago(visit, at)) }
    }
}

async fn drill(Sent(visit, _): Sent) -> Answer {
    let family = visit.family()?;
    match visit.service().hold_drill(&visit.actor, family.as_str()).await {
        Ok(id) => Ok(to(&format!("/app/families/{family}/alarms/{}?done=drill", id.0))),
        // The page says that one is held.
        Err(Error::Conflict(_)) => Ok(to(&format!("/app/families/{family}/alarms"))),
        Err(error) => Err(error.into()),
    }
}

async fn alarm(visit: Visit) -> Answer {
    let family = visit.family()?;
    let id = visit.number(1)?;
    // Whoever may not see the family learns nothing of its alarms either.
    let names = names(&visit, family).await?;
    let (alarm, entries) = visit.service().alarm_timeline(&visit.actor, id).await?;
    if alarm.family_id != family {
        return Err(Problem::NoPage);
    }
    let people = People::ask(&visit, family, &names.elder).await?;
    let place = format!("/app/families/{family}/alarms/{}", id.0);
    let may = rules::allows(visit.actor.relations_to_family(family), Action::AlarmHandle);
    let text = alarm.text.of(visit.language);
    let content = html! {
        section #alarm data-part {
            h2 { (state(&visit, alarm.state)) }
            div.alarm.(alarm.severity.name()) {
                p {
                    span.badge { (severity(&visit, alarm.severity)) } " "
                    @if alarm.is_drill { span.badge { (visit.t("시험", "Drill")) } " " }
                    (text.detail)
                }
                p.small {
                    (visit.t("감지:", "Sensed:")) " " (when(&visit, alarm.sensed_at)) " (" (ago(&visit, alarm.sensed_at)) ")"
                    @if alarm.occurrences > 1 { " · " (visit.t(format!("{}번", alarm.occurrences), format!("{} times", alarm.occurrences))) }
                }
                @if let Some(by) = alarm.acknowledged_by { p.small { (visit.t("확인한 사람:", "Acknowledged by:")) " " (people.name(&visit, by)) } }
                @if let Some(until) = alarm.snoozed_until.filter(|until| *until > visit.now) {
                    p.small { (visit.t("미룸:", "Put off until")) " " (when(&visit, until)) }
                }
                @if let Some(why) = alarm.clear_reason { p.small { (reason(&visit, why)) } }
                @if let Some(image) = &alarm.image_url { (picture(&visit, image)) }
                @if may && (is_open(&alarm) || is_unconfirmed(&alarm)) {
                    div.acts {
                        @if is_unconfirmed(&alarm) {
                            form method="post" action={ (place) "/ack" } { button.button { (visit.t("확인", "Acknowledge")) } }
                        }
                        @if let Some(phone) = &names.phone { a.button.quiet href={ "tel:" (phone) } { (visit.t("전화", "Call")) } }
                    }
                }
            }
        }
        @if may { section { (acts(&visit, &place, &alarm)) } }
        section #timeline data-part {
            h2 { (visit.t("있었던 일", "What happened")) }
            ol.lines {
                @for entry in &entries {
                    @let (said, detail) = told(&visit, &people, entry);
                    li.bad[entry.kind == EntryKind::Failed] {
                        span.at { (when(&visit, entry.at)) }
                        div { (said) @if let Some(detail) = detail { p.small { (detail) } } }
                    }
                }
            }
            p.small {
                (visit.t("이 기록은 서로 이어져 있어 나중에 바꾸면 드러납니다. 서버에서 운영자가 다음 명령으로 확인합니다: ", "These entries are chained: a later change shows. The operator checks them on the server with "))
                code { "carebot alarms verify" }
            }
        }
    };
    Ok(page(frame::family(&visit, family, Tab::Alarms, (&names.family, &text.title), content)))
}

/// What can be done about an alarm besides acknowledging it.
fn acts(visit: &Visit, place: &str, alarm: &AlarmView) -> Markup {
    html! {
        h2 { (visit.t("할 수 있는 일", "What you can do")) }
        form.card #comment method="post" action={ (place) "/comment" } {
            label { (visit.t("메모", "Comment"))
                textarea name="text" rows="2" maxlength="1000" required {}
            }
            button.button.quiet { (visit.t("메모 남기기", "Leave the comment")) }
        }
        @if is_open(alarm) {
            details {
                summary { (visit.t("나중에 다시 알리기", "Put it off")) }
                form.card method="post" action={ (place) "/snooze" } {
                    label { (visit.t("얼마 동안", "For how long"))
                        select name="minutes" {
                            @for minutes in [5, 10, 15] { option value=(minutes) { (minutes) (visit.t("분", " minutes")) } }
                        }
                    }
                    label { (visit.t("이유", "Reason")) input name="reason" maxlength="1000" required; }
                    button.button.quiet { (visit.t("미루기", "Put it off")) }
                }
            }
            details #end {
                summary { (visit.t("알람 끝내기", "End the alarm")) }
                form.card method="post" action={ (place) "/clear" } {
                    label { (visit.t("메모 (없어도 됩니다)", "Comment (may be left out)")) input name="comment" maxlength="1000"; }
                    button.button { (visit.t("끝났습니다", "It is over")) }
                }
            }
        }
    }
}

/// A point in time that an entry holds.
fn time(value: &Value) -> Option<Timestamp> {
    value.as_i64().map(Timestamp::from_millis)
}

/// An entry of a timeline in plain words, and what else there is to say.
fn told(visit: &Visit, people: &People, entry: &EntryView) -> (Markup, Option<Markup>) {
    let body = &entry.body;
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let who = |name: &str| people.of(visit, &body[name]);
    let bad = |name: &str| Severity::parse(text(name)).map_or("", |found| severity(visit, found));
    let words = |korean: &str, english: &str| html! { (visit.t(korean, english)) };
    let said = |korean: String, english: String| html! { (visit.t(korean, english)) };
    let channel = || Channel::parse(text("channel")).map_or("", |channel| channel_name(visit, channel));
    match entry.kind {
        EntryKind::Sensed => {
            let value =
                body["value"].as_f64().map(|value| html! { (visit.t("잰 값:", "Reading:")) " " (number(value)) });
            let at = time(&body["at"]).map(|at| html! { " (" (when(visit, at)) ")" });
            (html! { (visit.t("감지했습니다", "Something was sensed")) @if let Some(at) = at { (at) } }, value)
        }
        EntryKind::Received => (words("서버가 받았습니다", "It came in at the server"), None),
        EntryKind::Judged => {
            let name = Rule::parse(text("rule")).map_or("", |found| rule(visit, found));
            let bad = bad("severity");
            (said(format!("규칙으로 판단했습니다: {name}, {bad}"), format!("A rule judged it: {name}, {bad}")), None)
        }
        EntryKind::Raised => (words("알람이 울렸습니다", "The alarm was raised"), None),
        EntryKind::Risen => {
            let bad = bad("to");
            (said(format!("더 나빠졌습니다: {bad}"), format!("It became worse: {bad}")), None)
        }
        EntryKind::Repeated => {
            let times = body["occurrences"].as_i64().unwrap_or_default();
            (said(format!("다시 감지했습니다 ({times}번째)"), format!("It happened again ({times} times)")), None)
        }
        EntryKind::Asked => (words("로봇이 괜찮으신지 여쭈었습니다", "The robot asked whether all is well"), None),
        EntryKind::Answered => (
            match Answered::parse(text("answer")) {
                Some(Answered::Fine) => words("괜찮다고 하셨습니다", "The answer was that all is well"),
                Some(Answered::Help) => words("도움이 필요하다고 하셨습니다", "The answer was that help is needed"),
                Some(Answered::Silent) | None => words("대답이 없었습니다", "There was no answer"),
            },
            None,
        ),
        EntryKind::Step => {
            let rung = Rung::parse(text("rung")).map_or("", |found| rung(visit, found));
            let is_empty = body["to"].as_array().is_none_or(Vec::is_empty);
            let whom = if is_empty { visit.t("아무도 없음", "nobody there").to_owned() } else { who("to") };
            (said(format!("알릴 차례: {rung}"), format!("Time to tell {rung}")), Some(html! { (whom) }))
        }
        EntryKind::Handed => {
            let (to, by) = (who("to"), channel());
            (said(format!("{to}: 보냈습니다 ({by})"), format!("Sent to {to} by {by}")), None)
        }
        EntryKind::Failed => {
            let (to, by) = (who("to"), channel());
            let error = Some(text("error")).filter(|error| !error.is_empty()).map(|error| html! { (error) });
            if by.is_empty() {
                (said(format!("{to}: 알릴 방법이 없습니다"), format!("There is no way to {to}")), None)
            } else {
                (
                    said(format!("{to}: 보내지 못했습니다 ({by})"), format!("It could not be sent to {to} by {by}")),
                    error,
                )
            }
        }
        EntryKind::Delivered => {
            let (to, by) = (who("to"), channel());
            (said(format!("{to}: 보여 드렸습니다 ({by})"), format!("It was shown to {to} ({by})")), None)
        }
        EntryKind::Acknowledged => {
            (said(format!("{} 확인", who("by")), format!("Acknowledged by {}", who("by"))), None)
        }
        EntryKind::Snoozed => {
            let until = time(&body["until"]).map(
                |until| html! { (visit.t("다시 알리는 때", "until")) " " (when(visit, until)) ": " (text("reason")) },
            );
            (said(format!("{} 미룸", who("by")), format!("Put off by {}", who("by"))), until)
        }
        EntryKind::Commented => {
            (said(format!("{} 메모", who("by")), format!("Comment of {}", who("by"))), Some(html! { (text("text")) }))
        }
        EntryKind::Cleared => {
            let why = ClearReason::parse(text("reason")).map(|why| html! { (reason(visit, why)) });
            (words("끝났습니다", "It is over"), why)
        }
    }
}

/// Where somebody goes on after having done something about an alarm.
fn done(visit: &Visit, result: Result<AlarmView, Error>, code: &str, is_from_board: bool) -> Answer {
    let family = visit.family()?;
    let id = visit.number(1)?;
    let code = match result {
        Ok(_) => code,
        Err(Error::Conflict(OVER)) => "over",
        Err(Error::Conflict(SNOOZED)) => "once",
        Err(error) => return Err(error.into()),
    };
    Ok(if is_from_board {
        to(&format!("/app/board?done={code}"))
    } else {
        to(&format!("/app/families/{family}/alarms/{}?done={code}", id.0))
    })
}

async fn acknowledge(Sent(visit, fields): Sent) -> Answer {
    visit.account()?;
    let result = visit.service().acknowledge_alarm(&visit.actor, visit.number(1)?).await;
    done(&visit, result, "acknowledged", fields.get("from") == Some("board"))
}

async fn clear(Sent(visit, fields): Sent) -> Answer {
    visit.account()?;
    let result = visit.service().clear_alarm(&visit.actor, visit.number(1)?, fields.get("comment")).await;
    done(&visit, result, "cleared", false)
}

async fn comment(Sent(visit, fields): Sent) -> Answer {
    visit.account()?;
    let result = visit.service().comment_alarm(&visit.actor, visit.number(1)?, fields.text("text")).await;
    done(&visit, result, "commented", false)
}

async fn snooze(Sent(visit, fields): Sent) -> Answer {
    visit.account()?;
    let seconds = fields.number("minutes").unwrap_or_default().saturating_mul(60);
    let result = visit.service().snooze_alarm(&visit.actor, visit.number(1)?, seconds, fields.text("reason")).await;
    done(&visit, result, "snoozed", false)
}

/// Leads from a notice to the family's page of its alarm.
async fn lead(visit: Visit) -> Answer {
    visit.account()?;
    let (alarm, _) = visit.service().alarm_timeline(&visit.actor, visit.number(0)?).await?;
    Ok(to(&format!("/app/families/{}/alarms/{}", alarm.family_id, alarm.id.0)))
}
