//! What a fragment's first request did not hold goes up from the state: whole units after it, and what closes the object.

use std::ops::Range;

use http::{Response, StatusCode};

use super::position::Position;
use super::ranges::Expected;
use super::row::Attempt;
use super::way::Way;
use super::{Session, refused};
use crate::adapter::graph::{Call, DOCUMENT, Graph};
use crate::body::{Cleared, Sealed, SealedRest};
use crate::error::{Refusal, STATE_UNAVAILABLE};
use crate::seal::{SealedBytes, layout};
use crate::state::Table;

/// The answer to a request that sent sealed bytes.
pub(super) enum Told {
    /// More is expected, or that the session is committed; with the document.
    More(Response<()>, Vec<u8>),
    /// Anything else: the file's item, or an error.
    Other(Response<Sealed>),
}

impl Graph {
    /// The byte that the provider expects, and what is kept from there on. Whole units of it go up first.
    pub(super) async fn carried(
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
