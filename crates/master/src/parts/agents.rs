//! The agents that a leader expects or has, and what the whole cluster has.
//!
//! Owns the sums over agents: they change by the difference whenever an agent's total or its admittance changes, and are never added up
//! anew. An agent is forgotten with the leadership and not before. Never knows what an agent's tasks and offers are.

mod capacity;
mod cluster_sums;
mod contact;
mod description;
mod fenced;
mod session;
mod state;
mod trash;
mod used;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    AgentId, ClaimAction, Instant, Invalid, LedgerPoint, LinkId, NodeId, OperationUuid, Order,
    Quantities, Resources, RoleTotals, SharedMap, TaskKey,
};

pub use capacity::ReservedByOperation;
pub use contact::AgentHealth;
pub(crate) use description::Description;
pub use fenced::FencedAgent;
pub(crate) use fenced::FencedAgents;
pub(crate) use session::Sent;
pub use state::{AgentState, ExecutorView};
pub use trash::AgentTrash;
pub use used::AgentUsed;

use cluster_sums::ClusterSums;
use session::Session;

/// All agents but those that were declared gone.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    states: SharedMap<AgentId, AgentState>,
    /// What was said on their links.
    sessions: BTreeMap<AgentId, Session>,
    /// Those that are admitted and have not told this leader yet what they have.
    awaited: BTreeSet<AgentId>,
    /// What the admitted ones have.
    sums: ClusterSums,
    /// Those that are not believed, as they are.
    fenced: FencedAgents,
}

impl Agents {
    /// Expects an agent that has not spoken yet.
    pub(crate) fn expect(&mut self, id: &AgentId, now: Instant, is_admitted: bool) {
        let former = self.states.insert(id.clone(), AgentState::away(now));
        assert!(former.is_none(), "agent {id} is expected once");
        self.sessions.insert(id.clone(), Session::default());
        if is_admitted {
            self.admit(id);
        }
    }

    pub(crate) fn states(&self) -> &SharedMap<AgentId, AgentState> {
        &self.states
    }

    /// Those that are not believed because their ledgers were lost, rolled back or replaced.
    pub(crate) fn fenced(&self) -> &SharedMap<NodeId, FencedAgent> {
        self.fenced.rows()
    }

    /// As [`Agents::fenced`].
    pub(crate) fn fenced_mut(&mut self) -> &mut FencedAgents {
        &mut self.fenced
    }

    /// An agent that a peer or an operator names; it may be unknown.
    pub(crate) fn get(&self, id: &AgentId) -> Option<&AgentState> {
        self.states.get(id)
    }

    /// As [`Agents::get`].
    pub(crate) fn get_mut(&mut self, id: &AgentId) -> Option<&mut AgentState> {
        self.states.get_mut(id)
    }

    /// An agent that something in the belief names.
    pub(crate) fn at(&self, id: &AgentId) -> &AgentState {
        self.get(id).unwrap_or_else(|| panic!("agent {id} is named in the belief and not in it"))
    }

    /// As [`Agents::at`].
    pub(crate) fn at_mut(&mut self, id: &AgentId) -> &mut AgentState {
        self.get_mut(id)
            .unwrap_or_else(|| panic!("agent {id} is named in the belief and not in it"))
    }

    /// An agent is gone for ever: nothing names it any more.
    pub(crate) fn forget(&mut self, id: &AgentId) {
        self.dismiss(id);
        self.states.remove(id);
        self.sessions.remove(id);
        self.fenced.forget_of(id);
    }

    /// Counts an agent to the cluster.
    pub(crate) fn admit(&mut self, id: &AgentId) {
        let state = self.states.get_mut(id).expect("an admitted agent is expected");
        if state.contact.admit() {
            self.sums.add(state.total());
        }
        if !state.heard() {
            self.awaited.insert(id.clone());
        }
        self.check_now_and_then();
    }

    /// Counts an agent to the cluster no more.
    pub(crate) fn dismiss(&mut self, id: &AgentId) {
        let state = self.at_mut(id);
        if state.contact.dismiss() {
            let total = state.total().clone();
            self.sums.subtract(&total);
        }
        self.awaited.remove(id);
        self.check_now_and_then();
    }

    /// The agent has told this leader what it has.
    pub(crate) fn heard(&mut self, id: &AgentId) {
        self.at_mut(id).contact.heard();
        self.awaited.remove(id);
    }

