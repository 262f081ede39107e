//! Conversations and their keywords: what becomes of each row. Theirs are rows that only grow newer, so that their times tell
//! what is new.

use std::collections::HashMap;

use carebot_model::{Timestamp, korea};

use super::Known;
use super::cells::{self, Notes, Raw, Read};
use super::progress::marks;
use super::report::Rule;
use super::source::Record;
use super::whole::{Act, Found, Step};
use crate::{Result, Tx, Value, params};

pub const TALK: &[(&str, Read, bool)] =
    &[("user_id", Read::Text, true), ("created_at", Read::Time, true), ("last_active", Read::Time, true)];
pub const KEYWORDS: &[(&str, Read, bool)] =
    &[("family_id", Read::Text, true), ("created_at", Read::Time, true), ("keywords", Read::Text, true)];

/// The most characters of a conversation's name.
const NAME: usize = 64;

pub async fn find_talks(tx: &mut Tx, records: &[Record], found: &mut Found) -> Result<()> {
    let ids: Vec<Value> = records.iter().map(|record| Value::from(record[0].trimmed())).collect();
    let sql = format!("SELECT id, last_active FROM chat_sessions WHERE id IN ({})", marks(ids.len()));
    found.times.extend(tx.fetch(sql, ids, |row| Ok((row.get::<String>(0)?, row.get(1)?))).await?);
    Ok(())
}

pub fn talk(record: &Record, found: &Found, known: &Known) -> Step {
    let id = record[0].trimmed();
    if id.is_empty() || id.chars().count() > NAME {
        return Step::skip(&id.chars().take(NAME).collect::<String>(), Some("uid"), Rule::TooLong, "skipped");
    }
    let user = match known.account(&record[1]) {
        Ok(user) => user,
        Err(rule) => return Step::skip(id, Some("user_id"), rule, "skipped"),
    };
    let mut notes = Notes::new();
    let created_at = cells::needed_time(&record[2], "created_at", &mut notes);
    let last_active = record[3].whole().filter(|millis| *millis != 0).map_or(created_at, Timestamp::from_millis);
    let act = match found.times.get(id) {
        None => Act::Insert(vec![(
            "INSERT INTO chat_sessions (id, account_id, created_at, last_active) VALUES (?, ?, ?, ?)",
            params![id, user, created_at, last_active],
        )]),
        Some(here) if *here < last_active => Act::Update(vec![(
            "UPDATE chat_sessions SET last_active = ? WHERE id = ? AND account_id = ?",
            params![last_active, id, user],
        )]),
        Some(_) => Act::Already,
    };
    Step { shown: id.to_owned(), digest: None, act, notes }
}

pub async fn find_keywords(tx: &mut Tx, records: &[Record], known: &Known, found: &mut Found) -> Result<()> {
    let families: Vec<Value> =
        records.iter().filter_map(|record| known.family(&record[1]).ok()).map(Value::from).collect();
    let days: Vec<Value> = records
        .iter()
        .filter_map(|record| record[2].whole())
        .map(|millis| korea::date(Timestamp::from_millis(millis)).into())
        .collect();
    if families.is_empty() || days.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT family_id, day, created_at FROM chat_keywords WHERE family_id IN ({}) AND day IN ({})",
        marks(families.len()),
        marks(days.len())
    );
    let values = families.into_iter().chain(days).collect();
    let map = |row: &crate::Row<'_>| Ok((format!("{} {}", row.get::<String>(0)?, row.get::<String>(1)?), row.get(2)?));
    found.times.extend(tx.fetch(sql, values, map).await?);
    Ok(())
}

/// Of which family and Korean day a row is, and since when.
fn key(record: &Record, known: &Known) -> Option<(String, Timestamp)> {
    let family = known.family(&record[1]).ok()?;
    let at = Timestamp::from_millis(record[2].whole().filter(|millis| *millis != 0)?);
    Some((format!("{family} {}", korea::date(at)), at))
}

/// The newest of a day within a page.
pub fn newest(records: &[Record], known: &Known) -> HashMap<String, Timestamp> {
    let mut newest = HashMap::new();
    for (key, at) in records.iter().filter_map(|record| key(record, known)) {
        let entry = newest.entry(key).or_insert(at);
        *entry = at.max(*entry);
    }
    newest
}

pub fn keywords(record: &Record, found: &Found, newest: &HashMap<String, Timestamp>, known: &Known) -> Step {
    let id = record[0].trimmed();
    let family = match known.family(&record[1]) {
        Ok(family) => family,
        Err(rule) => return Step::skip(id, Some("family_id"), rule, "skipped"),
    };
    let Some((key, created_at)) = key(record, known) else {
        let rule = if record[2].whole().is_some() { Rule::ZeroDate } else { Rule::NoTime };
        return Step::skip(id, Some("created_at"), rule, "skipped: it is not known of which day they are");
    };
    let here = found.times.get(&key);
    if here == Some(&created_at) {
        return Step::quiet(id, Act::Already);
    }
    if here.into_iter().chain(newest.get(&key)).any(|other| *other > created_at) {
        return Step::quiet(id, Act::Skip("older"));
    }
    let day = korea::date(created_at);
    let list = serde_json::to_string(&words(&record[3])).unwrap_or_else(|_| "[]".to_owned());
    let act = Act::Insert(vec![
        ("DELETE FROM chat_keywords WHERE family_id = ? AND day = ?", params![family, day]),
        (
            "INSERT INTO chat_keywords (family_id, day, keywords, utterances, model, created_at) VALUES (?, ?, ?, 0, NULL, ?)",
            params![family, day, list, created_at],
        ),
    ]);
    Step::quiet(id, act)
}

/// A list with commas between, or one in JSON.
fn words(raw: &Raw) -> Vec<String> {
    let text = raw.trimmed();
    if let Ok(list) = serde_json::from_str::<Vec<String>>(text) {
        return list;
    }
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_come_with_commas_or_as_json() {
        let read = |text: &str| words(&Raw::Text(text.to_owned()));
        assert_eq!(read("손주, 김장,,병원 "), ["손주", "김장", "병원"]);
        assert_eq!(read(r#"["손주", "김장"]"#), ["손주", "김장"]);
        assert_eq!(words(&Raw::Null), Vec::<String>::new());
    }
}
