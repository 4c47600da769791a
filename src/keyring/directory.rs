//! Files of the key directory: private, written whole or not at all, durable when a call returns.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::error::KeyError;

/// Key files are small; anything larger is none.
pub(super) const LIMIT: u64 = 16 * 1024 * 1024;
/// No writer takes so long over one file.
const ABANDONED: std::time::Duration = std::time::Duration::from_secs(3600);

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::Io { path, source }
}

/// Makes a directory that only its owner can enter, with those above it; durable when it returns.
pub fn make(path: &Path) -> Result<(), KeyError> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made.map_err(io(path))?,
    }
    sync_parent(path)
}

/// A file's content. It may be a secret: room for all of it is made at once, so that no part is left behind by growing.
pub fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    let file = File::open(path).map_err(io(path))?;
    let length = file.metadata().map_err(io(path))?.len().min(LIMIT);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 64);
    file.take(LIMIT).read_to_end(&mut bytes).map_err(io(path))?;
    Ok(bytes)
}

/// Writes a new file; one that exists is never touched.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    if path.exists() {
        return Err(KeyError::Exists(path.display().to_string()));
    }
    replace(path, bytes)
}

/// Writes a file whole: a temporary one, synced, renamed, the directory synced. Killed at any point, the old file or
/// the new one is there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    replace_with(path, |file| file.write_all(bytes).map_err(io(path)))
}

/// [`replace`], for what is too large to be held.
pub fn replace_with(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), KeyError>,
) -> Result<(), KeyError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| KeyError::Randomness)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", hex::encode(random)));
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(io(path))?;
        fill(&mut file)?;
        file.sync_all()
            .and_then(|()| fs::rename(&temporary, path))
            .map_err(io(path))
    })();
    if written.is_err() {
        // what is left is of no use; that it can't be removed changes nothing
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_parent(path)
}

/// Removes a file durably. Its bytes are overwritten first, which a copying or journalling file system may defeat.
pub fn destroy(path: &Path) -> Result<(), KeyError> {
    let overwrite = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let length = file.metadata()?.len();
        let zeros = vec![0; usize::try_from(length).unwrap_or(0)];
        file.write_all(&zeros)?;
        file.sync_all()?;
        fs::remove_file(path)
    };
    overwrite().map_err(io(path))?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> Result<(), KeyError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(io(parent))
}

/// The files of a directory whose names end so, sorted. A directory that is missing is empty.
pub fn list(path: &Path, ending: &str) -> Result<Vec<PathBuf>, KeyError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(path)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let file = entry.map_err(io(path))?.path();
        if file.to_string_lossy().ends_with(ending) {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a file, whatever it holds, durably. One that is missing is removed already.
pub fn remove(path: &Path) -> Result<(), KeyError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io(path)).and_then(|()| sync_parent(path)),
    }
}

/// Removes what writers that were killed left behind: temporary files of more than an hour.
pub fn sweep(path: &Path) -> Result<(), KeyError> {
    for file in list(path, ".tmp")? {
        let age = fs::metadata(&file)
            .and_then(|file| file.modified())
            .ok()
            .and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED) {
            remove(&file)?;
        }
    }
    Ok(())
}

/// Held while a command changes the directory.
pub struct Lock {
    _file: File,
}

/// Locks a directory that exists.
pub fn lock(path: &Path) -> Result<Lock, KeyError> {
    let path = path.join(".lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io(&path))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| KeyError::Locked)?;
    Ok(Lock { _file: file })
}
