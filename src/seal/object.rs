//! Reading an object from its first byte to its last. The caller gathers exactly [`ObjectReader::want`] bytes and feeds
//! them; plaintext is left in the same buffer.

use std::ops::Range;
use std::sync::Arc;

use super::keys::KeyLookup;
use super::layout::{self, HEADER, LOCATOR, SEGMENT};
use super::run::{RunEntry, RunHeader, RunOpener, segment_len};
use super::trailer::Trailer;
use super::{Context, ObjectId, OpenError};

/// What became of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fed {
    /// Verified; nothing to release.
    Nothing,
    /// These bytes of the chunk are plaintext and may be released.
    Plain(Range<usize>),
    /// These bytes are plaintext, to be released only once the reader has finished.
    Held(Range<usize>),
    /// The whole object is verified.
    Finished,
}

enum Stage {
    Header,
    Segments(Box<RunOpener>, u64),
    Zeros(u64),
    Trailer,
    Finished,
    /// What went wrong; said again to whoever goes on feeding.
    Failed(OpenError),
}

/// A sequential reader over a whole object.
pub struct ObjectReader {
    lookup: Arc<dyn KeyLookup>,
    context: Arc<Context>,
    object_len: u64,
    plain_len: u64,
    /// Known from the start for an object of several runs, else read at the end.
    trailer: Option<Arc<Trailer>>,
    /// The object that this must be, where the caller knows.
    object: Option<ObjectId>,
    entry: Option<RunEntry>,
    run: usize,
    stage: Stage,
}

impl ObjectReader {
    /// For an object of one run. `object`: the id that the metadata names.
    ///
    /// # Errors
    /// A length that no object has.
    pub fn new(
        lookup: Arc<dyn KeyLookup>,
        context: Arc<Context>,
        object_len: u64,
        object: Option<ObjectId>,
    ) -> Result<Self, OpenError> {
        Self::begin(lookup, context, object_len, object, None)
    }

    /// For any object, once its trailer is known: each run is checked against its entry.
    ///
    /// # Errors
    /// A length that is not the trailer's.
    pub fn with_trailer(
        lookup: Arc<dyn KeyLookup>,
        context: Arc<Context>,
        object_len: u64,
        trailer: Arc<Trailer>,
    ) -> Result<Self, OpenError> {
        let object = Some(trailer.object);
        Self::begin(lookup, context, object_len, object, Some(trailer))
    }

    fn begin(
        lookup: Arc<dyn KeyLookup>,
        context: Arc<Context>,
        object_len: u64,
        object: Option<ObjectId>,
        trailer: Option<Arc<Trailer>>,
    ) -> Result<Self, OpenError> {
        let plain_len = layout::plain_len(object_len).ok_or(OpenError::Length)?;
        if trailer
            .as_ref()
            .is_some_and(|trailer| trailer.total != plain_len)
        {
            return Err(OpenError::Length);
        }
        Ok(Self {
            lookup,
            context,
            object_len,
            plain_len,
            trailer,
            object,
            entry: None,
            run: 0,
            stage: Stage::Header,
        })
    }

    /// Bytes of plaintext of the whole object.
    pub fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// The trailer, once it is verified.
    pub fn trailer(&self) -> Option<&Arc<Trailer>> {
        self.trailer.as_ref()
    }

    /// How many bytes to feed next, contiguous. 0: finished; never after a failure.
    pub fn want(&self) -> usize {
        match &self.stage {
            Stage::Header => HEADER,
            Stage::Segments(_, index) => segment_len(*index, self.run_len()).unwrap_or(0),
            Stage::Zeros(left) => (*left).min(SEGMENT as u64) as usize,
            Stage::Trailer => {
                let runs = self.trailer.as_ref().map_or(1, |t| t.entries.len() as u64);
                layout::trailer_len(runs).unwrap_or(0) as usize + LOCATOR
            }
            Stage::Finished => 0,
            Stage::Failed(_) => 1,
        }
    }

    /// Verifies the next chunk, exactly [`Self::want`] bytes, in place.
    ///
    /// # Errors
    /// The failure classes; the reader then gives the same error for ever.
    pub fn feed(&mut self, chunk: &mut [u8]) -> Result<Fed, OpenError> {
        let fed = self.advance(chunk);
        if let Err(error) = &fed {
            self.stage = Stage::Failed(error.clone());
        }
        fed
    }

