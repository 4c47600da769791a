//! Reading a range: exactly the segments that hold it, each authenticated before its bytes are released.

use std::ops::Range;
use std::sync::Arc;

use super::keys::KeyLookup;
use super::layout::{self, HEADER, SEGMENT, TAG};
use super::object::Fed;
use super::run::{RunEntry, RunHeader, RunOpener, segment_len};
use super::trailer::Trailer;
use super::{Context, ObjectId, OpenError};

const STEP: u64 = (SEGMENT + TAG) as u64;

/// What is known of the object.
#[derive(Clone)]
pub enum RangeSource {
    /// The header of an object of one run; the key commitment confirms it.
    Header(Box<[u8; HEADER]>),
    /// The trailer of any object.
    Trailer(Arc<Trailer>),
}

/// Reads one range of plaintext. The caller asks the provider for [`Self::sealed`] and feeds what comes.
pub struct RangeReader {
    lookup: Arc<dyn KeyLookup>,
    context: Arc<Context>,
    object: ObjectId,
    runs: Vec<RunEntry>,
    /// The run being read, how much plaintext lies before it, and its key once the header is known.
    run: usize,
    before: u64,
    opener: Option<RunOpener>,
    segment: u64,
    range: Range<u64>,
    sealed: Range<u64>,
    finished: bool,
    /// The entries are a trailer's, so a run of part 0 may have been sealed with an unknown length.
    by_entry: bool,
}

impl RangeReader {
    /// Plans a range, not empty, end excluded, of the object of `object_len` sealed bytes.
    ///
    /// # Errors
    /// A range outside of the object, or a header or trailer that is not the object's.
    pub fn new(
        lookup: Arc<dyn KeyLookup>,
        context: Arc<Context>,
        source: RangeSource,
        object_len: u64,
        range: Range<u64>,
    ) -> Result<Self, OpenError> {
        let by_entry = matches!(source, RangeSource::Trailer(_));
        let (object, runs) = match source {
            RangeSource::Header(bytes) => one_run(&bytes)?,
            RangeSource::Trailer(trailer) => (trailer.object, trailer.entries.clone()),
        };
        let total: u64 = runs.iter().map(|run| run.length).sum();
        let outside = range.is_empty() || range.end > total;
        if outside || layout::sealed_len(total) != Some(object_len) {
            return Err(OpenError::Length);
        }
        let (first, before, base) = place(&runs, range.start)?;
        let segment = (range.start - before) / SEGMENT as u64;
        let start = base + HEADER as u64 + segment * STEP;
        let (last, last_before, last_base) = place(&runs, range.end - 1)?;
        let last_segment = (range.end - 1 - last_before) / SEGMENT as u64;
        let end = last_base
            + HEADER as u64
            + last_segment * STEP
            + segment_len(last_segment, runs[last].length)? as u64;
        // only the runs in between matter
        let runs = runs[first..=last].to_vec();
        let mut reader = Self {
            lookup,
            context,
            object,
            runs,
            run: 0,
            before,
            opener: None,
            segment,
            range,
            sealed: start..end,
            finished: false,
            by_entry,
        };
        reader.unlock()?;
        Ok(reader)
    }

    /// The sealed bytes to ask for.
    pub fn sealed(&self) -> Range<u64> {
        self.sealed.clone()
    }

    /// Bytes of plaintext that will be released.
    pub fn plain_len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// How many bytes to feed next, contiguous. 0: finished.
    pub fn want(&self) -> usize {
        match (&self.opener, self.finished) {
            (_, true) => 0,
            (None, _) => HEADER,
            (Some(_), _) => segment_len(self.segment, self.runs[self.run].length).unwrap_or(0),
        }
    }

    /// Verifies the next chunk, exactly [`Self::want`] bytes, in place.
    ///
    /// # Errors
    /// The failure classes; the reader is of no use afterwards.
    pub fn feed(&mut self, chunk: &mut [u8]) -> Result<Fed, OpenError> {
        if self.finished || chunk.len() != self.want() {
            return Err(OpenError::Length);
        }
        let Some(opener) = &self.opener else {
            let bytes = chunk.first_chunk::<HEADER>().ok_or(OpenError::Length)?;
            if RunHeader::parse(bytes)? != self.runs[self.run].header(self.object) {
                return Err(OpenError::Run);
            }
            self.unlock()?;
            return Ok(Fed::Nothing);
        };
        let length = self.runs[self.run].length;
        let n = opener.open_at(self.segment, length, chunk)? as u64;
        let start = self.before + self.segment * SEGMENT as u64;
        let from = self.range.start.clamp(start, start + n) - start;
        let to = self.range.end.clamp(start, start + n) - start;
        self.segment += 1;
        if start + n >= self.range.end {
            self.finished = true;
        } else if self.segment > length / SEGMENT as u64 {
            self.before += length;
            self.run += 1;
            self.segment = 0;
            self.opener = None;
        }
        Ok(Fed::Plain(from as usize..to as usize))
    }

    /// Derives the present run's key; its commitment confirms the entry.
    fn unlock(&mut self) -> Result<(), OpenError> {
        let header = self.runs[self.run].header(self.object);
        let keys = self.lookup.epoch(header.epoch)?;
        let mut opener = RunOpener::new(&keys, &self.context, header.clone());
        if self.by_entry && header.part == 0 && matches!(opener, Err(OpenError::Commitment)) {
            let unknown = RunHeader {
                length: None,
                ..header
            };
            opener = RunOpener::new(&keys, &self.context, unknown);
        }
        self.opener = Some(opener?);
        Ok(())
    }
}

/// An object of one run as its header has it; where the header has no length, the trailer is needed.
fn one_run(bytes: &[u8; HEADER]) -> Result<(ObjectId, Vec<RunEntry>), OpenError> {
    let header = RunHeader::parse(bytes)?;
    if header.trailer || header.part != 0 {
        return Err(OpenError::Header);
    }
    let length = header.length.ok_or(OpenError::NeedsTrailer)?;
    let entry = RunEntry {
        length,
        part: 0,
        epoch: header.epoch,
        salt: header.salt,
        commitment: header.commitment,
    };
    Ok((header.object, vec![entry]))
}

/// The run that holds the byte at `at`, the plaintext before it, the sealed bytes before it.
fn place(runs: &[RunEntry], at: u64) -> Result<(usize, u64, u64), OpenError> {
    let (mut before, mut base) = (0, 0);
    for (i, run) in runs.iter().enumerate() {
        if at < before + run.length {
            return Ok((i, before, base));
        }
        before += run.length;
        base += layout::run_len(run.length).ok_or(OpenError::Length)?;
    }
    Err(OpenError::Length)
}
