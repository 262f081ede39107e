//! A forgotten password.

use axum::routing::get;
use carebot_service::Error;
use http::StatusCode;
use maud::{Markup, html};

use super::super::frame::{self, Live};
use super::super::visit::{Sent, Visit};
use super::super::{Answer, Pages, page, page_with, problem, to};

pub(crate) fn add(pages: Pages) -> Pages {
    pages.at("/app/forgotten", get(forgotten).post(ask)).at("/app/reset", get(reset_page).post(reset))
}

async fn forgotten(visit: Visit) -> Answer {
    Ok(page(forgotten_page(&visit, "", None)))
}

fn forgotten_page(visit: &Visit, email: &str, refused: Option<&str>) -> Markup {
    let content = if !visit.service().can_reset_passwords() {
        html! {
            p.notice { (visit.t(
                "이 서버는 메일을 보내지 않습니다. 운영자에게 새 비밀번호를 부탁해 주세요.",
                "This server sends no mail. Please ask its operator for a new password.",
            )) }
            p.small { (visit.t("운영자: ", "Operators: ")) code { "carebot account reset-password --email EMAIL --generate-password" } }
        }
    } else if visit.query.is_on("asked") {
        html! {
            p.notice.good role="status" { (visit.t(
                "이 주소로 가입되어 있으면 메일을 보냈습니다. 30분 안에 열어 주세요.",
                "If there is an account with this address, a mail is on its way. Please open it within 30 minutes.",
            )) }
        }
    } else {
        html! {
            @if let Some(refused) = refused { p.notice.bad role="alert" { (refused) } }
            form.card method="post" action="/app/forgotten" {
                label { (visit.t("이메일", "E-mail address"))
                    input type="email" name="email" value=(email) autocomplete="username" required autofocus;
                }
                button.button { (visit.t("메일 받기", "Send me a mail")) }
            }
        }
    };
    let title = visit.t("비밀번호를 잊으셨나요?", "Forgot your password?");
    frame::plain(
        visit,
        title,
        &Live::No,
        html! {
            (content)
            p { a href="/app/sign-in" { (visit.t("로그인", "Sign in")) } }
        },
    )
}

async fn ask(Sent(visit, fields): Sent) -> Answer {
    let email = fields.text("email");
    match visit.service().forgot_password(email, visit.language, &visit.client) {
        Ok(()) => Ok(to("/app/forgotten?asked")),
        Err(error @ Error::TooMany(_)) => {
            let words = problem::words(&error, visit.language);
            let shown = forgotten_page(&visit, email, Some(&words));
            Ok(problem::refused(error, shown))
        }
        Err(error) => Err(error.into()),
    }
}

fn reset_form(visit: &Visit, token: &str, refused: Option<&str>) -> Markup {
    frame::plain(
        visit,
        visit.t("새 비밀번호", "A new password"),
        &Live::No,
        html! {
            @if let Some(refused) = refused { p.notice.bad role="alert" { (refused) } }
            form.card method="post" action="/app/reset" {
                input type="hidden" name="token" value=(token);
                label { (visit.t("새 비밀번호", "New password"))
                    input type="password" name="password" autocomplete="new-password" minlength="8" required autofocus;
                }
                button.button { (visit.t("저장", "Save")) }
            }
        },
    )
}

async fn reset_page(visit: Visit) -> Answer {
    let token = visit.query.text("token");
    visit.service().check_reset(token).await?;
    Ok(page(reset_form(&visit, token, None)))
}

async fn reset(Sent(visit, fields): Sent) -> Answer {
    let (token, password) = (fields.text("token"), fields.raw("password").unwrap_or_default());
    match visit.service().reset_password(token, password).await {
        Ok(()) => Ok(to("/app/sign-in?done=password")),
        Err(error @ Error::Invalid(_)) => {
            let refused = problem::words(&error, visit.language);
            Ok(page_with(StatusCode::BAD_REQUEST, reset_form(&visit, token, Some(&refused))))
        }
        Err(error) => Err(error.into()),
    }
}
