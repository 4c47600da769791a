//! A body that is put together from pieces: what the gateway writes between ciphertexts (a form with files in it).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::{Fault, SealBody};

/// The next part of an assembled body.
pub enum Piece {
    /// What the gateway wrote.
    Document(Bytes),
    /// Ciphertext as it streams; the next piece is asked for when it has ended.
    Sealed(Box<SealBody>),
}

/// Gives pieces, in order. Ends only when the whole is complete.
pub trait Pieces: Send {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Fault>>>;
}

pub(super) struct Assembled {
    pieces: Box<dyn Pieces>,
    sealed: Option<Box<SealBody>>,
    /// Ended, or broken: `true` for broken, which stays an error.
    over: Option<bool>,
}

impl Assembled {
    pub fn new(pieces: impl Pieces + 'static) -> Self {
        Self {
            pieces: Box::new(pieces),
            sealed: None,
            over: None,
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            if let Some(sealed) = &mut self.sealed {
                match ready!(Pin::new(sealed.as_mut()).poll_frame(cx)) {
                    Some(frame) => return Poll::Ready(Some(frame)),
                    None => self.sealed = None,
                }
            }
            match ready!(self.pieces.poll_piece(cx)) {
                None => return Poll::Ready(None),
                Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
                Some(Ok(Piece::Sealed(sealed))) => self.sealed = Some(sealed),
                Some(Ok(Piece::Document(bytes))) if bytes.is_empty() => {}
                Some(Ok(Piece::Document(bytes))) => {
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
            }
        }
    }
}

impl Body for Assembled {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.over {
            Some(true) => {
                let again = Fault::new(&crate::error::INTERNAL, "broken off before");
                return Poll::Ready(Some(Err(again)));
            }
            Some(false) => return Poll::Ready(None),
            None => {}
        }
        let step = ready!(self.step(cx));
        match &step {
            Some(Ok(_)) => {}
            Some(Err(_)) => self.over = Some(true),
            None => self.over = Some(false),
        }
        Poll::Ready(step)
    }
}
