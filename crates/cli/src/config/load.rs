//! Lays the layers over each other.

use std::ffi::OsString;
use std::path::PathBuf;

use super::environment::Environment;
use super::file::File;
use super::problem::{ConfigError, Source};
use super::reader::Reader;
use super::value::Raw;
use super::{Config, all_settings, original};

/// The file that is read where nobody names one, in the working directory.
const DEFAULT_FILE: &str = "carebot.toml";

/// Loads a [`Config`] from what it is given.
///
/// ```text
/// Config::loader().file(args.config).environment(std::env::vars_os()).flags([("server.listen", "[::]:80")]).load()
/// ```
#[derive(Debug)]
pub struct Loader {
    file: File,
    environment: Environment,
    flags: Vec<(String, String)>,
}

impl Default for Loader {
    /// `carebot.toml` of the working directory if it is there, an empty environment and no flags.
    fn default() -> Self {
        Self {
            file: File::IfPresent(PathBuf::from(DEFAULT_FILE)),
            environment: Environment::default(),
            flags: Vec::new(),
        }
    }
}

impl Loader {
    /// Reads this file, which must exist; with `None` stays with `carebot.toml`, which need not.
    #[must_use]
    pub fn file(mut self, path: Option<PathBuf>) -> Self {
        if let Some(path) = path {
            self.file = File::Required(path);
        }
        self
    }

    /// Reads no file at all.
    #[must_use]
    pub fn without_file(mut self) -> Self {
        self.file = File::Nothing;
        self
    }

    /// Takes these variables (`std::env::vars_os()`); those that are nobody's settings are passed over.
    #[must_use]
    pub fn environment(
        mut self,
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Self {
        self.environment = Environment::new(variables);
        self
    }

    /// Lays these values over all other layers, by dotted names. Of the same name the last wins.
    #[must_use]
    pub fn flags(mut self, flags: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        self.flags.extend(flags.into_iter().map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(self) -> Result<Config, ConfigError> {
        let mut reader = Reader::new(all_settings());
        self.file.read(&mut reader);
        self.layers_above_file(&mut reader)
    }

    /// As [`Loader::load`] with the text of a file instead of a file.
    #[cfg(test)]
    pub(super) fn load_text(self, path: &str, text: &str) -> Result<Config, ConfigError> {
        let mut reader = Reader::new(all_settings());
        super::file::parse(std::path::Path::new(path), text, &mut reader);
        self.layers_above_file(&mut reader)
    }

    fn layers_above_file(self, reader: &mut Reader) -> Result<Config, ConfigError> {
        // Where a higher layer names the database, leftovers of the original are not worth an error.
        let named_above =
            self.environment.has("CAREBOT_DATABASE__URL") || self.flags.iter().any(|(key, _)| key == "database.url");
        original::read(&self.environment, !named_above, reader);
        self.environment.read(reader);
        for (key, value) in self.flags {
            reader.set(&key, Raw::Text(value), Source::Flag);
        }
        let mut config = Config::read(reader);
        config.sources = reader.sources();
        reader.together(config.check());
        match reader.problems() {
            [] => Ok(config),
            problems => Err(ConfigError { problems: problems.to_vec() }),
        }
    }
}
