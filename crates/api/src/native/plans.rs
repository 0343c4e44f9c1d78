//! `/holdfast/v1/plan`: what a change would do.
//!
//! Relies on the master's own checks, which run on a view as they do in the core. Never changes anything.

use holdfast_model::{AgentId, CallerIdentity, ClaimAction, ClaimId, FrameworkId};

use crate::groups::live_tasks;
use crate::rows::{ClaimPlan, Plan, TeardownPlan};
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
    view.plan(agent, action, caller.principal())?;
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
