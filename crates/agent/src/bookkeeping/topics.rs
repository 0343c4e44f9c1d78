//! What those that wait wait for, in full: whatever of it changes, they are asked again, and nothing else could change their answer.
//!
//! Relies on the ledger and on [`Containers`]. Never leaves out a topic because it is unlikely.

use std::collections::BTreeSet;

use holdfast_model::{
    AgentLedger, ClaimAction, ExecutorKey, Identity, OperationRecord, OperationState, Resource,
};

use super::holds::holders;
use super::records::{find_volume, live_tasks};
use crate::parts::{Containers, Launch, Topic, Waiting};

/// Volumes, and everyone who holds them.
fn of_volumes<'a>(
    ledger: &AgentLedger,
    containers: &Containers,
    volumes: impl Iterator<Item = &'a Resource>,
) -> BTreeSet<Topic> {
    let identities =
        volumes.map(|it| &it.identity).filter(|it: &&Identity| it.persistence.is_some());
    let mut topics = BTreeSet::new();
    for claim in identities.filter_map(|it| find_volume(ledger, it)) {
        topics.insert(Topic::Volume(claim.id));
        topics.extend(holders(ledger, containers, claim).into_keys().map(Topic::Executor));
    }
    topics
}

pub(crate) fn of_operation(
    ledger: &AgentLedger,
    containers: &Containers,
    action: &ClaimAction,
) -> BTreeSet<Topic> {
    let mut topics = BTreeSet::from([Topic::Claims, Topic::Disks]);
    topics.extend(of_volumes(ledger, containers, action.volumes_touched().iter()));
    topics
}

pub(crate) fn of_launch(
    ledger: &AgentLedger,
    containers: &Containers,
    launch: &Launch,
) -> BTreeSet<Topic> {
    let tasks = launch.tasks.iter().flat_map(|it| &it.resources);
    let resources = tasks.chain(&launch.executor.resources);
    let mut topics = of_volumes(ledger, containers, resources);
    topics.extend([Topic::Claims, Topic::Disks, Topic::Executor(launch.executor_key())]);
    topics
}

pub(crate) fn of_container(
    ledger: &AgentLedger,
    containers: &Containers,
    key: &ExecutorKey,
) -> BTreeSet<Topic> {
    let tasks = live_tasks(ledger, key);
    let executor = ledger.executors.get(key).expect("a container that waits has its executor");
    let resources = tasks.iter().flat_map(|it| &it.info.resources).chain(&executor.info.resources);
    let mut topics = of_volumes(ledger, containers, resources);
    topics.extend([Topic::Disks, Topic::Executor(key.clone())]);
    topics
}

/// The operations of the ledger that wait. They are asked when the disks are open.
pub(crate) fn recovering(ledger: &AgentLedger) -> Waiting {
    let mut waiting = Waiting::default();
    let waits = |it: &&OperationRecord| it.state == OperationState::Pending && it.claims.is_empty();
    for record in ledger.operations.values().filter(waits) {
        let by =
            record.framework.as_ref().map_or_else(|| "operator".to_owned(), ToString::to_string);
        waiting.add_operation(record.uuid, by, BTreeSet::from([Topic::Claims, Topic::Disks]));
    }
    waiting
}
