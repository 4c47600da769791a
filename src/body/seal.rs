//! A plaintext body becomes a sealed one as it streams: one copy into the segment's buffer, sealed in place.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::{Chunks, Fault, Plain};
use crate::error::{BODY_INCOMPLETE, INTERNAL, TOO_LARGE};
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
    /// Bytes of plaintext; the body must hold exactly as many. `None`: not known; for a whole object only.
    pub length: Option<u64>,
    pub tail: Tail,
}

enum Stage {
    Reading(Box<RunSealer>, Tail),
    /// So many zeros, then the trailer.
    Closing(u64, Bytes),
    Ended,
}

/// The sealed form of a [`Plain`] body. Its length is known from the start where the plaintext's is. The last segment
/// leaves only after the plaintext ended cleanly, so whatever verifies the plaintext does so before the provider can
/// commit.
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
    /// `None`: not known how much.
    unread: Option<u64>,
    unsent: Option<u64>,
    failed: bool,
    entry: Arc<OnceLock<RunEntry>>,
    header: [u8; HEADER],
}

impl SealBody {
    /// Begins a run; its header is final from here on.
    ///
    /// # Errors
    /// A length that the format can't hold.
    pub fn new(source: Plain, plan: SealPlan) -> Result<Self, seal::SealError> {
        let sealed_len = match plan.tail {
            Tail::None => seal::layout::run_len,
            Tail::Object { .. } => seal::layout::sealed_len,
        };
        let unsent = match plan.length {
            Some(length) => Some(sealed_len(length).ok_or(seal::SealError::Length)?),
            None => None,
        };
        let sealer = RunSealer::new(
            &plan.keys,
            &plan.context,
            RunSpec {
                object: plan.object,
                part: plan.part,
                salt: plan.salt,
                length: plan.length,
            },
        )?;
        let room = room(unsent);
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
            failed: false,
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
        if let Some(unread) = &mut self.unread {
            *unread = unread.checked_sub(n as u64).ok_or_else(|| {
                Fault::new(
                    &BODY_INCOMPLETE,
                    "the body is longer than its declared length",
                )
            })?;
        }
        if self.buffer.capacity() - self.buffer.len() < n + TAG {
            self.buffer.reserve(room(self.unsent).max(n + TAG));
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
        if self.unread.is_some_and(|unread| unread != 0) {
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

/// What a buffer is to hold when so much is yet to be sent.
fn room(unsent: Option<u64>) -> usize {
    unsent
        .and_then(|left| usize::try_from(left).ok())
        .map_or(FRAME, |left| left.min(FRAME))
}

fn internal(error: seal::SealError) -> Fault {
    let code = match error {
        seal::SealError::TooLarge => &TOO_LARGE,
        _ => &INTERNAL,
    };
    Fault::new(code, error.to_string())
}

impl Body for SealBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.failed {
            // never a clean end after a failure, whoever asks again
            let again = Fault::new(&BODY_INCOMPLETE, "the body was broken off before");
            return Poll::Ready(Some(Err(again)));
        }
        let step = ready!(self.step(cx));
        match &step {
            Some(Ok(frame)) => {
                let sent = frame.len() as u64;
                self.unsent = self.unsent.map(|unsent| unsent.saturating_sub(sent));
            }
            Some(Err(_)) => {
                self.failed = true;
                self.stage = Stage::Ended;
                self.buffer.clear();
            }
            None => {}
        }
        Poll::Ready(step.map(|frame| frame.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.unsent
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn is_end_stream(&self) -> bool {
        !self.failed && matches!(self.stage, Stage::Ended) && self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::body::{OpenBody, Sealed};
    use crate::seal::object::ObjectReader;
    use crate::seal::range::{RangeReader, RangeSource};
    use crate::seal::trailer::{Trailer, locate};
    use crate::seal::{EpochSecret, EpochShort, KeyLookup, LookupError};
    use crate::secret::Secret;

    struct One(Arc<EpochKeys>);

    impl KeyLookup for One {
        fn epoch(&self, _: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
            Ok(self.0.clone())
        }
    }

    fn keys() -> Arc<EpochKeys> {
        let secret = Secret::from_slice(&[7; 48]).unwrap();
        Arc::new(EpochSecret::new(secret).keys())
    }

    fn context() -> Arc<seal::Context> {
        Arc::new(seal::Context::new("t", "s", "n").unwrap())
    }

    fn sealing(plain: Plain, length: Option<u64>) -> SealBody {
        let plan = SealPlan {
            keys: keys(),
            context: context(),
            object: ObjectId([1; 16]),
            part: 0,
            salt: Salt::of_test_vector([2; 32]),
            length,
            tail: Tail::Object {
                salt: Salt::of_test_vector([3; 32]),
                digests: Box::new(Digests::default),
            },
        };
        SealBody::new(plain, plan).unwrap()
    }

    async fn whole(body: impl Body<Data = Bytes, Error = Fault> + Unpin) -> Result<Vec<u8>, Fault> {
        body.collect().await.map(|all| all.to_bytes().to_vec())
    }

    fn answer(bytes: &[u8]) -> Sealed {
        let body = http_body_util::Full::new(Bytes::copy_from_slice(bytes));
        Sealed::new(Box::pin(body.map_err(|never| match never {})))
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn a_body_of_unknown_length_opens_whole_and_in_ranges() {
        for length in [0, 1, SEGMENT - 1, SEGMENT, 3 * SEGMENT + 5, 400_000] {
            let plain: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let body = sealing(Plain::whole(plain.clone()), None);
            assert_eq!(body.size_hint().exact(), None);
            let mut sealed = run(whole(body)).unwrap();
            let total = sealed.len() as u64;
            assert_eq!(seal::layout::sealed_len(length as u64), Some(total));
            let lookup = || Arc::new(One(keys()));
            let reader = ObjectReader::new(lookup(), context(), total, None).unwrap();
            let opened = run(whole(OpenBody::whole(answer(&sealed), reader))).unwrap();
            assert_eq!(opened, plain);
            if length == 0 {
                continue;
            }
            let before = sealed.clone();
            let at = sealed.len() - 8;
            let locator = sealed[at..].try_into().unwrap();
            let start = at - locate(locator, total).unwrap() as usize;
            let trailer =
                Trailer::open(&One(keys()), &context(), &mut sealed[start..at], total).unwrap();
            let range = length as u64 / 2..length as u64;
            let source = RangeSource::Trailer(Arc::new(trailer));
            let reader =
                RangeReader::new(lookup(), context(), source, total, range.clone()).unwrap();
            let wanted = reader.sealed();
            let part = &before[wanted.start as usize..wanted.end as usize];
            let opened = run(whole(OpenBody::range(answer(part), reader))).unwrap();
            assert_eq!(opened, &plain[range.start as usize..]);
        }
    }

    /// Whoever has as many bytes as were announced asks for nothing more and would take the cut for the end.
    #[test]
    fn a_body_of_unknown_length_cut_between_two_segments_is_never_given_out_whole() {
        let plain = vec![5; 3 * SEGMENT];
        for kept in 1..3 {
            let sealed = run(whole(sealing(Plain::whole(plain.clone()), None))).unwrap();
            let total = seal::layout::sealed_len((kept * SEGMENT) as u64).unwrap();
            let cut = &sealed[..total as usize];
            let reader = ObjectReader::new(Arc::new(One(keys())), context(), total, None).unwrap();
            let mut body = OpenBody::whole(answer(cut), reader);
            let mut given = 0;
            run(async {
                while let Some(Ok(frame)) = body.frame().await {
                    given += frame.into_data().unwrap().len();
                }
                assert!(matches!(body.frame().await, Some(Err(_))));
            });
            assert!(given < kept * SEGMENT, "{kept}");
        }
    }

    #[test]
    fn a_broken_body_of_unknown_length_never_ends_cleanly() {
        let broken = Plain::whole(vec![1; 10]).through(|source, faults| {
            Box::pin(Broken {
                source,
                fault: faults.refuse(crate::error::Refusal::new(&BODY_INCOMPLETE)),
            })
        });
        let mut body = sealing(broken, None);
        run(async {
            loop {
                match body.frame().await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) => break,
                    None => panic!("a clean end"),
                }
            }
            assert!(!body.is_end_stream());
            assert!(matches!(body.frame().await, Some(Err(_))));
        });
    }

    struct Broken {
        source: Chunks,
        fault: Fault,
    }

    impl Body for Broken {
        type Data = Bytes;
        type Error = Fault;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
            match ready!(self.source.as_mut().poll_frame(cx)) {
                None => Poll::Ready(Some(Err(self.fault.clone()))),
                some => Poll::Ready(some),
            }
        }
    }
}
