//! The WebDAV adapter: file bodies and their digests, and names where they are sealed. Clear by design, and so without a
//! marker: properties, who holds a lock, accounts.

#[path = "../webdav/gate.rs"]
mod gate;
#[path = "../webdav/provider.rs"]
mod provider;

use std::sync::Arc;

use sceau::adapter::s3::checksum::{self, Algorithm};
use sceau::adapter::webdav::settings::{Preconditions, Settings};
use sceau::body::{Cleared, Upstream as _};

use self::gate::{Answer, Gate, head, settings};
use self::provider::{Provider, Seen};
use crate::harness::{self, Marks, Received, Recorder, files, no_leaks, received};

impl Recorder for Provider {
    fn received(&self) -> Vec<Received> {
        let mut all = std::mem::take(&mut *self.seen.lock().unwrap());
        all.append(&mut self.broken.lock().unwrap());
        let shown = |seen: &Seen| {
            let place = format!("{} {}", seen.method, seen.target);
            received(place, &seen.headers, &seen.body)
        };
        all.iter().map(shown).collect()
    }
}

/// Plays the client.
struct Play {
    gate: Gate,
    marks: Marks,
    names: bool,
}

enum Length {
    Told,
    /// The body comes in pieces.
    Unknown,
    /// The body ends before the length that was told.
    Short,
}

impl Play {
    fn new(settings: Settings) -> Self {
        Self {
            names: settings.names_below.is_some(),
            gate: Gate::with(settings, &[], Provider::default()),
            marks: Marks::default(),
        }
    }

    /// The path of a new file; its name is a marker where names are sealed.
    fn path(&mut self, operation: &str) -> String {
        let name = match self.names {
            true => self.marks.marker(&format!("{operation}: name")),
            false => format!("file{}", self.marks.markers.len()),
        };
        format!("/dav/files/alice/{name}")
    }

    fn send(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send_as(method, path, fields, body, Length::Told)
    }

    /// Sends with markers in the fields that no operation means.
    fn send_as(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
        length: Length,
    ) -> Answer {
        let unmeant = ["referer", "x-custom", "from", "content-type", "origin"];
        let values = unmeant.map(|name| self.marks.marker(&format!("{method}: {name}")));
        let mut all = fields.to_vec();
        all.extend(unmeant.into_iter().zip(values.iter().map(String::as_str)));
        let told = match length {
            Length::Told => body.len(),
            _ => body.len() + 1,
        };
        let told = told.to_string();
        if !body.is_empty() && !matches!(length, Length::Unknown) {
            all.push(("content-length", &told));
        }
        let sent = head(method, path, &all);
        self.marks.sent(method, sent, body.to_vec());
        let pieces = body.chunks(30_000).collect();
        self.gate.send_pieces(method, path, &all, pieces)
    }

    fn writes(&mut self) {
        for size in [40, 70_000, 400_000] {
            let path = self.path("PUT");
            let content = self.marks.content("PUT", size);
            assert_eq!(self.send("PUT", &path, &[], &content).status, 201);
            let path = self.path("PUT without a length");
            let content = self.marks.content("PUT without a length", size);
            let unknown = Length::Unknown;
            let answer = self.send_as("PUT", &path, &[], &content, unknown);
            assert_eq!(answer.status, 201);
            let path = self.path("PUT of the Finder");
            let content = self.marks.content("PUT of the Finder", size);
            let length = content.len().to_string();
            let field = [("x-expected-entity-length", length.as_str())];
            let answer = self.send_as("PUT", &path, &field, &content, Length::Unknown);
            assert_eq!(answer.status, 201);
            let path = self.path("PUT that breaks off");
            let content = self.marks.content("PUT that breaks off", size);
            let answer = self.send_as("PUT", &path, &[], &content, Length::Short);
            assert!(answer.status >= 400, "{}", answer.text());
        }
    }

