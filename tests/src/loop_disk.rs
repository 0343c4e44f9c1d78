//! Disks as they are on machines: file systems of their own on block devices (loop devices over files), which can be unmounted and mounted
//! elsewhere. They need the right to mount.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What is not synced stays in memory for as long as that can be had, and a file that is renamed over another is nothing special: so that a
/// power cut loses all that it may.
const NOTHING_BY_ITSELF: &str = "commit=600,noauto_da_alloc";

/// A formatted device, until it is dropped.
pub struct LoopDisk {
    device: String,
    mounted: Option<PathBuf>,
    options: &'static str,
}

impl LoopDisk {
    /// Makes one of so many megabytes over a file, and mounts it; where that is not allowed, says which test is left out, and answers with
    /// none.
    pub fn mounted(test: &str, file: &Path, root: &Path, size_mb: u64) -> Option<LoopDisk> {
        LoopDisk::with_options(test, file, root, (size_mb, "defaults"))
    }

    /// The same, of a machine whose power will be cut: nothing is written but what is synced.
    pub fn powered(test: &str, file: &Path, root: &Path, size_mb: u64) -> Option<LoopDisk> {
        LoopDisk::with_options(test, file, root, (size_mb, NOTHING_BY_ITSELF))
    }

    fn with_options(
        test: &str,
        file: &Path,
        root: &Path,
        (size_mb, options): (u64, &'static str),
    ) -> Option<LoopDisk> {
        let image = std::fs::File::create(file).expect("a scratch file can be written");
        image.set_len(size_mb << 20).expect("a scratch file can be sparse");
        let formatted = Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(file).status();
        if !formatted.is_ok_and(|it| it.success()) {
            crate::left_out(test, "this needs mkfs.ext4");
            return None;
        }
        let Some(device) = device_over(file) else {
            crate::left_out(test, "this needs losetup and the right to make loop devices");
            return None;
        };
        let mut disk = LoopDisk { device, mounted: None, options };
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
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-o", self.options]).arg(&self.device).arg(root).status();
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

    /// The power of its machine is cut and comes back: what the file system had not written to the device by now is lost. Whoever wrote on
    /// it must have ended; `file` is what the device lies over.
    pub fn cut_power(&mut self, file: &Path) {
        let root = self.mounted.clone().expect("it is mounted");
        let left = file.with_extension("after-the-cut");
        let copied = Command::new("cp").arg("--sparse=always").args([file, &left]).status();
        assert!(copied.is_ok_and(|it| it.success()), "{} is not copied", file.display());
        self.unmount();
        self.detach();
        std::fs::rename(&left, file).expect("a scratch file can be replaced");
        self.device = device_over(file).expect("there was a loop device before");
        self.mount(&root);
    }

    fn detach(&self) {
        // What still uses it lets go in its own time.
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }

    /// Mounts it.
    pub fn mount(&mut self, root: &Path) {
        assert!(self.try_mount(root), "{} is not mounted at {}", self.device, root.display());
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        if let Some(root) = self.mounted.take() {
            let _ = Command::new("umount").arg("-l").arg(&root).status();
        }
        self.detach();
    }
}

fn device_over(file: &Path) -> Option<String> {
    let device = Command::new("losetup").args(["--find", "--show"]).arg(file).output().ok()?;
    let device = String::from_utf8_lossy(&device.stdout).trim().to_owned();
    (!device.is_empty()).then_some(device)
}
