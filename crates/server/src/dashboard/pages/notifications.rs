//! What a family was told: unread first, as people read it.

use axum::routing::{get, post};
use carebot_model::FamilyId;
use carebot_model::alarms::AlarmView;
use carebot_model::notifications::{Grade, Notification};
use carebot_model::wire::Order;
use carebot_service::Error;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::frame::{self, Tab};
use super::super::speech::when;
use super::super::visit::{Sent, Visit};
use super::super::{Answer, Pages, page, to};
use super::home::{names, picture};

/// How many are shown.
const LAST: usize = 100;

pub(crate) fn add(pages: Pages) -> Pages {
    pages
        .at("/app/families/{family}/notifications", get(notifications))
        .at("/app/families/{family}/notifications/read", post(read))
}

/// What a notification says.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    title: Option<String>,
    text: String,
    regions: Option<String>,
}

/// Reads what stands in a notification: of one that is critical a title and a text with a comma between them, of a disaster
/// message a JSON object, of everything else a text.
fn said(grade: Option<Grade>, description: &str) -> Said {
    if let Ok(Value::Object(disaster)) = serde_json::from_str::<Value>(description) {
        let field = |name: &str| {
            let text = disaster.get(name).and_then(Value::as_str).map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let title: Vec<String> = [field("EMRG_STEP_NM"), field("DST_SE_NM")].into_iter().flatten().collect();
        return Said {
            title: Some(title.join(" ")).filter(|title| !title.is_empty()),
            text: field("MSG_CN").unwrap_or_default(),
            regions: field("RCPTN_RGN_NM").map(|regions| regions.split_whitespace().collect::<Vec<_>>().join(" ")),
        };
    }
    match description.split_once(',') {
        Some((title, text)) if grade == Some(Grade::Crit) => {
            Said { title: Some(title.trim().to_owned()), text: text.trim().to_owned(), regions: None }
        }
        _ => Said { title: None, text: description.trim().to_owned(), regions: None },
    }
}

/// How urgent a notification is.
fn grade(visit: &Visit, grade: Option<Grade>) -> &'static str {
    match grade {
        Some(Grade::Crit) => visit.t("위급", "Critical"),
        Some(Grade::Warn) => visit.t("주의", "Warning"),
        Some(Grade::Info) => visit.t("안내", "For information"),
        Some(Grade::None) | None => visit.t("알림", "Notice"),
    }
}

async fn newest(visit: &Visit, family: FamilyId) -> Result<Vec<Notification>, Error> {
    let range = (None, None, Order::Descending);
    let mut pages = visit
        .service()
        .list_notifications(&visit.actor, family.as_str(), false, range, Vec::new, |page, notification| {
            if page.len() < LAST {
                page.push(notification.clone());
            }
        })
        .await?;
    Ok(pages.next().await?.map(|(page, _)| page).unwrap_or_default())
}

async fn notifications(visit: Visit) -> Answer {
    let family = visit.family()?;
    let names = names(&visit, family).await?;
    let all = newest(&visit, family).await?;
    let alarms = visit.service().list_alarms(&visit.actor, family.as_str(), true, None, 50).await?;
    let (read, unread): (Vec<_>, Vec<_>) = all.iter().partition(|notification| notification.is_read);
    let is_elder = visit.actor.own_family() == Some(family);
    let content = html! {
        p.small {
            @if is_elder {
                (visit.t("읽음으로 표시해도 알람은 그대로입니다. 알람은 보호자가 확인합니다.", "Marking a notice as read leaves its alarm as it is: guardians acknowledge alarms."))
            } @else {
                (visit.t("읽음으로 표시하면, 그 알림이 알려 준 알람도 확인한 것이 됩니다.", "Marking a notice as read also acknowledges the alarm that it tells of."))
            }
        }
        section #unread data-part aria-live="polite" {
            h2 { (visit.t("읽지 않은 알림", "Not read yet")) @if !unread.is_empty() { " (" (unread.len()) ")" } }
            @if unread.is_empty() { p { (visit.t("모두 읽었습니다.", "Everything was read.")) } }
            @else if unread.len() > 1 {
                form method="post" action={ "/app/families/" (family) "/notifications/read" } {
                    @for notification in &unread { input type="hidden" name="index" value=(notification.index.0); }
                    button.button.quiet { (visit.t("모두 읽음으로 표시", "Mark all as read")) }
                }
            }
            @for notification in &unread { (card(&visit, family, notification, &alarms)) }
        }
        section #read data-part {
            h2 { (visit.t("읽은 알림", "Read")) }
            @if read.is_empty() { p { (visit.t("아직 없습니다.", "None yet.")) } }
            @for notification in &read { (card(&visit, family, notification, &alarms)) }
            @if all.len() >= LAST { p.small { (visit.t("최근 100개만 보여 드립니다.", "These are the newest 100.")) } }
        }
    };
    let title = visit.t("알림", "Notices");
    Ok(page(frame::family(&visit, family, Tab::Notifications, (&names.family, title), content)))
}

