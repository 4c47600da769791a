//! A body in pieces, which may break off.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sceau::body::{Chunks, Fault};
use sceau::error::BODY_INCOMPLETE;

pub struct Pieces {
    left: VecDeque<Bytes>,
    breaks: bool,
}

impl Pieces {
    pub fn of(bytes: impl Into<Bytes>, size: usize) -> Chunks {
        Self::cut(bytes.into(), size, false)
    }

    /// Ends with an error, as a connection that is lost.
    pub fn broken(bytes: impl Into<Bytes>, size: usize) -> Chunks {
        Self::cut(bytes.into(), size, true)
    }

    fn cut(mut bytes: Bytes, size: usize, breaks: bool) -> Chunks {
        let mut left = VecDeque::new();
        while !bytes.is_empty() {
            left.push_back(bytes.split_to(size.min(bytes.len())));
        }
        Box::pin(Self { left, breaks })
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.left.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if self.breaks => {
                self.breaks = false;
                Poll::Ready(Some(Err(Fault::new(&BODY_INCOMPLETE, "broken off"))))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.breaks
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
