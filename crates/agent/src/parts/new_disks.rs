//! Disks that an operator wants added, or taken over at another path or from another agent, and that were not found there yet; and those
//! that another agent is to have.
//!
//! They are looked for beside the disks that the agent has, and belong to it only once one look has found them well. Forgotten by a crash,
//! as is the operator who waits: nothing was promised.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_model::{AddedDisk, AgentId, DiskId, DiskTaking, OperationUuid};

/// A disk that is looked for, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct NewDisk {
    pub(crate) disk: AddedDisk,
    /// The disk that it must be, whose claims follow it; `None` for one that is new.
    pub(crate) adopts: Option<DiskId>,
    /// The claims that come with it from another agent.
    pub(crate) takes: Option<Arc<DiskTaking>>,
    /// Who asked first.
    pub(crate) by: String,
    /// The orders that wait for it.
    pub(crate) orders: Vec<OperationUuid>,
}

/// A disk that another agent is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeavingDisk {
    pub(crate) disk: DiskId,
    pub(crate) to: AgentId,
    pub(crate) by: String,
    /// Why that was cancelled by force, when it was.
    pub(crate) reason: Option<String>,
}

/// What an order is answered: why it was refused, if it was.
pub(crate) type DiskAnswer = (OperationUuid, Option<String>);

/// All of them, by their paths.
#[derive(Debug, Default)]
pub(crate) struct NewDisks {
    looked_for: BTreeMap<String, NewDisk>,
    /// What is answered once the master has heard what became of the claims.
    answers: Vec<DiskAnswer>,
    /// Those that are looked at once more before they are not used here any more, by the orders that wait.
    fencing: BTreeMap<OperationUuid, LeavingDisk>,
    /// Those whose claims end here as soon as nothing uses them any more.
    ending: BTreeMap<DiskId, LeavingDisk>,
}

impl NewDisks {
    /// Whether another disk is looked for at the same path.
    pub(crate) fn conflicts_with(&self, disk: &AddedDisk, adopts: Option<DiskId>) -> bool {
        let is_other = |it: &NewDisk| it.disk != *disk || it.adopts != adopts || it.takes.is_some();
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
        let new = || NewDisk { disk: disk.clone(), adopts, takes: None, by, orders: Vec::new() };
        self.looked_for.entry(disk.root.clone()).or_insert_with(new).orders.push(order);
    }

    /// A disk of another agent is looked for from now on. What was said of it last counts.
    pub(crate) fn look_for_taken(&mut self, taking: DiskTaking, by: String, order: OperationUuid) {
        let (root, kind) = (taking.root.clone(), taking.kind);
        let disk = AddedDisk { root: root.clone(), kind, size_mb: taking.size_mb };
        let mut orders = self.take(&root).map(|it| it.orders).unwrap_or_default();
        orders.push(order);
        let takes = Some(Arc::new(taking));
        self.looked_for.insert(root, NewDisk { disk, adopts: None, takes, by, orders });
    }

    /// Whether anything but this disk of another agent is looked for at the same path.
    pub(crate) fn conflicts_with_taken(&self, taking: &DiskTaking) -> bool {
        let is_it = |it: &NewDisk| it.takes.as_ref().is_some_and(|its| its.disk == taking.disk);
        self.looked_for.get(&taking.root).is_some_and(|it| !is_it(it))
    }

    /// Whether a disk of another agent is looked for.
    pub(crate) fn looks_for_taken(&self, disk: DiskId) -> bool {
        self.all().any(|it| it.takes.as_ref().is_some_and(|its| its.disk == disk))
    }

    /// A disk of another agent is not looked for any more; whoever waits is not answered, since a later answer counts.
    pub(crate) fn forget_taken(&mut self, disk: DiskId) {
        let is_it = |it: &NewDisk| it.takes.as_ref().is_some_and(|its| its.disk == disk);
        self.looked_for.retain(|_, it| !is_it(it));
    }

    /// The paths where disks of other agents are looked for.
    pub(crate) fn taking_roots(&self) -> Vec<String> {
        self.all().filter(|it| it.takes.is_some()).map(|it| it.disk.root.clone()).collect()
    }

    /// A disk shall not be used here any more, once it was looked at.
    pub(crate) fn fence(&mut self, order: OperationUuid, leaving: LeavingDisk) {
        self.fencing.insert(order, leaving);
    }

    pub(crate) fn take_fencing(&mut self) -> BTreeMap<OperationUuid, LeavingDisk> {
        std::mem::take(&mut self.fencing)
    }

    /// What is not written down yet of a disk's leaving is not to be.
    pub(crate) fn forget_fencing(&mut self, disk: DiskId) {
        self.fencing.retain(|_, it| it.disk != disk);
    }

    /// The claims of a disk end here as soon as nothing uses them.
    pub(crate) fn end_later(&mut self, leaving: LeavingDisk) {
        self.ending.insert(leaving.disk, leaving);
    }

    pub(crate) fn take_ending(&mut self) -> BTreeMap<DiskId, LeavingDisk> {
        std::mem::take(&mut self.ending)
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
