//! Rows whose values are sealed and whose keys name nothing.

use std::sync::Arc;

use aws_lc_rs::{hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::value::{self, SessionId};
use super::{Inserted, State, StateError, Table};
use crate::secret::Secret;

const INDEX_LABEL: &[u8] = b"sceau/v1/state index\0";
const HASH: usize = 16;

/// Where session secrets come from. A secret must be found by its id for as long as there are rows
/// that were sealed under it.
pub trait SessionLookup: Send + Sync {
    /// The one that new values are sealed under; [`StateError::KeyUnavailable`] when there is none.
    fn current(&self) -> Result<(SessionId, Arc<Secret<48>>), StateError>;

    /// An older one; [`StateError::KeyUnavailable`] when it can't be had.
    fn by_id(&self, id: &SessionId) -> Result<Arc<Secret<48>>, StateError>;
}

/// One part of a row's key.
#[derive(Debug, Clone, Copy)]
pub enum Component<'a> {
    /// Stored as a keyed hash of itself and all that stands before it: 16 bytes.
    Name(&'a [u8]),
    /// Stored as it is, so that rows sort by it: 8 bytes.
    Order(u64),
}

/// A row's key as the store sees it. A key made of the first components of another is its prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(Vec<u8>);

impl RowKey {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Seals what goes into a [`State`] and opens what comes out. Expiry times, lengths and which row was
/// written when are not hidden.
pub struct Vault {
    state: Arc<dyn State>,
    sessions: Arc<dyn SessionLookup>,
    index: hmac::Key,
}

impl Vault {
    /// `index` keys the hashes of row keys. It must never change while rows are to be found, so it is
    /// the service secret (or a subsecret of it) and not a session's.
    pub fn new(
        state: Arc<dyn State>,
        index: &Secret<48>,
        sessions: Arc<dyn SessionLookup>,
    ) -> Result<Self, StateError> {
        let index = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA384, index.expose())
            .expand(&[INDEX_LABEL], hmac::HMAC_SHA384)
            .map_err(|_| StateError::KeyUnavailable)?
            .into();
        Ok(Self {
            state,
            sessions,
            index,
        })
    }

    /// The key of a row, or the prefix of several. Each table keeps to one shape of components.
    pub fn key(&self, table: Table, components: &[Component<'_>]) -> RowKey {
        let mut key = Vec::with_capacity(components.len() * HASH);
        for component in components {
            match component {
                Component::Order(number) => key.extend_from_slice(&number.to_be_bytes()),
                Component::Name(name) => {
                    let mut mac = hmac::Context::with_key(&self.index);
                    mac.update(&[table as u8]);
                    mac.update(&(key.len() as u64).to_be_bytes());
                    mac.update(&key);
                    mac.update(name);
                    key.extend_from_slice(&mac.sign().as_ref()[..HASH]);
                }
            }
        }
        RowKey(key)
    }

    pub async fn get(&self, table: Table, key: &RowKey) -> Result<Option<Vec<u8>>, StateError> {
        let sealed = self.state.get(table, &key.0).await?;
        sealed
            .map(|sealed| self.open(table, &key.0, sealed))
            .transpose()
    }

    /// The values in the order of `keys`, by one query.
    pub async fn get_many(
        &self,
        table: Table,
        keys: Vec<RowKey>,
    ) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let keys: Vec<Vec<u8>> = keys.into_iter().map(|key| key.0).collect();
        let values = self.state.get_many(table, &keys).await?;
        keys.iter()
            .zip(values)
            .map(|(key, sealed)| {
                sealed
                    .map(|sealed| self.open(table, key, sealed))
                    .transpose()
            })
            .collect()
    }

    /// Durable when it returns. `expires` in Unix seconds.
    pub async fn put(
        &self,
        table: Table,
        key: &RowKey,
        plain: &[u8],
        expires: Option<u64>,
    ) -> Result<(), StateError> {
        let sealed = self.seal(table, &key.0, plain)?;
        self.state.put(table, &key.0, &sealed, expires).await
    }

    /// As [`State::insert_or_read`]: one caller's value stands, everybody learns which.
    pub async fn insert_or_read(
        &self,
        table: Table,
        key: &RowKey,
        plain: &[u8],
        expires: Option<u64>,
    ) -> Result<Inserted, StateError> {
        let sealed = self.seal(table, &key.0, plain)?;
        let inserted = self.state.insert_or_read(table, &key.0, &sealed, expires);
        match inserted.await? {
            Inserted::New => Ok(Inserted::New),
            Inserted::Existing(sealed) => Ok(Inserted::Existing(self.open(table, &key.0, sealed)?)),
        }
    }

    /// At most `limit` rows under `prefix` that come after `after`. One that does not open fails all.
    pub async fn scan(
        &self,
        table: Table,
        prefix: &RowKey,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<(RowKey, Vec<u8>)>, StateError> {
        let after = after.map(RowKey::as_bytes);
        let rows = self.state.scan(table, &prefix.0, after, limit).await?;
        rows.into_iter()
            .map(|(key, sealed)| {
                let plain = self.open(table, &key, sealed)?;
                Ok((RowKey(key), plain))
            })
            .collect()
    }

    /// Whether there was such a row.
    pub async fn delete(&self, table: Table, key: &RowKey) -> Result<bool, StateError> {
        self.state.delete(table, &key.0).await
    }

    /// How many rows there were.
    pub async fn delete_prefix(&self, table: Table, prefix: &RowKey) -> Result<u64, StateError> {
        self.state.delete_prefix(table, &prefix.0).await
    }

    /// Seals a small value that a client carries and brings back (an upload id), as text safe in URLs. `place` is
    /// what it belongs to.
    pub fn seal_handle(&self, place: &[u8], plain: &[u8]) -> Result<String, StateError> {
        Ok(URL_SAFE_NO_PAD.encode(self.seal(Table::Handle, place, plain)?))
    }

    /// Opens what [`seal_handle`](Self::seal_handle) made for the same place.
    pub fn open_handle(&self, place: &[u8], text: &str) -> Result<Vec<u8>, StateError> {
        let sealed = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| StateError::Damaged)?;
        self.open(Table::Handle, place, sealed)
    }

    fn seal(&self, table: Table, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, StateError> {
        let (id, secret) = self.sessions.current()?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| StateError::Randomness)?;
        value::seal((&id, &secret), &random, (table, key), plain)
    }

    fn open(&self, table: Table, key: &[u8], sealed: Vec<u8>) -> Result<Vec<u8>, StateError> {
        let secret = self.sessions.by_id(&value::session_of(&sealed)?)?;
        value::open(&secret, (table, key), sealed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::Component::{Name, Order};
    use super::*;
    use crate::state::SqliteState;

    struct Sessions(Mutex<Vec<u8>>);

    impl SessionLookup for Sessions {
        fn current(&self) -> Result<(SessionId, Arc<Secret<48>>), StateError> {
            let last = self.0.lock().unwrap().last().copied();
            let id = [last.ok_or(StateError::KeyUnavailable)?; 16];
            Ok((id, self.by_id(&id)?))
        }

        fn by_id(&self, id: &SessionId) -> Result<Arc<Secret<48>>, StateError> {
            match self.0.lock().unwrap().contains(&id[0]) {
                true => Ok(Arc::new(Secret::from_slice(&[id[0]; 48]).unwrap())),
                false => Err(StateError::KeyUnavailable),
            }
        }
    }

    fn vault() -> (Arc<SqliteState>, Arc<Sessions>, Vault) {
        let state = Arc::new(SqliteState::in_memory().unwrap());
        let sessions = Arc::new(Sessions(Mutex::new(vec![1])));
        let index = Secret::from_slice(&[9; 48]).unwrap();
        let vault = Vault::new(state.clone(), &index, sessions.clone()).unwrap();
        (state, sessions, vault)
    }

    #[tokio::test]
    async fn rows_outlive_a_rotation_and_not_their_secret() {
        let (_, sessions, vault) = vault();
        let key = vault.key(Table::Upload, &[Name(b"bucket"), Name(b"upload")]);
        vault.put(Table::Upload, &key, b"v", None).await.unwrap();
        sessions.0.lock().unwrap().push(2);
        let read = vault.get(Table::Upload, &key).await;
        assert_eq!(read, Ok(Some(b"v".to_vec())));
        sessions.0.lock().unwrap().remove(0);
        let read = vault.get(Table::Upload, &key).await;
        assert_eq!(read, Err(StateError::KeyUnavailable));
        let inserted = vault.insert_or_read(Table::Upload, &key, b"w", None).await;
        assert_eq!(inserted, Err(StateError::KeyUnavailable));
        let prefix = vault.key(Table::Upload, &[]);
        let scanned = vault.scan(Table::Upload, &prefix, None, 9).await;
        assert_eq!(scanned, Err(StateError::KeyUnavailable));
        sessions.0.lock().unwrap().clear();
        let written = vault.put(Table::Upload, &key, b"w", None).await;
        assert_eq!(written, Err(StateError::KeyUnavailable));
    }

    #[tokio::test]
    async fn a_row_altered_or_moved_is_an_error() {
        let (state, _, vault) = vault();
        let key = vault.key(Table::Alias, &[Name(b"etag")]);
        vault.put(Table::Alias, &key, b"v", None).await.unwrap();
        let mut sealed = state
            .get(Table::Alias, key.as_bytes())
            .await
            .unwrap()
            .unwrap();
        let other = vault.key(Table::Alias, &[Name(b"other")]);
        state
            .put(Table::Alias, other.as_bytes(), &sealed, None)
            .await
            .unwrap();
        let moved = vault.get(Table::Alias, &other).await;
        assert_eq!(moved, Err(StateError::Damaged));

        *sealed.last_mut().unwrap() ^= 1;
        state
            .put(Table::Alias, key.as_bytes(), &sealed, None)
            .await
            .unwrap();
        let altered = vault.get_many(Table::Alias, vec![key.clone()]).await;
        assert_eq!(altered, Err(StateError::Damaged));

        state
            .put(Table::Alias, key.as_bytes(), b"", None)
            .await
            .unwrap();
        let emptied = vault.get(Table::Alias, &key).await;
        assert_eq!(emptied, Err(StateError::Damaged));
    }

    #[tokio::test]
    async fn the_loser_of_an_insert_reads_the_winners_value() {
        let (_, _, vault) = vault();
        let key = vault.key(Table::Complete, &[Name(b"upload")]);
        let first = vault.insert_or_read(Table::Complete, &key, b"1", None);
        assert_eq!(first.await, Ok(Inserted::New));
        let second = vault.insert_or_read(Table::Complete, &key, b"2", None);
        assert_eq!(second.await, Ok(Inserted::Existing(b"1".to_vec())));
    }

    #[tokio::test]
    async fn prefixes_hold_together_and_numbers_sort() {
        let (_, _, vault) = vault();
        for number in [300, 2, 10_000] {
            let key = vault.key(Table::Part, &[Name(b"mine"), Order(number), Name(b"etag")]);
            let plain = number.to_be_bytes();
            vault.put(Table::Part, &key, &plain, None).await.unwrap();
        }
        let other = vault.key(Table::Part, &[Name(b"other"), Order(1), Name(b"etag")]);
        vault.put(Table::Part, &other, b"", None).await.unwrap();

        let prefix = vault.key(Table::Part, &[Name(b"mine")]);
        let rows = vault.scan(Table::Part, &prefix, None, 99).await.unwrap();
        let numbers: Vec<_> = rows.iter().map(|row| row.1.clone()).collect();
        assert_eq!(numbers, [2u64, 300, 10_000].map(|n| n.to_be_bytes()));
        let rest = vault.scan(Table::Part, &prefix, Some(&rows[0].0), 1).await;
        assert_eq!(rest.unwrap(), rows[1..2]);
        assert_eq!(vault.delete_prefix(Table::Part, &prefix).await, Ok(3));
        assert!(vault.get(Table::Part, &other).await.unwrap().is_some());
    }

    #[test]
    fn a_key_shows_no_name_and_no_equality_across_prefixes() {
        let (_, _, vault) = vault();
        let key = |table, names: [&[u8]; 2]| vault.key(table, &names.map(Name)).0;
        let one = key(Table::Part, [b"bucket", b"name"]);
        assert!(!one.windows(4).any(|window| window == b"name"));
        assert_ne!(one[16..], key(Table::Part, [b"bucke2", b"name"])[16..]);
        assert_ne!(one[..16], key(Table::Upload, [b"bucket", b"name"])[..16]);
        assert_ne!(one, key(Table::Part, [b"bucketn", b"ame"]));
    }
}
