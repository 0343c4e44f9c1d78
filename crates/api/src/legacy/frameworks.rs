//! `/frameworks`: the frameworks as Mesos's page shows them, with their tasks, executors and offers.
//!
//! Relies on a published view; never scans all tasks for each framework.

use std::collections::BTreeMap;

use holdfast_master::{ExecutorView, FrameworkState, OfferRecord};
use holdfast_model::convert::{framework as convert, offer_constraints};
use holdfast_model::{
    AgentId, ExecutorKey, FrameworkId, FrameworkInfo, FrameworkRecord, Resources,
};
use holdfast_proto::mesos::v1::{self, scheduler::OfferConstraints};
use serde::Serialize;

use super::executors::ExecutorEntry;
use super::tasks::TaskEntry;
use super::Amounts;
use crate::groups::{
    by, offers_to_frameworks, tasks_of_frameworks, used_by_frameworks, Groups, TaskGroups,
};
use crate::MasterView;

/// A framework in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrameworkSummary {
    active: bool,
    capabilities: Vec<&'static str>,
    connected: bool,
    hostname: String,
    id: String,
    name: String,
    offered_resources: Amounts,
    recovered: bool,
    used_resources: Amounts,
    webui_url: String,
}

/// A framework with its tasks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrameworkEntry {
    checkpoint: bool,
    completed_tasks: Vec<TaskEntry>,
    executors: Vec<ExecutorEntry>,
    failover_timeout: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<v1::Label>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer_constraints: Option<OfferConstraints>,
    offers: Vec<OfferEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    registered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    resources: Amounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    #[serde(flatten)]
    summary: FrameworkSummary,
    tasks: Vec<TaskEntry>,
    unreachable_tasks: Vec<TaskEntry>,
    unregistered_time: f64,
    user: String,
}

/// An offer that a framework holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct OfferEntry {
    allocation_info: Allocation,
    framework_id: String,
    id: String,
    resources: Amounts,
    slave_id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Allocation {
    role: String,
}

/// What belongs to each framework, grouped once.
pub(super) struct Holdings<'a> {
    tasks: BTreeMap<&'a FrameworkId, TaskGroups<'a>>,
    used: BTreeMap<&'a FrameworkId, Resources>,
    offers: Groups<&'a FrameworkId, &'a OfferRecord>,
    executors: Groups<&'a FrameworkId, (&'a AgentId, &'a ExecutorKey, &'a ExecutorView)>,
}

