//! The leak canary: a random marker in every sensitive field of every S3 operation, and a search through all that the
//! provider received, the log and the state's directory. Bucket names, keys and tags are clear by design and hold none.
//!
//! The search must be able to find: the same requests, sent unsealed, must be caught one by one, and every form of a
//! marker too. Else the run is void.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    dead_code,
    reason = "the provider and the client serve two test binaries"
)]

#[path = "../s3/client.rs"]
mod client;
#[path = "../s3/pieces.rs"]
mod pieces;
#[path = "../s3/provider.rs"]
mod provider;
mod search;

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http::request::Parts;
use sceau::adapter::s3::checksum::{self, Algorithm};
use sceau::adapter::s3::settings::Integrity;
use sceau::adapter::s3::sigv4::SigningKey;
use sceau::body::{Cleared, Plain, Upstream};
use sceau::policy::{Class, Policy, RelayPermit, Verdict};
use sceau::secret::SecretBytes;

use self::client::{ACCESS, Answer, Ask, Config, Gateway, SECRET, bytes};
use self::provider::{Provider, Seen};
use self::search::{FORMS, Marker, Search};

const PART: usize = 5 << 20;

/// The log at its most talkative.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn listen() -> Log {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    log
}

/// A request of the client's with the markers in it.
struct Sent {
    name: String,
    head: Parts,
    body: Bytes,
}

/// Plays the client: makes markers, sends, and keeps what it sent.
struct Play {
    gateway: Gateway,
    markers: Vec<Marker>,
    sent: Vec<Sent>,
}

impl Play {
    fn new(config: Config) -> Self {
        let mut play = Self {
            gateway: Gateway::with(config),
            markers: Vec::new(),
            sent: Vec::new(),
        };
        play.note("the client's secret key", SECRET);
        play
    }

    fn note(&mut self, field: &str, bytes: &[u8]) {
        self.markers.push(Marker {
            field: field.to_owned(),
            bytes: bytes.to_vec(),
        });
    }

    /// 32 random characters that any field can hold.
    fn marker(&mut self, field: &str) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
        let mut random = [0; 32];
        getrandom::fill(&mut random).unwrap();
        let text: String = random
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(byte % 64)]))
            .collect();
        self.note(field, text.as_bytes());
        text
    }

    /// Content with a marker at its beginning, across a segment's boundary and at its end; its digests are markers too.
    fn content(&mut self, field: &str, length: usize) -> Vec<u8> {
        let mut content = bytes(length, self.markers.len() as u64);
        let places = [0, 65_520, length.saturating_sub(32)];
        for at in places.into_iter().filter(|at| at + 32 <= length) {
            let marker = self.marker(field);
            content[at..at + 32].copy_from_slice(marker.as_bytes());
        }
        if length == 0 {
            // everybody knows the digest of nothing
            return content;
        }
        for algorithm in [
            Algorithm::Md5,
            Algorithm::Sha1,
            Algorithm::Sha256,
            Algorithm::Crc64Nvme,
        ] {
            let value = checksum::of(algorithm, &content);
            self.note(&format!("{field}'s {}", algorithm.name()), value.bytes());
        }
        content
    }

    /// Sends with markers in the fields that no operation means.
    async fn send(&mut self, name: &str, ask: impl Fn(&Gateway) -> Ask<'_>, how: How) -> Answer {
        let headers = ["user-agent", "referer", "cookie", "x-custom", "from"];
        let values: Vec<String> = headers
            .iter()
            .map(|header| self.marker(&format!("{name}: {header}")))
            .collect();
        let mut ask = ask(&self.gateway);
        for (header, value) in headers.iter().zip(&values) {
            ask = ask.header(header, value);
        }
        let (head, body) = ask.raw();
        self.sent.push(Sent {
            name: name.to_owned(),
            head,
            body,
        });
        match how {
            How::Signed => ask.send().await,
            How::Presigned => ask.send_presigned().await,
            How::Unsigned => ask.send_unsigned().await,
        }
    }
}

/// Says that a closure's request lives as long as the gateway it is made for.
fn asking<F: for<'g> Fn(&'g Gateway) -> Ask<'g>>(make: F) -> F {
    make
}

#[derive(Clone, Copy)]
enum How {
    Signed,
    Presigned,
    Unsigned,
}

