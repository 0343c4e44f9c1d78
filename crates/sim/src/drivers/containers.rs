//! Simulated containers and the executors in them: they outlive the agent, not the machine.
//!
//! It relies on the executor API alone, as any executor does. It never knows what the agent's core
//! thinks of it.

use std::collections::BTreeMap;

use holdfast_agent::{ContainerPlan, Exit, Found};
use holdfast_model::{ClaimId, TaskId, TaskInfo, TaskState, TaskStatus};

/// How far a task has come in its executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It was given, and has not begun.
    Given,
    /// It runs.
    Running,
    /// It has ended, and nothing of it runs.
    Ended,
}

/// A task in its executor.
#[derive(Clone, Debug)]
pub struct TaskRun {
    /// The description of the task.
    pub info: TaskInfo,
    /// How far the task has come.
    pub phase: Phase,
    /// The number of records that it has written.
    pub appended: u64,
}

/// An executor's process.
#[derive(Clone, Debug, Default)]
pub struct Executor {
    /// Its link to the agent.
    pub link: Option<u64>,
    /// Tasks that it was given.
    pub tasks: BTreeMap<TaskId, TaskRun>,
    /// Statuses that the agent has not acknowledged, oldest first.
    pub updates: Vec<TaskStatus>,
    /// Whether it is shutting down.
    pub leaving: bool,
}

impl Executor {
    /// Notes a status until it is acknowledged.
    pub(crate) fn owes(&mut self, status: TaskStatus) {
        self.updates.push(status);
    }

    /// Tasks that it was given and that it has not reported the end of.
    pub(crate) fn unreported(&self) -> Vec<TaskId> {
        self.tasks
            .iter()
            .filter(|(_, run)| run.phase != Phase::Ended)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Whether all that it was given has ended and been acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        !self.tasks.is_empty()
            && self.updates.is_empty()
            && self.tasks.values().all(|it| it.phase == Phase::Ended)
    }

    /// Tasks whose processes live.
    pub fn running(&self) -> impl Iterator<Item = &TaskRun> {
        self.tasks.values().filter(|it| it.phase == Phase::Running)
    }
}

/// The state of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It ended.
    Exited(Exit),
    /// It was running when the machine went down.
    Lost,
}

/// A container.
#[derive(Clone, Debug)]
pub struct Container {
    /// What it was started as, with the volumes that it sees now.
    pub plan: ContainerPlan,
    /// The state of the container.
    pub state: State,
    /// The executor in it.
    pub executor: Executor,
    /// Whether its end was ordered.
    pub doomed: bool,
}

impl Container {
    pub(crate) fn new(plan: ContainerPlan) -> Container {
        Container { plan, state: State::Running, executor: Executor::default(), doomed: false }
    }

    /// Whether anything of it runs.
    pub fn lives(&self) -> bool {
        self.state == State::Running
    }

    /// Whether it could write to this volume.
    pub fn may_write(&self, claim: &ClaimId) -> bool {
        let writes = |it: &holdfast_agent::VolumePlan| {
            it.label.claim == *claim && it.mode == holdfast_model::Mode::ReadWrite
        };
        self.lives() && self.plan.volumes.iter().any(writes)
    }

    /// How an agent finds it after a restart.
    pub(crate) fn found(&self) -> Found {
        match &self.state {
            State::Running => Found::Running,
            State::Exited(exit) => Found::Exited(exit.clone()),
            State::Lost => Found::Lost,
        }
    }
}

/// The status message of a task that is asked to end.
pub(crate) fn word_for(state: TaskState) -> &'static str {
    match state {
        TaskState::Killed => "killed on request",
        TaskState::Finished => "finished",
        _ => "its process died",
    }
}

/// An exit with a code.
pub(crate) fn exit(status: i32) -> Exit {
    let message =
        if status == 0 { "exited".to_owned() } else { format!("ended with status {status}") };
    Exit { status, out_of_memory: false, message }
}
