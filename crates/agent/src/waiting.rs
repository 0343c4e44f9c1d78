//! What waits for something that is under way: operations for the space of a volume on its way to the
//! trash or for a container that ends, launches for such operations.
//!
//! Operations that wait are in the ledger. Launches that wait are not; they are ended, with a status,
//! before any report that would not name them. News that the master has not asked for wait for them.

use holdfast_model::{OperationState, StepContext};

use crate::claims::Plan;
use crate::launch::Placing;
use crate::soft::TerminationReason;
use crate::Agent;

/// How many launches may wait for operations.
pub(crate) const DEFERRED_MAX: usize = 256;

impl Agent {
    /// Does the waiting operations that can be done now, and refuses those that never can.
    pub(crate) fn retry_operations(&mut self, ctx: &mut StepContext<'_>) {
        if self.soft.machine.is_none() {
            return;
        }
        for (uuid, by) in self.soft.waiting.clone() {
            let record = self
                .ledger
                .operations
                .get(&uuid)
                .filter(|it| it.state == OperationState::Pending)
                .cloned();
            let plan = self.claim_action(&uuid).map(|action| self.plan(action, uuid));
            let (Some(record), Some(plan)) = (record, plan) else {
                self.soft.waiting.retain(|(it, _)| *it != uuid);
                continue;
            };
            if plan == Plan::Wait {
                continue;
            }
            self.soft.waiting.retain(|(it, _)| *it != uuid);
            match plan {
                Plan::Do => self.carry_out(ctx, record, &by),
                Plan::Wait => {}
                Plan::Refuse(state, why) => self.settle_operation(ctx, record, state, Some(why)),
            }
        }
    }

    /// Launches what can be launched now, in order.
    pub(crate) fn retry_launches(&mut self, ctx: &mut StepContext<'_>) {
        let deferred = std::mem::take(&mut self.soft.deferred);
        for launch in deferred {
            match self.place(&launch) {
                Placing::Go => self.accept(ctx, launch),
                Placing::Defer => self.soft.deferred.push(launch),
                Placing::Refuse(termination) => self.refuse_launch(ctx, &launch, &termination),
            }
        }
    }

    /// Ends launches that wait, for those that `which` names.
    pub(crate) fn drop_launches(
        &mut self,
        ctx: &mut StepContext<'_>,
        termination: &TerminationReason,
        which: impl Fn(&crate::launch::Launch) -> bool,
    ) {
        let (named, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.soft.deferred).into_iter().partition(|it| which(it));
        self.soft.deferred = others;
        for launch in named {
            self.refuse_launch(ctx, &launch, termination);
        }
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
