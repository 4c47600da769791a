//! A run: `header | segments`. One key, one salt, deterministic nonces; every header byte is bound in the derivation.

use subtle::ConstantTimeEq;

use super::aead::{Aead, AeadError, Bulk};
use super::layout::{HEADER, MAX_SEGMENTS, SEGMENT, TAG, TRAILER_ENTRY};
use super::{Context, EpochKeys, EpochShort, ObjectId, OpenError, Salt, SealError};

/// `D3 'S' 'C' '1'`.
pub const MAGIC: [u8; 4] = [0xD3, b'S', b'C', b'1'];
/// Of the format.
pub const VERSION: u8 = 1;
/// AES-256-GCM with HKDF-Expand-SHA-384.
pub const SUITE: u8 = 1;
const SEG_LOG2: u8 = 16;
/// The flag of a trailer run.
pub const FLAG_TRAILER: u8 = 1;
/// The part number of a trailer run.
pub const PART_TRAILER: u32 = u32::MAX;
/// The length of a run that was not known when it began.
pub const UNKNOWN: u64 = u64::MAX;
const LABEL: &[u8] = b"sceau-object/v1\0";

/// A header's fields; `docs/format.md` has their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunHeader {
    pub trailer: bool,
    pub part: u32,
    pub epoch: EpochShort,
    pub object: ObjectId,
    pub salt: [u8; 32],
    /// `None`: unknown when the run began.
    pub length: Option<u64>,
    pub commitment: [u8; 32],
}

impl RunHeader {
    /// # Errors
    /// Not a header of this format; nothing is authenticated yet.
    pub fn parse(bytes: &[u8; HEADER]) -> Result<Self, OpenError> {
        if bytes[..4] != MAGIC {
            return Err(OpenError::NotSealed);
        }
        if bytes[4] != VERSION || bytes[5] != SUITE {
            return Err(OpenError::Suite);
        }
        let header = Self {
            trailer: bytes[7] == FLAG_TRAILER,
            part: u32::from_be_bytes(array(&bytes[8..12])),
            epoch: EpochShort(array(&bytes[16..32])),
            object: ObjectId(array(&bytes[32..48])),
            salt: array(&bytes[48..80]),
            length: Some(u64::from_be_bytes(array(&bytes[80..88]))).filter(|n| *n != UNKNOWN),
            commitment: array(&bytes[96..128]),
        };
        // the one encoding of these fields: reserved bytes, flags and segment size included
        let plausible = header.encode() == *bytes
            && header.trailer == (header.part == PART_TRAILER)
            && (header.length.is_some() || header.part == 0);
        plausible.then_some(header).ok_or(OpenError::Header)
    }

    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..4].copy_from_slice(&MAGIC);
        out[4..8].copy_from_slice(&[VERSION, SUITE, SEG_LOG2, u8::from(self.trailer)]);
        out[8..12].copy_from_slice(&self.part.to_be_bytes());
        out[16..32].copy_from_slice(&self.epoch.0);
        out[32..48].copy_from_slice(&self.object.0);
        out[48..80].copy_from_slice(&self.salt);
        out[80..88].copy_from_slice(&self.length.unwrap_or(UNKNOWN).to_be_bytes());
        out[96..128].copy_from_slice(&self.commitment);
        out
    }

    /// The run's cipher, nonce prefix and commitment.
    fn derive(&self, keys: &EpochKeys, context: &Context) -> Result<(RunKey, [u8; 32]), AeadError> {
        let mut tail = Vec::with_capacity(3 * 2 + 3 * 255);
        context.append_to(&mut tail);
        let header = self.encode();
        let okm = keys.object.expand::<71>(&[LABEL, &header[..96], &tail]);
        let (key, rest) = okm.expose().split_first_chunk().ok_or(AeadError)?;
        let key = RunKey {
            cipher: Bulk::new(key)?,
            prefix: array(&rest[..7]),
        };
        Ok((key, array(&rest[7..])))
    }
}

/// Copies a slice whose length the caller's range fixes.
pub(super) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

struct RunKey {
    cipher: Bulk,
    prefix: [u8; 7],
}

impl RunKey {
    /// `np7 | u40(index)`.
    fn nonce(&self, index: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..7].copy_from_slice(&self.prefix);
        nonce[7..].copy_from_slice(&index.to_be_bytes()[3..]);
        nonce
    }
}

