//! The common part of all operations on a volume: the ways it can be unfit, and the walk to its
//! folder.
//!
//! What it is for: [`VolumeFault`], and the comparison of a found label with an expected one. What
//! it relies on: [`crate::disk::OpenDisk`]'s identification. What it never does: make anything.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use uuid::Uuid;

use crate::disk::{DiskFault, Entered, OpenDisk, TRASH, VOLUMES};
use crate::folder::{EnterFault, Folder, PRIVATE_MODE};
use crate::guard::KeptWhy;
use crate::image::{enter_image, look_at_image};
use crate::label::{same_cluster, VolumeLabel};
use crate::label_pair::{read_pair, LabelFault, Pair, Repairing};

/// The only part of a volume that a container sees.
pub(crate) const DATA: &str = "data";

/// Why an operation on a volume failed. No byte of it was removed.
#[derive(Debug, Error)]
pub enum VolumeFault {
    /// The disk is unfit.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// The volume is not on this disk.
    #[error("volume {volume_uuid} is missing from {}; it is not made anew: bring back the disk that holds it, restore it from the trash, or destroy the claim", path.display())]
    Missing {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The path where it should be.
        path: PathBuf,
    },
    /// What stands in its place is another volume, or belongs to another disk or cluster.
    #[error("volume {volume_uuid} is not what is at {}: {detail}; find out who put it there before using either", path.display())]
    Foreign {
        /// The volume that was asked for.
        volume_uuid: Uuid,
        /// The path that was examined.
        path: PathBuf,
        /// What differs from the claim.
        detail: String,
    },
    /// Its label is older than the ledger: a change of its claim did not reach the disk.
    #[error("the label of volume {volume_uuid} is of generation {found}, the claim of {expected}; relabel it, then try again")]
    Older {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The claim's generation.
        expected: u64,
        /// The label's generation.
        found: u64,
    },
    /// Its label is newer than the ledger: the ledger has lost data.
    #[error("the label of volume {volume_uuid} is of generation {found}, newer than the claim's {expected}: the ledger is out of date; do not use the volume before the ledger is restored")]
    Newer {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The claim's generation.
        expected: u64,
        /// The label's generation.
        found: u64,
    },
    /// Its label is of the same generation but says something else.
    #[error("the label of volume {volume_uuid} and its claim disagree: {detail}; relabel it if the claim is right")]
    Differs {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// What differs from the claim.
        detail: String,
    },
    /// Its folder is there but not whole. It is left as it is.
    #[error("volume {volume_uuid} at {} is damaged: {detail}; nothing was changed: look at it before using it", path.display())]
    Damaged {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The path that was examined.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A newer program wrote its label.
    #[error("the label of volume {volume_uuid} is of version {version}, newer than this program; upgrade the agent")]
    LabelTooNew {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The label's version.
        version: u32,
    },
    /// It was to be an image of fixed size, and none can be made.
    #[error("volume {volume_uuid} cannot be made as an image of fixed size: {why}")]
    NoImage {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The reason, and what to do about it.
        why: String,
    },
    /// A directory that was to become its data cannot.
    #[error("{} cannot become volume {volume_uuid}: {why}; it was left as it is", path.display())]
    NotAdoptable {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The directory.
        path: PathBuf,
        /// The reason, and what to do about it.
        why: String,
    },
    /// Its claim needs more space than is free, beside what it uses already.
    #[error("volume {volume_uuid} uses {used_mb} MB, and beside that {missing_mb} MB of its size are not there: give it less, or make room")]
    NoSpace {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// What is missing, in MiB.
        missing_mb: u64,
        /// What it uses, in MiB.
        used_mb: u64,
    },
    /// It was destroyed and lies in the trash.
    #[error("volume {volume_uuid} is in the trash at {}; restore it, or use a new uuid", path.display())]
    InTrash {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The path of its entry in the trash.
        path: PathBuf,
    },
    /// The trash entry is not there any more, or is being removed already.
    #[error("volume {volume_uuid} cannot be restored from {}: it is gone or being removed; only a backup can bring it back", path.display())]
    NotRestorable {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The path that its entry had.
        path: PathBuf,
    },
    /// Something of a destroyed volume could not be removed.
    #[error("volume {volume_uuid} is not wholly removed: {} was kept ({}); unmount or free it, then purge again", path.display(), why.words())]
    NotPurged {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The first thing that was kept.
        path: PathBuf,
        /// The reason why it was kept.
        why: KeptWhy,
    },
    /// The caller gave a label that does not belong on this disk.
    #[error("volume {volume_uuid} was claimed on disk {claimed}, but this is disk {disk}; send the operation to the right disk")]
    WrongDisk {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The disk its claim names.
        claimed: Uuid,
        /// The disk at hand.
        disk: Uuid,
    },
    /// A system call failed.
    #[error("volume {volume_uuid}: cannot {doing}: {source}; check the disk's health, free space and the agent's rights")]
    Io {
        /// The uuid of the volume.
        volume_uuid: Uuid,
        /// The action that failed.
        doing: &'static str,
        /// The error of the system call.
        source: io::Error,
    },
}

/// Wraps an I/O error on a volume.
pub(crate) fn volume_io(
    volume_uuid: Uuid,
    doing: &'static str,
) -> impl Fn(io::Error) -> VolumeFault {
    move |source| VolumeFault::Io { volume_uuid, doing, source }
}

/// Copies an error, for each of several volumes that it concerns.
pub(crate) fn copy_of(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}

/// The name of a volume's folder.
pub(crate) fn folder_name(volume_uuid: Uuid) -> String {
    volume_uuid.hyphenated().to_string()
}

/// The path of a volume of this disk.
pub(crate) fn volume_path(disk: &OpenDisk, volume_uuid: Uuid) -> PathBuf {
    disk.config().root.join(crate::disk::HOLDFAST).join(VOLUMES).join(folder_name(volume_uuid))
}

/// Makes the fault of a damaged volume.
pub(crate) fn damaged(volume_uuid: Uuid, path: &Path, detail: impl Into<String>) -> VolumeFault {
    VolumeFault::Damaged { volume_uuid, path: path.to_path_buf(), detail: detail.into() }
}

/// Enters the folder in which all volumes are.
pub(crate) fn enter_volumes(disk: &OpenDisk, entered: &Entered) -> Result<Folder, DiskFault> {
    entered.folder.enter(VOLUMES).map_err(|fault| match fault {
        EnterFault::Io(source) => disk.io("open its folder of volumes")(source),
        _ => DiskFault::LabelDamaged {
            root: disk.config().root.clone(),
            detail: "its folder `holdfast/volumes` is missing, no directory, or mounted over"
                .into(),
        },
    })
}

/// Enters the trash, made anew if it is missing.
pub(crate) fn enter_trash(disk: &OpenDisk, entered: &Entered) -> Result<Folder, DiskFault> {
    entered
        .folder
        .make(TRASH, PRIVATE_MODE)
        .map_err(|fault| disk.io("open its trash")(fault.into_io()))
}

/// Enters one volume's folder; `None` if there is none.
pub(crate) fn enter_volume(
    volumes: &Folder,
    volume_uuid: Uuid,
) -> Result<Option<Folder>, VolumeFault> {
    let name = folder_name(volume_uuid);
    match volumes.enter(&name) {
        Ok(folder) => Ok(Some(folder)),
        Err(EnterFault::Absent) => Ok(None),
        Err(EnterFault::NotDirectory) => Err(damaged(
            volume_uuid,
            &volumes.path().join(name),
            "a file or a link stands in its place",
        )),
        Err(EnterFault::OtherMount) => {
            let detail = "another file system is mounted over it".into();
            Err(VolumeFault::Foreign { volume_uuid, path: volumes.path().join(name), detail })
        }
        Err(EnterFault::Io(source)) => Err(volume_io(volume_uuid, "open its folder")(source)),
    }
}

/// Reads a volume's label in its folder, and mends a bad copy.
pub(crate) fn read_volume_label(
    folder: &Folder,
    volume_uuid: Uuid,
) -> Result<Pair<VolumeLabel>, VolumeFault> {
    look_at_label(folder, volume_uuid, Repairing::Yes)
}

/// Reads a volume's label in its folder.
pub(crate) fn look_at_label(
    folder: &Folder,
    volume_uuid: Uuid,
    repairing: Repairing,
) -> Result<Pair<VolumeLabel>, VolumeFault> {
    let pair = read_pair::<VolumeLabel>(folder, repairing).map_err(|fault| match fault {
        LabelFault::Absent => damaged(volume_uuid, folder.path(), "it has no label"),
        LabelFault::Damaged(detail) => {
            damaged(volume_uuid, folder.path(), format!("its label is damaged: {detail}"))
        }
        LabelFault::TooNew(version) => VolumeFault::LabelTooNew { volume_uuid, version },
        LabelFault::Io(source) => volume_io(volume_uuid, "read its label")(source),
    })?;
    if pair.label.volume_uuid != volume_uuid {
        let detail = format!("its label says volume {}", pair.label.volume_uuid);
        return Err(VolumeFault::Foreign {
            volume_uuid,
            path: folder.path().to_path_buf(),
            detail,
        });
    }
    Ok(pair)
}

/// Enters the directory of a volume that tasks see. Never makes it.
pub(crate) fn enter_data(folder: &Folder, volume_uuid: Uuid) -> Result<Folder, VolumeFault> {
    folder.enter(DATA).map_err(|fault| match fault {
        EnterFault::Absent => damaged(volume_uuid, folder.path(), "its directory `data` is gone"),
        EnterFault::NotDirectory => {
            damaged(volume_uuid, folder.path(), "its `data` is a file or a link")
        }
        EnterFault::OtherMount => {
            let detail = "another file system is mounted over its `data`".into();
            VolumeFault::Foreign { volume_uuid, path: folder.path().to_path_buf(), detail }
        }
        EnterFault::Io(source) => volume_io(volume_uuid, "open its directory `data`")(source),
    })
}

/// Enters the data of a volume with the label that was found on it, for a use. An image is mounted if it is not.
pub(crate) fn use_data(folder: &Folder, found: &VolumeLabel) -> Result<Folder, VolumeFault> {
    match found.image {
        true => enter_image(folder, found.volume_uuid),
        false => enter_data(folder, found.volume_uuid),
    }
}

/// Sees that the data of a volume with the label that was found on it is there, and mounts nothing.
pub(crate) fn look_at_data(folder: &Folder, found: &VolumeLabel) -> Result<PathBuf, VolumeFault> {
    match found.image {
        true => look_at_image(folder, found.volume_uuid).map(|()| folder.path().join(DATA)),
        false => Ok(enter_data(folder, found.volume_uuid)?.path().to_path_buf()),
    }
}

/// Checks that the claim of `label` is on this disk.
pub(crate) fn check_claimed_here(disk: &OpenDisk, label: &VolumeLabel) -> Result<(), VolumeFault> {
    let here = disk.label().disk_uuid;
    if label.disk_uuid == here {
        return Ok(());
    }
    Err(VolumeFault::WrongDisk {
        volume_uuid: label.volume_uuid,
        claimed: label.disk_uuid,
        disk: here,
    })
}

/// Checks that the found label is of the expected volume, whatever has become of its claim since.
pub(crate) fn check_identity(
    path: &Path,
    expected: &VolumeLabel,
    found: &VolumeLabel,
) -> Result<(), VolumeFault> {
    let detail = if found.volume_uuid != expected.volume_uuid {
        format!("its label says volume {}", found.volume_uuid)
    } else if found.disk_uuid != expected.disk_uuid {
        format!("its label says disk {}", found.disk_uuid)
    } else if !same_cluster(found.cluster_uuid, expected.cluster_uuid) {
        format!("its label says cluster {}", found.cluster_uuid)
    } else if found.persistence_id != expected.persistence_id {
        format!(
            "its label says persistence id {:?}, the claim {:?}",
            found.persistence_id, expected.persistence_id
        )
    } else {
        return Ok(());
    };
    Err(VolumeFault::Foreign {
        volume_uuid: expected.volume_uuid,
        path: path.to_path_buf(),
        detail,
    })
}

/// Checks that the found label says what the claim says.
pub(crate) fn check_claim(
    path: &Path,
    expected: &VolumeLabel,
    found: &VolumeLabel,
) -> Result<(), VolumeFault> {
    check_identity(path, expected, found)?;
    let volume_uuid = expected.volume_uuid;
    match found.generation.cmp(&expected.generation) {
        std::cmp::Ordering::Less => {
            return Err(VolumeFault::Older {
                volume_uuid,
                expected: expected.generation,
                found: found.generation,
            });
        }
        std::cmp::Ordering::Greater => {
            return Err(VolumeFault::Newer {
                volume_uuid,
                expected: expected.generation,
                found: found.generation,
            });
        }
        std::cmp::Ordering::Equal => {}
    }
    let detail = if found.role != expected.role {
        format!("role {:?} on the disk, {:?} in the claim", found.role, expected.role)
    } else if found.principal != expected.principal {
        format!(
            "principal {:?} on the disk, {:?} in the claim",
            found.principal, expected.principal
        )
    } else {
        return Ok(()); // The label says how large the volume was when it was made; it may have been resized since.
    };
    Err(VolumeFault::Differs { volume_uuid, detail })
}
