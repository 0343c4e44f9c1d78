//! Randomness: a small generator that gives the same numbers everywhere, and fresh ids made of
//! them.
//!
//! SplitMix64 (Steele, Lea, Flood 2014). It relies on nothing. It never asks the machine for
//! randomness.

use holdfast_model::IdSource;
use uuid::Uuid;

/// A stream of random numbers that follows from its seed alone.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Rng {
        Rng(mix(seed ^ 0x5851_F42D_4C95_7F2D))
    }

    /// A stream of its own for `purpose`, independent of how much of this one is used later.
    pub fn fork(&self, purpose: u64) -> Rng {
        Rng(mix(self.0 ^ mix(purpose.wrapping_add(0x9E37_79B9_7F4A_7C15))))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        match bound {
            0 => 0,
            bound => self.bits() % bound,
        }
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True once in `count`.
    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// One of `list`; nothing when it is empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len() as u64) as usize)
    }
}

impl IdSource for Rng {
    fn fresh(&mut self) -> Uuid {
        let (high, low) = (self.bits(), self.bits());
        uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
            .into_uuid()
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_luck_and_forks_do_not_disturb_it() {
        let draw = |mut rng: Rng| (0..8).map(|_| rng.bits()).collect::<Vec<_>>();
        let rng = Rng::new(7);
        let mut fork = rng.fork(1);
        fork.bits();
        assert_eq!(draw(rng.clone()), draw(Rng::new(7)));
        assert_ne!(draw(rng.clone()), draw(rng.fork(1)));
        assert_ne!(draw(rng.fork(1)), draw(rng.fork(2)));
    }

    #[test]
    fn luck_is_spread() {
        let (mut rng, mut counts) = (Rng::new(1), [0u32; 10]);
        (0..10_000).for_each(|_| counts[rng.below(10) as usize] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_eq!((rng.below(0), rng.between(3, 3)), (0, 3));
        assert_eq!(rng.pick::<u8>(&[]), None);
        assert_eq!(rng.fresh().get_version_num(), 4);
    }
}
