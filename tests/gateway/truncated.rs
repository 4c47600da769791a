//! What the provider cuts short or changes: the client never sees a clean end of it.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use rustls_pki_types::PrivateKeyDer;

use crate::client::{Client, UNSIGNED, full, request};
use crate::frames::Frames;
use crate::recorder::{Act, Recorder, Then};
use crate::site::{Gateway, Site};
use crate::{pattern, within};

const LENGTH: usize = 300_000;
const SEGMENT: usize = 65_536;

/// A provider over TLS that the gateway trusts.
pub async fn over_tls() -> (Recorder, Site) {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let recorder = Recorder::with_tls(server(&key)).await;
    let site = Site::new(&format!("https://localhost:{}", recorder.address.port()));
    std::fs::write(site.root().join("tls/provider.pem"), key.cert.pem()).unwrap();
    let site = site.upstream("ca_file = \"tls/provider.pem\"");
    (recorder, site)
}

pub fn server(key: &rcgen::CertifiedKey<rcgen::KeyPair>) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap()
}

/// Over HTTP/1.1: the answer and whether it came whole.
async fn one(client: &Client) -> (u16, Vec<u8>, bool) {
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    let reply = one.reply().await;
    if !reply.whole {
        one.closed("").await;
    }
    (reply.status, reply.body, reply.whole)
}

/// Over HTTP/2.
async fn two(client: &Client) -> (u16, Vec<u8>, bool) {
    let mut two = client.two().await;
    let head = client.signed("GET", "/bbb/k", &[], UNSIGNED);
    let answer = within("an answer", two.send_request(request(head, full("")))).await;
    let Ok(answer) = answer else {
        return (0, Vec::new(), false);
    };
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut got = Vec::new();
    loop {
        match within("a frame", body.frame()).await {
            Some(Ok(frame)) => got.extend_from_slice(&frame.into_data().unwrap()),
            Some(Err(_)) => return (status, got, false),
            None => return (status, got, true),
        }
    }
}

async fn check_cut(recorder: &Recorder, site: &Site, gateway: &Gateway) {
    let client = Client::new(site, gateway);
    let content = pattern(LENGTH);
    client.store("/bbb/k", &content).await;
    let sealed = recorder.stored("/bbb/k").unwrap().len();
    assert!(sealed > LENGTH);
    for length in [0, 1, SEGMENT + 200, LENGTH, sealed - 1] {
        for then in [Then::Close, Then::Break] {
            for protocol in [1, 2] {
                recorder.next([Act::Cut(length, then)]);
                let (status, got, whole) = match protocol {
                    1 => one(&client).await,
                    _ => two(&client).await,
                };
                let case = format!("{length} {then:?} HTTP/{protocol}");
                assert!(!whole || status >= 500, "{case}");
                if status == 200 {
                    assert!(got.len() < LENGTH, "{case}");
                    assert_eq!(got, content[..got.len()], "{case}");
                }
            }
        }
    }
    let (status, got, whole) = one(&client).await;
    assert!(status == 200 && whole && got == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_object_never_ends_cleanly() {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let gateway = site.start().await;
    check_cut(&recorder, &site, &gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_object_never_ends_cleanly_over_tls() {
    let (recorder, site) = over_tls().await;
    let gateway = site.start().await;
    check_cut(&recorder, &site, &gateway).await;
}

/// Sound for HTTP, but not what was stored.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_short_by_its_own_account_never_ends_cleanly() {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let gateway = site.start().await;
    let client = Client::new(&site, &gateway);
    client.store("/bbb/k", &pattern(LENGTH)).await;
    let ranges = [
        (None, LENGTH),
        (Some("bytes=70000-270000"), 200_001),
        (Some("bytes=100-"), LENGTH - 100),
    ];
    for (range, length) in ranges {
        for by in [1, 1000, SEGMENT, 2 * SEGMENT] {
            recorder.next([Act::Short(by)]);
            let fields: Vec<_> = range.map(|range| ("range", range)).into_iter().collect();
            let head = client.signed("GET", "/bbb/k", &fields, UNSIGNED);
            let mut frames = Frames::with_window(&client, 1 << 20).await;
            frames.headers(1, &head, true).await;
            let end = frames.end_of(1).await;
            let refused = end.status.is_some_and(|status| status >= 500);
            // a range may have lost only what lay behind it and was asked for in vain
            let whole = end.clean && end.bytes == length && range.is_some();
            assert!(refused || whole || !end.clean, "{range:?} {by}: {end:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_aborts_before_its_segment() {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let gateway = site.start().await;
    let client = Client::new(&site, &gateway);
    let content = pattern(LENGTH);
    client.store("/bbb/k", &content).await;
    let sealed = recorder.stored("/bbb/k").unwrap().len();
    let header = sealed - 1;
    for at in [
        0,
        500,
        SEGMENT + 500,
        3 * SEGMENT + 500,
        LENGTH - 10,
        header,
    ] {
        for protocol in [1, 2] {
            recorder.next([Act::Flip(at)]);
            let (status, got, whole) = match protocol {
                1 => one(&client).await,
                _ => two(&client).await,
            };
            assert!(!whole || status >= 500, "{at} HTTP/{protocol}");
            if status == 200 {
                // the segment that holds the byte begins at or after this
                let before = at / (SEGMENT + 16) * SEGMENT;
                assert!(got.len() <= before, "{at}: {} bytes", got.len());
                assert_eq!(got, content[..got.len()]);
            }
        }
    }
}
