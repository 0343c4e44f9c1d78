//! Why a disk, a claim or a volume cannot be used now.
//!
//! Relies on the ledger for what there should be and on [`Disks`] for what was found. Never calls a claim gone because its disk is away.

use holdfast_model::{Claim, ClaimId, DiskId, DiskReport};

use super::records::disk_of;
use super::Record;
use crate::parts::Disks;

/// What is wrong with a disk of the ledger.
pub(crate) fn disk_fault(disks: &Disks, disk: DiskId) -> Option<String> {
    if disks.machine().is_none() {
        return Some("the agent has not opened its disks yet".to_owned());
    }
    disks.fault(disk).cloned()
}

/// Why a claim cannot be used now.
pub(crate) fn claim_fault(record: &Record, disks: &Disks, claim: &Claim) -> Option<String> {
    let disk = claim.disk.or_else(|| disk_of(record.ledger(), &claim.resource.identity));
    if let Some(fault) = disk.and_then(|it| disk_fault(disks, it)) {
        return Some(fault);
    }
    if claim.is_volume() && disk.is_none_or(|it| !record.ledger().disks.contains_key(&it)) {
        return Some("its disk is not known".to_owned());
    }
    if let Some(fault) = disks.volumes().fault(claim.id) {
        return Some(fault.clone());
    }
    let misfit = record.totals().is_misfit(claim.id);
    misfit.then(|| {
        "it no longer fits on what the machine has; give the disk or the amount back".to_owned()
    })
}

/// Claims that cannot be used now, and why.
pub(crate) fn faults(record: &Record, disks: &Disks) -> Vec<(ClaimId, String)> {
    let claims = record.ledger().claims.values();
    claims.filter_map(|claim| Some((claim.id, claim_fault(record, disks, claim)?))).collect()
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
    let known = ledger.disks.values();
    let known =
        known.map(|disk| DiskReport { disk: disk.clone(), fault: disk_fault(disks, disk.id) });
    let ill = disks.found().iter().filter(|it| !ledger.disks.contains_key(&it.disk.id));
    let ill = ill.map(|it| DiskReport { disk: it.disk.clone(), fault: it.fault.clone() });
    known.chain(ill).collect()
}
