//! Ends: of tasks, of executors, of containers, and in this order of what is forgotten.
//!
//! An executor is asked to end, then its container is destroyed. Its tasks are told to have ended when
//! nothing of the container runs any more, and only then are its volumes free. Never says that something
//! ended which may still run, except for tasks that no executor was ever given.

use holdfast_model::{
    AgentChange, ExecutorEvent, ExecutorKey, FrameworkId, Reason, TaskKey, TaskRecord, TaskState,
    ToMaster,
};

use crate::bookkeeping::holds::is_mounted;
use crate::bookkeeping::records::live_tasks;
use crate::bookkeeping::telling::{forward, own_status, tell_master};
use crate::bookkeeping::Step;
use crate::contract::{Effect, Exit};
use crate::parts::{Alarm, Containers, MasterLink, Phase, Tasks, TerminationReason, Topic};

/// How long the drivers may take to destroy a container before they are asked again, in milliseconds.
const DESTROY_RETRY_MS: u64 = 30_000;

/// How a container ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) exit: Exit,
    /// Whether it ended while the agent was away.
    pub(crate) restarted: bool,
    /// Why it never ran, if so.
    pub(crate) refused: Option<String>,
}

impl End {
    pub(crate) fn exited(exit: Exit) -> End {
        End { exit, restarted: false, refused: None }
    }

    pub(crate) fn never_ran(why: &str) -> End {
        let exit = Exit { status: 1, out_of_memory: false, message: why.to_owned() };
        End { exit, restarted: false, refused: Some(why.to_owned()) }
    }
}

/// Asks an executor to end, and sees to it. `termination` is what its tasks will be told.
pub(crate) fn end_executor(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
    termination: Option<TerminationReason>,
) {
    let executor = step.ledger().executors.get(key).expect("who is ended is in the ledger");
    let grace_ms = executor.info.shutdown_grace_ms.unwrap_or(step.config().shutdown_grace_ms);
    let live = containers.of_mut(key);
    live.note_termination(termination);
    match (live.phase(), live.link()) {
        (Phase::Waiting, _) => {
            let end = End::never_ran("it was ended before its container started");
            finish(step, containers, tasks, master, key, &end)
        }
        (Phase::Ending | Phase::Destroying, _) => {}
        (Phase::Starting, None) => destroy(step, containers, key),
        (_, link) => {
            live.set_phase(Phase::Ending);
            step.extend(link.map(|link| Effect::ToExecutor(link, ExecutorEvent::Shutdown)));
            step.set_alarm(Alarm::Executor(key.clone()), grace_ms);
            step.stir(Topic::Executor(key.clone()));
        }
    }
}

/// Destroys an executor's container, and asks again until it is gone.
pub(crate) fn destroy(step: &mut Step<'_>, containers: &mut Containers, key: &ExecutorKey) {
    let executor = step.ledger().executors.get(key).expect("who is destroyed is in the ledger");
    let container = executor.container;
    containers.of_mut(key).set_phase(Phase::Destroying);
    step.push(Effect::DestroyContainer(container));
    step.set_alarm(Alarm::Executor(key.clone()), DESTROY_RETRY_MS);
    step.stir(Topic::Executor(key.clone()));
}

/// Ends an executor that has no task and was never given one: it would wait for ever.
pub(crate) fn end_if_never_used(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
) {
    let given = |it: &TaskRecord| !it.state.is_terminal() || it.delivered;
    if !containers.of(key).is_used() && !step.ledger().tasks_of(key).any(given) {
        end_executor(step, containers, tasks, master, key, None);
    }
}

/// Nothing of an executor's container runs any more, or ever ran: its tasks have ended, its volumes are free.
pub(crate) fn finish(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
    end: &End,
) {
    let executor = step.ledger().executors.get(key).expect("who has ended is in the ledger");
    let (command, container) = (executor.command, executor.container);
    let live = containers.remove(key);
    step.alarms_mut().clear(&Alarm::Executor(key.clone()));
    step.extend(live.link().map(Effect::CloseExecutor));
    let ledger = step.ledger();
    let last_word = |it: &TaskRecord| (it.key(), last_word(it, live.termination(), end));
    let ends = live_tasks(ledger, key).into_iter().map(last_word).collect();
    let kept = ledger.tasks_of(key).filter(|it| it.state.is_terminal() && it.updates.is_empty());
    let mut changes: Vec<AgentChange> = kept.map(|it| AgentChange::TaskGone(it.key())).collect();
    changes.push(AgentChange::ExecutorGone(key.clone()));
    conclude(step, containers, tasks, master, ends, changes);
    if !command {
        // Executors that Holdfast made for a command are no framework's business.
        let (framework, executor) = key.clone();
        let exited = ToMaster::ExecutorExited { framework, executor, status: end.exit.status };
        tell_master(step, master, exited);
    }
    step.push(Effect::ForgetContainer(container));
    forget_framework(step, containers, &key.0);
}

