//! The master's numbers, under Mesos's names where Mesos has one.
//!
//! Relies on a published view; never counts anything that the view does not show.

use std::collections::BTreeSet;

use holdfast_master::AgentHealth;
use holdfast_model::{Presence, Quantities, Resources, Scalar, TaskState};

use super::{amounts, Sample};
use crate::groups::{counts, live_tasks};
use crate::MasterView;

/// All numbers of a master.
pub fn master(view: &MasterView) -> Vec<Sample> {
    let elected = if view.term().is_some() { 1.0 } else { 0.0 };
    let mut samples = vec![Sample::gauge("master/elected", "Whether this master leads.", elected)];
    agents(view, &mut samples);
    frameworks(view, &mut samples);
    samples.extend([
        Sample::count(
            "master/outstanding_offers",
            "Offers that were not answered yet.",
            view.offers().len(),
        ),
        Sample::count(
            "allocator/mesos/offer_filters/active",
            "Refusals that hold.",
            view.filters_len(),
        ),
        Sample::count(
            "holdfast/operations_in_flight",
            "Operations not yet settled or acknowledged.",
            view.operations().len(),
        ),
    ]);
    claims(view, &mut samples);
    machines(view, &mut samples);
    quotas(view, &mut samples);
    samples.extend(view.served().into_iter().map(|place| {
        let name = format!("allocator/mesos/roles/{}/shares/dominant", place.role);
        let help =
            "The role's share of what it has most of, from 0 to 1, not divided by its weight.";
        Sample::gauge(name, help, place.share)
    }));
    tasks(view, &mut samples);
    resources(view, &mut samples);
    samples
}

fn agents(view: &MasterView, samples: &mut Vec<Sample>) {
    let (mut active, mut connected, mut away, mut fenced) = (0, 0, 0, 0);
    let is_offered = |id| !view.ledger().deactivations.contains_key(id);
    for (id, agent) in view.agents().iter() {
        connected += usize::from(agent.link().is_some());
        match agent.health() {
            AgentHealth::Well => active += usize::from(is_offered(id)),
            AgentHealth::Away(_) => away += 1,
            AgentHealth::Fenced(_) => fenced += 1,
            AgentHealth::Joining | AgentHealth::Resyncing => {}
        }
    }
    let records = view.ledger().agents.values();
    let unreachable = records.filter(|it| it.presence == Presence::Unreachable).count();
    samples.extend([
        Sample::count("master/slaves_active", "Agents that are offered.", active),
        Sample::count("master/slaves_connected", "Agents that are connected.", connected),
        Sample::count(
            "master/slaves_disconnected",
            "Agents that are expected and not connected.",
            away,
        ),
        Sample::count(
            "master/slaves_inactive",
            "Agents that are not offered, connected or not.",
            view.agents().len() - active,
        ),
        Sample::count(
            "holdfast/agents_fenced",
            "Agents that have lost data or belong elsewhere.",
            fenced,
        ),
        Sample::count(
            "master/slaves_unreachable",
            "Agents that did not come back in time.",
            unreachable,
        ),
    ]);
}

fn frameworks(view: &MasterView, samples: &mut Vec<Sample>) {
    let connected = view.frameworks().values().filter(|it| it.link().is_some()).count();
    let away = view.frameworks().len() - connected;
    samples.extend([
        Sample::count("master/frameworks_active", "Frameworks that are connected.", connected),
        Sample::count("master/frameworks_connected", "Frameworks that are connected.", connected),
        Sample::count("master/frameworks_disconnected", "Frameworks that may come back.", away),
        Sample::count("master/frameworks_inactive", "Frameworks that get no offers.", away),
    ]);
}

fn claims(view: &MasterView, samples: &mut Vec<Sample>) {
    let all = view.ledger().claims.len();
    let volumes = view.ledger().claims.values().filter(|it| it.is_volume()).count();
    for (kind, count) in [("volume", volumes), ("reservation", all - volumes)] {
        let sample = Sample::count("holdfast/claims", "Claims by kind.", count);
        samples.push(sample.label("kind", kind));
    }
}

fn machines(view: &MasterView, samples: &mut Vec<Sample>) {
    let all = view.ledger().maintenance.machines();
    let (down, draining): (Vec<_>, Vec<_>) = all.partition(|(it, _)| it.is_down);
    samples.extend([
        Sample::count("holdfast/machines_down", "Machines that are down.", down.len()),
        Sample::count(
            "holdfast/machines_draining",
            "Machines with planned downtime that are not down.",
            draining.len(),
        ),
        Sample::count(
            "holdfast/outstanding_inverse_offers",
            "Inverse offers that were not answered yet.",
            view.inverse_offers().len(),
        ),
    ]);
}

/// What roles are guaranteed and limited to, and have; of each only what its quota names.
fn quotas(view: &MasterView, samples: &mut Vec<Sample>) {
    for (role, quota) in view.ledger().quotas.iter() {
        let has = view.consumed(role);
        let named: BTreeSet<&String> = quota.guarantees.keys().chain(quota.limits.keys()).collect();
        for name in named {
            let at = format!("allocator/mesos/quota/roles/{role}/resources/{name}");
            let known = [
                ("guarantee", "What the role is guaranteed.", quota.guarantees.get(name)),
                ("limit", "What the role may have at most.", quota.limits.get(name)),
            ];
            for (word, help, amount) in known {
                let sample = |it: &Scalar| Sample::gauge(format!("{at}/{word}"), help, it.to_f64());
                samples.extend(amount.map(sample));
            }
            let has = has.get(name).map_or(0.0, |it| it.to_f64());
            let help = "What the role has: reserved, used or offered.";
            samples.push(Sample::gauge(format!("{at}/offered_or_allocated"), help, has));
        }
    }
}

fn tasks(view: &MasterView, samples: &mut Vec<Sample>) {
    let all = view.tasks().values().chain(view.completed_tasks());
    let counts = counts(all.map(|it| it.state));
    for state in TaskState::ALL {
        let name =
            format!("master/tasks_{}", state.name().trim_start_matches("TASK_").to_lowercase());
        let count = counts.get(&state).copied().unwrap_or(0);
        samples.push(Sample::count(name, "Tasks that are known in this state.", count));
    }
}

fn resources(view: &MasterView, samples: &mut Vec<Sample>) {
    let mut used = Resources::new();
    live_tasks(view).for_each(|it| used.add_all(&it.resources));
    let executors = view.agents().values().flat_map(|it| it.executors().values());
    executors.for_each(|it| used.add_all(&it.resources));
    let used = used.quantities();
    amounts("master", view.totals(), &used, samples);
    let mut held = used;
    for offer in view.offers().values() {
        for (name, more) in offer.offer.resources.quantities() {
            let sum = held.entry(name).or_insert(Scalar::ZERO);
            *sum = sum.plus(more);
        }
    }
    for name in ["cpus", "mem", "disk", "gpus"] {
        let of = |all: &Quantities| all.get(name).map_or(0.0, |it| it.to_f64());
        samples.extend([
            Sample::gauge(
                format!("allocator/mesos/resources/{name}/total"),
                "What can be divided.",
                of(view.totals()),
            ),
            Sample::gauge(
                format!("allocator/mesos/resources/{name}/offered_or_allocated"),
                "What is used or offered.",
                of(&held),
            ),
        ]);
    }
}
