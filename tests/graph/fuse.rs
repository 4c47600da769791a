//! A gateway that dies: after so many steps of its state and of its provider it does nothing any more, wherever it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use sceau::state::{Inserted, Row, State, StateError, Swept, Table};
use tokio::sync::Notify;

#[derive(Default)]
pub struct Fuse {
    /// Steps that are left; below 0: it has died, and whatever goes on is none of its doing.
    left: AtomicI64,
    died: Notify,
}

impl Fuse {
    /// Dies at the n-th step from now on.
    pub fn light(&self, steps: i64) {
        self.left.store(steps, Ordering::SeqCst);
    }

    /// How many steps were left.
    pub fn left(&self) -> i64 {
        self.left.load(Ordering::SeqCst)
    }

    /// How many steps were left before this one.
    fn spend(&self) -> i64 {
        self.left.fetch_sub(1, Ordering::SeqCst)
    }

    /// Never returns at the step at which it dies.
    pub async fn step(&self) {
        if self.spend() == 1 {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    pub async fn died(&self) {
        self.died.notified().await;
    }
}

/// A state in which each operation is two steps: it may be done, or not, when the gateway dies.
pub struct Mortal {
    pub rows: Arc<dyn State>,
    pub fuse: Arc<Fuse>,
    /// Does not die: it fails from then on, each operation before or after it is done.
    pub fails: bool,
}

impl Mortal {
    async fn step(&self) -> Result<(), StateError> {
        if !self.fails {
            self.fuse.step().await;
        } else if self.fuse.spend() <= 1 {
            return Err(StateError::Stopped);
        }
        Ok(())
    }

    async fn both<T>(
        &self,
        done: impl Future<Output = Result<T, StateError>>,
    ) -> Result<T, StateError> {
        self.step().await?;
        let done = done.await;
        self.step().await?;
        done
    }
}

#[async_trait]
impl State for Mortal {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.both(self.rows.get(table, key)).await
    }

    async fn get_many(
        &self,
        table: Table,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        self.both(self.rows.get_many(table, keys)).await
    }

    async fn put(
        &self,
        table: Table,
        key: &[u8],
        value: &[u8],
        expires: Option<u64>,
    ) -> Result<(), StateError> {
        self.both(self.rows.put(table, key, value, expires)).await
    }

    async fn insert_or_read(
        &self,
        table: Table,
        key: &[u8],
        value: &[u8],
        expires: Option<u64>,
    ) -> Result<Inserted, StateError> {
        let done = self.rows.insert_or_read(table, key, value, expires);
        self.both(done).await
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StateError> {
        self.both(self.rows.scan(table, prefix, after, limit)).await
    }

    async fn delete(&self, table: Table, key: &[u8]) -> Result<bool, StateError> {
        self.both(self.rows.delete(table, key)).await
    }

    async fn delete_prefix(&self, table: Table, prefix: &[u8]) -> Result<u64, StateError> {
        self.both(self.rows.delete_prefix(table, prefix)).await
    }

    async fn sweep(&self, now: u64) -> Result<Swept, StateError> {
        self.both(self.rows.sweep(now)).await
    }

    async fn trim(&self, table: Table, keep: u64) -> Result<Swept, StateError> {
        self.both(self.rows.trim(table, keep)).await
    }
}
