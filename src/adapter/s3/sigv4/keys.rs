//! Signing keys: derived once a day, region and credential, then kept.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::secret::SecretBytes;

/// Most keys that are kept; a day and region of a credential take one each.
const KEPT_MAX: usize = 1024;

/// A credential's key for one day, region and the service `s3`.
#[derive(Debug, Clone)]
pub struct SigningKey(Arc<hmac::Key>);

impl SigningKey {
    /// AWS General Reference, "Derive a signing key". `day` is `YYYYMMDD`.
    pub fn derive(secret: &SecretBytes, day: &str, region: &str) -> Self {
        let mut first = Zeroizing::new(Vec::with_capacity(4 + secret.expose().len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret.expose());
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, &first);
        let mut tag = Zeroizing::new([0; 32]);
        for step in [day, region, "s3", "aws4_request"] {
            let mut context = hmac::Context::with_key(&key);
            context.update(step.as_bytes());
            tag.copy_from_slice(context.sign().as_ref());
            key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_slice());
        }
        Self(Arc::new(key))
    }

    /// The signature, as lower-case hexadecimal digits.
    pub fn sign(&self, text: &[u8]) -> String {
        HEXLOWER.encode(hmac::sign(&self.0, text).as_ref())
    }

    /// Whether `signature` (64 hexadecimal digits) is that of `text`; compared in constant time.
    pub fn accepts(&self, text: &[u8], signature: &str) -> bool {
        let mut tag = [0; 32];
        hex::decode_to_slice(signature, &mut tag).is_ok()
            && hmac::verify(&self.0, text, &tag).is_ok()
    }
}

/// Access key, day, region.
type Name = (String, String, String);

/// Keys that were derived before. It does not notice a changed secret: one cache a configuration.
#[derive(Debug, Default)]
pub struct KeyCache {
    kept: RwLock<HashMap<Name, SigningKey>>,
}

impl KeyCache {
    pub fn get(
        &self,
        access_key: &str,
        secret: &SecretBytes,
        day: &str,
        region: &str,
    ) -> SigningKey {
        let name = (access_key.to_owned(), day.to_owned(), region.to_owned());
        let kept = self
            .kept
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&name)
            .cloned();
        if let Some(key) = kept {
            return key;
        }
        let key = SigningKey::derive(secret, day, region);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(name, key.clone());
        key
    }
}

/// SHA-256 as lower-case hexadecimal digits.
pub fn sha256_hex(data: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, data).as_ref())
}
