//! The pauses between attempts to connect again.
//!
//! The first attempt follows the loss at once: most often the other side is back, or another has
//! taken its place, in some milliseconds. The next ones follow in small steps that grow up to a
//! bound, two of each size, so that what has been away for `t` is found again within `1.8 t`. Each
//! pause is varied by up to a quarter, by a seed that each caller has for itself: ten thousand peers
//! of a master that died do not come back in the same instant. It never gives up and never waits:
//! both are the caller's.

use std::time::Duration;

use uuid::Uuid;

/// The first pause that is not zero.
const STEP_MIN: Duration = Duration::from_millis(5);

/// The pauses between attempts.
#[derive(Clone, Debug)]
pub struct Reconnect {
    greatest: Duration,
    /// How many attempts were paused for since the last success.
    attempts: u32,
    /// The state of the variation.
    chance: u64,
}

impl Reconnect {
    /// Makes pauses that never exceed `greatest`.
    pub fn new(greatest: Duration) -> Reconnect {
        // A uuid is the only source of randomness here; half of it is as random as the whole.
        Reconnect::with_seed(greatest, Uuid::new_v4().as_u64_pair().0)
    }

    fn with_seed(greatest: Duration, seed: u64) -> Reconnect {
        Reconnect { greatest, attempts: 0, chance: seed }
    }

    /// Starts over: the next attempt is a first one.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Whether no attempt was paused for since the last success.
    pub fn is_first(&self) -> bool {
        self.attempts == 0
    }

    /// Returns the pause before the next attempt.
    pub fn pause(&mut self) -> Duration {
        let attempt = self.attempts;
        self.attempts = self.attempts.saturating_add(1);
        let Some(doublings) = attempt.checked_sub(1).map(|it| (it / 2).min(20)) else {
            return Duration::ZERO;
        };
        let whole = (STEP_MIN * (1 << doublings)).min(self.greatest);
        // Between three quarters and the whole.
        whole.mul_f64(1.0 - self.fraction() / 4.0)
    }

    /// The next of a row of fractions below 1 that depends only on the seed (splitmix64).
    fn fraction(&mut self) -> f64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // 53 bits are what a fraction holds exactly.
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(greatest_ms: u64, seed: u64, count: usize) -> Vec<Duration> {
        let mut reconnect = Reconnect::with_seed(Duration::from_millis(greatest_ms), seed);
        (0..count).map(|_| reconnect.pause()).collect()
    }

    #[test]
    fn the_first_is_at_once_and_the_rest_grow_in_small_steps_to_a_bound() {
        let steps =
            [5, 5, 10, 10, 20, 20, 40, 40, 80, 80, 160, 160, 320, 320, 640, 640, 1000, 1000];
        for seed in 0..50 {
            let pauses = pauses(1000, seed, 1 + steps.len());
            assert_eq!(pauses[0], Duration::ZERO);
            for (pause, step) in pauses[1..].iter().zip(steps) {
                let step = Duration::from_millis(step);
                assert!(*pause >= step * 3 / 4 && *pause <= step, "{pause:?} of {step:?}");
            }
        }
    }

    #[test]
    fn it_starts_over_after_a_success_and_never_overflows() {
        let mut reconnect = Reconnect::with_seed(Duration::from_secs(2), 7);
        assert!(reconnect.is_first());
        let last = (0..10_000).map(|_| reconnect.pause()).last().unwrap();
        assert!(last >= Duration::from_secs(1) && last <= Duration::from_secs(2), "{last:?}");
        reconnect.reset();
        assert!(reconnect.is_first() && reconnect.pause().is_zero());
        assert!(!reconnect.is_first() && reconnect.pause() <= STEP_MIN);
    }

    #[test]
    fn a_small_bound_holds_from_the_start() {
        assert!(pauses(2, 1, 20).iter().all(|it| *it <= Duration::from_millis(2)));
    }

    #[test]
    fn what_was_away_for_a_while_is_found_soon_after() {
        for seed in 0..50 {
            let mut attempts = pauses(1000, seed, 40);
            let mut at = Duration::ZERO;
            attempts.iter_mut().for_each(|it| {
                at += *it;
                *it = at;
            });
            for away_ms in [13_u64, 20, 50, 100, 300, 1000] {
                let away = Duration::from_millis(away_ms);
                let found = attempts.iter().find(|it| **it >= away).unwrap();
                assert!(*found <= away.mul_f64(1.8), "{away:?}: {found:?} with seed {seed}");
            }
        }
    }

    #[test]
    fn many_peers_come_back_at_many_times() {
        let mut third: Vec<Duration> =
            (0..1000).map(|seed| pauses(1000, seed, 6).iter().sum()).collect();
        third.sort();
        third.dedup();
        assert!(third.len() > 990, "{} different times", third.len());
        let spread = third[third.len() - 1] - third[0];
        assert!(spread > Duration::from_millis(4), "{spread:?}");
    }
}
