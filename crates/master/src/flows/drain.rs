//! Agents of which nothing is offered by an operator's wish, and those that are drained of what runs there.
//!
//! The wish is in the ledger, so a new leader goes on where the former one stopped: it orders the kills again when the agent introduces
//! itself. Agents know only the kills. What was looked at last decides: an agent is drained once it is connected and believed, and has
//! neither tasks, nor executors, nor operations that are under way. Looks at the one agent that something has happened to, and never at
//! what is claimed there: that stays as it is.

use holdfast_model::convert::task::kill_grace_ms;
use holdfast_model::task::KILL_GRACE_DEFAULT_MS;
use holdfast_model::{
    AgentId, Deactivation, Drain, ExecutorKey, MasterChange, Order, Reason, TaskKey, TaskState,
    TaskStatus,
};

use super::gone::agent_gone;
use super::tasks::order_kill;
use super::telling::order;
use crate::parts::agents::AgentHealth;
use crate::parts::tasks::TaskView;
use crate::{Belief, Step};

/// The drain of an agent that something may still run on.
fn draining(step: &Step, id: &AgentId) -> Option<Drain> {
    step.out.ledger().deactivations.get(id)?.draining().copied()
}

/// Kills all tasks of an agent that is drained: when that begins, and whenever the agent introduces itself.
pub(crate) fn kill_drained(step: &mut Step, belief: &mut Belief, id: &AgentId) {
    let Some(drain) = draining(step, id) else { return };
    if belief.agents.get(id).is_none_or(|it| it.link().is_none()) {
        return; // They are killed when it is back.
    }
    let live = belief.tasks.of_agent(id).filter(|it| !it.state.is_terminal());
    let kills: Vec<(TaskKey, Option<u64>)> =
        live.map(|it| (it.key(), grace(it, drain.max_grace_ms))).collect();
    for (key, grace_ms) in kills {
        order_kill(step, &mut belief.agents, &mut belief.tasks, key, grace_ms);
    }
}

/// How long a task may take to end: what its own policy says, and no more than the drain allows.
fn grace(task: &TaskView, max_grace_ms: Option<u64>) -> Option<u64> {
    let own = || kill_grace_ms(&task.payload).unwrap_or(KILL_GRACE_DEFAULT_MS);
    max_grace_ms.map(|most| most.min(own()))
}

/// Something has ended on an agent: if that was the last thing, it is drained.
pub(crate) fn check_drained(step: &mut Step, belief: &mut Belief, id: &AgentId) {
    if draining(step, id).is_none() {
        return;
    }
    let is_believed = belief.agents.get(id).is_some_and(|it| *it.health() == AgentHealth::Well);
    if !is_believed || belief.tasks.of_agent(id).next().is_some() {
        return; // Something runs there, or its framework has yet to hear how it ended.
    }
    if belief.operations.of_agent(id).any(|(_, it)| it.settled.is_none()) {
        return;
    }
    let state = belief.agents.at(id);
    // Of a command's executor nobody tells that it has gone with its task.
    let left = state.executors().iter().filter(|(_, it)| !it.command);
    let left: Vec<ExecutorKey> = left.map(|(key, _)| key.clone()).collect();
    if left.is_empty() && state.name_conflicts().is_empty() {
        return drained(step, belief, id);
    }
    for (framework, executor) in left {
        order(step, &mut belief.agents, id, Order::ShutdownExecutor(framework, executor));
    }
}

fn drained(step: &mut Step, belief: &mut Belief, id: &AgentId) {
    let it = step.out.ledger().deactivations[id].clone();
    let Deactivation { by, drain, .. } = &it;
    let drain = drain.expect("only what is drained comes here");
    step.out.log(format!("agent {id} is drained, as {by} has asked"));
    if drain.mark_gone {
        let reason = Some("it was drained, to be marked gone then".to_owned());
        return agent_gone(step, belief, id, (by.clone(), reason));
    }
    let drain = Some(Drain { is_drained: true, ..drain });
    step.out.commit(vec![MasterChange::Deactivated(Deactivation { drain, ..it })]);
    belief.allocator.touch(id);
}

/// A task that was killed by a drain is told so.
pub(crate) fn with_reason(step: &Step, agent: &AgentId, status: TaskStatus) -> TaskStatus {
    if status.state != TaskState::Killed || draining(step, agent).is_none() {
        return status;
    }
    let why = || "its agent is being drained; what is claimed there is kept".to_owned();
    let message = Some(status.message.unwrap_or_else(why));
    TaskStatus { reason: Some(Reason::AgentDraining as i32), message, ..status }
}
