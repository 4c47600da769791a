//! A sealed body that goes up in several requests, one after another. Each byte leaves once: a request that was broken off
//! leaves nothing that another could go on with.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Fault, SealBody};
use crate::error::INTERNAL;

/// What no request has taken yet.
struct Rest {
    body: SealBody,
    front: Bytes,
}

type Place = Arc<Mutex<Option<Rest>>>;

fn put(place: &Place, rest: Rest) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
}

/// The whole body.
pub struct Portions(Place);

impl Portions {
    pub fn new(body: SealBody) -> Self {
        let rest = Rest {
            body,
            front: Bytes::new(),
        };
        Self(Arc::new(Mutex::new(Some(rest))))
    }

    /// The next `length` bytes, one at least. `None`: the portion before was not read to its end.
    pub fn next(&self, length: u64) -> Option<Portion> {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        rest.map(|rest| Portion {
            rest: Some(rest),
            place: self.0.clone(),
            left: length,
        })
    }
}

/// The body of one request.
pub struct Portion {
    rest: Option<Rest>,
    /// Where the rest goes when this portion has been read.
    place: Place,
    left: u64,
}

impl Portion {
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let Some(mut rest) = self.rest.take() else {
            return Poll::Ready(match self.left {
                0 => None,
                _ => Some(Err(Fault::new(&INTERNAL, "broken off before"))),
            });
        };
        while rest.front.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut rest.body).poll_frame(cx)? else {
                self.rest = Some(rest);
                return Poll::Pending;
            };
            let frame = frame.ok_or_else(|| {
                Fault::new(&INTERNAL, "the sealed body is shorter than it should be")
            })?;
            rest.front = frame.into_data().unwrap_or_default();
        }
        let n = usize::try_from(self.left).map_or(rest.front.len(), |n| n.min(rest.front.len()));
        let piece = rest.front.split_to(n);
        self.left -= n as u64;
        match self.left {
            0 => put(&self.place, rest),
            _ => self.rest = Some(rest),
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Body for Portion {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let step = ready!(self.step(cx));
        Poll::Ready(step.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
