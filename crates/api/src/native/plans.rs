//! `/holdfast/v1/plan`: what a change would do.
//!
//! Relies on the master's own checks, which run on a view as they do in the core. Never changes anything.

use holdfast_master::Force;
use holdfast_model::{
    AgentId, CallerIdentity, ClaimAction, ClaimId, Expected, ExpectedClaim, FrameworkId, Taken,
    Together, VolumeAdoption,
};

use super::frameworks::framework_standing;
use crate::change::{self, How};
use crate::groups::live_tasks;
use crate::rows::{
    ApplyPlan, ClaimPlan, EndPlan, FrameworkStanding, HolderRow, Plan, RemovalPlan, TakenRow,
    TeardownPlan,
};
use crate::{MasterView, Refusal};

/// What a change of claims takes and gives, if it would work.
///
/// # Errors
/// What the core would say if it were asked for the change now.
pub fn claim_plan(
    view: &MasterView,
    caller: &CallerIdentity,
    agent: &AgentId,
    action: &ClaimAction,
) -> Result<Plan, Refusal> {
    let taken = view.plan(agent, (action, Force::No), None, caller.principal())?;
    let conversion = action.conversion();
    let steps = std::slice::from_ref(action);
    let expected = seen(view, agent, steps);
    Ok(Plan::Claim(ClaimPlan {
        action: action.name().to_owned(),
        agent: agent.to_string(),
        apply: Some(change::write(agent, steps, &expected, How::default())),
        gives: conversion.converted.to_string(),
        taken_from: taken.iter().map(|it| self::taken(view, it)).collect(),
        takes: conversion.consumed.to_string(),
    }))
}

/// What several changes take and give in all, if they would work together. What they expect is kept, and what a plan was made on added.
///
/// # Errors
/// What the core would say if it were asked for them now.
pub fn apply_plan(
    view: &MasterView,
    caller: &CallerIdentity,
    agent: &AgentId,
    (steps, expected): (&[ClaimAction], &Expected),
    how: How,
) -> Result<Plan, Refusal> {
    let by = caller.principal().unwrap_or("operator").to_owned();
    let together =
        Together { by, steps: steps.to_vec(), expected: expected.clone(), filling: None };
    let what = (&together, Force::of(how.force), how.claim);
    let taken = view.plan_together(agent, what, caller.principal())?;
    let mut now = seen(view, agent, steps);
    now.agent = expected.agent.or(now.agent);
    for claim in &expected.claims {
        if !now.claims.contains(claim) {
            now.claims.push(*claim);
        }
    }
    let conversion = ClaimAction::Together(together).conversion();
    Ok(Plan::Apply(ApplyPlan {
        action: "APPLY".to_owned(),
        agent: agent.to_string(),
        apply: change::write(agent, steps, &now, how),
        gives: conversion.converted.to_string(),
        operations: steps.iter().map(|it| it.name().to_owned()).collect(),
        taken_from: taken.iter().map(|it| self::taken(view, it)).collect(),
        takes: conversion.consumed.to_string(),
    }))
}

/// The generations that a plan is made on: of the claims that it takes from, and, where it makes something new, of the agent's as a whole.
fn seen(view: &MasterView, agent: &AgentId, steps: &[ClaimAction]) -> Expected {
    let mut seen = Expected::default();
    for step in steps {
        if let ClaimAction::Reserve { .. } | ClaimAction::Create(_) = step {
            seen.agent = view.agents().get(agent).map(|it| it.claims_generation());
            continue;
        }
        for taken in step.conversion().consumed.iter() {
            for claim in view.ledger().claims_with(agent, &taken.identity) {
                let it = ExpectedClaim { claim: claim.id, generation: claim.generation };
                if !seen.claims.contains(&it) {
                    seen.claims.push(it);
                }
            }
        }
    }
    seen
}

/// What bringing a destroyed volume back takes and gives, if it would work.
///
/// # Errors
/// What the core would say if it were asked for it now.
pub fn undelete_plan(view: &MasterView, agent: &AgentId, claim: ClaimId) -> Result<Plan, Refusal> {
    let actions = view.plan_undelete(agent, claim)?;
    let takes = actions.first().map(|it| it.conversion().consumed.to_string());
    let gives = actions.last().map(|it| it.conversion().converted.to_string());
    Ok(Plan::Claim(ClaimPlan {
        action: "UNDELETE".to_owned(),
        agent: agent.to_string(),
        apply: None,
        gives: gives.unwrap_or_default(),
        taken_from: Vec::new(),
        takes: takes.unwrap_or_default(),
    }))
}

