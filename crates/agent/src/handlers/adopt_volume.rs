//! An operator makes a volume, which no claim stands for, that of a claim again.
//!
//! It is an operation of several steps whose one volume is not made: the orphan gets its label, if that has to change, and its claim is written
//! down once its driver has found it whole. A crash before that leaves an orphan. Relies on `together.rs` for the rest. Never makes an empty
//! volume in place of one that is gone, and never has two claims of one volume.

use holdfast_model::{
    Action, Claim, ClaimAction, ClaimEvent, ClaimId, DiskKind, Filling, LabelledVolume,
    OperationRecord, Resource,
};

use super::disk_changes::what;
use crate::bookkeeping::faults::disk_fault;
use crate::bookkeeping::records::{disk_of, filling_of, labels_in_making, moved_to};
use crate::bookkeeping::Step;
use crate::parts::{Disks, MasterLink, ReportWish};

/// What speaks against the adoption, as far as it is known before the volume is looked at.
pub(crate) fn obstacle(
    step: &Step<'_>,
    disks: &Disks,
    operation: &OperationRecord,
) -> Option<String> {
    let resource = adopted_resource(operation)?;
    let (volume, generation) = match filling_of(operation)? {
        Filling::Orphan { volume, generation } => (volume, generation),
        Filling::Directory(path) => return unfit_directory(step, disks, resource, path),
    };
    if let Some(why) = conflict(step, &[*volume]) {
        return Some(why);
    }
    if step.ledger().operations_on(*volume).next().is_some() {
        return Some(format!("volume {volume} is just being adopted; see its claim"));
    }
    let Some(disk) = disk_of(step.ledger(), &resource.identity) else {
        return Some(format!("{resource}: there is no such disk on this agent; see its disks"));
    };
    if let Some(why) = unusable(step, disks, disk) {
        return Some(why);
    }
    let Some(found) = disks.volumes().orphans(disk).iter().find(|it| it.id == *volume) else {
        return Some(no_orphan(*volume, disk));
    };
    if found.generation != *generation {
        return Some(format!(
            "the label of volume {volume} is of generation {}, not {generation}; look at its disk again",
            found.generation
        ));
    }
    let size_mb = resource.value.quantity();
    let is_resized = size_mb.as_whole() != i64::try_from(found.size_mb).unwrap_or(i64::MAX);
    (disks.is_image(*volume) && is_resized).then(|| {
        format!(
            "volume {volume} is an image of {} MB, which is not resized; adopt it with that size",
            found.size_mb
        )
    })
}

