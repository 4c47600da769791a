//! The state of an attempt, written while the last byte of its request waits.

use std::sync::{Arc, OnceLock};

use super::row::Attempt;
use crate::adapter::graph::digest::{Digested, Fingerprint};
use crate::adapter::graph::quickxor::QuickXor;
use crate::body::{Closing, Fault, FaultSlot};
use crate::error::{INTERNAL, Refusal};
use crate::seal::layout;
use crate::seal::run::RunEntry;
use crate::seal::trailer::{Digest, Digests, seal_trailer};
use crate::seal::{Context, EpochKeys, ObjectId, Salt, SealedBytes};
use crate::state::{Component, RowKey, Table, Vault};

/// What closes the object, with the last fragment.
pub(super) struct Close {
    /// Before it.
    pub runs: Vec<RunEntry>,
    pub keys: Arc<EpochKeys>,
    pub salt: Salt,
}

/// Writes the state of an attempt.
pub(super) struct Keeper {
    pub vault: Arc<Vault>,
    pub context: Arc<Context>,
    pub object: ObjectId,
    pub expires: u64,
    pub total: u64,
    pub start: u64,
    pub base: u64,
    pub end: u64,
    pub done: Digested,
    pub print: Option<Digested<Fingerprint>>,
    pub closing: Option<Close>,
    /// What was written.
    pub kept: Arc<OnceLock<Attempt>>,
    pub faults: FaultSlot,
}

impl Keeper {
    pub async fn keep(self, entry: RunEntry, rest: SealedBytes) -> Result<Closing, Fault> {
        let faults = self.faults.clone();
        self.write(entry, rest)
            .await
            .map_err(|refusal| faults.refuse(refusal))
    }

    async fn write(self, entry: RunEntry, rest: SealedBytes) -> Result<Closing, Refusal> {
        let digest = self.done.get().ok_or_else(|| Refusal::new(&INTERNAL))?;
        let closing = self.close(&entry, digest)?;
        let trailer = closing.trailer.as_ref().map(SealedBytes::as_bytes);
        let trailer = trailer.unwrap_or_default();
        let attempt = Attempt {
            total: self.total,
            start: self.start,
            base: self.base,
            end: self.end,
            zeros: closing.zeros,
            trailer: u32::try_from(trailer.len()).map_err(|_| Refusal::new(&INTERNAL))?,
            hash: digest.state().0,
            print: self.print()?,
            entry,
        };
        let tail = [rest.as_bytes(), trailer].concat();
        // the row that says that there was an attempt comes last
        for (table, value) in [(Table::Tail, tail), (Table::Part, attempt.encode())] {
            let key = self.key(table, &attempt.entry);
            self.vault
                .put(table, &key, &value, Some(self.expires))
                .await?;
        }
        let _ = self.kept.set(attempt);
        Ok(closing)
    }

    fn print(&self) -> Result<[u8; 32], Refusal> {
        let Some(print) = &self.print else {
            return Ok([0; 32]);
        };
        let print = print.get().ok_or_else(|| Refusal::new(&INTERNAL))?;
        Ok(print.value())
    }

    fn key(&self, table: Table, entry: &RunEntry) -> RowKey {
        let components = [
            Component::Name(&self.object.0),
            Component::Order(entry.part.into()),
            Component::Name(&entry.salt),
        ];
        self.vault.key(table, &components)
    }

    fn close(&self, entry: &RunEntry, digest: &QuickXor) -> Result<Closing, Refusal> {
        let Some(close) = &self.closing else {
            return Ok(Closing::default());
        };
        let mut runs = close.runs.clone();
        runs.push(entry.clone());
        let mut digests = Digests::default();
        digests.set(Digest::QuickXor, &digest.value(), false);
        let trailer = seal_trailer(
            &close.keys,
            &self.context,
            self.object,
            close.salt,
            &runs,
            &digests,
        );
        let zeros = layout::zeros_len(runs.iter().map(|run| run.length));
        Ok(Closing {
            zeros: zeros.ok_or_else(|| Refusal::new(&INTERNAL))?,
            trailer: Some(trailer.map_err(|error| Refusal::new(&INTERNAL).cause(error))?),
        })
    }
}
