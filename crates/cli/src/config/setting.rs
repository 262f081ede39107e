//! What is known about a setting besides its value, and the macro that writes both down in one place.

use std::ops::RangeInclusive;

use super::reader::Reader;

/// Everything the reference, the errors and `config print` say about a setting.
#[derive(Debug)]
pub struct Setting {
    /// Its section; empty for the settings that stand above all sections.
    pub section: &'static str,
    /// Its name in the section.
    pub name: &'static str,
    /// The doc comment of its field, line by line.
    pub documentation: &'static [&'static str],
    /// What its type expects, in the singular.
    pub expected: String,
    /// The numbers it can have, both ends included.
    pub range: Option<RangeInclusive<u64>>,
    /// What it counts, where its name does not end in the unit.
    pub unit: Option<&'static str>,
    /// Its default in TOML; nothing if it is not set by default.
    pub default: Option<String>,
    /// The default in words, where it depends on other settings or on the machine.
    pub default_words: Option<&'static str>,
    /// Whether its value must never be shown.
    pub secret: bool,
}

impl Setting {
    /// Its dotted name, as in the file and in flags: `accounts.password_min_length`.
    pub fn key(&self) -> String {
        match self.section {
            "" => self.name.to_owned(),
            section => format!("{section}.{}", self.name),
        }
    }

    /// Its environment variable: `CAREBOT_ACCOUNTS__PASSWORD_MIN_LENGTH`.
    pub fn variable(&self) -> String {
        format!("CAREBOT_{}", self.key().replace('.', "__").to_ascii_uppercase())
    }

    /// What to write: "a whole number from 1 to 128 (characters)".
    pub fn expectation(&self) -> String {
        let range = match &self.range {
            Some(range) if *range.end() == u64::MAX => format!(" from {}", range.start()),
            Some(range) => format!(" from {} to {}", range.start(), range.end()),
            None => String::new(),
        };
        let unit = self.unit.map(|unit| format!(" ({unit})")).unwrap_or_default();
        format!("{}{range}{unit}", self.expected)
    }
}

/// A group of settings: a table of the file, a field of the configuration.
pub trait Section: Default {
    /// Its name in the file.
    const NAME: &'static str;
    /// Its doc comment, line by line.
    const ABOUT: &'static [&'static str];

    /// What is known about its settings, in the order of the fields.
    fn settings() -> Vec<Setting>;

    /// Takes its values out of the layers; a bad one is noted there and replaced by its default.
    fn read(reader: &mut Reader) -> Self;

    /// Its values in TOML, secrets masked, in the order of the fields; nothing for what is not set.
    fn written(&self) -> Vec<Option<String>>;
}

/// `Some(x)` for `optional!(x)`, `None` for `optional!()`.
macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}
pub(super) use optional;

/// Declares a section: its struct, its defaults and all that is said about it, from one list.
///
/// A setting is one entry:
///
/// ```text
/// /// What it does, in one or a few sentences of Markdown.
/// name: Type = default, in 1..=128, unit "characters", default "in words";
/// ```
///
/// `in` (numbers only), `unit` (where the name does not end in it) and `default` in words are optional, in this order.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $Section:ident in $section:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:expr
                    $(, in $range:expr)? $(, unit $unit:literal)? $(, default $words:literal)?;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $Section {
            $(
                $(#[doc = $doc])+
                #[doc = concat!(
                    "\n\nDefault: `", stringify!($default), "`."
                    $(, " Range: `", stringify!($range), "`.")?
                    $(, " Unit: ", $unit, ".")?
                )]
                pub $field: $type,
            )+
        }

        impl Default for $Section {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl $crate::config::setting::Section for $Section {
            const NAME: &'static str = $section;
            const ABOUT: &'static [&'static str] = &[$($about),+];

            fn settings() -> Vec<$crate::config::setting::Setting> {
                use $crate::config::setting::{Setting, optional};
                use $crate::config::value::Value;

                let default = Self::default();
                vec![$(
                    Setting {
                        section: $section,
                        name: stringify!($field),
                        documentation: &[$($doc),+],
                        expected: <$type as Value>::expected(),
                        range: optional!($($range)?),
                        unit: optional!($($unit)?),
                        default: default.$field.to_toml(),
                        default_words: optional!($($words)?),
                        secret: <$type as Value>::SECRET,
                    }
                ),+]
            }

            fn read(reader: &mut $crate::config::reader::Reader) -> Self {
                Self { $($field: reader.value($section, stringify!($field), $default)),+ }
            }

            fn written(&self) -> Vec<Option<String>> {
                vec![$($crate::config::value::Value::to_toml(&self.$field)),+]
            }
        }
    };
}
pub(super) use section;
