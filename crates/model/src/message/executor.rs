//! What executors and agents say to each other.
//!
//! The messages are those of Mesos's executor API. Never names the executor: its link does.

use crate::framework::FrameworkInfo;
use crate::id::{AgentId, ContainerId, StatusUuid, TaskId};
use crate::task::{ExecutorInfo, TaskInfo, TaskStatus};

use super::MachineInfo;

/// Executor to agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutorCall {
    /// The executor is here, for the first time or again.
    Subscribe {
        /// The tasks that it was given and whose first update the agent has not acknowledged.
        tasks: Vec<TaskId>,
        /// The statuses that the agent has not acknowledged.
        updates: Vec<TaskStatus>,
    },
    /// A task moved on.
    Update(TaskStatus),
    /// The executor sends bytes to its scheduler.
    Message(Vec<u8>),
    /// The executor is alive.
    Heartbeat,
}

/// Agent to executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutorEvent {
    /// The agent takes the executor.
    Subscribed {
        /// The executor as its framework described it.
        executor: Box<ExecutorInfo>,
        /// The framework that the executor belongs to.
        framework: Box<FrameworkInfo>,
        /// The agent that runs it.
        agent: AgentId,
        /// The machine that it runs on.
        machine: Box<MachineInfo>,
        /// The container that it lives in.
        container: ContainerId,
    },
    /// The executor shall start a task.
    Launch(Box<TaskInfo>),
    /// The executor shall start these tasks together.
    LaunchGroup(Vec<TaskInfo>),
    /// The executor shall end a task within so many milliseconds; `None` leaves it to the task's own policy.
    Kill(TaskId, Option<u64>),
    /// The agent holds this status durably.
    Acknowledged(TaskId, StatusUuid),
    /// The scheduler sends bytes to its executor.
    Message(Vec<u8>),
    /// The executor shall end.
    Shutdown,
    /// The executor broke a rule; the stream ends.
    Error(String),
}
