//! What a leader learns from agents because its own ledger lacks it: frameworks, after the masters' ledger was lost or restored from an old
//! copy; operations, whose order went out just before the last leader died.
//!
//! Relies on agents keeping both until they are told to forget. Never forgets an outcome that nobody has heard yet.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    Action, AgentId, ClaimAction, FrameworkInfo, FrameworkRecord, MasterChange, OperationRecord,
    OperationUuid, Order, PendingOperation, Resource, Resources,
};

use super::passed_over::why_passed_over;
use super::subscribe::FRAMEWORKS_MAX;
use crate::flows::bookkeeping::recount;
use crate::flows::operations::drop_operation;
use crate::flows::telling::order;
use crate::parts::agents::{AgentState, ReservedByOperation};
use crate::parts::operations::{InFlight, Operations};
use crate::parts::outbox::Outbox;
use crate::parts::timers::Timer;
use crate::{Belief, Step};

/// Frameworks that an agent knows and the ledger does not are expected like those that it does.
pub(crate) fn learn_frameworks(step: &mut Step, belief: &mut Belief, infos: &[FrameworkInfo]) {
    for info in infos {
        let ledger = step.out.ledger();
        // An agent may know a framework by description only; without an id it is nobody's.
        let Some(id) = info.id.clone().filter(|id| !ledger.frameworks.contains_key(id)) else {
            continue;
        };
        if FRAMEWORKS_MAX <= belief.frameworks.len() {
            step.out.log(format!("there are {FRAMEWORKS_MAX} frameworks; {id}, which an agent names, is not taken in"));
            continue;
        }
        let patience_ms = info.failover_timeout_ms.max(step.config.failover_grace_ms);
        let deadline = step.now.plus_ms(patience_ms);
        let record = FrameworkRecord {
            info: info.clone(),
            removed: false,
            deadline: Some(deadline),
            registered: step.now,
        };
        step.out.log(format!("framework {id} is known only from an agent; it may come back"));
        belief.frameworks.expect(&id, info, step.now);
        step.out.commit(vec![MasterChange::Framework(record)]);
        recount(belief, &id); // Other agents may have told of what it holds before.
        belief.allocator.known(&id);
        belief.timers.set(deadline, Timer::Framework(id));
    }
}

/// Compares an agent's operations with ours: those that it never heard of did not happen; those that only it knows are learnt.
pub(crate) fn adopt_operations(
    step: &mut Step,
    belief: &mut Belief,
    id: &AgentId,
    records: Vec<OperationRecord>,
) {
    missing_operations(step, belief, id, &records);
    let Belief { agents, operations, .. } = belief;
    let mut reserved = BTreeMap::new();
    for record in records {
        let acknowledged = agents.was_acknowledged(id, &record.uuid);
        if let (true, Some(status)) = (acknowledged, record.status) {
            // It may not have heard it the first time.
            order(step, agents, id, Order::AcknowledgeOperation(record.uuid, status));
            continue;
        }
        // Only operations on claims outlive the step in which an agent does them.
        let Action::Claim(action) = &record.operation.action else { continue };
        let (uuid, action) = (record.uuid, action.clone());
        let waits = record.claims.is_empty() || !record.making.is_empty();
        let what = on_its_way(agents.at(id), &action, waits);
        learn_operation(step.out, operations, id, record, action);
        if operations.is_under_way(&uuid, id) {
            let until = BTreeSet::from([uuid]);
            reserved.insert(uuid, ReservedByOperation { until, what });
        }
    }
    agents.at_mut(id).set_reserved(reserved);
}

/// Operations that the agent never heard of did not happen.
fn missing_operations(
    step: &mut Step,
    belief: &mut Belief,
    id: &AgentId,
    known: &[OperationRecord],
) {
    let known: BTreeSet<OperationUuid> = known.iter().map(|it| it.uuid).collect();
    let theirs = belief.operations.of_agent(id);
    let missing = theirs.filter(|(uuid, it)| it.settled.is_none() && !known.contains(uuid));
    let missing: Vec<OperationUuid> = missing.map(|(uuid, _)| *uuid).collect();
    // It has seen all that was sent on its link, so there it can only have passed it over.
    let why = match belief.agents.has_passed_over(id) {
        true => why_passed_over(id),
        false => "the order was lost on its way to the agent; nothing was changed".to_owned(),
    };
    for uuid in missing {
        drop_operation(step, belief, &uuid, &why);
    }
}

/// What a pending operation keeps from others: what it will take, while it waits for something; else the volumes that it makes.
fn on_its_way(state: &AgentState, action: &ClaimAction, waits: bool) -> Resources {
    let conversion = action.conversion();
    let concerned = match action {
        _ if waits => conversion.consumed,
        ClaimAction::Destroy(_) => return Resources::new(), // What it gives is not in the total yet.
        _ => conversion.converted,
    };
    let total = state.total();
    let part = |wanted: Resource| match total.get(&wanted.identity) {
        Some(amount) if total.contains_one(&wanted) || wanted.identity.is_exclusive() => {
            (amount.value == wanted.value || !wanted.identity.is_exclusive()).then_some(wanted)
        }
        Some(amount) => Some(Resource { value: amount.value.clone(), ..wanted }),
        None => None,
    };
    concerned.iter().filter_map(part).collect()
}

fn learn_operation(
    out: &mut Outbox,
    operations: &mut Operations,
    id: &AgentId,
    record: OperationRecord,
    action: ClaimAction,
) {
    let OperationRecord { uuid, framework, operation, state, message, status, .. } = record;
    match operations.get(&uuid) {
        Some(known) if known.agent != *id => {
            return out
                .log(format!("agent {id} reports operation {uuid}, which is another agent's"));
        }
        Some(known) => {
            if known.was_dropped(&uuid) {
                operations.unsettle(&uuid); // The agent knows of it after all, and better than we do.
            }
        }
        None => {
            let in_flight = InFlight {
                framework: framework.clone(),
                id: operation.id.clone(),
                agent: id.clone(),
                action,
                request: None,
                settled: None,
            };
            operations.learn(uuid, in_flight);
            let pending = PendingOperation { uuid, framework, agent: id.clone(), operation };
            out.commit(vec![MasterChange::Pending(pending)]);
        }
    }
    let in_flight = operations.at(&uuid);
    if state.is_terminal() && in_flight.settled.is_none() {
        // Told when the agent tells it, which it does once it is welcome.
        let status = in_flight.outcome(state, message, status);
        operations.settle(&uuid, status);
    }
}
