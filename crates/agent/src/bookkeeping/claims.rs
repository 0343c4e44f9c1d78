//! What operations may do to the agent's claims: planned on what is there now, without changing anything.
//!
//! Relies on `holdfast_model::claim` and `holdfast_model::operation`, which are the law. Never gives a
//! volume's space back before its bytes are in the trash.

use holdfast_model::claim::taken;
use holdfast_model::{
    Action, AgentLedger, Asker, Claim, ClaimAction, ClaimState, FrameworkId, Identity,
    OperationRecord, OperationState, OperationUuid, Ownership, Resource, Resources, TaskInfo,
};

use super::faults::{claim_fault, disk_fault};
use super::holds::{holds, Hold};
use super::records::{claim_action, disk_of, find_volume, uses};
use super::Record;
use crate::parts::{Containers, Disks, Waiting};

/// Whether an operation can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Now.
    Do,
    /// Once something that is under way has ended.
    Wait,
    /// Not at all.
    Refuse(OperationState, String),
}

/// Whether an operation on claims (without allocations) can be done; it may be one of those that wait already.
pub(crate) fn plan(
    record: &Record,
    disks: &Disks,
    containers: &Containers,
    waiting: &Waiting,
    operation: &OperationRecord,
) -> Plan {
    let Action::Claim(action) = &operation.operation.action else {
        panic!("operation {} does not act on claims", operation.uuid)
    };
    if let Err(invalid) = action.check(Asker::Operator { principal: None }) {
        return Plan::Refuse(OperationState::Error, invalid.to_string());
    }
    if disks.machine().is_none() {
        return Plan::Refuse(
            OperationState::Failed,
            "the agent has not opened its disks yet; try again".to_owned(),
        );
    }
    let gives = matches!(
        action,
        ClaimAction::Unreserve(_) | ClaimAction::Destroy(_) | ClaimAction::Shrink { .. }
    );
    if let Some(why) = disks.full().filter(|_| !gives) {
        return Plan::Refuse(OperationState::Failed, why.clone());
    }
    if let Some(why) = disks_forbid(record, disks, action) {
        return Plan::Refuse(OperationState::Failed, why);
    }
    match action.check_on(record.totals().total()) {
        Ok(_) if matches!(action, ClaimAction::Together(_)) => {
            let why = "changes that are made together are ordered as such";
            Plan::Refuse(OperationState::Error, why.to_owned())
        }
        Ok(_) => match holders_forbid(record, operation, action) {
            Some(plan) => plan,
            None => plan_on_volumes(record, disks, (containers, waiting), operation.uuid, action),
        },
        Err(_) if comes_true(record, waiting, operation.uuid, action) => Plan::Wait,
        Err(invalid) => Plan::Refuse(OperationState::Failed, invalid.to_string()),
    }
}

/// Whether there will be enough of everything when all that is under way has ended well.
fn comes_true(
    record: &Record,
    waiting: &Waiting,
    uuid: OperationUuid,
    action: &ClaimAction,
) -> bool {
    action.check_on(&future_total(record, waiting, Some(uuid))).is_ok()
}

/// What another framework holds is not taken away. Who is about to get back what is its own waits for that.
fn holders_forbid(
    record: &Record,
    operation: &OperationRecord,
    action: &ClaimAction,
) -> Option<Plan> {
    let ledger = record.ledger();
    let ownership = operation.ownership.clone().unwrap_or_else(Ownership::unsaid);
    let asker = operation.framework.as_ref();
    let claims_with = |identity: &Identity| ledger.claims_with(identity).cloned().collect();
    let (_, refusal) = taken(action, asker, &ownership, &claims_with).err()?;
    let consumed = action.conversion().consumed;
    let gives = |maker: Option<&FrameworkId>| {
        maker == asker || maker.is_none_or(|it| ownership.removed.contains(it))
    };
    let comes_back = |it: &Claim| {
        it.state == ClaimState::Destroying
            && consumed.get(&it.resource.without_volume().identity).is_some()
            && it.all_shares().iter().any(|share| gives(share.framework.as_ref()))
    };
    if ledger.claims.values().any(comes_back) {
        return Some(Plan::Wait);
    }
    let name = |id: &FrameworkId| match ledger.frameworks.get(id) {
        Some(info) => format!("`{}` ({id})", info.name),
        None => id.to_string(),
    };
    Some(Plan::Refuse(OperationState::Failed, refusal.why(action, &name)))
}

