//! The drivers at work: what an agent's core asked of its disks and containers is done in order,
//! takes time, and is answered.
//!
//! It relies on the contracts that `holdfast_agent::Effect` states. Work dies with the agent's
//! process; what was done stays done. Never makes anything in place of what is missing.

use holdfast_agent::{ContainerPlan, Input, Machine as MachineFound, VolumeLabel};
use holdfast_model::{
    ClaimId, ClusterId, ContainerId, DiskId, DiskKind, DiskRecord, IdSource, MachineInfo, Resource,
    Resources, Scalar, Source, Value,
};
use uuid::Uuid;

use crate::agenda::{AgendaEntry, DriverJob, ExecutorAction, Heal, Node, ANY_LIFE};
use crate::drivers::containers::{exit, Container, State};
use crate::drivers::disks::{Disk, Hang, Late};
use crate::fact::Fact;
use crate::world::World;

/// How long a helper may take, in milliseconds.
const TIMEOUT_MS: u64 = 10_000;
/// How long work waits that comes behind some that is not answered, in milliseconds.
const BEHIND_MS: u64 = 500;

impl World {
    /// Gives a job to the drivers; `about` names the object whose jobs are done in order (nil:
    /// none).
    pub(crate) fn work(&mut self, index: usize, life: u64, about: Uuid, job: DriverJob) {
        let slow = matches!(job, DriverJob::Start(_));
        let delay_ms = if slow { self.delay_ms(5, 400, 5) } else { self.delay_ms(1, 120, 1) };
        let machine = &mut self.machines[index];
        let soonest =
            machine.gates.get(&about).copied().filter(|_| !about.is_nil()).unwrap_or_default();
        let at = self.agenda.now.plus_ms(delay_ms).max(soonest);
        machine.gates.insert(about, at);
        self.agenda.at(at, Node::Machine(index), life, AgendaEntry::Work(job));
    }

    /// Does a job.
    pub(crate) fn do_work(&mut self, index: usize, job: DriverJob) {
        let Some(job) = self.unless_its_disk_hangs(index, job) else { return };
        match job {
            DriverJob::GiveUp(disk, job) => self.give_up(index, disk, *job),
            DriverJob::Open(cluster, known) => {
                let found = self.open_disks(index, cluster, &known);
                self.tell_trash(index);
                self.answer(index, Uuid::nil(), Input::Opened(found));
            }
            DriverJob::Make(label) => self.make_volume(index, &label),
            DriverJob::Check(label) => {
                let outcome = self.disk_of(index, &label).and_then(|disk| disk.check(&label));
                self.answer(index, label.claim.0, Input::VolumeChecked(label.claim, outcome));
            }
            DriverJob::Trash(label) => self.trash_volume(index, &label),
            DriverJob::Restore(label) => self.restore_volume(index, &label),
            DriverJob::Adopt(label, adopted) => {
                let outcome = self.disk_of(index, &label).and_then(|it| it.adopt(&label, &adopted));
                self.answer(index, label.claim.0, Input::VolumeMade(label.claim, outcome));
            }
            DriverJob::TrashDue(label, is_aged) => {
                let due = Input::TrashDue(label.disk, label.claim, is_aged);
                self.answer(index, label.claim.0, due);
            }
            DriverJob::Purge(disk, claim) => self.purge_volume(index, disk, claim),
            DriverJob::Start(plan) => self.start_container(index, *plan),
            DriverJob::Update(plan) => self.update_container(index, *plan),
            DriverJob::Destroy(id) => self.destroy_container(index, id),
            DriverJob::Forget(id) => {
                if self.machines[index].containers.get(&id).is_some_and(|it| !it.lives()) {
                    self.machines[index].containers.remove(&id);
                    self.machines[index].gates.remove(&id.0);
                }
            }
        }
    }

    /// Answers the agent, in the order of the work on one thing.
    pub(crate) fn answer(&mut self, index: usize, about: Uuid, input: Input) {
        let delay_ms = self.delay_ms(1, 20, 1);
        let machine = &mut self.machines[index];
        let at = self.agenda.now.plus_ms(delay_ms);
        if !about.is_nil() {
            machine.gates.insert(about, at);
        }
        let life = machine.process.life;
        self.agenda.at(at, Node::Machine(index), life, AgendaEntry::Done(Box::new(input)));
    }

    fn disk_of(&mut self, index: usize, label: &VolumeLabel) -> Result<&mut Disk, String> {
        let disks = &mut self.machines[index].disks;
        let found = disks.iter_mut().find(|it| it.label.is_some_and(|(id, _)| id == label.disk));
        found.ok_or_else(|| format!("there is no disk {}", label.disk))
    }

