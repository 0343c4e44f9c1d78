//! Agents settle operations. The masters note at once what became of the claims, and tell whoever waits.

use holdfast_model::{
    AgentId, Event, LedgerPoint, MasterChange, OperationState, OperationUpdate, Order,
};

use super::ledger_history::acknowledging_version;
use super::move_disk::pass_over_claims;
use crate::flows::ended::end_claims;
use crate::flows::operations::settle;
use crate::flows::resync::resync;
use crate::flows::telling::{order, tell};
use crate::{Belief, Effect, Refusal, Step};

/// An agent says how an operation ended.
pub(crate) fn operation_updated(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    mut update: OperationUpdate,
) {
    pass_over_claims(step, agent, &mut update);
    if !update.state.is_terminal() {
        return step.out.log(format!(
            "agent {agent} says that operation {} is {:?}, which is no outcome",
            update.uuid, update.state
        ));
    }
    note_claims(step, agent, &update);
    let version = update.ledger_version;
    let point = update.ledger_checksum.map(|checksum| LedgerPoint { version, checksum });
    belief.agents.hears(agent, point);
    belief.agents.at_mut(agent).set_claims_generation(update.claims_generation);
    belief.allocator.touch(agent);
    let Some(in_flight) = belief.operations.get(&update.uuid).filter(|it| it.agent == *agent)
    else {
        // Nobody waits for it any more: it was settled before, and the agent may forget it.
        let acknowledgement = Order::AcknowledgeOperation(update.uuid, update.status);
        order(step, &mut belief.agents, agent, acknowledgement);
        return;
    };
    let finished = update.state == OperationState::Finished;
    let status = in_flight.outcome(update.state, update.message.clone(), Some(update.status));
    let framework = in_flight.framework.clone();
    let request = belief.operations.take_request(&update.uuid);
    let is_news = belief.operations.settle(&update.uuid, status.clone());
    if is_news {
        belief.agents.at_mut(agent).settled(&update.uuid);
    }
    if is_news && !finished {
        resync(step, belief, agent); // We believed it done; only the agent knows how things are now.
    }
    if let Some(request) = request {
        let why = update.message.unwrap_or_else(|| "the agent could not do it".to_owned());
        let answer = if finished { Ok(()) } else { Err(Refusal::Conflict(why)) };
        step.out.send(Effect::Answer(request, answer));
    }
    match framework.filter(|id| status.id.is_some() && !step.is_removed(id)) {
        Some(framework) => {
            tell(step, &belief.frameworks, &framework, Event::UpdateOperation(status))
        }
        None => {
            let Belief { agents, operations, .. } = belief;
            settle(step, agents, operations, &update.uuid, update.status);
        }
    }
}

fn note_claims(step: &mut Step, agent: &AgentId, update: &OperationUpdate) {
    let ledger = step.out.ledger();
    let mut changes: Vec<MasterChange> = Vec::new();
    for claim in &update.claims {
        let known = ledger.claims.get(&(agent.clone(), claim.id));
        if known.is_none_or(|it| it.generation <= claim.generation && it != claim) {
            changes.push(MasterChange::Claim(agent.clone(), claim.clone()));
        }
    }
    let (gone, clock) = (update.ended.iter().copied(), (step.config, step.now));
    changes.extend(end_claims(ledger, clock, agent, gone, &update.endings));
    let record = ledger.agents.get(agent).expect("an agent with a link is in the ledger");
    if record.ledger_version < update.ledger_version {
        let told = (update.ledger_version, update.ledger_checksum);
        changes.push(MasterChange::Agent(acknowledging_version(record, told.0, told.1)));
    }
    step.out.commit(changes);
}
