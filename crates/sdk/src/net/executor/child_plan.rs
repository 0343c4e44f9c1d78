//! How a task is run as a child process.
//!
//! It relies on the task's command. It never starts anything itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holdfast_model::{CommandInfo, TaskInfo};

/// How long a task may take to end after SIGTERM when nobody says (I10).
const GRACE: Duration = Duration::from_secs(3);

/// Where a task's output goes. Its errors go beside it, except with `Lines`, where they go to this process's own.
pub enum Output {
    /// To this process's own.
    Inherit,
    /// To the files `stdout` and `stderr` in this directory, appended.
    Files(PathBuf),
    /// Line by line to a function; lines longer than 64 KiB come in pieces.
    Lines(Box<dyn FnMut(&str) + Send>),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Inherit => f.write_str("Inherit"),
            Output::Files(dir) => f.debug_tuple("Files").field(dir).finish(),
            Output::Lines(_) => f.write_str("Lines"),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct ChildPlan {
    /// What to run.
    pub command: CommandInfo,
    /// Where; it must exist.
    pub directory: PathBuf,
    /// Variables beside this process's own; those of the command come last.
    pub environment: Vec<(String, String)>,
    /// Where its output goes.
    pub output: Output,
    /// How long it may take to end after SIGTERM, unless the kill says otherwise.
    pub grace: Duration,
    /// How long it may run at all; it fails when it takes longer.
    pub lifetime: Option<Duration>,
    /// Whether TASK_STARTING is told before it starts.
    pub tells_starting: bool,
    /// Whether TASK_KILLING is told before it is ended.
    pub tells_killing: bool,
}

impl ChildPlan {
    /// As the task's own command says, in this directory.
    pub fn of(task: &TaskInfo, directory: &Path) -> ChildPlan {
        let mut plan = ChildPlan::new(task.command.clone().unwrap_or_default(), directory);
        plan.environment.push(("MESOS_TASK_ID".to_owned(), task.id.as_str().to_owned()));
        plan.grace = task.kill_grace_ms.map_or(GRACE, Duration::from_millis);
        plan
    }

    /// This command, in this directory.
    pub fn new(command: CommandInfo, directory: &Path) -> ChildPlan {
        ChildPlan {
            command,
            directory: directory.to_owned(),
            environment: Vec::new(),
            output: Output::Inherit,
            grace: GRACE,
            lifetime: None,
            tells_starting: false,
            tells_killing: false,
        }
    }

    /// The same with its output somewhere else.
    pub fn output(self, output: Output) -> ChildPlan {
        ChildPlan { output, ..self }
    }
}
