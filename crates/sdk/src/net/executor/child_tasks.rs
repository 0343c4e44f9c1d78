//! Tasks as child processes of the executor.
//!
//! Relies on `child` for each of them. Tells every state by itself: RUNNING when the process runs, FINISHED, FAILED or KILLED when nothing
//! of it is left. Never forgets a child that runs.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_model::{TaskId, TaskState};
use tokio::sync::mpsc;

use super::child::{self, KillOrder};
use super::child_plan::ChildPlan;
use super::teller::Teller;

/// A task that has ended, and was told to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub task: TaskId,
    /// Whether it ended by itself, with status 0.
    pub well: bool,
}

#[derive(Debug)]
struct Running {
    orders: mpsc::UnboundedSender<KillOrder>,
    grace: Duration,
}

/// See the module. Dropping it ends the children.
#[derive(Debug)]
pub struct ChildTasks {
    teller: Teller,
    running: BTreeMap<TaskId, Running>,
    ends: mpsc::UnboundedReceiver<Ended>,
    ended: mpsc::UnboundedSender<Ended>,
}

impl ChildTasks {
    /// No child yet.
    pub fn new(teller: Teller) -> ChildTasks {
        let (ended, ends) = mpsc::unbounded_channel();
        ChildTasks { teller, running: BTreeMap::new(), ends, ended }
    }

    /// Starts a task. One that does not start has failed, which is told, and heard of by [`ChildTasks::next_ended`]. A task that runs
    /// already is left alone.
    pub fn launch(&mut self, task: &TaskId, mut plan: ChildPlan) {
        if self.running.contains_key(task) {
            return tracing::warn!("task {task} runs already; it is not started again");
        }
        let (orders, taken) = mpsc::unbounded_channel();
        self.running.insert(task.clone(), Running { orders, grace: plan.grace });
        if plan.tells_starting {
            self.teller.state(task, TaskState::Starting);
        }
        match child::start(&mut plan) {
            Ok(started) => {
                self.teller.state(task, TaskState::Running);
                let (task, teller, ended) = (task.clone(), self.teller.clone(), self.ended.clone());
                tokio::spawn(async move {
                    let well = child::follow(started, task.clone(), plan, teller, taken).await;
                    // Nobody listens when the executor itself has ended.
                    let _ = ended.send(Ended { task, well });
                });
            }
            Err(why) => self.fail(task, &why),
        }
    }

    /// Tells that a task has failed before it ran.
    pub fn fail(&mut self, task: &TaskId, why: &str) {
        tracing::warn!("task {task} does not start: {why}");
        self.teller.state_because(task, TaskState::Failed, why);
        // The receiver is ours.
        let _ = self.ended.send(Ended { task: task.clone(), well: false });
    }

    /// Asks a task to end with SIGTERM, and ends it with SIGKILL when it has not within `grace`, or the time of its plan. May be
    /// repeated, with less time. Unknown tasks are none of ours.
    pub fn kill(&mut self, task: &TaskId, grace: Option<Duration>, why: &str) {
        match self.running.get(task) {
            // It may be ending at this moment; then there is nothing left to do.
            Some(running) => drop(running.orders.send(KillOrder { grace, why: why.to_owned() })),
            None => tracing::info!("task {task} does not run here; there is nothing to kill"),
        }
    }

    /// Which tasks run, or have ended but were not yet returned by [`ChildTasks::next_ended`].
    pub fn running(&self) -> impl Iterator<Item = &TaskId> {
        self.running.keys()
    }

    /// The next task that ended; waits for ever when none runs. May be dropped while it waits.
    pub async fn next_ended(&mut self) -> Ended {
        let ended = self.ends.recv().await.expect("this struct holds a sender");
        self.running.remove(&ended.task);
        ended
    }

    /// Ends all tasks, each within its own time, and waits until they have ended.
    pub async fn end_all(&mut self, why: &str) {
        self.end_all_within(Duration::MAX, why).await;
    }

    /// As [`ChildTasks::end_all`], but no task gets more than this time.
    pub async fn end_all_within(&mut self, longest: Duration, why: &str) {
        let tasks: Vec<(TaskId, Duration)> = self.running.iter().map(|(task, it)| (task.clone(), it.grace.min(longest))).collect();
        tasks.iter().for_each(|(task, grace)| self.kill(task, Some(*grace), why));
        while !self.running.is_empty() {
            self.next_ended().await;
        }
    }
}
