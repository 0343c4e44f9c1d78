//! A disk of another agent is taken over by this one, with all that is claimed of it.
//!
//! It is looked for beside the others, with its label expected, and only once it was found well, and nothing here speaks against its
//! claims, it is written down with all of them, under their own ids, in one commit: a crash leaves either nothing of it or the whole.
//! Whether each volume is whole is found out from its own label, as always; one that is not is missing, and nothing is made in its place.
//! Never writes to the disk.

use holdfast_model::{
    AgentChange, AgentId, Claim, ClaimId, ClaimState, DiskId, DiskRecord, DiskTaking, OperationUuid,
};

use super::adopt_disk::word;
use super::disk_changes::{is_at, tell_answer, what, Outcomes};
use crate::bookkeeping::looks::open_disks;
use crate::bookkeeping::records::lies_on;
use crate::bookkeeping::Step;
use crate::contract::{DiskFound, Machine};
use crate::parts::{Disks, MasterLink, NewDisk, ReportWish};

/// The master, which remembers the move, says that the former agent does not use the disk any more.
pub(crate) fn take(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    (uuid, taking): (OperationUuid, DiskTaking),
    by: String,
) {
    if is_taken(step, &taking) {
        return tell_answer(step, master, uuid, None); // It was done before; it is not done twice.
    }
    let why = conflict(step, &taking).or_else(|| {
        let root = &taking.root;
        let why = || format!("{root} is just being added as another disk; try again");
        disks.new_disks().conflicts_with_taken(&taking).then(why)
    });
    if why.is_some() {
        // A look that is under way must not find it after all, once it was refused.
        disks.new_disks_mut().forget_taken(taking.disk);
        return tell_answer(step, master, uuid, why);
    }
    disks.new_disks_mut().look_for_taken(taking, by, uuid);
    open_disks(step, disks);
}

/// It shall not be taken over after all. What is being looked for is forgotten, so that nothing of it is taken later; what was taken, was.
pub(crate) fn cancel_take(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    (uuid, disk): (OperationUuid, DiskId),
    claims: &[ClaimId],
    by: &str,
) {
    disks.new_disks_mut().forget_taken(disk);
    let here = claims.iter().filter(|it| step.ledger().claims.contains_key(it)).count();
    if here == 0 {
        step.log(format!("disk {disk} is not taken over: {by} has cancelled that"));
        return tell_answer(step, master, uuid, None);
    }
    master.want_report(ReportWish::News);
    let why = format!("this agent has taken disk {disk} over, with what is claimed of it ({here})");
    tell_answer(step, master, uuid, Some(why));
}

/// Whether all of its claims are here.
fn is_taken(step: &Step<'_>, taking: &DiskTaking) -> bool {
    let claims = &step.ledger().claims;
    let is_here = |it: &Claim| claims.contains_key(&it.id);
    step.ledger().disks.contains_key(&taking.disk) && taking.claims.iter().all(is_here)
}

/// What of this agent's own is in the way.
fn conflict(step: &Step<'_>, taking: &DiskTaking) -> Option<String> {
    let (ledger, root) = (step.ledger(), &taking.root);
    let is_other = |it: &&DiskRecord| it.root == *root && it.id != taking.disk;
    let other = ledger.disks.values().find(is_other);
    if let Some(other) = other.filter(|it| ledger.claims.values().any(|claim| lies_on(claim, it))) {
        return Some(format!(
            "{root} is the place of disk {}, which has claims of its own; mount disk {} elsewhere",
            other.id, taking.disk
        ));
    }
    taking.claims.iter().find_map(|claim| {
        let (id, what) = (claim.id, what(&claim.resource));
        if claim.state != ClaimState::Ready {
            return Some(format!("{what} ({id}) is just being made or destroyed at agent {}; wait for the end of that, or give it up there", taking.from));
        }
        if ledger.claims.contains_key(&id) {
            return Some(format!("{what} ({id}) is at this agent already, and not all of its disk; see `holdfast claim show {id}`"));
        }
        if ledger.trash.contains_key(&id) {
            return Some(format!("{what} ({id}) lies in the trash of this agent; see `holdfast trash list`"));
        }
        let volume = claim.resource.identity.persistence.clone()?;
        let role = claim.resource.identity.role().clone();
        let same = ledger.volumes_named(role, volume).next()?;
        Some(format!("{what} ({id}) would be the second of this name at this agent, beside {}; destroy one of them first", same.id))
    })
}

