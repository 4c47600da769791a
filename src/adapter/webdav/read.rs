//! GET and HEAD: a file's bytes and length as the client knows them.

use std::ops::Range;
use std::sync::Arc;

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::table::LEGACY;
use super::upstream::{Ask, passed, put, text};
use super::{Call, WebDav};
use crate::adapter::opening;
use crate::adapter::range::{self, Wanted};
use crate::body::{OpenBody, Released, Sealed};
use crate::error::{OBJECT_DAMAGED, OBJECT_UNSEALED, PROTOCOL, Refusal, UPSTREAM_INVALID};
use crate::policy::{Class, Verdict};
use crate::seal::OpenError;
use crate::seal::layout::{self, HEADER};
use crate::seal::object::ObjectReader;
use crate::seal::range::{RangeReader, RangeSource};
use crate::seal::run::{RunHeader, RunOpener};
use crate::seal::trailer::Trailer;

const UNSEALED: &str = "This file lies unsealed at the provider: it was not written through the gateway, or somebody \
replaced it. It is not shown as if it were genuine. Ask whoever runs this service.";
const EMPTIED: &str = "This file is empty at the provider, and the gateway never writes such a file: it was made there, \
or emptied there. Ask whoever runs this service.";

/// What a sealed file's first bytes and length say.
struct File {
    header: Box<[u8; HEADER]>,
    parsed: RunHeader,
    /// Bytes at the provider.
    sealed: u64,
    /// Bytes of plaintext.
    length: u64,
}

impl WebDav {
    pub(super) async fn get(&self, call: &Call<'_>) -> Result<Response<Released>, Refusal> {
        let wanted = text(&call.head.headers, RANGE).and_then(range::parse);
        match wanted {
            Some(wanted) => self.get_range(call, wanted).await,
            None => {
                let response = self.ask(Ask::from_client(call)?).await?;
                self.whole(call, response).await
            }
        }
    }

