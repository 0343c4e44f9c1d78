//! The plan of a task that runs as a child process.
//!
//! It relies on the task's command. It never starts anything.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holdfast_model::{CommandInfo, Reason, TaskChecks, TaskInfo};

/// The default grace period between SIGTERM and SIGKILL (I10).
const GRACE: Duration = Duration::from_secs(3);

/// The destination of a task's output. Its errors go beside it, except with `Lines`, where they go
/// to this process's own.
pub enum Output {
    /// The output of this process.
    Inherit,
    /// The files `stdout` and `stderr` in this directory, appended.
    Files(PathBuf),
    /// Open files or pipes, the second for its errors.
    Open(OwnedFd, OwnedFd),
    /// A function that gets it line by line; lines longer than 64 KiB come in pieces.
    Lines(Box<dyn FnMut(&str) + Send>),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Inherit => f.write_str("Inherit"),
            Output::Files(dir) => f.debug_tuple("Files").field(dir).finish(),
            Output::Open(..) => f.write_str("Open"),
            Output::Lines(_) => f.write_str("Lines"),
        }
    }
}

/// Whether all that a child has printed until now can be read by others.
pub type Settled = Box<dyn Fn() -> bool + Send + Sync>;

/// Asked when a child has not ended well and was not asked to end: the limit that it met, with words
/// for people, if it met one.
pub type Limitation = Box<dyn Fn() -> Option<(Reason, String)> + Send + Sync>;

/// Asked when a child has ended and its output was read: what to tell people beside how it ended, such as the last error that it logged.
pub type LastWords = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// How a task is run as a child process.
pub struct ChildPlan {
    /// The command to run.
    pub command: CommandInfo,
    /// The working directory, which must exist.
    pub directory: PathBuf,
    /// Variables beside this process's own; those of the command come last.
    pub environment: Vec<(String, String)>,
    /// The destination of its output.
    pub output: Output,
    /// The grace period after SIGTERM, unless the kill gives another.
    pub grace: Duration,
    /// The greatest time that it may run; it fails when it takes longer.
    pub lifetime: Option<Duration>,
    /// What is looked at while it runs, in its directory and with its environment.
    pub checks: TaskChecks,
    /// Whether TASK_STARTING is reported before it starts.
    pub reports_starting: bool,
    /// Whether TASK_KILLING is reported before it is ended.
    pub reports_killing: bool,
    /// Asked again and again, for two seconds at most, before the end is reported.
    pub settled: Option<Settled>,
    /// Asked why it ended, when it did not end well.
    pub limitation: Option<Limitation>,
    /// Asked what it said last.
    pub last_words: Option<LastWords>,
}

impl fmt::Debug for ChildPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ChildPlan");
        shown.field("command", &self.command).field("directory", &self.directory);
        shown
            .field("output", &self.output)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl ChildPlan {
    /// Plans the task's own command in this directory.
    pub fn of(task: &TaskInfo, directory: &Path) -> ChildPlan {
        let mut plan = ChildPlan::new(task.command.clone().unwrap_or_default(), directory);
        plan.environment.push(("MESOS_TASK_ID".to_owned(), task.id.as_str().to_owned()));
        plan.grace = task.kill_grace_ms.map_or(GRACE, Duration::from_millis);
        plan
    }

    /// Plans this command in this directory.
    pub fn new(command: CommandInfo, directory: &Path) -> ChildPlan {
        ChildPlan {
            command,
            directory: directory.to_owned(),
            environment: Vec::new(),
            output: Output::Inherit,
            grace: GRACE,
            lifetime: None,
            checks: TaskChecks::default(),
            reports_starting: false,
            reports_killing: false,
            settled: None,
            limitation: None,
            last_words: None,
        }
    }

    /// Sets another destination of the output.
    pub fn output(self, output: Output) -> ChildPlan {
        ChildPlan { output, ..self }
    }
}
