//! What raises an alarm, with which numbers, and who is told after how long; every change can be tried on the last month first.

use axum::response::Response;
use axum::routing::{get, post};
use carebot_model::alarms::ladder::{CRIT_MOST, MOST, Step};
use carebot_model::alarms::{Rule, RuleKind, Rung, Severity, rules};
use carebot_model::{FamilyId, Timestamp};
use carebot_service::alarms::replay::{Replayed, WouldBe};
use carebot_service::alarms::settings::{
    INCOMPLETE, LadderView, Mute, Numbers, ORDER, ParameterView, RuleChange, RuleView, STEP_ORDER, TOO_LATE,
};
use carebot_service::{Change, Error};
use http::StatusCode;
use maud::{Markup, html};

use super::super::frame::{self, Tab};
use super::super::problem::{self, Problem};
use super::super::speech::{number, rule as called, severity, when};
use super::super::visit::{Fields, Sent, Visit};
use super::super::{Answer, Pages, chart, page, page_with, to};
use super::alarms::rung;
use super::home::names;

/// The most times that a trial lists of each set of numbers.
const LISTED: usize = 50;
/// For how long a rule can be muted, in hours.
const MUTES: [i64; 5] = [1, 8, 24, 7 * 24, 30 * 24];
const HOUR: i64 = 3_600_000;

pub(crate) fn add(pages: Pages) -> Pages {
    pages
        .at("/app/families/{family}/rules", get(all))
        .at("/app/families/{family}/rules/{rule}", get(one).post(save))
        .at("/app/families/{family}/rules/{rule}/try", get(one).post(attempt))
        .at("/app/families/{family}/rules/{rule}/default", post(default))
        .at("/app/families/{family}/rules/{rule}/mute", post(mute))
        .at("/app/families/{family}/rules/{rule}/unmute", post(unmute))
        .at("/app/families/{family}/ladders/{severity}", post(ladder))
}

/// What a rule does, in plain words.
fn meaning(visit: &Visit, rule: Rule) -> &'static str {
    match rule {
        Rule::Gas => visit.t("공기 중 가스가 정한 값을 넘으면 알립니다.", "Gas in the air above a bound."),
        Rule::Heat => visit.t("방이 오래 더우면 알립니다.", "The room is too hot for some time."),
        Rule::Cold => visit.t("방이 오래 추우면 알립니다.", "The room is too cold for some time."),
        Rule::Dust => visit.t("미세먼지가 오래 많으면 알립니다.", "Much fine dust for some time."),
        Rule::UltrafineDust => visit.t("초미세먼지가 오래 많으면 알립니다.", "Much ultrafine dust for some time."),
        Rule::HeartFast => visit.t("심장이 너무 빨리 뛰면 알립니다.", "The heart beats too fast."),
        Rule::HeartSlow => visit.t("심장이 너무 느리게 뛰면 알립니다.", "The heart beats too slowly."),
        Rule::Fall => visit.t(
            "넘어지신 것 같으면 먼저 여쭙고, 대답이 없으면 알립니다.",
            "After a fall the elder is asked first; others are told if there is no answer.",
        ),
        Rule::Emergency => visit.t("로봇이 위급하다고 하면 알립니다.", "The robot reports an emergency."),
        Rule::Silence => visit.t("로봇에게서 소식이 끊기면 알립니다.", "Nothing is heard of the robot."),
        Rule::Inactivity => {
            visit.t("깨어 계실 시간에 오래 움직임이 없으면 알립니다.", "No sign of life for long in the waking hours.")
        }
        Rule::Mood => {
            visit.t("마음 점수가 낮거나 여러 날 낮으면 알립니다.", "The mood is low, or lower for several days.")
        }
        Rule::Phrase => visit.t("로봇에게 위험한 말씀을 하시면 알립니다.", "Words of danger are said to the robot."),
        Rule::Sos => visit.t("누군가 도움을 요청하면 알립니다.", "Somebody calls for help."),
        Rule::Disaster => visit.t("사시는 곳에 재난문자가 오면 알립니다.", "A disaster message for the region."),
        Rule::Drill => visit.t("시험입니다.", "A test."),
    }
}

