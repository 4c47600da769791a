//! A document read in pieces that end anywhere, in constant memory: which strings and numbers of it paths pick.
//!
//! Unlike [`super::rewrite`] it holds no keys, so it does not see those that stand twice: each value is judged by its own.

mod key;
mod place;
mod text;

use std::sync::Arc;

use self::key::Key;
pub use self::place::Marks;
use self::place::Place;
use self::text::{Escape, content};
use super::number::Number;
use super::utf8::Utf8;
use super::{MAX_DEPTH, Wrong};

/// What a stretch of a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// Of everything that no path picks, quotes and keys included.
    Other,
    /// Of the content of a string, by the index of its path. Two strings have something else between them.
    Text(usize),
    /// Of a number, by the index of its path.
    Number(usize),
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    object: bool,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Value,
    /// The first of an array or object, or its end.
    First,
    Key,
    InKey(Escape),
    Colon,
    InText(Option<usize>, Escape),
    InNumber(Option<usize>, Number),
    /// What is left of `true`, `false` or `null`.
    InWord(&'static [u8]),
    /// A value stands complete.
    After,
}

/// Reads one document.
#[derive(Debug)]
pub struct Stream {
    marks: Arc<Marks>,
    utf8: Utf8,
    state: State,
    frames: Vec<Frame>,
    /// Of the value that comes.
    place: Place,
    key: Key,
    /// Bytes before the piece at hand.
    before: usize,
}

impl Stream {
    pub fn new(marks: Arc<Marks>) -> Self {
        Self {
            place: Place::root(&marks),
            marks,
            utf8: Utf8::default(),
            state: State::Value,
            frames: Vec::with_capacity(8),
            key: Key::default(),
            before: 0,
        }
    }

    /// Reads a piece; `stretch` is given what it consists of, in order and without a gap, each as a length.
    ///
    /// # Errors
    /// The document is malformed; it is read no further.
    pub fn push(
        &mut self,
        piece: &[u8],
        mut stretch: impl FnMut(Stretch, usize),
    ) -> Result<(), Wrong> {
        self.utf8
            .push(piece)
            .map_err(|at| Wrong::Utf8(self.before + at))?;
        let mut at = 0;
        while at < piece.len() {
            let (kind, end) = self.next(piece, at)?;
            stretch(kind, end - at);
            at = end;
        }
        self.before += piece.len();
        Ok(())
    }

    /// # Errors
    /// The document is not complete.
    pub fn finish(&self) -> Result<(), Wrong> {
        let complete = match self.state {
            State::After => true,
            State::InNumber(_, number) => number.complete(),
            _ => false,
        };
        if complete && self.frames.is_empty() && self.utf8.complete() {
            Ok(())
        } else {
            Err(Wrong::Syntax(self.before))
        }
    }

    /// Whether nothing but white space was read.
    pub fn is_blank(&self) -> bool {
        matches!(self.state, State::Value) && self.frames.is_empty()
    }

    /// The stretch that begins at `at`, and where it ends within the piece.
    fn next(&mut self, piece: &[u8], at: usize) -> Result<(Stretch, usize), Wrong> {
        let mut next = at;
        while next < piece.len() {
            match self.state {
                State::InText(Some(path), _) => {
                    if next > at {
                        return Ok((Stretch::Other, next));
                    }
                    let end = self.text(piece, next)?;
                    if end > at {
                        return Ok((Stretch::Text(path), end));
                    }
                    self.state = State::After;
                    next += 1;
                }
                State::InNumber(Some(path), number) => {
                    let (number, end) = number.read(piece, next).map_err(|at| self.wrong(at))?;
                    self.state = if end < piece.len() {
                        State::After
                    } else {
                        State::InNumber(Some(path), number)
                    };
                    if end > next {
                        return Ok((Stretch::Number(path), end));
                    }
                }
                _ => match self.other(piece, next)? {
                    Some(end) => next = end,
                    // a picked number begins here
                    None if next > at => return Ok((Stretch::Other, next)),
                    None => {
                        let path = self.place.number_path(&self.marks);
                        self.state = State::InNumber(path, Number::Begun);
                    }
                },
            }
        }
        Ok((Stretch::Other, next))
    }

