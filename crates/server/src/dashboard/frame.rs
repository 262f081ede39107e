//! What is around every page.
#![expect(clippy::needless_pass_by_value, reason = "a page hands its content over")]

use carebot_model::alarms::text::Language;
use carebot_model::{AccountId, FamilyId};
use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::visit::Visit;
use crate::app::App;

/// Which of a family's pages is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Home,
    Alarms,
    Trends,
    Messages,
    Notifications,
    Album,
    People,
}

impl Tab {
    const ALL: [Self; 7] =
        [Self::Home, Self::Alarms, Self::Trends, Self::Messages, Self::Notifications, Self::Album, Self::People];

    const fn path(self) -> &'static str {
        match self {
            Self::Home => "",
            Self::Alarms => "/alarms",
            Self::Trends => "/trends",
            Self::Messages => "/messages",
            Self::Notifications => "/notifications",
            Self::Album => "/album",
            Self::People => "/people",
        }
    }

    const fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Home => ("지금", "Now"),
            Self::Alarms => ("알람", "Alarms"),
            Self::Trends => ("추이", "Trends"),
            Self::Messages => ("메시지", "Messages"),
            Self::Notifications => ("알림", "Notices"),
            Self::Album => ("앨범", "Album"),
            Self::People => ("가족", "Family"),
        }
    }
}

/// What a page shows live: which stream tells when to look again.
#[derive(Clone, Debug)]
pub enum Live {
    /// It stays as it is.
    No,
    /// Whatever happens in a family.
    Family(FamilyId),
    /// Whatever happens in any of the visitor's families.
    All,
}

/// A page of its own, outside of a family.
pub fn plain(visit: &Visit, title: &str, live: &Live, content: Markup) -> Markup {
    whole(
        &visit.app,
        visit.language,
        title,
        live,
        Some(visit),
        html! { main #content { h1 { (title) } (done(visit)) (content) } },
    )
}

/// A page for somebody of whom nothing is known.
pub fn alone(app: &App, language: Language, title: &str, content: Markup) -> Markup {
    whole(app, language, title, &Live::No, None, html! { main #content { h1 { (title) } (content) } })
}

/// A page of a family. `name` is what the family is called.
pub fn family(visit: &Visit, family: FamilyId, tab: Tab, (name, title): (&str, &str), content: Markup) -> Markup {
    let body = html! {
        nav.tabs aria-label=(visit.t("가족 메뉴", "The family's pages")) {
            @for other in Tab::ALL {
                a href={ "/app/families/" (family) (other.path()) } aria-current=[(other == tab).then_some("page")] {
                    (visit.t(other.name().0, other.name().1))
                }
            }
        }
        main #content {
            p.whose { (name) }
            h1 { (title) }
            (done(visit))
            (content)
        }
    };
    whole(&visit.app, visit.language, &format!("{title} · {name}"), &Live::Family(family), Some(visit), body)
}

/// Says that something was done, after a form led here.
fn done(visit: &Visit) -> Markup {
    let said = match visit.query.get("done") {
        Some("saved") => visit.t("저장했습니다.", "Saved."),
        Some("sent") => visit.t("보냈습니다.", "Sent."),
        Some("deleted") => visit.t("지웠습니다.", "Deleted."),
        Some("acknowledged") => visit.t("확인했습니다.", "Acknowledged."),
        Some("cleared") => visit.t("알람을 끝냈습니다.", "The alarm is over."),
        Some("drill") => visit.t("시험 알람을 보냈습니다.", "A drill is on its way."),
        Some("password") => visit.t("비밀번호를 바꾸었습니다.", "The password was changed."),
        Some("asked") => {
            visit.t("가입을 요청했습니다. 승인을 기다려 주세요.", "You asked to join. Please wait for approval.")
        }
        Some("commented") => visit.t("메모를 남겼습니다.", "The comment is noted."),
        Some("snoozed") => visit.t("나중에 다시 알립니다.", "It is put off."),
        Some("over") => visit.t("이미 끝난 알람입니다.", "This alarm was over already."),
        Some("once") => visit.t(
            "위급한 알람은 한 번만 미룰 수 있습니다. 확인을 눌러 주세요.",
            "A critical alarm can be put off only once. Please acknowledge it.",
        ),
        _ => return html! {},
    };
    html! { p.notice.good role="status" { (said) } }
}

fn whole(app: &App, language: Language, title: &str, live: &Live, visit: Option<&Visit>, body: Markup) -> Markup {
    let t = |korean: &'static str, english: &'static str| match language {
        Language::Korean => korean,
        Language::English => english,
    };
    // What answers a form can not be asked for again, nor what a link for one time has opened.
    let is_once = visit.is_some_and(|visit| visit.is_answer || visit.query.get("token").is_some());
    let stream = match live {
        _ if is_once => None,
        Live::No => None,
        Live::Family(family) => Some(format!("/v1/events/{family}")),
        Live::All => Some("/v1/events".to_owned()),
    };
    let account = visit.and_then(|visit| visit.actor.account());
    let is_secure = app.settings().cookie.secure;
    html! {
        (DOCTYPE)
        html lang=(language.name()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="theme-color" content="#0b5d4e";
                title { (title) " · carebot" }
                link rel="stylesheet" href=(assets::STYLE.address());
                link rel="icon" href=(assets::ICON.address()) type="image/svg+xml";
                link rel="apple-touch-icon" href=(assets::ICON_PNG.address());
                link rel="manifest" href=(assets::MANIFEST.address());
                script defer src=(assets::SCRIPT.address()) {}
            }
            body data-live=[stream] data-secure=[is_secure.then_some("yes")] data-signed-in=[account.as_ref().map(AccountId::as_str)] {
                a.skip href="#content" { (t("본문으로", "To the content")) }
                header.top {
                    a.brand href="/app/" { "carebot" }
                    nav aria-label=(t("나", "Me")) {
                        @if !is_once { form.inline method="post" action="/app/language" {
                            input type="hidden" name="next" value=(visit.map_or_else(|| "/app/".to_owned(), Visit::place));
                            @let other = if language == Language::Korean { Language::English } else { Language::Korean };
                            button.link name="language" value=(other.name()) lang=(other.name()) {
                                @if other == Language::Korean { "한국어" } @else { "English" }
                            }
                        } }
                        @if account.is_some() {
                            a href="/app/account" { (t("내 계정", "Account")) }
                            form.inline method="post" action="/app/sign-out" {
                                button.link { (t("로그아웃", "Sign out")) }
                            }
                        }
                    }
                }
                p #link.notice.bad hidden role="status" {
                    (t("연결이 끊겼습니다. 보이는 내용은 지금 상태가 아닐 수 있습니다.", "The connection is lost. What you see may not be how it is now."))
                }
                (body)
                noscript { p.small { (t("새 소식을 보려면 화면을 다시 열어 주세요.", "Reload the page to see what is new.")) } }
            }
        }
    }
}
