//! Those that wait go on: who was woken by what has changed is asked again, in order, until nobody is awake.
//!
//! Relies on [`Waiting`] for who is woken by what. Never starts a container whose volumes are not all made, whole and free.

use holdfast_model::{ClaimState, ExecutorKey, Reason, TaskKey, TaskState};

use super::ending::{end_tasks, finish, End};
use super::launching::{accept, refuse_launch};
use super::placing::{place, Placing};
use super::settling::{carry_out, settle};
use crate::bookkeeping::claims::{plan, Plan};
use crate::bookkeeping::faults::claim_fault;
use crate::bookkeeping::holds::{holds, Hold};
use crate::bookkeeping::plans::container_plan;
use crate::bookkeeping::records::{claim_action, find_volume, live_tasks, uses};
use crate::bookkeeping::{topics, Step};
use crate::contract::Effect;
use crate::parts::{
    Containers, Disks, MasterLink, Phase, Tasks, TerminationReason, Topic, Waiter, Waiting,
};

/// What keeps a container from starting.
enum Obstacle {
    /// It will go away.
    Passing,
    /// It will not, for these tasks.
    Lasting(Vec<TaskKey>, TerminationReason),
}

/// Lets go on whatever waited for something that has changed.
pub(crate) fn go_on(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
) {
    let mut last = None;
    loop {
        waiting.wake(step.take_stirred());
        let Some(waiter) = waiting.next_woken(last.as_ref()) else { return };
        match &waiter {
            Waiter::Operation(number) => {
                retry_operation(step, disks, containers, master, waiting, *number)
            }
            Waiter::Launch(number) => {
                retry_launch(step, disks, containers, tasks, master, waiting, *number)
            }
            Waiter::Container(key) => {
                retry_container(step, disks, containers, tasks, master, waiting, key)
            }
        }
        last = Some(waiter);
    }
}

/// Does a waiting operation if it can be done now, and refuses it if it never can.
fn retry_operation(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    number: u64,
) {
    if disks.machine().is_none() {
        return; // The first look at the disks wakes it.
    }
    let (uuid, by) = waiting.operation(number);
    let operation =
        step.ledger().operations.get(&uuid).expect("what waits is written down").clone();
    let plan = plan(step, disks, containers, waiting, &operation);
    if plan == Plan::Wait {
        let action = claim_action(step.ledger(), uuid).expect("what waits acts on claims");
        let topics = topics::of_operation(step.ledger(), containers, action);
        return waiting.wait(Waiter::Operation(number), topics);
    }
    waiting.remove(&Waiter::Operation(number));
    step.stir(Topic::Claims); // What it would have taken or given is no longer to come.
    match plan {
        Plan::Do => carry_out(step, disks.volumes_mut(), master, operation, &by),
        Plan::Refuse(state, why) => settle(step, master, operation, state, Some(why)),
        Plan::Wait => {}
    }
}

/// Launches what waits, if it can be launched now.
fn retry_launch(
    step: &mut Step<'_>,
    disks: &Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    number: u64,
) {
    let waiter = Waiter::Launch(number);
    let launch = waiting.launch(number).clone();
    let placing = place(step, disks, containers, waiting, &launch);
    if placing == Placing::Defer {
        return waiting.wait(waiter, topics::of_launch(step.ledger(), containers, &launch));
    }
    waiting.remove(&waiter);
    match placing {
        Placing::Go => accept(step, containers, tasks, waiting, launch),
        Placing::Refuse(termination) => {
            refuse_launch(step, containers, tasks, master, &launch, &termination)
        }
        Placing::Defer => {}
    }
}

