//! Accounts, families, members, the robots' switches and sessions: what becomes of each row.

use carebot_model::accounts::{Gender, Role};
use carebot_model::authentication::{IdleLimits, SessionKind};
use carebot_model::members::Position;
use carebot_model::text::Email;
use carebot_model::{AccountId, FamilyId, MemberId, RowId, Timestamp};
use ring::digest::{SHA256, digest};

use super::Known;
use super::cells::{self, Notes, Read};
use super::progress::{self, marks};
use super::report::Rule;
use super::source::Record;
use super::whole::{Act, Found, Step, digest_of};
use crate::authentication::TokenHash;
use crate::{DbError, Result, Tx, Value, params};
use carebot_model::text::hexadecimal;

pub const ACCOUNT: &[(&str, Read, bool)] = &[
    ("email", Read::Text, true),
    ("password", Read::Text, true),
    ("role", Read::Text, true),
    ("user_name", Read::Text, false),
    ("birth_date", Read::Shown, false),
    ("gender", Read::Text, false),
    ("address", Read::Text, false),
];
pub const FAMILY: &[(&str, Read, bool)] = &[("main_user", Read::Text, true), ("family_name", Read::Text, false)];
pub const MEMBER: &[(&str, Read, bool)] =
    &[("family_id", Read::Text, true), ("user_id", Read::Text, true), ("nickname", Read::Text, false)];
pub const SETTINGS: &[(&str, Read, bool)] = &[
    ("is_alarm_enabled", Read::Whole, false),
    ("is_camera_enabled", Read::Whole, false),
    ("is_microphone_enabled", Read::Whole, false),
    ("is_driving_enabled", Read::Whole, false),
];
pub const SESSION: &[(&str, Read, bool)] = &[
    ("user_id", Read::Text, true),
    ("last_active", Read::Time, true),
    ("is_main_user", Read::Whole, true),
    ("is_remember", Read::Whole, true),
];

/// A hash that no password has.
const NO_PASSWORD: &str = "!";

/// The texts of a column of a page, for an `IN`.
fn texts(records: &[Record], column: usize) -> Vec<Value> {
    records.iter().filter_map(|record| record.get(column)).map(|raw| Value::from(raw.trimmed())).collect()
}

async fn ids(tx: &mut Tx, sql: &str, values: Vec<Value>) -> Result<Vec<String>> {
    tx.fetch(format!("{sql} IN ({})", marks(values.len())), values, |row| row.get(0)).await
}

async fn pairs(tx: &mut Tx, sql: &str, values: Vec<Value>) -> Result<Vec<(String, String)>> {
    tx.fetch(format!("{sql} IN ({})", marks(values.len())), values, |row| Ok((row.get(0)?, row.get(1)?))).await
}

/// Whether a row is to be stored, changed or left alone.
enum State {
    New,
    Changed,
    Same,
}

fn state(key: &str, digest: &progress::Digest, found: &Found) -> State {
    match (found.digests.get(key), found.alive.contains(key)) {
        (None, false) => State::New,
        (Some(earlier), true) if earlier != digest => State::Changed,
        // As it was, or deleted here meanwhile, or made here by something else.
        _ => State::Same,
    }
}

pub async fn find_accounts(tx: &mut Tx, records: &[Record], found: &mut Found) -> Result<()> {
    found.alive.extend(ids(tx, "SELECT id FROM accounts WHERE deleted_at IS NULL AND id", texts(records, 0)).await?);
    let emails = records.iter().map(|record| Value::from(Email::key_of(record[1].trimmed()))).collect();
    found.holders.extend(pairs(tx, "SELECT email_key, id FROM accounts WHERE email_key", emails).await?);
    Ok(())
}

