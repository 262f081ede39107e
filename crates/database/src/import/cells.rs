//! From the columns of an existing installation to values of ours. What does not fit is noted, never dropped silently.

use std::borrow::Cow;

use carebot_model::text::LONG_TEXT_BYTES;
use carebot_model::{Date, Timestamp};
use serde::de::IgnoredAny;

use super::report::Rule;

/// How a column is read: everything comes as a text, a whole number or NULL, whatever the column's type is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// As it is: texts and the words of enumerations.
    Text,
    /// A number or date, as the text that people saw. A single-precision FLOAT has six digits so, and no more invented ones.
    Shown,
    /// A whole number.
    Whole,
    /// A point in time in unix milliseconds; 0 for a time of zeros.
    Time,
    /// NULL: the column is not there.
    Absent,
}

impl Read {
    /// The expression for a column.
    pub fn sql(self, column: &str) -> String {
        match self {
            Self::Text => column.to_owned(),
            Self::Shown => format!("CAST({column} AS CHAR)"),
            Self::Whole => format!("CAST({column} AS SIGNED)"),
            Self::Time => format!("CAST(UNIX_TIMESTAMP({column}) * 1000 AS SIGNED)"),
            Self::Absent => "NULL".to_owned(),
        }
    }
}

/// A value as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// NULL.
    Null,
    /// A whole number or a time.
    Whole(i64),
    /// A text.
    Text(String),
    /// A text that was not UTF-8; what could not be read is `\u{fffd}`.
    Mended(String),
}

impl Raw {
    /// Its text, if it has one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Mended(text) => Some(text),
            Self::Null | Self::Whole(_) => None,
        }
    }

    /// Its number, if it has one.
    pub const fn whole(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(*number),
            _ => None,
        }
    }

    /// Ids and names, which columns of fixed width may have padded.
    pub fn trimmed(&self) -> &str {
        self.text().unwrap_or_default().trim()
    }

    /// How much memory it takes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.text().map_or(0, str::len)
    }
}

/// Something about a column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The column; none if it is about the row.
    pub column: Option<&'static str>,
    /// The rule that is broken.
    pub rule: Rule,
    /// What was done.
    pub done: Cow<'static, str>,
}

/// Collects what is to be told about a row.
pub type Notes = Vec<Note>;

/// Notes that a column breaks a rule.
pub fn note(notes: &mut Notes, column: &'static str, rule: Rule, done: impl Into<Cow<'static, str>>) {
    notes.push(Note { column: Some(column), rule, done: done.into() });
}

/// A text of at most so many code points.
pub fn short(raw: &Raw, column: &'static str, most: usize, notes: &mut Notes) -> Option<String> {
    let text = raw.text()?;
    mended(raw, column, notes);
    match text.char_indices().nth(most) {
        None => Some(text.to_owned()),
        Some((end, _)) => {
            note(notes, column, Rule::TooLong, format!("cut to {most} characters"));
            Some(text[..end].to_owned())
        }
    }
}

/// A text of at most [`LONG_TEXT_BYTES`].
pub fn long(raw: &Raw, column: &'static str, notes: &mut Notes) -> Option<String> {
    let text = raw.text()?;
    mended(raw, column, notes);
    if text.len() <= LONG_TEXT_BYTES {
        return Some(text.to_owned());
    }
    note(notes, column, Rule::TooLong, format!("cut to {LONG_TEXT_BYTES} bytes"));
    let mut end = LONG_TEXT_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Some(text[..end].to_owned())
}

fn mended(raw: &Raw, column: &'static str, notes: &mut Notes) {
    if matches!(raw, Raw::Mended(_)) {
        note(notes, column, Rule::NotUtf8, "imported without the bytes that are not UTF-8");
    }
}

/// A text that holds a dictionary, taken over as it is.
pub fn dictionary(raw: &Raw, column: &'static str, notes: &mut Notes) -> Option<String> {
    let text = long(raw, column, notes)?;
    if is_python(&text) {
        note(notes, column, Rule::PythonText, "imported unchanged");
    }
    Some(text)
}

/// Whether a text looks like a dictionary or list of Python's and is not JSON.
fn is_python(text: &str) -> bool {
    let text = text.trim();
    let brackets = (text.starts_with('{') && text.ends_with('}')) || (text.starts_with('[') && text.ends_with(']'));
    brackets && serde_json::from_str::<IgnoredAny>(text).is_err()
}

/// A double.
pub fn real(raw: &Raw, column: &'static str, notes: &mut Notes) -> Option<f64> {
    let text = raw.text()?;
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    if number.is_none() {
        note(notes, column, Rule::Number, "imported as NULL");
    }
    // There is no -0 on the wire.
    number.map(|number| if number == 0.0 { 0.0 } else { number })
}

/// A whole number of 32 bits, rounded half away from zero.
pub fn int(raw: &Raw, column: &'static str, notes: &mut Notes) -> Option<i32> {
    let text = raw.text()?.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let rounded = text.parse::<f64>().ok().map(f64::round);
    let Some(number) = rounded.filter(|number| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(number)) else {
        note(notes, column, Rule::Number, "imported as NULL");
        return None;
    };
    note(notes, column, Rule::Fraction, "rounded to a whole number");
    #[expect(clippy::cast_possible_truncation, reason = "it is a whole number within the bounds")]
    Some(number as i32)
}

