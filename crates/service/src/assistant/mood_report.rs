//! The mood over a period, computed from the stored scores without a model.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use carebot_database::listing::Range;
use carebot_database::status::{self, NewReport};
use carebot_database::transact;
use carebot_model::status::{Mental, MentalReport};
use carebot_model::wire::Order;
use carebot_model::{Date, Timestamp, korea};
use serde_json::{Value, json};

use super::{Of, Period, Trouble};
use crate::Result;

/// The most scores of a period: one a day for 27 years.
const SCORES: u32 = 10_000;
/// A score below this is low ..
const LOW: i32 = 50;
/// .. and if more than this part of the scores is, something should be done (the existing system's rule).
const TOO_MANY_LOW_PERCENT: usize = 30;

/// One stored score.
#[derive(Clone, Copy, Debug)]
struct Score {
    at: Timestamp,
    points: i32,
    is_critical: bool,
}

/// Computes, stores and answers the report of a period. Without scores nothing is stored, and the answer says so.
pub async fn compute(of: Of<'_>, (start, end): Period) -> Result<Value, Trouble> {
    let Of { service, permit } = of;
    let range = Range::seconds(start, end);
    let stored = status::list::<Mental>(&mut service.db.read(), permit, range, Order::Ascending, SCORES).await?;
    let scores: Vec<Score> = stored
        .iter()
        .filter_map(|report| {
            let points = report.fields.score?.clamp(0, 100);
            Some(Score { at: report.reported_at, points, is_critical: report.fields.is_critical.unwrap_or(false) })
        })
        .collect();
    let fields = summarise(&scores, (start, end));
    let answer = answer(&fields);
    if !scores.is_empty() {
        let now = service.now();
        let report =
            NewReport { id: service.next_id(now)?, reported_at: now, received_at: now, source_key: None, fields };
        transact!(service.db, tx => { status::create(&mut tx, permit, &report).await })?;
        service.streams.reading(*permit.resource(), &report);
    }
    Ok(answer)
}

fn summarise(scores: &[Score], (start, end): Period) -> MentalReport {
    let mut days: BTreeMap<Date, Vec<Score>> = BTreeMap::new();
    for score in scores {
        days.entry(korea::date(score.at)).or_default().push(*score);
    }
    let mean = |scores: &[Score]| -> f64 {
        let count = u32::try_from(scores.len().max(1)).unwrap_or(u32::MAX);
        scores.iter().map(|score| f64::from(score.points)).sum::<f64>() / f64::from(count)
    };
    #[expect(clippy::cast_possible_truncation, reason = "a mean of numbers from 0 to 100")]
    let average = mean(scores).round() as i32;
    let critical = days.values().filter(|day| day.iter().any(|score| score.is_critical)).count();
    let low = scores.iter().filter(|score| score.points < LOW).count();
    let improvement = low * 100 > TOO_MANY_LOW_PERCENT * scores.len();
    // Of equal days the first one.
    let best = days.iter().rev().max_by(|one, other| mean(one.1).total_cmp(&mean(other.1)));
    let worst = days.iter().min_by(|one, other| mean(one.1).total_cmp(&mean(other.1)));
    let summary = match (best, worst) {
        (Some((best, best_scores)), Some((worst, worst_scores))) => {
            let mut text = format!(
                "{}일 동안 {}번 살핀 마음 점수의 평균은 {average}점입니다. 가장 좋았던 날은 {}({:.0}점), 가장 힘들었던 날은 {}({:.0}점)입니다.",
                days.len(),
                scores.len(),
                korean(*best),
                mean(best_scores),
                korean(*worst),
                mean(worst_scores),
            );
            if critical > 0 {
                // Writing to a String does not fail.
                let _ = write!(text, " 위험 수준이었던 날이 {critical}일 있었습니다.");
            }
            text += if improvement {
                " 낮은 점수가 잦아 더 자주 살펴 드리는 것이 좋겠습니다."
            } else {
                " 대체로 안정적으로 지내셨습니다."
            };
            text
        }
        _ => "이 기간에는 살핀 마음 점수가 없습니다.".to_owned(),
    };
    MentalReport {
        start_time: Some(start),
        end_time: Some(end),
        average_score: Some(average),
        critical_days: Some(i32::try_from(critical).unwrap_or(i32::MAX)),
        best_day: best.map(|(day, _)| *day),
        worst_day: worst.map(|(day, _)| *day),
        improvement_needed: Some(improvement),
        summary: Some(summary),
    }
}

fn korean(day: Date) -> String {
    let day = day.civil();
    format!("{}월 {}일", day.month(), day.day())
}

/// The contract's answer: days are date-times here.
fn answer(report: &MentalReport) -> Value {
    let day = |day: Option<Date>| day.map(|day| format!("{day}T00:00:00"));
    json!({
        "average_score": report.average_score,
        "critical_days": report.critical_days,
        "best_day": day(report.best_day),
        "worst_day": day(report.worst_day),
        "improvement_needed": report.improvement_needed,
        "summary": report.summary,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores at noon UTC (nine in the evening in Korea) of days of January 2025.
    fn scores(days: &[(i64, i32)]) -> Vec<Score> {
        let noon = 1_735_732_800_000;
        days.iter()
            .map(|(day, points)| Score {
                at: Timestamp::from_millis(noon + (day - 1) * 86_400_000),
                points: *points,
                is_critical: *points <= super::super::mood::CRITICAL,
            })
            .collect()
    }

    fn period() -> Period {
        (Timestamp::from_millis(1_735_657_200_000), Timestamp::from_millis(1_738_335_599_000))
    }

    #[test]
    fn a_period_is_summed_up_by_korean_days() {
        let mut list = scores(&[(1, 80), (2, 30), (2, 20), (3, 80), (4, 49)]);
        // Half past midnight of the third in Korea, still the second in UTC.
        list.push(Score { at: Timestamp::from_millis(1_735_831_800_000), points: 10, is_critical: true });
        let report = summarise(&list, period());
        assert_eq!((report.average_score, report.critical_days), (Some(45), Some(2)));
        assert_eq!(answer(&report)["best_day"], "2025-01-01T00:00:00");
        assert_eq!(answer(&report)["worst_day"], "2025-01-02T00:00:00");
        assert_eq!(report.improvement_needed, Some(true));
        let summary = report.summary.expect("a text");
        assert!(summary.starts_with("4일 동안 6번") && summary.contains("위험 수준이었던 날이 2일"), "{summary}");
    }

    #[test]
    fn something_should_be_done_when_more_than_three_in_ten_are_low() {
        let of = |low: i64| {
            let days: Vec<(i64, i32)> = (1..=10).map(|day| (day, if day <= low { 49 } else { 50 })).collect();
            summarise(&scores(&days), period()).improvement_needed
        };
        assert_eq!((of(3), of(4)), (Some(false), Some(true)));
    }

    #[test]
    fn without_scores_there_are_zeros_and_a_sentence() {
        let report = summarise(&[], period());
        assert_eq!(
            answer(&report).to_string(),
            r#"{"average_score":0,"critical_days":0,"best_day":null,"worst_day":null,"improvement_needed":false,"summary":"이 기간에는 살핀 마음 점수가 없습니다."}"#
        );
    }
}
