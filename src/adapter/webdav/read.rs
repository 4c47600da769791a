//! GET and HEAD: a file's bytes and length as the client knows them.

use std::ops::Range;
use std::sync::Arc;

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::table::LEGACY;
use super::upstream::{Ask, passed, text};
use super::{Call, WebDav};
use crate::adapter::opening::{self, Opener};
use crate::adapter::range::{self, Wanted};
use crate::body::{Released, Sealed};
use crate::error::{OBJECT_UNSEALED, Refusal, UPSTREAM_INVALID};
use crate::policy::{Class, Verdict};
use crate::seal::layout::{self, HEADER};
use crate::telemetry::UNSEALED_READS;

const UNSEALED: &str = "This file lies unsealed at the provider: it was not written through the gateway, or somebody \
replaced it. It is not shown as if it were genuine. Ask whoever runs this service.";
const EMPTIED: &str = "This file is empty at the provider, and the gateway never writes such a file: it was made there, \
or emptied there. Ask whoever runs this service.";

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
        let sealed = range::total(response.headers());
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
        let sealed = range::total(&head.headers).ok_or_else(no_length)?;
        let (front, body) = body.peek(HEADER).await.map_err(broken)?;
        let Some(file) = self.opener.file(&front, sealed)? else {
            return self.legacy(&head.headers, StatusCode::OK, body, sealed);
        };
        let tag = text(&head.headers, ETAG);
        let file = Arc::new(file);
        self.pins.keep(call, tag, &file)?;
        let fetch = |range| self.piece(call, range, tag);
        let mut answer = Response::new(self.opener.whole(&file, body, fetch).await?);
        *answer.headers_mut() = self.file_head(&head.headers, file.length);
        Ok(answer)
    }

    /// One range: the file's first bytes tell what it is, then the segments that hold the range are fetched.
    async fn get_range(
        &self,
        call: &Call<'_>,
        wanted: Wanted,
    ) -> Result<Response<Released>, Refusal> {
        if let Some(answer) = self.remembered(call, wanted).await? {
            return Ok(answer);
        }
        let first = self.ask(ranged(call, &(0..HEADER as u64))?).await?;
        if first.status() != StatusCode::PARTIAL_CONTENT {
            let empty = first.status() == StatusCode::RANGE_NOT_SATISFIABLE;
            return match empty {
                true => Err(unsealed(EMPTIED)),
                false => self.whole(call, first).await,
            };
        }
        let (head, body) = first.into_parts();
        let sealed = range::total(&head.headers).ok_or_else(no_length)?;
        let front = opening::collect(body, HEADER).await?;
        let Some(file) = self.opener.file(&front, sealed)? else {
            return self.legacy_range(call, sealed, wanted).await;
        };
        let range = wanted
            .within(file.length)
            .ok_or_else(|| range::unsatisfiable(file.length))?;
        let tag = text(&head.headers, ETAG);
        let fetch = |range| self.piece(call, range, tag);
        self.opener.complete(&file, fetch).await?;
        let file = Arc::new(file);
        self.pins.keep(call, tag, &file)?;
        let opened = self.opener.range(&file, range.clone(), fetch).await?;
        Ok(self.partial(&head.headers, opened, &range, file.length))
    }

    /// The range of a file that was read lately, with one request. `None`: no such file, or it was replaced since.
    async fn remembered(
        &self,
        call: &Call<'_>,
        wanted: Wanted,
    ) -> Result<Option<Response<Released>>, Refusal> {
        // the client's own takes the place of the one that ties the range to the file
        if call.head.headers.contains_key(IF_MATCH) {
            return Ok(None);
        }
        let Some((tag, file)) = self.pins.get(call) else {
            return Ok(None);
        };
        let Some(range) = wanted.within(file.length) else {
            return Ok(None);
        };
        let Some(reader) = self.opener.plan(&file, range.clone())? else {
            return Ok(None);
        };
        let sealed = reader.sealed();
        let response = self
            .ask(ranged(call, &sealed)?.if_match(Some(&tag)))
            .await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => return Ok(None),
            _ => return self.whole(call, response).await.map(Some),
        }
        let same = text(response.headers(), ETAG) == Some(&tag) && file.fits(response.headers());
        if !same {
            return Ok(None);
        }
        let headers = response.headers().clone();
        let opened = Opener::read(reader, opening::piece(response, &sealed)?).await?;
        Ok(Some(self.partial(&headers, opened, &range, file.length)))
    }

    fn partial(
        &self,
        upstream: &HeaderMap,
        opened: Released,
        range: &Range<u64>,
        length: u64,
    ) -> Response<Released> {
        let mut answer = Response::new(opened);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        *answer.headers_mut() = self.file_head(upstream, range.end - range.start);
        range::put_content_range(answer.headers_mut(), range, length);
        answer
    }

    /// A range of the sealed bytes.
    pub(super) async fn piece(
        &self,
        call: &Call<'_>,
        range: Range<u64>,
        tag: Option<&str>,
    ) -> Result<Sealed, Refusal> {
        let ask = Ask::own(Method::GET, call).range(&range).if_match(tag);
        opening::piece(self.ask(ask).await?, &range)
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
        let reads = UNSEALED_READS.add(&self.settings.name, 1);
        tracing::info!(service = %self.settings.name, reads, "an unsealed file is read");
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
            return Err(range::unsatisfiable(length));
        };
        let response = self.ask(Ask::own(Method::GET, call).range(&range)).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return self.answer(call, response);
        }
        let headers = response.headers().clone();
        let body = opening::piece(response, &range)?;
        let status = StatusCode::PARTIAL_CONTENT;
        let mut answer = self.legacy(&headers, status, body, range.end - range.start)?;
        range::put_content_range(answer.headers_mut(), &range, length);
        Ok(answer)
    }

    pub(super) fn unsealed(&self) -> Refusal {
        unsealed(UNSEALED)
    }

    pub(super) fn emptied(&self) -> Refusal {
        unsealed(EMPTIED)
    }

    fn file_head(&self, upstream: &HeaderMap, length: u64) -> HeaderMap {
        let mut headers = passed(upstream);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers
    }
}

/// The client's request, for a range of the sealed bytes.
fn ranged(call: &Call<'_>, range: &Range<u64>) -> Result<Ask, Refusal> {
    let ask = Ask::from_client(call)?.range(range);
    Ok(match text(&call.head.headers, IF_RANGE) {
        Some(value) => ask.header(IF_RANGE, value),
        None => ask,
    })
}

/// 403: asking again does not help.
fn unsealed(why: &'static str) -> Refusal {
    let mut refusal = Refusal::new(&OBJECT_UNSEALED).message(why);
    refusal.status = Some(StatusCode::FORBIDDEN.as_u16());
    refusal
}

fn no_length() -> Refusal {
    Refusal::new(&UPSTREAM_INVALID).message("The provider gave no length.")
}

fn broken(fault: crate::body::Fault) -> Refusal {
    Refusal::new(fault.code).message(fault.detail)
}
