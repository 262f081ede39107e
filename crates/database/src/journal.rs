//! What happens in a family, in the order in which it happened: events, which clients follow, and the timelines of alarms,
//! which nobody can edit unseen.
//!
//! Both are numbered per family without gaps. The numbers are taken under the lock of the family's row in `family_heads`, in
//! the transaction of their cause: who has seen number 7 will never see a 6 that was committed later.
//!
//! An entry of a timeline carries a keyed hash over itself and the entry before it. Who changes, removes or inserts one without
//! the key breaks every hash behind it; who cuts the end off leaves a shorter chain than the newest head that was written to the
//! log. Who has the key, or both the database and the log, can forge; see `docs/alarms.md`.

use std::fmt;

use carebot_model::access::Permit;
use carebot_model::alarms::{EntryKind, EventKind};
use carebot_model::text::hexadecimal;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use ring::hmac;

use crate::connector::error::DbError;
use crate::{Result, Row, Tx, params};

/// How many rows a statement writes at most.
const ROWS: usize = 50;

/// A keyed hash.
pub type Hash = [u8; 32];

/// The key of the timelines. It lies outside of the database and is shown nowhere.
#[derive(Clone)]
pub struct ChainKey {
    key: hmac::Key,
    id: String,
}

impl ChainKey {
    /// From at least 32 random bytes.
    pub fn new(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        // Names the key and tells nothing of it.
        let id = hexadecimal(&hmac::sign(&key, b"carebot timeline key").as_ref()[..8]);
        Self { key, id }
    }

    /// What entries call it.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn hash(&self, parts: &[&[u8]]) -> Hash {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            // Each with its length, so that no two lists of parts are the same bytes.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = Hash::default();
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }

    /// The hash of an entry behind the one before it.
    pub fn of_entry(&self, before: Option<&Hash>, entry: &Entry) -> Hash {
        self.hash(&[
            before.map_or(&[][..], |hash| &hash[..]),
            entry.family.as_str().as_bytes(),
            &entry.seq.to_be_bytes(),
            &entry.alarm.0.to_be_bytes(),
            &entry.at.millis().to_be_bytes(),
            entry.kind.name().as_bytes(),
            entry.body.as_bytes(),
        ])
    }

    /// The signature of what remains of a deleted family's chain.
    pub fn of_stub(&self, family: FamilyId, deleted_at: Timestamp, entries: i64, head: Option<&Hash>) -> Hash {
        self.hash(&[
            b"stub",
            family.as_str().as_bytes(),
            &deleted_at.millis().to_be_bytes(),
            &entries.to_be_bytes(),
            head.map_or(&[][..], |hash| &hash[..]),
        ])
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An event of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The family.
    pub family: FamilyId,
    /// Its number in the family, from 1.
    pub seq: i64,
    /// When it happened.
    pub created_at: Timestamp,
    /// What it is about.
    pub kind: EventKind,
    /// If it is for two accounts alone: these.
    pub between: Option<(AccountId, AccountId)>,
    /// More about it: a JSON object.
    pub body: String,
}

impl Event {
    /// Whether an account of the family may see it.
    pub fn is_for(&self, account: Option<AccountId>) -> bool {
        self.between.is_none_or(|(from, to)| account == Some(from) || account == Some(to))
    }
}

/// An entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The family.
    pub family: FamilyId,
    /// Its number in the family, from 1.
    pub seq: i64,
    /// The alarm it is about.
    pub alarm: RowId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EntryKind,
    /// More about it: a JSON object that holds ids and figures, no names.
    pub body: String,
    /// Which key its hash was made with.
    pub key_id: String,
    /// Its hash.
    pub hash: Hash,
}

/// What a transaction writes down about a family. Opened before anything that it depends on is read, closed before the commit.
#[derive(Debug)]
#[must_use = "what is not closed is not written"]
pub struct Journal {
    family: FamilyId,
    now: Timestamp,
    event_seq: i64,
    entry_seq: i64,
    head: Option<Hash>,
    events: Vec<Event>,
    entries: Vec<Entry>,
}

