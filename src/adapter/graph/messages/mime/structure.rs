//! What a message consists of (RFC 2045, RFC 2046). Read strictly: what two readers could take apart in two ways is malformed.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use memchr::memchr;

use super::Malformed;
use super::fields::{self, Field, Head, Kind};
use crate::adapter::graph::messages::pieces::Form;

/// Multiparts within one another.
const DEPTH: usize = 8;
/// Parts of a message, those that hold others included.
const PARTS: usize = 500;
/// Of a boundary (RFC 2046, section 5.1.1).
const BOUNDARY: usize = 70;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Base64,
    QuotedPrintable,
}

/// A message, or a part of one.
#[derive(Debug)]
pub struct Entity {
    pub head: Head,
    pub body: Range<usize>,
    pub kind: Kind,
    pub disposition: Option<Kind>,
    coding: Coding,
    pub parts: Vec<Entity>,
}

/// The message that the range holds.
pub fn read(message: &[u8], range: Range<usize>) -> Result<Entity, Malformed> {
    let mut left = PARTS;
    entity(message, range, DEPTH, &mut left)
}

fn entity(
    message: &[u8],
    range: Range<usize>,
    depth: usize,
    left: &mut usize,
) -> Result<Entity, Malformed> {
    *left = left
        .checked_sub(1)
        .ok_or(Malformed("It has too many parts."))?;
    let head = fields::read(message, &range)?;
    let kind = match once(&head, "content-type")? {
        Some(field) => field
            .kind(message)
            .filter(|kind| kind.name.contains('/'))
            .ok_or(Malformed("A type in it can't be read."))?,
        None => Kind::named("text/plain"),
    };
    let disposition = once(&head, "content-disposition")?.and_then(|field| field.kind(message));
    let coding = match once(&head, "content-transfer-encoding")? {
        None => Coding::Identity,
        Some(field) => match field.raw(message).to_ascii_lowercase().as_str() {
            "7bit" | "8bit" | "binary" => Coding::Identity,
            "base64" => Coding::Base64,
            "quoted-printable" => Coding::QuotedPrintable,
            _ => return Err(Malformed("A transfer encoding in it is not known.")),
        },
    };
    let body = head.body..range.end;
    let mut parts = Vec::new();
    if kind.name.starts_with("multipart/") {
        if coding != Coding::Identity {
            return Err(Malformed("A part of it that holds others is encoded."));
        }
        let depth = depth
            .checked_sub(1)
            .ok_or(Malformed("Its parts are too deep in one another."))?;
        let boundary = kind.param("boundary").unwrap_or_default();
        for part in split(message, &body, boundary)? {
            parts.push(entity(message, part, depth, left)?);
        }
    }
    Ok(Entity {
        head,
        body,
        kind,
        disposition,
        coding,
        parts,
    })
}

/// The field of this name, which may stand once.
fn once<'h>(head: &'h Head, name: &str) -> Result<Option<&'h Field>, Malformed> {
    let mut found = head.fields.iter().filter(|field| field.name == name);
    match (found.next(), found.next()) {
        (field, None) => Ok(field),
        _ => Err(Malformed("A field of it stands twice.")),
    }
}

/// What lies between the boundary's lines.
fn split(
    message: &[u8],
    body: &Range<usize>,
    boundary: &str,
) -> Result<Vec<Range<usize>>, Malformed> {
    if boundary.is_empty() || boundary.len() > BOUNDARY {
        return Err(Malformed("A boundary of it is missing or too long."));
    }
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let (mut at, mut begun) = (body.start, None);
    while at < body.end {
        let rest = &message[at..body.end];
        let line = &rest[..memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)];
        let behind = line.strip_prefix(delimiter.as_bytes());
        if let Some(behind) = behind.map(<[u8]>::trim_ascii_end) {
            let last = behind == b"--";
            if last || behind.is_empty() {
                if let Some(start) = begun {
                    parts.push(start..before_line(message, start, at));
                }
                if last {
                    return match parts.is_empty() {
                        true => Err(Malformed("A part of it that is to hold others holds none.")),
                        false => Ok(parts),
                    };
                }
                begun = Some(at + line.len());
            }
        }
        at += line.len();
    }
    Err(Malformed("A boundary of it does not come to its end."))
}

/// The end of what stands before the line at `at`, whose line's end belongs to the boundary.
fn before_line(message: &[u8], start: usize, at: usize) -> usize {
    let part = &message[start..at];
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    start + part.strip_suffix(b"\r").unwrap_or(part).len()
}

impl Entity {
    pub fn is_multipart(&self) -> bool {
        self.kind.name.starts_with("multipart/")
    }

    /// A message within this one, in a form that can be read.
    pub fn is_message(&self) -> bool {
        self.coding == Coding::Identity
            && matches!(self.kind.name.as_str(), "message/rfc822" | "message/global")
    }

    pub fn is_attachment(&self) -> bool {
        let kind = self.disposition.as_ref();
        kind.is_some_and(|kind| kind.name != "inline")
    }

    pub fn file_name(&self) -> Option<&str> {
        let disposition = self.disposition.as_ref();
        let named = disposition.and_then(|kind| kind.param("filename"));
        named.or_else(|| self.kind.param("name"))
    }

