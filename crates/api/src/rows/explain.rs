//! Why a framework or a task is where it is, or is not.

use serde::{Deserialize, Serialize};

use super::{ClaimRow, OfferRow, TaskRow};

/// Why one agent is not enough, or is not offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainRow {
    /// The agent.
    pub agent: String,
    /// Its host.
    pub hostname: String,
    /// The role.
    pub role: String,
    /// The offer that is not enough; `None` where it was offered nothing.
    #[serde(deserialize_with = "Option::deserialize")]
    pub offer: Option<String>,
    /// Why not.
    pub reason: String,
}

/// An answer to "why".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// About whom.
    pub framework: String,
    /// Its name.
    pub name: String,
    /// The task that was asked about; `None` when it was the whole framework.
    #[serde(deserialize_with = "Option::deserialize")]
    pub task: Option<String>,
    /// How it stands, in a sentence.
    pub summary: String,
    /// The task in question, or all of the framework's.
    pub tasks: Vec<TaskRow>,
    /// The volumes of the task in question, and where they are.
    pub volumes: Vec<ClaimRow>,
    /// Offers that it holds.
    pub offers: Vec<OfferRow>,
    /// For each agent that it is not offered, or not enough of: why.
    pub reasons: Vec<ExplainRow>,
}
