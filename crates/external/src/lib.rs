//! Clients of other people's services: language models, weather, news, disaster messages, and the channels by which alarms go out.
//!
//! Each client speaks one provider's own protocol and gives values of the model or a [`ProviderError`]. None of them knows
//! the database. Every call goes through a [`Guard`](guard::Guard): a limit of time, a limit of how many at once, a second
//! try where that is harmless, and an end to asking a provider that keeps failing. A provider can be as slow, broken or hostile as
//! it likes: what it answers is read up to a bound, and the rest of the server does not notice.
//!
//! [`channels`] (web push, mail, webhooks) and [`ping`] have no guard: an alarm is not given up because the one before it failed, and
//! who tries again, and when, is decided by what is stored.
//!
//! # To add a provider
//! A file with its client: parse into own structs (`serde`), check, convert. Its test starts a server on this machine that
//! answers as the provider's documentation says, errors included.

pub mod ai;
pub mod channels;
pub mod disaster;
pub mod error;
pub mod guard;
pub mod http;
mod key;
pub mod news;
pub mod ping;
pub mod weather;

mod portal;

pub use error::ProviderError;
pub use key::Key;

/// What every call of a provider gives.
pub type Result<T, E = ProviderError> = std::result::Result<T, E>;
