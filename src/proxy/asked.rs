//! What is known of a request for its log line and its error answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use http::header::ACCEPT;
use http::{HeaderValue, Method, Uri, Version, request};

use crate::adapter::RefusedRequest;
use crate::error::{PROVIDER_ERROR, Refusal, Side};
use crate::telemetry::RequestId;

/// One request. Its path stands in error answers only, never in the log: names are the users'.
pub(super) struct Asked {
    pub id: RequestId,
    pub method: Method,
    pub version: Version,
    pub operation: Cow<'static, str>,
    pub service: Option<Arc<str>>,
    pub principal: Option<Arc<str>>,
    /// The refusal's stable code.
    pub code: Option<&'static str>,
    uri: Uri,
    accept: Option<HeaderValue>,
    started: Instant,
}

impl Asked {
    pub fn new(id: RequestId, head: &request::Parts) -> Self {
        Self {
            id,
            method: head.method.clone(),
            version: head.version,
            operation: "-".into(),
            service: None,
            principal: None,
            code: None,
            uri: head.uri.clone(),
            accept: head.headers.get(ACCEPT).cloned(),
            started: Instant::now(),
        }
    }

    pub fn refused(&self) -> RefusedRequest<'_> {
        RefusedRequest {
            request_id: self.id,
            method: &self.method,
            path: self.uri.path(),
            accept: self.accept.as_ref().and_then(|value| value.to_str().ok()),
        }
    }

    /// Says why a request was refused: what operators look for by the id that the client was given.
    pub fn log_refusal(&self, refusal: &Refusal) {
        let cause = refusal.cause.as_ref().map(ToString::to_string);
        let (id, code, service) = (self.id, refusal.code.name, self.service.as_deref());
        // what the provider says of an object that is not there, say, is nobody's failure
        let passed_on = refusal.code == &PROVIDER_ERROR && refusal.status() < 500;
        match refusal.code.side {
            Side::Gateway | Side::Upstream if !passed_on => {
                tracing::warn!(%id, code, service, operation = &*self.operation, %refusal, cause, "failed");
            }
            _ => {
                tracing::debug!(%id, code, service, operation = &*self.operation, %refusal, cause, "refused");
            }
        }
    }

    /// The line of a finished exchange. `outcome`: `done`, `cut` (the client went away) or `aborted` (it failed midway).
    pub fn log(&self, status: u16, bytes: u64, outcome: &'static str) {
        tracing::info!(
            id = %self.id,
            service = self.service.as_deref(),
            operation = &*self.operation,
            principal = self.principal.as_deref(),
            method = %self.method,
            status,
            code = self.code,
            bytes,
            ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            outcome,
        );
    }

    /// The line of a WebSocket, at its end. `up`: to the provider; `down`: to the client.
    pub fn log_conversation(&self, up: Passed, down: Passed, outcome: &'static str) {
        tracing::info!(
            id = %self.id,
            service = self.service.as_deref(),
            operation = self.operation.as_ref(),
            principal = self.principal.as_deref(),
            method = %self.method,
            status = 101,
            code = self.code,
            bytes = down.bytes,
            messages = down.messages,
            bytes_up = up.bytes,
            messages_up = up.messages,
            ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            outcome,
        );
    }
}

/// What went through a WebSocket in one direction, as the client has it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Passed {
    pub messages: u64,
    pub bytes: u64,
}

impl Passed {
    pub fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}
