//! R4: nothing grows: after the calm, every collection of every core is back at what the living
//! cluster needs.
//!
//! It relies on the shape of the cluster for how much that is. It never lets what has ended be kept
//! for ever.

use super::known::Known;
use super::{Checked, Rule, Truth};

/// Rule R4.
pub(crate) struct Growth;

impl Rule for Growth {
    fn letters(&self) -> &'static str {
        "R4"
    }

    fn check_healed(&mut self, known: &Known, truth: &Truth<'_>) -> Checked {
        let at_most = |what: String, count: usize, most: usize| match count <= most {
            true => Ok(()),
            false => Err(format!("{what}: {count} after the calm, and {most} would do")),
        };
        let members: usize = truth
            .frameworks
            .iter()
            .map(|it| it.ledger.members.len() + it.ledger.service.members.len())
            .sum();
        let (mut tasks, mut executors, mut containers, mut faults) = (0, 0, 0, 0);
        for machine in truth.machines {
            tasks += machine.proven().tasks.len();
            executors += machine.proven().executors.len();
            containers += machine.containers.len();
            faults += machine.core.as_ref().map_or(0, |it| it.faults().len());
            at_most(
                format!("frameworks on {}", machine.host),
                machine.proven().frameworks.len(),
                truth.frameworks.len(),
            )?;
            at_most(format!("history of claims on {}", machine.host), history(machine), 16)?;
        }
        at_most("tasks that agents remember".to_owned(), tasks, members)?;
        at_most("executors that agents remember".to_owned(), executors, members)?;
        at_most("containers".to_owned(), containers, members)?;
        at_most("claims that cannot be used".to_owned(), faults, 0)?;
        let Some((_, core)) =
            truth.leader.and_then(|(leader, _)| truth.masters[leader].core.as_ref())
        else {
            return Ok(());
        };
        at_most("tasks that the leader remembers".to_owned(), core.tasks().len(), members)?;
        at_most("operations that the leader remembers".to_owned(), core.operations().len(), 0)?;
        let pairs = truth.machines.len() * truth.frameworks.len();
        at_most("offers that stand".to_owned(), core.offers().len(), pairs)?;
        at_most("refusals that hold".to_owned(), core.filters_len(), 4 * pairs)?;
        at_most(
            "claims in the journal".to_owned(),
            truth
                .journal
                .ledger
                .claims
                .keys()
                .filter(|(agent, _)| known.machines.contains_key(agent))
                .count(),
            truth.machines.iter().map(|it| it.proven().claims.len()).sum(),
        )
    }
}

fn history(machine: &crate::machines::Machine) -> usize {
    machine.proven().claims.values().map(|it| it.history.len()).max().unwrap_or(0)
}
