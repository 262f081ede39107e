//! What people read about an alarm.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Alarm, ClearReason, Rule, Severity};
use crate::wire_enum;

wire_enum!(
    /// A language that people are told in.
    Language {
        /// Korean.
        Korean = "ko",
        /// English.
        English = "en",
    }
);

/// A title and what there is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Text {
    /// A few words; no comma, so that the existing page shows them as a title.
    pub title: String,
    /// A sentence.
    pub detail: String,
}

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bilingual {
    /// In Korean.
    pub ko: Text,
    /// In English.
    pub en: Text,
}

impl Bilingual {
    /// In one of them.
    pub const fn of(&self, language: Language) -> &Text {
        match language {
            Language::Korean => &self.ko,
            Language::English => &self.en,
        }
    }
}

/// What an alarm says.
pub fn of(alarm: &Alarm) -> Bilingual {
    let crit = alarm.severity == Severity::Crit;
    let value = alarm.value.map(|value| (value * 10.0).round() / 10.0);
    let ((ko_title, ko), (en_title, en)) = match value {
        Some(value) => measured(alarm.rule, crit, value),
        None => plain(alarm.rule, crit),
    };
    let (mut ko, mut en) = (ko, en);
    if alarm.is_late() {
        ko = format!("({} 전에 감지됨) {ko}", span(alarm.late_by, Language::Korean));
        en = format!("(sensed {} ago) {en}", span(alarm.late_by, Language::English));
    }
    Bilingual {
        ko: Text { title: ko_title.to_owned(), detail: ko },
        en: Text { title: en_title.to_owned(), detail: en },
    }
}

type Pair = ((&'static str, String), (&'static str, String));

fn measured(rule: Rule, crit: bool, value: f64) -> Pair {
    match rule {
        Rule::Gas if crit => (
            ("가스 위험", format!("가스 농도가 {value} ppm입니다. 화재일 수 있습니다. 지금 바로 확인해 주세요.")),
            ("Dangerous gas", format!("The gas sensor shows {value} ppm. It may be a fire: check at once.")),
        ),
        Rule::Gas => (
            ("가스 주의", format!("가스 농도가 {value} ppm입니다. 환기와 가스 밸브를 확인해 주세요.")),
            ("Gas", format!("The gas sensor shows {value} ppm: air the room and check the stove.")),
        ),
        Rule::Heat => (
            (if crit { "실내 폭염 위험" } else { "실내 폭염 주의" }, format!("실내 온도가 {value} °C입니다.")),
            (if crit { "Dangerously hot room" } else { "Hot room" }, format!("The room is at {value} °C.")),
        ),
        Rule::Cold => (
            (if crit { "실내 한파 위험" } else { "실내 저온 주의" }, format!("실내 온도가 {value} °C입니다.")),
            (if crit { "Dangerously cold room" } else { "Cold room" }, format!("The room is at {value} °C.")),
        ),
        Rule::Dust => (
            ("미세먼지 매우 나쁨", format!("실내 미세먼지(PM10)가 {value} µg/m³입니다.")),
            ("Very bad fine dust", format!("Indoor PM10 is at {value} µg/m³.")),
        ),
        Rule::UltrafineDust => (
            ("초미세먼지 매우 나쁨", format!("실내 초미세먼지(PM2.5)가 {value} µg/m³입니다.")),
            ("Very bad ultrafine dust", format!("Indoor PM2.5 is at {value} µg/m³.")),
        ),
        Rule::HeartFast => (
            (if crit { "심박수 위험" } else { "심박수 높음" }, format!("심박수가 분당 {value}회로 빠릅니다.")),
            (if crit { "Dangerous pulse" } else { "Fast pulse" }, format!("The pulse is {value} a minute.")),
        ),
        Rule::HeartSlow => (
            (if crit { "심박수 위험" } else { "심박수 낮음" }, format!("심박수가 분당 {value}회로 느립니다.")),
            (if crit { "Dangerous pulse" } else { "Slow pulse" }, format!("The pulse is {value} a minute.")),
        ),
        Rule::Mood => (
            (
                if crit { "마음 건강 위험" } else { "마음 건강 주의" },
                format!("마음 건강 점수가 {value}점입니다. 안부를 물어봐 주세요."),
            ),
            (
                if crit { "Very low mood" } else { "Low mood" },
                format!("The score of the mood is {value}: ask how things are."),
            ),
        ),
        _ => plain(rule, crit),
    }
}

