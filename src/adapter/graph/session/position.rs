//! Where a session stands: what the state knows, and, where that leaves a choice, what the provider says that it has.

use http::StatusCode;

use super::address::canonical;
use super::ranges::Expected;
use super::row::{Attempt, UploadRow};
use super::way::Way;
use super::{AGE, Session, lost, refused};
use crate::adapter::graph::{Call, DOCUMENT, Graph};
use crate::error::{Refusal, STATE_UNAVAILABLE, UPSTREAM_INVALID};
use crate::seal::ObjectId;
use crate::seal::layout::{self, MAX_RUNS};
use crate::seal::run::RunEntry;
use crate::state::{Component, Inserted, RowKey, Table};

/// Attempts of one fragment that are looked at; nobody makes as many.
const ATTEMPTS: usize = 64;
const PAGE: usize = 1000;

/// Up to where a session has come.
#[derive(Default)]
pub(super) struct Position {
    /// The last fragment that counts; none at the beginning.
    pub last: Option<Attempt>,
    /// The byte that the provider expects next.
    pub next: u64,
    /// What the provider said, where it was asked.
    pub told: Option<Vec<u8>>,
    /// Of the file, where an attempt was made already.
    pub total: Option<u64>,
}

impl Position {
    /// Bytes of plaintext that the provider has, or the state keeps.
    pub fn plain(&self) -> u64 {
        self.last.as_ref().map_or(0, Attempt::plain_end)
    }

    pub fn part(&self) -> u32 {
        self.last.as_ref().map_or(0, |last| last.entry.part)
    }
}

impl Graph {
    /// However the address is written.
    pub(super) fn url_key(&self, host: usize, target: &str) -> RowKey {
        let host = self.settings.hosts.get(host).map(|host| host.name.as_str());
        let url = [host.unwrap_or_default(), &canonical(target)].concat();
        self.vault
            .key(Table::Upload, &[Component::Name(url.as_bytes())])
    }

    /// Of all fragments, of one, or of one attempt.
    pub(super) fn attempt_key(
        &self,
        table: Table,
        object: &ObjectId,
        part: Option<u32>,
        salt: Option<&[u8; 32]>,
    ) -> RowKey {
        let mut components = vec![Component::Name(&object.0)];
        components.extend(part.map(|part| Component::Order(part.into())));
        components.extend(salt.map(|salt| Component::Name(salt)));
        self.vault.key(table, &components)
    }

    /// The session at this address.
    pub(super) async fn session_at(&self, key: RowKey, way: Way) -> Result<Session, Refusal> {
        let row = self.vault.get(Table::Upload, &key).await?;
        let row = row.ok_or_else(lost)?;
        let row = UploadRow::decode(&row).ok_or_else(|| Refusal::new(&STATE_UNAVAILABLE))?;
        Ok(Session { key, row, way })
    }

    /// Where the session stands. What is not clear from the state is asked of the provider; `ask`: at any rate.
    ///
    /// # Errors
    /// Nobody can say: the session is then dropped.
    pub(super) async fn position(
        &self,
        call: &Call<'_>,
        session: &mut Session,
        ask: bool,
    ) -> Result<Position, Refusal> {
        let mut told: Option<(Option<u64>, Vec<u8>)> = None;
        loop {
            let last = self.last(session).await?;
            let part = last.as_ref().map_or(0, |last| last.entry.part);
            let candidates = self.attempts(&session.row.object, part + 1).await?;
            let unit = session.way.unit();
            let settled = last.as_ref().map_or(0, |last| last.end - last.end % unit);
            let open = |last: &Attempt| last.base < settled || last.is_last();
            let sure = candidates.is_empty() && !last.as_ref().is_some_and(open);
            if sure && !ask {
                return Ok(Position {
                    total: last.as_ref().map(|last| last.total),
                    next: settled,
                    last,
                    told: None,
                });
            }
            if told.is_none() {
                told = Some(self.ask_status(call, session).await?);
            }
            let Some((next, document)) = &told else {
                return Err(lost());
            };
            let total = candidates.first().or(last.as_ref()).map(|any| any.total);
            let whole = total.and_then(layout::sealed_len);
            let next = next.or(whole).unwrap_or(u64::MAX);
            if next % unit != 0 && Some(next) != whole {
                return Err(self.drop_session(call, session).await);
            }
            if last.as_ref().map_or(next == 0, |last| last.holds(next)) {
                return Ok(Position {
                    last,
                    next,
                    told: Some(document.clone()),
                    total,
                });
            }
            let mut fitting = candidates.iter().filter(|attempt| attempt.holds(next));
            match (fitting.next(), fitting.next()) {
                (Some(attempt), None) => {
                    let attempt = attempt.clone();
                    self.count(call, session, &attempt).await?;
                }
                // inside an attempt whose bytes are gone, or one of two that can't be told apart
                _ => return Err(self.drop_session(call, session).await),
            }
        }
    }

