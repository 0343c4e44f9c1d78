//! One agent, as a leader believes it to be and readers see it: its presence, its machine, what it has, and what runs there.
//!
//! What changes seldom is shared, so that a change of what it holds copies little of a row that was published.
//! Only [`super::Agents`] changes what a sum over agents depends on.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_model::{
    ClaimId, DiskRecord, DiskReport, ExecutorId, ExecutorKey, FrameworkId, Instant, LinkId,
    MachineInfo, OpaquePayload, OperationUuid, Resource, Resources, TaskKey, Traits, TrashNews,
    UsedNews,
};

use super::capacity::{Capacity, ReservedByOperation};
use super::contact::{AgentHealth, Contact};
use super::description::Description;
use super::trash::AgentTrash;
use super::used::AgentUsed;

/// What the master believes of an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorView {
    /// What it uses itself, allocated.
    pub resources: Resources,
    /// The whole description, as received.
    pub payload: OpaquePayload,
    /// Whether Holdfast's own command executor runs it.
    pub command: bool,
}

/// What the master believes of an agent.
#[derive(Clone, Debug)]
pub struct AgentState {
    pub(super) contact: Contact,
    description: Arc<Description>,
    pub(super) capacity: Capacity,
    /// Its executors with what they use themselves.
    executors: Arc<BTreeMap<ExecutorKey, ExecutorView>>,
    /// Its tasks whose names belong to tasks of other agents, with what they use, without allocations.
    name_conflicts: BTreeMap<TaskKey, Resources>,
    trash: AgentTrash,
    used: AgentUsed,
    /// How many changes of its claims it has seen, as it last told.
    claims_generation: u64,
}

/// What anybody may read.
impl AgentState {
    /// The link it speaks on.
    pub fn link(&self) -> Option<LinkId> {
        self.contact.link()
    }

    /// How it stands.
    pub fn health(&self) -> &AgentHealth {
        self.contact.health()
    }

    /// Whether it has told this leader what it has.
    pub fn heard(&self) -> bool {
        self.contact.is_heard()
    }

    /// Whether it counts to the cluster.
    pub(crate) fn is_admitted(&self) -> bool {
        self.contact.is_admitted()
    }

    /// When this leader first saw or expected it.
    pub fn registered(&self) -> Instant {
        self.contact.registered()
    }

    /// When it last introduced itself.
    pub fn reregistered(&self) -> Instant {
        self.contact.reregistered()
    }

    /// The machine, as last reported.
    pub fn machine(&self) -> &MachineInfo {
        self.description.machine()
    }

    /// What offer constraints look at.
    pub(crate) fn traits(&self) -> &Arc<Traits> {
        self.description.traits()
    }

    /// Disks, as last reported.
    pub fn disks(&self) -> &[DiskReport] {
        self.description.disks()
    }

    /// Disks that cannot be used now.
    pub fn ill_disks(&self) -> impl Iterator<Item = &DiskRecord> {
        self.disks().iter().filter(|it| it.fault.is_some()).map(|it| &it.disk)
    }

    /// Claims that cannot be used now, and why.
    pub fn faults(&self) -> &BTreeMap<ClaimId, String> {
        self.description.faults()
    }

    /// Whether claims no longer fit on what the machine has.
    pub(crate) fn has_misfits(&self) -> bool {
        self.description.has_misfits()
    }

    /// What lies in the trash of its disks, as it last told.
    pub fn trash(&self) -> &AgentTrash {
        &self.trash
    }

    /// How many changes of its claims it has seen, as it last told; 0 as long as it has told nothing.
    pub fn claims_generation(&self) -> u64 {
        self.claims_generation
    }

    /// What its volumes were found to use, as it last told.
    pub fn used(&self) -> &AgentUsed {
        &self.used
    }

    /// The agent's version.
    pub fn version(&self) -> &str {
        self.description.version()
    }

