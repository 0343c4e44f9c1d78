//! Measures the disk usage of a directory.
//!
//! What it is for: used space of sandboxes and volumes, where the file system cannot count for us,
//! and the size limit that rests on it. What it relies on: blocks as `stat` reports them; a file
//! with several links counts once. What it never does: follow a link, cross a mount, or fail
//! because a file vanished meanwhile.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxFlags};
use thiserror::Error;

use crate::check_volume::check_volume;
use crate::disk::OpenDisk;
use crate::folder::Folder;
use crate::label::VolumeLabel;
use crate::mounts::{file_id, stat_fd, FileId, Identity};
use crate::volume::{volume_io, VolumeFault};
use crate::walker::{walk, Leave, Visitor};

/// Bytes in a MiB.
pub(crate) const MIB: u64 = 1 << 20;

/// The disk usage of a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on disk, by blocks, directories included.
    pub used_bytes: u64,
    /// The number of files, links and directories.
    pub entries: u64,
    /// The number of directories that were not counted because another file system is mounted
    /// there.
    pub other_mounts: u64,
    /// The number of entries that could not be read or moved away meanwhile; if any, the true usage
    /// may be higher.
    pub unread: u64,
}

/// A volume's use of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeUsage {
    /// The space that it uses.
    pub usage: Usage,
    /// The size that was claimed, in bytes.
    pub limit_bytes: u64,
}

impl VolumeUsage {
    /// Whether it uses more than its size.
    pub fn over(&self) -> bool {
        self.usage.used_bytes > self.limit_bytes
    }
}

/// Why nothing was measured.
#[derive(Debug, Error)]
#[error("cannot measure {}: {source}; check that it exists and that the agent may read it", path.display())]
pub struct MeasureError {
    /// The path that was to be measured.
    pub path: PathBuf,
    /// The error of the system call.
    pub source: io::Error,
}

/// Measures a directory (or a file), not what is mounted below it. For a blocking thread.
///
/// # Errors [`MeasureError`] if `path` itself is not there or cannot be read. Trouble further down
/// is counted as `unread`.
pub fn measure(path: &Path) -> Result<Usage, MeasureError> {
    measure_up_to(path, u64::MAX).map(|(usage, _)| usage)
}

/// As [`measure`], for who cannot wait for a big tree: looks at no more than so many entries, and
/// says whether those were all.
///
/// # Errors
/// As [`measure`].
pub fn measure_up_to(path: &Path, entries_max: u64) -> Result<(Usage, bool), MeasureError> {
    let fault = |source| MeasureError { path: path.to_path_buf(), source };
    let invalid =
        || fault(io::Error::new(io::ErrorKind::InvalidInput, "it is no path with a name"));
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(invalid());
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let parent = Folder::open(parent).map_err(|enter| fault(enter.into_io()))?;
    let name = CString::new(name.as_bytes()).map_err(|_| invalid())?;
    let mut meter = Meter { entries_left: entries_max, ..Meter::default() };
    walk(parent.as_fd(), parent.path(), &name, &mut meter).map_err(fault)?;
    match meter.first_trouble {
        Some(error) if meter.usage.entries == 0 => Err(fault(error)),
        _ if meter.usage.entries == 0 => Err(fault(io::ErrorKind::NotFound.into())),
        _ => Ok((meter.usage, meter.entries_left > 0)),
    }
}

/// Checks a volume as before a use, and measures it.
///
/// # Errors
/// [`VolumeFault`] of the check, or `Io`.
pub fn measure_volume(disk: &OpenDisk, label: &VolumeLabel) -> Result<VolumeUsage, VolumeFault> {
    let data = check_volume(disk, label)?;
    let usage =
        measure(&data).map_err(|error| volume_io(label.volume_uuid, "measure it")(error.source))?;
    Ok(VolumeUsage { usage, limit_bytes: label.size_mb.saturating_mul(MIB) })
}

#[derive(Default)]
struct Meter {
    usage: Usage,
    /// How many more entries are looked at.
    entries_left: u64,
    mount: Option<u64>,
    /// Files with several links that were counted.
    linked: BTreeSet<FileId>,
    first_trouble: Option<io::Error>,
}

impl Visitor for Meter {
    fn enter(&mut self, dir: BorrowedFd<'_>, here: Identity, _path: &Path) -> bool {
        if *self.mount.get_or_insert(here.mount) != here.mount {
            self.usage.other_mounts += 1;
            return false;
        }
        self.entries_left = self.entries_left.saturating_sub(1);
        match stat_fd(dir) {
            Ok(stat) => {
                self.usage.entries += 1;
                self.usage.used_bytes =
                    self.usage.used_bytes.saturating_add(stat.stx_blocks.saturating_mul(512));
            }
            Err(_) => self.usage.unread += 1,
        }
        true
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &CStr, _path: &Path) -> bool {
        self.entries_left = self.entries_left.saturating_sub(1);
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        // A file that vanished meanwhile does not count; there is no other reason for this call to
        // fail here.
        let Ok(stat) = rustix::fs::statx(parent, name, flags, StatxFlags::BASIC_STATS) else {
            return false;
        };
        if stat.stx_nlink > 1 && !self.linked.insert(file_id(&stat)) {
            return false;
        }
        self.usage.entries += 1;
        self.usage.used_bytes =
            self.usage.used_bytes.saturating_add(stat.stx_blocks.saturating_mul(512));
        false
    }

