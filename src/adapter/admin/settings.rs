//! Who may have what opened, as the operator decides.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::seal::scan::Language;
use crate::seal::token::Field;
use crate::secret::{Secret, SecretBytes};

/// Characters that a subscriber's secret has at least: nobody counts how often one is guessed wrong.
pub const SHORTEST_SECRET: usize = 32;

#[derive(Debug)]
pub struct Settings {
    /// Bytes of a text.
    pub max_text: u64,
    /// Of markers.
    pub language: Language,
    pub subscribers: Vec<Subscriber>,
}

/// A program of the administration's that receives sealed text past the gateway.
#[derive(Debug)]
pub struct Subscriber {
    /// In the log.
    pub name: Arc<str>,
    pub secret: BearerSecret,
    /// The services whose texts it may have opened, by their names. Never empty.
    pub services: Vec<String>,
    /// The fields that may open for it; `None`: all.
    pub fields: Option<Vec<Field>>,
}

/// A secret that clients send as it is (RFC 6750); kept as its SHA-256, so that comparing tells nothing of its length.
pub struct BearerSecret(Secret<32>);

impl BearerSecret {
    /// # Errors
    /// It is shorter than [`SHORTEST_SECRET`], or holds a character that no header field does.
    pub fn new(secret: &SecretBytes) -> Result<Self, String> {
        let bytes = secret.expose();
        if bytes.len() < SHORTEST_SECRET || !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(format!(
                "the file that it names must hold at least {SHORTEST_SECRET} visible ASCII characters (`openssl rand -base64 32`)"
            ));
        }
        Ok(Self(hashed(bytes)))
    }

    pub fn is(&self, given: &[u8]) -> bool {
        self.0.expose().ct_eq(hashed(given).expose()).into()
    }

    /// Whether two subscribers can't be told apart.
    pub fn same(&self, other: &Self) -> bool {
        self.0.expose().ct_eq(other.0.expose()).into()
    }
}

fn hashed(bytes: &[u8]) -> Secret<32> {
    let filled = Secret::filled(|hash: &mut [u8; 32]| {
        Sha256::new().chain_update(bytes).finalize_into(hash.into());
        Ok::<(), std::convert::Infallible>(())
    });
    match filled {
        Ok(hash) => hash,
        Err(never) => match never {},
    }
}

impl fmt::Debug for BearerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerSecret(redacted)")
    }
}
