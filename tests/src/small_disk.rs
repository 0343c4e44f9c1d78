//! Small file systems in memory, for disks that fill up or go away. They need the right to mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of a few megabytes, until it is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many megabytes; where that is not allowed, says which test is left out, and answers with none.
    pub fn new(test: &str, root: PathBuf, size_mb: u64) -> Option<SmallDisk> {
        fs::create_dir_all(&root).expect("a scratch directory can be written");
        let size = format!("size={size_mb}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&root).status();
        if !mounted.is_ok_and(|it| it.success()) {
            crate::left_out(test, "this needs the right to mount");
            return None;
        }
        Some(SmallDisk(root))
    }

    /// Where it is mounted.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// Moves it to another directory. It is not mounted where it was any more, though the directory is still there.
    pub fn move_to(&mut self, root: PathBuf) {
        fs::create_dir_all(&root).expect("a scratch directory can be written");
        let moved = Command::new("mount").arg("--move").args([&self.0, &root]).status();
        assert!(moved.is_ok_and(|it| it.success()), "{} cannot be moved", self.0.display());
        self.0 = root;
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What still uses it lets go in its own time.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
