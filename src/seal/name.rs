//! Names of files and directories, sealed one component at a time: the same name under the same key is the same text
//! every time, so that a provider can look it up, list it and move what lies below it.
//!
//! `n1` and, in base32 of `0-9a-v`, AES-256-SIV (RFC 5297) over the name, with the context as associated data. Servers
//! that fold or ignore case keep it. What shows: which names are equal, and how long they are.
//!
//! A name too long for that is written `n2` and, in the same base32, 32 bytes derived from it. The text does not give the
//! name back: whoever uses it keeps the name, sealed, and finds it by the text.

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use data_encoding::BASE32_DNSSEC;

use super::keys::{SECRET, expand, subsecret};
use super::{Context, SealError};
use crate::secret::Secret;

/// What a sealed name begins with.
const PREFIX: &str = "n1";
const LABEL: &[u8] = b"sceau-name/v1\0";
/// What stands for a name too long to be sealed in place.
const DIGEST_PREFIX: &str = "n2";
const DIGEST_LABEL: &[u8] = b"sceau-name-digest/v1\0";
/// Bytes that are derived from such a name.
const DIGEST: usize = 32;
/// Characters of the text that stands for it.
pub const DIGEST_TEXT: usize = DIGEST_PREFIX.len() + (DIGEST * 8).div_ceil(5);
/// The longest name that most servers keep.
const COMPONENT: usize = 255;
const TAG: usize = 16;
/// Bytes of the longest name that is sealed in place.
pub const LONGEST: usize = (COMPONENT - PREFIX.len()) * 5 / 8 - TAG;
/// Bytes of the longest name that a digest stands for: 255 characters, as Windows counts them, in UTF-8.
pub const LONGEST_KEPT: usize = 3 * COMPONENT;

/// Seals and opens the names of one tenant, service and namespace.
pub struct NameKey {
    key: Secret<64>,
    /// Digests are derived from it.
    secret: Secret<SECRET>,
    context: Vec<u8>,
}

impl NameKey {
    /// From the service secret.
    pub fn new(service: &Secret<SECRET>, context: &Context) -> Self {
        let mut info = Vec::new();
        context.append_to(&mut info);
        let secret = subsecret(service, "name");
        Self {
            key: expand(&secret, &[LABEL, &info]),
            secret,
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

    /// What stands for a name that is too long to be sealed in place.
    ///
    /// # Errors
    /// `Length`: a name that [`Self::seal`] takes, or one longer than [`LONGEST_KEPT`].
    pub fn digest(&self, name: &[u8]) -> Result<String, SealError> {
        if name.len() <= LONGEST || name.len() > LONGEST_KEPT {
            return Err(SealError::Length);
        }
        let digest: Secret<DIGEST> = expand(&self.secret, &[DIGEST_LABEL, &self.context, name]);
        let text = BASE32_DNSSEC.encode(digest.expose());
        Ok(format!("{DIGEST_PREFIX}{text}"))
    }

    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new(self.key.expose().into())
    }
}

/// The text in lower case, where it has the form of a name's digest.
pub fn as_digest(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let letter = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'v');
    let rest = text.strip_prefix(DIGEST_PREFIX)?;
    (text.len() == DIGEST_TEXT && rest.bytes().all(letter)).then_some(text)
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

    #[test]
    fn a_digest_stands_for_each_long_name() {
        let long = |n: usize| "x".repeat(n).into_bytes();
        let digest = key(1, "a").digest(&long(LONGEST + 1)).unwrap();
        assert_eq!(as_digest(&digest), Some(digest.clone()));
        assert_eq!(as_digest(&digest.to_uppercase()), Some(digest.clone()));
        assert_eq!(key(1, "a").digest(&long(LONGEST + 1)).unwrap(), digest);
        for (key, n) in [
            (key(1, "a"), LONGEST + 2),
            (key(1, "a"), LONGEST_KEPT),
            (key(1, "b"), LONGEST + 1),
            (key(2, "a"), LONGEST + 1),
        ] {
            assert_ne!(key.digest(&long(n)).unwrap(), digest);
        }
        for n in [0, LONGEST, LONGEST_KEPT + 1] {
            assert_eq!(key(1, "a").digest(&long(n)), Err(SealError::Length));
        }
        assert_eq!(key(1, "a").open(&digest), None);
        let short = key(1, "a").seal(b"x").unwrap();
        for other in [
            &short,
            &digest[..DIGEST_TEXT - 1],
            "n2",
            "é",
            &digest.replace("n2", "n3"),
        ] {
            assert_eq!(as_digest(other), None, "{other}");
        }
    }

    /// The values were made with pyca/cryptography's AESSIV and HKDFExpand.
    #[test]
    fn the_form_is_fixed() {
        let sealed = key(7, "default").seal("Rapport.odt".as_bytes()).unwrap();
        assert_eq!(sealed, "n1oe821rfsi951445i9gku6t5cdpgpnmo1flvsqgjktbeg");
        let digest = key(7, "default").digest(format!("{}.odt", "Rapport ".repeat(20)).as_bytes());
        let text = "n29qv675hunvvfet1ofsrtjtp3tcv8edlviskqproeg94f9168ad1g";
        assert_eq!(digest.unwrap(), text);
    }
}
