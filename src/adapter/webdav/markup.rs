//! XML as it streams: pieces that end anywhere become whole events, each with its bytes.

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::Event;

/// Longest tag, comment or section that is waited for.
const TOKEN: usize = 64 * 1024;

/// What is not XML, or not within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub &'static str);

/// Cuts a document into events. Keeps back at most one that is not complete yet.
#[derive(Default)]
pub(super) struct Markup {
    pending: Vec<u8>,
    begun: bool,
}

impl Markup {
    /// Gives each event that is complete to `each`, with its bytes in the document. Text may come in several.
    ///
    /// # Errors
    /// What `each` refuses, or what is not well-formed.
    pub fn push(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(Event<'_>, &str) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.pending.extend_from_slice(piece);
        let valid = match std::str::from_utf8(&self.pending) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(Malformed("the document is not UTF-8")),
        };
        let text = std::str::from_utf8(&self.pending[..valid]).unwrap_or_default();
        // the reader would take a mark off the front of any piece
        let mark = text.len() - text.trim_start_matches('\u{feff}').len();
        if mark > 0 && self.begun {
            return Err(Malformed("a byte order mark stands within the document"));
        }
        self.begun |= !text.is_empty();
        let used = mark + events(&text[mark..], &mut each)?;
        self.pending.drain(..used);
        if self.pending.len() > TOKEN {
            return Err(Malformed("a tag is too long"));
        }
        Ok(())
    }

    /// Bytes that are kept back.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.pending.len()
    }

    /// # Errors
    /// Something is left that never became whole.
    pub fn finish(&self) -> Result<(), Malformed> {
        if self.pending.is_empty() {
            Ok(())
        } else {
            Err(Malformed("the document ends within a tag"))
        }
    }
}

/// How many bytes became events.
fn events(
    text: &str,
    each: &mut impl FnMut(Event<'_>, &str) -> Result<(), Malformed>,
) -> Result<usize, Malformed> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    // the document goes on beyond this piece: who reads the events keeps the open elements
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    let mut used = 0;
    loop {
        let event = match reader.read_event() {
            Ok(Event::Eof) => return Ok(used),
            Ok(event) => event,
            Err(Error::Syntax(_) | Error::IllFormed(IllFormedError::UnclosedReference)) => {
                return Ok(used);
            }
            Err(_) => return Err(Malformed("the document is not well-formed")),
        };
        let end = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
        each(event, &text[used..end])?;
        used = end;
    }
}

/// The character that a reference stands for.
pub(super) fn resolve(name: &str) -> Option<char> {
    let code = match name {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "apos" => return Some('\''),
        "quot" => return Some('"'),
        _ => name.strip_prefix('#')?,
    };
    let number = match code.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => code.parse().ok()?,
    };
    char::from_u32(number).filter(|c| *c != '\0')
}