    /// Digests that clients declare, true and false.
    fn digests(&mut self) {
        for (algorithm, name) in [
            (Algorithm::Md5, "MD5"),
            (Algorithm::Sha1, "SHA1"),
            (Algorithm::Sha256, "SHA256"),
        ] {
            let path = self.path("PUT with OC-Checksum");
            let content = self.marks.content("PUT with OC-Checksum", 1000);
            let value = checksum::of(algorithm, &content);
            self.marks.note("a file's digest", value.bytes());
            let field = format!("{name}:{}", hex::encode(value.bytes()));
            let fields = [("oc-checksum", field.as_str())];
            let answer = self.send("PUT", &path, &fields, &content);
            assert_eq!(answer.status, 201, "{}", answer.text());
            assert_eq!(self.send("PUT", &path, &fields, b"other").status, 400);
        }
        let path = self.path("PUT with Content-MD5");
        let content = self.marks.content("PUT with Content-MD5", 1000);
        let value = checksum::of(Algorithm::Md5, &content);
        self.marks.note("a file's MD5", value.bytes());
        let fields = [("content-md5", &*value.base64())];
        assert_eq!(self.send("PUT", &path, &fields, &content).status, 201);
        let unheard = self.marks.marker("an unheard-of digest");
        let fields = [("oc-checksum", &*format!("SHA9:{unheard}"))];
        assert_eq!(self.send("PUT", &path, &fields, &content).status, 400);
    }

    fn uploads(&mut self) {
        let folder = "/dav/uploads/alice/web-1";
        let target = self.path("an upload's target");
        let url = format!("https://gate.example{target}");
        let to = ("destination", url.as_str());
        assert_eq!(self.send("MKCOL", folder, &[to], b"").status, 204);
        let mut whole = 0;
        for (name, size) in [("1", 400_000), ("2", 400_000), ("2", 400_000), ("3", 70)] {
            let content = self.marks.content("a chunk", size);
            let sha1 = checksum::of(Algorithm::Sha1, &content);
            self.marks.note("a chunk's digest", sha1.bytes());
            let sum = format!("SHA1:{}", hex::encode(sha1.bytes()));
            let path = format!("{folder}/{name}");
            let answer = self.send("PUT", &path, &[to, ("oc-checksum", &sum)], &content);
            assert_eq!(answer.status, 201, "{}", answer.text());
            whole += size;
        }
        whole -= 400_000;
        let digest = self.marks.marker("the joined file's digest");
        let sum = format!("SHA1:{digest}");
        let length = whole.to_string();
        let fields = [to, ("oc-total-length", &length), ("oc-checksum", &sum)];
        let answer = self.send("MOVE", &format!("{folder}/.file"), &fields, b"");
        assert_eq!(answer.status, 201, "{}", answer.text());
        let read = self.gate.send("GET", &target, &[], b"");
        assert_eq!(read.bytes().len(), whole);
        // another stays open, so that its rows are on the disk when it is searched
        let folder = "/dav/uploads/alice/web-2";
        assert_eq!(self.send("MKCOL", folder, &[to], b"").status, 204);
        let content = self.marks.content("a chunk that waits", 1000);
        let path = format!("{folder}/1");
        assert_eq!(self.send("PUT", &path, &[to], &content).status, 201);
    }

    /// What names files in paths and fields.
    fn places(&mut self) {
        for method in ["COPY", "MOVE"] {
            let from = self.path(method);
            self.gate.send("PUT", &from, &[], b"text");
            let to = self.path(&format!("{method}: Destination"));
            let guard = self.path(&format!("{method}: If"));
            let to = format!("https://gate.example{to}");
            let guard = format!("<https://gate.example{guard}> (<urn:uuid:1>)");
            let fields = [("destination", to.as_str()), ("if", guard.as_str())];
            assert_eq!(self.send(method, &from, &fields, b"").status, 204);
        }
        let path = self.path("LOCK");
        let lock = b"<lockinfo xmlns=\"DAV:\"><lockscope><exclusive/></lockscope></lockinfo>";
        assert_eq!(self.send("LOCK", &path, &[], lock).status, 201);
        let token = [("lock-token", "<urn:uuid:1>")];
        assert_eq!(self.send("UNLOCK", &path, &token, b"").status, 204);
        for method in ["MKCOL", "DELETE", "OPTIONS", "GET", "HEAD", "PROPFIND"] {
            let path = self.path(method);
            let depth: &[_] = match method {
                "PROPFIND" => &[("depth", "1")],
                _ => &[],
            };
            self.send(method, &path, depth, b"");
        }
    }

