//! Uploads by a browser's form: `multipart/form-data`, the fields first, then the file, then nothing.
//!
//! S3 ignores what follows the file. Here it is refused: the file's length must be known before its first byte goes
//! up, and it follows from Content-Length only when the file is last.
//!
//! Source: Amazon S3 API Reference, "POST Object"; RFC 7578.

mod fields;
mod file;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::address::encode_query;
use super::error::{
    INCOMPLETE_BODY, MALFORMED_POST_REQUEST, MALFORMED_XML, MISSING_CONTENT_LENGTH, S3Error,
};
use super::sigv4::FormField;
use super::xml::{self, Writer};

pub use self::fields::FormParser;
pub use self::file::FormFile;

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

/// A form up to its file.
#[derive(Debug)]
pub struct FormHead {
    /// In order; names in lower case; `${filename}` in the key is replaced.
    pub fields: Vec<FormField>,
    /// Bytes before the file's first.
    length: u64,
    delimiter: Vec<u8>,
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
        let tail = file::tail(&self.delimiter).len() as u64;
        let length = total
            .checked_sub(self.length)
            .and_then(|rest| rest.checked_sub(tail))
            .ok_or_else(|| S3Error::new(&INCOMPLETE_BODY))?;
        Ok(FormFile::new(length, &self.delimiter))
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
