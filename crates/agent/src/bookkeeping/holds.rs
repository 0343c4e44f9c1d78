//! Who holds which volume: tasks and executors that use it, and containers that may see it.
//!
//! A container holds what it may see until nothing of it runs any more. Relies on the ledger and on [`Containers`].

use std::collections::BTreeMap;

use holdfast_model::{AgentLedger, Claim, ExecutorKey, ExecutorRecord, Resource};

use super::records::{live_tasks, volumes_of};
use crate::parts::{Containers, LiveContainer};

/// How a container holds a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// By a task or executor that lives; says which.
    Live(String),
    /// By a container that is ending; it will be free.
    Ending,
}

/// The executors that hold a volume, each with the name of what holds it.
pub(crate) fn holders(
    ledger: &AgentLedger,
    containers: &Containers,
    claim: &Claim,
) -> BTreeMap<ExecutorKey, String> {
    let identity = &claim.resource.identity;
    let mut holders: BTreeMap<ExecutorKey, String> = BTreeMap::new();
    for task in ledger.tasks_with(identity).filter(|it| !it.state.is_terminal()) {
        let name = format!("task `{}` of framework {}", task.info.id, task.framework);
        holders.insert(task.executor_key(), name);
    }
    let own = ledger.executors_with(identity).map(ExecutorRecord::key);
    for key in own.chain(containers.that_mount(claim.id).cloned()) {
        let name = format!("the container of executor `{}` of framework {}", key.1, key.0);
        holders.entry(key).or_insert(name);
    }
    holders
}

/// Whether a container of another executor than `own` may see a volume: one that starts, runs, or is just ending. A task that only waits
/// has not been given it yet.
pub(crate) fn is_seen_elsewhere(containers: &Containers, claim: &Claim, own: &ExecutorKey) -> bool {
    containers.that_mount(claim.id).any(|it| it != own)
}

/// How a volume is held, `except` aside.
pub(crate) fn holds(
    ledger: &AgentLedger,
    containers: &Containers,
    claim: &Claim,
    except: Option<&ExecutorKey>,
) -> Vec<Hold> {
    let others = holders(ledger, containers, claim).into_iter();
    let hold = |(key, name): (ExecutorKey, String)| {
        if is_ending(ledger, containers, &key) {
            Hold::Ending
        } else {
            Hold::Live(name)
        }
    };
    others.filter(|(key, _)| Some(key) != except).map(hold).collect()
}

/// Whether an executor is on its way to its end.
pub(crate) fn is_ending(ledger: &AgentLedger, containers: &Containers, key: &ExecutorKey) -> bool {
    let Some(record) = ledger.executors.get(key) else { return false };
    containers.of(key).is_ending() || (record.command && live_tasks(ledger, key).is_empty())
}

/// Whether the container of an executor may see a volume among `resources`.
pub(crate) fn is_mounted(
    ledger: &AgentLedger,
    containers: &Containers,
    key: &ExecutorKey,
    resources: &[Resource],
) -> bool {
    let Some(live) = containers.get(key) else { return false };
    volumes_of(ledger, resources).iter().any(|it| live.mounted().contains(it))
}

/// The containers of the ledger's executors, before the drivers have said what became of them.
pub(crate) fn recovering(ledger: &AgentLedger) -> Containers {
    let mut containers = Containers::default();
    for (key, record) in ledger.executors.iter() {
        containers.insert(key.clone(), LiveContainer::recovering());
        containers.mount(key, volumes_of(ledger, &record.info.resources));
    }
    for (key, task) in ledger.tasks.iter() {
        let executor = task.executor_key();
        if containers.get(&executor).is_none() {
            continue; // It has ended, and is not acknowledged.
        }
        containers.mount(&executor, volumes_of(ledger, &task.info.resources));
        let live = containers.of_mut(&executor);
        if task.delivered {
            live.set_used();
        } else if !task.state.is_terminal() {
            live.enqueue([key.clone()]);
        }
    }
    containers
}
