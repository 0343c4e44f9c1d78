//! Tasks to be taken together, as the agent makes them from the master's order.
//!
//! Never changes once it is made.

use holdfast_model::{
    ExecutorInfo, ExecutorKey, FrameworkId, FrameworkInfo, OpaquePayload, Resources, Role,
    TaskInfo, TaskKey, TaskRecord, TaskState,
};

/// Tasks to be taken together, with the executor that runs them.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) framework: FrameworkInfo,
    pub(crate) role: Role,
    pub(crate) executor: ExecutorInfo,
    /// Whether the executor is Holdfast's own, for a command.
    pub(crate) is_command: bool,
    pub(crate) tasks: Vec<TaskInfo>,
    /// Names the group, if it is one.
    pub(crate) group: Option<String>,
}

impl Launch {
    /// One task, in its own executor or that of its command.
    pub(crate) fn single(
        framework: &FrameworkInfo,
        role: &Role,
        task: TaskInfo,
        overhead: &Resources,
    ) -> Launch {
        let task = task.allocated_to(role);
        let executor = task.executor.clone().unwrap_or_else(|| ExecutorInfo {
            id: task.executor_id(),
            kind: None,
            framework: framework.id.clone(),
            resources: overhead.allocated_to(role).iter().collect(),
            command: task.command.clone(),
            shutdown_grace_ms: None,
            payload: OpaquePayload::default(),
        });
        let is_command = task.executor.is_none();
        Launch {
            framework: framework.clone(),
            role: role.clone(),
            executor,
            is_command,
            tasks: vec![task],
            group: None,
        }
    }

    /// A group of tasks.
    pub(crate) fn group(
        framework: &FrameworkInfo,
        role: &Role,
        executor: ExecutorInfo,
        tasks: Vec<TaskInfo>,
        name: String,
    ) -> Launch {
        let executor = executor.allocated_to(role);
        let tasks = tasks.into_iter().map(|it| it.allocated_to(role)).collect();
        Launch {
            framework: framework.clone(),
            role: role.clone(),
            executor,
            is_command: false,
            tasks,
            group: Some(name),
        }
    }

    pub(crate) fn owner(&self) -> FrameworkId {
        self.framework.id.clone().unwrap_or_else(|| FrameworkId::made(String::new()))
    }

    pub(crate) fn executor_key(&self) -> ExecutorKey {
        (self.owner(), self.executor.id.clone())
    }

    pub(crate) fn task_keys(&self) -> Vec<TaskKey> {
        self.tasks.iter().map(|it| (self.owner(), it.id.clone())).collect()
    }

    /// How a task begins.
    pub(crate) fn record(&self, task: &TaskInfo) -> TaskRecord {
        TaskRecord {
            framework: self.owner(),
            info: task.clone(),
            executor: self.executor.id.clone(),
            state: TaskState::Staging,
            latest: None,
            updates: Vec::new(),
            delivered: false,
            killed: false,
            role: self.role.clone(),
            group: self.group.clone(),
        }
    }
}
