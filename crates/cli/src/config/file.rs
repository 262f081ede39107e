//! The layer of the configuration file.

use std::io;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Source};
use super::reader::Reader;
use super::value::Raw;

/// Which file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// This one if it is there.
    IfPresent(PathBuf),
    /// This one, which must be there.
    Required(PathBuf),
    /// None.
    Nothing,
}

impl File {
    /// Lays what the file says over the defaults.
    pub fn read(&self, reader: &mut Reader) {
        let (path, required) = match self {
            Self::IfPresent(path) => (path, false),
            Self::Required(path) => (path, true),
            Self::Nothing => return,
        };
        match std::fs::read_to_string(path) {
            Ok(text) => parse(path, &text, reader),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => {}
            Err(error) => {
                reader.report(Problem::File { path: path.clone(), message: format!("can not be read: {error}") });
            }
        }
    }
}

/// Lays what the text of a file says over the defaults.
pub fn parse(path: &Path, text: &str, reader: &mut Reader) {
    let line_of = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            // The error's own display shows the line, which may hold a password.
            let line = error.span().map(|span| format!(" in line {}", line_of(span.start))).unwrap_or_default();
            let message = format!("is not valid TOML{line}: {}", error.message());
            reader.report(Problem::File { path: path.to_owned(), message });
            return;
        }
    };
    let source = |line| Source::File { path: path.to_owned(), line };
    for (name, value) in document.get_ref() {
        let line = line_of(name.span().start);
        let section = name.get_ref().as_ref();
        let known = reader.settings().iter().any(|setting| !setting.section.is_empty() && setting.section == section);
        match value.get_ref() {
            DeValue::Table(table) if !table.is_empty() || known => {
                for (name, value) in table {
                    let line = line_of(name.span().start);
                    reader.set(&format!("{section}.{}", name.get_ref()), raw(value), source(line));
                }
            }
            DeValue::Table(_) => {
                let nearest = format!("[{}]", reader.nearest_section(section));
                reader.report(Problem::UnknownKey { key: format!("[{section}]"), source: source(line), nearest });
            }
            _ if known => reader.report(Problem::Value {
                key: section.to_owned(),
                source: source(line),
                message: format!("is a section: write `[{section}]` and its settings below"),
            }),
            _ => reader.set(section, raw(value), source(line)),
        }
    }
}

fn raw(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.to_string()),
        // Decimal, whatever the file's notation. What does not fit is left as written and refused by its type.
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) => Raw::Number(value.to_string()),
            Err(_) => Raw::Number(number.to_string()),
        },
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Array(items) => Raw::List(items.iter().map(raw).collect()),
        DeValue::Float(_) => Raw::Other("a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
