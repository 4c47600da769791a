//! `sceau explain`: what would become of a request. Nothing is sent, no key is opened.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, Uri, request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::outcome::{Answer, Exit, Failure};
use crate::adapter::graph::{self, table::Row};
use crate::adapter::http::Http;
use crate::adapter::{Adapter, Exchange};
use crate::body::{Cleared, Outbound, Plain, Sealed, Upstream};
use crate::config::{self, Gateway, Kind, Service};
use crate::error::{OPERATION_DENIED, Refusal};
use crate::policy::{Policy, Verdict};
use crate::seal::token::Index;
use crate::seal::{
    EntropyError, EpochKeys, EpochSecret, EpochShort, Epochs, KeyLookup, LookupError, SaltSource,
};
use crate::secret::Secret;
use crate::telemetry::RequestId;

/// Says which service and rule a request falls under, and shows what the provider would get
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// Such as GET or POST
    method: String,
    /// As the client asks for it: https://HOST/PATH?QUERY
    url: String,
    /// Holds the request's body
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// A header field of the request, such as "Content-Type: application/json"
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// gateway.toml, or the directory that holds it
    #[arg(long, value_name = "PATH", default_value = "gateway.toml")]
    config: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &ExplainArgs) -> Result<Answer, Failure> {
    let (head, body) = request(args)?;
    let gateway = config::load(&args.config)?;
    let service = service(gateway, &head)?;
    let name = service.name.clone();
    if let Kind::Graph(settings, _) = &service.kind {
        return Ok(family(
            &name,
            &service.policy,
            graph::family(settings, &head),
        ));
    }
    let Kind::Http(settings) = service.kind else {
        let text = format!(
            "service {name} ({}): its protocol decides, not rules",
            service.file.display()
        );
        return Ok(Answer::new(text, json!({"service": name})));
    };
    let recorder = Arc::new(Recorder::default());
    let keys = Throwaway(Arc::new(EpochSecret::new(random()?).keys()));
    let adapter = Http::new(
        settings,
        Arc::new(keys),
        Index::new(&random()?),
        recorder.clone(),
        SaltSource::new(os_random).map_err(entropy)?,
    );
    let rule = match adapter.rule(&head) {
        Ok(rule) => rule.name.clone(),
        Err(refusal) => return Ok(refused(&name, None, &refusal)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Failure::io(&args.config, &error))?;
    let policy = service.policy;
    let outcome = runtime.block_on(async {
        let exchange = Exchange {
            request_id: RequestId(0),
            now: SystemTime::now(),
        };
        let operation = adapter.classify(&head)?;
        let subject = adapter.verify(&operation, &head, exchange.now)?;
        let verdict = policy.decide(operation.class);
        let done = adapter.perform(&exchange, verdict, operation, subject, head, body);
        done.await.map(|_| ())
    });
    let sent = recorder.take();
    match (outcome, sent) {
        (_, Some(sent)) => Ok(explained(&name, &rule, &sent)),
        (Err(refusal), None) => Ok(refused(&name, Some(&rule), &refusal)),
        (Ok(()), None) => Err(Failure::new(Exit::Failed, "internal", "nothing was sent")),
    }
}

fn request(args: &ExplainArgs) -> Result<(request::Parts, Plain), Failure> {
    let method = Method::try_from(args.method.to_uppercase().as_str())
        .map_err(|_| Failure::usage(format!("`{}` is no method", args.method)))?;
    let wrong = || Failure::usage(format!("`{}` is no URL with a host", args.url));
    let url = Uri::try_from(&args.url).map_err(|_| wrong())?;
    let host = url.authority().ok_or_else(wrong)?.to_string();
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::builder().method(method).uri(target);
    request = request.header(HOST, host);
    let mut typed = false;
    for field in &args.headers {
        let (name, value) = field
            .split_once(':')
            .ok_or_else(|| Failure::usage(format!("`{field}` is no header field")))?;
        typed |= name.trim().eq_ignore_ascii_case(CONTENT_TYPE.as_str());
        request = request.header(name.trim(), value.trim());
    }
    let body = match &args.body {
        None => Plain::empty(),
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|error| Failure::io(path, &error))?;
            request = request.header(CONTENT_LENGTH, bytes.len());
            if !typed && matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            Plain::whole(bytes)
        }
    };
    let (head, ()) = request
        .body(())
        .map_err(|error| Failure::usage(error.to_string()))?
        .into_parts();
    Ok((head, body))
}

/// The service whose host the request names.
fn service(gateway: Gateway, head: &request::Parts) -> Result<Service, Failure> {
    let authority = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = authority.unwrap_or_default().to_ascii_lowercase();
    let host = authority.split(':').next().unwrap_or_default();
    let below = |service: &Service| {
        service.kind.serves_below()
            && service.hosts.iter().any(|own| {
                host.strip_suffix(own.as_str())
                    .is_some_and(|rest| rest.ends_with('.'))
            })
    };
    let mut services = gateway.services.into_iter();
    services
        .find(|service| service.hosts.iter().any(|own| own == host) || below(service))
        .ok_or_else(|| Failure::usage(format!("no service is configured for the host `{host}`")))
}

fn refused(service: &str, rule: Option<&str>, refusal: &Refusal) -> Answer {
    let mut text = format!("service {service}\n");
    if let Some(rule) = rule {
        let _ = writeln!(text, "rule {rule}");
    }
    let _ = write!(text, "refused with {}: {refusal}", refusal.status());
    Answer {
        exit: Exit::Failed,
        text,
        json: json!({
            "service": service,
            "rule": rule,
            "refused": {"code": refusal.code.name, "status": refusal.status(), "message": refusal.message},
        }),
    }
}

