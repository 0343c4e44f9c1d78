//! What must hold after every single input, whatever was said and by whom: each rule recomputes from scratch what the master keeps
//! piece by piece.
//!
//! Relies on the master's own fields, since it judges their sums. Never changes anything.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    AgentId, ClaimState, FrameworkId, Identity, OperationUuid, Presence, Quantities, Resources,
    Role, Scalar,
};

use super::bed::Bed;
use crate::flows::allocate::agent_view;
use crate::{AgentHealth, Belief, Config, Master};

pub(crate) fn check(bed: &Bed) {
    let master = &bed.master;
    assert_eq!(&bed.folded, master.ledger(), "the ledger is the fold of what was committed");
    master.belief.agents.check();
    master.belief.tasks.check();
    master.belief.offers.check();
    master.belief.offers.inverse.check();
    master.belief.operations.check();
    check_links(master);
    check_held(master, bed.byzantine_peers);
    check_offers(master);
    check_shares(master);
    check_quota(master);
    check_operations(bed);
    check_allocator(master, &bed.config);
}

/// What the allocator sees of an agent is how it is, once all that was to be looked at has been.
fn check_allocator(master: &Master, config: &Config) {
    let Belief { agents, allocator, offers, .. } = &master.belief;
    if allocator.is_pending() {
        return;
    }
    for id in agents.states().keys() {
        let view = agent_view(config, master.ledger(), (agents, offers), id, None);
        assert_eq!(allocator.agent(id), view.as_ref(), "the allocator sees agent {id} as it is");
    }
}

/// Links and their owners name each other.
fn check_links(master: &Master) {
    for (link, agent) in master.links.agents() {
        assert_eq!(
            master.agents()[agent].link(),
            Some(*link),
            "{agent} speaks on the link that is noted for it"
        );
    }
    let linked = master.agents().values().filter(|it| it.link().is_some()).count();
    assert_eq!(linked, master.links.agents().len());
    for (link, framework) in master.links.frameworks() {
        assert_eq!(
            master.frameworks()[framework].link(),
            Some(*link),
            "{framework} speaks on the link that is noted for it"
        );
    }
    let linked = master.frameworks().values().filter(|it| it.link().is_some()).count();
    assert_eq!(linked, master.links.frameworks().len());
    for (id, state) in master.agents() {
        if *state.health() == AgentHealth::Well {
            assert!(state.link().is_some(), "an agent that is well is connected");
            assert_eq!(master.ledger().agents[id].presence, Presence::Admitted);
        }
        assert!(
            master.belief.agents.is_asked(id)
                || (master.belief.agents.queued_until_resync(id).is_empty()
                    && master.belief.agents.forgotten(id).is_empty())
        );
    }
    for (id, state) in master.frameworks() {
        let record = &master.ledger().frameworks[id];
        assert!(
            !record.removed && record.deadline.is_none() == state.link().is_some(),
            "who is away has a deadline, who is here has none"
        );
    }
}

/// What is held is what offers, tasks and executors hold; what is offered is there besides.
fn check_held(master: &Master, byzantine_peers: bool) {
    for (id, state) in master.agents() {
        let mut held = Resources::new();
        let mut offered = Resources::new();
        for offer in master.belief.offers.of_agent(id) {
            assert_eq!(offer.agent, *id);
            offered.add_all(&offer.resources.unallocated());
        }
        held.add_all(&offered);
        for task in master.belief.tasks.of_agent(id) {
            assert_eq!(task.agent, *id);
            if task.holds() {
                held.add_all(&task.resources.unallocated());
            }
        }
        state.executors().values().for_each(|it| held.add_all(&it.resources.unallocated()));
        state.name_conflicts().values().for_each(|it| held.add_all(it));
        // An agent that names one volume in two sizes hurts only itself.
        let checked = |it: &Identity| !byzantine_peers || !it.is_exclusive();
        assert_eq!(
            state.held().filter(checked),
            held.filter(checked),
            "agent {id} holds what its offers, tasks and executors hold"
        );
        for (identity, _) in offered.entries() {
            // Ports are told apart: a task may use others that the agent came back without.
            let is_counted = identity.kind == holdfast_model::ValueKind::Scalar;
            let all = if is_counted { &held } else { &offered }.filter(|it| it == identity);
            assert!(
                state.total().contains(&all.shared_once()),
                "{all} of agent {id} is offered and used, of {}",
                state.total()
            );
        }
    }
}

/// What quota counts is what agents have and frameworks hold.
fn check_quota(master: &Master) {
    if master.term().is_none() {
        return;
    }
    let Belief { agents, frameworks, .. } = &master.belief;
    let kept = crate::flows::quota::quota_input(master.ledger(), agents, frameworks);
    let added_up = master.view().quota_added_up();
    let anew = added_up.input(master.ledger());
    assert!(kept.reserved.is_equal(anew.reserved), "what is reserved is what agents have");
    assert_eq!(kept.unreserved, anew.unreserved, "and so is what is not");
    assert_eq!(frameworks.held().is_kept(), !master.ledger().quotas.is_empty());
    if frameworks.held().is_kept() {
        assert!(kept.held.is_equal(anew.held), "what is held beside is what frameworks hold");
    }
}

