//! RECONCILE and RECONCILE_OPERATIONS: a framework compares what it believes with what is.
//! Where the truth may still come from an agent, the answer is silence rather than a guess.

use holdfast_model::{
    AgentId, Event, FrameworkId, Instant, OperationState, OperationStatus, OperationUuid, Presence,
    Resources, TaskId, TaskState, TaskStatus,
};

use super::report::number_of;
use crate::flows::tasks::{own_status, status_of};
use crate::flows::telling::tell;
use crate::parts::agents::{AgentHealth, Agents};
use crate::parts::operations::Operations;
use crate::parts::outbox::Outbox;
use crate::parts::tasks::Tasks;
use crate::{Belief, Step};

/// Tells how these tasks are; all that live when none is named.
pub(crate) fn reconcile(
    step: &mut Step,
    belief: &Belief,
    framework: &FrameworkId,
    tasks: Vec<(TaskId, Option<AgentId>)>,
) {
    let Belief { agents, tasks: known, .. } = belief;
    let answers: Vec<TaskStatus> = if tasks.is_empty() {
        let live = known.of_framework(framework).filter(|it| !it.state.is_terminal());
        live.map(|task| status_of(step.now, task)).collect()
    } else {
        let one = |(task, agent)| reconcile_one(step, agents, known, framework, task, agent);
        tasks.iter().map(|(task, agent)| (task, agent.as_ref())).filter_map(one).collect()
    };
    for status in answers {
        tell(step, &belief.frameworks, framework, Event::Update(status));
    }
}

fn reconcile_one(
    step: &Step,
    agents: &Agents,
    tasks: &Tasks,
    framework: &FrameworkId,
    task: &TaskId,
    agent: Option<&AgentId>,
) -> Option<TaskStatus> {
    if let Some(task) = tasks.get(&(framework.clone(), task.clone())) {
        return Some(status_of(step.now, task));
    }
    let answer = |state, why: &str| {
        let status = own_status(task, state, step.now, why);
        Some(agent.into_iter().fold(status, |status, agent| status.at_agent(agent)))
    };
    let Some(agent) = agent else {
        return if agents.is_any_awaited() || may_come(step) {
            None
        } else {
            answer(TaskState::Unknown, "no agent knows this task")
        };
    };
    let record = step.out.ledger().agents.get(agent);
    let health = agents.get(agent).map(|it| it.health());
    match (record.map(|it| it.presence), health) {
        (Some(Presence::Gone), _) => {
            answer(TaskState::GoneByOperator, "its agent was declared gone")
        }
        (Some(Presence::Unreachable), _) => {
            let mut status = answer(TaskState::Unreachable, "its agent does not answer")?;
            status.unreachable = record.map(|it| it.since);
            Some(status)
        }
        (Some(Presence::Admitted), Some(AgentHealth::Well)) => {
            answer(TaskState::Gone, "its agent does not know this task")
        }
        (Some(Presence::Admitted), _) => None, // The agent may still say.
        (None, _) if !was_forgotten(step.out, agent) => {
            answer(TaskState::Unknown, "there is no such agent")
        }
        (None, _) if may_come(step) => None,
        (None, _) => {
            let why = "its agent has not come since the masters' ledger was lost";
            let mut status = answer(TaskState::Unreachable, why)?;
            status.unreachable = lost_at(step.out);
            Some(status)
        }
    }
}

/// When it was last found that the ledger lacks what was written before.
fn lost_at(out: &Outbox) -> Option<Instant> {
    out.ledger().cluster.as_ref().and_then(|it| it.lost)
}

/// Whether agents that the ledger lacks still have time to come, as those have that it knows after a failover.
fn may_come(step: &Step) -> bool {
    let since = |lost: Instant| lost.max(step.leads_since);
    let end = lost_at(step.out).map(|it| since(it).plus_ms(step.config.reregister_timeout_ms));
    end.is_some_and(|end| step.now < end)
}

/// Whether the ledger lacks an agent of this name because it was lost.
fn was_forgotten(out: &Outbox, agent: &AgentId) -> bool {
    let cluster = out.ledger().cluster.as_ref().filter(|it| it.lost.is_some());
    cluster.is_some_and(|it| number_of(it.id, agent).is_some_and(|number| number < it.next_agent))
}

/// Tells how these operations are; all that the framework gave names when none is named.
pub(crate) fn reconcile_operations(
    step: &mut Step,
    belief: &Belief,
    framework: &FrameworkId,
    asked: Vec<(String, Option<AgentId>)>,
) {
    let Belief { agents, operations, .. } = belief;
    let out = &*step.out;
    let answers: Vec<OperationStatus> = if asked.is_empty() {
        let mine = operations.names_of(framework);
        mine.map(|(id, uuid)| known_operation(out, agents, operations, id, &uuid)).collect()
    } else {
        let may_come = may_come(step);
        let one = |(id, agent): &(String, Option<AgentId>)| match operations.named(framework, id) {
            Some(uuid) => known_operation(out, agents, operations, id, &uuid),
            None => unknown_operation(out, agents, id, agent.as_ref(), may_come),
        };
        asked.iter().map(one).collect()
    };
    for status in answers {
        tell(step, &belief.frameworks, framework, Event::UpdateOperation(status));
    }
}

fn known_operation(
    out: &Outbox,
    agents: &Agents,
    operations: &Operations,
    id: &str,
    uuid: &OperationUuid,
) -> OperationStatus {
    let in_flight = operations.at(uuid);
    let under_way = || bare(id, under_way(out, agents, &in_flight.agent));
    let mut status = in_flight.settled.clone().unwrap_or_else(under_way);
    status.agent = Some(in_flight.agent.clone());
    OperationStatus { uuid: None, ..status } // Answers are not acknowledged.
}

/// The state of an operation that an agent was sent and has not settled.
fn under_way(out: &Outbox, agents: &Agents, agent: &AgentId) -> OperationState {
    match out.ledger().agents.get(agent).map(|it| it.presence) {
        Some(Presence::Gone) => OperationState::GoneByOperator,
        Some(Presence::Unreachable) => OperationState::Unreachable,
        _ if agents.get(agent).is_some_and(|it| it.heard()) => OperationState::Pending,
        _ => OperationState::Recovering,
    }
}

fn unknown_operation(
    out: &Outbox,
    agents: &Agents,
    id: &str,
    agent: Option<&AgentId>,
    may_come: bool,
) -> OperationStatus {
    let record = agent.and_then(|it| out.ledger().agents.get(it));
    let well = |id: &AgentId| agents.get(id).is_some_and(|it| *it.health() == AgentHealth::Well);
    let state = match record.map(|it| it.presence) {
        Some(Presence::Gone) => OperationState::GoneByOperator,
        Some(Presence::Unreachable) => OperationState::Unreachable,
        Some(Presence::Admitted) if agent.is_some_and(well) => OperationState::Unknown,
        Some(Presence::Admitted) => OperationState::Recovering,
        None if agents.is_any_awaited() || may_come => OperationState::Recovering,
        None if agent.is_some_and(|it| was_forgotten(out, it)) => OperationState::Unreachable,
        None => OperationState::Unknown,
    };
    OperationStatus { agent: agent.cloned(), ..bare(id, state) }
}

fn bare(id: &str, state: OperationState) -> OperationStatus {
    OperationStatus {
        id: Some(id.to_owned()),
        state,
        message: None,
        converted: Resources::new(),
        uuid: None,
        agent: None,
    }
}
