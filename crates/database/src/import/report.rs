//! What is told about rows that break a rule.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write};

use serde::Serialize;

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal,)+) => {
        /// A rule that rows of an existing installation may break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $($(#[$doc])* $rule,)+ }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$rule),+];

            /// What it is called in the report.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$rule => $name),+ }
            }
        }
    };
}

rules! {
    /// What the row refers to is not there, or was not taken over.
    Orphan = "orphan",
    /// An id that is not 16 letters and digits.
    Id = "id",
    /// A main user with more than one family.
    SecondFamily = "second_family",
    /// The same account in the same family more than once.
    SecondMember = "second_member",
    /// An e-mail address that differs from another account's only by case or blanks.
    SecondEmail = "second_email",
    /// An e-mail address that does not look like one.
    EmailForm = "email_form",
    /// A password's hash that is none.
    PasswordForm = "password_form",
    /// A key that something else has already.
    Taken = "taken",
    /// A text that must not be missing is.
    NoText = "no_text",
    /// A time that must not be missing is.
    NoTime = "no_time",
    /// A time or date of zeros.
    ZeroDate = "zero_date",
    /// A text as Python writes dictionaries and lists, not JSON.
    PythonText = "python_text",
    /// A text that does not fit.
    TooLong = "too_long",
    /// A text that is not UTF-8.
    NotUtf8 = "not_utf8",
    /// A number that does not fit.
    Number = "number",
    /// A fraction where whole numbers are kept.
    Fraction = "fraction",
    /// A word that is none of those there are.
    UnknownWord = "unknown_word",
    /// The database took the row's values for impossible.
    Refused = "refused",
    /// Taken over by an earlier run, and no longer there.
    Gone = "gone",
    /// The address of a picture that whoever wrote it may not see.
    ForeignPicture = "foreign_picture",
    /// A file that is not taken as a picture.
    NotAPicture = "not_a_picture",
}

impl Rule {
    /// Whether rows that break it are taken over unchanged, so that a long list of them would help nobody.
    const fn is_harmless(self) -> bool {
        matches!(self, Self::PythonText)
    }
}

/// The most lines about rows of one table that break one harmless rule.
pub const HARMLESS_LINES: u64 = 1_000;

/// A row that breaks a rule. Holds ids and names of columns, never what people wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table of the existing installation.
    pub table: &'static str,
    /// The row.
    pub key: String,
    /// The column, if it is about one.
    pub column: Option<&'static str>,
    /// The rule.
    pub rule: Rule,
    /// What was done.
    pub done: Cow<'static, str>,
}

#[derive(Serialize)]
struct Line<'a> {
    table: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'a str>,
    rule: &'static str,
    done: &'a str,
}

/// Writes findings as JSON lines, each once, however often the import is run with the same file.
pub struct Report {
    out: Box<dyn Write + Send>,
    written: HashSet<u64>,
    harmless: BTreeMap<(&'static str, Rule), u64>,
    count: u64,
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Report").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Report {
    /// What a line is known by.
    pub fn hash(line: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        hasher.finish()
    }

    /// Goes on after what earlier runs have written: the [`Report::hash`] of each line, without its end.
    pub fn new(out: Box<dyn Write + Send>, earlier: impl IntoIterator<Item = u64>) -> Self {
        Self { out, written: earlier.into_iter().collect(), harmless: BTreeMap::new(), count: 0 }
    }

    /// How many lines were written by this run.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Writes findings; comes back when the system has them.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&mut self, findings: &[Finding]) -> io::Result<()> {
        for finding in findings {
            let line = serde_json::to_string(&Line {
                table: finding.table,
                key: &finding.key,
                column: finding.column,
                rule: finding.rule.name(),
                done: &finding.done,
            })?;
            if !self.written.insert(Self::hash(&line)) {
                continue;
            }
            if finding.rule.is_harmless() {
                let count = self.harmless.entry((finding.table, finding.rule)).or_default();
                *count += 1;
                if *count > HARMLESS_LINES {
                    continue;
                }
            }
            self.out.write_all(line.as_bytes())?;
            self.out.write_all(b"\n")?;
            self.count += 1;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn finding(key: u64, rule: Rule) -> Finding {
        Finding { table: "homestatus", key: key.to_string(), column: None, rule, done: "skipped".into() }
    }

    #[test]
    fn a_line_is_written_once_also_by_another_run() {
        let file = Shared::default();
        let mut report = Report::new(Box::new(file.clone()), []);
        report.write(&[finding(1, Rule::Orphan), finding(1, Rule::Orphan), finding(2, Rule::Orphan)]).expect("written");
        let text = String::from_utf8(file.0.lock().expect("nobody panicked").clone()).expect("UTF-8");
        assert_eq!(text.lines().count(), 2);
        assert_eq!(text.lines().next(), Some(r#"{"table":"homestatus","key":"1","rule":"orphan","done":"skipped"}"#));
        let mut again = Report::new(Box::new(file), text.lines().map(Report::hash));
        again.write(&[finding(2, Rule::Orphan), finding(3, Rule::Orphan)]).expect("written");
        assert_eq!(again.count(), 1);
    }

    #[test]
    fn what_does_no_harm_is_not_listed_without_end() {
        let mut report = Report::new(Box::new(io::sink()), []);
        let findings: Vec<Finding> = (0..2_000).map(|key| finding(key, Rule::PythonText)).collect();
        report.write(&findings).expect("written");
        assert_eq!(report.count(), HARMLESS_LINES);
    }

    #[test]
    fn every_rule_has_a_name_of_its_own() {
        let names: HashSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
    }
}
