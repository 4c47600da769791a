//! WebDAV (RFC 4918). Files are sealed as one run each, whole; names, properties and locks are the provider's. Clients
//! prove who they are to the provider: `Authorization` passes through.

mod browse;
mod change;
mod chunk;
mod condition;
mod digest;
mod document;
mod error;
pub mod estate;
mod finder;
mod links;
mod listing;
mod lock;
mod long;
mod markup;
mod names;
mod naming;
mod pattern;
mod pins;
mod precondition;
mod read;
mod recalculate;
pub mod settings;
pub mod table;
mod uploads;
mod upstream;
mod write;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Response, request};

use self::links::Links;
use self::listing::Lengths;
use self::long::LongNames;
use self::naming::Naming;
use self::pattern::Pattern;
use self::pins::Pins;
use self::settings::Settings;
use self::table::{Row, Verb};
use self::uploads::Upload;
use self::upstream::{DESTINATION, Way};
use super::opening::Opener;
use super::{Adapter, Exchange, Operation, RefusedRequest, Subject};
use crate::body::{Plain, Released, Upstream};
use crate::error::{INTERNAL, OPERATION_DENIED, PROTOCOL, Refusal};
use crate::policy::{Policy, RelayPermit, Verdict};
use crate::seal::layout;
use crate::seal::name::NameKey;
use crate::seal::{Context, EntropyError, EpochKeys, Epochs, SaltSource};
use crate::state::{Spool, Vault};

/// One WebDAV service.
pub struct WebDav {
    settings: Settings,
    policy: Policy,
    epochs: Arc<dyn Epochs>,
    opener: Opener,
    context: Arc<Context>,
    way: Way,
    pins: Pins,
    salts: SaltSource,
    naming: Option<Arc<Naming>>,
    long: Option<Arc<LongNames>>,
    uploads: Pattern,
    vault: Arc<Vault>,
    spool: Spool,
}

/// Where a service keeps what outlives a request.
pub struct Stores {
    pub vault: Vault,
    pub spool: Spool,
}

/// One request, as the handlers see it.
struct Call<'a> {
    exchange: &'a Exchange,
    head: &'a request::Parts,
    /// The resource, as the provider names it.
    path: &'a str,
    links: Arc<Links>,
    /// What lengths in listings mean here.
    lengths: Lengths,
}

impl Call<'_> {
    /// Seconds since 1970.
    fn unix(&self) -> u64 {
        self.exchange.unix()
    }
}

impl WebDav {
    pub fn new(
        settings: Settings,
        policy: Policy,
        names: NameKey,
        stores: Stores,
        epochs: Arc<dyn Epochs>,
        upstream: Arc<dyn Upstream>,
        salts: SaltSource,
    ) -> Self {
        let Stores { vault, spool } = stores;
        let vault = Arc::new(vault);
        let below = settings.names_below.as_deref();
        let naming = below.map(|below| Arc::new(Naming::new(Arc::new(names), below)));
        let context = Arc::new(settings.context.clone());
        let opener = Opener {
            lookup: epochs.clone(),
            context: context.clone(),
        };
        let way = Way::new(upstream, settings.upstream.authority.clone());
        let long = naming.clone().map(|naming| {
            let (vault, way, opener) = (vault.clone(), way.clone(), opener.clone());
            Arc::new(LongNames::new(naming, vault, way, opener))
        });
        Self {
            long,
            naming,
            uploads: Pattern::new(&settings.uploads_below),
            vault,
            spool,
            policy,
            opener,
            epochs,
            context,
            settings,
            way,
            pins: Pins::new(),
            salts,
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

    /// # Errors
    /// The request would make something where names must be sealed and are not, or a file among an upload's chunks.
    fn check_written(
        &self,
        verb: Verb,
        head: &request::Parts,
        links: &Links,
        upload: bool,
    ) -> Result<(), Refusal> {
        match verb {
            Verb::Put | Verb::Mkcol | Verb::Lock if !upload => links.writable(head.uri.path()),
            Verb::Copy | Verb::Move => {
                let Some(url) = upstream::text(&head.headers, DESTINATION) else {
                    return Ok(());
                };
                let target = links.own_path(url)?;
                if Upload::parse(&self.uploads, target).is_some() {
                    return Err(Refusal::new(&OPERATION_DENIED).message(
                        "Within an upload, chunks are put and joined, and nothing else.",
                    ));
                }
                links.writable(target)
            }
            _ => Ok(()),
        }
    }

    async fn serve(
        &self,
        call: &Call<'_>,
        verb: Verb,
        verdict: Verdict,
        upload: Option<Upload<'_>>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        if let (Some(upload), true) = (&upload, verb.changes()) {
            if let Verdict::Refuse(why) = verdict {
                return Err(Refusal::new(&OPERATION_DENIED).message(why));
            }
            return self.upload(call, verb, upload, body).await;
        }
        match (verdict, verb) {
            (Verdict::Protect(_), Verb::Get) => self.get(call).await,
            (Verdict::Protect(_), Verb::Head) => self.head(call).await,
            (Verdict::Protect(_), Verb::Recalculate) => self.recalculate(call, body).await,
            (Verdict::Protect(_), Verb::Put) => self.put(call, body).await,
            (Verdict::Protect(_), _) => Err(Refusal::new(&INTERNAL)),
            (Verdict::Relay(permit), verb) => self.relay(call, verb, &permit, body).await,
            (Verdict::Refuse(why), _) => Err(Refusal::new(&OPERATION_DENIED).message(why)),
        }
    }

    /// Forgets what was read of the files that a request changes: before it, because it may be dropped, and behind it.
    fn forget_pins(&self, call: &Call<'_>, verb: Verb) {
        if !verb.changes() {
            return;
        }
        self.pins.forget(call.path);
        let destination = upstream::text(&call.head.headers, DESTINATION);
        let path = destination.and_then(|url| call.links.own_path(url).ok());
        if let Some(path) = path.and_then(|path| call.links.path(path).ok()) {
            self.pins.forget(&path);
        }
    }

    /// Methods that carry no file.
    async fn relay(
        &self,
        call: &Call<'_>,
        verb: Verb,
        permit: &RelayPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        match verb {
            Verb::Options => self.options(call, body).await,
            Verb::Propfind => self.describe(call, permit, "propfind", body).await,
            Verb::Proppatch => {
                self.describe(call, permit, document::PROPERTYUPDATE, body)
                    .await
            }
            Verb::Report => self.report(call, permit, body).await,
            Verb::Lock => self.lock(call, permit, body).await,
            Verb::Delete | Verb::Mkcol | Verb::Copy | Verb::Move | Verb::Unlock => {
                self.change(call, body).await
            }
            Verb::Get | Verb::Head | Verb::Put | Verb::Recalculate | Verb::Never => {
                Err(Refusal::new(&INTERNAL))
            }
        }
    }
}

#[async_trait]
impl Adapter for WebDav {
    fn classify(&self, head: &request::Parts) -> Result<Operation, Refusal> {
        let row = table::classify(&head.method, &head.headers)?;
        if head.uri.query().is_some() {
            return Err(Refusal::new(&PROTOCOL).message("A query is not allowed here."));
        }
        links::check_path(head.uri.path())?;
        Ok(Operation {
            name: row.name.into(),
            class: row.class,
            switches: false,
            detail: Box::new(row),
        })
    }

