//! The limits of this machine for volumes, as the findings that `holdfast doctor` prints.
//!
//! What it is for: an operator should know before the first task how sizes are enforced here, and
//! what to change to have more. What it relies on: asking the kernel, not guessing by version. What
//! it never does: change anything.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::disk::{open_root, read_label, DiskConfig, DiskKind, VOLUMES};
use crate::image::{cannot_make_images, IMAGE};
use crate::label_pair::Repairing;
use crate::mounts::{identify, is_device, mount_of, read_mountinfo, MountLine};

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the check, for example `project quota on /mnt/disk1`.
    pub name: String,
    /// Whether the check passed.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty if nothing needs to be done.
    pub advice: String,
}

impl Finding {
    fn good(name: impl Into<String>, detail: impl Into<String>) -> Finding {
        Finding { name: name.into(), ok: true, detail: detail.into(), advice: String::new() }
    }

    fn bad(
        name: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        Finding { name: name.into(), ok: false, detail: detail.into(), advice: advice.into() }
    }
}

/// Checks the machine and each configured disk, without writing anything.
pub fn limits(disks: &[DiskConfig]) -> Vec<Finding> {
    let mut findings = vec![mount_checks(), ownership(), loop_images(), measured()];
    let mounts = read_mountinfo().unwrap_or_default();
    for disk in disks {
        findings.push(fitness(disk));
        findings.push(project_quota(&mounts, &disk.root));
        findings.extend(made_as(disk));
    }
    findings
}

fn mount_checks() -> Finding {
    let name = "mount checks";
    match std::fs::File::open("/").and_then(identify) {
        Ok(root) if root.mount_root.is_some() => {
            Finding::good(name, "the kernel tells mount ids and mount points (statx)")
        }
        Ok(_) => Finding::good(
            name,
            "the kernel tells mount ids (/proc/self/fdinfo); Linux 5.8 would do it faster",
        ),
        Err(error) => Finding::bad(
            name,
            format!("mount ids cannot be read: {error}"),
            "mount /proc, or use Linux 5.8 or newer",
        ),
    }
}

fn ownership() -> Finding {
    let name = "volume ownership";
    if rustix::process::geteuid().is_root() {
        return Finding::good(name, "the agent can give volumes to the users of tasks");
    }
    Finding::bad(
        name,
        "the agent is not root: tasks run as its own user and volumes belong to it",
        "start the agent as root to run tasks as other users",
    )
}

fn measured() -> Finding {
    Finding::good(
        "measured use",
        "limits of volumes that are directories are soft: use is measured, and a write beyond a volume's size is told, or its task stopped, never prevented",
    )
}

fn loop_images() -> Finding {
    let name = "fixed-size images";
    match cannot_make_images() {
        None => Finding::good(
            name,
            "loop devices and mkfs.ext4 are there: limit=image gives each volume of a disk a file system of its own, which ends at its size",
        ),
        Some(why) => Finding::bad(
            name,
            format!("not possible here: {why}"),
            "nothing needs to be done unless a disk shall have limit=image, which is refused as it is",
        ),
    }
}

/// How many volumes of a disk are held to their sizes, if there are any.
fn made_as(disk: &DiskConfig) -> Option<Finding> {
    let root = open_root(disk).ok()?;
    let folder = read_label(&root, Repairing::No).ok()??.folder;
    let volumes = folder.enter(VOLUMES).ok()?;
    let names = volumes.names().ok()?;
    let kinds: Vec<bool> =
        names.iter().filter_map(|it| volumes.enter(it).ok()?.has(IMAGE).ok()).collect();
    let images = kinds.iter().filter(|it| **it).count();
    let name = format!("limits on {}", disk.root.display());
    let detail = match (images, kinds.len() - images) {
        (0, 0) => return None,
        (images, 0) => format!("all {images} volumes are images of fixed size: their limits are hard"),
        (0, others) => format!("all {others} volumes are directories: their limits are soft"),
        (images, others) => format!("{images} volumes are images of fixed size, whose limits are hard, and {others} are directories, whose limits are soft"),
    };
    Some(Finding::good(name, detail))
}

fn fitness(disk: &DiskConfig) -> Finding {
    let name = format!("disk {}", disk.root.display());
    let kind = match disk.kind {
        DiskKind::Root => "ROOT",
        DiskKind::Path => "PATH",
        DiskKind::Mount => "MOUNT",
    };
    match open_root(disk).and_then(|root| read_label(&root, Repairing::No)) {
        Ok(None) => Finding::good(name, format!("a {kind} disk, fit and not used yet")),
        Ok(Some(entered)) => match entered.pair.repair {
            None => Finding::good(name, format!("a {kind} disk, {}", entered.pair.label.disk_uuid)),
            Some(repair) => Finding::bad(
                name,
                format!("{} is bad: {}", repair.path.display(), repair.why),
                "the agent mends it at its next use; look for I/O errors in the kernel's log",
            ),
        },
        Err(fault) => Finding::bad(
            name,
            fault.to_string(),
            "see the message; volumes on it stay unavailable until it is fit",
        ),
    }
}

