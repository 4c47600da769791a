//! The services of a configuration, built and put behind their hosts.

use std::collections::HashMap;
use std::sync::Arc;

use super::serve::{Kept, Lasting, StartError, os_random, provider};
use super::sessions::Sessions;
use crate::adapter::Adapter;
use crate::adapter::admin::Admin;
use crate::adapter::graph::Graph;
use crate::adapter::http::Http;
use crate::adapter::s3::S3;
use crate::adapter::webdav::{Stores, WebDav};
use crate::body::Upstream;
use crate::config::{self, Kind, Limits, Service};
use crate::keyring::{BoundEpochs, Keyring};
use crate::policy::Policy;
use crate::proxy::{Bounds, ConversationBounds, Routes, Site};
use crate::seal::SaltSource;
use crate::seal::name::NameKey;
use crate::seal::token::{Index, OneContext, TokenKeys};
use crate::state::{Spool, Vault};

/// What is served at each front.
pub(super) struct Sites {
    pub main: Site,
    pub admin: Site,
    pub lasting: Lasting,
}

pub(super) fn sites(
    services: Vec<Service>,
    admin: Option<config::Admin>,
    keyring: &Arc<Keyring>,
    kept: &Kept,
    limits: &Limits,
) -> Result<Sites, StartError> {
    let mut lasting = Lasting {
        spool: Arc::new(Spool::open(&kept.settings)?),
        epochs: Vec::new(),
    };
    let mut routes = Routes::default();
    let mut tokens: HashMap<String, Arc<dyn TokenKeys>> = HashMap::new();
    for service in services {
        let hosts = service.hosts.clone();
        let wide = service.kind.serves_below();
        let context = service.kind.context().clone();
        let epochs = keyring.epochs(context.clone());
        lasting.epochs.push(epochs.clone());
        if service.kind.seals_tokens() {
            let keys = OneContext {
                lookup: epochs.clone(),
                context: Arc::new(context),
            };
            tokens.insert(service.name.clone(), Arc::new(keys));
        }
        let served = Arc::new(serve(service, keyring, epochs, kept)?);
        for host in &hosts {
            routes.add(host, wide, &served)?;
        }
    }
    let conversations = ConversationBounds {
        count: limits.websockets,
        ping: limits.websocket_ping,
        idle: limits.websocket_idle,
    };
    Ok(Sites {
        main: Site::new(routes, bounds(limits, limits.in_flight, conversations)),
        admin: admin_site(admin, tokens, limits)?,
        lasting,
    })
}

/// Without `[admin]` no host is served there.
fn admin_site(
    admin: Option<config::Admin>,
    tokens: HashMap<String, Arc<dyn TokenKeys>>,
    limits: &Limits,
) -> Result<Site, StartError> {
    let mut routes = Routes::default();
    let mut in_flight = 0;
    if let Some(admin) = admin {
        in_flight = admin.in_flight;
        let service = crate::proxy::Service {
            name: "admin".into(),
            adapter: Arc::new(Admin::new(admin.settings, tokens)),
            policy: Policy::default(),
        };
        routes.add(&admin.host, false, &Arc::new(service))?;
    }
    let conversations = ConversationBounds {
        count: 0,
        ping: limits.websocket_ping,
        idle: limits.websocket_idle,
    };
    Ok(Site::new(routes, bounds(limits, in_flight, conversations)))
}

fn bounds(limits: &Limits, in_flight: usize, conversations: ConversationBounds) -> Bounds {
    Bounds {
        in_flight,
        idle: limits.idle_timeout,
        minimum_rate: limits.minimum_rate,
        conversations,
    }
}

fn serve(
    service: Service,
    keyring: &Arc<Keyring>,
    epochs: Arc<BoundEpochs>,
    kept: &Kept,
) -> Result<crate::proxy::Service, StartError> {
    let context = service.kind.context().clone();
    let (_, secret) = keyring.service(&context)?;
    let provider = provider(service.transport)?;
    let salts = SaltSource::new(os_random)?;
    let adapter: Arc<dyn Adapter> = match service.kind {
        Kind::S3(settings) => {
            let sessions = Arc::new(Sessions::new(keyring.clone(), context));
            let vault = Vault::new(kept.rows.clone(), &secret, sessions)?;
            let spool = Spool::open(&kept.settings)?;
            let policy = service.policy.clone();
            Arc::new(S3::new(
                settings, policy, epochs, vault, spool, provider, salts,
            ))
        }
        Kind::WebDav(settings) => {
            let policy = service.policy.clone();
            let names = NameKey::new(&secret, &context);
            let sessions = Arc::new(Sessions::new(keyring.clone(), context));
            let stores = Stores {
                vault: Vault::new(kept.rows.clone(), &secret, sessions)?,
                spool: Spool::open(&kept.settings)?,
            };
            Arc::new(WebDav::new(
                settings, policy, names, stores, epochs, provider, salts,
            ))
        }
        Kind::Graph(settings, further) => {
            let sessions = Arc::new(Sessions::new(keyring.clone(), context));
            let vault = Vault::new(kept.rows.clone(), &secret, sessions)?;
            let mut upstreams: Vec<Arc<dyn Upstream>> = vec![provider];
            for transport in further {
                upstreams.push(self::provider(transport)?);
            }
            let policy = service.policy.clone();
            Arc::new(Graph::new(
                settings,
                policy,
                vault,
                epochs,
                upstreams,
                salts,
                Arc::new(|work| {
                    // what is dropped as the process ends may want to begin something; nothing runs it any more
                    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                        drop(runtime.spawn(work));
                    }
                }),
            ))
        }
        Kind::Http(settings) => {
            let index = Index::new(&secret);
            Arc::new(Http::new(settings, epochs, index, provider, salts))
        }
    };
    Ok(crate::proxy::Service {
        name: service.name.as_str().into(),
        adapter,
        policy: service.policy,
    })
}
