//! What listens: a proxy, the edge before it and its sockets; and the certificates that clients are shown.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls_pki_types::CertificateDer;

use super::serve::{StartError, lock};
use crate::config::{Certificate, Gateway, Limits, Listener, Service};
use crate::net::{Certificates, Edge, EdgeBounds, LocalCa, Opened, Pair, ServerTls};
use crate::proxy::{Proxy, Site};

/// Listeners that serve one site.
pub(super) struct Front {
    proxy: Arc<Proxy>,
    pub edge: Arc<Edge>,
    /// By the address that the configuration names.
    listening: Mutex<Listening>,
}

type Listening = Vec<(SocketAddr, Opened)>;

impl Front {
    /// Nothing listens yet. `seed`: random.
    pub fn new(site: Site, seed: u64, tls: ServerTls, limits: &Limits) -> Self {
        let proxy = Arc::new(Proxy::new(site, seed));
        Self {
            edge: Edge::new(proxy.clone(), tls, bounds(limits)),
            proxy,
            listening: Mutex::default(),
        }
    }

    /// Where it listens, in order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let listening = lock(&self.listening);
        let mut addresses: Vec<_> = listening.iter().map(|(_, opened)| opened.address).collect();
        addresses.sort();
        addresses
    }

    /// Opens those listeners that are not open yet. They are served once they are [kept](Self::keep).
    ///
    /// # Errors
    /// An address that can't be listened on; none is opened then.
    pub async fn open(&self, listeners: &[Listener]) -> Result<Listening, StartError> {
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

    /// Goes on with these listeners, of which `opened` were opened just now, and closes all others.
    pub fn keep(&self, listeners: &[Listener], opened: Listening) {
        let mut listening = lock(&self.listening);
        listening.retain(|(bind, opened)| {
            let named = listeners.iter().find(|listener| listener.bind == *bind);
            named
                .inspect(|listener| opened.allow_tls12(listener.tls12))
                .is_some()
        });
        listening.extend(opened);
    }

    /// Requests that begin from now on are the other site's.
    pub fn replace(&self, site: Site, tls: ServerTls, limits: &Limits) {
        self.proxy.replace(site);
        self.edge.replace(tls, bounds(limits));
    }

    /// Stops listening and lets what is under way end. False: some did not within `time`.
    pub async fn stop(&self, time: Duration) -> bool {
        lock(&self.listening).clear();
        self.proxy.drain();
        self.edge.drain(time).await
    }
}

fn bounds(limits: &Limits) -> EdgeBounds {
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

/// What clients are shown: kept, because an authority's certificates must be renewed.
pub(super) struct Presented {
    hosts: Vec<(String, bool)>,
    admin: Option<AdminHost>,
    files: Vec<Certificate>,
    ca: Option<Certificate>,
}

/// The admin listener's name, and the authorities of its clients.
struct AdminHost {
    name: String,
    clients: Option<Arc<[CertificateDer<'static>]>>,
}

impl Presented {
    /// Takes the certificates out of the configuration.
    pub fn of(gateway: &mut Gateway) -> Self {
        let hosts = gateway.services.iter().flat_map(|service: &Service| {
            let wide = service.kind.serves_below();
            service.hosts.iter().map(move |host| (host.clone(), wide))
        });
        Self {
            hosts: hosts.collect(),
            admin: gateway.admin.as_ref().map(|admin| AdminHost {
                name: admin.host.clone(),
                clients: admin.client_authorities.clone(),
            }),
            files: std::mem::take(&mut gateway.certificates),
            ca: gateway.local_ca.take(),
        }
    }

    /// Of the services' hosts.
    pub fn tls(&self) -> Result<ServerTls, StartError> {
        let hosts = self.hosts.iter().map(|(host, wide)| (host.as_str(), *wide));
        Ok(ServerTls::new(self.certificates(hosts)?)?)
    }

    /// Of the admin listener; without one no client is shown anything.
    pub fn admin_tls(&self) -> Result<ServerTls, StartError> {
        let hosts = self.admin.iter().map(|admin| (admin.name.as_str(), false));
        let clients = self
            .admin
            .as_ref()
            .and_then(|admin| admin.clients.as_deref());
        let certificates = self.certificates(hosts)?;
        Ok(match clients {
            Some(authorities) => ServerTls::mutual(certificates, authorities)?,
            None => ServerTls::new(certificates)?,
        })
    }

    fn certificates<'a>(
        &self,
        hosts: impl Iterator<Item = (&'a str, bool)>,
    ) -> Result<Certificates, StartError> {
        let files: Vec<Pair<'_>> = self.files.iter().map(pair).collect();
        let ca = self.ca.as_ref().map(|ca| LocalCa(pair(ca)));
        Ok(Certificates::new(hosts, &files, ca.as_ref())?)
    }
}

fn pair(certificate: &Certificate) -> Pair<'_> {
    Pair {
        chain: &certificate.chain,
        key_pem: &certificate.key_pem,
    }
}
