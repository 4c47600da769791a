//! The canonical request and the string to sign (Amazon S3 API Reference, "Signature calculations: transferring payload
//! in a single chunk").

use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use super::keys::sha256_hex;

pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Appends a header's line: values joined by commas, trimmed, runs of spaces made one.
pub fn push_header<'v>(out: &mut Vec<u8>, name: &str, values: impl Iterator<Item = &'v [u8]>) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let mut space = false;
        for &byte in value.trim_ascii() {
            if !(space && byte == b' ') {
                out.push(byte);
            }
            space = byte == b' ';
        }
    }
    out.push(b'\n');
}

/// The authority as received: the Host header, or HTTP/2's `:authority`.
pub fn host(head: &Parts) -> Option<&[u8]> {
    match head.headers.get(http::header::HOST) {
        Some(value) => Some(value.as_bytes()),
        None => head
            .uri
            .authority()
            .map(|authority| authority.as_str().as_bytes()),
    }
}

/// The canonical request's bytes. `signed` are the names in the order that the client gave, joined by `;` in `names`.
pub fn request(
    head: &Parts,
    path: &str,
    query: &str,
    signed: &[&str],
    names: &str,
    payload: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    for line in [head.method.as_str(), path, query] {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    for &name in signed {
        match host(head).filter(|_| name == "host") {
            Some(host) => push_header(&mut out, name, std::iter::once(host)),
            None => push_header(&mut out, name, values(&head.headers, name)),
        }
    }
    out.push(b'\n');
    out.extend_from_slice(names.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload.as_bytes());
    out
}

fn values<'m>(headers: &'m HeaderMap, name: &str) -> impl Iterator<Item = &'m [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes)
}

/// The string to sign for a canonical request.
pub fn string_to_sign(date: &str, scope: &str, canonical: &[u8]) -> String {
    format!("{ALGORITHM}\n{date}\n{scope}\n{}", sha256_hex(canonical))
}
