//! LAUNCH and LAUNCH_GROUP: taking tasks, having them wait, and refusing them.
//!
//! A task is taken once it is written down. Its container starts when all its volumes are made and free. A task that was taken before
//! is never taken twice.

use holdfast_model::{
    AgentChange, AgentLedger, ExecutorRecord, FrameworkInfo, Identity, Reason, TaskInfo, TaskKey,
    TaskState, ToMaster,
};

use super::delivery::deliver;
use super::ending::{conclude, forget_task};
use super::idle::end_idle_holders;
use super::placing::{needed, place, Placing};
use super::shown::show_volumes;
use crate::bookkeeping::looks::look_at_faults_of;
use crate::bookkeeping::records::volumes_of;
use crate::bookkeeping::telling::tell_master;
use crate::bookkeeping::topics;
use crate::bookkeeping::Step;
use crate::parts::{
    Containers, Disks, Launch, LiveContainer, MasterLink, Phase, Tasks, TerminationReason, Topic,
    Waiting,
};

/// Takes tasks, has them wait, or refuses them.
pub(crate) fn launch(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    launch: Launch,
) {
    if launch.framework.id.is_none() {
        return step.log("tasks of a framework without an id are not launched");
    }
    let (old, new) = known_and_new(step.ledger(), waiting, &launch);
    if !old.is_empty() {
        return refuse_repeated(step, containers, tasks, master, &launch, (&old, &new));
    }
    end_idle_holders(step, containers, tasks, master, &launch);
    let needed = needed(step.ledger(), &launch).into_iter().map(|it| it.identity);
    let volumes: Vec<Identity> = needed.filter(|it| it.persistence.is_some()).collect();
    look_at_faults_of(step, disks, &volumes);
    match place(step, disks, containers, waiting, &launch) {
        Placing::Go => accept(step, containers, tasks, waiting, launch),
        Placing::Defer if waiting.launches().len() < Waiting::LAUNCHES_MAX => {
            let topics = topics::of_launch(step.ledger(), containers, &launch);
            waiting.add_launch(launch, topics);
        }
        Placing::Defer => {
            let termination = TerminationReason::new(
                TaskState::Dropped,
                Reason::ResourcesUnknown,
                "too many launches wait already; try again",
            );
            refuse_launch(step, containers, tasks, master, &launch, &termination);
        }
        Placing::Refuse(termination) => {
            refuse_launch(step, containers, tasks, master, &launch, &termination)
        }
    }
}

/// Those of the tasks that are known, and those that are not.
fn known_and_new(
    ledger: &AgentLedger,
    waiting: &Waiting,
    launch: &Launch,
) -> (Vec<TaskKey>, Vec<TaskKey>) {
    let lives = |key: &TaskKey| {
        let task = ledger.tasks.get(key);
        task.is_some_and(|it| !it.state.is_terminal() || !it.updates.is_empty())
    };
    let waits = |key: &TaskKey| waiting.launches().any(|it| it.task_keys().contains(key));
    launch.task_keys().into_iter().partition(|key| lives(key) || waits(key))
}

/// Tasks that are known are not touched: an answer would be taken for the living task's own.
fn refuse_repeated(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    launch: &Launch,
    (old, new): (&[TaskKey], &[TaskKey]),
) {
    for key in old {
        step.log(format!(
            "task `{}` of framework {} is known already; it is not launched twice",
            key.1, key.0
        ));
    }
    if new.is_empty() {
        return;
    }
    let why = format!("task `{}` of the group is known already; choose another id", old[0].1);
    let termination = TerminationReason::new(TaskState::Error, Reason::TaskGroupInvalid, why);
    let mut rest = launch.clone();
    rest.tasks.retain(|it| new.iter().any(|(_, id)| *id == it.id));
    refuse_launch(step, containers, tasks, master, &rest, &termination);
}

