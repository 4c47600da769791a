//! The provider's answer, as the client gets it.

use std::sync::Arc;

use http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::Http;
use super::disposition;
use super::events::Events;
use super::guided::Document;
use super::head::Names;
use super::leading::LeadsAway;
use super::outgoing::utf8;
use super::settings::{Answer, Rule};
use crate::body::{Released, ScanBody, Sealed};
use crate::error::{Refusal, TOO_LARGE, UPSTREAM_INVALID};
use crate::policy::RelayPermit;
use crate::seal::scan::{Encoding, Found, Opens, Output, Reading, Scanner};
use crate::seal::token::OneContext;

/// What a text is, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Json,
    Html,
    Plain,
    Events,
}

impl Http {
    /// An answer whose body is text, or nothing.
    pub(super) async fn settle(
        &self,
        rule: &Rule,
        names: &Names<'_>,
        method: &Method,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        let (head, body) = response.into_parts();
        let mut headers = self.inward(names, &head.headers)?;
        let error = head.status.is_client_error() || head.status.is_server_error();
        let bodiless = *method == Method::HEAD
            || matches!(
                head.status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            )
            || head.headers.get(CONTENT_LENGTH).is_some_and(|n| n == "0");
        let released = if bodiless {
            Released::empty()
        } else if matches!(rule.answer, Answer::Nothing) && !error {
            headers.remove(CONTENT_TYPE);
            Released::empty()
        } else {
            self.text(rule, error, names, &headers, body).await?
        };
        let mut answer = Response::new(released);
        *answer.status_mut() = head.status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// An answer that passes as it is.
    pub(super) fn relay(
        &self,
        names: &Names<'_>,
        response: Response<Sealed>,
        permit: &RelayPermit,
    ) -> Response<Released> {
        let (head, body) = response.into_parts();
        let mut headers = names.inward(&head.headers);
        for name in [CONTENT_LENGTH, CONTENT_ENCODING] {
            if let Some(value) = head.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let mut answer = Response::new(Released::relayed(body, permit));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = headers;
        answer
    }

    /// A body that is text: tokens open where the rule says in JSON and in events, everywhere in other types that it
    /// names, and nowhere in an error of a type that it does not.
    async fn text(
        &self,
        rule: &Rule,
        error: bool,
        names: &Names<'_>,
        headers: &HeaderMap,
        body: Sealed,
    ) -> Result<Released, Refusal> {
        let (text, named) = allowed(rule, error, headers)?;
        let (service, name) = (self.settings.name.clone(), rule.name.clone());
        let count = move |found| report(&service, &name, found);
        let reading = self.reading(match text {
            Text::Json | Text::Events => Encoding::Json,
            Text::Html => Encoding::Html,
            Text::Plain => Encoding::Text,
        });
        let opening = rule.opening.clone();
        Ok(Released::scanned(match text {
            Text::Json => {
                let scanned = ScanBody::guided(body, reading, Document::new(opening), count);
                let Some(addresses) = &rule.addresses else {
                    return Ok(Released::scanned(scanned));
                };
                // judged as the client would read it: with its tokens opened, and whole
                let document = scanned.collect(self.settings.max_document).await;
                let document = names.addressed(document.map_err(too_long)?, addresses)?;
                return Ok(Released::document(document));
            }
            Text::Events => ScanBody::guided(body, reading, Events::new(opening), count),
            Text::Html | Text::Plain => {
                let opens = if named {
                    Opens::Anything
                } else {
                    Opens::Nothing
                };
                ScanBody::new(body, reading, opens, count)
            }
        }))
    }

    /// What opens in a field of the head. A client sends most fields back by itself (cookies, entity tags, a redirect's
    /// URL), and so would tell the provider what was sealed; and a file's name, where it sends that in clear.
    fn opens(&self, name: &HeaderName) -> Opens {
        let rules = || self.settings.rules.iter();
        if *name == CONTENT_DISPOSITION {
            let mut rules = rules();
            return match rules.any(|rule| rule.request.keeps_names()) {
                true => Opens::Nothing,
                false => Opens::Anything,
            };
        }
        let sealed = rules().flat_map(|rule| &rule.sealed_headers);
        let fields: Vec<_> = sealed
            .filter(|sealed| sealed.place == *name)
            .map(|sealed| sealed.sealing.field)
            .collect();
        match fields.is_empty() {
            true => Opens::Nothing,
            false => Opens::Of(fields.into()),
        }
    }

    /// The answer's head; tokens are opened in the fields that [`Self::opens`] names.
    ///
    /// # Errors
    /// The body is compressed, so nothing can be found in it; or the client is sent to another host.
    pub(super) fn inward(&self, names: &Names<'_>, from: &HeaderMap) -> Result<HeaderMap, Refusal> {
        let coded = from.get(CONTENT_ENCODING);
        if coded.is_some_and(|coding| coding != "identity") {
            return Err(invalid("The provider compresses its answers unasked."));
        }
        let mut headers = names.inward(from);
        let held = names.hold(&mut headers);
        held.map_err(|LeadsAway| invalid("The provider sends the client to another host."))?;
        for (name, value) in &mut headers {
            let opens = self.opens(name);
            let sealed = memchr::memmem::find(value.as_bytes(), b"sc1.").is_some();
            if opens == Opens::Nothing || !sealed {
                continue;
            }
            let open = |text: &str| {
                let opened = self.scan(Encoding::Text, opens.clone(), text.as_bytes().to_vec());
                String::from_utf8_lossy(&opened).into_owned()
            };
            let text = String::from_utf8_lossy(value.as_bytes());
            let opened = match *name == CONTENT_DISPOSITION {
                true => {
                    disposition::opened(&text, |value| value.contains("sc1.").then(|| open(value)))
                }
                false => open(&text),
            };
            // a value that can't stand in a field is left out: what the field is for goes on without it
            *value =
                HeaderValue::from_bytes(opened.as_bytes()).unwrap_or(HeaderValue::from_static(""));
        }
        Ok(headers)
    }

    /// A text that is in memory already, with its tokens opened.
    fn scan(&self, encoding: Encoding, opens: Opens, text: Vec<u8>) -> Vec<u8> {
        let (mut scanner, mut out) = (
            Scanner::new(self.reading(encoding), opens),
            Output::default(),
        );
        let mut opened = Vec::with_capacity(text.len());
        scanner.push(text.into(), &mut out);
        scanner.finish(&mut out);
        while let Some(piece) = out.pop() {
            opened.extend_from_slice(&piece);
        }
        report(&self.settings.name, "-", scanner.found());
        opened
    }

    pub(super) fn reading(&self, encoding: Encoding) -> Reading {
        Reading {
            keys: Arc::new(OneContext {
                lookup: self.opener.lookup.clone(),
                context: self.context.clone(),
            }),
            encoding,
            language: self.settings.language,
        }
    }
}

pub(super) fn report(service: &str, rule: &str, found: Found) {
    let Found {
        opened,
        damaged,
        misplaced,
        kept,
    } = found;
    if damaged > 0 || misplaced > 0 {
        tracing::warn!(
            service,
            rule,
            opened,
            damaged,
            misplaced,
            "tokens of an answer do not open"
        );
    }
    if kept > 0 {
        tracing::debug!(
            service,
            rule,
            opened,
            kept,
            "tokens of an answer stand where none may open"
        );
    }
}

/// The answer's text, and whether the rule names it. Errors may be of any but events.
fn allowed(rule: &Rule, error: bool, headers: &HeaderMap) -> Result<(Text, bool), Refusal> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.ok_or_else(|| invalid("The provider's answer has a body and no type."))?;
    if !utf8(kind) {
        return Err(invalid("The provider's answer is not in UTF-8."));
    }
    let text = text_of(kind)
        .ok_or_else(|| invalid("The provider's answer is of a type that is not read."))?;
    let named = match &rule.answer {
        Answer::Text {
            json,
            html,
            text: plain,
            events,
        } => match text {
            Text::Json => *json,
            Text::Html => *html,
            Text::Plain => *plain,
            Text::Events => *events,
        },
        Answer::Object | Answer::Nothing | Answer::Relayed | Answer::Socket(_) => false,
    };
    if named || error && text != Text::Events {
        Ok((text, named))
    } else {
        Err(invalid(format!(
            "The rule `{}` does not name this type of answer.",
            rule.name
        )))
    }
}

fn text_of(kind: &str) -> Option<Text> {
    let media = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match media.as_str() {
        "application/json" => Some(Text::Json),
        "text/html" | "application/xhtml+xml" | "application/xml" | "text/xml" => Some(Text::Html),
        "text/event-stream" => Some(Text::Events),
        "text/plain" | "text/csv" | "text/markdown" => Some(Text::Plain),
        _ if media.ends_with("+json") => Some(Text::Json),
        _ if media.ends_with("+xml") => Some(Text::Html),
        _ => None,
    }
}

/// A document that is to be read whole is the provider's, and so is its length.
fn too_long(refusal: Refusal) -> Refusal {
    match refusal.code.name == TOO_LARGE.name {
        true => invalid(
            "The provider's answer is longer than `max_document`, and addresses in it are to be judged.",
        ),
        false => refusal,
    }
}

pub(super) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(&UPSTREAM_INVALID).message(message)
}
