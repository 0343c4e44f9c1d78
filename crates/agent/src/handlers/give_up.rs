//! An operator gives up a claim whose disk is dead: it ends, and its space is its reservation's again.
//!
//! The bytes are not touched, since nobody can say where they are. If their disk comes back, they lie there as before, and belong to no
//! claim. Once the last volume of a disk is given up, the disk is forgotten, so that another one may take its place. Never ends what is
//! whole: that is for DESTROY, which keeps the bytes in the trash.

use holdfast_model::{
    Action, AgentChange, Claim, ClaimAction, ClaimId, ClaimState, DiskId, Operation,
    OperationRecord, OperationState, OperationUuid,
};

use super::operations::pending;
use super::volumes::{end_destroyed, making_failed, take_back};
use crate::bookkeeping::faults::{disk_fault, is_looked_at};
use crate::bookkeeping::holds::holders;
use crate::bookkeeping::looks::open_disks;
use crate::bookkeeping::records::{lies_on, moved_to, operation_on};
use crate::bookkeeping::telling::tell_operation;
use crate::bookkeeping::{faults, Step};
use crate::flows::settling::settle;
use crate::parts::{Containers, Disks, MasterLink, ReportWish, Topic};

pub(crate) fn give_up(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    master: &mut MasterLink,
    (uuid, id): (OperationUuid, ClaimId),
    by: &str,
) {
    if !master.note_operation(uuid) || step.ledger().operations.contains_key(&uuid) {
        return tell_operation(step, master, uuid); // It was done before; it is not done twice.
    }
    let (record, found) = find(step, disks, containers, uuid, id);
    let claim = match found {
        Ok(claim) => claim,
        Err(why) => return settle(step, master, record, OperationState::Failed, Some(why)),
    };
    step.log(format!(
        "claim {id} ({}) is given up by {by}; its bytes are not touched",
        claim.resource
    ));
    let ending = claim.ended(step.now(), "given up", by);
    let mut touched = vec![id];
    if claim.is_volume() {
        end_volume(step, disks, master, (&claim, &ending), by, &mut touched);
    } else {
        step.commit(vec![AgentChange::ClaimGone(id)]);
    }
    settle(
        step,
        master,
        OperationRecord { claims: touched, endings: vec![ending.clone()], ..record },
        OperationState::Finished,
        None,
    );
    disks.volumes_mut().forget_fault(id);
    step.stir(Topic::Volume(id));
    step.stir(Topic::Claims);
    if let Some(disk) = claim.disk {
        make_room(step, disks, disk);
    }
    master.want_report(ReportWish::News);
}

/// The operation that ends a claim, and the claim; or why it cannot be given up.
fn find(
    step: &Step<'_>,
    disks: &Disks,
    containers: &Containers,
    uuid: OperationUuid,
    id: ClaimId,
) -> (OperationRecord, Result<Claim, String>) {
    let record = |action| pending(uuid, None, Operation { id: None, action });
    let Some(claim) = step.ledger().claims.get(&id).cloned() else {
        let why = format!("there is no claim {id} on this agent; see its claims");
        return (record(Action::Unsupported("GIVE_UP")), Err(why));
    };
    let resources = vec![claim.resource.clone()];
    let record = record(Action::Claim(match claim.is_volume() {
        true => ClaimAction::Destroy(resources),
        false => ClaimAction::Unreserve(resources),
    }));
    let found = obstacle(step, disks, containers, &claim).map_or(Ok(claim), Err);
    (record, found)
}

/// What speaks against giving a claim up.
fn obstacle(
    step: &Step<'_>,
    disks: &Disks,
    containers: &Containers,
    claim: &Claim,
) -> Option<String> {
    let (id, resource) = (claim.id, &claim.resource);
    if disks.machine().is_none() || is_looked_at(disks, claim) {
        return Some(format!(
            "claim {id} ({resource}): its disk is just being looked at; try again"
        ));
    }
    let disks_moved = step.ledger().disks.values().filter(|it| lies_on(claim, it));
    if let Some(to) = disks_moved.filter_map(|it| moved_to(step.ledger(), it.id)).next() {
        return Some(format!(
            "claim {id} ({resource}) is just being moved with its disk to agent {to}"
        ));
    }
    if faults::claim_fault(step, disks, claim).is_none() {
        return Some(format!(
            "claim {id} ({resource}) is there and whole, and only what is not can be given up; destroy the volume or remove the reservation instead"
        ));
    }
    let holders = holders(step.ledger(), containers, claim);
    let by = holders.values().next()?;
    Some(format!("claim {id} ({resource}) is in use by {by}; end it first"))
}

/// Ends a volume wherever it is in its life; an operation that was on its way with it is over.
fn end_volume(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    (claim, ending): (&Claim, &Claim),
    by: &str,
    touched: &mut Vec<ClaimId>,
) {
    let (volumes, id) = (disks.volumes_mut(), claim.id);
    match claim.state {
        ClaimState::Making => {
            let operation = operation_on(step.ledger(), id);
            let why = "its disk was given up";
            making_failed(step, volumes, master, claim.clone(), operation, why);
        }
        ClaimState::Destroying => end_destroyed(step, volumes, master, ending, None),
        ClaimState::Ready => take_back(step, claim, by, touched, None),
    }
}

