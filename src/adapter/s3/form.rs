//! Uploads by a browser's form: `multipart/form-data`, the fields first, then the file, then nothing.
//!
//! S3 ignores what follows the file. Here it is refused: the file's length must be known before its first byte goes
//! up, and it follows from Content-Length only when the file is last.
//!
//! Source: Amazon S3 API Reference, "POST Object"; RFC 7578.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem::{self, Finder};

use super::address::encode_query;
use super::error::{
    INCOMPLETE_BODY, INVALID_ARGUMENT, MALFORMED_POST_REQUEST, MALFORMED_XML,
    MAX_POST_PRE_DATA_LENGTH_EXCEEDED, MISSING_CONTENT_LENGTH, S3Error,
};
use super::sigv4::FormField;
use super::xml::{self, Writer};

/// Most bytes before the file's first.
const HEAD_MAX: usize = 20 * 1024;
/// Fields that are headers by another name, or by the same.
const HEADER_FIELDS: [&str; 6] = [
    "cache-control",
    "content-type",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
];

fn malformed(why: &'static str) -> S3Error {
    S3Error::with(&MALFORMED_POST_REQUEST, why)
}

/// Gathers a form's fields up to the file.
#[derive(Debug)]
pub struct FormParser {
    /// `--boundary`
    delimiter: Vec<u8>,
    held: Vec<u8>,
}

/// A form up to its file.
#[derive(Debug)]
pub struct FormHead {
    /// In order; names in lower case; `${filename}` in the key is replaced.
    pub fields: Vec<FormField>,
    /// Bytes before the file's first.
    length: u64,
    delimiter: Vec<u8>,
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
        match parse_head(&self.held, &self.delimiter)? {
            Some((fields, length)) => {
                let head = FormHead {
                    fields,
                    length: length as u64,
                    delimiter: std::mem::take(&mut self.delimiter),
                };
                let consumed = length.saturating_sub(before).min(piece.len());
                Ok(Some((head, piece.slice(consumed..))))
            }
            None if self.held.len() > HEAD_MAX => {
                Err(S3Error::new(&MAX_POST_PRE_DATA_LENGTH_EXCEEDED))
            }
            None => Ok(None),
        }
    }
}

