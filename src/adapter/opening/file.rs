//! Files that are nothing but their bytes: what one is, its first bytes and its length at the provider tell.

use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use http::HeaderMap;

use super::{refusal, trailer};
use crate::adapter::pinned::Pin;
use crate::adapter::range;
use crate::body::{OpenBody, Released, Sealed};
use crate::error::{OBJECT_DAMAGED, Refusal};
use crate::seal::layout::{self, HEADER};
use crate::seal::object::ObjectReader;
use crate::seal::range::{RangeReader, RangeSource};
use crate::seal::run::{RunHeader, RunOpener};
use crate::seal::trailer::Trailer;
use crate::seal::{Context, KeyLookup, OpenError};

/// What opens the files of one service.
#[derive(Clone)]
pub(in crate::adapter) struct Opener {
    pub lookup: Arc<dyn KeyLookup>,
    pub context: Arc<Context>,
}

/// A sealed file of which the header is read and its key confirmed.
pub(in crate::adapter) struct File {
    header: Box<[u8; HEADER]>,
    parsed: RunHeader,
    /// Bytes at the provider.
    sealed: u64,
    /// Bytes of plaintext.
    pub length: u64,
    /// Once it was needed.
    trailer: OnceLock<Arc<Trailer>>,
}

impl File {
    /// Whether an answer is of a file of this sealed length.
    pub fn fits(&self, headers: &HeaderMap) -> bool {
        range::total(headers) == Some(self.sealed)
    }

    /// The header alone tells where the file's segments are.
    fn is_plain(&self) -> bool {
        self.parsed.part == 0 && self.parsed.length.is_some()
    }

    /// Where the bytes are, as far as it is known.
    fn source(&self) -> Option<RangeSource> {
        if self.is_plain() {
            return Some(RangeSource::Header(self.header.clone()));
        }
        self.trailer.get().cloned().map(RangeSource::Trailer)
    }
}

impl Pin for Arc<File> {
    fn commitment(&self) -> &[u8; 32] {
        &self.parsed.commitment
    }

    fn weight(&self) -> usize {
        self.trailer
            .get()
            .map_or(0, |trailer| trailer.entries.len())
            + 4
    }
}

impl Opener {
    /// Reads the header of a file of `sealed` bytes; `front`: its first bytes, as many as a header has unless it is
    /// shorter. `None`: the file is not sealed.
    ///
    /// # Errors
    /// A sealed file that is damaged, another context's, or whose key can't be had.
    pub fn file(&self, front: &[u8], sealed: u64) -> Result<Option<File>, Refusal> {
        let Some(header) = front.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let parsed = match RunHeader::parse(header) {
            Err(OpenError::NotSealed) => return Ok(None),
            parsed => parsed.map_err(refusal)?,
        };
        if parsed.trailer {
            return Err(refusal(OpenError::Header));
        }
        let length = layout::plain_len(sealed).ok_or_else(|| {
            Refusal::new(&OBJECT_DAMAGED).message("No sealed file has this length.")
        })?;
        let keys = self
            .lookup
            .epoch(parsed.epoch)
            .map_err(|error| refusal(error.into()))?;
        RunOpener::new(&keys, &self.context, parsed.clone()).map_err(refusal)?;
        Ok(Some(File {
            header: Box::new(*header),
            parsed,
            sealed,
            length,
            trailer: OnceLock::new(),
        }))
    }

    /// The whole file, of which `body` is the sealed bytes from the first; `fetch` gives ranges of them.
    ///
    /// # Errors
    /// A trailer that is not the file's, or what fails before the first bytes are open.
    pub async fn whole<F>(
        &self,
        file: &File,
        body: Sealed,
        fetch: impl Fn(Range<u64>) -> F + Send + Sync,
    ) -> Result<Released, Refusal>
    where
        F: Future<Output = Result<Sealed, Refusal>> + Send,
    {
        let (lookup, context) = (self.lookup.clone(), self.context.clone());
        let reader = if file.parsed.part == 0 {
            ObjectReader::new(lookup, context, file.sealed, None)
        } else {
            let trailer = self.trailer(file, fetch).await?;
            ObjectReader::with_trailer(lookup, context, file.sealed, trailer)
        };
        let reader = reader.map_err(refusal)?;
        Released::opened(OpenBody::whole(body, reader)).await
    }

    /// A range of the file's plaintext, not empty and within it: no more is fetched than the segments that hold it, and
    /// the trailer where the header does not tell enough.
    ///
    /// # Errors
    /// What `fetch` refuses, a trailer that is not the file's, or what fails before the first bytes are open.
    pub async fn range<F>(
        &self,
        file: &File,
        range: Range<u64>,
        fetch: impl Fn(Range<u64>) -> F + Send + Sync,
    ) -> Result<Released, Refusal>
    where
        F: Future<Output = Result<Sealed, Refusal>> + Send,
    {
        self.complete(file, &fetch).await?;
        let reader = self
            .plan(file, range)?
            .ok_or_else(|| refusal(OpenError::NeedsTrailer))?;
        let body = fetch(reader.sealed()).await?;
        Self::read(reader, body).await
    }

    /// Learns where the file's segments are, if the header does not tell.
    ///
    /// # Errors
    /// What `fetch` refuses, or a trailer that is not the file's.
    pub async fn complete<F>(
        &self,
        file: &File,
        fetch: impl Fn(Range<u64>) -> F + Send + Sync,
    ) -> Result<(), Refusal>
    where
        F: Future<Output = Result<Sealed, Refusal>> + Send,
    {
        if file.source().is_none() {
            self.trailer(file, fetch).await?;
        }
        Ok(())
    }

    /// A reader of a range, which says what sealed bytes it wants. `None`: the file is not [complete](Self::complete).
    ///
    /// # Errors
    /// A range that is not within the file, or a key that can't be had.
    pub fn plan(&self, file: &File, range: Range<u64>) -> Result<Option<RangeReader>, Refusal> {
        let Some(source) = file.source() else {
            return Ok(None);
        };
        let (lookup, context) = (self.lookup.clone(), self.context.clone());
        let reader = RangeReader::new(lookup, context, source, file.sealed, range);
        reader.map(Some).map_err(refusal)
    }

    /// What a planned range's sealed bytes hold.
    ///
    /// # Errors
    /// What fails before the first bytes are open.
    pub async fn read(reader: RangeReader, body: Sealed) -> Result<Released, Refusal> {
        Released::opened(OpenBody::range(body, reader)).await
    }

    /// The file's trailer, which must be of the object that the header begins.
    ///
    /// # Errors
    /// What `fetch` refuses, or another object's trailer.
    pub async fn trailer<F>(
        &self,
        file: &File,
        fetch: impl Fn(Range<u64>) -> F + Send + Sync,
    ) -> Result<Arc<Trailer>, Refusal>
    where
        F: Future<Output = Result<Sealed, Refusal>> + Send,
    {
        if let Some(trailer) = file.trailer.get() {
            return Ok(trailer.clone());
        }
        let trailer = trailer(self.lookup.as_ref(), &self.context, file.sealed, fetch).await?;
        let first = trailer.entries.first();
        let same = trailer.object == file.parsed.object
            && first.is_some_and(|entry| entry.commitment == file.parsed.commitment);
        if same {
            Ok(file.trailer.get_or_init(|| Arc::new(trailer)).clone())
        } else {
            Err(refusal(OpenError::Run))
        }
    }
}
