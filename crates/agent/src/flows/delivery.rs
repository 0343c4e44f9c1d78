//! Giving executors their tasks, each once, in the order of their launch.
//!
//! A task is written down as given before it is given, so that a crash can lose it but never give it
//! twice; the executor's next introduction tells which.

use holdfast_model::{AgentChange, ExecutorEvent, ExecutorKey, TaskInfo, TaskKey, TaskRecord};

use super::shown::resize_container;
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::parts::{Containers, LiveContainer, Tasks};

/// Gives an executor the tasks that it shall have, as far as their volumes are shown in its container.
pub(crate) fn deliver(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &Tasks,
    key: &ExecutorKey,
) {
    let live = containers.of_mut(key);
    let Some(link) = live.link().filter(|_| live.takes_tasks()) else { return };
    let given = deliverable(step, live, tasks);
    if given.is_empty() {
        return;
    }
    given.iter().for_each(|it| live.dequeue(&it.key()));
    live.set_used();
    let mark = |it: &TaskRecord| AgentChange::Task(TaskRecord { delivered: true, ..it.clone() });
    step.commit(given.iter().map(mark).collect());
    resize_container(step, containers, key);
    step.extend(launches(given).into_iter().map(|event| Effect::ToExecutor(link, event)));
}

/// Those at the front of the queue whose volumes are shown; a group goes as a whole. Those behind one that waits keep their place.
fn deliverable(step: &Step<'_>, live: &LiveContainer, tasks: &Tasks) -> Vec<TaskRecord> {
    let records = &step.ledger().tasks;
    let group_of = |task: &TaskKey| records.get(task).and_then(|it| it.group.as_ref());
    let mut given = Vec::new();
    for task in live.queue() {
        let Some(record) = records.get(task).filter(|it| !it.state.is_terminal() && !it.delivered)
        else {
            continue;
        };
        let waits = |group| tasks.unshown().any(|it| group_of(it) == Some(group));
        if tasks.is_unshown(task) || record.group.as_ref().is_some_and(waits) {
            break;
        }
        given.push(record.clone());
    }
    given
}

/// One event for each task by itself, one for each group.
fn launches(tasks: Vec<TaskRecord>) -> Vec<ExecutorEvent> {
    let mut events = Vec::new();
    let mut last_group: Option<String> = None;
    for task in tasks {
        match (&task.group, events.last_mut()) {
            (None, _) => events.push(ExecutorEvent::Launch(Box::new(task.info))),
            (Some(_), Some(ExecutorEvent::LaunchGroup(members))) if last_group == task.group => {
                let members: &mut Vec<TaskInfo> = members;
                members.push(task.info);
            }
            (Some(_), _) => events.push(ExecutorEvent::LaunchGroup(vec![task.info])),
        }
        last_group = task.group;
    }
    events
}
