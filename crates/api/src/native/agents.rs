//! `/holdfast/v1/agents`: a row for each agent that is expected or here.
//!
//! Relies on a published view; never calls an agent well that is not.

use holdfast_master::{AgentHealth, AgentState};
use holdfast_model::{AgentId, Resource, Resources};

use super::{address, hostname, standing};
use crate::groups::{counts, live_tasks, used_on_agents};
use crate::rows::AgentRow;
use crate::MasterView;

/// Agents that are here or expected.
pub fn agents(view: &MasterView) -> Vec<AgentRow> {
    let used = used_on_agents(view);
    let tasks = counts(live_tasks(view).map(|it| &it.agent));
    let claims = view.ledger().claims.iter().filter(|(_, it)| it.is_volume());
    let volumes = counts(claims.map(|((agent, _), _)| agent));
    let nothing = Resources::new();
    let row = |(id, state): (&AgentId, &AgentState)| AgentRow {
        id: id.to_string(),
        hostname: hostname(view, id),
        address: address(view, id).unwrap_or_default(),
        state: standing(state),
        why: why_not_well(state).or_else(|| overcommitted(state)),
        total: state.total().to_string(),
        free: free(state).to_string(),
        used: used.get(id).unwrap_or(&nothing).unallocated().to_string(),
        tasks: tasks.get(id).copied().unwrap_or(0),
        volumes: volumes.get(id).copied().unwrap_or(0),
        generation: state.claims_generation(),
        ledger_version: view.ledger().agents.get(id).map_or(0, |it| it.ledger_version),
        reregistered_ms: state.reregistered().0,
    };
    view.agents().iter().map(row).collect()
}

/// What can be offered: of an agent that cannot be asked, nothing.
fn free(state: &AgentState) -> Resources {
    match state.health() {
        AgentHealth::Well if state.full().is_none() => state.free(),
        _ => Resources::new(),
    }
}

fn why_not_well(state: &AgentState) -> Option<String> {
    match state.health() {
        AgentHealth::Well => state.full().cloned(),
        AgentHealth::Joining => Some("it is opening its disks".to_owned()),
        AgentHealth::Resyncing => Some("it was asked to report again".to_owned()),
        AgentHealth::Away(_) => Some("it is not connected".to_owned()),
        AgentHealth::Fenced(why) => Some(why.clone()),
    }
}

/// What is used beyond what there is: an agent that came back with less than its tasks use is well, and has less to offer than its total says.
fn overcommitted(state: &AgentState) -> Option<String> {
    let beyond = |excess: Resource| {
        let total = state.total().get(&excess.identity).map(|it| it.value.clone());
        let used = total.as_ref().map_or_else(|| excess.value.clone(), |it| it.plus(&excess.value));
        let total =
            Resource { value: total.unwrap_or_else(|| used.minus(&used)), ..excess.clone() };
        format!("{} of {}", Resource { value: used, ..excess }, total)
    };
    let all: Vec<String> = state.overcommitted().into_iter().map(beyond).collect();
    (!all.is_empty()).then(|| {
        format!(
            "over-committed: {} is used; what is missing is not offered, reserved or not",
            all.join(", ")
        )
    })
}
