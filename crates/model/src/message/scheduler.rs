//! What frameworks and masters say to each other.
//!
//! The messages are those of Mesos's scheduler API. Never names the framework that a call is from: its session does.

use std::collections::BTreeSet;

use crate::framework::FrameworkInfo;
use crate::id::{AgentId, ClaimId, ExecutorId, FrameworkId, OfferId, StatusUuid, TaskId};
use crate::maintenance::Unavailability;
use crate::operation::Operation;
use crate::resources::Resources;
use crate::role::Role;
use crate::task::{OpaquePayload, TaskStatus};

use super::OperationStatus;

/// How long resources that were declined are not offered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    /// In milliseconds; 0 sets no filter.
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
    /// What the framework says.
    pub call: Call,
}

/// Framework to master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The framework is here, for the first time or again.
    Subscribe {
        /// How it describes itself.
        info: Box<FrameworkInfo>,
        /// The roles for which it wants no offers for now.
        suppressed: BTreeSet<Role>,
    },
    /// The framework changes how it describes itself.
    UpdateFramework {
        /// The description as it shall be.
        info: Box<FrameworkInfo>,
        /// The roles for which it wants no offers for now.
        suppressed: BTreeSet<Role>,
    },
    /// The master shall remove the framework; its claims stay.
    Teardown,
    /// The framework uses offers.
    Accept {
        /// The offers, all of one agent and role.
        offers: Vec<OfferId>,
        /// What to do with them, in order.
        operations: Vec<Operation>,
        /// The filters for what is left over.
        filters: Filters,
    },
    /// The framework does not use offers.
    Decline {
        /// The offers that it declines.
        offers: Vec<OfferId>,
        /// How long the same resources are not offered again.
        filters: Filters,
    },
    /// The framework wants offers again, and its filters are forgotten. An empty set means all its roles.
    Revive(BTreeSet<Role>),
    /// The framework wants no offers for now. An empty set means all its roles.
    Suppress(BTreeSet<Role>),
    /// A task shall end.
    Kill {
        /// The task that shall end.
        task: TaskId,
        /// The agent that runs it, if the framework knows.
        agent: Option<AgentId>,
        /// How long it may take, in milliseconds; `None` leaves it to the task's own policy.
        grace_ms: Option<u64>,
    },
    /// An executor shall end.
    Shutdown(ExecutorId, AgentId),
    /// The framework has seen a status of a task.
    Acknowledge {
        /// The agent that the status is from.
        agent: AgentId,
        /// The task that it is about.
        task: TaskId,
        /// The name of the status.
        status: StatusUuid,
    },
    /// The framework asks how these tasks are. An empty list means all that live.
    Reconcile(Vec<(TaskId, Option<AgentId>)>),
    /// The scheduler sends bytes to an executor.
    Message(AgentId, ExecutorId, Vec<u8>),
    /// The framework says what it would like to be offered; the built-in policies do not read it.
    Request,
    /// The framework has seen a status of an operation.
    AcknowledgeOperation {
        /// The agent that the status is from.
        agent: Option<AgentId>,
        /// The name that the framework gave the operation.
        operation: String,
        /// The name of the status.
        status: StatusUuid,
    },
    /// The framework asks how these operations are. An empty list means all.
    ReconcileOperations(Vec<(String, Option<AgentId>)>),
    /// The framework answers inverse offers; nothing follows from it but that it is shown.
    AnswerInverse {
        /// The inverse offers.
        offers: Vec<OfferId>,
        /// Whether it can do without those agents.
        accepts: bool,
        /// How long it is not asked again.
        filters: Filters,
    },
}

/// An offer: resources of one agent, held for one role of one framework until it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The name under which the framework answers.
    pub id: OfferId,
    /// The framework that it is for.
    pub framework: FrameworkId,
    /// The role of the framework that it is for.
    pub role: Role,
    /// The agent that has the resources.
    pub agent: AgentId,
    /// The resources, allocated to the role.
    pub resources: Resources,
    /// The framework's executors on the agent.
    pub executors: Vec<ExecutorId>,
    /// The name of the agent's machine.
    pub hostname: String,
    /// The agent's whole description.
    pub machine: OpaquePayload,
    /// The claims behind what is reserved, so that a framework can tell its own.
    pub claims: Vec<ClaimId>,
    /// When the machine will be down, if that is planned.
    pub unavailability: Option<Unavailability>,
}

/// A question to a framework: whether it can do without what it has on an agent whose machine will be down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InverseOffer {
    /// The name under which the framework answers.
    pub id: OfferId,
    /// The framework that has something there.
    pub framework: FrameworkId,
    /// The agent.
    pub agent: AgentId,
    /// When it will be down.
    pub unavailability: Unavailability,
}

/// Master to framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The master takes the framework, under this name.
    Subscribed(FrameworkId),
    /// The framework may use these.
    Offers(Vec<Offer>),
    /// The offer no longer stands.
    Rescind(OfferId),
    /// Agents will be down on which the framework has something.
    InverseOffers(Vec<InverseOffer>),
    /// The inverse offer no longer stands.
    RescindInverse(OfferId),
    /// A task moved on.
    Update(TaskStatus),
    /// An operation moved on.
    UpdateOperation(OperationStatus),
    /// An executor sent bytes.
    Message(AgentId, ExecutorId, Vec<u8>),
    /// An executor exited, or, when none is named, the whole agent is lost.
    Failure {
        /// The agent that is lost, or that ran the executor.
        agent: Option<AgentId>,
        /// The executor that exited.
        executor: Option<ExecutorId>,
        /// How it ended, as `waitpid` tells it: the exit code times 256, or the signal.
        status: Option<i32>,
    },
    /// The framework broke a rule; the stream ends.
    Error(String),
}