    /// HEAD says the length that GET has. What lies there unsealed is shown, not read.
    pub(super) async fn head(&self, call: &Call<'_>) -> Result<Response<Released>, Refusal> {
        let response = self.ask(Ask::from_client(call)?).await?;
        let status = response.status();
        let sealed = total(response.headers());
        let kind = response.headers().get(http::header::CONTENT_TYPE).cloned();
        let mut answer = self.answer(call, response)?;
        if status == StatusCode::OK {
            let headers = answer.headers_mut();
            if let Some(kind) = kind {
                headers.insert(http::header::CONTENT_TYPE, kind);
            }
            if let Some(sealed) = sealed {
                let length = layout::plain_len(sealed).unwrap_or(sealed);
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        Ok(answer)
    }

    /// The answer to a request for the whole file.
    async fn whole(
        &self,
        call: &Call<'_>,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        match response.status() {
            StatusCode::OK => {}
            status if status.is_success() => {
                return Err(Refusal::new(&UPSTREAM_INVALID)
                    .message("The provider answered a part unasked."));
            }
            _ => return self.answer(call, response),
        }
        let (head, body) = response.into_parts();
        let sealed = total(&head.headers).ok_or_else(|| {
            Refusal::new(&UPSTREAM_INVALID).message("The provider gave no length.")
        })?;
        let (front, body) = body.peek(HEADER).await.map_err(broken)?;
        let Some(file) = self.file(&front, sealed)? else {
            return self.legacy(&head.headers, StatusCode::OK, body, sealed);
        };
        let (lookup, context) = (self.lookup.clone(), self.context.clone());
        let reader = if file.parsed.part == 0 {
            ObjectReader::new(lookup, context, sealed, None)
        } else {
            let trailer = self.trailer(call, &file, text(&head.headers, ETAG)).await?;
            ObjectReader::with_trailer(lookup, context, sealed, trailer)
        };
        let reader = reader.map_err(opening::refusal)?;
        let mut answer = Response::new(Released::opened(OpenBody::whole(body, reader)).await?);
        *answer.headers_mut() = self.file_head(&head.headers, file.length);
        Ok(answer)
    }

    /// One range: the file's first bytes tell what it is, then the segments that hold the range are fetched.
    async fn get_range(
        &self,
        call: &Call<'_>,
        wanted: Wanted,
    ) -> Result<Response<Released>, Refusal> {
        let mut ask = Ask::from_client(call)?.range(&(0..HEADER as u64));
        if let Some(value) = text(&call.head.headers, IF_RANGE) {
            ask = ask.header(IF_RANGE, value);
        }
        let first = self.ask(ask).await?;
        if first.status() != StatusCode::PARTIAL_CONTENT {
            let empty = first.status() == StatusCode::RANGE_NOT_SATISFIABLE;
            return match empty {
                true => Err(unsealed(EMPTIED)),
                false => self.whole(call, first).await,
            };
        }
        let (head, body) = first.into_parts();
        let sealed = total(&head.headers).ok_or_else(|| {
            Refusal::new(&UPSTREAM_INVALID).message("The provider gave no length.")
        })?;
        let front = body.collect(HEADER).await.map_err(|refusal| {
            Refusal::new(&UPSTREAM_INVALID)
                .message("The provider's range is not what was asked for.")
                .cause(refusal)
        })?;
        let Some(file) = self.file(&front, sealed)? else {
            return self.legacy_range(call, sealed, wanted).await;
        };
        let Some(range) = wanted.within(file.length) else {
            return Err(unsatisfiable(file.length));
        };
        let tag = text(&head.headers, ETAG);
        let source = if file.parsed.part == 0 && file.parsed.length.is_some() {
            RangeSource::Header(file.header.clone())
        } else {
            RangeSource::Trailer(self.trailer(call, &file, tag).await?)
        };
        let reader = RangeReader::new(
            self.lookup.clone(),
            self.context.clone(),
            source,
            sealed,
            range.clone(),
        )
        .map_err(opening::refusal)?;
        let body = self.piece(call, &reader.sealed(), tag).await?;
        let mut answer = Response::new(Released::opened(OpenBody::range(body, reader)).await?);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        *answer.headers_mut() = self.file_head(&head.headers, range.end - range.start);
        put_range(answer.headers_mut(), &range, file.length);
        Ok(answer)
    }

    /// Reads a sealed file's header. `None`: the file is not sealed.
    fn file(&self, front: &[u8], sealed: u64) -> Result<Option<File>, Refusal> {
        let Some(header) = front.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let parsed = match RunHeader::parse(header) {
            Err(OpenError::NotSealed) => return Ok(None),
            parsed => parsed.map_err(opening::refusal)?,
        };
        let length = layout::plain_len(sealed).ok_or_else(|| {
            Refusal::new(&OBJECT_DAMAGED).message("No sealed file has this length.")
        })?;
        if parsed.trailer {
            return Err(opening::refusal(OpenError::Header));
        }
        // known before the head is answered: another context's file, or a key that can't be had
        let keys = self
            .lookup
            .epoch(parsed.epoch)
            .map_err(|error| opening::refusal(error.into()))?;
        RunOpener::new(&keys, &self.context, parsed.clone()).map_err(opening::refusal)?;
        Ok(Some(File {
            header: Box::new(*header),
            parsed,
            sealed,
            length,
        }))
    }

    /// The file's trailer, which must be of the object that the header begins.
    async fn trailer(
        &self,
        call: &Call<'_>,
        file: &File,
        tag: Option<&str>,
    ) -> Result<Arc<Trailer>, Refusal> {
        let fetch = |range: Range<u64>| async move {
            let limit = usize::try_from(range.end - range.start).unwrap_or(0);
            self.piece(call, &range, tag).await?.collect(limit).await
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

    /// A range of the sealed bytes.
    async fn piece(
        &self,
        call: &Call<'_>,
        range: &Range<u64>,
        tag: Option<&str>,
    ) -> Result<Sealed, Refusal> {
        let ask = Ask::own(Method::GET, call).range(range).if_match(tag);
        let response = self.ask(ask).await?;
        let begins = text(response.headers(), CONTENT_RANGE).and_then(|value| {
            value
                .strip_prefix("bytes ")?
                .split_once('-')?
                .0
                .parse()
                .ok()
        });
        if response.status() == StatusCode::PARTIAL_CONTENT && begins == Some(range.start) {
            return Ok(response.into_body());
        }
        let why = match response.status() {
            StatusCode::PRECONDITION_FAILED => "The file was replaced while it was read.",
            _ => "The provider answered another range than was asked for.",
        };
        Err(Refusal::new(&UPSTREAM_INVALID).message(why))
    }

    /// An unsealed file, where the operator lets those be read.
    fn legacy(
        &self,
        upstream: &HeaderMap,
        status: StatusCode,
        body: Sealed,
        length: u64,
    ) -> Result<Response<Released>, Refusal> {
        let why = if length == 0 { EMPTIED } else { UNSEALED };
        let Verdict::Relay(permit) = self.policy.decide(Class::ByPolicy(LEGACY)) else {
            return Err(unsealed(why));
        };
        tracing::info!(service = %self.settings.name, "an unsealed file is read");
        let mut answer = Response::new(Released::relayed(body, &permit));
        *answer.status_mut() = status;
        *answer.headers_mut() = self.file_head(upstream, length);
        Ok(answer)
    }

    async fn legacy_range(
        &self,
        call: &Call<'_>,
        length: u64,
        wanted: Wanted,
    ) -> Result<Response<Released>, Refusal> {
        if !self.policy.allows(LEGACY) {
            return Err(unsealed(UNSEALED));
        }
        let Some(range) = wanted.within(length) else {
            return Err(unsatisfiable(length));
        };
        let response = self.ask(Ask::own(Method::GET, call).range(&range)).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return self.answer(call, response);
        }
        let (head, body) = response.into_parts();
        let status = StatusCode::PARTIAL_CONTENT;
        let mut answer = self.legacy(&head.headers, status, body, range.end - range.start)?;
        put_range(answer.headers_mut(), &range, length);
        Ok(answer)
    }

    fn file_head(&self, upstream: &HeaderMap, length: u64) -> HeaderMap {
        let mut headers = passed(upstream);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers
    }
}

fn put_range(headers: &mut HeaderMap, range: &Range<u64>, length: u64) {
    let value = format!("bytes {}-{}/{length}", range.start, range.end - 1);
    put(headers, CONTENT_RANGE, &value);
}

/// The file's whole length at the provider, from a full or a partial answer.
fn total(headers: &HeaderMap) -> Option<u64> {
    match text(headers, CONTENT_RANGE) {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        None => text(headers, CONTENT_LENGTH)?.parse().ok(),
    }
}

/// 403: asking again does not help.
fn unsealed(why: &'static str) -> Refusal {
    let mut refusal = Refusal::new(&OBJECT_UNSEALED).message(why);
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
