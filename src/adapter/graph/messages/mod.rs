//! Mail, calendars, contacts, tasks and Teams messages: what people write is sealed, in place, in the documents of the
//! interface (`docs/microsoft-365.md`).

mod attachment;
mod file;
mod markup;
mod mime;
mod open;
mod people;
mod pieces;
mod shape;
pub mod table;
mod tree;
mod upload;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Response};

use self::mime::Outgoing;
use self::people::Readers;
use self::pieces::Sealing;
use self::shape::Writing;
use self::table::{Action, Document};
use self::tree::Node;
use super::upstream::{Ask, is_json, put, text};
use super::{Call, Graph, none};
use crate::body::{Cleared, Plain, Released, SealPlan, Sealed, Tail};
use crate::error::{PROTOCOL, Refusal, TOO_LARGE};
use crate::policy::DocumentPermit;
use crate::seal::trailer::Digests;
use crate::seal::{ObjectId, Salt, SaltSource};

/// The longest document that a client sends: the service takes 4 MB (Microsoft Graph, "Attach large files").
const WRITTEN: usize = 4_000_000;
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
    /// The people whom it names.
    fn people(&self, document: Document) -> Vec<String> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Json(_, node) => {
                let mut named = Vec::new();
                shape::people(document.shape(), node, &mut named);
                named.into_iter().map(str::to_owned).collect()
            }
            Self::Mime(_, message) => message.people(),
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
            Action::Read => {
                none(body).await?;
                let response = self.ask(Ask::from_client(call)).await?;
                self.opened_message(call, response).await
            }
            Action::Write(document) => self.write(call, document, permit, body).await,
            Action::Attach => self.attachment_session(call, permit, body).await,
            Action::Whole => {
                none(body).await?;
                self.whole_message(call).await
            }
            Action::Answer => self.answer_message(call, permit, body).await,
            Action::Send => self.send_draft(call, body).await,
            Action::File => {
                none(body).await?;
                self.attached_file(call).await
            }
        }
    }

    async fn write(
        &self,
        call: &Call<'_>,
        document: Document,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let written = self.written(call, document, body).await?;
        let readers = match document {
            Document::Attachment => self.readers_of_attached(call, 1).await?,
            _ => self.readers(call, &written.people(document))?,
        };
        self.send_written(call, document, &readers, permit, written)
            .await
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
        let media = text(&call.head.headers, CONTENT_TYPE).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let mime = match document {
            Document::Whole => true,
            Document::Mail => call.head.method == Method::POST,
            _ => matches!(document, Document::SendMail | Document::Answer),
        };
        if mime && media.eq_ignore_ascii_case("text/plain") {
            let message = Outgoing::read(&bytes)?;
            return Ok(Written::Mime(bytes, message));
        }
        if document == Document::Whole || !media.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::new(&PROTOCOL).message(
                "Documents are JSON here; a whole message may be MIME in base64 (`text/plain`).",
            ));
        }
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
        let sealed = match (&written, readers) {
            (Written::Nothing, _) => None,
            (Written::Mime(bytes, _), Readers::Outside(_)) => Some(bytes.clone()),
            _ => Some(self.seal_written(call, document, readers, &written)?),
        };
        if let Some(media) = written.media() {
            ask = ask.header(CONTENT_TYPE, media);
        }
        let body = match (sealed, readers) {
            (None, _) => Cleared::empty(),
            (Some(sealed), Readers::Inside) => Cleared::document(sealed, permit),
            (Some(clear), Readers::Outside(permit)) => {
                Cleared::relayed(Plain::whole(clear), permit)
            }
        };
        let response = self.send(ask, body).await?;
        self.opened_message(call, response).await
    }

    fn seal_written(
        &self,
        call: &Call<'_>,
        document: Document,
        readers: &Readers,
        written: &Written,
    ) -> Result<Vec<u8>, Refusal> {
        let keys = self.current()?;
        let salt = || self.draw(call, SaltSource::salt);
        let seal_file = |file: Vec<u8>| {
            let object = self.draw(call, SaltSource::object_id)?;
            let sealed = attachment::seal(file, self.file_plan(&keys, object, (salt()?, salt()?)))?;
            match sealed.len() > ATTACHED {
                true => Err(Refusal::new(&TOO_LARGE)
                    .message("An attachment holds at most 3 MiB once it is sealed.")),
                false => Ok(sealed),
            }
        };
        let writing = Writing {
            sealing: &Sealing {
                keys: &keys,
                context: &self.context,
                salt: &salt,
            },
            subjects: self.settings.subjects,
            clear: matches!(readers, Readers::Outside(_)),
            seal_file: &seal_file,
        };
        let (sealed, limit) = match written {
            Written::Json(bytes, node) => {
                let teams = document == Document::ChatMessage;
                let limit = match teams && node.member("hostedContents").is_none() {
                    true => TEAMS,
                    false => WRITTEN,
                };
                (document.shape().write(bytes, node, &writing)?, limit)
            }
            Written::Mime(_, message) => (message.seal(&writing)?, WRITTEN),
            Written::Nothing => return Ok(Vec::new()),
        };
        match sealed.len() > limit {
            true => Err(Refusal::new(&TOO_LARGE).message(format!(
                "Sealed, this has {} bytes; the service takes {limit}.",
                sealed.len()
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
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        if !response.status().is_success() || !is_json(response.headers()) {
            return self.answer(call, response);
        }
        let (head, body) = response.into_parts();
        let document = body.collect(READ).await?;
        let document = self.reading().document(&document)?;
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

    fn reading(&self) -> open::Reading {
        open::Reading(pieces::Opening {
            lookup: self.epochs.clone(),
            context: self.context.clone(),
            language: self.settings.language,
        })
    }
}
