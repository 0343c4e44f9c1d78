//! What tasks of a group want fetched: by a process of this executor for each of them, in its directory, before it starts.
//!
//! Relies on the container for user, limits and view of the machine, and on `containers` for the work. Nothing of it outlives the task: the
//! process leads a group of its own, which is ended as a whole. It goes past the agent's cache, which an executor cannot see.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use holdfast_containers::{signal_group, FetchPlan, FetchStep, GroupSignal, FETCH_PLAN_VARIABLE};
use holdfast_model::{FetchUri, TaskId};
use holdfast_sdk::net::executor::ChildPlan;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::fetch_worker::source_of;

/// The most of what a failing process said that is told, in characters.
const WORDS_CHARS_MAX: usize = 1000;

/// One task that waits for what it wants.
struct Waiting {
    plan: ChildPlan,
    /// The process group that fetches.
    group: u32,
    /// Why it is not wanted any more.
    stopped: Option<String>,
}

/// What became of it.
pub(super) enum Fetched {
    /// All is there; the task can start.
    Whole(Box<ChildPlan>),
    /// It is not to start: what failed.
    Failed(String),
    /// It was killed meanwhile, for this reason.
    Killed(String),
}

/// How a fetching process is bounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct FetchBounds {
    pub keep_free_bytes: u64,
    pub stall_s: u64,
}

/// The tasks that wait.
#[derive(Default)]
pub(super) struct Fetches {
    processes: JoinSet<(TaskId, Result<(), String>)>,
    waiting: BTreeMap<TaskId, Waiting>,
}

impl Fetches {
    /// Begins to fetch for a task, which starts by this plan.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(
        &mut self,
        task: &TaskId,
        uris: &[FetchUri],
        plan: ChildPlan,
        bounds: FetchBounds,
    ) -> Result<(), String> {
        let child = spawn(uris, &plan.directory, bounds)?;
        let group = child.id().ok_or("the fetcher ended before it began")?;
        self.waiting.insert(task.clone(), Waiting { plan, group, stopped: None });
        let task = task.clone();
        self.processes.spawn(async move { (task, end_of(child, group).await) });
        Ok(())
    }

    /// Stops fetching for a task; `false` when nothing is fetched for it.
    pub fn stop(&mut self, task: &TaskId, why: &str) -> bool {
        let Some(waiting) = self.waiting.get_mut(task) else { return false };
        waiting.stopped.get_or_insert_with(|| why.to_owned());
        signal_group(waiting.group, GroupSignal::Kill);
        true
    }

    /// Stops fetching altogether.
    pub fn stop_all(&mut self, why: &str) {
        let all: Vec<TaskId> = self.waiting.keys().cloned().collect();
        for task in all {
            self.stop(&task, why);
        }
    }

    /// Whether nothing is fetched.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next that is done; waits for ever when nothing is fetched. May be dropped while it waits.
    pub async fn next(&mut self) -> (TaskId, Fetched) {
        loop {
            match self.processes.join_next().await {
                Some(Ok((task, outcome))) => {
                    let Some(waiting) = self.waiting.remove(&task) else { continue };
                    let fetched = match (waiting.stopped, outcome) {
                        (Some(why), _) => Fetched::Killed(why),
                        (None, Ok(())) => Fetched::Whole(Box::new(waiting.plan)),
                        (None, Err(why)) => Fetched::Failed(why),
                    };
                    return (task, fetched);
                }
                // None of them panics or is aborted.
                Some(Err(error)) => tracing::error!("a fetcher was lost: {error}"),
                None => std::future::pending().await,
            }
        }
    }
}

fn spawn(uris: &[FetchUri], directory: &Path, bounds: FetchBounds) -> Result<Child, String> {
    let place = |uri: &FetchUri| FetchStep::Place {
        source: source_of(uri),
        cached: None,
        name: uri.name().to_owned(),
        executable: uri.executable,
        extract: uri.extract,
    };
    let FetchBounds { keep_free_bytes, stall_s } = bounds;
    let steps = uris.iter().map(place).collect();
    let plan = FetchPlan { steps, result: None, keep_free_bytes, stall_s };
    let cannot = |why: String| format!("the fetcher does not start: {why}");
    let plan = serde_json::to_string(&plan).map_err(|error| cannot(error.to_string()))?;
    let program = std::env::current_exe().map_err(|error| cannot(error.to_string()))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    Command::new(program)
        .arg("fetch-worker")
        .env_clear()
        .env("PATH", path)
        .env(FETCH_PLAN_VARIABLE, plan)
        .current_dir(directory)
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot(error.to_string()))
}

async fn end_of(child: Child, group: u32) -> Result<(), String> {
    let ended = child.wait_with_output().await;
    // Its clients, when it was ended before them.
    signal_group(group, GroupSignal::Kill);
    let ended = ended.map_err(|error| format!("the fetcher was lost: {error}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let line = said.lines().rev().find(|it| !it.trim().is_empty()).unwrap_or("it said nothing");
    Err(line.chars().filter(|it| !it.is_control()).take(WORDS_CHARS_MAX).collect())
}
