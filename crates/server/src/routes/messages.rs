//! `/messages`

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::response::Response;
use axum::routing::MethodFilter;
use carebot_database::messages::Mailbox;
use carebot_model::access::Action;
use carebot_model::messages::{Message, Receivable};
use carebot_model::wire::Processed;
use carebot_model::{AccountId, RowId, Timestamp};
use carebot_service::idempotency::Request;
use carebot_service::messages::Receivables;
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::Value;

use crate::answer::{Answer, corrected, gives, new_page, says, streams, write_row};
use crate::app::App;
use crate::context::{Body, Caller, IdempotencyKey, Path, Range, SensedAt};
use crate::error::{ApiError, Echo, method_not_allowed};
use crate::extract::path;
use crate::operation::{Api, delete, get, patch, post};
use crate::routes::{filled, missing};

crate::form! {
    /// A message to be sent.
    pub struct SendMessage {
        /// Who writes.
        from_id: String,
        /// Who it is for.
        to_id: String,
        /// The text.
        content: String,
        /// A picture.
        image_url: String,
    }
}

crate::form! {
    /// Several rows.
    pub struct Many {
        /// Their numbers; an element that is none is answered with 404.
        index_list: Vec<Value>,
    }
}

/// A message that has just been read: `is_read` comes last.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ReadMessage {
    index: RowId,
    from_id: AccountId,
    to_id: AccountId,
    created_at: Timestamp,
    content: Option<String>,
    image_url: Option<String>,
    is_read: bool,
}

impl From<Message> for ReadMessage {
    fn from(message: Message) -> Self {
        let Message { index, from_id, to_id, created_at, content, image_url, is_read, .. } = message;
        Self { index, from_id, to_id, created_at, content, image_url, is_read }
    }
}

const WHO: &str = "Account id data is required";
const WHICH: &str = "Message id data is required";
const MISSING: &str = "Message does not exist";
const SPOKEN: &str = "Message noted as spoken";

pub fn add(api: &mut Api) {
    api.add(
        get("/messages/receivable/{user_id}", Action::ReceivableRead, "To whom an account may write")
            .gives::<Vec<Receivable>>(200, "Receivable account retrieved successfully")
            .raw(204, "", "An operator may write to everybody")
            .forbidden()
            .not_found("No receivable account"),
        receivable,
    );
    api.add(
        post("/messages/send", Action::MessageSendAs, "Send a message")
            .takes::<SendMessage>()
            .says(201, "Message sent successfully")
            .no_data(WHO)
            .not_found("Received user does not exist")
            .not_found("Sending user does not exist")
            .bounded()
            .keyed()
            .called()
            .conflict(carebot_service::idempotency::USED),
        send,
    );
    api.add(
        list_operation(
            "/messages/new",
            "Messages received and not read",
            "New received messages retrieved successfully",
            "No new received messages",
        ),
        new,
    );
    api.add(
        list_operation(
            "/messages/all",
            "Messages received",
            "All received messages retrieved successfully",
            "No received messages",
        ),
        all,
    );
    api.add(
        list_operation(
            "/messages/sent",
            "Messages sent",
            "All sent messages retrieved successfully",
            "No sent messages",
        ),
        sent,
    );
    api.add(
        patch("/messages/read/{message_id}", Action::MessageMarkRead, "Mark a received message as read")
            .row()
            .gives::<ReadMessage>(200, "Message read successfully")
            .not_found(MISSING),
        read,
    );
    // The robot's voice program sends this when it has read a message out, and has only ever got 405. It gets that again: were
    // the message marked as read, it would vanish from the existing page, which shows those that are not.
    api.beside("/messages/read/{message_id}", MethodFilter::POST, read_out);
    api.add(
        post("/v1/messages/{message_id}/spoken", Action::MessageMarkRead, "Say that the robot has read a message out")
            .row()
            .says(200, SPOKEN)
            .not_found(MISSING),
        spoken,
    );
    api.add(
        patch("/messages/read-many", Action::MessageMarkRead, "Mark several received messages as read")
            .takes::<Many>()
            .gives::<Vec<Processed>>(200, "Results of the read message operation")
            .no_data(WHICH)
            .invalid(crate::error::TOO_LONG),
        read_many,
    );
    api.add(
        delete("/messages/delete/{message_id}", Action::MessageDelete, "Delete a message")
            .row()
            .says(200, "Message deleted successfully")
            .not_found(MISSING),
        remove,
    );
}

