//! JSON batches (Microsoft Graph, "Combine multiple HTTP requests using JSON batching"): each inner request is judged as
//! if it came by itself. What is refused is answered inside, and so is what depends on it. Both documents are spliced.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, request};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::found::Kind;
use super::messages::{WRITTEN, too_large};
use super::session::begun;
use super::table::Verb;
use super::upstream::{Ask, is_json, is_sent, put};
use super::write::check_change;
use super::{Call, DOCUMENT, Detail, Graph, detail, error};
use crate::body::{Cleared, Plain, Released};
use crate::error::{INTERNAL, OPERATION_DENIED, PROTOCOL, Refusal, UPSTREAM_INVALID};
use crate::policy::{DocumentPermit, Verdict};

/// Inner requests of a batch.
const MOST: usize = 20;
/// Of the provider's answer to a batch; it is read whole.
const ANSWER: usize = 8 * 1024 * 1024;
const FORM: &str = "The batch is malformed.";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'d> {
    #[serde(borrow)]
    requests: Vec<&'d RawValue>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Inner<'d> {
    #[serde(borrow)]
    id: Cow<'d, str>,
    #[serde(borrow)]
    method: Cow<'d, str>,
    #[serde(borrow)]
    url: Cow<'d, str>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    body: Option<&'d RawValue>,
    #[serde(default, rename = "dependsOn", skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
}

impl Inner<'_> {
    /// As it goes up: with the fields that would go alone, and its body as it was judged.
    /// `target`: path and query with the version, where they are others than the client's.
    fn sent(mut self, body: Option<String>, target: Option<&str>) -> Result<String, Refusal> {
        self.headers
            .retain(|name, _| is_sent(name) || name.eq_ignore_ascii_case("content-type"));
        let broken = |error| Refusal::new(&INTERNAL).cause(error);
        let body = body
            .map(RawValue::from_string)
            .transpose()
            .map_err(broken)?;
        let url = target.and_then(|target| target.get(1..)?.split_once('/'));
        let inner = Inner {
            url: url.map_or(self.url.clone(), |(_, rest)| format!("/{rest}").into()),
            body: body.as_deref().or(self.body),
            ..self
        };
        serde_json::to_string(&inner).map_err(broken)
    }
}

#[derive(Deserialize)]
struct Answers<'d> {
    #[serde(borrow)]
    responses: &'d RawValue,
}

#[derive(Deserialize)]
struct Answered<'d> {
    #[serde(borrow)]
    id: Cow<'d, str>,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(borrow)]
    body: Option<&'d RawValue>,
}

/// An inner request that goes on.
struct Sent {
    id: String,
    detail: Detail,
    head: request::Parts,
}

/// What becomes of an inner request, with its body where that changes.
type Judged = (request::Parts, Detail, Option<String>);

/// Where a part of a document stands in it.
fn span(document: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(document.as_ptr() as usize);
    start..start + part.len()
}

fn malformed<E>(_: E) -> Refusal {
    Refusal::new(&PROTOCOL).message(FORM)
}

impl Graph {
    pub(super) async fn batch(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let document = body.collect(4 * DOCUMENT).await?;
        let document = String::from_utf8(document).map_err(malformed)?;
        let batch: Batch<'_> = serde_json::from_str(&document).map_err(malformed)?;
        if batch.requests.is_empty() || batch.requests.len() > MOST {
            return Err(Refusal::new(&PROTOCOL).message("A batch holds 1 to 20 requests."));
        }
        let mut inner: Vec<Inner<'_>> = Vec::with_capacity(batch.requests.len());
        for raw in &batch.requests {
            inner.push(serde_json::from_str(raw.get()).map_err(malformed)?);
        }
        let ids: BTreeSet<_> = inner
            .iter()
            .map(|one| one.id.to_ascii_lowercase())
            .collect();
        if ids.len() != inner.len() {
            return Err(malformed(()));
        }
        let mut judged = Vec::with_capacity(inner.len());
        for one in &inner {
            judged.push(self.judge(call, one).await);
        }
        drop_dependents(&inner, &mut judged);
        let (mut sent, mut local, mut pieces) = (Vec::new(), Vec::new(), Vec::new());
        for (one, judged) in inner.into_iter().zip(judged) {
            let id = one.id.clone().into_owned();
            match judged {
                Ok((head, detail, body)) => {
                    pieces.push(one.sent(body, detail.target.as_deref())?);
                    sent.push(Sent { id, detail, head });
                }
                Err(refusal) => local.push(self.inner_answer(call, &id, &refusal)),
            }
        }
        if sent.is_empty() {
            return Ok(answer(format!("{{\"responses\":[{}]}}", local.join(","))));
        }
        let request = format!("{{\"requests\":[{}]}}", pieces.join(","));
        if request.len() > WRITTEN {
            return Err(too_large(format!(
                "Sealed, the batch has {} bytes; the service takes {WRITTEN}.",
                request.len()
            )));
        }
        let ask = Ask::from_client(call).header(CONTENT_TYPE, "application/json");
        let response = self.send(ask, Cleared::document(request, permit)).await?;
        if response.status() != StatusCode::OK || !is_json(response.headers()) {
            return self.answer(call, response);
        }
        let (head, body) = response.into_parts();
        let document = body.collect(ANSWER).await?;
        let document = self.answered(call, document, &sent, &local).await?;
        let mut out = answer(document);
        let mut headers = self.head(head.status, &head.headers)?;
        headers.extend(out.headers_mut().drain().filter_map(|(n, v)| Some((n?, v))));
        *out.headers_mut() = headers;
        Ok(out)
    }

