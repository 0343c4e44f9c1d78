//! The trait that a framework author implements: a service of numbered members, each with a volume
//! of its own.

use holdfast_model::{CommandInfo, Role, Scalar};

use crate::ledger::Member;

/// The resources that one member needs. Memory and disk are in megabytes (2^20 bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The number of processors.
    pub cpus: Scalar,
    /// The memory of the task.
    pub mem_mb: i64,
    /// The size of the volume.
    pub disk_mb: i64,
    /// The path of the volume, relative to the task's working directory.
    pub container_path: String,
}

/// How a member's task is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The command; without `executor` it is the task itself, with it the command of the executor.
    pub command: CommandInfo,
    /// Whether `command` starts the framework's own executor.
    pub executor: bool,
}

/// A stateful service, as its author describes it.
pub trait Service {
    /// The name of the service, which begins the names of its tasks and volumes. Letters, digits
    /// and `-`.
    fn name(&self) -> &str;
    /// The role for which its claims are reserved.
    fn role(&self) -> &Role;
    /// The principal that reserves; `None` without authentication.
    fn principal(&self) -> Option<&str> {
        None
    }
    /// The number of members that it shall have.
    fn members(&self) -> u32;
    /// The resources that a member needs.
    fn needs(&self, member: u32) -> Needs;
    /// The program of a member, given its state in the ledger.
    fn program(&self, member: &Member) -> Program;
    /// Whether two members may share an agent.
    fn may_share_agent(&self) -> bool {
        false
    }
    /// Whether a member may be given a volume or a task now. One that may not waits, and is asked about again with each offer and
    /// whenever a note has changed.
    fn may_start(&self, _member: &Member) -> bool {
        true
    }
    /// The time that a member's task, and its executor, may take to end, in milliseconds; `None` for the agent's default.
    fn end_grace_ms(&self) -> Option<u64> {
        None
    }
    /// Called with the state of a member: with each at the start, and then whenever the ledger has another.
    fn learnt(&mut self, _member: &Member) {}
    /// Called with a message of a member's executor. What it returns is kept as the member's note,
    /// durably.
    fn heard(&mut self, _member: &Member, _data: &[u8]) -> Option<Vec<u8>> {
        None
    }
}
