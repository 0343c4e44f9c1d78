//! What the drivers have done to a volume's bytes, and what it means for the claim and its operation.
//!
//! Never gives space back while the bytes of a destroyed volume may still lie there, and never trashes
//! what CREATE could not finish: nothing was promised, and a directory that is there anyhow may stay.

use holdfast_model::claim::ClaimChanges;
use holdfast_model::{
    AgentChange, Claim, ClaimId, ClaimState, OperationRecord, OperationState, TrashedVolume,
};

use crate::bookkeeping::looks::look_again_later;
use crate::bookkeeping::records::{destruction_of, is_destroyed_by, label, operation_on};
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::flows::settling::settle;
use crate::parts::{Alarm, Disks, MasterLink, ReportWish, Topic, Volumes};

/// How long to wait before a volume is sent to the trash again, in milliseconds; doubled each time up to the greatest.
const TRASH_RETRY_MIN_MS: u64 = 1_000;
const TRASH_RETRY_MAX_MS: u64 = 60_000;

pub(crate) fn volume_made(
    step: &mut Step<'_>,
    volumes: &mut Volumes,
    master: &mut MasterLink,
    id: ClaimId,
    outcome: Result<(), String>,
) {
    volumes.end_making(id);
    let Some(claim) = claim_in(step, id, ClaimState::Making) else { return }; // Somebody was quicker.
    let operation = operation_on(step.ledger(), id);
    if let Err(why) = outcome {
        return making_failed(step, volumes, master, claim, operation, &why);
    }
    volumes.note_made(id);
    let siblings = operation.as_ref().map_or_else(|| vec![id], |it| it.claims.clone());
    let making = siblings.into_iter().filter_map(|it| claim_in(step, it, ClaimState::Making));
    let making: Vec<Claim> = making.collect();
    if making.iter().any(|it| !volumes.is_made(it.id)) {
        return; // They become ready together, or none does.
    }
    making.iter().for_each(|it| volumes.forget_made(it.id));
    let back = making.iter().map(|it| it.id).filter(|it| step.ledger().trash.contains_key(it));
    let mut batch: Vec<AgentChange> = back.map(AgentChange::TrashGone).collect();
    let ready = |it| AgentChange::Claim(Claim { state: ClaimState::Ready, ..it });
    batch.extend(making.into_iter().map(ready));
    step.commit(batch);
    if let Some(operation) = operation {
        settle(step, master, operation, OperationState::Finished, None);
    }
}

fn claim_in(step: &Step<'_>, id: ClaimId, state: ClaimState) -> Option<Claim> {
    step.ledger().claims.get(&id).filter(|it| it.state == state).cloned()
}

/// What is kept of a volume in the trash, unless it is being brought back.
fn claim_in_trash(step: &Step<'_>, id: ClaimId) -> Option<Claim> {
    let is_there = !step.ledger().claims.contains_key(&id);
    let trashed = step.ledger().trash.get(&id).filter(|it| is_there && !it.purging);
    trashed.map(|it| it.claim.clone())
}

/// None of the volumes of an operation becomes ready: their space is given back.
pub(crate) fn making_failed(
    step: &mut Step<'_>,
    volumes: &mut Volumes,
    master: &mut MasterLink,
    claim: Claim,
    operation: Option<OperationRecord>,
    why: &str,
) {
    let siblings = operation.as_ref().map_or_else(|| vec![claim.id], |it| it.claims.clone());
    let mut touched = siblings.clone();
    let mut endings = Vec::new();
    for id in siblings {
        let Some(unmade) = claim_in(step, id, ClaimState::Making) else { continue };
        volumes.forget_made(id);
        if step.ledger().trash.contains_key(&id) {
            endings.push(unmade.ended(step.now(), "left in the trash", "the agent"));
        }
        take_back(step, &unmade, "the agent", &mut touched, None);
    }
    match operation {
        Some(operation) => {
            endings.splice(0..0, operation.endings.iter().cloned());
            let operation = OperationRecord { claims: touched, endings, ..operation };
            let message = format!("{} could not be made: {why}", claim.resource);
            settle(step, master, operation, OperationState::Failed, Some(message));
        }
        None => step.log(format!("{} could not be made: {why}", claim.resource)),
    }
}

