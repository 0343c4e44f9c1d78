//! MARK_AGENT_GONE: an operator says that an agent will not come back. Answered once the death certificate is durable.
//!
//! Doing it twice is doing it once, and the first certificate stands. Never waits for the agent, and takes it at its word of no one: it is
//! the operator's to know. Refused only while it is being decided whose the claims of one of its disks are.

use holdfast_model::{AgentId, MasterLedger, MoveState, Presence};

use super::move_disk::drop_move;
use crate::flows::gone::{agent_gone, moves_to};
use crate::{Belief, Refusal, Step};

/// The longest reason, in bytes.
const REASON_BYTES_MAX: usize = 1024;

/// Does it.
///
/// # Errors
/// [`Refusal`] when there is no such agent, or a disk of it is just being taken over by another one.
pub(super) fn mark_gone(
    step: &mut Step,
    belief: &mut Belief,
    principal: Option<&str>,
    agent: &AgentId,
    reason: Option<String>,
) -> Result<(), Refusal> {
    check(step.out.ledger(), agent)?;
    if reason.as_ref().is_some_and(|it| REASON_BYTES_MAX < it.len()) {
        let why = format!("is longer than {REASON_BYTES_MAX} bytes; say it in fewer words");
        return Err(Refusal::Invalid(holdfast_model::Invalid::new("reason", why)));
    }
    if step.out.ledger().agents[agent].presence == Presence::Gone {
        return Ok(());
    }
    for it in moves_to(step, agent) {
        drop_move(step, belief, it);
    }
    let by = principal.unwrap_or("operator").to_owned();
    agent_gone(step, belief, agent, (by, reason));
    Ok(())
}

/// Whether an agent can be marked gone now.
///
/// # Errors
/// See [`mark_gone`].
pub(crate) fn check(ledger: &MasterLedger, agent: &AgentId) -> Result<(), Refusal> {
    match ledger.agents.get(agent) {
        None => return Err(Refusal::NotFound(format!("there is no agent {agent}"))),
        Some(it) if it.presence == Presence::Gone => return Ok(()), // It is done before.
        Some(_) => {}
    }
    let is_undecided = |it: &&holdfast_model::DiskMove| {
        it.from == *agent
            && matches!(it.state, MoveState::Fencing | MoveState::Taking | MoveState::Cancelling)
    };
    match ledger.moves.values().find(is_undecided) {
        None => Ok(()),
        Some(it) => Err(Refusal::Conflict(format!(
            "disk {} of agent {agent} is just being taken over by agent {}, with its claims; wait for the end of that, or cancel it: `holdfast disk cancel-move`",
            it.disk, it.to
        ))),
    }
}
