//! Containers: when they start, with what, and what their start and end mean.
//!
//! Relies on the hands, who check each volume before they start anything. Never starts a container whose
//! volumes are not all made, whole and free.

use holdfast_model::launch::memory_limit;
use holdfast_model::{
    ClaimState, ContainerId, ExecutorKey, ExecutorKind, Mode, Reason, Resource, Resources,
    StepContext, TaskKey, TaskState,
};

use crate::alarms::Alarm;
use crate::claims::{find_volume, label, uses, Hold};
use crate::ending::End;
use crate::soft::{volumes_of, Phase, TerminationReason};
use crate::step::{ContainerPlan, Effect, Exit, Payload, VolumePlan};
use crate::Agent;

/// What keeps a container from starting.
enum Obstacle {
    /// It will go away.
    Passing,
    /// It will not, for these tasks.
    Lasting(Vec<TaskKey>, TerminationReason),
}

impl Agent {
    /// Starts all containers that can start now.
    pub(crate) fn start_containers(&mut self, ctx: &mut StepContext<'_>) {
        let waiting = self.soft.runs.iter().filter(|(_, run)| run.phase == Phase::Waiting);
        let waiting: Vec<ExecutorKey> = waiting.map(|(key, _)| key.clone()).collect();
        for key in waiting {
            match self.obstacle(&key) {
                None => self.start_container(ctx, &key),
                Some(Obstacle::Passing) => {}
                Some(Obstacle::Lasting(tasks, termination)) => {
                    self.end_tasks(ctx, &tasks, &termination);
                    if self.live_tasks(&key).is_empty() {
                        self.finish(ctx, &key, &End::never_ran(&termination.why));
                    }
                }
            }
        }
    }

    fn obstacle(&self, key: &ExecutorKey) -> Option<Obstacle> {
        let record = self.ledger.executors.get(key)?;
        let tasks = self.live_tasks(key);
        let all = || tasks.iter().map(|it| it.key()).collect::<Vec<TaskKey>>();
        let mut passing = false;
        let resources =
            record.info.resources.iter().chain(tasks.iter().flat_map(|it| &it.info.resources));
        for volume in resources.filter(|it| it.identity.persistence.is_some()) {
            let bare = volume.identity.unallocated();
            let of_executor = uses(&record.info.resources, &bare);
            let users = tasks
                .iter()
                .filter(|it| of_executor || it.group.is_some() || uses(&it.info.resources, &bare));
            let users: Vec<TaskKey> = users.map(|it| it.key()).collect();
            let Some(claim) = find_volume(&self.ledger, &volume.identity) else {
                let why = format!("{volume} could not be made");
                return Some(Obstacle::Lasting(
                    users,
                    TerminationReason::new(TaskState::Dropped, Reason::ResourcesUnknown, why),
                ));
            };
            if let Some(fault) = self.claim_fault(claim) {
                let why = format!("{volume} cannot be used: {fault}");
                return Some(Obstacle::Lasting(
                    users,
                    TerminationReason::new(TaskState::Failed, Reason::ContainerLaunchFailed, why),
                ));
            }
            passing |= claim.state == ClaimState::Making;
            if !volume.identity.shared {
                for hold in self.holds(claim, Some(key)) {
                    match hold {
                        Hold::Ending => passing |= !self.is_planted("agent-hands-over-early"),
                        Hold::Live(by) => {
                            let why = format!("{volume} is in use by {by}; end it first");
                            return Some(Obstacle::Lasting(
                                users,
                                TerminationReason::new(
                                    TaskState::Dropped,
                                    Reason::ResourcesUnknown,
                                    why,
                                ),
                            ));
                        }
                    }
                }
            }
        }
        if self.container_plan(key).is_none() {
            let why = "the agent does not know its own name or the task's framework";
            return Some(Obstacle::Lasting(
                all(),
                TerminationReason::new(TaskState::Dropped, Reason::ResourcesUnknown, why),
            ));
        }
        passing.then_some(Obstacle::Passing)
    }

    fn start_container(&mut self, ctx: &mut StepContext<'_>, key: &ExecutorKey) {
        if self.live_tasks(key).is_empty() {
            return self.finish(ctx, key, &End::never_ran("it has no task"));
        }
        let Some(plan) = self.container_plan(key) else { return };
        let Some(run) = self.soft.runs.get_mut(key) else { return };
        run.phase = Phase::Starting;
        run.mounted.extend(plan.volumes.iter().map(|it| it.label.claim));
        self.effects.push(Effect::StartContainer(Box::new(plan)));
    }

