//! A cleared body in the chunks of S3's `aws-chunked`, with its CRC32C in a trailer: for providers that ask for a
//! checksum with object lock. The checksum covers what the provider is given, so it tells nothing of the plaintext.
//!
//! Source: Amazon S3 API Reference, "Including trailing headers".

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use http_body::{Body, Frame, SizeHint};

use super::{Chunks, Cleared, Fault, Outbound};
use crate::error::INTERNAL;

/// Bytes of every chunk but the last.
const CHUNK: u64 = 128 * 1024;
/// `0`, the trailer with its eight digits, the end.
const CLOSING: u64 = "0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n".len() as u64;

impl Cleared<Outbound> {
    /// The same bytes, framed. `None` when their length is not known.
    pub fn checksummed(self) -> Option<Self> {
        let length = self.size_hint().exact()?;
        Some(Self::framed(Box::pin(Checksummed {
            source: self.into_chunks(),
            crc: crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi),
            input: Bytes::new(),
            next: Next::Size,
            left: length,
            unsent: framed_len(length),
            failed: None,
        })))
    }
}

fn framed_len(length: u64) -> u64 {
    let chunk = |size: u64| size + format!("{size:x}\r\n\r\n").len() as u64;
    let last = length % CHUNK;
    let whole = (length / CHUNK) * chunk(CHUNK);
    whole + if last == 0 { 0 } else { chunk(last) } + CLOSING
}

/// What is written next.
enum Next {
    Size,
    /// Bytes of the chunk that remain.
    Data(u64),
    DataEnd,
    End,
}

struct Checksummed {
    source: Chunks,
    crc: crc_fast::Digest,
    input: Bytes,
    next: Next,
    left: u64,
    unsent: u64,
    /// What broke it: said again to whoever asks again.
    failed: Option<Fault>,
}

impl Checksummed {
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        match self.next {
            Next::Size if self.left == 0 => {
                // the source must have ended too, and cleanly
                while let Some(frame) = ready!(self.source.as_mut().poll_frame(cx)?) {
                    if frame.into_data().is_ok_and(|data| !data.is_empty()) {
                        return Poll::Ready(Some(Err(longer())));
                    }
                }
                self.next = Next::End;
                let crc = u32::try_from(self.crc.finalize()).unwrap_or_default();
                let crc = STANDARD.encode(crc.to_be_bytes());
                let closing = format!("0\r\nx-amz-checksum-crc32c:{crc}\r\n\r\n");
                Poll::Ready(Some(Ok(closing.into())))
            }
            Next::Size => {
                let size = self.left.min(CHUNK);
                self.next = Next::Data(size);
                Poll::Ready(Some(Ok(format!("{size:x}\r\n").into())))
            }
            Next::Data(remaining) => {
                while self.input.is_empty() {
                    match ready!(self.source.as_mut().poll_frame(cx)?) {
                        Some(frame) => self.input = frame.into_data().unwrap_or_default(),
                        None => return Poll::Ready(Some(Err(shorter()))),
                    }
                }
                let n = usize::try_from(remaining)
                    .map_or(self.input.len(), |most| most.min(self.input.len()));
                let piece = self.input.split_to(n);
                self.crc.update(&piece);
                self.left -= n as u64;
                self.next = match remaining - n as u64 {
                    0 => Next::DataEnd,
                    more => Next::Data(more),
                };
                Poll::Ready(Some(Ok(piece)))
            }
            Next::DataEnd => {
                self.next = Next::Size;
                if self.left == 0 && !self.input.is_empty() {
                    return Poll::Ready(Some(Err(longer())));
                }
                Poll::Ready(Some(Ok(Bytes::from_static(b"\r\n"))))
            }
            Next::End => Poll::Ready(None),
        }
    }
}

fn longer() -> Fault {
    Fault::new(&INTERNAL, "a body is longer than it said")
}

fn shorter() -> Fault {
    Fault::new(&INTERNAL, "a body is shorter than it said")
}

impl Body for Checksummed {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(fault) = &self.failed {
            return Poll::Ready(Some(Err(fault.clone())));
        }
        let step = ready!(self.step(cx));
        match &step {
            Some(Ok(bytes)) => self.unsent = self.unsent.saturating_sub(bytes.len() as u64),
            Some(Err(fault)) => self.failed = Some(fault.clone()),
            None => {}
        }
        Poll::Ready(step.map(|bytes| bytes.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.unsent)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::seal::SealedBytes;

    #[tokio::test]
    async fn the_framing_is_as_s3_reads_it() {
        let body = Cleared::sealed_bytes(SealedBytes::from_seal(b"hello world".to_vec()));
        let body = body.checksummed().unwrap();
        let length = body.size_hint().exact().unwrap();
        let bytes = body.collect().await.unwrap().to_bytes();
        assert_eq!(
            bytes,
            "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32c:yZRlqg==\r\n\r\n"
        );
        assert_eq!(length, bytes.len() as u64);
    }

    #[tokio::test]
    async fn the_length_holds_at_every_boundary() {
        for n in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17] {
            let bytes = SealedBytes::from_seal(vec![7; n as usize]);
            let body = Cleared::sealed_bytes(bytes).checksummed().unwrap();
            let length = body.size_hint().exact().unwrap();
            let framed = body.collect().await.unwrap().to_bytes();
            assert_eq!(length, framed.len() as u64, "{n}");
        }
    }
}
