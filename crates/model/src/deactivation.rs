//! An agent of which an operator wants nothing new to be begun: deactivated, or drained of what runs there.
//!
//! It is the masters' to remember, over every failover; the agent itself knows only the kills. Never concerns what is claimed: reservations
//! and volumes stay as they are.

use crate::id::{AgentId, Instant};

/// Nothing of an agent is offered until it is reactivated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deactivation {
    /// The agent.
    pub agent: AgentId,
    /// Since when.
    pub since: Instant,
    /// Who asked for it.
    pub by: String,
    /// What runs there is to end, too.
    pub drain: Option<Drain>,
}

/// What runs on an agent is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Since when.
    pub since: Instant,
    /// No task gets more time to end than this, in milliseconds; `None` leaves it to each task's own policy.
    pub max_grace_ms: Option<u64>,
    /// Whether the agent is marked gone once nothing runs there any more.
    pub mark_gone: bool,
    /// Whether nothing ran there any more.
    pub is_drained: bool,
}

impl Deactivation {
    /// The drain, as long as something may run there.
    pub fn draining(&self) -> Option<&Drain> {
        self.drain.as_ref().filter(|it| !it.is_drained)
    }

    /// Why nothing of the agent is offered.
    pub fn why(&self) -> String {
        let Deactivation { by, drain, .. } = self;
        match drain {
            None => format!("it was deactivated by {by}; its tasks go on: `holdfast agent reactivate` ends that"),
            Some(it) if it.is_drained => format!(
                "it was drained by {by}, and nothing runs there; what is claimed there is kept: `holdfast agent reactivate` ends that"
            ),
            Some(it) if it.mark_gone => format!(
                "it is being drained by {by}, and is marked gone once nothing runs there any more"
            ),
            Some(_) => format!(
                "it is being drained by {by}; what is claimed there is kept until it is reactivated"
            ),
        }
    }
}