/// The fields and where the file begins; `None` when more is needed.
fn parse_head(held: &[u8], delimiter: &[u8]) -> Result<Option<(Vec<FormField>, usize)>, S3Error> {
    let mut fields = Vec::new();
    let mut at = match after(held, 0, &[delimiter, b"\r\n"].concat()) {
        Found::At(at) => at,
        Found::More => return Ok(None),
        Found::Other => return Err(malformed("The body does not begin with its boundary.")),
    };
    loop {
        let rest = held.get(at..).unwrap_or_default();
        let Some(end) = memmem::find(rest, b"\r\n\r\n") else {
            return Ok(None);
        };
        let (name, file_name) = disposition(&rest[..end])?;
        at += end + 4;
        if name == "file" {
            fill_in_file_name(&mut fields, &file_name);
            return Ok(Some((fields, at)));
        }
        let rest = held.get(at..).unwrap_or_default();
        let Some(end) = memmem::find(rest, &[b"\r\n", delimiter].concat()) else {
            return Ok(None);
        };
        let value =
            std::str::from_utf8(&rest[..end]).map_err(|_| malformed("A field is not UTF-8."))?;
        fields.push(FormField {
            name,
            value: value.to_owned(),
        });
        let behind = at + end + 2 + delimiter.len();
        at = match (after(held, behind, b"\r\n"), after(held, behind, b"--")) {
            (Found::At(at), _) => at,
            (_, Found::At(_)) => {
                return Err(S3Error::with(
                    &INVALID_ARGUMENT,
                    "POST requires exactly one file upload per request.",
                )
                .detail("ArgumentName", "file")
                .detail("ArgumentValue", "0"));
            }
            (Found::More, _) | (_, Found::More) => return Ok(None),
            _ => return Err(malformed("A boundary is malformed.")),
        };
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

impl FormHead {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|field| field.name == name)
            .map(|field| field.value.as_str())
    }

    /// The file, whose length follows from the request's Content-Length.
    ///
    /// # Errors
    /// `MissingContentLength`; `IncompleteBody` when the length can't hold the form.
    pub fn file(&self, content_length: Option<u64>) -> Result<FormFile, S3Error> {
        let total = content_length.ok_or_else(|| S3Error::new(&MISSING_CONTENT_LENGTH))?;
        let tail = [b"\r\n", self.delimiter.as_slice(), b"--\r\n"].concat();
        let length = total
            .checked_sub(self.length)
            .and_then(|rest| rest.checked_sub(tail.len() as u64))
            .ok_or_else(|| S3Error::new(&INCOMPLETE_BODY))?;
        Ok(FormFile {
            length,
            left: length,
            finder: Finder::new(&[b"\r\n", self.delimiter.as_slice()].concat()).into_owned(),
            window: Vec::new(),
            tail,
            tail_seen: 0,
        })
    }

    /// The fields that a PUT would carry as headers: content headers, `x-amz-*`, `acl`, `tagging`.
    ///
    /// # Errors
    /// `InvalidArgument` for a value that can't be a header's, `MalformedXML` for the tags.
    pub fn headers(&self) -> Result<HeaderMap, S3Error> {
        let mut map = HeaderMap::new();
        for field in &self.fields {
            let bad = || {
                S3Error::argument(
                    field.name.clone(),
                    "",
                    "The field's value can't be a header's.",
                )
            };
            let (name, value) = match field.name.as_str() {
                "acl" => ("x-amz-acl", field.value.clone()),
                "tagging" => ("x-amz-tagging", tags(&field.value)?),
                "x-amz-algorithm"
                | "x-amz-credential"
                | "x-amz-date"
                | "x-amz-signature"
                | "x-amz-security-token" => continue,
                name if HEADER_FIELDS.contains(&name) || name.starts_with("x-amz-") => {
                    (name, field.value.clone())
                }
                _ => continue,
            };
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            map.insert(
                name,
                HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?,
            );
        }
        Ok(map)
    }
}

/// The `tagging` field's document in the form of `x-amz-tagging`.
fn tags(document: &str) -> Result<String, S3Error> {
    let root = xml::parse(document.as_bytes(), HEAD_MAX)?;
    if root.name != "Tagging" {
        return Err(S3Error::new(&MALFORMED_XML));
    }
    let mut out = String::new();
    for tag in root.only("TagSet")?.named("Tag") {
        if !out.is_empty() {
            out.push('&');
        }
        encode_query(tag.only("Key")?.text(), &mut out);
        out.push('=');
        encode_query(tag.only("Value")?.text(), &mut out);
    }
    Ok(out)
}

/// The form's file. Its bytes are handed on as they come; nothing may be committed before [`FormFile::finish`].
#[derive(Debug)]
pub struct FormFile {
    length: u64,
    left: u64,
    /// Finds a boundary within what should be the file.
    finder: Finder<'static>,
    /// The last bytes that were seen, so that a boundary is found across pieces.
    window: Vec<u8>,
    tail: Vec<u8>,
    tail_seen: usize,
}

