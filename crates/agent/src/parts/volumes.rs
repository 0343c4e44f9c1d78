//! What is under way on volumes: which are being made, which are made though others of the same CREATE are not, which are being
//! checked, and what is wrong with those that failed their check.
//!
//! Never says that a volume is whole because nobody looked.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{ClaimId, DiskId, LabelledVolume, SharedMap};

use crate::contract::VolumeLabel;

/// Volumes that the drivers work on, and what they said.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    faults: SharedMap<ClaimId, String>,
    /// Asked for, and not answered.
    making: BTreeSet<ClaimId>,
    /// Made, while others of the same operation are not.
    made: BTreeSet<ClaimId>,
    /// Asked for, not answered, and nobody's by now.
    unwanted: BTreeMap<ClaimId, VolumeLabel>,
    /// Those that are being adopted, with the megabytes that their drivers look for in them.
    adopting: BTreeMap<ClaimId, u64>,
    checking: BTreeSet<ClaimId>,
    /// Whole volumes that no claim stood for when their disk was opened last.
    orphans: BTreeMap<DiskId, Vec<LabelledVolume>>,
    /// Whether a check has brought something that the master does not know.
    has_news: bool,
}

impl Volumes {
    /// The whole volumes on a disk that no claim stood for when it was opened last.
    pub(crate) fn orphans(&self, disk: DiskId) -> &[LabelledVolume] {
        self.orphans.get(&disk).map(Vec::as_slice).unwrap_or_default()
    }

    /// Takes note of them; says whether they are others than before.
    pub(crate) fn set_orphans(&mut self, disk: DiskId, orphans: Vec<LabelledVolume>) -> bool {
        let before = match orphans.is_empty() {
            true => self.orphans.remove(&disk),
            false => self.orphans.insert(disk, orphans.clone()),
        };
        before.unwrap_or_default() != orphans
    }

    /// One more is there.
    pub(crate) fn add_orphan(&mut self, disk: DiskId, orphan: LabelledVolume) {
        self.orphans.entry(disk).or_default().push(orphan);
    }

    /// One of them is claimed, or goes to the trash.
    pub(crate) fn forget_orphan(&mut self, id: ClaimId) {
        self.orphans.values_mut().for_each(|its| its.retain(|it| it.id != id));
    }

    /// A volume is to be adopted that must use so much already, in megabytes.
    pub(crate) fn note_adopting(&mut self, id: ClaimId, own_mb: u64) {
        self.adopting.insert(id, own_mb);
    }

    /// What was looked for in a volume that is adopted.
    pub(crate) fn take_adopting(&mut self, id: ClaimId) -> u64 {
        self.adopting.remove(&id).unwrap_or(0)
    }

    /// Why a volume could not be used when it was checked last.
    pub(crate) fn fault(&self, id: ClaimId) -> Option<&String> {
        self.faults.get(&id)
    }

    /// The same of all volumes.
    pub(crate) fn faults(&self) -> &SharedMap<ClaimId, String> {
        &self.faults
    }

    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Those that failed their last check.
    pub(crate) fn faulty(&self) -> Vec<ClaimId> {
        self.faults.keys().copied().collect()
    }

    pub(crate) fn forget_fault(&mut self, id: ClaimId) {
        self.faults.remove(&id);
    }

    /// Whether a volume is to be made now; not when its making is under way.
    pub(crate) fn begin_making(&mut self, id: ClaimId) -> bool {
        self.making.insert(id)
    }

    pub(crate) fn end_making(&mut self, id: ClaimId) {
        self.making.remove(&id);
    }

    /// Whether a volume was asked for, and not answered.
    pub(crate) fn is_in_making(&self, id: ClaimId) -> bool {
        self.making.contains(&id)
    }

    /// Nobody wants a volume any more whose making is under way.
    pub(crate) fn note_unwanted(&mut self, label: VolumeLabel) {
        self.unwanted.insert(label.claim, label);
    }

    /// What is to be done away with now that it is answered.
    pub(crate) fn take_unwanted(&mut self, id: ClaimId) -> Option<VolumeLabel> {
        self.unwanted.remove(&id)
    }

    pub(crate) fn note_made(&mut self, id: ClaimId) {
        self.made.insert(id);
    }

    pub(crate) fn is_made(&self, id: ClaimId) -> bool {
        self.made.contains(&id)
    }

    pub(crate) fn forget_made(&mut self, id: ClaimId) {
        self.made.remove(&id);
    }

    /// Whether a volume is to be checked now; not when its check is under way.
    pub(crate) fn begin_check(&mut self, id: ClaimId) -> bool {
        self.checking.insert(id)
    }

    pub(crate) fn is_checked(&self, id: ClaimId) -> bool {
        self.checking.contains(&id)
    }

    /// Checks that are under way say nothing any more.
    pub(crate) fn drop_checks(&mut self) {
        self.checking.clear();
    }

    /// A check is over.
    pub(crate) fn end_check(&mut self, id: ClaimId) {
        self.checking.remove(&id);
    }

    /// What a check found. Says whether that is news.
    pub(crate) fn note_check(&mut self, id: ClaimId, fault: Option<&String>) -> bool {
        let before = self.faults.remove(&id);
        if let Some(fault) = fault {
            self.faults.insert(id, fault.clone());
        }
        let is_news = before.as_deref() != fault;
        self.has_news |= is_news;
        is_news
    }

    /// Whether the master is to be told what checks found: once, when none is under way any more.
    pub(crate) fn take_news(&mut self) -> bool {
        self.checking.is_empty() && std::mem::take(&mut self.has_news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn news_wait_for_the_last_check() {
        let (mut volumes, id) = (Volumes::default(), |it| ClaimId(Uuid::from_u128(it)));
        assert!(volumes.begin_check(id(1)) && volumes.begin_check(id(2)));
        assert!(!volumes.begin_check(id(1)), "it is under way");
        volumes.end_check(id(1));
        let fault = "missing".to_owned();
        assert!(volumes.note_check(id(1), Some(&fault)));
        assert!(!volumes.take_news());
        volumes.end_check(id(2));
        assert!(!volumes.note_check(id(2), None), "it was whole before");
        assert!(volumes.take_news() && !volumes.take_news());
        assert_eq!((volumes.fault(id(1)), volumes.faulty()), (Some(&fault), vec![id(1)]));
    }

    #[test]
    fn a_volume_is_made_once_at_a_time() {
        let (mut volumes, id) = (Volumes::default(), ClaimId(Uuid::from_u128(1)));
        assert!(volumes.begin_making(id) && !volumes.begin_making(id));
        volumes.end_making(id);
        volumes.note_made(id);
        assert!(volumes.is_made(id) && volumes.begin_making(id));
        volumes.forget_made(id);
        assert!(!volumes.is_made(id));
    }
}
