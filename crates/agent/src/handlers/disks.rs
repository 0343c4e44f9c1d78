//! The agent's disks: which are there, what is wrong with those that are not, and what that means for
//! the claims on them.
//!
//! A disk that is away keeps its claims, and gets no new ones. When it comes back, they are whole again
//! without anybody's help. Never drops a record of a disk that carries a claim.

use std::collections::BTreeMap;

use holdfast_model::{claim, AgentChange, AgentLedger, DiskId, DiskKind, DiskRecord};

use super::adopt_disk::{adopt_found, drop_left_places};
use super::disk_changes::{accept, drop_unfit, tell_outcomes};
use super::leave_disk::{leave_looked_at, name_moved};
use super::take_disk::take_found;
use crate::bookkeeping::looks::{check_faulty_volumes, look_again_later, work_on_volumes};
use crate::bookkeeping::records::lies_on;
use crate::bookkeeping::telling::tell_space;
use crate::bookkeeping::Step;
use crate::contract::{DiskFound, Machine};
use crate::flows::fitting::fit_to_space;
use crate::parts::{Containers, Disks, MasterLink, ReportWish, Topic};

pub(crate) fn opened(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    master: &mut MasterLink,
    mut machine: Machine,
) {
    let was_asked = disks.is_opening();
    disks.end_opening();
    if step.ledger().identity.cluster.is_none() {
        return step
            .log("the disks were opened before a cluster is known; what was found is ignored");
    }
    step.stir(Topic::Disks); // What waited for this look can go on, or ends.
    let mut outcomes = drop_unfit(step, disks, &mut machine);
    adopt_found(step, disks, containers, &mut machine, &mut outcomes);
    take_found(step, disks, &mut machine, &mut outcomes);
    drop_left_places(step, &mut machine);
    name_moved(step, disks, &mut machine);
    let (mut changes, faults) = compare_disks(step.ledger(), &machine.disks);
    changes.extend(accept(step, disks, &mut machine, &faults, &mut outcomes));
    if changes.is_empty() && disks.is_as_found(&machine, &faults) {
        disks.set_found(machine, faults);
        fit_to_space(step, disks, master);
        if was_asked {
            check_faulty_volumes(step, disks);
            look_again_later(step, disks);
        }
        tell_outcomes(step, disks, master, outcomes);
        leave_looked_at(step, disks, containers, master);
        return; // Else there was news of the space on them, and the next look is due when it was.
    }
    for (disk, fault) in &faults {
        if disks.fault(*disk) != Some(fault) {
            step.log(format!("disk {disk}: {fault}"));
        }
    }
    forget_stale_faults(step, disks, &faults);
    disks.set_found(machine, faults);
    step.commit(changes);
    master.want_report(ReportWish::News);
    fit_to_space(step, disks, master);
    note_drifts(step, disks);
    work_on_volumes(step, disks);
    look_again_later(step, disks);
    tell_outcomes(step, disks, master, outcomes);
    leave_looked_at(step, disks, containers, master);
}

/// The agent's own file system is nearly full, or there is room again.
pub(crate) fn room_changed(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    full: Option<String>,
) {
    if disks.full() != full.as_ref() {
        disks.set_full(full);
        if disks.machine().is_some() {
            tell_space(step, disks, master);
        }
    }
}

/// What was wrong with a volume when its disk was away says nothing about it now; it is checked anew.
fn forget_stale_faults(step: &Step<'_>, disks: &mut Disks, faults: &BTreeMap<DiskId, String>) {
    for id in disks.volumes().faulty() {
        let claim = step.ledger().claims.get(&id);
        let disk = claim.and_then(|it| it.disk);
        let mended = disk.is_some_and(|it| disks.fault(it).is_some() && !faults.contains_key(&it));
        if claim.is_none() || mended {
            disks.volumes_mut().forget_fault(id);
        }
    }
}

