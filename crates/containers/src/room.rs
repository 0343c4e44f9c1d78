//! The room of a file system. It relies on `statvfs`, which a file system answers from memory.

use std::io;
use std::path::Path;

/// What a file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// What this process may still write.
    pub free_bytes: u64,
}

impl Room {
    /// The room at a path.
    ///
    /// # Errors
    /// When there is no such path.
    pub fn at(path: &Path) -> io::Result<Room> {
        let found = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Room { total_bytes: bytes(found.f_blocks), free_bytes: bytes(found.f_bavail) })
    }
}
