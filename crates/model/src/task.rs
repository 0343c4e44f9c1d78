//! Tasks, executors and their statuses: what Holdfast decides on, typed; what it merely carries, as received.

use std::sync::Arc;

use crate::id::{AgentId, ExecutorId, FrameworkId, Instant, StatusUuid, TaskId};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::role::Role;

/// A message as it came from outside, encoded; kept and passed on unread. A clone shares the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpaquePayload(Arc<[u8]>);

impl From<Vec<u8>> for OpaquePayload {
    fn from(bytes: Vec<u8>) -> OpaquePayload {
        OpaquePayload(bytes.into())
    }
}

impl OpaquePayload {
    /// The bytes, as received.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Where a task is in its life (the numbers are those of the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskState {
    /// Accepted by the agent, not yet started.
    Staging = 6,
    /// Its executor prepares it.
    Starting = 0,
    /// It runs.
    Running = 1,
    /// It was asked to end.
    Killing = 8,
    /// It ended well.
    Finished = 2,
    /// It ended badly.
    Failed = 3,
    /// It was ended on request.
    Killed = 4,
    /// Its description was wrong; it never ran.
    Error = 7,
    /// It is lost (for frameworks that do not know the states that say why).
    Lost = 5,
    /// It never reached its agent.
    Dropped = 9,
    /// Its agent cannot be reached.
    Unreachable = 10,
    /// Its agent is there, and it is not.
    Gone = 11,
    /// An operator said that its agent is gone.
    GoneByOperator = 12,
    /// Nobody knows it.
    Unknown = 13,
}

impl TaskState {
    /// All states.
    pub const ALL: [TaskState; 14] = [
        TaskState::Staging,
        TaskState::Starting,
        TaskState::Running,
        TaskState::Killing,
        TaskState::Finished,
        TaskState::Failed,
        TaskState::Killed,
        TaskState::Error,
        TaskState::Lost,
        TaskState::Dropped,
        TaskState::Unreachable,
        TaskState::Gone,
        TaskState::GoneByOperator,
        TaskState::Unknown,
    ];

    /// The state with this number on the wire.
    pub fn from_number(number: i32) -> Option<TaskState> {
        TaskState::ALL.into_iter().find(|it| *it as i32 == number)
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            TaskState::Staging => "TASK_STAGING",
            TaskState::Starting => "TASK_STARTING",
            TaskState::Running => "TASK_RUNNING",
            TaskState::Killing => "TASK_KILLING",
            TaskState::Finished => "TASK_FINISHED",
            TaskState::Failed => "TASK_FAILED",
            TaskState::Killed => "TASK_KILLED",
            TaskState::Error => "TASK_ERROR",
            TaskState::Lost => "TASK_LOST",
            TaskState::Dropped => "TASK_DROPPED",
            TaskState::Unreachable => "TASK_UNREACHABLE",
            TaskState::Gone => "TASK_GONE",
            TaskState::GoneByOperator => "TASK_GONE_BY_OPERATOR",
            TaskState::Unknown => "TASK_UNKNOWN",
        }
    }

    /// Whether no other state can follow.
    pub fn is_terminal(self) -> bool {
        use TaskState::{Dropped, Error, Failed, Finished, Gone, GoneByOperator, Killed, Lost};
        matches!(self, Finished | Failed | Killed | Error | Lost | Dropped | Gone | GoneByOperator)
    }

    /// What a framework without PARTITION_AWARE is told instead.
    pub fn for_unaware(self) -> TaskState {
        use TaskState::{Dropped, Gone, GoneByOperator, Lost, Unknown, Unreachable};
        if matches!(self, Dropped | Unreachable | Gone | GoneByOperator | Unknown) {
            Lost
        } else {
            self
        }
    }
}

/// Who made a status (the numbers are those of the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusSource {
    /// A master.
    Master = 0,
    /// An agent.
    Agent = 1,
    /// An executor.
    Executor = 2,
}

/// How long a task may take to end when nobody says, in milliseconds.
pub const KILL_GRACE_DEFAULT_MS: u64 = 3_000;

/// Why a status is as it is (the numbers are those of the wire; only those that Holdfast itself gives).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are Mesos's, and mesos.proto says what they mean")]
pub enum Reason {
    ExecutorTerminated = 1,
    FrameworkRemoved = 3,
    InvalidOffers = 6,
    MemoryLimit = 8,
    Reconciliation = 9,
    AgentDisconnected = 10,
    AgentRemoved = 11,
    AgentRestarted = 12,
    AgentUnknown = 13,
    TaskInvalid = 14,
    ResourcesUnknown = 18,
    DiskLimit = 20,
    ContainerLaunchFailed = 21,
    ExecutorRegistrationTimeout = 23,
    ExecutorReregistrationTimeout = 24,
    TaskGroupInvalid = 25,
    TaskCheckStatusUpdated = 28,
    TaskHealthCheckStatusUpdated = 29,
    KilledDuringLaunch = 30,
    AgentRemovedByOperator = 31,
    AgentReregistered = 32,
    MaxCompletionTimeReached = 33,
    AgentDraining = 34,
}