/// Tells of whole disks that are no longer as large as their claims say. That is no fault: the bytes are there.
fn note_drifts(step: &mut Step<'_>, disks: &mut Disks) {
    let Some(machine) = disks.machine() else { return };
    let drifts = claim::drifts(&machine.resources, &step.ledger().claims);
    for (id, now) in disks.note_drifts(drifts) {
        let (resource, now) = (&step.ledger().claims[&id].resource, now.quantity());
        let line = format!(
            "{resource}: its disk has {now} MB now; the claim keeps the size that it was made with"
        );
        step.log(line);
    }
}

/// What to write down about disks, and what is wrong with those of the ledger.
fn compare_disks(
    ledger: &AgentLedger,
    found: &[DiskFound],
) -> (Vec<AgentChange>, BTreeMap<DiskId, String>) {
    let (mut changes, mut faults, mut seen) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    // A disk that is not where it was and well somewhere else has moved; it has no copy.
    let has_moved = |it: &&DiskFound| {
        let is_it = |other: &DiskFound| other.disk.id == it.disk.id && other.fault.is_none();
        it.fault.is_some() && found.iter().any(is_it)
    };
    for DiskFound { disk, fault, .. } in found.iter().filter(|it| !has_moved(it)) {
        if let Some(other) = seen.insert(disk.id, disk.root.clone()) {
            let why = format!("{other} and {} bear the same label; one is a copy of the other: take one of them away", disk.root);
            faults.insert(disk.id, why);
            continue;
        }
        let old = ledger.disks.get(&disk.id);
        let moved = old.filter(|old| {
            (old.kind, &old.root) != (disk.kind, &disk.root) && carries_claims(ledger, old)
        });
        if let Some(fault) = fault {
            faults.insert(disk.id, fault.clone());
        } else if let Some(old) = moved {
            let why = format!(
                "it is found at {}, and its claims name {}, as a disk of type {}; mount it there again: they are whole as soon as it is; or have them follow it: `holdfast disk adopt`",
                disk.root,
                old.root,
                match old.kind {
                    DiskKind::Root => "root",
                    DiskKind::Path => "path",
                    DiskKind::Mount => "mount",
                }
            );
            faults.insert(disk.id, why);
        } else if old != Some(disk) {
            changes.push(AgentChange::Disk(disk.clone()));
        }
    }
    for old in ledger.disks.values().filter(|it| !seen.contains_key(&it.id)) {
        if carries_claims(ledger, old) {
            faults.insert(
                old.id,
                format!("none of the disks that the agent's settings name is this one (it was at {}); attach it again, or name it again: its claims are kept", old.root),
            );
        } else {
            changes.push(AgentChange::DiskGone(old.id));
        }
    }
    for place in ledger.left_places.values().filter(|it| ledger.disks.contains_key(&it.disk)) {
        if let Some(to) = &place.to {
            let why = format!("it is being moved to agent {to}, and is not used here any more");
            faults.insert(place.disk, why);
        }
    }
    (changes, faults)
}

fn carries_claims(ledger: &AgentLedger, disk: &DiskRecord) -> bool {
    ledger.claims.values().any(|it| lies_on(it, disk))
}

#[cfg(test)]
mod tests {
    use crate::contract::{Effect, FoundSpace, UsedSpace};
    use crate::testbed::{reserved_disk, Bed, DB_VOLUME};
    use holdfast_model::{
        ClaimState, Identity, PersistenceId, Scalar, Source, TaskState, ToMaster, VolumeLimit,
    };
    use std::sync::Arc;

