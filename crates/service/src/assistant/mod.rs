//! The assistant: what talks with the elder, and judges what was said.
//!
//! One trait, three providers: `off`, `remote` (the existing system's AI server, which owns the conversations) and `own`
//! (any language model; the conversations are ours). What must not depend on a provider, the words that mean danger, is not
//! here but in [`chats`](crate::chats).
//!
//! # To add a provider
//! A file that implements `Assistant`, a variant of [`Provider`] and its line in `start`.

mod form;
mod keywords;
mod mood;
mod mood_report;
mod off;
mod own;
mod psychology;
mod remote;
mod transcript;

use std::pin::Pin;
use std::time::Duration;

use carebot_database::DbError;
use carebot_external::ProviderError;
use carebot_external::ai::{Delta, Message, OpenAi, Remote, Speaker, openai};
use carebot_external::guard::Limits;
use carebot_model::access::Permit;
use carebot_model::crisis::Crisis;
use carebot_model::text::LongText;
use carebot_model::{AccountId, FamilyId, Timestamp};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{Error, Result, Service};

/// Fewer utterances than this are no ground for a judgement about somebody.
pub const FEWEST_UTTERANCES: usize = 5;

/// The system prompt that comes with the program.
pub const PROMPT: &str = include_str!("../../prompts/companion.ko.txt");

/// Who answers.
#[derive(Clone, Debug, Default)]
pub enum Provider {
    /// Nobody.
    #[default]
    Off,
    /// A language model behind an OpenAI-compatible endpoint.
    OpenAi(openai::Settings),
    /// The existing system's AI server, at an URL.
    Remote(String, Limits),
}

/// What can be set about the assistant.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who answers.
    pub provider: Provider,
    /// What a language model is told to be and to do in conversations.
    pub prompt: String,
    /// How many earlier turns of a conversation the model is told, at most.
    pub context_turns: u32,
    /// How many tokens, by our estimate, earlier turns and the prompt may have together.
    pub context_tokens: usize,
    /// How many tokens, by our estimate, what was said may have when it is judged; the newest counts.
    pub transcript_tokens: usize,
    /// How many days conversations are kept.
    pub keep_days: u32,
    /// How long somebody waits for an answer: the existing robot gives up after 30 s.
    pub answer_within: Duration,
    /// How long somebody in danger waits for more than the advice.
    pub answer_in_danger_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            provider: Provider::Off,
            prompt: PROMPT.to_owned(),
            context_turns: 20,
            context_tokens: 4_000,
            transcript_tokens: 12_000,
            keep_days: 90,
            answer_within: Duration::from_secs(25),
            answer_in_danger_within: Duration::from_secs(3),
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no assistant.
    Off,
    /// The provider.
    Provider(ProviderError),
    /// Too little was said to judge.
    TooLittle,
    /// The database.
    Inside(Error),
}

impl From<ProviderError> for Trouble {
    fn from(error: ProviderError) -> Self {
        Self::Provider(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Inside(error)
    }
}

impl From<DbError> for Trouble {
    fn from(error: DbError) -> Self {
        Self::Inside(error.into())
    }
}

impl Trouble {
    /// The contract's refusal: its sentence for a failure, and for nothing to answer if that is another one.
    pub(crate) fn refusal(self, failed: &'static str, nothing: Option<&'static str>) -> Error {
        match (self, nothing) {
            (Self::Inside(error), _) => error,
            (Self::TooLittle | Self::Provider(ProviderError::Nothing), Some(nothing)) => Error::NothingFrom(nothing),
            (Self::Provider(error), _) => {
                tracing::warn!(%error, "the assistant did not answer");
                Error::Failed(failed)
            }
            (Self::Off | Self::TooLittle, _) => Error::Failed(failed),
        }
    }
}

/// What a provider gives, some time.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send + 'a>>;

/// A closed range of time.
pub(crate) type Period = (Timestamp, Timestamp);

/// Something said by the elder.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub service: &'a Service,
    pub permit: &'a Permit<AccountId>,
    pub message: &'a LongText,
    /// The conversation it belongs to, as the client says.
    pub session: Option<&'a str>,
    /// What a new conversation is to be called.
    pub fresh: &'a str,
    /// How long somebody waits for the answer.
    pub within: Duration,
    /// The danger that was found in it.
    pub crisis: Option<Crisis>,
    /// Who wants the answer in pieces.
    pub pieces: Option<&'a mpsc::Sender<Delta>>,
}

/// An answer to something said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// The conversation it belongs to.
    pub session_id: String,
    /// What the robot says.
    pub text: String,
}

/// A family whose conversations are judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    pub service: &'a Service,
    pub permit: &'a Permit<FamilyId>,
}

/// What talks with the elder, and judges what was said. Results are the contract's JSON.
pub(crate) trait Assistant: Send + Sync + std::fmt::Debug {
    /// Whether it answers at all.
    fn alive(&self) -> Answer<'_, ()>;
    /// Answers the elder.
    fn reply<'a>(&'a self, asked: Asked<'a>) -> Answer<'a, Said>;
    /// Judges and stores the mood of today.
    fn mood<'a>(&'a self, of: Of<'a>) -> Answer<'a, Value>;
    /// Judges and stores the mood over a period.
    fn mood_report<'a>(&'a self, of: Of<'a>, period: Period) -> Answer<'a, Value>;
    /// What today's conversation is about.
    fn keywords<'a>(&'a self, of: Of<'a>) -> Answer<'a, Value>;
    /// How the elder speaks and thinks; of the last days without a period.
    fn psychology<'a>(&'a self, of: Of<'a>, period: Option<Period>) -> Answer<'a, Value>;
    /// The weather at an account's address, for those that know it.
    fn weather(&self, user: AccountId) -> Answer<'_, Value>;
}

/// The assistant that is set. `seed` makes the jitter of second tries.
pub(crate) fn start(settings: &Settings, seed: u64) -> Result<Box<dyn Assistant>> {
    let unusable =
        |error: ProviderError| Error::Unavailable(DbError::Configuration(format!("the assistant's provider {error}")));
    Ok(match &settings.provider {
        Provider::Off => Box::new(off::Off),
        Provider::OpenAi(openai) => {
            Box::new(own::Own::new(OpenAi::new(openai.clone(), seed).map_err(unusable)?, settings.clone()))
        }
        Provider::Remote(url, limits) => Box::new(remote::ByRemote(Remote::new(url, *limits, seed).map_err(unusable)?)),
    })
}

/// Something the model is told before everything else.
fn told(text: impl Into<String>) -> Message {
    Message::new(Speaker::System, text)
}