/// Takes the tasks: written down first, then started or given to their executor.
pub(crate) fn accept(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    waiting: &mut Waiting,
    launch: Launch,
) {
    let key = launch.executor_key();
    let mut changes = note_framework(step.ledger(), &launch.framework);
    if !step.ledger().executors.contains_key(&key) {
        changes.push(AgentChange::Executor(ExecutorRecord {
            framework: launch.owner(),
            info: launch.executor.clone(),
            container: step.fresh_container(),
            command: launch.is_command,
            registered: false,
            launched: step.now(),
            role: launch.role.clone(),
        }));
        containers.insert(key.clone(), LiveContainer::waiting());
        waiting.add_container(key.clone());
    }
    changes.extend(launch.tasks.iter().map(|it| AgentChange::Task(launch.record(it))));
    for task in launch.task_keys() {
        forget_task(step, tasks, &task); // Of an earlier one of that name.
    }
    step.commit(changes);
    stir_volumes(step, &launch);
    let live = containers.of_mut(&key);
    live.enqueue(launch.task_keys());
    if live.phase() == Phase::Waiting {
        return; // Its container starts when all is ready.
    }
    show_volumes(step, containers, tasks, &key, &launch.tasks);
    deliver(step, containers, tasks, &key);
}

/// The volumes of a launch have a new holder.
fn stir_volumes(step: &mut Step<'_>, launch: &Launch) {
    let resources = launch.tasks.iter().map(|it| &it.resources).chain([&launch.executor.resources]);
    let volumes: Vec<_> = resources.flat_map(|it| volumes_of(step.ledger(), it)).collect();
    volumes.into_iter().for_each(|it| step.stir(Topic::Volume(it)));
}

fn note_framework(ledger: &AgentLedger, framework: &FrameworkInfo) -> Vec<AgentChange> {
    let known = framework.id.as_ref().and_then(|id| ledger.frameworks.get(id));
    if known == Some(framework) {
        Vec::new()
    } else {
        vec![AgentChange::Framework(framework.clone())]
    }
}

/// Tasks that are not taken have ended before they began; their framework hears of it until it says that it did.
pub(crate) fn refuse_launch(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    launch: &Launch,
    termination: &TerminationReason,
) {
    let over = |task: &&TaskInfo| {
        let known = step.ledger().tasks.get(&(launch.owner(), task.id.clone()));
        known.is_none_or(|it| it.state.is_terminal() && it.updates.is_empty())
    };
    let fresh: Vec<&TaskInfo> = launch.tasks.iter().filter(over).collect();
    let mut changes = note_framework(step.ledger(), &launch.framework);
    let mut ends = Vec::new();
    for task in fresh {
        let key = (launch.owner(), task.id.clone());
        forget_task(step, tasks, &key);
        if step.ledger().tasks.contains_key(&key) {
            changes.push(AgentChange::TaskGone(key.clone())); // An earlier one of that name, which was only kept for its container.
        }
        changes.push(AgentChange::Task(launch.record(task)));
        ends.push((key, termination.clone()));
    }
    step.commit(changes);
    conclude(step, containers, tasks, master, ends, Vec::new());
    let key = launch.executor_key();
    if !launch.is_command && !step.ledger().executors.contains_key(&key) {
        // The master has set something aside for an executor that will never be.
        let (framework, executor) = key;
        tell_master(step, master, ToMaster::ExecutorExited { framework, executor, status: 1 });
    }
}

/// Ends the launches that wait and that `which` names.
pub(crate) fn drop_launches(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    termination: &TerminationReason,
    which: impl Fn(&Launch) -> bool,
) {
    for launch in waiting.take_launches(which) {
        refuse_launch(step, containers, tasks, master, &launch, termination);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Effect;
    use crate::testbed::{
        custom_executor, group_executor, reserved_disk, task, task_key, volume_named, Bed,
    };
    use holdfast_model::{Action, ExecutorEvent, ExecutorInfo, Resource, Scalar};

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
        let commit = bed.seen.iter().position(|it| matches!(it, Effect::Commit { .. }));
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
