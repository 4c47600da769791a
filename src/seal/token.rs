//! Tokens: short values sealed as text (`docs/tokens.md`).
//!
//! ```text
//! token = "sc1." | base64url(head | commitment 16 | ciphertext | tag 16) | "." | base64url(CRC-32C of what stands before)
//! head  = version 01 | suite 01 | epoch 16 | field 8 | salt 24
//! ```
//! The alphabet is one that JSON, HTML and URLs leave alone, so a token is found wherever it ends up.

use std::borrow::Borrow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha384};
use subtle::ConstantTimeEq;

use super::aead::{Aead, Portable};
use super::keys::{EpochKeys, EpochShort, KeyLookup, LookupError, Prk, SECRET, subsecret};
use super::layout::TAG;
use super::run::array;
use super::{Context, OpenError, Salt, SealError};
use crate::secret::Secret;

/// What every token begins with.
pub const PREFIX: &str = "sc1.";
/// Characters of the checksum, after the second dot.
pub const CHECKSUM: usize = 6;
/// Bytes of plaintext that a token holds at most: it must be opened in bounded memory, and is released only whole.
pub const MAX_PLAIN: usize = 65_536;

const VERSION: u8 = 1;
const SUITE: u8 = 1;
const EPOCH: usize = 2;
const FIELD: usize = 18;
const SALT: usize = 26;
const HEAD: usize = 50;
const COMMITMENT: usize = 16;
const BODY: usize = HEAD + COMMITMENT;

const LABEL: &[u8] = b"sceau-token/v1\0";
const SALT_LABEL: &[u8] = b"sceau-token-salt/v1\0";
const FIELD_LABEL: &[u8] = b"sceau-field/v1\0";
const INDEX_LABEL: &[u8] = b"sceau-index/v1\0";

/// Which field a value belongs to: the first 8 bytes of SHA-384 over the field's name. A token says which field it was
/// sealed for, so it opens wherever it was quoted, and whoever knows where it stands can tell that it was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field(pub [u8; 8]);

impl Field {
    pub fn named(name: &str) -> Self {
        let digest = Sha384::new()
            .chain_update(FIELD_LABEL)
            .chain_update(name)
            .finalize();
        Self(array(&digest[..8]))
    }
}

/// What a token held.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    pub field: Field,
    pub plaintext: Vec<u8>,
}

/// Characters of the token of `plain` bytes.
pub const fn sealed_len(plain: usize) -> usize {
    PREFIX.len() + ((BODY + plain + TAG) * 4).div_ceil(3) + 1 + CHECKSUM
}

/// Bytes of plaintext whose token has at most `characters`. `None`: not even the empty text's.
pub const fn plain_room(characters: usize) -> Option<usize> {
    match characters.checked_sub(PREFIX.len() + 1 + CHECKSUM) {
        Some(text) => (text * 3 / 4).checked_sub(BODY + TAG),
        None => None,
    }
}

/// Seals a value for a field. A keyed hash of the plaintext is mixed into the salt, so that even a repeated `salt` does
/// not repeat a key for another text.
///
/// # Errors
/// `TooLarge` beyond [`MAX_PLAIN`].
pub fn seal(
    keys: &EpochKeys,
    context: &Context,
    field: Field,
    salt: Salt,
    plaintext: &[u8],
) -> Result<String, SealError> {
    if plaintext.len() > MAX_PLAIN {
        return Err(SealError::TooLarge);
    }
    let mixed: Secret<24> = keys.token.expand(&[SALT_LABEL, &salt.0, plaintext]);
    let mut binary = Vec::with_capacity(BODY + plaintext.len() + TAG);
    binary.extend_from_slice(&[VERSION, SUITE]);
    binary.extend_from_slice(&keys.id.short().0);
    binary.extend_from_slice(&field.0);
    binary.extend_from_slice(mixed.expose());
    let derived = derive(keys, context, &binary);
    binary.extend_from_slice(&derived.expose()[32..]);
    binary.extend_from_slice(plaintext);
    let (cipher, nonce) = cipher(&derived, &binary).ok_or(SealError::Cipher)?;
    let tag = cipher
        .seal(nonce, &[], &mut binary[BODY..])
        .map_err(|_| SealError::Cipher)?;
    binary.extend_from_slice(&tag);
    let mut text = String::with_capacity(sealed_len(plaintext.len()));
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(&binary, &mut text);
    let checksum = checksum(text.as_bytes());
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(checksum, &mut text);
    Ok(text)
}

