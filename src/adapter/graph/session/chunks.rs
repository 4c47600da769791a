//! Chunked uploads of SharePoint's own REST interface. A chunk is a run, as a fragment is. What would make too short a run
//! waits in the state for the chunk behind it. The whole length is known with the last chunk only.

use http::header::ACCEPT;
use http::{Response, StatusCode};

use super::fragment::Fragment;
use super::position::Position;
use super::rest::{Told, told};
use super::row::UNTOLD;
use super::way::{self, Chunk, Op, Way};
use super::{AGE, Session, document, lost, refused};
use crate::adapter::graph::digest::{Fingerprint, digested};
use crate::adapter::graph::found::Kind;
use crate::adapter::graph::upstream::text;
use crate::adapter::graph::{Call, DOCUMENT, Graph};
use crate::body::{Cleared, Plain, Released};
use crate::error::{BODY_INCOMPLETE, Refusal, TOO_LARGE};
use crate::seal::layout::MIN_RUN;
use crate::state::{Component, RowKey, Table};

/// An upload, how far it has come, and the plaintext that waits for the next chunk.
struct Standing {
    session: Session,
    position: Position,
    held: Vec<u8>,
    /// It begins with this request.
    new: bool,
}

impl Standing {
    /// Bytes of plaintext that are there.
    fn plain(&self) -> u64 {
        self.position.plain() + self.held.len() as u64
    }
}

impl Graph {
    pub(in crate::adapter::graph) async fn chunk(
        &self,
        call: &Call<'_>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let mut chunk = Chunk::read(call.target())?;
        if !matches!(chunk.op, Op::Cancel | Op::Status) {
            return self.put_chunk(call, chunk, body).await;
        }
        let written = body.collect(DOCUMENT).await?;
        if chunk.id.is_none() {
            chunk.id = named(&written)?;
        }
        let (key, op) = (self.chunk_key(call, &chunk)?, chunk.op);
        let session = self.session_at(key, Way::Chunks(chunk.clone())).await;
        if op == Op::Status {
            let standing = self.standing(call, session?, true).await?;
            let said = standing.position.told.as_deref().unwrap_or_default();
            let way = &standing.session.way;
            return Ok(document(way.shown(said, standing.plain(), None)?));
        }
        let response = self.ask(chunk.ask(call, Op::Cancel, None)).await?;
        if let (Ok(session), true) = (session, response.status().is_success()) {
            self.forget(&session).await?;
        }
        self.answer(call, response)
    }

    /// The upload is that of this file and this id; its owner made the id up.
    fn chunk_key(&self, call: &Call<'_>, chunk: &Chunk) -> Result<RowKey, Refusal> {
        let id = chunk.id.as_deref().ok_or_else(|| {
            refused(
                StatusCode::BAD_REQUEST,
                "An upload is named by its `uploadId`.",
            )
        })?;
        let host = self.settings.hosts.get(call.host);
        let host = host.map(|host| host.name.as_str()).unwrap_or_default();
        let names = [host, chunk.file.as_str(), id].map(|name| Component::Name(name.as_bytes()));
        Ok(self.vault.key(Table::Upload, &names))
    }

    async fn standing(
        &self,
        call: &Call<'_>,
        mut session: Session,
        ask: bool,
    ) -> Result<Standing, Refusal> {
        let position = self.position(call, &mut session, ask).await?;
        let key = self.held_key(&session, &position);
        let held = self.vault.get(Table::Tail, &key).await?;
        Ok(Standing {
            session,
            position,
            held: held.unwrap_or_default(),
            new: false,
        })
    }

    fn held_key(&self, session: &Session, position: &Position) -> RowKey {
        let part = Some(position.part() + 1);
        self.attempt_key(Table::Tail, &session.row.object, part, None)
    }

    /// The upload as it stands. One that nothing is known of may begin.
    async fn found(&self, call: &Call<'_>, chunk: Chunk) -> Result<Standing, Refusal> {
        let starts = chunk.op.starts();
        let key = self.chunk_key(call, &chunk)?;
        let session = self.session_at(key, Way::Chunks(chunk.clone())).await;
        let standing = match session {
            // what came of it must be clear before anything else is sent under the same id
            Ok(session) => self.standing(call, session, starts).await,
            Err(refusal) => Err(refusal),
        };
        match standing {
            Err(refusal) if starts && refusal.status() == lost().status() => {
                let key = self.chunk_key(call, &chunk)?;
                Ok(Standing {
                    session: self.begin(call, key, "", Way::Chunks(chunk)).await?,
                    position: Position::default(),
                    held: Vec::new(),
                    new: true,
                })
            }
            standing => standing,
        }
    }

