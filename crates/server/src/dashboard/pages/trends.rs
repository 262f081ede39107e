//! Trends: what was measured over a day, a week, a month, a year; as charts, tables, CSV, and on one sheet for the doctor.

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use carebot_model::alarms::{AlarmView, Severity};
use carebot_model::status::series::{Choice, Series};
use carebot_model::status::{Active, Health, Home, Mental};
use carebot_model::{Date, FamilyId, Timestamp, korea};
use carebot_service::Error;
use http::{HeaderValue, header};
use jiff::ToSpan as _;
use jiff::civil;
use maud::{Markup, html};

use super::super::chart::{Chart, Mark, Point};
use super::super::frame::{self, Tab};
use super::super::speech::{number, severity, when};
use super::super::visit::Visit;
use super::super::{Answer, Pages, page};
use super::home::{Names, names};

/// How many alarms are read at once.
const ALARMS: u32 = 200;
/// How many alarms of a time are listed.
const LISTED: usize = 20;

pub(crate) fn add(pages: Pages) -> Pages {
    pages
        .at("/app/families/{family}/trends", get(trends))
        .at("/app/families/{family}/trends.csv", get(csv))
        .at("/app/families/{family}/sheet", get(sheet))
}

/// How much time is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Day,
    Week,
    Month,
    Year,
}

impl Span {
    const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    fn of(visit: &Visit, default: Self) -> Self {
        Self::ALL.into_iter().find(|span| Some(span.code()) == visit.query.get("span")).unwrap_or(default)
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    const fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Day => ("하루", "Day"),
            Self::Week => ("한 주", "Week"),
            Self::Month => ("한 달", "Month"),
            Self::Year => ("한 해", "Year"),
        }
    }

    const fn days(self) -> i64 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
            Self::Year => 365,
        }
    }
}

/// The days that are shown: Korean ones, the last one included.
struct Window {
    span: Span,
    first: civil::Date,
    last: civil::Date,
    start: Timestamp,
    end: Timestamp,
}

impl Window {
    fn of(visit: &Visit, default: Span) -> Self {
        let span = Span::of(visit, default);
        let today = korea::date(visit.now).civil();
        let asked = visit.query.get("at").and_then(Date::parse).map(Date::civil);
        let last = asked.unwrap_or(today).min(today);
        let first = last.checked_sub((span.days() - 1).days()).unwrap_or(last);
        let next = last.checked_add(1.day()).unwrap_or(last);
        Self { span, first, last, start: korea::start_of(first.into()), end: korea::start_of(next.into()) }
    }

    /// The same, so many spans on or back; nothing beyond today.
    fn moved(&self, spans: i64, today: civil::Date) -> Option<civil::Date> {
        let last = self.last.checked_add((spans * self.span.days()).days()).ok()?;
        (last <= today || self.last < today).then(|| last.min(today))
    }
}

/// Something that is measured.
struct Measure {
    kind: &'static str,
    field: &'static str,
    name: (&'static str, &'static str),
    unit: (&'static str, &'static str),
    /// As on the home page.
    normal: Option<(f64, f64)>,
}

const MEASURES: &[Measure] = &[
    Measure {
        kind: "home",
        field: "temperature",
        name: ("온도", "Temperature"),
        unit: ("°C", "°C"),
        normal: Some((18.0, 28.0)),
    },
    Measure {
        kind: "home",
        field: "humidity",
        name: ("습도", "Humidity"),
        unit: ("%", "%"),
        normal: Some((30.0, 70.0)),
    },
    Measure {
        kind: "home",
        field: "dust_level",
        name: ("미세먼지", "Fine dust"),
        unit: ("㎍/㎥", "µg/m³"),
        normal: Some((0.0, 80.0)),
    },
    Measure { kind: "home", field: "ethanol", name: ("가스", "Gas"), unit: ("ppm", "ppm"), normal: Some((0.0, 1.5)) },
    Measure {
        kind: "health",
        field: "heart_rate",
        name: ("심박수", "Heart rate"),
        unit: ("회/분", "bpm"),
        normal: Some((50.0, 100.0)),
    },
    Measure {
        kind: "active",
        field: "score",
        name: ("활동 점수", "Activity score"),
        unit: ("점", "points"),
        normal: None,
    },
    Measure {
        kind: "mental",
        field: "score",
        name: ("마음 점수", "Mood score"),
        unit: ("점", "points"),
        normal: Some((31.0, 100.0)),
    },
];

