//! Recipients (public) and identities (private): X-Wing key pairs, in the manner of age. Secrets are wrapped by HPKE
//! (RFC 9180) base mode with KEM X-Wing (0x647A), HKDF-SHA-384 and AES-256-GCM: hybrid, so that neither a break of
//! X25519 nor one of ML-KEM-768 alone opens a record.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha384;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use sha2::{Digest, Sha256};

use super::error::KeyError;
use crate::secret::{Secret, SecretBytes};

const RECIPIENT: &str = "sceau-recipient-1-";
const IDENTITY: &str = "SCEAU-IDENTITY-1-";
const CHECK: usize = 4;

type Public = <XWing as Kem>::PublicKey;
type Private = <XWing as Kem>::PrivateKey;

/// Names a recipient in records: the first half of SHA-256 of its public key.
pub type RecipientId = [u8; 16];

/// Whoever can open records, publicly.
#[derive(Clone)]
pub struct Recipient {
    key: Vec<u8>,
}

/// A wrapped secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrap {
    pub recipient: RecipientId,
    /// HPKE's encapsulated key, then the ciphertext with its tag.
    pub sealed: Vec<u8>,
}

impl Recipient {
    /// Reads `sceau-recipient-1-…`.
    ///
    /// # Errors
    /// Another form, a damaged checksum, a key that is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let wrong = |why| KeyError::Recipient(text.chars().take(40).collect(), why);
        let body = text
            .trim()
            .strip_prefix(RECIPIENT)
            .ok_or_else(|| wrong("it begins otherwise"))?;
        let key = unarmour(body).ok_or_else(|| wrong("it is damaged"))?;
        Public::from_bytes(&key).map_err(|_| wrong("it holds no X-Wing key"))?;
        Ok(Self { key })
    }

    pub fn id(&self) -> RecipientId {
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(&self.key)[..16]);
        id
    }

    /// Wraps a secret for this recipient; `info` binds it to its record.
    ///
    /// # Errors
    /// The cipher failed.
    pub fn wrap(&self, info: &[u8], secret: &Secret<48>) -> Result<Wrap, KeyError> {
        let public = Public::from_bytes(&self.key).map_err(|_| KeyError::Cipher)?;
        let (encapped, ciphertext) = hpke::single_shot_seal::<AesGcm256, HkdfSha384, XWing>(
            &OpModeS::Base,
            &public,
            info,
            secret.expose(),
            b"",
        )
        .map_err(|_| KeyError::Cipher)?;
        let mut sealed = encapped.to_bytes().to_vec();
        sealed.extend_from_slice(&ciphertext);
        Ok(Wrap {
            recipient: self.id(),
            sealed,
        })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{RECIPIENT}{}", armour(&self.key))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", hex::encode(self.id()))
    }
}

/// A private key that opens records.
pub struct Identity {
    private: Private,
    recipient: Recipient,
}

impl Identity {
    pub fn generate() -> Self {
        let (private, public) = XWing::gen_keypair();
        Self {
            private,
            recipient: Recipient {
                key: public.to_bytes().to_vec(),
            },
        }
    }

    /// Reads `SCEAU-IDENTITY-1-…`.
    ///
    /// # Errors
    /// Another form, or damaged.
    pub fn parse(text: &SecretBytes) -> Result<Self, KeyError> {
        let wrong = || KeyError::Recipient("an identity".to_owned(), "it is damaged");
        let text = std::str::from_utf8(text.expose()).map_err(|_| wrong())?;
        let body = text.trim().strip_prefix(IDENTITY).ok_or_else(wrong)?;
        let bytes = SecretBytes::new(unarmour(body).ok_or_else(wrong)?);
        let private = Private::from_bytes(bytes.expose()).map_err(|_| wrong())?;
        let public = XWing::sk_to_pk(&private);
        Ok(Self {
            private,
            recipient: Recipient {
                key: public.to_bytes().to_vec(),
            },
        })
    }

    /// The text form; a secret.
    pub fn to_text(&self) -> SecretBytes {
        let mut array = self.private.to_bytes();
        let body = SecretBytes::new(armour(&array).into_bytes());
        zeroize::Zeroize::zeroize(array.as_mut_slice());
        SecretBytes::new([IDENTITY.as_bytes(), body.expose()].concat())
    }

    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// Opens a wrap that is for this identity.
    ///
    /// # Errors
    /// It is for another, for another record, or damaged.
    pub fn unwrap(&self, info: &[u8], wrap: &Wrap) -> Result<Secret<48>, KeyError> {
        let size = <XWing as Kem>::EncappedKey::size();
        let (encapped, ciphertext) = wrap
            .sealed
            .split_at_checked(size)
            .ok_or(KeyError::Substituted)?;
        let encapped =
            <XWing as Kem>::EncappedKey::from_bytes(encapped).map_err(|_| KeyError::Substituted)?;
        let secret = hpke::single_shot_open::<AesGcm256, HkdfSha384, XWing>(
            &OpModeR::Base,
            &self.private,
            &encapped,
            info,
            ciphertext,
            b"",
        )
        .map_err(|_| KeyError::Substituted)?;
        Secret::from_slice(SecretBytes::new(secret).expose()).ok_or(KeyError::Substituted)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(of {:?})", self.recipient)
    }
}

/// Base64 of the key and the first bytes of its SHA-256.
fn armour(key: &[u8]) -> String {
    let mut bytes = key.to_vec();
    bytes.extend_from_slice(&Sha256::digest(key)[..CHECK]);
    let text = URL_SAFE_NO_PAD.encode(&bytes);
    zeroize::Zeroize::zeroize(&mut bytes);
    text
}

fn unarmour(text: &str) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let at = bytes.len().checked_sub(CHECK)?;
    let sum = bytes.split_off(at);
    (Sha256::digest(&bytes)[..CHECK] == sum[..]).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_opens_for_its_recipient_and_record_alone() {
        let (one, other) = (Identity::generate(), Identity::generate());
        let secret = Secret::from_slice(&[7; 48]).unwrap();
        let wrap = one.recipient().wrap(b"record", &secret).unwrap();
        assert_eq!(
            one.unwrap(b"record", &wrap).unwrap().expose(),
            secret.expose()
        );
        assert!(one.unwrap(b"another", &wrap).is_err());
        assert!(other.unwrap(b"record", &wrap).is_err());
    }

    #[test]
    fn text_forms_come_back_and_damage_is_seen() {
        let identity = Identity::generate();
        let again = Identity::parse(&identity.to_text()).unwrap();
        assert_eq!(again.recipient().id(), identity.recipient().id());
        let text = identity.recipient().to_string();
        assert_eq!(
            Recipient::parse(&text).unwrap().id(),
            identity.recipient().id()
        );
        let mut damaged = text.into_bytes();
        damaged[40] ^= 1;
        assert!(Recipient::parse(std::str::from_utf8(&damaged).unwrap()).is_err());
        assert!(!format!("{identity:?}").contains("SCEAU"));
    }
}
