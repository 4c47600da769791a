//! Nextcloud's chunked uploads, second version: a collection is made, chunks are put into it in any order, and a MOVE of
//! its `.file` has the provider join them. Each chunk is a run; what closes the object goes up as one more chunk before
//! the MOVE. The provider joins chunks in the order of their numbers.

use http::header::CONTENT_TYPE;
use http::{HeaderName, Method, Response, StatusCode};

use super::chunk::{Chunk, Row};
use super::pattern::Pattern;
use super::table::Verb;
use super::upstream::{Ask, DESTINATION, text};
use super::{Call, WebDav, digest, document};
use crate::body::{Cleared, Plain, Released, SealBody, SealPlan, SealedTail, Tail};
use crate::error::{INTERNAL, OPERATION_DENIED, PROTOCOL, Refusal, STATE_UNAVAILABLE, TOO_LARGE};
use crate::seal::layout::{self, MAX_RUNS};
use crate::seal::run::RunEntry;
use crate::seal::trailer::{Digests, seal_trailer};
use crate::seal::{ObjectId, SaltSource, SealError};
use crate::state::{Component, RowKey, Table};

const TOTAL_LENGTH: HeaderName = HeaderName::from_static("oc-total-length");
/// The member that stands for the joined file.
const JOINED: &str = ".file";
/// How long an upload is remembered, in seconds; Nextcloud forgets its side after a day.
const AGE: u64 = 7 * 24 * 3600;

/// A path within the collections of uploads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Upload<'p> {
    /// The upload's collection, without a slash at its end.
    folder: &'p str,
    member: Option<&'p str>,
}

impl<'p> Upload<'p> {
    /// `None`: the path is not within an upload.
    pub fn parse(below: &Pattern, path: &'p str) -> Option<Self> {
        let behind = below.behind(path)?;
        let (_, rest) = behind.split_first()?;
        let trimmed = path.trim_end_matches('/');
        match rest {
            [] => Some(Self {
                folder: trimmed,
                member: None,
            }),
            [member] => Some(Self {
                folder: trimmed.strip_suffix(member)?.trim_end_matches('/'),
                member: Some(member),
            }),
            // deeper than any upload is: never mistaken for a file
            _ => Some(Self {
                folder: trimmed,
                member: Some(""),
            }),
        }
    }
}

fn refused(status: StatusCode, why: &'static str) -> Refusal {
    let mut refusal = Refusal::new(&PROTOCOL).message(why);
    refusal.status = Some(status.as_u16());
    refusal
}