/// All series of a window, in the order of [`MEASURES`] by kind.
struct All {
    home: Series,
    health: Series,
    active: Series,
    mental: Series,
}

impl All {
    async fn read(visit: &Visit, family: FamilyId, window: &Window) -> Result<Self, Error> {
        let (service, actor, id) = (visit.service(), &*visit.actor, family.as_str());
        // The end is where the next day begins: nothing of that.
        let range = (window.start, Some(window.end.plus_millis(-1)));
        let (home, health, active, mental) = tokio::join!(
            service.series::<Home>(actor, id, range, Choice::Auto),
            service.series::<Health>(actor, id, range, Choice::Auto),
            service.series::<Active>(actor, id, range, Choice::Auto),
            // A mood is one of a day.
            service.series::<Mental>(actor, id, range, Choice::Day),
        );
        Ok(Self { home: home?, health: health?, active: active?, mental: mental? })
    }

    fn of(&self, kind: &str) -> &Series {
        match kind {
            "home" => &self.home,
            "health" => &self.health,
            "active" => &self.active,
            _ => &self.mental,
        }
    }

    /// What was measured, and how long buckets are in milliseconds.
    fn points(&self, measure: &Measure) -> (Vec<Point>, i64) {
        let series = self.of(measure.kind);
        let place = series.names.iter().position(|name| *name == measure.field);
        let points = series.sums.iter().filter_map(|sum| {
            let figures = sum.figures(place?)?;
            #[expect(clippy::cast_precision_loss, reason = "a count of readings")]
            let weight = figures.count as f64;
            Some(Point { at: sum.start, least: figures.min, mean: figures.mean, most: figures.max, weight })
        });
        (points.collect(), series.bucket.millis())
    }
}

async fn alarms_in(visit: &Visit, family: FamilyId, window: &Window) -> Result<Vec<AlarmView>, Error> {
    let is_in = |alarm: &AlarmView| (window.start..window.end).contains(&alarm.sensed_at) && !alarm.is_drill;
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = visit.service().list_alarms(&visit.actor, family.as_str(), false, before, ALARMS).await?;
        before = page.iter().map(|alarm| alarm.id).min();
        // Nothing is sensed long after it was raised; what came late was sensed before.
        let is_last = page.len() < ALARMS as usize || page.last().is_some_and(|alarm| alarm.raised_at < window.start);
        found.extend(page.into_iter().filter(is_in));
        if is_last {
            return Ok(found);
        }
    }
}

fn marks(visit: &Visit, alarms: &[AlarmView]) -> Vec<Mark> {
    let serious = alarms.iter().filter(|alarm| alarm.severity != Severity::Info);
    serious
        .map(|alarm| Mark {
            at: alarm.sensed_at,
            text: format!("{}: {}", severity(visit, alarm.severity), alarm.text.of(visit.language).title),
        })
        .collect()
}

async fn trends(visit: Visit) -> Answer {
    let family = visit.family()?;
    let names = names(&visit, family).await?;
    let window = Window::of(&visit, Span::Day);
    let all = All::read(&visit, family, &window).await?;
    let alarms = alarms_in(&visit, family, &window).await?;
    let marks = marks(&visit, &alarms);
    let base = format!("/app/families/{family}");
    let content = html! {
        nav.acts aria-label=(visit.t("기간", "Time")) {
            @for span in Span::ALL {
                a.button.quiet[span != window.span] href={ (base) "/trends?span=" (span.code()) "&at=" (window.last) }
                    aria-current=[(span == window.span).then_some("true")] { (visit.t(span.name().0, span.name().1)) }
            }
        }
        (pager(&visit, &base, &window))
        @for measure in MEASURES { (chart(&visit, measure, &all, &window, &marks)) }
        section {
            h2 { (visit.t("이 기간의 알람", "Alarms of this time")) }
            @if alarms.is_empty() { p { (visit.t("없었습니다.", "None.")) } }
            ul.lines {
                @for alarm in alarms.iter().take(LISTED) {
                    li {
                        span.at { (when(&visit, alarm.sensed_at)) }
                        a href={ (base) "/alarms/" (alarm.id.0) } { (severity(&visit, alarm.severity)) ": " (alarm.text.of(visit.language).title) }
                    }
                }
            }
            @if alarms.len() > LISTED {
                p { a href={ (base) "/alarms" } { (visit.t(format!("그 밖에 {}건", alarms.len() - LISTED), format!("and {} more", alarms.len() - LISTED))) } }
            }
        }
        section {
            h2 { (visit.t("가져가기", "To take along")) }
            div.acts {
                a.button.quiet href={ (base) "/trends.csv?span=" (window.span.code()) "&at=" (window.last) } download { "CSV" }
                a.button.quiet href={ (base) "/sheet?span=" (window.span.code()) "&at=" (window.last) } {
                    (visit.t("의사에게 보여 줄 한 장", "One sheet for the doctor"))
                }
            }
        }
    };
    let title = visit.t("추이", "Trends");
    Ok(page(frame::family(&visit, family, Tab::Trends, (&names.family, title), content)))
}

