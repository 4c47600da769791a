//! The admin listener: opens sealed text for programs of the administration's that received it past the gateway
//! (notifications, digests, exports). It has no provider; what it is sent goes back to whoever sent it, and nowhere else.

mod audited;
pub mod settings;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, request};

use self::audited::{Audit, Audited};
use self::settings::{Settings, Subscriber};
use super::text::{Kind, Text};
use super::{Adapter, Exchange, Operation, RefusedRequest, Subject, problem};
use crate::body::{Plain, Released, ScanBody, Sealed};
use crate::error::{
    ACCESS_DENIED, ENCODING_UNKNOWN, INTERNAL, OPERATION_DENIED, OPERATION_UNKNOWN, PROTOCOL,
    Refusal,
};
use crate::policy::{Class, Verdict};
use crate::seal::scan::{Opens, Reading};
use crate::seal::token::{Field, TokenKeys};

/// Opens texts of several services.
pub struct Admin {
    settings: Settings,
    /// What tokens open under, by the service's name.
    services: HashMap<String, Arc<dyn TokenKeys>>,
}

/// What is asked for.
enum Asked {
    Health,
    Open(Wanted),
}

/// A text that is to be opened.
struct Wanted {
    kind: Kind,
    /// `None`: the only one that the subscriber may have opened.
    service: Option<String>,
    /// None: all that the subscriber may have opened.
    fields: Vec<Field>,
}

impl Admin {
    pub fn new(settings: Settings, services: HashMap<String, Arc<dyn TokenKeys>>) -> Self {
        Self { settings, services }
    }

    /// Every subscriber's secret is compared, so that the time tells nothing of whose it is.
    fn subscriber(&self, headers: &HeaderMap) -> Result<usize, Refusal> {
        let given = bearer(headers).unwrap_or_default();
        let mut found = None;
        for (index, subscriber) in self.settings.subscribers.iter().enumerate() {
            if subscriber.secret.is(given) {
                found = Some(index);
            }
        }
        found.ok_or_else(|| {
            let mut refusal = Refusal::new(&ACCESS_DENIED)
                .message("A subscriber's secret is asked for, as a bearer token.")
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            refusal.status = Some(401);
            refusal
        })
    }

    fn open(
        &self,
        exchange: &Exchange,
        subscriber: &Subscriber,
        wanted: Wanted,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let service = service(subscriber, wanted.service)?;
        let opens = opens(subscriber, wanted.fields)?;
        let keys = self
            .services
            .get(&service)
            .ok_or_else(|| Refusal::new(&INTERNAL))?;
        let reading = Reading {
            keys: keys.clone(),
            encoding: wanted.kind.encoding(),
            language: self.settings.language,
        };
        let text = Text::new(wanted.kind, opens);
        let audit = Audit::begin(exchange.request_id, subscriber.name.clone(), service);
        let audited = Audited::new(text, self.settings.max_text, audit);
        let body = ScanBody::guided(Sealed::brought(body), reading, audited, |_| {});
        let mut response = Response::new(Released::scanned(body));
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(match wanted.kind {
                Kind::Plain => "text/plain; charset=utf-8",
                Kind::Html => "text/html; charset=utf-8",
                Kind::Json => "application/json",
            }),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Ok(response)
    }

    fn wanted(&self, head: &request::Parts) -> Result<Wanted, Refusal> {
        if head.headers.contains_key(CONTENT_ENCODING) {
            return Err(Refusal::new(&ENCODING_UNKNOWN).message("Texts come uncompressed."));
        }
        let length = head.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.settings.max_text) {
            return Err(audited::too_large(self.settings.max_text));
        }
        let mut wanted = Wanted {
            kind: kind(&head.headers)?,
            service: None,
            fields: Vec::new(),
        };
        for pair in head.uri.query().unwrap_or_default().split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value).decode_utf8();
            match (key, value) {
                ("", _) if pair.is_empty() => {}
                ("service", Ok(name)) if wanted.service.is_none() => {
                    wanted.service = Some(name.into_owned());
                }
                ("field", Ok(name)) => wanted.fields.push(Field::named(&name)),
                _ => {
                    return Err(Refusal::new(&PROTOCOL).message(
                        "The query says `service` once, `field` for each field, and nothing else.",
                    ));
                }
            }
        }
        Ok(wanted)
    }
}

#[async_trait]
impl Adapter for Admin {
    fn classify(&self, head: &request::Parts) -> Result<Operation, Refusal> {
        let (name, asked) = match (&head.method, head.uri.path()) {
            (&Method::POST, "/open") => ("Open", Asked::Open(self.wanted(head)?)),
            (&Method::GET, "/health") => ("Health", Asked::Health),
            (_, "/open") => return Err(method("POST")),
            (_, "/health") => return Err(method("GET")),
            _ => {
                let mut unknown = Refusal::new(&OPERATION_UNKNOWN);
                unknown.status = Some(404);
                return Err(unknown);
            }
        };
        Ok(Operation {
            name: name.into(),
            class: Class::Transform,
            switches: false,
            detail: Box::new(asked),
        })
    }

