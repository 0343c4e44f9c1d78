//! The machine and its disks, as the drivers found them last, and the volumes on them.
//!
//! Never says that a disk is well before the disks were opened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_model::{
    AgentLedger, Claim, ClaimId, ClaimState, DiskId, DiskSpace, MachineInfo, Resources, Scalar,
    UsedNews, Value, VolumeLimit, VolumeUsed,
};

use super::disk_space::{used_by, DiskSpaces};
use super::{NewDisks, Volumes};
use crate::contract::{DiskFound, Machine, UsedSpace};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    /// With what of it can be claimed; `None` until the disks are open.
    machine: Option<Arc<MachineInfo>>,
    /// What the settings and the drivers say that it has.
    declared: Resources,
    found: Vec<DiskFound>,
    spaces: DiskSpaces,
    faults: Arc<BTreeMap<DiskId, String>>,
    /// Claims on whole disks of another size than the claim says, and that size.
    drifts: Vec<(ClaimId, Value)>,
    readiness: Readiness,
    volumes: Volumes,
}

/// What holds up new claims, and which disks are to come.
#[derive(Debug, Default)]
struct Readiness {
    new: NewDisks,
    /// Whether the disks are being opened, for the first time or again.
    opening: bool,
    /// Why nothing new may be claimed: the agent's own file system is nearly full.
    full: Option<String>,
}

impl Disks {
    pub(crate) fn machine(&self) -> Option<&Arc<MachineInfo>> {
        self.machine.as_ref()
    }

    /// The configured disks.
    pub(crate) fn found(&self) -> &[DiskFound] {
        &self.found
    }

    /// Those that an operator wants added and that were not found yet.
    pub(crate) fn new_disks(&self) -> &NewDisks {
        &self.readiness.new
    }

    pub(crate) fn new_disks_mut(&mut self) -> &mut NewDisks {
        &mut self.readiness.new
    }

    /// A disk that was added under this name is the agent's no more.
    pub(crate) fn drop_found(&mut self, added: &str) {
        let is_it = |it: &DiskFound| it.added.as_deref() == Some(added);
        for gone in self.found.extract_if(.., |it| is_it(it)) {
            self.declared = self.declared.filter(|it| !gone.disk.carries(it));
            Arc::make_mut(&mut self.faults).remove(&gone.disk.id);
        }
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.readiness.opening
    }

    pub(crate) fn begin_opening(&mut self) {
        self.readiness.opening = true;
    }

    pub(crate) fn end_opening(&mut self) {
        self.readiness.opening = false;
    }

    /// Why nothing new may be claimed, while that is so.
    pub(crate) fn full(&self) -> Option<&String> {
        self.readiness.full.as_ref()
    }

    /// Takes note of it.
    pub(crate) fn set_full(&mut self, full: Option<String>) {
        self.readiness.full = full;
    }

    /// What is wrong with a disk that the last look named.
    pub(crate) fn fault(&self, disk: DiskId) -> Option<&String> {
        self.faults.get(&disk)
    }

    /// The same of all disks.
    pub(crate) fn faults(&self) -> &Arc<BTreeMap<DiskId, String>> {
        &self.faults
    }

    /// Whether a look found what is known already.
    ///
    /// The space on the disks is a matter of its own: it is hardly ever as it was.
    pub(crate) fn is_as_found(&self, machine: &Machine, faults: &BTreeMap<DiskId, String>) -> bool {
        let is_same = |(a, b): (&DiskFound, &DiskFound)| a.disk == b.disk && a.fault == b.fault;
        self.machine.as_deref().is_some_and(|it| is_same_but_for_resources(it, &machine.info))
            && self.declared == machine.info.resources
            && self.found.len() == machine.disks.len()
            && self.found.iter().zip(&machine.disks).all(is_same)
            && *self.faults == *faults
    }

    /// Takes what a look found.
    pub(crate) fn set_found(&mut self, machine: Machine, faults: BTreeMap<DiskId, String>) {
        let Machine { info, disks } = machine;
        let usable = self.machine.as_ref().map(|it| it.resources.clone()).unwrap_or_default();
        self.declared = info.resources;
        self.machine = Some(Arc::new(MachineInfo { resources: usable, ..info }));
        (self.found, self.faults) = (disks, Arc::new(faults));
    }

    /// What the settings and the drivers say that the machine has.
    pub(crate) fn declared(&self) -> &Resources {
        &self.declared
    }

    /// What of the machine can be claimed.
    pub(crate) fn set_usable(&mut self, usable: &Resources) {
        if let Some(machine) = &mut self.machine {
            Arc::make_mut(machine).resources = usable.clone();
        }
    }

    /// The space on the disks, as it was told last.
    pub(crate) fn spaces(&self) -> &Arc<BTreeMap<DiskId, DiskSpace>> {
        self.spaces.told()
    }

    pub(crate) fn set_spaces(&mut self, spaces: BTreeMap<DiskId, DiskSpace>) {
        self.spaces.set_told(spaces);
    }

    /// Takes note of what was measured, and of volumes that are being destroyed, are no more, or have another size now.
    pub(crate) fn note_used(&mut self, released: &[Arc<Claim>], ledger: &AgentLedger) {
        for volume in released {
            self.spaces.release(volume);
            let now = ledger.claims.get(&volume.id);
            if let Some(resized) = now.filter(|it| it.state != ClaimState::Destroying) {
                self.spaces.take_back(resized);
            }
        }
        self.spaces.note_measured(&self.found, ledger);
    }

    /// What a volume was last found to use.
    pub(crate) fn volume_used(&self, volume: &Claim) -> Option<VolumeUsed> {
        used_by(self.spaces.measured(), volume)
    }

