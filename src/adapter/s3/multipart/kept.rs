//! What is kept of a Complete for its retries, and the answer made of it (decision 3).

use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use crate::adapter::authority;
use crate::adapter::s3::call::Call;
use crate::adapter::s3::checksum::{self, Kind, Value};
use crate::adapter::s3::etag;
use crate::adapter::s3::lasting::Written;
use crate::adapter::s3::write::{answered, set};
use crate::adapter::s3::xml::{self, CompletedPart};
use crate::error::{Refusal, STATE_UNAVAILABLE};

/// Names the list of parts that a Complete asked for.
pub(super) fn fingerprint(parts: &[CompletedPart]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.number.to_be_bytes());
        hash.update(etag::unquote(&part.etag));
        hash.update([0]);
    }
    hash.finalize().into()
}

/// `list 32 | u32 length of the trailer | trailer | result`, without a result while the Complete is in progress.
pub(super) fn kept(list: &[u8; 32], trailer: &[u8], result: Option<&str>) -> Vec<u8> {
    let length = u32::try_from(trailer.len()).unwrap_or(u32::MAX);
    let mut value = list.to_vec();
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(trailer);
    value.extend_from_slice(result.unwrap_or_default().as_bytes());
    value
}

/// Whether a kept row is that of a Complete that succeeded.
pub(super) fn has_result(value: &[u8]) -> bool {
    parse_kept(value).is_ok_and(|(_, _, result)| result.is_some())
}

pub(super) type Kept<'a> = (&'a [u8], &'a [u8], Option<&'a str>);

pub(super) fn parse_kept(value: &[u8]) -> Result<Kept<'_>, Refusal> {
    let parsed = || {
        let (list, rest) = value.split_at_checked(32)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (trailer, result) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let result = std::str::from_utf8(result).ok()?;
        Some((list, trailer, (!result.is_empty()).then_some(result)))
    };
    parsed().ok_or_else(|| Refusal::new(&STATE_UNAVAILABLE))
}

/// `name=text`, a line each: the elements of the result document besides names, and the fields of its head.
pub(super) fn result_text(
    shown: &str,
    checksum: Option<&(Value, Kind)>,
    parts: usize,
    head: &HeaderMap,
) -> String {
    let mut fields = HeaderMap::new();
    answered(head, &mut fields);
    let mut text = format!("ETag={}\n", etag::quote(shown));
    for (name, value) in &fields {
        if let Ok(value) = value.to_str() {
            text.push_str(&format!("{name}={value}\n"));
        }
    }
    if let Some((value, kind)) = checksum
        && let Some(name) = value.algorithm().element()
    {
        let shown = match kind {
            Kind::Composite => checksum::composite_text(value, parts),
            Kind::FullObject => value.base64(),
        };
        text.push_str(&format!("{name}={shown}\nChecksumType={}\n", kind.name()));
    }
    text
}

pub(super) fn completed_answer(call: &Call, result: &str) -> Written {
    let mut out = xml::Writer::document();
    out.root("CompleteMultipartUploadResult");
    let host = authority(&call.uri, &call.headers).unwrap_or_default();
    out.element("Location", &format!("https://{host}{}", call.uri.path()));
    out.element("Bucket", call.address.bucket().unwrap_or_default());
    out.element("Key", call.address.key().unwrap_or_default());
    let lines = || result.lines().filter_map(|line| line.split_once('='));
    for (name, text) in lines().filter(|(name, _)| !name.starts_with("x-amz-")) {
        out.element(name, text);
    }
    out.close("CompleteMultipartUploadResult");
    let mut written = Written::new(out.finish());
    for (name, text) in lines().filter(|(name, _)| name.starts_with("x-amz-")) {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            set(&mut written.headers, name, text);
        }
    }
    written
}
