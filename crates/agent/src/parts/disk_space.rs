//! The space on the disks: as it was told last, and how much of their sizes the volumes use.
//!
//! What volumes use is summed up when it was measured, and kept by difference until the next time. Never counts what a volume uses beyond its
//! size: that is taken from everybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_model::{AgentLedger, Claim, ClaimId, ClaimState, DiskId, DiskSpace, Scalar};

use crate::contract::DiskFound;

/// See the file.
#[derive(Debug, Default)]
pub(crate) struct DiskSpaces {
    told: Arc<BTreeMap<DiskId, DiskSpace>>,
    used: BTreeMap<DiskId, Used>,
}

/// What the volumes of a disk use.
#[derive(Debug)]
struct Used {
    /// As measured, in megabytes.
    measured: Arc<BTreeMap<ClaimId, u64>>,
    /// By those that are still there, at most their sizes.
    within_sizes: Scalar,
}

impl DiskSpaces {
    /// As it was told last.
    pub(crate) fn told(&self) -> &Arc<BTreeMap<DiskId, DiskSpace>> {
        &self.told
    }

    pub(crate) fn set_told(&mut self, spaces: BTreeMap<DiskId, DiskSpace>) {
        self.told = Arc::new(spaces);
    }

    /// Sums up what was measured since this was called last.
    pub(crate) fn note_measured(&mut self, found: &[DiskFound], ledger: &AgentLedger) {
        self.used.retain(|disk, _| found.iter().any(|it| it.disk.id == *disk && is_measured(it)));
        for disk in found {
            let Some(used) = disk.space.as_ref().and_then(|it| it.used.as_ref()) else { continue };
            let id = disk.disk.id;
            let is_known =
                self.used.get(&id).is_some_and(|it| Arc::ptr_eq(&it.measured, &used.volumes));
            if !is_known {
                let measured = used.volumes.clone();
                let within_sizes = within_sizes(id, &measured, ledger);
                self.used.insert(id, Used { measured, within_sizes });
            }
        }
    }

    /// A volume is being destroyed, or is no more.
    pub(crate) fn release(&mut self, volume: &Claim) {
        let Some(used) = volume.disk.and_then(|it| self.used.get_mut(&it)) else { return };
        if let Some(mb) = used.measured.get(&volume.id) {
            used.within_sizes = used.within_sizes.minus(within_size(volume, *mb));
        }
    }

    /// How much of their sizes the volumes of a disk use; nothing as long as they were not measured.
    pub(crate) fn used(&self, disk: DiskId) -> Scalar {
        self.used.get(&disk).map_or(Scalar::ZERO, |it| it.within_sizes)
    }
}

fn is_measured(disk: &DiskFound) -> bool {
    disk.space.as_ref().is_some_and(|it| it.used.is_some())
}

fn within_sizes(disk: DiskId, measured: &BTreeMap<ClaimId, u64>, ledger: &AgentLedger) -> Scalar {
    let of = |(id, mb): (&ClaimId, &u64)| {
        let claim = ledger.claims.get(id).filter(|it| it.disk == Some(disk))?;
        (claim.state != ClaimState::Destroying).then(|| within_size(claim, *mb))
    };
    measured.iter().filter_map(of).fold(Scalar::ZERO, Scalar::plus)
}

fn within_size(volume: &Claim, used_mb: u64) -> Scalar {
    let used = Scalar::whole(i64::try_from(used_mb).unwrap_or(i64::MAX));
    used.min(volume.resource.value.quantity())
}
