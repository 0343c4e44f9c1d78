//! Destroyed volumes in the trash: removed when it is time, or brought back.
//!
//! Relies on the drivers to say when the space is needed or the time is over. Two things are never done: nothing is removed before it is
//! written down that it will be, so that half a volume is never brought back; and what is being brought back is not removed.

use std::collections::BTreeSet;

use holdfast_model::{
    Action, AgentChange, Claim, ClaimAction, ClaimId, ClaimState, DiskId, LabelledVolume,
    Operation, OperationRecord, OperationState, OperationUuid, Ownership, TrashedVolume,
    ORPHANS_NAMED_MAX,
};

use crate::bookkeeping::claims::{plan, Plan};
use crate::bookkeeping::looks::is_lost;
use crate::bookkeeping::records::label;
use crate::bookkeeping::telling::{tell_operation, tell_space};
use crate::bookkeeping::Step;
use crate::contract::{Effect, TrashFound};
use crate::flows::settling::settle;
use crate::parts::{Containers, Disks, MasterLink, ReportWish, Waiting};

/// The drivers want the space of a destroyed volume, or its time is over.
pub(crate) fn trash_due(step: &mut Step<'_>, disk: DiskId, id: ClaimId, is_aged: bool) {
    if is_lost(step.ledger()) {
        return; // Nothing is known of it yet.
    }
    if step.ledger().claims.contains_key(&id) {
        return; // It is being brought back, or on its way there for the second time.
    }
    match step.ledger().trash.get(&id).cloned() {
        Some(volume) => begin_removal(step, volume),
        // No record was kept of it: it was destroyed by an earlier version of the agent. Nobody can bring it back, but it has its time.
        None if is_aged => step.push(Effect::PurgeTrash(disk, id)),
        None => {}
    }
}

/// Nothing of it is left.
pub(crate) fn trash_purged(step: &mut Step<'_>, id: ClaimId) {
    if step.ledger().trash.get(&id).is_some_and(|it| it.purging) {
        step.commit(vec![AgentChange::TrashGone(id)]);
    }
}

/// What lies in the trash of a disk that was just opened is compared with what is written down.
pub(crate) fn trash_found(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    disk: DiskId,
    found: TrashFound,
) {
    tell_resized(step, disk);
    let TrashFound { trashed, volumes: labelled, images: _ } = found;
    let trashed: BTreeSet<ClaimId> = trashed.into_iter().collect();
    let volumes: BTreeSet<ClaimId> = labelled.iter().map(|it| it.id).collect();
    note_orphans(step, disks, master, disk, labelled);
    let known: Vec<TrashedVolume> =
        step.ledger().trash.values().filter(|it| it.claim.disk == Some(disk)).cloned().collect();
    for volume in known {
        let id = volume.claim.id;
        if step.ledger().claims.contains_key(&id) || trashed.contains(&id) {
            continue;
        }
        if volumes.contains(&id) {
            // It was to be brought back, which failed half-way, and nobody was promised it.
            step.log(format!("{} goes back to the trash", volume.claim.resource));
            step.extend(label(&volume.claim).map(Effect::TrashVolume));
        } else if !volume.purging {
            step.log(format!("{} is not in the trash any more", volume.claim.resource));
            step.commit(vec![AgentChange::TrashGone(id)]);
        }
    }
    for id in trashed {
        let ledger = step.ledger();
        if !ledger.trash.contains_key(&id) && !ledger.claims.contains_key(&id) {
            let line = format!("volume {id} in the trash of disk {disk} has no record; it cannot be brought back, and is kept for its time");
            step.log(line);
        }
    }
}

/// Whole volumes that no claim stands for are named, and left as they are. One that is kept as destroyed goes back to the trash.
fn note_orphans(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    disk: DiskId,
    volumes: Vec<LabelledVolume>,
) {
    let ledger = step.ledger();
    let is_orphan = |it: &LabelledVolume| {
        !ledger.claims.contains_key(&it.id) && !ledger.trash.contains_key(&it.id)
    };
    let orphans: Vec<LabelledVolume> = volumes.into_iter().filter(is_orphan).collect();
    let is_known = ledger.disks.contains_key(&disk);
    let is_news = disks.volumes_mut().set_orphans(disk, orphans.clone());
    if is_news && is_lost(step.ledger()) {
        master.want_report(ReportWish::News);
    }
    if !is_news || !is_known {
        return; // It is not news, or another one's disk.
    }
    for it in orphans.iter().take(ORPHANS_NAMED_MAX) {
        let LabelledVolume { id, persistence, role, .. } = it;
        step.log(format!("volume {id} (`{persistence}` of role {role}) on disk {disk} is an orphan: no claim stands for it; it is left as it is"));
    }
    if disks.machine().is_some() {
        tell_space(step, disks, master);
    }
}

