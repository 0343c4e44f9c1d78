//! A disk of this agent is moved to another one, and its claims go with it.
//!
//! In two stages, so that a claim is never at both agents, and never at none: first it is written down that the disk is not used here any
//! more (the place is noted as left, and the claims stay, unusable, whatever is found there); and only once the other agent has the claims
//! they end here, without any trash and without a look at the disk. If the other agent does not take it, the first stage is undone. What is
//! done twice is done once. Never touches the disk.

use std::collections::BTreeSet;

use holdfast_model::{
    AgentChange, Claim, DiskId, DiskKind, DiskRecord, ExecutorKey, LeaveStage, LeftPlace,
    OperationRecord, OperationState, OperationUuid,
};

use super::adopt_disk::unfit_to_move;
use super::disk_changes::tell_answer;
use crate::bookkeeping::holds::holders;
use crate::bookkeeping::looks::open_disks;
use crate::bookkeeping::records::{lies_on, moved_to};
use crate::bookkeeping::Step;
use crate::contract::Machine;
use crate::flows::fitting::fit_to_space;
use crate::flows::settling::settle;
use crate::parts::{Containers, Disks, LeavingDisk, MasterLink, ReportWish, Topic};

/// Another agent is to have a disk, or not after all, or has it.
pub(crate) fn leave(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    master: &mut MasterLink,
    (uuid, stage): (OperationUuid, LeaveStage),
    leaving: LeavingDisk,
) {
    match stage {
        LeaveStage::Fence => {
            disks.new_disks_mut().fence(uuid, leaving);
            open_disks(step, disks);
        }
        LeaveStage::Lift => lift(step, disks, master, uuid, &leaving),
        LeaveStage::End => {
            disks.new_disks_mut().forget_fencing(leaving.disk);
            disks.new_disks_mut().forget_taken(leaving.disk); // Nothing of it is taken here any more.
            end(step, disks, containers, master, leaving);
            tell_answer(step, master, uuid, None);
        }
    }
}

/// The disks were looked at: those that are to be left are, and so are those that something still used.
pub(crate) fn leave_looked_at(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    master: &mut MasterLink,
) {
    for (uuid, leaving) in disks.new_disks_mut().take_fencing() {
        let refusal = fence(step, disks, containers, &leaving).err();
        if refusal.is_none() {
            master.want_report(ReportWish::News);
            open_disks(step, disks);
        }
        disks.new_disks_mut().answer_later([(uuid, refusal)]);
    }
    for leaving in disks.new_disks_mut().take_ending().into_values() {
        end(step, disks, containers, master, leaving);
    }
}

/// Writes down that a disk is not used here any more.
fn fence(
    step: &mut Step<'_>,
    disks: &Disks,
    containers: &Containers,
    LeavingDisk { disk: id, to, by, .. }: &LeavingDisk,
) -> Result<(), String> {
    let ledger = step.ledger();
    let Some(old) = ledger.disks.get(id).cloned() else {
        return Err(format!("this agent has no disk {id}; see its disks"));
    };
    if moved_to(ledger, *id) == Some(to) {
        return Ok(());
    }
    if old.kind == DiskKind::Root {
        return Err(format!("disk {id} is the agent's own file system, which cannot be moved"));
    }
    if disks.fault(*id).is_none() {
        return Err(format!(
            "disk {id} is well at {}, where its claims are; unmount it there first",
            old.root
        ));
    }
    if let Some(why) = unfit_to_move(step, containers, &old) {
        return Err(why);
    }
    step.log(format!("disk {id} at {} is left to agent {to} for {by}", old.root));
    let (root, kind, disk) = (old.root, old.kind, old.id);
    let place = LeftPlace { root, kind, disk, to: Some(to.clone()) };
    step.commit(vec![AgentChange::PlaceLeft(place)]);
    Ok(())
}

