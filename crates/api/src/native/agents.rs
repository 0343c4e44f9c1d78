//! `/holdfast/v1/agents`: a row for each agent that is expected or here.
//!
//! Relies on a published view; never calls an agent well that is not.

use holdfast_master::{AgentHealth, AgentState};
use holdfast_model::{AgentId, DeathCertificate, Drain, Resource, Resources};

use super::{address, hostname, standing};
use crate::groups::{counts, live_tasks, used_on_agents};
use crate::rows::{AgentRow, DeactivationRow, DrainRow, GoneAgentRow};
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
        state: standing(view, id, state),
        why: why(view, id, state),
        deactivated: deactivation(view, id),
        total: state.total().to_string(),
        free: free(view, id, state).to_string(),
        used: used.get(id).unwrap_or(&nothing).unallocated().to_string(),
        tasks: tasks.get(id).copied().unwrap_or(0),
        volumes: volumes.get(id).copied().unwrap_or(0),
        generation: state.claims_generation(),
        ledger_version: view.ledger().agents.get(id).map_or(0, |it| it.ledger_version),
        reregistered_ms: state.reregistered().0,
    };
    view.agents().iter().map(row).collect()
}

/// Agents that are gone.
pub fn gone_agents(view: &MasterView) -> Vec<GoneAgentRow> {
    let row = |it: &DeathCertificate| GoneAgentRow {
        by: it.by.clone(),
        gone_ms: it.at.0,
        hostname: hostname(view, &it.agent),
        id: it.agent.to_string(),
        reason: it.reason.clone(),
    };
    view.ledger().deaths.values().map(row).collect()
}

/// What can be offered: of an agent that cannot be asked, nothing.
fn free(view: &MasterView, id: &AgentId, state: &AgentState) -> Resources {
    match state.health() {
        AgentHealth::Well if view.ledger().deactivations.contains_key(id) => Resources::new(),
        AgentHealth::Well if state.full().is_none() => view.usable(id),
        _ => Resources::new(),
    }
}

/// Why it is not well, or not offered; both, where an agent is away that is to be drained.
fn why(view: &MasterView, id: &AgentId, state: &AgentState) -> Option<String> {
    let wish = view.ledger().deactivations.get(id).map(|it| {
        let left = view.tasks_of_agent(id).count();
        match it.draining() {
            Some(_) if 0 < left => format!("{} ({left} tasks are left)", it.why()),
            _ => it.why(),
        }
    });
    let reasons: Vec<String> = wish.into_iter().chain(why_not_well(state)).collect();
    match reasons.is_empty() {
        true => overcommitted(state),
        false => Some(reasons.join("; ")),
    }
}

fn deactivation(view: &MasterView, id: &AgentId) -> Option<DeactivationRow> {
    let it = view.ledger().deactivations.get(id)?;
    let drain = |it: &Drain| DrainRow {
        drained: it.is_drained,
        mark_gone: it.mark_gone,
        max_grace_ms: it.max_grace_ms,
        since_ms: it.since.0,
    };
    let drain = it.drain.as_ref().map(drain);
    Some(DeactivationRow { by: it.by.clone(), since_ms: it.since.0, drain })
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
