//! A claim, as the native API shows it.

use serde::{Deserialize, Serialize};

use super::AgentStanding;

super::words! {
    /// What is claimed.
    ClaimKind {
        /// A volume.
        Volume = "volume",
        /// A reservation.
        Reservation = "reservation",
    }
}

super::words! {
    /// Where a claim is in its life.
    ClaimStanding {
        /// Its directory is not yet known to exist.
        Making = "making",
        /// It can be used.
        Ready = "ready",
        /// Its bytes are on their way to the trash.
        Destroying = "destroying",
        /// It cannot be used now.
        Missing = "missing",
    }
}

/// A claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimRow {
    /// Its uuid; a volume's directory bears it.
    pub id: String,
    /// What is claimed.
    pub kind: ClaimKind,
    /// Where it is in its life.
    pub state: ClaimStanding,
    /// What is wrong with it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub fault: Option<String>,
    /// The volume's name.
    #[serde(deserialize_with = "Option::deserialize")]
    pub volume: Option<String>,
    /// For whom.
    pub role: String,
    /// By whom.
    #[serde(deserialize_with = "Option::deserialize")]
    pub principal: Option<String>,
    /// The labels of its reservation, each `key=value`, or `key` when it has no value.
    pub labels: Vec<String>,
    /// What is held.
    pub resource: String,
    /// How much: MB for disk and memory, else a count.
    pub amount: f64,
    /// Bytes that a volume was found to use; `null` as long as it was not measured, and for a reservation. It is told again when it has
    /// changed by a 64th of the volume's size.
    #[serde(deserialize_with = "Option::deserialize")]
    pub used_bytes: Option<u64>,
    /// When that was measured, in milliseconds since 1970.
    #[serde(deserialize_with = "Option::deserialize")]
    pub used_measured_ms: Option<u64>,
    /// Where.
    pub agent: String,
    /// Its host.
    pub hostname: String,
    /// How the master stands with the agent.
    pub agent_state: AgentStanding,
    /// The disk that carries it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub disk: Option<String>,
    /// The path of its disk, of a reservation too; `None` for the agent's own file system, and for what is no disk.
    #[serde(deserialize_with = "Option::deserialize")]
    pub disk_root: Option<String>,
    /// The framework that made it; `None` when an operator did.
    #[serde(deserialize_with = "Option::deserialize")]
    pub framework: Option<String>,
    /// Whether nobody in particular holds it: an operator made it, or its framework was removed.
    pub unclaimed: bool,
    /// Whether several tasks may use it at once.
    #[serde(default)]
    pub shared: bool,
    /// The task that uses it now; of a shared volume the first of them.
    #[serde(deserialize_with = "Option::deserialize")]
    pub task: Option<String>,
    /// All tasks that use it now.
    #[serde(default)]
    pub users: Vec<UserRow>,
    /// Grows with each change.
    pub generation: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// The operation that made it: claims that one operation made belong together. `null` when it is not known.
    #[serde(default)]
    pub made_by_operation: Option<String>,
    /// What happened to it, oldest first.
    pub history: Vec<EventRow>,
}

impl ClaimRow {
    /// The tasks that use it now, in words: `None` when there are none.
    pub fn used_by(&self) -> Option<String> {
        let named = |it: &UserRow| format!("{} of framework {}", it.task, it.framework);
        match &self.users[..] {
            [] | [_] => self.task.clone(), // Whose it is says its holder.
            several => Some(several.iter().map(named).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// A task that uses a volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserRow {
    /// Its id.
    pub task: String,
    /// The framework that runs it.
    pub framework: String,
}

/// Something that happened to a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The generation after it.
    pub generation: u64,
    /// What.
    pub what: String,
    /// Who asked.
    pub by: String,
    /// Which operation that was, where what happened tells; `None` where it does not.
    #[serde(deserialize_with = "Option::deserialize")]
    pub operation: Option<String>,
}