    /// Reads on in what no path picks; `None` in front of a picked number.
    fn other(&mut self, piece: &[u8], at: usize) -> Result<Option<usize>, Wrong> {
        let byte = piece[at];
        let space = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        match self.state {
            State::InKey(escape) => return self.in_key(piece, at, escape).map(Some),
            State::InText(..) => {
                let end = self.text(piece, at)?;
                if end < piece.len() {
                    self.state = State::After;
                    return Ok(Some(end + 1));
                }
                return Ok(Some(end));
            }
            State::InNumber(path, number) => {
                let (number, end) = number.read(piece, at).map_err(|at| self.wrong(at))?;
                self.state = if end < piece.len() {
                    State::After
                } else {
                    State::InNumber(path, number)
                };
                return Ok(Some(end));
            }
            State::InWord(rest) => {
                if rest[0] != byte {
                    return Err(self.wrong(at));
                }
                self.state = match &rest[1..] {
                    [] => State::After,
                    rest => State::InWord(rest),
                };
            }
            _ if space => {}
            State::Value => return self.value(byte, at),
            State::First => return self.first(byte, at),
            State::Key => {
                if byte != b'"' {
                    return Err(self.wrong(at));
                }
                self.begin_key(at);
            }
            State::Colon => {
                if byte != b':' {
                    return Err(self.wrong(at));
                }
                self.state = State::Value;
            }
            State::After => self.after(byte, at)?,
        }
        Ok(Some(at + 1))
    }

    fn wrong(&self, at: usize) -> Wrong {
        Wrong::Syntax(self.before + at)
    }

    fn first(&mut self, byte: u8, at: usize) -> Result<Option<usize>, Wrong> {
        let object = self.frames.last().is_some_and(|frame| frame.object);
        match (byte, object) {
            (b'}', true) | (b']', false) => {
                self.frames.pop();
                self.state = State::After;
            }
            (b'"', true) => self.begin_key(at),
            (_, true) => return Err(self.wrong(at)),
            (_, false) => {
                self.enter_element();
                self.state = State::Value;
                return self.value(byte, at);
            }
        }
        Ok(Some(at + 1))
    }

    fn after(&mut self, byte: u8, at: usize) -> Result<(), Wrong> {
        let Some(frame) = self.frames.last() else {
            return Err(Wrong::Trailing(self.before + at));
        };
        match (byte, frame.object) {
            (b',', true) => self.state = State::Key,
            (b',', false) => {
                self.enter_element();
                self.state = State::Value;
            }
            (b'}', true) | (b']', false) => {
                self.frames.pop();
            }
            _ => return Err(self.wrong(at)),
        }
        Ok(())
    }

    fn enter_element(&mut self) {
        if let Some(Frame { place, .. }) = self.frames.last() {
            self.place = place.element(&self.marks);
        }
    }

    fn value(&mut self, byte: u8, at: usize) -> Result<Option<usize>, Wrong> {
        self.state = match byte {
            b'{' | b'[' => {
                if self.frames.len() == MAX_DEPTH {
                    return Err(Wrong::Depth(self.before + at));
                }
                let within = self
                    .place
                    .text_path(&self.marks)
                    .filter(|_| self.marks.deep);
                self.frames.push(Frame {
                    object: byte == b'{',
                    place: Place {
                        within,
                        ..self.place
                    },
                });
                State::First
            }
            b'"' => State::InText(self.place.text_path(&self.marks), Escape::None),
            b'-' | b'0'..=b'9' => {
                if self.place.number_path(&self.marks).is_some() {
                    return Ok(None);
                }
                State::InNumber(None, Number::Begun)
            }
            b't' => State::InWord(b"rue"),
            b'f' => State::InWord(b"alse"),
            b'n' => State::InWord(b"ull"),
            _ => return Err(self.wrong(at)),
        };
        let number = matches!(self.state, State::InNumber(..));
        Ok(Some(at + usize::from(!number)))
    }

    /// Reads on in a string's content, up to its closing quote or the piece's end.
    fn text(&mut self, piece: &[u8], at: usize) -> Result<usize, Wrong> {
        let State::InText(path, mut escape) = self.state else {
            return Ok(at);
        };
        let end = content(piece, at, &mut escape).map_err(|at| self.wrong(at))?;
        self.state = State::InText(path, escape);
        Ok(end)
    }

    fn begin_key(&mut self, at: usize) {
        self.key.begin(self.before + at);
        self.state = State::InKey(Escape::None);
    }

    fn in_key(&mut self, piece: &[u8], at: usize, mut escape: Escape) -> Result<usize, Wrong> {
        let end = content(piece, at, &mut escape).map_err(|at| self.wrong(at))?;
        let part = &piece[at..end];
        let escaped = escape != Escape::None || memchr::memchr(b'\\', part).is_some();
        if end == piece.len() {
            self.key.keep(part, escaped);
            self.state = State::InKey(escape);
            return Ok(end);
        }
        let place = self.frames.last().map(|frame| frame.place);
        let place = place.unwrap_or_default();
        let key = self.key.end(part, escaped)?;
        self.place = place.member(&self.marks, &key);
        self.state = State::Colon;
        Ok(end + 1)
    }
}
