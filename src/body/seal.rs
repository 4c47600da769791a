//! A plaintext body becomes a sealed one as it streams: one copy into the segment's buffer, sealed in place.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::{Chunks, Fault, Plain};
use crate::error::{BODY_INCOMPLETE, INTERNAL};
use crate::seal;
use crate::seal::layout::{HEADER, SEGMENT, TAG};
use crate::seal::run::{RunEntry, RunSealer, RunSpec};
use crate::seal::trailer::Digests;
use crate::seal::{EpochKeys, ObjectId, Salt};

/// Ciphertext is handed on in frames of about this size: two segments.
const FRAME: usize = 2 * (SEGMENT + TAG);
static ZEROS: [u8; 65536] = [0; 65536];

/// What follows the run.
pub enum Tail {
    /// Nothing: the run is a part, the trailer is sealed when the object is complete.
    None,
    /// Zeros, trailer and locator: the run is the whole object. The digests are asked for once the plaintext has
    /// been read and verified to its end.
    Object {
        salt: Salt,
        digests: Box<dyn FnOnce() -> Digests + Send>,
    },
}

/// How a body is to be sealed.
pub struct SealPlan {
    pub keys: Arc<EpochKeys>,
    pub context: Arc<seal::Context>,
    pub object: ObjectId,
    /// 0 for a whole object.
    pub part: u32,
    pub salt: Salt,
    /// Bytes of plaintext; the body must hold exactly as many.
    pub length: u64,
    pub tail: Tail,
}

enum Stage {
    Reading(Box<RunSealer>, Tail),
    /// So many zeros, then the trailer.
    Closing(u64, Bytes),
    Ended,
}

/// The sealed form of a [`Plain`] body. Its length is known from the start. The last segment leaves only after the
/// plaintext ended cleanly, so whatever verifies the plaintext does so before the provider can commit.
pub struct SealBody {
    source: Chunks,
    input: Bytes,
    buffer: BytesMut,
    /// Where in `buffer` the segment that is being filled begins.
    segment: usize,
    stage: Stage,
    context: Arc<seal::Context>,
    keys: Arc<EpochKeys>,
    object: ObjectId,
    unread: u64,
    unsent: u64,
    entry: Arc<OnceLock<RunEntry>>,
    header: [u8; HEADER],
}

impl SealBody {
    /// Begins a run; its header is final from here on.
    ///
    /// # Errors
    /// A length that the format can't hold.
    pub fn new(source: Plain, plan: SealPlan) -> Result<Self, seal::SealError> {
        let unsent = match plan.tail {
            Tail::None => seal::layout::run_len(plan.length),
            Tail::Object { .. } => seal::layout::sealed_len(plan.length),
        }
        .ok_or(seal::SealError::Length)?;
        let sealer = RunSealer::new(
            &plan.keys,
            &plan.context,
            RunSpec {
                object: plan.object,
                part: plan.part,
                salt: plan.salt,
                length: Some(plan.length),
            },
        )?;
        let room = usize::try_from(unsent).map_or(FRAME, |n| n.min(FRAME));
        let mut buffer = BytesMut::with_capacity(room + HEADER);
        let header = *sealer.header();
        buffer.extend_from_slice(&header);
        Ok(Self {
            source: source.into_chunks(),
            input: Bytes::new(),
            segment: buffer.len(),
            buffer,
            stage: Stage::Reading(Box::new(sealer), plan.tail),
            context: plan.context,
            keys: plan.keys,
            object: plan.object,
            unread: plan.length,
            unsent,
            entry: Arc::default(),
            header,
        })
    }

    /// The run's header; a one-run object's metadata holds it too.
    pub fn header(&self) -> [u8; HEADER] {
        self.header
    }

    /// Filled when the run is finished.
    pub fn entry(&self) -> Arc<OnceLock<RunEntry>> {
        self.entry.clone()
    }

