//! A refusal as a problem document (RFC 9457), where no protocol has a form of its own.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};

use super::RefusedRequest;
use crate::error::Refusal;

/// The whole answer. To a HEAD request it has no body.
pub fn problem(refusal: &Refusal, request: &RefusedRequest<'_>) -> Response<Bytes> {
    let document = serde_json::json!({
        "type": "about:blank",
        "title": refusal.code.meaning,
        "status": refusal.status(),
        "detail": refusal.message,
        "code": refusal.code.name,
        "instance": format!("urn:sceau:request:{}", request.request_id),
    })
    .to_string();
    let length = document.len();
    let bodiless = *request.method == Method::HEAD;
    let mut response = Response::new(if bodiless {
        Bytes::new()
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
