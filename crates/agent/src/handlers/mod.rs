//! What is done about each input. Each handler names the parts that it needs.
//!
//! Relies on flows, bookkeeping and the parts. A handler calls another only if it stands before it in this list.

pub(crate) mod adopt_disk;
pub(crate) mod adopt_volume;
pub(crate) mod alarms;
pub(crate) mod containers;
pub(crate) mod disk_changes;
pub(crate) mod disks;
pub(crate) mod executors;
pub(crate) mod give_up;
pub(crate) mod kill;
pub(crate) mod leave_disk;
pub(crate) mod link;
pub(crate) mod operations;
pub(crate) mod recover_ledger;
pub(crate) mod recovery;
pub(crate) mod remove_orphan;
pub(crate) mod take_disk;
pub(crate) mod together;
pub(crate) mod trash;
pub(crate) mod updates;
pub(crate) mod volumes;
