//! LAUNCH and LAUNCH_GROUP: whether tasks can be taken, and taking them.
//!
//! A task is taken once it is written down. Its container starts when all its volumes are made and free;
//! a volume that is not an agent's to give, or that somebody else's container holds, is refused with the
//! reason. A task that was taken before is never taken twice.

use holdfast_model::launch::{check_group, check_task};
use holdfast_model::validate::check_resource;
use holdfast_model::{
    AgentChange, ClaimState, ContainerId, ExecutorInfo, ExecutorKey, ExecutorKind, ExecutorRecord,
    FrameworkId, FrameworkInfo, Identity, Invalid, OpaquePayload, Reason, Resource, Resources,
    Role, StepContext, TaskInfo, TaskKey, TaskRecord, TaskState, ToMaster,
};

use crate::claims::{find_volume, uses, Hold};
use crate::soft::{LiveContainer, Phase, TerminationReason};
use crate::waiting::DEFERRED_MAX;
use crate::Agent;

/// Tasks to be taken together, with the executor that runs them.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) framework: FrameworkInfo,
    pub(crate) role: Role,
    pub(crate) executor: ExecutorInfo,
    /// Whether the executor is Holdfast's own, for a command.
    pub(crate) command: bool,
    pub(crate) tasks: Vec<TaskInfo>,
    /// Names the group, if it is one.
    pub(crate) group: Option<String>,
}

/// Whether tasks can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placing {
    Go,
    /// Once something that is under way has ended.
    Defer,
    Refuse(TerminationReason),
}

impl Launch {
    /// One task, in its own executor or that of its command.
    pub(crate) fn single(
        framework: &FrameworkInfo,
        role: &Role,
        task: TaskInfo,
        overhead: &Resources,
    ) -> Launch {
        let task = task.allocated_to(role);
        let executor = task.executor.clone().unwrap_or_else(|| ExecutorInfo {
            id: task.executor_id(),
            kind: None,
            framework: framework.id.clone(),
            resources: overhead.allocated_to(role).iter().collect(),
            command: task.command.clone(),
            shutdown_grace_ms: None,
            payload: OpaquePayload::default(),
        });
        let command = task.executor.is_none();
        Launch {
            framework: framework.clone(),
            role: role.clone(),
            executor,
            command,
            tasks: vec![task],
            group: None,
        }
    }

    /// A group of tasks.
    pub(crate) fn group(
        framework: &FrameworkInfo,
        role: &Role,
        executor: ExecutorInfo,
        tasks: Vec<TaskInfo>,
        name: String,
    ) -> Launch {
        let executor = executor.allocated_to(role);
        let tasks = tasks.into_iter().map(|it| it.allocated_to(role)).collect();
        Launch {
            framework: framework.clone(),
            role: role.clone(),
            executor,
            command: false,
            tasks,
            group: Some(name),
        }
    }

    pub(crate) fn owner(&self) -> FrameworkId {
        self.framework.id.clone().unwrap_or_else(|| FrameworkId::made(String::new()))
    }

    pub(crate) fn executor_key(&self) -> ExecutorKey {
        (self.owner(), self.executor.id.clone())
    }

    pub(crate) fn task_keys(&self) -> Vec<TaskKey> {
        self.tasks.iter().map(|it| (self.owner(), it.id.clone())).collect()
    }

    fn record(&self, task: &TaskInfo) -> TaskRecord {
        TaskRecord {
            framework: self.owner(),
            info: task.clone(),
            executor: self.executor.id.clone(),
            state: TaskState::Staging,
            latest: None,
            updates: Vec::new(),
            delivered: false,
            killed: false,
            role: self.role.clone(),
            group: self.group.clone(),
        }
    }
}

