//! The gate: what two parties could read differently is refused, never repaired. What is wrong with a head's bytes the
//! connection has seen already (`net::framing`); here are the parsed fields.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Version, request};

use crate::error::{FRAMING, HEADERS_TOO_LARGE, Refusal, TOO_SLOW};

/// What the connection found wrong with the bytes of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    Malformed(&'static str),
    TooLarge,
    /// It did not come within the time that it has.
    TooSlow,
}

impl From<HeadFault> for Refusal {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::Malformed(why) => refuse(why),
            HeadFault::TooLarge => Self::new(&HEADERS_TOO_LARGE),
            HeadFault::TooSlow => Self::new(&TOO_SLOW),
        }
    }
}

fn refuse(why: &'static str) -> Refusal {
    Refusal::new(&FRAMING).message(why)
}

/// What a `Connection` field may name: the connection's own affairs. To name any other field is to have it removed on
/// the way (RFC 9110 section 7.6.1), which a request that was signed with it does not survive.
const OPTIONS: [&str; 9] = [
    "close",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "proxy-connection",
    "proxy-authorization",
];

/// Gives the authority that the request is for.
///
/// # Errors
/// Anything ambiguous; the connection is closed after the answer.
pub(super) fn check(head: &request::Parts, fault: Option<HeadFault>) -> Result<&str, Refusal> {
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    if !matches!(head.version, Version::HTTP_11 | Version::HTTP_2) {
        return Err(refuse("Only HTTP/1.1 and HTTP/2 are spoken.").protocol("HTTPVersion", 505));
    }
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(refuse("This method is not served."));
    }
    fields(&head.headers)?;
    target(head)?;
    authority(head)
}

fn fields(headers: &HeaderMap) -> Result<(), Refusal> {
    for single in [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, UPGRADE] {
        if headers.get_all(&single).iter().nth(1).is_some() {
            return Err(refuse("A field that may stand once stands twice."));
        }
    }
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Err(refuse(
            "Content-Length and Transfer-Encoding exclude each other.",
        ));
    }
    if let Some(coding) = headers.get(TRANSFER_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"chunked")
    {
        return Err(refuse("The only transfer coding is chunked."));
    }
    for connection in headers.get_all(CONNECTION) {
        let known = |option: &[u8]| {
            let option = option.trim_ascii();
            option.is_empty()
                || OPTIONS
                    .iter()
                    .any(|known| option.eq_ignore_ascii_case(known.as_bytes()))
        };
        if !connection.as_bytes().split(|b| *b == b',').all(known) {
            return Err(refuse("The Connection field names a field of the request."));
        }
    }
    if let Some(expect) = headers.get(EXPECT)
        && !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Err(refuse("The only expectation is 100-continue."));
    }
    Ok(())
}

/// Origin form only; HTTP/2 has nothing else, and HTTP/1.1's absolute form must not name another host.
fn target(head: &request::Parts) -> Result<(), Refusal> {
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    if path == "*" {
        return if head.method == Method::OPTIONS {
            Ok(())
        } else {
            Err(refuse("The target `*` is for OPTIONS."))
        };
    }
    if !path.starts_with('/') {
        return Err(refuse("The target is no path."));
    }
    let odd = |byte: u8| byte <= b' ' || byte >= 0x7F || matches!(byte, b'#' | b'\\');
    if path.bytes().any(odd) {
        return Err(refuse("The target holds a character that must be encoded."));
    }
    Ok(())
}

fn authority(head: &request::Parts) -> Result<&str, Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(
            host.to_str()
                .ok()
                .filter(|host| is_authority(host))
                .ok_or_else(|| refuse("The Host field is malformed."))?,
        ),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(refuse("There are two Host fields.")),
    };
    match (head.uri.authority(), host) {
        (Some(target), Some(host)) if !target.as_str().eq_ignore_ascii_case(host) => {
            Err(refuse("Target and Host field name two hosts."))
        }
        (Some(target), _) if !is_authority(target.as_str()) => {
            Err(refuse("The target's authority is malformed."))
        }
        (Some(target), _) => Ok(target.as_str()),
        (None, Some(host)) => Ok(host),
        (None, None) => Err(refuse("There is no Host field.")),
    }
}

/// `host[:port]`; user information, spaces and lists are none.
fn is_authority(text: &str) -> bool {
    let legal =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !text.is_empty() && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(
        build: impl FnOnce(http::request::Builder) -> http::request::Builder,
    ) -> request::Parts {
        build(Request::builder()).body(()).unwrap().into_parts().0
    }

    fn refused(head: &request::Parts) -> bool {
        check(head, None).is_err()
    }

    #[test]
    fn one_host_that_agrees_with_the_target() {
        assert_eq!(
            check(&head(|r| r.uri("/a").header("host", "h:1")), None).unwrap(),
            "h:1"
        );
        assert_eq!(
            check(&head(|r| r.uri("http://h/a").header("host", "H")), None).unwrap(),
            "h"
        );
        assert!(refused(&head(|r| r.uri("/a"))));
        assert!(refused(&head(|r| r
            .uri("/a")
            .header("host", "a")
            .header("host", "b"))));
        assert!(refused(&head(|r| r.uri("http://a/").header("host", "b"))));
        for odd in ["", "a b", "a,b", "u@h", "h/x"] {
            assert!(refused(&head(|r| r.uri("/a").header("host", odd))), "{odd}");
        }
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        let with = |name: &'static str, values: &[&'static str]| {
            head(|mut r| {
                r = r.uri("/").header("host", "h");
                for value in values {
                    r = r.header(name, *value);
                }
                r
            })
        };
        assert!(!refused(&with("transfer-encoding", &["chunked"])));
        assert!(refused(&with("transfer-encoding", &["gzip, chunked"])));
        assert!(refused(&with("transfer-encoding", &["chunked", "chunked"])));
        assert!(refused(&with("content-length", &["1", "1"])));
        assert!(refused(&with("expect", &["something"])));
        assert!(!refused(&with("connection", &["Keep-Alive, TE"])));
        assert!(refused(&with("connection", &["close", "x-amz-date"])));
        assert!(refused(&with("connection", &["close,host"])));
        let both = head(|r| {
            r.uri("/")
                .header("host", "h")
                .header("content-length", "1")
                .header("transfer-encoding", "chunked")
        });
        assert!(refused(&both));
    }

    #[test]
    fn old_versions_methods_of_proxies_and_faulty_heads_are_refused() {
        let old = head(|r| r.version(Version::HTTP_10).uri("/").header("host", "h"));
        assert!(refused(&old));
        let trace = head(|r| r.method("TRACE").uri("/").header("host", "h"));
        assert!(refused(&trace));
        let good = head(|r| r.uri("/").header("host", "h"));
        let refusal = check(&good, Some(HeadFault::TooLarge)).unwrap_err();
        assert_eq!(refusal.status(), 431);
    }
}
