//! An agent is gone for ever: an operator has said so, and that is written down before anybody hears of it.
//!
//! What was claimed of it ends in the same commit, as if each claim had been given up: whoever had a volume there may make another one
//! elsewhere. What runs there is ended if the agent is connected, or as soon as it is again; nothing on its disks is touched, by anybody.
//! Relies on the ledger, which never takes a death certificate back. Afterwards nothing in the belief names the agent but operations
//! whose frameworks have yet to hear of their end.

use holdfast_model::{
    AgentId, AgentRecord, Claim, ClaimState, DeathCertificate, Event, LinkId, MasterChange,
    MasterLedger, MoveState, OperationState, OperationUuid, Order, Presence, Reason, StatusSource,
    TaskKey, TaskState, TaskStatus, ToAgent,
};

use super::bookkeeping::forget_holdings;
use super::ended::end_claims;
use super::inverse_offers::rescind_inverse_of;
use super::offers::rescind_all_of;
use super::tasks::{end_for_agent, keys_of_agent};
use super::telling::tell;
use crate::parts::operations::dropped_status;
use crate::{Belief, Effect, Refusal, Step};

/// Why an agent that is gone is not taken in.
pub(crate) fn why_gone(ledger: &MasterLedger, id: &AgentId) -> String {
    let because = match ledger.deaths.get(id).map(|it| (&it.by, &it.reason)) {
        Some((by, Some(reason))) => format!(" by {by}: {reason}"),
        Some((by, None)) => format!(" by {by}"),
        None => String::new(),
    };
    format!(
        "agent {id} was marked gone{because}; it is never taken in again, what ran here is ended, and nothing on its disks is touched: to use this machine and the volumes on it again, start an agent here in an empty --dir, have it take the disks over (`holdfast disk adopt DISK --agent NEW --from-gone {id} --path PATH`), and `holdfast volume adopt --orphan` each volume that is wanted"
    )
}

/// Writes the certificate, and ends what was there.
pub(crate) fn agent_gone(
    step: &mut Step,
    belief: &mut Belief,
    id: &AgentId,
    (by, reason): (String, Option<String>),
) {
    let (agent, at) = (id.clone(), step.now);
    write(step, id, DeathCertificate { agent, at, by: by.clone(), reason });
    let why = why_gone(step.out.ledger(), id);
    let was_told = !belief.agents.at(id).is_admitted();
    step.out.log(format!("agent {id} was marked gone by {by}"));
    rescind_all_of(step, belief, id);
    rescind_inverse_of(step, belief, id);
    belief.offers.inverse.forget_answers(id);
    forget_holdings(belief, id);
    for key in keys_of_agent(&belief.tasks, id) {
        task_gone(step, belief, id, &key);
    }
    belief.tasks.take_kills(id); // They are ended with all else.
    operations_gone(step, belief, id);
    if !was_told {
        for framework in belief.frameworks.states().keys() {
            let event = Event::Failure { agent: Some(id.clone()), executor: None, status: None };
            tell(step, &belief.frameworks, framework, event);
        }
    }
    if let Some(link) = belief.agents.at(id).link() {
        step.links.close_agent(link);
        send_away(step, link, id, &why);
    }
    belief.agents.forget(id);
    belief.allocator.forget_declined_of(id);
    belief.allocator.touch(id);
}

/// Tells an agent to end all that runs there, and hangs up. An older one knows only the refusal.
pub(crate) fn send_away(step: &mut Step, link: LinkId, id: &AgentId, why: &str) {
    let cluster = step.out.ledger().cluster.as_ref();
    let cluster = cluster.expect("a leader's ledger has its cluster").id;
    let end = Order::ShutDown { agent: id.clone(), cluster, reason: why.to_owned() };
    let term = step.out.term_led();
    for order in [end, Order::Refused(why.to_owned())] {
        step.out.send(Effect::ToAgent(link, ToAgent { term, order }));
    }
    step.out.send(Effect::CloseAgent(link));
}

