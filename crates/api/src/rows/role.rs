//! A role, as the native API shows it.

use serde::{Deserialize, Serialize};

/// A role, in the order in which roles are served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleRow {
    /// The role.
    pub role: String,
    /// Its weight.
    pub weight: f64,
    /// Its dominant share, from 0 to 1.
    pub share: f64,
    /// What it has reserved.
    pub reserved: String,
    /// Frameworks that have it.
    pub frameworks: usize,
}