/// Forgets a disk that is not there or not whole once no volume names it, so that another one may be found in its place.
fn make_room(step: &mut Step<'_>, disks: &mut Disks, disk: DiskId) {
    let is_ill = disk_fault(step, disks, disk).is_some();
    let named = step.ledger().claims.values().any(|it| it.disk == Some(disk));
    if named || !is_ill || !step.ledger().disks.contains_key(&disk) {
        return;
    }
    step.log(format!("disk {disk} is forgotten: all that lay on it was given up"));
    step.commit(vec![AgentChange::DiskGone(disk)]);
    if !disks.is_opening() {
        open_disks(step, disks);
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::{reserved_disk, Bed, DB_VOLUME};
    use crate::Input;
    use holdfast_model::{ClaimId, DiskId, OperationState, OperationUuid, Order, TaskState};
    use uuid::Uuid;

    fn give_up(bed: &mut Bed, number: u128, claim: ClaimId) -> (Option<OperationState>, String) {
        let uuid = OperationUuid(Uuid::from_u128(number));
        bed.order(Order::GiveUp { uuid, claim, by: "ops".to_owned() });
        bed.settle();
        let told = bed.operations.iter().rfind(|it| it.uuid == uuid);
        let why = told.and_then(|it| it.message.clone()).unwrap_or_default();
        (bed.outcome(uuid), why)
    }

    /// The disk of the volume is dead; what the agent finds in its place.
    fn replace_disk(bed: &mut Bed) {
        bed.machine.disks[1].fault = Some("should bear a label but bears none".to_owned());
        bed.input(Input::Opened(bed.machine.clone()));
        bed.settle();
    }

    #[test]
    fn what_is_whole_is_not_given_up() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let before = bed.agent.ledger().claims.clone();
        let (outcome, why) = give_up(&mut bed, 900, before.values().next().unwrap().id);
        assert_eq!(outcome, Some(OperationState::Failed));
        assert!(why.contains("is there and whole"), "{why}");
        let (outcome, why) = give_up(&mut bed, 901, ClaimId(Uuid::from_u128(77)));
        assert!(outcome == Some(OperationState::Failed) && why.contains("no claim"), "{why}");
        assert_eq!(bed.agent.ledger().claims, before);
    }

    #[test]
    fn what_a_task_uses_is_not_given_up() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.launch_command("t", &[bed.volume()]);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
        replace_disk(&mut bed);
        let id = bed.claim(DB_VOLUME).id;
        let (outcome, why) = give_up(&mut bed, 900, id);
        assert!(
            outcome == Some(OperationState::Failed) && why.contains("in use by task `t`"),
            "{why}"
        );
    }

    #[test]
    fn a_dead_disk_is_given_up_and_a_new_one_takes_its_place() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let (volume, base) = (bed.claim(DB_VOLUME).clone(), bed.machine.clone());
        replace_disk(&mut bed);
        let seen = bed.seen.len();
        assert_eq!(
            give_up(&mut bed, 900, volume.id),
            (Some(OperationState::Finished), String::new())
        );
        assert!(bed.find_claim(DB_VOLUME).is_none());
        let held: holdfast_model::Resources =
            bed.agent.ledger().claims.values().map(|it| it.resource.clone()).collect();
        assert!(
            held.contains_one(&reserved_disk(100)),
            "its space is its reservation's again: {held}"
        );
        let touches = |it: &&Effect| matches!(it, Effect::TrashVolume(_) | Effect::MakeVolume(_));
        assert_eq!(bed.seen[seen..].iter().find(touches), None, "the bytes are not touched");
        let old = volume.disk.unwrap();
        assert!(!bed.agent.ledger().disks.contains_key(&old), "another disk may be found there");
        assert!(bed.seen[seen..].iter().any(
            |it| matches!(it, Effect::OpenDisks(_, known, _) if known.iter().all(|it| it.id != old))
        ));
        let mut new = base;
        new.disks[1].disk.id = DiskId(Uuid::from_u128(555));
        bed.machine = new;
        bed.input(Input::Opened(bed.machine.clone()));
        bed.settle();
        assert!(bed.agent.faults().is_empty());
        bed.apply(vec![Bed::create(&[bed.volume()])]);
        bed.settle();
        assert_eq!(bed.claim(DB_VOLUME).disk, Some(DiskId(Uuid::from_u128(555))));
    }

    #[test]
    fn a_volume_that_was_being_destroyed_is_given_up_too_and_an_order_that_comes_twice_is_done_once(
    ) {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.failures = 100;
        let uuid = bed.apply(vec![Bed::destroy(&[bed.volume()])])[0];
        bed.settle();
        replace_disk(&mut bed);
        let id = bed.agent.ledger().claims.values().find(|it| it.is_volume()).unwrap().id;
        assert_eq!(give_up(&mut bed, 900, id).0, Some(OperationState::Finished));
        assert_eq!(
            bed.outcome(uuid),
            Some(OperationState::Finished),
            "nobody waits for it any more"
        );
        let before = bed.agent.ledger().clone();
        assert_eq!(give_up(&mut bed, 900, id).0, Some(OperationState::Finished));
        assert_eq!(bed.agent.ledger().claims, before.claims);
    }
}