    fn make_volume(&mut self, index: usize, label: &VolumeLabel) {
        let outcome = self.disk_of(index, label).and_then(|disk| disk.make(label));
        if let Ok(fresh) = outcome {
            self.rules_see(&Fact::VolumeMade { machine: index, label, fresh });
        }
        self.answer(index, label.claim.0, Input::VolumeMade(label.claim, outcome.map(drop)));
    }

    fn trash_volume(&mut self, index: usize, label: &VolumeLabel) {
        let outcome = self.disk_of(index, label).and_then(|disk| disk.trash(label));
        if outcome.is_ok() {
            self.rules_see(&Fact::VolumeTrashed { machine: index, label });
        }
        self.answer(index, label.claim.0, Input::VolumeTrashed(label.claim, outcome));
        if self.is_storm() && self.machines[index].rng.one_in(3) {
            let is_aged = self.machines[index].rng.one_in(2);
            let life = self.machines[index].process.life;
            let due = DriverJob::TrashDue(label.clone(), is_aged);
            let in_ms = self.delay_ms(10, 5_000, 10);
            self.agenda.after(in_ms, Node::Machine(index), life, AgendaEntry::Work(due));
        }
    }

    fn restore_volume(&mut self, index: usize, label: &VolumeLabel) {
        let outcome = self.disk_of(index, label).and_then(|disk| disk.restore(label));
        self.answer(index, label.claim.0, Input::VolumeMade(label.claim, outcome));
    }

    /// Removes a destroyed volume, if its disk is there; else it is asked again when the disk is.
    fn purge_volume(&mut self, index: usize, disk: DiskId, claim: ClaimId) {
        let disks = &mut self.machines[index].disks;
        let found = disks.iter_mut().find(|it| it.label.is_some_and(|(id, _)| id == disk));
        let Some(volume) = found.and_then(|it| it.purge(claim)) else { return };
        if let Some(volume) = volume {
            self.rules_see(&Fact::VolumePurged { machine: index, label: &volume.label });
        }
        self.answer(index, claim.0, Input::TrashPurged(claim));
    }

    /// Says what lies in the trash of each disk that is there, before anything else is done on them.
    fn tell_trash(&mut self, index: usize) {
        let life = self.machines[index].process.life;
        let found: Vec<Input> = self.machines[index].disks.iter().filter_map(Disk::found).collect();
        for input in found {
            let done = AgendaEntry::Done(Box::new(input));
            self.agenda.at(self.agenda.now, Node::Machine(index), life, done);
        }
    }

    /// The resources of the machine, without disks that have a fault.
    fn open_disks(
        &mut self,
        index: usize,
        cluster: ClusterId,
        known: &[DiskRecord],
    ) -> MachineFound {
        let machine = &mut self.machines[index];
        let mut resources: Resources = [
            Resource::scalar("cpus", Scalar::thousandths(machine.cpus_thousandths)),
            Resource::scalar("mem", Scalar::whole(machine.mem_mb)),
        ]
        .iter()
        .collect();
        let mut found = Vec::new();
        for disk in &mut machine.disks {
            let rng = &mut machine.rng;
            let Some(it) = disk.open(cluster, known, || DiskId(rng.fresh())) else { continue };
            if it.fault.is_none() {
                resources.add(&disk_resource(disk));
            }
            found.push(it);
        }
        let info = MachineInfo {
            hostname: machine.host.clone(),
            port: 5051,
            resources,
            payload: Default::default(),
        };
        MachineFound { info, disks: found }
    }

    /// The agent looks at its disks again, as its shell does when a mount changes.
    pub(crate) fn look_at_disks(&mut self, index: usize) {
        let Some(core) = &self.machines[index].core else { return };
        let Some(cluster) = core.ledger().identity.cluster else { return };
        let known: Vec<DiskRecord> = core.ledger().disks.values().cloned().collect();
        let found = self.open_disks(index, cluster, &known);
        self.step_agent(index, Input::Opened(found));
    }

