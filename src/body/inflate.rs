//! Compressed bodies of clients (RFC 9110, section 8.4.1), read in constant memory.

use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use flate2::write::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use http_body::{Body, Frame};

use super::{Chunks, Fault, FaultSlot};
use crate::error::{PROTOCOL, Refusal, TOO_LARGE};

/// Read at a time: becomes at most a quarter of a mebibyte (a byte of deflate tells of up to 1,032).
const STEP: usize = 256;
/// Given out at a time, about.
const PIECE: usize = 64 * 1024;
/// So many times its length a body may become, ...
const RATIO: u64 = 100;
/// ... and so much more.
const ALLOWANCE: u64 = 1 << 20;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    /// Deflate in zlib's format (RFC 1950).
    Deflate,
}

impl Coding {
    /// By the name that `Content-Encoding` has for it.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }
}

enum Decoder {
    Gzip(Box<GzDecoder<Vec<u8>>>),
    Deflate {
        inflate: Box<Decompress>,
        out: Vec<u8>,
        ended: bool,
    },
}

/// The body is not what its coding says.
struct Malformed;

impl Decoder {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(Box::new(GzDecoder::new(Vec::new()))),
            Coding::Deflate => Self::Deflate {
                inflate: Box::new(Decompress::new(true)),
                out: Vec::new(),
                ended: false,
            },
        }
    }

    /// Reads some of `input`; gives how much. Nothing may follow the end.
    fn read(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::Gzip(decoder) => match decoder.write(input) {
                Ok(read) if read > 0 => Ok(read),
                _ => Err(Malformed),
            },
            Self::Deflate { ended: true, .. } => Err(Malformed),
            Self::Deflate {
                inflate,
                out,
                ended,
            } => {
                let before = (inflate.total_in(), out.len());
                out.reserve(PIECE);
                let status = inflate.decompress_vec(input, out, FlushDecompress::None);
                *ended = status.map_err(|_| Malformed)? == Status::StreamEnd;
                if before == (inflate.total_in(), out.len()) && !*ended {
                    return Err(Malformed);
                }
                usize::try_from(inflate.total_in() - before.0).map_err(|_| Malformed)
            }
        }
    }

    fn out(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate { out, .. } => out,
        }
    }

    /// What comes when the input has ended.
    fn finish(&mut self) -> Result<Vec<u8>, Malformed> {
        match self {
            Self::Gzip(decoder) => {
                decoder.try_finish().map_err(|_| Malformed)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Deflate { ended: false, .. } => Err(Malformed),
            Self::Deflate { out, .. } => Ok(std::mem::take(out)),
        }
    }
}

/// A client's body without its compression.
pub struct Inflated {
    source: Chunks,
    faults: FaultSlot,
    decoder: Decoder,
    input: Bytes,
    read: u64,
    given: u64,
    /// Ended, or refused.
    ended: Option<Result<(), Fault>>,
}

