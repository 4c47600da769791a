//! DeleteObject and DeleteObjects.

use http::header::{CONTENT_TYPE, IF_MATCH};
use http::{HeaderValue, Method, Response, StatusCode};

use super::call::{Call, Place};
use super::core::Core;
use super::error::{INVALID_REQUEST, MISSING_REQUEST_BODY, NOT_IMPLEMENTED, S3Error};
use super::integrity::with_md5;
use super::relay::end_to_end;
use super::upstream::Ask;
use super::xml;
use crate::body::{Cleared, Plain, Released};
use crate::error::Refusal;
use crate::policy::DocumentPermit;

/// A thousand keys of 1,024 bytes, escaped.
const REQUEST_LIMIT: usize = 8 * 1024 * 1024;
const RESULT_LIMIT: usize = 8 * 1024 * 1024;
const SENT: [&str; 1] = ["x-amz-bypass-governance-retention"];

impl Core {
    pub(super) async fn delete_object(&self, call: &Call) -> Result<Response<Released>, Refusal> {
        let place = call.place();
        let mut ask = Ask::object(Method::DELETE, &place).copy(&call.headers, &SENT);
        if call.headers.contains_key(IF_MATCH) {
            ask = self.write_conditions(call, &place, ask).await?;
        }
        let response = self.ask(call, ask).await?;
        if !response.status().is_success() {
            return Err(self.upstream_refusal(response).await);
        }
        let mut answer = Response::new(Released::empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        *answer.headers_mut() = end_to_end(response.headers());
        answer.headers_mut().remove(http::header::CONTENT_LENGTH);
        answer.headers_mut().remove(CONTENT_TYPE);
        Ok(answer)
    }

    pub(super) async fn delete_objects(
        &self,
        call: &Call,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let intake = self.intake(call, body)?;
        if intake.length == 0 {
            return Err(S3Error::new(&MISSING_REQUEST_BODY).into());
        }
        if !intake.has_digest() {
            return Err(S3Error::with(
                &INVALID_REQUEST,
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
            )
            .into());
        }
        let document = intake.body.collect(REQUEST_LIMIT).await?;
        let mut request = xml::delete_request(&document, REQUEST_LIMIT)?;
        for object in &mut request.objects {
            if object.other_conditions {
                return Err(S3Error::new(&NOT_IMPLEMENTED).into());
            }
            if let Some(tag) = object.etag.take() {
                let place = Place {
                    address: call.address.with_key(object.key.clone())?,
                    version: object.version.clone(),
                };
                // an object that is not the one named keeps a tag that no object has, and so fails by itself
                object.etag = Some(self.upstream_tag(call, &place, &tag).await?);
            }
        }
        let document = xml::delete_document(&request);
        let ask = Ask::new(Method::POST, &call.address)
            .query("delete", "")
            .copy(&call.headers, &SENT)
            .header(CONTENT_TYPE, "application/xml");
        let ask = with_md5(ask, &document);
        let response = self
            .send(call, ask, Cleared::document(document, permit))
            .await?;
        if response.status() != StatusCode::OK {
            return Err(self.upstream_refusal(response).await);
        }
        let result = response.into_body().collect(RESULT_LIMIT).await?;
        xml::parse(&result, RESULT_LIMIT).map_err(super::list::malformed)?;
        let mut answer = Response::new(Released::document(result));
        answer
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        Ok(answer)
    }
}
