//! Executors that have nothing left to do: they may live on, but they do not keep a volume from their framework's next task.
//!
//! Relies on the ledger and the containers for who holds what. Never ends an executor that has a task, or that uses the volume itself.

use std::collections::BTreeSet;

use holdfast_model::{Claim, ExecutorKey};

use super::ending::end_executor;
use crate::bookkeeping::records::{find_volume, live_tasks};
use crate::bookkeeping::Step;
use crate::parts::{Containers, Launch, MasterLink, Tasks};

/// Ends the executors of the same framework that hold a volume which `launch` needs, and have no task left. The launch waits for them.
pub(crate) fn end_idle_holders(
    step: &mut Step<'_>,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    launch: &Launch,
) {
    for key in idle_holders(step, containers, launch) {
        step.log(format!(
            "executor `{}` of framework {} has no task left and holds a volume that the next one needs; it is ended",
            key.1, key.0
        ));
        end_executor(step, containers, tasks, master, &key, None);
    }
}

fn idle_holders(step: &Step<'_>, containers: &Containers, launch: &Launch) -> Vec<ExecutorKey> {
    let ledger = step.ledger();
    let resources = launch.tasks.iter().flat_map(|it| &it.resources);
    let volumes = resources.filter(|it| it.identity.persistence.is_some() && !it.identity.shared);
    let claims: Vec<&Claim> = volumes.filter_map(|it| find_volume(ledger, &it.identity)).collect();
    let (owner, own) = (launch.owner(), launch.executor_key());
    let needs = |key: &ExecutorKey| {
        claims.iter().any(|it| {
            ledger.executors_with(&it.resource.identity).any(|executor| executor.key() == *key)
        })
    };
    let holders: BTreeSet<&ExecutorKey> =
        claims.iter().flat_map(|it| containers.that_mount(it.id)).collect();
    let idle = holders.into_iter().filter(|key| {
        key.0 == owner && **key != own && live_tasks(ledger, key).is_empty() && !needs(key)
    });
    idle.cloned().collect()
}

#[cfg(test)]
mod tests {
    use crate::testbed::{custom_executor, task, Bed};
    use holdfast_model::{Action, Resource, TaskInfo, TaskState};

    fn custom(id: &str, executor: &str, volumes: &[Resource]) -> TaskInfo {
        TaskInfo { executor: Some(custom_executor(executor)), command: None, ..task(id, volumes) }
    }

    #[test]
    fn an_idle_executor_makes_room_for_its_frameworks_next_task() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.apply(vec![Action::Launch(vec![custom("t1", "e1", &[bed.volume()])])]);
        bed.settle();
        let container = bed.container_of("e1");
        bed.moved(container, &task("t1", &[]).id, TaskState::Failed);
        bed.settle();
        assert!(
            bed.containers.contains_key(&container),
            "a framework's own executor may outlive its task"
        );
        bed.apply(vec![Action::Launch(vec![custom("t2", "e2", &[bed.volume()])])]);
        bed.settle();
        bed.pass_ms(60_000);
        bed.settle();
        assert!(!bed.containers.contains_key(&container));
        assert_eq!(bed.task_state("t2"), Some(TaskState::Running));
    }

    #[test]
    fn a_busy_executor_keeps_its_volume() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.apply(vec![Action::Launch(vec![custom("t1", "e1", &[bed.volume()])])]);
        bed.settle();
        bed.apply(vec![Action::Launch(vec![custom("t2", "e2", &[bed.volume()])])]);
        bed.settle();
        assert_eq!(
            (bed.task_state("t1"), bed.last_status("t2").state),
            (Some(TaskState::Running), TaskState::Dropped)
        );
    }
}
