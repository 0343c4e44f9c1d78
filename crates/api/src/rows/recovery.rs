//! What the recovery of an agent would give back, and what of it was found on its disks.

use serde::{Deserialize, Serialize};

use super::words;

words! {
    /// How a claim was found that an agent is to have again.
    RecoveredStanding {
        /// A volume that lies on its disk, labelled as the claim says.
        Found = "found",
        /// A reservation; nothing on a disk speaks of it.
        Reserved = "reserved",
        /// Its disk is not there, or cannot be used.
        DiskMissing = "disk missing",
        /// Its disk is there, and the volume is not on it.
        NotFound = "not found",
        /// Its disk is there; whether the volume is on it is seen afterwards.
        NotSeen = "not seen",
        /// What was found contradicts the claim.
        Conflict = "conflict",
    }
}

words! {
    /// By whom a claim is known.
    KnownBy {
        /// By the masters alone: the agent's ledger has lost it.
        Masters = "masters",
        /// By the agent alone.
        Agent = "agent",
        /// By both.
        Both = "both",
    }
}

/// A claim that an agent is to have again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecoveredClaimRow {
    /// How much of it.
    pub amount: f64,
    /// Its id.
    pub claim: String,
    /// The uuid of its disk, if it is a volume.
    #[serde(deserialize_with = "Option::deserialize")]
    pub disk: Option<String>,
    /// The path of that disk, as the claim names it; `None` for the agent's own file system.
    #[serde(deserialize_with = "Option::deserialize")]
    pub disk_root: Option<String>,
    /// The framework that made it, if one did.
    #[serde(deserialize_with = "Option::deserialize")]
    pub framework: Option<String>,
    /// By whom it is known.
    pub known_by: KnownBy,
    /// What is held, such as `disk`.
    pub resource: String,
    /// For which role.
    pub role: String,
    /// How it was found.
    pub state: RecoveredStanding,
    /// The volume's name, if it is one.
    #[serde(deserialize_with = "Option::deserialize")]
    pub volume: Option<String>,
    /// What there is to say about how it was found.
    #[serde(deserialize_with = "Option::deserialize")]
    pub why: Option<String>,
}

/// A volume on a disk of the agent that is not among the claims that it gets back. It is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftVolumeRow {
    /// The uuid of its disk.
    pub disk: String,
    /// The path of that disk.
    pub disk_root: String,
    /// Its uuid: the claim that it was made for.
    pub id: String,
    /// The role that it was made for.
    pub role: String,
    /// Its size in MB when it was made.
    pub size_mb: u64,
    /// Its name.
    pub volume: String,
    /// Why it is no claim of the agent.
    pub why: String,
}

/// A claim that the agent's ledger has, and that is not the agent's any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverClaimRow {
    /// Its id.
    pub claim: String,
    /// What it held.
    pub what: String,
    /// What became of it.
    pub why: String,
}

/// What the recovery of an agent would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecoverPlan {
    /// The version of its ledger that the masters had acknowledged.
    pub acknowledged_version: u64,
    /// `RECOVER_AGENT`.
    pub action: String,
    /// Which.
    pub agent: String,
    /// What it has afterwards.
    pub claims: Vec<RecoveredClaimRow>,
    /// The host of the ledger that gets them.
    pub hostname: String,
    /// That ledger, as it calls itself now.
    pub ledger: String,
    /// Its version.
    pub ledger_version: u64,
    /// Whether it is a new one, since the agent's own was lost; else it is an older copy, or another one.
    pub lost: bool,
    /// Volumes on its disks that are left as they are.
    pub orphans: Vec<LeftVolumeRow>,
    /// What its ledger has, and that is not its any more.
    pub over: Vec<OverClaimRow>,
    /// Names this plan; another one is made when anything of it has changed.
    pub plan: String,
}
