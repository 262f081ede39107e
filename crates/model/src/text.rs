//! Texts with bounds: what got in fits its column on every engine.

use serde::{Serialize, Serializer};

/// The most bytes a free text may have: what a MariaDB `TEXT` column holds.
pub const LONG_TEXT_BYTES: usize = 65_535;

/// A text cut to `CHARS` code points, silently, as the contract does with names and addresses.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Cut<const CHARS: usize>(String);

impl<const CHARS: usize> Cut<CHARS> {
    /// Keeps the first `CHARS` code points.
    pub fn new(mut text: String) -> Self {
        if let Some((end, _)) = text.char_indices().nth(CHARS) {
            text.truncate(end);
        }
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const CHARS: usize> Serialize for Cut<CHARS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A name of a person or family: at most 32 code points.
pub type Name = Cut<32>;
/// A postal address: at most 128 code points.
pub type Address = Cut<128>;

/// A free text of at most [`LONG_TEXT_BYTES`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongText(String);

impl LongText {
    /// `None` if the text is too long.
    pub fn parse(text: String) -> Option<Self> {
        (text.len() <= LONG_TEXT_BYTES).then_some(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Two digits a byte, lower case.
pub fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// An e-mail address as it was typed (without surrounding blanks), and the form it is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    shown: String,
    key: String,
}

impl Email {
    /// The most code points an address may have.
    pub const MAX_CHARS: usize = 128;

    /// Reads an address: something before and a dotted name after one `@`, no blanks or control characters, at most
    /// [`Email::MAX_CHARS`] code points. `None` if it does not look like one. Whether mail arrives is not known here.
    pub fn parse(text: &str) -> Option<Self> {
        let shown = text.trim();
        let (local, domain) = shown.rsplit_once('@')?;
        let plain =
            |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@');
        let dotted = domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
        (plain(local) && plain(domain) && dotted && shown.chars().count() <= Self::MAX_CHARS)
            .then(|| Self { shown: shown.to_owned(), key: Self::key_of(shown) })
    }

    /// The form addresses are compared by: without surrounding blanks, lower case.
    pub fn key_of(text: &str) -> String {
        text.trim().to_lowercase()
    }

    /// As it was typed.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// As it is compared.
    pub fn key(&self) -> &str {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_by_code_points() {
        assert_eq!(Name::new("가".repeat(40)).as_str().chars().count(), 32);
        assert_eq!(Name::new("👵🏻".into()).as_str(), "👵🏻");
    }

    #[test]
    fn emails_are_compared_without_regard_to_case_and_blanks() {
        let email = Email::parse("  Mother@Example.com ").expect("an address");
        assert_eq!((email.as_str(), email.key()), ("Mother@Example.com", "mother@example.com"));
        for text in ["", "a", "a@b", "@b.c", "a@.c", "a@b.", "a b@c.d", "a@b@c.d", "a@b..c", "a\0@b.c"] {
            assert_eq!(Email::parse(text), None, "{text}");
        }
        assert_eq!(Email::parse(&format!("{}@b.co", "a".repeat(124))), None);
    }

    #[test]
    fn a_long_text_fits_its_column() {
        assert!(LongText::parse("a".repeat(65_535)).is_some());
        assert!(LongText::parse("가".repeat(21_846)).is_none());
    }
}
