//! TLS on both sides: versions, suites, the key exchange, and whose certificate is shown or trusted.

use rustls::{CipherSuite, NamedGroup};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::client::{Client, Hello};
use crate::recorder::Recorder;
use crate::site::{Site, free_address};
use crate::truncated::{over_tls, server};

const TWELVE: Hello<'static> = Hello {
    versions: &[&rustls::version::TLS12],
    ..Hello::ONE
};

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_3_with_the_hybrid_exchange_and_1_2_only_where_it_is_allowed() {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let old = free_address();
    site.edit(
        Site::GATEWAY,
        "[[listener]]\n",
        &format!("[[listener]]\nbind = \"{old}\"\ntls12 = true\n\n[[listener]]\n"),
    );
    let gateway = site.start().await;
    let modern = *gateway
        .running
        .addresses()
        .iter()
        .find(|a| **a != old)
        .unwrap();
    let modern = Client::at(&site, modern, "EXAMPLE", &site.secret);
    let old = Client::at(&site, old, "EXAMPLE", &site.secret);

    for client in [&modern, &old] {
        let stream = client.hello(&Hello::ONE).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(
            session.protocol_version(),
            Some(rustls::ProtocolVersion::TLSv1_3)
        );
        let group = session.negotiated_key_exchange_group().unwrap();
        assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    }
    assert!(modern.hello(&TWELVE).await.is_err());
    let stream = old.hello(&TWELVE).await.unwrap();
    let suite = stream
        .get_ref()
        .1
        .negotiated_cipher_suite()
        .unwrap()
        .suite();
    assert!(
        matches!(
            suite,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        ),
        "{suite:?}"
    );
    // the one suite of 1.2 that the library has besides
    let only = old.with_suite(
        rustls::crypto::aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    );
    assert!(only.hello(&TWELVE).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_picks_the_certificate() {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let own = rcgen::generate_simple_self_signed(["files.example".to_owned()]).unwrap();
    std::fs::write(site.root().join("tls/own.pem"), own.cert.pem()).unwrap();
    let key = site.root().join("tls/own.key");
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    site.edit(
        Site::GATEWAY,
        "[local_ca]",
        "[[certificate]]\nchain_file = \"tls/own.pem\"\nkey_file = \"tls/own.key\"\n\n[local_ca]",
    );
    site.edit(Site::SERVICE, "virtual_host = true", "virtual_host = false");
    site.edit(
        Site::SERVICE,
        "hosts = [\"localhost\"]",
        "hosts = [\"localhost\", \"files.example\"]",
    );
    let gateway = site.start().await;
    let client = Client::new(&site, &gateway);
    let hello = |name| Hello { name, ..Hello::ONE };
    // issued by the authority that the client trusts
    assert!(client.hello(&hello("localhost")).await.is_ok());
    // from the file, which it does not trust
    assert!(client.hello(&hello("files.example")).await.is_err());
    // a name that is not configured gets none at all: the gateway ends it, not the client
    for name in ["elsewhere.example", "b.localhost"] {
        let error = client.hello(&hello(name)).await.unwrap_err();
        assert!(error.to_string().contains("alert"), "{error}");
    }
    let own = CertificateDer::from_pem_file(site.root().join("tls/own.pem")).unwrap();
    let trusting = client.trusting(own);
    assert!(trusting.hello(&hello("files.example")).await.is_ok());
    assert!(trusting.hello(&hello("localhost")).await.is_err());
}

async fn status(site: &Site) -> (u16, String) {
    let gateway = site.start().await;
    let client = Client::new(site, &gateway);
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    let reply = one.reply().await;
    (reply.status, reply.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_must_prove_its_name() {
    let (recorder, site) = over_tls().await;
    assert_eq!(status(&site).await.0, 404);
    assert_eq!(recorder.seen().len(), 1);

    // another key under the right name
    let (other, site) = over_tls().await;
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(site.root().join("tls/provider.pem"), stranger.cert.pem()).unwrap();
    let (code, text) = status(&site).await;
    assert_eq!(code, 502);
    assert!(text.contains("upstream-unreachable"), "{text}");
    assert_eq!(other.seen().len(), 0);

    // the right authority, another name
    let named = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
    let other = Recorder::with_tls(server(&named)).await;
    let site = Site::new(&format!("https://localhost:{}", other.address.port()));
    std::fs::write(site.root().join("tls/provider.pem"), named.cert.pem()).unwrap();
    let site = site.upstream("ca_file = \"tls/provider.pem\"");
    assert_eq!(status(&site).await.0, 502);
    assert_eq!(other.seen().len(), 0);

    // nothing pinned: the system's authorities, who do not know it
    let (other, site) = over_tls().await;
    site.edit(Site::SERVICE, "ca_file = \"tls/provider.pem\"", "");
    assert_eq!(status(&site).await.0, 502);
    assert_eq!(other.seen().len(), 0);
}
