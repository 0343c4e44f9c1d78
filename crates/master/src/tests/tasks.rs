//! Tasks: their statuses pass through in order, are acknowledged, reconciled and forgotten.

use holdfast_model::{
    AgentId, Call, Event, ExecutorId, Order, Reason, Scalar, StatusUuid, TaskId, TaskState,
    ToMaster,
};
use uuid::Uuid;

use super::bed::*;

fn id(task: &str) -> TaskId {
    TaskId::made(task.to_owned())
}

fn reconcile(bed: &mut Bed, task: &str, agent: Option<AgentId>) -> Option<TaskState> {
    let before = bed.schedulers[0].statuses().len();
    bed.call(0, Call::Reconcile(vec![(id(task), agent)]));
    bed.schedulers[0].statuses().get(before).map(|it| it.state)
}

#[test]
fn e53_resources_are_free_as_soon_as_the_agent_knows_the_end() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.task_will_be(0, "t", TaskState::Killing);
    bed.task_will_be(0, "t", TaskState::Finished);
    bed.settle();
    assert_eq!(
        bed.schedulers[0].states("t"),
        [TaskState::Running, TaskState::Killing, TaskState::Killing],
        "one at a time: the oldest that is not acknowledged is told again"
    );
    assert_eq!(
        bed.offered(0).quantity("cpus"),
        Scalar::whole(8),
        "the status told again says that the task has ended since"
    );
}

#[test]
fn d34_the_end_is_forgotten_when_it_is_acknowledged_and_not_before() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.task_is(0, "t", TaskState::Finished);
    assert_eq!(bed.master.tasks().len(), 1);
    let agent = bed.agent(0);
    bed.call(0, Call::Acknowledge { agent, task: id("t"), status: StatusUuid(Uuid::nil()) });
    bed.settle();
    assert_eq!((bed.master.tasks().len(), bed.machines[0].tasks.len()), (1, 1), "e54");
    bed.acknowledge_last(0);
    assert_eq!((bed.master.tasks().len(), bed.machines[0].tasks.len()), (0, 0));
    assert_eq!(
        bed.master.belief.tasks.completed().map(|it| it.state).collect::<Vec<_>>(),
        [TaskState::Finished]
    );
}

#[test]
fn h42_what_a_task_was_before_is_remembered_also_when_its_agent_reports_again() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.task_is(0, "t", TaskState::Killing);
    bed.lose(0);
    bed.connect(0);
    bed.settle();
    let past = |bed: &Bed| -> Vec<TaskState> {
        let task = bed.master.tasks().values().next().expect("there is one");
        task.past.iter().map(|it| it.state).collect()
    };
    assert_eq!(past(&bed), [TaskState::Running]);
    bed.acknowledge_last(0);
    bed.task_is(0, "t", TaskState::Finished);
    assert_eq!(past(&bed), [TaskState::Running, TaskState::Killing]);
}

#[test]
fn d34_acknowledgements_for_agents_that_do_not_exist_do_nothing() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    let agent = AgentId::made("none".to_owned());
    bed.call(
        0,
        Call::Acknowledge { agent: agent.clone(), task: id("t"), status: StatusUuid(Uuid::nil()) },
    );
    bed.call(0, Call::Shutdown(ExecutorId::made("e".to_owned()), agent.clone()));
    bed.call(0, Call::Message(agent, ExecutorId::made("e".to_owned()), vec![1]));
    assert_eq!(bed.master.tasks().len(), 1);
}

#[test]
fn d31_kills_go_to_the_agent_that_has_the_task() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    let agent = Some(AgentId::made("wrong".to_owned()));
    bed.call(0, Call::Kill { task: id("t"), agent, grace_ms: Some(10) });
    bed.settle();
    assert_eq!(bed.schedulers[0].states("t").last(), Some(&TaskState::Killed));
}

