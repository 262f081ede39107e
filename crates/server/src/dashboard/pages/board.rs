//! The board of those who look after many homes.

use axum::routing::get;
use carebot_model::Timestamp;
use carebot_model::alarms::AlarmState;
use carebot_service::board::{BoardRow, Concern, SILENT};
use maud::{Markup, html};

use super::super::frame::{self, Live};
use super::super::speech::{ago, number, severity};
use super::super::visit::Visit;
use super::super::{Answer, Pages, page};

pub(crate) fn add(pages: Pages) -> Pages {
    pages.at("/app/board", get(board))
}

/// What a home is called: its elder, else its own name.
fn called(visit: &Visit, row: &BoardRow) -> String {
    match (&row.elder, &row.name) {
        (Some(elder), _) => visit.t(format!("{elder} 님"), elder.clone()),
        (None, Some(name)) => name.clone(),
        (None, None) => visit.t("어르신", "The elder").to_owned(),
    }
}

/// Whether a home is one of those that somebody looks for.
fn is_found(row: &BoardRow, wanted: &str) -> bool {
    [&row.elder, &row.name].into_iter().flatten().any(|name| name.to_lowercase().contains(wanted))
}

async fn board(visit: Visit) -> Answer {
    visit.account()?;
    let rows = visit.service().board(&visit.actor).await?;
    let all = rows.len();
    let wanted = visit.query.text("q").to_lowercase();
    let found: Vec<&BoardRow> = rows.iter().filter(|row| wanted.is_empty() || is_found(row, &wanted)).collect();
    let count = |concern: Concern| rows.iter().filter(|row| row.concern == concern).count();
    let title = visit.t("돌봄 현황판", "All homes");
    let content = html! {
        @let (mood, sentence) = glance(&visit, count);
        section #glance.glance.(mood) data-part {
            p.said #said aria-live="polite" { (sentence) }
            p.small {
                (visit.t(
                    format!("모두 {all}댁, 확인 중 {}, 주의 {}, 연락 없음 {}", count(Concern::Attended), count(Concern::Warning), count(Concern::Silent)),
                    format!("{all} homes, {} attended to, {} warnings, {} silent", count(Concern::Attended), count(Concern::Warning), count(Concern::Silent)),
                ))
            }
        }
        @if all == 0 {
            p { (visit.t("아직 돌보는 댁이 없습니다.", "You look after nobody yet.")) }
            p { a.button href="/app/welcome" { (visit.t("가족에 들어가기", "Join a family")) } }
        } @else {
            form.acts method="get" action="/app/board" role="search" {
                label { (visit.t("이름으로 찾기", "Find by name")) input type="search" name="q" value=(visit.query.text("q")) data-search; }
                button.button.quiet { (visit.t("찾기", "Find")) }
            }
            p.small { (visit.t("키보드: j와 k 또는 화살표로 옮기고, Enter로 열고, /로 찾습니다.", "Keyboard: j and k or the arrows move, Enter opens, / searches.")) }
            div.scroll {
                table.board {
                    caption.small { (visit.t("걱정되는 댁부터", "Those that need somebody most come first")) }
                    thead {
                        tr {
                            th scope="col" { (visit.t("댁", "Home")) }
                            th scope="col" { (visit.t("지금", "Now")) }
                            th scope="col" { (visit.t("소식", "Heard")) }
                            th scope="col" { (visit.t("온도", "Room")) }
                            th scope="col" { (visit.t("심박수", "Heart")) }
                            th scope="col" { (visit.t("할 일", "To do")) }
                        }
                    }
                    tbody #homes data-part data-rows {
                        @for row in &found { (line(&visit, row)) }
                        @if found.is_empty() { tr { td colspan="6" { (visit.t("찾는 이름이 없습니다.", "There is no such name.")) } } }
                    }
                }
            }
        }
    };
    Ok(page(frame::plain(&visit, title, &Live::All, content)))
}

