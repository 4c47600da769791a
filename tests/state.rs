//! The state as several processes see it: races, kill -9, and what the disk shows.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use sceau::seal::SealedBytes;
use sceau::secret::Secret;
use sceau::state::{
    Component, Inserted, SessionId, SessionLookup, Settings, Spool, SqliteState, State, StateError,
    Table, Vault,
};
use tokio::task::JoinSet;

const DIRECTORY: &str = "STATE_TEST_DIRECTORY";
const NAME: &str = "STATE_TEST_NAME";
const CONTENDED: u32 = 300;

/// Runs one test of this binary as another process, on the state in `directory`.
fn process(test: &str, directory: &Path, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DIRECTORY, directory)
        .env(NAME, name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lines that the process marked as its own, without the mark.
fn reports(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.filter_map(|line| Some(line.ok()?.split_once("report: ")?.1.to_string()))
}

/// The directory that a parent gave, or one of our own when the test runs by itself.
fn given_directory(own: &tempfile::TempDir) -> (PathBuf, bool) {
    match std::env::var_os(DIRECTORY) {
        Some(directory) => (directory.into(), true),
        None => (own.path().to_path_buf(), false),
    }
}

/// By itself: 300 inserts, all new. As a child: the same against its rivals, reporting each outcome.
#[tokio::test]
async fn inserts_contended_rows() {
    let own = tempfile::tempdir().unwrap();
    let (directory, child) = given_directory(&own);
    let name = std::env::var(NAME).unwrap_or_default();
    let state = SqliteState::open(&directory).unwrap();
    for number in 0..CONTENDED {
        let key = number.to_be_bytes();
        let inserted = state.insert_or_read(Table::Complete, &key, name.as_bytes(), None);
        match inserted.await.unwrap() {
            Inserted::New => println!("report: {number} new {name}"),
            Inserted::Existing(winner) => {
                assert!(child, "nobody else writes here");
                println!(
                    "report: {number} lost {}",
                    String::from_utf8(winner).unwrap()
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_processes_one_inserts_and_all_read_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c"];
    let mut children = names.map(|name| process("inserts_contended_rows", directory.path(), name));
    let mut winners: HashMap<String, Vec<String>> = HashMap::new();
    let mut seen: HashMap<String, Vec<String>> = HashMap::new();
    for child in &mut children {
        for report in reports(child) {
            let fields: Vec<&str> = report.split(' ').collect();
            let [number, outcome, value] = fields[..] else {
                panic!("unexpected report {report}");
            };
            if outcome == "new" {
                let new = winners.entry(number.to_string()).or_default();
                new.push(value.to_string());
            }
            let values = seen.entry(number.to_string()).or_default();
            values.push(value.to_string());
        }
        assert!(child.wait().unwrap().success());
    }
    let state = SqliteState::open(directory.path()).unwrap();
    for number in 0..CONTENDED {
        let winner = &winners[&number.to_string()];
        assert_eq!(winner.len(), 1, "row {number} is new once");
        assert_eq!(seen[&number.to_string()], vec![winner[0].clone(); 3]);
        let row = state.get(Table::Complete, &number.to_be_bytes()).await;
        assert_eq!(row.unwrap().unwrap(), winner[0].as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_handles_one_inserts() {
    let directory = tempfile::tempdir().unwrap();
    let handles = [(); 2].map(|()| Arc::new(SqliteState::open(directory.path()).unwrap()));
    for number in 0..50u8 {
        let mut race = JoinSet::new();
        for rival in 0..8u8 {
            let state = Arc::clone(&handles[usize::from(rival) % 2]);
            race.spawn(async move {
                let (key, value) = ([number], [rival]);
                let inserted = state.insert_or_read(Table::Complete, &key, &value, None);
                match inserted.await.unwrap() {
                    Inserted::New => (true, vec![rival]),
                    Inserted::Existing(winner) => (false, winner),
                }
            });
        }
        let outcomes = race.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.0).count(), 1);
        assert!(outcomes.iter().all(|outcome| outcome.1 == outcomes[0].1));
    }
}

/// By itself: 200 rows. As a child: rows and spools for ever, reporting each once acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_until_it_is_killed() {
    let own = tempfile::tempdir().unwrap();
    let (directory, child) = given_directory(&own);
    let state = Arc::new(SqliteState::open(&directory).unwrap());
    let spool = Arc::new(Spool::open(&Settings::new(&directory)).unwrap());
    let mut tasks = JoinSet::new();
    for task in 0..4u32 {
        let (state, spool) = (Arc::clone(&state), Arc::clone(&spool));
        tasks.spawn(async move {
            let last = if child { u32::MAX } else { 50 };
            for number in 0..last {
                let mut writer = spool.create(b"upload", "tenant").await.unwrap();
                let sealed: bytes::Bytes = vec![task as u8; 5000].into();
                writer.write(SealedBytes::from_seal(sealed)).await.unwrap();
                let receipt = writer.finish().await.unwrap().encode();
                let key = format!("{task}/{number}");
                let put = state.put(Table::Part, key.as_bytes(), &receipt, None);
                put.await.unwrap();
                println!("report: {key}");
            }
        });
    }
    tasks.join_all().await;
    let rows = state.scan(Table::Part, b"", None, 999).await.unwrap();
    assert_eq!(rows.len(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_kill() {
    for acknowledged in [1, 7, 40, 150] {
        let directory = tempfile::tempdir().unwrap();
        let mut child = process("writes_until_it_is_killed", directory.path(), "");
        let mut reports = reports(&mut child);
        let mut keys: Vec<String> = reports.by_ref().take(acknowledged).collect();
        assert_eq!(keys.len(), acknowledged);
        child.kill().unwrap();
        keys.extend(reports);
        child.wait().unwrap();

        let state = SqliteState::open(directory.path()).unwrap();
        state.check().await.unwrap();
        let spool = Spool::open(&Settings::new(directory.path())).unwrap();
        for key in keys {
            let row = state.get(Table::Part, key.as_bytes()).await.unwrap();
            let receipt = row.unwrap_or_else(|| panic!("{key} was acknowledged and is gone"));
            let receipt = receipt.as_slice().try_into().unwrap();
            let receipt = sceau::state::SpoolReceipt::decode(receipt);
            let mut reader = spool.read(&receipt).await.unwrap();
            let chunk = reader.next().await.unwrap().unwrap();
            assert_eq!(chunk.into_bytes().len(), 5000);
            assert_eq!(reader.next().await, Ok(None));
        }
    }
}

struct OneSession;

impl SessionLookup for OneSession {
    fn current(&self) -> Result<(SessionId, Arc<Secret<48>>), StateError> {
        Ok(([1; 16], self.by_id(&[1; 16])?))
    }

    fn by_id(&self, _: &SessionId) -> Result<Arc<Secret<48>>, StateError> {
        let secret = Secret::from_slice(b"PLANTEDSESSIONSECRETPLANTEDSESSIONSECRETPLANTEDS");
        Ok(Arc::new(secret.unwrap()))
    }
}

/// Which of the markers the files under `directory` hold, as they are or in hexadecimal.
fn found(directory: &Path, markers: &[&[u8]]) -> Vec<String> {
    let mut hits = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            hits.extend(found(&path, markers));
            continue;
        }
        let mut bytes = path.as_os_str().as_encoded_bytes().to_vec();
        bytes.extend(std::fs::read(&path).unwrap());
        for marker in markers {
            let hex = hex::encode(marker).into_bytes();
            for form in [*marker, &hex] {
                if bytes.windows(form.len()).any(|window| window == form) {
                    hits.push(format!("{} in {}", form.escape_ascii(), path.display()));
                }
            }
        }
    }
    hits
}

#[tokio::test]
async fn the_disk_shows_no_name_no_value_and_no_secret() {
    const VALUE: &[u8] = b"PLANTEDVALUE";
    const BUCKET: &[u8] = b"PLANTEDBUCKET";
    const KEY: &[u8] = b"PLANTEDKEY";
    let markers = [VALUE, BUCKET, KEY, b"PLANTED"];
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::new(directory.path());
    let state = Arc::new(SqliteState::open(&settings.directory).unwrap());
    let index = Secret::from_slice(b"PLANTEDINDEXSECRETPLANTEDINDEXSECRETPLANTEDINDEX").unwrap();
    let vault = Vault::new(state.clone(), &index, Arc::new(OneSession)).unwrap();
    let names = [Component::Name(BUCKET), Component::Name(KEY)];
    for table in [Table::Upload, Table::Part, Table::Complete, Table::Alias] {
        let key = vault.key(table, &names);
        vault.put(table, &key, VALUE, Some(5)).await.unwrap();
        let read = vault.get(table, &key).await.unwrap();
        assert_eq!(read.as_deref(), Some(VALUE));
    }
    let spool = Spool::open(&settings).unwrap();
    let mut writer = spool.create(BUCKET, "PLANTEDTENANT").await.unwrap();
    let sealed = SealedBytes::from_seal(vec![7; 9]);
    writer.write(sealed).await.unwrap();
    assert_eq!(found(directory.path(), &markers), Vec::<String>::new());
    writer.finish().await.unwrap();
    assert_eq!(found(directory.path(), &markers), Vec::<String>::new());

    // the search finds what a state without the vault would leave, in the WAL and in the database
    state.put(Table::Part, KEY, VALUE, None).await.unwrap();
    let in_wal = found(directory.path(), &markers).join("\n");
    assert!(in_wal.contains("PLANTEDKEY") && in_wal.contains("PLANTEDVALUE"));
    assert!(in_wal.contains("state.db-wal"));
    drop(vault);
    drop(state);
    let in_database = found(directory.path(), &markers).join("\n");
    assert!(in_database.contains("PLANTEDVALUE in") && !in_database.contains("state.db-wal"));
}
