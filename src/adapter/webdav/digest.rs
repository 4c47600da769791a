//! Digests that a client declares of its file: held against the plaintext, kept in the sealed trailer, never sent on.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame};
use md5::{Digest as _, Md5};

use super::upstream::text;
use crate::body::{Chunks, Fault, FaultSlot, Plain};
use crate::error::{DIGEST_MISMATCH, Refusal};
use crate::seal::trailer::{self, Digests};

pub(super) const OC_CHECKSUM: HeaderName = HeaderName::from_static("oc-checksum");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// What the trailer is to keep, once the body has been verified.
pub(super) type Verified = Arc<OnceLock<Digests>>;

/// A digest that is being computed.
pub(super) enum Hash {
    Md5(Box<Md5>),
    Sha1(digest::Context),
    Sha256(digest::Context),
    Adler32(Adler32),
}

impl Hash {
    /// By the name that `OC-Checksum` has for it, in upper case.
    pub fn of_kind(kind: &str) -> Option<Self> {
        let sha = |algorithm| digest::Context::new(algorithm);
        match kind {
            "MD5" => Some(Self::Md5(Box::default())),
            "SHA1" => Some(Self::Sha1(sha(&digest::SHA1_FOR_LEGACY_USE_ONLY))),
            "SHA256" => Some(Self::Sha256(sha(&digest::SHA256))),
            "ADLER32" => Some(Self::Adler32(Adler32 { a: 1, b: 0 })),
            _ => None,
        }
    }

    pub fn update(&mut self, data: &[u8]) {
        match self {
            Self::Md5(state) => state.update(data),
            Self::Sha1(state) | Self::Sha256(state) => state.update(data),
            Self::Adler32(state) => state.update(data),
        }
    }

    /// Where the trailer keeps it.
    pub fn place(&self) -> Option<trailer::Digest> {
        match self {
            Self::Md5(_) => Some(trailer::Digest::Md5),
            Self::Sha1(_) => Some(trailer::Digest::Sha1),
            Self::Sha256(_) => Some(trailer::Digest::Sha256),
            Self::Adler32(_) => None,
        }
    }

    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(state) => state.finalize().to_vec(),
            Self::Sha1(state) | Self::Sha256(state) => state.finish().as_ref().to_vec(),
            Self::Adler32(state) => state.value().to_be_bytes().to_vec(),
        }
    }
}

/// RFC 1950, section 9; Nextcloud's clients send it.
pub(super) struct Adler32 {
    a: u32,
    b: u32,
}

impl Adler32 {
    const MODULUS: u32 = 65_521;

    fn update(&mut self, data: &[u8]) {
        // so many additions fit 32 bits
        for piece in data.chunks(5552) {
            for byte in piece {
                self.a += u32::from(*byte);
                self.b += self.a;
            }
            self.a %= Self::MODULUS;
            self.b %= Self::MODULUS;
        }
    }

    fn value(&self) -> u32 {
        self.b << 16 | self.a
    }
}

/// Puts the check in between, where a digest is declared.
///
/// # Errors
/// A digest that is malformed or of a kind that can't be verified.
pub(super) fn checked(body: Plain, headers: &HeaderMap) -> Result<(Plain, Verified), Refusal> {
    let verified = Verified::default();
    let expected = declared(headers)?;
    if expected.is_empty() {
        return Ok((body, verified));
    }
    let out = verified.clone();
    let body = body.through(|source, faults| {
        Box::pin(Checked {
            source,
            faults,
            expected,
            verified: out,
        })
    });
    Ok((body, verified))
}

fn declared(headers: &HeaderMap) -> Result<Vec<(Hash, Vec<u8>)>, Refusal> {
    let wrong = |why: &'static str| Refusal::new(&DIGEST_MISMATCH).message(why);
    let mut expected = Vec::new();
    if headers.contains_key(OC_CHECKSUM) {
        let (kind, value) = text(headers, OC_CHECKSUM)
            .and_then(|value| value.split_once(':'))
            .ok_or_else(|| wrong("The `OC-Checksum` field is malformed."))?;
        let hash = Hash::of_kind(&kind.to_ascii_uppercase())
            .ok_or_else(|| wrong("The `OC-Checksum` is of a kind that can't be verified."))?;
        let value =
            hex::decode(value).map_err(|_| wrong("The `OC-Checksum` field is malformed."))?;
        expected.push((hash, value));
    }
    if headers.contains_key(CONTENT_MD5) {
        let value = text(headers, CONTENT_MD5)
            .and_then(|value| STANDARD.decode(value).ok())
            .ok_or_else(|| wrong("The `Content-MD5` field is malformed."))?;
        expected.push((Hash::Md5(Box::default()), value));
    }
    Ok(expected)
}

struct Checked {
    source: Chunks,
    faults: FaultSlot,
    expected: Vec<(Hash, Vec<u8>)>,
    verified: Verified,
}

impl Checked {
    fn finish(&mut self) -> Result<(), Fault> {
        let mut digests = Digests::default();
        for (hash, expected) in self.expected.drain(..) {
            let place = hash.place();
            let value = hash.finish();
            if value != expected {
                return Err(self.faults.refuse(Refusal::new(&DIGEST_MISMATCH)));
            }
            if let Some(place) = place {
                digests.set(place, &value, false);
            }
        }
        let _ = self.verified.set(digests);
        Ok(())
    }
}

impl Body for Checked {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let step = ready!(self.source.as_mut().poll_frame(cx));
        match &step {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.expected
                        .iter_mut()
                        .for_each(|(hash, _)| hash.update(data));
                }
            }
            Some(Err(_)) => {}
            None => self.finish()?,
        }
        Poll::Ready(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adler32_of_the_rfcs_usual_example() {
        let mut state = Adler32 { a: 1, b: 0 };
        state.update(b"Wikipedia");
        assert_eq!(state.value(), 0x11E6_0398);
    }
}
