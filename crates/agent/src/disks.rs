//! The agent's disks: which are there, what is wrong with those that are not, and what that means for
//! the claims on them.
//!
//! A disk that is away keeps its claims, and gets no new ones. When it comes back, they are whole again
//! without anybody's help. Never drops a record of a disk that carries a claim.

use std::collections::BTreeMap;

use holdfast_model::{
    claim, AgentChange, Claim, ClaimId, ClaimState, DiskId, DiskKind, DiskRecord, Identity,
    SourceKind, StepContext,
};

use crate::alarms::Alarm;
use crate::claims::{find_volume, label};
use crate::step::{DiskFound, Effect, Machine};
use crate::Agent;

impl Agent {
    /// Has the disks opened, or looked at again.
    pub(crate) fn open_disks(&mut self) {
        let Some(cluster) = self.ledger.identity.cluster else { return };
        self.soft.opening = true;
        self.effects
            .push(Effect::OpenDisks(cluster, self.ledger.disks.values().cloned().collect()));
    }

    pub(crate) fn opened(&mut self, ctx: &mut StepContext<'_>, machine: Machine) {
        self.soft.opening = false;
        if self.ledger.identity.cluster.is_none() {
            return self
                .log("the disks were opened before a cluster is known; what was found is ignored");
        }
        let (changes, faults) = self.compare_disks(&machine.disks);
        let same = self.soft.machine.as_ref() == Some(&machine.info)
            && self.soft.disks == machine.disks
            && self.soft.disk_faults == faults;
        if same && changes.is_empty() {
            self.soft.stirred = true; // What waited for this look can go on, or ends.
            self.check_faulty_volumes();
            return self.look_again_later(ctx);
        }
        for (disk, fault) in &faults {
            if self.soft.disk_faults.get(disk) != Some(fault) {
                self.log(format!("disk {disk}: {fault}"));
            }
        }
        let mended = |claim: &Claim| {
            claim.disk.is_some_and(|it| {
                self.soft.disk_faults.contains_key(&it) && !faults.contains_key(&it)
            })
        };
        let stale = |id: &ClaimId| self.ledger.claims.get(id).is_none_or(mended);
        // What was wrong with a volume when its disk was away says nothing about it now; it is checked anew.
        let stale: Vec<ClaimId> =
            self.soft.volume_faults.keys().filter(|it| stale(it)).copied().collect();
        stale.iter().for_each(|it| drop(self.soft.volume_faults.remove(it)));
        (self.soft.disk_faults, self.soft.disks, self.soft.machine) =
            (faults, machine.disks, Some(machine.info));
        self.commit(changes);
        self.lay_claims();
        self.note_drifts();
        self.soft.stirred = true;
        self.work_on_volumes();
        self.report_news(ctx);
        self.look_again_later(ctx);
    }

    /// Disks come and go without a word, so they are looked at now and then; sooner while something is wrong.
    pub(crate) fn look_again_later(&mut self, ctx: &StepContext<'_>) {
        let ill = !self.soft.disk_faults.is_empty()
            || !self.soft.volume_faults.is_empty()
            || self.soft.disks.iter().any(|it| it.fault.is_some());
        let in_ms = if ill { self.config.ill_disk_look_ms } else { self.config.disk_look_ms };
        self.soft.alarms.set(Alarm::Disks, ctx.now.plus_ms(in_ms));
    }

    /// Has those volumes checked again that could not be used though their disks are well.
    fn check_faulty_volumes(&mut self) {
        let faulty: Vec<ClaimId> = self.soft.volume_faults.keys().copied().collect();
        faulty.into_iter().for_each(|it| self.check_again(it));
    }

    fn check_again(&mut self, id: ClaimId) {
        let Some(claim) = self.ledger.claims.get(&id).filter(|it| it.state == ClaimState::Ready)
        else {
            return;
        };
        let well = claim.disk.is_some_and(|it| !self.soft.disk_faults.contains_key(&it));
        let Some(label) = label(claim).filter(|_| well) else { return };
        if self.soft.checking.insert(id) {
            self.effects.push(Effect::CheckVolume(label));
        }
    }

    /// Before tasks are refused because of what was wrong with their volumes, it is looked whether it still is. They wait for that.
    pub(crate) fn look_at_faults_of(&mut self, volumes: &[Identity]) {
        for identity in volumes {
            let Some(claim) = find_volume(&self.ledger, identity) else { continue };
            let (id, ill) =
                (claim.id, claim.disk.is_some_and(|it| self.soft.disk_faults.contains_key(&it)));
            if ill && !self.soft.opening {
                self.open_disks();
            } else if !ill && self.soft.volume_faults.contains_key(&id) {
                self.check_again(id);
            }
        }
    }

    /// Whether what is wrong with a claim is just being looked at again.
    pub(crate) fn is_looked_at(&self, claim: &Claim) -> bool {
        let ill = claim.disk.is_some_and(|it| self.soft.disk_faults.contains_key(&it));
        if ill {
            self.soft.opening
        } else {
            self.soft.checking.contains(&claim.id)
        }
    }

    /// Tells of whole disks that are no longer as large as their claims say. That is no fault: the bytes are there.
    fn note_drifts(&mut self) {
        let Some(machine) = &self.soft.machine else { return };
        let drifts = claim::drifts(&machine.resources, &self.ledger.claims);
        let known = std::mem::replace(&mut self.soft.drifts, drifts.clone());
        for (id, now) in drifts.into_iter().filter(|it| !known.contains(it)) {
            let Some(claim) = self.ledger.claims.get(&id) else { continue };
            let (resource, now) = (&claim.resource, now.quantity());
            self.log(format!("{resource}: its disk has {now} MB now; the claim keeps the size that it was made with"));
        }
    }