/// Opens a token; `text` is the token and nothing else.
///
/// # Errors
/// `Checksum` when it was damaged on its way, `Header` when it is no base64url, `Commitment` when it belongs to another context or key.
pub fn open(lookup: &dyn KeyLookup, context: &Context, text: &[u8]) -> Result<Opened, OpenError> {
    open_by(|epoch| Ok((lookup.epoch(epoch)?, context)), text)
}

/// Finds what tokens open under.
pub trait TokenKeys: Send + Sync {
    /// An epoch's keys, and the context in which its tokens are sealed.
    ///
    /// # Errors
    /// The epoch is not known, or its key can't be opened now.
    fn find(&self, epoch: EpochShort) -> Result<(Arc<EpochKeys>, Arc<Context>), LookupError>;
}

/// Tokens of one context.
pub struct OneContext {
    pub lookup: Arc<dyn KeyLookup>,
    pub context: Arc<Context>,
}

impl TokenKeys for OneContext {
    fn find(&self, epoch: EpochShort) -> Result<(Arc<EpochKeys>, Arc<Context>), LookupError> {
        Ok((self.lookup.epoch(epoch)?, self.context.clone()))
    }
}

/// [`open`], in the context that goes with the token's epoch.
///
/// # Errors
/// As for [`open`].
pub fn open_found(keys: &dyn TokenKeys, text: &[u8]) -> Result<Opened, OpenError> {
    open_by(|epoch| keys.find(epoch), text)
}

fn open_by<C: Borrow<Context>>(
    find: impl FnOnce(EpochShort) -> Result<(Arc<EpochKeys>, C), LookupError>,
    text: &[u8],
) -> Result<Opened, OpenError> {
    let mut binary = decode(text)?;
    if binary.len() < BODY + TAG || binary.len() > BODY + MAX_PLAIN + TAG {
        return Err(OpenError::Length);
    }
    if binary[..EPOCH] != [VERSION, SUITE] {
        return Err(OpenError::Suite);
    }
    let (keys, context) = find(EpochShort(array(&binary[EPOCH..FIELD])))?;
    let derived = derive(&keys, context.borrow(), &binary[..HEAD]);
    if !bool::from(derived.expose()[32..].ct_eq(&binary[HEAD..BODY])) {
        return Err(OpenError::Commitment);
    }
    let field = Field(array(&binary[FIELD..SALT]));
    let (cipher, nonce) = cipher(&derived, &binary).ok_or(OpenError::Segment)?;
    let length = cipher
        .open(nonce, &[], &mut binary[BODY..])
        .map_err(|_| OpenError::Segment)?;
    binary.truncate(BODY + length);
    binary.drain(..BODY);
    Ok(Opened {
        field,
        plaintext: binary,
    })
}

/// The binary form, once the checksum holds.
fn decode(text: &[u8]) -> Result<Vec<u8>, OpenError> {
    let rest = text
        .strip_prefix(PREFIX.as_bytes())
        .ok_or(OpenError::NotSealed)?;
    let dot = rest
        .len()
        .checked_sub(1 + CHECKSUM)
        .ok_or(OpenError::Length)?;
    if rest[dot] != b'.' {
        return Err(OpenError::Length);
    }
    let stands = URL_SAFE_NO_PAD
        .decode(&rest[dot + 1..])
        .map_err(|_| OpenError::Checksum)?;
    if stands != checksum(&text[..PREFIX.len() + dot]) {
        return Err(OpenError::Checksum);
    }
    URL_SAFE_NO_PAD
        .decode(&rest[..dot])
        .map_err(|_| OpenError::Header)
}

