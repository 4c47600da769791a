//! The provider: a chat server that hands every message on to everybody, keeps all it hears, and does what it is ordered.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{CloseFrame, Role};
use tungstenite::{Bytes, Message};

/// How a connection ended, as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Closed(u16, String),
    /// A close frame without a code.
    Silent,
    /// Without a close frame.
    Broken,
}

#[derive(Default)]
struct Kept {
    heads: Vec<String>,
    /// Payloads of all frames, control frames too.
    heard: Vec<Vec<u8>>,
    ends: Vec<End>,
    /// What the next connections are answered instead of a handshake; `ACCEPT` and `KEY` stand for the handshake's.
    scripts: VecDeque<Vec<u8>>,
}

#[derive(Clone)]
pub struct Chat {
    pub address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    room: broadcast::Sender<Message>,
}

impl Chat {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let chat = Self {
            address: listener.local_addr().unwrap(),
            kept: Arc::default(),
            room: broadcast::channel(64).0,
        };
        let served = chat.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(served.clone().connection(stream));
            }
        });
        chat
    }

    /// Answers the next handshake with these bytes.
    pub fn script(&self, answer: impl Into<Vec<u8>>) {
        self.kept.lock().unwrap().scripts.push_back(answer.into());
    }

    pub fn heads(&self) -> Vec<String> {
        self.kept.lock().unwrap().heads.clone()
    }

    pub fn heard(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.heard
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    /// Whether the server has it anywhere in memory.
    pub fn knows(&self, text: &str) -> bool {
        let kept = self.kept.lock().unwrap();
        let heads = kept.heads.iter().map(|head| head.as_bytes());
        let mut all = kept.heard.iter().map(Vec::as_slice).chain(heads);
        all.any(|bytes| memchr::memmem::find(bytes, text.as_bytes()).is_some())
    }

    /// How the latest connection to end did, once one has.
    pub async fn end(&self) -> End {
        crate::until("a connection's end", || {
            !self.kept.lock().unwrap().ends.is_empty()
        })
        .await;
        self.kept.lock().unwrap().ends.pop().unwrap()
    }

    /// Says the last message again, to everybody, as bytes.
    pub fn broadcast_binary(&self) {
        let _ = self
            .room
            .send(Message::binary(self.last_said().into_bytes()));
    }

    fn hear(&self, payload: &[u8]) {
        self.kept.lock().unwrap().heard.push(payload.to_vec());
    }

    async fn connection(self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else {
                return;
            };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (field, value) = line.split_once(": ")?;
                field.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let script = {
            let mut kept = self.kept.lock().unwrap();
            kept.heads.push(head.clone());
            kept.scripts.pop_front()
        };
        let accept = derive_accept_key(field("sec-websocket-key").unwrap_or_default().as_bytes());
        let scripted = script.is_some();
        let answer = script.unwrap_or_else(|| {
            let protocol = field("sec-websocket-protocol").map_or(String::new(), |offered| {
                format!(
                    "Sec-WebSocket-Protocol: {}\r\n",
                    offered.rsplit(", ").next().unwrap()
                )
            });
            switching(&protocol).into_bytes()
        });
        stream
            .write_all(&replaced(&answer, b"ACCEPT", accept.as_bytes()))
            .await
            .unwrap();
        if scripted && !answer.starts_with(b"HTTP/1.1 101") {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            self.hear(&rest);
            self.kept.lock().unwrap().ends.push(End::Broken);
            return;
        }
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        let end = self.talk(socket).await;
        self.kept.lock().unwrap().ends.push(end);
    }

    async fn talk(&self, mut socket: WebSocketStream<TcpStream>) -> End {
        let mut room = self.room.subscribe();
        loop {
            let message = tokio::select! {
                said = room.recv() => {
                    if socket.send(said.unwrap()).await.is_err() {
                        return End::Broken;
                    }
                    continue;
                }
                message = socket.next() => message,
            };
            match message {
                Some(Ok(Message::Text(text))) => {
                    self.hear(text.as_bytes());
                    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                    match value["do"].as_str() {
                        Some(order) => {
                            if let Some(end) = self.obey(&mut socket, order).await {
                                return end;
                            }
                        }
                        None => _ = self.room.send(Message::Text(text)),
                    }
                }
                Some(Ok(Message::Close(None))) => {
                    let _ = socket.flush().await;
                    return End::Silent;
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    self.hear(frame.reason.as_bytes());
                    let _ = socket.flush().await;
                    return End::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(other)) => self.hear(&other.into_data()),
                Some(Err(_)) | None => return End::Broken,
            }
        }
    }

    /// The last message that somebody said, as the server has it.
    fn last_said(&self) -> String {
        let heard = self.heard();
        heard
            .iter()
            .rev()
            .find(|text| text.contains("\"text\""))
            .unwrap()
            .clone()
    }

    async fn obey(&self, socket: &mut WebSocketStream<TcpStream>, order: &str) -> Option<End> {
        let frames = match order {
            "drop" => return Some(End::Broken),
            "close" => {
                let frame = CloseFrame {
                    code: 4321.into(),
                    reason: "the server's own words".into(),
                };
                let _ = socket.close(Some(frame)).await;
                return None;
            }
            // neither reads nor answers
            "deaf" => {
                tokio::time::sleep(4 * crate::DEADLINE).await;
                return Some(End::Broken);
            }
            "ping" => {
                let ping = Message::Ping(Bytes::from_static(b"are you there"));
                let _ = socket.send(ping).await;
                return None;
            }
            "binary" => {
                let _ = socket
                    .send(Message::binary(self.last_said().into_bytes()))
                    .await;
                return None;
            }
            // one token in three frames
            "fragments" => {
                let said = self.last_said().into_bytes();
                let at = memchr::memmem::find(&said, b"sc1.").unwrap();
                let (one, rest) = said.split_at(at + 2);
                let (two, three) = rest.split_at(30);
                [frame(0x01, one), frame(0x00, two), frame(0x80, three)].concat()
            }
            // one token in two messages
            "split" => {
                let said = self.last_said().into_bytes();
                let (one, two) = said.split_at(said.len() / 2);
                [frame(0x81, one), frame(0x81, two)].concat()
            }
            "compressed" => frame(0xC1, b"\xAA\x56\x4A\x01\x00"),
            "masked" => b"\x81\x82\x00\x00\x00\x00{}".to_vec(),
            "bad-utf8" => frame(0x81, b"\"\xFF\""),
            "huge" => frame(0x81, &[b'a'; 70_000]),
            // more than a client that does not read has room for
            "flood" => {
                for _ in 0..2000 {
                    if socket
                        .send(Message::text("x".repeat(60_000)))
                        .await
                        .is_err()
                    {
                        return Some(End::Broken);
                    }
                }
                return None;
            }
            other => panic!("the order {other} is unknown"),
        };
        let _ = socket.get_mut().write_all(&frames).await;
        None
    }
}

/// The head that switches, with further fields.
pub fn switching(fields: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: ACCEPT\r\n{fields}\r\n"
    )
}

/// One unmasked frame, its first byte given.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        n if n < 126 => frame.push(n as u8),
        n if n < 65_536 => {
            frame.push(126);
            frame.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            frame.push(127);
            frame.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match memchr::memmem::find(text, from) {
        None => text.to_vec(),
        Some(at) => [&text[..at], to, &text[at + from.len()..]].concat(),
    }
}