    /// What keeps the volumes of a disk to their sizes; `None` as long as the disk was not measured.
    pub(crate) fn limit(&self, disk: DiskId) -> Option<VolumeLimit> {
        let found = self.found.iter().find(|it| it.disk.id == disk)?;
        found.space.as_ref().map(|it| it.limit)
    }

    /// These volumes, in their places or in the trash, are images.
    pub(crate) fn note_images(&mut self, volumes: &[ClaimId]) {
        self.spaces.note_images(volumes);
    }

    /// A volume was made. One that is new on a disk with images is one; one that is back from the trash is what it was.
    pub(crate) fn note_made(&mut self, ledger: &AgentLedger, id: ClaimId) {
        let disk = ledger.claims.get(&id).filter(|_| !ledger.trash.contains_key(&id));
        let limit = disk.and_then(|it| it.disk).and_then(|it| self.limit(it));
        if limit == Some(VolumeLimit::Image) {
            self.spaces.note_images(&[id]);
        }
    }

    /// A volume that was measured as nobody's is claimed.
    pub(crate) fn note_adopted(&mut self, claim: &Claim) {
        self.volumes.forget_orphan(claim.id);
        self.spaces.take_back(claim);
    }

    /// Nothing is left of a volume.
    pub(crate) fn forget_image(&mut self, volume: ClaimId) {
        self.spaces.forget_image(volume);
    }

    /// Whether a volume is an image of fixed size.
    pub(crate) fn is_image(&self, volume: ClaimId) -> bool {
        self.spaces.is_image(volume)
    }

    /// Whether volumes of a disk were found that are images, and some that are not.
    pub(crate) fn kinds(&self, disk: DiskId) -> (bool, bool) {
        self.spaces.kinds(disk)
    }

    /// The disks whose volumes were measured since this was asked last.
    pub(crate) fn take_to_enforce(&mut self) -> BTreeSet<DiskId> {
        self.spaces.take_to_enforce()
    }

    /// The volumes of a disk that were measured and are still there.
    pub(crate) fn volumes_on(&self, disk: DiskId, ledger: &AgentLedger) -> Vec<Arc<Claim>> {
        self.spaces.volumes_on(disk, ledger)
    }

    /// The volumes of a disk that should be there, and of which nothing was found when its volumes were measured.
    pub(crate) fn unmeasured_on(&self, disk: DiskId, ledger: &AgentLedger) -> Vec<ClaimId> {
        self.spaces.unmeasured_on(disk, ledger)
    }

    /// Notes whether a volume uses more than its size; answers with what was known of it.
    pub(crate) fn note_over_size(&mut self, volume: ClaimId, is_over: bool) -> bool {
        self.spaces.note_over_size(volume, is_over)
    }

    /// What the volumes of each disk were last found to use.
    pub(crate) fn measured(&self) -> &Arc<BTreeMap<DiskId, UsedSpace>> {
        self.spaces.measured()
    }

    /// What the master is to be told of what volumes use: all of it, or what has changed since it was told.
    pub(crate) fn take_used_news(&mut self, ledger: &AgentLedger, whole: bool) -> Option<UsedNews> {
        self.spaces.take_news(ledger, whole)
    }

    /// How much of their sizes the volumes of a disk use.
    pub(crate) fn used(&self, disk: DiskId) -> Scalar {
        self.spaces.used(disk)
    }

    /// How much a volume uses, as last measured; `None` when it never was.
    pub(crate) fn used_by(&self, volume: &Claim) -> Option<Scalar> {
        self.spaces.used_by(volume)
    }

    /// Notes which whole disks are of another size than their claims say; answers with those that were not known.
    pub(crate) fn note_drifts(&mut self, drifts: Vec<(ClaimId, Value)>) -> Vec<(ClaimId, Value)> {
        let fresh = drifts.iter().filter(|it| !self.drifts.contains(it)).cloned().collect();
        self.drifts = drifts;
        fresh
    }

    /// Whether a disk or a volume is not as it should be.
    pub(crate) fn is_anything_wrong(&self) -> bool {
        !self.faults.is_empty()
            || self.volumes.has_faults()
            || self.found.iter().any(|it| it.fault.is_some())
    }

    pub(crate) fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    pub(crate) fn volumes_mut(&mut self) -> &mut Volumes {
        &mut self.volumes
    }
}

fn is_same_but_for_resources(a: &MachineInfo, b: &MachineInfo) -> bool {
    (&a.hostname, a.port, &a.payload) == (&b.hostname, b.port, &b.payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::Bed;
    use holdfast_model::Scalar;
    use uuid::Uuid;

    #[test]
    fn what_a_look_found_is_kept_until_the_next() {
        let (mut disks, machine) = (Disks::default(), Bed::fresh().machine);
        assert!(!disks.is_as_found(&machine, &BTreeMap::new()));
        disks.set_found(machine.clone(), BTreeMap::new());
        assert!(disks.is_as_found(&machine, &BTreeMap::new()) && !disks.is_anything_wrong());
        let ill = machine.disks[0].disk.id;
        let faults = BTreeMap::from([(ill, "not mounted".to_owned())]);
        assert!(!disks.is_as_found(&machine, &faults));
        disks.set_found(machine, faults);
        assert!(disks.is_anything_wrong() && disks.fault(ill).is_some());
    }

    #[test]
    fn a_drift_is_news_once() {
        let drift = (ClaimId(Uuid::from_u128(1)), Value::Scalar(Scalar::whole(5)));
        let mut disks = Disks::default();
        assert_eq!(disks.note_drifts(vec![drift.clone()]), std::slice::from_ref(&drift));
        assert_eq!(disks.note_drifts(vec![drift.clone()]), []);
        assert_eq!(disks.note_drifts(vec![]), []);
        assert_eq!(disks.note_drifts(vec![drift.clone()]), [drift]);
    }
}
