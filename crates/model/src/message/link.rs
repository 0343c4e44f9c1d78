//! What agents and masters say to each other.
//!
//! One link carries messages both ways, each way in order. Relies on the agent's records, which a report holds. Never holds who is at
//! the other end: that is the business of whoever keeps the link.

use crate::added_disk::AddedDisk;
use crate::agent_ledger::{DiskRecord, ExecutorRecord, LedgerPoint, OperationRecord, TaskRecord};
use crate::claim::{Claim, Ownership};
use crate::framework::FrameworkInfo;
use crate::id::{
    AgentId, ClaimId, ClusterId, DiskId, ExecutorId, FrameworkId, NodeId, OperationUuid,
    StatusUuid, TaskId, Term,
};
use crate::labelled_volume::LabelledVolume;
use crate::moved_disk::{DiskAdoption, DiskTaking, LeaveStage};
use crate::operation::{Operation, Together};
use crate::recovery::AgentRecovery;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::role::Role;
use crate::task::{OpaquePayload, TaskState, TaskStatus};
use crate::trash::TrashNews;
use crate::used::UsedNews;

use super::OperationState;

/// A disk and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskReport {
    /// The disk as the agent's ledger has it.
    pub disk: DiskRecord,
    /// What is wrong with it; `None` when it is well.
    pub fault: Option<String>,
    /// The space on it, as last measured; `None` as long as it was not.
    pub space: Option<DiskSpace>,
    /// Whether an operator added it to the running agent; else the agent's settings name it.
    pub added: bool,
    /// Whole volumes on it, as it was opened last, that no claim stands for: the first of them.
    pub orphans: Vec<LabelledVolume>,
    /// How many of them there are beside those.
    pub more_orphans: u64,
}

/// The space on a disk, in megabytes (2^20 bytes), rounded down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskSpace {
    /// Names the file system that it lies on; disks with the same name share their space.
    pub file_system: String,
    /// The size of the file system.
    pub total_mb: u64,
    /// What of the file system is free.
    pub free_mb: u64,
    /// What lies in the disk's trash and is given back when a volume needs it.
    pub trash_mb: u64,
    /// What the volumes of the disk were found to use; `None` as long as they were not measured.
    pub used_mb: Option<u64>,
    /// What is claimed of the file system, not used yet, and not there: other files take it.
    pub overcommitted_mb: u64,
    /// What keeps its volumes to their sizes, in the agent's words; empty when an older agent does not say.
    pub limit: String,
}

/// There is more or less of an agent's disks to be claimed than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceNews {
    /// What the machine has before any claim is laid on it.
    pub resources: Vec<Resource>,
    /// All disks.
    pub disks: Vec<DiskReport>,
    /// Why nothing new may be begun on the agent, because its own file system is nearly full.
    pub full: Option<String>,
}

/// How a machine describes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineInfo {
    /// The name under which other machines reach it.
    pub hostname: String,
    /// The port of its agent.
    pub port: u16,
    /// What it has before any claim is laid on it.
    pub resources: Resources,
    /// The whole description as an encoded `mesos.v1.AgentInfo` with attributes and domain, less the resources.
    pub payload: OpaquePayload,
}

/// Everything that an agent owns. The agent introduces itself with it on each link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The uuid that the agent gave itself at its first start.
    pub node: NodeId,
    /// The name that the cluster gave it; `None` before its first registration.
    pub agent: Option<AgentId>,
    /// The cluster that its disks belong to; `None` before its first registration.
    pub cluster: Option<ClusterId>,
    /// How many commits its ledger has seen.
    pub ledger_version: u64,
    /// How many orders of this link the agent had seen when it wrote the report.
    pub orders_seen: u64,
    /// The machine. Its `resources` are empty until the agent has a cluster and its disks are open.
    pub machine: MachineInfo,
    /// All disks, those with a fault too.
    pub disks: Vec<DiskReport>,
    /// Why nothing new may be begun on the agent, because its own file system is nearly full.
    pub full: Option<String>,
    /// All claims, those that cannot be used now too.
    pub claims: Vec<Claim>,
    /// The claims that cannot be used now, and why.
    pub faults: Vec<(ClaimId, String)>,
    /// The frameworks with something on the agent.
    pub frameworks: Vec<FrameworkInfo>,
    /// The executors that the agent runs or waits for.
    pub executors: Vec<ExecutorRecord>,
    /// The tasks whose last update is not acknowledged yet.
    pub tasks: Vec<TaskRecord>,
    /// The operations whose outcome is not acknowledged yet.
    pub operations: Vec<OperationRecord>,
    /// The version of the agent's program.
    pub version: String,
    /// Grows with each change of a claim.
    pub claims_generation: u64,
    /// The ledger at the versions that the masters may have acknowledged, and as it is now; of an older agent nothing.
    pub history: Vec<LedgerPoint>,
    /// The greatest term that the agent has obeyed: it obeys no leader of a lesser one. Of an older agent zero.
    pub term: Term,
}

