//! What it would mean if an agent left: which tasks would end, and what would become of each claim there.
//!
//! Relies on a published view. Looks at what the one agent has, and at nothing else. Never says that data would go: nothing on a disk is
//! touched by any of this.

use holdfast_model::convert::task::kill_grace_ms;
use holdfast_model::task::KILL_GRACE_DEFAULT_MS;
use holdfast_model::{AgentId, Claim};

use super::plans::holder;
use super::{hostname, standing};
use crate::rows::{AgentStanding, ClaimKind, LeavingClaimRow, LeavingPlan, LeavingTaskRow, Plan};
use crate::{MasterView, Refusal};

/// What marking an agent gone would do.
///
/// # Errors
/// What the core would say if it were asked for it now.
pub fn gone_plan(view: &MasterView, agent: &AgentId) -> Result<Plan, Refusal> {
    view.check_gone(agent)?;
    Ok(plan(view, agent, "MARK_AGENT_GONE", "given up; its bytes are not touched"))
}

/// What draining an agent would do; whether it is marked gone then.
///
/// # Errors
/// What the core would say if it were asked for it now.
pub fn drain_plan(
    view: &MasterView,
    agent: &AgentId,
    max_grace_ms: Option<u64>,
    mark_gone: bool,
) -> Result<Plan, Refusal> {
    view.check_drain(agent)?;
    let becomes = match mark_gone {
        true => "given up once nothing runs there; its bytes are not touched",
        false => "kept, and offered again once the agent is reactivated",
    };
    let mut plan = plan(view, agent, "DRAIN_AGENT", becomes);
    if let Plan::Leaving(LeavingPlan { ends_tasks, .. }) = &mut plan {
        let tasks = view.tasks_of_agent(agent).filter(|it| !it.state.is_terminal());
        for (row, task) in ends_tasks.iter_mut().zip(tasks) {
            let own = kill_grace_ms(&task.payload).unwrap_or(KILL_GRACE_DEFAULT_MS);
            row.grace_ms = Some(max_grace_ms.map_or(own, |most| most.min(own)));
            row.waits = !mark_gone && !row.volumes.is_empty();
        }
    }
    Ok(plan)
}

/// What becomes of an agent whose machine goes down.
pub(super) fn plan_down(view: &MasterView, agent: &AgentId) -> LeavingPlan {
    let becomes = "kept, and offered again once the machine is up and the agent is back";
    leaving(view, agent, "START_MAINTENANCE", becomes)
}

fn plan(view: &MasterView, agent: &AgentId, action: &str, becomes: &str) -> Plan {
    Plan::Leaving(leaving(view, agent, action, becomes))
}

fn leaving(view: &MasterView, agent: &AgentId, action: &str, becomes: &str) -> LeavingPlan {
    let tasks = view.tasks_of_agent(agent).filter(|it| !it.state.is_terminal());
    let claims = view.ledger().claims_of(agent);
    LeavingPlan {
        action: action.to_owned(),
        agent: agent.to_string(),
        claims: claims.map(|it| claim(view, it, becomes)).collect(),
        ends_tasks: tasks.map(|it| task(view, it)).collect(),
        hostname: hostname(view, agent),
        // One that is gone is in no view, and never comes back.
        state: view.agents().get(agent).map_or(AgentStanding::Gone, |it| standing(view, agent, it)),
    }
}

fn task(view: &MasterView, task: &holdfast_master::TaskView) -> LeavingTaskRow {
    let framework = view.ledger().frameworks.get(&task.framework);
    let identities = task.resources.entries().map(|(identity, _)| identity);
    LeavingTaskRow {
        framework: task.framework.to_string(),
        grace_ms: None,
        waits: false,
        framework_name: framework.map(|it| it.info.name.clone()).unwrap_or_default(),
        task: task.id.to_string(),
        volumes: identities.filter_map(|it| Some(it.persistence.as_ref()?.to_string())).collect(),
    }
}

fn claim(view: &MasterView, claim: &Claim, becomes: &str) -> LeavingClaimRow {
    let identity = &claim.resource.identity;
    LeavingClaimRow {
        amount: claim.resource.value.quantity().to_f64(),
        becomes: becomes.to_owned(),
        claim: claim.id.to_string(),
        disk_root: identity.source.as_ref().and_then(|it| it.root.clone()),
        holder: claim.framework.as_ref().and_then(|it| holder(view, it)),
        kind: if claim.is_volume() { ClaimKind::Volume } else { ClaimKind::Reservation },
        resource: identity.name.clone(),
        role: identity.role().to_string(),
        volume: identity.persistence.as_ref().map(ToString::to_string),
    }
}
