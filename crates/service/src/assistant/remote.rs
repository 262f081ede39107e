//! The existing system's AI server: it keeps conversations and writes its reports by itself; its answers are passed on.

use carebot_external::ProviderError;
use carebot_external::ai::Remote;
use carebot_model::AccountId;
use serde_json::Value;

use super::{Answer, Asked, Assistant, Of, Period, Said, Trouble};

/// Answers as an AI server does.
#[derive(Debug)]
pub struct ByRemote(pub Remote);

impl Assistant for ByRemote {
    fn alive(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(self.0.alive().await?) })
    }

    fn reply<'a>(&'a self, asked: Asked<'a>) -> Answer<'a, Said> {
        Box::pin(async move {
            let reply =
                self.0.say(*asked.permit.resource(), asked.message.as_str(), asked.session, asked.within).await?;
            if let Some(pieces) = asked.pieces {
                // It does not stream: one piece. Who does not listen any more misses nothing that matters.
                let _ = pieces.send(reply.bot_message.clone()).await;
            }
            Ok(Said { session_id: reply.session_id, text: reply.bot_message })
        })
    }

    fn mood<'a>(&'a self, of: Of<'a>) -> Answer<'a, Value> {
        Box::pin(async move { Ok(self.0.mood(*of.permit.resource()).await?) })
    }

    fn mood_report<'a>(&'a self, of: Of<'a>, period: Period) -> Answer<'a, Value> {
        Box::pin(async move { Ok(self.0.mood_report(*of.permit.resource(), period).await?) })
    }

    fn keywords<'a>(&'a self, of: Of<'a>) -> Answer<'a, Value> {
        Box::pin(async move { Ok(self.0.keywords(*of.permit.resource()).await?) })
    }

    fn psychology<'a>(&'a self, of: Of<'a>, period: Option<Period>) -> Answer<'a, Value> {
        Box::pin(async move {
            self.0.psychology(*of.permit.resource(), period).await.map_err(|error| match error {
                // The contract passes this one on as a failure.
                ProviderError::Nothing => {
                    ProviderError::Refused { status: 404, reason: "no conversation".into() }.into()
                }
                other => Trouble::from(other),
            })
        })
    }

    fn weather(&self, user: AccountId) -> Answer<'_, Value> {
        Box::pin(async move { Ok(self.0.weather(user).await?) })
    }
}