/// What speaks against a directory, as far as it is known without a look at it.
fn unfit_directory(
    step: &Step<'_>,
    disks: &Disks,
    resource: &Resource,
    path: &str,
) -> Option<String> {
    let Some(disk) = disk_of(step.ledger(), &resource.identity) else {
        return Some(format!("{resource}: there is no such disk on this agent; see its disks"));
    };
    if let Some(why) = unusable(step, disks, disk) {
        return Some(why);
    }
    let is_below = |path: &str, other: &str| {
        let rest = path.strip_prefix(other.trim_end_matches('/'));
        rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    let ledger = step.ledger();
    let adopts = |it: &&OperationRecord| {
        !it.making.is_empty()
            && matches!(filling_of(it), Some(Filling::Directory(its)) if its == path)
    };
    if ledger.operations.values().any(|it| adopts(&it)) {
        return Some(format!("{path} is just being adopted; see the claims"));
    }
    ledger.disks.values().find_map(|it| {
        let own = match it.kind {
            DiskKind::Root => it.root.clone(), // The agent's own directory.
            DiskKind::Path | DiskKind::Mount => format!("{}/holdfast", it.root.trim_end_matches('/')),
        };
        if is_below(path, &own) {
            return Some(format!("{path} lies in {own}, where volumes, trash and sandboxes are, and cannot be adopted; an orphan there is adopted with `--orphan`"));
        }
        is_below(&it.root, path).then(|| format!("{path} holds disk {} ({}), and cannot be adopted", it.id, it.root))
    })
}

/// A directory that was moved into its volume is an orphan there, when its claim cannot be made after all. Says so.
pub(super) fn note_left(
    step: &Step<'_>,
    disks: &mut Disks,
    operation: &OperationRecord,
    why: String,
) -> String {
    let Some(Filling::Directory(path)) = filling_of(operation) else { return why };
    let labels = labels_in_making(step.ledger(), operation);
    let Some(label) = labels.into_iter().next() else { return why };
    let id = label.claim;
    let orphan = LabelledVolume {
        id,
        persistence: label.persistence,
        role: label.role,
        size_mb: label.size_mb,
        principal: label.principal,
        generation: label.generation,
        shared: label.shared,
    };
    disks.volumes_mut().add_orphan(label.disk, orphan);
    format!("{why}; the data of {path} are in volume {id} now, which no claim stands for: adopt it with `holdfast volume adopt --orphan {id}`")
}

/// Why nothing is done about the orphans of a disk now.
pub(super) fn unusable(
    step: &Step<'_>,
    disks: &Disks,
    disk: holdfast_model::DiskId,
) -> Option<String> {
    if let Some(to) = moved_to(step.ledger(), disk) {
        return Some(format!("disk {disk} is just being moved to agent {to}"));
    }
    let fault = disk_fault(step, disks, disk)?;
    Some(format!("disk {disk} cannot be used now: {fault}"))
}

/// That there is no such orphan, and what may have become of it.
pub(super) fn no_orphan(volume: ClaimId, disk: holdfast_model::DiskId) -> String {
    format!(
        "there is no whole volume {volume} on disk {disk} that no claim stands for: it was claimed or taken away meanwhile, or its label is damaged, of another disk or of another cluster; see `holdfast disk show {disk}`, and look at `holdfast/volumes/{volume}` on the disk"
    )
}

/// Why a volume is nobody's orphan.
pub(crate) fn conflict(step: &Step<'_>, volumes: &[ClaimId]) -> Option<String> {
    let ledger = step.ledger();
    volumes.iter().find_map(|id| {
        if let Some(claim) = ledger.claims.get(id) {
            return Some(format!(
                "volume {id} is claimed already, as {}; see `holdfast claim show {id}`",
                what(&claim.resource)
            ));
        }
        let trashed = ledger.trash.get(id)?;
        Some(format!(
            "volume {id} lies in the trash of this agent, as {}; bring it back with `holdfast volume undelete {id}`",
            what(&trashed.claim.resource)
        ))
    })
}

fn adopted_resource(operation: &OperationRecord) -> Option<&Resource> {
    let Action::Claim(action) = &operation.operation.action else { return None };
    let mut creates = action.steps().iter().filter(|it| matches!(it, ClaimAction::Create(_)));
    creates.next()?.resources().first()
}

/// Where a claim came from: its label is of the generation that it has now.
pub(super) fn tell_history(claim: &mut Claim, filling: &Filling) {
    let (generation, what) = match filling {
        Filling::Orphan { generation, .. } => (generation.saturating_add(1), "adopted".to_owned()),
        Filling::Directory(path) => (1, format!("adopted from {path}")),
    };
    claim.generation = generation;
    let made = claim.history.pop().expect("a claim that was just made has a history");
    claim.history = vec![ClaimEvent { generation: claim.generation, what, ..made }];
}

/// It is written down.
pub(super) fn adopted(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    volumes: &[ClaimId],
) {
    for id in volumes {
        let Some(claim) = step.ledger().claims.get(id).cloned() else { continue };
        let by = claim.history.last().map_or("", |it| it.by.as_str());
        step.log(format!("volume {} is adopted by {by} as {}", claim.id, claim.resource));
        disks.note_adopted(&claim);
    }
    // Nothing of it was believed before.
    master.want_report(ReportWish::News);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Effect;
    use crate::testbed::{labelled, reserved_disk, volume_named, Bed, DB_VOLUME};
    use crate::{Input, TrashFound};
    use holdfast_model::{
        AgentChange, ClaimState, Expected, OperationState, OperationUuid, Order, Ownership, Role,
        TaskState, Together, VolumeLimit,
    };
    use uuid::Uuid;
    use OperationState::{Failed, Finished};

    const ORPHAN: ClaimId = ClaimId(Uuid::from_u128(0x0f));

    /// An agent with an orphan on its disk.
    fn with_orphan() -> Bed {
        let mut bed = Bed::registered();
        bed.acknowledges = true;
        bed.volumes.insert(ORPHAN);
        look(&mut bed);
        bed
    }

    fn look(bed: &mut Bed) {
        let found = TrashFound { volumes: vec![labelled(ORPHAN)], ..TrashFound::default() };
        bed.input(Input::TrashFound(bed.machine.disks[1].disk.id, found));
    }

    fn order(volume: &Resource, number: u128) -> (OperationUuid, Order) {
        let Action::Claim(reserve) = Bed::reserve(volume.without_volume().unallocated()) else {
            panic!("it is a change of claims")
        };
        let together = Together {
            by: "ops".to_owned(),
            steps: vec![reserve, ClaimAction::Create(vec![volume.clone()])],
            expected: Expected::default(),
            filling: Some(Box::new(Filling::Orphan { volume: ORPHAN, generation: 1 })),
        };
        let uuid = OperationUuid(Uuid::from_u128(number));
        let ownership = Some(Ownership::default());
        (uuid, Order::AdoptVolume { uuid, together, ownership })
    }

    fn adopt(bed: &mut Bed, volume: &Resource, number: u128) -> (Option<OperationState>, String) {
        let (uuid, order) = order(volume, number);
        bed.order(order);
        bed.settle();
        (bed.outcome(uuid), bed.why(uuid))
    }

    fn is_made_anew(bed: &Bed) -> bool {
        bed.seen.iter().any(|it| matches!(it, Effect::MakeVolume(label) if label.claim == ORPHAN))
    }

    #[test]
    fn an_orphan_becomes_the_volume_of_a_claim_under_its_own_id_with_its_data() {
        let mut bed = with_orphan();
        let (done, why) = adopt(&mut bed, &volume_named(DB_VOLUME, 60), 1);
        assert_eq!(done, Some(Finished), "{why}");
        let claim = bed.claim(DB_VOLUME);
        assert_eq!((claim.id, claim.state, claim.generation), (ORPHAN, ClaimState::Ready, 2));
        let events: Vec<_> =
            claim.history.iter().map(|it| (it.what.as_str(), it.by.as_str())).collect();
        assert_eq!(events, [("adopted", "ops")]);
        assert!(!is_made_anew(&bed) && bed.agent.faults().is_empty());
        let label = crate::bookkeeping::records::label(&claim).unwrap();
        assert!(
            bed.seen.iter().any(|it| matches!(it, Effect::AdoptVolume(its, _) if *its == label)),
            "what is written on it is what its claim says"
        );
        let report = bed.reports().pop().unwrap();
        assert!(
            report.claims.contains(&claim) && report.disks.iter().all(|it| it.orphans.is_empty())
        );
        bed.launch_command("t", std::slice::from_ref(&claim.resource));
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
        let (done, why) = adopt(&mut bed, &volume_named("twice", 60), 2);
        assert!(done == Some(Failed) && why.contains("is claimed already"), "{why}");
    }

    #[test]
    fn one_that_several_tasks_may_use_stays_such_and_its_label_says_so() {
        let mut bed = with_orphan();
        let mut shared = volume_named(DB_VOLUME, 60);
        shared.identity.shared = true;
        let (done, why) = adopt(&mut bed, &shared, 1);
        assert_eq!(done, Some(Finished), "{why}");
        let is_adopted = |it: &Effect| matches!(it, Effect::AdoptVolume(label, _) if label.shared);
        assert!(bed.seen.iter().any(is_adopted));
        assert!(bed.claim(DB_VOLUME).resource.identity.shared);
    }

    #[test]
    fn it_may_be_of_another_role_and_have_another_name_and_size() {
        let mut bed = with_orphan();
        let mut reservation = crate::testbed::reservation();
        reservation.role = Role::parse("other").unwrap();
        let disk = crate::testbed::amount("disk", 40).on(holdfast_model::Source::path("/d1"));
        let id = holdfast_model::PersistenceId::parse("renamed").unwrap();
        let volume = disk.reserved(reservation).volume(id, "data", None);
        let (done, why) = adopt(&mut bed, &volume, 1);
        assert_eq!(done, Some(Finished), "{why}");
        assert_eq!((bed.claim("renamed").id, bed.claim("renamed").resource), (ORPHAN, volume));
    }

    #[test]
    fn a_crash_anywhere_leaves_an_orphan_or_its_claim_and_makes_nothing() {
        for crash_in in 0.. {
            let mut bed = with_orphan();
            bed.crash_in = Some(crash_in);
            let (uuid, order) = order(&volume_named(DB_VOLUME, 60), 1);
            bed.order(order.clone());
            bed.settle();
            let is_adopted = |bed: &Bed| bed.find_claim(DB_VOLUME).is_some();
            assert!(bed.volumes.contains(&ORPHAN) && !is_made_anew(&bed), "crash {crash_in}");
            assert!(bed.outcome(uuid) != Some(Finished) || is_adopted(&bed));
            let crashed = bed.crashes;
            bed.crash_in = None;
            if !is_adopted(&bed) {
                look(&mut bed);
                bed.order(order);
                bed.settle();
            }
            assert_eq!(bed.claim(DB_VOLUME).id, ORPHAN, "crash {crash_in}");
            assert_eq!(bed.durable.claims.values().filter(|it| it.is_volume()).count(), 1);
            if crashed == 0 {
                assert!(2 < crash_in);
                break;
            }
        }
    }

    #[test]
    fn what_stands_in_the_way_is_named_and_the_orphan_stays_one() {
        let refused = |bed: &mut Bed, volume: &Resource, words: &str| {
            let claims = bed.durable.claims.clone();
            let number = 100 + u128::try_from(bed.operations.len()).unwrap();
            let (done, why) = adopt(bed, volume, number);
            assert!(done == Some(Failed) && why.contains(words), "{done:?} {why}");
            assert_eq!(bed.durable.claims, claims);
            let trashes = |it: &Effect| matches!(it, Effect::TrashVolume(it) if it.claim == ORPHAN);
            assert!(bed.volumes.contains(&ORPHAN) && !bed.seen.iter().any(trashes));
        };
        let volume = volume_named(DB_VOLUME, 60);
        let mut bed = Bed::registered();
        bed.volumes.insert(ORPHAN);
        let found = TrashFound::default();
        bed.input(Input::TrashFound(bed.machine.disks[1].disk.id, found));
        refused(&mut bed, &volume, "its label is damaged, of another disk or of another cluster");
        let mut bed = with_orphan();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        bed.input(Input::Opened(bed.machine.clone()));
        refused(&mut bed, &volume, "not mounted");
        let mut bed = with_orphan();
        bed.reserve_and_create();
        refused(&mut bed, &volume, "already has a volume of this name");
        refused(&mut bed, &volume_named("large", 950), "of which 100 MB are claimed by");
        let mut bed = with_orphan();
        bed.failures = 1;
        refused(&mut bed, &volume, "no space left");
        let mut bed = with_orphan();
        bed.launch_command(
            "t",
            &[crate::testbed::amount("disk", 950).on(holdfast_model::Source::path("/d1"))],
        );
        bed.settle();
        refused(&mut bed, &volume, "is in use by task `t`");
    }

    /// What an orphan uses is not free: of a full disk nothing could be adopted otherwise.
    #[test]
    fn what_an_orphan_uses_already_need_not_be_free() {
        let mut bed = with_orphan();
        bed.measured(VolumeLimit::None, &[]);
        let space = bed.machine.disks[1].space.as_mut().unwrap();
        (space.free_mb, space.used.as_mut().unwrap().free_mb) = (30, 30);
        bed.input(Input::Opened(bed.machine.clone()));
        let (done, why) = adopt(&mut bed, &volume_named(DB_VOLUME, 60), 1);
        assert!(
            done == Some(Failed) && why.contains("not so large"),
            "30 MB are free, and it has 20: {why}"
        );
        let (done, why) = adopt(&mut bed, &volume_named(DB_VOLUME, 45), 2);
        assert_eq!(done, Some(Finished), "{why}");
        assert!(bed.agent.faults().is_empty() && bed.claim(DB_VOLUME).id == ORPHAN);
        let total = bed.agent.total().clone();
        let left = total.get(&reserved_disk(1).identity.base());
        assert!(left.is_none(), "nothing is left to be claimed: {total}");
        let written = bed.seen.iter().any(|it| matches!(it, Effect::Commit { changes, .. } if changes.iter().any(|it| matches!(it, AgentChange::Claim(it) if it.id == ORPHAN))));
        assert!(written);
    }

    fn adopt_directory(bed: &mut Bed, path: &str) -> (Option<OperationState>, String) {
        let number = 500 + u128::try_from(bed.operations.len()).unwrap();
        let (uuid, order) = order(&volume_named("data", 60), number);
        let Order::AdoptVolume { mut together, ownership, .. } = order else { panic!() };
        together.filling = Some(Box::new(Filling::Directory(path.to_owned())));
        bed.order(Order::AdoptDirectory { uuid, together, ownership });
        bed.settle();
        (bed.outcome(uuid), bed.why(uuid))
    }

    #[test]
    fn a_directory_becomes_a_volume_of_a_new_claim() {
        let mut bed = Bed::registered();
        let (done, why) = adopt_directory(&mut bed, "/data/old");
        assert_eq!(done, Some(Finished), "{why}");
        let claim = bed.claim("data");
        assert_eq!(claim.history[0].what, "adopted from /data/old");
        let label = crate::bookkeeping::records::label(&claim).unwrap();
        let is_it = |it: &Effect| matches!(it, Effect::AdoptVolume(its, from) if *its == label && from.directory.is_some());
        assert!(bed.seen.iter().any(is_it), "what is written on it is what its claim says");
        assert!(!bed.seen.iter().any(|it| matches!(it, Effect::MakeVolume(_))));
        assert!(bed.agent.faults().is_empty());
    }

    #[test]
    fn a_crash_anywhere_leaves_a_directory_or_its_claim_and_makes_nothing() {
        for crash_in in 0.. {
            let mut bed = Bed::registered();
            bed.crash_in = Some(crash_in);
            let (done, _) = adopt_directory(&mut bed, "/data/old");
            assert!(!bed.seen.iter().any(|it| matches!(it, Effect::MakeVolume(_))));
            let claim = bed.find_claim("data");
            assert!(done != Some(Finished) || claim.is_some(), "crash {crash_in}");
            assert!(claim.is_none_or(|it| bed.volumes.contains(&it.id)), "crash {crash_in}");
            if bed.crashes == 0 {
                assert!(2 < crash_in);
                break;
            }
        }
    }

    #[test]
    fn our_own_folders_and_what_holds_a_disk_are_no_data_to_adopt() {
        let mut bed = Bed::registered();
        for (path, words) in [
            ("/d1/holdfast/volumes/x", "lies in /d1/holdfast"),
            ("/var/lib/holdfast/slaves", "lies in /var/lib/holdfast"),
            ("/d1", "holds disk"),
            ("/", "holds disk"),
        ] {
            let (done, why) = adopt_directory(&mut bed, path);
            assert!(done == Some(Failed) && why.contains(words), "{path}: {why}");
        }
        assert!(bed.durable.claims.is_empty());
    }

    #[test]
    fn data_that_were_moved_and_cannot_be_claimed_after_all_are_an_orphan_that_is_named() {
        let mut bed = Bed::registered();
        let (uuid, order) = order(&volume_named("data", 60), 1);
        let Order::AdoptVolume { mut together, ownership, .. } = order else { panic!() };
        together.filling = Some(Box::new(Filling::Directory("/data/old".to_owned())));
        bed.order(Order::AdoptDirectory { uuid, together, ownership });
        bed.apply(vec![Bed::reserve(reserved_disk(980))]); // It is quicker than the move.
        bed.settle();
        assert_eq!(bed.outcome(uuid), Some(Failed));
        let id = *bed.volumes.first().unwrap();
        assert!(bed.why(uuid).contains(&format!("are in volume {id} now")), "{}", bed.why(uuid));
        assert!(!bed.seen.iter().any(|it| matches!(it, Effect::TrashVolume(_))));
        bed.relink();
        let report = bed.reports().pop().unwrap();
        assert!(report.disks.iter().any(|it| it.orphans.iter().any(|it| it.id == id)));
    }
}
