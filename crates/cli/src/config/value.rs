//! How a setting's value is read from text or TOML, and written again.

use std::net::SocketAddr;
use std::path::PathBuf;

/// A value as a layer gives it, before anybody knows its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// Text: a string of the file, or anything from the environment and the command line.
    Text(String),
    /// A whole number of the file.
    Number(String),
    /// A truth value of the file.
    Boolean(bool),
    /// A list of the file.
    List(Vec<Raw>),
    /// Something no setting can be (a table, a fraction, a date), by its name.
    Other(&'static str),
}

impl Raw {
    /// The value as people would recognise it, for a message.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Number(text) => text.clone(),
            Self::Boolean(value) => value.to_string(),
            Self::List(items) => format!("[{}]", items.iter().map(Self::shown).collect::<Vec<_>>().join(", ")),
            Self::Other(name) => (*name).to_owned(),
        }
    }

    /// The text without surrounding blanks, if it is text.
    pub fn text(&self) -> Result<&str, Rejected> {
        match self {
            Self::Text(text) => Ok(text.trim()),
            _ => Err(Rejected::default()),
        }
    }
}

/// A value was not what its type expects.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// The item of a list that is wrong; nothing means the whole value.
    pub item: Option<String>,
    /// What exactly is wrong, where "expected .." alone would leave people guessing.
    pub why: Option<String>,
}

impl Rejected {
    /// Says what exactly is wrong.
    pub fn because(why: impl Into<String>) -> Self {
        Self { item: None, why: Some(why.into()) }
    }
}

/// A type that a setting can have.
pub trait Value: Sized {
    /// A secret is never echoed in an error; its [`Value::to_toml`] masks.
    const SECRET: bool = false;

    /// What to write, in the singular: "a whole number".
    fn expected() -> String;

    /// Reads a value.
    fn parse(raw: &Raw) -> Result<Self, Rejected>;

    /// The value in TOML, secrets masked; nothing if the setting is not set.
    fn to_toml(&self) -> Option<String>;

    /// The value as a number, for the types whose settings have a range.
    fn number(&self) -> Option<u64> {
        None
    }
}

/// A string in TOML's quotes. JSON's escapes are a subset of TOML's; DEL is all that JSON leaves bare and TOML does not.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// A number type's `Value`.
macro_rules! whole_number {
    ($($type:ty),+) => {
        $(impl Value for $type {
            fn expected() -> String {
                "a whole number".to_owned()
            }

            fn parse(raw: &Raw) -> Result<Self, Rejected> {
                match raw {
                    Raw::Number(text) | Raw::Text(text) => text.trim().parse().map_err(|_| Rejected::default()),
                    _ => Err(Rejected::default()),
                }
            }

            fn to_toml(&self) -> Option<String> {
                Some(self.to_string())
            }

            fn number(&self) -> Option<u64> {
                u64::try_from(*self).ok()
            }
        })+
    };
}

whole_number!(u32, u64, usize);

impl Value for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        match raw {
            Raw::Boolean(value) => Ok(*value),
            Raw::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "on" | "yes" => Ok(true),
                "false" | "0" | "off" | "no" => Ok(false),
                _ => Err(Rejected::default()),
            },
            _ => Err(Rejected::default()),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for SocketAddr {
    fn expected() -> String {
        "an address and port such as `127.0.0.1:8000`, `0.0.0.0:8000` or `[::]:8000`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        raw.text()?.parse().map_err(|_| Rejected::default())
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl Value for String {
    fn expected() -> String {
        "a text".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let text = raw.text()?;
        if text.is_empty() { Err(Rejected::default()) } else { Ok(text.to_owned()) }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Value for PathBuf {
    fn expected() -> String {
        "a path".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        match raw.text()? {
            "" => Err(Rejected::default()),
            text => Ok(Self::from(text)),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.to_string_lossy()))
    }
}

/// Empty text means "not set", so that a higher layer can take back what a lower one set.
impl<T: Value> Value for Option<T> {
    const SECRET: bool = T::SECRET;

    fn expected() -> String {
        format!("{}, or nothing", T::expected())
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        match raw {
            Raw::Text(text) if text.trim().is_empty() => Ok(None),
            _ => T::parse(raw).map(Some),
        }
    }

    fn to_toml(&self) -> Option<String> {
        self.as_ref().and_then(Value::to_toml)
    }
}

/// In the file a list; in the environment and in flags the items with commas between them.
impl<T: Value> Value for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn expected() -> String {
        format!("a list, each item {}", T::expected())
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let items: Vec<Raw> = match raw {
            Raw::List(items) => items.clone(),
            Raw::Text(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Raw::Text(item.to_owned()))
                .collect(),
            _ => return Err(Rejected::default()),
        };
        items
            .iter()
            .map(|item| {
                T::parse(item)
                    .map_err(|rejected| Rejected { item: rejected.item.or_else(|| Some(item.shown())), ..rejected })
            })
            .collect()
    }

    fn to_toml(&self) -> Option<String> {
        let items: Vec<String> = self.iter().filter_map(Value::to_toml).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

/// A closed choice: an enum whose variants know how they are written.
macro_rules! choice {
    (
        $(#[doc = $about:literal])+
        pub enum $Choice:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $text:literal ),+ $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $Choice {
            $( $(#[doc = $doc])+ $variant ),+
        }

        impl $Choice {
            /// How it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text ),+
                }
            }
        }

        impl $crate::config::value::Value for $Choice {
            fn expected() -> String {
                [$( concat!("`", $text, "`") ),+].join(" or ")
            }

            fn parse(
                raw: &$crate::config::value::Raw,
            ) -> Result<Self, $crate::config::value::Rejected> {
                match raw.text()?.to_ascii_lowercase().as_str() {
                    $( $text => Ok(Self::$variant), )+
                    _ => Err($crate::config::value::Rejected::default()),
                }
            }

            fn to_toml(&self) -> Option<String> {
                Some($crate::config::value::quoted(self.as_str()))
            }
        }
    };
}
pub(super) use choice;
