//! What every adapter that opens objects needs: how a failure is worded, and how a trailer is fetched.

use std::future::Future;
use std::ops::Range;

use crate::error::{
    KEY_UNAVAILABLE, OBJECT_DAMAGED, OBJECT_SUBSTITUTED, Refusal, UPSTREAM_INVALID,
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

/// Reads the trailer of an object of `sealed` bytes; `fetch` gives a range of them, end excluded.
///
/// # Errors
/// What `fetch` refuses, or a trailer that is not this object's.
pub(super) async fn trailer<F>(
    lookup: &dyn KeyLookup,
    context: &Context,
    sealed: u64,
    fetch: impl Fn(Range<u64>) -> F + Send,
) -> Result<Trailer, Refusal>
where
    F: Future<Output = Result<Vec<u8>, Refusal>> + Send,
{
    let mut bytes = fetch(sealed.saturating_sub(SUFFIX)..sealed).await?;
    let locator = bytes
        .last_chunk::<LOCATOR>()
        .ok_or_else(|| refusal(OpenError::Trailer))?;
    let length = trailer::locate(*locator, sealed).map_err(refusal)?;
    let wanted = length + LOCATOR as u64;
    if wanted > bytes.len() as u64 {
        bytes = fetch(sealed - wanted..sealed).await?;
    }
    let end = bytes.len().saturating_sub(LOCATOR);
    let start = usize::try_from(length)
        .ok()
        .and_then(|length| end.checked_sub(length))
        .ok_or_else(|| Refusal::new(&UPSTREAM_INVALID).message("The provider's range is short."))?;
    Trailer::open(lookup, context, &mut bytes[start..end], sealed).map_err(refusal)
}
