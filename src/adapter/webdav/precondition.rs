//! Conditions of requests that change something, for providers that ignore them: `rclone serve webdav` overwrites
//! whatever `If-None-Match: *` says. Between the question and the change another may come; the provider's own check
//! is better where there is one.

use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED};
use http::{HeaderMap, Method, StatusCode};

use super::settings::Preconditions;
use super::upstream::{Ask, text};
use super::{Call, WebDav};
use crate::error::{PROTOCOL, Refusal};

impl WebDav {
    /// # Errors
    /// 412 when a condition of the request does not hold.
    pub(super) async fn precondition(&self, call: &Call<'_>) -> Result<(), Refusal> {
        let headers = &call.head.headers;
        let asked = [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE]
            .iter()
            .any(|name| headers.contains_key(name));
        if !asked || self.settings.preconditions == Preconditions::Provider {
            return Ok(());
        }
        let response = self.ask(Ask::own(Method::HEAD, call)).await?;
        let present = match response.status() {
            status if status.is_success() => Some(response.headers()),
            StatusCode::NOT_FOUND | StatusCode::GONE => None,
            // the provider refuses the client: it says so to the request itself
            _ => return Ok(()),
        };
        if holds(headers, present) {
            return Ok(());
        }
        let mut refusal = Refusal::new(&PROTOCOL).message("A precondition does not hold.");
        refusal.status = Some(412);
        Err(refusal)
    }
}

/// Whether the request's conditions hold for the file's head; `None`: there is no file.
fn holds(request: &HeaderMap, present: Option<&HeaderMap>) -> bool {
    let tag = present.and_then(|head| text(head, ETAG));
    if let Some(list) = text(request, IF_MATCH) {
        let strong = tag.filter(|tag| !tag.starts_with("W/"));
        let listed = strong.is_some_and(|tag| tags(list).any(|item| item == tag));
        if !(listed || list.trim() == "*" && present.is_some()) {
            return false;
        }
    }
    if let Some(list) = text(request, IF_NONE_MATCH) {
        let weak = tag.map(opaque);
        let listed = weak.is_some_and(|tag| tags(list).any(|item| opaque(item) == tag));
        if listed || list.trim() == "*" && present.is_some() {
            return false;
        }
    }
    let date = |value: Option<&str>| value.and_then(|v| httpdate::parse_http_date(v).ok());
    let limit = date(text(request, IF_UNMODIFIED_SINCE));
    let modified = date(present.and_then(|head| text(head, LAST_MODIFIED)));
    match (limit, modified) {
        (Some(limit), Some(modified)) if !request.contains_key(IF_MATCH) => modified <= limit,
        _ => true,
    }
}

/// A tag without the mark of a weak one (RFC 9110, section 8.8.3.2).
pub(super) fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The tags of a list. A comma may stand within one.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    list.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn map(fields: &[(http::HeaderName, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn as_the_rfc_has_it() {
        let file = map(&[
            (ETAG, "\"a,b\""),
            (LAST_MODIFIED, "Tue, 24 Nov 2026 10:00:00 GMT"),
        ]);
        let weak = map(&[(ETAG, "W/\"a\"")]);
        let cases = [
            (IF_MATCH, "*", Some(&file), true),
            (IF_MATCH, "*", None, false),
            (IF_MATCH, "\"x\", \"a,b\"", Some(&file), true),
            (IF_MATCH, "\"x\"", Some(&file), false),
            (IF_MATCH, "W/\"a\"", Some(&weak), false),
            (IF_NONE_MATCH, "*", Some(&file), false),
            (IF_NONE_MATCH, "*", None, true),
            (IF_NONE_MATCH, "\"a\"", Some(&weak), false),
            (IF_NONE_MATCH, "\"a\"", Some(&file), true),
            (
                IF_UNMODIFIED_SINCE,
                "Tue, 24 Nov 2026 10:00:00 GMT",
                Some(&file),
                true,
            ),
            (
                IF_UNMODIFIED_SINCE,
                "Tue, 24 Nov 2026 09:59:59 GMT",
                Some(&file),
                false,
            ),
        ];
        for (name, value, present, expected) in cases {
            let request = map(&[(name.clone(), value)]);
            assert_eq!(holds(&request, present), expected, "{name}: {value}");
        }
    }
}
