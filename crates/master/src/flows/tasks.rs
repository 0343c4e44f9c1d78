//! Tasks end and are forgotten, and what the master itself says about them.

use holdfast_model::convert::check::with_check_status_of;
use holdfast_model::{
    AgentId, Event, FrameworkId, Instant, Order, Reason, StatusSource, TaskId, TaskKey, TaskState,
    TaskStatus,
};

use super::bookkeeping::release;
use super::telling::{order, tell};
use crate::parts::agents::Agents;
use crate::parts::frameworks::Frameworks;
use crate::parts::tasks::{TaskView, Tasks};
use crate::{Belief, Step};

/// Notes a newer state of a task that is known; what a task that ended held is free again.
pub(crate) fn task_moved(belief: &mut Belief, key: &TaskKey, state: TaskState) {
    let task = belief.tasks.get(key).expect("a task that moved is known");
    if task.state.is_terminal() {
        return;
    }
    let held = task.holds().then(|| (task.agent.clone(), task.resources.clone()));
    belief.tasks.set_state(key, state);
    let holds = belief.tasks.get(key).is_some_and(TaskView::holds);
    if let Some((agent, resources)) = held.filter(|_| !holds) {
        release(belief.counted(), &agent, &key.0, &resources);
    }
}

/// Forgets a task that has ended, or that never will; what it held is free.
pub(crate) fn complete(belief: &mut Belief, key: &TaskKey) {
    task_moved(belief, key, TaskState::Killed);
    retire(&mut belief.agents, &mut belief.tasks, key);
}

/// Forgets a task (except for people) whose holdings are counted no more.
pub(crate) fn retire(agents: &mut Agents, tasks: &mut Tasks, key: &TaskKey) {
    let agent = tasks.retire(key).expect("a task that is forgotten was known");
    agents.forget_task(&agent, key);
}

/// Ends a task whose agent cannot tell how it ended any more: its framework hears it from here, unless it ended before, and the task is
/// forgotten except for people.
pub(crate) fn end_for_agent(
    step: &mut Step,
    belief: &mut Belief,
    key: &TaskKey,
    status: TaskStatus,
) {
    let is_over = belief.tasks.get(key).expect("it was just listed").state.is_terminal();
    if !is_over && !step.is_removed(&key.0) {
        belief.tasks.set_state(key, status.state);
        belief.tasks.set_latest(key, status.clone());
        tell(step, &belief.frameworks, &key.0, Event::Update(status));
    }
    retire(&mut belief.agents, &mut belief.tasks, key);
}

/// Orders a task that is known to be killed, now or when its agent is back.
pub(crate) fn order_kill(
    step: &mut Step,
    agents: &mut Agents,
    tasks: &mut Tasks,
    key: TaskKey,
    grace_ms: Option<u64>,
) {
    let agent = tasks.get(&key).expect("only what is known is killed").agent.clone();
    let kill = Order::Kill { framework: key.0.clone(), task: key.1.clone(), grace_ms };
    if !order(step, agents, &agent, kill) {
        tasks.kill_later(key, grace_ms);
    }
}

/// Kills that were asked for while the agent was away.
pub(crate) fn order_kills(step: &mut Step, agents: &mut Agents, tasks: &mut Tasks, id: &AgentId) {
    for ((framework, task), grace_ms) in tasks.take_kills(id) {
        order(step, agents, id, Order::Kill { framework, task, grace_ms });
    }
}

/// A task of that name is known already, and a bad end of the new one would be taken for its own. So what is told is how the known
/// one is, as if it had been asked for; says whether there is one.
pub(crate) fn tell_of_namesake(
    step: &mut Step,
    frameworks: &Frameworks,
    tasks: &Tasks,
    key: &TaskKey,
    why: &str,
) -> bool {
    let Some(known) = tasks.get(key) else { return false };
    let message = Some(format!(
        "another task of this id was not launched ({why}); this is how the one that is known is"
    ));
    let status = TaskStatus { message, ..status_of(step.now, known) };
    tell(step, frameworks, &key.0, Event::Update(status));
    true
}

/// A status that the master makes itself; it has no uuid and is not acknowledged.
pub(crate) fn own_status(task: &TaskId, state: TaskState, now: Instant, why: &str) -> TaskStatus {
    TaskStatus::new(task.clone(), state, now).because(
        StatusSource::Master,
        Reason::Reconciliation,
        why,
    )
}

/// The state of the update in flight, not of a later one that the framework has yet to hear.
pub(crate) fn status_of(now: Instant, task: &TaskView) -> TaskStatus {
    let state = match &task.latest {
        Some(latest) if task.state != TaskState::Unreachable => latest.state,
        _ => task.state,
    };
    let mut status = own_status(&task.id, state, now, "latest task state").at_agent(&task.agent);
    status.executor = Some(task.executor.clone());
    status.healthy = task.latest.as_ref().and_then(|it| it.healthy);
    status.unreachable = task
        .latest
        .as_ref()
        .and_then(|it| it.unreachable)
        .filter(|_| state == TaskState::Unreachable);
    match &task.latest {
        Some(latest) => with_check_status_of(status, latest),
        None => status,
    }
}

/// The names of the tasks of a framework.
pub(crate) fn keys_of_framework(tasks: &Tasks, framework: &FrameworkId) -> Vec<TaskKey> {
    tasks.of_framework(framework).map(TaskView::key).collect()
}

/// The names of the tasks on an agent.
pub(crate) fn keys_of_agent(tasks: &Tasks, agent: &AgentId) -> Vec<TaskKey> {
    tasks.of_agent(agent).map(TaskView::key).collect()
}
