//! Kills, of tasks, executors and frameworks. What an executor was never given is killed at once; what
//! it was given is asked to end, and ended if it does not.
//!
//! Never touches a claim: those outlive tasks, executors and frameworks.

use holdfast_model::{
    AgentChange, ExecutorEvent, ExecutorKey, FrameworkId, Instant, Reason, StatusSource,
    StepContext, TaskKey, TaskRecord, TaskState, TaskStatus, ToMaster,
};

use crate::alarms::Alarm;
use crate::ending::End;
use crate::soft::{Phase, TerminationReason};
use crate::step::Effect;
use crate::Agent;

/// How long a task may take to end when nobody says, in milliseconds.
const KILL_GRACE_DEFAULT_MS: u64 = 3_000;

impl Agent {
    pub(crate) fn kill(&mut self, ctx: &mut StepContext<'_>, key: TaskKey, grace_ms: Option<u64>) {
        let termination = TerminationReason::new(
            TaskState::Killed,
            Reason::KilledDuringLaunch,
            "killed before it was started",
        );
        self.drop_launches(ctx, &termination, |launch| launch.task_keys().contains(&key));
        let over = |it: &TaskRecord| it.state.is_terminal() && it.updates.is_empty(); // Only kept for its container.
        let task = self.ledger.tasks.get(&key).filter(|it| !over(it)).cloned();
        let Some(task) = task else { return self.tell_gone(ctx, key) };
        if task.state.is_terminal() {
            return self.forward(ctx, &key);
        }
        if !task.delivered {
            return self.kill_undelivered(ctx, &task, &termination);
        }
        let grace_ms = grace_ms.or(task.info.kill_grace_ms).unwrap_or(KILL_GRACE_DEFAULT_MS);
        self.soft.kill_graces_ms.insert(key.clone(), grace_ms);
        self.soft.set_earlier(Alarm::Kill(key.clone()), self.kill_deadline(ctx.now, grace_ms));
        if !task.killed {
            self.commit(vec![AgentChange::Task(TaskRecord { killed: true, ..task.clone() })]);
        }
        let link = self.soft.runs.get(&(task.framework, task.executor)).and_then(|it| it.link);
        self.effects.extend(
            link.map(|link| Effect::ToExecutor(link, ExecutorEvent::Kill(key.1, Some(grace_ms)))),
        );
    }

    fn kill_deadline(&self, now: Instant, grace_ms: u64) -> Instant {
        now.plus_ms(grace_ms).plus_ms(self.config.shutdown_grace_ms)
    }

    /// Whoever kills what is not here wants to know that it is not here.
    fn tell_gone(&mut self, ctx: &StepContext<'_>, (framework, task): TaskKey) {
        let status = TaskStatus::new(task, TaskState::Gone, ctx.now);
        let mut status = status.because(
            StatusSource::Agent,
            Reason::Reconciliation,
            "this agent does not know the task",
        );
        status.agent.clone_from(&self.ledger.identity.agent);
        self.tell_master(ToMaster::TaskUpdate { framework, status, latest: TaskState::Gone });
    }

    /// A group that was not given yet goes with any of its tasks.
    fn kill_undelivered(
        &mut self,
        ctx: &mut StepContext<'_>,
        task: &TaskRecord,
        termination: &TerminationReason,
    ) {
        let key = (task.framework.clone(), task.executor.clone());
        let with = |it: &&TaskRecord| {
            it.info.id == task.info.id
                || (it.group.is_some() && it.group == task.group && !it.delivered)
        };
        let tasks: Vec<TaskKey> =
            self.live_tasks(&key).into_iter().filter(with).map(TaskRecord::key).collect();
        self.end_tasks(ctx, &tasks, termination);
        if !self.live_tasks(&key).is_empty() {
            return self.deliver(&key); // Those behind it need not wait any more.
        }
        match self.soft.runs.get(&key).map(|it| it.phase) {
            Some(Phase::Waiting) => self.finish(ctx, &key, &End::never_ran(&termination.why)),
            _ => self.end_if_never_used(ctx, &key),
        }
    }

