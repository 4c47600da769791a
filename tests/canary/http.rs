//! The `http` adapter: every place that a rule can seal, and every body, field and parameter that no rule names. Clear by
//! design, and so without a marker: paths, names of members, what rules name `clear`, accounts.

#[path = "../http/gate.rs"]
mod gate;
#[path = "../http/provider.rs"]
mod provider;

use std::fmt::Write as _;
use std::sync::Arc;

use sceau::body::{Cleared, Upstream as _};

use self::gate::{Answer, Gate, head};
use self::provider::{Asked, Provider};
use crate::harness::{self, Marks, Received, Recorder, no_leaks, received};

const RULES: &str = r#"
[[rule]]
name = "send"
methods = ["POST", "PUT"]
path = "/messages/{id}"
request = "json"
answer = ["json"]
query = ["silent"]
clear = ["$.kind"]
[[rule.seal]]
json = "$.text"
[[rule.seal]]
json = "$.title"
index = "folded"
beside = "title_index"
field = "title"
[[rule.seal]]
json = "$.number"
index = "exact"
beside = "number_index"
[[rule.seal]]
json = "$.blocks[*].text"
[[rule.seal]]
json = "$..note"
[[rule.seal]]
header = "x-subject"

[[rule]]
name = "form"
methods = ["POST"]
path = "/form"
request = "form"
answer = ["json"]
clear = ["csrf"]
[[rule.seal]]
form = "comment"
[[rule.seal]]
form = "title"
index = "folded"
beside = "title_index"
field = "title"

[[rule]]
name = "multipart"
methods = ["POST"]
path = "/records"
request = "multipart"
answer = ["json"]
clear = ["status"]
[[rule.seal]]
form = "title"
index = "exact"
beside = "title_index"
[[rule.seal]]
file = "document"

[[rule]]
name = "search"
methods = ["GET"]
path = "/search"
answer = ["json"]
query = ["page"]
[[rule.seal]]
query = "title"
index = "folded"
field = "title"
[[rule.seal]]
query = "filter"
index = "folded"
field = "title"
filter = "(title='{}')"
sends = "(title_index='{}')"
[[rule.seal]]
query = "words"

[[rule]]
name = "upload"
methods = ["PUT"]
path = "/files/{id}"
request = "object"
answer = ["json"]

[[rule]]
name = "download"
methods = ["GET", "HEAD"]
path = "/files/{id}"
answer = ["object"]

[[rule]]
name = "quiet"
methods = ["GET"]
path = "/quiet"
answer = ["none"]

[[rule]]
name = "pages"
methods = ["GET"]
path = "/pages/{rest*}"
answer = ["relay"]
query = ["v"]
"#;

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const MULTIPART: (&str, &str) = ("content-type", "multipart/form-data; boundary=b");

impl Recorder for Provider {
    fn received(&self) -> Vec<Received> {
        let mut all = std::mem::take(&mut *self.asked.lock().unwrap());
        all.append(&mut self.broken.lock().unwrap());
        let shown = |asked: &Asked| {
            let place = format!("{} {}", asked.method, asked.target);
            received(place, &asked.headers, &asked.body)
        };
        all.iter().map(shown).collect()
    }
}

/// Plays the client.
struct Play {
    gate: Gate,
    marks: Marks,
}

