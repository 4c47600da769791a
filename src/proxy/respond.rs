//! The one place where a refusal becomes a response: in the protocol's own form, or as a problem document
//! (RFC 9457) when no service is known.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};

use super::asked::Asked;
use crate::adapter::Adapter;
use crate::body::Released;
use crate::error::Refusal;

pub(super) fn refuse(
    adapter: Option<&dyn Adapter>,
    asked: &mut Asked,
    refusal: Refusal,
) -> Response<Released> {
    asked.code = Some(refusal.code.name);
    asked.log_refusal(&refusal);
    let response = match adapter {
        Some(adapter) => adapter.refuse(&refusal, &asked.refused()),
        None => problem(asked, &refusal),
    };
    response.map(Released::document)
}

fn problem(asked: &Asked, refusal: &Refusal) -> Response<bytes::Bytes> {
    let document = serde_json::json!({
        "type": "about:blank",
        "title": refusal.code.meaning,
        "status": refusal.status(),
        "detail": refusal.message,
        "code": refusal.code.name,
        "instance": format!("urn:sceau:request:{}", asked.id),
    })
    .to_string();
    let length = document.len();
    let bodiless = asked.method == Method::HEAD;
    let mut response = Response::new(if bodiless {
        bytes::Bytes::new()
    } else {
        document.into()
    });
    *response.status_mut() =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in &refusal.headers {
        headers.append(name.clone(), value.clone());
    }
    response
}
