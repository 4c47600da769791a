//! Which certificate a client is shown: from files, or issued for the configured hosts by the operator's local authority.

use std::collections::HashMap;
use std::sync::Arc;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::secret::SecretBytes;

/// Days that an issued certificate is valid; it is renewed long before.
const DAYS: i64 = 30;

#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("no certificate is valid for `{0}`, and there is no local authority")]
    Uncovered(String),
    #[error("the local authority can't issue: {0}")]
    Issue(#[from] rcgen::Error),
    #[error("a certificate's key can't be used: {0}")]
    Key(String),
}

/// A chain (leaf first) and its key in PEM.
pub struct Pair<'a> {
    pub chain: &'a [CertificateDer<'static>],
    pub key_pem: &'a SecretBytes,
}

/// The operator's authority. Issues for hosts that are configured, for nothing else.
pub struct LocalCa<'a>(pub Pair<'a>);

/// The certificates in use, by host.
#[derive(Debug)]
pub struct Certificates {
    exact: HashMap<String, Arc<CertifiedKey>>,
    below: HashMap<String, Arc<CertifiedKey>>,
    /// For clients that name no host.
    first: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// `hosts`: each name, and whether the names below it are served too. Files go before the authority.
    ///
    /// # Errors
    /// A host without a certificate, or a key that can't be used.
    pub fn new<'a>(
        hosts: impl IntoIterator<Item = (&'a str, bool)>,
        files: &[Pair<'_>],
        ca: Option<&LocalCa<'_>>,
    ) -> Result<Self, IssueError> {
        let files: Vec<Arc<CertifiedKey>> =
            files.iter().map(certified).collect::<Result<_, _>>()?;
        let issuer = ca.map(issuer).transpose()?;
        let mut certificates = Self {
            exact: HashMap::new(),
            below: HashMap::new(),
            first: files.first().cloned(),
        };
        for (host, below) in hosts {
            let from_file = |name: &str| files.iter().find(|file| covers(file, name)).cloned();
            let issued = match (&issuer, from_file(host)) {
                (_, Some(_)) => None,
                (Some(issuer), None) => Some(issue(issuer, host, below)?),
                (None, None) => return Err(IssueError::Uncovered(host.to_owned())),
            };
            let own = issued.clone().or_else(|| from_file(host));
            let own = own.ok_or_else(|| IssueError::Uncovered(host.to_owned()))?;
            if below {
                let wide = issued.or_else(|| from_file(&format!("sceau-check.{host}")));
                let wide = wide.ok_or_else(|| IssueError::Uncovered(format!("*.{host}")))?;
                certificates.below.insert(host.to_owned(), wide);
            }
            certificates.first.get_or_insert_with(|| own.clone());
            certificates.exact.insert(host.to_owned(), own);
        }
        Ok(certificates)
    }

    fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        if let Some(certificate) = self.exact.get(&name) {
            return Some(certificate.clone());
        }
        let mut rest = name.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(certificate) = self.below.get(parent) {
                return Some(certificate.clone());
            }
            rest = parent;
        }
        None
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name() {
            Some(name) => self.find(name),
            None => self.first.clone(),
        }
    }
}

fn covers(certificate: &CertifiedKey, host: &str) -> bool {
    let Ok(name) = ServerName::try_from(host) else {
        return false;
    };
    let leaf = certificate.cert.first().map(ParsedCertificate::try_from);
    matches!(leaf, Some(Ok(leaf)) if verify_server_name(&leaf, &name).is_ok())
}

fn certified(pair: &Pair<'_>) -> Result<Arc<CertifiedKey>, IssueError> {
    let key = PrivateKeyDer::from_pem_slice(pair.key_pem.expose())
        .map_err(|error| IssueError::Key(error.to_string()))?;
    signing(pair.chain.to_vec(), &key)
}