/// Tells a damaged or cut token from a whole one at the price of a pass; it protects nothing.
fn checksum(text: &[u8]) -> [u8; 4] {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, text);
    (crc as u32).to_be_bytes()
}

/// `key 32 | commitment 16`; one HMAC block. `head` is the token's first 50 bytes.
fn derive(keys: &EpochKeys, context: &Context, head: &[u8]) -> Secret<48> {
    let mut tail = Vec::with_capacity(64);
    context.append_to(&mut tail);
    keys.token.expand(&[LABEL, head, &tail])
}

/// The key seals one message, so any nonce would do; the salt's first half is at hand.
fn cipher(derived: &Secret<48>, binary: &[u8]) -> Option<(Portable, [u8; 12])> {
    let cipher = Portable::new(&array(&derived.expose()[..32])).ok()?;
    Some((cipher, array(&binary[SALT..SALT + 12])))
}

/// How values are made alike before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normal {
    /// Bytes as they are.
    Exact,
    /// White space around it dropped, lower case.
    Folded,
}

/// Makes equality indexes: equal values of one field give equal texts, and nothing else is told. Whoever sees the texts
/// learns which values are equal and how often each stands.
#[derive(Debug)]
pub struct Index(Prk);

impl Index {
    /// `service` is the service secret: an index must be found for as long as the records live, longer than an epoch.
    pub fn new(service: &Secret<SECRET>) -> Self {
        Self(Prk::new(&subsecret(service, "index")))
    }

    /// 22 characters of base64url: 128 bits.
    pub fn of(&self, context: &Context, field: Field, normal: Normal, value: &str) -> String {
        let folded;
        let value = match normal {
            Normal::Exact => value,
            Normal::Folded => {
                folded = value.trim().to_lowercase();
                &folded
            }
        };
        let mut info = Vec::with_capacity(64);
        context.append_to(&mut info);
        info.extend_from_slice(&field.0);
        let hash: Secret<16> = self.0.expand(&[INDEX_LABEL, &info, value.as_bytes()]);
        URL_SAFE_NO_PAD.encode(hash.expose())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seal::EpochSecret;

    struct One(Arc<EpochKeys>);

    impl KeyLookup for One {
        fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
            (short == self.0.id.short())
                .then(|| self.0.clone())
                .ok_or(LookupError::Unknown)
        }
    }

    fn epoch(fill: u8) -> One {
        let secret = Secret::from_slice(&[fill; 48]).unwrap();
        One(Arc::new(EpochSecret::new(secret).keys()))
    }

    fn context() -> Context {
        Context::new("interior", "chat", "default").unwrap()
    }

