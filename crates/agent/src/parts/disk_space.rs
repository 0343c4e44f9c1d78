//! The space on the disks: as it was told last, and how much of their sizes the volumes use.
//!
//! What volumes use is summed up when it was measured, and kept by difference until the next time. Never counts what a volume uses beyond its
//! size: that is taken from everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_model::{
    is_used_news, AgentLedger, Claim, ClaimId, ClaimState, DiskId, DiskSpace, Scalar, UsedNews,
    VolumeUsed,
};

use crate::contract::{DiskFound, UsedSpace};

/// See the file.
#[derive(Debug, Default)]
pub(crate) struct DiskSpaces {
    told: Arc<BTreeMap<DiskId, DiskSpace>>,
    /// What the volumes of each disk were last found to use.
    measured: Arc<BTreeMap<DiskId, UsedSpace>>,
    /// Of each disk, by those volumes that are still there, at most their sizes.
    within_sizes: BTreeMap<DiskId, Scalar>,
    news: News,
    /// Disks whose volumes were measured since their limit was last seen to.
    to_enforce: BTreeSet<DiskId>,
    /// Volumes that were found to use more than their size.
    over_size: BTreeSet<ClaimId>,
    images: Images,
}

/// Volumes that are images of fixed size: all of it is taken from their disk, whatever is in them. Which ones they are is told by the disks.
#[derive(Debug, Default)]
struct Images {
    volumes: BTreeSet<ClaimId>,
    /// Of each disk whose volumes were measured, whether some are images, and whether some are not.
    kinds: BTreeMap<DiskId, (bool, bool)>,
}

impl Images {
    /// What a volume uses of its disk, at most its size.
    fn within_size(&self, volume: &Claim, used_bytes: u64) -> Scalar {
        let size = volume.resource.value.quantity();
        if self.volumes.contains(&volume.id) {
            return size;
        }
        let used = Scalar::whole(i64::try_from(used_bytes >> 20).unwrap_or(i64::MAX));
        used.min(size)
    }

    /// Sums that up for the volumes of a disk that was measured.
    fn measured(
        &mut self,
        disk: DiskId,
        measured: &BTreeMap<ClaimId, u64>,
        ledger: &AgentLedger,
    ) -> Scalar {
        let (mut sum, mut kinds) = (Scalar::ZERO, (false, false));
        for (claim, bytes) in there(disk, measured, ledger) {
            match self.volumes.contains(&claim.id) {
                true => kinds.0 = true,
                false => kinds.1 = true,
            }
            sum = sum.plus(self.within_size(claim, bytes));
        }
        self.kinds.insert(disk, kinds);
        sum
    }
}

/// What of it the master is still to be told.
#[derive(Debug, Default)]
struct News {
    /// Bytes, as told last.
    told: BTreeMap<ClaimId, u64>,
    /// Disks whose volumes were measured since.
    measured: BTreeSet<DiskId>,
    /// Volumes that are no more since.
    gone: Vec<ClaimId>,
}

impl DiskSpaces {
    /// As it was told last.
    pub(crate) fn told(&self) -> &Arc<BTreeMap<DiskId, DiskSpace>> {
        &self.told
    }

    pub(crate) fn set_told(&mut self, spaces: BTreeMap<DiskId, DiskSpace>) {
        self.told = Arc::new(spaces);
    }

    /// What the volumes of each disk were last found to use.
    pub(crate) fn measured(&self) -> &Arc<BTreeMap<DiskId, UsedSpace>> {
        &self.measured
    }

    /// Sums up what was measured since this was called last.
    pub(crate) fn note_measured(&mut self, found: &[DiskFound], ledger: &AgentLedger) {
        let of = |disk: &DiskFound| Some((disk.disk.id, disk.space.as_ref()?.used.clone()?));
        let now: BTreeMap<DiskId, UsedSpace> = found.iter().filter_map(of).collect();
        let is_fresh = |(id, used): &(&DiskId, &UsedSpace)| {
            self.measured.get(id).is_none_or(|it| !Arc::ptr_eq(&it.volumes, &used.volumes))
        };
        let fresh: BTreeSet<DiskId> = now.iter().filter(is_fresh).map(|(id, _)| *id).collect();
        if fresh.is_empty() && now.len() == self.measured.len() {
            return; // Looks are frequent, and measurements are not.
        }
        self.within_sizes.retain(|disk, _| now.contains_key(disk));
        for disk in &fresh {
            let sum = self.images.measured(*disk, &now[disk].volumes, ledger);
            self.within_sizes.insert(*disk, sum);
        }
        self.news.measured.extend(&fresh);
        self.to_enforce.extend(fresh);
        self.measured = Arc::new(now);
    }

    /// The disks whose volumes were measured since this was asked last.
    pub(crate) fn take_to_enforce(&mut self) -> BTreeSet<DiskId> {
        std::mem::take(&mut self.to_enforce)
    }

    /// The volumes of a disk that were measured and are still there.
    pub(crate) fn volumes_on(&self, disk: DiskId, ledger: &AgentLedger) -> Vec<Arc<Claim>> {
        let Some(used) = self.measured.get(&disk) else { return Vec::new() };
        let of = |(claim, _): (&Claim, u64)| ledger.claims.get_shared(&claim.id).cloned();
        there(disk, &used.volumes, ledger).filter_map(of).collect()
    }

