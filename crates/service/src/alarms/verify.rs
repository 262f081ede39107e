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
    /// Entries were made with another key, so that nothing can be said of them. All others are as they were written.
    OtherKey {
        /// The number of the first.
        seq: i64,
        /// How many.
        entries: i64,
        /// The name of the key of the first.
        key_id: String,
    },
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
    /// The first thing that is wrong; entries of another key only if that is all.
    pub fault: Option<Fault>,
}

/// Verifies the chain of a family with the key it was made with. Nothing may be written to it meanwhile, or what was is not
/// looked at.
///
/// # Errors
/// As the database.
pub async fn family(db: &Db, key: &ChainKey, family: FamilyId) -> Result<Verified> {
    // Read before the entries: what is added meanwhile comes behind.
    let (expected, said) = journal::chain_head(&mut db.read(), family).await?;
    let (mut seq, mut head, mut fault) = (0, None::<Hash>, None);
    let mut others: Option<(i64, i64, String)> = None;
    while fault.is_none() && seq < expected {
        let page = journal::chain_after(&mut db.read(), family, seq, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for entry in page.into_iter().filter(|entry| entry.seq <= expected) {
            if entry.seq != seq + 1 {
                fault = Some(Fault::Missing { seq: entry.seq });
            } else if entry.key_id != key.id() {
                let (_, entries, _) = others.get_or_insert_with(|| (entry.seq, 0, entry.key_id.clone()));
                *entries += 1;
            } else if key.of_entry(head.as_ref(), &entry) != entry.hash {
                fault = Some(Fault::Changed { seq: entry.seq });
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
    let fault = fault.or(others.map(|(seq, entries, key_id)| Fault::OtherKey { seq, entries, key_id }));
    Ok(Verified { family, entries: seq, head, fault })
}

/// Whether what remains of a deleted family's chain is as it was signed.
pub fn stub(key: &ChainKey, stub: &journal::Stub) -> bool {
    key.of_stub(stub.family, stub.deleted_at, stub.entries, stub.head.as_ref()) == stub.signature
}