fn signing(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'_>,
) -> Result<Arc<CertifiedKey>, IssueError> {
    let key = any_supported_type(key).map_err(|error| IssueError::Key(error.to_string()))?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

type Authority = (Issuer<'static, KeyPair>, Vec<CertificateDer<'static>>);

fn issuer(ca: &LocalCa<'_>) -> Result<Authority, IssueError> {
    let pem = std::str::from_utf8(ca.0.key_pem.expose())
        .map_err(|_| IssueError::Key("the authority's key is no PEM".into()))?;
    let key = KeyPair::from_pem(pem)?;
    let own =
        ca.0.chain
            .first()
            .ok_or_else(|| IssueError::Key("the authority has no certificate".into()))?;
    Ok((Issuer::from_ca_cert_der(own, key)?, ca.0.chain.to_vec()))
}

fn issue(
    (issuer, chain): &Authority,
    host: &str,
    below: bool,
) -> Result<Arc<CertifiedKey>, IssueError> {
    let mut names = vec![host.to_owned()];
    if below {
        names.push(format!("*.{host}"));
    }
    let mut params = CertificateParams::new(names)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, host);
    params.distinguished_name = name;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::hours(1);
    params.not_after = now + time::Duration::days(DAYS);
    let key = KeyPair::generate()?;
    let leaf = params.signed_by(&key, issuer)?;
    let mut whole = vec![leaf.der().clone()];
    whole.extend_from_slice(chain);
    let der = zeroize::Zeroizing::new(key.serialize_der());
    let key = PrivateKeyDer::try_from(der.as_slice()).map_err(|e| IssueError::Key(e.into()))?;
    signing(whole, &key)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct File(Vec<CertificateDer<'static>>, SecretBytes);

    impl File {
        fn new(names: &[&str]) -> Self {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let made = rcgen::generate_simple_self_signed(names).unwrap();
            let key = made.signing_key.serialize_pem().into_bytes();
            Self(vec![made.cert.der().clone()], SecretBytes::new(key))
        }

        /// An authority, which covers no host itself.
        fn authority() -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
            let der = params.self_signed(&key).unwrap().der().clone();
            Self(
                vec![der],
                SecretBytes::new(key.serialize_pem().into_bytes()),
            )
        }

        fn pair(&self) -> Pair<'_> {
            Pair {
                chain: &self.0,
                key_pem: &self.1,
            }
        }

        /// Whether this file's certificate is the one that is shown.
        fn shown(&self, certificates: &Certificates, name: &str) -> bool {
            let found = certificates.find(name);
            found.is_some_and(|found| found.cert[0] == self.0[0])
        }
    }

    #[test]
    fn a_certificate_covers_what_it_names_and_one_level_of_a_wildcard() {
        let file = File::new(&["s3.example.fr", "*.s3.example.fr", "192.0.2.1"]);
        let file = certified(&file.pair()).unwrap();
        for host in [
            "s3.example.fr",
            "S3.EXAMPLE.FR",
            "a.s3.example.fr",
            "192.0.2.1",
        ] {
            assert!(covers(&file, host), "{host}");
        }
        for host in [
            "example.fr",
            "a.b.s3.example.fr",
            "xs3.example.fr",
            "192.0.2.2",
            "",
            "a b",
        ] {
            assert!(!covers(&file, host), "{host}");
        }
    }

    #[test]
    fn each_name_is_shown_its_own_and_an_unknown_one_none() {
        let (a, b) = (File::new(&["a.fr", "*.a.fr"]), File::new(&["b.fr"]));
        let files = [a.pair(), b.pair()];
        let hosts = [("a.fr", true), ("b.fr", false)];
        let certificates = Certificates::new(hosts, &files, None).unwrap();
        for name in ["a.fr", "A.FR", "bucket.a.fr"] {
            assert!(a.shown(&certificates, name), "{name}");
        }
        assert!(b.shown(&certificates, "b.fr"));
        for name in ["x.b.fr", "c.fr", "fr", "", "xa.fr", "192.0.2.1"] {
            assert!(certificates.find(name).is_none(), "{name}");
        }
        assert_eq!(certificates.first.unwrap().cert[0], a.0[0]);
    }

    #[test]
    fn a_host_without_a_certificate_is_no_configuration() {
        let file = File::new(&["a.fr"]);
        let uncovered = |hosts: &[(&str, bool)]| {
            let made = Certificates::new(hosts.iter().copied(), &[file.pair()], None);
            matches!(made, Err(IssueError::Uncovered(_)))
        };
        assert!(!uncovered(&[("a.fr", false)]));
        assert!(uncovered(&[("b.fr", false)]));
        // the names below it are not covered
        assert!(uncovered(&[("a.fr", true)]));
    }

    #[test]
    fn the_authority_issues_what_no_file_covers() {
        let (file, ca) = (File::new(&["a.fr"]), File::authority());
        let hosts = [("a.fr", false), ("b.fr", true), ("192.0.2.1", false)];
        let ca_pair = LocalCa(ca.pair());
        let certificates = Certificates::new(hosts, &[file.pair()], Some(&ca_pair)).unwrap();
        assert!(file.shown(&certificates, "a.fr"));
        for name in ["b.fr", "bucket.b.fr", "192.0.2.1"] {
            let issued = certificates.find(name).unwrap();
            assert!(covers(&issued, name), "{name}");
            assert!(!covers(&issued, "a.fr"));
            assert_eq!(issued.cert[1], ca.0[0], "the chain leads to the authority");
        }
        assert!(certificates.find("c.fr").is_none());
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let file = File(File::new(&["a.fr"]).0, SecretBytes::new(b"no key".to_vec()));
        let made = Certificates::new([("a.fr", false)], &[file.pair()], None);
        assert!(matches!(made, Err(IssueError::Key(_))));
    }
}
