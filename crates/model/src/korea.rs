//! Korean time: nine hours ahead of UTC all year round (there has been no summer time since 1988).

use jiff::civil;
use jiff::tz::Offset;

use crate::{Date, Timestamp};

/// How far Korean clocks are ahead of UTC, in milliseconds.
pub const AHEAD_MS: i64 = 9 * 60 * 60 * 1_000;

/// What calendar and clock show in Korea.
pub fn civil(at: Timestamp) -> civil::DateTime {
    at.plus_millis(AHEAD_MS).civil()
}

/// The day it is in Korea.
pub fn date(at: Timestamp) -> Date {
    civil(at).date().into()
}

/// The point in time at which calendar and clock show this in Korea.
pub fn timestamp(shown: civil::DateTime) -> Timestamp {
    let millis = Offset::UTC.to_timestamp(shown).map_or(0, jiff::Timestamp::as_millisecond);
    Timestamp::from_millis(millis).plus_millis(-AHEAD_MS)
}

/// When a day begins in Korea.
pub fn start_of(day: Date) -> Timestamp {
    timestamp(day.civil().to_datetime(civil::Time::midnight()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_nine_hours_earlier_in_korea() {
        let evening = Timestamp::from_millis(1_772_463_600_000);
        assert_eq!(evening.to_string(), "2026-03-02T15:00:00");
        assert_eq!(date(evening).to_string(), "2026-03-03");
        assert_eq!(date(evening.plus_millis(-1)).to_string(), "2026-03-02");
        assert_eq!(start_of(date(evening)), evening);
        assert_eq!(timestamp(civil(evening)), evening);
    }
}
