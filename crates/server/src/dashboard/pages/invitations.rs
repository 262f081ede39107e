//! The page behind the link of an invitation.

use axum::routing::get;
use carebot_model::accounts::Role;
use carebot_service::Error;
use carebot_service::invitations::{EXPIRED, Invited, State, USED};
use http::StatusCode;
use maud::{Markup, html};

use super::super::frame::{self, Live};
use super::super::speech::when;
use super::super::visit::{Sent, Visit};
use super::super::{Answer, Pages, found, page, page_with, problem, to};

pub(crate) fn add(pages: Pages) -> Pages {
    pages.at("/app/invitations/{token}", get(invitation).post(join))
}

async fn invitation(visit: Visit) -> Answer {
    let title = visit.t("가족 초대", "Invitation");
    if visit.actor.account().is_none() {
        let next: String = form_urlencoded::byte_serialize(visit.path.as_bytes()).collect();
        return Ok(page(frame::plain(
            &visit,
            title,
            &Live::No,
            html! {
                p { (visit.t("어르신을 함께 돌보자는 초대를 받으셨습니다. 이어서 하려면 로그인해 주세요.", "You are invited to look after somebody together. Please sign in to go on.")) }
                div.acts {
                    a.button href={ "/app/sign-in?next=" (next) } { (visit.t("로그인", "Sign in")) }
                    a.button.quiet href={ "/app/sign-up?next=" (next) } { (visit.t("처음이에요, 회원 가입", "I am new: sign up")) }
                }
            },
        )));
    }
    shown(&visit, None).await
}

/// The page, with the reason if somebody could not join.
async fn shown(visit: &Visit, refused: Option<&Error>) -> Answer {
    let title = visit.t("가족 초대", "Invitation");
    let offered = found(visit.service().invitation(&visit.actor, visit.piece(0)).await)?;
    let status = match &offered {
        None => StatusCode::NOT_FOUND,
        Some(_) if refused.is_some() => StatusCode::CONFLICT,
        Some(_) => StatusCode::OK,
    };
    let content = html! {
        @if let Some(refused) = refused.filter(|error| !matches!(error, Error::NotFound(_))) {
            p.notice.bad role="alert" { (words(visit, refused)) }
        }
        @match &offered {
            None => p.notice.bad { (visit.t("이 초대는 없거나 취소되었습니다. 초대한 분에게 새 링크를 받아 주세요.", "There is no such invitation, or it was taken back. Please ask for a new link.")) },
            Some(offered) => (offer(visit, offered, refused.is_some())),
        }
        p { a href="/app/" { (visit.t("처음으로", "Start")) } }
    };
    Ok(page_with(status, frame::plain(visit, title, &Live::No, content)))
}

fn offer(visit: &Visit, offered: &Invited, was_refused: bool) -> Markup {
    let inviter = offered.inviter.as_deref().unwrap_or_else(|| visit.t("가족 한 분", "Somebody of the family"));
    let family = offered.family_name.as_deref();
    html! {
        p {
            @match family {
                Some(family) => (visit.t(format!("{inviter} 님이 ‘{family}’ 가족으로 초대했습니다."), format!("{inviter} invites you to the family “{family}”."))),
                None => (visit.t(format!("{inviter} 님이 가족으로 초대했습니다."), format!("{inviter} invites you to the family."))),
            }
        }
        @match offered.state {
            State::Used => @if !was_refused { p.notice.bad { (words(visit, &USED)) } },
            State::Expired => @if !was_refused { p.notice.bad { (words(visit, &EXPIRED)) } },
            State::Open if visit.role() != Some(Role::Sub) => p.notice {
                (visit.t("보호자 계정으로만 가입할 수 있습니다. 보호자 계정으로 로그인해 주세요.", "Only the account of a guardian can join. Please sign in with one."))
            },
            State::Open => {
                form.card method="post" action=(visit.path) {
                    label { (visit.t("어르신이 나를 부르는 이름 (없어도 됩니다)", "What the elder calls you (if you like)"))
                        input name="nickname" maxlength="32";
                    }
                    button.button { (visit.t("가입하기", "Join")) }
                    p.small {
                        @if offered.is_at_once { (visit.t("누르면 바로 가족이 됩니다.", "You belong to the family at once.")) }
                        @else { (visit.t("누르면 가입을 요청합니다. 어르신이 승인하면 가족이 됩니다.", "You ask to join; the elder approves.")) }
                    }
                }
                p.small { (visit.t("이 초대의 기한: ", "Good until: ")) (when(visit, offered.expires_at)) }
            }
        }
    }
}

fn words(visit: &Visit, error: &Error) -> String {
    match error {
        Error::Conflict(text) if matches!(USED, Error::Conflict(used) if used == *text) => visit
            .t(
                "이 초대는 이미 사용되었습니다. 초대한 분에게 새 링크를 받아 주세요.",
                "This invitation was used already. Please ask for a new link.",
            )
            .to_owned(),
        Error::Conflict(text) if matches!(EXPIRED, Error::Conflict(expired) if expired == *text) => visit
            .t(
                "이 초대는 기한이 지났습니다. 초대한 분에게 새 링크를 받아 주세요.",
                "This invitation has expired. Please ask for a new link.",
            )
            .to_owned(),
        other => problem::words(other, visit.language),
    }
}

async fn join(Sent(visit, fields): Sent) -> Answer {
    visit.account()?;
    match visit.service().accept_invitation(&visit.actor, visit.piece(0), fields.owned("nickname")).await {
        Ok(joined) if joined.is_member => Ok(to(&format!("/app/families/{}", joined.family))),
        Ok(_) => Ok(to("/app/welcome?done=asked")),
        Err(error @ (Error::Conflict(_) | Error::NotFound(_) | Error::Invalid(_))) => shown(&visit, Some(&error)).await,
        Err(error) => Err(error.into()),
    }
}
