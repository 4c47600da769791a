//! The state in one SQLite file: WAL, synced at every commit, shared by the processes that open it.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params, params_from_iter};
use tokio::sync::Semaphore;

use super::writer::Writer;
use super::{Inserted, Row, State, StateError, Swept, Table};

const FILE: &str = "state.db";
const OPEN_LOCK: &str = "state.lock";
/// "SCST", in the file's header: another program's database is refused, not changed.
const APPLICATION: i64 = 0x5343_5354;
const SCHEMA: i64 = 1;
const BUSY: Duration = Duration::from_secs(10);
const READERS: usize = 4;
/// Keys in one query; SQLite allows 32,766 parameters.
const KEYS_A_QUERY: usize = 30_000;
/// Rows that one transaction of a sweep removes, so that writers don't wait long.
const ROWS_A_SWEEP: u64 = 1000;

const CREATE: &str = "
    CREATE TABLE state (
        kind INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, expires INTEGER,
        PRIMARY KEY (kind, key)
    ) WITHOUT ROWID;
    CREATE INDEX state_expiry ON state (expires) WHERE expires IS NOT NULL;
";

/// [`State`] in SQLite. One connection writes, a few read.
pub struct SqliteState {
    writer: Writer,
    /// None when the database is in memory, which its one connection alone can see.
    readers: Option<Arc<Readers>>,
}

impl SqliteState {
    /// Opens or makes `state.db` in `directory` (made with mode 0700 when absent). Blocks.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let path = directory.join(FILE);
        // SQLite does not wait for its turn while the journal mode changes
        let turn = private_file(&directory.join(OPEN_LOCK))?;
        rustix::fs::flock(&turn, rustix::fs::FlockOperation::LockExclusive)
            .map_err(std::io::Error::from)?;
        private_file(&path)?;
        let connection = connect(&path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        prepare(&connection)?;
        File::open(directory)?.sync_all()?;
        let readers = Readers::new(path)?;
        Ok(Self {
            writer: Writer::start(connection)?,
            readers: Some(Arc::new(readers)),
        })
    }

    /// A state that lasts as long as the value.
    pub fn in_memory() -> Result<Self, StateError> {
        let connection = Connection::open_in_memory()?;
        prepare(&connection)?;
        Ok(Self {
            writer: Writer::start(connection)?,
            readers: None,
        })
    }

    /// Reads the whole database and checks its structure; slow when it is large.
    pub async fn check(&self) -> Result<(), StateError> {
        let verdict: String = self
            .read(|db| db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)))
            .await?;
        match verdict.as_str() {
            "ok" => Ok(()),
            _ => Err(StateError::Corrupt(verdict)),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        match &self.readers {
            Some(readers) => readers.run(work).await,
            None => self.writer.run(work).await,
        }
    }
}

fn private_file(path: &Path) -> Result<File, StateError> {
    Ok(OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?)
}

fn connect(path: &Path) -> Result<Connection, StateError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(connection)
}

/// Makes the schema in an empty database; refuses one that is not ours or is newer than we are.
fn prepare(connection: &Connection) -> Result<(), StateError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id")?;
    let found = pragma("user_version")?;
    if application == APPLICATION {
        return match found {
            SCHEMA => Ok(()),
            found if found > SCHEMA => Err(StateError::NewerSchema {
                found,
                known: SCHEMA,
            }),
            found => Err(StateError::Corrupt(format!("unknown schema {found}"))),
        };
    }
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != 0 || found != 0 || tables != 0 {
        return Err(StateError::Corrupt(
            "the file is another program's database".to_string(),
        ));
    }
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {CREATE}
         PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; COMMIT;"
    ))?;
    Ok(())
}

/// Connections that read, opened when first needed.
struct Readers {
    path: PathBuf,
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn new(path: PathBuf) -> Result<Self, StateError> {
        let first = Self::connect(&path)?;
        Ok(Self {
            path,
            turns: Arc::new(Semaphore::new(READERS)),
            idle: Mutex::new(vec![first]),
        })
    }