/// Adds a marker to each of the header fields that describe an object.
fn described<'g>(ask: Ask<'g>, values: &[String; 7]) -> Ask<'g> {
    ask.header("content-type", format!("text/{}", values[0]))
        .header(
            "content-disposition",
            format!("attachment; filename={}", values[1]),
        )
        .header("content-language", &values[2])
        .header("cache-control", &values[3])
        .header("content-encoding", &values[4])
        .header("x-amz-meta-plain", &values[5])
        .header(&format!("x-amz-meta-{}", values[6].to_lowercase()), "x")
}

impl Play {
    fn description(&mut self, name: &str) -> [String; 7] {
        let fields = [
            "type",
            "disposition",
            "language",
            "cache",
            "encoding",
            "metadata",
            "metadata name",
        ];
        let values = fields.map(|field| self.marker(&format!("{name}: {field}")));
        let lower = values[6].to_lowercase();
        self.note(&format!("{name}: metadata name"), lower.as_bytes());
        values
    }

    async fn objects(&mut self) {
        for size in [0, 40, 70_000] {
            let content = self.content("PutObject", size);
            let values = self.description("PutObject");
            let put = asking(|g: &Gateway| {
                described(g.ask("PUT", "/bucket/k").body(content.clone()), &values)
            });
            self.send("PutObject", put, How::Signed).await.ok();
        }
        let content = self.content("presigned PutObject", 40);
        let values = self.description("presigned PutObject");
        let put = asking(|g: &Gateway| {
            described(g.ask("PUT", "/bucket/p").body(content.clone()), &values)
        });
        self.send("presigned PutObject", put, How::Presigned)
            .await
            .ok();
        let content = self.content("PutObject with a trailer", 70_000);
        let crc = checksum::of(Algorithm::Crc64Nvme, &content).base64();
        let mut framed = format!("{:x}\r\n", content.len()).into_bytes();
        framed.extend_from_slice(&content);
        framed.extend(format!("\r\n0\r\nx-amz-checksum-crc64nvme:{crc}\r\n\r\n").into_bytes());
        let put = asking(|g: &Gateway| {
            let put = g.ask("PUT", "/bucket/k").body(framed.clone());
            put.payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
                .header("x-amz-trailer", "x-amz-checksum-crc64nvme")
                .header("x-amz-decoded-content-length", content.len().to_string())
                .without_length()
        });
        self.send("PutObject with a trailer", put, How::Signed)
            .await
            .ok();
        for algorithm in Algorithm::FLEXIBLE.into_iter().chain([Algorithm::Md5]) {
            let content = self.content("PutObject with digests", 1000);
            let value = checksum::of(algorithm, &content).base64();
            let put = asking(|g: &Gateway| {
                g.ask("PUT", "/bucket/k")
                    .body(content.clone())
                    .header(algorithm.header(), &value)
            });
            self.send("PutObject with digests", put, How::Signed)
                .await
                .ok();
            let broken = asking(|g: &Gateway| put(g).broken());
            self.send("PutObject that breaks off", broken, How::Signed)
                .await
                .refused();
            let wrong = asking(|g: &Gateway| put(g).header("x-amz-meta-a", &value).body("other"));
            self.send("PutObject with a wrong digest", wrong, How::Signed)
                .await
                .refused();
        }
        let marker = self.marker("a directory marker's metadata");
        let put =
            asking(|g: &Gateway| g.ask("PUT", "/bucket/dir/").header("x-amz-meta-a", &marker));
        self.send("a directory marker", put, How::Signed).await.ok();
    }

    async fn form(&mut self) {
        let content = self.content("PostObject", 5000);
        let title = self.marker("PostObject: metadata");
        let kind = self.marker("PostObject: type");
        let file = self.marker("PostObject: file name");
        let (body, kept) = form(&content, &title, &kind, &file);
        self.note("PostObject: policy", &kept);
        let ask = asking(|g: &Gateway| {
            let ask = g.ask("POST", "/bucket").body(body.clone());
            ask.header("content-type", "multipart/form-data; boundary=xYz")
        });
        self.send("PostObject", ask, How::Unsigned).await.ok();
    }

