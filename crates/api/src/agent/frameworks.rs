//! Frameworks, executors and tasks on the page of an agent, with the sandboxes of their executors.
//!
//! Relies on the process for where sandboxes are, and for those that are kept of executors that are no more. Never says more of those
//! than their folders do.

use std::collections::BTreeSet;

use holdfast_model::{
    AgentId, ExecutorKey, ExecutorRecord, FrameworkId, FrameworkInfo, Resources, TaskRecord,
};
use holdfast_proto::binary;
use holdfast_proto::mesos::v1;
use serde::Serialize;

use super::{AgentFacts, EndedRun};
use crate::groups::{by, Groups};
use crate::legacy::{Amounts, TaskEntry};
use crate::{task_facts, AgentView};

/// A framework that has something on the agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PageFramework {
    checkpoint: bool,
    completed_executors: Vec<PageExecutor>,
    executors: Vec<PageExecutor>,
    failover_timeout: f64,
    hostname: String,
    id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    user: String,
}

/// An executor with its tasks and its sandbox.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PageExecutor {
    completed_tasks: Vec<TaskEntry>,
    container: String,
    directory: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<v1::Label>>,
    name: String,
    queued_tasks: Vec<TaskEntry>,
    resources: Amounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    source: String,
    tasks: Vec<TaskEntry>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

/// What an executor says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct ExecutorWords {
    /// Its name for people.
    pub name: String,
    /// What it runs for, in words of its framework.
    pub source: String,
    labels: Option<Vec<v1::Label>>,
    kind: Option<&'static str>,
}

impl ExecutorWords {
    /// Reads them out of its description.
    #[allow(deprecated, reason = "`source` is what old tools show")]
    pub(super) fn of(executor: &ExecutorRecord) -> ExecutorWords {
        let payload = executor.info.payload.bytes();
        let info = binary::decode::<v1::ExecutorInfo>(payload).ok().unwrap_or_default();
        ExecutorWords {
            kind: info.r#type.is_some().then(|| info.r#type().as_str_name()),
            name: info.name.unwrap_or_default(),
            source: info.source.unwrap_or_default(),
            labels: info.labels.map(|it| it.labels),
        }
    }
}

/// What of the ledger belongs to each executor and framework, grouped once.
struct Grouped<'a> {
    tasks: Groups<ExecutorKey, &'a TaskRecord>,
    executors: Groups<&'a FrameworkId, &'a ExecutorRecord>,
    ended: Groups<&'a str, &'a EndedRun>,
}

/// Frameworks that have executors or tasks here.
pub(super) fn live(view: &AgentView, facts: &AgentFacts, ended: &[EndedRun]) -> Vec<PageFramework> {
    let ledger = view.ledger();
    let grouped = Grouped {
        tasks: by(ledger.tasks.values().map(|it| (it.executor_key(), it))),
        executors: by(ledger.executors.values().map(|it| (&it.framework, it))),
        ended: by(ended.iter().map(|it| (it.framework.as_str(), it))),
    };
    let agent = ledger.identity.agent.as_ref();
    ledger.frameworks.iter().map(|(id, info)| framework(agent, facts, &grouped, id, info)).collect()
}

/// Frameworks that have nothing here but sandboxes of executors that are no more.
pub(super) fn completed(view: &AgentView, ended: &[EndedRun]) -> Vec<PageFramework> {
    let known: BTreeSet<&str> = view.ledger().frameworks.keys().map(FrameworkId::as_str).collect();
    let gone = ended.iter().filter(|it| !known.contains(it.framework.as_str()));
    by(gone.map(|it| (it.framework.as_str(), it)))
        .into_iter()
        .map(|(id, runs)| PageFramework {
            checkpoint: false,
            completed_executors: runs.into_iter().map(ended_executor).collect(),
            executors: Vec::new(),
            failover_timeout: 0.0,
            hostname: String::new(),
            id: id.to_owned(),
            name: String::new(),
            principal: None,
            role: None,
            roles: None,
            user: String::new(),
        })
        .collect()
}

fn framework(
    agent: Option<&AgentId>,
    facts: &AgentFacts,
    grouped: &Grouped<'_>,
    id: &FrameworkId,
    info: &FrameworkInfo,
) -> PageFramework {
    let several = info.can(holdfast_model::Capability::MultiRole);
    let names = || info.roles.iter().map(ToString::to_string);
    let executors = grouped.executors.get(id).into_iter().flatten();
    let ended = grouped.ended.get(id.as_str()).into_iter().flatten();
    PageFramework {
        checkpoint: info.checkpoint,
        completed_executors: ended.map(|it| ended_executor(it)).collect(),
        executors: executors.map(|it| executor(agent, facts, grouped, it)).collect(),
        failover_timeout: info.failover_timeout_ms as f64 / 1000.0,
        hostname: info.hostname.clone().unwrap_or_default(),
        id: id.to_string(),
        name: info.name.clone(),
        principal: info.principal.clone(),
        role: (!several).then(|| names().next()).flatten(),
        roles: several.then(|| names().collect()),
        user: info.user.clone(),
    }
}

fn executor(
    agent: Option<&AgentId>,
    facts: &AgentFacts,
    grouped: &Grouped<'_>,
    record: &ExecutorRecord,
) -> PageExecutor {
    let key = record.key();
    let tasks: &[&TaskRecord] = grouped.tasks.get(&key).map(Vec::as_slice).unwrap_or_default();
    let entries = |wanted: &dyn Fn(&TaskRecord) -> bool| -> Vec<TaskEntry> {
        tasks.iter().filter(|it| wanted(it)).map(|it| task(it)).collect()
    };
    let live = tasks.iter().filter(|it| !it.state.is_terminal());
    let used = record.info.resources.iter().chain(live.flat_map(|it| &it.info.resources));
    let used: Resources = used.collect();
    let words = ExecutorWords::of(record);
    let directory = agent.map(|agent| facts.directory(agent, &key.0, &key.1, record.container));
    PageExecutor {
        completed_tasks: entries(&|it| it.state.is_terminal()),
        container: record.container.to_string(),
        directory: directory.unwrap_or_default(),
        id: key.1.to_string(),
        labels: words.labels,
        name: words.name,
        queued_tasks: entries(&|it| !it.delivered && !it.state.is_terminal()),
        resources: Amounts::of(&used),
        role: Some(record.role.to_string()),
        source: words.source,
        tasks: entries(&|it| it.delivered && !it.state.is_terminal()),
        kind: words.kind,
    }
}

fn ended_executor(run: &EndedRun) -> PageExecutor {
    PageExecutor {
        completed_tasks: Vec::new(),
        container: run.container.clone(),
        directory: run.directory.clone(),
        id: run.executor.clone(),
        labels: None,
        name: String::new(),
        queued_tasks: Vec::new(),
        resources: Amounts::of(&Resources::new()),
        role: None,
        source: String::new(),
        tasks: Vec::new(),
        kind: None,
    }
}

fn task(record: &TaskRecord) -> TaskEntry {
    let task = task_facts::of_agent(record);
    let resources = Amounts::of(&record.info.own_resources());
    TaskEntry::from_v1(task, resources, Some(record.role.to_string()))
}
