//! Files' bytes: the redirect to them, and their plaintext at the address that it leads to.

use std::ops::Range;

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_RANGE, LOCATION, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::settings::Redirects;
use super::upstream::{Address, Ask, text};
use super::{Call, Graph};
use crate::adapter::opening;
use crate::adapter::range::{self, Wanted};
use crate::body::{Released, Sealed};
use crate::error::{OBJECT_UNSEALED, Refusal, UPSTREAM_INVALID};
use crate::seal::layout::{self, HEADER};

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
        let (status, sealed) = (response.status(), range::total(response.headers()));
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
            (status, _) if status.is_success() => {
                Err(Refusal::new(&UPSTREAM_INVALID)
                    .message("The provider answered a part unasked."))
            }
            _ => self.answer(call, response),
        }
    }

    async fn whole(
        &self,
        source: Source<'_>,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        let (head, body) = response.into_parts();
        let sealed = range::total(&head.headers).ok_or_else(no_length)?;
        let (front, body) = body.peek(HEADER).await.map_err(broken)?;
        let file = self.opener.file(&front, sealed)?.ok_or_else(unsealed)?;
        let headers = self.file_head(head.status, &head.headers, file.length)?;
        let tag = text(&head.headers, ETAG);
        let fetch = |range| self.piece(source, range, tag);
        let mut answer = Response::new(self.opener.whole(&file, body, fetch).await?);
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
        let sealed = range::total(&head.headers).ok_or_else(no_length)?;
        let front = opening::collect(body, HEADER).await?;
        let file = self.opener.file(&front, sealed)?.ok_or_else(unsealed)?;
        let range = wanted
            .within(file.length)
            .ok_or_else(|| range::unsatisfiable(file.length))?;
        let length = range.end - range.start;
        let mut headers = self.file_head(StatusCode::PARTIAL_CONTENT, &head.headers, length)?;
        range::put_content_range(&mut headers, &range, file.length);
        let tag = text(&head.headers, ETAG);
        let fetch = |range| self.piece(source, range, tag);
        let mut answer = Response::new(self.opener.range(&file, range, fetch).await?);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// A range of the sealed bytes; where the provider ignores ranges, what begins where the range does.
    async fn piece(
        &self,
        source: Source<'_>,
        range: Range<u64>,
        tag: Option<&str>,
    ) -> Result<Sealed, Refusal> {
        let mut ask = source.own().range(&range);
        if let Some(tag) = tag.filter(|tag| tag.starts_with('"')) {
            ask = ask.header(IF_MATCH, tag);
        }
        let response = self.ask(ask).await?;
        match response.status() {
            StatusCode::OK => response.into_body().skip(range.start).await.map_err(broken),
            _ => opening::piece(response, &range),
        }
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

fn no_length() -> Refusal {
    Refusal::new(&UPSTREAM_INVALID).message("The provider gave no length.")
}

/// 403: asking again does not help.
fn unsealed() -> Refusal {
    let mut refusal = Refusal::new(&OBJECT_UNSEALED).message(UNSEALED);
    refusal.status = Some(StatusCode::FORBIDDEN.as_u16());
    refusal
}

fn broken(fault: crate::body::Fault) -> Refusal {
    Refusal::new(fault.code).message(fault.detail)
}