    fn advance(&mut self, chunk: &mut [u8]) -> Result<Fed, OpenError> {
        if let Stage::Failed(error) = &self.stage {
            return Err(error.clone());
        }
        if chunk.len() != self.want() {
            return Err(OpenError::Length);
        }
        match std::mem::replace(&mut self.stage, Stage::Failed(OpenError::Length)) {
            Stage::Header => self.header(chunk),
            Stage::Segments(opener, index) => self.segment(opener, index, chunk),
            Stage::Zeros(left) => {
                if chunk.iter().any(|byte| *byte != 0) {
                    return Err(OpenError::Zeros);
                }
                self.after_runs(left - chunk.len() as u64);
                Ok(Fed::Nothing)
            }
            Stage::Trailer => self.end(chunk),
            Stage::Finished => {
                self.stage = Stage::Finished;
                Ok(Fed::Finished)
            }
            Stage::Failed(error) => Err(error),
        }
    }

    fn run_len(&self) -> u64 {
        match &self.trailer {
            Some(trailer) => trailer
                .entries
                .get(self.run)
                .map_or(0, |entry| entry.length),
            None => self.plain_len,
        }
    }

    fn header(&mut self, chunk: &[u8]) -> Result<Fed, OpenError> {
        let bytes = chunk.first_chunk::<HEADER>().ok_or(OpenError::Length)?;
        let header = RunHeader::parse(bytes)?;
        if header.trailer {
            return Err(OpenError::Header);
        }
        let length = self.run_len();
        match &self.trailer {
            None if header.part != 0 => return Err(OpenError::NeedsTrailer),
            // more than a run holds: known before a byte is released
            None if layout::zeros_len([length]).is_none() => return Err(OpenError::Length),
            None => {}
            Some(trailer) => {
                let mut expected = trailer.entries[self.run].header(trailer.object);
                expected.length = header.length.and(expected.length);
                if header != expected {
                    return Err(OpenError::Run);
                }
            }
        }
        if header.length.is_some_and(|n| n != length) {
            return Err(OpenError::Length);
        }
        let keys = self.lookup.epoch(header.epoch)?;
        let opener = RunOpener::new(&keys, &self.context, header)?;
        let header = opener.header();
        if self.object.is_some_and(|object| object != header.object) {
            return Err(OpenError::Run);
        }
        self.object = Some(header.object);
        self.entry = Some(RunEntry {
            length,
            part: header.part,
            epoch: header.epoch,
            salt: header.salt,
            commitment: header.commitment,
        });
        self.stage = Stage::Segments(Box::new(opener), 0);
        Ok(Fed::Nothing)
    }

    fn segment(
        &mut self,
        opener: Box<RunOpener>,
        index: u64,
        chunk: &mut [u8],
    ) -> Result<Fed, OpenError> {
        let length = self.run_len();
        let n = opener.open_at(index, length, chunk)?;
        let runs = self
            .trailer
            .as_ref()
            .map_or(1, |trailer| trailer.entries.len());
        if index < length / SEGMENT as u64 {
            self.stage = Stage::Segments(opener, index + 1);
            // an empty segment ends the object: these are the last bytes, and whoever has them asks for nothing more
            let last = self.run + 1 == runs && (index + 1) * SEGMENT as u64 == length;
            return Ok(if last {
                Fed::Held(0..n)
            } else {
                Fed::Plain(0..n)
            });
        }
        self.run += 1;
        if self.run < runs {
            self.stage = Stage::Header;
            return Ok(Fed::Plain(0..n));
        }
        let zeros = match &self.trailer {
            Some(trailer) => layout::zeros_len(trailer.entries.iter().map(|entry| entry.length)),
            None => layout::zeros_len([length]),
        };
        self.after_runs(zeros.ok_or(OpenError::Length)?);
        Ok(Fed::Held(0..n))
    }

    fn after_runs(&mut self, zeros: u64) {
        self.stage = if zeros == 0 {
            Stage::Trailer
        } else {
            Stage::Zeros(zeros)
        };
    }