/// What is to be sealed.
#[derive(Debug, Clone, Copy)]
pub struct RunSpec {
    pub object: ObjectId,
    /// 0 for a whole object, 1 and up for a part.
    pub part: u32,
    pub salt: Salt,
    /// `None`: not known yet; allowed for a whole object only.
    pub length: Option<u64>,
}

/// What the trailer keeps of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEntry {
    pub length: u64,
    pub part: u32,
    pub epoch: EpochShort,
    pub salt: [u8; 32],
    pub commitment: [u8; 32],
}

/// Encoded size of a [`RunEntry`].
pub const ENTRY: usize = TRAILER_ENTRY as usize;

impl RunEntry {
    pub fn encode(&self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        out[..8].copy_from_slice(&self.length.to_be_bytes());
        out[8..12].copy_from_slice(&self.part.to_be_bytes());
        out[12..28].copy_from_slice(&self.epoch.0);
        out[28..60].copy_from_slice(&self.salt);
        out[60..92].copy_from_slice(&self.commitment);
        out
    }

    pub fn decode(bytes: &[u8; ENTRY]) -> Self {
        Self {
            length: u64::from_be_bytes(array(&bytes[..8])),
            part: u32::from_be_bytes(array(&bytes[8..12])),
            epoch: EpochShort(array(&bytes[12..28])),
            salt: array(&bytes[28..60]),
            commitment: array(&bytes[60..92]),
        }
    }

    /// The header that this entry's run must have, but that a run of part 0 may have been sealed with an unknown length.
    pub fn header(&self, object: ObjectId) -> RunHeader {
        RunHeader {
            trailer: false,
            part: self.part,
            epoch: self.epoch,
            object,
            salt: self.salt,
            length: Some(self.length),
            commitment: self.commitment,
        }
    }
}

/// Seals a run, segment by segment, in place.
pub struct RunSealer {
    key: RunKey,
    header: RunHeader,
    encoded: [u8; HEADER],
    index: u64,
}

impl RunSealer {
    /// # Errors
    /// A length beyond a run's, or a part of unknown length.
    pub fn new(keys: &EpochKeys, context: &Context, spec: RunSpec) -> Result<Self, SealError> {
        Self::begin(keys, context, spec, false)
    }

    pub(super) fn trailer(
        keys: &EpochKeys,
        context: &Context,
        spec: RunSpec,
    ) -> Result<Self, SealError> {
        Self::begin(keys, context, spec, true)
    }

    fn begin(
        keys: &EpochKeys,
        context: &Context,
        spec: RunSpec,
        trailer: bool,
    ) -> Result<Self, SealError> {
        if spec.length.is_none() && spec.part != 0 || (spec.part == PART_TRAILER) != trailer {
            return Err(SealError::Length);
        }
        if spec
            .length
            .is_some_and(|n| super::layout::run_len(n).is_none())
        {
            return Err(SealError::TooLarge);
        }
        let mut header = RunHeader {
            trailer,
            part: spec.part,
            epoch: keys.id.short(),
            object: spec.object,
            salt: spec.salt.0,
            length: spec.length,
            commitment: [0; 32],
        };
        let (key, commitment) = header
            .derive(keys, context)
            .map_err(|_| SealError::Cipher)?;
        header.commitment = commitment;
        Ok(Self {
            key,
            encoded: header.encode(),
            header,
            index: 0,
        })
    }

    pub fn header(&self) -> &[u8; HEADER] {
        &self.encoded
    }

    /// Seals a full segment in place; its tag follows it.
    ///
    /// # Errors
    /// Not exactly one segment, or too many.
    pub fn seal_segment(&mut self, data: &mut [u8]) -> Result<[u8; TAG], SealError> {
        if data.len() != SEGMENT {
            return Err(SealError::Length);
        }
        if self.index + 1 >= MAX_SEGMENTS {
            return Err(SealError::TooLarge);
        }
        let tag = self.cipher(data)?;
        self.index += 1;
        Ok(tag)
    }

    /// Seals the last segment, which is shorter than the others, possibly empty.
    ///
    /// # Errors
    /// A full segment, or a run that does not have its declared length.
    pub fn finish(self, last: &mut [u8]) -> Result<([u8; TAG], RunEntry), SealError> {
        let length = self.index * SEGMENT as u64 + last.len() as u64;
        if last.len() >= SEGMENT || self.header.length.is_some_and(|n| n != length) {
            return Err(SealError::Length);
        }
        let tag = self.cipher(last)?;
        let entry = RunEntry {
            length,
            part: self.header.part,
            epoch: self.header.epoch,
            salt: self.header.salt,
            commitment: self.header.commitment,
        };
        Ok((tag, entry))
    }

