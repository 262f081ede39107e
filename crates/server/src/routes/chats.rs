//! `/chats`

use axum::extract::State;
use carebot_model::access::Action;
use http::StatusCode;
use serde_json::Value;

use crate::answer::{Answer, gives};
use crate::app::App;
use crate::context::{Body, Caller};
use crate::error::Echo;
use crate::operation::{Api, post};
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

pub fn add(api: &mut Api) {
    api.add(
        post("/chats", Action::Chat, "Talk with the assistant")
            .takes::<Chat>()
            .gives::<Value>(200, "Chat sent successfully")
            .no_data(WHAT)
            .fails("Failed to send chat"),
        chat,
    );
}

async fn chat(State(app): State<App>, caller: Caller, Body(form): Body<Chat>) -> Answer {
    let (user, message) = (filled(form.user_id.as_ref()), filled(form.message.as_ref()));
    missing("body", &[("user_id", user.is_some()), ("message", message.is_some())], WHAT).echo(&form)?;
    let result = app.service().chat(&caller, user.unwrap_or_default()).await.echo(&form)?;
    gives(StatusCode::OK, "Chat sent successfully", &result)
}
