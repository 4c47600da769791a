//! CopyObject: the provider copies the sealed bytes; the metadata is verified for the source's place and sealed anew
//! for the target's (decision 16).

use http::{HeaderName, Method, Response, StatusCode};

use super::address::{self, Address};
use super::call::{Call, Place};
use super::conditions::{self, Outcome};
use super::core::Core;
use super::error::{
    ENTITY_TOO_LARGE, INVALID_ARGUMENT, INVALID_REQUEST, PRECONDITION_FAILED, S3Error,
};
use super::facts::{Facts, ReadError};
use super::lasting::Written;
use super::list::malformed;
use super::meta::Document;
use super::upstream::{Ask, inner_error};
use super::write::{CARRIED, answered, document};
use super::{etag, xml};
use crate::error::Refusal;

const RESULT_LIMIT: usize = 64 * 1024;

/// How a directive header reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Copy,
    Replace,
}

impl Core {
    /// CopyObject.
    pub(super) async fn copy_object(&self, call: &Call) -> Result<Written, Refusal> {
        let (source, target) = (
            source(call)?,
            Place {
                version: None,
                ..call.place()
            },
        );
        let directive = directive(call, "x-amz-metadata-directive")?;
        let facts = self.source_facts(call, &source).await?;
        if facts.sealed > self.settings.max_put {
            return Err(S3Error::with(
                &ENTITY_TOO_LARGE,
                "The source is too large for one copy; use a multipart copy.",
            )
            .into());
        }
        let mut copied = facts.document.clone();
        if directive == Directive::Replace {
            let fresh = document(call)?;
            copied = Document {
                content: fresh.content,
                user: fresh.user,
                ..copied
            };
        } else if source.address == target.address
            && source.version.is_none()
            && !changes_something(call)
        {
            return Err(S3Error::with(
                &INVALID_REQUEST,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
            )
            .into());
        }
        let ask = Ask::object(Method::PUT, &target)
            .copy(&call.headers, &CARRIED)
            .header(
                HeaderName::from_static("x-amz-copy-source"),
                &source_header(&source),
            )
            .header(
                HeaderName::from_static("x-amz-copy-source-if-match"),
                &etag::quote(&facts.upstream_etag),
            )
            .header(
                HeaderName::from_static("x-amz-metadata-directive"),
                "REPLACE",
            );
        let ask = match call.text("x-amz-tagging-directive") {
            Some(value) => ask.header(HeaderName::from_static("x-amz-tagging-directive"), value),
            None => ask,
        };
        let mut ask = self.write_conditions(call, &target, ask).await?;
        let keys = self.current()?;
        self.seal_metadata(call, &keys, &target, facts.object, &copied, &mut ask)?;
        let response = self.ask(call, ask).await?;
        self.copied(response).await
    }

    /// The provider's result, with the tag that clients are shown. Stores may answer 200 and an error inside.
    async fn copied(&self, response: Response<crate::body::Sealed>) -> Result<Written, Refusal> {
        if response.status() != StatusCode::OK {
            return Err(self.upstream_refusal(response).await);
        }
        let (head, body) = response.into_parts();
        let document = body.collect(RESULT_LIMIT).await?;
        if let Some(refusal) = inner_error(&document) {
            return Err(refusal);
        }
        let result = xml::copy_result(&document, RESULT_LIMIT).map_err(malformed)?;
        let shown = self.client_etag(&result.etag).await?;
        let mut out = xml::Writer::document();
        out.root("CopyObjectResult");
        out.element("ETag", &etag::quote(&shown));
        if let Some(modified) = &result.last_modified {
            out.element("LastModified", modified);
        }
        out.close("CopyObjectResult");
        let mut written = Written::new(out.finish());
        answered(&head.headers, &mut written.headers);
        let version = HeaderName::from_static("x-amz-copy-source-version-id");
        if let Some(value) = head.headers.get(&version) {
            written.headers.insert(version, value.clone());
        }
        Ok(written)
    }

    /// What the source is, its conditions checked.
    pub(super) async fn source_facts(
        &self,
        call: &Call,
        source: &Place,
    ) -> Result<Facts, ReadError> {
        let response = self.ask(call, Ask::head(source)).await?;
        if !response.status().is_success() {
            return Err(self.upstream_refusal(response).await.into());
        }
        let facts = self.facts(call, source, response.headers()).await?;
        match conditions::evaluate(
            &call.headers,
            &conditions::COPY_SOURCE,
            facts.tags(),
            facts.modified,
        ) {
            Outcome::Proceed => Ok(facts),
            Outcome::NotModified | Outcome::Failed => {
                Err(S3Error::new(&PRECONDITION_FAILED).into())
            }
        }
    }
}

/// The object that `x-amz-copy-source` names.
pub(super) fn source(call: &Call) -> Result<Place, Refusal> {
    let value = call.text("x-amz-copy-source").unwrap_or_default();
    let (address, version) = Address::copy_source(value)?;
    Ok(Place { address, version })
}

/// `x-amz-copy-source` for the provider: percent-encoded, with the version.
pub(super) fn source_header(source: &Place) -> String {
    let mut value = source.address.upstream_path();
    if let Some(version) = &source.version {
        value.push_str("?versionId=");
        address::encode_query(version, &mut value);
    }
    value
}

fn directive(call: &Call, name: &'static str) -> Result<Directive, S3Error> {
    match call.text(name) {
        None | Some("COPY") => Ok(Directive::Copy),
        Some("REPLACE") => Ok(Directive::Replace),
        Some(_) => Err(S3Error::with(
            &INVALID_ARGUMENT,
            "Unknown metadata directive.",
        )),
    }
}

/// Whether a copy onto itself has a purpose.
fn changes_something(call: &Call) -> bool {
    ["x-amz-storage-class", "x-amz-server-side-encryption"]
        .iter()
        .any(|name| call.headers.contains_key(*name))
}
