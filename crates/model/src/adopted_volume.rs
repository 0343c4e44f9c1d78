//! Volumes that are taken over as they are: an orphan on a disk, whose label tells whose it was, or a directory with data.
//!
//! Who adopts one may say otherwise: another role, another name, another size; what he does not say is as its label has it. Never says that
//! something empty will do in place of what was to be adopted.

use crate::id::{ClaimId, DiskId, PersistenceId};
use crate::role::Role;

/// What the one volume of a CREATE is made of, when it is not made empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filling {
    /// A whole volume that no claim stands for.
    Orphan {
        /// The claim that it was made for, which names its directory, and is its claim again.
        volume: ClaimId,
        /// The generation of its label as it was found.
        generation: u64,
    },
    /// A directory of the disk's file system, by its absolute path, which is moved into the volume, and never copied.
    Directory(String),
}

/// What an operator wants adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdoptedFrom {
    /// A whole volume that no claim stands for.
    Orphan(ClaimId),
    /// A directory with data, by its absolute path on the agent's host. It has no label: role, name and size must be given.
    Directory(String),
}

/// A volume that an operator wants adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeAdoption {
    /// The disk that it lies on, by the label of the disk.
    pub disk: DiskId,
    /// What becomes the volume.
    pub from: AdoptedFrom,
    /// The role that it shall be for; `None` for that of its label.
    pub role: Option<Role>,
    /// The name that it shall have; `None` for that of its label.
    pub name: Option<PersistenceId>,
    /// The size that it shall have in megabytes (2^20 bytes); `None` for that of its label.
    pub size_mb: Option<u64>,
    /// Where tasks will see it, in their sandbox.
    pub container_path: String,
}
