//! The adapter, driven as `proxy` drives it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use sceau::adapter::graph::Graph;
use sceau::adapter::graph::filler::Spawn;
use sceau::adapter::graph::settings::{Host, Part, Redirects, Role, Settings};
use sceau::adapter::{Adapter, Exchange};
use sceau::body::{Fault, Plain, Upstream, Work};
use sceau::error::Refusal;
use sceau::policy::Policy;
use sceau::seal::{
    Context, EntropyError, EpochKeys, EpochSecret, EpochShort, Epochs, KeyLookup, LookupError,
    SaltSource,
};
use sceau::secret::Secret;
use sceau::state::{SessionId, SessionLookup, SqliteState, State, StateError, Vault};
use sceau::telemetry::RequestId;

use crate::fuse::Fuse;
use crate::provider::{GRAPH, Pieces, Provider, TENANT};

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

struct OneSession;

impl SessionLookup for OneSession {
    fn current(&self) -> Result<(SessionId, Arc<Secret<48>>), StateError> {
        Ok(([1; 16], self.by_id(&[1; 16])?))
    }

    fn by_id(&self, _: &SessionId) -> Result<Arc<Secret<48>>, StateError> {
        Ok(Arc::new(Secret::from_slice(&[6; 48]).unwrap()))
    }
}

pub fn random(bytes: &mut [u8]) -> Result<(), EntropyError> {
    getrandom::fill(bytes).map_err(|_| EntropyError)
}

pub fn settings() -> Settings {
    let host = |name: &str, role| Host {
        name: name.into(),
        role,
    };
    Settings {
        name: "m365".into(),
        context: Context::new("tenant", "m365", "default").unwrap(),
        hosts: vec![
            host(GRAPH, Role::Graph),
            host("contoso.sharepoint.com", Role::SharePoint),
            host(TENANT, Role::SharePoint),
            host(crate::mailbox::OUTLOOK, Role::Outlook),
        ],
        serves: Part::ALL.to_vec(),
        redirects: Redirects::Leave,
        domains: vec!["interieur.gouv.fr".into()],
        subjects: true,
        max_put: 250_000_000,
        language: sceau::seal::scan::Language::French,
        contact: Some("dsi@example.fr".into()),
    }
}

pub struct Gate {
    pub provider: Arc<Provider>,
    pub adapter: Graph,
    pub policy: Policy,
    pub state: Arc<dyn State>,
    /// Where it burns down, the gateway dies and answers nothing.
    pub fuse: Option<Arc<Fuse>>,
    works: Arc<Mutex<Vec<Work<()>>>>,
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
    /// Who asks is given nothing.
    fn none() -> Self {
        Self {
            status: 0,
            headers: HeaderMap::new(),
            body: Ok(Vec::new()),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        self.body.as_ref().expect("the body is whole")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.bytes()).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Of the gateway's own refusals, in Graph's form or SharePoint's.
    pub fn code(&self) -> String {
        let document = self.json();
        let error = document.get("error").or(document.get("odata.error"));
        error
            .and_then(|error| error["innerError"]["code"].as_str())
            .unwrap_or_default()
            .to_owned()
    }
}

impl Gate {
    pub fn new() -> Self {
        Self::with(settings(), &[], Provider::default())
    }

    pub fn with(settings: Settings, allow: &[&str], provider: Provider) -> Self {
        let state = Arc::new(SqliteState::in_memory().unwrap());
        Self::replica(settings, allow, Arc::new(provider), state)
    }

    /// Another gateway before the same provider that shares the state.
    pub fn beside(&self) -> Self {
        Self::replica(settings(), &[], self.provider.clone(), self.state.clone())
    }

    pub fn replica(
        settings: Settings,
        allow: &[&str],
        provider: Arc<Provider>,
        state: Arc<dyn State>,
    ) -> Self {
        let secret = Secret::from_slice(&[7; 48]).unwrap();
        let epochs = Arc::new(OneEpoch(Arc::new(EpochSecret::new(secret).keys())));
        let index = Secret::from_slice(&[8; 48]).unwrap();
        let vault = Vault::new(state.clone(), &index, Arc::new(OneSession)).unwrap();
        let upstreams: Vec<Arc<dyn Upstream>> = settings
            .hosts
            .iter()
            .map(|_| provider.clone() as Arc<dyn Upstream>)
            .collect();
        let works = Arc::new(Mutex::new(Vec::new()));
        let begun = works.clone();
        let spawn: Spawn = Arc::new(move |work| begun.lock().unwrap().push(work));
        let salts = SaltSource::new(random).unwrap();
        let policy = Policy::new(allow.iter().map(|group| (*group).to_owned()).collect());
        Self {
            adapter: Graph::new(
                settings,
                policy.clone(),
                vault,
                epochs,
                upstreams,
                salts,
                spawn,
            ),
            works,
            policy,
            provider,
            state,
            fuse: None,
        }
    }

    /// Does what was begun in the background; gives how much.
    pub fn work(&self) -> usize {
        let works = std::mem::take(&mut *self.works.lock().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let count = works.len();
        works.into_iter().for_each(|work| runtime.block_on(work));
        count
    }

    /// At graph.microsoft.com.
    pub fn send(&self, method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        self.at(GRAPH, method, target, fields, body)
    }

    /// At the host that a URL names.
    pub fn follow(&self, method: &str, url: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let rest = url.strip_prefix("https://").unwrap();
        let (host, _) = rest.split_once('/').unwrap();
        self.at(host, method, &rest[host.len()..], fields, body)
    }

    pub fn at(
        &self,
        host: &str,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let pieces: Vec<Bytes> = body.chunks(50_000).map(Bytes::copy_from_slice).collect();
        let length = body.len();
        self.pieces(host, method, target, fields, pieces, length)
    }

    /// A body that may be another than its head says.
    pub fn pieces(
        &self,
        host: &str,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        pieces: Vec<Bytes>,
        length: usize,
    ) -> Answer {
        let body = match pieces.is_empty() {
            true => Plain::empty(),
            false => Plain::new(Box::pin(Pieces(pieces.into_iter()))),
        };
        let mut request = Request::builder().method(method).uri(target);
        request = request.header("host", host);
        if length > 0 || method == "PUT" {
            request = request.header("content-length", length);
        }
        if !fields.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", "Bearer token");
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let answered = self.answered(head, body);
        runtime.block_on(async {
            match &self.fuse {
                None => answered.await,
                Some(fuse) => tokio::select! {
                    answer = answered => answer,
                    () = fuse.died() => Answer::none(),
                },
            }
        })
    }

    async fn answered(&self, head: http::request::Parts, body: Plain) -> Answer {
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
    }

    pub async fn serve(
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

pub fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 % 253) as u8).collect()
}
