//! Believing an agent's report: what it owns is the truth; what we thought is corrected, and whoever
//! was told otherwise is told.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::claim::fit;
use holdfast_model::{
    AgentId, AgentRecord, Claim, ClaimId, Event, ExecutorRecord, FrameworkId, Identity,
    MasterChange, OfferId, Order, Presence, Reason, Report, Resources, StatusSource, TaskKey,
    TaskRecord, TaskState, TaskStatus,
};

use super::learn::{adopt_operations, learn_frameworks};
use super::ledger_history::{acknowledging, reported};
use super::move_disk::learn_moves;
use super::task_update::adopt_name_conflict;
use crate::flows::bookkeeping::{forget_holdings, hold, hold_together, unusable_claims};
use crate::flows::ended::end_claims;
use crate::flows::inverse_offers::use_changed;
use crate::flows::offers::rescind;
use crate::flows::operations::answer_held_up;
use crate::flows::tasks::{keys_of_agent, retire, status_of};
use crate::flows::telling::{order, tell};
use crate::parts::agents::{AgentHealth, Agents, Description, ExecutorView};
use crate::parts::allocator_input::AllocatorInput;
use crate::parts::frameworks::Frameworks;
use crate::parts::outbox::Outbox;
use crate::parts::past_statuses::PastStatuses;
use crate::parts::tasks::{TaskView, Tasks};
use crate::{Belief, Step};

/// Takes `report` for what `id` is and has.
pub(crate) fn adopt(step: &mut Step, belief: &mut Belief, id: &AgentId, mut report: Report) {
    let record = step.out.ledger().agents.get(id).expect("an adopted agent is in the ledger");
    let returns = record.presence == Presence::Unreachable;
    if step.config.is_planted("master-breaks-on-a-report") && report.version == "poison" {
        belief.agents.at(&AgentId::made("nobody".to_owned()));
    }
    learn_frameworks(step, belief, &report.frameworks);
    learn_moves(step, belief, id, &mut report);
    adopt_claims(step, id, &report);
    belief.agents.hears(id, reported(&report));
    let frameworks: Vec<FrameworkId> =
        report.frameworks.iter().filter_map(|it| it.id.clone()).collect();
    let Report { executors, tasks, operations, .. } =
        adopt_machine(&mut belief.agents, &mut belief.allocator, id, report);
    forget_holdings(belief, id);
    adopt_executors(belief, id, executors);
    let missing = adopt_tasks(step, belief, id, tasks);
    missing_tasks(step, belief, id, missing);
    rescind_unfounded(step, belief, id);
    let Belief { agents, operations: in_flight, .. } = &mut *belief;
    answer_held_up(step.out, in_flight, agents.at(id), &operations);
    adopt_operations(step, belief, id, operations);
    if returns {
        tell_returned(step, &belief.frameworks, &belief.tasks, id);
    }
    shut_down_removed(step, &mut belief.agents, id, frameworks);
    belief.agents.heard(id);
    belief.agents.take_forgotten(id);
    belief.allocator.touch(id);
    use_changed(step, belief, id);
}

/// What the machine has, claims laid on it, and what of it cannot be used. Gives back what is left of the report.
fn adopt_machine(
    agents: &mut Agents,
    allocator: &mut AllocatorInput,
    id: &AgentId,
    mut report: Report,
) -> Report {
    let claims: BTreeMap<ClaimId, Claim> =
        report.claims.iter().map(|it| (it.id, it.clone())).collect();
    let (total, misfits) = fit(&report.machine.resources, &claims);
    let joining = report.cluster.is_none() || report.machine.resources.is_empty();
    agents.admit(id);
    agents.set_total(id, total);
    let state = agents.at_mut(id);
    state.set_claims_generation(report.claims_generation);
    state.set_health(if joining { AgentHealth::Joining } else { AgentHealth::Well });
    let full = report.full.take();
    let mut description = Description::new(
        std::mem::take(&mut report.machine),
        std::mem::take(&mut report.disks),
        std::mem::take(&mut report.faults),
        misfits,
        std::mem::take(&mut report.version),
    );
    description.set_full(full);
    if state.describe(description) {
        allocator.forget_declined_of(id); // What was declined was another machine.
    }
    report
}

fn adopt_claims(step: &mut Step, id: &AgentId, report: &Report) {
    let ledger = step.out.ledger();
    let mut changes = Vec::new();
    for claim in &report.claims {
        if ledger.claims.get(&(id.clone(), claim.id)) != Some(claim) {
            changes.push(MasterChange::Claim(id.clone(), claim.clone()));
        }
    }
    let reported: BTreeSet<ClaimId> = report.claims.iter().map(|it| it.id).collect();
    let gone = ledger.claims_of(id).map(|it| it.id).filter(|it| !reported.contains(it));
    let endings = report.operations.iter().flat_map(|it| &it.endings);
    let endings: Vec<Claim> = endings.filter(|it| !reported.contains(&it.id)).cloned().collect();
    changes.extend(end_claims(ledger, (step.config, step.now), id, gone, &endings));
    let record = &ledger.agents[id];
    let is_admitted = record.presence == Presence::Admitted;
    let renewed = AgentRecord {
        presence: Presence::Admitted,
        since: if is_admitted { record.since } else { step.now },
        hostname: report.machine.hostname.clone(),
        port: report.machine.port,
        ..acknowledging(record, report)
    };
    // The version alone is worth no write of its own: a lesser watermark only fences less.
    if (&renewed.hostname, renewed.port, renewed.presence)
        != (&record.hostname, record.port, record.presence)
        || !changes.is_empty()
    {
        changes.push(MasterChange::Agent(renewed));
    }
    step.out.commit(changes);
}