fn pager(visit: &Visit, base: &str, window: &Window) -> Markup {
    let today = korea::date(visit.now).civil();
    let link = |to: civil::Date| format!("{base}/trends?span={}&at={to}", window.span.code());
    html! {
        div.acts {
            @if let Some(to) = window.moved(-1, today) { a.button.quiet href=(link(to)) rel="prev" { "← " (visit.t("이전", "Before")) } }
            strong.period {
                @if window.first == window.last { (window.last) } @else { (window.first) " ~ " (window.last) }
            }
            @if window.last < today {
                @if let Some(to) = window.moved(1, today) { a.button.quiet href=(link(to)) rel="next" { (visit.t("다음", "After")) " →" } }
            }
        }
    }
}

fn chart(visit: &Visit, measure: &Measure, all: &All, window: &Window, marks: &[Mark]) -> Markup {
    let (points, bucket) = all.points(measure);
    let chart = Chart {
        name: visit.t(measure.name.0, measure.name.1),
        unit: visit.t(measure.unit.0, measure.unit.1),
        span: (window.start, window.end),
        bucket,
        points: &points,
        normal: measure.normal,
        marks,
    };
    html! {
        section {
            h2 { (chart.name) " (" (chart.unit) ")" }
            (chart.draw(visit))
            @if !points.is_empty() {
                p.small { (chart.summary(visit)) }
                details {
                    summary { (visit.t("표로 보기", "As a table")) }
                    div.scroll tabindex="0" role="region" aria-label=(chart.name) { (table(visit, window, &points)) }
                }
            }
        }
    }
}

/// What a line of the table is about: an hour of a day, a day of a week or month, a month of a year.
fn line_of(window: &Window, at: Timestamp) -> String {
    let civil = korea::civil(at);
    match window.span {
        Span::Day => format!("{:02}:00", civil.hour()),
        Span::Week | Span::Month => civil.date().to_string(),
        Span::Year => format!("{}-{:02}", civil.year(), civil.month()),
    }
}

fn table(visit: &Visit, window: &Window, points: &[Point]) -> Markup {
    let lines = points.chunk_by(|one, other| line_of(window, one.at) == line_of(window, other.at));
    html! {
        table {
            thead { tr {
                th scope="col" { (visit.t("때", "Time")) }
                th scope="col" { (visit.t("최저", "Least")) }
                th scope="col" { (visit.t("평균", "Mean")) }
                th scope="col" { (visit.t("최고", "Most")) }
            } }
            tbody {
                @for line in lines {
                    @let (least, mean, most) = figures(line);
                    tr {
                        th scope="row" { (line.first().map(|point| line_of(window, point.at)).unwrap_or_default()) }
                        td { (number(least)) } td { (number(mean)) } td { (number(most)) }
                    }
                }
            }
        }
    }
}

/// The least, the mean of all readings, and the most of some points.
fn figures(points: &[Point]) -> (f64, f64, f64) {
    let least = points.iter().map(|point| point.least).fold(f64::INFINITY, f64::min);
    let most = points.iter().map(|point| point.most).fold(f64::NEG_INFINITY, f64::max);
    let count: f64 = points.iter().map(|point| point.weight).sum();
    let mean = points.iter().map(|point| point.mean * point.weight).sum::<f64>() / count.max(1.0);
    (least, mean, most)
}

