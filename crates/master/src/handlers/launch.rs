//! LAUNCH and LAUNCH_GROUP: tasks are checked one by one, or together, and then belong to the agent.

use holdfast_model::launch::{check_group, check_group_users, check_task};
use holdfast_model::{
    Action, Event, ExecutorInfo, ExecutorKey, Invalid, Operation, OperationUuid, Reason, Resources,
    StatusSource, TaskId, TaskInfo, TaskState, TaskStatus,
};

use super::accept::Accepting;
use crate::flows::bookkeeping::hold;
use crate::flows::tasks::tell_of_namesake;
use crate::flows::telling::tell;
use crate::parts::agents::{AgentState, ExecutorView};
use crate::parts::past_statuses::PastStatuses;
use crate::parts::tasks::{TaskView, Tasks};
use crate::{Belief, Step};

/// Launches tasks, each for itself.
pub(super) fn accept_launch(
    step: &mut Step,
    belief: &mut Belief,
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
                .and_then(|()| place(belief, accepting, std::slice::from_ref(&task), None)),
        };
        match checked {
            Ok(()) => good.push(task),
            Err(invalid) => {
                let (reason, why) = (Reason::TaskInvalid, invalid.to_string());
                tell_invalid(step, belief, accepting, &task.id, reason, &why);
            }
        }
    }
    if !good.is_empty() {
        let operation = Operation { id: None, action: Action::Launch(good) };
        accepting.order(OperationUuid(step.ids.fresh()), operation);
    }
}

/// Launches tasks together in one executor, all or none.
pub(super) fn accept_group(
    step: &mut Step,
    belief: &mut Belief,
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
            .and_then(|()| check_users(belief, accepting, &executor, &tasks))
            .and_then(|()| place(belief, accepting, &tasks, Some(&executor))),
    };
    match checked {
        Ok(()) => {
            let operation = Operation { id: None, action: Action::LaunchGroup(executor, tasks) };
            accepting.order(OperationUuid(step.ids.fresh()), operation);
        }
        Err(invalid) => {
            let (reason, why) = (Reason::TaskGroupInvalid, invalid.to_string());
            tasks
                .iter()
                .for_each(|task| tell_invalid(step, belief, accepting, &task.id, reason, &why));
        }
    }
}

/// Tasks that say another user than they would run as are refused here, not only where they would run.
fn check_users(
    belief: &Belief,
    accepting: &Accepting,
    executor: &ExecutorInfo,
    tasks: &[TaskInfo],
) -> Result<(), Invalid> {
    match belief.frameworks.states().get(&accepting.framework) {
        Some(framework) => check_group_users(executor, tasks, &framework.info().user),
        None => Ok(()),
    }
}

/// Tells a framework that its task is wrong.
pub(super) fn tell_invalid(
    step: &mut Step,
    belief: &Belief,
    accepting: &Accepting,
    task: &TaskId,
    reason: Reason,
    why: &str,
) {
    let key = (accepting.framework.clone(), task.clone());
    if tell_of_namesake(step, &belief.frameworks, &belief.tasks, &key, why) {
        return;
    }
    let status = TaskStatus::new(key.1, TaskState::Error, step.now).at_agent(&accepting.agent);
    let status = status.because(StatusSource::Master, reason, why);
    tell(step, &belief.frameworks, &key.0, Event::Update(status));
}

/// Takes what tasks (and the executor of a group) need out of the pool, and notes them as staging. All or none.
fn place(
    belief: &mut Belief,
    accepting: &mut Accepting,
    tasks: &[TaskInfo],
    group: Option<&ExecutorInfo>,
) -> Result<(), Invalid> {
    let framework = &accepting.framework;
    let mut needed = own_resources(&belief.tasks, accepting, tasks)?;
    let state = belief.agents.at_mut(&accepting.agent);
    let executor = group.or_else(|| tasks.first().and_then(|it| it.executor.as_ref()));
    let key = |it: &ExecutorInfo| (framework.clone(), it.id.clone());
    let fresh = executor.filter(|it| !state.executors().contains_key(&key(it)));
    if let (Some(executor), None) = (executor, fresh) {
        check_same_executor(state, &key(executor), executor)?;
    }
    let own: Resources = fresh.map(|it| it.resources.iter().collect()).unwrap_or_default();
    needed.add_all(&own);
    check_enough(&accepting.pool, &needed.shared_once())?;
    // A shared volume stays in the pool for those that are launched after.
    accepting.pool.subtract_all(&needed.unshared());
    state.draw(&needed.unshared().unallocated()); // It may build on what this very ACCEPT has made.
    if let Some(executor) = fresh {
        let payload = executor.payload.clone();
        let view = ExecutorView { resources: own.clone(), payload, command: false };
        state.add_executor(key(executor), view);
        hold(belief.counted(), &accepting.agent, framework, &own);
    }
    for task in tasks {
        stage(belief, accepting, task, executor);
    }
    Ok(())
}

/// What new tasks need together.
fn own_resources(
    known: &Tasks,
    accepting: &Accepting,
    tasks: &[TaskInfo],
) -> Result<Resources, Invalid> {
    let mut needed = Resources::new();
    for task in tasks {
        if known.get(&(accepting.framework.clone(), task.id.clone())).is_some() {
            return Err(Invalid::new(
                "task_id",
                format!("a task `{}` already exists in this framework; choose another id", task.id),
            ));
        }
        needed.add_all(&task.own_resources());
    }
    Ok(needed)
}

fn check_same_executor(
    state: &AgentState,
    key: &ExecutorKey,
    executor: &ExecutorInfo,
) -> Result<(), Invalid> {
    let own: Resources = executor.resources.iter().collect();
    match state.executors().get(key) {
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

fn check_enough(pool: &Resources, needed: &Resources) -> Result<(), Invalid> {
    if pool.contains(needed) {
        return Ok(());
    }
    let missing = needed.iter().find(|it| !pool.contains_one(it));
    let near = missing.as_ref().map(|it| pool.near_miss(it)).unwrap_or_default();
    let missing = missing.map_or_else(|| needed.to_string(), |it| it.to_string());
    Err(Invalid::new(
        "resources",
        format!("needs {needed}; what the offers hold lacks {missing}{near}"),
    ))
}

fn stage(
    belief: &mut Belief,
    accepting: &Accepting,
    task: &TaskInfo,
    executor: Option<&ExecutorInfo>,
) {
    let mut resources = task.own_resources();
    resources.share(belief.agents.at(&accepting.agent).total());
    let view = TaskView {
        framework: accepting.framework.clone(),
        id: task.id.clone(),
        name: task.name.clone(),
        agent: accepting.agent.clone(),
        executor: executor.map_or_else(|| task.executor_id(), |it| it.id.clone()),
        resources,
        state: TaskState::Staging,
        latest: None,
        past: PastStatuses::default(),
        payload: task.payload.clone(),
    };
    hold(belief.counted(), &accepting.agent, &accepting.framework, &view.resources);
    belief.tasks.put(view);
}
