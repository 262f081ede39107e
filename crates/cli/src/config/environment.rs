//! The layer of the environment: `CAREBOT_SECTION__FIELD`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::problem::{Problem, Source};
use super::reader::Reader;
use super::value::Raw;

/// What all variables of this program begin with.
const PREFIX: &str = "CAREBOT_";

/// Beginnings of variables that are no settings: they steer the tests and the benchmark of the project.
pub const NOT_SETTINGS: [&str; 3] = ["CAREBOT_ACCEPT", "CAREBOT_TEST_", "CAREBOT_BENCH_"];

/// The environment by name; a value that is not UTF-8 is kept as such and refused only if somebody asks for it.
#[derive(Debug, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Takes over the variables. One whose name is not UTF-8 can not be ours.
    pub fn new(variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>) -> Self {
        let named =
            variables.into_iter().filter_map(|(name, value)| Some((name.into().into_string().ok()?, value.into())));
        Self(named.collect())
    }

    /// Whether a variable is set to something.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_empty())
    }

    /// A variable's text, if it is set; one that is not UTF-8 is a problem of the setting `key`.
    pub fn text(&self, name: &str, key: &str, reader: &mut Reader) -> Option<String> {
        let value = self.0.get(name)?;
        if let Some(text) = value.to_str() {
            return Some(text.to_owned());
        }
        reader.report(Problem::Value {
            key: key.to_owned(),
            source: Source::Environment(name.to_owned()),
            message: "is not UTF-8".to_owned(),
        });
        None
    }

    /// Lays the `CAREBOT_` variables over the lower layers.
    pub fn read(&self, reader: &mut Reader) {
        let ours = self.0.keys().filter(|name| {
            name.starts_with(PREFIX) && !NOT_SETTINGS.iter().any(|beginning| name.starts_with(beginning))
        });
        for name in ours {
            let setting = reader.settings().iter().find(|setting| setting.variable() == *name);
            if let Some(key) = setting.map(super::setting::Setting::key) {
                if let Some(text) = self.text(name, &key, reader) {
                    reader.set(&key, Raw::Text(text), Source::Environment(name.clone()));
                }
            } else {
                let likely = name.trim_start_matches(PREFIX).to_ascii_lowercase().replace("__", ".");
                let nearest = reader.nearest(&likely).variable();
                let source = Source::Environment(name.clone());
                reader.report(Problem::UnknownKey { key: name.clone(), source, nearest });
            }
        }
    }
}
