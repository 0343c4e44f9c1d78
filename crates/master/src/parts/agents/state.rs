//! One agent, as a leader believes it to be: its presence, its link, its machine, what it has, and what runs there.
//!
//! Only [`super::Agents`] changes what a sum over agents depends on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_model::{
    ClaimId, DiskReport, ExecutorKey, FrameworkId, Instant, LinkId, MachineInfo, OpaquePayload,
    OperationUuid, Order, Resources, TaskKey,
};

use super::capacity::{Capacity, ReservedByOperation};
use super::contact::{AgentHealth, Contact};
use super::description::Description;
use super::session::{Sent, Session};

/// How many of the operations that an agent was told to forget are remembered.
const ACKNOWLEDGED_MAX: usize = 256;

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
    session: Session,
    description: Description,
    pub(super) capacity: Capacity,
    /// Its executors with what they use themselves.
    executors: BTreeMap<ExecutorKey, ExecutorView>,
    /// Its tasks whose names belong to tasks of other agents, with what they use, without allocations.
    name_conflicts: BTreeMap<TaskKey, Resources>,
    /// Operations that it was told to forget, the newest last.
    acknowledged: VecDeque<OperationUuid>,
}

/// What anybody may read.
impl AgentState {
    /// The link it speaks on.
    pub fn link(&self) -> Option<LinkId> {
        self.session.link()
    }

    /// How it stands.
    pub fn health(&self) -> &AgentHealth {
        self.contact.health()
    }

    /// Whether it has told this leader what it has.
    pub fn heard(&self) -> bool {
        self.contact.is_heard()
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

    /// Disks, as last reported.
    pub fn disks(&self) -> &[DiskReport] {
        self.description.disks()
    }

    /// Claims that cannot be used now, and why.
    pub fn faults(&self) -> &BTreeMap<ClaimId, String> {
        self.description.faults()
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

    /// What is in the total and not to be offered yet, by the first of the operations that were sent together.
    pub fn reserved_by_operation(&self) -> &BTreeMap<OperationUuid, ReservedByOperation> {
        self.capacity.reserved()
    }

    /// What is neither used nor offered nor on its way.
    pub fn free(&self) -> Resources {
        self.capacity.free()
    }

    /// Its executors with what they use themselves.
    pub fn executors(&self) -> &BTreeMap<ExecutorKey, ExecutorView> {
        &self.executors
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
            session: Session::default(),
            description: Description::default(),
            capacity: Capacity::default(),
            executors: BTreeMap::new(),
            name_conflicts: BTreeMap::new(),
            acknowledged: VecDeque::new(),
        }
    }

    pub(crate) fn set_health(&mut self, health: AgentHealth) {
        self.contact.set_health(health);
    }

    /// When it was last lost, or first expected.
    pub(crate) fn away_since(&self) -> Instant {
        self.contact.away_since()
    }

    /// It introduces itself on a new link; returns the link that it spoke on before.
    pub(crate) fn open(&mut self, now: Instant, link: LinkId) -> Option<LinkId> {
        self.contact.reregister(now);
        self.session.open(link)
    }

    /// Its link broke.
    pub(crate) fn lost(&mut self, now: Instant) {
        self.session.close();
        self.contact.set_health(AgentHealth::Away(now));
    }

    /// Takes over what it says of its machine; says whether that is another machine than before.
    pub(crate) fn describe(&mut self, description: Description) -> bool {
        let is_other = self.heard() && self.machine().payload != description.machine().payload;
        self.description = description;
        is_other
    }
}

/// Its link.
impl AgentState {
    pub(crate) fn orders_sent(&self) -> u64 {
        self.session.orders_sent()
    }

    pub(crate) fn asked(&self) -> Option<u64> {
        self.session.asked()
    }

    /// Orders that wait until it has told everything again.
    #[cfg(test)]
    pub(crate) fn queued_until_resync(&self) -> &[Order] {
        self.session.queued()
    }

    #[cfg(test)]
    pub(crate) fn forgotten(&self) -> &BTreeSet<TaskKey> {
        self.session.forgotten()
    }

    pub(crate) fn order(&mut self, order: Order) -> Sent {
        self.session.order(order)
    }

    /// It was just asked to tell everything again.
    pub(crate) fn ask(&mut self) {
        self.session.ask();
    }

    pub(crate) fn answered_late(&mut self, orders_seen: u64) {
        self.session.answered_late(orders_seen);
    }

    pub(crate) fn answered(&mut self) {
        self.session.answered();
    }

    /// One of its tasks was forgotten.
    pub(crate) fn forget_task(&mut self, task: &TaskKey) {
        self.session.forget(task);
    }

    pub(crate) fn clear_forgotten(&mut self) -> BTreeSet<TaskKey> {
        self.session.clear_forgotten()
    }

    pub(crate) fn take_queued(&mut self) -> Vec<Order> {
        self.session.take_queued()
    }

    /// What waits for an answer will not be sent on this link; returns it.
    pub(crate) fn abandon_queued(&mut self) -> Vec<Order> {
        self.session.abandon()
    }

    pub(crate) fn pings_missed(&self) -> u32 {
        self.session.pings_missed()
    }

    pub(crate) fn next_ping(&mut self) -> u64 {
        self.session.next_ping()
    }

    pub(crate) fn pong(&mut self, number: u64) {
        self.session.pong(number);
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

/// What runs there, and what it was told to forget.
impl AgentState {
    /// Notes an executor; says whether it is a new one.
    pub(crate) fn add_executor(&mut self, key: ExecutorKey, view: ExecutorView) -> bool {
        if self.executors.contains_key(&key) {
            return false;
        }
        self.executors.insert(key, view);
        true
    }

    pub(crate) fn remove_executor(&mut self, key: &ExecutorKey) -> Option<ExecutorView> {
        self.executors.remove(key)
    }

    pub(crate) fn take_executors(&mut self) -> BTreeMap<ExecutorKey, ExecutorView> {
        std::mem::take(&mut self.executors)
    }

    /// Whether it runs an executor of that framework.
    pub(crate) fn has_executor_of(&self, framework: &FrameworkId) -> bool {
        self.executors.keys().any(|key| key.0 == *framework)
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

    pub(crate) fn was_acknowledged(&self, uuid: &OperationUuid) -> bool {
        self.acknowledged.contains(uuid)
    }

    /// It is told to forget an operation, and may not hear it the first time.
    pub(crate) fn acknowledge(&mut self, uuid: OperationUuid) {
        if ACKNOWLEDGED_MAX <= self.acknowledged.len() {
            self.acknowledged.pop_front();
        }
        self.acknowledged.push_back(uuid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{amount, plenty};
    use holdfast_model::{ExecutorId, TaskId};
    use uuid::Uuid;

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

    #[test]
    fn the_newest_of_many_acknowledged_operations_are_remembered() {
        let mut state = state();
        let uuid = |number: usize| OperationUuid(Uuid::from_u128(number as u128));
        (0..ACKNOWLEDGED_MAX + 1).for_each(|it| state.acknowledge(uuid(it)));
        assert!(
            !state.was_acknowledged(&uuid(0)) && state.was_acknowledged(&uuid(ACKNOWLEDGED_MAX))
        );
    }
}