pub fn account(record: &Record, found: &Found, known: &mut Known, now: Timestamp) -> Step {
    let key = record[0].trimmed();
    let Some(id) = AccountId::parse(key) else {
        return Step::skip(key, Some("id"), Rule::Id, "skipped, with all that refers to it");
    };
    let mut notes = Notes::new();
    let email = cells::short(&record[1], "email", Email::MAX_CHARS, &mut notes).unwrap_or_default().trim().to_owned();
    let email_key = email_key(&email, id, found, known, &mut notes);
    let hash = record[2].trimmed();
    let is_hash = (hash.starts_with("$2") && hash.len() == 60) || hash.starts_with("$argon2");
    if !is_hash {
        cells::note(&mut notes, "password", Rule::PasswordForm, "imported without a password: it has to be reset");
    }
    let role = cells::word(&record[3], "role", Role::parse, "imported as test, which has no rights", &mut notes);
    let user_name = cells::short(&record[4], "user_name", 32, &mut notes);
    let birth_date = cells::date(&record[5], "birth_date", &mut notes);
    let gender = cells::word(&record[6], "gender", Gender::parse, "imported as NULL", &mut notes);
    let address = cells::short(&record[7], "address", 128, &mut notes);
    let mut values = params![
        email,
        email_key,
        if is_hash { hash } else { NO_PASSWORD },
        role.unwrap_or(Role::Test),
        user_name,
        birth_date,
        gender,
        address,
    ];
    let digest = digest_of(record);
    let state = state(key, &digest, found);
    if found.alive.contains(key) || matches!(state, State::New) {
        known.accounts.insert(id);
    }
    let act = match state {
        State::Same => Act::Already,
        State::New => {
            values.extend(params![id, now]);
            let sql = "INSERT INTO accounts (email, email_key, password_hash, role, user_name, birth_date, gender, address, id, created_at, deleted_at)
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)";
            Act::Insert(vec![(sql, values)])
        }
        State::Changed => {
            values.extend(params![id]);
            let sql = "UPDATE accounts SET email = ?, email_key = ?, password_hash = ?, role = ?, user_name = ?, birth_date = ?, gender = ?,
                       address = ? WHERE id = ? AND deleted_at IS NULL";
            Act::Update(vec![(sql, values)])
        }
    };
    Step { shown: key.to_owned(), digest: Some((key.to_owned(), digest)), act, notes }
}

/// What an account signs in with: nothing if there is no address, or another account has it.
fn email_key(email: &str, id: AccountId, found: &Found, known: &mut Known, notes: &mut Notes) -> Option<String> {
    let key = Email::key_of(email);
    if key.is_empty() || key.chars().count() > Email::MAX_CHARS {
        cells::note(notes, "email", Rule::EmailForm, "imported; nobody can sign in until it has another address");
        return None;
    }
    if Email::parse(email).is_none() {
        cells::note(notes, "email", Rule::EmailForm, "imported unchanged");
    }
    let mut part = [0; 16];
    part.copy_from_slice(&digest(&SHA256, key.as_bytes()).as_ref()[..16]);
    let here = found.holders.get(&key).and_then(|holder| AccountId::parse(holder));
    let holder = here.or_else(|| known.emails.get(&part).copied()).filter(|holder| *holder != id);
    if let Some(holder) = holder {
        let done = format!("imported; nobody can sign in until it has another address, because {holder} has this one");
        cells::note(notes, "email", Rule::SecondEmail, done);
        return None;
    }
    known.emails.insert(part, id);
    Some(key)
}

pub async fn find_families(tx: &mut Tx, records: &[Record], found: &mut Found) -> Result<()> {
    found.alive.extend(ids(tx, "SELECT id FROM families WHERE deleted_at IS NULL AND id", texts(records, 0)).await?);
    let sql = "SELECT main_user, id FROM families WHERE deleted_at IS NULL AND main_user";
    found.holders.extend(pairs(tx, sql, texts(records, 1)).await?);
    Ok(())
}

pub fn family(record: &Record, found: &Found, known: &mut Known, now: Timestamp) -> Step {
    let key = record[0].trimmed();
    let Some(id) = FamilyId::parse(key) else {
        return Step::skip(key, Some("id"), Rule::Id, "skipped, with all that refers to it");
    };
    let main_user = match known.account(&record[1]) {
        Ok(main_user) => main_user,
        Err(rule) => return Step::skip(key, Some("main_user"), rule, "skipped, with all that refers to it"),
    };
    let is_here = found.alive.contains(key);
    let here = found.holders.get(main_user.as_str()).and_then(|holder| FamilyId::parse(holder));
    let first = here.or_else(|| known.owners.get(&main_user).copied()).filter(|first| *first != id && !is_here);
    if let Some(first) = first {
        if here.is_none() && !known.families.contains_key(&first) {
            return Step::skip(
                key,
                Some("main_user"),
                Rule::SecondFamily,
                format!("skipped: {first} was deleted here"),
            );
        }
        known.families.insert(id, first);
        return Step::skip(
            key,
            Some("main_user"),
            Rule::SecondFamily,
            format!("not made: what refers to it goes to {first}"),
        );
    }
    let mut notes = Notes::new();
    let name = cells::short(&record[2], "family_name", 32, &mut notes);
    let digest = digest_of(record);
    let state = state(key, &digest, found);
    if is_here || matches!(state, State::New) {
        known.families.insert(id, id);
    }
    // Also one that was deleted here since it was taken over: another must not come in its place.
    if known.families.contains_key(&id) || found.digests.contains_key(key) {
        known.owners.insert(main_user, id);
    }
    let act = match state {
        State::Same => Act::Already,
        State::New => Act::Insert(vec![
            (
                "INSERT INTO families (id, main_user, family_name, created_at, deleted_at) VALUES (?, ?, ?, ?, NULL)",
                params![id, main_user, name, now],
            ),
            (NEW_SETTINGS, params![id, false, false, false, false]),
        ]),
        State::Changed => Act::Update(vec![(
            "UPDATE families SET main_user = ?, family_name = ? WHERE id = ? AND deleted_at IS NULL",
            params![main_user, name, id],
        )]),
    };
    Step { shown: key.to_owned(), digest: Some((key.to_owned(), digest)), act, notes }
}

