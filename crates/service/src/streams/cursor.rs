//! How far somebody has read: the id of every event on a stream.
//!
//! Of one family it is the event's number. Of several it names each with its number, also one in which nothing ever happened:
//! else one that was joined since could not be told from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use carebot_model::FamilyId;

/// The most digits of a number.
const DIGITS: usize = 18;

/// Up to which number each family was read.
pub type Read = BTreeMap<FamilyId, i64>;

fn number(text: &str) -> Option<i64> {
    let plain = (1..=DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Reads the cursor of one family's stream.
pub fn of_one(family: FamilyId, text: &str) -> Option<Read> {
    Some(Read::from([(family, number(text)?)]))
}

/// Reads the cursor of a stream of several families.
pub fn of_all(text: &str) -> Option<Read> {
    text.split(',')
        .map(|part| {
            let (family, read) = part.split_once('=')?;
            Some((FamilyId::parse(family)?, number(read)?))
        })
        .collect()
}

/// Writes the cursor of a stream of several families, which come in the order of their ids.
pub fn write_all(families: impl Iterator<Item = (FamilyId, i64)>) -> String {
    let mut out = String::new();
    for (family, read) in families {
        if !out.is_empty() {
            out.push(',');
        }
        let _ = write!(out, "{family}={read}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(text: &str) -> FamilyId {
        FamilyId::parse(text).expect("an id")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let read = Read::from([(family("F234567890123456"), 12), (family("Fabcdefghijklmno"), 0)]);
        let text = write_all(read.iter().map(|(family, read)| (*family, *read)));
        assert_eq!(text, "F234567890123456=12,Fabcdefghijklmno=0");
        assert_eq!(of_all(&text), Some(read));
        assert_eq!(of_one(family("F234567890123456"), "12"), Some(Read::from([(family("F234567890123456"), 12)])));
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for text in ["", "-1", "+1", "1.0", " 1", "1234567890123456789", "F234567890123456=1", "١"] {
            assert_eq!(of_one(family("F234567890123456"), text), None, "{text}");
        }
        for text in
            ["", "1", "F234567890123456", "F234567890123456=", "F=1", "F234567890123456=1,", "F234567890123456=1;"]
        {
            assert_eq!(of_all(text), None, "{text}");
        }
    }
}
