//! The drivers of a simulated agent: disks with labels and bytes, and containers that outlive the
//! agent.
//!
//! It relies on the same contracts as the real drivers: nothing is made in place of what is
//! missing, and a container is gone only when nothing of it runs. It never asks a core anything.

pub(crate) mod containers;
pub(crate) mod disks;
pub(crate) mod ledger_disk;
mod notebook;
