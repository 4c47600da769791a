//! A form's file: it must be the last of the form, so that its length is known before it comes.

use bytes::Bytes;
use memchr::memmem::Finder;

use super::malformed;
use crate::adapter::s3::error::{INCOMPLETE_BODY, S3Error};

/// The form's file. Its bytes are handed on as they come; nothing may be committed before [`FormFile::finish`].
#[derive(Debug)]
pub struct FormFile {
    length: u64,
    left: u64,
    /// Finds a boundary within what should be the file.
    finder: Finder<'static>,
    /// The last bytes that were seen, so that a boundary is found across pieces.
    window: Vec<u8>,
    tail: Vec<u8>,
    tail_seen: usize,
}

impl FormFile {
    /// A file of `length` bytes that ends before this delimiter.
    pub(super) fn new(length: u64, delimiter: &[u8]) -> Self {
        Self {
            length,
            left: length,
            finder: Finder::new(&[b"\r\n", delimiter].concat()).into_owned(),
            window: Vec::new(),
            tail: tail(delimiter),
            tail_seen: 0,
        }
    }

    /// In bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes from `input` the file's next bytes; `None` when `input` is used up.
    ///
    /// # Errors
    /// `MalformedPOSTRequest` when something follows the file.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, S3Error> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.left == 0 {
            let tail = self.tail.get(self.tail_seen..).unwrap_or_default();
            if !tail.starts_with(input) {
                return Err(follows());
            }
            self.tail_seen += input.len();
            input.clear();
            return Ok(None);
        }
        let length = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(input.len());
        let piece = input.split_to(length);
        self.search(&piece)?;
        self.left = self.left.saturating_sub(length as u64);
        Ok(Some(piece))
    }

    /// Call when the body has ended.
    ///
    /// # Errors
    /// `IncompleteBody`.
    pub fn finish(self) -> Result<(), S3Error> {
        if self.left == 0 && self.tail_seen == self.tail.len() {
            Ok(())
        } else {
            Err(S3Error::new(&INCOMPLETE_BODY))
        }
    }

    fn search(&mut self, piece: &[u8]) -> Result<(), S3Error> {
        let overlap = self.finder.needle().len().saturating_sub(1);
        self.window
            .extend_from_slice(piece.get(..overlap.min(piece.len())).unwrap_or_default());
        if self.finder.find(&self.window).is_some() || self.finder.find(piece).is_some() {
            return Err(follows());
        }
        if piece.len() >= overlap {
            self.window.clear();
            self.window
                .extend_from_slice(piece.get(piece.len() - overlap..).unwrap_or_default());
        } else {
            let surplus = self.window.len().saturating_sub(overlap);
            self.window.drain(..surplus);
        }
        Ok(())
    }
}

fn follows() -> S3Error {
    malformed("The file must be the form's last field, and the body must end with its boundary.")
}

/// What stands behind the file.
pub(super) fn tail(delimiter: &[u8]) -> Vec<u8> {
    [b"\r\n", delimiter, b"--\r\n"].concat()
}
