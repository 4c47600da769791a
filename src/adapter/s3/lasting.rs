//! Copies and completions that last: after a while the answer begins, white space keeps it alive, and whatever comes
//! of it stands in the document, an error too, as with S3 itself (decision 15).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};

use super::call::Call;
use super::core::Core;
use super::xml::DECLARATION;
use super::{S3, error};
use crate::body::{Released, Work, within};
use crate::error::Refusal;

pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Between two spaces.
const PERIOD: Duration = Duration::from_secs(10);

/// A document that answers a request.
pub(super) struct Written {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Written {
    pub fn new(body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        Self { headers, body }
    }

    pub fn into_response(self) -> Response<Released> {
        let mut response = Response::new(Released::document(self.body));
        *response.headers_mut() = self.headers;
        response
    }
}

impl S3 {
    pub(super) async fn lasting<F>(
        &self,
        call: Call,
        start: impl FnOnce(Arc<Core>, Call) -> F,
    ) -> Result<Response<Released>, Refusal>
    where
        F: Future<Output = Result<Written, Refusal>> + Send + 'static,
    {
        let id = call.exchange.request_id;
        let path = call.uri.path().to_owned();
        let work: Work<_> = Box::pin(start(self.core.clone(), call));
        let work = match within(work, self.patience).await {
            Ok(outcome) => return outcome.map(Written::into_response),
            Err(work) => work,
        };
        let rest = Box::pin(async move {
            let document = match work.await {
                Ok(written) => written.body,
                Err(refusal) => {
                    tracing::warn!(request = %id, %refusal, "refused after the answer began");
                    error::document(&refusal, &path, &id.to_string())
                }
            };
            match document.strip_prefix(DECLARATION.as_bytes()) {
                Some(rest) => document.slice_ref(rest),
                None => document,
            }
        });
        let opening = Bytes::from_static(DECLARATION.as_bytes());
        let mut response = Response::new(Released::lasting(opening, rest, PERIOD));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        Ok(response)
    }
}
