//! Who may look into a ledger: its owner, and nobody else. A ledger holds the commands and the environments of
//! tasks, secrets among them.
//!
//! It relies on modes of files. What an older program left open to others is closed when a store is opened. It
//! never touches a file in the directory that is not a store's, and follows no link.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Others than the owner.
const OTHERS: u32 = 0o077;
/// A directory that many users share, as `/tmp`, is not ours to close.
const STICKY: u32 = 0o1000;

/// How the names of a store's own files begin.
const OURS: [&str; 5] = ["lock", "journal-", "watermark", "books", "damaged-"];

/// Makes a directory that its owner alone can enter, and those above it as anybody makes them: an agent's tasks pass
/// through the one above its ledger.
pub(crate) fn make_dirs(path: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
}

/// Options for a file that is readable to its owner alone.
pub(crate) fn file_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// Closes the store in `dir` to others. That it is somebody else's, so that only that one may do so, stops nobody
/// from using it.
pub(crate) fn tighten(dir: &Path) {
    let closed = close(dir, DIR_MODE).and_then(|()| {
        fs::read_dir(dir)?.try_for_each(|entry| {
            let entry = entry?;
            let name = entry.file_name();
            match OURS.iter().any(|it| name.as_encoded_bytes().starts_with(it.as_bytes())) {
                true => close_all(&entry.path()),
                false => Ok(()),
            }
        })
    });
    if let Err(error) = closed {
        tracing::warn!(dir = %dir.display(), %error, "the ledger cannot be closed to other users; it may hold secrets: see to its owner and modes");
    }
}

fn close_all(path: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_file() {
        return close(path, FILE_MODE);
    }
    if !kind.is_dir() {
        return Ok(());
    }
    close(path, DIR_MODE)?;
    fs::read_dir(path)?.try_for_each(|entry| close_all(&entry?.path()))
}

fn close(path: &Path, mode: u32) -> io::Result<()> {
    let now = fs::metadata(path)?.permissions().mode();
    match now & OTHERS == 0 || now & STICKY != 0 {
        true => Ok(()),
        false => fs::set_permissions(path, Permissions::from_mode(mode)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DurableStore, Entry, Options, Store};

    fn modes(path: &Path, wide: &mut Vec<String>) {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if meta.permissions().mode() & OTHERS != 0 {
                wide.push(format!("{} {:o}", entry.path().display(), meta.permissions().mode()));
            }
            if meta.is_dir() {
                modes(&entry.path(), wide);
            }
        }
    }

    fn open(dir: &Path) -> DurableStore {
        DurableStore::open(dir, Options::new("agent").create_as([7; 16])).unwrap().0
    }

    #[test]
    fn a_new_ledger_is_its_owners_alone_and_so_is_one_that_was_left_open() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("ledger");
        let mut store = open(&dir);
        store.commit(1, &[Entry::put("tasks", *b"t", *b"secret")]).unwrap();
        store.close().unwrap();
        drop(store);
        drop(open(&dir));
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, DIR_MODE);
        let mut wide = Vec::new();
        modes(&dir, &mut wide);
        assert_eq!(wide, Vec::<String>::new());
        for path in [dir.clone(), dir.join("books"), dir.join("books/db"), dir.join("lock")] {
            let mode = if path.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        fs::write(dir.join("notes"), "the operator's own").unwrap();
        fs::set_permissions(dir.join("notes"), Permissions::from_mode(0o644)).unwrap();
        drop(open(&dir));
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, DIR_MODE);
        modes(&dir, &mut wide);
        assert_eq!(wide.len(), 1, "{wide:?}");
        assert!(wide[0].contains("notes"), "only what is not the ledger's: {wide:?}");
    }
}
