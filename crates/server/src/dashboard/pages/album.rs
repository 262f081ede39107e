//! The album: pictures that the robot shows in the background.

use axum::extract::{Request, State};
use axum::routing::{get, post};
use carebot_model::AccountId;
use carebot_model::backgrounds::{Background, Uploader};
use maud::{Markup, html};

use super::super::frame::{self, Tab};
use super::super::visit::{Sent, Visit};
use super::super::{Answer, Pages, found, page, to};
use super::home::{Names, names, own_picture};
use super::parcel::{Parcel, missing, unpack};
use crate::app::App;

pub(crate) fn add(pages: Pages) -> Pages {
    pages
        .at("/app/families/{family}/album", get(album).post(upload))
        .at("/app/families/{family}/album/{picture}/delete", post(delete))
}

/// The address of a small picture at this server.
fn thumbnail(address: &str) -> String {
    address.find("/access/").map_or_else(|| address.to_owned(), |place| format!("{}?w=320", &address[place..]))
}

async fn album(visit: Visit) -> Answer {
    let family = visit.family()?;
    let names = names(&visit, family).await?;
    let service = visit.service();
    let pictures =
        found(service.list_backgrounds(&visit.actor, family.as_str(), Uploader::All).await)?.unwrap_or_default();
    let elder = service.get_family(&visit.actor, family.as_str()).await?.main_user;
    let members = service.list_places(&visit.actor, family.as_str()).await?;
    let members: Vec<_> = members.into_iter().map(|(place, name)| (place.user_id, name)).collect();
    let by = |user: AccountId| by(&visit, user, (elder, &names), &members);
    let content = html! {
        section {
            h2 { (visit.t("사진 올리기", "Add a picture")) }
            form.card method="post" enctype="multipart/form-data" action={ "/app/families/" (family) "/album" } {
                label { (visit.t("사진", "Picture"))
                    input type="file" name="file" accept="image/jpeg,image/png,image/gif,image/webp" required;
                }
                button.button { (visit.t("올리기", "Add")) }
                p.small { (visit.t("로봇 화면의 배경으로 보입니다.", "The robot shows it in the background of its screen.")) }
            }
        }
        section #pictures data-part {
            h2 { (visit.t("사진", "Pictures")) " (" (pictures.len()) ")" }
            @if pictures.is_empty() {
                p { (visit.t("아직 사진이 없습니다. 가족사진을 올려 보세요.", "There is no picture yet. Add one of the family.")) }
            }
            ul.album { @for picture in pictures.iter().rev() { (shown(&visit, picture, &by(picture.uploader_id))) } }
        }
    };
    let title = visit.t("앨범", "Album");
    Ok(page(frame::family(&visit, family, Tab::Album, (&names.family, title), content)))
}

/// Whose picture it is, in words.
fn by(visit: &Visit, user: AccountId, (elder, names): (AccountId, &Names), members: &[(AccountId, String)]) -> String {
    let member = || members.iter().find(|(id, name)| *id == user && !name.is_empty()).map(|(_, name)| name.as_str());
    if visit.actor.account() == Some(user) {
        return visit.t("내가 올린 사진", "A picture of mine").to_owned();
    }
    match if user == elder { Some(names.elder.as_str()) } else { member() } {
        Some(name) => visit.t(format!("올린 사람: {name}"), format!("Added by {name}")),
        None => visit.t("가족사진", "A picture of the family").to_owned(),
    }
}

fn shown(visit: &Visit, picture: &Background, by: &str) -> Markup {
    html! {
        li {
            @if let Some(address) = &picture.image_url {
                a href=(own_picture(address)) { img src=(thumbnail(address)) loading="lazy" alt=(by); }
            }
            p.small { (by) }
            details {
                summary { (visit.t("지우기", "Delete")) }
                form method="post" action={ "/app/families/" (picture.family_id) "/album/" (picture.id.0) "/delete" } {
                    button.button.danger { (visit.t("이 사진을 지웁니다", "Delete this picture")) }
                }
            }
        }
    }
}

async fn upload(State(app): State<App>, request: Request) -> Answer {
    let Parcel { visit, picture, .. } = unpack(&app, request).await?;
    let family = visit.family()?;
    let picture = picture?.ok_or_else(|| missing("A picture is required"))?;
    visit.service().add_background(&visit.actor, family.as_str(), Some(picture)).await?;
    Ok(to(&format!("/app/families/{family}/album?done=saved")))
}

async fn delete(Sent(visit, _): Sent) -> Answer {
    let family = visit.family()?;
    visit.service().delete_background(&visit.actor, family.as_str(), visit.number(1)?).await?;
    Ok(to(&format!("/app/families/{family}/album?done=deleted")))
}
