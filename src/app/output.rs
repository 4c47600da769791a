//! Files that appear under their names only when they are whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A temporary file beside its target; removed unless it is kept.
pub struct Output {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    kept: bool,
}

impl Output {
    /// # Errors
    /// The target exists, or its directory can't be written.
    pub fn create(target: &Path) -> io::Result<Self> {
        if target.symlink_metadata().is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "exists already; nothing was overwritten",
            ));
        }
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let temporary = folder(target).join(format!(".sceau-{}.tmp", hex::encode(random)));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        Ok(Self {
            file,
            temporary,
            target: target.to_owned(),
            kept: false,
        })
    }

    /// Gives the file its name; durable when it returns.
    pub fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.kept = true;
        File::open(folder(&self.target))?.sync_all()
    }
}

/// Where a file lies.
fn folder(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.kept {
            // what is left has no name that anybody looks for
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
