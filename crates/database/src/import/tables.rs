//! The tables whose rows are numbered and only become more: what they are called there and here, column by column.
//!
//! # To add a table
//! A line in [`TABLES`] and one in the lists at the head of `source.rs`.

use carebot_model::Timestamp;
use carebot_model::news::Category;
use carebot_model::notifications::Grade;

use super::Known;
use super::cells::{self, Note, Notes, Raw, Read};
use super::report::Rule;
use crate::Value;

/// What a column holds, and what becomes of it if that is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A family; a row of one that is not here is skipped.
    Family,
    /// An account; a row of one that is not here is skipped.
    Account,
    /// A point in time; one that is missing is before all others.
    Time,
    /// A point in time that may be missing.
    TimeOrNull,
    /// A double.
    Real,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Big,
    /// Yes, no or unknown.
    Flag,
    /// Yes or no; unknown is no.
    YesNo,
    /// A text of at most so many code points.
    Short(usize),
    /// The same; a row without it is skipped, and so is one whose text would have to be cut.
    Key(usize),
    /// The same as [`Kind::Short`]; an absent one is empty.
    Title(usize),
    /// A long text.
    Long,
    /// A long text; an absent one is empty.
    Words,
    /// A long text that holds a dictionary.
    Dictionary,
    /// A calendar date.
    Date,
    /// A calendar date; a row without it is skipped.
    Day,
    /// How urgent a notification is.
    Grade,
    /// A category of news; a row of another is skipped.
    Category,
}

impl Kind {
    /// How it is read.
    pub const fn read(self) -> Read {
        match self {
            Self::Family
            | Self::Account
            | Self::Short(_)
            | Self::Key(_)
            | Self::Title(_)
            | Self::Long
            | Self::Words
            | Self::Dictionary
            | Self::Grade
            | Self::Category => Read::Text,
            Self::Real | Self::Int | Self::Date | Self::Day => Read::Shown,
            Self::Big | Self::Flag | Self::YesNo => Read::Whole,
            Self::Time | Self::TimeOrNull => Read::Time,
        }
    }

    /// Whether a table without such a column is not one that can be taken over.
    pub const fn is_needed(self) -> bool {
        matches!(
            self,
            Self::Family | Self::Account | Self::Time | Self::Key(_) | Self::Words | Self::Day | Self::Category
        )
    }
}

/// A column: its name there and here.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// There.
    pub from: &'static str,
    /// Here.
    pub to: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A column that is only here.
