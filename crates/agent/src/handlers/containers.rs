//! What the start, the widening and the end of a container mean.
//!
//! Relies on the drivers, who check each volume before they show it. Never takes a volume for free that a container may still see.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{ClaimId, ContainerId, ExecutorKey, Reason, TaskKey, TaskRecord, TaskState};

use crate::bookkeeping::records::{executor_in, live_tasks};
use crate::bookkeeping::Step;
use crate::contract::{Effect, Exit};
use crate::flows::delivery::deliver;
use crate::flows::ending::{end_if_never_used, end_tasks, finish, End};
use crate::parts::{Alarm, Containers, MasterLink, Phase, Tasks, TerminationReason, Topic};

pub(crate) fn container_started(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    container: ContainerId,
    outcome: Result<(), String>,
) {
    let Some(key) = executor_in(step.ledger(), container) else {
        if outcome.is_ok() {
            step.log(format!("container {container} is nobody's; it is destroyed"));
            step.push(Effect::DestroyContainer(container));
        }
        return;
    };
    if let Err(why) = outcome {
        return finish(step, containers, tasks, master, &key, &End::never_ran(&why));
    }
    let live = containers.of_mut(&key);
    match live.phase() {
        Phase::Starting => {
            live.set_phase(Phase::Running);
            if live.link().is_none() {
                let timeout_ms = step.config().registration_timeout_ms;
                step.set_alarm(Alarm::Executor(key), timeout_ms);
            }
        }
        Phase::Destroying | Phase::Waiting => step.push(Effect::DestroyContainer(container)),
        Phase::Recovering | Phase::Running | Phase::Ending => {}
    }
}

pub(crate) fn container_exited(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    container: ContainerId,
    exit: Exit,
) {
    match executor_in(step.ledger(), container) {
        Some(key) => finish(step, containers, tasks, master, &key, &End::exited(exit)),
        None => step.push(Effect::ForgetContainer(container)),
    }
}

/// An update of a container was carried out, as far as it could be.
pub(crate) fn container_updated(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    container: ContainerId,
    shown: &[(ClaimId, Result<(), String>)],
) {
    let Some(key) = executor_in(step.ledger(), container) else { return };
    let missing: BTreeSet<ClaimId> =
        shown.iter().filter(|(_, outcome)| outcome.is_err()).map(|(claim, _)| *claim).collect();
    let seen = shown.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(claim, _)| *claim);
    let seen: Vec<ClaimId> = seen.collect();
    let is_last = containers.end_update(&key, &seen); // The container sees it, if only at one of its paths.
    let live = containers.of(&key);
    for claim in seen.into_iter().filter(|it| !missing.contains(it)) {
        tasks.note_shown(claim, |task| live.queue().contains(task));
    }
    if is_last {
        step.stir(Topic::Executor(key.clone()));
        fail_unshown(step, containers, tasks, master, &key, shown);
    }
    deliver(step, containers, tasks, &key);
}

/// Ends those tasks of an executor whose volumes its container could not be made to show; a group goes as a whole.
fn fail_unshown(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
    shown: &[(ClaimId, Result<(), String>)],
) {
    let why: BTreeMap<&ClaimId, &String> = shown
        .iter()
        .filter_map(|(claim, outcome)| Some((claim, outcome.as_ref().err()?)))
        .collect();
    let mut any = false;
    let live: Vec<TaskRecord> = live_tasks(step.ledger(), key).into_iter().cloned().collect();
    for task in live {
        let Some(claim) = tasks.first_unshown(&task.key()) else { continue };
        let why = why.get(&claim).map_or("it is not shown in the container", |it| it.as_str());
        let termination = TerminationReason::new(
            TaskState::Failed,
            Reason::ContainerLaunchFailed,
            format!("its volume cannot be used: {why}"),
        );
        let with = |it: &&TaskRecord| {
            it.info.id == task.info.id || (task.group.is_some() && it.group == task.group)
        };
        let with: Vec<TaskKey> =
            live_tasks(step.ledger(), key).into_iter().filter(with).map(TaskRecord::key).collect();
        end_tasks(step, containers, tasks, master, &with, &termination);
        any = true;
    }
    if any && live_tasks(step.ledger(), key).is_empty() {
        end_if_never_used(step, containers, tasks, master, key);
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::{Effect, Exit};
    use crate::testbed::{self, task_key, Bed};
    use crate::Input;
    use holdfast_model::convert::{task, Format};
    use holdfast_model::{Action, ContainerId, Reason, TaskState};

    #[test]
    fn a_container_that_would_not_start_fails_its_task_with_the_reason() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.volumes.clear();
        bed.launch_command("t", &[bed.volume()]);
        bed.settle();
        let status = bed.last_status("t");
        assert_eq!(
            (status.state, status.reason),
            (TaskState::Failed, Some(Reason::ContainerLaunchFailed as i32))
        );
        assert!(status.message.unwrap().contains("missing"));
        assert!(bed.agent.ledger().executors.is_empty());
    }

    #[test]
    fn a_container_that_is_nobodys_is_destroyed() {
        let mut bed = Bed::registered();
        let orphan = ContainerId(uuid::Uuid::from_u128(9));
        bed.input(Input::ContainerStarted(orphan, Ok(())));
        assert_eq!(bed.seen.last(), Some(&Effect::DestroyContainer(orphan)));
        bed.settle();
        assert_eq!(bed.seen.last(), Some(&Effect::ForgetContainer(orphan)));
    }

    #[test]
    fn b54_a_container_may_take_what_its_tasks_are_limited_to() {
        let plan = |limit: Option<f64>| {
            let mut bed = Bed::registered();
            let mut wire = task::to_proto(&testbed::task("t", &[]), Format::WHOLE);
            let mut scalar = wire.resources[1].scalar.unwrap();
            scalar.value = limit.unwrap_or_default();
            wire.limits.extend(limit.map(|_| ("mem".to_owned(), scalar)));
            bed.apply(vec![Action::Launch(vec![task::from_proto(wire).unwrap()])]);
            let plan = bed.containers.values().next().unwrap().plan.clone();
            (plan.mem_mb, plan.cpus_thousandths)
        };
        assert_eq!(plan(None), (64, 1100), "32 for the task and 32 for what runs it");
        assert_eq!(plan(Some(100.5)), (133, 1100), "rounded up: less than a megabyte is not none");
        assert_eq!(plan(Some(f64::INFINITY)), (0, 1100), "no limit");
    }

    #[test]
    fn out_of_memory_is_said() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        let container = bed.container_of("t");
        bed.containers.get_mut(&container).unwrap().exited =
            Some(Exit { status: 137, out_of_memory: true, message: "killed".to_owned() });
        bed.exit(container, 137);
        bed.settle();
        let status = bed.last_status("t");
        assert_eq!(
            (status.state, status.reason),
            (TaskState::Failed, Some(Reason::MemoryLimit as i32))
        );
        assert_eq!(bed.states_told("t"), [TaskState::Running], "one at a time, in order");
        assert!(bed.agent.ledger().tasks.contains_key(&task_key("t")));
    }
}
