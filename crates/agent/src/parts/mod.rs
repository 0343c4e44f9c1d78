//! The parts of an agent's soft state: each a type with private fields that knows no other part.
//!
//! Everything in them is found out again after a restart. Never holds anything that somebody was promised; that is the ledger's.

mod alarms;
mod containers;
mod disk_space;
mod disks;
mod launch;
mod live_container;
mod master_link;
mod new_disks;
mod seen;
mod tasks;
mod totals;
mod volumes;
mod waiting;

pub(crate) use alarms::{Alarm, Alarms};
pub(crate) use containers::Containers;
pub(crate) use disk_space::used_by;
#[cfg(test)]
pub(crate) use disk_space::DiskSpaces;
pub(crate) use disks::Disks;
pub(crate) use launch::Launch;
pub(crate) use live_container::{LiveContainer, Phase, TerminationReason};
pub(crate) use master_link::{Admission, MasterLink, ReportWish};
pub(crate) use new_disks::{LeavingDisk, NewDisk, NewDisks};
pub(crate) use tasks::Tasks;
pub(crate) use totals::{ChangedClaims, Totals};
pub(crate) use volumes::Volumes;
pub(crate) use waiting::{Topic, Waiter, Waiting};
