//! A message in MIME as it comes down: what is sealed in it is opened in its place, every other byte stays.

use std::ops::Range;

use super::encode;
use super::fields::{Field, Kind, write};
use super::structure::{self, Entity};
use crate::adapter::graph::messages::attachment;
use crate::adapter::graph::messages::pieces::Opening;
use crate::adapter::graph::messages::shape::{ATTACHED, TITLE};
use crate::adapter::opening;
use crate::error::Refusal;

/// Messages within one another.
const NESTING: usize = 4;
/// Fields that hold a line, as the service writes them, with what it was sealed for.
const LINES: [(&str, &str, &str); 3] = [
    ("subject", "Subject", TITLE),
    ("thread-topic", "Thread-Topic", TITLE),
    ("content-description", "Content-Description", ATTACHED),
];

/// The message with what is sealed in it opened. One that is malformed was not sealed here, and passes as it came.
///
/// # Errors
/// A sealed file does not open: in any other form it would look like one that did. Or a key can't be had now.
pub(in crate::adapter::graph::messages) fn open(
    message: &[u8],
    opening: &Opening,
) -> Result<Option<Vec<u8>>, Refusal> {
    let mut opened = Opened {
        message,
        opening,
        edits: Vec::new(),
    };
    opened.message(0..message.len(), NESTING)?;
    Ok(opened.written())
}

struct Opened<'m> {
    message: &'m [u8],
    opening: &'m Opening,
    /// What stands in place of which bytes.
    edits: Vec<(Range<usize>, Vec<u8>)>,
}

impl Opened<'_> {
    fn written(mut self) -> Option<Vec<u8>> {
        if self.edits.is_empty() {
            return None;
        }
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut out = Vec::with_capacity(self.message.len());
        let mut at = 0;
        for (range, bytes) in self.edits {
            out.extend_from_slice(&self.message[at..range.start]);
            out.extend_from_slice(&bytes);
            at = range.end;
        }
        out.extend_from_slice(&self.message[at..]);
        Some(out)
    }

    fn message(&mut self, range: Range<usize>, left: usize) -> Result<(), Refusal> {
        match structure::read(self.message, range) {
            Ok(entity) => self.entity(&entity, left),
            Err(_) => Ok(()),
        }
    }

    fn entity(&mut self, entity: &Entity, left: usize) -> Result<(), Refusal> {
        for field in &entity.head.fields {
            let line = LINES.iter().find(|(name, ..)| *name == field.name);
            if let Some((_, name, sealed_for)) = line {
                let text = field.text(self.message);
                if let Some(opened) = self.opening.line(sealed_for, &text)? {
                    let mut written = Vec::new();
                    write::text(&mut written, name, &opened);
                    self.edits.push((field.line.clone(), written));
                }
            }
        }
        if entity.is_message() {
            return match left.checked_sub(1) {
                Some(left) => self.message(entity.body.clone(), left),
                None => Ok(()),
            };
        }
        for part in &entity.parts {
            self.entity(part, left)?;
        }
        match entity.is_multipart() {
            true => Ok(()),
            false => self.leaf(entity),
        }
    }

    fn leaf(&mut self, entity: &Entity) -> Result<(), Refusal> {
        let mut kind = self.named(&entity.kind, "name")?;
        let known = entity.disposition.as_ref();
        let mut disposition = match known {
            Some(kind) => self.named(kind, "filename")?,
            None => None,
        };
        if let Some(content) = self.content(entity)? {
            disposition = disposition.or_else(|| known.cloned()).map(|mut kind| {
                // of the sealed file
                kind.params.retain(|(name, _)| name != "size");
                kind
            });
            if entity.form().is_some() {
                let known = kind.unwrap_or_else(|| entity.kind.clone());
                kind = Some(known.with("charset", "utf-8"));
            }
            let mut coding = Vec::new();
            write::raw(&mut coding, "Content-Transfer-Encoding", "base64");
            self.put(entity, "content-transfer-encoding", coding);
            let mut written = Vec::new();
            encode(&content, &mut written);
            self.edits.push((entity.body.clone(), written));
        }
        let fields = [("Content-Type", kind), ("Content-Disposition", disposition)];
        for (name, kind) in fields {
            if let Some(kind) = kind {
                let mut written = Vec::new();
                write::kind(&mut written, name, &kind);
                self.put(entity, &name.to_ascii_lowercase(), written);
            }
        }
        Ok(())
    }

    /// What is sealed of the body, opened.
    fn content(&self, entity: &Entity) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(content) = entity.content(self.message) else {
            return Ok(None);
        };
        if attachment::sealed_in(&content).is_some() {
            let (lookup, context) = (self.opening.lookup.clone(), self.opening.context.clone());
            let opened = attachment::open(lookup, context, &content);
            return opened.map_err(opening::refusal);
        }
        let Some((form, text)) = entity.form().zip(entity.text(self.message)) else {
            return Ok(None);
        };
        let opened = self.opening.body(form, &text)?;
        Ok(opened.map(String::into_bytes))
    }

    /// The description with its file's name opened. `None`: it is not sealed.
    fn named(&self, kind: &Kind, param: &str) -> Result<Option<Kind>, Refusal> {
        let Some(name) = kind.param(param) else {
            return Ok(None);
        };
        let opened = self.opening.line(ATTACHED, name)?;
        Ok(opened.map(|opened| kind.clone().with(param, opened)))
    }

    /// Puts a field in place of the one of its name, or behind the others.
    fn put(&mut self, entity: &Entity, name: &str, written: Vec<u8>) {
        let place = |field: &&Field| field.name == name;
        let end = entity.head.range.end;
        let known = entity.head.fields.iter().find(place);
        let range = known.map_or(end..end, |field| field.line.clone());
        self.edits.push((range, written));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::seal::scan::Language;
    use crate::seal::{Context, EpochKeys, EpochShort, KeyLookup, LookupError};

    struct Nobody;

    impl KeyLookup for Nobody {
        fn epoch(&self, _: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
            Err(LookupError::Unknown)
        }
    }

    #[test]
    fn noise_never_panics_and_passes_as_it_came() {
        let letter = "From: =?utf-8?Q?=C3=A9?= <a@b>, g: c@d;\r\nTo: \"x\r\n y\" <\r\nSubject: =?x?B?\r\nDate: 0\r\n\
            Content-Type: multipart/mixed; boundary*0=\"a\"; boundary*1*=%20b; x*=utf-8''%C3\r\n\r\n--a b\r\n\
            Content-Type: text/html; charset=utf-16\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=\r\n--a b\r\n\
            Content-Disposition: attachment; filename=\"\\\"\r\n\r\n--a b--\r\n";
        let opening = Opening {
            lookup: Arc::new(Nobody),
            context: Arc::new(Context::new("a", "b", "default").unwrap()),
            language: Language::English,
        };
        let bytes = letter.as_bytes();
        for at in 0..bytes.len() {
            assert_eq!(open(&bytes[..at], &opening).unwrap(), None);
            for odd in [0, b'\n', b'"', b'(', b';', b'=', 0xff] {
                let mut noisy = bytes.to_vec();
                noisy[at] = odd;
                assert_eq!(open(&noisy, &opening).unwrap(), None);
                let Ok(read) = structure::read(&noisy, 0..noisy.len()) else {
                    continue;
                };
                for field in &read.head.fields {
                    field.addresses(&noisy);
                    field.ids(&noisy);
                    field.date(&noisy);
                    field.raw(&noisy);
                }
            }
        }
    }
}
