//! Uploads by a browser's form: the policy document, its signature and its conditions (Amazon S3 API Reference,
//! "Authenticating Requests: Browser-Based Uploads Using POST").

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::error::{
    ACCESS_DENIED, INVALID_ARGUMENT, INVALID_REQUEST, INVALID_TOKEN, NOT_IMPLEMENTED,
    POLICY_VIOLATED, S3Error,
};
use super::super::time;
use super::authorization::Credential;
use super::canonical::ALGORITHM;
use super::verify::Verified;

/// One field before the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormField {
    /// In lower case.
    pub name: String,
    pub value: String,
}

/// A form whose policy is signed and satisfied.
#[derive(Debug)]
pub struct VerifiedForm {
    pub verified: Verified,
    /// What the policy's `content-length-range` allows the file's plaintext to be.
    pub length: Option<RangeInclusive<u64>>,
}

/// What a form claims, not yet proven.
pub(super) struct FormClaim<'a> {
    pub credential: Credential<'a>,
    pub policy: &'a str,
    pub signature: &'a str,
    pub date: String,
}

fn find<'a>(fields: &'a [FormField], name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|field| field.name == name)
        .map(|field| field.value.as_str())
}

impl<'a> FormClaim<'a> {
    pub fn parse(fields: &'a [FormField]) -> Result<Self, S3Error> {
        let need = |name: &str| {
            find(fields, name).ok_or_else(|| {
                S3Error::with(
                    &INVALID_ARGUMENT,
                    format!("Bucket POST must contain a field named '{name}'."),
                )
                .detail("ArgumentName", name)
            })
        };
        if find(fields, "policy").is_none() {
            return Err(S3Error::new(&ACCESS_DENIED));
        }
        if find(fields, "x-amz-security-token").is_some() {
            return Err(S3Error::new(&INVALID_TOKEN));
        }
        if find(fields, "awsaccesskeyid").is_some() {
            return Err(S3Error::with(
                &INVALID_REQUEST,
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
            ));
        }
        let mut names = BTreeSet::new();
        if fields
            .iter()
            .any(|field| !names.insert(field.name.as_str()))
        {
            return Err(S3Error::with(
                &INVALID_ARGUMENT,
                "A form field is given more than once.",
            ));
        }
        match need("x-amz-algorithm")? {
            ALGORITHM => {}
            "AWS4-ECDSA-P256-SHA256" => {
                return Err(S3Error::with(
                    &NOT_IMPLEMENTED,
                    "Signature Version 4A is not implemented.",
                ));
            }
            _ => {
                return Err(S3Error::with(
                    &INVALID_ARGUMENT,
                    "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
                ));
            }
        }
        let date = need("x-amz-date")?;
        if time::parse_basic(date).is_none() {
            return Err(S3Error::with(&INVALID_ARGUMENT, "X-Amz-Date is malformed."));
        }
        let credential = Credential::parse(need("x-amz-credential")?)
            .ok_or_else(|| S3Error::with(&INVALID_ARGUMENT, "X-Amz-Credential is malformed."))?;
        Ok(Self {
            credential,
            policy: need("policy")?,
            signature: need("x-amz-signature")?,
            date: date.to_owned(),
        })
    }
}

fn violated(why: impl std::fmt::Display) -> S3Error {
    S3Error::with(
        &POLICY_VIOLATED,
        format!("Invalid according to Policy: {why}"),
    )
}

fn malformed(why: &'static str) -> S3Error {
    S3Error::with(&INVALID_ARGUMENT, format!("Invalid Policy: {why}"))
}

/// Where a browser is sent after the upload. Without a host in the condition, whoever holds the form could send users
/// anywhere in the gateway's name.
const REDIRECTS: [&str; 2] = ["success_action_redirect", "redirect"];

/// Whether a condition's prefix holds a whole `scheme://host/`.
fn names_host(prefix: &str) -> bool {
    ["https://", "http://"]
        .iter()
        .filter_map(|scheme| prefix.strip_prefix(scheme)?.split_once('/'))
        .any(|(host, _)| !host.is_empty())
}

/// Fields that a policy need not name.
fn exempt(name: &str) -> bool {
    matches!(name, "policy" | "x-amz-signature" | "file") || name.starts_with("x-ignore-")
}

