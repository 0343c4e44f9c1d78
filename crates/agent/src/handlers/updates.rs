//! Task statuses: written down, acknowledged to the executor, then told to the framework, in order, one
//! at a time, until it has acknowledged each.
//!
//! Never lets a task go back: nothing comes after its end.

use holdfast_model::{
    AgentChange, ExecutorEvent, ExecutorKey, StatusSource, StatusUuid, TaskKey, TaskRecord,
    TaskState, TaskStatus,
};

use crate::bookkeeping::holds::is_mounted;
use crate::bookkeeping::telling::{forward, send_update};
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::flows::ending::{end_executor, forget_framework, forget_task};
use crate::flows::shown::resize_container;
use crate::parts::{Alarm, Containers, MasterLink, Tasks};

/// How many statuses of one task are kept; beyond it, the newest takes the place of the newest but one, unless that was its end.
const UPDATES_MAX: usize = 1000;
/// How many bytes they may take together: with its description, a task stays below what one record may be.
const UPDATES_BYTES_MAX: usize = 512 * 1024;

/// About what statuses take in a record.
fn bytes_of<'a>(statuses: impl IntoIterator<Item = &'a TaskStatus>) -> usize {
    statuses
        .into_iter()
        .map(|it| 256 + it.payload.bytes().len() + it.message.as_ref().map_or(0, String::len))
        .sum()
}

/// An executor says how a task is.
pub(crate) fn update(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
    status: TaskStatus,
) {
    let Some(uuid) = status.uuid else {
        return step.log(format!("an update of task `{}` without uuid is ignored", status.task));
    };
    if let Some(why) = wrong(key, &status) {
        return step.log(format!("an update of task `{}` is ignored: {why}", status.task));
    }
    let task_key = (key.0.clone(), status.task.clone());
    let task = step.ledger().tasks.get(&task_key).filter(|it| it.executor == key.1).cloned();
    let goes_on = |it: &TaskRecord| {
        !it.state.is_terminal() && rank(it.state) <= rank(status.state) && !is_known(it, uuid)
    };
    let over = task.as_ref().is_none_or(|it| it.state.is_terminal());
    let news = task.filter(goes_on).filter(|_| tasks.note_status(&task_key, uuid));
    let is_news = news.is_some();
    if let Some(task) = news {
        note_update(step, task, status.clone());
    }
    let link = containers.of(key).link();
    let heard = ExecutorEvent::Acknowledged(status.task.clone(), uuid);
    step.extend(link.map(|link| Effect::ToExecutor(link, heard)));
    if is_news {
        match status.state.is_terminal() {
            // What it used is free for others at once, though its framework has yet to acknowledge an earlier status.
            true => send_update(step, master, &task_key),
            false => forward(step, master, &task_key),
        }
        after_update(step, containers, tasks, master, key, &task_key);
    } else if over && !status.state.is_terminal() {
        // We said that it has ended, or never knew it; it must not live on.
        step.log(format!(
            "executor `{}` runs task `{}`, which is not to run; it is killed",
            key.1, status.task
        ));
        let kill = ExecutorEvent::Kill(status.task, None);
        step.extend(link.map(|link| Effect::ToExecutor(link, kill)));
    }
}

fn note_update(step: &mut Step<'_>, task: TaskRecord, mut status: TaskStatus) {
    status.agent.clone_from(&step.ledger().identity.agent);
    status.executor = Some(task.executor.clone());
    status.source.get_or_insert(StatusSource::Executor);
    if status.at.0 == 0 {
        status.at = step.now();
    }
    let mut updates = task.updates.clone();
    // The oldest is on its way to the framework, and stays.
    while 1 < updates.len()
        && (UPDATES_MAX <= updates.len()
            || UPDATES_BYTES_MAX < bytes_of(&updates) + bytes_of([&status]))
    {
        updates.pop();
    }
    updates.push(status.clone());
    let (state, latest, delivered) = (status.state, Some(status), true);
    let task = TaskRecord { state, latest, updates, delivered, ..task };
    step.commit(vec![AgentChange::Task(task)]);
}

fn after_update(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
    task: &TaskKey,
) {
    if step.ledger().tasks.get(task).is_some_and(|it| !it.state.is_terminal()) {
        return;
    }
    step.alarms_mut().clear(&Alarm::Kill(task.clone()));
    if step.ledger().executors.get(key).is_some_and(|it| it.command) {
        end_executor(step, containers, tasks, master, key, None);
    } else {
        resize_container(step, containers, key);
    }
}

