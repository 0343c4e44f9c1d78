//! Answers of the Mesos v1 operator API of a master, from its view.

mod agents;
mod events;
mod executors;
mod frameworks;
mod maintenance;
mod operations;
mod roles;
mod tasks;

use holdfast_model::convert::{resource, Format};
use holdfast_model::{AgentId, FrameworkId, Instant, Resources};
use holdfast_proto::mesos::v1::{self, master::response as api, MasterInfo, VersionInfo};

pub use agents::{agents, AGENT_CAPABILITIES};
pub(crate) use agents::{drain_info, is_expected};
pub use events::{events, subscribed};
pub use executors::executors;
pub use frameworks::frameworks;
pub use maintenance::{maintenance_status, schedule};
pub use operations::operations;
pub use roles::{quota, roles, weights};
pub use tasks::{task, tasks};

use crate::MasterView;

/// What a master knows of itself and no view holds.
#[derive(Clone, Debug)]
pub struct MasterFacts {
    /// Who it is.
    pub info: MasterInfo,
    /// What program it is.
    pub version: VersionInfo,
    /// When it began to lead, in seconds since 1970.
    pub started_s: f64,
    /// Its settings, by their names.
    pub flags: std::collections::BTreeMap<String, String>,
}

/// All of it, at one moment.
pub fn state(view: &MasterView) -> api::GetState {
    api::GetState {
        get_tasks: Some(tasks(view)),
        get_executors: Some(executors(view)),
        get_frameworks: Some(frameworks(view)),
        get_agents: Some(agents(view)),
    }
}

/// The master itself.
pub fn master(facts: &MasterFacts) -> api::GetMaster {
    api::GetMaster {
        master_info: Some(facts.info.clone()),
        start_time: Some(facts.started_s),
        elected_time: Some(facts.started_s),
    }
}

fn agent_id(id: &AgentId) -> v1::AgentId {
    v1::AgentId { value: id.as_str().to_owned() }
}

fn framework_id(id: &FrameworkId) -> v1::FrameworkId {
    v1::FrameworkId { value: id.as_str().to_owned() }
}

fn time(at: Instant) -> v1::TimeInfo {
    v1::TimeInfo { nanoseconds: i64::try_from(at.0.saturating_mul(1_000_000)).unwrap_or(i64::MAX) }
}

fn list(resources: &Resources) -> Vec<v1::Resource> {
    resource::sum_to_proto(resources, Format::ENDPOINT)
}

#[cfg(test)]
mod tests;
