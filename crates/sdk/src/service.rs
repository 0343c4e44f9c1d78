//! What a framework author writes down: a service of numbered members, each with a volume of its own.

use holdfast_model::{CommandInfo, Role, Scalar};

use crate::ledger::Member;

/// What one member needs. Memory and disk are in megabytes (2^20 bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Processor.
    pub cpus: Scalar,
    /// Memory.
    pub mem_mb: i64,
    /// The volume.
    pub disk_mb: i64,
    /// Where the volume shows, relative to the task's working directory.
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

/// A stateful service.
pub trait Service {
    /// Its name; begins the names of its tasks and volumes. Letters, digits and `-`.
    fn name(&self) -> &str;
    /// The role that its claims are reserved for.
    fn role(&self) -> &Role;
    /// Who reserves; `None` without authentication.
    fn principal(&self) -> Option<&str> {
        None
    }
    /// How many members it shall have.
    fn members(&self) -> u32;
    /// What a member needs.
    fn needs(&self, member: u32) -> Needs;
    /// How a member is run, given what its ledger says.
    fn program(&self, member: &Member) -> Program;
    /// Whether two members may share an agent.
    fn may_share_agent(&self) -> bool {
        false
    }
    /// A member's executor says something. What is returned is kept as the member's note, durably.
    fn heard(&mut self, _member: &Member, _data: &[u8]) -> Option<Vec<u8>> {
        None
    }
}
