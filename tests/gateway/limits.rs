//! Time, rate and number: what a client may take of the gateway.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, Hello};
use crate::recorder::{Act, Recorder, Then};
use crate::site::{Gateway, Site};
use crate::{pattern, until, within};

async fn up(limits: &str) -> (Recorder, Site, Gateway) {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url()).limits(limits);
    let gateway = site.start().await;
    (recorder, site, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_is_given_up() {
    let (recorder, site, gateway) = up("header_timeout = \"1s\"").await;
    let client = Client::new(&site, &gateway);
    let mut one = client.one().await;
    let head = client.head("GET", "/bbb/k", &[("x-a", &"a".repeat(8000))]);
    let drip = async {
        for byte in head.as_bytes() {
            if one.stream.write_all(&[*byte]).await.is_err() || one.stream.flush().await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the whole head was taken");
    };
    within("the gateway to close", drip).await;
    // with nobody sending on, the answer can be read
    let mut one = client.one().await;
    one.send("GET /bbb/k HTTP/1.1\r\nHost: lo").await;
    assert_eq!(one.reply().await.status, 408);
    one.closed("").await;
    assert_eq!(recorder.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_given_up() {
    let (recorder, site, gateway) = up("idle_timeout = \"1s\"\nhandshake_timeout = \"1s\"").await;
    let client = Client::new(&site, &gateway);
    // before the handshake
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let read = within("the gateway closes", stream.read(&mut [0; 8])).await;
    assert!(matches!(read, Ok(0) | Err(_)));
    // before and after a request
    client.one().await.closed("").await;
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    assert_eq!(one.reply().await.status, 404);
    one.closed("").await;
    // in the middle of a body
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", 300_000)).await;
    one.send(pattern(200_000)).await;
    let reply = one.reply().await;
    assert_eq!(reply.status, 408);
    assert!(
        reply.text().contains("<Code>RequestTimeout</Code>"),
        "{}",
        reply.text()
    );
    one.closed("").await;
    assert!(!recorder.over(1).await.whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_given_up() {
    let (recorder, site, gateway) = up("idle_timeout = \"1s\"").await;
    let client = Client::new(&site, &gateway);
    client.store("/bbb/k", &pattern(64 << 20)).await;
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    // the recorder's request ends because the gateway's connection to it does
    recorder.over(1).await;
    assert!(!one.reply().await.whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trickle_is_given_up_in_either_direction() {
    let (recorder, site, gateway) = up("minimum_rate = \"1 MiB\"\nidle_timeout = \"5s\"").await;
    let client = Client::new(&site, &gateway);
    client.store("/bbb/k", &pattern(64 << 20)).await;
    let upload = async {
        let mut one = client.one().await;
        one.send(client.put("/bbb/slow", 64 << 20)).await;
        while one.stream.write_all(&[0; 1000]).await.is_ok() && one.stream.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let download = async {
        let mut one = client.one().await;
        one.send(client.head("GET", "/bbb/k", &[])).await;
        let mut buffer = [0; 10_000];
        while one.stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if recorder.seen().iter().filter(|seen| seen.over).count() == 3 {
                break;
            }
        }
    };
    within("both to be given up", async {
        tokio::join!(upload, download)
    })
    .await;
    let seen = recorder.seen();
    assert!(
        seen.iter()
            .any(|seen| seen.line().contains("slow") && !seen.whole)
    );
    until("the gateway has let go", || {
        recorder.seen().iter().all(|seen| seen.over)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_provider_is_not_the_clients_fault() {
    let (recorder, site, gateway) = up("idle_timeout = \"1s\"").await;
    let client = Client::new(&site, &gateway);
    recorder.next([Act::Answer(Some(0), String::new(), Then::Stall)]);
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", 64 << 20)).await;
    let mut filled = 0;
    // until the gateway takes no more because the provider does not
    while tokio::time::timeout(Duration::from_secs(3), one.stream.write_all(&[0; 65_536]))
        .await
        .is_ok_and(|sent| sent.is_ok())
    {
        filled += 65_536;
    }
    assert!(filled < 64 << 20);
    let mut byte = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(100), one.stream.read(&mut byte));
    assert!(early.await.is_err(), "the client is waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limit_are_shed() {
    let (recorder, site, gateway) = up("in_flight = 1").await;
    let client = Client::new(&site, &gateway);
    let mut first = client.one().await;
    first.send(client.put("/bbb/k", 10)).await;
    first.send("hello").await;
    until("the first is under way", || recorder.seen().len() == 1).await;
    let mut second = client.one().await;
    second.send(client.put("/bbb/x", 5)).await;
    second.send("hello").await;
    let reply = second.reply().await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("<Code>SlowDown</Code>"));
    assert_eq!(recorder.seen().len(), 1);
    first.send("world").await;
    assert_eq!(first.reply().await.status, 200);
    let mut third = client.one().await;
    third.send(client.head("GET", "/bbb/k", &[])).await;
    assert_eq!(third.reply().await.text(), "helloworld");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_shed() {
    for limit in ["connections = 2", "connections_per_address = 2"] {
        let (_recorder, site, gateway) = up(limit).await;
        let client = Client::new(&site, &gateway);
        let (mut first, _second) = (client.one().await, client.one().await);
        let third = within("an end", client.hello(&Hello::ONE)).await;
        assert!(third.is_err(), "{limit}");
        first.send(client.head("GET", "/bbb/k", &[])).await;
        assert_eq!(first.reply().await.status, 404, "{limit}");
        drop(first);
        // a place is free again
        within("a connection", async {
            while client.hello(&Hello::ONE).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}
