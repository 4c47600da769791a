//! XML as it streams: pieces that end anywhere become whole events, each with its bytes.

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::Event;

/// Longest tag, comment or section that is waited for.
const TOKEN: usize = 64 * 1024;

const COMMENT: &[u8] = b"<!--";
const SECTION: &[u8] = b"<![CDATA[";

/// What is not XML, or not within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub &'static str);

/// Cuts a document into events. Keeps back at most one that is not complete yet.
#[derive(Default)]
pub(super) struct Markup {
    pending: Vec<u8>,
    begun: bool,
    /// In `pending`, up to here stands no end of the event that it begins with.
    searched: usize,
    /// The quotation mark that is open there, in a tag.
    quote: Option<u8>,
    /// How often it was read for events.
    #[cfg(test)]
    readings: usize,
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
        if !self.may_hold_event()? {
            return self.within_bounds();
        }
        #[cfg(test)]
        {
            self.readings += 1;
        }
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
        if used > 0 {
            self.pending.drain(..used);
            (self.searched, self.quote) = (0, None);
        }
        self.within_bounds()
    }

    fn within_bounds(&self) -> Result<(), Malformed> {
        if self.pending.len() > TOKEN {
            return Err(Malformed("a tag is too long"));
        }
        Ok(())
    }

    /// Whether what is kept may be more than the beginning of an event: it is read again only then, however small the pieces
    /// are that an event comes in.
    ///
    /// # Errors
    /// It begins a document type, or what nothing begins with.
    fn may_hold_event(&mut self) -> Result<bool, Malformed> {
        let kept = &self.pending[..];
        let end: &[u8] = match kept {
            [b'&', ..] => b";",
            [b'<', b'?', ..] => b"?>",
            _ if kept.starts_with(COMMENT) => b"-->",
            _ if kept.starts_with(SECTION) => b"]]>",
            _ if COMMENT.starts_with(kept) || SECTION.starts_with(kept) => return Ok(false),
            [b'<', b'!', ..] => return Err(Malformed("a document type is not allowed")),
            [b'<', ..] => return Ok(self.may_hold_tag()),
            _ => return Ok(true),
        };
        let from = self.searched.saturating_sub(end.len() - 1);
        let found = memchr::memmem::find(&kept[from..], end);
        self.searched = found.map_or(kept.len(), |at| from + at + end.len());
        Ok(found.is_some())
    }

    /// A tag ends with the first `>` that no attribute's value holds.
    fn may_hold_tag(&mut self) -> bool {
        for (at, byte) in self.pending.iter().enumerate().skip(self.searched) {
            match (self.quote, byte) {
                (None, b'>') => {
                    self.searched = at + 1;
                    return true;
                }
                (None, b'"' | b'\'') => self.quote = Some(*byte),
                (Some(open), byte) if open == *byte => self.quote = None,
                _ => {}
            }
        }
        self.searched = self.pending.len();
        false
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

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\u{feff}<?xml version='1.0'?><!-- > -- é --><?p > ?><a b=\"c>d\" e='\">'>t&amp;é&#x41;\
                            <![CDATA[ ]> &x; ]]><f/><!----></a >\n";

    /// Every event's bytes; neighbouring texts as one.
    fn read<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> Result<Vec<String>, Malformed> {
        let (mut markup, mut read, mut in_text) = (Markup::default(), Vec::new(), false);
        for piece in pieces {
            markup.push(piece, |event, raw| {
                let text = matches!(event, Event::Text(_));
                match read.last_mut() {
                    Some(last) if text && in_text => String::push_str(last, raw),
                    _ => read.push(raw.to_owned()),
                }
                in_text = text;
                Ok(())
            })?;
        }
        markup.finish().map(|()| read)
    }

    #[test]
    fn the_same_events_at_every_cut() {
        let whole = read(std::iter::once(DOCUMENT.as_bytes())).unwrap();
        assert_eq!(format!("\u{feff}{}", whole.concat()), DOCUMENT);
        assert_eq!(whole.len(), 13, "{whole:?}");
        for length in 1..DOCUMENT.len() {
            assert_eq!(read(DOCUMENT.as_bytes().chunks(length)).unwrap(), whole);
        }
        for end in DOCUMENT.find("<a").unwrap()..DOCUMENT.len() {
            let cut = read(DOCUMENT.as_bytes()[..end].chunks(1));
            let whole = read(std::iter::once(&DOCUMENT.as_bytes()[..end]));
            assert_eq!(cut, whole, "{end}");
        }
    }

    /// Whoever sends long events in small pieces costs no more than whoever sends them at once.
    #[test]
    fn an_event_is_looked_at_once() {
        for (begin, inner, end) in [
            ("<a b=\"", ">", "\">"),
            ("<!--", ">- ", "-->"),
            ("<![CDATA[", "]> ", "]]>"),
            ("<?p ", ">? ", "?>"),
        ] {
            let mut markup = Markup::default();
            let mut events = 0;
            let text = format!("<r>{begin}{}{end}", inner.repeat(15_000));
            for byte in text.as_bytes() {
                markup
                    .push(&[*byte], |_, _| {
                        events += 1;
                        Ok(())
                    })
                    .unwrap();
                let kept = markup.kept();
                assert!(kept < 10 || markup.searched == kept, "{begin}");
            }
            assert!(markup.readings < 5, "{begin}: {}", markup.readings);
            assert_eq!((events, markup.kept()), (2, 0), "{begin}");
        }
    }

    #[test]
    fn what_never_ends_is_refused() {
        for begin in ["<!DOCTYPE a", "<!x", "<!-x", "<![IGNORE["] {
            let mut markup = Markup::default();
            let mut pieces = begin.as_bytes().chunks(1);
            assert!(pieces.any(|piece| markup.push(piece, |_, _| Ok(())).is_err()));
        }
        for begin in ["<a b=\"", "<!--", "&", "<![CDATA["] {
            let mut markup = Markup::default();
            let mut refused = markup.push(begin.as_bytes(), |_, _| Ok(()));
            for _ in 0..TOKEN / 100 + 1 {
                refused = refused.and_then(|()| markup.push(&[b'x'; 100], |_, _| Ok(())));
            }
            assert_eq!(refused, Err(Malformed("a tag is too long")), "{begin}");
        }
    }
}
