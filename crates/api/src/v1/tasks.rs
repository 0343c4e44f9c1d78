//! GET_TASKS: tasks by how they are.
//!
//! Relies on a published view; never decodes a payload on a core's thread.

use holdfast_master::TaskView;
use holdfast_model::TaskState;
use holdfast_proto::mesos::v1::{self, master::response::GetTasks};

use super::list;
use crate::{task_facts, MasterView};

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
    v1::Task { resources: list(&task.resources), ..task_facts::of_master(task) }
}
