//! The fault plan: each storm is a list of faults, drawn from its seed before it begins.
//!
//! A list can be cut, so a failing seed can be told with fewer faults. It relies on the world to
//! strike. Which kinds occur at all differs from seed to seed, so that rare meetings of two of them
//! happen. It never strikes after the storm.

use crate::agenda::{AgendaEntry, ExecutorAction, Heal, Node, ANY_LIFE};
use crate::drivers::containers::Phase;
use crate::drivers::disks::Mounted;
use crate::drivers::ledger_disk::DiskTrouble;
use crate::process::{Armed, ProcessFault};
use crate::rng::Rng;
use crate::shape::Shape;
use crate::world::World;
use holdfast_model::{ContainerId, DiskKind, TaskState};

/// A kind of fault. Numbers name a machine, master, framework or disk; durations are in
/// milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A process dies, and is down for so long.
    Kill(Node, u64),
    /// A process stands still for so long.
    Pause(Node, u64),
    /// A process dies at one of its next effects.
    KillBetween(Node, u32, bool, u64),
    /// A process stands still in the middle of one of its next steps.
    PauseBetween(Node, u32, u64),
    /// The leader's next append is taken, and its answer is lost.
    LoseAnswer,
    /// Another master is elected although the leader lives, and believes for a while; it may be cut
    /// off from its frameworks.
    Depose(bool),
    /// A client goes back to an old leader.
    Mislead(Node),
    /// A machine loses power.
    Reboot(usize, u64),
    /// A link breaks.
    BreakLink(u64),
    /// All links of a node are slow.
    Slow(Node, u64, u64),
    /// A task's process dies.
    KillTask(u64),
    /// An executor dies without a status.
    KillExecutor(u64),
    /// A disk is unmounted, or another one is mounted in its place.
    Unmount(usize, usize, bool, u64),
    /// Making and trashing volumes fails on a disk.
    DiskTrouble(usize, usize, u64),
    /// A disk hangs: what is asked of it is not answered before it goes on, and may be done then.
    Hang(usize, usize, u64),
    /// Somebody moves a volume's directory away by hand, and brings it back.
    HideVolume(u64, u64),
    /// An agent or a framework dies in the middle of writing a commit, so many disk operations from
    /// now.
    KillInCommit(Node, u64),
    /// One of an agent's or a framework's next syncs fails.
    FailSync(Node, u64),
    /// Somebody makes a copy of the masters' journal.
    CopyJournal,
    /// All masters die, and their journal is erased, or replaced by the copy.
    LoseJournal {
        /// Whether nothing of it is left.
        is_erased: bool,
    },
}

/// A fault and its time, in milliseconds from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The time, in milliseconds from the beginning.
    pub at_ms: u64,
    /// The fault itself.
    pub trouble: Trouble,
}

/// How many kinds of trouble there are.
const KINDS: u64 = 19;

/// The plan of a storm.
pub fn plan(shape: &Shape, mut rng: Rng) -> Vec<Fault> {
    let kinds: Vec<u64> = (0..KINDS).filter(|_| !rng.one_in(3)).collect();
    let mean_ms = *rng.pick(&[800u64, 1_500, 3_000, 6_000]).expect("the list is not empty");
    let (mut faults, mut at_ms) = (Vec::new(), rng.between(100, 4_000));
    while at_ms < shape.storm_ms {
        if let Some(kind) = rng.pick(&kinds).copied() {
            let trouble = draw(kind, shape, &mut rng);
            faults.push(Fault { at_ms, trouble });
            if matches!(trouble, Trouble::Depose(_) | Trouble::Pause(Node::Master(_), _)) {
                mislead_some(shape, at_ms, &mut rng, &mut faults);
            }
        }
        at_ms += rng.between(1, 2 * mean_ms);
    }
    if shape.hangs {
        faults.extend(hangs(shape, rng.fork(1)));
    }
    if shape.loses_journal {
        faults.extend(crate::lost_journal::plan(shape, rng.fork(2)));
    }
    faults.retain(|it| it.at_ms < shape.storm_ms); // Clients that are misled later are left alone.
    faults
}

/// Some disks hang for less than a helper may take, others for longer.
fn hangs(shape: &Shape, mut rng: Rng) -> Vec<Fault> {
    let (mut faults, mut at_ms) = (Vec::new(), rng.between(100, 3_000));
    while at_ms < shape.storm_ms {
        let machine = rng.below(shape.agents as u64) as usize;
        let disk = 1 + rng.below(shape.disks as u64) as usize;
        let trouble = Trouble::Hang(machine, disk, rng.between(500, 25_000));
        faults.push(Fault { at_ms, trouble });
        at_ms += rng.between(500, 8_000);
    }
    faults
}

