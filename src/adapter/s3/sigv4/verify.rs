//! Verifies a client's signature, in the header or in the query (presigned).

use std::time::{Duration, SystemTime};

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::address::{decode, encode_path};
use super::super::error::{
    ACCESS_DENIED, AUTHORIZATION_HEADER_MALFORMED, AUTHORIZATION_QUERY_PARAMETERS_ERROR,
    INVALID_ACCESS_KEY_ID, INVALID_REQUEST, REQUEST_TIME_TOO_SKEWED, S3Error,
    SIGNATURE_DOES_NOT_MATCH,
};
use super::super::query::{Query, has_amz_prefix};
use super::super::time;
use super::authorization::{Claim, Credential, claim};
use super::keys::{KeyCache, SigningKey};
use super::payload::PayloadForm;
use super::{canonical, post};
use crate::secret::SecretBytes;

/// How far a client's clock may be off.
const SKEW_MAX: Duration = Duration::from_secs(900);
/// Most headers that a signature may name.
const SIGNED_MAX: usize = 128;

/// The credentials that the gateway issued.
pub trait CredentialLookup: Send + Sync {
    /// The secret key of an access key.
    fn secret(&self, access_key: &str) -> Option<&SecretBytes>;
}

/// Verifies with the regions that a service allows. Keeps derived keys, so make one for each configuration: a secret
/// that changes under a living verifier goes unnoticed.
#[derive(Debug)]
pub struct Verifier {
    regions: Vec<String>,
    keys: KeyCache,
}

/// What the signatures of a body's chunks continue from.
#[derive(Debug, Clone)]
pub struct Chain {
    pub key: SigningKey,
    /// `YYYYMMDDTHHMMSSZ`
    pub date: String,
    /// `YYYYMMDD/region/s3/aws4_request`
    pub scope: String,
    /// The request's own signature.
    pub seed: String,
}

/// A request whose signature holds.
#[derive(Debug)]
pub struct Verified {
    pub access_key: String,
    pub payload: PayloadForm,
    pub presigned: bool,
    /// Headers that a presigned URL carries in its query (`x-amz-meta-*`, `x-amz-tagging`, a checksum). The signature
    /// covers them; they count as if they had been sent as headers.
    pub hoisted: Vec<(HeaderName, HeaderValue)>,
    pub chain: Chain,
}

impl Verified {
    /// Adds the hoisted headers to those of the request.
    pub fn add_hoisted(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.hoisted {
            headers.insert(name.clone(), value.clone());
        }
    }
}

impl Verifier {
    /// `regions` are those that a credential's scope may name.
    pub fn new(regions: Vec<String>) -> Self {
        Self {
            regions,
            keys: KeyCache::default(),
        }
    }

    /// # Errors
    /// The S3 error of whatever is missing, malformed, too old or wrong.
    pub fn verify(
        &self,
        head: &Parts,
        query: &Query,
        credentials: &dyn CredentialLookup,
        now: SystemTime,
    ) -> Result<Verified, S3Error> {
        let claim = claim(&head.headers, query)?;
        let presigned = claim.expires.is_some();
        check_times(&claim, now)?;
        self.check_scope(&claim.credential, &claim.date, presigned)?;
        let secret = secret_of(credentials, claim.credential.access_key)?;
        let signed = signed_headers(&claim, &head.headers)?;
        let payload = payload_text(&head.headers, query, presigned)?;
        let form = PayloadForm::parse(payload)?;
        let hoisted = if presigned {
            hoisted(query, &head.headers)?
        } else {
            Vec::new()
        };

        let credential = &claim.credential;
        let key = self.keys.get(
            credential.access_key,
            secret,
            credential.day,
            credential.region,
        );
        let canonical_query = query.canonical(presigned.then_some("X-Amz-Signature"));
        let accepts = |path: &str| {
            let request = canonical::request(
                head,
                path,
                &canonical_query,
                &signed,
                claim.signed_headers,
                payload,
            );
            let text = canonical::string_to_sign(&claim.date, credential.scope, &request);
            key.accepts(text.as_bytes(), claim.signature)
        };
        let raw = head.uri.path();
        if !accepts(raw) && !reencoded(raw).is_some_and(|path| accepts(&path)) {
            return Err(S3Error::new(&SIGNATURE_DOES_NOT_MATCH)
                .detail("AWSAccessKeyId", credential.access_key));
        }
        Ok(Verified {
            access_key: credential.access_key.to_owned(),
            payload: form,
            presigned,
            hoisted,
            chain: Chain {
                date: claim.date.clone(),
                scope: credential.scope.to_owned(),
                seed: claim.signature.to_owned(),
                key,
            },
        })
    }

