//! What a stored object is, learned from the head of any answer about it and, for an object of several runs, its
//! trailer. Everything here is authenticated: the metadata blob for this very bucket and key, the trailer by itself.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use super::call::{Call, Place};
use super::core::Core;
use super::error::{S3Error, SERVICE_UNAVAILABLE};
use super::etag;
use super::meta::{self, Document};
use super::upstream::Ask;
use crate::adapter::{opening, range};
use crate::body::Sealed;
use crate::error::{
    OBJECT_DAMAGED, OBJECT_SUBSTITUTED, OBJECT_UNSEALED, Refusal, UPSTREAM_INVALID,
};
use crate::seal::layout::{self, HEADER};
use crate::seal::run::RunHeader;
use crate::seal::trailer::Trailer;
use crate::seal::{ObjectId, OpenError, blob};

/// Where the bytes are.
pub(super) enum Source {
    /// A directory marker: zero bytes at the provider.
    Marker,
    /// One run, with its header.
    Run(Box<[u8; HEADER]>),
    /// Several runs, with their trailer.
    Parts(Arc<Trailer>),
}

/// Why an object can't be told of.
pub(super) enum ReadError {
    /// It changed between two requests (decision 22); what to say when that goes on.
    Replaced(Refusal),
    Refused(Refusal),
}

impl ReadError {
    /// The provider's answer to a request that was pinned to a tag.
    async fn pinned(core: &Core, response: http::Response<Sealed>) -> Self {
        let replaced = matches!(
            response.status(),
            StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND
        );
        if replaced {
            return Self::Replaced(unsteady());
        }
        Self::Refused(core.upstream_refusal(response).await)
    }
}

fn unsteady() -> Refusal {
    Refusal::from(S3Error::with(
        &SERVICE_UNAVAILABLE,
        "The object changes faster than it is read.",
    ))
}

impl From<Refusal> for ReadError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<S3Error> for ReadError {
    fn from(error: S3Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Replaced(refusal) | ReadError::Refused(refusal) => refusal,
        }
    }
}

pub(super) struct Facts {
    /// Bytes of plaintext.
    pub length: u64,
    /// Bytes at the provider.
    pub sealed: u64,
    pub document: Document,
    pub object: ObjectId,
    pub source: Source,
    /// Without quotes.
    pub upstream_etag: String,
    /// Without quotes.
    pub client_etag: String,
    pub modified: Option<SystemTime>,
}

impl Core {
    /// Reads what the head of a GET or HEAD answer says of the object at `place`.
    pub(super) async fn facts(
        &self,
        call: &Call,
        place: &Place,
        headers: &HeaderMap,
    ) -> Result<Facts, ReadError> {
        let sealed = range::total(headers).ok_or_else(|| {
            Refusal::new(&UPSTREAM_INVALID).message("The provider gave no length.")
        })?;
        let upstream_etag = text(headers, ETAG).map(etag::unquote).unwrap_or_default();
        let (document, object) = self.open_blob(place, headers)?;
        let (source, length) = match (&document.run_header, document.empty) {
            (_, true) if sealed == 0 => (Source::Marker, 0),
            (_, true) => return Err(Refusal::new(&OBJECT_SUBSTITUTED).into()),
            (Some(header), false) => {
                let length = run_length(header, sealed).map_err(opening::refusal)?;
                (Source::Run(header.clone()), length)
            }
            (None, false) => {
                let trailer = self.trailer(call, place, upstream_etag, sealed).await?;
                // a store that ignores If-Match answers with what came after
                same_object(&trailer, object).map_err(ReadError::Replaced)?;
                let length = trailer.total;
                (Source::Parts(trailer), length)
            }
        };
        Ok(Facts {
            length,
            sealed,
            document,
            object,
            source,
            client_etag: self.client_etag(upstream_etag).await?,
            upstream_etag: upstream_etag.to_owned(),
            modified: text(headers, LAST_MODIFIED).and_then(|v| httpdate::parse_http_date(v).ok()),
        })
    }

    /// Opens the metadata blob for its place.
    ///
    /// # Errors
    /// `OBJECT_UNSEALED` when there is none, `OBJECT_SUBSTITUTED` when it is another object's.
    pub(super) fn open_blob(
        &self,
        place: &Place,
        headers: &HeaderMap,
    ) -> Result<(Document, ObjectId), Refusal> {
        let sealed = meta::read_blob(headers).ok_or_else(|| Refusal::new(&OBJECT_UNSEALED))?;
        let opened = blob::open(
            self.lookup.as_ref(),
            &self.context,
            &place.components(),
            &sealed,
        )
        .map_err(opening::refusal)?;
        let document = Document::decode(&opened.plaintext).map_err(|_| {
            Refusal::new(&OBJECT_DAMAGED).message("The metadata document is malformed.")
        })?;
        Ok((document, opened.object))
    }

    /// The trailer of a multi-run object, from the cache or from the object's end.
    pub(super) async fn trailer(
        &self,
        call: &Call,
        place: &Place,
        upstream_etag: &str,
        sealed: u64,
    ) -> Result<Arc<Trailer>, ReadError> {
        if let Some(trailer) = self.trailers.get(place, upstream_etag) {
            return Ok(trailer);
        }
        let fetch = |range| self.pinned_range(call, place, upstream_etag, range);
        let trailer = opening::trailer(self.lookup.as_ref(), &self.context, sealed, fetch).await?;
        let trailer = Arc::new(trailer);
        self.trailers
            .keep(place.clone(), upstream_etag.to_owned(), trailer.clone())
            .map_err(|_| {
                Refusal::new(&OBJECT_SUBSTITUTED)
                    .message("The provider mixes two versions under one entity tag.")
            })?;
        Ok(trailer)
    }

    /// Sealed bytes of the object that has this tag.
    pub(super) async fn pinned_range(
        &self,
        call: &Call,
        place: &Place,
        upstream_etag: &str,
        range: Range<u64>,
    ) -> Result<Sealed, ReadError> {
        let ask = Ask::get(place).range(range.clone()).if_match(upstream_etag);
        let response = self.ask(call, ask).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(ReadError::pinned(self, response).await);
        }
        let tag = text(response.headers(), ETAG).map(etag::unquote);
        if tag.is_some_and(|tag| tag != upstream_etag) {
            return Err(ReadError::Replaced(unsteady()));
        }
        if range::span(response.headers()) != Some(range) {
            let refusal = Refusal::new(&UPSTREAM_INVALID);
            return Err(refusal
                .message("The provider answered another range than was asked for.")
                .into());
        }
        Ok(response.into_body())
    }
}

impl Facts {
    pub(super) fn tags(&self) -> etag::Tags<'_> {
        etag::Tags {
            upstream: &self.upstream_etag,
            client: &self.client_etag,
        }
    }

    /// # Errors
    /// The trailer is another object's.
    pub(super) fn check_trailer(&self, trailer: &Trailer) -> Result<(), Refusal> {
        same_object(trailer, self.object)
    }
}

fn same_object(trailer: &Trailer, object: ObjectId) -> Result<(), Refusal> {
    (trailer.object == object)
        .then_some(())
        .ok_or_else(|| Refusal::new(&OBJECT_SUBSTITUTED))
}

/// The length that a one-run object was sealed with, which the provider's must fit.
fn run_length(header: &[u8; HEADER], sealed: u64) -> Result<u64, OpenError> {
    let length = RunHeader::parse(header)?.length;
    let length = length.ok_or(OpenError::NeedsTrailer)?;
    (layout::sealed_len(length) == Some(sealed))
        .then_some(length)
        .ok_or(OpenError::Length)
}

pub(super) fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