fn pair(family: FamilyId, user: AccountId) -> String {
    format!("{family} {user}")
}

pub async fn find_members(tx: &mut Tx, records: &[Record], known: &Known, found: &mut Found) -> Result<()> {
    found.alive.extend(ids(tx, "SELECT id FROM members WHERE id", texts(records, 0)).await?);
    let families: Vec<Value> =
        records.iter().filter_map(|record| known.family(&record[1]).ok()).map(Value::from).collect();
    if families.is_empty() {
        return Ok(());
    }
    let sql = format!("SELECT family_id, user_id, id FROM members WHERE family_id IN ({})", marks(families.len()));
    let members = tx.fetch(sql, families, |row| Ok((pair(row.get(0)?, row.get(1)?), row.get::<String>(2)?))).await?;
    found.holders.extend(members);
    Ok(())
}

pub fn member(record: &Record, found: &Found, known: &mut Known, now: Timestamp) -> Step {
    let key = record[0].trimmed();
    let Some(id) = MemberId::parse(key) else { return Step::skip(key, Some("id"), Rule::Id, "skipped") };
    let (family, user) = match (known.family(&record[1]), known.account(&record[2])) {
        (Ok(family), Ok(user)) => (family, user),
        (Err(rule), _) => return Step::skip(key, Some("family_id"), rule, "skipped"),
        (_, Err(rule)) => return Step::skip(key, Some("user_id"), rule, "skipped"),
    };
    let is_here = found.alive.contains(key);
    let here = found.holders.get(&pair(family, user)).and_then(|holder| MemberId::parse(holder));
    let first = here.or_else(|| known.members.get(&(family, user)).copied()).filter(|first| *first != id && !is_here);
    if let Some(first) = first {
        return Step::skip(key, None, Rule::SecondMember, format!("skipped: {first} is the same"));
    }
    let mut notes = Notes::new();
    let nickname = cells::short(&record[3], "nickname", 32, &mut notes);
    let digest = digest_of(record);
    let state = state(key, &digest, found);
    // Also one that was removed here since it was taken over: what says the same must not come in its place.
    if is_here || matches!(state, State::New) || found.digests.contains_key(key) {
        known.members.insert((family, user), id);
    }
    // Whoever belonged to the second family has no right in the first one until somebody says so.
    let is_approved = family.as_str() == record[1].trimmed();
    if !is_approved {
        let done = format!("imported as a request to join {family}, for its main user or an operator to approve");
        cells::note(&mut notes, "family_id", Rule::SecondFamily, done);
    }
    let act = match state {
        State::Same => Act::Already,
        State::New => Act::Insert(vec![(
            "INSERT INTO members (id, family_id, user_id, nickname, position, sort_order, created_at, approved_at, approved_by)
             SELECT ?, ?, ?, ?, ?, COALESCE(MAX(sort_order), 0) + 1, ?, ?, NULL FROM members WHERE family_id = ?",
            params![id, family, user, nickname, Position::Guardian, now, is_approved.then_some(now), family],
        )]),
        State::Changed => Act::Update(vec![("UPDATE members SET nickname = ? WHERE id = ?", params![nickname, id])]),
    };
    Step { shown: key.to_owned(), digest: Some((key.to_owned(), digest)), act, notes }
}

const NEW_SETTINGS: &str =
    "INSERT INTO settings (family_id, is_alarm_enabled, is_camera_enabled, is_microphone_enabled, is_driving_enabled)
                            VALUES (?, ?, ?, ?, ?)";

pub fn settings(record: &Record, found: &Found, known: &Known) -> Step {
    let key = record[0].trimmed();
    let family = match known.family(&record[0]) {
        Ok(family) => family,
        Err(rule) => return Step::skip(key, Some("family_id"), rule, "skipped"),
    };
    if family.as_str() != key {
        return Step::skip(key, Some("family_id"), Rule::SecondFamily, format!("skipped: those of {family} count"));
    }
    let digest = digest_of(record);
    let mut values = params![family];
    values.extend(record.iter().skip(1).map(|raw| Value::from(cells::flag(raw).unwrap_or(false))));
    // A family gets its own when it is taken over.
    let statements = vec![("DELETE FROM settings WHERE family_id = ?", params![family]), (NEW_SETTINGS, values)];
    let act = match found.digests.get(key) {
        None => Act::Insert(statements),
        Some(earlier) if *earlier != digest => Act::Update(statements),
        Some(_) => Act::Already,
    };
    Step { shown: key.to_owned(), digest: Some((key.to_owned(), digest)), act, notes: Notes::new() }
}

