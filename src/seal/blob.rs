//! The metadata blob: small, sealed for its place (bucket and key, say), and so the binding between a place and the
//! object that belongs there.
//!
//! `magic D3 'S' 'C' 'M' | version 01 | suite 01 | 00 00 | epoch 16 | object 16 | salt 32 | commitment 32 | ciphertext | tag`

use std::sync::Arc;

use sha2::{Digest, Sha384};
use subtle::ConstantTimeEq;

use super::aead::{Aead, Portable};
use super::keys::{EpochKeys, EpochShort, KeyLookup};
use super::layout::TAG;
use super::run::array;
use super::{Context, ObjectId, OpenError, Salt, SealError, append_component};
use crate::secret::Secret;

const HEAD: usize = 104;
const PREFIX: [u8; 8] = [0xD3, b'S', b'C', b'M', 1, 1, 0, 0];
const LABEL: &[u8] = b"sceau-metadata/v1\0";
const SALT_LABEL: &[u8] = b"sceau-metadata-salt/v1\0";

/// What a blob held.
#[derive(Debug)]
pub struct Opened {
    pub object: ObjectId,
    pub plaintext: Vec<u8>,
}

/// Seals `plaintext` for `place` under the epoch's metadata subsecret. A keyed hash of the plaintext is mixed into
/// the salt, so that even a repeated `salt` does not repeat a key for another text.
///
/// # Errors
/// `Length` when a component of the place is longer than 65,535 bytes.
pub fn seal(
    keys: &EpochKeys,
    context: &Context,
    place: &[&[u8]],
    object: ObjectId,
    salt: Salt,
    plaintext: &[u8],
) -> Result<Vec<u8>, SealError> {
    let digest = Sha384::digest(plaintext);
    let mixed: Secret<32> = keys.metadata.expand(&[SALT_LABEL, &salt.0, &digest]);
    let mut out = Vec::with_capacity(HEAD + plaintext.len() + TAG);
    out.extend_from_slice(&PREFIX);
    out.extend_from_slice(&keys.id.short().0);
    out.extend_from_slice(&object.0);
    out.extend_from_slice(mixed.expose());
    let derived = derive(keys, context, place, &out).ok_or(SealError::Length)?;
    out.extend_from_slice(&derived.expose()[44..76]);
    out.extend_from_slice(plaintext);
    let (cipher, nonce) = cipher(&derived).ok_or(SealError::Cipher)?;
    let tag = cipher
        .seal(nonce, &[], &mut out[HEAD..])
        .map_err(|_| SealError::Cipher)?;
    out.extend_from_slice(&tag);
    Ok(out)
}

/// Opens a blob for its place.
///
/// # Errors
/// `Commitment` when it belongs to another place, context or key.
pub fn open(
    lookup: &dyn KeyLookup,
    context: &Context,
    place: &[&[u8]],
    sealed: &[u8],
) -> Result<Opened, OpenError> {
    if sealed.len() < HEAD + TAG || sealed[..4] != PREFIX[..4] {
        return Err(OpenError::NotSealed);
    }
    if sealed[4..6] != PREFIX[4..6] {
        return Err(OpenError::Suite);
    }
    if sealed[6..8] != PREFIX[6..8] {
        return Err(OpenError::Header);
    }
    let keys: Arc<EpochKeys> = lookup.epoch(EpochShort(array(&sealed[8..24])))?;
    let derived = derive(&keys, context, place, &sealed[..72]).ok_or(OpenError::Commitment)?;
    if !bool::from(derived.expose()[44..76].ct_eq(&sealed[72..HEAD])) {
        return Err(OpenError::Commitment);
    }
    let (cipher, nonce) = cipher(&derived).ok_or(OpenError::Segment)?;
    let mut plaintext = sealed[HEAD..].to_vec();
    let length = cipher
        .open(nonce, &[], &mut plaintext)
        .map_err(|_| OpenError::Segment)?;
    plaintext.truncate(length);
    Ok(Opened {
        object: ObjectId(array(&sealed[24..40])),
        plaintext,
    })
}

/// `key 32 | nonce 12 | commitment 32`; `head` is the blob's first 72 bytes. `None`: a component of the place is longer
/// than its count can say, so that two places could have one encoding.
fn derive(keys: &EpochKeys, context: &Context, place: &[&[u8]], head: &[u8]) -> Option<Secret<76>> {
    let mut tail = Vec::new();
    context.append_to(&mut tail);
    for component in place {
        append_component(&mut tail, component)?;
    }
    Some(keys.metadata.expand(&[LABEL, head, &tail]))
}

fn cipher(derived: &Secret<76>) -> Option<(Portable, [u8; 12])> {
    let (key, rest) = derived.expose().split_first_chunk()?;
    Some((Portable::new(key).ok()?, array(&rest[..12])))
}
