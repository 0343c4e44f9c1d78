//! The soft state that an executor sends its agent again when that restarts: tasks without an
//! acknowledged status, and statuses.
//!
//! Statuses keep their order. Nothing ever follows a task's last status, and nothing is removed but
//! by its acknowledgement, except for what a check saw, when it has seen something else since and
//! many wait.

use std::collections::BTreeSet;

use holdfast_model::{ExecutorCall, Reason, StatusUuid, TaskId, TaskInfo, TaskStatus};

/// How many statuses of a task may wait before what a check saw takes the place of what it saw
/// before: an agent can be away for long, and checks go on.
const CHECKED_MAX: usize = 16;

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
        let waits = self.updates.iter().filter(|it| it.task == status.task).count();
        if CHECKED_MAX <= waits && is_of_check(&status) {
            let last = self.updates.iter().rposition(|it| it.task == status.task);
            let surpassed = last.filter(|it| is_of_check(&self.updates[*it]));
            surpassed.into_iter().for_each(|it| drop(self.updates.remove(it)));
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

/// Whether it only says what a health check or a check saw of a task that runs.
fn is_of_check(status: &TaskStatus) -> bool {
    let reasons = [Reason::TaskCheckStatusUpdated, Reason::TaskHealthCheckStatusUpdated];
    !status.state.is_terminal() && reasons.iter().any(|it| status.reason == Some(*it as i32))
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

    #[test]
    fn what_checks_saw_while_the_agent_was_away_is_bounded_and_ends_with_the_newest() {
        let mut soft_state = SoftState::default();
        assert!(soft_state.add(status("a", TaskState::Running, 1)));
        for number in 2..1000 {
            let reason = Some(Reason::TaskHealthCheckStatusUpdated as i32);
            let seen = status("a", TaskState::Running, number);
            assert!(soft_state.add(TaskStatus { reason, ..seen }));
        }
        assert!(soft_state.add(status("a", TaskState::Finished, 1000)));
        let kept: Vec<u128> =
            soft_state.updates.iter().filter_map(|it| it.uuid).map(|it| it.0.as_u128()).collect();
        assert_eq!(kept.len(), CHECKED_MAX + 1);
        assert_eq!((kept[0], &kept[CHECKED_MAX - 1..]), (1, &[999, 1000][..]));
    }
}
