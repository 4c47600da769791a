//! How a WebSocket ends when nobody breaks a rule.

use std::time::Duration;

use futures_util::StreamExt as _;

use crate::chat::{Chat, End};
use crate::client::Client;
use crate::site::{Gateway, Site, up};
use crate::within;

async fn limited(lines: &str) -> (Chat, Site, Gateway) {
    let chat = Chat::start().await;
    let site = Site::new(&chat).limits(lines);
    let gateway = site.start().await;
    (chat, site, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_takes_the_providers_side_with_it() {
    let (chat, site, gateway) = up().await;
    let one = Client::open(&site, &gateway, "/live/a").await;
    drop(one);
    assert_eq!(chat.end().await, End::Closed(1001, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_conversations_with_going_away() {
    let (chat, site, gateway) = up().await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    let stopped = tokio::spawn(gateway.running.stop());
    assert_eq!(one.closed().await, (1001, "draining".into()));
    assert_eq!(chat.end().await, End::Closed(1001, "draining".into()));
    assert!(within("the gateway stops", stopped).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_ends_conversations_and_new_ones_open() {
    let (chat, site, gateway) = up().await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    gateway.running.replace(site.load()).await.unwrap();
    assert_eq!(one.closed().await, (1001, "draining".into()));
    assert_eq!(chat.end().await, End::Closed(1001, "draining".into()));
    let mut two = Client::open(&site, &gateway, "/live/a").await;
    two.say("again").await;
    assert_eq!(two.hears().await, "again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_conversation_outlives_the_idle_time_of_requests() {
    let (_chat, site, gateway) = limited("idle_timeout = \"1s\"\nwebsocket_ping = \"200ms\"").await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    // its pongs are written while it is read
    let silent = tokio::time::timeout(Duration::from_secs(4), async {
        while let Some(Ok(message)) = one.socket.next().await {
            assert!(message.is_ping(), "{message}");
        }
    });
    assert!(silent.await.is_err(), "the conversation ended");
    one.say("still here").await;
    while !one.next().await.is_text() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn one_without_messages_ends_after_its_own_time() {
    let (chat, site, gateway) =
        limited("websocket_ping = \"200ms\"\nwebsocket_idle = \"1s\"").await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    assert_eq!(one.closed().await, (1001, "idle".into()));
    assert_eq!(chat.end().await, End::Closed(1001, "idle".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_no_ping_is_given_up() {
    let (chat, site, gateway) = limited("websocket_ping = \"300ms\"").await;
    let one = Client::open(&site, &gateway, "/live/a").await;
    // nobody reads, so nobody answers
    assert_eq!(chat.end().await, End::Closed(1008, "too-slow".into()));
    drop(one);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_stops_the_provider_and_is_given_up() {
    let (chat, site, gateway) = limited("idle_timeout = \"2s\"\nwebsocket_ping = \"10s\"").await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    one.order("flood").await;
    // it may have lost patience before it could read why
    let told = End::Closed(1008, "too-slow".into());
    let end = chat.end().await;
    assert!(end == told || end == End::Broken, "{end:?}");
    drop(one);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_at_once_than_the_limit_says() {
    let (chat, site, gateway) = limited("websockets = 1").await;
    let one = Client::open(&site, &gateway, "/live/a").await;
    let mut stream = crate::client::tls(&site, gateway.address, b"http/1.1").await;
    let head = crate::client::ask(&mut stream, crate::client::head("/live/a", "")).await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    drop(one);
    chat.end().await;
    within("another opens", async {
        loop {
            let mut stream = crate::client::tls(&site, gateway.address, b"http/1.1").await;
            let head = crate::client::ask(&mut stream, crate::client::head("/live/a", "")).await;
            if head.starts_with("HTTP/1.1 101 ") {
                break;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_silent_is_given_up() {
    let (_chat, site, gateway) = limited("websocket_ping = \"300ms\"").await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    one.order("deaf").await;
    assert_eq!(one.closed().await, (1011, "upstream-timeout".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_read_stops_the_client_and_is_given_up() {
    let (_chat, site, gateway) = limited("idle_timeout = \"2s\"\nwebsocket_ping = \"20s\"").await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    one.order("deaf").await;
    let text = "x".repeat(40_000);
    let end = within("the end", async {
        loop {
            tokio::select! {
                biased;
                said = one.socket.next() => break said,
                () = tokio::task::yield_now() => {}
            }
            let message = serde_json::json!({"type": "say", "text": text}).to_string();
            // what can't be sent any more is answered
            let _ = tokio::time::timeout(
                std::time::Duration::from_millis(200),
                futures_util::SinkExt::send(&mut one.socket, tungstenite::Message::text(message)),
            )
            .await;
        }
    })
    .await;
    let frame = end.unwrap().unwrap();
    let tungstenite::Message::Close(Some(frame)) = frame else {
        panic!("{frame:?}");
    };
    assert_eq!(
        (frame.code.into(), frame.reason.as_str()),
        (1011_u16, "upstream-timeout")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_whose_answers_nobody_reads_are_not_answered_for_ever() {
    let (chat, site, gateway) = up().await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    let pings = crate::client::frame(0x89, &[b'a'; 125]).repeat(500);
    let stream = one.socket.get_mut();
    let refused = within("the gateway gives up", async {
        loop {
            if tokio::io::AsyncWriteExt::write_all(stream, &pings)
                .await
                .is_err()
            {
                break;
            }
        }
    });
    let told = async { chat.end().await };
    tokio::select! {
        () = refused => {}
        end = told => assert_eq!(end, End::Closed(1008, "too-slow".into())),
    }
}
