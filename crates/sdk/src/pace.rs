//! The restart backoff of a member's task: at once after its first end, then ever later while it
//! keeps ending early.
//!
//! It relies on the time that the caller passes. It never keeps a member down for longer than
//! [`REST_MAX_MS`].

use holdfast_model::Instant;

/// The wait after the second early end in a row, in milliseconds; doubled with each further one.
const REST_MIN_MS: u64 = 100;
/// The longest wait, in milliseconds.
const REST_MAX_MS: u64 = 10_000;
/// The running time from which on a task did not end early, in milliseconds.
const STEADY_MS: u64 = 10_000;

/// The backoff of one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    since: Option<Instant>,
    early_ends: u32,
    until: Option<Instant>,
}

impl Pace {
    /// Notes that its task was seen running.
    pub(crate) fn running(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Since when its task has been seen running, if it has.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Notes that its task has ended.
    pub(crate) fn over(&mut self, now: Instant) {
        let steady = self.since.take().is_some_and(|since| STEADY_MS <= now.since_ms(since));
        self.early_ends = if steady { 0 } else { self.early_ends.saturating_add(1) };
        let doubled = REST_MIN_MS.saturating_mul(1 << self.early_ends.saturating_sub(2).min(16));
        self.until = (1 < self.early_ends).then(|| now.plus_ms(doubled.min(REST_MAX_MS)));
    }

    /// The time until which the member waits, if it does at `now`.
    pub(crate) fn rests(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    /// Ends the wait; returns whether there was one.
    pub(crate) fn wake(&mut self, now: Instant) -> bool {
        let news = self.until.is_some_and(|until| until <= now);
        self.until = self.until.filter(|until| now < *until);
        news
    }

    /// The time when the wait will be over.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_end_costs_no_time_and_a_crash_loop_slows_down() {
        let (mut pace, mut now, mut rests) = (Pace::default(), Instant(0), Vec::new());
        for _ in 0..10 {
            pace.running(now);
            pace.over(now);
            let until = pace.until().unwrap_or(now);
            rests.push(until.since_ms(now));
            assert_eq!(pace.rests(now).is_some(), now < until);
            now = until;
            assert_eq!((pace.rests(now), pace.wake(now)), (None, until != Instant(0)));
        }
        assert_eq!(rests, [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    }

    #[test]
    fn a_steady_run_is_forgiven() {
        let mut pace = Pace::default();
        (0..5).for_each(|_| pace.over(Instant(0)));
        pace.running(Instant(100));
        pace.running(Instant(5_000));
        pace.over(Instant(10_100));
        assert_eq!(pace, Pace { since: None, early_ends: 0, until: None });
    }
}
