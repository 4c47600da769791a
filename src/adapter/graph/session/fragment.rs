//! A fragment is a run. What of the sealed bytes fills the provider's units goes up, the rest is carried. The state of an
//! attempt is written before its request can be complete.

use std::ops::Range;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{Response, StatusCode};

use super::keeper::{Close, Keeper};
use super::position::Position;
use super::ranges::content_range;
use super::rest::{Told, told};
use super::row::Attempt;
use super::way::Way;
use super::{AGE, Session, refused};
use crate::adapter::graph::digest::{Digested, Fingerprint, digested};
use crate::adapter::graph::found::Kind;
use crate::adapter::graph::index::Known;
use crate::adapter::graph::messages::table::Document;
use crate::adapter::graph::quickxor::QuickXor;
use crate::adapter::graph::upstream::{put, text};
use crate::adapter::graph::{Call, Graph};
use crate::body::{Cleared, FragmentBody, Plain, Released, SealBody, SealPlan, Sealed, Tail, Work};
use crate::error::{INTERNAL, Refusal, TOO_LARGE, UPSTREAM_INVALID};
use crate::seal::SaltSource;
use crate::seal::layout::{self, MAX_RUNS, MIN_RUN};

/// What a client sends of a file.
pub(super) struct Fragment {
    /// In the plaintext.
    pub range: Range<u64>,
    /// Bytes of the whole file; [`UNTOLD`](super::row::UNTOLD) where they are not known yet.
    pub total: u64,
    pub body: Plain,
    /// Of the client's own bytes in it, where they may come again.
    pub print: Option<Digested<Fingerprint>>,
}

impl Graph {
    pub(super) async fn put_fragment(
        &self,
        call: &Call<'_>,
        mut session: Session,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let (range, total) = asked(call, &session.way)?;
        let position = self.position(call, &mut session, false).await?;
        check(&position, &range, total)?;
        let fragment = Fragment {
            range,
            total,
            body,
            print: None,
        };
        self.fragment(call, session, &position, fragment).await
    }

    /// Sends a fragment that is the next one.
    pub(super) async fn fragment(
        &self,
        call: &Call<'_>,
        mut session: Session,
        position: &Position,
        fragment: Fragment,
    ) -> Result<Response<Released>, Refusal> {
        if u64::from(position.part()) >= MAX_RUNS {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                "A file has at most 65,536 fragments.",
            ));
        }
        let attempt = self.send_fragment(call, &session, position, fragment);
        let (attempt, sent_to, response) = attempt.await?;
        let status = response.status();
        if !session.way.taken(status, attempt.is_last()) {
            let refused = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT;
            if refused || status == StatusCode::SERVICE_UNAVAILABLE {
                self.discard(&session.row.object, &attempt).await?;
            }
            return self.answer(call, response);
        }
        self.count(call, &mut session, &attempt).await?;
        let sent = match told(&session.way, response, sent_to).await? {
            Some(sent) => {
                self.send_rest(call, &session, &attempt, sent_to, sent)
                    .await?
            }
            None => None,
        };
        match sent {
            Some(sent) => self.say(call, &session, &attempt, sent).await,
            None => Err(self.drop_session(call, &session).await),
        }
    }

    /// What the client is told of what was sent.
    async fn say(
        &self,
        call: &Call<'_>,
        session: &Session,
        attempt: &Attempt,
        sent: Told,
    ) -> Result<Response<Released>, Refusal> {
        let (head, document) = match sent {
            Told::Other(response) => return self.completed(call, session, attempt, response).await,
            Told::More(head, document) => (head, document),
        };
        let (next, total) = (attempt.plain_end(), Some(attempt.total));
        let mut document = session.way.shown(&document, next, total)?;
        if matches!(session.way, Way::Chunks(_)) {
            document = self.shown(call, Kind::of(call.row.verb), &document).await?;
        }
        let mut headers = self.head(head.status(), head.headers())?;
        put(&mut headers, CONTENT_LENGTH, &document.len().to_string());
        let mut answer = Response::new(Released::document(document));
        *answer.status_mut() = head.status();
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// The session may have become a file.
    pub(super) async fn completed(
        &self,
        call: &Call<'_>,
        session: &Session,
        attempt: &Attempt,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        let made = matches!(response.status(), StatusCode::OK | StatusCode::CREATED);
        if !made {
            return self.answer(call, response);
        }
        if matches!(session.way, Way::Ranges(rules) if rules.attaches) {
            let answer = self
                .opened_message(call, Document::Attachment, response)
                .await;
            self.forget(session).await?;
            return answer;
        }
        let (hash, length) = (attempt.hash, attempt.plain_end());
        let known = Known {
            length,
            hash: Some(QuickXor::resume(hash, length).value()),
        };
        let answer = self.uploaded(call, response, known).await;
        self.forget(session).await?;
        answer
    }

    /// Seals the fragment as it streams, and sends what of it one request can hold; gives the byte that comes next.
    async fn send_fragment(
        &self,
        call: &Call<'_>,
        session: &Session,
        position: &Position,
        fragment: Fragment,
    ) -> Result<(Attempt, u64, Response<Sealed>), Refusal> {
        let Fragment {
            range,
            total,
            body,
            print,
        } = fragment;
        let object = session.row.object;
        let (begin, carried) = self.carried(call, session, position).await?;
        let place = place(&session.way, begin, carried.len() as u64, &range, total)?;
        let state = position.last.as_ref().map_or([0; 20], |last| last.hash);
        let (body, done) = digested(body, QuickXor::resume(state, range.start));
        let faults = body.faults();
        let keys = self.current()?;
        let plan = SealPlan {
            keys: keys.clone(),
            context: self.context.clone(),
            object,
            part: position.part() + 1,
            salt: self.draw(call, SaltSource::salt)?,
            length: Some(range.end - range.start),
            tail: Tail::None,
        };
        let body =
            SealBody::new(body, plan).map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        let closing = match range.end == total {
            true => Some(Close {
                runs: self.runs(session).await?,
                salt: self.draw(call, SaltSource::salt)?,
                keys,
            }),
            false => None,
        };
        let keeper = Keeper {
            vault: self.vault.clone(),
            context: self.context.clone(),
            object,
            expires: call.unix() + AGE,
            total,
            start: range.start,
            base: place.first.min(place.run_end),
            end: place.run_end,
            done,
            print,
            closing,
            kept: Arc::default(),
            faults: faults.clone(),
        };
        let kept = keeper.kept.clone();
        let keep = Box::new(move |entry, rest| -> Work<_> { Box::pin(keeper.keep(entry, rest)) });
        let body = FragmentBody::new(carried, body, place.first - begin, keep);
        let ask = session
            .way
            .piece(call, &(begin..place.first), place.whole)?;
        let sent = self.send(ask, Cleared::fragment(body)).await;
        let response = sent.map_err(|refusal| faults.take().unwrap_or(refusal))?;
        if let Some(refusal) = faults.take() {
            return Err(refusal);
        }
        match kept.get() {
            Some(attempt) => Ok((attempt.clone(), place.first, response)),
            None => Err(self.unread(call, response)),
        }
    }

    /// The provider answered before it had read the fragment to its end.
    fn unread(&self, call: &Call<'_>, response: Response<Sealed>) -> Refusal {
        if response.status().is_success() {
            return Refusal::new(&UPSTREAM_INVALID);
        }
        self.answer(call, response).err().unwrap_or_else(|| {
            refused(
                StatusCode::CONFLICT,
                "The provider does not take the fragment.",
            )
        })
    }
}

