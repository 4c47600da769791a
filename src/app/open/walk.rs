//! Files below a directory, in order of name, holding one directory's names at a time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Calls `visit` with every file below `root` and its name relative to it; of a file that is `root` itself, its own name.
/// Symbolic links below `root` and other special files are errors of their own: nothing outside of it is read. The
/// directory `avoid` is left out.
pub fn walk(root: &Path, avoid: Option<&Path>, visit: &mut dyn FnMut(io::Result<&Path>, &Path)) {
    match fs::metadata(root) {
        Ok(metadata) if metadata.is_dir() => below(root, Path::new(""), avoid, visit),
        Ok(metadata) if metadata.is_file() => {
            visit(Ok(root), Path::new(root.file_name().unwrap_or_default()));
        }
        Ok(_) => visit(Err(io::Error::other("is no regular file")), root),
        Err(error) => visit(Err(error), root),
    }
}

fn below(
    directory: &Path,
    relative: &Path,
    avoid: Option<&Path>,
    visit: &mut dyn FnMut(io::Result<&Path>, &Path),
) {
    if avoid.is_some_and(|avoid| fs::canonicalize(directory).is_ok_and(|path| path == avoid)) {
        return;
    }
    let entries = fs::read_dir(directory).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.file_name().into()))
            .collect::<io::Result<Vec<PathBuf>>>()
    });
    let mut names = match entries {
        Ok(names) => names,
        Err(error) => return visit(Err(error), directory),
    };
    names.sort();
    for name in names {
        let (path, relative) = (directory.join(&name), relative.join(&name));
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => below(&path, &relative, avoid, visit),
            Ok(metadata) if metadata.is_file() => visit(Ok(&path), &relative),
            Ok(_) => visit(Err(io::Error::other("is no regular file")), &path),
            Err(error) => visit(Err(error), &path),
        }
    }
}
