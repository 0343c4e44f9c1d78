//! The executor's side: what runs inside of a container and starts the framework's tasks there.
//!
//! An executor is a loop: take the next thing [`Executor::next`] hears, act, and say what became of it through a [`Teller`].
//! [`ChildTasks`] runs tasks as child processes, which is all that most executors want. Executors outlive their agent: while that
//! restarts they keep running, and tell it everything it has not acknowledged once it is back. It never loses a status.
//!
//! ```no_run
//! use holdfast_sdk::net::executor::{ChildPlan, ChildTasks, Environment, Executor, Happened, Heard};
//!
//! # async fn run() -> holdfast_sdk::net::Result<()> {
//! let environment = Environment::from_env()?;
//! let mut executor = Executor::start(environment.clone());
//! let mut children = ChildTasks::new(executor.teller());
//! loop {
//!     match executor.next_with(&mut children).await {
//!         Happened::Heard(Heard::Launch(task)) => children.launch(&task.id, ChildPlan::of(&task, &environment.sandbox)),
//!         Happened::Heard(Heard::Kill(task, grace)) => children.kill(&task, grace, "killed as asked"),
//!         Happened::Heard(Heard::Shutdown(_)) | Happened::Lost => break,
//!         Happened::Heard(_) => {}
//!         Happened::Ended(ended) => println!("{} has ended", ended.task),
//!     }
//! }
//! children.end_all("the executor ends").await;
//! executor.teller().settled_within(environment.shutdown_grace).await;
//! # Ok(())
//! # }
//! ```

mod child;
mod child_plan;
mod child_tasks;
mod durations;
mod environment;
mod link;
mod signal;
mod soft_state;
mod teller;

use std::time::Duration;

use holdfast_model::{AgentId, ExecutorInfo, FrameworkInfo, TaskId, TaskInfo};
use holdfast_wire::ClientSettings;
use tokio::sync::mpsc;

pub use child_plan::{ChildPlan, Output};
pub use child_tasks::{ChildTasks, Ended};
pub use durations::{parse_duration, BadDuration};
pub use environment::{Environment, EnvironmentError};
pub use teller::Teller;

/// How many events may wait.
const QUEUE_MAX: usize = 1024;

/// Who welcomed the executor, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The executor as its framework described it.
    pub executor: ExecutorInfo,
    /// The framework.
    pub framework: FrameworkInfo,
    /// The agent.
    pub agent: AgentId,
}

/// What an executor hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The agent is there: for the first time, or again.
    Subscribed(Box<Welcome>),
    /// Start a task.
    Launch(Box<TaskInfo>),
    /// Start tasks together.
    LaunchGroup(Vec<TaskInfo>),
    /// End a task; within this time, if one is given.
    Kill(TaskId, Option<Duration>),
    /// From the scheduler.
    Message(Vec<u8>),
    /// End all tasks, and yourself; and why.
    Shutdown(String),
}

/// What happens to an executor with children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The agent says.
    Heard(Heard),
    /// A task has ended, and was told to have.
    Ended(Ended),
    /// The agent is lost for good.
    Lost,
}

/// A connection to the agent that outlives the agent's restarts.
#[derive(Debug)]
pub struct Executor {
    heard: mpsc::Receiver<Heard>,
    teller: Teller,
}

impl Executor {
    /// Begins to subscribe. Must be called within a tokio runtime. Dropping what it returns ends the connection.
    pub fn start(environment: Environment) -> Executor {
        Executor::start_with(environment, ClientSettings::default())
    }

    fn start_with(environment: Environment, settings: ClientSettings) -> Executor {
        let (listener, heard) = mpsc::channel(QUEUE_MAX);
        let (teller, messages) = Teller::new(environment.executor.clone());
        let link = link::Link::new(environment, settings, teller.clone(), messages, listener);
        tokio::spawn(link.run());
        Executor { heard, teller }
    }

    /// The next thing heard; `None` when the agent is lost for good, after [`Heard::Shutdown`] said so. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }

    /// The next thing heard, or the next child that ended. May be dropped while it waits.
    pub async fn next_with(&mut self, children: &mut ChildTasks) -> Happened {
        tokio::select! {
            heard = self.heard.recv() => heard.map_or(Happened::Lost, Happened::Heard),
            ended = children.next_ended() => Happened::Ended(ended),
        }
    }

    /// Says what becomes of tasks. Cheap to clone.
    pub fn teller(&self) -> Teller {
        self.teller.clone()
    }
}
