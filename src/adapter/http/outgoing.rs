//! The request to the provider: its query and body, with what the rule names sealed.

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, request};

use super::Http;
use super::multipart::Form;
use super::settings::{RequestBody, Rule, Sealed};
use super::urlencoded::{self, Treated};
use super::values::Sealer;
use super::written_back;
use crate::adapter::alike;
use crate::body::{Cleared, Coding, Inflated, Outbound, Plain, SealBody, SealPlan, Tail};
use crate::error::{BODY_INCOMPLETE, ENCODING_UNKNOWN, INTERNAL, PROTOCOL, RULE_VIOLATED, Refusal};
use crate::policy::{DocumentPermit, RelayPermit};
use crate::seal::trailer::Digests;

/// Lets every query parameter pass.
const ANY: &str = "*";

/// The query to send, `?` included.
pub(super) fn query(rule: &Rule, sealer: &Sealer, raw: Option<&str>) -> Result<String, Refusal> {
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else {
        return Ok(String::new());
    };
    let query = urlencoded::rewrite(raw, |name, value| -> Result<Treated, Refusal> {
        if let Some(sealed) = find(&rule.sealed_query, name) {
            return sealer.pair(&sealed.sealing, value);
        }
        let mut sealed = rule.sealed_query.iter();
        let resembles = sealed.any(|sealed| alike::parameter(name, &sealed.place));
        let named = |known: &String| known == name || known == ANY && !resembles;
        if rule.query.iter().any(named) {
            Ok(Treated::Kept)
        } else {
            Err(Refusal::new(&RULE_VIOLATED).message(format!(
                "The rule `{}` does not name this query parameter: {}.",
                rule.name,
                shown(name)
            )))
        }
    })?;
    Ok(format!("?{query}"))
}

fn find<'r>(sealed: &'r [Sealed<String>], name: &str) -> Option<&'r Sealed<String>> {
    sealed.iter().find(|sealed| sealed.place == name)
}

/// A name that the client chose, short enough to be repeated.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(40).filter(|c| !c.is_control()).collect()
}

/// Header fields whose values are sealed.
pub(super) fn headers(
    rule: &Rule,
    sealer: &Sealer,
    from: &HeaderMap,
    to: &mut HeaderMap,
) -> Result<(), Refusal> {
    for sealed in &rule.sealed_headers {
        to.remove(&sealed.place);
        for value in from.get_all(&sealed.place) {
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
                Refusal::new(&PROTOCOL).message(format!("`{}` is not UTF-8.", sealed.place))
            })?;
            let text = sealer.seal(&sealed.sealing, text)?.text;
            let value = HeaderValue::try_from(text)
                .map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
            to.append(sealed.place.clone(), value);
        }
    }
    Ok(())
}