    /// Bodies and fields with which no operation may leave.
    fn refused(&mut self) {
        for method in [
            "PROPPATCH",
            "PATCH",
            "POST",
            "REPORT",
            "SEARCH",
            "DELETE",
            "COPY",
            "MOVE",
            "MKCOL",
            "OPTIONS",
            "UNLOCK",
            "LOCK",
            "PROPFIND",
            "GET",
            "ACL",
            "BREW",
        ] {
            let path = self.path(method);
            let to = self.path(&format!("{method}: Destination"));
            let marker = self.marks.marker(&format!("{method}: body"));
            let body = match method {
                "PROPPATCH" => format!(
                    "<propertyupdate xmlns=\"DAV:\"><set><prop><displayname>{marker}</displayname></prop></set>\
                     </propertyupdate>"
                ),
                _ => marker,
            };
            let fields = [("destination", to.as_str())];
            let answer = self.send(method, &path, &fields, body.as_bytes());
            assert!(answer.status >= 400, "{method}: {}", answer.status);
        }
        for (field, value) in [
            ("content-range", "bytes 0-31/64"),
            ("x-update-range", "append"),
            ("oc-chunked", "1"),
            ("content-encoding", "gzip"),
        ] {
            let path = self.path(field);
            let content = self.marks.content(field, 40);
            let answer = self.send("PUT", &path, &[(field, value)], &content);
            assert_eq!(answer.status, 400, "{field}");
        }
        let marker = self.marks.marker("a query");
        let path = format!("/dav/files/alice/a?{marker}");
        assert_eq!(self.send("PUT", &path, &[], b"x").status, 400);
        if self.names {
            // places whose names would be clear
            let marker = self.marks.marker("a name beside");
            let path = format!("/elsewhere/{marker}");
            assert_eq!(self.send("PUT", &path, &[], b"x").status, 403);
            let from = self.path("MOVE beside");
            let to = [("destination", path.as_str())];
            assert_eq!(self.send("MOVE", &from, &to, b"").status, 403);
        }
    }
}

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap().block_on(future);
}

#[test]
fn nothing_sensitive_leaves_in_any_form() {
    harness::listen();
    for (names, preconditions) in [
        (None, Preconditions::Gateway),
        (Some("/dav/files/*"), Preconditions::Gateway),
        (Some("/dav/files/*"), Preconditions::Provider),
    ] {
        let mut settings = settings();
        settings.names_below = names.map(str::to_owned);
        settings.preconditions = preconditions;
        let mut play = Play::new(settings);
        play.writes();
        play.digests();
        play.uploads();
        play.places();
        play.refused();
        let search = play.marks.search();
        run(harness::control(&search, &play.marks.sent, || {
            Arc::new(Provider::default())
        }));

        let mut all = play.gate.provider.received();
        assert!(all.len() > 40, "{} requests went up", all.len());
        all.extend(files(play.gate.state.path()));
        all.push(harness::logged(&["digest-mismatch", "operation-denied"]));
        no_leaks(&search, &all);
    }
}