    /// The form of a part that is shown as the message's text. `None`: it is a file.
    pub fn form(&self) -> Option<Form> {
        if self.is_attachment() || self.file_name().is_some() {
            return None;
        }
        match self.kind.name.as_str() {
            "text/html" => Some(Form::Html),
            "text/plain" => Some(Form::Text),
            _ => None,
        }
    }

    /// The body's bytes, decoded. `None`: they are malformed.
    pub fn content<'m>(&self, message: &'m [u8]) -> Option<Cow<'m, [u8]>> {
        let body = &message[self.body.clone()];
        match self.coding {
            Coding::Identity => Some(body.into()),
            Coding::QuotedPrintable => quoted_printable_decode(body).map(Cow::Owned),
            Coding::Base64 => {
                let digits = body.iter().filter(|byte| !byte.is_ascii_whitespace());
                let digits: Vec<u8> = digits.copied().collect();
                STANDARD.decode(digits).ok().map(Cow::Owned)
            }
        }
    }

    /// The body as a text. `None`: its bytes are malformed, or of a character set that is not known.
    pub fn text(&self, message: &[u8]) -> Option<String> {
        let bytes = self.content(message)?;
        let charset = self.kind.param("charset").unwrap_or("us-ascii");
        let charset = charset.to_ascii_lowercase();
        // of the library's others some would lose characters
        let known = ["iso-8859-", "windows-125", "koi8-", "utf-16"];
        match charset.as_str() {
            "utf-8" | "utf8" | "us-ascii" | "ascii" => String::from_utf8(bytes.into_owned()).ok(),
            _ if known.iter().any(|known| charset.starts_with(known)) => {
                charset_decoder(charset.as_bytes()).map(|decode| decode(&bytes))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(message: &str) -> Vec<&str> {
        let read = read(message.as_bytes(), 0..message.len()).unwrap();
        let parts = read.parts.iter().map(|part| &message[part.body.clone()]);
        parts.collect()
    }

    const MIXED: &str = "Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\npreamble\r\n--a b\r\n\r\none\r\n\
        --a bc\r\n--a b  \r\nContent-Type: text/html\r\n\r\n\r\n--a b--\r\nepilogue";

    #[test]
    fn parts_lie_between_whole_lines() {
        assert_eq!(bodies(MIXED), ["one\r\n--a bc", ""]);
        assert_eq!(bodies(&MIXED.replace("\r\n", "\n")), ["one\n--a bc", ""]);
        let folded =
            "Content-Type: multipart/mixed;\r\n\tboundary=x\r\n\r\n--x\r\n\r\ntwo\r\n--x--";
        assert_eq!(bodies(folded), ["two"]);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_malformed() {
        let twice = "Content-Type: text/plain\r\nContent-type: text/html\r\n\r\nx";
        let bare = "Content-Type: multipart/mixed\r\n\r\nx";
        let coded = MIXED.replacen("\r\n", "\r\nContent-Transfer-Encoding: base64\r\n", 1);
        for bad in [
            " continued\r\n\r\n",
            "no field\r\n\r\n",
            "a b: c\r\n\r\n",
            twice,
            bare,
            &coded,
            &MIXED.replace("--a b--", "--a b-"),
            &MIXED.replace("--a b\r\n", "").replace("--a b  \r\n", ""),
            "Content-Transfer-Encoding: x-uuencode\r\n\r\nx",
            "Content-Type: text\r\n\r\nx",
        ] {
            assert!(read(bad.as_bytes(), 0..bad.len()).is_err(), "{bad}");
        }
    }

    #[test]
    fn there_is_an_end_to_depth_and_number() {
        let nested = |levels: usize| {
            let mut message = "Content-Type: text/plain\r\n\r\nx".to_owned();
            for level in 0..levels {
                message = format!(
                    "Content-Type: multipart/mixed; boundary=b{level}-\r\n\r\n--b{level}-\r\n{message}\r\n--b{level}---\r\n"
                );
            }
            read(message.as_bytes(), 0..message.len()).is_ok()
        };
        assert!(nested(DEPTH) && !nested(DEPTH + 1));
        let many = |parts: usize| {
            let parts = "--x\r\n\r\n\r\n".repeat(parts);
            let message = format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{parts}--x--");
            read(message.as_bytes(), 0..message.len()).is_ok()
        };
        assert!(many(PARTS - 1) && !many(PARTS));
    }

    #[test]
    fn texts_in_the_character_sets_of_here() {
        let text = |kind: &str, body: &[u8]| {
            let message = [format!("Content-Type: {kind}\n\n").as_bytes(), body].concat();
            let read = read(&message, 0..message.len()).unwrap();
            read.text(&message)
        };
        let latin = b"caf\xe9";
        assert_eq!(
            text("text/plain; charset=ISO-8859-15", latin).unwrap(),
            "café"
        );
        assert_eq!(
            text("text/plain; charset=windows-1252", latin).unwrap(),
            "café"
        );
        assert_eq!(
            text("text/plain; charset=UTF-8", "café".as_bytes()).unwrap(),
            "café"
        );
        assert_eq!(text("text/plain; charset=utf-8", latin), None);
        assert_eq!(text("text/plain", latin), None);
        assert_eq!(text("text/plain; charset=big5", b"x"), None);
    }
}
