//! V5: an operation is done as a whole or not at all, has one outcome, and that becomes known to
//! whoever asks; and what is claimed of a machine never exceeds what it has.
//!
//! It relies on commits as agents write them: an outcome and the claims it speaks of are one
//! commit. It never trusts an agent's own sums, and never takes a volume that is usable for one
//! that was not made.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    Action, AgentChange, AgentId, Call, ClaimAction, ClaimId, ClaimState, Event, Instant,
    OperationRecord, OperationState, OperationUuid, SourceKind,
};

use super::known::{names, Known};
use super::{Checked, Rule, Truth};
use crate::fact::Fact;

/// A framework's name for an operation.
type Name = (usize, String);

/// Rule V5.
#[derive(Default)]
pub(crate) struct Whole {
    dirty: BTreeSet<usize>,
    /// Operations of several steps that were begun, as their agents wrote them down.
    begun: BTreeMap<(usize, OperationUuid), OperationRecord>,
    /// The one outcome that a framework learnt.
    outcomes: BTreeMap<Name, OperationState>,
    /// Operations that a framework asked about.
    asked: BTreeSet<Name>,
    /// Those of which it was told that nobody knows them: they never arrived, and that is an
    /// outcome.
    unknown: BTreeSet<Name>,
}

impl Rule for Whole {
    fn letters(&self) -> &'static str {
        "V5"
    }

    fn see(&mut self, _now: Instant, known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::AgentCommits { machine, changes } => {
                return self.committed(known, *machine, changes)
            }
            Fact::FrameworkCalls { framework, call } => match &call.call {
                Call::ReconcileOperations(operations) => {
                    let open = operations
                        .iter()
                        .map(|(id, _)| (*framework, id.clone()))
                        .filter(|it| known.open.contains_key(it));
                    self.asked.extend(open);
                }
                Call::Accept { operations, .. } => {
                    // A name that is used again is a new operation's.
                    let names: Vec<Name> = operations
                        .iter()
                        .filter_map(|it| Some((*framework, it.id.clone()?)))
                        .collect();
                    self.outcomes.retain(|name, _| !names.contains(name));
                }
                _ => {}
            },
            Fact::FrameworkHears { framework, event: Event::UpdateOperation(status), .. } => {
                let Some(id) = status.id.clone() else { return Ok(()) };
                return self.heard((*framework, id), status.state);
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&mut self, _known: &Known, truth: &Truth<'_>) -> Checked {
        std::mem::take(&mut self.dirty)
            .into_iter()
            .try_for_each(|index| check_machine(truth, index))
    }

    /// Whoever asked how an operation is has been told by now.
    fn check_healed(&mut self, known: &Known, truth: &Truth<'_>) -> Checked {
        let ours = |it: &&Name| {
            it.0 < truth.frameworks.len()
                && known.open.contains_key(*it)
                && !self.unknown.contains(*it)
        };
        let unanswered = self.asked.iter().find(ours);
        unanswered.map_or(Ok(()), |(framework, id)| {
            Err(format!(
                "framework {framework} asks what became of operation {id}, and nobody says"
            ))
        })
    }
}

impl Whole {
    fn committed(&mut self, known: &Known, machine: usize, changes: &[AgentChange]) -> Checked {
        let claims = changes
            .iter()
            .any(|it| matches!(it, AgentChange::Claim(_) | AgentChange::ClaimGone(_)));
        if claims {
            self.dirty.insert(machine);
        }
        for change in changes {
            match change {
                AgentChange::Operation(record) => {
                    let Action::Claim(action) = &record.operation.action else { continue };
                    let at_once =
                        !matches!(action, ClaimAction::Create(_) | ClaimAction::Destroy(_));
                    if at_once && record.state == OperationState::Finished && !claims {
                        return Err(format!(
                            "machine {machine} wrote down that {} {} is done, without its claims",
                            action.name(),
                            record.uuid
                        ));
                    }
                    check_volumes(known, machine, record)?;
                    if record.state == OperationState::Pending {
                        self.begun.insert((machine, record.uuid), record.clone());
                    } else {
                        self.begun.remove(&(machine, record.uuid));
                    }
                }
                AgentChange::OperationGone(uuid) => drop(self.begun.remove(&(machine, *uuid))),
                AgentChange::Claim(claim) if claim.state == ClaimState::Ready => {
                    check_not_refuted(known, machine, claim)?
                }
                _ => {}
            }
        }
        if claims {
            self.begun
                .iter()
                .filter(|((at, _), _)| *at == machine)
                .try_for_each(|(_, record)| check_volumes(known, machine, record))?;
        }
        Ok(())
    }

