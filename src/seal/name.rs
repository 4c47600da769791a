//! Names of files and directories, sealed one component at a time: the same name under the same key is the same text
//! every time, so that a provider can look it up, list it and move what lies below it.
//!
//! `n1` and, in base32 of `0-9a-v`, AES-256-SIV (RFC 5297) over the name, with the context as associated data. Servers
//! that fold or ignore case keep it. What shows: which names are equal, and how long they are.

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use data_encoding::BASE32_DNSSEC;

use super::keys::{SECRET, expand, subsecret};
use super::{Context, SealError};
use crate::secret::Secret;

/// What a sealed name begins with.
const PREFIX: &str = "n1";
const LABEL: &[u8] = b"sceau-name/v1\0";
/// The longest name that most servers keep.
const COMPONENT: usize = 255;
const TAG: usize = 16;
/// Bytes of the longest name that can be sealed.
pub const LONGEST: usize = (COMPONENT - PREFIX.len()) * 5 / 8 - TAG;

/// Seals and opens the names of one tenant, service and namespace.
pub struct NameKey {
    key: Secret<64>,
    context: Vec<u8>,
}

impl NameKey {
    /// From the service secret.
    pub fn new(service: &Secret<SECRET>, context: &Context) -> Self {
        let mut info = Vec::new();
        context.append_to(&mut info);
        Self {
            key: expand(&subsecret(service, "name"), &[LABEL, &info]),
            context: info,
        }
    }

    /// # Errors
    /// `Length`: an empty name, or one longer than [`LONGEST`].
    pub fn seal(&self, name: &[u8]) -> Result<String, SealError> {
        if name.is_empty() || name.len() > LONGEST {
            return Err(SealError::Length);
        }
        let sealed = self
            .cipher()
            .encrypt([&self.context], name)
            .map_err(|_| SealError::Cipher)?;
        Ok(format!("{PREFIX}{}", BASE32_DNSSEC.encode(&sealed)))
    }

    /// `None`: the text is no name that this key sealed.
    pub fn open(&self, text: &str) -> Option<Vec<u8>> {
        let (prefix, rest) = text.split_at_checked(PREFIX.len())?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return None;
        }
        let sealed = BASE32_DNSSEC.decode(rest.as_bytes()).ok()?;
        self.cipher().decrypt([&self.context], &sealed).ok()
    }

    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new(self.key.expose().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: u8, namespace: &str) -> NameKey {
        let context = Context::new("tenant", "service", namespace).unwrap();
        NameKey::new(&Secret::from_slice(&[secret; 48]).unwrap(), &context)
    }

    #[test]
    fn a_name_comes_back_whatever_the_case() {
        let key = key(1, "a");
        for name in ["a", "Bericht März.pdf", ".hidden", &"x".repeat(LONGEST)] {
            let sealed = key.seal(name.as_bytes()).unwrap();
            assert!(sealed.len() <= COMPONENT);
            assert!(
                sealed
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
            );
            assert_eq!(key.open(&sealed).unwrap(), name.as_bytes());
            assert_eq!(key.open(&sealed.to_uppercase()).unwrap(), name.as_bytes());
            assert_eq!(key.seal(name.as_bytes()).unwrap(), sealed);
        }
    }

    #[test]
    fn every_change_is_noticed() {
        let key = key(1, "a");
        let sealed = key.seal(b"name").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(key.open(std::str::from_utf8(&changed).unwrap()), None);
            assert_eq!(key.open(&sealed[..at]), None);
        }
        assert_eq!(key.open("name"), None);
        assert_eq!(key.open("é"), None);
    }

    #[test]
    fn names_of_another_context_or_secret_do_not_open() {
        let sealed = key(1, "a").seal(b"name").unwrap();
        assert_eq!(key(1, "b").open(&sealed), None);
        assert_eq!(key(2, "a").open(&sealed), None);
    }

    #[test]
    fn too_long_and_empty_names_are_refused() {
        assert_eq!(key(1, "a").seal(b""), Err(SealError::Length));
        assert_eq!(
            key(1, "a").seal(&[b'x'; LONGEST + 1]),
            Err(SealError::Length)
        );
    }

    /// The value was made with pyca/cryptography's AESSIV and HKDFExpand.
    #[test]
    fn the_form_is_fixed() {
        let sealed = key(7, "default").seal("Rapport.odt".as_bytes()).unwrap();
        assert_eq!(sealed, "n1oe821rfsi951445i9gku6t5cdpgpnmo1flvsqgjktbeg");
    }
}