    /// All it has, claims laid on it, as far as we know.
    pub fn total(&self) -> &Resources {
        self.capacity.total()
    }

    /// What tasks, executors and offers hold of it, without allocations.
    pub fn held(&self) -> &Resources {
        self.capacity.held()
    }

    /// What is held beyond what it has: it came back with less than its tasks use.
    pub fn overcommitted(&self) -> Vec<Resource> {
        self.capacity.overcommitted()
    }

    /// What is in the total and not to be offered yet, by the first of the operations that were sent together.
    pub fn reserved_by_operation(&self) -> &BTreeMap<OperationUuid, ReservedByOperation> {
        self.capacity.reserved()
    }

    /// What is neither used nor offered nor on its way.
    pub fn free(&self) -> Resources {
        self.capacity.free().clone()
    }

    /// Its executors with what they use themselves.
    pub fn executors(&self) -> &BTreeMap<ExecutorKey, ExecutorView> {
        &self.executors
    }

    /// The names of its executors of one framework.
    pub(crate) fn executors_of<'s>(
        &'s self,
        framework: &'s FrameworkId,
    ) -> impl Iterator<Item = &'s ExecutorId> {
        // Most have none, for whom no key is made to look with.
        let first = || (framework.clone(), ExecutorId::made(String::new()));
        let range = (!self.executors.is_empty()).then(|| self.executors.range(first()..));
        let from = range.into_iter().flatten().map(|(key, _)| key);
        from.take_while(|key| key.0 == *framework).map(|key| &key.1)
    }

    /// Its tasks whose names belong to tasks of other agents, with what they use, without allocations.
    pub fn name_conflicts(&self) -> &BTreeMap<TaskKey, Resources> {
        &self.name_conflicts
    }
}

/// Presence.
impl AgentState {
    /// An agent that is expected but has not spoken yet.
    pub(super) fn away(now: Instant) -> AgentState {
        AgentState {
            contact: Contact::away(now),
            description: Arc::default(),
            capacity: Capacity::default(),
            executors: Arc::default(),
            name_conflicts: BTreeMap::new(),
            trash: AgentTrash::default(),
            used: AgentUsed::default(),
            claims_generation: 0,
        }
    }

    /// There is more or less of its disks.
    pub(crate) fn describe_space(
        &mut self,
        resources: Resources,
        disks: Vec<DiskReport>,
        full: Option<String>,
    ) {
        let description = Arc::make_mut(&mut self.description);
        description.set_space(resources, disks);
        description.set_full(full);
    }

    /// Why nothing new may be begun on it, because its own file system is nearly full.
    pub fn full(&self) -> Option<&String> {
        self.description.full()
    }

    /// It tells of its trash.
    pub(crate) fn hear_trash(&mut self, news: TrashNews) {
        self.trash.hear(news);
    }

    /// It tells of what its volumes use.
    pub(crate) fn hear_used(&mut self, news: UsedNews) {
        self.used.hear(news);
    }

    pub(crate) fn set_health(&mut self, health: AgentHealth) {
        self.contact.set_health(health);
    }

    /// When it was last lost, or first expected.
    pub(crate) fn away_since(&self) -> Instant {
        self.contact.away_since()
    }

    pub(crate) fn set_claims_generation(&mut self, generation: u64) {
        self.claims_generation = generation;
    }

    /// Takes over what it says of its machine; says whether that is another machine than before.
    pub(crate) fn describe(&mut self, description: Description) -> bool {
        let is_other = self.heard() && self.machine().payload != description.machine().payload;
        self.description = Arc::new(description);
        is_other
    }
}

/// What it has and what holds it; resources are without allocations.
impl AgentState {
    pub(crate) fn hold(&mut self, resources: &Resources) {
        self.capacity.hold(resources);
    }

    pub(crate) fn release(&mut self, resources: &Resources) {
        self.capacity.release(resources);
    }

