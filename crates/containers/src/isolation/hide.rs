//! What a container must not see: Holdfast's own places on this machine, that is the agent's directory
//! with its ledger, its records and the sandboxes of others, and everything on its disks but the
//! volumes that the container was given.
//!
//! They are covered in its mount namespace by empty directories that nothing can be written to, and
//! `/dev` becomes one of its own, without the devices of disks. A root payload cannot take the covers
//! off, because it lacks the capabilities for that ([`drop_capabilities`]). What this does not do: keep
//! root from changing the machine's own files, by which it may get anything later.
//!
//! The host's mounts come and go beneath the covers: one on the root of a mount comes down with it to
//! the directory beneath, and stays on top when it is mounted again. So a disk that no volume of the
//! container is on can still be unmounted.

use std::fs::{self, DirBuilder, File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{symlink, DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{fstat, openat, statx, AtFlags, FileType, Mode, OFlags, StatxFlags, CWD};
use rustix::io::Errno;
use rustix::mount::{
    mount, move_mount, open_tree, unmount, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use rustix::thread::{
    capabilities, remove_capability_from_bounding_set, set_capabilities, CapabilitySet,
};
use serde::{Deserialize, Serialize};

use super::mounts::{set_attributes, unshare_mounts};

/// What passes through a cover cannot be listed.
const PASS_MODE: u32 = 0o711;
/// The kernel's number of the attribute "root of a mount".
const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
/// The devices that a container has: no disk is among them.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// What the machine has mounted below `/dev` and containers share.
const SHARED: [&str; 3] = ["shm", "mqueue", "hugepages"];
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// A place of Holdfast's own on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenPlace {
    root: PathBuf,
    /// Only this folder of it, unless the root is a file system's own.
    #[serde(default)]
    folder: Option<String>,
}

impl HiddenPlace {
    /// The whole directory `root`.
    pub fn whole(root: impl Into<PathBuf>) -> HiddenPlace {
        HiddenPlace { root: root.into(), folder: None }
    }

    /// The folder `name` in the directory `root`, which may hold what is others'; all of `root` when a
    /// file system is mounted there.
    pub fn folder(root: impl Into<PathBuf>, name: impl Into<String>) -> HiddenPlace {
        HiddenPlace { root: root.into(), folder: Some(name.into()) }
    }

    /// The directory to cover; `None` when there is none, or nothing else would be left.
    fn directory(&self) -> Option<PathBuf> {
        let root = self.root.canonicalize().ok()?;
        let place = match &self.folder {
            Some(folder) if root.parent().is_none() || !is_mount_root(&root) => root.join(folder),
            _ => root,
        };
        let is_directory = fs::symlink_metadata(&place).is_ok_and(|it| it.is_dir());
        Some(place).filter(|it| is_directory && it.parent().is_some())
    }
}

fn is_mount_root(path: &Path) -> bool {
    let flags = AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    statx(CWD, path, flags, StatxFlags::TYPE)
        .is_ok_and(|it| it.stx_attributes.bits() & STATX_ATTR_MOUNT_ROOT != 0)
}

/// What a container does not see, and what of that it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hiding {
    /// What it does not see.
    pub places: Vec<HiddenPlace>,
    /// Files or directories that it sees all the same; its sandbox is always among them.
    pub kept: Vec<PathBuf>,
}

/// The mounts that a process sees, `self` or one with a number, as the kernel lists them.
pub(crate) fn mounts_of(process: &str) -> Result<Vec<u8>, String> {
    fs::read(format!("/proc/{process}/mountinfo")).map_err(words)
}

/// Covers all places, as this thread sees them, but for the sandbox and what else is kept. `mounts` are those that it sees: in a container
/// they cannot be read by who is not in it.
pub(crate) fn cover(hiding: &Hiding, sandbox: &Path, mounts: &[u8]) -> Result<(), String> {
    let mut directories: Vec<PathBuf> =
        hiding.places.iter().filter_map(HiddenPlace::directory).collect();
    // One that lies in another is covered with it.
    directories.sort();
    directories.dedup_by(|later, earlier| later.starts_with(earlier));
    let mut kept = Vec::new();
    for path in hiding.kept.iter().map(PathBuf::as_path).chain([sandbox]) {
        if directories.iter().any(|it| path.starts_with(it)) {
            let tree = clone_of(path).map_err(|it| format!("keeping {}: {it}", path.display()))?;
            kept.push((path, tree));
        }
    }
    let_go_of_images(&directories, mounts)?;
    for directory in &directories {
        let inside = kept.iter().filter(|(path, _)| path.starts_with(directory));
        cover_one(directory, inside)
            .map_err(|detail| format!("covering {}: {detail}", directory.display()))?;
    }
    Ok(())
}

/// Unmounts the volumes that are file systems of their own, as this thread sees them: what the container was given of them is cloned by
/// now. A copy that stayed below a cover would keep a volume in use that is destroyed while the container runs, and with it the space.
/// Where the machine's mounts are shared, those of volumes that are made later come, and go again with the machine's own.
fn let_go_of_images(directories: &[PathBuf], mounts: &[u8]) -> Result<(), String> {
    for line in mounts.split(|byte| *byte == b'\n') {
        let Some(point) = line.split(|byte| *byte == b' ').nth(4) else { continue };
        let point = unescaped(point);
        let is_hidden = directories.iter().any(|it| point.starts_with(it));
        if is_hidden && is_volume(&point) {
            // One that the machine has just unmounted is gone here, too.
            let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
            match unmount(&point, flags) {
                Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
                Err(error) => {
                    return Err(format!("letting go of {}: {error}", point.display()));
                }
            }
        }
    }
    Ok(())
}

/// A path as the kernel lists it: blanks and the like are three octal digits.
fn unescaped(word: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..3).and_then(|it| std::str::from_utf8(it).ok());
        let escaped = digits.filter(|_| *first == b'\\');
        match escaped.and_then(|it| u8::from_str_radix(it, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[3..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// Whether a path is `DISK/holdfast/volumes/UUID/data`.
fn is_volume(point: &Path) -> bool {
    let name = |at: usize| {
        point.ancestors().nth(at).and_then(Path::file_name).and_then(std::ffi::OsStr::to_str)
    };
    (name(0), name(2), name(3)) == (Some("data"), Some("volumes"), Some("holdfast"))
}

fn cover_one<'a>(
    directory: &Path,
    kept: impl Iterator<Item = &'a (&'a Path, OwnedFd)>,
) -> Result<(), String> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", directory, "tmpfs", flags, Some(c"mode=711")).map_err(words)?;
    for (path, tree) in kept {
        let above = path.parent().unwrap_or(directory);
        DirBuilder::new().recursive(true).mode(PASS_MODE).create(above).map_err(words)?;
        // The umask may have taken from their modes.
        for passed in
            above.ancestors().take_while(|it| *it != directory && it.starts_with(directory))
        {
            fs::set_permissions(passed, Permissions::from_mode(PASS_MODE)).map_err(words)?;
        }
        put(tree, path)?;
    }
    let covered =
        openat(CWD, directory, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(words)?;
    set_attributes(&covered, true).map_err(words)
}

/// Clones the mount of a file or directory as a detached one, with what is mounted below it.
fn clone_of(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    open_tree(CWD, path, flags)
}

/// Moves a detached mount to a place, which is made for it.
fn put(tree: &OwnedFd, path: &Path) -> Result<(), String> {
    match FileType::from_raw_mode(fstat(tree).map_err(words)?.st_mode) {
        FileType::Directory => match DirBuilder::new().create(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(words(error))
            }
            _ => {}
        },
        _ => drop(File::create(path).map_err(words)?),
    }
    move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(words)
}

/// Gives this thread's mount namespace a `/dev` of its own: the devices that every program needs, new
/// terminals, and the machine's shared memory. The machine's own `/dev` shows its disks, whose bytes root
/// can read and write past every volume.
pub(crate) fn own_devices() -> Result<(), String> {
    let dev = Path::new("/dev");
    let existing = |names: &[&str]| -> Result<Vec<(PathBuf, OwnedFd)>, String> {
        let mut trees = Vec::new();
        for path in names.iter().map(|it| dev.join(it)) {
            match clone_of(&path) {
                Ok(tree) => trees.push((path, tree)),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(format!("cloning {}: {error}", path.display())),
            }
        }
        Ok(trees)
    };
    let trees = [existing(&DEVICES)?, existing(&SHARED)?];
    let log = fs::read_link(dev.join("log")).ok();
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("tmpfs", dev, "tmpfs", flags, Some(c"mode=755,size=64k")).map_err(words)?;
    for (path, tree) in trees.iter().flatten() {
        put(tree, path)?;
    }
    for (target, name) in LINKS {
        symlink(target, dev.join(name)).map_err(words)?;
    }
    if let Some(target) = log {
        symlink(target, dev.join("log")).map_err(words)?;
    }
    let terminals = dev.join("pts");
    DirBuilder::new().create(&terminals).map_err(words)?;
    let options = Some(c"newinstance,ptmxmode=0666,mode=620");
    mount("devpts", &terminals, "devpts", flags, options).map_err(words)
}

/// The capabilities by which root gets around what is hidden: it could mount and unmount (SYS_ADMIN),
/// work through a process of the machine (SYS_PTRACE) or the kernel (SYS_MODULE, SYS_RAWIO, BPF,
/// PERFMON), open files by number (DAC_READ_SEARCH), look at mappings (CHECKPOINT_RESTORE), and make the
/// device of a disk (MKNOD).
const DROPPED: [CapabilitySet; 9] = [
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::SYS_PTRACE,
    CapabilitySet::SYS_MODULE,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::BPF,
    CapabilitySet::PERFMON,
    CapabilitySet::DAC_READ_SEARCH,
    CapabilitySet::CHECKPOINT_RESTORE,
    CapabilitySet::MKNOD,
];

/// Takes those from this thread and all that it forks, for good.
pub(crate) fn drop_capabilities() -> Result<(), String> {
    let mut sets = capabilities(None).map_err(words)?;
    for dropped in DROPPED {
        match remove_capability_from_bounding_set(dropped) {
            // A kernel that does not know it has none.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(format!("dropping {dropped:?}: {error}")),
        }
        for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
            set.remove(dropped);
        }
    }
    set_capabilities(None, sets).map_err(words)
}

