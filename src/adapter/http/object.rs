//! Downloads of sealed objects, whole or in ranges. An object is one run here: the gateway seals uploads whole.

use std::ops::Range;
use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::answer::invalid;
use super::head::Names;
use super::settings::Rule;
use super::{Call, Http};
use crate::adapter::opening;
use crate::adapter::range::{self, Wanted};
use crate::body::{OpenBody, Released, Sealed};
use crate::error::{OBJECT_DAMAGED, OBJECT_UNSEALED, PROTOCOL, Refusal};
use crate::seal::OpenError;
use crate::seal::layout::{self, HEADER};
use crate::seal::object::ObjectReader;
use crate::seal::range::{RangeReader, RangeSource};
use crate::seal::run::{RunHeader, RunOpener};

const UNSEALED: &str = "This file lies unsealed at the provider: it was not sent through the gateway, or somebody \
replaced it. It is not shown as if it were genuine.";

impl Http {
    /// GET or HEAD of an object.
    pub(super) async fn download(
        &self,
        call: &Call<'_>,
        rule: &Rule,
        names: &Names<'_>,
        request: HeaderMap,
    ) -> Result<Response<Released>, Refusal> {
        let wanted = call
            .head
            .headers
            .get(RANGE)
            .filter(|_| call.head.method == Method::GET);
        let wanted = wanted.and_then(|value| range::parse(value.to_str().ok()?));
        let mut headers = request.clone();
        if wanted.is_some() {
            headers.insert(RANGE, HeaderValue::from_static("bytes=0-127"));
            if let Some(value) = call.head.headers.get(IF_RANGE) {
                headers.insert(IF_RANGE, value.clone());
            }
        }
        let first = self.ask(call, headers).await?;
        match (first.status(), wanted) {
            (StatusCode::OK, _) if call.head.method == Method::HEAD => {
                self.described(names, &first)
            }
            (StatusCode::OK, _) => self.whole(names, first).await,
            (StatusCode::PARTIAL_CONTENT, Some(wanted)) => {
                self.part(call, names, request, first, wanted).await
            }
            (status, _) if status.is_success() => {
                Err(invalid("The provider answered a part unasked."))
            }
            _ => self.settle(rule, names, &call.head.method, first).await,
        }
    }

    fn described(
        &self,
        names: &Names<'_>,
        response: &Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        let length = total(response.headers()).and_then(layout::plain_len);
        let mut answer = Response::new(Released::empty());
        *answer.headers_mut() = self.object_head(names, response.headers(), length)?;
        Ok(answer)
    }

    async fn whole(
        &self,
        names: &Names<'_>,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        let (head, body) = response.into_parts();
        let sealed = total(&head.headers).ok_or_else(|| invalid("The provider gave no length."))?;
        let (front, body) = body
            .peek(HEADER)
            .await
            .map_err(|fault| Refusal::new(fault.code).message(fault.detail))?;
        let (_, length) = self.first_run(&front, sealed)?;
        let reader = ObjectReader::new(self.lookup.clone(), self.context.clone(), sealed, None)
            .map_err(opening::refusal)?;
        let mut answer = Response::new(Released::opened(OpenBody::whole(body, reader)).await?);
        *answer.headers_mut() = self.object_head(names, &head.headers, Some(length))?;
        Ok(answer)
    }

