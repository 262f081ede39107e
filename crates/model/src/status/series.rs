//! Series: reports summed up in buckets of equal length.
//!
//! Buckets of five minutes and of an hour begin with UTC's, those of a day with the Korean day. [`Stats`] is what is known of a
//! bucket; larger ones are made of smaller ones, always in the same order, so that a bucket has the same figures whether they
//! were stored or are computed when somebody asks.

use std::borrow::Cow;
use std::fmt::Write as _;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::korea::AHEAD_MS;
use crate::{Timestamp, wire_enum};

/// The most buckets of one series.
pub const MOST: i64 = 10_000;
/// Up to this length, in milliseconds, a series that may choose has buckets of five minutes: two days.
const SHORT: i64 = 2 * 86_400_000;
/// Up to this one, of an hour: 60 days.
const LONG: i64 = 60 * 86_400_000;

wire_enum!(
    /// How long a bucket is.
    Bucket {
        /// Five minutes.
        FiveMinutes = "5m",
        /// An hour.
        Hour = "1h",
        /// A Korean day.
        Day = "1d",
    }
);

wire_enum!(
    /// Which buckets are asked for.
    Choice {
        /// As the length of the range suggests.
        Auto = "auto",
        /// Five minutes.
        FiveMinutes = "5m",
        /// An hour.
        Hour = "1h",
        /// A Korean day.
        Day = "1d",
    }
);

impl Choice {
    /// The buckets of a range.
    pub const fn of(self, start: Timestamp, end: Timestamp) -> Bucket {
        match self {
            Self::FiveMinutes => Bucket::FiveMinutes,
            Self::Hour => Bucket::Hour,
            Self::Auto if end.since(start) <= SHORT => Bucket::FiveMinutes,
            Self::Auto if end.since(start) <= LONG => Bucket::Hour,
            Self::Day | Self::Auto => Bucket::Day,
        }
    }
}

impl Bucket {
    /// Its length in seconds, by which it is stored.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Its length in milliseconds.
    pub const fn millis(self) -> i64 {
        self.seconds() * 1_000
    }

    /// Where the bucket begins that a time is in.
    #[must_use]
    pub fn floor(self, at: Timestamp) -> Timestamp {
        let ahead = if matches!(self, Self::Day) { AHEAD_MS } else { 0 };
        Timestamp::from_millis((at.millis() + ahead).div_euclid(self.millis()) * self.millis() - ahead)
    }

    /// Where the next bucket begins.
    #[must_use]
    pub fn after(self, at: Timestamp) -> Timestamp {
        self.floor(at).plus_millis(self.millis())
    }
}

/// What is known of a number in a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// How often it was there.
    pub count: u64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// All together.
    pub sum: f64,
}

impl Field {
    fn add(&mut self, other: Self) {
        if self.count == 0 {
            *self = other;
        } else if other.count > 0 {
            self.count += other.count;
            self.min = self.min.min(other.min);
            self.max = self.max.max(other.max);
            // Sums beyond all numbers stay numbers.
            self.sum = (self.sum + other.sum).clamp(f64::MIN, f64::MAX);
        }
    }
}

/// What is known of a bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// How many reports there were.
    pub count: u64,
    /// Its numbers, in the order of the kind.
    pub fields: Vec<Field>,
}

impl Stats {
    /// Of no report.
    pub fn new(fields: usize) -> Self {
        Self { count: 0, fields: vec![Field { count: 0, min: 0.0, max: 0.0, sum: 0.0 }; fields] }
    }

    /// Counts a report.
    pub fn report(&mut self) {
        self.count += 1;
    }

    /// Counts a number of a report, if it is there.
    pub fn number(&mut self, field: usize, value: Option<f64>) {
        if let (Some(field), Some(value)) = (self.fields.get_mut(field), value) {
            field.add(Field { count: 1, min: value, max: value, sum: value });
        }
    }

    /// Adds what is known of another bucket.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        for (field, other) in self.fields.iter_mut().zip(&other.fields) {
            field.add(*other);
        }
    }

    /// As it is stored: `count:min:max:sum` of each number with `;` between them, empty for one that was never there.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (index, field) in self.fields.iter().enumerate() {
            if index > 0 {
                text.push(';');
            }
            if field.count > 0 {
                // Into a text nothing fails.
                let _ = write!(text, "{}:{:?}:{:?}:{:?}", field.count, field.min, field.max, field.sum);
            }
        }
        text
    }

    /// Reads what [`Stats::text`] wrote; numbers that the kind did not have then are unknown.
    pub fn parse(count: u64, text: &str, fields: usize) -> Option<Self> {
        let mut stats = Self::new(fields);
        stats.count = count;
        for (field, part) in stats.fields.iter_mut().zip(text.split(';')).filter(|(_, part)| !part.is_empty()) {
            let mut parts = part.split(':');
            let count = parts.next()?.parse().ok()?;
            let mut number = || parts.next()?.parse::<f64>().ok();
            *field = Field { count, min: number()?, max: number()?, sum: number()? };
        }
        Some(stats)
    }
}

/// What is told of a number in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How often it was there.
    pub count: u64,
    /// The least.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The greatest.
    pub max: f64,
}

