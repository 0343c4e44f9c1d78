//! Disks that an operator wants added, or taken over at another path, and that were not found there yet.
//!
//! They are looked for beside the disks that the agent has, and belong to it only once one look has found them well. Forgotten by a crash,
//! as is the operator who waits: nothing was promised.

use std::collections::BTreeMap;

use holdfast_model::{AddedDisk, DiskId, OperationUuid};

/// A disk that is looked for, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct NewDisk {
    pub(crate) disk: AddedDisk,
    /// The disk that it must be, whose claims follow it; `None` for one that is new.
    pub(crate) adopts: Option<DiskId>,
    /// Who asked first.
    pub(crate) by: String,
    /// The orders that wait for it.
    pub(crate) orders: Vec<OperationUuid>,
}

/// What an order is answered: why it was refused, if it was.
pub(crate) type DiskAnswer = (OperationUuid, Option<String>);

/// All of them, by their paths.
#[derive(Debug, Default)]
pub(crate) struct NewDisks {
    looked_for: BTreeMap<String, NewDisk>,
    /// What is answered once the master has heard what became of the claims.
    answers: Vec<DiskAnswer>,
}

impl NewDisks {
    /// Whether another disk is looked for at the same path.
    pub(crate) fn conflicts_with(&self, disk: &AddedDisk, adopts: Option<DiskId>) -> bool {
        let is_other = |it: &NewDisk| it.disk != *disk || it.adopts != adopts;
        self.looked_for.get(&disk.root).is_some_and(is_other)
    }

    /// Whether a disk is looked for at this path.
    pub(crate) fn looks_for(&self, root: &str) -> bool {
        self.looked_for.contains_key(root)
    }

    /// A disk is looked for from now on, for one order more.
    pub(crate) fn look_for(
        &mut self,
        (disk, adopts): (AddedDisk, Option<DiskId>),
        by: String,
        order: OperationUuid,
    ) {
        let new = || NewDisk { disk: disk.clone(), adopts, by, orders: Vec::new() };
        self.looked_for.entry(disk.root.clone()).or_insert_with(new).orders.push(order);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &NewDisk> {
        self.looked_for.values()
    }

    /// The paths that are looked at.
    pub(crate) fn roots(&self) -> Vec<String> {
        self.looked_for.keys().cloned().collect()
    }

    /// The paths where a disk is looked for whose claims follow it.
    pub(crate) fn adopting_roots(&self) -> Vec<String> {
        self.all().filter(|it| it.adopts.is_some()).map(|it| it.disk.root.clone()).collect()
    }

    /// It was found, or is not looked for any more.
    pub(crate) fn take(&mut self, root: &str) -> Option<NewDisk> {
        self.looked_for.remove(root)
    }

    /// These orders are answered once the master has heard what became of the claims.
    pub(crate) fn answer_later(&mut self, answers: impl IntoIterator<Item = DiskAnswer>) {
        self.answers.extend(answers);
    }

    pub(crate) fn take_answers(&mut self) -> Vec<DiskAnswer> {
        std::mem::take(&mut self.answers)
    }
}
