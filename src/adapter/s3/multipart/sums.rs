//! The checksums of a completed upload: those of its parts, and what they make of the whole.

use super::rows::{PartRow, UploadRow};
use crate::adapter::s3::call::Call;
use crate::adapter::s3::checksum::{self, Algorithm, Kind, Value};
use crate::adapter::s3::error::{BAD_DIGEST, INVALID_PART, INVALID_REQUEST, S3Error};
use crate::adapter::s3::xml::CompletedPart;
use crate::error::Refusal;
use crate::seal::run::RunEntry;

/// A part's declared checksum must be the one that was verified when it was uploaded.
pub(super) fn check_part(part: &CompletedPart, row: &PartRow) -> Result<(), Refusal> {
    let differs = part.checksums.iter().any(|sent| {
        let verified = row.checksum.as_ref();
        !verified
            .is_some_and(|(name, text)| name == sent.algorithm().name() && *text == sent.base64())
    });
    if differs {
        return Err(S3Error::new(&INVALID_PART)
            .detail("PartNumber", part.number.to_string())
            .into());
    }
    Ok(())
}

/// The whole object's checksum, when every part has one of the algorithm that the upload was begun with.
pub(super) fn object_checksum(
    rows: &[PartRow],
    entries: &[RunEntry],
    upload: &UploadRow,
) -> Result<Option<(Value, Kind)>, Refusal> {
    let Some(name) = &upload.algorithm else {
        return Ok(None);
    };
    let algorithm = Algorithm::parse(name)?;
    let kind = match &upload.kind {
        Some(kind) => Kind::parse(kind, algorithm)?,
        None => algorithm.default_kind(),
    };
    let values: Option<Vec<Value>> = rows
        .iter()
        .map(|row| match &row.checksum {
            Some((known, text)) if known == name => Value::parse(algorithm, text),
            _ => None,
        })
        .collect();
    let Some(values) = values else {
        return Ok(None);
    };
    let value = match kind {
        Kind::Composite => Some(checksum::composite(algorithm, &values)),
        Kind::FullObject => checksum::combine(
            algorithm,
            values
                .into_iter()
                .zip(entries.iter().map(|entry| entry.length)),
        ),
    };
    Ok(value.map(|value| (value, kind)))
}

/// `md5(md5 of each part)-N`, when the client sent them all.
pub(super) fn md5_tag(rows: &[PartRow]) -> Option<String> {
    let parts: Vec<Value> = rows
        .iter()
        .map(|row| Value::new(Algorithm::Md5, &hex::decode(row.md5.as_ref()?).ok()?))
        .collect::<Option<_>>()?;
    Some(format!(
        "{}-{}",
        checksum::composite(Algorithm::Md5, &parts).hex(),
        parts.len()
    ))
}

/// The client's checksum of the whole object must be what its parts make; one that can't be held against them is refused.
pub(super) fn check_declared(
    call: &Call,
    checksum: Option<&(Value, Kind)>,
    parts: usize,
) -> Result<(), Refusal> {
    for algorithm in Algorithm::FLEXIBLE {
        let Some(sent) = call.text(algorithm.header()) else {
            continue;
        };
        let Some((value, kind)) = checksum.filter(|(value, _)| value.algorithm() == algorithm)
        else {
            return Err(S3Error::with(
                &INVALID_REQUEST,
                "The parts were not sent with checksums that make the object's.",
            )
            .detail("Header", algorithm.header())
            .into());
        };
        let shown = match kind {
            Kind::Composite => checksum::composite_text(value, parts),
            Kind::FullObject => value.base64(),
        };
        if sent != shown && sent != value.base64() {
            return Err(S3Error::new(&BAD_DIGEST).into());
        }
    }
    Ok(())
}
