//! What ends a multi-run object: a spooled last part if there is one, the zeros, the trailer. All of it is sealed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Fault;
use crate::error::STATE_UNAVAILABLE;
use crate::seal::SealedBytes;
use crate::state::SpoolReader;

static ZEROS: [u8; 65536] = [0; 65536];

/// A body of sealed bytes that exist already.
pub struct SealedTail {
    spool: Option<SpoolReader>,
    zeros: u64,
    trailer: Bytes,
    left: u64,
}

impl SealedTail {
    pub fn new(spool: Option<SpoolReader>, zeros: u64, trailer: SealedBytes) -> Self {
        let before = spool.as_ref().map_or(0, SpoolReader::length);
        Self {
            spool,
            zeros,
            left: before
                .saturating_add(zeros)
                .saturating_add(trailer.len() as u64),
            trailer: trailer.into_bytes(),
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if let Some(spool) = &mut self.spool {
            match ready!(spool.poll_next(cx)) {
                Some(Ok(chunk)) => return Poll::Ready(Some(Ok(chunk.into_bytes()))),
                Some(Err(error)) => {
                    let fault = Fault::new(&STATE_UNAVAILABLE, error.to_string());
                    return Poll::Ready(Some(Err(fault)));
                }
                None => self.spool = None,
            }
        }
        if self.zeros > 0 {
            let n = self.zeros.min(ZEROS.len() as u64);
            self.zeros -= n;
            return Poll::Ready(Some(Ok(Bytes::from_static(&ZEROS[..n as usize]))));
        }
        let trailer = std::mem::take(&mut self.trailer);
        Poll::Ready((!trailer.is_empty()).then_some(Ok(trailer)))
    }
}

impl Body for SealedTail {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let step = ready!(self.step(cx));
        if let Some(Ok(bytes)) = &step {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(step.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
