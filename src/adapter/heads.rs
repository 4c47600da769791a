//! Heads of answers, for adapters that let fields pass by name.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::error::{PROVIDER_ERROR, Refusal};

/// Copies the fields of these names, in lower case.
pub(super) fn passed(upstream: &HeaderMap, names: &[&'static str]) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(upstream.len());
    for name in names {
        for value in upstream.get_all(*name) {
            out.append(HeaderName::from_static(name), value.clone());
        }
    }
    out
}

/// A value that can't stand in a field is left out.
pub(super) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// An error without a document that a client could read; `headers`: what of its head passes.
pub(super) fn provider_error(status: StatusCode, headers: HeaderMap) -> Refusal {
    let mut refusal = Refusal::new(&PROVIDER_ERROR).message(format!(
        "The provider answered {}.",
        status.canonical_reason().unwrap_or(status.as_str())
    ));
    refusal.status = Some(status.as_u16());
    let mut last = None;
    for (name, value) in headers {
        last = name.or(last);
        match &last {
            Some(name) if *name != CONTENT_TYPE => refusal.headers.push((name.clone(), value)),
            _ => {}
        }
    }
    refusal
}
