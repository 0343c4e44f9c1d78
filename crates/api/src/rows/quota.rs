//! The quota of a role, and what setting it would do.

use serde::{Deserialize, Serialize};

/// A role that has quota.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuotaRow {
    /// The role, which is a top-level one; its quota counts for all roles below it.
    pub role: String,
    /// What is kept free for it, such as `cpus:4; mem:1024`; what is not named is not guaranteed.
    pub guarantees: String,
    /// What it may have at most; what is not named is not limited.
    pub limits: String,
    /// What it has: reserved, used or offered.
    pub has: String,
}

/// What setting the quota of roles would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuotaPlan {
    /// The call.
    pub action: String,
    /// The roles as they are.
    pub before: Vec<QuotaRow>,
    /// The roles as they would be.
    pub after: Vec<QuotaRow>,
}
