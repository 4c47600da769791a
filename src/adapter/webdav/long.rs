//! Names too long to be sealed in place. The provider has a digest; the state keeps the name, by the digest, sealed. One
//! name has one digest wherever it stands, so that the provider moves and copies without the gateway.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::naming::Naming;
use crate::body::Fault;
use crate::error::Refusal;
use crate::seal::name::{DIGEST_TEXT, as_digest};
use crate::state::{Component, RowKey, StateError, Table, Vault};

/// Bytes of names that a listing keeps while it passes.
const BUDGET: usize = 64 * 1024;

/// Names by their digests' text.
pub(super) type Known = HashMap<String, String>;

/// The names of one service.
pub(super) struct LongNames {
    naming: Arc<Naming>,
    vault: Arc<Vault>,
}

impl LongNames {
    pub fn new(naming: Arc<Naming>, vault: Arc<Vault>) -> Self {
        Self { naming, vault }
    }

    fn key(&self, digest: &str) -> RowKey {
        self.vault
            .key(Table::Name, &[Component::Name(digest.as_bytes())])
    }

    /// Keeps names, for good: durable when it returns.
    ///
    /// # Errors
    /// The state can't be written.
    pub async fn keep(&self, names: &Known) -> Result<(), Refusal> {
        let kept = self.find(names.keys().cloned().collect()).await?;
        for (digest, name) in names
            .iter()
            .filter(|(digest, _)| !kept.contains_key(*digest))
        {
            let key = self.key(digest);
            self.vault
                .put(Table::Name, &key, name.as_bytes(), None)
                .await?;
        }
        Ok(())
    }

    /// The names that are kept, each one checked against its digest.
    async fn find(&self, digests: Vec<String>) -> Result<Known, StateError> {
        let keys = digests.iter().map(|digest| self.key(digest)).collect();
        let found = self.vault.get_many(Table::Name, keys).await?;
        let mut known = Known::with_capacity(digests.len());
        for (digest, row) in digests.into_iter().zip(found) {
            let Some(row) = row else { continue };
            let name = String::from_utf8(row).map_err(|_| StateError::Damaged)?;
            if !self.naming.stands_for(&digest, &name) {
                return Err(StateError::Damaged);
            }
            known.insert(digest, name);
        }
        Ok(known)
    }
}

/// Finds the digests in a document that passes, and their names.
pub(super) struct Finder {
    names: Arc<LongNames>,
    /// The word that the last piece ended in, as far as it can be a digest.
    word: Vec<u8>,
    wanted: BTreeSet<String>,
    /// What was looked up already and has no name.
    unknown: BTreeSet<String>,
    pub known: Known,
    size: usize,
}

impl Finder {
    pub fn new(names: Arc<LongNames>) -> Self {
        Self {
            names,
            word: Vec::with_capacity(DIGEST_TEXT + 1),
            wanted: BTreeSet::new(),
            unknown: BTreeSet::new(),
            known: Known::new(),
            size: 0,
        }
    }

    /// Reads a piece. `true`: there are digests to look up. `idle`: nothing that came before waits for a name.
    pub fn reads(&mut self, piece: &[u8], idle: bool, given: &Known) -> bool {
        if idle && self.size > BUDGET {
            self.known.clear();
            self.unknown.clear();
            self.size = 0;
        }
        for byte in piece {
            if byte.is_ascii_alphanumeric() {
                if self.word.len() <= DIGEST_TEXT {
                    self.word.push(*byte);
                }
                continue;
            }
            if self.word.len() == DIGEST_TEXT
                && let Some(digest) = std::str::from_utf8(&self.word).ok().and_then(as_digest)
                && !given.contains_key(&digest)
                && !self.known.contains_key(&digest)
                && !self.unknown.contains(&digest)
            {
                self.wanted.insert(digest);
            }
            self.word.clear();
        }
        !self.wanted.is_empty()
    }

    /// # Errors
    /// The state can't be read. Without it a listing would show digests in place of names, and a client that
    /// synchronizes would take the files for gone.
    pub async fn look_up(&mut self) -> Result<(), Fault> {
        let wanted: Vec<String> = std::mem::take(&mut self.wanted).into_iter().collect();
        let found = self.names.find(wanted.clone()).await.map_err(|error| {
            let refusal = Refusal::from(error);
            Fault::new(refusal.code, "the names of long entries can't be read")
        })?;
        self.size += wanted.len() * DIGEST_TEXT;
        self.size += found.values().map(String::len).sum::<usize>();
        let without = wanted
            .into_iter()
            .filter(|digest| !found.contains_key(digest));
        self.unknown.extend(without);
        self.known.extend(found);
        Ok(())
    }
}