/// What a number of a rule means.
fn label(visit: &Visit, view: &RuleView, name: &str) -> &'static str {
    let is_reading = view.kind == RuleKind::Threshold || view.kind == RuleKind::Decline;
    match name {
        rules::WARN => visit.t("주의로 보는 값", "Bound of a warning"),
        rules::CRIT => visit.t("위급으로 보는 값", "Bound of an emergency"),
        rules::WARN_SECONDS if is_reading => visit.t("주의: 이만큼 이어지면", "Warning: lasting for"),
        rules::CRIT_SECONDS if is_reading => visit.t("위급: 이만큼 이어지면", "Emergency: lasting for"),
        rules::WARN_SECONDS => visit.t("주의: 이만큼 소식이 없으면", "Warning: nothing for"),
        rules::CRIT_SECONDS => visit.t("위급: 이만큼 소식이 없으면", "Emergency: nothing for"),
        rules::HYSTERESIS => {
            visit.t("정상으로 보려면 경계에서 이만큼 떨어져야", "Normal again this far from the bound")
        }
        rules::CLEAR_SECONDS => visit.t("정상이 이만큼 이어지면 끝", "Over when normal for"),
        rules::AGAIN_SECONDS => visit.t("끝낸 뒤에도 이어지면 다시 알리기까지", "Raised again if it lasts after"),
        rules::ASK_SECONDS => visit.t("어르신의 대답을 기다리는 시간", "How long the elder has to answer"),
        rules::WARN_DAYS => visit.t("며칠 이어지면", "Days in a row"),
        rules::WAKING_FROM => visit.t("일어나시는 시각", "Waking hours begin"),
        rules::WAKING_UNTIL => visit.t("주무시는 시각", "Waking hours end"),
        _ => visit.t("값", "Value"),
    }
}

/// A unit as people read it.
fn unit(visit: &Visit, unit: &'static str) -> &'static str {
    match unit {
        "s" => visit.t("초", "seconds"),
        "bpm" => visit.t("회/분", "bpm"),
        "score" => visit.t("점", "points"),
        "days" => visit.t("일", "days"),
        "hour" => visit.t("시", "o'clock"),
        unit => unit,
    }
}

/// How finely a number is set.
fn step(unit: &str) -> &'static str {
    match unit {
        "ppm" | "°C" => "0.1",
        _ => "1",
    }
}

/// Whether the last month can be gone through with other numbers.
const fn can_be_tried(kind: RuleKind) -> bool {
    matches!(kind, RuleKind::Threshold | RuleKind::Silence | RuleKind::Inactivity | RuleKind::Decline)
}

/// Seconds in the largest unit that leaves no rest.
fn span(visit: &Visit, seconds: i64) -> String {
    let (korean, english) = match seconds {
        0 => ("바로".to_owned(), "at once".to_owned()),
        hours if hours % 3_600 == 0 => (format!("{}시간", hours / 3_600), format!("{} h", hours / 3_600)),
        minutes if minutes % 60 == 0 => (format!("{}분", minutes / 60), format!("{} min", minutes / 60)),
        seconds => (format!("{seconds}초"), format!("{seconds} s")),
    };
    visit.t(korean, english)
}

async fn all(visit: Visit) -> Answer {
    let family = visit.family()?;
    let names = names(&visit, family).await?;
    let views = visit.service().list_rules(&visit.actor, family.as_str()).await?;
    let ladders = visit.service().list_ladders(&visit.actor, family.as_str()).await?;
    let refused = match visit.query.get("refused") {
        Some("incomplete") => Some(visit.t(
            "위급한 알람은 모두에게, 다른 알람은 적어도 첫 번째 보호자에게 가야 합니다.",
            "A critical alarm must reach everybody, any other at least the first guardian.",
        )),
        Some("late") => Some(visit.t(
            "위급한 알람의 마지막 차례는 15분 안에, 다른 알람은 하루 안에 와야 합니다.",
            "The last step must come within 15 minutes of a critical alarm, within a day of any other.",
        )),
        Some("mute") => Some(visit.t("끄려면 이유가 있어야 합니다.", "Muting needs a reason.")),
        Some(_) => Some(visit.t("입력한 내용을 확인해 주세요.", "Please check what you entered.")),
        None => None,
    };
    let content = html! {
        @if let Some(refused) = refused { p.notice.bad role="alert" { (refused) } }
        p { (visit.t("규칙마다 어떤 숫자에서 알릴지 정합니다. 저장하기 전에 지난 30일에 해 볼 수 있습니다.", "Which numbers raise an alarm. Every change can be tried on the last 30 days first.")) }
        @for view in &views {
            section.card #{ "rule-" (view.rule.name()) } { (rule_card(&visit, family, view)) }
        }
        h2 #ladders { (visit.t("누구에게 언제 알리나", "Who is told when")) }
        p { (visit.t("아무도 확인하지 않으면 다음 차례로 넘어갑니다. 빈칸이면 알리지 않습니다.", "The next is told if nobody acknowledges. Who is left empty is not told.")) }
        @for view in ladders.iter().rev() {
            section.card #{ "ladder-" (view.severity.name()) } { (ladder_card(&visit, family, view)) }
        }
    };
    Ok(page(frame::family(
        &visit,
        family,
        Tab::Alarms,
        (&names.family, visit.t("알람 규칙", "Rules of alarms")),
        content,
    )))
}

