//! The endpoints of the time before the v1 API, with all that the tools that read them look for.
//!
//! Field names and the order of fields, which is mostly that of the alphabet, are as they always were.

mod agents;
mod amounts;
mod executors;
mod frameworks;
mod registry;
mod roles;
mod state;
mod tasks;

use std::collections::BTreeMap;

use holdfast_proto::mesos::v1;
use serde::Serialize;

pub(crate) use agents::{attributes, by_role, list};
pub use agents::{expected_agents, full_agents, AgentEntry, ExpectedAgent, FullAgentEntry};
pub use amounts::Amounts;
pub use executors::ExecutorEntry;
pub use frameworks::{completed_frameworks, frameworks, FrameworkEntry, FrameworkSummary};
pub use registry::{registry, Registry};
pub use roles::{roles, RoleEntry};
pub use state::{state, summary, State, Summary};
pub use tasks::{tasks, TaskEntry, TasksWanted};

/// A list under its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Listed {
    /// `/tasks`.
    Tasks(Vec<TaskEntry>),
    /// `/roles`.
    Roles(Vec<RoleEntry>),
}

/// `/slaves`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agents {
    /// Those that this leader has not heard of yet.
    pub recovered_slaves: Vec<ExpectedAgent>,
    /// Those that have come back.
    pub slaves: Vec<FullAgentEntry>,
}

/// `/frameworks`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Frameworks {
    /// Those that were removed.
    pub completed_frameworks: Vec<FrameworkEntry>,
    /// Those that are, or may come back.
    pub frameworks: Vec<FrameworkEntry>,
    /// Always none: each framework that has something here is one of the others.
    pub unregistered_frameworks: [(); 0],
}

/// What a page says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PageAnswer {
    /// `/state`.
    State(Box<State>),
    /// `/state-summary`.
    Summary(Box<Summary>),
    /// `/slaves`.
    Agents(Agents),
    /// `/frameworks`.
    Frameworks(Frameworks),
    /// Any of the lists.
    Listed(Listed),
    /// `/weights`.
    Weights(Vec<v1::WeightInfo>),
    /// `/flags`.
    Flags {
        /// Settings by their names.
        flags: BTreeMap<String, String>,
    },
    /// `/quota`.
    Quota(v1::quota::QuotaStatus),
    /// `/maintenance/schedule`.
    Schedule(v1::maintenance::Schedule),
    /// `/maintenance/status`.
    Maintenance(v1::maintenance::ClusterStatus),
    /// `/registrar(1)/registry`.
    Registry(Box<Registry>),
    /// `/files/debug`: which files and folders are shown, and where they are. A master shows none.
    Files {},
}

#[cfg(test)]
mod tests;
