//! The space on a disk: what is free is read at each look, what its volumes use is measured in slices while nothing else is asked.
//!
//! Relies on the helper for both. Never waits for a measurement, and never tells of a figure that was not measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_agent::{DiskFound, FoundSpace, UsedSpace};
use holdfast_model::{ClaimId, DiskKind};
use uuid::Uuid;

use super::{Lane, State};
use crate::core_loop::now;
use crate::disk_worker::protocol::{Answer, Found, Request, Room};

/// How long the helper may measure without looking for other work.
const SLICE: Duration = Duration::from_millis(20);
/// Pause between two slices, so that a disk is not kept busy by being measured.
const SLICE_PAUSE: Duration = Duration::from_millis(80);
/// Pause between two measurements, at least.
const PAUSE_MIN: Duration = Duration::from_secs(10);
/// The part of the time that a disk is measured, at most.
const PART_MAX: u32 = 20;
/// The part of the agent's own file system that is kept free of claims, for its ledger and for what tasks print; at most
/// [`RESERVE_MAX_MB`].
const RESERVE_PART: u64 = 20;
/// See [`RESERVE_PART`].
const RESERVE_MAX_MB: u64 = 1_024;

/// What is known of the space on a disk.
#[derive(Default)]
pub(super) struct Space {
    /// How the disk was found last, as long as it is well.
    last: Option<DiskFound>,
    used: Option<UsedSpace>,
    /// When the next slice is done; `None` when the disk is not there.
    next: Option<Instant>,
    /// When the measurement that is under way was begun.
    began: Option<Instant>,
}

impl Space {
    /// How long other work may be waited for; `None` if there is nothing to do beside it.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.next.map(|it| it.saturating_duration_since(Instant::now()))
    }

    /// The disk is not there, or not known to be.
    pub(super) fn lost(&mut self) {
        *self = Space::default();
    }
}

impl Lane {
    /// Puts what is known of the space on it to a disk that was found well.
    pub(super) fn with_space(&mut self, disk: DiskFound, found: &Found) -> DiskFound {
        let Ok(room) = &found.room else { return disk };
        let space = FoundSpace {
            file_system: found.place.file_system(),
            total_mb: room.total_mb,
            free_mb: room.free_mb,
            trash_mb: self.trash.removable_mb(),
            reserve_mb: reserve_mb(self.plan.kind, room.total_mb),
            limit: self.plan.limit,
            used: self.space.used.clone(),
        };
        self.space.next.get_or_insert_with(Instant::now);
        self.space.last.insert(DiskFound { space: Some(space), ..disk }).clone()
    }

    /// Measures for as long as a slice.
    pub(super) fn measure_slice(&mut self) {
        let began = *self.space.began.get_or_insert_with(Instant::now);
        let slice_ms = u64::try_from(SLICE.as_millis()).expect("a slice is short");
        self.space.next = Some(Instant::now() + SLICE_PAUSE);
        let doing = "measuring its volumes";
        if !matches!(self.state, State::Asked(_, Ok(_))) {
            return self.space.lost();
        }
        match self.work(&Request::Measure { slice_ms }, doing) {
            Ok(Answer::Measured(Ok(None))) => {}
            Ok(Answer::Measured(Ok(Some(volumes)))) => self.measured(volumes, began.elapsed()),
            Ok(Answer::Measured(Err(why))) => {
                tracing::warn!("disk {} is not measured: {why}", self.plan.root.display());
                (self.space.began, self.space.next) = (None, Some(Instant::now() + PAUSE_MIN));
                self.doubt();
            }
            Ok(other) => drop(self.misunderstood(doing, &other)),
            Err(_) => self.space.lost(), // It was told.
        }
    }

    fn measured(&mut self, volumes: Vec<(Uuid, u64)>, took: Duration) {
        let pause = (took * PART_MAX).max(PAUSE_MIN);
        (self.space.began, self.space.next) = (None, Some(Instant::now() + pause));
        let Some(Room { free_mb, .. }) = self.read_room() else { return };
        let volumes: BTreeMap<ClaimId, u64> =
            volumes.into_iter().map(|(id, bytes)| (ClaimId(id), bytes)).collect();
        let free_mb = free_mb.saturating_add(self.trash.removable_mb());
        self.space.used = Some(UsedSpace { free_mb, at: now(), volumes: Arc::new(volumes) });
        self.tell_space();
    }

    /// Volumes are in the trash now, and their removal would give back so many MB. Told before their end is, so that nothing seems lost in
    /// between.
    pub(super) fn note_trashed(&mut self, mb: u64) {
        let Some(used) = &mut self.space.used else { return };
        used.free_mb = used.free_mb.saturating_add(mb);
        self.tell_space();
    }

    fn tell_space(&mut self) {
        let trash_mb = self.trash.removable_mb();
        let used = self.space.used.clone();
        let Some(last) = &mut self.space.last else { return };
        if let Some(space) = &mut last.space {
            (space.used, space.trash_mb) = (used, trash_mb);
        }
        let found = last.clone();
        self.tell(found, false);
    }
}

/// What of a file system is kept free of claims.
fn reserve_mb(kind: DiskKind, total_mb: u64) -> u64 {
    match kind {
        DiskKind::Root => (total_mb / RESERVE_PART).min(RESERVE_MAX_MB),
        DiskKind::Path | DiskKind::Mount => 0,
    }
}
