//! Kills, of tasks, executors and frameworks. What an executor was never given is killed at once; what
//! it was given is asked to end, and ended if it does not.
//!
//! Never touches a claim: those outlive tasks, executors and frameworks.

use holdfast_model::{
    AgentChange, ExecutorEvent, ExecutorKey, FrameworkId, Reason, TaskKey, TaskRecord, TaskState,
};

use crate::bookkeeping::holds::is_mounted;
use crate::bookkeeping::records::live_tasks;
use crate::bookkeeping::telling::{forward, tell_gone};
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::flows::delivery::deliver;
use crate::flows::ending::{
    destroy, end_executor, end_if_never_used, end_tasks, finish, forget_framework, forget_task, End,
};
use crate::flows::kills::{arm_kill, kill_alarm_ms, send_kills, KILL_GRACE_DEFAULT_MS};
use crate::flows::launching::drop_launches;
use crate::parts::{
    Alarm, Containers, MasterLink, Phase, ReportWish, Tasks, TerminationReason, Waiting,
};

pub(crate) fn kill(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    key: TaskKey,
    grace_ms: Option<u64>,
) {
    let termination = TerminationReason::new(
        TaskState::Killed,
        Reason::KilledDuringLaunch,
        "killed before it was started",
    );
    let names = |launch: &crate::parts::Launch| launch.task_keys().contains(&key);
    drop_launches(step, containers, tasks, master, waiting, &termination, names);
    let over = |it: &TaskRecord| it.state.is_terminal() && it.updates.is_empty(); // Only kept for its container.
    let task = step.ledger().tasks.get(&key).filter(|it| !over(it)).cloned();
    let Some(task) = task else { return tell_gone(step, master, key) };
    if task.state.is_terminal() {
        return forward(step, master, &key);
    }
    if !task.delivered {
        return kill_undelivered(step, containers, tasks, master, &task, &termination);
    }
    let grace_ms = grace_ms.or(task.info.kill_grace_ms).unwrap_or(KILL_GRACE_DEFAULT_MS);
    tasks.set_kill_grace_ms(key.clone(), grace_ms);
    arm_kill(step, key.clone(), grace_ms);
    if !task.killed {
        step.commit(vec![AgentChange::Task(TaskRecord { killed: true, ..task.clone() })]);
    }
    let link = containers.of(&(task.framework, task.executor)).link();
    let event = ExecutorEvent::Kill(key.1, Some(grace_ms));
    step.extend(link.map(|link| Effect::ToExecutor(link, event)));
}

/// A group that was not given yet goes with any of its tasks.
fn kill_undelivered(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    task: &TaskRecord,
    termination: &TerminationReason,
) {
    let key = (task.framework.clone(), task.executor.clone());
    let with = |it: &&TaskRecord| {
        it.info.id == task.info.id
            || (it.group.is_some() && it.group == task.group && !it.delivered)
    };
    let live = live_tasks(step.ledger(), &key).into_iter();
    let ended: Vec<TaskKey> = live.filter(with).map(TaskRecord::key).collect();
    end_tasks(step, containers, tasks, master, &ended, termination);
    if !live_tasks(step.ledger(), &key).is_empty() {
        return deliver(step, containers, tasks, &key); // Those behind it need not wait any more.
    }
    if containers.of(&key).phase() == Phase::Waiting {
        let end = End::never_ran(&termination.why);
        finish(step, containers, tasks, master, &key, &end);
    } else {
        end_if_never_used(step, containers, tasks, master, &key);
    }
}

/// A killed task did not end in time. Its container is destroyed, unless others live in it that nobody killed.
pub(crate) fn kill_overdue(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &Tasks,
    key: TaskKey,
) {
    let Some(task) = step.ledger().tasks.get(&key).filter(|it| !it.state.is_terminal()) else {
        return;
    };
    let executor = (task.framework.clone(), task.executor.clone());
    let grace_ms = tasks.kill_grace_ms(&key).or(task.info.kill_grace_ms);
    let grace_ms = grace_ms.unwrap_or(KILL_GRACE_DEFAULT_MS).max(KILL_GRACE_DEFAULT_MS);
    if live_tasks(step.ledger(), &executor).iter().all(|it| it.killed) {
        return destroy(step, containers, &executor);
    }
    step.log(format!(
        "task `{}` does not end; its executor has other tasks and is asked again",
        key.1
    ));
    let in_ms = kill_alarm_ms(step, grace_ms);
    step.set_alarm(Alarm::Kill(key), in_ms);
    send_kills(step, containers, tasks, &executor);
}

