//! Removes a sandbox, and nothing that belongs to a volume.
//!
//! What it is for: garbage collection of sandboxes, in which links to volumes lie, and in which
//! volumes may still be mounted when a clean-up failed. What it relies on: [`crate::guard`]. What
//! it never does: remove anything of a volume or a disk, whatever links, mounts and races there
//! are. When in doubt it keeps, and says what and why.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::folder::{EnterFault, Folder};
use crate::guard::{is_labelled_folder, Kept, Remover};
use crate::mounts::{identify, FileId};
use crate::walker::walk;

/// The result of a removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "something may have been kept"]
pub struct RemoveReport {
    /// The number of files, links and directories that were removed.
    pub removed_entries: u64,
    /// The bytes that this gave back, by blocks.
    pub removed_bytes: u64,
    /// What was kept; at most the first hundred.
    pub kept: Vec<Kept>,
    /// The number of things that were kept.
    pub kept_count: u64,
}

impl RemoveReport {
    /// Whether the whole tree is gone.
    pub fn complete(&self) -> bool {
        self.kept_count == 0
    }
}

/// Why a removal was not begun.
#[derive(Debug, Error)]
pub enum RemoveRefused {
    /// The path is relative, or `/`, or goes through `..`.
    #[error("{} is no path to remove: give an absolute one without `..`", path.display())]
    BadPath {
        /// The path that was to be removed.
        path: PathBuf,
    },
    /// The path is a link or a file.
    #[error("{} is no directory but a link or a file; remove it by hand if it should go", path.display())]
    NotDirectory {
        /// The path that was to be removed.
        path: PathBuf,
    },
    /// It lies in a protected directory.
    #[error("{} lies in a protected directory; nothing there is removed this way", path.display())]
    Protected {
        /// The path that was to be removed.
        path: PathBuf,
    },
    /// It lies in a disk's folder or in a volume.
    #[error("{} lies within a disk's `holdfast` folder or a volume; only DESTROY removes volumes", path.display())]
    InVolume {
        /// The path that was to be removed.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("cannot remove {}: cannot {doing}: {source}; check the agent's rights on it", path.display())]
    Io {
        /// The path that was to be removed.
        path: PathBuf,
        /// The action that failed.
        doing: &'static str,
        /// The error of the system call.
        source: io::Error,
    },
}

/// Removes the directory `path` and all in it, except what is on another mount, what is among or
/// below `protected`, and what bears a label of a disk or volume: those are kept with the
/// directories above them, and reported.
///
/// `protected` are directories such as each disk's `<root>/holdfast`; those that do not exist
/// protect nothing. A path that is not there is removed already. Meant for a blocking thread: it
/// takes as long as the tree is big.
///
/// # Errors [`RemoveRefused`], with nothing removed. After `Io` in the middle of the walk a part
/// may be gone.
pub fn remove_tree_guarded(
    path: &Path,
    protected: &[PathBuf],
) -> Result<RemoveReport, RemoveRefused> {
    let bad_path = || RemoveRefused::BadPath { path: path.to_path_buf() };
    let plain = path.is_absolute() && path.components().all(|part| part != Component::ParentDir);
    let (Some(parent), Some(name), true) = (path.parent(), path.file_name(), plain) else {
        return Err(bad_path());
    };
    let io = |doing: &'static str| {
        move |source| RemoveRefused::Io { path: path.to_path_buf(), doing, source }
    };
    let parent = match Folder::open(parent) {
        Ok(parent) => parent,
        Err(EnterFault::Absent) => return Ok(RemoveReport::default()),
        Err(fault) => return Err(io("open its parent")(fault.into_io())),
    };
    let protected = identify_all(protected).map_err(io("look at the protected directories"))?;
    check_above(&parent, path, &protected)?;
    match rustix::fs::statat(&parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat)
            if rustix::fs::FileType::from_raw_mode(stat.st_mode)
                == rustix::fs::FileType::Directory => {}
        Ok(_) => return Err(RemoveRefused::NotDirectory { path: path.to_path_buf() }),
        Err(Errno::NOENT) => return Ok(RemoveReport::default()),
        Err(errno) => return Err(io("look at it")(errno.into())),
    }
    let name = CString::new(name.as_bytes()).map_err(|_| bad_path())?;
    let mut on_removed = |_| ControlFlow::Continue(());
    let mut remover = Remover::new(parent.identity().mount, &mut on_removed);
    remover.protected = protected;
    remover.heed_labels = true;
    walk(parent.as_fd(), parent.path(), &name, &mut remover).map_err(io("walk it"))?;
    let Remover { removed, kept, .. } = remover;
    if removed.kept > 0 {
        tracing::warn!(path = %path.display(), kept = removed.kept, first = ?kept.first(), "a sandbox was not wholly removed");
    }
    Ok(RemoveReport {
        removed_entries: removed.entries,
        removed_bytes: removed.bytes,
        kept,
        kept_count: removed.kept,
    })
}

