//! Sealed bytes that wait for their multipart upload's end: one file each, under the state directory.
//!
//! `spool/<tenant>/<upload>-<random>`, all in hexadecimal; `.tmp` is appended while the file is written,
//! by a writer that holds a lock on it.

use std::fs::{DirBuilder, DirEntry, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;

use super::quota::{Quotas, Usage};
use super::spool_reader::SpoolReader;
use super::{Settings, StateError};
use crate::seal::SealedBytes;

const DIRECTORY: &str = "spool";
const UNFINISHED: &str = ".tmp";
/// A file this young may not have its writer's lock yet.
const GRACE: Duration = Duration::from_secs(60);
const ID: usize = 16;
const DIGEST: usize = 32;

/// Finds a finished spool again and proves that it is the one. Kept in the part's sealed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolReceipt {
    tenant: [u8; ID],
    upload: [u8; ID],
    random: [u8; ID],
    length: u64,
    digest: [u8; DIGEST],
}

impl SpoolReceipt {
    /// Length of [`encode`](Self::encode)'s result.
    pub const ENCODED: usize = 3 * ID + 8 + DIGEST;

    /// Sealed bytes in the spool.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn digest(&self) -> &[u8; DIGEST] {
        &self.digest
    }

    pub fn encode(&self) -> [u8; Self::ENCODED] {
        let mut out = [0; Self::ENCODED];
        out[..16].copy_from_slice(&self.tenant);
        out[16..32].copy_from_slice(&self.upload);
        out[32..48].copy_from_slice(&self.random);
        out[48..56].copy_from_slice(&self.length.to_be_bytes());
        out[56..].copy_from_slice(&self.digest);
        out
    }

    pub fn decode(bytes: &[u8; Self::ENCODED]) -> Self {
        fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
            std::array::from_fn(|index| bytes[at + index])
        }
        Self {
            tenant: take(bytes, 0),
            upload: take(bytes, 16),
            random: take(bytes, 32),
            length: u64::from_be_bytes(take(bytes, 48)),
            digest: take(bytes, 56),
        }
    }

    fn path(&self, root: &Path) -> PathBuf {
        let name = format!("{}-{}", hex::encode(self.upload), hex::encode(self.random));
        root.join(hex::encode(self.tenant)).join(name)
    }
}

/// What [`Spool::sweep`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweptSpools {
    pub files: u64,
    pub bytes: u64,
}

/// The spools of one state directory, which several processes may share.
pub struct Spool {
    root: PathBuf,
    age: Duration,
    quotas: Arc<Quotas>,
}

impl Spool {
    /// Makes the spool's directory when absent. Blocks.
    pub fn open(settings: &Settings) -> Result<Self, StateError> {
        let root = settings.directory.join(DIRECTORY);
        private_directory(&root)?;
        Ok(Self {
            root,
            age: settings.spool_age,
            quotas: Arc::new(Quotas::new(settings.spool_quota)),
        })
    }