/// Yes or no: whatever is not zero is yes.
pub fn flag(raw: &Raw) -> Option<bool> {
    raw.whole().map(|number| number != 0)
}

/// A point in time that may be missing.
pub fn time(raw: &Raw, column: &'static str, notes: &mut Notes) -> Option<Timestamp> {
    match raw.whole()? {
        0 => {
            note(notes, column, Rule::ZeroDate, "imported as NULL");
            None
        }
        millis => Some(Timestamp::from_millis(millis)),
    }
}

/// The time of a row whose own is missing or of zeros: before all others, as such rows were listed.
pub const NO_TIME: i64 = 0;

/// A point in time that must not be missing.
pub fn needed_time(raw: &Raw, column: &'static str, notes: &mut Notes) -> Timestamp {
    let rule = match raw.whole() {
        Some(0) => Rule::ZeroDate,
        None => Rule::NoTime,
        Some(millis) => return Timestamp::from_millis(millis),
    };
    note(notes, column, rule, "imported with the time 1970-01-01T00:00:00");
    Timestamp::from_millis(NO_TIME)
}

/// A calendar date.
pub fn date(raw: &Raw, column: &'static str, notes: &mut Notes) -> Option<Date> {
    let date = Date::parse(raw.text()?);
    if date.is_none() {
        note(notes, column, Rule::ZeroDate, "imported as NULL");
    }
    date
}

/// A word of an enumeration, which is in upper case there; `None` if it is unknown (which is noted) or missing.
pub fn word<T>(
    raw: &Raw,
    column: &'static str,
    parse: impl Fn(&str) -> Option<T>,
    instead: &'static str,
    notes: &mut Notes,
) -> Option<T> {
    let text = raw.text()?;
    let word = parse(&text.trim().to_ascii_lowercase());
    if word.is_none() {
        note(notes, column, Rule::UnknownWord, instead);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Raw {
        Raw::Text(text.to_owned())
    }

    fn rules(notes: &Notes) -> Vec<Rule> {
        notes.iter().map(|note| note.rule).collect()
    }

    #[test]
    fn numbers_are_what_people_saw() {
        let mut notes = Notes::new();
        let read: Vec<_> =
            ["21.5", "12.3457", "-0", "1e-05"].iter().map(|shown| real(&text(shown), "c", &mut notes)).collect();
        assert_eq!(read, [Some(21.5), Some(12.3457), Some(0.0), Some(1e-5)]);
        assert_eq!((int(&text("72"), "c", &mut notes), int(&Raw::Null, "c", &mut notes)), (Some(72), None));
        assert_eq!(notes, []);
        assert_eq!(int(&text("67.5"), "c", &mut notes), Some(68));
        assert_eq!(int(&text("-2.5"), "c", &mut notes), Some(-3));
        assert_eq!(int(&text("4294967295"), "c", &mut notes), None);
        assert_eq!(real(&text("viel"), "c", &mut notes), None);
        assert_eq!(rules(&notes), [Rule::Fraction, Rule::Fraction, Rule::Number, Rule::Number]);
    }

    #[test]
    fn what_is_too_long_is_cut_between_letters() {
        let mut notes = Notes::new();
        assert_eq!(short(&text(&"가".repeat(33)), "c", 32, &mut notes), Some("가".repeat(32)));
        let cut = long(&text(&"가".repeat(30_000)), "c", &mut notes).expect("a text");
        assert_eq!(cut.len(), 65_535);
        assert_eq!(
            long(&text(&format!("a{}", "가".repeat(30_000))), "c", &mut notes).map(|cut| cut.len()),
            Some(65_533)
        );
        assert_eq!(rules(&notes), [Rule::TooLong; 3]);
    }

    #[test]
    fn dictionaries_of_python_are_told_from_json() {
        for python in ["{'a': 1}", " {'가': None} ", "[{'x': True}]", "{1: 2}"] {
            assert!(is_python(python), "{python}");
        }
        for other in ["{}", r#"{"a": 'b'"#, r#"{"a": 1}"#, "[1, 2]", "안녕", "", "'a'"] {
            assert!(!is_python(other), "{other}");
        }
    }

    #[test]
    fn dates_of_zeros_are_no_dates() {
        let mut notes = Notes::new();
        assert_eq!(date(&text("1945-03-01"), "c", &mut notes), Date::new(1945, 3, 1));
        assert_eq!((date(&Raw::Null, "c", &mut notes), time(&Raw::Null, "c", &mut notes)), (None, None));
        assert_eq!(notes, []);
        assert_eq!((date(&text("0000-00-00"), "c", &mut notes), time(&Raw::Whole(0), "c", &mut notes)), (None, None));
        assert_eq!(needed_time(&Raw::Whole(0), "c", &mut notes).millis(), 0);
        assert_eq!(needed_time(&Raw::Null, "c", &mut notes).millis(), 0);
        assert_eq!(rules(&notes), [Rule::ZeroDate, Rule::ZeroDate, Rule::ZeroDate, Rule::NoTime]);
    }
}