    fn end(&mut self, chunk: &mut [u8]) -> Result<Fed, OpenError> {
        let (sealed, locator) = chunk
            .split_last_chunk_mut::<LOCATOR>()
            .ok_or(OpenError::Length)?;
        if u64::from_be_bytes(*locator) != sealed.len() as u64 {
            return Err(OpenError::Trailer);
        }
        let found = Trailer::open(self.lookup.as_ref(), &self.context, sealed, self.object_len)?;
        match &self.trailer {
            Some(known) if **known != found => return Err(OpenError::Trailer),
            Some(_) => {}
            None => {
                let same = Some(found.object) == self.object
                    && found.entries.len() == 1
                    && found.entries.first() == self.entry.as_ref();
                if !same {
                    return Err(OpenError::Run);
                }
                self.trailer = Some(Arc::new(found));
            }
        }
        self.stage = Stage::Finished;
        Ok(Fed::Finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::run::{RunSealer, RunSpec};
    use crate::seal::trailer::{Digests, seal_trailer};
    use crate::seal::{EpochKeys, EpochSecret, EpochShort, LookupError, Salt};
    use crate::secret::Secret;

    struct One(Arc<EpochKeys>);

    impl KeyLookup for One {
        fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
            (short == self.0.id.short())
                .then(|| self.0.clone())
                .ok_or(LookupError::Unknown)
        }
    }

    fn keys() -> Arc<EpochKeys> {
        let secret = Secret::from_slice(&[3; 48]).unwrap();
        Arc::new(EpochSecret::new(secret).keys())
    }

    fn context() -> Arc<Context> {
        Arc::new(Context::new("t", "s", "n").unwrap())
    }

    fn seal(plain: &[u8]) -> Vec<u8> {
        let (keys, context) = (keys(), context());
        let spec = RunSpec {
            object: ObjectId([1; 16]),
            part: 0,
            salt: Salt::of_test_vector([2; 32]),
            length: Some(plain.len() as u64),
        };
        let mut sealer = RunSealer::new(&keys, &context, spec).unwrap();
        let mut out = sealer.header().to_vec();
        let mut data = plain.to_vec();
        let mut chunks = data.chunks_exact_mut(SEGMENT);
        for segment in chunks.by_ref() {
            let tag = sealer.seal_segment(segment).unwrap();
            out.extend_from_slice(segment);
            out.extend_from_slice(&tag);
        }
        let last = chunks.into_remainder();
        let (tag, entry) = sealer.finish(last).unwrap();
        out.extend_from_slice(last);
        out.extend_from_slice(&tag);
        let zeros = layout::zeros_len([plain.len() as u64]).unwrap();
        out.resize(out.len() + zeros as usize, 0);
        let trailer = seal_trailer(
            &keys,
            &context,
            ObjectId([1; 16]),
            Salt::of_test_vector([9; 32]),
            &[entry],
            &Digests::default(),
        );
        out.extend_from_slice(&trailer.unwrap().into_bytes());
        out
    }

    fn open(sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let lookup = Arc::new(One(keys()));
        let mut reader = ObjectReader::new(lookup, context(), sealed.len() as u64, None)?;
        let (mut out, mut held, mut rest) = (Vec::new(), Vec::new(), sealed);
        while reader.want() > 0 {
            let (chunk, after) = rest
                .split_at_checked(reader.want())
                .ok_or(OpenError::Length)?;
            rest = after;
            let mut chunk = chunk.to_vec();
            match reader.feed(&mut chunk)? {
                Fed::Plain(range) => out.extend_from_slice(&chunk[range]),
                Fed::Held(range) => held.extend_from_slice(&chunk[range]),
                Fed::Nothing | Fed::Finished => {}
            }
        }
        out.extend_from_slice(&held);
        Ok(out)
    }

    #[test]
    fn what_was_sealed_opens_at_every_boundary() {
        for n in [
            0, 1, 65_535, 65_536, 65_537, 327_679, 327_680, 327_681, 700_000,
        ] {
            let plain: Vec<u8> = (0..n).map(|i| (i * 7 % 251) as u8).collect();
            let sealed = seal(&plain);
            assert_eq!(Some(sealed.len() as u64), layout::sealed_len(n as u64));
            assert!(open(&sealed) == Ok(plain), "{n}");
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let sealed = seal(b"bonjour");
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&damaged).is_err(), "bit {bit}");
        }
    }
}
