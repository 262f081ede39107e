//! The home of a family: is she all right?

use axum::routing::{get, post};
use carebot_model::access::{Action, rules};
use carebot_model::alarms::{AlarmState, AlarmView, Severity};
use carebot_model::status::{Active, Health, Home, Mental, Report};
use carebot_model::wire::Order;
use carebot_model::{FamilyId, Timestamp, korea};
use carebot_service::Error;
use carebot_service::reach::Channels;
use maud::{Markup, html};

use super::super::frame::{self, Tab};
use super::super::speech::{ago, machine, number, severity, state, when};
use super::super::visit::{Sent, Visit};
use super::super::{Answer, Pages, found, page, to};

/// A reading older than this says nothing of now, in milliseconds.
const STALE: i64 = 20 * 60_000;
/// How long ago somebody may have moved, or had a pulse, to be called all right, in milliseconds.
const SIGN_OF_LIFE: i64 = 3 * 3_600_000;
/// The most lines of what happened today; there may be more alarms.
const LINES: usize = 30;

pub(crate) fn add(pages: Pages) -> Pages {
    pages.at("/app/families/{family}", get(home)).at("/app/families/{family}/call", post(call_for_help))
}

/// What a family and its elder are called by somebody who may see them.
pub(super) struct Names {
    /// The family.
    pub family: String,
    /// The elder, politely.
    pub elder: String,
    /// The elder's telephone, if one is known to the visitor.
    pub phone: Option<String>,
}