fn rule_card(visit: &Visit, family: FamilyId, view: &RuleView) -> Markup {
    let place = format!("/app/families/{family}/rules/{}", view.rule.name());
    html! {
        h2 { (called(visit, view.rule)) }
        p { (meaning(visit, view.rule)) }
        @if let Some(muted) = &view.muted {
            p.notice.bad {
                (visit.t("꺼져 있습니다. 다시 켜지는 때:", "Muted until")) " " (when(visit, muted.until)) " (" (muted.reason) ")"
            }
            form method="post" action={ (place) "/unmute" } { button.button { (visit.t("다시 켜기", "Turn it on again")) } }
        }
        @if !view.parameters.is_empty() {
            details {
                summary { (visit.t("숫자 보기와 바꾸기", "See and change the numbers")) }
                (numbers_form(visit, &place, view, None))
            }
        }
        @if view.is_always_on {
            p.small { (visit.t("이 규칙은 끌 수 없습니다.", "Nobody can turn this off.")) }
        } @else if view.muted.is_none() {
            details {
                summary { (visit.t("잠시 끄기", "Mute it for a while")) }
                form method="post" action={ (place) "/mute" } {
                    label { (visit.t("얼마 동안", "For how long"))
                        select name="hours" { @for hours in MUTES { option value=(hours) { (span(visit, hours * 3_600)) } } }
                    }
                    label { (visit.t("이유", "Reason")) input name="reason" maxlength="255" required; }
                    button.button.quiet { (visit.t("끄기", "Mute")) }
                }
            }
        }
        p.small { (visit.t("출처:", "Source:")) " " span lang="en" { (view.source) } }
    }
}

/// The numbers of a rule: as they are, or as somebody typed them.
fn numbers_form(visit: &Visit, place: &str, view: &RuleView, typed: Option<&Fields>) -> Markup {
    let value = |parameter: &ParameterView| {
        let typed = typed.and_then(|typed| typed.get(parameter.name));
        typed.map_or_else(|| parameter.value.to_string(), str::to_owned)
    };
    html! {
        form method="post" action=(place) {
            @for parameter in &view.parameters {
                @let (least, most, unit) = (parameter.least, parameter.most, unit(visit, parameter.unit));
                @let help = format!("{}-{}-help", view.rule.name(), parameter.name);
                label { (label(visit, view, parameter.name)) " (" (unit) ")"
                    input type="number" name=(parameter.name) value=(value(parameter)) min=(least) max=(most) step=(step(parameter.unit)) required aria-describedby=(help);
                }
                p.small #(help) {
                    (least) "–" (most) " " (unit) ", " (visit.t("처음 값", "usually")) " " (parameter.default)
                    @if parameter.unit == "s" && parameter.value >= 60.0 {
                        @let seconds = number(parameter.value).parse().unwrap_or_default();
                        " · " (visit.t("지금", "now")) " " (span(visit, seconds))
                    }
                }
            }
            div.acts {
                button.button { (visit.t("저장", "Save")) }
                @if can_be_tried(view.kind) {
                    button.button.quiet name="try" value="yes" formaction={ (place) "/try" } { (visit.t("먼저 해 보기", "Try before saving")) }
                }
                button.button.quiet formaction={ (place) "/default" } formnovalidate { (visit.t("처음 값으로", "Back to default")) }
            }
        }
    }
}

fn ladder_card(visit: &Visit, family: FamilyId, view: &LadderView) -> Markup {
    let is_crit = view.severity == Severity::Crit;
    let most = if is_crit { CRIT_MOST } else { MOST };
    let after = |rung: Rung| view.steps.steps().iter().find(|step| step.rung == rung).map(|step| step.after_seconds);
    html! {
        h3 { (severity(visit, view.severity)) }
        form method="post" action={ "/app/families/" (family) "/ladders/" (view.severity.name()) } {
            @for one in Rung::ALL {
                label { (rung(visit, *one)) " (" (visit.t("몇 초 뒤", "seconds after")) ")"
                    input type="number" name=(one.name()) value=[after(*one)] min="0" max=(most) step="1" required[is_crit || *one == Rung::First];
                }
            }
            div.acts {
                button.button { (visit.t("저장", "Save")) }
                @if !view.is_default {
                    button.button.quiet name="default" value="yes" formnovalidate { (visit.t("처음 값으로", "Back to default")) }
                }
            }
        }
    }
}

