//! A disk of this agent that is at another path now is taken over there, and its claims follow it.
//!
//! A claim's resources name the path of its disk. So all that is claimed of the disk, and what is kept of what was destroyed on it, is
//! written down under the new path in one go with the disk itself: a crash leaves either the old state, with the claims missing, or the new
//! one. Done only when a look has found the very disk at the new path, by its label, and not at the old one, and nobody uses it. A place
//! that the settings go on to name is noted as left, so that the empty directory there is not taken for a disk. Never writes to the disk.

use std::collections::BTreeSet;

use holdfast_model::{
    AddedDisk, AgentChange, Claim, ClaimState, DiskAdoption, DiskKind, DiskRecord, LeftPlace,
    OperationUuid, TrashedVolume,
};

use super::disk_changes::{few, is_at, tell_answer, users_of, what, Outcomes};
use crate::bookkeeping::holds::holders;
use crate::bookkeeping::looks::open_disks;
use crate::bookkeeping::records::{lies_on, moved_to};
use crate::bookkeeping::Step;
use crate::contract::{DiskFound, Machine};
use crate::parts::{Containers, Disks, MasterLink, NewDisk};

/// An operator says that a disk of this agent is at another path now.
pub(crate) fn adopt(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    (uuid, adoption): (OperationUuid, DiskAdoption),
    by: String,
) {
    match plan(step, disks, &adoption) {
        Ok(None) => tell_answer(step, master, uuid, None), // Its claims have followed it before.
        Err(why) => tell_answer(step, master, uuid, Some(why)),
        Ok(Some(disk)) => {
            disks.new_disks_mut().look_for((disk, Some(adoption.disk)), by, uuid);
            open_disks(step, disks);
        }
    }
}

/// The disk that is to be looked for; none when it is there already.
fn plan(
    step: &Step<'_>,
    disks: &Disks,
    adoption: &DiskAdoption,
) -> Result<Option<AddedDisk>, String> {
    let (ledger, DiskAdoption { disk: id, root, size_mb }) = (step.ledger(), adoption);
    let Some(old) = ledger.disks.get(id) else {
        return Err(format!(
            "this agent has no disk {id}; see its disks, or add the disk at {root} with `holdfast disk add`"
        ));
    };
    if let Some(to) = moved_to(ledger, *id) {
        return Err(format!("disk {id} is just being moved to agent {to}"));
    }
    if old.root == *root {
        let fault = disks.fault(*id);
        return fault.map_or(Ok(None), |it| {
            Err(format!("the claims of disk {id} are at {root}, and it cannot be used now: {it}"))
        });
    }
    let is_other = |it: &&DiskRecord| it.root == *root && it.id != *id;
    let other = ledger.disks.values().find(is_other);
    if let Some(other) = other.filter(|it| ledger.claims.values().any(|claim| lies_on(claim, it))) {
        return Err(format!(
            "{root} is the place of disk {}, which has claims of its own; mount disk {id} elsewhere, or have the claims of the other one follow it first",
            other.id
        ));
    }
    // One that the settings name is as large there as it was.
    let added = ledger.added_disks.get(&old.root);
    let size_mb = size_mb.or_else(|| added.map_or(Some(old.size_mb), |it| it.size_mb));
    let disk = AddedDisk { root: root.clone(), kind: old.kind, size_mb };
    if disks.new_disks().conflicts_with(&disk, Some(*id)) {
        return Err(format!("{root} is just being added as another disk; try again"));
    }
    Ok(Some(disk))
}

/// Takes over what was looked for, and found well.
pub(crate) fn adopt_found(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    machine: &mut Machine,
    outcomes: &mut Outcomes,
) {
    for root in disks.new_disks().adopting_roots() {
        let Some(found) = machine.disks.iter().find(|it| is_at(it, &root)).cloned() else {
            continue;
        };
        let Some(new) = disks.new_disks_mut().take(&root) else { continue };
        let old = new.adopts.and_then(|it| step.ledger().disks.get(&it)).cloned();
        let refusal = match &old {
            None => Some("the disk is not this agent's any more".to_owned()),
            Some(old) => obstacle(step, containers, old, &found),
        };
        match (old, &refusal) {
            (Some(old), None) => follow(step, machine, (&old, &found), &new),
            // It is let go of, unless the settings name it.
            _ => machine.disks.retain(|it| it.added.is_none() || !is_at(it, &root)),
        }
        outcomes.push((new, refusal));
    }
}