fn card(visit: &Visit, family: FamilyId, notification: &Notification, alarms: &[AlarmView]) -> Markup {
    let known = notification.notification_grade;
    let said = said(known, notification.description.as_deref().unwrap_or_default());
    let name = grade(visit, known);
    let look = match known {
        Some(Grade::Crit) if !notification.is_read => "crit",
        Some(Grade::Crit | Grade::Warn) => "warn",
        _ => "info",
    };
    let alarm = alarms.iter().find(|alarm| alarm.notification == Some(notification.index));
    html! {
        article.alarm.(look) {
            h3 { span.badge { (name) } @if let Some(title) = &said.title { " " (title) } }
            @if !said.text.is_empty() { p { (said.text) } }
            @if let Some(regions) = &said.regions { p.small { (visit.t("받은 지역: ", "Sent to: ")) (regions) } }
            p.small {
                (when(visit, notification.created_at))
                @if !notification.is_read { " · " strong { (visit.t("읽지 않음", "not read")) } }
            }
            @if let Some(image) = &notification.image_url { (picture(visit, image)) }
            div.acts {
                @if !notification.is_read {
                    form method="post" action={ "/app/families/" (family) "/notifications/read" } {
                        input type="hidden" name="index" value=(notification.index.0);
                        button.button { (visit.t("읽음", "Mark as read")) }
                    }
                }
                @if let Some(alarm) = alarm {
                    a.button.quiet href={ "/app/families/" (family) "/alarms/" (alarm.id.0) } { (visit.t("알람 보기", "See the alarm")) }
                }
            }
        }
    }
}

/// Marks those as read that were shown: what came meanwhile nobody has seen.
async fn read(Sent(visit, fields): Sent) -> Answer {
    let family = visit.family()?;
    let chosen = fields.iter().filter(|(name, _)| *name == "index").take(LAST);
    let chosen: Vec<Value> = chosen.map(|(_, index)| json!(index)).collect();
    visit.service().read_notifications(&visit.actor, chosen).await?;
    Ok(to(&format!("/app/families/{family}/notifications?done=saved")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_by_its_form() {
        let text = |title: Option<&str>, text: &str, regions: Option<&str>| Said {
            title: title.map(str::to_owned),
            text: text.to_owned(),
            regions: regions.map(str::to_owned),
        };
        let crit = Some(Grade::Crit);
        assert_eq!(said(crit, "낙상감지"), text(None, "낙상감지", None));
        assert_eq!(said(crit, "가스 위험,지금, 확인"), text(Some("가스 위험"), "지금, 확인", None));
        assert_eq!(said(Some(Grade::Info), "약, 드셨어요"), text(None, "약, 드셨어요", None));
        let disaster = r#"{"DST_SE_NM":"호우","EMRG_STEP_NM":"안전안내","MSG_CN":"비가 옵니다","RCPTN_RGN_NM":"서울특별시  종로구 "}"#;
        assert_eq!(
            said(Some(Grade::Warn), disaster),
            text(Some("안전안내 호우"), "비가 옵니다", Some("서울특별시 종로구"))
        );
        assert_eq!(said(Some(Grade::Warn), "{}"), text(None, "", None));
        assert_eq!(said(None, "{broken"), text(None, "{broken", None));
    }
}
