//! The adapter, set up from a service file and driven as `proxy` drives it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::request::Parts;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use sceau::adapter::http::Http;
use sceau::adapter::{Adapter, Exchange, RefusedRequest};
use sceau::body::{Fault, Plain, Released};
use sceau::config::{self, Kind, Service};
use sceau::error::Refusal;
use sceau::policy::Policy;
use sceau::seal::token::Index;
use sceau::seal::{EpochKeys, EpochSecret, EpochShort, Epochs, KeyLookup, LookupError, SaltSource};
use sceau::secret::Secret;
use sceau::telemetry::RequestId;

use super::provider::Provider;

pub struct OneEpoch(Arc<EpochKeys>);

impl KeyLookup for OneEpoch {
    fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        (short == self.0.id.short())
            .then(|| self.0.clone())
            .ok_or(LookupError::Unknown)
    }
}

impl Epochs for OneEpoch {
    fn current(&self) -> Result<Arc<EpochKeys>, LookupError> {
        Ok(self.0.clone())
    }
}

fn secret(fill: u8) -> Secret<48> {
    Secret::from_slice(&[fill; 48]).unwrap()
}

const GATEWAY: &str = r#"
[[listener]]
bind = "127.0.0.1:8443"
[local_ca]
certificate_file = "ca.pem"
key_file = "ca.key"
[keys]
passphrase_file = "secret"
"#;

const HEAD: &str = r#"
kind = "http"
name = "forum"
tenant = "interior"
service = "forum-1"
hosts = ["forum.example.fr"]
language = "en"
contact = "help@example.fr"
headers = ["x-app"]
[upstream]
url = "https://forum.example.net"
max_document = "64 KiB"
"#;

fn private(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Reads a service file that ends with these rules.
pub fn load(rules: &str) -> Result<Service, String> {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    private(
        &root.join("ca.pem"),
        &params.self_signed(&key).unwrap().pem(),
    );
    private(&root.join("ca.key"), &key.serialize_pem());
    private(&root.join("secret"), "x");
    private(&root.join("gateway.toml"), GATEWAY);
    fs::create_dir(root.join("services.d")).unwrap();
    private(
        &root.join("services.d/10-forum.toml"),
        &format!("{HEAD}{rules}"),
    );
    let gateway = config::load(root).map_err(|faults| faults.to_string())?;
    Ok(gateway.services.into_iter().next().unwrap())
}

pub struct Gate {
    pub provider: Arc<Provider>,
    adapter: Http,
    policy: Policy,
}

/// What a client is given.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// `Err`: the body was broken off.
    pub body: Result<Vec<u8>, Fault>,
    /// All bytes that came, also before a break.
    pub came: Vec<u8>,
}

async fn read(mut body: Released) -> (Result<Vec<u8>, Fault>, Vec<u8>) {
    let mut came = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => came.extend(frame.into_data().unwrap_or_default()),
            Err(fault) => return (Err(fault), came),
        }
    }
    (Ok(came.clone()), came)
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().unwrap()).unwrap()
    }

    /// The stable code of a refusal.
    pub fn code(&self) -> String {
        let document: serde_json::Value = serde_json::from_str(self.text()).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

/// A request's head as it is sent.
pub fn head(method: &str, path: &str, fields: &[(&str, &str)], length: usize) -> Parts {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("host", "forum.example.fr");
    if length > 0 && fields.iter().all(|(name, _)| *name != "transfer-encoding") {
        request = request.header("content-length", length);
    }
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

impl Gate {
    pub fn new(rules: &str) -> Self {
        let service = load(rules).unwrap_or_else(|faults| panic!("{faults}"));
        let Kind::Http(settings) = service.kind else {
            panic!("another kind");
        };
        let provider = Arc::new(Provider::default());
        let keys = Arc::new(EpochSecret::new(secret(7)).keys());
        let random = |bytes: &mut [u8]| {
            bytes.fill(5);
            Ok(())
        };
        let adapter = Http::new(
            settings,
            Arc::new(OneEpoch(keys)),
            Index::new(&secret(9)),
            provider.clone(),
            SaltSource::new(random).unwrap(),
        );
        Self {
            provider,
            adapter,
            policy: service.policy,
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub fn json(&self, method: &str, path: &str, body: &str) -> Answer {
        self.send(
            method,
            path,
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    }

    pub fn send(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let head = head(method, path, fields, body.len());
        let plain = match body {
            [] => Plain::empty(),
            body => Plain::whole(body.to_vec()),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (head, (body, came)) = match self.serve(head.clone(), plain).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    (head, read(body).await)
                }
                Err(refusal) => {
                    // as the proxy logs it
                    tracing::debug!(code = refusal.code.name, %refusal, cause = ?refusal.cause);
                    let accept = head.headers.get("accept").map(|v| v.to_str().unwrap());
                    let request = RefusedRequest {
                        request_id: RequestId(1),
                        method: &head.method,
                        path: head.uri.path(),
                        accept,
                    };
                    let (head, body) = self.adapter.refuse(&refusal, &request).into_parts();
                    (head, (Ok(body.to_vec()), body.to_vec()))
                }
            };
            Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
                came,
            }
        })
    }

    /// What the log calls the request.
    pub fn operation(&self, method: &str, path: &str) -> String {
        let request = Request::builder().method(method).uri(path);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let operation = self.adapter.classify(&head);
        operation.map_or_else(|_| "-".into(), |operation| operation.name.into_owned())
    }

    async fn serve(&self, head: Parts, body: Plain) -> Result<http::Response<Released>, Refusal> {
        let exchange = Exchange {
            request_id: RequestId(1),
            now: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        };
        let operation = self.adapter.classify(&head)?;
        let subject = self.adapter.verify(&operation, &head, exchange.now)?;
        let verdict = self.policy.decide(operation.class);
        self.adapter
            .perform(&exchange, verdict, operation, subject, head, body)
            .await
    }
}
