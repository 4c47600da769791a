//! Composition of a running gateway: keys, state, services, listeners; and its replacement while it runs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinHandle;

use super::sessions::Sessions;
use crate::adapter::Adapter;
use crate::adapter::graph::Graph;
use crate::adapter::http::Http;
use crate::adapter::s3::S3;
use crate::adapter::webdav::{Stores, WebDav};
use crate::body::Upstream;
use crate::config::{Certificate, Gateway, Kind, Limits, Listener, Service, Transport};
use crate::keyring::{BoundEpochs, KeyError, Keyring};
use crate::net::{
    Certificates, ClientTls, Edge, EdgeBounds, IssueError, LocalCa, Opened, Pair, Provider,
    ProviderSettings, ServerTls, TlsError,
};
use crate::proxy::{Bounds, ConversationBounds, Duplicate, Proxy, Routes, Site};
use crate::seal::aead::{SelfTestError, hardware_aes, self_test};
use crate::seal::name::NameKey;
use crate::seal::token::Index;
use crate::seal::{EntropyError, SaltSource};
use crate::state::{self, Spool, SqliteState, State, StateError, Vault};

/// How often what has expired is removed.
const SWEEP: Duration = Duration::from_secs(3600);
/// How often opened epochs are dropped that were kept as long as they may be.
const FORGET: Duration = Duration::from_secs(30);
/// How often certificates of the local authority are issued anew.
const RENEW: Duration = Duration::from_secs(24 * 3600);

