//! Composition of a running gateway: keys, state, services, listeners; and its replacement while it runs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinHandle;

use super::front::{Front, Presented};
use super::sites::sites;
use crate::config::{self, Gateway, Listener, Transport};
use crate::keyring::{BoundEpochs, KeyError, Keyring};
use crate::net::{ClientTls, IssueError, Provider, ProviderSettings, TlsError};
use crate::proxy::Duplicate;
use crate::seal::EntropyError;
use crate::seal::aead::{SelfTestError, hardware_aes, self_test};
use crate::state::{self, Spool, SqliteState, State, StateError, Table};

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
pub(super) struct Kept {
    pub settings: state::Settings,
    pub rows: Arc<SqliteState>,
}

/// What a site holds that has to be looked after.
pub(super) struct Lasting {
    pub spool: Arc<Spool>,
    pub epochs: Vec<Arc<BoundEpochs>>,
}

/// A gateway at work.
pub struct Running {
    /// For clients of the services.
    main: Front,
    /// For subscribers; nothing listens where the configuration has no `[admin]`.
    admin: Front,
    state: Kept,
    /// Certificates are renewed, and what has expired is swept, from what is in force.
    upkeep: Mutex<JoinHandle<()>>,
    drain_timeout: Mutex<Duration>,
}

/// Starts a gateway; when this returns, it listens. `software_aes`: also on a processor without AES instructions.
///
/// # Errors
/// Whatever is missing; nothing listens then.
pub async fn start(mut gateway: Gateway, software_aes: bool) -> Result<Running, StartError> {
    self_test()?;
    if !hardware_aes() && !software_aes {
        return Err(StartError::SoftwareAes);
    }
    let kept = Kept {
        rows: Arc::new(SqliteState::open(&gateway.state.directory)?),
        settings: gateway.state.clone(),
    };
    let presented = Presented::of(&mut gateway);
    let (tls, admin_tls) = (presented.tls()?, presented.admin_tls()?);
    let Gateway {
        listeners,
        keys,
        limits,
        services,
        admin,
        ..
    } = gateway;
    let keyring = Arc::new(Keyring::open(keys, seconds)?);
    let admin_listeners = admin_listeners(admin.as_ref());
    let sites = sites(services, admin, &keyring, &kept, &limits)?;
    let mut seed = [0; 16];
    os_random(&mut seed)?;
    let [seed, admin_seed] = [0, 8].map(|at| {
        let mut half = [0; 8];
        half.copy_from_slice(&seed[at..at + 8]);
        u64::from_ne_bytes(half)
    });
    let main = Front::new(sites.main, seed, tls, &limits);
    let admin = Front::new(sites.admin, admin_seed, admin_tls, &limits);
    let upkeep = upkeep(presented, &main, &admin, &kept, sites.lasting);
    let running = Running {
        main,
        admin,
        state: kept,
        upkeep: Mutex::new(upkeep),
        drain_timeout: Mutex::new(limits.drain_timeout),
    };
    let opened = running.main.open(&listeners).await?;
    let admin_opened = running.admin.open(&admin_listeners).await?;
    running.main.keep(&listeners, opened);
    running.admin.keep(&admin_listeners, admin_opened);
    Ok(running)
}

impl Running {
    /// Where the gateway listens for clients of the services.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.main.addresses()
    }

    /// Where it listens for subscribers, if it does.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.addresses().first().copied()
    }

    /// Puts another configuration in force at once: what has begun ends under the old one.
    ///
    /// # Errors
    /// Anything; the old configuration is then in force as it was.
    pub async fn replace(&self, mut gateway: Gateway) -> Result<(), StartError> {
        if gateway.state != self.state.settings {
            return Err(StartError::StateChanged);
        }
        let presented = Presented::of(&mut gateway);
        let (tls, admin_tls) = (presented.tls()?, presented.admin_tls()?);
        let Gateway {
            listeners,
            keys,
            limits,
            services,
            admin,
            ..
        } = gateway;
        let keyring = tokio::task::block_in_place(|| Keyring::open(keys, seconds))?;
        let admin_listeners = admin_listeners(admin.as_ref());
        let sites = sites(services, admin, &Arc::new(keyring), &self.state, &limits)?;
        let opened = self.main.open(&listeners).await?;
        let admin_opened = self.admin.open(&admin_listeners).await?;

        self.main.replace(sites.main, tls, &limits);
        self.admin.replace(sites.admin, admin_tls, &limits);
        *lock(&self.drain_timeout) = limits.drain_timeout;
        self.main.keep(&listeners, opened);
        self.admin.keep(&admin_listeners, admin_opened);
        let upkeep = upkeep(
            presented,
            &self.main,
            &self.admin,
            &self.state,
            sites.lasting,
        );
        std::mem::replace(&mut *lock(&self.upkeep), upkeep).abort();
        Ok(())
    }

    /// Stops listening and lets what is under way end, as long as the configuration allows. False: some did not.
    pub async fn stop(self) -> bool {
        lock(&self.upkeep).abort();
        let time = *lock(&self.drain_timeout);
        let (main, admin) = tokio::join!(self.main.stop(time), self.admin.stop(time));
        main && admin
    }
}

fn admin_listeners(admin: Option<&config::Admin>) -> Vec<Listener> {
    let listener = admin.map(|admin| Listener {
        bind: admin.bind,
        tls12: false,
    });
    listener.into_iter().collect()
}

fn upkeep(
    presented: Presented,
    main: &Front,
    admin: &Front,
    kept: &Kept,
    Lasting { spool, epochs }: Lasting,
) -> JoinHandle<()> {
    let (main, admin) = (main.edge.clone(), admin.edge.clone());
    let (rows, etags) = (kept.rows.clone(), kept.settings.etags);
    tokio::spawn(async move {
        let (mut sweep, mut renew) = (tokio::time::interval(SWEEP), tokio::time::interval(RENEW));
        let mut forget = tokio::time::interval(FORGET);
        renew.tick().await;
        loop {
            tokio::select! {
                _ = forget.tick() => epochs.iter().for_each(|epochs| epochs.forget(seconds())),
                _ = sweep.tick() => {
                    let swept = async {
                        rows.sweep(seconds()).await?;
                        rows.trim(Table::Alias, etags).await
                    };
                    if let Err(error) = swept.await {
                        tracing::warn!(%error, code = error.name(), "the state can't be swept");
                    }
                    if let Err(error) = spool.sweep(SystemTime::now()).await {
                        tracing::warn!(%error, code = error.name(), "the spools can't be swept");
                    }
                }
                _ = renew.tick() => match presented.tls().and_then(|tls| Ok((tls, presented.admin_tls()?))) {
                    Ok((tls, admin_tls)) => {
                        main.replace_tls(tls);
                        admin.replace_tls(admin_tls);
                    }
                    Err(error) => tracing::error!(%error, "certificates can't be renewed"),
                },
            }
        }
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

pub(super) fn os_random(bytes: &mut [u8]) -> Result<(), EntropyError> {
    getrandom::fill(bytes).map_err(|_| EntropyError)
}

/// Seconds since 1970.
fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