    /// Verifies a form upload's policy and that its fields satisfy it. `fields` are those before the file, in order;
    /// `${filename}` is replaced already; `bucket` is the address's.
    ///
    /// # Errors
    /// The S3 error of whatever is missing, malformed, expired or not allowed by the policy.
    pub fn verify_form(
        &self,
        fields: &[post::FormField],
        bucket: &str,
        credentials: &dyn CredentialLookup,
        now: SystemTime,
    ) -> Result<post::VerifiedForm, S3Error> {
        let claim = post::FormClaim::parse(fields)?;
        self.check_scope(&claim.credential, &claim.date, true)?;
        let secret = secret_of(credentials, claim.credential.access_key)?;
        let credential = &claim.credential;
        let key = self.keys.get(
            credential.access_key,
            secret,
            credential.day,
            credential.region,
        );
        if !key.accepts(claim.policy.as_bytes(), claim.signature) {
            return Err(S3Error::new(&SIGNATURE_DOES_NOT_MATCH)
                .detail("AWSAccessKeyId", credential.access_key));
        }
        let length = post::check_policy(&claim, fields, bucket, now)?;
        Ok(post::VerifiedForm {
            length,
            verified: Verified {
                access_key: credential.access_key.to_owned(),
                payload: PayloadForm::Unsigned,
                presigned: false,
                hoisted: Vec::new(),
                chain: Chain {
                    date: claim.date.clone(),
                    scope: credential.scope.to_owned(),
                    seed: claim.signature.to_owned(),
                    key,
                },
            },
        })
    }

    fn check_scope(
        &self,
        credential: &Credential<'_>,
        date: &str,
        query_form: bool,
    ) -> Result<(), S3Error> {
        let fail = |why: String| {
            if query_form {
                let message = format!("Error parsing the X-Amz-Credential parameter; {why}");
                S3Error::with(&AUTHORIZATION_QUERY_PARAMETERS_ERROR, message)
            } else {
                let message = format!("The authorization header is malformed; {why}");
                S3Error::with(&AUTHORIZATION_HEADER_MALFORMED, message)
            }
        };
        if !self
            .regions
            .iter()
            .any(|region| region == credential.region)
        {
            let expected = self.regions.first().map_or("", String::as_str);
            let why = format!(
                "the region '{}' is wrong; expecting '{expected}'",
                credential.region
            );
            return Err(fail(why).detail("Region", expected));
        }
        if date.get(..8) != Some(credential.day) {
            return Err(fail(format!(
                "Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \"{date}\".",
                credential.day
            )));
        }
        Ok(())
    }
}

fn secret_of<'c>(
    credentials: &'c dyn CredentialLookup,
    access_key: &str,
) -> Result<&'c SecretBytes, S3Error> {
    credentials
        .secret(access_key)
        .ok_or_else(|| S3Error::new(&INVALID_ACCESS_KEY_ID).detail("AWSAccessKeyId", access_key))
}

fn check_times(claim: &Claim<'_>, now: SystemTime) -> Result<(), S3Error> {
    match claim.expires {
        None if time::distance(now, claim.at) > SKEW_MAX => {
            Err(S3Error::new(&REQUEST_TIME_TOO_SKEWED)
                .detail("RequestTime", claim.date.clone())
                .detail("ServerTime", time::extended(now))
                .detail("MaxAllowedSkewMilliseconds", "900000"))
        }
        None => Ok(()),
        Some(_) if claim.at > now + SKEW_MAX => {
            Err(S3Error::with(&ACCESS_DENIED, "Request is not valid yet"))
        }
        Some(expires) if now > claim.at + expires => {
            Err(S3Error::with(&ACCESS_DENIED, "Request has expired")
                .detail("X-Amz-Expires", expires.as_secs().to_string())
                .detail("Expires", time::extended(claim.at + expires))
                .detail("ServerTime", time::extended(now)))
        }
        Some(_) => Ok(()),
    }
}