impl WebDav {
    /// What changes something within an upload; what only reads is no different here.
    pub(super) async fn upload(
        &self,
        call: &Call<'_>,
        verb: Verb,
        upload: &Upload<'_>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        match (verb, upload.member) {
            (Verb::Mkcol, None) => self.begin_upload(call, upload, body).await,
            (Verb::Put, Some(name)) => self.put_chunk(call, upload, name, body).await,
            (Verb::Move, Some(JOINED)) => self.join(call, upload, body).await,
            (Verb::Delete, None) => {
                document::none(body).await?;
                let response = self.ask(self.upload_ask(call, None)?).await?;
                self.forget(upload).await?;
                self.answer(call, response)
            }
            (Verb::Delete, Some(name)) => {
                document::none(body).await?;
                let response = self.ask(self.upload_ask(call, None)?).await?;
                let part = Chunk::parse(name).and_then(|chunk| chunk.part());
                if let (true, Some(part)) = (response.status().is_success(), part) {
                    let key = self.part_key(upload, Some(part));
                    self.vault.delete(Table::Part, &key).await?;
                }
                self.answer(call, response)
            }
            _ => Err(Refusal::new(&OPERATION_DENIED)
                .message("Within an upload, chunks are put and joined, and nothing else.")),
        }
    }

    fn upload_key(&self, upload: &Upload<'_>) -> RowKey {
        self.vault
            .key(Table::Upload, &[Component::Name(upload.folder.as_bytes())])
    }

    fn part_key(&self, upload: &Upload<'_>, part: Option<u32>) -> RowKey {
        let name = Component::Name(upload.folder.as_bytes());
        match part {
            Some(part) => self
                .vault
                .key(Table::Part, &[name, Component::Order(u64::from(part))]),
            None => self.vault.key(Table::Part, &[name]),
        }
    }

    /// The client's request, with the whole length as the provider will have it.
    fn upload_ask(&self, call: &Call<'_>, sealed: Option<u64>) -> Result<Ask, Refusal> {
        let ask = Ask::from_client(call)?;
        let sealed = match sealed {
            Some(_) => sealed,
            None => total_length(call)?.and_then(layout::sealed_len),
        };
        Ok(match sealed {
            Some(sealed) => ask.header(TOTAL_LENGTH, &sealed.to_string()),
            None => ask,
        })
    }

    async fn begin_upload(
        &self,
        call: &Call<'_>,
        upload: &Upload<'_>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        document::none(body).await?;
        let response = self.ask(self.upload_ask(call, None)?).await?;
        if response.status().is_success() {
            self.forget(upload).await?;
            let object: ObjectId = self.draw(call, SaltSource::object_id)?;
            self.vault
                .put(
                    Table::Upload,
                    &self.upload_key(upload),
                    &object.0,
                    Some(call.unix() + AGE),
                )
                .await?;
        }
        self.answer(call, response)
    }

    async fn forget(&self, upload: &Upload<'_>) -> Result<(), Refusal> {
        let parts = self.part_key(upload, None);
        self.vault.delete_prefix(Table::Part, &parts).await?;
        let key = self.upload_key(upload);
        self.vault.delete(Table::Upload, &key).await?;
        Ok(())
    }

    /// The object that the upload's chunks belong to.
    async fn object(&self, upload: &Upload<'_>) -> Result<ObjectId, Refusal> {
        let row = self
            .vault
            .get(Table::Upload, &self.upload_key(upload))
            .await?;
        row.and_then(|bytes| bytes.try_into().ok())
            .map(ObjectId)
            .ok_or_else(|| {
                refused(
                    StatusCode::CONFLICT,
                    "This upload was not begun through the gateway, or is too old. Begin anew.",
                )
            })
    }

    async fn put_chunk(
        &self,
        call: &Call<'_>,
        upload: &Upload<'_>,
        name: &str,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let unnamed = || refused(StatusCode::BAD_REQUEST, "The chunk's name has no number.");
        let chunk = Chunk::parse(name).ok_or_else(unnamed)?;
        let part = chunk.part().ok_or_else(unnamed)?;
        let length = self
            .length(call, &body)?
            .ok_or_else(|| refused(StatusCode::LENGTH_REQUIRED, "A chunk tells its length."))?;
        let object = self.object(upload).await?;
        let (body, _) = digest::checked(body, &call.head.headers)?;
        let faults = body.faults();
        let plan = SealPlan {
            keys: self.current()?,
            context: self.context.clone(),
            object,
            part,
            salt: self.draw(call, SaltSource::salt)?,
            length: Some(length),
            tail: Tail::None,
        };
        let body =
            SealBody::new(body, plan).map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        let entry = body.entry();
        let ask = self
            .upload_ask(call, None)?
            .header(CONTENT_TYPE, "application/octet-stream");
        let sent = self.send(ask, Cleared::sealed(body)).await;
        let response = sent.map_err(|refusal| faults.take().unwrap_or(refusal))?;
        if let Some(refusal) = faults.take() {
            return Err(refusal);
        }
        if let (true, Some(entry)) = (response.status().is_success(), entry.get()) {
            let entry = entry.clone();
            let (key, row) = (self.part_key(upload, Some(part)), Row { chunk, entry });
            let expires = Some(call.unix() + AGE);
            self.vault
                .put(Table::Part, &key, &row.encode(), expires)
                .await?;
        }
        self.answer(call, response)
    }

    /// The upload's chunks in their order.
    async fn chunks(&self, upload: &Upload<'_>) -> Result<Vec<Row>, Refusal> {
        let prefix = self.part_key(upload, None);
        let limit = MAX_RUNS as usize + 1;
        let found = self.vault.scan(Table::Part, &prefix, None, limit).await?;
        if found.len() == limit {
            return Err(Refusal::new(&TOO_LARGE));
        }
        let rows: Option<Vec<Row>> = found.iter().map(|(_, bytes)| Row::decode(bytes)).collect();
        let rows = rows.ok_or_else(|| Refusal::new(&STATE_UNAVAILABLE))?;
        if rows
            .windows(2)
            .any(|pair| pair[0].chunk.style != pair[1].chunk.style)
        {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                "The upload's chunks are named in two ways.",
            ));
        }
        Ok(rows)
    }

    /// Closes the object with one more chunk, then has the provider join them.
    async fn join(
        &self,
        call: &Call<'_>,
        upload: &Upload<'_>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        document::none(body).await?;
        let object = self.object(upload).await?;
        let rows = self.chunks(upload).await?;
        let last = rows
            .last()
            .ok_or_else(|| refused(StatusCode::BAD_REQUEST, "The upload has no chunks."))?;
        let entries: Vec<RunEntry> = rows.iter().map(|row| row.entry.clone()).collect();
        let total: u64 = entries.iter().map(|entry| entry.length).sum();
        if total_length(call)?.is_some_and(|declared| declared != total) {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                "The chunks are not as long as `OC-Total-Length` says.",
            ));
        }
        let sealed = layout::sealed_len(total).filter(|sealed| *sealed <= self.settings.max_put);
        let sealed = sealed.ok_or_else(|| Refusal::new(&TOO_LARGE))?;
        let salt = self.draw(call, SaltSource::salt)?;
        let keys = self.current()?;
        let trailer = seal_trailer(
            &keys,
            &self.context,
            object,
            salt,
            &entries,
            &Digests::default(),
        );
        let trailer = trailer.map_err(|error| match error {
            SealError::Layout => refused(
                StatusCode::BAD_REQUEST,
                "A chunk before the last is shorter than 320 KiB.",
            ),
            other => Refusal::new(&INTERNAL).cause(other),
        })?;
        let zeros = layout::zeros_len(entries.iter().map(|entry| entry.length));
        let zeros = zeros.ok_or_else(|| Refusal::new(&INTERNAL))?;
        let ask = self.upload_ask(call, Some(sealed))?;
        let name = last.chunk.after(total);
        let mut put = Ask::own(Method::PUT, call)
            .at(format!("{}/{name}", upload.folder))
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(TOTAL_LENGTH, &sealed.to_string());
        if let Some(url) = text(&call.head.headers, DESTINATION) {
            put = put.header(DESTINATION, &call.links.outward(url)?);
        }
        let tail = Cleared::sealed_tail(SealedTail::new(None, zeros, trailer));
        let closed = self.send(put, tail).await?;
        if !closed.status().is_success() {
            return self.answer(call, closed);
        }
        let response = self.ask(ask).await?;
        if response.status().is_success() {
            self.forget(upload).await?;
        }
        self.answer(call, response)
    }
}

/// What the client says of the whole file's length.
fn total_length(call: &Call<'_>) -> Result<Option<u64>, Refusal> {
    match call.head.headers.get(TOTAL_LENGTH) {
        None => Ok(None),
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|value| value.parse().ok())
            .map(Some)
            .ok_or_else(|| {
                refused(
                    StatusCode::BAD_REQUEST,
                    "The `OC-Total-Length` field is malformed.",
                )
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_within_uploads() {
        let below = Pattern::new("/dav/uploads/*");
        let parse = |path| Upload::parse(&below, path);
        let upload = |folder, member| Some(Upload { folder, member });
        assert_eq!(parse("/dav/uploads/u/x/"), upload("/dav/uploads/u/x", None));
        assert_eq!(
            parse("/dav/uploads/u/x/1"),
            upload("/dav/uploads/u/x", Some("1"))
        );
        assert_eq!(
            parse("/dav/uploads/u/1/1"),
            upload("/dav/uploads/u/1", Some("1"))
        );
        assert_eq!(
            parse("/dav/uploads/u/x/y/z"),
            upload("/dav/uploads/u/x/y/z", Some(""))
        );
        for other in ["/dav/uploads/u", "/dav/files/u/x", "/"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
