//! Conversations with the assistant.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{RowId, Timestamp};

/// Something said to the robot, and what it answered.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Turn {
    /// Its number.
    pub index: RowId,
    /// When it was said.
    pub created_at: Timestamp,
    /// The conversation it belongs to.
    pub session_id: String,
    /// What was said.
    pub user_message: String,
    /// What was answered; null if there was no answer.
    pub bot_message: Option<String>,
}

/// What people say stands in no log.
impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("index", &self.index).field("created_at", &self.created_at).finish_non_exhaustive()
    }
}

/// Something said, without the answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Utterance {
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

impl fmt::Debug for Utterance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Utterance").field("at", &self.at).finish_non_exhaustive()
    }
}

/// What something computed from conversations rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// How many utterances.
    pub utterances: i32,
    /// The model that judged them.
    pub model: String,
}

/// The keywords of a day.
#[derive(Clone, PartialEq, Eq)]
pub struct Keywords {
    /// At most five.
    pub words: Vec<String>,
    /// How many utterances they rest on.
    pub utterances: i32,
}

impl fmt::Debug for Keywords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keywords").field("utterances", &self.utterances).finish_non_exhaustive()
    }
}
