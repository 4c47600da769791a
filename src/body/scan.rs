//! A provider's text becomes the client's as it streams: its tokens are opened, the rest stays as it is.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::cleared::collect;
use super::{Chunks, Fault, FaultSlot, Sealed};
use crate::error::Refusal;
use crate::seal::scan::{Found, Opens, Output, Reading, Scanner};

/// Follows a text as it passes, and tells the scanner where tokens open. What it keeps back is bounded.
pub trait Guide: Send {
    /// Hands the next piece, which may end anywhere, on to the scanner.
    ///
    /// # Errors
    /// The text is not what it should be; the stream is aborted.
    fn push(&mut self, piece: Bytes, scanner: &mut Scanner, out: &mut Output) -> Result<(), Fault>;

    /// The text has ended.
    ///
    /// # Errors
    /// It ended too early.
    fn finish(&mut self, scanner: &mut Scanner, out: &mut Output) -> Result<(), Fault>;
}

/// A text with its tokens opened. Its length is not known beforehand.
pub struct ScanBody {
    source: Chunks,
    scanner: Scanner,
    guide: Option<Box<dyn Guide>>,
    output: Output,
    /// Ended, or broken by a fault, which is said again to whoever asks again.
    ended: Option<Result<(), Fault>>,
    done: Option<Box<dyn FnOnce(Found) + Send>>,
}

impl ScanBody {
    /// A text in which the same tokens open everywhere. `done` is told what was found once the text has ended.
    pub fn new(
        source: Sealed,
        reading: Reading,
        opens: Opens,
        done: impl FnOnce(Found) + Send + 'static,
    ) -> Self {
        Self {
            source: source.into_chunks(),
            scanner: Scanner::new(reading, opens),
            guide: None,
            output: Output::default(),
            ended: None,
            done: Some(Box::new(done)),
        }
    }

    /// A text in which tokens open where `guide` says.
    pub fn guided(
        source: Sealed,
        reading: Reading,
        guide: impl Guide + 'static,
        done: impl FnOnce(Found) + Send + 'static,
    ) -> Self {
        Self {
            guide: Some(Box::new(guide)),
            ..Self::new(source, reading, Opens::Nothing, done)
        }
    }

    /// The whole text in memory, for what is judged before any of it is given out.
    ///
    /// # Errors
    /// `TOO_LARGE` beyond `limit` bytes, or what broke the stream.
    pub async fn collect(self, limit: usize) -> Result<Vec<u8>, Refusal> {
        let mut chunks: Chunks = Box::pin(self);
        collect(&mut chunks, limit, &FaultSlot::default()).await
    }

    fn push(&mut self, data: Bytes) -> Result<(), Fault> {
        match &mut self.guide {
            Some(guide) => guide.push(data, &mut self.scanner, &mut self.output),
            None => {
                self.scanner.push(data, &mut self.output);
                Ok(())
            }
        }
    }

    fn finish(&mut self) -> Result<(), Fault> {
        if let Some(guide) = &mut self.guide {
            guide.finish(&mut self.scanner, &mut self.output)?;
        }
        self.scanner.finish(&mut self.output);
        if let Some(done) = self.done.take() {
            done(self.scanner.found());
        }
        Ok(())
    }

    /// What the failed piece gave is not given out.
    fn fail(&mut self, fault: Fault) {
        self.output = Output::default();
        self.ended = Some(Err(fault));
    }
}

impl Body for ScanBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        loop {
            if let Some(piece) = this.output.pop() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if let Some(ended) = &this.ended {
                return Poll::Ready(ended.clone().err().map(Err));
            }
            match ready!(this.source.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && let Err(fault) = this.push(data)
                    {
                        this.fail(fault);
                    }
                }
                Some(Err(fault)) => this.fail(fault),
                None => {
                    this.ended = Some(Ok(()));
                    if let Err(fault) = this.finish() {
                        this.fail(fault);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use http_body_util::BodyExt as _;

    use super::*;
    use crate::body::Released;
    use crate::error::UPSTREAM_TIMEOUT;
    use crate::seal::scan::{Encoding, Language};
    use crate::seal::token::TokenKeys;
    use crate::seal::{self, EpochKeys, EpochShort, LookupError};

    struct NoKeys;

    impl TokenKeys for NoKeys {
        fn find(&self, _: EpochShort) -> Result<(Arc<EpochKeys>, Arc<seal::Context>), LookupError> {
            Err(LookupError::Unknown)
        }
    }

    fn reading() -> Reading {
        Reading {
            keys: Arc::new(NoKeys),
            encoding: Encoding::Json,
            language: Language::English,
        }
    }

    struct Frames(VecDeque<Result<Bytes, Fault>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Fault;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
            Poll::Ready(self.0.pop_front().map(|data| data.map(Frame::data)))
        }
    }

    fn body(frames: Vec<Result<Bytes, Fault>>) -> (Released, Arc<Mutex<Option<Found>>>) {
        let told = Arc::new(Mutex::new(None));
        let teller = told.clone();
        let source = Sealed::new(Box::pin(Frames(frames.into())));
        let body = ScanBody::new(source, reading(), Opens::Anything, move |found| {
            *teller.lock().unwrap() = Some(found);
        });
        (Released::scanned(body), told)
    }

    #[tokio::test]
    async fn what_was_held_back_comes_at_the_end_and_the_count_with_it() {
        let frames = ["un s", "c1", "", ".AQEaaaaaaaaaaa"].map(|text| Ok(Bytes::from(text)));
        let (body, told) = body(frames.into());
        let text = body.collect().await.unwrap().to_bytes();
        assert_eq!(
            &text[..],
            b"un [Sceau: this text does not open, code length]"
        );
        let found = told.lock().unwrap().take();
        assert_eq!(
            found,
            Some(Found {
                opened: 0,
                damaged: 1,
                ..Found::default()
            })
        );
    }

    #[tokio::test]
    async fn a_broken_source_never_ends_cleanly() {
        let fault = Fault::new(&UPSTREAM_TIMEOUT, "gone");
        let (mut body, told) = body(vec![Ok(Bytes::from("abc s")), Err(fault)]);
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.unwrap().is_err());
        assert!(told.lock().unwrap().is_none());
    }
}
