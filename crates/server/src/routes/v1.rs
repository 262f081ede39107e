//! `/v1`: what is not in the contract and has no noun there.

use axum::extract::State;
use carebot_model::AccountId;
use carebot_model::access::Action;
use carebot_model::authentication::Session;
use http::StatusCode;

use crate::answer::{Answer, lists, says};
use crate::app::App;
use crate::context::{Body, Caller, Path, RawQuery};
use crate::error::Echo;
use crate::extract::{Query, id_schema, path};
use crate::operation::{Api, delete, get};

crate::form! {
    /// How to end a session.
    pub struct EndSession {
        /// Must be true to end a robot's session: until it signs in again, its reports and alarms are refused.
        end_robot: bool,
    }
}

const MISSING: &str = "Session not found";

pub fn add(api: &mut Api) {
    api.add(
        get("/v1/sessions", Action::SessionList, "The sessions of an account, without their tokens")
            .query("userId", "The account; one's own if absent.", id_schema().to_value())
            .lists::<Session>("Sessions retrieved successfully", "No sessions found")
            .forbidden()
            .not_found("Account not found"),
        list,
    );
    api.add(
        delete("/v1/sessions/{session_id}", Action::SessionEnd, "End a session")
            .takes::<EndSession>()
            .row()
            .says(200, "Session ended successfully")
            .not_found(MISSING)
            .conflict("This session belongs to a robot: until it signs in again its reports and alarms are refused. Confirm to end it"),
        end,
    );
}

async fn list(State(app): State<App>, caller: Caller, RawQuery(raw): RawQuery) -> Answer {
    let mut query = Query::new(raw.as_deref());
    let user = query.id("userId", AccountId::parse);
    query.finish()?;
    let sessions = app.service().list_sessions(&caller, user.as_ref().map(AccountId::as_str)).await?;
    lists(&sessions, "Sessions retrieved successfully", "No sessions found")
}

async fn end(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<EndSession>) -> Answer {
    let id = path::row("session_id", path.one())?;
    app.service().end_session(&caller, id, form.end_robot.unwrap_or(false)).await.echo(&form)?;
    says(StatusCode::OK, "Session ended successfully")
}
