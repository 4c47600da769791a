//! What passes, and in which form.

use futures_util::SinkExt as _;
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;

use crate::chat::{Chat, End, frame, switching};
use crate::client::{self, Client};
use crate::site::{Site, up};

const SECRET: &str = "a text that is the ministry's alone";

#[tokio::test(flavor = "multi_thread")]
async fn what_one_says_the_other_reads_and_the_server_does_not() {
    let (chat, site, gateway) = up().await;
    let mut one = Client::open(&site, &gateway, "/live/a?v=1").await;
    let mut two = Client::open(&site, &gateway, "/live/a").await;
    one.say(SECRET).await;
    assert_eq!(one.hears().await, SECRET);
    assert_eq!(two.hears().await, SECRET);
    let heard = chat.heard();
    assert!(heard[0].starts_with("{\"text\":\"sc1."), "{heard:?}");
    assert!(heard[0].ends_with("\"type\":\"say\"}"), "{heard:?}");
    assert!(!chat.knows(SECRET));
    // what was found sealed is found when it is said directly
    let stream = tokio::net::TcpStream::connect(chat.address).await.unwrap();
    let url = format!("ws://{}/live/a", chat.address);
    let (mut direct, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let said = serde_json::json!({"type": "say", "text": SECRET}).to_string();
    direct.send(Message::text(said)).await.unwrap();
    crate::until("the positive control", || chat.knows(SECRET)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_keeps_every_other_byte() {
    let (chat, site, gateway) = up().await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    one.send("{ \"room\" : 1e3, \"type\":\"reply\",\"text\": \"na\\u00efve\" }")
        .await;
    assert_eq!(one.hears().await, "naïve");
    let heard = chat.heard();
    assert!(heard[0].starts_with("{ \"room\" : 1e3, \"type\":\"reply\",\"text\": \"sc1."));
    assert!(heard[0].ends_with("\" }"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_across_frames_and_not_across_messages() {
    let (_chat, site, gateway) = up().await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    one.say(SECRET).await;
    assert_eq!(one.hears().await, SECRET);
    one.order("fragments").await;
    assert_eq!(one.hears().await, SECRET);
    one.order("split").await;
    for _ in 0..2 {
        let half = one.next().await.to_text().unwrap().to_owned();
        assert!(
            !half.contains("ministry") && !half.contains("alone"),
            "{half}"
        );
    }
    // a client's frames are put together before they are judged
    let text = "{\"type\":\"say\",\"text\":\"in three pieces\"}".as_bytes();
    for (first, piece) in [
        (0x01, &text[..20]),
        (0x00, &text[20..30]),
        (0x80, &text[30..]),
    ] {
        one.raw(&client::frame(first, piece)).await;
    }
    assert_eq!(one.hears().await, "in three pieces");
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_and_words_of_farewell_do_not_go_through() {
    let (chat, site, gateway) = up().await;
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    one.socket
        .send(client::ping(SECRET.as_bytes()))
        .await
        .unwrap();
    let pong = one.next().await;
    assert_eq!(pong.into_data(), SECRET.as_bytes());
    one.socket
        .send(Message::Pong(SECRET.as_bytes().into()))
        .await
        .unwrap();
    one.order("ping").await;
    crate::until("the server's pong", || chat.knows("are you there")).await;
    let farewell = CloseFrame {
        code: 4567.into(),
        reason: SECRET.into(),
    };
    one.socket.close(Some(farewell)).await.unwrap();
    assert_eq!(chat.end().await, End::Closed(4567, String::new()));
    assert!(!chat.knows(SECRET));

    let mut two = Client::open(&site, &gateway, "/live/a").await;
    two.order("close").await;
    assert_eq!(two.closed().await, (4321, "the server's own words".into()));
    let mut three = Client::open(&site, &gateway, "/live/a").await;
    three.socket.close(None).await.unwrap();
    // the order's socket ended with an echo of its own code
    let ends = [chat.end().await, chat.end().await];
    assert!(ends.contains(&End::Silent), "{ends:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_right_behind_the_providers_head_is_a_message() {
    let chat = Chat::start().await;
    let site = Site::new(&chat);
    let gateway = site.start().await;
    let mut answer = switching("").into_bytes();
    answer.extend(frame(0x81, b"{\"text\":\"at once\"}"));
    chat.script(answer);
    let mut one = Client::open(&site, &gateway, "/live/a").await;
    assert_eq!(one.hears().await, "at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_messages_reach_clients_where_the_rule_says_so() {
    let (chat, site, gateway) = up().await;
    let mut writer = Client::open(&site, &gateway, "/live/a").await;
    writer.say(SECRET).await;
    writer.hears().await;
    let mut reader = Client::open(&site, &gateway, "/feed").await;
    writer.say("again").await;
    assert_eq!(reader.hears().await, "again");
    writer.order("binary").await;
    assert_eq!(writer.hears().await, "again");
    assert_eq!(writer.closed().await, (1011, "upstream-invalid".into()));
    chat.broadcast_binary();
    let message = reader.next().await;
    assert!(message.is_binary());
    assert_eq!(message.into_data(), "{\"text\":\"again\",\"type\":\"say\"}");
}
