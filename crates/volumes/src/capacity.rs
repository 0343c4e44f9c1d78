//! How big a disk is, and how much of it is free.
//!
//! What it is for: the agent's offer of disk space. What it relies on: `statvfs` on a disk that was
//! just identified. What it never does: report the size of the file system *under* an unmounted
//! disk.

use crate::disk::{DiskFault, OpenDisk};
use crate::measure::MIB;

/// Space on a disk's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The size in MiB, rounded down.
    pub total_mb: u64,
    /// The space that anyone but root may still write, in MiB, rounded down.
    pub free_mb: u64,
    /// The number of files that it can hold; 0 if it has no limit.
    pub total_files: u64,
    /// The number of files that can still be made.
    pub free_files: u64,
}

/// Reads the space on a disk.
///
/// # Errors
/// The [`DiskFault`] that makes the disk unfit.
pub fn capacity(disk: &OpenDisk) -> Result<Capacity, DiskFault> {
    let entered = disk.enter()?;
    let stat = rustix::fs::fstatvfs(&entered.folder)
        .map_err(|errno| disk.io("read its size")(errno.into()))?;
    let mb = |blocks: u64| {
        u64::try_from(u128::from(blocks) * u128::from(stat.f_frsize) / u128::from(MIB))
            .unwrap_or(u64::MAX)
    };
    Ok(Capacity {
        total_mb: mb(stat.f_blocks),
        free_mb: mb(stat.f_bavail),
        total_files: stat.f_files,
        free_files: stat.f_favail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{disk_label, Bed, TmpfsMount};
    use crate::{open_disk, DiskConfig, DiskKind};

    #[test]
    fn a_disk_has_room_and_a_missing_one_has_none() {
        let bed = Bed::new();
        let space = capacity(&bed.disk).unwrap();
        assert!(space.total_mb > 0 && space.free_mb <= space.total_mb, "{space:?}");
        std::fs::rename(&bed.disk.config().root, bed.dir.path().join("away")).unwrap();
        assert!(matches!(capacity(&bed.disk), Err(DiskFault::Missing { .. })));
    }

    #[test]
    fn the_size_of_a_mount_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let Some(mount) = TmpfsMount::on(dir.path().join("m"), "the_size_of_a_mount_is_its_own")
        else {
            return;
        };
        let config = DiskConfig { kind: DiskKind::Mount, root: mount.path().to_path_buf() };
        let disk = open_disk(&config, None, &disk_label(1)).unwrap();
        assert_eq!(capacity(&disk).unwrap().total_mb, 8);
    }
}
