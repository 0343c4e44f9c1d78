//! What a framework that is not there yet could be offered of an agent.

use serde::{Deserialize, Serialize};

/// What could be offered of one agent, or why nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutlookRow {
    /// The agent.
    pub agent: String,
    /// Its host.
    pub hostname: String,
    /// What could be offered.
    pub resources: String,
    /// The same as an offer of the Mesos v1 API, with the attributes of the agent, in JSON; `None` where nothing could be offered.
    #[serde(deserialize_with = "Option::deserialize")]
    pub offer: Option<String>,
    /// Why nothing could be offered.
    pub reasons: Vec<String>,
}