    fn start_container(&mut self, index: usize, plan: ContainerPlan) {
        let id = plan.container;
        if self.machines[index].containers.contains_key(&id) {
            return self.answer(index, id.0, Input::ContainerStarted(id, Ok(())));
        }
        if let Err(why) = self.check_volumes(index, &plan) {
            return self.answer(index, id.0, Input::ContainerStarted(id, Err(why)));
        }
        self.rules_see(&Fact::ContainerStarts { machine: index, plan: &plan });
        self.machines[index].containers.insert(id, Container::new(plan));
        let delay_ms = self.delay_ms(5, 900, 5);
        self.agenda.after(
            delay_ms,
            Node::Executor(index, id),
            ANY_LIFE,
            AgendaEntry::Act(ExecutorAction::Connect),
        );
        self.answer(index, id.0, Input::ContainerStarted(id, Ok(())));
    }

    fn check_volumes(&mut self, index: usize, plan: &ContainerPlan) -> Result<(), String> {
        for volume in &plan.volumes {
            let disk = self.disk_of(index, &volume.label)?;
            if disk.hang.is_some() {
                return Err(format!("{} does not answer", disk.root));
            }
            disk.check(&volume.label)?;
        }
        Ok(())
    }

    fn update_container(&mut self, index: usize, plan: ContainerPlan) {
        let (id, mut shown, mut visible) = (plan.container, Vec::new(), Vec::new());
        for volume in &plan.volumes {
            let checked =
                self.disk_of(index, &volume.label).and_then(|disk| disk.check(&volume.label));
            if let Err(why) = &checked {
                self.answer(
                    index,
                    volume.label.claim.0,
                    Input::VolumeChecked(volume.label.claim, Err(why.clone())),
                );
            } else {
                visible.push(volume.clone());
            }
            shown.push((volume.label.claim, checked));
        }
        match self.machines[index].containers.get_mut(&id).filter(|it| it.lives()) {
            Some(container) => {
                // What a container sees it goes on seeing until it ends.
                let kept = container
                    .plan
                    .volumes
                    .iter()
                    .filter(|it| visible.iter().all(|new| new.label.claim != it.label.claim));
                let kept: Vec<_> = kept.cloned().collect();
                visible.extend(kept);
                let plan = ContainerPlan { volumes: visible, ..plan };
                container.plan = plan.clone();
                self.rules_see(&Fact::ContainerStarts { machine: index, plan: &plan });
            }
            None => shown
                .iter_mut()
                .for_each(|(_, outcome)| *outcome = Err("the container does not run".to_owned())),
        }
        self.answer(index, id.0, Input::ContainerUpdated(id, shown));
    }

    fn destroy_container(&mut self, index: usize, id: ContainerId) {
        let dies_in_ms = if self.rng.one_in(10) {
            self.delay_ms(2_000, 9_000, 20)
        } else {
            self.delay_ms(5, 300, 5)
        };
        match self.machines[index].containers.get_mut(&id) {
            Some(container) if container.lives() => {
                if !std::mem::replace(&mut container.doomed, true) {
                    self.agenda.after(
                        dies_in_ms,
                        Node::Executor(index, id),
                        ANY_LIFE,
                        AgendaEntry::Act(ExecutorAction::Exit(137)),
                    );
                }
            }
            Some(container) => {
                let how = match &container.state {
                    State::Exited(how) => how.clone(),
                    _ => exit(137),
                };
                self.answer(index, id.0, Input::ContainerExited(id, how));
            }
            None => self.answer(index, id.0, Input::ContainerExited(id, exit(137))),
        }
    }
}

/// Disks that hang: what is asked of one is answered when it goes on, or given up after a while, as the shell's drivers do it. A helper
/// that was given up does at most the step in which it hangs, and nothing else is done on its disk before it is gone
/// (`node/src/agent_process/disks/lane.rs`).
impl World {
    /// A disk hangs, and goes on after a while.
    pub(crate) fn hang(&mut self, machine: usize, disk: usize, ms: u64) {
        let disks = &mut self.machines[machine].disks;
        let Some(it) = disks.get_mut(disk).filter(|it| it.kind != DiskKind::Root) else { return };
        if it.hang.is_none() {
            it.hang = Some(Hang::Unnoticed);
            let heal = AgendaEntry::Heal(Heal::Hang(machine, disk));
            self.agenda.after(ms, Node::World, ANY_LIFE, heal);
        }
    }

    /// It goes on. What its helper hung in may be done now, whoever still wants it.
    pub(crate) fn thaw(&mut self, machine: usize, disk: usize) {
        let late = match self.machines[machine].disks[disk].hang.take() {
            Some(Hang::Waiting(late) | Hang::Abandoned(late)) => late,
            Some(Hang::Unnoticed) | None => return,
        };
        self.note(|| format!("disk {disk} of machine {machine} goes on: {late:?}"));
        if self.machines[machine].rng.one_in(2) {
            self.do_late(machine, disk, &late);
        }
        let late_ms = self.delay_ms(50, 1_000, 10);
        self.agenda.after(late_ms, Node::Machine(machine), ANY_LIFE, AgendaEntry::LookAtDisks);
    }

