//! What can be set of an agent.
//!
//! Never read from anywhere: the settings come in with the agent.

use holdfast_model::{Resource, Resources, Scalar};

/// What can be set. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long an executor may take to subscribe after its container started.
    pub registration_timeout_ms: u64,
    /// How long a live executor may take to come back to an agent that was restarted.
    pub reregistration_timeout_ms: u64,
    /// How long an update may stay unacknowledged before it is sent again; doubled each time.
    pub update_retry_min_ms: u64,
    /// The longest time between two sendings of an update.
    pub update_retry_max_ms: u64,
    /// How long an executor may take to end after it was asked to, unless it says otherwise itself.
    pub shutdown_grace_ms: u64,
    /// How often all disks are looked at, to notice one that went.
    pub disk_look_ms: u64,
    /// The same while something is wrong with one of them, to notice when it comes back.
    pub ill_disk_look_ms: u64,
    /// How long a destroyed volume is kept, where nothing needs its space. The drivers keep that time; the core tells it.
    pub trash_retention_ms: u64,
    /// The agent's version, for its report.
    pub version: String,
    /// What Holdfast's own executor gets for a command, on top of what the task asks for.
    pub command_overhead: Resources,
    /// The bug to have on purpose, one of [`PLANTED`].
    #[cfg(feature = "planted")]
    pub planted: Option<&'static str>,
}

/// Bugs that an agent can be given on purpose, to test whoever looks for bugs.
#[cfg(feature = "planted")]
pub const PLANTED: [&str; 5] = [
    "agent-tells-before-commit",
    "agent-ignores-terms",
    "agent-hands-over-early",
    "agent-forgets-updates",
    "agent-replaces-missing-volumes",
];

impl Default for Config {
    fn default() -> Config {
        let overhead = [
            Resource::scalar("cpus", Scalar::thousandths(100)),
            Resource::scalar("mem", Scalar::whole(32)),
        ];
        Config {
            registration_timeout_ms: 60_000,
            reregistration_timeout_ms: 15_000,
            update_retry_min_ms: 10_000,
            update_retry_max_ms: 600_000,
            shutdown_grace_ms: 5_000,
            disk_look_ms: 10_000,
            ill_disk_look_ms: 5_000,
            trash_retention_ms: 86_400_000,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command_overhead: overhead.into_iter().collect(),
            #[cfg(feature = "planted")]
            planted: None,
        }
    }
}

impl Config {
    /// Whether the agent was given the bug of that name on purpose.
    #[cfg(feature = "planted")]
    pub(crate) fn is_planted(&self, bug: &str) -> bool {
        self.planted == Some(bug)
    }

    #[cfg(not(feature = "planted"))]
    pub(crate) fn is_planted(&self, _bug: &str) -> bool {
        false
    }
}
