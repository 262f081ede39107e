//! Whether anybody edited a timeline.

use carebot_database::journal::{self, ChainKey, Hash};
use carebot_database::{Db, Result};
use carebot_model::FamilyId;

/// How many entries are read at once.
const PAGE: u32 = 1_000;

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An entry was changed, or something before it.
    Changed {
        /// Its number.
        seq: i64,
    },
    /// Entries are missing before this one.
    Missing {
        /// Its number.
        seq: i64,
    },
    /// Entries are missing at the end: the chain is shorter than it is said to be, or ends otherwise.
    Cut {
        /// How many there are.
        entries: i64,
        /// How many there are to be.
        expected: i64,
    },
    /// Entries are said to have been made with keys that were not given, so that nothing can be said of them, nor of whether they are
    /// where they were: whoever edits an entry can give it any name of a key. All others are as they were written.
    OtherKeys(Vec<OtherKey>),
}

/// Entries of a key that was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherKey {
    /// The name of the key.
    pub key_id: String,
    /// The number of the first.
    pub seq: i64,
    /// How many.
    pub entries: i64,
}

/// What was found out about a family's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The family.
    pub family: FamilyId,
    /// How many entries its chain has.
    pub entries: i64,
    /// How it ends.
    pub head: Option<Hash>,
    /// The first thing that is wrong; entries of other keys only if that is all.
    pub fault: Option<Fault>,
}

/// Verifies the chain of a family with the keys it was made with. Nothing may be written to it meanwhile, or what was is not
/// looked at.
///
/// # Errors
/// As the database.
pub async fn family(db: &Db, keys: &[ChainKey], family: FamilyId) -> Result<Verified> {
    // Read before the entries: what is added meanwhile comes behind.
    let (expected, said) = journal::chain_head(&mut db.read(), family).await?;
    let (mut seq, mut head, mut fault) = (0, None::<Hash>, None);
    let mut others: Vec<OtherKey> = Vec::new();
    while fault.is_none() && seq < expected {
        let page = journal::chain_after(&mut db.read(), family, seq, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for entry in page.into_iter().filter(|entry| entry.seq <= expected) {
            if entry.seq != seq + 1 {
                fault = Some(Fault::Missing { seq: entry.seq });
            } else if let Some(key) = keys.iter().find(|key| key.id() == entry.key_id) {
                if key.of_entry(head.as_ref(), &entry) != entry.hash {
                    fault = Some(Fault::Changed { seq: entry.seq });
                }
            } else if let Some(other) = others.iter_mut().find(|other| other.key_id == entry.key_id) {
                other.entries += 1;
            } else {
                others.push(OtherKey { key_id: entry.key_id.clone(), seq: entry.seq, entries: 1 });
            }
            if fault.is_some() {
                break;
            }
            (seq, head) = (entry.seq, Some(entry.hash));
        }
    }
    if fault.is_none() && (seq != expected || head != said) {
        fault = Some(Fault::Cut { entries: seq, expected });
    }
    let fault = fault.or((!others.is_empty()).then_some(Fault::OtherKeys(others)));
    Ok(Verified { family, entries: seq, head, fault })
}

/// Whether what remains of a deleted family's chain is as it was signed; nothing if the key was not given.
pub fn stub(keys: &[ChainKey], stub: &journal::Stub) -> Option<bool> {
    let key = keys.iter().find(|key| key.id() == stub.key_id)?;
    Some(key.of_stub(stub.family, stub.deleted_at, stub.entries, stub.head.as_ref()) == stub.signature)
}