    fn cipher(&self, data: &mut [u8]) -> Result<[u8; TAG], SealError> {
        self.key
            .cipher
            .seal(self.key.nonce(self.index), &[], data)
            .map_err(|_| SealError::Cipher)
    }
}

/// Opens a run's segments, in any order, in place. Exists only once the commitment was verified.
pub struct RunOpener {
    key: RunKey,
    header: RunHeader,
}

impl RunOpener {
    /// # Errors
    /// `Commitment` when the header, the context or the key is not the one it was sealed with.
    pub fn new(keys: &EpochKeys, context: &Context, header: RunHeader) -> Result<Self, OpenError> {
        let (key, commitment) = header
            .derive(keys, context)
            .map_err(|_| OpenError::Commitment)?;
        if !bool::from(commitment.ct_eq(&header.commitment)) {
            return Err(OpenError::Commitment);
        }
        Ok(Self { key, header })
    }

    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    /// Opens the segment `index` of a run of `length` bytes of plaintext in place; `sealed` is ciphertext and tag.
    /// Gives the plaintext's length.
    ///
    /// # Errors
    /// `Length` when `sealed` is not as long as that segment is, `Segment` when it fails authentication.
    pub fn open_at(&self, index: u64, length: u64, sealed: &mut [u8]) -> Result<usize, OpenError> {
        if sealed.len() != segment_len(index, length)? {
            return Err(OpenError::Length);
        }
        self.key
            .cipher
            .open(self.key.nonce(index), &[], sealed)
            .map_err(|_| OpenError::Segment)
    }
}

/// Sealed length of the segment `index` of a run of `length` bytes of plaintext.
pub(super) fn segment_len(index: u64, length: u64) -> Result<usize, OpenError> {
    let last = length / SEGMENT as u64;
    match index.cmp(&last) {
        std::cmp::Ordering::Less => Ok(SEGMENT + TAG),
        std::cmp::Ordering::Equal => Ok((length % SEGMENT as u64) as usize + TAG),
        std::cmp::Ordering::Greater => Err(OpenError::Length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::keys::Prk;
    use crate::seal::{EpochId, subsecret};
    use crate::secret::Secret;

    fn secret() -> Secret<48> {
        let counting: [u8; 48] = std::array::from_fn(|i| i as u8);
        Secret::from_slice(&counting).unwrap()
    }

    /// Commitment and only segment of a run of `bonjour` under this object subsecret.
    fn answer(object: Secret<48>) -> (String, String) {
        let keys = EpochKeys {
            id: EpochId([0xE1; 32]),
            object: Prk::new(&object),
            metadata: Prk::new(&secret()),
            token: Prk::new(&secret()),
        };
        let context = Context::new("min-interieur", "s3", "dossiers").unwrap();
        let spec = RunSpec {
            object: ObjectId([0x0B; 16]),
            part: 0,
            salt: Salt::of_test_vector([0x5A; 32]),
            length: Some(7),
        };
        let sealer = RunSealer::new(&keys, &context, spec).unwrap();
        let commitment = hex::encode(&sealer.header()[96..]);
        let mut data = *b"bonjour";
        let (tag, _) = sealer.finish(&mut data).unwrap();
        (commitment, hex::encode([&data[..], &tag].concat()))
    }

    #[test]
    fn the_known_answer_without_the_subsecret_step() {
        let (commitment, segment) = answer(secret());
        assert_eq!(
            commitment,
            "73103753c6f942d9d4d612ba97d1124fdc001537ce7bb7a3ca824eb48b9685d0"
        );
        assert_eq!(segment, "2d15d561f521712a63be95e24c5673e5a23bcf4a3c6595");
    }

    #[test]
    fn the_known_answer_with_the_subsecret_step() {
        let (commitment, segment) = answer(subsecret(&secret(), "object"));
        assert_eq!(
            commitment,
            "3b9b97288a78c3a8d8eb6004b1ec3df22315b89fd6dccd828c9cac308de6b5dd"
        );
        assert_eq!(segment, "59353d534a264ae18a4cefb34c19902fc818424455f4a1");
    }
}
