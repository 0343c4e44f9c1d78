//! Executors come, go and come back.
//!
//! Relies on an executor's introduction for which tasks have reached it. Never obeys who has not introduced itself.

use std::collections::BTreeSet;

use holdfast_model::{
    AgentChange, ExecutorCall, ExecutorEvent, ExecutorKey, ExecutorRecord, LinkId, MachineInfo,
    Reason, TaskId, TaskKey, TaskRecord, TaskState, TaskStatus, ToMaster,
};

use super::updates::update;
use crate::bookkeeping::records::live_tasks;
use crate::bookkeeping::telling::tell_master;
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::flows::delivery::deliver;
use crate::flows::ending::{end_executor, end_tasks};
use crate::flows::kills::send_kills;
use crate::parts::{Alarm, Containers, Disks, MasterLink, Phase, Tasks, TerminationReason};

pub(crate) fn executor_said(
    step: &mut Step<'_>,
    disks: &Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    (link, key): (LinkId, ExecutorKey),
    call: ExecutorCall,
) {
    if let ExecutorCall::Subscribe { tasks: known, updates } = call {
        if let Err(why) = connect(step, disks, containers, &key, link) {
            return refuse_executor(step, link, why);
        }
        return introduced(step, containers, tasks, master, &key, (known, updates));
    }
    if containers.speaker(link) != Some(&key) {
        let why = "subscribe first, and speak for the executor that you are";
        return refuse_executor(step, link, why);
    }
    match call {
        ExecutorCall::Subscribe { .. } | ExecutorCall::Heartbeat => {}
        ExecutorCall::Update(status) => update(step, containers, tasks, master, &key, status),
        ExecutorCall::Message(data) => {
            tell_master(step, master, ToMaster::ExecutorMessage(key.0, key.1, data));
        }
    }
}

fn refuse_executor(step: &mut Step<'_>, link: LinkId, why: &str) {
    step.push(Effect::ToExecutor(link, ExecutorEvent::Error(why.to_owned())));
    step.push(Effect::CloseExecutor(link));
}

/// Takes an executor's link and welcomes it, or says why not.
fn connect(
    step: &mut Step<'_>,
    disks: &Disks,
    containers: &mut Containers,
    key: &ExecutorKey,
    link: LinkId,
) -> Result<(), &'static str> {
    let welcome = welcome(step, disks, containers, key)?;
    if containers.speaker(link).is_some_and(|it| it != key) {
        return Err("this link belongs to another executor");
    }
    if containers.of(key).link().is_some_and(|newer| link < newer) {
        return Err("there is a newer link of this executor");
    }
    let older = containers.connect(key, link);
    step.extend(older.map(Effect::CloseExecutor));
    if containers.of(key).phase() != Phase::Ending {
        step.alarms_mut().clear(&Alarm::Executor(key.clone()));
    }
    let executor = &step.ledger().executors[key];
    if !executor.registered {
        let executor = ExecutorRecord { registered: true, ..executor.clone() };
        step.commit(vec![AgentChange::Executor(executor)]);
    }
    step.push(Effect::ToExecutor(link, welcome));
    Ok(())
}

/// What an executor is greeted with, or why it is not.
fn welcome(
    step: &Step<'_>,
    disks: &Disks,
    containers: &Containers,
    key: &ExecutorKey,
) -> Result<ExecutorEvent, &'static str> {
    let ledger = step.ledger();
    let executor =
        ledger.executors.get(key).ok_or("this agent has no such executor; end yourself")?;
    let framework = ledger
        .frameworks
        .get(&key.0)
        .ok_or("this agent does not know your framework; end yourself")?;
    let agent = ledger.identity.agent.clone().ok_or("this agent has no name yet; try again")?;
    match containers.of(key).phase() {
        Phase::Destroying => return Err("your container is being destroyed; end yourself"),
        Phase::Waiting => return Err("your container was not started yet"),
        Phase::Recovering | Phase::Starting | Phase::Running | Phase::Ending => {}
    }
    let machine: MachineInfo = disks.machine().map(|it| (**it).clone()).unwrap_or_default();
    Ok(ExecutorEvent::Subscribed {
        executor: Box::new(executor.info.clone()),
        framework: Box::new(framework.clone()),
        agent,
        machine: Box::new(machine),
        container: executor.container,
    })
}

/// An executor has said what it knows; it is told what it does not.
fn introduced(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
    (known, updates): (Vec<TaskId>, Vec<TaskStatus>),
) {
    let ends = containers.of(key).phase() == Phase::Ending;
    compare_tasks(step, containers, tasks, master, key, &known, updates);
    if ends {
        let link = containers.of(key).link();
        return step.extend(link.map(|link| Effect::ToExecutor(link, ExecutorEvent::Shutdown)));
    }
    send_kills(step, containers, tasks, key);
    deliver(step, containers, tasks, key);
    let is_idle = live_tasks(step.ledger(), key).is_empty();
    if is_idle && step.ledger().executors.get(key).is_some_and(|it| it.command) {
        end_executor(step, containers, tasks, master, key, None);
    }
}

/// Takes what the executor reports, and finds out which tasks were lost on their way to it.
fn compare_tasks(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
    known: &[TaskId],
    updates: Vec<TaskStatus>,
) {
    let known: BTreeSet<TaskId> =
        known.iter().cloned().chain(updates.iter().map(|it| it.task.clone())).collect();
    let lost = |it: &&TaskRecord| {
        it.delivered && it.state == TaskState::Staging && !known.contains(&it.info.id)
    };
    let live = live_tasks(step.ledger(), key).into_iter();
    let lost: Vec<TaskKey> = live.filter(lost).map(TaskRecord::key).collect();
    for status in updates {
        update(step, containers, tasks, master, key, status);
    }
    let why = "the task was lost on its way to its executor; it never ran";
    let termination = TerminationReason::new(TaskState::Dropped, Reason::AgentRestarted, why);
    end_tasks(step, containers, tasks, master, &lost, &termination);
}

