//! Operations on claims: RESERVE, UNRESERVE, CREATE, DESTROY. Each is written down before its work
//! begins and again when it is done, and told until the telling is acknowledged.
//!
//! Relies on `claims` for what may be done. Never says FINISHED before the bytes are where they belong.

use holdfast_model::{
    Action, AgentChange, Claim, ClaimAction, ClaimId, ClaimState, FrameworkId, FrameworkInfo,
    NamedOperation, Operation, OperationRecord, OperationState, OperationUpdate, OperationUuid,
    Role, StatusUuid, StepContext, ToMaster,
};

use crate::alarms::Alarm;
use crate::claims::{label, Plan};
use crate::launch::Launch;
use crate::step::Effect;
use crate::Agent;

/// How many operations may wait for others.
const WAITING_MAX: usize = 1024;

impl Agent {
    /// Does operations in order, each on what the earlier ones left.
    pub(crate) fn apply(
        &mut self,
        ctx: &mut StepContext<'_>,
        framework: Option<Box<FrameworkInfo>>,
        role: Option<Role>,
        by: String,
        operations: Vec<NamedOperation>,
    ) {
        let role = role.unwrap_or_else(Role::any);
        for NamedOperation { uuid, operation } in operations {
            if !self.soft.note_operation(uuid) || self.ledger.operations.contains_key(&uuid) {
                self.tell_operation(ctx, uuid); // It was done before; it is not done twice.
                continue;
            }
            let owner = framework.as_ref().and_then(|it| it.id.clone());
            match (operation.action, &framework) {
                (Action::Claim(action), _) => {
                    self.apply_claim(ctx, uuid, owner, operation.id, action, &by)
                }
                (Action::Launch(tasks), Some(info)) => {
                    for task in tasks {
                        self.launch(
                            ctx,
                            Launch::single(info, &role, task, &self.config.command_overhead),
                        );
                    }
                }
                (Action::LaunchGroup(executor, tasks), Some(info)) => {
                    self.launch(ctx, Launch::group(info, &role, executor, tasks, uuid.to_string()));
                }
                (Action::Launch(_) | Action::LaunchGroup(..), None) => {
                    self.log("tasks of no framework are not launched")
                }
                (Action::Unreadable(it), _) => {
                    self.log(format!("a master sent what it could not read itself: {}", it.why))
                }
                (Action::Unsupported(name), _) => {
                    let action = Action::Unsupported(name);
                    let record = pending(uuid, owner, Operation { id: operation.id, action });
                    self.settle_operation(
                        ctx,
                        record,
                        OperationState::Error,
                        Some(format!("{name} is not supported by this agent")),
                    );
                }
            }
        }
    }

    fn apply_claim(
        &mut self,
        ctx: &mut StepContext<'_>,
        uuid: OperationUuid,
        framework: Option<FrameworkId>,
        id: Option<String>,
        action: ClaimAction,
        by: &str,
    ) {
        let bare = action.map(|it| it.clone().unallocated());
        let plan = self.plan(&bare, uuid);
        let record = pending(uuid, framework, Operation { id, action: Action::Claim(bare) });
        match plan {
            Plan::Do => self.carry_out(ctx, record, by),
            Plan::Wait if self.soft.waiting.len() < WAITING_MAX => {
                self.soft.waiting.push((uuid, by.to_owned()));
                self.commit(vec![AgentChange::Operation(record)]);
            }
            Plan::Wait => {
                let why = format!("{WAITING_MAX} operations wait already; try again later");
                self.settle_operation(ctx, record, OperationState::Failed, Some(why));
            }
            Plan::Refuse(state, why) => self.settle_operation(ctx, record, state, Some(why)),
        }
    }