impl<'a> Holdings<'a> {
    /// All that frameworks have.
    pub(super) fn of(view: &'a MasterView) -> Holdings<'a> {
        let executors = view.agents().iter().flat_map(|(agent, state)| {
            state.executors().iter().map(move |(key, it)| (&key.0, (agent, key, it)))
        });
        let mut used = used_by_frameworks(view);
        let executors = by(executors);
        for (framework, of_it) in &executors {
            let sum = used.entry(framework).or_default();
            of_it.iter().for_each(|(_, _, it)| sum.add_all(&it.resources));
        }
        Holdings {
            tasks: tasks_of_frameworks(view),
            used,
            offers: offers_to_frameworks(view),
            executors,
        }
    }

    fn offered(&self, id: &FrameworkId) -> Resources {
        let mut offered = Resources::new();
        let offers = self.offers.get(id).into_iter().flatten();
        offers.for_each(|it| offered.add_all(&it.offer.resources));
        offered
    }
}

/// All frameworks that are or may come back, or the one of this id.
pub fn frameworks(view: &MasterView, only: Option<&str>) -> Vec<FrameworkEntry> {
    let holdings = Holdings::of(view);
    let wanted = view.frameworks().iter().filter(|(id, _)| only.is_none_or(|it| it == id.as_str()));
    wanted.map(|(id, state)| framework(view, &holdings, id, state)).collect()
}

/// Frameworks that were removed, or the one of this id, with those of their tasks that are remembered.
pub fn completed_frameworks(view: &MasterView, only: Option<&str>) -> Vec<FrameworkEntry> {
    let holdings = Holdings::of(view);
    let removed = view.ledger().frameworks.iter().filter(|(_, it)| it.removed);
    let wanted = removed.filter(|(id, _)| only.is_none_or(|it| it == id.as_str()));
    wanted.map(|(id, record)| completed(&holdings, id, record)).collect()
}

/// All frameworks that are or may come back, in short.
pub(super) fn summary(
    view: &MasterView,
    holdings: &Holdings<'_>,
    id: &FrameworkId,
    state: &FrameworkState,
) -> FrameworkSummary {
    let registered = view.ledger().frameworks.get(id).map(|it| it.registered);
    let here = state.link().is_some();
    let said = Said {
        connected: here,
        recovered: !here && registered.is_some_and(|it| it != state.subscribed()),
    };
    in_short(holdings, id, state.info(), said)
}

/// How a framework stands.
struct Said {
    connected: bool,
    recovered: bool,
}

fn in_short(
    holdings: &Holdings<'_>,
    id: &FrameworkId,
    info: &FrameworkInfo,
    said: Said,
) -> FrameworkSummary {
    let wire = convert::to_proto(info);
    let capability = |it: &v1::framework_info::Capability| it.r#type().as_str_name();
    FrameworkSummary {
        active: said.connected,
        capabilities: wire.capabilities.iter().map(capability).collect(),
        connected: said.connected,
        hostname: info.hostname.clone().unwrap_or_default(),
        id: id.to_string(),
        name: info.name.clone(),
        offered_resources: Amounts::of(&holdings.offered(id)),
        recovered: said.recovered,
        used_resources: Amounts::of(&holdings.used.get(id).cloned().unwrap_or_default()),
        webui_url: wire.webui_url.unwrap_or_default(),
    }
}

fn framework(
    view: &MasterView,
    holdings: &Holdings<'_>,
    id: &FrameworkId,
    state: &FrameworkState,
) -> FrameworkEntry {
    let record = view.ledger().frameworks.get(id);
    let registered = record.map_or(state.subscribed(), |it| it.registered);
    let summary = summary(view, holdings, id, state);
    let left_ms = record
        .and_then(|it| it.deadline)
        .map(|it| it.0.saturating_sub(state.info().failover_timeout_ms));
    FrameworkEntry {
        registered_time: seconds(registered.0),
        reregistered_time: (registered != state.subscribed())
            .then(|| seconds(state.subscribed().0)),
        unregistered_time: seconds(left_ms.unwrap_or(0)),
        ..entry(holdings, id, state.info(), summary)
    }
}

fn completed(
    holdings: &Holdings<'_>,
    id: &FrameworkId,
    record: &FrameworkRecord,
) -> FrameworkEntry {
    let said = Said { connected: false, recovered: false };
    FrameworkEntry {
        registered_time: seconds(record.registered.0),
        ..entry(holdings, id, &record.info, in_short(holdings, id, &record.info, said))
    }
}

fn entry(
    holdings: &Holdings<'_>,
    id: &FrameworkId,
    info: &FrameworkInfo,
    summary: FrameworkSummary,
) -> FrameworkEntry {
    let wire = convert::to_proto(info);
    let none = TaskGroups::default();
    let tasks = holdings.tasks.get(id).unwrap_or(&none);
    let entries = |tasks: &[&_]| tasks.iter().map(|it| TaskEntry::of(it)).collect();
    let mut held = holdings.used.get(id).cloned().unwrap_or_default();
    held.add_all(&holdings.offered(id));
    let names = || info.roles.iter().map(ToString::to_string);
    let several = info.can(holdfast_model::Capability::MultiRole);
    FrameworkEntry {
        checkpoint: info.checkpoint,
        completed_tasks: entries(&tasks.completed),
        executors: holdings.executors.get(id).into_iter().flatten().map(executor).collect(),
        failover_timeout: seconds(info.failover_timeout_ms),
        labels: wire.labels.map(|it| it.labels),
        offer_constraints: offer_constraints::to_proto(&info.constraints),
        offers: holdings.offers.get(id).into_iter().flatten().map(|it| offer(it)).collect(),
        principal: info.principal.clone(),
        registered_time: 0.0,
        reregistered_time: None,
        resources: Amounts::of(&held),
        role: (!several).then(|| names().next()).flatten(),
        roles: several.then(|| names().collect()),
        summary,
        tasks: entries(&tasks.live),
        unreachable_tasks: entries(&tasks.unreachable),
        unregistered_time: 0.0,
        user: info.user.clone(),
    }
}

fn executor((agent, key, view): &(&AgentId, &ExecutorKey, &ExecutorView)) -> ExecutorEntry {
    ExecutorEntry::at_master(agent, key, view)
}

fn offer(record: &OfferRecord) -> OfferEntry {
    let offer = &record.offer;
    OfferEntry {
        allocation_info: Allocation { role: offer.role.to_string() },
        framework_id: offer.framework.to_string(),
        id: offer.id.to_string(),
        resources: Amounts::of(&offer.resources),
        slave_id: offer.agent.to_string(),
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
