//! No assistant: everything is the contract's failure.

use carebot_model::AccountId;
use serde_json::Value;

use super::{Answer, Asked, Assistant, Of, Period, Said, Trouble};

/// Answers nothing.
#[derive(Clone, Copy, Debug)]
pub struct Off;

fn off<T: Send + 'static>() -> Answer<'static, T> {
    Box::pin(std::future::ready(Err(Trouble::Off)))
}

impl Assistant for Off {
    fn alive(&self) -> Answer<'_, ()> {
        off()
    }
    fn reply<'a>(&'a self, _: Asked<'a>) -> Answer<'a, Said> {
        off()
    }
    fn mood<'a>(&'a self, _: Of<'a>) -> Answer<'a, Value> {
        off()
    }
    fn mood_report<'a>(&'a self, _: Of<'a>, _: Period) -> Answer<'a, Value> {
        off()
    }
    fn keywords<'a>(&'a self, _: Of<'a>) -> Answer<'a, Value> {
        off()
    }
    fn psychology<'a>(&'a self, _: Of<'a>, _: Option<Period>) -> Answer<'a, Value> {
        off()
    }
    fn weather(&self, _: AccountId) -> Answer<'_, Value> {
        off()
    }
}
