//! The facts that rules see: everything that crosses a process boundary, or happens to a disk or a
//! container, when it happens.
//!
//! It relies on the world to report all of them. Facts are about the world, and never about what a
//! core believes.

use holdfast_agent::{ContainerPlan, VolumeLabel};
use holdfast_master::Refusal;
use holdfast_model::{
    AgentChange, AgentId, AgentLedger, ClaimAction, ClaimId, ContainerId, Event, FrameworkCall,
    FrameworkId, MasterChange, TaskId, TaskState, Term, ToAgent, ToMaster,
};
use holdfast_sdk::KeeperChange;

/// A volume as a task sees it when it starts.
#[derive(Clone, Debug)]
pub struct VolumeSeen {
    /// The claim of the volume.
    pub claim: ClaimId,
    /// Its name, from its label.
    pub persistence: String,
    /// Where it shows.
    pub container_path: String,
    /// Whose records it may hold: those of its framework, or of its role when it is shared.
    pub owner: String,
    /// Who wrote the first record, if there is one.
    pub stamp: Option<String>,
    /// How many records can be read.
    pub records: u64,
}

/// A fact. Machines, masters and frameworks are named by their index.
#[derive(Clone, Debug)]
pub enum Fact<'a> {
    /// A leadership begins.
    Elected {
        /// The index of the master.
        master: usize,
        /// Its term.
        term: Term,
    },
    /// The journal took changes.
    MasterCommits {
        /// The term of the leader.
        term: Term,
        /// The changes that are durable now.
        changes: &'a [MasterChange],
    },
    /// All masters died, and their journal goes on from an older copy, or from nothing, in this term.
    JournalLost {
        /// The term of the last leadership that it knows.
        term: Term,
    },
    /// A master, perhaps deposed, sends an order.
    MasterOrders {
        /// The index of the master.
        master: usize,
        /// The term it believes in.
        term: Term,
        /// Whether it leads.
        leads: bool,
        /// The index of the machine.
        machine: usize,
        /// The message.
        message: &'a ToAgent,
    },
    /// A master, perhaps deposed, sends an event.
    MasterTells {
        /// The index of the master.
        master: usize,
        /// The term it believes in.
        term: Term,
        /// Whether it leads.
        leads: bool,
        /// The index of the framework.
        framework: usize,
        /// The event.
        event: &'a Event,
    },
    /// A framework's call arrives at a master.
    MasterHears {
        /// The index of the master.
        master: usize,
        /// The index of the framework.
        framework: usize,
        /// The call.
        call: &'a FrameworkCall,
    },
    /// An agent's report arrives at a master.
    MasterHearsReport {
        /// The index of the master.
        master: usize,
        /// The index of the machine.
        machine: usize,
        /// The link on which it came.
        link: u64,
    },
    /// A master notices that a framework's link is gone.
    MasterLoses {
        /// The index of the master.
        master: usize,
        /// The index of the framework.
        framework: usize,
    },
    /// An operator asks for a change of claims.
    OperatorAsks {
        /// The agent concerned.
        agent: &'a AgentId,
        /// The change that is asked for.
        action: &'a ClaimAction,
    },
    /// An operator is answered.
    OperatorHears {
        /// The agent concerned.
        agent: &'a AgentId,
        /// The change that is asked for.
        action: &'a ClaimAction,
        /// The answer.
        answer: &'a Result<(), Refusal>,
    },
    /// A framework sends a call; it may never arrive.
    FrameworkCalls {
        /// The index of the framework.
        framework: usize,
        /// The call.
        call: &'a FrameworkCall,
    },
    /// A framework hears an event, before it has done anything about it.
    FrameworkHears {
        /// The index of the framework.
        framework: usize,
        /// The term of the master that says so.
        term: Term,
        /// Whether that master leads.
        leads: bool,
        /// The event.
        event: &'a Event,
    },
    /// A framework has written something down.
    FrameworkCommits {
        /// The index of the framework.
        framework: usize,
        /// The changes that are durable now.
        changes: &'a [KeeperChange],
    },
    /// An agent has heard an order and thought about it; nothing of it is done yet.
    AgentHears {
        /// The index of the machine.
        machine: usize,
        /// The message.
        message: &'a ToAgent,
        /// What it wants written down because of it.
        commits: Vec<&'a AgentChange>,
    },
    /// An agent has written something down.
    AgentCommits {
        /// The index of the machine.
        machine: usize,
        /// The changes that are durable now.
        changes: &'a [AgentChange],
    },
    /// An agent tells a master.
    AgentTells {
        /// The index of the machine.
        machine: usize,
        /// The message.
        message: &'a ToMaster,
    },
    /// An agent starts with this ledger.
    AgentStarts {
        /// The index of the machine.
        machine: usize,
        /// What its store held.
        ledger: &'a AgentLedger,
    },
    /// A volume's directory was made, or found whole.
    VolumeMade {
        /// The index of the machine.
        machine: usize,
        /// The label of the volume.
        label: &'a VolumeLabel,
        /// Whether it is new.
        fresh: bool,
    },
    /// A volume was moved to the trash.
    VolumeTrashed {
        /// The index of the machine.
        machine: usize,
        /// The label of the volume.
        label: &'a VolumeLabel,
    },
    /// A destroyed volume was removed from the trash.
    VolumePurged {
        /// The index of the machine.
        machine: usize,
        /// The label of the volume.
        label: &'a VolumeLabel,
    },
    /// A container starts, or sees more volumes.
    ContainerStarts {
        /// The index of the machine.
        machine: usize,
        /// The plan of the container.
        plan: &'a ContainerPlan,
    },
    /// Nothing of a container runs any more.
    ContainerEnds {
        /// The index of the machine.
        machine: usize,
        /// The container concerned.
        container: ContainerId,
    },
    /// A task's process starts.
    TaskStarts {
        /// The index of the machine.
        machine: usize,
        /// The container concerned.
        container: ContainerId,
        /// The id of the framework.
        framework: &'a FrameworkId,
        /// The task concerned.
        task: &'a TaskId,
        /// What it sees.
        volumes: &'a [VolumeSeen],
    },
    /// A task's process has ended.
    TaskEnds {
        /// The index of the machine.
        machine: usize,
        /// The id of the framework.
        framework: &'a FrameworkId,
        /// The task concerned.
        task: &'a TaskId,
        /// The terminal state.
        state: TaskState,
    },
    /// A record is safe on a volume and its writer was told so.
    RecordKept {
        /// The index of the machine.
        machine: usize,
        /// The claim of the volume.
        claim: ClaimId,
        /// The id of the framework.
        framework: &'a FrameworkId,
        /// The task concerned.
        task: &'a TaskId,
        /// How many records there are now.
        count: u64,
    },
}
