//! Server-sent events (WHATWG HTML, section 9.2) as they pass. Tokens open in an event's data alone: a client sends its id
//! back by itself.

use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr2;

use super::guided::Document;
use super::settings::Opening;
use crate::body::{Fault, Guide};
use crate::seal::scan::{Opens, Output, Scanner};

const NAME: &[u8] = b"data";
const NAMED: usize = NAME.len();
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Where in a line.
enum Line {
    /// So much of [`NAME`] was read, and of this line nothing else.
    Name(usize),
    /// Behind the colon, where one space does not count.
    Colon,
    Data,
    /// Of another field, or a comment.
    Other,
}

/// What an event's data is.
enum Data {
    /// Nothing but white space so far.
    Blank,
    Json(Box<Document>),
    Text,
    /// JSON that is malformed: nothing more of it opens.
    Broken,
}

/// A stream of events.
pub(super) struct Events {
    opening: Arc<Opening>,
    line: Line,
    data: Data,
    /// How much of the byte order mark was read; `None`: behind it.
    mark: Option<usize>,
    /// The last byte ended a line, and a line feed would belong to it.
    returned: bool,
}

impl Events {
    pub fn new(opening: Arc<Opening>) -> Self {
        Self {
            opening,
            line: Line::Name(0),
            data: Data::Blank,
            mark: Some(0),
            returned: false,
        }
    }

    /// The first of `rest`, as much as is of one kind, is handed on.
    fn step(&mut self, rest: &mut Bytes, scanner: &mut Scanner, out: &mut Output) {
        let byte = rest[0];
        if let Some(read) = self.mark {
            if MARK.get(read) == Some(&byte) {
                self.mark = Some(read + 1);
                return closed(rest.split_to(1), scanner, out);
            }
            self.mark = None;
        }
        if std::mem::take(&mut self.returned) && byte == b'\n' {
            return closed(rest.split_to(1), scanner, out);
        }
        if matches!(byte, b'\r' | b'\n') {
            self.returned = byte == b'\r';
            self.end_line(scanner, out);
            return closed(rest.split_to(1), scanner, out);
        }
        match self.line {
            Line::Name(read) if NAME.get(read) == Some(&byte) => self.line = Line::Name(read + 1),
            Line::Name(NAMED) if byte == b':' => self.line = Line::Colon,
            Line::Name(_) => self.line = Line::Other,
            Line::Colon => {
                self.line = Line::Data;
                if byte != b' ' {
                    return;
                }
            }
            Line::Data | Line::Other => {
                let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                let part = rest.split_to(end);
                return match self.line {
                    Line::Data => self.data(part, scanner, out),
                    _ => closed(part, scanner, out),
                };
            }
        }
        closed(rest.split_to(1), scanner, out);
    }

    fn end_line(&mut self, scanner: &mut Scanner, out: &mut Output) {
        match std::mem::replace(&mut self.line, Line::Name(0)) {
            // an empty line ends the event
            Line::Name(0) => {
                self.rest(scanner, out);
                self.data = Data::Blank;
            }
            Line::Name(NAMED) | Line::Colon | Line::Data => {
                if let Data::Json(document) = &mut self.data
                    && document.line(scanner, out).is_err()
                {
                    self.data = Data::Broken;
                }
            }
            Line::Name(_) | Line::Other => {}
        }
    }

    fn rest(&mut self, scanner: &mut Scanner, out: &mut Output) {
        if let Data::Json(document) = &mut self.data {
            document.rest(scanner, out);
        }
    }

    /// A part of a line of data.
    fn data(&mut self, mut part: Bytes, scanner: &mut Scanner, out: &mut Output) {
        if matches!(self.data, Data::Blank) {
            let blank = part.iter().take_while(|byte| byte.is_ascii_whitespace());
            closed(part.split_to(blank.count()), scanner, out);
            self.data = match part.first() {
                None => return,
                Some(b'{' | b'[' | b'"') => {
                    Data::Json(Box::new(Document::new(self.opening.clone())))
                }
                Some(_) => Data::Text,
            };
        }
        match &mut self.data {
            Data::Json(document) => {
                if document.feed(&mut part, scanner, out).is_err() {
                    document.rest(scanner, out);
                    self.data = Data::Broken;
                    closed(part, scanner, out);
                }
            }
            Data::Text => {
                scanner.turn(self.opening.whole(), out);
                scanner.push(part, out);
            }
            Data::Blank | Data::Broken => closed(part, scanner, out),
        }
    }
}

fn closed(part: Bytes, scanner: &mut Scanner, out: &mut Output) {
    scanner.turn(Opens::Nothing, out);
    scanner.push(part, out);
}

impl Guide for Events {
    fn push(
        &mut self,
        mut piece: Bytes,
        scanner: &mut Scanner,
        out: &mut Output,
    ) -> Result<(), Fault> {
        while !piece.is_empty() {
            self.step(&mut piece, scanner, out);
        }
        Ok(())
    }

    fn finish(&mut self, scanner: &mut Scanner, out: &mut Output) -> Result<(), Fault> {
        self.rest(scanner, out);
        Ok(())
    }
}
