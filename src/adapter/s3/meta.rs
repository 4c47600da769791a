//! The metadata document: what S3 keeps beside an object's bytes and the provider must not see. It is sealed as a
//! metadata blob for the object's bucket and key, and stored in `x-amz-meta-sceau-N` header fields.
//!
//! Encoding (also in `docs/format.md`): a version byte `01`, then fields `u8 kind | u16 n | n bytes of name | u32 m | m bytes
//! of value`, big-endian. Kinds: 1 run header (128 bytes, objects of one run), 2 content header, 3 user metadata,
//! 4 checksum, 5 empty object that is stored as zero bytes. Unknown kinds are refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::seal::layout::HEADER;

/// The fields that S3 gives back with an object and that say something of its content (decision 13).
pub const CONTENT_HEADERS: [&str; 6] = [
    "content-type",
    "content-disposition",
    "content-encoding",
    "content-language",
    "cache-control",
    "expires",
];

const FIELD: &str = "x-amz-meta-sceau-";
const USER: &str = "x-amz-meta-";
/// Longest header value: Swift's limit is 256 bytes.
const VALUE: usize = 256;
/// S3 takes 2 KiB of names and values; the sealed form must fit.
const UPSTREAM_LIMIT: usize = 2048;
/// S3's own limit on what a client sends.
const CLIENT_LIMIT: usize = 2048;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaError {
    /// More than S3, or the sealed form, can hold.
    TooLarge,
    /// A field that is not text.
    Invalid,
}

/// An object's sealed metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// The header of an object of one run: a range is read without another request.
    pub run_header: Option<Box<[u8; HEADER]>>,
    /// `CONTENT_HEADERS` as the client gave them.
    pub content: Vec<(String, Vec<u8>)>,
    /// User metadata: names without `x-amz-meta-`, lower case.
    pub user: Vec<(String, Vec<u8>)>,
    /// Checksums that were known when the upload began: (algorithm, base64).
    pub checksums: Vec<(String, Vec<u8>)>,
    /// A directory marker: the provider holds zero bytes (decision 11).
    pub empty: bool,
}

impl Document {
    /// Takes what the client's headers say of the object. `aws-chunked` is a transfer coding and is left out.
    ///
    /// # Errors
    /// Metadata beyond S3's 2 KiB.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, MetaError> {
        let mut document = Self::default();
        let mut size = 0;
        for name in CONTENT_HEADERS {
            let Some(value) = headers.get(name) else {
                continue;
            };
            let value = if name == "content-encoding" {
                match without_aws_chunked(value) {
                    Some(rest) => rest,
                    None => continue,
                }
            } else {
                value.as_bytes().to_vec()
            };
            document.content.push((name.to_owned(), value));
        }
        for name in headers.keys() {
            let Some(user) = name.as_str().strip_prefix(USER) else {
                continue;
            };
            let mut joined = Vec::new();
            for value in headers.get_all(name) {
                if !joined.is_empty() {
                    joined.push(b',');
                }
                joined.extend_from_slice(value.as_bytes());
            }
            size += user.len() + joined.len();
            document.user.push((user.to_owned(), joined));
        }
        if size > CLIENT_LIMIT {
            return Err(MetaError::TooLarge);
        }
        Ok(document)
    }

    /// Writes what the client is to see into an answer's head.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.content {
            insert(headers, name, value);
        }
        for (name, value) in &self.user {
            insert(headers, &format!("{USER}{name}"), value);
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        if let Some(header) = &self.run_header {
            field(&mut out, 1, "", &header[..]);
        }
        for (kind, list) in [(2, &self.content), (3, &self.user), (4, &self.checksums)] {
            for (name, value) in list {
                field(&mut out, kind, name, value);
            }
        }
        if self.empty {
            field(&mut out, 5, "", &[]);
        }
        out
    }

    /// # Errors
    /// Anything but the encoding above.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetaError> {
        let mut document = Self::default();
        let mut rest = match bytes.split_first() {
            Some((1, rest)) => rest,
            _ => return Err(MetaError::Invalid),
        };
        while let Some((kind, after)) = rest.split_first() {
            let (name, after) = take::<2>(after)?;
            let (value, after) = take::<4>(after)?;
            rest = after;
            let name = std::str::from_utf8(name)
                .map_err(|_| MetaError::Invalid)?
                .to_owned();
            match kind {
                1 => {
                    let header: [u8; HEADER] = value.try_into().map_err(|_| MetaError::Invalid)?;
                    document.run_header = Some(Box::new(header));
                }
                2 => document.content.push((name, value.to_vec())),
                3 => document.user.push((name, value.to_vec())),
                4 => document.checksums.push((name, value.to_vec())),
                5 => document.empty = true,
                _ => return Err(MetaError::Invalid),
            }
        }
        Ok(document)
    }
}