fn plain(rule: Rule, crit: bool) -> Pair {
    let ((ko_title, ko), (en_title, en)) = match rule {
        Rule::Fall => (
            ("낙상감지", "어르신이 넘어지신 것 같습니다. 지금 바로 확인해 주세요."),
            ("Fall", "A fall was detected: check at once."),
        ),
        Rule::Emergency => (
            ("긴급 상황", "로봇이 긴급 상황을 알렸습니다. 지금 바로 확인해 주세요."),
            ("Emergency", "The robot reports an emergency: check at once."),
        ),
        Rule::Silence if crit => (
            ("로봇 연결 끊김", "로봇이 오랫동안 응답하지 않습니다. 전화로 안부를 확인해 주세요."),
            ("Robot not responding", "The robot has been silent for long: call and ask whether all is well."),
        ),
        Rule::Silence => (
            ("로봇 응답 없음", "로봇에서 소식이 없습니다. 전원과 인터넷을 확인해 주세요."),
            ("Robot silent", "Nothing is heard of the robot: check its power and network."),
        ),
        Rule::Inactivity => (
            (
                if crit { "장시간 활동 없음" } else { "활동 없음" },
                "깨어 계실 시간인데 오랫동안 활동이 보이지 않습니다. 전화로 안부를 확인해 주세요.",
            ),
            (
                if crit { "No activity for long" } else { "No activity" },
                "No sign of activity in waking hours: call and ask whether all is well.",
            ),
        ),
        Rule::Phrase => (
            ("위험한 말씀", "로봇이 위험하게 들리는 말씀을 들었습니다. 지금 바로 연락해 보세요."),
            ("Words of danger", "The robot heard words that sound like danger: call at once."),
        ),
        Rule::Sos => (
            ("긴급 호출", "도움을 요청하셨습니다. 지금 바로 연락해 보세요."),
            ("Call for help", "Help was called for: call at once."),
        ),
        Rule::Disaster => (
            (if crit { "위급재난문자" } else { "긴급재난문자" }, "계신 지역에 재난문자가 발송되었습니다."),
            (
                if crit { "Critical disaster message" } else { "Disaster message" },
                "A disaster message was sent to the region.",
            ),
        ),
        Rule::Drill => (
            ("훈련", "알림 훈련입니다. 실제 상황이 아닙니다. 확인을 눌러 주세요."),
            ("Drill", "This is a drill, nothing has happened. Please acknowledge it."),
        ),
        Rule::Gas => (
            (if crit { "가스 위험" } else { "가스 주의" }, "가스가 감지되었습니다. 지금 바로 확인해 주세요."),
            (if crit { "Dangerous gas" } else { "Gas" }, "Gas was detected: check at once."),
        ),
        Rule::Heat => (("실내 폭염", "실내가 너무 덥습니다."), ("Hot room", "The room is too hot.")),
        Rule::Cold => (("실내 저온", "실내가 너무 춥습니다."), ("Cold room", "The room is too cold.")),
        Rule::Dust => (
            ("미세먼지 매우 나쁨", "실내 미세먼지가 매우 나쁩니다."),
            ("Very bad fine dust", "Indoor PM10 is very bad."),
        ),
        Rule::UltrafineDust => (
            ("초미세먼지 매우 나쁨", "실내 초미세먼지가 매우 나쁩니다."),
            ("Very bad ultrafine dust", "Indoor PM2.5 is very bad."),
        ),
        Rule::HeartFast => (("심박수 높음", "심박수가 빠릅니다."), ("Fast pulse", "The pulse is fast.")),
        Rule::HeartSlow => (("심박수 낮음", "심박수가 느립니다."), ("Slow pulse", "The pulse is slow.")),
        Rule::Mood => (
            (
                if crit { "마음 건강 위험" } else { "마음 건강 주의" },
                "마음 건강이 좋지 않습니다. 안부를 물어봐 주세요.",
            ),
            (if crit { "Very low mood" } else { "Low mood" }, "The mood is low: ask how things are."),
        ),
    };
    ((ko_title, ko.to_owned()), (en_title, en.to_owned()))
}

/// A span of time in words.
fn span(millis: i64, language: Language) -> String {
    let minutes = millis / 60_000;
    let (hours, days) = (minutes / 60, minutes / 1_440);
    let (count, ko, en) = match () {
        () if minutes < 120 => (minutes, "분", "min"),
        () if hours < 48 => (hours, "시간", "h"),
        () => (days, "일", "days"),
    };
    match language {
        Language::Korean => format!("{count}{ko}"),
        Language::English => format!("{count} {en}"),
    }
}

/// The description of the notification that existing clients see: plain `title,detail` for crit, JSON for warn, plain text for
/// info.
pub fn notification(alarm: &Alarm) -> String {
    let Text { title, detail } = of(alarm).ko;
    match alarm.severity {
        // The page cuts it at commas and shows the first two pieces.
        Severity::Crit => format!("{title},{}", detail.replace(',', " ")),
        Severity::Warn => serde_json::json!({
            "DST_SE_NM": title,
            "EMRG_STEP_NM": "주의",
            "MSG_CN": detail,
            "RCPTN_RGN_NM": "우리 집",
        })
        .to_string(),
        Severity::Info => format!("{title}: {detail}"),
    }
}

/// Why an alarm is over, in words.
pub const fn cleared(reason: ClearReason) -> (&'static str, &'static str) {
    match reason {
        ClearReason::Normal => ("수치가 정상으로 돌아왔습니다.", "Readings are normal again."),
        ClearReason::Person => ("보호자가 해제했습니다.", "Somebody of the family ended it."),
        ClearReason::Elder => ("어르신이 괜찮다고 답하셨습니다.", "The elder said that all is well."),
        ClearReason::Expired => ("확인 후 하루가 지나 종료되었습니다.", "A day passed after it was acknowledged."),
    }
}
