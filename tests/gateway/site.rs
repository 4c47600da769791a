//! A working directory as `sceau init` makes it, and a gateway that runs on it.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sceau::app::serve::{self, Running};
use sceau::config;
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_sceau");
/// What the provider knows the gateway by.
pub const UPSTREAM_SECRET: &str = "upstream-secret-7c1f";

pub struct Site {
    parent: TempDir,
    pub secret: String,
    pub ca: CertificateDer<'static>,
}

impl Site {
    /// `upstream`: where the provider is, as a URL.
    pub fn new(upstream: &str) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("gateway");
        let made = Command::new(BINARY)
            .args(["init", "--host", "localhost", "--bind", "127.0.0.1:0"])
            .arg(&root)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        let secret = fs::read_to_string(root.join("secrets/example-client")).unwrap();
        let ca = CertificateDer::from_pem_file(root.join("tls/ca.pem")).unwrap();
        fs::write(root.join("secrets/example-upstream"), UPSTREAM_SECRET).unwrap();
        let site = Self { parent, secret, ca };
        site.edit(Self::SERVICE, "https://s3.example.net", upstream);
        site.edit(Self::SERVICE, "REPLACE-ME", "UPSTREAM");
        site
    }

    pub const GATEWAY: &str = "gateway.toml";
    pub const SERVICE: &str = "services.d/10-example.toml";

    pub fn root(&self) -> PathBuf {
        self.parent.path().join("gateway")
    }

    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.root().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// Lines of `[limits]`.
    pub fn limits(self, lines: &str) -> Self {
        self.edit(Self::GATEWAY, "[limits]\n", &format!("[limits]\n{lines}\n"));
        self
    }

    /// Lines of `[upstream]`.
    pub fn upstream(self, lines: &str) -> Self {
        self.edit(
            Self::SERVICE,
            "[upstream]\n",
            &format!("[upstream]\n{lines}\n"),
        );
        self
    }

    pub async fn start(&self) -> Gateway {
        let gateway = config::load(&self.root()).unwrap_or_else(|faults| panic!("{:?}", faults.0));
        let running = serve::start(gateway, true).await.unwrap();
        let address = running.addresses()[0];
        Gateway { running, address }
    }

    /// For a gateway that is a process of its own.
    pub fn bind(&self) -> SocketAddr {
        let address = free_address();
        self.edit(Self::GATEWAY, "127.0.0.1:0", &address.to_string());
        address
    }
}

/// Held by nobody a moment ago.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

pub struct Gateway {
    pub running: Running,
    pub address: SocketAddr,
}

/// Every file below a directory.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
