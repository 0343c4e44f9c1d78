//! Offers are made. That is driven by events: whenever something about an agent changed, what is free of it is divided at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_allocator::{AgentView, Allocation, Changes, Holder, Policy, Sharing};
use holdfast_model::{
    AgentId, Claim, ClaimId, Event, FrameworkId, Identity, MasterLedger, Offer, Resources,
};

use super::bookkeeping::{hold_offered, is_shared_in_use, unusable_claims};
use super::quota::quota_input;
use super::telling::tell;
use crate::parts::agents::{AgentHealth, AgentState, Agents};
use crate::parts::offers::{OfferRecord, OfferRows};
use crate::parts::timers::Timer;
use crate::{Belief, Config, Step};

/// Divides what is free on the agents that were touched, and asks again whoever may want something now.
pub(crate) fn allocate(step: &mut Step, policy: &mut dyn Policy, belief: &mut Belief) {
    if !belief.allocator.is_pending() {
        return;
    }
    let changes = take_changes(step, belief);
    if !changes.is_empty() {
        let allocations = divide(step, policy, belief, &changes);
        belief.allocator.left_short(policy.take_short_of_quota());
        offer(step, belief, allocations);
    }
    belief.allocator.end_step(step.now);
}

fn take_changes(step: &Step, belief: &mut Belief) -> Changes {
    let Belief { agents, frameworks, offers, allocator, .. } = belief;
    let (config, ledger, known) = (step.config, step.out.ledger(), (&*agents, offers.rows()));
    let mut changes =
        allocator.take_changes(&|id, holders| agent_view(config, ledger, known, id, holders));
    if !changes.is_empty() {
        changes.renew(frameworks.take_changed());
        changes.share(frameworks.take_sharing());
    }
    changes
}

fn divide(
    step: &Step,
    policy: &mut dyn Policy,
    belief: &Belief,
    changes: &Changes,
) -> Vec<Allocation> {
    let (view, ledger) = (belief.allocator.view(&belief.frameworks), step.out.ledger());
    let quota = quota_input(ledger, &belief.agents, &belief.frameworks);
    let (sums, least) = ((belief.agents.totals(), quota), &step.config.min_allocatable);
    policy.allocate(&view.input(ledger, sums, least, step.now), changes)
}

/// Makes offers of what was divided, and tells each framework of its own at once.
fn offer(step: &mut Step, belief: &mut Belief, allocations: Vec<Allocation>) {
    let mut offers: BTreeMap<FrameworkId, Vec<Offer>> = BTreeMap::new();
    for allocation in allocations {
        check_allocation(&allocation);
        let framework = allocation.framework.clone();
        offers.entry(framework).or_default().push(make_offer(step, belief, allocation));
    }
    for (framework, offers) in offers {
        tell(step, &belief.frameworks, &framework, Event::Offers(offers));
    }
}

/// What the allocator sees of an agent. Who holds what of it is found out, unless it is known.
pub(crate) fn agent_view(
    config: &Config,
    ledger: &MasterLedger,
    (agents, offers): (&Agents, &OfferRows),
    id: &AgentId,
    known: Option<Arc<Vec<Holder>>>,
) -> Option<AgentView> {
    let state = agents.get(id)?; // One that was declared gone may have been touched.
    let free = if config.is_planted("master-offers-what-is-used") {
        state.total().clone()
    } else {
        state.free()
    };
    let free = without_faulty(ledger, id, state, free);
    let holders = known.unwrap_or_else(|| Arc::new(holders(ledger, id)));
    let sharing = sharing(offers, (id, state), &free);
    let (traits, fault) = (state.traits().clone(), fault(ledger, id, state));
    Some(AgentView { id: id.clone(), free, traits, fault, holders, sharing })
}

/// Who has the shared volumes that are free.
fn sharing(
    offers: &OfferRows,
    (agent, state): (&AgentId, &AgentState),
    free: &Resources,
) -> Vec<Sharing> {
    let sharing = |identity: &Identity| Sharing {
        identity: identity.clone(),
        is_used: is_shared_in_use(offers, (agent, state), identity),
        offered: offers.with_shared(agent, identity).map(|it| it.framework.clone()).collect(),
    };
    free.shared().map(|(identity, _)| sharing(identity)).collect()
}

