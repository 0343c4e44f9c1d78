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
    /// What is wrong with it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub fault: Option<String>,
}