/// Who lets the body pass: a permit for documents that the gateway writes, or one that relays.
pub(super) enum Permit<'a> {
    Document(&'a DocumentPermit),
    Relay(&'a RelayPermit),
}

/// The body to send; its type goes into `to`.
pub(super) async fn body(
    http: &Http,
    (index, rule): (usize, &Rule),
    sealer: Sealer,
    permit: Permit<'_>,
    head: &request::Parts,
    plain: Plain,
    to: &mut HeaderMap,
) -> Result<Cleared<Outbound>, Refusal> {
    let coding = coding(rule, &head.headers)?;
    let plain = match coding {
        Some(coding) => plain.through(Inflated::stage(coding)),
        None => plain,
    };
    let limit = http.settings.max_document;
    match (&rule.request, permit) {
        (RequestBody::Nothing, _) => nothing(plain).await,
        (RequestBody::Relayed, Permit::Relay(permit)) => {
            if let Some(kind) = head.headers.get(CONTENT_TYPE) {
                to.insert(CONTENT_TYPE, kind.clone());
            }
            if let Some(length) = declared(&head.headers)? {
                to.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            Ok(Cleared::relayed(plain, permit))
        }
        // there is nothing to seal in it; clients send POST without a document where every member is optional
        (RequestBody::Json { .. }, _) if plain.is_end_stream() => Ok(Cleared::empty()),
        (RequestBody::Json { fields, paths }, Permit::Document(permit)) => {
            expect_type(rule, &head.headers, to)?;
            let document = plain.collect(limit).await?;
            let sealed = written_back::seal(&document, fields, paths, &sealer)?;
            Ok(Cleared::document(sealed, permit))
        }
        (RequestBody::Form { fields, clear }, Permit::Document(permit)) => {
            expect_type(rule, &head.headers, to)?;
            let document = plain.collect(limit).await?;
            let document = String::from_utf8(document)
                .map_err(|_| Refusal::new(&PROTOCOL).message("The form is not UTF-8."))?;
            let sealed = urlencoded::rewrite(&document, |name, value| {
                field(fields, clear, rule, &sealer, name, value)
            })?;
            Ok(Cleared::document(sealed, permit))
        }
        (RequestBody::Multipart { .. }, Permit::Document(permit)) => {
            let kind = head.headers.get(CONTENT_TYPE);
            let form = Form::new(plain, kind, http.settings.clone(), index, sealer)?;
            to.insert(CONTENT_TYPE, form.content_type()?);
            Ok(Cleared::assembled(form, permit))
        }
        (RequestBody::Object { keep_type }, Permit::Document(_)) => {
            let kind = match head.headers.get(CONTENT_TYPE) {
                Some(kind) if *keep_type => kind.clone(),
                _ => HeaderValue::from_static("application/octet-stream"),
            };
            to.insert(CONTENT_TYPE, kind);
            let length = match coding {
                Some(_) => None,
                None => declared(&head.headers)?,
            };
            Ok(Cleared::sealed(object(&sealer, plain, length)?))
        }
        _ => Err(Refusal::new(&INTERNAL).message("The rule and its verdict do not agree.")),
    }
}

/// How the body is compressed, where it is.
///
/// # Errors
/// The rule allows none, or it is another than can be read.
fn coding(rule: &Rule, headers: &HeaderMap) -> Result<Option<Coding>, Refusal> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let name = value.to_str().unwrap_or_default().trim();
    let alone = values.next().is_none();
    if alone && name.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    let coding = Coding::named(name).filter(|_| alone && rule.decompress);
    coding.map(Some).ok_or_else(|| {
        let (message, taken) = match rule.decompress {
            true => (
                "The service's rule reads gzip and deflate, one of them, and no other compression.",
                "gzip, deflate",
            ),
            false => (
                "A compressed body can't be read; send it as it is.",
                "identity",
            ),
        };
        // RFC 9110 section 12.5.3: what the client may send instead
        Refusal::new(&ENCODING_UNKNOWN)
            .message(message)
            .header(ACCEPT_ENCODING, HeaderValue::from_static(taken))
    })
}

/// What becomes of a form's field.
pub(super) fn field(
    fields: &[Sealed<String>],
    clear: &[String],
    rule: &Rule,
    sealer: &Sealer,
    name: &str,
    value: &str,
) -> Result<Treated, Refusal> {
    if let Some(sealed) = find(fields, name) {
        return sealer.pair(&sealed.sealing, value);
    }
    let indexes = || fields.iter().filter_map(|field| field.sealing.beside());
    if indexes().any(|index| index == name) {
        return Ok(Treated::Dropped);
    }
    if indexes().any(|index| alike::parameter(name, index)) {
        return Err(own_index());
    }
    if clear.iter().any(|known| known == name) {
        return Ok(Treated::Kept);
    }
    Err(Refusal::new(&RULE_VIOLATED).message(format!(
        "The rule `{}` does not name this field: {}.",
        rule.name,
        shown(name)
    )))
}

/// A client writes a text where the provider looks for an index.
pub(super) fn own_index() -> Refusal {
    Refusal::new(&RULE_VIOLATED)
        .message("The request holds an equality index, which the gateway writes itself.")
}

/// # Errors
/// There is a body.
async fn nothing(plain: Plain) -> Result<Cleared<Outbound>, Refusal> {
    if plain.is_end_stream() || plain.collect(0).await.is_ok() {
        return Ok(Cleared::empty());
    }
    Err(Refusal::new(&RULE_VIOLATED).message("The service's rule allows no body here."))
}

/// A body that is sealed as an object: one run, of a length that may not be known yet.
pub(super) fn object(
    sealer: &Sealer,
    plain: Plain,
    length: Option<u64>,
) -> Result<SealBody, Refusal> {
    let plan = SealPlan {
        keys: sealer.keys()?.clone(),
        context: sealer.context().clone(),
        object: sealer.object_id()?,
        part: 0,
        salt: sealer.salt()?,
        length,
        tail: Tail::Object {
            salt: sealer.salt()?,
            digests: Box::new(Digests::default),
        },
    };
    SealBody::new(plain, plan).map_err(|error| Refusal::new(&INTERNAL).cause(error))
}

/// The length that the client declares; the gate has seen that it stands once.
fn declared(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(CONTENT_LENGTH) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|value| value.parse().ok());
    length
        .map(Some)
        .ok_or_else(|| Refusal::new(&BODY_INCOMPLETE))
}

/// The body's type must be the rule's, in UTF-8.
fn expect_type(rule: &Rule, from: &HeaderMap, to: &mut HeaderMap) -> Result<(), Refusal> {
    let kind = from.get(CONTENT_TYPE);
    let text = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if let (Some(kind), true, true) = (kind, rule.takes(text), utf8(text)) {
        to.insert(CONTENT_TYPE, kind.clone());
        return Ok(());
    }
    Err(Refusal::new(&ENCODING_UNKNOWN).message(format!(
        "The service's rule takes {} in UTF-8 here.",
        rule.request.media().unwrap_or("another type")
    )))
}

/// Whether a media type names no other charset than UTF-8.
pub(super) fn utf8(kind: &str) -> bool {
    let lower = kind.to_ascii_lowercase();
    lower.split(';').skip(1).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        !name.trim().starts_with("charset") || matches!(value, "utf-8" | "utf8" | "us-ascii")
    })
}