/// Checks the expiration and that the conditions and the fields cover one another. Gives the lengths that the file may
/// have.
pub(super) fn check_policy(
    claim: &FormClaim<'_>,
    fields: &[FormField],
    bucket: &str,
    now: SystemTime,
) -> Result<Option<RangeInclusive<u64>>, S3Error> {
    let decoded = STANDARD
        .decode(claim.policy)
        .map_err(|_| malformed("it is not Base64."))?;
    let policy: Value = serde_json::from_slice(&decoded).map_err(|_| malformed("Invalid JSON."))?;
    let expiration = policy["expiration"]
        .as_str()
        .and_then(time::parse_extended)
        .ok_or_else(|| malformed("Policy missing expiration or it is malformed."))?;
    if now > expiration {
        return Err(violated("Policy expired."));
    }
    let conditions = policy["conditions"]
        .as_array()
        .ok_or_else(|| malformed("Policy missing conditions."))?;
    let mut named = BTreeSet::new();
    let mut length: Option<RangeInclusive<u64>> = None;
    for condition in conditions {
        match Condition::parse(condition)? {
            Condition::Length(range) => length = Some(narrower(length, range)),
            Condition::Field { name, text, prefix } => {
                let value = if name == "bucket" {
                    Some(bucket)
                } else {
                    find(fields, &name)
                };
                let value = value.unwrap_or_default();
                let holds = if prefix {
                    value.starts_with(&text)
                } else {
                    value == text
                };
                if !holds {
                    return Err(violated(format_args!(
                        "Policy Condition failed: {condition}"
                    )));
                }
                if prefix && REDIRECTS.contains(&name.as_str()) && !names_host(&text) {
                    return Err(violated("a redirect's condition must name the host."));
                }
                named.insert(name);
            }
        }
    }
    let extra: Vec<&str> = fields
        .iter()
        .map(|field| field.name.as_str())
        .filter(|name| !exempt(name) && !named.contains(*name))
        .collect();
    if !extra.is_empty() {
        return Err(violated(format_args!(
            "Extra input fields: {}",
            extra.join(", ")
        )));
    }
    if !named.contains("bucket") || !named.contains("key") {
        return Err(violated("the conditions must name the bucket and the key."));
    }
    Ok(length)
}

fn narrower(known: Option<RangeInclusive<u64>>, range: RangeInclusive<u64>) -> RangeInclusive<u64> {
    match known {
        Some(known) => *known.start().max(range.start())..=*known.end().min(range.end()),
        None => range,
    }
}

enum Condition {
    Field {
        name: String,
        text: String,
        prefix: bool,
    },
    Length(RangeInclusive<u64>),
}

impl Condition {
    fn parse(value: &Value) -> Result<Self, S3Error> {
        let bad = || {
            malformed(
                "a condition is neither {\"name\": \"value\"}, [\"eq\"|\"starts-with\", \"$name\", \"value\"] nor [\"content-length-range\", min, max].",
            )
        };
        if let Some(object) = value.as_object() {
            let mut entries = object.iter();
            return match (entries.next(), entries.next()) {
                (Some((name, Value::String(text))), None) => Ok(Self::Field {
                    name: name.to_ascii_lowercase(),
                    text: text.clone(),
                    prefix: false,
                }),
                _ => Err(bad()),
            };
        }
        let [operator, first, second] = value.as_array().map(Vec::as_slice).unwrap_or_default()
        else {
            return Err(bad());
        };
        let operator = operator
            .as_str()
            .map(str::to_ascii_lowercase)
            .unwrap_or_default();
        match operator.as_str() {
            "eq" | "starts-with" => {
                let name = first
                    .as_str()
                    .and_then(|name| name.strip_prefix('$'))
                    .ok_or_else(bad)?;
                Ok(Self::Field {
                    name: name.to_ascii_lowercase(),
                    text: second.as_str().ok_or_else(bad)?.to_owned(),
                    prefix: operator == "starts-with",
                })
            }
            "content-length-range" => {
                let number = |value: &Value| {
                    value
                        .as_u64()
                        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
                };
                Ok(Self::Length(
                    number(first).ok_or_else(bad)?..=number(second).ok_or_else(bad)?,
                ))
            }
            _ => Err(bad()),
        }
    }
}
