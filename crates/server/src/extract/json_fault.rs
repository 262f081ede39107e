//! Where and why a JSON text breaks, in the contract's words. Looked for only after the parser has refused it.

use std::borrow::Cow;

/// The character (from 0) at which `bytes` stop being JSON, and the reason.
///
/// The grammar is checked anew, because the contract counts characters and has its own words. What the grammar allows
/// and the parser does not (too deep, too large a number, half a surrogate pair) is told by the parser's `error`.
pub fn locate(bytes: &[u8], error: &serde_json::Error) -> (usize, Cow<'static, str>) {
    match std::str::from_utf8(bytes) {
        Err(invalid) => (count(&bytes[..invalid.valid_up_to()]), "Invalid UTF-8".into()),
        Ok(text) => match (Scanner { bytes, at: 0 }).document() {
            Err((at, reason)) => (count(&bytes[..at]), reason.into()),
            Ok(()) => (count(&bytes[..offset(text, error)]), words(error)),
        },
    }
}

/// The number of characters in bytes that are UTF-8, perhaps cut within a character.
fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

/// The byte offset of the parser's line and column.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    (line_start + error.column().saturating_sub(1)).min(text.len())
}

/// The parser's own words, without the place.
fn words(error: &serde_json::Error) -> Cow<'static, str> {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    let mut letters = reason.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default().into()
}

