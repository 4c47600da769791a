//! How a WebSocket is opened, and how not.

use tokio::io::AsyncReadExt as _;

use crate::chat::{End, switching};
use crate::client::{Client, KEY, ask, frame, head, tls};
use crate::site::up;

/// What is answered to a request, whole.
async fn refused(
    site: &crate::site::Site,
    gateway: &crate::site::Gateway,
    request: &str,
) -> (u16, String) {
    let mut stream = tls(site, gateway.address, b"http/1.1").await;
    let head = ask(&mut stream, request).await;
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    let status = head.split(' ').nth(1).unwrap_or("0").parse().unwrap();
    (status, head + &String::from_utf8(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_gets_a_handshake_of_the_gateways_own() {
    let (chat, site, gateway) = up().await;
    let fields = "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat.v1, chat.v2\r\n\
                  Cookie: session=1\r\nOrigin: https://localhost\r\nX-Other: 1\r\n";
    let one = Client::open_with(&site, &gateway, head("/live/a?v=2", fields)).await;
    let answer = one.head.to_lowercase();
    assert!(!answer.contains("extensions"), "{answer}");
    assert!(
        answer.contains("sec-websocket-protocol: chat.v2\r\n"),
        "{answer}"
    );
    assert!(answer.contains("x-sceau-request-id"), "{answer}");
    let asked = chat.heads().remove(0).to_lowercase();
    assert!(asked.starts_with("get /live/a?v=2 http/1.1\r\n"), "{asked}");
    assert!(
        asked.contains("sec-websocket-protocol: chat.v1, chat.v2\r\n"),
        "{asked}"
    );
    assert!(asked.contains("cookie: session=1"), "{asked}");
    for other in [
        "extensions",
        &KEY.to_lowercase(),
        "x-other",
        "origin: https://localhost",
    ] {
        assert!(!asked.contains(other), "{other}: {asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handshake_here_is_refused_before_the_provider_is_asked() {
    let (chat, site, gateway) = up().await;
    let sound = head("/live/a", "");
    for (request, status, code) in [
        (
            sound.replace("Upgrade: websocket", "Upgrade: h2c"),
            426,
            "request-refused",
        ),
        (
            sound.replace("Connection: Upgrade", "Connection: close"),
            426,
            "request-refused",
        ),
        (
            sound.replace("Version: 13", "Version: 8"),
            426,
            "request-refused",
        ),
        (sound.replace(KEY, "short"), 400, "request-refused"),
        (
            "GET /live/a HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
            426,
            "request-refused",
        ),
        (head("/page", ""), 403, "rule-violated"),
        (head("/files", ""), 403, "rule-violated"),
        (head("/live/a?other=1", ""), 403, "rule-violated"),
        (
            head("/live/a", "Sec-WebSocket-Protocol: chat.v1, secret\r\n"),
            403,
            "rule-violated",
        ),
        (head("/nowhere", ""), 501, "operation-unknown"),
    ] {
        let (got, text) = refused(&site, &gateway, &request).await;
        assert_eq!(got, status, "{request}{text}");
        assert!(text.contains(code), "{request}{text}");
        assert_eq!(
            status == 426,
            text.to_lowercase().contains("upgrade: websocket"),
            "{text}"
        );
    }
    assert_eq!(chat.heads(), Vec::<String>::new());
    // another protocol on another rule is not taken up, as RFC 9110 section 7.8 lets it
    chat.script("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    let h2c = head("/page", "").replace("Upgrade: websocket", "Upgrade: h2c");
    assert_eq!(refused(&site, &gateway, &h2c).await.0, 200);
    assert!(!chat.heads()[0].to_lowercase().contains("upgrade"));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_none_is_opened() {
    let (chat, site, gateway) = up().await;
    let stream = tls(&site, gateway.address, b"h2").await;
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/live/a");
    let request = request
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 426);
    assert_eq!(chat.heads(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_switch_to_what_was_asked_is_refused() {
    let (chat, site, gateway) = up().await;
    let sound = switching("");
    for (answer, status) in [
        (sound.replace("ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), 502),
        (sound.replace("Upgrade: websocket", "Upgrade: h2c"), 502),
        (sound.replace("Connection: Upgrade\r\n", ""), 502),
        (switching("Sec-WebSocket-Extensions: permessage-deflate\r\n"), 502),
        (switching("Sec-WebSocket-Protocol: chat.v1\r\n"), 502),
        ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".into(), 502),
        ("HTTP/1.1 204 No Content\r\n\r\n".into(), 502),
        ("HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n".into(), 502),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".into(), 401),
    ] {
        chat.script(answer.clone());
        let (got, text) = refused(&site, &gateway, &head("/live/a", "")).await;
        assert_eq!(got, status, "{answer}{text}");
        assert_eq!(status == 502, text.contains("upstream-invalid"), "{answer}{text}");
    }
    // the connection of an answer that did not switch is not used again
    chat.script("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab");
    let request = "GET /files HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (got, text) = refused(&site, &gateway, request).await;
    assert_eq!((got, text.ends_with("ab")), (200, true), "{text}");
    // one that switches though nobody asked it to
    chat.script(switching(""));
    let (got, text) = refused(&site, &gateway, request).await;
    assert_eq!(got, 502, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_right_behind_the_request_are_no_messages() {
    let (chat, site, gateway) = up().await;
    let said = frame(0x81, b"{\"type\":\"say\",\"text\":\"too early\"}");
    let get = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    for behind in [said.clone(), get.clone(), [said, get].concat(), vec![0x8A]] {
        let request = [head("/live/a", "").as_bytes(), &behind].concat();
        let mut one = Client::open_with(&site, &gateway, request).await;
        assert_eq!(one.closed().await, (1002, "framing-ambiguous".into()));
        assert_eq!(
            chat.end().await,
            End::Closed(1002, "framing-ambiguous".into())
        );
        assert!(!chat.knows("too early"));
    }
    assert_eq!(chat.heads().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_answer_the_handshake_is_given_up() {
    let chat = crate::chat::Chat::start().await;
    let site = crate::site::Site::new(&chat).upstream("response_timeout = \"1s\"");
    let gateway = site.start().await;
    chat.script("");
    let (got, text) = refused(&site, &gateway, &head("/live/a", "")).await;
    assert_eq!(got, 504, "{text}");
}
