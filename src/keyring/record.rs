//! Records: a signed core that names a secret, and wraps of the secret outside of it (`docs/format.md`, "Records").
//!
//! ```text
//! core   = magic D3 'S' 'C' 'R' | version 01 | suite 01 | kind | 00 | id 32 | writer 32 | not before u64 | not after u64
//!          | u16 n tenant | u16 n service | u16 n namespace
//! record = u32 length of the core | core | Ed25519 signature of the core 64
//!          | u16 count | (recipient 16 | u32 length | wrap) ...
//! ```
//! The wraps' HPKE info is `"sceau-record/v1" 00 | SHA-384(core)`: a wrap opens for its own record alone, re-wrapping
//! touches no signature.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha384};

use super::error::KeyError;
use super::identity::{Identity, Recipient, Wrap};
use crate::seal::{Context, EpochId, EpochSecret};
use crate::secret::{Secret, SecretBytes};

const MAGIC: [u8; 6] = [0xD3, b'S', b'C', b'R', 1, 1];
const FIXED: usize = 88;
const SIGNATURE: usize = 64;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Objects, metadata and tokens of one writer for some hours.
    Epoch = 1,
    /// Upload ids and rows of the state, shared by replicas.
    Session = 2,
    /// Long-lived: row keys, names, indexes.
    Service = 3,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Epoch, Self::Session, Self::Service]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::Session => "session",
            Self::Service => "service",
        }
    }
}

/// The key with which a writer signs the records that it makes.
pub struct Writer(Ed25519KeyPair);

impl Writer {
    /// A new seed; a secret.
    ///
    /// # Errors
    /// No randomness.
    pub fn generate() -> Result<SecretBytes, KeyError> {
        let mut seed = vec![0; 32];
        getrandom::fill(&mut seed).map_err(|_| KeyError::Randomness)?;
        Ok(SecretBytes::new(seed))
    }

    /// # Errors
    /// Not a seed of 32 bytes.
    pub fn from_seed(seed: &SecretBytes) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .map(Self)
            .map_err(|_| KeyError::Signature)
    }

    pub fn public(&self) -> [u8; 32] {
        let mut public = [0; 32];
        public.copy_from_slice(self.0.public_key().as_ref());
        public
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({})", hex::encode(self.public()))
    }
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub kind: Kind,
    pub id: EpochId,
    pub writer: [u8; 32],
    /// Unix seconds: sealing begins, sealing ends.
    pub not_before: u64,
    pub not_after: u64,
    pub context: Context,
    core: Vec<u8>,
    signature: [u8; SIGNATURE],
    pub wraps: Vec<Wrap>,
}

impl Record {
    /// Makes, wraps and signs a record for a fresh secret.
    ///
    /// # Errors
    /// The cipher failed.
    pub fn make(
        kind: Kind,
        secret: &EpochSecret,
        context: &Context,
        times: (u64, u64),
        writer: &Writer,
        recipients: &[Recipient],
    ) -> Result<Self, KeyError> {
        let id = secret.id();
        let mut core = MAGIC.to_vec();
        core.extend_from_slice(&[kind as u8, 0]);
        core.extend_from_slice(&id.0);
        core.extend_from_slice(&writer.public());
        core.extend_from_slice(&times.0.to_be_bytes());
        core.extend_from_slice(&times.1.to_be_bytes());
        for part in [context.tenant(), context.service(), context.namespace()] {
            core.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            core.extend_from_slice(part.as_bytes());
        }
        let mut signature = [0; SIGNATURE];
        signature.copy_from_slice(writer.0.sign(&core).as_ref());
        let mut record = Self {
            kind,
            id,
            writer: writer.public(),
            not_before: times.0,
            not_after: times.1,
            context: context.clone(),
            core,
            signature,
            wraps: Vec::new(),
        };
        record.rewrap(secret.secret(), recipients)?;
        Ok(record)
    }

    /// Replaces the wraps; the core and its signature stay.
    ///
    /// # Errors
    /// The cipher failed.
    pub fn rewrap(
        &mut self,
        secret: &Secret<48>,
        recipients: &[Recipient],
    ) -> Result<(), KeyError> {
        let info = self.info();
        self.wraps = recipients
            .iter()
            .map(|recipient| recipient.wrap(&info, secret))
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Whether there is a wrap for each of `recipients`, and none for anybody else.
    pub fn is_wrapped_to(&self, recipients: &[Recipient]) -> bool {
        self.wraps.len() == recipients.len()
            && recipients
                .iter()
                .all(|recipient| self.wraps.iter().any(|w| w.recipient == recipient.id()))
    }

    fn info(&self) -> Vec<u8> {
        let mut info = b"sceau-record/v1\0".to_vec();
        info.extend_from_slice(&Sha384::digest(&self.core));
        info
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.core.len() + SIGNATURE + 1300 * self.wraps.len());
        out.extend_from_slice(&length(&self.core).to_be_bytes());
        out.extend_from_slice(&self.core);
        out.extend_from_slice(&self.signature);
        out.extend_from_slice(
            &u16::try_from(self.wraps.len())
                .unwrap_or(u16::MAX)
                .to_be_bytes(),
        );
        for wrap in &self.wraps {
            out.extend_from_slice(&wrap.recipient);
            out.extend_from_slice(&length(&wrap.sealed).to_be_bytes());
            out.extend_from_slice(&wrap.sealed);
        }
        out
    }

