//! What is said between processes, parsed: the closed lists of all messages.

use std::collections::BTreeSet;

use crate::agent_ledger::{DiskRecord, ExecutorRecord, OperationRecord, TaskRecord};
use crate::claim::Claim;
use crate::framework::FrameworkInfo;
use crate::id::{
    AgentId, ClaimId, ClusterId, ExecutorId, FrameworkId, NodeId, OfferId, OperationUuid,
    StatusUuid, TaskId, Term,
};
use crate::operation::{ClaimAction, Operation};
use crate::resources::Resources;
use crate::role::Role;
use crate::task::{ExecutorInfo, OpaquePayload, TaskInfo, TaskState, TaskStatus};
use crate::value::Scalar;

/// Where an operation is in its life (the numbers are those of the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OperationState {
    /// Under way.
    Pending = 1,
    /// Done, durably.
    Finished = 2,
    /// The agent could not do it.
    Failed = 3,
    /// It was wrong.
    Error = 4,
    /// It never reached the agent.
    Dropped = 5,
    /// Its agent cannot be reached.
    Unreachable = 6,
    /// An operator said that its agent is gone.
    GoneByOperator = 7,
    /// Its agent has yet to come back.
    Recovering = 8,
    /// Nobody knows it.
    Unknown = 9,
}

impl OperationState {
    /// From the wire's number.
    pub fn from_number(number: i32) -> Option<OperationState> {
        use OperationState::{
            Dropped, Error, Failed, Finished, GoneByOperator, Pending, Recovering, Unknown,
            Unreachable,
        };
        let all = [
            Pending,
            Finished,
            Failed,
            Error,
            Dropped,
            Unreachable,
            GoneByOperator,
            Recovering,
            Unknown,
        ];
        all.into_iter().find(|it| *it as i32 == number)
    }

    /// Whether nothing comes after it.
    pub fn is_terminal(self) -> bool {
        use OperationState::{Dropped, Error, Failed, Finished, GoneByOperator};
        matches!(self, Finished | Failed | Error | Dropped | GoneByOperator)
    }
}

/// A status of an operation, for its framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationStatus {
    /// The framework's name for the operation.
    pub id: Option<String>,
    /// The state.
    pub state: OperationState,
    /// For people.
    pub message: Option<String>,
    /// What it made.
    pub converted: Resources,
    /// Names it for its acknowledgement; statuses without are not acknowledged.
    pub uuid: Option<StatusUuid>,
    /// Where.
    pub agent: Option<AgentId>,
}

// ---- Agents and masters.

/// A disk and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskReport {
    /// The disk.
    pub disk: DiskRecord,
    /// What is wrong with it; `None` when it is well.
    pub fault: Option<String>,
}

/// How a machine describes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineInfo {
    /// Its name.
    pub hostname: String,
    /// The port of its agent.
    pub port: u16,
    /// What it has before any claim is laid on it.
    pub resources: Resources,
    /// The whole description as an encoded `mesos.v1.AgentInfo` with attributes and domain, less the resources.
    pub payload: OpaquePayload,
}

/// Everything that an agent owns. It introduces itself with it, each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The machine's agent.
    pub node: NodeId,
    /// Its name in the cluster, if it has one.
    pub agent: Option<AgentId>,
    /// The cluster that its disks belong to, if any.
    pub cluster: Option<ClusterId>,
    /// How old its ledger is.
    pub ledger_version: u64,
    /// How many orders of this link it had seen.
    pub orders_seen: u64,
    /// The machine. Its `resources` are empty until the agent has a cluster and its disks are open.
    pub machine: MachineInfo,
    /// Disks.
    pub disks: Vec<DiskReport>,
    /// Claims.
    pub claims: Vec<Claim>,
    /// Claims that cannot be used now, and why.
    pub faults: Vec<(ClaimId, String)>,
    /// Frameworks with something here.
    pub frameworks: Vec<FrameworkInfo>,
    /// Executors.
    pub executors: Vec<ExecutorRecord>,
    /// Tasks.
    pub tasks: Vec<TaskRecord>,
    /// Operations not yet forgotten.
    pub operations: Vec<OperationRecord>,
    /// The agent's version.
    pub version: String,
}

