//! L4: once faults have stopped, all heals in bounded time: a master leads, every agent is
//! registered, every framework subscribed, every operation settled, and every member of every
//! service runs on its volume.
//!
//! It relies on the calm having been long enough. It never excuses a cluster that waits for a
//! person.

use holdfast_master::AgentHealth;
use holdfast_model::{ClaimState, PendingOperation};
use holdfast_sdk::{Service, Stage};

use super::known::Known;
use super::{Checked, Rule, Truth};
use crate::drivers::containers::Phase;

/// Rule L4.
pub(crate) struct Liveness;

impl Rule for Liveness {
    fn letters(&self) -> &'static str {
        "L4"
    }

    fn check_healed(&mut self, known: &Known, truth: &Truth<'_>) -> Checked {
        check_masters(known, truth)?;
        (0..truth.machines.len()).try_for_each(|index| check_machine(truth, index))?;
        (0..truth.frameworks.len()).try_for_each(|index| check_framework(known, truth, index))
    }
}

fn check_masters(known: &Known, truth: &Truth<'_>) -> Checked {
    let Some((leader, term)) = truth.leader else {
        return Err("no master leads after the calm".to_owned());
    };
    let Some((_, core)) = truth.masters[leader].core.as_ref().filter(|(theirs, _)| *theirs == term)
    else {
        return Err(format!("master {leader} was elected and does not lead after the calm"));
    };
    let registered = core
        .agents()
        .values()
        .filter(|it| *it.health() == AgentHealth::Well && it.link().is_some())
        .count();
    if registered != truth.machines.len() {
        let ill: Vec<String> =
            core.agents().iter().map(|(id, it)| format!("{id}: {:?}", it.health())).collect();
        return Err(format!(
            "{registered} of {} agents are registered and well after the calm: {}",
            truth.machines.len(),
            ill.join("; ")
        ));
    }
    let ledger = &truth.journal.ledger;
    // A framework that masters learnt of from an agent has the time of a failover to come back; byzantine ones never do.
    let may_wait = ledger.cluster.as_ref().is_some_and(|it| it.lost.is_some());
    let is_awaited = |it: &&PendingOperation| {
        let of = it.framework.as_ref().and_then(|it| known.frameworks.get(it));
        !may_wait || it.framework.is_none() || of.is_some_and(|it| *it < truth.frameworks.len())
    };
    if let Some(pending) = ledger.pending.values().find(is_awaited) {
        return Err(format!(
            "{} operations are pending after the calm, such as {pending:?}",
            ledger.pending.len()
        ));
    }
    Ok(())
}

fn check_machine(truth: &Truth<'_>, index: usize) -> Checked {
    let ledger = truth.machines[index].proven();
    if let Some(operation) = ledger.operations.values().next() {
        return Err(format!(
            "machine {index} has unsettled operations after the calm, such as {operation:?}"
        ));
    }
    if let Some(claim) = ledger.claims.values().find(|it| it.state != ClaimState::Ready) {
        return Err(format!(
            "claim {} of machine {index} is still {:?} after the calm",
            claim.resource, claim.state
        ));
    }
    Ok(())
}

fn check_framework(known: &Known, truth: &Truth<'_>, index: usize) -> Checked {
    let framework = &truth.frameworks[index];
    let name = framework.service.name();
    if !framework.subscribed {
        return Err(format!("framework {name} is not subscribed after the calm"));
    }
    for member in 0..framework.service.members() {
        let fault = |what: &str| {
            Err(format!(
                "member {name}-{member} {what} after the calm: {:?}",
                framework.ledger.members.get(&member)
            ))
        };
        let Some(record) = framework.ledger.members.get(&member) else {
            return fault("does not exist");
        };
        if record.stage != Stage::Placed {
            return fault("is not placed");
        }
        let Some(run) = record.run.as_ref().filter(|it| it.running) else {
            return fault("does not run, as far as its framework knows,");
        };
        let Some(id) = &framework.ledger.framework else {
            return fault("has a framework without an id");
        };
        let machine = record
            .agent
            .as_ref()
            .and_then(|it| known.machines.get(it))
            .map(|it| &truth.machines[*it]);
        let runs = machine.into_iter().flat_map(|it| it.containers.values()).any(|container| {
            let task =
                container.executor.tasks.get(&run.task).filter(|it| it.phase == Phase::Running);
            let names = |it: &holdfast_agent::VolumePlan| {
                record.volume.as_ref().is_some_and(|name| name.as_str() == it.label.persistence)
            };
            container.lives()
                && container.plan.framework == *id
                && task.is_some()
                && container.plan.volumes.iter().any(names)
        });
        if !runs {
            return fault("does not run on its volume");
        }
    }
    Ok(())
}
