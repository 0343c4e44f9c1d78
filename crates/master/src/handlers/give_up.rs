//! An operator gives up a claim whose disk is dead. It is answered once the agent has written it down.
//!
//! Nothing is believed before that: what cannot be used is in no total. Never asks for it while the claim is whole, by all that is
//! known here; the agent, which has the disk, looks once more.

use holdfast_model::{
    Action, AgentId, ClaimAction, ClaimId, MasterChange, Operation, OperationUuid, Order,
    PendingOperation,
};

use super::operator_claim::{check_health, users_of};
use crate::flows::telling::order;
use crate::parts::operations::InFlight;
use crate::{Belief, Refusal, RequestId, Step};

/// Does it. The answer comes when the agent has done it.
///
/// # Errors
/// [`Refusal`] saying what is wrong with it, or in its way.
pub(super) fn give_up(
    step: &mut Step,
    belief: &mut Belief,
    (request, principal): (RequestId, Option<&str>),
    agent: &AgentId,
    id: ClaimId,
) -> Result<(), Refusal> {
    let action = check(step, belief, agent, id)?;
    let uuid = OperationUuid(step.ids.fresh());
    let operation = Operation { id: None, action: Action::Claim(action.clone()) };
    let in_flight = InFlight {
        framework: None,
        id: None,
        agent: agent.clone(),
        action,
        request: Some(request),
        settled: None,
    };
    belief.operations.put(uuid, in_flight);
    let by = principal.unwrap_or("operator").to_owned();
    order(step, &mut belief.agents, agent, Order::GiveUp { uuid, claim: id, by });
    let pending = PendingOperation { uuid, framework: None, agent: agent.clone(), operation };
    step.out.commit(vec![MasterChange::Pending(pending)]);
    Ok(())
}

/// What it comes to, if nothing that is known speaks against it.
fn check(
    step: &Step,
    belief: &Belief,
    agent: &AgentId,
    id: ClaimId,
) -> Result<ClaimAction, Refusal> {
    let state = belief.agents.get(agent);
    let state = state.ok_or_else(|| Refusal::NotFound(format!("there is no agent {agent}")))?;
    let Some(claim) = step.out.ledger().claims.get(&(agent.clone(), id)) else {
        return Err(Refusal::NotFound(format!("agent {agent} has no claim {id}; see its claims")));
    };
    check_health((agent, state))?;
    if !state.faults().contains_key(&id) {
        return Err(Refusal::Conflict(format!(
            "claim {id} on agent {agent} is there and whole, and only what is not can be given up; destroy the volume or remove the reservation instead"
        )));
    }
    let resources = vec![claim.resource.clone()];
    let users = users_of(belief.tasks.rows(), agent, &resources.iter().collect());
    if !users.is_empty() && claim.is_volume() {
        let by = users.join(", ");
        return Err(Refusal::Conflict(format!("claim {id} is in use by {by}; end it first")));
    }
    Ok(match claim.is_volume() {
        true => ClaimAction::Destroy(resources),
        false => ClaimAction::Unreserve(resources),
    })
}
