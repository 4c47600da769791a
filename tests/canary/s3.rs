//! Every S3 operation. Bucket names, keys and tags are clear by design and hold no marker.

#[path = "../s3/client.rs"]
mod client;
#[path = "../s3/pieces.rs"]
mod pieces;
#[path = "../s3/provider.rs"]
mod provider;

use std::ops::{Deref, DerefMut};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use sceau::adapter::s3::checksum::{self, Algorithm};
use sceau::adapter::s3::settings::Integrity;
use sceau::adapter::s3::sigv4::SigningKey;
use sceau::secret::SecretBytes;

use self::client::{ACCESS, Answer, Ask, Config, Gateway, SECRET};
use self::provider::{Object, Provider, Seen, Twist};
use crate::harness::{self, Marks, Received, Recorder, files, no_leaks, received};

const PART: usize = 5 << 20;

impl Recorder for Provider {
    fn received(&self) -> Vec<Received> {
        let seen = self.seen();
        seen.iter()
            .map(|seen| {
                let place = format!("{} {}", seen.method, seen.uri);
                let mut all = received(place, &seen.headers, &seen.body);
                all.bytes.extend(joined(seen));
                all
            })
            .collect()
    }
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
    all.push(b'\n');
    all.extend(text);
    all
}

/// Plays the client.
struct Play {
    gateway: Gateway,
    marks: Marks,
}

impl Deref for Play {
    type Target = Marks;

    fn deref(&self) -> &Marks {
        &self.marks
    }
}

impl DerefMut for Play {
    fn deref_mut(&mut self) -> &mut Marks {
        &mut self.marks
    }
}

impl Play {
    fn new(config: Config) -> Self {
        let mut play = Self {
            gateway: Gateway::with(config),
            marks: Marks::default(),
        };
        play.note("the client's secret key", SECRET);
        play
    }

    /// Content whose digests are markers too.
    fn content(&mut self, field: &str, length: usize) -> Vec<u8> {
        let content = self.marks.content(field, length);
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
        self.marks.sent(name, head, body);
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
        .header(&format!("x-amz-meta-{}", values[6]), "x")
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
        fields.map(|field| {
            let what = format!("{name}: {field}");
            match field {
                // field names arrive in lower case
                "metadata name" => self.lower_marker(&what),
                _ => self.marker(&what),
            }
        })
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
            let marker = self.marker("what is refused: body");
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
            let marker = self.marker("what is refused: body");
            let ask = asking(|g: &Gateway| {
                g.ask("PUT", "/bucket/k")
                    .body(marker.clone())
                    .header(header, &value)
            });
            self.send(header, ask, How::Signed).await.refused();
        }
        let marker = self.marker("what is refused: body");
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

#[tokio::test]
async fn nothing_sensitive_leaves_in_any_form() {
    harness::listen();
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
        let search = play.search();
        harness::control(&search, &play.marks.sent, || Provider::new(client::now())).await;

        let mut all = play.gateway.provider.received();
        assert!(all.len() > 40, "{} requests went up", all.len());
        let stored = files(play.gateway.state_directory());
        assert!(stored.len() >= 3, "no database, log and spool");
        all.extend(stored);
        all.push(harness::logged(&["BadDigest"]));
        no_leaks(&search, &all);
    }
}

/// What of the provider's answers a client must not get: bytes, metadata and fields that were not sealed here.
#[tokio::test]
async fn nothing_unsealed_comes_back_in_any_form() {
    harness::listen();
    let mut play = Play::new(Config::default());
    let provider = play.gateway.provider.clone();
    let content = play.marks.content("an unsealed object", 70_000);
    let mut headers = HeaderMap::new();
    for name in ["x-amz-meta-title", "content-type", "cache-control"] {
        headers.insert(name, play.marker(name).parse().unwrap());
    }
    let object = Object {
        bytes: content.into(),
        headers,
        etag: "\"1\"".into(),
        version: "1".into(),
    };
    provider.store("bucket", "plain", object);
    let mut shown = Vec::new();
    for (method, field, value) in [
        ("GET", "x-none", "x"),
        ("HEAD", "x-none", "x"),
        ("GET", "range", "bytes=0-99"),
        ("GET", "range", "bytes=-40"),
        ("GET", "if-match", "*"),
    ] {
        let ask = play.gateway.ask(method, "/bucket/plain");
        shown.push(ask.header(field, value).send().await);
    }
    let ask = play.gateway.ask("PUT", "/bucket/copy");
    let copy = ask.header("x-amz-copy-source", "bucket/plain").send().await;
    shown.push(copy);
    let attributes = play.gateway.ask("GET", "/bucket/plain?attributes");
    let attributes = attributes.header("x-amz-object-attributes", "ETag,Checksum,ObjectSize");
    shown.push(attributes.send().await);
    assert!(shown.iter().all(|answer| !answer.status.is_success()));

    let value = play.marker("a field of the provider's");
    for (method, status) in [("GET", 503), ("PUT", 503), ("PUT", 200)] {
        let value = value.parse::<http::HeaderValue>().unwrap();
        let twist = move |answer: &mut http::Response<_>| {
            let mut other = provider::reply(status, "");
            other.headers_mut().insert("server", value.clone());
            other.headers_mut().insert("x-amz-meta-x", value);
            *answer = other;
        };
        provider.twist(|_| true, Twist::Answer(Box::new(twist)));
        let answer = play.gateway.ask(method, "/bucket/e").send().await;
        shown.push(answer);
    }

    let search = play.search();
    let plain = provider.object("bucket", "plain").unwrap();
    let caught = search.find(
        "",
        &received(String::new(), &plain.headers, &plain.bytes).bytes,
    );
    assert!(caught.len() >= 4, "void: {caught:?}");
    let mut all: Vec<Received> = shown
        .iter()
        .map(|answer| received(answer.status.to_string(), &answer.headers, &answer.body))
        .collect();
    all.extend(provider.received());
    all.extend(files(play.gateway.state_directory()));
    all.push(harness::logged(&["object-unsealed"]));
    no_leaks(&search, &all);
}