    /// The last fragment that counts.
    async fn last(&self, session: &mut Session) -> Result<Option<Attempt>, Refusal> {
        let object = session.row.object;
        let mut found = None;
        let mut part = session.row.last;
        while let Some(salt) = self.chosen(&object, part.max(1)).await? {
            session.row.last = part.max(1);
            found = Some((session.row.last, salt));
            part = session.row.last + 1;
        }
        match found {
            Some((part, salt)) => self.attempt(&object, part, &salt).await.map(Some),
            None => Ok(None),
        }
    }

    async fn chosen(&self, object: &ObjectId, part: u32) -> Result<Option<[u8; 32]>, Refusal> {
        let key = self.attempt_key(Table::Complete, object, Some(part), None);
        let salt = self.vault.get(Table::Complete, &key).await?;
        let salt: Option<Result<[u8; 32], _>> = salt.map(TryInto::try_into);
        salt.transpose()
            .map_err(|_| Refusal::new(&STATE_UNAVAILABLE))
    }

    async fn attempt(
        &self,
        object: &ObjectId,
        part: u32,
        salt: &[u8; 32],
    ) -> Result<Attempt, Refusal> {
        let key = self.attempt_key(Table::Part, object, Some(part), Some(salt));
        let row = self.vault.get(Table::Part, &key).await?.ok_or_else(lost)?;
        Attempt::decode(&row).ok_or_else(|| Refusal::new(&STATE_UNAVAILABLE))
    }

    /// Attempts of a fragment whose end is not known.
    async fn attempts(&self, object: &ObjectId, part: u32) -> Result<Vec<Attempt>, Refusal> {
        let prefix = self.attempt_key(Table::Part, object, Some(part), None);
        let rows = self
            .vault
            .scan(Table::Part, &prefix, None, ATTEMPTS)
            .await?;
        let read: Option<Vec<Attempt>> = rows.iter().map(|(_, row)| Attempt::decode(row)).collect();
        read.ok_or_else(|| Refusal::new(&STATE_UNAVAILABLE))
    }

