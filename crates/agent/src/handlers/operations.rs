//! Operations that the master orders, each done on what the earlier ones left.
//!
//! Relies on `claims` for what may be done. Never does one twice.

use holdfast_model::{
    Action, AgentChange, FrameworkId, FrameworkInfo, NamedOperation, Operation, OperationRecord,
    OperationState, OperationUuid, Ownership, Role, StatusUuid,
};

use crate::bookkeeping::claims::{plan, Plan};
use crate::bookkeeping::telling::tell_operation;
use crate::bookkeeping::{topics, Step};
use crate::flows::launching::launch;
use crate::flows::settling::{carry_out, settle};
use crate::parts::{Alarm, Containers, Disks, Launch, MasterLink, Tasks, Topic, Waiting};

/// Operations that were ordered together, and for whom.
pub(crate) struct Ordered {
    pub(crate) framework: Option<Box<FrameworkInfo>>,
    pub(crate) role: Option<Role>,
    /// Who asked, for the history of claims.
    pub(crate) by: String,
    pub(crate) operations: Vec<NamedOperation>,
    /// Whose claims they may take from.
    pub(crate) ownership: Option<Ownership>,
}

pub(crate) fn apply(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    ordered: Ordered,
) {
    let Ordered { framework, role, by, operations, ownership } = ordered;
    let role = role.unwrap_or_else(Role::any);
    let owner = framework.as_ref().and_then(|it| it.id.clone());
    for NamedOperation { uuid, operation: Operation { id, action } } in operations {
        if !master.note_operation(uuid) || step.ledger().operations.contains_key(&uuid) {
            tell_operation(step, master, uuid); // It was done before; it is not done twice.
            continue;
        }
        let launches = match (action, &framework) {
            (Action::Claim(action), _) => {
                let bare = Action::Claim(action.map(|it| it.clone().unallocated()));
                let operation = pending(uuid, owner.clone(), Operation { id, action: bare });
                let operation = OperationRecord { ownership: ownership.clone(), ..operation };
                apply_claim(step, disks, containers, master, waiting, operation, &by);
                continue;
            }
            (Action::Launch(infos), Some(info)) => {
                let overhead = &step.config().command_overhead;
                infos.into_iter().map(|it| Launch::single(info, &role, it, overhead)).collect()
            }
            (Action::LaunchGroup(executor, infos), Some(info)) => {
                vec![Launch::group(info, &role, executor, infos, uuid.to_string())]
            }
            (Action::Launch(_) | Action::LaunchGroup(..), None) => {
                step.log("tasks of no framework are not launched");
                continue;
            }
            (Action::Unreadable(it), _) => {
                step.log(format!("a master sent what it could not read itself: {}", it.why));
                continue;
            }
            (Action::Unsupported(name), _) => {
                let why = format!("{name} is not supported by this agent");
                let operation = Operation { id, action: Action::Unsupported(name) };
                let operation = pending(uuid, owner.clone(), operation);
                settle(step, master, operation, OperationState::Error, Some(why));
                continue;
            }
        };
        for it in launches {
            launch(step, disks, containers, tasks, master, waiting, it);
        }
    }
}

fn apply_claim(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    operation: OperationRecord,
    by: &str,
) {
    let Action::Claim(action) = &operation.operation.action else {
        panic!("operation {} does not act on claims", operation.uuid)
    };
    match plan(step, disks, containers, waiting, &operation) {
        Plan::Do => carry_out(step, disks.volumes_mut(), master, operation, by),
        Plan::Wait if waiting.operations().len() < Waiting::OPERATIONS_MAX => {
            let topics = topics::of_operation(step.ledger(), containers, action);
            waiting.add_operation(operation.uuid, by.to_owned(), topics);
            step.commit(vec![AgentChange::Operation(operation)]);
            step.stir(Topic::Claims); // What it will take and give is to come.
        }
        Plan::Wait => {
            let max = Waiting::OPERATIONS_MAX;
            let why = format!("{max} operations wait already; try again later");
            settle(step, master, operation, OperationState::Failed, Some(why));
        }
        Plan::Refuse(state, why) => settle(step, master, operation, state, Some(why)),
    }
}

pub(crate) fn acknowledge_operation(step: &mut Step<'_>, uuid: OperationUuid, status: StatusUuid) {
    let settled = step.ledger().operations.get(&uuid).is_some_and(|it| it.status == Some(status));
    if settled {
        step.alarms_mut().clear(&Alarm::Operation(uuid));
        step.commit(vec![AgentChange::OperationGone(uuid)]);
    }
}

