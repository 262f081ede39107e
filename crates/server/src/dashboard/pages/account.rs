//! One's own account: who one is, how one is told of alarms, where one is signed in.

use axum::routing::{get, post};
use carebot_model::AccountId;
use carebot_model::alarms::Channel;
use carebot_model::alarms::text::Language;
use carebot_model::authentication::{Session, SessionKind};
use carebot_service::accounts::Details;
use carebot_service::contacts::{ContactChange, Quiet};
use carebot_service::{Change, Error};
use http::{StatusCode, header};
use maud::{Markup, html};

use super::super::frame::{self, Live};
use super::super::problem::{self, Problem};
use super::super::speech::{ago, when};
use super::super::visit::{Fields, Sent, Visit};
use super::super::{Answer, Pages, page, page_with, to};
use super::door::date_parts;
use super::region::Region;

pub(crate) fn add(pages: Pages) -> Pages {
    pages
        .at("/app/account", get(account))
        .at("/app/account/profile", post(profile))
        .at("/app/account/address", post(address))
        .at("/app/account/password", post(password))
        .at("/app/account/channels", post(channels))
        .at("/app/account/test", post(test))
        .at("/app/account/devices/{device}/delete", post(remove_device))
        .at("/app/account/sessions/end", post(end_sessions))
        .at("/app/account/delete", post(delete))
}

async fn account(visit: Visit) -> Answer {
    Ok(page(whole(&visit, &visit.query, None).await?))
}

/// One of the account's forms; each leads to the page of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Profile,
    Address,
    Channels,
    Password,
    Deletion,
}

/// Shows a form that was refused once more, with what was typed; or what else went wrong.
async fn again(visit: &Visit, form: Form, fields: &Fields, error: Error) -> Answer {
    if !error.is_refusal() {
        return Err(error.into());
    }
    let words = problem::words(&error, visit.language);
    let shown = whole(visit, fields, Some((form, &words))).await?;
    Ok(problem::refused(error, shown))
}

