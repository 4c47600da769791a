//! What is refused while the messages pass: both sides are told why, and nothing of it arrives.

use futures_util::SinkExt as _;
use tungstenite::Message;

use crate::chat::End;
use crate::client::{Client, frame};
use crate::site::up;

const SECRET: &str = "a text that is the ministry's alone";

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_names_ends_the_conversation_and_goes_nowhere() {
    let (chat, site, gateway) = up().await;
    let text = |text: &str| Message::text(text.replace("SECRET", SECRET));
    let long = format!(
        "{{\"type\":\"say\",\"text\":\"{SECRET}{}\"}}",
        "a".repeat(65_536)
    );
    for (message, code, reason) in [
        (
            text("{\"type\":\"other\",\"text\":\"SECRET\"}"),
            1008,
            "rule-violated",
        ),
        (text("{\"text\":\"SECRET\"}"), 1008, "rule-violated"),
        (
            text("{\"type\":[\"say\"],\"text\":\"SECRET\"}"),
            1008,
            "rule-violated",
        ),
        (
            text("{\"type\":\"say\",\"text\":\"a\",\"more\":\"SECRET\"}"),
            1008,
            "rule-violated",
        ),
        (
            text("{\"type\":\"say\",\"text\":[\"SECRET\"]}"),
            1008,
            "rule-violated",
        ),
        (
            text("{\"type\":\"say\",\"Text\":\"SECRET\"}"),
            1008,
            "rule-violated",
        ),
        // what the first shape refuses is not taken by one behind it
        (
            text("{\"type\":\"say\",\"type\":\"order\",\"text\":\"SECRET\"}"),
            1008,
            "request-refused",
        ),
        (text("SECRET"), 1008, "request-refused"),
        (
            text("{\"type\":\"say\",\"text\":\"a\"} SECRET"),
            1008,
            "request-refused",
        ),
        (text(""), 1008, "request-refused"),
        (
            Message::binary(SECRET.as_bytes().to_vec()),
            1008,
            "rule-violated",
        ),
        (text(&long), 1009, "too-large"),
    ] {
        let mut one = Client::open(&site, &gateway, "/live/a").await;
        let case = message.to_string().chars().take(60).collect::<String>();
        // the gateway may have ended it before the last byte of a long one is out
        let _ = one.socket.send(message).await;
        assert_eq!(one.closed().await, (code, reason.to_owned()), "{case}");
        assert_eq!(chat.end().await, End::Closed(code, reason.into()), "{case}");
        assert!(!chat.knows(SECRET), "{case}");
    }
    assert!(
        chat.heard().iter().all(|heard| !heard.contains('{')),
        "{:?}",
        chat.heard()
    );
    // a rule without messages takes none
    let mut feed = Client::open(&site, &gateway, "/feed").await;
    feed.send("{}").await;
    assert_eq!(feed.closed().await, (1008, "rule-violated".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_break_the_protocol_end_it() {
    let (chat, site, gateway) = up().await;
    let said = format!("{{\"type\":\"say\",\"text\":\"{SECRET}\"}}");
    let unmasked = crate::chat::frame(0x81, said.as_bytes());
    let many = frame(0x01, &[b' '; 40_000]);
    let cases: [(Vec<u8>, u16, &str); 9] = [
        (unmasked, 1002, "framing-ambiguous"),
        (frame(0xC1, said.as_bytes()), 1002, "framing-ambiguous"),
        (frame(0x91, said.as_bytes()), 1002, "framing-ambiguous"),
        (frame(0x83, said.as_bytes()), 1002, "framing-ambiguous"),
        (frame(0x80, said.as_bytes()), 1002, "framing-ambiguous"),
        (frame(0x89, &[b'a'; 126]), 1002, "framing-ambiguous"),
        (
            frame(0x81, b"{\"type\":\"say\",\"text\":\"\xFF\"}"),
            1007,
            "request-refused",
        ),
        (
            [many.clone(), frame(0x00, &[b' '; 40_000])].concat(),
            1009,
            "too-large",
        ),
        // the length alone
        (
            vec![0x81, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            1009,
            "too-large",
        ),
    ];
    for (bytes, code, reason) in cases {
        let mut one = Client::open(&site, &gateway, "/live/a").await;
        let case = format!("{:?}", &bytes[..bytes.len().min(20)]);
        one.raw(&bytes).await;
        assert_eq!(one.closed().await, (code, reason.to_owned()), "{case}");
        assert_eq!(chat.end().await, End::Closed(code, reason.into()), "{case}");
        assert!(!chat.knows(SECRET), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_breaks_the_protocol_is_told_and_the_client_too() {
    let (chat, site, gateway) = up().await;
    for (order, code) in [
        ("compressed", 1002),
        ("masked", 1002),
        ("bad-utf8", 1007),
        ("huge", 1009),
        ("drop", 0),
    ] {
        let mut one = Client::open(&site, &gateway, "/live/a").await;
        one.order(order).await;
        let reason = if order == "drop" {
            "upstream-unreachable"
        } else {
            "upstream-invalid"
        };
        assert_eq!(one.closed().await, (1011, reason.to_owned()), "{order}");
        let end = chat.end().await;
        if order == "drop" {
            assert_eq!(end, End::Broken);
        } else {
            assert_eq!(end, End::Closed(code, reason.into()), "{order}");
        }
    }
}
