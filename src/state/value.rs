//! A sealed value: who reads the disk learns its length and which session sealed it.
//!
//! ```text
//! version 1 | session id 16 | salt 32 | ciphertext | tag 16
//! ```
//!
//! AES-256-GCM. Key (32 bytes) and nonce (12) are HKDF-Expand-SHA-384 (RFC 5869 section 2.3) of the
//! session secret with info = label, 0, salt. The salt is random and hedged with all that is sealed, so
//! that a restored snapshot of the machine, which repeats random bytes, repeats no key with another
//! plaintext. Table, row key and everything before the ciphertext are authenticated with it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};

use super::{StateError, Table};
use crate::secret::Secret;

const VERSION: u8 = 1;
const VALUE_LABEL: &[u8] = b"sceau/v1/state\0";
const SALT_LABEL: &[u8] = b"sceau/v1/state salt\0";
const SALT: usize = 32;
const TAG: usize = 16;
const HEAD: usize = 1 + SESSION_ID + SALT;
const KEY: usize = 32;
const NONCE: usize = 12;

/// Bytes of a session's id that a value carries.
pub(super) const SESSION_ID: usize = 16;

/// The first 16 bytes of a session record's id.
pub type SessionId = [u8; SESSION_ID];

/// Seals `plain` for its place; `random` need only be fresh, not secret.
pub(super) fn seal(
    session: (&SessionId, &Secret<48>),
    random: &[u8; SALT],
    place: (Table, &[u8]),
    plain: &[u8],
) -> Result<Vec<u8>, StateError> {
    let (id, secret) = session;
    let salt = hedged_salt(secret, random, place, plain);
    let mut sealed = Vec::with_capacity(HEAD + plain.len() + TAG);
    sealed.push(VERSION);
    sealed.extend_from_slice(id);
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(plain);
    let (head, body) = sealed.split_at_mut(HEAD);
    let (key, nonce) = derive(secret, &salt)?;
    let tag = key
        .seal_in_place_separate_tag(nonce, bound(place, head), body)
        .map_err(|_| StateError::Damaged)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Which session sealed the value.
pub(super) fn session_of(sealed: &[u8]) -> Result<SessionId, StateError> {
    if sealed.len() < HEAD + TAG || sealed[0] != VERSION {
        return Err(StateError::Damaged);
    }
    sealed[1..=SESSION_ID]
        .try_into()
        .map_err(|_| StateError::Damaged)
}

/// Opens what [`seal`] made for the same place.
pub(super) fn open(
    secret: &Secret<48>,
    place: (Table, &[u8]),
    mut sealed: Vec<u8>,
) -> Result<Vec<u8>, StateError> {
    session_of(&sealed)?;
    let (head, body) = sealed.split_at_mut(HEAD);
    let (key, nonce) = derive(secret, &head[1 + SESSION_ID..])?;
    let length = key
        .open_in_place(nonce, bound(place, head), body)
        .map_err(|_| StateError::Damaged)?
        .len();
    sealed.truncate(HEAD + length);
    sealed.drain(..HEAD);
    Ok(sealed)
}

fn bound(place: (Table, &[u8]), head: &[u8]) -> Aad<Vec<u8>> {
    let (table, row) = place;
    Aad::from([VALUE_LABEL, head, table.name().as_bytes(), b"\0", row].concat())
}

fn hedged_salt(
    secret: &Secret<48>,
    random: &[u8; SALT],
    place: (Table, &[u8]),
    plain: &[u8],
) -> [u8; SALT] {
    let (table, row) = place;
    let key = hmac::Key::new(hmac::HMAC_SHA384, secret.expose());
    let mut mac = hmac::Context::with_key(&key);
    for part in [SALT_LABEL, random, table.name().as_bytes(), row, plain] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    let mut salt = [0; SALT];
    salt.copy_from_slice(&mac.sign().as_ref()[..SALT]);
    salt
}

struct KeyAndNonce;

impl hkdf::KeyType for KeyAndNonce {
    fn len(&self) -> usize {
        KEY + NONCE
    }
}

fn derive(secret: &Secret<48>, salt: &[u8]) -> Result<(LessSafeKey, Nonce), StateError> {
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA384, secret.expose());
    let both = Secret::<{ KEY + NONCE }>::filled(|bytes| {
        prk.expand(&[VALUE_LABEL, salt], KeyAndNonce)
            .and_then(|okm| okm.fill(bytes))
    });
    let both = both.map_err(|_| StateError::Damaged)?;
    let (key, nonce) = both.expose().split_at(KEY);
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| StateError::Damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| StateError::Damaged)?;
    Ok((LessSafeKey::new(key), nonce))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SessionId = [7; SESSION_ID];
    const PLACE: (Table, &[u8]) = (Table::Part, b"row");

    fn secret(byte: u8) -> Secret<48> {
        Secret::from_slice(&[byte; 48]).unwrap()
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        seal((&ID, &secret(1)), &[0; SALT], PLACE, plain).unwrap()
    }

    #[test]
    fn opens_what_it_seals() {
        for plain in [&b""[..], b"x", &[9; 5000]] {
            let sealed = sealed(plain);
            assert_eq!(session_of(&sealed), Ok(ID));
            assert_eq!(open(&secret(1), PLACE, sealed).unwrap(), plain);
        }
    }

    #[test]
    fn every_flip_and_every_truncation_is_refused() {
        let good = sealed(b"the value");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&secret(1), PLACE, bad), Err(StateError::Damaged));
        }
        for keep in 0..good.len() {
            let bad = good[..keep].to_vec();
            assert_eq!(open(&secret(1), PLACE, bad), Err(StateError::Damaged));
        }
    }

    #[test]
    fn a_value_belongs_to_its_row_table_and_secret() {
        let good = sealed(b"the value");
        for place in [(Table::Upload, &b"row"[..]), (Table::Part, b"rox")] {
            let moved = open(&secret(1), place, good.clone());
            assert_eq!(moved, Err(StateError::Damaged));
        }
        assert_eq!(open(&secret(2), PLACE, good), Err(StateError::Damaged));
    }

    #[test]
    fn repeated_random_bytes_repeat_no_key() {
        let salt = |place, plain: &[u8]| hedged_salt(&secret(1), &[0; SALT], place, plain);
        let salts = [
            salt(PLACE, b"one"),
            salt(PLACE, b"two"),
            salt((Table::Part, b"ro"), b"wone"),
            salt((Table::Alias, b"row"), b"one"),
        ];
        for (index, salt) in salts.iter().enumerate() {
            assert!(!salts[..index].contains(salt));
        }
    }
}