    /// Whoever asks proves it to the provider; the log learns the name that a Basic credential gives.
    fn verify(
        &self,
        _: &Operation,
        head: &request::Parts,
        _: SystemTime,
    ) -> Result<Subject, Refusal> {
        let credential = upstream::text(&head.headers, http::header::AUTHORIZATION);
        Ok(Subject {
            principal: principal(credential).into(),
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
        let row: &&'static Row = operation
            .detail
            .downcast_ref()
            .ok_or_else(|| Refusal::new(&INTERNAL).message("An operation of another adapter."))?;
        if self.naming.is_some() {
            super::check_credentials(&head.headers)?;
        }
        let authority = super::authority(&head.uri, &head.headers).unwrap_or_default();
        let upstream = &self.settings.upstream;
        let mut links = Links::new(
            authority,
            upstream.tls,
            &upstream.authority,
            self.naming.clone(),
        );
        let asked = head.uri.path();
        let upload = Upload::parse(&self.uploads, asked);
        self.check_written(row.verb, &head, &links, upload.is_some())?;
        links.learn(&head);
        let path = match &upload {
            Some(_) => asked.to_owned(),
            None => links.path(asked)?,
        };
        let call = Call {
            exchange,
            head: &head,
            path: &path,
            links: Arc::new(links),
            lengths: match upload {
                Some(_) => layout::run_plain_len,
                None => layout::plain_len,
            },
        };
        self.forget_pins(&call, row.verb);
        let answer = self.serve(&call, row.verb, verdict, upload, body).await;
        self.forget_pins(&call, row.verb);
        let answer = answer?;
        if answer.status().is_success() {
            self.note_names(&call, row.verb).await?;
        }
        Ok(answer)
    }

    fn refuse(&self, refusal: &Refusal, request: &RefusedRequest<'_>) -> Response<Bytes> {
        error::respond(&self.settings, refusal, request)
    }
}

/// The user name of a Basic credential, else the scheme. Never what proves it.
fn principal(credential: Option<&str>) -> String {
    let Some((scheme, rest)) = credential.and_then(|value| value.split_once(' ')) else {
        return "anonymous".to_owned();
    };
    let scheme = scheme.to_ascii_lowercase();
    let decoded = (scheme == "basic")
        .then(|| STANDARD.decode(rest.trim()).ok())
        .flatten()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.split_once(':')) {
        Some((user, _)) if !user.chars().any(char::is_control) => user.to_owned(),
        _ => scheme,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_learns_no_password() {
        let basic = format!("Basic {}", STANDARD.encode("alice:secret"));
        assert_eq!(principal(Some(&basic)), "alice");
        assert_eq!(principal(Some("Bearer secret")), "bearer");
        assert_eq!(principal(Some("Basic secret")), "basic");
        assert_eq!(principal(Some("secret")), "anonymous");
        assert_eq!(principal(None), "anonymous");
    }
}
