//! What stands for the shell's in benches: a time that stands still, and uuids that are counted.
//!
//! Relies on nothing. Never measures anything itself.

use holdfast_model::{IdSource, Instant};
use uuid::Uuid;

/// The time, which stands still.
pub const NOW: Instant = Instant(1_700_000_000_000);

/// Uuids that are counted.
pub struct Counter(pub u128);

impl IdSource for Counter {
    fn fresh(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}
