//! Digests of the plaintext as it passes.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use sha2::{Digest as _, Sha256};

use super::quickxor::QuickXor;
use crate::body::{Chunks, Fault, Plain};

/// A digest that is being computed.
pub(super) trait Running: Send + Unpin + 'static {
    fn update(&mut self, data: &[u8]);
}

impl Running for QuickXor {
    fn update(&mut self, data: &[u8]) {
        Self::update(self, data);
    }
}

/// Tells whether two bodies are the same. QuickXorHash does not: it is linear.
#[derive(Default)]
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    pub fn value(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}

impl Running for Fingerprint {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

/// The digest, once the plaintext has ended cleanly.
pub(super) type Digested<H = QuickXor> = Arc<OnceLock<H>>;

/// Puts the digest in between; it goes on from `state`.
pub(super) fn digested<H: Running + Sync>(body: Plain, state: H) -> (Plain, Digested<H>) {
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

struct Digesting<H> {
    source: Chunks,
    state: Option<H>,
    done: Digested<H>,
}

impl<H: Running> Body for Digesting<H> {
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
