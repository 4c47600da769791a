//! S3's own chunk framing inside a body (`aws-chunked`), with signed chunks and trailers.
//!
//! A chunk's signature covers all of the chunk, so it is checked when the chunk's last byte has come; the bytes are
//! handed on before. Whoever takes them must therefore not commit anything before [`ChunkDecoder::finish`] succeeded.
//!
//! Source: Amazon S3 API Reference, "Transferring payload in multiple chunks", "Including trailing headers".

use aws_lc_rs::digest;
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use super::error::{
    INCOMPLETE_BODY, INVALID_ARGUMENT, INVALID_CHUNK_SIZE, INVALID_REQUEST, MALFORMED_TRAILER,
    MISSING_CONTENT_LENGTH, S3Error, SIGNATURE_DOES_NOT_MATCH,
};
use super::sigv4::{Chain, PayloadForm, sha256_hex};

/// Longest line of framing: a size with its signature, or a trailer.
const LINE_MAX: usize = 1024;
/// Smallest signed chunk, but for the last.
const SIGNED_CHUNK_MIN: u64 = 8192;
const SIGNATURE_TRAILER: &str = "x-amz-trailer-signature";

/// The trailers of a body, names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers(Vec<(String, String)>);

impl Trailers {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    #[cfg(test)]
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }
}

/// The length of a body's content in bytes, once its framing is gone; `None` when the request does not tell.
///
/// # Errors
/// `MissingContentLength` for a chunked form without `x-amz-decoded-content-length`, `InvalidArgument` when malformed.
pub fn content_length(headers: &HeaderMap, form: PayloadForm) -> Result<Option<u64>, S3Error> {
    let name = if form.is_chunked() {
        "x-amz-decoded-content-length"
    } else {
        CONTENT_LENGTH.as_str()
    };
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) if form.is_chunked() => Err(S3Error::new(&MISSING_CONTENT_LENGTH)),
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().unwrap_or_default();
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            match text.parse() {
                Ok(length) if digits => Ok(Some(length)),
                _ => Err(S3Error::argument(name, text, "The length is malformed.")),
            }
        }
        (Some(_), Some(_)) => Err(S3Error::with(
            &INVALID_ARGUMENT,
            "The length is given more than once.",
        )),
    }
}

/// Content-Encoding without its `aws-chunked` tokens; `None` when nothing is left.
pub fn strip_content_encoding(value: &str) -> Option<String> {
    let kept: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At a line with a chunk's size.
    Size,
    /// Within a chunk; bytes that remain.
    Data(u64),
    /// At the line end behind a chunk; whether it was the last one.
    DataEnd {
        last: bool,
    },
    Trailers,
    Done,
}

/// Takes the framing off, without copying.
pub struct ChunkDecoder {
    form: PayloadForm,
    chain: Chain,
    declared: u64,
    seen: u64,
    expected: Vec<String>,
    state: State,
    line: Vec<u8>,
    /// Of the chunk at hand, when chunks are signed.
    hash: Option<digest::Context>,
    signature: String,
    short_chunk: bool,
    trailers: Trailers,
    trailers_signed: bool,
    gap: bool,
    surplus: u8,
}

impl ChunkDecoder {
    /// `None` when the form has no framing of its own. `headers` are the effective ones.
    ///
    /// # Errors
    /// Those of [`content_length`].
    pub fn new(
        form: PayloadForm,
        headers: &HeaderMap,
        chain: Chain,
    ) -> Result<Option<Self>, S3Error> {
        if !form.is_chunked() {
            return Ok(None);
        }
        let declared = content_length(headers, form)?.unwrap_or_default();
        let expected = if form.has_trailers() {
            headers
                .get_all("x-amz-trailer")
                .iter()
                .flat_map(|value| value.to_str().unwrap_or_default().split(','))
                .map(|name| name.trim().to_ascii_lowercase())
                .filter(|name| !name.is_empty())
                .collect()
        } else {
            Vec::new()
        };
        Ok(Some(Self {
            form,
            chain,
            declared,
            seen: 0,
            expected,
            state: State::Size,
            line: Vec::new(),
            hash: None,
            signature: String::new(),
            short_chunk: false,
            trailers: Trailers::default(),
            trailers_signed: false,
            gap: false,
            surplus: 0,
        }))
    }