fn project_quota(mounts: &[MountLine], root: &Path) -> Finding {
    let name = format!("project quota on {}", root.display());
    let advice =
        "sizes are measured; choose limit=soft:refuse or soft:stop for the disk where they matter";
    let place = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let Some(mount) = mount_of(mounts, &place) else {
        return Finding::bad(name, "the mount that holds it was not found", advice);
    };
    if !is_device(&mount.source) {
        return Finding::bad(name, format!("a {} file system has none", mount.file_system), advice);
    }
    match ask_project_quota(&mount.source) {
        Ok(true) => Finding::good(
            name,
            format!(
                "{} would enforce it; this version of Holdfast sets none yet, so limits are soft here, too",
                mount.file_system
            ),
        ),
        Ok(false) => Finding::bad(
            name,
            format!("{} could, but it is not switched on", mount.file_system),
            advice,
        ),
        Err(error) => {
            let why = match error.raw_os_error() {
                Some(libc::ENOSYS) => "this kernel is built without quotas".into(),
                Some(libc::ESRCH | libc::EINVAL) => "it is not switched on".into(),
                Some(libc::EPERM | libc::EACCES) => "only root may ask".into(),
                _ => error.to_string(),
            };
            Finding::bad(
                name,
                format!("{} on {}: {why}", mount.file_system, mount.source.display()),
                advice,
            )
        }
    }
}

/// `Q_XGETQSTAT`: which quotas are on. Not in libc; from `linux/dqblk_xfs.h`.
const XGETQSTAT: i32 = ((b'X' as i32) << 8) + 5;
/// The third kind of quota, after users and groups.
const PROJECTS: i32 = 2;
/// `FS_QUOTA_PDQ_ENFD`: project limits are enforced.
const PROJECTS_ENFORCED: u16 = 1 << 5;

/// Whether project quota is enforced on the file system of a block device.
fn ask_project_quota(device: &Path) -> io::Result<bool> {
    let device = CString::new(device.as_os_str().as_bytes())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // `struct fs_quota_stat` is 80 bytes; its second member, 16 bits at offset 2, are the flags.
    let mut answer = [0u64; 32];
    #[allow(unsafe_code, reason = "no safe wrapper has quotactl")]
    // SAFETY: `device` ends with a zero byte and lives through the call; the kernel writes at most
    // 80 bytes to `answer`, which has 256 and the alignment of its widest member; it keeps neither
    // pointer.
    let result = unsafe {
        libc::quotactl((XGETQSTAT << 8) | PROJECTS, device.as_ptr(), 0, answer.as_mut_ptr().cast())
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes = answer[0].to_ne_bytes();
    Ok(u16::from_ne_bytes([bytes[2], bytes[3]]) & PROJECTS_ENFORCED != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::Bed;

    #[test]
    fn every_finding_that_is_not_well_has_advice() {
        let bed = Bed::new();
        let gone = DiskConfig { kind: DiskKind::Mount, root: bed.dir.path().join("gone") };
        let not_mounted = DiskConfig { kind: DiskKind::Mount, root: bed.dir.path().to_path_buf() };
        let findings = limits(&[bed.disk.config().clone(), gone, not_mounted]);
        assert_eq!(findings.len(), 4 + 3 * 2);
        for finding in &findings {
            assert!(finding.ok != finding.advice.starts_with(char::is_alphabetic), "{finding:?}");
            assert!(!finding.detail.is_empty());
        }
        let of = |name: &str| {
            findings.iter().filter(|f| f.name.starts_with(name)).map(|f| f.ok).collect::<Vec<_>>()
        };
        assert_eq!(of("disk "), [true, false, false]);
        assert_eq!(of("mount checks"), [true]);
    }

    #[test]
    fn what_holds_the_volumes_of_a_disk_is_counted() {
        let bed = Bed::new();
        let said = || {
            let findings = limits(std::slice::from_ref(bed.disk.config()));
            let found = findings.into_iter().find(|it| it.name.starts_with("limits on "));
            found.map(|it| it.detail)
        };
        assert_eq!(said(), None);
        let data = bed.filled_volume(1);
        assert!(said().is_some_and(|it| it.contains("all 1 volumes are directories")));
        bed.filled_volume(2);
        std::fs::write(data.with_file_name("image"), "").unwrap();
        assert!(said().is_some_and(|it| it.contains("and 1 are directories")));
    }

    #[test]
    fn looking_mends_nothing() {
        let bed = Bed::new();
        std::fs::write(bed.folder().join("label"), "torn").unwrap();
        let findings = limits(std::slice::from_ref(bed.disk.config()));
        assert!(findings.iter().any(|f| !f.ok && f.detail.contains("label")));
        assert_eq!(std::fs::read(bed.folder().join("label")).unwrap(), b"torn");
    }

    #[test]
    fn a_device_that_is_none_is_an_error_and_not_a_yes() {
        assert!(ask_project_quota(Path::new("/dev/no-such-device")).is_err());
        assert!(ask_project_quota(Path::new("/dev/null")).is_err());
    }
}