    /// Whether the gateway is up anybody may know who gets as far as the listener.
    fn verify(
        &self,
        operation: &Operation,
        head: &request::Parts,
        _now: SystemTime,
    ) -> Result<Subject, Refusal> {
        let (principal, proof) = match operation.detail.downcast_ref() {
            Some(Asked::Health) => ("-".into(), None),
            _ => {
                let index = self.subscriber(&head.headers)?;
                let name = &self.settings.subscribers[index].name;
                (name.clone(), Some(index))
            }
        };
        Ok(Subject {
            principal,
            proof: Box::new(proof),
        })
    }

    async fn perform(
        &self,
        exchange: &Exchange,
        verdict: Verdict,
        operation: Operation,
        subject: Subject,
        _head: request::Parts,
        mut body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        match verdict {
            Verdict::Protect(_) => {}
            Verdict::Refuse(why) => return Err(Refusal::new(&OPERATION_DENIED).message(why)),
            Verdict::Relay(_) => return Err(Refusal::new(&INTERNAL)),
        }
        let asked = operation.detail.downcast::<Asked>();
        let asked = asked.map_err(|_| Refusal::new(&INTERNAL))?;
        let proven = subject.proof.downcast::<Option<usize>>().ok();
        let subscriber = proven.and_then(|index| self.settings.subscribers.get((*index)?));
        match (*asked, subscriber) {
            (Asked::Health, _) => {
                if body.next().await?.is_some() {
                    return Err(Refusal::new(&PROTOCOL).message("This request has no body."));
                }
                Ok(healthy())
            }
            (Asked::Open(wanted), Some(subscriber)) => {
                self.open(exchange, subscriber, wanted, body)
            }
            (Asked::Open(_), None) => Err(Refusal::new(&INTERNAL)),
        }
    }

    fn refuse(&self, refusal: &Refusal, request: &RefusedRequest<'_>) -> Response<Bytes> {
        let mut response = problem(refusal, request);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// While the gateway drains `proxy` has answered already.
fn healthy() -> Response<Released> {
    let mut response = Response::new(Released::document("{\"status\":\"up\"}"));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn method(allowed: &'static str) -> Refusal {
    Refusal::new(&PROTOCOL)
        .message("This method is not served here.")
        .protocol("MethodNotAllowed", 405)
        .header(ALLOW, HeaderValue::from_static(allowed))
}

/// The one bearer token of the request.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let (scheme, token) = field.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
}

/// # Errors
/// The subscriber may not have texts of that service opened, whether there is one or not; or it must say which.
fn service(subscriber: &Subscriber, asked: Option<String>) -> Result<String, Refusal> {
    match (asked, subscriber.services.as_slice()) {
        (Some(asked), allowed) if allowed.contains(&asked) => Ok(asked),
        (Some(_), _) => Err(Refusal::new(&ACCESS_DENIED)
            .message("This subscriber has no texts of that service opened.")),
        (None, [only]) => Ok(only.clone()),
        (None, _) => {
            Err(Refusal::new(&PROTOCOL)
                .message("Whose texts they are must be said: `?service=NAME`."))
        }
    }
}

/// # Errors
/// A field that may not open for the subscriber.
fn opens(subscriber: &Subscriber, asked: Vec<Field>) -> Result<Opens, Refusal> {
    match (&subscriber.fields, asked.is_empty()) {
        (None, true) => Ok(Opens::Anything),
        (None, false) => Ok(Opens::Of(asked.into())),
        (Some(allowed), true) => Ok(Opens::Of(allowed.as_slice().into())),
        (Some(allowed), false) if asked.iter().all(|field| allowed.contains(field)) => {
            Ok(Opens::Of(asked.into()))
        }
        (Some(_), false) => Err(Refusal::new(&ACCESS_DENIED)
            .message("This subscriber does not have that field opened.")),
    }
}

fn kind(headers: &HeaderMap) -> Result<Kind, Refusal> {
    let field = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let mut parts = field.unwrap_or_default().split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let utf8 = |parameter: &str| {
        let charset = parameter.split_once('=').is_some_and(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        });
        charset || parameter.is_empty()
    };
    let kind = match media.as_str() {
        "text/plain" => Some(Kind::Plain),
        "text/html" => Some(Kind::Html),
        "application/json" | "application/x-ndjson" => Some(Kind::Json),
        _ => None,
    };
    kind.filter(|_| parts.all(utf8)).ok_or_else(|| {
        Refusal::new(&ENCODING_UNKNOWN)
            .message("A text is text/plain, text/html or application/json, in UTF-8.")
    })
}