pub(crate) fn shut_down_executor(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    key: &ExecutorKey,
) {
    let termination = TerminationReason::new(
        TaskState::Killed,
        Reason::ExecutorTerminated,
        "its executor was shut down as asked",
    );
    let names = |launch: &crate::parts::Launch| launch.executor_key() == *key;
    drop_launches(step, containers, tasks, master, waiting, &termination, names);
    if step.ledger().executors.contains_key(key) {
        end_killed(step, containers, tasks, master, key, termination);
    }
}

/// Ends an executor with its tasks, which are killed thereby.
fn end_killed(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
    termination: TerminationReason,
) {
    let killed = live_tasks(step.ledger(), key).into_iter().filter(|it| !it.killed);
    let killed =
        killed.map(|it| AgentChange::Task(TaskRecord { killed: true, ..it.clone() })).collect();
    step.commit(killed);
    end_executor(step, containers, tasks, master, key, Some(termination));
}

/// Ends all that runs here. What is claimed stays as it is, and so do the outcomes that nobody has acknowledged.
pub(crate) fn shut_down(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    why: &str,
) {
    step.log(format!("all that runs here is ended, as the master says: {why}"));
    let termination =
        TerminationReason::new(TaskState::Killed, Reason::AgentRemovedByOperator, why);
    drop_launches(step, containers, tasks, master, waiting, &termination, |_| true);
    let executors: Vec<ExecutorKey> = step.ledger().executors.keys().cloned().collect();
    for key in executors {
        if step.ledger().executors.contains_key(&key) {
            end_killed(step, containers, tasks, master, &key, termination.clone());
        }
    }
}

/// Ends all of a framework. Its updates are forgotten, since nobody will acknowledge them; its claims stay.
pub(crate) fn shut_down_framework(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    framework: FrameworkId,
) {
    let launches = waiting.take_launches(|it| it.owner() == framework);
    if !step.ledger().frameworks.contains_key(&framework) && launches.is_empty() {
        return;
    }
    containers.leave(framework.clone());
    let owned = |it: &&TaskRecord| it.framework == framework && it.state.is_terminal();
    let ended: Vec<TaskRecord> = step.ledger().tasks.values().filter(owned).cloned().collect();
    let untold = ended.iter().any(|it| !it.updates.is_empty());
    let mut changes = Vec::new();
    for task in ended {
        forget_task(step, tasks, &task.key());
        let executor = (task.framework.clone(), task.executor.clone());
        let held = is_mounted(step.ledger(), containers, &executor, &task.info.resources);
        changes.push(if held {
            AgentChange::Task(TaskRecord { updates: Vec::new(), ..task })
        } else {
            AgentChange::TaskGone(task.key())
        });
    }
    step.commit(changes);
    let termination = TerminationReason::new(
        TaskState::Killed,
        Reason::FrameworkRemoved,
        "its framework was removed",
    );
    let executors = step.ledger().executors.keys().filter(|(it, _)| *it == framework);
    let executors: Vec<ExecutorKey> = executors.cloned().collect();
    for key in executors {
        end_executor(step, containers, tasks, master, &key, Some(termination.clone()));
    }
    forget_framework(step, containers, &framework);
    if untold {
        // Their ends are told no more; the master would count what they used for ever.
        master.want_report(ReportWish::News);
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
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

    fn shut_down(agent: &str, cluster: u128) -> Order {
        let agent = holdfast_model::AgentId::made(agent.to_owned());
        let cluster = crate::testbed::cluster(cluster);
        Order::ShutDown { agent, cluster, reason: "it is gone".to_owned() }
    }

    #[test]
    fn everything_ends_before_a_refusal_and_claims_stay() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let claims = bed.agent.ledger().claims.clone();
        bed.launch_command("t", &[bed.volume()]);
        bed.settle();
        bed.link(2); // It comes in place of a welcome.
        bed.order(shut_down("other", 1));
        bed.order(shut_down("a1", 2));
        bed.settle();
        assert_eq!(bed.containers.len(), 1, "it was for others");
        bed.order(shut_down("a1", 1));
        bed.order(Order::Refused("it is gone".to_owned()));
        bed.settle();
        assert_eq!((bed.containers.len(), bed.task_state("t")), (0, Some(TaskState::Killed)));
        assert_eq!((&bed.agent.ledger().claims, bed.trash.len()), (&claims, 0));
        bed.launch_command("late", &[]);
        assert_eq!(bed.task_state("late"), None, "no link, no orders");
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
