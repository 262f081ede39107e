//! The file of readings.

use std::path::Path;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Result};

/// The measured columns: their names in the file, the kind they belong to and the field of a report.
const MEASURED: [(&str, Kind, &str); 5] = [
    ("temperature_c", Kind::Home, "temperature"),
    ("humidity_percent", Kind::Home, "humidity"),
    ("dust_level_ug_m3", Kind::Home, "dust_level"),
    ("ethanol_ppm", Kind::Home, "ethanol"),
    ("heart_rate_bpm", Kind::Health, "heart_rate"),
];
/// Mistakes of a file that are told at once.
const TOLD: usize = 10;

/// What a reading is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The air in the home.
    Home,
    /// The elder's body.
    Health,
}

impl Kind {
    /// As in the file and in paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Health => "health",
        }
    }
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Its line in the file, from 1.
    pub line: usize,
    /// When it was made, in unix seconds.
    pub at: i64,
    /// What it is about.
    pub kind: Kind,
    /// What was measured, by the names of the report's fields.
    values: Vec<(&'static str, f64)>,
}

impl Reading {
    /// The report a robot would send.
    pub fn body(&self, family: &str) -> Value {
        let mut body = Map::from_iter([("family_id".to_owned(), json!(family))]);
        body.extend(self.values.iter().map(|(field, value)| ((*field).to_owned(), json!(value))));
        if self.kind == Kind::Home {
            // Pages expect a dictionary in this text, and break on an empty one.
            body.insert("others".to_owned(), json!("{}"));
        }
        Value::Object(body)
    }

    /// What was measured, for people.
    pub fn shown(&self) -> String {
        self.values.iter().map(|(field, value)| format!("{field} {value}")).collect::<Vec<_>>().join(", ")
    }

    /// Whether a stored report is this one. A heart rate is stored as a whole number.
    pub fn is_read_back_as(&self, report: &Value) -> bool {
        self.values.iter().all(|(field, value)| {
            let expected = if self.kind == Kind::Health { value.round() } else { *value };
            report[*field].as_f64().is_some_and(|stored| stored.total_cmp(&expected).is_eq())
        })
    }
}

/// Reads a file of readings; nothing is sent of one that is wrong anywhere.
pub fn read(path: &Path) -> Result<Vec<Reading>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!("{} can not be read: {error}", path.display()))
            .next("An example stands in the project: examples/readings.csv")
    })?;
    parse(&text).map_err(|mistakes| {
        let more = mistakes.len().saturating_sub(TOLD);
        let mut told: Vec<String> = mistakes.into_iter().take(TOLD).map(|mistake| format!("\n  {mistake}")).collect();
        if more > 0 {
            told.push(format!("\n  .. and {more} more"));
        }
        Failure::new(format!("{} is not a file of readings; nothing was sent:{}", path.display(), told.concat()))
            .next("`carebot replay --help` describes the file.")
    })
}

fn parse(text: &str) -> Result<Vec<Reading>, Vec<String>> {
    let mut lines = (1..)
        .zip(text.trim_start_matches('\u{feff}').lines())
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let Some((line, head)) = lines.next() else { return Err(vec!["it is empty".to_owned()]) };
    let columns: Vec<&str> = head.split(',').map(str::trim).collect();
    let known = |name: &str| ["reported_at", "kind"].contains(&name) || MEASURED.iter().any(|column| column.0 == name);
    if let Some(unknown) = columns.iter().find(|name| !known(name)) {
        return Err(vec![format!("line {line}: unknown column `{unknown}`")]);
    }
    if let Some(missing) = ["reported_at", "kind"].iter().find(|name| !columns.contains(name)) {
        return Err(vec![format!("line {line}: the column `{missing}` is missing")]);
    }
    let (mut readings, mut mistakes) = (Vec::new(), Vec::new());
    for (line, text) in lines {
        match reading(line, &columns, text) {
            Ok(reading) => readings.push(reading),
            Err(mistake) => mistakes.push(format!("line {line}: {mistake}")),
        }
    }
    if mistakes.is_empty() { Ok(readings) } else { Err(mistakes) }
}