#[derive(Clone, Copy, Debug)]
pub enum Added {
    /// NULL.
    Nothing(&'static str),
    /// The time of the import.
    Now(&'static str),
    /// The same as that of a column, by its place.
    Same(&'static str, usize),
}

impl Added {
    const fn name(self) -> &'static str {
        match self {
            Self::Nothing(name) | Self::Now(name) | Self::Same(name, _) => name,
        }
    }
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// There.
    pub from: &'static str,
    /// Here.
    pub to: &'static str,
    /// The column with the rows' numbers there; here it is `id`.
    pub key: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// What is added.
    pub added: &'static [Added],
    /// Rows that are not only added: they are looked through again by another run.
    pub again: Option<Again>,
}

/// What may happen to rows that were taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// They are deleted.
    Deleted,
    /// They are deleted, or read.
    DeletedOrRead,
}

const fn column(from: &'static str, to: &'static str, kind: Kind) -> Column {
    Column { from, to, kind }
}

const fn same(name: &'static str, kind: Kind) -> Column {
    column(name, name, kind)
}

/// What all reports begin with.
const FAMILY: Column = same("family_id", Kind::Family);
const REPORTED_AT: Column = same("reported_at", Kind::Time);
/// A report came in when it was made; a robot's own keys are new.
const OF_REPORT: &[Added] = &[Added::Same("received_at", 1), Added::Nothing("source_key")];

/// The tables, parents first.
pub const TABLES: &[Table] = &[
    Table {
        from: "homestatus",
        to: "home_status",
        key: "index",
        columns: &[
            FAMILY,
            REPORTED_AT,
            same("temperature", Kind::Real),
            same("humidity", Kind::Real),
            same("dust_level", Kind::Real),
            same("ethanol", Kind::Real),
            same("others", Kind::Dictionary),
        ],
        added: OF_REPORT,
        again: None,
    },
    Table {
        from: "healthstatus",
        to: "health_status",
        key: "index",
        columns: &[FAMILY, REPORTED_AT, same("heart_rate", Kind::Int)],
        added: OF_REPORT,
        again: None,
    },
    Table {
        from: "activestatus",
        to: "active_status",
        key: "index",
        columns: &[
            FAMILY,
            REPORTED_AT,
            same("score", Kind::Int),
            same("action", Kind::Short(32)),
            same("is_critical", Kind::Flag),
            same("description", Kind::Dictionary),
            same("image_url", Kind::Long),
        ],
        added: OF_REPORT,
        again: None,
    },
    Table {
        from: "mentalstatus",
        to: "mental_status",
        key: "index",
        columns: &[
            FAMILY,
            REPORTED_AT,
            same("score", Kind::Int),
            same("is_critical", Kind::Flag),
            same("description", Kind::Dictionary),
        ],
        added: OF_REPORT,
        again: None,
    },
    Table {
        from: "mentalreports",
        to: "mental_reports",
        key: "index",
        columns: &[
            FAMILY,
            REPORTED_AT,
            same("start_time", Kind::TimeOrNull),
            same("end_time", Kind::TimeOrNull),
            same("average_score", Kind::Int),
            same("critical_days", Kind::Int),
            same("best_day", Kind::Date),
            same("worst_day", Kind::Date),
            same("improvement_needed", Kind::Flag),
            same("summary", Kind::Long),
        ],
        added: OF_REPORT,
        again: None,
    },
    Table {
        from: "messages",
        to: "messages",
        key: "index",
        columns: &[
            same("from_id", Kind::Account),
            same("to_id", Kind::Account),
            same("created_at", Kind::Time),
            same("content", Kind::Long),
            same("image_url", Kind::Long),
            same("is_read", Kind::YesNo),
        ],
        added: &[],
        again: Some(Again::DeletedOrRead),
    },
    Table {
        from: "notifications",
        to: "notifications",
        key: "index",
        columns: &[
            FAMILY,
            same("created_at", Kind::Time),
            column("notification_grade", "grade", Kind::Grade),
            column("descriptions", "description", Kind::Dictionary),
            same("message_sn", Kind::Big),
            same("is_read", Kind::YesNo),
            same("image_url", Kind::Long),
        ],
        added: &[],
        again: Some(Again::DeletedOrRead),
    },
    Table {
        from: "backgrounds",
        to: "backgrounds",
        key: "index",
        columns: &[FAMILY, same("uploader_id", Kind::Account), same("image_url", Kind::Long)],
        added: &[Added::Now("created_at")],
        again: Some(Again::Deleted),
    },
    Table {
        from: "chathistories",
        to: "chat_turns",
        key: "index",
        columns: &[
            column("user_id", "account_id", Kind::Account),
            same("created_at", Kind::Time),
            same("session_id", Kind::Key(64)),
            same("user_message", Kind::Words),
            same("bot_message", Kind::Long),
        ],
        added: &[Added::Nothing("model")],
        again: None,
    },
    Table {
        from: "news",
        to: "news",
        key: "id",
        columns: &[
            same("category", Kind::Category),
            same("title", Kind::Title(255)),
            same("link", Kind::Words),
            same("image_url", Kind::Long),
            same("pub_date", Kind::Day),
            same("created_at", Kind::Time),
        ],
        added: &[],
        again: None,
    },
];

/// A row as it is to be stored here.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number.
    pub key: i64,
    /// One value per column of [`Table::columns_here`].
    pub values: Vec<Value>,
    /// About how much memory the texts take.
    pub size: usize,
}

