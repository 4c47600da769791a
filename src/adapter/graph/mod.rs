//! Microsoft 365 files: OneDrive and SharePoint through Microsoft Graph and the same API at the tenant's own hosts. Files
//! are sealed; names, places and times are the provider's. Clients prove who they are to the provider.

mod atom;
mod batch;
mod digest;
mod error;
pub mod filler;
mod found;
mod index;
mod items;
mod messages;
pub mod quickxor;
mod read;
mod rest;
mod route;
mod scanner;
mod select;
mod session;
pub mod settings;
pub mod table;
mod upstream;
mod write;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Response, request};

use self::filler::{Filler, Spawn};
use self::index::Index;
use self::route::Route;
use self::settings::{Role, Settings};
use self::table::{Row, Verb};
use self::upstream::{Address, Ask, Wire};
use super::opening::Opener;
use super::{Adapter, Exchange, Operation, RefusedRequest, Subject};
use crate::body::{Cleared, Plain, Released, Upstream};
use crate::error::{HOST_UNKNOWN, INTERNAL, OPERATION_DENIED, PROTOCOL, Refusal};
use crate::policy::{DocumentPermit, Policy, RelayPermit, Verdict};
use crate::seal::{Context, EntropyError, EpochKeys, Epochs, SaltSource};
use crate::state::Vault;

/// Documents that clients send about items are short.
const DOCUMENT: usize = 1024 * 1024;

/// One Microsoft 365 service.
pub struct Graph {
    settings: Settings,
    policy: Policy,
    epochs: Arc<dyn Epochs>,
    context: Arc<Context>,
    opener: Opener,
    wire: Arc<Wire>,
    filler: Filler,
    spawn: Spawn,
    salts: SaltSource,
    vault: Arc<Vault>,
}

/// What classifying learns.
struct Detail {
    row: &'static Row,
    host: usize,
    drive: Option<String>,
    /// Path and query as the provider is asked, where they are others than the client's.
    target: Option<String>,
}

/// One request, as the handlers see it.
#[derive(Clone, Copy)]
struct Call<'a> {
    exchange: &'a Exchange,
    head: &'a request::Parts,
    row: &'static Row,
    host: usize,
    authority: &'a str,
    /// The drive's id, where the path names it.
    drive: Option<&'a str>,
    /// Path and query as the provider is asked, where they are others than the client's.
    asked: Option<&'a str>,
    /// The upload session that is asked about, where it is not at the request's own address.
    session: Option<&'a Address<'a>>,
}

impl<'a> Call<'a> {
    /// Path and query, as the client wrote them.
    fn target(&self) -> &'a str {
        self.head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
    }

    /// Of the upload session that is asked about.
    fn address(&self) -> Address<'a> {
        match self.session {
            Some(address) => *address,
            None => Address {
                host: self.host,
                authority: self.authority,
                target: self.target(),
            },
        }
    }

    /// Seconds since 1970.
    fn unix(&self) -> u64 {
        self.exchange
            .now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}

/// The family that a request belongs to, for who asks beforehand.
///
/// # Errors
/// As `classify`.
pub fn family(settings: &Settings, head: &request::Parts) -> Result<&'static Row, Refusal> {
    detail(settings, head).map(|detail| detail.row)
}

fn detail(settings: &Settings, head: &request::Parts) -> Result<Detail, Refusal> {
    let authority = super::authority(&head.uri, &head.headers).unwrap_or_default();
    let host =
        settings::host(&settings.hosts, authority).ok_or_else(|| Refusal::new(&HOST_UNKNOWN))?;
    let path = head.uri.path();
    let role = settings.hosts[host].role;
    let decoded;
    let route: Option<Route<'_>> = if role == Role::SharePoint && rest::is_rest(path) {
        let bytes = percent_encoding::percent_decode_str(path);
        decoded = bytes
            .decode_utf8()
            .map_err(|_| Refusal::new(&PROTOCOL).message("The path is not UTF-8."))?;
        Some(rest::route(&decoded)?)
    } else {
        route::check(path)?;
        match role {
            Role::Graph => route::graph(path),
            Role::SharePoint => Some(route::sharepoint(path)),
            Role::Outlook => Some(route::outlook(path)),
        }
    };
    let route = route.ok_or_else(|| {
        Refusal::new(&OPERATION_DENIED).message("This version of the interface is not known here.")
    })?;
    let row = table::classify(&head.method, &route, &head.headers, &settings.serves)?;
    table::check_query(row, head.uri.query().unwrap_or_default())?;
    let target = head.uri.path_and_query().map(|target| target.as_str());
    Ok(Detail {
        row,
        host,
        drive: route.drive.map(str::to_owned),
        target: select::extended(row, target.unwrap_or_default())?,
    })
}

