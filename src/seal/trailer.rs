//! The trailer: a run of its own whose plaintext names every run of the object in order, and the client's digests. It
//! proves order, completeness and the end.

use super::keys::KeyLookup;
use super::layout::{self, HEADER, LOCATOR, MAX_RUNS, SEGMENT, TAG, TRAILER_FIXED};
use super::run::{
    ENTRY, PART_TRAILER, RunEntry, RunHeader, RunOpener, RunSealer, RunSpec, array, segment_len,
};
use super::{Context, EpochKeys, ObjectId, OpenError, Salt, SealError, SealedBytes};

const FIXED: usize = TRAILER_FIXED as usize;

/// Which digest; the number is its bit in the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    Md5 = 0,
    Sha1 = 1,
    Sha256 = 2,
    QuickXor = 3,
    Crc32 = 4,
    Crc32c = 5,
    Crc64Nvme = 6,
}

/// Digest, place in the trailer's plaintext, bytes.
const PLACES: [(Digest, usize, usize); 7] = [
    (Digest::Md5, 16, 16),
    (Digest::Sha1, 32, 20),
    (Digest::Sha256, 52, 32),
    (Digest::QuickXor, 84, 20),
    (Digest::Crc32, 104, 4),
    (Digest::Crc32c, 108, 4),
    (Digest::Crc64Nvme, 112, 8),
];
/// Bit `n + COMPOSITE` says that digest `n` is one over the parts' digests, not over the bytes.
const COMPOSITE: u32 = 16;
const KNOWN: u32 = 0x007F_007F;

/// Digests of the plaintext that a client sent and that were verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests {
    mask: u32,
    values: Vec<(u32, Vec<u8>)>,
}

impl Digests {
    /// Keeps a digest. A value of the wrong size is left out: it can't be one.
    pub fn set(&mut self, digest: Digest, value: &[u8], composite: bool) {
        let bit = digest as u32;
        let fits = PLACES
            .iter()
            .any(|(d, _, n)| *d == digest && *n == value.len());
        if fits && self.mask & (1 << bit) == 0 {
            self.mask |= 1 << bit | u32::from(composite) << (bit + COMPOSITE);
            self.values.push((bit, value.to_vec()));
        }
    }

    /// The digest and whether it is composite.
    pub fn get(&self, digest: Digest) -> Option<(&[u8], bool)> {
        let bit = digest as u32;
        let (_, value) = self.values.iter().find(|(b, _)| *b == bit)?;
        Some((value, self.mask & 1 << (bit + COMPOSITE) != 0))
    }

    pub fn is_empty(&self) -> bool {
        self.mask == 0
    }

    fn write(&self, fixed: &mut [u8]) {
        fixed[12..16].copy_from_slice(&self.mask.to_be_bytes());
        for (digest, at, size) in PLACES {
            if let Some((value, _)) = self.get(digest) {
                fixed[at..at + size].copy_from_slice(value);
            }
        }
    }

    fn read(fixed: &[u8]) -> Option<Self> {
        let mask = u32::from_be_bytes(array(&fixed[12..16]));
        let mut digests = Self::default();
        for (digest, at, size) in PLACES {
            let bit = digest as u32;
            let value = &fixed[at..at + size];
            if mask & 1 << bit != 0 {
                digests.set(digest, value, mask & 1 << (bit + COMPOSITE) != 0);
            } else if value.iter().any(|byte| *byte != 0) {
                return None;
            }
        }
        (digests.mask == mask && mask & !KNOWN == 0).then_some(digests)
    }
}

/// Seals the trailer and the locator behind it.
///
/// # Errors
/// Runs that do not fit the layout.
pub fn seal_trailer(
    keys: &EpochKeys,
    context: &Context,
    object: ObjectId,
    salt: Salt,
    entries: &[RunEntry],
    digests: &Digests,
) -> Result<SealedBytes, SealError> {
    layout::zeros_len(entries.iter().map(|entry| entry.length)).ok_or(SealError::Layout)?;
    if !ordered(entries) {
        return Err(SealError::Layout);
    }
    let total: u64 = entries.iter().map(|entry| entry.length).sum();
    let mut plain = vec![0; FIXED];
    plain[..8].copy_from_slice(&total.to_be_bytes());
    let count = u32::try_from(entries.len()).map_err(|_| SealError::TooLarge)?;
    plain[8..12].copy_from_slice(&count.to_be_bytes());
    digests.write(&mut plain);
    for entry in entries {
        plain.extend_from_slice(&entry.encode());
    }
    let spec = RunSpec {
        object,
        part: PART_TRAILER,
        salt,
        length: Some(plain.len() as u64),
    };
    let mut sealer = RunSealer::trailer(keys, context, spec)?;
    let mut out = sealer.header().to_vec();
    let mut chunks = plain.chunks_exact_mut(SEGMENT);
    for segment in chunks.by_ref() {
        let tag = sealer.seal_segment(segment)?;
        out.extend_from_slice(segment);
        out.extend_from_slice(&tag);
    }
    let last = chunks.into_remainder();
    let (tag, _) = sealer.finish(last)?;
    out.extend_from_slice(last);
    out.extend_from_slice(&tag);
    let length = out.len() as u64;
    out.extend_from_slice(&length.to_be_bytes());
    Ok(SealedBytes::from_seal(out))
}

