//! Who holds what: each amount that a task, an executor or an offer holds is counted once at its agent
//! and once at its framework's role. What is here are the only ways in and out.

use holdfast_model::{
    AgentId, Claim, ClaimState, FrameworkId, Identity, MasterLedger, Offer, Resources,
};

use crate::parts::agents::{AgentState, Agents};
use crate::parts::allocator_input::AllocatorInput;
use crate::parts::frameworks::Frameworks;
use crate::parts::offers::OfferRows;
use crate::Belief;

/// The parts in which it is counted who holds what.
pub(crate) type Counted<'b> = (&'b mut Agents, &'b mut Frameworks, &'b mut AllocatorInput);

/// Counts `resources` (allocated) as held by `framework` on `agent`.
pub(crate) fn hold(
    (agents, frameworks, allocator): Counted<'_>,
    agent: &AgentId,
    framework: &FrameworkId,
    resources: &Resources,
) {
    agents.at_mut(agent).hold(&resources.unallocated());
    frameworks.hold(framework, agent, resources);
    allocator.touch_free(agent);
}

/// Counts `plain` (without allocations) as held on `agent` by several, at whose frameworks each was counted by itself.
pub(crate) fn hold_together(
    (agents, _, allocator): Counted<'_>,
    agent: &AgentId,
    plain: &Resources,
) {
    agents.at_mut(agent).hold(plain);
    allocator.touch_free(agent);
}

/// As [`hold`], for an offer that was just made; `plain` are its resources without allocations. That it is less by so much is all that
/// the allocator need know of the agent. Says whether of each of these no more is held than there is.
pub(crate) fn hold_offered(
    (agents, frameworks, allocator): Counted<'_>,
    offer: &Offer,
    plain: &Resources,
) -> bool {
    frameworks.hold(&offer.framework, &offer.agent, &offer.resources);
    allocator.offered(&offer.agent, &offer.framework, plain);
    let state = agents.at_mut(&offer.agent);
    state.hold(plain);
    state.is_held_within(plain)
}

/// Gives back what [`hold_offered`] counted.
pub(crate) fn release_offered(
    (agents, frameworks, allocator): Counted<'_>,
    offer: &Offer,
    plain: &Resources,
) {
    agents.at_mut(&offer.agent).release(plain);
    frameworks.release(&offer.framework, &offer.agent, &offer.resources);
    allocator.touch_free(&offer.agent);
}

/// Gives back what [`hold`] counted.
pub(crate) fn release(
    (agents, frameworks, allocator): Counted<'_>,
    agent: &AgentId,
    framework: &FrameworkId,
    resources: &Resources,
) {
    agents.at_mut(agent).release(&resources.unallocated());
    frameworks.release(framework, agent, resources);
    allocator.touch_free(agent);
}

impl Belief {
    pub(crate) fn counted(&mut self) -> Counted<'_> {
        (&mut self.agents, &mut self.frameworks, &mut self.allocator)
    }
}

/// Whether a task uses a shared volume (without allocation), of which offers hold copies, too.
pub(crate) fn is_shared_in_use(
    offers: &OfferRows,
    (agent, state): (&AgentId, &AgentState),
    volume: &Identity,
) -> bool {
    let held = state.held().get(volume).map_or(0, |it| it.copies as usize);
    offers.with_shared(agent, volume).count() < held
}

/// The claims of an agent that cannot be used now. That of a destroyed volume is not among them: it is in no total and no offer, and says
/// nothing about a new volume of its name.
pub(crate) fn unusable_claims<'l>(
    ledger: &'l MasterLedger,
    (id, state): (&'l AgentId, &'l AgentState),
) -> impl Iterator<Item = &'l Claim> {
    let claims = state.faults().keys().filter_map(|it| ledger.claims.get(&(id.clone(), *it)));
    claims.filter(|it| it.state != ClaimState::Destroying)
}

/// Forgets what tasks and executors of this agent hold; whoever calls says it anew, or there is nothing to be held.
pub(crate) fn forget_holdings(belief: &mut Belief, id: &AgentId) {
    let Belief { agents, frameworks, allocator, tasks, offers, .. } = belief;
    let state = agents.at_mut(id);
    state.clear_name_conflicts();
    for ((framework, _), executor) in state.take_executors().iter() {
        release((agents, frameworks, allocator), id, framework, &executor.resources);
    }
    for task in tasks.of_agent(id).filter(|it| it.holds()) {
        release((agents, frameworks, allocator), id, &task.framework, &task.resources);
    }
    agents.at_mut(id).hold_only(offers.held_of(id));
}

/// Counts anew what a framework holds.
pub(crate) fn recount(belief: &mut Belief, id: &FrameworkId) {
    let Belief { agents, frameworks, tasks, .. } = belief;
    let used = tasks.of_framework(id).filter(|it| it.holds());
    let used = used.map(|it| (it.agent.clone(), it.resources.clone()));
    let executors = agents.states().iter().flat_map(|(agent, state)| {
        state.executors().iter().map(move |(key, executor)| (agent, key, executor))
    });
    let executors = executors
        .filter(|(_, key, _)| key.0 == *id)
        .map(|(agent, _, executor)| (agent.clone(), executor.resources.clone()));
    frameworks.recount(id, used.chain(executors));
}
