//! Disks that an operator wants added and that were not found yet.
//!
//! They are looked for beside the disks that the agent has, and belong to it only once one look has found them well. Forgotten by a crash,
//! as is the operator who waits: nothing was promised.

use std::collections::BTreeMap;

use holdfast_model::{AddedDisk, OperationUuid};

/// A disk that is looked for, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct NewDisk {
    pub(crate) disk: AddedDisk,
    /// Who asked first.
    pub(crate) by: String,
    /// The orders that wait for it.
    pub(crate) orders: Vec<OperationUuid>,
}

/// All of them, by their paths.
#[derive(Debug, Default)]
pub(crate) struct NewDisks(BTreeMap<String, NewDisk>);

impl NewDisks {
    /// Whether another disk is looked for at the same path.
    pub(crate) fn conflicts_with(&self, disk: &AddedDisk) -> bool {
        self.0.get(&disk.root).is_some_and(|it| it.disk != *disk)
    }

    /// Whether a disk is looked for at this path.
    pub(crate) fn looks_for(&self, root: &str) -> bool {
        self.0.contains_key(root)
    }

    /// A disk is looked for from now on, for one order more.
    pub(crate) fn look_for(&mut self, disk: AddedDisk, by: String, order: OperationUuid) {
        let new = || NewDisk { disk: disk.clone(), by, orders: Vec::new() };
        self.0.entry(disk.root.clone()).or_insert_with(new).orders.push(order);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &NewDisk> {
        self.0.values()
    }

    /// The paths that are looked at.
    pub(crate) fn roots(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// It was found, or is not looked for any more.
    pub(crate) fn take(&mut self, root: &str) -> Option<NewDisk> {
        self.0.remove(root)
    }
}