/// An operation was settled, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationUpdate {
    /// The name that the master gave the operation.
    pub uuid: OperationUuid,
    /// The name that the framework gave it.
    pub id: Option<String>,
    /// The framework that asked; `None` for an operator's operation.
    pub framework: Option<FrameworkId>,
    /// The outcome.
    pub state: OperationState,
    /// Why the operation failed.
    pub message: Option<String>,
    /// The name of this status, for its acknowledgement.
    pub status: StatusUuid,
    /// How many commits the agent's ledger has seen by now.
    pub ledger_version: u64,
    /// The chained checksum of its ledger at that version; of an older agent `None`.
    pub ledger_checksum: Option<u64>,
    /// The claims that the operation made or changed, as they now are.
    pub claims: Vec<Claim>,
    /// The claims that the operation ended.
    pub ended: Vec<ClaimId>,
    /// Those of them of which the agent knows how they ended, as they were then: the last event of their history says so.
    pub endings: Vec<Claim>,
    /// Grows with each change of a claim of the agent.
    pub claims_generation: u64,
}

/// Agent to master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToMaster {
    /// The agent tells all that it owns: as the first message of each link, and as the answer to a resync.
    Report(Box<Report>),
    /// A task moved on.
    TaskUpdate {
        /// The framework of the task.
        framework: FrameworkId,
        /// The oldest status that is not acknowledged yet.
        status: TaskStatus,
        /// The newest state, which may be later than the status.
        latest: TaskState,
    },
    /// An operation was settled.
    OperationUpdate(OperationUpdate),
    /// An executor sent bytes to its scheduler.
    ExecutorMessage(FrameworkId, ExecutorId, Vec<u8>),
    /// An executor's container has ended.
    ExecutorExited {
        /// The framework of the executor.
        framework: FrameworkId,
        /// The executor that the container was for.
        executor: ExecutorId,
        /// The exit code, or 128 + the signal.
        status: i32,
    },
    /// The agent has heard the ping with this number.
    Pong(u64),
    /// What lies in the trash: all of it after each welcome, and what has changed from then on.
    TrashNews(TrashNews),
    /// See [`SpaceNews`].
    SpaceNews(SpaceNews),
    /// What volumes were found to use: all of it after each welcome, and what has changed from then on.
    UsedNews(UsedNews),
    /// What came of [`Order::AddDisk`], [`Order::AdoptDisk`], [`Order::LeaveDisk`], [`Order::TakeDisk`], [`Order::RemoveDisk`] or
    /// [`Order::RemoveOrphan`], durably. Told once, after the news of the disks that it has made.
    DiskAnswer {
        /// The name that the order had.
        uuid: OperationUuid,
        /// Why it was not done, and what to try.
        refusal: Option<String>,
    },
}

/// An operation with the name that the master gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedOperation {
    /// The name under which the agent reports the outcome.
    pub uuid: OperationUuid,
    /// What the agent shall do.
    pub operation: Operation,
}

