//! Which directory a path leads to, whatever the path is called.
//!
//! What it is for: telling that two names (a link, a bind mount, a trailing slash) are one disk, and that one disk lies in another. What it
//! relies on: device and inode. What it never does: take the text of a path for the identity of a place.

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

/// A directory, by what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The number of the device that its file system lies on, as `stat` tells it.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
    /// The inodes of the directories above it on the same device, the nearest first.
    pub above: Vec<u64>,
}

impl Place {
    /// Whether both are the same directory.
    pub fn is_same(&self, other: &Place) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether it lies somewhere below the other, on the same file system.
    pub fn lies_in(&self, other: &Place) -> bool {
        self.device == other.device && self.above.contains(&other.inode)
    }

    /// The device as `MAJOR:MINOR`, which names its file system.
    pub fn file_system(&self) -> String {
        device_name(self.device)
    }
}

/// The number of a device, as `stat` tells it, as `MAJOR:MINOR`.
pub fn device_name(number: u64) -> String {
    format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number))
}

/// Finds out where a path leads to.
///
/// # Errors
/// When it is no directory that can be opened.
pub fn place_of(path: &Path) -> io::Result<Place> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = rustix::fs::open(path, flags, Mode::empty())?;
    let here = rustix::fs::fstat(&dir)?;
    let (mut above, mut inode) = (Vec::new(), here.st_ino);
    loop {
        dir = rustix::fs::openat(&dir, "..", flags, Mode::empty())?;
        let up = rustix::fs::fstat(&dir)?;
        if up.st_ino == inode || up.st_dev != here.st_dev {
            return Ok(Place { device: here.st_dev, inode: here.st_ino, above });
        }
        above.push(up.st_ino);
        inode = up.st_ino;
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
