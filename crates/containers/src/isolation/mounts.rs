//! Volumes in a mount namespace, and `/proc` of a pid namespace.
//!
//! A volume is cloned as a detached mount, made private to the container and read-only if asked
//! while it is still nowhere, and only then moved to its place: it is never seen with more rights
//! than it should have, and the host never sees it in the sandbox at all. Where the host's mounts
//! are shared, as systemd makes them, they keep flowing in (and out again: a disk can be unmounted
//! while containers run); none flow back. Needs Linux 5.12.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::sched::{setns, unshare, CloneFlags};
use rustix::fs::{fstat, CWD};
use rustix::io::Errno;
use rustix::mount::{
    mount, mount_change, move_mount, open_tree, unmount, MountFlags, MountPropagationFlags,
    MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use super::beneath::{make_and_note, make_directories, open_beneath, open_directory, Made};
use super::{hide, IsolationError, Isolator, Subject};
use crate::process::ProcessIdentity;
use crate::VolumeMount;

const NAME: &str = "mounts";

/// The isolator of this kind.
pub(crate) struct Mounts;

impl Isolator for Mounts {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Makes the mount points, which on the host's side stay empty directories.
    fn prepare(&self, subject: &Subject) -> Result<(), IsolationError> {
        for volume in subject.volumes {
            let failed = |error| {
                IsolationError::new(
                    NAME,
                    format!("make a mount point at {}", volume.container_path),
                    error,
                )
            };
            let sandbox = open_directory(subject.sandbox).map_err(failed)?;
            make_directories(&sandbox, volume.container_path.as_ref(), subject.owner)
                .map_err(failed)?;
        }
        Ok(())
    }

    fn enter(&self, subject: &Subject) -> Result<(), IsolationError> {
        unshare_mounts().map_err(|error| {
            IsolationError::new(NAME, "leave the host's mount namespace", error)
        })?;
        let failed = |volume: &VolumeMount, detail: String| {
            IsolationError::new(NAME, format!("mount volume {}", volume.container_path), detail)
        };
        // All are cloned before anything is covered: they lie in what is.
        let trees = subject
            .volumes
            .iter()
            .map(|volume| detached(volume).map_err(|detail| failed(volume, detail)))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(hiding) = subject.hiding {
            hide::mounts_of("self")
                .and_then(|mounts| hide::cover(hiding, subject.sandbox, &mounts))
                .map_err(|detail| IsolationError::new(NAME, "hide what is not its own", detail))?;
            hide::own_devices()
                .map_err(|detail| IsolationError::new(NAME, "make its own /dev", detail))?;
        }
        for (volume, tree) in subject.volumes.iter().zip(&trees) {
            place(tree, subject, volume).map_err(|detail| failed(volume, detail))?;
        }
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        if let Err(error) = mount("proc", "/proc", "proc", flags, None) {
            // Inside another container this may be forbidden. The host's /proc still works for the
            // payload, it only shows too much.
            eprintln!("/proc of the container could not be mounted, it shows the host's processes: {error}");
        }
        Ok(())
    }

    /// The namespace dies with its last process; nothing is left on the host.
    fn cleanup(&self, _subject: &Subject) -> Result<(), IsolationError> {
        Ok(())
    }
}

/// Gives this thread a mount namespace that follows the host's mounts and never propagates back.
pub(super) fn unshare_mounts() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string())?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(|error| error.to_string())
}

/// Clones a volume's data as a detached mount.
pub(super) fn detached(volume: &VolumeMount) -> Result<OwnedFd, String> {
    let source = open_directory(&volume.source)
        .map_err(|error| format!("opening {}: {error}", volume.source.display()))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(&source, "", flags)
        .map_err(|error| format!("cloning the mount of {}: {error}", volume.source.display()))?;
    set_attributes(&tree, volume.read_only)
        .map_err(|error| format!("setting its attributes (needs Linux 5.12): {error}"))?;
    Ok(tree)
}

