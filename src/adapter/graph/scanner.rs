//! Finds items in a JSON document that passes: where their size and hashes stand, and what names them. The document is
//! read as spans and never written anew; what is not changed goes on byte for byte. Only what lies behind a value whose
//! item is not yet complete is kept back.

use std::collections::BTreeMap;

use bytes::{Buf, BytesMut};
use memchr::memchr2;

use super::found::{Found, Key, Kind, Span};

/// Deeper documents are broken off.
const MAX_DEPTH: usize = 64;
/// An item that is longer goes on with its size as it is and without hashes.
const MAX_HELD: usize = 256 * 1024;

struct Frame {
    object: bool,
    /// The key that it stands under; of an array's elements, the array's.
    under: Key,
    start: u64,
    /// The member that is being read.
    key: Key,
    expects_key: bool,
    file: bool,
    folder: bool,
    found: Found,
}

enum Lex {
    Between,
    Text {
        start: u64,
        key: bool,
        escaped: bool,
    },
    Scalar {
        start: u64,
    },
}

/// Why a document is broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

pub(super) struct Scanner {
    kind: Kind,
    held: BytesMut,
    /// The offset of the first byte held.
    start: u64,
    /// How far it is read.
    at: u64,
    lex: Lex,
    frames: Vec<Frame>,
    /// Complete, in the order of their ends.
    found: Vec<Found>,
    /// By place; not yet written.
    edits: BTreeMap<u64, (u64, String)>,
    begun: bool,
}