    fn connect(path: &Path) -> Result<Connection, StateError> {
        let connection = connect(path)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| StateError::Stopped)?;
        let readers = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let idle = readers.idle().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => Self::connect(&readers.path)?,
            };
            let done = work(&connection)?;
            readers.idle().push(connection);
            Ok(done)
        });
        task.await.map_err(|_| StateError::Stopped)?
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // pushing and popping leave the list whole even when a thread panics
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first key after all those that start with `prefix`; `None` when nothing can come after.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn seconds(expires: Option<u64>) -> Option<i64> {
    expires.map(|at| i64::try_from(at).unwrap_or(i64::MAX))
}

fn select(
    db: &Connection,
    kind: i64,
    keys: &[Vec<u8>],
    values: &mut HashMap<Vec<u8>, Vec<u8>>,
) -> rusqlite::Result<()> {
    let holes = vec!["?"; keys.len()].join(",");
    let mut statement = db.prepare(&format!(
        "SELECT key, value FROM state WHERE kind = {kind} AND key IN ({holes})"
    ))?;
    let mut rows = statement.query(params_from_iter(keys))?;
    while let Some(row) = rows.next()? {
        values.insert(row.get(0)?, row.get(1)?);
    }
    Ok(())
}

fn value(row: &SqlRow<'_>) -> rusqlite::Result<Vec<u8>> {
    row.get(0)
}