    fn token(plain: &[u8]) -> String {
        let salt = Salt::of_test_vector([0x5A; 32]);
        seal(&epoch(3).0, &context(), Field::named("body"), salt, plain).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_and_names_its_field() {
        for n in [0, 1, 2, 3, 255, 256, MAX_PLAIN] {
            let plain: Vec<u8> = (0..n).map(|i| i as u8).collect();
            let token = token(&plain);
            assert_eq!(token.len(), sealed_len(n));
            assert_eq!(plain_room(token.len()), Some(n));
            assert_eq!(plain_room(token.len() - 1), n.checked_sub(1));
            let opened = open(&epoch(3), &context(), token.as_bytes()).unwrap();
            assert_eq!(opened.plaintext, plain);
            assert_eq!(opened.field, Field::named("body"));
        }
        let salt = Salt::of_test_vector([0; 32]);
        let long = vec![0; MAX_PLAIN + 1];
        let refused = seal(&epoch(3).0, &context(), Field::named("x"), salt, &long);
        assert_eq!(refused, Err(SealError::TooLarge));
    }

    #[test]
    fn no_encoding_changes_it() {
        let token = token(&[0xFF; 200]);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        assert!(token.bytes().all(plain));
    }

    /// Every bit of the text; and, so that the checksum hides nothing, every bit of the binary form under a good one.
    #[test]
    fn every_flipped_bit_is_refused() {
        let token = token(b"bonjour");
        for bit in 0..token.len() * 8 {
            let mut damaged = token.clone().into_bytes();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&epoch(3), &context(), &damaged).is_err(), "bit {bit}");
        }
        let end = token.len() - 1 - CHECKSUM;
        let binary = URL_SAFE_NO_PAD.decode(&token[PREFIX.len()..end]).unwrap();
        for bit in 0..binary.len() * 8 {
            let mut damaged = binary.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = open(&epoch(3), &context(), text_of(&damaged).as_bytes()).unwrap_err();
            let expected = match bit / 8 {
                0..EPOCH => OpenError::Suite,
                EPOCH..FIELD => OpenError::UnknownEpoch,
                FIELD..BODY => OpenError::Commitment,
                _ => OpenError::Segment,
            };
            assert_eq!(error, expected, "bit {bit}");
        }
    }

    fn text_of(binary: &[u8]) -> String {
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(binary));
        let checksum = URL_SAFE_NO_PAD.encode(checksum(text.as_bytes()));
        format!("{text}.{checksum}")
    }

    #[test]
    fn every_truncation_is_refused() {
        let token = token(b"bonjour");
        for n in 0..token.len() {
            assert!(open(&epoch(3), &context(), &token.as_bytes()[..n]).is_err());
        }
    }

    #[test]
    fn another_context_or_epoch_does_not_open_it() {
        let token = token(b"bonjour");
        for (tenant, service, namespace) in [
            ("justice", "chat", "default"),
            ("interior", "mail", "default"),
            ("interior", "chat", "other"),
        ] {
            let other = Context::new(tenant, service, namespace).unwrap();
            let refused = open(&epoch(3), &other, token.as_bytes());
            assert_eq!(refused, Err(OpenError::Commitment));
        }
        let refused = open(&epoch(4), &context(), token.as_bytes());
        assert_eq!(refused, Err(OpenError::UnknownEpoch));
        /// Answers with a key that is not the one asked for.
        struct Wrong(Arc<EpochKeys>);
        impl KeyLookup for Wrong {
            fn epoch(&self, _: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
                Ok(self.0.clone())
            }
        }
        let refused = open(&Wrong(epoch(4).0), &context(), token.as_bytes());
        assert_eq!(refused, Err(OpenError::Commitment));
    }

    #[test]
    fn a_repeated_salt_repeats_no_key_for_another_text() {
        let salt_of = |token: &str| {
            let end = token.len() - 1 - CHECKSUM;
            URL_SAFE_NO_PAD.decode(&token[PREFIX.len()..end]).unwrap()[SALT..HEAD].to_vec()
        };
        assert_ne!(salt_of(&token(b"oui")), salt_of(&token(b"non")));
        assert_eq!(token(b"oui"), token(b"oui"));
    }

    #[test]
    fn an_index_tells_equality_within_its_field_and_context() {
        let index = Index::new(&Secret::from_slice(&[9; 48]).unwrap());
        let field = Field::named("surname");
        let of = |value| index.of(&context(), field, Normal::Folded, value);
        assert_eq!(of("Dupont"), of("  DUPONT "));
        assert_ne!(of("Dupont"), of("Durand"));
        assert_eq!(of("Dupont").len(), 22);
        let exact = index.of(&context(), field, Normal::Exact, "Dupont");
        assert_ne!(exact, of("Dupont"));
        let elsewhere = Context::new("justice", "chat", "default").unwrap();
        assert_ne!(of("x"), index.of(&elsewhere, field, Normal::Folded, "x"));
        let other = index.of(&context(), Field::named("title"), Normal::Folded, "x");
        assert_ne!(of("x"), other);
    }

    proptest! {
        #[test]
        fn noise_never_opens_and_never_panics(text in "sc1\\.[A-Za-z0-9_.-]{0,300}") {
            prop_assert!(open(&epoch(3), &context(), text.as_bytes()).is_err());
        }
    }
}
