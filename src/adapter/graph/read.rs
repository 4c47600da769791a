//! Files' bytes: the redirect to them, and their plaintext at the address that it leads to.

use std::ops::Range;
use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_RANGE, LOCATION,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::settings::Redirects;
use super::upstream::{Address, Ask, put, text};
use super::{Call, Graph};
use crate::adapter::opening;
use crate::adapter::range::{self, Wanted};
use crate::body::{OpenBody, Released, Sealed};
use crate::error::{OBJECT_DAMAGED, OBJECT_UNSEALED, PROTOCOL, Refusal, UPSTREAM_INVALID};
use crate::seal::OpenError;
use crate::seal::layout::{self, HEADER};
use crate::seal::object::ObjectReader;
use crate::seal::range::{RangeReader, RangeSource};
use crate::seal::run::{RunHeader, RunOpener};
use crate::seal::trailer::Trailer;

const UNSEALED: &str = "This file lies unsealed at the provider: it was not written through the gateway, or somebody \
replaced or changed it. It is not shown as if it were genuine. Ask whoever runs this service.";

/// Where a file's bytes are asked for.
#[derive(Clone, Copy)]
enum Source<'c> {
    /// The client's own target.
    Client(&'c Call<'c>),
    /// Where the provider redirected to.
    Address(Address<'c>),
}

impl Source<'_> {
    /// The first request, with the client's conditions.
    fn first(self) -> Ask {
        match self {
            Self::Client(call) => Ask::from_client(call),
            Self::Address(address) => Ask::at(Method::GET, &address),
        }
    }

    fn own(self) -> Ask {
        match self {
            Self::Client(call) => Ask::own(Method::GET, call),
            Self::Address(address) => Ask::at(Method::GET, &address),
        }
    }
}

/// What a sealed file's first bytes and length say.
struct File {
    header: Box<[u8; HEADER]>,
    parsed: RunHeader,
    /// Bytes at the provider.
    sealed: u64,
    /// Bytes of plaintext.
    length: u64,
}

impl Graph {
    /// The content of a file, or of a version of one.
    pub(super) async fn content(&self, call: &Call<'_>) -> Result<Response<Released>, Refusal> {
        if call.head.method == Method::HEAD {
            return self.content_head(call).await;
        }
        let wanted = text(&call.head.headers, RANGE).and_then(range::parse);
        let source = Source::Client(call);
        let response = self.open_at(call, source, wanted).await?;
        if !response.status().is_redirection() || self.settings.redirects == Redirects::Leave {
            return self.opened(call, source, wanted, response).await;
        }
        let Some(location) = text(response.headers(), LOCATION).map(str::to_owned) else {
            return self.answer(call, response);
        };
        let source = Source::Address(self.address(&location)?);
        let response = self.open_at(call, source, wanted).await?;
        if response.status().is_redirection() {
            return Err(
                Refusal::new(&UPSTREAM_INVALID).message("The provider redirects more than once.")
            );
        }
        self.opened(call, source, wanted, response).await
    }