/// Where a fragment's bytes lie in the object.
struct Place {
    /// Where its run ends.
    run_end: u64,
    /// Where its first request ends.
    first: u64,
    /// Bytes of the object, where that is known.
    whole: Option<u64>,
}

/// `begin`: the byte that the provider expects; `carried`: bytes that the fragment before left over.
fn place(
    way: &Way,
    begin: u64,
    carried: u64,
    range: &Range<u64>,
    total: u64,
) -> Result<Place, Refusal> {
    let large = || Refusal::new(&TOO_LARGE);
    let run = layout::run_len(range.end - range.start).ok_or_else(large)?;
    let whole = layout::sealed_len(total);
    let run_end = begin + carried + run;
    let target = match range.end == total {
        true => whole.ok_or_else(large)?,
        false => run_end - run_end % way.unit(),
    };
    Ok(Place {
        run_end,
        first: target.min(begin.saturating_add(way.limit())),
        whole,
    })
}

/// What the request says of its place in the file.
fn asked(call: &Call<'_>, way: &Way) -> Result<(Range<u64>, u64), Refusal> {
    let headers = &call.head.headers;
    let wrong = |why| refused(StatusCode::BAD_REQUEST, why);
    let (range, total) = text(headers, CONTENT_RANGE)
        .and_then(content_range)
        .ok_or_else(|| wrong("A fragment says which bytes of how many it holds."))?;
    let length: Option<u64> = text(headers, CONTENT_LENGTH).and_then(|text| text.parse().ok());
    if length != Some(range.end - range.start) {
        return Err(wrong("The fragment's length is not that of its range."));
    }
    if let Way::Ranges(rules) = way
        && range.end - range.start > rules.longest
    {
        return Err(refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("A fragment holds at most {} MiB.", rules.longest >> 20),
        ));
    }
    Ok((range, total))
}

fn check(position: &Position, range: &Range<u64>, total: u64) -> Result<(), Refusal> {
    let wrong = |why| Err(refused(StatusCode::BAD_REQUEST, why));
    if position.total.is_some_and(|first| first != total) {
        return wrong("The file's length is not the one that the fragments before told.");
    }
    if range.start != position.plain() {
        return Err(refused(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "The fragment is not the one that is expected. Ask where the session stands.",
        ));
    }
    if range.end < total && range.end - range.start < MIN_RUN {
        return wrong("A fragment before the last holds at least 320 KiB.");
    }
    Ok(())
}
