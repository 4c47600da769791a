//! A fragment is a run. What of the sealed bytes fills the provider's units goes up, the rest is carried. The state of an
//! attempt is written before its request can be complete.

use std::ops::Range;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{Response, StatusCode};

use super::keeper::{Close, Keeper};
use super::position::Position;
use super::ranges::{Expected, content_range};
use super::row::Attempt;
use super::way::Way;
use super::{AGE, Session, refused};
use crate::adapter::graph::digest::{Digested, Fingerprint, digested};
use crate::adapter::graph::index::Known;
use crate::adapter::graph::quickxor::QuickXor;
use crate::adapter::graph::scanner::Kind;
use crate::adapter::graph::upstream::{put, text};
use crate::adapter::graph::{Call, DOCUMENT, Graph};
use crate::body::{
    Cleared, FragmentBody, Plain, Released, SealBody, SealPlan, Sealed, SealedRest, Tail,
};
use crate::error::{INTERNAL, Refusal, STATE_UNAVAILABLE, TOO_LARGE, UPSTREAM_INVALID};
use crate::seal::layout::{self, MAX_RUNS, MIN_RUN};
use crate::seal::{SaltSource, SealedBytes};
use crate::state::Table;

/// The answer to a request that sent sealed bytes.
pub(super) enum Told {
    /// More is expected, or that the session is committed; with the document.
    More(Response<()>, Vec<u8>),
    /// Anything else: the file's item, or an error.
    Other(Response<Sealed>),
}

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
            let answer = self.opened_message(call, response).await;
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
        let last = range.end == total;
        let object = session.row.object;
        let (begin, carried) = self.carried(call, session, position).await?;
        let run = layout::run_len(range.end - range.start);
        let run = run.ok_or_else(|| Refusal::new(&TOO_LARGE))?;
        let run_end = begin + carried.len() as u64 + run;
        let whole = layout::sealed_len(total);
        let target = if last {
            whole.ok_or_else(|| Refusal::new(&TOO_LARGE))?
        } else {
            run_end - run_end % session.way.unit()
        };
        let first = target.min(begin.saturating_add(session.way.limit()));
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
        let closing = match last {
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
            base: first.min(run_end),
            end: run_end,
            done,
            print,
            closing,
            kept: Arc::default(),
            faults: faults.clone(),
        };
        let kept = keeper.kept.clone();
        let keep = Box::new(move |entry, rest| -> crate::body::Work<_> {
            Box::pin(keeper.keep(entry, rest))
        });
        let body = FragmentBody::new(carried, body, first - begin, keep);
        let ask = session.way.piece(call, &(begin..first), whole)?;
        let sent = self.send(ask, Cleared::fragment(body)).await;
        let response = sent.map_err(|refusal| faults.take().unwrap_or(refusal))?;
        if let Some(refusal) = faults.take() {
            return Err(refusal);
        }
        match kept.get() {
            Some(attempt) => Ok((attempt.clone(), first, response)),
            // refused before it was read to its end
            None if !response.status().is_success() => {
                let refusal = self.answer(call, response).err();
                Err(refusal.unwrap_or_else(|| {
                    refused(
                        StatusCode::CONFLICT,
                        "The provider does not take the fragment.",
                    )
                }))
            }
            None => Err(Refusal::new(&UPSTREAM_INVALID)),
        }
    }

    /// The byte that the provider expects, and what is kept from there on. Whole units of it go up first.
    async fn carried(
        &self,
        call: &Call<'_>,
        session: &Session,
        position: &Position,
    ) -> Result<(u64, SealedBytes), Refusal> {
        let Some(last) = &position.last else {
            return Ok((0, SealedBytes::from_seal(Vec::new())));
        };
        let mut next = position.next;
        let settled = last.end - last.end % session.way.unit();
        while next < settled {
            let piece = next..settled.min(next.saturating_add(session.way.limit()));
            next = piece.end;
            let response = self.send_kept(call, session, last, piece).await?;
            if !response.status().is_success() {
                return Err(refused(
                    StatusCode::CONFLICT,
                    "The provider does not take what was left of the fragment before. Ask where the session stands.",
                ));
            }
            response.into_body().collect(DOCUMENT).await?;
        }
        let kept = self.kept(session, last).await?;
        let at = usize::try_from(next - last.base).unwrap_or(usize::MAX);
        let carried = kept
            .get(at..)
            .ok_or_else(|| Refusal::new(&STATE_UNAVAILABLE))?;
        Ok((next, SealedBytes::from_seal(carried.to_vec())))
    }

    /// What the state keeps of an attempt's sealed bytes, from its base on.
    async fn kept(&self, session: &Session, attempt: &Attempt) -> Result<Vec<u8>, Refusal> {
        let (part, salt) = (Some(attempt.entry.part), Some(&attempt.entry.salt));
        let key = self.attempt_key(Table::Tail, &session.row.object, part, salt);
        let kept = self.vault.get(Table::Tail, &key).await?;
        let length = attempt.end - attempt.base + u64::from(attempt.trailer);
        kept.filter(|kept| kept.len() as u64 == length)
            .ok_or_else(|| Refusal::new(&STATE_UNAVAILABLE))
    }

    /// Sends sealed bytes that the state keeps; `range`: of the object.
    async fn send_kept(
        &self,
        call: &Call<'_>,
        session: &Session,
        attempt: &Attempt,
        range: Range<u64>,
    ) -> Result<Response<Sealed>, Refusal> {
        let mut kept = self.kept(session, attempt).await?;
        let run = usize::try_from(attempt.end - attempt.base).unwrap_or(usize::MAX);
        let trailer = kept.split_off(run.min(kept.len()));
        let rest = SealedRest::new(
            SealedBytes::from_seal(kept),
            attempt.zeros,
            Some(SealedBytes::from_seal(trailer)),
            range.start - attempt.base,
            range.end - range.start,
        );
        let whole = layout::sealed_len(attempt.total);
        let ask = session.way.piece(call, &range, whole)?;
        self.send(ask, Cleared::sealed_rest(rest)).await
    }

    /// Sends what the first request of an attempt did not hold; gives the last answer. `None`: the provider says that it
    /// has something else.
    pub(super) async fn send_rest(
        &self,
        call: &Call<'_>,
        session: &Session,
        attempt: &Attempt,
        from: u64,
        first: Told,
    ) -> Result<Option<Told>, Refusal> {
        let target = match attempt.is_last() {
            true => attempt.sealed_end(),
            false => attempt.end - attempt.end % session.way.unit(),
        };
        let (mut sent, mut next) = (first, from);
        while next < target && matches!(sent, Told::More(..)) {
            let piece = next..target.min(next.saturating_add(session.way.limit()));
            next = piece.end;
            let response = self.send_kept(call, session, attempt, piece).await?;
            match told(&session.way, response, next).await? {
                Some(told) => sent = told,
                None => return Ok(None),
            }
        }
        Ok(Some(sent))
    }
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

/// `next`: the byte that the provider must expect now. `None`: it expects another.
pub(super) async fn told(
    way: &Way,
    response: Response<Sealed>,
    next: u64,
) -> Result<Option<Told>, Refusal> {
    if !way.goes_on(response.status(), response.headers()) {
        return Ok(Some(Told::Other(response)));
    }
    let (head, body) = response.into_parts();
    let document = body.collect(DOCUMENT).await?;
    if let Expected::From(other) = way.expected(&document)?
        && other != next
    {
        return Ok(None);
    }
    Ok(Some(Told::More(Response::from_parts(head, ()), document)))
}
