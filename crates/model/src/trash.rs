//! Destroyed volumes: what an agent keeps of each as long as it lies in the trash of its disk.
//!
//! The record is written when the volume's claim ends, and ends when the bytes are gone or the claim is back. Never says that a volume can
//! come back once a byte of it may be gone: `purging` is durable before the first is removed.

use crate::claim::Claim;
use crate::id::{ClaimId, Instant};

/// A destroyed volume in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashedVolume {
    /// Its claim as it was when it was destroyed; the last event of the history says by whom.
    pub claim: Claim,
    /// Since when it lies in the trash.
    pub since: Instant,
    /// Whether its removal may have begun, so that there is no way back.
    pub purging: bool,
}

/// What lies in the trash of an agent's disks, as it tells its master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrashNews {
    /// Whether this is all; what was told before is then forgotten.
    pub whole: bool,
    /// How long a volume is kept there where nothing needs its space, in milliseconds.
    pub retention_ms: u64,
    /// Those that are new or have changed.
    pub volumes: Vec<TrashedVolume>,
    /// Those that are there no more: removed, or brought back.
    pub gone: Vec<ClaimId>,
}
