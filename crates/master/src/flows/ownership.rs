//! Whose claims an operation may take from: equal reservations are one amount to frameworks, and stay the claims of those who made them.
//!
//! The law is the model's, and the agent applies it again, with what is said here about who is there. Relies on the ledger for that.
//! Never refuses while something of the same kind is under way at the agent, which alone knows what that comes to.

use std::collections::BTreeSet;

use holdfast_model::claim::{can_be_refused, taken};
use holdfast_model::{
    AgentId, ClaimAction, Conversion, FrameworkId, Identity, MasterLedger, Ownership, Taken,
};

use crate::Config;

/// What an agent is told with an action that some framework or operator asks for.
pub(crate) fn ownership(
    config: &Config,
    ledger: &MasterLedger,
    agent: &AgentId,
    action: &ClaimAction,
) -> Ownership {
    let mut makers: BTreeSet<&FrameworkId> = BTreeSet::new();
    for step in action.steps().iter().filter(|it| takes_claimed(it)) {
        for (identity, _) in step.conversion().consumed.entries() {
            for claim in ledger.claims_with(agent, identity) {
                makers.extend(&claim.framework);
                // They get back what an earlier step gives back.
                makers.extend(claim.shares.iter().filter_map(|it| it.framework.as_ref()));
            }
        }
    }
    let removed = makers.into_iter().filter(|it| !is_there(ledger, it)).cloned().collect();
    Ownership { anybody: config.mesos_ownership, removed, claim: None }
}

/// Whether it may take what a claim holds; most RESERVE take what nobody has reserved.
fn takes_claimed(action: &ClaimAction) -> bool {
    match action {
        ClaimAction::Reserve { resources, source } => {
            !source.is_empty() || resources.iter().any(|it| 1 < it.identity.reservations.len())
        }
        _ => true,
    }
}

fn is_there(ledger: &MasterLedger, framework: &FrameworkId) -> bool {
    ledger.frameworks.get(framework).is_some_and(|it| !it.removed)
}

/// Refuses what would take away what another framework holds, as far as is known; see [`claims_taken`].
///
/// # Errors
/// As for [`claims_taken`].
pub(crate) fn check_taken<'a>(
    ledger: &MasterLedger,
    agent: &AgentId,
    (action, asker): (&ClaimAction, Option<&FrameworkId>),
    ownership: &Ownership,
    under_way: impl Iterator<Item = &'a ClaimAction>,
) -> Result<(), (usize, String)> {
    match can_be_refused(action, asker, ownership) {
        true => claims_taken(ledger, agent, (action, asker), ownership, under_way).map(drop),
        false => Ok(()), // Most are: it is not worked out what they take.
    }
}

/// Of which claims an action (without allocations) would take how much, as far as is known. Of what others are changing now, nothing is.
///
/// # Errors
/// In words, when another framework holds what it would take away, with the index of the step that would.
pub(crate) fn claims_taken<'a>(
    ledger: &MasterLedger,
    agent: &AgentId,
    (action, asker): (&ClaimAction, Option<&FrameworkId>),
    ownership: &Ownership,
    mut under_way: impl Iterator<Item = &'a ClaimAction>,
) -> Result<Vec<Taken>, (usize, String)> {
    let claims_with = |identity: &Identity| ledger.claims_with(agent, identity).cloned().collect();
    match taken(action, asker, ownership, &claims_with) {
        Ok(taken) => Ok(taken),
        Err(_) if under_way.any(|other| meet(action, other)) => Ok(Vec::new()),
        Err((index, refusal)) => {
            let why = refusal.why(&action.steps()[index], &|id| holder(ledger, id));
            Err((index, why))
        }
    }
}

/// Whether one action takes what the other one gives or takes.
fn meet(action: &ClaimAction, other: &ClaimAction) -> bool {
    let others: Vec<Conversion> = other.steps().iter().map(ClaimAction::conversion).collect();
    let touches = |it: &Identity| {
        others
            .iter()
            .any(|other| other.consumed.get(it).is_some() || other.converted.get(it).is_some())
    };
    let taken =
        |step: &ClaimAction| step.conversion().consumed.entries().any(|(it, _)| touches(it));
    action.steps().iter().any(taken)
}

/// A framework as people know it.
fn holder(ledger: &MasterLedger, id: &FrameworkId) -> String {
    match ledger.frameworks.get(id) {
        Some(record) => format!("`{}` ({id})", record.info.name),
        None => id.to_string(),
    }
}