/// The rule that the path names, as it is.
async fn view(visit: &Visit, family: FamilyId) -> Result<RuleView, Problem> {
    let views = visit.service().list_rules(&visit.actor, family.as_str()).await?;
    views.into_iter().find(|view| view.rule.name() == visit.piece(1)).ok_or(Problem::NoPage)
}

async fn one(visit: Visit) -> Answer {
    let family = visit.family()?;
    let view = view(&visit, family).await?;
    shown(&visit, family, &view, None, None).await
}

/// A rule on a page of its own: with what was typed, why it was refused, or what a trial found.
async fn shown(
    visit: &Visit,
    family: FamilyId,
    view: &RuleView,
    typed: Option<&Fields>,
    found: Option<Result<Replayed, Error>>,
) -> Answer {
    let names = names(visit, family).await?;
    let place = format!("/app/families/{family}/rules/{}", view.rule.name());
    let status = if matches!(found, Some(Err(_))) { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let content = html! {
        @match &found {
            Some(Err(error)) => p.notice.bad role="alert" { (refusal(visit, view, error)) }
            Some(Ok(replayed)) => (trial(visit, &place, view, typed, replayed)),
            None => {}
        }
        section.card {
            h2 { (visit.t("숫자", "Numbers")) }
            p { (meaning(visit, view.rule)) }
            (numbers_form(visit, &place, view, typed))
        }
        p { a href={ "/app/families/" (family) "/rules" } { (visit.t("모든 규칙", "All rules")) } }
    };
    let title = called(visit, view.rule);
    Ok(page_with(status, frame::family(visit, family, Tab::Alarms, (&names.family, title), content)))
}

/// Why numbers were not taken.
fn refusal(visit: &Visit, view: &RuleView, error: &Error) -> String {
    match error {
        Error::OutOfBounds(text) => {
            let parameter =
                view.parameters.iter().find(|parameter| text.contains(&format!(": {} must", parameter.name)));
            parameter.map_or_else(
                || visit.t("숫자가 범위를 벗어났습니다.", "A number is out of its bounds.").to_owned(),
                |parameter| {
                    let (name, least, most) = (label(visit, view, parameter.name), parameter.least, parameter.most);
                    visit.t(
                        format!("{name}: {least}에서 {most} 사이여야 합니다."),
                        format!("{name}: it must be between {least} and {most}."),
                    )
                },
            )
        }
        Error::Invalid(ORDER) => {
            visit.t("위급은 주의보다 더 나쁜 값이어야 합니다.", "The emergency must lie beyond the warning.").to_owned()
        }
        error => problem::words(error, visit.language),
    }
}

/// What the last month would have been like.
fn trial(visit: &Visit, place: &str, view: &RuleView, typed: Option<&Fields>, replayed: &Replayed) -> Markup {
    let times = |alarms: &[WouldBe]| alarms.iter().map(|alarm| alarm.raised_at).collect::<Vec<Timestamp>>();
    let (now, tried) = (replayed.now.len(), replayed.tried.len());
    html! {
        section #trial {
            h2 { (visit.t("지난 30일에 해 보았습니다", "Tried on the last 30 days")) }
            p.notice role="status" {
                (visit.t(
                    format!("지금 숫자로는 {now}번, 새 숫자로는 {tried}번 알렸을 것입니다."),
                    format!("With the present numbers there would have been {now} alarms, with the new ones {tried}."),
                ))
            }
            (chart::strip(visit, (replayed.from, replayed.until), &times(&replayed.now), &times(&replayed.tried)))
            @for (title, alarms) in [(visit.t("지금 숫자", "Present numbers"), &replayed.now), (visit.t("새 숫자", "New numbers"), &replayed.tried)] {
                h3 { (title) ": " (alarms.len()) }
                ol.lines {
                    @for alarm in alarms.iter().rev().take(LISTED) {
                        li {
                            span.at { (when(visit, alarm.raised_at)) }
                            div {
                                (severity(visit, alarm.severity))
                                @if let Some(value) = alarm.value { " · " (number(value)) }
                                @if let Some(at) = alarm.cleared_at { " · " (visit.t("끝난 때", "over")) " " (when(visit, at)) }
                            }
                        }
                    }
                }
                @if alarms.len() > LISTED { p.small { (visit.t(format!("가장 최근 {LISTED}번만 보입니다."), format!("Only the last {LISTED} are shown."))) } }
            }
            @if replayed.is_cut { p.small { (visit.t("너무 많아서 일부만 셌습니다.", "There were too many: not all are counted.")) } }
            p.small { (visit.t("아직 아무것도 바뀌지 않았습니다.", "Nothing is changed yet.")) }
            form.acts method="post" action=(place) {
                @for parameter in &view.parameters {
                    @if let Some(value) = typed.and_then(|typed| typed.get(parameter.name)) {
                        input type="hidden" name=(parameter.name) value=(value);
                    }
                }
                button.button { (visit.t("이 숫자로 저장", "Save these numbers")) }
            }
        }
    }
}

