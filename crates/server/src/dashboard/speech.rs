//! Times, readings and states in words that people use.

use carebot_model::alarms::text::Language;
use carebot_model::alarms::{AlarmState, ClearReason, Rule, Severity};
use carebot_model::{Timestamp, korea};
use maud::{Markup, html};

use super::visit::Visit;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long ago something was.
pub fn ago(visit: &Visit, at: Timestamp) -> String {
    let passed = visit.now.since(at).max(0);
    let (korean, english) = match passed {
        ..MINUTE => ("방금".to_owned(), "just now".to_owned()),
        MINUTE..HOUR => (format!("{}분 전", passed / MINUTE), format!("{} min ago", passed / MINUTE)),
        HOUR..DAY => (format!("{}시간 전", passed / HOUR), format!("{} h ago", passed / HOUR)),
        _ => (format!("{}일 전", passed / DAY), format!("{} days ago", passed / DAY)),
    };
    visit.t(korean, english)
}

/// A time of the day for today's, else with its day. Korea's; the script shows it in the visitor's zone if that is another.
pub fn when(visit: &Visit, at: Timestamp) -> Markup {
    let civil = korea::civil(at);
    let clock = format!("{:02}:{:02}", civil.hour(), civil.minute());
    let today = korea::civil(visit.now).date();
    let text = if civil.date() == today {
        clock
    } else if civil.year() == today.year() {
        match visit.language {
            Language::Korean => format!("{}월 {}일 {clock}", civil.month(), civil.day()),
            Language::English => format!("{}-{:02} {clock}", civil.month(), civil.day()),
        }
    } else {
        format!("{}-{:02}-{:02} {clock}", civil.year(), civil.month(), civil.day())
    };
    html! { time datetime=(machine(at)) data-time { (text) } }
}

/// A point in time for programs: UTC.
pub fn machine(at: Timestamp) -> String {
    format!("{}Z", at.civil())
}

/// How bad something is.
pub fn severity(visit: &Visit, severity: Severity) -> &'static str {
    match severity {
        Severity::Crit => visit.t("위급", "Critical"),
        Severity::Warn => visit.t("주의", "Warning"),
        Severity::Info => visit.t("안내", "For information"),
    }
}

/// What became of an alarm.
pub fn state(visit: &Visit, state: AlarmState) -> &'static str {
    match state {
        AlarmState::Active => visit.t("확인 필요", "Needs somebody"),
        AlarmState::ActiveAcknowledged => visit.t("확인함, 아직 계속됨", "Acknowledged, not over yet"),
        AlarmState::Cleared => visit.t("끝남, 아무도 확인하지 않음", "Over, acknowledged by nobody"),
        AlarmState::ClearedAcknowledged => visit.t("끝남", "Over"),
    }
}

/// Why an alarm is over.
pub fn reason(visit: &Visit, reason: ClearReason) -> &'static str {
    let (korean, english) = carebot_model::alarms::text::cleared(reason);
    visit.t(korean, english)
}

/// What a rule is called.
pub fn rule(visit: &Visit, rule: Rule) -> &'static str {
    match rule {
        Rule::Fall => visit.t("낙상", "Fall"),
        Rule::Emergency => visit.t("위급 상황", "Emergency"),
        Rule::Sos => visit.t("도움 요청", "Call for help"),
        Rule::Phrase => visit.t("위험한 말", "Words of danger"),
        Rule::Gas => visit.t("가스", "Gas"),
        Rule::Heat => visit.t("더위", "Heat"),
        Rule::Cold => visit.t("추위", "Cold"),
        Rule::Dust => visit.t("미세먼지", "Fine dust"),
        Rule::UltrafineDust => visit.t("초미세먼지", "Ultrafine dust"),
        Rule::HeartFast => visit.t("빠른 심박", "Fast heart"),
        Rule::HeartSlow => visit.t("느린 심박", "Slow heart"),
        Rule::Silence => visit.t("로봇 연락 두절", "Silent robot"),
        Rule::Inactivity => visit.t("움직임 없음", "No movement"),
        Rule::Mood => visit.t("마음 상태", "Mood"),
        Rule::Disaster => visit.t("재난문자", "Disaster message"),
        Rule::Drill => visit.t("시험 알람", "Drill"),
    }
}

/// A reading with at most one digit behind the point.
pub fn number(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 { format!("{rounded:.0}") } else { format!("{rounded:.1}") }
}
