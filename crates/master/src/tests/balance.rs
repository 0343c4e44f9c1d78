//! What must hold after every single input, whatever was said and by whom: each rule recomputes from scratch what the master keeps
//! piece by piece.
//!
//! Relies on the master's own fields, since it judges their sums. Never changes anything.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{FrameworkId, Identity, OperationUuid, Presence, Quantities, Resources, Role};

use super::bed::Bed;
use crate::{AgentHealth, Master};

pub(crate) fn check(bed: &Bed) {
    let master = &bed.master;
    assert_eq!(&bed.folded, master.ledger(), "the ledger is the fold of what was committed");
    check_links(master);
    check_held(master, bed.byzantine_peers);
    check_offers(master);
    check_shares(master);
    check_tasks(master);
    check_operations(bed);
}

/// Links and their owners name each other.
fn check_links(master: &Master) {
    for (link, agent) in &master.agent_links {
        assert_eq!(
            master.agents[agent].link,
            Some(*link),
            "{agent} speaks on the link that is noted for it"
        );
    }
    let linked = master.agents.values().filter(|it| it.link.is_some()).count();
    assert_eq!(linked, master.agent_links.len());
    for (link, framework) in &master.framework_links {
        assert_eq!(
            master.frameworks[framework].link,
            Some(*link),
            "{framework} speaks on the link that is noted for it"
        );
    }
    let linked = master.frameworks.values().filter(|it| it.link.is_some()).count();
    assert_eq!(linked, master.framework_links.len());
    for (id, state) in &master.agents {
        if state.health == AgentHealth::Well {
            assert!(state.link.is_some(), "an agent that is well is connected");
            assert_eq!(master.ledger.agents[id].presence, Presence::Admitted);
        }
        assert!(
            state.asked.is_some() || (state.held_back.is_empty() && state.forgotten.is_empty())
        );
    }
    for (id, state) in &master.frameworks {
        let record = &master.ledger.frameworks[id];
        assert!(
            !record.removed && record.deadline.is_none() == state.link.is_some(),
            "who is away has a deadline, who is here has none"
        );
    }
}

/// What is held is what offers, tasks and executors hold; what is offered is there besides.
fn check_held(master: &Master, byzantine_peers: bool) {
    for (id, state) in &master.agents {
        let mut held = Resources::new();
        let mut offered = Resources::new();
        for offer in &state.offers {
            let record = master.offers.get(offer).expect("an agent's offers stand");
            assert_eq!(record.offer.agent, *id);
            offered.add_all(&record.offer.resources.unallocated());
        }
        held.add_all(&offered);
        for key in &state.tasks {
            let task = master.tasks.get(key).expect("an agent's tasks are known");
            assert_eq!(task.agent, *id);
            if task.holds() {
                held.add_all(&task.resources.unallocated());
            }
        }
        state.executors.values().for_each(|it| held.add_all(&it.resources.unallocated()));
        state.strays.values().for_each(|it| held.add_all(it));
        // An agent that names one volume in two sizes hurts only itself.
        let checked = |it: &Identity| !byzantine_peers || !it.is_exclusive();
        assert_eq!(
            state.held.filter(checked),
            held.filter(checked),
            "agent {id} holds what its offers, tasks and executors hold"
        );
        for (identity, _) in offered.entries() {
            let all = held.filter(|it| it == identity);
            assert!(
                state.total.contains(&all),
                "{all} of agent {id} is offered and used, of {}",
                state.total
            );
        }
    }
}

fn check_offers(master: &Master) {
    for (id, record) in &master.offers {
        let offer = &record.offer;
        let (agent, framework) =
            (&master.agents[&offer.agent], &master.frameworks[&offer.framework]);
        assert!(agent.offers.contains(id) && framework.offers.contains(id));
        assert_eq!(agent.health, AgentHealth::Well, "offers are of agents that are well");
        assert!(framework.link.is_some(), "offers are held by frameworks that are here");
        assert!(
            framework.info.roles.contains(&offer.role),
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
    let of_frameworks: usize = master.frameworks.values().map(|it| it.offers.len()).sum();
    let of_agents: usize = master.agents.values().map(|it| it.offers.len()).sum();
    assert_eq!((of_frameworks, of_agents), (master.offers.len(), master.offers.len()));
}

fn faulty(master: &Master, offer: &holdfast_model::Offer) -> BTreeSet<Identity> {
    let faults = master.agents[&offer.agent].faults.keys();
    let claims = faults.filter_map(|it| master.ledger.claims.get(&(offer.agent.clone(), *it)));
    claims.filter(|it| it.is_volume()).map(|it| it.resource.identity.clone()).collect()
}

/// What each framework is counted to have is what it has.
fn check_shares(master: &Master) {
    let mut all: BTreeMap<(&FrameworkId, Role), Quantities> = BTreeMap::new();
    let mut count = |framework, resources: &Resources| {
        for resource in resources.iter() {
            let role = resource.identity.allocation.clone().unwrap_or_else(Role::any);
            let sum = all
                .entry((framework, role))
                .or_default()
                .entry(resource.identity.name.clone())
                .or_default();
            *sum = sum.plus(resource.value.quantity());
        }
    };
    master.offers.values().for_each(|it| count(&it.offer.framework, &it.offer.resources));
    master
        .tasks
        .values()
        .filter(|it| it.holds())
        .for_each(|it| count(&it.framework, &it.resources));
    for state in master.agents.values() {
        state.executors.iter().for_each(|(key, it)| count(&key.0, &it.resources));
    }
    for (id, state) in &master.frameworks {
        for view in &state.roles {
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

fn check_tasks(master: &Master) {
    let of_agents: usize = master.agents.values().map(|it| it.tasks.len()).sum();
    assert_eq!(of_agents, master.tasks.len(), "each task is at one agent");
    for (key, task) in &master.tasks {
        assert_eq!(*key, task.key());
        assert!(master.agents[&task.agent].tasks.contains(key));
    }
    assert!(
        master.kills.keys().all(|it| master.tasks.contains_key(it)),
        "only what is known is to be killed"
    );
    assert!(master.completed.len() <= crate::state::COMPLETED_TASKS_MAX);
}

fn check_operations(bed: &Bed) {
    let master = &bed.master;
    if master.term.is_none() {
        return;
    }
    let known: BTreeSet<&OperationUuid> = master.operations.keys().collect();
    assert_eq!(
        known,
        master.ledger.pending.keys().collect(),
        "operations in flight are in the ledger"
    );
    for ((framework, name), uuid) in &master.operation_names {
        let operation = master.operations.get(uuid).expect("a name is of an operation");
        assert_eq!(
            (operation.framework.as_ref(), operation.id.as_ref()),
            (Some(framework), Some(name))
        );
    }
    for operation in master.operations.values() {
        assert!(
            operation.request.is_none_or(|it| !bed.answers.contains_key(&it)),
            "who waits was not answered"
        );
        assert!(operation.settled.as_ref().is_none_or(|it| it.state.is_terminal()));
    }
    for (id, state) in &master.agents {
        for withheld in state.withheld.values() {
            assert!(!withheld.until.is_empty());
            for uuid in &withheld.until {
                let operation =
                    master.operations.get(uuid).expect("what is withheld waits for an operation");
                assert!(operation.agent == *id && operation.settled.is_none());
            }
            assert!(withheld.what.entries().all(|(identity, _)| identity.allocation.is_none()));
        }
    }
}
