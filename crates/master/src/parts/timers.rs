//! What is due, and when. Timers need not be taken back: what fires too early, or for what is no more, is a no-op.

use std::collections::BTreeSet;

use holdfast_model::{AgentId, FrameworkId, Instant, LinkId, OfferId};

/// What can be due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// An offer was not answered.
    Offer(OfferId),
    /// An inverse offer was not answered.
    InverseOffer(OfferId),
    /// Whoever has something on an agent may be asked about it again.
    AskAgain(AgentId),
    /// A framework did not come back.
    Framework(FrameworkId),
    /// An agent did not come back.
    Agent(AgentId),
    /// Time to ask whether an agent hears us.
    Ping(AgentId, LinkId),
}

/// All that is due at some time.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.due.insert((at, timer));
    }

    /// Forgets a timer that nobody needs any more; for those that clients could pile up.
    pub(crate) fn clear(&mut self, at: Instant, timer: Timer) {
        self.due.remove(&(at, timer));
    }

    /// When the next timer fires.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = &Timer> {
        self.due.iter().map(|(_, timer)| timer)
    }

    /// The first timer that is due at `now`, which is thereby forgotten.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let due = self.next().is_some_and(|at| at <= now);
        due.then(|| self.due.pop_first()).flatten().map(|(_, timer)| timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_once_and_not_before_their_time() {
        let timer = |name: &str| Timer::Agent(AgentId::made(name.to_owned()));
        let mut timers = Timers::default();
        timers.set(Instant(20), timer("b"));
        timers.set(Instant(10), timer("a"));
        timers.set(Instant(15), timer("c"));
        timers.clear(Instant(15), timer("c"));
        assert_eq!((timers.next(), timers.pop_due(Instant(9))), (Some(Instant(10)), None));
        assert_eq!(timers.pop_due(Instant(20)), Some(timer("a")));
        assert_eq!(timers.pop_due(Instant(20)), Some(timer("b")));
        assert_eq!((timers.pop_due(Instant(99)), timers.next()), (None, None));
    }
}