fn list_operation(
    path: &'static str,
    summary: &'static str,
    some: &'static str,
    none: &'static str,
) -> crate::operation::Operation {
    get(path, Action::MessageRead, summary).range().lists::<Message>(some, none).forbidden().bounded_list(false)
}

async fn receivable(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    match app.service().receivables(&caller, path.one()).await? {
        Receivables::These(people) => gives(StatusCode::OK, "Receivable account retrieved successfully", &people),
        Receivables::All => {
            let mut response = Response::new(Bytes::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().remove(header::CONTENT_TYPE);
            Ok(response)
        }
    }
}

async fn send(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    sensed_at: SensedAt,
    Body(form): Body<SendMessage>,
) -> Answer {
    let (from, to) = (filled(form.from_id.as_ref()), filled(form.to_id.as_ref()));
    missing("body", &[("from_id", from.is_some()), ("to_id", to.is_some())], WHO).echo(&form)?;
    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
    let (content, image) = (form.content.clone(), form.image_url.clone());
    let request = Request { key: key.0.as_deref(), sensed_at: sensed_at.0 };
    let sent = app.service().send_message(&caller, from, to, content, image, request).await;
    let (_, is_corrected) = sent.echo(&form)?;
    Ok(corrected(says(StatusCode::CREATED, "Message sent successfully")?, is_corrected))
}

async fn mailbox(
    app: &App,
    caller: &Caller,
    which: Mailbox,
    range: Range,
    some: &'static str,
    none: &'static str,
) -> Answer {
    let range = (range.0.start, range.0.end, range.0.order);
    let pages = app.service().list_messages(caller, which, range, new_page, write_row).await?;
    streams(pages, some, none).await
}

async fn new(State(app): State<App>, caller: Caller, range: Range) -> Answer {
    mailbox(
        &app,
        &caller,
        Mailbox::Unread,
        range,
        "New received messages retrieved successfully",
        "No new received messages",
    )
    .await
}

async fn all(State(app): State<App>, caller: Caller, range: Range) -> Answer {
    mailbox(
        &app,
        &caller,
        Mailbox::Received,
        range,
        "All received messages retrieved successfully",
        "No received messages",
    )
    .await
}

async fn sent(State(app): State<App>, caller: Caller, range: Range) -> Answer {
    mailbox(&app, &caller, Mailbox::Sent, range, "All sent messages retrieved successfully", "No sent messages").await
}

async fn read(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let message = app.service().read_message(&caller, path::row("message_id", path.one())?).await?;
    gives(StatusCode::OK, "Message read successfully", &ReadMessage::from(message))
}

async fn spoken(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    app.service().message_spoken(&caller, path::row("message_id", path.one())?).await?;
    says(StatusCode::OK, SPOKEN)
}

async fn read_out(State(app): State<App>, caller: Result<Caller, ApiError>, path: Path) -> Response {
    // Whoever it is and whatever happens, the answer is the same.
    if let (Ok(caller), Ok(id)) = (caller, path::row("message_id", path.one())) {
        match app.service().message_spoken(&caller, id).await {
            Ok(()) | Err(carebot_service::Error::NotFound(_) | carebot_service::Error::Forbidden) => {}
            // The answer says nothing of it, so the log has to.
            Err(error) => tracing::warn!(?error, message = id.0, "that a message was read out could not be noted"),
        }
    }
    method_not_allowed().await
}

async fn read_many(State(app): State<App>, caller: Caller, Body(form): Body<Many>) -> Answer {
    caller.account().ok_or(carebot_service::Error::Forbidden)?;
    let elements = many(&form, WHICH).echo(&form)?;
    let results = app.service().read_messages(&caller, elements).await?;
    gives(StatusCode::OK, "Results of the read message operation", &results)
}

/// The elements of a read-many, or the contract's 422; more than [`carebot_service::messages::MANY`] are too many.
pub fn many(form: &Many, message: &'static str) -> Result<Vec<Value>, carebot_service::Error> {
    let elements = form.index_list.clone().unwrap_or_default();
    missing("body", &[("index_list", !elements.is_empty())], message)?;
    if elements.len() > carebot_service::messages::MANY {
        return Err(carebot_service::Error::TooLong("index_list"));
    }
    Ok(elements)
}

async fn remove(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    app.service().delete_message(&caller, path::row("message_id", path.one())?).await?;
    says(StatusCode::OK, "Message deleted successfully")
}
