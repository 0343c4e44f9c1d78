//! Whether tasks can be taken. Changes nothing.
//!
//! A volume that is not an agent's to give, or that somebody else's container holds, is refused with the reason.

use holdfast_model::launch::{check_group, check_group_users, check_task};
use holdfast_model::validate::check_resource;
use holdfast_model::{
    AgentLedger, ClaimState, ExecutorKind, Invalid, Reason, Resource, Resources, TaskInfo,
    TaskState,
};

use crate::bookkeeping::claims::future_total;
use crate::bookkeeping::faults::{claim_fault, is_looked_at};
use crate::bookkeeping::holds::{holds, is_ending, Hold};
use crate::bookkeeping::limits;
use crate::bookkeeping::records::{find_volume, live_tasks, uses};
use crate::bookkeeping::Record;
use crate::parts::{Containers, Disks, Launch, Phase, TerminationReason, Waiting};

/// Whether tasks can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placing {
    Go,
    /// Once something that is under way has ended.
    Defer,
    Refuse(TerminationReason),
}

/// Whether the tasks can be taken. Changes nothing.
pub(crate) fn place(
    record: &Record,
    disks: &Disks,
    containers: &Containers,
    waiting: &Waiting,
    launch: &Launch,
) -> Placing {
    let ledger = record.ledger();
    let refuse =
        |state, reason, why: String| Placing::Refuse(TerminationReason::new(state, reason, why));
    if let Err(invalid) = check_launch(ledger, launch) {
        let reason =
            if launch.group.is_some() { Reason::TaskGroupInvalid } else { Reason::TaskInvalid };
        return refuse(TaskState::Error, reason, invalid.to_string());
    }
    if containers.is_leaving(&launch.owner()) {
        return refuse(
            TaskState::Dropped,
            Reason::FrameworkRemoved,
            "its framework was removed".to_owned(),
        );
    }
    if disks.machine().is_none() {
        let why = "the agent has not opened its disks yet; launch it again".to_owned();
        return refuse(TaskState::Dropped, Reason::ResourcesUnknown, why);
    }
    match place_in_executor(ledger, containers, launch) {
        Placing::Go => {}
        other => return other,
    }
    let needed = needed(ledger, launch);
    if let Some(missing) = missing_of(&needed, record.totals().total()) {
        if missing_of(&needed, &future_total(record, waiting, None)).is_none() {
            return Placing::Defer;
        }
        let claim = missing
            .identity
            .persistence
            .as_ref()
            .and_then(|_| find_volume(ledger, &missing.identity));
        return match claim.and_then(|it| claim_fault(record, disks, it)) {
            Some(_) if claim.is_some_and(|it| is_looked_at(disks, it)) => Placing::Defer,
            Some(fault) => refuse(
                TaskState::Failed,
                Reason::ContainerLaunchFailed,
                format!("{missing} cannot be used: {fault}"),
            ),
            None => refuse(
                TaskState::Dropped,
                Reason::ResourcesUnknown,
                format!(
                    "{missing} is not on this agent{}; wait for a new offer",
                    record.totals().total().near_miss(&missing)
                ),
            ),
        };
    }
    place_volumes(record, disks, containers, launch)
}

fn check_launch(ledger: &AgentLedger, launch: &Launch) -> Result<(), Invalid> {
    let agent = ledger
        .identity
        .agent
        .as_ref()
        .ok_or_else(|| Invalid::new("agent_id", "the agent has no name yet"))?;
    match launch.group {
        Some(_) => {
            check_group(&launch.executor, &launch.tasks, agent)?;
            check_group_users(&launch.executor, &launch.tasks, &launch.framework.user)?;
        }
        None => launch.tasks.iter().try_for_each(|task| check_task(task, agent))?,
    }
    if launch.group.is_none() && launch.executor.kind == Some(ExecutorKind::Default) {
        return Err(Invalid::new(
            "executor.type",
            "DEFAULT executors run groups only; use LAUNCH_GROUP",
        ));
    }
    if let Some(elsewhere) = launch.tasks.iter().find(|it| it.agent != *agent) {
        return Err(Invalid::new(
            "agent_id",
            format!("task `{}` is for agent {}, this is {agent}", elsewhere.id, elsewhere.agent),
        ));
    }
    let twice =
        |(index, task): (usize, &TaskInfo)| launch.tasks[..index].iter().any(|it| it.id == task.id);
    if launch.tasks.is_empty() || launch.tasks.iter().enumerate().any(twice) {
        return Err(Invalid::new(
            "tasks",
            "there must be at least one task, and each must have an id of its own",
        ));
    }
    let resources =
        launch.tasks.iter().flat_map(|it| &it.resources).chain(&launch.executor.resources);
    resources.into_iter().try_for_each(check_resource)
}

