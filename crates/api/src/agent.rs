//! Answers of an agent, from its view: the operator API and its pages.

mod containers;
mod frameworks;
mod operator;
mod page;

use std::collections::BTreeMap;
use std::path::Path;

use holdfast_model::{AgentId, ContainerId, ExecutorId, FrameworkId};

pub use containers::{containers, statistics, ContainerEntry};
pub use frameworks::{PageExecutor, PageFramework};
use holdfast_proto::mesos::v1;
pub use operator::{
    all_containers, executors, flags, frameworks, machine, operations, place_statuses, state,
    tasks, NestedRun, Surroundings,
};
pub use page::{page, AgentPage};

/// What an agent knows of itself and no view holds.
#[derive(Clone, Debug, Default)]
pub struct AgentFacts {
    /// What program it is.
    pub version: v1::VersionInfo,
    /// When it was started, in seconds since 1970.
    pub started_s: f64,
    /// Its settings, by their names.
    pub flags: BTreeMap<String, String>,
    /// The name under which it is reached.
    pub hostname: String,
    /// The address that it listens on.
    pub ip: String,
    /// The port that it listens on.
    pub port: u16,
    /// The host of its master, when it has but one.
    pub master_hostname: Option<String>,
    /// The folder of all sandboxes.
    pub sandboxes: String,
}

impl AgentFacts {
    /// The sandbox of one run of an executor.
    pub fn directory(
        &self,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
        container: ContainerId,
    ) -> String {
        let parts =
            [agent.as_str(), "frameworks", framework.as_str(), "executors", executor.as_str()];
        let executor =
            parts.iter().fold(Path::new(&self.sandboxes).to_owned(), |at, it| at.join(it));
        executor.join("runs").join(container.to_string()).to_string_lossy().into_owned()
    }
}

/// The sandbox that is kept of an executor that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedRun {
    /// Whose it was.
    pub framework: String,
    /// Its id.
    pub executor: String,
    /// The container that it lived in.
    pub container: String,
    /// Its sandbox.
    pub directory: String,
}

#[cfg(test)]
mod tests;
