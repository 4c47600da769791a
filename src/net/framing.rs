//! Follows an HTTP/1.1 request stream byte by byte (RFC 9112): where heads begin and end, and whether every party would
//! agree. A parser that is lenient after this one has nothing left to be lenient about. It holds no body bytes and
//! decodes nothing.

use crate::proxy::HeadFault;

/// Longest line that gives a chunk's size.
const CHUNK_LINE: usize = 18;
/// Fields of a head: as many as the parser behind takes.
pub(super) const FIELDS: usize = 100;
/// Trailers of a chunked body, all lines together. Their content is refused by nobody and used by nobody.
const TRAILERS: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    /// So many bytes of a body.
    Body(u64),
    ChunkSize,
    Chunk(u64),
    /// CR and LF after a chunk; so many are still to come.
    ChunkEnd(u8),
    Trailers,
}

/// What a piece of the stream is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// So many bytes belong to a body, framing included.
    Body(usize),
    /// So many bytes belong to a head, which is not over.
    Partial(usize),
    /// So many bytes end a head.
    Head(usize),
    /// The head is refused: nothing that follows can be understood.
    Refused(HeadFault),
    /// The body's framing is broken.
    Broken,
}

/// See the module.
pub(super) struct Framing {
    stage: Stage,
    /// The line that is being read, without its end.
    line: Vec<u8>,
    /// Bytes of the head or the trailers so far.
    read: usize,
    limit: usize,
    first: bool,
    fields: usize,
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    /// `limit`: bytes that a head may have.
    pub fn new(limit: usize) -> Self {
        Self {
            stage: Stage::Head,
            line: Vec::new(),
            read: 0,
            limit,
            first: true,
            fields: 0,
            length: None,
            chunked: false,
        }
    }

    /// Whether the next byte begins a head.
    pub fn between(&self) -> bool {
        self.stage == Stage::Head && self.read == 0
    }

    pub fn in_head(&self) -> bool {
        self.stage == Stage::Head
    }

    /// Reads the first piece of `bytes`, which are not empty.
    pub fn next(&mut self, bytes: &[u8]) -> Piece {
        if self.stage == Stage::Head {
            return self.head(bytes);
        }
        let mut at = 0;
        while at < bytes.len() && self.stage != Stage::Head {
            match self.body(&bytes[at..]) {
                Some(n) => at += n,
                None => return Piece::Broken,
            }
        }
        Piece::Body(at)
    }

    fn head(&mut self, bytes: &[u8]) -> Piece {
        let mut at = 0;
        loop {
            match self.take_line(&bytes[at..], self.limit) {
                Ok((n, true)) => {
                    at += n;
                    let over = self.line.is_empty() && !self.first;
                    if let Err(why) = self.head_line() {
                        return Piece::Refused(HeadFault::Malformed(why));
                    }
                    if self.fields > FIELDS {
                        return Piece::Refused(HeadFault::TooLarge);
                    }
                    self.line.clear();
                    if over {
                        self.begin_body();
                        return Piece::Head(at);
                    }
                }
                Ok((n, false)) => return Piece::Partial(at + n),
                Err(fault) => return Piece::Refused(fault),
            }
        }
    }

    /// Collects a line up to CR LF; gives how many bytes were taken and whether it is whole.
    fn take_line(&mut self, bytes: &[u8], limit: usize) -> Result<(usize, bool), HeadFault> {
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |end| end + 1);
        self.read += taken;
        if self.read > limit {
            return Err(HeadFault::TooLarge);
        }
        self.line.extend_from_slice(&bytes[..taken]);
        if end.is_none() {
            return Ok((taken, false));
        }
        self.line.pop();
        if self.line.pop() != Some(b'\r') {
            return Err(HeadFault::Malformed("A line does not end in CR LF."));
        }
        Ok((taken, true))
    }

    fn head_line(&mut self) -> Result<(), &'static str> {
        let line = self.line.as_slice();
        if line
            .iter()
            .any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7F)
        {
            return Err("The head holds a control character.");
        }
        if std::mem::take(&mut self.first) {
            return request_line(line);
        }
        if line.is_empty() {
            return Ok(());
        }
        self.fields += 1;
        let colon = memchr::memchr(b':', line).ok_or("A field has no colon.")?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
            return Err("A field's name is malformed, or its line is folded.");
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() {
                return Err("There are two lengths.");
            }
            self.length = Some(decimal(value).ok_or("The length is no number.")?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err("The only transfer coding is chunked.");
            }
            self.chunked = true;
        }
        if self.chunked && self.length.is_some() {
            return Err("Content-Length and Transfer-Encoding exclude each other.");
        }
        Ok(())
    }

    fn begin_body(&mut self) {
        let length = self.length.take().unwrap_or(0);
        self.stage = match (std::mem::take(&mut self.chunked), length) {
            (true, _) => Stage::ChunkSize,
            (false, 0) => Stage::Head,
            (false, length) => Stage::Body(length),
        };
        (self.read, self.fields) = (0, 0);
        self.first = true;
    }

    /// Follows a body; gives how many bytes were understood. `None`: its framing is broken.
    fn body(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.stage {
            Stage::Head => Some(0),
            Stage::Body(left) => {
                let (n, left) = advance(bytes, left);
                self.stage = if left == 0 {
                    Stage::Head
                } else {
                    Stage::Body(left)
                };
                Some(n)
            }
            Stage::Chunk(left) => {
                let (n, left) = advance(bytes, left);
                self.stage = if left == 0 {
                    Stage::ChunkEnd(2)
                } else {
                    Stage::Chunk(left)
                };
                Some(n)
            }
            Stage::ChunkEnd(left) => {
                let expected = if left == 2 { b'\r' } else { b'\n' };
                if bytes[0] != expected {
                    return None;
                }
                self.stage = if left == 2 {
                    Stage::ChunkEnd(1)
                } else {
                    Stage::ChunkSize
                };
                Some(1)
            }
            Stage::ChunkSize => {
                let (n, whole) = self.take_line(bytes, CHUNK_LINE).ok()?;
                if whole {
                    // no extensions: nobody sends them, and parsers differ on them (RFC 9112 section 7.1.1)
                    let size = hexadecimal(&self.line)?;
                    self.stage = if size == 0 {
                        Stage::Trailers
                    } else {
                        Stage::Chunk(size)
                    };
                    self.line.clear();
                    self.read = 0;
                }
                Some(n)
            }
            Stage::Trailers => {
                let (n, whole) = self.take_line(bytes, TRAILERS).ok()?;
                if whole {
                    if self.line.is_empty() {
                        self.stage = Stage::Head;
                        self.read = 0;
                    }
                    self.line.clear();
                }
                Some(n)
            }
        }
    }
}