async fn csv(visit: Visit) -> Answer {
    let family = visit.family()?;
    let window = Window::of(&visit, Span::Day);
    let all = All::read(&visit, family, &window).await?;
    // With a mark of its encoding: spreadsheets else take Korean for something else.
    let mut text = "\u{feff}start_utc,start_kst,kind,field,unit,reports,min,mean,max\r\n".to_owned();
    for measure in MEASURES {
        let series = all.of(measure.kind);
        let Some(place) = series.names.iter().position(|name| *name == measure.field) else { continue };
        for sum in &series.sums {
            let Some(figures) = sum.figures(place) else { continue };
            let (utc, kst) = (sum.start.civil(), korea::civil(sum.start));
            let (kind, field, unit) = (measure.kind, measure.field, measure.unit.1);
            let (count, min, mean, max) = (figures.count, figures.min, figures.mean, figures.max);
            // Writing to a string does not fail.
            let _ = write!(text, "{utc},{kst},{kind},{field},{unit},{count},{min},{mean},{max}\r\n");
        }
    }
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let name = format!("attachment; filename=\"carebot-{}-{}.csv\"", window.first, window.last);
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment")),
    );
    Ok(response)
}

/// One A4 page for the doctor: printed, or kept as a PDF, by the browser.
async fn sheet(visit: Visit) -> Answer {
    let family = visit.family()?;
    let Names { family: home, elder, .. } = names(&visit, family).await?;
    let window = Window::of(&visit, Span::Month);
    let all = All::read(&visit, family, &window).await?;
    let alarms = alarms_in(&visit, family, &window).await?;
    let serious: Vec<&AlarmView> = alarms.iter().filter(|alarm| alarm.severity == Severity::Crit).collect();
    let title = visit.t("건강 기록 한 장", "Health on one sheet");
    let content = html! {
        p { strong { (elder) } " · " (window.first) " ~ " (window.last) }
        p.small { (visit.t(
            "로봇이 잰 값입니다. 진단을 위한 의료기기의 값이 아닙니다. 인쇄하거나 PDF로 저장하려면 브라우저의 인쇄를 쓰세요.",
            "Measured by a robot, not by a medical device. Print it, or keep it as a PDF, with your browser's print.",
        )) }
        div.scroll tabindex="0" role="region" aria-label=(title) {
            table {
                thead { tr {
                    th scope="col" { (visit.t("무엇", "What")) } th scope="col" { (visit.t("최저", "Least")) }
                    th scope="col" { (visit.t("평균", "Mean")) } th scope="col" { (visit.t("최고", "Most")) }
                    th scope="col" { (visit.t("정상", "Normal")) }
                } }
                tbody {
                    @for measure in MEASURES {
                        @let (points, _) = all.points(measure);
                        @if !points.is_empty() {
                            @let (least, mean, most) = figures(&points);
                            tr {
                                th scope="row" { (visit.t(measure.name.0, measure.name.1)) " (" (visit.t(measure.unit.0, measure.unit.1)) ")" }
                                td { (number(least)) } td { (number(mean)) } td { (number(most)) }
                                td { @if let Some((from, until)) = measure.normal { (number(from)) "–" (number(until)) } }
                            }
                        }
                    }
                }
            }
        }
        div.sheet {
            @for measure in MEASURES.iter().filter(|measure| matches!(measure.field, "heart_rate" | "score" | "temperature")) {
                @let (points, bucket) = all.points(measure);
                @if !points.is_empty() {
                    @let chart = Chart { name: visit.t(measure.name.0, measure.name.1), unit: visit.t(measure.unit.0, measure.unit.1),
                        span: (window.start, window.end), bucket, points: &points, normal: measure.normal, marks: &[] };
                    section { h2 { (chart.name) " (" (chart.unit) ")" } (chart.draw(&visit)) }
                }
            }
        }
        h2 { (visit.t("위급한 알람", "Critical alarms")) " (" (serious.len()) ")" }
        @if serious.is_empty() { p { (visit.t("없었습니다.", "None.")) } }
        ul { @for alarm in serious.iter().take(12) { li { (when(&visit, alarm.sensed_at)) " · " (alarm.text.of(visit.language).title) } } }
        @if serious.len() > 12 { p { (visit.t(format!("그 밖에 {}건", serious.len() - 12), format!("and {} more", serious.len() - 12))) } }
    };
    Ok(page(frame::family(&visit, family, Tab::Trends, (&home, title), content)))
}