/// Starts a container if it can start now.
fn retry_container(
    step: &mut Step<'_>,
    disks: &Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    key: &ExecutorKey,
) {
    let waiter = Waiter::Container(key.clone());
    if containers.get(key).is_none_or(|it| it.phase() != Phase::Waiting) {
        return waiting.remove(&waiter); // It was ended before it began.
    }
    match obstacle(step, disks, containers, key) {
        None => {
            waiting.remove(&waiter);
            start_container(step, containers, tasks, master, key);
        }
        Some(Obstacle::Passing) => {
            waiting.wait(waiter, topics::of_container(step.ledger(), containers, key));
        }
        Some(Obstacle::Lasting(ended, termination)) => {
            // What is left of it, if anything, is asked again.
            waiting.wait(waiter, [Topic::Executor(key.clone())].into());
            end_tasks(step, containers, tasks, master, &ended, &termination);
            if live_tasks(step.ledger(), key).is_empty() {
                let end = End::never_ran(&termination.why);
                finish(step, containers, tasks, master, key, &end);
            }
        }
    }
}

fn obstacle(
    step: &Step<'_>,
    disks: &Disks,
    containers: &Containers,
    key: &ExecutorKey,
) -> Option<Obstacle> {
    let ledger = step.ledger();
    let executor = ledger.executors.get(key).expect("a container that waits has its executor");
    let tasks = live_tasks(ledger, key);
    let all = || tasks.iter().map(|it| it.key()).collect::<Vec<TaskKey>>();
    let mut passing = false;
    let resources =
        executor.info.resources.iter().chain(tasks.iter().flat_map(|it| &it.info.resources));
    for volume in resources.filter(|it| it.identity.persistence.is_some()) {
        let bare = volume.identity.unallocated();
        let of_executor = uses(&executor.info.resources, &bare);
        let users = tasks
            .iter()
            .filter(|it| of_executor || it.group.is_some() || uses(&it.info.resources, &bare));
        let users: Vec<TaskKey> = users.map(|it| it.key()).collect();
        let Some(claim) = find_volume(ledger, &volume.identity) else {
            let why = format!("{volume} could not be made");
            return Some(Obstacle::Lasting(
                users,
                TerminationReason::new(TaskState::Dropped, Reason::ResourcesUnknown, why),
            ));
        };
        if let Some(fault) = claim_fault(step, disks, claim) {
            let why = format!("{volume} cannot be used: {fault}");
            return Some(Obstacle::Lasting(
                users,
                TerminationReason::new(TaskState::Failed, Reason::ContainerLaunchFailed, why),
            ));
        }
        passing |= claim.state == ClaimState::Making;
        if !volume.identity.shared {
            for hold in holds(ledger, containers, claim, Some(key)) {
                match hold {
                    Hold::Ending => passing |= !step.config().is_planted("agent-hands-over-early"),
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
    if container_plan(ledger, containers, key).is_none() {
        let why = "the agent does not know its own name or the task's framework";
        return Some(Obstacle::Lasting(
            all(),
            TerminationReason::new(TaskState::Dropped, Reason::ResourcesUnknown, why),
        ));
    }
    passing.then_some(Obstacle::Passing)
}

fn start_container(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    key: &ExecutorKey,
) {
    if live_tasks(step.ledger(), key).is_empty() {
        let end = End::never_ran("it has no task");
        return finish(step, containers, tasks, master, key, &end);
    }
    let plan = container_plan(step.ledger(), containers, key)
        .expect("a container without a plan has an obstacle");
    containers.of_mut(key).set_phase(Phase::Starting);
    containers.mount(key, plan.volumes.iter().map(|it| it.label.claim));
    step.stir(Topic::Executor(key.clone()));
    step.push(Effect::StartContainer(Box::new(plan)));
}

/// Whoever waits and was not woken would only have to wait on: what it waits for is all that could have helped or ended it.
#[cfg(test)]
pub(crate) fn assert_nobody_could_go_on(
    step: &Step<'_>,
    disks: &Disks,
    containers: &Containers,
    waiting: &Waiting,
) {
    for waiter in waiting.all() {
        let waits = match &waiter {
            Waiter::Operation(number) => {
                let (uuid, _) = waiting.operation(*number);
                let operation = &step.ledger().operations[&uuid];
                disks.machine().is_none()
                    || plan(step, disks, containers, waiting, operation) == Plan::Wait
            }
            Waiter::Launch(number) => {
                let launch = waiting.launch(*number);
                place(step, disks, containers, waiting, launch) == Placing::Defer
            }
            Waiter::Container(key) => {
                matches!(obstacle(step, disks, containers, key), Some(Obstacle::Passing))
            }
        };
        assert!(waits, "{waiter:?} could go on, and was not woken");
    }
}

#[cfg(test)]
mod tests {
    use crate::testbed::{framework, reserved_disk, role, volume_named, Bed, DB_VOLUME};
    use crate::Input;
    use holdfast_model::{
        Action, ClaimAction, ClaimState, FrameworkId, FrameworkInfo, NamedOperation, Operation,
        OperationState, OperationUuid, Order, TaskState,
    };

    fn unreserve(mb: i64) -> Action {
        Action::Claim(ClaimAction::Unreserve(vec![reserved_disk(mb)]))
    }

    #[test]
    fn destroy_and_unreserve_in_one_accept_are_done_in_order() {
        let mut bed = Bed::registered();
        let before = bed.agent.total().clone();
        bed.reserve_and_create();
        let uuids = bed.apply(vec![Bed::destroy(&[bed.volume()]), unreserve(100)]);
        assert_eq!(bed.outcome(uuids[1]), None);
        bed.settle();
        assert_eq!(
            uuids.iter().map(|it| bed.outcome(*it)).collect::<Vec<_>>(),
            [Some(OperationState::Finished); 2]
        );
        assert_eq!((bed.agent.total(), bed.agent.ledger().claims.len()), (&before, 0));
    }

    #[test]
    fn what_waits_survives_a_crash() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.failures = 1;
        let uuids = bed.apply(vec![Bed::destroy(&[bed.volume()]), unreserve(100)]);
        bed.settle();
        bed.crash();
        bed.settle();
        assert_eq!(
            uuids.iter().map(|it| bed.outcome(*it)).collect::<Vec<_>>(),
            [Some(OperationState::Finished); 2]
        );
        assert!(bed.agent.ledger().claims.is_empty());
    }

    #[test]
    fn a_volume_replaced_in_one_accept_is_made_and_used_once_the_old_one_is_gone() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let new = volume_named("new", 100);
        bed.apply(vec![
            Bed::destroy(&[bed.volume()]),
            Bed::create(std::slice::from_ref(&new)),
            Action::Launch(vec![crate::testbed::task("t", &[new])]),
        ]);
        assert_eq!(bed.agent.status().waiting_launches, 1);
        bed.settle();
        assert_eq!(
            (bed.claim("new").state, bed.task_state("t")),
            (ClaimState::Ready, Some(TaskState::Running))
        );
    }

    #[test]
    fn a_launch_that_waits_is_ended_before_a_report_that_would_not_name_it() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let new = volume_named("new", 100);
        bed.apply(vec![
            Bed::destroy(&[bed.volume()]),
            Bed::create(std::slice::from_ref(&new)),
            Action::Launch(vec![crate::testbed::task("t", &[new])]),
        ]);
        bed.order(Order::Resync);
        assert_eq!(bed.reports().pop().unwrap().tasks[0].state, TaskState::Dropped);
        bed.settle();
        assert_eq!((bed.task_state("t"), bed.runs.len()), (Some(TaskState::Dropped), 0));
    }

    /// A launch waits for the volume that its ACCEPT replaces, and something changes that the master has not asked for.
    fn news_while_a_launch_waits(bed: &mut Bed) {
        bed.reserve_and_create();
        let new = volume_named("new", 100);
        bed.apply(vec![
            Bed::destroy(&[bed.volume()]),
            Bed::create(std::slice::from_ref(&new)),
            Action::Launch(vec![crate::testbed::task("t", &[new])]),
        ]);
        bed.seen.clear();
        bed.machine.disks[2].fault = Some("it is not mounted".to_owned());
        bed.input(Input::Opened(bed.machine.clone()));
        assert_eq!(
            (bed.agent.status().waiting_launches, bed.reports().len()),
            (1, 0),
            "a report would not name the launch"
        );
    }

    #[test]
    fn news_wait_for_the_launches_that_wait_and_end_none() {
        let mut bed = Bed::registered();
        news_while_a_launch_waits(&mut bed);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
        let report = bed.reports().remove(0);
        assert!(
            report.disks.iter().any(|it| it.fault.is_some()) && report.tasks.len() == 1,
            "{report:?}"
        );
    }

    #[test]
    fn news_wait_for_a_launch_no_longer_than_a_disk_is_not_looked_at() {
        let mut bed = Bed::registered();
        news_while_a_launch_waits(&mut bed);
        bed.pass_ms(crate::Config::default().disk_look_ms);
        let report = bed.reports().pop().unwrap();
        assert!(report.disks.iter().any(|it| it.fault.is_some()));
        assert_eq!(report.tasks[0].state, TaskState::Dropped);
        assert!(bed
            .last_status("t")
            .message
            .unwrap()
            .contains("when news for the master could wait no longer"));
    }

    #[test]
    fn news_that_wait_go_with_a_report_that_was_asked_for() {
        let mut bed = Bed::registered();
        news_while_a_launch_waits(&mut bed);
        bed.order(Order::Resync);
        assert_eq!((bed.reports().len(), bed.task_state("t")), (1, Some(TaskState::Dropped)));
        assert!(bed
            .last_status("t")
            .message
            .unwrap()
            .contains("when the master asked for a report"));
        bed.answers.clear();
        bed.pass_ms(crate::Config::default().disk_look_ms);
        assert_eq!(bed.reports().len(), 1);
    }

    #[test]
    fn another_frameworks_removal_ends_no_launch_that_waits() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let other = FrameworkId::made("f2".to_owned());
        let framework = Some(Box::new(FrameworkInfo { id: Some(other.clone()), ..framework() }));
        bed.acknowledges = false;
        let uuid = OperationUuid(uuid::Uuid::from_u128(77));
        let action = Action::Launch(vec![crate::testbed::task("o", &[volume_named("nowhere", 1)])]);
        let operations = vec![NamedOperation { uuid, operation: Operation { id: None, action } }];
        bed.order(Order::Apply {
            framework,
            role: Some(role()),
            by: "tester".to_owned(),
            operations,
            ownership: None,
        });
        bed.settle();
        let new = volume_named("new", 100);
        bed.apply(vec![
            Bed::destroy(&[bed.volume()]),
            Bed::create(std::slice::from_ref(&new)),
            Action::Launch(vec![crate::testbed::task("t", &[new])]),
        ]);
        bed.seen.clear();
        bed.order(Order::ShutdownFramework(other));
        assert_eq!((bed.agent.status().waiting_launches, bed.reports().len()), (1, 0));
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
        assert!(bed.reports()[0].tasks.iter().all(|it| it.info.id.as_str() == "t"));
    }

    #[test]
    fn a_launch_that_waits_can_be_killed() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let new = volume_named("new", 100);
        bed.apply(vec![
            Bed::destroy(&[bed.volume()]),
            Bed::create(std::slice::from_ref(&new)),
            Action::Launch(vec![crate::testbed::task("t", &[new])]),
        ]);
        let (framework, task) = crate::testbed::task_key("t");
        bed.order(Order::Kill { framework, task, grace_ms: None });
        bed.settle();
        assert_eq!((bed.states_told("t")[0], bed.runs.len()), (TaskState::Killed, 0));
    }

    #[test]
    fn a_destroy_right_after_its_create_waits_for_it() {
        let mut bed = Bed::registered();
        let uuids = bed.apply(vec![
            Bed::reserve(reserved_disk(100)),
            Bed::create(&[bed.volume()]),
            Bed::destroy(&[bed.volume()]),
        ]);
        bed.settle();
        assert_eq!(
            uuids.iter().map(|it| bed.outcome(*it)).collect::<Vec<_>>(),
            [Some(OperationState::Finished); 3]
        );
        assert!(bed.find_claim(DB_VOLUME).is_none() && bed.trash.len() == 1);
    }

    #[test]
    fn nothing_waits_for_what_will_never_come() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let uuids = bed.apply(vec![Bed::destroy(&[bed.volume()]), unreserve(101)]);
        assert_eq!(bed.outcome(uuids[1]), Some(OperationState::Failed));
    }
}
