//! Messages between the elder and those who look after her, with pictures.

use axum::extract::{Request, State};
use axum::routing::{get, post};
use carebot_database::messages::Mailbox;
use carebot_model::accounts::Role;
use carebot_model::messages::{Message, Receivable};
use carebot_model::wire::Order;
use carebot_model::{AccountId, FamilyId};
use carebot_service::messages::Receivables;
use carebot_service::{Error, idempotency};
use http::{HeaderMap, header};
use maud::{Markup, html};
use serde_json::json;

use super::super::frame::{self, Tab};
use super::super::problem::{self, Problem};
use super::super::speech::when;
use super::super::visit::{Sent, Visit};
use super::super::{Answer, Pages, found, page, to};
use super::home::{Names, names, picture};
use super::parcel::{Parcel, missing, unpack};
use crate::app::App;

/// How many messages of a talk are shown.
const LAST: u32 = 100;

pub(crate) fn add(pages: Pages) -> Pages {
    pages
        .at("/app/families/{family}/messages", get(messages).post(send))
        .at("/app/families/{family}/messages/{message}/delete", post(withdraw))
}

/// Somebody to write to.
struct Other {
    id: AccountId,
    name: String,
    unread: usize,
}

/// Whom of a family one can write to.
async fn others(visit: &Visit, family: FamilyId, names: &Names) -> Result<Vec<Other>, Error> {
    let own = visit.actor.account().ok_or(Error::Forbidden)?;
    let elder = visit.service().get_family(&visit.actor, family.as_str()).await?.main_user;
    let known = match visit.role() {
        // Operators do not write letters.
        Some(Role::System) => Vec::new(),
        // Who sees the family and is not its elder is one of those who look after her.
        _ if visit.actor.own_family() != Some(family) => {
            vec![Receivable { user_id: elder, name: names.elder.clone() }]
        }
        _ => match found(visit.service().receivables(&visit.actor, own.as_str()).await)? {
            Some(Receivables::These(known)) => known,
            Some(Receivables::All) | None => Vec::new(),
        },
    };
    let mut unread = visit
        .service()
        .list_messages(&visit.actor, Mailbox::Unread, (None, None, Order::Descending), Vec::new, |page, message| {
            page.push(message.from_id);
        })
        .await?;
    let unread: Vec<AccountId> = unread.next().await?.map(|(page, _)| page).unwrap_or_default();
    Ok(known
        .into_iter()
        .map(|person| Other {
            id: person.user_id,
            unread: unread.iter().filter(|from| **from == person.user_id).count(),
            name: called(visit, person.name),
        })
        .collect())
}

/// What to call a member.
fn called(visit: &Visit, name: String) -> String {
    if name.is_empty() { visit.t("이름 없음", "No name").to_owned() } else { name }
}

/// Whether somebody came to see this page, and no script asks for it once more or in advance.
fn is_visited(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-mode") {
        _ if text("sec-purpose").is_some_and(|purpose| purpose.contains("prefetch")) => false,
        Some(mode) => mode == "navigate",
        // Browsers say it only over connections that they trust; the script asks for nothing but HTML.
        None => text(header::ACCEPT.as_str()) != Some("text/html"),
    }
}

async fn messages(visit: Visit, headers: HeaderMap) -> Answer {
    let family = visit.family()?;
    let names = names(&visit, family).await?;
    let others = others(&visit, family, &names).await?;
    let title = visit.t("메시지", "Messages");
    let Some(with) = visit.query.get("with") else {
        let content = people(&visit, family, &others);
        return Ok(page(frame::family(&visit, family, Tab::Messages, (&names.family, title), content)));
    };
    Ok(page(talk(&visit, family, (&names, &others), with, Turn::Looks(is_visited(&headers))).await?))
}

/// What somebody does who sees what was written.
#[derive(Clone, Copy)]
enum Turn<'a> {
    /// Looks at it; whether it is he and not his browser, so that it counts as read.
    Looks(bool),
    /// Wrote what could not be sent: why, and what it was.
    Refused(&'a str, &'a str),
}

/// What was written to and by somebody, and the form to write more.
async fn talk(
    visit: &Visit,
    family: FamilyId,
    (names, others): (&Names, &[Other]),
    with: &str,
    turn: Turn<'_>,
) -> Result<Markup, Problem> {
    let own = visit.account()?;
    let talk = visit.service().talk(&visit.actor, with, LAST).await?;
    if matches!(turn, Turn::Looks(true)) {
        let unread = talk.iter().filter(|message| message.to_id == own && !message.is_read);
        let unread: Vec<_> = unread.map(|message| json!(message.index)).collect();
        if !unread.is_empty() {
            visit.service().read_messages(&visit.actor, unread).await?;
        }
    }
    let other = others.iter().find(|other| other.id.as_str() == with);
    let name = other.map_or_else(|| visit.t("전에 가족이던 분", "Somebody who left the family"), |other| &other.name);
    let title = visit.t(format!("{name}: 메시지"), format!("{name}: messages"));
    let content = html! {
        p { a href={ "/app/families/" (family) "/messages" } { (visit.t("다른 사람에게 쓰기", "Write to somebody else")) } }
        section #talk data-part aria-live="polite" aria-label=(visit.t("주고받은 메시지", "What was written")) {
            @if talk.is_empty() { p { (visit.t("아직 주고받은 메시지가 없습니다. 첫 인사를 남겨 보세요.", "Nothing was written yet. Say hello.")) } }
            @if talk.len() >= LAST as usize { p.small { (visit.t("최근 100개만 보여 드립니다.", "These are the last 100.")) } }
            ol.talk { @for message in &talk { (line(visit, family, message, own, with)) } }
        }
        @if other.is_some() || matches!(turn, Turn::Refused(..)) { (write_form(visit, family, with, turn)) }
        @if other.is_none() { p.notice { (visit.t("이제 이 사람에게는 쓸 수 없습니다.", "You can not write to this person any more.")) } }
    };
    Ok(frame::family(visit, family, Tab::Messages, (&names.family, &title), content))
}