fn check_offers(master: &Master) {
    for (id, record) in master.offers() {
        let offer = &record.offer;
        let (agent, framework) =
            (&master.agents()[&offer.agent], &master.frameworks()[&offer.framework]);
        let mut both = master.belief.offers.of_agent(&offer.agent);
        assert!(both.any(|it| it.id == *id && it.framework == offer.framework));
        assert_eq!(*agent.health(), AgentHealth::Well, "offers are of agents that are well");
        assert!(framework.link().is_some(), "offers are held by frameworks that are here");
        assert!(
            framework.info().roles.contains(&offer.role),
            "offers are for roles that the framework has"
        );
        let faulty: BTreeSet<Identity> = faulty(master, offer);
        for (identity, _) in offer.resources.entries() {
            assert_eq!(identity.allocation.as_ref(), Some(&offer.role));
            assert!(
                identity.is_allocatable_to(&offer.role),
                "{identity} is not for role {}",
                offer.role
            );
            assert!(!faulty.contains(&identity.unallocated()), "{identity} cannot be used");
        }
        assert!(!offer.resources.is_empty());
    }
}

fn faulty(master: &Master, offer: &holdfast_model::Offer) -> BTreeSet<Identity> {
    let faults = master.agents()[&offer.agent].faults().keys();
    let claims = faults.filter_map(|it| master.ledger().claims.get(&(offer.agent.clone(), *it)));
    let live = claims.filter(|it| it.state != ClaimState::Destroying);
    live.filter(|it| it.is_volume()).map(|it| it.resource.identity.clone()).collect()
}

/// What each framework is counted to have is what it has.
fn check_shares(master: &Master) {
    let mut all: BTreeMap<(&FrameworkId, Role), Quantities> = BTreeMap::new();
    let mut shared = BTreeMap::new();
    let mut count = |framework, agent, resources: &Resources| {
        for resource in resources.iter() {
            let is_shared = resource.identity.shared;
            if is_shared {
                let place = (framework, agent, resource.identity.clone());
                if shared.insert(place, resource.value.quantity()).is_some() {
                    continue; // However many of its tasks and offers hold it.
                }
            }
            let role = resource.identity.allocation.clone().unwrap_or_else(Role::any);
            let sum = all
                .entry((framework, role))
                .or_default()
                .entry(resource.identity.name.clone())
                .or_default();
            *sum = sum.plus(resource.value.quantity());
        }
    };
    master
        .offers()
        .values()
        .for_each(|it| count(&it.offer.framework, &it.offer.agent, &it.offer.resources));
    master
        .tasks()
        .values()
        .filter(|it| it.holds())
        .for_each(|it| count(&it.framework, &it.agent, &it.resources));
    for (id, state) in master.agents().iter() {
        state.executors().iter().for_each(|(key, it)| count(&key.0, id, &it.resources));
    }
    let views = master.belief.frameworks.views();
    shared.retain(|(framework, ..), _| views.contains_key(framework));
    check_shared_again(master, &shared);
    assert!(views.keys().eq(master.frameworks().keys()));
    for (id, seen) in views.iter() {
        let state = &master.frameworks()[id];
        assert_eq!(seen.active, state.link().is_some());
        assert_eq!(seen.capabilities, state.info().capabilities);
        for view in &seen.roles {
            let sums = all.remove(&(id, view.role.clone())).unwrap_or_default();
            assert_eq!(
                view.allocated, sums,
                "{id} has for role {} what it is counted to have",
                view.role
            );
        }
        let uncounted: Vec<&Quantities> =
            all.iter().filter(|((it, _), _)| *it == id).map(|(_, it)| it).collect();
        assert!(uncounted.is_empty(), "{id} has more than it is counted to have: {uncounted:?}");
    }
}

/// What roles have of shared volumes more than once is what their frameworks have of them beside the first.
fn check_shared_again(
    master: &Master,
    shared: &BTreeMap<(&FrameworkId, &AgentId, Identity), Scalar>,
) {
    let mut all: BTreeMap<Role, holdfast_allocator::SharedAgain> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for ((_, agent, identity), size) in shared {
        let role = identity.allocation.clone().unwrap_or_else(Role::any);
        let ends = role.as_str().match_indices('/').map(|(end, _)| end);
        for end in ends.chain([role.as_str().len()]) {
            let path = Role::parse(&role.as_str()[..end]).unwrap();
            let volume = (*agent, identity.unallocated());
            let row = all.entry(path.clone()).or_default();
            let mut count = |is_own: bool, sums: &mut Quantities| {
                if !seen.insert((volume.clone(), path.clone(), is_own)) {
                    let sum = sums.entry(identity.name.clone()).or_default();
                    *sum = sum.plus(*size);
                }
            };
            count(false, &mut row.all);
            if path == role {
                count(true, &mut row.own);
            }
        }
    }
    all.retain(|_, row| !row.all.is_empty());
    let kept = master.belief.frameworks.shared_again().iter();
    assert_eq!(kept.map(|(role, it)| (role.clone(), it.clone())).collect::<BTreeMap<_, _>>(), all);
}

fn check_operations(bed: &Bed) {
    let master = &bed.master;
    if master.term().is_none() {
        return;
    }
    let known: BTreeSet<&OperationUuid> = master.operations().keys().collect();
    assert_eq!(
        known,
        master.ledger().pending.keys().collect(),
        "operations in flight are in the ledger"
    );
    for operation in master.operations().values() {
        assert!(
            operation.request.is_none_or(|it| !bed.answers.contains_key(&it)),
            "who waits was not answered"
        );
    }
    for (id, state) in master.agents() {
        for reserved in state.reserved_by_operation().values() {
            assert!(!reserved.until.is_empty());
            for uuid in &reserved.until {
                let operation =
                    master.operations().get(uuid).expect("what is reserved waits for an operation");
                assert!(operation.agent == *id && operation.settled.is_none());
            }
            assert!(reserved.what.entries().all(|(identity, _)| identity.allocation.is_none()));
        }
    }
}