/// The numbers that were typed; what is no number is out of every bound.
fn typed(view: &RuleView, fields: &Fields) -> Numbers {
    let number = |parameter: &ParameterView| {
        let text = fields.get(parameter.name)?;
        Some((parameter.name.to_owned(), Some(text.parse().unwrap_or(f64::NAN))))
    };
    view.parameters.iter().filter_map(number).collect()
}

/// Whether numbers were refused, so that whoever typed them is told beside what he typed.
const fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Invalid(_) | Error::OutOfBounds(_) | Error::Busy(_))
}

async fn attempt(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    let view = view(&visit, family).await?;
    let numbers = typed(&view, &fields);
    let tried = visit.service().try_rule(&visit.actor, family.as_str(), view.rule.name(), &numbers, None).await;
    match tried {
        Err(error) if !is_refusal(&error) => Err(error.into()),
        tried => shown(&visit, family, &view, Some(&fields), Some(tried)).await,
    }
}

/// Changes a rule.
async fn change(visit: &Visit, family: FamilyId, numbers: Numbers, mute: Change<Mute>) -> Result<RuleView, Error> {
    let change = RuleChange { rule: visit.piece(1).to_owned(), numbers, mute };
    visit.service().update_rule(&visit.actor, family.as_str(), change).await
}

/// Leads back to a rule on the page of all.
fn back(visit: &Visit, family: FamilyId) -> Response {
    to(&format!("/app/families/{family}/rules?done=saved#rule-{}", visit.piece(1)))
}

async fn save(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    let view = view(&visit, family).await?;
    match change(&visit, family, typed(&view, &fields), Change::Leave).await {
        Ok(_) => Ok(back(&visit, family)),
        Err(error) if is_refusal(&error) => shown(&visit, family, &view, Some(&fields), Some(Err(error))).await,
        Err(error) => Err(error.into()),
    }
}

async fn default(Sent(visit, _): Sent) -> Answer {
    let family = visit.family()?;
    let view = view(&visit, family).await?;
    let numbers = view.parameters.iter().map(|parameter| (parameter.name.to_owned(), None)).collect();
    change(&visit, family, numbers, Change::Leave).await?;
    Ok(back(&visit, family))
}

async fn mute(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    let view = view(&visit, family).await?;
    let hours = fields.number("hours").filter(|hours| MUTES.contains(hours));
    let mute = Mute { until: hours.map(|hours| visit.now.plus_millis(hours * HOUR)), reason: fields.owned("reason") };
    match change(&visit, family, Numbers::new(), Change::Set(mute)).await {
        Ok(_) => Ok(back(&visit, family)),
        Err(Error::Invalid(_)) => {
            Ok(to(&format!("/app/families/{family}/rules?refused=mute#rule-{}", view.rule.name())))
        }
        Err(error) => Err(error.into()),
    }
}

async fn unmute(Sent(visit, _): Sent) -> Answer {
    let family = visit.family()?;
    change(&visit, family, Numbers::new(), Change::Unset).await?;
    Ok(back(&visit, family))
}

async fn ladder(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    let name = visit.piece(1);
    let steps = if fields.is_on("default") {
        None
    } else {
        let step = |rung: &Rung| {
            let seconds = fields.number(rung.name())?;
            // What does not fit comes too late in any case.
            Some(Step { rung: *rung, after_seconds: i32::try_from(seconds).unwrap_or(i32::MAX) })
        };
        let mut steps: Vec<Step> = Rung::ALL.iter().filter_map(step).collect();
        steps.sort_by_key(|step| step.after_seconds);
        Some(steps)
    };
    let place = format!("/app/families/{family}/rules");
    match visit.service().update_ladder(&visit.actor, family.as_str(), name, steps).await {
        Ok(view) => Ok(to(&format!("{place}?done=saved#ladder-{}", view.severity.name()))),
        Err(Error::Invalid(INCOMPLETE)) => Ok(to(&format!("{place}?refused=incomplete"))),
        Err(Error::Invalid(TOO_LATE)) => Ok(to(&format!("{place}?refused=late"))),
        Err(Error::Invalid(STEP_ORDER)) => Ok(to(&format!("{place}?refused=order"))),
        Err(error) => Err(error.into()),
    }
}