/// What a session is remembered by: the SHA-256 of its secret key.
pub fn session_key(token: &str) -> String {
    hexadecimal(digest(&SHA256, token.as_bytes()).as_ref())
}

pub async fn find_sessions(tx: &mut Tx, records: &[Record], found: &mut Found) -> Result<()> {
    let hashes: Vec<Value> = records.iter().map(|record| Value::from(TokenHash::of(record[0].trimmed()))).collect();
    let sql = format!("SELECT token_hash FROM sessions WHERE token_hash IN ({})", marks(hashes.len()));
    let alive = tx.fetch(sql, hashes, |row| row.get::<[u8; 32]>(0)).await?;
    found.alive.extend(alive.iter().map(|hash| hexadecimal(hash)));
    Ok(())
}

pub fn session(
    record: &Record,
    found: &Found,
    known: &Known,
    (limits, now): (&IdleLimits, Timestamp),
    id: RowId,
) -> Step {
    let token = record[0].trimmed();
    let key = session_key(token);
    let shown = &key[..16];
    let user = match known.account(&record[1]) {
        Ok(user) if !token.is_empty() => user,
        Ok(_) => return Step::skip(shown, Some("xid"), Rule::NoText, "skipped"),
        Err(rule) => return Step::skip(shown, Some("user_id"), rule, "skipped"),
    };
    let last_active = match record[2].whole() {
        Some(0) => return Step::skip(shown, Some("last_active"), Rule::ZeroDate, "skipped: it counts as expired"),
        None => return Step::skip(shown, Some("last_active"), Rule::NoTime, "skipped: it counts as expired"),
        // A clock that goes ahead must not prolong it.
        Some(millis) => Timestamp::from_millis(millis).min(now),
    };
    let is_main = cells::flag(&record[3]).unwrap_or(false);
    let is_remembered = cells::flag(&record[4]).unwrap_or(false);
    let digest = digest_of(record);
    let act = match state(&key, &digest, found) {
        State::Same => Act::Already,
        _ if limits.is_expired(is_main, is_remembered, last_active, now) => {
            return Step::quiet(shown, Act::Skip("expired"));
        }
        State::New => Act::Insert(vec![(
            "INSERT INTO sessions (token_hash, id, account_id, kind, label, is_main, is_remembered, created_at, last_seen, revoked_at, refused_at)
             VALUES (?, ?, ?, ?, NULL, ?, ?, ?, ?, NULL, NULL)",
            params![TokenHash::of(token), id, user, SessionKind::Person, is_main, is_remembered, last_active, last_active],
        )]),
        // One that was used here has been so later than it was made.
        State::Changed => Act::Update(vec![(
            "UPDATE sessions SET created_at = CASE WHEN created_at = last_seen THEN ? ELSE created_at END,
             last_seen = CASE WHEN last_seen < ? THEN ? ELSE last_seen END, is_remembered = ? WHERE token_hash = ?",
            params![last_active, last_active, last_active, is_remembered, TokenHash::of(token)],
        )]),
    };
    Step { shown: shown.to_owned(), digest: Some((key, digest)), act, notes: Notes::new() }
}

/// Ends sessions that ended there, unless they were used here.
pub async fn end_sessions(tx: &mut Tx, table: &'static str, keys: &[Value]) -> Result<(), DbError> {
    for key in keys {
        let Value::Text(key) = key else { continue };
        let hash: Option<Vec<u8>> =
            (0..key.len()).step_by(2).map(|at| u8::from_str_radix(key.get(at..at + 2)?, 16).ok()).collect();
        if let Some(hash) = hash {
            tx.execute(
                "DELETE FROM sessions WHERE token_hash = ? AND created_at = last_seen",
                params![hash.as_slice()],
            )
            .await?;
        }
        progress::forget(tx, table, key).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::cells::Raw;

    #[test]
    fn the_key_of_a_session_does_not_tell_its_token() {
        let key = session_key("0123456789abcdef0123456789abcdef");
        assert_eq!(key.len(), 64);
        assert!(!key.contains("0123456789abcdef"));
    }

    #[test]
    fn a_padded_id_is_the_same() {
        let mut known = Known::default();
        known.accounts.insert(AccountId::parse("U234567890123456").expect("an id"));
        assert!(known.account(&Raw::Text("U234567890123456  ".into())).is_ok());
        assert_eq!(known.account(&Raw::Text("u234567890123456".into())), Err(Rule::Orphan));
    }
}
