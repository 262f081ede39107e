//! Series as pictures that need no script: a line of means over a band from the least to the most, gaps as gaps.
//!
//! Whoever cannot see a picture has the same figures as a table beside it.

use carebot_model::{Timestamp, korea};
use maud::{Markup, html};

use super::speech::number;
use super::visit::Visit;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 26.0;

/// What was measured in a bucket of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When it begins.
    pub at: Timestamp,
    /// The least, the mean and the most.
    pub least: f64,
    pub mean: f64,
    pub most: f64,
    /// How many readings it sums up.
    pub weight: f64,
}

/// Something that happened, marked on the line of time.
#[derive(Clone, Debug)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// What a chart shows.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// What is measured.
    pub name: &'a str,
    /// In which unit.
    pub unit: &'a str,
    /// From when, until when.
    pub span: (Timestamp, Timestamp),
    /// How long a bucket is, in milliseconds. What is further apart than two of them is a gap.
    pub bucket: i64,
    /// What was measured, in order.
    pub points: &'a [Point],
    /// What is normal.
    pub normal: Option<(f64, f64)>,
    /// What happened.
    pub marks: &'a [Mark],
}

/// Round numbers around a range, and how far apart lines are.
fn scale(least: f64, most: f64) -> (f64, f64, f64) {
    let span = (most - least).max(1.0);
    let raw = span / 4.0;
    let magnitude = 10_f64.powf(raw.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * magnitude).find(|step| *step >= raw).unwrap_or(raw);
    let low = (least / step).floor() * step;
    let high = (most / step).ceil() * step;
    (low, if high > low { high } else { low + step }, step)
}

/// A coordinate with one digit behind the point: a picture has no finer places.
fn place(value: f64) -> String {
    format!("{value:.1}")
}

impl Chart<'_> {
    fn x(&self, at: Timestamp) -> f64 {
        let (from, until) = self.span;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a few years are exact")]
        let part = at.since(from) as f64 / until.since(from).max(1) as f64;
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    /// Runs of points without a gap between them.
    fn runs(&self) -> Vec<&[Point]> {
        self.points.chunk_by(|one, other| other.at.since(one.at) <= 2 * self.bucket).collect()
    }

    /// What there is to be seen, in a sentence.
    pub fn summary(&self, visit: &Visit) -> String {
        let Some(last) = self.points.last() else {
            return visit.t("이 기간에는 잰 값이 없습니다.", "Nothing was measured in this time.").to_owned();
        };
        let low = self.points.iter().map(|point| point.least).fold(f64::INFINITY, f64::min);
        let high = self.points.iter().map(|point| point.most).fold(f64::NEG_INFINITY, f64::max);
        let (low, high, last) = (number(low), number(high), number(last.mean));
        let (name, unit) = (self.name, self.unit);
        visit.t(
            format!("{name}: 최저 {low}, 최고 {high}, 마지막 {last} {unit}"),
            format!("{name}: least {low}, most {high}, last {last} {unit}"),
        )
    }

    /// The picture.
    pub fn draw(&self, visit: &Visit) -> Markup {
        let least = self.points.iter().map(|point| point.least).fold(f64::INFINITY, f64::min);
        let most = self.points.iter().map(|point| point.most).fold(f64::NEG_INFINITY, f64::max);
        if self.points.is_empty() {
            return html! { p.notice { (self.summary(visit)) } };
        }
        let (low, high, step) = scale(least, most);
        let y = |value: f64| TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of lines")]
        let lines = ((high - low) / step).round() as usize;
        #[expect(clippy::cast_precision_loss, reason = "a handful of lines")]
        let grid: Vec<f64> = (0..=lines).map(|line| low + step * line as f64).collect();
        html! {
            svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(self.summary(visit)) {
                @if let Some((from, until)) = self.normal {
                    @let (top, bottom) = (y(until.min(high)).max(TOP), y(from.max(low)).min(HEIGHT - BOTTOM));
                    @if bottom > top {
                        rect.normal x=(place(LEFT)) y=(place(top)) width=(place(WIDTH - LEFT - RIGHT)) height=(place(bottom - top)) {}
                    }
                }
                @for value in grid {
                    line.grid x1=(place(LEFT)) x2=(place(WIDTH - RIGHT)) y1=(place(y(value))) y2=(place(y(value))) {}
                    text x=(place(LEFT - 6.0)) y=(place(y(value) + 4.0)) text-anchor="end" { (number(value)) }
                }
                @for (at, text) in self.ticks() {
                    text x=(place(self.x(at))) y=(place(HEIGHT - 8.0)) text-anchor="middle" { (text) }
                }
                @for run in self.runs() {
                    @if run.len() > 1 {
                        path.band d=(self.band(run, &y)) {}
                        path.mean d=(self.line(run, &y)) {}
                    } @else {
                        @for point in run { circle.dot cx=(place(self.x(point.at))) cy=(place(y(point.mean))) r="2.5" {} }
                    }
                }
                @for mark in self.marks {
                    line.event x1=(place(self.x(mark.at))) x2=(place(self.x(mark.at))) y1=(place(TOP)) y2=(place(HEIGHT - BOTTOM)) {
                        title { (mark.text) }
                    }
                }
            }
        }
    }

    fn line(&self, run: &[Point], y: &impl Fn(f64) -> f64) -> String {
        let mut path = String::with_capacity(run.len() * 12);
        for (index, point) in run.iter().enumerate() {
            path.push(if index == 0 { 'M' } else { 'L' });
            path.push_str(&place(self.x(point.at)));
            path.push(' ');
            path.push_str(&place(y(point.mean)));
        }
        path
    }

    fn band(&self, run: &[Point], y: &impl Fn(f64) -> f64) -> String {
        let mut path = String::with_capacity(run.len() * 24);
        let there = run.iter().map(|point| (point.at, point.most));
        let back = run.iter().rev().map(|point| (point.at, point.least));
        for (index, (at, value)) in there.chain(back).enumerate() {
            path.push(if index == 0 { 'M' } else { 'L' });
            path.push_str(&place(self.x(at)));
            path.push(' ');
            path.push_str(&place(y(value)));
        }
        path.push('Z');
        path
    }

    /// Where the line of time is labelled: about six places, at hours or days of Korea.
    fn ticks(&self) -> Vec<(Timestamp, String)> {
        const HOUR: i64 = 3_600_000;
        const DAY: i64 = 24 * HOUR;
        /// Korea is nine hours ahead all year.
        const AHEAD: i64 = 9 * HOUR;
        let (from, until) = self.span;
        let raw = until.since(from) / 6;
        let steps = [
            HOUR,
            2 * HOUR,
            4 * HOUR,
            6 * HOUR,
            12 * HOUR,
            DAY,
            2 * DAY,
            5 * DAY,
            7 * DAY,
            14 * DAY,
            30 * DAY,
            61 * DAY,
        ];
        let step = steps.into_iter().find(|step| *step >= raw).unwrap_or(122 * DAY);
        let mut at = ((from.millis() + AHEAD).div_euclid(step) + 1) * step - AHEAD;
        let mut ticks = Vec::new();
        while at < until.millis() {
            let time = Timestamp::from_millis(at);
            let civil = korea::civil(time);
            let text = if step < DAY {
                format!("{:02}:{:02}", civil.hour(), civil.minute())
            } else {
                format!("{}/{}", civil.month(), civil.day())
            };
            ticks.push((time, text));
            at += step;
        }
        ticks
    }
}