impl Scanner {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            held: BytesMut::new(),
            start: 0,
            at: 0,
            lex: Lex::Between,
            frames: Vec::with_capacity(8),
            found: Vec::new(),
            edits: BTreeMap::new(),
            begun: false,
        }
    }

    /// Reads on.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        self.held.extend_from_slice(piece);
        while self.step()? {}
        if self.held.len() > MAX_HELD {
            self.give_up();
        }
        Ok(())
    }

    /// Whether the document is whole.
    pub fn complete(&self) -> bool {
        self.begun && self.frames.is_empty() && !matches!(self.lex, Lex::Text { .. })
    }

    /// Whether files became complete.
    pub fn found(&self) -> bool {
        !self.found.is_empty()
    }

    /// The files that became complete, so many at most.
    pub fn take(&mut self, n: usize) -> Vec<Found> {
        let n = n.min(self.found.len());
        self.found.drain(..n).collect()
    }

    /// Replaces a span that was found and not yet passed on.
    pub fn edit(&mut self, span: Span, text: String) {
        self.edits.insert(span.start, (span.end, text));
    }

    /// Passes on what is settled. Files that were taken must have been edited before.
    pub fn flush(&mut self, out: &mut BytesMut) {
        let limit = self.settled();
        while let Some(entry) = self.edits.first_entry() {
            if *entry.key() >= limit {
                break;
            }
            let start = *entry.key();
            let (end, text) = entry.remove();
            self.release(start, out);
            out.extend_from_slice(text.as_bytes());
            self.held.advance((end - self.start) as usize);
            self.start = end;
        }
        self.release(limit, out);
    }

    fn release(&mut self, to: u64, out: &mut BytesMut) {
        let n = to.saturating_sub(self.start) as usize;
        out.extend_from_slice(&self.held[..n]);
        self.held.advance(n);
        self.start += n as u64;
    }

    /// Up to where nothing can change any more.
    fn settled(&self) -> u64 {
        let open = match &self.lex {
            Lex::Text { start, key, .. } => {
                let wanted = *key || self.frames.last().is_some_and(|f| f.key.named());
                wanted.then_some(*start)
            }
            Lex::Scalar { start } => Some(*start),
            Lex::Between => None,
        };
        self.frames
            .iter()
            .filter_map(|frame| match frame.under {
                Key::Hashes if frame.object => Some(frame.start),
                _ => frame.found.first(),
            })
            .chain(self.found.iter().filter_map(Found::first))
            .chain(open)
            .fold(self.at, u64::min)
    }

    /// Too much is held: the open items go on as they are, without hashes.
    fn give_up(&mut self) {
        for frame in &mut self.frames {
            frame.found.size = None;
            if let Some(span) = frame.found.hashes.take() {
                self.edits.insert(span.start, (span.end, "{}".into()));
            }
        }
    }

    fn bytes(&self, span: &Span) -> &[u8] {
        let at = |offset: u64| (offset - self.start) as usize;
        &self.held[at(span.start)..at(span.end)]
    }

    /// One token, or a part of one. False: more bytes are needed.
    fn step(&mut self) -> Result<bool, Malformed> {
        let rest = &self.held[(self.at - self.start) as usize..];
        match &mut self.lex {
            Lex::Between => {
                let blank = rest.iter().position(|b| !b.is_ascii_whitespace());
                let Some(blank) = blank else {
                    self.at += rest.len() as u64;
                    return Ok(false);
                };
                let byte = rest[blank];
                self.at += blank as u64;
                self.mark(byte)?;
                Ok(true)
            }
            Lex::Text {
                start,
                key,
                escaped,
            } => {
                if std::mem::take(escaped) && !rest.is_empty() {
                    self.at += 1;
                    return Ok(true);
                }
                let Some(found) = memchr2(b'"', b'\\', rest) else {
                    self.at += rest.len() as u64;
                    return Ok(false);
                };
                let quote = rest[found] == b'"';
                self.at += found as u64 + 1;
                if quote {
                    let (start, key) = (*start, *key);
                    self.lex = Lex::Between;
                    self.text(start + 1..self.at - 1, key);
                } else if rest.len() > found + 1 {
                    self.at += 1;
                } else {
                    *escaped = true;
                    return Ok(false);
                }
                Ok(true)
            }
            Lex::Scalar { start } => {
                let end = rest
                    .iter()
                    .position(|b| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace());
                let Some(end) = end else {
                    self.at += rest.len() as u64;
                    return Ok(false);
                };
                let start = *start;
                self.at += end as u64;
                self.lex = Lex::Between;
                self.scalar(start..self.at);
                Ok(true)
            }
        }
    }

    /// The first byte of a token.
    fn mark(&mut self, byte: u8) -> Result<(), Malformed> {
        let start = self.at;
        self.begun = true;
        match byte {
            b'{' | b'[' => {
                if self.frames.len() == MAX_DEPTH {
                    return Err(Malformed);
                }
                let under = match self.frames.last() {
                    Some(frame) if frame.object => frame.key,
                    Some(frame) => frame.under,
                    None => Key::Value,
                };
                self.frames.push(Frame {
                    object: byte == b'{',
                    under,
                    start,
                    key: Key::Other,
                    expects_key: byte == b'{',
                    file: false,
                    folder: false,
                    found: Found::default(),
                });
            }
            b'}' | b']' => {
                let frame = self.frames.pop().ok_or(Malformed)?;
                if frame.object != (byte == b'}') {
                    return Err(Malformed);
                }
                self.close(frame);
            }
            b',' => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.expects_key = frame.object;
                }
            }
            b':' => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.expects_key = false;
                }
            }
            b'"' => {
                let key = self.frames.last().is_some_and(|frame| frame.expects_key);
                self.lex = Lex::Text {
                    start,
                    key,
                    escaped: false,
                };
            }
            _ => {
                self.lex = Lex::Scalar { start };
                return Ok(());
            }
        }
        self.at += 1;
        Ok(())
    }

    fn text(&mut self, span: Span, key: bool) {
        let Some(frame) = self.frames.last() else {
            return;
        };
        if key {
            let key = Key::of(self.bytes(&span));
            if let Some(frame) = self.frames.last_mut() {
                frame.key = key;
            }
            return;
        }
        let key = frame.key;
        if !frame.object || !key.named() || (key == Key::Length && self.kind != Kind::Rest) {
            return;
        }
        let text = std::str::from_utf8(self.bytes(&span)).ok().map(unescaped);
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        match key {
            Key::Length => {
                let number = text.and_then(|text| text.parse().ok());
                frame.found.quoted = true;
                frame.found.size = number.map(|number| (span.start - 1..span.end + 1, number));
            }
            Key::Id => frame.found.id = text,
            Key::CTag => frame.found.ctag = text,
            Key::ETag => frame.found.etag = text,
            Key::Drive => frame.found.drive = text,
            _ => frame.found.download = text,
        }
    }

    fn scalar(&mut self, span: Span) {
        let Some(frame) = self.frames.last() else {
            return;
        };
        let wanted = match self.kind {
            Kind::Rest => Key::Length,
            _ => Key::Size,
        };
        if !frame.object || frame.key != wanted {
            return;
        }
        let number = std::str::from_utf8(self.bytes(&span)).ok();
        let number = number.and_then(|text| text.parse().ok());
        if let (Some(number), Some(frame)) = (number, self.frames.last_mut()) {
            frame.found.size = Some((span, number));
        }
    }

    /// What an object tells the one around it, or that it is a file.
    fn close(&mut self, frame: Frame) {
        let end = self.at + 1;
        let member = self.frames.last_mut().filter(|parent| parent.object);
        if let (true, Some(parent)) = (frame.object, member) {
            match frame.under {
                Key::File => {
                    parent.file = true;
                    parent.found.hashes = frame.found.hashes;
                    return;
                }
                Key::Folder => {
                    parent.folder = true;
                    return;
                }
                Key::Hashes => {
                    parent.found.hashes = Some(frame.start..end);
                    return;
                }
                Key::Parent => {
                    parent.found.drive = frame.found.drive;
                    return;
                }
                _ => {}
            }
        }
        let version = self.kind == Kind::Versions && frame.under == Key::Value;
        let rest = self.kind == Kind::Rest;
        let file = frame.object && !frame.folder && (frame.file || version || rest);
        if file && (frame.found.size.is_some() || frame.found.hashes.is_some()) {
            self.found.push(frame.found);
        }
    }
}

