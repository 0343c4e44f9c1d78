//! The time of day, for statuses and for the keeper, which has no clock of its own.
//!
//! It is never used to measure how long something takes: for that there is tokio's monotonic clock.

use std::time::{SystemTime, UNIX_EPOCH};

use holdfast_model::Instant;

/// The time now, in milliseconds since 1970.
pub(crate) fn now() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
