//! `Content-Range` of fragments, and `nextExpectedRanges` of answers (Microsoft Graph, "Upload large files with an upload
//! session").

use std::ops::Range;
use std::sync::LazyLock;

use serde_json::Value;

use crate::adapter::json::{self, Path, Paths, Wrong};
use crate::error::{INTERNAL, Refusal, UPSTREAM_INVALID};

static EXPECTED: LazyLock<Option<Paths>> = LazyLock::new(|| {
    let expected = Path::parse("$.nextExpectedRanges[*]").ok()?;
    let rest = Path::parse("$").ok()?;
    Paths::new([&expected], &[rest])
});

/// `bytes a-b/total`: the range, its end excluded, and the total. A total that is not told is refused.
pub(super) fn content_range(value: &str) -> Option<(Range<u64>, u64)> {
    let (range, total) = value.strip_prefix("bytes ")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |digits: &str| -> Option<u64> {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    (first <= last && last < total).then_some((first..last + 1, total))
}

/// What a session's document says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Nothing of ranges.
    Untold,
    /// All bytes are there.
    Nothing,
    /// The first byte that is missing.
    From(u64),
}

/// # Errors
/// No document of a session.
pub(super) fn expected(document: &[u8]) -> Result<Expected, Refusal> {
    let wrong = || {
        Refusal::new(&UPSTREAM_INVALID)
            .message("The provider does not say clearly what it expects of the session.")
    };
    let document: Value = serde_json::from_slice(document).map_err(|_| wrong())?;
    match document.get("nextExpectedRanges") {
        None | Some(Value::Null) => Ok(Expected::Untold),
        Some(Value::Array(ranges)) => match ranges.first() {
            None => Ok(Expected::Nothing),
            Some(range) => {
                let text = range.as_str().unwrap_or_default();
                let first = text.split('-').next().unwrap_or_default();
                Ok(Expected::From(first.parse().map_err(|_| wrong())?))
            }
        },
        Some(_) => Err(wrong()),
    }
}

/// The document with ranges of the plaintext, in the provider's own form. `total`: where it is known.
///
/// # Errors
/// The document is malformed.
pub(super) fn shown(document: &[u8], next: u64, total: Option<u64>) -> Result<Vec<u8>, Refusal> {
    let paths = EXPECTED.as_ref().ok_or_else(|| Refusal::new(&INTERNAL))?;
    let done = total == Some(next);
    let rewritten = json::rewrite::<Wrong>(document, paths, |picked| {
        let json::Value::Text(text) = picked.value else {
            return Ok(None);
        };
        Ok(Some(match (text.split_once('-'), total) {
            // of an attachment
            (None, _) => format!("\"{next}\""),
            (Some((_, end)), Some(total)) if !end.is_empty() && !done => {
                format!("\"{next}-{}\"", total - 1)
            }
            _ => format!("\"{next}-\""),
        }))
    });
    rewritten.map_err(|wrong| {
        Refusal::new(&UPSTREAM_INVALID)
            .message("The provider's answer about the session is malformed.")
            .cause(wrong.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        assert_eq!(content_range("bytes 0-9/10"), Some((0..10, 10)));
        for value in [
            "bytes 0-9/*",
            "bytes */10",
            "bytes 5-4/10",
            "bytes 0-10/10",
            "0-9/10",
            "bytes 0-9",
            "bytes +0-9/10",
            "bytes 0-18446744073709551615/18446744073709551616",
        ] {
            assert_eq!(content_range(value), None, "{value}");
        }
    }

    #[test]
    fn the_providers_form_is_kept() {
        let open = br#"{"a":1,"nextExpectedRanges":["327680-"]}"#;
        let closed = br#"{"nextExpectedRanges" : [ "327680-999999" ]}"#;
        assert_eq!(expected(open).unwrap(), Expected::From(327_680));
        let text =
            |document: &[u8]| String::from_utf8(shown(document, 5, Some(10)).unwrap()).unwrap();
        assert_eq!(text(open), r#"{"a":1,"nextExpectedRanges":["5-"]}"#);
        assert_eq!(text(closed), r#"{"nextExpectedRanges" : [ "5-9" ]}"#);
        let single = br#"{"nextExpectedRanges":["2097152"]}"#;
        assert_eq!(expected(single).unwrap(), Expected::From(2_097_152));
        assert_eq!(text(single), r#"{"nextExpectedRanges":["5"]}"#);
        assert_eq!(
            text(br#"{"nextExpectedRanges":[]}"#),
            r#"{"nextExpectedRanges":[]}"#
        );
        assert_eq!(
            expected(b"{\"nextExpectedRanges\":[]}").unwrap(),
            Expected::Nothing
        );
        assert_eq!(expected(b"{}").unwrap(), Expected::Untold);
        assert!(expected(b"{\"nextExpectedRanges\":[1]}").is_err() && expected(b"x").is_err());
    }
}
