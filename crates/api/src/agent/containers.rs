//! `/containers` and `/monitor/statistics` of an agent: what its containers may use, and what they were found to use.
//!
//! Relies on the process for what was measured; a container that could not be measured is shown with what it may use.

use std::collections::BTreeMap;

use holdfast_model::{size_bytes, ContainerId, ExecutorRecord, Resources};
use holdfast_proto::mesos::v1;
use serde::Serialize;

use super::frameworks::ExecutorWords;
use crate::groups::by;
use crate::AgentView;

/// A container on the pages of an agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContainerEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<String>,
    executor_id: String,
    executor_name: String,
    framework_id: String,
    source: String,
    statistics: v1::ResourceStatistics,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<v1::ContainerStatus>,
}

/// `/monitor/statistics`: what each executor may use, and what it uses.
pub fn statistics(
    view: &AgentView,
    measured: &BTreeMap<ContainerId, v1::ResourceStatistics>,
    now_s: f64,
) -> Vec<ContainerEntry> {
    entries(view, measured, now_s)
        .map(|entry| ContainerEntry { container_id: None, status: None, ..entry })
        .collect()
}

/// `/containers`: the same, with the containers themselves.
pub fn containers(
    view: &AgentView,
    measured: &BTreeMap<ContainerId, v1::ResourceStatistics>,
    now_s: f64,
) -> Vec<ContainerEntry> {
    entries(view, measured, now_s).collect()
}

/// Each executor with what its container may use and was found to use.
pub(super) fn granted<'a>(
    view: &'a AgentView,
    measured: &'a BTreeMap<ContainerId, v1::ResourceStatistics>,
    now_s: f64,
) -> impl Iterator<Item = (&'a ExecutorRecord, v1::ResourceStatistics)> + 'a {
    let live = view.ledger().tasks.values().filter(|it| !it.state.is_terminal());
    let tasks = by(live.map(|it| (it.executor_key(), &it.info.resources)));
    view.ledger().executors.values().map(move |record| {
        let of_tasks = tasks.get(&record.key()).into_iter().flatten().copied().flatten();
        let granted: Resources = record.info.resources.iter().chain(of_tasks).collect();
        let found = measured.get(&record.container).cloned();
        (record, granted_and_found(&granted, found, now_s))
    })
}

fn entries<'a>(
    view: &'a AgentView,
    measured: &'a BTreeMap<ContainerId, v1::ResourceStatistics>,
    now_s: f64,
) -> impl Iterator<Item = ContainerEntry> + 'a {
    granted(view, measured, now_s).map(|(record, statistics)| {
        let words = ExecutorWords::of(record);
        let id = v1::ContainerId { value: record.container.to_string(), parent: None };
        let status = v1::ContainerStatus { container_id: Some(id), ..Default::default() };
        ContainerEntry {
            container_id: Some(record.container.to_string()),
            executor_id: record.info.id.to_string(),
            executor_name: words.name,
            framework_id: record.framework.to_string(),
            source: words.source,
            statistics,
            status: Some(status),
        }
    })
}

fn granted_and_found(
    granted: &Resources,
    found: Option<v1::ResourceStatistics>,
    now_s: f64,
) -> v1::ResourceStatistics {
    let limit = |name| granted.quantity(name);
    v1::ResourceStatistics {
        cpus_limit: Some(limit("cpus").to_f64()),
        mem_limit_bytes: Some(size_bytes(limit("mem"))),
        disk_limit_bytes: Some(size_bytes(limit("disk"))),
        ..found.unwrap_or_else(|| v1::ResourceStatistics { timestamp: now_s, ..Default::default() })
    }
}