/// What a leader orders an agent to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The agent is taken, under this name.
    Registered(AgentId, ClusterId),
    /// The agent is not taken, for this reason.
    Refused(String),
    /// The agent shall end all that runs there; its claims and what lies on its disks stay. It comes before [`Order::Refused`].
    ShutDown {
        /// Whom it is meant for, since it may come in place of a welcome.
        agent: AgentId,
        /// The cluster that it is of.
        cluster: ClusterId,
        /// Why.
        reason: String,
    },
    /// The agent shall do these operations, in order.
    Apply {
        /// The framework that asked; `None` for an operator.
        framework: Option<Box<FrameworkInfo>>,
        /// The role that was offered the resources; `None` for an operator.
        role: Option<Role>,
        /// Who asked, for the history of claims.
        by: String,
        /// What to do, each under the name that the master gave it.
        operations: Vec<NamedOperation>,
        /// Whose claims they may take from; `None` when the master is older, and does not say.
        ownership: Option<Ownership>,
    },
    /// A claim shall end that lies on a disk that is not there or not whole, without a look at its bytes.
    GiveUp {
        /// The name under which the agent reports the outcome, as that of an operator's operation.
        uuid: OperationUuid,
        /// The claim.
        claim: ClaimId,
        /// Who asked, for the history of claims.
        by: String,
    },
    /// These changes of claims shall be made together or not at all, if the claims are as expected. An operation, settled as any other.
    ApplyTogether {
        /// The name of the operation.
        uuid: OperationUuid,
        /// What to do.
        together: Together,
        /// Whose claims it may take from; `None` when the master is older, and does not say.
        ownership: Option<Ownership>,
    },
    /// As [`Order::ApplyTogether`], and the one volume that is created is not made, but an orphan, as it is.
    AdoptVolume {
        /// The name of the operation.
        uuid: OperationUuid,
        /// What to do, and which orphan it is.
        together: Together,
        /// Whose claims it may take from.
        ownership: Option<Ownership>,
    },
    /// As [`Order::AdoptVolume`], of a directory with data.
    AdoptDirectory {
        /// The name of the operation.
        uuid: OperationUuid,
        /// What to do, and which directory it is.
        together: Together,
        /// Whose claims it may take from.
        ownership: Option<Ownership>,
    },
    /// An orphan shall go to the trash of its disk.
    RemoveOrphan {
        /// The name under which the agent answers.
        uuid: OperationUuid,
        /// The orphan.
        volume: ClaimId,
        /// The disk that it lies on.
        disk: DiskId,
        /// What its claim would hold, by its label.
        resource: Box<Resource>,
        /// Who asked, for the history of its claim.
        by: String,
    },
    /// A task shall end.
    Kill {
        /// The framework of the task.
        framework: FrameworkId,
        /// The task that shall end.
        task: TaskId,
        /// How long it may take, in milliseconds; `None` leaves it to the task's own policy.
        grace_ms: Option<u64>,
    },
    /// An executor shall end.
    ShutdownExecutor(FrameworkId, ExecutorId),
    /// All executors of a framework shall end; its claims stay.
    ShutdownFramework(FrameworkId),
    /// The framework has seen this status of a task.
    AcknowledgeTask(FrameworkId, TaskId, StatusUuid),
    /// The framework has seen this status of an operation.
    AcknowledgeOperation(OperationUuid, StatusUuid),
    /// A scheduler sent bytes to its executor.
    ExecutorMessage(FrameworkId, ExecutorId, Vec<u8>),
    /// The agent shall answer with a pong of the same number.
    Ping {
        /// The number.
        number: u64,
        /// The version of the agent's ledger that the masters have acknowledged; what it was before will not be asked about.
        acknowledged: u64,
    },
    /// The agent shall send its report again.
    Resync,
    /// A destroyed volume shall come back from the trash: the same claim, with its data. An operation, settled as any other.
    Undelete {
        /// The name of the operation.
        uuid: OperationUuid,
        /// The claim.
        claim: ClaimId,
        /// Who asked, for the history of the claim.
        by: String,
    },
    /// A destroyed volume shall be removed from the trash now.
    PurgeTrash {
        /// The claim that it had.
        claim: ClaimId,
        /// Who asked.
        by: String,
    },
    /// The agent shall have one more disk from now on, if it can be opened.
    AddDisk {
        /// The name under which the agent answers.
        uuid: OperationUuid,
        /// The disk.
        disk: AddedDisk,
        /// Who asked.
        by: String,
    },
    /// The agent shall take over a disk of its own at another path, with all that is claimed of it.
    AdoptDisk {
        /// The name under which the agent answers.
        uuid: OperationUuid,
        /// The disk, and where it is.
        adoption: DiskAdoption,
        /// Who asked, for the history of claims.
        by: String,
    },
    /// A disk of the agent is moved to another agent.
    LeaveDisk {
        /// The name under which the agent answers.
        uuid: OperationUuid,
        /// The disk, by its label.
        disk: DiskId,
        /// The agent that takes it over.
        to: AgentId,
        /// What is to be done about it.
        stage: LeaveStage,
        /// Who asked.
        by: String,
        /// Why the move was cancelled by force, for the history of claims; `None` when it was not.
        reason: Option<String>,
    },
    /// The agent shall not take over a disk of another agent any more, and say whether it has.
    CancelTake {
        /// The name under which the agent answers; it refuses if it has taken the disk over.
        uuid: OperationUuid,
        /// The disk, by the label that is written on it.
        disk: DiskId,
        /// The claims that it was to take over.
        claims: Vec<ClaimId>,
        /// Who asked.
        by: String,
    },
    /// The agent shall take over a disk of another agent, with all that is claimed of it.
    TakeDisk {
        /// The name under which the agent answers.
        uuid: OperationUuid,
        /// The disk, and its claims.
        taking: Box<DiskTaking>,
        /// Who asked, for the history of claims.
        by: String,
    },
    /// The agent shall not have a disk any more that an operator added, if nothing is claimed of it.
    RemoveDisk {
        /// The name under which the agent answers.
        uuid: OperationUuid,
        /// Its path.
        root: String,
        /// Who asked.
        by: String,
    },
    /// An agent that is fenced, since its ledger was lost or rolled back, shall have these claims, and go on under another name of its ledger.
    /// It comes in place of the refusal, and is answered by another report.
    Recover {
        /// The name of the order.
        uuid: OperationUuid,
        /// What it shall have.
        recovery: Box<AgentRecovery>,
        /// Who asked, for the history of claims.
        by: String,
    },
    /// A newer master sent an order that this program does not know. The order counts as seen, and nothing is done.
    Unknown,
}