pub(crate) fn message_executor(
    step: &mut Step<'_>,
    containers: &Containers,
    key: &ExecutorKey,
    data: Vec<u8>,
) {
    match containers.get(key).and_then(|it| it.link()) {
        Some(link) => step.push(Effect::ToExecutor(link, ExecutorEvent::Message(data))),
        None => step
            .log(format!("a message for executor `{}`, which is not connected, is dropped", key.1)),
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::{custom_executor, framework_id, task, task_key, Bed};
    use crate::Input;
    use holdfast_model::{
        Action, ExecutorCall, ExecutorEvent, ExecutorId, LinkId, Order, TaskInfo, TaskState,
        ToMaster,
    };

    fn subscribe(link: u64, executor: &str) -> Input {
        let call = ExecutorCall::Subscribe { tasks: Vec::new(), updates: Vec::new() };
        Input::FromExecutor(
            LinkId(link),
            framework_id(),
            ExecutorId::made(executor.to_owned()),
            call,
        )
    }

    fn errors(bed: &Bed, link: u64) -> usize {
        bed.seen
            .iter()
            .filter(
                |it| matches!(it, Effect::ToExecutor(to, ExecutorEvent::Error(_)) if to.0 == link),
            )
            .count()
    }

    #[test]
    fn strangers_are_sent_away() {
        let mut bed = Bed::registered();
        bed.input(subscribe(70, "nobody"));
        let call = ExecutorCall::Heartbeat;
        bed.input(Input::FromExecutor(
            LinkId(71),
            framework_id(),
            ExecutorId::made("x".to_owned()),
            call,
        ));
        assert_eq!((errors(&bed, 70), errors(&bed, 71)), (1, 1));
        assert!(bed.seen.contains(&Effect::CloseExecutor(LinkId(71))));
    }

    #[test]
    fn a_newer_link_of_an_executor_replaces_the_older_and_not_the_other_way_round() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.settle();
        let old = bed.containers.values().next().unwrap().link.unwrap();
        bed.input(subscribe(90, "t"));
        assert!(bed.seen.contains(&Effect::CloseExecutor(old)));
        bed.input(subscribe(80, "t"));
        assert_eq!(errors(&bed, 80), 1);
        bed.input(Input::ExecutorLost(old));
        bed.order(Order::ExecutorMessage(
            framework_id(),
            ExecutorId::made("t".to_owned()),
            b"hello".to_vec(),
        ));
        assert_eq!(
            bed.seen.last(),
            Some(&Effect::ToExecutor(LinkId(90), ExecutorEvent::Message(b"hello".to_vec())))
        );
        let heard = ExecutorCall::Message(b"there".to_vec());
        bed.input(Input::FromExecutor(
            LinkId(90),
            framework_id(),
            ExecutorId::made("t".to_owned()),
            heard,
        ));
        assert!(
            matches!(bed.seen.last(), Some(Effect::ToMaster(_, ToMaster::ExecutorMessage(_, _, data))) if data == b"there")
        );
    }

    #[test]
    fn a_task_is_written_down_as_given_before_it_is_given() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        bed.seen.clear();
        while bed.runs.is_empty() {
            bed.answer();
        }
        let at = |which: &dyn Fn(&Effect) -> bool| bed.seen.iter().position(which).unwrap();
        let given = at(&|it| matches!(it, Effect::ToExecutor(_, ExecutorEvent::Launch(_))));
        let noted = at(
            &|it| matches!(it, Effect::Commit { changes, .. } if changes.iter().any(|it| matches!(it, holdfast_model::AgentChange::Task(task) if task.delivered))),
        );
        assert!(noted < given);
    }

    #[test]
    fn a_task_lost_on_its_way_is_dropped_and_never_given_again() {
        let mut bed = Bed::registered();
        bed.launch_command("t", &[]);
        // The crash comes between writing it down as given and giving it.
        while bed.agent.ledger().tasks.values().all(|it| !it.delivered) {
            if matches!(bed.answers.front(), Some(Input::FromExecutor(..))) {
                bed.crash_in = Some(3);
            }
            bed.answer();
            if 0 < bed.crashes {
                break;
            }
        }
        bed.settle();
        assert_eq!((bed.crashes, bed.runs.len()), (1, 0));
        assert_eq!(bed.task_state("t"), Some(TaskState::Dropped));
        assert!(bed.agent.ledger().executors.is_empty(), "its executor has nothing to do");
    }

    #[test]
    fn tasks_are_given_in_the_order_of_their_launch() {
        let mut bed = Bed::registered();
        let custom = |id: &str| TaskInfo {
            executor: Some(custom_executor("e")),
            command: None,
            ..task(id, &[])
        };
        bed.apply(vec![Action::Launch(vec![custom("z"), custom("a"), custom("m")])]);
        bed.settle();
        let given = bed.seen.iter().filter_map(|it| {
            if let Effect::ToExecutor(_, ExecutorEvent::Launch(task)) = it {
                Some(task.id.to_string())
            } else {
                None
            }
        });
        assert_eq!(given.collect::<Vec<_>>(), ["z", "a", "m"]);
        assert_eq!(bed.task_state("m"), Some(TaskState::Running));
        assert!(bed.agent.ledger().tasks[&task_key("z")].delivered);
    }
}
