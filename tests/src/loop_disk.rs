//! Disks as they are on machines: file systems of their own on block devices (loop devices over files), which can be unmounted and mounted
//! elsewhere. They need the right to mount.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A formatted device, until it is dropped.
pub struct LoopDisk {
    device: String,
    mounted: Option<PathBuf>,
}

impl LoopDisk {
    /// Makes one of so many megabytes over a file, and mounts it; where that is not allowed, says which test is left out, and answers with
    /// none.
    pub fn mounted(test: &str, file: &Path, root: &Path, size_mb: u64) -> Option<LoopDisk> {
        let image = std::fs::File::create(file).expect("a scratch file can be written");
        image.set_len(size_mb << 20).expect("a scratch file can be sparse");
        let formatted = Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(file).status();
        let device = Command::new("losetup").args(["--find", "--show"]).arg(file).output();
        let (Ok(true), Ok(device)) = (formatted.map(|it| it.success()), device) else {
            crate::left_out(test, "this needs mkfs.ext4 and losetup");
            return None;
        };
        let device = String::from_utf8_lossy(&device.stdout).trim().to_owned();
        if device.is_empty() {
            crate::left_out(test, "this needs the right to make loop devices");
            return None;
        }
        let mut disk = LoopDisk { device, mounted: None };
        match disk.try_mount(root) {
            true => Some(disk),
            false => {
                crate::left_out(test, "this needs the right to mount");
                None
            }
        }
    }

    fn try_mount(&mut self, root: &Path) -> bool {
        std::fs::create_dir_all(root).expect("a scratch directory can be written");
        let mounted = Command::new("mount").arg(&self.device).arg(root).status();
        let is_mounted = mounted.is_ok_and(|it| it.success());
        self.mounted = is_mounted.then(|| root.to_owned());
        is_mounted
    }

    /// Unmounts it, whoever uses it: what has files of it open keeps them.
    pub fn unmount(&mut self) {
        if let Some(root) = self.mounted.take() {
            let unmounted = Command::new("umount").arg("-l").arg(&root).status();
            assert!(unmounted.is_ok_and(|it| it.success()), "{} is not unmounted", root.display());
        }
    }

    /// Mounts it.
    pub fn mount(&mut self, root: &Path) {
        assert!(self.try_mount(root), "{} is not mounted at {}", self.device, root.display());
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // What still uses it lets go in its own time.
        if let Some(root) = self.mounted.take() {
            let _ = Command::new("umount").arg("-l").arg(&root).status();
        }
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
}
