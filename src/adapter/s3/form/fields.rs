//! A form's fields, as its pieces come; each byte is looked at about once.

use bytes::Bytes;
use http::HeaderMap;
use memchr::memmem;

use super::{FormHead, HEAD_MAX, malformed};
use crate::adapter::s3::error::{INVALID_ARGUMENT, MAX_POST_PRE_DATA_LENGTH_EXCEEDED, S3Error};
use crate::adapter::s3::sigv4::FormField;

/// Gathers a form's fields up to the file.
#[derive(Debug)]
pub struct FormParser {
    /// `--boundary`
    delimiter: Vec<u8>,
    held: Vec<u8>,
    fields: Vec<FormField>,
    expects: Expected,
    /// Where in `held` that begins.
    at: usize,
    /// No end of it stands before.
    searched: usize,
}

/// What comes next.
#[derive(Debug)]
enum Expected {
    /// The first boundary.
    Beginning,
    PartHeader,
    /// Of the field of this name, with the boundary behind it.
    Value(String),
    /// What tells whether the boundary was the last.
    AfterBoundary,
}

impl FormParser {
    /// # Errors
    /// `MalformedPOSTRequest` when the Content-Type has no usable boundary.
    pub fn new(headers: &HeaderMap) -> Result<Self, S3Error> {
        let bad = || malformed("The Content-Type is not multipart/form-data with a boundary.");
        let value = headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(bad)?;
        let boundary = parameters(value)
            .find(|(name, _)| name.eq_ignore_ascii_case("boundary"))
            .map(|(_, value)| value)
            .ok_or_else(bad)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
        if !(1..=70).contains(&boundary.len())
            || !boundary.bytes().all(allowed)
            || boundary.ends_with(' ')
        {
            return Err(bad());
        }
        Ok(Self {
            delimiter: format!("--{boundary}").into_bytes(),
            held: Vec::new(),
            fields: Vec::new(),
            expects: Expected::Beginning,
            at: 0,
            searched: 0,
        })
    }

    /// Takes a piece of the body. Once the file is reached: the head, and what of the piece belongs to the file.
    ///
    /// # Errors
    /// `MalformedPOSTRequest`; `MaxPostPreDataLengthExceededError`; `InvalidArgument` for a form without a file.
    pub fn push(&mut self, piece: &Bytes) -> Result<Option<(FormHead, Bytes)>, S3Error> {
        let before = self.held.len();
        let room = (HEAD_MAX + 1).saturating_sub(before).min(piece.len());
        self.held
            .extend_from_slice(piece.get(..room).unwrap_or_default());
        if self.reaches_file()? {
            let head = FormHead {
                fields: std::mem::take(&mut self.fields),
                length: self.at as u64,
                delimiter: std::mem::take(&mut self.delimiter),
            };
            let consumed = self.at.saturating_sub(before).min(piece.len());
            return Ok(Some((head, piece.slice(consumed..))));
        }
        if self.held.len() > HEAD_MAX {
            return Err(S3Error::new(&MAX_POST_PRE_DATA_LENGTH_EXCEEDED));
        }
        Ok(None)
    }

    /// Reads on in what is held.
    fn reaches_file(&mut self) -> Result<bool, S3Error> {
        loop {
            match &self.expects {
                Expected::Beginning => {
                    match after(&self.held, 0, &[&self.delimiter, &b"\r\n"[..]].concat()) {
                        Found::At(at) => self.expect(Expected::PartHeader, at),
                        Found::More => return Ok(false),
                        Found::Other => {
                            return Err(malformed("The body does not begin with its boundary."));
                        }
                    }
                }
                Expected::PartHeader => {
                    let Some(end) = self.find(b"\r\n\r\n") else {
                        return Ok(false);
                    };
                    let (name, file_name) = disposition(&self.held[self.at..end])?;
                    let file = name == "file";
                    self.expect(Expected::Value(name), end + 4);
                    if file {
                        fill_in_file_name(&mut self.fields, &file_name);
                        return Ok(true);
                    }
                }
                Expected::Value(name) => {
                    let name = name.clone();
                    let Some(end) = self.find(&[b"\r\n", &self.delimiter[..]].concat()) else {
                        return Ok(false);
                    };
                    let value = std::str::from_utf8(&self.held[self.at..end])
                        .map_err(|_| malformed("A field is not UTF-8."))?;
                    let value = value.to_owned();
                    self.fields.push(FormField { name, value });
                    let behind = end + 2 + self.delimiter.len();
                    self.expect(Expected::AfterBoundary, behind);
                }
                Expected::AfterBoundary => match self.after_boundary()? {
                    Some(at) => self.expect(Expected::PartHeader, at),
                    None => return Ok(false),
                },
            }
        }
    }

