//! The read endpoints of the time before the v1 API: enough for the tools that still read them.
//!
//! Field names and the order of fields, which is that of the alphabet, are as they always were.

mod agents;
mod frameworks;
mod roles;
mod state;
mod tasks;

use holdfast_model::Resources;
use serde::Serialize;

pub use agents::{agents, AgentEntry};
pub use frameworks::{frameworks, FrameworkEntry};
pub use roles::{roles, RoleEntry};
pub use state::{state, summary, State, Summary};
pub use tasks::{tasks, TaskEntry, TasksWanted};

/// Flat amounts, as the old endpoints give them: whatever is reserved and whatever is not, in one sum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Amounts {
    cpus: f64,
    disk: f64,
    gpus: f64,
    mem: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<String>,
}

impl Amounts {
    /// The sums of these resources.
    pub fn of(resources: &Resources) -> Amounts {
        let sum = |name: &str| resources.quantity(name).to_f64();
        let ports = resources.entries().filter(|(identity, _)| identity.name == "ports").last();
        Amounts {
            cpus: sum("cpus"),
            disk: sum("disk"),
            gpus: sum("gpus"),
            mem: sum("mem"),
            ports: ports.map(|(_, amount)| amount.value.to_string()),
        }
    }
}

/// A list under its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Listed {
    /// `/slaves`.
    Slaves(Vec<AgentEntry>),
    /// `/frameworks`.
    Frameworks(Vec<FrameworkEntry>),
    /// `/tasks`.
    Tasks(Vec<TaskEntry>),
    /// `/roles`.
    Roles(Vec<RoleEntry>),
}

/// What a page says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PageAnswer {
    /// `/state`.
    State(Box<State>),
    /// `/state-summary`.
    Summary(Box<Summary>),
    /// Any of the lists.
    Listed(Listed),
}

#[cfg(test)]
mod tests;
