//! What a member runs, and by what it is checked.

use holdfast_model::{FetchUri, Scalar};

/// What a task is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// It goes on, and is started again when it ends.
    #[default]
    Running,
    /// It runs to its end before the one that goes on, once for each set of volumes that the member
    /// gets: formatting, say.
    Once,
}

/// A task of each member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpec {
    /// The name, unique in the pod.
    pub name: String,
    /// What it is for.
    pub goal: Goal,
    /// A line for `/bin/sh -c`.
    pub command: String,
    /// The processors that it uses.
    pub cpus: Scalar,
    /// The memory that it uses, in megabytes (2^20 bytes).
    pub mem_mb: u64,
    /// Variables of its environment. A value may name variables of the member as templates do.
    pub environment: Vec<(String, String)>,
    /// What is fetched into its working directory before it starts.
    pub uris: Vec<FetchUri>,
    /// Files that are written into its working directory before it starts.
    pub files: Vec<ConfigFile>,
    /// The user that it runs as; `None` = the service's.
    pub user: Option<String>,
    /// How long it may take to end when it is asked to, in milliseconds; `None` = the agent's default.
    pub kill_grace_ms: Option<u64>,
    /// A check that ends the task when it fails too often.
    pub health: Option<CheckSpec>,
    /// A check that must have passed before a plan goes on from the member.
    pub readiness: Option<CheckSpec>,
}

impl TaskSpec {
    /// A task that goes on, with nothing but a command and what it uses.
    pub fn new(name: &str, command: &str, cpus: Scalar, mem_mb: u64) -> TaskSpec {
        TaskSpec {
            name: name.to_owned(),
            goal: Goal::Running,
            command: command.to_owned(),
            cpus,
            mem_mb,
            environment: Vec::new(),
            uris: Vec::new(),
            files: Vec::new(),
            user: None,
            kill_grace_ms: None,
            health: None,
            readiness: None,
        }
    }
}

/// A file that is rendered for each member when its task is launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path in the working directory.
    pub path: String,
    /// The text; `{{NAME}}` stands for the variable `NAME` of the task. A name that is not known is
    /// an error, and `{{{{` stands for `{{`.
    pub template: String,
}

/// How a task is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckSpec {
    /// What is looked at.
    pub probe: ProbeSpec,
    /// From the task's start to the first look, in milliseconds.
    pub delay_ms: u64,
    /// From the end of a look to the next, in milliseconds.
    pub interval_ms: u64,
    /// How long a look may take, in milliseconds.
    pub timeout_ms: u64,
    /// Failures in this time after the start do not count (health only), in milliseconds.
    pub grace_ms: u64,
    /// So many failures in a row end the task (health only).
    pub failures_max: u32,
}

impl CheckSpec {
    /// A check with the usual times: a look each ten seconds, three failures.
    pub fn new(probe: ProbeSpec) -> CheckSpec {
        CheckSpec {
            probe,
            delay_ms: 0,
            interval_ms: 10_000,
            timeout_ms: 20_000,
            grace_ms: 10_000,
            failures_max: 3,
        }
    }
}

/// What is looked at. Ports are those of the pod, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeSpec {
    /// A line for `/bin/sh -c` beside the task; 0 is well.
    Command(String),
    /// An HTTP GET; 200 to 399 is well.
    Http {
        /// The name of the port.
        port: String,
        /// The path with its query, which begins with `/`.
        path: String,
    },
    /// A connection.
    Tcp {
        /// The name of the port.
        port: String,
    },
}
