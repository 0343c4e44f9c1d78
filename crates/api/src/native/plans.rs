//! `/holdfast/v1/plan`: what a change would do.
//!
//! Relies on the master's own checks, which run on a view as they do in the core. Never changes anything.

use holdfast_master::Force;
use holdfast_model::{AgentId, CallerIdentity, ClaimAction, ClaimId, FrameworkId};

use super::frameworks::framework_standing;
use crate::groups::live_tasks;
use crate::rows::{ClaimPlan, EndPlan, FrameworkStanding, HolderRow, Plan, TeardownPlan};
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
    view.plan(agent, (action, Force::No), caller.principal())?;
    let conversion = action.conversion();
    Ok(Plan::Claim(ClaimPlan {
        action: action.name().to_owned(),
        agent: agent.to_string(),
        gives: conversion.converted.to_string(),
        takes: conversion.consumed.to_string(),
    }))
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
        gives: gives.unwrap_or_default(),
        takes: takes.unwrap_or_default(),
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
    view.plan(agent, (&action, Force::of(force)), caller.principal())?;
    let claim = &view.ledger().claims[&(agent.clone(), id)];
    let conversion = action.conversion();
    Ok(Plan::End(EndPlan {
        action: action.name().to_owned(),
        agent: agent.to_string(),
        claim: id.to_string(),
        gives: conversion.converted.to_string(),
        holder: claim.framework.as_ref().and_then(|it| holder(view, it)),
        takes: conversion.consumed.to_string(),
    }))
}

fn holder(view: &MasterView, id: &FrameworkId) -> Option<HolderRow> {
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
