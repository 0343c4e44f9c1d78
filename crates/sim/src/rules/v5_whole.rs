//! V5: an operation is done as a whole or not at all, and what is claimed of a machine never exceeds what it has.
//!
//! Relies on commits as agents write them: an outcome and the claims it speaks of are one commit. Never trusts an agent's own sums.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{Action, AgentChange, ClaimAction, Instant, OperationState, SourceKind};

use super::known::Known;
use super::{Rule, Truth, Verdict};
use crate::fact::Fact;

/// See the module.
#[derive(Default)]
pub(crate) struct Whole {
    dirty: BTreeSet<usize>,
}

impl Rule for Whole {
    fn letters(&self) -> &'static str {
        "V5"
    }

    fn see(&mut self, _now: Instant, _known: &Known, fact: &Fact<'_>) -> Verdict {
        let Fact::AgentCommits { machine, changes } = fact else { return Ok(()) };
        let claims = changes.iter().any(|it| matches!(it, AgentChange::Claim(_) | AgentChange::ClaimGone(_)));
        if claims {
            self.dirty.insert(*machine);
        }
        for change in *changes {
            let AgentChange::Operation(record) = change else { continue };
            let Action::Claim(action) = &record.operation.action else { continue };
            let at_once = matches!(action, ClaimAction::Reserve { .. } | ClaimAction::Unreserve(_));
            if at_once && record.state == OperationState::Finished && !claims {
                return Err(format!("machine {machine} wrote down that {} {} is done, without its claims", action.name(), record.uuid));
            }
        }
        Ok(())
    }

    fn check(&mut self, _known: &Known, truth: &Truth<'_>) -> Verdict {
        std::mem::take(&mut self.dirty).into_iter().try_for_each(|index| check_machine(truth, index))
    }
}

/// What a machine has, in thousandths, by name and disk.
pub(crate) fn capacity(machine: &crate::machines::Machine) -> BTreeMap<(String, Option<String>), i64> {
    let mut all =
        BTreeMap::from([(("cpus".to_owned(), None), machine.cpus_thousandths), (("mem".to_owned(), None), machine.mem_mb * 1_000)]);
    for disk in &machine.disks {
        let root = (disk.kind != holdfast_model::DiskKind::Root).then(|| disk.root.clone());
        all.insert(("disk".to_owned(), root), disk.size_mb as i64 * 1_000);
    }
    all
}

fn check_machine(truth: &Truth<'_>, index: usize) -> Verdict {
    let machine = &truth.machines[index];
    let (mut left, mut whole) = (capacity(machine), BTreeSet::new());
    for claim in machine.proven().claims.values() {
        let identity = &claim.resource.identity;
        let root = identity.source.as_ref().and_then(|it| it.root.clone());
        if identity.source.as_ref().is_some_and(|it| it.kind == SourceKind::Mount) && !whole.insert(root.clone()) {
            return Err(format!("machine {index} has two claims on the one disk {}", root.unwrap_or_default()));
        }
        let amount = left.entry((identity.name.clone(), root)).or_default();
        *amount -= claim.resource.value.quantity().as_thousandths();
        if *amount < 0 {
            return Err(format!("machine {index} has claims for more {} than it has; the last is {}", identity.name, claim.resource));
        }
    }
    Ok(())
}
