//! What a client sends, and what may go to the provider.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};

use super::assembled::{Assembled, Pieces};
use super::released::Fronted;
use super::{
    Chunks, Fault, FaultSlot, FragmentBody, OpenBody, Portion, SealBody, Sealed, SealedRest,
    SealedTail,
};
use crate::policy::{DocumentPermit, RelayPermit};
use crate::seal::SealedBytes;

/// The client's body: plaintext. It has no `Debug` and is no upstream body.
///
/// ```compile_fail,E0277
/// fn upstream_body<B: http_body::Body>(_: B) {}
/// fn leak(plain: sceau::body::Plain) {
///     upstream_body(plain);
/// }
/// ```
pub struct Plain {
    chunks: Chunks,
    faults: FaultSlot,
}

impl Plain {
    pub fn new(chunks: Chunks) -> Self {
        Self {
            chunks,
            faults: FaultSlot::default(),
        }
    }

    pub fn empty() -> Self {
        Self::new(Box::pin(Empty::new().map_err(|never| match never {})))
    }

    /// Plaintext that is in memory already.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::new(Box::pin(
            Full::new(bytes.into()).map_err(|never| match never {}),
        ))
    }

    /// Plaintext that the gateway opened itself, to be sealed anew (a copied part).
    pub fn opened(body: OpenBody) -> Self {
        Self::new(Box::pin(body))
    }

    /// What lies unsealed at the provider, to be sealed there. No client is given it this way: there is no way from here
    /// to a [`super::Released`] body.
    pub fn unsealed(body: Sealed) -> Self {
        Self::new(body.into_chunks())
    }

    /// Whether there is no body at all.
    pub fn is_end_stream(&self) -> bool {
        self.chunks.is_end_stream()
    }

    /// The same with these bytes before it.
    #[must_use]
    pub fn after(self, front: impl Into<Bytes>) -> Self {
        self.through(|rest, _| Box::pin(Fronted::new(front.into(), rest)))
    }

    /// Where the refusal is found that broke this body.
    pub fn faults(&self) -> FaultSlot {
        self.faults.clone()
    }

    /// Puts a stage in between that keeps the bytes plain: a decoder of a transfer encoding, a digest check.
    #[must_use]
    pub fn through(self, stage: impl FnOnce(Chunks, FaultSlot) -> Chunks) -> Self {
        Self {
            chunks: stage(self.chunks, self.faults.clone()),
            faults: self.faults,
        }
    }

    /// The next piece; `None` at the end. For what stands before a payload (a form's fields).
    ///
    /// # Errors
    /// What broke the stream.
    pub async fn next(&mut self) -> Result<Option<Bytes>, crate::error::Refusal> {
        next(&mut self.chunks, &self.faults).await
    }

    /// The whole body in memory; for documents that the gateway reads itself (a list of parts).
    ///
    /// # Errors
    /// `TOO_LARGE` beyond `limit` bytes, or what broke the stream.
    pub async fn collect(mut self, limit: usize) -> Result<Vec<u8>, crate::error::Refusal> {
        collect(&mut self.chunks, limit, &self.faults).await
    }

    /// The next bytes; for adapters that read a body as it comes.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            match std::task::ready!(self.chunks.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
                None => return Poll::Ready(None),
            }
        }
    }

    pub(super) fn into_chunks(self) -> Chunks {
        self.chunks
    }
}

