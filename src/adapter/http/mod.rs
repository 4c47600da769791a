//! Any JSON, form or multipart API over HTTP, described by one service file (`docs/http.md`). Clients prove who they are
//! to the provider: `Authorization` and cookies pass through.

mod addresses;
mod answer;
mod disposition;
mod events;
mod guided;
pub mod head;
mod leading;
mod multipart;
mod object;
mod outgoing;
mod refusal;
pub mod settings;
pub mod template;
mod urlencoded;
mod values;
mod websocket;
mod written_back;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, request};

use self::head::Names;
use self::outgoing::Permit;
use self::settings::{Answer, Rule, Settings};
use self::values::Sealer;
use self::websocket::Opening;
use super::opening::Opener;
use super::{Adapter, Exchange, Operation, RefusedRequest, Subject};
use crate::body::{Cleared, Outbound, Plain, Released, Sealed, Upstream};
use crate::error::{INTERNAL, OPERATION_DENIED, OPERATION_UNKNOWN, RULE_VIOLATED, Refusal};
use crate::policy::{Class, Verdict};
use crate::seal::token::Index;
use crate::seal::{Context, Epochs, SaltSource};

/// One HTTP service.
#[derive(Clone)]
pub struct Http {
    settings: Arc<Settings>,
    epochs: Arc<dyn Epochs>,
    opener: Opener,
    context: Arc<Context>,
    index: Arc<Index>,
    upstream: Arc<dyn Upstream>,
    salts: Arc<SaltSource>,
}

/// One request, as the handlers see it.
struct Call<'a> {
    head: &'a request::Parts,
    /// Path and query for the provider.
    target: Uri,
}

impl Call<'_> {
    fn request<B>(&self, headers: HeaderMap, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = headers;
        request
    }
}

impl Http {
    pub fn new(
        settings: Settings,
        epochs: Arc<dyn Epochs>,
        index: Index,
        upstream: Arc<dyn Upstream>,
        salts: SaltSource,
    ) -> Self {
        let context = Arc::new(settings.context.clone());
        Self {
            opener: Opener {
                lookup: epochs.clone(),
                context: context.clone(),
            },
            context,
            epochs,
            index: Arc::new(index),
            settings: Arc::new(settings),
            upstream,
            salts: Arc::new(salts),
        }
    }

    /// The rule that the request falls under.
    ///
    /// # Errors
    /// None does.
    pub fn rule(&self, head: &request::Parts) -> Result<&Rule, Refusal> {
        let index = self.fits(head)?;
        let rule = self.settings.rules.get(index);
        rule.ok_or_else(|| Refusal::new(&INTERNAL))
    }

    /// Where no rule takes the body's type, the first of method and path says what it wants. A rule that relays bodies
    /// does not take over what one that seals them has left: a provider may read JSON whatever it is called.
    fn fits(&self, head: &request::Parts) -> Result<usize, Refusal> {
        let kind = head.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let rules = self.settings.rules.iter().enumerate();
        let mut fits = rules.filter(|(_, rule)| rule.fits(&head.method, head.uri.path()));
        let first = fits.next().ok_or_else(|| {
            Refusal::new(&OPERATION_UNKNOWN)
                .message("No rule of this service names this method and path.")
        })?;
        if first.1.takes(kind) {
            return Ok(first.0);
        }
        let other = fits.find(|(_, rule)| rule.takes(kind) && !rule.relays_bodies());
        Ok(other.map_or(first.0, |(index, _)| index))
    }

    /// Sends a request without a body.
    async fn ask(&self, call: &Call<'_>, headers: HeaderMap) -> Result<Response<Sealed>, Refusal> {
        self.send(call, headers, Cleared::empty()).await
    }

    /// Sends; the body's length goes along where it is known.
    async fn send(
        &self,
        call: &Call<'_>,
        headers: HeaderMap,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        let mut request = call.request(headers, body);
        let length = http_body::Body::size_hint(request.body()).exact();
        let bodied = !request.method().is_safe();
        if let Some(length) = length.filter(|length| *length > 0 || bodied) {
            let length = HeaderValue::from(length);
            request.headers_mut().insert(CONTENT_LENGTH, length);
        }
        self.upstream.send(request).await
    }
}

