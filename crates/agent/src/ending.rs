//! Ends: of tasks, of executors, of containers, and in this order of what is forgotten.
//!
//! An executor is asked to end, then its container is destroyed. Its tasks are told to have ended when
//! nothing of the container runs any more, and only then are its volumes free. Never says that something
//! ended which may still run, except for tasks that no executor was ever given.

use holdfast_model::{
    AgentChange, ExecutorEvent, ExecutorKey, FrameworkId, Reason, StatusSource, StatusUuid,
    StepContext, TaskKey, TaskRecord, TaskState, TaskStatus, ToMaster,
};

use crate::alarms::Alarm;
use crate::soft::{Phase, TerminationReason};
use crate::step::{Effect, Exit};
use crate::Agent;

/// How long the hands may take to destroy a container before they are asked again, in milliseconds.
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

impl Agent {
    /// Asks an executor to end, and sees to it. `termination` is what its tasks will be told.
    pub(crate) fn end_executor(
        &mut self,
        ctx: &mut StepContext<'_>,
        key: &ExecutorKey,
        termination: Option<TerminationReason>,
    ) {
        let grace_ms = self
            .ledger
            .executors
            .get(key)
            .and_then(|it| it.info.shutdown_grace_ms)
            .unwrap_or(self.config.shutdown_grace_ms);
        let Some(run) = self.soft.runs.get_mut(key) else { return };
        run.termination = run.termination.take().or(termination);
        match (run.phase, run.link) {
            (Phase::Waiting, _) => {
                self.finish(ctx, key, &End::never_ran("it was ended before its container started"))
            }
            (Phase::Ending | Phase::Destroying, _) => {}
            (Phase::Starting, None) => self.destroy(ctx, key),
            (_, link) => {
                run.phase = Phase::Ending;
                self.effects
                    .extend(link.map(|link| Effect::ToExecutor(link, ExecutorEvent::Shutdown)));
                self.soft.alarms.set(Alarm::Executor(key.clone()), ctx.now.plus_ms(grace_ms));
                self.soft.stirred = true;
            }
        }
    }

    /// Destroys an executor's container, and asks again until it is gone.
    pub(crate) fn destroy(&mut self, ctx: &mut StepContext<'_>, key: &ExecutorKey) {
        let Some(container) = self.ledger.executors.get(key).map(|it| it.container) else { return };
        let Some(run) = self.soft.runs.get_mut(key) else { return };
        run.phase = Phase::Destroying;
        self.effects.push(Effect::DestroyContainer(container));
        self.soft.alarms.set(Alarm::Executor(key.clone()), ctx.now.plus_ms(DESTROY_RETRY_MS));
        self.soft.stirred = true;
    }

    /// Nothing of an executor's container runs any more, or ever ran: its tasks have ended, its volumes are free.
    pub(crate) fn finish(&mut self, ctx: &mut StepContext<'_>, key: &ExecutorKey, end: &End) {
        let Some(record) = self.ledger.executors.get(key).cloned() else { return };
        let run = self.soft.runs.remove(key);
        self.soft.alarms.clear(&Alarm::Executor(key.clone()));
        if let Some(link) = run.as_ref().and_then(|it| it.link) {
            self.soft.executor_links.remove(&link);
            self.effects.push(Effect::CloseExecutor(link));
        }
        let termination = run.and_then(|it| it.termination);
        let ends = self
            .live_tasks(key)
            .into_iter()
            .map(|it| (it.key(), last_word(it, termination.as_ref(), end)))
            .collect();
        let kept = self.tasks_of(key).filter(|it| it.state.is_terminal() && it.updates.is_empty());
        let mut changes: Vec<AgentChange> =
            kept.map(|it| AgentChange::TaskGone(it.key())).collect();
        changes.push(AgentChange::ExecutorGone(key.clone()));
        self.conclude(ctx, ends, changes);
        if !record.command {
            // Executors that Holdfast made for a command are no framework's business.
            let (framework, executor) = key.clone();
            self.tell_master(ToMaster::ExecutorExited {
                framework,
                executor,
                status: end.exit.status,
            });
        }
        self.effects.push(Effect::ForgetContainer(record.container));
        self.forget_framework(&key.0);
    }