fn identify_all(paths: &[PathBuf]) -> io::Result<BTreeSet<FileId>> {
    let mut ids = BTreeSet::new();
    for path in paths {
        match rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => drop(ids.insert(identify(fd)?.file)),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(ids)
}

/// Checks every directory above the tree, up to the root.
fn check_above(
    parent: &Folder,
    path: &Path,
    protected: &BTreeSet<FileId>,
) -> Result<(), RemoveRefused> {
    let io = |source| RemoveRefused::Io {
        path: path.to_path_buf(),
        doing: "look at the directories above it",
        source,
    };
    let mut dir = parent.as_fd().try_clone_to_owned().map_err(io)?;
    let mut here = identify(&dir).map_err(io)?;
    loop {
        if protected.contains(&here.file) {
            return Err(RemoveRefused::Protected { path: path.to_path_buf() });
        }
        if is_labelled_folder(dir.as_fd()).map_err(io)? {
            return Err(RemoveRefused::InVolume { path: path.to_path_buf() });
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let up = match rustix::fs::openat(&dir, "..", flags, Mode::empty()) {
            Ok(up) => up,
            // Directories further up may permit search but not reading: they are opened by path
            // only.
            Err(Errno::ACCESS) => rustix::fs::openat(
                &dir,
                "..",
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .map_err(|errno| io(errno.into()))?,
            Err(errno) => return Err(io(errno.into())),
        };
        let above = identify(&up).map_err(io)?;
        if above.file == here.file && above.mount == here.mount {
            return Ok(());
        }
        (dir, here) = (up, above);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::KeptWhy;
    use crate::testbed::{Bed, TmpfsMount};
    use std::fs;
    use std::os::unix::fs::{symlink, PermissionsExt};

    fn sandbox(bed: &Bed) -> PathBuf {
        let path = bed.dir.path().join("sandboxes/run");
        fs::create_dir_all(path.join("deep/er")).unwrap();
        fs::write(path.join("stdout"), "out").unwrap();
        fs::write(path.join("deep/er/file"), vec![1; 10_000]).unwrap();
        path
    }

    #[test]
    fn a_plain_sandbox_goes_wholly_and_twice_is_once() {
        let bed = Bed::new();
        let path = sandbox(&bed);
        fs::set_permissions(path.join("deep/er"), fs::Permissions::from_mode(0o000)).unwrap();
        let report = remove_tree_guarded(&path, &[]).unwrap();
        assert!(report.complete() && !path.exists() && path.parent().unwrap().exists());
        assert_eq!(report.removed_entries, 5);
        assert!(report.removed_bytes >= 10_000);
        assert_eq!(remove_tree_guarded(&path, &[]).unwrap(), RemoveReport::default());
    }

    #[test]
    fn mesos_7366_a_link_to_a_volume_goes_its_content_stays() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let path = sandbox(&bed);
        symlink(&data, path.join("data")).unwrap();
        symlink(bed.folder(), path.join("deep/all")).unwrap();
        fs::hard_link(data.join("precious"), path.join("hard")).unwrap();
        assert!(remove_tree_guarded(&path, &[]).unwrap().complete());
        assert!(!path.exists());
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
    }

    #[test]
    fn mesos_7366_a_volume_still_mounted_in_the_sandbox_stays() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let path = sandbox(&bed);
        let Some(mount) =
            TmpfsMount::bind(&data, path.join("deep/data"), "mesos_7366_a_volume_still_mounted")
        else {
            return;
        };
        let report = remove_tree_guarded(&path, &[]).unwrap();
        assert_eq!(report.kept, [Kept { path: path.join("deep/data"), why: KeptWhy::OtherMount }]);
        assert!(!path.join("stdout").exists(), "all else is gone");
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
        assert_eq!(fs::read_to_string(path.join("deep/data/precious")).unwrap(), "bytes of 1");
        drop(mount);
        assert!(remove_tree_guarded(&path, &[]).unwrap().complete());
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
    }

    #[test]
    fn a_sandbox_that_is_itself_a_mount_stays() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let Some(_mount) =
            TmpfsMount::bind(&data, bed.dir.path().join("run"), "a_sandbox_that_is_itself_a_mount")
        else {
            return;
        };
        let report = remove_tree_guarded(&bed.dir.path().join("run"), &[]).unwrap();
        assert_eq!((report.kept_count, report.removed_entries), (1, 0));
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
    }

    #[test]
    fn disks_volumes_and_what_lies_in_them_are_refused_by_their_labels() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        fs::create_dir(data.join("sub")).unwrap();
        for inside in [
            data.join("sub"),
            data.clone(),
            data.parent().unwrap().to_path_buf(),
            bed.folder().join("volumes"),
            bed.folder().join("trash"),
        ] {
            assert!(
                matches!(remove_tree_guarded(&inside, &[]), Err(RemoveRefused::InVolume { .. })),
                "{}",
                inside.display()
            );
        }
        for above in [bed.folder(), bed.disk.config().root.clone(), bed.dir.path().to_path_buf()] {
            let report = remove_tree_guarded(&above, &[]).unwrap();
            assert_eq!(
                (report.kept_count, report.kept[0].why.clone()),
                (1, KeptWhy::Labelled),
                "{}",
                above.display()
            );
        }
        for name in ["label", "label-copy"] {
            fs::write(bed.folder().join(name), "both torn").unwrap();
        }
        assert_eq!(remove_tree_guarded(bed.dir.path(), &[]).unwrap().kept_count, 1);
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
    }

    #[test]
    fn a_volume_moved_into_a_sandbox_stays() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let path = sandbox(&bed);
        fs::rename(data.parent().unwrap(), path.join("deep/er/v")).unwrap();
        let report = remove_tree_guarded(&path, &[]).unwrap();
        assert_eq!(report.kept, [Kept { path: path.join("deep/er/v"), why: KeptWhy::Labelled }]);
        assert!(path.join("deep/er/v/data/precious").exists());
    }

    #[test]
    fn protected_directories_stay_from_above_and_from_within() {
        let bed = Bed::new();
        let path = sandbox(&bed);
        let deep = path.join("deep");
        let report = remove_tree_guarded(&path, std::slice::from_ref(&deep)).unwrap();
        assert_eq!(report.kept, [Kept { path: deep.clone(), why: KeptWhy::Protected }]);
        assert!(deep.join("er/file").exists() && !path.join("stdout").exists());
        assert!(matches!(
            remove_tree_guarded(&deep.join("er"), std::slice::from_ref(&deep)),
            Err(RemoveRefused::Protected { .. })
        ));
        let link = bed.dir.path().join("alias");
        symlink(&deep, &link).unwrap();
        assert!(
            matches!(
                remove_tree_guarded(&link.join("er"), &[deep]),
                Err(RemoveRefused::Protected { .. })
            ),
            "by whatever path"
        );
    }

    #[test]
    fn bad_paths_are_refused() {
        let bed = Bed::new();
        sandbox(&bed);
        let link = bed.dir.path().join("link");
        symlink("sandboxes", &link).unwrap();
        assert!(matches!(remove_tree_guarded(&link, &[]), Err(RemoveRefused::NotDirectory { .. })));
        for bad in ["/", "relative/x", "/tmp/../etc", ""] {
            assert!(
                matches!(
                    remove_tree_guarded(Path::new(bad), &[]),
                    Err(RemoveRefused::BadPath { .. })
                ),
                "{bad}"
            );
        }
        assert!(bed.dir.path().join("sandboxes/run/stdout").exists());
    }

    #[test]
    fn a_tree_deeper_than_any_path_or_file_limit_goes() {
        let bed = Bed::new();
        let path = bed.dir.path().join("run");
        let mut dir = Folder::open(bed.dir.path()).unwrap().make("run", 0o755).unwrap();
        for _ in 0..3000 {
            dir = dir.make("d", 0o755).unwrap();
        }
        drop(dir);
        assert_eq!(remove_tree_guarded(&path, &[]).unwrap().removed_entries, 3001);
        assert!(!path.exists());
    }

    #[test]
    fn many_names_in_one_directory_go() {
        let bed = Bed::new();
        let path = bed.dir.path().join("run");
        fs::create_dir(&path).unwrap();
        for n in 0..5000 {
            fs::write(path.join(format!("file-with-a-name-{n}")), "").unwrap();
        }
        assert!(remove_tree_guarded(&path, &[]).unwrap().complete());
    }
}
