//! Disks that hang: what is asked of one is answered when it goes on, or given up after a while, as the shell's drivers do it.
//!
//! It relies on the argument of `node/src/agent_process/disks/lane.rs`: a helper that was given up does at most the step in which it hangs,
//! and nothing else is done on its disk before it is gone. It never answers that something was done which was not.

use holdfast_agent::{Input, VolumeLabel};
use holdfast_model::DiskKind;

use crate::agenda::{AgendaEntry, DriverJob, Heal, Node, ANY_LIFE};
use crate::drivers::disks::{Hang, Late};
use crate::fact::Fact;
use crate::world::World;

/// How long a helper may take, in milliseconds.
const TIMEOUT_MS: u64 = 10_000;
/// How long work waits that comes behind some that is not answered, in milliseconds.
const BEHIND_MS: u64 = 500;

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
            DriverJob::Check(label) => (label, Late::Check),
            _ => return Some(job),
        };
        let bears = |disk: &&mut crate::drivers::disks::Disk| {
            disk.label.is_some_and(|(id, _)| id == label.disk)
        };
        let mut disks = self.machines[index].disks.iter_mut().enumerate();
        let Some((disk, it)) = disks.find(|(_, disk)| bears(&disk)) else { return Some(job) };
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
            DriverJob::Make(label) => answer(label, Input::VolumeMade(label.claim, failed)),
            DriverJob::Trash(label) => answer(label, Input::VolumeTrashed(label.claim, failed)),
            DriverJob::Check(label) => answer(label, Input::VolumeChecked(label.claim, failed)),
            _ => return,
        };
        self.answer(index, about, input);
    }
}