/// An operation of which nothing is done yet.
pub(crate) fn pending(
    uuid: OperationUuid,
    framework: Option<FrameworkId>,
    operation: Operation,
) -> OperationRecord {
    OperationRecord {
        uuid,
        framework,
        operation,
        state: OperationState::Pending,
        message: None,
        status: None,
        claims: Vec::new(),
        endings: Vec::new(),
        making: Vec::new(),
        ownership: Some(Ownership::default()),
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::{amount, reservation, reserved_disk, volume_named, Bed, DB_VOLUME};
    use crate::Input;
    use holdfast_model::{
        Action, ClaimAction, ClaimState, OperationState, Order, Resource, StatusUuid, TaskState,
        ToMaster,
    };

    #[test]
    fn reserve_and_create_are_written_down_then_done_then_told() {
        let mut bed = Bed::registered();
        let uuids = bed.apply(vec![Bed::reserve(reserved_disk(100)), Bed::create(&[bed.volume()])]);
        assert_eq!(bed.outcome(uuids[0]), Some(OperationState::Finished));
        assert_eq!(bed.outcome(uuids[1]), None, "the directory is not made yet");
        assert_eq!(bed.claim(DB_VOLUME).state, ClaimState::Making);
        bed.settle();
        assert_eq!(bed.outcome(uuids[1]), Some(OperationState::Finished));
        let update = bed.operations.pop().unwrap();
        assert_eq!(update.claims.len(), 2, "the reservation and the volume");
        assert_eq!(update.ledger_version, bed.agent.ledger().identity.version);
        let told = bed.seen.iter().position(|it| matches!(it, Effect::ToMaster(_, ToMaster::OperationUpdate(it)) if it.uuid == uuids[1]));
        let commits =
            bed.seen.iter().enumerate().filter(|(_, it)| matches!(it, Effect::Commit { .. }));
        assert!(commits.map(|(at, _)| at).max() < told);
    }

    #[test]
    fn an_operation_is_told_until_it_is_acknowledged() {
        let mut bed = Bed::registered();
        let uuid = bed.apply(vec![Bed::reserve(reserved_disk(10))])[0];
        for ms in [10_000, 20_000, 40_000] {
            let told = bed.operations.len();
            bed.pass_ms(ms - 1);
            assert_eq!(bed.operations.len(), told);
            bed.pass_ms(1);
            assert_eq!(bed.operations.len(), told + 1);
        }
        bed.order(Order::AcknowledgeOperation(uuid, StatusUuid(uuid::Uuid::nil())));
        assert_eq!(
            bed.agent.ledger().operations.len(),
            1,
            "another status's name acknowledges nothing"
        );
        let status = bed.operations[0].status;
        bed.order(Order::AcknowledgeOperation(uuid, status));
        assert!(bed.agent.ledger().operations.is_empty());
        assert_eq!(bed.next_deadline(), None);
    }

    #[test]
    fn an_order_that_comes_twice_is_done_once() {
        let mut bed = Bed::registered();
        let uuid = bed.apply(vec![Bed::reserve(reserved_disk(10))])[0];
        let order = bed.agent.ledger().operations[&uuid].operation.clone();
        let again = |bed: &mut Bed| {
            let operations =
                vec![holdfast_model::NamedOperation { uuid, operation: order.clone() }];
            bed.order(Order::Apply {
                framework: None,
                role: None,
                by: "x".to_owned(),
                operations,
                ownership: None,
            });
        };
        let before = bed.agent.ledger().clone();
        again(&mut bed);
        assert_eq!(
            (bed.operations.len(), bed.agent.ledger()),
            (2, &before),
            "its outcome is told again"
        );
        bed.order(Order::AcknowledgeOperation(uuid, bed.operations[0].status));
        let before = bed.agent.ledger().clone();
        again(&mut bed);
        assert_eq!(bed.agent.ledger(), &before);
    }

    #[test]
    fn what_does_not_apply_is_refused_with_a_reason_and_later_ones_are_still_tried() {
        let mut bed = Bed::registered();
        let uuids = bed.apply(vec![
            Bed::reserve(reserved_disk(5000)),
            Bed::create(&[volume_named("x", 10)]),
            Action::Claim(ClaimAction::Unreserve(Vec::new())),
            Action::Unsupported("CREATE_DISK"),
            Bed::reserve(reserved_disk(10)),
        ]);
        let outcomes: Vec<_> = uuids.iter().map(|it| bed.outcome(*it).unwrap()).collect();
        use OperationState::{Error, Failed, Finished};
        assert_eq!(outcomes, [Failed, Failed, Error, Error, Finished]);
        assert!(bed.operations[0].message.as_ref().unwrap().contains("not available"));
        assert_eq!(bed.agent.ledger().claims.len(), 1);
    }

    #[test]
    fn unreserve_gives_back_what_was_reserved() {
        let mut bed = Bed::registered();
        let before = bed.agent.total().clone();
        bed.apply(vec![
            Bed::reserve(reserved_disk(100)),
            Bed::reserve(amount("cpus", 2).reserved(reservation())),
        ]);
        assert_eq!(bed.agent.ledger().claims.len(), 2);
        let list = vec![reserved_disk(100), amount("cpus", 2).reserved(reservation())];
        let uuid = bed.apply(vec![Action::Claim(ClaimAction::Unreserve(list))])[0];
        assert_eq!(bed.outcome(uuid), Some(OperationState::Finished));
        assert_eq!(bed.operations.last().unwrap().ended.len(), 2);
        assert_eq!((bed.agent.total(), bed.agent.ledger().claims.len()), (&before, 0));
    }

    #[test]
    fn before_the_disks_are_open_nothing_is_claimed() {
        let mut bed = Bed::fresh();
        bed.start();
        bed.link(1);
        bed.welcome();
        let uuid = bed.apply(vec![Bed::reserve(reserved_disk(10))])[0];
        assert_eq!(bed.outcome(uuid), Some(OperationState::Failed));
        bed.launch_command("t", &[]);
        assert_eq!(bed.task_state("t"), Some(TaskState::Dropped));
    }

    #[test]
    fn a_full_agent_gives_back_and_takes_nothing_new_until_there_is_room() {
        let mut bed = Bed::registered();
        bed.apply(vec![Bed::reserve(reserved_disk(10))]);
        bed.input(Input::Room(Some("the file system is nearly full".to_owned())));
        let give = Action::Claim(ClaimAction::Unreserve(vec![reserved_disk(10)]));
        let uuids = bed.apply(vec![
            Bed::reserve(reserved_disk(20)),
            Bed::create(&[volume_named("x", 10)]),
            give,
        ]);
        let outcomes: Vec<_> = uuids.iter().map(|it| bed.outcome(*it).unwrap()).collect();
        use OperationState::{Failed, Finished};
        assert_eq!(outcomes, [Failed, Failed, Finished]);
        assert!(bed.operations[1].message.as_ref().unwrap().contains("nearly full"));
        bed.input(Input::Room(None));
        let uuid = bed.apply(vec![Bed::reserve(reserved_disk(20))])[0];
        assert_eq!(bed.outcome(uuid), Some(Finished));
    }

    #[test]
    fn a_volume_name_is_taken_also_by_a_volume_that_cannot_be_used() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.apply(vec![Bed::reserve(reserved_disk(100))]);
        // The machine shrinks: the volume does not fit any more, and is not forgotten for it.
        let shrunk = |it: Resource| {
            if it.identity.source.is_some() && it.identity.name == "disk" {
                amount("disk", 10).on(it.identity.source.clone().unwrap())
            } else {
                it
            }
        };
        bed.machine.info.resources = bed.machine.info.resources.iter().map(shrunk).collect();
        bed.input(Input::Opened(bed.machine.clone()));
        bed.settle();
        assert!(bed.agent.faults().iter().any(|(_, why)| why.contains("no longer fits")));
        let uuid = bed.apply(vec![Bed::create(&[volume_named(DB_VOLUME, 5)])])[0];
        assert_eq!(bed.outcome(uuid), Some(OperationState::Failed));
        assert!(bed
            .operations
            .last()
            .unwrap()
            .message
            .as_ref()
            .unwrap()
            .contains("already has a volume"));
    }

    #[test]
    fn an_outcome_that_a_report_called_pending_is_followed_by_a_report() {
        let mut bed = Bed::registered();
        bed.apply(vec![Bed::reserve(reserved_disk(100)), Bed::create(&[bed.volume()])]);
        bed.order(Order::Resync);
        let reports = bed.reports().len();
        bed.settle();
        assert_eq!(bed.reports().len(), reports + 1);
        assert!(bed
            .reports()
            .pop()
            .unwrap()
            .operations
            .iter()
            .all(|it| it.state == OperationState::Finished));
    }

    #[test]
    fn an_operators_order_works_without_a_framework() {
        let mut bed = Bed::registered();
        let operation =
            holdfast_model::Operation { id: None, action: Bed::reserve(reserved_disk(10)) };
        let uuid = holdfast_model::OperationUuid(uuid::Uuid::from_u128(77));
        let operations = vec![holdfast_model::NamedOperation { uuid, operation }];
        bed.order(Order::Apply {
            framework: None,
            role: None,
            by: "ops".to_owned(),
            operations,
            ownership: None,
        });
        assert_eq!(bed.outcome(uuid), Some(OperationState::Finished));
        let claim = bed.agent.ledger().claims.values().next().unwrap();
        assert_eq!((claim.framework.clone(), claim.history[0].by.as_str()), (None, "ops"));
    }
}
