//! The agenda: the virtual clock, and the queue of everything that will happen.
//!
//! It relies on order alone: what is due at the same instant happens in the order in which it was
//! added. It never looks at a real clock.

use std::collections::BTreeMap;
use std::fmt;

use holdfast_agent as agent;
use holdfast_master as master;
use holdfast_model::{
    ClaimId, ClusterId, ContainerId, DiskId, DiskRecord, Event, ExecutorCall, ExecutorEvent,
    FrameworkCall, Instant, TaskId, Term, ToAgent, ToMaster,
};

use crate::links::Side;
use crate::rules::l2_answers::Bad;

/// Simulated time begins here, so that nothing is near zero.
pub(crate) const DAWN: Instant = Instant(1_000_000_000);

/// The life of entries that are due even after the process has died.
pub(crate) const ANY_LIFE: u64 = u64::MAX;

/// A party of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A master process.
    Master(usize),
    /// A machine, and the agent on it.
    Machine(usize),
    /// A framework's scheduler.
    Framework(usize),
    /// An executor in a container of a machine.
    Executor(usize, ContainerId),
    /// A byzantine peer.
    ByzantinePeer(usize),
    /// The world itself: elections, operators, faults.
    World,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Master(index) => write!(f, "master {index}"),
            Node::Machine(index) => write!(f, "agent {index}"),
            Node::Framework(index) => write!(f, "framework {index}"),
            Node::Executor(index, container) => {
                write!(f, "executor {} on {index}", &container.to_string()[..8])
            }
            Node::ByzantinePeer(index) => write!(f, "byzantine peer {index}"),
            Node::World => f.write_str("world"),
        }
    }
}

/// A message on a link.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    FromAgent(ToMaster),
    ToAgent(ToAgent),
    FromFramework(Box<FrameworkCall>),
    ToFramework(Event),
    FromExecutor(ExecutorCall),
    ToExecutor(Box<ExecutorEvent>),
    /// A message of a byzantine peer, and the outcome that it must have.
    FromByzantinePeer(Bad, Box<Message>),
}

/// A job for an agent's drivers.
#[derive(Clone, Debug)]
pub(crate) enum DriverJob {
    Open(ClusterId, Vec<DiskRecord>),
    Make(agent::VolumeLabel),
    Check(agent::VolumeLabel),
    Trash(agent::VolumeLabel),
    Restore(agent::VolumeLabel),
    /// Make a volume that no claim stands for that of a claim again.
    Adopt(agent::VolumeLabel, agent::Adopted),
    /// The space of a destroyed volume is needed, or its time is over.
    TrashDue(agent::VolumeLabel, bool),
    Purge(DiskId, ClaimId),
    /// The work on this disk of the machine has not been answered in time.
    GiveUp(usize, Box<DriverJob>),
    Start(Box<agent::ContainerPlan>),
    Update(Box<agent::ContainerPlan>),
    Destroy(ContainerId),
    Forget(ContainerId),
}

/// An action of an executor.
#[derive(Clone, Debug)]
pub(crate) enum ExecutorAction {
    Connect,
    Begin(TaskId),
    Append(TaskId),
    End(TaskId, holdfast_model::TaskState, &'static str),
    Exit(i32),
    Tell(Vec<u8>),
}

/// Effects that a paused process has yet to carry out.
#[derive(Clone, Debug)]
pub(crate) enum Rest {
    Master(Vec<master::Effect>),
    Agent(Vec<agent::Effect>),
    Framework(Vec<holdfast_sdk::Effect>),
}

/// An entry of the agenda.
#[derive(Clone, Debug)]
pub(crate) enum AgendaEntry {
    /// A message arrives at one end of a link.
    Deliver(u64, Side, Message),
    /// One end of a link notices that it is broken or closed.
    Noticed(u64, Side),
    /// A client connects to whoever it believes leads.
    Follow,
    /// A client learns who leads.
    News(usize, Term),
    /// The masters choose a leader, unless one leads that is not this one.
    Elect(Option<Term>),
    /// A master learns that it leads.
    Lead(Term),
    /// A master that leads in this term hears that an agent has obeyed a greater one.
    Raise { led: Term, seen: Term },
    /// An operator's request arrives at a master.
    Asked(holdfast_master::RequestId),
    /// A master learns that its term is over.
    Deposed(Term),
    /// A core's deadline has come.
    Tick,
    /// A process starts, or a machine and then its agent.
    Restart,
    /// A pause ends, and what was begun goes on.
    GoOn(Rest),
    /// The drivers do a job.
    Work(DriverJob),
    /// The drivers have done a job.
    Done(Box<agent::Input>),
    /// The agent sees that a container has ended.
    Ended(ContainerId),
    /// An executor does something.
    Act(ExecutorAction),
    /// The agent checks its disks again.
    LookAtDisks,
    /// An operator does something.
    Operate,
    /// A byzantine peer acts.
    ActByzantine,
    /// An operator removes a framework at a master.
    TearDown(holdfast_model::FrameworkId),
    /// A planned fault strikes.
    Fault(usize),
    /// A planned fault ends.
    Heal(Heal),
}

/// How a lasting fault ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heal {
    Mount(usize, usize),
    Trouble(usize, usize),
    Hang(usize, usize),
    Hidden(usize),
    Slow(Node),
}

