//! Who holds which volume: tasks and executors that use it, and containers that may see it.
//!
//! A container holds what it may see until nothing of it runs any more. Relies on the ledger and on [`Containers`].

use std::collections::BTreeMap;

use holdfast_model::{AgentLedger, Claim, ExecutorKey, Resource, TaskRecord};

use super::records::{live_tasks, uses, volumes_of};
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
    let by_task = |it: &&TaskRecord| !it.state.is_terminal() && uses(&it.info.resources, identity);
    for task in ledger.tasks.values().filter(by_task) {
        let name = format!("task `{}` of framework {}", task.info.id, task.framework);
        holders.insert((task.framework.clone(), task.executor.clone()), name);
    }
    for (key, record) in ledger.executors.iter() {
        let mounted = containers.of(key).mounted().contains(&claim.id);
        if mounted || uses(&record.info.resources, identity) {
            let name = format!("the container of executor `{}` of framework {}", key.1, key.0);
            holders.entry(key.clone()).or_insert(name);
        }
    }
    holders
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
        let mut live = LiveContainer::recovering();
        live.mount(volumes_of(ledger, &record.info.resources));
        containers.insert(key.clone(), live);
    }
    for (key, task) in ledger.tasks.iter() {
        let executor = (task.framework.clone(), task.executor.clone());
        let Some(live) = containers.get_mut(&executor) else { continue }; // It has ended, and is not acknowledged.
        live.mount(volumes_of(ledger, &task.info.resources));
        if task.delivered {
            live.set_used();
        } else if !task.state.is_terminal() {
            live.enqueue([key.clone()]);
        }
    }
    containers
}
