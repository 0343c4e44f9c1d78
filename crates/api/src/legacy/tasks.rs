//! `/tasks`: the tasks as Mesos's page shows them, by its own parameters.
//!
//! Relies on a published view; never shows more than the limit asks for.

use std::collections::BTreeMap;

use holdfast_master::TaskView;
use holdfast_model::Instant;
use holdfast_proto::mesos::v1;
use serde::Serialize;

use super::Amounts;
use crate::{task_facts, MasterView, Parameters, Refusal};

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<v1::ContainerInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery: Option<v1::DiscoveryInfo>,
    executor_id: String,
    framework_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<v1::HealthCheck>,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<v1::Label>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<String, serde_json::Value>,
    name: String,
    resources: Amounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    slave_id: String,
    state: &'static str,
    statuses: Vec<StatusEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct StatusEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    container_status: Option<v1::ContainerStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<v1::Label>>,
    state: &'static str,
    timestamp: f64,
}

impl TaskEntry {
    /// A task as the pages show it.
    pub(super) fn of(task: &TaskView) -> TaskEntry {
        let allocation = task.resources.entries().find_map(|(it, _)| it.allocation.as_ref());
        let (resources, role) = (Amounts::of(&task.resources), allocation.map(ToString::to_string));
        TaskEntry::from_v1(task_facts::of_master(task), resources, role)
    }

    /// A task as the pages show it.
    pub(crate) fn from_v1(task: v1::Task, resources: Amounts, role: Option<String>) -> TaskEntry {
        let state = task.state().as_str_name();
        TaskEntry {
            container: task.container,
            discovery: task.discovery,
            executor_id: task.executor_id.map(|it| it.value).unwrap_or_default(),
            framework_id: task.framework_id.value,
            health_check: task.health_check,
            id: task.task_id.value,
            labels: task.labels.map(|it| it.labels),
            limits: task.limits.into_iter().map(|(name, it)| (name, limit(it.value))).collect(),
            name: task.name,
            resources,
            role,
            slave_id: task.agent_id.value,
            state,
            statuses: task.statuses.into_iter().map(status_entry).collect(),
            user: task.user,
        }
    }
}

/// A limit; one that is none is a word, as JSON has no such number.
fn limit(value: f64) -> serde_json::Value {
    let number = serde_json::Number::from_f64(value);
    number.map_or_else(|| serde_json::Value::from("Infinity"), serde_json::Value::Number)
}

fn status_entry(status: v1::TaskStatus) -> StatusEntry {
    StatusEntry {
        state: status.state().as_str_name(),
        container_status: status.container_status,
        healthy: status.healthy,
        labels: status.labels.map(|it| it.labels),
        timestamp: status.timestamp.unwrap_or_default(),
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
    /// Mesos's parameters, with its defaults: a hundred, the newest first. A limit below 0 is none.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for a number that is none and an order that is unknown.
    pub fn read(parameters: Parameters<'_>) -> Result<TasksWanted, Refusal> {
        let newest_first = match parameters.get("order") {
            None | Some("des" | "desc") => true,
            Some("asc") => false,
            Some(other) => {
                return Err(Refusal::Invalid(format!(
                    "order: `{other}` is unknown; give `asc` or `des`"
                )))
            }
        };
        let limit = match parameters.get("limit").map(str::parse::<i64>) {
            Some(Ok(below_0)) if below_0 < 0 => usize::MAX,
            _ => parameters.number("limit", 100)?,
        };
        Ok(TasksWanted {
            framework: parameters.owned("framework_id"),
            task: parameters.owned("task_id"),
            offset: parameters.number("offset", 0)?,
            limit,
            newest_first,
        })
    }

    fn is_met_by(&self, task: &TaskView) -> bool {
        let is = |wanted: &Option<String>, id: &str| wanted.as_ref().is_none_or(|it| it == id);
        is(&self.framework, task.framework.as_str()) && is(&self.task, task.id.as_str())
    }
}

/// The tasks that are asked for, by the time of the first status that is known of them.
pub fn tasks(view: &MasterView, wanted: &TasksWanted) -> Vec<TaskEntry> {
    let all = view.tasks().values().chain(view.completed_tasks());
    let mut found: Vec<&TaskView> = all.filter(|it| wanted.is_met_by(it)).collect();
    found.sort_by_key(|it| first_seen(it));
    if wanted.newest_first {
        found.reverse();
    }
    found.into_iter().skip(wanted.offset).take(wanted.limit).map(TaskEntry::of).collect()
}

fn first_seen(task: &TaskView) -> Option<Instant> {
    let newest = task.latest.as_ref().map(|it| it.at);
    task.past.iter().next().map(|it| it.at).or(newest)
}
