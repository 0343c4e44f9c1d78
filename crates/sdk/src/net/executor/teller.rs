//! The executor's voice: statuses, which are kept until the agent acknowledged them, and messages, which are not.
//!
//! It never waits, and never loses a status; whether the agent is there at the moment is the link's business.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use holdfast_model::{
    ExecutorCall, ExecutorId, StatusSource, StatusUuid, TaskId, TaskInfo, TaskState, TaskStatus,
};
use tokio::sync::{mpsc, watch, Notify};
use uuid::Uuid;

use super::super::clock::now;
use super::soft_state::SoftState;

/// How many messages may wait; beyond that they are dropped, as messages may be.
const MESSAGES_MAX: usize = 256;

/// Where an executor stands with its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    unacknowledged: usize,
    /// The agent is lost for good.
    over: bool,
}

#[derive(Debug)]
struct Voice {
    executor: ExecutorId,
    soft_state: Mutex<SoftState>,
    stirred: Notify,
    standing: watch::Sender<Standing>,
    messages: mpsc::Sender<Vec<u8>>,
}

/// Says what becomes of tasks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Teller(Arc<Voice>);

impl Teller {
    pub(super) fn new(executor: ExecutorId) -> (Teller, mpsc::Receiver<Vec<u8>>) {
        let (messages, queue) = mpsc::channel(MESSAGES_MAX);
        let standing = watch::Sender::new(Standing { unacknowledged: 0, over: false });
        let voice = Voice {
            executor,
            soft_state: Mutex::default(),
            stirred: Notify::new(),
            standing,
            messages,
        };
        (Teller(Arc::new(voice)), queue)
    }

    /// Tells a bare state.
    pub fn state(&self, task: &TaskId, state: TaskState) {
        self.tell(TaskStatus::new(task.clone(), state, now()));
    }

    /// Tells a state, and why, for people.
    pub fn state_because(&self, task: &TaskId, state: TaskState, why: impl Into<String>) {
        let status = TaskStatus::new(task.clone(), state, now());
        self.tell(TaskStatus { message: Some(why.into()), ..status });
    }

    /// Tells a status: its uuid, source and executor are filled in here. What comes after a task's last status is dropped.
    pub fn tell(&self, mut status: TaskStatus) {
        status.uuid = Some(StatusUuid(Uuid::new_v4()));
        status.source = Some(StatusSource::Executor);
        status.executor = Some(self.0.executor.clone());
        let (task, state) = (status.task.clone(), status.state);
        if !self.change(|soft_state| soft_state.tell(status)) {
            tracing::debug!("task {task} had its last word; {} is not told", state.name());
        }
        self.0.stirred.notify_one();
    }

    /// Sends a message to the scheduler, if the way is open; nobody acknowledges it.
    pub fn message(&self, data: impl Into<Vec<u8>>) {
        if self.0.messages.try_send(data.into()).is_err() {
            tracing::debug!(
                "a message is dropped: the agent does not take them fast enough, or is lost"
            );
        }
    }

    /// Waits until the agent acknowledged all statuses: `true`; `false` when it never will.
    pub async fn settled(&self) -> bool {
        let mut standing = self.0.standing.subscribe();
        // The sender lives in `self`.
        let last = standing.wait_for(|it| it.over || it.unacknowledged == 0).await.map(|it| *it);
        last.is_ok_and(|it| it.unacknowledged == 0)
    }

    /// As [`Teller::settled`], but no longer than this.
    pub async fn settled_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.settled()).await.unwrap_or(false)
    }

    pub(super) fn give(&self, task: &TaskInfo) {
        self.change(|soft_state| soft_state.give(task));
    }

    pub(super) fn acknowledge(&self, task: &TaskId, uuid: StatusUuid) {
        self.change(|soft_state| soft_state.acknowledge(task, uuid));
    }

    pub(super) fn introduce(&self) -> (ExecutorCall, Vec<TaskInfo>) {
        self.soft_state().introduce()
    }

    pub(super) fn next_after(
        &self,
        said: &std::collections::BTreeSet<StatusUuid>,
    ) -> Option<TaskStatus> {
        self.soft_state().next_after(said)
    }

    /// Resolves when there may be something new to say.
    pub(super) async fn stirred(&self) {
        self.0.stirred.notified().await;
    }

    /// The agent is lost for good.
    pub(super) fn end(&self) {
        self.0.standing.send_modify(|it| it.over = true);
    }

    fn change<T>(&self, change: impl FnOnce(&mut SoftState) -> T) -> T {
        let mut soft_state = self.soft_state();
        let changed = change(&mut soft_state);
        let unacknowledged = soft_state.unacknowledged();
        self.0.standing.send_modify(|it| it.unacknowledged = unacknowledged);
        changed
    }

    fn soft_state(&self) -> MutexGuard<'_, SoftState> {
        // What is done under the lock cannot leave the drawer half changed.
        self.0.soft_state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn statuses_are_kept_until_acknowledged() {
        let (teller, _messages) = Teller::new(ExecutorId::made("e".to_owned()));
        assert!(teller.settled().await, "who said nothing waits for nothing");
        let task = TaskId::made("t".to_owned());
        teller.state(&task, TaskState::Running);
        assert!(!teller.settled_within(Duration::ZERO).await);
        let (call, _) = teller.introduce();
        let ExecutorCall::Subscribe { updates, .. } = call else { panic!("{call:?}") };
        assert_eq!(updates[0].source, Some(StatusSource::Executor));
        assert_eq!(updates[0].executor, Some(ExecutorId::made("e".to_owned())));
        let waiting = tokio::spawn({
            let teller = teller.clone();
            async move { teller.settled().await }
        });
        teller.acknowledge(&task, updates[0].uuid.unwrap());
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn nothing_is_settled_when_the_agent_is_lost() {
        let (teller, _messages) = Teller::new(ExecutorId::made("e".to_owned()));
        teller.state(&TaskId::made("t".to_owned()), TaskState::Running);
        teller.end();
        assert!(!teller.settled().await);
    }
}
