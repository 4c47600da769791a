//! `Range` on plaintext (RFC 9110 section 14). One range is served; several, or another unit, are ignored and the
//! whole object is sent.

use std::ops::Range;

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

#[cfg(test)]
mod tests {
    use super::*;

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
