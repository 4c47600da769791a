//! What is known of items: the length and the hash of their plaintext, at one state of their content. Filled when a file
//! goes up. Losing it costs time, not data: the sealed trailer has the hash.

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

/// An item, at one state of its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'i> {
    pub drive: &'i str,
    pub item: &'i str,
    /// Changes with the content. Some listings leave it out.
    pub ctag: Option<&'i str>,
    /// Changes with the content, the name and more.
    pub etag: Option<&'i str>,
}

/// What is known of an item as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    ctag: String,
    etag: String,
    pub known: Known,
}

impl Entry {
    /// Whether the item is as it was.
    pub fn holds(&self, name: &Name<'_>) -> bool {
        match (name.ctag, name.etag) {
            (Some(ctag), _) => ctag == self.ctag,
            (None, Some(etag)) => etag == self.etag,
            (None, None) => false,
        }
    }

    /// Whether the item's content is as it was, and something else is not.
    pub fn is_older(&self, name: &Name<'_>) -> bool {
        name.ctag == Some(&self.ctag) && name.etag.is_some_and(|etag| etag != self.etag)
    }

    fn encode(&self) -> Vec<u8> {
        let mut row = vec![VERSION];
        row.extend_from_slice(&self.known.length.to_be_bytes());
        row.push(u8::from(self.known.hash.is_some()));
        row.extend_from_slice(&self.known.hash.unwrap_or_default());
        row.extend_from_slice(self.ctag.as_bytes());
        row.push(0);
        row.extend_from_slice(self.etag.as_bytes());
        row
    }

    fn decode(row: &[u8]) -> Option<Self> {
        let ([VERSION], rest) = row.split_first_chunk()? else {
            return None;
        };
        let (length, rest) = rest.split_first_chunk()?;
        let ([hashed], rest) = rest.split_first_chunk()?;
        let (hash, tags) = rest.split_first_chunk()?;
        let (ctag, etag) = std::str::from_utf8(tags).ok()?.split_once('\0')?;
        Some(Self {
            ctag: ctag.to_owned(),
            etag: etag.to_owned(),
            known: Known {
                length: u64::from_be_bytes(*length),
                hash: (*hashed == 1).then_some(*hash),
            },
        })
    }
}

const VERSION: u8 = 1;
/// How long a row is kept, in seconds.
const AGE: u64 = 400 * 24 * 3600;

#[derive(Clone)]
pub(super) struct Index(pub Arc<Vault>);

impl Index {
    pub fn key(&self, name: &Name<'_>) -> RowKey {
        let item = [name.drive.as_bytes(), b"\0", name.item.as_bytes()].concat();
        self.0.key(Table::Item, &[Component::Name(&item)])
    }

    /// Replaces what was known of the item. One without tags can't be told from itself at another time.
    pub async fn put(&self, name: &Name<'_>, known: Known, unix: u64) -> Result<(), StateError> {
        if name.ctag.is_none() && name.etag.is_none() {
            return Ok(());
        }
        let entry = Entry {
            ctag: name.ctag.unwrap_or_default().to_owned(),
            etag: name.etag.unwrap_or_default().to_owned(),
            known,
        };
        let expires = Some(unix + AGE);
        self.0
            .put(Table::Item, &self.key(name), &entry.encode(), expires)
            .await
    }

    /// In the order of the keys. A store that fails knows nothing: listings go on without hashes.
    pub async fn look(&self, keys: Vec<RowKey>) -> Vec<Option<Entry>> {
        let count = keys.len();
        if count == 0 {
            return Vec::new();
        }
        match self.0.get_many(Table::Item, keys).await {
            Ok(rows) => rows
                .into_iter()
                .map(|row| row.and_then(|row| Entry::decode(&row)))
                .collect(),
            Err(error) => {
                tracing::warn!(%error, code = error.name(), "the index of items can't be read");
                vec![None; count]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_of_one_state_of_the_content() {
        let known = Known {
            length: 7,
            hash: Some([9; SIZE]),
        };
        let entry = Entry {
            ctag: "c".into(),
            etag: "e".into(),
            known,
        };
        assert_eq!(Entry::decode(&entry.encode()), Some(entry.clone()));
        let name = |ctag, etag| Name {
            drive: "d",
            item: "i",
            ctag,
            etag,
        };
        assert!(entry.holds(&name(Some("c"), Some("e"))) && entry.holds(&name(Some("c"), None)));
        assert!(entry.holds(&name(None, Some("e"))) && entry.is_older(&name(Some("c"), Some("f"))));
        for other in [
            name(Some("x"), Some("e")),
            name(None, Some("x")),
            name(None, None),
        ] {
            assert!(!entry.holds(&other), "{other:?}");
        }
    }
}
