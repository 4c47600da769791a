//! Conditional requests on reads (RFC 9110 section 13.2.2), evaluated on what the client sees. The provider is not
//! asked: its tags are another's, and its order of evaluation varies.

use std::time::SystemTime;

use http::HeaderMap;

use super::etag::Tags;

/// What the conditions say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Proceed,
    /// 304, with the representation's headers and no body.
    NotModified,
    /// 412.
    Failed,
}

/// Which header fields carry the conditions: a read's own, or a copy's on its source.
#[derive(Debug, Clone, Copy)]
pub struct Fields {
    pub if_match: &'static str,
    pub if_none_match: &'static str,
    pub if_modified_since: &'static str,
    pub if_unmodified_since: &'static str,
}

pub const READ: Fields = Fields {
    if_match: "if-match",
    if_none_match: "if-none-match",
    if_modified_since: "if-modified-since",
    if_unmodified_since: "if-unmodified-since",
};

pub const COPY_SOURCE: Fields = Fields {
    if_match: "x-amz-copy-source-if-match",
    if_none_match: "x-amz-copy-source-if-none-match",
    if_modified_since: "x-amz-copy-source-if-modified-since",
    if_unmodified_since: "x-amz-copy-source-if-unmodified-since",
};

/// Evaluates the conditions against the object's tags and the time of last change.
/// A date that does not parse is ignored, as the RFC has it.
pub fn evaluate(
    headers: &HeaderMap,
    fields: &Fields,
    tags: Tags<'_>,
    modified: Option<SystemTime>,
) -> Outcome {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let date = |name| text(name).and_then(|v| httpdate::parse_http_date(v).ok());
    match text(fields.if_match) {
        Some(list) if !tags.listed(list) => return Outcome::Failed,
        Some(_) => {}
        None => {
            if let (Some(limit), Some(modified)) = (date(fields.if_unmodified_since), modified)
                && modified > limit
            {
                return Outcome::Failed;
            }
        }
    }
    match text(fields.if_none_match) {
        Some(list) if tags.listed(list) => Outcome::NotModified,
        Some(_) => Outcome::Proceed,
        None => match (date(fields.if_modified_since), modified) {
            (Some(since), Some(modified)) if modified <= since => Outcome::NotModified,
            _ => Outcome::Proceed,
        },
    }
}

/// Whether a `Range` is to be honoured in the face of `If-Range` (RFC 9110 section 13.1.5).
pub fn range_holds(headers: &HeaderMap, tags: Tags<'_>, modified: Option<SystemTime>) -> bool {
    let Some(value) = headers.get("if-range") else {
        return true;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    if let Ok(date) = httpdate::parse_http_date(value) {
        return modified == Some(date);
    }
    !value.trim().starts_with("W/") && value.trim() != "*" && tags.listed(value)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const TAG: &str = "d41d8cd98f00b204e9800998ecf8427e-0";
    const TAGS: Tags<'_> = Tags {
        upstream: "d41d8cd98f00b204e9800998ecf8427e",
        client: TAG,
    };

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap()))
            .collect()
    }

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    #[test]
    fn a_tag_overrules_a_date() {
        let date = httpdate::fmt_http_date(at(100));
        let h = headers(&[("if-match", TAG), ("if-unmodified-since", &date)]);
        assert_eq!(evaluate(&h, &READ, TAGS, Some(at(200))), Outcome::Proceed);
        let h = headers(&[("if-none-match", "\"other\""), ("if-modified-since", &date)]);
        assert_eq!(evaluate(&h, &READ, TAGS, Some(at(50))), Outcome::Proceed);
    }

    #[test]
    fn each_condition_fails_by_itself() {
        let date = httpdate::fmt_http_date(at(100));
        let h = headers(&[("if-match", "\"other\"")]);
        assert_eq!(evaluate(&h, &READ, TAGS, None), Outcome::Failed);
        let h = headers(&[("if-none-match", TAG)]);
        assert_eq!(evaluate(&h, &READ, TAGS, None), Outcome::NotModified);
        let h = headers(&[("if-unmodified-since", &date)]);
        assert_eq!(evaluate(&h, &READ, TAGS, Some(at(101))), Outcome::Failed);
        let h = headers(&[("if-modified-since", &date)]);
        assert_eq!(
            evaluate(&h, &READ, TAGS, Some(at(100))),
            Outcome::NotModified
        );
        assert_eq!(evaluate(&h, &READ, TAGS, Some(at(101))), Outcome::Proceed);
    }

    #[test]
    fn if_range_takes_a_strong_tag_or_the_very_date() {
        assert!(range_holds(&headers(&[]), TAGS, None));
        assert!(range_holds(&headers(&[("if-range", TAG)]), TAGS, None));
        assert!(!range_holds(&headers(&[("if-range", "\"x\"")]), TAGS, None));
        let date = httpdate::fmt_http_date(at(100));
        assert!(range_holds(
            &headers(&[("if-range", &date)]),
            TAGS,
            Some(at(100))
        ));
        assert!(!range_holds(
            &headers(&[("if-range", &date)]),
            TAGS,
            Some(at(99))
        ));
    }
}
