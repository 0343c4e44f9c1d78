//! Offers are made. That is driven by events: whenever something about an agent changed, what is free of it is divided at once.

use std::collections::BTreeMap;

use holdfast_allocator::{AgentView, Allocation, Holder, Policy};
use holdfast_model::{AgentId, Claim, ClaimId, Event, FrameworkId, MasterLedger, Offer, Resources};

use super::bookkeeping::hold;
use super::telling::tell;
use crate::parts::agents::{AgentHealth, AgentState, Agents};
use crate::parts::timers::Timer;
use crate::{Belief, Config, Step};

/// Divides what is free on the agents that were touched.
pub(crate) fn allocate(step: &mut Step, policy: &mut dyn Policy, belief: &mut Belief) {
    show_frameworks(belief);
    if !belief.allocator.is_dirty() {
        return;
    }
    show_agents(step, belief);
    let dirty = belief.allocator.take_dirty();
    let allocations = {
        let (view, totals) = (belief.allocator.view(), belief.agents.totals());
        let least = &step.config.min_allocatable;
        policy.allocate(&view.input(step.out.ledger(), totals, least, step.now), &dirty)
    };
    let mut offers: BTreeMap<FrameworkId, Vec<Offer>> = BTreeMap::new();
    for allocation in allocations {
        check_allocation(belief, &allocation);
        let framework = allocation.framework.clone();
        offers.entry(framework).or_default().push(make_offer(step, belief, allocation));
    }
    for (framework, offers) in offers {
        tell(step, &belief.frameworks, &framework, Event::Offers(offers));
    }
    show_agents(step, belief); // The allocation input shows what is left, for whoever asks why.
    show_frameworks(belief);
    belief.allocator.take_dirty();
}

/// Renews what the allocator sees of the agents that were touched.
fn show_agents(step: &Step, belief: &mut Belief) {
    let dirty: Vec<AgentId> = belief.allocator.dirty().cloned().collect();
    for id in dirty {
        let view = agent_view(step.config, step.out.ledger(), &belief.agents, &id);
        belief.allocator.show_agent(id, view);
    }
}

/// Renews what the allocator sees of the frameworks that were touched.
fn show_frameworks(belief: &mut Belief) {
    for id in belief.allocator.take_stale() {
        let view = belief.frameworks.get(&id).map(|it| it.view(&id));
        belief.allocator.show_framework(id, view);
    }
}

fn agent_view(
    config: &Config,
    ledger: &MasterLedger,
    agents: &Agents,
    id: &AgentId,
) -> Option<AgentView> {
    let state = agents.get(id)?; // One that was declared gone may have been touched.
    let mut free = if config.is_planted("master-offers-what-is-used") {
        state.total().clone()
    } else {
        state.free()
    };
    for claim in state.faults().keys() {
        if let Some(claim) = ledger.claims.get(&(id.clone(), *claim)) {
            free.subtract(&claim.resource); // What cannot be used is not offered.
        }
    }
    if state.ill_disks().next().is_some() {
        // Nor is what nobody has claimed of a disk yet.
        free = free.filter(|identity| !state.ill_disks().any(|disk| disk.carries(identity)));
    }
    Some(AgentView { id: id.clone(), free, fault: fault(state), holders: holders(ledger, id) })
}

fn fault(state: &AgentState) -> Option<String> {
    match state.health() {
        AgentHealth::Well => None,
        AgentHealth::Resyncing => Some("it was asked to report again".to_owned()),
        AgentHealth::Joining => Some("it is opening its disks".to_owned()),
        AgentHealth::Away(_) => Some("it is not connected".to_owned()),
        AgentHealth::Fenced(why) => Some(why.clone()),
    }
}

fn holders(ledger: &MasterLedger, agent: &AgentId) -> Vec<Holder> {
    let holder = |claim: &Claim| {
        let framework = claim.framework.clone()?;
        let record = ledger.frameworks.get(&framework)?;
        (!record.removed).then(|| Holder {
            identity: claim.resource.identity.clone(),
            framework,
            expected: true,
        })
    };
    ledger.claims_of(agent).filter_map(holder).collect()
}

/// The rules that no policy may break.
fn check_allocation(belief: &Belief, allocation: &Allocation) {
    let view = belief.allocator.agent(&allocation.agent);
    let view = view.expect("an allocation names an agent of the input");
    assert!(view.fault.is_none(), "an allocation names an agent that is well");
    let free = belief.agents.at(&allocation.agent).free();
    assert!(free.contains(&allocation.resources), "an allocation gives only what is free");
    let fits = allocation
        .resources
        .entries()
        .all(|(identity, _)| identity.is_allocatable_to(&allocation.role));
    assert!(fits, "what is reserved goes only to its role");
}

fn make_offer(step: &mut Step, belief: &mut Belief, allocation: Allocation) -> Offer {
    let Allocation { framework, role, agent, resources } = allocation;
    let (ledger, term) = (step.out.ledger(), step.out.term_led());
    let cluster = ledger.cluster.as_ref().expect("a leader's ledger has its cluster").id;
    let id = belief.offers.name(cluster, term);
    let state = belief.agents.at(&agent);
    let executors = state.executors().keys().filter(|key| key.0 == framework);
    let offer = Offer {
        id: id.clone(),
        framework: framework.clone(),
        role: role.clone(),
        claims: claims_behind(ledger, &agent, &resources),
        resources: resources.allocated_to(&role),
        executors: executors.map(|key| key.1.clone()).collect(),
        hostname: state.machine().hostname.clone(),
        machine: state.machine().payload.clone(),
        agent: agent.clone(),
    };
    hold(belief.counted(), &agent, &framework, &offer.resources);
    belief.offers.put(offer.clone(), step.now);
    if let Some(ms) = step.config.offer_timeout_ms {
        belief.timers.set(step.now.plus_ms(ms), Timer::Offer(id));
    }
    offer
}

fn claims_behind(ledger: &MasterLedger, agent: &AgentId, resources: &Resources) -> Vec<ClaimId> {
    let claims = ledger.claims_of(agent);
    claims
        .filter(|claim| resources.get(&claim.resource.identity).is_some())
        .map(|claim| claim.id)
        .collect()
}