    /// Moves input into the open segment and seals it when it is full.
    fn absorb(&mut self) -> Result<(), Fault> {
        let Stage::Reading(sealer, _) = &mut self.stage else {
            return Ok(());
        };
        let filled = self.buffer.len() - self.segment;
        let n = self.input.len().min(SEGMENT - filled);
        self.unread = self.unread.checked_sub(n as u64).ok_or_else(|| {
            Fault::new(
                &BODY_INCOMPLETE,
                "the body is longer than its declared length",
            )
        })?;
        if self.buffer.capacity() - self.buffer.len() < n + TAG {
            let whole = usize::try_from(self.unsent).map_or(FRAME, |left| left.min(FRAME));
            self.buffer.reserve(whole.max(n + TAG));
        }
        self.buffer.extend_from_slice(&self.input.split_to(n));
        if filled + n == SEGMENT {
            let tag = sealer
                .seal_segment(&mut self.buffer[self.segment..])
                .map_err(internal)?;
            self.buffer.extend_from_slice(&tag);
            self.segment = self.buffer.len();
        }
        Ok(())
    }

    /// Seals the last segment once the plaintext has ended, and what follows the run.
    fn finish(&mut self) -> Result<(), Fault> {
        if self.unread != 0 {
            return Err(Fault::new(
                &BODY_INCOMPLETE,
                "the body ended before its declared length",
            ));
        }
        let Stage::Reading(sealer, tail) = std::mem::replace(&mut self.stage, Stage::Ended) else {
            return Ok(());
        };
        let (tag, entry) = sealer
            .finish(&mut self.buffer[self.segment..])
            .map_err(internal)?;
        self.buffer.extend_from_slice(&tag);
        if let Tail::Object { salt, digests } = tail {
            let zeros = seal::layout::zeros_len([entry.length])
                .ok_or_else(|| Fault::new(&INTERNAL, "the layout does not hold"))?;
            let entries = std::slice::from_ref(&entry);
            let trailer = seal::trailer::seal_trailer(
                &self.keys,
                &self.context,
                self.object,
                salt,
                entries,
                &digests(),
            )
            .map_err(internal)?;
            if zeros == 0 {
                self.buffer.extend_from_slice(&trailer.into_bytes());
            } else {
                self.stage = Stage::Closing(zeros, trailer.into_bytes());
            }
        }
        let _ = self.entry.set(entry);
        self.segment = self.buffer.len();
        Ok(())
    }

    /// The next frame that is ready, when nothing more is to be read for it.
    fn ready_frame(&mut self) -> Option<Bytes> {
        let wanted = match &mut self.stage {
            Stage::Reading(..) if self.segment < FRAME => return None,
            Stage::Reading(..) => self.buffer.split_to(std::mem::take(&mut self.segment)),
            _ if !self.buffer.is_empty() => self.buffer.split(),
            Stage::Closing(0, trailer) => {
                let trailer = std::mem::take(trailer);
                self.stage = Stage::Ended;
                return Some(trailer);
            }
            Stage::Closing(zeros, _) => {
                let n = (*zeros).min(ZEROS.len() as u64);
                *zeros -= n;
                return Some(Bytes::from_static(&ZEROS[..n as usize]));
            }
            Stage::Ended => return None,
        };
        Some(wanted.freeze())
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            if let Some(frame) = self.ready_frame() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if matches!(self.stage, Stage::Ended) {
                return Poll::Ready(None);
            }
            if !self.input.is_empty() {
                self.absorb()?;
                continue;
            }
            match ready!(self.source.as_mut().poll_frame(cx)?) {
                Some(frame) => self.input = frame.into_data().unwrap_or_default(),
                None => self.finish()?,
            }
        }
    }
}

fn internal(error: seal::SealError) -> Fault {
    Fault::new(&INTERNAL, error.to_string())
}

impl Body for SealBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let step = ready!(self.step(cx));
        match &step {
            Some(Ok(frame)) => self.unsent = self.unsent.saturating_sub(frame.len() as u64),
            Some(Err(_)) => {
                self.stage = Stage::Ended;
                self.buffer.clear();
            }
            None => {}
        }
        Poll::Ready(step.map(|frame| frame.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.unsent)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.stage, Stage::Ended) && self.unsent == 0
    }
}