    /// What becomes of an inner request, and of its body where that changes.
    async fn judge(&self, call: &Call<'_>, inner: &Inner<'_>) -> Result<Judged, Refusal> {
        let head = head(call, inner)?;
        let detail = detail(&self.settings, &head)?;
        if let Verdict::Refuse(why) = self.policy.decide(detail.row.class) {
            return Err(Refusal::new(&OPERATION_DENIED).message(why));
        }
        let alone = || {
            Err(Refusal::new(&OPERATION_DENIED)
                .message("Files are sent and read by themselves, not within a batch."))
        };
        let body = inner.body.map(RawValue::get);
        let text = body.unwrap_or_default();
        let changed = match detail.row.verb {
            Verb::Items | Verb::Versions | Verb::Bare | Verb::Empty | Verb::Content => {
                if body.is_some_and(|body| body != "null") {
                    return Err(Refusal::new(&PROTOCOL).message("This request has no body."));
                }
                None
            }
            Verb::Change => {
                if body.is_some() {
                    check_change(text.as_bytes(), detail.row.api)?;
                }
                None
            }
            Verb::CreateSession if body.is_some() => {
                let begun = begun(text.as_bytes())?;
                Some(String::from_utf8(begun).map_err(malformed)?)
            }
            Verb::CreateSession | Verb::Relay => None,
            Verb::Message(action) => {
                let inner = detail.call(call, &head);
                self.inner_message(&inner, action, body).await?
            }
            Verb::PutContent
            | Verb::Session
            | Verb::Commit
            | Verb::Batch
            | Verb::RestPut
            | Verb::RestItems
            | Verb::RestChunk => return alone(),
            Verb::Never => return Err(Refusal::new(&INTERNAL)),
        };
        Ok((head, detail, changed))
    }

    /// The provider's answers as the client is to see them, and the gateway's own among them.
    async fn answered(
        &self,
        call: &Call<'_>,
        document: Vec<u8>,
        sent: &[Sent],
        local: &[String],
    ) -> Result<String, Refusal> {
        let wrong =
            || Refusal::new(&UPSTREAM_INVALID).message("The provider's answers are malformed.");
        let document = String::from_utf8(document).map_err(|_| wrong())?;
        let outer: Answers<'_> = serde_json::from_str(&document).map_err(|_| wrong())?;
        let list: Vec<&RawValue> =
            serde_json::from_str(outer.responses.get()).map_err(|_| wrong())?;
        let mut all = local.to_vec();
        let mut open: BTreeSet<&str> = sent.iter().map(|sent| sent.id.as_str()).collect();
        for raw in list {
            let one: Answered<'_> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
            let Some(asked) = sent.iter().find(|sent| sent.id == *one.id) else {
                return Err(wrong());
            };
            if !open.remove(&*one.id) {
                return Err(wrong());
            }
            all.push(match self.inner(call, asked, &one).await {
                Ok(body) => with_body(raw.get(), one.body.map(RawValue::get), body),
                Err(refusal) => self.inner_answer(call, &one.id, &refusal),
            });
        }
        if !open.is_empty() {
            return Err(wrong());
        }
        let at = span(&document, outer.responses.get());
        Ok(format!(
            "{}[{}]{}",
            &document[..at.start],
            all.join(","),
            &document[at.end..]
        ))
    }

