//! A disk in service, the ways it can be unfit, and the check that it is still the one that was
//! opened.
//!
//! What it is for: every operation on a volume begins with [`OpenDisk::enter`], which walks from
//! the disk's path to its `holdfast` folder anew and proves the disk's identity on the way. What it
//! relies on: the label on the disk, mount ids. What it never does: keep the disk busy between
//! calls, or make anything.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use thiserror::Error;
use uuid::Uuid;

use crate::folder::{EnterFault, Folder};
use crate::label::{same_cluster, DiskLabel};
use crate::label_pair::{read_pair, LabelFault, Pair, Repair, Repairing};
use crate::mounts::is_mount_root;

/// The folder on each disk that holds everything of ours.
pub(crate) const HOLDFAST: &str = "holdfast";
/// The same folder before it is complete.
pub(crate) const HOLDFAST_DRAFT: &str = "holdfast.draft";
/// The folder of volumes, by uuid.
pub(crate) const VOLUMES: &str = "volumes";
/// The folder of volumes that are being made.
pub(crate) const MAKING: &str = "making";
/// The folder of destroyed volumes.
pub(crate) const TRASH: &str = "trash";

/// The kinds of disk, as Mesos knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskKind {
    /// A directory on the agent's own file system.
    Root,
    /// A directory that is shared among volumes.
    Path,
    /// A whole file system; unfit unless it is mounted.
    Mount,
}

/// A disk as the operator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// ROOT, PATH or MOUNT.
    pub kind: DiskKind,
    /// Its directory, absolute; it exists already. Links in the path are followed.
    pub root: PathBuf,
}

/// How [`crate::open_disk`] found the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It bore no label and was given the fresh one.
    FirstUse,
    /// It bears the label that was expected.
    Known,
    /// No label was expected, and it bears one of this cluster. The caller checks that no other
    /// open disk has the same uuid (a copied disk), and takes its volumes from
    /// [`crate::list_volumes`].
    Found,
}

/// A disk that was opened. It keeps no file open: each use identifies the disk again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDisk {
    pub(crate) config: DiskConfig,
    pub(crate) label: DiskLabel,
    pub(crate) opened: Opened,
    pub(crate) repair: Option<Repair>,
}

/// Why a disk cannot be used. Nothing was made or changed on it.
#[derive(Debug, Error)]
pub enum DiskFault {
    /// Its path is relative.
    #[error("disk root {} is not absolute; write the full path", root.display())]
    NotAbsolute {
        /// The root of the disk.
        root: PathBuf,
    },
    /// Its directory is not there.
    #[error("disk {} is missing: no such directory; mount or make it, then try again", root.display())]
    Missing {
        /// The root of the disk.
        root: PathBuf,
    },
    /// Its path leads to something that is no directory.
    #[error("disk {} is no directory; correct the path", root.display())]
    NotDirectory {
        /// The root of the disk.
        root: PathBuf,
    },
    /// It is a MOUNT disk and nothing is mounted there: this is the empty directory under it.
    #[error("disk {} is not mounted; mount its file system, then try again", root.display())]
    NotMounted {
        /// The root of the disk.
        root: PathBuf,
    },
    /// It can be read but not written.
    #[error("disk {} is mounted read-only; look for I/O errors in the kernel's log, then remount it", root.display())]
    ReadOnly {
        /// The root of the disk.
        root: PathBuf,
    },
    /// It carries no label although it should: another file system, an emptied one, or the
    /// directory under an unmounted one.
    #[error("disk {} should bear the label of disk {expected} but bears none; mount the right file system there", root.display())]
    Unlabelled {
        /// The root of the disk.
        root: PathBuf,
        /// The disk that should be there.
        expected: Uuid,
    },
    /// It carries no label, and is not to get one.
    #[error("disk {} bears no label, and gets none as long as the agent's ledger is lost; it is used once the agent was recovered", root.display())]
    Blank {
        /// The root of the disk.
        root: PathBuf,
    },
    /// It is another disk, or of another cluster.
    #[error("disk {} is disk {} of cluster {}, not {}; mount the right one, or adopt it", root.display(), found.disk_uuid, found.cluster_uuid, expected_words(expected))]
    Foreign {
        /// The root of the disk.
        root: PathBuf,
        /// The disk and the cluster that were expected; without a disk uuid, any disk of the
        /// cluster.
        expected: (Option<Uuid>, Uuid),
        /// The label that the disk has.
        found: DiskLabel,
    },
    /// Neither copy of its label can be trusted.
    #[error("the label of disk {} is damaged: {detail}; its volumes are untouched: restore {} from a backup, or ask for help", root.display(), root.join(HOLDFAST).join("label").display())]
    LabelDamaged {
        /// The root of the disk.
        root: PathBuf,
        /// What is wrong with the label.
        detail: String,
    },
    /// A newer program wrote its label.
    #[error("the label of disk {} is of version {version}, newer than this program; upgrade the agent", root.display())]
    LabelTooNew {
        /// The root of the disk.
        root: PathBuf,
        /// The label's version.
        version: u32,
    },
    /// A system call failed.
    #[error("disk {}: cannot {doing}: {source}; check the device and the agent's rights on it", root.display())]
    Io {
        /// The root of the disk.
        root: PathBuf,
        /// The action that failed.
        doing: &'static str,
        /// The error of the system call.
        source: io::Error,
    },
}