/// What speaks against taking a disk over that was found at another path.
fn obstacle(
    step: &Step<'_>,
    containers: &Containers,
    old: &DiskRecord,
    found: &DiskFound,
) -> Option<String> {
    let (id, root) = (old.id, &found.disk.root);
    if found.disk.id != id {
        return Some(format!(
            "{root} is disk {}, not {id}; see `holdfast disk list`",
            found.disk.id
        ));
    }
    if found.disk.kind != old.kind {
        return Some(format!(
            "the agent's settings name {root} as a disk of type {}, and the claims of disk {id} are of type {}; name it as that",
            word(found.disk.kind),
            word(old.kind)
        ));
    }
    let claims: Vec<&Claim> = step.ledger().claims.values().filter(|it| lies_on(it, old)).collect();
    if found.added.is_some() {
        let is_static = |it: &&&Claim| !it.resource.identity.base().reservations.is_empty();
        if let Some(claim) = claims.iter().find(is_static) {
            return Some(format!(
                "{} ({}) lies on space that the agent's settings reserve; name {root} in the settings, reserved in the same way, restart the agent, and try again",
                what(&claim.resource),
                claim.id
            ));
        }
    }
    unfit_to_move(step, containers, old)
}

/// What speaks against moving a disk: what is under way with its claims, and who uses it.
pub(super) fn unfit_to_move(
    step: &Step<'_>,
    containers: &Containers,
    old: &DiskRecord,
) -> Option<String> {
    let claims: Vec<&Claim> = step.ledger().claims.values().filter(|it| lies_on(it, old)).collect();
    let is_unsettled = |it: &&&Claim| {
        it.state != ClaimState::Ready || step.ledger().operations_on(it.id).next().is_some()
    };
    if let Some(claim) = claims.iter().find(is_unsettled) {
        return Some(format!(
            "an operation on {} ({}) is under way; wait for its end, or give it up if its disk is needed for that: `holdfast claim give-up`",
            what(&claim.resource),
            claim.id
        ));
    }
    in_use(step, containers, old, &claims)
}

/// Who uses the disk, or what may still see a volume of it.
fn in_use(
    step: &Step<'_>,
    containers: &Containers,
    disk: &DiskRecord,
    claims: &[&Claim],
) -> Option<String> {
    let mut users: BTreeSet<String> = users_of(step, disk).into_iter().collect();
    let volumes = claims.iter().filter(|it| it.is_volume());
    users.extend(volumes.flat_map(|it| holders(step.ledger(), containers, it).into_values()));
    let users: Vec<String> = users.into_iter().collect();
    (!users.is_empty()).then(|| {
        format!(
            "disk {} at {} is in use by {}; end that first: `holdfast task kill`",
            disk.id,
            disk.root,
            few(&users)
        )
    })
}