    /// Whether an admitted agent may still come with tasks and operations that this leader does not know.
    pub(crate) fn is_any_awaited(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// All that an agent has, claims laid on it.
    pub(crate) fn set_total(&mut self, id: &AgentId, total: Resources) {
        let state = self.at_mut(id);
        let before = state.total().clone();
        state.capacity.set_total(total);
        let after = state.total().clone();
        self.note_difference(id, &before, &after);
    }

    /// Believes `action` (without allocations), sent as `uuid`, one of a `group`, done before the agent says so.
    ///
    /// # Errors
    /// [`Invalid`] when it cannot be done on what the agent has; nothing is changed then.
    pub(crate) fn speculate(
        &mut self,
        id: &AgentId,
        (group, uuid): (OperationUuid, OperationUuid),
        action: &ClaimAction,
    ) -> Result<(), Invalid> {
        let conversion = self.at_mut(id).capacity.speculate(group, uuid, action)?;
        self.note_difference(id, &conversion.consumed, &conversion.converted);
        Ok(())
    }

    /// An agent's total has lost `before` and won `after`.
    fn note_difference(&mut self, id: &AgentId, before: &Resources, after: &Resources) {
        if self.at(id).contact.is_admitted() {
            self.sums.change(before, after);
        }
        self.check_now_and_then();
    }

    /// What the whole cluster has.
    pub(crate) fn totals(&self) -> &Quantities {
        self.sums.all()
    }

    /// What of that is reserved, by top-level role, as quota counts it.
    pub(crate) fn reserved(&self) -> &RoleTotals {
        self.sums.reserved()
    }

    /// What of that is not reserved, as quota counts it.
    pub(crate) fn unreserved(&self) -> &Quantities {
        self.sums.unreserved()
    }

    /// Whether at least four fifths of the agents have told this leader what is held of them.
    pub(crate) fn are_nearly_all_heard(&self) -> bool {
        are_nearly_all_heard(self.awaited.len(), self.states.len())
    }

    /// Adds everything up anew, and compares; only now and then, so that it costs each change next to nothing.
    fn check_now_and_then(&mut self) {
        if cfg!(debug_assertions) && self.sums.is_check_due(self.states.len()) {
            self.check();
        }
    }

    /// Adds everything up anew, and compares.
    pub(crate) fn check(&self) {
        let mut sums = ClusterSums::default();
        for state in self.states.values().filter(|it| it.contact.is_admitted()) {
            sums.add(state.total());
        }
        self.sums.check_against(&sums);
        let awaited = self.states.iter().filter(|(_, it)| it.contact.is_admitted() && !it.heard());
        assert!(awaited.map(|(id, _)| id).eq(&self.awaited), "awaited are those not heard");
    }
}

/// Whether at least four fifths of so many agents have spoken.
pub(crate) fn are_nearly_all_heard(unheard: usize, all: usize) -> bool {
    5 * unheard <= all
}

/// Links, and what is said on them.
impl Agents {
    fn session(&self, id: &AgentId) -> &Session {
        self.sessions.get(id).unwrap_or_else(|| panic!("agent {id} has no session"))
    }

    fn session_mut(&mut self, id: &AgentId) -> &mut Session {
        self.sessions.get_mut(id).unwrap_or_else(|| panic!("agent {id} has no session"))
    }

    /// It introduces itself on a new link; returns the link that it spoke on before.
    pub(crate) fn open(&mut self, id: &AgentId, now: Instant, link: LinkId) -> Option<LinkId> {
        self.session_mut(id).begin();
        self.at_mut(id).contact.open(now, link)
    }

    /// Its link broke.
    pub(crate) fn lost(&mut self, id: &AgentId, now: Instant) {
        self.at_mut(id).contact.lost(now);
    }

    /// Counts an order, or queues it while an answer is awaited. Frameworks name agents as they like.
    pub(crate) fn order(&mut self, id: &AgentId, order: Order) -> Sent {
        match self.get(id).and_then(AgentState::link) {
            Some(link) => self.session_mut(id).order(link, order),
            None => Sent::Lost,
        }
    }

    /// How many orders were sent on its link, pings not counted.
    pub(crate) fn orders_sent(&self, id: &AgentId) -> u64 {
        self.session(id).orders_sent()
    }

    /// Whether it is asked to tell everything again, and the answer is still to come.
    pub(crate) fn is_asked(&self, id: &AgentId) -> bool {
        self.session(id).asked().is_some()
    }

    /// It was just asked to tell everything again.
    pub(crate) fn ask(&mut self, id: &AgentId) {
        self.session_mut(id).ask();
    }

    /// A report came that is out of date.
    pub(crate) fn answered_late(&mut self, id: &AgentId, orders_seen: u64) {
        self.session_mut(id).answered_late(orders_seen);
    }

    /// The report came that it was asked for.
    pub(crate) fn answered(&mut self, id: &AgentId) {
        self.session_mut(id).answered();
    }

    /// It passed over an order that it does not know.
    pub(crate) fn passes_over(&mut self, id: &AgentId) {
        self.session_mut(id).passes_over();
    }

    /// Whether it passed over an order on its link.
    pub(crate) fn has_passed_over(&self, id: &AgentId) -> bool {
        self.session(id).has_passed_over()
    }

    /// One of its tasks was forgotten.
    pub(crate) fn forget_task(&mut self, id: &AgentId, task: &TaskKey) {
        self.session_mut(id).forget(task);
    }

