//! GET_TASKS: tasks by how they are.
//!
//! Relies on a published view; never decodes a payload on a core's thread.

use holdfast_master::TaskView;
use holdfast_model::convert::status;
use holdfast_model::TaskState;
use holdfast_proto::binary;
use holdfast_proto::mesos::v1::{self, master::response::GetTasks};

use super::{agent_id, framework_id, list};
use crate::MasterView;

/// Tasks, by how they are.
pub fn tasks(view: &MasterView) -> GetTasks {
    let mut answer = GetTasks::default();
    for task in view.tasks().values() {
        let list = match task.state {
            TaskState::Unreachable => &mut answer.unreachable_tasks,
            state if state.is_terminal() => &mut answer.completed_tasks,
            _ => &mut answer.tasks,
        };
        list.push(self::task(task));
    }
    answer.completed_tasks.extend(view.completed_tasks().map(task));
    answer
}

/// One task.
pub fn task(task: &TaskView) -> v1::Task {
    let info = binary::decode::<v1::TaskInfo>(task.payload.bytes()).ok().unwrap_or_default();
    let uuid = task.latest.as_ref().and_then(|it| it.uuid);
    v1::Task {
        name: task.name.clone(),
        task_id: v1::TaskId { value: task.id.as_str().to_owned() },
        framework_id: framework_id(&task.framework),
        executor_id: Some(v1::ExecutorId { value: task.executor.as_str().to_owned() }),
        agent_id: agent_id(&task.agent),
        state: task.state as i32,
        resources: list(&task.resources),
        statuses: task.latest.iter().map(status::to_proto).collect(),
        status_update_state: task.latest.as_ref().map(|it| it.state as i32),
        status_update_uuid: uuid.map(|it| it.0.as_bytes().to_vec()),
        labels: info.labels,
        discovery: info.discovery,
        container: info.container,
        health_check: info.health_check,
        ..Default::default()
    }
}