impl FormFile {
    /// In bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes from `input` the file's next bytes; `None` when `input` is used up.
    ///
    /// # Errors
    /// `MalformedPOSTRequest` when something follows the file.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, S3Error> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.left == 0 {
            let tail = self.tail.get(self.tail_seen..).unwrap_or_default();
            if !tail.starts_with(input) {
                return Err(follows());
            }
            self.tail_seen += input.len();
            input.clear();
            return Ok(None);
        }
        let length = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(input.len());
        let piece = input.split_to(length);
        self.search(&piece)?;
        self.left = self.left.saturating_sub(length as u64);
        Ok(Some(piece))
    }

    /// Call when the body has ended.
    ///
    /// # Errors
    /// `IncompleteBody`.
    pub fn finish(self) -> Result<(), S3Error> {
        if self.left == 0 && self.tail_seen == self.tail.len() {
            Ok(())
        } else {
            Err(S3Error::new(&INCOMPLETE_BODY))
        }
    }

    fn search(&mut self, piece: &[u8]) -> Result<(), S3Error> {
        let overlap = self.finder.needle().len().saturating_sub(1);
        self.window
            .extend_from_slice(piece.get(..overlap.min(piece.len())).unwrap_or_default());
        if self.finder.find(&self.window).is_some() || self.finder.find(piece).is_some() {
            return Err(follows());
        }
        if piece.len() >= overlap {
            self.window.clear();
            self.window
                .extend_from_slice(piece.get(piece.len() - overlap..).unwrap_or_default());
        } else {
            let surplus = self.window.len().saturating_sub(overlap);
            self.window.drain(..surplus);
        }
        Ok(())
    }
}

fn follows() -> S3Error {
    malformed("The file must be the form's last field, and the body must end with its boundary.")
}

