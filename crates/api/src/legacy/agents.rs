//! `/slaves`: the agents as Mesos's page shows them.
//!
//! Relies on a published view; never says more of an agent than its last report did.

use std::collections::BTreeMap;

use holdfast_master::AgentState;
use holdfast_model::{AgentId, Resources};
use serde::Serialize;

use super::Amounts;
use crate::groups::{offered_on_agents, used_on_agents};
use crate::MasterView;

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentEntry {
    active: bool,
    capabilities: [(); 0],
    deactivated: bool,
    hostname: String,
    id: String,
    offered_resources: Amounts,
    pid: String,
    port: u16,
    registered_time: f64,
    reregistered_time: f64,
    reserved_resources: BTreeMap<String, Amounts>,
    resources: Amounts,
    unreserved_resources: Amounts,
    used_resources: Amounts,
    version: String,
}

/// All agents, or the one of this id.
pub fn agents(view: &MasterView, only: Option<&str>) -> Vec<AgentEntry> {
    let (used, offered) = (used_on_agents(view), offered_on_agents(view));
    let nothing = Resources::new();
    let wanted = view.agents().iter().filter(|(id, _)| only.is_none_or(|it| it == id.as_str()));
    let entry = |(id, state): (&AgentId, &AgentState)| {
        let used = used.get(id).unwrap_or(&nothing);
        let offered = offered.get(id).unwrap_or(&nothing);
        agent(view, id, state, used, offered)
    };
    wanted.map(entry).collect()
}

fn agent(
    view: &MasterView,
    id: &AgentId,
    state: &AgentState,
    used: &Resources,
    offered: &Resources,
) -> AgentEntry {
    let record = view.ledger().agents.get(id);
    let hostname = record.map(|it| it.hostname.clone()).unwrap_or_default();
    let mut reserved = BTreeMap::new();
    for role in state.total().entries().filter(|(it, _)| it.is_reserved()).map(|(it, _)| it.role())
    {
        reserved
            .entry(role.to_string())
            .or_insert_with(|| Amounts::of(&state.total().reserved_for(&role)));
    }
    AgentEntry {
        active: state.link().is_some(),
        capabilities: [],
        deactivated: false,
        id: id.to_string(),
        offered_resources: Amounts::of(offered),
        pid: format!("slave(1)@{hostname}:{}", state.machine().port),
        hostname,
        port: state.machine().port,
        registered_time: state.registered().0 as f64 / 1000.0,
        reregistered_time: state.reregistered().0 as f64 / 1000.0,
        reserved_resources: reserved,
        resources: Amounts::of(state.total()),
        unreserved_resources: Amounts::of(&state.total().unreserved()),
        used_resources: Amounts::of(used),
        version: state.version().to_owned(),
    }
}