    /// The body of one answer, where it changes.
    async fn inner(
        &self,
        call: &Call<'_>,
        asked: &Sent,
        one: &Answered<'_>,
    ) -> Result<Option<String>, Refusal> {
        for (name, value) in &one.headers {
            if name.eq_ignore_ascii_case("location") {
                self.address(value.as_str().unwrap_or_default())?;
            }
        }
        let text = one.body.map(RawValue::get).unwrap_or_default();
        let wrong =
            || Refusal::new(&UPSTREAM_INVALID).message("The provider answers something else.");
        if asked.detail.row.verb == Verb::Content && (200..300).contains(&one.status) {
            return Err(wrong());
        }
        if let Verb::Message(action) = asked.detail.row.verb
            && (200..300).contains(&one.status)
        {
            return self.inner_answer_opened(action, text);
        }
        if !text.starts_with(['{', '[']) {
            return Ok(None);
        }
        let inner = asked.detail.call(call, &asked.head);
        if asked.detail.row.verb == Verb::CreateSession && (200..300).contains(&one.status) {
            self.adopt(&inner, text.as_bytes()).await?;
        }
        let kind = Kind::of(asked.detail.row.verb);
        let shown = self.shown(&inner, kind, text.as_bytes()).await?;
        String::from_utf8(shown).map(Some).map_err(|_| wrong())
    }

    fn inner_answer(&self, call: &Call<'_>, id: &str, refusal: &Refusal) -> String {
        let status = StatusCode::from_u16(refusal.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let request = call.exchange.request_id.to_string();
        let body = error::document(&self.settings, refusal, status, &request);
        format!(
            "{{\"id\":{},\"status\":{},\"headers\":{{\"Content-Type\":\"application/json\"}},\"body\":{}}}",
            Value::from(id),
            status.as_u16(),
            String::from_utf8_lossy(&body)
        )
    }
}

impl Detail {
    fn call<'a>(&'a self, outer: &Call<'a>, head: &'a request::Parts) -> Call<'a> {
        Call {
            head,
            row: self.row,
            drive: self.drive.as_deref(),
            asked: self.target.as_deref(),
            ..*outer
        }
    }
}

/// What depends on a refused request, wherever it stands, is refused too.
fn drop_dependents(inner: &[Inner<'_>], judged: &mut [Result<Judged, Refusal>]) {
    loop {
        let refused: BTreeSet<&str> = inner
            .iter()
            .zip(&*judged)
            .filter_map(|(one, judged)| judged.is_err().then_some(&*one.id))
            .collect();
        let next = inner.iter().zip(judged.iter_mut()).find(|(one, judged)| {
            judged.is_ok()
                && one
                    .depends_on
                    .iter()
                    .any(|id| refused.contains(id.as_str()))
        });
        match next {
            Some((_, judged)) => *judged = Err(dependent()),
            None => return,
        }
    }
}

/// The inner request as if it had come by itself.
fn head(call: &Call<'_>, inner: &Inner<'_>) -> Result<request::Parts, Refusal> {
    let version = call.head.uri.path().trim_start_matches('/');
    let version = version.split('/').next().unwrap_or_default();
    let slash = if inner.url.starts_with('/') { "" } else { "/" };
    let method = Method::from_bytes(inner.method.as_bytes()).map_err(malformed)?;
    let target = format!("/{version}{slash}{}", inner.url);
    if target.contains('#') {
        return Err(malformed(()));
    }
    let request = Request::builder().method(method).uri(target).body(());
    let (mut head, ()) = request.map_err(malformed)?.into_parts();
    let mut headers = HeaderMap::new();
    for (name, value) in &inner.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(malformed)?;
        headers.append(name, HeaderValue::from_str(value).map_err(malformed)?);
    }
    for name in [http::header::AUTHORIZATION, http::header::USER_AGENT] {
        if let (false, Some(value)) = (headers.contains_key(&name), call.head.headers.get(&name)) {
            headers.insert(name, value.clone());
        }
    }
    let host = HeaderValue::from_str(call.authority).map_err(malformed)?;
    headers.insert(http::header::HOST, host);
    head.headers = headers;
    Ok(head)
}

fn with_body(text: &str, body: Option<&str>, changed: Option<String>) -> String {
    match (body, changed) {
        (Some(body), Some(changed)) => {
            let at = span(text, body);
            format!("{}{changed}{}", &text[..at.start], &text[at.end..])
        }
        _ => text.to_owned(),
    }
}

fn dependent() -> Refusal {
    let mut refusal =
        Refusal::new(&PROTOCOL).message("A request that this one depends on was refused.");
    refusal.status = Some(StatusCode::FAILED_DEPENDENCY.as_u16());
    refusal
}

fn answer(document: String) -> Response<Released> {
    let length = document.len();
    let mut answer = Response::new(Released::document(document));
    let headers = answer.headers_mut();
    put(headers, CONTENT_TYPE, "application/json");
    put(headers, CONTENT_LENGTH, &length.to_string());
    answer
}