/// The labels on a disk say how large its volumes were when they were made.
fn tell_resized(step: &mut Step<'_>, disk: DiskId) {
    let is_changed = |it: &&Claim| {
        it.disk == Some(disk)
            && it.state != ClaimState::Destroying
            && it.history.first().is_some_and(|made| made.generation < it.generation)
    };
    let changed = step.ledger().claims.values().filter(is_changed);
    let resized: Vec<Effect> = changed.filter_map(label).map(Effect::ResizeVolume).collect();
    step.extend(resized);
}

/// An operator wants it removed now.
pub(crate) fn purge(step: &mut Step<'_>, id: ClaimId, by: &str) {
    let volume = step.ledger().trash.get(&id).cloned();
    match volume.filter(|_| !step.ledger().claims.contains_key(&id)) {
        Some(volume) => {
            step.log(format!("{by} has {} removed from the trash", volume.claim.resource));
            begin_removal(step, volume);
        }
        None => step.log(format!("{by} wants volume {id} removed, which is not in the trash")),
    }
}

/// Writes down that there is no way back, then has it removed.
fn begin_removal(step: &mut Step<'_>, volume: TrashedVolume) {
    let (id, disk) = (volume.claim.id, volume.claim.disk);
    if !volume.purging {
        step.commit(vec![AgentChange::Trashed(TrashedVolume { purging: true, ..volume })]);
    }
    step.extend(disk.map(|disk| Effect::PurgeTrash(disk, id)));
}

/// Brings a destroyed volume back.
pub(crate) fn undelete(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    master: &mut MasterLink,
    waiting: &Waiting,
    (uuid, id, by): (OperationUuid, ClaimId, &str),
) {
    if !master.note_operation(uuid) || step.ledger().operations.contains_key(&uuid) {
        return tell_operation(step, master, uuid); // It was done before; it is not done twice.
    }
    let volumes = step.ledger().trash.get(&id).map(|it| vec![it.claim.resource.clone()]);
    let action = ClaimAction::Create(volumes.unwrap_or_default());
    let operation = OperationRecord {
        uuid,
        framework: None,
        operation: Operation { id: None, action: Action::Claim(action.clone()) },
        state: OperationState::Pending,
        message: None,
        status: None,
        claims: vec![id],
        endings: Vec::new(),
        making: Vec::new(),
        ownership: Some(Ownership::default()),
    };
    match find(step, id) {
        Ok(volume) => match plan(step, disks, containers, waiting, &operation) {
            Plan::Do => bring_back(step, disks, operation, &action, &volume, by),
            Plan::Refuse(state, why) => settle(step, master, operation, state, Some(why)),
            Plan::Wait => {
                let why = "what it needs is still under way; try again".to_owned();
                settle(step, master, operation, OperationState::Failed, Some(why));
            }
        },
        Err(NotThere::Back) => settle(step, master, operation, OperationState::Finished, None),
        Err(NotThere::Gone(why)) => {
            settle(step, master, operation, OperationState::Failed, Some(why))
        }
    }
}

/// Why a destroyed volume cannot be brought back.
enum NotThere {
    /// It is back, or will be.
    Back,
    Gone(String),
}

fn find(step: &Step<'_>, id: ClaimId) -> Result<TrashedVolume, NotThere> {
    let ledger = step.ledger();
    if let Some(claim) = ledger.claims.get(&id) {
        return Err(match claim.state {
            ClaimState::Destroying => {
                NotThere::Gone(format!("{} is just being destroyed; try again", claim.resource))
            }
            ClaimState::Making | ClaimState::Ready => NotThere::Back,
        });
    }
    match ledger.trash.get(&id) {
        Some(it) if it.purging => Err(NotThere::Gone(format!(
            "the removal of {} has begun; it cannot be brought back",
            it.claim.resource
        ))),
        Some(it) if ledger.operations_on(id).next().is_some() => Err(NotThere::Gone(format!(
            "{} was destroyed with others that are not in the trash yet; try again",
            it.claim.resource
        ))),
        Some(it) => Ok(it.clone()),
        None => Err(NotThere::Gone(format!("volume {id} is not in the trash of this agent"))),
    }
}