/// A leader that is deposed and does not know it is dangerous only to those who still listen to it:
/// one by one, or many at once, who then have something to say to each other.
fn mislead_some(shape: &Shape, at_ms: u64, rng: &mut Rng, faults: &mut Vec<Fault>) {
    let mut at_ms = at_ms;
    if rng.one_in(2) {
        at_ms += rng.between(1_500, 5_000); // By then most know the new leader.
        let clients = (0..shape.agents)
            .map(Node::Machine)
            .chain((0..shape.schedulers()).map(Node::Framework));
        let misled: Vec<Node> = clients.filter(|_| !rng.one_in(3)).collect();
        faults.extend(
            misled.into_iter().map(|node| Fault { at_ms, trouble: Trouble::Mislead(node) }),
        );
        faults.extend((0..2).map(|_| Fault {
            at_ms: at_ms + rng.between(50, 500),
            trouble: Trouble::KillTask(rng.bits()),
        }));
        return;
    }
    for _ in 0..rng.below(5) {
        at_ms += rng.between(300, 4_000);
        let machine = Node::Machine(rng.below(shape.agents as u64) as usize);
        let framework = Node::Framework(rng.below(shape.schedulers() as u64) as usize);
        faults.push(Fault {
            at_ms,
            trouble: Trouble::Mislead(if rng.one_in(3) { framework } else { machine }),
        });
    }
}

fn draw(kind: u64, shape: &Shape, rng: &mut Rng) -> Trouble {
    let machine = rng.below(shape.agents as u64) as usize;
    let (master, framework) =
        (rng.below(shape.masters as u64) as usize, rng.below(shape.schedulers() as u64) as usize);
    let disk = 1 + rng.below(shape.disks as u64) as usize;
    let client = if rng.one_in(3) { Node::Framework(framework) } else { Node::Machine(machine) };
    let anyone = *rng
        .pick(&[Node::Master(master), Node::Machine(machine), Node::Machine(machine), client])
        .expect("the list is not empty");
    let down_ms = if rng.one_in(10) { rng.between(15_000, 30_000) } else { rng.between(50, 6_000) };
    let long_ms = rng.between(500, 12_000);
    match kind {
        0 => Trouble::Kill(Node::Machine(machine), down_ms),
        1 => Trouble::Kill(Node::Master(master), down_ms),
        2 => Trouble::Kill(Node::Framework(framework), down_ms),
        3 => Trouble::Pause(anyone, long_ms),
        4 | 5 => Trouble::KillBetween(anyone, rng.below(6) as u32, !rng.one_in(3), down_ms),
        6 => Trouble::PauseBetween(anyone, rng.below(6) as u32, long_ms),
        7 => Trouble::LoseAnswer,
        8 => Trouble::Depose(rng.one_in(2)),
        9 => Trouble::Mislead(client),
        10 => Trouble::Reboot(machine, down_ms),
        11 => Trouble::BreakLink(rng.bits()),
        12 => Trouble::Slow(anyone, rng.between(50, 1_500), long_ms),
        13 => Trouble::KillTask(rng.bits()),
        14 => Trouble::KillExecutor(rng.bits()),
        15 => Trouble::Unmount(machine, disk, rng.one_in(3), long_ms),
        16 => Trouble::DiskTrouble(machine, disk, long_ms),
        17 => Trouble::HideVolume(rng.bits(), long_ms),
        _ if rng.one_in(2) => Trouble::KillInCommit(client, rng.between(1, 3)),
        _ => Trouble::FailSync(client, rng.between(1, 6)),
    }
}

