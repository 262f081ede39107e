//! `/accounts`

use axum::extract::State;
use carebot_model::AccountId;
use carebot_model::access::Action;
use carebot_model::accounts::Account;
use carebot_service::accounts::Details;
use http::StatusCode;
use serde_json::json;

use crate::answer::{Answer, gives, lists, says};
use crate::app::App;
use crate::context::{Body, Caller, Path};
use crate::error::Echo;
use crate::extract::{DateParts, Form, Secret};
use crate::operation::{Api, delete, get, patch, post};
use crate::routes::{filled, missing, with_path};

crate::form! {
    /// An e-mail address to be checked.
    pub struct CheckEmail {
        /// The address.
        email: String,
    }
}

crate::form! {
    /// An account to be made.
    pub struct CreateAccount {
        /// The address to sign in with.
        email: String,
        /// At least eight characters, none of the commonest.
        password: Secret,
        /// `main` (the elder) or `sub` (a guardian or care worker); `system` and `test` only from an operator.
        role: String,
        /// The person's name; cut to 32 characters.
        user_name: String,
        /// The day of birth.
        birth_date: DateParts,
        /// `male`, `female` or `other`.
        gender: String,
        /// Province and district, one blank between; cut to 128 characters.
        address: String,
    }
}

crate::form! {
    /// A password, to prove who asks.
    pub struct Proof {
        /// The caller's own password.
        password: Secret,
    }
}

/// The id of something that was made.
#[derive(serde::Serialize, schemars::JsonSchema)]
pub struct Created<I> {
    /// The id.
    pub id: I,
}

const ROLE: &str = "Invalid value provided for account details (role)";
const GENDER: &str = "Invalid value provided for account details (gender)";
const EMAIL: &str = "Invalid value provided for account details (email)";
const BIRTH_DATE: &str = "Invalid value provided for account details (birth date)";
const TAKEN: &str = "Email is already in use";

pub fn add(api: &mut Api) {
    api.add(
        post("/accounts/check-email", Action::EmailCheck, "Whether an e-mail address is free")
            .takes::<CheckEmail>()
            .says(200, "Email is available")
            .no_data("Email is required")
            .conflict(TAKEN),
        check_email,
    );
    api.add(
        post("/accounts", Action::AccountCreate, "Make an account")
            .takes::<CreateAccount>()
            .gives::<Created<AccountId>>(201, "New account created successfully")
            .no_data("User data is required")
            .invalid(ROLE)
            .invalid(GENDER)
            .invalid(EMAIL)
            .invalid(carebot_service::passwords::REFUSED)
            .invalid(BIRTH_DATE)
            .conflict(TAKEN),
        create,
    );
    api.add(
        get("/accounts", Action::AccountList, "List all accounts")
            .lists::<Account>("All accounts retrieved successfully", "No accounts found")
            .forbidden(),
        list,
    );
    api.add(
        get("/accounts/{user_id}", Action::AccountRead, "An account")
            .gives::<Account>(200, "Account retrieved successfully")
            .forbidden()
            .not_found("Account not found"),
        read,
    );
    api.add(
        patch("/accounts/{user_id}", Action::AccountUpdate, "Change an account")
            .takes::<CreateAccount>()
            .gives::<Account>(200, "Account updated successfully")
            .not_found("Account not found")
            .invalid(ROLE)
            .invalid(GENDER)
            .invalid(EMAIL)
            .invalid(BIRTH_DATE)
            .conflict(TAKEN)
            .conflict("The role can not be changed while the account owns or belongs to a family"),
        update,
    );
    api.add(
        delete("/accounts/{user_id}", Action::AccountDelete, "Delete an account and all that belongs to it")
            .takes::<Proof>()
            .says(200, "Account deleted successfully")
            .no_data("Password is required")
            .not_found("Account not found")
            .unauthorized("Invalid password")
            .throttled(),
        remove,
    );
}

async fn check_email(State(app): State<App>, Body(form): Body<CheckEmail>) -> Answer {
    let email = filled(form.email.as_ref());
    missing("body", &[("email", email.is_some())], "Email is required").echo(&form)?;
    app.service().check_email(email.unwrap_or_default()).await.echo(&form)?;
    says(StatusCode::OK, "Email is available")
}

fn details(form: &CreateAccount) -> Details {
    Details {
        email: form.email.clone(),
        role: form.role.clone(),
        user_name: form.user_name.clone(),
        birth_date: form.birth_date.map(|date| (date.year, date.month, date.day)),
        gender: form.gender.clone(),
        address: form.address.clone(),
    }
}

async fn create(State(app): State<App>, caller: Caller, Body(form): Body<CreateAccount>) -> Answer {
    let password = form.password.as_ref().filter(|password| !password.is_empty());
    let there = [
        ("password", password.is_some()),
        ("role", filled(form.role.as_ref()).is_some()),
        ("email", filled(form.email.as_ref()).is_some()),
    ];
    // Only the first of what is missing is told.
    for field in there {
        missing("body", &[field], "User data is required").echo(&form)?;
    }
    let mut echo = form.echo();
    // Not `remove`, which puts the last field in its place.
    echo.shift_remove("password");
    let password = password.map(Secret::expose).unwrap_or_default();
    let id = app.service().create_account(&caller, details(&form), password).await.echo(&echo)?;
    gives(StatusCode::CREATED, "New account created successfully", &Created { id })
}

async fn list(State(app): State<App>, caller: Caller) -> Answer {
    let accounts = app.service().list_accounts(&caller).await?;
    lists(&accounts, "All accounts retrieved successfully", "No accounts found")
}

async fn read(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let account = app.service().get_account(&caller, path.one()).await?;
    gives(StatusCode::OK, "Account retrieved successfully", &account)
}

async fn update(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<CreateAccount>) -> Answer {
    let mut echo = form.echo();
    echo.shift_remove("password");
    let echo = with_path("user_id", path.one(), echo);
    let account = app.service().update_account(&caller, path.one(), details(&form)).await.echo(&echo)?;
    gives(StatusCode::OK, "Account updated successfully", &account)
}

async fn remove(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<Proof>) -> Answer {
    let echo = json!({"user_id": path.one()});
    let password = proof(&form, "Password is required").echo(&echo)?;
    app.service().delete_account(&caller, path.one(), password).await.echo(&echo)?;
    says(StatusCode::OK, "Account deleted successfully")
}

/// The password of a proof, or the contract's 422.
pub fn proof<'a>(form: &'a Proof, message: &'static str) -> Result<&'a str, carebot_service::Error> {
    let password = form.password.as_ref().filter(|password| !password.is_empty());
    missing("body", &[("password", password.is_some())], message)?;
    Ok(password.map(Secret::expose).unwrap_or_default())
}
