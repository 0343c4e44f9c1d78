//! A claim that has ended, and what was claimed at some time, as the native API shows them.

use serde::{Deserialize, Serialize};

use super::{ClaimKind, EventRow};

super::words! {
    /// Where the bytes of a volume that has ended are.
    EndedData {
        /// In the trash of its disk, from where it can be brought back.
        InTrash = "in the trash",
        /// Nothing is left of them, or something is just being removed.
        Removed = "removed",
        /// Where they were: the volume was given up.
        Untouched = "not touched",
        /// Nobody has said, since its agent is away.
        Unknown = "not known now",
    }
}

/// A claim that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndedClaimRow {
    /// Its place among all that ended, in the order in which the masters learnt of them.
    pub number: u64,
    /// Its uuid.
    pub id: String,
    /// What was claimed.
    pub kind: ClaimKind,
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
    /// What was held.
    pub resource: String,
    /// How much, until its end: MB for disk and memory, else a count.
    pub amount: f64,
    /// Where.
    pub agent: String,
    /// Its host.
    pub hostname: String,
    /// The disk that carried it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub disk: Option<String>,
    /// The path of its disk, of a reservation too; `None` for the agent's own file system, and for what is no disk.
    #[serde(deserialize_with = "Option::deserialize")]
    pub disk_root: Option<String>,
    /// The framework that made it; `None` when an operator did, or several frameworks a part each.
    #[serde(deserialize_with = "Option::deserialize")]
    pub framework: Option<String>,
    /// The number of its changes, its end among them.
    pub generation: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it ended, in milliseconds since 1970; where nobody said, when the masters noticed.
    pub ended_ms: u64,
    /// How it ended; `None` when its agent merely does not have it any more, and nobody said why.
    #[serde(deserialize_with = "Option::deserialize")]
    pub how: Option<String>,
    /// Who asked for that, as far as anybody said.
    #[serde(deserialize_with = "Option::deserialize")]
    pub by: Option<String>,
    /// Why its agent was marked gone, if it ended by that and somebody said why.
    #[serde(deserialize_with = "Option::deserialize")]
    pub reason: Option<String>,
    /// Where a volume's bytes are; `None` for a reservation.
    #[serde(deserialize_with = "Option::deserialize")]
    pub data: Option<EndedData>,
    /// What happened to it, oldest first.
    pub history: Vec<EventRow>,
}

/// What was claimed at some time, as far as that is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimsAt {
    /// The time, in milliseconds since 1970.
    pub at_ms: u64,
    /// From when on all claims are known, in milliseconds since 1970; of those that ended before some may be missing.
    pub known_since_ms: u64,
    /// Whether all that was claimed then is known.
    pub complete: bool,
    /// What was claimed then.
    pub claims: Vec<PastClaimRow>,
}

/// A claim as it was at some time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastClaimRow {
    /// Its uuid.
    pub id: String,
    /// What was claimed.
    pub kind: ClaimKind,
    /// The volume's name.
    #[serde(deserialize_with = "Option::deserialize")]
    pub volume: Option<String>,
    /// For whom.
    pub role: String,
    /// What was held.
    pub resource: String,
    /// How much: MB for disk and memory, else a count; `None` when it has changed since and is not remembered.
    #[serde(deserialize_with = "Option::deserialize")]
    pub amount: Option<f64>,
    /// Where.
    pub agent: String,
    /// Its host.
    pub hostname: String,
    /// The path of its disk; `None` for the agent's own file system, and for what is no disk.
    #[serde(deserialize_with = "Option::deserialize")]
    pub disk_root: Option<String>,
    /// The framework that made it, as last known; `None` when an operator did, or several frameworks a part each.
    #[serde(deserialize_with = "Option::deserialize")]
    pub framework: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// What had happened to it last.
    #[serde(deserialize_with = "Option::deserialize")]
    pub last: Option<EventRow>,
    /// When it ended, in milliseconds since 1970; `None` when it is still there.
    #[serde(deserialize_with = "Option::deserialize")]
    pub ended_ms: Option<u64>,
}
