//! Downloads of sealed objects, whole or in ranges.

use std::ops::Range;

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::answer::invalid;
use super::head::Names;
use super::settings::Rule;
use super::{Call, Http};
use crate::adapter::opening::{self, File};
use crate::adapter::range::{self, Wanted};
use crate::body::{Released, Sealed};
use crate::error::{OBJECT_UNSEALED, Refusal};
use crate::seal::layout::{self, HEADER};

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
            (StatusCode::OK, _) => self.whole(call, names, request, first).await,
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
        let length = range::total(response.headers()).and_then(layout::plain_len);
        let mut answer = Response::new(Released::empty());
        *answer.headers_mut() = self.object_head(names, response.headers(), length)?;
        Ok(answer)
    }

    async fn whole(
        &self,
        call: &Call<'_>,
        names: &Names<'_>,
        request: HeaderMap,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        let (head, body) = response.into_parts();
        let sealed =
            range::total(&head.headers).ok_or_else(|| invalid("The provider gave no length."))?;
        let (front, body) = body
            .peek(HEADER)
            .await
            .map_err(|fault| Refusal::new(fault.code).message(fault.detail))?;
        let file = self.file(&front, sealed)?;
        let tag = head.headers.get(ETAG);
        let fetch = |range| self.piece(call, request.clone(), range, tag);
        let mut answer = Response::new(self.opener.whole(&file, body, fetch).await?);
        *answer.headers_mut() = self.object_head(names, &head.headers, Some(file.length))?;
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
        let sealed =
            range::total(&head.headers).ok_or_else(|| invalid("The provider gave no length."))?;
        let front = opening::collect(body, HEADER).await?;
        let file = self.file(&front, sealed)?;
        let range = wanted
            .within(file.length)
            .ok_or_else(|| range::unsatisfiable(file.length))?;
        let tag = head.headers.get(ETAG);
        let fetch = |range| self.piece(call, request.clone(), range, tag);
        let mut answer = Response::new(self.opener.range(&file, range.clone(), fetch).await?);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let mut headers = self.object_head(names, &head.headers, Some(range.end - range.start))?;
        range::put_content_range(&mut headers, &range, file.length);
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    fn file(&self, front: &[u8], sealed: u64) -> Result<File, Refusal> {
        let file = self.opener.file(front, sealed)?;
        file.ok_or_else(|| Refusal::new(&OBJECT_UNSEALED).message(UNSEALED))
    }

    /// A range of the sealed bytes, of the version that has this tag.
    async fn piece(
        &self,
        call: &Call<'_>,
        mut request: HeaderMap,
        range: Range<u64>,
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
        opening::piece(self.ask(call, request).await?, &range)
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
