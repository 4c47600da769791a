//! Messages of a WebSocket, of the same four kinds as bodies: no conversion exists that would let a client's message
//! leave as it is.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use tungstenite::{Message, Utf8Bytes};

use super::{Guide, ProviderSocket};
use crate::error::Refusal;
use crate::policy::DocumentPermit;
use crate::seal::scan::{Found, Opens, Output, Reading, Scanner};

/// A whole message, however many frames it came in.
pub(super) enum Payload {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl Payload {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    pub(super) fn into_message(self) -> Message {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

/// A client's message: plaintext. It has no `Debug` and does not go to the provider.
///
/// ```compile_fail,E0308
/// fn leak(socket: &mut sceau::body::ProviderSocket, message: sceau::body::PlainMessage) {
///     let _ = socket.send(message);
/// }
/// ```
///
/// What was cleared does, which shows that the above fails for the reason it names:
///
/// ```
/// fn pass(socket: &mut sceau::body::ProviderSocket, message: sceau::body::ClearedMessage) {
///     let _ = socket.send(message);
/// }
/// ```
pub struct PlainMessage(pub(super) Payload);

impl PlainMessage {
    /// A message that is in memory already.
    pub fn text(text: impl Into<String>) -> Self {
        Self(Payload::Text(Utf8Bytes::from(text.into())))
    }

    /// `None`: it is binary.
    pub fn as_text(&self) -> Option<&str> {
        match &self.0 {
            Payload::Text(text) => Some(text),
            Payload::Binary(_) => None,
        }
    }

    /// In bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A message that may go to the provider.
///
/// ```compile_fail,E0423
/// use sceau::body::ClearedMessage;
/// fn leak(text: String) -> ClearedMessage {
///     ClearedMessage(text)
/// }
/// ```
pub struct ClearedMessage(pub(super) String);

impl ClearedMessage {
    /// A document that the gateway wrote: its values are sealed, or named by a rule.
    pub fn document(text: String, _permit: &DocumentPermit) -> Self {
        Self(text)
    }

    /// What the provider gets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClearedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClearedMessage(..)")
    }
}

/// A provider's message: not to be trusted, not for the client.
pub struct SealedMessage(pub(super) Payload);

impl SealedMessage {
    pub fn is_binary(&self) -> bool {
        matches!(self.0, Payload::Binary(_))
    }

    /// Whether it begins as a JSON document of more than a word does.
    pub fn begins_json(&self) -> bool {
        let bytes = match &self.0 {
            Payload::Text(text) => text.as_bytes(),
            Payload::Binary(bytes) => bytes,
        };
        matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'))
    }

    fn into_bytes(self) -> (Bytes, bool) {
        match self.0 {
            Payload::Text(text) => (Bytes::from(text), false),
            Payload::Binary(bytes) => (bytes, true),
        }
    }
}

/// A message that may go to the client.
pub struct ReleasedMessage(pub(super) Payload);

impl ReleasedMessage {
    /// A message of the provider's whose tokens are opened. What stands around them is the provider's word. Of a token
    /// that another message ends neither half opens.
    pub fn scanned(message: SealedMessage, reading: Reading, opens: Opens) -> (Self, Found) {
        let (bytes, binary) = message.into_bytes();
        let (mut scanner, mut out) = (Scanner::new(reading, opens), Output::default());
        scanner.push(bytes, &mut out);
        scanner.finish(&mut out);
        (Self::of(out, binary), scanner.found())
    }

    /// As [`Self::scanned`], where tokens open where `guide` says; nowhere, if the message is not what it expects.
    pub fn guided(
        message: SealedMessage,
        reading: Reading,
        mut guide: impl Guide,
    ) -> (Self, Found) {
        let (bytes, binary) = message.into_bytes();
        let (mut scanner, mut out) = (
            Scanner::new(reading.clone(), Opens::Nothing),
            Output::default(),
        );
        let followed = guide
            .push(bytes.clone(), &mut scanner, &mut out)
            .and_then(|()| guide.finish(&mut scanner, &mut out));
        if followed.is_err() {
            (scanner, out) = (Scanner::new(reading, Opens::Nothing), Output::default());
            scanner.push(bytes, &mut out);
        }
        scanner.finish(&mut out);
        (Self::of(out, binary), scanner.found())
    }

    fn of(mut out: Output, binary: bool) -> Self {
        let mut opened = out.pop().unwrap_or_default();
        if let Some(second) = out.pop() {
            let mut joined = [opened, second].concat();
            while let Some(piece) = out.pop() {
                joined.extend_from_slice(&piece);
            }
            opened = joined.into();
        }
        // text stays text: a token's characters are replaced by whole characters
        Self(match Utf8Bytes::try_from(opened.clone()) {
            Ok(text) if !binary => Payload::Text(text),
            _ => Payload::Binary(opened),
        })
    }

    /// In bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an adapter makes of the messages of one WebSocket.
pub trait Messages: Send {
    /// A client's message for the provider; `now` is the wall clock.
    ///
    /// # Errors
    /// What no rule names. Nothing of the message is sent and the WebSocket ends.
    fn outward(
        &mut self,
        message: PlainMessage,
        now: SystemTime,
    ) -> Result<ClearedMessage, Refusal>;

    /// A provider's message for the client.
    ///
    /// # Errors
    /// What no rule names; the WebSocket ends.
    fn inward(&mut self, message: SealedMessage) -> Result<ReleasedMessage, Refusal>;
}

/// A provider that has switched protocols, and what becomes of the messages.
pub struct Switched {
    pub provider: ProviderSocket,
    pub messages: Box<dyn Messages>,
    /// Bytes of the longest message of a client.
    pub max_message: usize,
}
