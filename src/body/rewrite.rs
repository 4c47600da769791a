//! A document that changes as it passes, in constant memory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};

use super::{Chunks, Fault};

/// Changes a document piece by piece. What it keeps back is bounded.
pub trait Rewrite: Send {
    /// Takes the next piece, which may end anywhere, and appends what is ready.
    ///
    /// # Errors
    /// The document is not what it should be; the stream is aborted.
    fn push(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), Fault>;

    /// The document has ended.
    ///
    /// # Errors
    /// It ended too early.
    fn finish(&mut self, out: &mut BytesMut) -> Result<(), Fault>;

    /// Appends what has to be looked up first; called after every piece and at the end.
    ///
    /// # Errors
    /// The stream is aborted.
    fn poll_settle(&mut self, _: &mut Context<'_>, _: &mut BytesMut) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }
}

enum Stage {
    Reading(Box<dyn Rewrite>),
    /// The document has ended, and something is still looked up.
    Settling(Box<dyn Rewrite>),
    Ended,
    Failed,
}

pub(super) struct RewriteBody {
    source: Chunks,
    stage: Stage,
    out: BytesMut,
}

impl RewriteBody {
    pub fn new(source: Chunks, rewriter: Box<dyn Rewrite>) -> Self {
        Self {
            source,
            stage: Stage::Reading(rewriter),
            out: BytesMut::new(),
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            if let Stage::Reading(rewriter) | Stage::Settling(rewriter) = &mut self.stage {
                let settled = rewriter.poll_settle(cx, &mut self.out);
                if let Poll::Ready(settled) = settled {
                    settled?;
                    if matches!(self.stage, Stage::Settling(_)) {
                        self.stage = Stage::Ended;
                    }
                } else if self.out.is_empty() {
                    return Poll::Pending;
                }
            }
            if !self.out.is_empty() {
                return Poll::Ready(Some(Ok(self.out.split().freeze())));
            }
            let rewriter = match &mut self.stage {
                Stage::Reading(rewriter) => rewriter,
                Stage::Settling(_) => continue,
                Stage::Ended => return Poll::Ready(None),
                Stage::Failed => {
                    let again = Fault::new(&crate::error::UPSTREAM_INVALID, "broken off before");
                    return Poll::Ready(Some(Err(again)));
                }
            };
            match ready!(self.source.as_mut().poll_frame(cx)?) {
                Some(frame) => {
                    if let Ok(piece) = frame.into_data() {
                        rewriter.push(&piece, &mut self.out)?;
                    }
                }
                None => {
                    rewriter.finish(&mut self.out)?;
                    let done = std::mem::replace(&mut self.stage, Stage::Failed);
                    self.stage = match done {
                        Stage::Reading(rewriter) => Stage::Settling(rewriter),
                        other => other,
                    };
                }
            }
        }
    }
}

impl Body for RewriteBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let step = ready!(self.step(cx));
        if let Some(Err(_)) = &step {
            self.stage = Stage::Failed;
            self.out.clear();
        }
        Poll::Ready(step.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.stage, Stage::Ended) && self.out.is_empty()
    }
}
