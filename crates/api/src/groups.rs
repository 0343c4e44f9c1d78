//! What a view has, grouped once: per agent, per framework, per role.
//!
//! Answers that show many things with what belongs to each ask here first, so that each answer is linear in what it returns. The order
//! within a group is that of the view.

use std::collections::BTreeMap;

use holdfast_master::{OfferRecord, TaskView};
use holdfast_model::{AgentId, FrameworkId, Resources, TaskState};

use crate::MasterView;

/// The members of each group.
pub(crate) type Groups<K, T> = BTreeMap<K, Vec<T>>;

/// Things by what they belong to.
pub(crate) fn by<K: Ord, T>(items: impl IntoIterator<Item = (K, T)>) -> Groups<K, T> {
    let mut groups = Groups::new();
    for (key, item) in items {
        groups.entry(key).or_insert_with(Vec::new).push(item);
    }
    groups
}

/// How many there are of each.
pub(crate) fn counts<K: Ord>(keys: impl IntoIterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

/// How much there is of each.
pub(crate) fn sums<'a, K: Ord>(
    items: impl IntoIterator<Item = (K, &'a Resources)>,
) -> BTreeMap<K, Resources> {
    let mut sums: BTreeMap<K, Resources> = BTreeMap::new();
    for (key, resources) in items {
        sums.entry(key).or_default().add_all(resources);
    }
    sums
}

/// Tasks that have not ended, in the order of their names.
pub(crate) fn live_tasks(view: &MasterView) -> impl Iterator<Item = &TaskView> {
    view.tasks().values().filter(|it| !it.state.is_terminal())
}

/// What live tasks use, by framework.
pub(crate) fn used_by_frameworks(view: &MasterView) -> BTreeMap<&FrameworkId, Resources> {
    sums(live_tasks(view).map(|it| (&it.framework, &it.resources)))
}

/// What live tasks and executors use, by agent.
pub(crate) fn used_on_agents(view: &MasterView) -> BTreeMap<&AgentId, Resources> {
    let tasks = live_tasks(view).map(|it| (&it.agent, &it.resources));
    let executors = view
        .agents()
        .iter()
        .flat_map(|(id, state)| state.executors().values().map(move |it| (id, &it.resources)));
    sums(tasks.chain(executors))
}

/// Offers, by framework.
pub(crate) fn offers_to_frameworks(view: &MasterView) -> Groups<&FrameworkId, &OfferRecord> {
    by(view.offers().values().map(|it| (&it.offer.framework, it)))
}

/// What is offered, by agent.
pub(crate) fn offered_on_agents(view: &MasterView) -> BTreeMap<&AgentId, Resources> {
    sums(view.offers().values().map(|it| (&it.offer.agent, &it.offer.resources)))
}

/// The tasks of one framework, by how they are.
#[derive(Default)]
pub(crate) struct TaskGroups<'a> {
    /// Those that live, as far as is known.
    pub live: Vec<&'a TaskView>,
    /// Those whose agent cannot be reached.
    pub unreachable: Vec<&'a TaskView>,
    /// Those that have ended and whose end was acknowledged.
    pub completed: Vec<&'a TaskView>,
}

/// All tasks, by framework and how they are. One that has ended and was not acknowledged is in no group.
pub(crate) fn tasks_of_frameworks(view: &MasterView) -> BTreeMap<&FrameworkId, TaskGroups<'_>> {
    let mut groups: BTreeMap<&FrameworkId, TaskGroups<'_>> = BTreeMap::new();
    for task in live_tasks(view) {
        let group = groups.entry(&task.framework).or_default();
        match task.state {
            TaskState::Unreachable => group.unreachable.push(task),
            _ => group.live.push(task),
        }
    }
    for task in view.completed_tasks() {
        groups.entry(&task.framework).or_default().completed.push(task);
    }
    groups
}