/// The disk is not moved after all.
fn lift(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    uuid: OperationUuid,
    leaving: &LeavingDisk,
) {
    disks.new_disks_mut().forget_fencing(leaving.disk);
    let ledger = step.ledger();
    let mut freed = Vec::new();
    // Where its claims have ended before, it stays the other agent's.
    if ledger.disks.contains_key(&leaving.disk) {
        let is_it = |it: &&LeftPlace| it.disk == leaving.disk && it.to.is_some();
        let places = ledger.left_places.values().filter(is_it);
        freed.extend(places.map(|it| AgentChange::PlaceFreed(it.root.clone())));
    }
    if !freed.is_empty() {
        step.log(format!("disk {} is not moved to agent {}", leaving.disk, leaving.to));
        freed.extend(why_it_stays(step, leaving));
        step.commit(freed);
        open_disks(step, disks);
    } else {
        let events = why_it_stays(step, leaving); // One that was passed over has noted nothing.
        step.commit(events);
    }
    if leaving.reason.is_some() {
        master.want_report(ReportWish::News);
    }
    tell_answer(step, master, uuid, None);
}

/// What is claimed of a disk whose move was cancelled by force, with an event that says why; what says so already is left out.
fn why_it_stays(step: &Step<'_>, leaving: &LeavingDisk) -> Vec<AgentChange> {
    let (Some(reason), Some(disk)) = (&leaving.reason, step.ledger().disks.get(&leaving.disk))
    else {
        return Vec::new();
    };
    let what = format!("its disk stays here, and is not moved to agent {}: {reason}", leaving.to);
    let says_so = |it: &Claim| it.history.last().is_some_and(|event| event.what == what);
    let claims = claims_on(step, disk).into_iter().filter(|it| !says_so(it));
    claims.map(|it| AgentChange::Claim(it.ended(step.now(), &what, &leaving.by))).collect()
}

/// The claims of the disk, as they are here.
fn claims_on(step: &Step<'_>, disk: &DiskRecord) -> Vec<Claim> {
    step.ledger().claims.values().filter(|it| lies_on(it, disk)).cloned().collect()
}

/// The executors that use what is claimed of a disk.
pub(crate) fn users_of_claims(
    step: &Step<'_>,
    containers: &Containers,
    disk: DiskId,
) -> BTreeSet<ExecutorKey> {
    let Some(disk) = step.ledger().disks.get(&disk) else { return BTreeSet::new() };
    let claims = claims_on(step, disk);
    let volumes = claims.iter().filter(|it| it.is_volume());
    volumes.flat_map(|it| holders(step.ledger(), containers, it).into_keys()).collect()
}

/// The claims of the disk are the other agent's, and end here once nothing uses them.
fn end(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    master: &mut MasterLink,
    leaving: LeavingDisk,
) {
    let Some(old) = step.ledger().disks.get(&leaving.disk).cloned() else { return };
    let (root, kind, disk) = (old.root.clone(), old.kind, old.id);
    let to = Some(leaving.to.clone());
    let mut changes = vec![AgentChange::PlaceLeft(LeftPlace { root, kind, disk, to })];
    if !users_of_claims(step, containers, leaving.disk).is_empty() {
        step.commit(changes); // Nothing new begins on it.
        disks.new_disks_mut().end_later(leaving);
        return;
    }
    let (claims, why) = (claims_on(step, &old), format!("its disk is agent {}'s now", leaving.to));
    let ledger = step.ledger();
    let unsettled: Vec<OperationRecord> = claims
        .iter()
        .flat_map(|it| ledger.operations_on(it.id))
        .filter(|it| it.state == OperationState::Pending)
        .cloned()
        .collect();
    for operation in unsettled {
        let settled = OperationRecord { claims: Vec::new(), making: Vec::new(), ..operation };
        settle(step, master, settled, OperationState::Failed, Some(why.clone()));
    }
    changes.extend(claims.iter().map(|it| AgentChange::ClaimGone(it.id)));
    let trash = step.ledger().trash.values().filter(|it| it.claim.disk == Some(disk));
    changes.extend(trash.map(|it| AgentChange::TrashGone(it.claim.id)));
    changes.push(AgentChange::DiskGone(disk));
    if step.ledger().added_disks.contains_key(&old.root) {
        changes.push(AgentChange::DiskRemoved(old.root.clone()));
    }
    step.log(format!(
        "disk {disk} at {} is agent {}'s now, with all that was claimed of it here ({}); nothing on it is touched",
        old.root,
        leaving.to,
        claims.len()
    ));
    step.commit(changes);
    for claim in &claims {
        disks.volumes_mut().forget_fault(claim.id);
        step.stir(Topic::Volume(claim.id));
    }
    step.stir(Topic::Claims);
    fit_to_space(step, disks, master);
    master.want_report(ReportWish::News);
    open_disks(step, disks);
}

