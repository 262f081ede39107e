//! `/auth`

use axum::extract::State;
use axum::response::Response;
use carebot_model::access::Action;
use carebot_model::accounts::Account;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::{Answer, gives, says};
use crate::app::App;
use crate::context::{Body, Caller, From, SessionToken};
use crate::error::Echo;
use crate::extract::Secret;
use crate::operation::{Api, patch, post};
use crate::routes::{filled, missing};

crate::form! {
    /// Who signs in.
    pub struct SignIn {
        /// The address; letter case and surrounding blanks do not matter.
        email: String,
        /// The password.
        password: Secret,
    }
}

crate::form! {
    /// A change of password.
    pub struct ChangePassword {
        /// The account.
        user_id: String,
        /// The caller's own password.
        current_password: Secret,
        /// At least eight characters, none of the commonest.
        new_password: Secret,
    }
}

crate::form! {
    /// A session to be checked.
    pub struct CheckSession {
        /// Its token.
        session_id: Secret,
    }
}

/// A session and whose it is.
#[derive(Serialize, JsonSchema)]
pub struct SignedIn {
    /// The session's token: 32 hexadecimal digits.
    pub session_id: String,
    /// The account.
    pub user_data: Account,
}

pub fn add(api: &mut Api) {
    api.add(
        post("/auth/login", Action::SignIn, "Sign in")
            .takes::<SignIn>()
            .gives::<SignedIn>(200, "Login successful")
            .no_data("Login data is required")
            .unauthorized("Invalid email or password")
            .throttled(),
        login,
    );
    api.add(post("/auth/logout", Action::SignOut, "Sign out").says(200, "Logout successful"), logout);
    api.add(
        patch("/auth/change-password", Action::PasswordChange, "Change a password")
            .takes::<ChangePassword>()
            .says(200, "Password changed successfully")
            .no_data("Password data is required")
            .not_found("User not found")
            .unauthorized("Invalid password")
            .invalid(carebot_service::passwords::REFUSED)
            .throttled(),
        change_password,
    );
    api.add(
        patch("/auth/auto-login", Action::SessionRemember, "Have one's session remembered")
            .says(200, "Auto login set successfully"),
        auto_login,
    );
    api.add(
        post("/auth/check", Action::SessionCheck, "Whose session this is; prolongs it")
            .takes::<CheckSession>()
            .gives::<SignedIn>(200, "Permission check successful")
            .no_data("Permission check data is required")
            .unauthorized("You do not have permission"),
        check,
    );
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

async fn login(State(app): State<App>, From(client): From, Body(form): Body<SignIn>) -> Answer {
    let email = filled(form.email.as_ref());
    let password = form.password.as_ref().filter(|password| !password.is_empty());
    let there = [("email", email.is_some()), ("password", password.is_some())];
    missing("body", &there, "Login data is required").echo(&form)?;
    let (email, password) = (email.unwrap_or_default(), password.map(Secret::expose).unwrap_or_default());
    let (session_id, user_data) = app.service().sign_in(email, password, &client).await.echo(&form)?;
    let cookie = app.settings().cookie.set(&session_id);
    let response = gives(StatusCode::OK, "Login successful", &SignedIn { session_id, user_data })?;
    Ok(with_cookie(response, cookie))
}

async fn logout(State(app): State<App>, SessionToken(token): SessionToken) -> Answer {
    let existed = app.service().sign_out(token.as_deref()).await?;
    let response = says(StatusCode::OK, "Logout successful")?;
    Ok(with_cookie(response, if existed { app.settings().cookie.clear() } else { None }))
}

async fn change_password(State(app): State<App>, caller: Caller, Body(form): Body<ChangePassword>) -> Answer {
    let user = filled(form.user_id.as_ref());
    let current = form.current_password.as_ref().filter(|password| !password.is_empty());
    let new = form.new_password.as_ref().filter(|password| !password.is_empty());
    let there = [("user_id", user.is_some()), ("current_password", current.is_some()), ("new_password", new.is_some())];
    missing("body", &there, "Password data is required").echo(&form)?;
    let (current, new) = (current.map(Secret::expose).unwrap_or_default(), new.map(Secret::expose).unwrap_or_default());
    app.service().change_password(&caller, user.unwrap_or_default(), current, new).await.echo(&form)?;
    says(StatusCode::OK, "Password changed successfully")
}

async fn auto_login(State(app): State<App>, caller: Caller) -> Answer {
    app.service().remember_session(&caller).await?;
    says(StatusCode::OK, "Auto login set successfully")
}

async fn check(State(app): State<App>, Body(form): Body<CheckSession>) -> Answer {
    let token = form.session_id.as_ref().filter(|token| !token.is_empty());
    missing("body", &[("session_id", token.is_some())], "Permission check data is required").echo(&form)?;
    let session_id = token.map(|token| token.expose().to_owned()).unwrap_or_default();
    let user_data = app.service().check_session(&session_id).await?;
    let cookie = app.settings().cookie.set(&session_id);
    let response = gives(StatusCode::OK, "Permission check successful", &SignedIn { session_id, user_data })?;
    Ok(with_cookie(response, cookie))
}