pub(super) async fn collect(
    chunks: &mut Chunks,
    limit: usize,
    faults: &FaultSlot,
) -> Result<Vec<u8>, crate::error::Refusal> {
    use crate::error::{Refusal, TOO_LARGE};
    let mut whole = Vec::new();
    while let Some(data) = next(chunks, faults).await? {
        if whole.len() + data.len() > limit {
            return Err(Refusal::new(&TOO_LARGE));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

pub(super) async fn next(
    chunks: &mut Chunks,
    faults: &FaultSlot,
) -> Result<Option<Bytes>, crate::error::Refusal> {
    while let Some(frame) = chunks.frame().await {
        let frame = frame.map_err(|fault| {
            faults
                .take()
                .unwrap_or_else(|| crate::error::Refusal::new(fault.code).message(fault.detail))
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The bytes behind a [`Cleared`] body. Made by its constructors alone.
pub struct Outbound(Chunks);

/// A body that may go to the provider: sealed, or released by a permit that `policy` alone can make.
///
/// Plaintext does not convert into it:
///
/// ```compile_fail,E0308
/// use sceau::body::{Cleared, Outbound, Plain};
/// fn leak(plain: Plain) -> Cleared<Outbound> {
///     Cleared::sealed(plain)
/// }
/// ```
///
/// nor do bytes without a permit:
///
/// ```compile_fail,E0423
/// use sceau::body::Cleared;
/// fn leak(bytes: bytes::Bytes) -> Cleared<bytes::Bytes> {
///     Cleared(bytes)
/// }
/// ```
///
/// With a permit it compiles, which shows that the two above fail for the reason they name:
///
/// ```
/// use sceau::body::{Cleared, Outbound, Plain};
/// use sceau::policy::RelayPermit;
/// fn relay(plain: Plain, permit: &RelayPermit) -> Cleared<Outbound> {
///     Cleared::relayed(plain, permit)
/// }
/// ```
pub struct Cleared<B>(B);

impl Cleared<Outbound> {
    /// Ciphertext as it streams.
    pub fn sealed(body: SealBody) -> Self {
        Self(Outbound(Box::pin(body)))
    }

    /// Ciphertext that was sealed before: a spooled part, a trailer.
    pub fn sealed_bytes(bytes: SealedBytes) -> Self {
        Self::full(bytes.into_bytes())
    }

    /// The end of a multi-run object.
    pub fn sealed_tail(tail: SealedTail) -> Self {
        Self(Outbound(Box::pin(tail)))
    }

    /// A fragment of an upload that the provider counts.
    pub fn fragment(body: FragmentBody) -> Self {
        Self(Outbound(Box::pin(body)))
    }

    /// What an earlier fragment left over.
    pub fn sealed_rest(rest: SealedRest) -> Self {
        Self(Outbound(Box::pin(rest)))
    }

    /// A part of a sealed body that goes up in several requests.
    pub fn portion(portion: Portion) -> Self {
        Self(Outbound(Box::pin(portion)))
    }

    /// The client's own body, which the policy lets pass.
    pub fn relayed(body: Plain, _permit: &RelayPermit) -> Self {
        Self(Outbound(body.into_chunks()))
    }

    /// A document that the gateway wrote.
    pub fn document(bytes: impl Into<Bytes>, _permit: &DocumentPermit) -> Self {
        Self::full(bytes.into())
    }

    /// Documents that the gateway wrote and ciphertexts between them.
    pub fn assembled(pieces: impl Pieces + 'static, _permit: &DocumentPermit) -> Self {
        Self(Outbound(Box::pin(Assembled::new(pieces))))
    }

    pub fn empty() -> Self {
        Self(Outbound(Box::pin(
            Empty::new().map_err(|never| match never {}),
        )))
    }

    /// The next piece of a body that is to be spooled before it goes up; `None` at the end.
    ///
    /// # Errors
    /// What broke the stream.
    pub async fn next_sealed(&mut self) -> Result<Option<SealedBytes>, crate::error::Refusal> {
        let piece = next(&mut self.0.0, &FaultSlot::default()).await?;
        Ok(piece.map(SealedBytes::from_seal))
    }

    /// For a stage of this layer that keeps the bytes and adds a framing.
    pub(super) fn framed(chunks: Chunks) -> Self {
        Self(Outbound(chunks))
    }

    pub(super) fn into_chunks(self) -> Chunks {
        self.0.0
    }

    fn full(bytes: Bytes) -> Self {
        Self(Outbound(Box::pin(
            Full::new(bytes).map_err(|never| match never {}),
        )))
    }
}

impl Body for Cleared<Outbound> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.0.0.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.0.size_hint()
    }
}

impl<B> fmt::Debug for Cleared<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cleared(..)")
    }
}
