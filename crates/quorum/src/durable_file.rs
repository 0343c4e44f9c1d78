//! Replaces a small file as one atom.
//!
//! It relies on rename and fsync of POSIX. It never leaves half a file under the real name.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Replaces `path`; durable on return if `durable`, else merely atomic for readers.
pub(crate) fn replace(path: &Path, content: &[u8], durable: bool) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(content)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&fresh, path)?;
    if durable {
        sync_parent(path)?;
    }
    Ok(())
}

/// Waits until the names beside `path` are on the disk.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Reads a small file; `None` when it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
