//! The first step of each life: what the ledger says is compared with what the drivers have found.
//!
//! A new agent, a restarted one and a restarted machine are one path. Doing it twice, or dying half-way
//! through and doing it again, comes to the same.

use std::collections::BTreeMap;

use holdfast_model::{
    ContainerId, ExecutorKey, FrameworkId, Reason, TaskKey, TaskRecord, TaskState,
};

use crate::bookkeeping::looks::open_disks;
use crate::bookkeeping::records::live_tasks;
use crate::bookkeeping::Step;
use crate::contract::{Effect, Exit, Found};
use crate::flows::ending::{end_executor, end_tasks, finish, forget_framework, End};
use crate::flows::kills::rearm_kills;
use crate::parts::{Alarm, Containers, Disks, MasterLink, Phase, Tasks, TerminationReason};

pub(crate) fn started(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    found: Vec<(ContainerId, Found)>,
) {
    if !containers.begin() {
        return step.log(
            "the drivers said twice what they had found at the start; the second time is ignored",
        );
    }
    let mut found: BTreeMap<ContainerId, Found> = found.into_iter().collect();
    let executors = step.ledger().executors.iter().map(|(key, it)| (key.clone(), it.container));
    let executors: Vec<(ExecutorKey, ContainerId)> = executors.collect();
    for (key, container) in executors {
        let end = match found.remove(&container) {
            Some(Found::Running) => {
                recover_running(step, containers, tasks, master, &key);
                continue;
            }
            Some(Found::Exited(exit)) => End::exited(exit),
            Some(Found::Lost) => {
                let message = "its container was gone when the agent came back".to_owned();
                End::exited(Exit { status: 128 + 9, out_of_memory: false, message })
            }
            // The crash came between writing it down and starting it; nothing of it ever ran.
            None => End::never_ran("the agent was restarted before its container started"),
        };
        let never_ran = end.refused.is_some();
        finish(step, containers, tasks, master, &key, &End { restarted: true, ..end });
        step.extend(never_ran.then_some(Effect::DestroyContainer(container)));
    }
    drop_orphans(step, containers, tasks, master);
    let frameworks: Vec<FrameworkId> = step.ledger().frameworks.keys().cloned().collect();
    for framework in frameworks {
        forget_framework(step, containers, &framework); // A crash may have come between its last executor's end and this.
    }
    for (container, state) in found {
        step.push(match state {
            Found::Running => Effect::DestroyContainer(container),
            Found::Exited(_) | Found::Lost => Effect::ForgetContainer(container),
        });
    }
    open_disks(step, disks);
}

fn recover_running(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
) {
    let executor = &step.ledger().executors[key];
    let (command, registered) = (executor.command, executor.registered);
    let live = containers.of_mut(key);
    if live.phase() == Phase::Recovering {
        live.set_phase(Phase::Running);
    }
    if live.link().is_none() {
        let config = step.config();
        let wait_ms = if registered {
            config.reregistration_timeout_ms
        } else {
            config.registration_timeout_ms
        };
        step.set_alarm(Alarm::Executor(key.clone()), wait_ms);
    }
    if !command {
        drop_doubtful(step, containers, tasks, master, key);
    }
    rearm_kills(step, key);
    if live_tasks(step.ledger(), key).is_empty() && (command || !registered) {
        end_executor(step, containers, tasks, master, key, None);
    }
}

/// Whether a running container sees the volumes of tasks that it was not yet given is not known any more: those are dropped.
fn drop_doubtful(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
) {
    let queue = containers.of(key).queue().to_vec();
    let uses_volume = |task: &TaskKey| {
        let resources = &step.ledger().tasks[task].info.resources;
        resources.iter().any(|it| it.identity.persistence.is_some())
    };
    if queue.iter().any(uses_volume) {
        end_tasks(step, containers, tasks, master, &queue, &never_started());
    }
}

/// Tasks that live in no executor do not live.
fn drop_orphans(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
) {
    let ledger = step.ledger();
    let orphaned = |task: &&TaskRecord| {
        let executor = (task.framework.clone(), task.executor.clone());
        !task.state.is_terminal() && !ledger.executors.contains_key(&executor)
    };
    let orphans: Vec<TaskKey> =
        ledger.tasks.values().filter(orphaned).map(TaskRecord::key).collect();
    end_tasks(step, containers, tasks, master, &orphans, &never_started());
}

fn never_started() -> TerminationReason {
    TerminationReason::new(
        TaskState::Dropped,
        Reason::AgentRestarted,
        "the agent was restarted before the task was started",
    )
}

#[cfg(test)]
mod tests {
    use crate::testbed::{custom_executor, task, task_key, Bed, DB_VOLUME};
    use crate::{Agent, Config, Effect, Found, Input};
    use holdfast_model::{
        Action, ClaimState, ContainerId, Instant, Reason, StepContext, TaskInfo, TaskState,
    };