    /// The volumes of a disk that should be there, and of which nothing was found when its volumes were measured.
    pub(crate) fn unmeasured_on(&self, disk: DiskId, ledger: &AgentLedger) -> Vec<ClaimId> {
        let Some(used) = self.measured.get(&disk) else { return Vec::new() };
        let is_missed = |it: &&Claim| {
            it.is_volume()
                && (it.disk, it.state) == (Some(disk), ClaimState::Ready)
                && !used.volumes.contains_key(&it.id)
        };
        ledger.claims.values().filter(is_missed).map(|it| it.id).collect()
    }

    /// Notes whether a volume uses more than its size; answers with what was known of it.
    pub(crate) fn note_over_size(&mut self, volume: ClaimId, is_over: bool) -> bool {
        match is_over {
            true => !self.over_size.insert(volume),
            false => self.over_size.remove(&volume),
        }
    }

    /// A volume is being destroyed, or is no more.
    pub(crate) fn release(&mut self, volume: &Claim) {
        self.over_size.remove(&volume.id);
        if self.news.told.remove(&volume.id).is_some() {
            self.news.gone.push(volume.id);
        }
        let Some(used) = used_by(&self.measured, volume) else { return };
        let within = self.images.within_size(volume, used.bytes);
        if let Some(sum) = volume.disk.and_then(|it| self.within_sizes.get_mut(&it)) {
            *sum = sum.minus(within);
        }
    }

    /// These volumes, in their places or in the trash, are images.
    pub(crate) fn note_images(&mut self, volumes: &[ClaimId]) {
        self.images.volumes.extend(volumes);
    }

    /// Nothing is left of a volume.
    pub(crate) fn forget_image(&mut self, volume: ClaimId) {
        self.images.volumes.remove(&volume);
    }

    /// Whether a volume is an image of fixed size.
    pub(crate) fn is_image(&self, volume: ClaimId) -> bool {
        self.images.volumes.contains(&volume)
    }

    /// Whether volumes of a disk were found that are images, and some that are not.
    pub(crate) fn kinds(&self, disk: DiskId) -> (bool, bool) {
        self.images.kinds.get(&disk).copied().unwrap_or_default()
    }

    /// A volume that was released is there with another size.
    pub(crate) fn take_back(&mut self, volume: &Claim) {
        let Some(used) = used_by(&self.measured, volume) else { return };
        let Some(disk) = volume.disk else { return };
        let within = self.images.within_size(volume, used.bytes);
        if let Some(sum) = self.within_sizes.get_mut(&disk) {
            *sum = sum.plus(within);
        }
        // What it uses is told again, and held against its new size.
        self.news.gone.retain(|it| *it != volume.id);
        self.news.measured.insert(disk);
        self.to_enforce.insert(disk);
    }

    /// How many megabytes a volume uses, as last measured, a part of one being one; `None` when it never was.
    pub(crate) fn used_by(&self, volume: &Claim) -> Option<Scalar> {
        let mb = used_by(&self.measured, volume)?.bytes.div_ceil(1 << 20);
        Some(Scalar::whole(i64::try_from(mb).unwrap_or(i64::MAX)))
    }

    /// How much of their sizes the volumes of a disk use; nothing as long as they were not measured.
    pub(crate) fn used(&self, disk: DiskId) -> Scalar {
        self.within_sizes.get(&disk).copied().unwrap_or(Scalar::ZERO)
    }

    /// What the master is to be told of what volumes use: all of it, or what has changed since it was told.
    pub(crate) fn take_news(&mut self, ledger: &AgentLedger, whole: bool) -> Option<UsedNews> {
        let news = &mut self.news;
        if whole {
            news.told.clear();
            news.gone.clear();
            news.measured.extend(self.measured.keys());
        }
        let mut volumes = Vec::new();
        for disk in std::mem::take(&mut news.measured) {
            let Some(used) = self.measured.get(&disk) else { continue };
            for (claim, bytes) in there(disk, &used.volumes, ledger) {
                let size = claim.resource.value.quantity();
                let told = news.told.get(&claim.id);
                if told.is_none_or(|told| is_used_news(size, *told, bytes)) {
                    news.told.insert(claim.id, bytes);
                    volumes.push((claim.id, VolumeUsed { bytes, measured: used.at }));
                }
            }
        }
        let gone = std::mem::take(&mut news.gone);
        let is_any = whole || !volumes.is_empty() || !gone.is_empty();
        is_any.then_some(UsedNews { whole, volumes, gone })
    }
}

/// What a volume was last found to use; `None` as long as it was not measured.
pub(crate) fn used_by(
    measured: &BTreeMap<DiskId, UsedSpace>,
    volume: &Claim,
) -> Option<VolumeUsed> {
    let used = measured.get(&volume.disk?)?;
    let bytes = *used.volumes.get(&volume.id)?;
    Some(VolumeUsed { bytes, measured: used.at })
}

/// The volumes of a disk that were measured and are still there.
fn there<'a>(
    disk: DiskId,
    measured: &'a BTreeMap<ClaimId, u64>,
    ledger: &'a AgentLedger,
) -> impl Iterator<Item = (&'a Claim, u64)> {
    let of = move |(id, bytes): (&ClaimId, &u64)| {
        let claim = ledger.claims.get(id).filter(|it| it.disk == Some(disk))?;
        (claim.state != ClaimState::Destroying).then_some((claim, *bytes))
    };
    measured.iter().filter_map(of)
}