    /// The content's length in bytes, as declared.
    pub fn declared_length(&self) -> u64 {
        self.declared
    }

    /// Takes from `input` the next piece of content; `None` when `input` is used up. An error is final.
    ///
    /// # Errors
    /// Malformed framing, more content than declared, a signature that does not hold.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, S3Error> {
        while !input.is_empty() {
            match self.state {
                State::Data(remaining) => return self.data(remaining, input).map(Some),
                State::Done => self.after_end(input)?,
                State::Size | State::DataEnd { .. } | State::Trailers => {
                    if self.take_line(input)? {
                        let line = std::mem::take(&mut self.line);
                        self.line(&line)?;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Call when the body has ended.
    ///
    /// # Errors
    /// `IncompleteBody` when it ended early or holds less than declared; `MalformedTrailerError` when a trailer is missing.
    pub fn finish(self) -> Result<Trailers, S3Error> {
        if self.state != State::Done || self.seen != self.declared {
            return Err(S3Error::new(&INCOMPLETE_BODY));
        }
        if self
            .expected
            .iter()
            .any(|name| self.trailers.get(name).is_none())
        {
            return Err(S3Error::new(&MALFORMED_TRAILER));
        }
        Ok(self.trailers)
    }

    fn data(&mut self, remaining: u64, input: &mut Bytes) -> Result<Bytes, S3Error> {
        let length = usize::try_from(remaining)
            .unwrap_or(usize::MAX)
            .min(input.len());
        let piece = input.split_to(length);
        if let Some(hash) = &mut self.hash {
            hash.update(&piece);
        }
        let left = remaining.saturating_sub(length as u64);
        self.state = State::Data(left);
        if left == 0 {
            self.check_chunk()?;
            self.state = State::DataEnd { last: false };
        }
        Ok(piece)
    }

    /// Gathers a line with its end; true when it is whole.
    fn take_line(&mut self, input: &mut Bytes) -> Result<bool, S3Error> {
        let end = memchr::memchr(b'\n', input).map(|at| at + 1);
        let length = end.unwrap_or(input.len());
        if self.line.len() + length > LINE_MAX {
            return Err(self.malformed("A line of the chunk framing is too long."));
        }
        self.line.extend_from_slice(&input[..length]);
        input.advance(length);
        Ok(end.is_some())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), S3Error> {
        match self.state {
            State::Size => self.size_line(line),
            State::DataEnd { last } if line == b"\r\n" => {
                self.state = if last { State::Done } else { State::Size };
                Ok(())
            }
            State::DataEnd { .. } => Err(self.malformed("A chunk is longer than its size.")),
            State::Trailers => self.trailer_line(line),
            State::Data(_) | State::Done => Err(self.malformed("A line is out of place.")),
        }
    }

    fn size_line(&mut self, line: &[u8]) -> Result<(), S3Error> {
        let (size, signature) = parse_size_line(line, self.form.signs_chunks())
            .ok_or_else(|| self.malformed("A chunk's size line is malformed."))?;
        if self
            .seen
            .checked_add(size)
            .is_none_or(|seen| seen > self.declared)
        {
            return Err(S3Error::new(&INCOMPLETE_BODY));
        }
        self.seen += size;
        if self.form.signs_chunks() {
            if self.short_chunk && size > 0 {
                return Err(S3Error::new(&INVALID_CHUNK_SIZE));
            }
            self.short_chunk = size < SIGNED_CHUNK_MIN;
            signature.clone_into(&mut self.signature);
            self.hash = Some(digest::Context::new(&digest::SHA256));
        }
        if size > 0 {
            self.state = State::Data(size);
            return Ok(());
        }
        self.check_chunk()?;
        self.state = if self.form.has_trailers() {
            State::Trailers
        } else {
            State::DataEnd { last: true }
        };
        Ok(())
    }

    fn check_chunk(&mut self) -> Result<(), S3Error> {
        let Some(hash) = self.hash.take() else {
            return Ok(());
        };
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{EMPTY_SHA256}\n{}",
            self.chain.date,
            self.chain.scope,
            self.chain.seed,
            hex::encode(hash.finish()),
        );
        self.advance_chain(&text)
    }

    fn advance_chain(&mut self, text: &str) -> Result<(), S3Error> {
        if !self.chain.key.accepts(text.as_bytes(), &self.signature) {
            return Err(S3Error::new(&SIGNATURE_DOES_NOT_MATCH));
        }
        self.chain.seed = std::mem::take(&mut self.signature);
        Ok(())
    }

    fn trailer_line(&mut self, line: &[u8]) -> Result<(), S3Error> {
        let bad = || S3Error::new(&MALFORMED_TRAILER);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let wants_signature = self.form.signs_chunks() && !self.trailers_signed;
        if line.is_empty() {
            if !wants_signature {
                self.state = State::Done;
                return Ok(());
            }
            // minio-go ends its trailers with an empty line and sends their signature behind it
            let tolerated = !self.gap && !self.trailers.0.is_empty();
            self.gap = true;
            return if tolerated { Ok(()) } else { Err(bad()) };
        }
        let text = std::str::from_utf8(line).map_err(|_| bad())?;
        let (name, value) = text.split_once(':').ok_or_else(bad)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if self.form.signs_chunks() && name == SIGNATURE_TRAILER {
            return if wants_signature {
                self.check_trailers(value)
            } else {
                Err(bad())
            };
        }
        let expected = self.expected.contains(&name);
        if !expected || self.trailers_signed || self.gap || self.trailers.get(&name).is_some() {
            return Err(bad());
        }
        self.trailers.0.push((name, value.to_owned()));
        Ok(())
    }

    fn check_trailers(&mut self, signature: &str) -> Result<(), S3Error> {
        let mut lines = String::new();
        for (name, value) in &self.trailers.0 {
            lines.push_str(&format!("{name}:{value}\n"));
        }
        let text = format!(
            "AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{}",
            self.chain.date,
            self.chain.scope,
            self.chain.seed,
            sha256_hex(lines.as_bytes()),
        );
        signature.clone_into(&mut self.signature);
        self.trailers_signed = true;
        self.advance_chain(&text)
    }

    /// One more line end is tolerated behind the last; anything else is not.
    fn after_end(&mut self, input: &mut Bytes) -> Result<(), S3Error> {
        while let Some(byte) = input.first() {
            let expected = [b'\r', b'\n'].get(usize::from(self.surplus));
            if expected != Some(byte) {
                return Err(self.malformed("Bytes follow the last chunk."));
            }
            self.surplus += 1;
            input.advance(1);
        }
        Ok(())
    }

    fn malformed(&self, why: &'static str) -> S3Error {
        match self.state {
            State::Trailers => S3Error::with(&MALFORMED_TRAILER, why),
            _ => S3Error::with(&INVALID_REQUEST, why),
        }
    }
}

const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// `hex CRLF`, or `hex;chunk-signature=64 digits CRLF`.
fn parse_size_line(line: &[u8], signed: bool) -> Option<(u64, &str)> {
    let text = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
    let (digits, signature) = if signed {
        text.split_once(";chunk-signature=")?
    } else {
        (text, "")
    };
    let well = (1..=16).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_hexdigit())
        && (!signed || (signature.len() == 64 && signature.bytes().all(|b| b.is_ascii_hexdigit())));
    if !well {
        return None;
    }
    Some((u64::from_str_radix(digits, 16).ok()?, signature))
}

#[cfg(test)]
mod tests {
    use super::super::sigv4::SigningKey;
    use super::*;
    use crate::secret::SecretBytes;
    use proptest::prelude::*;

    const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn chain(date: &str, seed: &str) -> Chain {
        let day = &date[..8];
        Chain {
            key: SigningKey::derive(&SecretBytes::new(SECRET.to_vec()), day, "us-east-1"),
            date: date.to_owned(),
            scope: format!("{day}/us-east-1/s3/aws4_request"),
            seed: seed.to_owned(),
        }
    }

    fn headers(declared: u64, trailer: Option<&str>) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert("x-amz-decoded-content-length", declared.into());
        if let Some(name) = trailer {
            map.insert("x-amz-trailer", name.parse().unwrap());
        }
        map
    }

    /// Decodes `body` cut at `cuts`; gives the content and the trailers.
    fn decode(
        form: PayloadForm,
        headers: &HeaderMap,
        chain: Chain,
        body: &[u8],
        cuts: &[usize],
    ) -> Result<(Vec<u8>, Trailers), S3Error> {
        let mut decoder = ChunkDecoder::new(form, headers, chain)?.unwrap();
        let mut content = Vec::new();
        let mut from = 0;
        for to in cuts.iter().copied().chain([body.len()]) {
            let mut input = Bytes::copy_from_slice(&body[from..to]);
            from = to;
            while let Some(piece) = decoder.next(&mut input)? {
                assert!(!piece.is_empty());
                content.extend_from_slice(&piece);
            }
            assert!(input.is_empty());
        }
        Ok((content, decoder.finish()?))
    }

    fn unsigned(body: &[u8], declared: u64) -> Result<(Vec<u8>, Trailers), S3Error> {
        let headers = headers(declared, Some("x-amz-checksum-crc32"));
        decode(
            PayloadForm::UnsignedTrailer,
            &headers,
            chain("20261124T000000Z", ""),
            body,
            &[],
        )
    }

    const BOTO: &[u8] = b"b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";

    #[test]
    fn an_unsigned_body_at_every_cut() {
        let headers = headers(11, Some("X-Amz-Checksum-Crc32"));
        for cut in 0..=BOTO.len() {
            for second in cut..=BOTO.len() {
                let (content, trailers) = decode(
                    PayloadForm::UnsignedTrailer,
                    &headers,
                    chain("20261124T000000Z", ""),
                    BOTO,
                    &[cut, second],
                )
                .unwrap();
                assert_eq!(content, b"hello world");
                assert_eq!(trailers.get("x-amz-checksum-crc32"), Some("DUoRhQ=="));
            }
        }
    }

    #[test]
    fn every_truncation_is_incomplete() {
        for length in 0..BOTO.len() {
            let error = unsigned(&BOTO[..length], 11).unwrap_err();
            assert_eq!(error.code.name, "IncompleteBody", "{length}");
        }
    }

    #[test]
    fn malformed_framing_is_refused() {
        for (body, declared, code) in [
            (
                "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n",
                10,
                "IncompleteBody",
            ),
            (
                "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n",
                12,
                "IncompleteBody",
            ),
            ("b\nhello world\r\n", 11, "InvalidRequest"),
            ("\r\n", 11, "InvalidRequest"),
            ("+b\r\n", 11, "InvalidRequest"),
            ("0xb\r\n", 11, "InvalidRequest"),
            ("b \r\n", 11, "InvalidRequest"),
            ("b;ext=1\r\n", 11, "InvalidRequest"),
            ("b;chunk-signature=00\r\n", 11, "InvalidRequest"),
            ("fffffffffffffffff\r\n", 11, "InvalidRequest"),
            ("ffffffffffffffff\r\n", 11, "IncompleteBody"),
            ("b\r\nhello worldX\r\n", 11, "InvalidRequest"),
            ("b\r\nhello world\n", 11, "InvalidRequest"),
            ("b\r\nhello world\r\n0\r\n\r\n", 11, "MalformedTrailerError"),
            (
                "b\r\nhello world\r\n0\r\nx-amz-checksum-sha1:a\r\n\r\n",
                11,
                "MalformedTrailerError",
            ),
            (
                "b\r\nhello world\r\n0\r\nnothing\r\n\r\n",
                11,
                "MalformedTrailerError",
            ),
            (
                "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:a\r\nx-amz-checksum-crc32:a\r\n\r\n",
                11,
                "MalformedTrailerError",
            ),
            (
                "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:a\r\n\r\nb\r\n",
                11,
                "InvalidRequest",
            ),
            (
                "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:a\r\n\r\n\r\n\r\n",
                11,
                "InvalidRequest",
            ),
        ] {
            assert_eq!(
                unsigned(body.as_bytes(), declared).unwrap_err().code.name,
                code,
                "{body:?}"
            );
        }
        let long = format!(
            "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:{}",
            "a".repeat(2000)
        );
        assert_eq!(
            unsigned(long.as_bytes(), 11).unwrap_err().code.name,
            "MalformedTrailerError"
        );
        assert_eq!(
            unsigned(&[b'0'; 2000], 11).unwrap_err().code.name,
            "InvalidRequest"
        );
    }

    #[test]
    fn lengths_must_be_told() {
        let none = HeaderMap::new();
        assert_eq!(content_length(&none, PayloadForm::Unsigned).unwrap(), None);
        assert_eq!(
            content_length(&none, PayloadForm::Signed)
                .unwrap_err()
                .code
                .name,
            "MissingContentLength"
        );
        for bad in ["", "-1", "+1", "1 1", "99999999999999999999", "0x1"] {
            let mut map = HeaderMap::new();
            map.insert("x-amz-decoded-content-length", bad.parse().unwrap());
            assert!(content_length(&map, PayloadForm::Signed).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_aws_chunked_token_alone_is_stripped() {
        assert_eq!(strip_content_encoding("aws-chunked"), None);
        assert_eq!(
            strip_content_encoding("aws-chunked, gzip").as_deref(),
            Some("gzip")
        );
        assert_eq!(
            strip_content_encoding("gzip,AWS-Chunked,br").as_deref(),
            Some("gzip,br")
        );
        assert_eq!(strip_content_encoding("gzip").as_deref(), Some("gzip"));
    }

    /// Amazon S3 API Reference, "Example: PUT object" of the chunked upload.
    #[test]
    fn awss_published_chunks_verify() {
        let mut body = Vec::new();
        for (size, signature) in [
            (
                65_536,
                "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            ),
            (
                1024,
                "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            ),
            (
                0,
                "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
            ),
        ] {
            body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
            body.extend(std::iter::repeat_n(b'a', size));
            body.extend_from_slice(b"\r\n");
        }
        let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
        let run = |body: &[u8]| {
            decode(
                PayloadForm::Signed,
                &headers(66_560, None),
                chain("20130524T000000Z", seed),
                body,
                &[],
            )
        };
        assert_eq!(run(&body).unwrap().0.len(), 66_560);
        for at in [100, 65_536, 66_000, body.len() - 20] {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert!(run(&changed).is_err(), "{at}");
        }
        let mut changed = body.clone();
        changed[200] = b'b';
        assert_eq!(
            run(&changed).unwrap_err().code.name,
            "SignatureDoesNotMatch"
        );
        // the last chunk left out: what came before verified, the body as a whole must not
        let end = body.len() - 86 - 4;
        assert_eq!(run(&body[..end]).unwrap_err().code.name, "IncompleteBody");
    }

    fn fixture(kind: &str) -> (Chain, HeaderMap, Vec<u8>) {
        let data: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/data/sigv4.json")).unwrap();
        let case = data["cases"]
            .as_array()
            .unwrap()
            .iter()
            .find(|case| case["kind"] == kind)
            .unwrap();
        let mut map = HeaderMap::new();
        for pair in case["headers"].as_array().unwrap() {
            let name: http::HeaderName = pair[0].as_str().unwrap().parse().unwrap();
            map.insert(name, pair[1].as_str().unwrap().parse().unwrap());
        }
        let seed = map["authorization"]
            .to_str()
            .unwrap()
            .rsplit_once("Signature=")
            .unwrap()
            .1
            .to_owned();
        let date = map["x-amz-date"].to_str().unwrap().to_owned();
        (
            chain(&date, &seed),
            map,
            case["body"].as_str().unwrap().as_bytes().to_vec(),
        )
    }

    #[test]
    fn signed_trailers_verify() {
        let (chain, headers, body) = fixture("chunked-trailer");
        let run = |body: &[u8]| {
            decode(
                PayloadForm::SignedTrailer,
                &headers,
                chain.clone(),
                body,
                &[],
            )
        };
        let (content, trailers) = run(&body).unwrap();
        assert_eq!(content.len(), 66_560);
        assert_eq!(trailers.get("x-amz-checksum-crc32c"), Some("sOO8/Q=="));

        let text = String::from_utf8(body).unwrap();
        let change = |from: &str, to: &str| {
            assert!(text.contains(from));
            run(text.replace(from, to).as_bytes()).map(drop)
        };
        let minio = change("/Q==\r\n", "/Q==\n\r\n");
        minio.unwrap();
        assert_eq!(
            change("sOO8", "sOO9").unwrap_err().code.name,
            "SignatureDoesNotMatch"
        );
        let signature = text.find("x-amz-trailer-signature").unwrap();
        let unsigned = format!("{}\r\n", &text[..signature]);
        assert!(run(unsigned.as_bytes()).is_err());
        let doubled = format!("{}\r\n\r\n{}", &text[..signature], &text[signature..]);
        assert_eq!(
            run(doubled.as_bytes()).unwrap_err().code.name,
            "MalformedTrailerError"
        );
        let behind = text.replace("\r\n\r\n", "\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n");
        assert_eq!(
            run(behind.as_bytes()).unwrap_err().code.name,
            "MalformedTrailerError"
        );
    }

    #[test]
    fn small_signed_chunks_come_last_only() {
        let date = "20261124T000000Z";
        let mut previous = "00".repeat(32);
        let start = chain(date, &previous);
        let mut body = Vec::new();
        for content in ["small", "small", ""] {
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{}\n{previous}\n{EMPTY_SHA256}\n{}",
                start.scope,
                sha256_hex(content.as_bytes())
            );
            previous = start.key.sign(text.as_bytes());
            body.extend_from_slice(
                format!(
                    "{:x};chunk-signature={previous}\r\n{content}\r\n",
                    content.len()
                )
                .as_bytes(),
            );
        }
        let error = decode(PayloadForm::Signed, &headers(10, None), start, &body, &[]).unwrap_err();
        assert_eq!(error.code.name, "InvalidChunkSizeError");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn signed_bodies_at_any_cuts(cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..40)) {
            for (kind, form) in [("chunked", PayloadForm::Signed), ("chunked-trailer", PayloadForm::SignedTrailer)] {
                let (chain, headers, body) = fixture(kind);
                let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
                at.sort_unstable();
                let (content, _) = decode(form, &headers, chain, &body, &at).unwrap();
                prop_assert_eq!(content, vec![b'a'; 66_560]);
            }
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200), declared in 0u64..300) {
            let headers = headers(declared, Some("x-amz-checksum-crc32"));
            for form in [PayloadForm::UnsignedTrailer, PayloadForm::Signed, PayloadForm::SignedTrailer] {
                let _ = decode(form, &headers, chain("20261124T000000Z", ""), &noise, &[]);
            }
        }
    }
}
