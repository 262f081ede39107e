//! Talking: any OpenAI-compatible endpoint, or the existing system's own AI server.

pub mod openai;
pub mod remote;

mod sse;

pub use openai::{Delta, OpenAi};
pub use remote::Remote;

use std::fmt;

/// Who says something in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// What the model is told to be and to do.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Speaker {
    /// The name in the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One thing said in a conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Who.
    pub speaker: Speaker,
    /// What.
    pub text: String,
}

impl Message {
    /// Something said by somebody.
    pub fn new(speaker: Speaker, text: impl Into<String>) -> Self {
        Self { speaker, text: text.into() }
    }
}

/// What people say stands in no log.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} characters", self.speaker.name(), self.text.chars().count())
    }
}
