//! What an executor has to tell its agent again when that restarts: tasks that it was given and never acknowledged for, and statuses.
//!
//! Statuses keep their order. Nothing follows a task's last status, and nothing leaves but by its acknowledgement.

use std::collections::BTreeSet;

use holdfast_model::{ExecutorCall, StatusUuid, TaskId, TaskInfo, TaskStatus};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct SoftState {
    given: Vec<TaskInfo>,
    updates: Vec<TaskStatus>,
}

impl SoftState {
    /// A task was given.
    pub fn give(&mut self, task: &TaskInfo) {
        if self.given.iter().all(|it| it.id != task.id) {
            self.given.push(task.clone());
        }
    }

    /// Keeps a status until it is acknowledged. `false`, and not kept, when its task has had its last word.
    pub fn tell(&mut self, status: TaskStatus) -> bool {
        if self.updates.iter().any(|it| it.task == status.task && it.state.is_terminal()) {
            return false;
        }
        self.updates.push(status);
        true
    }

    /// The agent holds a status durably.
    pub fn acknowledge(&mut self, task: &TaskId, uuid: StatusUuid) {
        self.given.retain(|it| it.id != *task);
        self.updates.retain(|it| it.uuid != Some(uuid));
    }

    /// How many statuses are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.updates.len()
    }

    /// The first status that was not said on this link.
    pub fn next_after(&self, said: &BTreeSet<StatusUuid>) -> Option<TaskStatus> {
        self.updates.iter().find(|it| it.uuid.is_some_and(|uuid| !said.contains(&uuid))).cloned()
    }

    /// How to introduce oneself, with the descriptions of the tasks.
    pub fn introduce(&self) -> (ExecutorCall, Vec<TaskInfo>) {
        let tasks = self.given.iter().map(|it| it.id.clone()).collect();
        (ExecutorCall::Subscribe { tasks, updates: self.updates.clone() }, self.given.clone())
    }
}

#[cfg(test)]
mod tests {
    use holdfast_model::{AgentId, Instant, TaskState};
    use uuid::Uuid;

    use super::*;

    fn task(name: &str) -> TaskInfo {
        TaskInfo {
            id: TaskId::made(name.to_owned()),
            name: name.to_owned(),
            agent: AgentId::made("a".to_owned()),
            resources: Vec::new(),
            executor: None,
            command: None,
            kill_grace_ms: None,
            payload: Default::default(),
        }
    }

    fn status(task: &str, state: TaskState, number: u128) -> TaskStatus {
        let mut status = TaskStatus::new(TaskId::made(task.to_owned()), state, Instant(1));
        status.uuid = Some(StatusUuid(Uuid::from_u128(number)));
        status
    }

    #[test]
    fn what_is_not_acknowledged_is_told_again_in_order() {
        let mut soft_state = SoftState::default();
        soft_state.give(&task("a"));
        soft_state.give(&task("b"));
        soft_state.give(&task("b"));
        assert!(soft_state.tell(status("a", TaskState::Starting, 1)));
        assert!(soft_state.tell(status("a", TaskState::Running, 2)));
        soft_state.acknowledge(&TaskId::made("a".to_owned()), StatusUuid(Uuid::from_u128(1)));
        let (call, given) = soft_state.introduce();
        let ExecutorCall::Subscribe { tasks, updates } = call else { panic!("{call:?}") };
        assert_eq!(
            tasks,
            [TaskId::made("b".to_owned())],
            "a task with an acknowledged status is known to the agent"
        );
        assert_eq!((updates.len(), updates[0].state, given.len()), (1, TaskState::Running, 1));
        let said = [updates[0].uuid.unwrap()].into();
        assert_eq!(soft_state.next_after(&said), None);
        assert!(soft_state.tell(status("a", TaskState::Finished, 3)));
        assert_eq!(soft_state.next_after(&said).unwrap().state, TaskState::Finished);
    }

    #[test]
    fn nothing_follows_the_last_word() {
        let mut soft_state = SoftState::default();
        assert!(soft_state.tell(status("a", TaskState::Failed, 1)));
        assert!(!soft_state.tell(status("a", TaskState::Running, 2)));
        assert!(soft_state.tell(status("b", TaskState::Running, 3)));
        assert_eq!(soft_state.unacknowledged(), 2);
    }
}
