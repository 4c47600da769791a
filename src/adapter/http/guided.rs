//! JSON of the provider's as it passes: tokens open where the rule says, sealed lengths become the plaintext's.

use std::sync::Arc;

use bytes::Bytes;

use super::settings::Opening;
use crate::adapter::json::{Stream, Stretch, Wrong};
use crate::body::{Fault, Guide};
use crate::error::UPSTREAM_INVALID;
use crate::seal::layout;
use crate::seal::scan::{Opens, Output, Scanner};

/// Digits of the largest length.
const DIGITS: usize = 20;

/// A number that a path of `sizes` picks.
enum Held {
    None,
    Digits(Vec<u8>),
    /// No length: passes as it is.
    Long,
}

/// One JSON document.
pub(super) struct Document {
    opening: Arc<Opening>,
    stream: Stream,
    /// The path under which the scanner opens at present.
    turned: Option<usize>,
    number: Held,
}

impl Document {
    pub fn new(opening: Arc<Opening>) -> Self {
        Self {
            stream: Stream::new(opening.marks.clone()),
            opening,
            turned: None,
            number: Held::None,
        }
    }

    /// Hands a piece on.
    ///
    /// # Errors
    /// The document is malformed. What stands before the fault was handed on, the rest is left in `piece`; give no more.
    pub fn feed(
        &mut self,
        piece: &mut Bytes,
        scanner: &mut Scanner,
        out: &mut Output,
    ) -> Result<(), Wrong> {
        let Self {
            opening,
            stream,
            turned,
            number,
        } = self;
        stream.push(&piece.clone(), |stretch, length| {
            let part = piece.split_to(length);
            let path = match stretch {
                Stretch::Text(path) => Some(path),
                Stretch::Other | Stretch::Number(_) => None,
            };
            if *turned != path {
                let opens = path.and_then(|path| opening.opens.get(path)).cloned();
                scanner.turn(opens.unwrap_or(Opens::Nothing), out);
                *turned = path;
            }
            if matches!(stretch, Stretch::Number(_)) {
                if let Some(part) = number.add(part) {
                    scanner.push(part, out);
                }
            } else {
                scanner.push(number.end(), out);
                scanner.push(part, out);
            }
        })
    }

    /// A line ends within the document; its end is handed on by whoever found it.
    ///
    /// # Errors
    /// None may end there.
    pub fn line(&mut self, scanner: &mut Scanner, out: &mut Output) -> Result<(), Wrong> {
        self.rest(scanner, out);
        self.stream.push(b"\n", |_, _| {})
    }

    /// Hands on what is held back: no more of the document comes.
    pub fn rest(&mut self, scanner: &mut Scanner, out: &mut Output) {
        scanner.push(self.number.end(), out);
    }
}

impl Held {
    /// Gives back what is too long to be a length.
    fn add(&mut self, part: Bytes) -> Option<Bytes> {
        let mut digits = match std::mem::replace(self, Self::Long) {
            Self::None => Vec::with_capacity(DIGITS),
            Self::Digits(digits) => digits,
            Self::Long => return Some(part),
        };
        digits.extend_from_slice(&part);
        if digits.len() > DIGITS {
            return Some(digits.into());
        }
        *self = Self::Digits(digits);
        None
    }

    /// The number as the client gets it; one that is no sealed length stays.
    fn end(&mut self) -> Bytes {
        let Self::Digits(digits) = std::mem::replace(self, Self::None) else {
            return Bytes::new();
        };
        let sealed = std::str::from_utf8(&digits).ok();
        let sealed = sealed.and_then(|digits| digits.parse().ok());
        match sealed.and_then(layout::plain_len) {
            Some(length) => length.to_string().into(),
            None => digits.into(),
        }
    }
}

fn broken(wrong: Wrong) -> Fault {
    Fault::new(&UPSTREAM_INVALID, wrong.to_string())
}

impl Guide for Document {
    fn push(
        &mut self,
        mut piece: Bytes,
        scanner: &mut Scanner,
        out: &mut Output,
    ) -> Result<(), Fault> {
        self.feed(&mut piece, scanner, out).map_err(broken)
    }

    /// An empty document is complete: some providers give a type to nothing.
    fn finish(&mut self, scanner: &mut Scanner, out: &mut Output) -> Result<(), Fault> {
        self.rest(scanner, out);
        if self.stream.is_blank() {
            return Ok(());
        }
        self.stream.finish().map_err(broken)
    }
}
