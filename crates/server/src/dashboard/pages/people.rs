//! The family: its members and who asks to be one, invitations, the robot's switches, its name and its end.

use axum::response::Response;
use axum::routing::{get, post};
use carebot_database::invitations::Invitation;
use carebot_model::FamilyId;
use carebot_model::members::{JoinRequest, Place, Position};
use carebot_model::settings::SettingsChange;
use carebot_service::Error;
use carebot_service::invitations::ENOUGH;
use http::{HeaderMap, StatusCode, header};
use maud::{Markup, PreEscaped, html};
use qrcode::QrCode;
use qrcode::render::svg;

use super::super::frame::{self, Tab};
use super::super::speech::when;
use super::super::visit::{Sent, Visit};
use super::super::{Answer, Pages, page, page_with, to};
use super::home::{Names, names};

pub(crate) fn add(pages: Pages) -> Pages {
    pages
        .at("/app/families/{family}/people", get(people))
        .at("/app/families/{family}/people/{member}/nickname", post(nickname))
        .at("/app/families/{family}/people/{member}/place", post(place))
        .at("/app/families/{family}/people/{member}/leave", post(leave))
        .at("/app/families/{family}/people/{member}/kick", post(kick))
        .at("/app/families/{family}/requests/{member}/approve", post(approve))
        .at("/app/families/{family}/requests/{member}/refuse", post(refuse))
        .at("/app/families/{family}/invitations", post(invite))
        .at("/app/families/{family}/invitations/{invitation}/delete", post(uninvite))
        .at("/app/families/{family}/name", post(rename))
        .at("/app/families/{family}/delete", post(delete))
        .at("/app/families/{family}/settings", get(settings).post(switch))
}

/// What a capacity is called.
fn position(visit: &Visit, position: Position) -> &'static str {
    match position {
        Position::Guardian => visit.t("보호자", "Guardian"),
        Position::CareWorker => visit.t("돌봄 인력", "Care worker"),
        Position::Staff => visit.t("기관 직원", "Staff"),
    }
}

/// Whether the visitor decides who belongs to a family: its elder, and operators.
fn decides(visit: &Visit, family: FamilyId) -> bool {
    visit.actor.own_family() == Some(family) || visit.actor.is_system()
}

async fn people(visit: Visit) -> Answer {
    let family = visit.family()?;
    let names = names(&visit, family).await?;
    let (service, actor, id) = (visit.service(), &*visit.actor, family.as_str());
    let known = service.get_family(actor, id).await?;
    let places = service.list_places(actor, id).await?;
    let invitations = service.list_invitations(actor, id).await?;
    let requests = service.list_join_requests(actor).await?;
    let requests: Vec<JoinRequest> =
        requests.into_iter().filter(|request| decides(&visit, family) && request.family_id == family).collect();
    let content = html! {
        section #requests data-part aria-live="polite" {
            @if !requests.is_empty() {
                h2 { (visit.t("가입 요청", "Requests to join")) }
                @for request in &requests { (asking(&visit, request)) }
            }
        }
        section #members {
            h2 { (visit.t("함께 돌보는 사람", "Who looks after the elder")) }
            p.small { (visit.t("알람은 이 순서대로 알립니다.", "Alarms are told in this order.")) }
            @if places.is_empty() { p { (visit.t("아직 아무도 없습니다. 아래에서 초대해 보세요.", "Nobody yet. Invite somebody below.")) } }
            @for (place, name) in &places { (member(&visit, family, place, name, places.len())) }
        }
        section #invite { (inviting(&visit, family, &invitations)) }
        section {
            h2 { (visit.t("로봇 설정", "The robot's settings")) }
            p { a.button.quiet href={ "/app/families/" (family) "/settings" } { (visit.t("로봇 스위치 보기", "See its switches")) } }
        }
        section {
            h2 { (visit.t("가족 이름", "The family's name")) }
            form.card method="post" action={ "/app/families/" (family) "/name" } {
                label { (visit.t("이름", "Name")) input name="family_name" value=[known.family_name] maxlength="32" required; }
                button.button { (visit.t("저장", "Save")) }
            }
        }
        @if decides(&visit, family) { (ending(&visit, family)) }
    };
    let title = visit.t("가족", "Family");
    Ok(page(frame::family(&visit, family, Tab::People, (&names.family, title), content)))
}

