//! The admin listener: sealed text that came past the gateway is opened for the subscribers that may have it, and for
//! nobody else.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sceau::config;
use sceau::keyring::Keyring;
use sceau::seal::piece::Head;
use sceau::seal::token::{self, Field};
use sceau::seal::{Context, Epochs as _, Salt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{Client, Hello};
use crate::drain::Process;
use crate::site::{Gateway, Site, free_address};
use crate::{until, within};

const HOST: &str = "admin.example";
const NOTICES: &str = "notices-1a9f33e07b0c4d21a7c55e0d";
const ARCHIVE: &str = "archive-5be1770f9d3c4a02b8e61f4c";
const SECRET: &str = "Plan \"Vigipirate\" <1>";

const CHAT: &str = r#"
kind = "http"
name = "NAME"
tenant = "interior"
service = "NAME"
hosts = ["NAME.example"]

[upstream]
url = "http://127.0.0.1:9"

[[rule]]
name = "send"
methods = ["POST"]
path = "/messages"
request = "json"
answer = ["json"]

[[rule.seal]]
json = "$.body"
"#;

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Two services whose values are tokens, and two subscribers: one of `chat` alone, one of both but of one field.
fn site(more: &str) -> Site {
    let site = Site::new("http://127.0.0.1:9");
    for name in ["chat", "board"] {
        let file = site.root().join(format!("services.d/20-{name}.toml"));
        fs::write(file, CHAT.replace("NAME", name)).unwrap();
    }
    private(&site.root().join("secrets/notices"), NOTICES);
    private(&site.root().join("secrets/archive"), ARCHIVE);
    let file = site.root().join(Site::GATEWAY);
    let mut text = fs::read_to_string(&file).unwrap();
    text.push_str(&format!(
        r#"
[admin]
bind = "127.0.0.1:0"
host = "{HOST}"
language = "en"
{more}

[[admin.subscriber]]
name = "notices"
secret_file = "secrets/notices"
services = ["chat"]

[[admin.subscriber]]
name = "archive"
secret_file = "secrets/archive"
services = ["chat", "board"]
fields = ["title"]
"#
    ));
    fs::write(file, text).unwrap();
    site
}

/// A token of a service's.
fn token(site: &Site, service: &str, field: &str, plain: &[u8]) -> String {
    let clock = || 1_790_000_000;
    let settings = config::load(&site.root()).unwrap().keys;
    let keyring = Arc::new(Keyring::open(settings, clock).unwrap());
    let context = Context::new("interior", service, "default").unwrap();
    let keys = keyring.epochs(context.clone()).current().unwrap();
    let salt = Salt::of_test_vector([5; 32]);
    token::seal(&keys, &context, Field::named(field), salt, plain).unwrap()
}

/// What came back until the connection ended.
#[derive(Debug)]
struct Answer {
    /// 0: none.
    status: u16,
    head: String,
    body: String,
    /// It came to the end that its framing declares.
    whole: bool,
}

impl Answer {
    fn read(raw: &[u8]) -> Self {
        let Some(end) = memchr::memmem::find(raw, b"\r\n\r\n") else {
            return Self {
                status: 0,
                head: String::from_utf8_lossy(raw).into_owned(),
                body: String::new(),
                whole: false,
            };
        };
        let head = String::from_utf8(raw[..end].to_vec())
            .unwrap()
            .to_lowercase();
        let rest = &raw[end + 4..];
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let (body, whole) = match length {
            Some(length) => (
                rest.to_vec(),
                rest.len() == length.parse::<usize>().unwrap(),
            ),
            None => unchunked(rest),
        };
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: String::from_utf8(body).unwrap(),
            whole,
        }
    }

    #[track_caller]
    fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(
            (&problem["code"], &problem["status"]),
            (&code.into(), &status.into())
        );
        assert!(!self.body.contains("Vigipirate"));
    }

    #[track_caller]
    fn says(&self, text: &str) {
        assert_eq!((self.status, self.whole), (200, true), "{self:?}");
        assert_eq!(self.body, text);
        assert!(self.head.contains("cache-control: no-store"), "{self:?}");
    }
}

fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = memchr::memmem::find(rest, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        rest = rest.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}

