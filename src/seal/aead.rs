//! AES-256-GCM behind one small trait, with two back ends: aws-lc-rs for bulk, the pure Rust `aes-gcm` for short
//! messages and as the cross-check. Known answers of both are tested before the first byte is sealed.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::layout::TAG;

/// The cipher failed, or the tag is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AeadError;

/// AES-256-GCM with a 96-bit nonce and a 128-bit tag (NIST SP 800-38D).
pub trait Aead: Sized + Send + Sync {
    /// # Errors
    /// The back end does not take the key.
    fn new(key: &[u8; 32]) -> Result<Self, AeadError>;

    /// Encrypts in place, gives the tag.
    ///
    /// # Errors
    /// The back end failed.
    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<[u8; TAG], AeadError>;

    /// Decrypts `data`, which is ciphertext and tag, in place; gives the plaintext's length.
    ///
    /// # Errors
    /// The tag is wrong; the contents of `data` are then of no use.
    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<usize, AeadError>;
}

/// The bulk back end: AWS-LC, constant time, vectorised.
pub struct Bulk(LessSafeKey);

impl Aead for Bulk {
    fn new(key: &[u8; 32]) -> Result<Self, AeadError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| AeadError)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<[u8; TAG], AeadError> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), data)
            .map_err(|_| AeadError)?;
        tag.as_ref().try_into().map_err(|_| AeadError)
    }

    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<usize, AeadError> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0
            .open_in_place(nonce, Aad::from(aad), data)
            .map(|plain| plain.len())
            .map_err(|_| AeadError)
    }
}

/// The second back end: RustCrypto's `aes-gcm`.
pub struct Portable(Aes256Gcm);

impl Aead for Portable {
    fn new(key: &[u8; 32]) -> Result<Self, AeadError> {
        Ok(Self(Aes256Gcm::new(key.into())))
    }

    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<[u8; TAG], AeadError> {
        self.0
            .encrypt_inout_detached(&nonce.into(), aad, data.into())
            .map(Into::into)
            .map_err(|_| AeadError)
    }

    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<usize, AeadError> {
        let length = data.len().checked_sub(TAG).ok_or(AeadError)?;
        let (text, tag) = data.split_at_mut(length);
        let tag: [u8; TAG] = (&*tag).try_into().map_err(|_| AeadError)?;
        self.0
            .decrypt_inout_detached(&nonce.into(), aad, text.into(), &tag.into())
            .map_err(|_| AeadError)?;
        Ok(length)
    }
}

/// Whether the processor has AES and carry-less multiplication instructions. Without them AES is 70 times slower.
pub fn hardware_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("aes")
            && std::arch::is_x86_feature_detected!("pclmulqdq")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("aes")
            && std::arch::is_aarch64_feature_detected!("pmull")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

/// A back end does not compute AES-256-GCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cipher's self-test failed: {0}")]
pub struct SelfTestError(&'static str);

/// Known answers of both back ends: test case 16 of the GCM specification (McGrew and Viega), and that a flipped
/// tag is refused.
///
/// # Errors
/// Any difference.
pub fn self_test() -> Result<(), SelfTestError> {
    known_answer::<Bulk>("aws-lc-rs")?;
    known_answer::<Portable>("aes-gcm")
}

const KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
const NONCE: &str = "cafebabefacedbaddecaf888";
const AAD: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const PLAIN: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                     1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
const CIPHER: &str = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                      8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662";
const MAC: &str = "76fc6ece0f4e1768cddf8853bb2d551b";

fn known_answer<A: Aead>(name: &'static str) -> Result<(), SelfTestError> {
    let failed = |_| SelfTestError(name);
    let bytes = |text: &str| hex::decode(text).map_err(|_| SelfTestError(name));
    let key: [u8; 32] = bytes(KEY)?.try_into().map_err(|_| SelfTestError(name))?;
    let nonce: [u8; 12] = bytes(NONCE)?.try_into().map_err(|_| SelfTestError(name))?;
    let (aad, plain) = (bytes(AAD)?, bytes(PLAIN)?);
    let cipher = A::new(&key).map_err(failed)?;
    let mut data = plain.clone();
    let tag = cipher.seal(nonce, &aad, &mut data).map_err(failed)?;
    if data != bytes(CIPHER)? || tag[..] != bytes(MAC)?[..] {
        return Err(SelfTestError(name));
    }
    data.extend_from_slice(&tag);
    let mut damaged = data.clone();
    damaged[0] ^= 1;
    if cipher.open(nonce, &aad, &mut damaged).is_ok() {
        return Err(SelfTestError(name));
    }
    let length = cipher.open(nonce, &aad, &mut data).map_err(failed)?;
    if data[..length] != plain[..] {
        return Err(SelfTestError(name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_back_ends_give_the_known_answers() {
        assert_eq!(self_test(), Ok(()));
    }
}
