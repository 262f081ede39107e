//! For somebody without a family: find one, follow an invitation, or found one.

use axum::routing::{get, post};
use carebot_model::FamilyId;
use carebot_model::accounts::Role;
use carebot_model::families::FoundFamily;
use carebot_service::{Error, Join};
use http::StatusCode;
use maud::{Markup, html};

use super::super::frame::{self, Live};
use super::super::problem::words;
use super::super::speech::when;
use super::super::visit::{Fields, Sent, Visit};
use super::super::{Answer, Pages, found, page_with, to};
use super::door::date_parts;
use super::region::Region;

pub(crate) fn add(pages: Pages) -> Pages {
    pages
        .at("/app/welcome", get(welcome))
        .at("/app/welcome/family", post(create))
        .at("/app/welcome/find", get(async || to("/app/welcome")).post(find))
        .at("/app/welcome/join", post(join))
        .at("/app/welcome/withdraw", post(withdraw))
        .at("/app/welcome/invitation", post(follow))
}

/// What is known when the page is shown.
#[derive(Default)]
struct State {
    fields: Fields,
    /// The families that were found, if any were looked for.
    found: Option<Vec<FoundFamily>>,
    refused: Option<String>,
}

async fn welcome(visit: Visit) -> Answer {
    shown(&visit, StatusCode::OK, State::default()).await
}

async fn shown(visit: &Visit, status: StatusCode, state: State) -> Answer {
    visit.account()?;
    let families = own_families(visit).await?;
    let content = html! {
        @if let Some(refused) = &state.refused { p.notice.bad role="alert" { (refused) } }
        section #families data-part {
            @if !families.is_empty() {
                h2 { (visit.t("내 가족", "My families")) }
                ul { @for (id, name) in &families { li { a.button.quiet href={ "/app/families/" (id) } { (name) } } } }
            }
        }
        @match visit.role() {
            Some(Role::Main) if families.is_empty() => (founding(visit)),
            Some(Role::Main) => {},
            Some(Role::Sub) => {
                section #waiting data-part { (waiting(visit).await?) }
                (invited(visit))
                (finding(visit, &state))
            },
            _ => p { (visit.t("이 계정은 가족에 가입하지 않습니다.", "This account joins no family.")) },
        }
    };
    Ok(page_with(status, frame::plain(visit, visit.t("환영합니다", "Welcome"), &Live::All, content)))
}

/// What the families are called that somebody belongs to.
async fn own_families(visit: &Visit) -> Result<Vec<(FamilyId, String)>, Error> {
    let mut families = Vec::new();
    for id in visit.actor.families() {
        families.push((id, name(visit, id).await?));
    }
    Ok(families)
}

async fn name(visit: &Visit, family: FamilyId) -> Result<String, Error> {
    let name = found(visit.service().family_name(&visit.actor, family.as_str()).await)?.flatten();
    Ok(name.unwrap_or_else(|| visit.t("이름 없는 가족", "A family without a name").to_owned()))
}

fn founding(visit: &Visit) -> Markup {
    html! {
        section {
            h2 { (visit.t("가족 만들기", "Found your family")) }
            p { (visit.t("가족을 만들면 로봇을 쓰고 보호자를 초대할 수 있습니다.", "With a family you can use the robot and invite guardians.")) }
            form.card method="post" action="/app/welcome/family" {
                label { (visit.t("가족 이름 (나중에 바꿀 수 있습니다)", "The family's name (it can be changed later)"))
                    input name="family_name" maxlength="32";
                }
                button.button { (visit.t("가족 만들기", "Found it")) }
            }
        }
    }
}

async fn waiting(visit: &Visit) -> Result<Markup, Error> {
    let requests = visit.service().list_join_requests(&visit.actor).await?;
    let mut own = Vec::new();
    for request in requests.into_iter().filter(|request| Some(request.user_id) == visit.actor.account()) {
        let name = name(visit, request.family_id).await?;
        own.push((request, name));
    }
    Ok(html! {
        @if !own.is_empty() {
            h2 { (visit.t("승인을 기다리는 가족", "Waiting for approval")) }
            ul.lines {
                @for (request, name) in &own {
                    li {
                        span.at { (when(visit, request.created_at)) }
                        div {
                            p { (name) }
                            form method="post" action="/app/welcome/withdraw" {
                                input type="hidden" name="request" value=(request.id);
                                button.button.quiet { (visit.t("요청 취소", "Take the request back")) }
                            }
                        }
                    }
                }
            }
        }
    })
}

fn invited(visit: &Visit) -> Markup {
    html! {
        section {
            h2 { (visit.t("초대 링크를 받았나요?", "Did you get an invitation?")) }
            form.card method="post" action="/app/welcome/invitation" {
                label { (visit.t("초대 링크", "Its link")) input name="link" autocomplete="off" required; }
                button.button { (visit.t("열기", "Open")) }
            }
        }
    }
}