    /// The tasks that were forgotten since it was asked, which matter no more.
    pub(crate) fn take_forgotten(&mut self, id: &AgentId) -> BTreeSet<TaskKey> {
        self.session_mut(id).take_forgotten()
    }

    /// The orders that waited until it has told everything again.
    pub(crate) fn take_queued(&mut self, id: &AgentId) -> Vec<Order> {
        self.session_mut(id).take_queued()
    }

    /// What waits for an answer will not be sent on this link; returns it.
    pub(crate) fn abandon_queued(&mut self, id: &AgentId) -> Vec<Order> {
        self.session_mut(id).abandon()
    }

    pub(crate) fn pings_missed(&self, id: &AgentId) -> u32 {
        self.session(id).pings_missed()
    }

    pub(crate) fn next_ping(&mut self, id: &AgentId) -> u64 {
        self.session_mut(id).next_ping()
    }

    pub(crate) fn pong(&mut self, id: &AgentId, number: u64) {
        self.session_mut(id).pong(number);
    }

    /// It is told to forget an operation.
    pub(crate) fn acknowledge(&mut self, id: &AgentId, uuid: OperationUuid) {
        // One that is gone is told nothing.
        if let Some(session) = self.sessions.get_mut(id) {
            session.acknowledge(uuid);
        }
    }

    /// The agent told of its ledger, which was so.
    pub(crate) fn hears(&mut self, id: &AgentId, point: Option<LedgerPoint>) {
        self.session_mut(id).hears(point);
    }

    /// The ledger as the process told of it that is connected now.
    pub(crate) fn heard_of_connected(&self, id: &AgentId) -> Option<LedgerPoint> {
        self.get(id)?.link()?;
        self.session(id).heard()
    }

    /// Whether it was told so before.
    pub(crate) fn was_acknowledged(&self, id: &AgentId, uuid: &OperationUuid) -> bool {
        self.session(id).was_acknowledged(uuid)
    }

    #[cfg(test)]
    pub(crate) fn queued_until_resync(&self, id: &AgentId) -> &[Order] {
        self.session(id).queued()
    }

    #[cfg(test)]
    pub(crate) fn forgotten(&self, id: &AgentId) -> &BTreeSet<TaskKey> {
        self.session(id).forgotten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{amount, disk, plenty, reserve, reserved};
    use holdfast_model::Scalar;

    fn id(name: &str) -> AgentId {
        AgentId::made(name.to_owned())
    }

    #[test]
    fn totals_follow_what_agents_have_and_whether_they_are_admitted() {
        let mut agents = Agents::default();
        agents.expect(&id("a"), Instant(0), true);
        agents.expect(&id("b"), Instant(0), false);
        agents.set_total(&id("a"), plenty());
        agents.set_total(&id("b"), plenty());
        agents.check();
        assert_eq!(agents.totals()["cpus"], Scalar::whole(8));
        agents.admit(&id("b"));
        agents.admit(&id("b"));
        assert_eq!(agents.totals()["cpus"], Scalar::whole(16));
        agents.set_total(&id("a"), [amount("cpus", 1)].iter().collect());
        assert_eq!(agents.totals()["cpus"], Scalar::whole(9));
        agents.dismiss(&id("b"));
        agents.dismiss(&id("b"));
        agents.check();
        assert_eq!(agents.totals(), &[("cpus".to_owned(), Scalar::whole(1))].into());
    }

    #[test]
    fn what_is_believed_done_changes_no_sum() {
        let mut agents = Agents::default();
        agents.expect(&id("a"), Instant(0), true);
        agents.set_total(&id("a"), [disk(100)].iter().collect());
        let uuid = OperationUuid(uuid::Uuid::from_u128(1));
        agents.speculate(&id("a"), (uuid, uuid), &reserve(&[reserved(60)])).unwrap();
        assert!(agents.speculate(&id("a"), (uuid, uuid), &reserve(&[reserved(60)])).is_err());
        agents.check();
        assert_eq!(agents.totals()["disk"], Scalar::whole(100));
        assert_eq!(agents.at(&id("a")).free(), [disk(40)].iter().collect());
    }

    #[test]
    fn an_agent_is_awaited_until_it_is_heard_or_dismissed() {
        let mut agents = Agents::default();
        agents.expect(&id("a"), Instant(0), true);
        agents.expect(&id("b"), Instant(0), true);
        agents.heard(&id("a"));
        assert!(agents.is_any_awaited());
        agents.dismiss(&id("b"));
        assert!(!agents.is_any_awaited());
        agents.admit(&id("a"));
        assert!(!agents.is_any_awaited(), "it was heard");
        agents.check();
    }

    #[test]
    #[should_panic(expected = "agent z is named in the belief and not in it")]
    fn a_broken_index_says_what_is_missing() {
        Agents::default().at(&id("z"));
    }
}