    #[test]
    fn what_runs_comes_back_as_if_nothing_had_been() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.launch_command("t", &[bed.volume()]);
        bed.settle();
        bed.crash();
        bed.settle();
        assert_eq!(
            (bed.task_state("t"), bed.runs[&task_key("t")], bed.containers.len()),
            (Some(TaskState::Running), 1, 1)
        );
        assert!(bed.agent.faults().is_empty());
    }

    #[test]
    fn what_ended_meanwhile_failed() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.launch_command("lost", &[]);
        bed.settle();
        let container = bed.container_of("t");
        bed.exit(container, 3);
        bed.containers.remove(&bed.container_of("lost"));
        let found = vec![
            (container, Found::Exited(bed.containers[&container].exited.clone().unwrap())),
            (bed.container_of("lost"), Found::Lost),
        ];
        bed.answers.clear();
        bed.agent = Agent::recover(Config::default(), bed.durable.clone());
        bed.input(Input::Started(found));
        for id in ["t", "lost"] {
            assert_eq!(bed.task_state(id), Some(TaskState::Failed));
            assert_eq!(bed.last_status(id).reason, Some(Reason::ExecutorTerminated as i32));
        }
        assert!(bed.agent.ledger().executors.is_empty());
    }

    #[test]
    fn what_was_never_started_is_dropped() {
        let mut bed = Bed::registered();
        bed.crash_in = Some(1); // After the commit, before the container.
        bed.launch_command("t", &[]);
        assert_eq!((bed.crashes, bed.task_state("t")), (1, Some(TaskState::Dropped)));
        assert_eq!(bed.last_status("t").reason, Some(Reason::AgentRestarted as i32));
        bed.settle();
        assert!(bed.agent.ledger().executors.is_empty() && bed.containers.is_empty());
    }

    #[test]
    fn what_is_nobodys_is_destroyed() {
        let mut bed = Bed::fresh();
        let (runs, ended) =
            (ContainerId(uuid::Uuid::from_u128(1)), ContainerId(uuid::Uuid::from_u128(2)));
        bed.input(Input::Started(vec![(runs, Found::Running), (ended, Found::Lost)]));
        assert_eq!(bed.seen, [Effect::DestroyContainer(runs), Effect::ForgetContainer(ended)]);
        bed.input(Input::Started(vec![(runs, Found::Running)]));
        assert!(matches!(bed.seen[2..], [Effect::Log(_)]), "the second time nothing is done");
    }

    #[test]
    fn an_executor_that_does_not_come_back_is_destroyed() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        bed.crash();
        bed.answers.retain(|it| !matches!(it, Input::FromExecutor(..)));
        bed.settle();
        bed.pass_ms(14_999);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
        bed.pass_ms(1);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Gone));
        assert_eq!(bed.last_status("t").reason, Some(Reason::ExecutorReregistrationTimeout as i32));
        assert!(bed.containers.is_empty());
    }

    #[test]
    fn an_executor_that_never_subscribes_is_destroyed() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.answers.retain(|it| !matches!(it, Input::FromExecutor(..)));
        bed.settle();
        bed.pass_ms(60_000);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Failed));
        assert_eq!(bed.last_status("t").reason, Some(Reason::ExecutorRegistrationTimeout as i32));
    }

    #[test]
    fn unfinished_volumes_are_finished() {
        let mut bed = Bed::registered();
        bed.apply(vec![
            Bed::reserve(crate::testbed::reserved_disk(100)),
            Bed::create(&[bed.volume()]),
        ]);
        bed.crash();
        bed.settle();
        assert_eq!(bed.claim(DB_VOLUME).state, ClaimState::Ready);
        let uuid = bed.apply(vec![Bed::destroy(&[bed.volume()])])[0];
        bed.crash();
        bed.settle();
        assert_eq!(bed.outcome(uuid), Some(holdfast_model::OperationState::Finished));
        assert!(bed.find_claim(DB_VOLUME).is_none() && bed.volumes.is_empty());
    }

    #[test]
    fn tasks_whose_volumes_a_running_container_may_not_see_are_dropped() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let custom = |id: &str, volumes: &[holdfast_model::Resource]| TaskInfo {
            executor: Some(custom_executor("e")),
            command: None,
            ..task(id, volumes)
        };
        bed.apply(vec![Action::Launch(vec![custom("a", &[])])]);
        bed.settle();
        bed.apply(vec![Action::Launch(vec![custom("b", &[bed.volume()])])]);
        bed.crash();
        bed.settle();
        assert_eq!(
            (bed.task_state("a"), bed.task_state("b")),
            (Some(TaskState::Running), Some(TaskState::Dropped))
        );
    }

    #[test]
    fn recovering_twice_is_recovering_once() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.launch_command("t", &[bed.volume()]);
        bed.launch_command("u", &[]);
        let found: Vec<_> = bed.containers.keys().take(1).map(|it| (*it, Found::Running)).collect();
        let mut once = Agent::recover(Config::default(), bed.durable.clone());
        once.handle(
            &mut StepContext { now: Instant(bed.now), ids: &mut bed.ids },
            Input::Started(found.clone()),
        );
        let mut twice = Agent::recover(Config::default(), once.ledger().clone());
        let effects = twice.handle(
            &mut StepContext { now: Instant(bed.now), ids: &mut bed.ids },
            Input::Started(found),
        );
        assert_eq!(once.ledger(), twice.ledger());
        assert!(!effects.iter().any(|it| matches!(it, Effect::Commit { .. })));
    }
}