fn place_in_executor(ledger: &AgentLedger, containers: &Containers, launch: &Launch) -> Placing {
    let key = launch.executor_key();
    let Some(executor) = ledger.executors.get(&key) else { return Placing::Go };
    if is_ending(ledger, containers, &key) {
        return Placing::Defer; // Its container's end makes room for the next one of that name.
    }
    let why = if launch.is_command || executor.command {
        format!("executor id `{}` is in use; choose another", key.1)
    } else if executor.info != launch.executor {
        format!("executor `{}` runs there under another description; describe it as before", key.1)
    } else {
        return Placing::Go;
    };
    Placing::Refuse(TerminationReason::new(TaskState::Error, Reason::TaskInvalid, why))
}

/// What the tasks and a new executor take, without allocations.
pub(crate) fn needed(ledger: &AgentLedger, launch: &Launch) -> Vec<Resource> {
    let fresh = !launch.is_command && !ledger.executors.contains_key(&launch.executor_key());
    let tasks = launch.tasks.iter().flat_map(|it| &it.resources);
    let executor = launch.executor.resources.iter().filter(|_| fresh);
    tasks.chain(executor).map(|it| it.clone().unallocated()).collect()
}

/// Each volume must be whole, and no other container's.
fn place_volumes(
    record: &Record,
    disks: &Disks,
    containers: &Containers,
    launch: &Launch,
) -> Placing {
    let ledger = record.ledger();
    let key = launch.executor_key();
    let started = containers.get(&key).is_some_and(|it| it.phase() != Phase::Waiting);
    for volume in needed(ledger, launch).iter().filter(|it| it.identity.persistence.is_some()) {
        let Some(claim) = find_volume(ledger, &volume.identity) else {
            let why = format!("{volume} is not on this agent; wait for a new offer");
            return Placing::Refuse(TerminationReason::new(
                TaskState::Dropped,
                Reason::ResourcesUnknown,
                why,
            ));
        };
        if let Some(fault) = claim_fault(record, disks, claim) {
            if is_looked_at(disks, claim) {
                return Placing::Defer;
            }
            let why = format!("{volume} cannot be used: {fault}");
            return Placing::Refuse(TerminationReason::new(
                TaskState::Failed,
                Reason::ContainerLaunchFailed,
                why,
            ));
        }
        if let Some(why) = limits::refusal(disks, volume, claim) {
            let why = format!("{volume} is over its size: {why}");
            return Placing::Refuse(TerminationReason::new(
                TaskState::Failed,
                Reason::DiskLimit,
                why,
            ));
        }
        if claim.state == ClaimState::Making && started {
            return Placing::Defer; // A container that runs already sees only whole volumes.
        }
        if volume.identity.shared {
            continue;
        }
        let own = live_tasks(ledger, &key)
            .into_iter()
            .find(|it| uses(&it.info.resources, &claim.resource.identity));
        let own = own.map(|it| Hold::Live(format!("task `{}`", it.info.id)));
        for hold in holds(ledger, containers, claim, Some(&key)).into_iter().chain(own) {
            match hold {
                Hold::Live(by) => {
                    let why = format!("{volume} is in use by {by}; end it first");
                    return Placing::Refuse(TerminationReason::new(
                        TaskState::Dropped,
                        Reason::ResourcesUnknown,
                        why,
                    ));
                }
                Hold::Ending if started => return Placing::Defer,
                Hold::Ending => {} // The container waits for it.
            }
        }
    }
    Placing::Go
}

/// The first of `needed` that `pool` lacks. Several users of a shared volume count once.
fn missing_of(needed: &[Resource], pool: &Resources) -> Option<Resource> {
    let mut left = pool.clone();
    for resource in needed {
        if !left.contains_one(resource) {
            return Some(resource.clone());
        }
        if !resource.identity.shared {
            left.subtract(resource);
        }
    }
    None
}