impl Order {
    /// The kind of the order: its number in the `oneof message` of `ToAgent`, as [`crate::convert::link`] writes it; 0 for
    /// [`Order::Unknown`]. An agent of an older version knows the kinds up to some number.
    pub fn kind(&self) -> u32 {
        match self {
            Order::Unknown => 0,
            Order::Registered(..) => 2,
            Order::Refused(_) => 3,
            Order::Apply { .. } => 4,
            Order::Kill { .. } => 5,
            Order::ShutdownExecutor(..) => 6,
            Order::ShutdownFramework(_) => 7,
            Order::AcknowledgeTask(..) => 8,
            Order::AcknowledgeOperation(..) => 9,
            Order::ExecutorMessage(..) => 10,
            Order::Ping { .. } => 11,
            Order::Resync => 12,
            Order::Undelete { .. } => 14,
            Order::PurgeTrash { .. } => Order::PURGE_TRASH,
            Order::GiveUp { .. } => 16,
            Order::AddDisk { .. } => 17,
            Order::RemoveDisk { .. } => 18,
            Order::AdoptDisk { .. } => 19,
            Order::LeaveDisk { .. } => 20,
            Order::TakeDisk { .. } => 21,
            Order::ApplyTogether { .. } => 23,
            Order::Recover { .. } => Order::RECOVER,
            Order::AdoptVolume { .. } => 40,
            Order::RemoveOrphan { .. } => 41,
            Order::AdoptDirectory { .. } => 42,
            Order::CancelTake { .. } => 43,
            Order::ShutDown { .. } => 44,
        }
    }

    /// The kind of [`Order::PurgeTrash`].
    pub const PURGE_TRASH: u32 = 15;
    /// The kind of [`Order::Recover`].
    pub const RECOVER: u32 = 30;
}

/// Master to agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToAgent {
    /// The term of the leader that gives the order.
    pub term: Term,
    /// What the agent shall do.
    pub order: Order,
}
