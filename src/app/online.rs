//! `sceau check --online`: what the configuration alone can't tell. Each provider is asked whether it can be reached,
//! takes the credential, keeps the time, and honours conditions on writes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_LENGTH, DATE, HOST, IF_NONE_MATCH};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use super::serve::{os_random, provider};
use crate::adapter::s3::settings::{ConditionalWrites, Settings};
use crate::adapter::s3::sigv4::Signer;
use crate::body::{Cleared, Sealed, Upstream as _};
use crate::config::{Kind, Service};
use crate::error::Refusal;
use crate::net::Provider;

/// S3 refuses signatures that are further off (Amazon S3 API Reference, "RequestTimeTooSkewed").
const SKEW: Duration = Duration::from_secs(15 * 60);
/// A listing of buckets is short.
const LISTING: usize = 4 * 1024 * 1024;

/// What was found out of one service.
pub(super) struct Finding {
    pub service: String,
    /// Whether a client would be served.
    pub good: bool,
    pub text: String,
}

/// Asks every provider. `bucket`: where conditional writes are tried, with an object of no content that is removed again.
pub(super) async fn ask(services: Vec<Service>, bucket: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in services {
        let name = service.name.clone();
        let mut say = |good: bool, text: String| {
            findings.push(Finding {
                service: name.clone(),
                good,
                text,
            });
        };
        match provider(service.transport) {
            Err(error) => say(false, error.to_string()),
            Ok(provider) => match service.kind {
                Kind::S3(settings) => s3(&provider, settings, bucket, &mut say).await,
                Kind::WebDav(_) | Kind::Http(_) => {
                    reachable(&provider, &service.hosts, &mut say).await
                }
                Kind::Graph(settings, further) => {
                    let mut hosts = settings.hosts.into_iter().map(|host| vec![host.name]);
                    reachable(&provider, &hosts.next().unwrap_or_default(), &mut say).await;
                    for (transport, host) in further.into_iter().zip(hosts) {
                        match self::provider(transport) {
                            Err(error) => say(false, error.to_string()),
                            Ok(provider) => reachable(&provider, &host, &mut say).await,
                        }
                    }
                }
            },
        }
    }
    findings
}

/// Without a credential of its own the gateway can only see that somebody answers.
async fn reachable(provider: &Arc<Provider>, hosts: &[String], say: &mut impl FnMut(bool, String)) {
    let host = hosts.first().map_or("", String::as_str);
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri("/")
        .header(HOST, host)
        .body(Cleared::empty());
    match request {
        Err(error) => say(false, error.to_string()),
        Ok(request) => match provider.send(request).await {
            Ok(response) => say(
                true,
                format!("the provider answers {}", response.status().as_u16()),
            ),
            Err(refusal) => say(false, told(&refusal)),
        },
    }
}

async fn s3(
    provider: &Arc<Provider>,
    settings: Settings,
    bucket: Option<&str>,
    say: &mut impl FnMut(bool, String),
) {
    let upstream = settings.upstream;
    let store = Store {
        provider: provider.clone(),
        authority: upstream.authority,
        signer: Signer::new(
            upstream.credential.access_key,
            upstream.credential.secret_key,
            upstream.region,
        ),
    };
    match store.send(Method::GET, "/", false).await {
        Err(refusal) => return say(false, told(&refusal)),
        Ok(response) => {
            if let Some(off) = skew(&response) {
                let minutes = off.as_secs() / 60;
                say(
                    off < SKEW,
                    format!("the provider's clock differs by {minutes} min"),
                );
            }
            let status = response.status();
            let text = response
                .into_body()
                .collect(LISTING)
                .await
                .unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            match status {
                StatusCode::OK => say(true, "the provider takes the credential".into()),
                status => say(
                    false,
                    format!(
                        "the provider refuses to list buckets: {} {}",
                        status.as_u16(),
                        element(&text, "Code").unwrap_or("")
                    ),
                ),
            }
        }
    }
    let Some(bucket) = bucket.filter(|_| settings.conditional_writes == ConditionalWrites::Probe)
    else {
        return;
    };
    match store.conditions(bucket).await {
        Ok(true) => say(true, format!("conditional writes are honoured in {bucket}")),
        Ok(false) => say(
            true,
            format!(
                "conditional writes are not honoured in {bucket}: clients that send them are answered 501"
            ),
        ),
        Err(text) => say(
            false,
            format!("conditional writes can't be tried in {bucket}: {text}"),
        ),
    }
}

struct Store {
    provider: Arc<Provider>,
    authority: String,
    signer: Signer,
}

impl Store {
    async fn send(
        &self,
        method: Method,
        path: &str,
        condition: bool,
    ) -> Result<Response<Sealed>, Refusal> {
        let internal = |error: http::Error| Refusal::new(&crate::error::INTERNAL).cause(error);
        let mut builder = Request::builder()
            .method(&method)
            .uri(path)
            .header(HOST, &self.authority);
        if method == Method::PUT {
            builder = builder.header(CONTENT_LENGTH, 0);
        }
        if condition {
            builder = builder.header(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        let (mut head, ()) = builder.body(()).map_err(internal)?.into_parts();
        self.signer
            .sign(&mut head, "UNSIGNED-PAYLOAD", SystemTime::now())?;
        self.provider
            .send(Request::from_parts(head, Cleared::empty()))
            .await
    }

    /// Writes an empty object twice, the second time where it must not succeed.
    async fn conditions(&self, bucket: &str) -> Result<bool, String> {
        let mut random = [0; 8];
        os_random(&mut random).map_err(|error| error.to_string())?;
        let path = format!("/{bucket}/.sceau-probe-{}", hex::encode(random));
        let first = self.status(Method::PUT, &path, true).await?;
        if first == StatusCode::NOT_IMPLEMENTED {
            return Ok(false);
        }
        if !first.is_success() {
            return Err(format!("the provider answers {}", first.as_u16()));
        }
        let second = self.status(Method::PUT, &path, true).await;
        let removed = self.status(Method::DELETE, &path, false).await?;
        if !removed.is_success() {
            return Err(format!("{path} can't be removed: {}", removed.as_u16()));
        }
        Ok(matches!(
            second?,
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT
        ))
    }

    async fn status(
        &self,
        method: Method,
        path: &str,
        condition: bool,
    ) -> Result<StatusCode, String> {
        let response = self.send(method, path, condition).await;
        let response = response.map_err(|refusal| told(&refusal))?;
        let status = response.status();
        // read to its end, so that the connection serves the next request
        let _ = response.into_body().collect(LISTING).await;
        Ok(status)
    }
}

fn told(refusal: &Refusal) -> String {
    match &refusal.cause {
        Some(cause) => format!("{refusal} ({cause})"),
        None => refusal.to_string(),
    }
}

fn skew(response: &Response<Sealed>) -> Option<Duration> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(date).ok()?;
    let ours = SystemTime::now();
    Some(
        ours.duration_since(theirs)
            .unwrap_or_else(|error| error.duration()),
    )
}

fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0)
}

/// Runs [`ask`] to its end.
///
/// # Errors
/// No runtime can be had.
pub(super) fn findings(
    services: Vec<Service>,
    bucket: Option<&str>,
) -> std::io::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(ask(services, bucket)))
}
