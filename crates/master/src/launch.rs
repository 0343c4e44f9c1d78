//! LAUNCH and LAUNCH_GROUP: tasks are checked one by one, or together, and then belong to the agent.

use holdfast_model::launch::{check_group, check_task};
use holdfast_model::{
    Action, Event, ExecutorInfo, Invalid, NamedOperation, Operation, OperationUuid, Reason,
    Resources, StatusSource, StepContext, TaskId, TaskInfo, TaskState, TaskStatus,
};

use crate::accept::Accepting;
use crate::state::{ExecutorView, TaskView};
use crate::Master;

impl Master {
    pub(crate) fn accept_launch(
        &mut self,
        ctx: &mut StepContext<'_>,
        accepting: &mut Accepting,
        id: Option<String>,
        tasks: Vec<TaskInfo>,
    ) {
        let mut good = Vec::new();
        for task in tasks {
            let task = task.allocated_to(&accepting.role);
            let checked = match &id {
                Some(_) => Err(Invalid::new(
                    "id",
                    "LAUNCH gives task statuses, not operation statuses; leave `id` unset",
                )),
                None => check_task(&task, &accepting.agent)
                    .and_then(|()| self.place(accepting, std::slice::from_ref(&task), None)),
            };
            match checked {
                Ok(()) => good.push(task),
                Err(invalid) => self.tell_invalid(
                    ctx,
                    accepting,
                    &task.id,
                    Reason::TaskInvalid,
                    &invalid.to_string(),
                ),
            }
        }
        if !good.is_empty() {
            let operation = Operation { id: None, action: Action::Launch(good) };
            accepting
                .orders
                .push(NamedOperation { uuid: OperationUuid(ctx.ids.fresh()), operation });
        }
    }

    pub(crate) fn accept_group(
        &mut self,
        ctx: &mut StepContext<'_>,
        accepting: &mut Accepting,
        id: Option<String>,
        executor: ExecutorInfo,
        tasks: Vec<TaskInfo>,
    ) {
        let executor = executor.allocated_to(&accepting.role);
        let tasks: Vec<TaskInfo> =
            tasks.into_iter().map(|it| it.allocated_to(&accepting.role)).collect();
        let checked = match id {
            Some(_) => Err(Invalid::new(
                "id",
                "LAUNCH_GROUP gives task statuses, not operation statuses; leave `id` unset",
            )),
            None => check_group(&executor, &tasks, &accepting.agent)
                .and_then(|()| self.place(accepting, &tasks, Some(&executor))),
        };
        match checked {
            Ok(()) => {
                let operation =
                    Operation { id: None, action: Action::LaunchGroup(executor, tasks) };
                accepting
                    .orders
                    .push(NamedOperation { uuid: OperationUuid(ctx.ids.fresh()), operation });
            }
            Err(invalid) => {
                let why = invalid.to_string();
                tasks.iter().for_each(|task| {
                    self.tell_invalid(ctx, accepting, &task.id, Reason::TaskGroupInvalid, &why)
                });
            }
        }
    }

    pub(crate) fn tell_invalid(
        &mut self,
        ctx: &StepContext<'_>,
        accepting: &Accepting,
        task: &TaskId,
        reason: Reason,
        why: &str,
    ) {
        if self.tell_of_namesake(ctx.now, &accepting.framework, task, why) {
            return;
        }
        let status =
            TaskStatus::new(task.clone(), TaskState::Error, ctx.now).at_agent(&accepting.agent);
        self.tell(
            &accepting.framework,
            Event::Update(status.because(StatusSource::Master, reason, why)),
        );
    }

    /// Takes what tasks (and the executor of a group) need out of the pool, and notes them as staging. All or none.
    fn place(
        &mut self,
        accepting: &mut Accepting,
        tasks: &[TaskInfo],
        group: Option<&ExecutorInfo>,
    ) -> Result<(), Invalid> {
        let framework = accepting.framework.clone();
        let mut needed = Resources::new();
        for task in tasks {
            if self.tasks.contains_key(&(framework.clone(), task.id.clone())) {
                return Err(Invalid::new(
                    "task_id",
                    format!(
                        "a task `{}` already exists in this framework; choose another id",
                        task.id
                    ),
                ));
            }
            needed.add_all(&task.own_resources());
        }
        let executor = group.or_else(|| tasks.first().and_then(|it| it.executor.as_ref()));
        let fresh = executor.filter(|it| !self.executor_runs(accepting, it));
        if let (Some(executor), None) = (executor, fresh) {
            self.check_same_executor(accepting, executor)?;
        }
        let own: Resources = fresh.map(|it| it.resources.iter().collect()).unwrap_or_default();
        needed.add_all(&own);
        if !accepting.pool.contains(&needed) {
            let missing = needed
                .iter()
                .find(|it| !accepting.pool.contains_one(it))
                .map_or_else(|| needed.to_string(), |it| it.to_string());
            return Err(Invalid::new(
                "resources",
                format!("needs {needed}; what the offers hold lacks {missing}"),
            ));
        }
        accepting.pool.subtract_all(&needed);
        if let Some(state) = self.agents.get_mut(&accepting.agent) {
            let free = state.free();
            state.draw(free, &needed.unallocated()); // It may build on what this very ACCEPT has made.
        }
        if let Some(executor) = fresh {
            let key = (framework.clone(), executor.id.clone());
            let view = ExecutorView {
                resources: own.clone(),
                payload: executor.payload.clone(),
                command: false,
            };
            if let Some(state) = self.agents.get_mut(&accepting.agent) {
                state.executors.insert(key, view);
            }
            self.hold(&accepting.agent.clone(), &framework, &own);
        }
        for task in tasks {
            self.stage(accepting, task, executor);
        }
        Ok(())
    }

    fn executor_runs(&self, accepting: &Accepting, executor: &ExecutorInfo) -> bool {
        let key = (accepting.framework.clone(), executor.id.clone());
        self.agents.get(&accepting.agent).is_some_and(|it| it.executors.contains_key(&key))
    }

    fn check_same_executor(
        &self,
        accepting: &Accepting,
        executor: &ExecutorInfo,
    ) -> Result<(), Invalid> {
        let key = (accepting.framework.clone(), executor.id.clone());
        let running = self.agents.get(&accepting.agent).and_then(|it| it.executors.get(&key));
        let own: Resources = executor.resources.iter().collect();
        match running {
            Some(view) if view.command => Err(Invalid::new(
                "executor.executor_id",
                format!("`{}` names a running command; choose another id", executor.id),
            )),
            Some(view) if view.resources != own => Err(Invalid::new(
                "executor",
                format!(
                    "executor `{}` runs there with other resources ({}); describe it as before",
                    executor.id, view.resources
                ),
            )),
            _ => Ok(()),
        }
    }

    fn stage(&mut self, accepting: &Accepting, task: &TaskInfo, executor: Option<&ExecutorInfo>) {
        let view = TaskView {
            framework: accepting.framework.clone(),
            id: task.id.clone(),
            name: task.name.clone(),
            agent: accepting.agent.clone(),
            executor: executor.map_or_else(|| task.executor_id(), |it| it.id.clone()),
            resources: task.own_resources(),
            state: TaskState::Staging,
            latest: None,
            payload: task.payload.clone(),
        };
        self.hold(&accepting.agent, &accepting.framework, &view.resources);
        if let Some(state) = self.agents.get_mut(&accepting.agent) {
            state.tasks.insert(view.key());
        }
        self.tasks.insert(view.key(), view);
    }
}
