//! Containers that run already and are to hold more: they are widened, volumes are shown in them, and only then are the tasks that
//! need those volumes given to their executor.
//!
//! Relies on the drivers' word, for each volume and each of its paths, that the container shows it there. Never gives a task whose
//! volume may not be there yet, and never takes a volume for free that the container may still see.

use holdfast_model::{ClaimId, ExecutorKey, TaskInfo};

use crate::bookkeeping::plans::container_plan;
use crate::bookkeeping::records::volumes_of;
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::parts::{Containers, Phase, Tasks};

/// Has a running container show the volumes of tasks that it was just promised; those with volumes wait for the answer.
pub(crate) fn show_volumes(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    key: &ExecutorKey,
    infos: &[TaskInfo],
) {
    let mut waits = false;
    for info in infos {
        let volumes = volumes_of(step.ledger(), &info.resources);
        if !volumes.is_empty() {
            tasks.await_shown((key.0.clone(), info.id.clone()), volumes.into_iter().collect());
            waits = true;
        }
    }
    if waits {
        resize_container(step, containers, key);
    }
}

/// Widens or narrows a container to what lives in it now.
pub(crate) fn resize_container(
    step: &mut Step<'_>,
    containers: &mut Containers,
    key: &ExecutorKey,
) {
    if step.ledger().executors.get(key).is_none_or(|it| it.command) {
        return;
    }
    if !matches!(containers.of(key).phase(), Phase::Starting | Phase::Running) {
        return;
    }
    let Some(plan) = container_plan(step.ledger(), containers, key) else { return };
    let volumes: Vec<ClaimId> = plan.volumes.iter().map(|it| it.label.claim).collect();
    containers.begin_update(key, &volumes);
    step.push(Effect::UpdateContainer(Box::new(plan)));
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::{custom_executor, group_executor, task, task_key, Bed, DB_VOLUME};
    use crate::Input;
    use holdfast_model::{Action, ExecutorEvent, Order, Reason, Resource, TaskInfo, TaskState};

    fn custom(id: &str, volumes: &[Resource]) -> TaskInfo {
        TaskInfo { executor: Some(custom_executor("e")), command: None, ..task(id, volumes) }
    }

    /// An executor runs, with a task that has no volume, and there is a volume.
    fn running() -> Bed {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.apply(vec![Action::Launch(vec![custom("a", &[])])]);
        bed.settle();
        bed.seen.clear();
        bed
    }

    fn was_given(bed: &Bed, id: &str) -> bool {
        bed.seen.iter().any(|it| match it {
            Effect::ToExecutor(_, ExecutorEvent::Launch(task)) => task.id == task_key(id).1,
            Effect::ToExecutor(_, ExecutorEvent::LaunchGroup(tasks)) => {
                tasks.iter().any(|task| task.id == task_key(id).1)
            }
            _ => false,
        })
    }

    #[test]
    fn a_task_waits_until_the_running_container_shows_its_volume() {
        let mut bed = running();
        bed.apply(vec![Action::Launch(vec![custom("b", &[bed.volume()]), custom("c", &[])])]);
        assert!(bed
            .seen
            .iter()
            .any(|it| matches!(it, Effect::UpdateContainer(plan) if plan.volumes.len() == 1)));
        assert!(!was_given(&bed, "b") && !was_given(&bed, "c"), "those behind it keep their place");
        while !matches!(bed.answers.front(), Some(Input::ContainerUpdated(..))) {
            bed.answer();
        }
        assert!(!was_given(&bed, "b"));
        bed.answer();
        assert!(was_given(&bed, "b") && was_given(&bed, "c"));
        bed.settle();
        assert_eq!(bed.task_state("b"), Some(TaskState::Running));
    }

    #[test]
    fn a_volume_that_cannot_be_shown_fails_its_task_with_the_reason_and_is_free() {
        let mut bed = running();
        bed.mount_failures = 1;
        bed.apply(vec![Action::Launch(vec![custom("b", &[bed.volume()])])]);
        bed.settle();
        let status = bed.last_status("b");
        assert_eq!(
            (status.state, status.reason),
            (TaskState::Failed, Some(Reason::ContainerLaunchFailed as i32))
        );
        assert!(status.message.unwrap().contains("cannot be used: no space for mounts"));
        assert!(!was_given(&bed, "b"));
        assert_eq!(bed.agent.status().executors[0].mounted, [], "what is not shown is not held");
        assert_eq!(bed.task_state("a"), Some(TaskState::Running), "the others live on");
        bed.launch_command("other", &[bed.volume()]);
        bed.settle();
        assert_eq!(bed.task_state("other"), Some(TaskState::Running));
    }

    #[test]
    fn a_volume_that_is_shown_at_one_of_two_paths_does_not_count_as_shown_but_stays_held() {
        let failed = || Err("no space for mounts".to_owned());
        for outcomes in [[Ok(()), failed()], [failed(), Ok(())]] {
            let mut bed = running();
            bed.apply(vec![Action::Launch(vec![custom("b", &[bed.volume()])])]);
            let (container, claim) = (bed.container_of("e"), bed.claim(DB_VOLUME).id);
            let answer = bed
                .answers
                .iter_mut()
                .find(|it| matches!(it, Input::ContainerUpdated(..)))
                .unwrap();
            *answer = Input::ContainerUpdated(container, outcomes.map(|it| (claim, it)).to_vec());
            bed.settle();
            assert!(!was_given(&bed, "b"));
            let status = bed.last_status("b");
            assert_eq!(status.state, TaskState::Failed);
            assert!(status.message.unwrap().contains("cannot be used: no space for mounts"));
            assert_eq!(
                bed.agent.status().executors[0].mounted,
                [claim],
                "the container sees it all the same"
            );
        }
    }

    #[test]
    fn a_group_fails_as_a_whole() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.apply(vec![Action::LaunchGroup(group_executor("g"), vec![task("a", &[])])]);
        bed.settle();
        bed.mount_failures = 1;
        bed.apply(vec![Action::LaunchGroup(
            group_executor("g"),
            vec![task("b", &[]), task("c", &[bed.volume()])],
        )]);
        bed.settle();
        assert_eq!(
            (bed.task_state("b"), bed.task_state("c")),
            (Some(TaskState::Failed), Some(TaskState::Failed))
        );
        assert!(!was_given(&bed, "b") && !was_given(&bed, "c"));
    }

    #[test]
    fn a_volume_that_is_shown_already_stays_held_though_showing_it_again_fails() {
        let mut bed = running();
        bed.apply(vec![Action::Launch(vec![custom("b", &[bed.volume()])])]);
        bed.settle();
        let container = bed.container_of("e");
        bed.moved(container, &task_key("b").1, TaskState::Finished);
        bed.settle();
        bed.mount_failures = 1;
        bed.apply(vec![Action::Launch(vec![custom("c", &[bed.volume()])])]);
        bed.settle();
        assert_eq!(bed.task_state("c"), Some(TaskState::Failed));
        assert_eq!(bed.agent.status().executors[0].mounted, [bed.claim(DB_VOLUME).id]);
    }

    #[test]
    fn nothing_is_given_up_while_a_later_update_may_still_show_it() {
        let mut bed = running();
        bed.mount_failures = 1;
        bed.apply(vec![Action::Launch(vec![custom("b", &[bed.volume()])])]);
        let (framework, task) = task_key("b");
        bed.order(Order::Kill { framework, task, grace_ms: None });
        bed.apply(vec![Action::Launch(vec![custom("c", &[bed.volume()])])]);
        bed.answer();
        assert_eq!(
            (bed.task_state("b"), bed.task_state("c")),
            (Some(TaskState::Killed), Some(TaskState::Staging))
        );
        assert_eq!(bed.agent.status().executors[0].mounted, [bed.claim(DB_VOLUME).id]);
        bed.settle();
        assert_eq!(bed.task_state("c"), Some(TaskState::Running));
    }

    #[test]
    fn who_is_killed_while_its_volume_is_shown_is_not_given_and_the_volume_stays_held() {
        let mut bed = running();
        bed.apply(vec![Action::Launch(vec![custom("b", &[bed.volume()])])]);
        let (framework, task) = task_key("b");
        bed.order(Order::Kill { framework, task, grace_ms: None });
        bed.settle();
        assert_eq!(bed.task_state("b"), Some(TaskState::Killed));
        assert!(!was_given(&bed, "b"));
        assert_eq!(
            bed.agent.status().executors[0].mounted,
            [bed.claim(DB_VOLUME).id],
            "the container sees it until it ends"
        );
    }
}