    /// How an executor's container shall be, with the tasks that live now.
    pub(crate) fn container_plan(&self, key: &ExecutorKey) -> Option<ContainerPlan> {
        let record = self.ledger.executors.get(key)?;
        let framework = self.ledger.frameworks.get(&key.0)?;
        let tasks = self.live_tasks(key);
        let resources: Vec<&Resource> = record
            .info
            .resources
            .iter()
            .chain(tasks.iter().flat_map(|it| &it.info.resources))
            .collect();
        let total = |name: &str| -> i64 {
            let amounts = resources
                .iter()
                .filter(|it| it.identity.name == name)
                .map(|it| it.value.quantity().as_thousandths());
            amounts.fold(0, i64::saturating_add)
        };
        // All of a container share one limit; one task without makes it none.
        let executor = record.info.resources.iter().collect::<Resources>().quantity("mem");
        let memory =
            tasks.iter().try_fold(executor, |sum, task| Some(sum.plus(memory_limit(&task.info)?)));
        let payload = match (record.command, record.info.kind) {
            (true, _) => Payload::CommandExecutor,
            (false, Some(ExecutorKind::Default)) => Payload::DefaultExecutor,
            (false, _) => Payload::Custom,
        };
        let command_user = record.info.command.as_ref().and_then(|it| it.user.clone());
        Some(ContainerPlan {
            container: record.container,
            framework: key.0.clone(),
            executor: key.1.clone(),
            payload,
            info: record.info.clone(),
            agent: self.ledger.identity.agent.clone()?,
            user: command_user.unwrap_or_else(|| framework.user.clone()),
            role: record.role.as_str().to_owned(),
            checkpoint: framework.checkpoint,
            volumes: self.volume_plans(&resources),
            cpus_thousandths: u64::try_from(total("cpus")).unwrap_or(0),
            mem_mb: memory
                .map_or(0, |it| u64::try_from(it.as_thousandths()).unwrap_or(0).div_ceil(1000)),
            task: tasks.first().filter(|_| record.command).map(|it| it.info.payload.clone()),
        })
    }

    fn volume_plans(&self, resources: &[&Resource]) -> Vec<VolumePlan> {
        let mut plans: Vec<VolumePlan> = Vec::new();
        for resource in resources {
            let Some(claim) = find_volume(&self.ledger, &resource.identity) else { continue };
            let mount = resource.mount.as_ref().or(claim.resource.mount.as_ref());
            let (Some(label), Some(mount)) = (label(claim), mount) else { continue };
            let read_only = mount.mode == Mode::ReadOnly;
            let plan = VolumePlan {
                label,
                container_path: mount.container_path.clone(),
                mode: if read_only { Mode::ReadOnly } else { Mode::ReadWrite },
            };
            if !plans.contains(&plan) {
                plans.push(plan);
            }
        }
        plans
    }

    pub(crate) fn container_started(
        &mut self,
        ctx: &mut StepContext<'_>,
        container: ContainerId,
        outcome: Result<(), String>,
    ) {
        let Some(key) = self.executor_in(container) else {
            if outcome.is_ok() {
                self.log(format!("container {container} is nobody's; it is destroyed"));
                self.effects.push(Effect::DestroyContainer(container));
            }
            return;
        };
        if let Err(why) = outcome {
            return self.finish(ctx, &key, &End::never_ran(&why));
        }
        let Some(run) = self.soft.runs.get_mut(&key) else { return };
        match run.phase {
            Phase::Starting => {
                run.phase = Phase::Running;
                if run.link.is_none() {
                    let at = ctx.now.plus_ms(self.config.registration_timeout_ms);
                    self.soft.alarms.set(Alarm::Executor(key), at);
                }
            }
            Phase::Destroying | Phase::Waiting => {
                self.effects.push(Effect::DestroyContainer(container))
            }
            Phase::Recovering | Phase::Running | Phase::Ending => {}
        }
    }

    pub(crate) fn container_exited(
        &mut self,
        ctx: &mut StepContext<'_>,
        container: ContainerId,
        exit: Exit,
    ) {
        match self.executor_in(container) {
            Some(key) => self.finish(ctx, &key, &End::exited(exit)),
            None => self.effects.push(Effect::ForgetContainer(container)),
        }
    }

    pub(crate) fn executor_in(&self, container: ContainerId) -> Option<ExecutorKey> {
        self.ledger
            .executors
            .iter()
            .find(|(_, it)| it.container == container)
            .map(|(key, _)| key.clone())
    }

    /// The volumes of a task, for what is kept until its container is gone.
    pub(crate) fn is_mounted(&self, key: &ExecutorKey, resources: &[Resource]) -> bool {
        let Some(run) = self.soft.runs.get(key) else { return false };
        volumes_of(&self.ledger, resources).iter().any(|it| run.mounted.contains(it))
    }
}

#[cfg(test)]
mod tests {
    use crate::step::{Effect, Exit};
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
        let stray = ContainerId(uuid::Uuid::from_u128(9));
        bed.input(Input::ContainerStarted(stray, Ok(())));
        assert_eq!(bed.seen.last(), Some(&Effect::DestroyContainer(stray)));
        bed.settle();
        assert_eq!(bed.seen.last(), Some(&Effect::ForgetContainer(stray)));
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
