//! What a stored object is, learned from the head of any answer about it and, for an object of several runs, its
//! trailer. Everything here is authenticated: the metadata blob for this very bucket and key, the trailer by itself.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use super::meta::{self, Document};
use super::upstream::Ask;
use super::{Call, Place, S3, etag};
use crate::adapter::opening;
use crate::error::{
    OBJECT_DAMAGED, OBJECT_SUBSTITUTED, OBJECT_UNSEALED, Refusal, UPSTREAM_INVALID,
};
use crate::seal::layout::{self, HEADER};
use crate::seal::trailer::Trailer;
use crate::seal::{ObjectId, blob};

/// Where the bytes are.
pub(super) enum Source {
    /// A directory marker: zero bytes at the provider.
    Marker,
    /// One run, with its header.
    Run(Box<[u8; HEADER]>),
    /// Several runs, with their trailer.
    Parts(Arc<Trailer>),
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

impl S3 {
    /// Reads what the head of a GET or HEAD answer says of the object at `place`.
    pub(super) async fn facts(
        &self,
        call: &Call<'_>,
        place: &Place,
        headers: &HeaderMap,
    ) -> Result<Facts, Refusal> {
        let sealed = total(headers).ok_or_else(|| {
            Refusal::new(&UPSTREAM_INVALID).message("The provider gave no length.")
        })?;
        let upstream_etag = text(headers, ETAG).map(etag::unquote).unwrap_or_default();
        let (document, object) = self.open_blob(place, headers)?;
        let (source, length) = match (&document.run_header, document.empty) {
            (_, true) if sealed == 0 => (Source::Marker, 0),
            (_, true) => return Err(Refusal::new(&OBJECT_SUBSTITUTED)),
            (Some(header), false) => {
                let length =
                    layout::plain_len(sealed).ok_or_else(|| Refusal::new(&OBJECT_DAMAGED))?;
                (Source::Run(header.clone()), length)
            }
            (None, false) => {
                let trailer = self.trailer(call, place, upstream_etag, sealed).await?;
                same_object(&trailer, object)?;
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
        .map_err(|error| self.open_refusal(error))?;
        let document = Document::decode(&opened.plaintext).map_err(|_| {
            Refusal::new(&OBJECT_DAMAGED).message("The metadata document is malformed.")
        })?;
        Ok((document, opened.object))
    }

    /// The trailer of a multi-run object, from the cache or from the object's end.
    pub(super) async fn trailer(
        &self,
        call: &Call<'_>,
        place: &Place,
        upstream_etag: &str,
        sealed: u64,
    ) -> Result<Arc<Trailer>, Refusal> {
        if let Some(trailer) = self.trailers.get(place, upstream_etag) {
            return Ok(trailer);
        }
        let fetch = |range| self.piece(call, place, upstream_etag, range);
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

    /// A range of the sealed object.
    async fn piece(
        &self,
        call: &Call<'_>,
        place: &Place,
        upstream_etag: &str,
        range: Range<u64>,
    ) -> Result<Vec<u8>, Refusal> {
        let length = range.end - range.start;
        let ask = Ask::get(place).range(range).if_match(upstream_etag);
        let response = self.ask(call, ask).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(self.upstream_refusal(response).await);
        }
        let limit = usize::try_from(length).map_err(|_| Refusal::new(&OBJECT_DAMAGED))?;
        let bytes = response.into_body().collect(limit).await?;
        if bytes.len() != limit {
            return Err(Refusal::new(&UPSTREAM_INVALID).message("The provider's range is short."));
        }
        Ok(bytes)
    }
}

impl Facts {
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

/// The object's whole sealed length, from a full or a partial answer.
pub(super) fn total(headers: &HeaderMap) -> Option<u64> {
    match text(headers, CONTENT_RANGE) {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        None => text(headers, CONTENT_LENGTH)?.parse().ok(),
    }
}

pub(super) fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
