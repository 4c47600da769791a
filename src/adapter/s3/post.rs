//! PostObject: an upload by a browser's form (decision 18). The fields come first and carry the signature; nothing of
//! the file is read before it holds.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Uri, request};
use http_body::{Body, Frame};

use super::address::{Address, encode_query};
use super::call::Call;
use super::core::Core;
use super::error::{
    ENTITY_TOO_LARGE, ENTITY_TOO_SMALL, INVALID_ARGUMENT, MALFORMED_POST_REQUEST, S3Error,
};
use super::form::{FormFile, FormHead, FormParser, post_response};
use super::query::Query;
use super::sigv4::PayloadForm;
use super::write::set;
use super::{chunked, etag, fields};
use crate::adapter::{Exchange, Principal, authority};
use crate::body::{Chunks, Fault, FaultSlot, Plain, Released};
use crate::error::Refusal;

/// A form is signed by its policy; a signature in the head would be a second one.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn check_head(head: &request::Parts) -> Result<(), S3Error> {
    if head.headers.contains_key(AUTHORIZATION) {
        return Err(S3Error::with(
            &INVALID_ARGUMENT,
            "Only one auth mechanism allowed; a form carries its signature in its fields.",
        ));
    }
    Ok(())
}

/// What the form wants for an answer.
enum Success {
    Redirect(Uri),
    Status(StatusCode),
}

impl Core {
    pub(super) async fn post_object(
        &self,
        exchange: &Exchange,
        bucket: Address,
        head: request::Parts,
        mut body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let mut parser = FormParser::new(&head.headers)?;
        let (form, rest) = loop {
            let piece = body.next().await?.ok_or_else(|| {
                S3Error::with(&MALFORMED_POST_REQUEST, "The form ends before its file.")
            })?;
            if let Some(found) = parser.push(&piece)? {
                break found;
            }
        };
        let name = bucket.bucket().unwrap_or_default();
        let verified =
            self.verifier
                .verify_form(&form.fields, name, &self.clients, exchange.now)?;
        let success = Success::of(&form)?;
        let total = chunked::content_length(&head.headers, PayloadForm::Unsigned)?;
        let file = form.file(total)?;
        check_length(file.length(), verified.length)?;
        let mut headers = form.headers()?;
        fields::check_headers(headers.keys().map(HeaderName::as_str))?;
        fields::check_groups(&headers, |group| self.policy.allows(group))?;
        headers.insert(CONTENT_LENGTH, HeaderValue::from(file.length()));
        let call = Call {
            exchange: *exchange,
            method: Method::POST,
            uri: head.uri,
            address: bucket.with_key(form.field("key").unwrap_or_default().to_owned())?,
            query: Query::default(),
            headers,
            verified: verified.verified,
        };
        let body = body.through(|source, faults| {
            Box::pin(FileBody {
                source,
                faults,
                file: Some(file),
                input: rest,
            })
        });
        let stored = self.store(&call, self.intake(&call, body)?).await?;
        let host = authority(&call.uri, &head.headers).unwrap_or_default();
        let mut answer = success.answer(&call, host, &stored.etag);
        answer.headers_mut().extend(stored.headers);
        set(answer.headers_mut(), ETAG, &etag::quote(&stored.etag));
        answer
            .extensions_mut()
            .insert(Principal(call.verified.access_key.as_str().into()));
        Ok(answer)
    }
}

/// `content-length-range` speaks of the plaintext.
fn check_length(length: u64, allowed: Option<RangeInclusive<u64>>) -> Result<(), S3Error> {
    let Some(allowed) = allowed else {
        return Ok(());
    };
    let (code, name, limit) = if length < *allowed.start() {
        (&ENTITY_TOO_SMALL, "MinSizeAllowed", allowed.start())
    } else if length > *allowed.end() {
        (&ENTITY_TOO_LARGE, "MaxSizeAllowed", allowed.end())
    } else {
        return Ok(());
    };
    Err(S3Error::new(code)
        .detail("ProposedSize", length.to_string())
        .detail(name, limit.to_string()))
}

impl Success {
    /// `success_action_redirect` (or its old name), else `success_action_status`; other statuses mean 204, as with S3.
    fn of(form: &FormHead) -> Result<Self, S3Error> {
        let redirect = form
            .field("success_action_redirect")
            .or_else(|| form.field("redirect"));
        if let Some(text) = redirect {
            return redirect_target(text).map(Self::Redirect).ok_or_else(|| {
                S3Error::argument("success_action_redirect", text, "It is no URL of a page.")
            });
        }
        Ok(Self::Status(match form.field("success_action_status") {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        }))
    }

    fn answer(self, call: &Call, host: &str, tag: &str) -> Response<Released> {
        let mut answer = Response::new(Released::empty());
        let (bucket, key) = (
            call.address.bucket().unwrap_or_default(),
            call.address.key().unwrap_or_default(),
        );
        match self {
            Self::Redirect(uri) => {
                *answer.status_mut() = StatusCode::SEE_OTHER;
                let mut text = uri.to_string();
                text.push(if uri.query().is_some() { '&' } else { '?' });
                for (name, value) in [("bucket=", bucket), ("&key=", key)] {
                    text.push_str(name);
                    encode_query(value, &mut text);
                }
                text.push_str("&etag=");
                encode_query(&etag::quote(tag), &mut text);
                set(answer.headers_mut(), LOCATION, &text);
            }
            Self::Status(status) => {
                *answer.status_mut() = status;
                let location = format!("https://{host}{}", call.address.upstream_path());
                if status == StatusCode::CREATED {
                    let document = post_response(&location, bucket, key, tag);
                    *answer.body_mut() = Released::document(document);
                    answer
                        .headers_mut()
                        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                }
                set(answer.headers_mut(), LOCATION, &location);
            }
        }
        answer
    }
}

/// An absolute `http` or `https` URL without credentials.
fn redirect_target(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let plain = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority()?.as_str();
    (plain && !authority.is_empty() && !authority.contains('@')).then_some(uri)
}

/// The file's bytes; it ends only when the form's own end was seen.
struct FileBody {
    source: Chunks,
    faults: FaultSlot,
    file: Option<FormFile>,
    input: Bytes,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        loop {
            let Some(file) = &mut this.file else {
                return Poll::Ready(None);
            };
            match file.next(&mut this.input) {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Ok(None) => {}
                Err(error) => {
                    this.file = None;
                    return Poll::Ready(Some(Err(this.faults.refuse(error.into()))));
                }
            }
            match ready!(this.source.as_mut().poll_frame(cx)?) {
                Some(frame) => this.input = frame.into_data().unwrap_or_default(),
                None => {
                    let ended = this.file.take().map_or(Ok(()), FormFile::finish);
                    let fault = ended.err().map(|error| this.faults.refuse(error.into()));
                    return Poll::Ready(fault.map(Err));
                }
            }
        }
    }
}