/// Of a protocol with a table: the family, and what becomes of it.
fn family(service: &str, policy: &Policy, found: Result<&'static Row, Refusal>) -> Answer {
    let row = match found {
        Ok(row) => row,
        Err(refusal) => return refused(service, None, &refusal),
    };
    if let Verdict::Refuse(why) = policy.decide(row.class) {
        let refusal = Refusal::new(&OPERATION_DENIED).message(why);
        return refused(service, Some(row.name), &refusal);
    }
    let text = format!(
        "service {service}\nfamily {}: {} {}\nserved: {}",
        row.name, row.methods, row.pattern, row.reason
    );
    let json = json!({
        "service": service,
        "rule": row.name,
        "served": {"methods": row.methods, "path": row.pattern, "reason": row.reason},
    });
    Answer::new(text, json)
}

fn explained(service: &str, rule: &str, sent: &Sent) -> Answer {
    let mut text = format!(
        "service {service}\nrule {rule}\nthe provider would get, sealed under other keys than these:\n\n{} {}\n",
        sent.method, sent.target
    );
    let mut fields = serde_json::Map::new();
    for (name, value) in &sent.headers {
        let value = match name.as_str() {
            "authorization" | "cookie" => "(passes)".into(),
            _ => String::from_utf8_lossy(value.as_bytes()),
        };
        let _ = writeln!(text, "{name}: {value}");
        fields.insert(name.to_string(), Value::from(value.into_owned()));
    }
    let body = match std::str::from_utf8(&sent.body) {
        Ok(body) => body.to_owned(),
        Err(_) => format!("({} bytes, sealed)", sent.body.len()),
    };
    let _ = write!(text, "\n{body}");
    let json = json!({
        "service": service,
        "rule": rule,
        "sent": {"method": sent.method.as_str(), "target": sent.target, "headers": fields, "body": body},
    });
    Answer::new(text.trim_end(), json)
}

struct Sent {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Takes the first request that would go to the provider, and answers nothing.
#[derive(Default)]
struct Recorder(Mutex<Option<Sent>>);

impl Recorder {
    fn take(&self) -> Option<Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl Upstream for Recorder {
    async fn send(&self, request: Request<Cleared<Outbound>>) -> Result<Response<Sealed>, Refusal> {
        let (head, body) = request.into_parts();
        let body = body.collect().await;
        let body = body.map_err(|fault| Refusal::new(fault.code).message(fault.detail))?;
        let sent = Sent {
            method: head.method,
            target: head.uri.to_string(),
            headers: head.headers,
            body: body.to_bytes().to_vec(),
        };
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(sent);
        let nothing = http_body_util::Empty::new().map_err(|never| match never {});
        let mut response = Response::new(Sealed::new(Box::pin(nothing)));
        *response.status_mut() = http::StatusCode::NO_CONTENT;
        Ok(response)
    }
}

/// An epoch of this one run, of which no record is kept: what is sealed under it opens nowhere.
struct Throwaway(Arc<EpochKeys>);

impl KeyLookup for Throwaway {
    fn epoch(&self, _: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        Err(LookupError::Unknown)
    }
}

impl Epochs for Throwaway {
    fn current(&self) -> Result<Arc<EpochKeys>, LookupError> {
        Ok(self.0.clone())
    }
}

fn random() -> Result<Secret<48>, Failure> {
    Secret::filled(|bytes| os_random(bytes)).map_err(entropy)
}

fn os_random(bytes: &mut [u8]) -> Result<(), EntropyError> {
    getrandom::fill(bytes).map_err(|_| EntropyError)
}

fn entropy(error: EntropyError) -> Failure {
    Failure::new(Exit::Failed, "entropy", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
kind = "http"
name = "forum"
tenant = "t"
service = "forum-1"
hosts = ["forum.example.fr"]
[upstream]
url = "https://forum.example.net"
[[rule]]
name = "send"
methods = ["POST"]
path = "/messages"
request = "json"
answer = ["json"]
[[rule.seal]]
json = "$.text"
"#;

    fn explain(method: &str, url: &str, body: Option<&str>) -> Result<Answer, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let config = crate::app::init::tests::made(&directory);
        std::fs::write(config.join("services.d/20-forum.toml"), RULES).unwrap();
        let file = directory.path().join("body");
        std::fs::write(&file, body.unwrap_or_default()).unwrap();
        run(&ExplainArgs {
            method: method.into(),
            url: url.into(),
            body: body.map(|_| file),
            headers: vec!["Cookie: session=1".into()],
            config,
            json: false,
        })
    }

    #[test]
    fn the_sealed_body_is_shown_and_no_credential() {
        let url = "https://forum.example.fr/messages";
        let answer = explain("post", url, Some("{\"text\":\"bonjour\"}")).unwrap();
        assert_eq!(answer.exit, Exit::Done);
        assert_eq!(answer.json["rule"], "send");
        let body = answer.json["sent"]["body"].as_str().unwrap();
        assert!(body.starts_with("{\"text\":\"sc1."), "{body}");
        assert!(!answer.text.contains("session=1") && !answer.text.contains("bonjour"));
    }

    #[test]
    fn a_refusal_says_why() {
        let url = "https://forum.example.fr/messages";
        let answer = explain("POST", url, Some("{\"other\":\"x\"}")).unwrap();
        assert_eq!(answer.exit, Exit::Failed);
        assert_eq!(answer.json["rule"], "send");
        assert_eq!(answer.json["refused"]["code"], "rule-violated");
        let answer = explain("GET", url, None).unwrap();
        assert_eq!(answer.json["refused"]["code"], "operation-unknown");
        assert!(explain("GET", "https://nowhere.example/", None).is_err());
        let other = explain("GET", "https://bucket.s3.example.fr/a", None).unwrap();
        assert_eq!(other.json["service"], "example");
    }
}
