//! Refusals as WebDAV clients read them: a `DAV:error` document (RFC 4918, section 16) with the stable code. The two
//! elements in sabre's namespace are what Nextcloud's clients show. A browser gets a page.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use quick_xml::escape::escape;

use super::settings::Settings;
use crate::adapter::{RefusedRequest, page};
use crate::error::Refusal;

pub(super) const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=\"utf-8\"");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) fn respond(
    settings: &Settings,
    refusal: &Refusal,
    request: &RefusedRequest<'_>,
) -> Response<Bytes> {
    let status =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let id = request.request_id.to_string();
    let bodiless = *request.method == Method::HEAD || status == StatusCode::NOT_MODIFIED;
    let browser = page::wanted(request.accept);
    let contact = settings.contact.as_deref();
    let body = if bodiless {
        Bytes::new()
    } else if browser {
        page::write(settings.language, contact, refusal, &id).into()
    } else {
        document(refusal, &id)
    };
    let length = body.len();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !bodiless {
        headers.insert(CONTENT_TYPE, XML);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if browser {
            page::describe(headers);
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in &refusal.headers {
        headers.append(name.clone(), value.clone());
    }
    response
}

fn document(refusal: &Refusal, request_id: &str) -> Bytes {
    let message = refusal.message.as_deref().unwrap_or(refusal.code.meaning);
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:error xmlns:D=\"DAV:\" \
         xmlns:s=\"http://sabredav.org/ns\" xmlns:g=\"urn:sceau:error\">",
    );
    for (name, text) in [
        ("s:exception", "Sceau"),
        ("s:message", message),
        ("g:code", refusal.code.name),
        ("g:request-id", request_id),
    ] {
        xml.push_str(&format!("<{name}>{}</{name}>", escape(text)));
    }
    xml.push_str("</D:error>");
    Bytes::from(xml)
}
