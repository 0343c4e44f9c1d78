//! The executor's side: what runs inside of a container and starts the framework's tasks there.
//!
//! An executor is a loop: take the next input from [`Executor::next`], act, and report the outcome
//! through a [`Reporter`]. [`ChildTasks`] runs tasks as child processes, which is all that most
//! executors want. Executors outlive their agent: while that restarts they keep running, and report
//! everything that it has not acknowledged once it is back. An executor never loses a status.
//!
//! ```no_run
//! use holdfast_sdk::net::executor::{ChildPlan, ChildTasks, Environment, Executor, Happened, Event};
//!
//! # async fn run() -> holdfast_sdk::net::Result<()> {
//! let environment = Environment::from_env()?;
//! let mut executor = Executor::start(environment.clone());
//! let mut children = ChildTasks::new(executor.reporter());
//! loop {
//!     match executor.next_with(&mut children).await {
//!         Happened::Event(Event::Launch(task)) => children.launch(&task.id, ChildPlan::of(&task, &environment.sandbox)),
//!         Happened::Event(Event::Kill(task, grace)) => children.kill(&task, grace, "killed as asked"),
//!         Happened::Event(Event::Shutdown(_)) | Happened::Lost => break,
//!         Happened::Event(_) => {}
//!         Happened::Ended(ended) => println!("{} has ended", ended.task),
//!     }
//! }
//! children.end_all("the executor ends").await;
//! executor.reporter().settled_within(environment.shutdown_grace).await;
//! # Ok(())
//! # }
//! ```

mod checks;
mod child;
mod child_plan;
mod child_tasks;
mod durations;
mod environment;
mod exit_words;
mod link;
mod notices;
mod reporter;
mod signal;
mod soft_state;

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_model::{AgentId, ExecutorInfo, FrameworkInfo, TaskId, TaskInfo};
use holdfast_wire::ClientSettings;
use tokio::sync::mpsc;

pub use child_plan::{ChildPlan, LastWords, Limitation, Output, Settled};
pub use child_tasks::{ChildTasks, Ended};
pub use durations::{parse_duration, BadDuration};
pub use environment::{Environment, EnvironmentError};
pub use notices::{notices, Notices, Notifier};
pub use reporter::Reporter;
pub use signal::{SendToGroup, Signal};

/// The number of events that may wait.
const QUEUE_MAX: usize = 1024;

/// The agent's answer to a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The executor as its framework described it.
    pub executor: ExecutorInfo,
    /// The framework of the executor.
    pub framework: FrameworkInfo,
    /// The agent that runs the executor.
    pub agent: AgentId,
    /// The name or address under which the agent's machine is reached.
    pub hostname: String,
    /// The attributes of the agent that are texts, such as its rack.
    pub attributes: BTreeMap<String, String>,
}

/// What an agent tells an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The agent accepted the subscription, for the first time or again.
    Subscribed(Box<Welcome>),
    /// Start a task.
    Launch(Box<TaskInfo>),
    /// Start tasks together.
    LaunchGroup(Vec<TaskInfo>),
    /// End a task, within this time if one is given.
    Kill(TaskId, Option<Duration>),
    /// A message from the scheduler.
    Message(Vec<u8>),
    /// End all tasks and the executor, for this reason.
    Shutdown(String),
}

/// An event of an executor with children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The agent said something.
    Event(Event),
    /// A task has ended, which was reported.
    Ended(Ended),
    /// The agent is lost for good.
    Lost,
}

/// What comes next in the loop of an executor whose threads tell it something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// The agent said something, or a task has ended.
    Happened(Happened),
    /// A thread did.
    Noticed(T),
}

/// A connection to the agent that outlives the agent's restarts.
#[derive(Debug)]
pub struct Executor {
    heard: mpsc::Receiver<Event>,
    reporter: Reporter,
}

impl Executor {
    /// Begins to subscribe. Must be called within a tokio runtime. Dropping what it returns ends
    /// the connection.
    pub fn start(environment: Environment) -> Executor {
        Executor::start_with(environment, ClientSettings::default())
    }

    fn start_with(environment: Environment, settings: ClientSettings) -> Executor {
        let (listener, heard) = mpsc::channel(QUEUE_MAX);
        let (reporter, messages) = Reporter::new(environment.executor.clone());
        let link = link::Link::new(environment, settings, reporter.clone(), messages, listener);
        tokio::spawn(link.run());
        Executor { heard, reporter }
    }

    /// Returns the next input; `None` when the agent is lost for good, after a [`Event::Shutdown`].
    /// May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Event> {
        self.heard.recv().await
    }

    /// Returns the next input, or the next child that ended. May be dropped while it waits.
    pub async fn next_with(&mut self, children: &mut ChildTasks) -> Happened {
        tokio::select! {
            heard = self.heard.recv() => heard.map_or(Happened::Lost, Happened::Event),
            ended = children.next_ended() => Happened::Ended(ended),
        }
    }

    /// Returns the next input, the next child that ended, or the next notice of a thread of this executor. May be dropped while it
    /// waits.
    pub async fn next_of<T>(
        &mut self,
        children: &mut ChildTasks,
        notices: &mut Notices<T>,
    ) -> Next<T> {
        tokio::select! {
            happened = self.next_with(children) => Next::Happened(happened),
            notice = notices.next() => Next::Noticed(notice),
        }
    }

    /// The reporter of task statuses. Cheap to clone.
    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }
}
