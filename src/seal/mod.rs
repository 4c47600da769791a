//! The sealed format (`docs/format.md`): pure arithmetic and cryptography over buffers that the caller owns. No I/O, no
//! clock, no runtime.

pub mod aead;
pub mod blob;
mod entropy;
mod keys;
pub mod layout;
pub mod name;
pub mod object;
pub mod piece;
pub mod range;
pub mod run;
pub mod scan;
pub mod token;
pub mod trailer;

use std::fmt;

use bytes::Bytes;

pub use entropy::{EntropyError, Salt, SaltSource};
pub use keys::{
    EpochId, EpochKeys, EpochSecret, EpochShort, Epochs, KeyLookup, LookupError, subsecret,
};

/// Tenant, service and namespace: bound in every key, so that another ministry's object does not open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Context {
    tenant: String,
    service: String,
    namespace: String,
}

/// A context component that is empty, too long or holds anything but `a-z 0-9 - _ .`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no identifier: 1 to 255 characters of a-z, 0-9, `-`, `_` and `.`")]
pub struct ContextError(String);

impl Context {
    /// # Errors
    /// A component that is no identifier.
    pub fn new(tenant: &str, service: &str, namespace: &str) -> Result<Self, ContextError> {
        for part in [tenant, service, namespace] {
            let legal = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
            if part.is_empty() || part.len() > 255 || !part.bytes().all(legal) {
                return Err(ContextError(part.to_owned()));
            }
        }
        Ok(Self {
            tenant: tenant.to_owned(),
            service: service.to_owned(),
            namespace: namespace.to_owned(),
        })
    }

    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    pub fn service(&self) -> &str {
        &self.service
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `u16 length | component`, three times.
    fn append_to(&self, info: &mut Vec<u8>) {
        for part in [&self.tenant, &self.service, &self.namespace] {
            // `new` saw to it that a part is at most 255 bytes
            let _ = append_component(info, part.as_bytes());
        }
    }
}

/// `u16 length | bytes`. `None`: longer than a `u16` counts.
fn append_component(info: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    info.extend_from_slice(&u16::try_from(bytes.len()).ok()?.to_be_bytes());
    info.extend_from_slice(bytes);
    Some(())
}

/// The random name that the runs of one object share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectId(pub [u8; 16]);

/// Ciphertext that this module made, or that was spooled after it made it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBytes(Bytes);

impl SealedBytes {
    /// Says that `bytes` are ciphertext. Names the place where that must be true; it proves nothing.
    pub fn from_seal(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl fmt::Debug for SealedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBytes({} bytes)", self.0.len())
    }
}

/// Why sealing failed. None of these depends on the plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the length does not fit the format, or is not the declared one")]
    Length,
    #[error("a run holds at most 2^24 segments, an object at most 65,536 runs")]
    TooLarge,
    #[error("the runs do not fit the layout: a run before the last is shorter than 320 KiB")]
    Layout,
    #[error("the cipher failed")]
    Cipher,
}

/// The failure classes of `docs/format.md`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("not a sealed object")]
    NotSealed,
    #[error("the checksum does not match")]
    Checksum,
    #[error("unknown version or suite")]
    Suite,
    #[error("malformed header")]
    Header,
    #[error("the key commitment does not match")]
    Commitment,
    #[error("the epoch is not known")]
    UnknownEpoch,
    #[error("the key can't be had now: {0}")]
    KeyUnavailable(String),
    #[error("a segment failed authentication")]
    Segment,
    #[error("the padding is not zero")]
    Zeros,
    #[error("the trailer is not this object's")]
    Trailer,
    #[error("the length does not match")]
    Length,
    #[error("a run is not the one that the trailer names")]
    Run,
    #[error("the object has several runs and is read only after its trailer")]
    NeedsTrailer,
}

impl OpenError {
    /// The class's stable name, as the test vectors have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotSealed => "not-sealed",
            Self::Checksum => "checksum",
            Self::Suite => "suite",
            Self::Header => "header",
            Self::Commitment => "commitment",
            Self::UnknownEpoch => "unknown-epoch",
            Self::KeyUnavailable(_) => "key-unavailable",
            Self::Segment => "segment",
            Self::Zeros => "zeros",
            Self::Trailer => "trailer",
            Self::Length => "length",
            Self::Run => "run",
            Self::NeedsTrailer => "needs-trailer",
        }
    }
}

impl From<LookupError> for OpenError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Unknown => Self::UnknownEpoch,
            LookupError::Unavailable(why) => Self::KeyUnavailable(why),
        }
    }
}