    /// Ends tasks that no executor works on.
    pub(crate) fn end_tasks(
        &mut self,
        ctx: &mut StepContext<'_>,
        tasks: &[TaskKey],
        termination: &TerminationReason,
    ) {
        self.conclude(
            ctx,
            tasks.iter().map(|it| (it.clone(), termination.clone())).collect(),
            Vec::new(),
        );
    }

    /// Writes the last statuses of tasks down, together with `more`, then tells them.
    pub(crate) fn conclude(
        &mut self,
        ctx: &mut StepContext<'_>,
        ends: Vec<(TaskKey, TerminationReason)>,
        more: Vec<AgentChange>,
    ) {
        let mut changes = Vec::new();
        let mut unheard = Vec::new();
        let mut ended = Vec::new();
        for (key, termination) in ends {
            let Some(task) =
                self.ledger.tasks.get(&key).filter(|it| !it.state.is_terminal()).cloned()
            else {
                continue;
            };
            let mut status = self.own_status(ctx, &task, &termination);
            if self.soft.leaving.contains(&key.0) {
                status.uuid = None; // There is nobody left to acknowledge it.
                unheard.push(ToMaster::TaskUpdate {
                    framework: key.0.clone(),
                    status,
                    latest: termination.state,
                });
                let held = self.is_mounted(
                    &(task.framework.clone(), task.executor.clone()),
                    &task.info.resources,
                );
                let kept = TaskRecord { state: termination.state, updates: Vec::new(), ..task };
                changes.push(if held {
                    AgentChange::Task(kept)
                } else {
                    AgentChange::TaskGone(key.clone())
                });
            } else {
                let mut updates = task.updates.clone();
                updates.push(status.clone());
                changes.push(AgentChange::Task(TaskRecord {
                    state: termination.state,
                    latest: Some(status),
                    updates,
                    ..task
                }));
            }
            ended.push(key);
        }
        changes.extend(more);
        self.commit(changes);
        for message in unheard {
            self.tell_master(message);
        }
        for key in ended {
            self.soft.unshown.remove(&key);
            self.soft.alarms.clear(&Alarm::Kill(key.clone()));
            self.soft.runs.values_mut().for_each(|run| run.queue.retain(|it| *it != key));
            self.forward(ctx, &key);
            self.forget_framework(&key.0);
        }
    }

    /// A status that the agent makes itself.
    pub(crate) fn own_status(
        &self,
        ctx: &mut StepContext<'_>,
        task: &TaskRecord,
        termination: &TerminationReason,
    ) -> TaskStatus {
        let status = TaskStatus::new(task.info.id.clone(), termination.state, ctx.now);
        let mut status =
            status.because(StatusSource::Agent, termination.reason, termination.why.clone());
        status.uuid = Some(StatusUuid(ctx.ids.fresh()));
        status.agent.clone_from(&self.ledger.identity.agent);
        status.executor = Some(task.executor.clone());
        status
    }

    /// Forgets a framework that has nothing here any more.
    pub(crate) fn forget_framework(&mut self, framework: &FrameworkId) {
        let has_executor = self.ledger.executors.keys().any(|(it, _)| it == framework);
        if has_executor || self.ledger.tasks.keys().any(|(it, _)| it == framework) {
            return;
        }
        self.soft.leaving.remove(framework);
        if self.ledger.frameworks.contains_key(framework) {
            self.commit(vec![AgentChange::FrameworkGone(framework.clone())]);
        }
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
        _ if end.exit.out_of_memory => TerminationReason::new(
            TaskState::Failed,
            Reason::MemoryLimit,
            format!("out of memory: {message}"),
        ),
        _ => {
            let why = format!("its executor ended with status {}: {message}", end.exit.status);
            TerminationReason::new(TaskState::Failed, Reason::ExecutorTerminated, why)
        }
    }
}
