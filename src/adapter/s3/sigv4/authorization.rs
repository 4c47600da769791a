//! The claim that a request makes: in the Authorization header or in the query.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};

use super::super::error::{
    ACCESS_DENIED, AUTHORIZATION_HEADER_MALFORMED, AUTHORIZATION_QUERY_PARAMETERS_ERROR,
    INVALID_ARGUMENT, INVALID_REQUEST, INVALID_TOKEN, NOT_IMPLEMENTED, S3Error,
};
use super::super::query::Query;
use super::super::time;
use super::canonical::ALGORITHM;

/// Longest life of a presigned URL.
const EXPIRES_MAX: u64 = 604_800;

/// `access key/day/region/s3/aws4_request`
#[derive(Debug)]
pub struct Credential<'a> {
    pub access_key: &'a str,
    pub day: &'a str,
    pub region: &'a str,
    /// Everything behind the access key.
    pub scope: &'a str,
}

impl<'a> Credential<'a> {
    /// The access key may hold slashes.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.rsplitn(5, '/');
        let (end, service, region, day, access_key) = (
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        );
        let well = end == "aws4_request"
            && service == "s3"
            && !region.is_empty()
            && !access_key.is_empty()
            && day.len() == 8
            && day.bytes().all(|b| b.is_ascii_digit());
        let scope = text.get(access_key.len() + 1..)?;
        well.then_some(Self {
            access_key,
            day,
            region,
            scope,
        })
    }
}

/// What a request claims, not yet proven.
#[derive(Debug)]
pub struct Claim<'a> {
    pub credential: Credential<'a>,
    pub signed_headers: &'a str,
    pub signature: &'a str,
    /// `YYYYMMDDTHHMMSSZ`
    pub date: String,
    pub at: SystemTime,
    /// `None` for the header form.
    pub expires: Option<Duration>,
}

/// Reads the one claim of a request.
///
/// # Errors
/// None, two, or a malformed one; SigV2, SigV4A, a session token.
pub fn claim<'a>(headers: &'a HeaderMap, query: &'a Query) -> Result<Claim<'a>, S3Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let header = values.next();
    if headers.contains_key("x-amz-security-token") || query.has("X-Amz-Security-Token") {
        return Err(S3Error::new(&INVALID_TOKEN));
    }
    if query.has("AWSAccessKeyId") || query.has("Signature") {
        return Err(unsupported());
    }
    let presigned = query.has("X-Amz-Algorithm")
        || query.has("X-Amz-Signature")
        || query.has("X-Amz-Credential");
    match header {
        Some(_) if presigned || values.next().is_some() => Err(S3Error::with(
            &INVALID_ARGUMENT,
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
             parameter or the Authorization header should be specified",
        )),
        Some(value) => {
            let value = value
                .to_str()
                .map_err(|_| malformed("it holds bytes that are not ASCII"))?;
            from_header(value, headers)
        }
        None if presigned => from_query(query),
        None => Err(S3Error::new(&ACCESS_DENIED)),
    }
}

fn unsupported() -> S3Error {
    S3Error::with(
        &INVALID_REQUEST,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
}

fn not_4a() -> S3Error {
    S3Error::with(&NOT_IMPLEMENTED, "Signature Version 4A is not implemented.")
}

fn malformed(why: &str) -> S3Error {
    S3Error::with(
        &AUTHORIZATION_HEADER_MALFORMED,
        format!("The authorization header is malformed; {why}."),
    )
}

fn from_header<'a>(value: &'a str, headers: &HeaderMap) -> Result<Claim<'a>, S3Error> {
    let (algorithm, rest) = value.trim().split_once(' ').unwrap_or((value, ""));
    match algorithm {
        ALGORITHM => {}
        "AWS4-ECDSA-P256-SHA256" => return Err(not_4a()),
        _ => return Err(unsupported()),
    }
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for field in rest.split(',') {
        let (name, text) = field
            .trim()
            .split_once('=')
            .ok_or_else(|| malformed("a field has no value"))?;
        let place = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return Err(malformed("it has an unknown field")),
        };
        if place.replace(text).is_some() {
            return Err(malformed("a field is given twice"));
        }
    }
    let credential = credential.and_then(Credential::parse).ok_or_else(|| {
        malformed(
            "the Credential is not of the form \"access key/YYYYMMDD/region/s3/aws4_request\"",
        )
    })?;
    let (date, at) = header_date(headers)?;
    Ok(Claim {
        credential,
        signed_headers: signed_headers.ok_or_else(|| malformed("SignedHeaders is missing"))?,
        signature: signature.ok_or_else(|| malformed("Signature is missing"))?,
        date,
        at,
        expires: None,
    })
}

/// `x-amz-date`, else `Date` in either form.
fn header_date(headers: &HeaderMap) -> Result<(String, SystemTime), S3Error> {
    let missing = || {
        S3Error::with(
            &ACCESS_DENIED,
            "AWS authentication requires a valid Date or x-amz-date header",
        )
    };
    let value = headers
        .get("x-amz-date")
        .or_else(|| headers.get(DATE))
        .ok_or_else(missing)?;
    let text = value.to_str().map_err(|_| missing())?.trim();
    if let Some(at) = time::parse_basic(text) {
        return Ok((text.to_owned(), at));
    }
    let at = httpdate::parse_http_date(text).map_err(|_| missing())?;
    Ok((time::basic(at), at))
}

fn query_error(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with(&AUTHORIZATION_QUERY_PARAMETERS_ERROR, message)
}

fn from_query(query: &Query) -> Result<Claim<'_>, S3Error> {
    let need = |name: &str| {
        query.get(name).ok_or_else(|| {
            query_error(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                 X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            )
        })
    };
    match need("X-Amz-Algorithm")? {
        ALGORITHM => {}
        "AWS4-ECDSA-P256-SHA256" => return Err(not_4a()),
        _ => {
            return Err(query_error(
                "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
            ));
        }
    }
    let credential = Credential::parse(need("X-Amz-Credential")?).ok_or_else(|| {
        query_error(
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \
             \"<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request\".",
        )
    })?;
    let date = need("X-Amz-Date")?;
    let at = time::parse_basic(date).ok_or_else(|| {
        query_error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    })?;
    Ok(Claim {
        credential,
        signed_headers: need("X-Amz-SignedHeaders")?,
        signature: need("X-Amz-Signature")?,
        date: date.to_owned(),
        at,
        expires: Some(expires(need("X-Amz-Expires")?)?),
    })
}

fn expires(text: &str) -> Result<Duration, S3Error> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(query_error("X-Amz-Expires should be a number"));
    }
    if text.starts_with('-') {
        return Err(query_error("X-Amz-Expires must be non-negative"));
    }
    match text.parse() {
        Ok(seconds) if seconds <= EXPIRES_MAX => Ok(Duration::from_secs(seconds)),
        _ => Err(query_error(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less \
             than 604800 seconds",
        )),
    }
}
