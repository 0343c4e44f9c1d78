//! `/holdfast/v1/disks`: a row for each disk that was reported.
//!
//! Relies on a published view; never adds up what it was not told.

use holdfast_model::{AgentId, Claim, DiskKind, DiskRecord, DiskReport, LabelledVolume, Scalar};

use super::hostname;
use crate::groups::by;
use crate::rows::{DiskPlace, DiskRow, OrphanRow};
use crate::MasterView;

/// The disks of all agents, as last reported.
pub fn disks(view: &MasterView) -> Vec<DiskRow> {
    let claims = view.ledger().claims.iter();
    let carried = by(claims.filter_map(|((agent, _), it)| Some(((agent, it.disk?), it))));
    let reports = view
        .agents()
        .iter()
        .flat_map(|(agent, state)| state.disks().iter().map(move |it| (agent, it)));
    let row = |(agent, report): (&AgentId, &DiskReport)| {
        let on_it = carried.get(&(agent, report.disk.id)).map(Vec::as_slice).unwrap_or_default();
        disk(view, agent, report, on_it)
    };
    reports.map(row).collect()
}

fn disk(view: &MasterView, agent: &AgentId, report: &DiskReport, on_it: &[&Claim]) -> DiskRow {
    let space = report.space.as_ref();
    DiskRow {
        id: report.disk.id.to_string(),
        agent: agent.to_string(),
        hostname: hostname(view, agent),
        kind: match report.disk.kind {
            DiskKind::Root => DiskPlace::Root,
            DiskKind::Path => DiskPlace::Path,
            DiskKind::Mount => DiskPlace::Mount,
        },
        root: report.disk.root.clone(),
        size_mb: report.disk.size_mb,
        volumes_mb: on_it.iter().map(|it| it.resource.value.quantity().as_whole()).sum(),
        volumes: on_it.len(),
        unclaimed_mb: unclaimed_mb(view, agent, &report.disk),
        used_mb: space.and_then(|it| it.used_mb),
        limit: space.map(|it| it.limit.clone()).filter(|it| !it.is_empty()),
        trash_mb: space.map_or(0, |it| it.trash_mb),
        overcommitted_mb: space.map_or(0, |it| it.overcommitted_mb),
        file_system: space.map(|it| it.file_system.clone()),
        file_system_mb: space.map(|it| it.total_mb),
        file_system_free_mb: space.map(|it| it.free_mb),
        added: report.added,
        orphans: report.orphans.iter().map(orphan).collect(),
        more_orphans: report.more_orphans,
        fault: report.fault.clone(),
    }
}

fn orphan(it: &LabelledVolume) -> OrphanRow {
    OrphanRow {
        id: it.id.to_string(),
        volume: it.persistence.clone(),
        role: it.role.clone(),
        size_mb: it.size_mb,
        shared: it.shared,
    }
}

/// What nobody has claimed of a disk, and is there to be claimed. What is reserved for good for a role is nobody's claim.
fn unclaimed_mb(view: &MasterView, agent: &AgentId, disk: &DiskRecord) -> u64 {
    let Some(state) = view.agents().get(agent) else { return 0 };
    let places = state.machine().resources.entries().filter(|(it, _)| disk.carries(it));
    let left = places.filter_map(|(it, _)| Some(state.total().get(it)?.value.quantity()));
    let sum = left.fold(Scalar::ZERO, Scalar::plus).as_whole();
    u64::try_from(sum).unwrap_or(0)
}
