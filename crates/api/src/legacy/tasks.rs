//! `/tasks`: the tasks as Mesos's page shows them, by its own parameters.
//!
//! Relies on a published view; never shows more than the limit asks for.

use holdfast_master::TaskView;
use serde::Serialize;

use super::Amounts;
use crate::{MasterView, Parameters, Refusal};

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskEntry {
    executor_id: String,
    framework_id: String,
    id: String,
    name: String,
    resources: Amounts,
    slave_id: String,
    state: &'static str,
    statuses: Vec<StatusEntry>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct StatusEntry {
    state: &'static str,
    timestamp: f64,
}

impl TaskEntry {
    /// A task as the pages show it.
    pub(super) fn of(task: &TaskView) -> TaskEntry {
        let status = task
            .latest
            .as_ref()
            .map(|it| StatusEntry { state: it.state.name(), timestamp: it.at.0 as f64 / 1000.0 });
        TaskEntry {
            executor_id: task.executor.to_string(),
            framework_id: task.framework.to_string(),
            id: task.id.to_string(),
            name: task.name.clone(),
            resources: Amounts::of(&task.resources),
            slave_id: task.agent.to_string(),
            state: task.state.name(),
            statuses: status.into_iter().collect(),
        }
    }
}

/// What `/tasks` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TasksWanted {
    framework: Option<String>,
    task: Option<String>,
    offset: usize,
    limit: usize,
    newest_first: bool,
}

impl TasksWanted {
    /// Mesos's parameters, with its defaults: a hundred, the newest first.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for a number that is none and an order that is unknown.
    pub fn read(parameters: Parameters<'_>) -> Result<TasksWanted, Refusal> {
        let newest_first = match parameters.get("order") {
            None | Some("des") => true,
            Some("asc") => false,
            Some(other) => {
                return Err(Refusal::Invalid(format!(
                    "order: `{other}` is unknown; give `asc` or `des`"
                )))
            }
        };
        Ok(TasksWanted {
            framework: parameters.owned("framework_id"),
            task: parameters.owned("task_id"),
            offset: parameters.number("offset", 0)?,
            limit: parameters.number("limit", 100)?,
            newest_first,
        })
    }

    fn is_met_by(&self, task: &TaskView) -> bool {
        let is = |wanted: &Option<String>, id: &str| wanted.as_ref().is_none_or(|it| it == id);
        is(&self.framework, task.framework.as_str()) && is(&self.task, task.id.as_str())
    }
}

/// The tasks that are asked for, by the time of their newest status.
pub fn tasks(view: &MasterView, wanted: &TasksWanted) -> Vec<TaskEntry> {
    let all = view.tasks().values().chain(view.completed_tasks());
    let mut found: Vec<&TaskView> = all.filter(|it| wanted.is_met_by(it)).collect();
    found.sort_by_key(|it| it.latest.as_ref().map(|status| status.at));
    if wanted.newest_first {
        found.reverse();
    }
    found.into_iter().skip(wanted.offset).take(wanted.limit).map(TaskEntry::of).collect()
}
