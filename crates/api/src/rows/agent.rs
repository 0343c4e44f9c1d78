//! An agent, as the native API shows it.

use serde::{Deserialize, Serialize};

super::words! {
    /// How the master stands with an agent.
    AgentStanding {
        /// It is connected, and its last report was believed.
        Well = "well",
        /// It is connected, and begins nothing new: its own file system is nearly full.
        Full = "full",
        /// It is connected, and nothing of it is offered, by an operator's wish.
        Deactivated = "deactivated",
        /// What runs there is being ended, by an operator's wish.
        Draining = "draining",
        /// That is done: nothing runs there any more.
        Drained = "drained",
        /// It is opening its disks.
        Joining = "joining",
        /// It was asked to report again.
        Resyncing = "resyncing",
        /// It is not connected.
        Away = "away",
        /// It has lost data or belongs elsewhere, and is not believed.
        Fenced = "fenced",
        /// An operator has said that it will not come back.
        Gone = "gone",
    }
}

/// An agent of which nothing is offered, by an operator's wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeactivationRow {
    /// Who asked for it.
    pub by: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// What runs there is ended, too.
    #[serde(deserialize_with = "Option::deserialize")]
    pub drain: Option<DrainRow>,
}

/// What runs on an agent is ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRow {
    /// Whether nothing runs there any more.
    pub drained: bool,
    /// Whether the agent is marked gone then.
    pub mark_gone: bool,
    /// No task gets more time to end than this, in milliseconds; `None` leaves it to each task's own policy.
    #[serde(deserialize_with = "Option::deserialize")]
    pub max_grace_ms: Option<u64>,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentRow {
    /// Its id.
    pub id: String,
    /// Its host.
    pub hostname: String,
    /// `host:port` of its API.
    pub address: String,
    /// How it stands.
    pub state: AgentStanding,
    /// Why it is not well; or, when it is, what of it is used beyond what it has.
    #[serde(deserialize_with = "Option::deserialize")]
    pub why: Option<String>,
    /// Whether nothing of it is offered by an operator's wish, also while it is away.
    #[serde(deserialize_with = "Option::deserialize")]
    pub deactivated: Option<DeactivationRow>,
    /// All it has.
    pub total: String,
    /// What is neither used nor offered; nothing while the agent is not well, since nothing of it can be offered.
    pub free: String,
    /// What tasks and executors use.
    pub used: String,
    /// How many tasks live there.
    pub tasks: usize,
    /// How many volumes it has.
    pub volumes: usize,
    /// Grows with each change of a claim there, for changes that shall be made only while nothing has changed; 0 as long as it has told nothing.
    pub generation: u64,
    /// The version of its ledger that the masters know.
    pub ledger_version: u64,
    /// When it last (re)registered, in milliseconds since 1970.
    pub reregistered_ms: u64,
}