/// JSON's own way of writing any character.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for unit in text.encode_utf16() {
        let _ = write!(out, "\\u{unit:04x}");
    }
    out
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn part(name: &str, rest: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{rest}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

impl Play {
    fn new() -> Self {
        Self {
            gate: Gate::new(RULES),
            marks: Marks::default(),
        }
    }

    fn send(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let name = format!("{method} {}", path.split('?').next().unwrap());
        // the path of the page where the client comes from can hold what was typed
        let referer = self.marks.marker(&format!("{name}: Referer"));
        let referer = format!("https://forum.example.fr/?q={referer}");
        let custom = self.marks.marker(&format!("{name}: X-Custom"));
        let from = self.marks.marker(&format!("{name}: From"));
        let mut all = fields.to_vec();
        all.extend([
            ("referer", &*referer),
            ("x-custom", &*custom),
            ("from", &*from),
        ]);
        self.marks
            .sent(&name, head(method, path, &all, body.len()), body.to_vec());
        self.gate.send(method, path, &all, body)
    }

    fn json(&mut self) {
        for write in [|text: &str| text.to_owned(), escaped] {
            let mut value = |field: &str| write(&self.marks.marker(&format!("JSON: {field}")));
            let body = format!(
                "{{\"kind\":\"chat\",\"text\":\"{}\",\"title\":\"{}\",\"number\":\"{}\",\"note\":\"{}\",\
                 \"blocks\":[{{\"text\":\"é{}\"}},{{\"text\":\"{}\",\"note\":\"{}\"}}]}}",
                value("text"),
                value("title"),
                value("number"),
                value("note"),
                value("an element's text"),
                value("another element's text"),
                value("a note at some depth"),
            );
            let subject = self.marks.marker("a sealed header field");
            let fields = [JSON, ("x-subject", &*subject)];
            let answer = self.send("POST", "/messages/1?silent=1", &fields, body.as_bytes());
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
        // what a client writes in an index's place becomes the value's own
        let index = self.marks.marker("JSON: an index");
        let body = format!("{{\"title\":\"x\",\"title_index\":\"{index}\"}}");
        let answer = self.send("PUT", "/messages/3", &[JSON], body.as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.text());
        // longer than a token's first frame, and equal twice
        let long = self.marks.marker("JSON: a long text").repeat(200);
        let body = format!("{{\"text\":\"{long}\",\"title\":\"{long}\"}}");
        for _ in 0..2 {
            let answer = self.send("PUT", "/messages/2", &[JSON], body.as_bytes());
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
    }

    fn forms(&mut self) {
        for write in [|text: &str| text.to_owned(), percent] {
            let comment = write(&self.marks.marker("form: comment"));
            let title = write(&self.marks.marker("form: title"));
            let body = format!("csrf=1&comment=tout+{comment}&title={title}");
            let answer = self.send("POST", "/form", &[FORM], body.as_bytes());
            assert_eq!(answer.status, 201);
        }
    }

    fn multipart(&mut self) {
        for size in [0, 40, 70_000, 400_000] {
            let title = self.marks.marker("multipart: title");
            let file = self.marks.marker("multipart: file name");
            let kind = self.marks.marker("multipart: type");
            let content = self.marks.content("multipart: file", size);
            let named = format!("; filename=\"{file}.pdf\"\r\nContent-Type: application/{kind}");
            let parts = [
                part("status", "", b"open"),
                part("title", "", title.as_bytes()),
                part("document", &named, &content),
            ];
            let whole = [&parts.concat()[..], b"--b--\r\n"].concat();
            let answer = self.send("POST", "/records", &[MULTIPART], &whole);
            assert_eq!(answer.status, 201, "{}", answer.text());
            // the same, cut; and the same with a part that no rule names
            let cut = &whole[..whole.len() - 6];
            assert_ne!(self.send("POST", "/records", &[MULTIPART], cut).status, 201);
            let other = self.marks.marker("multipart: a part that is not named");
            let more = part("other", "", other.as_bytes());
            let more = [&parts.concat()[..], &more, b"--b--\r\n"].concat();
            let answer = self.send("POST", "/records", &[MULTIPART], &more);
            assert_eq!(answer.code(), "rule-violated");
        }
        // a delimiter and heads that come in the middle of things
        let preamble = self.marks.marker("multipart: before the first part");
        let epilogue = self.marks.marker("multipart: behind the last part");
        let custom = self.marks.marker("multipart: a part's field");
        let title = format!("\r\nX-Custom: {custom}");
        let parts = part("title", &title, b"x");
        let body = [
            format!("{preamble}\r\n").as_bytes(),
            &parts,
            b"--b--\r\n",
            epilogue.as_bytes(),
        ]
        .concat();
        self.send("POST", "/records", &[MULTIPART], &body);
    }

    fn queries(&mut self) {
        for write in [|text: &str| text.to_owned(), percent] {
            let title = write(&self.marks.marker("query: index"));
            let words = write(&self.marks.marker("query: token"));
            let path = format!("/search?page=1&title={title}&words={words}");
            let before = self.gate.provider.count();
            self.send("GET", &path, &[], b"");
            let title = write(&self.marks.marker("query: filter"));
            let path = format!("/search?filter=(title%3D%27{title}%27)");
            self.send("GET", &path, &[], b"");
            assert_eq!(self.gate.provider.count(), before + 2);
        }
    }

    fn objects(&mut self) {
        for size in [40, 65_536, 70_000, 400_000] {
            let kind = self.marks.marker("object: type");
            let kind = format!("application/{kind}");
            let name = self.marks.marker("object: disposition");
            let content = self.marks.content("object", size);
            let fields = [
                ("content-type", &*kind),
                ("content-disposition", &*name),
                ("transfer-encoding", "chunked"),
            ];
            for fields in [&fields[..2], &fields] {
                let answer = self.send("PUT", "/files/1", fields, &content);
                assert_eq!(answer.status, 201, "{}", answer.text());
                let read = self.gate.get("/files/1");
                assert!(read.body.unwrap() == content);
            }
            for range in ["bytes=0-10", "bytes=-5", "bytes=30-"] {
                let answer = self.send("GET", "/files/1", &[("range", range)], b"");
                assert_eq!(answer.status, 206);
            }
        }
    }

    /// Bodies, members, fields and parameters that no rule names; malformed documents.
    fn refused(&mut self) {
        let sent = self.gate.provider.count();
        for (field, before, behind) in [
            ("a member's name", "{\"text\":\"x\",\"", "\":1}"),
            ("a member", "{\"text\":\"x\",\"other\":\"", "\"}"),
            ("an element", "{\"text\":[\"", "\"]}"),
            ("another case", "{\"TEXT\":\"", "\"}"),
            ("a twin", "{\"text\":\"", "\",\"text\":\"x\"}"),
            ("behind the document", "{\"text\":\"x\"} ", ""),
            ("a document that is cut", "{\"text\":\"", ""),
            ("half a pair", "{\"text\":\"", "\\ud800\"}"),
        ] {
            let marker = self.marks.marker(&format!("refused: {field}"));
            let body = format!("{before}{marker}{behind}");
            let answer = self.send("POST", "/messages/1", &[JSON], body.as_bytes());
            assert!(answer.status >= 400, "{field}");
        }
        let long = self.marks.marker("refused: too long").repeat(3000);
        let body = format!("{{\"text\":\"{long}\"}}");
        let answer = self.send("POST", "/messages/1", &[JSON], body.as_bytes());
        assert_eq!(answer.code(), "too-large");
        let text = self.marks.marker("refused: another type");
        let plain = [("content-type", "text/plain")];
        self.send("POST", "/messages/1", &plain, text.as_bytes());
        let text = self.marks.marker("refused: a form's field");
        let body = format!("comment=x&other={text}");
        self.send("POST", "/form", &[FORM], body.as_bytes());
        let text = self.marks.marker("refused: an escape");
        let body = format!("comment={text}%zz");
        self.send("POST", "/form", &[FORM], body.as_bytes());
        for path in ["/messages/1", "/search", "/pages/a", "/files/1", "/form"] {
            let text = self.marks.marker("refused: a parameter");
            self.send("GET", &format!("{path}?other={text}"), &[], b"");
            let text = self.marks.marker("refused: a body of GET");
            self.send("GET", path, &[], text.as_bytes());
        }
        let text = self.marks.marker("refused: another filter");
        let path = format!("/search?filter=(title%3D%27{text}%27)%7C%7C(a%3D%27b%27)");
        self.send("GET", &path, &[], b"");
        let text = self.marks.marker("refused: no rule");
        self.send("POST", &format!("/{text}"), &[JSON], b"{}");
        let text = self.marks.marker("refused: a body without a rule");
        self.send("POST", "/elsewhere", &[JSON], text.as_bytes());
        assert_eq!(self.gate.provider.count(), sent, "something was sent on");
    }
}

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap().block_on(future);
}

#[test]
fn nothing_sensitive_leaves_in_any_form() {
    harness::listen();
    let mut play = Play::new();
    play.json();
    play.forms();
    play.multipart();
    play.queries();
    play.objects();
    play.refused();
    let search = play.marks.search();
    run(harness::control(&search, &play.marks.sent, || {
        Arc::new(Provider::default())
    }));
    let mut all = play.gate.provider.received();
    assert!(all.len() > 40, "{} requests went up", all.len());
    all.push(harness::logged(&["rule-violated", "request-refused"]));
    no_leaks(&search, &all);
}

/// What of the provider's answers a client must not get: files that were not sealed here, answers of which the rule says
/// that they hold nothing, types that it does not name, redirects that lead away.
#[test]
fn nothing_unsealed_comes_back_in_any_form() {
    harness::listen();
    let gate = Gate::new(RULES);
    let mut marks = Marks::default();
    let mut shown = Vec::new();
    let mut paths = Vec::new();
    for size in [32, 600, 70_000, 400_000] {
        let content = marks.content("an unsealed file", size);
        let path = format!("/files/plain{size}");
        let mut stored = gate.provider.stored.lock().unwrap();
        stored.insert(path.clone(), content);
        paths.push(path);
    }
    assert_eq!(gate.send("PUT", "/files/1", &[], &[7; 200_000]).status, 201);
    let spliced = marks.content("plaintext in a sealed file", 65_552);
    let mut sealed = gate.provider.last().body;
    sealed[128..128 + spliced.len()].copy_from_slice(&spliced);
    let mut stored = gate.provider.stored.lock().unwrap();
    stored.insert("/files/spliced".into(), sealed);
    drop(stored);
    paths.push("/files/spliced".into());
    for path in &paths {
        for range in [None, Some("bytes=0-31"), Some("bytes=5-50")] {
            let fields: Vec<_> = range.map(|range| ("range", range)).into_iter().collect();
            let answer = gate.send("GET", path, &fields, b"");
            assert!(answer.status >= 400 || answer.body.is_err(), "{path}");
            shown.push(answer);
        }
    }
    let quiet = marks.marker("an answer of which nothing is shown");
    let wrong = marks.marker("an answer of another type");
    let away = marks.marker("a redirect that leads away");
    gate.provider.can("/quiet", 200, "text/html", quiet);
    gate.provider.can("/search", 200, "image/svg+xml", wrong);
    let location = format!("https://elsewhere.example/{away}");
    let leading = vec![("location", location)];
    gate.provider.can_with("/files/moved", 307, leading, away);
    for path in ["/quiet", "/search", "/files/moved"] {
        paths.push(path.into());
        shown.push(gate.get(path));
    }

    let search = marks.search();
    run(async {
        for path in &paths {
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
    all.push(harness::logged(&["object-unsealed", "upstream-invalid"]));
    no_leaks(&search, &all);
}