/// What a journal has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The family.
    pub family: FamilyId,
    /// Its newest event.
    pub event_seq: i64,
    /// How long its chain is, if it became longer.
    pub entry_seq: Option<i64>,
    /// How its chain ends.
    pub head: Option<Hash>,
}

impl Journal {
    /// Locks a family's numbers until the end of the transaction.
    ///
    /// # Errors
    /// [`DbError::MissingParent`] if there is no such family; else as any statement.
    pub async fn open(tx: &mut Tx, family: FamilyId, now: Timestamp) -> Result<Self> {
        const LOCK: &str = "SELECT 1 FROM family_heads WHERE family_id = ?";
        if !tx.lock_one(LOCK, params![family]).await? {
            let made = tx
                .execute(
                    "INSERT INTO family_heads (family_id, event_seq, entry_seq, entry_hash, changed_at) VALUES (?, 0, 0, NULL, ?)",
                    params![family, now],
                )
                .await;
            match made {
                // Somebody else made it in this moment: now it is there to be locked.
                Err(DbError::Duplicate { .. }) => drop(tx.lock_one(LOCK, params![family]).await?),
                made => drop(made?),
            }
        }
        let (event_seq, entry_seq, head) = tx
            .fetch_one(
                "SELECT event_seq, entry_seq, entry_hash FROM family_heads WHERE family_id = ?",
                params![family],
                |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?, row.get::<Option<Hash>>(2)?)),
            )
            .await?;
        Ok(Self { family, now, event_seq, entry_seq, head, events: Vec::new(), entries: Vec::new() })
    }

    /// The family.
    pub const fn family(&self) -> FamilyId {
        self.family
    }

    /// The time at which all this happens.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Writes down an event for everybody in the family.
    pub fn event(&mut self, kind: EventKind, body: &serde_json::Value) {
        self.event_between(kind, None, body);
    }

    /// Writes down an event that, with two accounts, is for these alone.
    pub fn event_between(
        &mut self,
        kind: EventKind,
        between: Option<(AccountId, AccountId)>,
        body: &serde_json::Value,
    ) {
        self.event_seq += 1;
        let event = Event {
            family: self.family,
            seq: self.event_seq,
            created_at: self.now,
            kind,
            between,
            body: body.to_string(),
        };
        self.events.push(event);
    }

    /// Writes down what happened to an alarm.
    pub fn entry(&mut self, key: &ChainKey, alarm: RowId, kind: EntryKind, body: &serde_json::Value) {
        self.entry_seq += 1;
        let mut entry = Entry {
            family: self.family,
            seq: self.entry_seq,
            alarm,
            at: self.now,
            kind,
            body: body.to_string(),
            key_id: key.id.clone(),
            hash: Hash::default(),
        };
        entry.hash = key.of_entry(self.head.as_ref(), &entry);
        self.head = Some(entry.hash);
        self.entries.push(entry);
    }

    /// Stores it all.
    ///
    /// # Errors
    /// As any statement.
    pub async fn close(self, tx: &mut Tx) -> Result<Written> {
        for events in self.events.chunks(ROWS) {
            let mut values = Vec::with_capacity(events.len() * 7);
            for event in events {
                let (from, to) = event.between.unzip();
                values.extend(params![
                    event.family,
                    event.seq,
                    event.created_at,
                    event.kind,
                    from,
                    to,
                    event.body.as_str()
                ]);
            }
            let rows = vec!["(?, ?, ?, ?, ?, ?, ?)"; events.len()].join(", ");
            let sql =
                format!("INSERT INTO events (family_id, seq, created_at, kind, from_id, to_id, body) VALUES {rows}");
            tx.execute(sql, values).await?;
        }
        for entries in self.entries.chunks(ROWS) {
            let mut values = Vec::with_capacity(entries.len() * 8);
            for entry in entries {
                values.extend(params![
                    entry.family,
                    entry.seq,
                    entry.alarm,
                    entry.at,
                    entry.kind,
                    entry.body.as_str(),
                    entry.key_id.as_str(),
                    &entry.hash[..]
                ]);
            }
            let rows = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; entries.len()].join(", ");
            let sql = format!(
                "INSERT INTO alarm_entries (family_id, seq, alarm_id, at, kind, body, key_id, hash) VALUES {rows}"
            );
            tx.execute(sql, values).await?;
        }
        if !self.events.is_empty() || !self.entries.is_empty() {
            tx.execute(
                "UPDATE family_heads SET event_seq = ?, entry_seq = ?, entry_hash = ?, changed_at = ? WHERE family_id = ?",
                params![self.event_seq, self.entry_seq, self.head.as_ref().map(|hash| &hash[..]), self.now, self.family],
            )
            .await?;
        }
        let entry_seq = (!self.entries.is_empty()).then_some(self.entry_seq);
        Ok(Written { family: self.family, event_seq: self.event_seq, entry_seq, head: self.head })
    }
}

