//! A volume as its label on a disk tells of it, whatever ledgers know.
//!
//! A whole volume on a disk of an agent that no claim of its ledger stands for is an *orphan*: it was given up while its disk was away, or
//! its CREATE was said to have failed. Nobody is promised it, and nothing is removed because nobody knows it.

use crate::id::ClaimId;

/// How many orphans of a disk are named; of the others it is said how many there are.
pub const ORPHANS_NAMED_MAX: usize = 100;

/// A whole volume on a disk, by its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledVolume {
    /// The claim that it was made for, which names its directory.
    pub id: ClaimId,
    /// The name that its framework or operator gave it.
    pub persistence: String,
    /// The role that it was made for.
    pub role: String,
    /// Its size in megabytes (2^20 bytes) when it was made.
    pub size_mb: u64,
    /// The principal that made it, if one is known.
    pub principal: Option<String>,
    /// The generation of its label; 0 when an older agent tells of it, which does not say.
    pub generation: u64,
    /// Whether several tasks may use it at a time. Labels of before do not say so, nor do older agents.
    pub shared: bool,
}
