//! `/frameworks`: the frameworks as Mesos's page shows them, with their tasks and offers.
//!
//! Relies on a published view; never scans all tasks for each framework.

use holdfast_master::{FrameworkState, OfferRecord};
use holdfast_model::{FrameworkId, Resources};
use serde::Serialize;

use super::tasks::TaskEntry;
use super::Amounts;
use crate::groups::{offers_to_frameworks, tasks_of_frameworks, used_by_frameworks, TaskGroups};
use crate::MasterView;

/// A framework with its tasks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrameworkEntry {
    active: bool,
    checkpoint: bool,
    completed_tasks: Vec<TaskEntry>,
    connected: bool,
    executors: [(); 0],
    failover_timeout: f64,
    hostname: Option<String>,
    id: String,
    name: String,
    offers: Vec<String>,
    principal: Option<String>,
    recovered: bool,
    role: Option<String>,
    roles: Vec<String>,
    tasks: Vec<TaskEntry>,
    unreachable_tasks: Vec<TaskEntry>,
    used_resources: Amounts,
    user: String,
}

/// All frameworks, or the one of this id.
pub fn frameworks(view: &MasterView, only: Option<&str>) -> Vec<FrameworkEntry> {
    let (tasks, used) = (tasks_of_frameworks(view), used_by_frameworks(view));
    let offers = offers_to_frameworks(view);
    let (no_tasks, nothing) = (TaskGroups::default(), Resources::new());
    let wanted = view.frameworks().iter().filter(|(id, _)| only.is_none_or(|it| it == id.as_str()));
    let entry = |(id, state): (&FrameworkId, &FrameworkState)| {
        let tasks = tasks.get(id).unwrap_or(&no_tasks);
        let offers = offers.get(id).map(Vec::as_slice).unwrap_or_default();
        framework(id, state, tasks, offers, used.get(id).unwrap_or(&nothing))
    };
    wanted.map(entry).collect()
}

fn framework(
    id: &FrameworkId,
    state: &FrameworkState,
    tasks: &TaskGroups<'_>,
    offers: &[&OfferRecord],
    used: &Resources,
) -> FrameworkEntry {
    let entries = |tasks: &[&_]| tasks.iter().map(|it| TaskEntry::of(it)).collect();
    FrameworkEntry {
        active: state.link().is_some(),
        checkpoint: state.info().checkpoint,
        completed_tasks: entries(&tasks.completed),
        connected: state.link().is_some(),
        executors: [],
        failover_timeout: state.info().failover_timeout_ms as f64 / 1000.0,
        hostname: state.info().hostname.clone(),
        id: id.to_string(),
        name: state.info().name.clone(),
        offers: offers.iter().map(|it| it.offer.id.to_string()).collect(),
        principal: state.info().principal.clone(),
        recovered: state.link().is_none(),
        role: state.info().roles.first().map(ToString::to_string),
        roles: state.info().roles.iter().map(ToString::to_string).collect(),
        tasks: entries(&tasks.live),
        unreachable_tasks: entries(&tasks.unreachable),
        used_resources: Amounts::of(used),
        user: state.info().user.clone(),
    }
}