#[test]
fn d33_messages_pass_both_ways() {
    let mut bed = Bed::usual();
    let executor = ExecutorId::made("e".to_owned());
    bed.call(0, Call::Message(bed.agent(0), executor.clone(), vec![1, 2]));
    bed.settle();
    let order = Order::ExecutorMessage(bed.id(0), executor.clone(), vec![1, 2]);
    assert_eq!(bed.machines[0].obeyed.last(), Some(&order));
    let framework = bed.id(0);
    bed.say(0, ToMaster::ExecutorMessage(framework, executor.clone(), vec![3]));
    assert_eq!(
        bed.schedulers[0].events.last(),
        Some(&Event::Message(bed.agent(0), executor, vec![3]))
    );
}

#[test]
fn f35_implicit_reconciliation_tells_of_all_that_live() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "runs");
    bed.run(0, 0, "ends");
    bed.task_is(0, "ends", TaskState::Finished);
    bed.pass_ms(100);
    bed.accept(0, vec![launch(&[task("new", &bed.agent(0), &[amount("cpus", 1)])])]);
    bed.schedulers[0].events.clear();
    bed.call(0, Call::Reconcile(Vec::new()));
    let answers = bed.schedulers[0].statuses();
    let states: Vec<_> = answers.iter().map(|it| (it.task.as_str(), it.state)).collect();
    assert_eq!(states, [("new", TaskState::Staging), ("runs", TaskState::Running)]);
    assert!(answers.iter().all(|it| it.uuid.is_none()
        && it.reason == Some(Reason::Reconciliation as i32)
        && it.agent.is_some()));
}

#[test]
fn f36_explicit_reconciliation_tells_the_status_that_is_on_its_way() {
    let mut bed = Bed::usual();
    bed.launch(0, "t", &[amount("cpus", 1)]);
    bed.task_will_be(0, "t", TaskState::Starting);
    bed.task_will_be(0, "t", TaskState::Running);
    bed.settle();
    assert_eq!(reconcile(&mut bed, "t", None), Some(TaskState::Starting));
    bed.connect(0);
    bed.settle();
    assert_eq!(
        reconcile(&mut bed, "t", None),
        Some(TaskState::Starting),
        "also after the agent has told everything again"
    );
    bed.acknowledge_last_named(0);
    assert_eq!(reconcile(&mut bed, "t", None), Some(TaskState::Running));
}

#[test]
fn f36_an_end_that_was_not_acknowledged_is_told_when_asked_for() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.task_is(0, "t", TaskState::Failed);
    assert_eq!(reconcile(&mut bed, "t", None), Some(TaskState::Failed));
}

#[test]
fn f36_unknown_tasks_are_answered_by_how_their_agent_is() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    assert_eq!(reconcile(&mut bed, "x", Some(agent.clone())), Some(TaskState::Gone));
    assert_eq!(reconcile(&mut bed, "x", None), Some(TaskState::Unknown));
    assert_eq!(
        reconcile(&mut bed, "x", Some(AgentId::made("none".to_owned()))),
        Some(TaskState::Unknown)
    );
    bed.lose(0);
    assert_eq!(reconcile(&mut bed, "x", Some(agent.clone())), None, "it may still say");
    bed.pass_ms(75_000);
    assert_eq!(reconcile(&mut bed, "x", Some(agent)), Some(TaskState::Unreachable));
    assert_eq!(
        bed.schedulers[0].statuses().pop().unwrap().unreachable.map(|it| it.0),
        Some(bed.now)
    );
}

#[test]
fn f36_a_new_leader_is_silent_while_an_agent_may_still_come() {
    let mut bed = Bed::with_agents(2);
    bed.add_scheduler(info("keeper", &["db"]));
    let agents = [bed.agent(0), bed.agent(1)];
    bed.fail_over();
    bed.subscribe(0);
    bed.connect(0);
    bed.settle();
    assert_eq!(reconcile(&mut bed, "x", None), None, "the other one may have it");
    assert_eq!(reconcile(&mut bed, "x", Some(agents[0].clone())), Some(TaskState::Gone));
    assert_eq!(reconcile(&mut bed, "x", Some(agents[1].clone())), None);
    bed.pass_ms(600_000);
    bed.settle();
    assert_eq!(reconcile(&mut bed, "x", None), Some(TaskState::Unknown));
    assert_eq!(reconcile(&mut bed, "x", Some(agents[1].clone())), Some(TaskState::Unreachable));
}

