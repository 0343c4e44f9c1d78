//! What operations may do to the agent's claims: planned on what is there now, without changing anything.
//!
//! Relies on `holdfast_model::claim` and `holdfast_model::operation`, which are the law. Never gives a
//! volume's space back before its bytes are in the trash.

use holdfast_model::{
    AgentLedger, Asker, ClaimAction, ClaimState, Identity, OperationState, OperationUuid, Resource,
    Resources,
};

use super::faults::disk_fault;
use super::holds::{holds, Hold};
use super::records::{claim_action, disk_of, find_volume};
use super::Record;
use crate::parts::{Containers, Disks, Waiting};

/// Whether an operation can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Now.
    Do,
    /// Once something that is under way has ended.
    Wait,
    /// Not at all.
    Refuse(OperationState, String),
}

/// Whether `action` (without allocations) can be done; `uuid` is its own name, if it waits already.
pub(crate) fn plan(
    record: &Record,
    disks: &Disks,
    containers: &Containers,
    waiting: &Waiting,
    action: &ClaimAction,
    uuid: OperationUuid,
) -> Plan {
    if let Err(invalid) = action.check(Asker::Operator { principal: None }) {
        return Plan::Refuse(OperationState::Error, invalid.to_string());
    }
    if disks.machine().is_none() {
        return Plan::Refuse(
            OperationState::Failed,
            "the agent has not opened its disks yet; try again".to_owned(),
        );
    }
    let gives = matches!(action, ClaimAction::Unreserve(_) | ClaimAction::Destroy(_));
    if let Some(why) = disks.full().filter(|_| !gives) {
        return Plan::Refuse(OperationState::Failed, why.clone());
    }
    if let Some(why) = disks_forbid(record, disks, action) {
        return Plan::Refuse(OperationState::Failed, why);
    }
    match action.check_on(record.totals().total()) {
        Ok(_) => match action {
            ClaimAction::Destroy(volumes) => plan_destroy(record.ledger(), containers, volumes),
            _ => Plan::Do,
        },
        Err(_) if action.check_on(&future_total(record, waiting, Some(uuid))).is_ok() => Plan::Wait,
        Err(invalid) => Plan::Refuse(OperationState::Failed, invalid.to_string()),
    }
}

/// Ill disks get no new claims and lose none; names are unique also among claims that cannot be used now.
fn disks_forbid(record: &Record, disks: &Disks, action: &ClaimAction) -> Option<String> {
    let ledger = record.ledger();
    for resource in action.resources() {
        let disk = disk_of(ledger, &resource.identity);
        let fault = disk.and_then(|it| disk_fault(record, disks, it));
        match action {
            ClaimAction::Unreserve(_) => continue,
            ClaimAction::Create(_) if disk.is_none() => {
                return Some(format!(
                    "{resource}: there is no such disk on this agent; see its disks"
                ));
            }
            ClaimAction::Create(_) if is_name_taken(ledger, &resource.identity) => {
                return Some(format!("{resource}: the role already has a volume of this name on this agent; choose another id"));
            }
            ClaimAction::Reserve { .. } | ClaimAction::Create(_) | ClaimAction::Destroy(_) => {}
        }
        if let Some(fault) = fault {
            return Some(format!("{resource}: its disk cannot be used: {fault}"));
        }
    }
    None
}

fn is_name_taken(ledger: &AgentLedger, identity: &Identity) -> bool {
    let Some(id) = identity.persistence.clone() else { return false };
    ledger.volumes_named(identity.role(), id).any(|it| it.state != ClaimState::Destroying)
}

fn plan_destroy(ledger: &AgentLedger, containers: &Containers, volumes: &[Resource]) -> Plan {
    let mut plan = Plan::Do;
    for volume in volumes {
        let Some(claim) = find_volume(ledger, &volume.identity) else {
            return Plan::Refuse(
                OperationState::Failed,
                format!("there is no volume {volume} on this agent; see its claims"),
            );
        };
        if claim.state == ClaimState::Making {
            plan = Plan::Wait;
        }
        for hold in holds(ledger, containers, claim, None) {
            match hold {
                Hold::Live(by) => {
                    return Plan::Refuse(
                        OperationState::Failed,
                        format!("{volume} is in use by {by}; end it first"),
                    )
                }
                Hold::Ending => plan = Plan::Wait,
            }
        }
    }
    plan
}

/// What the total will be when all that is under way has ended well.
pub(crate) fn future_total(
    record: &Record,
    waiting: &Waiting,
    except: Option<OperationUuid>,
) -> Resources {
    let ledger = record.ledger();
    let mut future = record.totals().total().clone();
    for claim in ledger.claims.values().filter(|it| it.state == ClaimState::Destroying) {
        future.add(&claim.resource.without_volume());
    }
    let others = waiting.operations().filter(|it| Some(*it) != except);
    let mut others: Vec<&ClaimAction> = others.filter_map(|it| claim_action(ledger, it)).collect();
    loop {
        let before = others.len();
        others.retain(|action| action.apply(&mut future).is_err());
        if others.len() == before {
            return future;
        }
    }
}
