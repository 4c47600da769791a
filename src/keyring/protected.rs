//! Private keys at rest: a file that a passphrase opens.
//!
//! `magic D3 'S' 'C' 'I' | version 01 | kind | 00 00 | m KiB u32 | t u32 | p u32 | salt 16 | nonce 12 | ciphertext | tag`;
//! the key is argon2id (RFC 9106) of the passphrase, the cipher AES-256-GCM, the header its associated data.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};

use super::directory::{self, read};
use super::error::KeyError;
use crate::seal::aead::{Aead, Portable};
use crate::seal::layout::TAG;
use crate::secret::{Secret, SecretBytes};

const MAGIC: [u8; 5] = [0xD3, b'S', b'C', b'I', 1];
const HEAD: usize = 48;
/// RFC 9106's second recommendation: 64 MiB, three passes, four lanes.
const MEMORY: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;

/// What a protected file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An identity's text form.
    Identity = 1,
    /// A writer's Ed25519 seed.
    Writer = 2,
}

/// Writes `secret` under a passphrase; durable when it returns.
///
/// # Errors
/// The file exists, or can't be written.
pub fn write(
    path: &Path,
    kind: Kind,
    secret: &SecretBytes,
    passphrase: &SecretBytes,
) -> Result<(), KeyError> {
    let mut file = vec![0; HEAD];
    file[..5].copy_from_slice(&MAGIC);
    file[5] = kind as u8;
    for (at, value) in [(8, MEMORY), (12, PASSES), (16, LANES)] {
        file[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    getrandom::fill(&mut file[20..HEAD]).map_err(|_| KeyError::Randomness)?;
    let key = derive(&file, passphrase).ok_or(KeyError::Cipher)?;
    let cipher = Portable::new(key.expose()).map_err(|_| KeyError::Cipher)?;
    let mut data = zeroize::Zeroizing::new(secret.expose().to_vec());
    let tag = cipher
        .seal(nonce(&file), &file[..HEAD], &mut data)
        .map_err(|_| KeyError::Cipher)?;
    file.extend_from_slice(&data);
    file.extend_from_slice(&tag);
    directory::create(path, &file)
}

/// Opens a protected file.
///
/// # Errors
/// `WrongPassphrase`, or a file of another kind.
pub fn open(path: &Path, kind: Kind, passphrase: &SecretBytes) -> Result<SecretBytes, KeyError> {
    let mut file = read(path)?;
    let malformed = |what| KeyError::Malformed {
        path: path.to_owned(),
        what,
    };
    let head = file.get(..8).unwrap_or_default();
    if file.len() < HEAD + TAG || head[..5] != MAGIC || head[5..] != [kind as u8, 0, 0] {
        return Err(malformed("not a protected key of this kind"));
    }
    let key =
        derive(&file, passphrase).ok_or_else(|| malformed("unreasonable argon2 parameters"))?;
    let cipher = Portable::new(key.expose()).map_err(|_| KeyError::Cipher)?;
    let nonce = nonce(&file);
    let mut data = file.split_off(HEAD);
    let length = cipher
        .open(nonce, &file, &mut data)
        .map_err(|_| KeyError::WrongPassphrase(path.to_owned()))?;
    data.truncate(length);
    Ok(SecretBytes::new(data))
}

fn nonce(file: &[u8]) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.copy_from_slice(&file[36..HEAD]);
    nonce
}

fn derive(file: &[u8], passphrase: &SecretBytes) -> Option<Secret<32>> {
    let number = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&file[at..at + 4]);
        u32::from_be_bytes(bytes)
    };
    let (memory, passes, lanes) = (number(8), number(12), number(16));
    // a file must not make the gateway spend gigabytes
    if memory > 1024 * 1024 || passes > 64 || lanes > 64 {
        return None;
    }
    let params = Params::new(memory, passes, lanes, Some(32)).ok()?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Secret::filled(|key| argon.hash_password_into(passphrase.expose(), &file[20..36], key)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_passphrase_alone_opens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.identity");
        let (right, wrong) = (
            SecretBytes::new(b"right".to_vec()),
            SecretBytes::new(b"wrong".to_vec()),
        );
        let secret = SecretBytes::new(b"the secret".to_vec());
        write(&path, Kind::Identity, &secret, &right).unwrap();
        assert_eq!(
            open(&path, Kind::Identity, &right).unwrap().expose(),
            b"the secret"
        );
        assert!(matches!(
            open(&path, Kind::Identity, &wrong),
            Err(KeyError::WrongPassphrase(_))
        ));
        assert!(open(&path, Kind::Writer, &right).is_err());
        assert!(
            write(&path, Kind::Identity, &secret, &right).is_err(),
            "never overwritten"
        );
        let stored = std::fs::read(&path).unwrap();
        assert!(!stored.windows(10).any(|w| w == b"the secret"));
        for at in [6, 9, 21, 37, stored.len() - 1] {
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert!(open(&path, Kind::Identity, &right).is_err(), "byte {at}");
        }
    }
}
