//! `/families`

use axum::extract::State;
use carebot_model::FamilyId;
use carebot_model::access::Action;
use carebot_model::families::{Family, FoundFamily};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::answer::{Answer, gives, lists, says};
use crate::app::App;
use crate::context::{Body, Caller, Path};
use crate::error::Echo;
use crate::extract::DateParts;
use crate::operation::{Api, delete, get, patch, post};
use crate::routes::accounts::{Created, Proof, proof};
use crate::routes::{filled, missing};

crate::form! {
    /// Whose family is asked for.
    pub struct CheckExist {
        /// The id of the elder's account.
        id: String,
    }
}

crate::form! {
    /// A family to be made.
    pub struct CreateFamily {
        /// The elder's account.
        main_user: String,
        /// What it is called; cut to 32 characters.
        family_name: String,
    }
}

crate::form! {
    /// What one knows of an elder; all four must match.
    pub struct FindFamily {
        /// The elder's name.
        user_name: String,
        /// The day of birth.
        birth_date: DateParts,
        /// `male`, `female` or `other`.
        gender: String,
        /// Province and district; old and new names are the same place.
        address: String,
    }
}

crate::form! {
    /// A change of a family.
    pub struct UpdateFamily {
        /// Not changed; here because clients send it.
        main_user: String,
        /// What it is called; cut to 32 characters.
        family_name: String,
    }
}

/// The family that was asked for.
#[derive(Serialize, JsonSchema)]
pub struct FamilyOf {
    /// Its id.
    pub family_id: FamilyId,
}

/// A family's name.
#[derive(Serialize, JsonSchema)]
pub struct FamilyName {
    /// The name, if it has one.
    pub family_name: Option<String>,
}

const FIND: &str = "Required fields are missing";

pub fn add(api: &mut Api) {
    api.add(
        post("/families/check-exist", Action::FamilyLookUp, "The family that an account owns")
            .takes::<CheckExist>()
            .gives::<FamilyOf>(200, "Family exists")
            .no_data("Main ID is required")
            .not_found("Main ID does not have a family"),
        check_exist,
    );
    api.add(
        post("/families", Action::FamilyCreate, "Make a family for an elder")
            .takes::<CreateFamily>()
            .gives::<Created<FamilyId>>(201, "New family created successfully")
            .no_data("Main user ID is required")
            .conflict("Main user already has a family")
            .invalid("You are not a main user"),
        create,
    );
    api.add(
        get("/families", Action::FamilyList, "List all families")
            .lists::<Family>("All families retrieved successfully", "No families found")
            .forbidden(),
        list,
    );
    api.add(
        post("/families/find", Action::FamilyFind, "Find a family by what one knows of the elder")
            .takes::<FindFamily>()
            .gives::<Vec<FoundFamily>>(200, "Families found successfully")
            .no_data(FIND)
            .invalid("Invalid value provided for find option (gender)")
            .invalid("Invalid value provided for find option (birth_date)")
            .not_found("No families found"),
        find,
    );
    api.add(
        get("/families/{family_id}", Action::FamilyRead, "A family")
            .gives::<Family>(200, "Family retrieved successfully")
            .of_family(),
        read,
    );
    api.add(
        get("/families/name/{family_id}", Action::FamilyNameRead, "A family's name")
            .gives::<FamilyName>(200, "Family retrieved successfully")
            .of_family(),
        name,
    );
    api.add(
        patch("/families/{family_id}", Action::FamilyUpdate, "Rename a family")
            .takes::<UpdateFamily>()
            .gives::<Family>(200, "Family updated successfully")
            .of_family(),
        update,
    );
    api.add(
        delete("/families/{family_id}", Action::FamilyDelete, "Delete a family and all that is stored about it")
            .takes::<Proof>()
            .says(200, "Family deleted successfully")
            .no_data("Password is required")
            .of_family()
            .unauthorized("Invalid password")
            .throttled(),
        remove,
    );
}

async fn check_exist(State(app): State<App>, caller: Caller, Body(form): Body<CheckExist>) -> Answer {
    let id = filled(form.id.as_ref());
    missing("body", &[("id", id.is_some())], "Main ID is required").echo(&form)?;
    let family_id = app.service().family_of(&caller, id.unwrap_or_default()).await.echo(&form)?;
    gives(StatusCode::OK, "Family exists", &FamilyOf { family_id })
}

async fn create(State(app): State<App>, caller: Caller, Body(form): Body<CreateFamily>) -> Answer {
    let main_user = filled(form.main_user.as_ref());
    missing("body", &[("main_user", main_user.is_some())], "Main user ID is required").echo(&form)?;
    let made = app.service().create_family(&caller, main_user.unwrap_or_default(), form.family_name.clone()).await;
    gives(StatusCode::CREATED, "New family created successfully", &Created { id: made.echo(&form)? })
}

async fn list(State(app): State<App>, caller: Caller) -> Answer {
    let families = app.service().list_families(&caller).await?;
    lists(&families, "All families retrieved successfully", "No families found")
}

async fn find(State(app): State<App>, caller: Caller, Body(form): Body<FindFamily>) -> Answer {
    app.service().may_find(&caller).echo(&form)?;
    let (name, gender, address) =
        (filled(form.user_name.as_ref()), filled(form.gender.as_ref()), filled(form.address.as_ref()));
    // A part that is nought counts as missing, by its own name.
    let date = form.birth_date;
    let part = |of: fn(DateParts) -> i64| date.is_none_or(|date| of(date) != 0);
    let there = [
        ("user_name", name.is_some()),
        ("birth_date", date.is_some()),
        ("birth_date.year", part(|date| date.year)),
        ("birth_date.month", part(|date| date.month)),
        ("birth_date.day", part(|date| date.day)),
        ("gender", gender.is_some()),
        ("address", address.is_some()),
    ];
    missing("body", &there, FIND).echo(&form)?;
    let birth_date = date.map(|date| (date.year, date.month, date.day)).unwrap_or_default();
    let (name, address) = (name.unwrap_or_default().to_owned(), address.unwrap_or_default().to_owned());
    let found = app.service().find_families(&caller, name, birth_date, gender.unwrap_or_default(), address).await;
    gives(StatusCode::OK, "Families found successfully", &found.echo(&form)?)
}

async fn read(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let family = app.service().get_family(&caller, path.one()).await?;
    gives(StatusCode::OK, "Family retrieved successfully", &family)
}

async fn name(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let family_name = app.service().family_name(&caller, path.one()).await?;
    gives(StatusCode::OK, "Family retrieved successfully", &FamilyName { family_name })
}

async fn update(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<UpdateFamily>) -> Answer {
    let family = app.service().update_family(&caller, path.one(), form.family_name).await?;
    gives(StatusCode::OK, "Family updated successfully", &family)
}

async fn remove(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<Proof>) -> Answer {
    let password =
        proof(&form, "Password is required").echo(&json!({"family_id": path.one(), "password": form.password}))?;
    app.service().delete_family(&caller, path.one(), password).await?;
    says(StatusCode::OK, "Family deleted successfully")
}
