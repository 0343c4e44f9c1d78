//! Exponential backoff: the first attempt is made at once, then each wait is twice as long up to a
//! bound, with jitter so that a thousand peers of a master that died do not come back in the same
//! millisecond.
//!
//! It never gives up: the caller decides how long to go on.

use std::time::Duration;

use uuid::Uuid;

/// The wait before the second attempt.
const FIRST: Duration = Duration::from_millis(50);

/// The waits between attempts.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    max: Duration,
    next: Option<Duration>,
}

impl Backoff {
    /// Makes waits that never exceed `max`.
    pub fn new(max: Duration) -> Backoff {
        Backoff { max, next: None }
    }

    /// Starts over: the next attempt is a first one.
    pub fn reset(&mut self) {
        self.next = None;
    }

    /// Returns the wait before the next attempt.
    pub fn wait(&mut self) -> Duration {
        // A uuid is the only source of randomness here; its first byte is as random as any.
        self.wait_with(Uuid::new_v4().as_bytes()[0])
    }

    fn wait_with(&mut self, chance: u8) -> Duration {
        let Some(whole) = self.next else {
            self.next = Some(FIRST.min(self.max));
            return Duration::ZERO;
        };
        self.next = Some((whole * 2).min(self.max));
        // The wait is between half and whole.
        whole / 2 + whole * u32::from(chance) / 510
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_at_once_and_the_rest_grow_to_a_bound() {
        let mut backoff = Backoff::new(Duration::from_secs(2));
        let waits: Vec<u128> = (0..9).map(|_| backoff.wait_with(255).as_millis()).collect();
        assert_eq!(waits, [0, 50, 100, 200, 400, 800, 1600, 2000, 2000]);
        backoff.reset();
        assert_eq!(backoff.wait_with(0), Duration::ZERO);
        assert_eq!(backoff.wait_with(0).as_millis(), 25, "never less than half");
    }

    #[test]
    fn a_small_bound_holds_from_the_start() {
        let mut backoff = Backoff::new(Duration::from_millis(10));
        backoff.wait();
        assert!((0..9).all(|_| backoff.wait() <= Duration::from_millis(10)));
    }
}