/// What of it can be used: nothing of claims that have a fault, and nothing of disks that have one, claimed or not.
pub(crate) fn without_faulty(
    ledger: &MasterLedger,
    id: &AgentId,
    state: &AgentState,
    mut free: Resources,
) -> Resources {
    take_out_faulty(ledger, id, state, &mut free);
    match state.ill_disks().next() {
        None => free,
        Some(_) => free.filter(|identity| !state.ill_disks().any(|disk| disk.carries(identity))),
    }
}

/// What cannot be used is not offered: of reservations as much as is ill, and a volume or whole disk altogether, however large its claim says
/// that it is.
fn take_out_faulty(ledger: &MasterLedger, id: &AgentId, state: &AgentState, free: &mut Resources) {
    let mut whole: BTreeSet<&Identity> = BTreeSet::new();
    for claim in unusable_claims(ledger, (id, state)) {
        match claim.resource.identity.is_exclusive() {
            true => drop(whole.insert(&claim.resource.identity)),
            false => free.subtract(&claim.resource),
        }
    }
    if whole.iter().any(|it| free.get(it).is_some()) {
        *free = free.filter(|it| !whole.contains(it));
    }
}

fn fault(ledger: &MasterLedger, id: &AgentId, state: &AgentState) -> Option<String> {
    match state.health() {
        AgentHealth::Well => {
            let by_wish = ledger.deactivations.get(id).map(|it| it.why());
            by_wish.or_else(|| state.full().cloned())
        }
        AgentHealth::Resyncing => Some("it was asked to report again".to_owned()),
        AgentHealth::Joining => Some("it is opening its disks".to_owned()),
        AgentHealth::Away(_) => Some("it is not connected".to_owned()),
        AgentHealth::Fenced(why) => Some(why.clone()),
    }
}

fn holders(ledger: &MasterLedger, agent: &AgentId) -> Vec<Holder> {
    // Whose part of an amount is offered cannot be told: what several have reserved alike is kept for none of them.
    let is_shared = |claim: &Claim| {
        let mut alike = ledger.claims_with(agent, &claim.resource.identity);
        alike.any(|it| it.framework != claim.framework)
    };
    let holder = |claim: &Claim| {
        let framework = claim.framework.clone().filter(|_| !is_shared(claim))?;
        let record = ledger.frameworks.get(&framework)?;
        (!record.removed).then(|| Holder {
            identity: claim.resource.identity.clone(),
            framework,
            expected: true,
        })
    };
    ledger.held_claims_of(agent).filter_map(holder).collect()
}

/// The rules that no policy may break. That it gives only what is free is checked where that becomes less.
fn check_allocation(allocation: &Allocation) {
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
    let executors = state.executors_of(&framework);
    let offer = Offer {
        id: id.clone(),
        framework: framework.clone(),
        role: role.clone(),
        claims: claims_behind(ledger, &agent, &resources),
        resources: resources.allocated_to(&role),
        executors: executors.cloned().collect(),
        hostname: state.machine().hostname.clone(),
        machine: state.machine().payload.clone(),
        unavailability: ledger.planned_for(&agent).map(|(_, when)| when),
        agent: agent.clone(),
    };
    let is_there = hold_offered(belief.counted(), &offer, &resources);
    assert!(
        is_there || step.config.is_planted("master-offers-what-is-used"),
        "nothing is offered twice"
    );
    belief.offers.put(OfferRecord { offer: offer.clone(), resources, made: step.now });
    if let Some(ms) = step.config.offer_timeout_ms {
        belief.timers.set(step.now.plus_ms(ms), Timer::Offer(id));
    }
    offer
}

fn claims_behind(ledger: &MasterLedger, agent: &AgentId, resources: &Resources) -> Vec<ClaimId> {
    let claimed = resources.entries().map(|(it, _)| it).filter(|it| it.is_reserved());
    let mut behind: Vec<ClaimId> =
        claimed.flat_map(|it| ledger.claims_with(agent, it)).map(|it| it.id).collect();
    behind.sort_unstable();
    behind.dedup();
    behind
}
