//! Where a request points: bucket and key, from the raw path and the host, in path style or as `bucket.host`.
//!
//! Nothing is normalised: `//`, `.`, `..`, `+` and empty segments are part of the key.

use std::fmt::Write as _;

use super::error::{INVALID_ARGUMENT, INVALID_BUCKET_NAME, INVALID_URI, KEY_TOO_LONG, S3Error};

/// Longest key, in bytes of UTF-8 (Amazon S3 User Guide, "Object key names").
pub const KEY_MAX: usize = 1024;

/// What a request addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Service,
    Bucket,
    Object,
}

/// A bucket and, for objects, a key. Both decoded; the raw forms are in the request's own path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    bucket: Option<String>,
    key: Option<String>,
}

impl Address {
    /// `path` is the raw path, `host` the authority as received (a port is ignored), `hosts` the service's own names;
    /// `virtual_host` says whether `bucket.host` is served as well.
    ///
    /// # Errors
    /// `InvalidURI`, `InvalidBucketName`, `KeyTooLongError`; `InvalidArgument` for a host that is not the service's.
    pub fn parse<'h>(
        path: &str,
        host: &str,
        hosts: impl IntoIterator<Item = &'h str>,
        virtual_host: bool,
    ) -> Result<Self, S3Error> {
        let rest = path
            .strip_prefix('/')
            .ok_or_else(|| S3Error::new(&INVALID_URI))?;
        let host = without_port(host)
            .trim_end_matches('.')
            .to_ascii_lowercase();
        let mut known = false;
        let mut virtual_bucket = None;
        for name in hosts {
            let name = without_port(name);
            if host.eq_ignore_ascii_case(name) {
                known = true;
                virtual_bucket = None;
                break;
            }
            if !virtual_host {
                continue;
            }
            if let Some(bucket) =
                strip_suffix_ignore_case(&host, name).and_then(|b| b.strip_suffix('.'))
            {
                known = true;
                virtual_bucket = Some(bucket.to_owned());
            }
        }
        if !known {
            return Err(S3Error::with(
                &INVALID_ARGUMENT,
                "The host is not one of this service's names.",
            ));
        }
        match virtual_bucket {
            Some(bucket) => Self::new(Some(bucket), rest),
            None => match rest.split_once('/') {
                None if rest.is_empty() => Ok(Self {
                    bucket: None,
                    key: None,
                }),
                None => Self::new(Some(decode(rest)?), ""),
                Some((bucket, key)) => Self::new(Some(decode(bucket)?), key),
            },
        }
    }

    fn new(bucket: Option<String>, raw_key: &str) -> Result<Self, S3Error> {
        if let Some(bucket) = &bucket {
            check_bucket(bucket)?;
        }
        let key = match raw_key {
            "" => None,
            raw => {
                let key = decode(raw)?;
                check_key(&key)?;
                Some(key)
            }
        };
        Ok(Self { bucket, key })
    }

    /// A source of `x-amz-copy-source`: `[/]bucket/key[?versionId=…]`, percent-encoded. Gives the version too.
    ///
    /// # Errors
    /// `InvalidArgument` when it is not of that form; the errors of [`Address::parse`].
    pub fn copy_source(value: &str) -> Result<(Self, Option<String>), S3Error> {
        let malformed = || {
            S3Error::argument(
                "x-amz-copy-source",
                value,
                "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            )
        };
        let (path, version) = match value.rsplit_once("?versionId=") {
            Some((path, version)) => (path, Some(decode(version)?)),
            None => (value, None),
        };
        if path.starts_with("arn:") || path.starts_with("/arn:") {
            return Err(malformed());
        }
        // some clients encode the whole value, the first slash included
        let path = decode(path)?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').ok_or_else(malformed)?;
        if key.is_empty() || version.as_deref() == Some("") {
            return Err(malformed());
        }
        check_bucket(bucket)?;
        check_key(key)?;
        Ok((
            Self {
                bucket: Some(bucket.to_owned()),
                key: Some(key.to_owned()),
            },
            version,
        ))
    }

    pub fn level(&self) -> Level {
        match (&self.bucket, &self.key) {
            (None, _) => Level::Service,
            (Some(_), None) => Level::Bucket,
            (Some(_), Some(_)) => Level::Object,
        }
    }

    pub fn bucket(&self) -> Option<&str> {
        self.bucket.as_deref()
    }

    /// The decoded key; `None` at the levels above.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The same bucket with another key (a POST form names its key in a field).
    ///
    /// # Errors
    /// `KeyTooLongError`, or `InvalidArgument` when it is empty.
    pub fn with_key(&self, key: String) -> Result<Self, S3Error> {
        check_key(&key)?;
        Ok(Self {
            bucket: self.bucket.clone(),
            key: Some(key),
        })
    }

    /// The path for upstream in path style, encoded as SigV4 asks: every byte outside the unreserved set and `/`.
    pub fn upstream_path(&self) -> String {
        self.path(true)
    }

    /// The path for an upstream that takes the bucket in the host name.
    pub fn upstream_path_virtual(&self) -> String {
        self.path(false)
    }

    fn path(&self, with_bucket: bool) -> String {
        let mut path = String::with_capacity(96);
        path.push('/');
        if with_bucket && let Some(bucket) = &self.bucket {
            path.push_str(bucket);
            if self.key.is_some() {
                path.push('/');
            }
        }
        if let Some(key) = &self.key {
            encode_path(key, &mut path);
        }
        path
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn strip_suffix_ignore_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    let (head, tail) = (text.get(..at)?, text.get(at..)?);
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}

/// Today's rules, and upper case and `_` of buckets made before them. Never `.` or `..`, nothing that needs encoding.
fn check_bucket(name: &str) -> Result<(), S3Error> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let mut bytes = name.bytes();
    let good = (3..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && edge(bytes.next())
        && edge(bytes.next_back())
        && !name.contains("..");
    if good {
        Ok(())
    } else {
        Err(S3Error::new(&INVALID_BUCKET_NAME).detail("BucketName", name))
    }
}

fn check_key(key: &str) -> Result<(), S3Error> {
    if key.len() > KEY_MAX {
        return Err(S3Error::new(&KEY_TOO_LONG)
            .detail("Size", key.len().to_string())
            .detail("MaxSizeAllowed", KEY_MAX.to_string()));
    }
    if key.is_empty() || key.contains('\0') {
        return Err(S3Error::argument(
            "key",
            "",
            "The key is empty or holds a NUL.",
        ));
    }
    Ok(())
}

/// Strict percent-decoding to UTF-8; `+` stays `+`.
///
/// # Errors
/// `InvalidURI` for a bad escape or bytes that are not UTF-8.
pub fn decode(raw: &str) -> Result<String, S3Error> {
    let bytes = decode_bytes(raw.as_bytes()).ok_or_else(|| S3Error::new(&INVALID_URI))?;
    String::from_utf8(bytes).map_err(|_| S3Error::new(&INVALID_URI))
}

fn decode_bytes(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let digits = tail.get(..2)?;
            let high = char::from(digits[0]).to_digit(16)?;
            let low = char::from(digits[1]).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
            rest = &tail[2..];
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    Some(out)
}

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn encode_into(text: &str, keep_slash: bool, out: &mut String) {
    for byte in text.bytes() {
        if unreserved(byte) || (keep_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Appends `key` as SigV4 encodes a path: `/` stays.
pub fn encode_path(key: &str, out: &mut String) {
    encode_into(key, true, out);
}

/// Appends `text` as SigV4 encodes a query key or value: `/` is encoded.
pub fn encode_query(text: &str, out: &mut String) {
    encode_into(text, false, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOSTS: [&str; 2] = ["s3.example.fr", "other.example.fr"];

    fn parse(path: &str, host: &str) -> Result<Address, S3Error> {
        Address::parse(path, host, HOSTS, true)
    }

    fn parts(path: &str, host: &str) -> (Option<String>, Option<String>) {
        let address = parse(path, host).unwrap();
        (address.bucket, address.key)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn path_style() {
        let host = "S3.example.fr:8443";
        assert_eq!(parts("/", host), (None, None));
        assert_eq!(parts("/bucket", host), (some("bucket"), None));
        assert_eq!(parts("/bucket/", host), (some("bucket"), None));
        assert_eq!(parts("/bucket/k", host), (some("bucket"), some("k")));
        for (raw, key) in [
            ("/bucket//a", "/a"),
            ("/bucket/a//b/", "a//b/"),
            ("/bucket/a/../b", "a/../b"),
            ("/bucket/./.", "./."),
            ("/bucket/a+b", "a+b"),
            ("/bucket/a%2Bb", "a+b"),
            ("/bucket/a%2Fb", "a/b"),
            ("/bucket/%E2%82%AC%20", "€ "),
            ("/bucket/a%25b", "a%b"),
        ] {
            assert_eq!(parts(raw, host), (some("bucket"), some(key)), "{raw}");
        }
    }

    #[test]
    fn virtual_host_style() {
        assert_eq!(parts("/", "bucket.s3.example.fr"), (some("bucket"), None));
        assert_eq!(
            parts("/a/b", "my.bucket.S3.EXAMPLE.fr:443"),
            (some("my.bucket"), some("a/b"))
        );
        assert_eq!(
            parts("//a", "bucket.s3.example.fr"),
            (some("bucket"), some("/a"))
        );
        assert!(parse("/", "s3.example.com").is_err());
        assert!(parse("/", "xs3.example.fr").is_err());
        assert!(parse("/", ".s3.example.fr").is_err());
        assert!(Address::parse("/", "bucket.s3.example.fr", HOSTS, false).is_err());
        assert!(Address::parse("/", HOSTS[0], HOSTS, false).is_ok());
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let host = HOSTS[0];
        for (raw, code) in [
            ("bucket", "InvalidURI"),
            ("//key", "InvalidBucketName"),
            ("/ab/k", "InvalidBucketName"),
            ("/../k", "InvalidBucketName"),
            ("/a..b/k", "InvalidBucketName"),
            ("/-ab/k", "InvalidBucketName"),
            ("/b%2Fc/k", "InvalidBucketName"),
            ("/bucket/%", "InvalidURI"),
            ("/bucket/%2", "InvalidURI"),
            ("/bucket/%zz", "InvalidURI"),
            ("/bucket/%+1", "InvalidURI"),
            ("/bucket/%ff", "InvalidURI"),
            ("/bucket/a%00", "InvalidArgument"),
        ] {
            assert_eq!(parse(raw, host).unwrap_err().code.name, code, "{raw}");
        }
        let long = format!("/bucket/{}", "k".repeat(1024));
        assert!(parse(&long, host).is_ok());
        let error = parse(&format!("{long}k"), host).unwrap_err();
        assert_eq!(error.code.name, "KeyTooLongError");
    }

    #[test]
    fn copy_sources() {
        let (address, version) = Address::copy_source("/bucket/a%20b+c?versionId=v%2F1").unwrap();
        assert_eq!(address.bucket(), Some("bucket"));
        assert_eq!(address.key(), Some("a b+c"));
        assert_eq!(version.as_deref(), Some("v/1"));
        let (address, version) = Address::copy_source("bucket%2Fk").unwrap();
        assert_eq!((address.key(), version), (Some("k"), None));
        for bad in [
            "",
            "/",
            "bucket",
            "bucket/",
            "arn:aws:s3:::b/k",
            "bucket/k?versionId=",
        ] {
            assert!(Address::copy_source(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_key_survives_the_way_upstream(key in "\\PC{1,200}") {
            let address = Address { bucket: some("bucket"), key: Some(key.clone()) };
            let again = parse(&address.upstream_path(), HOSTS[0]).unwrap();
            prop_assert_eq!(again.key(), Some(key.as_str()));
            let again = parse(&address.upstream_path_virtual(), "bucket.s3.example.fr").unwrap();
            prop_assert_eq!(again.key(), Some(key.as_str()));
        }
    }
}