/// Asks for the names. Whoever may not see the family is refused here.
pub(super) async fn names(visit: &Visit, family: FamilyId) -> Result<Names, Error> {
    let service = visit.service();
    let known = service.get_family(&visit.actor, family.as_str()).await?;
    let name = service.elder_name(&visit.actor, &known).await?;
    let elder = match name {
        Some(name) => visit.t(format!("{name} 님"), name),
        None => visit.t("어르신", "The elder").to_owned(),
    };
    let family = known.family_name.clone().unwrap_or_else(|| visit.t(format!("{elder} 댁"), format!("{elder}'s home")));
    let phone = match service.get_contact(&visit.actor, Some(known.main_user.as_str())).await {
        Ok(contact) => contact.phone,
        Err(Error::Forbidden | Error::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    Ok(Names { family, elder, phone })
}

/// What is known of now.
struct Now {
    alarms: Vec<AlarmView>,
    home: Option<Report<Home>>,
    health: Option<Report<Health>>,
    active: Option<Report<Active>>,
    mood: Option<Report<Mental>>,
    channels: Option<Channels>,
    today: Vec<Line>,
}

/// Something that happened today.
struct Line {
    at: Timestamp,
    text: String,
    detail: Option<String>,
    is_bad: bool,
    image: Option<String>,
    link: Option<String>,
}

async fn gather(visit: &Visit, family: FamilyId) -> Result<Now, Error> {
    let (service, actor, id) = (visit.service(), &*visit.actor, family.as_str());
    let (open, alarms, home, health, active, mood, channels) = tokio::join!(
        service.list_alarms(actor, id, true, None, 500),
        service.list_alarms(actor, id, false, None, 100),
        service.latest_report::<Home>(actor, id),
        service.latest_report::<Health>(actor, id),
        service.latest_report::<Active>(actor, id),
        service.latest_report::<Mental>(actor, id),
        service.family_channels(actor, id),
    );
    let alarms = alarms?;
    let channels = match channels {
        Ok(channels) => Some(channels),
        Err(Error::Forbidden) => None,
        Err(error) => return Err(error),
    };
    let today = today(visit, family, &alarms).await?;
    let mut open: Vec<AlarmView> = open?.into_iter().filter(is_open).collect();
    // What was critical and ended by itself without anybody having seen it is shown until somebody does.
    open.extend(alarms.into_iter().filter(is_unseen));
    Ok(Now {
        alarms: open,
        home: found(home)?,
        health: found(health)?,
        active: found(active)?,
        mood: found(mood)?,
        channels,
        today,
    })
}

/// Whether an alarm still wants somebody.
pub(super) fn is_open(alarm: &AlarmView) -> bool {
    matches!(alarm.state, AlarmState::Active | AlarmState::ActiveAcknowledged)
}

/// Whether nobody has confirmed an alarm yet, over or not.
pub(super) fn is_unconfirmed(alarm: &AlarmView) -> bool {
    matches!(alarm.state, AlarmState::Active | AlarmState::Cleared)
}

/// Whether something critical is over and nobody has confirmed it.
fn is_unseen(alarm: &AlarmView) -> bool {
    alarm.state == AlarmState::Cleared && alarm.severity == Severity::Crit && !alarm.is_drill
}

async fn today(visit: &Visit, family: FamilyId, alarms: &[AlarmView]) -> Result<Vec<Line>, Error> {
    let begin = korea::start_of(korea::date(visit.now));
    let mut lines: Vec<Line> = Vec::new();
    for alarm in alarms.iter().filter(|alarm| alarm.raised_at >= begin) {
        let text = alarm.text.of(visit.language);
        lines.push(Line {
            at: alarm.raised_at,
            text: format!("{}: {}", severity(visit, alarm.severity), text.title),
            detail: Some(text.detail.clone()),
            is_bad: alarm.severity == Severity::Crit,
            image: alarm.image_url.clone(),
            link: Some(format!("/app/families/{family}/alarms/{}", alarm.id.0)),
        });
    }
    let range = (begin, Some(visit.now), Order::Descending);
    let mut pages = visit
        .service()
        .list_reports::<Active, Vec<Report<Active>>>(&visit.actor, family.as_str(), range, Vec::new, |page, report| {
            page.push(report.clone());
        })
        .await?;
    if let Some(page) = pages.next().await? {
        let room = LINES.saturating_sub(lines.len()).max(LINES / 2);
        lines.extend(page.0.into_iter().take(room).map(|report| did(visit, report)));
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.at));
    Ok(lines)
}

fn did(visit: &Visit, report: Report<Active>) -> Line {
    let Active { action, is_critical, image_url, .. } = report.fields;
    let is_bad = is_critical == Some(true);
    let action = action.unwrap_or_else(|| visit.t("움직임", "Movement").to_owned());
    let text = if is_bad { format!("{}: {action}", visit.t("위험", "Danger")) } else { action };
    Line { at: report.reported_at, text, detail: None, is_bad, image: image_url, link: None }
}

/// The one sentence, and how good the news is.
fn sentence(visit: &Visit, names: &Names, now: &Now) -> (&'static str, String) {
    let elder = &names.elder;
    // What is over and only waits to be seen is something to look at, no more.
    let wants = |alarm: &AlarmView| if is_unseen(alarm) { Severity::Warn } else { alarm.severity };
    let worst = now.alarms.iter().filter(|alarm| !alarm.is_drill).map(wants).max();
    let heard = [
        now.home.as_ref().map(|report| report.reported_at),
        now.health.as_ref().map(|report| report.reported_at),
        now.active.as_ref().map(|report| report.reported_at),
        now.channels.as_ref().and_then(|channels| channels.robot.heard_at),
    ];
    let heard = heard.into_iter().flatten().max();
    let moved = now.active.as_ref().map(|report| report.reported_at);
    // A sensor that lies on the table reports a pulse of 0.
    let has_pulse = |report: &&Report<Health>| report.fields.heart_rate.is_some_and(|rate| rate > 0);
    let pulse = now.health.as_ref().filter(has_pulse).map(|report| report.reported_at);
    // A robot that reports says nothing about her: only what she does, or her pulse, is a sign that she is all right.
    let is_alive = |at: &Timestamp| visit.now.since(*at) <= SIGN_OF_LIFE;
    match (worst, heard) {
        (Some(Severity::Crit), _) => (
            "crit",
            visit.t(
                format!("지금 확인해 주세요. {elder}께 위급한 일이 있을 수 있습니다."),
                format!("Please look now. {elder} may be in danger."),
            ),
        ),
        (Some(Severity::Warn), _) => (
            "warn",
            visit.t(format!("{elder}께 살펴볼 일이 있습니다."), format!("There is something to look at for {elder}.")),
        ),
        (_, None) => (
            "unknown",
            visit.t("아직 로봇에게서 온 소식이 없습니다.".to_owned(), "Nothing was heard of the robot yet.".to_owned()),
        ),
        (_, Some(heard)) if visit.now.since(heard) > STALE => (
            "unknown",
            visit.t(
                format!(
                    "{elder}의 로봇에게서 {} 마지막 소식이 왔습니다. 지금 어떠신지는 알 수 없습니다.",
                    ago(visit, heard)
                ),
                format!("The robot was last heard {}. How {elder} is now is not known.", ago(visit, heard)),
            ),
        ),
        _ if moved.max(pulse).is_none() => (
            "unknown",
            visit.t(
                format!("로봇은 연결되어 있지만, {elder}의 움직임은 아직 보이지 않았습니다."),
                format!("The robot is connected, but has not seen {elder} move yet."),
            ),
        ),
        _ if !moved.max(pulse).is_some_and(|at| is_alive(&at)) => {
            let last = ago(visit, moved.max(pulse).unwrap_or(visit.now));
            (
                "unknown",
                visit.t(
                    format!("로봇은 연결되어 있지만, {elder}의 마지막 움직임은 {last}입니다."),
                    format!("The robot is connected; the last movement of {elder} was {last}."),
                ),
            )
        }
        _ => {
            let moved = moved.filter(is_alive);
            let said = match (moved, pulse) {
                (Some(moved), _) => visit.t(
                    format!("{} 움직이셨어요.", ago(visit, moved)),
                    format!("Last movement: {}.", ago(visit, moved)),
                ),
                (None, Some(pulse)) => visit.t(
                    format!("{} 맥박이 잡혔어요.", ago(visit, pulse)),
                    format!("Last pulse: {}.", ago(visit, pulse)),
                ),
                (None, None) => String::new(),
            };
            ("good", visit.t(format!("{elder}은 괜찮으세요. {said}"), format!("{elder} is all right. {said}")))
        }
    }
}

/// What is read out as soon as it changes: no ages of anything, which change every minute.
fn aloud(visit: &Visit, now: &Now) -> String {
    let titles = now.alarms.iter().filter(|alarm| is_open(alarm));
    let titles: Vec<&str> = titles.map(|alarm| alarm.text.of(visit.language).title.as_str()).collect();
    titles.join(", ")
}

async fn home(visit: Visit) -> Answer {
    let family = visit.family()?;
    let names = names(&visit, family).await?;
    let now = Box::pin(gather(&visit, family)).await?;
    let (mood, said) = sentence(&visit, &names, &now);
    let title = visit.t("지금", "Now");
    let content = html! {
        section #glance.glance.(mood) data-part {
            p.said { (said) }
        }
        section #open data-part {
            p.heard role="status" aria-live="assertive" { (aloud(&visit, &now)) }
            @if !now.alarms.is_empty() { h2 { (visit.t("열린 알람", "Open alarms")) } }
            @for alarm in &now.alarms { (alarm_card(&visit, alarm, &names)) }
        }
        section #readings data-part {
            h2 { (visit.t("지금 재고 있는 것", "Readings")) }
            div.tiles { (readings(&visit, &now)) }
        }
        section #robot data-part { (robot(&visit, family, &now)) }
        section #today data-part {
            h2 { (visit.t("오늘 있었던 일", "Today")) }
            (timeline(&visit, &now.today))
        }
        section {
            h2 { (visit.t("도움이 필요할 때", "If help is needed")) }
            p { (visit.t("누르면 모든 보호자에게 바로 알림이 갑니다.", "This tells everybody who looks after this family at once.")) }
            details {
                summary { (visit.t("도움 요청하기", "Call for help")) }
                form method="post" action={ "/app/families/" (family) "/call" } {
                    button.button.danger { (visit.t("지금 도움을 요청합니다", "Call for help now")) }
                }
            }
        }
    };
    Ok(page(frame::family(&visit, family, Tab::Home, (&names.family, title), content)))
}