/// When something happened in a span of time, and when it would have: two rows of marks over days.
pub fn strip(visit: &Visit, span: (Timestamp, Timestamp), before: &[Timestamp], after: &[Timestamp]) -> Markup {
    const TALL: f64 = 120.0;
    const MARK: f64 = 24.0;
    let name = visit.t("알람", "Alarms");
    let chart = Chart { name, unit: "", span, bucket: 1, points: &[], normal: None, marks: &[] };
    let summary = visit.t(
        format!("30일의 알람: 지금 숫자로 {}번, 새 숫자로 {}번", before.len(), after.len()),
        format!("Alarms of 30 days: {} with the present numbers, {} with the new ones", before.len(), after.len()),
    );
    let rows = [(visit.t("지금", "Now"), before, 22.0), (visit.t("새로", "New"), after, 64.0)];
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (TALL) } role="img" aria-label=(summary) {
            @for (name, times, top) in rows {
                line.grid x1=(place(LEFT)) x2=(place(WIDTH - RIGHT)) y1=(place(top + MARK)) y2=(place(top + MARK)) {}
                text x=(place(LEFT - 6.0)) y=(place(top + MARK / 2.0 + 4.0)) text-anchor="end" { (name) }
                @for x in columns(&chart, times) {
                    line.event x1=(place(x)) x2=(place(x)) y1=(place(top)) y2=(place(top + MARK)) {}
                }
            }
            @for (at, text) in chart.ticks() {
                text x=(place(chart.x(at))) y=(place(TALL - 8.0)) text-anchor="middle" { (text) }
            }
        }
    }
}

/// Where marks stand; of those at the same place only one.
fn columns(chart: &Chart<'_>, times: &[Timestamp]) -> Vec<f64> {
    let mut places: Vec<f64> = times.iter().map(|at| chart.x(*at).round()).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_round_lines_around_what_it_shows() {
        assert_eq!(scale(18.2, 23.9), (18.0, 24.0, 2.0));
        assert_eq!(scale(21.0, 21.0), (21.0, 21.5, 0.5));
        assert_eq!(scale(-3.0, 40.0), (-20.0, 40.0, 20.0));
        assert_eq!(scale(0.0, 1_000.0), (0.0, 1_000.0, 500.0));
    }

    #[test]
    fn what_is_far_apart_is_a_gap() {
        let point = |minutes: i64| Point {
            at: Timestamp::from_millis(minutes * 60_000),
            least: 1.0,
            mean: 2.0,
            most: 3.0,
            weight: 1.0,
        };
        let points = [point(0), point(5), point(10), point(25), point(30)];
        let chart = Chart {
            name: "",
            unit: "",
            span: (points[0].at, points[4].at),
            bucket: 300_000,
            points: &points,
            normal: None,
            marks: &[],
        };
        assert_eq!(chart.runs().iter().map(|run| run.len()).collect::<Vec<_>>(), [3, 2]);
    }
}