pub(crate) fn volume_trashed(
    step: &mut Step<'_>,
    volumes: &mut Volumes,
    master: &mut MasterLink,
    id: ClaimId,
    outcome: Result<(), String>,
) {
    let destroying = claim_in(step, id, ClaimState::Destroying);
    let Some(claim) = destroying.or_else(|| claim_in_trash(step, id)) else { return };
    if let Err(why) = outcome {
        step.log(format!(
            "{} could not be moved to the trash, which is tried again: {why}",
            claim.resource
        ));
        let now = step.now();
        return step.alarms_mut().retry(
            Alarm::Trash(id),
            now,
            TRASH_RETRY_MIN_MS,
            TRASH_RETRY_MAX_MS,
        );
    }
    if claim_in_trash(step, id).is_some() {
        return step.alarms_mut().clear(&Alarm::Trash(id)); // It is there at last; that it goes there was written down before.
    }
    let trashed = TrashedVolume { claim: claim.clone(), since: step.now(), purging: false };
    end_destroyed(step, volumes, master, &claim, Some(trashed));
}

/// A volume that was being destroyed is no more, and with it the operation that asked for that, unless others of it still are.
pub(crate) fn end_destroyed(
    step: &mut Step<'_>,
    volumes: &mut Volumes,
    master: &mut MasterLink,
    claim: &Claim,
    trashed: Option<TrashedVolume>,
) {
    let id = claim.id;
    step.alarms_mut().clear(&Alarm::Trash(id));
    volumes.forget_fault(id);
    let operation = destruction_of(step.ledger(), claim);
    let by = operation
        .as_ref()
        .and_then(|it| it.framework.as_ref())
        .map_or_else(|| "operator".to_owned(), ToString::to_string);
    let mut touched = operation.as_ref().map_or_else(Vec::new, |it| it.claims.clone());
    take_back(step, claim, &by, &mut touched, trashed);
    let Some(mut operation) = operation else { return };
    operation.claims = touched;
    operation.endings.push(claim.clone());
    let unfinished = |it: &ClaimId| {
        let destroying = claim_in(step, *it, ClaimState::Destroying);
        destroying.is_some_and(|it| is_destroyed_by(&operation, &it))
    };
    if operation.claims.iter().any(unfinished) {
        step.commit(vec![AgentChange::Operation(operation)]);
    } else {
        settle(step, master, operation, OperationState::Finished, None);
    }
}

/// Ends a volume's claim and gives its space back to the reservation. What is kept of a destroyed one is written down in the same go.
pub(crate) fn take_back(
    step: &mut Step<'_>,
    volume: &Claim,
    by: &str,
    touched: &mut Vec<ClaimId>,
    trashed: Option<TrashedVolume>,
) {
    let ClaimChanges { kept, .. } = step.give_back(volume, by);
    for claim in &kept {
        if !touched.contains(&claim.id) {
            touched.push(claim.id);
        }
    }
    let mut batch = vec![AgentChange::ClaimGone(volume.id)];
    batch.extend(trashed.map(AgentChange::Trashed));
    batch.extend(kept.into_iter().map(AgentChange::Claim));
    step.commit(batch);
}

pub(crate) fn trash_again(step: &mut Step<'_>, id: ClaimId) {
    let destroying = claim_in(step, id, ClaimState::Destroying);
    let label = destroying.or_else(|| claim_in_trash(step, id)).and_then(|it| label(&it));
    step.extend(label.map(Effect::TrashVolume));
}