fn event(row: &Row<'_>) -> Result<Event> {
    let (from, to): (Option<AccountId>, Option<AccountId>) = (row.get(4)?, row.get(5)?);
    Ok(Event {
        family: row.get(0)?,
        seq: row.get(1)?,
        created_at: row.get(2)?,
        kind: row.get(3)?,
        between: from.zip(to),
        body: row.get(6)?,
    })
}

/// A family's events after a number, in order; at most `limit`.
///
/// # Errors
/// As any statement.
pub async fn events_after(tx: &mut Tx, permit: &Permit<FamilyId>, after: i64, limit: u32) -> Result<Vec<Event>> {
    tx.fetch(
        "SELECT family_id, seq, created_at, kind, from_id, to_id, body FROM events WHERE family_id = ? AND seq > ? ORDER BY seq LIMIT ?",
        params![*permit.resource(), after, limit],
        event,
    )
    .await
}

/// The numbers of a family's oldest event that is kept and of its newest; `(1, 0)` if there never was one.
///
/// # Errors
/// As any statement.
pub async fn event_bounds(tx: &mut Tx, permit: &Permit<FamilyId>) -> Result<(i64, i64)> {
    let family = *permit.resource();
    let newest = tx
        .fetch_optional("SELECT event_seq FROM family_heads WHERE family_id = ?", params![family], |row| {
            row.get::<i64>(0)
        })
        .await?
        .unwrap_or_default();
    let oldest = tx
        .fetch_optional("SELECT seq FROM events WHERE family_id = ? ORDER BY seq LIMIT 1", params![family], |row| {
            row.get::<i64>(0)
        })
        .await?;
    Ok((oldest.unwrap_or(newest + 1), newest))
}

