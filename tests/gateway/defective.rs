//! A gateway whose adapter is a test's own: what no service file can make.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sceau::adapter::Adapter;
use sceau::net::{
    Certificates, Edge, EdgeBounds, LocalCa, Opened, Pair, Provider, ProviderSettings, ServerTls,
};
use sceau::policy::Policy;
use sceau::proxy::{Bounds, ConversationBounds, Proxy, Routes, Service, Site};
use sceau::secret::SecretBytes;

const LONG: Duration = Duration::from_secs(60);

/// Serves `localhost` with the certificate of the directory that `sceau init` made. `adapter` is given the way to its
/// provider. Two requests, and two WebSockets, may be under way at once.
pub async fn open<A: Adapter + 'static>(
    root: &Path,
    provider: SocketAddr,
    adapter: impl FnOnce(Provider) -> A,
) -> Opened {
    let provider = Provider::new(ProviderSettings {
        host: provider.ip().to_string(),
        port: provider.port(),
        connect: None,
        tls: None,
        connect_timeout: Duration::from_secs(10),
        response_timeout: LONG,
    });
    let service = Arc::new(Service {
        name: "defect".into(),
        adapter: Arc::new(adapter(provider)),
        policy: Policy::default(),
    });
    let mut routes = Routes::default();
    routes.add("localhost", false, &service).unwrap();
    let bounds = Bounds {
        in_flight: 2,
        idle: LONG,
        minimum_rate: 0,
        conversations: ConversationBounds {
            count: 2,
            ping: LONG,
            idle: LONG,
        },
    };
    let proxy = Arc::new(Proxy::new(Site::new(routes, bounds), 1));
    let key = SecretBytes::new(std::fs::read(root.join("tls/ca.key")).unwrap());
    let chain = [CertificateDer::from_pem_file(root.join("tls/ca.pem")).unwrap()];
    let ca = LocalCa(Pair {
        chain: &chain,
        key_pem: &key,
    });
    let certificates = Certificates::new([("localhost", false)], &[], Some(&ca)).unwrap();
    let bounds = EdgeBounds {
        connections: 100,
        per_address: 100,
        streams: 10,
        header_bytes: 16_384,
        header_timeout: LONG,
        handshake: LONG,
        idle: LONG,
        minimum_rate: 0,
    };
    let edge = Edge::new(proxy, ServerTls::new(certificates).unwrap(), bounds);
    edge.open("127.0.0.1:0".parse().unwrap(), false)
        .await
        .unwrap()
}