/// The whole page. `typed` is what stands in the form that was refused, which says why.
async fn whole(visit: &Visit, typed: &Fields, refused: Option<(Form, &str)>) -> Result<Markup, Problem> {
    let id = visit.account()?;
    let said = |form: Form| {
        let words = refused.filter(|(other, _)| *other == form).map(|(_, words)| words);
        // Focused, so that it is in sight wherever on the page its form is.
        html! { @if let Some(words) = words { p.notice.bad role="alert" tabindex="-1" autofocus { (words) } } }
    };
    // What was typed into a form, if it was refused; else what is stored.
    let value = |form: Form, name: &str, stored: Option<String>| match refused {
        Some((other, _)) if other == form => typed.raw(name).map(str::to_owned),
        _ => stored,
    };
    let (service, actor) = (visit.service(), &*visit.actor);
    let known = service.get_account(actor, id.as_str()).await?;
    let contact = service.get_contact(actor, None).await?;
    let devices = service.list_subscriptions(actor, None).await?;
    let sessions = service.list_sessions(actor, None).await?;
    let chosen = Region::of_fields(typed);
    let region = if chosen == Region::default() { Region::of_address(known.address.as_deref()) } else { chosen };
    let (channels, language) = match refused {
        Some((Form::Channels, _)) => (
            typed.iter().filter(|(name, _)| *name == "channel").map(|(_, value)| Channel::parse(value)).collect(),
            typed.get("language").and_then(Language::parse).unwrap_or(contact.language),
        ),
        _ => (contact.channels.iter().copied().map(Some).collect::<Vec<_>>(), contact.language),
    };
    let quiet = contact.quiet.as_ref();
    let content = html! {
        @if visit.query.is_on("tested") {
            p.notice.good role="status" { (visit.t("시험 알림을 보냈습니다. 왔는지 확인해 주세요.", "A test is on its way. Please check that it arrives.")) }
        }
        section {
            h2 { (visit.t("나", "Me")) }
            form.card method="post" action="/app/account/profile" {
                (said(Form::Profile))
                label { (visit.t("이메일", "E-mail address")) input type="email" name="email" value=[value(Form::Profile, "email", Some(known.email.clone()))] autocomplete="email" required; }
                label { (visit.t("이름", "Name")) input name="user_name" value=[value(Form::Profile, "user_name", known.user_name.clone())] autocomplete="name" maxlength="32"; }
                label { (visit.t("생년월일", "Date of birth")) input type="date" name="birth_date" value=[value(Form::Profile, "birth_date", known.birth_date.map(|date| date.to_string()))] autocomplete="bday"; }
                button.button { (visit.t("저장", "Save")) }
            }
            form.card #address method="post" action="/app/account/address" {
                (said(Form::Address))
                p { (visit.t("사는 곳", "Where I live")) ": " (known.address.as_deref().unwrap_or("-")) }
                (region.selects(visit))
                button.button { (visit.t("저장", "Save")) }
            }
        }
        section #channels {
            h2 { (visit.t("알림 받는 방법", "How I am told")) }
            p { (visit.t("위에서부터 차례로 시도합니다.", "They are tried in this order.")) }
            form.card method="post" action="/app/account/channels" {
                (said(Form::Channels))
                @for place in 0..3 { (channel_choice(visit, place, channels.get(place).copied().flatten())) }
                label { (visit.t("전화번호", "Telephone")) input type="tel" name="phone" value=[value(Form::Channels, "phone", contact.phone.clone())] autocomplete="tel" maxlength="32"; }
                label { (visit.t("알림 언어", "Language of alarms"))
                    select name="language" {
                        option value="ko" selected[language == Language::Korean] { "한국어" }
                        option value="en" selected[language == Language::English] { "English" }
                    }
                }
                fieldset {
                    legend { (visit.t("조용한 시간 (위급한 알림은 그래도 옵니다)", "Quiet hours (what is critical comes all the same)")) }
                    label { (visit.t("부터", "From")) input type="time" name="quiet_from" value=[value(Form::Channels, "quiet_from", quiet.map(|quiet| quiet.from.clone()))]; }
                    label { (visit.t("까지", "Until")) input type="time" name="quiet_until" value=[value(Form::Channels, "quiet_until", quiet.map(|quiet| quiet.until.clone()))]; }
                }
                label { (visit.t("웹훅 주소", "Address of a webhook")) input type="url" name="webhook_url" value=[value(Form::Channels, "webhook_url", contact.webhook_url.clone())] placeholder="https://"; }
                button.button { (visit.t("저장", "Save")) }
            }
            form.acts method="post" action="/app/account/test" {
                @for channel in &contact.channels {
                    button.button.quiet name="channel" value=(channel.name()) { (channel_name(visit, *channel)) " " (visit.t("시험", "test")) }
                }
            }
            h3 { (visit.t("이 기기의 알림", "Notifications on this device")) }
            div #push data-push hidden {
                button.button type="button" data-push-on hidden { (visit.t("이 기기에서 알림 받기", "Get notifications on this device")) }
                button.button.quiet type="button" data-push-off hidden { (visit.t("이 기기에서 그만 받기", "Stop on this device")) }
                p.small role="status" data-push-said data-denied=(visit.t("브라우저가 알림을 막고 있습니다. 브라우저 설정에서 허용해 주세요.", "The browser blocks notifications. Please allow them in its settings."))
                    data-failed=(visit.t("알림을 켤 수 없었습니다.", "Notifications could not be turned on.")) {}
            }
            ul { @for device in &devices { li {
                (device.label.as_deref().unwrap_or(&device.host)) " · " (when(visit, device.created_at)) " "
                form.inline method="post" action={ "/app/account/devices/" (device.id.0) "/delete" } { button.link { (visit.t("지우기", "Remove")) } }
            } } }
            @if devices.is_empty() { p.small { (visit.t("등록된 기기가 없습니다.", "No device yet.")) } }
        }
        section {
            h2 { (visit.t("비밀번호", "Password")) }
            form.card method="post" action="/app/account/password" {
                (said(Form::Password))
                label { (visit.t("지금 비밀번호", "Present password")) input type="password" name="current" autocomplete="current-password" required; }
                label { (visit.t("새 비밀번호", "New password")) input type="password" name="new" autocomplete="new-password" minlength="8" required; }
                button.button { (visit.t("바꾸기", "Change")) }
            }
        }
        (signed_in(visit, &sessions))
        (leaving(visit, &said(Form::Deletion), refused.is_some_and(|(form, _)| form == Form::Deletion)))
    };
    Ok(frame::plain(visit, visit.t("내 계정", "My account"), &Live::No, content))
}

