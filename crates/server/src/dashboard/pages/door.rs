//! The way in and out: sign in, sign up, sign out, the language, and where somebody belongs who comes to `/app/`.

use axum::routing::{get, post};
use carebot_model::FamilyId;
use carebot_model::accounts::Role;
use carebot_model::alarms::text::Language;
use carebot_service::Error;
use carebot_service::accounts::Details;
use http::{StatusCode, header};
use maud::{Markup, html};

use super::super::frame::{self, Live};
use super::super::visit::{self, Fields, Sent, Visit};
use super::super::{Answer, Pages, page, page_with, problem, to};
use super::region::Region;

pub(crate) fn add(pages: Pages) -> Pages {
    pages
        .at("/", get(async || to("/app/")))
        .at("/app/", get(start))
        .at("/app/sign-in", get(sign_in_page).post(sign_in))
        .at("/app/sign-up", get(sign_up_page).post(sign_up))
        .at("/app/sign-out", post(sign_out))
        .at("/app/language", post(choose_language))
        .at("/app/offline", get(offline))
}

/// Leads everybody to what is theirs.
async fn start(visit: Visit) -> Answer {
    visit.account()?;
    let families: Vec<FamilyId> = visit.actor.families().collect();
    Ok(match (visit.role(), visit.actor.own_family(), &families[..]) {
        (Some(Role::System), ..) => to("/app/operator"),
        (_, Some(own), _) => to(&format!("/app/families/{own}")),
        (_, None, []) => to("/app/welcome"),
        (_, None, [only]) => to(&format!("/app/families/{only}")),
        (_, None, _) => to("/app/board"),
    })
}

/// Where somebody wanted to go who had to sign in first: only a page of this server's.
fn next(fields: &Fields) -> &str {
    let next = fields.text("next");
    let is_ours = next.starts_with("/app/") && !next.contains(['\\', '\n', '\r']) && !next.contains("//");
    if is_ours { next } else { "/app/" }
}

async fn sign_in_page(visit: Visit) -> Answer {
    if visit.actor.account().is_some() {
        return Ok(to(next(&visit.query)));
    }
    Ok(page(sign_in_form(&visit, next(&visit.query), "", None)))
}

/// Shown by the script where the browser would drop the cookie: the server gives it out for https, and this is http.
fn only_secure(visit: &Visit) -> Markup {
    html! {
        p #insecure .notice.bad role="alert" hidden {
            (visit.t("이 주소(http)로는 로그인할 수 없습니다. https 주소로 열어 주세요.", "Nobody can sign in at this address (http). Please use the one with https."))
        }
    }
}

fn sign_in_form(visit: &Visit, next: &str, email: &str, refused: Option<&str>) -> Markup {
    let title = visit.t("로그인", "Sign in");
    frame::plain(
        visit,
        title,
        &Live::No,
        html! {
            @if let Some(refused) = refused { p.notice.bad role="alert" { (refused) } }
            (only_secure(visit))
            form.card method="post" action="/app/sign-in" {
                input type="hidden" name="next" value=(next);
                label { (visit.t("이메일", "E-mail address"))
                    input type="email" name="email" value=(email) autocomplete="username" required autofocus;
                }
                label { (visit.t("비밀번호", "Password"))
                    input type="password" name="password" autocomplete="current-password" required;
                }
                label.tick { input type="checkbox" name="remember" checked; (visit.t("이 기기에서 로그인 유지", "Stay signed in on this device")) }
                button.button { (title) }
            }
            p { a href={ "/app/sign-up?next=" (form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>()) } { (visit.t("처음이신가요? 회원 가입", "New here? Sign up")) } }
            p { a href="/app/forgotten" { (visit.t("비밀번호를 잊으셨나요?", "Forgot your password?")) } }
        },
    )
}

