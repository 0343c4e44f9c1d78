//! The room of a file system, and a part of it set aside. It relies on `statvfs`, which a file system answers from
//! memory, and on `fallocate`.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{fallocate, FallocateFlags};

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

/// Makes a file that takes up so much room, so that it can be had by removing the file.
///
/// # Errors
/// When there is not so much room, or the file system cannot set any aside; then there is no such file.
pub fn set_aside(file: &Path, bytes: u64) -> io::Result<()> {
    // `fallocate` takes all that is left before it says that this is not enough: for that moment everybody else's disk would be full.
    if Room::at(file.parent().unwrap_or(file))?.free_bytes < bytes {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let part = file.with_extension("part");
    let made = File::create(&part).and_then(|it| {
        fallocate(&it, FallocateFlags::empty(), 0, bytes)?;
        it.sync_all()
    });
    made.and_then(|()| std::fs::rename(&part, file)).inspect_err(|_| {
        // It may not even have been made.
        let _ = std::fs::remove_file(&part);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_is_set_aside_takes_room_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::at(dir.path()).unwrap();
        assert!(room.free_bytes <= room.total_bytes && 0 < room.total_bytes);
        let file = dir.path().join("reserve");
        set_aside(&file, 1 << 20).unwrap();
        assert!(1 << 20 <= std::fs::metadata(&file).unwrap().blocks() * 512);
        let more = set_aside(&dir.path().join("more"), room.total_bytes * 2);
        assert_eq!(more.map_err(|it| it.kind()), Err(io::ErrorKind::StorageFull));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left of it");
    }
}
