//! Refusals as clients of an API read them: a problem document (RFC 9457), or a page for a person with a browser.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::settings::Settings;
use crate::adapter::RefusedRequest;
use crate::error::{Refusal, Side};
use crate::seal::scan::{Encoding, Language};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) fn respond(
    settings: &Settings,
    refusal: &Refusal,
    request: &RefusedRequest<'_>,
) -> Response<Bytes> {
    let status =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let id = request.request_id.to_string();
    let browser = wants_page(request.accept);
    let body = if browser {
        Bytes::from(page(settings, refusal, &id))
    } else {
        problem(settings, refusal, status, &id)
    };
    let length = body.len();
    let bodiless = *request.method == Method::HEAD;
    let mut response = Response::new(if bodiless { Bytes::new() } else { body });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = if browser {
        "text/html; charset=utf-8"
    } else {
        "application/problem+json"
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if browser {
        let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in &refusal.headers {
        headers.append(name.clone(), value.clone());
    }
    response
}

/// Browsers ask for pages by name; programs ask for JSON, or for anything.
fn wants_page(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn problem(settings: &Settings, refusal: &Refusal, status: StatusCode, id: &str) -> Bytes {
    let document = json!({
        "type": "about:blank",
        "title": refusal.code.meaning,
        "status": status.as_u16(),
        "detail": refusal.message,
        "code": refusal.code.name,
        "instance": format!("urn:sceau:request:{id}"),
        "contact": settings.contact,
    });
    document.to_string().into()
}

struct Wording {
    lang: &'static str,
    title: &'static str,
    client: &'static str,
    gateway: &'static str,
    upstream: &'static str,
    reason: &'static str,
    code: &'static str,
    request: &'static str,
    ask: &'static str,
}

const FRENCH: Wording = Wording {
    lang: "fr",
    title: "Demande non transmise",
    client: "La passerelle de chiffrement a refusé cette demande : rien n'a été transmis au fournisseur.",
    gateway: "La passerelle de chiffrement ne peut pas traiter cette demande en ce moment.",
    upstream: "Le fournisseur n'a pas donné de réponse à laquelle se fier ; son contenu n'est pas affiché.",
    reason: "Motif",
    code: "Code",
    request: "Numéro de la demande",
    ask: "Qui contacter",
};

const ENGLISH: Wording = Wording {
    lang: "en",
    title: "Request not forwarded",
    client: "The encryption gateway refused this request: nothing was sent to the provider.",
    gateway: "The encryption gateway can't handle this request now.",
    upstream: "The provider gave no answer that can be trusted; its content is not shown.",
    reason: "Reason",
    code: "Code",
    request: "Request",
    ask: "Whom to ask",
};

fn page(settings: &Settings, refusal: &Refusal, id: &str) -> Vec<u8> {
    let words = match settings.language {
        Language::French => &FRENCH,
        Language::English => &ENGLISH,
    };
    let what = match refusal.code.side {
        Side::Client => words.client,
        Side::Gateway => words.gateway,
        Side::Upstream => words.upstream,
    };
    let reason = refusal.message.as_deref().unwrap_or(refusal.code.meaning);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>body{{font:1rem/1.5 system-ui,sans-serif;\
         max-width:40rem;margin:3rem auto;padding:0 1rem}}dt{{font-weight:bold}}dd{{margin:0 0 1rem}}</style></head>\
         <body><main><h1>{title}</h1><p>{what}</p><dl>",
        words.lang,
        title = words.title,
    )
    .into_bytes();
    let contact = settings.contact.as_deref();
    let facts = [
        (words.reason, Some(reason)),
        (words.code, Some(refusal.code.name)),
        (words.request, Some(id)),
        (words.ask, contact),
    ];
    for (name, value) in facts {
        let Some(value) = value else { continue };
        out.extend_from_slice(format!("<dt>{name}</dt><dd>").as_bytes());
        Encoding::Html.write(value, &mut out);
        out.extend_from_slice(b"</dd>");
    }
    out.extend_from_slice(b"</dl></main></body></html>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::http::tests::settings;
    use crate::error::RULE_VIOLATED;
    use crate::telemetry::RequestId;

    fn answer(accept: Option<&str>, method: &Method) -> (Response<Bytes>, String) {
        let refusal = Refusal::new(&RULE_VIOLATED).message("a <b>");
        let request = RefusedRequest {
            request_id: RequestId(7),
            method,
            path: "/",
            accept,
        };
        let settings = settings();
        let response = respond(&settings, &refusal, &request);
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
