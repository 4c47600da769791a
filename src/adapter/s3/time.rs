//! The forms that S3 writes times in.

use std::time::{Duration, SystemTime};

use time::format_description::FormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

const BASIC: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const EXTENDED: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// `20261124T084248Z`, as in `x-amz-date`. Empty for years that four digits can't hold.
pub fn basic(at: SystemTime) -> String {
    format(at, BASIC)
}

/// `2026-11-24T08:42:48.000Z`, as in S3's documents. Empty for years that four digits can't hold.
pub fn extended(at: SystemTime) -> String {
    format(at, EXTENDED)
}

fn format(at: SystemTime, form: &[FormatItem<'_>]) -> String {
    match offset(at) {
        Some(at) => at.format(form).unwrap_or_default(),
        None => String::new(),
    }
}

fn offset(at: SystemTime) -> Option<OffsetDateTime> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    OffsetDateTime::from_unix_timestamp_nanos(i128::try_from(since.as_nanos()).ok()?).ok()
}

/// Reads [`basic`]'s form, exactly.
pub fn parse_basic(text: &str) -> Option<SystemTime> {
    if text.len() != 16 {
        return None;
    }
    let at = PrimitiveDateTime::parse(text, BASIC).ok()?;
    Some(system(at.assume_utc()))
}

/// Reads ISO 8601 with a zone, with or without fractions, as in a POST policy's expiration.
pub fn parse_extended(text: &str) -> Option<SystemTime> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(system(at.to_offset(UtcOffset::UTC)))
}

fn system(at: OffsetDateTime) -> SystemTime {
    let nanos = at.unix_timestamp_nanos();
    let magnitude = Duration::new(
        u64::try_from(nanos.unsigned_abs() / 1_000_000_000).unwrap_or(u64::MAX),
        u32::try_from(nanos.unsigned_abs() % 1_000_000_000).unwrap_or(0),
    );
    let epoch = SystemTime::UNIX_EPOCH;
    let shifted = if nanos < 0 {
        epoch.checked_sub(magnitude)
    } else {
        epoch.checked_add(magnitude)
    };
    shifted.unwrap_or(epoch)
}

/// The time that lies between two, whichever is later.
pub fn distance(a: SystemTime, b: SystemTime) -> Duration {
    a.duration_since(b).unwrap_or_else(|error| error.duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_read_back() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        assert_eq!(basic(at), "20130524T000000Z");
        assert_eq!(extended(at), "2013-05-24T00:00:00.000Z");
        assert_eq!(parse_basic("20130524T000000Z"), Some(at));
        assert_eq!(parse_extended("2013-05-24T00:00:00.000Z"), Some(at));
        assert_eq!(parse_extended("2013-05-24T02:00:00+02:00"), Some(at));
        assert_eq!(
            distance(at, at + Duration::from_secs(3)),
            Duration::from_secs(3)
        );
    }

    #[test]
    fn what_is_malformed_is_none() {
        for bad in [
            "",
            "20130524T000000",
            "20130524T000000Z ",
            "20131324T000000Z",
            "20130524T250000Z",
            "2013052éT00000Z",
        ] {
            assert_eq!(parse_basic(bad), None, "{bad}");
        }
        for bad in ["", "2013-05-24", "2013-05-24T00:00:00", "yesterday"] {
            assert_eq!(parse_extended(bad), None, "{bad}");
        }
    }
}
