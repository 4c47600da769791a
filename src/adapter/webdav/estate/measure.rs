//! What passed of a file: its length and SHA-256, known once it has passed whole.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use aws_lc_rs::digest;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::body::{Chunks, Fault, Plain};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    pub length: u64,
    pub sha256: [u8; 32],
}

/// Takes a measure as bytes pass.
pub(super) struct Measuring {
    length: u64,
    state: digest::Context,
}

impl Measuring {
    pub fn new() -> Self {
        Self {
            length: 0,
            state: digest::Context::new(&digest::SHA256),
        }
    }

    pub fn update(&mut self, data: &[u8]) {
        self.length += data.len() as u64;
        self.state.update(data);
    }

    pub fn finish(self) -> Measure {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.state.finish().as_ref());
        Measure {
            length: self.length,
            sha256,
        }
    }
}

/// Measures a body as it passes; each piece is counted at once in `passed`.
pub(super) fn measured(body: Plain, passed: Arc<AtomicU64>) -> (Plain, Arc<OnceLock<Measure>>) {
    let out = Arc::new(OnceLock::new());
    let measure = out.clone();
    let body = body.through(|source, _| {
        Box::pin(Measured {
            source,
            state: Some(Measuring::new()),
            measure,
            passed,
        })
    });
    (body, out)
}

struct Measured {
    source: Chunks,
    /// `None`: the body has ended.
    state: Option<Measuring>,
    measure: Arc<OnceLock<Measure>>,
    passed: Arc<AtomicU64>,
}

impl Body for Measured {
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
                    self.passed.fetch_add(data.len() as u64, Ordering::Relaxed);
                }
            }
            Some(Err(_)) => {}
            None => {
                if let Some(state) = self.state.take() {
                    let _ = self.measure.set(state.finish());
                }
            }
        }
        Poll::Ready(step)
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}
