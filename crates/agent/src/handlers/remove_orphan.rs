//! An operator has an orphan moved to the trash of its disk.
//!
//! What its claim would have been is written down first, as of any destroyed volume, so that it can be brought back; only then are its bytes
//! moved. A crash in between is made up for when the disk is opened again. Never removes a byte, and nothing that a claim stands for.

use holdfast_model::{
    AgentChange, Claim, ClaimEvent, ClaimId, ClaimState, DiskId, LabelledVolume, OperationUuid,
    Resource, TrashedVolume,
};

use super::adopt_volume::{conflict, no_orphan, unusable};
use super::disk_changes::tell_answer;
use crate::bookkeeping::records::{disk_of, label};
use crate::bookkeeping::telling::{tell_space, tell_trash};
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::parts::{Disks, MasterLink};

pub(crate) fn remove(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    (uuid, volume, disk): (OperationUuid, ClaimId, DiskId),
    resource: Resource,
    by: &str,
) {
    let is_done = |it: &TrashedVolume| it.claim.disk == Some(disk);
    if step.ledger().trash.get(&volume).is_some_and(is_done) {
        return tell_answer(step, master, uuid, None); // It was done before; it is not done twice.
    }
    let found = match find(step, disks, (volume, disk), &resource) {
        Ok(found) => found,
        Err(why) => return tell_answer(step, master, uuid, Some(why)),
    };
    let claim = removed(step, found, disk, resource, by);
    step.log(format!(
        "volume {volume} ({}), an orphan, goes to the trash of disk {disk} for {by}",
        claim.resource
    ));
    let work = label(&claim).map(Effect::TrashVolume);
    let trashed = TrashedVolume { claim, since: step.now(), purging: false };
    step.commit(vec![AgentChange::Trashed(trashed)]);
    step.extend(work);
    disks.volumes_mut().forget_orphan(volume);
    tell_space(step, disks, master);
    tell_trash(step, master, false);
    tell_answer(step, master, uuid, None);
}

/// The orphan, if nothing speaks against its removal.
fn find(
    step: &Step<'_>,
    disks: &Disks,
    (volume, disk): (ClaimId, DiskId),
    resource: &Resource,
) -> Result<LabelledVolume, String> {
    if let Some(why) = conflict(step, &[volume]).or_else(|| unusable(step, disks, disk)) {
        return Err(why);
    }
    if step.ledger().operations_on(volume).next().is_some() {
        return Err(format!("volume {volume} is just being adopted; see its claim"));
    }
    let found = disks.volumes().orphans(disk).iter().find(|it| it.id == volume);
    let found = found.ok_or_else(|| no_orphan(volume, disk))?;
    let identity = &resource.identity;
    let name = identity.persistence.as_ref().map(|it| it.as_str());
    let is_it = name == Some(found.persistence.as_str())
        && identity.role().as_str() == found.role
        && resource.creator == found.principal
        && disk_of(step.ledger(), identity) == Some(disk);
    match is_it {
        true => Ok(found.clone()),
        false => Err(format!(
            "volume {volume} on disk {disk} is labelled as `{}` of role {}, and {resource} was named; look at the disk again",
            found.persistence, found.role
        )),
    }
}