#[test]
fn a_task_that_its_agent_does_not_know_any_more_is_over() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.machines[0].tasks.clear();
    bed.call(0, Call::Kill { task: id("t"), agent: None, grace_ms: None });
    bed.settle();
    assert_eq!(bed.schedulers[0].states("t").last(), Some(&TaskState::Gone));
    assert!(
        bed.master.tasks().is_empty() && !bed.state(0).held().quantity("cpus").eq(&Scalar::ZERO)
    );
}

fn of_executor(bed: &Bed, id: &str) -> holdfast_model::TaskInfo {
    holdfast_model::TaskInfo {
        executor: Some(executor("e")),
        command: None,
        ..task(id, &bed.agent(0), &[amount("cpus", 1)])
    }
}

fn executor_ends(bed: &mut Bed) {
    let framework = bed.id(0);
    bed.machines[0].executor_ends(&framework, &ExecutorId::made("e".to_owned()));
}

#[test]
fn an_executor_that_ends_while_a_status_waits_takes_nobodys_offers() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![launch(&[of_executor(&bed, "t")])]);
    bed.task_is(0, "t", TaskState::Running); // Not acknowledged: its end will wait behind this.
    executor_ends(&mut bed);
    bed.settle();
    assert_eq!(bed.schedulers[0].rescinded(), 0);
    assert!(!bed.machines[0].obeyed.iter().any(|it| matches!(it, Order::Resync)));
    assert_eq!(bed.offered(0), plenty(), "what both used is free at once");
    bed.acknowledge_last(0);
    let states = bed.master.tasks().values().map(|it| it.state).collect::<Vec<_>>();
    assert_eq!((states, bed.offered(0)), (vec![TaskState::Failed], plenty()));
}

#[test]
fn what_never_reached_an_executor_begins_in_the_next_one_and_is_counted() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![launch(&[of_executor(&bed, "t")])]);
    bed.task_is(0, "t", TaskState::Running);
    bed.acknowledge_last(0);
    let (offers, operations) = (
        bed.schedulers[0].offers.keys().cloned().collect(),
        vec![launch(&[of_executor(&bed, "u")])],
    );
    executor_ends(&mut bed); // The agent has not heard of the second task then.
    bed.call(0, Call::Accept { offers, operations, filters: no_filter() });
    bed.settle();
    assert_eq!(bed.schedulers[0].rescinded(), 0);
    assert_eq!(bed.state(0).executors().len(), 1, "the new one");
    assert_eq!(bed.machines[0].executors.len(), 1);
    assert_eq!(bed.offered(0).quantity("cpus"), Scalar::whole(6), "of 8, it and its task use 2");
    bed.task_is(0, "u", TaskState::Running);
    bed.acknowledge_last(0);
    bed.acknowledge_last_named(0);
    executor_ends(&mut bed);
    bed.settle();
    bed.acknowledge_last(0);
    assert_eq!((bed.offered(0), bed.state(0).executors().len()), (plenty(), 0));
}

#[test]
fn the_newest_of_those_that_have_ended_are_remembered() {
    let mut bed = Bed::usual();
    for round in 0..crate::parts::tasks::COMPLETED_TASKS_MAX + 5 {
        let key = (bed.id(0), id(&format!("t{round}")));
        bed.launch_all(0, key.1.as_str(), &[amount("cpus", 1)]);
        bed.task_is(0, key.1.as_str(), TaskState::Finished);
        bed.acknowledge_last(0);
        bed.schedulers[0].events.clear();
        bed.effects.clear();
        bed.pass_ms(100);
    }
    assert_eq!(
        bed.master.belief.tasks.completed().count(),
        crate::parts::tasks::COMPLETED_TASKS_MAX
    );
    assert_eq!(bed.master.belief.tasks.completed().next().map(|it| it.id.clone()), Some(id("t5")));
    let timers = bed.master.belief.timers.all().count();
    assert!(timers < 10, "r4: {timers} timers");
}