/// What the adoption of an orphan takes and gives, if it would work.
///
/// # Errors
/// What the core would say if it were asked for it now.
pub fn adoption_plan(
    view: &MasterView,
    caller: &CallerIdentity,
    agent: &AgentId,
    adoption: &VolumeAdoption,
) -> Result<Plan, Refusal> {
    let together = view.plan_adoption(agent, adoption, caller.principal())?;
    let conversion = ClaimAction::Together(together).conversion();
    Ok(Plan::Claim(ClaimPlan {
        action: "ADOPT".to_owned(),
        agent: agent.to_string(),
        apply: None,
        gives: conversion.converted.to_string(),
        taken_from: Vec::new(),
        takes: conversion.consumed.to_string(),
    }))
}

/// What would be kept of an orphan that is removed, if it would work. Nothing is taken: it is in no total.
///
/// # Errors
/// What the core would say if it were asked for it now.
pub fn removal_plan(view: &MasterView, agent: &AgentId, orphan: ClaimId) -> Result<Plan, Refusal> {
    let kept = view.plan_removal(agent, orphan)?;
    Ok(Plan::Removal(RemovalPlan {
        action: "REMOVE_ORPHAN".to_owned(),
        agent: agent.to_string(),
        to_trash: kept.to_string(),
        volume: orphan.to_string(),
    }))
}

/// What the end of a claim gives, and who holds it.
///
/// # Errors
/// What the core would say if it were asked for it now.
pub fn end_plan(
    view: &MasterView,
    caller: &CallerIdentity,
    (agent, id): (&AgentId, ClaimId),
    force: bool,
) -> Result<Plan, Refusal> {
    let action = view.ending(agent, id)?;
    view.plan(agent, (&action, Force::of(force)), Some(id), caller.principal())?;
    let claim = &view.ledger().claims[&(agent.clone(), id)];
    let conversion = action.conversion();
    let claims = vec![ExpectedClaim { claim: id, generation: claim.generation }];
    let expected = Expected { agent: None, claims };
    let how = How { force, claim: Some(id) };
    Ok(Plan::End(EndPlan {
        apply: change::write(agent, std::slice::from_ref(&action), &expected, how),
        action: action.name().to_owned(),
        agent: agent.to_string(),
        claim: id.to_string(),
        gives: conversion.converted.to_string(),
        holder: claim.framework.as_ref().and_then(|it| holder(view, it)),
        takes: conversion.consumed.to_string(),
    }))
}

fn taken(view: &MasterView, taken: &Taken) -> TakenRow {
    TakenRow {
        claim: taken.claim.to_string(),
        holder: taken.framework.as_ref().and_then(|it| holder(view, it)),
        takes: taken.resource.to_string(),
    }
}

pub(super) fn holder(view: &MasterView, id: &FrameworkId) -> Option<HolderRow> {
    let record = view.ledger().frameworks.get(id)?;
    let state = framework_standing(view, id, record);
    let away_since = record.deadline.map(|it| it.0.saturating_sub(record.info.failover_timeout_ms));
    Some(HolderRow {
        away_since_ms: away_since.filter(|_| state == FrameworkStanding::Away),
        framework: id.to_string(),
        name: record.info.name.clone(),
        state,
    })
}

/// What the removal of a framework would do.
///
/// # Errors
/// [`Refusal::NotFound`] when there is no such framework.
pub fn teardown_plan(view: &MasterView, framework: &FrameworkId) -> Result<Plan, Refusal> {
    if !view.frameworks().contains_key(framework) {
        return Err(Refusal::NotFound("there is no such framework".to_owned()));
    }
    let tasks = live_tasks(view).filter(|it| it.framework == *framework);
    let claims = view.ledger().claims.values();
    let held = claims.filter(|it| it.framework.as_ref() == Some(framework));
    Ok(Plan::Teardown(TeardownPlan {
        action: "TEARDOWN".to_owned(),
        ends_tasks: tasks.map(|it| it.id.to_string()).collect(),
        framework: framework.to_string(),
        leaves_unclaimed: held.map(|it| it.id.to_string()).collect(),
    }))
}