    /// What the provider expects, and its document. `None`: nothing.
    async fn ask_status(
        &self,
        call: &Call<'_>,
        session: &Session,
    ) -> Result<(Option<u64>, Vec<u8>), Refusal> {
        let response = self.ask(session.way.status(call)).await?;
        let status = response.status();
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            self.forget(session).await?;
            return Err(lost());
        }
        if status != StatusCode::OK {
            return Err(refused(
                status,
                "The provider does not say where the session stands.",
            ));
        }
        let document = response.into_body().collect(DOCUMENT).await?;
        match session.way.expected(&document)? {
            Expected::From(next) => Ok((Some(next), document)),
            Expected::Nothing => Ok((None, document)),
            Expected::Untold => Err(Refusal::new(&UPSTREAM_INVALID)
                .message("The provider does not say where the session stands.")),
        }
    }

    /// From now on, this attempt is the one that counts; whoever else decides finds it so.
    pub(super) async fn count(
        &self,
        call: &Call<'_>,
        session: &mut Session,
        attempt: &Attempt,
    ) -> Result<(), Refusal> {
        let object = session.row.object;
        let (part, salt) = (attempt.entry.part, attempt.entry.salt);
        let expires = Some(call.unix() + AGE);
        let key = self.attempt_key(Table::Complete, &object, Some(part), None);
        let counted = self
            .vault
            .insert_or_read(Table::Complete, &key, &salt, expires)
            .await?;
        if counted != Inserted::New && counted != Inserted::Existing(salt.to_vec()) {
            return Err(self.drop_session(call, session).await);
        }
        session.row.last = part;
        let row = session.row.encode();
        self.vault
            .put(Table::Upload, &session.key, &row, expires)
            .await?;
        if part > 1 {
            let before = self.attempt_key(Table::Tail, &object, Some(part - 1), None);
            self.vault.delete_prefix(Table::Tail, &before).await?;
        }
        Ok(())
    }

    /// Forgets an attempt that the provider did not take.
    pub(super) async fn discard(
        &self,
        object: &ObjectId,
        attempt: &Attempt,
    ) -> Result<(), Refusal> {
        let (part, salt) = (Some(attempt.entry.part), Some(&attempt.entry.salt));
        for table in [Table::Part, Table::Tail] {
            let key = self.attempt_key(table, object, part, salt);
            self.vault.delete(table, &key).await?;
        }
        Ok(())
    }

    /// The runs of the fragments that count, in order.
    pub(super) async fn runs(&self, session: &Session) -> Result<Vec<RunEntry>, Refusal> {
        let object = &session.row.object;
        let counted = self.all(Table::Complete, object).await?;
        let attempts = self.all(Table::Part, object).await?;
        let mut counted = counted.iter();
        let mut salt = counted.next();
        let mut runs = Vec::new();
        for row in attempts {
            let attempt = Attempt::decode(&row).ok_or_else(|| Refusal::new(&STATE_UNAVAILABLE))?;
            if salt.is_some_and(|salt| **salt == attempt.entry.salt) {
                runs.push(attempt.entry);
                salt = counted.next();
            }
        }
        match salt {
            None => Ok(runs),
            Some(_) => Err(Refusal::new(&STATE_UNAVAILABLE)),
        }
    }

    async fn all(&self, table: Table, object: &ObjectId) -> Result<Vec<Vec<u8>>, Refusal> {
        let prefix = self.attempt_key(table, object, None, None);
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let page = self
                .vault
                .scan(table, &prefix, after.as_ref(), PAGE)
                .await?;
            let full = page.len() == PAGE;
            for (key, row) in page {
                after = Some(key);
                rows.push(row);
            }
            if !full || rows.len() > 4 * MAX_RUNS as usize {
                return Ok(rows);
            }
        }
    }

    pub(super) async fn forget(&self, session: &Session) -> Result<(), Refusal> {
        self.vault.delete(Table::Upload, &session.key).await?;
        for table in [Table::Part, Table::Tail, Table::Complete] {
            let prefix = self.attempt_key(table, &session.row.object, None, None);
            self.vault.delete_prefix(table, &prefix).await?;
        }
        Ok(())
    }

    /// Nothing is ever sealed anew at a place where other bytes may lie already: the client begins another session.
    pub(super) async fn drop_session(&self, call: &Call<'_>, session: &Session) -> Refusal {
        tracing::warn!(service = %self.settings.name, "an upload session is dropped: what the provider has of it is not known");
        if let Err(refusal) = self.forget(session).await {
            return refusal;
        }
        // as a courtesy: the provider forgets it by itself in time
        let _ = self.ask(session.way.cancel(call)).await;
        lost()
    }
}