impl World {
    pub(crate) fn strike(&mut self, index: usize) {
        let Fault { trouble, .. } = self.plan[index];
        self.note(|| format!("FAULT {trouble:?}"));
        self.faults += 1;
        match trouble {
            Trouble::Kill(node, down_ms) => self.kill(node, Some(down_ms)),
            Trouble::Pause(node, ms) => {
                self.pause(node, ms, None);
                self.suspect(node, ms);
            }
            Trouble::KillBetween(node, countdown, at_commits, down_ms) => {
                self.arm(node, Armed { countdown, at_commits, blow: ProcessFault::Die(down_ms) });
            }
            Trouble::PauseBetween(node, countdown, ms) => {
                self.arm(node, Armed { countdown, at_commits: true, blow: ProcessFault::Pause(ms) })
            }
            Trouble::LoseAnswer => {
                if let Some((leader, _)) = self.election.leader {
                    self.masters[leader].loses_answer = true;
                }
            }
            Trouble::Depose(cut_off) => self.depose_leader(cut_off),
            Trouble::Mislead(node) => drop(self.mislead(node)),
            Trouble::Reboot(machine, down_ms) => self.reboot(machine, Some(down_ms)),
            Trouble::BreakLink(rng) => {
                if let Some(link) = Rng::new(rng).pick(&self.links.sound()).copied() {
                    self.links.break_link(&mut self.agenda, link, 3_000);
                }
            }
            Trouble::Slow(node, by_ms, ms) => {
                self.links.slow.insert(node, by_ms);
                self.agenda.after(ms, Node::World, ANY_LIFE, AgendaEntry::Heal(Heal::Slow(node)));
            }
            Trouble::KillTask(rng) => self.kill_some_task(rng),
            Trouble::KillExecutor(rng) => self.kill_some_executor(rng),
            Trouble::Unmount(machine, disk, stranger, ms) => {
                self.unmount(machine, disk, stranger, Some(ms))
            }
            Trouble::HideVolume(rng, ms) => self.hide_some_volume(rng, ms),
            Trouble::DiskTrouble(machine, disk, ms) => {
                if let Some(it) = self.machines[machine].disks.get_mut(disk) {
                    it.troubled = true;
                    self.agenda.after(
                        ms,
                        Node::World,
                        ANY_LIFE,
                        AgendaEntry::Heal(Heal::Trouble(machine, disk)),
                    );
                }
            }
            Trouble::CopyJournal => self.copy_journal(),
            Trouble::LoseJournal { is_erased } => self.lose_journal(is_erased),
            Trouble::Hang(machine, disk, ms) => self.hang(machine, disk, ms),
            Trouble::KillInCommit(node, operations) => {
                self.plan_disk(node, DiskTrouble::Crash, operations)
            }
            Trouble::FailSync(node, operations) => {
                self.plan_disk(node, DiskTrouble::FailSync, operations)
            }
        }
    }

    /// Something goes wrong with the ledger of a client that runs; counted in disk operations from
    /// now.
    fn plan_disk(&mut self, node: Node, trouble: DiskTrouble, operations: u64) {
        match node {
            Node::Machine(index) if self.machines[index].process.up => {
                self.machines[index].ledger_disk.plan(trouble, operations)
            }
            Node::Framework(index) if self.frameworks[index].process.up => {
                self.frameworks[index].ledger_disk.plan(trouble, operations)
            }
            _ => {}
        }
    }

    /// Another master is elected. A leader that is cut off from its frameworks does not see them
    /// leave.
    fn depose_leader(&mut self, cut_off: bool) {
        let Some((leader, term)) = self.election.leader else { return };
        for (link, _) in self.links.of(Node::Master(leader)) {
            if cut_off && matches!(self.links.client_of(link), Some(Node::Framework(_))) {
                self.links.break_link(&mut self.agenda, link, 12_000);
            }
        }
        self.elect(Some(term));
    }

    /// A leader that does not answer for long is deposed.
    fn suspect(&mut self, node: Node, ms: u64) {
        if let Some((leader, term)) =
            self.election.leader.filter(|(leader, _)| Node::Master(*leader) == node && 2_000 < ms)
        {
            let late_ms = self.delay_ms(300, 2_000, 300);
            self.note(|| format!("master {leader} is suspected"));
            self.agenda.after(late_ms, Node::World, ANY_LIFE, AgendaEntry::Elect(Some(term)));
        }
    }

    fn arm(&mut self, node: Node, armed: Armed) {
        if let Some(process) = self.process(node) {
            process.armed = process.up.then_some(armed);
        }
    }

    pub(crate) fn kill(&mut self, node: Node, down_ms: Option<u64>) {
        match node {
            Node::Master(index) => self.kill_master(index, down_ms.unwrap_or(u64::MAX / 4)),
            Node::Machine(index) => self.kill_agent(index, down_ms),
            Node::Framework(index) => self.kill_framework(index, down_ms),
            Node::Executor(..) | Node::ByzantinePeer(_) | Node::World => {}
        }
    }

    /// Living containers, everywhere.
    pub(crate) fn living(&self) -> Vec<(usize, ContainerId)> {
        let of = |(index, machine): (usize, &crate::machines::Machine)| {
            let living = machine.containers.iter().filter(|(_, it)| it.lives());
            living.map(|(id, _)| (index, *id)).collect::<Vec<_>>()
        };
        self.machines.iter().enumerate().flat_map(of).collect()
    }

