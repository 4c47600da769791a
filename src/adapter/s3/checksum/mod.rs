//! Checksums over the plaintext: those that a client declares, and those that are given back.
//!
//! Source: Amazon S3 User Guide, "Checking object integrity".

mod value;

use aws_lc_rs::digest;
use http::HeaderMap;
use md5::{Digest as _, Md5};

use super::chunked::Trailers;
use super::error::{
    BAD_DIGEST, INVALID_DIGEST, INVALID_REQUEST, S3Error, X_AMZ_CONTENT_SHA256_MISMATCH,
};
use super::sigv4::PayloadForm;

pub use value::{Algorithm, Kind, Value};

enum Hasher {
    Md5(Box<Md5>),
    Crc(Algorithm, Box<crc_fast::Digest>),
    Sha(Algorithm, Box<digest::Context>),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match (algorithm, algorithm.crc()) {
            (_, Some(crc)) => Self::Crc(algorithm, Box::new(crc_fast::Digest::new(crc))),
            (Algorithm::Md5, _) => Self::Md5(Box::default()),
            (Algorithm::Sha1, _) => Self::Sha(
                algorithm,
                Box::new(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
            ),
            _ => Self::Sha(algorithm, Box::new(digest::Context::new(&digest::SHA256))),
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Md5(_) => Algorithm::Md5,
            Self::Crc(algorithm, _) | Self::Sha(algorithm, _) => *algorithm,
        }
    }

    fn update(&mut self, data: &[u8]) {
        match self {
            Self::Md5(state) => state.update(data),
            Self::Crc(_, state) => state.update(data),
            Self::Sha(_, state) => state.update(data),
        }
    }

    fn finish(self) -> Value {
        let mut bytes = [0; 32];
        let algorithm = self.algorithm();
        match self {
            Self::Md5(state) => bytes[..16].copy_from_slice(&state.finalize()),
            Self::Crc(algorithm, state) => return Value::from_crc(algorithm, state.finalize()),
            Self::Sha(_, state) => {
                let tag = state.finish();
                bytes[..tag.as_ref().len()].copy_from_slice(tag.as_ref());
            }
        }
        Value { algorithm, bytes }
    }
}

/// What a body's bytes are held against. Costs nothing when nothing is asked for.
pub struct Checksums {
    hashers: Vec<Hasher>,
    declared: Vec<Value>,
    payload: Option<[u8; 32]>,
    trailer: Option<Algorithm>,
}

/// The verified values of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests(Vec<Value>);

impl Digests {
    pub fn get(&self, algorithm: Algorithm) -> Option<&Value> {
        self.0.iter().find(|value| value.algorithm == algorithm)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter()
    }

    /// The one that the client declared as `x-amz-checksum-*`, in header or trailer, if any.
    pub fn flexible(&self) -> Option<&Value> {
        self.0
            .iter()
            .find(|value| value.algorithm != Algorithm::Md5)
    }
}

