//! What can be set about a master. Times are in milliseconds. Nothing here changes while a master runs.

use holdfast_model::{Quantities, Scalar};

/// What can be set. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long an offer may stay unanswered before it is rescinded; `None` = for ever.
    pub offer_timeout_ms: Option<u64>,
    /// How often an agent is asked whether it hears us.
    pub ping_interval_ms: u64,
    /// How many unanswered pings in a row make an agent's link dead.
    pub pings_missed_max: u32,
    /// How long an agent may be away before its tasks are called unreachable.
    pub agent_timeout_ms: u64,
    /// How long agents may take to come back to a new leader before their tasks are called unreachable.
    pub reregister_timeout_ms: u64,
    /// The least time that frameworks have to come back to a new leader.
    pub failover_grace_ms: u64,
    /// The least time before declined resources are offered to the same role of a framework again.
    pub reoffer_min_ms: u64,
    /// How many removed frameworks are remembered.
    pub removed_frameworks_max: usize,
    /// How many claims that have ended are remembered, at least one.
    pub ended_claims_max: usize,
    /// Offers smaller than all of these are not made, unless they hold a reservation or volume.
    pub min_allocatable: Vec<Quantities>,
    /// Whether any framework of a role may give up what another one reserved or made, as in Mesos; else it is its maker's.
    pub mesos_ownership: bool,
    /// A bug put in on purpose, by name, for the simulator to find.
    #[cfg(any(test, feature = "planted"))]
    pub planted: Option<&'static str>,
}

impl Default for Config {
    fn default() -> Config {
        let least = |name: &str, thousandths| {
            Quantities::from([(name.to_owned(), Scalar::thousandths(thousandths))])
        };
        Config {
            offer_timeout_ms: Some(300_000),
            ping_interval_ms: 15_000,
            pings_missed_max: 5,
            agent_timeout_ms: 75_000,
            reregister_timeout_ms: 600_000,
            failover_grace_ms: 75_000,
            reoffer_min_ms: 100,
            removed_frameworks_max: 1000,
            ended_claims_max: 10_000,
            mesos_ownership: false,
            min_allocatable: vec![least("cpus", 10), least("mem", 32_000)],
            #[cfg(any(test, feature = "planted"))]
            planted: None,
        }
    }
}

impl Config {
    /// Whether this master was given the bug of that name on purpose.
    #[cfg(any(test, feature = "planted"))]
    pub(crate) fn is_planted(&self, bug: &str) -> bool {
        self.planted == Some(bug)
    }

    #[cfg(not(any(test, feature = "planted")))]
    pub(crate) fn is_planted(&self, _bug: &str) -> bool {
        false
    }
}
