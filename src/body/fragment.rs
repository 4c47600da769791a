//! A run that goes up in pieces that the provider counts, where every request but the last must hold a whole number of
//! its units. What does not fill one is carried, as ciphertext, to the next request. Nothing that completes a request
//! leaves before its sender has made sure that it can go on from there.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::{Fault, SealBody, Work};
use crate::error::INTERNAL;
use crate::seal::SealedBytes;
use crate::seal::run::RunEntry;

static ZEROS: [u8; 65536] = [0; 65536];

/// What follows the run: nothing, or what closes the object.
#[derive(Default)]
pub struct Closing {
    pub zeros: u64,
    pub trailer: Option<SealedBytes>,
}

/// Told when the run is sealed, with its entry and the ciphertext that is not part of this request. The request is
/// completed once it has agreed.
pub type Keep = Box<dyn FnOnce(RunEntry, SealedBytes) -> Work<Result<Closing, Fault>> + Send>;

/// Ciphertext that is to be sent: bytes, zeros, bytes.
pub struct SealedRest {
    kept: Bytes,
    zeros: u64,
    trailer: Bytes,
    /// Bytes of it that are to be sent now.
    left: u64,
}

impl SealedRest {
    /// The bytes from `start` on, `length` of them.
    pub fn new(
        kept: SealedBytes,
        zeros: u64,
        trailer: Option<SealedBytes>,
        start: u64,
        length: u64,
    ) -> Self {
        let mut rest = Self {
            kept: kept.into_bytes(),
            zeros,
            trailer: trailer.map(SealedBytes::into_bytes).unwrap_or_default(),
            left: 0,
        };
        rest.left = start;
        while rest.next().is_some() {}
        rest.left = length;
        rest
    }

    fn next(&mut self) -> Option<Bytes> {
        let part = |n: usize, left: u64| usize::try_from(left).map_or(n, |left| n.min(left));
        let piece = if self.left == 0 {
            return None;
        } else if !self.kept.is_empty() {
            self.kept.split_to(part(self.kept.len(), self.left))
        } else if self.zeros > 0 {
            let n = part(ZEROS.len(), self.left.min(self.zeros));
            self.zeros -= n as u64;
            Bytes::from_static(&ZEROS[..n])
        } else if !self.trailer.is_empty() {
            self.trailer.split_to(part(self.trailer.len(), self.left))
        } else {
            return None;
        };
        self.left -= piece.len() as u64;
        Some(piece)
    }
}

impl Body for SealedRest {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready(match self.next() {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if self.left == 0 => None,
            None => Some(Err(Fault::new(
                &INTERNAL,
                "what is kept is shorter than it should be",
            ))),
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

enum Stage {
    Running(Box<SealBody>, Keep),
    Keeping(Work<Result<Closing, Fault>>),
    Ending(SealedRest),
    Failed,
}

/// The first request of a fragment.
pub struct FragmentBody {
    carried: Bytes,
    stage: Stage,
    /// Of the run, and not to leave yet.
    held: BytesMut,
    /// Bytes of this request that have not left.
    left: u64,
}

impl FragmentBody {
    /// `carried`: what the fragment before left over. `length`: bytes of this request.
    pub fn new(carried: SealedBytes, run: SealBody, length: u64, keep: Keep) -> Self {
        Self {
            carried: carried.into_bytes(),
            stage: Stage::Running(Box::new(run), keep),
            held: BytesMut::new(),
            left: length,
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Failed) {
                Stage::Running(mut run, keep) => {
                    if !self.carried.is_empty() {
                        self.stage = Stage::Running(run, keep);
                        return Poll::Ready(Some(Ok(std::mem::take(&mut self.carried))));
                    }
                    let Poll::Ready(frame) = Pin::new(run.as_mut()).poll_frame(cx)? else {
                        self.stage = Stage::Running(run, keep);
                        return Poll::Pending;
                    };
                    if let Some(frame) = frame {
                        self.stage = Stage::Running(run, keep);
                        let mut data = frame.into_data().unwrap_or_default();
                        // the last byte waits, so that the request is not complete
                        let room = usize::try_from(self.left.saturating_sub(1));
                        let room = room.unwrap_or(usize::MAX).min(data.len());
                        let now = data.split_to(room);
                        self.held.extend_from_slice(&data);
                        if now.is_empty() {
                            continue;
                        }
                        return Poll::Ready(Some(Ok(now)));
                    }
                    let entry = run.entry();
                    let entry = entry.get().ok_or_else(|| {
                        Fault::new(&INTERNAL, "a run ended before it was complete")
                    })?;
                    let at = usize::try_from(self.left).unwrap_or(usize::MAX);
                    let behind = self.held.get(at..).unwrap_or_default().to_vec();
                    self.stage =
                        Stage::Keeping(keep(entry.clone(), SealedBytes::from_seal(behind)));
                }
                Stage::Keeping(mut work) => {
                    let Poll::Ready(closing) = work.as_mut().poll(cx)? else {
                        self.stage = Stage::Keeping(work);
                        return Poll::Pending;
                    };
                    let held = SealedBytes::from_seal(self.held.split().freeze());
                    let Closing { zeros, trailer } = closing;
                    let rest = SealedRest::new(held, zeros, trailer, 0, self.left);
                    self.stage = Stage::Ending(rest);
                }
                Stage::Ending(mut rest) => {
                    let frame = ready!(Pin::new(&mut rest).poll_frame(cx)?);
                    self.stage = Stage::Ending(rest);
                    return Poll::Ready(
                        frame.map(|frame| Ok(frame.into_data().unwrap_or_default())),
                    );
                }
                Stage::Failed => {
                    return Poll::Ready(Some(Err(Fault::new(&INTERNAL, "broken off before"))));
                }
            }
        }
    }
}

impl Body for FragmentBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let step = ready!(self.step(cx));
        match &step {
            Some(Ok(bytes)) => self.left = self.left.saturating_sub(bytes.len() as u64),
            Some(Err(_)) => {
                self.stage = Stage::Failed;
                self.held.clear();
            }
            None => {}
        }
        Poll::Ready(step.map(|bytes| bytes.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn window(start: u64, length: u64) -> Vec<u8> {
        let bytes = |bytes: &'static [u8]| SealedBytes::from_seal(bytes);
        let rest = SealedRest::new(bytes(b"abc"), 2, Some(bytes(b"xyz")), start, length);
        assert_eq!(rest.size_hint().exact(), Some(length));
        rest.collect().await.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn any_window_of_the_rest_is_what_stands_there() {
        let whole = b"abc\0\0xyz";
        for start in 0..=whole.len() {
            for end in start..=whole.len() {
                let got = window(start as u64, (end - start) as u64).await;
                assert_eq!(got, whole[start..end], "{start}..{end}");
            }
        }
    }

    #[tokio::test]
    async fn a_rest_that_is_too_short_is_an_error() {
        let rest = SealedRest::new(SealedBytes::from_seal(&b"abc"[..]), 0, None, 0, 4);
        assert!(rest.collect().await.is_err());
    }
}