    #[test]
    fn a_missing_disk_keeps_its_claims_and_refuses_launches() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let claims = bed.agent.ledger().claims.clone();
        bed.machine.disks.retain(|it| it.disk.root != "/d1");
        bed.input(crate::Input::Opened(bed.machine.clone()));
        assert_eq!(bed.agent.ledger().claims, claims);
        assert_eq!(bed.agent.ledger().disks.len(), 3, "a disk with claims is not forgotten");
        let faults = bed.reports().pop().unwrap().faults;
        assert!(faults.iter().any(|(_, why)| why.contains("attach it again")), "{faults:?}");
        bed.launch_command("t1", &[bed.volume()]);
        bed.settle();
        assert_eq!(bed.task_state("t1"), Some(TaskState::Failed));
        assert!(bed.last_status("t1").message.unwrap().contains("attach it again"));
        assert!(!bed.seen.iter().any(|it| matches!(it, Effect::StartContainer(_))));
    }

    #[test]
    fn a_disk_that_comes_back_makes_its_claims_whole() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let whole = bed.machine.clone();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        bed.input(crate::Input::Opened(bed.machine.clone()));
        bed.settle();
        assert!(!bed.agent.faults().is_empty());
        bed.input(crate::Input::Opened(whole));
        bed.settle();
        assert!(bed.agent.faults().is_empty() && bed.reports().pop().unwrap().faults.is_empty());
        bed.launch_command("t1", &[bed.volume()]);
        bed.settle();
        assert_eq!(bed.task_state("t1"), Some(TaskState::Running));
    }

    #[test]
    fn a_disk_that_is_found_elsewhere_has_moved_and_is_no_copy_of_itself() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let (claims, whole) = (bed.agent.ledger().claims.clone(), bed.machine.clone());
        let mut moved = bed.machine.disks[1].clone();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        moved.disk.root = "/elsewhere".to_owned();
        bed.machine.disks.push(moved);
        bed.input(crate::Input::Opened(bed.machine.clone()));
        bed.settle();
        let faults = bed.agent.faults();
        let is_told =
            |why: &str| why.contains("it is found at /elsewhere, and its claims name /d1");
        assert!(faults.len() == 2 && faults.iter().all(|(_, why)| is_told(why)), "{faults:?}");
        assert_eq!(bed.agent.ledger().claims, claims);
        bed.machine = whole.clone();
        bed.input(crate::Input::Opened(whole));
        bed.settle();
        assert!(bed.agent.faults().is_empty());
    }

    #[test]
    fn a_volume_that_is_not_whole_is_named_and_its_launch_refused() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let id = bed.claim(DB_VOLUME).id;
        let volumes = std::mem::take(&mut bed.volumes);
        bed.input(crate::Input::VolumeChecked(
            id,
            Err("its label is of another volume".to_owned()),
        ));
        assert_eq!(
            bed.reports().pop().unwrap().faults,
            vec![(id, "its label is of another volume".to_owned())]
        );
        bed.launch_command("t1", &[bed.volume()]);
        assert_eq!(bed.task_state("t1"), None, "it is looked at again first");
        bed.settle();
        assert_eq!(bed.task_state("t1"), Some(TaskState::Failed));
        bed.volumes = volumes;
        bed.launch_command("t2", &[bed.volume()]);
        bed.settle();
        assert_eq!(bed.task_state("t2"), Some(TaskState::Running));
        assert!(bed.reports().pop().unwrap().faults.is_empty());
    }

    #[test]
    fn what_was_missing_at_a_start_is_looked_at_again_before_the_next_launch_is_refused() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let volumes = std::mem::take(&mut bed.volumes);
        bed.launch_command("t1", &[bed.volume()]);
        bed.settle();
        assert_eq!((bed.task_state("t1"), bed.agent.faults().len()), (Some(TaskState::Failed), 1));
        bed.volumes = volumes;
        bed.launch_command("t2", &[bed.volume()]);
        bed.settle();
        assert_eq!((bed.task_state("t2"), bed.agent.faults().len()), (Some(TaskState::Running), 0));
    }

    #[test]
    fn a_volume_that_is_put_back_is_whole_again_after_a_while() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let volumes = std::mem::take(&mut bed.volumes);
        bed.launch_command("t1", &[bed.volume()]);
        bed.settle();
        bed.volumes = volumes;
        bed.pass_ms(5_000);
        bed.settle();
        assert!(bed.agent.faults().is_empty() && bed.reports().pop().unwrap().faults.is_empty());
    }

    #[test]
    fn a_disk_that_goes_and_comes_back_is_noticed_without_anybody_saying_so() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        bed.pass_ms(10_000);
        bed.settle();
        assert_eq!(
            bed.reports().pop().unwrap().faults.len(),
            2,
            "the volume, and what is left of the reservation"
        );
        let reports = bed.reports().len();
        bed.pass_ms(5_000);
        bed.settle();
        assert_eq!(bed.reports().len(), reports, "what has not changed is not told again");
        bed.machine.disks[1].fault = None;
        bed.pass_ms(5_000);
        bed.settle();
        assert!(bed.agent.faults().is_empty() && bed.reports().pop().unwrap().faults.is_empty());
    }

    #[test]
    fn a_launch_on_a_disk_that_is_back_already_need_not_wait_for_the_next_look() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        bed.pass_ms(10_000);
        bed.settle();
        bed.machine.disks[1].fault = None;
        bed.launch_command("t1", &[bed.volume()]);
        bed.launch_command("t2", &[]);
        bed.settle();
        assert_eq!(
            (bed.task_state("t1"), bed.task_state("t2")),
            (Some(TaskState::Running), Some(TaskState::Running))
        );
    }

    #[test]
    fn a_look_at_the_disks_does_not_have_a_volume_made_twice() {
        let mut bed = Bed::registered();
        bed.apply(vec![Bed::reserve(reserved_disk(100)), Bed::create(&[bed.volume()])]);
        let made = |bed: &Bed| {
            bed.seen.iter().filter(|it| matches!(it, crate::Effect::MakeVolume(_))).count()
        };
        assert_eq!(made(&bed), 1);
        bed.machine.disks.pop();
        bed.input(crate::Input::Opened(bed.machine.clone()));
        assert_eq!(made(&bed), 1, "the first try is not answered yet");
        bed.settle();
        assert!(bed.agent.ledger().claims.values().all(|it| it.state == ClaimState::Ready));
    }

    #[test]
    fn a_disk_without_claims_may_go_and_a_copied_label_is_named() {
        let mut bed = Bed::registered();
        bed.machine.disks.pop();
        let mut copy = bed.machine.disks[1].clone();
        copy.disk.root = "/copy".to_owned();
        bed.machine.disks.push(copy);
        bed.input(crate::Input::Opened(bed.machine.clone()));
        assert_eq!(bed.agent.ledger().disks.len(), 2);
        let reports = bed.reports().pop().unwrap().disks;
        assert!(
            reports.iter().any(|it| it.fault.as_deref().is_some_and(|it| it.contains("a copy"))),
            "{reports:?}"
        );
    }

    #[test]
    fn a_mount_disk_that_has_grown_is_noted_once_and_its_volume_stays_usable() {
        let mut bed = Bed::registered();
        let reserved = crate::testbed::amount("disk", 1000)
            .on(Source::mount("/d2"))
            .reserved(crate::testbed::reservation());
        let volume =
            reserved.clone().volume(PersistenceId::parse(DB_VOLUME).unwrap(), "data", None);
        bed.apply(vec![Bed::reserve(reserved), Bed::create(std::slice::from_ref(&volume))]);
        bed.settle();
        let grown = [crate::testbed::amount("disk", 1001).on(Source::mount("/d2"))];
        let others = bed
            .machine
            .info
            .resources
            .filter(|it| it.source.as_ref() != Some(&Source::mount("/d2")));
        bed.machine.info.resources =
            grown.iter().chain(&others.iter().collect::<Vec<_>>()).collect();
        bed.machine.disks[2].disk.size_mb = 1001;
        for _ in 0..2 {
            bed.input(crate::Input::Opened(bed.machine.clone()));
            bed.settle();
        }
        let notes = bed
            .seen
            .iter()
            .filter(|it| matches!(it, Effect::Log(line) if line.contains("1001 MB now")));
        assert_eq!(notes.count(), 1);
        assert!(bed.agent.faults().is_empty());
        bed.launch_command("t1", &[volume]);
        bed.settle();
        assert_eq!(bed.task_state("t1"), Some(TaskState::Running));
    }

    #[test]
    fn what_a_volume_uses_is_promised_to_it_once_and_is_nobodys_when_it_is_destroyed() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let (volume, id) = (bed.volume(), bed.claim(DB_VOLUME).id);
        let disk = bed.machine.disks[1].disk.id;
        let used = UsedSpace {
            free_mb: 500,
            at: holdfast_model::Instant(1),
            volumes: Arc::new([(id, 70 << 20)].into()),
        };
        bed.machine.disks[1].space = Some(FoundSpace {
            file_system: "8:1".to_owned(),
            total_mb: 1_000,
            free_mb: 500,
            trash_mb: 0,
            reserve_mb: 0,
            limit: holdfast_model::VolumeLimit::default(),
            used: Some(used),
        });
        bed.input(crate::Input::Opened(bed.machine.clone()));
        let unclaimed = |bed: &Bed| {
            let on_disk = |it: &Identity| {
                it.source.as_ref() == Some(&Source::path("/d1")) && !it.is_reserved()
            };
            bed.agent.total().filter(on_disk).quantity("disk").as_whole()
        };
        // It uses 70 MB of its 60, and 100 are reserved.
        assert_eq!(bed.agent.disks.used(disk), Scalar::whole(60));
        assert_eq!(unclaimed(&bed), (500 - (100 - 60)) / 15 * 15);
        bed.apply(vec![Bed::destroy(&[volume])]);
        bed.settle();
        // Its reservation is left, and its bytes lie in the trash.
        assert_eq!(bed.agent.disks.used(disk), Scalar::ZERO);
        assert_eq!(unclaimed(&bed), (500 - 100) / 15 * 15);
    }

    /// What was told of what volumes use, since this was asked last: whether it was all, in MB with the times, and those that are no more.
    #[allow(clippy::type_complexity, reason = "it is compared as a whole")]
    fn told_used(bed: &mut Bed) -> Vec<(bool, Vec<(u64, u64)>, usize)> {
        let news = |it: &Effect| match it {
            Effect::ToMaster(_, ToMaster::UsedNews(news)) => {
                let volumes = news.volumes.iter().map(|(_, it)| (it.bytes >> 20, it.measured.0));
                Some((news.whole, volumes.collect(), news.gone.len()))
            }
            _ => None,
        };
        let told = bed.seen.iter().filter_map(news).collect();
        bed.seen.clear();
        told
    }

    #[test]
    fn what_a_volume_uses_is_told_in_steps_and_whole_after_a_welcome() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let (volume, id) = (bed.volume(), bed.claim(DB_VOLUME).id);
        let at = bed.now;
        told_used(&mut bed);
        bed.measured(VolumeLimit::default(), &[(id, 10)]);
        assert_eq!(told_used(&mut bed), [(false, vec![(10, at)], 0)]);
        bed.measured(VolumeLimit::default(), &[(id, 11)]);
        assert_eq!(told_used(&mut bed), [], "a megabyte is no news");
        bed.input(crate::Input::Opened(bed.machine.clone()));
        let claim = bed.agent.ledger().claims[&id].clone();
        let seen = bed.agent.view().used(&claim).unwrap();
        assert_eq!(
            (seen.bytes >> 20, seen.measured.0),
            (11, at),
            "whoever asks the agent hears it"
        );
        bed.measured(VolumeLimit::default(), &[(id, 12)]);
        assert_eq!(told_used(&mut bed), [(false, vec![(12, at)], 0)]);
        bed.measured(VolumeLimit::default(), &[(id, 13)]);
        bed.relink();
        let told = told_used(&mut bed);
        assert_eq!(told.last(), Some(&(true, vec![(13, at)], 0)), "{told:?}");
        bed.apply(vec![Bed::destroy(&[volume])]);
        bed.settle();
        assert_eq!(told_used(&mut bed), [(false, vec![], 1)]);
    }

    #[test]
    fn a_disk_that_moved_is_not_believed_while_claims_name_its_old_place() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let before = bed.agent.ledger().disks.clone();
        bed.machine.disks[1].disk.root = "/elsewhere".to_owned();
        bed.input(crate::Input::Opened(bed.machine.clone()));
        assert_eq!(bed.agent.ledger().disks, before);
        assert!(bed.agent.faults().iter().any(|(_, why)| why.contains("/elsewhere")));
    }
}