impl Graph {
    /// `upstreams`: in the order of the settings' hosts. `spawn`: runs what fills the index, and cancels what was given up.
    pub fn new(
        settings: Settings,
        policy: Policy,
        vault: Vault,
        epochs: Arc<dyn Epochs>,
        upstreams: Vec<Arc<dyn Upstream>>,
        salts: SaltSource,
        spawn: Spawn,
    ) -> Self {
        let context = Arc::new(settings.context.clone());
        let opener = Opener {
            lookup: epochs.clone(),
            context: context.clone(),
        };
        let wire = Arc::new(Wire {
            hosts: settings.hosts.clone(),
            upstreams,
        });
        let vault = Arc::new(vault);
        let index = Index(vault.clone());
        Self {
            filler: Filler::new(index, wire.clone(), opener.clone(), spawn.clone()),
            spawn,
            opener,
            wire,
            epochs,
            context,
            settings,
            policy,
            salts,
            vault,
        }
    }

    /// The epoch to seal under.
    fn current(&self) -> Result<Arc<EpochKeys>, Refusal> {
        super::current(&*self.epochs)
    }

    /// Draws something that no two requests share.
    fn draw<T>(
        &self,
        call: &Call<'_>,
        draw: fn(&SaltSource, u128, &[u8]) -> Result<T, EntropyError>,
    ) -> Result<T, Refusal> {
        call.exchange.draw(&self.salts, draw)
    }

    async fn protect(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        match call.row.verb {
            Verb::Content => {
                none(body).await?;
                self.content(call).await
            }
            Verb::PutContent | Verb::RestPut => self.put_content(call, permit, body).await,
            Verb::Items | Verb::Versions | Verb::Bare | Verb::RestItems => {
                none(body).await?;
                let response = self.ask(Ask::from_client(call)).await?;
                self.answer(call, response)
            }
            Verb::Empty => {
                none(body).await?;
                let mut answer = Response::new(Released::document(&br#"{"value":[]}"#[..]));
                answer.headers_mut().insert(
                    http::header::CONTENT_TYPE,
                    http::HeaderValue::from_static("application/json"),
                );
                Ok(answer)
            }
            Verb::Message(action) => self.message(call, action, permit, body).await,
            Verb::Change => self.change(call, permit, body).await,
            Verb::CreateSession => self.create_session(call, permit, body).await,
            Verb::Session => self.session(call, body).await,
            Verb::RestChunk => self.chunk(call, body).await,
            Verb::Commit => self.commit(call, permit, body).await,
            Verb::Batch => self.batch(call, permit, body).await,
            Verb::Relay | Verb::Never => Err(Refusal::new(&INTERNAL)),
        }
    }

    async fn relay(
        &self,
        call: &Call<'_>,
        permit: &RelayPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let mut ask = Ask::from_client(call);
        let body = body.collect(DOCUMENT).await?;
        if let Some(kind) = upstream::text(&call.head.headers, http::header::CONTENT_TYPE) {
            ask = ask.header(http::header::CONTENT_TYPE, kind);
        }
        let body = match body.is_empty() {
            true => Cleared::empty(),
            false => Cleared::relayed(Plain::whole(body), permit),
        };
        let response = self.send(ask, body).await?;
        self.answer(call, response)
    }
}

/// # Errors
/// A body where none belongs.
async fn none(body: Plain) -> Result<(), Refusal> {
    match body.collect(DOCUMENT).await?.is_empty() {
        true => Ok(()),
        false => Err(Refusal::new(&PROTOCOL).message("This request has no body.")),
    }
}

#[async_trait]
impl Adapter for Graph {
    fn classify(&self, head: &request::Parts) -> Result<Operation, Refusal> {
        let detail = detail(&self.settings, head)?;
        Ok(Operation {
            name: detail.row.name.into(),
            switches: false,
            class: detail.row.class,
            detail: Box::new(detail),
        })
    }

    /// Whoever asks proves it to the provider.
    fn verify(
        &self,
        _: &Operation,
        head: &request::Parts,
        _: SystemTime,
    ) -> Result<Subject, Refusal> {
        let credential = upstream::text(&head.headers, http::header::AUTHORIZATION);
        let scheme = credential.and_then(|value| value.split(' ').next());
        Ok(Subject {
            principal: scheme.map_or("anonymous".into(), |s| s.to_ascii_lowercase().into()),
            proof: Box::new(()),
        })
    }

    async fn perform(
        &self,
        exchange: &Exchange,
        verdict: Verdict,
        operation: Operation,
        _: Subject,
        head: request::Parts,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let detail: &Detail = operation
            .detail
            .downcast_ref()
            .ok_or_else(|| Refusal::new(&INTERNAL).message("An operation of another adapter."))?;
        let call = Call {
            exchange,
            head: &head,
            row: detail.row,
            host: detail.host,
            authority: super::authority(&head.uri, &head.headers).unwrap_or_default(),
            drive: detail.drive.as_deref(),
            asked: detail.target.as_deref(),
            session: None,
        };
        match verdict {
            Verdict::Protect(permit) => self.protect(&call, &permit, body).await,
            Verdict::Relay(permit) => self.relay(&call, &permit, body).await,
            Verdict::Refuse(why) => Err(Refusal::new(&OPERATION_DENIED).message(why)),
        }
    }

    fn refuse(&self, refusal: &Refusal, request: &RefusedRequest<'_>) -> Response<Bytes> {
        error::respond(&self.settings, refusal, request)
    }
}
