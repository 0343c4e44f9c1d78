//! Answers of the API of our own for what Mesos has no words for: disks, claims, reasons.
//!
//! Field names are a promise ([`crate::rows`]). The command line and the console read nothing else, so that all three say the same.

mod agents;
mod claims;
mod disk_moves;
mod disks;
mod ended;
mod explain;
mod frameworks;
mod leaving;
mod machines;
mod offers;
mod outlook;
mod past;
mod plans;
mod quotas;
mod recovery;
mod roles;
mod tasks;
mod trash;

use holdfast_master::{AgentHealth, AgentState};
use holdfast_model::AgentId;
use serde::Serialize;

pub use agents::{agents, gone_agents};
pub use claims::claims;
pub use disk_moves::disk_moves;
pub use disks::disks;
pub use ended::{ended_claims, EndedWanted};
pub use explain::{explain, Question};
pub use frameworks::frameworks;
pub use leaving::{drain_plan, gone_plan};
pub use machines::{machines, mode_plan, schedule_plan};
pub use offers::offers;
pub use outlook::outlook;
pub use past::claims_at;
pub use plans::{
    adoption_plan, apply_plan, claim_plan, end_plan, removal_plan, teardown_plan, undelete_plan,
};
pub use quotas::{quota_plan, quotas};
pub use recovery::recover_plan;
pub use roles::roles;
pub use tasks::tasks;
pub use trash::trash;

use crate::rows::{
    AgentRow, AgentStanding, ChangeDone, ClaimRow, ClaimsAt, DiskMoveRow, DiskRow, EndedClaimRow,
    Explained, FrameworkRow, GoneAgentRow, KillAccepted, MachineRow, OfferRow, OutlookRow, Plan,
    QuotaRow, RoleRow, TaskRow, TrashDone, TrashRow,
};
use crate::MasterView;

/// What the native API answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NativeAnswer {
    /// Agents.
    Agents(Vec<AgentRow>),
    /// Agents that are gone.
    GoneAgents(Vec<GoneAgentRow>),
    /// Disks.
    Disks(Vec<DiskRow>),
    /// Disks that are moved from one agent to another.
    DiskMoves(Vec<DiskMoveRow>),
    /// Claims.
    Claims(Vec<ClaimRow>),
    /// Claims that have ended.
    EndedClaims(Vec<EndedClaimRow>),
    /// What was claimed at some time.
    ClaimsAt(ClaimsAt),
    /// Frameworks.
    Frameworks(Vec<FrameworkRow>),
    /// Tasks.
    Tasks(Vec<TaskRow>),
    /// Offers.
    Offers(Vec<OfferRow>),
    /// Roles.
    Roles(Vec<RoleRow>),
    /// Roles that have quota.
    Quotas(Vec<QuotaRow>),
    /// Machines with planned downtime.
    Machines(Vec<MachineRow>),
    /// Why.
    Explained(Box<Explained>),
    /// What a framework that is not there yet could be offered.
    Outlook(Vec<OutlookRow>),
    /// What a change would do.
    Plan(Box<Plan>),
    /// A task's end was asked for.
    Kill(KillAccepted),
    /// Destroyed volumes.
    TrashRows(Vec<TrashRow>),
    /// A destroyed volume is back, or goes.
    Trash(TrashDone),
    /// A change is durable.
    Done(ChangeDone),
}

fn hostname(view: &MasterView, agent: &AgentId) -> String {
    view.ledger().agents.get(agent).map(|it| it.hostname.clone()).unwrap_or_default()
}

fn address(view: &MasterView, agent: &AgentId) -> Option<String> {
    view.ledger().agents.get(agent).map(|it| format!("{}:{}", it.hostname, it.port))
}

fn standing(view: &MasterView, id: &AgentId, state: &AgentState) -> AgentStanding {
    let wish = view.ledger().deactivations.get(id).filter(|_| *state.health() == AgentHealth::Well);
    if let Some(wish) = wish {
        return match wish.drain {
            None => AgentStanding::Deactivated,
            Some(it) if it.is_drained => AgentStanding::Drained,
            Some(_) => AgentStanding::Draining,
        };
    }
    match state.health() {
        AgentHealth::Well if state.full().is_some() => AgentStanding::Full,
        AgentHealth::Well => AgentStanding::Well,
        AgentHealth::Joining => AgentStanding::Joining,
        AgentHealth::Resyncing => AgentStanding::Resyncing,
        AgentHealth::Away(_) => AgentStanding::Away,
        AgentHealth::Fenced(_) => AgentStanding::Fenced,
    }
}

#[cfg(test)]
mod tests;
