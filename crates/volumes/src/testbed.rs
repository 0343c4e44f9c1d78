//! The test bed of this crate: fixed labels, a small disk, and mounts that are undone when dropped.
//!
//! What it relies on: a temporary directory; root for mounts (a test that needs them says so and
//! ends when it is not root). What it never does: exist outside tests.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{make_volume, open_disk, DiskConfig, DiskKind, DiskLabel, OpenDisk, VolumeLabel};

/// The tests' cluster.
pub(crate) fn cluster() -> Uuid {
    Uuid::from_u128(0xc1)
}

/// Disk number `n` of the tests' cluster.
pub(crate) fn disk_label(n: u128) -> DiskLabel {
    DiskLabel { disk_uuid: Uuid::from_u128(0xd000 + n), cluster_uuid: cluster() }
}

/// Volume number `n` on disk 1.
pub(crate) fn volume_label(n: u128) -> VolumeLabel {
    VolumeLabel {
        volume_uuid: Uuid::from_u128(0xa000 + n),
        persistence_id: format!("data-{n}"),
        role: "db".into(),
        principal: Some("ops".into()),
        generation: 1,
        disk_uuid: disk_label(1).disk_uuid,
        cluster_uuid: cluster(),
        size_mb: 64,
        shared: false,
        image: false,
    }
}

/// A PATH disk in a temporary directory.
pub(crate) struct Bed {
    pub dir: TempDir,
    pub disk: OpenDisk,
}

impl Bed {
    /// Makes and opens disk 1.
    pub(crate) fn new() -> Bed {
        // The disk is in memory where possible: these tests sync thousands of times.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let config = DiskConfig { kind: DiskKind::Path, root: dir.path().join("disk") };
        std::fs::create_dir(&config.root).unwrap();
        let disk = open_disk(&config, None, &disk_label(1)).unwrap();
        Bed { dir, disk }
    }

    /// The disk's `holdfast` folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.disk.config().root.join("holdfast")
    }

    /// Makes volume `n` with a file in it.
    pub(crate) fn filled_volume(&self, n: u128) -> PathBuf {
        let data = make_volume(&self.disk, &volume_label(n)).unwrap();
        std::fs::write(data.join("precious"), format!("bytes of {n}")).unwrap();
        data
    }

    /// The content of volume `n`, wherever it is.
    pub(crate) fn precious(&self, place: &str, n: u128) -> Option<String> {
        let path = self
            .folder()
            .join(place)
            .join(volume_label(n).volume_uuid.to_string())
            .join("data/precious");
        std::fs::read_to_string(path).ok()
    }
}

/// Does something to a mount as soon as nobody has a handle in it: a process that another test starts has a copy of each for a moment.
pub(crate) fn once_free(mut act: impl FnMut() -> rustix::io::Result<()>) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        match act() {
            Err(rustix::io::Errno::BUSY) if std::time::Instant::now() < until => {
                std::thread::yield_now();
            }
            done => break done.unwrap(),
        }
    }
}

/// Whether this test may mount; if not, it says that it is skipped.
pub(crate) fn may_mount(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        // Not by a macro: the test runner keeps what those print of tests that pass.
        let _ = writeln!(std::io::stdout(), "left out: {test}: not root, so nothing is mounted");
    }
    root
}

/// A mount that is undone when dropped.
pub(crate) struct TmpfsMount {
    at: PathBuf,
}

impl TmpfsMount {
    /// Mounts a small tmpfs; `None` when not root.
    pub(crate) fn on(at: PathBuf, test: &str) -> Option<TmpfsMount> {
        if !may_mount(test) {
            return None;
        }
        std::fs::create_dir_all(&at).unwrap();
        rustix::mount::mount("tmpfs", &at, "tmpfs", MountFlags::empty(), Some(c"size=8m")).unwrap();
        Some(TmpfsMount { at })
    }

    /// Bind-mounts `from`; `None` when not root.
    pub(crate) fn bind(from: &Path, at: PathBuf, test: &str) -> Option<TmpfsMount> {
        if !may_mount(test) {
            return None;
        }
        std::fs::create_dir_all(&at).unwrap();
        rustix::mount::mount_bind(from, &at).unwrap();
        Some(TmpfsMount { at })
    }

    /// The directory where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.at
    }

    /// Remounts it.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        let flags = if read_only { MountFlags::RDONLY } else { MountFlags::empty() };
        rustix::mount::mount_remount(&self.at, flags, c"").unwrap();
    }
}

impl Drop for TmpfsMount {
    fn drop(&mut self) {
        // Detach: a test that fails must not leave a mount in the machine.
        let _ = rustix::mount::unmount(&self.at, UnmountFlags::DETACH);
    }
}