/// Moves a detached mount to its place beneath the sandbox, as this thread sees it. If that fails,
/// nothing is left there that was not there before: an empty directory would pass for a volume.
pub(super) fn place(tree: &OwnedFd, subject: &Subject, volume: &VolumeMount) -> Result<(), String> {
    let sandbox =
        open_directory(subject.sandbox).map_err(|error| format!("opening the sandbox: {error}"))?;
    let mut made = Made::default();
    let target = make_and_note(&sandbox, volume.container_path.as_ref(), subject.owner, &mut made)
        .map_err(|error| format!("making the mount point: {error}"));
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    let moved = target.and_then(|it| {
        move_mount(tree, "", &it, "", flags).map_err(|error| format!("mounting: {error}"))
    });
    moved.inspect_err(|_| made.undo())
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// `mount_setattr(2)`: a follower of the host's mounts, read-only if asked.
#[allow(unsafe_code, reason = "neither nix nor rustix has mount_setattr")]
pub(super) fn set_attributes(tree: &OwnedFd, read_only: bool) -> std::io::Result<()> {
    const READ_ONLY: u64 = 1;
    let attributes = MountAttributes {
        set: if read_only { READ_ONLY } else { 0 },
        clear: 0,
        propagation: libc::MS_SLAVE,
        user_namespace: 0,
    };
    // SAFETY: the descriptor is open for the length of the call, the path is a NUL-terminated
    // literal, and the structure is the kernel's first version of mount_attr (32 bytes), whose size
    // is passed along.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &attributes as *const MountAttributes,
            size_of::<MountAttributes>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Mounts a volume in a running container, unless that very volume is at its place already.
pub(crate) fn show(
    first: &ProcessIdentity,
    subject: &Subject,
    volume: &VolumeMount,
) -> Result<(), IsolationError> {
    let failed = |detail: String| {
        IsolationError::new(NAME, format!("mount volume {}", volume.container_path), detail)
    };
    let tree = detached(volume).map_err(failed)?;
    within(first, || match is_at_place(&tree, subject, volume)? {
        true => Ok(()),
        false => place(&tree, subject, volume),
    })
    .map_err(failed)
}

/// Whether this thread sees at a volume's place the directory that `tree` holds, and not one that
/// was there before the mount. Both numbers are needed: inodes repeat from one file system to the
/// next.
fn is_at_place(tree: &OwnedFd, subject: &Subject, volume: &VolumeMount) -> Result<bool, String> {
    let looking = |error: Errno| format!("looking at the mount point: {error}");
    let sandbox =
        open_directory(subject.sandbox).map_err(|error| format!("opening the sandbox: {error}"))?;
    let there = match open_beneath(&sandbox, volume.container_path.as_ref()) {
        Ok(there) => fstat(&there).map_err(looking)?,
        // When nothing is there the mount makes it; when it is no directory the mount fails.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        Err(error) => return Err(looking(error)),
    };
    let wanted =
        fstat(tree).map_err(|error| format!("looking at {}: {error}", volume.source.display()))?;
    Ok((there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino))
}

/// Unmounts one volume of a running container; fails while a process of the container uses it.
pub(crate) fn remove(
    first: &ProcessIdentity,
    sandbox: &Path,
    container_path: &str,
) -> Result<(), IsolationError> {
    let failed = |detail: String| {
        IsolationError::new(NAME, format!("unmount volume {container_path}"), detail)
    };
    let target = sandbox.join(container_path);
    within(first, || match unmount(&target, UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => {
            Err("the container still uses it; let the task close its files there, or destroy it"
                .to_string())
        }
        Err(error) => Err(error.to_string()),
    })
    .map_err(failed)
}

/// Hides more places from a running container.
pub(crate) fn hide_more(
    first: &ProcessIdentity,
    hiding: &hide::Hiding,
    sandbox: &Path,
) -> Result<(), IsolationError> {
    hide::mounts_of(&first.pid.to_string())
        .and_then(|mounts| within(first, || hide::cover(hiding, sandbox, &mounts)))
        .map_err(|detail| IsolationError::new(NAME, "hide what is not its own", detail))
}

/// Runs `work` as if inside the container's mount namespace: in a thread of its own, which ends
/// with it, because a thread that shares its file system state with others may not change
/// namespace, and must not come back from one.
fn within<R: Send>(
    first: &ProcessIdentity,
    work: impl FnOnce() -> Result<R, String> + Send,
) -> Result<R, String> {
    let path = format!("/proc/{}/ns/mnt", first.pid);
    let namespace =
        std::fs::File::open(&path).map_err(|error| format!("opening {path}: {error}"))?;
    if !first.is_alive() {
        return Err("the container has ended".to_string());
    }
    std::thread::scope(|scope| {
        let inside = scope.spawn(move || {
            unshare(CloneFlags::CLONE_FS).map_err(|error| error.to_string())?;
            setns(namespace, CloneFlags::CLONE_NEWNS)
                .map_err(|error| format!("entering the container's mounts: {error}"))?;
            work()
        });
        inside.join().unwrap_or_else(|_| {
            Err("the thread that entered the container's mounts panicked".to_string())
        })
    })
}

/// Tries, in a thread that ends with the trial, whether this machine lets us do all of the above.
pub(crate) fn probe(dir: &Path) -> Result<(), String> {
    std::thread::scope(|scope| {
        let trial = scope.spawn(|| {
            unshare_mounts()?;
            let volume = VolumeMount::new(dir, "probe").read_only();
            let tree = detached(&volume)?;
            let target = open_directory(dir).map_err(|error| error.to_string())?;
            let flags =
                MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
            move_mount(&tree, "", &target, "", flags)
                .map_err(|error| format!("moving a mount: {error}"))?;
            match rustix::fs::openat(
                CWD,
                dir.join("probe"),
                rustix::fs::OFlags::CREATE
                    | rustix::fs::OFlags::WRONLY
                    | rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::RUSR,
            ) {
                Err(Errno::ROFS) => Ok(()),
                Err(error) => Err(format!("a read-only mount answered a write with: {error}")),
                Ok(_) => Err("a read-only mount accepted a write".to_string()),
            }
        });
        trial.join().unwrap_or_else(|_| Err("the trial panicked".to_string()))
    })
}

/// Tries whether a pid namespace can be made; the trial makes one that never gets a process.
pub(crate) fn probe_pid_namespace() -> Result<(), String> {
    std::thread::scope(|scope| {
        let trial =
            scope.spawn(|| unshare(CloneFlags::CLONE_NEWPID).map_err(|error| error.to_string()));
        trial.join().unwrap_or_else(|_| Err("the trial panicked".to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_cannot_be_mounted_leaves_no_directory() {
        let sandbox = tempfile::tempdir().unwrap();
        std::fs::create_dir(sandbox.path().join("var")).unwrap();
        let limits = crate::Limits::default();
        let subject = Subject {
            id: "c",
            sandbox: sandbox.path(),
            volumes: &[],
            limits: &limits,
            owner: None,
            hiding: None,
            shim_pid: None,
        };
        // A plain directory is no mount, so the kernel does not move it.
        let tree = open_directory(sandbox.path()).unwrap();
        let volume = VolumeMount::new(sandbox.path(), "var/lib/db");
        let error = place(&tree, &subject, &volume).unwrap_err();
        assert!(error.starts_with("mounting:"), "{error}");
        assert!(sandbox.path().join("var").is_dir());
        assert!(
            !sandbox.path().join("var/lib").exists(),
            "no empty directory in place of a volume"
        );
    }
}
