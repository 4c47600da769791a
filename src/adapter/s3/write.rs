//! PUT of a whole object: one run, sealed as it streams.

use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::call::{Call, Place};
use super::core::Core;
use super::error::{
    ENTITY_TOO_LARGE, INVALID_REQUEST, METADATA_TOO_LARGE, NOT_IMPLEMENTED, PRECONDITION_FAILED,
    S3Error,
};
use super::etag;
use super::intake::Intake;
use super::integrity::with_md5;
use super::meta::{self, Document, MetaError};
use super::settings::ConditionalWrites;
use super::upstream::Ask;
use crate::body::{Cleared, Plain, Released, SealBody, SealPlan, Tail};
use crate::error::{INTERNAL, Refusal};
use crate::seal::layout;
use crate::seal::{EpochKeys, ObjectId, blob};

/// Fields that go to the provider with an object; the policy has checked those of a group.
pub(super) const CARRIED: [&str; 14] = [
    "x-amz-acl",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write-acp",
    "x-amz-tagging",
    "x-amz-storage-class",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-bypass-governance-retention",
];

/// Fields of the provider's answer to a write that pass to the client.
const ANSWERED: [&str; 4] = [
    "x-amz-version-id",
    "x-amz-expiration",
    "x-amz-server-side-encryption",
    "x-amz-storage-class",
];

/// An object that the provider holds now.
pub(super) struct Stored {
    /// As the client is shown it, without quotes.
    pub etag: String,
    pub headers: HeaderMap,
}

impl Core {
    /// PutObject.
    pub(super) async fn put_object(
        &self,
        call: &Call,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let stored = self.store(call, self.intake(call, body)?).await?;
        let mut answer = Response::new(Released::empty());
        *answer.headers_mut() = stored.headers;
        set(answer.headers_mut(), ETAG, &etag::quote(&stored.etag));
        Ok(answer)
    }

    /// Seals a body into the object that the call names.
    pub(super) async fn store(&self, call: &Call, intake: Intake) -> Result<Stored, Refusal> {
        let place = Place {
            version: None,
            ..call.place()
        };
        let mut document = document(call)?;
        document.checksums = intake.declared();
        let mut ask = Ask::object(Method::PUT, &place).copy(&call.headers, &CARRIED);
        ask = self.write_conditions(call, &place, ask).await?;
        let marker =
            place.address.key().is_some_and(|key| key.ends_with('/')) && intake.length == 0;
        let faults = intake.body.faults();
        let received = intake.received();
        let response = if marker {
            intake.body.collect(0).await?;
            document.empty = true;
            let keys = self.current()?;
            let object = self.object_id(call)?;
            self.seal_metadata(call, &keys, &place, object, &document, &mut ask)?;
            let response = self
                .send(call, with_md5(ask, b""), Cleared::empty())
                .await?;
            if response.status() != StatusCode::OK {
                return Err(self.upstream_refusal(response).await);
            }
            response
        } else {
            let body = self.seal_object(call, intake, &place, document, &mut ask)?;
            let sent = self.send_sealed(call, ask, body).await;
            sent.map_err(|refusal| faults.take().unwrap_or(refusal))?
        };
        let upstream = tag(response.headers());
        let mut headers = HeaderMap::new();
        answered(response.headers(), &mut headers);
        received.write_headers(&mut headers);
        let etag = match received.md5() {
            Some(md5) if self.settings.etag_md5 && !marker => {
                let shown = md5.hex();
                self.keep_alias(call, &upstream, &shown).await?;
                shown
            }
            _ => self.client_etag(&upstream).await?,
        };
        Ok(Stored { etag, headers })
    }

    /// The sealed body of a one-run object, and its metadata in the request's head.
    fn seal_object(
        &self,
        call: &Call,
        intake: Intake,
        place: &Place,
        mut document: Document,
        ask: &mut Ask,
    ) -> Result<SealBody, Refusal> {
        let sealed = layout::sealed_len(intake.length);
        let limit = self.settings.max_put;
        if sealed.is_none_or(|sealed| sealed > limit) || intake.length > self.settings.max_object {
            return Err(S3Error::new(&ENTITY_TOO_LARGE).into());
        }
        let keys = self.current()?;
        let object = self.object_id(call)?;
        let received = intake.received();
        let plan = SealPlan {
            keys: keys.clone(),
            context: self.context.clone(),
            object,
            part: 0,
            salt: self.salt(call)?,
            length: Some(intake.length),
            tail: Tail::Object {
                salt: self.salt(call)?,
                digests: Box::new(move || received.for_trailer()),
            },
        };
        let body = SealBody::new(intake.body, plan)
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        document.run_header = Some(Box::new(body.header()));
        self.seal_metadata(call, &keys, place, object, &document, ask)?;
        Ok(body)
    }

