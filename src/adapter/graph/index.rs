//! What is known of items: the length and the hash of their plaintext, by drive, item and cTag (which changes with the
//! content). Filled when a file goes up. Losing it costs time, not data: the sealed trailer has the hash.

use std::sync::Arc;

use super::quickxor::SIZE;
use crate::state::{Component, RowKey, StateError, Table, Vault};

/// Of a sealed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Bytes of plaintext.
    pub length: u64,
    pub hash: Option<[u8; SIZE]>,
}

/// An item at one state of its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'i> {
    pub drive: &'i str,
    pub item: &'i str,
    pub ctag: &'i str,
}

const VERSION: u8 = 1;
/// How long a row is kept, in seconds.
const AGE: u64 = 400 * 24 * 3600;

#[derive(Clone)]
pub(super) struct Index(pub Arc<Vault>);

impl Index {
    fn item(name: &Name<'_>) -> Vec<u8> {
        [name.drive.as_bytes(), b"\0", name.item.as_bytes()].concat()
    }

    pub fn key(&self, name: &Name<'_>) -> RowKey {
        let item = Self::item(name);
        let components = [
            Component::Name(&item),
            Component::Name(name.ctag.as_bytes()),
        ];
        self.0.key(Table::Item, &components)
    }

    /// Replaces what was known of the item.
    pub async fn put(&self, name: &Name<'_>, known: Known, unix: u64) -> Result<(), StateError> {
        let item = Self::item(name);
        let older = self.0.key(Table::Item, &[Component::Name(&item)]);
        self.0.delete_prefix(Table::Item, &older).await?;
        let row = encode(known);
        self.0
            .put(Table::Item, &self.key(name), &row, Some(unix + AGE))
            .await
    }

    /// In the order of the keys. A store that fails knows nothing: listings go on without hashes.
    pub async fn look(&self, keys: Vec<RowKey>) -> Vec<Option<Known>> {
        let count = keys.len();
        if count == 0 {
            return Vec::new();
        }
        match self.0.get_many(Table::Item, keys).await {
            Ok(rows) => rows
                .into_iter()
                .map(|row| row.and_then(|row| decode(&row)))
                .collect(),
            Err(error) => {
                tracing::warn!(%error, code = error.name(), "the index of items can't be read");
                vec![None; count]
            }
        }
    }
}

fn encode(known: Known) -> Vec<u8> {
    let mut row = vec![VERSION];
    row.extend_from_slice(&known.length.to_be_bytes());
    if let Some(hash) = known.hash {
        row.extend_from_slice(&hash);
    }
    row
}

fn decode(row: &[u8]) -> Option<Known> {
    let ([VERSION], rest) = row.split_first_chunk()? else {
        return None;
    };
    let (length, hash) = rest.split_first_chunk()?;
    let hash = match hash {
        [] => None,
        hash => Some(hash.try_into().ok()?),
    };
    Some(Known {
        length: u64::from_be_bytes(*length),
        hash,
    })
}
