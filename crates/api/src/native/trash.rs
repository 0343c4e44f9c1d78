//! `/holdfast/v1/trash`: a row for each destroyed volume that can still be brought back, or is just being removed.
//!
//! Relies on what agents have told the leader; of one that has not reported since the leader was elected nothing is known.

use holdfast_master::AgentState;
use holdfast_model::{AgentId, TrashedVolume};

use super::hostname;
use crate::rows::TrashRow;
use crate::MasterView;

/// Destroyed volumes of all agents. What is being brought back is listed among the claims.
pub fn trash(view: &MasterView) -> Vec<TrashRow> {
    let all = view.agents().iter().flat_map(|(agent, state)| {
        state.trash().volumes().values().map(move |volume| (agent, state, volume))
    });
    let is_there = |agent: &AgentId, volume: &TrashedVolume| {
        view.ledger().claims.contains_key(&(agent.clone(), volume.claim.id))
    };
    all.filter(|(agent, _, volume)| !is_there(agent, volume))
        .map(|(agent, state, volume)| row(view, agent, state, volume))
        .collect()
}

fn row(view: &MasterView, agent: &AgentId, state: &AgentState, volume: &TrashedVolume) -> TrashRow {
    let claim = &volume.claim;
    let identity = &claim.resource.identity;
    let disk = state.disks().iter().find(|it| Some(it.disk.id) == claim.disk);
    let destroyed = claim.history.last();
    TrashRow {
        id: claim.id.to_string(),
        volume: identity.persistence.as_ref().map(ToString::to_string).unwrap_or_default(),
        role: identity.role().to_string(),
        size_mb: claim.resource.value.quantity().as_whole(),
        agent: agent.to_string(),
        hostname: hostname(view, agent),
        disk: claim.disk.map(|it| it.to_string()),
        root: disk.map(|it| it.disk.root.clone()),
        framework: claim.framework.as_ref().map(ToString::to_string),
        destroyed_ms: destroyed.map_or(volume.since.0, |it| it.at.0),
        destroyed_by: destroyed.map(|it| it.by.clone()).unwrap_or_default(),
        kept_until_ms: volume.since.0.saturating_add(state.trash().retention_ms()),
        purging: volume.purging,
    }
}
