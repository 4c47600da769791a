//! QuickXorHash of the plaintext as it passes.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::quickxor::QuickXor;
use crate::body::{Chunks, Fault, Plain};

/// The digest, once the plaintext has ended cleanly.
pub(super) type Digested = Arc<OnceLock<QuickXor>>;

/// Puts the digest in between; it goes on from `state`.
pub(super) fn digested(body: Plain, state: QuickXor) -> (Plain, Digested) {
    let done = Digested::default();
    let out = done.clone();
    let body = body.through(|source, _| {
        Box::pin(Digesting {
            source,
            state: Some(state),
            done: out,
        })
    });
    (body, done)
}

struct Digesting {
    source: Chunks,
    state: Option<QuickXor>,
    done: Digested,
}

impl Body for Digesting {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let step = ready!(self.source.as_mut().poll_frame(cx));
        match &step {
            Some(Ok(frame)) => {
                if let (Some(data), Some(state)) = (frame.data_ref(), &mut self.state) {
                    state.update(data);
                }
            }
            Some(Err(_)) => self.state = None,
            None => {
                if let Some(state) = self.state.take() {
                    let _ = self.done.set(state);
                }
            }
        }
        Poll::Ready(step)
    }
}
