//! All that is known of somebody, as one file to take away.

use std::io;

use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::get;
use carebot_database::messages::Mailbox;
use carebot_model::FamilyId;
use carebot_model::backgrounds::Uploader;
use carebot_model::status::{Active, Health, Home, Mental, MentalReport, StatusKind};
use carebot_model::wire::Order;
use carebot_service::Error;
use carebot_service::pages::{Extent, Pages as Rows};
use futures_util::{StreamExt, stream};
use http::{HeaderValue, header};
use serde::Serialize;
use tokio::sync::mpsc;

use super::super::visit::Visit;
use super::super::{Answer, Pages, found};
use crate::answer::{new_page, write_row};
use crate::json;

/// How many of a family's alarms are given.
const ALARMS: u32 = 500;

pub(crate) fn add(pages: Pages) -> Pages {
    pages.at("/app/account/export", get(export))
}

/// What a download is written into. It waits until what was written before is on its way.
struct Download {
    sender: mpsc::Sender<Result<Bytes, io::Error>>,
    written: Vec<u8>,
}

/// Why a download ended before its end.
enum Broken {
    /// Nobody takes it any more.
    Gone,
    /// A use case failed.
    Failed(Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Download {
    /// The next member of the object, all at once.
    async fn member(&mut self, name: &str, value: &impl Serialize) -> Result<(), Broken> {
        self.begin(name);
        json::write(&mut self.written, value);
        self.flush().await
    }

    /// The next member of the object, a list, page by page; and whether it is all that there is.
    async fn list(&mut self, name: &str, mut rows: Rows<Vec<u8>>) -> Result<(), Broken> {
        self.begin(name);
        self.written.push(b'[');
        let mut is_first = true;
        while let Some((page, count)) = rows.next().await? {
            if count > 0 {
                if !std::mem::take(&mut is_first) {
                    self.written.push(b',');
                }
                self.written.extend_from_slice(&page);
                self.flush().await?;
            }
        }
        self.written.push(b']');
        self.member(&format!("{name}_is_whole"), &(rows.extent == Extent::Whole)).await
    }

    fn begin(&mut self, name: &str) {
        if self.written.last().is_some_and(|last| *last != b'{') {
            self.written.push(b',');
        }
        json::write(&mut self.written, name);
        self.written.push(b':');
    }

    /// Sends what was written, but for its last byte, which tells how to go on.
    async fn flush(&mut self) -> Result<(), Broken> {
        let last = self.written.split_off(self.written.len().saturating_sub(1));
        let page = std::mem::replace(&mut self.written, last);
        self.sender.send(Ok(page.into())).await.map_err(|_| Broken::Gone)
    }
}

/// What is known of a family that somebody belongs to.
#[derive(Serialize)]
struct Known<F: Serialize, S: Serialize, M: Serialize, A: Serialize, P: Serialize> {
    family: F,
    settings: S,
    members: M,
    alarms: A,
    newest: Newest,
    pictures: P,
}

/// The newest report of every kind.
#[derive(Serialize)]
struct Newest {
    home: serde_json::Value,
    health: serde_json::Value,
    active: serde_json::Value,
    mental: serde_json::Value,
    mental_report: serde_json::Value,
}

async fn export(visit: Visit) -> Answer {
    let own = visit.account()?;
    // Whether there is anything to take away is known before the answer begins.
    visit.service().get_account(&visit.actor, own.as_str()).await?;
    let name = format!("carebot-{}.json", visit.now.date());
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        let mut download = Download { sender, written: vec![b'{'] };
        let end = match write(&visit, &mut download).await {
            Ok(()) => {
                download.written.push(b'}');
                Ok(download.written.into())
            }
            Err(Broken::Gone) => return,
            Err(Broken::Failed(error)) => {
                // It has begun: all that can be done is to break it off, so that nobody takes it for whole.
                tracing::error!(?error, "an export was broken off while it was sent");
                Err(io::Error::other("the export was broken off"))
            }
        };
        // Nobody waits for the end if nobody takes it.
        let _ = download.sender.send(end).await;
    });
    // Compression asks once more after the end.
    let pieces = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let mut response = Response::new(Body::from_stream(pieces.fuse()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

async fn write(visit: &Visit, download: &mut Download) -> Result<(), Broken> {
    let (service, actor) = (visit.service(), &*visit.actor);
    let account = actor.account().ok_or(Error::Forbidden)?;
    let own = account.as_str();
    download.member("exported_at", &visit.now).await?;
    download.member("account", &service.get_account(actor, own).await?).await?;
    download.member("contact", &service.get_contact(actor, None).await?).await?;
    download.member("memberships", &service.list_members(actor, None, Some(own)).await?).await?;
    download.member("join_requests", &asked(visit).await?).await?;
    let newest_first = (None, None, Order::Descending);
    let received = service.list_messages(actor, Mailbox::Received, newest_first, new_page, write_row).await?;
    download.list("messages_received", received).await?;
    let sent = service.list_messages(actor, Mailbox::Sent, newest_first, new_page, write_row).await?;
    download.list("messages_sent", sent).await?;
    let chats = service.list_chats(actor, own, newest_first, new_page, write_row).await?;
    download.list("chats", chats).await?;
    download.begin("families");
    download.written.push(b'[');
    for (number, family) in actor.families().enumerate() {
        if number > 0 {
            download.written.push(b',');
        }
        known(visit, family, &mut download.written).await?;
        download.flush().await?;
    }
    download.written.push(b']');
    Ok(())
}

async fn asked(visit: &Visit) -> Result<Vec<carebot_model::members::JoinRequest>, Error> {
    let mut requests = visit.service().list_join_requests(&visit.actor).await?;
    // Those of others to the visitor's family are not his.
    requests.retain(|request| Some(request.user_id) == visit.actor.account());
    Ok(requests)
}

async fn known(visit: &Visit, family: FamilyId, into: &mut Vec<u8>) -> Result<(), Error> {
    let (service, actor, id) = (visit.service(), &*visit.actor, family.as_str());
    let members = service.list_places(actor, id).await?;
    let known = Known {
        family: service.get_family(actor, id).await?,
        settings: service.get_settings(actor, id).await?,
        members: members.into_iter().map(|(place, _)| place).collect::<Vec<_>>(),
        alarms: service.list_alarms(actor, id, false, None, ALARMS).await?,
        newest: Newest {
            home: newest::<Home>(visit, id).await?,
            health: newest::<Health>(visit, id).await?,
            active: newest::<Active>(visit, id).await?,
            mental: newest::<Mental>(visit, id).await?,
            mental_report: newest::<MentalReport>(visit, id).await?,
        },
        pictures: found(service.list_backgrounds(actor, id, Uploader::Mine).await)?.unwrap_or_default(),
    };
    json::write(into, &known);
    Ok(())
}

async fn newest<K: StatusKind>(visit: &Visit, family: &str) -> Result<serde_json::Value, Error> {
    let report = found(visit.service().latest_report::<K>(&visit.actor, family).await)?;
    Ok(report.map_or(serde_json::Value::Null, |report| serde_json::json!(report)))
}
