//! A client's body on its way in: its own framing taken off, its digests held against what was declared. The sealed
//! body ends only after this one ended cleanly, so nothing is committed at the provider before all has been verified.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame};

use super::call::Call;
use super::checksum::{Algorithm, Checksums, Digests, Kind, Value};
use super::chunked::{self, ChunkDecoder, Trailers};
use super::core::Core;
use super::error::{INCOMPLETE_BODY, MISSING_CONTENT_LENGTH, S3Error};
use crate::body::{Chunks, Fault, FaultSlot, Plain};
use crate::error::Refusal;
use crate::seal::trailer;

/// A body whose length is known and whose digests will be.
pub(super) struct Intake {
    /// Bytes of plaintext.
    pub length: u64,
    pub body: Plain,
    early: Vec<Value>,
    received: Received,
}

/// What was verified, once the body has ended.
#[derive(Clone)]
pub(super) struct Received {
    digests: Arc<OnceLock<Digests>>,
    /// The `x-amz-checksum-*` that the client declared.
    flexible: Option<Algorithm>,
    /// Whether it declared a Content-MD5.
    md5: bool,
}

impl Core {
    /// # Errors
    /// A request that does not tell its length, or declares what can't be verified.
    pub(super) fn intake(&self, call: &Call, body: Plain) -> Result<Intake, Refusal> {
        let checksums = Checksums::declared(&call.headers, call.verified.payload)?;
        self.intake_against(call, body, checksums)
    }

    /// A Complete's document; its `x-amz-checksum-*` speak of the object.
    ///
    /// # Errors
    /// Those of [`Core::intake`].
    pub(super) fn intake_of_list(&self, call: &Call, body: Plain) -> Result<Intake, Refusal> {
        let mut headers = call.headers.clone();
        headers.remove("x-amz-sdk-checksum-algorithm");
        for algorithm in Algorithm::FLEXIBLE {
            headers.remove(algorithm.header());
        }
        let checksums = Checksums::declared(&headers, call.verified.payload)?;
        self.intake_against(call, body, checksums)
    }

    fn intake_against(
        &self,
        call: &Call,
        body: Plain,
        checksums: Checksums,
    ) -> Result<Intake, Refusal> {
        let form = call.verified.payload;
        let length = match chunked::content_length(&call.headers, form)? {
            Some(length) => length,
            None if body.is_end_stream() => 0,
            None => return Err(S3Error::new(&MISSING_CONTENT_LENGTH).into()),
        };
        let decoder = ChunkDecoder::new(form, &call.headers, call.verified.chain.clone())?;
        let received = Received {
            digests: Arc::default(),
            flexible: checksums.flexible(),
            md5: checksums.early().iter().any(is_md5),
        };
        let early = checksums
            .early()
            .iter()
            .filter(|v| !is_md5(v))
            .copied()
            .collect();
        let digests = received.digests.clone();
        let body = body.through(|source, faults| {
            Box::pin(Decoded {
                source,
                faults,
                decoder,
                checksums: Some(checksums),
                digests,
                input: Bytes::new(),
                left: length,
            })
        });
        Ok(Intake {
            length,
            body,
            early,
            received,
        })
    }
}

impl Intake {
    /// Plaintext that the gateway itself opened: authenticated already, nothing declared.
    pub fn opened(body: Plain, length: u64) -> Self {
        let received = Received {
            digests: Arc::default(),
            flexible: None,
            md5: false,
        };
        Self {
            length,
            body,
            early: Vec::new(),
            received,
        }
    }

    /// Checksums that stand in the head, for the metadata that goes up before the body.
    pub fn declared(&self) -> Vec<(String, Vec<u8>)> {
        self.early
            .iter()
            .map(|value| {
                (
                    value.algorithm().name().to_owned(),
                    value.base64().into_bytes(),
                )
            })
            .collect()
    }

    /// Whether a digest of the body was declared.
    pub fn has_digest(&self) -> bool {
        self.received.md5 || self.received.flexible.is_some()
    }

    pub fn received(&self) -> Received {
        self.received.clone()
    }
}

fn is_md5(value: &Value) -> bool {
    value.algorithm() == Algorithm::Md5
}

impl Received {
    fn get(&self, algorithm: Algorithm) -> Option<Value> {
        self.digests.get()?.get(algorithm).copied()
    }

    /// The verified Content-MD5.
    pub fn md5(&self) -> Option<Value> {
        self.get(Algorithm::Md5).filter(|_| self.md5)
    }

    /// The verified checksum.
    pub fn flexible(&self) -> Option<Value> {
        self.get(self.flexible?)
    }

