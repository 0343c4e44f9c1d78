//! A leadership begins: a new leader expects whom its predecessors knew, and remembers what they had sent.

use std::collections::BTreeSet;

use holdfast_model::{
    Action, AgentId, Cluster, ClusterId, FrameworkRecord, MasterChange, Peer, Presence,
};

use crate::flows::gone::operations_gone;
use crate::parts::operations::InFlight;
use crate::parts::timers::Timer;
use crate::{Belief, Step};

/// This master leads now, and believes nothing yet.
pub(crate) fn elected(step: &mut Step, belief: &mut Belief) {
    if step.out.ledger().cluster.is_none() {
        let cluster = Cluster::new(ClusterId(step.ids.fresh()), step.now);
        step.out.commit(vec![MasterChange::Cluster(cluster)]);
    }
    if step.out.ledger().cluster.as_ref().is_some_and(|it| it.lost.is_some()) {
        // There may have been a leader of this term before, whose offers nobody knows any more.
        belief.offers.begin_at(step.now.0);
    }
    begin_history(step);
    step.forget_suspects();
    if !step.out.ledger().quotas.is_empty() {
        belief.frameworks.keep_held(std::iter::empty()); // Nobody is known to hold anything yet.
    }
    remember_agents(step, belief);
    remember_frameworks(step, belief);
    remember_operations(step, belief);
}

/// All claims that end from now on are remembered, where none were before; those of a cluster that has only just begun are all there are.
fn begin_history(step: &mut Step) {
    if step.out.ledger().ended.since().is_none() {
        step.out.commit(vec![MasterChange::EndedSince(step.now)]);
    }
}

/// A new leader expects the agents that its predecessors admitted.
fn remember_agents(step: &Step, belief: &mut Belief) {
    let known = step.out.ledger().agents.values();
    let expected: Vec<(AgentId, bool)> = known
        .filter(|it| it.presence != Presence::Gone)
        .map(|it| (it.id.clone(), it.presence == Presence::Admitted))
        .collect();
    let due = step.now.plus_ms(step.config.reregister_timeout_ms);
    for (id, is_admitted) in expected {
        belief.agents.expect(&id, step.now, is_admitted);
        belief.allocator.touch(&id);
        belief.timers.set(due, Timer::Agent(id));
    }
}

/// A new leader expects the frameworks that its predecessors knew, and gives each the time it asked for.
fn remember_frameworks(step: &mut Step, belief: &mut Belief) {
    let (now, grace_ms) = (step.now, step.config.failover_grace_ms);
    let mut changes = Vec::new();
    for (id, record) in step.out.ledger().frameworks.iter().filter(|(_, it)| !it.removed) {
        let patience_ms = record.info.failover_timeout_ms.max(grace_ms);
        // One that is kept out for a while cannot come back before.
        let suspect = step.out.ledger().suspects.get(&Peer::Framework(id.clone()));
        let let_in = suspect.and_then(|it| it.fenced_until(now)).unwrap_or(now);
        let deadline = record.deadline.unwrap_or_else(|| now.plus_ms(patience_ms));
        let deadline = deadline.max(let_in.plus_ms(grace_ms));
        belief.frameworks.expect(id, &record.info, now);
        belief.timers.set(deadline, Timer::Framework(id.clone()));
        if record.deadline != Some(deadline) {
            changes.push(MasterChange::Framework(FrameworkRecord {
                deadline: Some(deadline),
                ..record.clone()
            }));
        }
    }
    step.out.commit(changes);
}

/// A new leader remembers which operations its predecessor had sent.
fn remember_operations(step: &mut Step, belief: &mut Belief) {
    for pending in step.out.ledger().pending.values() {
        // Only operations on claims are ever noted as pending.
        let Action::Claim(action) = &pending.operation.action else { continue };
        let in_flight = InFlight {
            framework: pending.framework.clone(),
            id: pending.operation.id.clone(),
            agent: pending.agent.clone(),
            action: action.clone(),
            request: None,
            settled: None,
        };
        belief.operations.put(pending.uuid, in_flight);
    }
    let pending = step.out.ledger().pending.values();
    let gone: BTreeSet<AgentId> =
        pending.map(|it| it.agent.clone()).filter(|it| is_gone(step, it)).collect();
    gone.iter().for_each(|it| operations_gone(step, belief, it));
}

fn is_gone(step: &Step, agent: &AgentId) -> bool {
    step.out.ledger().agents.get(agent).is_some_and(|it| it.presence == Presence::Gone)
}