#[async_trait]
impl Adapter for Http {
    fn classify(&self, head: &request::Parts) -> Result<Operation, Refusal> {
        let index = self.fits(head)?;
        let rule = self.rule(head)?;
        let switches = rule.socket().is_some();
        if !switches && websocket::wanted(&head.headers) {
            return Err(Refusal::new(&RULE_VIOLATED)
                .message(format!("The rule `{}` opens no WebSocket.", rule.name)));
        }
        Ok(Operation {
            name: rule.name.clone().into(),
            class: match rule.relays() {
                true => Class::Pass,
                false => Class::Transform,
            },
            switches,
            detail: Box::new(index),
        })
    }

    /// The provider judges its own credentials.
    fn verify(&self, _: &Operation, _: &request::Parts, _: SystemTime) -> Result<Subject, Refusal> {
        Ok(Subject {
            principal: "-".into(),
            proof: Box::new(()),
        })
    }

    async fn perform(
        &self,
        exchange: &Exchange,
        verdict: Verdict,
        operation: Operation,
        _: Subject,
        head: request::Parts,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let foreign = || Refusal::new(&INTERNAL).message("An operation of another adapter.");
        let index: usize = *operation.detail.downcast_ref().ok_or_else(foreign)?;
        let rule = self.settings.rules.get(index).ok_or_else(foreign)?;
        let permit = match &verdict {
            Verdict::Protect(permit) => Permit::Document(permit),
            Verdict::Relay(permit) => Permit::Relay(permit),
            Verdict::Refuse(why) => {
                return Err(Refusal::new(&OPERATION_DENIED).message(why.clone()));
            }
        };
        let names = Names::new(
            &self.settings,
            super::authority(&head.uri, &head.headers).unwrap_or_default(),
        );
        if !rule.sealed_query.is_empty() {
            super::check_credentials(&head.headers)?;
        }
        let sealer = Sealer::new(self, *exchange);
        let query = outgoing::query(rule, &sealer, head.uri.query())?;
        let call = Call {
            target: Uri::try_from(format!("{}{query}", head.uri.path()))
                .map_err(|error| Refusal::new(&INTERNAL).cause(error))?,
            head: &head,
        };
        let mut headers = names.outward(&head.headers, &self.settings.headers);
        outgoing::headers(rule, &sealer, &head.headers, &mut headers)?;
        let faults = body.faults();
        let rule_at = (index, rule);
        let body = outgoing::body(self, rule_at, sealer, permit, &head, body, &mut headers).await?;
        if matches!(rule.answer, Answer::Object) {
            return self.download(&call, rule, &names, headers).await;
        }
        if let Some(socket) = rule.socket() {
            let opening = Opening::new(exchange, index, verdict)?;
            return self.converse(&call, socket, &names, headers, opening).await;
        }
        let sent = self.send(&call, headers, body).await;
        // what broke the body is the cause, whatever the provider made of it
        let response = sent.map_err(|refusal| faults.take().unwrap_or(refusal))?;
        if let Some(refusal) = faults.take() {
            return Err(refusal);
        }
        match &verdict {
            Verdict::Relay(permit) => Ok(self.relay(&names, response, permit)),
            _ => self.settle(rule, &names, &head.method, response).await,
        }
    }

    fn refuse(&self, refusal: &Refusal, request: &RefusedRequest<'_>) -> Response<Bytes> {
        refusal::respond(&self.settings, refusal, request)
    }
}

#[cfg(test)]
mod tests {
    use super::settings::UpstreamSettings;
    use super::*;
    use crate::seal::scan::Language;

    pub fn settings() -> Settings {
        Settings {
            name: "chat".into(),
            context: Context::new("interior", "chat", "default").unwrap(),
            upstream: UpstreamSettings {
                authority: "chat.example.net".into(),
                tls: true,
            },
            language: Language::French,
            contact: Some("dsi@example.fr".into()),
            error_members: Vec::new(),
            headers: Vec::new(),
            hosts: vec!["chat.example.fr".into()],
            origins: Vec::new(),
            max_document: 1 << 20,
            rules: Vec::new(),
        }
    }
}
