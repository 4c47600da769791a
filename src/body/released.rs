//! What the provider answers, and what a client may be given.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};

use super::cleared::{collect, next};
use super::rewrite::{Rewrite, RewriteBody};
use super::{Chunks, Fault, FaultSlot, OpenBody, Plain, ScanBody, Switched};
use crate::error::Refusal;
use crate::policy::RelayPermit;

/// The provider's answer: not to be trusted, not a body for the client.
///
/// ```compile_fail,E0277
/// fn client_body<B: http_body::Body>(_: B) {}
/// fn release(sealed: sceau::body::Sealed) {
///     client_body(sealed);
/// }
/// ```
pub struct Sealed(Chunks);

impl Sealed {
    pub fn new(chunks: Chunks) -> Self {
        Self(chunks)
    }

    /// Sealed text that a client inside has, to be opened for it. It is the client's own: there is no way from here to a
    /// [`super::Cleared`] body but by sealing.
    pub fn brought(body: Plain) -> Self {
        Self(body.into_chunks())
    }

    /// The whole answer in memory; for documents that the gateway reads itself (a listing, an error, a trailer).
    ///
    /// # Errors
    /// `TOO_LARGE` beyond `limit` bytes, or what broke the stream.
    pub async fn collect(mut self, limit: usize) -> Result<Vec<u8>, Refusal> {
        collect(&mut self.0, limit, &FaultSlot::default()).await
    }

    /// The next piece of a document that the gateway reads itself; `None` at its end.
    ///
    /// # Errors
    /// What broke the stream.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        next(&mut self.0, &FaultSlot::default()).await
    }

    /// The first `n` bytes, fewer where the answer is shorter, and the answer with them still in front.
    ///
    /// # Errors
    /// What broke the stream.
    pub async fn peek(mut self, n: usize) -> Result<(Bytes, Self), Fault> {
        let mut front = BytesMut::new();
        while front.len() < n {
            let Some(frame) = self.0.frame().await else {
                break;
            };
            if let Ok(data) = frame?.into_data() {
                front.extend_from_slice(&data);
            }
        }
        let front = front.freeze();
        let first = front.slice(..front.len().min(n));
        Ok((first, Self(Box::pin(Fronted::new(front, self.0)))))
    }

    /// The answer from its byte `n` on; for providers that give the whole where a range was asked for.
    ///
    /// # Errors
    /// What broke the stream.
    pub async fn skip(mut self, n: u64) -> Result<Self, Fault> {
        let mut left = n;
        while left > 0 {
            let Some(frame) = self.0.frame().await else {
                break;
            };
            let mut data = frame?.into_data().unwrap_or_default();
            let passed = left.min(data.len() as u64);
            left -= passed;
            let front = data.split_off(passed as usize);
            if !front.is_empty() {
                return Ok(Self(Box::pin(Fronted::new(front, self.0))));
            }
        }
        Ok(self)
    }

    pub(super) fn into_chunks(self) -> Chunks {
        self.0
    }
}

/// Bytes that were read already, and the rest.
pub(super) struct Fronted {
    front: Option<Bytes>,
    rest: Chunks,
}

impl Fronted {
    pub fn new(front: Bytes, rest: Chunks) -> Self {
        Self {
            front: Some(front),
            rest,
        }
    }
}

impl Body for Fronted {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.front.take() {
            Some(front) if !front.is_empty() => Poll::Ready(Some(Ok(Frame::data(front)))),
            _ => self.rest.as_mut().poll_frame(cx),
        }
    }
}

/// A body that may go to the client: opened, written by the gateway, or released by a permit.
pub struct Released {
    chunks: Chunks,
    /// What follows on the same connection.
    switched: Option<Box<Switched>>,
}

impl Released {
    fn of(chunks: Chunks) -> Self {
        Self {
            chunks,
            switched: None,
        }
    }

    /// No body: what follows the answer's head is a WebSocket.
    pub fn switched(switched: Switched) -> Self {
        Self {
            switched: Some(Box::new(switched)),
            ..Self::empty()
        }
    }

    /// The WebSocket that follows, once.
    pub fn take_switched(&mut self) -> Option<Box<Switched>> {
        self.switched.take()
    }

    /// Plaintext, each byte authenticated before it is given out; the first ones before the answer's head is.
    ///
    /// # Errors
    /// An object that does not open from its start: there is an answer yet to say so in.
    pub async fn opened(mut body: OpenBody) -> Result<Self, Refusal> {
        body.begin().await?;
        Ok(Self::of(Box::pin(body)))
    }

    /// A text of the provider's whose tokens are opened. What stands around them is the provider's word.
    pub fn scanned(body: ScanBody) -> Self {
        Self::of(Box::pin(body))
    }

    /// A document that the gateway wrote: a listing with its sizes mapped, an error.
    pub fn document(bytes: impl Into<Bytes>) -> Self {
        Self::of(Box::pin(
            Full::new(bytes.into()).map_err(|never| match never {}),
        ))
    }

    /// A document that the gateway writes over time (white space that keeps a long answer alive).
    pub fn written(chunks: Chunks) -> Self {
        Self::of(chunks)
    }

    /// A document of the provider's (a listing), rewritten as it passes.
    pub fn rewritten(body: Sealed, rewriter: impl Rewrite + 'static) -> Self {
        Self::of(Box::pin(RewriteBody::new(body.0, Box::new(rewriter))))
    }

    /// The provider's answer as it is, which the policy lets pass.
    pub fn relayed(body: Sealed, _permit: &RelayPermit) -> Self {
        Self::of(body.0)
    }

    pub fn empty() -> Self {
        Self::of(Box::pin(Empty::new().map_err(|never| match never {})))
    }
}

impl Body for Released {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.chunks.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.chunks.size_hint()
    }
}