/// Writes down that the disk is at its new place, with all that is claimed of it.
fn follow(
    step: &mut Step<'_>,
    machine: &mut Machine,
    (old, found): (&DiskRecord, &DiskFound),
    new: &NewDisk,
) {
    let (ledger, now, root) = (step.ledger(), step.now(), &found.disk.root);
    let moved = |it: &Claim| it.moved(old, root, now, &new.by);
    let claims = ledger.claims.values().filter(|it| lies_on(it, old));
    let mut changes: Vec<AgentChange> = claims.map(|it| AgentChange::Claim(moved(it))).collect();
    let count = changes.len();
    let trash = ledger.trash.values().filter(|it| it.claim.disk == Some(old.id));
    changes.extend(
        trash.map(|it| {
            AgentChange::Trashed(TrashedVolume { claim: moved(&it.claim), ..it.clone() })
        }),
    );
    changes.push(AgentChange::Disk(found.disk.clone()));
    if found.added.is_some() {
        changes.push(AgentChange::DiskAdded(new.disk.clone()));
    }
    if ledger.left_places.contains_key(root) {
        changes.push(AgentChange::PlaceFreed(root.clone()));
    }
    let before = machine.disks.iter().position(|it| is_at(it, &old.root));
    match before.map(|at| machine.disks[at].added.clone()) {
        Some(None) if old.kind != DiskKind::Root => {
            changes.push(AgentChange::PlaceLeft(LeftPlace {
                root: old.root.clone(),
                kind: old.kind,
                disk: old.id,
                to: None,
            }));
        }
        Some(Some(added)) => {
            machine.disks.retain(|it| it.added.as_ref() != Some(&added));
            changes.push(AgentChange::DiskRemoved(added));
        }
        _ if ledger.added_disks.contains_key(&old.root) => {
            changes.push(AgentChange::DiskRemoved(old.root.clone()));
        }
        _ => {}
    }
    step.log(format!(
        "disk {} was at {} and is taken over at {root} for {}, with all that is claimed of it ({count})",
        old.id, old.root, new.by
    ));
    step.commit(changes);
}

/// What lies at a place that a disk has left is no disk. The disk itself may be back there.
pub(crate) fn drop_left_places(step: &Step<'_>, machine: &mut Machine) {
    let left = &step.ledger().left_places;
    let is_left = |it: &DiskFound| {
        it.added.is_none()
            && it.fault.is_some()
            && left.get(&it.disk.root).is_some_and(|place| place.disk == it.disk.id)
    };
    machine.disks.retain(|it| !is_left(it));
}