impl Agent {
    pub(crate) fn launch(&mut self, ctx: &mut StepContext<'_>, launch: Launch) {
        if launch.framework.id.is_none() {
            return self.log("tasks of a framework without an id are not launched");
        }
        if self.is_repeated(ctx, &launch) {
            return;
        }
        self.end_idle_holders(ctx, &launch);
        let volumes: Vec<Identity> = self
            .needed(&launch)
            .into_iter()
            .map(|it| it.identity)
            .filter(|it| it.persistence.is_some())
            .collect();
        self.look_at_faults_of(&volumes);
        match self.place(&launch) {
            Placing::Go => self.accept(ctx, launch),
            Placing::Defer if self.soft.deferred.len() < DEFERRED_MAX => {
                self.soft.deferred.push(launch)
            }
            Placing::Defer => {
                let termination = TerminationReason::new(
                    TaskState::Dropped,
                    Reason::ResourcesUnknown,
                    "too many launches wait already; try again",
                );
                self.refuse_launch(ctx, &launch, &termination);
            }
            Placing::Refuse(termination) => self.refuse_launch(ctx, &launch, &termination),
        }
    }

    /// Whether some of the tasks are known. Those are not touched: an answer would be taken for the living task's own.
    fn is_repeated(&mut self, ctx: &mut StepContext<'_>, launch: &Launch) -> bool {
        let known = |key: &TaskKey| {
            let recorded = self
                .ledger
                .tasks
                .get(key)
                .is_some_and(|it| !it.state.is_terminal() || !it.updates.is_empty());
            recorded || self.soft.deferred.iter().any(|it| it.task_keys().contains(key))
        };
        let keys = launch.task_keys();
        let (old, new): (Vec<TaskKey>, Vec<TaskKey>) = keys.into_iter().partition(known);
        if old.is_empty() {
            return false;
        }
        for key in &old {
            self.log(format!(
                "task `{}` of framework {} is known already; it is not launched twice",
                key.1, key.0
            ));
        }
        if !new.is_empty() {
            let why =
                format!("task `{}` of the group is known already; choose another id", old[0].1);
            let mut rest = launch.clone();
            rest.tasks.retain(|it| new.iter().any(|(_, id)| *id == it.id));
            self.refuse_launch(
                ctx,
                &rest,
                &TerminationReason::new(TaskState::Error, Reason::TaskGroupInvalid, why),
            );
        }
        true
    }

    /// Whether the tasks can be taken. Changes nothing.
    pub(crate) fn place(&self, launch: &Launch) -> Placing {
        let refuse = |state, reason, why: String| {
            Placing::Refuse(TerminationReason::new(state, reason, why))
        };
        if let Err(invalid) = self.check_launch(launch) {
            let reason =
                if launch.group.is_some() { Reason::TaskGroupInvalid } else { Reason::TaskInvalid };
            return refuse(TaskState::Error, reason, invalid.to_string());
        }
        if self.soft.leaving.contains(&launch.owner()) {
            return refuse(
                TaskState::Dropped,
                Reason::FrameworkRemoved,
                "its framework was removed".to_owned(),
            );
        }
        if self.soft.machine.is_none() {
            let why = "the agent has not opened its disks yet; launch it again".to_owned();
            return refuse(TaskState::Dropped, Reason::ResourcesUnknown, why);
        }
        match self.place_in_executor(launch) {
            Placing::Go => {}
            other => return other,
        }
        let needed = self.needed(launch);
        if let Some(missing) = missing_of(&needed, &self.soft.total) {
            if missing_of(&needed, &self.future_total(None)).is_none() {
                return Placing::Defer;
            }
            let claim = missing
                .identity
                .persistence
                .as_ref()
                .and_then(|_| find_volume(&self.ledger, &missing.identity));
            return match claim.and_then(|it| self.claim_fault(it)) {
                Some(_) if claim.is_some_and(|it| self.is_looked_at(it)) => Placing::Defer,
                Some(fault) => refuse(
                    TaskState::Failed,
                    Reason::ContainerLaunchFailed,
                    format!("{missing} cannot be used: {fault}"),
                ),
                None => refuse(
                    TaskState::Dropped,
                    Reason::ResourcesUnknown,
                    format!("{missing} is not on this agent; wait for a new offer"),
                ),
            };
        }
        self.place_volumes(launch)
    }

