//! The durable state of a framework: what it wants, what it was given, and where. An empty ledger
//! means "I know nothing", never "destroy".

use std::collections::BTreeMap;

use holdfast_model::{AgentId, FrameworkId, PersistenceId, TaskId};

use crate::pods::{ServiceChange, ServiceLedger};

/// The stage of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It has no volume yet.
    Wanted,
    /// Its volume was asked for; whether it exists is not known.
    Claiming,
    /// Its volume exists. It is never asked for elsewhere.
    Placed,
}

/// A task that a member was given, as far as we know alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberTask {
    /// The id of the task.
    pub task: TaskId,
    /// Whether it was seen running.
    pub running: bool,
}

/// One member of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The number of the member, from 0.
    pub index: u32,
    /// How far the member has come.
    pub stage: Stage,
    /// The agent that has, or may have, its volume.
    pub agent: Option<AgentId>,
    /// The persistence id of its volume; chosen anew each time a volume is asked for.
    pub volume: Option<PersistenceId>,
    /// The number of volumes that were asked for; makes their names unique.
    pub attempts: u32,
    /// The number of tasks that were launched; makes their names unique.
    pub launches: u64,
    /// The task that it was given, if that may be alive.
    pub run: Option<MemberTask>,
    /// The durable note of the service's author.
    pub note: Vec<u8>,
}

impl Member {
    /// Makes a member that has nothing yet.
    pub fn new(index: u32) -> Member {
        Member {
            index,
            stage: Stage::Wanted,
            agent: None,
            volume: None,
            attempts: 0,
            launches: 0,
            run: None,
            note: Vec::new(),
        }
    }
}

/// A change of a framework's ledger: one record put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeeperChange {
    /// The framework's id was assigned.
    Framework(FrameworkId),
    /// A member has changed to this.
    Member(Member),
    /// Something of a service of pods has changed.
    Service(Box<ServiceChange>),
}

/// The durable state of a framework.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeeperLedger {
    /// The id of the framework; `None` before the first subscription.
    pub framework: Option<FrameworkId>,
    /// The members by number.
    pub members: BTreeMap<u32, Member>,
    /// What a service of pods has.
    pub service: ServiceLedger,
}

impl KeeperLedger {
    /// Folds one change in.
    pub fn apply(&mut self, change: &KeeperChange) {
        match change {
            KeeperChange::Framework(id) => self.framework = Some(id.clone()),
            KeeperChange::Member(member) => {
                if let Some(old) = self.members.get(&member.index) {
                    assert!(
                        old.launches <= member.launches && old.attempts <= member.attempts,
                        "names are given once"
                    );
                }
                self.members.insert(member.index, member.clone());
            }
            KeeperChange::Service(change) => self.service.apply(change),
        }
    }
}
