//! The one thread that writes: whatever waits is committed together, so that one sync serves many
//! callers, and nobody is answered before the commit.

use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::StateError;

/// Callers beyond this wait for their turn.
const QUEUE: usize = 1024;
/// Writes in one commit.
const BATCH: usize = 256;

type Settle = Box<dyn FnOnce(Result<(), StateError>) + Send>;
type Job = Box<dyn FnOnce(Result<&Connection, StateError>) -> Settle + Send>;

/// A handle on the writing thread, which ends with the handle.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StateError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("state-writer".into())
            .spawn(move || serve(&connection, queue))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Runs one statement's worth of work; returns once it is committed and synced.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let done = connection.and_then(|connection| Ok(work(connection)?));
            Box::new(move |committed| {
                let outcome = done.and_then(|value| committed.map(|()| value));
                // a caller that went away needs no answer
                reply.send(outcome).ok();
            })
        });
        let jobs = self.jobs.as_ref().ok_or(StateError::Stopped)?;
        jobs.send(job).await.map_err(|_| StateError::Stopped)?;
        answer.await.map_err(|_| StateError::Stopped)?
    }
}

impl Drop for Writer {
    /// Waits for the writes in flight, so that the database is closed when its owner is gone.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // a panic in the thread has already answered its callers with `Stopped`
            thread.join().ok();
        }
    }
}

fn serve(connection: &Connection, mut queue: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(first) = queue.blocking_recv() {
        batch.push(first);
        while batch.len() < BATCH {
            let Ok(next) = queue.try_recv() else { break };
            batch.push(next);
        }
        commit(connection, batch.drain(..));
    }
}

fn commit(connection: &Connection, jobs: impl Iterator<Item = Job>) {
    let mut usable = connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(StateError::from);
    let mut settles = Vec::new();
    for job in jobs {
        settles.push(job(usable.clone().map(|()| connection)));
        // some failures (a full disk, say) end the whole transaction: then nothing of it stands
        if usable.is_ok() && connection.is_autocommit() {
            usable = Err(StateError::Io(
                "the transaction was rolled back".to_string(),
            ));
        }
    }
    let committed = usable.and_then(|()| Ok(connection.execute_batch("COMMIT")?));
    if committed.is_err() && !connection.is_autocommit() {
        // if this fails too, the next BEGIN says so
        connection.execute_batch("ROLLBACK").ok();
    }
    for settle in settles {
        settle(committed.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_that_fails_is_answered_as_one() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "PRAGMA foreign_keys = ON; CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);",
        )
        .unwrap();
        let writer = Writer::start(db).unwrap();
        let insert =
            |id: i64| writer.run(move |db| db.execute("INSERT INTO child (id) VALUES (?1)", [id]));
        let refused = insert(1).await.unwrap_err();
        assert_eq!(refused.name(), "state-io");
        let parent = writer.run(|db| db.execute("INSERT INTO parent (id) VALUES (2)", []));
        parent.await.unwrap();
        insert(2).await.unwrap();
        let count = |db: &Connection| {
            db.query_row("SELECT count(*) FROM child", [], |row| row.get::<_, i64>(0))
        };
        assert_eq!(writer.run(count).await, Ok(1));
    }

    #[tokio::test]
    async fn a_lock_that_stays_is_named_and_later_writes_succeed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (a)").unwrap();
        let db = Connection::open(&path).unwrap();
        db.busy_timeout(std::time::Duration::ZERO).unwrap();
        let writer = Writer::start(db).unwrap();
        let insert = || writer.run(|db| db.execute("INSERT INTO t VALUES (1)", []));
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(insert().await, Err(StateError::Locked));
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(insert().await, Ok(1));
    }
}