/// What one takes along, and the end.
fn leaving(visit: &Visit, said: &Markup, is_open: bool) -> Markup {
    html! {
        section {
            h2 { (visit.t("내 자료", "My data")) }
            p { a.button.quiet href="/app/account/export" download { (visit.t("내 자료 내려받기 (JSON)", "Download my data (JSON)")) } }
            p.small {
                (visit.t(
                    "측정값은 마지막 것만, 알람은 최근 500건까지 들어 있습니다. 모든 측정값은 추이에서 CSV로 받거나 운영자에게 요청해 주세요.",
                    "Of readings it holds the newest, of alarms the last 500. All readings: as CSV from the trends, or ask the operator.",
                ))
            }
        }
        section {
            h2 { (visit.t("계정 지우기", "Delete the account")) }
            details open[is_open] {
                summary { (visit.t("계정과 모든 자료를 지웁니다", "Deletes the account and all that belongs to it")) }
                form.card method="post" action="/app/account/delete" {
                    (said)
                    label { (visit.t("비밀번호", "Password")) input type="password" name="password" autocomplete="current-password" required; }
                    button.button.danger { (visit.t("영원히 지우기", "Delete for ever")) }
                }
            }
        }
    }
}

/// Where the visitor is signed in.
fn signed_in(visit: &Visit, sessions: &[Session]) -> Markup {
    let own = visit.actor.session().map(|session| session.id);
    html! {
        section {
            h2 { (visit.t("로그인한 곳", "Where I am signed in")) }
            ul.lines {
                @for session in sessions.iter().filter(|session| session.revoked_at.is_none()) {
                    li {
                        span.at { (ago(visit, session.last_seen)) }
                        div {
                            (session.label.as_deref().unwrap_or("-"))
                            @if session.kind == SessionKind::Robot { " · " strong { (visit.t("로봇", "robot")) } }
                            @if Some(session.id) == own { " · " (visit.t("지금 이 기기", "this one")) }
                        }
                    }
                }
            }
            form method="post" action="/app/account/sessions/end" {
                button.button.quiet { (visit.t("다른 모든 기기에서 로그아웃", "Sign out everywhere else")) }
                p.small { (visit.t("로봇은 로그아웃하지 않습니다.", "The robot stays signed in.")) }
            }
        }
    }
}

/// What a channel is called.
pub(super) fn channel_name(visit: &Visit, channel: Channel) -> &'static str {
    match channel {
        Channel::Push => visit.t("기기 알림", "Notification"),
        Channel::Email => visit.t("이메일", "E-mail"),
        Channel::Webhook => visit.t("웹훅", "Webhook"),
        Channel::Stream => visit.t("열린 화면", "Open page"),
        Channel::Robot => visit.t("로봇", "Robot"),
    }
}

fn channel_choice(visit: &Visit, place: usize, chosen: Option<Channel>) -> Markup {
    html! {
        label {
            (visit.t("순서", "Order")) " " (place + 1)
            select name="channel" {
                option value="" { (visit.t("없음", "None")) }
                @for channel in [Channel::Push, Channel::Email, Channel::Webhook] {
                    option value=(channel.name()) selected[chosen == Some(channel)] { (channel_name(visit, channel)) }
                }
            }
        }
    }
}

async fn profile(Sent(visit, fields): Sent) -> Answer {
    let id = visit.account()?;
    let details = date_parts(fields.get("birth_date")).map(|birth_date| Details {
        email: fields.owned("email"),
        user_name: fields.owned("user_name"),
        birth_date,
        ..Details::default()
    });
    let saved = match details {
        Ok(details) => visit.service().update_account(&visit.actor, id.as_str(), details).await.map(drop),
        Err(error) => Err(error),
    };
    match saved {
        Ok(()) => Ok(to("/app/account?done=saved")),
        Err(error) => again(&visit, Form::Profile, &fields, error).await,
    }
}

async fn address(Sent(visit, fields): Sent) -> Answer {
    let id = visit.account()?;
    let region = Region::of_fields(&fields);
    if region.is_choosing(&fields) {
        let province: String = form_urlencoded::byte_serialize(fields.text("province").as_bytes()).collect();
        return Ok(to(&format!("/app/account?province={province}#address")));
    }
    let Some(address) = region.address() else {
        let error = Error::Invalid("Invalid value provided for account details (address)");
        return again(&visit, Form::Address, &fields, error).await;
    };
    let details = Details { address: Some(address), ..Details::default() };
    visit.service().update_account(&visit.actor, id.as_str(), details).await?;
    Ok(to("/app/account?done=saved"))
}