    /// Ends an executor that has no task and was never given one: it would wait for ever.
    pub(crate) fn end_if_never_used(&mut self, ctx: &mut StepContext<'_>, key: &ExecutorKey) {
        let was_used = self.soft.runs.get(key).is_some_and(|it| it.used);
        if !was_used && self.tasks_of(key).all(|it| it.state.is_terminal() && !it.delivered) {
            self.end_executor(ctx, key, None);
        }
    }

    /// Kills that the executor may not have heard.
    pub(crate) fn send_kills(&mut self, key: &ExecutorKey) {
        let Some(link) = self.soft.runs.get(key).and_then(|it| it.link) else { return };
        let killed = self.live_tasks(key).into_iter().filter(|it| it.killed && it.delivered);
        let events: Vec<ExecutorEvent> = killed
            .map(|it| {
                let grace_ms =
                    self.soft.kill_graces_ms.get(&it.key()).copied().or(it.info.kill_grace_ms);
                ExecutorEvent::Kill(it.info.id.clone(), grace_ms)
            })
            .collect();
        self.effects.extend(events.into_iter().map(|event| Effect::ToExecutor(link, event)));
    }

    /// After a restart, tasks that were being killed get their time again.
    pub(crate) fn rearm_kills(&mut self, now: Instant, key: &ExecutorKey) {
        let killed = self.live_tasks(key).into_iter().filter(|it| it.killed && it.delivered);
        let killed: Vec<(TaskKey, u64)> = killed
            .map(|it| (it.key(), it.info.kill_grace_ms.unwrap_or(KILL_GRACE_DEFAULT_MS)))
            .collect();
        for (task, grace_ms) in killed {
            self.soft.set_earlier(Alarm::Kill(task), self.kill_deadline(now, grace_ms));
        }
    }

    /// A killed task did not end in time. Its container is destroyed, unless others live in it that nobody killed.
    pub(crate) fn kill_overdue(&mut self, ctx: &mut StepContext<'_>, key: TaskKey) {
        let Some(task) = self.ledger.tasks.get(&key).filter(|it| !it.state.is_terminal()) else {
            return;
        };
        let executor = (task.framework.clone(), task.executor.clone());
        if self.live_tasks(&executor).iter().all(|it| it.killed) {
            return self.destroy(ctx, &executor);
        }
        let grace_ms = self
            .soft
            .kill_graces_ms
            .get(&key)
            .copied()
            .or(task.info.kill_grace_ms)
            .unwrap_or(KILL_GRACE_DEFAULT_MS);
        self.log(format!(
            "task `{}` does not end; its executor has other tasks and is asked again",
            key.1
        ));
        self.soft.alarms.set(
            Alarm::Kill(key),
            self.kill_deadline(ctx.now, grace_ms.max(KILL_GRACE_DEFAULT_MS)),
        );
        self.send_kills(&executor);
    }

    pub(crate) fn shut_down_executor(&mut self, ctx: &mut StepContext<'_>, key: &ExecutorKey) {
        let termination = TerminationReason::new(
            TaskState::Killed,
            Reason::ExecutorTerminated,
            "its executor was shut down as asked",
        );
        self.drop_launches(ctx, &termination, |launch| launch.executor_key() == *key);
        let killed = self.live_tasks(key).into_iter().filter(|it| !it.killed);
        let killed =
            killed.map(|it| AgentChange::Task(TaskRecord { killed: true, ..it.clone() })).collect();
        self.commit(killed);
        self.end_executor(ctx, key, Some(termination));
    }

