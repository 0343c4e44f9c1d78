//! What a service shall be: its pods, and what each member of a pod needs, runs and is checked by.
//!
//! Plain values with their rules ([`ServiceSpec::check`]) and the rules of their change ([`change`]).
//! It never reads a file: whoever parses one makes these values, and finds the place of an error by
//! its path. Nothing that a spec says is ignored: what cannot be done is refused with its reason.

mod change;
mod check;
mod error;
mod placement;
mod task;
mod template;
#[cfg(test)]
pub(crate) mod testbed;
mod words;

pub use change::{change, Consequence, Difference, Refusal};
pub use check::{
    COUNT_MAX, FILES_BYTES_MAX, FILES_MAX, NAME_BYTES_MAX, PODS_MAX, PORTS_MAX, SIZE_MB_MAX,
    TASKS_MAX, VALUE_BYTES_MAX, VARIABLES_MAX, VOLUMES_MAX,
};
pub use error::SpecError;
use holdfast_model::Role;
pub use placement::{Attribute, Condition, Placement};
pub use task::{CheckSpec, ConfigFile, Goal, ProbeSpec, TaskSpec};
pub use template::render;

/// A service: what its author wants to run, as one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// The name, which begins the names of its tasks and volumes. Lower-case letters, digits and `-`.
    pub name: String,
    /// The role for which its claims are reserved.
    pub role: Role,
    /// The principal that reserves; `None` without authentication.
    pub principal: Option<String>,
    /// The user that its tasks run as where a task names none; `None` = the framework's.
    pub user: Option<String>,
    /// The kinds of its members.
    pub pods: Vec<PodSpec>,
}

/// One kind of members, such as the data nodes of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSpec {
    /// The name, unique in the service. Lower-case letters, digits and `-`.
    pub name: String,
    /// How many members there shall be, numbered from 0.
    pub count: u32,
    /// Where members may be.
    pub placement: Placement,
    /// The volumes that each member has for life. Without any the members have no state.
    pub volumes: Vec<VolumeSpec>,
    /// The ports that each member has for life.
    pub ports: Vec<PortSpec>,
    /// What each member runs: one-shot tasks in their order, then the one that goes on.
    pub tasks: Vec<TaskSpec>,
    /// What becomes of a member whose agent is lost. A task that ended is always started again in
    /// place.
    pub recovery: Recovery,
    /// In which order plans treat the members.
    pub strategy: Strategy,
}

/// One volume of each member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSpec {
    /// The path where it shows in the task's working directory; its name within the pod.
    pub path: String,
    /// The size in megabytes (2^20 bytes).
    pub size_mb: u64,
    /// The kind of disk that it may lie on.
    pub class: DiskClass,
}

/// The kinds of disks that a volume may lie on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DiskClass {
    /// Whatever is offered.
    #[default]
    Any,
    /// The disk of the agent itself.
    Root,
    /// A part of a disk that several volumes share.
    Path,
    /// A whole disk, which is the member's alone.
    Mount,
    /// A disk with this profile.
    Profile(String),
}

/// One port of each member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// The name, unique in the pod; the task finds the number in `PORT_NAME`.
    pub name: String,
    /// How the number is chosen.
    pub number: PortNumber,
    /// Whether it is among the endpoints of the service.
    pub publish: bool,
}

/// How a port's number is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortNumber {
    /// This one, on every agent.
    Fixed(u16),
    /// Chosen from an offer once, and reserved with the rest: the member's until it is replaced.
    KeptForLife,
}

/// What becomes of a member whose agent is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// It waits for its agent and its volumes.
    #[default]
    Wait,
    /// It is replaced when its agent has been lost for so many milliseconds.
    ReplaceAfter(u64),
    /// It waits, and a plan that stands still asks whether it shall be replaced.
    Ask,
}

/// In which order a plan treats the members of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// One after the other, by number.
    #[default]
    Serial,
    /// All at once. A change of topology is always made one after the other.
    Parallel,
    /// So many first, one after the other; the rest waits until somebody resumes the plan.
    Canary(u32),
    /// Group after group of those whose agents have one value of this attribute, each group one
    /// after the other.
    ByAttribute(String),
}

impl ServiceSpec {
    /// The pod of that name.
    pub fn pod(&self, name: &str) -> Option<&PodSpec> {
        self.pods.iter().find(|it| it.name == name)
    }

    /// Whether all of it can be done as it is said.
    ///
    /// # Errors
    /// Everything that is wrong, each with its path, such as `pods.data.volumes[0].size_mb`.
    pub fn check(&self) -> Result<(), Vec<SpecError>> {
        check::service(self)
    }
}

impl PodSpec {
    /// The task that goes on.
    pub fn main(&self) -> Option<&TaskSpec> {
        self.tasks.iter().find(|it| it.goal == Goal::Running)
    }

    /// The one-shot tasks before it, in order.
    pub fn once(&self) -> impl Iterator<Item = &TaskSpec> {
        self.tasks.iter().filter(|it| it.goal == Goal::Once)
    }

    /// The task of that name.
    pub fn task(&self, name: &str) -> Option<&TaskSpec> {
        self.tasks.iter().find(|it| it.name == name)
    }

    /// The port of that name.
    pub fn port(&self, name: &str) -> Option<&PortSpec> {
        self.ports.iter().find(|it| it.name == name)
    }
}

impl PortSpec {
    /// The variable in which a task finds the number.
    pub fn variable(&self) -> String {
        format!("PORT_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }
}
