//! Mail, calendars, contacts, tasks and Teams messages: what people write is sealed, in place, in the documents of the
//! interface (`docs/microsoft-365.md`).

mod attachment;
pub(super) mod filter;
mod html;
mod inner;
mod markup;
mod open;
mod people;
mod picture;
mod pieces;
mod shape;
pub mod table;
mod tree;

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use self::people::Readers;
use self::pieces::Sealing;
use self::shape::{Treat, Writing};
use self::table::{Action, Document};
use self::tree::Node;
use super::upstream::{Ask, is_json, put, text};
use super::{Call, Graph, none};
use crate::adapter::opening;
use crate::body::{Cleared, Plain, Released, SealPlan, Sealed, Tail};
use crate::error::{PROTOCOL, Refusal, TOO_LARGE, UPSTREAM_INVALID};
use crate::policy::DocumentPermit;
use crate::seal::trailer::Digests;
use crate::seal::{ObjectId, Salt, SaltSource};

/// The longest document that a client sends: the service takes 4 MB (Microsoft Graph, "Attach large files").
pub(super) const WRITTEN: usize = 4_000_000;
/// The longest document that is opened for a client; it is held whole.
const READ: usize = 32 * 1024 * 1024;
/// A Teams message, markup included (Microsoft Teams, "Limits and specifications").
const TEAMS: usize = 28 * 1024;
/// An attachment within a document.
const ATTACHED: usize = 3 * 1024 * 1024;
/// Lets mail to people outside go in clear.
pub const OUTSIDE: &str = "mail-outside";

impl Graph {
    pub(super) async fn message(
        &self,
        call: &Call<'_>,
        action: Action,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        match action {
            Action::Read(document) => {
                none(body).await?;
                let response = self.ask(Ask::from_client(call)).await?;
                let nothing = !is_json(response.headers()) && response.status() == StatusCode::OK;
                if nothing {
                    return Err(no_document());
                }
                self.opened_message(call, document, response).await
            }
            Action::Write(_) | Action::Answer | Action::Respond => {
                let written = self.written(call, body).await?;
                let node = written.as_ref().map(|(_, node)| node);
                let readers = self.readers(call, action, node).await?;
                self.send_written(call, action.document(), &readers, permit, written)
                    .await
            }
            Action::Send => {
                none(body).await?;
                self.check_draft(call).await?;
                let response = self.ask(Ask::from_client(call)).await?;
                self.answer(call, response)
            }
            Action::File => {
                none(body).await?;
                self.attached_file(call).await
            }
        }
    }

    /// What a client wrote. `None`: nothing.
    async fn written(
        &self,
        call: &Call<'_>,
        body: Plain,
    ) -> Result<Option<(Vec<u8>, Node)>, Refusal> {
        let document = body.collect(WRITTEN).await?;
        if document.is_empty() {
            return Ok(None);
        }
        described(call)?;
        let node = Node::parse(&document)?;
        Ok(Some((document, node)))
    }

    async fn send_written(
        &self,
        call: &Call<'_>,
        document: Document,
        readers: &Readers,
        permit: &DocumentPermit,
        written: Option<(Vec<u8>, Node)>,
    ) -> Result<Response<Released>, Refusal> {
        let mut ask = Ask::from_client(call);
        let body = match written {
            None => Cleared::empty(),
            Some((bytes, node)) => {
                ask = ask.header(CONTENT_TYPE, "application/json");
                let clear = matches!(readers, Readers::Outside(_));
                let sealed = self.seal_document(call, document, clear, &bytes, &node)?;
                match readers {
                    Readers::Inside => Cleared::document(sealed, permit),
                    Readers::Outside(permit) => Cleared::relayed(Plain::whole(sealed), permit),
                }
            }
        };
        let response = self.send(ask, body).await?;
        self.opened_message(call, document, response).await
    }