/// The claim that it would have had, at its end; what is on its label is in it.
fn removed(
    step: &Step<'_>,
    found: LabelledVolume,
    disk: DiskId,
    resource: Resource,
    by: &str,
) -> Claim {
    let seen = ClaimEvent {
        at: step.now(),
        generation: found.generation,
        what: "found as an orphan".to_owned(),
        by: "the agent".to_owned(),
    };
    let claim = Claim {
        id: found.id,
        state: ClaimState::Destroying,
        resource,
        framework: None,
        generation: found.generation,
        created: step.now(),
        disk: Some(disk),
        history: vec![seen],
        shares: Vec::new(),
        operation: None,
    };
    claim.ended(step.now(), "removed as an orphan", by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{labelled, volume_named, Bed, DB_VOLUME};
    use crate::{Input, TrashFound};
    use holdfast_model::{OperationState, Order, ToMaster};
    use uuid::Uuid;

    const ORPHAN: ClaimId = ClaimId(Uuid::from_u128(0x0f));

    fn with_orphan() -> (Bed, DiskId) {
        let mut bed = Bed::registered();
        bed.acknowledges = true;
        bed.volumes.insert(ORPHAN);
        let disk = bed.machine.disks[1].disk.id;
        look(&mut bed);
        (bed, disk)
    }

    fn look(bed: &mut Bed) {
        let disk = bed.machine.disks[1].disk.id;
        let found = TrashFound { volumes: vec![labelled(ORPHAN)], ..TrashFound::default() };
        bed.input(Input::TrashFound(disk, found));
    }

    fn remove(bed: &mut Bed, number: u128, name: &str) -> Option<Option<String>> {
        let uuid = OperationUuid(Uuid::from_u128(number));
        let (disk, resource) = (bed.machine.disks[1].disk.id, Box::new(volume_named(name, 60)));
        let by = "ops".to_owned();
        bed.order(Order::RemoveOrphan { uuid, volume: ORPHAN, disk, resource, by });
        bed.settle();
        bed.seen.iter().find_map(|it| match it {
            Effect::ToMaster(_, ToMaster::DiskAnswer { uuid: its, refusal }) if *its == uuid => {
                Some(refusal.clone())
            }
            _ => None,
        })
    }

    #[test]
    fn it_goes_to_the_trash_and_can_be_brought_back_with_a_claim() {
        let (mut bed, disk) = with_orphan();
        assert_eq!(remove(&mut bed, 1, DB_VOLUME), Some(None));
        assert!(bed.trash.contains(&ORPHAN) && !bed.volumes.contains(&ORPHAN));
        let kept = bed.durable.trash[&ORPHAN].claim.clone();
        let last = kept.history.last().unwrap();
        assert_eq!((last.what.as_str(), last.by.as_str()), ("removed as an orphan", "ops"));
        let told = bed.seen.iter().position(|it| matches!(it, Effect::ToMaster(_, ToMaster::TrashNews(it)) if !it.volumes.is_empty()));
        let answered = bed
            .seen
            .iter()
            .position(|it| matches!(it, Effect::ToMaster(_, ToMaster::DiskAnswer { .. })));
        assert!(told < answered, "the masters know of it before who asked does");
        assert_eq!(remove(&mut bed, 2, DB_VOLUME), Some(None), "twice is once");
        bed.apply(vec![Bed::reserve(crate::testbed::reserved_disk(100))]);
        let uuid = bed.undelete(ORPHAN);
        bed.settle();
        assert_eq!(bed.outcome(uuid), Some(OperationState::Finished), "{}", bed.why(uuid));
        let back = bed.claim(DB_VOLUME);
        assert_eq!((back.id, back.disk), (ORPHAN, Some(disk)));
        assert_eq!(label(&back).unwrap().generation, 1, "what is written on it is still right");
    }

    #[test]
    fn a_crash_anywhere_leaves_an_orphan_or_has_it_in_the_trash() {
        for crash_in in 0.. {
            let (mut bed, _) = with_orphan();
            bed.crash_in = Some(crash_in);
            let answer = remove(&mut bed, 1, DB_VOLUME);
            let is_kept = bed.durable.trash.contains_key(&ORPHAN);
            assert_eq!(bed.trash.contains(&ORPHAN), is_kept, "crash {crash_in}");
            assert_ne!(bed.volumes.contains(&ORPHAN), is_kept);
            assert!(answer != Some(None) || is_kept, "what was answered is written down");
            if bed.crashes == 0 {
                assert!(is_kept && 1 < crash_in);
                break;
            }
        }
    }

    #[test]
    fn a_move_to_the_trash_that_fails_is_tried_again() {
        let (mut bed, _) = with_orphan();
        bed.failures = 2;
        assert_eq!(remove(&mut bed, 1, DB_VOLUME), Some(None));
        assert!(bed.volumes.contains(&ORPHAN));
        for ms in [1_000, 2_000] {
            bed.pass_ms(ms);
            bed.settle();
        }
        assert!(bed.trash.contains(&ORPHAN));
    }

    #[test]
    fn what_is_claimed_ill_or_called_otherwise_is_not_removed() {
        let (mut bed, _) = with_orphan();
        let why = remove(&mut bed, 1, "other").unwrap().unwrap();
        assert!(why.contains("is labelled as `db-data`"), "{why}");
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        bed.input(Input::Opened(bed.machine.clone()));
        let why = remove(&mut bed, 2, DB_VOLUME).unwrap().unwrap();
        assert!(why.contains("not mounted"), "{why}");
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let claim = bed.claim(DB_VOLUME).id;
        let disk = bed.machine.disks[1].disk.id;
        let (uuid, resource) =
            (OperationUuid(Uuid::from_u128(3)), Box::new(volume_named(DB_VOLUME, 60)));
        let by = "ops".to_owned();
        bed.order(Order::RemoveOrphan { uuid, volume: claim, disk, resource, by });
        bed.settle();
        assert!(bed.volumes.contains(&claim) && bed.durable.trash.is_empty());
        assert_eq!(bed.claim(DB_VOLUME).id, claim);
    }
}