    fn expect(&mut self, expects: Expected, at: usize) {
        self.expects = expects;
        self.at = at;
        self.searched = at;
    }

    /// Where what is expected ends. What was searched once is not again.
    fn find(&mut self, end: &[u8]) -> Option<usize> {
        let rest = self.held.get(self.searched..).unwrap_or_default();
        let found = memmem::find(rest, end).map(|found| self.searched + found);
        if found.is_none() {
            let cut = self.held.len().saturating_sub(end.len() - 1);
            self.searched = self.searched.max(cut);
        }
        found
    }

    /// Where the next part begins; `None` when more is needed.
    fn after_boundary(&self) -> Result<Option<usize>, S3Error> {
        let behind = |expected| after(&self.held, self.at, expected);
        match (behind(b"\r\n"), behind(b"--")) {
            (Found::At(at), _) => Ok(Some(at)),
            (_, Found::At(_)) => Err(S3Error::with(
                &INVALID_ARGUMENT,
                "POST requires exactly one file upload per request.",
            )
            .detail("ArgumentName", "file")
            .detail("ArgumentValue", "0")),
            (Found::More, _) | (_, Found::More) => Ok(None),
            _ => Err(malformed("A boundary is malformed.")),
        }
    }
}

enum Found {
    At(usize),
    More,
    Other,
}

fn after(held: &[u8], at: usize, expected: &[u8]) -> Found {
    let rest = held.get(at..).unwrap_or_default();
    if rest.starts_with(expected) {
        Found::At(at + expected.len())
    } else if expected.starts_with(rest) {
        Found::More
    } else {
        Found::Other
    }
}

/// The part's name in lower case, and its file name.
fn disposition(headers: &[u8]) -> Result<(String, String), S3Error> {
    let text =
        std::str::from_utf8(headers).map_err(|_| malformed("A part's header is not UTF-8."))?;
    let value = text
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))
        .map(|(_, value)| value.trim())
        .filter(|value| {
            value
                .get(..9)
                .is_some_and(|kind| kind.eq_ignore_ascii_case("form-data"))
        })
        .ok_or_else(|| malformed("A part has no Content-Disposition: form-data."))?;
    let (mut name, mut file_name) = (None, String::new());
    for (parameter, text) in parameters(value) {
        match parameter.to_ascii_lowercase().as_str() {
            "name" => name = Some(text.to_ascii_lowercase()),
            "filename" => file_name = text,
            _ => {}
        }
    }
    Ok((
        name.ok_or_else(|| malformed("A part has no name."))?,
        file_name,
    ))
}

/// `…; name=value; name="quoted"`
fn parameters(value: &str) -> impl Iterator<Item = (&str, String)> {
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    std::iter::from_fn(move || {
        let (name, tail) = rest.split_once('=')?;
        let tail = tail.trim_start();
        let mut text = String::new();
        if let Some(quoted) = tail.strip_prefix('"') {
            let mut chars = quoted.char_indices();
            rest = "";
            while let Some((at, c)) = chars.next() {
                match c {
                    '\\' => text.extend(chars.next().map(|(_, c)| c)),
                    '"' => {
                        rest = quoted
                            .get(at + 1..)
                            .and_then(|tail| tail.split_once(';'))
                            .map_or("", |(_, tail)| tail);
                        break;
                    }
                    c => text.push(c),
                }
            }
        } else {
            let (token, tail) = tail.split_once(';').unwrap_or((tail, ""));
            text.push_str(token.trim());
            rest = tail;
        }
        Some((name.trim(), text))
    })
}

/// Of a path, only what follows the last slash or backslash counts.
fn fill_in_file_name(fields: &mut [FormField], file_name: &str) {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    for field in fields.iter_mut().filter(|field| field.name == "key") {
        field.value = field.value.replace("${filename}", name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_searched_is_not_searched_again() {
        let mut headers = HeaderMap::new();
        let kind = "multipart/form-data; boundary=xYz".parse().unwrap();
        headers.insert("content-type", kind);
        let mut parser = FormParser::new(&headers).unwrap();
        let begin = "--xYz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
        let value = "b\r\n--xY".repeat(2000);
        for byte in begin.bytes().chain(value.bytes()) {
            let pushed = parser.push(&Bytes::copy_from_slice(&[byte])).unwrap();
            assert!(pushed.is_none());
            assert!(parser.held.len() - parser.searched < b"\r\n\r\n--xYz".len());
        }
    }
}
