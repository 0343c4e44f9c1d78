//! Which directory a path leads to, whatever the path is called.
//!
//! What it is for: telling that two names (a link, a bind mount, a trailing slash) are one disk, and that one disk lies in another. What it
//! relies on: device and inode. What it never does: take the text of a path for the identity of a place.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::mounts::FileId;

/// A directory, by what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The device that its file system lies on, by major and minor number.
    pub device: (u32, u32),
    /// The inode.
    pub inode: u64,
    /// Its path without links; for messages, and to tell what lies in it.
    pub path: PathBuf,
    /// The same of the directories above it on the same file system, the nearest first, each as device and inode.
    pub above: Vec<((u32, u32), u64)>,
}

impl Place {
    /// Whether both are the same directory.
    pub fn is_same(&self, other: &Place) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether it lies somewhere below the other, on the same file system.
    pub fn lies_in(&self, other: &Place) -> bool {
        self.above.contains(&(other.device, other.inode))
    }
}

/// Finds out where a path leads to.
///
/// # Errors
/// When it is no directory that can be opened.
pub fn place_of(path: &Path) -> io::Result<Place> {
    let folder = Folder::open(path).map_err(|it| it.into_io())?;
    let FileId { device, inode } = folder.identity().file;
    Ok(Place { device, inode, path: real_path(&folder, path), above: above(&folder)? })
}

/// The path of an open directory, as the kernel knows it.
fn real_path(folder: &Folder, path: &Path) -> PathBuf {
    use std::os::fd::{AsFd, AsRawFd};
    let link = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
    let real = rustix::fs::readlink(link, Vec::new());
    real.map_or_else(|_| path.to_path_buf(), |it| PathBuf::from(OsStr::from_bytes(it.as_bytes())))
}

/// The directories above an open one, as long as they are on its device.
fn above(folder: &Folder) -> io::Result<Vec<((u32, u32), u64)>> {
    let device = folder.identity().file.device;
    let (mut all, mut here) = (Vec::new(), folder.identity().file);
    let mut fd = rustix::io::dup(folder)?;
    loop {
        let flags =
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        fd = rustix::fs::openat(&fd, "..", flags, rustix::fs::Mode::empty())?;
        let up = crate::mounts::file_id(&crate::mounts::stat_fd(&fd)?);
        if up == here || up.device != device {
            return Ok(all);
        }
        all.push((up.device, up.inode));
        here = up;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_place_are_one_place() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        std::fs::create_dir_all(disk.join("in/ner")).unwrap();
        std::os::unix::fs::symlink(&disk, dir.path().join("link")).unwrap();
        let at = |name: &str| place_of(&dir.path().join(name)).unwrap();
        for name in ["link", "disk/", "./disk", "disk/in/.."] {
            assert!(at(name).is_same(&at("disk")), "{name}");
            assert_eq!(at(name).path, at("disk").path, "{name}");
        }
        assert!(at("disk/in/ner").lies_in(&at("link")) && at("disk").lies_in(&at(".")));
        assert!(!at("disk").lies_in(&at("link")) && !at("link").is_same(&at("disk/in")));
        assert!(place_of(&dir.path().join("none")).is_err());
    }

    #[test]
    fn what_is_mounted_in_a_disk_does_not_lie_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let name = "what_is_mounted_in_a_disk_does_not_lie_in_it";
        let Some(mount) = crate::testbed::TmpfsMount::on(dir.path().join("m"), name) else {
            return;
        };
        let (outer, inner) = (place_of(dir.path()).unwrap(), place_of(mount.path()).unwrap());
        assert!(!inner.lies_in(&outer) && !inner.is_same(&outer));
    }
}