    async fn multipart(&mut self) {
        let values = self.description("CreateMultipartUpload");
        let begin = asking(|g: &Gateway| described(g.ask("POST", "/bucket/m?uploads"), &values));
        let id = self
            .send("CreateMultipartUpload", begin, How::Signed)
            .await
            .ok()
            .element("UploadId");
        let mut tags = Vec::new();
        for (number, size) in [(1, PART), (2, 40)] {
            let content = self.content("UploadPart", size);
            let md5 = checksum::of(Algorithm::Md5, &content).base64();
            let target = format!("/bucket/m?partNumber={number}&uploadId={id}");
            let part = asking(|g: &Gateway| {
                g.ask("PUT", &target)
                    .body(content.clone())
                    .header("content-md5", &md5)
            });
            tags.push((
                number,
                self.send("UploadPart", part, How::Signed)
                    .await
                    .ok()
                    .header("etag"),
            ));
        }
        let target = format!("/bucket/m?uploadId={id}");
        self.send("ListParts", |g| g.ask("GET", &target), How::Signed)
            .await
            .ok();
        self.send(
            "ListMultipartUploads",
            |g| g.ask("GET", "/bucket?uploads"),
            How::Signed,
        )
        .await
        .ok();
        let done = asking(|g: &Gateway| g.complete("m", &id, &tags));
        self.send("CompleteMultipartUpload", done, How::Signed)
            .await
            .ok();
        self.send("CompleteMultipartUpload again", done, How::Signed)
            .await
            .ok();
        let id = self.gateway.begin("n").await;
        let target = format!("/bucket/n?partNumber=1&uploadId={id}");
        let copy = asking(|g: &Gateway| {
            g.ask("PUT", &target)
                .header("x-amz-copy-source", "bucket/m")
        });
        self.send("UploadPartCopy", copy, How::Signed).await.ok();
        let short = asking(|g: &Gateway| copy(g).header("x-amz-copy-source-range", "bytes=0-99"));
        self.send("UploadPartCopy", short, How::Signed).await.ok();
        let target = format!("/bucket/n?uploadId={id}");
        self.send(
            "AbortMultipartUpload",
            |g| g.ask("DELETE", &target),
            How::Signed,
        )
        .await
        .ok();
        // one stays open, so that its rows and its spool are on the disk when it is searched
        let id = self.gateway.begin("o").await;
        let content = self.content("a spooled part", 5000);
        let target = format!("/bucket/o?partNumber=1&uploadId={id}");
        let part = asking(|g: &Gateway| g.ask("PUT", &target).body(content.clone()));
        self.send("a spooled part", part, How::Signed).await.ok();
    }

    async fn copies(&mut self) {
        let values = self.description("CopyObject");
        let copy = asking(|g: &Gateway| {
            described(
                g.ask("PUT", "/bucket/c")
                    .header("x-amz-copy-source", "bucket/k"),
                &values,
            )
            .header("x-amz-metadata-directive", "REPLACE")
        });
        self.send("CopyObject", copy, How::Signed).await.ok();
        let copy = asking(|g: &Gateway| {
            g.ask("PUT", "/bucket/d")
                .header("x-amz-copy-source", "bucket/m")
        });
        self.send("CopyObject", copy, How::Signed).await.ok();
    }

    async fn reads(&mut self) {
        let shown = self.marker("GetObject: response-content-disposition");
        for key in ["k", "m"] {
            let target = format!("/bucket/{key}?response-content-disposition={shown}");
            for how in [How::Signed, How::Presigned] {
                self.send("GetObject", |g| g.ask("GET", &target), how)
                    .await
                    .ok();
            }
            self.send("HeadObject", |g| g.ask("HEAD", &target), How::Signed)
                .await
                .ok();
            let ranged = asking(|g: &Gateway| g.ask("GET", &target).header("range", "bytes=5-20"));
            self.send("GetObject of a range", ranged, How::Signed)
                .await
                .ok();
            let wrong = self.marker("GetObject: If-Match");
            let conditional =
                asking(|g: &Gateway| g.ask("GET", &target).header("if-match", &wrong));
            self.send("GetObject with a condition", conditional, How::Signed)
                .await
                .refused();
            let target = format!("/bucket/{key}?attributes");
            let attributes = asking(|g: &Gateway| {
                let ask = g.ask("GET", &target);
                ask.header(
                    "x-amz-object-attributes",
                    "ETag,Checksum,ObjectParts,ObjectSize,StorageClass",
                )
            });
            self.send("GetObjectAttributes", attributes, How::Signed)
                .await
                .ok();
        }
        for target in [
            "/bucket",
            "/bucket?list-type=2",
            "/bucket?versions",
            "/",
            "/bucket?location",
        ] {
            self.send("a listing", |g| g.ask("GET", target), How::Signed)
                .await;
        }
        self.send("HeadBucket", |g| g.ask("HEAD", "/bucket"), How::Signed)
            .await
            .ok();
    }

