//! `multipart/form-data` (RFC 7578), read as it streams and strictly: no preamble, no epilogue, no encodings.

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem::Finder;

/// A part's head is short.
const HEAD_LIMIT: usize = 8 * 1024;
const PARTS_LIMIT: usize = 1000;

/// The form is malformed; the text says how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// What a part is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    pub name: String,
    /// Of a file.
    pub filename: Option<String>,
    pub kind: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing more without more input.
    More,
    Head(PartHead),
    Data(Bytes),
    PartEnd,
    /// The form is complete; nothing but a line's end may follow.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    After,
    Head,
    Body,
    End,
}

pub struct Parser {
    delimiter: Vec<u8>,
    finder: Finder<'static>,
    buffer: BytesMut,
    stage: Stage,
    parts: usize,
}

impl Parser {
    /// # Errors
    /// A boundary that RFC 2046 does not allow.
    pub fn new(boundary: &str) -> Result<Self, Malformed> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
        if !(1..=70).contains(&boundary.len()) || !boundary.bytes().all(legal) {
            return Err(Malformed("its boundary is malformed"));
        }
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        Ok(Self {
            finder: Finder::new(&delimiter).into_owned(),
            delimiter,
            // the first delimiter stands at the beginning of a line too
            buffer: BytesMut::from(&b"\r\n"[..]),
            stage: Stage::Start,
            parts: 0,
        })
    }

    pub fn push(&mut self, input: &[u8]) {
        self.buffer.extend_from_slice(input);
    }

    /// # Errors
    /// The form is malformed.
    pub fn next(&mut self) -> Result<Event, Malformed> {
        loop {
            match self.stage {
                Stage::Start => {
                    if self.buffer.len() < self.delimiter.len() {
                        return Ok(Event::More);
                    }
                    if !self.buffer.starts_with(&self.delimiter) {
                        return Err(Malformed("it does not begin with its boundary"));
                    }
                    self.buffer.advance(self.delimiter.len());
                    self.stage = Stage::After;
                }
                Stage::After => {
                    if self.buffer.len() < 2 {
                        return Ok(Event::More);
                    }
                    self.stage = match &self.buffer[..2] {
                        b"\r\n" => Stage::Head,
                        b"--" => Stage::End,
                        _ => return Err(Malformed("something follows a boundary")),
                    };
                    self.buffer.advance(2);
                }
                Stage::Head => return self.head(),
                Stage::Body => return Ok(self.body()),
                Stage::End => {
                    if !b"\r\n".starts_with(&self.buffer) {
                        return Err(Malformed("it goes on after its end"));
                    }
                    return Ok(Event::End);
                }
            }
        }
    }

    fn head(&mut self) -> Result<Event, Malformed> {
        let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") else {
            if self.buffer.len() > HEAD_LIMIT {
                return Err(Malformed("a part's head is too long"));
            }
            return Ok(Event::More);
        };
        self.parts += 1;
        if end > HEAD_LIMIT || self.parts > PARTS_LIMIT {
            return Err(Malformed(
                "a part's head is too long, or there are too many parts",
            ));
        }
        let head = self.buffer.split_to(end);
        self.buffer.advance(4);
        self.stage = Stage::Body;
        let text =
            std::str::from_utf8(&head).map_err(|_| Malformed("a part's head is not UTF-8"))?;
        part_head(text).map(Event::Head)
    }

    fn body(&mut self) -> Event {
        match self.finder.find(&self.buffer) {
            Some(0) => {
                self.buffer.advance(self.delimiter.len());
                self.stage = Stage::After;
                Event::PartEnd
            }
            Some(n) => Event::Data(self.buffer.split_to(n).freeze()),
            None => match self.buffer.len().saturating_sub(self.delimiter.len() - 1) {
                0 => Event::More,
                n => Event::Data(self.buffer.split_to(n).freeze()),
            },
        }
    }
}

fn part_head(text: &str) -> Result<PartHead, Malformed> {
    let (mut disposition, mut kind) = (None, None);
    for line in text.split("\r\n") {
        let (name, value) = line
            .split_once(':')
            .ok_or(Malformed("a part's head is malformed"))?;
        let slot = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut kind,
            _ => return Err(Malformed("a part's head holds a field that is not read")),
        };
        if slot.replace(value.trim()).is_some() {
            return Err(Malformed("a part's head repeats a field"));
        }
    }
    let disposition = disposition.ok_or(Malformed("a part has no name"))?;
    let (name, filename) = names(disposition).ok_or(Malformed("a part's name is malformed"))?;
    let plain = |text: &str| !text.contains(|c: char| c.is_control());
    if !plain(&name) || !filename.as_deref().is_none_or(plain) || !kind.is_none_or(plain) {
        return Err(Malformed("a part's head holds control characters"));
    }
    Ok(PartHead {
        name,
        filename,
        kind: kind.map(str::to_owned),
    })
}