    /// Gives the checksum back, as S3 does.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        if let Some(value) = self.flexible() {
            write_checksum(headers, &value);
        }
    }

    /// For the trailer of a one-run object.
    pub fn for_trailer(&self) -> trailer::Digests {
        let mut digests = trailer::Digests::default();
        for value in self.md5().into_iter().chain(self.flexible()) {
            digests.set(place(value.algorithm()), value.bytes(), false);
        }
        digests
    }
}

/// Where the trailer keeps an algorithm's value.
pub(super) fn place(algorithm: Algorithm) -> trailer::Digest {
    match algorithm {
        Algorithm::Md5 => trailer::Digest::Md5,
        Algorithm::Crc32 => trailer::Digest::Crc32,
        Algorithm::Crc32c => trailer::Digest::Crc32c,
        Algorithm::Crc64Nvme => trailer::Digest::Crc64Nvme,
        Algorithm::Sha1 => trailer::Digest::Sha1,
        Algorithm::Sha256 => trailer::Digest::Sha256,
    }
}

pub(super) fn write_checksum(headers: &mut HeaderMap, value: &Value) {
    if let Ok(text) = HeaderValue::try_from(value.base64()) {
        headers.insert(HeaderName::from_static(value.algorithm().header()), text);
    }
}

/// What CreateMultipartUpload asks for.
pub(super) struct Declaration {
    pub algorithm: Option<Algorithm>,
    pub kind: Option<Kind>,
}

impl Declaration {
    /// # Errors
    /// An algorithm that is not served, or a type that it can't have.
    pub fn read(headers: &HeaderMap) -> Result<Self, S3Error> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let algorithm = text("x-amz-checksum-algorithm")
            .map(Algorithm::parse)
            .transpose()?;
        let kind = match (algorithm, text("x-amz-checksum-type")) {
            (Some(algorithm), Some(name)) => Some(Kind::parse(name, algorithm)?),
            (Some(algorithm), None) => Some(algorithm.default_kind()),
            (None, _) => None,
        };
        Ok(Self { algorithm, kind })
    }

    pub fn write_headers(&self, headers: &mut HeaderMap) {
        if let (Some(algorithm), Some(kind)) = (self.algorithm, self.kind) {
            headers.insert(
                "x-amz-checksum-algorithm",
                HeaderValue::from_static(algorithm.name()),
            );
            headers.insert("x-amz-checksum-type", HeaderValue::from_static(kind.name()));
        }
    }
}

/// The plaintext without its framing; it ends only when everything that was declared holds.
struct Decoded {
    source: Chunks,
    faults: FaultSlot,
    decoder: Option<ChunkDecoder>,
    checksums: Option<Checksums>,
    digests: Arc<OnceLock<Digests>>,
    input: Bytes,
    /// Plaintext that is still to come.
    left: u64,
}

impl Decoded {
    /// The next piece of plaintext that is at hand.
    fn piece(&mut self) -> Result<Option<Bytes>, S3Error> {
        let piece = match &mut self.decoder {
            Some(decoder) => decoder.next(&mut self.input)?,
            None => Some(std::mem::take(&mut self.input)),
        };
        let Some(piece) = piece.filter(|piece| !piece.is_empty()) else {
            return Ok(None);
        };
        self.left = self
            .left
            .checked_sub(piece.len() as u64)
            .ok_or_else(|| S3Error::new(&INCOMPLETE_BODY))?;
        if let Some(checksums) = &mut self.checksums {
            checksums.update(&piece);
        }
        Ok(Some(piece))
    }

    fn finish(&mut self) -> Result<(), S3Error> {
        let trailers = match self.decoder.take() {
            Some(decoder) => decoder.finish()?,
            None => Trailers::default(),
        };
        if self.left != 0 {
            return Err(S3Error::new(&INCOMPLETE_BODY));
        }
        if let Some(checksums) = self.checksums.take() {
            let _ = self.digests.set(checksums.finish(&trailers)?);
        }
        Ok(())
    }
}

impl Body for Decoded {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        let faults = this.faults.clone();
        let refuse = |error: S3Error| faults.refuse(error.into());
        loop {
            if !this.input.is_empty() {
                match this.piece() {
                    Ok(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Some(Err(refuse(error)))),
                }
                continue;
            }
            match ready!(this.source.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => this.input = frame.into_data().unwrap_or_default(),
                Some(Err(fault)) => {
                    // the client is told of its own fault, not of the provider's
                    let refusal = Refusal::new(fault.code).message(fault.detail);
                    return Poll::Ready(Some(Err(faults.refuse(refusal))));
                }
                None => {
                    return Poll::Ready(this.finish().err().map(|error| Err(refuse(error))));
                }
            }
        }
    }
}