/// Tries, in a thread that ends with the trial, whether this machine lets us do all of the above. `dir` is
/// a directory of ours.
pub(crate) fn probe(dir: &Path) -> Result<(), String> {
    let trial = std::thread::scope(|scope| scope.spawn(|| try_all(dir)).join());
    // The thread has covered it for itself alone.
    let _ = fs::remove_dir_all(dir.join("hidden"));
    trial.unwrap_or_else(|_| Err("the trial panicked".to_string()))
}

fn try_all(dir: &Path) -> Result<(), String> {
    let (place, kept) = (dir.join("hidden"), dir.join("hidden/kept"));
    DirBuilder::new().recursive(true).mode(0o700).create(&kept).map_err(words)?;
    fs::write(place.join("secret"), "").map_err(words)?;
    unshare_mounts()?;
    let hiding = Hiding { places: vec![HiddenPlace::whole(&place)], kept: Vec::new() };
    cover(&hiding, &kept, &mounts_of("self")?)?;
    own_devices()?;
    drop_capabilities()?;
    let hidden = !place.join("secret").exists() && kept.is_dir();
    let sealed = rustix::mount::unmount(&place, rustix::mount::UnmountFlags::DETACH).is_err();
    match hidden && sealed {
        true => Ok(()),
        false => Err("what was covered could be seen or uncovered".to_string()),
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_told_from_other_mounts_by_their_paths() {
        let spelt = unescaped(b"/mnt/a\\040disk\\134x/holdfast/volumes/7/data");
        assert_eq!(spelt, Path::new("/mnt/a disk\\x/holdfast/volumes/7/data"));
        assert!(is_volume(&spelt));
        for other in ["/mnt/holdfast/volumes/data", "/mnt/holdfast/trash/7/data", "/data", "/"] {
            assert!(!is_volume(Path::new(other)), "{other}");
        }
    }
}
