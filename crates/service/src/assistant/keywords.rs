//! What today's conversation is about.

use carebot_database::listing::Range;
use carebot_database::{chats, transact};
use carebot_external::ai::openai::Form;
use carebot_model::chats::Keywords;
use carebot_model::korea;
use serde::Deserialize;
use serde_json::{Value, json};

use super::form::{Fault, list, object, string, texts};
use super::own::Own;
use super::{Of, Trouble, told, transcript};
use crate::Result;

/// What stands there before anything was said.
pub const NOTHING_SAID: &str = "대화를 시작해보세요";
/// After so many more utterances the keywords are found anew.
const STALE: i64 = 5;
/// At most so many utterances are looked at.
const UTTERANCES: u32 = 1_000;

#[derive(Deserialize)]
struct Found {
    keywords: Vec<String>,
}

fn check(found: &Found) -> Result<Vec<String>, Fault> {
    let mut words = texts("keywords", &found.keywords, (1, 10), 20)?;
    let mut seen = std::collections::HashSet::new();
    words.retain(|word| seen.insert(word.clone()));
    words.truncate(5);
    Ok(words)
}

/// Today's keywords: the stored ones while little more has been said, else new ones.
pub async fn find(own: &Own, of: Of<'_>) -> Result<Value, Trouble> {
    let Of { service, permit } = of;
    let now = service.now();
    let day = korea::date(now);
    let range = Range { start: korea::start_of(day), end: now };
    let mut reader = service.db.read();
    let count = chats::count_said(&mut reader, permit, range).await?;
    let stored = chats::keywords(&mut reader, permit, day).await?;
    let words = match stored {
        _ if count == 0 => vec![NOTHING_SAID.to_owned()],
        Some(stored) if count < i64::from(stored.utterances) + STALE => stored.words,
        stored => match fresh(own, of, range).await {
            Ok(words) => words,
            // Yesterday's paper is better than none.
            Err(Trouble::Provider(error)) if stored.is_some() => {
                tracing::warn!(%error, "the assistant found no new keywords; those of earlier today are shown");
                stored.map(|stored| stored.words).unwrap_or_default()
            }
            Err(trouble) => return Err(trouble),
        },
    };
    Ok(json!({ "keywords": words }))
}

async fn fresh(own: &Own, of: Of<'_>, range: Range) -> Result<Vec<String>, Trouble> {
    let Of { service, permit } = of;
    let said = chats::said(&mut service.db.read(), permit, range, UTTERANCES).await?;
    let count = said.len();
    let told_of = transcript::newest(said, own.settings.transcript_tokens);
    let messages = [told(include_str!("../../prompts/keywords.ko.txt")), transcript::data(&told_of)];
    let schema = object(&json!({ "keywords": list(&string()) }));
    let words = own.model.fill(&messages, Form { name: "keywords", schema: &schema }, |found| check(&found)).await?;
    let found = Keywords { words, utterances: i32::try_from(count).unwrap_or(i32::MAX) };
    let (day, now) = (korea::date(range.end), range.end);
    transact!(service.db, tx => {
        chats::put_keywords(&mut tx, permit, day, &found, own.model.model(), now).await
    })?;
    Ok(found.words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_at_most_five_different_short_words() {
        let found = |words: &[&str]| check(&Found { keywords: words.iter().map(|word| (*word).to_owned()).collect() });
        assert_eq!(
            found(&["손주", "무릎", "손주", "김장", "날씨", "노래", "산책"]).expect("good"),
            ["손주", "무릎", "김장", "날씨", "노래"]
        );
        assert!(found(&[]).is_err());
        assert!(found(&[&"가".repeat(21)]).is_err());
    }
}
