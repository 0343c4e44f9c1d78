//! Finds file systems that could serve as disks.
//!
//! What it is for: `holdfast doctor`, and an operator who wonders what to configure. What it relies
//! on: mountinfo, `statvfs`, labels. What it never does: write, or bring anything into service by
//! itself.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::disk::read_label;
use crate::folder::Folder;
use crate::label::DiskLabel;
use crate::label_pair::Repairing;
use crate::measure::MIB;
use crate::mounts::{is_device, read_mountinfo, MountLine};

/// A mounted file system on a block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMount {
    /// The directory where it is mounted.
    pub mount_point: PathBuf,
    /// The device node, for example `/dev/sdb1`.
    pub device: PathBuf,
    /// The kind of file system, for example `xfs`.
    pub file_system: String,
    /// In MiB.
    pub total_mb: u64,
    /// In MiB.
    pub free_mb: u64,
    /// The disk's label, if it is a disk of Holdfast already.
    pub label: Option<DiskLabel>,
    /// Why it should not be a MOUNT disk; `None` if it could be.
    pub unfit: Option<String>,
}

/// Why nothing could be found.
#[derive(Debug, Error)]
#[error("cannot read /proc/self/mountinfo: {0}; mount /proc")]
pub struct DiscoverError(#[from] io::Error);

/// Mount points that belong to the system.
const SYSTEM: [&str; 8] = ["/", "/boot", "/etc", "/home", "/nix", "/root", "/usr", "/var"];
/// File systems that cannot be written, or not durably.
const UNFIT_KINDS: [&str; 5] = ["iso9660", "squashfs", "erofs", "udf", "vfat"];

/// Lists the file systems on block devices, one entry per device, sorted by mount point.
///
/// # Errors [`DiscoverError`] if the list of mounts cannot be read. A file system that cannot be
/// examined is listed as unfit.
pub fn discover() -> Result<Vec<FoundMount>, DiscoverError> {
    Ok(choose(&read_mountinfo()?).into_iter().map(look_at).collect())
}

/// Chooses for each device the mount that shows the whole file system, and of those the one with
/// the shortest path.
fn choose(mounts: &[MountLine]) -> Vec<&MountLine> {
    let mut best: BTreeMap<&str, &MountLine> = BTreeMap::new();
    for mount in mounts.iter().filter(|mount| is_device(&mount.source)) {
        let rank =
            |mount: &MountLine| (mount.root != Path::new("/"), mount.mount_point.as_os_str().len());
        let kept = best.entry(&mount.device).or_insert(mount);
        if rank(mount) < rank(kept) {
            *kept = mount;
        }
    }
    let mut chosen: Vec<&MountLine> = best.into_values().collect();
    chosen.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
    chosen
}

fn look_at(mount: &MountLine) -> FoundMount {
    let mut found = FoundMount {
        mount_point: mount.mount_point.clone(),
        device: mount.source.clone(),
        file_system: mount.file_system.clone(),
        total_mb: 0,
        free_mb: 0,
        label: None,
        unfit: unfit(mount),
    };
    let root = match Folder::open(&mount.mount_point) {
        Ok(root) => root,
        Err(fault) => {
            found.unfit.get_or_insert(format!("it cannot be opened: {}", fault.into_io()));
            return found;
        }
    };
    if let Ok(stat) = rustix::fs::fstatvfs(&root) {
        let mb = |blocks: u64| blocks.saturating_mul(stat.f_frsize) / MIB;
        (found.total_mb, found.free_mb) = (mb(stat.f_blocks), mb(stat.f_bavail));
    }
    match read_label(&root, Repairing::No) {
        Ok(entered) => found.label = entered.map(|entered| entered.pair.label),
        Err(fault) => drop(found.unfit.get_or_insert(fault.to_string())),
    }
    found
}

fn unfit(mount: &MountLine) -> Option<String> {
    let point = &mount.mount_point;
    if SYSTEM.iter().any(|system| point == Path::new(system)) || point.starts_with("/boot") {
        return Some(
            "it belongs to the system; a PATH disk in a directory of it is possible".into(),
        );
    }
    if mount.root != Path::new("/") {
        return Some(format!("only a part of it ({}) is mounted there", mount.root.display()));
    }
    if UNFIT_KINDS.contains(&mount.file_system.as_str()) {
        return Some(format!("a {} file system cannot keep volumes", mount.file_system));
    }
    mount.options.iter().any(|option| option == "ro").then(|| "it is mounted read-only".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(
        device: &str,
        root: &str,
        point: &str,
        source: &str,
        kind: &str,
        options: &str,
    ) -> MountLine {
        MountLine {
            device: device.into(),
            root: root.into(),
            mount_point: point.into(),
            options: options.split(',').map(String::from).collect(),
            file_system: kind.into(),
            source: source.into(),
        }
    }

    #[test]
    fn one_mount_per_device_is_chosen_and_examined() {
        let mounts = [
            mount("8:1", "/", "/", "/dev/sda1", "ext4", "rw"),
            mount("8:17", "/sub", "/a", "/dev/sdb1", "xfs", "rw"),
            mount("8:17", "/", "/mnt/long/disk", "/dev/sdb1", "xfs", "rw"),
            mount("8:17", "/", "/mnt/disk", "/dev/sdb1", "xfs", "rw"),
            mount("8:33", "/", "/mnt/ro", "/dev/sdc1", "ext4", "ro,noatime"),
            mount("8:49", "/part", "/mnt/part", "/dev/sdd1", "btrfs", "rw"),
            mount("11:0", "/", "/cd", "/dev/sr0", "iso9660", "rw"),
            mount("0:5", "/", "/proc", "proc", "proc", "rw"),
        ];
        let chosen = choose(&mounts);
        let told: Vec<_> =
            chosen.iter().map(|m| (m.mount_point.to_str().unwrap(), unfit(m).is_none())).collect();
        assert_eq!(
            told,
            [
                ("/", false),
                ("/cd", false),
                ("/mnt/disk", true),
                ("/mnt/part", false),
                ("/mnt/ro", false)
            ]
        );
    }

    #[test]
    fn this_machine_can_be_asked() {
        for found in discover().unwrap() {
            assert!(
                found.mount_point.is_absolute() && found.free_mb <= found.total_mb,
                "{found:?}"
            );
        }
    }
}
