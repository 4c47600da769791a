//! The client's body as it arrives: paced, its errors told apart, and given back when it was not read to its end.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{Bounds, Pace};
use crate::body::{Fault, Plain};
use crate::error::{BODY_INCOMPLETE, TOO_SLOW};

/// A body that nobody read to its end.
pub(super) struct Unread {
    pub incoming: Incoming,
    /// Reading it would make the client send what it holds back (`Expect: 100-continue`, not yet answered).
    pub held_back: bool,
}

/// Where an unread body is found once whoever had it is done.
#[derive(Default, Clone)]
pub(super) struct Returned(Option<Arc<Mutex<Option<Unread>>>>);

impl Returned {
    pub fn take(&self) -> Option<Unread> {
        let slot = self.0.as_ref()?;
        slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// See the module.
pub(super) struct Arrival {
    incoming: Option<Incoming>,
    returned: Arc<Mutex<Option<Unread>>>,
    pace: Pace,
    expects: bool,
    /// What broke it: said again to whoever asks again.
    failed: Option<Fault>,
}

impl Arrival {
    /// The body for the adapter, and where it comes back to.
    pub fn split(incoming: Incoming, head: &request::Parts, bounds: Bounds) -> (Plain, Returned) {
        if incoming.is_end_stream() {
            return (Plain::empty(), Returned::default());
        }
        let returned = Arc::new(Mutex::new(None));
        let arrival = Self {
            incoming: Some(incoming),
            returned: returned.clone(),
            pace: Pace::new(bounds.idle, bounds.minimum_rate),
            expects: head.headers.contains_key(http::header::EXPECT),
            failed: None,
        };
        (Plain::new(Box::pin(arrival)), Returned(Some(returned)))
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            let unread = Unread {
                incoming,
                held_back: self.expects,
            };
            *self.returned.lock().unwrap_or_else(PoisonError::into_inner) = Some(unread);
        }
    }
}

impl Arrival {
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        self.expects = false;
        let too_slow = |_| {
            Some(Err(Fault::new(
                &TOO_SLOW,
                "the client sends nothing, or too little",
            )))
        };
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Pending => self.pace.poll_wait(cx).map(too_slow),
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match self.pace.moved(bytes) {
                    Ok(()) => Poll::Ready(Some(Ok(frame))),
                    Err(slow) => Poll::Ready(too_slow(slow)),
                }
            }
            Poll::Ready(Some(Err(error))) => {
                self.incoming = None;
                Poll::Ready(Some(Err(Fault::new(&BODY_INCOMPLETE, error.to_string()))))
            }
            Poll::Ready(None) => {
                self.incoming = None;
                Poll::Ready(None)
            }
        }
    }
}

impl Body for Arrival {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(fault) = &self.failed {
            return Poll::Ready(Some(Err(fault.clone())));
        }
        let step = ready!(self.step(cx));
        if let Some(Err(fault)) = &step {
            self.failed = Some(fault.clone());
        }
        Poll::Ready(step)
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.failed, &self.incoming) {
            (Some(_), _) => SizeHint::default(),
            (None, Some(incoming)) => incoming.size_hint(),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}