/// An open alarm with what can be done about it.
pub(super) fn alarm_card(visit: &Visit, alarm: &AlarmView, names: &Names) -> Markup {
    let text = alarm.text.of(visit.language);
    let place = format!("/app/families/{}/alarms/{}", alarm.family_id, alarm.id.0);
    // The elder answers the robot; an alarm about her is for others to see to.
    let handles = rules::allows(visit.actor.relations_to_family(alarm.family_id), Action::AlarmHandle);
    html! {
        article.alarm.(alarm.severity.name()) {
            h3 {
                span.badge { (severity(visit, alarm.severity)) } " "
                @if alarm.is_drill { span.badge { (visit.t("시험", "Drill")) } " " }
                a href=(place) { (text.title) }
            }
            p { (text.detail) }
            p.small {
                (when(visit, alarm.sensed_at)) " · " (ago(visit, alarm.sensed_at)) " · " (state(visit, alarm.state))
                @if let Some(until) = alarm.snoozed_until.filter(|until| *until > visit.now) {
                    " · " (visit.t("미룸:", "put off until")) " " (when(visit, until))
                }
            }
            @if let Some(image) = &alarm.image_url { (picture(visit, image)) }
            div.acts {
                @if handles && is_unconfirmed(alarm) {
                    form method="post" action={ (place) "/ack" } { button.button { (visit.t("확인", "Acknowledge")) } }
                }
                @if handles && is_open(alarm) { a.button.quiet href={ (place) "#end" } { (visit.t("끝났음", "It is over")) } }
                @if let Some(phone) = names.phone.as_ref().filter(|_| handles) { a.button.quiet href={ "tel:" (phone) } { (visit.t("전화", "Call")) } }
                @if handles { a.button.quiet href={ (place) "#comment" } { (visit.t("메모", "Comment")) } }
            }
        }
    }
}

