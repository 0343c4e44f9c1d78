//! What changed in the cluster between two views: what the operator's event stream, the console and `--watch` follow.
//!
//! An event names what changed; how it is now is in the newer view. What belongs to something comes after it was added and before it
//! was removed. Rows that both views share are passed over without being compared.

mod diff;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_master::{AgentState, TaskView};
use holdfast_model::{
    AgentId, ClaimId, FrameworkId, FrameworkRecord, Instant, OfferId, TaskKey, TaskState,
};

use self::diff::{diff, Diff};
use crate::MasterView;

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterEvent {
    /// An agent is here or expected.
    AgentAdded(AgentId),
    /// How an agent stands, what it has, or what is wrong there.
    AgentChanged(AgentId),
    /// An agent is not expected any more.
    AgentRemoved(AgentId),
    /// A framework subscribed for the first time.
    FrameworkAdded(FrameworkId),
    /// A framework described itself anew, came or went.
    FrameworkUpdated(FrameworkId),
    /// A framework was removed.
    FrameworkRemoved(FrameworkId),
    /// A claim was made or changed.
    ClaimChanged(AgentId, ClaimId),
    /// A claim is no more.
    ClaimGone(AgentId, ClaimId),
    /// An offer was made.
    OfferMade(OfferId),
    /// An offer was answered, rescinded or lost.
    OfferEnded(OfferId),
    /// A task was launched, or reported by an agent.
    TaskAdded(TaskKey),
    /// A task has a new state, or more was said about it.
    TaskUpdated(TaskKey, TaskState),
    /// A task that had not ended is not known any more.
    TaskForgotten(TaskKey),
}

/// What changed from one view to a later one of the same master.
pub fn changes(old: &MasterView, new: &MasterView) -> Vec<ClusterEvent> {
    let mut events = Vec::new();
    let agents_removed = agents(old, new, &mut events);
    let frameworks_removed = frameworks(old, new, &mut events);
    claims(old, new, &mut events);
    let offers_made = offers(old, new, &mut events);
    tasks(old, new, &mut events);
    events.extend(offers_made.into_iter().chain(frameworks_removed).chain(agents_removed));
    events
}

fn agents(old: &MasterView, new: &MasterView, events: &mut Vec<ClusterEvent>) -> Vec<ClusterEvent> {
    let mut removed = Vec::new();
    let mut changed: BTreeSet<&AgentId> = BTreeSet::new();
    for (id, change) in diff(old.agents().iter(), new.agents().iter()) {
        match change {
            Diff::Added(_) => events.push(ClusterEvent::AgentAdded(id.clone())),
            Diff::Both(old, new) if is_same_agent(old, new) => {}
            Diff::Both(..) => drop(changed.insert(id)),
            Diff::Gone(_) => removed.push(ClusterEvent::AgentRemoved(id.clone())),
        }
    }
    // An operator's wish is none of the agent's own, and changes it all the same.
    let wishes = diff(old.ledger().deactivations.iter(), new.ledger().deactivations.iter());
    let is_there = |id: &AgentId| old.agents().contains_key(id) && new.agents().contains_key(id);
    changed.extend(wishes.map(|(id, _)| id).filter(|id| is_there(id)));
    events.extend(changed.into_iter().cloned().map(ClusterEvent::AgentChanged));
    removed
}

/// What is held there is not looked at: tasks and offers have events of their own.
fn is_same_agent(old: &AgentState, new: &AgentState) -> bool {
    old.health() == new.health()
        && old.link().is_some() == new.link().is_some()
        && old.total() == new.total()
        && old.disks() == new.disks()
        && old.faults() == new.faults()
        && old.machine() == new.machine()
        && old.version() == new.version()
}

