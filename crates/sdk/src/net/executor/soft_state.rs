//! The soft state that an executor sends its agent again when that restarts: tasks without an
//! acknowledged status, and statuses.
//!
//! Statuses keep their order. Nothing ever follows a task's last status, and nothing is removed but
//! by its acknowledgement.

use std::collections::BTreeSet;

use holdfast_model::{ExecutorCall, StatusUuid, TaskId, TaskInfo, TaskStatus};

/// Tasks and statuses that the agent may not have.
#[derive(Debug, Default)]
pub(super) struct SoftState {
    given: Vec<TaskInfo>,
    updates: Vec<TaskStatus>,
}

impl SoftState {
    /// Adds a task that the agent gave.
    pub fn add_task(&mut self, task: &TaskInfo) {
        if self.given.iter().all(|it| it.id != task.id) {
            self.given.push(task.clone());
        }
    }

    /// Keeps a status until it is acknowledged. Returns `false`, without keeping it, after the
    /// task's terminal status.
    pub fn add(&mut self, status: TaskStatus) -> bool {
        if self.updates.iter().any(|it| it.task == status.task && it.state.is_terminal()) {
            return false;
        }
        self.updates.push(status);
        true
    }

    /// Removes a status that the agent holds durably.
    pub fn acknowledge(&mut self, task: &TaskId, uuid: StatusUuid) {
        self.given.retain(|it| it.id != *task);
        self.updates.retain(|it| it.uuid != Some(uuid));
    }

    /// The number of statuses that are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.updates.len()
    }

    /// The first status that was not sent on this link yet.
    pub fn next_unsent(&self, sent: &BTreeSet<StatusUuid>) -> Option<TaskStatus> {
        self.updates.iter().find(|it| it.uuid.is_some_and(|uuid| !sent.contains(&uuid))).cloned()
    }

    /// Makes the SUBSCRIBE call, with the descriptions of the tasks.
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
        soft_state.add_task(&task("a"));
        soft_state.add_task(&task("b"));
        soft_state.add_task(&task("b"));
        assert!(soft_state.add(status("a", TaskState::Starting, 1)));
        assert!(soft_state.add(status("a", TaskState::Running, 2)));
        soft_state.acknowledge(&TaskId::made("a".to_owned()), StatusUuid(Uuid::from_u128(1)));
        let (call, given) = soft_state.introduce();
        let ExecutorCall::Subscribe { tasks, updates } = call else { panic!("{call:?}") };
        assert_eq!(
            tasks,
            [TaskId::made("b".to_owned())],
            "a task with an acknowledged status is known to the agent"
        );
        assert_eq!((updates.len(), updates[0].state, given.len()), (1, TaskState::Running, 1));
        let sent = [updates[0].uuid.unwrap()].into();
        assert_eq!(soft_state.next_unsent(&sent), None);
        assert!(soft_state.add(status("a", TaskState::Finished, 3)));
        assert_eq!(soft_state.next_unsent(&sent).unwrap().state, TaskState::Finished);
    }

    #[test]
    fn nothing_follows_the_last_word() {
        let mut soft_state = SoftState::default();
        assert!(soft_state.add(status("a", TaskState::Failed, 1)));
        assert!(!soft_state.add(status("a", TaskState::Running, 2)));
        assert!(soft_state.add(status("b", TaskState::Running, 3)));
        assert_eq!(soft_state.unacknowledged(), 2);
    }
}
