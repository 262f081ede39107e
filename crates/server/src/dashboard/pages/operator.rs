//! The installation for its operators: how much there is and what does not work. Nothing of what people say.

use axum::routing::get;
use carebot_model::accounts::Role;
use carebot_model::authentication::SessionKind;
use carebot_service::overview::{Health, Known, Overview, Provider};
use maud::{Markup, html};

use super::super::frame::{self, Live};
use super::super::speech::{ago, severity, when};
use super::super::visit::Visit;
use super::super::{Answer, Pages, found, page};
use super::account::channel_name;

pub(crate) fn add(pages: Pages) -> Pages {
    pages.at("/app/operator", get(operator))
}

/// What an account is.
fn role(visit: &Visit, role: Role) -> &'static str {
    match role {
        Role::System => visit.t("운영자", "Operator"),
        Role::Main => visit.t("어르신", "Elder"),
        Role::Sub => visit.t("보호자와 돌봄 인력", "Guardian or care worker"),
        Role::Test => visit.t("시험 계정", "Test account"),
    }
}

async fn operator(visit: Visit) -> Answer {
    visit.account()?;
    let overview = visit.service().overview(&visit.actor).await?;
    let asked = visit.query.get("email");
    let known = match asked {
        Some(email) => Some(found(visit.service().look_up_account(&visit.actor, email).await)?),
        None => None,
    };
    let title = visit.t("운영", "Operation");
    let content = html! {
        @if let Some(name) = overview.stuck_loop {
            p.notice.bad role="alert" { (visit.t("알람의 작업이 멈추었습니다:", "A loop of alarms does not turn:")) " " code { (name) } }
        }
        section #counts data-part {
            h2 { (visit.t("얼마나 있나", "How much there is")) }
            (counts(&visit, &overview))
        }
        section #health data-part {
            h2 { (visit.t("잘 되고 있나", "What works")) }
            (health(&visit, &overview))
        }
        section {
            h2 { (visit.t("계정 찾기", "Find an account")) }
            form.card method="get" action="/app/operator" {
                label { (visit.t("이메일", "E-mail address")) input type="email" name="email" value=[asked] autocomplete="off" required; }
                button.button { (visit.t("찾기", "Find")) }
            }
            @match known {
                Some(Some(known)) => (account(&visit, &known)),
                Some(None) => p.notice.bad role="status" { (visit.t("이 주소의 계정이 없습니다.", "No account has this address.")) }
                None => {}
            }
        }
        section #sign-ins data-part {
            h2 { (visit.t("최근 로그인", "Sign-ins of late")) }
            (sign_ins(&visit, &overview))
        }
    };
    Ok(page(frame::plain(&visit, title, &Live::No, content)))
}

/// A table of names and figures.
fn table(caption: &str, rows: &[(String, String)]) -> Markup {
    html! {
        table {
            caption { (caption) }
            tbody { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } }
        }
    }
}

fn counts(visit: &Visit, overview: &Overview) -> Markup {
    let counts = &overview.counts;
    let accounts: Vec<(String, String)> =
        counts.accounts.iter().map(|(kind, count)| (role(visit, *kind).to_owned(), count.to_string())).collect();
    let named = |korean: &str, english: &str, count: i64| (visit.t(korean, english).to_owned(), count.to_string());
    let mut rest = vec![
        named("가족", "Families", counts.families),
        named("최근 20분에 소식이 온 로봇", "Robots heard within 20 minutes", counts.robots),
        named("지금 화면을 보는 계정", "Accounts with a page open", counts.watching),
        named("아직 보내지 못한 알림", "Notices not handed out yet", counts.deliveries),
    ];
    for (bad, open, unconfirmed) in &counts.alarms {
        let name = format!("{}: {}", visit.t("열린 알람", "Open alarms"), severity(visit, *bad));
        rest.push((
            name,
            visit.t(format!("{open} (확인 안 됨 {unconfirmed})"), format!("{open} ({unconfirmed} not acknowledged)")),
        ));
    }
    html! {
        (table(visit.t("계정", "Accounts"), &accounts))
        (table(visit.t("그 밖에", "Besides"), &rest))
    }
}

/// A number of bytes as people read it.
fn bytes(size: i64) -> String {
    const MEGA: i64 = 1_048_576;
    if size < MEGA { format!("{} KiB", size / 1_024) } else { format!("{} MiB", size / MEGA) }
}

