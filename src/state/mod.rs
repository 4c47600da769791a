//! What must be remembered between requests: uploads, part attempts, completes, ETag aliases, and
//! spooled parts. Losing it loses unfinished multipart uploads and MD5 ETags only.
//!
//! [`State`] is the store and sees sealed values only; [`Vault`] seals what goes in and opens what
//! comes out; [`Spool`] keeps sealed bytes too large for a row.
//!
//! Sealed values can't be altered, moved to another row or read from the disk. Whoever writes to the
//! disk can still delete a row or bring back an older version of it.

mod error;
mod quota;
mod settings;
mod spool;
mod spool_reader;
mod sqlite;
mod value;
mod vault;
mod writer;

use async_trait::async_trait;

pub use error::StateError;
pub use settings::Settings;
pub use spool::{Spool, SpoolReceipt, SpoolWriter, SweptSpools};
pub use spool_reader::SpoolReader;
pub use sqlite::SqliteState;
pub use value::SessionId;
pub use vault::{Component, RowKey, SessionLookup, Vault};

/// The kinds of row. The number is what the database stores; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// A multipart upload.
    Upload = 1,
    /// One attempt of a part.
    Part = 2,
    /// A Complete in progress, or its result.
    Complete = 3,
    /// Upstream ETag to client ETag.
    Alias = 4,
    /// Not a row: a value that a client carries.
    Handle = 5,
    /// A name that a digest stands for at the provider.
    Name = 6,
    /// What an attempt left to be sent with the next fragment.
    Tail = 7,
    /// What is known of an item of a drive.
    Item = 8,
}

impl Table {
    /// Bound into every sealed value; never changed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Part => "part",
            Self::Complete => "complete",
            Self::Alias => "alias",
            Self::Handle => "handle",
            Self::Name => "name",
            Self::Tail => "tail",
            Self::Item => "item",
        }
    }
}

/// What [`State::insert_or_read`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// The caller's value is the row's.
    New,
    /// Another came first; its value.
    Existing(Vec<u8>),
}

/// What [`State::sweep`] or [`State::trim`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub rows: u64,
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// An ordered store of rows, shared by every process that opens the same one.
///
/// A write is durable when its call returns. Times are Unix seconds; an expired row stays readable
/// until it is swept. Dropping a write's future does not undo the write.
#[async_trait]
pub trait State: Send + Sync {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// The values in the order of `keys`, by one query.
    async fn get_many(
        &self,
        table: Table,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StateError>;

    /// Writes or overwrites a row.
    async fn put(
        &self,
        table: Table,
        key: &[u8],
        value: &[u8],
        expires: Option<u64>,
    ) -> Result<(), StateError>;

    /// Writes the row unless there is one; of any number of concurrent callers, one gets
    /// [`Inserted::New`] and the others its value.
    async fn insert_or_read(
        &self,
        table: Table,
        key: &[u8],
        value: &[u8],
        expires: Option<u64>,
    ) -> Result<Inserted, StateError>;

    /// At most `limit` rows whose key starts with `prefix` and comes after `after`, ordered by key.
    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StateError>;

    /// Whether there was such a row.
    async fn delete(&self, table: Table, key: &[u8]) -> Result<bool, StateError>;

    /// How many rows there were.
    async fn delete_prefix(&self, table: Table, prefix: &[u8]) -> Result<u64, StateError>;

    /// Removes the rows that expired at `now` or before.
    async fn sweep(&self, now: u64) -> Result<Swept, StateError>;

    /// Removes the rows of a table that are more than `keep`, of those that expire the ones that expire first. Rows that never
    /// do are neither counted nor removed.
    async fn trim(&self, table: Table, keep: u64) -> Result<Swept, StateError>;
}
