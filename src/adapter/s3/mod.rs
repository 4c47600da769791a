//! Amazon S3's protocol. `table` says what becomes of each operation; the handlers are named after what they serve.

pub mod address;
mod attributes;
pub mod checksum;
pub mod chunked;
mod conditions;
mod copy;
mod delete;
pub mod error;
mod etag;
mod facts;
mod given;
mod intake;
mod list;
mod meta;
mod multipart;
mod probe;
pub mod query;
mod read;
mod relay;
pub mod settings;
pub mod sigv4;
pub mod table;
pub mod time;
mod trailers;
mod upstream;
mod write;
pub mod xml;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Response, request};

use self::address::Address;
use self::probe::Probes;
use self::query::Query;
use self::settings::{Credential, KeyPair, Settings};
use self::sigv4::{CredentialLookup, Signer, Verified, Verifier};
use self::table::Row;
use self::trailers::Trailers;
use super::{Adapter, Exchange, Operation, RefusedRequest, Subject};
use crate::body::{Plain, Released, Upstream};
use crate::error::{INTERNAL, OPERATION_DENIED, Refusal};
use crate::policy::{DocumentPermit, Policy, Verdict};
use crate::seal::{Context, Epochs, KeyLookup, ObjectId, OpenError, Salt, SaltSource};
use crate::secret::SecretBytes;
use crate::state::{Component, Spool, StateError, Table, Vault};

/// One S3 service.
pub struct S3 {
    settings: Settings,
    policy: Policy,
    verifier: Verifier,
    clients: Clients,
    /// The service's own credential at the provider.
    signer: Arc<Signer>,
    epochs: Arc<dyn Epochs>,
    lookup: Arc<dyn KeyLookup>,
    context: Arc<Context>,
    vault: Vault,
    upstream: Arc<dyn Upstream>,
    salts: SaltSource,
    spool: Spool,
    trailers: Trailers,
    probes: Probes,
}

/// Where an object is, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    address: Address,
    version: Option<String>,
}

impl Place {
    /// What the metadata is bound to: bucket and key.
    fn components(&self) -> [&[u8]; 2] {
        [
            self.address.bucket().unwrap_or_default().as_bytes(),
            self.address.key().unwrap_or_default().as_bytes(),
        ]
    }
}

/// What `classify` learned.
struct Target {
    row: &'static Row,
    address: Address,
    query: Query,
}

/// A verified request, as the handlers see it.
struct Call<'a> {
    exchange: &'a Exchange,
    method: &'a Method,
    address: &'a Address,
    query: &'a Query,
    /// The header fields that count: a presigned URL's hoisted ones included.
    headers: &'a HeaderMap,
    verified: &'a Verified,
}