    /// Seals the metadata document for its place and puts it into the request's head.
    pub(super) fn seal_metadata(
        &self,
        call: &Call,
        keys: &EpochKeys,
        place: &Place,
        object: ObjectId,
        document: &Document,
        ask: &mut Ask,
    ) -> Result<(), Refusal> {
        let blob = blob::seal(
            keys,
            &self.context,
            &place.components(),
            object,
            self.salt(call)?,
            &document.encode(),
        )
        .map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        let headers = ask.headers_mut();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        meta::write_blob(headers, &blob).map_err(meta_refusal)
    }

    /// The epoch to seal under.
    pub(super) fn current(&self) -> Result<std::sync::Arc<EpochKeys>, Refusal> {
        crate::adapter::current(&*self.epochs)
    }

    /// `If-Match` and `If-None-Match` of a write, in the provider's terms (decision 19).
    pub(super) async fn write_conditions(
        &self,
        call: &Call,
        place: &Place,
        ask: Ask,
    ) -> Result<Ask, Refusal> {
        let if_match = call.text(IF_MATCH.as_str());
        let if_none_match = call.text(IF_NONE_MATCH.as_str());
        if if_match.is_none() && if_none_match.is_none() {
            return Ok(ask);
        }
        let supported = match self.settings.conditional_writes {
            ConditionalWrites::Yes => true,
            ConditionalWrites::No => false,
            ConditionalWrites::Probe => self.probed_conditions(call, place).await?,
        };
        if !supported {
            return Err(S3Error::with(
                &NOT_IMPLEMENTED,
                "The provider does not honour conditional writes.",
            )
            .into());
        }
        match (if_match, if_none_match) {
            (None, Some("*")) => Ok(ask.header(IF_NONE_MATCH, "*")),
            (Some(list), None) => {
                let upstream = self.matching_tag(call, place, list).await?;
                Ok(ask.if_match(&upstream))
            }
            _ => Err(S3Error::with(
                &NOT_IMPLEMENTED,
                "A write takes either If-Match, or If-None-Match with *.",
            )
            .into()),
        }
    }

    /// The provider's tag for the one that a client holds, where the present object is the one named; else a tag that
    /// no object has.
    pub(super) async fn upstream_tag(
        &self,
        call: &Call,
        place: &Place,
        client: &str,
    ) -> Result<String, Refusal> {
        match self.matching_tag(call, place, client).await {
            Ok(tag) => Ok(tag),
            Err(refusal) if matches!(refusal.status(), 404 | 412) => Ok("0".repeat(32)),
            Err(refusal) => Err(refusal),
        }
    }

    /// The provider's tag of the present object, which the client's `If-Match` names.
    async fn matching_tag(
        &self,
        call: &Call,
        place: &Place,
        list: &str,
    ) -> Result<String, Refusal> {
        let response = self.ask(call, Ask::head(place)).await?;
        if !response.status().is_success() {
            return Err(self.upstream_refusal(response).await);
        }
        let upstream = tag(response.headers());
        let client = self.client_etag(&upstream).await?;
        let tags = etag::Tags {
            upstream: &upstream,
            client: &client,
        };
        if tags.listed(list) {
            Ok(upstream)
        } else {
            Err(S3Error::new(&PRECONDITION_FAILED).into())
        }
    }
}

/// What the request says of the object.
pub(super) fn document(call: &Call) -> Result<Document, Refusal> {
    Document::from_headers(&call.headers).map_err(meta_refusal)
}

pub(super) fn meta_refusal(error: MetaError) -> Refusal {
    match error {
        MetaError::TooLarge => S3Error::new(&METADATA_TOO_LARGE).into(),
        MetaError::Invalid => S3Error::new(&INVALID_REQUEST).into(),
    }
}

/// The provider's tag, without quotes.
pub(super) fn tag(headers: &HeaderMap) -> String {
    headers
        .get(ETAG)
        .and_then(|value| value.to_str().ok())
        .map(etag::unquote)
        .unwrap_or_default()
        .to_owned()
}

/// Copies what a client may see of the provider's answer to a write.
pub(super) fn answered(from: &HeaderMap, to: &mut HeaderMap) {
    for name in ANSWERED {
        if let Some(value) = from.get(name) {
            to.insert(HeaderName::from_static(name), value.clone());
        }
    }
}

pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
