//! Executors that have nothing left to do: they may live on, but they do not keep a volume from their framework's next task.
//!
//! Relies on `holds` for who holds what. Never ends an executor that has a task, or that uses the volume itself.

use holdfast_model::{ExecutorKey, StepContext};

use crate::claims::{find_volume, uses};
use crate::launch::Launch;
use crate::Agent;

impl Agent {
    /// Ends the executors of the same framework that hold a volume which `launch` needs, and have no task left. The launch waits for them.
    pub(crate) fn end_idle_holders(&mut self, ctx: &mut StepContext<'_>, launch: &Launch) {
        let volumes = launch
            .tasks
            .iter()
            .flat_map(|it| &it.resources)
            .filter(|it| it.identity.persistence.is_some() && !it.identity.shared);
        let claims: Vec<_> =
            volumes.filter_map(|it| find_volume(&self.ledger, &it.identity)).collect();
        let (owner, own) = (launch.owner(), launch.executor_key());
        let idle = |key: &&ExecutorKey| {
            let mounts = |run: &crate::soft::LiveContainer| {
                claims.iter().any(|it| run.mounted.contains(&it.id))
            };
            let needs = |it: &holdfast_model::ExecutorRecord| {
                claims.iter().any(|claim| uses(&it.info.resources, &claim.resource.identity))
            };
            key.0 == owner
                && **key != own
                && self.soft.runs.get(key).is_some_and(mounts)
                && self.live_tasks(key).is_empty()
                && !self.ledger.executors.get(key).is_some_and(needs)
        };
        let idle: Vec<ExecutorKey> = self.ledger.executors.keys().filter(idle).cloned().collect();
        for key in idle {
            self.log(format!(
                "executor `{}` of framework {} has no task left and holds a volume that the next one needs; it is ended",
                key.1, key.0
            ));
            self.end_executor(ctx, &key, None);
        }
    }
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
