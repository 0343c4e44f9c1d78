//! What it would mean if an agent left, as the native API shows it, and the agents that are gone.

use serde::{Deserialize, Serialize};

use super::{AgentStanding, ClaimKind, HolderRow};

/// What it would mean if an agent left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeavingPlan {
    /// `MARK_AGENT_GONE`, `DRAIN_AGENT` or `START_MAINTENANCE`.
    pub action: String,
    /// Which.
    pub agent: String,
    /// What is claimed there.
    pub claims: Vec<LeavingClaimRow>,
    /// The tasks that would end.
    pub ends_tasks: Vec<LeavingTaskRow>,
    /// Its host.
    pub hostname: String,
    /// How it stands.
    pub state: AgentStanding,
}

/// A task on an agent that leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeavingTaskRow {
    /// Its framework.
    pub framework: String,
    /// The name of that.
    pub framework_name: String,
    /// How long it may take to end, in milliseconds; `None` when nobody waits for it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub grace_ms: Option<u64>,
    /// Its id.
    pub task: String,
    /// Its volumes there.
    pub volumes: Vec<String>,
    /// Whether they wait for it, or another one, to come back to them.
    pub waits: bool,
}

/// A claim on an agent that leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeavingClaimRow {
    /// How much: MB for disk and memory, else a count.
    pub amount: f64,
    /// What would become of it.
    pub becomes: String,
    /// Its uuid.
    pub claim: String,
    /// The path of its disk; `None` for the agent's own file system, and for what is no disk.
    #[serde(deserialize_with = "Option::deserialize")]
    pub disk_root: Option<String>,
    /// The framework that made it, if one did.
    #[serde(deserialize_with = "Option::deserialize")]
    pub holder: Option<HolderRow>,
    /// What is claimed.
    pub kind: ClaimKind,
    /// What is held.
    pub resource: String,
    /// For whom.
    pub role: String,
    /// The volume's name.
    #[serde(deserialize_with = "Option::deserialize")]
    pub volume: Option<String>,
}

/// An agent that an operator has marked gone: its death certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneAgentRow {
    /// Who said so.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub gone_ms: u64,
    /// Its host.
    pub hostname: String,
    /// Its id.
    pub id: String,
    /// Why, in that person's words.
    #[serde(deserialize_with = "Option::deserialize")]
    pub reason: Option<String>,
}