fn reading(line: usize, columns: &[&str], text: &str) -> Result<Reading, String> {
    let cells: Vec<&str> = text.split(',').map(str::trim).collect();
    if cells.len() != columns.len() {
        return Err(format!("{} columns instead of {}", cells.len(), columns.len()));
    }
    let cell = |name: &str| columns.iter().position(|column| *column == name).map_or("", |at| cells[at]);
    let at: DateTime = cell("reported_at")
        .parse()
        .map_err(|_| format!("`{}` is not a time YYYY-MM-DD HH:MM:SS", cell("reported_at")))?;
    let at = Offset::UTC.to_timestamp(at).map_err(|_| "the time is out of range".to_owned())?.as_second();
    let kind = match cell("kind") {
        "home" => Kind::Home,
        "health" => Kind::Health,
        other => return Err(format!("the kind is `{other}` instead of home or health")),
    };
    let mut values = Vec::new();
    for (name, of, field) in MEASURED.iter().filter(|(name, ..)| !cell(name).is_empty()) {
        let value = cell(name).parse().ok().filter(|value: &f64| value.is_finite());
        let value = value.ok_or_else(|| format!("{name} is `{}`, which is not a number", cell(name)))?;
        if *of != kind {
            return Err(format!("{name} is no column of a {} reading", kind.name()));
        }
        values.push((*field, value));
    }
    if values.is_empty() {
        return Err("nothing was measured".to_owned());
    }
    Ok(Reading { line, at, kind, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "reported_at,kind,temperature_c,humidity_percent,dust_level_ug_m3,ethanol_ppm,heart_rate_bpm\n";

    #[test]
    fn a_reading_becomes_the_report_of_a_robot() {
        let readings = parse(&format!(
            "# a comment\n{HEAD}2026-03-02 21:00:00,home,20.4,40.0,18.2,0.08,\n\n2026-03-02 21:00:01,health,,,,,60.5\n"
        ))
        .expect("a file of readings");
        assert_eq!(
            readings.iter().map(|reading| (reading.line, reading.at)).collect::<Vec<_>>(),
            [(3, 1_772_485_200), (5, 1_772_485_201)]
        );
        assert_eq!(
            readings[0].body("F1"),
            json!({"family_id": "F1", "temperature": 20.4, "humidity": 40.0, "dust_level": 18.2, "ethanol": 0.08, "others": "{}"})
        );
        assert_eq!(readings[1].body("F1"), json!({"family_id": "F1", "heart_rate": 60.5}));
        assert!(readings[1].is_read_back_as(&json!({"heart_rate": 61})));
        assert!(!readings[0].is_read_back_as(&json!({"temperature": 20.4})));
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let text = format!(
            "{HEAD}yesterday,home,1,,,,\n2026-03-02 21:00:00,heat,1,,,,\n2026-03-02 21:00:00,home,warm,,,,\n\
             2026-03-02 21:00:00,home,,,,,60\n2026-03-02 21:00:00,home,,,,,\n2026-03-02 21:00:00,home\n"
        );
        let mistakes = parse(&text).expect_err("mistakes");
        let beginnings: Vec<&str> = mistakes.iter().filter_map(|mistake| mistake.split(':').next()).collect();
        assert_eq!(beginnings, ["line 2", "line 3", "line 4", "line 5", "line 6", "line 7"]);
        assert_eq!(parse("").expect_err("empty"), ["it is empty"]);
        assert_eq!(parse("kind\n").expect_err("no time"), ["line 1: the column `reported_at` is missing"]);
        assert_eq!(parse("reported_at,kind,colour\n").expect_err("colour"), ["line 1: unknown column `colour`"]);
    }
}
