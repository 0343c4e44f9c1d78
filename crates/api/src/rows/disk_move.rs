//! A disk that is moved from one agent to another.

use serde::{Deserialize, Serialize};

use super::words;

words! {
    /// How far it has come.
    DiskMoveState {
        /// The agent that has the claims is to say that it does not use the disk any more.
        Fencing = "fencing",
        /// The new agent is to take it over.
        Taking = "taking",
        /// It is not moved after all, and the agent that has the claims is to use it again.
        Lifting = "lifting",
        /// The claims are the new agent's, and the former one has yet to end them.
        Moved = "moved",
        /// It is cancelled, and the new agent is to say whether it has taken the disk over.
        Cancelling = "cancelling",
        /// It was cancelled by force, and the agent that was passed over is to say whether it had taken the disk over.
        Recalling = "recalling",
    }
}

/// A disk that is moved, as long as an agent has something to do about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskMoveRow {
    /// The uuid on its label.
    pub id: String,
    /// The agent that has its claims, or had them.
    pub from: String,
    /// Its host.
    pub from_hostname: String,
    /// The path of the disk there.
    pub from_root: String,
    /// The agent that takes it over, or has.
    pub to: String,
    /// Its host.
    pub to_hostname: String,
    /// The path of the disk there.
    pub root: String,
    /// How far it has come.
    pub state: DiskMoveState,
    /// The agent that has to do the next thing.
    pub waits_for: String,
    /// The host of that agent.
    pub waits_for_hostname: String,
    /// Whether that agent is connected.
    pub is_connected: bool,
    /// How many claims move.
    pub claims: usize,
    /// When it began, in milliseconds since 1970; absent when an older version began it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub since_ms: Option<u64>,
    /// Who asked for it.
    pub by: String,
    /// Why the agent that has the claims was passed over, if it was.
    #[serde(deserialize_with = "Option::deserialize")]
    pub reason: Option<String>,
    /// Who cancelled it, if somebody did.
    #[serde(deserialize_with = "Option::deserialize")]
    pub cancelled_by: Option<String>,
    /// Why that was done by force, if it was.
    #[serde(deserialize_with = "Option::deserialize")]
    pub cancel_reason: Option<String>,
}
