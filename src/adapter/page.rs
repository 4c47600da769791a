//! Refusals as a page for a person with a browser, in French or English.

use ::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderValue};

use crate::error::{Refusal, Side};
use crate::seal::scan::{Encoding, Language};

/// Browsers ask for pages by name; programs ask for JSON, or for anything.
pub(super) fn wanted(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The page's own header fields.
pub(super) fn describe(headers: &mut HeaderMap) {
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
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

/// `contact`: whom people are to ask.
pub(super) fn write(
    language: Language,
    contact: Option<&str>,
    refusal: &Refusal,
    id: &str,
) -> Vec<u8> {
    let words = match language {
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