/// Takes over what was looked for, and found well.
pub(crate) fn take_found(
    step: &mut Step<'_>,
    disks: &mut Disks,
    machine: &mut Machine,
    outcomes: &mut Outcomes,
) {
    for root in disks.new_disks().taking_roots() {
        let Some(found) = machine.disks.iter().find(|it| is_at(it, &root)).cloned() else {
            continue;
        };
        let Some(new) = disks.new_disks_mut().take(&root) else { continue };
        let Some(taking) = new.takes.clone() else { continue };
        let refusal = match step.ledger().identity.agent.clone() {
            None => Some("this agent is of no cluster yet".to_owned()),
            Some(_) if is_taken(step, &taking) => None,
            Some(to) => match obstacle(step, disks, &taking, &found) {
                Some(why) => Some(why),
                None => {
                    follow(step, &taking, &found, (&new, &to));
                    None
                }
            },
        };
        if refusal.is_some() {
            // It is let go of, unless the settings name it.
            machine.disks.retain(|it| it.added.is_none() || !is_at(it, &root));
        }
        outcomes.push((new, refusal));
    }
}

/// What speaks against taking over what was found.
fn obstacle(
    step: &Step<'_>,
    disks: &Disks,
    taking: &DiskTaking,
    found: &DiskFound,
) -> Option<String> {
    let (id, root) = (taking.disk, &found.disk.root);
    if found.disk.id != id {
        let its = found.disk.id;
        return Some(format!("{root} is disk {its}, not {id}; see `holdfast disk list`"));
    }
    if found.disk.kind != taking.kind {
        return Some(format!(
            "the agent's settings name {root} as a disk of type {}, and the claims of disk {id} are of type {}; name it as that",
            word(found.disk.kind),
            word(taking.kind)
        ));
    }
    let is_static = |it: &&Claim| !it.resource.identity.base().reservations.is_empty();
    if let Some(claim) = taking.claims.iter().find(is_static).filter(|_| found.added.is_some()) {
        return Some(format!(
            "{} ({}) lies on space that the settings of agent {} reserve; name {root} in the settings of this one, reserved in the same way, restart it, and try again",
            what(&claim.resource),
            claim.id,
            taking.from
        ));
    }
    // What its volumes say of themselves, as far as they were read.
    for volume in disks.volumes().orphans(id) {
        let Some(claim) = taking.claims.iter().find(|it| it.id == volume.id) else { continue };
        let identity = &claim.resource.identity;
        let name = identity.persistence.as_ref().map(|it| it.as_str());
        if name != Some(volume.persistence.as_str()) || identity.role().as_str() != volume.role {
            return Some(format!(
                "volume {} on disk {id} is labelled as `{}` of role {}, and its claim is one of {}; nothing is taken over",
                volume.id, volume.persistence, volume.role, what(&claim.resource)
            ));
        }
    }
    conflict(step, taking)
}

/// Writes down that the disk is here, with all that is claimed of it.
fn follow(
    step: &mut Step<'_>,
    taking: &DiskTaking,
    found: &DiskFound,
    (new, to): (&NewDisk, &AgentId),
) {
    let (ledger, now, root) = (step.ledger(), step.now(), &found.disk.root);
    // Under the path by which the agent calls the disk.
    let taking = DiskTaking { root: root.clone(), ..taking.clone() };
    let claims = taking.claims.iter().map(|it| taking.taken(it, to, now, &new.by));
    let mut changes: Vec<AgentChange> = claims.map(AgentChange::Claim).collect();
    changes.push(AgentChange::Disk(found.disk.clone()));
    if found.added.is_some() {
        changes.push(AgentChange::DiskAdded(new.disk.clone()));
    }
    let is_over = |place: &holdfast_model::LeftPlace| {
        place.root == *root || (place.disk == taking.disk && place.to.is_some())
    };
    let freed = ledger.left_places.values().filter(|it| is_over(it));
    changes.extend(freed.map(|it| AgentChange::PlaceFreed(it.root.clone())));
    step.log(format!(
        "disk {} was at {} on agent {} and is taken over at {root} for {}, with all that is claimed of it ({})",
        taking.disk,
        taking.from_root,
        taking.from,
        new.by,
        taking.claims.len()
    ));
    step.commit(changes);
}
