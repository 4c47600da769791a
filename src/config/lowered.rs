//! The operator's intent, fully parsed: files are read, addresses are addresses, times are times.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

use super::fault::Decision;
pub use super::value::Endpoint;
use crate::adapter::{admin, graph, http, s3, webdav};
use crate::keyring;
use crate::policy::Policy;
use crate::seal::Context;
use crate::secret::SecretBytes;
use crate::state;

/// Everything that `sceau run` needs to know.
#[derive(Debug)]
pub struct Gateway {
    /// Holds `gateway.toml`; relative paths begin here.
    pub directory: PathBuf,
    /// SHA-256 over the names and contents of all configuration files, in hex.
    pub digest: String,
    pub listeners: Vec<Listener>,
    pub certificates: Vec<Certificate>,
    pub local_ca: Option<Certificate>,
    pub keys: keyring::Settings,
    pub state: state::Settings,
    pub limits: Limits,
    pub log: Log,
    /// `None`: nothing listens there.
    pub admin: Option<Admin>,
    /// In order of file name.
    pub services: Vec<Service>,
    /// Each value in force and where it was decided.
    pub decisions: Vec<Decision>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listener {
    pub bind: SocketAddr,
    /// TLS 1.2 (ECDHE with AES-GCM) beside 1.3.
    pub tls12: bool,
}

/// A certificate and its key, read and found to match. Of a local CA: the authority's own.
#[derive(Debug)]
pub struct Certificate {
    pub chain_file: PathBuf,
    pub key_file: PathBuf,
    /// Leaf first; never empty.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key as PEM.
    pub key_pem: SecretBytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub connections: usize,
    pub connections_per_address: usize,
    /// HTTP/2 streams a connection.
    pub streams: u32,
    /// A request's head.
    pub header_bytes: usize,
    pub header_timeout: Duration,
    /// Without a byte in either direction of a body, or between requests.
    pub idle_timeout: Duration,
    pub handshake_timeout: Duration,
    /// Bytes a second below which a body is given up.
    pub minimum_rate: u64,
    /// How long a shutdown waits for what is under way.
    pub drain_timeout: Duration,
    /// Requests at once; more are answered 503.
    pub in_flight: usize,
    /// WebSockets at once; more are answered 503.
    pub websockets: usize,
    /// A side of a WebSocket that was silent for so long is pinged, and given up after as long again.
    pub websocket_ping: Duration,
    /// A WebSocket without a message.
    pub websocket_idle: Duration,
}

/// The listener that opens sealed text for programs of the administration's.
#[derive(Debug)]
pub struct Admin {
    pub bind: SocketAddr,
    /// The name under which it is reached.
    pub host: String,
    /// Of the certificates that clients must show; `None`: they need none.
    pub client_authorities: Option<Arc<[CertificateDer<'static>]>>,
    /// Requests at once; more are answered 503.
    pub in_flight: usize,
    pub settings: admin::settings::Settings,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// In the syntax of `tracing-subscriber`'s `EnvFilter`.
    pub filter: String,
}

/// One file of `services.d`.
#[derive(Debug)]
pub struct Service {
    /// Relative to the configuration's directory.
    pub file: PathBuf,
    /// A label for the log.
    pub name: String,
    /// Names under which clients reach the service, lower case, without port.
    pub hosts: Vec<String>,
    pub policy: Policy,
    pub transport: Transport,
    pub kind: Kind,
}

/// What each kind of service is set up from.
#[derive(Debug)]
pub enum Kind {
    S3(s3::settings::Settings),
    WebDav(webdav::settings::Settings),
    Http(http::settings::Settings),
    /// With the ways to its further hosts: [`Service::transport`] leads to the first.
    Graph(graph::settings::Settings, Vec<Transport>),
}

impl Kind {
    /// Tenant, service and namespace, bound in every key.
    pub fn context(&self) -> &Context {
        match self {
            Self::S3(settings) => &settings.context,
            Self::WebDav(settings) => &settings.context,
            Self::Http(settings) => &settings.context,
            Self::Graph(settings, _) => &settings.context,
        }
    }

    /// What an operator is to know of the settings' limits.
    pub fn limits(&self) -> Option<String> {
        match self {
            Self::S3(_) | Self::Http(_) | Self::Graph(..) => None,
            Self::WebDav(settings) => settings.limits(),
        }
    }

    /// Whether it seals values as tokens, which may come past the gateway.
    pub fn seals_tokens(&self) -> bool {
        match self {
            Self::Http(_) | Self::Graph(..) => true,
            Self::S3(_) | Self::WebDav(_) => false,
        }
    }

    /// Whether every name below a host is served too.
    pub fn serves_below(&self) -> bool {
        match self {
            Self::S3(settings) => settings.virtual_host,
            Self::WebDav(_) | Self::Http(_) | Self::Graph(..) => false,
        }
    }
}

/// How the provider is reached.
#[derive(Debug, Clone)]
pub struct Transport {
    pub endpoint: Endpoint,
    /// Where the connection goes instead of the endpoint's own name and port; TLS and `Host` keep the name.
    pub connect: Option<(String, u16)>,
    /// Authorities that are trusted instead of the system's.
    pub pinned: Option<Arc<[CertificateDer<'static>]>>,
    pub connect_timeout: Duration,
    pub response_timeout: Duration,
}