impl AgendaEntry {
    /// A small number for the digest.
    pub(crate) fn kind(&self) -> u64 {
        match self {
            AgendaEntry::Deliver(link, side, _) => 1 ^ link << 8 ^ (*side as u64) << 4,
            AgendaEntry::Noticed(link, side) => 2 ^ link << 8 ^ (*side as u64) << 4,
            AgendaEntry::Follow => 3,
            AgendaEntry::News(..) => 4,
            AgendaEntry::Elect(_) => 5,
            AgendaEntry::Deposed(_) => 6,
            AgendaEntry::Tick => 7,
            AgendaEntry::Restart => 8,
            AgendaEntry::GoOn(_) => 9,
            AgendaEntry::Work(_) => 10,
            AgendaEntry::Done(_) => 11,
            AgendaEntry::Ended(_) => 12,
            AgendaEntry::Act(_) => 13,
            AgendaEntry::LookAtDisks => 14,
            AgendaEntry::Operate => 15,
            AgendaEntry::Fault(_) => 16,
            AgendaEntry::Heal(_) => 17,
            AgendaEntry::Lead(_) => 18,
            AgendaEntry::Asked(_) => 19,
            AgendaEntry::ActByzantine => 20,
            AgendaEntry::TearDown(_) => 21,
            AgendaEntry::Raise { .. } => 22,
        }
    }
}

/// Something due for somebody; `life` is the life of the process that it is meant for.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) to: Node,
    pub(crate) life: u64,
    pub(crate) what: AgendaEntry,
    /// Its place among what is due at the same time; it keeps that when it is put off.
    pub(crate) sequence: u64,
}

/// The virtual clock, and the queue of what is due.
#[derive(Debug)]
pub(crate) struct Agenda {
    pub(crate) now: Instant,
    queue: BTreeMap<(Instant, u64), Due>,
    sequence: u64,
}

impl Agenda {
    pub(crate) fn new() -> Agenda {
        Agenda { now: DAWN, queue: BTreeMap::new(), sequence: 0 }
    }

    pub(crate) fn at(&mut self, when: Instant, to: Node, life: u64, what: AgendaEntry) {
        self.sequence += 1;
        let sequence = self.sequence;
        self.queue.insert((when.max(self.now), sequence), Due { to, life, what, sequence });
    }

    /// Puts something off. What is put off twice stays before what came later: links are ordered.
    pub(crate) fn put_off(&mut self, when: Instant, due: Due) {
        self.queue.insert((when.max(self.now), due.sequence), due);
    }

    pub(crate) fn after(&mut self, delay_ms: u64, to: Node, life: u64, what: AgendaEntry) {
        self.at(self.now.plus_ms(delay_ms), to, life, what);
    }

    /// The next thing due by `end`, if any; the clock moves there, or to `end`.
    pub(crate) fn next(&mut self, end: Instant) -> Option<Due> {
        match self.queue.first_key_value() {
            Some(((when, _), _)) if *when <= end => {
                let ((when, _), due) = self.queue.pop_first()?;
                self.now = when;
                Some(due)
            }
            _ => {
                self.now = self.now.max(end);
                None
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Milliseconds since the beginning.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        self.now.since_ms(DAWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_together_happens_in_the_order_in_which_it_was_written_down() {
        let mut agenda = Agenda::new();
        agenda.after(5, Node::Master(1), 0, AgendaEntry::Tick);
        agenda.after(1, Node::Master(2), 0, AgendaEntry::Tick);
        agenda.after(5, Node::Master(3), 0, AgendaEntry::Tick);
        let order: Vec<Node> =
            std::iter::from_fn(|| agenda.next(DAWN.plus_ms(5))).map(|due| due.to).collect();
        assert_eq!(order, [Node::Master(2), Node::Master(1), Node::Master(3)]);
        assert_eq!((agenda.elapsed_ms(), agenda.len()), (5, 0));
    }

    #[test]
    fn the_clock_stops_where_it_was_told_to() {
        let mut agenda = Agenda::new();
        agenda.after(50, Node::World, 0, AgendaEntry::Tick);
        assert!(agenda.next(DAWN.plus_ms(10)).is_none());
        assert_eq!((agenda.elapsed_ms(), agenda.len()), (10, 1));
    }
}