/// A picture that is loaded only when somebody asks to see it.
pub(super) fn picture(visit: &Visit, address: &str) -> Markup {
    html! {
        details.picture {
            summary { (visit.t("사진 보기", "Show the picture")) }
            img src=(own_picture(address)) loading="lazy" alt=(visit.t("이때 찍힌 사진", "The picture taken at that time"));
        }
    }
}

/// The address of a picture at this server: existing clients store it with the host that they knew.
pub(super) fn own_picture(address: &str) -> String {
    address.find("/access/").map_or_else(|| address.to_owned(), |place| format!("{}?w=640", &address[place..]))
}

/// A reading: its name, value, unit, what is normal, and how old it is.
struct Reading {
    name: &'static str,
    value: Option<f64>,
    unit: &'static str,
    normal: (f64, f64),
    said: &'static str,
    at: Option<Timestamp>,
    kind: &'static str,
}

fn readings(visit: &Visit, now: &Now) -> Markup {
    let home_at = now.home.as_ref().map(|report| report.reported_at);
    let home = |field: fn(&Home) -> Option<f64>| now.home.as_ref().and_then(|report| field(&report.fields));
    let health_at = now.health.as_ref().map(|report| report.reported_at);
    let heart = now.health.as_ref().and_then(|report| report.fields.heart_rate).map(f64::from);
    let score = now.active.as_ref().and_then(|report| report.fields.score).map(f64::from);
    let mood = now.mood.as_ref().and_then(|report| report.fields.score).map(f64::from);
    // Normal: WHO housing and health guidelines 2018 (18 °C at least), the Korean Meteorological Administration's comfortable
    // room (humidity), the ministry of environment's "보통" for PM10, and the warning bounds of the rules.
    let all = [
        Reading {
            name: visit.t("온도", "Temperature"),
            value: home(|home| home.temperature),
            unit: "°C",
            normal: (18.0, 28.0),
            said: "18–28",
            at: home_at,
            kind: "home",
        },
        Reading {
            name: visit.t("습도", "Humidity"),
            value: home(|home| home.humidity),
            unit: "%",
            normal: (30.0, 70.0),
            said: "30–70",
            at: home_at,
            kind: "home",
        },
        Reading {
            name: visit.t("미세먼지", "Fine dust"),
            value: home(|home| home.dust_level),
            unit: "㎍/㎥",
            normal: (0.0, 80.0),
            said: "0–80",
            at: home_at,
            kind: "home",
        },
        Reading {
            name: visit.t("가스", "Gas"),
            value: home(|home| home.ethanol),
            unit: "ppm",
            normal: (0.0, 1.5),
            said: "0–1.5",
            at: home_at,
            kind: "home",
        },
        Reading {
            name: visit.t("심박수", "Heart rate"),
            value: heart,
            unit: visit.t("회/분", "bpm"),
            normal: (50.0, 100.0),
            said: "50–100",
            at: health_at,
            kind: "health",
        },
        Reading {
            name: visit.t("활동 점수", "Activity score"),
            value: score,
            unit: "",
            normal: (f64::MIN, f64::MAX),
            said: "",
            at: now.active.as_ref().map(|report| report.reported_at),
            kind: "active",
        },
        Reading {
            name: visit.t("마음 점수", "Mood score"),
            value: mood,
            unit: "/ 100",
            normal: (31.0, 100.0),
            said: "31–100",
            at: now.mood.as_ref().map(|report| report.reported_at),
            kind: "mental",
        },
    ];
    html! { @for reading in &all { (tile(visit, reading)) } }
}

