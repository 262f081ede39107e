//! The mood of a day, judged by a model from what the elder said.

use std::collections::HashSet;

use carebot_database::listing::Range;
use carebot_database::status::NewReport;
use carebot_database::{chats, rollups, rules, transact};
use carebot_external::ai::openai::Form;
use carebot_model::alarms::Rule;
use carebot_model::chats::Basis;
use carebot_model::korea;
use carebot_model::status::Mental;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::form::{Fault, integer, list, object, score, string, text, texts};
use super::own::Own;
use super::{FEWEST_UTTERANCES, Of, Trouble, told, transcript};
use crate::Result;

/// At most so many utterances of a day are looked at.
const UTTERANCES: u32 = 2_000;
/// A score of this or less is critical, as in the existing system.
pub const CRITICAL: i32 = 30;

#[derive(Deserialize)]
struct Judgement {
    overall_emotional_state: String,
    emotional_insights: String,
    time_based_emotions: Vec<Emotion>,
    recommendations: Vec<String>,
}

#[derive(Deserialize)]
struct Emotion {
    time: String,
    emotion: String,
    score: i64,
    reason: String,
}

/// A judgement that may be stored and shown.
#[derive(Debug, PartialEq)]
struct Mood {
    /// 0 to 100: the mean of the scores, rounded down.
    score: i32,
    description: Value,
}

fn schema() -> Value {
    let emotion = json!({"time": string(), "emotion": string(), "score": integer(), "reason": string()});
    object(&json!({
        "overall_emotional_state": string(),
        "emotional_insights": string(),
        "time_based_emotions": list(&object(&emotion)),
        "recommendations": list(&string()),
    }))
}

/// Only what is in bounds and rests on something that was said at that time gets through.
fn check(judgement: Judgement, minutes: &HashSet<String>) -> Result<Mood, Fault> {
    if !(1..=48).contains(&judgement.time_based_emotions.len()) {
        return Err("time_based_emotions must have 1 to 48 entries".into());
    }
    let (mut emotions, mut sum, mut count) = (Map::new(), 0, 0);
    for emotion in judgement.time_based_emotions {
        if !minutes.contains(&emotion.time) {
            return Err("every time in time_based_emotions must be one of the times of the list".into());
        }
        let points = score("score", emotion.score)?;
        let entry = json!([text("emotion", &emotion.emotion, 50)?, points, text("reason", &emotion.reason, 300)?]);
        // The page knows one emotion a minute: the first one said counts.
        if !emotions.contains_key(&emotion.time) {
            emotions.insert(emotion.time, entry);
            sum += points;
            count += 1;
        }
    }
    let description = json!({
        "overall_emotional_state": text("overall_emotional_state", &judgement.overall_emotional_state, 500)?,
        "emotional_insights": text("emotional_insights", &judgement.emotional_insights, 2_000)?,
        "time_based_emotions": emotions,
        "recommendations": texts("recommendations", &judgement.recommendations, (1, 10), 300)?,
    });
    Ok(Mood { score: sum / count, description })
}

/// Judges the mood of today in Korea, stores and answers it.
pub async fn judge(own: &Own, of: Of<'_>) -> Result<Value, Trouble> {
    let Of { service, permit } = of;
    let now = service.now();
    let start = korea::start_of(korea::date(now));
    let said = chats::said(&mut service.db.read(), permit, Range { start, end: now }, UTTERANCES).await?;
    if said.len() < FEWEST_UTTERANCES {
        return Err(Trouble::TooLittle);
    }
    let said = &transcript::newest(said, own.settings.transcript_tokens);
    let minutes: HashSet<String> = said.iter().map(transcript::minute).collect();
    let messages = [told(include_str!("../../prompts/mood.ko.txt")), transcript::data(said)];
    let form = Form { name: "mood", schema: &schema() };
    let mood = own.model.fill(&messages, form, |judgement| check(judgement, &minutes)).await?;

    let basis = Basis {
        utterances: i32::try_from(said.len()).unwrap_or(i32::MAX),
        model: own.model.model().chars().take(128).collect(),
    };
    let report = NewReport {
        id: service.next_id(now)?,
        reported_at: now,
        received_at: now,
        source_key: None,
        fields: Mental {
            score: Some(mood.score),
            is_critical: Some(mood.score <= CRITICAL),
            description: Some(mood.description.to_string()),
        },
    };
    transact!(service.db, tx => {
        chats::create_mood(&mut tx, permit, &report, &basis).await?;
        // The model took its time: the hour may have been summed up meanwhile.
        rollups::note_late(&mut tx, *permit.resource(), "mental", [now]).await?;
        rules::mark(&mut tx, *permit.resource(), Rule::Mood, now, now).await
    })?;
    service.alarms.rules.notify_one();
    service.streams.reading(*permit.resource(), &report);
    Ok(mood.description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(emotions: &[(&str, i64)]) -> Judgement {
        Judgement {
            overall_emotional_state: "대체로 편안하십니다.".into(),
            emotional_insights: "손주 이야기에 웃으셨습니다.".into(),
            time_based_emotions: emotions
                .iter()
                .map(|(time, score)| Emotion {
                    time: (*time).into(),
                    emotion: "기쁨".into(),
                    score: *score,
                    reason: "'손주'가 온다고 하셨습니다.".into(),
                })
                .collect(),
            recommendations: vec!["전화를 한 통 드리세요.".into()],
        }
    }

    fn minutes() -> HashSet<String> {
        ["01:02", "23:59"].map(str::to_owned).into()
    }

    #[test]
    fn a_score_is_the_mean_of_the_scores_rounded_down() {
        let mood = check(judgement(&[("01:02", 70), ("23:59", 35), ("23:59", 0)]), &minutes()).expect("good");
        assert_eq!(mood.score, 52);
        assert_eq!(
            mood.description.to_string(),
            r#"{"overall_emotional_state":"대체로 편안하십니다.","emotional_insights":"손주 이야기에 웃으셨습니다.","time_based_emotions":{"01:02":["기쁨",70,"’손주’가 온다고 하셨습니다."],"23:59":["기쁨",35,"’손주’가 온다고 하셨습니다."]},"recommendations":["전화를 한 통 드리세요."]}"#
        );
    }

    #[test]
    fn nothing_out_of_bounds_gets_through() {
        for emotions in [&[][..], &[("01:02", 101)], &[("01:02", -1)], &[("12:34", 50)], &[("오후", 50)]] {
            assert!(check(judgement(emotions), &minutes()).is_err(), "{emotions:?}");
        }
        let mut empty = judgement(&[("01:02", 50)]);
        empty.recommendations.clear();
        assert!(check(empty, &minutes()).is_err());
        let mut long = judgement(&[("01:02", 50)]);
        long.overall_emotional_state = "가".repeat(501);
        assert!(check(long, &minutes()).is_err());
    }
}