impl Checksums {
    /// Reads what a request declares: Content-MD5, `x-amz-checksum-*`, `x-amz-trailer`, the payload's own hash.
    /// `headers` are the effective ones.
    ///
    /// # Errors
    /// `InvalidDigest`, `InvalidRequest`, `NotImplemented`.
    pub fn declared(headers: &HeaderMap, form: PayloadForm) -> Result<Self, S3Error> {
        let mut set = Self::none();
        if let Some(value) = content_md5(headers)? {
            set.declared.push(value);
        }
        let mut flexible = flexible_headers(headers)?;
        let trailer = trailer(headers, form)?;
        if flexible.len() + usize::from(trailer.is_some()) > 1 {
            return Err(S3Error::with(
                &INVALID_REQUEST,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
        check_sdk_algorithm(headers, flexible.first().map(Value::algorithm).or(trailer))?;
        set.declared.append(&mut flexible);
        set.trailer = trailer;
        if let PayloadForm::Hash(hash) = form {
            set.payload = Some(hash);
            set.compute(Algorithm::Sha256);
        }
        for algorithm in set
            .declared
            .iter()
            .map(Value::algorithm)
            .chain(trailer)
            .collect::<Vec<_>>()
        {
            set.compute(algorithm);
        }
        Ok(set)
    }

    /// Nothing declared.
    pub fn none() -> Self {
        Self {
            hashers: Vec::new(),
            declared: Vec::new(),
            payload: None,
            trailer: None,
        }
    }

    /// Computes this one too, declared or not.
    pub fn compute(&mut self, algorithm: Algorithm) {
        if !self
            .hashers
            .iter()
            .any(|hasher| hasher.algorithm() == algorithm)
        {
            self.hashers.push(Hasher::new(algorithm));
        }
    }

    /// The algorithm that the client declared as `x-amz-checksum-*`, in header or trailer.
    pub fn flexible(&self) -> Option<Algorithm> {
        let mut headers = self.declared.iter().map(Value::algorithm);
        headers
            .find(|algorithm| *algorithm != Algorithm::Md5)
            .or(self.trailer)
    }

    /// What is declared in headers: known before the body.
    pub fn early(&self) -> &[Value] {
        &self.declared
    }

    /// Whether a value is known only when the body has ended.
    pub fn awaits_trailer(&self) -> bool {
        self.trailer.is_some()
    }

    pub fn update(&mut self, data: &[u8]) {
        for hasher in &mut self.hashers {
            hasher.update(data);
        }
    }

    /// Verifies all that was declared. The values of `compute` come back too.
    ///
    /// # Errors
    /// `BadDigest`, `XAmzContentSHA256Mismatch`, `InvalidRequest` for a malformed trailer.
    pub fn finish(mut self, trailers: &Trailers) -> Result<Digests, S3Error> {
        if let Some(algorithm) = self.trailer {
            let text = trailers.get(algorithm.header()).unwrap_or_default();
            let value = Value::parse(algorithm, text).ok_or_else(|| invalid(algorithm.header()))?;
            self.declared.push(value);
        }
        let values: Vec<Value> = self.hashers.into_iter().map(Hasher::finish).collect();
        let find = |algorithm| {
            values
                .iter()
                .find(|value: &&Value| value.algorithm == algorithm)
        };
        if let Some(hash) = self.payload
            && find(Algorithm::Sha256).is_none_or(|value| value.bytes() != hash)
        {
            let computed = find(Algorithm::Sha256).map(Value::hex).unwrap_or_default();
            return Err(S3Error::new(&X_AMZ_CONTENT_SHA256_MISMATCH)
                .detail("ClientComputedContentSHA256", hex::encode(hash))
                .detail("S3ComputedContentSHA256", computed));
        }
        for declared in &self.declared {
            if find(declared.algorithm) != Some(declared) {
                return Err(mismatch(declared.algorithm));
            }
        }
        let only_payload = self.payload.is_some()
            && !self
                .declared
                .iter()
                .any(|value| value.algorithm == Algorithm::Sha256);
        let mut digests = Digests(values);
        if only_payload {
            digests
                .0
                .retain(|value| value.algorithm != Algorithm::Sha256);
        }
        Ok(digests)
    }
}

fn mismatch(algorithm: Algorithm) -> S3Error {
    match algorithm {
        Algorithm::Md5 => S3Error::with(
            &BAD_DIGEST,
            "The Content-MD5 you specified did not match what we received.",
        ),
        other => S3Error::with(
            &BAD_DIGEST,
            format!(
                "The {} you specified did not match the calculated checksum.",
                other.name()
            ),
        ),
    }
}

fn invalid(header: &'static str) -> S3Error {
    S3Error::with(
        &INVALID_REQUEST,
        format!("Value for {header} header is invalid."),
    )
}

fn content_md5(headers: &HeaderMap) -> Result<Option<Value>, S3Error> {
    let mut values = headers.get_all("content-md5").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let parsed = value
        .to_str()
        .ok()
        .and_then(|text| Value::parse(Algorithm::Md5, text.trim()));
    match (parsed, values.next()) {
        (Some(value), None) => Ok(Some(value)),
        _ => Err(S3Error::new(&INVALID_DIGEST)),
    }
}

fn flexible_headers(headers: &HeaderMap) -> Result<Vec<Value>, S3Error> {
    let mut found = Vec::new();
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with("x-amz-checksum-")
            || matches!(
                name,
                "x-amz-checksum-algorithm" | "x-amz-checksum-type" | "x-amz-checksum-mode"
            )
        {
            continue;
        }
        let algorithm = Algorithm::from_header(name)?;
        let text = value.to_str().map(str::trim).unwrap_or_default();
        found.push(Value::parse(algorithm, text).ok_or_else(|| invalid(algorithm.header()))?);
    }
    Ok(found)
}

fn trailer(headers: &HeaderMap, form: PayloadForm) -> Result<Option<Algorithm>, S3Error> {
    let mut names = headers
        .get_all("x-amz-trailer")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty());
    let first = names.next();
    if names.next().is_some() || first.is_some() != form.has_trailers() {
        return Err(S3Error::with(
            &INVALID_REQUEST,
            "The value specified in the x-amz-trailer header is not supported",
        ));
    }
    first.map(|name| Algorithm::from_header(&name)).transpose()
}

fn check_sdk_algorithm(headers: &HeaderMap, found: Option<Algorithm>) -> Result<(), S3Error> {
    let Some(value) = headers.get("x-amz-sdk-checksum-algorithm") else {
        return Ok(());
    };
    let named = Algorithm::parse(value.to_str().map(str::trim).unwrap_or_default())?;
    match found {
        Some(found) if found == named => Ok(()),
        Some(_) => Err(invalid("x-amz-sdk-checksum-algorithm")),
        None => Err(S3Error::with(
            &INVALID_REQUEST,
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers \
             were found.",
        )),
    }
}

/// The checksum of the parts' checksums; S3 writes it with `-N`, see [`composite_text`]. Of MD5s it is S3's own ETag.
pub fn composite<'v>(algorithm: Algorithm, parts: impl IntoIterator<Item = &'v Value>) -> Value {
    let mut hasher = Hasher::new(algorithm);
    for part in parts {
        hasher.update(part.bytes());
    }
    hasher.finish()
}