type Step<T = ()> = Result<T, (usize, &'static str)>;

const VALUE: &str = "Expecting value";
const NAME: &str = "Expecting property name enclosed in double quotes";

/// Walks through a JSON text without recursion, so that depth costs memory only.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn document(&mut self) -> Step {
        // The closing brackets that are still to come.
        let mut open = Vec::new();
        loop {
            self.blanks();
            match self.peek() {
                Some(b'[') => {
                    self.at += 1;
                    self.blanks();
                    if !self.take(b']') {
                        open.push(b']');
                        continue;
                    }
                }
                Some(b'{') => {
                    self.at += 1;
                    self.blanks();
                    if !self.take(b'}') {
                        self.name()?;
                        open.push(b'}');
                        continue;
                    }
                }
                Some(b'"') => self.string()?,
                _ => self.scalar()?,
            }
            // A value has ended: close what it closes, then go on to the next one.
            loop {
                self.blanks();
                let Some(close) = open.last().copied() else {
                    return if self.at == self.bytes.len() { Ok(()) } else { Err((self.at, "Extra data")) };
                };
                if self.take(close) {
                    open.pop();
                } else if self.take(b',') {
                    if close == b'}' {
                        self.blanks();
                        self.name()?;
                    }
                    break;
                } else {
                    return Err((self.at, "Expecting ',' delimiter"));
                }
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn name(&mut self) -> Step {
        if self.peek() != Some(b'"') {
            return Err((self.at, NAME));
        }
        self.string()?;
        self.blanks();
        if self.take(b':') { Ok(()) } else { Err((self.at, "Expecting ':' delimiter")) }
    }

    fn string(&mut self) -> Step {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err((start, "Unterminated string starting at")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape(start)?,
                Some(0..0x20) => return Err((self.at, "Invalid control character at")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, start: usize) -> Step {
        match self.bytes.get(self.at + 1) {
            None => return Err((start, "Unterminated string starting at")),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err((self.at + 1, r"Invalid \uXXXX escape"));
                }
                self.at += 6;
            }
            Some(_) => return Err((self.at, r"Invalid \escape")),
        }
        Ok(())
    }

    fn scalar(&mut self) -> Step {
        let rest = &self.bytes[self.at..];
        if let Some(word) = [&b"true"[..], b"false", b"null"].into_iter().find(|word| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(());
        }
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err((start, VALUE));
        }
        // A fraction or an exponent without digits is not part of the number.
        let whole = self.at;
        if self.take(b'.') && self.digits() == 0 {
            self.at = whole;
            return Ok(());
        }
        let plain = self.at;
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                self.at = plain;
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn fault(text: &str) -> (usize, String) {
        let error = serde_json::from_str::<Value>(text).expect_err("broken");
        let (at, reason) = locate(text.as_bytes(), &error);
        (at, reason.into_owned())
    }

    #[test]
    fn positions_and_reasons_are_those_of_the_existing_server() {
        for (text, at, reason) in [
            ("{", 1, NAME),
            ("{}x", 2, "Extra data"),
            (r#"{"a":}"#, 5, VALUE),
            (r#"{"a":1,}"#, 7, NAME),
            (r#"{"a" 1}"#, 5, "Expecting ':' delimiter"),
            ("{a:1}", 1, NAME),
            ("[1,]", 3, VALUE),
            ("[1 2]", 3, "Expecting ',' delimiter"),
            ("[", 1, VALUE),
            (r#"{"a":1"#, 6, "Expecting ',' delimiter"),
            (r#"{"a""#, 4, "Expecting ':' delimiter"),
            (r#"{"a":"#, 5, VALUE),
            (r#""abc"#, 0, "Unterminated string starting at"),
            ("\"a\nb\"", 2, "Invalid control character at"),
            (r#""\x""#, 1, r"Invalid \escape"),
            (r#""\u12""#, 2, r"Invalid \uXXXX escape"),
            (r#""\u12g4""#, 2, r"Invalid \uXXXX escape"),
            ("tru", 0, VALUE),
            ("true x", 5, "Extra data"),
            ("01", 1, "Extra data"),
            ("-", 0, VALUE),
            ("1.", 1, "Extra data"),
            (".5", 0, VALUE),
            ("1e", 1, "Extra data"),
            ("+1", 0, VALUE),
            ("{'a':1}", 1, NAME),
            (r#"{"a":1 "b":2}"#, 7, "Expecting ',' delimiter"),
            ("   ", 3, VALUE),
            ("  {", 3, NAME),
            (r#"{"가":x}"#, 5, VALUE),
            (r#"{"a":1}}"#, 7, "Extra data"),
            (r#"{"a":[1,2}"#, 9, "Expecting ',' delimiter"),
            (r#"{"a":"b}"#, 5, "Unterminated string starting at"),
            (r#"{"a":1.}"#, 6, "Expecting ',' delimiter"),
            (r#"{"a":01}"#, 6, "Expecting ',' delimiter"),
            ("{,}", 1, NAME),
            ("[,1]", 1, VALUE),
            ("{\"a\":1,\n\n}", 9, NAME),
            (r#"{"a":"\"#, 5, "Unterminated string starting at"),
            (r#"{"a":"\u"#, 7, r"Invalid \uXXXX escape"),
            (r#"{"a": tru}"#, 6, VALUE),
            (r#"{"a":NaN}"#, 5, VALUE),
        ] {
            assert_eq!(fault(text), (at, reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_only_the_parser_refuses_has_its_words() {
        for (text, reason) in [
            ("{\"가\":\n1e400}", "Number out of range"),
            (r#"["\ud800"]"#, "Unexpected end of hex escape"),
            (r#"["\ude00"]"#, "Lone leading surrogate in hex escape"),
        ] {
            let (at, words) = fault(text);
            assert_eq!(words, reason, "{text}");
            assert!(at < text.chars().count(), "{at} in {text}");
        }
        assert_eq!(fault(&format!("{}1{}", "[".repeat(200), "]".repeat(200))).1, "Recursion limit exceeded");
    }

    proptest! {
        /// The grammar agrees with the parser on whether a text is JSON, but for the parser's limits.
        #[test]
        fn what_the_parser_takes_the_scanner_takes(text in r#"([\[\]{},: \n]|"[ab]{0,2}"|\\|"|-|0|12|\.5|e[+-]?3|true|null|\\u00e9|가){0,12}"#) {
            let taken = (Scanner { bytes: text.as_bytes(), at: 0 }).document().is_ok();
            prop_assert_eq!(taken, serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        }
    }
}