/// The names that are signed: lower case, ascending, `host` among them, and every `x-amz-*` that was sent.
fn signed_headers<'a>(claim: &Claim<'a>, headers: &HeaderMap) -> Result<Vec<&'a str>, S3Error> {
    let names: Vec<&str> = claim
        .signed_headers
        .split(';')
        .take(SIGNED_MAX + 1)
        .collect();
    let ascending = names.windows(2).all(|pair| pair[0] < pair[1]);
    let lower = names
        .iter()
        .all(|name| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase()));
    if !ascending || !lower || names.len() > SIGNED_MAX {
        let message = "SignedHeaders must be lower-case names in ascending order.";
        return Err(match claim.expires {
            Some(_) => S3Error::with(&AUTHORIZATION_QUERY_PARAMETERS_ERROR, message),
            None => S3Error::with(&AUTHORIZATION_HEADER_MALFORMED, message),
        });
    }
    let mut unsigned: Vec<&str> = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| name.starts_with("x-amz-") && names.binary_search(name).is_err())
        .collect();
    if names.binary_search(&"host").is_err() {
        unsigned.push("host");
    }
    if unsigned.is_empty() {
        return Ok(names);
    }
    unsigned.sort_unstable();
    Err(S3Error::with(
        &ACCESS_DENIED,
        "There were headers present in the request which were not signed",
    )
    .detail("HeadersNotSigned", unsigned.join(", ")))
}

/// The text that stands for the body in the canonical request.
fn payload_text<'a>(
    headers: &'a HeaderMap,
    query: &'a Query,
    presigned: bool,
) -> Result<&'a str, S3Error> {
    let mut values = headers.get_all("x-amz-content-sha256").iter();
    let header = match (values.next(), values.next()) {
        (Some(value), None) => Some(value.to_str().map(str::trim).unwrap_or_default()),
        (None, _) => None,
        (Some(_), Some(_)) => {
            return Err(S3Error::with(
                &INVALID_REQUEST,
                "The header x-amz-content-sha256 is given more than once.",
            ));
        }
    };
    let found = if presigned {
        query.get("X-Amz-Content-Sha256").or(header)
    } else {
        header
    };
    match found {
        Some(text) => Ok(text),
        None if presigned => Ok("UNSIGNED-PAYLOAD"),
        None => Err(S3Error::with(
            &INVALID_REQUEST,
            "Missing required header for this request: x-amz-content-sha256",
        )),
    }
}

/// Parameters of the presigned form itself.
const OWN_PARAMETERS: [&str; 7] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-content-sha256",
];

fn hoisted(query: &Query, headers: &HeaderMap) -> Result<Vec<(HeaderName, HeaderValue)>, S3Error> {
    let mut found: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in query.iter().filter(|(name, _)| has_amz_prefix(name)) {
        let refuse = |why: &'static str| S3Error::argument(name, value, why);
        let lower = name.to_ascii_lowercase();
        if OWN_PARAMETERS.contains(&lower.as_str()) {
            continue;
        }
        let header = HeaderName::from_bytes(lower.as_bytes())
            .map_err(|_| refuse("The parameter's name is no header's."))?;
        let text = HeaderValue::from_str(value)
            .or_else(|_| HeaderValue::from_bytes(value.as_bytes()))
            .map_err(|_| refuse("The parameter's value can't be a header's."))?;
        let contradicted = headers.get_all(&header).iter().any(|sent| *sent != text)
            || found.iter().any(|(known, _)| *known == header);
        if contradicted {
            return Err(refuse(
                "The parameter contradicts a header or another parameter.",
            ));
        }
        found.push((header, text));
    }
    Ok(found)
}

/// The path as S3 itself canonicalises it, for clients that send reserved characters bare; `None` when it is the same.
fn reencoded(raw: &str) -> Option<String> {
    let mut path = String::with_capacity(raw.len());
    encode_path(&decode(raw).ok()?, &mut path);
    (path != raw).then_some(path)
}