fn tile(visit: &Visit, reading: &Reading) -> Markup {
    let Reading { name, value, unit, normal, said, at, kind } = reading;
    let is_normal = value.map(|value| (normal.0..=normal.1).contains(&value));
    // The mood is judged once a day.
    let most = if *kind == "mental" { 36 * 3_600_000 } else { STALE };
    let is_old = at.is_some_and(|at| visit.now.since(at) > most);
    html! {
        div.tile.odd[is_normal == Some(false) && !is_old].old[is_old] {
            h3 { (name) }
            p.value {
                @if let Some(value) = value { (number(*value)) " " span.unit { (unit) } }
                @else { span.unit { (visit.t("아직 없음", "Nothing yet")) } }
            }
            p.small {
                @match is_normal {
                    Some(_) if is_old => { strong { (visit.t("오래된 값", "An old reading")) } }
                    Some(true) if !said.is_empty() => { (visit.t("정상", "Normal")) " (" (said) ")" }
                    Some(false) => { strong { (visit.t("정상 범위 밖", "Not normal")) } " (" (said) ")" }
                    _ => {}
                }
            }
            @if let Some(at) = at { p.small { time datetime=(machine(*at)) { (ago(visit, *at)) } } }
        }
    }
}

fn robot(visit: &Visit, family: FamilyId, now: &Now) -> Markup {
    let Some(channels) = &now.channels else { return html! {} };
    let robot = &channels.robot;
    html! {
        h2 { (visit.t("로봇", "The robot")) }
        @match robot.heard_at {
            Some(at) if visit.now.since(at) <= STALE => p { (visit.t("연결되어 있습니다", "It is connected")) " (" (ago(visit, at)) ")." }
            Some(at) => p { strong { (visit.t("연락이 없습니다", "It is silent")) } " (" (ago(visit, at)) ")." }
            None => p { (visit.t("아직 연결된 적이 없습니다. 로봇에서 어르신 계정으로 로그인해 주세요.", "It was never connected. Sign in on the robot with the elder's account.")) }
        }
        @if let Some(battery) = robot.battery { p.small { (visit.t("배터리", "Battery")) " " (battery) " %" } }
        @for warning in &channels.warning {
            p.notice.bad { (visit.t(warning.ko.as_str(), warning.en.as_str())) " "
                a href={ "/app/families/" (family) "/alarms" } { (visit.t("알림 받을 사람", "Who can be reached")) } }
        }
    }
}

fn timeline(visit: &Visit, lines: &[Line]) -> Markup {
    html! {
        @if lines.is_empty() { p { (visit.t("아직 아무 일도 없습니다.", "Nothing yet.")) } }
        ol.lines {
            @for line in lines {
                li.bad[line.is_bad] {
                    span.at { (when(visit, line.at)) }
                    div {
                        @if let Some(link) = &line.link { a href=(link) { (line.text) } } @else { (line.text) }
                        @if let Some(detail) = &line.detail { p.small { (detail) } }
                        @if let Some(image) = &line.image { (picture(visit, image)) }
                    }
                }
            }
        }
    }
}

async fn call_for_help(Sent(visit, _): Sent) -> Answer {
    let family = visit.family()?;
    let (id, _) = visit.service().call_for_help(&visit.actor, family.as_str(), None, None).await?;
    Ok(to(&format!("/app/families/{family}/alarms/{}?done=sent", id.0)))
}