    fn check_launch(&self, launch: &Launch) -> Result<(), Invalid> {
        let agent = self
            .ledger
            .identity
            .agent
            .as_ref()
            .ok_or_else(|| Invalid::new("agent_id", "the agent has no name yet"))?;
        match launch.group {
            Some(_) => check_group(&launch.executor, &launch.tasks, agent)?,
            None => launch.tasks.iter().try_for_each(|task| check_task(task, agent))?,
        }
        if launch.group.is_none() && launch.executor.kind == Some(ExecutorKind::Default) {
            return Err(Invalid::new(
                "executor.type",
                "DEFAULT executors run groups only; use LAUNCH_GROUP",
            ));
        }
        if let Some(elsewhere) = launch.tasks.iter().find(|it| it.agent != *agent) {
            return Err(Invalid::new(
                "agent_id",
                format!(
                    "task `{}` is for agent {}, this is {agent}",
                    elsewhere.id, elsewhere.agent
                ),
            ));
        }
        let twice = |(index, task): (usize, &TaskInfo)| {
            launch.tasks[..index].iter().any(|it| it.id == task.id)
        };
        if launch.tasks.is_empty() || launch.tasks.iter().enumerate().any(twice) {
            return Err(Invalid::new(
                "tasks",
                "there must be at least one task, and each must have an id of its own",
            ));
        }
        let resources =
            launch.tasks.iter().flat_map(|it| &it.resources).chain(&launch.executor.resources);
        resources.into_iter().try_for_each(check_resource)
    }

    fn place_in_executor(&self, launch: &Launch) -> Placing {
        let key = launch.executor_key();
        let Some(record) = self.ledger.executors.get(&key) else { return Placing::Go };
        if self.is_ending(&key) {
            return Placing::Defer; // Its container's end makes room for the next one of that name.
        }
        let why = if launch.command || record.command {
            format!("executor id `{}` is in use; choose another", key.1)
        } else if record.info != launch.executor {
            format!(
                "executor `{}` runs there under another description; describe it as before",
                key.1
            )
        } else {
            return Placing::Go;
        };
        Placing::Refuse(TerminationReason::new(TaskState::Error, Reason::TaskInvalid, why))
    }

    /// What the tasks and a new executor take, without allocations.
    fn needed(&self, launch: &Launch) -> Vec<Resource> {
        let fresh = !launch.command && !self.ledger.executors.contains_key(&launch.executor_key());
        let tasks = launch.tasks.iter().flat_map(|it| &it.resources);
        let executor = launch.executor.resources.iter().filter(|_| fresh);
        tasks.chain(executor).map(|it| it.clone().unallocated()).collect()
    }

    /// Each volume must be whole, and no other container's.
    fn place_volumes(&self, launch: &Launch) -> Placing {
        let key = launch.executor_key();
        let started = self.soft.runs.get(&key).is_some_and(|it| it.phase != Phase::Waiting);
        for volume in self.needed(launch).iter().filter(|it| it.identity.persistence.is_some()) {
            let Some(claim) = find_volume(&self.ledger, &volume.identity) else {
                let why = format!("{volume} is not on this agent; wait for a new offer");
                return Placing::Refuse(TerminationReason::new(
                    TaskState::Dropped,
                    Reason::ResourcesUnknown,
                    why,
                ));
            };
            if let Some(fault) = self.claim_fault(claim) {
                if self.is_looked_at(claim) {
                    return Placing::Defer;
                }
                let why = format!("{volume} cannot be used: {fault}");
                return Placing::Refuse(TerminationReason::new(
                    TaskState::Failed,
                    Reason::ContainerLaunchFailed,
                    why,
                ));
            }
            if claim.state == ClaimState::Making && started {
                return Placing::Defer; // A container that runs already sees only whole volumes.
            }
            if volume.identity.shared {
                continue;
            }
            let own = self
                .live_tasks(&key)
                .into_iter()
                .find(|it| uses(&it.info.resources, &claim.resource.identity));
            let own = own.map(|it| Hold::Live(format!("task `{}`", it.info.id)));
            for hold in self.holds(claim, Some(&key)).into_iter().chain(own) {
                match hold {
                    Hold::Live(by) => {
                        let why = format!("{volume} is in use by {by}; end it first");
                        return Placing::Refuse(TerminationReason::new(
                            TaskState::Dropped,
                            Reason::ResourcesUnknown,
                            why,
                        ));
                    }
                    Hold::Ending if started => return Placing::Defer,
                    Hold::Ending => {} // The container waits for it.
                }
            }
        }
        Placing::Go
    }