/// Takes the space as a CREATE would, and has the volume moved back to its place. Its record is kept until it is there.
fn bring_back(
    step: &mut Step<'_>,
    disks: &mut Disks,
    mut operation: OperationRecord,
    action: &ClaimAction,
    volume: &TrashedVolume,
    by: &str,
) {
    let asker = (operation.uuid, volume.claim.framework.as_ref());
    let changes = step.claim_changes(action, asker, &Ownership::default(), by);
    let mut changes = changes.expect("what comes back takes nothing away");
    let anew = changes.kept.extract_if(.., |it| it.is_volume()).next();
    let mut back = volume.claim.undeleted(step.now(), by);
    back.shares = anew.map(|it| it.shares).unwrap_or_default(); // Its space may come from others now.
    operation.claims = changes.kept.iter().chain(&changes.ended).map(|it| it.id).collect();
    operation.claims.push(back.id);
    operation.endings.clone_from(&changes.ended);
    disks.volumes_mut().begin_making(back.id);
    let work = label(&back).map(Effect::RestoreVolume);
    let mut batch: Vec<AgentChange> = changes.kept.into_iter().map(AgentChange::Claim).collect();
    batch.extend(changes.ended.into_iter().map(|it| AgentChange::ClaimGone(it.id)));
    batch.extend([AgentChange::Claim(back), AgentChange::Operation(operation)]);
    step.commit(batch);
    step.extend(work);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{reserved_disk, volume_named, Bed, DB_VOLUME};
    use crate::Input;
    use holdfast_model::{Claim, ClaimState, Order, ToMaster, TrashNews};

    /// A volume that was destroyed, and its claim as it was before.
    fn destroyed() -> (Bed, Claim) {
        let mut bed = Bed::registered();
        bed.acknowledges = true;
        bed.reserve_and_create();
        let claim = bed.claim(DB_VOLUME);
        bed.apply(vec![Bed::destroy(&[bed.volume()])]);
        bed.settle();
        assert!(bed.find_claim(DB_VOLUME).is_none() && bed.trash.contains(&claim.id));
        (bed, claim)
    }

    fn told(bed: &Bed) -> Vec<TrashNews> {
        let news = bed.seen.iter().filter_map(|it| match it {
            Effect::ToMaster(_, ToMaster::TrashNews(news)) => Some(news.clone()),
            _ => None,
        });
        news.collect()
    }

    #[test]
    fn the_very_claim_comes_back_with_its_history_its_holder_and_its_label() {
        let (mut bed, before) = destroyed();
        let record = bed.agent.ledger().trash[&before.id].clone();
        let last = record.claim.history.last().unwrap();
        assert_eq!((last.what.as_str(), last.by.as_str()), ("destroyed", "tester"));
        let total = bed.agent.total().clone();
        let uuid = bed.undelete(before.id);
        assert_eq!(bed.claim(DB_VOLUME).state, ClaimState::Making, "its bytes are not back yet");
        bed.settle();
        assert_eq!(bed.outcome(uuid), Some(OperationState::Finished));
        let back = bed.claim(DB_VOLUME);
        assert_eq!((back.id, &back.framework), (before.id, &before.framework));
        assert_eq!((back.created, &back.resource), (before.created, &before.resource));
        let what: Vec<&str> = back.history.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(what, ["created", "destroyed", "undeleted"]);
        assert_eq!(label(&back), label(&before), "what is written on it is still right");
        assert!(bed.volumes.contains(&back.id) && bed.agent.ledger().trash.is_empty());
        assert_ne!(bed.agent.total(), &total, "it takes its space again");
        let again = bed.undelete(before.id);
        assert_eq!(bed.outcome(again), Some(OperationState::Finished), "it may be asked twice");
        assert_eq!(bed.claim(DB_VOLUME), back);
    }

    #[test]
    fn what_stands_in_the_way_is_named_and_the_bytes_stay() {
        let (mut bed, claim) = destroyed();
        bed.apply(vec![Bed::create(&[volume_named(DB_VOLUME, 10)])]);
        bed.settle();
        let taken = bed.undelete(claim.id);
        assert!(bed.why(taken).contains("already has a volume of this name"), "{}", bed.why(taken));
        let (mut bed, claim) = destroyed();
        bed.apply(vec![Bed::create(&[volume_named("other", 60)])]);
        bed.settle();
        let full = bed.undelete(claim.id);
        assert!(bed.why(full).contains("not available"), "{}", bed.why(full));
        let (mut bed, claim) = destroyed();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        bed.input(Input::Opened(bed.machine.clone()));
        let away = bed.undelete(claim.id);
        assert!(bed.why(away).contains("not mounted"), "{}", bed.why(away));
        let unknown = bed.undelete(ClaimId(uuid::Uuid::from_u128(404)));
        assert!(bed.why(unknown).contains("is not in the trash"), "{}", bed.why(unknown));
        assert!(bed.trash.contains(&claim.id) && bed.agent.ledger().trash.len() == 1);
    }

    /// A storm found it: an operation that was to destroy it was not at its end, and had to say so of a volume that was there again.
    #[test]
    fn what_was_destroyed_with_others_comes_back_once_all_of_them_are_in_the_trash() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.apply(vec![Bed::create(&[volume_named("other", 10)])]);
        bed.settle();
        let (first, second) = (bed.claim(DB_VOLUME), bed.claim("other"));
        bed.apply(vec![Bed::destroy(&[bed.volume(), volume_named("other", 10)])]);
        let is_first = |it: &Input| matches!(it, Input::VolumeTrashed(id, _) if *id == first.id);
        let late = bed.answers.iter().position(|it| !is_first(it)).unwrap();
        let late = bed.answers.remove(late).unwrap();
        bed.settle();
        assert!(bed.find_claim(DB_VOLUME).is_none() && bed.find_claim("other").is_some());
        let refused = bed.undelete(first.id);
        assert!(bed.why(refused).contains("with others"), "{}", bed.why(refused));
        bed.answers.push_back(late);
        bed.settle();
        bed.undelete(first.id);
        bed.undelete(second.id);
        bed.settle();
        assert_eq!((bed.claim(DB_VOLUME).id, bed.claim("other").id), (first.id, second.id));
    }

    #[test]
    fn nothing_comes_back_once_its_removal_may_have_begun() {
        let (mut bed, claim) = destroyed();
        let disk = claim.disk.unwrap();
        bed.crash_in = Some(1); // After the commit, before the first byte goes.
        bed.input(Input::TrashDue(disk, claim.id, false));
        assert!(bed.durable.trash[&claim.id].purging && bed.trash.contains(&claim.id));
        let uuid = bed.undelete(claim.id);
        assert!(bed.why(uuid).contains("removal"), "{}", bed.why(uuid));
        bed.settle();
        assert!(bed.purged.contains(&claim.id), "it goes on by itself");
        assert!(bed.agent.ledger().trash.is_empty(), "its record ends with it");
    }

    #[test]
    fn what_is_being_brought_back_is_not_removed() {
        let (mut bed, claim) = destroyed();
        bed.undelete(claim.id);
        bed.input(Input::TrashDue(claim.disk.unwrap(), claim.id, true));
        bed.order(Order::PurgeTrash { claim: claim.id, by: "ops".to_owned() });
        bed.settle();
        assert_eq!(bed.claim(DB_VOLUME).state, ClaimState::Ready);
        assert!(bed.purged.is_empty());
    }

    #[test]
    fn a_crash_anywhere_leaves_it_in_the_trash_or_brings_it_back_and_never_makes_an_empty_one() {
        for crash_in in 0..12 {
            let (mut bed, claim) = destroyed();
            bed.crash_in = Some(crash_in);
            bed.undelete(claim.id);
            bed.settle();
            bed.crash_in = None;
            bed.crash();
            bed.settle();
            let is_back = bed.find_claim(DB_VOLUME).is_some_and(|it| it.id == claim.id);
            assert_eq!(is_back, bed.volumes.contains(&claim.id), "crash {crash_in}");
            assert_ne!(is_back, bed.agent.ledger().trash.contains_key(&claim.id));
            let made = bed.seen.iter().filter(|it| matches!(it, Effect::MakeVolume(_))).count();
            assert_eq!(made, 1, "crash {crash_in}: only when it was created");
        }
    }

    #[test]
    fn what_cannot_be_brought_back_stays_in_the_trash_and_its_space_stays_reserved() {
        let (mut bed, claim) = destroyed();
        let total = bed.agent.total().clone();
        bed.failures = 1;
        let uuid = bed.undelete(claim.id);
        bed.settle();
        assert_eq!(bed.outcome(uuid), Some(OperationState::Failed));
        assert_eq!((bed.agent.total(), bed.find_claim(DB_VOLUME)), (&total, None));
        assert!(bed.agent.ledger().trash.contains_key(&claim.id));
        // It was moved all the same, and nobody is promised it: it goes back.
        bed.trash.remove(&claim.id);
        bed.volumes.insert(claim.id);
        bed.crash();
        bed.settle();
        assert!(bed.trash.contains(&claim.id) && !bed.volumes.contains(&claim.id));
        bed.undelete(claim.id);
        bed.settle();
        assert_eq!(bed.claim(DB_VOLUME).state, ClaimState::Ready);
    }

    #[test]
    fn what_has_no_record_goes_when_its_time_is_over_and_not_before() {
        let (mut bed, disk) = (Bed::registered(), destroyed().1.disk.unwrap());
        let stray = ClaimId(uuid::Uuid::from_u128(404));
        bed.trash.insert(stray);
        bed.input(Input::TrashDue(disk, stray, false));
        assert!(bed.trash.contains(&stray));
        bed.input(Input::TrashDue(disk, stray, true));
        assert!(bed.purged.contains(&stray));
    }

    #[test]
    fn a_record_ends_when_the_bytes_were_taken_away_by_hand() {
        let (mut bed, claim) = destroyed();
        bed.trash.remove(&claim.id);
        bed.crash();
        bed.settle();
        assert!(bed.agent.ledger().trash.is_empty());
    }

    #[test]
    fn the_master_is_told_all_after_a_welcome_and_then_what_changes() {
        let (mut bed, claim) = destroyed();
        let before = told(&bed);
        assert!(before[0].whole && before[0].volumes.is_empty());
        let [.., last] = before.as_slice() else { panic!("nobody was told") };
        assert_eq!((last.whole, last.volumes.len(), last.gone.len()), (false, 1, 0));
        bed.apply(vec![Bed::reserve(reserved_disk(1))]);
        assert_eq!(told(&bed), before, "nothing has changed");
        bed.relink();
        let all = told(&bed).pop().unwrap();
        assert!(all.whole && all.volumes[0].claim.id == claim.id, "{all:?}");
        bed.undelete(claim.id);
        bed.settle();
        assert_eq!(told(&bed).pop().unwrap().gone, [claim.id]);
    }

    #[test]
    fn a_whole_volume_that_no_claim_stands_for_is_named_and_left_as_it_is() {
        let (mut bed, before) = destroyed();
        let disk = bed.machine.disks[1].disk.id;
        let orphan = ClaimId(uuid::Uuid::from_u128(0x0f));
        let told = |bed: &Bed| -> Vec<ClaimId> {
            let disks = bed.seen.iter().rev().find_map(|it| match it {
                Effect::ToMaster(_, ToMaster::SpaceNews(news)) => Some(&news.disks),
                Effect::ToMaster(_, ToMaster::Report(report)) => Some(&report.disks),
                _ => None,
            });
            let its = disks.unwrap().iter().find(|it| it.disk.id == disk).unwrap();
            its.orphans.iter().map(|it| it.id).collect()
        };
        let found = |ids: &[ClaimId]| TrashFound {
            trashed: [before.id].into_iter().filter(|it| !ids.contains(it)).collect(),
            volumes: ids.iter().map(|it| crate::testbed::labelled(*it)).collect(),
            images: Vec::new(),
        };
        bed.input(Input::TrashFound(disk, found(&[])));
        assert_eq!(told(&bed), []);
        let ledger = bed.agent.ledger().clone();
        bed.input(Input::TrashFound(disk, found(&[orphan])));
        assert_eq!(told(&bed), [orphan]);
        assert_eq!(bed.agent.ledger().claims, ledger.claims, "nobody is promised it");
        let touches = |it: &Effect| matches!(it, Effect::TrashVolume(it) | Effect::MakeVolume(it) if it.claim == orphan);
        assert!(!bed.seen.iter().any(touches), "it is left as it is");
        // What is claimed, or goes back to the trash, is none.
        let known: Vec<ClaimId> = ledger.claims.keys().copied().chain([before.id]).collect();
        bed.input(Input::TrashFound(disk, found(&known)));
        assert_eq!(told(&bed), []);
        // So many that only the first are named.
        let many: Vec<ClaimId> =
            (0..130u128).map(|it| ClaimId(uuid::Uuid::from_u128(0xf00 + it))).collect();
        bed.input(Input::TrashFound(disk, found(&many)));
        assert_eq!(told(&bed).len(), ORPHANS_NAMED_MAX);
        bed.relink();
        bed.welcome();
        let report = bed.reports().pop().unwrap();
        let its = report.disks.iter().find(|it| it.disk.id == disk).unwrap();
        assert_eq!((its.orphans.len(), its.more_orphans), (ORPHANS_NAMED_MAX, 30));
    }
}