/// What a string says; one with escapes that JSON does not have, as it is.
fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{"@odata.context":"x","value":[{"id":"1","name":"a\"b","size":528,"cTag":"\"c:{A}\"",
"parentReference":{"driveId":"b!d","id":"9"},"file":{"mimeType":"t","hashes":{"quickXorHash":"A=","sha1Hash":"B"}}},
{"id":"2","size":70000,"folder":{"childCount":1}},{"size":7,"remoteItem":{"id":"r","size":600,"file":{}},"id":"3"},
{"id":"4","file":{"hashes":{}}, "size" : 529 }],"@odata.nextLink":"https://g/?size=1"}"#;

    /// Each size becomes `S`, each `hashes` `H`.
    fn marked(document: &str, piece: usize, kind: Kind) -> (String, Vec<Found>) {
        let mut scanner = Scanner::new(kind);
        let (mut out, mut all) = (BytesMut::new(), Vec::new());
        for piece in document.as_bytes().chunks(piece) {
            scanner.push(piece).unwrap();
            for found in scanner.take(9) {
                if let Some((span, _)) = &found.size {
                    scanner.edit(span.clone(), "S".into());
                }
                if let Some(span) = &found.hashes {
                    scanner.edit(span.clone(), "H".into());
                }
                all.push(found);
            }
            scanner.flush(&mut out);
        }
        assert!(scanner.complete());
        (String::from_utf8(out.to_vec()).unwrap(), all)
    }

    #[test]
    fn only_sizes_and_hashes_of_files_change_wherever_the_pieces_end() {
        let expected = PAGE
            .replace("528", "S")
            .replace(r#"{"quickXorHash":"A=","sha1Hash":"B"}"#, "H")
            .replace("600", "S")
            .replace("529", "S")
            .replace(r#""hashes":{}"#, r#""hashes":H"#);
        for piece in [1, 2, 3, 7, 64, 10_000] {
            let (text, found) = marked(PAGE, piece, Kind::Items);
            assert_eq!(text, expected, "{piece}");
            assert_eq!(found[0].id.as_deref(), Some("1"));
            assert_eq!(found[0].ctag.as_deref(), Some("\"c:{A}\""));
            assert_eq!(found[0].drive.as_deref(), Some("b!d"));
            assert_eq!(found.len(), 3);
        }
    }

    #[test]
    fn versions_are_files() {
        let list = r#"{"value":[{"id":"1.0","size":528,"lastModifiedBy":{"user":{"size":1}}}]}"#;
        let (text, _) = marked(list, 5, Kind::Versions);
        assert_eq!(text, list.replace("528", "S"));
    }

    #[test]
    fn lengths_of_sharepoints_own_interface_are_text() {
        let list = r#"{"d":{"results":[{"Length":"528","Name":"a","size":528},{"Length":529}]}}"#;
        let (text, found) = marked(list, 3, Kind::Rest);
        assert_eq!(text, list.replace("\"528\"", "S").replace("529", "S"));
        assert!(found[0].quoted && !found[1].quoted);
        assert_eq!(marked(list, 3, Kind::Items).0, list);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut scanner = Scanner::new(Kind::Items);
        let mut out = BytesMut::new();
        scanner
            .push(br#"{"size":1000,"file":{"hashes":{"x":1}},"a":[1"#)
            .unwrap();
        for _ in 0..40 {
            scanner.push(&b",22222222".repeat(1000)).unwrap();
            scanner.flush(&mut out);
            assert!(scanner.held.len() <= MAX_HELD);
        }
        scanner.push(b"]}").unwrap();
        scanner.flush(&mut out);
        assert!(out.starts_with(br#"{"size":1000,"file":{"hashes":{}},"#));
        assert!(scanner.complete());
    }

    #[test]
    fn a_document_that_is_cut_is_not_complete() {
        for cut in [0, 1, 20, PAGE.len() - 1] {
            let mut scanner = Scanner::new(Kind::Items);
            scanner.push(&PAGE.as_bytes()[..cut]).unwrap();
            assert!(!scanner.complete(), "{cut}");
        }
        assert_eq!(Scanner::new(Kind::Items).push(b"{]"), Err(Malformed));
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert_eq!(
            Scanner::new(Kind::Items).push(deep.as_bytes()),
            Err(Malformed)
        );
    }
}