fn advance(bytes: &[u8], left: u64) -> (usize, u64) {
    let n = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (n, left - n as u64)
}

/// `method SP target SP HTTP/1.1`, one space each.
fn request_line(line: &[u8]) -> Result<(), &'static str> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("The request line is malformed.");
    };
    if method.is_empty() || !method.iter().all(|b| is_token(*b)) || target.is_empty() {
        return Err("The request line is malformed.");
    }
    // a fragment or a backslash is dropped or turned round by parsers further on
    let odd = |b: &u8| *b >= 0x7F || matches!(b, b'#' | b'\\');
    if target.iter().any(odd) {
        return Err("The target holds a character that must be encoded.");
    }
    match version {
        b"HTTP/1.1" => Ok(()),
        _ => Err("Only HTTP/1.1 and HTTP/2 are spoken."),
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

fn hexadecimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 16 && text.iter().all(u8::is_ascii_hexdigit);
    digits.then(|| u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of a stream that arrives `step` bytes at a time.
    fn pieces(stream: &[u8], step: usize) -> Vec<&'static str> {
        let mut framing = Framing::new(1024);
        let mut seen: Vec<&'static str> = Vec::new();
        let mut push = |name| {
            if seen.last() != Some(&name) || name == "head" {
                seen.push(name);
            }
        };
        for chunk in stream.chunks(step) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let n = match framing.next(rest) {
                    Piece::Body(n) => {
                        push("body");
                        n
                    }
                    Piece::Partial(n) => n,
                    Piece::Head(n) => {
                        push("head");
                        n
                    }
                    Piece::Refused(_) => {
                        push("refused");
                        return seen;
                    }
                    Piece::Broken => {
                        push("broken");
                        return seen;
                    }
                };
                rest = &rest[n..];
            }
        }
        seen
    }

    fn check(stream: &str, expected: &[&str]) {
        for step in [1, 2, 3, 7, 4096] {
            assert_eq!(
                pieces(stream.as_bytes(), step),
                expected,
                "{step}: {stream:?}"
            );
        }
    }

    #[test]
    fn heads_and_bodies_are_told_apart() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &["head"]);
        check(
            "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n",
            &["head", "body", "head"],
        );
        check(
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\na: b\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            &["head", "body", "head"],
        );
        check(
            "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            &["head", "head"],
        );
    }

    #[test]
    fn what_parsers_could_read_differently_is_refused() {
        for head in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "\r\nGET / HTTP/1.1\r\n\r\n",
            "GET /\r\n\r\n",
            "GET /a#b HTTP/1.1\r\n\r\n",
            "GET /a\\b HTTP/1.1\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "PUT / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        ] {
            check(head, &["refused"]);
        }
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(2000));
        check(&long, &["refused"]);
        let fields = |n| format!("GET / HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(n));
        check(&fields(FIELDS), &["head"]);
        check(&fields(FIELDS).repeat(2), &["head", "head"]);
        check(&fields(FIELDS + 1), &["refused"]);
    }

    #[test]
    fn broken_chunks_are_seen() {
        let head = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in [
            "x\r\n",
            "5;ext=1\r\nhello\r\n",
            "5\nhello",
            "5\r\nhelloX\r\n",
            "-1\r\n",
            "\r\n",
        ] {
            let stream = format!("{head}{body}");
            for step in [1, 5, 4096] {
                let seen = pieces(stream.as_bytes(), step);
                assert_eq!(seen.last(), Some(&"broken"), "{body:?}");
            }
        }
    }
}
