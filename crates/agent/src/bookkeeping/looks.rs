//! Looking at disks and volumes: when, and at which.
//!
//! Disks come and go without a word, so they are looked at now and then. Never has one volume checked twice at a time.

use holdfast_model::{AgentLedger, ClaimId, ClaimState, DiskRecord, Identity};

use super::faults::is_on_ill_disk;
use super::filling::work_to_make;
use super::records::{fenced_at, find_volume, label, labels_in_making};
use super::Step;
use crate::contract::Effect;
use crate::parts::{Alarm, Disks, NewDisks};

/// Has the disks opened, or looked at again.
pub(crate) fn open_disks(step: &mut Step<'_>, disks: &mut Disks) {
    let Some(cluster) = step.ledger().identity.cluster else { return };
    disks.begin_opening();
    if is_lost(step.ledger()) {
        return step.push(Effect::SurveyDisks(cluster));
    }
    let known = known_disks(step.ledger(), disks.new_disks());
    let ledger = step.ledger();
    let added = ledger.added_disks.values().filter(|it| fenced_at(ledger, &it.root).is_none());
    let new = disks.new_disks().all().map(|it| &it.disk);
    let all = added.chain(new).cloned().collect();
    step.push(Effect::OpenDisks(cluster, known, all));
}

/// Whether this ledger is a new one on disks that were an agent's of the cluster: no master has named the agent yet, and the disks have
/// told whose they are.
pub(crate) fn is_lost(ledger: &AgentLedger) -> bool {
    ledger.identity.agent.is_none() && ledger.identity.cluster.is_some()
}

/// Which disk must be at which place: where a disk is looked for, or has left, no other one is labelled in its place.
fn known_disks(ledger: &AgentLedger, new: &NewDisks) -> Vec<DiskRecord> {
    let at =
        |id, kind, root: &str, size_mb| DiskRecord { id, kind, root: root.to_owned(), size_mb };
    let sought = new.all().filter_map(|it| {
        if let Some(taking) = &it.takes {
            return Some(at(taking.disk, taking.kind, &taking.root, taking.size_mb.unwrap_or(0)));
        }
        let old = ledger.disks.get(&it.adopts?)?;
        Some(at(old.id, old.kind, &it.disk.root, old.size_mb))
    });
    let left = ledger.left_places.values().filter(|it| !new.looks_for(&it.root));
    let left = left.map(|it| at(it.disk, it.kind, &it.root, 0));
    sought.chain(ledger.disks.values().cloned()).chain(left).collect()
}

/// Sets the time of the next look; sooner while something is wrong.
pub(crate) fn look_again_later(step: &mut Step<'_>, disks: &Disks) {
    let config = step.config();
    let in_ms =
        if disks.is_anything_wrong() { config.ill_disk_look_ms } else { config.disk_look_ms };
    step.set_alarm(Alarm::Disks, in_ms);
}

/// Has those volumes checked again that could not be used though their disks are well.
pub(crate) fn check_faulty_volumes(step: &mut Step<'_>, disks: &mut Disks) {
    disks.volumes().faulty().into_iter().for_each(|it| check_again(step, disks, it));
}

/// Has a volume checked, unless it is being checked or its disk is ill.
pub(crate) fn check_again(step: &mut Step<'_>, disks: &mut Disks, id: ClaimId) {
    let ready = step.ledger().claims.get(&id).filter(|it| it.state == ClaimState::Ready);
    let well = ready.filter(|it| it.disk.is_some() && !is_on_ill_disk(disks, it));
    let Some(label) = well.and_then(label) else { return };
    if disks.volumes_mut().begin_check(id) {
        step.push(Effect::CheckVolume(label));
    }
}

/// Before tasks are refused because of what was wrong with their volumes, it is looked whether it still is. They wait for that.
pub(crate) fn look_at_faults_of(step: &mut Step<'_>, disks: &mut Disks, volumes: &[Identity]) {
    for identity in volumes {
        let Some(claim) = find_volume(step.ledger(), identity) else { continue };
        let (id, ill) = (claim.id, is_on_ill_disk(disks, claim));
        if ill && !disks.is_opening() {
            open_disks(step, disks);
        } else if !ill && disks.volumes().fault(id).is_some() {
            check_again(step, disks, id);
        }
    }
}

/// Has unfinished volumes finished, and whole ones checked.
pub(crate) fn work_on_volumes(step: &mut Step<'_>, disks: &mut Disks) {
    disks.volumes_mut().drop_checks();
    let mut work = Vec::new();
    for claim in step.ledger().claims.values().filter(|it| it.is_volume()) {
        let Some(label) = label(claim) else { continue };
        let well = !is_on_ill_disk(disks, claim);
        match claim.state {
            // Once is enough: what the first try came to is not known yet.
            ClaimState::Making if disks.volumes_mut().begin_making(claim.id) => {
                // From the trash, if it is being brought back: an empty one must never take its place.
                work.push(match step.ledger().trash.contains_key(&claim.id) {
                    true => Effect::RestoreVolume(label),
                    false => Effect::MakeVolume(label),
                })
            }
            ClaimState::Making => {}
            ClaimState::Destroying => work.push(Effect::TrashVolume(label)),
            ClaimState::Ready if well => {
                disks.volumes_mut().begin_check(claim.id);
                work.push(Effect::CheckVolume(label));
            }
            ClaimState::Ready => {}
        }
    }
    let in_making = step.ledger().operations.values().filter(|it| !it.making.is_empty());
    for operation in in_making {
        for label in labels_in_making(step.ledger(), operation) {
            let volumes = disks.volumes_mut();
            if !volumes.is_made(label.claim) && volumes.begin_making(label.claim) {
                work.push(work_to_make(step, volumes, operation, label));
            }
        }
    }
    let going = step.ledger().trash.values().filter(|it| it.purging);
    let removals = going.filter_map(|it| Some(Effect::PurgeTrash(it.claim.disk?, it.claim.id)));
    work.extend(removals);
    step.extend(work);
}
