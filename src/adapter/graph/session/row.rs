//! What the state keeps of an upload session, sealed by the vault.

use crate::adapter::graph::quickxor::SIZE;
use crate::seal::ObjectId;
use crate::seal::run::{ENTRY, RunEntry};

const VERSION: u8 = 2;
/// In place of a length that the client has not told yet.
pub(super) const UNTOLD: u64 = u64::MAX;

/// A session; never changes but for `last`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UploadRow {
    pub object: ObjectId,
    /// A fragment that counts, and after which to look for others.
    pub last: u32,
    /// Path and query of its own address, byte for byte as the provider wrote them; empty where it has none.
    pub target: String,
}

impl UploadRow {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.object.0);
        out.extend_from_slice(&self.last.to_be_bytes());
        out.extend_from_slice(self.target.as_bytes());
        out
    }

    pub fn decode(row: &[u8]) -> Option<Self> {
        let mut row = Reader::new(row)?;
        Some(Self {
            object: ObjectId(row.take()?),
            last: u32::from_be_bytes(row.take()?),
            target: std::str::from_utf8(row.0).ok()?.to_owned(),
        })
    }
}

/// One attempt to send a fragment. Written before the request that sends it can become complete, so whatever the provider
/// took can be gone on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Bytes of plaintext of the whole file; [`UNTOLD`] where they are not known yet.
    pub total: u64,
    /// Where the fragment begins in the plaintext.
    pub start: u64,
    /// From here on the sealed bytes are kept: what the fragment's first request holds ends here, or the run does.
    pub base: u64,
    /// Where its run ends in the object.
    pub end: u64,
    /// Of the last fragment: what follows its run.
    pub zeros: u64,
    pub trailer: u32,
    /// The digest of the plaintext up to the fragment's end.
    pub hash: [u8; SIZE],
    /// Of the client's bytes that ended it, where they may come again; else zeros.
    pub print: [u8; 32],
    pub entry: RunEntry,
}

impl Attempt {
    /// Bytes of plaintext up to the fragment's end.
    pub fn plain_end(&self) -> u64 {
        self.start + self.entry.length
    }

    pub fn is_last(&self) -> bool {
        self.plain_end() == self.total
    }

    /// Where what this attempt can send ends.
    pub fn sealed_end(&self) -> u64 {
        self.end + self.zeros + u64::from(self.trailer)
    }

    /// Whether a provider that expects this byte has taken the fragment, as far as it is not kept.
    pub fn holds(&self, next: u64) -> bool {
        (self.base..=self.sealed_end()).contains(&next)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for number in [self.total, self.start, self.base, self.end, self.zeros] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.trailer.to_be_bytes());
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(&self.print);
        out.extend_from_slice(&self.entry.encode());
        out
    }

    pub fn decode(row: &[u8]) -> Option<Self> {
        let mut row = Reader::new(row)?;
        let read = Self {
            total: u64::from_be_bytes(row.take()?),
            start: u64::from_be_bytes(row.take()?),
            base: u64::from_be_bytes(row.take()?),
            end: u64::from_be_bytes(row.take()?),
            zeros: u64::from_be_bytes(row.take()?),
            trailer: u32::from_be_bytes(row.take()?),
            hash: row.take()?,
            print: row.take()?,
            entry: RunEntry::decode(&row.take::<ENTRY>()?),
        };
        let whole = row.end() && read.base <= read.end && read.plain_end() <= read.total;
        whole.then_some(read)
    }
}

struct Reader<'r>(&'r [u8]);

impl<'r> Reader<'r> {
    fn new(row: &'r [u8]) -> Option<Self> {
        let ([VERSION], rest) = row.split_first_chunk()? else {
            return None;
        };
        Some(Self(rest))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn end(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::EpochShort;

    #[test]
    fn rows_are_read_as_they_were_written() {
        let upload = UploadRow {
            object: ObjectId([7; 16]),
            last: 9,
            target: "/a?b='c'".into(),
        };
        let row = upload.encode();
        assert_eq!(UploadRow::decode(&row), Some(upload));
        assert_eq!(UploadRow::decode(&row[..20]), None);
        assert_eq!(UploadRow::decode(&[&row[..], b"\xff"].concat()), None);
        let attempt = Attempt {
            total: 1000,
            start: 100,
            base: 200,
            end: 300,
            zeros: 4,
            trailer: 5,
            hash: [6; SIZE],
            print: [7; 32],
            entry: RunEntry {
                length: 50,
                part: 2,
                epoch: EpochShort([1; 16]),
                salt: [2; 32],
                commitment: [3; 32],
            },
        };
        let row = attempt.encode();
        assert_eq!(Attempt::decode(&row), Some(attempt));
        for cut in 0..row.len() {
            assert_eq!(Attempt::decode(&row[..cut]), None);
        }
        assert_eq!(Attempt::decode(&[&row[..], b"x"].concat()), None);
    }
}