impl Inflated {
    /// A stage for [`super::Plain::through`].
    pub fn stage(coding: Coding) -> impl FnOnce(Chunks, FaultSlot) -> Chunks {
        move |source, faults| {
            Box::pin(Self {
                source,
                faults,
                decoder: Decoder::new(coding),
                input: Bytes::new(),
                read: 0,
                given: 0,
                ended: None,
            })
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Fault {
        let fault = self.faults.refuse(refusal);
        self.ended = Some(Err(fault.clone()));
        fault
    }

    fn malformed(&mut self) -> Fault {
        self.refuse(Refusal::new(&PROTOCOL).message("The compressed body is malformed or cut."))
    }

    /// What the input at hand gives; nothing when more is needed.
    fn step(&mut self) -> Result<Bytes, Fault> {
        while !self.input.is_empty() && self.decoder.out().len() < PIECE {
            let step = self.input.len().min(STEP);
            let Ok(read) = self.decoder.read(&self.input[..step]) else {
                return Err(self.malformed());
            };
            self.input.advance(read);
            self.read += read as u64;
            self.within()?;
        }
        Ok(self.piece())
    }

    fn within(&mut self) -> Result<(), Fault> {
        let length = self.given + self.decoder.out().len() as u64;
        if length > ALLOWANCE + self.read * RATIO {
            let refusal = Refusal::new(&TOO_LARGE)
                .message("The body becomes more than a hundred times as long when it is read.");
            return Err(self.refuse(refusal));
        }
        Ok(())
    }

    fn piece(&mut self) -> Bytes {
        let piece = Bytes::from(std::mem::take(self.decoder.out()));
        self.given += piece.len() as u64;
        piece
    }
}

impl Body for Inflated {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        loop {
            if let Some(ended) = &this.ended {
                return Poll::Ready(ended.clone().err().map(Err));
            }
            let piece = match this.step() {
                Ok(piece) => piece,
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            };
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            match ready!(this.source.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => this.input = frame.into_data().unwrap_or_default(),
                Some(Err(fault)) => {
                    this.ended = Some(Err(fault.clone()));
                    return Poll::Ready(Some(Err(fault)));
                }
                None => {
                    let last = match this.decoder.finish() {
                        Ok(last) => last,
                        Err(Malformed) => return Poll::Ready(Some(Err(this.malformed()))),
                    };
                    *this.decoder.out() = last;
                    if let Err(fault) = this.within() {
                        return Poll::Ready(Some(Err(fault)));
                    }
                    this.ended = Some(Ok(()));
                    let last = this.piece();
                    if !last.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(last))));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;
    use crate::body::Plain;

    fn compressed(coding: Coding, plain: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    struct Frames(VecDeque<Bytes>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Fault;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn plain(coding: Coding, body: &[u8], piece: usize) -> Plain {
        let pieces = body.chunks(piece).map(Bytes::copy_from_slice).collect();
        Plain::new(Box::pin(Frames(pieces))).through(Inflated::stage(coding))
    }

    async fn code(coding: Coding, body: &[u8]) -> Option<&'static str> {
        let read = plain(coding, body, 1000).collect(1 << 30).await;
        read.err().map(|refusal| refusal.code.name)
    }

    #[tokio::test]
    async fn what_was_compressed_comes_out_however_it_is_cut() {
        let text = "Le dossier est complet. ".repeat(9000);
        let noise: Vec<u8> = (0..100_000u32)
            .map(|i| (i.wrapping_mul(i) >> 7) as u8)
            .collect();
        for coding in [Coding::Gzip, Coding::Deflate] {
            for content in [b"", text.as_bytes(), &noise] {
                let body = compressed(coding, content);
                for piece in [1, 7, 300, 1 << 20] {
                    let read = plain(coding, &body, piece).collect(1 << 20).await;
                    assert!(read.unwrap() == content, "{coding:?} {piece}");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_cut_damaged_or_followed_is_refused() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let body = compressed(coding, b"Le dossier est complet.");
            for n in 0..body.len() {
                let refused = code(coding, &body[..n]).await;
                assert_eq!(refused, Some("request-refused"), "{coding:?} {n}");
            }
            let followed = [&body[..], b"x"].concat();
            assert_eq!(code(coding, &followed).await, Some("request-refused"));
            let twice = [&body[..], &body[..]].concat();
            assert_eq!(code(coding, &twice).await, Some("request-refused"));
            let mut damaged = body.clone();
            let last = damaged.len() - 5;
            damaged[last] ^= 1;
            assert_eq!(code(coding, &damaged).await, Some("request-refused"));
        }
        let other = compressed(Coding::Deflate, b"x");
        assert_eq!(code(Coding::Gzip, &other).await, Some("request-refused"));
    }

    /// 64 MiB of zeros are refused after the first, and never more than a few pieces are held.
    #[tokio::test]
    async fn a_bomb_is_refused_in_constant_memory() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let bomb = compressed(coding, &vec![0; 64 << 20]);
            let mut body = plain(coding, &bomb, bomb.len());
            let (mut given, mut longest) = (0, 0);
            let refused = loop {
                match body.next().await {
                    Ok(Some(piece)) => {
                        given += piece.len();
                        longest = longest.max(piece.len());
                    }
                    Ok(None) => panic!("it came through"),
                    Err(refusal) => break refusal,
                }
            };
            assert_eq!(refused.code.name, "too-large");
            assert!(given < 2 << 20 && longest < 1 << 19, "{given} {longest}");
        }
    }
}