    async fn put_chunk(
        &self,
        call: &Call<'_>,
        chunk: Chunk,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let length = self.told_length(call, &body)?;
        let op = chunk.op;
        let start = match (op.starts(), chunk.offset) {
            (true, None) => 0,
            (false, Some(offset)) => offset,
            _ => {
                return Err(refused(
                    StatusCode::BAD_REQUEST,
                    "`fileOffset` says where a chunk begins.",
                ));
            }
        };
        let end = start.checked_add(length).filter(|end| *end < UNTOLD);
        let end = end.ok_or_else(|| Refusal::new(&TOO_LARGE))?;
        let standing = self.found(call, chunk).await?;
        if start != standing.plain() {
            return self.repeated(call, standing, op, start..end, body).await;
        }
        let begun = standing.new.then(|| standing.session.clone());
        let answer = if op != Op::Finish && end - standing.position.plain() < MIN_RUN {
            self.hold(call, standing, op, end, body).await
        } else {
            let Standing {
                session,
                position,
                held,
                ..
            } = standing;
            let total = if op == Op::Finish { end } else { UNTOLD };
            let (body, print) = digested(body, Fingerprint::default());
            let fragment = Fragment {
                range: position.plain()..end,
                total,
                body: body.after(held),
                print: Some(print),
            };
            self.fragment(call, session, &position, fragment).await
        };
        // nothing is kept for who may not write there; after 408 it is not clear what was taken
        let status = match &answer {
            Ok(answer) => answer.status().as_u16(),
            Err(refusal) => refusal.status(),
        };
        if let (Some(session), 400..=407 | 409..=499) = (begun, status) {
            self.forget(&session).await?;
        }
        answer
    }

    /// Keeps what is too short for a run. Nothing of it goes up yet.
    async fn hold(
        &self,
        call: &Call<'_>,
        standing: Standing,
        op: Op,
        end: u64,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let start = standing.plain();
        let more = body.collect(MIN_RUN as usize).await?;
        if more.len() as u64 != end - start {
            return Err(Refusal::new(&BODY_INCOMPLETE));
        }
        let said = match (op.starts(), &standing.session.way) {
            (true, Way::Chunks(chunk)) => {
                let response = self.send(chunk.send(call, 0), Cleared::empty()).await?;
                match told(&standing.session.way, response, 0).await? {
                    Some(Told::More(_, said)) => Some(said),
                    Some(Told::Other(response)) => return self.answer(call, response),
                    None => return Err(self.drop_session(call, &standing.session).await),
                }
            }
            _ => None,
        };
        let mut standing = match said {
            Some(_) => standing,
            // who may not write there learns it before anything is kept
            None => self.standing(call, standing.session, true).await?,
        };
        if standing.plain() != start {
            return Err(elsewhere(standing.plain()));
        }
        if !more.is_empty() {
            let key = self.held_key(&standing.session, &standing.position);
            standing.held.extend_from_slice(&more);
            let expires = Some(call.unix() + AGE);
            self.vault
                .put(Table::Tail, &key, &standing.held, expires)
                .await?;
        }
        let said = match said {
            Some(said) => {
                let said = standing.session.way.shown(&said, end, None)?;
                self.shown(call, Kind::Rest, &said).await?
            }
            None => own(call, op, end),
        };
        Ok(document(said))
    }

    /// A chunk that does not begin where the upload stands. One that is there already is answered as it was before; the
    /// provider says whether who asks may know.
    async fn repeated(
        &self,
        call: &Call<'_>,
        standing: Standing,
        op: Op,
        range: std::ops::Range<u64>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let standing = self.standing(call, standing.session, true).await?;
        let (settled, end) = (standing.position.plain(), standing.plain());
        if op == Op::Finish || range.end != end || range.is_empty() {
            return Err(elsewhere(end));
        }
        let same = if range.start >= settled {
            let at = usize::try_from(range.start - settled).unwrap_or(usize::MAX);
            let sent = body.collect(MIN_RUN as usize).await?;
            standing.held.get(at..).is_some_and(|held| held == sent)
        } else {
            let (mut body, print) = digested(body, Fingerprint::default());
            while body.next().await?.is_some() {}
            let there = standing.position.last.as_ref().map(|last| last.print);
            settled == end && print.get().map(Fingerprint::value) == there
        };
        match same {
            true => Ok(document(own(call, op, end))),
            false => Err(elsewhere(end)),
        }
    }
}

fn own(call: &Call<'_>, op: Op, next: u64) -> Vec<u8> {
    let accept = text(&call.head.headers, ACCEPT).unwrap_or_default();
    way::told(op, next, accept)
}

fn elsewhere(at: u64) -> Refusal {
    refused(
        StatusCode::CONFLICT,
        format!(
            "The chunk does not begin where the upload stands, or is another one than before. The next one begins at byte {at}."
        ),
    )
}

/// The upload that a document names.
fn named(document: &[u8]) -> Result<Option<String>, Refusal> {
    let read: serde_json::Value = serde_json::from_slice(document).unwrap_or_default();
    let members = read.as_object().into_iter().flatten();
    let mut ids = members.filter(|(name, _)| name.eq_ignore_ascii_case("uploadId"));
    match (ids.next(), ids.next()) {
        (Some((_, id)), None) => way::guid(id.as_str().unwrap_or_default()).map(Some),
        _ => Ok(None),
    }
}