pub(super) fn word(kind: DiskKind) -> &'static str {
    match kind {
        DiskKind::Root => "root",
        DiskKind::Path => "path",
        DiskKind::Mount => "mount",
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::{Bed, DB_VOLUME};
    use crate::{DiskFound, Input};
    use holdfast_model::{
        AgentChange, Claim, DiskAdoption, DiskId, DiskRecord, OperationUuid, Order, Resource,
        Source, TaskState, ToMaster,
    };
    use uuid::Uuid;

    const NEW: &str = "/mnt/elsewhere, with a comma";

    /// The disk at /d1, with a volume on it, is unmounted and found at another path, by the settings or where it is looked for.
    fn moved(by_settings: bool) -> (Bed, DiskId) {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let id = bed.machine.disks[1].disk.id;
        let mut found = bed.machine.disks[1].clone();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        found.disk.root = NEW.to_owned();
        found.added = (!by_settings).then(|| NEW.to_owned());
        bed.machine.disks.push(found);
        let of_it = crate::testbed::amount("disk", 100).on(Source::path(NEW));
        bed.machine.info.resources = bed.machine.info.resources.iter().chain([of_it]).collect();
        bed.input(Input::Opened(bed.machine.clone()));
        bed.settle();
        (bed, id)
    }

    fn adopt(bed: &mut Bed, number: u128, disk: DiskId) -> Option<Option<String>> {
        let uuid = OperationUuid(Uuid::from_u128(number));
        let adoption = DiskAdoption { disk, root: NEW.to_owned(), size_mb: None };
        bed.order(Order::AdoptDisk { uuid, adoption, by: "ops".to_owned() });
        bed.settle();
        bed.seen.iter().find_map(|it| match it {
            Effect::ToMaster(_, ToMaster::DiskAnswer { uuid: its, refusal }) if *its == uuid => {
                Some(refusal.clone())
            }
            _ => None,
        })
    }

    fn at_new(resource: &Resource) -> bool {
        resource.identity.source == Some(Source::path(NEW))
    }

    fn roots(bed: &Bed) -> Vec<String> {
        bed.durable.disks.values().map(|it| it.root.clone()).collect()
    }

    /// The disks that must be at certain places, as the drivers were told last.
    fn known(bed: &Bed) -> Vec<DiskRecord> {
        let known = bed.seen.iter().rev().find_map(|it| match it {
            Effect::OpenDisks(_, known, _) => Some(known.clone()),
            _ => None,
        });
        known.unwrap()
    }

    #[test]
    fn the_same_claims_are_served_at_the_new_path_and_the_answer_comes_after_their_report() {
        let (mut bed, id) = moved(false);
        let before = bed.durable.claims.clone();
        assert!(!bed.agent.faults().is_empty());
        assert_eq!(adopt(&mut bed, 1, id), Some(None));
        assert!(bed.agent.faults().is_empty(), "{:?}", bed.agent.faults());
        assert!(bed.durable.claims.keys().eq(before.keys()), "the same claims");
        let is_moved = |it: &Claim| {
            let was = &before[&it.id];
            let event = it.history.last().unwrap();
            at_new(&it.resource)
                && it.resource.value == was.resource.value
                && it.framework == was.framework
                && event.what == format!("moved with its disk from /d1 to {NEW}")
                && event.by == "ops"
        };
        assert!(bed.durable.claims.values().filter(|it| it.disk == Some(id)).all(is_moved));
        assert!(bed.durable.added_disks.contains_key(NEW), "it is there after a restart");
        let at = |is_it: &dyn Fn(&Effect) -> bool| bed.seen.iter().position(is_it).unwrap();
        let written = at(&|it| {
            matches!(it, Effect::Commit { changes, .. }
                if changes.iter().any(|it| matches!(it, AgentChange::DiskAdded(_)))
                    && changes.iter().filter(|it| matches!(it, AgentChange::Claim(_))).count() == before.len())
        });
        let told = bed.seen.iter().rposition(|it| {
            matches!(it, Effect::ToMaster(_, ToMaster::Report(report))
                if report.claims.iter().any(|it| at_new(&it.resource)))
        });
        let answered = at(&|it| matches!(it, Effect::ToMaster(_, ToMaster::DiskAnswer { .. })));
        assert!(written < told.unwrap() && told.unwrap() < answered);
        bed.launch_command("t", &[bed.claim(DB_VOLUME).resource]);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
        assert_eq!(adopt(&mut bed, 2, id), Some(None), "twice is once");
    }

    #[test]
    fn a_crash_leaves_the_old_state_or_the_new_one() {
        for crash_in in 0.. {
            let (mut bed, id) = moved(false);
            let before = bed.durable.claims.clone();
            bed.crash_in = Some(crash_in);
            let answer = adopt(&mut bed, 1, id);
            let mut on_disk = bed.durable.claims.values().filter(|it| it.disk == Some(id));
            let is_new = on_disk.all(|it| at_new(&it.resource));
            assert!(is_new || bed.durable.claims == before, "all of it or none");
            assert_eq!(roots(&bed).contains(&NEW.to_owned()), is_new);
            assert_eq!(bed.durable.added_disks.contains_key(NEW), is_new);
            assert!(answer != Some(None) || is_new, "what was answered is written down");
            let is_made = |it: &Effect| matches!(it, Effect::MakeVolume(_));
            assert_eq!(bed.seen.iter().filter(|it| is_made(it)).count(), 1, "nothing is made anew");
            if bed.crashes == 0 {
                assert!(is_new && 2 < crash_in);
                break;
            }
        }
    }

    #[test]
    fn a_place_that_the_settings_go_on_to_name_is_left_and_no_disk_until_an_operator_says_so() {
        let (mut bed, id) = moved(true);
        assert_eq!(adopt(&mut bed, 1, id), Some(None));
        assert!(!bed.durable.added_disks.contains_key(NEW), "the settings name it");
        assert_eq!(bed.durable.left_places["/d1"].disk, id);
        assert!(bed.agent.faults().is_empty());
        let total = bed.agent.total().clone();
        assert!(!total.iter().any(|it| it.identity.source == Some(Source::path("/d1"))), "{total}");
        let is_expected = |it: &DiskRecord| it.root == "/d1" && it.id == id;
        assert!(known(&bed).iter().any(is_expected), "no other disk is labelled there");
        // An operator gives the place to another disk.
        bed.machine.disks[1].disk.id = DiskId(Uuid::from_u128(0xadd));
        bed.machine.disks[1].fault = None;
        let uuid = OperationUuid(Uuid::from_u128(7));
        let disk = holdfast_model::AddedDisk::parse("path", "/d1", None).unwrap();
        bed.order(Order::AddDisk { uuid, disk, by: "ops".to_owned() });
        bed.settle();
        assert!(bed.durable.left_places.is_empty());
        assert!(roots(&bed).iter().any(|it| it == "/d1"));
        assert!(!known(&bed).iter().any(is_expected));
    }

    #[test]
    fn what_is_used_still_there_or_under_way_is_not_taken_over() {
        let refused = |bed: &mut Bed, id, words: &str| {
            let (claims, disks) = (bed.durable.claims.clone(), bed.durable.disks.clone());
            let why = adopt(bed, 1, id).unwrap().unwrap();
            assert!(why.contains(words), "{why}");
            assert_eq!((&bed.durable.claims, &bed.durable.disks), (&claims, &disks));
            assert!(!bed.durable.added_disks.contains_key(NEW));
        };
        // The old place holds it still.
        let (mut bed, id) = moved(false);
        bed.machine.disks[1].fault = None;
        refused(&mut bed, id, "is well at /d1, where its claims are");
        // What is found there is not well.
        let (mut bed, id) = moved(false);
        bed.machine.disks[3].fault = Some("it is read-only".to_owned());
        refused(&mut bed, id, "it is read-only");
        // A task uses it.
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.launch_command("t", &[bed.volume()]);
        bed.settle();
        let id = bed.machine.disks[1].disk.id;
        let mut found: DiskFound = bed.machine.disks[1].clone();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        (found.disk.root, found.added) = (NEW.to_owned(), Some(NEW.to_owned()));
        bed.machine.disks.push(found);
        refused(&mut bed, id, "in use by task `t`");
        // A destroyed volume is on its way to the trash.
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.failures = 100;
        bed.apply(vec![Bed::destroy(&[bed.volume()])]);
        bed.settle();
        let id = bed.machine.disks[1].disk.id;
        let mut found = bed.machine.disks[1].clone();
        bed.machine.disks[1].fault = Some("not mounted".to_owned());
        (found.disk.root, found.added) = (NEW.to_owned(), Some(NEW.to_owned()));
        bed.machine.disks.push(found);
        refused(&mut bed, id, "an operation on volume");
        // Nobody knows it.
        let (mut bed, _) = moved(false);
        refused(&mut bed, DiskId(Uuid::from_u128(77)), "this agent has no disk");
    }

    #[test]
    fn what_lies_in_the_trash_of_the_disk_can_be_brought_back_at_the_new_path() {
        let mut bed = Bed::registered();
        bed.acknowledges = true;
        bed.reserve_and_create();
        let volume = bed.claim(DB_VOLUME);
        bed.apply(vec![Bed::destroy(&[bed.volume()])]);
        bed.settle();
        let id = bed.machine.disks[1].disk.id;
        bed.machine.disks[1].disk.root = NEW.to_owned();
        let renamed = |it: Resource| match it.identity.source == Some(Source::path("/d1")) {
            true => it.on(Source::path(NEW)),
            false => it,
        };
        bed.machine.info.resources = bed.machine.info.resources.iter().map(renamed).collect();
        bed.input(Input::Opened(bed.machine.clone()));
        assert_eq!(adopt(&mut bed, 1, id), Some(None));
        assert!(at_new(&bed.durable.trash[&volume.id].claim.resource));
        let uuid = OperationUuid(Uuid::from_u128(8));
        bed.order(Order::Undelete { uuid, claim: volume.id, by: "ops".to_owned() });
        bed.settle();
        assert!(at_new(&bed.claim(DB_VOLUME).resource));
        assert!(bed.agent.faults().is_empty());
    }
}