    /// Ends all of a framework. Its updates are forgotten, since nobody will acknowledge them; its claims stay.
    pub(crate) fn shut_down_framework(
        &mut self,
        ctx: &mut StepContext<'_>,
        framework: FrameworkId,
    ) {
        let known = self.ledger.frameworks.contains_key(&framework)
            || self.soft.deferred.iter().any(|it| it.owner() == framework);
        if !known {
            return;
        }
        self.soft.leaving.insert(framework.clone());
        let termination = TerminationReason::new(
            TaskState::Killed,
            Reason::FrameworkRemoved,
            "its framework was removed",
        );
        self.soft.deferred.retain(|it| it.owner() != framework);
        let ended = self
            .ledger
            .tasks
            .values()
            .filter(|it| it.framework == framework && it.state.is_terminal());
        let ended: Vec<TaskRecord> = ended.cloned().collect();
        let untold = ended.iter().any(|it| !it.updates.is_empty());
        let mut changes = Vec::new();
        for task in ended {
            self.soft.forget_task(&task.key());
            let held = self
                .is_mounted(&(task.framework.clone(), task.executor.clone()), &task.info.resources);
            let kept = AgentChange::Task(TaskRecord { updates: Vec::new(), ..task.clone() });
            changes.push(if held { kept } else { AgentChange::TaskGone(task.key()) });
        }
        self.commit(changes);
        let executors: Vec<ExecutorKey> =
            self.ledger.executors.keys().filter(|(it, _)| *it == framework).cloned().collect();
        for key in executors {
            self.end_executor(ctx, &key, Some(termination.clone()));
        }
        self.forget_framework(&framework);
        if untold {
            self.report_news(ctx); // Their ends are told no more; the master would count what they used for ever.
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::step::Effect;
    use crate::testbed::{custom_executor, framework_id, group_executor, task, task_key, Bed};
    use holdfast_model::{Action, ExecutorEvent, ExecutorId, Order, Reason, TaskInfo, TaskState};

    fn kill(bed: &mut Bed, id: &str, grace_ms: Option<u64>) {
        let (framework, task) = task_key(id);
        bed.order(Order::Kill { framework, task, grace_ms });
    }

    #[test]
    fn who_kills_what_is_not_here_hears_so() {
        let mut bed = Bed::registered();
        kill(&mut bed, "t", None);
        let status = bed.statuses.pop().unwrap();
        assert_eq!(
            (status.state, status.reason, status.uuid),
            (TaskState::Gone, Some(Reason::Reconciliation as i32), None)
        );
    }

    #[test]
    fn what_was_not_given_yet_is_killed_at_once() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        kill(&mut bed, "t", None);
        let status = bed.last_status("t");
        assert_eq!(
            (status.state, status.reason),
            (TaskState::Killed, Some(Reason::KilledDuringLaunch as i32))
        );
        bed.settle();
        assert!(
            bed.runs.is_empty()
                && bed.agent.ledger().executors.is_empty()
                && bed.containers.is_empty()
        );
    }

    #[test]
    fn a_group_goes_with_any_of_its_tasks() {
        let mut bed = Bed::registered();
        bed.apply(vec![Action::LaunchGroup(
            group_executor("g"),
            vec![task("a", &[]), task("b", &[])],
        )]);
        kill(&mut bed, "a", None);
        bed.settle();
        assert_eq!(
            (bed.task_state("a"), bed.task_state("b")),
            (Some(TaskState::Killed), Some(TaskState::Killed))
        );
        assert!(bed.runs.is_empty() && bed.containers.is_empty());
    }

    #[test]
    fn what_runs_is_asked_to_end() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        kill(&mut bed, "t", Some(700));
        let event = ExecutorEvent::Kill(task_key("t").1, Some(700));
        assert!(matches!(bed.seen.last(), Some(Effect::ToExecutor(_, it)) if *it == event));
        assert!(bed.agent.ledger().tasks[&task_key("t")].killed);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Killed));
        assert!(bed.containers.is_empty());
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        bed.obedient = false;
        kill(&mut bed, "t", Some(700));
        bed.pass_ms(5_699);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
        bed.pass_ms(1);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Killed));
        assert!(bed.containers.is_empty());
    }

    #[test]
    fn a_container_with_other_tasks_is_not_destroyed_for_one_of_them() {
        let mut bed = Bed::registered();
        let custom = |id: &str| TaskInfo {
            executor: Some(custom_executor("e")),
            command: None,
            ..task(id, &[])
        };
        bed.apply(vec![Action::Launch(vec![custom("a"), custom("b")])]);
        bed.settle();
        bed.obedient = false;
        kill(&mut bed, "a", Some(0));
        bed.seen.clear();
        bed.pass_ms(60_000);
        bed.settle();
        assert_eq!((bed.task_state("b"), bed.containers.len()), (Some(TaskState::Running), 1));
        assert!(
            bed.seen.iter().any(|it| matches!(it, Effect::ToExecutor(_, ExecutorEvent::Kill(..)))),
            "it is asked again"
        );
        kill(&mut bed, "b", Some(0));
        bed.pass_ms(60_000);
        bed.settle();
        assert!(bed.containers.is_empty());
    }

    #[test]
    fn a_kill_is_remembered_over_a_crash() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        bed.obedient = false;
        kill(&mut bed, "t", None);
        bed.crash();
        bed.obedient = true;
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Killed));
    }

    #[test]
    fn an_executor_is_shut_down_with_its_tasks() {
        let mut bed = Bed::registered();
        let custom = |id: &str| TaskInfo {
            executor: Some(custom_executor("e")),
            command: None,
            ..task(id, &[])
        };
        bed.apply(vec![Action::Launch(vec![custom("a"), custom("b")])]);
        bed.settle();
        bed.obedient = false;
        bed.order(Order::ShutdownExecutor(framework_id(), ExecutorId::made("e".to_owned())));
        assert!(matches!(bed.seen.last(), Some(Effect::ToExecutor(_, ExecutorEvent::Shutdown))));
        bed.pass_ms(5_000);
        bed.settle();
        assert_eq!(
            (bed.task_state("a"), bed.task_state("b")),
            (Some(TaskState::Killed), Some(TaskState::Killed))
        );
        assert!(bed.seen.iter().any(|it| matches!(
            it,
            Effect::ToMaster(_, holdfast_model::ToMaster::ExecutorExited { .. })
        )));
    }

    #[test]
    fn a_volume_is_held_by_its_container_over_a_kill_a_removal_and_a_crash() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.obedient = false;
        bed.launch_command("t", &[bed.volume()]);
        bed.answer();
        bed.order(Order::ShutdownFramework(framework_id()));
        kill(&mut bed, "t", None);
        bed.answers.clear();
        bed.crash();
        bed.answers.retain(|it| matches!(it, crate::Input::Opened(_)));
        bed.settle();
        let uuid = bed.apply(vec![Bed::destroy(&[bed.volume()])])[0];
        assert_eq!(
            (bed.outcome(uuid), bed.containers.len()),
            (None, 1),
            "it waits for the container"
        );
        bed.pass_ms(60_000);
        bed.settle();
        assert_eq!(
            (bed.outcome(uuid), bed.containers.len()),
            (Some(holdfast_model::OperationState::Finished), 0)
        );
    }

    #[test]
    fn a_removed_framework_leaves_its_claims() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let claims = bed.agent.ledger().claims.clone();
        bed.launch_command("t", &[bed.volume()]);
        bed.launch_command("u", &[]);
        bed.settle();
        bed.order(Order::ShutdownFramework(framework_id()));
        bed.launch_command("late", &[]);
        assert_eq!(
            (bed.task_state("late"), bed.states_told("late")),
            (None, vec![TaskState::Dropped])
        );
        bed.settle();
        bed.order(Order::ShutdownFramework(framework_id()));
        let ledger = bed.agent.ledger();
        assert!(
            ledger.tasks.is_empty() && ledger.executors.is_empty() && ledger.frameworks.is_empty()
        );
        assert_eq!((&ledger.claims, bed.trash.len()), (&claims, 0));
    }

    #[test]
    fn what_ended_untold_is_missing_in_a_report_when_its_framework_is_removed() {
        let mut bed = Bed::registered();
        bed.acknowledges = false;
        bed.launch_command("t", &[]);
        bed.settle();
        kill(&mut bed, "t", None);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Killed));
        let before = bed.reports().len();
        bed.order(Order::ShutdownFramework(framework_id()));
        let reports = bed.reports();
        assert_eq!((reports.len(), reports.last().map(|it| it.tasks.len())), (before + 1, Some(0)));
        bed.order(Order::ShutdownFramework(framework_id()));
        assert_eq!(
            bed.reports().len(),
            before + 1,
            "a master that asks again is not answered for ever"
        );
    }

    #[test]
    fn what_ends_between_a_report_and_its_welcome_is_missing_in_another_report() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        let container = bed.container_of("t");
        bed.order(Order::ShutdownFramework(framework_id()));
        bed.link(2);
        assert_eq!(bed.reports().last().map(|it| it.tasks.len()), Some(1));
        bed.exit(container, 0);
        bed.settle();
        let before = bed.reports().len();
        bed.welcome();
        let reports = bed.reports();
        assert_eq!((reports.len(), reports.last().map(|it| it.tasks.len())), (before + 1, Some(0)));
        bed.welcome();
        assert_eq!(bed.reports().len(), before + 1);
    }
}
