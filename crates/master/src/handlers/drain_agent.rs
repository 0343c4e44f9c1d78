//! DRAIN_AGENT, DEACTIVATE_AGENT and REACTIVATE_AGENT. Each is answered once it is durable; what runs on an agent ends afterwards.
//!
//! Doing one twice is doing it once: a second drain changes what the first one said. Works for agents that are away, too, and takes effect
//! when they are back.

use holdfast_model::{AgentId, Deactivation, Drain, MasterChange, MasterLedger, Presence};

use crate::flows::drain::{check_drained, kill_drained};
use crate::flows::gone::why_gone;
use crate::flows::offers::rescind_all_of;
use crate::{Belief, Refusal, Step};

/// Whether there is such an agent, which is not gone.
///
/// # Errors
/// [`Refusal`] when there is not.
pub(crate) fn check(ledger: &MasterLedger, agent: &AgentId) -> Result<(), Refusal> {
    match ledger.agents.get(agent) {
        None => Err(Refusal::NotFound(format!("there is no agent {agent}"))),
        Some(it) if it.presence == Presence::Gone => {
            Err(Refusal::Conflict(why_gone(ledger, agent)))
        }
        Some(_) => Ok(()),
    }
}

/// Whether no downtime is planned for the agent's machine: an agent is either drained or in a maintenance schedule.
///
/// # Errors
/// [`Refusal`] when there is.
pub(crate) fn check_not_planned(ledger: &MasterLedger, agent: &AgentId) -> Result<(), Refusal> {
    let Some((machine, _)) = ledger.planned_for(agent) else { return Ok(()) };
    Err(Refusal::Conflict(format!(
        "machine {} of agent {agent} is in the maintenance schedule; an agent is either drained or in a schedule: `holdfast maintenance clear {}` first",
        machine.id, machine.id
    )))
}

/// Nothing of the agent is offered, and what runs there is killed.
///
/// # Errors
/// As for [`check`].
pub(super) fn drain_agent(
    step: &mut Step,
    belief: &mut Belief,
    principal: Option<&str>,
    agent: &AgentId,
    (max_grace_ms, mark_gone): (Option<u64>, bool),
) -> Result<(), Refusal> {
    check(step.out.ledger(), agent)?;
    check_not_planned(step.out.ledger(), agent)?;
    let former = step.out.ledger().deactivations.get(agent);
    let began = former.and_then(|it| Some(it.draining()?.since)).unwrap_or(step.now);
    let drain = Drain { since: began, max_grace_ms, mark_gone, is_drained: false };
    deactivate(step, belief, principal, agent, Some(drain));
    kill_drained(step, belief, agent);
    check_drained(step, belief, agent);
    Ok(())
}

/// Nothing of the agent is offered; what runs there goes on.
///
/// # Errors
/// As for [`check`].
pub(super) fn deactivate_agent(
    step: &mut Step,
    belief: &mut Belief,
    principal: Option<&str>,
    agent: &AgentId,
) -> Result<(), Refusal> {
    check(step.out.ledger(), agent)?;
    if !step.out.ledger().deactivations.contains_key(agent) {
        deactivate(step, belief, principal, agent, None);
    }
    Ok(())
}

fn deactivate(
    step: &mut Step,
    belief: &mut Belief,
    principal: Option<&str>,
    agent: &AgentId,
    drain: Option<Drain>,
) {
    let former = step.out.ledger().deactivations.get(agent);
    let deactivation = Deactivation {
        agent: agent.clone(),
        since: former.map_or(step.now, |it| it.since),
        by: principal.unwrap_or("operator").to_owned(),
        drain,
    };
    if former != Some(&deactivation) {
        step.out.commit(vec![MasterChange::Deactivated(deactivation)]);
    }
    rescind_all_of(step, belief, agent);
    belief.allocator.touch(agent);
}

/// The agent is as any other again.
///
/// # Errors
/// [`Refusal`] while it is being drained, unless that is to be ended; or as for [`check`].
pub(super) fn reactivate_agent(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    cancel_drain: bool,
) -> Result<(), Refusal> {
    check(step.out.ledger(), agent)?;
    let Some(former) = step.out.ledger().deactivations.get(agent) else { return Ok(()) };
    if former.draining().is_some() && !cancel_drain {
        return Err(Refusal::Conflict(format!(
            "agent {agent} is being drained; wait until nothing runs there any more, or end the drain: `holdfast agent drain {agent} --cancel`"
        )));
    }
    step.out.commit(vec![MasterChange::Reactivated(agent.clone())]);
    belief.allocator.touch(agent);
    Ok(())
}