    fn seal_document(
        &self,
        call: &Call<'_>,
        document: Document,
        clear: bool,
        bytes: &[u8],
        node: &Node,
    ) -> Result<Vec<u8>, Refusal> {
        let keys = self.current()?;
        let salt = || self.draw(call, SaltSource::salt);
        let seal_file = |file: Vec<u8>, treat: Treat| {
            let object = self.draw(call, SaltSource::object_id)?;
            let sealed = attachment::seal(file, self.file_plan(&keys, object, (salt()?, salt()?)))?;
            let long = || too_large("An attachment holds at most 3 MiB once it is sealed.".into());
            match treat {
                _ if sealed.len() > ATTACHED => Err(long()),
                Treat::Picture => picture::around(&sealed).ok_or_else(long),
                _ => Ok(sealed),
            }
        };
        let writing = Writing {
            sealing: &Sealing {
                keys: &keys,
                context: &self.context,
                salt: &salt,
            },
            subjects: self.settings.subjects,
            clear,
            seal_file: &seal_file,
        };
        let sealed = document.shape().write(bytes, node, &writing)?;
        let (length, limit) = match document {
            Document::ChatMessage => (sealed.len() - attached(&sealed)?, TEAMS),
            _ => (sealed.len(), WRITTEN),
        };
        match length > limit || sealed.len() > WRITTEN {
            true => Err(too_large(format!(
                "Sealed, this has {length} bytes; the service takes {limit}."
            ))),
            false => Ok(sealed),
        }
    }

    fn file_plan(
        &self,
        keys: &std::sync::Arc<crate::seal::EpochKeys>,
        object: ObjectId,
        (run, tail): (Salt, Salt),
    ) -> SealPlan {
        SealPlan {
            keys: keys.clone(),
            context: self.context.clone(),
            object,
            part: 0,
            salt: run,
            length: None,
            tail: Tail::Object {
                salt: tail,
                digests: Box::new(Digests::default),
            },
        }
    }

    /// The answer with what is sealed in it opened.
    async fn opened_message(
        &self,
        call: &Call<'_>,
        asked: Document,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        if !response.status().is_success() || !is_json(response.headers()) {
            return self.answer(call, response);
        }
        let (head, body) = response.into_parts();
        let document = body.collect(READ).await?;
        let document = self.reading().document(&document, asked.answer())?;
        let mut headers = self.head(head.status, &head.headers)?;
        put(&mut headers, CONTENT_LENGTH, &document.len().to_string());
        let mut answer = Response::new(Released::document(document));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// The bytes of an attachment. One that was not sealed came from outside, and passes as it came.
    async fn attached_file(&self, call: &Call<'_>) -> Result<Response<Released>, Refusal> {
        // no range is asked for: a part of a sealed file cannot be opened by itself
        let response = self.ask(Ask::from_client(call)).await?;
        if !response.status().is_success() {
            return self.answer(call, response);
        }
        let (head, body) = response.into_parts();
        let bytes = body.collect(READ).await?;
        let file = self.opened_file(bytes)?;
        let mut headers = self.head(head.status, &head.headers)?;
        put(&mut headers, CONTENT_LENGTH, &file.len().to_string());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
        let mut answer = Response::new(Released::document(file));
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// What was not sealed came from outside, and passes.
    fn opened_file(&self, bytes: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        let opened = attachment::open(self.epochs.clone(), self.context.clone(), &bytes);
        Ok(opened.map_err(opening::refusal)?.unwrap_or(bytes))
    }

    fn reading(&self) -> open::Reading {
        open::Reading(pieces::Opening {
            lookup: self.epochs.clone(),
            context: self.context.clone(),
            language: self.settings.language,
        })
    }
}

/// # Errors
/// The body is in another form than JSON.
fn described(call: &Call<'_>) -> Result<(), Refusal> {
    let media = text(&call.head.headers, CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    match media.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(Refusal::new(&PROTOCOL)
            .message("Messages are described in JSON here; the MIME form is not served.")),
    }
}

/// Bytes that pictures take of a sealed chat message: they do not count as its text.
fn attached(sealed: &[u8]) -> Result<usize, Refusal> {
    let message = Node::parse(sealed)?;
    let Some(Node::Array(pictures)) = message.member("hostedContents") else {
        return Ok(0);
    };
    let bytes = |picture: &Node| Some(picture.member("contentBytes")?.text()?.len());
    Ok(pictures.iter().filter_map(bytes).sum())
}

pub(super) fn too_large(message: String) -> Refusal {
    let mut refusal = Refusal::new(&TOO_LARGE).message(message);
    refusal.status = Some(StatusCode::PAYLOAD_TOO_LARGE.as_u16());
    refusal
}

fn no_document() -> Refusal {
    Refusal::new(&UPSTREAM_INVALID).message("The provider's answer is no JSON document.")
}