/// A bucket of a series. One without any report is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// Where it begins.
    pub start: Timestamp,
    /// What is known of it.
    pub stats: Stats,
}

impl Sum {
    /// The figures of a number, by its place in the kind; nothing if it was never there.
    #[expect(clippy::cast_precision_loss, reason = "no bucket has 2^52 reports")]
    pub fn figures(&self, field: usize) -> Option<Figures> {
        let Field { count, min, max, sum } = *self.stats.fields.get(field)?;
        // A mean that rounding put beside all it is the mean of would look wrong.
        (count > 0).then(|| Figures { count, min, mean: (sum / count as f64).clamp(min, max), max })
    }
}

/// Reports of a kind, summed up.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// How long its buckets are.
    pub bucket: Bucket,
    /// What its numbers are called.
    pub names: &'static [&'static str],
    /// The buckets that have reports, oldest first.
    pub sums: Vec<Sum>,
}

struct Shown<'a>(&'a Sum, &'static [&'static str]);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2 + self.1.len()))?;
        map.serialize_entry("start", &self.0.start)?;
        map.serialize_entry("count", &self.0.stats.count)?;
        for (index, name) in self.1.iter().enumerate() {
            map.serialize_entry(name, &self.0.figures(index))?;
        }
        map.end()
    }
}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("bucket", &self.bucket)?;
        map.serialize_entry("buckets", &self.sums.iter().map(|sum| Shown(sum, self.names)).collect::<Vec<_>>())?;
        map.end()
    }
}

impl JsonSchema for Series {
    fn schema_name() -> Cow<'static, str> {
        "Series".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (time, bucket) = (generator.subschema_for::<Timestamp>(), generator.subschema_for::<Bucket>());
        json_schema!({
            "type": "object",
            "properties": {
                "bucket": bucket,
                "buckets": {
                    "type": "array",
                    "description": "Oldest first; a bucket without any report is left out.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "start": time,
                            "count": {"type": "integer", "minimum": 1, "description": "How many reports there were."}
                        },
                        "required": ["start", "count"],
                        "additionalProperties": {
                            "description": "A number of the reports; null if none of them had it.",
                            "type": ["object", "null"],
                            "properties": {
                                "count": {"type": "integer", "minimum": 1},
                                "min": {"type": "number"},
                                "mean": {"type": "number"},
                                "max": {"type": "number"}
                            },
                            "required": ["count", "min", "mean", "max"],
                            "additionalProperties": false
                        }
                    }
                }
            },
            "required": ["bucket", "buckets"],
            "additionalProperties": false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_korean_one_and_hours_begin_with_those_of_utc() {
        let at = Timestamp::from_millis(1_772_463_600_000 - 1);
        assert_eq!(at.to_string(), "2026-03-02T14:59:59");
        assert_eq!(Bucket::Day.floor(at).to_string(), "2026-03-01T15:00:00");
        assert_eq!(Bucket::Day.after(at).to_string(), "2026-03-02T15:00:00");
        assert_eq!(Bucket::Hour.floor(at).to_string(), "2026-03-02T14:00:00");
        assert_eq!(Bucket::FiveMinutes.floor(at).to_string(), "2026-03-02T14:55:00");
        assert_eq!(Bucket::FiveMinutes.floor(Timestamp::from_millis(-1)).millis(), -300_000);
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let mut stats = Stats::new(3);
        for (one, three) in [(Some(21.5), Some(-0.1)), (Some(18.0), None), (None, Some(1e300))] {
            stats.report();
            stats.number(0, one);
            stats.number(2, three);
        }
        let text = stats.text();
        assert!(text.starts_with("2:18.0:21.5:39.5;;2:-0.1:"), "{text}");
        assert_eq!(Stats::parse(3, &text, 3), Some(stats.clone()));
        // A kind that has got another number since.
        let more = Stats::parse(3, &text, 4).expect("it is read");
        assert_eq!((&more.fields[..3], more.fields[3].count), (&stats.fields[..], 0));
        assert_eq!(Stats::parse(1, "1:x:2:3", 1), None);
    }

    #[test]
    fn a_bucket_shows_count_min_mean_and_max_of_each_number() {
        let mut stats = Stats::new(2);
        for value in [20.0, 21.0, 25.0] {
            stats.report();
            stats.number(0, Some(value));
        }
        let sums = vec![Sum { start: Timestamp::from_millis(1_735_732_800_000), stats }];
        let series = Series { bucket: Bucket::Hour, names: &["temperature", "humidity"], sums };
        assert_eq!(
            serde_json::to_string(&series).expect("JSON"),
            r#"{"bucket":"1h","buckets":[{"start":"2025-01-01T12:00:00","count":3,"temperature":{"count":3,"min":20.0,"mean":22.0,"max":25.0},"humidity":null}]}"#
        );
    }

    #[test]
    fn the_length_of_a_range_chooses_its_buckets() {
        let start = Timestamp::from_millis(0);
        for (days, bucket) in [(1, "5m"), (2, "5m"), (3, "1h"), (60, "1h"), (61, "1d")] {
            assert_eq!(Choice::Auto.of(start, start.plus_millis(days * 86_400_000)).name(), bucket, "{days}");
        }
    }
}
