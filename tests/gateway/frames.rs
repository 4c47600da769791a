//! HTTP/2 frame by frame (RFC 9113), for what no client library sends.

use http::request::Parts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Client, Hello, Tls};
use crate::within;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const FRAME: usize = 16_384;

pub struct Frames(Tls);

/// How a stream, or its connection, ended.
#[derive(Debug, Default, Clone)]
pub struct End {
    pub status: Option<u16>,
    pub bytes: usize,
    /// By END_STREAM.
    pub clean: bool,
    pub reset: Option<u32>,
    /// The connection is over.
    pub gone: bool,
    pub goaway: Option<u32>,
}

impl Frames {
    pub async fn connect(client: &Client) -> Self {
        Self::with_window(client, 65_535).await
    }

    /// `window`: what the gateway may send ahead on a stream.
    pub async fn with_window(client: &Client, window: u32) -> Self {
        let stream = within("the handshake", client.hello(&Hello::TWO)).await;
        let mut frames = Self(stream.unwrap());
        let _ = frames
            .0
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await;
        let mut settings = vec![0, 4];
        settings.extend(window.to_be_bytes());
        frames.frame(SETTINGS, 0, 0, &settings).await;
        frames
            .frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())
            .await;
        frames
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).await.is_ok() && self.0.flush().await.is_ok()
    }

    pub async fn headers(&mut self, stream: u32, head: &Parts, end: bool) -> bool {
        let path = head.uri.path_and_query().unwrap().as_str();
        let authority = head.uri.authority().unwrap().as_str();
        let mut block = Vec::new();
        for (name, value) in [
            (":method", head.method.as_str()),
            (":scheme", "https"),
            (":authority", authority),
            (":path", path),
        ] {
            field(&mut block, name, value);
        }
        for (name, value) in &head.headers {
            field(&mut block, name.as_str(), value.to_str().unwrap());
        }
        let mut pieces = block.chunks(FRAME).peekable();
        let (mut kind, mut flags) = (HEADERS, u8::from(end) * END_STREAM);
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                flags |= END_HEADERS;
            }
            if !self.frame(kind, flags, stream, piece).await {
                return false;
            }
            (kind, flags) = (CONTINUATION, 0);
        }
        true
    }

    pub async fn data(&mut self, stream: u32, bytes: &[u8], end: bool) {
        for piece in bytes.chunks(FRAME) {
            self.frame(DATA, 0, stream, piece).await;
        }
        if end {
            self.frame(DATA, END_STREAM, stream, b"").await;
        }
    }

    pub async fn reset(&mut self, stream: u32) -> bool {
        self.frame(RESET, 0, stream, &8_u32.to_be_bytes()).await
    }

    pub async fn ping(&mut self) -> bool {
        self.frame(PING, 0, 0, &[0; 8]).await
    }

    /// The next frame: kind, flags, stream and payload; `None` when the connection is over.
    async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if head[3] == SETTINGS && head[4] & ACK == 0 {
            self.frame(SETTINGS, ACK, 0, b"").await;
        }
        Some((head[3], head[4], stream, payload))
    }

    /// Reads until this stream has ended, or the connection.
    pub async fn end_of(&mut self, stream: u32) -> End {
        within("an end of the stream", async {
            let mut end = End::default();
            while let Some((kind, flags, of, payload)) = self.next().await {
                match kind {
                    GOAWAY => end.goaway = Some(number(&payload[4..8])),
                    _ if of != stream => {}
                    HEADERS if end.status.is_none() => end.status = status(&payload),
                    DATA => end.bytes += payload.len(),
                    RESET => end.reset = Some(number(&payload)),
                    _ => {}
                }
                if of == stream && matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                    end.clean = true;
                }
                if end.clean || end.reset.is_some() {
                    return end;
                }
            }
            end.gone = true;
            end
        })
        .await
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// A literal field without indexing and without Huffman coding (RFC 7541 section 6.2.2).
fn field(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        if text.len() < 127 {
            block.push(text.len() as u8);
        } else {
            block.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                block.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            block.push(rest as u8);
        }
        block.extend_from_slice(text.as_bytes());
    }
}

/// The status of a connection's first answer, which the block begins with.
fn status(block: &[u8]) -> Option<u16> {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let block = match block.first()? {
        update if update & 0xE0 == 0x20 => &block[1..],
        _ => block,
    };
    match *block.first()? {
        indexed @ 0x88..=0x8E => Some(INDEXED[usize::from(indexed - 0x88)]),
        _ if block[1] & 0x80 == 0 => {
            let length = usize::from(block[1]);
            std::str::from_utf8(&block[2..2 + length])
                .ok()?
                .parse()
                .ok()
        }
        _ => {
            // Huffman codes of digits: 0 to 2 have five bits, 3 to 9 have six
            let mut bits = 0_u64;
            let bytes = usize::from(block[1] & 0x7F);
            for byte in &block[2..2 + bytes] {
                bits = bits << 8 | u64::from(*byte);
            }
            let mut left = bytes * 8;
            let mut digits = 0;
            for _ in 0..3 {
                let five = (bits >> (left - 5)) & 0x1F;
                let (digit, used) = if five < 3 {
                    (five, 5)
                } else {
                    (((bits >> (left - 6)) & 0x3F) - 0x19 + 3, 6)
                };
                left -= used;
                digits = digits * 10 + digit as u16;
            }
            Some(digits)
        }
    }
}
