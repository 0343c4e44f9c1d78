//! Why a disk, a claim or a volume cannot be used now.
//!
//! Relies on the ledger for what there should be and on [`Disks`] for what was found. Never calls a claim gone because its disk is away.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    AgentLedger, Claim, ClaimId, DiskId, DiskRecord, DiskReport, LabelledVolume, SharedMap,
    ORPHANS_NAMED_MAX,
};

use super::looks::is_lost;
use super::records::disk_of;
use super::Record;
use crate::parts::Disks;

/// What was found of disks, volumes and the machine, as far as it can make a claim unusable.
#[derive(Clone, Copy)]
pub(crate) struct Findings<'a> {
    /// Whether the disks are open.
    pub(crate) are_opened: bool,
    pub(crate) disks: &'a BTreeMap<DiskId, String>,
    pub(crate) volumes: &'a SharedMap<ClaimId, String>,
    pub(crate) misfits: &'a BTreeSet<ClaimId>,
}

impl<'a> Findings<'a> {
    pub(crate) fn of(record: &'a Record, disks: &'a Disks) -> Findings<'a> {
        Findings {
            are_opened: disks.machine().is_some(),
            disks: disks.faults(),
            volumes: disks.volumes().faults(),
            misfits: record.totals().misfits(),
        }
    }

    /// What is wrong with a disk of the ledger.
    fn disk_fault(&self, disk: DiskId) -> Option<String> {
        if !self.are_opened {
            return Some("the agent has not opened its disks yet".to_owned());
        }
        self.disks.get(&disk).cloned()
    }

    /// Why a claim cannot be used now.
    fn claim_fault(&self, ledger: &AgentLedger, claim: &Claim) -> Option<String> {
        let disk = claim.disk.or_else(|| disk_of(ledger, &claim.resource.identity));
        if let Some(fault) = disk.and_then(|it| self.disk_fault(it)) {
            return Some(fault);
        }
        if claim.is_volume() && disk.is_none_or(|it| !ledger.disks.contains_key(&it)) {
            return Some("its disk is not known".to_owned());
        }
        if let Some(fault) = self.volumes.get(&claim.id) {
            return Some(fault.clone());
        }
        self.misfits.contains(&claim.id).then(|| {
            "it no longer fits on what the machine has; give the disk or the amount back".to_owned()
        })
    }

    /// Claims that cannot be used now, and why.
    pub(crate) fn faults(&self, ledger: &AgentLedger) -> Vec<(ClaimId, String)> {
        let fault = |claim: &Claim| Some((claim.id, self.claim_fault(ledger, claim)?));
        ledger.claims.values().filter_map(fault).collect()
    }
}

/// Why a claim cannot be used now.
pub(crate) fn claim_fault(record: &Record, disks: &Disks, claim: &Claim) -> Option<String> {
    Findings::of(record, disks).claim_fault(record.ledger(), claim)
}

/// What is wrong with a disk of the ledger.
pub(crate) fn disk_fault(record: &Record, disks: &Disks, disk: DiskId) -> Option<String> {
    Findings::of(record, disks).disk_fault(disk)
}

/// Whether what is wrong with a claim is just being looked at again.
pub(crate) fn is_looked_at(disks: &Disks, claim: &Claim) -> bool {
    if is_on_ill_disk(disks, claim) {
        disks.is_opening()
    } else {
        disks.volumes().is_checked(claim.id)
    }
}

/// Whether a volume's disk was named by the last look.
pub(crate) fn is_on_ill_disk(disks: &Disks, claim: &Claim) -> bool {
    claim.disk.is_some_and(|it| disks.fault(it).is_some())
}

/// All disks, those of the ledger and those that are ill, each with what is wrong with it.
pub(crate) fn disk_reports(record: &Record, disks: &Disks) -> Vec<DiskReport> {
    let ledger = record.ledger();
    let known = ledger.disks.values().map(|disk| {
        let (orphans, more_orphans) = orphans(disks, ledger, disk.id);
        DiskReport {
            disk: disk.clone(),
            fault: disk_fault(record, disks, disk.id),
            space: disks.spaces().get(&disk.id).cloned(),
            added: is_added(disks, ledger, disk),
            orphans,
            more_orphans,
        }
    });
    let ill = disks.found().iter().filter(|it| !ledger.disks.contains_key(&it.disk.id));
    let ill = ill.map(|it| {
        // They are another's, unless this ledger was lost.
        let (orphans, more_orphans) = match is_lost(ledger) {
            true => (disks.volumes().orphans(it.disk.id).to_vec(), 0),
            false => (Vec::new(), 0),
        };
        DiskReport {
            disk: it.disk.clone(),
            fault: it.fault.clone(),
            space: None,
            added: it.added.is_some(),
            orphans,
            more_orphans,
        }
    });
    known.chain(ill).collect()
}

/// The first of the volumes on a disk that no claim stands for, and how many there are beside them.
fn orphans(disks: &Disks, ledger: &AgentLedger, disk: DiskId) -> (Vec<LabelledVolume>, u64) {
    let is_orphan = |it: &&LabelledVolume| {
        !ledger.claims.contains_key(&it.id) && !ledger.trash.contains_key(&it.id)
    };
    let all = disks.volumes().orphans(disk).iter().filter(is_orphan);
    let (named, others): (Vec<_>, Vec<_>) =
        all.enumerate().partition(|(at, _)| *at < ORPHANS_NAMED_MAX);
    let named = named.into_iter().map(|(_, it)| it.clone()).collect();
    (named, u64::try_from(others.len()).unwrap_or(u64::MAX))
}

/// Whether an operator added a disk, and the settings do not name it as well.
fn is_added(disks: &Disks, ledger: &AgentLedger, disk: &DiskRecord) -> bool {
    let found = disks.found().iter().find(|it| it.disk.id == disk.id);
    found.map_or_else(|| ledger.added_disks.contains_key(&disk.root), |it| it.added.is_some())
}
