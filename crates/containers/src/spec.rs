//! The types of this crate: the spec of a container, and what is found of one.
//!
//! Plain values that can be written as JSON, because the shim reads them from a file. They never
//! depend on the machine; what is rejected and why is in `spec_check`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The command of the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A line for `/bin/sh -c`.
    Shell(String),
    /// A program and its arguments, with no shell between.
    Argv {
        /// Path of the program (relative to the sandbox when it has a `/`), or a name that is
        /// looked up in the container's `PATH`.
        program: String,
        /// What follows `argv[0]`; `argv[0]` is `program`.
        args: Vec<String>,
    },
}

/// A volume and where the container sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// The volume's data directory on the host, absolute. It must exist: a missing volume is never
    /// created.
    pub source: PathBuf,
    /// The path at which it appears, relative to the sandbox; may have several parts, none of them
    /// `..`.
    pub container_path: String,
    /// Whether writes fail. This is enforced with namespaces only, since a symbolic link cannot do
    /// it.
    #[serde(default)]
    pub read_only: bool,
}

/// The limits of a container. They are enforced where the machine has cgroups and the agent is
/// root; otherwise only recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Thousandths of a cpu; a share of the machine under contention. 0 gives the smallest share.
    pub cpus_thousandths: u64,
    /// Bytes of memory, swap included; 0 for no limit. What is below 4 MiB is taken as 4 MiB:
    /// nothing starts in less.
    pub mem_bytes: u64,
    /// Whether `cpus_thousandths` is also a ceiling, even on an idle machine.
    #[serde(default)]
    pub cpu_is_ceiling: bool,
}

/// The specification of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// A uuid in lower-case text with dashes. Names the runtime directory and the cgroups.
    pub id: String,
    /// The command of the payload.
    pub command: Command,
    /// The whole environment; nothing of the agent's is inherited. `PATH` is added when missing,
    /// `HOLDFAST_CONTAINER_ID` always.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The working directory, absolute, existing; `stdout` and `stderr` are appended to inside it.
    pub sandbox: PathBuf,
    /// The user of the payload, a name or a number; `None` for the agent's own user.
    #[serde(default)]
    pub user: Option<String>,
    /// Volumes that the container sees.
    #[serde(default)]
    pub volumes: Vec<VolumeMount>,
    /// The limits of the container.
    #[serde(default)]
    pub limits: Limits,
    /// How much of its output is kept.
    #[serde(default)]
    pub output: crate::OutputLimits,
    /// Whether to use mount and pid namespaces when the launcher can; `false` leaves symbolic links
    /// and a plain process tree.
    pub isolate: bool,
    /// Where it is when it is inside another container; `None` for one that stands by itself.
    #[serde(default)]
    pub inside: Option<crate::Inside>,
}

/// A container whose payload runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The payload's process, as the host numbers it.
    pub pid: i32,
    /// Whether it was running already, so that this `start` began nothing.
    pub already_running: bool,
    /// The isolation that the container has.
    pub isolation: crate::Isolation,
}

/// How a container ended. By the time anyone can read one, no process of the container is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code of the payload, when it exited.
    pub code: Option<i32>,
    /// The signal that killed the payload, when one did.
    pub signal: Option<i32>,
    /// The container met its memory limit, the kernel killed a process of it, and the payload did
    /// not succeed.
    pub oom_killed: bool,
    /// One line for people that says what happened.
    pub message: String,
}

impl Exit {
    /// Whether the payload exited with code 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// A container found in the runtime directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The id of the container.
    pub id: String,
    /// The state of the container.
    pub state: FoundState,
}

/// The state of a container found in the runtime directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundState {
    /// Its shim lives but has not yet reported the payload (`list` only; `recover` waits for the
    /// report).
    Starting,
    /// The payload runs.
    Running {
        /// The payload's process.
        pid: i32,
    },
    /// It ended and is empty. A container that could not be started is here too, with neither code
    /// nor signal.
    Exited(Exit),
    /// Its shim died without an exit, so how the payload ended is not known. When `recover` returns
    /// it, it is empty.
    Lost {
        /// What is known about it, for people.
        message: String,
    },
    /// Its shim is dead and processes of it could not be killed. Its volumes must not be given to
    /// anyone.
    Stuck {
        /// The pids of the processes that are left.
        pids: Vec<i32>,
    },
}

/// What a container uses now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds of cpu in user mode since the start. Without cgroups: of processes that still live.
    pub cpu_user_s: f64,
    /// Seconds of cpu in the kernel since the start. Without cgroups: of processes that still live.
    pub cpu_system_s: f64,
    /// Bytes of anonymous memory (with cgroups), or the sum of resident sizes (without).
    pub mem_rss_bytes: u64,
    /// Bytes charged to the container, page cache included; 0 without cgroups.
    pub mem_total_bytes: u64,
    /// The enforced limit in bytes; 0 when there is none.
    pub mem_limit_bytes: u64,
    /// Processes of the container; shim and first process are not of it.
    pub processes: u64,
}

impl VolumeMount {
    /// Makes a writable volume.
    pub fn new(source: impl Into<PathBuf>, container_path: impl Into<String>) -> VolumeMount {
        VolumeMount {
            source: source.into(),
            container_path: container_path.into(),
            read_only: false,
        }
    }

    /// Makes the same volume read-only.
    pub fn read_only(mut self) -> VolumeMount {
        self.read_only = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_json_and_defaults_what_is_not_said() {
        let text = r#"{"id":"6f1c8a52-5a0a-4f6e-9d9b-0c4b7c2e1a11","command":{"argv":{"program":"db","args":["-d"]}},
            "sandbox":"/s","isolate":true,"limits":{"cpus_thousandths":500,"mem_bytes":1}}"#;
        let spec: ContainerSpec = serde_json::from_str(text).unwrap();
        assert_eq!(spec.command, Command::Argv { program: "db".into(), args: vec!["-d".into()] });
        assert!(spec.volumes.is_empty() && spec.user.is_none() && !spec.limits.cpu_is_ceiling);
        let again: ContainerSpec =
            serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn only_code_zero_is_success() {
        assert!(Exit { code: Some(0), ..Exit::default() }.succeeded());
        assert!(!Exit { code: Some(1), ..Exit::default() }.succeeded());
        assert!(!Exit { signal: Some(9), ..Exit::default() }.succeeded());
    }
}
