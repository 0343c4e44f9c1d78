//! `/state` and `/state-summary`: the whole cluster as Mesos's pages show it.
//!
//! Relies on a published view and the other pages; never mixes two moments.

use std::collections::BTreeMap;

use holdfast_model::Presence;
use serde::Serialize;

use super::{agents, frameworks, AgentEntry, FrameworkEntry};
use crate::v1::MasterFacts;
use crate::MasterView;

/// Everything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct State {
    activated_slaves: usize,
    build_user: Option<String>,
    capabilities: [(); 0],
    cluster: Option<String>,
    completed_frameworks: Vec<CompletedFramework>,
    deactivated_slaves: usize,
    elected_time: f64,
    flags: BTreeMap<String, String>,
    frameworks: Vec<FrameworkEntry>,
    hostname: Option<String>,
    id: String,
    leader: Option<String>,
    leader_info: LeaderInfo,
    orphan_tasks: [(); 0],
    pid: Option<String>,
    recovered_slaves: [(); 0],
    slaves: Vec<AgentEntry>,
    start_time: f64,
    unreachable_slaves: usize,
    unregistered_frameworks: [(); 0],
    version: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct CompletedFramework {
    id: String,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct LeaderInfo {
    hostname: Option<String>,
    id: String,
    pid: Option<String>,
    port: u32,
}

/// Agents and frameworks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    cluster: Option<String>,
    frameworks: Vec<FrameworkEntry>,
    hostname: Option<String>,
    slaves: Vec<AgentEntry>,
}

/// Everything that the pages show.
pub fn state(view: &MasterView, facts: &MasterFacts) -> State {
    let (ledger, info) = (view.ledger(), &facts.info);
    let unreachable = ledger.agents.values().filter(|it| it.presence == Presence::Unreachable);
    let removed = ledger.frameworks.iter().filter(|(_, it)| it.removed);
    let completed = removed
        .map(|(id, it)| CompletedFramework { id: id.to_string(), name: it.info.name.clone() });
    let activated = view.agents().values().filter(|it| it.link().is_some()).count();
    State {
        activated_slaves: activated,
        build_user: facts.version.build_user.clone(),
        capabilities: [],
        cluster: cluster(view),
        completed_frameworks: completed.collect(),
        deactivated_slaves: view.agents().len() - activated,
        elected_time: facts.started_s,
        flags: BTreeMap::new(),
        frameworks: frameworks(view, None),
        hostname: info.hostname.clone(),
        id: info.id.clone(),
        leader: info.pid.clone(),
        leader_info: LeaderInfo {
            hostname: info.hostname.clone(),
            id: info.id.clone(),
            pid: info.pid.clone(),
            port: info.port,
        },
        orphan_tasks: [],
        pid: info.pid.clone(),
        recovered_slaves: [],
        slaves: agents(view, None),
        start_time: facts.started_s,
        unreachable_slaves: unreachable.count(),
        unregistered_frameworks: [],
        version: facts.version.version.clone(),
    }
}

/// Agents and frameworks with their tasks.
pub fn summary(view: &MasterView, facts: &MasterFacts) -> Summary {
    Summary {
        cluster: cluster(view),
        frameworks: frameworks(view, None),
        hostname: facts.info.hostname.clone(),
        slaves: agents(view, None),
    }
}

fn cluster(view: &MasterView) -> Option<String> {
    view.ledger().cluster.as_ref().map(|it| it.id.to_string())
}