    /// Takes the tasks: written down first, then started or given to their executor.
    pub(crate) fn accept(&mut self, ctx: &mut StepContext<'_>, launch: Launch) {
        let key = launch.executor_key();
        let mut changes = self.note_framework(&launch.framework);
        if !self.ledger.executors.contains_key(&key) {
            changes.push(AgentChange::Executor(ExecutorRecord {
                framework: launch.owner(),
                info: launch.executor.clone(),
                container: ContainerId(ctx.ids.fresh()),
                command: launch.command,
                registered: false,
                launched: ctx.now,
                role: launch.role.clone(),
            }));
            self.soft.runs.insert(key.clone(), LiveContainer::new(Phase::Waiting));
        }
        changes.extend(launch.tasks.iter().map(|it| AgentChange::Task(launch.record(it))));
        let keys = launch.task_keys();
        for task in &keys {
            self.soft.forget_task(task); // Of an earlier one of that name.
        }
        self.commit(changes);
        let Some(run) = self.soft.runs.get_mut(&key) else { return };
        run.queue.extend(keys);
        if run.phase == Phase::Waiting {
            return; // Its container starts when all is ready.
        }
        self.show_volumes(&key, &launch.tasks);
        self.deliver(&key);
    }

    fn note_framework(&self, framework: &FrameworkInfo) -> Vec<AgentChange> {
        let known = framework.id.as_ref().and_then(|id| self.ledger.frameworks.get(id));
        if known == Some(framework) {
            Vec::new()
        } else {
            vec![AgentChange::Framework(framework.clone())]
        }
    }

    /// Tasks that are not taken have ended before they began; their framework hears of it until it says that it did.
    pub(crate) fn refuse_launch(
        &mut self,
        ctx: &mut StepContext<'_>,
        launch: &Launch,
        termination: &TerminationReason,
    ) {
        let fresh: Vec<&TaskInfo> = {
            let ended = |key: &TaskKey| {
                self.ledger
                    .tasks
                    .get(key)
                    .is_none_or(|it| it.state.is_terminal() && it.updates.is_empty())
            };
            launch.tasks.iter().filter(|it| ended(&(launch.owner(), it.id.clone()))).collect()
        };
        let mut changes = self.note_framework(&launch.framework);
        for task in &fresh {
            let key = (launch.owner(), task.id.clone());
            self.soft.forget_task(&key);
            if self.ledger.tasks.contains_key(&key) {
                changes.push(AgentChange::TaskGone(key)); // An earlier one of that name, which was only kept for its container.
            }
            changes.push(AgentChange::Task(launch.record(task)));
        }
        let ends = fresh
            .iter()
            .map(|task| ((launch.owner(), task.id.clone()), termination.clone()))
            .collect();
        self.commit(changes);
        self.conclude(ctx, ends, Vec::new());
        let (framework, executor) = launch.executor_key();
        if !launch.command
            && !self.ledger.executors.contains_key(&(framework.clone(), executor.clone()))
        {
            // The master has set something aside for an executor that will never be.
            self.tell_master(ToMaster::ExecutorExited { framework, executor, status: 1 });
        }
    }
}