fn asking(visit: &Visit, request: &JoinRequest) -> Markup {
    let place = format!("/app/families/{}/requests/{}", request.family_id, request.id);
    let name = request.user_name.as_deref().filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| visit.t("이름을 적지 않은 사람", "Somebody without a name"));
    html! {
        article.card {
            h3 { (name) @if let Some(nickname) = &request.nickname { " (" (nickname) ")" } }
            p.small { (when(visit, request.created_at)) }
            p { (visit.t("승인하면 이 가족의 상태, 알람, 사진을 모두 볼 수 있게 됩니다.", "Once approved, this person sees how things are, alarms and pictures.")) }
            div.acts {
                form method="post" action={ (place) "/approve" } { button.button { (visit.t("승인", "Approve")) } }
                form method="post" action={ (place) "/refuse" } { button.button.quiet { (visit.t("거절", "Refuse")) } }
            }
        }
    }
}

fn member(visit: &Visit, family: FamilyId, member: &Place, name: &str, count: usize) -> Markup {
    let place = format!("/app/families/{family}/people/{}", member.id);
    let is_own = visit.actor.account() == Some(member.user_id);
    let name = if name.is_empty() { visit.t("이름 없음", "No name") } else { name };
    html! {
        article.card {
            h3 { (member.order) ". " (name) @if is_own { " (" (visit.t("나", "me")) ")" } }
            p.small { (position(visit, member.position)) }
            details {
                summary { (visit.t("바꾸기", "Change")) span.small { " · " (name) } }
                form method="post" action={ (place) "/nickname" } {
                    label { (visit.t("부르는 이름", "Nickname")) input name="nickname" value=[member.nickname.as_deref()] maxlength="32" required; }
                    button.button { (visit.t("이름 저장", "Save the name")) }
                }
                form method="post" action={ (place) "/place" } {
                    label { (visit.t("하는 일", "Capacity"))
                        select name="position" {
                            @for other in Position::ALL {
                                option value=(other.name()) selected[*other == member.position] { (position(visit, *other)) }
                            }
                        }
                    }
                    label { (visit.t("알리는 순서", "Place in the order"))
                        input type="number" name="order" value=(member.order) min="1" max=(count) inputmode="numeric" required;
                    }
                    button.button { (visit.t("순서 저장", "Save the place")) }
                }
                @if is_own {
                    (proven(visit, &format!("{place}/leave"), visit.t("이 가족에서 나가기", "Leave this family")))
                } @else if decides(visit, family) {
                    (proven(visit, &format!("{place}/kick"), visit.t("이 가족에서 내보내기", "Remove from this family")))
                }
            }
        }
    }
}

/// A form for what needs one's password.
fn proven(visit: &Visit, place: &str, what: &str) -> Markup {
    html! {
        form method="post" action=(place) {
            label { (visit.t("내 비밀번호", "My password")) input type="password" name="password" autocomplete="current-password" required; }
            button.button.danger { (what) }
        }
    }
}

