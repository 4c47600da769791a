//! Simple PUT of a whole file, and the documents that name, place and copy items.

use std::sync::LazyLock;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Response, StatusCode};

use super::digest::{Digested, digested};
use super::index::Known;
use super::quickxor::QuickXor;
use super::route::Api;
use super::table::Verb;
use super::upstream::{Ask, is_json, put, text};
use super::{Call, DOCUMENT, Graph};
use crate::adapter::json::{self, Path, Paths};
use crate::body::{Cleared, Plain, Released, SealBody, SealPlan, Sealed, Tail};
use crate::error::{INTERNAL, PROTOCOL, Refusal, TOO_LARGE, UPSTREAM_INVALID};
use crate::policy::DocumentPermit;
use crate::seal::trailer::{Digest, Digests};
use crate::seal::{SaltSource, layout};

/// What a document about an item may hold (Microsoft Graph, "driveItem", and the actions copy and restore). Nothing that
/// is a file's content, or leads to one.
static CLEAR: LazyLock<Option<Paths>> = LazyLock::new(|| {
    const NAMES: [&str; 12] = [
        "$['@microsoft.graph.conflictBehavior']",
        "$['@name.conflictBehavior']",
        "$['@odata.type']",
        "$.name",
        "$.folder",
        "$.parentReference",
        "$.fileSystemInfo",
        "$.remoteItem",
        "$.childrenOnly",
        "$.includeAllVersionHistory",
        "$.deletedDateTime",
        "$.id",
    ];
    let paths: Result<Vec<Path>, String> = NAMES.iter().map(|text| Path::parse(text)).collect();
    Paths::new(&[], &paths.ok()?)
});

/// And of a folder that SharePoint's own interface is to make (SharePoint REST reference, "Folder resource").
static REST: LazyLock<Option<Paths>> = LazyLock::new(|| {
    const NAMES: [&str; 4] = [
        "$.__metadata.type",
        "$['odata.type']",
        "$['@odata.type']",
        "$.ServerRelativeUrl",
    ];
    let paths: Result<Vec<Path>, String> = NAMES.iter().map(|text| Path::parse(text)).collect();
    Paths::new(&[], &paths.ok()?)
});

impl Graph {
    /// One request, or, where that would be too long, a session of the gateway's own.
    pub(super) async fn put_content(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let length = self.told_length(call, &body)?;
        let sealed = layout::sealed_len(length).ok_or_else(too_long)?;
        let long = sealed > self.settings.max_put;
        if long && call.row.verb != Verb::PutContent {
            return Err(too_long());
        }
        let (body, done) = digested(body, QuickXor::default());
        let faults = body.faults();
        let kept = done.clone();
        let plan = SealPlan {
            keys: self.current()?,
            context: self.context.clone(),
            object: self.draw(call, SaltSource::object_id)?,
            part: 0,
            salt: self.draw(call, SaltSource::salt)?,
            length: Some(length),
            tail: Tail::Object {
                salt: self.draw(call, SaltSource::salt)?,
                digests: Box::new(move || digests(&kept)),
            },
        };
        let body =
            SealBody::new(body, plan).map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        let sent = if long {
            self.put_long(call, permit, body, sealed).await
        } else {
            let ask = Ask::from_client(call).header(CONTENT_TYPE, "application/octet-stream");
            self.send(ask, Cleared::sealed(body)).await
        };
        let response = sent.map_err(|refusal| faults.take().unwrap_or(refusal))?;
        if let Some(refusal) = faults.take() {
            return Err(refusal);
        }
        let known = Known {
            length,
            hash: done.get().map(QuickXor::value),
        };
        self.uploaded(call, response, known).await
    }

    /// Bytes of plaintext. The provider wants a length.
    pub(super) fn told_length(&self, call: &Call<'_>, body: &Plain) -> Result<u64, Refusal> {
        let length = match call.head.headers.get(CONTENT_LENGTH) {
            Some(value) => value.to_str().ok().and_then(|value| value.parse().ok()),
            None if body.is_end_stream() => Some(0),
            None => {
                let mut refusal = Refusal::new(&PROTOCOL)
                    .message("The provider wants a length, which this request does not tell.");
                refusal.status = Some(StatusCode::LENGTH_REQUIRED.as_u16());
                return Err(refusal);
            }
        };
        length.ok_or_else(|| {
            Refusal::new(&PROTOCOL).message("The `Content-Length` field is malformed.")
        })
    }

    /// The answer to an upload that is complete: the item is remembered, and shown as the client knows it.
    pub(super) async fn uploaded(
        &self,
        call: &Call<'_>,
        response: Response<Sealed>,
        known: Known,
    ) -> Result<Response<Released>, Refusal> {
        let made = matches!(response.status(), StatusCode::OK | StatusCode::CREATED);
        if !made || !is_json(response.headers()) {
            return self.answer(call, response);
        }
        let (head, body) = response.into_parts();
        let document = body.collect(DOCUMENT).await.map_err(|refusal| {
            Refusal::new(&UPSTREAM_INVALID)
                .message("The provider's answer about the file is too long or broken.")
                .cause(refusal)
        })?;
        let document = self.remember(call, &document, known).await?;
        let mut headers = self.head(head.status, &head.headers)?;
        put(&mut headers, CONTENT_LENGTH, &document.len().to_string());
        let mut answer = Response::new(Released::document(document));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// A document about an item, which goes on as it is when it holds nothing else.
    pub(super) async fn change(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let document = body.collect(DOCUMENT).await?;
        let mut ask = Ask::from_client(call);
        let body = if document.is_empty() {
            Cleared::empty()
        } else {
            let media = text(&call.head.headers, CONTENT_TYPE).unwrap_or_default();
            if !media.to_ascii_lowercase().starts_with("application/json") {
                return Err(Refusal::new(&PROTOCOL).message("Items are described in JSON here."));
            }
            ask = ask.header(CONTENT_TYPE, media);
            check_change(&document, call.row.api)?;
            Cleared::document(document, permit)
        };
        let response = self.send(ask, body).await?;
        self.answer(call, response)
    }
}

fn too_long() -> Refusal {
    let mut refusal = Refusal::new(&TOO_LARGE)
        .message("A file of this length goes up in an upload session of the drive API.");
    refusal.status = Some(StatusCode::PAYLOAD_TOO_LARGE.as_u16());
    refusal
}

/// # Errors
/// The document holds something that is not known to be no content.
pub(super) fn check_change(document: &[u8], api: Api) -> Result<(), Refusal> {
    let clear = if api == Api::Rest { &REST } else { &CLEAR };
    let clear = clear.as_ref().ok_or_else(|| Refusal::new(&INTERNAL))?;
    json::rewrite::<Refusal>(document, clear, |_| Ok(None)).map(|_| ())
}

/// For the trailer, where only who may read the file finds it.
pub(super) fn digests(done: &Digested) -> Digests {
    let mut digests = Digests::default();
    if let Some(state) = done.get() {
        digests.set(Digest::QuickXor, &state.value(), false);
    }
    digests
}