/// Ill disks get no new claims and lose none; names are unique also among claims that cannot be used now.
fn disks_forbid(record: &Record, disks: &Disks, action: &ClaimAction) -> Option<String> {
    let ledger = record.ledger();
    for resource in action.resources() {
        let disk = disk_of(ledger, &resource.identity);
        let fault = disk.and_then(|it| disk_fault(record, disks, it));
        match action {
            ClaimAction::Unreserve(_) => continue,
            ClaimAction::Create(_) if disk.is_none() => {
                return Some(format!(
                    "{resource}: there is no such disk on this agent; see its disks"
                ));
            }
            ClaimAction::Create(_) if is_name_taken(ledger, &resource.identity) => {
                return Some(format!("{resource}: the role already has a volume of this name on this agent; choose another id"));
            }
            ClaimAction::Reserve { .. }
            | ClaimAction::Create(_)
            | ClaimAction::Destroy(_)
            | ClaimAction::Grow { .. }
            | ClaimAction::Shrink { .. }
            | ClaimAction::Together(_) => {}
        }
        if let Some(fault) = fault {
            return Some(format!("{resource}: its disk cannot be used: {fault}"));
        }
    }
    None
}

fn is_name_taken(ledger: &AgentLedger, identity: &Identity) -> bool {
    let Some(id) = identity.persistence.clone() else { return false };
    ledger.volumes_named(identity.role(), id).any(|it| it.state != ClaimState::Destroying)
}

/// Volumes that are given up or resized have to be there, and whole. One that gives space back has to be in nobody's use.
fn plan_on_volumes(
    record: &Record,
    disks: &Disks,
    (containers, waiting): (&Containers, &Waiting),
    operation: OperationUuid,
    action: &ClaimAction,
) -> Plan {
    let ledger = record.ledger();
    // One that waits came before the launches that wait, and they may be on what comes after it.
    let is_new = waiting.operations().all(|it| it != operation);
    let refuse = |why: String| Plan::Refuse(OperationState::Failed, why);
    let mut plan = Plan::Do;
    for volume in action.volumes_touched() {
        let Some(claim) = find_volume(ledger, &volume.identity) else {
            return refuse(format!("there is no volume {volume} on this agent; see its claims"));
        };
        if claim.state == ClaimState::Making {
            plan = Plan::Wait;
        }
        if let Some(why) = cannot_be_resized(record, disks, claim, action) {
            return refuse(why);
        }
        if let ClaimAction::Grow { .. } = action {
            continue; // Whoever uses it has more room.
        }
        let (mut users, mut is_ending) = (Vec::new(), false);
        for hold in holds(ledger, containers, claim, None) {
            match hold {
                Hold::Live(by) => users.push(by),
                Hold::Ending => is_ending = true,
            }
        }
        if is_new {
            users.extend(launches_on(waiting, volume));
        }
        if !users.is_empty() {
            let users = users.join(", ");
            return refuse(format!("{volume} is in use by {users}; end it first"));
        }
        if is_ending {
            plan = Plan::Wait;
        }
    }
    plan
}

/// The tasks that wait to be launched on a shared volume. (Of another, its offer was used up by them.)
fn launches_on<'a>(
    waiting: &'a Waiting,
    volume: &'a Resource,
) -> impl Iterator<Item = String> + 'a {
    let tasks = waiting.launches().flat_map(|it| it.tasks.iter().map(|task| (it.owner(), task)));
    let on = |task: &TaskInfo| uses(&task.resources, &volume.identity);
    let tasks = tasks.filter(move |(_, it)| volume.identity.shared && on(it));
    tasks.map(|(owner, it)| format!("task `{}` of framework {owner}", it.id))
}