fn expected_words(expected: &(Option<Uuid>, Uuid)) -> String {
    match expected {
        (Some(disk), cluster) => format!("disk {disk} of cluster {cluster}"),
        (None, cluster) => format!("one of cluster {cluster}"),
    }
}

/// The open `holdfast` folder of a disk that has just been identified.
#[derive(Debug)]
pub(crate) struct Entered {
    pub folder: Folder,
    pub pair: Pair<DiskLabel>,
}

impl OpenDisk {
    /// The disk as configured.
    pub fn config(&self) -> &DiskConfig {
        &self.config
    }

    /// The disk's label, as it was when it was opened.
    pub fn label(&self) -> &DiskLabel {
        &self.label
    }

    /// How the disk was found when it was opened.
    pub fn opened(&self) -> Opened {
        self.opened
    }

    /// The copy of the label that was found bad at opening, if one was.
    pub fn repair(&self) -> Option<&Repair> {
        self.repair.as_ref()
    }

    /// Identifies the disk again: present, mounted, writable, of the same label. For a health check
    /// between uses.
    ///
    /// # Errors
    /// The [`DiskFault`] that [`crate::open_disk`] would answer now.
    pub fn verify(&self) -> Result<(), DiskFault> {
        self.enter().map(drop)
    }

    /// Identifies the disk and enters its folder.
    pub(crate) fn enter(&self) -> Result<Entered, DiskFault> {
        let root = open_root(&self.config)?;
        let entered = read_label(&root, Repairing::Yes)?;
        let expected = self.label.disk_uuid;
        let entered = entered
            .ok_or_else(|| DiskFault::Unlabelled { root: self.config.root.clone(), expected })?;
        check_same(&self.config.root, &self.label, &entered.pair.label)?;
        Ok(entered)
    }

    /// Wraps an I/O error on this disk.
    pub(crate) fn io(&self, doing: &'static str) -> impl Fn(io::Error) -> DiskFault + '_ {
        io_fault(&self.config.root, doing)
    }
}

/// Wraps an I/O error; those that have a variant of their own become that.
pub(crate) fn io_fault<'a>(
    root: &'a Path,
    doing: &'static str,
) -> impl Fn(io::Error) -> DiskFault + 'a {
    move |source| match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem => DiskFault::ReadOnly { root: root.to_path_buf() },
        _ => DiskFault::Io { root: root.to_path_buf(), doing, source },
    }
}

/// Opens the disk's root directory, if it is there, mounted where it must be, and writable.
pub(crate) fn open_root(config: &DiskConfig) -> Result<Folder, DiskFault> {
    let root = config.root.clone();
    if !root.is_absolute() {
        return Err(DiskFault::NotAbsolute { root });
    }
    let folder = match Folder::open(&root) {
        Ok(folder) => folder,
        Err(EnterFault::Absent) => return Err(DiskFault::Missing { root }),
        Err(EnterFault::NotDirectory) => return Err(DiskFault::NotDirectory { root }),
        Err(fault) => return Err(io_fault(&root, "open it")(fault.into_io())),
    };
    if config.kind == DiskKind::Mount
        && !is_mount_root(&folder).map_err(io_fault(&root, "tell whether it is mounted"))?
    {
        return Err(DiskFault::NotMounted { root });
    }
    let stat = rustix::fs::fstatvfs(&folder)
        .map_err(|errno| io_fault(&root, "read its state")(errno.into()))?;
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(DiskFault::ReadOnly { root });
    }
    Ok(folder)
}

/// Enters the disk's folder and reads its label; `None` if the disk has no such folder.
pub(crate) fn read_label(
    root: &Folder,
    repairing: Repairing,
) -> Result<Option<Entered>, DiskFault> {
    let path = root.path().to_path_buf();
    let damaged =
        |detail: &str| DiskFault::LabelDamaged { root: path.clone(), detail: detail.to_owned() };
    let folder = match root.enter(HOLDFAST) {
        Ok(folder) => folder,
        Err(EnterFault::Absent) => return Ok(None),
        Err(EnterFault::NotDirectory) => {
            return Err(damaged("its folder `holdfast` is a file or a link"))
        }
        Err(EnterFault::OtherMount) => {
            return Err(damaged("another file system is mounted over its folder `holdfast`"))
        }
        Err(EnterFault::Io(source)) => {
            return Err(io_fault(&path, "open its folder `holdfast`")(source))
        }
    };
    match read_pair(&folder, repairing) {
        Ok(pair) => Ok(Some(Entered { folder, pair })),
        Err(LabelFault::Absent) => Err(damaged("its folder `holdfast` holds no label")),
        Err(LabelFault::Damaged(detail)) => Err(damaged(&detail)),
        Err(LabelFault::TooNew(version)) => Err(DiskFault::LabelTooNew { root: path, version }),
        Err(LabelFault::Io(source)) => Err(io_fault(&path, "read its label")(source)),
    }
}

/// Checks that the label is of the same disk of the same cluster.
pub(crate) fn check_same(
    root: &Path,
    expected: &DiskLabel,
    found: &DiskLabel,
) -> Result<(), DiskFault> {
    if expected.disk_uuid == found.disk_uuid
        && same_cluster(expected.cluster_uuid, found.cluster_uuid)
    {
        return Ok(());
    }
    let expected = (Some(expected.disk_uuid), expected.cluster_uuid);
    Err(DiskFault::Foreign { root: root.to_path_buf(), expected, found: found.clone() })
}
