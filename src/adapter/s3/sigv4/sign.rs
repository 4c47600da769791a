//! Signs requests to the provider.

use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::request::Parts;

use super::super::error::{INTERNAL_ERROR, S3Error};
use super::super::query::Query;
use super::super::time;
use super::canonical::{self, ALGORITHM};
use super::keys::SigningKey;
use crate::secret::SecretBytes;

/// One credential at the provider. Keeps the day's key.
#[derive(Debug)]
pub struct Signer {
    access_key: String,
    secret: SecretBytes,
    region: String,
    day: RwLock<Option<(String, SigningKey)>>,
}

impl Signer {
    pub fn new(
        access_key: impl Into<String>,
        secret: SecretBytes,
        region: impl Into<String>,
    ) -> Self {
        Self {
            access_key: access_key.into(),
            secret,
            region: region.into(),
            day: RwLock::new(None),
        }
    }

    /// Signs `host`, `content-type`, `content-md5` and every `x-amz-*`, which it must find in their final form, and
    /// sets `x-amz-date`, `x-amz-content-sha256` and `authorization`. The path must be encoded as
    /// [`Address::upstream_path`](super::super::address::Address::upstream_path) does; the query in any order.
    /// `payload` is `UNSIGNED-PAYLOAD` or the body's SHA-256 in hexadecimal digits.
    ///
    /// # Errors
    /// `InternalError` when there is no host or a header can't be made: the caller built the request wrongly.
    pub fn sign(&self, head: &mut Parts, payload: &str, now: SystemTime) -> Result<(), S3Error> {
        let date = time::basic(now);
        let day = date.get(..8).ok_or_else(|| S3Error::new(&INTERNAL_ERROR))?;
        if !head.headers.contains_key(HOST) {
            let host = canonical::host(head).and_then(|host| HeaderValue::from_bytes(host).ok());
            head.headers
                .insert(HOST, host.ok_or_else(|| S3Error::new(&INTERNAL_ERROR))?);
        }
        head.headers.insert("x-amz-date", value(&date)?);
        head.headers.insert("x-amz-content-sha256", value(payload)?);
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let mut signed: Vec<&str> = head
            .headers
            .keys()
            .filter(|name| is_signed(name))
            .map(HeaderName::as_str)
            .collect();
        signed.sort_unstable();
        let names = signed.join(";");
        let query = Query::parse(head.uri.query())?.canonical(None);
        let request = canonical::request(head, head.uri.path(), &query, &signed, &names, payload);
        let text = canonical::string_to_sign(&date, &scope, &request);
        let signature = self.key(day).sign(text.as_bytes());
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        head.headers.insert(AUTHORIZATION, value(&authorization)?);
        Ok(())
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    fn key(&self, day: &str) -> SigningKey {
        let kept = self.day.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((kept_day, key)) = kept.as_ref()
            && kept_day == day
        {
            return key.clone();
        }
        drop(kept);
        let key = SigningKey::derive(&self.secret, day, &self.region);
        *self.day.write().unwrap_or_else(PoisonError::into_inner) =
            Some((day.to_owned(), key.clone()));
        key
    }
}

fn is_signed(name: &HeaderName) -> bool {
    name == HOST
        || name == CONTENT_TYPE
        || name == "content-md5"
        || name.as_str().starts_with("x-amz-")
}

fn value(text: &str) -> Result<HeaderValue, S3Error> {
    HeaderValue::from_str(text).map_err(|_| S3Error::new(&INTERNAL_ERROR))
}