fn adopt_executors(belief: &mut Belief, id: &AgentId, executors: Vec<ExecutorRecord>) {
    for record in executors {
        let resources: Resources = if record.command {
            Resources::new() // A command's executor is on the house.
        } else {
            record.info.clone().allocated_to(&record.role).resources.iter().collect()
        };
        let view = ExecutorView {
            resources: resources.clone(),
            payload: record.info.payload.clone(),
            command: record.command,
        };
        // One that is named twice is counted once.
        if belief.agents.at_mut(id).add_executor(record.key(), view) {
            hold(belief.counted(), id, &record.framework, &resources);
        }
    }
}

/// Returns the tasks that we know there and the agent does not. They hold nothing any more.
fn adopt_tasks(
    step: &mut Step,
    belief: &mut Belief,
    id: &AgentId,
    tasks: Vec<TaskRecord>,
) -> BTreeSet<TaskKey> {
    let mut ours: BTreeSet<TaskKey> = keys_of_agent(&belief.tasks, id).into_iter().collect();
    let forgotten = belief.agents.take_forgotten(id);
    let (mut seen, mut held) = (BTreeSet::new(), Resources::new());
    let total = belief.agents.at(id).total().clone();
    for mut record in tasks {
        // All that is kept of a framework shares one copy of its name.
        if let Some(known) = step.out.ledger().frameworks.get_key(&record.framework) {
            record.framework = known.clone();
        }
        let key = record.key();
        let over =
            record.state.is_terminal() && (forgotten.contains(&key) || step.is_removed(&key.0));
        if over || !seen.insert(key.clone()) {
            continue;
        }
        let mut resources = record.info.own_resources_for(&record.role);
        resources.share(&total);
        if belief.tasks.is_name_taken(id, &key) {
            let agents = &mut belief.agents;
            adopt_name_conflict(step, agents, id, &key, &resources, record.state);
            continue;
        }
        ours.remove(&key);
        let view = task_view(id, record, resources);
        if view.holds() {
            belief.frameworks.hold(&view.framework, id, &view.resources);
            held.add_all(&view.resources.unallocated());
        }
        belief.tasks.put(view);
    }
    hold_together(belief.counted(), id, &held);
    ours
}

fn task_view(agent: &AgentId, record: TaskRecord, resources: Resources) -> TaskView {
    TaskView {
        framework: record.framework,
        id: record.info.id,
        name: record.info.name,
        agent: agent.clone(),
        executor: record.executor,
        resources,
        state: record.state,
        // The one that its framework has yet to acknowledge, if any.
        latest: record.updates.into_iter().next().or(record.latest),
        past: PastStatuses::default(),
        payload: record.info.payload,
    }
}

fn missing_tasks(step: &mut Step, belief: &mut Belief, id: &AgentId, missing: BTreeSet<TaskKey>) {
    let Belief { agents, tasks, .. } = belief;
    for key in missing {
        let task = tasks.get(&key).expect("a task that is missing there is known here");
        if task.state.is_terminal() {
            retire(agents, tasks, &key);
            continue;
        }
        let (state, why) = match (task.state, &task.latest) {
            _ if step.is_removed(&key.0) => (TaskState::Killed, "its framework was removed"),
            (TaskState::Staging, None) => (
                TaskState::Dropped,
                "the order was lost on its way to the agent; the task never ran",
            ),
            _ => (TaskState::Gone, "the agent is back and does not know this task"),
        };
        let status = TaskStatus::new(key.1.clone(), state, step.now).at_agent(id);
        let status = status.because(StatusSource::Master, Reason::Reconciliation, why);
        tasks.set_state(&key, state);
        tasks.set_latest(&key, status.clone());
        retire(agents, tasks, &key);
        tell(step, &belief.frameworks, &key.0, Event::Update(status));
    }
}

/// Takes back offers of what cannot be used, or is not there.
pub(super) fn rescind_unfounded(step: &mut Step, belief: &mut Belief, id: &AgentId) {
    let faulty = faulty(step.out, &belief.agents, id);
    let offers: Vec<OfferId> = belief.offers.of_agent(id).map(|it| it.id.clone()).collect();
    for offer in offers {
        let state = belief.agents.at(id);
        let ill = |identity: &Identity| state.ill_disks().any(|disk| disk.carries(identity));
        let offered = belief.offers.get(&offer).expect("it was just listed");
        let resources = offered.resources.unallocated();
        let mut identities = resources.entries().map(|(identity, _)| identity);
        if *state.health() != AgentHealth::Well
            || step.out.ledger().deactivations.contains_key(id)
            || state.full().is_some()
            || !state.is_held_within(&resources)
            || identities.any(|it| faulty.contains(it) || ill(it))
        {
            rescind(step, belief, &offer);
        }
    }
}

fn faulty(out: &Outbox, agents: &Agents, id: &AgentId) -> BTreeSet<Identity> {
    let claims = unusable_claims(out.ledger(), (id, agents.at(id)));
    claims.map(|it| it.resource.identity.clone()).collect()
}

fn tell_returned(step: &mut Step, frameworks: &Frameworks, tasks: &Tasks, id: &AgentId) {
    for task in tasks.of_agent(id).filter(|it| !it.state.is_terminal()) {
        let status = status_of(step.now, task).because(
            StatusSource::Master,
            Reason::AgentReregistered,
            "the agent is back",
        );
        tell(step, frameworks, &task.framework, Event::Update(status));
    }
}

fn shut_down_removed(
    step: &mut Step,
    agents: &mut Agents,
    id: &AgentId,
    frameworks: Vec<FrameworkId>,
) {
    for framework in frameworks {
        let record = step.out.ledger().frameworks.get(&framework);
        if record.is_some_and(|it| it.removed) {
            order(step, agents, id, Order::ShutdownFramework(framework));
        }
    }
}
