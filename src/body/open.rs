//! A sealed answer becomes plaintext as it streams: gathered a segment at a time, opened in place, and released only
//! when authenticated. What breaks, aborts.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::{Chunks, Fault, Sealed};
use crate::error::{Code, KEY_UNAVAILABLE, OBJECT_DAMAGED, Refusal};
use crate::seal::layout::{SEGMENT, TAG};
use crate::seal::object::{Fed, ObjectReader};
use crate::seal::range::RangeReader;
use crate::seal::{OpenError, layout};

/// Gathered in one allocation: two segments.
const GATHER: usize = 2 * (SEGMENT + TAG);

enum Reader {
    Whole(Box<ObjectReader>),
    Range(Box<RangeReader>),
}

impl Reader {
    fn want(&self) -> usize {
        match self {
            Self::Whole(reader) => reader.want(),
            Self::Range(reader) => reader.want(),
        }
    }

    fn feed(&mut self, chunk: &mut [u8]) -> Result<Fed, OpenError> {
        match self {
            Self::Whole(reader) => reader.feed(chunk),
            Self::Range(reader) => reader.feed(chunk),
        }
    }
}

/// The plaintext of a [`Sealed`] answer.
pub struct OpenBody {
    source: Chunks,
    input: Bytes,
    buffer: BytesMut,
    reader: Reader,
    /// Opened before it was asked for.
    first: Option<Bytes>,
    held: Option<Bytes>,
    unreleased: u64,
    /// What broke it: said again to whoever asks again.
    failed: Option<Fault>,
}

impl OpenBody {
    /// The whole object; the last segment is released only once the trailer is verified.
    pub fn whole(source: Sealed, reader: ObjectReader) -> Self {
        let length = reader.plain_len();
        Self::new(source, Reader::Whole(Box::new(reader)), length)
    }

    /// A range; `source` begins with the reader's first sealed byte, what follows its last is left unread.
    pub fn range(source: Sealed, reader: RangeReader) -> Self {
        let length = reader.plain_len();
        Self::new(source, Reader::Range(Box::new(reader)), length)
    }

    fn new(source: Sealed, reader: Reader, length: u64) -> Self {
        Self {
            source: source.into_chunks(),
            input: Bytes::new(),
            buffer: BytesMut::new(),
            reader,
            first: None,
            held: None,
            unreleased: length,
            failed: None,
        }
    }

    /// Opens the first bytes.
    ///
    /// # Errors
    /// What is wrong with them, while the answer can still say so.
    pub(super) async fn begin(&mut self) -> Result<(), Refusal> {
        match poll_fn(|cx| self.step(cx)).await.transpose() {
            Ok(first) => {
                self.first = first;
                Ok(())
            }
            Err(fault) => Err(Refusal::new(fault.code).cause(fault)),
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            let want = self.reader.want();
            if want == 0 {
                return Poll::Ready(self.held.take().map(Ok));
            }
            if self.buffer.len() < want {
                if self.input.is_empty() {
                    match ready!(self.source.as_mut().poll_frame(cx)?) {
                        Some(frame) => self.input = frame.into_data().unwrap_or_default(),
                        None => {
                            return Poll::Ready(Some(Err(Fault::new(
                                &OBJECT_DAMAGED,
                                "the stored object is cut short",
                            ))));
                        }
                    }
                }
                self.gather(want);
                continue;
            }
            let mut chunk = self.buffer.split_to(want);
            match self.reader.feed(&mut chunk).map_err(fault)? {
                Fed::Nothing | Fed::Finished => {}
                Fed::Plain(range) if range.is_empty() => {}
                Fed::Plain(range) => return Poll::Ready(Some(Ok(chunk.freeze().slice(range)))),
                Fed::Held(range) if range.is_empty() => {}
                Fed::Held(range) => self.held = Some(chunk.freeze().slice(range)),
            }
        }
    }

    /// Copies input until `want` bytes are together.
    fn gather(&mut self, want: usize) {
        let n = self.input.len().min(want - self.buffer.len());
        if self.buffer.capacity() < want {
            let left = layout::sealed_len(self.unreleased).unwrap_or(u64::MAX);
            let room = usize::try_from(left).map_or(GATHER, |left| left.min(GATHER));
            self.buffer.reserve(room.max(want) - self.buffer.len());
        }
        self.buffer.extend_from_slice(&self.input.split_to(n));
    }
}

fn fault(error: OpenError) -> Fault {
    let code: &'static Code = match error {
        OpenError::KeyUnavailable(_) | OpenError::UnknownEpoch => &KEY_UNAVAILABLE,
        _ => &OBJECT_DAMAGED,
    };
    Fault::new(code, error.to_string())
}

impl Body for OpenBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(fault) = &self.failed {
            return Poll::Ready(Some(Err(fault.clone())));
        }
        let step = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => ready!(self.step(cx)),
        };
        match &step {
            Some(Ok(bytes)) => self.unreleased = self.unreleased.saturating_sub(bytes.len() as u64),
            Some(Err(fault)) => self.failed = Some(fault.clone()),
            None => {}
        }
        Poll::Ready(step.map(|bytes| bytes.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.unreleased)
    }
}