#[async_trait]
impl State for SqliteState {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let key = key.to_vec();
        self.read(move |db| {
            db.prepare_cached("SELECT value FROM state WHERE kind = ?1 AND key = ?2")?
                .query_row(params![table as i64, key], value)
                .optional()
        })
        .await
    }

    async fn get_many(
        &self,
        table: Table,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let keys = keys.to_vec();
        self.read(move |db| {
            let mut values = HashMap::with_capacity(keys.len());
            for some in keys.chunks(KEYS_A_QUERY) {
                select(db, table as i64, some, &mut values)?;
            }
            Ok(keys.iter().map(|key| values.get(key).cloned()).collect())
        })
        .await
    }

    async fn put(
        &self,
        table: Table,
        key: &[u8],
        value: &[u8],
        expires: Option<u64>,
    ) -> Result<(), StateError> {
        let (key, value) = (key.to_vec(), value.to_vec());
        self.writer
            .run(move |db| {
                db.prepare_cached(
                    "INSERT INTO state (kind, key, value, expires) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET value = excluded.value, expires = excluded.expires",
                )?
                .execute(params![table as i64, key, value, seconds(expires)])?;
                Ok(())
            })
            .await
    }

    async fn insert_or_read(
        &self,
        table: Table,
        key: &[u8],
        new: &[u8],
        expires: Option<u64>,
    ) -> Result<Inserted, StateError> {
        let (key, new) = (key.to_vec(), new.to_vec());
        self.writer
            .run(move |db| {
                let inserted = db
                    .prepare_cached(
                        "INSERT INTO state (kind, key, value, expires) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![table as i64, key, new, seconds(expires)])?;
                if inserted == 1 {
                    return Ok(Inserted::New);
                }
                db.prepare_cached("SELECT value FROM state WHERE kind = ?1 AND key = ?2")?
                    .query_row(params![table as i64, key], value)
                    .map(Inserted::Existing)
            })
            .await
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StateError> {
        let (prefix, after) = (prefix.to_vec(), after.map(<[u8]>::to_vec));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |db| {
            db.prepare_cached(
                "SELECT key, value FROM state WHERE kind = ?1 AND key >= ?2
                 AND (?3 IS NULL OR key < ?3) AND (?4 IS NULL OR key > ?4)
                 ORDER BY key LIMIT ?5",
            )?
            .query_map(
                params![table as i64, prefix, end_of(&prefix), after, limit],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .collect()
        })
        .await
    }

    async fn delete(&self, table: Table, key: &[u8]) -> Result<bool, StateError> {
        let key = key.to_vec();
        self.writer
            .run(move |db| {
                let deleted = db
                    .prepare_cached("DELETE FROM state WHERE kind = ?1 AND key = ?2")?
                    .execute(params![table as i64, key])?;
                Ok(deleted > 0)
            })
            .await
    }

    async fn delete_prefix(&self, table: Table, prefix: &[u8]) -> Result<u64, StateError> {
        let prefix = prefix.to_vec();
        self.writer
            .run(move |db| {
                db.prepare_cached(
                    "DELETE FROM state WHERE kind = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3)",
                )?
                .execute(params![table as i64, prefix, end_of(&prefix)])
                .map(|deleted| deleted as u64)
            })
            .await
    }

    async fn sweep(&self, now: u64) -> Result<Swept, StateError> {
        let mut swept = Swept::default();
        loop {
            let rows = self
                .writer
                .run(move |db| {
                    db.prepare_cached(
                        "DELETE FROM state WHERE (kind, key) IN
                         (SELECT kind, key FROM state WHERE expires <= ?1 LIMIT ?2)",
                    )?
                    .execute(params![seconds(Some(now)), ROWS_A_SWEEP as i64])
                    .map(|deleted| deleted as u64)
                })
                .await?;
            swept.rows += rows;
            if rows < ROWS_A_SWEEP {
                return Ok(swept);
            }
        }
    }

    async fn trim(&self, table: Table, keep: u64) -> Result<Swept, StateError> {
        // the index holds all that is asked for, and in the order of removal
        let counted: i64 = self
            .read(move |db| {
                db.prepare_cached(
                    "SELECT count(*) FROM state INDEXED BY state_expiry
                     WHERE expires IS NOT NULL AND kind = ?1",
                )?
                .query_row(params![table as i64], |row| row.get(0))
            })
            .await?;
        let mut surplus = u64::try_from(counted).unwrap_or(0).saturating_sub(keep);
        let mut swept = Swept::default();
        while surplus > 0 {
            let some = surplus.min(ROWS_A_SWEEP);
            let rows = self
                .writer
                .run(move |db| {
                    db.prepare_cached(
                        "DELETE FROM state WHERE (kind, key) IN
                         (SELECT kind, key FROM state INDEXED BY state_expiry
                          WHERE expires IS NOT NULL AND kind = ?1 ORDER BY expires LIMIT ?2)",
                    )?
                    .execute(params![table as i64, some as i64])
                    .map(|deleted| deleted as u64)
                })
                .await?;
            swept.rows += rows;
            if rows < some {
                break;
            }
            surplus -= rows;
        }
        Ok(swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn both(test: impl AsyncFn(SqliteState)) {
        let directory = tempfile::tempdir().unwrap();
        test(SqliteState::open(directory.path()).unwrap()).await;
        test(SqliteState::in_memory().unwrap()).await;
    }

    #[tokio::test]
    async fn rows_come_and_go() {
        both(async |state| {
            assert_eq!(state.get(Table::Part, b"a").await.unwrap(), None);
            state.put(Table::Part, b"a", b"1", None).await.unwrap();
            state.put(Table::Part, b"a", b"2", Some(5)).await.unwrap();
            assert_eq!(
                state.get(Table::Part, b"a").await.unwrap(),
                Some(b"2".to_vec())
            );
            assert_eq!(state.get(Table::Upload, b"a").await.unwrap(), None);
            assert!(state.delete(Table::Part, b"a").await.unwrap());
            assert!(!state.delete(Table::Part, b"a").await.unwrap());
        })
        .await;
    }

    #[tokio::test]
    async fn the_first_insert_wins() {
        both(async |state| {
            let first = state
                .insert_or_read(Table::Complete, b"k", b"1", None)
                .await;
            assert_eq!(first.unwrap(), Inserted::New);
            let second = state
                .insert_or_read(Table::Complete, b"k", b"2", None)
                .await;
            assert_eq!(second.unwrap(), Inserted::Existing(b"1".to_vec()));
        })
        .await;
    }

    #[tokio::test]
    async fn scans_are_ordered_and_keep_to_their_prefix() {
        both(async |state| {
            let keys: [&[u8]; 6] = [b"", b"a", b"a\xff", b"a\xff\xff\x01", b"b", b"\xff\xff"];
            for key in keys {
                state.put(Table::Part, key, key, None).await.unwrap();
            }
            state.put(Table::Upload, b"a1", b"", None).await.unwrap();
            let scan = async |prefix: &[u8], after: Option<&[u8]>, limit| {
                let rows = state.scan(Table::Part, prefix, after, limit).await.unwrap();
                rows.into_iter().map(|row| row.0).collect::<Vec<_>>()
            };
            assert_eq!(scan(b"", None, 99).await, keys);
            assert_eq!(scan(b"a", None, 99).await, keys[1..4]);
            assert_eq!(scan(b"a\xff", None, 99).await, keys[2..4]);
            assert_eq!(scan(b"\xff", None, 99).await, keys[5..]);
            assert_eq!(scan(b"a", Some(b"a"), 1).await, keys[2..3]);
            assert_eq!(state.delete_prefix(Table::Part, b"a").await.unwrap(), 3);
            assert_eq!(state.delete_prefix(Table::Part, b"\xff").await.unwrap(), 1);
            assert_eq!(scan(b"", None, 99).await, [b"".to_vec(), b"b".to_vec()]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_sweep_takes_what_expired_and_nothing_else() {
        both(async |state| {
            let state = Arc::new(state);
            let mut writes = tokio::task::JoinSet::new();
            for number in 0..2500u32 {
                let state = Arc::clone(&state);
                let expires = Some(u64::from(number % 2) * 100 + 100);
                writes.spawn(async move {
                    let key = number.to_be_bytes();
                    state.put(Table::Part, &key, b"v", expires).await
                });
            }
            while let Some(written) = writes.join_next().await {
                written.unwrap().unwrap();
            }
            state.put(Table::Alias, b"kept", b"v", None).await.unwrap();
            assert_eq!(state.sweep(99).await.unwrap(), Swept { rows: 0 });
            assert_eq!(state.sweep(100).await.unwrap(), Swept { rows: 1250 });
            assert_eq!(state.sweep(u64::MAX).await.unwrap(), Swept { rows: 1250 });
            assert!(state.get(Table::Alias, b"kept").await.unwrap().is_some());
        })
        .await;
    }

    #[tokio::test]
    async fn a_trim_takes_what_expires_first_of_one_table() {
        both(async |state| {
            let put = async |table, number: u32, expires| {
                let key = number.to_be_bytes();
                state.put(table, &key, b"v", expires).await.unwrap();
            };
            for number in 0..2300 {
                put(Table::Alias, number, Some(10_000 - u64::from(number))).await;
            }
            put(Table::Alias, 9000, None).await;
            put(Table::Part, 0, Some(1)).await;
            let trim = async |keep| state.trim(Table::Alias, keep).await.unwrap().rows;
            assert_eq!(trim(2300).await, 0);
            assert_eq!(trim(100).await, 2200);
            assert_eq!(trim(100).await, 0);
            let left = state.scan(Table::Alias, b"", None, 9999).await.unwrap();
            let left: Vec<_> = left.into_iter().map(|row| row.0).collect();
            let kept: Vec<_> = (0..100)
                .chain([9000])
                .map(|n: u32| n.to_be_bytes())
                .collect();
            assert_eq!(left, kept);
            assert!(state.get(Table::Part, &[0; 4]).await.unwrap().is_some());
            // written anew, it is among the last to go
            put(Table::Alias, 99, Some(20_000)).await;
            assert_eq!(trim(1).await, 99);
            assert!(
                state
                    .get(Table::Alias, &[0, 0, 0, 99])
                    .await
                    .unwrap()
                    .is_some()
            );
        })
        .await;
    }

    #[tokio::test]
    async fn a_thousand_aliases_take_one_query() {
        let directory = tempfile::tempdir().unwrap();
        let state = Arc::new(SqliteState::open(directory.path()).unwrap());
        let keys: Vec<Vec<u8>> = (0..1000u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let mut writes = tokio::task::JoinSet::new();
        for key in keys.clone().into_iter().filter(|key| key[3] % 2 == 0) {
            let state = Arc::clone(&state);
            writes.spawn(async move { state.put(Table::Alias, &key, &key, None).await });
        }
        while let Some(written) = writes.join_next().await {
            written.unwrap().unwrap();
        }
        let found = state.get_many(Table::Alias, &keys).await.unwrap();
        for (key, value) in keys.iter().zip(found) {
            assert_eq!(value.as_ref(), (key[3] % 2 == 0).then_some(key));
        }
        assert!(keys.len() <= KEYS_A_QUERY);
        assert_eq!(state.get_many(Table::Alias, &[]).await.unwrap(), []);
    }

    #[tokio::test]
    async fn newer_and_foreign_databases_are_refused_untouched() {
        let directory = tempfile::tempdir().unwrap();
        drop(SqliteState::open(directory.path()).unwrap());
        let path = directory.path().join(FILE);
        let db = Connection::open(&path).unwrap();
        db.pragma_update(None, "user_version", 7).unwrap();
        drop(db);
        assert_eq!(
            SqliteState::open(directory.path()).err(),
            Some(StateError::NewerSchema { found: 7, known: 1 })
        );

        std::fs::remove_file(&path).unwrap();
        let db = Connection::open(&path).unwrap();
        db.execute_batch("CREATE TABLE theirs (a)").unwrap();
        drop(db);
        let refused = SqliteState::open(directory.path()).err().unwrap();
        assert_eq!(refused.name(), "state-corrupt");

        std::fs::write(&path, [b'x'; 8192]).unwrap();
        let refused = SqliteState::open(directory.path()).err().unwrap();
        assert_eq!(refused.name(), "state-corrupt");
        assert_eq!(std::fs::read(&path).unwrap(), [b'x'; 8192]);
    }

    #[tokio::test]
    async fn a_truncated_database_is_an_error_and_not_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let state = SqliteState::open(directory.path()).unwrap();
        for number in 0..64u8 {
            let value = vec![number; 4000];
            state
                .put(Table::Alias, &[number], &value, None)
                .await
                .unwrap();
        }
        drop(state);
        let path = directory.path().join(FILE);
        let length = std::fs::metadata(&path).unwrap().len();
        for keep in [length - 4096, length / 2, 5000] {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(keep).unwrap();
            drop(file);
            let outcome = match SqliteState::open(directory.path()) {
                Ok(state) => match state.check().await {
                    Ok(()) => panic!("a database cut to {keep} bytes passes"),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            assert_eq!(outcome.name(), "state-corrupt");
        }
    }

    #[tokio::test]
    async fn a_full_disk_fails_the_write_and_keeps_what_was_acknowledged() {
        let directory = tempfile::tempdir().unwrap();
        let state = SqliteState::open(directory.path()).unwrap();
        state.put(Table::Part, b"kept", b"v", None).await.unwrap();
        state
            .writer
            .run(|db| db.pragma_update(None, "max_page_count", 8))
            .await
            .unwrap();
        let large = vec![0; 1 << 20];
        let refused = state.put(Table::Part, b"large", &large, None).await;
        assert_eq!(refused, Err(StateError::DiskFull));
        assert!(state.get(Table::Part, b"kept").await.unwrap().is_some());
        assert_eq!(state.get(Table::Part, b"large").await.unwrap(), None);
        state.put(Table::Part, b"small", b"v", None).await.unwrap();
    }
}
