//! `Range` on plaintext (RFC 9110 section 14). One range is served; several, or another unit, are ignored and the
//! whole object is sent. And what the provider's answers say of the sealed bytes.

use std::ops::Range;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::error::{PROTOCOL, Refusal};

/// What the client asks for; positions are bytes of plaintext, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Closed(u64, u64),
    From(u64),
    Last(u64),
}

/// Reads the header's value. `None`: the header is to be ignored.
pub fn parse(value: &str) -> Option<Wanted> {
    let (unit, set) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    match (number(first), number(last)) {
        (Some(a), Some(b)) if a <= b => Some(Wanted::Closed(a, b)),
        (Some(a), None) if last.is_empty() => Some(Wanted::From(a)),
        (None, Some(n)) if first.is_empty() => Some(Wanted::Last(n)),
        _ => None,
    }
}

fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // more digits than a length can have: as far as it goes
    Some(digits.parse().unwrap_or(u64::MAX))
}

impl Wanted {
    /// The bytes of an object of `length`, end excluded. `None`: not satisfiable (416).
    pub fn within(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::Closed(a, b) => a..length.min(b.saturating_add(1)),
            Self::From(a) => a..length,
            Self::Last(n) => length.saturating_sub(n)..length,
        };
        (range.start < range.end).then_some(range)
    }
}

/// The object's whole sealed length, from a full or a partial answer.
pub fn total(headers: &HeaderMap) -> Option<u64> {
    match text(headers, CONTENT_RANGE) {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        None => text(headers, CONTENT_LENGTH)?.parse().ok(),
    }
}

/// Which bytes a partial answer holds, end excluded.
pub fn span(headers: &HeaderMap) -> Option<Range<u64>> {
    let range = text(headers, CONTENT_RANGE)?.strip_prefix("bytes ")?;
    let (first, last) = range.split_once('/')?.0.split_once('-')?;
    Some(first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Says which bytes of `length` an answer holds, end excluded.
pub fn put_content_range(headers: &mut HeaderMap, range: &Range<u64>, length: u64) {
    let last = range.end.saturating_sub(1);
    if let Ok(value) = HeaderValue::try_from(format!("bytes {}-{last}/{length}", range.start)) {
        headers.insert(CONTENT_RANGE, value);
    }
}

/// 416, with the length that the object has.
pub fn unsatisfiable(length: u64) -> Refusal {
    let mut refusal = Refusal::new(&PROTOCOL).message("The range lies beyond the file's end.");
    refusal.status = Some(StatusCode::RANGE_NOT_SATISFIABLE.as_u16());
    with_length(refusal, length)
}

/// Says in a refused range's answer what length the object has.
pub fn with_length(refusal: Refusal, length: u64) -> Refusal {
    match HeaderValue::try_from(format!("bytes */{length}")) {
        Ok(value) => refusal.header(CONTENT_RANGE, value),
        Err(_) => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_say_of_the_sealed_bytes() {
        let headers = |name: HeaderName, value: &str| {
            HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
        };
        let partial = headers(CONTENT_RANGE, "bytes 5-9/528");
        assert_eq!((total(&partial), span(&partial)), (Some(528), Some(5..10)));
        let whole = headers(CONTENT_LENGTH, "528");
        assert_eq!((total(&whole), span(&whole)), (Some(528), None));
        for value in ["bytes 5-/528", "bytes */528", "items 5-9/528", "bytes 5-9"] {
            assert_eq!(span(&headers(CONTENT_RANGE, value)), None, "{value}");
        }
        assert_eq!(total(&headers(CONTENT_RANGE, "bytes 5-9/*")), None);
        let mut written = HeaderMap::new();
        put_content_range(&mut written, &(5..10), 528);
        assert_eq!(written, partial);
    }

    #[test]
    fn the_three_forms() {
        assert_eq!(parse("bytes=0-0"), Some(Wanted::Closed(0, 0)));
        assert_eq!(parse("bytes=5-"), Some(Wanted::From(5)));
        assert_eq!(parse("bytes=-5"), Some(Wanted::Last(5)));
        assert_eq!(
            parse("bytes=0-99999999999999999999999"),
            Some(Wanted::Closed(0, u64::MAX))
        );
    }

    #[test]
    fn what_is_ignored() {
        for value in [
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=2-1",
            "bytes=-",
            "bytes=a-b",
            "bytes",
            "bytes=+1-2",
        ] {
            assert_eq!(parse(value), None, "{value}");
        }
    }

    #[test]
    fn what_lies_within() {
        assert_eq!(Wanted::Closed(0, u64::MAX).within(10), Some(0..10));
        assert_eq!(Wanted::From(10).within(10), None);
        assert_eq!(Wanted::Last(0).within(10), None);
        assert_eq!(Wanted::Last(20).within(10), Some(0..10));
        assert_eq!(Wanted::Last(5).within(0), None);
    }
}