fn people(visit: &Visit, family: FamilyId, others: &[Other]) -> Markup {
    html! {
        section #people data-part {
            h2 { (visit.t("누구에게 쓸까요?", "To whom?")) }
            @if others.is_empty() {
                p { (visit.t("아직 메시지를 주고받을 사람이 없습니다. 가족 화면에서 초대해 보세요.", "There is nobody to write to yet. Invite somebody first.")) }
                p { a.button href={ "/app/families/" (family) "/people" } { (visit.t("가족", "Family")) } }
            }
            ul.lines {
                @for other in others {
                    li {
                        a.button.quiet href={ "/app/families/" (family) "/messages?with=" (other.id) "#write" } { (other.name) }
                        @if other.unread > 0 {
                            strong { (visit.t(format!("새 메시지 {}개", other.unread), format!("{} new", other.unread))) }
                        }
                    }
                }
            }
        }
    }
}

fn line(visit: &Visit, family: FamilyId, message: &Message, own: AccountId, with: &str) -> Markup {
    let is_mine = message.from_id == own;
    html! {
        li.mine[is_mine] {
            @if let Some(content) = &message.content {
                p { @for (number, text) in content.lines().enumerate() { @if number > 0 { br; } (text) } }
            }
            @if let Some(image) = &message.image_url { (picture(visit, image)) }
            p.small {
                (when(visit, message.created_at)) " · "
                @match (is_mine, message.is_read) {
                    (true, true) => (visit.t("읽음", "read")),
                    (true, false) => (visit.t("아직 안 읽음", "not read yet")),
                    (false, false) => strong { (visit.t("새 메시지", "new")) },
                    (false, true) => (visit.t("받음", "received")),
                }
                @if let Some(at) = message.spoken_at { " · " (visit.t("로봇이 읽어 드림", "read out by the robot")) " " (when(visit, at)) }
            }
            @if is_mine {
                form method="post" action={ "/app/families/" (family) "/messages/" (message.index.0) "/delete" } {
                    input type="hidden" name="with" value=(with);
                    button.button.quiet { (visit.t("지우기", "Delete")) }
                }
            }
        }
    }
}

fn write_form(visit: &Visit, family: FamilyId, with: &str, turn: Turn<'_>) -> Markup {
    let written = if let Turn::Refused(_, written) = turn { written } else { "" };
    html! {
        section #write {
            h2 { (visit.t("쓰기", "Write")) }
            @if let Turn::Refused(words, _) = turn { p.notice.bad role="alert" tabindex="-1" autofocus { (words) } }
            form.card method="post" enctype="multipart/form-data" action={ "/app/families/" (family) "/messages" } {
                input type="hidden" name="with" value=(with);
                label { (visit.t("보낼 말", "What to say")) textarea name="content" rows="3" maxlength="10000" { (written) } }
                label { (visit.t("사진 (없어도 됩니다)", "A picture (if you like)"))
                    input type="file" name="file" accept="image/jpeg,image/png,image/gif,image/webp";
                }
                button.button { (visit.t("보내기", "Send")) }
            }
        }
    }
}

async fn send(State(app): State<App>, request: Request) -> Answer {
    let Parcel { visit, fields, picture } = unpack(&app, request).await?;
    let (family, own) = (visit.family()?, visit.account()?);
    let (with, content) = (fields.text("with"), fields.owned("content"));
    let sent = match picture {
        Ok(None) if content.is_none() => Err(missing("A text or a picture is required")),
        Ok(picture) => visit
            .service()
            .send_message(&visit.actor, own.as_str(), with, content, picture, idempotency::Request::default())
            .await
            .map(drop),
        Err(error) => Err(error),
    };
    let Err(error) = sent else {
        return Ok(to(&format!("/app/families/{family}/messages?with={with}&done=sent#write")));
    };
    // Nobody writes it twice because of a picture that is too large.
    let words = match &error {
        Error::NoData { .. } => {
            visit.t("글이나 사진을 넣어 주세요.", "Please write something or choose a picture.").to_owned()
        }
        refused if refused.is_refusal() => problem::words(refused, visit.language),
        _ => return Err(error.into()),
    };
    let names = names(&visit, family).await?;
    let others = others(&visit, family, &names).await?;
    let shown = talk(&visit, family, (&names, &others), with, Turn::Refused(&words, fields.text("content"))).await?;
    Ok(problem::refused(error, shown))
}

async fn withdraw(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    visit.service().withdraw_message(&visit.actor, visit.number(1)?).await?;
    let with: String = form_urlencoded::byte_serialize(fields.text("with").as_bytes()).collect();
    Ok(to(&format!("/app/families/{family}/messages?with={with}&done=deleted")))
}
