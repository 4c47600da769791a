//! Small files within documents: `contentBytes`, in base64. They are sealed objects like every other file.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body::Body as _;

use super::picture;
use super::tree::Node;
use crate::body::{Plain, SealBody, SealPlan};
use crate::error::{INTERNAL, PROTOCOL, Refusal};
use crate::seal::layout::{self, HEADER, LOCATOR};
use crate::seal::object::{Fed, ObjectReader};
use crate::seal::run::RunHeader;
use crate::seal::trailer::{self, Trailer};
use crate::seal::{Context, KeyLookup, OpenError};

/// # Errors
/// No base64.
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD
        .decode(text)
        .map_err(|_| Refusal::new(&PROTOCOL).message("`contentBytes` is no base64."))
}

pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The length that the sealed file beside a `size` has.
pub(super) fn sealed_size(parent: &Node) -> Option<u64> {
    let text = parent.member("contentBytes")?.text()?;
    let plain = base64::decoded_len_estimate(text.len());
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    layout::sealed_len((plain - padding.min(plain)) as u64)
}

/// Seals a file that is in memory.
pub(super) fn seal(file: Vec<u8>, plan: SealPlan) -> Result<Vec<u8>, Refusal> {
    let broken = |error| Refusal::new(&INTERNAL).cause(error);
    let mut body = SealBody::new(Plain::whole(file), plan).map_err(broken)?;
    let mut sealed = Vec::new();
    // all of it is at hand, so it never waits
    let mut cx = TaskContext::from_waker(Waker::noop());
    loop {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    sealed.extend_from_slice(&data);
                }
            }
            Poll::Ready(Some(Err(fault))) => {
                return Err(Refusal::new(fault.code).message(fault.detail));
            }
            Poll::Ready(None) => return Ok(sealed),
            Poll::Pending => return Err(Refusal::new(&INTERNAL)),
        }
    }
}

/// The file as it was sealed, out of the picture that may stand around it. `None`: it was not sealed.
pub(super) fn sealed_in(bytes: &[u8]) -> Option<&[u8]> {
    let file = picture::inside(bytes).unwrap_or(bytes);
    let header = file.first_chunk::<HEADER>()?;
    (!matches!(RunHeader::parse(header), Err(OpenError::NotSealed))).then_some(file)
}

/// Opens a file that is in memory. `None`: it was not sealed; mail from outside is not.
///
/// # Errors
/// It was sealed, and does not open.
pub(super) fn open(
    lookup: Arc<dyn KeyLookup>,
    context: Arc<Context>,
    bytes: &[u8],
) -> Result<Option<Vec<u8>>, OpenError> {
    let Some(sealed) = sealed_in(bytes) else {
        return Ok(None);
    };
    let mut sealed = sealed.to_vec();
    let length = sealed.len() as u64;
    let first = sealed.first_chunk::<HEADER>().map(RunHeader::parse);
    // of a session, where each fragment is a run
    let parted = first.transpose()?.is_some_and(|run| run.part != 0);
    let mut reader = if parted {
        let trailer = trailer(lookup.as_ref(), &context, &sealed)?;
        ObjectReader::with_trailer(lookup, context, length, Arc::new(trailer))?
    } else {
        ObjectReader::new(lookup, context, length, None)?
    };
    let mut plain = Vec::with_capacity(usize::try_from(reader.plain_len()).unwrap_or(0));
    let mut at = 0;
    loop {
        let want = reader.want();
        let chunk = sealed.get_mut(at..at + want).ok_or(OpenError::Length)?;
        match reader.feed(chunk)? {
            Fed::Nothing => {}
            Fed::Plain(range) | Fed::Held(range) => plain.extend_from_slice(&chunk[range]),
            Fed::Finished if at + want == sealed.len() => return Ok(Some(plain)),
            Fed::Finished => return Err(OpenError::Length),
        }
        at += want;
    }
}

/// The trailer at the end of a file that is in memory.
fn trailer(lookup: &dyn KeyLookup, context: &Context, sealed: &[u8]) -> Result<Trailer, OpenError> {
    let (front, locator) = sealed
        .split_last_chunk::<LOCATOR>()
        .ok_or(OpenError::Trailer)?;
    let length = trailer::locate(*locator, sealed.len() as u64)?;
    let start = usize::try_from(length).ok();
    let start = start.and_then(|length| front.len().checked_sub(length));
    let mut bytes = front[start.ok_or(OpenError::Trailer)?..].to_vec();
    Trailer::open(lookup, context, &mut bytes, sealed.len() as u64)
}