/// The families in which something was written down since a time, and the number of their newest event.
///
/// # Errors
/// As any statement.
pub async fn changed_since(tx: &mut Tx, since: Timestamp) -> Result<Vec<(FamilyId, i64)>> {
    tx.fetch("SELECT family_id, event_seq FROM family_heads WHERE changed_at >= ?", params![since], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .await
}

/// The number of the newest event of each of some families.
///
/// # Errors
/// As any statement.
pub async fn newest_events(tx: &mut Tx, families: &[FamilyId]) -> Result<Vec<(FamilyId, i64)>> {
    if families.is_empty() {
        return Ok(Vec::new());
    }
    let marks = vec!["?"; families.len()].join(",");
    tx.fetch(
        format!("SELECT family_id, event_seq FROM family_heads WHERE family_id IN ({marks})"),
        families.iter().map(|family| (*family).into()).collect(),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .await
}

/// Deletes events that happened before a time, at most `limit`; says how many. The numbers go on.
///
/// # Errors
/// As any statement.
pub async fn delete_events_before(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64> {
    let old: Vec<(FamilyId, i64)> = tx
        .fetch(
            "SELECT family_id, seq FROM events WHERE created_at < ? ORDER BY created_at LIMIT ?",
            params![before, limit],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .await?;
    let mut newest = std::collections::BTreeMap::<FamilyId, i64>::new();
    for (family, seq) in &old {
        let last = newest.entry(*family).or_insert(*seq);
        *last = (*last).max(*seq);
    }
    let mut deleted = 0;
    for (family, seq) in newest {
        // Only what is old: a clock that was set back may have numbered a newer one before.
        deleted += tx
            .execute(
                "DELETE FROM events WHERE family_id = ? AND seq <= ? AND created_at < ?",
                params![family, seq, before],
            )
            .await?;
    }
    Ok(deleted)
}

fn entry(row: &Row<'_>) -> Result<Entry> {
    Ok(Entry {
        family: row.get(0)?,
        seq: row.get(1)?,
        alarm: row.get(2)?,
        at: row.get(3)?,
        kind: row.get(4)?,
        body: row.get(5)?,
        key_id: row.get(6)?,
        hash: row.get(7)?,
    })
}

const ENTRY: &str = "family_id, seq, alarm_id, at, kind, body, key_id, hash";

/// The timeline of an alarm, in order.
///
/// # Errors
/// As any statement.
pub async fn timeline(tx: &mut Tx, permit: &Permit<FamilyId>, alarm: RowId) -> Result<Vec<Entry>> {
    tx.fetch(
        format!("SELECT {ENTRY} FROM alarm_entries WHERE alarm_id = ? AND family_id = ? ORDER BY seq LIMIT 10000"),
        params![alarm, *permit.resource()],
        entry,
    )
    .await
}

/// A family's chain after a number, in order; at most `limit` entries.
///
/// # Errors
/// As any statement.
pub async fn chain_after(tx: &mut Tx, family: FamilyId, after: i64, limit: u32) -> Result<Vec<Entry>> {
    tx.fetch(
        format!("SELECT {ENTRY} FROM alarm_entries WHERE family_id = ? AND seq > ? ORDER BY seq LIMIT ?"),
        params![family, after, limit],
        entry,
    )
    .await
}

/// How long a family's chain is said to be, and how it ends.
///
/// # Errors
/// As any statement.
pub async fn chain_head(tx: &mut Tx, family: FamilyId) -> Result<(i64, Option<Hash>)> {
    let head = tx
        .fetch_optional("SELECT entry_seq, entry_hash FROM family_heads WHERE family_id = ?", params![family], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .await?;
    Ok(head.unwrap_or((0, None)))
}

/// The families that have a chain, in the order of ids, after one.
///
/// # Errors
/// As any statement.
pub async fn families_with_chains(tx: &mut Tx, after: Option<FamilyId>, limit: u32) -> Result<Vec<FamilyId>> {
    tx.fetch(
        "SELECT h.family_id FROM family_heads h JOIN families f ON f.id = h.family_id AND f.deleted_at IS NULL
         WHERE h.family_id > ? ORDER BY h.family_id LIMIT ?",
        params![after.map_or(String::new(), |family| family.to_string()), limit],
        |row| row.get(0),
    )
    .await
}

/// Which key the newest entry of all was made with; nothing if there is no entry yet.
///
/// # Errors
/// As any statement.
pub async fn newest_key(tx: &mut Tx) -> Result<Option<String>> {
    tx.fetch_optional(
        "SELECT e.key_id FROM family_heads h JOIN alarm_entries e ON e.family_id = h.family_id AND e.seq = h.entry_seq
         ORDER BY h.changed_at DESC LIMIT 1",
        vec![],
        |row| row.get(0),
    )
    .await
}

/// The hash of an entry, by its number.
///
/// # Errors
/// As any statement.
pub async fn entry_hash(tx: &mut Tx, family: FamilyId, seq: i64) -> Result<Option<Hash>> {
    tx.fetch_optional("SELECT hash FROM alarm_entries WHERE family_id = ? AND seq = ?", params![family, seq], |row| {
        row.get(0)
    })
    .await
}

/// What remains of the chain of a deleted family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stub {
    /// The family there was.
    pub family: FamilyId,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// How long its chain was.
    pub entries: i64,
    /// How it ended.
    pub head: Option<Hash>,
    /// Which key signed this.
    pub key_id: String,
    /// The signature.
    pub signature: Hash,
}

/// Signs what will remain of a family's chain; in the transaction that deletes the family.
///
/// # Errors
/// As any statement.
pub async fn leave_stub(tx: &mut Tx, key: &ChainKey, family: FamilyId, now: Timestamp) -> Result<()> {
    tx.lock_one("SELECT 1 FROM family_heads WHERE family_id = ?", params![family]).await?;
    let (entries, head) = chain_head(tx, family).await?;
    let signature = key.of_stub(family, now, entries, head.as_ref());
    tx.execute("DELETE FROM alarm_stubs WHERE family_id = ?", params![family]).await?;
    tx.execute(
        "INSERT INTO alarm_stubs (family_id, deleted_at, entries, head, key_id, signature) VALUES (?, ?, ?, ?, ?, ?)",
        params![family, now, entries, head.as_ref().map(|hash| &hash[..]), key.id.as_str(), &signature[..]],
    )
    .await?;
    Ok(())
}

/// What remains of all deleted families.
///
/// # Errors
/// As any statement.
pub async fn stubs(tx: &mut Tx) -> Result<Vec<Stub>> {
    tx.fetch(
        "SELECT family_id, deleted_at, entries, head, key_id, signature FROM alarm_stubs ORDER BY family_id",
        vec![],
        |row| {
            Ok(Stub {
                family: row.get(0)?,
                deleted_at: row.get(1)?,
                entries: row.get(2)?,
                head: row.get(3)?,
                key_id: row.get(4)?,
                signature: row.get(5)?,
            })
        },
    )
    .await
}

/// Raises a number that all servers look at.
///
/// # Errors
/// As any statement.
pub async fn signal(tx: &mut Tx, name: &'static str) -> Result<()> {
    const RAISE: &str = "UPDATE signals SET value = value + 1 WHERE name = ?";
    if tx.execute(RAISE, params![name]).await? == 0 {
        match tx.execute("INSERT INTO signals (name, value) VALUES (?, 1)", params![name]).await {
            // Somebody else raised it for the first time in this moment.
            Err(DbError::Duplicate { .. }) => tx.execute(RAISE, params![name]).await?,
            made => made?,
        };
    }
    Ok(())
}

/// Sets a number that all servers look at.
///
/// # Errors
/// As any statement.
pub async fn set_signal(tx: &mut Tx, name: &'static str, value: i64) -> Result<()> {
    if tx.execute("UPDATE signals SET value = ? WHERE name = ?", params![value, name]).await? == 0 {
        tx.execute("INSERT INTO signals (name, value) VALUES (?, ?)", params![name, value]).await?;
    }
    Ok(())
}

/// A number that all servers look at, if anybody ever set it.
///
/// # Errors
/// As any statement.
pub async fn read_signal(tx: &mut Tx, name: &'static str) -> Result<Option<i64>> {
    tx.fetch_optional("SELECT value FROM signals WHERE name = ?", params![name], |row| row.get(0)).await
}

/// Something that this installation made for itself once.
///
/// # Errors
/// As any statement.
pub async fn installed(tx: &mut Tx, name: &'static str) -> Result<Option<String>> {
    tx.fetch_optional("SELECT value FROM installation WHERE name = ?", params![name], |row| row.get(0)).await
}

/// Keeps something that this installation made for itself; what was kept first stays. What is kept.
///
/// # Errors
/// As any statement.
pub async fn install(tx: &mut Tx, name: &'static str, value: &str) -> Result<String> {
    if let Some(kept) = installed(tx, name).await? {
        return Ok(kept);
    }
    tx.execute("INSERT INTO installation (name, value) VALUES (?, ?)", params![name, value]).await?;
    Ok(value.to_owned())
}