/// `base64-N`
pub fn composite_text(value: &Value, parts: usize) -> String {
    format!("{}-{parts}", value.base64())
}

/// The whole object's CRC from its parts' and their lengths in bytes, in order. `None` when the algorithm is no CRC, a
/// part has another, or there is no part.
pub fn combine(
    algorithm: Algorithm,
    parts: impl IntoIterator<Item = (Value, u64)>,
) -> Option<Value> {
    let crc = algorithm.crc()?;
    let mut whole: Option<u64> = None;
    for (value, length) in parts {
        if value.algorithm != algorithm {
            return None;
        }
        whole = Some(match whole {
            None => value.crc(),
            Some(before) => crc_fast::checksum_combine(crc, before, value.crc(), length),
        });
    }
    whole.map(|crc| Value::from_crc(algorithm, crc))
}

/// The checksum of bytes that are at hand.
pub fn of(algorithm: Algorithm, data: &[u8]) -> Value {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(data);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn run(
        pairs: &[(&'static str, &str)],
        form: PayloadForm,
        body: &[u8],
        trailers: &[(&str, &str)],
    ) -> Result<Digests, S3Error> {
        let mut set = Checksums::declared(&headers(pairs), form)?;
        for piece in body.chunks(3) {
            set.update(piece);
        }
        set.finish(&Trailers::from_pairs(trailers))
    }

    fn fails(
        pairs: &[(&'static str, &str)],
        form: PayloadForm,
        trailers: &[(&str, &str)],
    ) -> &'static str {
        run(pairs, form, b"hello world", trailers)
            .unwrap_err()
            .code
            .name
    }

    const HELLO: [(Algorithm, &str); 6] = [
        (Algorithm::Md5, "XrY7u+Ae7tCTyyK7j1rNww=="),
        (Algorithm::Crc32, "DUoRhQ=="),
        (Algorithm::Crc32c, "yZRlqg=="),
        (Algorithm::Crc64Nvme, "jSnVw/bqjr4="),
        (Algorithm::Sha1, "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
        (
            Algorithm::Sha256,
            "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
        ),
    ];

    #[test]
    fn known_values() {
        for (algorithm, text) in HELLO {
            assert_eq!(
                of(algorithm, b"hello world").base64(),
                text,
                "{algorithm:?}"
            );
        }
        // the check values of the CRC catalogue
        assert_eq!(of(Algorithm::Crc32, b"123456789").hex(), "cbf43926");
        assert_eq!(of(Algorithm::Crc32c, b"123456789").hex(), "e3069283");
        assert_eq!(
            of(Algorithm::Crc64Nvme, b"123456789").hex(),
            "ae8b14860a799888"
        );
        assert_eq!(of(Algorithm::Crc32, b"").base64(), "AAAAAA==");
    }

    #[test]
    fn each_is_verified_in_header_and_trailer() {
        for (algorithm, text) in HELLO {
            let good = run(
                &[(algorithm.header(), text)],
                PayloadForm::Unsigned,
                b"hello world",
                &[],
            )
            .unwrap();
            assert_eq!(good.get(algorithm).unwrap().base64(), text);
            let bad = run(
                &[(algorithm.header(), text)],
                PayloadForm::Unsigned,
                b"hello World",
                &[],
            );
            assert_eq!(bad.unwrap_err().code.name, "BadDigest");
        }
        for algorithm in Algorithm::FLEXIBLE {
            let text = HELLO
                .iter()
                .find(|(known, _)| *known == algorithm)
                .unwrap()
                .1;
            let pairs = [
                ("x-amz-trailer", algorithm.header()),
                ("x-amz-sdk-checksum-algorithm", algorithm.name()),
            ];
            let trailers = [(algorithm.header(), text)];
            let good = run(
                &pairs,
                PayloadForm::UnsignedTrailer,
                b"hello world",
                &trailers,
            )
            .unwrap();
            assert_eq!(good.flexible().unwrap().base64(), text);
            let bad = run(&pairs, PayloadForm::SignedTrailer, b"hello", &trailers);
            assert_eq!(bad.unwrap_err().code.name, "BadDigest");
        }
    }

    #[test]
    fn the_payload_hash_is_verified() {
        let form = PayloadForm::Hash(
            of(Algorithm::Sha256, b"hello world")
                .bytes()
                .try_into()
                .unwrap(),
        );
        let digests = run(&[], form, b"hello world", &[]).unwrap();
        assert_eq!(digests, Digests::default());
        assert_eq!(
            run(&[], form, b"hello", &[]).unwrap_err().code.name,
            "XAmzContentSHA256Mismatch"
        );
        let both = run(
            &[(Algorithm::Sha256.header(), HELLO[5].1)],
            form,
            b"hello world",
            &[],
        )
        .unwrap();
        assert_eq!(both.flexible().unwrap().base64(), HELLO[5].1);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let plain = PayloadForm::Unsigned;
        let trailing = PayloadForm::UnsignedTrailer;
        assert_eq!(fails(&[("content-md5", "x")], plain, &[]), "InvalidDigest");
        assert_eq!(fails(&[("content-md5", "")], plain, &[]), "InvalidDigest");
        assert_eq!(
            fails(&[("content-md5", "XrY7u+Ae7tCTyyK7j1rNww")], plain, &[]),
            "InvalidDigest"
        );
        assert_eq!(
            fails(
                &[("content-md5", HELLO[0].1), ("content-md5", HELLO[0].1)],
                plain,
                &[]
            ),
            "InvalidDigest"
        );
        for bad in [
            "",
            "DUoRhQ",
            "DUoRhQ==A",
            "DUoRhR==",
            "DUoRhQAA",
            "DUoR hQ==",
        ] {
            assert_eq!(
                fails(&[("x-amz-checksum-crc32", bad)], plain, &[]),
                "InvalidRequest",
                "{bad}"
            );
        }
        let two = [
            ("x-amz-checksum-crc32", HELLO[1].1),
            ("x-amz-checksum-crc32c", HELLO[2].1),
        ];
        assert_eq!(fails(&two, plain, &[]), "InvalidRequest");
        let both = [
            ("x-amz-checksum-crc32", HELLO[1].1),
            ("x-amz-trailer", "x-amz-checksum-crc32c"),
        ];
        assert_eq!(fails(&both, trailing, &[]), "InvalidRequest");
        assert_eq!(
            fails(&[("x-amz-checksum-sha512", "AA==")], plain, &[]),
            "NotImplemented"
        );
        assert_eq!(
            fails(&[("x-amz-checksum-xxhash64", "AA==")], plain, &[]),
            "NotImplemented"
        );
        assert_eq!(
            fails(&[("x-amz-sdk-checksum-algorithm", "XXHASH3")], plain, &[]),
            "NotImplemented"
        );
        assert_eq!(
            fails(&[("x-amz-sdk-checksum-algorithm", "CRC32")], plain, &[]),
            "InvalidRequest"
        );
        let other = [
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ("x-amz-checksum-crc32c", HELLO[2].1),
        ];
        assert_eq!(fails(&other, plain, &[]), "InvalidRequest");
        let crc = ("x-amz-trailer", "x-amz-checksum-crc32");
        assert_eq!(fails(&[crc], plain, &[]), "InvalidRequest");
        assert_eq!(fails(&[], trailing, &[]), "InvalidRequest");
        assert_eq!(
            fails(&[("x-amz-trailer", "x-amz-meta-a")], trailing, &[]),
            "NotImplemented"
        );
        assert_eq!(fails(&[crc], trailing, &[]), "InvalidRequest");
        assert_eq!(
            fails(&[crc], trailing, &[("x-amz-checksum-crc32", "zz")]),
            "InvalidRequest"
        );
    }

    #[test]
    fn nothing_asked_nothing_computed() {
        let set = Checksums::declared(
            &headers(&[("x-amz-checksum-mode", "ENABLED")]),
            PayloadForm::Unsigned,
        )
        .unwrap();
        assert!(set.hashers.is_empty());
        let mut set = Checksums::none();
        set.compute(Algorithm::Md5);
        set.compute(Algorithm::Md5);
        assert_eq!(set.hashers.len(), 1);
        set.update(b"hello world");
        let digests = set.finish(&Trailers::default()).unwrap();
        assert_eq!(digests.get(Algorithm::Md5).unwrap().base64(), HELLO[0].1);
        assert!(digests.flexible().is_none());
    }

    #[test]
    fn kinds() {
        assert_eq!(
            Kind::parse("FULL_OBJECT", Algorithm::Crc32).unwrap(),
            Kind::FullObject
        );
        assert_eq!(
            Kind::parse("COMPOSITE", Algorithm::Sha1).unwrap(),
            Kind::Composite
        );
        assert!(Kind::parse("FULL_OBJECT", Algorithm::Sha256).is_err());
        assert!(Kind::parse("COMPOSITE", Algorithm::Crc64Nvme).is_err());
        assert!(Kind::parse("composite", Algorithm::Crc32).is_err());
    }

    #[test]
    fn composites_are_those_of_s3() {
        // md5("a"), md5("b"): md5 of both, as S3 makes a multipart ETag
        let parts = [of(Algorithm::Md5, b"a"), of(Algorithm::Md5, b"b")];
        let mut both = parts[0].bytes().to_vec();
        both.extend_from_slice(parts[1].bytes());
        assert_eq!(composite(Algorithm::Md5, &parts), of(Algorithm::Md5, &both));
        let one = of(Algorithm::Crc32, b"hello world");
        assert_eq!(
            composite_text(&composite(Algorithm::Crc32, [&one]), 1),
            format!("{}-1", of(Algorithm::Crc32, one.bytes()).base64())
        );
    }

    proptest! {
        #[test]
        fn parts_combine_to_the_whole(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8)) {
            let whole = parts.concat();
            for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
                let values = parts.iter().map(|part| (of(algorithm, part), part.len() as u64));
                prop_assert_eq!(combine(algorithm, values), Some(of(algorithm, &whole)));
            }
            prop_assert_eq!(combine(Algorithm::Sha1, [(of(Algorithm::Sha1, &whole), 1)]), None);
            prop_assert_eq!(combine(Algorithm::Crc32, [(of(Algorithm::Crc32c, &whole), 1)]), None);
        }
    }
}
