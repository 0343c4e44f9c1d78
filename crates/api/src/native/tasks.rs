//! `/holdfast/v1/tasks`: a row for each task that lives or is remembered.
//!
//! Relies on a published view; never guesses a state.

use holdfast_master::TaskView;
use holdfast_proto::mesos::v1::task_status::Reason;

use super::address;
use crate::rows::TaskRow;
use crate::MasterView;

/// Tasks, then those that have ended and were acknowledged, as far as they are remembered.
pub fn tasks(view: &MasterView) -> Vec<TaskRow> {
    view.tasks().values().chain(view.completed_tasks()).map(|it| task(view, it)).collect()
}

/// One task.
pub(super) fn task(view: &MasterView, task: &TaskView) -> TaskRow {
    let latest = task.latest.as_ref();
    let volumes = task.resources.entries().filter_map(|(it, _)| it.persistence.as_ref());
    TaskRow {
        id: task.id.to_string(),
        name: task.name.clone(),
        framework: task.framework.to_string(),
        executor: task.executor.to_string(),
        agent: task.agent.to_string(),
        agent_address: address(view, &task.agent),
        state: task.state,
        reason: latest.and_then(|it| reason_name(it.reason?)).map(str::to_owned),
        message: latest.and_then(|it| it.message.clone()),
        resources: task.resources.unallocated().to_string(),
        volumes: volumes.map(ToString::to_string).collect(),
        ended: task.state.is_terminal(),
        updated_ms: latest.map_or(0, |it| it.at.0),
    }
}

/// The wire's name; an executor may give any number.
fn reason_name(number: i32) -> Option<&'static str> {
    Reason::try_from(number).ok().map(|it| it.as_str_name())
}
