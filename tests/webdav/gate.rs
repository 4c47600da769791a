//! The adapter, driven as `proxy` drives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use sceau::adapter::webdav::WebDav;
use sceau::adapter::webdav::settings::{Preconditions, Settings, UnknownLength, UpstreamSettings};
use sceau::adapter::{Adapter, Exchange};
use sceau::body::{Fault, Plain};
use sceau::error::Refusal;
use sceau::policy::Policy;
use sceau::seal::name::NameKey;
use sceau::seal::{
    Context, EpochKeys, EpochSecret, EpochShort, Epochs, KeyLookup, LookupError, SaltSource,
};
use sceau::secret::Secret;
use sceau::state::{SessionId, SessionLookup, SqliteState, StateError, Vault};
use sceau::telemetry::RequestId;

use crate::provider::{Pieces, Provider};

pub struct OneEpoch(Arc<EpochKeys>);

impl KeyLookup for OneEpoch {
    fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        if short == self.0.id.short() {
            Ok(self.0.clone())
        } else {
            Err(LookupError::Unknown)
        }
    }
}

impl Epochs for OneEpoch {
    fn current(&self) -> Result<Arc<EpochKeys>, LookupError> {
        Ok(self.0.clone())
    }
}

/// One session secret, which can be made unavailable.
#[derive(Default)]
pub struct OneSession(pub AtomicBool);

impl SessionLookup for OneSession {
    fn current(&self) -> Result<(SessionId, Arc<Secret<48>>), StateError> {
        Ok(([1; 16], self.by_id(&[1; 16])?))
    }

    fn by_id(&self, _: &SessionId) -> Result<Arc<Secret<48>>, StateError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(StateError::KeyUnavailable);
        }
        Ok(Arc::new(Secret::from_slice(&[6; 48]).unwrap()))
    }
}

pub fn epochs() -> Arc<OneEpoch> {
    let secret = Secret::from_slice(&[7; 48]).unwrap();
    Arc::new(OneEpoch(Arc::new(EpochSecret::new(secret).keys())))
}

pub struct Gate {
    pub provider: Arc<Provider>,
    pub adapter: WebDav,
    pub policy: Policy,
    pub sessions: Arc<OneSession>,
    _state: tempfile::TempDir,
}

/// What a client is given.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// `Err`: the body was broken off.
    pub body: Result<Vec<u8>, Fault>,
}

impl Answer {
    pub fn bytes(&self) -> &[u8] {
        self.body.as_ref().expect("the body is whole")
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

pub fn settings() -> Settings {
    Settings {
        name: "dav".into(),
        context: Context::new("tenant", "dav", "default").unwrap(),
        hosts: vec!["gate.example".into()],
        upstream: UpstreamSettings {
            tls: true,
            authority: "dav.provider.example".into(),
        },
        max_put: 1 << 40,
        unknown_length: UnknownLength::Stream,
        preconditions: Preconditions::Gateway,
        names_below: None,
        uploads_below: "/dav/uploads/*".into(),
        language: sceau::seal::scan::Language::French,
        contact: Some("dsi@example.fr".into()),
    }
}

impl Gate {
    pub fn new() -> Self {
        Self::with(settings(), &[], Provider::default())
    }

    pub fn with(settings: Settings, allow: &[&str], provider: Provider) -> Self {
        let provider = Arc::new(provider);
        let policy = Policy::new(allow.iter().map(|group| (*group).to_owned()).collect());
        let random = |bytes: &mut [u8]| {
            bytes.fill(5);
            Ok(())
        };
        let context = settings.context.clone();
        let state = tempfile::tempdir().unwrap();
        let rows = Arc::new(SqliteState::open(state.path()).unwrap());
        let index = Secret::from_slice(&[8; 48]).unwrap();
        let sessions = Arc::new(OneSession::default());
        let vault = Vault::new(rows, &index, sessions.clone()).unwrap();
        let adapter = WebDav::new(
            settings,
            policy.clone(),
            NameKey::new(&Secret::from_slice(&[9; 48]).unwrap(), &context),
            vault,
            epochs(),
            provider.clone(),
            SaltSource::new(random).unwrap(),
        );
        Self {
            provider,
            adapter,
            policy,
            sessions,
            _state: state,
        }
    }

    /// A request with a body whose length the head tells.
    pub fn send(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let mut fields = fields.to_vec();
        if !body.is_empty() || method == "PUT" {
            fields.push(("content-length", &length));
        }
        self.send_pieces(method, path, &fields, vec![body])
    }

    /// A request whose body comes in pieces.
    pub fn send_pieces(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        pieces: Vec<&[u8]>,
    ) -> Answer {
        let pieces: Vec<_> = pieces
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .map(Bytes::copy_from_slice)
            .collect();
        let body = if pieces.is_empty() {
            Plain::empty()
        } else {
            Plain::new(Box::pin(Pieces(pieces.into_iter())))
        };
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", "gate.example");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            match self.serve(head.clone(), body).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    Answer {
                        status: head.status.as_u16(),
                        headers: head.headers,
                        body: body.collect().await.map(|all| all.to_bytes().to_vec()),
                    }
                }
                Err(refusal) => {
                    let request = sceau::adapter::RefusedRequest {
                        request_id: RequestId(1),
                        method: &head.method,
                        path: head.uri.path(),
                        accept: head.headers.get("accept").and_then(|v| v.to_str().ok()),
                    };
                    let (head, body) = self.adapter.refuse(&refusal, &request).into_parts();
                    Answer {
                        status: head.status.as_u16(),
                        headers: head.headers,
                        body: Ok(body.to_vec()),
                    }
                }
            }
        })
    }

    async fn serve(
        &self,
        head: http::request::Parts,
        body: Plain,
    ) -> Result<http::Response<sceau::body::Released>, Refusal> {
        let exchange = Exchange {
            request_id: RequestId(1),
            now: UNIX_EPOCH + Duration::from_secs(1_795_000_000),
        };
        let operation = self.adapter.classify(&head)?;
        let subject = self.adapter.verify(&operation, &head, exchange.now)?;
        let verdict = self.policy.decide(operation.class);
        self.adapter
            .perform(&exchange, verdict, operation, subject, head, body)
            .await
    }
}