    fn kill_some_task(&mut self, rng: u64) {
        let Some((index, id)) = Rng::new(rng).pick(&self.living()).copied() else { return };
        let tasks = self.machines[index]
            .containers
            .get(&id)
            .into_iter()
            .flat_map(|it| it.executor.tasks.iter());
        let running: Vec<_> = tasks
            .filter(|(_, run)| run.phase == Phase::Running)
            .map(|(id, _)| id.clone())
            .collect();
        if let Some(task) = running.first() {
            self.end_task(index, id, task, TaskState::Failed, "its process died");
        }
    }

    fn kill_some_executor(&mut self, rng: u64) {
        if let Some((index, id)) = Rng::new(rng).pick(&self.living()).copied() {
            self.act(index, id, ExecutorAction::Exit(139));
        }
    }

    fn hide_some_volume(&mut self, rng: u64, ms: u64) {
        let mut rng = Rng::new(rng);
        let machine = rng.below(self.machines.len() as u64) as usize;
        let of = |(disk, it): (usize, &crate::drivers::disks::Disk)| {
            it.volumes.keys().map(|id| (disk, *id)).collect::<Vec<_>>()
        };
        let all: Vec<_> = self.machines[machine].disks.iter().enumerate().flat_map(of).collect();
        let Some((disk, claim)) = rng.pick(&all).copied() else { return };
        if self.machines[machine].disks[disk].hide(claim) {
            self.note(|| format!("volume {claim} of machine {machine} is moved away by hand"));
            let late_ms = rng.between(50, 3_000);
            self.agenda.after(late_ms, Node::Machine(machine), ANY_LIFE, AgendaEntry::LookAtDisks);
            self.agenda.after(ms, Node::World, ANY_LIFE, AgendaEntry::Heal(Heal::Hidden(machine)));
        }
    }

    pub(crate) fn unmount(&mut self, machine: usize, disk: usize, stranger: bool, ms: Option<u64>) {
        let Some(it) =
            self.machines[machine].disks.get_mut(disk).filter(|it| it.kind != DiskKind::Root)
        else {
            return;
        };
        it.mounted = if stranger { Mounted::Stranger } else { Mounted::Nothing };
        let late_ms = self.delay_ms(50, 3_000, 10);
        self.agenda.after(late_ms, Node::Machine(machine), ANY_LIFE, AgendaEntry::LookAtDisks);
        if let Some(ms) = ms {
            self.agenda.after(
                ms,
                Node::World,
                ANY_LIFE,
                AgendaEntry::Heal(Heal::Mount(machine, disk)),
            );
        }
    }

    pub(crate) fn heal(&mut self, heal: Heal) {
        match heal {
            Heal::Mount(machine, disk) => {
                self.note(|| format!("disk {disk} of machine {machine} is mounted again"));
                self.machines[machine].disks[disk].mounted = Mounted::Itself;
                let late_ms = self.delay_ms(50, 3_000, 10);
                self.agenda.after(
                    late_ms,
                    Node::Machine(machine),
                    ANY_LIFE,
                    AgendaEntry::LookAtDisks,
                );
            }
            Heal::Hidden(machine) => {
                self.machines[machine]
                    .disks
                    .iter_mut()
                    .for_each(crate::drivers::disks::Disk::bring_back);
                let late_ms = self.delay_ms(50, 3_000, 10);
                self.agenda.after(
                    late_ms,
                    Node::Machine(machine),
                    ANY_LIFE,
                    AgendaEntry::LookAtDisks,
                );
            }
            Heal::Trouble(machine, disk) => self.machines[machine].disks[disk].troubled = false,
            Heal::Hang(machine, disk) => self.thaw(machine, disk),
            Heal::Slow(node) => drop(self.links.slow.remove(&node)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_differ_from_seed_to_seed_and_end_with_the_storm() {
        let shape = Shape::default();
        let plans: Vec<Vec<Fault>> = (0..50).map(|seed| plan(&shape, Rng::new(seed))).collect();
        assert_eq!(plans[7], plan(&shape, Rng::new(7)));
        assert!(plans.iter().flatten().all(|it| it.at_ms < shape.storm_ms));
        let sizes: Vec<usize> = plans.iter().map(Vec::len).collect();
        assert!(sizes.iter().max() > Some(&50) && sizes.iter().min() < Some(&15), "{sizes:?}");
    }
}
