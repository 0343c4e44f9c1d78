//! Which volumes use more than their size, and what their disk's limit makes of that.
//!
//! Relies on what was measured last, which is all that a soft limit knows. Never keeps from reading what is there.

use holdfast_model::{size_bytes, AgentLedger, Claim, Mode, OverSize, Resource, VolumeUsed};

use super::records::find_volume;
use crate::parts::Disks;

/// What a volume was found to use beyond its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    pub(crate) over: OverSize,
    used: VolumeUsed,
    size_bytes: u64,
}

impl Excess {
    /// Of a volume, as a part of a sentence.
    pub(crate) fn text(&self) -> String {
        let mb = |bytes: u64| format!("{}.{} MB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20);
        format!("it was found to use {}, its size is {}", mb(self.used.bytes), mb(self.size_bytes))
    }
}

/// What a volume uses beyond its size, if its disk has a limit.
pub(crate) fn excess(disks: &Disks, volume: &Claim) -> Option<Excess> {
    let used = disks.volume_used(volume)?;
    let size_bytes = size_bytes(volume.resource.value.quantity());
    let over = disks.limit(volume.disk?)?.over_size()?;
    (size_bytes < used.bytes).then_some(Excess { over, used, size_bytes })
}

/// Why this volume is not given to a task that would write to it.
pub(crate) fn refusal(disks: &Disks, volume: &Resource, claim: &Claim) -> Option<String> {
    let excess = excess(disks, claim).filter(|it| it.over != OverSize::Report)?;
    may_write(volume, claim).then(|| {
        format!(
            "{}; remove some of it and wait until it was measured again, or mount it read-only",
            excess.text()
        )
    })
}

/// Whether whoever uses these resources may write to a volume.
pub(crate) fn writes_to(ledger: &AgentLedger, resources: &[Resource], claim: &Claim) -> bool {
    let is_it = |it: &&Resource| {
        find_volume(ledger, &it.identity).is_some_and(|found| found.id == claim.id)
    };
    resources.iter().filter(is_it).any(|it| may_write(it, claim))
}

fn may_write(volume: &Resource, claim: &Claim) -> bool {
    let mount = volume.mount.as_ref().or(claim.resource.mount.as_ref());
    mount.is_none_or(|it| it.mode == Mode::ReadWrite)
}