/// The document that `success_action_status` 201 asks for.
pub fn post_response(location: &str, bucket: &str, key: &str, etag: &str) -> Bytes {
    let mut xml = Writer::document();
    xml.open("PostResponse");
    xml.element("Location", location);
    xml.element("Bucket", bucket);
    xml.element("Key", key);
    xml.element("ETag", &format!("\"{etag}\""));
    xml.close("PostResponse");
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content_type(value: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert("content-type", value.parse().unwrap());
        map
    }

    fn form(content: &[u8], behind: &str) -> Vec<u8> {
        let mut body = b"--xYz\r\nContent-Disposition: form-data; name=\"Key\"\r\n\r\nuser/${filename}\r\n\
              --xYz\r\nContent-Disposition: form-data; name=\"x-amz-meta-a\"\r\nContent-Type: text/plain\r\n\r\n\r\n\
              --xYz\r\nContent-Disposition: form-data; name=acl\r\n\r\nprivate\r\n\
              --xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\\dir\\\\a \\\"b\\\".txt\"\r\n\
              Content-Type: text/plain\r\n\r\n"
            .to_vec();
        body.extend_from_slice(content);
        body.extend_from_slice(behind.as_bytes());
        body
    }

    fn read(body: &[u8], total: u64, cuts: &[usize]) -> Result<(FormHead, Vec<u8>), S3Error> {
        let mut parser = FormParser::new(&content_type("multipart/form-data; boundary=\"xYz\""))?;
        let mut open: Option<(FormHead, FormFile)> = None;
        let mut content = Vec::new();
        let mut from = 0;
        for to in cuts.iter().copied().chain([body.len()]) {
            let mut input = Bytes::copy_from_slice(&body[from..to]);
            from = to;
            if open.is_none() {
                let Some((head, rest)) = parser.push(&input)? else {
                    continue;
                };
                input = rest;
                let file = head.file(Some(total))?;
                open = Some((head, file));
            }
            let file = &mut open.as_mut().unwrap().1;
            while let Some(piece) = file.next(&mut input)? {
                content.extend_from_slice(&piece);
            }
        }
        let Some((head, file)) = open else {
            return Err(S3Error::new(&INCOMPLETE_BODY));
        };
        file.finish()?;
        Ok((head, content))
    }

    #[test]
    fn a_form_at_every_cut() {
        let body = form(b"hello\r\n--xY world", "\r\n--xYz--\r\n");
        for cut in 0..=body.len() {
            let (head, content) = read(&body, body.len() as u64, &[cut]).unwrap();
            assert_eq!(content, b"hello\r\n--xY world");
            assert_eq!(head.field("key"), Some("user/a \"b\".txt"));
            assert_eq!(head.field("x-amz-meta-a"), Some(""));
            assert_eq!(head.headers().unwrap()["x-amz-acl"], "private");
            assert_eq!(head.fields.len(), 3);
        }
    }

    #[test]
    fn what_follows_the_file_is_refused() {
        let more = "\r\n--xYz\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nUpload\r\n--xYz--\r\n";
        let body = form(b"hello", more);
        for cut in 0..body.len() {
            let error = read(&body, body.len() as u64, &[cut]).unwrap_err();
            assert_eq!(error.code.name, "MalformedPOSTRequest", "{cut}");
        }
        for behind in ["\r\n--xYz--\r\nepilogue", "\r\n--xYz--", "\r\n--xYz", ""] {
            let body = form(b"hello, world, this is long enough", behind);
            assert!(read(&body, body.len() as u64, &[]).is_err(), "{behind:?}");
        }
        let body = form(b"hello", "\r\n--xYz--\r\n");
        for length in 0..body.len() {
            assert!(
                read(&body[..length], body.len() as u64, &[]).is_err(),
                "{length}"
            );
        }
        assert_eq!(
            read(&body, 10, &[]).unwrap_err().code.name,
            "IncompleteBody"
        );
        assert!(read(&body, body.len() as u64 - 1, &[]).is_err());
        assert!(read(&body, body.len() as u64 + 1, &[]).is_err());
    }

    #[test]
    fn malformed_forms_are_refused() {
        for (body, code) in [
            ("--xYz--\r\n", "MalformedPOSTRequest"),
            ("preamble", "MalformedPOSTRequest"),
            ("--xYz\r\nX: y\r\n\r\n", "MalformedPOSTRequest"),
            (
                "--xYz\r\nContent-Disposition: attachment; name=a\r\n\r\n",
                "MalformedPOSTRequest",
            ),
            (
                "--xYz\r\nContent-Disposition: form-data; other=a\r\n\r\n",
                "MalformedPOSTRequest",
            ),
            (
                "--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--xYzz",
                "MalformedPOSTRequest",
            ),
            (
                "--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--xYz--\r\n",
                "InvalidArgument",
            ),
        ] {
            assert_eq!(
                read(body.as_bytes(), 1 << 20, &[]).unwrap_err().code.name,
                code,
                "{body:?}"
            );
        }
        let long = format!(
            "--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\n{}",
            "b".repeat(30_000)
        );
        let error = read(long.as_bytes(), 1 << 20, &[]).unwrap_err();
        assert_eq!(error.code.name, "MaxPostPreDataLengthExceededError");
        for bad in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"a\\\r\"".trim_end(),
        ] {
            let Ok(value) = bad.parse::<HeaderValue>() else {
                continue;
            };
            let mut map = HeaderMap::new();
            map.insert("content-type", value);
            assert!(FormParser::new(&map).is_err(), "{bad}");
        }
        assert!(
            FormParser::new(&content_type(&format!(
                "multipart/form-data; boundary={}",
                "a".repeat(71)
            )))
            .is_err()
        );
    }

    #[test]
    fn tags_become_a_header() {
        let document = "<Tagging><TagSet><Tag><Key>a b</Key><Value>c&amp;d</Value></Tag><Tag><Key>e</Key><Value/></Tag></TagSet></Tagging>";
        assert_eq!(tags(document).unwrap(), "a%20b=c%26d&e=");
        assert!(tags("<Other/>").is_err());
        assert!(tags("a=b").is_err());
    }

    proptest! {
        #[test]
        fn any_content_at_any_cuts(
            content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'x'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..30),
        ) {
            let body = form(&content, "\r\n--xYz--\r\n");
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
            at.sort_unstable();
            let (_, found) = read(&body, body.len() as u64, &at).unwrap();
            prop_assert_eq!(found, content);
        }
    }
}
