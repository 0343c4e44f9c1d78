//! Somebody whose message a leader was handling when it broke an assertion. Its peer sends the same message to the next leader; so that
//! one message does not fell leader after leader, a peer that was named twice is kept out for a while.
//!
//! Relies on whoever carries a leader out to write the record before it dies. Never tells whose fault it was: the assertion is ours.

use std::fmt;

use crate::id::{FrameworkId, Instant, NodeId};

/// For how long a peer that was named twice is kept out, and how long one that was named once is remembered.
const FENCED_MS: u64 = 3_600_000;

/// Who speaks to a leader.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// The agent of a machine.
    Agent(NodeId),
    /// A framework.
    Framework(FrameworkId),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Agent(node) => write!(f, "the agent of node {node}"),
            Peer::Framework(id) => write!(f, "framework {id}"),
        }
    }
}

/// A peer, and what it may have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Who.
    pub peer: Peer,
    /// What was handled, and what it broke.
    pub what: String,
    /// When it happened last.
    pub at: Instant,
    /// How many leaders in a row fell so.
    pub times: u32,
}

impl Suspect {
    /// The record after a leader fell at `at` while it handled `what`; `former` is the peer's record until then.
    pub fn again(former: Option<&Suspect>, peer: Peer, what: String, at: Instant) -> Suspect {
        let former = former.filter(|it| !it.is_over(at));
        Suspect { peer, what, at, times: former.map_or(0, |it| it.times).saturating_add(1) }
    }

    /// Until when the peer is kept out; nothing when it is not, or not any more.
    pub fn fenced_until(&self, now: Instant) -> Option<Instant> {
        let until = self.at.plus_ms(FENCED_MS);
        (2 <= self.times && now < until).then_some(until)
    }

    /// Whether this counts no more: nothing broke for long after the peer was let in again.
    pub fn is_over(&self, now: Instant) -> bool {
        let remembered_ms = if self.times < 2 { FENCED_MS } else { 2 * FENCED_MS };
        self.at.plus_ms(remembered_ms) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Peer = Peer::Agent(NodeId(uuid::Uuid::nil()));

    fn again(former: Option<&Suspect>, at: u64) -> Suspect {
        Suspect::again(former, PEER, "a report".to_owned(), Instant(at))
    }

    #[test]
    fn who_is_named_twice_within_an_hour_is_kept_out_for_one() {
        let once = again(None, 0);
        assert_eq!((once.times, once.fenced_until(Instant(1))), (1, None));
        let twice = again(Some(&once), FENCED_MS - 1);
        let until = Instant(2 * FENCED_MS - 1);
        assert_eq!((twice.times, twice.fenced_until(Instant(FENCED_MS))), (2, Some(until)));
        assert_eq!(twice.fenced_until(until), None, "it is tried again");
        assert_eq!(again(Some(&twice), until.0).times, 3, "and kept out at once when it fails");
    }

    #[test]
    fn what_is_long_ago_counts_no_more() {
        let once = again(None, 0);
        assert!(once.is_over(Instant(FENCED_MS)));
        assert_eq!(again(Some(&once), FENCED_MS).times, 1);
        let twice = again(Some(&once), 10);
        assert!(!twice.is_over(Instant(FENCED_MS)) && twice.is_over(Instant(10 + 2 * FENCED_MS)));
    }
}
