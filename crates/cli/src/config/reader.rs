//! Collects what the layers say about each setting, and hands out typed values.

use std::collections::BTreeMap;

use super::problem::{Problem, Source};
use super::setting::Setting;
use super::value::{Raw, Rejected, Value};

/// An echoed value is cut after this many characters.
const LONGEST_ECHO: usize = 80;

/// The layers laid over each other, and every problem met on the way.
#[derive(Debug)]
pub struct Reader {
    settings: Vec<Setting>,
    entries: BTreeMap<String, (Raw, Source)>,
    /// Settings with a bad value: what is said about several settings together is not true of their defaults.
    bad: Vec<String>,
    problems: Vec<Problem>,
}

impl Reader {
    /// Nothing set yet.
    pub fn new(settings: Vec<Setting>) -> Self {
        Self { settings, entries: BTreeMap::new(), bad: Vec::new(), problems: Vec::new() }
    }

    /// The settings there are.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Notes a problem that belongs to no setting.
    pub fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Lays a value over what lower layers said. A key that no setting has is a problem.
    pub fn set(&mut self, key: &str, raw: Raw, source: Source) {
        if self.settings.iter().any(|setting| setting.key() == key) {
            self.entries.insert(key.to_owned(), (raw, source));
        } else {
            let nearest = self.nearest(key).key();
            self.problems.push(Problem::UnknownKey { key: key.to_owned(), source, nearest });
        }
    }

    /// The setting whose dotted name is most like this one. The field's own name counts again, so that a right field in
    /// a wrong section is found.
    pub fn nearest(&self, key: &str) -> &Setting {
        let field = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let likeness = |setting: &Setting| {
            strsim::normalized_damerau_levenshtein(key, &setting.key())
                + strsim::normalized_damerau_levenshtein(&field(key), setting.name)
        };
        self.settings
            .iter()
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
            .expect("a configuration without settings would not be read")
    }

    /// The section whose name is most like this one.
    pub fn nearest_section(&self, name: &str) -> &'static str {
        let sections = self.settings.iter().map(|setting| setting.section).filter(|section| !section.is_empty());
        let likeness = |section: &str| strsim::normalized_damerau_levenshtein(name, section);
        sections.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).expect("there are sections")
    }

    /// The value of a setting: what the highest layer says, or the default. A bad value is noted and the default given.
    pub fn value<T: Value>(&mut self, section: &str, name: &str, default: T) -> T {
        let setting = self
            .settings
            .iter()
            .find(|setting| setting.section == section && setting.name == name)
            .expect("every section that is read is among the settings");
        let key = setting.key();
        let Some((raw, source)) = self.entries.get(&key) else { return default };
        let rejected = match T::parse(raw) {
            Ok(value) => match (&setting.range, value.number()) {
                (Some(range), Some(number)) if !range.contains(&number) => Rejected::default(),
                _ => return value,
            },
            Err(rejected) => rejected,
        };
        self.problems.push(Problem::Value {
            message: complaint(setting, raw, &rejected),
            key: key.clone(),
            source: source.clone(),
        });
        self.bad.push(key);
        default
    }

    /// Notes what settings are wrong together, unless one of them is already wrong alone.
    pub fn together(&mut self, found: Vec<Problem>) {
        let bad = &self.bad;
        self.problems.extend(found.into_iter().filter(|problem| match problem {
            Problem::Together { keys, .. } => !keys.iter().any(|key| bad.contains(key)),
            _ => true,
        }));
    }

    /// Where each value that is not a default came from.
    pub fn sources(&self) -> BTreeMap<String, Source> {
        self.entries.iter().map(|(key, (_, source))| (key.clone(), source.clone())).collect()
    }

    /// Everything that was noted.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// "`0`: expected a whole number from 1 to 128 (characters)".
fn complaint(setting: &Setting, raw: &Raw, rejected: &Rejected) -> String {
    let mut text = if setting.secret {
        "the value (not shown, it may hold a password)".to_owned()
    } else {
        format!("`{}`", echo(&rejected.item.clone().unwrap_or_else(|| raw.shown())))
    };
    text += " is wrong: expected ";
    text += &setting.expectation();
    if let Some(why) = &rejected.why {
        text += "; ";
        text += why;
    }
    text
}

/// A wrong value in one short line. What stands before an `@` may be a password that got into the wrong setting.
pub fn echo(text: &str) -> String {
    let safe = match text.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}"),
        None => text.to_owned(),
    };
    let mut shown: String = safe.chars().take(LONGEST_ECHO).flat_map(char::escape_debug).collect();
    if safe.chars().count() > LONGEST_ECHO {
        shown += "..";
    }
    shown
}
