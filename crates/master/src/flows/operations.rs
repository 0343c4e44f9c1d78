//! Operations are believed, settled, dropped and forgotten. One is finished when it is durable at its agent, and not before; it is
//! forgotten when whoever asked for it knows how it ended, and not before.

use holdfast_model::{
    Action, AgentId, ClaimAction, Event, FrameworkId, Identity, Invalid, MasterChange,
    MasterLedger, OperationRecord, OperationState, OperationStatus, OperationUuid, Order, Resource,
    Resources, StatusUuid,
};

use super::telling::{order, tell};
use crate::parts::agents::{AgentState, Agents};
use crate::parts::frameworks::Frameworks;
use crate::parts::operations::{dropped_status, InFlight, Operations};
use crate::parts::outbox::Outbox;
use crate::{Belief, Effect, Refusal, Step};

/// Believes an action done on the agent, before the agent says so. Returns it without allocations.
///
/// # Errors
/// [`Invalid`] when it cannot be done there.
pub(crate) fn speculate(
    out: &Outbox,
    agents: &mut Agents,
    agent: &AgentId,
    (group, uuid): (OperationUuid, OperationUuid),
    action: &ClaimAction,
) -> Result<ClaimAction, Invalid> {
    let bare = action.map(|it| it.clone().unallocated());
    check_names(out.ledger(), (agent, agents.at(agent)), &bare)?;
    agents.speculate(agent, (group, uuid), &bare)?;
    Ok(bare)
}

/// A volume that cannot be used now keeps its name. (Of those that can, the law sees to that.)
///
/// # Errors
/// [`Invalid`] naming the volume whose name is taken.
pub(crate) fn check_names(
    ledger: &MasterLedger,
    (agent, state): (&AgentId, &AgentState),
    action: &ClaimAction,
) -> Result<(), Invalid> {
    let ClaimAction::Create(volumes) = action else { return Ok(()) };
    let faults = state.faults().iter();
    let faulty =
        faults.filter_map(|(id, why)| Some((ledger.claims.get(&(agent.clone(), *id))?, why)));
    for (claim, why) in faulty.filter(|(claim, _)| claim.is_volume()) {
        let named = |it: &Identity| (it.role(), it.persistence.clone());
        let same = |it: &Resource| named(&it.identity) == named(&claim.resource.identity);
        if let Some(index) = volumes.iter().position(same) {
            let why = format!("the role has a volume of this name on this agent, which cannot be used now ({why}); choose another id");
            return Err(Invalid::new(format!("volumes[{index}].disk.persistence.id"), why));
        }
    }
    Ok(())
}

/// Answers an operation that never went to an agent. Without an id nobody could tell which one is meant.
pub(crate) fn tell_operation(
    step: &mut Step,
    frameworks: &Frameworks,
    framework: &FrameworkId,
    id: Option<String>,
    state: OperationState,
    why: &str,
) {
    if id.is_none() {
        return step.out.log(format!("an operation of {framework} was dropped: {why}"));
    }
    let status = OperationStatus {
        id,
        state,
        message: Some(why.to_owned()),
        converted: Resources::new(),
        uuid: None,
        agent: None,
    };
    tell(step, frameworks, framework, Event::UpdateOperation(status));
}

/// Outcomes that a framework has not acknowledged, told again to one that came back.
pub(crate) fn tell_settled(
    step: &mut Step,
    frameworks: &Frameworks,
    operations: &Operations,
    framework: &FrameworkId,
) {
    let theirs = operations.of_framework(framework).filter(|(_, it)| it.id.is_some());
    for status in theirs.filter_map(|(_, it)| it.settled.clone()) {
        tell(step, frameworks, framework, Event::UpdateOperation(status));
    }
}

/// The outcome has been heard by whoever waited: agent and masters may forget the operation.
pub(crate) fn settle(
    step: &mut Step,
    agents: &mut Agents,
    operations: &mut Operations,
    uuid: &OperationUuid,
    status: StatusUuid,
) {
    let in_flight = forget_operation(step.out, agents, operations, uuid);
    agents.acknowledge(&in_flight.agent, *uuid);
    order(step, agents, &in_flight.agent, Order::AcknowledgeOperation(*uuid, status));
}