/// `form-data; name="a"; filename="b"`, nothing else.
fn names(disposition: &str) -> Option<(String, Option<String>)> {
    let (first, mut rest) = disposition.split_once(';')?;
    if !first.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut filename) = (None, None);
    loop {
        let (key, value) = rest.trim_start().split_once('=')?;
        let value = value.strip_prefix('"')?;
        let (text, after) = quoted(value)?;
        let slot = match key.to_ascii_lowercase().as_str() {
            "name" => &mut name,
            "filename" => &mut filename,
            _ => return None,
        };
        if slot.replace(text).is_some() {
            return None;
        }
        match after.trim_start() {
            "" => break,
            after => rest = after.strip_prefix(';')?,
        }
    }
    Some((name?, filename))
}

/// Up to the closing quote; `\"` and `\\` stand for the second character.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => match characters.next()? {
                (_, escaped @ ('"' | '\\')) => out.push(escaped),
                (_, other) => {
                    out.push('\\');
                    out.push(other);
                }
            },
            other => out.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heads and contents of a form that comes in pieces of `n` bytes.
    fn read(form: &[u8], n: usize) -> Result<Vec<(PartHead, Vec<u8>)>, Malformed> {
        let mut parser = Parser::new("b-1")?;
        let mut parts: Vec<(PartHead, Vec<u8>)> = Vec::new();
        let mut ended = false;
        for piece in form.chunks(n) {
            parser.push(piece);
            loop {
                match parser.next()? {
                    Event::More => break,
                    Event::End => {
                        ended = true;
                        break;
                    }
                    Event::Head(head) => parts.push((head, Vec::new())),
                    Event::Data(data) => parts.last_mut().unwrap().1.extend_from_slice(&data),
                    Event::PartEnd => {}
                }
            }
        }
        ended.then_some(parts).ok_or(Malformed("not ended"))
    }

    #[test]
    fn parts_are_read_whatever_the_pieces() {
        let form = "--b-1\r\nContent-Disposition: form-data; name=\"a \\\"é\"\r\n\r\n\r\n--b-\r\n\r\n--b-1\r\n\
            content-disposition: form-data; name=\"f\"; filename=\"x.pdf\"\r\nContent-Type: text/plain\r\n\r\n\r\n--b-1--\r\n";
        for n in [1, 2, 3, 7, 1000] {
            let parts = read(form.as_bytes(), n).unwrap();
            assert_eq!(parts.len(), 2);
            assert_eq!(parts[0].0.name, "a \"é");
            assert_eq!(parts[0].1, b"\r\n--b-\r\n");
            assert_eq!(parts[1].0.filename.as_deref(), Some("x.pdf"));
            assert_eq!(parts[1].0.kind.as_deref(), Some("text/plain"));
            assert_eq!(parts[1].1, b"");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let part = |head: &str| format!("--b-1\r\n{head}\r\n\r\nx\r\n--b-1--");
        let named = "Content-Disposition: form-data; name=\"a\"";
        assert!(read(part(named).as_bytes(), 5).is_ok());
        for form in [
            format!("preamble\r\n{}", part(named)),
            format!("{}\r\nepilogue", part(named)),
            part("Content-Disposition: form-data"),
            part("Content-Disposition: attachment; name=\"a\""),
            part("Content-Disposition: form-data; name=a"),
            part("Content-Disposition: form-data; name=\"a\"; name=\"b\""),
            part("Content-Disposition: form-data; name=\"a\"; filename*=utf-8''b"),
            part("Content-Disposition: form-data; name=\"a\" filename=\"b\""),
            part("Content-Disposition: form-data; name=\"a"),
            part("Content-Disposition: form-data; name=\"a\tb\""),
            part(&format!("{named}\r\n{named}")),
            part(&format!("{named}\r\nContent-Transfer-Encoding: base64")),
            part("nothing"),
            part(named).replace("--b-1--", "--b-1xx"),
            part(named).replace("--b-1--", "--b-1"),
            format!("--b-1\r\n{}", "a".repeat(10_000)),
        ] {
            assert!(read(form.as_bytes(), 11).is_err(), "{form}");
        }
        for boundary in ["", "a b", "a\"b", &"x".repeat(71)] {
            assert!(Parser::new(boundary).is_err());
        }
    }
}
