//! What is found in the ledger by something else than its name.
//!
//! Relies on the ledger alone. Never changes it.

use holdfast_model::{
    Action, AgentId, AgentLedger, Claim, ClaimAction, ClaimId, ClaimState, ContainerId, DiskId,
    DiskRecord, ExecutorKey, ExecutorRecord, Filling, Identity, OperationRecord, OperationUuid,
    Resource, TaskRecord,
};

use crate::contract::VolumeLabel;

/// The claim of the volume with this identity, allocation put aside.
pub(crate) fn find_volume<'a>(ledger: &'a AgentLedger, identity: &Identity) -> Option<&'a Claim> {
    let mut claims = ledger.claims_with(&identity.unallocated());
    claims.find(|it| it.is_volume() && it.state != ClaimState::Destroying)
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
        shared: claim.resource.identity.shared,
    })
}

/// What is written on the volumes that are made before the operation that makes them is done.
pub(crate) fn labels_in_making(
    ledger: &AgentLedger,
    operation: &OperationRecord,
) -> Vec<VolumeLabel> {
    let Action::Claim(action) = &operation.operation.action else { return Vec::new() };
    let generation = match filling_of(operation) {
        Some(Filling::Orphan { generation, .. }) => generation.saturating_add(1),
        Some(Filling::Directory(_)) | None => 1,
    };
    let creates = action.steps().iter().filter(|it| matches!(it, ClaimAction::Create(_)));
    let volumes = creates.flat_map(ClaimAction::resources).zip(&operation.making);
    let label = |(volume, id): (&Resource, &ClaimId)| {
        Some(VolumeLabel {
            claim: *id,
            disk: disk_of(ledger, &volume.identity)?,
            persistence: volume.identity.persistence.as_ref()?.as_str().to_owned(),
            role: volume.identity.role().as_str().to_owned(),
            principal: volume.creator.clone(),
            generation,
            size_mb: u64::try_from(volume.value.quantity().as_whole()).unwrap_or(0),
            shared: volume.identity.shared,
        })
    };
    volumes.filter_map(label).collect()
}

/// What the volume of an operation is made of, when it is not made empty.
pub(crate) fn filling_of(operation: &OperationRecord) -> Option<&Filling> {
    match &operation.operation.action {
        Action::Claim(ClaimAction::Together(it)) => it.filling.as_deref(),
        _ => None,
    }
}

/// Whether something of this identity, allocation put aside, is among resources.
pub(crate) fn uses(list: &[Resource], identity: &Identity) -> bool {
    list.iter().any(|it| it.identity.is_same_unallocated(identity))
}

/// Whether a claim is one of a part of this disk.
pub(crate) fn lies_on(claim: &Claim, disk: &DiskRecord) -> bool {
    claim.disk.map_or_else(|| disk.carries(&claim.resource.identity), |it| it == disk.id)
}

/// The disk that carries what has this identity.
pub(crate) fn disk_of(ledger: &AgentLedger, identity: &Identity) -> Option<DiskId> {
    ledger.disks.values().find(|disk| disk.carries(identity)).map(|it| it.id)
}

/// The unsettled operation that destroys a volume. Another may name it, too: one that made it, and still destroys others.
pub(crate) fn destruction_of(ledger: &AgentLedger, claim: &Claim) -> Option<OperationRecord> {
    ledger.operations_on(claim.id).find(|it| is_destroyed_by(it, claim)).cloned()
}

/// Whether an operation asks for the end of a volume.
pub(crate) fn is_destroyed_by(operation: &OperationRecord, claim: &Claim) -> bool {
    let Action::Claim(action) = &operation.operation.action else { return false };
    let destroys = |it: &&ClaimAction| matches!(it, ClaimAction::Destroy(_));
    let mut ends = action.steps().iter().filter(destroys).flat_map(ClaimAction::resources);
    ends.any(|it| it.identity.is_same_unallocated(&claim.resource.identity))
}

/// The agent that is to have the disk at this path, which is not used here any more.
pub(crate) fn fenced_at<'a>(ledger: &'a AgentLedger, root: &str) -> Option<&'a AgentId> {
    ledger.left_places.get(root)?.to.as_ref()
}

/// The agent that is to have this disk, or has it, because it was moved there.
pub(crate) fn moved_to(ledger: &AgentLedger, disk: DiskId) -> Option<&AgentId> {
    ledger.left_places.values().find(|it| it.disk == disk && it.to.is_some())?.to.as_ref()
}

/// The unsettled operation that makes or destroys a volume.
pub(crate) fn operation_on(ledger: &AgentLedger, claim: ClaimId) -> Option<OperationRecord> {
    ledger.operations_on(claim).next().cloned()
}

pub(crate) fn claim_action(ledger: &AgentLedger, uuid: OperationUuid) -> Option<&ClaimAction> {
    match &ledger.operations.get(&uuid)?.operation.action {
        Action::Claim(action) => Some(action),
        _ => None,
    }
}

pub(crate) fn executor_in(ledger: &AgentLedger, container: ContainerId) -> Option<ExecutorKey> {
    ledger.executor_in(container).map(ExecutorRecord::key)
}

/// Tasks of an executor that have not ended.
pub(crate) fn live_tasks<'a>(ledger: &'a AgentLedger, key: &ExecutorKey) -> Vec<&'a TaskRecord> {
    ledger.tasks_of(key).filter(|it| !it.state.is_terminal()).collect()
}