    fn do_late(&mut self, machine: usize, disk: usize, late: &Late) {
        let it = &mut self.machines[machine].disks[disk];
        match late {
            Late::Make(label) => {
                if let Ok(fresh) = it.make(label) {
                    self.rules_see(&Fact::VolumeMade { machine, label, fresh });
                }
            }
            Late::Trash(label) => {
                if it.trash(label).is_ok() {
                    self.rules_see(&Fact::VolumeTrashed { machine, label });
                }
            }
            Late::Restore(label) => drop(it.restore(label)),
            Late::Adopt(label, adopted) => drop(it.adopt(label, adopted)),
            Late::Check => {}
        }
    }

    /// Work on a volume is done now unless its disk hangs.
    pub(crate) fn unless_its_disk_hangs(
        &mut self,
        index: usize,
        job: DriverJob,
    ) -> Option<DriverJob> {
        let (label, late) = match &job {
            DriverJob::Make(label) => (label, Late::Make(label.clone())),
            DriverJob::Trash(label) => (label, Late::Trash(label.clone())),
            DriverJob::Restore(label) => (label, Late::Restore(label.clone())),
            DriverJob::Adopt(label, adopted) => {
                (label, Late::Adopt(label.clone(), adopted.clone()))
            }
            DriverJob::Check(label) => (label, Late::Check),
            _ => return Some(job),
        };
        let bears = |disk: &&mut Disk| disk.label.is_some_and(|(id, _)| id == label.disk);
        let mut disks = self.machines[index].disks.iter_mut().enumerate();
        let Some((disk, it)) = disks.find(|(_, disk)| bears(disk)) else { return Some(job) };
        let (after_ms, then) = match &it.hang {
            None => return Some(job),
            Some(Hang::Abandoned(_)) => {
                let why = it.hang_fault().expect("its helper was given up");
                self.refuse(index, &job, &why);
                return None;
            }
            Some(Hang::Unnoticed) => {
                it.hang = Some(Hang::Waiting(late));
                (TIMEOUT_MS, DriverJob::GiveUp(disk, Box::new(job.clone())))
            }
            Some(Hang::Waiting(_)) => (BEHIND_MS, job.clone()),
        };
        let machine = &mut self.machines[index];
        let at = self.agenda.now.plus_ms(after_ms);
        machine.gates.insert(label.claim.0, at);
        let life = machine.process.life;
        self.agenda.at(at, Node::Machine(index), life, AgendaEntry::Work(then));
        None
    }

    /// The time for an answer is over. The agent hears of the disk's fault before it hears what failed.
    pub(crate) fn give_up(&mut self, index: usize, disk: usize, job: DriverJob) {
        let it = &mut self.machines[index].disks[disk];
        let Some(Hang::Waiting(late)) = &it.hang else { return self.do_work(index, job) };
        it.hang = Some(Hang::Abandoned(late.clone()));
        let why = it.hang_fault().expect("its helper was given up");
        self.note(|| format!("agent {index} gives up its helper of disk {disk}"));
        let life = self.machines[index].process.life;
        self.look_at_disks(index);
        if self.machines[index].process.life == life {
            self.refuse(index, &job, &format!("{why}; what became of it is not known"));
        }
    }

    fn refuse(&mut self, index: usize, job: &DriverJob, why: &str) {
        let answer = |label: &VolumeLabel, input| (label.claim.0, input);
        let failed = Err(why.to_owned());
        let (about, input) = match job {
            DriverJob::Make(label) | DriverJob::Restore(label) | DriverJob::Adopt(label, _) => {
                answer(label, Input::VolumeMade(label.claim, failed))
            }
            DriverJob::Trash(label) => answer(label, Input::VolumeTrashed(label.claim, failed)),
            DriverJob::Check(label) => answer(label, Input::VolumeChecked(label.claim, failed)),
            _ => return,
        };
        self.answer(index, about, input);
    }
}

/// What a disk adds to the machine.
pub(crate) fn disk_resource(disk: &Disk) -> Resource {
    let whole = Resource::unreserved("disk", Value::Scalar(Scalar::whole(disk.size_mb as i64)));
    match disk.kind {
        DiskKind::Root => whole,
        DiskKind::Path => whole.on(Source::path(&disk.root)),
        DiskKind::Mount => whole.on(Source::mount(&disk.root)),
    }
}