/// Ends tasks that no executor works on.
pub(crate) fn end_tasks(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    keys: &[TaskKey],
    termination: &TerminationReason,
) {
    let ends = keys.iter().map(|it| (it.clone(), termination.clone())).collect();
    conclude(step, containers, tasks, master, ends, Vec::new());
}

/// Writes the last statuses of tasks down, together with `more`, then tells them.
pub(crate) fn conclude(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    ends: Vec<(TaskKey, TerminationReason)>,
    more: Vec<AgentChange>,
) {
    let (mut changes, mut unheard, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for (key, termination) in ends {
        let task = step.ledger().tasks.get(&key).filter(|it| !it.state.is_terminal()).cloned();
        let Some(task) = task else { continue }; // It has ended already.
        let mut status = own_status(step, &task, &termination);
        let executor = (task.framework.clone(), task.executor.clone());
        if containers.is_leaving(&key.0) {
            status.uuid = None; // There is nobody left to acknowledge it.
            let (framework, latest) = (key.0.clone(), termination.state);
            unheard.push(ToMaster::TaskUpdate { framework, status, latest });
            let held = is_mounted(step.ledger(), containers, &executor, &task.info.resources);
            let kept = TaskRecord { state: termination.state, updates: Vec::new(), ..task };
            changes.push(if held {
                AgentChange::Task(kept)
            } else {
                AgentChange::TaskGone(key.clone())
            });
        } else {
            let mut updates = task.updates.clone();
            updates.push(status.clone());
            let (state, latest) = (termination.state, Some(status));
            changes.push(AgentChange::Task(TaskRecord { state, latest, updates, ..task }));
        }
        ended.push((key, executor));
    }
    changes.extend(more);
    step.commit(changes);
    for message in unheard {
        tell_master(step, master, message);
    }
    for (key, executor) in ended {
        tasks.forget_unshown(&key);
        step.alarms_mut().clear(&Alarm::Kill(key.clone()));
        if let Some(live) = containers.get_mut(&executor) {
            live.dequeue(&key);
        }
        forward(step, master, &key);
        forget_framework(step, containers, &key.0);
    }
}

/// Forgets all that was kept about a task, with its alarms.
pub(crate) fn forget_task(step: &mut Step<'_>, tasks: &mut Tasks, key: &TaskKey) {
    tasks.forget(key);
    step.alarms_mut().clear(&Alarm::Kill(key.clone()));
    step.alarms_mut().clear(&Alarm::Update(key.clone()));
}

/// Forgets a framework that has nothing here any more.
pub(crate) fn forget_framework(
    step: &mut Step<'_>,
    containers: &mut Containers,
    framework: &FrameworkId,
) {
    let has_executor = step.ledger().executors.keys().any(|(it, _)| it == framework);
    if has_executor || step.ledger().tasks.keys().any(|(it, _)| it == framework) {
        return;
    }
    containers.note_left(framework);
    if step.ledger().frameworks.contains_key(framework) {
        step.commit(vec![AgentChange::FrameworkGone(framework.clone())]);
    }
}

/// What a task is told whose container is gone.
fn last_word(
    task: &TaskRecord,
    termination: Option<&TerminationReason>,
    end: &End,
) -> TerminationReason {
    if end.restarted && !task.delivered {
        return TerminationReason::new(
            TaskState::Dropped,
            Reason::AgentRestarted,
            "the agent was restarted before the task was started",
        );
    }
    if let Some(termination) = termination {
        return termination.clone();
    }
    if task.killed {
        return TerminationReason::new(
            TaskState::Killed,
            Reason::ExecutorTerminated,
            "killed as asked",
        );
    }
    let message = &end.exit.message;
    match &end.refused {
        Some(why) if !task.delivered => {
            TerminationReason::new(TaskState::Failed, Reason::ContainerLaunchFailed, why.clone())
        }
        _ if end.exit.out_of_memory => {
            TerminationReason::new(TaskState::Failed, Reason::MemoryLimit, message.clone())
        }
        _ => {
            let why = format!("its executor ended with status {}: {message}", end.exit.status);
            TerminationReason::new(TaskState::Failed, Reason::ExecutorTerminated, why)
        }
    }
}
