//! SIGHUP: the new configuration whole, or the old one as it was.

use std::fs;

use rustix::process::Signal;

use crate::client::{Client, Hello};
use crate::drain::Process;
use crate::recorder::Recorder;
use crate::site::Site;
use crate::until;

async fn status(client: &Client) -> u16 {
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    one.reply().await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_changes_nothing_and_a_good_one_everything() {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let address = site.bind();
    let process = Process::start(&site, address).await;
    let old = Client::at(&site, address, "EXAMPLE", &site.secret);
    let new = Client::at(&site, address, "NEW", "another-secret-0f31");
    let path = site.root().join(Site::SERVICE);
    let sound = fs::read_to_string(&path).unwrap();
    // an upload under way sees nothing of any of it
    let mut upload = old.one().await;
    upload.send(old.put("/bbb/k", 10)).await;
    upload.send("hello").await;
    until("it is under way", || recorder.seen().len() == 1).await;

    let log = |count: usize, text: &'static str| {
        let process = &process;
        async move {
            until(text, || process.text().matches(text).count() == count).await;
        }
    };
    // a fault of the text, one of the configuration, one that only starting finds
    site.edit(Site::SERVICE, "\"EXAMPLE\"", "\"NEW\"");
    fs::write(
        site.root().join("secrets/example-client"),
        "another-secret-0f31",
    )
    .unwrap();
    for (count, fault) in ["nonsense", "policy_off = true"].iter().enumerate() {
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{fault}\n{text}")).unwrap();
        process.signal(Signal::HUP);
        log(count + 1, "the old configuration stays in force").await;
        assert!(process.text().contains("services.d/10-example.toml:1:"));
        assert_eq!((status(&old).await, status(&new).await), (404, 403));
        fs::write(&path, text).unwrap();
    }
    let identity = site.root().join("keys/identities/ministry.identity");
    fs::rename(&identity, identity.with_extension("away")).unwrap();
    process.signal(Signal::HUP);
    log(3, "the old configuration stays in force").await;
    assert_eq!((status(&old).await, status(&new).await), (404, 403));
    fs::rename(identity.with_extension("away"), &identity).unwrap();

    process.signal(Signal::HUP);
    log(1, "reloaded").await;
    assert_eq!((status(&old).await, status(&new).await), (403, 404));
    upload.send("world").await;
    assert_eq!(upload.reply().await.status, 200);
    // what was stored under the old configuration is read under the new one
    let mut one = new.one().await;
    one.send(new.head("GET", "/bbb/k", &[])).await;
    assert_eq!(one.reply().await.text(), "helloworld");
    assert_ne!(sound, fs::read_to_string(&path).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_come_and_go() {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let first = site.bind();
    let process = Process::start(&site, first).await;
    let client = Client::at(&site, first, "EXAMPLE", &site.secret);
    let twelve = Hello {
        versions: &[&rustls::version::TLS12],
        ..Hello::ONE
    };
    assert!(client.hello(&twelve).await.is_err());
    // the same address, now with TLS 1.2, and another one
    let second = crate::site::free_address();
    site.edit(
        Site::GATEWAY,
        "# tls12 = false",
        &format!("tls12 = true\n[[listener]]\nbind = \"{second}\""),
    );
    process.signal(Signal::HUP);
    until("the reload", || process.text().contains("reloaded")).await;
    assert!(client.hello(&twelve).await.is_ok());
    let other = Client::at(&site, second, "EXAMPLE", &site.secret);
    assert_eq!(status(&other).await, 404);
    assert!(other.hello(&twelve).await.is_err());
    // without the first
    site.edit(
        Site::GATEWAY,
        &format!("[[listener]]\nbind = \"{first}\"\n"),
        "",
    );
    site.edit(Site::GATEWAY, "tls12 = true\n", "");
    process.signal(Signal::HUP);
    until("the reload", || {
        process.text().matches("reloaded").count() == 2
    })
    .await;
    assert_eq!(status(&other).await, 404);
    until("the first is closed", || {
        std::net::TcpStream::connect(first).is_err()
    })
    .await;
}
