//! `/members`, and `/v1/members/requests`

use axum::extract::State;
use carebot_model::access::Action;
use carebot_model::members::{JoinRequest, Member, Place};
use carebot_model::{AccountId, FamilyId, MemberId};
use http::StatusCode;

use crate::answer::{Answer, gives, lists, says};
use crate::app::App;
use crate::context::{Body, Caller, Path, RawQuery};
use crate::error::Echo;
use crate::extract::{Query, id_schema};
use crate::operation::{Api, delete, get, patch, post};
use crate::routes::accounts::{Created, Proof, proof};
use crate::routes::{filled, missing};

crate::form! {
    /// Who wants to join which family.
    pub struct CreateMember {
        /// The family.
        family_id: String,
        /// The guardian's account.
        user_id: String,
        /// What the elder calls the guardian; cut to 32 characters.
        nickname: String,
    }
}

crate::form! {
    /// In which capacity somebody belongs to a family, and who is told of an alarm first.
    pub struct PlaceMember {
        /// `guardian`, `care_worker` or `staff`.
        position: String,
        /// The place in the family's order, from 1; those behind move down.
        order: i64,
    }
}

const MISSING: &str = "Member not found";
const PLACE: &str = "Position or order is required";
const NO_REQUEST: &str = "Join request not found";
const WHO: &str = "Family ID and User ID are required";

pub fn add(api: &mut Api) {
    api.add(
        post("/members", Action::MemberJoin, "Ask to join a family")
            .takes::<CreateMember>()
            .gives::<Created<MemberId>>(201, "New member created successfully")
            .no_data(WHO)
            .not_found("Family not found")
            .invalid("User not found or is not a sub user")
            .conflict("Member already exists in family"),
        create,
    );
    api.add(
        get("/members", Action::MemberListAll, "List members of a family, memberships of an account, or all")
            .query("familyId", "The family.", id_schema().to_value())
            .query("userId", "The account.", id_schema().to_value())
            .lists::<Member>("All members retrieved successfully", "No members found")
            .of_family(),
        list,
    );
    api.add(
        get("/members/{member_id}", Action::MemberRead, "A membership")
            .gives::<Member>(200, "Member retrieved successfully")
            .not_found(MISSING)
            .forbidden(),
        read,
    );
    api.add(
        patch("/members/{member_id}", Action::MemberUpdate, "Change what a member is called")
            .takes::<CreateMember>()
            .gives::<Member>(200, "Member updated successfully")
            .not_found(MISSING),
        update,
    );
    for (path, action, summary, done) in [
        ("/members/{member_id}", Action::MemberLeave, "Leave a family", "Member deleted successfully"),
        (
            "/members/kick/{member_id}",
            Action::MemberKick,
            "Remove a member from the family",
            "Member kicked successfully",
        ),
    ] {
        let operation = delete(path, action, summary)
            .takes::<Proof>()
            .says(200, done)
            .no_data("Password is required")
            .not_found(MISSING)
            .unauthorized("Invalid password")
            .throttled();
        if action == Action::MemberLeave { api.add(operation, leave) } else { api.add(operation, kick) }
    }
    api.add(
        get("/v1/members/requests", Action::JoinRequestList, "Open requests to join that concern the caller")
            .lists::<JoinRequest>("Join requests retrieved successfully", "No join requests found")
            .forbidden(),
        requests,
    );
    api.add(
        patch("/v1/members/requests/{member_id}", Action::JoinRequestApprove, "Approve a request to join")
            .gives::<Member>(200, "Join request approved successfully")
            .not_found(NO_REQUEST),
        approve,
    );
    api.add(
        delete("/v1/members/requests/{member_id}", Action::JoinRequestDelete, "Refuse or withdraw a request to join")
            .says(200, "Join request deleted successfully")
            .not_found(NO_REQUEST),
        refuse,
    );
    api.add(
        patch("/v1/members/{member_id}/order", Action::RuleUpdate, "Change who of a family is told of an alarm first")
            .takes::<PlaceMember>()
            .gives::<Vec<Place>>(200, "Order updated successfully")
            .no_data(PLACE)
            .not_found(MISSING)
            .invalid(carebot_service::members::POSITION)
            .invalid(carebot_service::members::ORDER),
        place,
    );
}

async fn create(State(app): State<App>, caller: Caller, Body(form): Body<CreateMember>) -> Answer {
    let (family, user) = (filled(form.family_id.as_ref()), filled(form.user_id.as_ref()));
    missing("body", &[("family_id", family.is_some()), ("user_id", user.is_some())], WHO).echo(&form)?;
    let (family, user) = (family.unwrap_or_default(), user.unwrap_or_default());
    let id = app.service().join_family(&caller, family, user, form.nickname.clone()).await.echo(&form)?;
    gives(StatusCode::CREATED, "New member created successfully", &Created { id })
}

async fn list(State(app): State<App>, caller: Caller, RawQuery(raw): RawQuery) -> Answer {
    let mut query = Query::new(raw.as_deref());
    let (family, user) = (query.id("familyId", FamilyId::parse), query.id("userId", AccountId::parse));
    query.finish()?;
    let family = family.as_ref().map(FamilyId::as_str);
    let members = app.service().list_members(&caller, family, user.as_ref().map(AccountId::as_str)).await?;
    lists(&members, "All members retrieved successfully", "No members found")
}

async fn read(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let member = app.service().get_member(&caller, path.one()).await?;
    gives(StatusCode::OK, "Member retrieved successfully", &member)
}

async fn update(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<CreateMember>) -> Answer {
    let member = app.service().update_member(&caller, path.one(), form.nickname).await?;
    gives(StatusCode::OK, "Member updated successfully", &member)
}

async fn leave(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<Proof>) -> Answer {
    let password = proof(&form, "Password is required")?;
    app.service().leave_family(&caller, path.one(), password).await?;
    says(StatusCode::OK, "Member deleted successfully")
}

async fn kick(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<Proof>) -> Answer {
    let password = proof(&form, "Password is required")?;
    app.service().kick_member(&caller, path.one(), password).await?;
    says(StatusCode::OK, "Member kicked successfully")
}

async fn requests(State(app): State<App>, caller: Caller) -> Answer {
    let open = app.service().list_join_requests(&caller).await?;
    lists(&open, "Join requests retrieved successfully", "No join requests found")
}

async fn approve(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let member = app.service().approve_join_request(&caller, path.one()).await?;
    gives(StatusCode::OK, "Join request approved successfully", &member)
}

async fn refuse(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    app.service().delete_join_request(&caller, path.one()).await?;
    says(StatusCode::OK, "Join request deleted successfully")
}

async fn place(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<PlaceMember>) -> Answer {
    let position = filled(form.position.as_ref());
    let is_said = position.is_some() || form.order.is_some();
    missing("body", &[("position", is_said), ("order", is_said)], PLACE).echo(&form)?;
    let places = app.service().place_member(&caller, path.one(), position, form.order).await.echo(&form)?;
    gives(StatusCode::OK, "Order updated successfully", &places)
}