    /// Reads a record; nothing is verified yet. `None`: not a record.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (core, rest) = prefixed(bytes)?;
        let (signature, rest) = rest.split_first_chunk::<SIGNATURE>()?;
        let (count, mut rest) = rest.split_first_chunk::<2>()?;
        let mut wraps = Vec::new();
        for _ in 0..u16::from_be_bytes(*count) {
            let (recipient, after) = rest.split_first_chunk::<16>()?;
            let (sealed, after) = prefixed(after)?;
            rest = after;
            wraps.push(Wrap {
                recipient: *recipient,
                sealed: sealed.to_vec(),
            });
        }
        let fixed = core.get(..FIXED)?;
        if !rest.is_empty() || fixed[..6] != MAGIC || fixed[7] != 0 {
            return None;
        }
        let number = |at: usize| Some(u64::from_be_bytes(fixed.get(at..at + 8)?.try_into().ok()?));
        let mut parts = Vec::new();
        let mut tail = core.get(FIXED..)?;
        for _ in 0..3 {
            let (size, after) = tail.split_first_chunk::<2>()?;
            let (part, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
            parts.push(std::str::from_utf8(part).ok()?);
            tail = after;
        }
        let context = Context::new(parts.first()?, parts.get(1)?, parts.get(2)?).ok()?;
        tail.is_empty().then_some(Self {
            kind: Kind::of(fixed[6])?,
            id: EpochId(fixed.get(8..40)?.try_into().ok()?),
            writer: fixed.get(40..72)?.try_into().ok()?,
            not_before: number(72)?,
            not_after: number(80)?,
            context,
            core: core.to_vec(),
            signature: *signature,
            wraps,
        })
    }

    /// # Errors
    /// The writer is not one of `enrolled`, or the signature does not hold.
    pub fn verify(&self, enrolled: &[[u8; 32]]) -> Result<(), KeyError> {
        if !enrolled.contains(&self.writer) {
            return Err(KeyError::Signature);
        }
        UnparsedPublicKey::new(&ED25519, &self.writer)
            .verify(&self.core, &self.signature)
            .map_err(|_| KeyError::Signature)
    }

    /// Opens the secret and checks it against the id.
    ///
    /// # Errors
    /// No wrap is for this identity, or the wrap holds another secret.
    pub fn open(&self, identity: &Identity) -> Result<EpochSecret, KeyError> {
        let id = identity.recipient().id();
        let wrap = self
            .wraps
            .iter()
            .find(|wrap| wrap.recipient == id)
            .ok_or(KeyError::NoIdentity)?;
        let secret = EpochSecret::new(identity.unwrap(&self.info(), wrap)?);
        (secret.id() == self.id)
            .then_some(secret)
            .ok_or(KeyError::Substituted)
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*size)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (Record, Identity, Writer, EpochSecret) {
        let identity = Identity::generate();
        let writer = Writer::from_seed(&Writer::generate().unwrap()).unwrap();
        let secret = EpochSecret::new(Secret::from_slice(&[5; 48]).unwrap());
        let context = Context::new("t", "s", "n").unwrap();
        let recipients = [identity.recipient().clone()];
        let record =
            Record::make(Kind::Epoch, &secret, &context, (1, 2), &writer, &recipients).unwrap();
        (record, identity, writer, secret)
    }

    #[test]
    fn a_record_comes_back_and_opens() {
        let (record, identity, writer, secret) = made();
        let again = Record::decode(&record.encode()).unwrap();
        assert_eq!(again, record);
        again.verify(&[writer.public()]).unwrap();
        assert_eq!(again.open(&identity).unwrap().id(), secret.id());
    }

    #[test]
    fn edits_of_the_core_strange_writers_and_swapped_wraps_are_refused() {
        let (record, identity, writer, _) = made();
        let encoded = record.encode();
        for at in 4..4 + record.core.len() + SIGNATURE {
            let mut edited = encoded.clone();
            edited[at] ^= 1;
            let refused =
                Record::decode(&edited).is_none_or(|r| r.verify(&[writer.public()]).is_err());
            assert!(refused, "byte {at}");
        }
        assert!(record.verify(&[[0; 32]]).is_err());
        let other = EpochSecret::new(Secret::from_slice(&[6; 48]).unwrap());
        let context = Context::new("t", "s", "n").unwrap();
        let recipients = [identity.recipient().clone()];
        let other =
            Record::make(Kind::Epoch, &other, &context, (1, 2), &writer, &recipients).unwrap();
        let mut swapped = record.clone();
        swapped.wraps = other.wraps;
        assert!(swapped.open(&identity).is_err());
        for n in 0..encoded.len() {
            assert!(Record::decode(&encoded[..n]).is_none(), "cut at {n}");
        }
    }

    #[test]
    fn a_wrapped_secret_that_is_not_the_named_one_is_refused() {
        let (mut record, identity, _, _) = made();
        let other = Secret::from_slice(&[6; 48]).unwrap();
        record
            .rewrap(&other, &[identity.recipient().clone()])
            .unwrap();
        assert!(matches!(record.open(&identity), Err(KeyError::Substituted)));
    }

    #[test]
    fn rewrapping_leaves_the_signature() {
        let (mut record, old, writer, secret) = made();
        let new = Identity::generate();
        record
            .rewrap(secret.secret(), &[new.recipient().clone()])
            .unwrap();
        record.verify(&[writer.public()]).unwrap();
        assert_eq!(record.open(&new).unwrap().id(), secret.id());
        assert!(matches!(record.open(&old), Err(KeyError::NoIdentity)));
    }
}
