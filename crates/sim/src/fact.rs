//! What the rules see: everything that crosses a wall, or happens to a disk or a container, at the moment it happens.
//!
//! It relies on the world to tell all of it. Facts are about the world; none of them is what a mind thinks.

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
    /// Which.
    pub claim: ClaimId,
    /// Its name, from its label.
    pub persistence: String,
    /// Where it shows.
    pub container_path: String,
    /// Who wrote the first record, if there is one.
    pub stamp: Option<String>,
    /// How many records can be read.
    pub records: u64,
}

/// See the module. Machines, masters and frameworks are named by their index.
#[derive(Clone, Debug)]
pub enum Fact<'a> {
    /// A leadership begins.
    Elected {
        /// Who.
        master: usize,
        /// Its term.
        term: Term,
    },
    /// The journal took changes.
    MasterCommits {
        /// Under which term.
        term: Term,
        /// What.
        changes: &'a [MasterChange],
    },
    /// A master, perhaps deposed, sends an order.
    MasterOrders {
        /// Who.
        master: usize,
        /// The term it believes in.
        term: Term,
        /// Whether it leads.
        leads: bool,
        /// To whom.
        machine: usize,
        /// What.
        message: &'a ToAgent,
    },
    /// A master, perhaps deposed, sends an event.
    MasterTells {
        /// Who.
        master: usize,
        /// The term it believes in.
        term: Term,
        /// Whether it leads.
        leads: bool,
        /// To whom.
        framework: usize,
        /// What.
        event: &'a Event,
    },
    /// A framework's call arrives at a master.
    MasterHears {
        /// Who hears.
        master: usize,
        /// Who calls.
        framework: usize,
        /// What.
        call: &'a FrameworkCall,
    },
    /// An agent's report arrives at a master.
    MasterHearsReport {
        /// Who hears.
        master: usize,
        /// Whose.
        machine: usize,
        /// On which link.
        link: u64,
    },
    /// A master notices that a framework's link is gone.
    MasterLoses {
        /// Who notices.
        master: usize,
        /// Whose.
        framework: usize,
    },
    /// An operator asks for a change of claims.
    OperatorAsks {
        /// Where.
        agent: &'a AgentId,
        /// What.
        action: &'a ClaimAction,
    },
    /// An operator is answered.
    OperatorHears {
        /// Where.
        agent: &'a AgentId,
        /// What was asked.
        action: &'a ClaimAction,
        /// The answer.
        answer: &'a Result<(), Refusal>,
    },
    /// A framework sends a call; it may never arrive.
    FrameworkCalls {
        /// Who.
        framework: usize,
        /// What.
        call: &'a FrameworkCall,
    },
    /// A framework hears an event, before it has done anything about it.
    FrameworkHears {
        /// Who.
        framework: usize,
        /// The term of the master that says so.
        term: Term,
        /// Whether that master leads.
        leads: bool,
        /// What.
        event: &'a Event,
    },
    /// A framework has written something down.
    FrameworkCommits {
        /// Who.
        framework: usize,
        /// What.
        changes: &'a [KeeperChange],
    },
    /// An agent has heard an order and thought about it; nothing of it is done yet.
    AgentHears {
        /// Who.
        machine: usize,
        /// What.
        message: &'a ToAgent,
        /// What it wants written down because of it.
        commits: Vec<&'a AgentChange>,
    },
    /// An agent has written something down.
    AgentCommits {
        /// Who.
        machine: usize,
        /// What.
        changes: &'a [AgentChange],
    },
    /// An agent tells a master.
    AgentTells {
        /// Who.
        machine: usize,
        /// What.
        message: &'a ToMaster,
    },
    /// An agent starts with this ledger.
    AgentStarts {
        /// Who.
        machine: usize,
        /// What its store held.
        ledger: &'a AgentLedger,
    },
    /// A volume's directory was made, or found whole.
    VolumeMade {
        /// Where.
        machine: usize,
        /// Which.
        label: &'a VolumeLabel,
        /// Whether it is new.
        fresh: bool,
    },
    /// A volume was moved to the trash.
    VolumeTrashed {
        /// Where.
        machine: usize,
        /// Which.
        label: &'a VolumeLabel,
    },
    /// A container starts, or sees more volumes.
    ContainerStarts {
        /// Where.
        machine: usize,
        /// What.
        plan: &'a ContainerPlan,
    },
    /// Nothing of a container runs any more.
    ContainerEnds {
        /// Where.
        machine: usize,
        /// Which.
        container: ContainerId,
    },
    /// A task's process starts.
    TaskStarts {
        /// Where.
        machine: usize,
        /// In which container.
        container: ContainerId,
        /// Whose.
        framework: &'a FrameworkId,
        /// Which.
        task: &'a TaskId,
        /// What it sees.
        volumes: &'a [VolumeSeen],
    },
    /// A task's process has ended.
    TaskEnds {
        /// Where.
        machine: usize,
        /// Whose.
        framework: &'a FrameworkId,
        /// Which.
        task: &'a TaskId,
        /// How.
        state: TaskState,
    },
    /// A record is safe on a volume and its writer was told so.
    RecordKept {
        /// Where.
        machine: usize,
        /// On which volume.
        claim: ClaimId,
        /// Whose.
        framework: &'a FrameworkId,
        /// Who wrote it.
        task: &'a TaskId,
        /// How many records there are now.
        count: u64,
    },
}
