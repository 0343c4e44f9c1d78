//! A framework, as the native API shows it.

use serde::{Deserialize, Serialize};

super::words! {
    /// Whether a framework is there.
    FrameworkStanding {
        /// It is subscribed.
        Connected = "connected",
        /// It may come back.
        Away = "away",
        /// It was removed, which is for good.
        Removed = "removed",
    }
}

/// A framework.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub state: FrameworkStanding,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its principal.
    #[serde(deserialize_with = "Option::deserialize")]
    pub principal: Option<String>,
    /// Live tasks.
    pub tasks: usize,
    /// Unanswered offers.
    pub offers: usize,
    /// Volumes that it made.
    pub volumes: usize,
    /// How long it may be away, in milliseconds.
    pub failover_timeout_ms: u64,
    /// When it will be removed, in milliseconds since 1970, if it is away.
    #[serde(deserialize_with = "Option::deserialize")]
    pub deadline_ms: Option<u64>,
    /// When it subscribed first, in milliseconds since 1970.
    pub registered_ms: u64,
    /// Where it serves its own pages, if it said so.
    #[serde(deserialize_with = "Option::deserialize")]
    pub webui_url: Option<String>,
}