impl Table {
    /// The columns here.
    pub fn columns_here(&self) -> String {
        let columns = self.columns.iter().map(|column| column.to);
        let added = self.added.iter().map(|added| added.name());
        std::iter::once("id").chain(columns).chain(added).collect::<Vec<_>>().join(", ")
    }

    /// Makes a row of ours from what was read, or says why not.
    ///
    /// # Errors
    /// The note that tells why the row is skipped.
    pub fn row(&self, record: &[Raw], known: &Known, now: Timestamp, notes: &mut Notes) -> Result<Row, Note> {
        let key = key_of(record);
        let mut values = Vec::with_capacity(1 + self.columns.len() + self.added.len());
        values.push(Value::Int(key));
        for (column, raw) in self.columns.iter().zip(record.iter().skip(1)) {
            values.push(value(column, raw, known, notes)?);
        }
        for added in self.added {
            values.push(match added {
                Added::Nothing(_) => Value::Null,
                Added::Now(_) => now.into(),
                Added::Same(_, place) => values[place + 1].clone(),
            });
        }
        let size = record.iter().map(Raw::size).sum();
        Ok(Row { key, values, size })
    }
}

/// The number of a row that was read.
pub fn key_of(record: &[Raw]) -> i64 {
    record.first().and_then(Raw::whole).unwrap_or_default()
}

fn skip(column: &Column, rule: Rule, done: &'static str) -> Note {
    Note { column: Some(column.from), rule, done: done.into() }
}

fn value(column: &Column, raw: &Raw, known: &Known, notes: &mut Notes) -> Result<Value, Note> {
    let name = column.from;
    Ok(match column.kind {
        Kind::Family => known.family(raw).map_err(|rule| skip(column, rule, "skipped"))?.into(),
        Kind::Account => known.account(raw).map_err(|rule| skip(column, rule, "skipped"))?.into(),
        Kind::Time => cells::needed_time(raw, name, notes).into(),
        Kind::TimeOrNull => cells::time(raw, name, notes).into(),
        Kind::Real => cells::real(raw, name, notes).into(),
        Kind::Int => cells::int(raw, name, notes).into(),
        Kind::Big => raw.whole().into(),
        Kind::Flag => cells::flag(raw).into(),
        Kind::YesNo => cells::flag(raw).unwrap_or(false).into(),
        Kind::Short(most) => cells::short(raw, name, most, notes).into(),
        Kind::Title(most) => cells::short(raw, name, most, notes).unwrap_or_default().into(),
        Kind::Key(most) => match raw.trimmed() {
            "" => return Err(skip(column, Rule::NoText, "skipped")),
            text if text.chars().count() > most => return Err(skip(column, Rule::TooLong, "skipped")),
            text => text.into(),
        },
        Kind::Long => cells::long(raw, name, notes).into(),
        Kind::Words => {
            if raw.text().is_none() {
                cells::note(notes, name, Rule::NoText, "imported with an empty text");
            }
            cells::long(raw, name, notes).unwrap_or_default().into()
        }
        Kind::Dictionary => cells::dictionary(raw, name, notes).into(),
        Kind::Date => cells::date(raw, name, notes).into(),
        Kind::Day => {
            let day = cells::date(raw, name, &mut Notes::new());
            day.ok_or_else(|| skip(column, Rule::ZeroDate, "skipped"))?.into()
        }
        Kind::Grade => cells::word(raw, name, Grade::parse, "imported with the grade none", notes)
            .or(raw.text().map(|_| Grade::None))
            .into(),
        Kind::Category => {
            let category = cells::word(raw, name, Category::parse, "skipped", &mut Notes::new());
            category.ok_or_else(|| skip(column, Rule::UnknownWord, "skipped"))?.into()
        }
    })
}
