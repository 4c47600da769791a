//! WebSockets: what is offered to the provider, and what becomes of each message.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue, Response};

use super::answer::{invalid, report};
use super::guided::Document;
use super::head::Names;
use super::outgoing::shown;
use super::settings::{Condition, Opening as JsonOpening, Shape, Socket};
use super::values::Sealer;
use super::written_back;
use super::{Call, Http};
use crate::adapter::Exchange;
use crate::adapter::json::{self, Value, Wrong};
use crate::body::{
    self, Cleared, ClearedMessage, Messages, PlainMessage, Released, ReleasedMessage,
    SealedMessage, Switched,
};
use crate::error::{INTERNAL, RULE_VIOLATED, Refusal};
use crate::policy::DocumentPermit;
use crate::seal::scan::Encoding;

/// Whether a client asks for a WebSocket, among others maybe.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    let mut protocols = headers
        .get_all(UPGRADE)
        .iter()
        .flat_map(|list| list.as_bytes().split(|b| *b == b','));
    protocols.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// What a conversation is opened with.
pub(super) struct Opening {
    pub exchange: Exchange,
    pub rule: usize,
    pub permit: DocumentPermit,
}

impl Http {
    /// Opens a WebSocket to the provider; what it answers otherwise is an error, or invalid.
    pub(super) async fn converse(
        &self,
        call: &Call<'_>,
        socket: &Socket,
        names: &Names<'_>,
        mut headers: HeaderMap,
        opening: Opening,
    ) -> Result<Response<Released>, Refusal> {
        if let Some(protocols) = protocols(socket, &call.head.headers)? {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols);
        }
        let max_message = self.settings.max_document;
        let request = call.request(headers, Cleared::empty());
        let (head, provider) = match self.upstream.open(request, max_message).await? {
            body::Opening::Switched(response) => response.into_parts(),
            body::Opening::Answered(response) if response.status().as_u16() < 300 => {
                return Err(invalid("The provider opens no WebSocket here."));
            }
            body::Opening::Answered(response) => {
                let rule = self.settings.rules.get(opening.rule);
                let rule = rule.ok_or_else(|| Refusal::new(&INTERNAL))?;
                return self.settle(rule, names, &call.head.method, response).await;
            }
        };
        let mut inward = self.inward(names, &head.headers)?;
        if let Some(protocol) = head.headers.get(SEC_WEBSOCKET_PROTOCOL) {
            inward.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
        let mut answer = Response::new(Released::switched(Switched {
            provider: *provider,
            messages: Box::new(Conversation {
                http: self.clone(),
                opening,
            }),
            max_message,
        }));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = inward;
        Ok(answer)
    }
}

/// The subprotocols that the client offers, each of which the rule must name: a client may put anything there.
fn protocols(socket: &Socket, from: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    let mut offered = Vec::new();
    for list in from.get_all(SEC_WEBSOCKET_PROTOCOL) {
        for name in list.as_bytes().split(|b| *b == b',') {
            let name = String::from_utf8_lossy(name.trim_ascii());
            if !socket.protocols.iter().any(|known| *known == name) {
                return Err(Refusal::new(&RULE_VIOLATED).message(format!(
                    "The service's rule does not name this subprotocol: {}.",
                    shown(&name)
                )));
            }
            offered.push(name.into_owned());
        }
    }
    if offered.is_empty() {
        return Ok(None);
    }
    let list = HeaderValue::try_from(offered.join(", "));
    list.map(Some)
        .map_err(|error| Refusal::new(&INTERNAL).cause(error))
}

/// The messages of one WebSocket.
struct Conversation {
    http: Http,
    opening: Opening,
}

impl Conversation {
    /// The rule's name, what its clients may send, and what opens for them.
    fn rule(&self) -> Result<(&str, &Socket, &Arc<JsonOpening>), Refusal> {
        let rule = self.http.settings.rules.get(self.opening.rule);
        rule.and_then(|rule| Some((rule.name.as_str(), rule.socket()?, &rule.opening)))
            .ok_or_else(|| Refusal::new(&INTERNAL))
    }
}

impl Messages for Conversation {
    fn outward(
        &mut self,
        message: PlainMessage,
        now: SystemTime,
    ) -> Result<ClearedMessage, Refusal> {
        let (rule, socket, _) = self.rule()?;
        let Some(text) = message.as_text() else {
            return Err(violated(rule, "takes no binary message of a client"));
        };
        let shape = shape(&socket.shapes, text)?
            .ok_or_else(|| violated(rule, "does not name a message like this one"))?;
        let sealer = Sealer::new(
            &self.http,
            Exchange {
                now,
                ..self.opening.exchange
            },
        );
        let sealed = written_back::seal(text.as_bytes(), &shape.fields, &shape.paths, &sealer)?;
        let sealed =
            String::from_utf8(sealed).map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        Ok(ClearedMessage::document(sealed, &self.opening.permit))
    }

    fn inward(&mut self, message: SealedMessage) -> Result<ReleasedMessage, Refusal> {
        let (rule, socket, opening) = self.rule()?;
        if message.is_binary() && !socket.binary {
            return Err(invalid(format!(
                "The rule `{rule}` takes no binary message of the provider."
            )));
        }
        let reading = self.http.reading(Encoding::Json);
        let (released, found) = if message.begins_json() {
            ReleasedMessage::guided(message, reading, Document::new(opening.clone()))
        } else {
            ReleasedMessage::scanned(message, reading, opening.whole())
        };
        report(&self.http.settings.name, rule, found);
        Ok(released)
    }
}

fn violated(rule: &str, what: &str) -> Refusal {
    Refusal::new(&RULE_VIOLATED).message(format!("The rule `{rule}` {what}."))
}

/// The first shape whose condition holds: what it does not take is not tried on those behind it, which may name in clear
/// what it seals.
fn shape<'s>(shapes: &'s [Shape], text: &str) -> Result<Option<&'s Shape>, Refusal> {
    for shape in shapes {
        let holds = match &shape.condition {
            None => true,
            Some(condition) => holds(condition, text)?,
        };
        if holds {
            return Ok(Some(shape));
        }
    }
    Ok(None)
}

/// # Errors
/// The message is no sound JSON.
fn holds(condition: &Condition, text: &str) -> Result<bool, Wrong> {
    let mut said = Vec::new();
    json::rewrite::<Wrong>(text.as_bytes(), &condition.place, |picked| {
        said.push(match &picked.value {
            Value::Text(text) => condition.values.iter().any(|value| value == text),
            _ => false,
        });
        Ok(None)
    })?;
    Ok(!said.is_empty() && said.iter().all(|said| *said))
}
