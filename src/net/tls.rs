//! TLS on both sides: 1.3 with AES-GCM and the hybrid key exchange X25519MLKEM768 first; no early data, no key log.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;

use super::certificates::Certificates;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
    #[error("the system trusts no certificate authority: {0}")]
    NoRoots(String),
    #[error("clients' certificates can't be verified: {0}")]
    Clients(String),
}

/// Hybrid key exchange first, then the classical groups.
fn provider() -> CryptoProvider {
    use aws_lc_rs::{cipher_suite as suite, kx_group as group};
    CryptoProvider {
        cipher_suites: vec![
            suite::TLS13_AES_256_GCM_SHA384,
            suite::TLS13_AES_128_GCM_SHA256,
            suite::TLS13_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ],
        kx_groups: vec![
            group::X25519MLKEM768,
            group::X25519,
            group::SECP256R1,
            group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

/// What listeners use.
pub struct ServerTls {
    modern: Arc<ServerConfig>,
    with_12: Arc<ServerConfig>,
}

impl ServerTls {
    /// For clients without certificates.
    ///
    /// # Errors
    /// The library does not take the configuration.
    pub fn new(certificates: Certificates) -> Result<Self, TlsError> {
        Self::with(certificates, None)
    }

    /// For clients that show a certificate of one of these authorities; others get no further than the handshake.
    ///
    /// # Errors
    /// The library does not take the configuration.
    pub fn mutual(
        certificates: Certificates,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, TlsError> {
        Self::with(certificates, Some(verifier(authorities)?))
    }

    fn with(
        certificates: Certificates,
        verifier: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Self, TlsError> {
        let certificates = Arc::new(certificates);
        let config = |versions| -> Result<Arc<ServerConfig>, TlsError> {
            let config = ServerConfig::builder_with_provider(Arc::new(provider()))
                .with_protocol_versions(versions)?;
            let config = match &verifier {
                Some(verifier) => config.with_client_cert_verifier(verifier.clone()),
                None => config.with_no_client_auth(),
            };
            let mut config = config.with_cert_resolver(certificates.clone());
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            config.ticketer = aws_lc_rs::Ticketer::new()?;
            config.send_tls13_tickets = 1;
            Ok(Arc::new(config))
        };
        Ok(Self {
            modern: config(&[&TLS13])?,
            with_12: config(&[&TLS13, &TLS12])?,
        })
    }

    pub(super) fn config(&self, tls12: bool) -> Arc<ServerConfig> {
        if tls12 {
            self.with_12.clone()
        } else {
            self.modern.clone()
        }
    }
}

/// Of the certificates that clients must show.
fn verifier(
    authorities: &[CertificateDer<'static>],
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()))
        .build()
        .map_err(|error| TlsError::Clients(error.to_string()))
}

/// What connections to a provider use.
#[derive(Clone)]
pub struct ClientTls(pub(super) Arc<ClientConfig>);

impl ClientTls {
    /// Trusts `pinned` alone, or what the system trusts.
    ///
    /// # Errors
    /// No authority can be trusted.
    pub fn new(pinned: Option<&[CertificateDer<'static>]>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        match pinned {
            Some(pinned) => {
                for authority in pinned {
                    roots.add(authority.clone())?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                let errors = found.errors;
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let why = errors.first().map(ToString::to_string);
                    return Err(TlsError::NoRoots(
                        why.unwrap_or_else(|| "none is found".into()),
                    ));
                }
            }
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}
