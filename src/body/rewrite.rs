//! A document that changes as it passes, in constant memory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};

use super::{Chunks, Fault};

/// Changes a document piece by piece. What it keeps back is bounded.
#[async_trait]
pub trait Rewrite: Send {
    /// Whether [`Self::look_up`] is to be awaited before this piece is pushed.
    fn waits(&mut self, _piece: &[u8]) -> bool {
        false
    }

    /// Looks up what the piece needs that [`Self::waits`] was asked about.
    ///
    /// # Errors
    /// It can't be had; the stream is aborted.
    async fn look_up(&mut self) -> Result<(), Fault> {
        Ok(())
    }

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
}

/// A longer piece is taken in steps of this length, so that what is written for it stays as short.
const STEP: usize = 16 * 1024;

type LookUp = Pin<Box<dyn Future<Output = Result<Box<dyn Rewrite>, Fault>> + Send>>;

enum Stage {
    Reading(Box<dyn Rewrite>),
    /// A piece waits for what is looked up.
    Waiting(LookUp, Bytes),
    Ended,
    Failed,
}

pub(super) struct RewriteBody {
    source: Chunks,
    /// What came of the document and was not pushed yet.
    rest: Bytes,
    stage: Stage,
    out: BytesMut,
}

impl RewriteBody {
    pub fn new(source: Chunks, rewriter: Box<dyn Rewrite>) -> Self {
        Self {
            source,
            rest: Bytes::new(),
            stage: Stage::Reading(rewriter),
            out: BytesMut::new(),
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            if !self.out.is_empty() {
                return Poll::Ready(Some(Ok(self.out.split().freeze())));
            }
            let stage = std::mem::replace(&mut self.stage, Stage::Failed);
            let (mut rewriter, piece) = match stage {
                Stage::Reading(mut rewriter) => {
                    if self.rest.is_empty() {
                        let Poll::Ready(frame) = self.source.as_mut().poll_frame(cx)? else {
                            self.stage = Stage::Reading(rewriter);
                            return Poll::Pending;
                        };
                        let Some(frame) = frame else {
                            rewriter.finish(&mut self.out)?;
                            self.stage = Stage::Ended;
                            continue;
                        };
                        self.rest = frame.into_data().unwrap_or_default();
                    }
                    let piece = self.rest.split_to(STEP.min(self.rest.len()));
                    if rewriter.waits(&piece) {
                        self.stage = Stage::Waiting(looked_up(rewriter), piece);
                        continue;
                    }
                    (rewriter, piece)
                }
                Stage::Waiting(mut lookup, piece) => match lookup.as_mut().poll(cx)? {
                    Poll::Ready(rewriter) => (rewriter, piece),
                    Poll::Pending => {
                        self.stage = Stage::Waiting(lookup, piece);
                        return Poll::Pending;
                    }
                },
                Stage::Ended => {
                    self.stage = Stage::Ended;
                    return Poll::Ready(None);
                }
                Stage::Failed => {
                    let again = Fault::new(&crate::error::UPSTREAM_INVALID, "broken off before");
                    return Poll::Ready(Some(Err(again)));
                }
            };
            rewriter.push(&piece, &mut self.out)?;
            self.stage = Stage::Reading(rewriter);
        }
    }
}

fn looked_up(mut rewriter: Box<dyn Rewrite>) -> LookUp {
    Box::pin(async move {
        rewriter.look_up().await?;
        Ok(rewriter)
    })
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