/// An operation was settled, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationUpdate {
    /// Which.
    pub uuid: OperationUuid,
    /// The framework's name for it.
    pub id: Option<String>,
    /// Whose; `None` for an operator's.
    pub framework: Option<FrameworkId>,
    /// The outcome.
    pub state: OperationState,
    /// Why, when it failed.
    pub message: Option<String>,
    /// Names this status.
    pub status: StatusUuid,
    /// How old the agent's ledger is now.
    pub ledger_version: u64,
    /// Claims as they now are.
    pub claims: Vec<Claim>,
    /// Claims that are no more.
    pub ended: Vec<ClaimId>,
}

/// Agent to master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToMaster {
    /// Everything that I own. The first message of each link, and the answer to a resync.
    Report(Box<Report>),
    /// A task moved on.
    TaskUpdate {
        /// Whose.
        framework: FrameworkId,
        /// The status.
        status: TaskStatus,
        /// The newest state, which may be later than the status.
        latest: TaskState,
    },
    /// An operation was settled.
    OperationUpdate(OperationUpdate),
    /// From an executor to its scheduler.
    ExecutorMessage(FrameworkId, ExecutorId, Vec<u8>),
    /// An executor's container is gone.
    ExecutorExited {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
        /// Exit code, or 128 + signal.
        status: i32,
    },
    /// I hear you.
    Pong(u64),
}

/// An operation with the name that the master gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedOperation {
    /// Its name.
    pub uuid: OperationUuid,
    /// What.
    pub operation: Operation,
}

/// What a leader orders an agent to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// You are welcome, and this is your name.
    Registered(AgentId, ClusterId),
    /// You are not welcome, and why.
    Refused(String),
    /// Do these, in order.
    Apply {
        /// For whom; `None` for an operator.
        framework: Option<Box<FrameworkInfo>>,
        /// The role that was offered the resources; `None` for an operator.
        role: Option<Role>,
        /// Who asked, for the history of claims.
        by: String,
        /// What.
        operations: Vec<NamedOperation>,
    },
    /// End a task.
    Kill {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
        /// How long it may take, in milliseconds; `None` = its own policy.
        grace_ms: Option<u64>,
    },
    /// End an executor.
    ShutdownExecutor(FrameworkId, ExecutorId),
    /// End all of a framework; its claims stay.
    ShutdownFramework(FrameworkId),
    /// The framework has seen this status.
    AcknowledgeTask(FrameworkId, TaskId, StatusUuid),
    /// The framework has seen this status.
    AcknowledgeOperation(OperationUuid, StatusUuid),
    /// From a scheduler to its executor.
    ExecutorMessage(FrameworkId, ExecutorId, Vec<u8>),
    /// Do you hear me?
    Ping(u64),
    /// Tell me everything again.
    Resync,
    /// An order of a kind that this program does not know, from a newer master. It counts as seen, and nothing is done.
    Unknown,
}

/// Master to agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToAgent {
    /// The term of the leader that says so.
    pub term: Term,
    /// What it says.
    pub order: Order,
}

// ---- Executors and agents.

/// Executor to agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutorCall {
    /// I am here, again or for the first time.
    Subscribe {
        /// Tasks that it was given and has not reported on.
        tasks: Vec<TaskId>,
        /// Statuses that the agent has not acknowledged.
        updates: Vec<TaskStatus>,
    },
    /// A task moved on.
    Update(TaskStatus),
    /// To its scheduler.
    Message(Vec<u8>),
    /// I live.
    Heartbeat,
}

/// Agent to executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutorEvent {
    /// You are welcome.
    Subscribed {
        /// As described.
        executor: Box<ExecutorInfo>,
        /// Whose.
        framework: Box<FrameworkInfo>,
        /// Where.
        agent: AgentId,
        /// The machine.
        machine: Box<MachineInfo>,
        /// Its container.
        container: crate::id::ContainerId,
    },
    /// Start a task.
    Launch(Box<TaskInfo>),
    /// Start tasks together.
    LaunchGroup(Vec<TaskInfo>),
    /// End a task.
    Kill(TaskId, Option<u64>),
    /// The agent holds this status durably.
    Acknowledged(TaskId, StatusUuid),
    /// From its scheduler.
    Message(Vec<u8>),
    /// End.
    Shutdown,
    /// You did something wrong.
    Error(String),
}

// ---- Operators and masters.