pub(crate) fn acknowledge_task(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &TaskKey,
    status: StatusUuid,
) {
    let oldest = |it: &&TaskRecord| it.updates.first().and_then(|it| it.uuid) == Some(status);
    let Some(mut task) = step.ledger().tasks.get(key).filter(oldest).cloned() else { return };
    step.alarms_mut().clear(&Alarm::Update(key.clone()));
    task.updates.remove(0);
    let done = task.state.is_terminal() && task.updates.is_empty();
    let executor = (task.framework.clone(), task.executor.clone());
    // A container that may see the task's volumes holds them; what says so is kept as long as it lives.
    if done && !is_mounted(step.ledger(), containers, &executor, &task.info.resources) {
        forget_task(step, tasks, key);
        step.commit(vec![AgentChange::TaskGone(key.clone())]);
        forget_framework(step, containers, &key.0);
    } else {
        step.commit(vec![AgentChange::Task(task)]);
        forward(step, master, key);
    }
}

fn is_known(task: &TaskRecord, uuid: StatusUuid) -> bool {
    task.updates.iter().chain(&task.latest).any(|it| it.uuid == Some(uuid))
}

fn wrong(key: &ExecutorKey, status: &TaskStatus) -> Option<&'static str> {
    use TaskState::{GoneByOperator, Staging, Unknown, Unreachable};
    if matches!(status.state, Staging | Unreachable | Unknown | GoneByOperator) {
        return Some("this is not for an executor to say");
    }
    let other = status.executor.as_ref().is_some_and(|it| *it != key.1);
    other.then_some("it names another executor")
}