fn forget_operation(
    out: &mut Outbox,
    agents: &mut Agents,
    operations: &mut Operations,
    uuid: &OperationUuid,
) -> InFlight {
    let in_flight = operations.forget(uuid).expect("an operation that is forgotten was known");
    // It told us the outcome, or that it knows of none; or it is gone.
    if let Some(state) = agents.get_mut(&in_flight.agent) {
        state.settled(uuid);
    }
    out.commit(vec![MasterChange::Settled(*uuid)]);
    in_flight
}

/// The agent never heard of it. Its framework is told until it acknowledges that, as of any other outcome (B79); since the agent
/// cannot tell it, the masters keep it.
pub(crate) fn drop_operation(
    step: &mut Step,
    belief: &mut Belief,
    uuid: &OperationUuid,
    why: &str,
) {
    let Belief { agents, frameworks, operations, .. } = belief;
    let request = operations.take_request(uuid);
    let in_flight = operations.at(uuid);
    let framework = in_flight.framework.clone();
    let status = in_flight.outcome(
        OperationState::Dropped,
        Some(why.to_owned()),
        Some(dropped_status(uuid)),
    );
    agents.at_mut(&in_flight.agent).settled(uuid);
    operations.settle(uuid, status.clone());
    if let Some(request) = request {
        step.out.send(Effect::Answer(request, Err(Refusal::Conflict(why.to_owned()))));
    }
    match framework.filter(|id| status.id.is_some() && !step.is_removed(id)) {
        Some(framework) => tell(step, frameworks, &framework, Event::UpdateOperation(status)),
        None => {
            step.out.log(format!("operation {uuid} was dropped: {why}"));
            forget_operation(step.out, agents, operations, uuid);
        }
    }
}

/// Outcomes that no agent tells again are forgotten with the framework that would have acknowledged them.
pub(crate) fn forget_dropped_of(
    out: &mut Outbox,
    agents: &mut Agents,
    operations: &mut Operations,
    framework: &FrameworkId,
) {
    let dropped = operations.of_framework(framework).filter(|(uuid, it)| it.was_dropped(uuid));
    let dropped: Vec<OperationUuid> = dropped.map(|(uuid, _)| *uuid).collect();
    dropped.iter().for_each(|uuid| drop(forget_operation(out, agents, operations, uuid)));
}

/// Operators do not wait for an agent that is away. What they asked for may still come true.
pub(crate) fn answer_waiting(out: &mut Outbox, operations: &mut Operations, agent: &AgentId) {
    for request in operations.take_requests_of(agent) {
        let why = format!(
            "agent {agent} lost its connection before it answered; it is not known whether the operation was done: see its claims"
        );
        out.send(Effect::Answer(request, Err(Refusal::Conflict(why))));
    }
}

/// Operators do not wait for a disk that does not answer either: who destroys a volume on one is told so. The agent goes on trying.
pub(crate) fn answer_held_up(
    out: &mut Outbox,
    operations: &mut Operations,
    state: &AgentState,
    reported: &[OperationRecord],
) {
    for operation in reported.iter().filter(|it| it.state == OperationState::Pending) {
        let Action::Claim(action) = &operation.operation.action else { continue };
        if !action.steps().iter().any(|it| matches!(it, ClaimAction::Destroy(_))) {
            continue;
        }
        let Some(fault) = operation.claims.iter().find_map(|it| state.faults().get(it)) else {
            continue;
        };
        // A leader that has only just heard of it has nobody who waits.
        let is_known = operations.get(&operation.uuid).is_some();
        if let Some(request) = is_known.then(|| operations.take_request(&operation.uuid)).flatten()
        {
            let why = format!("it is written down and not done yet: {fault}; the agent goes on trying, and the space is given back when it is done: see `holdfast claim list`");
            out.send(Effect::Answer(request, Err(Refusal::Conflict(why))));
        }
    }
}

/// Tells frameworks that nobody can say now how their operations on this agent stand.
pub(crate) fn operations_unreachable(
    step: &mut Step,
    frameworks: &Frameworks,
    operations: &Operations,
    agent: &AgentId,
) {
    let under_way = operations.of_agent(agent).filter(|(_, it)| it.settled.is_none());
    let named = under_way.filter_map(|(_, it)| Some((it.framework.as_ref()?, it.id.clone()?)));
    for (framework, id) in named {
        let why = "the agent does not answer";
        tell_operation(step, frameworks, framework, Some(id), OperationState::Unreachable, why);
    }
}