fn inviting(visit: &Visit, family: FamilyId, open: &[Invitation]) -> Markup {
    html! {
        h2 { (visit.t("초대하기", "Invite")) }
        p {
            @if visit.actor.own_family() == Some(family) {
                (visit.t("링크나 QR 코드로 들어온 사람은 바로 가족이 됩니다.", "Whoever comes by the link or the QR code belongs to the family at once."))
            } @else {
                (visit.t("링크나 QR 코드로 들어온 사람은 어르신이 승인하면 가족이 됩니다.", "Whoever comes by the link or the QR code joins once the elder approves."))
            }
        }
        form method="post" action={ "/app/families/" (family) "/invitations" } {
            button.button { (visit.t("초대 링크 만들기", "Make a link")) }
        }
        @if !open.is_empty() {
            h3 { (visit.t("아직 쓰지 않은 초대", "Not used yet")) }
            ul.lines {
                @for invitation in open {
                    li {
                        span.at { (when(visit, invitation.created_at)) }
                        div {
                            p {
                                @if let Some(creator) = &invitation.creator { (creator) " · " }
                                (visit.t("기한: ", "good until ")) (when(visit, invitation.expires_at))
                            }
                            form method="post" action={ "/app/families/" (family) "/invitations/" (invitation.id.0) "/delete" } {
                                button.button.quiet { (visit.t("초대 취소", "Take it back")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn ending(visit: &Visit, family: FamilyId) -> Markup {
    html! {
        section {
            h2 { (visit.t("가족 지우기", "Delete the family")) }
            details {
                summary { (visit.t("가족과 모든 기록을 지웁니다", "Deletes the family and all that is known of it")) }
                p { (visit.t("상태 기록, 알람, 알림, 앨범이 모두 지워지고 되돌릴 수 없습니다.", "Readings, alarms, notices and the album are gone for good.")) }
                (proven(visit, &format!("/app/families/{family}/delete"), visit.t("영원히 지우기", "Delete for ever")))
            }
        }
    }
}

fn back(family: FamilyId, done: &str) -> Response {
    to(&format!("/app/families/{family}/people?done={done}"))
}

async fn nickname(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    visit.service().update_member(&visit.actor, visit.piece(1), fields.owned("nickname")).await?;
    Ok(back(family, "saved"))
}

async fn place(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    let (position, order) = (fields.get("position"), fields.number("order"));
    visit.service().place_member(&visit.actor, visit.piece(1), position, order).await?;
    Ok(back(family, "saved"))
}

async fn leave(Sent(visit, fields): Sent) -> Answer {
    visit.family()?;
    let password = fields.raw("password").unwrap_or_default();
    visit.service().leave_family(&visit.actor, visit.piece(1), password).await?;
    Ok(to("/app/"))
}

async fn kick(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    let password = fields.raw("password").unwrap_or_default();
    visit.service().kick_member(&visit.actor, visit.piece(1), password).await?;
    Ok(back(family, "saved"))
}

async fn approve(Sent(visit, _): Sent) -> Answer {
    let family = visit.family()?;
    visit.service().approve_join_request(&visit.actor, visit.piece(1)).await?;
    Ok(back(family, "saved"))
}

async fn refuse(Sent(visit, _): Sent) -> Answer {
    let family = visit.family()?;
    visit.service().delete_join_request(&visit.actor, visit.piece(1)).await?;
    Ok(back(family, "deleted"))
}

/// What this server is called by whoever asks: as it was set, else as the browser says.
fn base(visit: &Visit, headers: &HeaderMap) -> String {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(url) = &visit.app.settings().public_url {
        return url.clone();
    }
    // A form of this page names the origin, which the edge has looked at; `null` says nothing.
    if let Some(origin) = text(header::ORIGIN).filter(|origin| origin.starts_with("http")) {
        return origin.to_owned();
    }
    let scheme = if visit.app.settings().cookie.secure { "https" } else { "http" };
    text(header::HOST).map_or_else(String::new, |host| format!("{scheme}://{host}"))
}

/// A QR code as a picture within the page; nothing if the text is too long for one.
fn qr(text: &str) -> Option<PreEscaped<String>> {
    let code = QrCode::new(text).ok()?;
    let image = code.render::<svg::Color<'_>>().min_dimensions(224, 224).build();
    // Within a page there is no declaration.
    Some(PreEscaped(image.split_once("?>").map_or(image.as_str(), |(_, image)| image).to_owned()))
}

async fn invite(headers: HeaderMap, Sent(visit, _): Sent) -> Answer {
    let family = visit.family()?;
    let names = names(&visit, family).await?;
    let made = match visit.service().invite(&visit.actor, family.as_str()).await {
        Ok(made) => made,
        Err(error) if is_enough(&error) => return Ok(enough(&visit, family, &names)),
        Err(error) => return Err(error.into()),
    };
    let link = format!("{}/app/invitations/{}", base(&visit, &headers), made.token);
    let content = html! {
        p { (visit.t("이 링크를 보내거나 QR 코드를 보여 주세요. 한 사람이 한 번 쓸 수 있고, 다시 보여 드리지 않습니다.", "Send this link or show the QR code. One person can use it once; it is not shown again.")) }
        label { (visit.t("초대 링크", "The link")) input readonly value=(link); }
        @if let Some(code) = qr(&link) {
            div.qr role="img" aria-label=(visit.t("초대 링크의 QR 코드", "QR code of the link")) { (code) }
        }
        p { (visit.t("기한: ", "Good until: ")) (when(&visit, made.expires_at)) }
        p { a.button href={ "/app/families/" (family) "/people" } { (visit.t("보냈습니다", "Done")) } }
    };
    let title = visit.t("초대 링크", "Invitation");
    Ok(page(frame::family(&visit, family, Tab::People, (&names.family, title), content)))
}

fn is_enough(error: &Error) -> bool {
    matches!((error, ENOUGH), (Error::Conflict(text), Error::Conflict(enough)) if *text == enough)
}

fn enough(visit: &Visit, family: FamilyId, names: &Names) -> Response {
    let title = visit.t("초대가 너무 많습니다", "Too many invitations");
    let content = html! {
        p.notice.bad role="alert" {
            (visit.t("아직 쓰지 않은 초대가 너무 많습니다. 필요 없는 초대를 취소한 뒤에 다시 해 주세요.", "Too many invitations were not used yet. Please take some back first."))
        }
        p { a.button href={ "/app/families/" (family) "/people#invite" } { (visit.t("초대 보기", "See them")) } }
    };
    page_with(StatusCode::CONFLICT, frame::family(visit, family, Tab::People, (&names.family, title), content))
}

async fn uninvite(Sent(visit, _): Sent) -> Answer {
    let family = visit.family()?;
    visit.service().delete_invitation(&visit.actor, family.as_str(), visit.number(1)?).await?;
    Ok(back(family, "deleted"))
}

async fn rename(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    visit.service().update_family(&visit.actor, family.as_str(), fields.owned("family_name")).await?;
    Ok(back(family, "saved"))
}

async fn delete(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    let password = fields.raw("password").unwrap_or_default();
    visit.service().delete_family(&visit.actor, family.as_str(), password).await?;
    Ok(to("/app/"))
}

async fn settings(visit: Visit) -> Answer {
    let family = visit.family()?;
    let names = names(&visit, family).await?;
    let known = visit.service().get_settings(&visit.actor, family.as_str()).await?;
    let switches = [
        ("alarm", known.is_alarm_enabled, visit.t("알람 소리", "Sound of alarms")),
        ("camera", known.is_camera_enabled, visit.t("카메라", "Camera")),
        ("microphone", known.is_microphone_enabled, visit.t("마이크", "Microphone")),
        ("driving", known.is_driving_enabled, visit.t("스스로 움직이기", "Driving by itself")),
    ];
    let content = html! {
        section #switches data-part {
            ul.lines {
                @for (name, is_on, said) in switches { (switch_line(&visit, family, name, is_on, said)) }
            }
        }
        p.small { (visit.t("로봇의 알람 소리를 꺼도 보호자에게 가는 알람은 그대로 갑니다.", "Guardians are told of alarms also while the robot's sound is off.")) }
        p { a href={ "/app/families/" (family) "/people" } { (visit.t("가족으로 돌아가기", "Back to the family")) } }
    };
    let title = visit.t("로봇 설정", "The robot's settings");
    Ok(page(frame::family(&visit, family, Tab::People, (&names.family, title), content)))
}

/// A switch: how it is, and a button that turns it.
fn switch_line(visit: &Visit, family: FamilyId, name: &str, is_on: bool, said: &str) -> Markup {
    let (state, turn) = if is_on {
        (visit.t("켜짐", "On"), visit.t("끄기", "Turn off"))
    } else {
        (visit.t("꺼짐", "Off"), visit.t("켜기", "Turn on"))
    };
    html! {
        li {
            span.at { strong { (state) } }
            div {
                p { (said) }
                form method="post" action={ "/app/families/" (family) "/settings" } {
                    input type="hidden" name="switch" value=(name);
                    @if !is_on { input type="hidden" name="on" value="yes"; }
                    button.button.quiet aria-label={ (said) ": " (turn) } { (turn) }
                }
            }
        }
    }
}

async fn switch(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    let (none, to_be) = (SettingsChange::default(), Some(fields.is_on("on")));
    let change = match fields.text("switch") {
        "alarm" => SettingsChange { is_alarm_enabled: to_be, ..none },
        "camera" => SettingsChange { is_camera_enabled: to_be, ..none },
        "microphone" => SettingsChange { is_microphone_enabled: to_be, ..none },
        "driving" => SettingsChange { is_driving_enabled: to_be, ..none },
        _ => return Err(Error::Invalid("Invalid value provided for switch").into()),
    };
    visit.service().update_settings(&visit.actor, family.as_str(), change).await?;
    Ok(to(&format!("/app/families/{family}/settings?done=saved")))
}
