//! A gateway with one chat service, in this process.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sceau::app::serve::{self, Running};
use sceau::config;
use tempfile::TempDir;

use crate::chat::Chat;

pub const BINARY: &str = env!("CARGO_BIN_EXE_sceau");

const SERVICE: &str = r#"
kind = "http"
name = "chat"
tenant = "interior"
service = "chat-1"
hosts = ["localhost"]
language = "en"

[upstream]
url = "http://PROVIDER"
max_document = "64 KiB"

[[rule]]
name = "live"
methods = ["GET"]
path = "/live/{room}"
answer = ["websocket"]
query = ["v"]
protocols = ["chat.v1", "chat.v2"]
[[rule.message]]
name = "say"
where = "$.type"
equals = ["say", "reply"]
clear = ["$.type", "$.room"]
[[rule.message.seal]]
json = "$.text"
[[rule.message]]
name = "order"
where = "$.type"
equals = ["order"]
clear = ["$"]

[[rule]]
name = "feed"
methods = ["GET"]
path = "/feed"
answer = ["websocket"]
binary = true

[[rule]]
name = "page"
methods = ["GET"]
path = "/page"
answer = ["json"]

[[rule]]
name = "files"
methods = ["GET"]
path = "/files"
answer = ["relay"]
"#;

pub struct Site {
    parent: TempDir,
    pub ca: CertificateDer<'static>,
}

impl Site {
    pub fn new(chat: &Chat) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("gateway");
        let made = Command::new(BINARY)
            .args(["init", "--host", "localhost", "--bind", "127.0.0.1:0"])
            .arg(&root)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        fs::remove_file(root.join("services.d/10-example.toml")).unwrap();
        let service = SERVICE.replace("PROVIDER", &chat.address.to_string());
        fs::write(root.join("services.d/10-chat.toml"), service).unwrap();
        let ca = CertificateDer::from_pem_file(root.join("tls/ca.pem")).unwrap();
        Self { parent, ca }
    }

    pub fn root(&self) -> PathBuf {
        self.parent.path().join("gateway")
    }

    /// Lines of `[limits]`.
    pub fn limits(self, lines: &str) -> Self {
        let path = self.root().join("gateway.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("[limits]\n"));
        let text = text.replacen("[limits]\n", &format!("[limits]\n{lines}\n"), 1);
        fs::write(path, text).unwrap();
        self
    }

    /// Lines of `[upstream]`.
    pub fn upstream(self, lines: &str) -> Self {
        let path = self.root().join("services.d/10-chat.toml");
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replacen("[upstream]\n", &format!("[upstream]\n{lines}\n"), 1);
        fs::write(path, text).unwrap();
        self
    }

    pub fn load(&self) -> config::Gateway {
        config::load(&self.root()).unwrap_or_else(|faults| panic!("{:?}", faults.0))
    }

    pub async fn start(&self) -> Gateway {
        let running = serve::start(self.load(), true).await.unwrap();
        let address = running.addresses()[0];
        Gateway { running, address }
    }
}

pub struct Gateway {
    pub running: Running,
    pub address: SocketAddr,
}

/// A chat server and a gateway before it.
pub async fn up() -> (Chat, Site, Gateway) {
    let chat = Chat::start().await;
    let site = Site::new(&chat);
    let gateway = site.start().await;
    (chat, site, gateway)
}