    async fn refused(&mut self) {
        let marker = self.marker("what is refused: body");
        for (method, target) in [
            ("PUT", "/bucket?website"),
            ("PUT", "/bucket?notification"),
            ("PUT", "/bucket/k?annotation&annotationName=a"),
            ("PUT", "/bucket/k?unheard-of"),
            ("PUT", "/bucket?tagging"),
            ("POST", "/bucket/k?select&select-type=2"),
            ("PATCH", "/bucket/k"),
            ("PUT", "/bucket?cors"),
        ] {
            let ask = asking(|g: &Gateway| g.ask(method, target).body(marker.clone()));
            self.send(target, ask, How::Signed).await.refused();
        }
        for header in [
            "x-amz-server-side-encryption-customer-key",
            "x-amz-server-side-encryption-context",
            "x-amz-website-redirect-location",
            "x-amz-tagging",
        ] {
            let value = self.marker(header);
            let ask = asking(|g: &Gateway| {
                g.ask("PUT", "/bucket/k")
                    .body(marker.clone())
                    .header(header, &value)
            });
            self.send(header, ask, How::Signed).await.refused();
        }
        let unsigned = asking(|g: &Gateway| g.ask("PUT", "/bucket/k").body(marker.clone()));
        self.send("an unsigned request", unsigned, How::Unsigned)
            .await
            .refused();
    }

    async fn deletes(&mut self) {
        self.send(
            "DeleteObject",
            |g| g.ask("DELETE", "/bucket/c"),
            How::Signed,
        )
        .await
        .ok();
        let marker = self.marker("DeleteObjects: ETag");
        let document =
            format!("<Delete><Object><Key>k</Key><ETag>{marker}</ETag></Object></Delete>");
        let md5 = checksum::of(Algorithm::Md5, document.as_bytes()).base64();
        let delete = asking(|g: &Gateway| {
            g.ask("POST", "/bucket?delete")
                .body(document.clone())
                .header("content-md5", &md5)
        });
        self.send("DeleteObjects", delete, How::Signed).await.ok();
    }
}

