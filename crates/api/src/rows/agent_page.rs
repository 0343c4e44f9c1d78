//! What an agent's `/state` says of the ledger that it has, as far as masters can be begun anew from it.

use serde::{Deserialize, Serialize};

/// An agent's ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLedgerRow {
    /// The claims.
    pub claims: Vec<AgentClaimRow>,
    /// The cluster that it belongs to; `None` before its first registration.
    #[serde(deserialize_with = "Option::deserialize")]
    pub cluster: Option<String>,
    /// The executors that run there, with their tasks.
    pub executors: Vec<AgentExecutorRow>,
    /// Its host.
    pub hostname: String,
    /// The name that the cluster gave it; `None` before its first registration.
    #[serde(deserialize_with = "Option::deserialize")]
    pub id: Option<String>,
    /// How many commits it has seen.
    pub ledger_version: u64,
    /// The ledger's own name.
    pub node: String,
    /// The greatest term that it has obeyed.
    pub term: u64,
}

/// A claim of an agent's ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentClaimRow {
    /// Its id.
    pub id: String,
    /// What it is, in words.
    pub resource: String,
    /// How it stands by the ledger.
    pub state: String,
}

/// An executor on an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentExecutorRow {
    /// Its framework.
    pub framework_id: String,
    /// The ids of its tasks.
    pub tasks: Vec<String>,
}
