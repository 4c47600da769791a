//! Operations that carry no payload: they pass re-signed, under the policy's permit.

use http::header::{CONNECTION, CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, Response};

use super::call::Call;
use super::core::Core;
use super::error::{MAX_MESSAGE_LENGTH_EXCEEDED, S3Error};
use super::integrity::with_md5;
use super::table::Row;
use super::upstream::Ask;
use super::write::set;
use super::xml;
use crate::body::{Cleared, Plain, Released};
use crate::error::Refusal;
use crate::policy::RelayPermit;

/// Documents such as a bucket policy or a retention are short.
const DOCUMENT_LIMIT: usize = 1024 * 1024;

/// Fields of the client's head that belong to these operations.
const SENT: [&str; 14] = [
    "content-md5",
    "content-type",
    "x-amz-acl",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-bucket-object-lock-enabled",
    "x-amz-bypass-governance-retention",
    "x-amz-confirm-remove-self-bucket-access",
    "x-amz-object-ownership",
    "x-amz-transition-default-minimum-object-size",
    "x-amz-bucket-region",
];

impl Core {
    pub(super) async fn relay(
        &self,
        call: &Call,
        row: &Row,
        permit: &RelayPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let intake = self.intake(call, body)?;
        if intake.length > DOCUMENT_LIMIT as u64 {
            return Err(S3Error::new(&MAX_MESSAGE_LENGTH_EXCEEDED).into());
        }
        // read whole first: a digest that does not match must not reach the provider
        let document = intake.body.collect(DOCUMENT_LIMIT).await?;
        match row.name {
            "PutBucketVersioning" => xml::check_versioning(&document, DOCUMENT_LIMIT)?,
            "RestoreObject" => xml::check_restore(&document, DOCUMENT_LIMIT)?,
            _ => {}
        }
        let mut ask = Ask::new(call.method.clone(), &call.address)
            .raw_query(&call.query.for_upstream())
            .copy(&call.headers, &SENT);
        if !document.is_empty() {
            // stores want one for these documents, whatever the client sent
            ask = with_md5(ask, &document);
        }
        let body = if document.is_empty() {
            Cleared::empty()
        } else {
            Cleared::relayed(Plain::whole(document), permit)
        };
        let response = self.send(call, ask, body).await?;
        if !response.status().is_success() {
            return Err(self.upstream_refusal(response).await);
        }
        let (head, body) = response.into_parts();
        let mut answer = Response::new(Released::relayed(body, permit));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = end_to_end(&head.headers);
        if row.name == "CreateBucket" {
            // the provider may name a host of its own
            let bucket = call.address.bucket().unwrap_or_default();
            set(answer.headers_mut(), LOCATION, &format!("/{bucket}"));
        }
        Ok(answer)
    }
}

/// The fields of the provider's answer that a client may see: none of the connection's, none that names the provider.
pub(super) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let passes = name == CONTENT_LENGTH
            || name == "content-type"
            || (name.as_str().starts_with("x-amz-")
                && !matches!(name.as_str(), "x-amz-request-id" | "x-amz-id-2"));
        if passes && name != CONNECTION && name != TRANSFER_ENCODING {
            out.append(name.clone(), value.clone());
        }
    }
    out
}
