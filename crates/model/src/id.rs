//! Identifiers: 16-character ids of accounts, families and members, and 53-bit row numbers.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// Length of an account, family or member id in characters.
pub const ID_LENGTH: usize = 16;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Makes the 16 bytes of an id from random bytes: the letter, then 15 of `[A-Za-z0-9]`.
///
/// Bytes of 248 and more are passed over so that every character is equally likely (248 = 4 x 62).
fn compose(letter: u8, random: &mut dyn FnMut(&mut [u8])) -> [u8; ID_LENGTH] {
    let mut id = [letter; ID_LENGTH];
    let mut filled = 1;
    while filled < ID_LENGTH {
        let mut bytes = [0_u8; 24];
        random(&mut bytes);
        for byte in bytes {
            if byte < 248 && filled < ID_LENGTH {
                id[filled] = ALPHABET[usize::from(byte % 62)];
                filled += 1;
            }
        }
    }
    id
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; ID_LENGTH]);

        impl $name {
            /// Takes 16 characters of `[A-Za-z0-9]`; anything else names nothing and is `None`.
            ///
            /// Letter case counts. The first letter is not checked, so that ids of an imported database stay valid.
            pub fn parse(text: &str) -> Option<Self> {
                let bytes: [u8; ID_LENGTH] = text.as_bytes().try_into().ok()?;
                bytes.iter().all(u8::is_ascii_alphanumeric).then_some(Self(bytes))
            }

            /// Makes a new id from a source of random bytes.
            pub fn from_random(random: &mut dyn FnMut(&mut [u8])) -> Self {
                Self(compose($letter, random))
            }

            /// The 16 characters.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": "^[a-zA-Z0-9]{16}$" })
            }
        }
    };
}

text_id!(
    /// The id of an account: `U` and 15 of `[A-Za-z0-9]`.
    AccountId, b'U'
);
text_id!(
    /// The id of a family: `F` and 15 of `[A-Za-z0-9]`.
    FamilyId, b'F'
);
text_id!(
    /// The id of a membership: `M` and 15 of `[A-Za-z0-9]`.
    MemberId, b'M'
);

/// The number of a row (`index` on the wire): 53 bits, so that a JavaScript number holds it exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct RowId(pub i64);

impl RowId {
    /// 2025-01-01T00:00:00Z in unix milliseconds: where the time part of a row number starts.
    pub const EPOCH_MS: i64 = 1_735_689_600_000;
    /// Bits of the sequence within one millisecond of one node.
    pub const SEQUENCE_BITS: u32 = 6;
    /// Bits of the node number; a node is one server process.
    pub const NODE_BITS: u32 = 6;
    /// How many nodes there can be at once.
    pub const NODES: i64 = 1 << Self::NODE_BITS;
    /// How many rows a node can number in one millisecond before it borrows from the next.
    pub const PER_MILLISECOND: i64 = 1 << Self::SEQUENCE_BITS;
    /// The greatest row number: 2^53 - 1. The 41 bits of milliseconds last until 2094.
    pub const MAX: i64 = (1 << 53) - 1;

    /// Puts a row number together: milliseconds since [`RowId::EPOCH_MS`], then node, then sequence, so that numbers
    /// sort by time.
    pub const fn compose(millis: i64, node: i64, sequence: i64) -> Self {
        Self(((millis << Self::NODE_BITS | node) << Self::SEQUENCE_BITS) | sequence)
    }

    /// The milliseconds since [`RowId::EPOCH_MS`] of this number.
    pub const fn millis(self) -> i64 {
        self.0 >> (Self::NODE_BITS + Self::SEQUENCE_BITS)
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_letter_and_fifteen_alphanumerics() {
        let mut next = 0_u8;
        let id = FamilyId::from_random(&mut |bytes| {
            for byte in bytes {
                *byte = next;
                next = next.wrapping_add(11);
            }
        });
        assert!(id.as_str().starts_with('F'));
        assert_eq!(FamilyId::parse(id.as_str()), Some(id));
    }

    #[test]
    fn what_is_not_sixteen_alphanumerics_names_nothing() {
        for text in ["", "U", "U23456789012345", "U2345678901234567", "U23456789012345-", "U2345678901234가"] {
            assert_eq!(AccountId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn row_numbers_sort_by_time_and_fit_in_a_javascript_number() {
        let early = RowId::compose(5, RowId::NODES - 1, RowId::PER_MILLISECOND - 1);
        let late = RowId::compose(6, 0, 0);
        assert!(early < late);
        assert_eq!(RowId::compose((1 << 41) - 1, RowId::NODES - 1, RowId::PER_MILLISECOND - 1).0, RowId::MAX);
        assert_eq!(late.millis(), 6);
    }
}
