//! What every adapter that opens objects needs: how a failure is worded, how a trailer is fetched, and files that are
//! read without anything beside their bytes. How a range is asked for is the adapter's own: a closure that gives the
//! sealed bytes of one, end excluded.

mod file;

use std::future::Future;
use std::ops::Range;

use http::{Response, StatusCode};

pub(super) use self::file::{File, Opener};
use super::range;
use crate::body::Sealed;
use crate::error::{
    KEY_UNAVAILABLE, OBJECT_DAMAGED, OBJECT_SUBSTITUTED, Refusal, TOO_LARGE, UPSTREAM_INVALID,
};
use crate::seal::layout::LOCATOR;
use crate::seal::trailer::{self, Trailer};
use crate::seal::{Context, KeyLookup, OpenError};

/// Read from an object's end at first: holds the trailer of up to 170 runs.
const SUFFIX: u64 = 16 * 1024;

/// The refusal for a sealed thing that does not open. A commitment that does not match is another's object.
pub(super) fn refusal(error: OpenError) -> Refusal {
    let code = match error {
        OpenError::UnknownEpoch | OpenError::KeyUnavailable(_) => &KEY_UNAVAILABLE,
        OpenError::Commitment | OpenError::Run => &OBJECT_SUBSTITUTED,
        _ => &OBJECT_DAMAGED,
    };
    Refusal::new(code).cause(error)
}

/// The sealed bytes of an answer to a request for `range`, which was tied to a version where that has a strong tag.
///
/// # Errors
/// The answer is no such range: the file was replaced, or the provider ignores ranges.
pub(super) fn piece(response: Response<Sealed>, range: &Range<u64>) -> Result<Sealed, Refusal> {
    let status = response.status();
    if status == StatusCode::PARTIAL_CONTENT
        && range::span(response.headers()).as_ref() == Some(range)
    {
        return Ok(response.into_body());
    }
    Err(Refusal::new(&UPSTREAM_INVALID).message(match status {
        StatusCode::PRECONDITION_FAILED => "The file was replaced while it was read.",
        _ => "The provider answered another range than was asked for.",
    }))
}

/// The body of a whole object.
///
/// # Errors
/// The answer is none: the file was replaced, or the provider gives a part unasked.
pub(super) fn whole(response: Response<Sealed>) -> Result<Sealed, Refusal> {
    if response.status() == StatusCode::OK {
        return Ok(response.into_body());
    }
    Err(
        Refusal::new(&UPSTREAM_INVALID).message(match response.status() {
            StatusCode::PRECONDITION_FAILED => "The file was replaced while it was read.",
            _ => "The provider does not give the whole file.",
        }),
    )
}

/// A range in memory, `limit` bytes at most.
///
/// # Errors
/// More bytes than that, or what broke the stream.
pub(super) async fn collect(body: Sealed, limit: usize) -> Result<Vec<u8>, Refusal> {
    body.collect(limit).await.map_err(|refusal| {
        if refusal.code == &TOO_LARGE {
            let long = Refusal::new(&UPSTREAM_INVALID);
            return long
                .message("The provider's range is longer than was asked for.")
                .cause(refusal);
        }
        refusal
    })
}

/// Reads the trailer of an object of `sealed` bytes; `fetch` gives a range of them, end excluded.
///
/// # Errors
/// What `fetch` refuses, or a trailer that is not this object's.
pub(super) async fn trailer<F, E>(
    lookup: &dyn KeyLookup,
    context: &Context,
    sealed: u64,
    fetch: impl Fn(Range<u64>) -> F + Send,
) -> Result<Trailer, E>
where
    F: Future<Output = Result<Sealed, E>> + Send,
    E: From<Refusal> + Send,
{
    let wrong = |error| E::from(refusal(error));
    let start = sealed.saturating_sub(SUFFIX);
    let mut bytes = exactly(fetch(start..sealed).await?, start..sealed).await?;
    let locator = bytes
        .last_chunk::<LOCATOR>()
        .ok_or_else(|| wrong(OpenError::Trailer))?;
    let length = trailer::locate(*locator, sealed).map_err(wrong)?;
    let wanted = length + LOCATOR as u64;
    if wanted > bytes.len() as u64 {
        let start = sealed
            .checked_sub(wanted)
            .ok_or_else(|| wrong(OpenError::Trailer))?;
        bytes = exactly(fetch(start..sealed).await?, start..sealed).await?;
    }
    let end = bytes.len().saturating_sub(LOCATOR);
    let start = usize::try_from(length)
        .ok()
        .and_then(|length| end.checked_sub(length))
        .ok_or_else(|| wrong(OpenError::Trailer))?;
    Trailer::open(lookup, context, &mut bytes[start..end], sealed).map_err(wrong)
}

/// # Errors
/// Fewer or more bytes than the range has.
async fn exactly(body: Sealed, range: Range<u64>) -> Result<Vec<u8>, Refusal> {
    let length = usize::try_from(range.end - range.start).unwrap_or(0);
    let bytes = collect(body, length).await?;
    if bytes.len() < length {
        return Err(Refusal::new(&UPSTREAM_INVALID).message("The provider's range is short."));
    }
    Ok(bytes)
}
