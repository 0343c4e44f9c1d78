//! What volumes were found to use of their disks, as an agent tells its master.
//!
//! A figure is as old as its measurement, and says so. It is told again when it has changed by more than a small part of the volume's size, so
//! that what the master knows is that near to what was measured last. Never says that a volume uses nothing because it was not measured.

use crate::id::{ClaimId, Instant};
use crate::value::Scalar;

/// A change by less than this part of a volume's size is no news.
const NEWS: u64 = 64;
/// A megabyte: a change by less is never news.
const MB: u64 = 1 << 20;

/// What a volume was found to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeUsed {
    /// Bytes, by blocks.
    pub bytes: u64,
    /// When that was measured.
    pub measured: Instant,
}

/// What an agent's volumes were found to use, as it tells its master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsedNews {
    /// Whether this is all; what was told before is then forgotten.
    pub whole: bool,
    /// Those that were measured for the first time, or use more or less than was told.
    pub volumes: Vec<(ClaimId, VolumeUsed)>,
    /// Those that are no more.
    pub gone: Vec<ClaimId>,
}

/// The size of a volume in bytes.
pub fn size_bytes(size: Scalar) -> u64 {
    let kilo = u128::try_from(size.as_thousandths()).unwrap_or(0) * u128::from(MB) / 1000;
    u64::try_from(kilo).unwrap_or(u64::MAX)
}

/// Whether it is news that a volume of this size uses so many bytes, if it was told to use `told`.
pub fn is_used_news(size: Scalar, told: u64, now: u64) -> bool {
    let size = size_bytes(size);
    (size < told) != (size < now) || (size / NEWS).max(MB) < told.abs_diff(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_part_of_the_size_and_its_end_is_always_news() {
        let size = Scalar::whole(640);
        assert_eq!(size_bytes(size), 640 * MB);
        assert!(!is_used_news(size, 100 * MB, 110 * MB));
        assert!(
            is_used_news(size, 100 * MB, 110 * MB + 1)
                && is_used_news(size, 110 * MB + 1, 100 * MB)
        );
        assert!(
            is_used_news(size, 640 * MB, 640 * MB + 1)
                && is_used_news(size, 640 * MB + 1, 640 * MB)
        );
        assert!(!is_used_news(Scalar::whole(1), 0, MB), "of a small volume, a megabyte");
    }
}
