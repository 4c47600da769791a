//! A provider that misbehaves: what can't be understood is refused, what is not known is said to be unknown, and no
//! write is sent twice.

use crate::client::Client;
use crate::pattern;
use crate::recorder::{Act, Recorder, Then};
use crate::site::{Gateway, Site, free_address};

async fn up(upstream: &str) -> (Recorder, Site, Gateway) {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url()).upstream(upstream);
    let gateway = site.start().await;
    (recorder, site, gateway)
}

async fn get(client: &Client) -> (u16, String) {
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    let reply = one.reply().await;
    assert!(reply.whole);
    (reply.status, reply.text())
}

async fn put(client: &Client, length: usize) -> (u16, String) {
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", length)).await;
    one.send(pattern(length)).await;
    let reply = one.reply().await;
    assert!(reply.whole);
    (reply.status, reply.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_whose_end_is_in_doubt_are_refused() {
    let (recorder, site, gateway) = up("").await;
    let client = Client::new(&site, &gateway);
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 404 Not Found\r\n\r\nuntil the end",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "no answer at all\r\n\r\n",
    ] {
        recorder.next([Act::Answer(None, answer.into(), Then::Close)]);
        let (status, text) = get(&client).await;
        assert_eq!(status, 502, "{answer}");
        assert!(text.contains("<SceauCode>upstream-"), "{answer}: {text}");
        // and the connection is used for nothing else
        recorder.next([Act::Answer(None, answer.into(), Then::Keep)]);
        assert_eq!(get(&client).await.0, 502, "{answer}");
        assert_eq!(get(&client).await.0, 404, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_after_an_answer_are_no_answer() {
    let (recorder, site, gateway) = up("").await;
    let client = Client::new(&site, &gateway);
    let two = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    recorder.next([Act::Answer(None, two.into(), Then::Keep)]);
    assert_eq!(get(&client).await.0, 404);
    assert_eq!(get(&client).await.0, 404);
    assert_eq!(recorder.seen().len(), 2);
    assert_eq!(recorder.connections(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_was_closed_costs_nothing() {
    let (recorder, site, gateway) = up("").await;
    let client = Client::new(&site, &gateway);
    let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    for n in 0..20 {
        recorder.next([Act::Answer(None, answer.into(), Then::Close)]);
        assert_eq!(get(&client).await.0, 404);
        recorder.over(2 * n).await;
        let (status, text) = put(&client, 100_000).await;
        assert_eq!(status, 200, "{text}");
        assert_eq!(recorder.seen().len(), 2 * n + 2);
        // from a connection that stands, to one that the provider closes with the request in its hands
    }
    recorder.next([Act::Answer(None, String::new(), Then::Close)]);
    assert_eq!(get(&client).await.0, 200, "a read is asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_sent_once_and_said_to_be_unknown() {
    let (recorder, site, gateway) = up("").await;
    let client = Client::new(&site, &gateway);
    let mut number = 0;
    // over a fresh connection, and over one that is kept
    for _ in 0..2 {
        for then in [Then::Close, Then::Break] {
            for received in [None, Some(50_000)] {
                recorder.next([Act::Answer(received, String::new(), then)]);
                let (status, text) = put(&client, 100_000).await;
                assert_eq!(status, 502, "{received:?} {then:?}");
                assert!(text.contains("upstream-outcome-unknown"), "{text}");
                recorder.over(number).await;
                number += 1;
                assert_eq!(recorder.seen().len(), number);
            }
        }
        assert_eq!(put(&client, 10).await.0, 200);
        number += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_answer_is_given_up() {
    let (recorder, site, gateway) = up("response_timeout = \"1s\"").await;
    let client = Client::new(&site, &gateway);
    for received in [None, Some(50_000)] {
        recorder.next([Act::Answer(received, String::new(), Then::Stall)]);
        let (status, text) = put(&client, 20 << 20).await;
        assert_eq!(status, 504, "{text}");
        assert!(text.contains("upstream-timeout"));
    }
    recorder.next([Act::Answer(None, String::new(), Then::Stall)]);
    assert_eq!(get(&client).await.0, 504);
    assert_eq!(recorder.seen().len(), 3);
    // an answer that stops in the middle
    assert_eq!(put(&client, 300_000).await.0, 200);
    recorder.next([Act::Cut(100_000, Then::Stall)]);
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    let reply = one.reply().await;
    assert!(!reply.whole);
    one.closed("").await;
}

/// Whoever waits for the client does not do nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_not_the_providers_fault() {
    let (recorder, site, gateway) = up("response_timeout = \"500ms\"").await;
    let client = Client::new(&site, &gateway);
    let content = pattern(300_000);
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", content.len())).await;
    for piece in content.chunks(100_000) {
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        one.send(piece).await;
    }
    assert_eq!(one.reply().await.status, 200);
    assert!(recorder.over(0).await.whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_there_is_unreachable() {
    let site = Site::new(&format!("http://{}", free_address()));
    let gateway = site.start().await;
    let client = Client::new(&site, &gateway);
    for (status, text) in [get(&client).await, put(&client, 100_000).await] {
        assert_eq!(status, 502);
        assert!(text.contains("upstream-unreachable"), "{text}");
        assert!(
            text.contains("ServiceUnavailable"),
            "clients may try again: {text}"
        );
    }
}

/// Idle connections are used again, the one used last first.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept() {
    let (recorder, site, gateway) = up("").await;
    let client = Client::new(&site, &gateway);
    for _ in 0..5 {
        assert_eq!(put(&client, 100_000).await.0, 200);
        assert_eq!(get(&client).await.0, 200);
    }
    assert_eq!(recorder.connections(), 1);
}
