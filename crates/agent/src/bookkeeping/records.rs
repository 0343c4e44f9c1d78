//! What is found in the ledger by something else than its name.
//!
//! Relies on the ledger alone. Never changes it.

use holdfast_model::{
    Action, AgentLedger, Claim, ClaimAction, ClaimId, ClaimState, ContainerId, DiskId, DiskKind,
    DiskRecord, ExecutorKey, Identity, OperationRecord, OperationState, OperationUuid, Resource,
    SourceKind, TaskId, TaskRecord,
};

use crate::contract::VolumeLabel;

/// The claim of the volume with this identity, allocation put aside.
pub(crate) fn find_volume<'a>(ledger: &'a AgentLedger, identity: &Identity) -> Option<&'a Claim> {
    let bare = identity.unallocated();
    ledger.claims.values().find(|it| {
        it.is_volume() && it.state != ClaimState::Destroying && it.resource.identity == bare
    })
}

/// The claims behind the volumes among `resources`.
pub(crate) fn volumes_of(ledger: &AgentLedger, resources: &[Resource]) -> Vec<ClaimId> {
    let volumes = resources.iter().filter(|it| it.identity.persistence.is_some());
    volumes.filter_map(|it| find_volume(ledger, &it.identity).map(|claim| claim.id)).collect()
}

/// What is written on a volume. It says how things were when the volume was made, whatever happened to the claim since.
pub(crate) fn label(claim: &Claim) -> Option<VolumeLabel> {
    Some(VolumeLabel {
        claim: claim.id,
        disk: claim.disk?,
        persistence: claim.resource.identity.persistence.as_ref()?.as_str().to_owned(),
        role: claim.resource.identity.role().as_str().to_owned(),
        principal: claim.resource.creator.clone(),
        generation: claim.history.first().map_or(claim.generation, |it| it.generation),
        size_mb: u64::try_from(claim.resource.value.quantity().as_whole()).unwrap_or(0),
    })
}

pub(crate) fn uses(list: &[Resource], identity: &Identity) -> bool {
    list.iter().any(|it| it.identity.unallocated() == *identity)
}

/// The disk that carries what has this identity.
pub(crate) fn disk_of(ledger: &AgentLedger, identity: &Identity) -> Option<DiskId> {
    ledger.disks.values().find(|disk| lies_on(disk, identity)).map(|it| it.id)
}

/// Whether what has this identity lies on a disk.
pub(crate) fn lies_on(disk: &DiskRecord, identity: &Identity) -> bool {
    if identity.name != "disk" || identity.provider.is_some() {
        return false;
    }
    match &identity.source {
        None => disk.kind == DiskKind::Root,
        Some(source) => {
            let same_kind = matches!(
                (source.kind, disk.kind),
                (SourceKind::Path, DiskKind::Path) | (SourceKind::Mount, DiskKind::Mount)
            );
            same_kind && source.root.as_deref() == Some(disk.root.as_str())
        }
    }
}

/// The unsettled operation that makes or destroys a volume.
pub(crate) fn operation_on(ledger: &AgentLedger, claim: ClaimId) -> Option<OperationRecord> {
    let unsettled =
        |it: &&OperationRecord| it.state == OperationState::Pending && it.claims.contains(&claim);
    ledger.operations.values().find(unsettled).cloned()
}

pub(crate) fn claim_action(ledger: &AgentLedger, uuid: OperationUuid) -> Option<&ClaimAction> {
    match &ledger.operations.get(&uuid)?.operation.action {
        Action::Claim(action) => Some(action),
        _ => None,
    }
}

pub(crate) fn executor_in(ledger: &AgentLedger, container: ContainerId) -> Option<ExecutorKey> {
    ledger.executors.iter().find(|(_, it)| it.container == container).map(|(key, _)| key.clone())
}

/// Tasks of an executor that have not ended.
pub(crate) fn live_tasks<'a>(ledger: &'a AgentLedger, key: &'a ExecutorKey) -> Vec<&'a TaskRecord> {
    tasks_of(ledger, key).filter(|it| !it.state.is_terminal()).collect()
}

/// All tasks of an executor that are not forgotten.
pub(crate) fn tasks_of<'a>(
    ledger: &'a AgentLedger,
    key: &'a ExecutorKey,
) -> impl Iterator<Item = &'a TaskRecord> {
    let first = (key.0.clone(), TaskId::made(String::new()));
    let framework = ledger.tasks.range_from(&first).take_while(|((it, _), _)| *it == key.0);
    framework.map(|(_, task)| task).filter(|it| it.executor == key.1)
}