    fn leave(&mut self, _parent: BorrowedFd<'_>, _name: &CStr, _path: &Path, _gone: u64) -> Leave {
        Leave::Done(false)
    }

    fn trouble(&mut self, _path: &Path, error: io::Error) {
        self.usage.unread += 1;
        self.first_trouble.get_or_insert(error);
    }

    fn stop(&self) -> bool {
        self.entries_left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{volume_label, Bed, TmpfsMount};
    use std::fs;

    #[test]
    fn blocks_are_counted_once_and_links_not_followed() {
        let bed = Bed::new();
        let top = bed.dir.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        let empty = measure(&top).unwrap();
        assert_eq!((empty.entries, empty.unread, empty.other_mounts), (3, 0, 0));
        fs::write(top.join("a/file"), vec![7; 300_000]).unwrap();
        fs::hard_link(top.join("a/file"), top.join("a/b/same")).unwrap();
        std::os::unix::fs::symlink("/usr", top.join("link")).unwrap();
        let sparse = fs::File::create(top.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let full = measure(&top).unwrap();
        assert_eq!(full.entries, 6, "file once, link, sparse");
        let grown = full.used_bytes - empty.used_bytes;
        assert!((300_000..400_000).contains(&grown), "{grown}");
        assert!(measure(&top.join("a/file")).unwrap().used_bytes >= 300_000);
    }

    #[test]
    fn who_cannot_wait_learns_that_there_is_more() {
        let bed = Bed::new();
        let top = bed.dir.path().join("top");
        fs::create_dir(&top).unwrap();
        (0..9).for_each(|it| fs::write(top.join(it.to_string()), [7; 5000]).unwrap());
        let whole = measure(&top).unwrap();
        assert_eq!(measure_up_to(&top, 11).unwrap(), (whole, true));
        let (part, is_whole) = measure_up_to(&top, 5).unwrap();
        assert!(!is_whole && part.entries == 5 && part.used_bytes < whole.used_bytes, "{part:?}");
    }

    #[test]
    fn other_mounts_are_not_counted() {
        let bed = Bed::new();
        let top = bed.dir.path().join("top");
        fs::create_dir(&top).unwrap();
        let before = measure(&top).unwrap();
        let Some(mount) = TmpfsMount::on(top.join("m"), "other_mounts_are_not_counted") else {
            return;
        };
        fs::write(mount.path().join("big"), vec![0; 1 << 20]).unwrap();
        let after = measure(&top).unwrap();
        assert_eq!((after.entries, after.other_mounts), (before.entries, 1));
        assert!(measure(mount.path()).unwrap().used_bytes >= 1 << 20, "asked for itself it counts");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for bad in ["/", "/no/such", "/tmp/no-such-name-here"] {
            assert!(measure(Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_volume_over_its_size_is_told() {
        let bed = Bed::new();
        let label = VolumeLabel { size_mb: 1, ..volume_label(1) };
        let data = crate::make_volume(&bed.disk, &label).unwrap();
        assert!(!measure_volume(&bed.disk, &label).unwrap().over());
        fs::write(data.join("big"), vec![1; 2 << 20]).unwrap();
        let usage = measure_volume(&bed.disk, &label).unwrap();
        assert!(usage.over() && usage.limit_bytes == 1 << 20);
    }

    #[test]
    fn a_tree_that_changes_meanwhile_is_counted_as_well_as_can_be() {
        let bed = Bed::new();
        let top = bed.dir.path().join("top");
        fs::create_dir_all(top.join("one/x/y")).unwrap();
        fs::create_dir_all(top.join("two")).unwrap();
        fs::write(top.join("one/x/y/file"), "f").unwrap();
        /// Moves the directory that is being walked, and the one above, so that there is no way
        /// back up.
        struct Mover<'a>(Meter, &'a Path);
        impl Visitor for Mover<'_> {
            fn enter(&mut self, dir: BorrowedFd<'_>, here: Identity, path: &Path) -> bool {
                if path.ends_with("x/y") {
                    fs::rename(path, self.1.join("two/y")).unwrap();
                    fs::rename(path.parent().unwrap(), self.1.join("two/x")).unwrap();
                }
                self.0.enter(dir, here, path)
            }
            fn file(&mut self, parent: BorrowedFd<'_>, name: &CStr, path: &Path) -> bool {
                self.0.file(parent, name, path)
            }
            fn leave(
                &mut self,
                parent: BorrowedFd<'_>,
                name: &CStr,
                path: &Path,
                gone: u64,
            ) -> Leave {
                self.0.leave(parent, name, path, gone)
            }
            fn trouble(&mut self, path: &Path, error: io::Error) {
                self.0.trouble(path, error);
            }
        }
        let mut mover = Mover(Meter::default(), &top);
        walk(Folder::open(bed.dir.path()).unwrap().as_fd(), bed.dir.path(), c"top", &mut mover)
            .unwrap();
        assert!(mover.0.usage.unread >= 1, "{:?}", mover.0.usage);
        assert!(mover.0.usage.entries >= 6, "all but perhaps the moved ones: {:?}", mover.0.usage);
    }
}