/// Why a volume cannot get the size that is asked for.
fn cannot_be_resized(
    record: &Record,
    disks: &Disks,
    claim: &Claim,
    action: &ClaimAction,
) -> Option<String> {
    let volume = &claim.resource;
    match action {
        ClaimAction::Grow { .. } | ClaimAction::Shrink { .. } => {}
        _ => return None,
    }
    if let Some(fault) = claim_fault(record, disks, claim) {
        return Some(format!("{volume} cannot be used now: {fault}"));
    }
    if disks.is_image(claim.id) {
        return Some(format!("{volume} is an image of fixed size, which is not resized; create another volume and copy its data"));
    }
    let ClaimAction::Shrink { subtract, .. } = action else { return None };
    let left = volume.value.quantity().minus(*subtract);
    let used = disks.used_by(claim).filter(|used| left < *used)?;
    Some(format!(
        "{volume} uses {used} MB, as last measured, and {left} MB would be left of it; remove data first, or shrink it by less"
    ))
}

/// What the total will be when all that is under way has ended well.
pub(crate) fn future_total(
    record: &Record,
    waiting: &Waiting,
    except: Option<OperationUuid>,
) -> Resources {
    let ledger = record.ledger();
    let mut future = record.totals().total().clone();
    for claim in ledger.claims.values().filter(|it| it.state == ClaimState::Destroying) {
        future.add(&claim.resource.without_volume());
    }
    let others = waiting.operations().filter(|it| Some(*it) != except);
    let mut others: Vec<&ClaimAction> = others.filter_map(|it| claim_action(ledger, it)).collect();
    loop {
        let before = others.len();
        others.retain(|action| action.apply(&mut future).is_err());
        if others.len() == before {
            return future;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::{reserved_disk, task_key, volume_named, Bed, DB_VOLUME};
    use crate::Input;
    use holdfast_model::{
        Action, ClaimAction, ClaimState, FrameworkId, FrameworkInfo, IdSource, NamedOperation,
        Operation, OperationState, OperationUuid, Order, Ownership, Resource, Scalar, TaskState,
        VolumeLimit,
    };
    use OperationState::{Failed, Finished};

    fn why(bed: &Bed) -> String {
        bed.operations.last().unwrap().message.clone().unwrap_or_default()
    }

    fn sized(mb: i64) -> Resource {
        volume_named(DB_VOLUME, mb)
    }

    /// The disk with the volume was measured, and the volume uses so much.
    fn measured(bed: &mut Bed, used_mb: u64) {
        let volume = bed.claim(DB_VOLUME).id;
        bed.measured(VolumeLimit::None, &[(volume, used_mb)]);
        bed.settle();
    }

    #[test]
    fn a_volume_is_resized_durably_and_at_once() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let before = bed.claim(DB_VOLUME);
        let total = bed.agent.total().clone();
        let uuid = bed.apply(vec![Bed::grow(sized(60), 30)])[0];
        assert_eq!(bed.outcome(uuid), Some(Finished));
        let grown = bed.claim(DB_VOLUME);
        assert_eq!(
            (grown.id, grown.state, grown.disk),
            (before.id, ClaimState::Ready, before.disk)
        );
        assert_eq!(grown.generation, before.generation + 1);
        assert_eq!(
            (grown.resource, grown.history.last().unwrap().what.as_str()),
            (sized(90), "grown")
        );
        let told = bed.operations.last().unwrap();
        assert_eq!(told.claims.len() + told.ended.len(), 2, "the volume and its reservation");
        let uuid = bed.apply(vec![Bed::shrink(sized(90), 30)])[0];
        assert_eq!((bed.outcome(uuid), bed.agent.total()), (Some(Finished), &total));
        let sizes: Vec<u64> = bed
            .seen
            .iter()
            .filter_map(
                |it| if let Effect::ResizeVolume(it) = it { Some(it.size_mb) } else { None },
            )
            .collect();
        assert_eq!(sizes, [90, 60], "whoever keeps room for it or holds it to its size is told");
    }

    #[test]
    fn what_is_not_there_any_more_is_refused_and_says_what_is() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        for (action, word) in [
            (Bed::grow(sized(50), 10), "has 60 MB now, not 50 MB"),
            (Bed::grow(sized(60), 5_000), "not available"),
            (Bed::shrink(volume_named("other", 10), 5), "not available"),
        ] {
            let uuid = bed.apply(vec![action])[0];
            assert_eq!(bed.outcome(uuid), Some(Failed), "{word}");
            assert!(why(&bed).contains(word), "{word}: {}", why(&bed));
        }
        assert_eq!(bed.claim(DB_VOLUME).resource, sized(60));
    }

    #[test]
    fn j39_a_volume_grows_under_its_task_and_shrinks_when_that_has_ended() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.launch_command("t", &[sized(60)]);
        bed.settle();
        let uuid = bed.apply(vec![Bed::grow(sized(60), 30)])[0];
        assert_eq!(bed.outcome(uuid), Some(Finished));
        let uuid = bed.apply(vec![Bed::shrink(sized(90), 30)])[0];
        assert_eq!(bed.outcome(uuid), Some(Failed));
        assert!(why(&bed).contains("in use by task `t`"), "{}", why(&bed));
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
        let (framework, task) = task_key("t");
        bed.order(Order::Kill { framework, task, grace_ms: Some(0) });
        bed.settle();
        let uuid = bed.apply(vec![Bed::shrink(sized(90), 30)])[0];
        bed.settle();
        assert_eq!(bed.outcome(uuid), Some(Finished), "{}", why(&bed));
    }

    #[test]
    fn a_volume_does_not_shrink_below_what_it_uses() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        measured(&mut bed, 45);
        let uuid = bed.apply(vec![Bed::shrink(sized(60), 20)])[0];
        assert_eq!(bed.outcome(uuid), Some(Failed));
        assert!(
            why(&bed).contains("uses 45 MB") && why(&bed).contains("40 MB would be left"),
            "{}",
            why(&bed)
        );
        let uuid = bed.apply(vec![Bed::shrink(sized(60), 15)])[0];
        assert_eq!(bed.outcome(uuid), Some(Finished), "{}", why(&bed));
    }

    #[test]
    fn a_volume_that_is_an_image_is_not_resized_and_takes_all_of_its_size() {
        let mut bed = Bed::registered();
        bed.measured(VolumeLimit::Image, &[]);
        bed.reserve_and_create();
        let (id, disk) = (bed.claim(DB_VOLUME).id, bed.machine.disks[1].disk.id);
        for action in [Bed::grow(sized(60), 10), Bed::shrink(sized(60), 10)] {
            let uuid = bed.apply(vec![action])[0];
            assert_eq!(bed.outcome(uuid), Some(Failed));
            assert!(why(&bed).contains("is an image of fixed size, which is not resized"));
        }
        bed.measured(VolumeLimit::Image, &[(id, 1)]);
        let limit = |bed: &Bed| bed.agent.disks.spaces()[&disk].limit.clone();
        assert_eq!(bed.agent.disks.used(disk), Scalar::whole(60), "all of it is allocated");
        assert_eq!(limit(&bed), "image");
        // It stays what it is when the disk gets another limit, and a restart is told what it is.
        bed.measured(VolumeLimit::default(), &[(id, 1)]);
        assert_eq!(limit(&bed), "soft:report+image");
        bed.crash();
        bed.settle();
        let (volumes, images, trashed) = (vec![crate::testbed::labelled(id)], vec![id], Vec::new());
        bed.input(Input::TrashFound(disk, crate::TrashFound { trashed, volumes, images }));
        bed.measured(VolumeLimit::default(), &[(id, 2)]);
        assert_eq!(limit(&bed), "soft:report+image");
        bed.apply(vec![Bed::destroy(&[sized(60)])]);
        assert_eq!(bed.agent.disks.used(disk), Scalar::ZERO);
    }

    #[test]
    fn a_directory_that_is_back_from_the_trash_is_no_image_whatever_its_disk_has_become() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let id = bed.claim(DB_VOLUME).id;
        bed.apply(vec![Bed::destroy(&[bed.volume()])]);
        bed.settle();
        bed.measured(VolumeLimit::Image, &[]);
        bed.undelete(id);
        bed.settle();
        assert!(bed.find_claim(DB_VOLUME).is_some() && !bed.agent.disks.is_image(id));
        bed.measured(VolumeLimit::Image, &[(id, 1)]);
        let disk = bed.machine.disks[1].disk.id;
        assert_eq!(bed.agent.disks.spaces()[&disk].limit, "image+soft:report");
    }

    #[test]
    fn what_a_volume_uses_beyond_its_size_is_its_own_once_it_has_grown() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        measured(&mut bed, 80);
        let disk = bed.machine.disks[1].disk.id;
        assert_eq!(
            bed.agent.disks.used(disk),
            Scalar::whole(60),
            "the rest is taken from everybody"
        );
        bed.apply(vec![Bed::grow(sized(60), 30)]);
        assert_eq!(bed.agent.disks.used(disk), Scalar::whole(80));
        bed.apply(vec![Bed::destroy(&[sized(90)])]);
        assert_eq!(bed.agent.disks.used(disk), Scalar::ZERO);
    }

    #[test]
    fn a_volume_that_is_just_being_made_is_resized_after_that_and_one_that_cannot_be_used_is_not() {
        let mut bed = Bed::registered();
        bed.apply(vec![Bed::reserve(reserved_disk(100))]);
        let uuids = bed.apply(vec![Bed::create(&[bed.volume()]), Bed::grow(sized(60), 10)]);
        assert_eq!((bed.outcome(uuids[0]), bed.outcome(uuids[1])), (None, None));
        bed.settle();
        assert_eq!(
            (bed.outcome(uuids[0]), bed.outcome(uuids[1])),
            (Some(Finished), Some(Finished))
        );
        assert_eq!(bed.claim(DB_VOLUME).resource, sized(70));
        bed.machine.disks[1].fault = Some("read-only".to_owned());
        bed.input(Input::Opened(bed.machine.clone()));
        bed.settle();
        for action in [Bed::grow(sized(70), 10), Bed::shrink(sized(70), 10)] {
            let uuid = bed.apply(vec![action])[0];
            assert_eq!(bed.outcome(uuid), Some(Failed));
            assert!(why(&bed).contains("read-only"), "{}", why(&bed));
        }
    }

    #[test]
    fn a_full_agent_lets_volumes_shrink_and_not_grow() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.input(Input::Room(Some("the file system is nearly full".to_owned())));
        let uuids = bed.apply(vec![Bed::grow(sized(60), 5), Bed::shrink(sized(60), 5)]);
        let outcomes = [bed.outcome(uuids[0]), bed.outcome(uuids[1])];
        assert_eq!(outcomes, [Some(Failed), Some(Finished)]);
    }

    #[test]
    fn after_a_restart_the_drivers_hear_of_sizes_that_no_label_says() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.apply(vec![Bed::grow(sized(60), 30)]);
        bed.apply(vec![Bed::create(&[volume_named("other", 5)])]);
        bed.settle();
        bed.crash();
        bed.seen.clear();
        bed.start();
        bed.settle();
        let told: Vec<(&str, u64)> = bed
            .seen
            .iter()
            .filter_map(|it| match it {
                Effect::ResizeVolume(it) => Some((it.persistence.as_str(), it.size_mb)),
                _ => None,
            })
            .collect();
        assert_eq!(told, [(DB_VOLUME, 90)]);
        let uuid = bed.agent.ledger().operations.keys().next().copied();
        assert!(uuid.is_none_or(|it| bed.agent.ledger().operations[&it].state.is_terminal()));
        assert!(matches!(Bed::shrink(sized(90), 1), Action::Claim(_)));
    }

    /// Another framework asks, as a master says it.
    fn ask_as(
        bed: &mut Bed,
        name: &str,
        ownership: Option<Ownership>,
        action: Action,
    ) -> OperationUuid {
        let uuid = OperationUuid(bed.ids.fresh());
        let info = FrameworkInfo {
            id: Some(FrameworkId::made(name.to_owned())),
            name: name.to_owned(),
            ..crate::testbed::framework()
        };
        let operations = vec![NamedOperation { uuid, operation: Operation { id: None, action } }];
        bed.order(Order::Apply {
            framework: Some(Box::new(info)),
            role: None,
            by: name.to_owned(),
            operations,
            ownership,
        });
        uuid
    }

    fn unreserve(mb: i64) -> Action {
        Action::Claim(ClaimAction::Unreserve(vec![reserved_disk(mb)]))
    }

    #[test]
    fn j4_what_another_framework_holds_is_not_taken_away_unless_an_older_master_does_not_say() {
        let mut bed = Bed::registered();
        bed.apply(vec![Bed::reserve(reserved_disk(60))]);
        let ours = || Some(Ownership::default());
        ask_as(&mut bed, "mate", ours(), Bed::reserve(reserved_disk(40)));
        assert_eq!(bed.agent.ledger().claims.len(), 2, "each maker has a claim of its own");
        let uuid = ask_as(&mut bed, "mate", ours(), unreserve(41));
        assert_eq!(bed.outcome(uuid), Some(Failed));
        assert!(why(&bed).contains("held by framework"), "{}", why(&bed));
        let uuid = ask_as(&mut bed, "mate", ours(), unreserve(30));
        assert_eq!(bed.outcome(uuid), Some(Finished));
        let uuid = ask_as(&mut bed, "mate", None, unreserve(20));
        assert_eq!(bed.outcome(uuid), Some(Finished));
        let removed = vec![crate::testbed::framework().id.unwrap()];
        let uuid = ask_as(
            &mut bed,
            "mate",
            Some(Ownership { removed, ..Ownership::default() }),
            unreserve(50),
        );
        assert_eq!(bed.outcome(uuid), Some(Finished), "a removed framework's are the role's");
        assert!(bed.agent.ledger().claims.is_empty());
    }

    #[test]
    fn who_is_about_to_get_its_own_back_waits_for_that_across_a_restart() {
        let mut bed = Bed::registered();
        bed.apply(vec![Bed::reserve(reserved_disk(60))]);
        let ours = || Some(Ownership::default());
        ask_as(&mut bed, "mate", ours(), Bed::reserve(reserved_disk(60)));
        let create = Bed::create(&[volume_named(DB_VOLUME, 60)]);
        ask_as(&mut bed, "mate", ours(), create);
        bed.settle();
        ask_as(&mut bed, "mate", ours(), Bed::destroy(&[volume_named(DB_VOLUME, 60)]));
        let uuid = ask_as(&mut bed, "mate", ours(), unreserve(60));
        assert_eq!(bed.outcome(uuid), None, "its own is on the way to the trash");
        bed.crash();
        bed.start();
        bed.settle();
        let record = bed.agent.ledger().operations.get(&uuid);
        assert!(record.is_none_or(|it| it.state == Finished), "{record:?}");
        let left: Vec<_> = bed.agent.ledger().claims.values().collect();
        assert_eq!((left.len(), &left[0].framework), (1, &crate::testbed::framework().id));
    }

    fn shared() -> Resource {
        let mut volume = volume_named(DB_VOLUME, 60);
        volume.identity.shared = true;
        volume
    }

    fn bed_with_shared() -> Bed {
        let mut bed = Bed::registered();
        bed.apply(vec![Bed::reserve(reserved_disk(100)), Bed::create(&[shared()])]);
        bed.settle();
        bed
    }

    #[test]
    fn b40_several_tasks_use_a_shared_volume_and_it_is_destroyed_when_the_last_has_ended() {
        let mut bed = bed_with_shared();
        let mut reader = shared();
        if let Some(mount) = &mut reader.mount {
            mount.mode = holdfast_model::Mode::ReadOnly;
        }
        bed.launch_command("t1", &[shared()]);
        bed.launch_command("t2", &[reader]);
        bed.settle();
        let running = Some(TaskState::Running);
        assert_eq!((bed.task_state("t1"), bed.task_state("t2")), (running, running));
        let plan = |bed: &Bed, task: &str| {
            let plan = &bed.containers[&bed.container_of(task)].plan.volumes[0];
            (plan.mode, plan.keeps_owner)
        };
        assert_eq!(plan(&bed, "t1"), (holdfast_model::Mode::ReadWrite, false));
        // It is the user's of whoever was there first (E39).
        assert_eq!(plan(&bed, "t2"), (holdfast_model::Mode::ReadOnly, true));
        let uuid = bed.apply(vec![Bed::destroy(&[shared()])])[0];
        assert_eq!(bed.outcome(uuid), Some(Failed));
        assert!(
            why(&bed).contains("task `t1`") && why(&bed).contains("task `t2`"),
            "{}",
            why(&bed)
        );
        bed.crash();
        bed.settle();
        for task in ["t1", "t2"] {
            let (framework, task) = task_key(task);
            bed.order(Order::Kill { framework, task, grace_ms: Some(0) });
            bed.settle();
            let uuid = bed.apply(vec![Bed::destroy(&[shared()])])[0];
            bed.settle();
            let left = bed.find_claim(DB_VOLUME).is_some();
            let outcome = if left { Failed } else { Finished };
            assert_eq!(bed.outcome(uuid), Some(outcome), "{}", why(&bed));
        }
        assert!(bed.find_claim(DB_VOLUME).is_none());
    }

    fn keeps_owner(bed: &Bed, executor: &str) -> bool {
        bed.containers[&bed.container_of(executor)].plan.volumes[0].keeps_owner
    }

    #[test]
    fn a_shared_volume_is_not_given_to_the_next_user_before_the_last_process_of_the_former_has_ended(
    ) {
        let mut bed = bed_with_shared();
        let own = crate::testbed::custom_executor("e");
        let of_own = |id: &str| holdfast_model::TaskInfo {
            executor: Some(own.clone()),
            command: None,
            ..crate::testbed::task(id, &[shared()])
        };
        bed.apply(vec![Action::Launch(vec![of_own("t1")])]);
        bed.settle();
        let container = bed.container_of("e");
        bed.subscribe(container);
        bed.moved(container, &task_key("t1").1, TaskState::Finished);
        bed.settle();
        assert!(bed.task_state("t1").is_none_or(TaskState::is_terminal));
        // No task uses it, and the executor does not need it for itself; but it may still write to it.
        bed.launch_command("t2", &[shared()]);
        bed.settle();
        assert!(keeps_owner(&bed, "t2"));
    }

    #[test]
    fn of_two_that_are_launched_on_a_shared_volume_at_once_the_first_is_given_it() {
        let mut bed = bed_with_shared();
        let tasks = ["t1", "t2"].map(|it| crate::testbed::task(it, &[shared()]));
        bed.apply(vec![Action::Launch(tasks.to_vec())]);
        bed.settle();
        assert_eq!((keeps_owner(&bed, "t1"), keeps_owner(&bed, "t2")), (false, true));
    }

    #[test]
    fn a_shared_volume_is_not_destroyed_when_a_task_waits_to_be_launched_on_it() {
        let mut bed = bed_with_shared();
        let other = volume_named("other", 10);
        bed.apply(vec![Bed::create(std::slice::from_ref(&other))]);
        bed.settle();
        // What the task needs beside comes back when another volume is in the trash.
        let uuids = bed.apply(vec![
            Bed::destroy(&[other]),
            Bed::create(&[volume_named("next", 40)]),
            Action::Launch(vec![crate::testbed::task("t", &[shared(), volume_named("next", 40)])]),
            Bed::destroy(&[shared()]),
        ]);
        assert_eq!(bed.agent.status().waiting_launches, 1);
        assert_eq!(bed.outcome(uuids[3]), Some(Failed));
        assert!(why(&bed).contains("task `t`"), "{}", why(&bed));
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
    }
}
