//! Reports from the executor: statuses, which are kept until the agent acknowledged them, and
//! messages, which are not.
//!
//! It relies on the link to send them. It never waits, and never loses a status.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use holdfast_model::{
    ExecutorCall, ExecutorId, StatusSource, StatusUuid, TaskId, TaskInfo, TaskState, TaskStatus,
};
use tokio::sync::{mpsc, watch, Notify};
use uuid::Uuid;

use super::super::clock::now;
use super::soft_state::SoftState;

/// The number of messages that may wait; beyond that they are dropped, as messages may be.
const MESSAGES_MAX: usize = 256;

/// How far the agent has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    unacknowledged: usize,
    /// Whether the agent is lost for good.
    over: bool,
}

#[derive(Debug)]
struct Shared {
    executor: ExecutorId,
    soft_state: Mutex<SoftState>,
    changed: Notify,
    progress: watch::Sender<Progress>,
    messages: mpsc::Sender<Vec<u8>>,
}

/// Reports the statuses of tasks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reporter(Arc<Shared>);

impl Reporter {
    pub(super) fn new(executor: ExecutorId) -> (Reporter, mpsc::Receiver<Vec<u8>>) {
        let (messages, queue) = mpsc::channel(MESSAGES_MAX);
        let progress = watch::Sender::new(Progress { unacknowledged: 0, over: false });
        let shared = Shared {
            executor,
            soft_state: Mutex::default(),
            changed: Notify::new(),
            progress,
            messages,
        };
        (Reporter(Arc::new(shared)), queue)
    }

    /// Reports a state.
    pub fn state(&self, task: &TaskId, state: TaskState) {
        self.report(TaskStatus::new(task.clone(), state, now()));
    }

    /// Reports a state with a reason for people.
    pub fn state_because(&self, task: &TaskId, state: TaskState, why: impl Into<String>) {
        let status = TaskStatus::new(task.clone(), state, now());
        self.report(TaskStatus { message: Some(why.into()), ..status });
    }

    /// Reports a status: its uuid, source and executor are filled in here. What comes after a
    /// task's terminal status is dropped.
    pub fn report(&self, mut status: TaskStatus) {
        status.uuid = Some(StatusUuid(Uuid::new_v4()));
        status.source = Some(StatusSource::Executor);
        status.executor = Some(self.0.executor.clone());
        let (task, state) = (status.task.clone(), status.state);
        if !self.change(|soft_state| soft_state.add(status)) {
            tracing::debug!("task {task} is terminal already; {} is not reported", state.name());
        }
        self.0.changed.notify_one();
    }

    /// Sends a message to the scheduler, if there is a link; nobody acknowledges it.
    pub fn message(&self, data: impl Into<Vec<u8>>) {
        if self.0.messages.try_send(data.into()).is_err() {
            tracing::debug!(
                "a message is dropped: the agent does not take them fast enough, or is lost"
            );
        }
    }

    /// Waits until the agent has acknowledged all statuses; returns `false` when it never will.
    pub async fn settled(&self) -> bool {
        let mut progress = self.0.progress.subscribe();
        // This cannot fail, since `self` holds the sender.
        let last = progress.wait_for(|it| it.over || it.unacknowledged == 0).await.map(|it| *it);
        last.is_ok_and(|it| it.unacknowledged == 0)
    }

    /// Does the same as [`Reporter::settled`], but no longer than this.
    pub async fn settled_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.settled()).await.unwrap_or(false)
    }

    pub(super) fn add_task(&self, task: &TaskInfo) {
        self.change(|soft_state| soft_state.add_task(task));
    }

    pub(super) fn acknowledge(&self, task: &TaskId, uuid: StatusUuid) {
        self.change(|soft_state| soft_state.acknowledge(task, uuid));
    }

    pub(super) fn introduce(&self) -> (ExecutorCall, Vec<TaskInfo>) {
        self.soft_state().introduce()
    }

    pub(super) fn next_unsent(
        &self,
        sent: &std::collections::BTreeSet<StatusUuid>,
    ) -> Option<TaskStatus> {
        self.soft_state().next_unsent(sent)
    }

    /// Resolves when there may be something new to send.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Whether the agent is lost for good.
    pub(super) fn end(&self) {
        self.0.progress.send_modify(|it| it.over = true);
    }

    fn change<T>(&self, change: impl FnOnce(&mut SoftState) -> T) -> T {
        let mut soft_state = self.soft_state();
        let changed = change(&mut soft_state);
        let unacknowledged = soft_state.unacknowledged();
        self.0.progress.send_modify(|it| it.unacknowledged = unacknowledged);
        changed
    }

    fn soft_state(&self) -> MutexGuard<'_, SoftState> {
        // What is done under the lock cannot leave the soft state half changed.
        self.0.soft_state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn statuses_are_kept_until_acknowledged() {
        let (reporter, _messages) = Reporter::new(ExecutorId::made("e".to_owned()));
        assert!(reporter.settled().await, "who sent nothing waits for nothing");
        let task = TaskId::made("t".to_owned());
        reporter.state(&task, TaskState::Running);
        assert!(!reporter.settled_within(Duration::ZERO).await);
        let (call, _) = reporter.introduce();
        let ExecutorCall::Subscribe { updates, .. } = call else { panic!("{call:?}") };
        assert_eq!(updates[0].source, Some(StatusSource::Executor));
        assert_eq!(updates[0].executor, Some(ExecutorId::made("e".to_owned())));
        let waiting = tokio::spawn({
            let reporter = reporter.clone();
            async move { reporter.settled().await }
        });
        reporter.acknowledge(&task, updates[0].uuid.unwrap());
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn nothing_is_settled_when_the_agent_is_lost() {
        let (reporter, _messages) = Reporter::new(ExecutorId::made("e".to_owned()));
        reporter.state(&TaskId::made("t".to_owned()), TaskState::Running);
        reporter.end();
        assert!(!reporter.settled().await);
    }
}
