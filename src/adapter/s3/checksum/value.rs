//! Algorithms and values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;

use super::super::error::{INVALID_REQUEST, NOT_IMPLEMENTED, S3Error};

/// The algorithms that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// Content-MD5, and the ETags of S3; not one of the `x-amz-checksum-*`.
    Md5,
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    /// Those with a header `x-amz-checksum-*`.
    pub const FLEXIBLE: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// As in `x-amz-checksum-algorithm`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub fn header(self) -> &'static str {
        match self {
            Self::Md5 => "content-md5",
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The element's name in S3's documents. MD5 has none.
    pub fn element(self) -> Option<&'static str> {
        match self {
            Self::Md5 => None,
            Self::Crc32 => Some("ChecksumCRC32"),
            Self::Crc32c => Some("ChecksumCRC32C"),
            Self::Crc64Nvme => Some("ChecksumCRC64NVME"),
            Self::Sha1 => Some("ChecksumSHA1"),
            Self::Sha256 => Some("ChecksumSHA256"),
        }
    }

    /// Length of a value in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Reads `x-amz-checksum-algorithm` or `x-amz-sdk-checksum-algorithm`.
    ///
    /// # Errors
    /// `NotImplemented` for whatever is not served (SHA512, XXHASH64, …).
    pub fn parse(name: &str) -> Result<Self, S3Error> {
        Self::FLEXIBLE
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| not_served(name))
    }

    /// Reads the name of a header `x-amz-checksum-*` or of an element's suffix.
    pub(super) fn from_header(name: &str) -> Result<Self, S3Error> {
        Self::FLEXIBLE
            .into_iter()
            .find(|algorithm| algorithm.header() == name)
            .ok_or_else(|| not_served(name))
    }

    /// Whether checksums of parts can make the whole object's.
    pub fn combines(self) -> bool {
        self.crc().is_some()
    }

    /// What an upload's checksum is when the client names no type: CRC64NVME covers the whole object.
    pub fn default_kind(self) -> Kind {
        match self {
            Self::Crc64Nvme => Kind::FullObject,
            _ => Kind::Composite,
        }
    }

    pub(super) fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Md5 | Self::Sha1 | Self::Sha256 => None,
        }
    }
}

fn not_served(name: &str) -> S3Error {
    S3Error::with(
        &NOT_IMPLEMENTED,
        "The checksum algorithm is not implemented.",
    )
    .detail("Header", name)
}

/// What a multipart object's checksum is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    FullObject,
    Composite,
}

impl Kind {
    /// As in `x-amz-checksum-type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    /// Reads `x-amz-checksum-type` and checks that the algorithm can do it.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub fn parse(name: &str, algorithm: Algorithm) -> Result<Self, S3Error> {
        let kind = match name {
            "FULL_OBJECT" => Self::FullObject,
            "COMPOSITE" => Self::Composite,
            _ => {
                return Err(S3Error::with(
                    &INVALID_REQUEST,
                    "Value for x-amz-checksum-type header is invalid.",
                ));
            }
        };
        let possible = match kind {
            Self::FullObject => algorithm.combines(),
            Self::Composite => algorithm != Algorithm::Crc64Nvme,
        };
        if possible {
            return Ok(kind);
        }
        Err(S3Error::with(
            &INVALID_REQUEST,
            format!(
                "The {} checksum type cannot be used with the {} checksum algorithm.",
                kind.name(),
                algorithm.name().to_ascii_lowercase()
            ),
        ))
    }
}

/// A checksum's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    pub(super) algorithm: Algorithm,
    pub(super) bytes: [u8; 32],
}

impl Value {
    /// `None` when the length is not the algorithm's.
    pub fn new(algorithm: Algorithm, value: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        (value.len() == algorithm.length()).then_some(Self { algorithm, bytes })
    }

    /// Reads Base64, canonical and padded; `None` otherwise.
    pub fn parse(algorithm: Algorithm, text: &str) -> Option<Self> {
        Self::new(algorithm, &STANDARD.decode(text).ok()?)
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes
            .get(..self.algorithm.length())
            .unwrap_or_default()
    }

    pub fn base64(&self) -> String {
        STANDARD.encode(self.bytes())
    }

    pub fn hex(&self) -> String {
        hex::encode(self.bytes())
    }

    pub(super) fn from_crc(algorithm: Algorithm, crc: u64) -> Self {
        let mut bytes = [0; 32];
        let big = crc.to_be_bytes();
        let length = algorithm.length();
        for (to, from) in bytes
            .iter_mut()
            .zip(big.iter().skip(big.len().saturating_sub(length)))
        {
            *to = *from;
        }
        Self { algorithm, bytes }
    }

    pub(super) fn crc(&self) -> u64 {
        self.bytes()
            .iter()
            .fold(0, |crc, byte| (crc << 8) | u64::from(*byte))
    }
}
