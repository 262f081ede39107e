//! Messages between an elder and the guardians.

use schemars::JsonSchema;
use serde::Serialize;

use crate::text::LongText;
use crate::{AccountId, RowId, Timestamp};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Message {
    /// Its number.
    pub index: RowId,
    /// Who wrote it.
    pub from_id: AccountId,
    /// Who it is for.
    pub to_id: AccountId,
    /// When it was sent.
    pub created_at: Timestamp,
    /// The text.
    pub content: Option<String>,
    /// A picture.
    pub image_url: Option<String>,
    /// Whether the receiver has read it.
    pub is_read: bool,
    /// When the robot read it out. Not in the lists, whose form is fixed.
    #[serde(skip)]
    pub spoken_at: Option<Timestamp>,
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Who writes.
    pub from_id: AccountId,
    /// Who it is for.
    pub to_id: AccountId,
    /// The text.
    pub content: Option<LongText>,
    /// A picture.
    pub image_url: Option<LongText>,
}

/// Somebody to whom messages may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Receivable {
    /// The account.
    pub user_id: AccountId,
    /// What to call them; empty if nothing is known, never null.
    pub name: String,
}