/// What an operator can have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorCall {
    /// RESERVE, UNRESERVE, CREATE or DESTROY on one agent. Answered once it is durable there.
    Claim {
        /// Where.
        agent: AgentId,
        /// What; its resources are not allocated.
        action: ClaimAction,
    },
    /// Remove a framework; its claims stay.
    Teardown(FrameworkId),
    /// End a task of a framework.
    Kill(FrameworkId, TaskId),
    /// Set the weight of a role.
    Weight(Role, Scalar),
}

// ---- Frameworks and masters.

/// How long a refusal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    /// In milliseconds; 0 = no filter.
    pub refuse_ms: u64,
}

impl Default for Filters {
    fn default() -> Filters {
        Filters { refuse_ms: 5_000 }
    }
}

/// A call with the name that it came under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkCall {
    /// The framework that the call names; `None` only for a first SUBSCRIBE.
    pub framework: Option<FrameworkId>,
    /// What it says.
    pub call: Call,
}

/// Framework to master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// I am here, again or for the first time.
    Subscribe {
        /// Who.
        info: Box<FrameworkInfo>,
        /// Roles that want no offers for now.
        suppressed: BTreeSet<Role>,
    },
    /// Change my description.
    UpdateFramework {
        /// As it shall be.
        info: Box<FrameworkInfo>,
        /// Roles that want no offers for now.
        suppressed: BTreeSet<Role>,
    },
    /// Remove me; my claims stay.
    Teardown,
    /// Use offers.
    Accept {
        /// Which; all of one agent and role.
        offers: Vec<OfferId>,
        /// What to do, in order.
        operations: Vec<Operation>,
        /// For what is left over.
        filters: Filters,
    },
    /// Do not use offers.
    Decline {
        /// Which.
        offers: Vec<OfferId>,
        /// For how long.
        filters: Filters,
    },
    /// Offers again, filters forgotten. Empty = all roles.
    Revive(BTreeSet<Role>),
    /// No offers for now. Empty = all roles.
    Suppress(BTreeSet<Role>),
    /// End a task.
    Kill {
        /// Which.
        task: TaskId,
        /// Where, if known.
        agent: Option<AgentId>,
        /// How long it may take, in milliseconds.
        grace_ms: Option<u64>,
    },
    /// End an executor.
    Shutdown(ExecutorId, AgentId),
    /// I have seen this status.
    Acknowledge {
        /// Where.
        agent: AgentId,
        /// Whose.
        task: TaskId,
        /// Which.
        status: StatusUuid,
    },
    /// How are these? Empty = all that live.
    Reconcile(Vec<(TaskId, Option<AgentId>)>),
    /// To an executor.
    Message(AgentId, ExecutorId, Vec<u8>),
    /// A wish, which the built-in policies do not read.
    Request,
    /// I have seen this status.
    AcknowledgeOperation {
        /// Where.
        agent: Option<AgentId>,
        /// Which operation.
        operation: String,
        /// Which status.
        status: StatusUuid,
    },
    /// How are these? Empty = all.
    ReconcileOperations(Vec<(String, Option<AgentId>)>),
    /// About maintenance; there is none planned, so there is nothing to answer.
    InverseOffers,
}

/// An offer: resources of one agent, held for one role of one framework until it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub id: OfferId,
    /// To whom.
    pub framework: FrameworkId,
    /// For which of its roles.
    pub role: Role,
    /// Where.
    pub agent: AgentId,
    /// What, allocated to the role.
    pub resources: Resources,
    /// The framework's executors there.
    pub executors: Vec<ExecutorId>,
    /// The agent's host.
    pub hostname: String,
    /// The agent's whole description.
    pub machine: OpaquePayload,
    /// The claims behind what is reserved, so that a framework can tell its own.
    pub claims: Vec<ClaimId>,
}

/// Master to framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// You are welcome, and this is your name.
    Subscribed(FrameworkId),
    /// Use these or not.
    Offers(Vec<Offer>),
    /// Forget this offer.
    Rescind(OfferId),
    /// A task moved on.
    Update(TaskStatus),
    /// An operation moved on.
    UpdateOperation(OperationStatus),
    /// From an executor.
    Message(AgentId, ExecutorId, Vec<u8>),
    /// An agent is lost (no executor), or an executor exited.
    Failure {
        /// Where.
        agent: Option<AgentId>,
        /// Which.
        executor: Option<ExecutorId>,
        /// Exit code, or 128 + signal.
        status: Option<i32>,
    },
    /// You did something wrong; the stream ends.
    Error(String),
}
