//! How the elder speaks and thinks, judged by a model.

use carebot_database::chats;
use carebot_database::listing::Range;
use carebot_external::ai::openai::Form;
use carebot_model::chats::Utterance;
use carebot_model::korea;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::form::{Fault, integer, list, object, score, string, text, texts};
use super::own::Own;
use super::{FEWEST_UTTERANCES, Of, Period, Trouble, told, transcript};
use crate::Result;

/// The period without one, in milliseconds: seven days.
const PERIOD: i64 = 7 * 24 * 3_600_000;
/// At most so many utterances are looked at.
const UTTERANCES: u32 = 2_000;
/// The groups, each with a score, and their texts. The existing page shows nothing if one is missing.
const GROUPS: [(&str, &[&str]); 3] = [
    ("language_patterns", &["word_choice", "sentence_structure", "expression_clarity"]),
    ("contextual_analysis", &["topic_flow", "context_understanding"]),
    ("cognitive_state", &["clarity", "reality_perception"]),
];
const RISKS: [&str; 3] = ["low", "medium", "high"];

#[derive(Deserialize)]
struct Judgement {
    overall_assessment: Overall,
    recommendations: Vec<String>,
    #[serde(flatten)]
    groups: Map<String, Value>,
}

#[derive(Deserialize)]
struct Overall {
    total_score: i64,
    risk_level: String,
    concerns: Vec<String>,
    strengths: Vec<String>,
}

fn schema() -> Value {
    let mut properties = Map::new();
    for (group, names) in GROUPS {
        let mut inner = Map::from_iter([("score".to_owned(), integer())]);
        inner.extend(names.iter().map(|name| ((*name).to_owned(), string())));
        properties.insert(group.to_owned(), object(&inner.into()));
    }
    let overall = json!({
        "total_score": integer(),
        "risk_level": {"type": "string", "enum": RISKS},
        "concerns": list(&string()),
        "strengths": list(&string()),
    });
    properties.insert("overall_assessment".to_owned(), object(&overall));
    properties.insert("recommendations".to_owned(), list(&string()));
    object(&properties.into())
}

fn check(judgement: &Judgement) -> Result<Map<String, Value>, Fault> {
    let mut report = Map::new();
    for (group, names) in GROUPS {
        let given = judgement.groups.get(group).ok_or_else(|| format!("{group} is missing"))?;
        let points = given["score"].as_i64().ok_or_else(|| format!("the score of {group} is missing"))?;
        let mut inner = Map::from_iter([("score".to_owned(), score("score", points)?.into())]);
        for name in names {
            let said = given[*name].as_str().ok_or_else(|| format!("{name} is missing"))?;
            inner.insert((*name).to_owned(), text(name, said, 500)?.into());
        }
        report.insert(group.to_owned(), inner.into());
    }
    let overall = &judgement.overall_assessment;
    if !RISKS.contains(&overall.risk_level.as_str()) {
        return Err("risk_level must be low, medium or high".into());
    }
    let overall = json!({
        "total_score": score("total_score", overall.total_score)?,
        "risk_level": overall.risk_level,
        "concerns": texts("concerns", &overall.concerns, (0, 10), 300)?,
        "strengths": texts("strengths", &overall.strengths, (0, 10), 300)?,
    });
    report.insert("overall_assessment".to_owned(), overall);
    let recommendations = texts("recommendations", &judgement.recommendations, (1, 10), 300)?;
    report.insert("recommendations".to_owned(), recommendations.into());
    Ok(report)
}

/// Judges what was said in a period.
pub async fn judge(own: &Own, of: Of<'_>, period: Option<Period>) -> Result<Value, Trouble> {
    let Of { service, permit } = of;
    let now = service.now();
    let (start, end) = period.unwrap_or_else(|| (now.plus_millis(-PERIOD), now));
    let range = Range::seconds(start, end);
    let said = chats::said(&mut service.db.read(), permit, range, UTTERANCES).await?;
    if said.len() < FEWEST_UTTERANCES {
        return Err(Trouble::TooLittle);
    }
    let said = &transcript::newest(said, own.settings.transcript_tokens);
    let messages = [told(include_str!("../../prompts/psychology.ko.txt")), transcript::data(said)];
    let form = Form { name: "psychology", schema: &schema() };
    let mut report = own.model.fill(&messages, form, |judgement: Judgement| check(&judgement)).await?;
    report.insert("analysis_period".to_owned(), json!({"start": start, "end": end}));
    report.insert("data_stats".to_owned(), rests_on(said, own.model.model()));
    Ok(report.into())
}

/// What the judgement rests on.
fn rests_on(said: &[Utterance], model: &str) -> Value {
    let mut days: Vec<_> = said.iter().map(|utterance| korea::date(utterance.at)).collect();
    days.dedup();
    json!({"utterances": said.len(), "days": days.len(), "model": model})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Value {
        let group = |names: &[&str]| {
            let mut group = json!({"score": 70});
            for name in names {
                group[*name] = "또렷하십니다.".into();
            }
            group
        };
        json!({
            "language_patterns": group(GROUPS[0].1),
            "contextual_analysis": group(GROUPS[1].1),
            "cognitive_state": group(GROUPS[2].1),
            "overall_assessment": {"total_score": 71, "risk_level": "low", "concerns": [], "strengths": ["기억이 좋으십니다."]},
            "recommendations": ["산책을 함께 하세요."],
        })
    }

    fn outcome(value: Value) -> Result<Map<String, Value>, Fault> {
        check(&serde_json::from_value(value).map_err(|error| error.to_string())?)
    }

    #[test]
    fn every_group_is_there_in_bounds() {
        assert_eq!(Value::from(outcome(good()).expect("good")), good());
        for (pointer, wrong) in [
            ("/language_patterns/score", json!(101)),
            ("/language_patterns/word_choice", json!("")),
            ("/contextual_analysis", json!(null)),
            ("/cognitive_state/clarity", json!(5)),
            ("/overall_assessment/total_score", json!(-3)),
            ("/overall_assessment/risk_level", json!("없음")),
            ("/recommendations", json!([])),
        ] {
            let mut broken = good();
            *broken.pointer_mut(pointer).expect("is there") = wrong;
            assert!(outcome(broken).is_err(), "{pointer}");
        }
    }
}
