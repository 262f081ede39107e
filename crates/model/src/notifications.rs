//! Notifications of a family.

use schemars::JsonSchema;
use serde::Serialize;

use crate::text::LongText;
use crate::{FamilyId, RowId, Timestamp, wire_enum};

wire_enum!(
    /// How urgent a notification is.
    Grade {
        /// For information.
        Info = "info",
        /// A warning.
        Warn = "warn",
        /// An emergency.
        Crit = "crit",
        /// Not graded.
        None = "none",
    }
);

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Notification {
    /// Its number.
    pub index: RowId,
    /// The family it concerns.
    pub family_id: FamilyId,
    /// When it was made.
    pub created_at: Timestamp,
    /// How urgent it is.
    pub notification_grade: Option<Grade>,
    /// The text.
    pub description: Option<String>,
    /// Whether somebody of the family has read it.
    pub is_read: bool,
    /// A picture.
    pub image_url: Option<String>,
}

/// A notification to be made.
#[derive(Clone, Debug)]
pub struct NewNotification {
    /// How urgent it is.
    pub grade: Grade,
    /// The text (`descriptions` in requests).
    pub description: Option<LongText>,
    /// A picture.
    pub image_url: Option<LongText>,
}
