//! A member's name in pieces.

use std::borrow::Cow;

use crate::adapter::json::Wrong;
use crate::adapter::json::lex::{self, Text};

/// Bytes of a key, as it is written; longer ones match no name.
const MAX_KEY: usize = 1024;

/// The name that is being read.
#[derive(Debug, Default)]
pub(super) struct Key {
    raw: Vec<u8>,
    escaped: bool,
    start: usize,
}

impl Key {
    /// `start`: where in the document it stands.
    pub fn begin(&mut self, start: usize) {
        self.raw.clear();
        self.escaped = false;
        self.start = start;
    }

    /// One byte more than the longest key tells that it was longer.
    pub fn keep(&mut self, part: &[u8], escaped: bool) {
        self.escaped |= escaped;
        let room = (MAX_KEY + 1).saturating_sub(self.raw.len());
        self.raw.extend_from_slice(&part[..part.len().min(room)]);
    }

    /// The name, decoded, with its last part.
    ///
    /// # Errors
    /// It is no text.
    pub fn end<'k>(&'k mut self, part: &'k [u8], escaped: bool) -> Result<Cow<'k, str>, Wrong> {
        let wrong = |_| Wrong::Utf8(self.start);
        if self.raw.is_empty() && !self.escaped && !escaped {
            // the usual case: nothing is copied
            return std::str::from_utf8(part).map(Cow::Borrowed).map_err(wrong);
        }
        self.keep(part, escaped);
        if self.raw.len() > MAX_KEY {
            // no path names the empty key
            return Ok(Cow::Borrowed(""));
        }
        let raw = std::str::from_utf8(&self.raw).map_err(|_| Wrong::Utf8(self.start))?;
        let text = Text {
            span: 0..raw.len(),
            escaped: self.escaped,
        };
        lex::decoded(raw, &text).map_err(|wrong| wrong.moved(self.start + 1))
    }
}
