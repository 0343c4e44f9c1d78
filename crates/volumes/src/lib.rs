//! The driver for disks: discover, label, make, check, measure, limit, trash and adopt.
//!
//! What it is for: every system call that touches a disk or a volume of the cluster is made here,
//! by sync, blocking functions that the agent's shell calls on its blocking threads. One function
//! per operation, one file per function:
//!
//! | operation | function |
//! |---|---|
//! | which disks could serve | [`discover`] |
//! | bring a disk into service, verify it | [`open_disk`], [`adopt_disk`] |
//! | keep other agents of this machine off it | [`hold_disk`], [`hold_disk_for`] |
//! | see whether it takes writes again | [`prove_writable`] |
//! | a volume: make, adopt, check before use, relabel, list | [`make_volume`], [`make_volumes`], [`adopt_volume`], [`adopt_directory`], [`check_volume`], [`relabel`], [`list_volumes`], [`give_volume_to`] |
//! | DESTROY in two steps, and back | [`trash_volume`], [`trash_volumes`], [`restore_volume`], [`list_trash`], [`purge_trash`], [`purge_trash_further`] |
//! | garbage collection of sandboxes | [`remove_tree_guarded`] |
//! | space | [`capacity`], [`measure`], [`measure_up_to`], [`measure_volume`], [`VolumesMeter`] |
//! | whether two names are one place | [`place_of`] |
//! | what this machine can enforce | [`limits`], [`cannot_make_images`] |
//!
//! On each disk:
//!
//! ```text
//! <root>/holdfast/label, label-copy        which disk of which cluster this is
//! <root>/holdfast/volumes/<uuid>/label, label-copy, data/
//! <root>/holdfast/volumes/<uuid>/image     of a volume of fixed size, mounted at its data/
//! <root>/holdfast/making/<uuid>/           a volume that is being made; never seen by a task
//! <root>/holdfast/trash/<uuid>-<ms>/       destroyed, can be restored
//! <root>/holdfast/trash/<uuid>-<ms>.purging/   being removed
//! ```
//!
//! What it relies on: Linux (`openat`, `renameat2`, `statx`), a file system whose `fsync` and
//! directory `fsync` hold.
//!
//! What it never does: it keeps no handle on a disk between calls (an operator can unmount a disk
//! that no task uses); it creates nothing on a disk that it did not just identify; it follows no
//! symbolic link below a disk's root; it crosses no mount; it removes no byte of a volume except in
//! [`purge_trash`] of an entry that [`trash_volume`] made; it has no clock and generates no ids:
//! both come with the call.

mod adopt_directory;
mod adopt_disk;
mod adopt_volume;
mod capacity;
mod check_volume;
mod dirty_pages;
mod discover;
mod disk;
mod ext4;
mod folder;
mod give_volume;
mod guard;
mod hold_disk;
mod image;
mod label;
mod label_pair;
mod limits;
mod list_volumes;
mod loop_device;
mod make_volume;
mod measure;
mod mounts;
mod open_disk;
mod peek_disk;
mod place;
#[cfg(test)]
mod proptests;
mod prove_writable;
mod purge_trash;
mod relabel;
mod remove_tree;
mod restore_volume;
mod steps;
mod sweep_unmade;
mod sync_at_once;
#[cfg(test)]
mod testbed;
mod trash;
mod trash_volume;
mod volume;
mod volumes_meter;
mod walker;

pub use adopt_directory::adopt_directory;
pub use adopt_disk::adopt_disk;
pub use adopt_volume::{adopt_volume, Adopted};
pub use capacity::{capacity, Capacity};
pub use check_volume::check_volume;
pub use discover::{discover, DiscoverError, FoundMount};
pub use disk::{DiskConfig, DiskFault, DiskKind, OpenDisk, Opened};
pub use give_volume::give_volume_to;
pub use guard::{Kept, KeptWhy};
pub use hold_disk::{hold_disk, hold_disk_for, DiskHold, HeldBy, HoldFault};
pub use image::cannot_make_images;
pub use label::{DiskLabel, VolumeLabel, LABEL_VERSION};
pub use label_pair::Repair;
pub use limits::{limits, Finding};
pub use list_volumes::{list_volumes, DamagedVolume, FoundVolume, FoundVolumes};
pub use make_volume::{make_volume, make_volumes};
pub use measure::{measure, measure_up_to, measure_volume, MeasureError, Usage, VolumeUsage};
pub use open_disk::open_disk;
pub use peek_disk::{peek_disk, Peeked};
pub use place::{device_name, place_of, Place};
pub use prove_writable::prove_writable;
pub use purge_trash::{purge_trash, purge_trash_further, PurgeProgress};
pub use relabel::relabel;
pub use remove_tree::{remove_tree_guarded, RemoveRefused, RemoveReport};
pub use restore_volume::restore_volume;
pub use sweep_unmade::sweep_unmade;
pub use trash::{list_trash, TrashEntry, TrashList};
pub use trash_volume::{trash_volume, trash_volumes};
pub use volume::VolumeFault;
pub use volumes_meter::VolumesMeter;