/// A signed form, and its policy document.
fn form(content: &[u8], title: &str, kind: &str, file: &str) -> (Vec<u8>, Vec<u8>) {
    let fields = [
        ("key", "f"),
        ("content-type", kind),
        ("x-amz-meta-title", title),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        (
            "x-amz-credential",
            &format!("{ACCESS}/20261124/us-east-1/s3/aws4_request"),
        ),
        ("x-amz-date", "20261124T120000Z"),
    ];
    let mut conditions = String::from("{\"bucket\": \"bucket\"}");
    for (name, value) in fields {
        conditions.push_str(&format!(",{{\"{name}\": \"{value}\"}}"));
    }
    let policy =
        format!("{{\"expiration\": \"2026-11-24T13:00:00Z\", \"conditions\": [{conditions}]}}");
    let policy = STANDARD.encode(policy);
    let secret = SecretBytes::new(SECRET.to_vec());
    let signature = SigningKey::derive(&secret, "20261124", "us-east-1").sign(policy.as_bytes());
    let mut body = String::new();
    for (name, value) in fields
        .into_iter()
        .chain([("policy", policy.as_str()), ("x-amz-signature", &signature)])
    {
        body.push_str(&format!(
            "--xYz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    body.push_str(&format!(
        "--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\n\r\n"
    ));
    let mut body = body.into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--xYz--\r\n");
    (body, policy.into_bytes())
}

/// All that a request shows.
fn shown(seen: &Seen) -> Vec<u8> {
    let mut all = format!("{} {}\n", seen.method, seen.uri).into_bytes();
    for (name, value) in &seen.headers {
        all.extend_from_slice(name.as_str().as_bytes());
        all.extend_from_slice(b": ");
        all.extend_from_slice(value.as_bytes());
        all.push(b'\n');
    }
    all.extend_from_slice(&seen.body);
    all
}

/// Headers whose values go together make one blob: base64 that is cut in pieces is searched whole, and decoded.
fn joined(seen: &Seen) -> Vec<u8> {
    let mut text = Vec::new();
    for n in 0.. {
        match seen.headers.get(format!("x-amz-meta-sceau-{n}")) {
            Some(value) => text.extend_from_slice(value.as_bytes()),
            None => break,
        }
    }
    let mut all = STANDARD.decode(&text).unwrap();
    all.extend(text);
    all
}

fn files(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// Lets pass what the gateway would never let pass.
fn unsealed() -> RelayPermit {
    match Policy::default().decide(Class::Pass) {
        Verdict::Relay(permit) => permit,
        _ => unreachable!("what passes is relayed"),
    }
}

/// Each request as it came from the client, sent without sealing, must be caught.
async fn control(search: &Search, sent: &[Sent]) {
    let permit = unsealed();
    for Sent { name, head, body } in sent {
        let provider = Provider::new(client::now());
        for part in ["head", "body"] {
            let mut request = Request::new(Cleared::empty());
            *request.method_mut() = head.method.clone();
            match part {
                "head" => *request.headers_mut() = head.headers.clone(),
                _ => *request.body_mut() = Cleared::relayed(Plain::whole(body.clone()), &permit),
            }
            *request.uri_mut() = "/bucket/k".parse().unwrap();
            let _ = provider.send(request).await;
            let marked = part == "head" || body.len() >= 32 && !body.starts_with(b"<Complete");
            let hits = search.find(part, &shown(&provider.seen()[0]));
            assert!(
                !marked || !hits.is_empty(),
                "void: {name}'s {part} was not caught"
            );
        }
    }
}

#[test]
fn the_search_finds_every_form_of_every_piece() {
    let bytes = b"kQ3_zPq9-0aVbXcYdWeUfTgShRiMjLkN".to_vec();
    let marker = Marker {
        field: "m".into(),
        bytes: bytes.clone(),
    };
    let search = Search::new(&[marker]);
    for at in 0..=bytes.len() - 8 {
        let piece = &bytes[at..at + 8];
        for (form, make) in FORMS {
            for pattern in make(piece) {
                let around = [b"....".as_slice(), &pattern, b"...."].concat();
                assert!(!search.find("", &around).is_empty(), "{form} at {at}");
            }
        }
        assert!(search.find("", &piece[..7]).is_empty());
    }
    for before in 0..3 {
        let whole = [&vec![b'x'; before][..], &bytes].concat();
        let text = STANDARD.encode(&whole);
        assert!(!search.find("", text.as_bytes()).is_empty());
    }
    let text = [b"some text before ".as_slice(), &bytes].concat();
    let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&text, 9);
    let gzip = [
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
        &miniz_oxide::deflate::compress_to_vec(&text, 9)[..],
    ]
    .concat();
    for deflated in [zlib, gzip] {
        let around = [b"12345".as_slice(), &deflated, b"12345678"].concat();
        assert!(!search.find("", &around).is_empty());
    }
}

#[tokio::test]
async fn nothing_sensitive_leaves_in_any_form() {
    let log = listen();
    for integrity in [
        Integrity::None,
        Integrity::TrailerCrc32c,
        Integrity::SpoolMd5,
    ] {
        let config = Config {
            integrity,
            etag_md5: true,
            ..Config::default()
        };
        let mut play = Play::new(config);
        play.objects().await;
        play.form().await;
        play.multipart().await;
        play.copies().await;
        play.reads().await;
        play.refused().await;
        play.deletes().await;
        let search = Search::new(&play.markers);
        control(&search, &play.sent).await;

        let seen = play.gateway.provider.seen();
        assert!(seen.len() > 40, "{} requests went up", seen.len());
        let mut hits = Vec::new();
        for seen in &seen {
            let place = format!("{} {}", seen.method, seen.uri);
            hits.extend(search.find(&place, &shown(seen)));
            hits.extend(search.find(&place, &joined(seen)));
        }
        let mut stored = Vec::new();
        files(play.gateway.state_directory(), &mut stored);
        assert!(stored.len() >= 3, "database, log and spool: {stored:?}");
        for path in stored {
            let place = path.display().to_string();
            let mut bytes = path.into_os_string().into_encoded_bytes();
            bytes.extend(std::fs::read(&place).unwrap());
            hits.extend(search.find(&place, &bytes));
        }
        let logged = std::mem::take(&mut *log.0.lock().unwrap());
        let heard = logged.windows(9).any(|piece| piece == b"BadDigest");
        assert!(heard, "void: the log was not listened to");
        hits.extend(search.find("the log", &logged));
        hits.sort();
        hits.dedup();
        assert!(
            hits.is_empty(),
            "{} leaks:\n{}",
            hits.len(),
            hits.join("\n")
        );
    }
}
