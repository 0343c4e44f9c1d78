//! `/tasks`: the tasks as Mesos's page shows them, by its own parameters.
//!
//! Relies on a published view; never shows more than the limit asks for.

use std::collections::BTreeMap;

use holdfast_master::TaskView;
use holdfast_model::convert::status;
use holdfast_model::{ExecutorId, FrameworkId, TaskId, TaskState, TaskStatus};
use holdfast_proto::binary;
use holdfast_proto::mesos::v1;
use serde::Serialize;

use super::Amounts;
use crate::{MasterView, Parameters, Refusal};

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

/// What is known of a task, at a master or at its agent.
pub(crate) struct TaskFacts<'a> {
    /// Its id.
    pub id: &'a TaskId,
    /// Its name for people.
    pub name: &'a str,
    /// Whose it is.
    pub framework: &'a FrameworkId,
    /// What runs it.
    pub executor: &'a ExecutorId,
    /// The id of its agent.
    pub agent: &'a str,
    /// Where it is in its life.
    pub state: TaskState,
    /// What it uses.
    pub resources: Amounts,
    /// The role whose resources it uses.
    pub role: Option<String>,
    /// Its newest status.
    pub latest: Option<&'a TaskStatus>,
    /// Its whole description, encoded.
    pub payload: &'a [u8],
}

impl TaskEntry {
    /// A task as the pages show it.
    pub(super) fn of(task: &TaskView) -> TaskEntry {
        let allocation = task.resources.entries().find_map(|(it, _)| it.allocation.as_ref());
        TaskEntry::from_facts(TaskFacts {
            id: &task.id,
            name: &task.name,
            framework: &task.framework,
            executor: &task.executor,
            agent: task.agent.as_str(),
            state: task.state,
            resources: Amounts::of(&task.resources),
            role: allocation.map(ToString::to_string),
            latest: task.latest.as_ref(),
            payload: task.payload.bytes(),
        })
    }

    /// A task as the pages show it. As in Mesos, one that runs by a command of its own has no executor here.
    pub(crate) fn from_facts(facts: TaskFacts<'_>) -> TaskEntry {
        let info = binary::decode::<v1::TaskInfo>(facts.payload).ok().unwrap_or_default();
        let is_command = info.executor.is_none() && facts.executor.as_str() == facts.id.as_str();
        let user = info.command.as_ref().and_then(|it| it.user.clone());
        let executor = info.executor.as_ref().and_then(|it| it.command.as_ref());
        let user = user.or_else(|| executor.and_then(|it| it.user.clone()));
        TaskEntry {
            container: info.container,
            discovery: info.discovery,
            executor_id: if is_command { String::new() } else { facts.executor.to_string() },
            framework_id: facts.framework.to_string(),
            health_check: info.health_check,
            id: facts.id.to_string(),
            labels: info.labels.map(|it| it.labels),
            limits: info.limits.into_iter().map(|(name, it)| (name, limit(it.value))).collect(),
            name: facts.name.to_owned(),
            resources: facts.resources,
            role: facts.role,
            slave_id: facts.agent.to_owned(),
            state: facts.state.name(),
            statuses: facts.latest.into_iter().map(status_entry).collect(),
            user,
        }
    }
}

/// A limit; one that is none is a word, as JSON has no such number.
fn limit(value: f64) -> serde_json::Value {
    let number = serde_json::Number::from_f64(value);
    number.map_or_else(|| serde_json::Value::from("Infinity"), serde_json::Value::Number)
}

fn status_entry(latest: &TaskStatus) -> StatusEntry {
    let wire = status::to_proto(latest);
    StatusEntry {
        container_status: wire.container_status,
        healthy: wire.healthy,
        labels: wire.labels.map(|it| it.labels),
        state: latest.state.name(),
        timestamp: latest.at.0 as f64 / 1000.0,
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
