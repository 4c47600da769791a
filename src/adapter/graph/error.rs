//! Refusals as clients of Microsoft Graph read them (Microsoft Graph, "Error responses"), in SharePoint's own form (SharePoint
//! REST service, "Errors"), or a page for a person with a browser. Never a status that makes clients try for hours what will not be allowed.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::rest;
use super::settings::Settings;
use crate::adapter::{RefusedRequest, page};
use crate::error::Refusal;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn respond(
    settings: &Settings,
    refusal: &Refusal,
    request: &RefusedRequest<'_>,
) -> Response<Bytes> {
    let status =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let id = request.request_id.to_string();
    let browser = page::wanted(request.accept);
    let body = if browser {
        let contact = settings.contact.as_deref();
        Bytes::from(page::write(settings.language, contact, refusal, &id))
    } else if rest::is_rest(request.path) {
        sharepoint(settings, refusal, status, &id, request.accept)
    } else {
        document(settings, refusal, status, &id)
    };
    let length = body.len();
    let bodiless = *request.method == Method::HEAD || status == StatusCode::NOT_MODIFIED;
    let mut response = Response::new(if bodiless { Bytes::new() } else { body });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match browser {
        true => page::describe(headers),
        false => {
            headers.insert(CONTENT_TYPE, JSON);
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

/// `error.code` is Graph's, which clients act upon; `innerError.code` is the gateway's own.
pub(super) fn document(
    settings: &Settings,
    refusal: &Refusal,
    status: StatusCode,
    id: &str,
) -> Bytes {
    let code = refusal
        .protocol_code
        .as_deref()
        .unwrap_or_else(|| code(status));
    let document = json!({"error": {
        "code": code,
        "message": message(refusal),
        "innerError": inner(settings, refusal, id),
    }});
    document.to_string().into()
}

fn message(refusal: &Refusal) -> &str {
    refusal.message.as_deref().unwrap_or(refusal.code.meaning)
}

fn inner(settings: &Settings, refusal: &Refusal, id: &str) -> Value {
    json!({
        "code": refusal.code.name,
        "request-id": id,
        "contact": settings.contact,
    })
}

/// `code` is a number and an exception's name, as SharePoint has it.
fn sharepoint(
    settings: &Settings,
    refusal: &Refusal,
    status: StatusCode,
    id: &str,
    accept: Option<&str>,
) -> Bytes {
    let code = match status {
        StatusCode::FORBIDDEN => "-2147024891, System.UnauthorizedAccessException",
        StatusCode::NOT_FOUND => "-2147024894, System.IO.FileNotFoundException",
        _ if status.is_client_error() => {
            "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"
        }
        _ => "-1, Microsoft.SharePoint.SPException",
    };
    let name = match rest::is_verbose(accept.unwrap_or_default()) {
        true => "error",
        false => "odata.error",
    };
    let document = json!({name: {
        "code": code,
        "message": {"lang": "en-US", "value": message(refusal)},
        "innerError": inner(settings, refusal, id),
    }});
    document.to_string().into()
}

/// Graph's name for a status (Microsoft Graph, "Error responses", and OneDrive API, "Error codes").
fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "invalidRequest",
        401 => "unauthenticated",
        403 => "accessDenied",
        404 => "itemNotFound",
        405 | 501 => "notSupported",
        409 => "nameAlreadyExists",
        410 => "resyncRequired",
        412 => "preconditionFailed",
        413 => "requestTooLarge",
        416 => "invalidRange",
        429 => "activityLimitReached",
        502..=504 => "serviceNotAvailable",
        507 => "quotaLimitReached",
        _ => "generalException",
    }
}
