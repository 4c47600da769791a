//! Salts and object ids. A salt that repeats under one epoch would give the XOR of two plaintexts, so it is hedged: a
//! snapshot that is restored, a fork, or a broken system generator alone must not repeat one.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha384};

use super::ObjectId;
use crate::secret::Secret;

/// 32 bytes that no two runs share. Made by [`SaltSource`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub(crate) [u8; 32]);

impl Salt {
    /// A salt of a test vector. Never for sealing.
    pub fn of_test_vector(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// The system's generator failed; nothing may be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct EntropyError;

/// Fills a buffer with random bytes of the system, drawn anew on every call.
pub type SystemRandom = fn(&mut [u8]) -> Result<(), EntropyError>;

/// Makes salts: SHA-384 over the system's randomness drawn for this call, a secret of this process, a counter, the
/// caller's clock and what is particular to the request.
pub struct SaltSource {
    random: SystemRandom,
    process: Secret<32>,
    counter: AtomicU64,
}

impl SaltSource {
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(random: SystemRandom) -> Result<Self, EntropyError> {
        Ok(Self {
            random,
            process: Secret::filled(|bytes| random(bytes))?,
            counter: AtomicU64::new(0),
        })
    }

    /// `nanos`: the wall clock; `request`: bytes that differ between requests (a signature, a request id).
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn salt(&self, nanos: u128, request: &[u8]) -> Result<Salt, EntropyError> {
        let mut salt = [0; 32];
        salt.copy_from_slice(&self.draw(b"salt", nanos, request)?[..32]);
        Ok(Salt(salt))
    }

    /// # Errors
    /// The system gives no random bytes.
    pub fn object_id(&self, nanos: u128, request: &[u8]) -> Result<ObjectId, EntropyError> {
        let mut id = [0; 16];
        id.copy_from_slice(&self.draw(b"object", nanos, request)?[..16]);
        Ok(ObjectId(id))
    }

    fn draw(&self, purpose: &[u8], nanos: u128, request: &[u8]) -> Result<[u8; 48], EntropyError> {
        let mut fresh = [0; 32];
        (self.random)(&mut fresh)?;
        let mut hash = Sha384::new();
        hash.update(purpose);
        hash.update(fresh);
        hash.update(self.process.expose());
        hash.update(self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        hash.update(nanos.to_be_bytes());
        hash.update((request.len() as u64).to_be_bytes());
        hash.update(request);
        Ok(hash.finalize().into())
    }
}

impl fmt::Debug for SaltSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltSource(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frozen(bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(7);
        Ok(())
    }

    #[test]
    fn a_restored_snapshot_does_not_repeat_a_salt() {
        let one = SaltSource::new(frozen).unwrap();
        let restored = SaltSource::new(frozen).unwrap();
        let first = one.salt(1, b"r").unwrap();
        assert!(first != restored.salt(2, b"r").unwrap(), "another clock");
        let restored = SaltSource::new(frozen).unwrap();
        assert!(first != restored.salt(1, b"s").unwrap(), "another request");
        assert!(first != one.salt(1, b"r").unwrap(), "the counter");
    }

    #[test]
    fn no_randomness_no_salt() {
        fn broken(_: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError)
        }
        assert_eq!(SaltSource::new(broken).err(), Some(EntropyError));
    }
}
