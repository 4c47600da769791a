//! How a request says what its body is: `x-amz-content-sha256`.

use super::super::error::{INVALID_ARGUMENT, NOT_IMPLEMENTED, S3Error};

/// The five forms of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadForm {
    /// The body as it is, not covered by the signature.
    Unsigned,
    /// The body as it is, with its SHA-256.
    Hash([u8; 32]),
    /// Chunks, then trailers; neither signed.
    UnsignedTrailer,
    /// Chunks, each signed.
    Signed,
    /// Chunks, each signed, then signed trailers.
    SignedTrailer,
}

impl PayloadForm {
    /// # Errors
    /// `InvalidArgument`; `NotImplemented` for the forms of SigV4A.
    pub fn parse(value: &str) -> Result<Self, S3Error> {
        match value {
            "UNSIGNED-PAYLOAD" => return Ok(Self::Unsigned),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => return Ok(Self::UnsignedTrailer),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => return Ok(Self::Signed),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => return Ok(Self::SignedTrailer),
            _ => {}
        }
        if value.starts_with("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD") {
            return Err(S3Error::with(
                &NOT_IMPLEMENTED,
                "Signature Version 4A is not implemented.",
            ));
        }
        let mut hash = [0; 32];
        match hex::decode_to_slice(value, &mut hash) {
            Ok(()) => Ok(Self::Hash(hash)),
            Err(_) => Err(S3Error::with(
                &INVALID_ARGUMENT,
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                 STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            )
            .detail("ArgumentName", "x-amz-content-sha256")
            .detail("ArgumentValue", value)),
        }
    }

    /// Whether the body is framed in chunks of its own (`aws-chunked`).
    pub fn is_chunked(self) -> bool {
        matches!(
            self,
            Self::UnsignedTrailer | Self::Signed | Self::SignedTrailer
        )
    }

    pub fn has_trailers(self) -> bool {
        matches!(self, Self::UnsignedTrailer | Self::SignedTrailer)
    }

    pub fn signs_chunks(self) -> bool {
        matches!(self, Self::Signed | Self::SignedTrailer)
    }
}