/// The one sentence about all homes, and how good the news is. No news is no good news.
fn glance(visit: &Visit, count: impl Fn(Concern) -> usize) -> (&'static str, String) {
    let (urgent, attended, warnings) = (count(Concern::Emergency), count(Concern::Attended), count(Concern::Warning));
    let (silent, calm) = (count(Concern::Silent), count(Concern::None));
    match (urgent, attended, warnings, silent) {
        (1.., ..) => (
            "crit",
            visit.t(format!("지금 {urgent}댁을 확인해 주세요."), format!("Please look at {urgent} homes now.")),
        ),
        (0, 1.., ..) => (
            "warn",
            visit.t(
                format!("위급한 {attended}댁을 누군가 살피고 있습니다."),
                format!("Somebody sees to {attended} homes with an emergency."),
            ),
        ),
        (0, 0, 1.., _) => (
            "warn",
            visit.t(
                format!("{warnings}댁에 살펴볼 일이 있습니다."),
                format!("There is something to look at in {warnings} homes."),
            ),
        ),
        (0, 0, 0, 1..) => (
            "unknown",
            visit.t(
                format!("{silent}댁의 로봇과 연락이 끊겨 지금 어떠신지 알 수 없습니다."),
                format!("{silent} robots are silent: how things are there is not known."),
            ),
        ),
        (0, 0, 0, 0) if calm == 0 => ("unknown", visit.t("아직 댁이 없습니다.", "No home yet.").to_owned()),
        (0, 0, 0, 0) => ("good", visit.t("지금 위급한 댁은 없습니다.", "No home has an emergency now.").to_owned()),
    }
}

/// How bad a line looks.
const fn colour(concern: Concern) -> &'static str {
    match concern {
        Concern::Emergency => "crit",
        Concern::Attended | Concern::Warning => "warn",
        Concern::Silent => "silent",
        Concern::None => "calm",
    }
}

fn said(visit: &Visit, row: &BoardRow) -> String {
    match row.concern {
        Concern::Emergency => visit.t("지금 확인해 주세요", "Please look now").to_owned(),
        Concern::Attended => visit.t("누군가 확인했습니다", "Somebody sees to it").to_owned(),
        Concern::Warning => visit.t("살펴볼 일이 있습니다", "Something to look at").to_owned(),
        Concern::Silent => visit.t("어떠신지 알 수 없습니다", "Not known").to_owned(),
        Concern::None => match row.moved_at {
            Some(at) => visit.t(format!("{} 움직이셨어요", ago(visit, at)), format!("Moved {}", ago(visit, at))),
            None => visit.t("아직 움직임이 보이지 않았어요", "Not seen to move yet").to_owned(),
        },
    }
}

fn line(visit: &Visit, row: &BoardRow) -> Markup {
    let none = visit.t("없음", "None");
    // An old reading says nothing of now.
    let is_fresh = |(_, at): &(f64, Timestamp)| visit.now.since(*at) <= SILENT;
    let place = format!("/app/families/{}", row.family);
    html! {
        tr.(colour(row.concern)) {
            th scope="row" {
                a href=(place) { (called(visit, row)) }
                @if let (Some(_), Some(name)) = (&row.elder, &row.name) { p.small { (name) } }
            }
            td {
                (said(visit, row))
                @if let Some(alarm) = &row.worst {
                    p.small {
                        span.badge { (severity(visit, alarm.severity)) } " "
                        @if alarm.is_drill { (visit.t("시험", "Drill")) " " }
                        a href={ (place) "/alarms/" (alarm.id.0) } { (alarm.text.of(visit.language).title) }
                        @if row.open > 1 { " +" (row.open - 1) }
                    }
                }
            }
            td data-label=(visit.t("소식", "Heard")) { @match row.heard_at { Some(at) => (ago(visit, at)), None => (none) } }
            td data-label=(visit.t("온도", "Room")) { @match row.temperature.filter(is_fresh) { Some((value, _)) => { (number(value)) " °C" }, None => (none) } }
            td data-label=(visit.t("심박수", "Heart")) { @match row.heart_rate.filter(|(_, at)| visit.now.since(*at) <= SILENT) { Some((value, _)) => { (value) " " (visit.t("회/분", "/min")) }, None => (none) } }
            td {
                @if let Some(alarm) = row.worst.as_ref().filter(|alarm| alarm.state == AlarmState::Active) {
                    form.inline method="post" action={ (place) "/alarms/" (alarm.id.0) "/ack" } {
                        input type="hidden" name="from" value="board";
                        button.button aria-label={ (visit.t("확인", "Acknowledge")) ": " (called(visit, row)) } { (visit.t("확인", "Acknowledge")) }
                    }
                }
            }
        }
    }
}
