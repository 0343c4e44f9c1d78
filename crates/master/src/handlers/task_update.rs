//! Tasks move on. The agent is the truth; the master passes it on.
//!
//! An agent may report a task whose name belongs to a task of another agent. Such name conflicts arise when an agent comes back to a master
//! that never knew its tasks, after their framework has used the names again. The task that was known first keeps the name; the other one
//! is ended, what it uses is counted until then, and its statuses are told to nobody, since they would be taken for the first one's.

use holdfast_model::{
    AgentId, Event, FrameworkId, Order, Resources, TaskKey, TaskState, TaskStatus,
};

use crate::flows::drain::with_reason;
use crate::flows::tasks::{complete, task_moved};
use crate::flows::telling::{order, tell};
use crate::parts::agents::Agents;
use crate::parts::allocator_input::AllocatorInput;
use crate::{Belief, Step};

/// An agent reports a status of a task.
pub(crate) fn task_updated(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    framework: &FrameworkId,
    status: TaskStatus,
    latest: TaskState,
) {
    let key = (framework.clone(), status.task.clone());
    if belief.tasks.is_name_taken(agent, &key) {
        let Belief { agents, allocator, .. } = belief;
        return name_conflict_updated(step, agents, allocator, agent, key, &status, latest);
    }
    let status = with_reason(step, agent, status);
    // Those are told by nobody's wish, or for nobody: the agent has forgotten the task, or may do so.
    let removed = step.is_removed(framework);
    // The task may be forgotten already: its framework has acknowledged its end, and the agent has yet to hear that.
    if belief.tasks.get(&key).is_some() {
        belief.tasks.set_latest(&key, status.clone());
        task_moved(belief, &key, latest);
        if latest.is_terminal() && (removed || status.uuid.is_none()) {
            complete(belief, &key);
        }
    }
    match status.uuid {
        Some(uuid) if removed => {
            order(step, &mut belief.agents, agent, Order::AcknowledgeTask(key.0, key.1, uuid));
        }
        _ => tell(step, &belief.frameworks, framework, Event::Update(status)),
    }
}

/// An agent reports, among all that it has, a task whose name is another's.
pub(crate) fn adopt_name_conflict(
    step: &mut Step,
    agents: &mut Agents,
    agent: &AgentId,
    key: &TaskKey,
    resources: &Resources,
    state: TaskState,
) {
    if state.is_terminal() {
        return; // Its statuses are acknowledged as they come.
    }
    step.out.log(format!(
        "task `{}` of framework {} runs on another agent too; the one on {agent} is ended",
        key.1, key.0
    ));
    agents.at_mut(agent).add_name_conflict(key.clone(), resources.unallocated());
    let kill = Order::Kill { framework: key.0.clone(), task: key.1.clone(), grace_ms: None };
    order(step, agents, agent, kill);
}

fn name_conflict_updated(
    step: &mut Step,
    agents: &mut Agents,
    allocator: &mut AllocatorInput,
    agent: &AgentId,
    key: TaskKey,
    status: &TaskStatus,
    latest: TaskState,
) {
    if latest.is_terminal() {
        agents.at_mut(agent).end_name_conflict(&key);
        allocator.touch(agent);
    }
    if let Some(uuid) = status.uuid {
        order(step, agents, agent, Order::AcknowledgeTask(key.0, key.1, uuid));
    }
}