async fn password(Sent(visit, fields): Sent) -> Answer {
    let id = visit.account()?;
    let (current, new) = (fields.raw("current").unwrap_or_default(), fields.raw("new").unwrap_or_default());
    match visit.service().change_password(&visit.actor, id.as_str(), current, new).await {
        Ok(()) => Ok(to("/app/account?done=password")),
        Err(error) => again(&visit, Form::Password, &fields, error).await,
    }
}

async fn channels(Sent(visit, fields): Sent) -> Answer {
    visit.account()?;
    let before = visit.service().get_contact(&visit.actor, None).await?;
    let mut channels: Vec<String> = Vec::new();
    for (_, value) in fields.iter().filter(|(name, value)| *name == "channel" && !value.is_empty()) {
        if !channels.iter().any(|known| known == value) {
            channels.push(value.to_owned());
        }
    }
    if channels.is_empty() || fields.get("quiet_from").is_some() != fields.get("quiet_until").is_some() {
        let words = visit.t(
            "저장하지 않았습니다. 알림 받는 방법을 하나 이상 고르고, 조용한 시간은 시작과 끝을 모두 적어 주세요.",
            "Not saved: choose at least one way to be told, and give quiet hours a beginning and an end.",
        );
        let shown = whole(&visit, &fields, Some((Form::Channels, words))).await?;
        return Ok(page_with(StatusCode::BAD_REQUEST, shown));
    }
    let quiet = fields.owned("quiet_from").zip(fields.owned("quiet_until"));
    let webhook_url = fields.owned("webhook_url");
    let change = ContactChange {
        phone: fields.owned("phone").into(),
        language: fields.owned("language"),
        channels: Some(channels),
        quiet: quiet.map(|(from, until)| Quiet { from, until }).into(),
        // Another secret comes with every address that is set: who only changes his telephone keeps the one he has.
        webhook_url: if webhook_url == before.webhook_url { Change::Leave } else { webhook_url.into() },
    };
    let contact = match visit.service().update_contact(&visit.actor, None, change).await {
        Ok(contact) => contact,
        Err(error) => return again(&visit, Form::Channels, &fields, error).await,
    };
    if let Some(secret) = contact.webhook_secret {
        let title = visit.t("웹훅 비밀", "Secret of the webhook");
        return Ok(page(frame::plain(
            &visit,
            title,
            &Live::No,
            html! {
                p { (visit.t("호출은 이 비밀로 서명됩니다. 다시 보여 드리지 않습니다.", "Calls are signed with this. It is not shown again.")) }
                p { code { (secret) } }
                p { a.button href="/app/account?done=saved" { (visit.t("적어 두었습니다", "I have kept it")) } }
            },
        )));
    }
    Ok(to("/app/account?done=saved"))
}

async fn test(Sent(visit, fields): Sent) -> Answer {
    visit.account()?;
    let tested = visit.service().test_contact(&visit.actor, None, fields.text("channel")).await?;
    if tested.is_delivered {
        return Ok(to("/app/account?tested"));
    }
    let title = visit.t("시험 알림", "Test");
    Ok(page(frame::plain(
        &visit,
        title,
        &Live::No,
        html! {
            p.notice.bad role="alert" {
                (visit.t("시험 알림을 보낼 수 없었습니다: ", "The test could not be sent: ")) (visit.t(&tested.said.ko, &tested.said.en))
            }
            p { a.button href="/app/account#channels" { (visit.t("내 계정으로", "To my account")) } }
        },
    )))
}

async fn remove_device(Sent(visit, _): Sent) -> Answer {
    visit.account()?;
    visit.service().unsubscribe(&visit.actor, None, visit.number(0)?).await?;
    Ok(to("/app/account?done=deleted#channels"))
}

async fn end_sessions(Sent(visit, _): Sent) -> Answer {
    visit.account()?;
    let own = visit.actor.session().map(|session| session.id);
    for session in visit.service().list_sessions(&visit.actor, None).await? {
        if Some(session.id) != own && session.kind == SessionKind::Person && session.revoked_at.is_none() {
            visit.service().end_session(&visit.actor, session.id, false).await?;
        }
    }
    Ok(to("/app/account?done=saved"))
}

async fn delete(Sent(visit, fields): Sent) -> Answer {
    let id: AccountId = visit.account()?;
    let password = fields.raw("password").unwrap_or_default();
    if let Err(error) = visit.service().delete_account(&visit.actor, id.as_str(), password).await {
        return again(&visit, Form::Deletion, &fields, error).await;
    }
    let mut response = to("/app/sign-in");
    if let Some(cookie) = visit.cookie().clear() {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
