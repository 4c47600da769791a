//! The key schedule: secrets, subsecrets by label, and how an object's epoch is found.

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use sha2::Sha384;

use crate::secret::Secret;

/// Bytes of every secret: RFC 5869 wants at least the hash's length.
pub const SECRET: usize = 48;

/// An epoch's name, derived from its secret; 32 bytes so that nobody finds two secrets for one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EpochId(pub [u8; 32]);

impl EpochId {
    /// What headers carry.
    pub fn short(&self) -> EpochShort {
        let mut short = [0; 16];
        short.copy_from_slice(&self.0[..16]);
        EpochShort(short)
    }
}

/// The first half of an [`EpochId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EpochShort(pub [u8; 16]);

impl fmt::Display for EpochShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A secret as HKDF's pseudo-random key (RFC 5869 section 2.3), with the states of its HMAC computed once: a quarter of
/// what an expansion costs. They are wiped when it is dropped.
pub(crate) struct Prk(Box<Hkdf<Sha384>>);

impl Prk {
    pub fn new(secret: &Secret<SECRET>) -> Self {
        match Hkdf::from_prk(secret.expose()) {
            Ok(hkdf) => Self(Box::new(hkdf)),
            // 48 bytes are a whole hash
            Err(_) => unreachable!("HKDF refuses no key of this length"),
        }
    }

    /// HKDF-Expand-SHA-384.
    pub fn expand<const N: usize>(&self, info: &[&[u8]]) -> Secret<N> {
        let filled = Secret::filled(|out| self.0.expand_multi_info(info, out));
        match filled {
            Ok(secret) => secret,
            // every N here is far below 255 hashes
            Err(_) => unreachable!("HKDF refuses no output of this length"),
        }
    }
}

impl fmt::Debug for Prk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prk(redacted)")
    }
}

/// HKDF-Expand-SHA-384 of a secret that is used once.
pub(crate) fn expand<const N: usize>(secret: &Secret<SECRET>, info: &[&[u8]]) -> Secret<N> {
    Prk::new(secret).expand(info)
}

/// A subsecret: `HKDF-Expand(secret, "sceau/v1/" purpose, 48)`. The secret itself is never used.
pub fn subsecret(secret: &Secret<SECRET>, purpose: &str) -> Secret<SECRET> {
    expand(secret, &[b"sceau/v1/", purpose.as_bytes()])
}

/// An epoch's root secret.
#[derive(Debug)]
pub struct EpochSecret(Secret<SECRET>);

impl EpochSecret {
    pub fn new(secret: Secret<SECRET>) -> Self {
        Self(secret)
    }

    pub fn secret(&self) -> &Secret<SECRET> {
        &self.0
    }

    /// `HKDF-Expand(secret, "sceau/v1/id", 32)`.
    pub fn id(&self) -> EpochId {
        let id: Secret<32> = expand(&self.0, &[b"sceau/v1/id"]);
        EpochId(*id.expose())
    }

    pub fn keys(&self) -> EpochKeys {
        EpochKeys {
            id: self.id(),
            object: Prk::new(&subsecret(&self.0, "object")),
            metadata: Prk::new(&subsecret(&self.0, "metadata")),
            token: Prk::new(&subsecret(&self.0, "token")),
        }
    }
}

/// What an open epoch is used through.
#[derive(Debug)]
pub struct EpochKeys {
    pub id: EpochId,
    pub(crate) object: Prk,
    pub(crate) metadata: Prk,
    pub(crate) token: Prk,
}

/// Why an epoch can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    #[error("no record of this epoch")]
    Unknown,
    #[error("{0}")]
    Unavailable(String),
}

/// Finds epochs by the name that headers carry.
pub trait KeyLookup: Send + Sync {
    /// # Errors
    /// The epoch is not known, or its key can't be opened now.
    fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError>;
}

/// The epoch that a writer seals under, and every other one for reading; of one tenant, service and namespace.
pub trait Epochs: KeyLookup {
    /// The present epoch. Its record is durable before this returns.
    ///
    /// # Errors
    /// No epoch can be had: nothing may be sealed.
    fn current(&self) -> Result<Arc<EpochKeys>, LookupError>;
}