/// One status of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// The task that it is about.
    pub task: TaskId,
    /// The state that the task had reached.
    pub state: TaskState,
    /// Which kind of process made the status.
    pub source: Option<StatusSource>,
    /// Why, as the wire's number; an executor may give any.
    pub reason: Option<i32>,
    /// What a person should know about it, such as why the task failed.
    pub message: Option<String>,
    /// The name of the status, for its acknowledgement; a status without one is not acknowledged.
    pub uuid: Option<StatusUuid>,
    /// The agent that the task runs on.
    pub agent: Option<AgentId>,
    /// The executor that runs the task.
    pub executor: Option<ExecutorId>,
    /// When the task reached the state.
    pub at: Instant,
    /// Whether the task passes its health check.
    pub healthy: Option<bool>,
    /// When its agent could no longer be reached.
    pub unreachable: Option<Instant>,
    /// What else the executor said (data, labels, container status, check status), as an encoded `mesos.v1.TaskStatus`, or nothing.
    pub payload: OpaquePayload,
}

impl TaskStatus {
    /// A status that says no more than this.
    pub fn new(task: TaskId, state: TaskState, at: Instant) -> TaskStatus {
        TaskStatus {
            task,
            state,
            source: None,
            reason: None,
            message: None,
            uuid: None,
            agent: None,
            executor: None,
            at,
            healthy: None,
            unreachable: None,
            payload: OpaquePayload::default(),
        }
    }

    /// The same with its maker, reason and message.
    pub fn because(
        mut self,
        source: StatusSource,
        reason: Reason,
        message: impl Into<String>,
    ) -> TaskStatus {
        (self.source, self.reason, self.message) =
            (Some(source), Some(reason as i32), Some(message.into()));
        self
    }

    /// The same, at an agent.
    pub fn at_agent(mut self, agent: &AgentId) -> TaskStatus {
        self.agent = Some(agent.clone());
        self
    }
}

/// How to start a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandInfo {
    /// Whether `value` is a line for `/bin/sh -c`.
    pub shell: bool,
    /// The line, or the program.
    pub value: Option<String>,
    /// Arguments with the program's own name first, when not a shell line.
    pub arguments: Vec<String>,
    /// The environment variables that it gets beside the agent's own.
    pub environment: Vec<(String, String)>,
    /// The user to run as; `None` = the framework's.
    pub user: Option<String>,
    /// How many things would have to be fetched first.
    pub uris: usize,
}

/// A task as its framework describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskInfo {
    /// Its name, unique in its framework.
    pub id: TaskId,
    /// A name for people; several tasks may have the same.
    pub name: String,
    /// The agent that shall run it.
    pub agent: AgentId,
    /// The resources that it uses.
    pub resources: Vec<Resource>,
    /// The executor that shall run it; `None` when it is a command.
    pub executor: Option<ExecutorInfo>,
    /// Its command, when Holdfast's own executor shall run it.
    pub command: Option<CommandInfo>,
    /// How long it may take to end, in milliseconds.
    pub kill_grace_ms: Option<u64>,
    /// The whole description as received (an encoded `mesos.v1.TaskInfo`), less all resources; empty when it was not received.
    pub payload: OpaquePayload,
}

/// Who provides an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExecutorKind {
    /// Holdfast's own runs groups of commands.
    Default,
    /// The framework brings its own program.
    Custom,
}

/// An executor as its framework describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorInfo {
    /// Its name, unique in its framework and agent.
    pub id: ExecutorId,
    /// Who provides it; `None` means the framework.
    pub kind: Option<ExecutorKind>,
    /// The framework that it names.
    pub framework: Option<FrameworkId>,
    /// The resources that it uses itself, beside those of its tasks.
    pub resources: Vec<Resource>,
    /// The command that starts it.
    pub command: Option<CommandInfo>,
    /// How long it may take to end, in milliseconds.
    pub shutdown_grace_ms: Option<u64>,
    /// The whole description as received (an encoded `mesos.v1.ExecutorInfo`), less its resources; empty when it was not received.
    pub payload: OpaquePayload,
}

impl TaskInfo {
    /// Its resources with those of its own executor left out.
    pub fn own_resources(&self) -> Resources {
        self.resources.iter().collect()
    }

    /// As [`TaskInfo::own_resources`], allocated to `role` where they say nothing.
    pub fn own_resources_for(&self, role: &Role) -> Resources {
        let mut resources = self.resources.clone();
        allocate(&mut resources, role);
        resources.iter().collect()
    }

    /// The executor that runs it: its own, or one that bears the task's name.
    pub fn executor_id(&self) -> ExecutorId {
        match &self.executor {
            Some(executor) => executor.id.clone(),
            None => ExecutorId::made(self.id.as_str().to_owned()),
        }
    }

    /// The same with all resources allocated to `role` where they say nothing.
    pub fn allocated_to(mut self, role: &Role) -> TaskInfo {
        allocate(&mut self.resources, role);
        if let Some(executor) = &mut self.executor {
            allocate(&mut executor.resources, role);
        }
        self
    }
}

impl ExecutorInfo {
    /// The same with all resources allocated to `role` where they say nothing.
    pub fn allocated_to(mut self, role: &Role) -> ExecutorInfo {
        allocate(&mut self.resources, role);
        self
    }
}

fn allocate(resources: &mut [Resource], role: &Role) {
    for resource in resources {
        resource.identity.allocation.get_or_insert_with(|| role.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_numbers_of_the_wire() {
        for number in 0..=13 {
            assert_eq!(TaskState::from_number(number).map(|it| it as i32), Some(number));
        }
        assert_eq!(TaskState::from_number(14), None);
        assert!(!TaskState::Unreachable.is_terminal() && TaskState::Gone.is_terminal());
        assert_eq!(TaskState::Unreachable.for_unaware(), TaskState::Lost);
    }
}