struct Subscriber {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Subscriber {
    fn new(site: &Site, address: SocketAddr) -> Self {
        Self::with(site, address, None)
    }

    fn with(
        site: &Site,
        address: SocketAddr,
        certificate: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(site.ca.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let config = match certificate {
            Some((certificate, key)) => config
                .with_client_auth_cert(vec![certificate], key)
                .unwrap(),
            None => config.with_no_client_auth(),
        };
        Self {
            address,
            config: Arc::new(config),
        }
    }

    async fn connect(&self) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(HOST).unwrap();
        let connector = TlsConnector::from(self.config.clone());
        within("the handshake", connector.connect(name, stream)).await
    }

    /// Sends bytes as they are, and reads until the connection ends.
    async fn raw(&self, bytes: &[u8], half_close: bool) -> Answer {
        let mut raw = Vec::new();
        if let Ok(mut stream) = self.connect().await {
            let exchange = async {
                let _ = stream.write_all(bytes).await;
                let _ = stream.flush().await;
                if half_close {
                    let _ = stream.shutdown().await;
                }
                let _ = stream.read_to_end(&mut raw).await;
            };
            within("an answer", exchange).await;
        }
        Answer::read(&raw)
    }

    async fn ask(&self, method: &str, target: &str, fields: &[&str], body: &[u8]) -> Answer {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n");
        for field in fields {
            request.push_str(&format!("{field}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        self.raw(&[request.as_bytes(), body].concat(), false).await
    }

    async fn open(&self, secret: &str, target: &str, kind: &str, text: &str) -> Answer {
        let fields = [
            format!("authorization: Bearer {secret}"),
            format!("content-type: {kind}"),
        ];
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        self.ask("POST", target, &fields, text.as_bytes()).await
    }
}

async fn up(more: &str) -> (Site, Gateway, Subscriber) {
    let site = site(more);
    let gateway = site.start().await;
    let subscriber = Subscriber::new(&site, gateway.running.admin_address().unwrap());
    (site, gateway, subscriber)
}

fn marker(code: &str) -> String {
    format!("[Sceau: this text does not open, code {code}]")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_has_its_text_opened_in_the_form_it_has() {
    let (site, _gateway, subscriber) = up("").await;
    let token = token(&site, "chat", "title", SECRET.as_bytes());
    let open = |kind: &'static str, text: String| {
        let subscriber = &subscriber;
        async move { subscriber.open(NOTICES, "/open", kind, &text).await }
    };
    let answer = open("text/plain", format!("RE: {token}.")).await;
    answer.says(&format!("RE: {SECRET}."));
    assert!(
        answer
            .head
            .contains("content-type: text/plain; charset=utf-8")
    );
    assert!(answer.head.contains("x-content-type-options: nosniff"));
    let answer = open("text/html; charset=UTF-8", format!("<b>{token}</b>")).await;
    answer.says("<b>Plan &quot;Vigipirate&quot; &lt;1&gt;</b>");
    let document = json!({"value": [{"resourceData": {"subject": token, "id": 1}}]});
    let answer = open("application/json", document.to_string()).await;
    let opened: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        opened,
        json!({"value": [{"resourceData": {"subject": SECRET, "id": 1}}]})
    );
    // longer than any buffer on the way
    let line = format!("{token} {}\n", "x".repeat(2000));
    let answer = open("text/plain", line.repeat(400)).await;
    answer.says(&line.replace(&token, SECRET).repeat(400));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_pieces_open_and_show_what_is_missing() {
    let (site, _gateway, subscriber) = up("").await;
    let piece = |index| {
        let head = Head {
            id: [1; 8],
            index,
            count: 2,
        };
        token(
            &site,
            "chat",
            "message.html",
            &head.write(&format!("<p>{index}")),
        )
    };
    let (first, second) = (piece(0), piece(1));
    let open = |content: String| {
        let document = json!({"body": {"contentType": "html", "content": content}}).to_string();
        let subscriber = &subscriber;
        async move {
            let answer = subscriber
                .open(NOTICES, "/open", "application/json", &document)
                .await;
            let opened: Value = serde_json::from_str(&answer.body).unwrap();
            opened["body"]["content"].as_str().unwrap().to_owned()
        }
    };
    assert_eq!(open(format!("{first} {second}")).await, "<p>0 <p>1");
    assert_eq!(
        open(first.clone()).await,
        format!("<p>0{}", marker("incomplete"))
    );
    let swapped = open(format!("{second}{first}")).await;
    assert!(swapped.starts_with(&marker("incomplete")), "{swapped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_a_subscriber_gets_nothing() {
    let (site, _gateway, subscriber) = up("").await;
    let token = token(&site, "chat", "title", SECRET.as_bytes());
    let kind = "content-type: text/plain";
    let good = format!("authorization: Bearer {NOTICES}");
    let longer = format!("authorization: Bearer {NOTICES}x");
    let shorter = format!("authorization: Bearer {}", &NOTICES[1..]);
    let basic = format!("authorization: Basic {NOTICES}");
    for fields in [
        &[kind][..],
        &[kind, &longer],
        &[kind, &shorter],
        &[kind, &basic],
        &[kind, "authorization: Bearer "],
        &[kind, "authorization: Bearer"],
        &[kind, &good, &good],
        &[kind, "cookie: secret=notices-1a9f33e07b0c4d21a7c55e0d"],
    ] {
        let answer = subscriber
            .ask("POST", "/open", fields, token.as_bytes())
            .await;
        answer.refused(401, "access-denied");
        assert!(
            answer.head.contains("www-authenticate: bearer"),
            "{answer:?}"
        );
    }
    let answer = subscriber
        .ask("POST", "/open", &[kind, &good], token.as_bytes())
        .await;
    answer.says(SECRET);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_has_its_own_services_and_fields_opened_alone() {
    let (site, _gateway, subscriber) = up("").await;
    let theirs = token(&site, "board", "title", SECRET.as_bytes());
    let body = token(&site, "chat", "$.body", SECRET.as_bytes());
    let open = |secret: &'static str, target: &'static str, text: String| {
        let subscriber = &subscriber;
        async move { subscriber.open(secret, target, "text/plain", &text).await }
    };
    // whether there is such a service is not told
    for other in [
        "/open?service=board",
        "/open?service=nobody",
        "/open?service=example",
    ] {
        open(NOTICES, other, theirs.clone())
            .await
            .refused(403, "access-denied");
    }
    let answer = open(NOTICES, "/open?service=chat", theirs.clone()).await;
    answer.says(&marker("unknown-epoch"));
    open(ARCHIVE, "/open?service=board", theirs.clone())
        .await
        .says(SECRET);
    open(ARCHIVE, "/open", theirs.clone())
        .await
        .refused(400, "request-refused");

    open(ARCHIVE, "/open?service=chat", body.clone())
        .await
        .says(&marker("field"));
    let answer = open(ARCHIVE, "/open?service=chat&field=%24.body", body.clone()).await;
    answer.refused(403, "access-denied");
    open(NOTICES, "/open?field=title", body.clone())
        .await
        .says(&marker("field"));
    open(NOTICES, "/open?field=title&field=%24.body", body)
        .await
        .says(SECRET);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_is_marked() {
    let (site, _gateway, subscriber) = up("").await;
    let token = token(&site, "chat", "title", SECRET.as_bytes());
    let (cut, end) = token.split_at(token.len() - 20);
    let flipped = if end.starts_with('A') { "B" } else { "A" };
    for (damaged, code) in [
        (cut.to_owned(), "length"),
        (format!("{cut}{flipped}{}", &end[1..]), "checksum"),
    ] {
        let answer = subscriber
            .open(NOTICES, "/open", "text/plain", &format!("a {damaged} b"))
            .await;
        answer.says(&format!("a {} b", marker(code)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_is_refused() {
    let (_site, _gateway, subscriber) = up("max_text = \"64 KiB\"").await;
    let good = format!("authorization: Bearer {NOTICES}");
    let plain = "content-type: text/plain";
    for (method, target, status, code) in [
        ("GET", "/open", 405, "request-refused"),
        ("PUT", "/open", 405, "request-refused"),
        ("POST", "/health", 405, "request-refused"),
        ("HEAD", "/metrics", 404, "operation-unknown"),
        ("POST", "/open/", 404, "operation-unknown"),
        ("POST", "/", 404, "operation-unknown"),
        (
            "POST",
            "/open?service=chat&service=chat",
            400,
            "request-refused",
        ),
        (
            "POST",
            "/open?url=http://127.0.0.1/",
            400,
            "request-refused",
        ),
        ("TRACE", "/open", 400, "framing-ambiguous"),
    ] {
        let answer = subscriber.ask(method, target, &[&good, plain], b"x").await;
        if method == "HEAD" {
            assert_eq!((answer.status, answer.body.as_str()), (status, ""));
        } else {
            answer.refused(status, code);
        }
    }
    for fields in [
        &[&good[..]][..],
        &[&good, "content-type: application/octet-stream"],
        &[&good, "content-type: text/plain; charset=latin1"],
        &[&good, plain, "content-encoding: gzip"],
    ] {
        let answer = subscriber.ask("POST", "/open", fields, b"x").await;
        answer.refused(415, "encoding-unknown");
    }
    let text = "x".repeat(64 * 1024);
    subscriber
        .open(NOTICES, "/open", "text/plain", &text)
        .await
        .says(&text);
    let answer = subscriber
        .open(NOTICES, "/open", "text/plain", &(text + "x"))
        .await;
    answer.refused(400, "too-large");
    let answer = subscriber
        .open(NOTICES, "/open", "application/json", "{\"a\": }")
        .await;
    answer.refused(400, "request-refused");
}

/// No answer that looks whole.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_midway_is_broken_off() {
    let (site, _gateway, subscriber) = up("max_text = \"64 KiB\"").await;
    let token = token(&site, "chat", "title", SECRET.as_bytes());
    let head = |kind: &str, framing: &str| {
        format!(
            "POST /open HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {NOTICES}\r\ncontent-type: {kind}\r\nconnection: close\r\n{framing}\r\n\r\n"
        )
    };
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let filler = "x".repeat(40_000);
    // the first two end in the middle of the request, by the client's own word; the others are whole requests
    for (cut, what, request) in [
        (
            true,
            "a body shorter than it says",
            head("text/plain", "content-length: 90000") + &filler,
        ),
        (
            true,
            "chunks without their end",
            head("text/plain", "transfer-encoding: chunked") + &chunk(&filler),
        ),
        (
            false,
            "more than a text has",
            head("text/plain", "transfer-encoding: chunked")
                + &chunk(&filler).repeat(2)
                + "0\r\n\r\n",
        ),
        (
            false,
            "a document without its end",
            head("application/json", "transfer-encoding: chunked")
                + &chunk(&format!("[\"{token}\""))
                + &chunk(&format!(", \"{filler}\", \"{}", &token[..70]))
                + "0\r\n\r\n",
        ),
    ] {
        let answer = subscriber.raw(request.as_bytes(), cut).await;
        let clean = answer.status == 200 && answer.whole;
        assert!(!clean, "{what}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_opened_as_it_comes_and_too_many_at_once_are_shed() {
    let (site, _gateway, subscriber) = up("in_flight = 1").await;
    let token = token(&site, "chat", "title", SECRET.as_bytes());
    let mut stream = subscriber.connect().await.unwrap();
    let head = format!(
        "POST /open HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {NOTICES}\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let line = format!("{token}\n");
    let first = format!("{head}{:x}\r\n{line}\r\n", line.len());
    stream.write_all(first.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut seen = Vec::new();
    while memchr::memmem::find(&seen, SECRET.as_bytes()).is_none() {
        let read = within("the first line", stream.read_buf(&mut seen))
            .await
            .unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&seen));
    }
    subscriber
        .open(NOTICES, "/open", "text/plain", "x")
        .await
        .refused(503, "overloaded");
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    stream.flush().await.unwrap();
    while !seen.ends_with(b"0\r\n\r\n") {
        let read = within("the end", stream.read_buf(&mut seen)).await.unwrap();
        assert!(read > 0);
    }
    drop(stream);
    subscriber
        .open(NOTICES, "/open", "text/plain", "x")
        .await
        .says("x");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_sides_serve_nothing_of_each_other() {
    let (site, gateway, subscriber) = up("").await;
    let request =
        "POST /open HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    subscriber
        .raw(request.as_bytes(), false)
        .await
        .refused(421, "host-unknown");
    // on the other side the name has neither a certificate nor a service
    let client = Client::new(&site, &gateway);
    let name = Hello {
        name: HOST,
        ..Hello::ONE
    };
    assert!(client.hello(&name).await.is_err());
    let mut one = client.one().await;
    one.send(format!("GET /health HTTP/1.1\r\nhost: {HOST}\r\n\r\n"))
        .await;
    assert_eq!(one.reply().await.status, 421);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_and_plain_http_is_not_spoken() {
    let (_site, _gateway, subscriber) = up("").await;
    subscriber
        .ask("GET", "/health", &[], b"")
        .await
        .says("{\"status\":\"up\"}");
    let mut stream = TcpStream::connect(subscriber.address).await.unwrap();
    let request = format!("GET /health HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answered = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut answered)).await;
    assert!(
        !answered.starts_with(b"HTTP/"),
        "{}",
        String::from_utf8_lossy(&answered)
    );
}

struct Authority(rcgen::Certificate, rcgen::Issuer<'static, rcgen::KeyPair>);

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self(certificate, rcgen::Issuer::new(params, key))
    }

    fn issue(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["subscriber".to_owned()]).unwrap();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.1).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), key)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_clients_must_have_a_certificate_a_secret_alone_is_not_enough() {
    let (ours, strange) = (Authority::new(), Authority::new());
    let site = site("client_ca_file = \"tls/clients.pem\"");
    fs::write(site.root().join("tls/clients.pem"), ours.0.pem()).unwrap();
    let gateway = site.start().await;
    let address = gateway.running.admin_address().unwrap();
    for certificate in [None, Some(strange.issue())] {
        let subscriber = Subscriber::with(&site, address, certificate);
        let answer = subscriber.open(NOTICES, "/open", "text/plain", "x").await;
        assert_eq!(answer.status, 0, "{answer:?}");
    }
    let subscriber = Subscriber::with(&site, address, Some(ours.issue()));
    subscriber
        .open(NOTICES, "/open", "text/plain", "x")
        .await
        .says("x");
    // nor is a certificate
    let answer = subscriber
        .ask("POST", "/open", &["content-type: text/plain"], b"x")
        .await;
    answer.refused(401, "access-denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_who_had_how_much_opened_and_nothing_of_it_and_a_reload_ends_it() {
    let site = site("");
    site.edit(Site::GATEWAY, "# filter = \"info\"", "filter = \"trace\"");
    let (address, admin) = (site.bind(), free_address());
    site.edit(Site::GATEWAY, "127.0.0.1:0", &admin.to_string());
    let process = Process::start(&site, address).await;
    let subscriber = Subscriber::new(&site, admin);
    let token = token(&site, "chat", "title", SECRET.as_bytes());
    let text = format!("Dupont {token} {}", &token[..80]);
    let answer = subscriber.open(NOTICES, "/open", "text/plain", &text).await;
    answer.says(&format!("Dupont {SECRET} {}", marker("length")));
    until("the line", || {
        process.text().contains("sealed text was opened")
    })
    .await;
    let log = process.text();
    let line = log
        .lines()
        .find(|line| line.contains("sealed text was opened"))
        .unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["subscriber"], "notices");
    assert_eq!(line["service"], "chat");
    assert_eq!((&line["opened"], &line["damaged"]), (&1.into(), &1.into()));
    assert_eq!(line["whole"], true);
    let id = line["id"].as_str().unwrap().to_owned();
    assert!(
        answer
            .head
            .contains(&format!("x-sceau-request-id: {}", id.to_lowercase()))
    );
    subscriber
        .open("wrong", "/open", "text/plain", "Dupont")
        .await
        .refused(401, "access-denied");
    for secret in ["Vigipirate", "Dupont", NOTICES, "wrong"] {
        assert!(!process.text().contains(secret), "{secret}");
    }
    // with the section gone nothing listens
    let file = site.root().join(Site::GATEWAY);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.split("\n[admin]").next().unwrap()).unwrap();
    process.signal(Signal::HUP);
    until("the reload", || process.text().contains("reloaded")).await;
    let gone = async {
        while TcpStream::connect(admin).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    within("nothing listens", gone).await;
}
