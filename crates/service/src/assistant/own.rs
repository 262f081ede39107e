//! A language model that answers and judges, while conversations, bounds and results are ours.

use carebot_database::{DbError, chats, transact};
use carebot_external::ai::{Message, OpenAi, Speaker};
use carebot_model::crisis::Crisis;
use carebot_model::korea;
use carebot_model::text::LongText;
use carebot_model::{AccountId, Timestamp};
use serde_json::Value;

use super::{
    Answer, Asked, Assistant, Of, Period, Said, Settings, Trouble, keywords, mood, mood_report, psychology, told,
    transcript,
};
use crate::Result;

/// The longest answer in characters: one minute of speech has about 350 syllables.
const LONGEST: usize = 2_000;
/// The days of the week, Monday first.
const DAYS: [&str; 7] = ["월", "화", "수", "목", "금", "토", "일"];

/// Answers with the help of a language model.
#[derive(Debug)]
pub struct Own {
    pub model: OpenAi,
    pub settings: Settings,
}

impl Own {
    pub const fn new(model: OpenAi, settings: Settings) -> Self {
        Self { model, settings }
    }

    async fn answer(&self, asked: Asked<'_>) -> Result<Said, Trouble> {
        let Asked { service, permit, message, session, fresh, within, crisis, pieces } = asked;
        let now = service.now();
        let id = service.next_id(now)?;
        // What was said is stored before it is answered: it counts for the day's mood even if there is no answer.
        let session = transact!(service.db, tx => {
            let session = chats::open_session(&mut tx, permit, session, fresh, now).await?;
            chats::add_turn(&mut tx, permit, id, &session, message, now).await?;
            Ok::<_, DbError>(session)
        })?;
        let turns = chats::context(&mut service.db.read(), permit, &session, self.settings.context_turns).await?;

        // One system message: the templates of some models know no second one.
        let mut prompt = format!("{}\n\n{}", self.settings.prompt.trim(), clock(now));
        if let Some(crisis) = crisis {
            prompt += "\n\n";
            prompt += &in_danger(crisis);
        }
        let room = self.settings.context_tokens;
        let room = room.saturating_sub(transcript::tokens(&prompt) + transcript::tokens(message.as_str()));
        let mut messages = vec![told(prompt)];
        messages.extend(transcript::conversation(&turns, room));
        messages.push(Message::new(Speaker::User, message.as_str()));

        let answer = match pieces {
            Some(pieces) => self.model.say_in_pieces(&messages, pieces, within).await?,
            None => self.model.say(&messages, within).await?,
        };
        let answer: String = answer.trim().chars().filter(|c| !c.is_control() || *c == '\n').take(LONGEST).collect();
        if let Some(stored) = LongText::parse(answer.clone()) {
            let stored = transact!(service.db, tx => {
                chats::answer_turn(&mut tx, permit, (now, id), &stored, self.model.model()).await
            });
            if let Err(error) = stored {
                // The elder hears it all the same; only the model will not remember having said it.
                tracing::warn!(%error, "an answer of the assistant could not be stored");
            }
        }
        Ok(Said { session_id: session, text: answer })
    }
}

/// What the model is told when somebody may be in danger.
fn in_danger(crisis: Crisis) -> String {
    format!(
        "어르신이 지금 위험하실 수 있습니다({}). 로봇이 이미 응급 안내를 했고 가족에게 알렸습니다. 침착하게 한두 문장으로 곁에 있다는 것을 알려 드리십시오.",
        crisis.korean()
    )
}

/// What time it is where the elder lives.
fn clock(now: Timestamp) -> String {
    let at = korea::civil(now);
    let day = DAYS[usize::try_from(at.weekday().to_monday_zero_offset()).unwrap_or_default() % 7];
    format!("지금은 {}년 {}월 {}일 {day}요일 {}시 {}분입니다.", at.year(), at.month(), at.day(), at.hour(), at.minute())
}

impl Assistant for Own {
    fn alive(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(self.model.alive().await?) })
    }
    fn reply<'a>(&'a self, asked: Asked<'a>) -> Answer<'a, Said> {
        Box::pin(self.answer(asked))
    }
    fn mood<'a>(&'a self, of: Of<'a>) -> Answer<'a, Value> {
        Box::pin(mood::judge(self, of))
    }
    fn mood_report<'a>(&'a self, of: Of<'a>, period: Period) -> Answer<'a, Value> {
        Box::pin(mood_report::compute(of, period))
    }
    fn keywords<'a>(&'a self, of: Of<'a>) -> Answer<'a, Value> {
        Box::pin(keywords::find(self, of))
    }
    fn psychology<'a>(&'a self, of: Of<'a>, period: Option<Period>) -> Answer<'a, Value> {
        Box::pin(psychology::judge(self, of, period))
    }
    fn weather(&self, _: AccountId) -> Answer<'_, Value> {
        Box::pin(std::future::ready(Err(Trouble::Off)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_told_the_korean_time() {
        assert_eq!(clock(Timestamp::from_millis(1_735_657_200_000)), "지금은 2025년 1월 1일 수요일 0시 0분입니다.");
    }
}
