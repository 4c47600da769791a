//! Refusals as clients of an API read them: a problem document (RFC 9457), or a page for a person with a browser.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::settings::Settings;
use crate::adapter::{RefusedRequest, page};
use crate::error::Refusal;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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
        Bytes::from(page::write(
            settings.language,
            settings.contact.as_deref(),
            refusal,
            &id,
        ))
    } else {
        problem(settings, refusal, status, &id)
    };
    let length = body.len();
    let bodiless = *request.method == Method::HEAD;
    let mut response = Response::new(if bodiless { Bytes::new() } else { body });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if browser {
        page::describe(headers);
    } else {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in &refusal.headers {
        headers.append(name.clone(), value.clone());
    }
    response
}

fn problem(settings: &Settings, refusal: &Refusal, status: StatusCode, id: &str) -> Bytes {
    let mut document = json!({
        "type": "about:blank",
        "title": refusal.code.meaning,
        "status": status.as_u16(),
        "detail": refusal.message,
        "code": refusal.code.name,
        "instance": format!("urn:sceau:request:{id}"),
        "contact": settings.contact,
    });
    let message = refusal.message.as_deref().unwrap_or(refusal.code.meaning);
    for member in &settings.error_members {
        let value = member.value.replace("{code}", refusal.code.name);
        document[&member.name] = value.replace("{message}", message).into();
    }
    document.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::http::settings::ErrorMember;
    use crate::adapter::http::tests::settings;
    use crate::error::RULE_VIOLATED;
    use crate::telemetry::RequestId;

    fn answer(accept: Option<&str>, method: &Method) -> (Response<Bytes>, String) {
        answer_of(&settings(), accept, method)
    }

    fn answer_of(
        settings: &Settings,
        accept: Option<&str>,
        method: &Method,
    ) -> (Response<Bytes>, String) {
        let refusal = Refusal::new(&RULE_VIOLATED).message("a <b>");
        let request = RefusedRequest {
            request_id: RequestId(7),
            method,
            path: "/",
            accept,
        };
        let response = respond(settings, &refusal, &request);
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        (response, text)
    }

    #[test]
    fn a_program_gets_a_problem_document() {
        let (response, text) = answer(Some("*/*"), &Method::GET);
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["code"], "rule-violated");
        assert_eq!(document["instance"], "urn:sceau:request:0000000000000007");
        assert_eq!(document["contact"], "dsi@example.fr");
    }

    #[test]
    fn a_services_own_members_stand_beside_the_usual_ones() {
        let member = |name: &str, value: &str| ErrorMember {
            name: name.into(),
            value: value.into(),
        };
        let mut settings = settings();
        settings.error_members = vec![
            member("errcode", "FR.SCEAU.{code}"),
            member("error", "{message} ({code})"),
        ];
        let (_, text) = answer_of(&settings, None, &Method::GET);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["errcode"], "FR.SCEAU.rule-violated");
        assert_eq!(document["error"], "a <b> (rule-violated)");
        assert_eq!(document["detail"], "a <b>");
        assert_eq!(document["code"], "rule-violated");
    }

    #[test]
    fn a_person_gets_a_page_that_says_why_and_whom_to_ask() {
        let (response, text) = answer(
            Some("text/html,application/xhtml+xml,*/*;q=0.8"),
            &Method::GET,
        );
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        for part in [
            "lang=\"fr\"",
            "a &lt;b&gt;",
            "rule-violated",
            "0000000000000007",
            "dsi@example.fr",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(answer(Some("text/html"), &Method::HEAD).1.is_empty());
    }
}