fn frameworks(
    old: &MasterView,
    new: &MasterView,
    events: &mut Vec<ClusterEvent>,
) -> Vec<ClusterEvent> {
    let mut removed = Vec::new();
    let is_connected = |view: &MasterView, id: &FrameworkId| {
        view.frameworks().get(id).is_some_and(|it| it.link().is_some())
    };
    let is_same = |id: &FrameworkId, before: &FrameworkRecord, after: &FrameworkRecord| {
        before.info == after.info && is_connected(old, id) == is_connected(new, id)
    };
    let (before, after) = (&old.ledger().frameworks, &new.ledger().frameworks);
    for (id, record) in after.iter() {
        match before.get(id) {
            None => events.push(ClusterEvent::FrameworkAdded(id.clone())),
            Some(old) if is_same(id, old, record) => {}
            Some(_) if record.removed => {}
            Some(_) => events.push(ClusterEvent::FrameworkUpdated(id.clone())),
        }
        if record.removed && !before.get(id).is_some_and(|it| it.removed) {
            removed.push(ClusterEvent::FrameworkRemoved(id.clone()));
        }
    }
    // One that was removed before is only forgotten.
    let gone = before.iter().filter(|(id, it)| !it.removed && !after.contains_key(id));
    removed.extend(gone.map(|(id, _)| ClusterEvent::FrameworkRemoved(id.clone())));
    removed
}

fn claims(old: &MasterView, new: &MasterView, events: &mut Vec<ClusterEvent>) {
    for ((agent, id), change) in diff(old.ledger().claims.iter(), new.ledger().claims.iter()) {
        match change {
            Diff::Both(old, new) if old == new => {}
            Diff::Added(_) | Diff::Both(..) => {
                events.push(ClusterEvent::ClaimChanged(agent.clone(), *id))
            }
            Diff::Gone(_) => events.push(ClusterEvent::ClaimGone(agent.clone(), *id)),
        }
    }
}

fn offers(old: &MasterView, new: &MasterView, events: &mut Vec<ClusterEvent>) -> Vec<ClusterEvent> {
    let mut made = Vec::new();
    for (id, change) in diff(old.offers().iter(), new.offers().iter()) {
        match change {
            Diff::Added(_) => made.push(ClusterEvent::OfferMade(id.clone())),
            Diff::Both(..) => {} // An offer never changes.
            Diff::Gone(_) => events.push(ClusterEvent::OfferEnded(id.clone())),
        }
    }
    made
}

fn tasks(old: &MasterView, new: &MasterView, events: &mut Vec<ClusterEvent>) {
    let mut ended = newly_completed(old, new);
    for (key, change) in diff(old.tasks().iter(), new.tasks().iter()) {
        match change {
            Diff::Both(before, after) => {
                if (before.state, &before.latest) != (after.state, &after.latest) {
                    events.push(ClusterEvent::TaskUpdated(key.clone(), after.state));
                }
            }
            Diff::Added(task) => {
                events.push(ClusterEvent::TaskAdded(key.clone()));
                events.push(ClusterEvent::TaskUpdated(key.clone(), task.state));
            }
            Diff::Gone(task) => match ended.remove(key) {
                Some(end) if (task.state, &task.latest) == (end.state, &end.latest) => {}
                Some(end) => events.push(ClusterEvent::TaskUpdated(key.clone(), end.state)),
                None if task.state.is_terminal() => {}
                None => events.push(ClusterEvent::TaskForgotten(key.clone())),
            },
        }
    }
    // Those that came and went between the two views.
    for (key, end) in ended {
        if !old.tasks().contains_key(&key) {
            events.push(ClusterEvent::TaskAdded(key.clone()));
            events.push(ClusterEvent::TaskUpdated(key, end.state));
        }
    }
}

/// Tasks whose end was acknowledged between the two views.
fn newly_completed<'a>(old: &MasterView, new: &'a MasterView) -> BTreeMap<TaskKey, &'a TaskView> {
    let key = |it: &TaskView| -> TaskKey { (it.framework.clone(), it.id.clone()) };
    let at = |it: &TaskView| -> Option<Instant> { it.latest.as_ref().map(|status| status.at) };
    let known: BTreeSet<(TaskKey, Option<Instant>)> =
        old.completed_tasks().map(|it| (key(it), at(it))).collect();
    let fresh = new.completed_tasks().filter(|it| !known.contains(&(key(it), at(it))));
    fresh.map(|it| (key(it), it)).collect()
}

#[cfg(test)]
mod tests;