/// Why a gateway does not start, or keeps its old configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    SelfTest(#[from] SelfTestError),
    #[error(
        "this processor has no AES instructions, with which sealing is 70 times slower; \
         --allow-software-aes starts nevertheless"
    )]
    SoftwareAes,
    #[error("keys: {0}")]
    Keys(#[from] KeyError),
    #[error("state: {0}")]
    State(#[from] StateError),
    #[error("{0}")]
    Entropy(#[from] EntropyError),
    #[error("{0}")]
    Certificates(#[from] IssueError),
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Routes(#[from] Duplicate),
    #[error("{address} can't be listened on: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("signals can't be received: {0}")]
    Signals(String),
    #[error("[state] can't change while the gateway runs: restart it")]
    StateChanged,
}

/// The store and the spools, opened once: a reload goes on with them.
struct Kept {
    settings: state::Settings,
    rows: Arc<SqliteState>,
}

/// What a site holds that has to be looked after.
struct Lasting {
    spool: Arc<Spool>,
    epochs: Vec<Arc<BoundEpochs>>,
}

/// A gateway at work.
pub struct Running {
    proxy: Arc<Proxy>,
    edge: Arc<Edge>,
    /// By the address that the configuration names.
    listening: Mutex<Vec<(SocketAddr, Opened)>>,
    state: Kept,
    /// Certificates are renewed, and what has expired is swept, from what is in force.
    upkeep: Mutex<JoinHandle<()>>,
    drain_timeout: Mutex<Duration>,
}

/// Starts a gateway; when this returns, it listens. `software_aes`: also on a processor without AES instructions.
///
/// # Errors
/// Whatever is missing; nothing listens then.
pub async fn start(gateway: Gateway, software_aes: bool) -> Result<Running, StartError> {
    self_test()?;
    if !hardware_aes() && !software_aes {
        return Err(StartError::SoftwareAes);
    }
    let kept = Kept {
        rows: Arc::new(SqliteState::open(&gateway.state.directory)?),
        settings: gateway.state.clone(),
    };
    let Gateway {
        listeners,
        certificates,
        local_ca,
        keys,
        limits,
        services,
        ..
    } = gateway;
    let presented = Presented::new(&services, certificates, local_ca);
    let tls = presented.tls()?;
    let keyring = Arc::new(Keyring::open(keys, seconds)?);
    let (site, lasting) = site(services, &keyring, &kept, &limits)?;
    let mut seed = [0; 8];
    os_random(&mut seed)?;
    let proxy = Arc::new(Proxy::new(site, u64::from_ne_bytes(seed)));
    let edge = Edge::new(proxy.clone(), tls, edge_bounds(&limits));
    let upkeep = upkeep(presented, edge.clone(), kept.rows.clone(), lasting);
    let running = Running {
        proxy,
        edge,
        listening: Mutex::default(),
        state: kept,
        upkeep: Mutex::new(upkeep),
        drain_timeout: Mutex::new(limits.drain_timeout),
    };
    let opened = running.open(&listeners).await?;
    *lock(&running.listening) = opened;
    Ok(running)
}

impl Running {
    /// Where the gateway listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses: Vec<_> = lock(&self.listening)
            .iter()
            .map(|(_, opened)| opened.address)
            .collect();
        addresses.sort();
        addresses
    }

    /// Puts another configuration in force at once: what has begun ends under the old one.
    ///
    /// # Errors
    /// Anything; the old configuration is then in force as it was.
    pub async fn replace(&self, gateway: Gateway) -> Result<(), StartError> {
        if gateway.state != self.state.settings {
            return Err(StartError::StateChanged);
        }
        let Gateway {
            listeners,
            certificates,
            local_ca,
            keys,
            limits,
            services,
            ..
        } = gateway;
        let presented = Presented::new(&services, certificates, local_ca);
        let tls = presented.tls()?;
        let keyring = tokio::task::block_in_place(|| Keyring::open(keys, seconds))?;
        let (site, lasting) = site(services, &Arc::new(keyring), &self.state, &limits)?;
        let opened = self.open(&listeners).await?;

        self.proxy.replace(site);
        self.edge.replace(tls, edge_bounds(&limits));
        *lock(&self.drain_timeout) = limits.drain_timeout;
        {
            let mut listening = lock(&self.listening);
            listening.retain(|(bind, opened)| {
                let named = listeners.iter().find(|listener| listener.bind == *bind);
                named
                    .inspect(|listener| opened.allow_tls12(listener.tls12))
                    .is_some()
            });
            listening.extend(opened);
        }
        let upkeep = upkeep(
            presented,
            self.edge.clone(),
            self.state.rows.clone(),
            lasting,
        );
        std::mem::replace(&mut *lock(&self.upkeep), upkeep).abort();
        Ok(())
    }

    /// Opens those listeners that are not open yet.
    async fn open(&self, listeners: &[Listener]) -> Result<Vec<(SocketAddr, Opened)>, StartError> {
        let mut opened = Vec::new();
        for listener in listeners {
            let stands = |(bind, _): &(SocketAddr, Opened)| *bind == listener.bind;
            if lock(&self.listening).iter().any(stands) {
                continue;
            }
            let bound = self.edge.open(listener.bind, listener.tls12).await;
            let bound = bound.map_err(|source| StartError::Listen {
                address: listener.bind,
                source,
            })?;
            opened.push((listener.bind, bound));
        }
        Ok(opened)
    }

    /// Stops listening and lets what is under way end, as long as the configuration allows. False: some did not.
    pub async fn stop(self) -> bool {
        lock(&self.upkeep).abort();
        lock(&self.listening).clear();
        self.proxy.drain();
        let time = *lock(&self.drain_timeout);
        self.edge.drain(time).await
    }
}

/// What clients are shown: kept, because an authority's certificates must be renewed.
struct Presented {
    hosts: Vec<(String, bool)>,
    files: Vec<Certificate>,
    ca: Option<Certificate>,
}

impl Presented {
    fn new(services: &[Service], files: Vec<Certificate>, ca: Option<Certificate>) -> Self {
        let hosts = services
            .iter()
            .flat_map(|service| {
                let wide = service.kind.serves_below();
                service.hosts.iter().map(move |host| (host.clone(), wide))
            })
            .collect();
        Self { hosts, files, ca }
    }

    fn tls(&self) -> Result<ServerTls, StartError> {
        let files: Vec<Pair<'_>> = self.files.iter().map(pair).collect();
        let ca = self.ca.as_ref().map(|ca| LocalCa(pair(ca)));
        let hosts = self.hosts.iter().map(|(host, wide)| (host.as_str(), *wide));
        let certificates = Certificates::new(hosts, &files, ca.as_ref())?;
        Ok(ServerTls::new(certificates)?)
    }
}

fn pair(certificate: &Certificate) -> Pair<'_> {
    Pair {
        chain: &certificate.chain,
        key_pem: &certificate.key_pem,
    }
}

fn upkeep(
    presented: Presented,
    edge: Arc<Edge>,
    rows: Arc<SqliteState>,
    Lasting { spool, epochs }: Lasting,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let (mut sweep, mut renew) = (tokio::time::interval(SWEEP), tokio::time::interval(RENEW));
        let mut forget = tokio::time::interval(FORGET);
        renew.tick().await;
        loop {
            tokio::select! {
                _ = forget.tick() => epochs.iter().for_each(|epochs| epochs.forget(seconds())),
                _ = sweep.tick() => {
                    if let Err(error) = rows.sweep(seconds()).await {
                        tracing::warn!(%error, code = error.name(), "the state can't be swept");
                    }
                    if let Err(error) = spool.sweep(SystemTime::now()).await {
                        tracing::warn!(%error, code = error.name(), "the spools can't be swept");
                    }
                }
                _ = renew.tick() => match presented.tls() {
                    Ok(tls) => edge.replace_tls(tls),
                    Err(error) => tracing::error!(%error, "certificates can't be renewed"),
                },
            }
        }
    })
}