fn health(visit: &Visit, overview: &Overview) -> Markup {
    let fine = visit.t("잘 됩니다", "works");
    let mut rows: Vec<(String, String)> = vec![
        (visit.t("데이터베이스", "Database").to_owned(), format!("{} {}", overview.engine, overview.version)),
        (
            visit.t("데이터베이스 크기", "Size of the database").to_owned(),
            overview.size.map_or_else(|| visit.t("알 수 없음", "not known").to_owned(), bytes),
        ),
        (visit.t("서버", "Servers").to_owned(), overview.counts.nodes.to_string()),
        (
            visit.t("알람 작업", "Loops of alarms").to_owned(),
            overview.stuck_loop.map_or(fine, |_| visit.t("멈춤", "stuck")).to_owned(),
        ),
        (
            visit.t("대화 도우미", "Assistant").to_owned(),
            if overview.has_assistant {
                fine
            } else {
                visit.t("대답 없음 또는 설정 안 됨", "silent or not configured")
            }
            .to_owned(),
        ),
    ];
    for (provider, health) in &overview.providers {
        let name = match provider {
            Provider::Weather => visit.t("날씨", "Weather"),
            Provider::Disasters => visit.t("재난문자", "Disaster messages"),
        };
        let said = match health {
            None => visit.t("설정 안 됨", "not configured").to_owned(),
            Some(Health::Asked(0)) => fine.to_owned(),
            Some(Health::Asked(times)) => {
                visit.t(format!("{times}번 이어서 실패"), format!("failed {times} times in a row"))
            }
            Some(Health::Resting) => {
                visit.t("자주 실패해서 쉬는 중", "failed too often, left alone for a while").to_owned()
            }
        };
        rows.push((name.to_owned(), said));
    }
    for (channel, tried, failing) in &overview.counts.channels {
        let name = format!("{}: {}", visit.t("알림", "Channel"), channel_name(visit, *channel));
        rows.push((
            name,
            visit.t(format!("{tried}명 가운데 {failing}명 실패"), format!("{failing} of {tried} people failing")),
        ));
    }
    for lease in &overview.leases {
        let name = format!("{}: {}", visit.t("작업", "Job"), lease.name);
        let said = if lease.until > overview.at {
            fine
        } else {
            visit.t("지금은 아무도 하지 않음", "nobody does it now")
        };
        rows.push((name, said.to_owned()));
    }
    table(visit.t("상태", "State"), &rows)
}

fn account(visit: &Visit, known: &Known) -> Markup {
    html! {
        div.card role="status" {
            p { code { (known.account.id) } " · " (role(visit, known.account.role)) }
            ul {
                @for (family, owns, is_approved) in &known.families {
                    li {
                        a href={ "/app/families/" (family) } { code { (family) } } " · "
                        @if *owns { (visit.t("어르신", "elder")) }
                        @else if *is_approved { (visit.t("구성원", "member")) }
                        @else { (visit.t("가입 요청", "asked to join")) }
                    }
                }
            }
            @if known.families.is_empty() { p { (visit.t("가족이 없습니다.", "No family.")) } }
        }
    }
}

fn sign_ins(visit: &Visit, overview: &Overview) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(visit.t("최근 로그인", "Sign-ins of late")) {
            table {
                caption { (visit.t("지난 30일", "The last 30 days")) }
                thead {
                    tr {
                        th scope="col" { (visit.t("언제", "When")) }
                        th scope="col" { (visit.t("계정", "Account")) }
                        th scope="col" { (visit.t("종류", "Kind")) }
                        th scope="col" { (visit.t("마지막 사용", "Last used")) }
                    }
                }
                tbody {
                    @for session in &overview.sign_ins {
                        tr {
                            td { (when(visit, session.at)) }
                            td { code { (session.account) } " " (role(visit, session.role)) }
                            td {
                                @if session.kind == SessionKind::Robot { (visit.t("로봇", "robot")) } @else { (visit.t("사람", "person")) }
                                @if session.is_ended { " (" (visit.t("끝남", "ended")) ")" }
                            }
                            td { (ago(visit, session.last_seen)) }
                        }
                    }
                }
            }
        }
        @if overview.sign_ins.is_empty() { p { (visit.t("아직 없습니다.", "None yet.")) } }
    }
}