fn finding(visit: &Visit, state: &State) -> Markup {
    let fields = &state.fields;
    html! {
        section #find {
            h2 { (visit.t("어르신 찾기", "Find the elder")) }
            p { (visit.t("어르신이 가입할 때 적은 것과 모두 같아야 합니다.", "All of it must be as the elder gave it on signing up.")) }
            @match &state.found {
                Some(families) if families.is_empty() => p.notice.bad role="alert" {
                    (visit.t("찾지 못했습니다. 이름, 생년월일, 성별, 주소를 어르신과 함께 확인해 주세요.", "Nobody was found. Please check name, date of birth, gender and address with the elder."))
                },
                Some(families) => { @for family in families { (offer(visit, family)) } },
                None => {},
            }
            form.card method="post" action="/app/welcome/find#find" {
                label { (visit.t("어르신 이름", "The elder's name")) input name="user_name" value=(fields.text("user_name")) maxlength="32" autocomplete="off" required; }
                label { (visit.t("생년월일", "Date of birth")) input type="date" name="birth_date" value=(fields.text("birth_date")) required; }
                label { (visit.t("성별", "Gender"))
                    select name="gender" {
                        @for (value, korean, english) in [("female", "여성", "Female"), ("male", "남성", "Male"), ("other", "말하지 않음", "Not said")] {
                            option value=(value) selected[fields.text("gender") == value] { (visit.t(korean, english)) }
                        }
                    }
                }
                (Region::of_fields(fields).selects(visit))
                button.button { (visit.t("찾기", "Find")) }
            }
        }
    }
}

fn offer(visit: &Visit, found: &FoundFamily) -> Markup {
    let elder = found.account_name.as_deref().unwrap_or_default();
    html! {
        form.card method="post" action="/app/welcome/join" {
            h3 { (found.family_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(elder)) }
            p { (visit.t(format!("{elder} 님의 가족입니다."), format!("The family of {elder}."))) }
            input type="hidden" name="family" value=(found.family_id);
            label { (visit.t("어르신이 나를 부르는 이름 (없어도 됩니다)", "What the elder calls you (if you like)")) input name="nickname" maxlength="32"; }
            button.button { (visit.t("가입 요청하기", "Ask to join")) }
        }
    }
}

async fn create(Sent(visit, fields): Sent) -> Answer {
    let own = visit.account()?;
    let family = visit.service().create_family(&visit.actor, own.as_str(), fields.owned("family_name")).await?;
    Ok(to(&format!("/app/families/{family}/people")))
}

async fn find(Sent(visit, fields): Sent) -> Answer {
    visit.account()?;
    let region = Region::of_fields(&fields);
    if region.is_choosing(&fields) {
        return shown(&visit, StatusCode::OK, State { fields, ..State::default() }).await;
    }
    let looked = look(&visit, &fields, &region).await;
    match looked {
        Ok(families) => shown(&visit, StatusCode::OK, State { fields, found: Some(families), refused: None }).await,
        Err(error @ Error::Invalid(_)) => {
            let refused = if region.address().is_none() {
                visit.t("시도와 시군구를 골라 주세요.", "Please choose the province and the district.").to_owned()
            } else {
                words(&error, visit.language)
            };
            shown(&visit, StatusCode::BAD_REQUEST, State { fields, found: None, refused: Some(refused) }).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn look(visit: &Visit, fields: &Fields, region: &Region) -> Result<Vec<FoundFamily>, Error> {
    let address = region.address().ok_or(Error::Invalid("Invalid value provided for find option (address)"))?;
    let birth = date_parts(fields.get("birth_date"))?;
    let birth = birth.ok_or(Error::Invalid("Invalid value provided for find option (birth_date)"))?;
    let (name, gender) = (fields.text("user_name").to_owned(), fields.text("gender"));
    Ok(found(visit.service().find_families(&visit.actor, name, birth, gender, address).await)?.unwrap_or_default())
}

async fn join(Sent(visit, fields): Sent) -> Answer {
    let own = visit.account()?;
    let (service, family) = (visit.service(), fields.text("family"));
    let joined = service.join_family(&visit.actor, family, own.as_str(), fields.owned("nickname")).await;
    match joined {
        Ok(_) if service.settings().join == Join::Open => Ok(to(&format!("/app/families/{family}"))),
        Ok(_) => Ok(to("/app/welcome?done=asked")),
        Err(error @ Error::Conflict(_)) => {
            let refused = Some(words(&error, visit.language));
            shown(&visit, StatusCode::CONFLICT, State { refused, ..State::default() }).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn withdraw(Sent(visit, fields): Sent) -> Answer {
    visit.account()?;
    visit.service().delete_join_request(&visit.actor, fields.text("request")).await?;
    Ok(to("/app/welcome?done=deleted"))
}

/// Leads to the page of a link that somebody pasted, or of the code at its end.
async fn follow(Sent(visit, fields): Sent) -> Answer {
    visit.account()?;
    let link = fields.text("link").trim_end_matches('/');
    let token = link.rsplit('/').next().unwrap_or_default();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let refused = visit.t("초대 링크가 아닙니다.", "This is no link of an invitation.").to_owned();
        return shown(&visit, StatusCode::BAD_REQUEST, State { refused: Some(refused), ..State::default() }).await;
    }
    Ok(to(&format!("/app/invitations/{token}")))
}