fn without_aws_chunked(value: &HeaderValue) -> Option<Vec<u8>> {
    let Ok(text) = value.to_str() else {
        return Some(value.as_bytes().to_vec());
    };
    let kept: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(",").into_bytes())
}

fn insert(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    if let (Ok(name), Ok(value)) = (
        HeaderName::from_bytes(name.as_bytes()),
        HeaderValue::from_bytes(value),
    ) {
        headers.insert(name, value);
    }
}

fn field(out: &mut Vec<u8>, kind: u8, name: &str, value: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(value);
}

fn take<const N: usize>(bytes: &[u8]) -> Result<(&[u8], &[u8]), MetaError> {
    let (length, rest) = bytes.split_at_checked(N).ok_or(MetaError::Invalid)?;
    let length = length
        .iter()
        .fold(0usize, |n, byte| (n << 8) | usize::from(*byte));
    rest.split_at_checked(length).ok_or(MetaError::Invalid)
}

/// Puts a sealed blob into a request's head.
///
/// # Errors
/// More than the provider takes: `MetadataTooLarge` to the client.
pub fn write_blob(headers: &mut HeaderMap, blob: &[u8]) -> Result<(), MetaError> {
    let text = STANDARD.encode(blob);
    let mut size = text.len();
    for (i, chunk) in text.as_bytes().chunks(VALUE).enumerate() {
        let name = format!("{FIELD}{i}");
        size += name.len() - USER.len();
        insert(headers, &name, chunk);
    }
    if size > UPSTREAM_LIMIT {
        return Err(MetaError::TooLarge);
    }
    Ok(())
}

/// Gathers the blob from an answer's head. `None`: the object was not sealed by this gateway.
pub fn read_blob(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for i in 0.. {
        match headers.get(format!("{FIELD}{i}")) {
            Some(value) => text.extend_from_slice(value.as_bytes()),
            None => break,
        }
    }
    if text.is_empty() {
        return None;
    }
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Document {
        Document {
            run_header: Some(Box::new([7; HEADER])),
            content: vec![("content-type".into(), b"text/plain".to_vec())],
            user: vec![("mtime".into(), b"1".to_vec()), ("x".into(), Vec::new())],
            checksums: vec![("crc32".into(), b"AAAAAA==".to_vec())],
            empty: true,
        }
    }

    #[test]
    fn a_document_survives_its_encoding() {
        assert_eq!(Document::decode(&sample().encode()), Ok(sample()));
        assert_eq!(
            Document::decode(&Document::default().encode()),
            Ok(Document::default())
        );
    }

    #[test]
    fn every_truncation_inside_a_field_and_unknown_kinds_are_refused() {
        let encoded = sample().encode();
        for n in 0..encoded.len() {
            let cut = Document::decode(&encoded[..n]);
            assert!(cut != Ok(sample()), "{n}");
        }
        assert_eq!(
            Document::decode(&[1, 9, 0, 0, 0, 0, 0, 0]),
            Err(MetaError::Invalid)
        );
        assert_eq!(Document::decode(&[2]), Err(MetaError::Invalid));
    }

    #[test]
    fn headers_go_in_and_come_back() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "text/html".parse().unwrap());
        headers.insert("content-encoding", "aws-chunked, gzip".parse().unwrap());
        headers.append("x-amz-meta-a", "1".parse().unwrap());
        headers.append("x-amz-meta-a", "2".parse().unwrap());
        let document = Document::from_headers(&headers).unwrap();
        let mut back = HeaderMap::new();
        document.write_headers(&mut back);
        assert_eq!(back["content-type"], "text/html");
        assert_eq!(back["content-encoding"], "gzip");
        assert_eq!(back["x-amz-meta-a"], "1,2");
    }

    #[test]
    fn a_blob_travels_in_short_values() {
        let mut headers = HeaderMap::new();
        let blob: Vec<u8> = (0..1200u32).map(|i| i as u8).collect();
        write_blob(&mut headers, &blob).unwrap();
        assert!(headers.values().all(|v| v.len() <= VALUE));
        assert_eq!(read_blob(&headers), Some(blob));
        assert_eq!(read_blob(&HeaderMap::new()), None);
        assert_eq!(
            write_blob(&mut headers, &[0; 1600]),
            Err(MetaError::TooLarge)
        );
    }
}
