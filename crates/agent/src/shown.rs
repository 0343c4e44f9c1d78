//! Containers that run already and are to hold more: they are widened, volumes are shown in them, and only then are the tasks that
//! need those volumes given to their executor.
//!
//! Relies on the hands' word, for each volume and each of its paths, that the container shows it there. Never gives a task whose
//! volume may not be there yet, and never takes a volume for free that the container may still see.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    ClaimId, ContainerId, ExecutorKey, Reason, StepContext, TaskInfo, TaskKey, TaskRecord,
    TaskState,
};

use crate::soft::{volumes_of, Phase, TerminationReason};
use crate::step::Effect;
use crate::Agent;

impl Agent {
    /// Has a running container show the volumes of tasks that it was just promised; those with volumes wait for the answer.
    pub(crate) fn show_volumes(&mut self, key: &ExecutorKey, tasks: &[TaskInfo]) {
        let mut waits = false;
        for task in tasks {
            let volumes = volumes_of(&self.ledger, &task.resources);
            if !volumes.is_empty() {
                self.soft
                    .unshown
                    .insert((key.0.clone(), task.id.clone()), volumes.into_iter().collect());
                waits = true;
            }
        }
        if waits {
            self.resize_container(key);
        }
    }

    /// Widens or narrows a container to what lives in it now.
    pub(crate) fn resize_container(&mut self, key: &ExecutorKey) {
        if self.ledger.executors.get(key).is_none_or(|it| it.command) {
            return;
        }
        let Some(plan) = self.container_plan(key) else { return };
        let Some(run) = self
            .soft
            .runs
            .get_mut(key)
            .filter(|it| matches!(it.phase, Phase::Starting | Phase::Running))
        else {
            return;
        };
        for volume in &plan.volumes {
            if run.mounted.insert(volume.label.claim) {
                run.unproven.insert(volume.label.claim);
            }
        }
        run.updates += 1;
        self.effects.push(Effect::UpdateContainer(Box::new(plan)));
    }

    /// An update of a container was carried out, as far as it could be.
    pub(crate) fn container_updated(
        &mut self,
        ctx: &mut StepContext<'_>,
        container: ContainerId,
        shown: &[(ClaimId, Result<(), String>)],
    ) {
        let Some(key) = self.executor_in(container) else { return };
        let Some(run) = self.soft.runs.get_mut(&key) else { return };
        run.updates = run.updates.saturating_sub(1);
        let is_last = run.updates == 0;
        let missing: BTreeSet<ClaimId> =
            shown.iter().filter(|(_, outcome)| outcome.is_err()).map(|(claim, _)| *claim).collect();
        for (claim, _) in shown.iter().filter(|(_, outcome)| outcome.is_ok()) {
            run.unproven.remove(claim); // The container sees it, if only at one of its paths.
            if missing.contains(claim) {
                continue;
            }
            for (_, claims) in
                self.soft.unshown.iter_mut().filter(|(task, _)| run.queue.contains(task))
            {
                claims.remove(claim);
            }
        }
        self.soft.unshown.retain(|_, claims| !claims.is_empty());
        if is_last {
            // A volume that a later update still asks for may yet be shown; until that is answered, nothing is given up.
            for claim in std::mem::take(&mut run.unproven) {
                run.mounted.remove(&claim);
            }
            self.soft.stirred = true;
            self.fail_unshown(ctx, &key, shown);
        }
        self.deliver(&key);
    }

    /// Ends those tasks of an executor whose volumes its container could not be made to show; a group goes as a whole.
    fn fail_unshown(
        &mut self,
        ctx: &mut StepContext<'_>,
        key: &ExecutorKey,
        shown: &[(ClaimId, Result<(), String>)],
    ) {
        let why: BTreeMap<&ClaimId, &String> = shown
            .iter()
            .filter_map(|(claim, outcome)| Some((claim, outcome.as_ref().err()?)))
            .collect();
        let mut any = false;
        for task in self.live_tasks(key).into_iter().cloned().collect::<Vec<TaskRecord>>() {
            let Some(claim) = self.soft.unshown.get(&task.key()).and_then(|it| it.first()) else {
                continue;
            };
            let why = why.get(claim).map_or("it is not shown in the container", |it| it.as_str());
            let termination = TerminationReason::new(
                TaskState::Failed,
                Reason::ContainerLaunchFailed,
                format!("its volume cannot be used: {why}"),
            );
            let of_group = |it: &&TaskRecord| {
                it.info.id == task.info.id || (task.group.is_some() && it.group == task.group)
            };
            let with: Vec<TaskKey> =
                self.live_tasks(key).into_iter().filter(of_group).map(TaskRecord::key).collect();
            self.end_tasks(ctx, &with, &termination);
            any = true;
        }
        if any && self.live_tasks(key).is_empty() {
            self.end_if_never_used(ctx, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::step::Effect;
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
