//! The provider's answer, as the client gets it.

use http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::Http;
use super::head::Names;
use super::outgoing::utf8;
use super::settings::{Answer, Rule};
use crate::adapter::json::{self, Paths, Value, Wrong};
use crate::body::{Released, ScanBody, Sealed};
use crate::error::{Refusal, UPSTREAM_INVALID};
use crate::policy::RelayPermit;
use crate::seal::layout;
use crate::seal::scan::{Encoding, Found, Output, Reading, Scanner};

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
        if names.leads_away(&headers) {
            return Err(invalid("The provider sends the client to another host."));
        }
        let error = head.status.is_client_error() || head.status.is_server_error();
        let bodiless = *method == Method::HEAD
            || matches!(
                head.status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            )
            || head.headers.get(CONTENT_LENGTH).is_some_and(|n| n == "0");
        let sizes = match &rule.answer {
            Answer::Text { sizes, .. } => sizes.as_ref(),
            _ => None,
        };
        let released = if bodiless {
            Released::empty()
        } else if matches!(rule.answer, Answer::Nothing) && !error {
            headers.remove(CONTENT_TYPE);
            Released::empty()
        } else {
            let text = allowed(rule, error, &headers)?;
            match sizes.filter(|_| text == Text::Json && !error) {
                Some(paths) => self.sized(paths, body).await?,
                None => {
                    Released::scanned(ScanBody::new(body, self.reading(text), self.count(rule)))
                }
            }
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

    /// Where tokens are opened: a client sends other fields back by itself (cookies, entity tags, a redirect's URL), and
    /// so would tell the provider what was sealed.
    fn opens(&self, name: &HeaderName) -> bool {
        let rules = self.settings.rules.iter();
        let mut sealed = rules.flat_map(|rule| &rule.sealed_headers);
        *name == CONTENT_DISPOSITION || sealed.any(|sealed| sealed.place == *name)
    }

    /// The answer's head; tokens are opened in the fields that [`Self::opens`] names.
    ///
    /// # Errors
    /// The body is compressed, so nothing can be found in it.
    pub(super) fn inward(&self, names: &Names<'_>, from: &HeaderMap) -> Result<HeaderMap, Refusal> {
        let coded = from.get(CONTENT_ENCODING);
        if coded.is_some_and(|coding| coding != "identity") {
            return Err(invalid("The provider compresses its answers unasked."));
        }
        let mut headers = names.inward(from);
        for (name, value) in &mut headers {
            if self.opens(name) && memchr::memmem::find(value.as_bytes(), b"sc1.").is_some() {
                // a quotation mark must not end the file's name (RFC 9110, section 5.6.4)
                let encoding = match *name == CONTENT_DISPOSITION {
                    true => Encoding::Json,
                    false => Encoding::Text,
                };
                let opened = self.scan(encoding, value.as_bytes().to_vec());
                // a value that can't stand in a field is left out: what the field is for goes on without it
                *value = HeaderValue::from_bytes(&opened).unwrap_or(HeaderValue::from_static(""));
            }
        }
        Ok(headers)
    }

    /// A text that is in memory already, with its tokens opened.
    fn scan(&self, encoding: Encoding, text: Vec<u8>) -> Vec<u8> {
        let (mut scanner, mut out) = (Scanner::new(self.reading_as(encoding)), Output::default());
        let mut opened = Vec::with_capacity(text.len());
        scanner.push(text.into(), &mut out);
        scanner.finish(&mut out);
        while let Some(piece) = out.pop() {
            opened.extend_from_slice(&piece);
        }
        report(&self.settings.name, "-", scanner.found());
        opened
    }

    /// A JSON document whose sealed lengths become those of the plaintext; a number that is none stays.
    async fn sized(&self, paths: &Paths, body: Sealed) -> Result<Released, Refusal> {
        let document = body.collect(self.settings.max_document).await?;
        let mapped = json::rewrite::<Wrong>(&document, paths, |picked| {
            let Value::Number(digits) = picked.value else {
                return Ok(None);
            };
            let plain = digits.parse().ok().and_then(layout::plain_len);
            Ok(plain.map(|length| length.to_string()))
        });
        let mapped = mapped.map_err(|wrong| invalid(wrong.to_string()))?;
        Ok(Released::document(self.scan(Encoding::Json, mapped)))
    }

    fn reading(&self, text: Text) -> Reading {
        self.reading_as(match text {
            Text::Json | Text::Events => Encoding::Json,
            Text::Html => Encoding::Html,
            Text::Plain => Encoding::Text,
        })
    }

    pub(super) fn reading_as(&self, encoding: Encoding) -> Reading {
        Reading {
            lookup: self.opener.lookup.clone(),
            context: self.context.clone(),
            encoding,
            language: self.settings.language,
        }
    }

    fn count(&self, rule: &Rule) -> impl FnOnce(Found) + Send + 'static {
        let (service, rule) = (self.settings.name.clone(), rule.name.clone());
        move |found| report(&service, &rule, found)
    }
}

pub(super) fn report(service: &str, rule: &str, found: Found) {
    if found.damaged > 0 {
        let Found { opened, damaged } = found;
        tracing::warn!(
            service,
            rule,
            opened,
            damaged,
            "tokens of an answer do not open"
        );
    }
}

/// The answer's text, when it is one that the rule allows. Errors may be of any.
fn allowed(rule: &Rule, error: bool, headers: &HeaderMap) -> Result<Text, Refusal> {
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
            ..
        } => match text {
            Text::Json => *json,
            Text::Html => *html,
            Text::Plain => *plain,
            Text::Events => *events,
        },
        Answer::Object | Answer::Nothing | Answer::Relayed | Answer::Socket(_) => false,
    };
    if named || error && text != Text::Events {
        Ok(text)
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

pub(super) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(&UPSTREAM_INVALID).message(message)
}
