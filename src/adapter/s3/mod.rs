//! Amazon S3's protocol. `table` says what becomes of each operation; the handlers are named after what they serve.

pub mod address;
mod attributes;
mod call;
pub mod checksum;
pub mod chunked;
mod conditions;
mod copy;
mod core;
mod delete;
pub mod error;
mod etag;
mod facts;
mod fields;
mod form;
mod given;
mod intake;
mod integrity;
mod lasting;
mod list;
pub mod meta;
mod multipart;
mod post;
mod probe;
pub mod query;
mod read;
mod relay;
pub mod settings;
pub mod sigv4;
pub mod table;
pub mod time;
mod upstream;
mod write;
pub mod xml;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Response, request};

use self::address::Address;
use self::call::Call;
use self::core::Core;
use self::query::Query;
use self::settings::Settings;
use self::sigv4::Verified;
use self::table::Row;
use super::{Adapter, Exchange, Operation, RefusedRequest, Subject};
use crate::body::{Plain, Released, Upstream};
use crate::error::{INTERNAL, OPERATION_DENIED, OPERATION_UNKNOWN, Refusal};
use crate::policy::{DocumentPermit, Policy, Verdict};
use crate::seal::{Epochs, SaltSource};
use crate::state::{Spool, Vault};

/// Until a form's fields were read, nobody knows who sent it.
const FORM: &str = "(form)";

/// One S3 service.
pub struct S3 {
    core: Arc<Core>,
    /// How long a copy or a completion may take before its answer begins (decision 15).
    patience: Duration,
}

/// What `classify` learned.
struct Target {
    row: &'static Row,
    address: Address,
    query: Query,
}

/// What `verify` learned.
enum Proof {
    Signed(Verified),
    /// An upload form carries its signature in the body.
    Form,
}

impl S3 {
    pub fn new(
        settings: Settings,
        policy: Policy,
        epochs: Arc<dyn Epochs>,
        vault: Vault,
        spool: Spool,
        upstream: Arc<dyn Upstream>,
        salts: SaltSource,
    ) -> Self {
        let core = Core::new(settings, policy, epochs, vault, spool, upstream, salts);
        Self {
            core: Arc::new(core),
            patience: lasting::PATIENCE,
        }
    }

    /// With another patience than ten seconds.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    async fn protect(
        &self,
        call: Call,
        row: &Row,
        permit: DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let core = &self.core;
        match row.name {
            "GetObject" | "HeadObject" => core.read_object(&call).await,
            "PutObject" => core.put_object(&call, body).await,
            "CopyObject" => {
                let work =
                    |core: Arc<Core>, call: Call| async move { core.copy_object(&call).await };
                self.lasting(call, work).await
            }
            "CreateMultipartUpload" => core.create_upload(&call).await,
            "UploadPart" => core.upload_part(&call, body).await,
            "UploadPartCopy" => {
                let work = |core: Arc<Core>, call: Call| async move { core.copy_part(&call).await };
                self.lasting(call, work).await
            }
            "AbortMultipartUpload" => core.abort_upload(&call).await,
            "CompleteMultipartUpload" => {
                let work = |core: Arc<Core>, call: Call| async move {
                    core.complete_upload(&call, &permit, body).await
                };
                self.lasting(call, work).await
            }
            "ListParts" => core.list_parts(&call).await,
            "ListMultipartUploads" => core.list_uploads(&call).await,
            "ListObjects" | "ListObjectsV2" | "ListObjectVersions" => {
                core.list_objects(&call).await
            }
            "DeleteObject" => core.delete_object(&call).await,
            "DeleteObjects" => core.delete_objects(&call, &permit, body).await,
            "GetObjectAttributes" => core.object_attributes(&call).await,
            _ => Err(Refusal::new(&OPERATION_UNKNOWN)),
        }
    }
}

#[async_trait]
impl Adapter for S3 {
    fn classify(&self, head: &request::Parts) -> Result<Operation, Refusal> {
        let query = Query::parse(head.uri.query())?;
        let host = super::authority(&head.uri, &head.headers).unwrap_or_default();
        let settings = &self.core.settings;
        let address = Address::parse(
            head.uri.path(),
            host,
            settings.hosts.iter().map(String::as_str),
            settings.virtual_host,
        )?;
        let row = table::classify(&head.method, address.level(), &query, &head.headers)?;
        Ok(Operation {
            name: row.name.into(),
            class: row.class,
            switches: false,
            detail: Box::new(Target {
                row,
                address,
                query,
            }),
        })
    }

    fn verify(
        &self,
        operation: &Operation,
        head: &request::Parts,
        now: SystemTime,
    ) -> Result<Subject, Refusal> {
        let target: &Target = operation.detail.downcast_ref().ok_or_else(foreign)?;
        fields::check_headers(head.headers.keys().map(http::HeaderName::as_str))?;
        if target.row.name == "PostObject" {
            post::check_head(head)?;
            return Ok(Subject {
                principal: FORM.into(),
                proof: Box::new(Proof::Form),
            });
        }
        let core = &self.core;
        let verified = core
            .verifier
            .verify(head, &target.query, &core.clients, now)?;
        let hoisted = || verified.hoisted.iter().map(|(name, _)| name.as_str());
        fields::check_headers(hoisted())?;
        fields::check_hoisted(hoisted())?;
        Ok(Subject {
            principal: verified.access_key.as_str().into(),
            proof: Box::new(Proof::Signed(verified)),
        })
    }

    async fn perform(
        &self,
        exchange: &Exchange,
        verdict: Verdict,
        operation: Operation,
        subject: Subject,
        head: request::Parts,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let target = operation.detail.downcast::<Target>();
        let Target {
            row,
            address,
            query,
        } = *target.map_err(|_| foreign())?;
        let proof = subject.proof.downcast::<Proof>();
        let verified = match (*proof.map_err(|_| foreign())?, &verdict) {
            (Proof::Signed(verified), _) => verified,
            (Proof::Form, Verdict::Protect(_)) => {
                return self.core.post_object(exchange, address, head, body).await;
            }
            (Proof::Form, _) => return Err(foreign()),
        };
        let mut headers = head.headers;
        verified.add_hoisted(&mut headers);
        let call = Call {
            exchange: *exchange,
            method: head.method,
            uri: head.uri,
            address,
            query,
            headers,
            verified,
        };
        fields::check_groups(&call.headers, |group| self.core.policy.allows(group))?;
        match verdict {
            Verdict::Protect(permit) => self.protect(call, row, permit, body).await,
            Verdict::Relay(permit) => self.core.relay(&call, row, &permit, body).await,
            Verdict::Refuse(why) => Err(Refusal::new(&OPERATION_DENIED)
                .protocol("AccessDenied", 403)
                .message(why)),
        }
    }

    fn refuse(&self, refusal: &Refusal, request: &RefusedRequest<'_>) -> Response<Bytes> {
        error::respond(refusal, request)
    }
}

fn foreign() -> Refusal {
    Refusal::new(&INTERNAL).message("An operation or subject of another adapter.")
}