/// One run of part 0, or parts from 1 up, each greater than the one before.
fn ordered(entries: &[RunEntry]) -> bool {
    match entries {
        [] => false,
        [only] if only.part == 0 => true,
        _ => {
            entries[0].part >= 1
                && entries.windows(2).all(|pair| pair[0].part < pair[1].part)
                && entries.iter().all(|entry| entry.part != PART_TRAILER)
        }
    }
}

/// Length of the trailer run, from the object's last eight bytes. Not authenticated: the trailer confirms its place.
///
/// # Errors
/// A length that no trailer of such an object has.
pub fn locate(locator: [u8; LOCATOR], object_len: u64) -> Result<u64, OpenError> {
    let length = u64::from_be_bytes(locator);
    let fits = length >= layout::trailer_len(1).unwrap_or(u64::MAX)
        && length <= layout::trailer_len(MAX_RUNS).unwrap_or(0)
        && length <= object_len.saturating_sub(LOCATOR as u64);
    fits.then_some(length).ok_or(OpenError::NotSealed)
}

/// An authenticated trailer.
#[derive(Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Bytes of plaintext of the whole object.
    pub total: u64,
    pub digests: Digests,
    pub entries: Vec<RunEntry>,
    pub object: ObjectId,
    /// The trailer run's own commitment: names this version of the object.
    pub commitment: [u8; 32],
}

impl Trailer {
    /// Opens the trailer run in place; `sealed` is the run without the locator, `object_len` the whole sealed length.
    ///
    /// # Errors
    /// The classes of `docs/format.md`; `Trailer` for whatever does not fit the object.
    pub fn open(
        lookup: &dyn KeyLookup,
        context: &Context,
        sealed: &mut [u8],
        object_len: u64,
    ) -> Result<Self, OpenError> {
        let (head, segments) = sealed
            .split_first_chunk_mut::<HEADER>()
            .ok_or(OpenError::Trailer)?;
        let header = RunHeader::parse(head)?;
        let length = header
            .length
            .filter(|_| header.trailer)
            .ok_or(OpenError::Trailer)?;
        let keys = lookup.epoch(header.epoch)?;
        let opener = RunOpener::new(&keys, context, header)?;
        let fits = length >= FIXED as u64
            && layout::run_len(length) == Some((HEADER + segments.len()) as u64);
        if !fits {
            return Err(OpenError::Trailer);
        }
        let mut plain = Vec::with_capacity(segments.len());
        for (index, segment) in segments.chunks_mut(SEGMENT + TAG).enumerate() {
            let size = segment_len(index as u64, length)?;
            let n = opener.open_at(index as u64, length, &mut segment[..size])?;
            plain.extend_from_slice(&segment[..n]);
        }
        Self::decode(&plain, opener.header(), object_len).ok_or(OpenError::Trailer)
    }

    fn decode(plain: &[u8], header: &RunHeader, object_len: u64) -> Option<Self> {
        let (fixed, rest) = plain.split_at_checked(FIXED)?;
        let total = u64::from_be_bytes(array(&fixed[..8]));
        let count = u32::from_be_bytes(array(&fixed[8..12])) as usize;
        let (entries, extra) = rest.as_chunks::<ENTRY>();
        let entries: Vec<RunEntry> = entries.iter().map(RunEntry::decode).collect();
        let sum = entries
            .iter()
            .try_fold(0u64, |sum, entry| sum.checked_add(entry.length))?;
        let fits = extra.is_empty()
            && entries.len() == count
            && sum == total
            && fixed[120..].iter().all(|byte| *byte == 0)
            && ordered(&entries)
            && layout::sealed_len(total)? == object_len;
        layout::zeros_len(entries.iter().map(|entry| entry.length))?;
        fits.then_some(Self {
            total,
            digests: Digests::read(fixed)?,
            entries,
            object: header.object,
            commitment: header.commitment,
        })
    }
}
