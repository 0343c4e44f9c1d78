//! What of an agent's ledger is found by something else than its name: claims by identity, tasks by executor and by volume, and so on.
//!
//! Kept by difference, row by row, by [`AgentLedger`](super::AgentLedger) alone. Says nothing that the rows do not say, so two are always
//! equal; a test builds it anew and compares.

use super::{ExecutorKey, ExecutorRecord, OperationRecord, TaskKey, TaskRecord};
use crate::claim::Claim;
use crate::id::{ClaimId, ContainerId, OperationUuid, PersistenceId};
use crate::message::OperationState;
use crate::resource::{Identity, Resource};
use crate::role::Role;
use crate::shared_index::SharedIndex;
use crate::shared_map::SharedMap;
use crate::value::Scalar;

/// How much of one kind of disk space is claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimedSpace {
    /// By reservations and volumes, in megabytes (2^20 bytes).
    pub amount: Scalar,
    /// By volumes alone.
    pub in_volumes: Scalar,
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(super) struct LedgerIndex {
    /// By identity; claims have no allocation.
    pub(super) claims: SharedIndex<Identity, ClaimId>,
    /// Volumes by role and name.
    pub(super) volumes: SharedIndex<(Role, PersistenceId), ClaimId>,
    /// Unsettled operations by the claims that they change.
    pub(super) operations: SharedIndex<ClaimId, OperationUuid>,
    pub(super) executors: SharedIndex<ContainerId, ExecutorKey>,
    pub(super) tasks: SharedIndex<ExecutorKey, TaskKey>,
    /// Tasks by the volumes that they use, without allocation.
    pub(super) tasks_of_volume: SharedIndex<Identity, TaskKey>,
    /// Executors by the volumes that they use themselves, without allocation.
    pub(super) executors_of_volume: SharedIndex<Identity, ExecutorKey>,
    /// What is claimed of disks, by what they were before any claim was laid on them.
    pub(super) space: SharedMap<Identity, ClaimedSpace>,
}

impl PartialEq for LedgerIndex {
    fn eq(&self, _: &LedgerIndex) -> bool {
        true
    }
}

impl Eq for LedgerIndex {}

impl LedgerIndex {
    pub(super) fn add_claim(&mut self, claim: &Claim) {
        self.claims.insert(&claim.resource.identity, claim.id);
        if let Some(name) = volume_name(claim) {
            self.volumes.insert(&name, claim.id);
        }
        self.count_space(claim, Scalar::plus);
    }

    pub(super) fn remove_claim(&mut self, claim: &Claim) {
        self.claims.remove(&claim.resource.identity, &claim.id);
        if let Some(name) = volume_name(claim) {
            self.volumes.remove(&name, &claim.id);
        }
        self.count_space(claim, Scalar::minus);
    }

    fn count_space(&mut self, claim: &Claim, count: fn(Scalar, Scalar) -> Scalar) {
        if claim.resource.identity.name != "disk" {
            return;
        }
        let (place, size) = (claim.resource.identity.base(), claim.resource.value.quantity());
        let space = self.space.get_or_insert_with(place.clone(), ClaimedSpace::default);
        space.amount = count(space.amount, size);
        if claim.is_volume() {
            space.in_volumes = count(space.in_volumes, size);
        }
        if *space == ClaimedSpace::default() {
            self.space.remove(&place);
        }
    }

    pub(super) fn add_operation(&mut self, operation: &OperationRecord) {
        if operation.state == OperationState::Pending {
            operation.claims.iter().for_each(|it| self.operations.insert(it, operation.uuid));
        }
    }

    pub(super) fn remove_operation(&mut self, operation: &OperationRecord) {
        operation.claims.iter().for_each(|it| self.operations.remove(it, &operation.uuid));
    }

    pub(super) fn add_executor(&mut self, executor: &ExecutorRecord) {
        self.executors.insert(&executor.container, executor.key());
        for volume in volumes(&executor.info.resources) {
            self.executors_of_volume.insert(&volume, executor.key());
        }
    }

    pub(super) fn remove_executor(&mut self, executor: &ExecutorRecord) {
        self.executors.remove(&executor.container, &executor.key());
        for volume in volumes(&executor.info.resources) {
            self.executors_of_volume.remove(&volume, &executor.key());
        }
    }

    pub(super) fn add_task(&mut self, task: &TaskRecord) {
        self.tasks.insert(&task.executor_key(), task.key());
        for volume in volumes(&task.info.resources) {
            self.tasks_of_volume.insert(&volume, task.key());
        }
    }