/// What of the provider's answers a client must not get: bytes that were not sealed here, its errors' words, fields that
/// do not pass, digests of sealed bytes.
#[test]
fn nothing_unsealed_comes_back_in_any_form() {
    harness::listen();
    let gate = Gate::new();
    let mut marks = Marks::default();
    for size in [32, 600, 70_000, 400_000] {
        let content = marks.content("an unsealed file", size);
        gate.provider.store(&format!("/plain{size}"), &content);
    }
    let mut shown = Vec::new();
    for size in [32, 600, 70_000, 400_000] {
        let path = format!("/plain{size}");
        for range in ["", "bytes=0-31", "bytes=-32", "bytes=65520-65560"] {
            let fields = [("range", range)];
            let fields = if range.is_empty() { &[][..] } else { &fields };
            let answer = gate.send("GET", &path, fields, b"");
            assert!(answer.status >= 400, "{path} {range}: {}", answer.status);
            shown.push(answer);
        }
        shown.push(gate.send("HEAD", &path, &[], b""));
    }
    // sealed bytes, one of them changed, and plaintext behind them
    gate.send("PUT", "/sealed", &[], &[7; 200_000]);
    let sealed = gate.provider.file("/sealed").unwrap();
    let spliced = marks.content("plaintext in a sealed file", 65_552);
    let mut bytes = sealed.clone();
    bytes[128..128 + spliced.len()].copy_from_slice(&spliced);
    gate.provider.store("/spliced", &bytes);
    shown.push(gate.send("GET", "/spliced", &[], b""));
    shown.push(gate.send("GET", "/spliced", &[("range", "bytes=5-50")], b""));

    let words = marks.marker("the provider's error");
    let fields = vec![
        ("content-type", "text/html".to_owned()),
        ("server", words.clone()),
        ("x-backend", words.clone()),
        ("content-md5", words.clone()),
        ("location", format!("https://{words}.example/a")),
    ];
    let document = format!("<html>{words}</html>").into_bytes();
    for (method, status) in [
        ("GET", 503),
        ("GET", 301),
        ("PUT", 201),
        ("DELETE", 204),
        ("PUT", 507),
        ("MOVE", 502),
        ("DELETE", 500),
        ("PROPFIND", 404),
    ] {
        let canned = (status, fields.clone(), document.clone());
        gate.provider.answer_with(method, canned);
        let to = [("destination", "/b")];
        let to = if method == "MOVE" { &to[..] } else { &[] };
        shown.push(gate.send(method, "/a", to, b""));
    }
    let checksum = marks.marker("a checksum of sealed bytes");
    let listing = format!(
        "<d:multistatus xmlns:d=\"DAV:\" xmlns:oc=\"http://owncloud.org/ns\"><d:response><d:href>/a</d:href>\
         <d:propstat><d:prop><oc:checksums><oc:checksum>SHA1:{checksum}</oc:checksum></oc:checksums></d:prop>\
         <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"
    );
    let xml = vec![("content-type", "application/xml".to_owned())];
    gate.provider
        .answer_with("PROPFIND", (207, xml, listing.into()));
    let listed = gate.send("PROPFIND", "/", &[("depth", "1")], b"");
    assert_eq!(listed.status, 207);
    shown.push(listed);

    let search = marks.search();
    let plain: Vec<_> = [
        "/plain32",
        "/plain600",
        "/plain70000",
        "/plain400000",
        "/spliced",
    ]
    .into();
    gate.provider.canned.lock().unwrap().remove("GET");
    run(async {
        for path in plain {
            let mut request = http::Request::new(Cleared::empty());
            *request.uri_mut() = path.parse().unwrap();
            let answer = gate.provider.send(request).await.unwrap();
            let answer = harness::answered(answer).await;
            assert!(!search.find("", &answer.bytes).is_empty(), "void: {path}");
        }
    });
    let mut all = Vec::new();
    for answer in &shown {
        let status = answer.status.to_string();
        all.push(received(status, &answer.headers, &answer.came));
    }
    all.extend(gate.provider.received());
    all.push(harness::logged(&["object-unsealed"]));
    no_leaks(&search, &all);
}