fn site(
    services: Vec<Service>,
    keyring: &Arc<Keyring>,
    kept: &Kept,
    limits: &Limits,
) -> Result<(Site, Lasting), StartError> {
    let mut lasting = Lasting {
        spool: Arc::new(Spool::open(&kept.settings)?),
        epochs: Vec::new(),
    };
    let mut routes = Routes::default();
    for service in services {
        let hosts = service.hosts.clone();
        let wide = service.kind.serves_below();
        let epochs = keyring.epochs(service.kind.context().clone());
        lasting.epochs.push(epochs.clone());
        let served = Arc::new(serve(service, keyring, epochs, kept)?);
        for host in &hosts {
            routes.add(host, wide, &served)?;
        }
    }
    let bounds = Bounds {
        in_flight: limits.in_flight,
        idle: limits.idle_timeout,
        minimum_rate: limits.minimum_rate,
        conversations: ConversationBounds {
            count: limits.websockets,
            ping: limits.websocket_ping,
            idle: limits.websocket_idle,
        },
    };
    Ok((Site::new(routes, bounds), lasting))
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

/// The way to a service's provider.
pub(super) fn provider(transport: Transport) -> Result<Arc<Provider>, StartError> {
    let tls = match transport.endpoint.tls {
        true => Some(ClientTls::new(transport.pinned.as_deref())?),
        false => None,
    };
    Ok(Arc::new(Provider::new(ProviderSettings {
        host: transport.endpoint.host,
        port: transport.endpoint.port,
        connect: transport.connect,
        tls,
        connect_timeout: transport.connect_timeout,
        response_timeout: transport.response_timeout,
    })))
}

fn edge_bounds(limits: &Limits) -> EdgeBounds {
    EdgeBounds {
        connections: limits.connections,
        per_address: limits.connections_per_address,
        streams: limits.streams,
        header_bytes: limits.header_bytes,
        header_timeout: limits.header_timeout,
        handshake: limits.handshake_timeout,
        idle: limits.idle_timeout,
        minimum_rate: limits.minimum_rate,
    }
}

pub(super) fn os_random(bytes: &mut [u8]) -> Result<(), EntropyError> {
    getrandom::fill(bytes).map_err(|_| EntropyError)
}

/// Seconds since 1970.
fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
