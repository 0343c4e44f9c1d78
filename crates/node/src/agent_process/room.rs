//! The room that the agent's own file system has, on which its ledger lies beside sandboxes and the ROOT disk.
//!
//! An agent whose file system is full cannot write its ledger, and ends. So output of tasks gives way early, and before it comes to the worst
//! nothing new is begun.

use holdfast_containers::Room;

/// With less than this part of it free a file system is nearly full, whatever its size.
const LOW_PART: u64 = 20;
/// A small one is so much earlier: what is written without asking does not shrink with it.
const LOW_MIN_BYTES: u64 = 64 << 20;
const LOW_MIN_PART: u64 = 4;
/// A large one later.
const LOW_MAX_BYTES: u64 = 1 << 30;

/// A file system's room, and what to make of it.
pub trait Reserve {
    /// With less free than this it is nearly full.
    fn low_bytes(&self) -> u64;
    /// What output of tasks leaves free: it gives way before anything else has to.
    fn output_leaves_bytes(&self) -> u64 {
        self.low_bytes().saturating_mul(2)
    }
}

impl Reserve for Room {
    fn low_bytes(&self) -> u64 {
        let small = LOW_MIN_BYTES.min(self.total_bytes / LOW_MIN_PART);
        small.max(self.total_bytes / LOW_PART).min(LOW_MAX_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_file_systems_are_nearly_full_at_a_quarter_and_large_ones_at_a_gigabyte() {
        let low_mb =
            |total_mb: u64| Room { total_bytes: total_mb << 20, free_bytes: 0 }.low_bytes() >> 20;
        let sizes = [24, 1_000, 10_000, 1_000_000];
        assert_eq!(sizes.map(low_mb), [6, 64, 500, 1_024]);
        let here = Room::at(&std::env::temp_dir()).expect("there is a file system");
        assert!(here.free_bytes <= here.total_bytes);
    }
}