fn rank(state: TaskState) -> u8 {
    match state {
        TaskState::Staging => 0,
        TaskState::Starting => 1,
        TaskState::Running => 2,
        TaskState::Killing => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::{framework_id, task_key, Bed};
    use crate::Input;
    use holdfast_model::{
        ExecutorCall, ExecutorEvent, ExecutorId, Instant, LinkId, Order, StatusUuid, TaskState,
        TaskStatus,
    };
    use uuid::Uuid;

    fn running() -> Bed {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        bed
    }

    fn say(bed: &mut Bed, state: TaskState, uuid: Option<u128>) {
        let mut status = TaskStatus::new(task_key("t").1, state, Instant(0));
        status.uuid = uuid.map(|it| StatusUuid(Uuid::from_u128(it)));
        let link: LinkId = bed.containers.values().next().unwrap().link.unwrap();
        bed.input(Input::FromExecutor(
            link,
            framework_id(),
            ExecutorId::made("t".to_owned()),
            ExecutorCall::Update(status),
        ));
    }

    fn acknowledge(bed: &mut Bed, uuid: StatusUuid) {
        let (framework, task) = task_key("t");
        bed.order(Order::AcknowledgeTask(framework, task, uuid));
    }

    #[test]
    fn statuses_are_told_one_at_a_time_in_order_until_acknowledged() {
        let mut bed = running();
        say(&mut bed, TaskState::Running, Some(501));
        say(&mut bed, TaskState::Killing, Some(502));
        assert_eq!(bed.states_told("t"), [TaskState::Running]);
        let first = bed.statuses[0].clone();
        assert_eq!((first.agent.unwrap().as_str(), first.executor.unwrap().as_str()), ("a1", "t"));
        bed.pass_ms(10_000);
        bed.pass_ms(20_000);
        assert_eq!(bed.states_told("t"), [TaskState::Running; 3]);
        acknowledge(&mut bed, StatusUuid(Uuid::from_u128(502)));
        assert_eq!(bed.statuses.len(), 3, "only the oldest can be acknowledged");
        acknowledge(&mut bed, first.uuid.unwrap());
        acknowledge(&mut bed, StatusUuid(Uuid::from_u128(501)));
        assert_eq!(bed.statuses.last().unwrap().state, TaskState::Killing);
        acknowledge(&mut bed, StatusUuid(Uuid::from_u128(502)));
        assert_eq!(bed.next_deadline(), None);
    }

    #[test]
    fn the_master_learns_of_the_end_at_once_though_an_earlier_status_waits() {
        let mut bed = running();
        say(&mut bed, TaskState::Running, Some(501));
        say(&mut bed, TaskState::Finished, Some(502));
        assert_eq!(bed.states_told("t"), [TaskState::Running; 2]);
        let latest = bed.seen.iter().filter_map(|it| match it {
            Effect::ToMaster(_, holdfast_model::ToMaster::TaskUpdate { latest, .. }) => {
                Some(*latest)
            }
            _ => None,
        });
        let latest: Vec<TaskState> = latest.collect();
        assert_eq!(latest.last(), Some(&TaskState::Finished));
    }

    #[test]
    fn a_status_that_comes_twice_is_told_once_and_acknowledged_twice() {
        let mut bed = running();
        let first = bed.statuses[0].uuid.unwrap();
        acknowledge(&mut bed, first);
        for _ in 0..2 {
            say(&mut bed, TaskState::Running, Some(501));
        }
        acknowledge(&mut bed, StatusUuid(Uuid::from_u128(501)));
        say(&mut bed, TaskState::Running, Some(501));
        assert_eq!(bed.statuses.len(), 2);
        let name = StatusUuid(Uuid::from_u128(501));
        let acknowledged =
            bed.seen.iter().filter(|it| matches!(it, Effect::ToExecutor(_, ExecutorEvent::Acknowledged(_, it)) if *it == name));
        assert_eq!(acknowledged.count(), 3);
    }

    #[test]
    fn nothing_comes_after_the_end_and_what_should_not_run_is_killed() {
        let mut bed = running();
        bed.obedient = false;
        say(&mut bed, TaskState::Finished, Some(501));
        say(&mut bed, TaskState::Running, Some(502));
        assert_eq!(bed.task_state("t"), Some(TaskState::Finished));
        assert!(matches!(bed.seen.last(), Some(Effect::ToExecutor(_, ExecutorEvent::Kill(..)))));
        assert_eq!(bed.agent.ledger().tasks[&task_key("t")].updates.len(), 2);
    }

    #[test]
    fn what_is_not_for_executors_to_say_is_ignored() {
        let mut bed = running();
        let before = bed.agent.ledger().clone();
        say(&mut bed, TaskState::Finished, None);
        for state in [
            TaskState::Staging,
            TaskState::Unreachable,
            TaskState::Unknown,
            TaskState::GoneByOperator,
        ] {
            say(&mut bed, state, Some(600 + state as u128));
        }
        assert_eq!(bed.agent.ledger(), &before);
    }

    #[test]
    fn a_new_link_hears_what_was_not_acknowledged() {
        let mut bed = running();
        bed.input(Input::MasterLost(LinkId(1)));
        bed.pass_ms(100_000);
        say(&mut bed, TaskState::Finished, Some(501));
        assert_eq!(bed.statuses.len(), 1);
        bed.acknowledges = true;
        bed.relink();
        bed.settle();
        assert_eq!(
            bed.states_told("t"),
            [TaskState::Running, TaskState::Running, TaskState::Finished]
        );
        assert!(bed.agent.ledger().tasks.is_empty() && bed.agent.ledger().frameworks.is_empty());
        assert_eq!(bed.next_deadline(), None);
    }

    #[test]
    fn a_task_whose_volume_its_container_may_see_is_kept_as_long_as_that_lives() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.acknowledges = true;
        bed.obedient = false;
        bed.launch_command("t", &[bed.volume()]);
        bed.settle();
        say(&mut bed, TaskState::Finished, Some(501));
        bed.settle();
        assert!(bed.agent.ledger().tasks.contains_key(&task_key("t")));
        bed.order(Order::Resync);
        assert!(bed.reports().pop().unwrap().tasks.is_empty(), "for the master it is over");
        bed.crash();
        assert_eq!(bed.agent.status().executors[0].mounted.len(), 1);
        bed.exit(bed.container_of("t"), 0);
        bed.settle();
        assert!(bed.agent.ledger().tasks.is_empty());
    }

    #[test]
    fn a_flood_of_statuses_is_bounded_and_its_end_is_kept() {
        let mut bed = running();
        for number in 0..super::UPDATES_MAX as u128 + 10 {
            say(&mut bed, TaskState::Running, Some(10_000 + number));
        }
        say(&mut bed, TaskState::Failed, Some(9_000));
        let task = &bed.agent.ledger().tasks[&task_key("t")];
        assert_eq!(
            (task.updates.len(), task.updates.last().unwrap().state),
            (super::UPDATES_MAX, TaskState::Failed)
        );
    }

    #[test]
    fn fat_statuses_stay_below_what_a_record_may_be() {
        let mut bed = running();
        for number in 0..100u128 {
            let mut status = TaskStatus::new(task_key("t").1, TaskState::Running, Instant(0));
            status.uuid = Some(StatusUuid(Uuid::from_u128(20_000 + number)));
            status.message = Some("x".repeat(30 * 1024));
            let link: LinkId = bed.containers.values().next().unwrap().link.unwrap();
            bed.input(Input::FromExecutor(
                link,
                framework_id(),
                ExecutorId::made("t".to_owned()),
                ExecutorCall::Update(status),
            ));
        }
        let task = &bed.agent.ledger().tasks[&task_key("t")];
        assert!(
            super::bytes_of(&task.updates) <= super::UPDATES_BYTES_MAX,
            "{}",
            super::bytes_of(&task.updates)
        );
        assert!(1 < task.updates.len());
    }
}
