//! The files of a sled directory: listed, synced, copied and moved, because sled itself does not
//! sync them.
//!
//! It relies on std. It never deletes anything but what it made itself and sled's own half-written
//! snapshots.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a closed sled may take to release its lock.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);
const CLOSE_POLL: Duration = Duration::from_millis(2);

/// Every plain file below `dir`, in a fixed order.
pub(crate) fn list_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Waits until the names in `dir` are on the disk.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Waits until every file and every name below `dir` is on the disk.
pub(crate) fn sync_tree(dir: &Path) -> io::Result<()> {
    for file in list_files(dir)? {
        File::open(&file)?.sync_all()?;
    }
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            }
        }
        sync_dir(&next)?;
    }
    Ok(())
}

/// Copies every file of `from` to a new directory `to`.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    crate::private::make_dirs(to)?;
    for file in list_files(from)? {
        let target = to.join(file.strip_prefix(from).map_err(io::Error::other)?);
        if let Some(parent) = target.parent() {
            crate::private::make_dirs(parent)?;
        }
        fs::copy(&file, &target)?;
    }
    Ok(())
}

/// Removes a directory that may not be there.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes half-written snapshots: sled calls them corruption and refuses to open.
pub(crate) fn remove_generating(mirror: &Path) -> io::Result<()> {
    for file in list_files(mirror)?
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "generating"))
    {
        fs::remove_file(file)?;
    }
    Ok(())
}

/// Renames sled's snapshots, so that it reads its whole log instead. Returns how many there were.
pub(crate) fn move_snapshots(mirror: &Path) -> io::Result<usize> {
    let mut moved = 0;
    for file in list_files(mirror)? {
        let name =
            file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("snap.") {
            fs::rename(&file, file.with_file_name(format!("aside.{name}")))?;
            moved += 1;
        }
    }
    Ok(moved)
}

/// Waits until sled has released its files: its threads hold them for a moment after the handle is
/// dropped.
pub(crate) fn wait_closed(mirror: &Path) -> io::Result<()> {
    let file = File::open(mirror.join("db"))?;
    let deadline = Instant::now() + CLOSE_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::Error(error)) => return Err(error),
            Err(fs::TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "sled did not let go of its files",
                ));
            }
            // tidy: sleep is the point: sled's own threads let go of its files in their own time
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(CLOSE_POLL),
        }
    }
}

/// A free name for evidence in `dir`: `damaged-<n>-<name>`.
pub(crate) fn aside_name(taken: impl Fn(&str) -> bool, name: &str) -> String {
    let mut number = 1u64;
    loop {
        let candidate = format!("damaged-{number}-{name}");
        if !taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}
