//! A simulated day of a robot in a one-person flat. The same every time; no real home, no real person.

use serde_json::{Value, json};

/// Seconds of a day.
pub const DAY: u32 = 86_400;
/// A robot reports the air every five minutes.
const HOME_EVERY: u32 = 300;
/// Heart rates come in bursts, one a second.
const BURST: u32 = 5;

/// Something that happens in the day.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Second of the day, Korean time.
    pub second: u32,
    /// What.
    pub what: What,
}

/// What the robot reports or somebody writes.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The fields of a report of a kind.
    Report(&'static str, Value),
    /// A notification: grade and text.
    Notify(&'static str, String),
    /// A message: who writes, to whom, the text and perhaps a picture.
    Message(Person, Person, &'static str, Option<&'static str>),
}

/// Who lives in the demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    /// The elder.
    Elder,
    /// The elder's daughter.
    Daughter,
    /// The elder's son.
    Son,
}

/// Hour, minute, score, action, place, what the robot saw.
type Seen = (u32, u32, i32, &'static str, &'static str, &'static str);

const ACTIVITIES: [Seen; 14] = [
    (6, 40, 82, "기상", "침실", "스스로 일어나 이불을 정리함"),
    (7, 5, 85, "스트레칭", "거실", "10분 동안 가볍게 몸을 풂"),
    (7, 30, 88, "아침 식사", "주방", "밥과 된장국을 드심"),
    (8, 0, 90, "약 복용", "주방", "혈압약을 제시간에 드심"),
    (9, 20, 78, "텔레비전 시청", "거실", "아침 방송을 시청함"),
    (10, 30, 92, "산책", "현관", "50분 동안 외출함"),
    (12, 20, 86, "점심 식사", "주방", "국수를 드심"),
    (13, 30, 70, "낮잠", "침실", "40분 동안 주무심"),
    (15, 0, 84, "전화 통화", "거실", "딸과 통화함"),
    (16, 10, 80, "화초 돌보기", "베란다", "화분에 물을 줌"),
    (18, 10, 87, "저녁 식사", "주방", "생선구이와 나물을 드심"),
    (19, 30, 79, "독서", "거실", "30분 동안 책을 읽음"),
    (20, 40, 83, "로봇과 대화", "거실", "손주 이야기를 나눔"),
    (22, 15, 81, "취침", "침실", "불을 끄고 자리에 누움"),
];

/// A drawing that needs no other host.
const DRAWING: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='120' height='80'%3E%3Crect width='120' \
    height='80' fill='%23bde0fe'/%3E%3Ccircle cx='95' cy='20' r='12' fill='%23ffd166'/%3E%3Cpath d='M0 80 L40 35 L80 80 Z' \
    fill='%2380b918'/%3E%3C/svg%3E";

/// The whole day in order.
pub fn day() -> Vec<Event> {
    let mut events: Vec<Event> = (0..DAY).step_by(HOME_EVERY as usize).map(|second| home_at(second, second)).collect();
    // The robot measures the heart when the elder sits in front of it.
    for minute in (400..1_320).step_by(75) {
        events.extend((0..BURST).map(|step| health_at(minute * 60 + step, minute + step)));
    }
    for (index, (hour, minute, ..)) in (0..).zip(ACTIVITIES) {
        events.push(activity(index, (hour * 60 + minute) * 60));
    }
    events.extend(notifications());
    events.extend(messages());
    events.sort_by_key(|event| event.second);
    events
}

/// The air at a second of the day; `seed` chooses the small deviations.
pub fn home_at(second: u32, seed: u32) -> Event {
    let hour = f64::from(second % DAY) / 3_600.0;
    // Coldest at five, warmest at five in the afternoon.
    let warmth = (std::f64::consts::TAU * (hour - 11.0) / 24.0).sin();
    let cooking = bump(hour, 7.4, 0.35) + 0.8 * bump(hour, 12.2, 0.3) + 1.2 * bump(hour, 18.0, 0.4);
    let airing = bump(hour, 10.4, 0.5);
    let temperature = 22.3 + 1.6 * warmth + 0.7 * cooking - 1.2 * airing + 0.15 * deviation(seed, 1);
    let humidity = 42.0 - 3.0 * warmth + 9.0 * cooking - 4.0 * airing + 0.8 * deviation(seed, 2);
    let dust = 16.0 + 22.0 * cooking - 5.0 * airing + 2.0 * deviation(seed, 3);
    let ethanol = 0.06 + 0.12 * cooking + 0.01 * deviation(seed, 4);
    let fields = json!({
        "temperature": rounded(temperature, 10.0),
        "humidity": rounded(humidity, 10.0),
        "dust_level": rounded(dust, 10.0),
        "ethanol": rounded(ethanol, 1_000.0),
        // Pages read a dictionary out of this text.
        "others": json!({ "ultrafinedust": rounded(dust * 0.55, 10.0) }).to_string(),
    });
    Event { second, what: What::Report("home", fields) }
}

/// The heart at a second of the day.
pub fn health_at(second: u32, seed: u32) -> Event {
    let hour = f64::from(second % DAY) / 3_600.0;
    let rate = 66.0 + 14.0 * bump(hour, 10.8, 0.8) + 6.0 * bump(hour, 18.0, 1.0) + 3.0 * deviation(seed, 5);
    Event { second, what: What::Report("health", json!({ "heart_rate": rate.round() })) }
}

/// The activity with a number; after the last comes the first again.
pub fn activity(index: usize, second: u32) -> Event {
    let (_, _, score, action, place, details) = ACTIVITIES[index % ACTIVITIES.len()];
    let fields = json!({
        "score": score,
        "action": action,
        "is_critical": false,
        "description": json!({ "place": place, "details": details }).to_string(),
    });
    Event { second, what: What::Report("active", fields) }
}

fn notifications() -> Vec<Event> {
    let at = |hour: u32, minute: u32, grade, text: &str| Event {
        second: (hour * 60 + minute) * 60,
        what: What::Notify(grade, text.to_owned()),
    };
    // A warning is a message of the authorities as they send it; pages show MSG_CN.
    let weather = json!({
        "DST_SE_NM": "대설",
        "EMRG_STEP_NM": "안전안내",
        "MSG_CN": "오늘 오후부터 많은 눈이 예상됩니다. 외출할 때 미끄럼에 주의하세요.",
        "RCPTN_RGN_NM": "강원특별자치도 춘천시",
    });
    vec![
        at(8, 1, "info", "아침 약을 드셨습니다."),
        at(9, 0, "warn", &weather.to_string()),
        at(11, 25, "info", "산책에서 돌아오셨습니다."),
        at(20, 0, "info", "저녁 약 드실 시간입니다."),
    ]
}

fn messages() -> Vec<Event> {
    use Person::{Daughter, Elder, Son};
    let at = |hour: u32, minute: u32, from, to, text, image| Event {
        second: (hour * 60 + minute) * 60,
        what: What::Message(from, to, text, image),
    };
    vec![
        at(8, 30, Daughter, Elder, "엄마, 잘 주무셨어요? 오늘 눈 온대요. 조심하세요!", None),
        at(8, 45, Elder, Daughter, "그래, 걱정 마라. 산책만 잠깐 다녀올게.", None),
        at(12, 50, Son, Elder, "점심 맛있게 드셨어요? 주말에 찾아뵐게요.", None),
        at(19, 10, Daughter, Elder, "하윤이가 할머니 드린다고 그림 그렸어요 🎨", Some(DRAWING)),
        at(19, 25, Elder, Daughter, "아이고 예뻐라. 고맙다고 전해 다오. ❤️", None),
    ]
}

/// One in the middle, nothing a few widths away.
fn bump(hour: f64, middle: f64, width: f64) -> f64 {
    (-((hour - middle) / width).powi(2)).exp()
}

/// Between -1 and 1, the same for the same arguments (the mixing of SplitMix64).
fn deviation(seed: u32, series: u64) -> f64 {
    let mut z = (u64::from(seed) << 8 | series).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    f64::from(u32::try_from(z >> 32).unwrap_or(0)) / f64::from(u32::MAX) * 2.0 - 1.0
}

fn rounded(value: f64, per_one: f64) -> f64 {
    (value * per_one).round() / per_one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(kind: &str) -> Vec<(u32, Value)> {
        let of_kind = day().into_iter().filter_map(|event| match event.what {
            What::Report(name, fields) if name == kind => Some((event.second, fields)),
            _ => None,
        });
        of_kind.collect()
    }

    #[test]
    fn the_day_is_the_same_every_time_and_in_order() {
        assert_eq!(day(), day());
        assert!(day().is_sorted_by_key(|event| event.second));
        assert!(day().iter().all(|event| event.second < DAY));
    }

    #[test]
    fn the_air_is_reported_every_five_minutes_in_numbers_a_flat_can_have() {
        let home = reports("home");
        assert_eq!(
            home.iter().map(|(second, _)| *second).collect::<Vec<_>>(),
            (0..288).map(|n| n * 300).collect::<Vec<_>>()
        );
        for (second, fields) in home {
            for (name, range) in [
                ("temperature", 18.0..27.0),
                ("humidity", 30.0..65.0),
                ("dust_level", 5.0..60.0),
                ("ethanol", 0.0..1.0),
            ] {
                let value = fields[name].as_f64().expect("a number");
                assert!(range.contains(&value), "{name} is {value} at {second}");
            }
        }
    }

    #[test]
    fn texts_that_hold_a_dictionary_survive_how_pages_read_them() {
        let texts = reports("home").into_iter().map(|(_, fields)| fields["others"].clone());
        let texts = texts.chain(reports("active").into_iter().map(|(_, fields)| fields["description"].clone()));
        for text in texts {
            let read = text.as_str().expect("a text").replace('\'', "\"");
            assert!(serde_json::from_str::<Value>(&read).expect("JSON").is_object(), "{read}");
        }
    }

    #[test]
    fn hearts_beat_and_activities_fit_their_column() {
        let health = reports("health");
        assert!(health.len() >= 50);
        assert!(
            health
                .iter()
                .all(|(_, fields)| fields["heart_rate"].as_f64().is_some_and(|rate| (50.0..110.0).contains(&rate)))
        );
        let active = reports("active");
        assert_eq!(active.len(), ACTIVITIES.len());
        assert!(
            active
                .iter()
                .all(|(_, fields)| fields["action"].as_str().is_some_and(|action| action.chars().count() <= 32))
        );
    }
}
