//! Files of the key directory: private, written whole or not at all, durable when a call returns.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::error::KeyError;

/// Key files are small; anything larger is none.
const LIMIT: u64 = 16 * 1024 * 1024;

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::Io { path, source }
}

/// Makes a directory that only its owner can enter, with those above it.
pub fn make(path: &Path) -> Result<(), KeyError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io(path))
}

pub fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    let file = File::open(path).map_err(io(path))?;
    let mut bytes = Vec::new();
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
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // what is left is of no use; that it can't be removed changes nothing
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(io(path))?;
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

/// Held while a command changes the directory.
pub struct Lock {
    _file: File,
}

pub fn lock(path: &Path) -> Result<Lock, KeyError> {
    make(path)?;
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