    /// Nothing holds any of it but `rest`.
    pub(crate) fn hold_only(&mut self, rest: Resources) {
        self.capacity.hold_only(rest);
    }

    /// Whether of each of these no more is held than there is.
    pub(crate) fn is_held_within(&self, resources: &Resources) -> bool {
        self.capacity.is_held_within(resources)
    }

    pub(crate) fn draw(&mut self, taken: &Resources) {
        self.capacity.draw(taken);
    }

    pub(crate) fn reserve_with(&mut self, group: &OperationUuid, more: &Resources) -> bool {
        self.capacity.reserve_with(group, more)
    }

    pub(crate) fn settled(&mut self, uuid: &OperationUuid) {
        self.capacity.settled(uuid);
    }

    pub(crate) fn set_reserved(&mut self, reserved: BTreeMap<OperationUuid, ReservedByOperation>) {
        self.capacity.set_reserved(reserved);
    }
}

/// What runs there.
impl AgentState {
    /// Notes an executor; says whether it is a new one.
    pub(crate) fn add_executor(&mut self, key: ExecutorKey, view: ExecutorView) -> bool {
        if self.executors.contains_key(&key) {
            return false;
        }
        Arc::make_mut(&mut self.executors).insert(key, view);
        true
    }

    pub(crate) fn remove_executor(&mut self, key: &ExecutorKey) -> Option<ExecutorView> {
        if !self.executors.contains_key(key) {
            return None; // A command's executor is forgotten with its task; some are not known here.
        }
        Arc::make_mut(&mut self.executors).remove(key)
    }

    pub(crate) fn take_executors(&mut self) -> Arc<BTreeMap<ExecutorKey, ExecutorView>> {
        std::mem::take(&mut self.executors)
    }

    /// Whether it runs an executor of that framework.
    pub(crate) fn has_executor_of(&self, framework: &FrameworkId) -> bool {
        self.executors_of(framework).next().is_some()
    }

    /// Notes a task of it whose name is another's, and counts what that uses.
    pub(crate) fn add_name_conflict(&mut self, key: TaskKey, resources: Resources) {
        self.capacity.hold(&resources);
        self.name_conflicts.insert(key, resources);
    }

    /// Such a task has ended; what it used is free.
    pub(crate) fn end_name_conflict(&mut self, key: &TaskKey) {
        if let Some(resources) = self.name_conflicts.remove(key) {
            self.capacity.release(&resources);
        }
    }

    /// Forgets them all, but not what they are counted to use.
    pub(crate) fn clear_name_conflicts(&mut self) {
        self.name_conflicts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{amount, plenty};
    use holdfast_model::TaskId;

    fn state() -> AgentState {
        let mut state = AgentState::away(Instant(0));
        state.capacity.set_total(plenty());
        state
    }

    #[test]
    fn a_name_conflict_is_counted_until_it_ends() {
        let mut state = state();
        let key = (FrameworkId::made("f".to_owned()), TaskId::made("t".to_owned()));
        state.add_name_conflict(key.clone(), [amount("cpus", 3)].iter().collect());
        assert_eq!(state.held(), &[amount("cpus", 3)].iter().collect());
        state.end_name_conflict(&key);
        state.end_name_conflict(&key);
        assert!(state.held().is_empty() && state.name_conflicts().is_empty());
    }

    #[test]
    fn an_executor_is_noted_once() {
        let mut state = state();
        let (framework, executor) =
            (FrameworkId::made("f".to_owned()), ExecutorId::made("e".to_owned()));
        let view = ExecutorView {
            resources: Resources::new(),
            payload: OpaquePayload::default(),
            command: false,
        };
        assert!(state.add_executor((framework.clone(), executor.clone()), view.clone()));
        assert!(!state.add_executor((framework.clone(), executor), view));
        assert!(state.has_executor_of(&framework));
        assert_eq!(state.take_executors().len(), 1);
        assert!(!state.has_executor_of(&framework));
    }
}
