//! An answer, and how tests look at it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// What to call things in compared answers that differ from run to run, such as ids.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Vec<(String, String)>>>);

impl Names {
    /// From now on `text` is shown as `name`.
    pub fn set(&self, text: impl Display, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((format!("{text}"), name.to_owned()));
    }

    /// A text with the names in it. Ids without a name read `ID`, tokens `TOKEN`, numbers of rows `ROW1`, `ROW2` by size,
    /// request ids `REQUEST`.
    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev() {
            text = text.replace(from, to);
        }
        let mut shown = String::with_capacity(text.len());
        let rows: BTreeSet<u64> = words(&text).filter_map(row).collect();
        for word in words(&text) {
            let number = row(word).and_then(|row| rows.iter().position(|other| *other == row));
            match number {
                Some(number) => {
                    shown.push_str("ROW");
                    shown.push_str(&(number + 1).to_string());
                }
                None if word.len() == 16
                    && word.starts_with(['U', 'F', 'M'])
                    && word.bytes().skip(1).any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()) =>
                {
                    shown.push_str("ID");
                }
                None if word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    shown.push_str("TOKEN");
                }
                None if word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    shown.push_str("REQUEST");
                }
                None => shown.push_str(word),
            }
        }
        shown
    }
}

/// The number of a row: longer than any number that a test sends.
fn row(word: &str) -> Option<u64> {
    (word.len() >= 14 && word.bytes().all(|byte| byte.is_ascii_digit())).then(|| word.parse().ok()).flatten()
}

/// Runs of letters and digits, and what is between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let inside = |c: char| c.is_ascii_alphanumeric();
        let end = rest.find(|c| inside(c) != inside(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent.
    pub body: Bytes,
    pub(super) names: Names,
}

impl Reply {
    /// The value of a header, empty if it is not there.
    ///
    /// # Panics
    /// When it is no text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header is text"))
    }

    /// All values of a header, with commas between them.
    ///
    /// # Panics
    /// When one is no text.
    pub fn all(&self, name: &str) -> String {
        let values: Vec<_> =
            self.headers.get_all(name).iter().map(|value| value.to_str().expect("a header is text")).collect();
        values.join(", ")
    }

    /// The body, unpacked if it was compressed.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn unpacked(&self) -> Bytes {
        if self.header("content-encoding") != "gzip" {
            return self.body.clone();
        }
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&*self.body).read_to_end(&mut bytes).expect("the answer is gzip");
        bytes.into()
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8(self.unpacked().to_vec()).expect("the answer is UTF-8")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.unpacked()).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The result of a success.
    ///
    /// # Panics
    /// When it is none.
    pub fn result(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self.json()["result"].take()
    }

    /// A text of the result.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn given(&self, name: &str) -> String {
        let result = self.result();
        result[name].as_str().unwrap_or_else(|| panic!("no {name} in {result}")).to_owned()
    }

    /// The body with names in place of ids: [`Names::apply`].
    pub fn shown(&self) -> String {
        self.names.apply(&self.text())
    }

    /// Expects a status; the body is as the document says.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn succeeds(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.shown());
    }

    /// Asserts status and body, byte by byte but for the names.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.shown().as_str()), (status, body));
    }

    /// Asserts a refusal of a type and message, whatever else it says.
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    pub fn refuses(&self, status: u16, kind: &str, message: &str) {
        let text = self.text();
        let detail = serde_json::from_str::<Value>(&text).map(|mut json| json["detail"].take()).unwrap_or_default();
        let said = (self.status, detail["type"].as_str(), detail["message"].as_str());
        assert_eq!(said, (status, Some(kind), Some(message)), "{text}");
    }

    /// Asserts the contract's 403.
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    pub fn forbids(&self) {
        self.refuses(403, "can not access", "You do not have permission");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_gets_a_name() {
        let names = Names::default();
        names.set("U1bcdefghijklmno", "ELDER");
        let text = r#"{"a":"U1bcdefghijklmno","b":"F1bcdefghijklmno","n":[150529000000002,150529000000001,12],"t":"0123456789abcdef0123456789abcdef","말":"x"}"#;
        assert_eq!(names.apply(text), r#"{"a":"ELDER","b":"ID","n":[ROW2,ROW1,12],"t":"TOKEN","말":"x"}"#);
    }
}