    /// Begins a spool. `upload` is an identifier; its hash and the tenant's are in the file's name.
    pub async fn create(&self, upload: &[u8], tenant: &str) -> Result<SpoolWriter, StateError> {
        let mut receipt = SpoolReceipt {
            tenant: hashed(tenant.as_bytes()),
            upload: hashed(upload),
            random: [0; ID],
            length: 0,
            digest: [0; DIGEST],
        };
        getrandom::fill(&mut receipt.random).map_err(|_| StateError::Randomness)?;
        let path = receipt.path(&self.root);
        let usage = self.quotas.of(self.tenant(tenant));
        let unfinished = unfinished(&path);
        let file = blocking(move || {
            path.parent().map(private_directory).transpose()?;
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&unfinished)?;
            let unfinished = Unfinished {
                path: unfinished,
                length: 0,
                usage,
            };
            rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
                .map_err(std::io::Error::from)?;
            Ok((file, unfinished, path))
        });
        let (file, unfinished, path) = file.await?;
        Ok(SpoolWriter {
            open: Some((file, digest::Context::new(&digest::SHA256))),
            unfinished,
            path,
            receipt,
        })
    }

    /// Opens a finished spool; one of another length is refused at once, other damage before its last
    /// bytes are given out.
    pub async fn read(&self, receipt: &SpoolReceipt) -> Result<SpoolReader, StateError> {
        let path = receipt.path(&self.root);
        let receipt = receipt.clone();
        blocking(move || SpoolReader::open(&path, &receipt)).await
    }

    /// Removes a spool; that it is gone already is no error.
    pub async fn delete(&self, receipt: &SpoolReceipt) -> Result<(), StateError> {
        let path = receipt.path(&self.root);
        let usage = self.quotas.of(self.root.join(hex::encode(receipt.tenant)));
        blocking(move || {
            usage.freed(remove(&path)?.unwrap_or(0));
            Ok(())
        })
        .await
    }

    /// Removes all spools of an upload, unfinished ones too (their writers then fail): for an abort.
    pub async fn delete_upload(&self, upload: &[u8], tenant: &str) -> Result<(), StateError> {
        let directory = self.tenant(tenant);
        let usage = self.quotas.of(directory.clone());
        let prefix = hex::encode(hashed(upload));
        blocking(move || {
            for entry in entries(&directory)? {
                let entry = entry?;
                if entry
                    .file_name()
                    .as_encoded_bytes()
                    .starts_with(prefix.as_bytes())
                {
                    usage.freed(remove(&entry.path())?.unwrap_or(0));
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes spools older than the settings allow, and unfinished ones that nobody writes any more.
    pub async fn sweep(&self, now: SystemTime) -> Result<SweptSpools, StateError> {
        let (root, age, quotas) = (self.root.clone(), self.age, Arc::clone(&self.quotas));
        blocking(move || {
            let mut swept = SweptSpools::default();
            for tenant in entries(&root)? {
                let directory = tenant?.path();
                let usage = quotas.of(directory.clone());
                for entry in entries(&directory)? {
                    let entry = entry?;
                    if orphaned(&entry, now, age)?
                        && let Some(bytes) = remove(&entry.path())?
                    {
                        swept.files += 1;
                        swept.bytes += bytes;
                        usage.freed(bytes);
                    }
                }
            }
            Ok(swept)
        })
        .await
    }

    fn tenant(&self, tenant: &str) -> PathBuf {
        self.root.join(hex::encode(hashed(tenant.as_bytes())))
    }
}

/// Removes the file when dropped, unless it was finished.
struct Unfinished {
    path: PathBuf,
    length: u64,
    usage: Arc<Usage>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // what can't be removed now is swept later; a finished file has another name
        if std::fs::remove_file(&self.path).is_ok() {
            self.usage.freed(self.length);
        }
    }
}

/// A spool being written. Dropped unfinished, or failed once, it leaves nothing.
pub struct SpoolWriter {
    /// Absent while a write is under way, and for good after one that failed or was cancelled.
    open: Option<(File, digest::Context)>,
    unfinished: Unfinished,
    path: PathBuf,
    receipt: SpoolReceipt,
}

impl SpoolWriter {
    /// Appends; [`StateError::Quota`] when the tenant has no more room.
    pub async fn write(&mut self, sealed: SealedBytes) -> Result<(), StateError> {
        let (mut file, mut hash) = self.take()?;
        let usage = Arc::clone(&self.unfinished.usage);
        let length = sealed.len() as u64;
        let written = blocking(move || {
            let reserved = usage.reserve(length)?;
            file.write_all(sealed.as_bytes())?;
            hash.update(sealed.as_bytes());
            reserved.used();
            Ok((file, hash))
        });
        self.open = Some(written.await?);
        self.unfinished.length += length;
        Ok(())
    }

    /// Makes the spool durable: file, name and directory are synced when it returns.
    pub async fn finish(mut self) -> Result<SpoolReceipt, StateError> {
        let (file, hash) = self.take()?;
        self.receipt.length = self.unfinished.length;
        self.receipt.digest.copy_from_slice(hash.finish().as_ref());
        let (path, receipt) = (self.path.clone(), self.receipt.clone());
        // goes along, so that a cancelled call leaves either the whole file or none
        let unfinished = self.unfinished;
        blocking(move || {
            file.sync_all()?;
            std::fs::rename(&unfinished.path, &path)?;
            if let Some(directory) = path.parent() {
                File::open(directory)?.sync_all()?;
            }
            Ok(receipt)
        })
        .await
    }

    fn take(&mut self) -> Result<(File, digest::Context), StateError> {
        let open = self.open.take();
        open.ok_or_else(|| StateError::Io("the spool's writer failed before".to_string()))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, StateError> {
    let task = tokio::task::spawn_blocking(work);
    task.await.map_err(|_| StateError::Stopped)?
}

/// Makes the directory with mode 0700, durably, unless there is one.
fn private_directory(path: &Path) -> Result<(), StateError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn hashed(name: &[u8]) -> [u8; ID] {
    let whole = digest::digest(&digest::SHA256, name);
    std::array::from_fn(|index| whole.as_ref()[index])
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

fn entries(directory: &Path) -> Result<Vec<std::io::Result<DirEntry>>, StateError> {
    match std::fs::read_dir(directory) {
        Ok(entries) => Ok(entries.collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// The length of the file that was removed; `None` when there was none.
fn remove(path: &Path) -> Result<Option<u64>, StateError> {
    let removed = std::fs::metadata(path).and_then(|data| {
        std::fs::remove_file(path)?;
        Ok(data.len())
    });
    match removed {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn orphaned(entry: &DirEntry, now: SystemTime, age: Duration) -> Result<bool, StateError> {
    let modified = match entry.metadata() {
        Ok(data) => data.modified()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    // a time in the future counts as young
    let old = now.duration_since(modified).unwrap_or(Duration::ZERO);
    if !entry
        .file_name()
        .as_encoded_bytes()
        .ends_with(UNFINISHED.as_bytes())
    {
        return Ok(old > age);
    }
    if old < GRACE {
        return Ok(false);
    }
    let Ok(file) = File::open(entry.path()) else {
        return Ok(false);
    };
    let lock = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    Ok(lock.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(quota: u64) -> (tempfile::TempDir, Settings, Spool) {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(directory.path());
        settings.spool_quota = quota;
        let spool = Spool::open(&settings).unwrap();
        (directory, settings, spool)
    }

    fn sealed(bytes: Vec<u8>) -> SealedBytes {
        SealedBytes::from_seal(bytes)
    }

    async fn write(spool: &Spool, upload: &[u8], bytes: &[u8]) -> Result<SpoolReceipt, StateError> {
        let mut writer = spool.create(upload, "tenant").await?;
        for chunk in bytes.chunks(100_000) {
            writer.write(sealed(chunk.to_vec())).await?;
        }
        writer.finish().await
    }

    async fn read(spool: &Spool, receipt: &SpoolReceipt) -> (Vec<u8>, Result<(), StateError>) {
        let mut out = Vec::new();
        let mut reader = match spool.read(receipt).await {
            Ok(reader) => reader,
            Err(error) => return (out, Err(error)),
        };
        loop {
            match reader.next().await {
                Ok(Some(chunk)) => out.extend_from_slice(&chunk.into_bytes()),
                Ok(None) => return (out, Ok(())),
                Err(error) => {
                    assert_eq!(reader.next().await, Err(error.clone()), "the error stays");
                    return (out, Err(error));
                }
            }
        }
    }

    fn files(settings: &Settings) -> Vec<PathBuf> {
        let root = settings.directory.join(DIRECTORY);
        let tenants = entries(&root).unwrap().into_iter();
        tenants
            .flat_map(|tenant| entries(&tenant.unwrap().path()).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    #[tokio::test]
    async fn gives_back_what_was_written_and_only_once_finished() {
        let (_directory, settings, spool) = spool(10 << 20);
        for length in [0, 1, 262_143, 262_144, 262_145, 1_000_000] {
            let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let receipt = write(&spool, b"upload", &bytes).await.unwrap();
            assert_eq!(receipt.length(), bytes.len() as u64);
            let receipt = SpoolReceipt::decode(&receipt.encode());
            let other_process = Spool::open(&settings).unwrap();
            assert_eq!(read(&other_process, &receipt).await, (bytes, Ok(())));
            spool.delete(&receipt).await.unwrap();
            spool.delete(&receipt).await.unwrap();
            let gone = read(&spool, &receipt).await;
            assert_eq!(gone, (vec![], Err(StateError::SpoolMissing)));
        }
        let mut abandoned = spool.create(b"upload", "tenant").await.unwrap();
        abandoned.write(sealed(vec![1; 10])).await.unwrap();
        assert_eq!(files(&settings).len(), 1);
        drop(abandoned);
        assert_eq!(files(&settings), Vec::<PathBuf>::new());
    }

    #[tokio::test]
    async fn damage_never_reads_as_a_whole_spool() {
        let (_directory, settings, spool) = spool(10 << 20);
        let bytes = vec![5; 600_000];
        let receipt = write(&spool, b"upload", &bytes).await.unwrap();
        let path = files(&settings).remove(0);
        for at in [0, 300_000, 599_999] {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            let (out, outcome) = read(&spool, &receipt).await;
            assert_eq!(outcome, Err(StateError::SpoolDamaged));
            assert!(out.len() < bytes.len());
        }
        for bad in [&bytes[1..], &[&bytes[..], b"x"].concat(), b""] {
            std::fs::write(&path, bad).unwrap();
            let refused = read(&spool, &receipt).await;
            assert_eq!(refused, (vec![], Err(StateError::SpoolDamaged)));
        }
        std::fs::write(&path, &bytes).unwrap();
        let mut reader = spool.read(&receipt).await.unwrap();
        reader.next().await.unwrap();
        std::fs::write(&path, &bytes[..400_000]).unwrap();
        assert_eq!(reader.next().await, Err(StateError::SpoolDamaged));
    }

    #[tokio::test]
    async fn the_quota_is_the_tenants_and_counts_other_processes() {
        let (_directory, settings, spool) = spool(1000);
        let other_process = Spool::open(&settings).unwrap();
        let first = write(&spool, b"one", &[1; 600]).await.unwrap();
        let refused = Err(StateError::Quota { quota: 1000 });
        assert_eq!(write(&spool, b"two", &[1; 401]).await, refused);
        assert_eq!(write(&other_process, b"two", &[1; 401]).await, refused);
        assert_eq!(files(&settings).len(), 1, "the refused ones leave nothing");

        let mut theirs = spool.create(b"one", "another").await.unwrap();
        theirs.write(sealed(vec![1; 1000])).await.unwrap();
        let exact = write(&spool, b"two", &[1; 400]).await.unwrap();
        assert_eq!(write(&spool, b"three", &[1]).await, refused);
        other_process.delete(&first).await.unwrap();
        write(&spool, b"three", &[1; 600]).await.unwrap();
        spool.delete(&exact).await.unwrap();
        write(&spool, b"four", &[1; 400]).await.unwrap();
        let unfinished = theirs.write(sealed(vec![1])).await;
        assert_eq!(unfinished.map(|()| first), refused);
    }

    #[tokio::test]
    async fn an_abort_removes_the_uploads_spools_alone() {
        let (_directory, settings, spool) = spool(1000);
        write(&spool, b"one", &[1; 200]).await.unwrap();
        write(&spool, b"one", &[2; 200]).await.unwrap();
        let kept = write(&spool, b"two", &[3; 200]).await.unwrap();
        let mut late = spool.create(b"one", "tenant").await.unwrap();
        late.write(sealed(vec![4; 200])).await.unwrap();
        spool.delete_upload(b"one", "tenant").await.unwrap();
        assert!(late.finish().await.is_err());
        assert_eq!(files(&settings), [kept.path(&spool.root)]);
        write(&spool, b"three", &[1; 800]).await.unwrap();
    }

    #[tokio::test]
    async fn a_sweep_takes_the_old_and_what_nobody_writes() {
        let (_directory, settings, spool) = spool(1000);
        let receipt = write(&spool, b"one", &[1; 200]).await.unwrap();
        let _alive = spool.create(b"two", "tenant").await.unwrap();
        let dead = unfinished(&receipt.path(&spool.root));
        std::fs::write(&dead, [0; 100]).unwrap();
        let now = SystemTime::now();
        assert_eq!(spool.sweep(now).await, Ok(SweptSpools::default()));
        let minutes_later = spool.sweep(now + Duration::from_secs(90)).await;
        let one = |bytes| Ok(SweptSpools { files: 1, bytes });
        assert_eq!(minutes_later, one(100));
        assert!(!dead.exists());
        let later = now + settings.spool_age + Duration::from_secs(10);
        assert_eq!(spool.sweep(later).await, one(200));
        assert_eq!(files(&settings).len(), 1, "the one that is being written");
    }
}