    /// Does an operation that was found to apply.
    pub(crate) fn carry_out(
        &mut self,
        ctx: &mut StepContext<'_>,
        mut record: OperationRecord,
        by: &str,
    ) {
        let Action::Claim(action) = record.operation.action.clone() else { return };
        let mut changes = self.changes(ctx, &action, record.framework.as_ref(), by);
        if let ClaimAction::Destroy(_) = action {
            changes.kept.retain(Claim::is_volume); // Space is given back when the bytes are in the trash.
        }
        record.claims =
            changes.kept.iter().map(|it| it.id).chain(changes.ended.iter().copied()).collect();
        let work: Vec<Effect> = changes.kept.iter().filter_map(work_on).collect();
        let mut batch: Vec<AgentChange> =
            changes.kept.into_iter().map(AgentChange::Claim).collect();
        batch.extend(changes.ended.into_iter().map(AgentChange::ClaimGone));
        self.commit(batch);
        match action {
            ClaimAction::Reserve { .. } | ClaimAction::Unreserve(_) => {
                self.settle_operation(ctx, record, OperationState::Finished, None);
            }
            ClaimAction::Create(_) | ClaimAction::Destroy(_) => {
                let made = work.iter().filter_map(|it| match it {
                    Effect::MakeVolume(label) => Some(label.claim),
                    _ => None,
                });
                self.soft.making.extend(made);
                self.commit(vec![AgentChange::Operation(record)]);
                self.effects.extend(work);
            }
        }
    }

    /// Writes an outcome down, then tells it.
    pub(crate) fn settle_operation(
        &mut self,
        ctx: &mut StepContext<'_>,
        record: OperationRecord,
        state: OperationState,
        message: Option<String>,
    ) {
        let uuid = record.uuid;
        let status = Some(StatusUuid(ctx.ids.fresh()));
        self.commit(vec![AgentChange::Operation(OperationRecord {
            state,
            message,
            status,
            ..record
        })]);
        self.tell_operation(ctx, uuid);
        if self.soft.reported_pending.remove(&uuid) {
            self.report_news(ctx); // The master was told how things were before; now they are otherwise.
        }
    }

    /// Tells the outcome of a settled operation, now and again until it is acknowledged.
    pub(crate) fn tell_operation(&mut self, ctx: &mut StepContext<'_>, uuid: OperationUuid) {
        let Some(record) = self.ledger.operations.get(&uuid) else { return };
        let Some(status) = record.status else { return };
        let update = OperationUpdate {
            uuid,
            id: record.operation.id.clone(),
            framework: record.framework.clone(),
            state: record.state,
            message: record.message.clone(),
            status,
            ledger_version: self.ledger.identity.version,
            claims: record
                .claims
                .iter()
                .filter_map(|id| self.ledger.claims.get(id).cloned())
                .collect(),
            ended: record
                .claims
                .iter()
                .filter(|id| !self.ledger.claims.contains_key(id))
                .copied()
                .collect(),
        };
        if self.tell_master(ToMaster::OperationUpdate(update)) {
            let (min_ms, max_ms) =
                (self.config.update_retry_min_ms, self.config.update_retry_max_ms);
            self.soft.alarms.retry(Alarm::Operation(uuid), ctx.now, min_ms, max_ms);
        }
    }

    pub(crate) fn acknowledge_operation(&mut self, uuid: OperationUuid, status: StatusUuid) {
        let settled = self.ledger.operations.get(&uuid).is_some_and(|it| it.status == Some(status));
        if settled {
            self.soft.alarms.clear(&Alarm::Operation(uuid));
            self.commit(vec![AgentChange::OperationGone(uuid)]);
        }
    }

    /// The unsettled operation that makes or destroys a volume.
    pub(crate) fn operation_on(&self, claim: ClaimId) -> Option<OperationRecord> {
        let unsettled = |it: &&OperationRecord| {
            it.state == OperationState::Pending && it.claims.contains(&claim)
        };
        self.ledger.operations.values().find(unsettled).cloned()
    }
}

fn pending(
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
    }
}

fn work_on(claim: &Claim) -> Option<Effect> {
    match claim.state {
        ClaimState::Making => label(claim).map(Effect::MakeVolume),
        ClaimState::Destroying => label(claim).map(Effect::TrashVolume),
        ClaimState::Ready => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::step::Effect;
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
        let commits = bed.seen.iter().enumerate().filter(|(_, it)| matches!(it, Effect::Commit(_)));
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
            bed.order(Order::Apply { framework: None, role: None, by: "x".to_owned(), operations });
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
            Action::Unsupported("GROW_VOLUME"),
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
        bed.order(Order::Apply { framework: None, role: None, by: "ops".to_owned(), operations });
        assert_eq!(bed.outcome(uuid), Some(OperationState::Finished));
        let claim = bed.agent.ledger().claims.values().next().unwrap();
        assert_eq!((claim.framework.clone(), claim.history[0].by.as_str()), (None, "ops"));
    }
}