/// The certificate, the ends of its claims, and of what was under way with it, in one commit.
fn write(step: &mut Step, id: &AgentId, death: DeathCertificate) {
    let (ledger, by) = (step.out.ledger(), death.by.clone());
    let given_up = |claim: &Claim| match claim.state {
        // It never came to be, or was destroyed before.
        ClaimState::Making => None,
        ClaimState::Destroying => Some(claim.clone()),
        ClaimState::Ready => Some(claim.ended(step.now, "given up", &by)),
    };
    let endings: Vec<Claim> = ledger.claims_of(id).filter_map(given_up).collect();
    let claims = ledger.claims_of(id).map(|it| it.id);
    let mut changes = end_claims(ledger, (step.config, step.now), id, claims, &endings);
    let its = ledger.moves.values().filter(|it| it.from == *id);
    changes.extend(its.map(|it| MasterChange::MoveEnded(it.disk, it.from.clone())));
    if ledger.deactivations.contains_key(id) {
        changes.push(MasterChange::Reactivated(id.clone()));
    }
    if ledger.recoveries.contains_key(id) {
        changes.push(MasterChange::RecoveryEnded(id.clone()));
    }
    let record = ledger.agents[id].clone();
    let (presence, since) = (Presence::Gone, step.now);
    let gone = AgentRecord { presence, since, ..record };
    changes.extend([MasterChange::Agent(gone), MasterChange::Death(death)]);
    step.out.commit(changes);
}

fn task_gone(step: &mut Step, belief: &mut Belief, id: &AgentId, key: &TaskKey) {
    let why = "an operator has said that its agent will not come back; what it had claimed there is given up";
    let status = TaskStatus::new(key.1.clone(), TaskState::GoneByOperator, step.now)
        .at_agent(id)
        .because(StatusSource::Master, Reason::AgentRemovedByOperator, why);
    end_for_agent(step, belief, key, status);
}

/// What the agent has not settled it never will. Frameworks are told until they acknowledge it.
pub(crate) fn operations_gone(step: &mut Step, belief: &mut Belief, id: &AgentId) {
    let Belief { operations, frameworks, .. } = belief;
    let waiting = operations.take_requests_of(id).into_iter();
    let waiting: Vec<_> = waiting.chain(operations.take_recoveries(id)).collect();
    for request in waiting {
        let why = format!("agent {id} was marked gone meanwhile; it is not known whether it was done before: see `holdfast claim list --ended`");
        step.out.send(Effect::Answer(request, Err(Refusal::Conflict(why))));
    }
    let all: Vec<OperationUuid> = operations.of_agent(id).map(|(uuid, _)| *uuid).collect();
    for uuid in all {
        let it = operations.at(&uuid);
        let framework = it.framework.clone().filter(|_| it.id.is_some());
        match framework.filter(|it| !step.is_removed(it)) {
            Some(_) if it.settled.is_some() => {} // Its framework has yet to acknowledge how it ended.
            Some(framework) => {
                let why = Some("an operator has said that its agent will not come back".to_owned());
                let state = OperationState::GoneByOperator;
                let status = it.outcome(state, why, Some(dropped_status(&uuid)));
                operations.settle(&uuid, status.clone());
                tell(step, frameworks, &framework, Event::UpdateOperation(status));
            }
            None => {
                operations.forget(&uuid);
                step.out.commit(vec![MasterChange::Settled(uuid)]);
            }
        }
    }
}

/// Disks that were on their way to the agent stay where they were.
pub(crate) fn moves_to(step: &Step, id: &AgentId) -> Vec<holdfast_model::DiskMove> {
    let is_open = |it: &&holdfast_model::DiskMove| {
        matches!(it.state, MoveState::Fencing | MoveState::Taking | MoveState::Cancelling)
    };
    let moves = step.out.ledger().moves.values();
    moves.filter(|it| it.to == *id).filter(is_open).cloned().collect()
}
