//! Mail, calendars, contacts, tasks and Teams messages: what people write is sealed, in place, in the documents of the
//! interface (`docs/microsoft-365.md`).

mod attachment;
mod file;
pub(super) mod filter;
mod html;
mod inner;
mod markup;
mod mime;
mod open;
mod people;
mod picture;
mod pieces;
mod shape;
pub mod table;
mod tree;
mod upload;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Response, StatusCode};

use self::mime::Outgoing;
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

/// What a client wrote, as it was sent and as it was read.
enum Written {
    Nothing,
    Json(Vec<u8>, Node),
    Mime(Vec<u8>, Outgoing),
}

impl Written {
    /// The readers whom it names.
    ///
    /// # Errors
    /// One of them has no address.
    fn people(&self, document: Document) -> Result<Vec<String>, Refusal> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Json(_, node) => {
                let mut named = Vec::new();
                shape::people(document.shape(), node, &mut named)?;
                Ok(named.into_iter().map(str::to_owned).collect())
            }
            Self::Mime(_, message) => Ok(message.people()),
        }
    }

    fn media(&self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Json(..) => Some("application/json"),
            Self::Mime(..) => Some("text/plain"),
        }
    }
}

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
                let document = action.document();
                let written = self.written(call, document, body).await?;
                if document == Document::Attachment {
                    self.check_attached(call, 1).await?;
                }
                let readers = self.readers(call, action, &written).await?;
                self.send_written(call, document, &readers, permit, written)
                    .await
            }
            Action::Attach => self.attachment_session(call, permit, body).await,
            Action::Whole => {
                none(body).await?;
                self.whole_message(call).await
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

    async fn written(
        &self,
        call: &Call<'_>,
        document: Document,
        body: Plain,
    ) -> Result<Written, Refusal> {
        let bytes = body.collect(WRITTEN).await?;
        if bytes.is_empty() && document != Document::Whole {
            return Ok(Written::Nothing);
        }
        let mime = match document {
            Document::Whole => true,
            Document::Mail => call.head.method == Method::POST,
            _ => matches!(document, Document::SendMail | Document::Answer),
        };
        if mime && is_media(call, "text/plain") {
            let message = Outgoing::read(&bytes)?;
            return Ok(Written::Mime(bytes, message));
        }
        if document == Document::Whole {
            return Err(undescribed());
        }
        described(call)?;
        let node = Node::parse(&bytes)?;
        Ok(Written::Json(bytes, node))
    }

    async fn send_written(
        &self,
        call: &Call<'_>,
        document: Document,
        readers: &Readers,
        permit: &DocumentPermit,
        written: Written,
    ) -> Result<Response<Released>, Refusal> {
        let mut ask = Ask::from_client(call);
        if let Some(media) = written.media() {
            ask = ask.header(CONTENT_TYPE, media);
        }
        let body = match (written, readers) {
            (Written::Nothing, _) => Cleared::empty(),
            (Written::Mime(bytes, _), Readers::Outside(permit)) => {
                Cleared::relayed(Plain::whole(bytes), permit)
            }
            (written, Readers::Outside(permit)) => {
                let clear = self.seal_written(call, document, true, &written)?;
                Cleared::relayed(Plain::whole(clear), permit)
            }
            (written, Readers::Inside) => {
                let sealed = self.seal_written(call, document, false, &written)?;
                Cleared::document(sealed, permit)
            }
        };
        let response = self.send(ask, body).await?;
        self.opened_message(call, document, response).await
    }

    /// `clear`: what a document holds is looked at, and stays as it is.
    fn seal_written(
        &self,
        call: &Call<'_>,
        document: Document,
        clear: bool,
        written: &Written,
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
        let sealed = match written {
            Written::Nothing => Vec::new(),
            Written::Json(bytes, node) => document.shape().write(bytes, node, &writing)?,
            Written::Mime(_, message) => message.seal(&writing)?,
        };
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
    pub(super) async fn opened_message(
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

    /// The answer that is a whole message in MIME.
    async fn whole_message(&self, call: &Call<'_>) -> Result<Response<Released>, Refusal> {
        let response = self.ask(Ask::from_client(call)).await?;
        if !response.status().is_success() {
            return self.answer(call, response);
        }
        let (head, body) = response.into_parts();
        let message = body.collect(READ).await?;
        let message = self.opened_mime(message)?;
        let mut headers = self.head(head.status, &head.headers)?;
        put(&mut headers, CONTENT_LENGTH, &message.len().to_string());
        let mut answer = Response::new(Released::document(message));
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    fn opened_mime(&self, message: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        let opened = mime::open(&message, &self.reading().0)?;
        Ok(opened.unwrap_or(message))
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

fn is_media(call: &Call<'_>, wanted: &str) -> bool {
    let media = text(&call.head.headers, CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case(wanted)
}

/// # Errors
/// The body is in another form than JSON.
fn described(call: &Call<'_>) -> Result<(), Refusal> {
    match is_media(call, "application/json") {
        true => Ok(()),
        false => Err(undescribed()),
    }
}

fn undescribed() -> Refusal {
    Refusal::new(&PROTOCOL).message(
        "Documents are JSON here; a whole message that goes by itself may be MIME in base64 (`text/plain`).",
    )
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