pub(crate) fn volume_checked(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    id: ClaimId,
    outcome: Result<(), String>,
) {
    disks.volumes_mut().end_check(id);
    step.stir(Topic::Volume(id));
    let claim = step.ledger().claims.get(&id);
    if outcome.is_err() && step.config().is_planted("agent-replaces-missing-volumes") {
        let label = claim.and_then(label);
        return step.extend(label.map(Effect::MakeVolume));
    }
    let fault = outcome.err().filter(|_| claim.is_some());
    if disks.volumes_mut().note_check(id, fault.as_ref()) {
        step.log(format!("volume {id}: {}", fault.as_deref().unwrap_or("whole again")));
        look_again_later(step, disks);
    }
    if disks.volumes_mut().take_news() {
        master.want_report(ReportWish::News);
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::{reserved_disk, volume_named, Bed, DB_VOLUME};
    use crate::Input;
    use holdfast_model::{Action, ClaimAction, ClaimState, OperationState, TaskState};

    #[test]
    fn what_could_not_be_made_is_reserved_again_and_nothing_is_trashed() {
        let mut bed = Bed::registered();
        bed.apply(vec![Bed::reserve(reserved_disk(100))]);
        let before = bed.agent.total().clone();
        bed.failures = 1;
        let uuid = bed.apply(vec![Bed::create(&[volume_named("a", 10), volume_named("b", 20)])])[0];
        bed.launch_command("t", &[volume_named("a", 10)]);
        bed.settle();
        assert_eq!(bed.outcome(uuid), Some(OperationState::Failed));
        assert!(bed.operations.last().unwrap().message.as_ref().unwrap().contains("no space left"));
        assert_eq!(
            bed.agent.total(),
            &before,
            "neither of the two is a volume: they become ready together or not at all"
        );
        assert!(bed.find_claim("a").is_none() && bed.find_claim("b").is_none());
        assert_eq!(bed.task_state("t"), Some(TaskState::Dropped));
        assert!(!bed
            .seen
            .iter()
            .any(|it| matches!(it, Effect::TrashVolume(_) | Effect::StartContainer(_))));
    }

    #[test]
    fn space_is_given_back_when_the_bytes_are_in_the_trash_and_not_before() {
        let mut bed = Bed::registered();
        bed.apply(vec![Bed::reserve(reserved_disk(100))]);
        let before = bed.agent.total().clone();
        bed.apply(vec![Bed::create(&[bed.volume()])]);
        bed.settle();
        bed.failures = 2;
        let uuid = bed.apply(vec![Bed::destroy(&[bed.volume()])])[0];
        bed.settle();
        assert_eq!(bed.claim(DB_VOLUME).state, ClaimState::Destroying);
        let (now, start) = (bed.agent.total().quantities(), before.quantities());
        assert_eq!(
            now["disk"].plus(holdfast_model::Scalar::whole(60)),
            start["disk"],
            "offered to nobody"
        );
        for ms in [1_000, 2_000] {
            assert_eq!(bed.outcome(uuid), None);
            bed.pass_ms(ms);
            bed.settle();
        }
        assert_eq!(bed.outcome(uuid), Some(OperationState::Finished));
        assert_eq!((bed.agent.total(), bed.trash.len()), (&before, 1));
    }

    #[test]
    fn a_volume_in_use_is_not_destroyed() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.launch_command("t", &[bed.volume()]);
        bed.settle();
        let uuid = bed.apply(vec![Bed::destroy(&[bed.volume()])])[0];
        assert_eq!(bed.outcome(uuid), Some(OperationState::Failed));
        assert!(bed
            .operations
            .last()
            .unwrap()
            .message
            .as_ref()
            .unwrap()
            .contains("in use by task `t`"));
    }

    #[test]
    fn a_volume_on_an_ill_disk_is_not_destroyed() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.machine.disks[1].fault = Some("read-only".to_owned());
        bed.input(Input::Opened(bed.machine.clone()));
        let uuids = bed.apply(vec![
            Bed::destroy(&[bed.volume()]),
            Bed::create(&[volume_named("n", 1)]),
            Bed::reserve(reserved_disk(1)),
        ]);
        for uuid in uuids {
            assert_eq!(bed.outcome(uuid), Some(OperationState::Failed));
        }
        let uuid =
            bed.apply(vec![Action::Claim(ClaimAction::Unreserve(vec![reserved_disk(40)]))])[0];
        assert_eq!(
            bed.outcome(uuid),
            Some(OperationState::Finished),
            "what is given up needs no disk"
        );
    }

    #[test]
    fn a_refined_reservation_gets_its_space_back_under_its_whole_stack() {
        let mut bed = Bed::registered();
        let mut inner = crate::testbed::reservation();
        inner.role = holdfast_model::Role::parse("db/one").unwrap();
        let refined = reserved_disk(60).reserved(inner);
        let volume = refined.clone().volume(
            holdfast_model::PersistenceId::parse("v").unwrap(),
            "data",
            None,
        );
        bed.apply(vec![Bed::reserve(reserved_disk(100)), Bed::reserve(refined.clone())]);
        let before =
            bed.agent.ledger().claims.values().map(|it| it.resource.clone()).collect::<Vec<_>>();
        bed.apply(vec![Bed::create(std::slice::from_ref(&volume))]);
        bed.settle();
        bed.apply(vec![Bed::destroy(&[volume])]);
        bed.settle();
        let after = bed
            .agent
            .ledger()
            .claims
            .values()
            .map(|it| it.resource.clone())
            .collect::<holdfast_model::Resources>();
        assert_eq!(after, before.iter().collect());
    }

    #[test]
    fn a_label_never_changes() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let made = bed
            .seen
            .iter()
            .find_map(
                |it| if let Effect::MakeVolume(label) = it { Some(label.clone()) } else { None },
            )
            .unwrap();
        bed.apply(vec![Bed::destroy(&[bed.volume()])]);
        assert!(bed.seen.contains(&Effect::TrashVolume(made.clone())));
        assert_eq!(
            (made.persistence.as_str(), made.role.as_str(), made.size_mb, made.generation),
            (DB_VOLUME, "db", 60, 1)
        );
    }
}