/// The first of `needed` that `pool` lacks. Several users of a shared volume count once.
fn missing_of(needed: &[Resource], pool: &Resources) -> Option<Resource> {
    let mut left = pool.clone();
    for resource in needed {
        if !left.contains_one(resource) {
            return Some(resource.clone());
        }
        if !resource.identity.shared {
            left.subtract(resource);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Effect;
    use crate::testbed::{
        custom_executor, group_executor, reserved_disk, task, task_key, volume_named, Bed,
    };
    use holdfast_model::{Action, ExecutorEvent, Scalar};

    fn refused(bed: &Bed, id: &str) -> (TaskState, i32) {
        let status = bed.last_status(id);
        (status.state, status.reason.unwrap())
    }

    #[test]
    fn a_command_is_written_down_then_started_on_its_volume() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.seen.clear();
        bed.launch_command("t", &[bed.volume()]);
        let commit = bed.seen.iter().position(|it| matches!(it, Effect::Commit(_)));
        let start = bed.seen.iter().position(|it| matches!(it, Effect::StartContainer(_)));
        assert!(commit.is_some() && commit < start);
        let plan = bed.containers.values().next().unwrap().plan.clone();
        assert_eq!(
            (plan.cpus_thousandths, plan.mem_mb, plan.user.as_str(), plan.role.as_str()),
            (1100, 64, "nobody", "db")
        );
        assert_eq!((plan.volumes.len(), plan.volumes[0].container_path.as_str()), (1, "data"));
        assert!(
            plan.task.is_some()
                && plan.checkpoint
                && plan.payload == crate::Payload::CommandExecutor
        );
        bed.settle();
        assert_eq!(bed.states_told("t"), [TaskState::Running]);
    }

    #[test]
    fn reserve_create_and_launch_in_one_accept() {
        let mut bed = Bed::registered();
        let volume = bed.volume();
        bed.apply(vec![
            Bed::reserve(reserved_disk(100)),
            Bed::create(std::slice::from_ref(&volume)),
            Action::Launch(vec![task("t", &[volume])]),
        ]);
        assert_eq!(bed.task_state("t"), Some(TaskState::Staging));
        assert!(bed.containers.is_empty(), "its volume is not made yet");
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
    }

    #[test]
    fn what_is_not_here_is_dropped_with_the_reason() {
        let mut bed = Bed::registered();
        bed.apply(vec![
            Bed::reserve(reserved_disk(5000)),
            Action::Launch(vec![task("t", &[volume_named("v", 5000)])]),
        ]);
        assert_eq!(refused(&bed, "t"), (TaskState::Dropped, Reason::ResourcesUnknown as i32));
        let mut big = task("big", &[]);
        big.resources[0].value = holdfast_model::Value::Scalar(Scalar::whole(99));
        bed.apply(vec![Action::Launch(vec![big])]);
        assert_eq!(refused(&bed, "big"), (TaskState::Dropped, Reason::ResourcesUnknown as i32));
    }

    #[test]
    fn wrong_descriptions_are_errors() {
        let mut bed = Bed::registered();
        let elsewhere = TaskInfo {
            agent: holdfast_model::AgentId::made("a2".to_owned()),
            ..task("elsewhere", &[])
        };
        let both = TaskInfo { executor: Some(custom_executor("e")), ..task("both", &[]) };
        let grouped =
            TaskInfo { executor: Some(group_executor("g")), command: None, ..task("grouped", &[]) };
        bed.apply(vec![Action::Launch(vec![elsewhere, both, grouped])]);
        for id in ["elsewhere", "both", "grouped"] {
            assert_eq!(refused(&bed, id), (TaskState::Error, Reason::TaskInvalid as i32), "{id}");
        }
    }

    #[test]
    fn a_volume_has_one_container_at_a_time_and_is_handed_over_when_the_old_one_is_gone() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.launch_command("t1", &[bed.volume()]);
        bed.settle();
        bed.launch_command("t2", &[bed.volume()]);
        assert_eq!(refused(&bed, "t2"), (TaskState::Dropped, Reason::ResourcesUnknown as i32));
        assert!(bed.last_status("t2").message.unwrap().contains("task `t1`"));
        // t1 finishes; its container takes its time to end.
        bed.obedient = false;
        let old = bed.container_of("t1");
        bed.moved(old, &task_key("t1").1, TaskState::Finished);
        bed.settle();
        bed.launch_command("t3", &[bed.volume()]);
        bed.settle();
        assert_eq!((bed.task_state("t3"), bed.containers.len()), (Some(TaskState::Staging), 1));
        bed.exit(old, 0);
        bed.settle();
        assert_eq!(bed.task_state("t3"), Some(TaskState::Running));
    }

    #[test]
    fn a_task_is_never_taken_twice() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        let before = bed.agent.ledger().clone();
        bed.launch_command("t", &[]);
        let mut other = task("t", &[]);
        other.name = "another".to_owned();
        bed.apply(vec![Action::Launch(vec![other])]);
        bed.settle();
        assert_eq!((bed.agent.ledger(), bed.runs[&task_key("t")]), (&before, 1));
    }

    #[test]
    fn an_executor_gets_later_tasks_and_its_container_grows() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let custom = |id: &str, volumes: &[Resource]| TaskInfo {
            executor: Some(custom_executor("e")),
            command: None,
            ..task(id, volumes)
        };
        bed.apply(vec![Action::Launch(vec![custom("t1", &[])])]);
        bed.settle();
        bed.apply(vec![Action::Launch(vec![custom("t2", &[bed.volume()])])]);
        assert_eq!(bed.task_state("t2"), Some(TaskState::Staging), "its volume is looked at first");
        bed.settle();
        assert_eq!(bed.task_state("t2"), Some(TaskState::Running));
        let plan = &bed.containers.values().next().unwrap().plan;
        assert_eq!((bed.containers.len(), plan.cpus_thousandths, plan.volumes.len()), (1, 3000, 1));
        let other = ExecutorInfo { resources: Vec::new(), ..custom_executor("e") };
        bed.apply(vec![Action::Launch(vec![TaskInfo {
            executor: Some(other),
            command: None,
            ..task("t3", &[])
        }])]);
        assert_eq!(refused(&bed, "t3"), (TaskState::Error, Reason::TaskInvalid as i32));
    }

    #[test]
    fn a_volume_that_is_not_whole_never_reaches_a_running_executor() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let custom = |id: &str, volumes: &[Resource]| TaskInfo {
            executor: Some(custom_executor("e")),
            command: None,
            ..task(id, volumes)
        };
        bed.apply(vec![Action::Launch(vec![custom("t1", &[])])]);
        bed.settle();
        bed.volumes.clear();
        bed.apply(vec![Action::Launch(vec![custom("t2", &[bed.volume()])])]);
        bed.settle();
        assert_eq!(refused(&bed, "t2"), (TaskState::Failed, Reason::ContainerLaunchFailed as i32));
        assert_eq!(bed.agent.faults().len(), 1);
    }

    #[test]
    fn a_group_is_launched_once_and_whole() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.apply(vec![Action::LaunchGroup(
            group_executor("g"),
            vec![task("a", &[]), task("b", &[bed.volume()])],
        )]);
        bed.settle();
        assert_eq!(
            (bed.task_state("a"), bed.task_state("b")),
            (Some(TaskState::Running), Some(TaskState::Running))
        );
        let groups =
            bed.seen.iter().filter(|it| matches!(it, Effect::ToExecutor(_, ExecutorEvent::LaunchGroup(tasks)) if tasks.len() == 2));
        assert_eq!(groups.count(), 1);
        assert_eq!(
            bed.containers.values().next().unwrap().plan.payload,
            crate::Payload::DefaultExecutor
        );
    }

    #[test]
    fn a_group_with_a_bad_member_is_refused_whole() {
        let mut bed = Bed::registered();
        let bad = TaskInfo { command: None, ..task("b", &[]) };
        bed.apply(vec![Action::LaunchGroup(group_executor("g"), vec![task("a", &[]), bad])]);
        for id in ["a", "b"] {
            assert_eq!(refused(&bed, id), (TaskState::Error, Reason::TaskGroupInvalid as i32));
        }
        bed.apply(vec![Action::LaunchGroup(
            group_executor("g"),
            vec![task("c", &[]), task("d", &[volume_named("none", 1)])],
        )]);
        for id in ["c", "d"] {
            assert_eq!(refused(&bed, id), (TaskState::Dropped, Reason::ResourcesUnknown as i32));
        }
        assert!(bed.containers.is_empty() && bed.agent.ledger().executors.is_empty());
        let never =
            |it: &&Effect| matches!(it, Effect::ToMaster(_, ToMaster::ExecutorExited { .. }));
        assert_eq!(
            bed.seen.iter().filter(never).count(),
            2,
            "the master gets back what it set aside for them"
        );
    }

    #[test]
    fn one_volume_is_not_given_twice_within_a_launch() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let volume = bed.volume();
        bed.apply(vec![Action::LaunchGroup(
            group_executor("g"),
            vec![task("a", std::slice::from_ref(&volume)), task("b", &[volume])],
        )]);
        assert!(matches!(refused(&bed, "a").0, TaskState::Dropped | TaskState::Error));
        assert!(bed.containers.is_empty());
    }
}