/// A disk that is here although another agent has it is a copy, or has come back: it is named, and not used.
pub(crate) fn name_moved(step: &Step<'_>, disks: &Disks, machine: &mut Machine) {
    for found in machine.disks.iter_mut().filter(|it| it.fault.is_none()) {
        let id = found.disk.id;
        if disks.new_disks().looks_for_taken(id) {
            continue;
        }
        found.fault = moved_to(step.ledger(), id).map(|to| {
            format!("disk {id} was moved to agent {to}; what is here is that disk or a copy of it, and is not used; to have it back with its claims: `holdfast disk adopt`")
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::Bed;
    use holdfast_model::{
        AgentId, AgentLedger, Claim, DiskId, DiskTaking, IdSource, LeaveStage, OperationUuid,
        Order, ToMaster,
    };
    use uuid::Uuid;

    const NEW: &str = "/mnt/elsewhere";

    fn other() -> AgentId {
        AgentId::made("a2".to_owned())
    }

    fn id(bed: &Bed) -> DiskId {
        bed.machine.disks[1].disk.id
    }

    fn claims_of(bed: &Bed) -> Vec<Claim> {
        bed.durable.claims.values().cloned().collect()
    }

    /// The disk at /d1, with a volume on it, is gone from there.
    fn away() -> Bed {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        bed
    }

    /// An order is given, and what it is answered.
    fn answer(bed: &mut Bed, number: u128, order: Order) -> Option<Option<String>> {
        bed.order(order);
        bed.settle();
        bed.pass_ms(1000); // It is told after the next report.
        bed.settle();
        let is_it = |uuid: &OperationUuid| uuid.0.as_u128() == number;
        bed.seen.iter().rev().find_map(|it| match it {
            Effect::ToMaster(_, ToMaster::DiskAnswer { uuid, refusal }) if is_it(uuid) => {
                Some(refusal.clone())
            }
            _ => None,
        })
    }

    fn leave(bed: &mut Bed, number: u128, stage: LeaveStage) -> Option<Option<String>> {
        let disk = id(bed);
        leave_of(bed, number, stage, disk, None)
    }

    fn leave_of(
        bed: &mut Bed,
        number: u128,
        stage: LeaveStage,
        disk: DiskId,
        reason: Option<&str>,
    ) -> Option<Option<String>> {
        let uuid = OperationUuid(Uuid::from_u128(number));
        let (to, by, reason) = (other(), "ops".to_owned(), reason.map(str::to_owned));
        answer(bed, number, Order::LeaveDisk { uuid, disk, to, stage, by, reason })
    }

    fn take(bed: &mut Bed, number: u128, taking: &DiskTaking) -> Option<Option<String>> {
        let uuid = OperationUuid(Uuid::from_u128(number));
        let (taking, by) = (Box::new(taking.clone()), "ops".to_owned());
        answer(bed, number, Order::TakeDisk { uuid, taking, by })
    }

    #[test]
    fn a_disk_is_left_before_its_claims_end_and_is_not_used_again_though_it_is_back() {
        let mut bed = away();
        let before = claims_of(&bed);
        assert_eq!(leave(&mut bed, 1, LeaveStage::Fence), Some(None));
        assert_eq!(claims_of(&bed), before, "it keeps its claims");
        bed.machine.disks[1].fault = None; // It is back, or a copy of it is there.
        bed.input(crate::Input::Opened(bed.machine.clone()));
        bed.settle();
        let why = bed.agent.disks.fault(id(&bed)).cloned().unwrap();
        assert!(why.contains("moved to agent a2"), "{why}");
        bed.launch_command("t", &[bed.volume()]);
        bed.settle();
        assert_ne!(bed.task_state("t"), Some(holdfast_model::TaskState::Running));
        // Not after all.
        assert_eq!(leave(&mut bed, 2, LeaveStage::Lift), Some(None));
        assert_eq!(bed.agent.disks.fault(id(&bed)), None);
        assert!(bed.durable.left_places.is_empty());
        assert_eq!(claims_of(&bed), before);
        // After all.
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        assert_eq!(leave(&mut bed, 3, LeaveStage::Fence), Some(None));
        for number in [4, 5] {
            assert_eq!(leave(&mut bed, number, LeaveStage::End), Some(None), "twice is once");
            assert!(bed.durable.claims.is_empty() && !bed.durable.disks.contains_key(&id(&bed)));
        }
        let is_trashed = |it: &Effect| matches!(it, Effect::TrashVolume(_));
        assert!(!bed.seen.iter().any(is_trashed), "nothing on it is touched");
        bed.machine.disks[1].fault = None;
        bed.input(crate::Input::Opened(bed.machine.clone()));
        bed.settle();
        assert!(!bed.durable.disks.contains_key(&id(&bed)), "what is there is the other agent's");
        assert!(bed.agent.disks.found().iter().any(|it| it.fault.is_some()), "and is named");
    }

    #[test]
    fn a_disk_that_is_well_or_used_is_not_left() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let why = leave(&mut bed, 1, LeaveStage::Fence).unwrap().unwrap();
        assert!(why.contains("is well at /d1"), "{why}");
        bed.launch_command("t", &[bed.volume()]);
        bed.settle();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        let why = leave(&mut bed, 2, LeaveStage::Fence).unwrap().unwrap();
        assert!(why.contains("in use by task `t`"), "{why}");
        assert!(bed.durable.left_places.is_empty());
        // Passed over by force, what runs there ends, and then the claims.
        assert_eq!(leave(&mut bed, 3, LeaveStage::End), Some(None));
        bed.input(crate::Input::Opened(bed.machine.clone()));
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(holdfast_model::TaskState::Killed));
        assert!(bed.durable.claims.is_empty());
    }

    #[test]
    fn a_crash_leaves_the_claims_as_they_were_or_ended_and_asking_again_ends_them() {
        for crash_in in 0.. {
            let mut bed = away();
            let before = claims_of(&bed);
            bed.crash_in = Some(crash_in);
            leave(&mut bed, 1, LeaveStage::Fence);
            leave(&mut bed, 2, LeaveStage::End);
            assert!(bed.durable.claims.is_empty() || claims_of(&bed) == before, "all or none");
            bed.crash_in = None;
            leave(&mut bed, 3, LeaveStage::End);
            assert!(bed.durable.claims.is_empty());
            assert_eq!(bed.durable.left_places["/d1"].to, Some(other()));
            if bed.crashes == 0 {
                assert!(4 < crash_in);
                break;
            }
        }
    }

    /// What another agent had of a disk that is found here at another path, and this agent.
    fn brought() -> (Bed, DiskTaking) {
        let former = away();
        let disk = former.machine.disks[1].disk.clone();
        let taking = DiskTaking {
            disk: disk.id,
            kind: disk.kind,
            root: NEW.to_owned(),
            size_mb: None,
            from: other(),
            from_root: disk.root,
            claims: claims_of(&former),
            reason: Some("it has burnt down".to_owned()),
        };
        let mut bed = Bed::fresh();
        (0..1000).for_each(|_| drop(bed.ids.fresh().to_string())); // Its ids are its own.
        bed.machine.disks[1].disk.id = DiskId(Uuid::from_u128(0xd1d1));
        bed.start();
        bed.link(1);
        bed.welcome();
        bed.settle();
        bed.volumes = former.volumes.clone();
        let mut found = former.machine.disks[1].clone();
        (found.disk.root, found.added, found.fault) = (NEW.to_owned(), Some(NEW.to_owned()), None);
        bed.machine.disks.push(found);
        let of_it = crate::testbed::amount("disk", 1000)
            .on(holdfast_model::Source { root: Some(NEW.to_owned()), ..source(&taking) });
        bed.machine.info.resources = bed.machine.info.resources.iter().chain([of_it]).collect();
        (bed, taking)
    }

    fn source(taking: &DiskTaking) -> holdfast_model::Source {
        taking.claims[0].resource.identity.source.clone().unwrap()
    }

    fn is_taken(ledger: &AgentLedger, taking: &DiskTaking) -> bool {
        taking.claims.iter().all(|it| ledger.claims.contains_key(&it.id))
    }

    #[test]
    fn a_disk_of_another_agent_is_taken_with_all_its_claims_or_with_none() {
        for crash_in in 0.. {
            let (mut bed, taking) = brought();
            bed.crash_in = Some(crash_in);
            let answer = take(&mut bed, 1, &taking);
            let is_new = is_taken(&bed.durable, &taking);
            assert!(is_new || bed.durable.claims.is_empty(), "all of it or none");
            assert_eq!(bed.durable.added_disks.contains_key(NEW), is_new);
            assert!(answer != Some(None) || is_new, "what was answered is written down");
            let crashed = 0 < bed.crashes;
            bed.crash_in = None;
            assert_eq!(take(&mut bed, 2, &taking), Some(None), "it is taken when asked again");
            assert!(is_taken(&bed.durable, &taking));
            assert!(bed.agent.faults().is_empty(), "{:?}", bed.agent.faults());
            let is_made = |it: &Effect| matches!(it, Effect::MakeVolume(_));
            assert!(!bed.seen.iter().any(is_made), "nothing is made anew");
            for claim in &taking.claims {
                let here = &bed.durable.claims[&claim.id];
                let event = here.history.last().unwrap();
                let told = "moved with its disk from /d1 on agent a2 to /mnt/elsewhere on agent a1; agent a2 was passed over: it has burnt down";
                assert_eq!((event.what.as_str(), event.by.as_str()), (told, "ops"));
                assert_eq!(
                    here.resource.identity.source.as_ref().unwrap().root.as_deref(),
                    Some(NEW)
                );
            }
            if !crashed {
                assert!(3 < crash_in);
                break;
            }
        }
    }

    fn cancel(bed: &mut Bed, number: u128, taking: &DiskTaking) -> Option<Option<String>> {
        let uuid = OperationUuid(Uuid::from_u128(number));
        let claims = taking.claims.iter().map(|it| it.id).collect();
        let (disk, by) = (taking.disk, "ops".to_owned());
        answer(bed, number, Order::CancelTake { uuid, disk, claims, by })
    }

    #[test]
    fn what_is_not_taken_yet_is_forgotten_when_that_is_cancelled_and_what_is_taken_is_said_so() {
        let (mut bed, taking) = brought();
        // The order to take it has come, and the disk was not looked at yet.
        let uuid = OperationUuid(Uuid::from_u128(1));
        let order = Box::new(taking.clone());
        bed.order(Order::TakeDisk { uuid, taking: order, by: "ops".to_owned() });
        assert_eq!(cancel(&mut bed, 2, &taking), Some(None));
        bed.input(crate::Input::Opened(bed.machine.clone()));
        bed.settle();
        assert!(bed.durable.claims.is_empty(), "the look that was under way takes nothing");
        assert_eq!(take(&mut bed, 3, &taking), Some(None));
        let why = cancel(&mut bed, 4, &taking).unwrap().unwrap();
        assert!(why.contains("has taken disk"), "{why}");
        assert!(is_taken(&bed.durable, &taking));
        // Passed over by force meanwhile, it ends what it took.
        assert_eq!(leave_of(&mut bed, 5, LeaveStage::End, taking.disk, None), Some(None));
        assert!(bed.durable.claims.is_empty() && !bed.durable.disks.contains_key(&taking.disk));
    }

    #[test]
    fn an_agent_that_is_to_end_what_it_may_have_taken_takes_nothing_afterwards() {
        let (mut bed, taking) = brought();
        let uuid = OperationUuid(Uuid::from_u128(1));
        let order = Box::new(taking.clone());
        bed.order(Order::TakeDisk { uuid, taking: order, by: "ops".to_owned() });
        assert_eq!(leave_of(&mut bed, 2, LeaveStage::End, taking.disk, None), Some(None));
        bed.input(crate::Input::Opened(bed.machine.clone()));
        bed.settle();
        assert!(bed.durable.claims.is_empty());
    }

    #[test]
    fn why_a_move_was_cancelled_by_force_is_told_once_in_the_history_of_the_claims() {
        for is_fenced in [true, false] {
            let mut bed = away();
            let disk = bed.machine.disks[1].disk.id;
            if is_fenced {
                assert_eq!(leave(&mut bed, 1, LeaveStage::Fence), Some(None));
            }
            for number in 2..4 {
                let lifted =
                    leave_of(&mut bed, number, LeaveStage::Lift, disk, Some("it has burnt down"));
                assert_eq!(lifted, Some(None));
            }
            assert!(bed.durable.left_places.is_empty());
            for claim in claims_of(&bed) {
                let told: Vec<_> =
                    claim.history.iter().filter(|it| it.what.contains("burnt down")).collect();
                assert_eq!(told.len(), 1, "{claim:?}");
                assert_eq!(
                    (told[0].what.as_str(), told[0].by.as_str()),
                    ("its disk stays here, and is not moved to agent a2: it has burnt down", "ops")
                );
            }
        }
    }

    #[test]
    fn what_is_in_the_way_of_a_disk_of_another_agent_is_named_and_nothing_is_taken() {
        let refused = |bed: &mut Bed, taking: &DiskTaking, words: &str| {
            let before = bed.durable.clone();
            let why = take(bed, 1, taking).unwrap().unwrap();
            assert!(why.contains(words), "{why}");
            assert_eq!((&bed.durable.claims, &bed.durable.disks), (&before.claims, &before.disks));
            assert!(bed.durable.added_disks.is_empty());
        };
        // A volume of the same name.
        let (mut bed, taking) = brought();
        bed.reserve_and_create();
        refused(&mut bed, &taking, "would be the second of this name");
        // The place of another disk.
        let (mut bed, taking) = brought();
        bed.reserve_and_create();
        let taking = DiskTaking { root: "/d1".to_owned(), ..taking };
        refused(&mut bed, &taking, "which has claims of its own");
        // Another disk.
        let (mut bed, taking) = brought();
        bed.machine.disks[3].disk.id = DiskId(Uuid::from_u128(77));
        refused(&mut bed, &taking, "see `holdfast disk list`");
        // What is found there is not well.
        let (mut bed, taking) = brought();
        bed.machine.disks[3].fault = Some("it is read-only".to_owned());
        refused(&mut bed, &taking, "it is read-only");
        // The volumes say that they are others.
        let (mut bed, taking) = brought();
        let volume = taking.claims.iter().find(|it| it.is_volume()).unwrap();
        let label = holdfast_model::LabelledVolume {
            id: volume.id,
            persistence: "another".to_owned(),
            role: "db".to_owned(),
            size_mb: 1,
            principal: None,
            generation: 1,
            shared: false,
        };
        let found = crate::TrashFound { volumes: vec![label], ..Default::default() };
        bed.input(crate::Input::TrashFound(taking.disk, found));
        refused(&mut bed, &taking, "is labelled as `another`");
    }
}