    /// What to write down about disks, and what is wrong with those of the ledger.
    fn compare_disks(&self, found: &[DiskFound]) -> (Vec<AgentChange>, BTreeMap<DiskId, String>) {
        let (mut changes, mut faults, mut seen) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for DiskFound { disk, fault } in found {
            if let Some(other) = seen.insert(disk.id, disk.root.clone()) {
                let why = format!("{other} and {} bear the same label; one is a copy of the other: take one of them away", disk.root);
                faults.insert(disk.id, why);
                continue;
            }
            let old = self.ledger.disks.get(&disk.id);
            let moved = old.filter(|old| {
                (old.kind, &old.root) != (disk.kind, &disk.root) && self.carries_claims(old)
            });
            if let Some(fault) = fault {
                faults.insert(disk.id, fault.clone());
            } else if let Some(old) = moved {
                let why = format!(
                    "it is found at {}, and its claims name {}; mount it there again",
                    disk.root, old.root
                );
                faults.insert(disk.id, why);
            } else if old != Some(disk) {
                changes.push(AgentChange::Disk(disk.clone()));
            }
        }
        for old in self.ledger.disks.values().filter(|it| !seen.contains_key(&it.id)) {
            if self.carries_claims(old) {
                faults.insert(
                    old.id,
                    format!(
                        "it is not found at {}; attach it again: its claims are kept",
                        old.root
                    ),
                );
            } else {
                changes.push(AgentChange::DiskGone(old.id));
            }
        }
        (changes, faults)
    }

    fn carries_claims(&self, disk: &DiskRecord) -> bool {
        let lies_there = |claim: &Claim| {
            claim.disk.map_or_else(|| matches(disk, &claim.resource.identity), |it| it == disk.id)
        };
        self.ledger.claims.values().any(lies_there)
    }

    /// Has unfinished volumes finished, and whole ones checked.
    fn work_on_volumes(&mut self) {
        self.soft.checking.clear();
        let mut work = Vec::new();
        for claim in self.ledger.claims.values().filter(|it| it.is_volume()) {
            let Some(label) = label(claim) else { continue };
            let well = claim.disk.is_some_and(|it| !self.soft.disk_faults.contains_key(&it));
            match claim.state {
                // Once is enough: what the first try came to is not known yet.
                ClaimState::Making if self.soft.making.insert(claim.id) => {
                    work.push(Effect::MakeVolume(label))
                }
                ClaimState::Making => {}
                ClaimState::Destroying => work.push(Effect::TrashVolume(label)),
                ClaimState::Ready if well => {
                    self.soft.checking.insert(claim.id);
                    work.push(Effect::CheckVolume(label));
                }
                ClaimState::Ready => {}
            }
        }
        self.effects.extend(work);
    }

    /// The disk that carries what has this identity.
    pub(crate) fn disk_of(&self, identity: &Identity) -> Option<DiskId> {
        self.ledger.disks.values().find(|disk| matches(disk, identity)).map(|it| it.id)
    }

    /// What is wrong with a disk of the ledger.
    pub(crate) fn disk_fault(&self, disk: DiskId) -> Option<String> {
        if self.soft.machine.is_none() {
            return Some("the agent has not opened its disks yet".to_owned());
        }
        self.soft.disk_faults.get(&disk).cloned()
    }

    /// Why a claim cannot be used now.
    pub(crate) fn claim_fault(&self, claim: &Claim) -> Option<String> {
        let disk = claim.disk.or_else(|| self.disk_of(&claim.resource.identity));
        if let Some(fault) = disk.and_then(|it| self.disk_fault(it)) {
            return Some(fault);
        }
        if claim.is_volume() && disk.is_none_or(|it| !self.ledger.disks.contains_key(&it)) {
            return Some("its disk is not known".to_owned());
        }
        if let Some(fault) = self.soft.volume_faults.get(&claim.id) {
            return Some(fault.clone());
        }
        let misfit = self.soft.misfits.contains(&claim.id);
        misfit.then(|| {
            "it no longer fits on what the machine has; give the disk or the amount back".to_owned()
        })
    }

    pub(crate) fn volume_checked(
        &mut self,
        ctx: &mut StepContext<'_>,
        id: ClaimId,
        outcome: Result<(), String>,
    ) {
        self.soft.checking.remove(&id);
        self.soft.stirred = true; // A launch may have waited for this.
        let claim = self.ledger.claims.get(&id);
        if outcome.is_err() && self.is_planted("agent-replaces-missing-volumes") {
            return self.effects.extend(claim.and_then(label).map(Effect::MakeVolume));
        }
        let after = outcome.err().filter(|_| claim.is_some());
        let before = self.soft.volume_faults.remove(&id);
        if let Some(why) = &after {
            self.soft.volume_faults.insert(id, why.clone());
        }
        if before != after {
            self.log(format!("volume {id}: {}", after.as_deref().unwrap_or("whole again")));
            self.soft.checks_changed = true;
            self.look_again_later(ctx);
        }
        if self.soft.checking.is_empty() && std::mem::take(&mut self.soft.checks_changed) {
            self.report_news(ctx);
        }
    }
}

fn matches(disk: &DiskRecord, identity: &Identity) -> bool {
    if identity.name != "disk" || identity.provider.is_some() {
        return false;
    }
    match &identity.source {
        None => disk.kind == DiskKind::Root,
        Some(source) => {
            let same_kind = matches!(
                (source.kind, disk.kind),
                (SourceKind::Path, DiskKind::Path) | (SourceKind::Mount, DiskKind::Mount)
            );
            same_kind && source.root.as_deref() == Some(disk.root.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::step::Effect;
    use crate::testbed::{reserved_disk, Bed, DB_VOLUME};
    use holdfast_model::{ClaimState, PersistenceId, Source, TaskState};

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
