//! Header fields that no request may have, or only where the policy lets their group pass.

use http::HeaderMap;

use super::error::{NOT_IMPLEMENTED, OPERATION_DENIED, S3Error};
use super::table::TABLE;

/// Headers that are refused on every operation. A name that ends in `*` is a prefix.
#[rustfmt::skip]
const DENIED_HEADERS: &[(&str, &str)] = &[
    ("x-amz-server-side-encryption-customer-*", "Keys of the client's own (SSE-C) are not served: the object is sealed already."),
    ("x-amz-copy-source-server-side-encryption-customer-*", "Keys of the client's own (SSE-C) are not served: the object is sealed already."),
    ("x-amz-write-offset-bytes", "Appending to an object is not served."),
    ("x-amz-website-redirect-location", "Websites would need the provider to read the objects."),
    ("x-amz-mfa", "Deletion with MFA is not served: the gateway's own credential can't carry it."),
    ("x-amz-server-side-encryption-context", "An encryption context would be stored in clear text."),
    ("x-amz-if-match-*", "Conditions on size or time of a deletion are not served."),
    ("x-amz-object-annotation*", "Object annotations would store clear text at the provider."),
    ("x-amz-rename-source*", "Renaming is not served."),
    ("x-amz-security-token", "Temporary credentials are not served."),
    ("x-amz-s3session-token", "Directory buckets are not served."),
];

/// Headers that fall under a group of the policy as their own operations do. A name that ends in `*` is a prefix.
pub(super) const GROUP_HEADERS: &[(&str, &str)] = &[
    ("x-amz-tagging", "tagging"),
    ("x-amz-acl", "acl"),
    ("x-amz-grant-*", "acl"),
];

fn matches_header(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

/// Refuses the headers of [`DENIED_HEADERS`]. Hoisted headers of a presigned URL count: pass the effective ones.
///
/// # Errors
/// `NotImplemented`, with the header's name and the reason.
pub fn check_headers<'h>(names: impl IntoIterator<Item = &'h str>) -> Result<(), S3Error> {
    for name in names {
        let denied = DENIED_HEADERS
            .iter()
            .find(|(pattern, _)| matches_header(pattern, name));
        if let Some((_, why)) = denied {
            return Err(S3Error::with(&NOT_IMPLEMENTED, *why).detail("Header", name));
        }
    }
    Ok(())
}

/// Refuses a header in a presigned URL's query that selects an operation: the request was classified without it.
///
/// # Errors
/// `NotImplemented`, with the header's name.
pub fn check_hoisted<'h>(names: impl IntoIterator<Item = &'h str>) -> Result<(), S3Error> {
    let selects = |name: &str| {
        let mut headers = TABLE.iter().filter_map(|row| row.header);
        headers.any(|header| header.split('=').next() == Some(name))
    };
    match names.into_iter().find(|name| selects(name)) {
        Some(name) => Err(S3Error::with(
            &NOT_IMPLEMENTED,
            "A field that names the operation must be sent as a header.",
        )
        .detail("Header", name)),
        None => Ok(()),
    }
}

/// Refuses headers of a group that the policy does not let pass. `x-amz-acl: private` is what holds without it.
///
/// # Errors
/// `AccessDenied`, with the group's name.
pub fn check_groups(headers: &HeaderMap, allows: impl Fn(&str) -> bool) -> Result<(), S3Error> {
    for (name, value) in headers {
        let group = GROUP_HEADERS
            .iter()
            .find(|(pattern, _)| matches_header(pattern, name.as_str()));
        let Some((_, group)) = group else { continue };
        let harmless = name == "x-amz-acl" && value == "private";
        if !harmless && !allows(group) {
            return Err(S3Error::with(
                &OPERATION_DENIED,
                format!("The service's policy does not allow the group `{group}`."),
            )
            .detail("Header", name.as_str()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs
            .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
            .into_iter()
            .collect()
    }

    #[test]
    fn headers_that_change_the_meaning_are_refused() {
        for name in [
            "x-amz-server-side-encryption-customer-key",
            "x-amz-copy-source-server-side-encryption-customer-algorithm",
            "x-amz-write-offset-bytes",
            "x-amz-website-redirect-location",
            "x-amz-mfa",
            "x-amz-server-side-encryption-context",
            "x-amz-if-match-size",
        ] {
            let error = check_headers(["host", name]).unwrap_err();
            assert_eq!(error.code.name, "NotImplemented", "{name}");
        }
        check_headers(["host", "x-amz-date", "x-amz-server-side-encryption"]).unwrap();
    }

    #[test]
    fn headers_of_a_group_need_the_policy() {
        let none = |_: &str| false;
        check_groups(&headers(&[("x-amz-acl", "private")]), none).unwrap();
        for (name, value, group) in [
            ("x-amz-acl", "public-read", "acl"),
            ("x-amz-grant-read", "id=1", "acl"),
            ("x-amz-tagging", "a=b", "tagging"),
        ] {
            let map = headers(&[(name, value)]);
            assert_eq!(
                check_groups(&map, none).unwrap_err().code.name,
                "AccessDenied"
            );
            check_groups(&map, |allowed| allowed == group).unwrap();
        }
    }
}