    /// HEAD says the length that GET has.
    async fn content_head(&self, call: &Call<'_>) -> Result<Response<Released>, Refusal> {
        let response = self.ask(Ask::from_client(call)).await?;
        let (status, sealed) = (response.status(), total(response.headers()));
        let kind = response.headers().get(CONTENT_TYPE).cloned();
        let mut answer = self.answer(call, response)?;
        if status == StatusCode::OK {
            let headers = answer.headers_mut();
            if let Some(kind) = kind {
                headers.insert(CONTENT_TYPE, kind);
            }
            if let Some(sealed) = sealed {
                let length = layout::plain_len(sealed).unwrap_or(sealed);
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        Ok(answer)
    }

    /// Asks for the whole file, or for its header where a range is wanted.
    async fn open_at(
        &self,
        call: &Call<'_>,
        source: Source<'_>,
        wanted: Option<Wanted>,
    ) -> Result<Response<Sealed>, Refusal> {
        let mut ask = source.first();
        if wanted.is_some() {
            ask = ask.range(&(0..HEADER as u64));
            if let Some(value) = text(&call.head.headers, IF_RANGE) {
                ask = ask.header(IF_RANGE, value);
            }
        }
        self.ask(ask).await
    }

    async fn opened(
        &self,
        call: &Call<'_>,
        source: Source<'_>,
        wanted: Option<Wanted>,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        match (response.status(), wanted) {
            (StatusCode::OK, _) => self.whole(source, response).await,
            (StatusCode::PARTIAL_CONTENT, Some(wanted)) => {
                self.part(source, wanted, response).await
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => Err(unsealed()),
            (status, _) if status.is_success() => Err(Refusal::new(&UPSTREAM_INVALID)
                .message("The provider answered a part unasked.")),
            _ => self.answer(call, response),
        }
    }

    async fn whole(
        &self,
        source: Source<'_>,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        let (head, body) = response.into_parts();
        let sealed = length(&head.headers)?;
        let (front, body) = body.peek(HEADER).await.map_err(broken)?;
        let file = self.file(&front, sealed)?;
        let (lookup, context) = (self.lookup.clone(), self.context.clone());
        let reader = if file.parsed.part == 0 {
            ObjectReader::new(lookup, context, sealed, None)
        } else {
            let tag = text(&head.headers, ETAG);
            let trailer = self.trailer(source, &file, tag).await?;
            ObjectReader::with_trailer(lookup, context, sealed, trailer)
        };
        let reader = reader.map_err(opening::refusal)?;
        let headers = self.file_head(head.status, &head.headers, file.length)?;
        let mut answer = Response::new(Released::opened(OpenBody::whole(body, reader)).await?);
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// One range: the file's first bytes tell what it is, then the segments that hold the range are fetched.
    async fn part(
        &self,
        source: Source<'_>,
        wanted: Wanted,
        first: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        let (head, body) = first.into_parts();
        let sealed = length(&head.headers)?;
        let front = body.collect(HEADER).await.map_err(|refusal| {
            Refusal::new(&UPSTREAM_INVALID)
                .message("The provider's range is not what was asked for.")
                .cause(refusal)
        })?;
        let file = self.file(&front, sealed)?;
        let Some(range) = wanted.within(file.length) else {
            return Err(unsatisfiable(file.length));
        };
        let tag = text(&head.headers, ETAG);
        let known = if file.parsed.part == 0 && file.parsed.length.is_some() {
            RangeSource::Header(file.header.clone())
        } else {
            RangeSource::Trailer(self.trailer(source, &file, tag).await?)
        };
        let (lookup, context) = (self.lookup.clone(), self.context.clone());
        let reader = RangeReader::new(lookup, context, known, sealed, range.clone())
            .map_err(opening::refusal)?;
        let body = self.piece(source, &reader.sealed(), tag).await?;
        let length = range.end - range.start;
        let mut headers = self.file_head(StatusCode::PARTIAL_CONTENT, &head.headers, length)?;
        let value = format!("bytes {}-{}/{}", range.start, range.end - 1, file.length);
        put(&mut headers, CONTENT_RANGE, &value);
        let mut answer = Response::new(Released::opened(OpenBody::range(body, reader)).await?);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// Reads a sealed file's header.
    ///
    /// # Errors
    /// The file is not sealed, or not for this service.
    fn file(&self, front: &[u8], sealed: u64) -> Result<File, Refusal> {
        let header = front.first_chunk::<HEADER>().ok_or_else(unsealed)?;
        let parsed = match RunHeader::parse(header) {
            Err(OpenError::NotSealed) => return Err(unsealed()),
            parsed => parsed.map_err(opening::refusal)?,
        };
        let length = layout::plain_len(sealed).ok_or_else(|| {
            Refusal::new(&OBJECT_DAMAGED).message("No sealed file has this length.")
        })?;
        if parsed.trailer {
            return Err(opening::refusal(OpenError::Header));
        }
        let keys = self
            .lookup
            .epoch(parsed.epoch)
            .map_err(|error| opening::refusal(error.into()))?;
        RunOpener::new(&keys, &self.context, parsed.clone()).map_err(opening::refusal)?;
        Ok(File {
            header: Box::new(*header),
            parsed,
            sealed,
            length,
        })
    }

    /// The file's trailer, which must be of the object that the header begins.
    async fn trailer(
        &self,
        source: Source<'_>,
        file: &File,
        tag: Option<&str>,
    ) -> Result<Arc<Trailer>, Refusal> {
        let fetch = |range: Range<u64>| async move {
            let limit = usize::try_from(range.end - range.start).unwrap_or(0);
            self.piece(source, &range, tag).await?.collect(limit).await
        };
        let trailer =
            opening::trailer(self.lookup.as_ref(), &self.context, file.sealed, fetch).await?;
        let first = trailer.entries.first();
        let same = trailer.object == file.parsed.object
            && first.is_some_and(|entry| entry.commitment == file.parsed.commitment);
        if same {
            Ok(Arc::new(trailer))
        } else {
            Err(opening::refusal(OpenError::Run))
        }
    }

    /// A range of the sealed bytes; where the provider ignores ranges, from its start on.
    async fn piece(
        &self,
        source: Source<'_>,
        range: &Range<u64>,
        tag: Option<&str>,
    ) -> Result<Sealed, Refusal> {
        let mut ask = source.own().range(range);
        if let Some(tag) = tag.filter(|tag| tag.starts_with('"')) {
            ask = ask.header(IF_MATCH, tag);
        }
        let response = self.ask(ask).await?;
        let begins = text(response.headers(), CONTENT_RANGE).and_then(|value| {
            let (first, _) = value.strip_prefix("bytes ")?.split_once('-')?;
            first.parse().ok()
        });
        let why = match response.status() {
            StatusCode::PARTIAL_CONTENT if begins == Some(range.start) => {
                return Ok(response.into_body());
            }
            StatusCode::OK => return response.into_body().skip(range.start).await.map_err(broken),
            StatusCode::PRECONDITION_FAILED => "The file was replaced while it was read.",
            _ => "The provider answered another range than was asked for.",
        };
        Err(Refusal::new(&UPSTREAM_INVALID).message(why))
    }

    fn file_head(
        &self,
        status: StatusCode,
        upstream: &HeaderMap,
        length: u64,
    ) -> Result<HeaderMap, Refusal> {
        let mut headers = self.head(status, upstream)?;
        headers.remove(LOCATION);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        Ok(headers)
    }
}

fn length(headers: &HeaderMap) -> Result<u64, Refusal> {
    total(headers)
        .ok_or_else(|| Refusal::new(&UPSTREAM_INVALID).message("The provider gave no length."))
}

/// The file's whole length at the provider, from a full or a partial answer.
fn total(headers: &HeaderMap) -> Option<u64> {
    match text(headers, CONTENT_RANGE) {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        None => text(headers, CONTENT_LENGTH)?.parse().ok(),
    }
}

/// 403: asking again does not help.
fn unsealed() -> Refusal {
    let mut refusal = Refusal::new(&OBJECT_UNSEALED).message(UNSEALED);
    refusal.status = Some(StatusCode::FORBIDDEN.as_u16());
    refusal
}

fn unsatisfiable(length: u64) -> Refusal {
    let mut refusal = Refusal::new(&PROTOCOL).message("The range lies beyond the file's end.");
    refusal.status = Some(StatusCode::RANGE_NOT_SATISFIABLE.as_u16());
    match HeaderValue::try_from(format!("bytes */{length}")) {
        Ok(value) => refusal.header(CONTENT_RANGE, value),
        Err(_) => refusal,
    }
}

fn broken(fault: crate::body::Fault) -> Refusal {
    Refusal::new(fault.code).message(fault.detail)
}
