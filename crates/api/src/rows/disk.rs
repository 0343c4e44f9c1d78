//! A disk, as the native API shows it.

use serde::{Deserialize, Serialize};

super::words! {
    /// What kind of place a disk is.
    DiskPlace {
        /// The agent's own file system.
        Root = "root",
        /// A shared directory.
        Path = "path",
        /// A whole file system.
        Mount = "mount",
    }
}

/// A whole volume on a disk that no claim stands for, as its label tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanRow {
    /// Its uuid: that of the claim that it was made for.
    pub id: String,
    /// The name that its framework or operator gave it.
    pub volume: String,
    /// The role that it was made for.
    pub role: String,
    /// Its size in MB (2^20 bytes) when it was made.
    pub size_mb: u64,
    /// Whether its label says that several tasks may use it at a time; it stays so when it is adopted.
    #[serde(default)]
    pub shared: bool,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskRow {
    /// Its uuid; written on it.
    pub id: String,
    /// The agent that has it.
    pub agent: String,
    /// Its host.
    pub hostname: String,
    /// What kind of place it is.
    pub kind: DiskPlace,
    /// Its path.
    pub root: String,
    /// Its size in MB (2^20 bytes).
    pub size_mb: u64,
    /// MB that volumes take.
    pub volumes_mb: i64,
    /// How many volumes it carries.
    pub volumes: usize,
    /// MB that nobody has claimed of it, and that are there to be claimed.
    pub unclaimed_mb: u64,
    /// MB that its volumes were found to use; `null` as long as they were not measured.
    #[serde(deserialize_with = "Option::deserialize")]
    pub used_mb: Option<u64>,
    /// What keeps its volumes to their sizes: `none`, `image`, or a soft limit (`soft:report`, `soft:refuse`, `soft:stop`), which is measured and
    /// prevents no write. `null` as long as it was not measured, or when an older agent does not say.
    #[serde(deserialize_with = "Option::deserialize")]
    pub limit: Option<String>,
    /// MB that lie in its trash, and are given back when a volume needs them.
    pub trash_mb: u64,
    /// MB that are claimed of its file system, not used yet, and not there: other files take them.
    pub overcommitted_mb: u64,
    /// Its file system: disks of one agent with the same name here share their space. `null` as long as it was not measured.
    #[serde(deserialize_with = "Option::deserialize")]
    pub file_system: Option<String>,
    /// The size of its file system in MB, and what of it was free when it was reported last.
    #[serde(deserialize_with = "Option::deserialize")]
    pub file_system_mb: Option<u64>,
    /// See `file_system_mb`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub file_system_free_mb: Option<u64>,
    /// Whether an operator added it to the running agent; else the agent's settings name it.
    #[serde(default)]
    pub added: bool,
    /// Whole volumes on it, as it was opened last, that no claim stands for: the first of them, as their labels tell.
    #[serde(default)]
    pub orphans: Vec<OrphanRow>,
    /// How many of them there are beside those.
    #[serde(default)]
    pub more_orphans: u64,
    /// What is wrong with it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub fault: Option<String>,
}
