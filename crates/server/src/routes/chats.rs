//! `/chats`

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use carebot_model::access::Action;
use carebot_model::chats::Turn;
use carebot_service::chats::{Reply, Talk};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::answer::{Answer, gives, new_page, says, streams, write_row};
use crate::app::App;
use crate::context::{Body, Caller, Path, Range};
use crate::error::Echo;
use crate::operation::{Api, delete, get, post};
use crate::routes::{filled, missing};

crate::form! {
    /// What the elder says.
    pub struct Chat {
        /// The elder's account.
        user_id: String,
        /// What was said.
        message: String,
        /// The conversation it belongs to; a new one if absent.
        session_id: String,
    }
}

const WHAT: &str = "Password data is required";
const SOME: &str = "Conversations retrieved successfully";
const NONE: &str = "No conversations found";
/// The pieces that wait for a slow reader: more than an answer has, so that he delays nobody.
const PIECES: usize = 4_096;

pub fn add(api: &mut Api) {
    api.add(
        post("/chats", Action::Chat, "Talk with the assistant")
            .takes::<Chat>()
            .gives::<Reply>(200, "Chat sent successfully")
            .raw(
                200,
                "text/event-stream",
                "With `Accept: text/event-stream`: events `piece` (`{\"text\"}`) while the answer is made, then one `done` \
                 (`{\"session_id\",\"bot_message\"}`) or `failed` (`{\"detail\"}`)",
            )
            .no_data(WHAT)
            .bounded()
            .fails("Failed to send chat"),
        chat,
    );
    api.add(
        get("/v1/chats/{user_id}", Action::ChatRead, "One's own conversations with the assistant")
            .range()
            .lists::<Turn>(SOME, NONE)
            .forbidden()
            .not_found("Account not found")
            .bounded_list(false),
        list,
    );
    api.add(
        delete("/v1/chats/{user_id}", Action::ChatDelete, "Delete an account's conversations with the assistant")
            .says(200, "Conversations deleted successfully")
            .forbidden()
            .not_found("Account not found"),
        remove,
    );
}

async fn chat(State(app): State<App>, caller: Caller, headers: HeaderMap, Body(form): Body<Chat>) -> Answer {
    let (user, message) = (filled(form.user_id.as_ref()), filled(form.message.as_ref()));
    missing("body", &[("user_id", user.is_some()), ("message", message.is_some())], WHAT).echo(&form)?;
    let (user, message) = (user.unwrap_or_default(), message.unwrap_or_default());
    let talk = app.service().hear(&caller, user, message, filled(form.session_id.as_ref())).await.echo(&form)?;
    if wants_pieces(&headers) {
        return Ok(in_pieces(&app, talk));
    }
    let reply = app.service().answer(&talk, None).await.echo(&form)?;
    gives(StatusCode::OK, "Chat sent successfully", &reply)
}

fn wants_pieces(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accepts.flat_map(|accept| accept.split(',')).any(|kind| kind.trim().starts_with("text/event-stream"))
}

/// Answers piece by piece. The answer is made to its end even if the robot hangs up, for the history.
fn in_pieces(app: &App, talk: Talk) -> Response {
    let (sender, pieces) = mpsc::channel(PIECES);
    let service = app.service().clone();
    let answered = app.tasks().spawn(async move { service.answer(&talk, Some(&sender)).await });
    Sse::new(events(pieces, answered)).into_response()
}

fn events(
    pieces: mpsc::Receiver<String>,
    answered: JoinHandle<carebot_service::Result<Reply>>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some((pieces, answered)), async |state| {
        let (mut pieces, answered) = state?;
        if let Some(piece) = pieces.recv().await {
            return Some((Ok(event("piece", &json!({ "text": piece }))), Some((pieces, answered))));
        }
        let last = match answered.await {
            Ok(Ok(reply)) => event("done", &json!(reply)),
            other => {
                if let Err(failure) = other {
                    tracing::error!(%failure, "an answer in pieces broke down");
                }
                event("failed", &json!({"detail": {"type": "server error", "message": "Failed to send chat"}}))
            }
        };
        Some((Ok(last), None))
    })
}

fn event(name: &str, data: &serde_json::Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

async fn list(State(app): State<App>, caller: Caller, path: Path, Range(range): Range) -> Answer {
    let bounds = (range.start, range.end, range.order);
    let pages = app.service().list_chats(&caller, path.one(), bounds, new_page, write_row).await;
    streams(pages.echo(&range.echo())?, SOME, NONE).await
}

async fn remove(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    app.service().delete_chats(&caller, path.one()).await?;
    says(StatusCode::OK, "Conversations deleted successfully")
}
