//! `/notify`

use axum::extract::State;
use carebot_model::access::Action;
use carebot_model::notifications::{Grade, Notification};
use carebot_model::wire::Processed;
use carebot_model::{FamilyId, RowId, Timestamp};
use carebot_service::idempotency::Request;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::{Answer, corrected, gives, new_page, says, streams, write_row};
use crate::app::App;
use crate::context::{Body, Caller, IdempotencyKey, Path, Range, SensedAt};
use crate::error::Echo;
use crate::extract::path;
use crate::operation::{Api, Operation, delete, get, patch, post};
use crate::routes::messages::{Many, many};
use crate::routes::{filled, missing};

crate::form! {
    /// A notification to be made.
    pub struct Notify {
        /// The family it concerns.
        family_id: String,
        /// `info`, `warn`, `crit` or `none`, in any letter case.
        notification_grade: String,
        /// The text.
        descriptions: String,
        /// A picture.
        image_url: String,
    }
}

/// The number of a notification that was made.
#[derive(Serialize, JsonSchema)]
pub struct Made {
    /// Its number.
    pub index: RowId,
}

/// A notification that has just been read: `is_read` comes last.
#[derive(Serialize, JsonSchema)]
pub struct ReadNotification {
    index: RowId,
    family_id: FamilyId,
    created_at: Timestamp,
    notification_grade: Option<Grade>,
    description: Option<String>,
    image_url: Option<String>,
    is_read: bool,
}

impl From<Notification> for ReadNotification {
    fn from(row: Notification) -> Self {
        let Notification { index, family_id, created_at, notification_grade, description, is_read, image_url } = row;
        Self { index, family_id, created_at, notification_grade, description, image_url, is_read }
    }
}

const GRADE: &str = "Invalid value provided for account details (notification_grade)";
const WHICH: &str = "Notification id data is required";
const MISSING: &str = "Notification not found";

pub fn add(api: &mut Api) {
    api.add(
        post("/notify", Action::NotificationCreate, "Make a notification")
            .takes::<Notify>()
            .gives::<Made>(201, "Notification created successfully")
            .no_data("Family ID is required")
            .invalid(GRADE)
            .of_family()
            .bounded()
            .keyed()
            .called()
            .conflict(carebot_service::idempotency::USED),
        create,
    );
    api.add(
        list_operation("/notify/new/{family_id}", "Unread notifications", "New notification retrieved successfully"),
        new,
    );
    api.add(
        list_operation("/notify/all/{family_id}", "Notifications", "All notifications retrieved successfully"),
        all,
    );
    api.add(
        patch("/notify/read/{notification_id}", Action::NotificationMarkRead, "Mark a notification as read")
            .row()
            .gives::<ReadNotification>(200, "Notification check read successfully")
            .not_found(MISSING),
        read,
    );
    api.add(
        patch("/notify/read-many", Action::NotificationMarkRead, "Mark several notifications as read")
            .takes::<Many>()
            .gives::<Vec<Processed>>(200, "Results of the read notification operation")
            .no_data(WHICH)
            .invalid(crate::error::TOO_LONG),
        read_many,
    );
    api.add(
        delete("/notify/delete/{notification_id}", Action::NotificationDelete, "Delete a notification")
            .row()
            .says(200, "Notification deleted successfully")
            .not_found(MISSING),
        remove,
    );
}

fn list_operation(path: &'static str, summary: &'static str, some: &'static str) -> Operation {
    get(path, Action::NotificationRead, summary)
        .range()
        .lists::<Notification>(some, "No new notifications found")
        .of_family()
        .bounded_list(false)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    sensed_at: SensedAt,
    Body(form): Body<Notify>,
) -> Answer {
    let family = filled(form.family_id.as_ref());
    missing("body", &[("family_id", family.is_some())], "Family ID is required").echo(&form)?;
    let (description, image) = (form.descriptions.clone(), form.image_url.clone());
    let grade = form.notification_grade.as_deref();
    let family = family.unwrap_or_default();
    let request = Request { key: key.0.as_deref(), sensed_at: sensed_at.0 };
    let made = app.service().notify(&caller, family, grade, description, image, request).await;
    let (index, is_corrected) = made.echo(&form)?;
    let response = gives(StatusCode::CREATED, "Notification created successfully", &Made { index })?;
    Ok(corrected(response, is_corrected))
}

async fn list(app: &App, caller: &Caller, path: &Path, unread: bool, range: Range, some: &'static str) -> Answer {
    let range = (range.0.start, range.0.end, range.0.order);
    let pages = app.service().list_notifications(caller, path.one(), unread, range, new_page, write_row).await?;
    streams(pages, some, "No new notifications found").await
}

async fn new(State(app): State<App>, caller: Caller, path: Path, range: Range) -> Answer {
    list(&app, &caller, &path, true, range, "New notification retrieved successfully").await
}

async fn all(State(app): State<App>, caller: Caller, path: Path, range: Range) -> Answer {
    list(&app, &caller, &path, false, range, "All notifications retrieved successfully").await
}

async fn read(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let row = app.service().read_notification(&caller, path::row("notification_id", path.one())?).await?;
    gives(StatusCode::OK, "Notification check read successfully", &ReadNotification::from(row))
}

async fn read_many(State(app): State<App>, caller: Caller, Body(form): Body<Many>) -> Answer {
    caller.account().ok_or(carebot_service::Error::Forbidden)?;
    let elements = many(&form, WHICH).echo(&form)?;
    let results = app.service().read_notifications(&caller, elements).await?;
    gives(StatusCode::OK, "Results of the read notification operation", &results)
}

async fn remove(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    app.service().delete_notification(&caller, path::row("notification_id", path.one())?).await?;
    says(StatusCode::OK, "Notification deleted successfully")
}
