//! Attached files by themselves, as they stream. What was not sealed came from outside, and passes as it came.

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use http::{HeaderValue, Response, StatusCode, response};

use super::{Graph, READ, attachment, picture};
use crate::adapter::graph::Call;
use crate::adapter::graph::upstream::{Ask, put, text};
use crate::adapter::opening;
use crate::adapter::range;
use crate::body::{Released, Sealed};
use crate::error::{INTERNAL, Refusal};
use crate::policy::{Class, Verdict};
use crate::seal::layout::HEADER;

/// Types of attachments that may be a message, in which something sealed may stand.
const MESSAGES: [&str; 2] = ["message/rfc822", "text/plain"];

impl Graph {
    pub(super) async fn attached_file(
        &self,
        call: &Call<'_>,
    ) -> Result<Response<Released>, Refusal> {
        // no range is asked for yet: what is not sealed need not be as long as a sealed file's header
        let response = self.ask(Ask::from_client(call)).await?;
        if response.status() != StatusCode::OK {
            return self.answer(call, response);
        }
        let (head, body) = response.into_parts();
        let (front, body) = body.peek(picture::FRONT + HEADER).await.map_err(broken)?;
        let length = range::total(&head.headers).filter(|_| picture::inside(&front).is_none());
        match (attachment::sealed_in(&front), length) {
            (None, _) => self.clear_file(head, body).await,
            (Some(_), Some(sealed)) => self.sealed_file(call, &front, sealed, head, body).await,
            (Some(_), None) => {
                let file = self.opened_file(body.collect(READ).await?)?;
                self.held_file(&head, file)
            }
        }
    }

    async fn sealed_file(
        &self,
        call: &Call<'_>,
        front: &[u8],
        sealed: u64,
        head: response::Parts,
        body: Sealed,
    ) -> Result<Response<Released>, Refusal> {
        let damaged = || opening::refusal(crate::seal::OpenError::Header);
        let file = self
            .opener
            .file(front.get(..HEADER).unwrap_or(front), sealed)?
            .ok_or_else(damaged)?;
        let fetch = |range| self.attached_piece(call, range);
        let wanted = text(&call.head.headers, RANGE).and_then(range::parse);
        let mut headers = self.head(head.status, &head.headers)?;
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let Some(wanted) = wanted else {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(file.length));
            let mut answer = Response::new(self.opener.whole(&file, body, fetch).await?);
            *answer.headers_mut() = headers;
            return Ok(answer);
        };
        drop(body);
        let range = wanted
            .within(file.length)
            .ok_or_else(|| range::unsatisfiable(file.length))?;
        headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
        range::put_content_range(&mut headers, &range, file.length);
        let mut answer = Response::new(self.opener.range(&file, range, fetch).await?);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// A range of the sealed bytes; where the service ignores ranges, what begins where the range does.
    async fn attached_piece(
        &self,
        call: &Call<'_>,
        range: std::ops::Range<u64>,
    ) -> Result<Sealed, Refusal> {
        let response = self.ask(Ask::from_client(call).range(&range)).await?;
        match response.status() {
            StatusCode::OK => response.into_body().skip(range.start).await.map_err(broken),
            _ => opening::piece(response, &range),
        }
    }

    /// What was not sealed.
    async fn clear_file(
        &self,
        head: response::Parts,
        body: Sealed,
    ) -> Result<Response<Released>, Refusal> {
        let kind = text(&head.headers, CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let length = range::total(&head.headers);
        let held = length.is_none_or(|length| length <= READ as u64);
        if held && MESSAGES.iter().any(|one| kind.eq_ignore_ascii_case(one)) {
            let message = body.collect(READ).await?;
            let message = self.opened_mime(message)?;
            return self.held_file(&head, message);
        }
        let Verdict::Relay(permit) = self.policy.decide(Class::Pass) else {
            return Err(Refusal::new(&INTERNAL));
        };
        let mut headers = self.head(head.status, &head.headers)?;
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut answer = Response::new(Released::relayed(body, &permit));
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    fn held_file(
        &self,
        head: &response::Parts,
        file: Vec<u8>,
    ) -> Result<Response<Released>, Refusal> {
        let mut headers = self.head(head.status, &head.headers)?;
        put(&mut headers, CONTENT_LENGTH, &file.len().to_string());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
        let mut answer = Response::new(Released::document(file));
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

fn broken(fault: crate::body::Fault) -> Refusal {
    Refusal::new(fault.code).message(fault.detail)
}