    pub(super) fn remove_task(&mut self, task: &TaskRecord) {
        self.tasks.remove(&task.executor_key(), &task.key());
        for volume in volumes(&task.info.resources) {
            self.tasks_of_volume.remove(&volume, &task.key());
        }
    }
}

fn volume_name(claim: &Claim) -> Option<(Role, PersistenceId)> {
    let identity = &claim.resource.identity;
    Some((identity.role(), identity.persistence.clone()?))
}

/// The volumes among resources, without allocation.
fn volumes(resources: &[Resource]) -> impl Iterator<Item = Identity> + '_ {
    let volumes = resources.iter().filter(|it| it.identity.persistence.is_some());
    volumes.map(|it| it.identity.unallocated())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::agent_ledger::{AgentChange, AgentLedger};
    use crate::claim::ClaimState;
    use crate::convert::samples;
    use crate::id::{ExecutorId, FrameworkId, NodeId, TaskId};
    use crate::task::TaskState;

    /// Names of which there are few, so that rows are put in again and taken out.
    fn small<T: std::fmt::Debug>(of: impl Fn(u128) -> T + Clone) -> impl Strategy<Value = T> {
        (1u128..4).prop_map(of)
    }

    fn name(number: u128) -> String {
        format!("n{number}")
    }

    fn claim_change() -> BoxedStrategy<AgentChange> {
        let claim = (samples::claim(), small(|it| ClaimId(Uuid::from_u128(it))));
        let put = claim.prop_map(|(mut claim, id)| {
            (claim.id, claim.state, claim.generation) = (id, ClaimState::Ready, 0);
            AgentChange::Claim(claim)
        });
        prop_oneof![3 => put, 1 => small(|it| AgentChange::ClaimGone(ClaimId(Uuid::from_u128(it))))]
            .boxed()
    }

    fn operation_change() -> BoxedStrategy<AgentChange> {
        let uuid = |it| OperationUuid(Uuid::from_u128(it));
        let put = (samples::operation_record().boxed(), small(uuid))
            .prop_map(|(it, uuid)| AgentChange::Operation(OperationRecord { uuid, ..it }));
        prop_oneof![3 => put, 1 => small(move |it| AgentChange::OperationGone(uuid(it)))].boxed()
    }

    fn executor_change() -> BoxedStrategy<AgentChange> {
        let key = |it| (FrameworkId::made(name(it % 2)), ExecutorId::made(name(it)));
        let put = (samples::executor_record().boxed(), small(key)).prop_map(|(mut it, key)| {
            (it.framework, it.info.id) = key;
            AgentChange::Executor(it)
        });
        prop_oneof![3 => put, 1 => small(move |it| AgentChange::ExecutorGone(key(it)))].boxed()
    }

    fn task_change() -> BoxedStrategy<AgentChange> {
        let key = |it| (FrameworkId::made(name(it % 2)), TaskId::made(name(it)));
        let put = (samples::task_record().boxed(), small(key)).prop_map(|(mut it, key)| {
            (it.framework, it.info.id, it.state) = (key.0, key.1, TaskState::Running);
            AgentChange::Task(it)
        });
        prop_oneof![3 => put, 1 => small(move |it| AgentChange::TaskGone(key(it)))].boxed()
    }

    fn changes() -> impl Strategy<Value = Vec<AgentChange>> {
        let one = prop_oneof![claim_change(), operation_change(), executor_change(), task_change()];
        prop::collection::vec(one, 0..24)
    }

    fn text(index: &LedgerIndex) -> Vec<String> {
        fn pairs<K: Ord + Clone + std::fmt::Debug, V: Ord + Clone + std::fmt::Debug>(
            index: &SharedIndex<K, V>,
        ) -> String {
            format!("{:?}", index.key_values().collect::<Vec<_>>())
        }
        vec![
            pairs(&index.claims),
            pairs(&index.volumes),
            pairs(&index.operations),
            pairs(&index.executors),
            pairs(&index.tasks),
            pairs(&index.tasks_of_volume),
            pairs(&index.executors_of_volume),
        ]
    }

    proptest! {
        #[test]
        fn it_is_what_the_rows_say_whatever_happened_before(changes in changes()) {
            let mut ledger = AgentLedger::new(NodeId(Uuid::from_u128(1)));
            changes.iter().for_each(|it| ledger.apply(it));
            let mut anew = LedgerIndex::default();
            ledger.claims.values().for_each(|it| anew.add_claim(it));
            ledger.operations.values().for_each(|it| anew.add_operation(it));
            ledger.executors.values().for_each(|it| anew.add_executor(it));
            ledger.tasks.values().for_each(|it| anew.add_task(it));
            prop_assert_eq!(text(&ledger.index), text(&anew));
        }
    }
}