    /// Checks that an operation has one outcome, whoever reports it and how often.
    fn heard(&mut self, name: Name, state: OperationState) -> Checked {
        if state == OperationState::Unknown {
            self.unknown.insert(name);
            return Ok(());
        }
        if !state.is_terminal() || state == OperationState::GoneByOperator {
            return Ok(());
        }
        match self.outcomes.insert(name.clone(), state) {
            Some(other) if other != state => {
                Err(format!("framework {} is told that operation {} is {state:?}, and it was told {other:?} before", name.0, name.1))
            }
            _ => Ok(()),
        }
    }
}

/// The states of the volumes that an operation speaks of; `None` for one that is not there.
fn states(known: &Known, machine: usize, record: &OperationRecord) -> Vec<Option<ClaimState>> {
    let Action::Claim(ClaimAction::Create(volumes) | ClaimAction::Destroy(volumes)) =
        &record.operation.action
    else {
        return Vec::new();
    };
    let theirs = |id: &ClaimId| known.claims.get(&(machine, *id));
    let state = |volume: &holdfast_model::Resource| {
        let same = record
            .claims
            .iter()
            .filter_map(theirs)
            .find(|it| it.resource.identity == volume.identity);
        same.map(|it| it.state)
    };
    volumes.iter().map(state).collect()
}

/// CREATE makes all of its volumes usable at once, or leaves none; DESTROY, once begun, leaves none
/// usable, and in the end none at all.
fn check_volumes(known: &Known, machine: usize, record: &OperationRecord) -> Checked {
    let Action::Claim(action) = &record.operation.action else { return Ok(()) };
    if record.claims.is_empty() {
        return Ok(()); // It was refused, or waits for its turn: nothing was touched.
    }
    let states = states(known, machine, record);
    let whole = match (action, record.state) {
        (ClaimAction::Create(_), OperationState::Pending) => {
            states.iter().all(|it| *it == Some(ClaimState::Making))
        }
        (ClaimAction::Create(_), OperationState::Finished) => {
            states.iter().all(|it| *it == Some(ClaimState::Ready))
        }
        (ClaimAction::Destroy(_), OperationState::Pending) => {
            states.iter().all(|it| matches!(it, None | Some(ClaimState::Destroying)))
        }
        (ClaimAction::Create(_), _) | (ClaimAction::Destroy(_), OperationState::Finished) => {
            states.iter().all(Option::is_none)
        }
        _ => true,
    };
    if whole {
        return Ok(());
    }
    let (name, uuid, state) = (action.name(), record.uuid, record.state);
    Err(format!("{name} {uuid} of machine {machine} is {state:?}, and its volumes are {states:?}"))
}

/// What a framework was told was not made is never there later.
fn check_not_refuted(known: &Known, machine: usize, claim: &holdfast_model::Claim) -> Checked {
    let at = known.machines.iter().filter(|(_, index)| **index == machine).map(|(agent, _)| agent);
    let refuted = |agent: &AgentId| {
        names(agent, std::slice::from_ref(&claim.resource)).any(|it| known.refuted.contains(&it))
    };
    if at.into_iter().any(refuted) {
        return Err(format!(
            "{} of machine {machine} is ready, and its framework was told that it was not made",
            claim.resource
        ));
    }
    Ok(())
}

/// What a machine has, in thousandths, by name and disk.
pub(crate) fn capacity(
    machine: &crate::machines::Machine,
) -> BTreeMap<(String, Option<String>), i64> {
    let mut all = BTreeMap::from([
        (("cpus".to_owned(), None), machine.cpus_thousandths),
        (("mem".to_owned(), None), machine.mem_mb * 1_000),
    ]);
    for disk in &machine.disks {
        let root = (disk.kind != holdfast_model::DiskKind::Root).then(|| disk.root.clone());
        all.insert(("disk".to_owned(), root), disk.size_mb as i64 * 1_000);
    }
    all
}

fn check_machine(truth: &Truth<'_>, index: usize) -> Checked {
    let machine = &truth.machines[index];
    let (mut left, mut whole) = (capacity(machine), BTreeSet::new());
    for claim in machine.proven().claims.values() {
        let identity = &claim.resource.identity;
        let root = identity.source.as_ref().and_then(|it| it.root.clone());
        if identity.source.as_ref().is_some_and(|it| it.kind == SourceKind::Mount)
            && !whole.insert(root.clone())
        {
            return Err(format!(
                "machine {index} has two claims on the one disk {}",
                root.unwrap_or_default()
            ));
        }
        let amount = left.entry((identity.name.clone(), root)).or_default();
        *amount -= claim.resource.value.quantity().as_thousandths();
        if *amount < 0 {
            return Err(format!(
                "machine {index} has claims for more {} than it has; the last is {}",
                identity.name, claim.resource
            ));
        }
    }
    Ok(())
}