async fn sign_in(Sent(visit, fields): Sent) -> Answer {
    let (email, password) = (fields.text("email"), fields.raw("password").unwrap_or_default());
    let next = next(&fields);
    let token = match visit.service().sign_in(email, password, &visit.client).await {
        Ok((token, _)) => token,
        Err(error @ (Error::Unauthorized(_) | Error::TooMany(_))) => {
            let refused = problem::words(&error, visit.language);
            let form = sign_in_form(&visit, next, email, Some(&refused));
            return Ok(page_with(StatusCode::UNAUTHORIZED, form));
        }
        Err(error) => return Err(error.into()),
    };
    if fields.is_on("remember") {
        let actor = visit.service().current_actor(Some(&token)).await?;
        visit.service().remember_session(&actor).await?;
    }
    let mut response = to(next);
    let cookies = visit.cookie();
    let cookie = if fields.is_on("remember") { cookies.keep(&token) } else { cookies.set(&token) };
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn sign_up_page(visit: Visit) -> Answer {
    Ok(page(sign_up_form(&visit, &visit.query, None)))
}

fn sign_up_form(visit: &Visit, fields: &Fields, refused: Option<&str>) -> Markup {
    let title = visit.t("회원 가입", "Sign up");
    let role = fields.get("role").unwrap_or("sub");
    frame::plain(
        visit,
        title,
        &Live::No,
        html! {
            @if let Some(refused) = refused { p.notice.bad role="alert" { (refused) } }
            (only_secure(visit))
            form.card method="post" action="/app/sign-up" {
                input type="hidden" name="next" value=(next(fields));
                fieldset {
                    legend { (visit.t("나는", "I am")) }
                    label.tick { input type="radio" name="role" value="sub" checked[role == "sub"];
                        (visit.t("보호자 또는 돌봄 인력입니다", "a guardian or care worker")) }
                    label.tick { input type="radio" name="role" value="main" checked[role == "main"];
                        (visit.t("로봇과 함께 사는 어르신입니다", "the one who lives with the robot")) }
                }
                label { (visit.t("이메일", "E-mail address"))
                    input type="email" name="email" value=(fields.text("email")) autocomplete="username" required;
                }
                label { (visit.t("비밀번호", "Password"))
                    input type="password" name="password" autocomplete="new-password" minlength="8" required aria-describedby="password-help";
                }
                p.small #password-help { (visit.t("8자 이상, 흔하지 않은 것으로", "At least eight characters, none of the common ones")) }
                label { (visit.t("이름", "Name"))
                    input name="user_name" value=(fields.text("user_name")) autocomplete="name" maxlength="32" required;
                }
                label { (visit.t("생년월일", "Date of birth"))
                    input type="date" name="birth_date" value=(fields.text("birth_date")) autocomplete="bday";
                }
                label { (visit.t("성별", "Gender"))
                    select name="gender" {
                        @for (value, korean, english) in [("female", "여성", "Female"), ("male", "남성", "Male"), ("other", "말하지 않음", "Not said")] {
                            option value=(value) selected[fields.text("gender") == value] { (visit.t(korean, english)) }
                        }
                    }
                }
                (Region::of_fields(fields).selects(visit))
                button.button { (title) }
            }
            p { a href={ "/app/sign-in?next=" (form_urlencoded::byte_serialize(next(fields).as_bytes()).collect::<String>()) } { (visit.t("이미 회원이신가요? 로그인", "Have an account? Sign in")) } }
        },
    )
}

/// The parts of a date as a browser sends it.
pub(super) fn date_parts(text: Option<&str>) -> Result<Option<(i64, i64, i64)>, Error> {
    let Some(text) = text else { return Ok(None) };
    let mut parts = text.splitn(3, '-').map(str::parse::<i64>);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) => Ok(Some((year, month, day))),
        _ => Err(Error::Invalid("Invalid value provided for account details (birth date)")),
    }
}

async fn sign_up(Sent(visit, fields): Sent) -> Answer {
    if Region::of_fields(&fields).is_choosing(&fields) {
        return Ok(page(sign_up_form(&visit, &fields, None)));
    }
    let made = make_account(&visit, &fields).await;
    if let Err(error @ (Error::Invalid(_) | Error::Conflict(_) | Error::TooLong(_) | Error::Forbidden)) = &made {
        let refused = problem::words(error, visit.language);
        return Ok(page_with(StatusCode::BAD_REQUEST, sign_up_form(&visit, &fields, Some(&refused))));
    }
    made?;
    let (email, password) = (fields.text("email"), fields.raw("password").unwrap_or_default());
    let (token, _) = visit.service().sign_in(email, password, &visit.client).await?;
    let next = next(&fields);
    let mut response = to(if next == "/app/" { "/app/welcome" } else { next });
    if let Some(cookie) = visit.cookie().set(&token) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn make_account(visit: &Visit, fields: &Fields) -> Result<(), Error> {
    let role = fields.get("role").filter(|role| matches!(*role, "main" | "sub")).unwrap_or("sub");
    let details = Details {
        email: fields.owned("email"),
        role: Some(role.to_owned()),
        user_name: fields.owned("user_name"),
        birth_date: date_parts(fields.get("birth_date"))?,
        gender: fields.owned("gender"),
        address: Region::of_fields(fields).address(),
    };
    let password = fields.raw("password").unwrap_or_default();
    visit.service().create_account(&visit.actor, details, password).await.map(drop)
}

async fn sign_out(visit: Visit) -> Answer {
    visit.service().sign_out(visit.token.as_deref()).await?;
    let mut response = to("/app/sign-in");
    if let Some(cookie) = visit.cookie().clear() {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    // What the browser keeps of this account's pages goes, too.
    response.headers_mut().insert("clear-site-data", http::HeaderValue::from_static("\"cache\""));
    Ok(response)
}

async fn choose_language(Sent(visit, fields): Sent) -> Answer {
    let mut response = to(next(&fields));
    let chosen = fields.get("language").and_then(Language::parse).unwrap_or(visit.language);
    if let Some(cookie) = visit::keep_language(chosen, visit.app.settings().cookie.secure) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What the service worker shows without a connection. It says what it does not know.
async fn offline(visit: Visit) -> Answer {
    let title = visit.t("연결이 없습니다", "No connection");
    let said = visit.t(
        "지금은 서버에 닿지 않아서 어르신이 어떠신지 보여 드릴 수 없습니다. 급하면 직접 전화해 주세요.",
        "The server can not be reached, so this page can not tell how things are. If it is urgent, please call.",
    );
    Ok(page(frame::alone(
        &visit.app,
        visit.language,
        title,
        html! {
            p.notice.bad { (said) }
            p { a.button href="/app/" { (visit.t("다시 해 보기", "Try again")) } }
        },
    )))
}