impl Call<'_> {
    /// The object that the request names.
    fn place(&self) -> Place {
        Place {
            address: self.address.clone(),
            version: self.query.get("versionId").map(str::to_owned),
        }
    }

    /// Nanoseconds since 1970.
    fn nanos(&self) -> u128 {
        self.exchange
            .now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos())
    }

    /// Seconds since 1970.
    fn unix(&self) -> u64 {
        u64::try_from(self.nanos() / 1_000_000_000).unwrap_or(u64::MAX)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The credentials that clients sign with, and the signer behind each.
struct Clients(HashMap<String, (SecretBytes, Arc<Signer>)>);

impl CredentialLookup for Clients {
    fn secret(&self, access_key: &str) -> Option<&SecretBytes> {
        self.0.get(access_key).map(|(secret, _)| secret)
    }
}

impl S3 {
    pub fn new(
        mut settings: Settings,
        policy: Policy,
        epochs: Arc<dyn Epochs>,
        vault: Vault,
        spool: Spool,
        upstream: Arc<dyn Upstream>,
        salts: SaltSource,
    ) -> Self {
        let region = settings.upstream.region.clone();
        let signer = |pair: KeyPair| {
            Arc::new(Signer::new(
                pair.access_key,
                pair.secret_key,
                region.clone(),
            ))
        };
        let own = signer(std::mem::take(&mut settings.upstream.credential));
        let clients = std::mem::take(&mut settings.credentials)
            .into_iter()
            .map(|Credential { client, upstream }| {
                let signer = upstream.map_or_else(|| own.clone(), signer);
                (client.access_key, (client.secret_key, signer))
            })
            .collect();
        Self {
            policy,
            verifier: Verifier::new(settings.regions.clone()),
            clients: Clients(clients),
            signer: own,
            lookup: epochs.clone(),
            epochs,
            context: Arc::new(settings.context.clone()),
            settings,
            vault,
            upstream,
            salts,
            spool,
            trailers: Trailers::default(),
            probes: Probes::default(),
        }
    }

    fn salt(&self, call: &Call<'_>) -> Result<Salt, Refusal> {
        self.salts
            .salt(call.nanos(), call.verified.chain.seed.as_bytes())
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }

    fn object_id(&self, call: &Call<'_>) -> Result<ObjectId, Refusal> {
        self.salts
            .object_id(call.nanos(), call.verified.chain.seed.as_bytes())
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }

    /// The tag that the client is shown. Only tags that can have an alias cost a look into the state.
    async fn client_etag(&self, upstream: &str) -> Result<String, Refusal> {
        if etag::is_md5(upstream) && !self.settings.etag_md5 {
            return Ok(etag::to_client(upstream));
        }
        let key = self.alias_key(upstream);
        let alias = self.vault.get(Table::Alias, &key).await?;
        Ok(alias
            .and_then(|alias| String::from_utf8(alias).ok())
            .unwrap_or_else(|| etag::to_client(upstream)))
    }

    /// Many tags at once, for a listing.
    async fn client_etags(&self, upstream: &[String]) -> Result<Vec<String>, Refusal> {
        let asked: Vec<&String> = upstream
            .iter()
            .filter(|tag| !etag::is_md5(tag) || self.settings.etag_md5)
            .collect();
        let keys = asked.iter().map(|tag| self.alias_key(tag)).collect();
        let found = self.vault.get_many(Table::Alias, keys).await?;
        let aliases: HashMap<&String, String> = asked
            .into_iter()
            .zip(found)
            .filter_map(|(tag, alias)| Some((tag, String::from_utf8(alias?).ok()?)))
            .collect();
        Ok(upstream
            .iter()
            .map(|tag| match aliases.get(tag) {
                Some(alias) => alias.clone(),
                None => etag::to_client(tag),
            })
            .collect())
    }

    /// Remembers the tag that clients are shown for the provider's.
    async fn keep_alias(&self, upstream: &str, client: &str) -> Result<(), StateError> {
        let key = self.alias_key(upstream);
        self.vault
            .put(Table::Alias, &key, client.as_bytes(), None)
            .await
    }

    fn alias_key(&self, upstream: &str) -> crate::state::RowKey {
        self.vault
            .key(Table::Alias, &[Component::Name(upstream.as_bytes())])
    }

    /// The refusal for a sealed thing that does not open. A commitment that does not match is another's object.
    fn open_refusal(&self, error: OpenError) -> Refusal {
        super::opening::refusal(error)
    }

    async fn protect(
        &self,
        call: &Call<'_>,
        row: &Row,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        match row.name {
            "GetObject" | "HeadObject" => self.read_object(call).await,
            "PutObject" => self.put_object(call, body).await,
            "CopyObject" => self.copy_object(call).await,
            "CreateMultipartUpload" => self.create_upload(call).await,
            "UploadPart" => self.upload_part(call, body).await,
            "UploadPartCopy" => self.copy_part(call).await,
            "AbortMultipartUpload" => self.abort_upload(call).await,
            "CompleteMultipartUpload" => self.complete_upload(call, permit, body).await,
            "ListParts" => self.list_parts(call).await,
            "ListMultipartUploads" => self.list_uploads(call).await,
            "ListObjects" | "ListObjectsV2" | "ListObjectVersions" => self.list_objects(call).await,
            "DeleteObject" => self.delete_object(call).await,
            "DeleteObjects" => self.delete_objects(call, permit, body).await,
            "GetObjectAttributes" => self.object_attributes(call).await,
            _ => Err(Refusal::new(&OPERATION_DENIED).message("not yet")),
        }
    }
}

#[async_trait]
impl Adapter for S3 {
    fn classify(&self, head: &request::Parts) -> Result<Operation, Refusal> {
        let query = Query::parse(head.uri.query())?;
        let host = super::authority(head).unwrap_or_default();
        let address = Address::parse(
            head.uri.path(),
            host,
            self.settings.hosts.iter().map(String::as_str),
        )?;
        let row = table::classify(&head.method, address.level(), &query, &head.headers)?;
        Ok(Operation {
            name: row.name,
            class: row.class,
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
        let target = target(operation)?;
        let verified = self
            .verifier
            .verify(head, &target.query, &self.clients, now)?;
        table::check_headers(head.headers.keys().map(http::HeaderName::as_str))?;
        table::check_headers(verified.hoisted.iter().map(|(name, _)| name.as_str()))?;
        Ok(Subject {
            principal: verified.access_key.as_str().into(),
            proof: Box::new(verified),
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
        let target = target(&operation)?;
        let verified = subject
            .proof
            .downcast_ref::<Verified>()
            .ok_or_else(|| Refusal::new(&INTERNAL).message("A subject of another adapter."))?;
        let headers = if verified.hoisted.is_empty() {
            Cow::Borrowed(&head.headers)
        } else {
            Cow::Owned(verified.effective_headers(&head.headers))
        };
        let call = Call {
            exchange,
            method: &head.method,
            address: &target.address,
            query: &target.query,
            headers: &headers,
            verified,
        };
        table::check_groups(call.headers, |group| self.policy.allows(group))?;
        match verdict {
            Verdict::Protect(permit) => self.protect(&call, target.row, &permit, body).await,
            Verdict::Relay(permit) => self.relay(&call, &permit, body).await,
            Verdict::Refuse(why) => Err(Refusal::new(&OPERATION_DENIED)
                .protocol("AccessDenied", 403)
                .message(why)),
        }
    }

    fn refuse(&self, refusal: &Refusal, request: &RefusedRequest<'_>) -> Response<Bytes> {
        error::respond(refusal, request)
    }
}

fn target(operation: &Operation) -> Result<&Target, Refusal> {
    operation
        .detail
        .downcast_ref()
        .ok_or_else(|| Refusal::new(&INTERNAL).message("An operation of another adapter."))
}