    /// One range: the first bytes tell what the object is, then the segments that hold the range are fetched.
    async fn part(
        &self,
        call: &Call<'_>,
        names: &Names<'_>,
        request: HeaderMap,
        first: Response<Sealed>,
        wanted: Wanted,
    ) -> Result<Response<Released>, Refusal> {
        let (head, body) = first.into_parts();
        let sealed = total(&head.headers).ok_or_else(|| invalid("The provider gave no length."))?;
        let front = body.collect(HEADER).await?;
        let (header, length) = self.first_run(&front, sealed)?;
        let range = wanted.within(length).ok_or_else(|| unsatisfiable(length))?;
        let tag = head.headers.get(ETAG);
        let source = match header.length {
            Some(_) => RangeSource::Header(Box::new(header.encode())),
            None => {
                let fetch = |range: Range<u64>| {
                    let request = request.clone();
                    async move {
                        let limit = usize::try_from(range.end - range.start).unwrap_or(0);
                        self.piece(call, request, &range, tag)
                            .await?
                            .collect(limit)
                            .await
                    }
                };
                let trailer =
                    opening::trailer(self.lookup.as_ref(), &self.context, sealed, fetch).await?;
                let first = trailer.entries.first();
                let same = trailer.object == header.object
                    && first.is_some_and(|entry| entry.commitment == header.commitment);
                if !same {
                    return Err(opening::refusal(OpenError::Run));
                }
                RangeSource::Trailer(Arc::new(trailer))
            }
        };
        let reader = RangeReader::new(
            self.lookup.clone(),
            self.context.clone(),
            source,
            sealed,
            range.clone(),
        )
        .map_err(opening::refusal)?;
        let body = self.piece(call, request, &reader.sealed(), tag).await?;
        let mut answer = Response::new(Released::opened(OpenBody::range(body, reader)).await?);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let mut headers = self.object_head(names, &head.headers, Some(range.end - range.start))?;
        let place = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        if let Ok(place) = HeaderValue::try_from(place) {
            headers.insert(CONTENT_RANGE, place);
        }
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// The header of the object's run, its key confirmed, and the length of the plaintext.
    fn first_run(&self, front: &[u8], sealed: u64) -> Result<(RunHeader, u64), Refusal> {
        let unsealed = || Refusal::new(&OBJECT_UNSEALED).message(UNSEALED);
        let header = front.first_chunk::<HEADER>().ok_or_else(unsealed)?;
        let header = match RunHeader::parse(header) {
            Err(OpenError::NotSealed) => return Err(unsealed()),
            header => header.map_err(opening::refusal)?,
        };
        if header.trailer || header.part != 0 {
            return Err(opening::refusal(OpenError::Header));
        }
        let length = layout::plain_len(sealed).ok_or_else(|| {
            Refusal::new(&OBJECT_DAMAGED).message("No sealed file has this length.")
        })?;
        let keys = self
            .lookup
            .epoch(header.epoch)
            .map_err(|error| opening::refusal(error.into()))?;
        RunOpener::new(&keys, &self.context, header.clone()).map_err(opening::refusal)?;
        Ok((header, length))
    }

    /// A range of the sealed bytes, of the version that has this tag.
    async fn piece(
        &self,
        call: &Call<'_>,
        mut request: HeaderMap,
        range: &Range<u64>,
        tag: Option<&HeaderValue>,
    ) -> Result<Sealed, Refusal> {
        for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE] {
            request.remove(name);
        }
        if let Some(tag) = tag.filter(|tag| tag.as_bytes().starts_with(b"\"")) {
            request.insert(IF_MATCH, tag.clone());
        }
        let value = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let value = HeaderValue::try_from(value).map_err(|_| invalid("No such range."))?;
        request.insert(RANGE, value);
        let response = self.ask(call, request).await?;
        let begins = response.headers().get(CONTENT_RANGE).and_then(|value| {
            let (start, _) = value
                .to_str()
                .ok()?
                .strip_prefix("bytes ")?
                .split_once('-')?;
            start.parse().ok()
        });
        if response.status() == StatusCode::PARTIAL_CONTENT && begins == Some(range.start) {
            return Ok(response.into_body());
        }
        Err(invalid(match response.status() {
            StatusCode::PRECONDITION_FAILED => "The file was replaced while it was read.",
            _ => "The provider answered another range than was asked for.",
        }))
    }

    fn object_head(
        &self,
        names: &Names<'_>,
        from: &HeaderMap,
        length: Option<u64>,
    ) -> Result<HeaderMap, Refusal> {
        let mut headers = self.inward(names, from)?;
        headers.remove(CONTENT_RANGE);
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        Ok(headers)
    }
}

/// The object's whole sealed length, from a full or a partial answer.
fn total(headers: &HeaderMap) -> Option<u64> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    match text(CONTENT_RANGE) {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        None => text(CONTENT_LENGTH)?.parse().ok(),
    }
}

fn unsatisfiable(length: u64) -> Refusal {
    let mut refusal = Refusal::new(&PROTOCOL).message("The range lies beyond the file's end.");
    refusal.status = Some(StatusCode::RANGE_NOT_SATISFIABLE.as_u16());
    match HeaderValue::try_from(format!("bytes */{length}")) {
        Ok(value) => refusal.header(CONTENT_RANGE, value),
        Err(_) => refusal,
    }
}
