//! V4: what was acknowledged survives: every reservation and volume that somebody was told of is in
//! its agent's durable ledger.
//!
//! It relies on floors: what was acknowledged less what was asked away since. It never asks the
//! masters what they remember.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{AgentChange, ClaimState, Identity, Instant};

use super::known::Known;
use super::{Checked, Rule, Truth};
use crate::fact::Fact;

/// Rule V4.
#[derive(Default)]
pub(crate) struct Acknowledged {
    dirty: BTreeSet<usize>,
}

impl Rule for Acknowledged {
    fn letters(&self) -> &'static str {
        "V4"
    }

    fn see(&mut self, _now: Instant, known: &Known, fact: &Fact<'_>) -> Checked {
        let is_claim =
            |it: &AgentChange| matches!(it, AgentChange::Claim(_) | AgentChange::ClaimGone(_));
        match fact {
            Fact::AgentCommits { machine, changes } if changes.iter().any(is_claim) => {
                self.dirty.insert(*machine);
            }
            Fact::AgentStarts { machine, .. } => drop(self.dirty.insert(*machine)),
            Fact::FrameworkHears { .. } | Fact::OperatorHears { .. } => {
                self.dirty
                    .extend(known.floors_changed.iter().filter_map(|it| known.machines.get(it)));
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&mut self, known: &Known, truth: &Truth<'_>) -> Checked {
        std::mem::take(&mut self.dirty)
            .into_iter()
            .try_for_each(|index| check_machine(known, truth, index))
    }

    fn check_healed(&mut self, known: &Known, truth: &Truth<'_>) -> Checked {
        (0..truth.machines.len()).try_for_each(|index| check_machine(known, truth, index))
    }
}

fn check_machine(known: &Known, truth: &Truth<'_>, index: usize) -> Checked {
    let ledger = truth.machines[index].proven();
    let Some(floors) = ledger.identity.agent.as_ref().and_then(|it| known.floors.get(it)) else {
        return Ok(());
    };
    let mut held: BTreeMap<&Identity, i128> = BTreeMap::new();
    for claim in ledger.claims.values().filter(|it| it.state == ClaimState::Ready) {
        *held.entry(&claim.resource.identity).or_default() +=
            i128::from(claim.resource.value.quantity().as_thousandths());
    }
    for (identity, floor) in floors {
        let have = held.get(identity).copied().unwrap_or(0);
        if have < *floor {
            return Err(format!(
                "machine {index} was acknowledged to hold {} of {identity}, and its ledger holds {}",
                *floor as f64 / 1000.0,
                have as f64 / 1000.0
            ));
        }
    }
    Ok(())
}
